/*
 * The parts of control/controller.h: private to this folder.
 *
 *   controller.c         keys: when they are taken up, and what becomes of them
 *   controller_write.c   one plan: its writes, and what their answers mean
 *   controller_fence.c   waiting until the caches have seen the writes
 */
#ifndef CONTROL_CONTROLLER_PARTS_H
#define CONTROL_CONTROLLER_PARTS_H

#include "base/log.h"
#include "control/controller.h"

enum work_state {
    WORK_SENDING, /* a write is under way */
    WORK_LOOKING, /* a GET: what has become of the write? */
    WORK_PAUSED,  /* the GET failed; the timer says when to look again */
    WORK_FENCED,  /* the writes are over; caches have to catch up; the timer says when to ask */
    WORK_ASKING,  /* fenced, and a GET is under way */
};

/* How a plan ended, and so when its key comes again. */
enum work_end {
    WORK_DONE,     /* all is written */
    WORK_AGAIN,    /* the plan was made of an old state */
    WORK_FAILED,   /* backs off */
    WORK_REFUSED,  /* the same, and the kind was told */
    WORK_GIVEN_UP, /* not before the object changes */
};

/* What a cache must have seen. Texts live in the work's arena. */
struct fence {
    const struct controller_cache *cache;
    uint64_t version; /* seen when the cache is as new; 0: the object must be gone or going */
    struct str namespace;
    struct str name;
    struct str uid; /* of the object, or absent */
};

enum { FENCES_MAX = 2 * PLAN_ACTIONS_MAX };

/* A key that is being worked on. */
struct work {
    struct work *next;
    struct work **link; /* what points to it */
    struct controller *controller;
    struct queue_key key; /* the queue's until queue_done() */
    int64_t start_ns;
    struct arena arena; /* of the plan */
    struct plan plan;
    size_t at;       /* the action that is being sent */
    bool is_refusal; /* the plan is what refused() made */
    enum kube_outcome outcome;
    struct action relabel; /* of an adopted object */
    enum work_state state;
    enum work_end end;
    struct kube_pending *pending;
    struct timer timer;
    unsigned looks; /* that failed, in a row */
    struct fence fences[FENCES_MAX];
    size_t fence_count;
};

struct controller {
    struct controller_config config;
    struct work *works;
    size_t work_count;
    size_t busy; /* works in WORK_SENDING and WORK_LOOKING */
    bool is_leading;
    bool is_draining;
    bool is_fresh;       /* all caches are, since it leads */
    bool is_all_due;     /* every object is to be queued once they are */
    struct arena answer; /* of what the server answered last */
    struct timer resync;
    uint64_t resync_slot;
    /* Series of this controller; NULL without metrics. */
    struct histogram *seconds;
    struct gauge *active;
};

/* ---- controller.c ---- */

void work_set_state(struct work *work, enum work_state state);
/* The work is over: its key goes back to the queue. */
void work_finish(struct work *work);

/* A log whose lines carry the key and the object's correlation id. */
struct work_log {
    struct log_field fields[3];
    struct log log;
};
const struct log *work_log(const struct work *work, struct work_log *ret);

/* ---- controller_write.c ---- */

/* Sends the next action, or goes to the fence after the last one. */
void work_write(struct work *work);
/* Looks at the object again after a pause. */
void work_look(struct work *work);
/* Calls the server; ends the work as failed when it cannot. */
void work_call(struct work *work, const struct kube_call *call, kube_done *done);
/* The object of an answer with its metadata, valid until the next one is read; NULL when it is
 * unreadable. */
const struct json *controller_read(struct controller *controller, const struct kube_result *result,
                                   struct kube_meta *ret);

/* ---- controller_fence.c ---- */

void fence_version(struct work *work, const struct action *action, const struct kube_meta *meta);
void fence_gone(struct work *work, const struct action *action, struct str uid);
/* No more writes: waits until the caches have seen those that were made, then finishes the work. */
void work_fence(struct work *work);
/* Finishes it when the caches have caught up. */
void work_pass_fence(struct work *work);
/* The caches take long: asks the server. */
void work_ask(struct work *work);

#endif
