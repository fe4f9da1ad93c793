/*
 * A little cluster for tests of the JobFlow controller: objects as JSON, the caches of the controller fed
 * with them, and a server that does what a plan says. Time is the test's; Jobs do nothing by themselves but
 * what a test lets happen.
 *
 * Everything is in the namespace "team". Misuse ends the test with a message.
 */
#ifndef UNIT_FLOW_WORLD_H
#define UNIT_FLOW_WORLD_H

#include "unit/support.h"

#include "controller/flow.h"

enum { FLOW_OBJECTS_MAX = 4096, FLOW_WOKEN_MAX = 256 };

struct flow_object_of_world {
    const struct kube_resource *resource;
    struct json *json;
};

struct flow_world {
    struct arena arena; /* of the objects, for the whole test */
    struct arena plan_arena;
    const struct mem *mem; /* of caches, runs and plans */
    struct random_seeded random;
    struct store *stores[4];
    struct flow_controller controller;
    struct moment now;
    struct flow_object_of_world objects[FLOW_OBJECTS_MAX];
    size_t count;
    uint64_t version;
    uint64_t uids;
    struct plan plan;
    size_t status_writes;
    struct buf told; /* events of plans that were carried out */
    size_t reconciles;
    bool failed;          /* a reconcile had no memory */
    struct queue_key key; /* of the plan */
    /* Flows that were woken since they were looked at, and those that asked for a later look. */
    struct queue_key woken[FLOW_WOKEN_MAX];
    size_t woken_count;
    struct {
        struct queue_key key;
        int64_t at_ns;
    } timers[FLOW_WOKEN_MAX];
    size_t timer_count;
    /* The next create of this resource is refused with this outcome. */
    const struct kube_resource *refuse;
    enum kube_outcome refuse_outcome;
};

void flow_world_init(struct flow_world *w, const struct mem *mem, int64_t max_active);
void flow_world_done(struct flow_world *w);
/* Time passes; whoever asked for a look in it is woken at its time, and all settles. */
void flow_world_pass(struct flow_world *w, int64_t seconds);
/* The process ends and another one leads: it has the same caches, and no more. */
void flow_world_restart(struct flow_world *w);

/* ---- Objects ---- */

/* A flow with these members of its spec, as JSON without braces in which ' stands for ". A step without
 * template gets one. */
void flow_world_create(struct flow_world *w, const char *name, const char *spec);
struct json *flow_world_get(const struct flow_world *w, const struct kube_resource *resource,
                            struct str name);
size_t flow_world_count(const struct flow_world *w, const struct kube_resource *resource);
/* Merges JSON text, ' for ", into an object, whoever writes it. */
void flow_world_merge(struct flow_world *w, const struct kube_resource *resource, struct str name,
                      const char *patch);
void flow_world_delete(struct flow_world *w, const struct kube_resource *resource, struct str name);
/* The caches lose sight of it, as if they had not come so far; they have it again when it is written. */
void flow_world_hide(struct flow_world *w, const struct kube_resource *resource, struct str name);
void flow_world_add(struct flow_world *w, const struct kube_resource *resource, const char *text);

/* ---- Jobs ---- */

/* The name of the Job of a step's last try, absent when there is none. */
struct str flow_world_job(const struct flow_world *w, const char *flow, const char *step);
void flow_world_complete(struct flow_world *w, const char *flow, const char *step);
void flow_world_fail(struct flow_world *w, const char *flow, const char *step, const char *reason);

/* ---- The controller ---- */

void flow_world_reconcile(struct flow_world *w, const char *flow);
/* Does the first `count` actions of the plan; false when one met a conflict or was refused. */
bool flow_world_apply(struct flow_world *w, size_t count);
/* Reconciles and applies for all flows that are woken, until nobody is. */
void flow_world_settle(struct flow_world *w);

/* "a=Succeeded b=Running(2)": the steps of the status, with their retries. */
const char *flow_world_steps(struct flow_world *w, const char *flow);
/* A text of the status, "" when absent; or anything else as JSON. */
const char *flow_world_status(struct flow_world *w, const char *flow, const char *field);
/* A member of a step's status. */
const char *flow_world_step(struct flow_world *w, const char *flow, const char *step,
                            const char *field);
/* The names of steps that have Jobs, in their order, joined by blanks; one for each Job. */
const char *flow_world_jobs(struct flow_world *w, const char *flow);
const char *flow_world_events(struct flow_world *w);
/* "Started: 2 steps; StepStarted: a, b": the events since it was asked last. */
const char *flow_world_told(struct flow_world *w);
const char *flow_world_actions(struct flow_world *w);

#endif
