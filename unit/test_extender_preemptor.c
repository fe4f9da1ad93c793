/* Pods that end for one that lacks nothing but devices, and devices that are held for it. */
#include "unit/extender_fixture.h"

#include "extender/budgets.h"
#include "extender/preemptor.h"

#include <stdio.h>

enum { HOLD_S = 60 };

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
    struct store *pods, *budgets;
    struct preemptor *preemptor;
    struct catalog *catalog;
    long long version;
};

static void pod_changed(void *ctx, const struct stored *before, const struct stored *after)
{
    struct fixture *f = ctx;
    census_pod_changed(f->census, before, after);
}

static struct preemptor *make_preemptor(struct fixture *f, const struct mem *mem, int64_t hold_s)
{
    struct err err;
    return preemptor_new(&(const struct preemptor_config){.client = f->client,
                                                          .events = f->events,
                                                          .census = f->census,
                                                          .pods = f->pods,
                                                          .budgets = f->budgets,
                                                          .catalog = &f->catalog,
                                                          .clock = &f->clock.clock,
                                                          .mem = mem,
                                                          .hold_ns = hold_s * CLOCK_NS_PER_SEC},
                         &err);
}

static void make_caches(struct fixture *f)
{
    f->census = extender_census(&f->shared, &f->clock.clock, &f->random.random, &f->source);
    f->pods = extender_store(&cached_pods, &f->random.random, pod_changed, f);
    f->budgets = extender_store(&cached_budgets, &f->random.random, NULL, NULL);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    *f = (struct fixture){0};
    extender_fixture_init(&f->shared);
    f->catalog = f->shared.catalog;
    test_clock_init(&f->clock);
    random_seeded_init(&f->random, TEST_SEED);
    fake_transport_init(&f->fake);
    timers_init(&f->timers, mem_system());
    snapshot_source_init(&f->source);
    f->client = extender_client(&f->fake, &f->timers, &f->clock.clock, &f->random.random);
    f->events = extender_events(f->client, &f->timers, &f->clock.clock, &f->random.random);
    make_caches(f);
    f->preemptor = make_preemptor(f, mem_system(), HOLD_S);
    assert_non_null(f->preemptor);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    preemptor_free(f->preemptor);
    store_free(f->budgets);
    store_free(f->pods);
    census_free(f->census);
    snapshot_source_done(&f->source);
    kube_events_free(f->events);
    kube_client_free(f->client);
    timers_done(&f->timers);
    fake_transport_done(&f->fake);
    extender_fixture_done(&f->shared);
    return 0;
}

/* ---- What the watches tell ---- */

static const struct json *read(struct fixture *f, const char *text, struct kube_meta *meta)
{
    const struct json *object = extender_json(&f->shared, text);
    kube_meta_read(object, meta);
    return object;
}

static void give(struct fixture *f, struct kube_sink sink, const char *text)
{
    struct kube_meta meta;
    const struct json *object = read(f, text, &meta);
    assert_int_equal(sink.upsert(sink.ctx, object, &meta), 0);
    assert_true(census_publish(f->census));
}

static void give_node(struct fixture *f, const char *name, unsigned devices)
{
    give(f, census_node_sink(f->census),
         arena_printf(&f->shared.arena,
                      "{'metadata':{'name':'%s','labels':{'callboard.dev/gpu-mode':'shared',"
                      "'nvidia.com/gpu.count':'%u'}},'status':{'allocatable':{'cpu':'8',"
                      "'memory':'32Gi','pods':'110','callboard.dev/gpu-milli':'%u'},"
                      "'conditions':[{'type':'Ready','status':'True'}]}}",
                      name, devices, 1000 * devices)
             .ptr);
}

static const char *pod_text(struct fixture *f, const char *name, const char *node,
                            const char *devices, int milli, int priority, bool is_leaving)
{
    return arena_printf(&f->shared.arena,
                        "{'metadata':{'namespace':'team','name':'%s','uid':'uid-%s',"
                        "'resourceVersion':'%lld'%s,'labels':{'name':'%s'},'annotations':"
                        "{'callboard.dev/devices':'%s'}},'spec':{'nodeName':'%s','priority':%d,"
                        "'containers':[{'resources':{'requests':{'callboard.dev/gpu-milli':"
                        "'%d'}}}]}}",
                        name, name, ++f->version,
                        is_leaving ? ",'deletionTimestamp':'2026-01-01T00:00:00Z'" : "", name,
                        devices, node, priority, milli)
        .ptr;
}

static void give_pod(struct fixture *f, const char *name, const char *node, const char *devices,
                     int milli, int priority)
{
    give(f, store_sink(f->pods), pod_text(f, name, node, devices, milli, priority, false));
}

static void take_pod(struct fixture *f, const char *name)
{
    struct kube_meta meta;
    struct kube_sink sink = store_sink(f->pods);
    const struct json *object = read(f, pod_text(f, name, "", "", 0, 0, false), &meta);
    sink.remove(sink.ctx, object, &meta);
    assert_true(census_publish(f->census));
}

static void give_budget(struct fixture *f, const char *pod, int allowed)
{
    give(f, store_sink(f->budgets),
         arena_printf(&f->shared.arena,
                      "{'metadata':{'namespace':'team','name':'%s','uid':'budget-%s'},"
                      "'spec':{'selector':{'matchLabels':{'name':'%s'}}},"
                      "'status':{'disruptionsAllowed':%d}}",
                      pod, pod, pod, allowed)
             .ptr);
}

/* ---- What happens ---- */

static struct pod read_pod(struct fixture *f, const char *name, int milli, int priority)
{
    struct kube_meta meta;
    struct pod pod;
    pod_read(&pod, read(f, pod_text(f, name, "", "", milli, priority, false), &meta), f->catalog);
    return pod;
}

static enum verdict judge(struct fixture *f, const struct pod *pod, const char *node)
{
    struct node own;
    const struct snapshot_node *at = snapshot_find(f->source.current, str_from_cstr(node));
    assert_non_null(at);
    return filter_judge(
        pod, snapshot_node_for(f->source.current, at, pod->meta.uid, pod->priority, &own), -1);
}

static enum verdict judge_new(struct fixture *f, const char *name, int milli, int priority)
{
    struct pod pod = read_pod(f, name, milli, priority);
    return judge(f, &pod, "n");
}

/* The filter refuses a pod, of which the watch has yet to tell, on these nodes, "n m". */
static void refuse_unheard(struct fixture *f, const char *name, int milli, int priority,
                           const char *list)
{
    enum { NODES_MAX = 4 };
    struct wire_node nodes[NODES_MAX];
    uint8_t verdicts[NODES_MAX];
    size_t count = 0;
    struct str rest = str_from_cstr(list);
    struct pod pod = read_pod(f, name, milli, priority);
    for (; str_is_set(rest); count++) {
        str_cut(rest, ' ', &nodes[count].name, &rest);
        verdicts[count] =
            (uint8_t)judge(f, &pod, arena_copy(&f->shared.arena, nodes[count].name).ptr);
    }
    struct refusal *refusal = refusal_new(&pod, nodes, verdicts, count);
    assert_non_null(refusal);
    preemptor_refused(f->preemptor, refusal);
}

static void refuse(struct fixture *f, const char *name, int milli, int priority, const char *list)
{
    give_pod(f, name, "", "", milli, priority);
    refuse_unheard(f, name, milli, priority, list);
}

static void pass(struct fixture *f, int seconds)
{
    for (int i = 0; i < seconds; i++) {
        test_clock_advance_ms(&f->clock, 1000);
        timers_run(&f->timers, clock_now_ns(&f->clock.clock));
        preemptor_tick(f->preemptor, true);
        assert_true(census_publish(f->census));
    }
}

/* Answers the events that wait; the number of the eviction that does, or -1. */
static int next_eviction(struct fixture *f, size_t *seen)
{
    for (; *seen < f->fake.count; ++*seen) {
        const struct kube_request *sent = fake_sent(&f->fake, *seen);
        if (memmem(sent->target.ptr, sent->target.len, "/eviction", 9))
            return (int)(*seen)++;
        fake_answer(&f->fake, *seen, 201, "{}");
        timers_run(&f->timers, clock_now_ns(&f->clock.clock));
    }
    return -1;
}

static bool has_event(struct fixture *f, const char *reason, const char *part)
{
    char text[64];
    snprintf(text, sizeof(text), "\"reason\":\"%s\"", reason);
    for (size_t i = 0; i < f->fake.count; i++) {
        struct str body = fake_sent(&f->fake, i)->body;
        if (memmem(body.ptr, body.len, text, strlen(text)) &&
            memmem(body.ptr, body.len, part, strlen(part)))
            return true;
    }
    return false;
}

static int expect_eviction(struct fixture *f, size_t *seen, const char *name)
{
    char target[96], uid[64];
    int at = next_eviction(f, seen);
    if (at < 0)
        fail_msg("%s is not evicted", name);
    const struct kube_request *sent = fake_sent(&f->fake, (size_t)at);
    snprintf(target, sizeof(target), "/api/v1/namespaces/team/pods/%s/eviction", name);
    snprintf(uid, sizeof(uid), "\"preconditions\":{\"uid\":\"uid-%s\"}", name);
    assert_string_equal(sent->method, "POST");
    assert_str_is(sent->target, target);
    assert_non_null(memmem(sent->body.ptr, sent->body.len, uid, strlen(uid)));
    return at;
}

static void expect_none(struct fixture *f, size_t *seen)
{
    int at = next_eviction(f, seen);
    if (at >= 0)
        fail_msg("%" PRIstr, STR_ARG(fake_sent(&f->fake, (size_t)at)->target));
}

/* Two halves on n: `low` and, of a higher priority, `high`. */
static void give_two_halves(struct fixture *f, int low, int high)
{
    give_node(f, "n", 2);
    give_pod(f, "low", "n", "0", 500, low);
    give_pod(f, "high", "n", "1", 500, high);
}

/* ---- Fragments ---- */

static void the_cheapest_pod_goes_and_its_device_is_held(void **state)
{
    struct fixture *f = *state;
    size_t seen = 0;
    give_two_halves(f, 1, 2);
    refuse(f, "p", 1000, 10, "n");
    pass(f, 1);
    int eviction = expect_eviction(f, &seen, "low");
    assert_int_equal(census_holds(f->census), 1);
    fake_answer(&f->fake, (size_t)eviction, 201, "{}");
    expect_none(f, &seen);
    assert_true(has_event(
        f, "PreemptionStarted",
        "evicting 1 pod of lower priority from node n, and holding its devices 0 for 60 s"));
    assert_true(has_event(f, "Preempted", "Preempted by pod team/p on node n"));
    /* Nobody else gets it, not even in part, before and after the pod has gone. */
    assert_int_equal(judge_new(f, "other", 500, 10), VERDICT_FITS); /* the other half of 1 */
    take_pod(f, "low");
    assert_int_equal(judge_new(f, "other", 600, 10), VERDICT_SHARE_TAKEN);
    assert_int_equal(judge_new(f, "same", 1000, 10), VERDICT_DEVICES_TAKEN);
    assert_int_equal(judge_new(f, "above", 1000, 11), VERDICT_FITS);
    assert_int_equal(judge_new(f, "p", 1000, 10), VERDICT_FITS);
    /* Once it is bound there is nothing more to hold. */
    give_pod(f, "p", "n", "0", 1000, 10);
    assert_int_equal(census_holds(f->census), 0);
    take_pod(f, "p");
    assert_int_equal(judge_new(f, "other", 600, 10), VERDICT_FITS);
    pass(f, 3 * HOLD_S);
    expect_none(f, &seen);
}

static void the_cheapest_of_all_nodes_is_taken(void **state)
{
    struct fixture *f = *state;
    size_t seen = 0;
    give_node(f, "m", 1);
    give_pod(f, "m-1", "m", "0", 300, 1);
    give_pod(f, "m-2", "m", "0", 300, 1);
    give_two_halves(f, 1, 0);
    give_node(f, "o", 1);
    give_pod(f, "o-1", "o", "0", 100, 1);
    refuse(f, "p", 1000, 10, "m n o");
    pass(f, 1);
    expect_eviction(f, &seen, "high");
    expect_none(f, &seen);
}

static void nobody_goes(void **state)
{
    static const struct {
        const char *title;
        int low, high, priority, budget;
    } cases[] = {
        {"for one of the same priority", 10, 10, 10, 1},
        {"for one of a lower priority", 11, 12, 10, 1},
        {"who is guarded", 1, 10, 10, 0},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t seen = 0;
        give_two_halves(f, cases[i].low, cases[i].high);
        give_budget(f, "low", cases[i].budget);
        refuse(f, "p", 1000, cases[i].priority, "n");
        pass(f, 20);
        print_message("%s\n", cases[i].title);
        expect_none(f, &seen);
        assert_int_equal(census_holds(f->census), 0);
        tear_down(state);
        set_up(state);
    }
}

static void while_pods_leave_nobody_else_goes(void **state)
{
    struct fixture *f = *state;
    size_t seen = 0;
    give_two_halves(f, 1, 50);
    give(f, store_sink(f->pods), pod_text(f, "high", "n", "1", 500, 50, true));
    refuse(f, "p", 1000, 10, "n");
    pass(f, 20);
    expect_none(f, &seen);
    assert_int_equal(census_holds(f->census), 0); /* of a higher priority */
    /* It stays after all. */
    give_pod(f, "other", "n", "1", 500, 50);
    pass(f, 6);
    expect_eviction(f, &seen, "low");
}

static void what_leaves_for_it_is_held_by_the_next_replica_too(void **state)
{
    struct fixture *f = *state;
    size_t seen = 0;
    give_two_halves(f, 1, 50);
    give(f, store_sink(f->pods), pod_text(f, "low", "n", "0", 500, 1, true));
    refuse(f, "p", 1000, 10, "n");
    pass(f, 1);
    expect_none(f, &seen);
    assert_int_equal(census_holds(f->census), 1);
    take_pod(f, "low");
    assert_int_equal(judge_new(f, "other", 600, 10), VERDICT_SHARE_TAKEN);
    assert_int_equal(judge_new(f, "p", 1000, 10), VERDICT_FITS);
    pass(f, HOLD_S);
    assert_int_equal(census_holds(f->census), 0);
}

static void a_pod_that_no_longer_waits_is_not_served(void **state)
{
    struct fixture *f = *state;
    size_t seen = 0;
    give_two_halves(f, 1, 2);
    refuse(f, "bound", 1000, 10, "n");
    give_pod(f, "bound", "m", "0", 1000, 10);
    refuse(f, "gone", 1000, 10, "n");
    take_pod(f, "gone");
    refuse(f, "old", 1000, 10, "n");
    for (int i = 0; i < 601; i++) {
        test_clock_advance_ms(&f->clock, 1000);
        preemptor_tick(f->preemptor, false); /* standing by */
    }
    pass(f, 10);
    expect_none(f, &seen);
}

static void a_pod_of_which_the_watch_tells_after_its_refusal_is_served(void **state)
{
    struct fixture *f = *state;
    size_t seen = 0;
    give_two_halves(f, 1, 2);
    refuse_unheard(f, "p", 1000, 10, "n");
    pass(f, 9);
    expect_none(f, &seen);
    give_pod(f, "p", "", "", 1000, 10);
    pass(f, 1);
    expect_eviction(f, &seen, "low");
}

static void a_pod_of_which_the_watch_does_not_tell_is_forgotten(void **state)
{
    struct fixture *f = *state;
    size_t seen = 0;
    give_two_halves(f, 1, 2);
    refuse_unheard(f, "p", 1000, 10, "n");
    pass(f, 10);
    give_pod(f, "p", "", "", 1000, 10);
    pass(f, 10);
    expect_none(f, &seen);
}

static void the_highest_priority_comes_first_and_one_at_a_time(void **state)
{
    struct fixture *f = *state;
    size_t seen = 0;
    give_node(f, "n", 2);
    give_pod(f, "a", "n", "0", 500, 1);
    give_pod(f, "b", "n", "1", 500, 2);
    refuse(f, "first", 1000, 10, "n");
    refuse(f, "second", 1000, 20, "n");
    pass(f, 5);
    int eviction = expect_eviction(f, &seen, "a");
    expect_none(f, &seen);
    assert_true(census_find_hold(f->census, STR("uid-second")) != NULL);
    fake_answer(&f->fake, (size_t)eviction, 201, "{}");
    pass(f, 1);
    eviction = expect_eviction(f, &seen, "b");
    assert_true(census_find_hold(f->census, STR("uid-first")) != NULL);
    fake_answer(&f->fake, (size_t)eviction, 201, "{}");
    expect_none(f, &seen);
}

/* ---- Ends of a hold ---- */

static void a_hold_ends_with_its_time_and_its_pod_and_is_not_made_more_often(void **state)
{
    struct fixture *f = *state;
    size_t seen = 0;
    give_two_halves(f, 1, 2);
    refuse(f, "p", 1000, 10, "n");
    pass(f, 1);
    fake_answer(&f->fake, (size_t)expect_eviction(f, &seen, "low"), 201, "{}");
    take_pod(f, "low");
    /* Somebody has bound a pod past the extender. */
    give_pod(f, "stranger", "n", "0", 500, 1);
    refuse(f, "p", 1000, 10, "n");
    pass(f, HOLD_S - 1);
    expect_none(f, &seen);
    assert_int_equal(census_holds(f->census), 1);
    pass(f, 2);
    expect_eviction(f, &seen, "stranger");
    assert_int_equal(census_holds(f->census), 1);
    take_pod(f, "p");
    assert_int_equal(census_holds(f->census), 0);
}

static void what_the_server_does_not_allow_is_tried_later(void **state)
{
    static const struct {
        int status;
        const char *body, *reason, *message;
    } cases[] = {
        {429,
         "{'kind':'Status','apiVersion':'v1','status':'Failure','reason':'TooManyRequests','"
         "message':'it would violate the budget'}",
         "PreemptionBlocked", "it would violate the budget"},
        {403, "{'reason':'Forbidden','message':'no right'}", "PreemptionFailed", "node n could"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t seen = 0;
        give_two_halves(f, 1, 20);
        refuse(f, "p", 1000, 10, "n");
        pass(f, 1);
        int eviction = expect_eviction(f, &seen, "low");
        struct str body = extender_quoted(&f->shared, str_from_cstr(cases[i].body));
        fake_answer(&f->fake, (size_t)eviction, cases[i].status, body.ptr);
        pass(f, 1);
        assert_int_equal(census_holds(f->census), 0);
        pass(f, HOLD_S - 3);
        expect_none(f, &seen);
        if (!has_event(f, cases[i].reason, cases[i].message))
            fail_msg("%s is not told", cases[i].reason);
        pass(f, 3);
        expect_eviction(f, &seen, "low");
        tear_down(state);
        set_up(state);
    }
}

static void when_the_answer_is_lost_the_pod_may_go_and_its_device_is_held(void **state)
{
    struct fixture *f = *state;
    size_t seen = 0;
    give_two_halves(f, 1, 20);
    refuse(f, "p", 1000, 10, "n");
    pass(f, 1);
    fake_fail(&f->fake, (size_t)expect_eviction(f, &seen, "low"), KUBE_LOST);
    expect_none(f, &seen);
    assert_true(has_event(f, "PreemptionFailed", "node n could"));
    assert_int_equal(census_holds(f->census), 1);
}

static void those_whom_a_budget_guards_are_asked_for_first(void **state)
{
    struct fixture *f = *state;
    size_t seen = 0;
    give_node(f, "n", 1);
    give_pod(f, "a", "n", "0", 300, 1);
    give_pod(f, "b", "n", "0", 300, 1);
    give_pod(f, "c", "n", "0", 300, 1);
    give_budget(f, "b", 1);
    refuse(f, "p", 1000, 10, "n");
    pass(f, 1);
    fake_answer(&f->fake, (size_t)expect_eviction(f, &seen, "b"), 201, "{}");
    /* One goes by itself meanwhile. */
    int second = next_eviction(f, &seen);
    assert_true(second > 0);
    fake_answer(&f->fake, (size_t)second, 404, "{}");
    int third = next_eviction(f, &seen);
    assert_true(third > second);
    fake_answer(&f->fake, (size_t)third, 500, "{}");
    /* What was freed is held. */
    expect_none(f, &seen);
    assert_int_equal(census_holds(f->census), 1);
}

static void turned_off_it_does_nothing(void **state)
{
    struct fixture *f = *state;
    size_t seen = 0;
    preemptor_free(f->preemptor);
    f->preemptor = make_preemptor(f, mem_system(), 0);
    give_two_halves(f, 1, 2);
    refuse(f, "p", 1000, 10, "n");
    pass(f, 20);
    expect_none(f, &seen);
}

/* ---- Refusals ---- */

static void only_what_lacks_devices_alone_is_a_refusal(void **state)
{
    static const struct {
        uint8_t verdicts[3];
        bool may_preempt;
        size_t count;
    } cases[] = {
        {{VERDICT_DEVICES_TAKEN, VERDICT_NO_GPU, VERDICT_SHARE_TAKEN}, true, 2},
        {{VERDICT_DEVICES_TAKEN, VERDICT_NO_GPU, VERDICT_SHARE_TAKEN}, false, 0},
        {{VERDICT_DEVICES_TAKEN, VERDICT_FITS, VERDICT_SHARE_TAKEN}, true, 0},
        {{VERDICT_STRAY, VERDICT_MAX_JOBS, VERDICT_TEE_TAKEN}, true, 0},
    };
    struct fixture *f = *state;
    const struct wire_node nodes[3] = {{.name = STR("a")}, {.name = STR("b")}, {.name = STR("c")}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pod pod = read_pod(f, "p", 1000, 10);
        pod.may_preempt = cases[i].may_preempt;
        struct refusal *refusal = refusal_new(&pod, nodes, cases[i].verdicts, 3);
        assert_int_equal(refusal ? refusal->count : 0, cases[i].count);
        if (refusal) {
            assert_str_is(refusal->nodes[1], "c");
            assert_str_is(refusal->pod.meta.uid, "uid-p");
        }
        refusal_free(refusal);
    }
}

/* ---- Memory ---- */

static bool preempt_with(const struct mem *mem, void *ctx)
{
    struct fixture *f = ctx;
    size_t seen = f->fake.count;
    f->preemptor = make_preemptor(f, mem, HOLD_S);
    if (!f->preemptor)
        return false;
    refuse(f, "p", 1000, 10, "n");
    pass(f, 1);
    int eviction = next_eviction(f, &seen);
    bool is_good = eviction >= 0;
    if (is_good)
        fake_answer(&f->fake, (size_t)eviction, 201, "{}");
    next_eviction(f, &seen);
    census_unhold(f->census, STR("uid-p"));
    preemptor_free(f->preemptor);
    f->preemptor = NULL;
    return is_good;
}

static void memory_may_fail_anywhere(void **state)
{
    struct fixture *f = *state;
    give_two_halves(f, 1, 2);
    preemptor_free(f->preemptor);
    test_every_allocation_failing(preempt_with, f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_cheapest_pod_goes_and_its_device_is_held),
        TEST(the_cheapest_of_all_nodes_is_taken),
        TEST(nobody_goes),
        TEST(while_pods_leave_nobody_else_goes),
        TEST(what_leaves_for_it_is_held_by_the_next_replica_too),
        TEST(a_pod_that_no_longer_waits_is_not_served),
        TEST(a_pod_of_which_the_watch_tells_after_its_refusal_is_served),
        TEST(a_pod_of_which_the_watch_does_not_tell_is_forgotten),
        TEST(the_highest_priority_comes_first_and_one_at_a_time),
        TEST(a_hold_ends_with_its_time_and_its_pod_and_is_not_made_more_often),
        TEST(what_the_server_does_not_allow_is_tried_later),
        TEST(when_the_answer_is_lost_the_pod_may_go_and_its_device_is_held),
        TEST(those_whom_a_budget_guards_are_asked_for_first),
        TEST(turned_off_it_does_nothing),
        TEST(only_what_lacks_devices_alone_is_a_refusal),
        TEST(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests_name("extender_preemptor", tests, NULL, NULL);
}
