/* Actions and events of a plan. */
#include "controller/performer_parts.h"

#define REST_NS (1 * CLOCK_NS_PER_SEC)

/* The caches may change while the writes are under way. */
static struct str keep(struct scene *scene, struct str text)
{
    struct str copy = str_is_set(text) ? arena_copy(scene->make.arena, text) : text;
    scene->make.failed = scene->make.failed || copy.len != text.len;
    return copy;
}

static struct action *new_action(struct scene *scene)
{
    struct plan *plan = scene->plan;
    if (plan->action_count == PLAN_ACTIONS_MAX) {
        scene->is_full = true;
        performer_again_after(scene, CLOCK_NS_PER_SEC);
        return NULL;
    }
    return &plan->actions[plan->action_count++];
}

void performer_create(struct scene *scene, const struct kube_resource *resource, struct str name,
                      const struct json *object, const char *purpose)
{
    struct str body = manifest_text(&scene->make, object);
    struct action *action = new_action(scene);
    if (!action)
        return;
    *action = (struct action){
        .verb = ACTION_CREATE,
        .resource = resource,
        .namespace = keep(scene, scene->performer->stored.namespace),
        .name = keep(scene, name),
        .body = body,
        .owner_uid = keep(scene, scene->performer->stored.uid),
        .purpose = purpose,
    };
}

static void patch(struct scene *scene, enum action_verb verb, const struct kube_resource *resource,
                  const struct stored *object, const struct json *body, const char *purpose)
{
    struct str text = manifest_text(&scene->make, body);
    struct action *action = new_action(scene);
    if (!action)
        return;
    *action = (struct action){
        .verb = verb,
        .resource = resource,
        .namespace = keep(scene, object->namespace),
        .name = keep(scene, object->name),
        .body = text,
        .purpose = purpose,
    };
}

void performer_patch(struct scene *scene, const struct kube_resource *resource,
                     const struct stored *object, struct json *body, const char *purpose)
{
    struct manifest *m = &scene->make;
    struct json *metadata = json_get(body, STR("metadata"));
    if (!metadata)
        metadata = manifest_put_object(m, body, "metadata");
    manifest_put_str(m, metadata, "resourceVersion",
                     manifest_printf(m, "%llu", (unsigned long long)object->version));
    patch(scene, ACTION_PATCH_MERGE, resource, object, body, purpose);
}

void performer_patch_json(struct scene *scene, const struct kube_resource *resource,
                          const struct stored *object, const struct json *body, const char *purpose)
{
    patch(scene, ACTION_PATCH_JSON, resource, object, body, purpose);
}

void performer_patch_status(struct scene *scene, struct json *body)
{
    size_t count = scene->plan->action_count;
    performer_patch(scene, &kube_performers, &scene->performer->stored, body, "write status");
    if (scene->plan->action_count > count)
        scene->plan->actions[count].subresource = STR("status");
}

void performer_delete(struct scene *scene, const struct kube_resource *resource,
                      const struct stored *object, bool is_forced, const char *purpose)
{
    struct action *action = new_action(scene);
    if (!action)
        return;
    *action = (struct action){
        .verb = ACTION_DELETE,
        .resource = resource,
        .namespace = keep(scene, object->namespace),
        .name = keep(scene, object->name),
        .uid = keep(scene, object->uid),
        .grace_seconds = is_forced ? 0 : -1,
        .purpose = purpose,
    };
}

void performer_event(struct scene *scene, bool is_warning, enum performer_reason reason,
                     struct str message)
{
    struct plan *plan = scene->plan;
    const struct stored *performer = &scene->performer->stored;
    if (plan->event_count == PLAN_EVENTS_MAX)
        return;
    plan->events[plan->event_count++] = (struct kube_event){
        .resource = &kube_performers,
        .namespace = keep(scene, performer->namespace),
        .name = keep(scene, performer->name),
        .uid = keep(scene, performer->uid),
        .is_warning = is_warning,
        .reason = performer_reason_name(reason),
        .message = keep(scene, message),
    };
}

void performer_rest(struct scene *scene)
{
    scene->plan->rest_ns = REST_NS;
}

void performer_again_after(struct scene *scene, int64_t after_ns)
{
    int64_t *at = &scene->plan->requeue_after_ns;
    if (after_ns < 1)
        after_ns = 1;
    if (*at == 0 || after_ns < *at)
        *at = after_ns;
}
