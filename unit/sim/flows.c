/* The judge of flows. */
#include "unit/sim/flows.h"

#include "unit/sim/tree.h"

#define LABEL_FLOW    STR("workflow.kube-zen.io/flow")
#define LABEL_STEP    STR("workflow.kube-zen.io/step")
#define LABEL_ATTEMPT STR("workflow.kube-zen.io/attempt")

enum {
    STATUS_MAX = 512 * 1024,
    /* How late a process may know of what users do: a watch is found dead after 90 s (kube/reflector.c), the next
     * one may be refused for a while, and its events come late. */
    LATEST_S = 180,
    /* … and of what it has asked for itself. */
    UNKNOWN_S = 30,
    /* Three queues take turns, and a new leader begins anew. */
    OVERTAKEN_MAX = 12,
    /* Flows that are let go at the same time may write so in any order: a write that is lost is repeated 10 s later. */
    TOGETHER_S = 30,
    BACKOFF_DEFAULT = 6,
};

/* What is true of a step, by what became of its Jobs and of the steps before it. UNCLEAR: it may have ended, and
 * only the controller knows how, who has not told it yet. */
enum truth { UNSETTLED, SUCCEEDED, FAILED, SKIPPED, SKIPPED_BY_FAILURE, UNCLEAR };

void sim_flows_init(struct sim_flow_checker *checker, struct sim_world *world, int64_t max_active)
{
    memset(checker, 0, sizeof(*checker));
    checker->world = world;
    checker->max_active = max_active;
}

void sim_flows_done(struct sim_flow_checker *checker)
{
    for (size_t i = 0; i < checker->count; i++)
        sim_object_unref(checker->flows[i].last);
    checker->count = 0;
}

#define VIOLATION(checker, rule, object, fmt, ...)                                   \
    sim_violation((checker)->world, rule, "%s %" PRIstr "/%" PRIstr ": " fmt,        \
                  (object)->resource->kube->kind, STR_ARG((object)->meta.namespace), \
                  STR_ARG((object)->meta.name), ##__VA_ARGS__)

/* ---- A flow as it is stored ---- */

static const struct json *spec_of(const struct sim_flow *flow)
{
    return kube_at(flow->last->tree, "spec", NULL);
}

static const struct json *policy_of(const struct sim_flow *flow)
{
    return kube_at(spec_of(flow), "executionPolicy", NULL);
}

static size_t length(const struct json *list)
{
    return json_is(list, JSON_ARRAY) ? list->len : 0;
}

static size_t main_count(const struct sim_flow *flow)
{
    return length(json_get(spec_of(flow), STR("steps")));
}

static size_t step_count(const struct sim_flow *flow)
{
    return main_count(flow) + length(json_get(spec_of(flow), STR("finally")));
}

static const struct json *step_at(const struct sim_flow *flow, size_t index)
{
    size_t first = main_count(flow);
    const struct json *list =
        json_get(spec_of(flow), index < first ? STR("steps") : STR("finally"));
    return json_at(list, index < first ? index : index - first);
}

static bool is_finally(const struct sim_flow *flow, size_t index)
{
    return index >= main_count(flow);
}

/* That resourceTemplates asks for. */
static size_t resource_count(const struct sim_flow *flow)
{
    const struct json *templates = kube_at(spec_of(flow), "resourceTemplates", NULL);
    return length(json_get(templates, STR("volumeClaimTemplates"))) +
           length(json_get(templates, STR("configMapTemplates")));
}

/* SIZE_MAX when it has no such step. */
static size_t find_step(const struct sim_flow *flow, struct str name)
{
    for (size_t i = 0; i < step_count(flow); i++) {
        if (str_eq(kube_text_at(step_at(flow, i), "name", NULL), name))
            return i;
    }
    return SIZE_MAX;
}

static const struct json *status_of_step(const struct json *status, struct str name)
{
    JSON_EACH (step, json_get(status, STR("steps"))) {
        if (str_eq(kube_text_at(step, "name", NULL), name))
            return step;
    }
    return NULL;
}

static struct str told_phase(const struct sim_flow *flow, size_t index)
{
    const struct json *status = kube_at(flow->last->tree, "status", NULL);
    struct str name = kube_text_at(step_at(flow, index), "name", NULL);
    return kube_text_at(status_of_step(status, name), "phase", NULL);
}

static bool step_is(const struct json *step, struct str type)
{
    struct str own = kube_text_at(step, "type", NULL);
    return str_eq(own.len > 0 ? own : STR("Job"), type);
}

static bool is_end(struct str phase)
{
    return str_eq(phase, STR("Succeeded")) || str_eq(phase, STR("Failed"));
}

static bool is_step_end(struct str phase)
{
    return is_end(phase) || str_eq(phase, STR("Skipped"));
}

static struct str phase_of(const struct json *object)
{
    return kube_text_at(object, "status", "phase", NULL);
}

static bool has_started(const struct json *object)
{
    return kube_text_at(object, "status", "startTime", NULL).len > 0;
}

static bool is_active(const struct json *object)
{
    return has_started(object) && !is_end(phase_of(object));
}

static struct sim_flow *find_flow(struct sim_flow_checker *checker, struct str uid)
{
    for (size_t i = checker->count; i-- > 0;) {
        if (str_is_set(uid) && str_eq(checker->flows[i].last->meta.uid, uid))
            return &checker->flows[i];
    }
    return NULL;
}

/* ---- Noting ---- */

static void note_times(const struct sim_flow_checker *checker, struct sim_flow *flow)
{
    int64_t now_ns = checker->world->now_ns;
    int64_t parallelism = kube_int_at(policy_of(flow), 0, "parallelism", NULL);
    bool is_suspended = kube_bool_at(policy_of(flow), "suspend", NULL);
    bool is_raised = flow->parallelism > 0 && (parallelism == 0 || parallelism > flow->parallelism);
    bool is_past = now_ns - flow->raised_ns > LATEST_S * SIM_SEC;
    if (is_raised || is_past || parallelism == flow->parallelism) {
        flow->parallelism = parallelism;
        flow->raised_ns = now_ns;
    }
    if (!is_suspended)
        flow->suspended_ns = INT64_MAX;
    else if (flow->suspended_ns == INT64_MAX)
        flow->suspended_ns = now_ns;
    if (flow->gone_ns == INT64_MAX && str_is_set(flow->last->meta.deletion_timestamp))
        flow->gone_ns = now_ns;
}

static void note_flow(struct sim_flow_checker *checker, const struct sim_event *event)
{
    struct sim_flow *flow = find_flow(checker, event->after->meta.uid);
    if (!flow) {
        sim_require(checker->count < SIM_FLOWS_MAX);
        flow = &checker->flows[checker->count++];
        *flow = (struct sim_flow){.suspended_ns = INT64_MAX, .gone_ns = INT64_MAX};
        flow->parallelism = -1;
        flow->raised_ns = INT64_MIN / 2;
    }
    bool had_ended = flow->last && is_end(phase_of(flow->last->tree));
    sim_object_unref(flow->last);
    flow->last = sim_object_ref(event->after);
    sim_require(step_count(flow) <= SIM_FLOW_STEPS_MAX);
    if (flow->started_ns == 0 && has_started(flow->last->tree))
        flow->started_ns = checker->world->now_ns;
    checker->ended += !had_ended && is_end(phase_of(flow->last->tree));
    note_times(checker, flow);
    if (event->is_deletion) {
        flow->is_gone = true;
        flow->gone_ns = flow->gone_ns == INT64_MAX ? checker->world->now_ns : flow->gone_ns;
    }
}

static int64_t attempt_of(const struct sim_object *object)
{
    int64_t attempt = -1;
    str_to_int64(kube_map_get(object->meta.labels, LABEL_ATTEMPT), &attempt);
    return attempt;
}

static struct sim_flow_step *step_of(struct sim_flow *flow, const struct sim_object *object)
{
    size_t index = flow ? find_step(flow, kube_map_get(object->meta.labels, LABEL_STEP)) : SIZE_MAX;
    return index == SIZE_MAX ? NULL : &flow->steps[index];
}

static struct sim_try *find_try(struct sim_flow_step *step, int64_t attempt)
{
    for (unsigned i = 0; step && i < step->count; i++) {
        if (step->tries[i].attempt == attempt)
            return &step->tries[i];
    }
    return NULL;
}

static bool is_true(const struct sim_object *object, const char *condition)
{
    return str_eq(kube_text_at(kube_condition(object->tree, condition), "status", NULL),
                  STR("True"));
}

static void note_state(struct sim_try *try, const struct sim_object *job, bool is_deletion)
{
    struct str reason = kube_text_at(kube_condition(job->tree, "Failed"), "reason", NULL);
    try->is_suspended = kube_bool_at(job->tree, "spec", "suspend", NULL);
    try->is_removed = is_deletion;
    if (try->state != SIM_TRY_OPEN)
        return;
    if (is_true(job, "Complete"))
        try->state = SIM_TRY_COMPLETE;
    else if (is_true(job, "Failed"))
        try->state = SIM_TRY_FAILED;
    else if (is_deletion)
        try->state = SIM_TRY_GONE;
    try->is_final = try->state == SIM_TRY_FAILED && str_eq(reason, STR("PodFailurePolicy"));
}

static void note_job(struct sim_flow_checker *checker, const struct sim_event *event)
{
    /* Whose labels were taken away is looked for by those that it had. */
    const struct sim_object *named = event->before ? event->before : event->after;
    struct sim_flow *flow = find_flow(checker, named->meta.owner_uid);
    struct sim_flow_step *step = step_of(flow, named);
    if (!step || attempt_of(named) < 0)
        return;
    struct sim_try *try = find_try(step, attempt_of(named));
    if (!try) {
        sim_require(step->count < SIM_TRIES_MAX);
        try = &step->tries[step->count++];
        *try = (struct sim_try){.attempt = attempt_of(named)};
        try->made_ns = checker->world->now_ns;
    } else if (!event->before) {
        /* made again */
        *try = (struct sim_try){.attempt = try->attempt, .made_ns = checker->world->now_ns};
    }
    step->has_begun = true;
    checker->jobs += !event->before;
    note_state(try, event->after, event->is_deletion);
}

/* As the controller of Performers tells it. */
static void note_performer(struct sim_flow_checker *checker, const struct sim_event *event)
{
    struct sim_flow *flow = find_flow(checker, event->after->meta.owner_uid);
    struct sim_flow_step *step = step_of(flow, event->after);
    if (!step)
        return;
    step->has_begun = true;
    step->was_ready = step->was_ready || kube_bool_at(event->after->tree, "status", "ready", NULL);
}

static void note_resource(struct sim_flow_checker *checker, const struct sim_event *event)
{
    struct sim_flow *flow = find_flow(checker, event->after->meta.owner_uid);
    if (flow && !event->before)
        flow->resources++;
}

void sim_flows_note(struct sim_flow_checker *checker, const struct sim_event *event)
{
    const struct kube_resource *kube = event->after->resource->kube;
    if (kube == &kube_jobflows)
        note_flow(checker, event);
    else if (kube == &kube_jobs)
        note_job(checker, event);
    else if (kube == &kube_performers)
        note_performer(checker, event);
    else if (kube == &kube_config_maps || kube == &kube_volume_claims)
        note_resource(checker, event);
}

/* ---- The truth about a step ---- */

/* The one that was made last: when nothing is left that tells of several tries, the first is made again. */
static const struct sim_try *last_try(const struct sim_flow_step *step)
{
    const struct sim_try *last = NULL;
    for (unsigned i = 0; i < step->count; i++) {
        if (!last || step->tries[i].made_ns >= last->made_ns)
            last = &step->tries[i];
    }
    return last;
}

static int64_t retries_of(const struct sim_flow_step *step)
{
    const struct sim_try *last = last_try(step);
    return last ? last->attempt : 0;
}

static int64_t retry_limit(const struct json *step)
{
    const struct json *policy = json_get(step, STR("retryPolicy"));
    return json_is(policy, JSON_OBJECT) ? kube_int_at(policy, 3, "limit", NULL) : 0;
}

/* Failures that a podFailurePolicy ignores are not told apart here: the step may be tried more often. */
static bool may_ignore(const struct sim_flow *flow, size_t index)
{
    struct str restarts = kube_text_at(step_at(flow, index), "template", "spec", "template", "spec",
                                       "restartPolicy", NULL);
    return kube_at(policy_of(flow), "podFailurePolicy", NULL) && str_eq(restarts, STR("OnFailure"));
}

static bool may_ignore_any(const struct sim_flow *flow)
{
    for (size_t i = 0; i < step_count(flow); i++) {
        if (may_ignore(flow, i))
            return true;
    }
    return false;
}

/* All steps together, and those that are sure to come, with `planned`. */
static int64_t all_retries(const struct sim_flow *flow, size_t but, bool planned)
{
    int64_t all = 0;
    for (size_t i = 0; i < step_count(flow); i++) {
        const struct sim_try *last = last_try(&flow->steps[i]);
        bool has_failed = last && (last->state == SIM_TRY_FAILED || last->state == SIM_TRY_GONE);
        all += may_ignore(flow, i) ? 0 : retries_of(&flow->steps[i]);
        all += planned && i != but && has_failed && !is_step_end(told_phase(flow, i));
    }
    return all;
}

/* No more tries of the step can come; with `planned`, when others have taken what was left. */
static bool are_retries_used_up(const struct sim_flow *flow, size_t index, bool planned)
{
    return retries_of(&flow->steps[index]) >= retry_limit(step_at(flow, index)) ||
           all_retries(flow, index, planned) >=
               kube_int_at(policy_of(flow), BACKOFF_DEFAULT, "backoffLimit", NULL);
}

static enum truth truth_of(const struct sim_flow *flow, size_t index);

static bool is_hard(const struct sim_flow *flow, size_t index, enum truth truth)
{
    return truth == SKIPPED_BY_FAILURE ||
           (truth == FAILED && !kube_bool_at(step_at(flow, index), "continueOnFailure", NULL));
}

static struct str name_of(enum truth truth)
{
    return truth == SUCCEEDED ? STR("Succeeded") : truth == FAILED ? STR("Failed") : STR("Skipped");
}

/* The conditions that the simulated users write: "", "always", "never", "steps.X.phase == 'P'", of which the
 * last is about X. */
static bool is_about_phase(const struct json *step, struct str *name, struct str *phase)
{
    struct str when = kube_text_at(step, "when", NULL), rest;
    if (!str_starts_with(when, STR("steps.")))
        return false;
    str_cut(str_sub(when, 6, when.len), '.', name, &rest);
    str_cut(rest, '\'', &rest, phase);
    str_cut(*phase, '\'', phase, &rest);
    return true;
}

static bool is_never(const struct json *step)
{
    return str_eq(kube_text_at(step, "when", NULL), STR("never"));
}

static bool does_hold(const struct sim_flow *flow, const struct json *step)
{
    struct str name, phase;
    if (!is_about_phase(step, &name, &phase))
        return !is_never(step);
    size_t other = find_step(flow, name);
    sim_require(other != SIZE_MAX);
    return str_eq(name_of(truth_of(flow, other)), phase);
}

static bool is_unclear(const struct sim_flow *flow, const struct json *step)
{
    struct str name, phase;
    return is_about_phase(step, &name, &phase) && truth_of(flow, find_step(flow, name)) == UNCLEAR;
}

/* Of the steps that it depends on: UNSETTLED, SKIPPED_BY_FAILURE, or SUCCEEDED when it may begin. */
static enum truth truth_of_dependencies(const struct sim_flow *flow, size_t index)
{
    enum truth worst = SUCCEEDED;
    JSON_EACH (dependency, json_get(step_at(flow, index), STR("dependencies"))) {
        size_t other = find_step(flow, json_str(dependency));
        enum truth truth = other == SIZE_MAX ? UNSETTLED : truth_of(flow, other);
        if (truth == UNSETTLED)
            return UNSETTLED;
        if (is_hard(flow, other, truth))
            worst = SKIPPED_BY_FAILURE;
    }
    return worst;
}

static struct str decision(const struct sim_flow *flow, const struct json *step)
{
    char key[96];
    struct str name = kube_text_at(step, "name", NULL);
    snprintf(key, sizeof(key), "approve.workflow.kube-zen.io/%" PRIstr, STR_ARG(name));
    return kube_map_get(flow->last->meta.annotations, str_from_cstr(key));
}

/* What has become of it is told later than what follows from it is begun. A Performer that has served may
 * have been too late. When a step may have failed in a way that cannot be seen here, those behind it may begin that
 * do not mind. */
static enum truth untold(const struct sim_flow *flow, size_t index)
{
    const struct json *step = step_at(flow, index);
    bool may_fail =
        step_is(step, STR("Performer")) || json_get(step, STR("inputs")) || may_ignore_any(flow);
    if (flow->steps[index].was_ready)
        return UNCLEAR;
    return may_fail && kube_bool_at(step, "continueOnFailure", NULL) ? FAILED : UNSETTLED;
}

static enum truth truth_without_job(const struct sim_flow *flow, size_t index)
{
    const struct json *step = step_at(flow, index);
    struct str told = told_phase(flow, index);
    enum truth before = truth_of_dependencies(flow, index);
    if (before != SUCCEEDED)
        return before;
    if (is_unclear(flow, step) && !is_step_end(told))
        return UNCLEAR;
    /* Its inputs are read before its condition is asked, and may not be there. */
    if (!does_hold(flow, step))
        return str_eq(told, STR("Failed"))     ? FAILED
               : json_get(step, STR("inputs")) ? UNCLEAR
                                               : SKIPPED;
    if (step_is(step, STR("Manual")) && !is_step_end(told))
        return str_eq(decision(flow, step), STR("true"))    ? SUCCEEDED
               : str_eq(decision(flow, step), STR("false")) ? FAILED
                                                            : UNSETTLED;
    /* The server has refused its Job; or it is a Performer, which is judged by what is told. */
    return str_eq(told, STR("Failed"))      ? FAILED
           : str_eq(told, STR("Succeeded")) ? SUCCEEDED
                                            : untold(flow, index);
}

static enum truth truth_of_complete(const struct sim_try *try, struct str told)
{
    if (str_eq(told, STR("Failed")))
        return FAILED; /* an output may be wrong */
    /* Somebody was quick to delete it. */
    return try->is_removed && !is_step_end(told) ? UNCLEAR : SUCCEEDED;
}

static enum truth truth_of(const struct sim_flow *flow, size_t index)
{
    const struct sim_flow_step *step = &flow->steps[index];
    const struct sim_try *last = last_try(step);
    bool is_told_failed = str_eq(told_phase(flow, index), STR("Failed"));
    if (!last)
        return truth_without_job(flow, index);
    if (last->state == SIM_TRY_COMPLETE)
        return truth_of_complete(last, told_phase(flow, index));
    if (last->state == SIM_TRY_OPEN)
        return UNSETTLED;
    bool has_failed = is_told_failed || last->is_final || are_retries_used_up(flow, index, true);
    return has_failed ? FAILED : untold(flow, index);
}

/* A step that depends on it, directly or not, has begun; or its Job is even there. */
static bool is_followed(const struct sim_flow *flow, size_t index, bool is_there)
{
    struct str name = kube_text_at(step_at(flow, index), "name", NULL);
    for (size_t i = 0; i < step_count(flow); i++) {
        const struct sim_try *last = last_try(&flow->steps[i]);
        bool has_begun = is_there ? last && !last->is_removed
                                  : flow->steps[i].has_begun || is_step_end(told_phase(flow, i));
        JSON_EACH (dependency, json_get(step_at(flow, i), STR("dependencies"))) {
            if (str_eq(json_str(dependency), name) && (has_begun || is_followed(flow, i, is_there)))
                return true;
        }
    }
    return false;
}

/* ---- A Job is made ---- */

static void judge_order(const struct sim_flow_checker *checker, const struct sim_flow *flow,
                        size_t index, const struct sim_object *job)
{
    enum truth before = truth_of_dependencies(flow, index);
    if (before != SUCCEEDED)
        VIOLATION(checker, "order", job, "created %s",
                  before == UNSETTLED ? "before what its step depends on is settled"
                                      : "although what its step depends on has failed");
    for (size_t i = 0; is_finally(flow, index) && i < main_count(flow); i++) {
        const struct sim_try *last = last_try(&flow->steps[i]);
        if (last && last->state == SIM_TRY_OPEN && !last->is_suspended)
            VIOLATION(checker, "order", job, "of finally, created while the step %" PRIstr " runs",
                      STR_ARG(kube_text_at(step_at(flow, i), "name", NULL)));
    }
    if (is_followed(flow, index, true))
        VIOLATION(checker, "order", job,
                  "created although a step that depends on its step has begun");
    if (!does_hold(flow, step_at(flow, index)) && !is_unclear(flow, step_at(flow, index)))
        VIOLATION(checker, "condition", job, "created although its step's condition is false");
}

static void judge_once(const struct sim_flow_checker *checker, const struct sim_flow *flow,
                       size_t index, const struct sim_object *job)
{
    const struct sim_flow_step *step = &flow->steps[index];
    int64_t attempt = attempt_of(job);
    const struct sim_try *same = find_try((struct sim_flow_step *)(uintptr_t)step, attempt);
    const struct sim_try *last = last_try(step);
    if (is_step_end(told_phase(flow, index)))
        VIOLATION(checker, "job once", job,
                  "created although its step has ended, as the status says");
    for (unsigned i = 0; i < step->count; i++) {
        if (step->tries[i].state == SIM_TRY_OPEN)
            VIOLATION(checker, "job once", job, "created beside that of attempt %lld",
                      (long long)step->tries[i].attempt);
    }
    if (same && !same->is_removed)
        VIOLATION(checker, "job once", job, "attempt %lld has ended, and is made again",
                  (long long)attempt);
    if (last && last->state == SIM_TRY_COMPLETE && !last->is_removed)
        VIOLATION(checker, "job once", job, "its step has succeeded");
    if (!same && attempt != (last ? last->attempt + 1 : 0))
        VIOLATION(checker, "job once", job, "attempt %lld does not follow", (long long)attempt);
    bool is_final = last && last->is_final && !last->is_removed;
    bool are_used_up = !may_ignore(flow, index) && are_retries_used_up(flow, index, false);
    if (!same && last && (is_final || are_used_up))
        VIOLATION(checker, "retries", job, "attempt %lld is more than there may be",
                  (long long)attempt);
}

/* The Performer of a step that is there to stay; not `but`. */
static const struct sim_object *performer_of(const struct sim_flow_checker *checker,
                                             const struct sim_flow *flow, size_t index,
                                             const struct sim_object *but)
{
    const struct sim_shelf *all = sim_store_shelf(&checker->world->server.store, &kube_performers);
    struct str step = kube_text_at(step_at(flow, index), "name", NULL);
    for (size_t i = 0; i < all->count; i++) {
        const struct sim_object *performer = all->objects[i];
        if (str_eq(performer->meta.owner_uid, flow->last->meta.uid) &&
            str_eq(kube_map_get(performer->meta.labels, LABEL_STEP), step) &&
            !str_is_set(performer->meta.deletion_timestamp) &&
            (!but || !str_eq(but->meta.uid, performer->meta.uid)))
            return performer;
    }
    return NULL;
}

static void judge_parallelism(const struct sim_flow_checker *checker, const struct sim_flow *flow,
                              size_t index, const struct sim_object *job)
{
    int64_t running = 0;
    for (size_t i = 0; i < step_count(flow); i++) {
        const struct sim_try *last = last_try(&flow->steps[i]);
        /* One that was stopped before its time is suspended, and runs no more. */
        bool is_stopped = last && last->is_suspended &&
                          (is_finally(flow, index) || is_step_end(told_phase(flow, i)));
        running += last && last->state == SIM_TRY_OPEN && !is_stopped;
        const struct sim_object *performer = performer_of(checker, flow, i, job);
        running += performer && !flow->steps[i].was_ready && !is_step_end(told_phase(flow, i)) &&
                   !str_eq(phase_of(performer->tree), STR("Failed"));
    }
    if (flow->parallelism > 0 && running >= flow->parallelism)
        VIOLATION(checker, "parallelism", job, "created while %lld of %lld run", (long long)running,
                  (long long)flow->parallelism);
}

static void judge_failure(const struct sim_flow_checker *checker, const struct sim_flow *flow,
                          const struct sim_object *job)
{
    for (size_t i = 0; i < main_count(flow); i++) {
        if (str_eq(told_phase(flow, i), STR("Failed")) && is_hard(flow, i, FAILED))
            VIOLATION(checker, "failure", job, "created although the step %" PRIstr " has failed",
                      STR_ARG(kube_text_at(step_at(flow, i), "name", NULL)));
    }
}

static void judge_moment(const struct sim_flow_checker *checker, const struct sim_flow *flow,
                         size_t index, const struct sim_object *job)
{
    int64_t now_ns = checker->world->now_ns;
    if (!has_started(flow->last->tree))
        VIOLATION(checker, "start", job, "created before its flow has started");
    if (is_end(phase_of(flow->last->tree)))
        VIOLATION(checker, "start", job, "created after the end of its flow");
    if (flow->resources < resource_count(flow) && !is_finally(flow, index))
        VIOLATION(checker, "resources", job, "created before the resources of its flow");
    if (flow->suspended_ns != INT64_MAX && now_ns - flow->suspended_ns > LATEST_S * SIM_SEC)
        VIOLATION(checker, "suspend", job, "created while its flow is suspended");
}

static void judge_value(const struct sim_flow_checker *checker, const struct sim_object *child)
{
    static const char placeholder[] = "{{parameters.";
    if (memmem(child->text.ptr, child->text.len, placeholder, sizeof(placeholder) - 1))
        VIOLATION(checker, "value", child, "is made with a placeholder in it");
}

/* What is the same for Jobs and Performers of steps; the step. */
static size_t judge_new_child(struct sim_flow_checker *checker, const struct sim_flow *flow,
                              const struct sim_object *child)
{
    size_t index = flow ? find_step(flow, kube_map_get(child->meta.labels, LABEL_STEP)) : SIZE_MAX;
    if (index == SIZE_MAX || attempt_of(child) < 0)
        VIOLATION(checker, "job owner", child, "is of no step of a flow");
    if (flow->gone_ns != INT64_MAX && checker->world->now_ns - flow->gone_ns > LATEST_S * SIM_SEC)
        VIOLATION(checker, "job owner", child, "created for a flow that is long gone");
    judge_moment(checker, flow, index, child);
    judge_value(checker, child);
    return index;
}

static void judge_new_performer(struct sim_flow_checker *checker,
                                const struct sim_object *performer)
{
    const struct sim_flow *flow = find_flow(checker, performer->meta.owner_uid);
    size_t index = judge_new_child(checker, flow, performer);
    if (!step_is(step_at(flow, index), STR("Performer")))
        VIOLATION(checker, "performer", performer, "is of a step of another type");
    if (performer_of(checker, flow, index, performer))
        VIOLATION(checker, "performer", performer, "created beside another one of its step");
    if (is_step_end(told_phase(flow, index)))
        VIOLATION(checker, "performer", performer,
                  "created although its step has ended, as the status says");
    if (attempt_of(performer) > retry_limit(step_at(flow, index)))
        VIOLATION(checker, "retries", performer, "attempt %lld is more than there may be",
                  (long long)attempt_of(performer));
    judge_order(checker, flow, index, performer);
    judge_parallelism(checker, flow, index, performer);
    if (!is_finally(flow, index))
        judge_failure(checker, flow, performer);
}

static void judge_new_job(struct sim_flow_checker *checker, const struct sim_object *job)
{
    const struct sim_flow *flow = find_flow(checker, job->meta.owner_uid);
    size_t index = judge_new_child(checker, flow, job);
    judge_once(checker, flow, index, job);
    judge_order(checker, flow, index, job);
    judge_parallelism(checker, flow, index, job);
    if (!is_finally(flow, index))
        judge_failure(checker, flow, job);
}

/* ---- A flow starts ---- */

static struct str group_of(const struct sim_object *flow)
{
    const struct json *meta = json_get(flow->tree, STR("metadata"));
    struct str group =
        kube_text_at(flow->tree, "spec", "executionPolicy", "concurrencyGroup", NULL);
    struct str prefix = kube_text_at(meta, "generateName", NULL);
    if (group.len > 0)
        return group;
    if (prefix.len > 0)
        return str_sub(prefix, 0, prefix.len - str_ends_with(prefix, STR("-")));
    return flow->meta.name;
}

static bool allows_others(const struct sim_object *flow)
{
    return str_eq(kube_text_at(flow->tree, "spec", "executionPolicy", "concurrencyPolicy", NULL),
                  STR("Allow"));
}

static int64_t rank(const struct sim_object *flow)
{
    struct str priority = kube_text_at(flow->tree, "spec", "executionPolicy", "priority", NULL);
    return str_eq(priority, STR("high")) ? 2 : str_eq(priority, STR("low")) ? 0 : 1;
}

static bool is_there(const struct sim_flow *flow)
{
    return !flow->is_gone && flow->gone_ns == INT64_MAX;
}

static void judge_overtaking(struct sim_flow_checker *checker, const struct sim_object *started)
{
    for (size_t i = 0; i < checker->count; i++) {
        struct sim_flow *flow = &checker->flows[i];
        const struct json *tree = flow->last->tree;
        bool waits = is_there(flow) && !has_started(tree) && !is_end(phase_of(tree)) &&
                     allows_others(flow->last) && flow->suspended_ns == INT64_MAX;
        bool is_older =
            str_cmp(kube_text_at(tree, "metadata", "creationTimestamp", NULL),
                    kube_text_at(started->tree, "metadata", "creationTimestamp", NULL)) < 0;
        if (str_eq(flow->last->meta.uid, started->meta.uid))
            continue;
        flow->overtaken = waits && is_older ? flow->overtaken + 1 : waits ? flow->overtaken : 0;
        if (flow->overtaken > OVERTAKEN_MAX)
            VIOLATION(checker, "starvation", flow->last,
                      "of rank %lld waits while %u that came later have started",
                      (long long)rank(flow->last), flow->overtaken);
    }
}

static void judge_start(struct sim_flow_checker *checker, const struct sim_object *started)
{
    int64_t active = 0;
    for (size_t i = 0; i < checker->count; i++) {
        const struct sim_flow *other = &checker->flows[i];
        if (!is_there(other) || str_eq(other->last->meta.uid, started->meta.uid) ||
            !is_active(other->last->tree))
            continue;
        active++;
        bool is_together = allows_others(other->last) &&
                           checker->world->now_ns - other->started_ns < TOGETHER_S * SIM_SEC;
        if (!allows_others(started) && !is_together &&
            str_eq(other->last->meta.namespace, started->meta.namespace) &&
            str_eq(group_of(other->last), group_of(started)))
            VIOLATION(checker, "concurrency", started, "starts beside %" PRIstr " of its group",
                      STR_ARG(other->last->meta.name));
    }
    if (checker->max_active > 0 && active >= checker->max_active)
        VIOLATION(checker, "active", started, "starts beside %lld active flows", (long long)active);
    judge_overtaking(checker, started);
}

/* ---- A status ---- */

/* A create that was given up, because it was not answered and had made nothing yet, may arrive all the same:
 * who sent it does not know of the Job before the caches show it. */
static bool is_known(const struct sim_flow_checker *checker, const struct sim_try *try)
{
    return checker->world->now_ns - try->made_ns > UNKNOWN_S * SIM_SEC;
}

static bool is_told(const struct json *status, const struct json *step, const char *key,
                    struct str value)
{
    const struct json *told = status_of_step(status, kube_text_at(step, "name", NULL));
    return str_eq(kube_text_at(told, key, NULL), value);
}

static bool is_told_hard(const struct json *status, const struct json *step)
{
    return is_told(status, step, "phase", STR("Failed")) &&
           !kube_bool_at(step, "continueOnFailure", NULL);
}

/* One that it depends on has failed, or was skipped for such a reason. */
static bool has_failed_dependency(const struct sim_flow *flow, const struct json *status,
                                  const struct json *step)
{
    JSON_EACH (dependency, json_get(step, STR("dependencies"))) {
        size_t other = find_step(flow, json_str(dependency));
        if (is_told_hard(status, step_at(flow, other)) ||
            is_told(status, step_at(flow, other), "reason", STR("DependencyFailed")))
            return true;
    }
    return false;
}

static bool has_hard_failure(const struct sim_flow *flow, const struct json *status)
{
    for (size_t i = 0; i < main_count(flow); i++) {
        if (is_told_hard(status, step_at(flow, i)))
            return true;
    }
    return false;
}

/* By what is told of the step that its condition is about. */
static bool is_told_false(const struct sim_flow *flow, const struct json *status,
                          const struct json *step)
{
    struct str name, phase;
    if (!is_about_phase(step, &name, &phase))
        return is_never(step);
    return !is_told(status, step_at(flow, find_step(flow, name)), "phase", phase);
}

/* Why it may have been stopped before its time; what the clock says is not judged, because it jumps. */
static bool may_stop(const struct sim_flow_checker *checker, const struct sim_flow *flow,
                     struct str reason)
{
    if (str_eq(reason, STR("DeadlineExceeded")))
        return kube_int_at(policy_of(flow), 0, "activeDeadlineSeconds", NULL) > 0;
    for (size_t i = 0; i < checker->count && str_eq(reason, STR("Replaced")); i++) {
        const struct sim_flow *other = &checker->flows[i];
        struct str policy = kube_text_at(policy_of(other), "concurrencyPolicy", NULL);
        if (other != flow && str_eq(policy, STR("Replace")) &&
            str_eq(other->last->meta.namespace, flow->last->meta.namespace) &&
            str_eq(group_of(other->last), group_of(flow->last)))
            return true;
    }
    return false;
}

static void judge_skipped(const struct sim_flow_checker *checker, const struct sim_flow *flow,
                          const struct sim_object *after, size_t index)
{
    const struct json *status = kube_at(after->tree, "status", NULL);
    const struct json *step = step_at(flow, index);
    struct str name = kube_text_at(step, "name", NULL);
    struct str reason = kube_text_at(status_of_step(status, name), "reason", NULL);
    bool is_right = may_stop(checker, flow, reason) || str_eq(reason, STR("ResultLost"));
    if (str_eq(reason, STR("DependencyFailed")))
        is_right = has_failed_dependency(flow, status, step);
    else if (str_eq(reason, STR("ConditionFalse")))
        is_right = is_told_false(flow, status, step);
    else if (str_eq(reason, STR("FlowFailed")))
        is_right = has_hard_failure(flow, status) || flow->resources < resource_count(flow);
    if (!is_right)
        VIOLATION(checker, "skipped", after,
                  "the step %" PRIstr " is said to be skipped for the reason \"%" PRIstr
                  "\", and that is not so",
                  STR_ARG(name), STR_ARG(reason));
    if (performer_of(checker, flow, index, NULL))
        VIOLATION(checker, "performer", after,
                  "the step %" PRIstr " is said to be skipped, and has a Performer", STR_ARG(name));
}

/* Something may have ended the flow before this step could be tried again. */
static bool may_have_stopped(const struct sim_flow_checker *checker, const struct sim_flow *flow,
                             const struct json *status, size_t but)
{
    for (size_t i = 0; i < main_count(flow); i++) {
        if (i != but && is_told_hard(status, step_at(flow, i)))
            return true;
    }
    return flow->resources < resource_count(flow) ||
           may_stop(checker, flow, STR("DeadlineExceeded")) ||
           may_stop(checker, flow, STR("Replaced"));
}

/* Of Performers, and of tries whose values were not there: they take of the flow's backoffLimit what is not counted
 * here. */
static bool are_retries_uncounted(const struct sim_flow *flow, const struct json *status)
{
    for (size_t i = 0; i < step_count(flow); i++) {
        struct str name = kube_text_at(step_at(flow, i), "name", NULL);
        const struct json *told = status_of_step(status, name);
        bool is_waiting = step_is(step_at(flow, i), STR("Job")) &&
                          !is_step_end(kube_text_at(told, "phase", NULL));
        if (!is_waiting && kube_int_at(told, 0, "retryCount", NULL) > retries_of(&flow->steps[i]))
            return true;
    }
    return false;
}

/* A try that is gone before anybody knew of it leaves the one before. */
static bool has_failed(const struct sim_flow_step *step)
{
    const struct sim_try *last = last_try(step), *before;
    if (!last || last->state == SIM_TRY_FAILED || !last->is_removed)
        return last && last->state == SIM_TRY_FAILED;
    before = find_try((struct sim_flow_step *)(uintptr_t)step, last->attempt - 1);
    return before && before->state == SIM_TRY_FAILED;
}

static void judge_failed(const struct sim_flow_checker *checker, const struct sim_flow *flow,
                         const struct sim_object *after, size_t index)
{
    const struct json *status = kube_at(after->tree, "status", NULL);
    struct str name = kube_text_at(step_at(flow, index), "name", NULL);
    struct str reason = kube_text_at(status_of_step(status, name), "reason", NULL);
    const struct sim_try *last = last_try(&flow->steps[index]);
    bool is_lost = str_eq(reason, STR("JobLost"));
    bool is_failure = str_eq(reason, STR("JobFailed")) || str_eq(reason, STR("Timeout"));
    if (!is_lost && !is_failure)
        return;
    if (!last || (is_failure && !has_failed(&flow->steps[index])) || (is_lost && !last->is_removed))
        VIOLATION(checker, "failed", after,
                  "the step %" PRIstr " is said to have failed for the reason \"%" PRIstr
                  "\", and no Job of it has",
                  STR_ARG(name), STR_ARG(reason));
    bool is_free = is_finally(flow, index) || !may_have_stopped(checker, flow, status, index);
    if (is_free && !last->is_final && !may_ignore_any(flow) &&
        !are_retries_uncounted(flow, status) && !are_retries_used_up(flow, index, true))
        VIOLATION(checker, "failed", after,
                  "the step %" PRIstr " is given up, and could be tried again", STR_ARG(name));
}

/* Of its last try nothing is there. */
static void judge_lost(const struct sim_flow_checker *checker, const struct sim_flow *flow,
                       const struct sim_object *after, size_t index)
{
    struct str name = kube_text_at(step_at(flow, index), "name", NULL);
    const struct json *told = status_of_step(kube_at(after->tree, "status", NULL), name);
    struct sim_flow_step *step = (struct sim_flow_step *)(uintptr_t)&flow->steps[index];
    const struct sim_try *last = find_try(step, kube_int_at(told, 0, "retryCount", NULL));
    if ((last && !last->is_removed) || !is_followed(flow, index, false))
        VIOLATION(checker, "failed", after,
                  "the step %" PRIstr " is said to have ended as another one has begun, and that "
                  "is not so",
                  STR_ARG(name));
}

static void judge_step_status(const struct sim_flow_checker *checker, const struct sim_flow *flow,
                              const struct sim_object *after, size_t index)
{
    struct str name = kube_text_at(step_at(flow, index), "name", NULL);
    const struct json *now = status_of_step(kube_at(after->tree, "status", NULL), name);
    struct str phase = kube_text_at(now, "phase", NULL), before = told_phase(flow, index);
    const struct sim_flow_step *step = &flow->steps[index];
    const struct sim_try *last = last_try(step);
    if (is_step_end(before) && !str_eq(before, phase))
        VIOLATION(checker, "status", after,
                  "the step %" PRIstr " goes from %" PRIstr " to %" PRIstr, STR_ARG(name),
                  STR_ARG(before), STR_ARG(phase));
    if (str_eq(phase, STR("Skipped")) && !str_eq(before, phase))
        judge_skipped(checker, flow, after, index);
    if (str_eq(kube_text_at(now, "reason", NULL), STR("ResultLost")) && !str_eq(before, phase))
        judge_lost(checker, flow, after, index);
    if (!step_is(step_at(flow, index), STR("Job")))
        return;
    if (str_eq(phase, STR("Failed")) && !str_eq(before, phase))
        judge_failed(checker, flow, after, index);
    if (str_eq(phase, STR("Succeeded")) && (!last || last->state != SIM_TRY_COMPLETE))
        VIOLATION(checker, "status", after,
                  "the step %" PRIstr " is said to have succeeded, and no "
                  "Job of it has",
                  STR_ARG(name));
    if (str_eq(phase, STR("Skipped")) && last && !last->is_removed && is_known(checker, last))
        VIOLATION(checker, "status", after,
                  "the step %" PRIstr " is said to be skipped, and has had "
                  "a Job",
                  STR_ARG(name));
    if (kube_int_at(now, 0, "retryCount", NULL) > retry_limit(step_at(flow, index)) &&
        !may_ignore(flow, index))
        VIOLATION(checker, "retries", after, "the step %" PRIstr " was tried again %lld times",
                  STR_ARG(name), (long long)kube_int_at(now, 0, "retryCount", NULL));
}

static void judge_progress(const struct sim_flow_checker *checker, const struct sim_object *after)
{
    const struct json *status = kube_at(after->tree, "status", NULL);
    const struct json *progress = kube_at(status, "progress", NULL);
    int64_t good = 0, bad = 0, done = 0;
    JSON_EACH (step, json_get(status, STR("steps"))) {
        struct str phase = kube_text_at(step, "phase", NULL);
        good += str_eq(phase, STR("Succeeded"));
        bad += str_eq(phase, STR("Failed"));
        done += is_step_end(phase);
    }
    if (!progress || !json_get(status, STR("steps")))
        return;
    if (kube_int_at(progress, 0, "successfulSteps", NULL) != good ||
        kube_int_at(progress, 0, "failedSteps", NULL) != bad ||
        kube_int_at(progress, 0, "completedSteps", NULL) != done)
        VIOLATION(checker, "status", after, "its progress is not what its steps say");
}

/* What the flow's end is said to be, by what its steps are said to be. */
static void judge_end(const struct sim_flow_checker *checker, const struct sim_flow *flow,
                      const struct sim_object *after)
{
    const struct json *status = kube_at(after->tree, "status", NULL);
    bool has_succeeded = str_eq(phase_of(after->tree), STR("Succeeded")), is_bad = false;
    for (size_t i = 0; i < step_count(flow); i++) {
        const struct json *step = step_at(flow, i);
        const struct json *told = status_of_step(status, kube_text_at(step, "name", NULL));
        struct str phase = kube_text_at(told, "phase", NULL);
        const struct sim_try *last = last_try(&flow->steps[i]);
        bool is_failure =
            str_eq(phase, STR("Failed")) && !kube_bool_at(step, "continueOnFailure", NULL);
        is_bad = is_bad || is_failure;
        if (has_started(after->tree) && !is_step_end(phase))
            VIOLATION(checker, "status", after,
                      "has ended while the step %" PRIstr " is \"%" PRIstr "\"",
                      STR_ARG(kube_text_at(step, "name", NULL)), STR_ARG(phase));
        if (last && last->state == SIM_TRY_OPEN && !last->is_suspended && is_known(checker, last))
            VIOLATION(checker, "status", after, "has ended while the step %" PRIstr " runs",
                      STR_ARG(kube_text_at(step, "name", NULL)));
        if (performer_of(checker, flow, i, NULL))
            VIOLATION(checker, "performer", after,
                      "has ended while the Performer of the step %" PRIstr " is there",
                      STR_ARG(kube_text_at(step, "name", NULL)));
    }
    struct str reason = kube_text_at(kube_condition(after->tree, "Failed"), "reason", NULL);
    if (has_succeeded && is_bad)
        VIOLATION(checker, "status", after, "has succeeded with a step that has failed");
    if (str_eq(reason, STR("StepFailed")) && !is_bad)
        VIOLATION(checker, "status", after, "has failed for a step, and none has failed");
    if (kube_text_at(status, "completionTime", NULL).len == 0)
        VIOLATION(checker, "status", after, "has ended without a completionTime");
}

static void judge_lasting(const struct sim_flow_checker *checker, const struct sim_event *event,
                          bool may_be_two_leaders)
{
    static const char *const times[] = {"startTime", "completionTime"};
    struct str before = phase_of(event->before->tree), after = phase_of(event->after->tree);
    if (is_end(before) && !str_eq(before, after))
        VIOLATION(checker, "status", event->after, "goes from %" PRIstr " to %" PRIstr,
                  STR_ARG(before), STR_ARG(after));
    for (size_t i = 0; i < 2 && !may_be_two_leaders; i++) {
        struct str old = kube_text_at(event->before->tree, "status", times[i], NULL);
        if (old.len > 0 && !str_eq(old, kube_text_at(event->after->tree, "status", times[i], NULL)))
            VIOLATION(checker, "status", event->after, "its %s changes", times[i]);
    }
}

/* Equal but for status and what the server writes. */
static bool is_untouched(const struct sim_event *event)
{
    struct arena arena;
    arena_init(&arena, mem_system(), 1 << 14, 1 << 24);
    struct json *both[] = {tree_read(&arena, event->before->text),
                           tree_read(&arena, event->after->text)};
    for (size_t i = 0; i < 2; i++) {
        json_remove(both[i], STR("status"));
        json_remove(json_get(both[i], STR("metadata")), STR("resourceVersion"));
    }
    bool is_equal = json_equal(both[0], both[1]);
    arena_done(&arena);
    return is_equal;
}

static void judge_flow(struct sim_flow_checker *checker, const struct sim_event *event,
                       bool may_be_two_leaders)
{
    const struct sim_object *after = event->after;
    struct sim_flow *flow = find_flow(checker, after->meta.uid);
    if (!event->before || !flow)
        VIOLATION(checker, "foreign", after, "created by a controller");
    if (event->is_deletion || str_is_set(after->meta.deletion_timestamp)) {
        if (!is_end(phase_of(event->before->tree)) &&
            !str_is_set(event->before->meta.deletion_timestamp))
            VIOLATION(checker, "ttl", after, "deleted although it has not ended");
        if (event->is_deletion || !str_is_set(event->before->meta.deletion_timestamp))
            return;
    }
    if (!is_untouched(event))
        VIOLATION(checker, "foreign", after, "a controller has changed more than the status");
    if (after->text.len > STATUS_MAX)
        VIOLATION(checker, "status", after, "the object has %zu bytes", after->text.len);
    judge_lasting(checker, event, may_be_two_leaders);
    judge_progress(checker, after);
    for (size_t i = 0; i < step_count(flow) && !may_be_two_leaders; i++)
        judge_step_status(checker, flow, after, i);
    if (is_end(phase_of(after->tree)) && !is_end(phase_of(event->before->tree)) &&
        !may_be_two_leaders)
        judge_end(checker, flow, after);
    if (!may_be_two_leaders && has_started(after->tree) && !has_started(event->before->tree))
        judge_start(checker, after);
}

/* ---- Children ---- */

/* Of a Job only `suspend` may change, and it may not be deleted, lest its result be lost. */
static void judge_old_job(const struct sim_flow_checker *checker, const struct sim_event *event)
{
    struct arena arena;
    if (event->is_deletion || str_is_set(event->after->meta.deletion_timestamp))
        VIOLATION(checker, "foreign", event->after, "deleted by a controller");
    arena_init(&arena, mem_system(), 1 << 14, 1 << 24);
    struct json *both[] = {tree_read(&arena, event->before->text),
                           tree_read(&arena, event->after->text)};
    for (size_t i = 0; i < 2; i++) {
        json_remove(json_get(both[i], STR("spec")), STR("suspend"));
        json_remove(json_get(both[i], STR("metadata")), STR("resourceVersion"));
        json_remove(json_get(both[i], STR("metadata")), STR("generation"));
    }
    bool is_equal = json_equal(both[0], both[1]);
    arena_done(&arena);
    if (!is_equal)
        VIOLATION(checker, "foreign", event->after, "a controller has changed more than suspend");
}

static void judge_child(struct sim_flow_checker *checker, const struct sim_event *event,
                        bool may_be_two_leaders)
{
    const struct sim_object *judged = event->before ? event->before : event->after;
    if (!find_flow(checker, judged->meta.owner_uid))
        VIOLATION(checker, "foreign", judged, "is no child of a flow, but %s",
                  event->before ? "was changed" : "was created");
    bool is_job = judged->resource->kube == &kube_jobs;
    if (is_job && event->before)
        judge_old_job(checker, event);
    else if (is_job && !may_be_two_leaders)
        judge_new_job(checker, event->after);
    else if (judged->resource->kube == &kube_performers && !may_be_two_leaders)
        judge_new_performer(checker, event->after);
}

void sim_flows_judge(struct sim_flow_checker *checker, const struct sim_event *event,
                     bool may_be_two_leaders)
{
    const struct kube_resource *kube = event->after->resource->kube;
    const struct sim_object *judged = event->before ? event->before : event->after;
    bool is_performer = kube == &kube_performers;
    if (kube == &kube_jobflows)
        judge_flow(checker, event, may_be_two_leaders);
    else if (kube == &kube_jobs || kube == &kube_config_maps || kube == &kube_volume_claims ||
             (is_performer && !event->before))
        judge_child(checker, event, may_be_two_leaders);
    else if (kube != &kube_events && !is_performer && kube != &kube_pods && kube != &kube_services)
        VIOLATION(checker, "foreign", judged, "no controller of ours has a reason to write it");
}

/* ---- The end ---- */

/* "JobFlow blue/flow-1: is "Running": s0 Succeeded, s1 Pending". */
static void describe(const struct sim_flow *flow, char *why, size_t size)
{
    struct str phase = phase_of(flow->last->tree);
    int len = snprintf(why, size, "JobFlow %" PRIstr "/%" PRIstr ": is \"%" PRIstr "\":",
                       STR_ARG(flow->last->meta.namespace), STR_ARG(flow->last->meta.name),
                       STR_ARG(phase));
    JSON_EACH (step, kube_at(flow->last->tree, "status", "steps", NULL)) {
        if (len > 0 && (size_t)len < size)
            len += snprintf(why + len, size - (size_t)len, " %" PRIstr " %" PRIstr,
                            STR_ARG(kube_text_at(step, "name", NULL)),
                            STR_ARG(kube_text_at(step, "phase", NULL)));
    }
}

bool sim_flows_are_settled(const struct sim_flow_checker *checker, char *why, size_t size)
{
    for (size_t i = 0; i < checker->count; i++) {
        const struct sim_flow *flow = &checker->flows[i];
        if (flow->is_gone || is_end(phase_of(flow->last->tree)))
            continue;
        describe(flow, why, size);
        return false;
    }
    return true;
}
