/* The run of a flow, from the object and its Jobs. */
#include "controller/flow_parts.h"

#include "base/hash.h"
#include "json/path.h"

enum {
    BOOK_BLOCK = 2 * 1024,
    BOOK_MAX = 64 * 1024 * 1024,
    STEP_BLOCK = 8 * 1024,
    TEXT_MAX = 1024 * 1024,
};

/* What loading needs besides. */
struct loading {
    struct flow_book *book;
    const struct flow_scene *scene;
    const struct flow_object *flow;
    struct arena all;  /* while it lasts */
    struct arena step; /* for one step after the other */
    struct dag_edge *edges;
    uint32_t edge_count;
    size_t dependency_count;
    struct dag dag;
    struct err *err;
};

/* ---- Reading ---- */

static int unreadable(struct err *err, const char *what)
{
    return err_set(err, 422, "%s; was it created while the webhook was not asked?", what);
}

/* {"spec": spec} as the table of the kind has it. */
static struct jobflow *decode(struct arena *arena, struct json *spec, struct err *err)
{
    struct json *object = json_new(arena, JSON_OBJECT);
    struct jobflow *ret = ARENA_NEW(arena, struct jobflow);
    if (!object || !ret || !json_set(object, STR("spec"), spec) ||
        !schema_decode(jobflow_kind.schema, object, ret, arena)) {
        err_no_memory(err, "reading a flow");
        return NULL;
    }
    return ret;
}

static const struct flow_step *read_step(struct arena *arena, struct str text, struct err *err)
{
    struct json *step = json_read(arena, text, &json_limits_default, err);
    struct json *spec = json_new(arena, JSON_OBJECT), *list = json_new(arena, JSON_ARRAY);
    if (!step)
        return NULL;
    if (!spec || !list || !json_append(list, step) || !json_set(spec, STR("steps"), list)) {
        err_no_memory(err, "reading a step");
        return NULL;
    }
    const struct jobflow *object = decode(arena, spec, err);
    if (object && object->spec.steps.count != 1) {
        unreadable(err, "a step is no object");
        return NULL;
    }
    return object ? object->spec.steps.items : NULL;
}

static struct str text_of(const struct flow_book *book, const struct flow_object *flow,
                          uint32_t step)
{
    return (struct str){flow->steps.ptr + book->offsets[step],
                        book->offsets[step + 1] - book->offsets[step] - 1};
}

const struct flow_step *flow_step_of(struct flow_scene *scene, uint32_t i)
{
    struct err err;
    if (scene->step && scene->step_index == i)
        return scene->step;
    /* Views lead into the text, which is the cache's. */
    struct str text = arena_copy(scene->plan->arena, text_of(scene->book, scene->flow, i));
    const struct flow_step *step =
        str_is_set(text) ? read_step(scene->plan->arena, text, &err) : NULL;
    scene->make.failed = scene->make.failed || !step;
    scene->step = step;
    scene->step_index = i;
    return step;
}

/* ---- Keeping ---- */

void flow_keep_words(const struct flow_book *book, struct str *to, struct str text)
{
    char *copy = NULL;
    if (str_eq(*to, text))
        return;
    if (text.len > 0)
        copy = mem_alloc(book->mem, text.len);
    mem_free(book->mem, (void *)(uintptr_t)to->ptr, to->len);
    *to = (struct str){NULL, 0};
    if (copy)
        *to = (struct str){memcpy(copy, text.ptr, text.len), text.len};
}

const struct json *flow_keep_json(struct flow_book *book, const struct json *value)
{
    struct buf buf;
    struct err err;
    buf_init(&buf, book->mem, TEXT_MAX);
    json_write(&buf, value);
    struct str text = {NULL, 0};
    if (!buf_failed(&buf))
        text = arena_copy(&book->arena, buf_str(&buf));
    buf_done(&buf);
    return str_is_set(text) ? json_read(&book->arena, text, &json_limits_default, &err) : NULL;
}

static enum flow_reason tale_of(const struct run_step *step)
{
    if (step->phase == STEP_SKIPPED)
        return FLOW_REASON_STEP_SKIPPED;
    if (step->phase == STEP_FAILED)
        return step->reason == FLOW_REASON_REJECTED ? FLOW_REASON_NONE : FLOW_REASON_STEP_FAILED;
    return step->reason == FLOW_REASON_APPROVED ? FLOW_REASON_NONE : FLOW_REASON_STEP_SUCCEEDED;
}

/* What is restored has been told and counted. */
static void tell_end(struct flow_book *book, uint32_t i)
{
    static const char *const types[] = {"Job", "Manual", "Performer"};
    struct run_step *step = &book->run.steps[i];
    const struct flow_metrics *m = book->metrics;
    enum flow_reason tale = tale_of(step);
    if (step->end_ns == 0)
        step->end_ns = book->scene->now.wall_ns;
    if (tale != FLOW_REASON_NONE)
        flow_tell_step(book, tale, i);
    if (!m)
        return;
    counter_add(counter_of(m->steps, METRICS_VALUES(scope_phases[step->phase])), 1);
    if (step->start_ns > 0 && step->end_ns >= step->start_ns)
        histogram_observe(
            histogram_of(m->step_times, METRICS_VALUES(str_from_cstr(types[step->type]))),
            (double)(step->end_ns - step->start_ns) / (double)CLOCK_NS_PER_SEC);
}

void flow_book_end(void *ctx, uint32_t i)
{
    struct flow_book *book = ctx;
    const struct run_step *step = &book->run.steps[i];
    book->results[i].phase = scope_phases[step->phase];
    book->changes++;
    /* A retry that is not taken is left for others. */
    book->retries -= step->is_retrying && !step->is_free;
    if (step->phase == STEP_SUCCEEDED && step->start_ns > 0 && step->end_ns >= step->start_ns) {
        book->took_ns += step->end_ns - step->start_ns;
        book->took_count++;
    }
    if (book->scene)
        tell_end(book, i);
}

/* ---- The steps ---- */

static bool find_lines(struct flow_book *book, const struct flow_object *flow)
{
    const char *at = flow->steps.ptr, *end = at + flow->steps.len;
    for (uint32_t i = 0; i < flow->count; i++) {
        book->offsets[i] = (uint32_t)(at - flow->steps.ptr);
        at = memchr(at, '\n', (size_t)(end - at));
        if (!at)
            return false;
        at++;
    }
    book->offsets[flow->count] = (uint32_t)flow->steps.len;
    return true;
}

static const struct flow_step *next_step(struct loading *l, uint32_t i)
{
    arena_reset(&l->step);
    return read_step(&l->step, text_of(l->book, l->flow, i), l->err);
}

static int read_names(struct loading *l)
{
    struct flow_book *book = l->book;
    for (uint32_t i = 0; i < l->flow->count; i++) {
        const struct flow_step *step = next_step(l, i);
        if (!step)
            return -1;
        struct str name = arena_copy(&book->arena, step->name);
        if (!str_is_set(name))
            return err_no_memory(l->err, "reading a flow");
        book->results[i] = (struct flow_result){.name = name, .phase = scope_phases[STEP_PENDING]};
        l->dependency_count += step->dependencies ? step->dependencies->len : 0;
    }
    if (!flow_values_init(&book->values, &book->arena, book->object->spec.parameters, book->results,
                          l->flow->count))
        return err_no_memory(l->err, "reading a flow");
    return 0;
}

uint32_t flow_book_find(const struct flow_book *book, struct str name)
{
    const uint32_t *by_name = book->values.by_name;
    uint32_t low = 0, high = book->run.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (str_cmp(book->results[by_name[middle]].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool is_found = low < book->run.count && str_eq(book->results[by_name[low]].name, name);
    return is_found ? by_name[low] : RUN_NONE;
}

static int read_edges(struct loading *l, uint32_t i, const struct flow_step *step)
{
    JSON_EACH (dependency, step->dependencies) {
        uint32_t to = flow_book_find(l->book, json_str(dependency));
        bool is_here = (i < l->flow->main_count) == (to < l->flow->main_count);
        if (to == RUN_NONE || !is_here)
            return unreadable(l->err, "a step depends on one that it cannot depend on");
        l->edges[l->edge_count++] = (struct dag_edge){.from = i, .to = to};
    }
    return 0;
}

/* Whose Jobs are read: "STEP:$.…", and one's own but for the termination message. */
static void mark_read(struct loading *l, uint32_t i, const struct json *parameters)
{
    JSON_EACH (parameter, parameters) {
        struct str step, path = json_str(json_path(parameter, "valueFrom", "jsonPath", NULL));
        uint32_t of = i;
        if (path.len > 0 && path.ptr[0] != '$' && str_cut(path, ':', &step, &path))
            of = flow_book_find(l->book, step);
        if (path.len > 0 && of != RUN_NONE &&
            (of != i || !json_path_begins(path, STR("terminationMessage"))))
            l->book->run.steps[of].is_read = true;
    }
}

static int read_graph(struct loading *l)
{
    struct arena *arena = &l->all;
    l->edges = ARENA_NEW_ARRAY(arena, struct dag_edge, l->dependency_count);
    l->book->run.count = l->flow->count; /* for flow_book_find() */
    for (uint32_t i = 0; l->edges && i < l->flow->count; i++) {
        const struct flow_step *step = next_step(l, i);
        if (!step || read_edges(l, i, step) < 0)
            return -1;
    }
    uint32_t *order = ARENA_NEW_ARRAY(arena, uint32_t, l->flow->count), ordered;
    if (!l->edges || !order ||
        !dag_build(arena, l->flow->count, l->edges, l->edge_count, &l->dag) ||
        !dag_order(arena, &l->dag, order, &ordered) ||
        !flow_run_init(&l->book->run, &l->book->arena, l->flow->count, l->flow->main_count,
                       &l->dag))
        return err_no_memory(l->err, "reading a flow");
    return ordered == l->flow->count ? 0 : unreadable(l->err, "its steps depend on each other");
}

static enum step_type type_of(const struct flow_step *step)
{
    if (str_eq(step->type, STR("Manual")))
        return STEP_MANUAL;
    return str_eq(step->type, STR("Performer")) ? STEP_PERFORMER : STEP_JOB;
}

static int read_flags(struct loading *l)
{
    for (uint32_t i = 0; i < l->flow->count; i++) {
        const struct flow_step *step = next_step(l, i);
        struct run_step *to = &l->book->run.steps[i];
        if (!step)
            return -1;
        to->type = type_of(step);
        to->continues = step->continue_on_failure;
        to->timeout_s = step->timeout_seconds.is_set ? (uint32_t)step->timeout_seconds.value : 0;
        to->has_when = str_trim(step->when).len > 0;
        to->name_max = (uint8_t)flow_child_name_max(step);
        mark_read(l, i, step->inputs.parameters);
        mark_read(l, i, step->outputs.parameters);
    }
    return 0;
}

/* ---- What has become of it ---- */

static enum step_phase phase_of(struct str name)
{
    for (size_t i = 0; i < scope_phase_count; i++) {
        if (str_eq(name, scope_phases[i]))
            return (enum step_phase)i;
    }
    return STEP_PENDING;
}

/* The step that an entry of status.steps is about: in the order of the steps, as we write them. */
static uint32_t step_of_result(const struct flow_book *book, const struct json *result,
                               uint32_t place)
{
    struct str name = kube_text_at(result, "name", NULL);
    if (place < book->run.count && str_eq(book->results[place].name, name))
        return place;
    return flow_book_find(book, name);
}

static bool restore_facts(struct flow_book *book, uint32_t i, const struct json *result)
{
    struct run_step *step = &book->run.steps[i];
    const struct json *outputs = json_get(result, STR("outputs"));
    int64_t count = kube_int_at(result, 0, "retryCount", NULL);
    step->attempt = count > 0 && count <= INT32_MAX ? (uint32_t)count : 0;
    step->reason = flow_reason_find(kube_text_at(result, "reason", NULL));
    step->start_ns = flow_time_of(kube_text_at(result, "startTime", NULL));
    step->end_ns = flow_time_of(kube_text_at(result, "completionTime", NULL));
    step->due_ns = flow_time_of(kube_text_at(result, "nextRetryTime", NULL));
    flow_keep_words(book, &book->words[i].message, kube_text_at(result, "message", NULL));
    flow_keep_words(book, &book->words[i].approved_by, kube_text_at(result, "approvedBy", NULL));
    if (json_first(outputs))
        book->results[i].outputs = flow_keep_json(book, outputs);
    return !json_first(outputs) || book->results[i].outputs;
}

/* When a step of ours to watch has to end. The beginning of a later attempt is not in the status: it has its
 * whole time again. */
static int64_t due_of(const struct loading *l, const struct run_step *step)
{
    int64_t from_ns = step->attempt > 0 ? l->scene->now.wall_ns : step->start_ns;
    return step->timeout_s > 0 ? from_ns + step->timeout_s * CLOCK_NS_PER_SEC : 0;
}

/* Those that have begun first, so that the end of another one does not skip them. */
static void restore_begun(const struct loading *l, uint32_t i, enum step_phase phase)
{
    struct flow_book *book = l->book;
    struct run_step *step = &book->run.steps[i];
    bool is_ours = phase == STEP_PENDING_APPROVAL || step->type == STEP_PERFORMER;
    if (is_ours && (phase == STEP_RUNNING || phase == STEP_PENDING_APPROVAL))
        step->due_ns = due_of(l, step);
    if (phase == STEP_RUNNING) {
        flow_run_put(&book->run, i, step->type == STEP_PERFORMER ? RUN_WATCHED : RUN_RUNNING,
                     STEP_RUNNING);
        flow_run_touch(&book->run, i);
    } else if (phase == STEP_PENDING_APPROVAL) {
        flow_run_put(&book->run, i, RUN_WATCHED, STEP_PENDING_APPROVAL);
    } else if (phase == STEP_PENDING && step->attempt > 0) {
        /* Also when its time had come and the try was not made, or is not known of. */
        if (step->due_ns == 0)
            step->due_ns = l->scene->now.wall_ns;
        step->attempt--;
        step->is_retrying = true;
        book->retries++;
        flow_run_put(&book->run, i, RUN_WATCHED, STEP_PENDING);
    } else if (phase != STEP_PENDING) {
        flow_run_mark(&book->run, i);
    }
}

static int restore_results(struct loading *l, uint8_t *phases)
{
    struct flow_book *book = l->book;
    uint32_t place = 0;
    const struct json *results = NULL;
    if (str_is_set(l->flow->results)) {
        results = json_read(&l->all, l->flow->results, &json_limits_default, l->err);
        if (!results)
            return -1;
    }
    JSON_EACH (result, results) {
        uint32_t i = step_of_result(book, result, place++);
        if (i == RUN_NONE)
            continue;
        phases[i] = (uint8_t)phase_of(kube_text_at(result, "phase", NULL));
        if (!restore_facts(book, i, result))
            return err_no_memory(l->err, "reading a flow");
        restore_begun(l, i, (enum step_phase)phases[i]);
    }
    return 0;
}

/* Jobs that the status does not tell of yet, because it is written less often. */
static void restore_jobs(struct loading *l, const uint8_t *phases)
{
    struct flow_book *book = l->book;
    const struct stored *stored =
        store_first_owned(l->scene->controller->jobs, l->flow->stored.uid);
    for (; stored; stored = store_next_owned(stored)) {
        const struct flow_job *job = (const struct flow_job *)stored;
        uint32_t i = str_is_set(job->step) ? flow_book_find(book, job->step) : RUN_NONE;
        if (i == RUN_NONE || job->attempt < 0 || job->attempt > INT32_MAX)
            continue;
        struct run_step *step = &book->run.steps[i];
        bool has_ended =
            phases[i] == STEP_SUCCEEDED || phases[i] == STEP_FAILED || phases[i] == STEP_SKIPPED;
        bool is_newer =
            job->attempt > step->attempt || (job->attempt == step->attempt && !step->is_retrying);
        if (has_ended || step->type != STEP_JOB || !is_newer)
            continue;
        book->retries -= step->is_retrying;
        step->is_retrying = false;
        step->attempt = (uint32_t)job->attempt;
        if (step->start_ns == 0 || step->start_ns > job->created_ns)
            step->start_ns = job->created_ns;
        step->is_seen = true;
        flow_run_put(&book->run, i, RUN_RUNNING, STEP_RUNNING);
        flow_run_touch(&book->run, i);
    }
}

/* The same with Performers, whose names tell the try. */
static int restore_performers(struct loading *l, const uint8_t *phases)
{
    struct flow_book *book = l->book;
    for (uint32_t i = 0; i < book->run.count; i++) {
        struct run_step *step = &book->run.steps[i];
        if (step->type != STEP_PERFORMER || phases[i] != STEP_PENDING)
            continue;
        int64_t attempt = (int64_t)step->attempt + step->is_retrying;
        struct str name = flow_child_name(&l->all, &l->scene->owner, book->results[i].name,
                                          step->name_max, attempt);
        if (!str_is_set(name))
            return err_no_memory(l->err, "reading a flow");
        const struct stored *stored =
            store_get(l->scene->controller->performers, l->flow->stored.namespace, name);
        if (!stored || !str_eq(stored->owner_uid, l->flow->stored.uid))
            continue;
        book->retries -= step->is_retrying;
        step->is_retrying = false;
        step->attempt = (uint32_t)attempt;
        if (step->start_ns == 0)
            step->start_ns = l->scene->now.wall_ns;
        step->due_ns = due_of(l, step);
        flow_run_put(&book->run, i, RUN_WATCHED, STEP_RUNNING);
    }
    return 0;
}

/* Why the flow was stopped, while its steps of `finally` run: its steps tell. */
static void restore_stop(struct flow_book *book)
{
    bool was_stopped = false;
    for (uint32_t i = 0; i < book->run.main_count; i++) {
        enum flow_reason reason = book->run.steps[i].reason;
        if (!run_step_has_ended(&book->run.steps[i]))
            continue;
        if (reason == FLOW_REASON_DEADLINE_EXCEEDED || reason == FLOW_REASON_REPLACED)
            book->abort = reason;
        was_stopped = was_stopped || reason == FLOW_REASON_FLOW_FAILED;
    }
    if (book->abort == FLOW_REASON_NONE && was_stopped && !book->run.has_failed)
        book->failure = FLOW_REASON_RESOURCE_REFUSED;
    if (book->abort == FLOW_REASON_NONE && book->failure == FLOW_REASON_NONE)
        return;
    book->run.has_failed = true;
    flow_run_stop(&book->run,
                  book->abort != FLOW_REASON_NONE ? book->abort : FLOW_REASON_FLOW_FAILED);
}

/* A step begins when all that it depends on have ended. How these did may not have been told yet, and their Jobs,
 * which would tell it, may be gone: they are not run again behind its back. */
static int mark_followed(struct loading *l)
{
    struct run_step *steps = l->book->run.steps;
    uint32_t *stack = ARENA_NEW_ARRAY(&l->all, uint32_t, l->flow->count), depth = 0;
    if (!stack)
        return err_no_memory(l->err, "reading a flow");
    for (uint32_t i = 0; i < l->flow->count; i++) {
        if (steps[i].start_ns > 0)
            stack[depth++] = i;
    }
    while (depth > 0) {
        uint32_t i = stack[--depth];
        for (const uint32_t *d = dag_begin(&l->dag, i); d < dag_end(&l->dag, i); d++) {
            if (!steps[*d].is_followed && steps[*d].start_ns == 0)
                stack[depth++] = *d;
            steps[*d].is_followed = true;
        }
    }
    return 0;
}

static int restore(struct loading *l)
{
    struct flow_book *book = l->book;
    uint8_t *phases = ARENA_NEW_ARRAY(&l->all, uint8_t, l->flow->count);
    if (!phases)
        return err_no_memory(l->err, "reading a flow");
    if (restore_results(l, phases) < 0)
        return -1;
    restore_jobs(l, phases);
    if (restore_performers(l, phases) < 0 || mark_followed(l) < 0)
        return -1;
    for (uint32_t i = 0; i < book->run.count; i++) {
        enum step_phase phase = (enum step_phase)phases[i];
        book->retries += book->run.steps[i].attempt;
        if (phase == STEP_SUCCEEDED || phase == STEP_FAILED || phase == STEP_SKIPPED)
            flow_run_end(&book->run, i, phase, book->run.steps[i].reason);
        if (phase == STEP_FAILED)
            flow_run_touch(&book->run, i); /* its Job may run all the same */
    }
    restore_stop(book);
    flow_run_begin(&book->run);
    book->is_finally_told = book->run.is_finally;
    return 0;
}

/* ---- Resources ---- */

static int restore_resources(struct loading *l)
{
    struct flow_book *book = l->book;
    const struct flow_resources *resources = &book->object->spec.resources;
    const struct json *refs = NULL;
    book->resource_count = flow_resource_count(resources);
    book->resources = ARENA_NEW_ARRAY(&book->arena, struct flow_made, book->resource_count);
    if (!book->resources)
        return err_no_memory(l->err, "reading a flow");
    if (str_is_set(l->flow->resources)) {
        refs = json_read(&l->all, l->flow->resources, &json_limits_default, l->err);
        if (!refs)
            return -1;
    }
    struct flow_resource resource;
    for (size_t i = 0; flow_resource_at(resources, i, &resource); i++) {
        JSON_EACH (ref, refs) {
            if (!str_eq(kube_text_at(ref, "name", NULL), resource.name) ||
                !str_eq_cstr(kube_text_at(ref, "kind", NULL), resource.resource->kind))
                continue;
            book->resources[i].is_made = true;
            book->resources[i].uid = arena_copy(&book->arena, kube_text_at(ref, "uid", NULL));
        }
    }
    return 0;
}

/* ---- All of it ---- */

static int load(struct loading *l)
{
    struct flow_book *book = l->book;
    struct arena *arena = &book->arena;
    struct str text = arena_copy(arena, l->flow->head);
    struct json *head =
        str_is_set(text) ? json_read(arena, text, &json_limits_default, l->err) : NULL;
    if (!head)
        return str_is_set(text) ? -1 : err_no_memory(l->err, "reading a flow");
    book->object = decode(arena, head, l->err);
    book->results = ARENA_NEW_ARRAY(arena, struct flow_result, l->flow->count);
    book->offsets = ARENA_NEW_ARRAY(arena, uint32_t, (size_t)l->flow->count + 1);
    book->words = ARENA_NEW_ARRAY(arena, struct flow_words, l->flow->count);
    if (!book->object || !book->results || !book->offsets || !book->words)
        return err_no_memory(l->err, "reading a flow");
    if (!find_lines(book, l->flow))
        return unreadable(l->err, "its steps cannot be read");
    if (read_names(l) < 0 || read_graph(l) < 0 || read_flags(l) < 0 || restore_resources(l) < 0)
        return -1;
    book->run.on_end = flow_book_end;
    book->run.ctx = book;
    return restore(l);
}

/* Of all that a run is loaded from and that is not its spec. Not a secret: nobody gains by a collision but who
 * may write the status anyway. */
static uint64_t digest_of(const struct flow_object *flow)
{
    static const struct hash_seed seed = {{0, 0}};
    return hash_pair(&seed, flow->results, flow->resources) ^ (uint64_t)flow->start_ns;
}

bool flow_book_fits(struct flow_book *book, const struct flow_object *flow)
{
    if (flow->stored.version == book->version)
        return true;
    uint64_t digest = digest_of(flow);
    if (flow->stored.version != book->own_version && digest != book->digest)
        return false;
    book->version = flow->stored.version;
    book->digest = digest;
    return true;
}

struct flow_book *flow_book_load(const struct flow_scene *scene, struct err *err)
{
    const struct mem *mem = scene->controller->mem;
    struct flow_book *book = mem_alloc(mem, sizeof(*book));
    if (!book) {
        err_no_memory(err, "reading a flow");
        return NULL;
    }
    *book = (struct flow_book){.mem = mem, .start_ns = scene->flow->start_ns, .may_hold = true};
    book->held_ns = scene->now.now_ns;
    book->written_phase = scene->flow->phase;
    book->version = scene->flow->stored.version;
    book->digest = digest_of(scene->flow);
    arena_init(&book->arena, mem, BOOK_BLOCK, BOOK_MAX);
    struct loading l = {.book = book, .scene = scene, .flow = scene->flow, .err = err};
    arena_init(&l.all, mem, STEP_BLOCK, BOOK_MAX);
    arena_init(&l.step, mem, STEP_BLOCK, BOOK_MAX);
    int result = load(&l);
    arena_done(&l.all);
    arena_done(&l.step);
    if (result < 0) {
        flow_book_free(book);
        return NULL;
    }
    /* What was restored has been counted. */
    book->metrics = scene->controller->metrics;
    return book;
}

void flow_book_free(struct flow_book *book)
{
    if (!book)
        return;
    for (uint32_t i = 0; book->run.steps && i < book->run.count; i++) {
        flow_keep_words(book, &book->words[i].message, (struct str){NULL, 0});
        flow_keep_words(book, &book->words[i].approved_by, (struct str){NULL, 0});
    }
    flow_keep_words(book, &book->failure_message, (struct str){NULL, 0});
    for (struct flow_read *read = book->reads, *next; read; read = next) {
        next = read->next;
        arena_done(&read->arena);
        mem_free(book->mem, read, sizeof(*read));
    }
    arena_done(&book->arena);
    mem_free(book->mem, book, sizeof(*book));
}

void flow_drop_run(void *ctx, void *run)
{
    (void)ctx;
    flow_book_free(run);
}
