/* The controller's runtime: what it sends for a plan, in which order, and what it waits for. */
#include "unit/fake_transport.h"

#include "control/controller.h"

#include <stdio.h>
#include <stdlib.h>

#define SEC CLOCK_NS_PER_SEC
#define MS  CLOCK_NS_PER_MS

/* A reflector that the test moves by hand, and events that are only counted, in place of the real ones: the
 * runtime asks nothing else of them. */
struct kube_reflector {
    uint64_t version;
    unsigned refreshes;
    bool is_stale;
};

void kube_reflector_refresh(struct kube_reflector *reflector)
{
    reflector->refreshes++;
}

bool kube_reflector_is_fresh(const struct kube_reflector *reflector)
{
    return !reflector->is_stale;
}

uint64_t kube_reflector_version(const struct kube_reflector *reflector)
{
    return reflector->version;
}

struct kube_events {
    size_t count;
};

void kube_events_record(struct kube_events *events, const struct kube_event *event)
{
    assert_string_equal(event->reason, "Tested");
    events->count++;
}

/* ---- A small world: Performers that each want a pod ---- */

struct world;
typedef int script(struct world *world, struct queue_key key, struct plan *plan);

struct world {
    struct test_mem mem;
    struct test_clock clock;
    struct random_seeded random;
    struct timers timers;
    struct fake_transport fake;
    struct kube_client *client;
    struct store *performers, *pods;
    struct kube_reflector performers_seen, pods_seen;
    struct queue *queue;
    struct kube_events events;
    struct controller_config config;
    struct controller *controller;
    size_t answered; /* requests that were looked at */

    script *reconcile; /* of the test */
    size_t reconciles;
    size_t refusals;
    struct action_failure failure; /* the last one */
    char failure_message[256];
    bool gives_up;        /* what refused() returns */
    script *on_refusal;   /* fills its plan; NULL: none */
    char last_name[64];   /* the key of the last reconcile */
    unsigned *per_object; /* reconciles by the number in the name, or NULL */
    char told[256];       /* what answered() was told: "PURPOSE=NAME " of each */
};

static struct stored *project(const struct mem *mem, const struct json *object,
                              const struct kube_meta *meta)
{
    (void)object;
    return store_new_object(mem, meta, sizeof(struct stored), 0);
}

static const struct store_type performer_type = {.resource = &kube_performers, .project = project};
static const struct store_type pod_type = {.resource = &kube_pods, .project = project};

static void performer_changed(void *ctx, const struct stored *before, const struct stored *after)
{
    struct world *w = ctx;
    const struct stored *stored = after ? after : before;
    if (w->controller)
        controller_enqueue(w->controller, (struct queue_key){stored->namespace, stored->name});
}

static void pod_changed(void *ctx, const struct stored *before, const struct stored *after)
{
    struct world *w = ctx;
    const struct stored *stored = after ? after : before;
    if (w->controller && str_is_set(stored->owner_name))
        controller_enqueue(w->controller,
                           (struct queue_key){stored->namespace, stored->owner_name});
}

static int reconcile(void *ctx, struct queue_key key, struct moment now, struct plan *plan,
                     struct err *err)
{
    struct world *w = ctx;
    assert_int_equal(now.now_ns, w->clock.now_ns);
    assert_int_equal(now.wall_ns, w->clock.wall_ns);
    w->reconciles++;
    snprintf(w->last_name, sizeof(w->last_name), "%" PRIstr, STR_ARG(key.name));
    if (w->per_object)
        w->per_object[atoi(w->last_name + 1)]++;
    if (w->reconcile && w->reconcile(w, key, plan) < 0)
        return err_set(err, 500, "the script says so");
    return 0;
}

static bool refused(void *ctx, struct queue_key key, struct moment now, const struct action *action,
                    const struct action_failure *failure, struct plan *plan)
{
    struct world *w = ctx;
    (void)now;
    assert_non_null(action->purpose);
    assert_int_equal(plan->action_count, 0);
    w->refusals++;
    w->failure = *failure;
    snprintf(w->failure_message, sizeof(w->failure_message), "%" PRIstr, STR_ARG(failure->message));
    if (w->on_refusal)
        w->on_refusal(w, key, plan);
    return w->gives_up;
}

static void answered(void *ctx, struct queue_key key, const struct action *action,
                     const struct json *object)
{
    struct world *w = ctx;
    struct str name = kube_text_at(object, "metadata", "name", NULL);
    size_t len = strlen(w->told);
    (void)key;
    snprintf(w->told + len, sizeof(w->told) - len, "%s=%" PRIstr " ", action->purpose,
             STR_ARG(object ? name : STR("nothing")));
}

static struct store *make_store(struct world *w, const struct store_type *type,
                                void (*on_change)(void *ctx, const struct stored *before,
                                                  const struct stored *after))
{
    struct err err;
    struct store *store = store_new(&(const struct store_config){.type = type,
                                                                 .mem = &w->mem.mem,
                                                                 .random = &w->random.random,
                                                                 .on_change = on_change,
                                                                 .ctx = w},
                                    &err);
    assert_non_null(store);
    return store;
}

static void start(struct world *w)
{
    struct err err;
    w->controller = controller_new(&w->config, &err);
    assert_non_null(w->controller);
    controller_start(w->controller);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct err err;
    assert_non_null(w);
    test_mem_init(&w->mem);
    test_clock_init(&w->clock);
    random_seeded_init(&w->random, TEST_SEED);
    timers_init(&w->timers, &w->mem.mem);
    fake_transport_init(&w->fake);
    w->client = kube_client_new(&(const struct kube_client_config){.transport = &w->fake.transport,
                                                                   .timers = &w->timers,
                                                                   .clock = &w->clock.clock,
                                                                   .random = &w->random.random,
                                                                   .mem = &w->mem.mem,
                                                                   .host = STR("server"),
                                                                   .qps = -1},
                                &err);
    w->queue = queue_new(&(const struct queue_config){.name = "performer",
                                                      .timers = &w->timers,
                                                      .clock = &w->clock.clock,
                                                      .random = &w->random.random,
                                                      .mem = &w->mem.mem},
                         &err);
    assert_non_null(w->client);
    assert_non_null(w->queue);
    w->performers = make_store(w, &performer_type, performer_changed);
    w->pods = make_store(w, &pod_type, pod_changed);
    w->performers_seen = (struct kube_reflector){.version = 1};
    w->pods_seen = (struct kube_reflector){.version = 1};
    w->config = (struct controller_config){
        .kind = {.name = "performer",
                 .resource = &kube_performers,
                 .reconcile = reconcile,
                 .refused = refused,
                 .answered = answered,
                 .ctx = w},
        .client = w->client,
        .timers = &w->timers,
        .clock = &w->clock.clock,
        .random = &w->random.random,
        .mem = &w->mem.mem,
        .queue = w->queue,
        .events = &w->events,
        .caches = {{&kube_performers, w->performers, &w->performers_seen},
                   {&kube_pods, w->pods, &w->pods_seen}},
        .cache_count = 2,
    };
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    controller_free(w->controller);
    w->controller = NULL;
    queue_free(w->queue);
    kube_client_free(w->client);
    store_free(w->pods);
    store_free(w->performers);
    fake_transport_done(&w->fake);
    timers_done(&w->timers);
    test_mem_done(&w->mem);
    free(w);
    return 0;
}

/* What a turn of the event loop does. */
static void turn(struct world *w)
{
    do
        timers_run(&w->timers, w->clock.now_ns);
    while (controller_run(w->controller));
}

static void pass(struct world *w, int64_t ms)
{
    int64_t end_ns = w->clock.now_ns + ms * MS;
    turn(w);
    for (int64_t next; (next = timers_next_ns(&w->timers)) <= end_ns;) {
        if (next > w->clock.now_ns)
            test_clock_advance_ms(&w->clock, (next - w->clock.now_ns + MS - 1) / MS);
        turn(w);
    }
    if (w->clock.now_ns < end_ns)
        test_clock_advance_ms(&w->clock, (end_ns - w->clock.now_ns) / MS);
    turn(w);
}

static void show(struct world *w, struct store *store, const char *text)
{
    struct arena arena;
    struct err err;
    struct kube_meta meta;
    arena_init(&arena, mem_system(), 4096, 1 << 20);
    const struct json *object = json_read(&arena, str_from_cstr(text), &json_limits_default, &err);
    assert_non_null(object);
    kube_meta_read(object, &meta);
    struct kube_sink sink = store_sink(store);
    assert_int_equal(sink.upsert(sink.ctx, object, &meta), 0);
    arena_done(&arena);
    (void)w;
}

static void take_away(struct store *store, const char *text)
{
    struct arena arena;
    struct err err;
    struct kube_meta meta;
    arena_init(&arena, mem_system(), 4096, 1 << 20);
    const struct json *object = json_read(&arena, str_from_cstr(text), &json_limits_default, &err);
    kube_meta_read(object, &meta);
    struct kube_sink sink = store_sink(store);
    sink.remove(sink.ctx, object, &meta);
    arena_done(&arena);
}

#define PERFORMER_A                                                                           \
    "{\"metadata\":{\"namespace\":\"ns\",\"name\":\"a\",\"uid\":\"u-a\",\"resourceVersion\":" \
    "\"1\"}}"
#define POD_OF(owner, version, more)                                               \
    "{\"metadata\":{\"namespace\":\"ns\",\"name\":\"pod-a\",\"uid\":\"u-pod\","    \
    "\"resourceVersion\":\"" version "\",\"labels\":{\"app\":\"x\"}," more         \
    "\"ownerReferences\":[{\"kind\":\"Performer\",\"name\":\"a\",\"uid\":\"" owner \
    "\",\"controller\":true}]}}"
#define POD(version) POD_OF("u-a", version, "")
#define POD_GOING    POD_OF("u-a", "8", "\"deletionTimestamp\":\"2026-01-02T03:04:05Z\",")
#define POD_UNLABELLED                                                             \
    "{\"metadata\":{\"namespace\":\"ns\",\"name\":\"pod-a\",\"uid\":\"u-pod\","    \
    "\"resourceVersion\":\"7\",\"labels\":{\"app\":\"y\"},"                        \
    "\"ownerReferences\":[{\"kind\":\"Performer\",\"name\":\"a\",\"uid\":\"u-a\"," \
    "\"controller\":true}]}}"
#define STATUS(code, reason)                                                                 \
    "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"reason\":\"" reason \
    "\",\"message\":\"the server says " reason "\",\"code\":" code "}"

static void add(struct plan *plan, struct action action)
{
    action.namespace = STR("ns");
    if (!action.purpose)
        action.purpose = "test";
    plan->actions[plan->action_count++] = action;
}

static const struct action create_pod = {
    .verb = ACTION_CREATE,
    .resource = &kube_pods,
    .name = STR_INIT("pod-a"),
    .body = STR_INIT("{\"metadata\":{\"name\":\"pod-a\",\"labels\":{\"app\":\"x\"}}}"),
    .owner_uid = STR_INIT("u-a"),
    .purpose = "create pod",
};
static const struct action patch_status = {
    .verb = ACTION_PATCH_MERGE,
    .resource = &kube_performers,
    .name = STR_INIT("a"),
    .subresource = STR_INIT("status"),
    .body = STR_INIT("{\"status\":{\"phase\":\"Pending\"}}"),
    .purpose = "write status",
};
static const struct action delete_pod = {
    .verb = ACTION_DELETE,
    .resource = &kube_pods,
    .name = STR_INIT("pod-a"),
    .uid = STR_INIT("u-pod"),
    .grace_seconds = -1,
    .purpose = "delete pod",
};

/* What a Performer's logic does in the least: a pod when the cache shows none. */
static int want_pod(struct world *w, struct queue_key key, struct plan *plan)
{
    (void)key;
    if (!store_get(w->pods, STR("ns"), STR("pod-a")))
        add(plan, create_pod);
    return 0;
}

static int want_pod_and_status(struct world *w, struct queue_key key, struct plan *plan)
{
    want_pod(w, key, plan);
    add(plan, patch_status);
    return 0;
}

static int want_no_pod(struct world *w, struct queue_key key, struct plan *plan)
{
    (void)key;
    const struct stored *pod = store_get(w->pods, STR("ns"), STR("pod-a"));
    if (pod && !pod->is_deleting)
        add(plan, delete_pod);
    return 0;
}

static int write_status(struct world *w, struct queue_key key, struct plan *plan)
{
    (void)w, (void)key;
    add(plan, patch_status);
    return 0;
}

/* The next request must be this one. */
static size_t expect(struct world *w, const char *method, const char *target)
{
    turn(w);
    if (w->answered >= w->fake.count)
        fail_msg("%s %s was not sent", method, target);
    size_t index = w->answered++;
    const struct kube_request *request = fake_sent(&w->fake, index);
    assert_string_equal(request->method, method);
    assert_str_is(request->target, target);
    return index;
}

static void expect_nothing(struct world *w)
{
    turn(w);
    if (w->fake.count > w->answered)
        fail_msg("%s %" PRIstr " was sent", fake_sent(&w->fake, w->answered)->method,
                 STR_ARG(fake_sent(&w->fake, w->answered)->target));
}

static void exchange(struct world *w, const char *method, const char *target, int status,
                     const char *body)
{
    fake_answer(&w->fake, expect(w, method, target), status, body);
}

#define PODS   "/api/v1/namespaces/ns/pods"
#define POD_A  "/api/v1/namespaces/ns/pods/pod-a"
#define SELF_A "/apis/hourglass.eigenlayer.io/v1alpha1/namespaces/ns/performers/a"

/* ---- Plans ---- */

static void writes_are_sent_one_after_the_other(void **state)
{
    struct world *w = *state;
    w->reconcile = want_pod_and_status;
    show(w, w->performers, PERFORMER_A);
    start(w);
    size_t first = expect(w, "POST", PODS);
    expect_nothing(w);
    fake_answer(&w->fake, first, 201, POD("5"));
    exchange(w, "PATCH", SELF_A "/status", 200,
             "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"6\"}}");
    expect_nothing(w);
    assert_int_equal(w->reconciles, 1);
    assert_int_equal(controller_active(w->controller), 1);
    w->pods_seen.version = 5;
    w->performers_seen.version = 6;
    expect_nothing(w);
    assert_int_equal(controller_active(w->controller), 0);
}

static void a_write_that_fails_ends_the_plan_and_backs_off(void **state)
{
    struct world *w = *state;
    w->reconcile = want_pod_and_status;
    show(w, w->performers, PERFORMER_A);
    start(w);
    fake_fail(&w->fake, expect(w, "POST", PODS), KUBE_LOST);
    exchange(w, "GET", POD_A, 404, STATUS("404", "NotFound"));
    expect_nothing(w);
    pass(w, 4);
    assert_int_equal(w->reconciles, 1);
    pass(w, 2);
    assert_int_equal(w->reconciles, 2);
    exchange(w, "POST", PODS, 500, STATUS("500", "InternalError"));
    exchange(w, "GET", POD_A, 404, STATUS("404", "NotFound"));
    pass(w, 9);
    assert_int_equal(w->reconciles, 2);
    pass(w, 2);
    assert_int_equal(w->reconciles, 3);
    controller_stop(w->controller);
}

static int fail_to_reconcile(struct world *w, struct queue_key key, struct plan *plan)
{
    (void)key, (void)plan;
    return w->reconciles < 3 ? -1 : 0;
}

static void a_reconcile_that_fails_backs_off_until_it_succeeds(void **state)
{
    struct world *w = *state;
    w->reconcile = fail_to_reconcile;
    show(w, w->performers, PERFORMER_A);
    start(w);
    pass(w, 4);
    assert_int_equal(w->reconciles, 1);
    pass(w, 1000);
    assert_int_equal(w->reconciles, 3);
}

static int come_again(struct world *w, struct queue_key key, struct plan *plan)
{
    (void)w, (void)key;
    plan->requeue_after_ns = 10 * SEC;
    return 0;
}

static void a_plan_may_ask_for_a_later_look(void **state)
{
    struct world *w = *state;
    w->reconcile = come_again;
    show(w, w->performers, PERFORMER_A);
    start(w);
    pass(w, 9900);
    assert_int_equal(w->reconciles, 1);
    pass(w, 200);
    assert_int_equal(w->reconciles, 2);
}

static int rest(struct world *w, struct queue_key key, struct plan *plan)
{
    (void)w, (void)key;
    plan->rest_ns = SEC;
    plan->requeue_after_ns = MS;
    return 0;
}

static void a_plan_may_ask_for_a_rest(void **state)
{
    struct world *w = *state;
    w->reconcile = rest;
    show(w, w->performers, PERFORMER_A);
    start(w);
    pass(w, 1);
    assert_int_equal(w->reconciles, 1);
    controller_enqueue(w->controller, (struct queue_key){STR("ns"), STR("a")});
    pass(w, 900);
    assert_int_equal(w->reconciles, 1);
    pass(w, 200);
    assert_int_equal(w->reconciles, 2);
}

static int write_status_with_event(struct world *w, struct queue_key key, struct plan *plan)
{
    (void)w, (void)key;
    add(plan, patch_status);
    plan->events[plan->event_count++] = (struct kube_event){.reason = "Tested"};
    return 0;
}

static void events_are_recorded_once_their_plan_is_written(void **state)
{
    struct world *w = *state;
    w->reconcile = write_status_with_event;
    show(w, w->performers, PERFORMER_A);
    start(w);
    exchange(w, "PATCH", SELF_A "/status", 500, STATUS("500", "InternalError"));
    exchange(w, "GET", SELF_A, 200, PERFORMER_A);
    assert_int_equal(w->events.count, 0);
    pass(w, 10);
    exchange(w, "PATCH", SELF_A "/status", 200, PERFORMER_A);
    assert_int_equal(w->events.count, 1);
}

/* ---- The fence ---- */

/* Whether a second create was sent while the cache did not show the first. */
static bool creates_twice(struct world *w)
{
    w->reconcile = want_pod;
    show(w, w->performers, PERFORMER_A);
    start(w);
    exchange(w, "POST", PODS, 201, POD("5"));
    controller_enqueue(w->controller, (struct queue_key){STR("ns"), STR("a")});
    w->pods_seen.version = 4;
    turn(w);
    return w->fake.count > w->answered;
}

static void a_create_is_never_sent_twice_on_a_stale_cache(void **state)
{
    struct world *w = *state;
    assert_false(creates_twice(w));
    show(w, w->pods, POD("5"));
    w->pods_seen.version = 5;
    expect_nothing(w);
    assert_int_equal(w->reconciles, 2);
    assert_int_equal(controller_active(w->controller), 0);
}

/* That the test above can fail: a resource without a cache has no fence. */
static void without_a_cache_to_wait_for_it_is_sent_twice(void **state)
{
    struct world *w = *state;
    w->config.cache_count = 1;
    assert_true(creates_twice(w));
    controller_stop(w->controller);
}

static void other_keys_go_on_while_one_is_fenced(void **state)
{
    struct world *w = *state;
    assert_false(creates_twice(w));
    w->reconcile = NULL;
    show(w, w->performers,
         "{\"metadata\":{\"namespace\":\"ns\",\"name\":\"b\",\"uid\":\"u-b\","
         "\"resourceVersion\":\"3\"}}");
    turn(w);
    assert_string_equal(w->last_name, "b");
}

static void a_deleted_object_must_be_gone_from_the_cache(void **state)
{
    struct world *w = *state;
    w->reconcile = want_no_pod;
    show(w, w->performers, PERFORMER_A);
    show(w, w->pods, POD("5"));
    start(w);
    exchange(w, "DELETE", POD_A, 200, "{\"kind\":\"Status\",\"status\":\"Success\"}");
    controller_enqueue(w->controller, (struct queue_key){STR("ns"), STR("a")});
    w->pods_seen.version = 100;
    expect_nothing(w);
    assert_int_equal(w->reconciles, 1);
    take_away(w->pods, POD("6"));
    expect_nothing(w);
    assert_int_equal(w->reconciles, 2);
    assert_int_equal(controller_active(w->controller), 0);
}

static void a_deleted_object_that_is_going_is_good_enough(void **state)
{
    struct world *w = *state;
    w->reconcile = want_no_pod;
    show(w, w->performers, PERFORMER_A);
    show(w, w->pods, POD("5"));
    start(w);
    exchange(w, "DELETE", POD_A, 200, POD_GOING);
    expect_nothing(w);
    assert_int_equal(controller_active(w->controller), 1);
    show(w, w->pods, POD_GOING);
    expect_nothing(w);
    assert_int_equal(controller_active(w->controller), 0);
}

static void a_successor_of_the_same_name_shows_that_the_old_one_is_gone(void **state)
{
    struct world *w = *state;
    w->reconcile = want_no_pod;
    show(w, w->performers, PERFORMER_A);
    show(w, w->pods, POD("5"));
    start(w);
    exchange(w, "DELETE", POD_A, 404, STATUS("404", "NotFound"));
    expect_nothing(w);
    w->reconcile = NULL;
    show(w, w->pods,
         "{\"metadata\":{\"namespace\":\"ns\",\"name\":\"pod-a\",\"uid\":\"u-next\","
         "\"resourceVersion\":\"9\"}}");
    expect_nothing(w);
    assert_int_equal(controller_active(w->controller), 0);
}

static void a_cache_that_takes_long_is_compared_with_the_server(void **state)
{
    struct world *w = *state;
    assert_false(creates_twice(w));
    pass(w, 9900);
    expect_nothing(w);
    pass(w, 200);
    exchange(w, "GET", POD_A, 200, POD("5"));
    pass(w, 9900);
    expect_nothing(w);
    assert_int_equal(w->reconciles, 1);
    /* The server was restored from a time before our write. */
    pass(w, 200);
    exchange(w, "GET", POD_A, 404, STATUS("404", "NotFound"));
    turn(w);
    assert_int_equal(w->reconciles, 2);
    controller_stop(w->controller);
    w->answered = w->fake.count;
}

static void what_is_gone_at_the_server_must_leave_the_cache_too(void **state)
{
    struct world *w = *state;
    w->reconcile = write_status;
    show(w, w->performers, PERFORMER_A);
    start(w);
    exchange(w, "PATCH", SELF_A "/status", 200, PERFORMER_A);
    w->performers_seen.version = 1;
    turn(w);
    w->reconcile = NULL;
    assert_int_equal(controller_active(w->controller), 0);
    w->reconcile = write_status;
    controller_enqueue(w->controller, (struct queue_key){STR("ns"), STR("a")});
    exchange(w, "PATCH", SELF_A "/status", 404, STATUS("404", "NotFound"));
    expect_nothing(w);
    assert_int_equal(controller_active(w->controller), 1);
    w->reconcile = NULL;
    take_away(w->performers, PERFORMER_A);
    pass(w, 10);
    assert_int_equal(controller_active(w->controller), 0);
}

/* ---- Reading, and what the kind is told ---- */

static const struct action read_settings = {
    .verb = ACTION_READ,
    .resource = &kube_config_maps,
    .name = STR_INIT("settings"),
    .purpose = "read ConfigMap",
};

static int read_and_write(struct world *w, struct queue_key key, struct plan *plan)
{
    (void)w, (void)key;
    add(plan, read_settings);
    add(plan, patch_status);
    return 0;
}

#define SETTINGS "/api/v1/namespaces/ns/configmaps/settings"

static void what_is_read_is_told_and_nobody_waits_for_a_cache(void **state)
{
    struct world *w = *state;
    w->reconcile = read_and_write;
    show(w, w->performers, PERFORMER_A);
    start(w);
    size_t read = expect(w, "GET", SETTINGS);
    assert_false(fake_sent(&w->fake, read)->wants_metadata);
    fake_answer(&w->fake, read, 200,
                "{\"metadata\":{\"name\":\"settings\",\"resourceVersion\":\"99\"}}");
    exchange(w, "PATCH", SELF_A "/status", 200, PERFORMER_A);
    expect_nothing(w);
    assert_string_equal(w->told, "read ConfigMap=settings write status=a ");
    assert_int_equal(controller_active(w->controller), 0);
}

static void what_is_not_there_is_told_as_nothing_and_the_plan_goes_on(void **state)
{
    struct world *w = *state;
    w->reconcile = read_and_write;
    show(w, w->performers, PERFORMER_A);
    start(w);
    exchange(w, "GET", SETTINGS, 404, STATUS("404", "NotFound"));
    exchange(w, "PATCH", SELF_A "/status", 200, PERFORMER_A);
    assert_string_equal(w->told, "read ConfigMap=nothing write status=a ");
    assert_int_equal(w->refusals, 0);
}

static void a_read_that_fails_ends_the_plan_and_backs_off(void **state)
{
    struct world *w = *state;
    w->reconcile = read_and_write;
    show(w, w->performers, PERFORMER_A);
    start(w);
    exchange(w, "GET", SETTINGS, 200, "no JSON");
    expect_nothing(w);
    assert_string_equal(w->told, "");
    pass(w, 10);
    exchange(w, "GET", SETTINGS, 403, STATUS("403", "Forbidden"));
    expect_nothing(w);
    assert_int_equal(w->refusals, 1);
}

static void what_is_adopted_and_what_is_deleted_are_told(void **state)
{
    struct world *w = *state;
    w->reconcile = want_pod;
    show(w, w->performers, PERFORMER_A);
    start(w);
    exchange(w, "POST", PODS, 409, STATUS("409", "AlreadyExists"));
    exchange(w, "GET", POD_A, 200, POD("7"));
    assert_string_equal(w->told, "create pod=pod-a ");
    show(w, w->pods, POD("7"));
    w->pods_seen.version = 7;
    w->reconcile = want_no_pod;
    pass(w, 10);
    exchange(w, "DELETE", POD_A, 200, POD("8"));
    assert_string_equal(w->told, "create pod=pod-a delete pod=nothing ");
}

/* ---- Names that are taken ---- */

static void an_object_of_ours_that_exists_is_adopted(void **state)
{
    struct world *w = *state;
    w->reconcile = want_pod_and_status;
    show(w, w->performers, PERFORMER_A);
    start(w);
    exchange(w, "POST", PODS, 409, STATUS("409", "AlreadyExists"));
    exchange(w, "GET", POD_A, 200, POD("7"));
    exchange(w, "PATCH", SELF_A "/status", 200, PERFORMER_A);
    expect_nothing(w);
    assert_int_equal(w->refusals, 0);
    assert_int_equal(controller_active(w->controller), 1);
    show(w, w->pods, POD("7"));
    w->pods_seen.version = 7;
    w->reconcile = want_pod;
    pass(w, 10);
    expect_nothing(w);
    assert_in_range(w->reconciles, 2, 3); /* for the change, and for the adoption */
}

static void an_adopted_object_gets_back_its_labels(void **state)
{
    struct world *w = *state;
    w->reconcile = want_pod;
    show(w, w->performers, PERFORMER_A);
    start(w);
    exchange(w, "POST", PODS, 409, STATUS("409", "AlreadyExists"));
    exchange(w, "GET", POD_A, 200, POD_UNLABELLED);
    size_t patch = expect(w, "PATCH", POD_A);
    assert_string_equal(fake_sent(&w->fake, patch)->content_type, "application/merge-patch+json");
    assert_str_is(fake_sent(&w->fake, patch)->body,
                  "{\"metadata\":{\"uid\":\"u-pod\",\"resourceVersion\":\"7\","
                  "\"labels\":{\"app\":\"x\"}}}");
    fake_answer(&w->fake, patch, 200, POD("8"));
    show(w, w->pods, POD("8"));
    w->pods_seen.version = 8;
    pass(w, 10);
    expect_nothing(w);
    assert_in_range(w->reconciles, 2, 3); /* for the change, and for the adoption */
}

static void a_foreign_object_is_reported_and_left_alone(void **state)
{
    struct world *w = *state;
    w->reconcile = want_pod_and_status;
    w->on_refusal = write_status;
    show(w, w->performers, PERFORMER_A);
    start(w);
    exchange(w, "POST", PODS, 409, STATUS("409", "AlreadyExists"));
    exchange(w, "GET", POD_A, 200, POD_OF("u-other", "7", ""));
    exchange(w, "PATCH", SELF_A "/status", 200, PERFORMER_A);
    expect_nothing(w);
    assert_int_equal(w->refusals, 1);
    assert_true(w->failure.is_foreign);
    assert_int_equal(w->failure.outcome, KUBE_ALREADY_EXISTS);
    pass(w, 4);
    assert_int_equal(w->reconciles, 1);
    w->reconcile = NULL;
    pass(w, 2);
    assert_int_equal(w->reconciles, 2);
}

/* ---- Refusals ---- */

static void a_refused_write_is_told_to_the_kind_and_ends_the_plan(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum kube_outcome outcome;
    } cases[] = {
        {422, STATUS("422", "Invalid"), KUBE_INVALID},
        {400, STATUS("400", "BadRequest"), KUBE_INVALID},
        {403, STATUS("403", "Forbidden"), KUBE_FORBIDDEN_BY},
        {404, STATUS("404", "NotFound"), KUBE_NOT_FOUND},
    };
    struct world *w = *state;
    w->reconcile = want_pod_and_status;
    w->gives_up = true;
    show(w, w->performers, PERFORMER_A);
    start(w);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        exchange(w, "POST", PODS, cases[i].status, cases[i].body);
        pass(w, 1000);
        assert_int_equal(w->refusals, i + 1);
        assert_int_equal(w->reconciles, i + 1);
        assert_int_equal(w->failure.outcome, cases[i].outcome);
        assert_false(w->failure.is_foreign);
        assert_true(strlen(w->failure_message) > 0);
        controller_enqueue(w->controller, (struct queue_key){STR("ns"), STR("a")});
    }
    controller_stop(w->controller);
    w->answered = w->fake.count;
}

static int refuse_with_a_time(struct world *w, struct queue_key key, struct plan *plan)
{
    (void)w, (void)key;
    plan->requeue_after_ns = 30 * SEC;
    return 0;
}

static void a_refusal_may_name_the_time_of_the_next_try(void **state)
{
    struct world *w = *state;
    w->reconcile = want_pod;
    w->on_refusal = refuse_with_a_time;
    show(w, w->performers, PERFORMER_A);
    start(w);
    exchange(w, "POST", PODS, 403, STATUS("403", "Forbidden"));
    pass(w, 29900);
    expect_nothing(w);
    assert_int_equal(w->reconciles, 1);
    pass(w, 200);
    assert_int_equal(w->reconciles, 2);
    controller_stop(w->controller);
}

static void a_refused_report_is_not_reported(void **state)
{
    struct world *w = *state;
    w->reconcile = write_status;
    w->on_refusal = write_status;
    show(w, w->performers, PERFORMER_A);
    start(w);
    exchange(w, "PATCH", SELF_A "/status", 422, STATUS("422", "Invalid"));
    exchange(w, "PATCH", SELF_A "/status", 422, STATUS("422", "Invalid"));
    expect_nothing(w);
    assert_int_equal(w->refusals, 1);
}

/* ---- Conflicts and lost answers ---- */

static void a_conflict_comes_again_when_the_cache_has_seen_what_was_in_the_way(void **state)
{
    struct world *w = *state;
    w->reconcile = write_status;
    show(w, w->performers, PERFORMER_A);
    start(w);
    exchange(w, "PATCH", SELF_A "/status", 409, STATUS("409", "Conflict"));
    exchange(w, "GET", SELF_A, 200,
             "{\"metadata\":{\"name\":\"a\",\"uid\":\"u-a\",\"resourceVersion\":\"9\"}}");
    pass(w, 1000);
    expect_nothing(w);
    w->performers_seen.version = 9;
    pass(w, 5);
    exchange(w, "PATCH", SELF_A "/status", 200, PERFORMER_A);
}

static void a_lost_answer_is_settled_by_a_look(void **state)
{
    static const struct {
        script *reconcile;
        const char *method, *target, *look;
        int status;       /* of the GET */
        const char *body; /* of the GET */
        bool is_done;     /* the write has happened */
    } cases[] = {
        {want_pod, "POST", PODS, POD_A, 200, POD("5"), true},
        {want_pod, "POST", PODS, POD_A, 404, STATUS("404", "NotFound"), false},
        {write_status, "PATCH", SELF_A "/status", SELF_A, 200, PERFORMER_A, false},
    };
    struct world *w = *state;
    show(w, w->performers, PERFORMER_A);
    start(w);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        w->reconcile = cases[i].reconcile;
        controller_enqueue(w->controller, (struct queue_key){STR("ns"), STR("a")});
        fake_fail(&w->fake, expect(w, cases[i].method, cases[i].target), KUBE_LOST);
        exchange(w, "GET", cases[i].look, cases[i].status, cases[i].body);
        expect_nothing(w);
        /* What was created is not in the cache yet: only then there is something to wait for. */
        assert_int_equal(controller_active(w->controller), cases[i].is_done);
        controller_stop(w->controller);
        controller_start(w->controller);
        w->reconcile = NULL;
        pass(w, 2000);
    }
}

static void a_delete_whose_answer_was_lost_is_settled_by_a_look(void **state)
{
    static const struct {
        int status;
        const char *body;
        bool is_done;
    } cases[] = {
        {404, STATUS("404", "NotFound"), true},
        {200, POD_GOING, true},
        {200, POD_OF("u-a", "5", ""), false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world *w = *state;
        w->reconcile = want_no_pod;
        show(w, w->performers, PERFORMER_A);
        show(w, w->pods, POD("5"));
        start(w);
        fake_fail(&w->fake, expect(w, "DELETE", POD_A), KUBE_LOST);
        exchange(w, "GET", POD_A, cases[i].status, cases[i].body);
        pass(w, 4);
        expect_nothing(w);
        assert_int_equal(controller_active(w->controller), cases[i].is_done);
        w->reconcile = NULL;
        tear_down(state);
        set_up(state);
    }
}

static void a_look_is_repeated_until_the_server_answers(void **state)
{
    struct world *w = *state;
    w->reconcile = want_pod;
    show(w, w->performers, PERFORMER_A);
    start(w);
    fake_fail(&w->fake, expect(w, "POST", PODS), KUBE_LOST);
    int looks = 0;
    for (int64_t waited = 0; waited < 120; waited++) {
        turn(w);
        for (; w->answered < w->fake.count; w->answered++, looks++) {
            assert_string_equal(fake_sent(&w->fake, w->answered)->method, "GET");
            fake_fail(&w->fake, w->answered, KUBE_NOT_SENT);
        }
        pass(w, 1000);
    }
    assert_true(looks > 10);
    assert_int_equal(w->reconciles, 1);
    pass(w, 60000);
    exchange(w, "GET", POD_A, 200, POD("5"));
    show(w, w->pods, POD("5"));
    w->pods_seen.version = 5;
    pass(w, 10);
    assert_int_equal(controller_active(w->controller), 0);
    assert_in_range(w->reconciles, 2, 3); /* for the change, and for the adoption */
}

/* ---- Leading ---- */

static void nothing_happens_before_all_caches_are_fresh(void **state)
{
    struct world *w = *state;
    w->reconcile = want_pod;
    w->pods_seen.is_stale = true;
    show(w, w->performers, PERFORMER_A);
    start(w);
    pass(w, 150000);
    assert_int_equal(w->reconciles, 0);
    w->pods_seen.is_stale = false;
    turn(w);
    assert_int_equal(w->reconciles, 1);
    controller_stop(w->controller);
    w->answered = w->fake.count;
}

static void who_loses_the_lead_drops_what_is_under_way(void **state)
{
    struct world *w = *state;
    w->reconcile = want_pod_and_status;
    show(w, w->performers, PERFORMER_A);
    start(w);
    size_t post = expect(w, "POST", PODS);
    assert_true(fake_is_open(&w->fake, post));
    controller_stop(w->controller);
    assert_false(fake_is_open(&w->fake, post));
    assert_int_equal(controller_active(w->controller), 0);
    show(w, w->pods, POD("5"));
    pass(w, 300000);
    expect_nothing(w);
    assert_int_equal(w->reconciles, 1);
    assert_int_equal(w->pods_seen.refreshes, 1);
    /* It leads again, and looks at everything anew: another has led, or a write that was dropped was done. */
    w->pods_seen.is_stale = true;
    controller_start(w->controller);
    assert_int_equal(w->performers_seen.refreshes, 2);
    assert_int_equal(w->pods_seen.refreshes, 2);
    w->reconcile = want_pod;
    expect_nothing(w);
    assert_int_equal(w->reconciles, 1);
    w->pods_seen.is_stale = false;
    expect_nothing(w);
    assert_int_equal(w->reconciles, 2);
}

static void an_orderly_end_finishes_the_write_under_way_and_begins_no_other(void **state)
{
    struct world *w = *state;
    w->reconcile = want_pod_and_status;
    show(w, w->performers, PERFORMER_A);
    start(w);
    size_t post = expect(w, "POST", PODS);
    controller_drain(w->controller);
    turn(w);
    assert_false(controller_is_idle(w->controller));
    fake_answer(&w->fake, post, 201, POD("5"));
    expect_nothing(w);
    assert_true(controller_is_idle(w->controller));
    show(w, w->pods, POD("5"));
    w->pods_seen.version = 5;
    pass(w, 1000);
    expect_nothing(w);
    assert_int_equal(w->reconciles, 1);
}

/* ---- Many ---- */

static void fill(struct world *w, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[256];
        snprintf(text, sizeof(text),
                 "{\"metadata\":{\"namespace\":\"ns\",\"name\":\"p%zu\",\"uid\":\"%zx-%zu\","
                 "\"resourceVersion\":\"1\"}}",
                 i, i * 7919, i);
        show(w, w->performers, text);
    }
}

static void no_more_keys_than_workers_write_at_once(void **state)
{
    struct world *w = *state;
    w->config.workers = 4;
    w->reconcile = want_pod;
    fill(w, 100);
    start(w);
    turn(w);
    assert_int_equal(w->fake.open, 4);
    assert_int_equal(w->reconciles, 4);
    /* Those that wait at the fence write no more, but there is a bound for them too. */
    while (w->answered < w->fake.count) {
        fake_answer(&w->fake, w->answered++, 201, POD("5"));
        turn(w);
    }
    assert_int_equal(w->fake.open, 0);
    assert_int_equal(controller_active(w->controller), 20);
    controller_stop(w->controller);
}

static void every_object_is_looked_at_once_in_each_period(void **state)
{
    enum { COUNT = 2000 };
    struct world *w = *state;
    unsigned counts[COUNT] = {0};
    w->per_object = counts;
    w->config.resync_ns = 64 * SEC;
    fill(w, COUNT);
    start(w);
    pass(w, 500);
    assert_int_equal(w->reconciles, COUNT);
    size_t most = 0;
    for (int second = 0; second < 64; second++) {
        size_t before = w->reconciles;
        pass(w, 1000);
        if (w->reconciles - before > most)
            most = w->reconciles - before;
    }
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(counts[i], 2);
    assert_true(most < 3 * COUNT / 64);
}

static void an_idle_key_takes_no_memory(void **state)
{
    struct world *w = *state;
    w->reconcile = write_status;
    fill(w, 1);
    start(w);
    exchange(w, "PATCH", "/apis/hourglass.eigenlayer.io/v1alpha1/namespaces/ns/performers/a/status",
             200, PERFORMER_A);
    turn(w);
    assert_int_equal(controller_active(w->controller), 0);
    size_t blocks = w->mem.live_blocks;
    for (int i = 0; i < 100; i++) {
        controller_enqueue(w->controller, (struct queue_key){STR("ns"), STR("p0")});
        exchange(w, "PATCH",
                 "/apis/hourglass.eigenlayer.io/v1alpha1/namespaces/ns/performers/a/status", 200,
                 PERFORMER_A);
        turn(w);
    }
    assert_int_equal(w->mem.live_blocks, blocks);
}

/* ---- Without memory ---- */

/* A server that has what it was asked to create. */
static void serve(struct world *w)
{
    for (; w->answered < w->fake.count; w->answered++) {
        const struct kube_request *request = fake_sent(&w->fake, w->answered);
        if (!fake_is_open(&w->fake, w->answered))
            continue;
        if (strcmp(request->method, "POST") == 0 && w->pods_seen.version < 5) {
            w->pods_seen.version = 5;
            fake_answer(&w->fake, w->answered, 201, POD("5"));
        } else if (strcmp(request->method, "POST") == 0) {
            fake_answer(&w->fake, w->answered, 409, STATUS("409", "AlreadyExists"));
        } else {
            fake_answer(&w->fake, w->answered, 200,
                        str_eq_cstr(request->target, POD_A) ? POD("5") : PERFORMER_A);
        }
    }
}

static int want_pod_once_seen(struct world *w, struct queue_key key, struct plan *plan)
{
    (void)key;
    if (w->pods_seen.version < 5 || w->refusals == 0) {
        add(plan, create_pod);
        add(plan, patch_status);
    }
    plan->correlation_id = arena_copy(plan->arena, STR("c"));
    return str_is_set(plan->correlation_id) ? 0 : -1;
}

/* Each allocation fails once, at whatever it is for: the key still comes to its end, because everything
 * that fails is tried again, and nothing leaks. `refusals` counts whole rounds here. */
static void whatever_allocation_fails_the_work_is_done_later(void **state)
{
    for (size_t n = 1, calls = 1; n <= calls; n++) {
        tear_down(state);
        set_up(state);
        struct world *w = *state;
        w->reconcile = want_pod_once_seen;
        show(w, w->performers, PERFORMER_A);
        start(w);
        size_t before = w->mem.calls;
        w->mem.fail_at = before + n;
        for (int round = 0; round < 50 && w->refusals == 0; round++) {
            pass(w, 1000);
            serve(w);
            w->refusals = w->pods_seen.version == 5 && w->mem.calls >= w->mem.fail_at;
        }
        for (int round = 0; round < 200 && controller_active(w->controller) > 0; round++) {
            pass(w, 1000);
            serve(w);
        }
        w->reconcile = NULL;
        assert_int_equal(w->pods_seen.version, 5);
        assert_int_equal(controller_active(w->controller), 0);
        calls = w->mem.failures > 0 && n < 200 ? n + 1 : n;
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(writes_are_sent_one_after_the_other),
        TEST(a_write_that_fails_ends_the_plan_and_backs_off),
        TEST(a_reconcile_that_fails_backs_off_until_it_succeeds),
        TEST(a_plan_may_ask_for_a_later_look),
        TEST(a_plan_may_ask_for_a_rest),
        TEST(events_are_recorded_once_their_plan_is_written),
        TEST(a_create_is_never_sent_twice_on_a_stale_cache),
        TEST(without_a_cache_to_wait_for_it_is_sent_twice),
        TEST(other_keys_go_on_while_one_is_fenced),
        TEST(a_deleted_object_must_be_gone_from_the_cache),
        TEST(a_deleted_object_that_is_going_is_good_enough),
        TEST(a_successor_of_the_same_name_shows_that_the_old_one_is_gone),
        TEST(a_cache_that_takes_long_is_compared_with_the_server),
        TEST(what_is_gone_at_the_server_must_leave_the_cache_too),
        TEST(what_is_read_is_told_and_nobody_waits_for_a_cache),
        TEST(what_is_not_there_is_told_as_nothing_and_the_plan_goes_on),
        TEST(a_read_that_fails_ends_the_plan_and_backs_off),
        TEST(what_is_adopted_and_what_is_deleted_are_told),
        TEST(an_object_of_ours_that_exists_is_adopted),
        TEST(an_adopted_object_gets_back_its_labels),
        TEST(a_foreign_object_is_reported_and_left_alone),
        TEST(a_refused_write_is_told_to_the_kind_and_ends_the_plan),
        TEST(a_refusal_may_name_the_time_of_the_next_try),
        TEST(a_refused_report_is_not_reported),
        TEST(a_conflict_comes_again_when_the_cache_has_seen_what_was_in_the_way),
        TEST(a_lost_answer_is_settled_by_a_look),
        TEST(a_delete_whose_answer_was_lost_is_settled_by_a_look),
        TEST(a_look_is_repeated_until_the_server_answers),
        TEST(nothing_happens_before_all_caches_are_fresh),
        TEST(who_loses_the_lead_drops_what_is_under_way),
        TEST(an_orderly_end_finishes_the_write_under_way_and_begins_no_other),
        TEST(no_more_keys_than_workers_write_at_once),
        TEST(every_object_is_looked_at_once_in_each_period),
        TEST(an_idle_key_takes_no_memory),
        TEST(whatever_allocation_fails_the_work_is_done_later),
    };
    return cmocka_run_group_tests_name("controller", tests, NULL, NULL);
}
