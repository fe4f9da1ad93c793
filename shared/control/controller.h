/*
 * The runtime of a controller: takes keys from a work queue, asks the kind's reconcile() what to do, and
 * does it. All in one thread; the simulator runs exactly this code.
 *
 *   controller_new(), controller_start() when this process leads, controller_run() after each wait of
 *   the transport, controller_stop() when it no longer leads.
 *
 * reconcile() is a pure step over (caches, key, now): it sends nothing, waits for nothing and keeps
 * nothing but what it can see again; it fills a plan. The runtime sends the plan's writes in order, one
 * after the other, and stops at the first that fails.
 *
 *   key ── reconcile() ──▶ plan ── write, write, … ──▶ fence ──▶ done
 *                                    │ outcome unknown, conflict, AlreadyExists
 *                                    └──▶ GET: what is there now?
 *
 * The fence: after its writes, a key is not reconciled again until every cache that they touched has
 * caught up with the versions that the server returned, so that no decision rests on a cache older than
 * our own last write. What was deleted must be gone from its cache, or be seen as going. A cache that
 * takes longer than CONTROLLER_FENCE_ASK_NS is compared with the server's own answer, so that a server
 * that was restored from an older state does not stop a key for ever.
 *
 * A write whose outcome is unknown is settled by a GET of the object before anything else is done for
 * the key. Names are a function of the parent and the attempt, so a repeated create meets AlreadyExists:
 * the runtime GETs the object and adopts it when its controller reference has the owner's uid (and gives
 * it back the labels without which the cache would not see it), and else reports it as foreign.
 *
 * Failures back off per key (queue.h). A conflict comes again as soon as the cache has seen what was in
 * the way. Every object is reconciled once in each resync period, spread over the period by its uid.
 * An idle key takes no memory here.
 */
#ifndef CONTROL_CONTROLLER_H
#define CONTROL_CONTROLLER_H

#include "control/queue.h"
#include "control/store.h"
#include "kube/events.h"

struct moment {
    int64_t now_ns;  /* monotonic */
    int64_t wall_ns; /* for what is written into objects */
};

enum action_verb {
    ACTION_CREATE,
    ACTION_PATCH_MERGE,
    ACTION_PATCH_JSON,
    ACTION_DELETE,
    ACTION_READ, /* a GET, for what is in no cache */
};

/* All texts live in the plan's arena. */
struct action {
    enum action_verb verb;
    const struct kube_resource *resource;
    struct str namespace;
    struct str name;
    struct str subresource; /* "status", or absent */
    struct str body;        /* JSON; a patch that must not meet another's change carries
                                  * metadata.resourceVersion */
    struct str uid;         /* DELETE: precondition */
    struct str owner_uid;   /* CREATE: whose object an existing one must be */
    int64_t grace_seconds;  /* DELETE; -1: the object's own */
    const char *purpose;    /* for logs and metrics: "create pod"; static */
};

enum { PLAN_ACTIONS_MAX = 16, PLAN_EVENTS_MAX = 8 };

struct plan {
    struct arena *arena;
    struct str correlation_id; /* of the object, for logs; absent without one */
    struct action actions[PLAN_ACTIONS_MAX];
    size_t action_count;
    struct kube_event events[PLAN_EVENTS_MAX]; /* recorded when all writes are done */
    size_t event_count;
    int64_t requeue_after_ns; /* 0: only when something changes, or at the resync */
    /* Whatever changes, the key does not come again sooner, and then it does: for what undoes what somebody
     * else has done, and may do again. */
    int64_t rest_ns;
};

/* Why an action will not succeed by trying it again. */
struct action_failure {
    enum kube_outcome outcome; /* KUBE_INVALID, KUBE_FORBIDDEN_BY, KUBE_ALREADY_EXISTS when foreign,
                                * KUBE_NOT_FOUND of a create: the namespace is gone */
    bool is_foreign;           /* CREATE: the name is taken by somebody else's object */
    struct str message;
};

struct controller_kind {
    const char *name; /* "performer": of the queue, metrics, logs */
    const struct kube_resource *resource;
    /* -1 with *err: a failure of ours (no memory); the key backs off. */
    int (*reconcile)(void *ctx, struct queue_key key, struct moment now, struct plan *plan,
                     struct err *err);
    /* A write was refused: the rest of the plan is dropped. May fill a further plan (a status that says
     * so), which is sent with the same rules, but without asking here again; the key then backs off,
     * unless it returns true: it is then not tried again before it changes, or at the resync. May be
     * NULL. */
    bool (*refused)(void *ctx, struct queue_key key, struct moment now, const struct action *action,
                    const struct action_failure *failure, struct plan *plan);
    /* The object as the server has it: after a write with its metadata at least, as it was read all of it; NULL
     * when nothing was found to be read, or was deleted. Valid during the call. May be NULL. */
    void (*answered)(void *ctx, struct queue_key key, const struct action *action,
                     const struct json *object);
    void *ctx;
};

/* A cache that plans decide on, and whose progress the fence waits for. */
struct controller_cache {
    const struct kube_resource *resource;
    const struct store *store;
    struct kube_reflector *reflector;
};

enum { CONTROLLER_CACHES_MAX = 8 };

#define CONTROLLER_FENCE_ASK_NS (10 * CLOCK_NS_PER_SEC)

/* The metrics that all controllers of a program share, as controller-runtime names them. */
struct controller_metrics {
    struct counter_family *reconciles;
    struct counter_family *errors;
    struct histogram_family *seconds;
    struct gauge_family *active;
    struct gauge_family *workers;
    struct counter_family *writes;
};

void controller_metrics_add(struct controller_metrics *ret, struct metrics *metrics);

/* A zero or NULL stands for the default, where one is named. Pointers must outlive the controller. */
struct controller_config {
    struct controller_kind kind;
    struct kube_client *client;
    struct timers *timers;
    const struct clock *clock;
    const struct random *random;
    const struct mem *mem;
    struct queue *queue; /* the controller's alone */
    /* The first is that of the kind's own resource. */
    struct controller_cache caches[CONTROLLER_CACHES_MAX];
    size_t cache_count;
    struct kube_events *events;               /* NULL: none are recorded */
    const struct controller_metrics *metrics; /* NULL: none */
    const struct log *log;                    /* NULL: silent */
    unsigned workers;                         /* keys whose writes are under way; 16 */
    int64_t resync_ns;                        /* 2 min */
};

struct controller;

struct controller *controller_new(const struct controller_config *config, struct err *err);
/* Drops what is under way. Accepts NULL. */
void controller_free(struct controller *controller);

/* From now on this process leads: all caches are refreshed, and then every object is reconciled. What they
 * had may be older than what another process, or this one when it led before, has written. */
void controller_start(struct controller *controller);
/* It no longer leads: what is under way is dropped, nothing is sent any more. */
void controller_stop(struct controller *controller);
/* No write is begun any more; those under way are finished, until controller_is_idle(). */
void controller_drain(struct controller *controller);
/* No call to the server is under way. */
bool controller_is_idle(const struct controller *controller);

/* The key is to be reconciled: for a store's on_change. Nothing happens while it does not lead. */
void controller_enqueue(struct controller *controller, struct queue_key key);

/* Goes on with what can go on: to be called after each wait of the transport and run of the timers. True
 * when there is more to do at once: keys are taken in batches, so that other work is not held up. */
bool controller_run(struct controller *controller);

/* Keys that are being worked on, those that wait at the fence included. */
size_t controller_active(const struct controller *controller);

#endif
