/* Actions and events of a plan. */
#include "controller/performer_parts.h"
#include "controller/plan.h"

#define REST_NS (1 * CLOCK_NS_PER_SEC)

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
    struct action *action = new_action(scene);
    if (action)
        *action =
            plan_create(&scene->make, resource, &scene->performer->stored, name, object, purpose);
}

static void patch(struct scene *scene, enum action_verb verb, const struct kube_resource *resource,
                  const struct stored *object, const struct json *body, const char *purpose)
{
    struct action *action = new_action(scene);
    if (action)
        *action = plan_patch(&scene->make, verb, resource, object, body, purpose);
}

void performer_patch(struct scene *scene, const struct kube_resource *resource,
                     const struct stored *object, struct json *body, const char *purpose)
{
    plan_hold_version(&scene->make, body, object);
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
    if (action)
        *action = plan_delete(&scene->make, resource, object, is_forced ? 0 : -1, purpose);
}

void performer_event(struct scene *scene, bool is_warning, enum performer_reason reason,
                     struct str message)
{
    plan_event(scene->plan, &scene->make, &kube_performers, &scene->performer->stored, is_warning,
               performer_reason_name(reason), message);
}

void performer_rest(struct scene *scene)
{
    scene->plan->rest_ns = REST_NS;
}

void performer_again_after(struct scene *scene, int64_t after_ns)
{
    plan_again_after(scene->plan, after_ns);
}
