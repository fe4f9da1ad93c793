/*
 * A little cluster for tests of the Performer controller: objects as JSON, the caches of the controller
 * fed with them, and a server that does what a plan says. Time is the test's; nothing happens by itself
 * but what a test lets happen with the world_…() functions.
 *
 * Everything here ends the test with a message when it is misused.
 */
#ifndef UNIT_PERFORMER_WORLD_H
#define UNIT_PERFORMER_WORLD_H

#include "unit/support.h"

#include "controller/performer.h"

enum { WORLD_OBJECTS_MAX = 64 };

struct world_object {
    const struct kube_resource *resource;
    struct json *json;
};

struct world {
    struct arena arena; /* of the objects, for the whole test */
    struct arena plan_arena;
    const struct mem *mem; /* of caches and plans */
    struct random_seeded random;
    struct catalog *catalog;
    struct store *stores[5];
    struct performer_controller controller;
    struct moment now;
    struct world_object objects[WORLD_OBJECTS_MAX];
    size_t count;
    uint64_t version;
    uint64_t uids;
    struct plan plan;
    size_t writes;       /* that were done */
    size_t peak_running; /* the most pods that were there and not ending, on nodes that answer */
    /* The next create of this resource is refused with this outcome. */
    const struct kube_resource *refuse;
    enum kube_outcome refuse_outcome;
    const char *refuse_message;
};

void world_init(struct world *world, const struct mem *mem);
void world_done(struct world *world);
void world_advance_ms(struct world *world, int64_t ms);

/* ---- Objects ---- */

/* Creates an object from JSON text, with uid and creation time. */
struct json *world_create(struct world *world, const struct kube_resource *resource,
                          const char *text);
/* A Performer "solo" in "team" with the finalizer; `spec` are members of it that are added or replaced,
 * as JSON without braces. */
void world_performer(struct world *world, const char *spec);
void world_node(struct world *world, const char *name);
struct json *world_get(const struct world *world, const struct kube_resource *resource,
                       struct str name);
/* The only one of its kind, or the n-th; NULL when there are not so many. */
struct json *world_nth(const struct world *world, const struct kube_resource *resource, size_t n);
size_t world_count(const struct world *world, const struct kube_resource *resource);
struct str world_name(const struct json *object);
/* Merges JSON text into an object as its status or spec, whoever writes it. */
void world_merge(struct world *world, const struct kube_resource *resource, struct str name,
                 const char *patch);
/* Deletes as a user would: at once, or by a deletionTimestamp where something holds it. */
void world_delete(struct world *world, const struct kube_resource *resource, struct str name);
/* It is gone, whatever held it. */
void world_remove(struct world *world, const struct kube_resource *resource, struct str name);

/* ---- What others do ---- */

void world_schedule(struct world *world, struct str pod, const char *node);
/* Placed, pulled, started and ready. */
void world_run(struct world *world, struct str pod, const char *node);
/* JSON of a container's state: "{\"waiting\":{…}}". */
void world_container(struct world *world, struct str pod, const char *state);
void world_unready(struct world *world, struct str pod);
/* EndpointSlices as the Services select now. */
void world_endpoints(struct world *world);
/* Ready or not since now. */
void world_set_node(struct world *world, const char *name, bool is_ready);

/* ---- The controller ---- */

/* One reconcile of team/solo: the plan is in world->plan. */
void world_reconcile(struct world *world);
/* Does the first `count` actions of the plan, or all; false when one of them met a conflict or was
 * refused, after which the rest is not done. */
bool world_apply(struct world *world, size_t count);
/* Reconciles and applies until nothing is left to do; each time the endpoints follow. */
void world_settle(struct world *world);
/* The status of the Performer: a text of it, "" when absent. */
const char *world_status(struct world *world, const char *field);
const char *world_condition(struct world *world, const char *type, const char *field);
/* The reasons of the events of the last plan, joined by blanks. */
const char *world_events(struct world *world);
/* The purposes of the actions of the plan, joined by ", ". */
const char *world_actions(struct world *world);

#endif
