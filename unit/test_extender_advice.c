/* What pods that wait are told. */
#include "unit/extender_fixture.h"

#include "extender/advice.h"
#include "extender/census.h"

#include <stdio.h>

struct fixture {
    struct extender_fixture shared;
    struct test_clock clock;
    struct random_seeded random;
    struct fake_transport fake;
    struct timers timers;
    struct kube_client *client;
    struct kube_events *events;
    struct snapshot_source source;
    struct census *census;
    struct store *pods;
    struct advice *advice;
    struct kube_sink node_sink, pod_sink;
    long long version;
    size_t advised;
    char text[2 * ADVICE_TEXT_MAX]; /* the last */
};

static void pod_changed(void *ctx, const struct stored *before, const struct stored *after)
{
    struct fixture *f = ctx;
    advice_pod_changed(f->advice, before, after);
}

static void advised(void *ctx, const struct kube_meta *pod, struct str text)
{
    struct fixture *f = ctx;
    (void)pod;
    f->advised++;
    snprintf(f->text, sizeof(f->text), "%" PRIstr, STR_ARG(text));
}

static void make_caches(struct fixture *f)
{
    f->census = extender_census(&f->shared, &f->clock.clock, &f->random.random, &f->source);
    f->pods = extender_store(&cached_pods, &f->random.random, pod_changed, f);
    f->node_sink = census_node_sink(f->census);
    f->pod_sink = store_sink(f->pods);
}

static struct advice *make_advice(struct fixture *f, const struct mem *mem)
{
    struct err err;
    return advice_new(&(const struct advice_config){.client = f->client,
                                                    .events = f->events,
                                                    .source = &f->source,
                                                    .clock = &f->clock.clock,
                                                    .mem = mem,
                                                    .period_s = 300,
                                                    .advised = advised,
                                                    .ctx = f},
                      &err);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    *f = (struct fixture){0};
    extender_fixture_init(&f->shared);
    test_clock_init(&f->clock);
    random_seeded_init(&f->random, TEST_SEED);
    fake_transport_init(&f->fake);
    timers_init(&f->timers, mem_system());
    snapshot_source_init(&f->source);
    f->client = extender_client(&f->fake, &f->timers, &f->clock.clock, &f->random.random);
    f->events = extender_events(f->client, &f->timers, &f->clock.clock, &f->random.random);
    make_caches(f);
    f->advice = make_advice(f, mem_system());
    assert_non_null(f->advice);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    store_free(f->pods);
    advice_free(f->advice);
    kube_events_free(f->events);
    census_free(f->census);
    snapshot_source_done(&f->source);
    kube_client_free(f->client);
    timers_done(&f->timers);
    fake_transport_done(&f->fake);
    extender_fixture_done(&f->shared);
    return 0;
}

/* ---- What happens ---- */

static void give(struct fixture *f, const struct kube_sink *sink, const char *text)
{
    const struct json *object = extender_json(&f->shared, text);
    struct kube_meta meta;
    kube_meta_read(object, &meta);
    assert_int_equal(sink->upsert(sink->ctx, object, &meta), 0);
    assert_true(census_publish(f->census));
}

/* `labels` and `resources` are members of JSON objects. */
static void give_node(struct fixture *f, const char *name, const char *labels,
                      const char *resources)
{
    give(f, &f->node_sink,
         arena_printf(&f->shared.arena,
                      "{'metadata':{'name':'%s','labels':{%s}},'status':{'allocatable':"
                      "{'cpu':'8','memory':'32Gi','pods':'110'%s%s},"
                      "'conditions':[{'type':'Ready','status':'True'}]}}",
                      name, labels, resources[0] ? "," : "", resources)
             .ptr);
}

static const char shared_labels[] = "'callboard.dev/gpu-mode':'shared','nvidia.com/gpu.count':'1'";

/* A pod as a watch or a GET gives it. */
static const char *pod_text(struct fixture *f, const char *name, int milli, const char *condition)
{
    return arena_printf(&f->shared.arena,
                        "{'metadata':{'namespace':'team','name':'%s','uid':'uid-%s',"
                        "'resourceVersion':'%lld',"
                        "'labels':{'app.kubernetes.io/managed-by':'callboard'}},"
                        "'spec':{'containers':[{'resources':{'requests':{'cpu':'1',"
                        "'callboard.dev/gpu-milli':'%d'}}}]},"
                        "'status':{'conditions':[{'type':'PodScheduled','status':'False',"
                        "'reason':'%s'}]}}",
                        name, name, ++f->version, milli, condition)
        .ptr;
}

static void give_waiting(struct fixture *f, const char *name, int milli)
{
    give(f, &f->pod_sink, pod_text(f, name, milli, "Unschedulable"));
}

/* Every second the time comes. */
static void pass(struct fixture *f, int64_t seconds)
{
    for (int64_t s = 0; s < seconds; s++) {
        test_clock_advance_ms(&f->clock, 1000);
        timers_run(&f->timers, clock_now_ns(&f->clock.clock));
        advice_tick(f->advice);
    }
}

/* The last request is the pod's GET: it is answered. */
static void answer_pod(struct fixture *f, const char *name, int milli)
{
    size_t last = f->fake.count - 1;
    const struct kube_request *sent = fake_sent(&f->fake, last);
    char target[128];
    snprintf(target, sizeof(target), "/api/v1/namespaces/team/pods/%s", name);
    assert_string_equal(sent->method, "GET");
    assert_str_is(sent->target, target);
    const char *text = pod_text(f, name, milli, "Unschedulable");
    fake_answer(&f->fake, last, 200, extender_quoted(&f->shared, str_from_cstr(text)).ptr);
    timers_run(&f->timers, clock_now_ns(&f->clock.clock));
}

/* The last request is an event, which is taken. */
static void answer_event(struct fixture *f)
{
    size_t last = f->fake.count - 1;
    assert_string_equal(fake_sent(&f->fake, last)->method, "POST");
    assert_str_is(fake_sent(&f->fake, last)->target, "/api/v1/namespaces/team/events");
    fake_answer(&f->fake, last, 201, "{}");
}

/* ---- Events ---- */

static void a_pod_that_waits_gets_one_event_with_what_would_help(void **state)
{
    struct fixture *f = *state;
    give_node(f, "small", shared_labels, "");
    give_waiting(f, "p", 2000);
    pass(f, 9);
    assert_int_equal(f->fake.count, 0); /* most are placed by then */
    pass(f, 1);
    assert_int_equal(f->fake.count, 1);
    answer_pod(f, "p", 2000);
    assert_int_equal(f->advised, 1);
    assert_string_equal(f->text, "GPU: the node has fewer GPUs than the pod wants: 1 node (small): "
                                 "ask for fewer, or add larger nodes");
    assert_int_equal(f->fake.count, 2);
    const char *body = fake_sent(&f->fake, 1)->body.ptr;
    assert_non_null(strstr(body, "\"reason\":\"NoNodeFits\""));
    assert_non_null(strstr(body, "\"type\":\"Warning\""));
    assert_non_null(strstr(body, f->text));
    answer_event(f);
    /* kube-scheduler tries again and again, and says so in the pod's condition. */
    for (int i = 0; i < 100; i++)
        give(f, &f->pod_sink, pod_text(f, "p", 2000, i % 2 ? "Unschedulable" : "SchedulerError"));
    pass(f, 299);
    assert_int_equal(f->fake.count, 2);
    pass(f, 1);
    answer_pod(f, "p", 2000);
    assert_int_equal(f->advised, 2);
    /* The same again is counted. */
    assert_int_equal(f->fake.count, 4);
    assert_string_equal(fake_sent(&f->fake, 3)->method, "PATCH");
    fake_answer(&f->fake, 3, 200, "{}");
    pass(f, 599);
    assert_int_equal(f->fake.count, 4);
    pass(f, 1);
    give_node(f, "other", "'callboard.dev/gpu-mode':'shared','nvidia.com/gpu.count':'2'", "");
    answer_pod(f, "p", 2000);
    assert_int_equal(f->fake.count, 6);
    assert_non_null(strstr(f->text, "has the hardware and room: 1 node (other): labels, affinity"));
    answer_event(f);
}

static void a_pod_that_is_placed_gone_or_not_ours_is_not_asked_about(void **state)
{
    struct fixture *f = *state;
    give_node(f, "a", "", "");
    give_waiting(f, "placed", 500);
    give(f, &f->pod_sink,
         arena_printf(&f->shared.arena,
                      "{'metadata':{'namespace':'team','name':'placed','uid':'uid-placed',"
                      "'resourceVersion':'%lld'},'spec':{'nodeName':'a'}}",
                      ++f->version)
             .ptr);
    give_waiting(f, "gone", 500);
    const struct json *gone = extender_json(
        &f->shared, arena_printf(&f->shared.arena,
                                 "{'metadata':{'namespace':'team','name':'gone','uid':'uid-gone',"
                                 "'resourceVersion':'%lld'}}",
                                 ++f->version)
                        .ptr);
    struct kube_meta meta;
    kube_meta_read(gone, &meta);
    f->pod_sink.remove(f->pod_sink.ctx, gone, &meta);
    give(f, &f->pod_sink, pod_text(f, "new", 500, "SchedulingGated"));
    give(f, &f->pod_sink,
         arena_printf(&f->shared.arena,
                      "{'metadata':{'namespace':'team','name':'other','uid':'uid-other',"
                      "'resourceVersion':'%lld'},'status':{'conditions':"
                      "[{'type':'PodScheduled','status':'False','reason':'Unschedulable'}]}}",
                      ++f->version)
             .ptr);
    pass(f, 20);
    assert_int_equal(f->fake.count, 0);
}

static void a_pod_that_goes_while_it_is_asked_about_is_left_alone(void **state)
{
    struct fixture *f = *state;
    give_node(f, "a", "", "");
    give_waiting(f, "p", 500);
    pass(f, 10);
    assert_int_equal(f->fake.count, 1);
    give(f, &f->pod_sink,
         arena_printf(&f->shared.arena,
                      "{'metadata':{'namespace':'team','name':'p','uid':'uid-p',"
                      "'resourceVersion':'%lld'},'spec':{'nodeName':'a'}}",
                      ++f->version)
             .ptr);
    answer_pod(f, "p", 500);
    assert_int_equal(f->advised, 0);
    assert_int_equal(f->fake.count, 1);
}

static void what_cannot_be_read_is_asked_for_again(void **state)
{
    static const struct {
        int status;
        const char *body;
    } rows[] = {{404, "{}"}, {200, "["}, {200, "{}"}};
    struct fixture *f = *state;
    give_node(f, "a", "", "");
    give_waiting(f, "p", 500);
    pass(f, 10);
    int64_t pause_s = 300;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fake_answer(&f->fake, f->fake.count - 1, rows[i].status, rows[i].body);
        assert_int_equal(f->advised, 0);
        pass(f, pause_s);
        assert_int_equal(f->fake.count, i + 2);
        pause_s *= 2;
    }
    answer_pod(f, "p", 500);
    assert_int_equal(f->advised, 1);
    answer_event(f);
}

static void there_are_no_more_questions_than_there_is_room_for(void **state)
{
    enum { ONE_A_SECOND = 50 };
    struct fixture *f = *state;
    give_node(f, "a", "", "");
    for (int i = 0; i < ADVICE_PODS_MAX + 10; i++) {
        char name[16];
        snprintf(name, sizeof(name), "p-%d", i);
        give_waiting(f, name, 500);
    }
    pass(f, 9);
    for (int i = 0; i < ONE_A_SECOND; i++) {
        size_t before = f->fake.count;
        pass(f, 1);
        assert_int_equal(f->fake.count, before + 1);
        fake_answer(&f->fake, before, 404, "{}");
    }
    /* One that is not answered holds up the others. */
    pass(f, 5);
    assert_int_equal(f->fake.count, ONE_A_SECOND + 1);
    fake_answer(&f->fake, ONE_A_SECOND, 404, "{}");
}

/* ---- Texts ---- */

static void a_text_says_first_what_is_nearest_to_fitting(void **state)
{
    struct fixture *f = *state;
    give_node(f, "cpu-1", "", "");
    give_node(f, "cpu-2", "", "");
    give_node(f, "cpu-3", "", "");
    give_node(f, "plugin", "'nvidia.com/gpu.product':'T4'", "'nvidia.com/gpu':'4'");
    give_node(f, "gpu", shared_labels, "");
    struct pod pod = extender_pod(&f->shared, "'callboard.dev/gpu-milli':'500','cpu':'9'", "", "");
    struct snapshot *snapshot = snapshot_get(&f->source);
    struct buf buf;
    buf_init(&buf, mem_system(), 1 << 16);
    advice_write(&buf, &pod, snapshot, clock_now_ns(&f->clock.clock));
    assert_str_is(buf_str(&buf),
                  "too little CPU is free: 1 node (gpu): wait, ask for less, or add nodes. "
                  "GPU: the node does not share its GPUs: 1 node (plugin): set the label "
                  "callboard.dev/gpu-mode=shared on nodes that may, or ask for whole GPUs. "
                  "GPU: the node has none: 3 nodes (cpu-1, cpu-2, …): add nodes with GPUs");
    buf_done(&buf);
    snapshot_unref(snapshot);
}

static void without_nodes_it_says_so(void **state)
{
    struct fixture *f = *state;
    assert_true(census_publish(f->census));
    struct pod pod = extender_pod(&f->shared, "'cpu':'1'", "", "");
    struct snapshot *snapshot = snapshot_get(&f->source);
    struct buf buf;
    buf_init(&buf, mem_system(), 1 << 16);
    assert_non_null(snapshot);
    advice_write(&buf, &pod, snapshot, 0);
    assert_str_is(buf_str(&buf), "there are no nodes: add some");
    buf_done(&buf);
    snapshot_unref(snapshot);
}

/* ---- Memory ---- */

static bool ask_with(const struct mem *mem, void *ctx)
{
    struct fixture *f = ctx;
    advice_free(f->advice);
    f->advice = make_advice(f, mem);
    if (!f->advice)
        return false;
    size_t advised_before = f->advised;
    give_waiting(f, "p", 500);
    size_t before = f->fake.count;
    pass(f, 10);
    if (f->fake.count > before)
        answer_pod(f, "p", 500);
    if (f->advised > advised_before) /* one of the same words is counted */
        fake_answer(&f->fake, f->fake.count - 1, 200, "{}");
    give(f, &f->pod_sink,
         arena_printf(&f->shared.arena,
                      "{'metadata':{'namespace':'team','name':'p','uid':'uid-p',"
                      "'resourceVersion':'%lld'},'spec':{'nodeName':'a'}}",
                      ++f->version)
             .ptr);
    bool good = f->advised > advised_before;
    advice_free(f->advice);
    f->advice = NULL;
    return good;
}

static void memory_may_fail_anywhere(void **state)
{
    struct fixture *f = *state;
    give_node(f, "a", "", "");
    advice_free(f->advice);
    f->advice = NULL;
    test_every_allocation_failing(ask_with, f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_pod_that_waits_gets_one_event_with_what_would_help),
        TEST(a_pod_that_is_placed_gone_or_not_ours_is_not_asked_about),
        TEST(a_pod_that_goes_while_it_is_asked_about_is_left_alone),
        TEST(what_cannot_be_read_is_asked_for_again),
        TEST(there_are_no_more_questions_than_there_is_room_for),
        TEST(a_text_says_first_what_is_nearest_to_fitting),
        TEST(without_nodes_it_says_so),
        TEST(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
