/* The status of a flow, within its bounds. */
#include "controller/flow_parts.h"

#include "base/utf8.h"

/* Between two writes that tell of nothing but progress: those of all active flows together are to be no more
 * than twenty a second, within these bounds. */
#define PROGRESS_MIN_NS  (1 * CLOCK_NS_PER_SEC)
#define PROGRESS_MAX_NS  (10 * CLOCK_NS_PER_SEC)
#define PROGRESS_EACH_NS (50 * CLOCK_NS_PER_MS)

/* What is left out, in this order, of a status that would be too large. */
enum thinness {
    WHOLE,
    SHORT_MESSAGES,
    FEW_MESSAGES, /* of steps that failed alone */
    SHORT_REFERENCES,
    BARE,
    THINNESS_COUNT,
};

enum { SHORT_MESSAGE = 64 };

static void put_time(struct flow_scene *scene, struct json *object, const char *key,
                     int64_t wall_ns)
{
    char text[CLOCK_TEXT_SIZE];
    if (wall_ns <= 0)
        return;
    struct str time = clock_print(wall_ns, CLOCK_SECONDS, text);
    manifest_put_str(&scene->make, object, key,
                     manifest_printf(&scene->make, "%" PRIstr, STR_ARG(time)));
}

/* In a merge patch null removes what was there. */
static void put_time_or_null(struct flow_scene *scene, struct json *object, const char *key,
                             int64_t wall_ns)
{
    if (wall_ns > 0)
        put_time(scene, object, key, wall_ns);
    else
        manifest_put_null(&scene->make, object, str_from_cstr(key));
}

/* ---- Conditions ---- */

struct verdict {
    enum flow_truth truth;
    enum flow_reason reason;
};

static struct verdict judge(const struct flow_situation *s, enum flow_condition condition)
{
    bool is_held =
        s->phase == FLOW_PENDING || s->phase == FLOW_PAUSED || s->phase == FLOW_SUSPENDED;
    bool is_true = false;
    switch (condition) {
    case FLOW_READY:
        is_true = s->phase != FLOW_PENDING && s->phase != FLOW_SUSPENDED && s->phase != FLOW_FAILED;
        break;
    case FLOW_COMPLETED:
        is_true = s->phase == FLOW_SUCCEEDED;
        break;
    case FLOW_HAS_FAILED:
        is_true = s->phase == FLOW_FAILED;
        break;
    case FLOW_BLOCKED:
        is_true = is_held && s->reason != FLOW_REASON_WAITING;
        break;
    case FLOW_CONDITION_COUNT:
        break;
    }
    return (struct verdict){is_true ? FLOW_TRUE : FLOW_FALSE, s->reason};
}

static struct json *condition_json(struct flow_scene *scene, const struct flow_situation *s, int i)
{
    struct manifest *m = &scene->make;
    const struct flow_object *flow = scene->flow;
    struct verdict verdict = judge(s, (enum flow_condition)i);
    bool is_same = flow->conditions[i].truth == verdict.truth && flow->conditions[i].since_ns > 0;
    struct json *json = manifest_object(m);
    manifest_put_str(m, json, "type", str_from_cstr(flow_condition_name((enum flow_condition)i)));
    manifest_put_str(m, json, "status", verdict.truth == FLOW_TRUE ? STR("True") : STR("False"));
    manifest_put_int(m, json, "observedGeneration", flow->stored.generation);
    put_time(scene, json, "lastTransitionTime",
             is_same ? flow->conditions[i].since_ns : scene->now.wall_ns);
    manifest_put_str(m, json, "reason", str_from_cstr(flow_reason_name(verdict.reason)));
    manifest_put_str(m, json, "message",
                     s->message.len > 0 ? utf8_cut(s->message, FLOW_MESSAGE_MAX) : STR(""));
    return json;
}

/* ---- Steps ---- */

static void put_reference(struct flow_scene *scene, struct json *json, uint32_t i)
{
    struct manifest *m = &scene->make;
    const struct flow_book *book = scene->book;
    bool is_performer = book->run.steps[i].type == STEP_PERFORMER;
    const struct kube_resource *resource = is_performer ? &kube_performers : &kube_jobs;
    const struct flow_job *job = is_performer ? NULL : flow_job_of(scene, i);
    const struct stored *child = is_performer ? flow_performer_of(scene, i)
                                 : job        ? &job->stored
                                              : NULL;
    struct json *reference = manifest_put_object(m, json, "jobRef");
    manifest_put_str(m, reference, "name", flow_child_of(scene, i));
    if (book->thinness >= SHORT_REFERENCES)
        return;
    manifest_put_str(m, reference, "apiVersion",
                     manifest_printf(m, "%s/%s", resource->group, resource->version));
    manifest_put_str(m, reference, "kind", str_from_cstr(resource->kind));
    manifest_put_str(m, reference, "namespace", scene->flow->stored.namespace);
    if (child)
        manifest_put_str(m, reference, "uid", child->uid);
}

static void put_message(struct flow_scene *scene, struct json *json, uint32_t i)
{
    const struct flow_book *book = scene->book;
    struct str message = book->words[i].message;
    bool has_failed = book->run.steps[i].phase == STEP_FAILED;
    if (message.len == 0 || book->thinness >= BARE ||
        (book->thinness >= FEW_MESSAGES && !has_failed))
        return;
    manifest_put_str(
        &scene->make, json, "message",
        utf8_cut(message, book->thinness >= SHORT_MESSAGES ? SHORT_MESSAGE : FLOW_MESSAGE_MAX));
}

static struct json *step_json(struct flow_scene *scene, uint32_t i)
{
    struct manifest *m = &scene->make;
    const struct flow_book *book = scene->book;
    const struct run_step *step = &book->run.steps[i];
    bool has_child = step->type != STEP_MANUAL && step->start_ns > 0;
    struct json *json = manifest_object(m);
    manifest_put_str(m, json, "name", book->results[i].name);
    manifest_put_str(m, json, "phase", scope_phases[step->phase]);
    if (step->reason != FLOW_REASON_NONE)
        manifest_put_str(m, json, "reason", str_from_cstr(flow_reason_name(step->reason)));
    put_message(scene, json, i);
    put_time(scene, json, "startTime", step->start_ns);
    put_time(scene, json, "completionTime", step->end_ns);
    if (has_child && book->thinness < BARE)
        put_reference(scene, json, i);
    if (json_first(book->results[i].outputs))
        manifest_put(m, json, "outputs", manifest_copy(m, book->results[i].outputs));
    if (step->attempt > 0 || step->is_retrying)
        manifest_put_int(m, json, "retryCount", (int64_t)step->attempt + step->is_retrying);
    if (step->is_retrying)
        put_time(scene, json, "nextRetryTime", step->due_ns);
    manifest_put_str(m, json, "approvedBy", book->words[i].approved_by);
    return json;
}

/* ---- The estimate ---- */

/* When a step may begin that depends on nothing open, and how long it may take from then on. */
static int64_t ends_at(const struct flow_scene *scene, const struct run_step *step, int64_t from_ns,
                       int64_t mean_ns)
{
    int64_t now_ns = scene->now.wall_ns;
    if (step->phase == STEP_RUNNING) {
        int64_t at_ns = step->start_ns + mean_ns;
        return at_ns > now_ns ? at_ns : now_ns;
    }
    if (step->is_retrying && step->due_ns > from_ns)
        from_ns = step->due_ns;
    return from_ns + mean_ns;
}

/* The longest way through what is open, in the order of the graph; 0 without memory. */
static int64_t longest_way(struct flow_scene *scene, uint32_t from, uint32_t to, int64_t begin_ns,
                           int64_t mean_ns)
{
    const struct flow_run *run = &scene->book->run;
    uint32_t count = to - from, head = 0, tail = 0;
    int64_t *starts = ARENA_NEW_ARRAY(scene->plan->arena, int64_t, count), last_ns = begin_ns;
    uint32_t *waiting = ARENA_NEW_ARRAY(scene->plan->arena, uint32_t, count);
    uint32_t *order = ARENA_NEW_ARRAY(scene->plan->arena, uint32_t, count);
    if (!starts || !waiting || !order)
        return 0;
    for (uint32_t i = from; i < to; i++) {
        starts[i - from] = begin_ns;
        waiting[i - from] = run->steps[i].waiting;
        if (!run_step_has_ended(&run->steps[i]) && run->steps[i].waiting == 0)
            order[tail++] = i;
    }
    while (head < tail) {
        uint32_t i = order[head++];
        int64_t end_ns = ends_at(scene, &run->steps[i], starts[i - from], mean_ns);
        last_ns = end_ns > last_ns ? end_ns : last_ns;
        for (const uint32_t *d = dag_begin(&run->dependents, i); d < dag_end(&run->dependents, i);
             d++) {
            if (starts[*d - from] < end_ns)
                starts[*d - from] = end_ns;
            if (--waiting[*d - from] == 0)
                order[tail++] = *d;
        }
    }
    return last_ns;
}

static int64_t estimate_ns(struct flow_scene *scene, const struct flow_situation *s)
{
    const struct flow_book *book = scene->book;
    const struct flow_run *run = &book->run;
    if (s->phase != FLOW_RUNNING || book->took_count == 0)
        return 0;
    int64_t mean_ns = book->took_ns / book->took_count;
    int64_t main_ns = longest_way(scene, 0, run->main_count, scene->now.wall_ns, mean_ns);
    return longest_way(scene, run->main_count, run->count, main_ns, mean_ns);
}

/* ---- The whole ---- */

static void put_audit(struct flow_scene *scene, struct json *status)
{
    struct manifest *m = &scene->make;
    const struct flow_object *flow = scene->flow;
    if (flow->initiated_by.len == 0 && flow->correlation_id.len == 0)
        return;
    struct json *audit = manifest_put_object(m, status, "audit");
    if (flow->initiated_by.len > 0) {
        bool is_program = str_starts_with(flow->initiated_by, STR("system:serviceaccount:"));
        struct json *by = manifest_put_object(m, audit, "initiatedBy");
        manifest_put_str(m, by, "user", flow->initiated_by);
        manifest_put_str(m, by, "type", is_program ? STR("ServiceAccount") : STR("User"));
    }
    manifest_put_str(m, audit, "correlationID", flow->correlation_id);
}

static void put_resources(struct flow_scene *scene, struct json *status)
{
    struct manifest *m = &scene->make;
    const struct flow_book *book = scene->book;
    struct flow_resource resource;
    if (book->resource_count == 0)
        return;
    struct json *list = manifest_put_list(m, status, "resourceRefs");
    for (size_t i = 0; flow_resource_at(&book->object->spec.resources, i, &resource); i++) {
        if (!book->resources[i].is_made)
            continue;
        struct json *reference = manifest_object(m);
        manifest_put_str(m, reference, "apiVersion", str_from_cstr(resource.resource->version));
        manifest_put_str(m, reference, "kind", str_from_cstr(resource.resource->kind));
        manifest_put_str(m, reference, "name", resource.name);
        manifest_put_str(m, reference, "namespace", scene->flow->stored.namespace);
        manifest_put_str(m, reference, "uid", book->resources[i].uid);
        manifest_append(m, list, reference);
    }
}

static uint32_t completed(const struct flow_run *run)
{
    return run->phases[STEP_SUCCEEDED] + run->phases[STEP_FAILED] + run->phases[STEP_SKIPPED];
}

static void put_progress(struct flow_scene *scene, struct json *status)
{
    struct manifest *m = &scene->make;
    const struct flow_book *book = scene->book;
    struct json *progress = manifest_put_object(m, status, "progress");
    manifest_put_int(m, progress, "completedSteps", book ? completed(&book->run) : 0);
    manifest_put_int(m, progress, "totalSteps", scene->flow->count);
    manifest_put_int(m, progress, "successfulSteps", book ? book->run.phases[STEP_SUCCEEDED] : 0);
    manifest_put_int(m, progress, "failedSteps", book ? book->run.phases[STEP_FAILED] : 0);
}

static struct json *status_json(struct flow_scene *scene, const struct flow_situation *s)
{
    struct manifest *m = &scene->make;
    const struct flow_book *book = scene->book;
    bool has_ended = s->phase == FLOW_SUCCEEDED || s->phase == FLOW_FAILED;
    struct json *status = manifest_object(m);
    manifest_put_str(m, status, "phase", str_from_cstr(flow_phase_name(s->phase)));
    struct json *list = manifest_put_list(m, status, "conditions");
    for (int i = 0; i < FLOW_CONDITION_COUNT; i++)
        manifest_append(m, list, condition_json(scene, s, i));
    manifest_put_int(m, status, "observedGeneration", scene->flow->stored.generation);
    put_time(scene, status, "startTime", book ? book->start_ns : 0);
    put_time(scene, status, "completionTime", has_ended ? scene->now.wall_ns : 0);
    put_time_or_null(scene, status, "estimatedCompletionTime", book ? estimate_ns(scene, s) : 0);
    if (book) {
        struct json *steps = manifest_put_list(m, status, "steps");
        for (uint32_t i = 0; i < book->run.count; i++)
            manifest_append(m, steps, step_json(scene, i));
        put_resources(scene, status);
    }
    put_progress(scene, status);
    put_audit(scene, status);
    return status;
}

static size_t size_of(struct flow_scene *scene, const struct json *status)
{
    struct buf buf;
    buf_init(&buf, scene->controller->mem, MANIFEST_TEXT_MAX);
    json_write(&buf, status);
    size_t size = buf.len;
    scene->make.failed = scene->make.failed || buf_failed(&buf);
    buf_done(&buf);
    return size;
}

static struct json *fitting_status(struct flow_scene *scene, const struct flow_situation *s)
{
    struct json *status = status_json(scene, s);
    struct flow_book *book = scene->book;
    /* What a step takes at most, its message and outputs aside, so that most flows need no measuring. */
    enum { STEP_SIZE_MAX = 640 };
    if (!book || (size_t)book->run.count * (STEP_SIZE_MAX + FLOW_MESSAGE_MAX) + book->output_bytes <
                     FLOW_STATUS_MAX / 2)
        return status;
    while (!scene->make.failed && book->thinness + 1 < THINNESS_COUNT &&
           size_of(scene, status) > FLOW_STATUS_MAX) {
        book->thinness++;
        status = status_json(scene, s);
    }
    return status;
}

static void write_now(struct flow_scene *scene, const struct flow_situation *s)
{
    struct json *patch = manifest_object(&scene->make);
    manifest_put(&scene->make, patch, "status", fitting_status(scene, s));
    scene->writes_status = true;
    flow_patch_status(scene, patch, "write status");
}

/* Of a flow that has not started: only when it says something else. */
static void write_without_steps(struct flow_scene *scene, const struct flow_situation *s)
{
    const struct flow_object *flow = scene->flow;
    if (flow->phase != s->phase || flow->conditions[FLOW_BLOCKED].reason != s->reason ||
        flow->observed_generation != flow->stored.generation)
        write_now(scene, s);
}

static bool is_behind(const struct flow_scene *scene, const struct flow_situation *s)
{
    const struct flow_book *book = scene->book;
    const struct flow_object *flow = scene->flow;
    return book->changes != book->written || flow->phase != s->phase ||
           flow->observed_generation != flow->stored.generation ||
           flow->conditions[FLOW_READY].reason != s->reason ||
           flow->completed != completed(&book->run);
}

int64_t flow_progress_ns(const struct flow_scene *scene)
{
    int64_t active = (int64_t)flow_gate_active(scene->controller->gate);
    int64_t ns =
        active < PROGRESS_MAX_NS / PROGRESS_EACH_NS ? active * PROGRESS_EACH_NS : PROGRESS_MAX_NS;
    return ns > PROGRESS_MIN_NS ? ns : PROGRESS_MIN_NS;
}

/* How long nobody misses what there is to tell; the phase is not told later than now. */
static int64_t wait_ns(struct flow_scene *scene, const struct flow_situation *s)
{
    struct flow_book *book = scene->book;
    int64_t now_ns = scene->now.now_ns;
    bool is_awaited = book->run.is_finally && !book->is_finally_told;
    if (book->planned_phase != s->phase || book->planned_ns == 0 || is_awaited)
        return 0;
    if (book->behind_ns == 0)
        book->behind_ns = now_ns;
    int64_t every_ns = flow_has_news(book) ? PROGRESS_MIN_NS : flow_progress_ns(scene);
    /* The end of a step is told with the beginning of the next one. */
    int64_t at_ns = book->planned_ns + every_ns, gathered_ns = book->behind_ns + every_ns / 2;
    return (at_ns > gathered_ns ? at_ns : gathered_ns) - now_ns;
}

bool flow_status_write(struct flow_scene *scene, const struct flow_situation *s)
{
    struct flow_book *book = scene->book;
    if (!book) {
        write_without_steps(scene, s);
        return true;
    }
    if (!is_behind(scene, s))
        return true;
    /* The second would meet the first one's version. */
    if (scene->writes_status) {
        flow_again_after(scene, 0);
        return false;
    }
    int64_t left_ns = wait_ns(scene, s);
    if (left_ns > 0) {
        flow_again_after(scene, left_ns);
        return false;
    }
    book->planned = book->changes;
    book->planned_phase = s->phase;
    book->planned_ns = scene->now.now_ns;
    book->is_finally_planned = book->run.is_finally;
    book->behind_ns = 0;
    write_now(scene, s);
    return true;
}
