/* Actions and events of a plan. */
#include "controller/flow_parts.h"

#include "controller/plan.h"

#include <stdio.h>

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
            scene->plan->actions[i].resource == resource &&
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
        .purpose = resource == &kube_jobs ? "read Job" : "read ConfigMap",
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

static const struct {
    enum flow_reason reason;
    bool is_warning;
    bool is_news;
} tales[FLOW_TALES] = {
    {FLOW_REASON_STEP_STARTED, false, false},    {FLOW_REASON_STEP_SUCCEEDED, false, false},
    {FLOW_REASON_RETRYING, true, true},          {FLOW_REASON_STEP_FAILED, true, true},
    {FLOW_REASON_APPROVAL_PENDING, false, true}, {FLOW_REASON_STEP_SKIPPED, false, false},
};

bool flow_has_news(const struct flow_book *book)
{
    for (unsigned k = 0; k < FLOW_TALES; k++) {
        if (tales[k].is_news && book->untold[k] > 0)
            return true;
    }
    return false;
}

void flow_tell_step(struct flow_book *book, enum flow_reason reason, uint32_t i)
{
    struct run_step *step = &book->run.steps[i];
    for (unsigned k = 0; k < FLOW_TALES; k++) {
        if (tales[k].reason != reason || step->untold & 1U << k)
            continue;
        step->untold |= (uint8_t)(1U << k);
        book->untold[k]++;
    }
}

/* The names of the steps, as many as fit, and how many more there are. */
static struct str take_names(struct flow_scene *scene, unsigned k)
{
    enum { NAMES_MAX = 256 };
    struct flow_book *book = scene->book;
    char names[NAMES_MAX];
    size_t len = 0;
    uint32_t left = book->untold[k];
    for (uint32_t i = 0; i < book->run.count; i++) {
        struct str name = book->results[i].name;
        if (!(book->run.steps[i].untold & 1U << k))
            continue;
        book->run.steps[i].untold &= (uint8_t) ~(1U << k);
        if (len + name.len + 2 >= NAMES_MAX)
            continue;
        len += (size_t)snprintf(names + len, NAMES_MAX - len, "%s%" PRIstr, len ? ", " : "",
                                STR_ARG(name));
        left--;
    }
    book->untold[k] = 0;
    if (left > 0)
        return manifest_printf(&scene->make, "%" PRIstr " and %u more",
                               STR_ARG(((struct str){names, len})), left);
    return manifest_printf(&scene->make, "%" PRIstr, STR_ARG(((struct str){names, len})));
}

static bool has_untold(const struct flow_book *book)
{
    for (unsigned k = 0; k < FLOW_TALES; k++) {
        if (book->untold[k] > 0)
            return true;
    }
    return false;
}

void flow_tell(struct flow_scene *scene, bool must)
{
    /* Events are dearer to the server than a status, and who wants to know at once looks at that. */
    enum { WRITES_PER_TALE = 10 };
    struct flow_book *book = scene->book;
    if (!book || !has_untold(book))
        return;
    int64_t wait_ns = book->told_ns + WRITES_PER_TALE * flow_progress_ns(scene) - scene->now.now_ns;
    if (!must && book->told_ns > 0 && wait_ns > 0) {
        flow_again_after(scene, wait_ns);
        return;
    }
    book->told_ns = scene->now.now_ns;
    for (unsigned k = 0; k < FLOW_TALES; k++) {
        if (book->untold[k] > 0)
            flow_event(scene, tales[k].is_warning, tales[k].reason, take_names(scene, k));
    }
}
