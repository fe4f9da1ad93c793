/* Pods that were refused, and are tried again when a node has come to fit. */
#include "unit/extender_fixture.h"

#include "extender/budgets.h"
#include "extender/preempt.h"

#include <pthread.h>
#include <stdio.h>

struct fixture {
    struct extender_fixture shared;
    struct test_clock clock;
    struct random_seeded random;
    struct fake_transport fake;
    struct timers timers;
    struct kube_client *client;
    struct snapshot_source source;
    struct census *census;
    struct store *pods;
    struct requeue *requeue;
    size_t seen; /* requests that were looked at */
    long long version;
};

static void pod_changed(void *ctx, const struct stored *before, const struct stored *after)
{
    struct fixture *f = ctx;
    census_pod_changed(f->census, before, after);
}

static struct requeue *make_requeue(struct fixture *f, const struct mem *mem)
{
    struct err err;
    return requeue_new(&(const struct requeue_config){.client = f->client,
                                                      .source = &f->source,
                                                      .pods = f->pods,
                                                      .clock = &f->clock.clock,
                                                      .mem = mem},
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
    f->census = extender_census(&f->shared, &f->clock.clock, &f->random.random, &f->source);
    f->pods = extender_store(&cached_pods, &f->random.random, pod_changed, f);
    f->requeue = make_requeue(f, mem_system());
    assert_non_null(f->requeue);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    requeue_free(f->requeue);
    store_free(f->pods);
    census_free(f->census);
    snapshot_source_done(&f->source);
    kube_client_free(f->client);
    timers_done(&f->timers);
    fake_transport_done(&f->fake);
    extender_fixture_done(&f->shared);
    return 0;
}

/* ---- What the watches tell ---- */

static void tell(struct fixture *f, struct kube_sink sink, struct str text, bool is_gone)
{
    struct kube_meta meta;
    const struct json *object = extender_json(&f->shared, text.ptr);
    kube_meta_read(object, &meta);
    if (is_gone)
        sink.remove(sink.ctx, object, &meta);
    else
        assert_int_equal(sink.upsert(sink.ctx, object, &meta), 0);
    assert_true(census_publish(f->census));
}

/* With one shared device. */
static void give_node(struct fixture *f, const char *name, const char *more_labels)
{
    tell(f, census_node_sink(f->census),
         arena_printf(&f->shared.arena,
                      "{'metadata':{'name':'%s','labels':{'callboard.dev/gpu-mode':'shared',"
                      "'nvidia.com/gpu.count':'1'%s}},'status':{'allocatable':{'cpu':'8',"
                      "'memory':'32Gi','pods':'110','callboard.dev/gpu-milli':'1000'},"
                      "'conditions':[{'type':'Ready','status':'True'}]}}",
                      name, more_labels),
         false);
}

static void give_lease(struct fixture *f, const char *name, int number)
{
    tell(f, census_lease_sink(f->census),
         arena_printf(&f->shared.arena,
                      "{'metadata':{'name':'%s'},'spec':{'renewTime':"
                      "'2026-01-02T03:00:%02d.000000Z'}}",
                      name, number),
         false);
}

/* A pod that asks for a device; `node` may be "", and `more` be members of its metadata. */
static struct str pod_text(struct fixture *f, const char *name, const char *uid, const char *node,
                           const char *more)
{
    return arena_printf(&f->shared.arena,
                        "{'metadata':{'namespace':'team','name':'%s','uid':'%s',"
                        "'resourceVersion':'%lld','annotations':{'callboard.dev/devices':'%s'}%s},"
                        "'spec':{'nodeName':'%s','affinity':{'nodeAffinity':{"
                        "'requiredDuringSchedulingIgnoredDuringExecution':{'nodeSelectorTerms':["
                        "{'matchExpressions':[{'key':'nvidia.com/gpu.product','operator':'In',"
                        "'values':['A100','']}]}]}}},'containers':[{'resources':{'requests':"
                        "{'callboard.dev/gpu-milli':'1000'}}}]}}",
                        name, uid, ++f->version, *node ? "0" : "", more, node);
}

static void give_pod(struct fixture *f, const char *name, const char *node)
{
    tell(f, store_sink(f->pods), pod_text(f, name, name, node, ""), false);
}

static void take_pod(struct fixture *f, const char *name)
{
    tell(f, store_sink(f->pods), pod_text(f, name, name, "", ""), true);
}

/* ---- What kube-scheduler is told ---- */

/* None of the nodes fits the pod, of which the watch need not have told. */
static void refuse_on(struct fixture *f, const char *name, const struct wire_node *nodes,
                      size_t count)
{
    struct str text = pod_text(f, name, name, "", "");
    struct pod pod;
    pod_read(&pod, extender_json(&f->shared, text.ptr), f->shared.catalog);
    requeue_refused(f->requeue, &(const struct refused){.pod = &pod,
                                                        .text = extender_quoted(&f->shared, text),
                                                        .snapshot = f->source.current,
                                                        .nodes = nodes,
                                                        .count = count});
}

/* The same of nodes "a b". */
static void refuse(struct fixture *f, const char *name, const char *list)
{
    enum { NODES_MAX = 4 };
    struct wire_node nodes[NODES_MAX];
    struct str rest = str_from_cstr(list);
    size_t count = 0;
    for (; str_is_set(rest); count++)
        str_cut(rest, ' ', &nodes[count].name, &rest);
    refuse_on(f, name, nodes, count);
}

/* A pod that waits is refused on the nodes. */
static void wait_for(struct fixture *f, const char *name, const char *list)
{
    give_pod(f, name, "");
    refuse(f, name, list);
}

static void pass(struct fixture *f, int seconds)
{
    for (int i = 0; i < seconds; i++) {
        test_clock_advance_ms(&f->clock, 1000);
        timers_run(&f->timers, clock_now_ns(&f->clock.clock));
        requeue_tick(f->requeue, true);
    }
}

static size_t writes(const struct fixture *f)
{
    return f->fake.count - f->seen;
}

static void expect_write(struct fixture *f, const char *name, int status)
{
    char target[96], uid[64];
    assert_true(writes(f) > 0);
    const struct kube_request *sent = fake_sent(&f->fake, f->seen);
    snprintf(target, sizeof(target), "/api/v1/namespaces/team/pods/%s/status", name);
    snprintf(uid, sizeof(uid), "{\"metadata\":{\"uid\":\"%s\",\"annotations\":{", name);
    assert_string_equal(sent->method, "PATCH");
    assert_str_is(sent->target, target);
    assert_true(str_starts_with(sent->body, str_from_cstr(uid)));
    const char at[] = "\"callboard.dev/requeued-at\":\"2026-01-02T03:0";
    assert_non_null(memmem(sent->body.ptr, sent->body.len, at, strlen(at)));
    fake_answer(&f->fake, f->seen++, status, "{}");
    timers_run(&f->timers, clock_now_ns(&f->clock.clock));
}

static void pass_without_a_write(struct fixture *f, int seconds)
{
    pass(f, seconds);
    assert_int_equal(writes(f), 0);
}

static void expect_write_in(struct fixture *f, int seconds, const char *name)
{
    pass(f, seconds);
    expect_write(f, name, 200);
}

/* Node "n", which is full, and a pod "p" that was refused there. */
static void begin(struct fixture *f)
{
    give_node(f, "n", "");
    give_pod(f, "full", "n");
    wait_for(f, "p", "n");
}

/* ---- Tests ---- */

static void a_pod_is_tried_again_once_when_a_node_comes_to_fit(void **state)
{
    struct fixture *f = *state;
    begin(f);
    pass_without_a_write(f, 20);
    take_pod(f, "full");
    expect_write_in(f, 1, "p");
    pass_without_a_write(f, 700);
}

static void kube_scheduler_has_a_second_to_ask_by_itself(void **state)
{
    struct fixture *f = *state;
    begin(f);
    take_pod(f, "full");
    requeue_tick(f->requeue, true);
    test_clock_advance_ms(&f->clock, 900);
    requeue_tick(f->requeue, true);
    give_pod(f, "full", "n");
    refuse(f, "p", "n"); /* which counts anew */
    take_pod(f, "full");
    test_clock_advance_ms(&f->clock, 900);
    requeue_tick(f->requeue, true);
    assert_int_equal(writes(f), 0);
    test_clock_advance_ms(&f->clock, 100);
    requeue_tick(f->requeue, true);
    expect_write(f, "p", 200);
    assert_int_equal(writes(f), 0);
}

static void a_heartbeat_that_returns_is_seen_without_a_change_of_nodes_or_pods(void **state)
{
    struct fixture *f = *state;
    give_node(f, "n", "");
    give_lease(f, "n", 1);
    test_clock_advance_ms(&f->clock, (HEARTBEAT_OVERDUE_S + 1) * 1000);
    wait_for(f, "p", "n");
    pass_without_a_write(f, 20);
    give_lease(f, "n", 2);
    expect_write_in(f, 6, "p");
}

static void only_nodes_count_that_were_asked_about(void **state)
{
    struct fixture *f = *state;
    begin(f);
    give_node(f, "free", "");
    pass_without_a_write(f, 20);
    refuse(f, "p", "n free"); /* which it was not, for the test */
    expect_write_in(f, 5, "p");
}

static void a_node_counts_of_which_the_watch_had_yet_to_tell(void **state)
{
    struct fixture *f = *state;
    give_node(f, "other", "");
    wait_for(f, "p", "late");
    pass_without_a_write(f, 20);
    give_node(f, "late", "");
    expect_write_in(f, 1, "p");
}

static void a_node_is_judged_by_all_that_the_pod_asks_for(void **state)
{
    struct fixture *f = *state;
    begin(f);
    give_node(f, "t4", ",'nvidia.com/gpu.product':'T4'");
    refuse(f, "p", "n t4");
    pass_without_a_write(f, 20);
    give_node(f, "t4", ",'nvidia.com/gpu.product':'A100'");
    expect_write_in(f, 1, "p");
}

static void a_pod_that_no_longer_waits_is_forgotten(void **state)
{
    struct fixture *f = *state;
    static const char leaving[] = ",'deletionTimestamp':'2026-01-01T00:00:00Z'";
    give_node(f, "n", "");
    give_node(f, "m", "");
    give_pod(f, "full", "n");
    wait_for(f, "bound", "n");
    wait_for(f, "gone", "n");
    wait_for(f, "leaving", "n");
    wait_for(f, "replaced", "n");
    refuse(f, "unheard", "n");
    give_pod(f, "bound", "m");
    take_pod(f, "gone");
    tell(f, store_sink(f->pods), pod_text(f, "leaving", "leaving", "", leaving), false);
    tell(f, store_sink(f->pods), pod_text(f, "replaced", "another", "", ""), false);
    pass(f, 11);
    give_pod(f, "unheard", "");
    take_pod(f, "full");
    pass_without_a_write(f, 20);
}

static void a_pod_of_which_the_watch_tells_later_is_tried(void **state)
{
    struct fixture *f = *state;
    give_node(f, "n", "");
    refuse(f, "p", "n");
    pass_without_a_write(f, 8);
    give_pod(f, "p", "");
    expect_write_in(f, 1, "p");
}

static void a_refusal_is_forgotten_after_ten_minutes(void **state)
{
    struct fixture *f = *state;
    begin(f);
    pass(f, 600);
    take_pod(f, "full");
    pass_without_a_write(f, 10);
}

static void a_replica_that_is_not_active_forgets_all(void **state)
{
    struct fixture *f = *state;
    begin(f);
    requeue_tick(f->requeue, false);
    take_pod(f, "full");
    pass_without_a_write(f, 10);
}

static void what_cannot_be_written_is_tried_later(void **state)
{
    static const struct {
        int status;
        bool is_tried_again;
    } cases[] = {{500, true}, {403, false}, {404, false}, {409, false}, {422, false}};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin(f);
        take_pod(f, "full");
        pass(f, 1);
        expect_write(f, "p", cases[i].status);
        pass(f, 5);
        assert_int_equal(writes(f), cases[i].is_tried_again ? 1 : 0);
        if (cases[i].is_tried_again)
            expect_write(f, "p", 200);
    }
}

static void a_refusal_during_the_write_counts(void **state)
{
    struct fixture *f = *state;
    begin(f);
    take_pod(f, "full");
    pass(f, 1);
    give_pod(f, "full", "n");
    refuse(f, "p", "n");
    expect_write(f, "p", 500); /* the older one is not kept beside it */
    take_pod(f, "full");
    expect_write_in(f, 5, "p");
    pass_without_a_write(f, 20);
}

static void writes_under_way_are_bounded_and_all_pods_have_their_turn(void **state)
{
    enum { PODS = 3 * REQUEUE_CALLS_MAX };
    struct fixture *f = *state;
    char name[16];
    size_t written = 0;
    give_node(f, "n", "");
    give_pod(f, "full", "n");
    for (int i = 0; i < PODS; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        wait_for(f, name, "n");
    }
    take_pod(f, "full");
    for (int round = 0; round < 3; round++) {
        pass(f, 3);
        size_t first = f->seen;
        for (; f->seen < f->fake.count; f->seen++, written++)
            fake_answer(&f->fake, f->seen, 200, "{}");
        /* Those beyond what the client sends at a time. */
        timers_run(&f->timers, clock_now_ns(&f->clock.clock));
        for (; f->seen < f->fake.count; f->seen++, written++)
            fake_answer(&f->fake, f->seen, 200, "{}");
        assert_int_equal(f->seen - first, REQUEUE_CALLS_MAX);
    }
    assert_int_equal(written, PODS);
}

/* A pod that waits is refused on so many nodes that one tick looks at no more than one such pod. */
static void wait_widely(struct fixture *f, const char *name, const char *last)
{
    enum { COUNT = REQUEUE_NODES_MAX / 2 + 1 };
    struct wire_node *nodes = arena_alloc(&f->shared.arena, COUNT * sizeof(*nodes));
    assert_non_null(nodes);
    for (size_t i = 0; i < COUNT; i++)
        nodes[i].name = str_from_cstr(i == COUNT - 1 ? last : "n");
    give_pod(f, name, "");
    refuse_on(f, name, nodes, COUNT);
}

static void what_a_tick_looks_at_is_bounded_and_all_pods_have_their_turn(void **state)
{
    struct fixture *f = *state;
    give_node(f, "n", "");
    give_node(f, "m", "");
    give_pod(f, "full", "n");
    give_pod(f, "full-m", "m");
    wait_widely(f, "first", "n");
    wait_widely(f, "second", "m");
    take_pod(f, "full-m");
    pass_without_a_write(f, 1);
    expect_write_in(f, 1, "second");
}

static void the_oldest_makes_room(void **state)
{
    enum { FEW = REQUEUE_BYTES_MAX / (REQUEUE_NODES_MAX / 2 * 8) };
    struct fixture *f = *state;
    char name[16];
    give_node(f, "n", "");
    give_pod(f, "full", "n");
    wait_for(f, "old", "n");
    for (int i = 0; i <= FEW; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        wait_widely(f, name, "n");
        take_pod(f, name); /* so that it is not looked at */
    }
    wait_for(f, "new", "n");
    take_pod(f, "full");
    expect_write_in(f, 1, "new");
    pass_without_a_write(f, 20);
}

/* kube-scheduler would end pod "victim" on each of these nodes, "a b". */
static void ask_for_victims(struct fixture *f, const char *list)
{
    struct store *budgets = extender_store(&cached_budgets, &f->random.random, NULL, NULL);
    const struct preempt_view view = {.census = f->census,
                                      .pods = f->pods,
                                      .budgets = budgets,
                                      .catalog = f->shared.catalog,
                                      .clock = &f->clock.clock,
                                      .requeue = f->requeue};
    struct preempt_counts counts;
    struct str rest = str_from_cstr(list), name, nodes = STR("");
    struct buf answer;
    struct err err;
    buf_init(&answer, arena_mem(&f->shared.arena), 65536);
    while (str_is_set(rest)) {
        str_cut(rest, ' ', &name, &rest);
        nodes = arena_printf(&f->shared.arena,
                             "%" PRIstr "%s'%" PRIstr "':{'Pods':[{'UID':'victim'}],"
                             "'NumPDBViolations':0}",
                             STR_ARG(nodes), nodes.len > 0 ? "," : "", STR_ARG(name));
    }
    struct str body =
        arena_printf(&f->shared.arena,
                     "{'Pod':{'metadata':{'namespace':'team','name':'p','uid':'p'},'spec':{"
                     "'priority':100,'containers':[{'resources':{'requests':"
                     "{'callboard.dev/gpu-milli':'1000'}}}]}},'NodeNameToVictims':null,"
                     "'NodeNameToMetaVictims':{%" PRIstr "}}",
                     STR_ARG(nodes));
    assert_int_equal(preempt_answer(&view, extender_quoted(&f->shared, body), &f->shared.arena,
                                    &answer, &counts, &err),
                     0);
    store_free(budgets);
}

/* The device of the node is given to a pod that the watch shows bound to none. */
static void reserve(struct fixture *f, const char *name, const char *node)
{
    const struct pod_load load = {.amounts.of[RESOURCE_INDEX_MILLI] = 1000, .devices = 1};
    give_pod(f, name, "");
    const struct stored *pod = store_get(f->pods, STR("team"), str_from_cstr(name));
    assert_non_null(census_reserve(f->census, pod, str_from_cstr(node), &load));
    assert_true(census_publish(f->census));
}

static void a_pod_whose_victims_are_not_known_yet_is_tried_again(void **state)
{
    struct fixture *f = *state;
    give_node(f, "n", "");
    reserve(f, "victim", "n");
    wait_for(f, "p", "n");
    ask_for_victims(f, "n");
    pass_without_a_write(f, 1);
    expect_write_in(f, 1, "p");
    ask_for_victims(f, "unheard");
    expect_write_in(f, 2, "p");
    pass_without_a_write(f, 20);
}

static void a_pod_that_gets_victims_elsewhere_is_not(void **state)
{
    struct fixture *f = *state;
    give_node(f, "n", "");
    give_node(f, "m", "");
    reserve(f, "fresh", "m");
    give_pod(f, "victim", "n");
    give_pod(f, "p", "");
    ask_for_victims(f, "n m");
    ask_for_victims(f, "n unheard");
    pass_without_a_write(f, 20);
}

static void *refuse_often(void *arg)
{
    struct fixture *f = arg;
    const struct wire_node node = {.name = STR("n")};
    struct pod pod = {.meta = {.namespace = STR("team"), .name = STR("p"), .uid = STR("p")}};
    for (int i = 0; i < 2000; i++)
        requeue_refused(f->requeue, &(const struct refused){.pod = &pod,
                                                            .text = STR("{}"),
                                                            .snapshot = f->source.current,
                                                            .nodes = &node,
                                                            .count = 1});
    return NULL;
}

static void handlers_may_refuse_while_pods_are_looked_at(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[2];
    begin(f);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, refuse_often, f), 0);
    for (int i = 0; i < 200; i++)
        requeue_tick(f->requeue, true);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    refuse(f, "p", "n");
    take_pod(f, "full");
    expect_write_in(f, 1, "p");
    assert_int_equal(writes(f), 0);
}

static bool requeue_with(const struct mem *mem, void *ctx)
{
    struct fixture *f = ctx;
    f->requeue = make_requeue(f, mem);
    if (!f->requeue)
        return false;
    refuse(f, "p", "n");
    pass(f, 5);
    bool is_good = writes(f) > 0;
    if (is_good)
        expect_write(f, "p", 200);
    requeue_free(f->requeue);
    f->requeue = NULL;
    return is_good;
}

static void memory_may_fail_anywhere(void **state)
{
    struct fixture *f = *state;
    give_node(f, "n", "");
    give_pod(f, "p", "");
    requeue_free(f->requeue);
    test_every_allocation_failing(requeue_with, f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_pod_is_tried_again_once_when_a_node_comes_to_fit),
        TEST(kube_scheduler_has_a_second_to_ask_by_itself),
        TEST(a_heartbeat_that_returns_is_seen_without_a_change_of_nodes_or_pods),
        TEST(only_nodes_count_that_were_asked_about),
        TEST(a_node_counts_of_which_the_watch_had_yet_to_tell),
        TEST(a_node_is_judged_by_all_that_the_pod_asks_for),
        TEST(a_pod_that_no_longer_waits_is_forgotten),
        TEST(a_pod_of_which_the_watch_tells_later_is_tried),
        TEST(a_refusal_is_forgotten_after_ten_minutes),
        TEST(a_replica_that_is_not_active_forgets_all),
        TEST(what_cannot_be_written_is_tried_later),
        TEST(a_refusal_during_the_write_counts),
        TEST(writes_under_way_are_bounded_and_all_pods_have_their_turn),
        TEST(what_a_tick_looks_at_is_bounded_and_all_pods_have_their_turn),
        TEST(the_oldest_makes_room),
        TEST(a_pod_whose_victims_are_not_known_yet_is_tried_again),
        TEST(a_pod_that_gets_victims_elsewhere_is_not),
        TEST(handlers_may_refuse_while_pods_are_looked_at),
        TEST(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests_name("extender_requeue", tests, NULL, NULL);
}
