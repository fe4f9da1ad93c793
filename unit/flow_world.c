/* A little cluster for tests of the JobFlow controller. */
#include "unit/flow_world.h"

#include "types/names.h"

#include <stdio.h>

enum { TURNS_MAX = 20000 };

enum { STORE_FLOWS, STORE_JOBS, STORE_PODS, STORE_PERFORMERS, STORE_COUNT };

static const struct store_type *const types[STORE_COUNT] = {
    [STORE_FLOWS] = &flow_objects,
    [STORE_JOBS] = &flow_jobs,
    [STORE_PODS] = &flow_pods,
    [STORE_PERFORMERS] = &performer_objects,
};

/* ---- The world ---- */

static void wake(void *ctx, struct queue_key key)
{
    struct flow_world *w = ctx;
    for (size_t i = 0; i < w->woken_count; i++) {
        if (str_eq(w->woken[i].name, key.name))
            return;
    }
    assert_true(w->woken_count < FLOW_WOKEN_MAX);
    w->woken[w->woken_count++] = (struct queue_key){STR("team"), arena_copy(&w->arena, key.name)};
}

static void on_flow(void *ctx, const struct stored *before, const struct stored *after)
{
    struct flow_world *w = ctx;
    const struct stored *stored = after ? after : before;
    flow_changed(&w->controller, before, after);
    wake(w, (struct queue_key){stored->namespace, stored->name});
    flow_metrics_observe(&w->controller, before, after);
}

static void on_job(void *ctx, const struct stored *before, const struct stored *after)
{
    struct flow_world *w = ctx;
    struct queue_key key;
    if (flow_job_changed(&w->controller, before, after, &key))
        wake(w, key);
}

static void on_pod(void *ctx, const struct stored *before, const struct stored *after)
{
    struct flow_world *w = ctx;
    struct queue_key key;
    if (flow_pod_changed(&w->controller, before, after, &key))
        wake(w, key);
}

static void on_performer(void *ctx, const struct stored *before, const struct stored *after)
{
    struct flow_world *w = ctx;
    struct queue_key key;
    if (flow_performer_changed(&w->controller, before, after, &key))
        wake(w, key);
}

void flow_world_init(struct flow_world *w, const struct mem *mem, int64_t max_active)
{
    static void (*const on_change[STORE_COUNT])(void *, const struct stored *,
                                                const struct stored *) = {
        [STORE_FLOWS] = on_flow,
        [STORE_JOBS] = on_job,
        [STORE_PODS] = on_pod,
        [STORE_PERFORMERS] = on_performer,
    };
    struct err err;
    *w = (struct flow_world){.mem = mem, .version = 100};
    w->now.now_ns = 1000 * CLOCK_NS_PER_SEC;
    clock_parse(STR("2026-01-02T03:04:05Z"), &w->now.wall_ns);
    arena_init(&w->arena, mem_system(), 1 << 16, 1 << 30);
    buf_init(&w->told, arena_mem(&w->arena), 1 << 20);
    arena_init(&w->plan_arena, mem, 1 << 13, 1 << 26);
    random_seeded_init(&w->random, TEST_SEED);
    for (int i = 0; i < STORE_COUNT; i++) {
        w->stores[i] = store_new(&(const struct store_config){.type = types[i],
                                                              .mem = mem_system(),
                                                              .random = &w->random.random,
                                                              .on_change = on_change[i],
                                                              .ctx = w},
                                 &err);
        assert_non_null(w->stores[i]);
    }
    w->controller = (struct flow_controller){
        .flows = w->stores[STORE_FLOWS],
        .jobs = w->stores[STORE_JOBS],
        .pods = w->stores[STORE_PODS],
        .performers = w->stores[STORE_PERFORMERS],
        .mem = mem,
    };
    w->controller.gate = flow_gate_new(&(const struct flow_gate_config){.mem = mem_system(),
                                                                        .random = &w->random.random,
                                                                        .max_active = max_active,
                                                                        .wake = wake,
                                                                        .drop_run = flow_drop_run,
                                                                        .ctx = w},
                                       &err);
    assert_non_null(w->controller.gate);
}

void flow_world_done(struct flow_world *w)
{
    flow_gate_free(w->controller.gate);
    for (int i = 0; i < STORE_COUNT; i++)
        store_free(w->stores[i]);
    arena_done(&w->plan_arena);
    arena_done(&w->arena);
}

void flow_world_restart(struct flow_world *w)
{
    flow_gate_reset(w->controller.gate);
    for (size_t i = 0; i < w->count; i++) {
        struct kube_meta meta;
        kube_meta_read(w->objects[i].json, &meta);
        if (w->objects[i].resource == &kube_jobflows)
            wake(w, (struct queue_key){STR("team"), meta.name});
    }
}

/* ---- Objects ---- */

/* JSON in which ' stands for ". */
static struct json *read_json(struct flow_world *w, const char *text)
{
    struct err err;
    struct str copy = arena_copy(&w->arena, str_from_cstr(text));
    for (char *at = (char *)(uintptr_t)copy.ptr; *at; at++)
        *at = *at == '\'' ? '"' : *at;
    struct json *json = json_read(&w->arena, copy, &json_limits_default, &err);
    if (!json)
        fail_msg("%s in %s", err.message, copy.ptr);
    return json;
}

static struct flow_object_of_world *find(const struct flow_world *w,
                                         const struct kube_resource *resource, struct str name)
{
    for (size_t i = 0; i < w->count; i++) {
        const struct flow_object_of_world *object = &w->objects[i];
        if (object->resource == resource &&
            str_eq(kube_text_at(object->json, "metadata", "name", NULL), name))
            return (struct flow_object_of_world *)(uintptr_t)object;
    }
    return NULL;
}

struct json *flow_world_get(const struct flow_world *w, const struct kube_resource *resource,
                            struct str name)
{
    const struct flow_object_of_world *object = find(w, resource, name);
    return object ? object->json : NULL;
}

size_t flow_world_count(const struct flow_world *w, const struct kube_resource *resource)
{
    size_t count = 0;
    for (size_t i = 0; i < w->count; i++)
        count += w->objects[i].resource == resource;
    return count;
}

static void set(struct flow_world *w, struct json *object, const char *key, struct str text)
{
    assert_true(json_set(object, str_from_cstr(key), json_new_str(&w->arena, text)));
}

static struct store *store_of(struct flow_world *w, const struct kube_resource *resource)
{
    for (int i = 0; i < STORE_COUNT; i++) {
        if (types[i]->resource == resource)
            return w->stores[i];
    }
    return NULL;
}

/* Pods without the label are not watched. */
static bool is_watched(const struct flow_object_of_world *object)
{
    return object->resource != &kube_pods ||
           kube_at(object->json, "metadata", "labels", "workflow.kube-zen.io/result", NULL);
}

static void publish(struct flow_world *w, const struct flow_object_of_world *object)
{
    struct kube_meta meta;
    struct store *store = store_of(w, object->resource);
    set(w, json_get(object->json, STR("metadata")), "resourceVersion",
        arena_printf(&w->arena, "%llu", (unsigned long long)++w->version));
    kube_meta_read(object->json, &meta);
    if (!store || !is_watched(object))
        return;
    struct kube_sink sink = store_sink(store);
    assert_int_equal(sink.upsert(sink.ctx, object->json, &meta), 0);
}

static struct str now_text(struct flow_world *w)
{
    char text[CLOCK_TEXT_SIZE];
    return arena_copy(&w->arena, clock_print(w->now.wall_ns, CLOCK_SECONDS, text));
}

static void add(struct flow_world *w, const struct kube_resource *resource, struct json *json)
{
    struct json *metadata = json_get(json, STR("metadata"));
    set(w, metadata, "namespace", STR("team"));
    set(w, metadata, "uid", arena_printf(&w->arena, "uid-%llu", (unsigned long long)++w->uids));
    set(w, metadata, "creationTimestamp", now_text(w));
    assert_true(json_set(metadata, STR("generation"), json_new_int(&w->arena, 1)));
    assert_true(w->count < FLOW_OBJECTS_MAX);
    w->objects[w->count] = (struct flow_object_of_world){resource, json};
    publish(w, &w->objects[w->count++]);
}

void flow_world_add(struct flow_world *w, const struct kube_resource *resource, const char *text)
{
    add(w, resource, read_json(w, text));
}

/* ---- Flows ---- */

static void complete_steps(struct flow_world *w, const struct json *steps)
{
    JSON_EACH (step, steps) {
        if (json_get(step, STR("template")) ||
            str_eq(kube_text_at(step, "type", NULL), STR("Manual")))
            continue;
        assert_true(json_set(step, STR("template"),
                             read_json(w, "{'spec':{'template':{'spec':{'restartPolicy':'Never',"
                                          "'containers':[{'name':'main','image':'app:v1'}]}}}}")));
    }
}

void flow_world_create(struct flow_world *w, const char *name, const char *spec)
{
    struct json *flow = read_json(
        w, arena_printf(&w->arena,
                        "{'metadata':{'name':'%s','annotations':{"
                        "'callboard.dev/correlation-id':'c-1','callboard.dev/initiated-by':'ann'}},"
                        "'spec':{%s}}",
                        name, spec)
               .ptr);
    complete_steps(w, kube_at(flow, "spec", "steps", NULL));
    complete_steps(w, kube_at(flow, "spec", "finally", NULL));
    add(w, &kube_jobflows, flow);
}

/* RFC 7396. */
static struct json *merge(struct flow_world *w, struct json *to, const struct json *patch)
{
    if (!json_is(patch, JSON_OBJECT))
        return json_copy(&w->arena, patch);
    if (!json_is(to, JSON_OBJECT))
        to = json_new(&w->arena, JSON_OBJECT);
    JSON_EACH (entry, patch) {
        if (json_is(entry, JSON_NULL)) {
            json_remove(to, json_key(entry));
            continue;
        }
        struct json *before = json_get(to, json_key(entry));
        struct json *merged = merge(w, before, entry);
        if (merged != before)
            assert_true(json_set(to, json_key(entry), merged));
    }
    return to;
}

static void replace(struct flow_world *w, struct flow_object_of_world *object, struct json *after)
{
    int64_t generation = kube_int_at(object->json, 1, "metadata", "generation", NULL);
    generation += !json_equal(json_get(object->json, STR("spec")), json_get(after, STR("spec")));
    assert_true(json_set(json_get(after, STR("metadata")), STR("generation"),
                         json_new_int(&w->arena, generation)));
    object->json = after;
    publish(w, object);
}

void flow_world_merge(struct flow_world *w, const struct kube_resource *resource, struct str name,
                      const char *patch)
{
    struct flow_object_of_world *object = find(w, resource, name);
    assert_non_null(object);
    replace(w, object, merge(w, json_copy(&w->arena, object->json), read_json(w, patch)));
}

void flow_world_delete(struct flow_world *w, const struct kube_resource *resource, struct str name)
{
    struct kube_meta meta;
    struct flow_object_of_world *object = find(w, resource, name);
    assert_non_null(object);
    set(w, json_get(object->json, STR("metadata")), "resourceVersion",
        arena_printf(&w->arena, "%llu", (unsigned long long)++w->version));
    kube_meta_read(object->json, &meta);
    struct store *store = store_of(w, resource);
    struct flow_object_of_world gone = *object;
    *object = w->objects[--w->count];
    if (!store || !is_watched(&gone))
        return;
    struct kube_sink sink = store_sink(store);
    sink.remove(sink.ctx, gone.json, &meta);
}

void flow_world_hide(struct flow_world *w, const struct kube_resource *resource, struct str name)
{
    struct kube_meta meta;
    const struct flow_object_of_world *object = find(w, resource, name);
    struct kube_sink sink = store_sink(store_of(w, resource));
    assert_non_null(object);
    kube_meta_read(object->json, &meta);
    sink.remove(sink.ctx, object->json, &meta);
}

/* ---- Jobs ---- */

static bool is_job_of(const struct flow_object_of_world *object, const char *flow, const char *step)
{
    const struct json *labels = kube_at(object->json, "metadata", "labels", NULL);
    return object->resource == &kube_jobs &&
           str_eq_cstr(kube_map_get(labels, STR(LABEL_FLOW)), flow) &&
           (!step || str_eq_cstr(kube_map_get(labels, STR(LABEL_FLOW_STEP)), step));
}

static int64_t attempt_of(const struct json *job)
{
    int64_t attempt = -1;
    str_to_int64(kube_map_get(kube_at(job, "metadata", "labels", NULL), STR(LABEL_FLOW_ATTEMPT)),
                 &attempt);
    return attempt;
}

struct str flow_world_job(const struct flow_world *w, const char *flow, const char *step)
{
    const struct json *last = NULL;
    for (size_t i = 0; i < w->count; i++) {
        if (is_job_of(&w->objects[i], flow, step) &&
            (!last || attempt_of(w->objects[i].json) > attempt_of(last)))
            last = w->objects[i].json;
    }
    return kube_text_at(last, "metadata", "name", NULL);
}

static struct str job_that_is_there(const struct flow_world *w, const char *flow, const char *step)
{
    struct str job = flow_world_job(w, flow, step);
    if (!str_is_set(job))
        fail_msg("step %s of %s has no Job", step, flow);
    return job;
}

void flow_world_complete(struct flow_world *w, const char *flow, const char *step)
{
    flow_world_merge(w, &kube_jobs, job_that_is_there(w, flow, step),
                     arena_printf(&w->arena,
                                  "{'status':{'succeeded':1,'completionTime':'%s','conditions':[{"
                                  "'type':'Complete','status':'True'}]}}",
                                  now_text(w).ptr)
                         .ptr);
}

void flow_world_fail(struct flow_world *w, const char *flow, const char *step, const char *reason)
{
    flow_world_merge(w, &kube_jobs, job_that_is_there(w, flow, step),
                     arena_printf(&w->arena,
                                  "{'status':{'failed':1,'conditions':[{'type':'Failed','status':"
                                  "'True','reason':'%s','message':'told so',"
                                  "'lastTransitionTime':'%s'}]}}",
                                  reason, now_text(w).ptr)
                         .ptr);
}

/* ---- The controller ---- */

void flow_world_reconcile(struct flow_world *w, const char *flow)
{
    struct err err;
    arena_reset(&w->plan_arena);
    w->plan = (struct plan){.arena = &w->plan_arena};
    w->reconciles++;
    w->key = (struct queue_key){STR("team"), arena_copy(&w->arena, str_from_cstr(flow))};
    w->failed = flow_reconcile(&w->controller, w->key, w->now, &w->plan, &err) < 0;
}

static bool refuse(struct flow_world *w, struct queue_key key, const struct action *action,
                   enum kube_outcome outcome)
{
    const struct action_failure failure = {
        .outcome = outcome,
        .is_foreign = outcome == KUBE_ALREADY_EXISTS,
        .message = STR("the server says so"),
    };
    const struct action refused = *action;
    w->refuse = NULL;
    w->plan = (struct plan){.arena = &w->plan_arena};
    flow_refused(&w->controller, key, w->now, &refused, &failure, &w->plan);
    flow_world_apply(w, PLAN_ACTIONS_MAX);
    return false;
}

static bool do_create(struct flow_world *w, struct queue_key key, const struct action *action)
{
    struct flow_object_of_world *there = find(w, action->resource, action->name);
    if (w->refuse == action->resource)
        return refuse(w, key, action, w->refuse_outcome);
    if (there) {
        struct kube_meta meta;
        kube_meta_read(there->json, &meta);
        if (!str_eq(meta.owner_uid, action->owner_uid))
            return refuse(w, key, action, KUBE_ALREADY_EXISTS);
    } else {
        struct str body = arena_copy(&w->arena, action->body);
        struct err err;
        struct json *json = json_read(&w->arena, body, &json_limits_default, &err);
        assert_non_null(json);
        add(w, action->resource, json);
        there = find(w, action->resource, action->name);
        assert_non_null(there);
    }
    flow_answered(&w->controller, key, action, there->json);
    return true;
}

static bool do_patch(struct flow_world *w, struct queue_key key, const struct action *action)
{
    struct flow_object_of_world *object = find(w, action->resource, action->name);
    struct err err;
    struct json *patch =
        json_read(&w->arena, arena_copy(&w->arena, action->body), &json_limits_default, &err);
    assert_non_null(patch);
    if (!object)
        return false;
    struct str version = kube_text_at(patch, "metadata", "resourceVersion", NULL);
    struct str is = kube_text_at(object->json, "metadata", "resourceVersion", NULL);
    bool is_status = str_eq(action->subresource, STR("status"));
    assert_int_equal(is_status, json_get(patch, STR("status")) != NULL);
    if (str_is_set(version) && !str_eq(version, is))
        return false;
    w->status_writes += is_status;
    replace(w, object, merge(w, json_copy(&w->arena, object->json), patch));
    flow_answered(&w->controller, key, action, object->json);
    return true;
}

static bool do_action(struct flow_world *w, struct queue_key key, const struct action *action)
{
    const struct flow_object_of_world *object = find(w, action->resource, action->name);
    switch (action->verb) {
    case ACTION_CREATE:
        return do_create(w, key, action);
    case ACTION_PATCH_MERGE:
    case ACTION_PATCH_JSON:
        return do_patch(w, key, action);
    case ACTION_READ:
        flow_answered(&w->controller, key, action, object ? object->json : NULL);
        return true;
    case ACTION_DELETE:
        if (object)
            flow_world_delete(w, action->resource, action->name);
        return true;
    }
    return false;
}

bool flow_world_apply(struct flow_world *w, size_t count)
{
    struct plan plan = w->plan;
    struct queue_key key = w->key;
    for (size_t i = 0; i < plan.action_count && i < count; i++) {
        if (!do_action(w, key, &plan.actions[i]))
            return false;
    }
    return true;
}

static void set_timer(struct flow_world *w, struct queue_key key, int64_t at_ns)
{
    size_t i = 0;
    while (i < w->timer_count && !str_eq(w->timers[i].key.name, key.name))
        i++;
    if (i == w->timer_count) {
        assert_true(i < FLOW_WOKEN_MAX);
        w->timers[w->timer_count++].key = key;
        w->timers[i].at_ns = at_ns;
    }
    if (at_ns < w->timers[i].at_ns)
        w->timers[i].at_ns = at_ns;
}

static void tell(struct flow_world *w)
{
    for (size_t i = 0; i < w->plan.event_count; i++)
        buf_printf(&w->told, "%s%s: %" PRIstr, w->told.len ? "; " : "", w->plan.events[i].reason,
                   STR_ARG(w->plan.events[i].message));
}

void flow_world_settle(struct flow_world *w)
{
    char name[64];
    for (int turn = 0; w->woken_count > 0; turn++) {
        struct queue_key key = w->woken[--w->woken_count];
        if (turn == TURNS_MAX)
            fail_msg("it does not settle: %s", flow_world_actions(w));
        snprintf(name, sizeof(name), "%.*s", (int)key.name.len, key.name.ptr);
        flow_world_reconcile(w, name);
        bool is_done = flow_world_apply(w, PLAN_ACTIONS_MAX);
        if (is_done)
            tell(w);
        int64_t after_ns = w->plan.requeue_after_ns;
        if (!is_done || after_ns == 1)
            wake(w, key);
        else if (after_ns > 0)
            set_timer(w, key, w->now.now_ns + after_ns);
    }
}

static void advance(struct flow_world *w, int64_t to_ns)
{
    w->now.wall_ns += to_ns - w->now.now_ns;
    w->now.now_ns = to_ns;
}

void flow_world_pass(struct flow_world *w, int64_t seconds)
{
    int64_t end_ns = w->now.now_ns + seconds * CLOCK_NS_PER_SEC;
    flow_world_settle(w);
    for (;;) {
        size_t first = w->timer_count;
        for (size_t i = 0; i < w->timer_count; i++) {
            if (w->timers[i].at_ns <= end_ns &&
                (first == w->timer_count || w->timers[i].at_ns < w->timers[first].at_ns))
                first = i;
        }
        if (first == w->timer_count)
            break;
        if (w->timers[first].at_ns > w->now.now_ns)
            advance(w, w->timers[first].at_ns);
        wake(w, w->timers[first].key);
        w->timers[first] = w->timers[--w->timer_count];
        flow_world_settle(w);
    }
    advance(w, end_ns);
}

/* ---- Looking ---- */

static const struct json *flow_of(const struct flow_world *w, const char *flow)
{
    return flow_world_get(w, &kube_jobflows, str_from_cstr(flow));
}

static const char *text_of(struct flow_world *w, const struct json *value)
{
    struct buf text;
    if (!value)
        return "";
    buf_init(&text, arena_mem(&w->arena), 1 << 22);
    if (json_is(value, JSON_STRING))
        buf_put(&text, json_str(value));
    else
        json_write(&text, value);
    return arena_copy(&w->arena, buf_str(&text)).ptr;
}

const char *flow_world_status(struct flow_world *w, const char *flow, const char *field)
{
    return text_of(w, kube_at(flow_of(w, flow), "status", field, NULL));
}

const char *flow_world_step(struct flow_world *w, const char *flow, const char *step,
                            const char *field)
{
    JSON_EACH (entry, kube_at(flow_of(w, flow), "status", "steps", NULL)) {
        if (str_eq_cstr(kube_text_at(entry, "name", NULL), step))
            return text_of(w, json_get(entry, str_from_cstr(field)));
    }
    return "";
}

const char *flow_world_steps(struct flow_world *w, const char *flow)
{
    struct buf text;
    buf_init(&text, arena_mem(&w->arena), 1 << 20);
    JSON_EACH (entry, kube_at(flow_of(w, flow), "status", "steps", NULL)) {
        struct str name = kube_text_at(entry, "name", NULL);
        struct str phase = kube_text_at(entry, "phase", NULL);
        int64_t retries = kube_int_at(entry, 0, "retryCount", NULL);
        buf_printf(&text, "%s%" PRIstr "=%" PRIstr, text.len ? " " : "", STR_ARG(name),
                   STR_ARG(phase));
        if (retries > 0)
            buf_printf(&text, "(%lld)", (long long)retries);
    }
    return arena_copy(&w->arena, buf_str(&text)).ptr;
}

const char *flow_world_jobs(struct flow_world *w, const char *flow)
{
    struct buf text;
    buf_init(&text, arena_mem(&w->arena), 1 << 20);
    for (size_t i = 0; i < w->count; i++) {
        if (!is_job_of(&w->objects[i], flow, NULL))
            continue;
        struct str step = kube_map_get(kube_at(w->objects[i].json, "metadata", "labels", NULL),
                                       STR(LABEL_FLOW_STEP));
        buf_printf(&text, "%s%" PRIstr, text.len ? " " : "", STR_ARG(step));
    }
    return arena_copy(&w->arena, buf_str(&text)).ptr;
}

const char *flow_world_events(struct flow_world *w)
{
    struct buf text;
    buf_init(&text, arena_mem(&w->arena), 1 << 16);
    for (size_t i = 0; i < w->plan.event_count; i++)
        buf_printf(&text, "%s%s", i ? " " : "", w->plan.events[i].reason);
    return arena_copy(&w->arena, buf_str(&text)).ptr;
}

const char *flow_world_told(struct flow_world *w)
{
    const char *told = arena_copy(&w->arena, buf_str(&w->told)).ptr;
    buf_clear(&w->told);
    return told;
}

const char *flow_world_actions(struct flow_world *w)
{
    struct buf text;
    buf_init(&text, arena_mem(&w->arena), 1 << 16);
    for (size_t i = 0; i < w->plan.action_count; i++)
        buf_printf(&text, "%s%s", i ? ", " : "", w->plan.actions[i].purpose);
    return arena_copy(&w->arena, buf_str(&text)).ptr;
}
