/*
 * What the plans of all kinds here are made of: actions on children, events about the object, and when it
 * is looked at again. Texts are copied into the plan's arena, because the caches may change while the
 * writes are under way; without memory the manifest has failed.
 */
#ifndef CONTROLLER_PLAN_H
#define CONTROLLER_PLAN_H

#include "control/controller.h"
#include "controller/manifest.h"

/* A copy in the plan's arena. Absent stays absent. */
struct str plan_keep(struct manifest *m, struct str text);

/* Makes `object`, a child of `owner`, in its namespace. */
struct action plan_create(struct manifest *m, const struct kube_resource *resource,
                          const struct stored *owner, struct str name, const struct json *object,
                          const char *purpose);
struct action plan_patch(struct manifest *m, enum action_verb verb,
                         const struct kube_resource *resource, const struct stored *object,
                         const struct json *body, const char *purpose);
/* Of that very object, with its own time to end (`grace_seconds` -1) or another. */
struct action plan_delete(struct manifest *m, const struct kube_resource *resource,
                          const struct stored *object, int64_t grace_seconds, const char *purpose);

/* An event about the object; dropped when the plan has as many as it takes. `reason` is static. */
void plan_event(struct plan *plan, struct manifest *m, const struct kube_resource *resource,
                const struct stored *object, bool is_warning, const char *reason,
                struct str message);

/* The key comes again after that time at the latest; at once when it is over already. */
void plan_again_after(struct plan *plan, int64_t after_ns);

/* The patch holds only for the object as it is in the cache: a change in between is a conflict. */
void plan_hold_version(struct manifest *m, struct json *patch, const struct stored *object);

#endif
