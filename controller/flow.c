/* The order of it all: from what is there to what is done next. */
#include "controller/flow_parts.h"

/* ---- Where the flow is ---- */

static bool is_paused(const struct flow_run *run)
{
    uint32_t open = run->phases[STEP_PENDING_APPROVAL];
    return open > 0 && run->phases[STEP_RUNNING] == 0 && run->lists[RUN_WATCHED].count == open &&
           run->lists[RUN_READY].count == 0 && run->lists[RUN_FRESH].count == 0;
}

/* The first step that has failed and may not, for people. */
static struct str failed_step(struct flow_scene *scene)
{
    const struct flow_book *book = scene->book;
    for (uint32_t i = 0; i < book->run.count; i++) {
        const struct run_step *step = &book->run.steps[i];
        struct str message = book->words[i].message;
        if (step->phase == STEP_FAILED && !step->continues)
            return manifest_printf(&scene->make, "step %" PRIstr ": %s%s%" PRIstr,
                                   STR_ARG(book->results[i].name), flow_reason_name(step->reason),
                                   message.len > 0 ? ": " : "", STR_ARG(message));
    }
    return STR("");
}

static struct flow_situation ended(struct flow_scene *scene)
{
    const struct flow_book *book = scene->book;
    if (!book->run.has_failed)
        return (struct flow_situation){FLOW_SUCCEEDED, FLOW_REASON_SUCCEEDED, STR("")};
    if (book->abort != FLOW_REASON_NONE)
        return (struct flow_situation){FLOW_FAILED, book->abort,
                                       book->abort == FLOW_REASON_REPLACED
                                           ? STR("a newer flow of its concurrencyGroup takes its "
                                                 "place")
                                           : STR("it ran longer than activeDeadlineSeconds")};
    if (book->failure != FLOW_REASON_NONE)
        return (struct flow_situation){FLOW_FAILED, book->failure, book->failure_message};
    return (struct flow_situation){FLOW_FAILED, FLOW_REASON_STEP_FAILED, failed_step(scene)};
}

static struct flow_situation situation_of(struct flow_scene *scene)
{
    const struct flow_book *book = scene->book;
    if (flow_run_is_over(&book->run))
        return ended(scene);
    if (scene->flow->is_suspended)
        return (struct flow_situation){FLOW_SUSPENDED, FLOW_REASON_SUSPENDED,
                                       STR("no step starts; set spec.executionPolicy.suspend to "
                                           "false to go on")};
    if (is_paused(&book->run))
        return (struct flow_situation){FLOW_PAUSED, FLOW_REASON_APPROVAL_PENDING,
                                       STR("only steps are left that somebody has to approve")};
    return (struct flow_situation){FLOW_RUNNING, FLOW_REASON_RUNNING, STR("")};
}

static void tell_phase(struct flow_scene *scene, const struct flow_situation *s)
{
    enum flow_phase before = scene->book->written_phase;
    if (s->phase == FLOW_SUCCEEDED)
        flow_event(scene, false, FLOW_REASON_SUCCEEDED, STR("all steps have ended"));
    else if (s->phase == FLOW_FAILED)
        flow_event(scene, true, FLOW_REASON_FAILED,
                   s->message.len > 0 ? s->message : str_from_cstr(flow_reason_name(s->reason)));
    else if (s->phase == FLOW_SUSPENDED && before != FLOW_SUSPENDED)
        flow_event(scene, false, FLOW_REASON_SUSPENDED, STR("no step starts"));
    else if (before == FLOW_SUSPENDED && s->phase != FLOW_SUSPENDED)
        flow_event(scene, false, FLOW_REASON_RESUMED, STR("steps start again"));
}

/* The last of a plan: what it comes to. */
static void conclude(struct flow_scene *scene)
{
    struct flow_situation s = situation_of(scene);
    if (flow_run_is_over(&scene->book->run)) {
        flow_delete_performers(scene);
        if (scene->is_full)
            return;
    }
    size_t before = scene->plan->action_count;
    bool is_new = scene->book->planned_phase != s.phase;
    if (!flow_status_write(scene, &s))
        return;
    flow_tell(scene, is_new || flow_has_news(scene->book));
    if (scene->plan->action_count > before)
        tell_phase(scene, &s);
}

/* ---- Running ---- */

static void stop_before_time(struct flow_scene *scene, enum flow_reason reason)
{
    struct flow_book *book = scene->book;
    book->abort = reason;
    book->run.has_failed = true;
    book->changes++;
    flow_run_stop(&book->run, reason);
}

/* Steps of `finally` are run to their end. */
static void look_at_ends(struct flow_scene *scene)
{
    struct flow_book *book = scene->book;
    int64_t deadline_ns = book->start_ns + scene->flow->deadline_s * CLOCK_NS_PER_SEC;
    if (book->abort != FLOW_REASON_NONE || book->run.is_finally || flow_run_is_over(&book->run))
        return;
    if (flow_gate_is_replaced(scene->live))
        stop_before_time(scene, FLOW_REASON_REPLACED);
    else if (scene->flow->deadline_s > 0 && deadline_ns <= scene->now.wall_ns)
        stop_before_time(scene, FLOW_REASON_DEADLINE_EXCEEDED);
    else if (scene->flow->deadline_s > 0)
        flow_again_at(scene, deadline_ns);
}

static void advance(struct flow_scene *scene)
{
    flow_watch(scene);
    look_at_ends(scene);
    if (scene->book->abort != FLOW_REASON_NONE)
        flow_stop_steps(scene);
    else
        flow_hold_steps(scene);
    if (!scene->flow->is_suspended)
        flow_start_steps(scene);
}

/* It cannot be run as it is. */
static void give_up(struct flow_scene *scene, const struct err *err)
{
    struct flow_situation s = {FLOW_FAILED, FLOW_REASON_SPEC_UNREADABLE,
                               str_from_cstr(err->message)};
    flow_status_write(scene, &s);
    flow_event(scene, true, FLOW_REASON_FAILED, s.message);
}

static void drop_book(struct flow_live *live)
{
    flow_book_free(live->run);
    live->run = NULL;
}

/* The run as it was left, or a new one. False: there is none, for now or for good. */
static bool open_book(struct flow_scene *scene, struct err *err)
{
    if (scene->live->run && !flow_book_fits(scene->live->run, scene->flow))
        drop_book(scene->live);
    if (!scene->live->run)
        scene->live->run = flow_book_load(scene, err);
    scene->book = scene->live->run;
    if (scene->book)
        scene->book->scene = scene;
    return scene->book != NULL;
}

static int run(struct flow_scene *scene, struct err *err)
{
    if (!open_book(scene, err)) {
        if (err->code != 422)
            return -1;
        give_up(scene, err);
        return 0;
    }
    advance(scene);
    conclude(scene);
    return 0;
}

/* ---- Starting ---- */

/* The status comes first: from then on the webhook keeps the steps as they are. */
static int begin(struct flow_scene *scene, struct err *err)
{
    if (!open_book(scene, err)) {
        if (err->code != 422)
            return -1;
        give_up(scene, err);
        return 0;
    }
    scene->book->start_ns = scene->now.wall_ns;
    struct flow_situation s = {FLOW_RUNNING, FLOW_REASON_RUNNING, STR("")};
    flow_status_write(scene, &s);
    flow_event(scene, false, FLOW_REASON_STARTED,
               manifest_printf(&scene->make, "%u steps", scene->flow->count));
    advance(scene);
    conclude(scene);
    return 0;
}

static void report_waiting(struct flow_scene *scene, enum flow_reason reason, struct str message)
{
    struct flow_situation s = {FLOW_PENDING, reason, message};
    flow_status_write(scene, &s);
}

static int wait_or_begin(struct flow_scene *scene, struct err *err)
{
    /* What was made of it last time did not get as far as the server. */
    drop_book(scene->live);
    if (scene->flow->is_suspended)
        report_waiting(scene, FLOW_REASON_SUSPENDED, STR("it starts when it is not suspended"));
    else if (flow_gate_ask(scene->controller->gate, scene->live))
        return begin(scene, err);
    else if (scene->live->state == GATE_BLOCKED)
        report_waiting(scene, FLOW_REASON_CONCURRENCY_FORBIDDEN,
                       STR("another flow of its concurrencyGroup comes first"));
    else
        report_waiting(scene, FLOW_REASON_ACTIVE_FLOWS_LIMIT,
                       STR("as many flows are active as --max-active-flows allows"));
    return 0;
}

/* ---- The end ---- */

static void expire(struct flow_scene *scene)
{
    const struct flow_object *flow = scene->flow;
    int64_t at_ns = flow->end_ns + flow->ttl_s * CLOCK_NS_PER_SEC;
    if (flow->end_ns == 0)
        return;
    if (at_ns > scene->now.wall_ns)
        flow_again_at(scene, at_ns);
    else
        flow_delete(scene, &kube_jobflows, &flow->stored, "delete flow after its time to live");
}

/* ---- Entry ---- */

static struct gate_facts facts_of(const struct flow_object *flow)
{
    return (struct gate_facts){
        .key = {flow->stored.namespace, flow->stored.name},
        .uid = flow->stored.uid,
        .group = flow->group,
        .created_ns = flow->created_ns,
        .concurrency = flow->concurrency,
        .priority = flow->priority,
        .start_ns = flow->start_ns,
        .is_out = flow->is_suspended,
    };
}

static bool is_open(const struct flow_object *flow)
{
    return !flow_has_ended(flow) && !flow->stored.is_deleting;
}

/* False when there is nothing to be done. */
static bool set_scene(struct flow_scene *ret, struct flow_controller *controller,
                      struct queue_key key, struct moment now, struct plan *plan)
{
    const struct flow_object *flow =
        (const struct flow_object *)store_get(controller->flows, key.namespace, key.name);
    if (!flow || flow->stored.is_deleting)
        return false;
    *ret = (struct flow_scene){
        .controller = controller,
        .flow = flow,
        .now = now,
        .plan = plan,
        .make = {.arena = plan->arena},
    };
    ret->owner = (struct flow_owner){
        .name = flow->stored.name,
        .namespace = flow->stored.namespace,
        .uid = flow->stored.uid,
        .correlation_id = flow->correlation_id,
    };
    if (str_is_set(flow->correlation_id)) {
        plan->correlation_id = arena_copy(plan->arena, flow->correlation_id);
        ret->make.failed = !str_is_set(plan->correlation_id);
    }
    return true;
}

/* What was decided and cannot be said is decided anew, from what is there. */
static int end_scene(struct flow_scene *scene, struct err *err)
{
    if (scene->book)
        scene->book->scene = NULL;
    if (!scene->make.failed)
        return 0;
    if (scene->live)
        drop_book(scene->live);
    return err_no_memory(err, "reconciling a JobFlow");
}

int flow_reconcile(void *ctx, struct queue_key key, struct moment now, struct plan *plan,
                   struct err *err)
{
    struct flow_scene scene;
    struct flow_controller *controller = ctx;
    if (!set_scene(&scene, controller, key, now, plan))
        return 0;
    if (flow_has_ended(scene.flow)) {
        expire(&scene);
        return end_scene(&scene, err);
    }
    struct gate_facts facts = facts_of(scene.flow);
    scene.live = flow_gate_see(controller->gate, &facts);
    if (!scene.live)
        return err_no_memory(err, "reconciling a JobFlow");
    int result = scene.flow->start_ns > 0 ? run(&scene, err) : wait_or_begin(&scene, err);
    flow_metrics_show_gate(controller);
    return result < 0 ? -1 : end_scene(&scene, err);
}

/* ---- What the server refuses ---- */

static uint32_t step_of_child(struct flow_scene *scene, struct str name)
{
    const struct flow_run *steps = &scene->book->run;
    for (uint32_t i = flow_run_first(steps, RUN_READY); i != RUN_NONE; i = steps->steps[i].next) {
        if (str_eq(flow_child_of(scene, i), name))
            return i;
    }
    return RUN_NONE;
}

static void refuse_child(struct flow_scene *scene, uint32_t i, const struct action *action,
                         const struct action_failure *failure)
{
    struct flow_book *book = scene->book;
    bool is_final = failure->is_foreign || failure->outcome == KUBE_INVALID;
    enum flow_reason reason = failure->is_foreign ? FLOW_REASON_NAME_TAKEN
                              : is_final          ? FLOW_REASON_JOB_REFUSED
                                                  : FLOW_REASON_JOB_FORBIDDEN;
    flow_keep_words(
        book, &book->words[i].message,
        manifest_printf(&scene->make, "%s %" PRIstr ": %" PRIstr, action->resource->kind,
                        STR_ARG(action->name), STR_ARG(failure->message)));
    book->changes++;
    book->run.steps[i].reason = reason;
    if (!is_final)
        return;
    book->run.steps[i].end_ns = scene->now.wall_ns;
    flow_run_end(&book->run, i, STEP_FAILED, reason);
}

/* Without its resources the flow cannot run. */
static void refuse_resource(struct flow_scene *scene, const struct action *action,
                            const struct action_failure *failure)
{
    struct flow_book *book = scene->book;
    book->failure = FLOW_REASON_RESOURCE_REFUSED;
    flow_keep_words(
        book, &book->failure_message,
        manifest_printf(&scene->make, "%s %" PRIstr ": %" PRIstr, action->resource->kind,
                        STR_ARG(action->name), STR_ARG(failure->message)));
    book->run.has_failed = true;
    book->changes++;
    flow_run_stop(&book->run, FLOW_REASON_FLOW_FAILED);
}

static bool is_lasting(const struct action_failure *failure)
{
    return failure->is_foreign || failure->outcome == KUBE_INVALID;
}

bool flow_refused(void *ctx, struct queue_key key, struct moment now, const struct action *action,
                  const struct action_failure *failure, struct plan *plan)
{
    struct flow_scene scene;
    struct flow_controller *controller = ctx;
    if (!set_scene(&scene, controller, key, now, plan))
        return true;
    scene.live = flow_gate_find(controller->gate, key);
    scene.book = scene.live ? scene.live->run : NULL;
    /* The status could not be written, or the namespace is going. */
    if (!scene.book || action->verb != ACTION_CREATE || scene.flow->start_ns == 0 ||
        !flow_book_fits(scene.book, scene.flow))
        return false;
    scene.book->scene = &scene;
    /* The status of the plan that was dropped was not written, and does not wait again. */
    scene.book->planned_ns = scene.book->written_ns;
    scene.book->behind_ns = 1;
    bool is_child = action->resource == &kube_jobs || action->resource == &kube_performers;
    uint32_t step = is_child ? step_of_child(&scene, action->name) : RUN_NONE;
    if (step != RUN_NONE)
        refuse_child(&scene, step, action, failure);
    else if (!is_child && is_lasting(failure))
        refuse_resource(&scene, action, failure);
    conclude(&scene);
    if (is_lasting(failure))
        flow_again_after(&scene, 0);
    else
        plan->requeue_after_ns = 0; /* after its backoff */
    struct err err;
    (void)end_scene(&scene, &err);
    return false;
}

/* ---- What changes ---- */

/* Our own status has come back: what others change of the object later is told from it. */
static void note(const struct flow_live *live, const struct flow_object *flow)
{
    if (live && live->run)
        (void)flow_book_fits(live->run, flow);
}

void flow_changed(struct flow_controller *controller, const struct stored *before,
                  const struct stored *after)
{
    const struct flow_object *flow = (const struct flow_object *)(after ? after : before);
    struct gate_facts facts = facts_of(flow);
    if (!after || !is_open(flow))
        flow_gate_forget(controller->gate, &facts);
    else
        note(flow_gate_see(controller->gate, &facts), flow); /* without memory: flow_reconcile() */
}

/* The flow of a child, when it has not ended. */
static struct flow_live *owner_of(const struct flow_controller *controller,
                                  const struct stored *child, struct str flow)
{
    struct queue_key key = {child->namespace, flow};
    return str_is_set(flow) ? flow_gate_find(controller->gate, key) : NULL;
}

static void touch(const struct flow_live *live, struct str name)
{
    struct flow_book *book = live->run;
    uint32_t step = book && str_is_set(name) ? flow_book_find(book, name) : RUN_NONE;
    if (step != RUN_NONE)
        flow_run_touch(&book->run, step);
}

static bool is_same_job(const struct stored *before, const struct stored *after)
{
    const struct flow_job *a = (const struct flow_job *)before;
    const struct flow_job *b = (const struct flow_job *)after;
    return a && b && a->state == b->state && a->is_suspended == b->is_suspended &&
           str_eq(before->uid, after->uid);
}

bool flow_job_changed(struct flow_controller *controller, const struct stored *before,
                      const struct stored *after, struct queue_key *ret)
{
    const struct stored *job = after ? after : before;
    const struct flow_live *live = owner_of(controller, job, job->owner_name);
    if (is_same_job(before, after) || !live || !str_eq(live->uid, job->owner_uid))
        return false;
    touch(live, ((const struct flow_job *)job)->step);
    *ret = live->key;
    return true;
}

bool flow_pod_changed(struct flow_controller *controller, const struct stored *before,
                      const struct stored *after, struct queue_key *ret)
{
    const struct flow_pod *a = (const struct flow_pod *)before;
    const struct flow_pod *b = (const struct flow_pod *)after;
    bool has_ended = b && (b->has_failed || b->has_succeeded);
    if (!has_ended || (a && (a->has_failed || a->has_succeeded)))
        return false;
    const struct flow_live *live = owner_of(controller, after, b->flow);
    if (!live)
        return false;
    touch(live, b->step);
    *ret = live->key;
    return true;
}

bool flow_performer_changed(struct flow_controller *controller, const struct stored *before,
                            const struct stored *after, struct queue_key *ret)
{
    const struct stored *performer = after ? after : before;
    const struct flow_live *live = owner_of(controller, performer, performer->owner_name);
    if (!live || !live->run || !str_eq(live->uid, performer->owner_uid))
        return false;
    *ret = live->key;
    return true;
}
