/*
 * The runtime of a controller: takes keys from a work queue, asks the kind's reconcile() what to do, and
 * does it.
 *
 * reconcile() is a pure step over (caches, key, now): it sends nothing, waits for nothing and keeps
 * nothing but what it can see again; it fills a plan. The runtime sends the plan's writes in order, one
 * after the other, and stops at the first that fails. The simulator runs exactly this code.
 *
 * The fence: after its writes, a key is not reconciled again until every cache that they touched has
 * caught up with the versions that the server returned, so that no decision rests on a cache
 * older than our own last write. A write with an unknown outcome is settled by a GET of the object
 * first. Names are a function of the parent and the attempt, so a repeated create meets AlreadyExists: the runtime
 * GETs the object, adopts it when its controller reference has the owner's uid, and else reports it as
 * foreign.
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
    const char *purpose;    /* for logs: "create pod"; static */
};

enum { PLAN_ACTIONS_MAX = 16, PLAN_EVENTS_MAX = 8 };

struct plan {
    struct arena *arena;
    struct action actions[PLAN_ACTIONS_MAX];
    size_t action_count;
    struct kube_event events[PLAN_EVENTS_MAX]; /* recorded when all writes are done */
    size_t event_count;
    int64_t requeue_after_ns; /* 0: only when something changes, or at the resync */
};

/* What became of an action that was not KUBE_OK (and was not adopted). */
struct action_failure {
    enum kube_outcome outcome;
    bool is_foreign; /* CREATE: the name is taken by somebody else's object */
    struct str message;
};

struct controller_kind {
    const char *name; /* "performer": of the queue, metrics, logs */
    const struct kube_resource *resource;
    /* -1 with *err: a failure of ours (no memory); the key backs off. */
    int (*reconcile)(void *ctx, struct queue_key key, struct moment now, struct plan *plan,
                     struct err *err);
    /* A write was refused. May fill a further plan (a status that says so), which is sent with the same
     * rules; the key then backs off, unless it returns true: it is not tried again before it changes. */
    bool (*refused)(void *ctx, struct queue_key key, struct moment now, const struct action *action,
                    const struct action_failure *failure, struct plan *plan);
    void *ctx;
};

#endif
