/* What plans are made of. */
#include "controller/plan.h"

struct str plan_keep(struct manifest *m, struct str text)
{
    struct str copy = str_is_set(text) ? arena_copy(m->arena, text) : text;
    m->failed = m->failed || copy.len != text.len;
    return copy;
}

struct action plan_create(struct manifest *m, const struct kube_resource *resource,
                          const struct stored *owner, struct str name, const struct json *object,
                          const char *purpose)
{
    return (struct action){
        .verb = ACTION_CREATE,
        .resource = resource,
        .namespace = plan_keep(m, owner->namespace),
        .name = plan_keep(m, name),
        .body = manifest_text(m, object),
        .owner_uid = plan_keep(m, owner->uid),
        .purpose = purpose,
    };
}

struct action plan_patch(struct manifest *m, enum action_verb verb,
                         const struct kube_resource *resource, const struct stored *object,
                         const struct json *body, const char *purpose)
{
    return (struct action){
        .verb = verb,
        .resource = resource,
        .namespace = plan_keep(m, object->namespace),
        .name = plan_keep(m, object->name),
        .body = manifest_text(m, body),
        .purpose = purpose,
    };
}

struct action plan_delete(struct manifest *m, const struct kube_resource *resource,
                          const struct stored *object, int64_t grace_seconds, const char *purpose)
{
    return (struct action){
        .verb = ACTION_DELETE,
        .resource = resource,
        .namespace = plan_keep(m, object->namespace),
        .name = plan_keep(m, object->name),
        .uid = plan_keep(m, object->uid),
        .grace_seconds = grace_seconds,
        .purpose = purpose,
    };
}

void plan_event(struct plan *plan, struct manifest *m, const struct kube_resource *resource,
                const struct stored *object, bool is_warning, const char *reason,
                struct str message)
{
    if (plan->event_count == PLAN_EVENTS_MAX)
        return;
    plan->events[plan->event_count++] = (struct kube_event){
        .resource = resource,
        .namespace = plan_keep(m, object->namespace),
        .name = plan_keep(m, object->name),
        .uid = plan_keep(m, object->uid),
        .is_warning = is_warning,
        .reason = reason,
        .message = plan_keep(m, message),
    };
}

void plan_again_after(struct plan *plan, int64_t after_ns)
{
    int64_t *at = &plan->requeue_after_ns;
    if (after_ns < 1)
        after_ns = 1;
    if (*at == 0 || after_ns < *at)
        *at = after_ns;
}

void plan_hold_version(struct manifest *m, struct json *patch, const struct stored *object)
{
    struct json *metadata = json_get(patch, STR("metadata"));
    if (!metadata)
        metadata = manifest_put_object(m, patch, "metadata");
    manifest_put_str(m, metadata, "resourceVersion",
                     manifest_printf(m, "%llu", (unsigned long long)object->version));
}
