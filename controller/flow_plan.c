/* Actions and events of a plan. */
#include "controller/flow_parts.h"

#include "controller/plan.h"

bool flow_plan_is_full(const struct flow_scene *scene)
{
    /* The last place is the status's. */
    return scene->plan->action_count >= PLAN_ACTIONS_MAX - 1;
}

static struct action *new_action(struct flow_scene *scene, size_t max)
{
    struct plan *plan = scene->plan;
    if (plan->action_count >= max) {
        scene->is_full = true;
        flow_again_after(scene, 0);
        return NULL;
    }
    return &plan->actions[plan->action_count++];
}

static struct action *new_child_action(struct flow_scene *scene)
{
    return new_action(scene, PLAN_ACTIONS_MAX - 1);
}

void flow_create(struct flow_scene *scene, const struct kube_resource *resource, struct str name,
                 const struct json *object, const char *purpose)
{
    struct action *action = new_child_action(scene);
    if (action)
        *action = plan_create(&scene->make, resource, &scene->flow->stored, name, object, purpose);
}

void flow_ask(struct flow_scene *scene, const struct kube_resource *resource, struct str name)
{
    for (size_t i = 0; i < scene->plan->action_count; i++) {
        if (scene->plan->actions[i].verb == ACTION_READ &&
            str_eq(scene->plan->actions[i].name, name))
            return;
    }
    struct action *action = new_child_action(scene);
    flow_again_after(scene, 0);
    if (!action)
        return;
    *action = (struct action){
        .verb = ACTION_READ,
        .resource = resource,
        .namespace = plan_keep(&scene->make, scene->flow->stored.namespace),
        .name = plan_keep(&scene->make, name),
        .purpose = "read ConfigMap",
    };
}

void flow_suspend_job(struct flow_scene *scene, const struct flow_job *job, bool is_suspended)
{
    struct manifest *m = &scene->make;
    struct action *action = new_child_action(scene);
    if (!action)
        return;
    struct json *patch = manifest_object(m);
    struct json *metadata = manifest_put_object(m, patch, "metadata");
    manifest_put_str(m, metadata, "uid", plan_keep(m, job->stored.uid));
    manifest_put_bool(m, manifest_put_object(m, patch, "spec"), "suspend", is_suspended);
    *action = plan_patch(m, ACTION_PATCH_MERGE, &kube_jobs, &job->stored, patch,
                         is_suspended ? "suspend Job" : "resume Job");
}

void flow_delete(struct flow_scene *scene, const struct kube_resource *resource,
                 const struct stored *object, const char *purpose)
{
    struct action *action = new_child_action(scene);
    if (action)
        *action = plan_delete(&scene->make, resource, object, -1, purpose);
}

void flow_patch_status(struct flow_scene *scene, struct json *body, const char *purpose)
{
    struct action *action = new_action(scene, PLAN_ACTIONS_MAX);
    if (!action)
        return;
    plan_hold_version(&scene->make, body, &scene->flow->stored);
    *action = plan_patch(&scene->make, ACTION_PATCH_MERGE, &kube_jobflows, &scene->flow->stored,
                         body, purpose);
    action->subresource = STR("status");
}

void flow_again_after(struct flow_scene *scene, int64_t after_ns)
{
    plan_again_after(scene->plan, after_ns);
}

void flow_again_at(struct flow_scene *scene, int64_t wall_ns)
{
    flow_again_after(scene, wall_ns - scene->now.wall_ns);
}

/* ---- Events ---- */

void flow_event(struct flow_scene *scene, bool is_warning, enum flow_reason reason,
                struct str message)
{
    plan_event(scene->plan, &scene->make, &kube_jobflows, &scene->flow->stored, is_warning,
               flow_reason_name(reason), message);
}

static struct flow_tale *find_tale(struct flow_scene *scene, enum flow_reason reason)
{
    for (size_t i = 0; i < scene->tale_count; i++) {
        if (scene->tales[i].reason == reason)
            return &scene->tales[i];
    }
    if (scene->tale_count == FLOW_TALES_MAX)
        return NULL;
    struct flow_tale *tale = &scene->tales[scene->tale_count++];
    *tale = (struct flow_tale){.reason = reason};
    return tale;
}

void flow_tell_step(struct flow_scene *scene, enum flow_reason reason, uint32_t step)
{
    struct flow_tale *tale = find_tale(scene, reason);
    struct str name = scene->book->results[step].name;
    if (!tale)
        return;
    tale->count++;
    if (tale->len + name.len + 2 > sizeof(tale->names))
        return;
    if (tale->len > 0) {
        memcpy(tale->names + tale->len, ", ", 2);
        tale->len += 2;
    }
    memcpy(tale->names + tale->len, name.ptr, name.len);
    tale->len += name.len;
}

static unsigned told(const struct flow_tale *tale)
{
    unsigned count = tale->len > 0;
    for (size_t i = 0; i < tale->len; i++)
        count += tale->names[i] == ',';
    return count;
}

void flow_tell(struct flow_scene *scene)
{
    struct manifest *m = &scene->make;
    for (size_t i = 0; i < scene->tale_count; i++) {
        const struct flow_tale *tale = &scene->tales[i];
        bool is_warning = tale->reason != FLOW_REASON_STEP_STARTED &&
                          tale->reason != FLOW_REASON_STEP_SUCCEEDED &&
                          tale->reason != FLOW_REASON_STEP_SKIPPED &&
                          tale->reason != FLOW_REASON_APPROVED &&
                          tale->reason != FLOW_REASON_APPROVAL_PENDING;
        unsigned more = tale->count - told(tale);
        struct str names = {tale->names, tale->len};
        flow_event(
            scene, is_warning, tale->reason,
            more > 0 ? manifest_printf(m, "%" PRIstr " and %u more", STR_ARG(names), more) : names);
    }
}
