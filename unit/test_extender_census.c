/* What the extender knows of nodes and pods, what it promises, and how it binds. */
#include "unit/extender_fixture.h"
#include "unit/fake_transport.h"

#include "extender/binder.h"

#include <stdio.h>

enum { ANSWERS_MAX = 16 };

struct answer {
    char uid[40];
    char error[BIND_ERROR_MAX];
};

struct fixture {
    struct extender_fixture shared;
    struct test_mem mem;
    struct test_clock clock;
    struct random_seeded random;
    struct fake_transport fake;
    struct timers timers;
    struct kube_client *client;
    struct snapshot_source source;
    struct census *census;
    struct packer *packer;
    struct store *pods;
    struct binder *binder;
    struct kube_sink node_sink, lease_sink, pod_sink;
    struct catalog *catalog;
    int64_t version;
    struct answer answers[ANSWERS_MAX];
    size_t answer_count;
};

static void pod_changed(void *ctx, const struct stored *before, const struct stored *after)
{
    struct fixture *f = ctx;
    census_pod_changed(f->census, before, after);
}

static void answered(void *ctx, struct bind_request *request)
{
    struct fixture *f = ctx;
    assert_in_range(f->answer_count, 0, ANSWERS_MAX - 1);
    struct answer *answer = &f->answers[f->answer_count++];
    snprintf(answer->uid, sizeof(answer->uid), "%" PRIstr, STR_ARG(request->binding.uid));
    snprintf(answer->error, sizeof(answer->error), "%s", request->error);
    assert_true(atomic_load(&request->is_done));
    bind_request_unref(request);
}

static void make(struct fixture *f)
{
    struct err err;
    f->client = kube_client_new(&(const struct kube_client_config){.transport = &f->fake.transport,
                                                                   .timers = &f->timers,
                                                                   .clock = &f->clock.clock,
                                                                   .random = &f->random.random,
                                                                   .mem = mem_system(),
                                                                   .qps = -1,
                                                                   .max_in_flight = 16},
                                &err);
    f->census = census_new(&(const struct census_config){.mem = &f->mem.mem,
                                                         .clock = &f->clock.clock,
                                                         .random = &f->random.random,
                                                         .catalog = f->catalog,
                                                         .source = &f->source},
                           &err);
    f->packer = packer_new(PACK_RSP, &f->mem.mem, &err);
    f->pods = store_new(&(const struct store_config){.type = &cached_pods,
                                                     .mem = &f->mem.mem,
                                                     .random = &f->random.random,
                                                     .on_change = pod_changed,
                                                     .ctx = f},
                        &err);
    f->binder = binder_new(&(const struct binder_config){.client = f->client,
                                                         .census = f->census,
                                                         .packer = f->packer,
                                                         .pods = f->pods,
                                                         .clock = &f->clock.clock,
                                                         .mem = &f->mem.mem,
                                                         .catalog = &f->catalog,
                                                         .timeout_ns = 5 * CLOCK_NS_PER_SEC,
                                                         .answered = answered,
                                                         .ctx = f},
                           &err);
    assert_true(f->client && f->census && f->packer && f->pods && f->binder);
    f->node_sink = census_node_sink(f->census);
    f->lease_sink = census_lease_sink(f->census);
    f->pod_sink = store_sink(f->pods);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    *f = (struct fixture){0};
    extender_fixture_init(&f->shared);
    f->catalog = f->shared.catalog;
    test_mem_init(&f->mem);
    test_clock_init(&f->clock);
    random_seeded_init(&f->random, TEST_SEED);
    fake_transport_init(&f->fake);
    timers_init(&f->timers, mem_system());
    snapshot_source_init(&f->source);
    make(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    binder_free(f->binder);
    packer_free(f->packer);
    store_free(f->pods);
    census_free(f->census);
    snapshot_source_done(&f->source);
    kube_client_free(f->client);
    timers_done(&f->timers);
    fake_transport_done(&f->fake);
    extender_fixture_done(&f->shared);
    test_mem_done(&f->mem);
    return 0;
}

/* ---- What the watches tell ---- */

static void give(struct fixture *f, const struct kube_sink *sink, const char *text)
{
    const struct json *object = extender_json(&f->shared, text);
    struct kube_meta meta;
    kube_meta_read(object, &meta);
    assert_int_equal(sink->upsert(sink->ctx, object, &meta), 0);
}

static void take(struct fixture *f, const struct kube_sink *sink, const char *text)
{
    const struct json *object = extender_json(&f->shared, text);
    struct kube_meta meta;
    kube_meta_read(object, &meta);
    sink->remove(sink->ctx, object, &meta);
}

static const char *print(struct fixture *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static const char *print(struct fixture *f, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct str text = arena_vprintf(&f->shared.arena, fmt, args);
    va_end(args);
    assert_non_null(text.ptr);
    return text.ptr;
}

static void give_node(struct fixture *f, const char *name, unsigned devices)
{
    give(f, &f->node_sink,
         print(f,
               "{'metadata':{'name':'%s','labels':{'callboard.dev/gpu-mode':'shared',"
               "'nvidia.com/gpu.count':'%u'}},'status':{'allocatable':{'cpu':'8'},"
               "'conditions':[{'type':'Ready','status':'True'}]}}",
               name, devices));
}

/* `node` and `devices` may be "". */
static void give_pod(struct fixture *f, const char *name, int milli, const char *node,
                     const char *devices)
{
    give(f, &f->pod_sink,
         print(f,
               "{'metadata':{'namespace':'team','name':'%s','uid':'uid-%s',"
               "'resourceVersion':'%lld','annotations':{%s%s%s}},"
               "'spec':{'nodeName':'%s','schedulerName':'callboard-scheduler',"
               "'containers':[{'resources':{'requests':"
               "{'cpu':'1','callboard.dev/gpu-milli':'%d'}}}]}}",
               name, name, (long long)++f->version, devices[0] ? "'callboard.dev/devices':'" : "",
               devices, devices[0] ? "'" : "", node, milli));
}

static void take_pod(struct fixture *f, const char *name)
{
    take(f, &f->pod_sink,
         print(f, "{'metadata':{'namespace':'team','name':'%s','resourceVersion':'%lld'}}", name,
               (long long)++f->version));
}

static int32_t taken(struct fixture *f, const char *name, unsigned device)
{
    const struct node *node = census_node(f->census, str_from_cstr(name));
    assert_non_null(node);
    return node->load.device_milli[device];
}

static const struct snapshot_node *published(struct fixture *f, const char *name)
{
    assert_true(census_publish(f->census));
    struct snapshot *snapshot = snapshot_get(&f->source);
    assert_non_null(snapshot);
    const struct snapshot_node *node = snapshot_find(snapshot, str_from_cstr(name));
    snapshot_unref(snapshot); /* the source still holds it */
    return node;
}

static void expect_no_drift(struct fixture *f)
{
    struct census_audit audit;
    assert_true(census_audit(f->census, f->pods, false, &audit));
    assert_int_equal(audit.drifted, 0);
}

/* ---- Counting ---- */

static void pods_count_where_they_are_bound(void **state)
{
    struct fixture *f = *state;
    give_node(f, "a", 2);
    give_pod(f, "p", 300, "", "");
    assert_int_equal(taken(f, "a", 0), 0);
    give_pod(f, "p", 300, "a", "1");
    assert_int_equal(taken(f, "a", 1), 300);
    give_pod(f, "q", 1000, "a", "0");
    assert_int_equal(taken(f, "a", 0), 1000);
    expect_no_drift(f);
    take_pod(f, "p");
    assert_int_equal(taken(f, "a", 1), 0);
    expect_no_drift(f);
}

static void a_pod_that_has_ended_takes_nothing(void **state)
{
    struct fixture *f = *state;
    give_node(f, "a", 1);
    give_pod(f, "p", 500, "a", "0");
    give(f, &f->pod_sink,
         print(f,
               "{'metadata':{'namespace':'team','name':'p','uid':'uid-p','resourceVersion':'%lld',"
               "'annotations':{'callboard.dev/devices':'0'}},'spec':{'nodeName':'a','containers':"
               "[{'resources':{'requests':{'callboard.dev/gpu-milli':'500'}}}]},"
               "'status':{'phase':'Succeeded'}}",
               (long long)++f->version));
    assert_int_equal(taken(f, "a", 0), 0);
    expect_no_drift(f);
}

static void pods_of_a_node_that_comes_later_are_counted(void **state)
{
    struct fixture *f = *state;
    give_pod(f, "p", 300, "late", "1");
    assert_null(census_node(f->census, STR("late")));
    give_node(f, "late", 2);
    assert_int_equal(taken(f, "late", 1), 300);
    /* Gone and back, as when its kubelet registers anew. */
    take(f, &f->node_sink, "{'metadata':{'name':'late'}}");
    assert_null(census_node(f->census, STR("late")));
    give_node(f, "late", 2);
    assert_int_equal(taken(f, "late", 1), 300);
    expect_no_drift(f);
}

static void devices_that_nobody_knows_block_the_node(void **state)
{
    struct fixture *f = *state;
    static const char *const devices[] = {"", "5", "x"};
    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
        give_node(f, "a", 2);
        give_pod(f, "p", 300, "a", devices[i]);
        assert_true(node_has_stray(census_node(f->census, STR("a"))));
        take_pod(f, "p");
        assert_false(node_has_stray(census_node(f->census, STR("a"))));
    }
}

static void what_is_given_out_twice_is_found_by_the_audit(void **state)
{
    struct fixture *f = *state;
    struct census_audit audit;
    give_node(f, "a", 2);
    give_pod(f, "p", 700, "a", "0");
    give_pod(f, "q", 700, "a", "0");
    give_pod(f, "r", 700, "a", "");
    assert_true(census_audit(f->census, f->pods, true, &audit));
    assert_int_equal(audit.nodes, 1);
    assert_int_equal(audit.drifted, 0);
    assert_int_equal(audit.overcommitted, 1);
    assert_int_equal(audit.stray, 1);
}

/* ---- Snapshots ---- */

static void a_reader_keeps_what_it_took(void **state)
{
    struct fixture *f = *state;
    give_node(f, "a", 1);
    assert_true(census_publish(f->census));
    struct snapshot *first = snapshot_get(&f->source);
    give_pod(f, "p", 300, "a", "0");
    assert_true(census_publish(f->census));
    struct snapshot *second = snapshot_get(&f->source);
    take(f, &f->node_sink, "{'metadata':{'name':'a'}}");
    take_pod(f, "p");
    assert_true(census_publish(f->census));
    assert_int_equal(snapshot_find(first, STR("a"))->node.load.device_milli[0], 0);
    assert_int_equal(snapshot_find(second, STR("a"))->node.load.device_milli[0], 300);
    /* In any order. */
    snapshot_unref(second);
    assert_int_equal(snapshot_find(first, STR("a"))->node.load.device_milli[0], 0);
    snapshot_unref(first);
    assert_null(published(f, "a"));
}

static void nothing_is_published_when_nothing_changed(void **state)
{
    struct fixture *f = *state;
    give_node(f, "a", 1);
    assert_true(census_publish(f->census));
    struct snapshot *before = f->source.current;
    assert_true(census_publish(f->census));
    assert_ptr_equal(f->source.current, before);
    give_pod(f, "p", 300, "", ""); /* bound to no node */
    assert_true(census_publish(f->census));
    assert_ptr_equal(f->source.current, before);
}

static void many_nodes_are_found_by_name(void **state)
{
    struct fixture *f = *state;
    enum { NODES = 300 };
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < NODES; i++)
            give_node(f, print(f, "node-%d", i), (unsigned)(i % 8));
        for (int i = 0; i < NODES; i += 3 + round)
            take(f, &f->node_sink, print(f, "{'metadata':{'name':'node-%d'}}", i));
        /* Names without a Node, which make the tables grow. */
        for (int i = 0; i < NODES; i++)
            give_pod(f, print(f, "p-%d-%d", round, i), 100, print(f, "other-%d-%d", round, i), "0");
        give_pod(f, print(f, "one-%d", round), 100, "node-1", "0");
        for (int i = 0; i < NODES; i++) {
            const struct snapshot_node *node = published(f, print(f, "node-%d", i));
            assert_int_equal(node == NULL, i % (3 + round) == 0);
            if (node)
                assert_str_is(node->node.facts->name, print(f, "node-%d", i));
        }
        assert_int_equal(published(f, "node-1")->node.load.device_milli[0], 100 * (round + 1));
    }
    expect_no_drift(f);
}

static void a_list_forgets_nodes_that_are_not_in_it(void **state)
{
    struct fixture *f = *state;
    give_node(f, "a", 1);
    give_node(f, "b", 1);
    assert_non_null(published(f, "a"));
    f->node_sink.begin(f->node_sink.ctx);
    give_node(f, "b", 1);
    /* Half a list is not shown. */
    assert_non_null(published(f, "a"));
    f->node_sink.end(f->node_sink.ctx);
    assert_null(published(f, "a"));
    assert_non_null(published(f, "b"));
}

/* ---- Heartbeats ---- */

static void give_lease(struct fixture *f, const char *name, const char *time)
{
    give(f, &f->lease_sink,
         print(f,
               "{'metadata':{'namespace':'kube-node-lease','name':'%s'},"
               "'spec':{'renewTime':'%s'}}",
               name, time));
}

static int64_t age_s(struct fixture *f, const char *name)
{
    int64_t age_ns = snapshot_heartbeat_age_ns(published(f, name), clock_now_ns(&f->clock.clock));
    return age_ns < 0 ? age_ns : age_ns / CLOCK_NS_PER_SEC;
}

static void a_heartbeat_is_as_old_as_its_last_renewal_was_seen(void **state)
{
    struct fixture *f = *state;
    give_node(f, "a", 1);
    assert_int_equal(age_s(f, "a"), -1);
    /* The test's clock begins at 03:04:05: of the first one the Lease tells the age. */
    give_lease(f, "a", "2026-01-02T03:03:45.000000Z");
    assert_int_equal(age_s(f, "a"), 20);
    test_clock_advance_ms(&f->clock, 5000);
    give_lease(f, "a", "2026-01-02T03:03:45.000000Z"); /* nothing new */
    assert_int_equal(age_s(f, "a"), 25);
    /* A renewal counts from when it was seen, whatever the node's clock says. */
    give_lease(f, "a", "2026-01-02T01:00:00.000000Z");
    assert_int_equal(age_s(f, "a"), 0);
    test_clock_jump_wall_ms(&f->clock, 3600000);
    assert_int_equal(age_s(f, "a"), 0);
    take(f, &f->lease_sink, "{'metadata':{'name':'a'}}");
    assert_int_equal(age_s(f, "a"), -1);
}

/* ---- Binding ---- */

static void bind_pod(struct fixture *f, const char *name, const char *node)
{
    const struct wire_binding binding = {.namespace = STR("team"),
                                         .name = str_from_cstr(name),
                                         .uid = str_from_cstr(print(f, "uid-%s", name)),
                                         .node = str_from_cstr(node)};
    struct bind_request *request = bind_request_new(&binding);
    assert_non_null(request);
    binder_bind(f->binder, request);
}

static void expect_answer(struct fixture *f, size_t index, const char *error)
{
    assert_true(index < f->answer_count);
    assert_string_equal(f->answers[index].error, error);
}

static void node_and_devices_are_written_in_one_request(void **state)
{
    struct fixture *f = *state;
    give_node(f, "a", 2);
    give_pod(f, "p", 300, "", "");
    bind_pod(f, "p", "a");
    const struct kube_request *sent = fake_sent(&f->fake, 0);
    assert_string_equal(sent->method, "POST");
    assert_str_is(sent->target, "/api/v1/namespaces/team/pods/p/binding");
    assert_str_is(sent->body,
                  "{\"apiVersion\":\"v1\",\"kind\":\"Binding\",\"metadata\":{\"name\":\"p\","
                  "\"namespace\":\"team\",\"uid\":\"uid-p\","
                  "\"annotations\":{\"callboard.dev/devices\":\"0\"}},"
                  "\"target\":{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"name\":\"a\"}}");
    assert_int_equal(f->answer_count, 0);
    assert_int_equal(taken(f, "a", 0), 300);
    fake_answer(&f->fake, 0, 201, "{}");
    expect_answer(f, 0, "");
    /* Until the watch shows it, and no longer. */
    assert_int_equal(taken(f, "a", 0), 300);
    assert_int_equal(census_reservations(f->census), 1);
    give_pod(f, "p", 300, "a", "0");
    assert_int_equal(taken(f, "a", 0), 300);
    assert_int_equal(census_reservations(f->census), 0);
    expect_no_drift(f);
}

static void a_pod_of_another_scheduler_is_not_bound(void **state)
{
    struct fixture *f = *state;
    give_node(f, "a", 1);
    give(f, &f->pod_sink,
         "{'metadata':{'namespace':'team','name':'p','uid':'uid-p','resourceVersion':'1'},"
         "'spec':{'schedulerName':'default-scheduler','containers':[{}]}}");
    bind_pod(f, "p", "a");
    assert_int_equal(f->fake.count, 0);
    expect_answer(f, 0,
                  "the pod is neither for callboard-scheduler nor asks for callboard.dev/managed");
    /* Unless it asks for what makes that one ask us. */
    give(f, &f->pod_sink,
         "{'metadata':{'namespace':'team','name':'p','uid':'uid-p','resourceVersion':'2'},"
         "'spec':{'containers':[{},{'resources':{'limits':{'callboard.dev/managed':'1'}}}]}}");
    bind_pod(f, "p", "a");
    assert_int_equal(f->fake.count, 1);
    fake_answer(&f->fake, 0, 201, "{}");
    expect_answer(f, 1, "");
}

static void no_device_is_promised_twice_while_bindings_are_under_way(void **state)
{
    struct fixture *f = *state;
    give_node(f, "a", 2);
    static const char *const names[] = {"p", "q", "r"};
    for (size_t i = 0; i < 3; i++) {
        give_pod(f, names[i], 1000, "", "");
        bind_pod(f, names[i], "a");
    }
    assert_int_equal(f->fake.count, 2);
    assert_non_null(strstr(fake_sent(&f->fake, 0)->body.ptr, "\"callboard.dev/devices\":\"0\""));
    assert_non_null(strstr(fake_sent(&f->fake, 1)->body.ptr, "\"callboard.dev/devices\":\"1\""));
    expect_answer(f, 0, "GPU: too few whole devices are free");
    /* What is refused by the server is free again. */
    fake_answer(&f->fake, 0, 404, "{\"kind\":\"Status\",\"code\":404,\"reason\":\"NotFound\"}");
    expect_answer(f, 1, "the pod is gone");
    assert_int_equal(taken(f, "a", 0), 0);
    bind_pod(f, "r", "a");
    assert_non_null(strstr(fake_sent(&f->fake, 2)->body.ptr, "\"callboard.dev/devices\":\"0\""));
    fake_answer(&f->fake, 1, 201, "{}");
    fake_answer(&f->fake, 2, 201, "{}");
    expect_no_drift(f);
}

/* A node with one key, and one for one job: kube-scheduler counts neither. */
static void what_only_we_count_is_not_promised_twice_while_bindings_are_under_way(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *annotations, *pod_labels, *runtime_class, *error;
    } cases[] = {
        {"", "", "'runtimeClassName':'kata-qemu-tdx',", "TEE: all capacity is taken"},
        {"'callboard.dev/max-jobs':'1'", "'app.kubernetes.io/managed-by':'callboard'", "",
         "the node has its callboard.dev/max-jobs"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        give(f, &f->node_sink,
             print(f,
                   "{'metadata':{'name':'n%zu','annotations':{%s},'labels':"
                   "{'feature.node.kubernetes.io/cpu-security.tdx.enabled':'true'}},"
                   "'status':{'allocatable':{'cpu':'8','tdx.intel.com/keys':'1'},"
                   "'conditions':[{'type':'Ready','status':'True'}]}}",
                   i, cases[i].annotations));
        for (size_t k = 0; k < 2; k++) {
            const char *name = print(f, "p%zu-%zu", i, k);
            give(f, &f->pod_sink,
                 print(f,
                       "{'metadata':{'namespace':'team','name':'%s','uid':'uid-%s',"
                       "'resourceVersion':'%lld','labels':{%s}},'spec':{%s"
                       "'schedulerName':'callboard-scheduler','containers':[{}]}}",
                       name, name, (long long)++f->version, cases[i].pod_labels,
                       cases[i].runtime_class));
            bind_pod(f, name, print(f, "n%zu", i));
        }
        assert_int_equal(f->fake.count, 2 * i + 1);
        expect_answer(f, 3 * i, cases[i].error);
        /* What is refused by the server is free again. */
        fake_answer(&f->fake, 2 * i, 404,
                    "{\"kind\":\"Status\",\"code\":404,\"reason\":\"NotFound\"}");
        bind_pod(f, print(f, "p%zu-1", i), print(f, "n%zu", i));
        fake_answer(&f->fake, 2 * i + 1, 201, "{}");
        expect_answer(f, 3 * i + 2, "");
    }
    expect_no_drift(f);
}

static void asking_again_gives_the_same_answer(void **state)
{
    struct fixture *f = *state;
    give_node(f, "a", 1);
    give_node(f, "b", 1);
    give_pod(f, "p", 300, "", "");
    bind_pod(f, "p", "a");
    bind_pod(f, "p", "a"); /* joins */
    bind_pod(f, "p", "b");
    assert_int_equal(f->fake.count, 1);
    expect_answer(f, 0, "the pod is being bound to another node");
    fake_answer(&f->fake, 0, 201, "{}");
    expect_answer(f, 1, "");
    expect_answer(f, 2, "");
    /* Before and after the watch has shown it. */
    bind_pod(f, "p", "a");
    expect_answer(f, 3, "");
    give_pod(f, "p", 300, "a", "0");
    bind_pod(f, "p", "a");
    expect_answer(f, 4, "");
    bind_pod(f, "p", "b");
    expect_answer(f, 5, "the pod is bound to another node");
    assert_int_equal(f->fake.count, 1);
    assert_int_equal(taken(f, "a", 0), 300);
    assert_int_equal(taken(f, "b", 0), 0);
}

static const char bound_pod[] = "{\"metadata\":{\"uid\":\"uid-p\"},\"spec\":{\"nodeName\":\"a\"}}";
static const char free_pod[] = "{\"metadata\":{\"uid\":\"uid-p\"},\"spec\":{}}";
static const char other_pod[] = "{\"metadata\":{\"uid\":\"other\"},\"spec\":{}}";

static void a_lost_answer_is_asked_for(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *pod;
        bool is_bound, is_kept;
    } cases[] = {
        {bound_pod, true, true},
        {other_pod, false, false},
        /* The request may still be under way somewhere. */
        {free_pod, false, true},
    };
    give_node(f, "a", 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        give_pod(f, "p", 300, "", "");
        bind_pod(f, "p", "a");
        fake_fail(&f->fake, f->fake.count - 1, KUBE_LOST);
        assert_string_equal(fake_sent(&f->fake, f->fake.count - 1)->method, "GET");
        fake_answer(&f->fake, f->fake.count - 1, 200, cases[i].pod);
        assert_int_equal(f->answer_count, i + 1);
        assert_int_equal(f->answers[i].error[0] == '\0', cases[i].is_bound);
        assert_int_equal(taken(f, "a", 0), cases[i].is_kept ? 300 : 0);
        take_pod(f, "p");
        assert_int_equal(taken(f, "a", 0), 0);
    }
}

static void doubt_ends_by_asking_the_server_again(void **state)
{
    struct fixture *f = *state;
    give_node(f, "a", 1);
    give_pod(f, "p", 300, "", "");
    bind_pod(f, "p", "a");
    fake_fail(&f->fake, 0, KUBE_LOST);
    fake_answer(&f->fake, 1, 200, free_pod);
    binder_tick(f->binder);
    assert_int_equal(f->fake.count, 2); /* not yet */
    test_clock_advance_ms(&f->clock, DOUBT_S * 1000);
    binder_tick(f->binder);
    assert_int_equal(f->fake.count, 3);
    binder_tick(f->binder); /* one at a time */
    assert_int_equal(f->fake.count, 3);
    assert_int_equal(taken(f, "a", 0), 300);
    fake_answer(&f->fake, 2, 200, free_pod);
    assert_int_equal(taken(f, "a", 0), 0);
    assert_int_equal(census_reservations(f->census), 0);
    expect_no_drift(f);
}

static void a_binding_in_doubt_is_sent_again_with_the_same_devices(void **state)
{
    struct fixture *f = *state;
    give_node(f, "a", 2);
    give_pod(f, "p", 1000, "", "");
    give_pod(f, "q", 1000, "", "");
    bind_pod(f, "p", "a");
    fake_fail(&f->fake, 0, KUBE_LOST);
    fake_answer(&f->fake, 1, 200, free_pod);
    bind_pod(f, "q", "a");
    assert_non_null(strstr(fake_sent(&f->fake, 2)->body.ptr, "\"callboard.dev/devices\":\"1\""));
    bind_pod(f, "p", "a");
    assert_non_null(strstr(fake_sent(&f->fake, 3)->body.ptr, "\"callboard.dev/devices\":\"0\""));
    /* The first one had been done after all. */
    fake_answer(&f->fake, 3, 409, "{\"kind\":\"Status\",\"code\":409,\"reason\":\"Conflict\"}");
    fake_answer(&f->fake, 4, 200, bound_pod);
    expect_answer(f, 1, "");
    fake_answer(&f->fake, 2, 201, "{}");
    assert_int_equal(census_reservations(f->census), 2);
    expect_no_drift(f);
}

static void an_annotation_written_by_a_user_does_not_choose_the_devices(void **state)
{
    struct fixture *f = *state;
    give_node(f, "a", 2);
    give_pod(f, "p", 300, "", "1");
    bind_pod(f, "p", "a");
    assert_non_null(strstr(fake_sent(&f->fake, 0)->body.ptr, "\"callboard.dev/devices\":\"0\""));
    fake_answer(&f->fake, 0, 201, "{}");
}

static void pods_without_gpus_are_bound_without_devices(void **state)
{
    struct fixture *f = *state;
    give_node(f, "a", 2);
    give_pod(f, "p", 0, "", "");
    bind_pod(f, "p", "a");
    assert_null(strstr(fake_sent(&f->fake, 0)->body.ptr, "annotations"));
    fake_answer(&f->fake, 0, 201, "{}");
    expect_answer(f, 0, "");
    assert_int_equal(census_node(f->census, STR("a"))->load.amounts.of[RESOURCE_INDEX_CPU], 1000);
    give_pod(f, "q", 0, "", "");
    bind_pod(f, "q", "nowhere");
    expect_answer(f, 1, "the node is not known to the extender");
}

static void a_pod_that_the_watch_has_yet_to_show_is_waited_for(void **state)
{
    struct fixture *f = *state;
    give_node(f, "a", 1);
    bind_pod(f, "p", "a");
    assert_true(binder_run(f->binder) < INT64_MAX);
    assert_int_equal(f->answer_count, 0);
    give_pod(f, "p", 300, "", "");
    assert_true(binder_run(f->binder) == INT64_MAX);
    assert_int_equal(f->fake.count, 1);
    fake_answer(&f->fake, 0, 201, "{}");
    expect_answer(f, 0, "");
    bind_pod(f, "unknown", "a");
    test_clock_advance_ms(&f->clock, 1000);
    assert_true(binder_run(f->binder) == INT64_MAX);
    expect_answer(f, 1, "the extender does not know this pod (yet)");
    /* What is left when all ends is answered too. */
    bind_pod(f, "late", "a");
}

static void devices_in_doubt_are_free_for_their_own_pod(void **state)
{
    struct fixture *f = *state;
    struct node own;
    give_node(f, "a", 1);
    give_pod(f, "p", 1000, "", "");
    bind_pod(f, "p", "a");
    const struct snapshot_node *at = published(f, "a");
    /* While the binding is under way nobody may have them. */
    const struct node *seen = snapshot_node_for(f->source.current, at, STR("uid-p"), 0, &own);
    assert_int_equal(node_device_left(seen, 0), 0);
    fake_fail(&f->fake, 0, KUBE_LOST);
    fake_answer(&f->fake, 1, 200, free_pod);
    at = published(f, "a");
    seen = snapshot_node_for(f->source.current, at, STR("uid-p"), 0, &own);
    assert_int_equal(node_device_left(seen, 0), 1000);
    seen = snapshot_node_for(f->source.current, at, STR("uid-q"), 0, &own);
    assert_int_equal(node_device_left(seen, 0), 0);
    take_pod(f, "p");
    at = published(f, "a");
    seen = snapshot_node_for(f->source.current, at, STR("uid-q"), 0, &own);
    assert_int_equal(node_device_left(seen, 0), 1000);
}

static void held_devices_are_bound_to_their_own_pod_alone(void **state)
{
    struct fixture *f = *state;
    struct census_audit audit;
    const struct pod_load load = {.amounts.of[RESOURCE_INDEX_MILLI] = 1000, .devices = 1};
    give_node(f, "a", 1);
    give_pod(f, "victim", 500, "a", "0");
    assert_non_null(census_hold(f->census, STR("uid-p"), 0, STR("a"), &load, INT64_MAX));
    expect_no_drift(f);
    assert_true(census_audit(f->census, f->pods, false, &audit));
    assert_int_equal(audit.overcommitted, 0);
    take_pod(f, "victim");
    give_pod(f, "thief", 500, "", "");
    bind_pod(f, "thief", "a");
    expect_answer(f, 0, "GPU: no device has enough left for the share");
    give_pod(f, "p", 1000, "", "");
    bind_pod(f, "p", "a");
    assert_int_equal(f->fake.count, 1);
    fake_answer(&f->fake, 0, 201, "{}");
    expect_answer(f, 1, "");
    assert_int_equal(census_holds(f->census), 1);
    give_pod(f, "p", 1000, "a", "0");
    assert_int_equal(census_holds(f->census), 0);
    assert_int_equal(taken(f, "a", 0), 1000);
    expect_no_drift(f);
}

static void holds_are_bounded_and_there_is_one_for_a_pod(void **state)
{
    struct fixture *f = *state;
    const struct pod_load load = {.amounts.of[RESOURCE_INDEX_MILLI] = 10, .devices = 1};
    give_node(f, "a", 1);
    assert_null(census_hold(f->census, STR("p"), 0, STR("unknown"), &load, INT64_MAX));
    for (int i = 0; i < CENSUS_HOLDS_MAX + 5; i++) {
        struct str uid = str_from_cstr(print(f, "uid-%d", i));
        for (int again = 0; again < 2; again++) {
            const struct hold *hold = census_hold(f->census, uid, 0, STR("a"), &load, INT64_MAX);
            assert_int_equal(hold != NULL, i < CENSUS_HOLDS_MAX);
        }
    }
    assert_int_equal(census_holds(f->census), CENSUS_HOLDS_MAX);
    assert_int_equal(taken(f, "a", 0), 10 * CENSUS_HOLDS_MAX);
    assert_int_equal(census_expire_holds(f->census), 0);
    for (int i = 0; i < CENSUS_HOLDS_MAX; i += 2)
        census_unhold(f->census, str_from_cstr(print(f, "uid-%d", i)));
    assert_int_equal(taken(f, "a", 0), 10 * CENSUS_HOLDS_MAX / 2);
    expect_no_drift(f);
}

/* ---- Memory ---- */

static bool run_census(const struct mem *mem, void *ctx)
{
    struct fixture *outer = ctx;
    struct fixture f = {0};
    struct err err;
    struct census_audit audit;
    test_clock_init(&f.clock);
    random_seeded_init(&f.random, TEST_SEED);
    snapshot_source_init(&f.source);
    f.census = census_new(&(const struct census_config){.mem = mem,
                                                        .clock = &f.clock.clock,
                                                        .random = &f.random.random,
                                                        .catalog = outer->catalog,
                                                        .source = &f.source},
                          &err);
    f.pods = f.census ? store_new(&(const struct store_config){.type = &cached_pods,
                                                               .mem = mem,
                                                               .random = &f.random.random,
                                                               .on_change = pod_changed,
                                                               .ctx = &f},
                                  &err)
                      : NULL;
    bool is_good = f.pods != NULL;
    if (is_good) {
        struct kube_sink sinks[] = {census_node_sink(f.census), store_sink(f.pods),
                                    census_lease_sink(f.census)};
        static const char *const texts[] = {
            "{'metadata':{'name':'a','labels':{'callboard.dev/gpu-mode':'shared',"
            "'nvidia.com/gpu.count':'2'}}}",
            "{'metadata':{'namespace':'t','name':'p','uid':'u'},'spec':{'nodeName':'a',"
            "'containers':[{'resources':{'requests':{'callboard.dev/gpu-milli':'100'}}}]}}",
            "{'metadata':{'name':'a'},'spec':{'renewTime':'2026-01-02T03:03:45.000000Z'}}"};
        for (int round = 0; round < 2; round++) {
            for (size_t i = 0; i < 3; i++) {
                const struct json *object = extender_json(&outer->shared, texts[i]);
                struct kube_meta meta;
                kube_meta_read(object, &meta);
                is_good = sinks[i].upsert(sinks[i].ctx, object, &meta) == 0 && is_good;
            }
            is_good = census_publish(f.census) && is_good;
        }
        /* What a change of a pod could not count, an audit with memory does. */
        is_good = census_audit(f.census, f.pods, false, &audit) && audit.drifted == 0 && is_good;
    }
    store_free(f.pods);
    census_free(f.census);
    snapshot_source_done(&f.source);
    return is_good;
}

static void the_census_does_without_memory(void **state)
{
    test_every_allocation_failing(run_census, *state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(pods_count_where_they_are_bound),
        TEST(a_pod_that_has_ended_takes_nothing),
        TEST(pods_of_a_node_that_comes_later_are_counted),
        TEST(devices_that_nobody_knows_block_the_node),
        TEST(what_is_given_out_twice_is_found_by_the_audit),
        TEST(a_reader_keeps_what_it_took),
        TEST(nothing_is_published_when_nothing_changed),
        TEST(many_nodes_are_found_by_name),
        TEST(a_list_forgets_nodes_that_are_not_in_it),
        TEST(a_heartbeat_is_as_old_as_its_last_renewal_was_seen),
        TEST(node_and_devices_are_written_in_one_request),
        TEST(a_pod_of_another_scheduler_is_not_bound),
        TEST(no_device_is_promised_twice_while_bindings_are_under_way),
        TEST(what_only_we_count_is_not_promised_twice_while_bindings_are_under_way),
        TEST(asking_again_gives_the_same_answer),
        TEST(a_lost_answer_is_asked_for),
        TEST(doubt_ends_by_asking_the_server_again),
        TEST(a_binding_in_doubt_is_sent_again_with_the_same_devices),
        TEST(an_annotation_written_by_a_user_does_not_choose_the_devices),
        TEST(pods_without_gpus_are_bound_without_devices),
        TEST(a_pod_that_the_watch_has_yet_to_show_is_waited_for),
        TEST(devices_in_doubt_are_free_for_their_own_pod),
        TEST(held_devices_are_bound_to_their_own_pod_alone),
        TEST(holds_are_bounded_and_there_is_one_for_a_pod),
        TEST(the_census_does_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
