/* Resources, conditions, and the Jobs that are made. */
#include "controller/flow_parts.h"

#include "policy/jobflow.h"
#include "policy/when.h"

enum {
    READ_BLOCK = 4 * 1024,
    READ_MAX = 8 * 1024 * 1024,
    READS_MAX = 256,
    NOT_KNOWN = 425, /* the code of what has to be asked for first */
};

/* ---- What the server is asked for ---- */

static struct flow_read *find_read(const struct flow_book *book,
                                   const struct kube_resource *resource, struct str name)
{
    struct flow_read *read = book->reads;
    while (read && (read->resource != resource || !str_eq(read->name, name)))
        read = read->next;
    return read;
}

static struct flow_read *new_read(struct flow_book *book, const struct kube_resource *resource,
                                  struct str name)
{
    struct flow_read *read = mem_alloc(book->mem, sizeof(*read));
    if (!read)
        return NULL;
    *read = (struct flow_read){.next = book->reads, .resource = resource};
    arena_init(&read->arena, book->mem, READ_BLOCK, READ_MAX);
    read->name = arena_copy(&read->arena, name);
    book->reads = read;
    return read;
}

const struct flow_read *flow_read(struct flow_scene *scene, const struct kube_resource *resource,
                                  struct str name)
{
    struct flow_read *read = find_read(scene->book, resource, name);
    if (read && read->is_answered)
        return read;
    read = read ? read : new_read(scene->book, resource, name);
    if (!read || !str_is_set(read->name))
        scene->make.failed = true;
    else
        flow_ask(scene, resource, name);
    return NULL;
}

static int config_map_key(void *ctx, struct str name, struct str key, struct str *ret,
                          struct err *err)
{
    struct flow_scene *scene = ctx;
    const struct flow_read *read = flow_read(scene, &kube_config_maps, name);
    if (!read && scene->make.failed)
        return err_no_memory(err, "reading a ConfigMap");
    if (!read)
        return err_set(err, NOT_KNOWN, "the ConfigMap is being read");
    *ret = json_str(json_get(read->data, key));
    return str_is_set(*ret);
}

/* What was read serves for the steps of one reconcile: the next one wants it as it is then. */
static void forget_reads(struct flow_book *book)
{
    for (struct flow_read **at = &book->reads; *at;) {
        struct flow_read *read = *at;
        if (!read->is_answered) {
            at = &read->next;
            continue;
        }
        *at = read->next;
        arena_done(&read->arena);
        mem_free(book->mem, read, sizeof(*read));
    }
}

static void config_map_answered(struct flow_read *read, const struct json *object)
{
    const struct json *data = json_get(object, STR("data"));
    struct err err;
    struct buf buf;
    buf_init(&buf, arena_mem(&read->arena), READ_MAX);
    if (data)
        json_write(&buf, data);
    read->data = NULL;
    if (data && !buf_failed(&buf))
        read->data = json_read(&read->arena, buf_str(&buf), &json_limits_default, &err);
    read->is_answered = !data || read->data;
}

/* Whether it is the present try of a step of this flow, which the caches will show. */
static bool is_present_try(const struct flow_live *live, const struct json *child, uint32_t *ret)
{
    const struct flow_book *book = live->run;
    struct kube_meta meta;
    kube_meta_read(child, &meta);
    struct str name = kube_map_get(meta.labels, STR(LABEL_FLOW_STEP));
    uint32_t i = *ret = str_is_set(name) ? flow_book_find(book, name) : RUN_NONE;
    return i != RUN_NONE && str_eq(meta.owner_uid, live->uid) &&
           flow_child_matches(meta.labels, live->key.name, name, book->run.steps[i].attempt);
}

static void read_answered(const struct flow_live *live, const struct action *action,
                          const struct json *object)
{
    struct flow_read *read = find_read(live->run, action->resource, action->name);
    uint32_t step;
    if (read && action->resource == &kube_config_maps) {
        config_map_answered(read, object);
    } else if (read) {
        read->is_found = object && is_present_try(live, object, &step);
        read->is_answered = true;
    }
}

/* ---- Values ---- */

/* A step with all that its template can refer to. */
struct prepared {
    const struct flow_step *step;
    struct flow_view view;
};

static void end_here(struct flow_scene *scene, uint32_t i, enum step_phase phase,
                     enum flow_reason reason, struct str message)
{
    struct flow_book *book = scene->book;
    flow_keep_words(book, &book->words[i].message, message);
    book->run.steps[i].end_ns = scene->now.wall_ns;
    flow_run_end(&book->run, i, phase, reason);
}

/* A value that cannot be had: 422 ends the step, anything else is for later. */
static void report(struct flow_scene *scene, uint32_t i, const struct err *err)
{
    const struct run_step *step = &scene->book->run.steps[i];
    if (err->code == 422 && step->is_followed && !step->continues)
        flow_end_unseen(scene, i);
    else if (err->code == 422)
        end_here(scene, i, STEP_FAILED, FLOW_REASON_VALUE_INVALID, str_from_cstr(err->message));
    else if (err->code != NOT_KNOWN)
        scene->make.failed = true;
}

static bool prepare(struct flow_scene *scene, uint32_t i, struct prepared *ret)
{
    struct flow_sources sources = {
        .ctx = scene, .config_map_key = config_map_key, .job = flow_job_object};
    struct err err;
    const struct flow_step *step = flow_step_of(scene, i);
    if (!step)
        return false;
    const struct json *inputs = flow_inputs_resolve(&scene->make, &scene->book->values,
                                                    step->inputs.parameters, &sources, &err);
    if (!inputs) {
        report(scene, i, &err);
        return false;
    }
    *ret = (struct prepared){step, {&scene->book->values, inputs}};
    return true;
}

/* ---- Conditions and decisions ---- */

static bool holds(struct flow_scene *scene, uint32_t i, const struct prepared *prepared, bool *ret)
{
    struct scope scope = flow_view_scope(&prepared->view);
    struct scope_values values = flow_view_values(&prepared->view);
    struct err err;
    const struct when *when = when_parse(scene->plan->arena, prepared->step->when, &scope, &err);
    if (!when) {
        report(scene, i, &err);
        return false;
    }
    *ret = when_eval(when, &values);
    return true;
}

const struct json *flow_decisions(struct flow_scene *scene)
{
    struct err err;
    if (!str_is_set(scene->flow->decisions))
        return NULL;
    struct str text = arena_copy(scene->plan->arena, scene->flow->decisions);
    return str_is_set(text) ? json_read(scene->plan->arena, text, &json_limits_default, &err)
                            : NULL;
}

static struct str annotation(struct flow_scene *scene, const struct json *decisions,
                             const char *prefix, struct str step)
{
    return json_str(
        json_get(decisions, manifest_printf(&scene->make, "%s%" PRIstr, prefix, STR_ARG(step))));
}

void flow_decide(struct flow_scene *scene, uint32_t i, const struct json *decisions)
{
    struct flow_book *book = scene->book;
    struct str name = book->results[i].name;
    struct str decision = annotation(scene, decisions, ANNOTATION_APPROVE, name);
    struct str by = annotation(scene, decisions, ANNOTATION_APPROVED_BY, name);
    bool is_approved = str_eq(decision, STR("true"));
    if (!is_approved && !str_eq(decision, STR("false")))
        return;
    flow_keep_words(book, &book->words[i].approved_by, by);
    end_here(scene, i, is_approved ? STEP_SUCCEEDED : STEP_FAILED,
             is_approved ? FLOW_REASON_APPROVED : FLOW_REASON_REJECTED, (struct str){NULL, 0});
    flow_event(scene, false, is_approved ? FLOW_REASON_APPROVED : FLOW_REASON_REJECTED,
               manifest_printf(&scene->make, "step %" PRIstr " by %" PRIstr, STR_ARG(name),
                               STR_ARG(by.len > 0 ? by : STR("somebody"))));
}

static void await_decision(struct flow_scene *scene, uint32_t i, const struct flow_step *step)
{
    struct flow_book *book = scene->book;
    struct run_step *to = &book->run.steps[i];
    to->start_ns = scene->now.wall_ns;
    to->due_ns = 0;
    if (to->timeout_s > 0) {
        to->due_ns = to->start_ns + to->timeout_s * CLOCK_NS_PER_SEC;
        flow_again_at(scene, to->due_ns);
    }
    flow_keep_words(book, &book->words[i].message, step->message);
    book->changes++;
    flow_run_put(&book->run, i, RUN_WATCHED, STEP_PENDING_APPROVAL);
    flow_tell_step(book, FLOW_REASON_APPROVAL_PENDING, i);
    const struct json *decisions = flow_decisions(scene);
    if (decisions)
        flow_decide(scene, i, decisions);
}

/* A step whose dependencies have ended: it is skipped, waits for a decision, or is READY. */
static void consider(struct flow_scene *scene, uint32_t i)
{
    const struct run_step *step = &scene->book->run.steps[i];
    struct prepared prepared = {.step = NULL};
    bool is_wanted = true;
    if (step->has_when &&
        (!prepare(scene, i, &prepared) || !holds(scene, i, &prepared, &is_wanted)))
        return;
    if (!is_wanted) {
        end_here(scene, i, STEP_SKIPPED, FLOW_REASON_CONDITION_FALSE, (struct str){NULL, 0});
    } else if (step->type == STEP_MANUAL) {
        const struct flow_step *spec = flow_step_of(scene, i);
        if (spec)
            await_decision(scene, i, spec);
    } else {
        flow_run_put(&scene->book->run, i, RUN_READY, STEP_PENDING);
    }
}

/* ---- Jobs and Performers ---- */

/* Whether the pods have to be watched: for their messages, or their exit codes. */
static bool needs_pods(const struct flow_book *book, const struct flow_step *step)
{
    const struct json *policy = book->object->spec.policy.pod_failure_policy;
    return flow_output_needs_message(step->outputs.parameters) ||
           (policy && !flow_job_carries_policy(step, policy));
}

/* What the caches have to keep of it. */
static void label_results(struct flow_scene *scene, uint32_t i, const struct flow_step *step,
                          struct json *job)
{
    struct manifest *m = &scene->make;
    if (scene->book->run.steps[i].is_read)
        manifest_put_str(m, json_path(job, "metadata", "labels", NULL), LABEL_FLOW_RESULT,
                         STR(FLOW_RESULT_JOB));
    if (needs_pods(scene->book, step))
        manifest_put_str(m, json_path(job, "spec", "template", "metadata", "labels", NULL),
                         LABEL_FLOW_RESULT, STR(FLOW_RESULT_POD));
}

/* It is not run again. Another process has had its Job, which the caches may still show. */
static void look_for_its_end(struct flow_scene *scene, uint32_t i)
{
    struct flow_run *run = &scene->book->run;
    bool is_performer = run->steps[i].type == STEP_PERFORMER;
    flow_run_put(run, i, is_performer ? RUN_WATCHED : RUN_RUNNING, STEP_RUNNING);
    flow_run_touch(run, i);
    flow_again_after(scene, 0);
}

static void make_child(struct flow_scene *scene, uint32_t i)
{
    const struct flow_book *book = scene->book;
    const struct run_step *step = &book->run.steps[i];
    bool is_performer = step->type == STEP_PERFORMER;
    struct prepared prepared;
    struct err err;
    if (!prepare(scene, i, &prepared))
        return;
    if (step->is_followed) {
        look_for_its_end(scene, i);
        return;
    }
    struct flow_try try = {
        .flow = scene->owner,
        .step = prepared.step,
        .attempt = step->attempt,
        .failure_policy = book->object->spec.policy.pod_failure_policy,
        .view = &prepared.view,
        .is_marked = scene->controller->scheduler == PERFORMER_SCHEDULER_MARKED,
    };
    if (scene->controller->scheduler == PERFORMER_SCHEDULER_OWN)
        try.scheduler_name = STR(SCHEDULER_NAME);
    struct json *child = is_performer ? flow_performer_make(&scene->make, &try, &err)
                                      : flow_job_make(&scene->make, &try, &err);
    if (!child) {
        report(scene, i, &err);
        return;
    }
    if (!is_performer)
        label_results(scene, i, prepared.step, child);
    flow_create(scene, is_performer ? &kube_performers : &kube_jobs, flow_child_of(scene, i), child,
                is_performer ? "create Performer" : "create Job");
}

/* ---- All of it ---- */

static void make_resources(struct flow_scene *scene)
{
    struct flow_book *book = scene->book;
    struct flow_resource resource;
    for (size_t i = 0; i < book->resource_count && !flow_plan_is_full(scene); i++) {
        if (book->resources[i].is_made ||
            !flow_resource_at(&book->object->spec.resources, i, &resource))
            continue;
        flow_create(scene, resource.resource, resource.name,
                    flow_resource_make(&scene->make, &scene->owner, &resource),
                    "create resource of flow");
    }
    flow_again_after(scene, 0);
}

static bool has_resources(const struct flow_book *book)
{
    for (size_t i = 0; i < book->resource_count; i++) {
        if (!book->resources[i].is_made)
            return false;
    }
    return true;
}

/* The one behind `i`, of which the list may have been left meanwhile; `before` was ahead of it. */
static uint32_t step_behind(const struct flow_run *run, enum run_list list, uint32_t i,
                            uint32_t before)
{
    if (run->steps[i].list == list)
        return run->steps[i].next;
    if (before != RUN_NONE && run->steps[before].list == list)
        return run->steps[before].next;
    return flow_run_first(run, list);
}

static void consider_fresh(struct flow_scene *scene)
{
    struct flow_run *run = &scene->book->run;
    for (uint32_t i = flow_run_first(run, RUN_FRESH); i != RUN_NONE;) {
        uint32_t before = run->steps[i].prev;
        consider(scene, i);
        if (scene->make.failed)
            return;
        i = step_behind(run, RUN_FRESH, i, before);
    }
}

/* As many as there is room for. */
static void make_ready(struct flow_scene *scene)
{
    struct flow_run *run = &scene->book->run;
    int64_t room = INT64_MAX;
    if (scene->flow->parallelism > 0)
        room = scene->flow->parallelism - run->phases[STEP_RUNNING];
    for (uint32_t i = flow_run_first(run, RUN_READY); i != RUN_NONE && room > 0;) {
        uint32_t before = run->steps[i].prev;
        if (flow_plan_is_full(scene)) {
            flow_again_after(scene, 0);
            return;
        }
        make_child(scene, i);
        if (scene->make.failed)
            return;
        room -= run->steps[i].list == RUN_READY;
        i = step_behind(run, RUN_READY, i, before);
    }
}

/* The steps of `finally` begin when the status tells how the others have ended: why they were stopped (another flow
 * took the place of this one, a ConfigMap was not there) may not be seen any more by a process that comes after a
 * crash, and they would begin then. */
static void make_children(struct flow_scene *scene)
{
    struct flow_run *run = &scene->book->run;
    size_t before = scene->plan->action_count;
    bool was_stopped = run->is_stopped;
    if (run->is_finally && !scene->book->is_finally_told)
        return;
    make_ready(scene);
    /* One that cannot be made has ended the flow: what comes before it in the plan is not made, either. */
    if (run->is_stopped && !was_stopped)
        scene->plan->action_count = before;
}

void flow_start_steps(struct flow_scene *scene)
{
    struct flow_book *book = scene->book;
    if (!has_resources(book) && !book->run.is_stopped) {
        make_resources(scene);
        return;
    }
    consider_fresh(scene);
    make_children(scene);
    /* A step that could not be made may have let others go on. */
    if (flow_run_first(&book->run, RUN_FRESH) != RUN_NONE && scene->plan->action_count == 0)
        consider_fresh(scene);
    forget_reads(book);
}

/* ---- What the server said ---- */

static void resource_answered(struct flow_book *book, const struct action *action,
                              const struct json *object)
{
    struct flow_resource resource;
    for (size_t i = 0; flow_resource_at(&book->object->spec.resources, i, &resource); i++) {
        if (resource.resource != action->resource || !str_eq(resource.name, action->name))
            continue;
        book->resources[i].is_made = true;
        book->resources[i].uid =
            arena_copy(&book->arena, kube_text_at(object, "metadata", "uid", NULL));
        book->changes++;
    }
}

/* Whatever else the plan meets: this step has begun. */
static void child_answered(struct flow_live *live, const struct json *object)
{
    struct flow_book *book = live->run;
    uint32_t i;
    if (!is_present_try(live, object, &i))
        return;
    book->run.steps[i].is_made = true;
    flow_run_touch(&book->run, i);
}

static void status_answered(const struct flow_controller *controller, struct queue_key key,
                            struct flow_book *book, const struct json *object)
{
    struct str version = kube_text_at(object, "metadata", "resourceVersion", NULL);
    const struct stored *seen = store_get(controller->flows, key.namespace, key.name);
    book->written = book->planned;
    book->written_phase = book->planned_phase;
    book->written_ns = book->planned_ns;
    book->is_finally_told = book->is_finally_planned;
    book->own_version = kube_version_number(version);
    /* The cache may have been faster than the answer. */
    if (seen)
        (void)flow_book_fits(book, (const struct flow_object *)seen);
}

void flow_answered(void *ctx, struct queue_key key, const struct action *action,
                   const struct json *object)
{
    struct flow_controller *controller = ctx;
    struct flow_live *live = flow_gate_find(controller->gate, key);
    struct flow_book *book = live ? live->run : NULL;
    if (!book)
        return;
    if (action->verb == ACTION_READ)
        read_answered(live, action, object);
    else if (action->verb == ACTION_CREATE &&
             (action->resource == &kube_jobs || action->resource == &kube_performers))
        child_answered(live, object);
    else if (action->verb == ACTION_CREATE)
        resource_answered(book, action, object);
    else if (action->resource == &kube_jobflows && str_eq(action->subresource, STR("status")))
        status_answered(controller, key, book, object);
}
