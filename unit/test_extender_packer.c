/* The packing policy on the cluster's own nodes and pods, from several threads, and over a restart. */
#include "unit/extender_fixture.h"
#include "unit/fake_transport.h"

#include "extender/keeper.h"

#include <stdio.h>

enum { NODES_MAX = 8 };

struct fixture {
    struct extender_fixture shared;
    struct test_clock clock;
    struct random_seeded random;
    struct fake_transport fake;
    struct timers timers;
    struct kube_client *client;
    struct packer *packer;
    struct store *pods;
    struct kube_sink sink;
    struct keeper *keeper; /* NULL unless the test makes it */
    struct node nodes[NODES_MAX];
    size_t node_count;
    int64_t version;
};

static void pod_changed(void *ctx, const struct stored *before, const struct stored *after)
{
    struct fixture *f = ctx;
    packer_pod_changed(f->packer, before, after);
}

static void make(struct fixture *f, enum pack_kind kind)
{
    struct err err;
    f->packer = packer_new(kind, mem_system(), &err);
    f->pods = extender_store(&cached_pods, &f->random.random, pod_changed, f);
    f->client = extender_client(&f->fake, &f->timers, &f->clock.clock, &f->random.random);
    assert_non_null(f->packer);
    f->sink = store_sink(f->pods);
}

static void set_up_kind(struct fixture *f, enum pack_kind kind)
{
    *f = (struct fixture){0};
    extender_fixture_init(&f->shared);
    test_clock_init(&f->clock);
    random_seeded_init(&f->random, TEST_SEED);
    fake_transport_init(&f->fake);
    timers_init(&f->timers, mem_system());
    make(f, kind);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    set_up_kind(&fixture, PACK_RSP);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    keeper_free(f->keeper);
    kube_client_free(f->client);
    packer_free(f->packer);
    store_free(f->pods);
    timers_done(&f->timers);
    fake_transport_done(&f->fake);
    extender_fixture_done(&f->shared);
    return 0;
}

static struct node *add_node(struct fixture *f, struct node node)
{
    assert_in_range(f->node_count, 0, NODES_MAX - 1);
    f->nodes[f->node_count] = node;
    return &f->nodes[f->node_count++];
}

static struct node *add_shared(struct fixture *f, const char *name, const char *product,
                               unsigned devices)
{
    struct str labels =
        arena_printf(&f->shared.arena,
                     "'callboard.dev/gpu-mode':'shared','nvidia.com/gpu.count':'%u',"
                     "'nvidia.com/gpu.product':'%s'",
                     devices, product);
    return add_node(f, extender_node(&f->shared, name, labels.ptr, "'nvidia.com/gpu':'0'", ""));
}

static void refresh(struct fixture *f, bool now)
{
    const struct snapshot *snapshot = extender_snapshot(&f->shared, f->nodes, f->node_count);
    assert_true(packer_refresh(f->packer, snapshot, f->pods, now));
}

/* `node` may be "": it waits. `affinity` is a list of products, "'A','B'", or "". */
static void give_pod(struct fixture *f, const char *name, const char *requests, const char *node,
                     const char *products)
{
    struct str affinity = {"", 0};
    if (products[0])
        affinity = arena_printf(
            &f->shared.arena,
            "'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':"
            "{'nodeSelectorTerms':[{'matchExpressions':[{'key':'nvidia.com/gpu.product',"
            "'operator':'In','values':[%s]}]}]}}},",
            products);
    struct str text = arena_printf(
        &f->shared.arena,
        "{'metadata':{'namespace':'team','name':'%s','uid':'uid-%s','resourceVersion':'%lld'},"
        "'spec':{%s'nodeName':'%s','containers':[{'resources':{'requests':{%s}}}]}}",
        name, name, (long long)++f->version, affinity.ptr, node, requests);
    const struct json *object = extender_json(&f->shared, text.ptr);
    struct kube_meta meta;
    kube_meta_read(object, &meta);
    assert_int_equal(f->sink.upsert(f->sink.ctx, object, &meta), 0);
}

static void take_pod(struct fixture *f, const char *name)
{
    struct str text = arena_printf(&f->shared.arena,
                                   "{'metadata':{'namespace':'team','name':'%s',"
                                   "'resourceVersion':'%lld'}}",
                                   name, (long long)++f->version);
    const struct json *object = extender_json(&f->shared, text.ptr);
    struct kube_meta meta;
    kube_meta_read(object, &meta);
    f->sink.remove(f->sink.ctx, object, &meta);
}

/* What was learned of one mode. */
static const char *learned(struct fixture *f, enum packer_part part)
{
    struct buf buf;
    buf_init(&buf, arena_mem(&f->shared.arena), 1 << 16);
    packer_save(f->packer, part, &buf);
    buf_put_char(&buf, '\0');
    assert_false(buf_failed(&buf));
    return buf.ptr;
}

#define MILLI(n) "'cpu':'1','callboard.dev/gpu-milli':'" #n "'"
#define FIRST    "callboard-pack 1\n"

/* ---- Learning ---- */

static void what_arrives_is_placed_and_leaves_is_told_to_the_policy(void **state)
{
    struct fixture *f = *state;
    add_shared(f, "a", "A100", 4);
    refresh(f, true);
    assert_string_equal(learned(f, PACKER_SHARED), FIRST "flow 0 0\n");
    give_pod(f, "share", MILLI(300), "", "");
    assert_string_equal(learned(f, PACKER_SHARED), FIRST "flow 0 0\nclass 1000 300 1 1 *\n");
    give_pod(f, "share", MILLI(300), "a", "");
    assert_string_equal(learned(f, PACKER_SHARED), FIRST "flow 300 0\nclass 1000 300 1 1 *\n");
    take_pod(f, "share");
    assert_string_equal(learned(f, PACKER_SHARED), FIRST "flow 300 300\nclass 1000 300 1 1 *\n");
    give_pod(f, "whole", MILLI(2000), "a", "");
    /* What was before fades with each arrival. */
    assert_string_equal(learned(f, PACKER_SHARED),
                        FIRST "flow 2299 299\nclass 1000 300 1 1 *\nclass 1000 1000 2 1 *\n");
    assert_int_equal(packer_learned(f->packer), 2);
}

static void a_pod_of_the_same_name_is_another_one(void **state)
{
    struct fixture *f = *state;
    add_shared(f, "a", "A100", 4);
    refresh(f, true);
    give_pod(f, "p", MILLI(1000), "a", "");
    const struct json *object =
        extender_json(&f->shared, "{'metadata':{'namespace':'team','name':'p','uid':'other',"
                                  "'resourceVersion':'99'},'spec':{'containers':[{'resources':"
                                  "{'requests':{'callboard.dev/gpu-milli':'500'}}}]}}");
    struct kube_meta meta;
    kube_meta_read(object, &meta);
    assert_int_equal(f->sink.upsert(f->sink.ctx, object, &meta), 0);
    assert_string_equal(learned(f, PACKER_SHARED),
                        FIRST "flow 999 999\nclass 1000 1000 1 1 *\nclass 0 500 1 1 *\n");
}

static void only_pods_that_could_run_here_teach_anything(void **state)
{
    struct fixture *f = *state;
    add_shared(f, "a", "A100", 4);
    add_shared(f, "b", "T4", 4);
    refresh(f, true);
    give_pod(f, "plain", "'cpu':'1'", "", "");
    give_pod(f, "mig", "'nvidia.com/mig-1g.5gb':'1'", "", "");
    give_pod(f, "counted", "'nvidia.com/gpu':'1'", "", ""); /* there is no node for those */
    give_pod(f, "strange", MILLI(100), "", "'H100'");
    assert_string_equal(learned(f, PACKER_SHARED), FIRST "flow 0 0\n");
    assert_string_equal(learned(f, PACKER_PLUGIN), "");
    give_pod(f, "bound", MILLI(100), "", "'H100','T4'");
    assert_string_equal(learned(f, PACKER_SHARED), FIRST "flow 0 0\nclass 1000 100 1 1 T4\n");
}

static void pods_that_exist_are_learned_from_when_the_first_node_comes(void **state)
{
    struct fixture *f = *state;
    give_pod(f, "one", MILLI(300), "a", "'A100'");
    give_pod(f, "two", MILLI(300), "", "'A100'");
    give_pod(f, "counted", "'nvidia.com/gpu':'4'", "b", "");
    refresh(f, true);
    assert_int_equal(packer_learned(f->packer), 0);
    add_shared(f, "a", "A100", 4);
    add_node(f, extender_node(&f->shared, "b", "", "'nvidia.com/gpu':'8'", ""));
    refresh(f, false);
    assert_string_equal(learned(f, PACKER_SHARED), FIRST "flow 300 0\nclass 1000 300 1 2 A100\n");
    assert_string_equal(learned(f, PACKER_PLUGIN), FIRST "flow 4000 0\nclass 0 1000 4 1 *\n");
    refresh(f, true);
    assert_int_equal(packer_learned(f->packer), 3);
}

/* ---- Choosing ---- */

static const struct node *best_for(struct fixture *f, const char *requests, const char *annotations)
{
    struct pod pod = extender_pod(&f->shared, requests, annotations, "");
    struct score_candidate candidates[NODES_MAX];
    const struct node *best = NULL;
    for (size_t i = 0; i < f->node_count; i++)
        candidates[i] = (struct score_candidate){.node = &f->nodes[i]};
    score_rank(f->packer, &pod, candidates, f->node_count);
    for (size_t i = 0; i < f->node_count; i++) {
        if (candidates[i].score == SCORE_BEST) {
            assert_null(best);
            best = candidates[i].node;
        }
    }
    assert_non_null(best);
    return best;
}

static void give_typical_pods(struct fixture *f)
{
    for (int i = 0; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof(name), "typical-%d", i);
        give_pod(f, name, i % 2 ? MILLI(600) : MILLI(400), "", "");
    }
    refresh(f, true);
}

static void a_pod_goes_where_it_costs_the_pods_to_come_the_least(void **state)
{
    struct fixture *f = *state;
    struct node *a = add_shared(f, "a", "A100", 1);
    struct node *b = add_shared(f, "b", "A100", 1);
    a->load.device_milli[0] = 400; /* 600 are left */
    b->load.device_milli[0] = 500; /* 500 are left */
    refresh(f, true);
    give_typical_pods(f);
    /* On `a` 200 would be left, of use to nobody; on `b` 100 are, and 500 would have been of less use. */
    assert_ptr_equal(best_for(f, MILLI(400), ""), b);
    assert_ptr_equal(best_for(f, MILLI(600), ""), a);
    assert_ptr_equal(best_for(f, MILLI(400), "'callboard.dev/packing':'Spread'"), a);
}

static void a_pod_without_gpus_goes_where_its_cpu_is_missed_the_least(void **state)
{
    struct fixture *f = *state;
    struct node *idle = add_shared(f, "a", "A100", 2);
    struct node *used = add_shared(f, "b", "A100", 2);
    used->load.device_milli[0] = used->load.device_milli[1] = NODE_DEVICE_MILLI;
    (void)idle;
    refresh(f, true);
    give_typical_pods(f);
    assert_ptr_equal(best_for(f, "'cpu':'7'", ""), used);
    struct node *plain = add_node(f, extender_node(&f->shared, "c", "", "", ""));
    struct pod pod = extender_pod(&f->shared, "'cpu':'7'", "", "");
    struct score_candidate all[] = {{.node = idle}, {.node = used}, {.node = plain}};
    score_rank(f->packer, &pod, all, 3);
    assert_int_equal(all[0].score, 0);
    assert_int_equal(all[1].score, 0);
    assert_int_equal(all[2].score, 1);
}

static void devices_are_chosen_by_the_same_policy(void **state)
{
    struct fixture *f = *state;
    struct node *node = add_shared(f, "a", "A100", 3);
    struct pod_load load = {.amounts.of[RESOURCE_INDEX_MILLI] = 400};
    node->load.device_milli[1] = 400;
    node->load.device_milli[2] = 600;
    /* Before there is a policy: the fullest that will do. */
    assert_int_equal(packer_devices(f->packer, node, &load, false), 1 << 2);
    refresh(f, true);
    give_typical_pods(f);
    /* Then another one: pieces of 600, 600 and 400 are of more use than 1000 and 600. */
    assert_int_equal(packer_devices(f->packer, node, &load, false), 1 << 0);
    assert_int_equal(packer_devices(f->packer, node, &load, true), 1 << 0);
    load.amounts.of[RESOURCE_INDEX_MILLI] = 600;
    assert_int_equal(packer_devices(f->packer, node, &load, false), 1 << 1);
    load.amounts.of[RESOURCE_INDEX_MILLI] = 2000;
    assert_int_equal(packer_devices(f->packer, node, &load, false), 0);
    load.amounts.of[RESOURCE_INDEX_MILLI] = 1000;
    assert_int_equal(packer_devices(f->packer, node, &load, false), 1 << 0);
    /* kube-scheduler has judged CPU; a device is no less free for want of it. */
    load.amounts.of[RESOURCE_INDEX_CPU] = 9000;
    assert_int_equal(packer_devices(f->packer, node, &load, false), 1 << 0);
    load.amounts.of[RESOURCE_INDEX_MILLI] = 0;
    assert_int_equal(packer_devices(f->packer, node, &load, false), 0);
}

static void counted_gpus_are_packed_too(void **state)
{
    struct fixture *f = *state;
    struct node *a = add_node(f, extender_node(&f->shared, "a", "", "'nvidia.com/gpu':'4'", ""));
    struct node *b = add_node(f, extender_node(&f->shared, "b", "", "'nvidia.com/gpu':'4'", ""));
    b->load.amounts.of[RESOURCE_INDEX_GPUS] = 2;
    for (int i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof(name), "four-%d", i);
        give_pod(f, name, "'nvidia.com/gpu':'4'", "", "");
    }
    refresh(f, true);
    /* The whole node is kept for those of four. */
    assert_ptr_equal(best_for(f, "'nvidia.com/gpu':'1'", ""), b);
    assert_ptr_equal(best_for(f, "'nvidia.com/gpu':'1'", "'callboard.dev/packing':'Spread'"), a);
}

/* ---- Beside the replay ---- */

static struct pack_node plain_view(struct pack *pack, const struct node *node)
{
    struct pack_node view = {.cpu_free_milli = node->facts->capacity.of[RESOURCE_INDEX_CPU],
                             .cpu_capacity_milli = node->facts->capacity.of[RESOURCE_INDEX_CPU],
                             .pods_free = INT32_MAX,
                             .model = pack_model(pack, node->facts->product),
                             .device_count = node->facts->device_count};
    for (unsigned i = 0; i < view.device_count; i++)
        view.device_free_milli[i] = PACK_WHOLE_MILLI;
    return view;
}

/* Chooses for a pod that waits, and binds it. NODES_MAX when no node fits. */
static size_t bind_pod(struct fixture *f, const char *name, const char *requests,
                       uint64_t *ret_devices)
{
    struct pod pod = extender_pod(&f->shared, requests, "", "");
    struct score_candidate candidates[NODES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < f->node_count; i++) {
        if (filter_judge_all(&pod, &f->nodes[i], -1) == VERDICT_FITS)
            candidates[count++] = (struct score_candidate){.node = &f->nodes[i]};
    }
    score_rank(f->packer, &pod, candidates, count);
    for (size_t i = 0; i < count; i++) {
        if (candidates[i].score != SCORE_BEST)
            continue;
        size_t best = (size_t)(candidates[i].node - f->nodes);
        struct pod_load load;
        pod_load_of(&pod, 0, &load);
        load.devices = *ret_devices = packer_devices(f->packer, &f->nodes[best], &load, false);
        node_load_add(&f->nodes[best].load, &load);
        struct str node = arena_copy(&f->shared.arena, f->nodes[best].facts->name);
        give_pod(f, name, requests, node.ptr, "");
        return best;
    }
    return NODES_MAX;
}

static void pods_are_placed_as_the_replay_places_them(void **state)
{
    enum { PODS = 120, PLACED_MIN = 20 };
    struct fixture *f = *state;
    static const char *const names[NODES_MAX] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    struct err err;
    struct pack_config config = pack_config_default(PACK_RSP);
    config.learn_first = 1;
    struct pack *pack = pack_new(&config, mem_system(), &err);
    assert_non_null(pack);
    struct pack_node views[NODES_MAX], *list[NODES_MAX];
    for (unsigned i = 0; i < NODES_MAX; i++) {
        const struct node *node = add_shared(f, names[i], i % 2 ? "A100" : "T4", 1 + i);
        views[i] = plain_view(pack, node);
        list[i] = &views[i];
    }
    refresh(f, true);
    pack_learn(pack); /* of nothing, as the packer has done */
    pack_refresh(pack, list, NODES_MAX);
    unsigned placed = 0;
    for (unsigned i = 0; i < PODS; i++) {
        unsigned kind = (unsigned)random_below(&f->random.random, 12);
        struct pack_demand demand = {.cpu_milli = 100 + 50 * kind, .gpu_count = 1};
        demand.gpu_milli = (uint16_t)(kind < 10 ? 100 * (kind + 1) : PACK_WHOLE_MILLI);
        demand.gpu_count = (uint8_t)(kind < 10 ? 1 : kind == 10 ? 2 : 4);
        struct str name = arena_printf(&f->shared.arena, "p-%u", i);
        struct str requests =
            arena_printf(&f->shared.arena, "'cpu':'%um','callboard.dev/gpu-milli':'%u'",
                         100 + 50 * kind, demand.gpu_milli * demand.gpu_count);
        give_pod(f, name.ptr, requests.ptr, "", "");
        refresh(f, false);
        pack_observe(pack, &demand);
        if (pack_refresh_is_due(pack))
            pack_refresh(pack, list, NODES_MAX);
        size_t expected = NODES_MAX;
        struct pack_choice choice = {0};
        if (pack_choose(pack, list, NODES_MAX, &demand, &expected, &choice)) {
            pack_place(pack, list[expected], &demand, choice.devices);
            placed++;
        }
        uint64_t devices = 0;
        assert_int_equal(bind_pod(f, name.ptr, requests.ptr, &devices), expected);
        assert_int_equal(devices, choice.devices);
    }
    assert_in_range(placed, PLACED_MIN, PODS);
    pack_free(pack);
}

/* ---- Several threads ---- */

struct reader {
    struct fixture *fixture;
    struct pod pod;
    const struct node *nodes; /* of its own: the test's are not read by others */
    pthread_t thread;
};

static void *score_again_and_again(void *ctx)
{
    enum { TURNS = 300, CANDIDATES = 2 };
    struct reader *r = ctx;
    struct pod_load load;
    pod_load_of(&r->pod, 0, &load);
    uintptr_t failures = 0;
    for (int i = 0; i < TURNS; i++) {
        struct score_candidate candidates[CANDIDATES] = {{.node = &r->nodes[0]},
                                                         {.node = &r->nodes[1]}};
        score_rank(r->fixture->packer, &r->pod, candidates, CANDIDATES);
        failures += candidates[0].score + candidates[1].score != SCORE_BEST;
        failures += packer_devices(r->fixture->packer, &r->nodes[0], &load, false) == 0;
    }
    return (void *)failures;
}

static void threads_score_while_pods_come_and_go(void **state)
{
    enum { READERS = 3, ROUNDS = 40 };
    struct fixture *f = *state;
    struct reader readers[READERS];
    add_shared(f, "a", "A100", 8);
    add_shared(f, "b", "A100", 8);
    refresh(f, true);
    for (size_t i = 0; i < READERS; i++) {
        readers[i] = (struct reader){
            .fixture = f,
            .pod = extender_pod(&f->shared, i ? MILLI(250) : MILLI(1000), "", ""),
            .nodes = f->nodes,
        };
        assert_int_equal(
            pthread_create(&readers[i].thread, NULL, score_again_and_again, &readers[i]), 0);
    }
    for (int i = 0; i < ROUNDS; i++) {
        give_pod(f, "share", MILLI(250), "a", "'A100'");
        give_pod(f, "whole", MILLI(4000), "b", "");
        refresh(f, i % 2);
        take_pod(f, "share");
        take_pod(f, "whole");
    }
    for (size_t i = 0; i < READERS; i++) {
        void *failures;
        assert_int_equal(pthread_join(readers[i].thread, &failures), 0);
        assert_null(failures);
    }
    assert_int_equal(packer_learned(f->packer), 2 * ROUNDS);
}

/* ---- Over a restart ---- */

static void make_keeper(struct fixture *f)
{
    struct err err;
    f->keeper = keeper_new(&(const struct keeper_config){.client = f->client,
                                                         .packer = f->packer,
                                                         .clock = &f->clock.clock,
                                                         .mem = mem_system(),
                                                         .namespace = STR("callboard-system")},
                           &err);
    assert_non_null(f->keeper);
}

static void tick_after_ms(struct fixture *f, int64_t ms, bool may_write)
{
    test_clock_advance_ms(&f->clock, ms);
    timers_run(&f->timers, clock_now_ns(&f->clock.clock));
    keeper_tick(f->keeper, may_write);
}

enum { PERIOD_MS = 600 * 1000 };

static const char not_found[] = "{\"kind\":\"Status\",\"code\":404,\"reason\":\"NotFound\"}";

static void what_was_learned_is_written_seldom_and_only_when_new(void **state)
{
    struct fixture *f = *state;
    add_shared(f, "a", "A100", 4);
    refresh(f, true);
    make_keeper(f);
    assert_str_is(fake_sent(&f->fake, 0)->target,
                  "/api/v1/namespaces/callboard-system/configmaps/callboard-extender-packing");
    fake_answer(&f->fake, 0, 404, not_found);
    give_pod(f, "p", MILLI(300), "a", "");
    tick_after_ms(f, PERIOD_MS - 1, true);
    assert_int_equal(f->fake.count, 1);
    tick_after_ms(f, 1, true);
    assert_int_equal(f->fake.count, 2);
    assert_true(keeper_is_writing(f->keeper));
    assert_string_equal(fake_sent(&f->fake, 1)->method, "POST");
    assert_str_is(fake_sent(&f->fake, 1)->body,
                  "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":"
                  "\"callboard-extender-packing\",\"labels\":{\"app.kubernetes.io/part-of\":"
                  "\"callboard\"}},\"data\":{\"shared\":\"callboard-pack 1\\nflow 300 0\\n"
                  "class 1000 300 1 1 *\\n\"}}");
    fake_answer(&f->fake, 1, 201, "{}");
    assert_false(keeper_is_writing(f->keeper));
    /* Nothing new. */
    tick_after_ms(f, 2 * PERIOD_MS, true);
    keeper_flush(f->keeper);
    assert_int_equal(f->fake.count, 2);
    /* A standby learns and does not write; at the end in order nobody waits for the period. */
    give_pod(f, "q", MILLI(300), "a", "");
    tick_after_ms(f, 2 * PERIOD_MS, false);
    assert_int_equal(f->fake.count, 2);
    keeper_flush(f->keeper);
    assert_string_equal(fake_sent(&f->fake, 2)->method, "PATCH");
    fake_answer(&f->fake, 2, 200, "{}");
}

static void a_write_that_failed_is_tried_again_by_the_verb_that_is_right(void **state)
{
    struct fixture *f = *state;
    add_shared(f, "a", "A100", 4);
    refresh(f, true);
    make_keeper(f);
    fake_answer(&f->fake, 0, 404, not_found);
    give_pod(f, "p", MILLI(300), "a", "");
    tick_after_ms(f, PERIOD_MS, true);
    fake_answer(&f->fake, 1, 409,
                "{\"kind\":\"Status\",\"code\":409,\"reason\":\"AlreadyExists\"}");
    /* At once: a process that ends has no next time. */
    assert_int_equal(f->fake.count, 3);
    assert_true(keeper_is_writing(f->keeper));
    assert_string_equal(fake_sent(&f->fake, 2)->method, "PATCH");
    fake_answer(&f->fake, 2, 404, not_found);
    tick_after_ms(f, PERIOD_MS, true);
    assert_string_equal(fake_sent(&f->fake, 3)->method, "POST");
    fake_answer(&f->fake, 3, 201, "{}");
}

static void what_was_kept_takes_the_place_of_what_the_pods_tell(void **state)
{
    struct fixture *f = *state;
    give_pod(f, "p", MILLI(300), "a", "");
    add_shared(f, "a", "A100", 4);
    refresh(f, true);
    make_keeper(f);
    fake_answer(&f->fake, 0, 200,
                "{\"data\":{\"shared\":\"callboard-pack 1\\nflow 50 20\\n"
                "class 2000 500 1 7 A100|T4\\n\",\"plugin\":\"callboard-pack 1\\nflow 0 0\\n\"}}");
    assert_string_equal(learned(f, PACKER_SHARED),
                        FIRST "flow 50 20\nclass 2000 500 1 7 A100|T4\n");
    assert_string_equal(learned(f, PACKER_PLUGIN), FIRST "flow 0 0\n");
    /* It is the same still when nodes come of which there were none. */
    add_node(f, extender_node(&f->shared, "b", "", "'nvidia.com/gpu':'8'", ""));
    give_pod(f, "q", "'nvidia.com/gpu':'1'", "b", "");
    refresh(f, true);
    assert_string_equal(learned(f, PACKER_PLUGIN), FIRST "flow 1000 0\nclass 0 1000 1 1 *\n");
}

static void what_makes_no_sense_is_passed_over(void **state)
{
    static const char *const bodies[] = {
        "{\"data\":{\"shared\":\"callboard-pack 2\\n\"}}",
        "{\"data\":{\"shared\":7}}",
        "{\"data\":[]}",
        "{}",
        "no JSON",
    };
    struct fixture *f = *state;
    give_pod(f, "p", MILLI(300), "a", "");
    add_shared(f, "a", "A100", 4);
    refresh(f, true);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        make_keeper(f);
        fake_answer(&f->fake, i, 200, bodies[i]);
        assert_string_equal(learned(f, PACKER_SHARED), FIRST "flow 300 0\nclass 1000 300 1 1 *\n");
        keeper_free(f->keeper);
        f->keeper = NULL;
    }
}

static void it_is_read_again_until_the_server_has_answered(void **state)
{
    struct fixture *f = *state;
    add_shared(f, "a", "A100", 4);
    refresh(f, true);
    make_keeper(f);
    fake_answer(&f->fake, 0, 403, "{\"kind\":\"Status\",\"code\":403,\"reason\":\"Forbidden\"}");
    give_pod(f, "p", MILLI(300), "a", "");
    keeper_flush(f->keeper); /* what is there must not be lost for want of an answer */
    assert_int_equal(f->fake.count, 1);
    tick_after_ms(f, 5000, true);
    assert_int_equal(f->fake.count, 2);
    assert_string_equal(fake_sent(&f->fake, 1)->method, "GET");
    fake_answer(&f->fake, 1, 404, not_found);
    tick_after_ms(f, PERIOD_MS, true);
    assert_string_equal(fake_sent(&f->fake, 2)->method, "POST");
    fake_answer(&f->fake, 2, 201, "{}");
}

/* ---- Without memory ---- */

static bool run_packer(const struct mem *mem, void *ctx)
{
    struct fixture *f = ctx;
    struct err err;
    struct packer *packer = packer_new(PACK_RSP, mem, &err);
    if (!packer)
        return false;
    const struct snapshot *snapshot = extender_snapshot(&f->shared, f->nodes, f->node_count);
    bool is_good = packer_refresh(packer, snapshot, f->pods, true);
    /* Whatever is missing: a pod is placed. */
    struct pod pod = extender_pod(&f->shared, MILLI(300), "", "");
    struct score_candidate candidates[] = {{.node = &f->nodes[0]}};
    score_rank(packer, &pod, candidates, 1);
    assert_int_equal(candidates[0].score, SCORE_BEST);
    packer_free(packer);
    return is_good;
}

static void packing_does_without_memory(void **state)
{
    struct fixture *f = *state;
    add_shared(f, "a", "A100", 4);
    add_node(f, extender_node(&f->shared, "b", "", "'nvidia.com/gpu':'8'", ""));
    test_every_allocation_failing(run_packer, f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_arrives_is_placed_and_leaves_is_told_to_the_policy),
        TEST(a_pod_of_the_same_name_is_another_one),
        TEST(only_pods_that_could_run_here_teach_anything),
        TEST(pods_that_exist_are_learned_from_when_the_first_node_comes),
        TEST(a_pod_goes_where_it_costs_the_pods_to_come_the_least),
        TEST(a_pod_without_gpus_goes_where_its_cpu_is_missed_the_least),
        TEST(devices_are_chosen_by_the_same_policy),
        TEST(counted_gpus_are_packed_too),
        TEST(pods_are_placed_as_the_replay_places_them),
        TEST(threads_score_while_pods_come_and_go),
        TEST(what_was_learned_is_written_seldom_and_only_when_new),
        TEST(a_write_that_failed_is_tried_again_by_the_verb_that_is_right),
        TEST(what_was_kept_takes_the_place_of_what_the_pods_tell),
        TEST(what_makes_no_sense_is_passed_over),
        TEST(it_is_read_again_until_the_server_has_answered),
        TEST(packing_does_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
