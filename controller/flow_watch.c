/* What has become of the steps that have begun. */
#include "controller/flow_parts.h"

/* The cache of pods may be behind that of Jobs; a pod that was deleted does not come at all. */
#define MESSAGE_WAIT_NS (30 * CLOCK_NS_PER_SEC)
/* When a cache that is behind the server is looked at again, if nothing comes before. */
#define LATE_CACHE_NS   (10 * CLOCK_NS_PER_SEC)
/* How long another process that leads, too, may still suspend Jobs with a flow that has gone on meanwhile. */
#define OTHER_LEADER_NS (60 * CLOCK_NS_PER_SEC)

/* ---- Children ---- */

struct str flow_child_of(struct flow_scene *scene, uint32_t i)
{
    const struct flow_book *book = scene->book;
    const struct run_step *step = &book->run.steps[i];
    struct str name = flow_child_name(scene->plan->arena, &scene->owner, book->results[i].name,
                                      step->name_max, step->attempt);
    scene->make.failed = scene->make.failed || !str_is_set(name);
    return name;
}

static bool is_ours(const struct flow_scene *scene, const struct stored *child)
{
    return child && str_eq(child->owner_uid, scene->flow->stored.uid);
}

const struct flow_job *flow_job_of(struct flow_scene *scene, uint32_t i)
{
    const struct stored *stored =
        store_get(scene->controller->jobs, scene->flow->stored.namespace, flow_child_of(scene, i));
    const struct flow_job *job = (const struct flow_job *)stored;
    bool fits = is_ours(scene, stored) && str_eq(job->step, scene->book->results[i].name) &&
                job->attempt == scene->book->run.steps[i].attempt;
    return fits ? job : NULL;
}

const struct stored *flow_performer_of(struct flow_scene *scene, uint32_t i)
{
    const struct stored *stored = store_get(scene->controller->performers,
                                            scene->flow->stored.namespace, flow_child_of(scene, i));
    return is_ours(scene, stored) ? stored : NULL;
}

static const struct json *read_text(struct flow_scene *scene, struct str text)
{
    struct err err;
    struct str copy = arena_copy(scene->plan->arena, text);
    const struct json *json =
        str_is_set(copy) ? json_read(scene->plan->arena, copy, &json_limits_default, &err) : NULL;
    scene->make.failed = scene->make.failed || !json;
    return json;
}

const struct json *flow_job_object(void *ctx, size_t step)
{
    struct flow_scene *scene = ctx;
    const struct flow_job *job = flow_job_of(scene, (uint32_t)step);
    return job && str_is_set(job->text) ? read_text(scene, job->text) : NULL;
}

/* The last pod of a Job that has ended as the Job has, or NULL. */
static const struct flow_pod *last_pod(const struct flow_scene *scene, const struct flow_job *job)
{
    const struct flow_pod *last = NULL;
    const struct stored *stored = store_first_owned(scene->controller->pods, job->stored.uid);
    for (; stored; stored = store_next_owned(stored)) {
        const struct flow_pod *pod = (const struct flow_pod *)stored;
        bool fits = job->state == FLOW_JOB_COMPLETE ? pod->has_succeeded : !pod->has_succeeded;
        if (fits && (!last || pod->created_ns > last->created_ns))
            last = pod;
    }
    return last;
}

/* ---- Ends of attempts ---- */

static void say(struct flow_scene *scene, uint32_t i, struct str message)
{
    flow_keep_words(scene->book, &scene->book->words[i].message, message);
    scene->book->changes++;
}

static void end_step(struct flow_scene *scene, uint32_t i, enum step_phase phase,
                     enum flow_reason reason, int64_t at_ns)
{
    scene->book->run.steps[i].end_ns = at_ns > 0 ? at_ns : scene->now.wall_ns;
    flow_run_end(&scene->book->run, i, phase, reason);
}

struct failure {
    enum flow_reason reason;
    struct str message;
    int64_t at_ns;
    bool is_final;
    bool is_ignored; /* the next try is no retry */
};

static bool may_retry(const struct flow_scene *scene, const struct run_step *step,
                      const struct flow_step *spec, const struct failure *failure)
{
    const struct flow_book *book = scene->book;
    /* However the others have ended, steps of `finally` have their tries. */
    bool is_stopped = book->run.is_stopped && !book->run.is_finally;
    if (failure->is_final || is_stopped)
        return false;
    if (failure->is_ignored)
        return true;
    return (int64_t)step->attempt - step->ignored < flow_retry_limit(spec->retry_policy) &&
           book->retries < scene->flow->backoff_limit;
}

/* A retry after a backoff, or the end of the step. */
static void fail_attempt(struct flow_scene *scene, uint32_t i, const struct failure *failure)
{
    struct flow_book *book = scene->book;
    struct run_step *step = &book->run.steps[i];
    const struct flow_step *spec = flow_step_of(scene, i);
    if (!spec)
        return;
    say(scene, i, failure->message);
    if (!may_retry(scene, step, spec, failure)) {
        end_step(scene, i, STEP_FAILED, failure->reason, failure->at_ns);
        return;
    }
    int64_t wait_ns = flow_backoff_ns(spec->retry_policy, (int64_t)step->attempt + 1);
    int64_t at_ns = failure->at_ns < scene->now.wall_ns ? failure->at_ns : scene->now.wall_ns;
    step->reason = failure->reason;
    step->is_retrying = true;
    step->due_ns = at_ns + wait_ns;
    step->is_free = failure->is_ignored;
    step->ignored += failure->is_ignored;
    book->retries += !failure->is_ignored;
    flow_run_put(&book->run, i, RUN_WATCHED, STEP_PENDING);
    flow_tell_step(book, FLOW_REASON_RETRYING, i);
    if (scene->controller->metrics)
        counter_add(scene->controller->metrics->retries, 1);
}

/* ---- Jobs ---- */

/* The exit codes of the last pod, when the Job did not judge them itself. */
static enum flow_failure judge(struct flow_scene *scene, uint32_t i, const struct flow_job *job)
{
    const struct json *policy = scene->book->object->spec.policy.pod_failure_policy;
    const struct flow_step *spec = policy ? flow_step_of(scene, i) : NULL;
    const struct flow_pod *pod = spec ? last_pod(scene, job) : NULL;
    if (!pod || !str_is_set(pod->text) || flow_job_carries_policy(spec, policy))
        return FLOW_FAILURE_COUNTS;
    const struct json *object = read_text(scene, pod->text);
    return object ? flow_failure_judge(policy, object) : FLOW_FAILURE_COUNTS;
}

static void job_failed(struct flow_scene *scene, uint32_t i, const struct flow_job *job)
{
    struct failure failure = {
        .reason = FLOW_REASON_JOB_FAILED,
        .message = job->message.len > 0 ? job->message : job->reason,
        .at_ns = job->end_ns,
    };
    enum flow_failure verdict = judge(scene, i, job);
    if (str_eq(job->reason, STR("DeadlineExceeded"))) {
        failure.reason = FLOW_REASON_TIMEOUT;
    } else if (str_eq(job->reason, STR("PodFailurePolicy")) || verdict == FLOW_FAILURE_FINAL) {
        failure.reason = FLOW_REASON_POD_FAILURE_POLICY;
        failure.is_final = true;
    }
    failure.is_ignored = verdict == FLOW_FAILURE_IGNORED;
    fail_attempt(scene, i, &failure);
}

/* What its container has written, or absent. False: it may still come. */
static bool find_message(struct flow_scene *scene, uint32_t i, const struct flow_job *job,
                         struct str *ret)
{
    const struct flow_pod *pod = last_pod(scene, job);
    int64_t until_ns = job->end_ns + MESSAGE_WAIT_NS;
    const struct json *object = pod && pod->text.len > 0 ? read_text(scene, pod->text) : NULL;
    *ret = (struct str){NULL, 0};
    if (object) {
        *ret = flow_output_message(object);
        return true;
    }
    struct run_step *step = &scene->book->run.steps[i];
    if (until_ns - scene->now.wall_ns <= 0 || until_ns - scene->now.wall_ns > MESSAGE_WAIT_NS)
        return true;
    step->due_ns = until_ns;
    flow_run_put(&scene->book->run, i, RUN_WATCHED, STEP_RUNNING);
    return false;
}

static size_t size_of(const struct json *outputs)
{
    size_t size = 0;
    JSON_EACH (output, outputs) {
        size += json_key(output).len + json_str(output).len;
    }
    return size;
}

/* True when the step has all that it gives; false when it has failed for that, or waits. */
static bool take_outputs(struct flow_scene *scene, uint32_t i, const struct flow_job *job)
{
    struct flow_book *book = scene->book;
    const struct flow_step *spec = flow_step_of(scene, i);
    if (!spec)
        return false;
    const struct json *parameters = spec->outputs.parameters;
    if (!json_first(parameters))
        return true;
    struct flow_sources sources = {.ctx = scene, .job = flow_job_object};
    struct flow_output_source source = {
        .job = str_is_set(job->text) ? read_text(scene, job->text) : NULL,
        .values = &book->values,
        .sources = &sources,
    };
    if (flow_output_needs_message(parameters) &&
        !find_message(scene, i, job, &source.termination_message))
        return false;
    struct err err;
    const struct json *outputs = flow_output_read(&scene->make, parameters, &source, &err);
    size_t size = size_of(outputs);
    if (outputs && book->output_bytes + size > FLOW_ALL_OUTPUTS_MAX) {
        err_set(&err, 422,
                "the outputs of all steps together are more than %d bytes; write large values to a "
                "volume",
                FLOW_ALL_OUTPUTS_MAX);
        outputs = NULL;
    }
    if (!outputs) {
        if (err.code != 422)
            return false;
        struct failure failure = {FLOW_REASON_OUTPUT_INVALID, str_from_cstr(err.message),
                                  job->end_ns, true, false};
        fail_attempt(scene, i, &failure);
        return false;
    }
    book->output_bytes += size;
    book->results[i].outputs = flow_keep_json(book, outputs);
    /* Without them the steps behind would take another way: the flow is read anew. */
    scene->make.failed = scene->make.failed || !book->results[i].outputs;
    return !scene->make.failed;
}

static void job_done(struct flow_scene *scene, uint32_t i, const struct flow_job *job)
{
    if (!take_outputs(scene, i, job))
        return;
    say(scene, i, (struct str){NULL, 0});
    end_step(scene, i, STEP_SUCCEEDED, FLOW_REASON_NONE, job->end_ns);
}

static bool is_cancelled(const struct flow_scene *scene, uint32_t i)
{
    return scene->book->abort != FLOW_REASON_NONE && i < scene->book->run.main_count;
}

static struct str why(enum flow_reason abort)
{
    return abort == FLOW_REASON_REPLACED
               ? STR("a newer flow takes the place of this one; the Job was suspended")
               : STR("the flow ran longer than activeDeadlineSeconds; the Job was suspended");
}

void flow_end_unseen(struct flow_scene *scene, uint32_t i)
{
    const struct run_step *step = &scene->book->run.steps[i];
    /* Behind one that may not fail nothing would have begun if it had. */
    enum step_phase phase = step->continues           ? STEP_FAILED
                            : step->list == RUN_FRESH ? STEP_SKIPPED
                                                      : STEP_SUCCEEDED;
    say(scene, i,
        STR("nothing is left that tells how it ended; a step that depends on it has begun"));
    end_step(scene, i, phase, FLOW_REASON_RESULT_LOST, scene->now.wall_ns);
}

static void job_gone(struct flow_scene *scene, uint32_t i)
{
    if (scene->book->run.steps[i].is_followed) {
        flow_end_unseen(scene, i);
        return;
    }
    struct failure failure = {FLOW_REASON_JOB_LOST, STR("the Job was deleted before it had ended"),
                              scene->now.wall_ns, false, false};
    fail_attempt(scene, i, &failure);
}

/* The caches do not have it. When they have had it, it is gone; else they may be behind the status, which another
 * process has written: the server knows. */
static void job_missing(struct flow_scene *scene, uint32_t i)
{
    struct flow_run *run = &scene->book->run;
    const struct flow_read *read = NULL;
    if (!run->steps[i].is_seen)
        read = flow_read(scene, &kube_jobs, flow_child_of(scene, i));
    if (run->steps[i].is_seen || (read && !read->is_found)) {
        job_gone(scene, i);
        return;
    }
    run->steps[i].due_ns = scene->now.wall_ns + LATE_CACHE_NS;
    flow_run_put(run, i, RUN_WATCHED, STEP_RUNNING);
    flow_again_at(scene, run->steps[i].due_ns);
}

static void look_at_running(struct flow_scene *scene, uint32_t i, const struct flow_job *job)
{
    struct run_step *step = &scene->book->run.steps[i];
    step->is_seen = step->is_seen || job;
    if (job && job->is_suspended && scene->now.now_ns - scene->book->held_ns < OTHER_LEADER_NS)
        scene->book->may_hold = true;
    if (!job) {
        job_missing(scene, i);
    } else if (job->state == FLOW_JOB_COMPLETE) {
        job_done(scene, i, job);
    } else if (job->state == FLOW_JOB_FAILED) {
        job_failed(scene, i, job);
    } else if (is_cancelled(scene, i) && job->is_suspended) {
        say(scene, i, why(scene->book->abort));
        end_step(scene, i, STEP_FAILED, scene->book->abort, scene->now.wall_ns);
    } else if (step->list == RUN_WATCHED) {
        step->due_ns = 0;
        flow_run_put(&scene->book->run, i, RUN_RUNNING, STEP_RUNNING);
    }
}

static void begin_step(struct flow_scene *scene, uint32_t i, int64_t at_ns, enum run_list list)
{
    struct run_step *step = &scene->book->run.steps[i];
    if (step->start_ns == 0)
        step->start_ns = at_ns;
    step->reason = FLOW_REASON_NONE;
    step->due_ns = 0;
    step->is_seen = true;
    step->is_made = false;
    say(scene, i, (struct str){NULL, 0});
    flow_run_put(&scene->book->run, i, list, STEP_RUNNING);
    flow_tell_step(scene->book, FLOW_REASON_STEP_STARTED, i);
}

/* Ended before its time, with its Job suspended. */
static bool is_stopped(const struct run_step *step)
{
    return step->phase == STEP_FAILED &&
           (step->reason == FLOW_REASON_DEADLINE_EXCEEDED || step->reason == FLOW_REASON_REPLACED);
}

/* A create of before whose answer came late, or a Job that another process has let go on: its step has ended
 * without it. */
static void stop_stray(struct flow_scene *scene, uint32_t i)
{
    const struct flow_job *job = flow_job_of(scene, i);
    if (job && job->state == FLOW_JOB_OPEN && !job->is_suspended && !job->stored.is_deleting)
        flow_suspend_job(scene, job, true);
}

/* Whose Job is there for the first time. One that was made and is not in the caches, which have come as far, is
 * gone already. */
static void look_for_begun(struct flow_scene *scene)
{
    struct flow_run *run = &scene->book->run;
    for (uint32_t i = run->touched; i != RUN_NONE; i = run->steps[i].touched) {
        const struct run_step *step = &run->steps[i];
        if (step->phase != STEP_PENDING || step->list != RUN_READY || step->type != STEP_JOB)
            continue;
        const struct flow_job *job = flow_job_of(scene, i);
        if (job || step->is_made)
            begin_step(scene, i, job ? job->created_ns : scene->now.wall_ns, RUN_RUNNING);
    }
}

static void look_at_touched(struct flow_scene *scene)
{
    struct flow_run *run = &scene->book->run;
    uint32_t i;
    look_for_begun(scene);
    while ((i = flow_run_take_touched(run)) != RUN_NONE) {
        const struct run_step *step = &run->steps[i];
        if (step->type != STEP_JOB)
            continue;
        if (step->phase == STEP_RUNNING)
            look_at_running(scene, i, flow_job_of(scene, i));
        else if (step->phase == STEP_SKIPPED || is_stopped(step))
            stop_stray(scene, i);
    }
}

/* ---- What waits ---- */

static bool is_due(struct flow_scene *scene, const struct run_step *step)
{
    if (step->due_ns > scene->now.wall_ns)
        flow_again_at(scene, step->due_ns);
    return step->due_ns > 0 && step->due_ns <= scene->now.wall_ns;
}

static void look_at_retry(struct flow_scene *scene, uint32_t i)
{
    struct run_step *step = &scene->book->run.steps[i];
    if (!is_due(scene, step) || step->waiting > 0)
        return;
    step->attempt++;
    step->is_seen = false;
    step->is_retrying = false;
    step->due_ns = 0;
    scene->book->changes++;
    flow_run_put(&scene->book->run, i, RUN_READY, STEP_PENDING);
}

static void time_out(struct flow_scene *scene, uint32_t i)
{
    struct failure failure = {FLOW_REASON_TIMEOUT, STR("it took longer than timeoutSeconds"),
                              scene->book->run.steps[i].due_ns, false, false};
    failure.is_final = scene->book->run.steps[i].type == STEP_MANUAL;
    fail_attempt(scene, i, &failure);
}

/* The end of a try is decided when its Performer is seen to go, so that nothing begins beside it when the
 * delete does not succeed at once. */
static void look_at_performer(struct flow_scene *scene, uint32_t i)
{
    const struct stored *performer = flow_performer_of(scene, i);
    bool is_due_now = is_due(scene, &scene->book->run.steps[i]);
    bool is_there = performer && !performer->is_deleting;
    if (is_there && performer_is_ready(performer)) {
        say(scene, i, (struct str){NULL, 0});
        end_step(scene, i, STEP_SUCCEEDED, FLOW_REASON_NONE, scene->now.wall_ns);
    } else if (scene->book->run.steps[i].is_followed) {
        flow_end_unseen(scene, i);
    } else if (is_there && (is_due_now || performer_has_given_up(performer))) {
        flow_delete(scene, &kube_performers, performer, "delete Performer");
    } else if (!is_there && is_due_now) {
        time_out(scene, i);
    } else if (!is_there) {
        struct failure failure = {FLOW_REASON_PERFORMER_FAILED,
                                  STR("the Performer has failed for good, or was deleted"),
                                  scene->now.wall_ns, false, false};
        fail_attempt(scene, i, &failure);
    }
}

static void look_at_watched(struct flow_scene *scene, uint32_t i)
{
    const struct run_step *step = &scene->book->run.steps[i];
    if (step->phase == STEP_PENDING) {
        look_at_retry(scene, i);
    } else if (step->phase == STEP_PENDING_APPROVAL) {
        if (is_due(scene, step))
            time_out(scene, i);
    } else if (step->type == STEP_PERFORMER) {
        look_at_performer(scene, i);
    } else {
        (void)is_due(scene, step);
        look_at_running(scene, i, flow_job_of(scene, i));
    }
}

/* The one that is looked at may go to the end of the list, and those behind it may leave it meanwhile, when the
 * flow stops: then the place is found anew. */
static void look_at_all_watched(struct flow_scene *scene)
{
    struct flow_run *run = &scene->book->run;
    const struct json *decisions = NULL;
    bool is_new = scene->book->decided != scene->flow->stored.version;
    if (is_new && run->phases[STEP_PENDING_APPROVAL] > 0)
        decisions = flow_decisions(scene);
    scene->book->decided = scene->flow->stored.version;
    uint32_t left = run->lists[RUN_WATCHED].count;
    for (uint32_t i = flow_run_first(run, RUN_WATCHED), next; i != RUN_NONE && left > 0;
         i = next, left--) {
        uint32_t before = run->steps[i].prev, behind = run->steps[i].next;
        if (decisions && run->steps[i].phase == STEP_PENDING_APPROVAL)
            flow_decide(scene, i, decisions);
        if (run->steps[i].list == RUN_WATCHED)
            look_at_watched(scene, i);
        if (behind == RUN_NONE || run->steps[behind].list == RUN_WATCHED)
            next = behind;
        else if (run->steps[i].list == RUN_WATCHED)
            next = run->steps[i].next;
        else if (before != RUN_NONE && run->steps[before].list == RUN_WATCHED)
            next = run->steps[before].next;
        else
            next = flow_run_first(run, RUN_WATCHED);
    }
}

/* Performers that were made: the caches show them by now. They are made in the order of the list. */
static void look_for_performers(struct flow_scene *scene)
{
    struct flow_run *run = &scene->book->run;
    for (uint32_t i = flow_run_first(run, RUN_READY), next; i != RUN_NONE; i = next) {
        struct run_step *step = &run->steps[i];
        next = step->next;
        if (step->type != STEP_PERFORMER)
            continue;
        /* One that is gone already has failed. */
        bool is_begun = step->is_made || flow_performer_of(scene, i);
        const struct flow_step *spec = is_begun ? flow_step_of(scene, i) : NULL;
        if (!spec)
            return;
        begin_step(scene, i, scene->now.wall_ns, RUN_WATCHED);
        if (spec->timeout_seconds.is_set)
            step->due_ns = scene->now.wall_ns + spec->timeout_seconds.value * CLOCK_NS_PER_SEC;
    }
}

void flow_watch(struct flow_scene *scene)
{
    /* What has begun first, so that the end of another step does not skip it. */
    look_for_performers(scene);
    look_at_touched(scene);
    look_at_all_watched(scene);
}

/* ---- All of them at once ---- */

/* What an end before its time means for a running step. */
static void stop_step(struct flow_scene *scene, uint32_t i)
{
    const struct run_step *step = &scene->book->run.steps[i];
    if (step->type == STEP_PERFORMER) {
        const struct stored *performer = flow_performer_of(scene, i);
        if (performer && !performer->is_deleting) {
            flow_delete(scene, &kube_performers, performer, "delete Performer");
            return;
        }
        say(scene, i, why(scene->book->abort));
        end_step(scene, i, STEP_FAILED, scene->book->abort, scene->now.wall_ns);
        return;
    }
    const struct flow_job *job = flow_job_of(scene, i);
    if (!job || job->state != FLOW_JOB_OPEN)
        flow_run_touch(&scene->book->run, i);
    else if (job->is_suspended)
        look_at_running(scene, i, job);
    else if (!job->stored.is_deleting)
        flow_suspend_job(scene, job, true);
}

void flow_stop_steps(struct flow_scene *scene)
{
    struct flow_run *run = &scene->book->run;
    static const enum run_list lists[] = {RUN_RUNNING, RUN_WATCHED};
    for (size_t k = 0; k < sizeof(lists) / sizeof(lists[0]); k++) {
        for (uint32_t i = flow_run_first(run, lists[k]), next; i != RUN_NONE; i = next) {
            next = run->steps[i].next;
            if (flow_plan_is_full(scene)) {
                flow_again_after(scene, 0);
                return;
            }
            if (i < run->main_count && run->steps[i].phase == STEP_RUNNING)
                stop_step(scene, i);
        }
    }
}

void flow_hold_steps(struct flow_scene *scene)
{
    struct flow_book *book = scene->book;
    struct flow_run *run = &book->run;
    bool is_held = scene->flow->is_suspended && scene->flow->is_killing, has_changed = false;
    if (!is_held && !book->may_hold)
        return;
    if (is_held)
        book->held_ns = scene->now.now_ns;
    for (uint32_t i = flow_run_first(run, RUN_RUNNING); i != RUN_NONE; i = run->steps[i].next) {
        const struct flow_job *job = flow_job_of(scene, i);
        if (flow_plan_is_full(scene)) {
            flow_again_after(scene, 0);
            return;
        }
        if (!job || job->state != FLOW_JOB_OPEN || job->is_suspended == is_held)
            continue;
        flow_suspend_job(scene, job, is_held);
        has_changed = true;
    }
    /* Until the caches show that all of them go on. */
    book->may_hold = is_held || has_changed;
}

void flow_delete_performers(struct flow_scene *scene)
{
    const struct flow_run *run = &scene->book->run;
    for (uint32_t i = 0; i < run->count; i++) {
        if (run->steps[i].type != STEP_PERFORMER || run->steps[i].phase == STEP_SKIPPED)
            continue;
        const struct stored *performer = flow_performer_of(scene, i);
        if (performer && !performer->is_deleting)
            flow_delete(scene, &kube_performers, performer, "delete Performer");
    }
}
