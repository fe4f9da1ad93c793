/* Which nodes are named to kube-scheduler. */
#include "unit/extender_fixture.h"

#include "extender/pick.h"

#include <stdlib.h>

static const struct hash_seed seed = {{1, 2}};

static int set_up(void **state)
{
    static struct extender_fixture fixture;
    extender_fixture_init(&fixture);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    extender_fixture_done(*state);
    return 0;
}

/* What came of picking from `count` nodes without GPUs of which the first `good` score. */
struct picked {
    size_t count;
    size_t good; /* of them */
    size_t at[PICK_MAX];
};

static void pick_some(struct extender_fixture *f, const struct pod *pod, size_t count, size_t good,
                      struct picked *ret)
{
    struct node used = extender_node(f, "used", "", "", "");
    struct node empty = extender_node(f, "empty", "", "", "");
    struct score_candidate *candidates = calloc(count, sizeof(*candidates));
    bool *seen = calloc(count, sizeof(*seen));
    assert_true(candidates && seen);
    used.load.amounts.of[RESOURCE_INDEX_CPU] = 8000 * 70 / 100;
    used.load.amounts.of[RESOURCE_INDEX_MEMORY] = (INT64_C(32) << 30) * 70 / 100;
    for (size_t i = 0; i < count; i++)
        candidates[i].node = i < good ? &used : &empty;
    *ret = (struct picked){.count = 0};
    ret->count = pick_nodes(NULL, pod, candidates, count, &seed, ret->at);
    assert_in_range(ret->count, 0, PICK_MAX);
    for (size_t i = 0; i < ret->count; i++) {
        assert_true(ret->at[i] < count && !seen[ret->at[i]]);
        seen[ret->at[i]] = true;
        ret->good += ret->at[i] < good;
    }
    free(candidates);
    free(seen);
}

static void a_pod_without_preferences_gets_a_sample(void **state)
{
    struct extender_fixture *f = *state;
    struct pod pod = extender_pod(f, "'cpu':'100m'", "", "");
    static const struct {
        size_t nodes, good;
        size_t picked, least_good;
    } cases[] = {
        {1, 1, 0, 0},           {100, 50, 0, 0},       {101, 20, 100, 20},
        {1000, 0, 100, 0},      {1000, 20, 100, 20},   {1000, 70, 100, 50},
        {1000, 1000, 100, 100}, {5000, 300, 250, 125}, {30000, 900, 1000, 500},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct picked picked;
        pick_some(f, &pod, cases[i].nodes, cases[i].good, &picked);
        if (picked.count != cases[i].picked || picked.good < cases[i].least_good)
            fail_msg("case %zu: %zu, of which %zu score", i, picked.count, picked.good);
    }
}

static void half_of_a_sample_may_be_any_nodes(void **state)
{
    struct extender_fixture *f = *state;
    struct pod pod = extender_pod(f, "'cpu':'100m'", "", "");
    size_t others = 0;
    for (unsigned i = 0; i < 20; i++) {
        struct picked picked;
        pod.meta.uid = arena_printf(&f->arena, "uid-%u", i);
        pick_some(f, &pod, 1000, 200, &picked);
        assert_true(picked.good >= 50);
        others += picked.count - picked.good;
    }
    assert_true(others > 0);
}

static void each_pod_has_a_sample_of_its_own_that_stays(void **state)
{
    struct extender_fixture *f = *state;
    struct pod pod = extender_pod(f, "'cpu':'100m'", "", "");
    struct picked first, again, other;
    pick_some(f, &pod, 1000, 1000, &first);
    pick_some(f, &pod, 1000, 1000, &again);
    assert_memory_equal(first.at, again.at, first.count * sizeof(first.at[0]));
    pod.meta.uid = STR("another");
    pick_some(f, &pod, 1000, 1000, &other);
    assert_true(memcmp(first.at, other.at, first.count * sizeof(first.at[0])) != 0);
}

static void kube_scheduler_weighs_all_nodes_for_a_pod_with_preferences(void **state)
{
    struct extender_fixture *f = *state;
    static const struct {
        const char *metadata, *spec;
        bool has_all;
    } cases[] = {
        {"", "", false},
        {"'ownerReferences':[{'kind':'Job'}]", "", false},
        {"'ownerReferences':[{'kind':'Other'},{'kind':'ReplicaSet'}]", "", true},
        {"'ownerReferences':[{'kind':'StatefulSet'}]", "", true},
        {"'ownerReferences':[{'kind':'ReplicationController'}]", "", true},
        {"", "'affinity':{}", false},
        {"", "'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':{}}}",
         false},
        {"", "'affinity':{'nodeAffinity':{'preferredDuringSchedulingIgnoredDuringExecution':[]}}",
         false},
        {"",
         "'affinity':{'nodeAffinity':{'preferredDuringSchedulingIgnoredDuringExecution':"
         "[{'weight':1}]}}",
         true},
        {"", "'affinity':{'podAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':[]}}",
         true},
        {"",
         "'affinity':{'podAntiAffinity':{'preferredDuringSchedulingIgnoredDuringExecution':[]}}",
         true},
        {"", "'topologySpreadConstraints':[]", false},
        {"", "'topologySpreadConstraints':[{'maxSkew':1}]", true},
        {"", "'resourceClaims':[{'name':'gpu'}]", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str text =
            arena_printf(&f->arena, "{'metadata':{'uid':'u'%s%s},'spec':{%s}}",
                         cases[i].metadata[0] ? "," : "", cases[i].metadata, cases[i].spec);
        struct pod pod;
        struct picked picked;
        pod_read(&pod, extender_json(f, text.ptr), f->catalog);
        pick_some(f, &pod, 1000, 20, &picked);
        if ((picked.count == 0) != cases[i].has_all)
            fail_msg("case %zu: %zu", i, picked.count);
    }
}

static void a_pod_with_gpus_gets_one_node_whatever_it_prefers(void **state)
{
    struct extender_fixture *f = *state;
    struct node nodes[] = {extender_shared_node(f, "b", 2), extender_shared_node(f, "a", 2)};
    struct packer *packer = extender_packer(f, PACK_RSP, nodes, 2);
    struct pod pod = extender_pod(f, "'callboard.dev/gpu-milli':'500'", "",
                                  "'topologySpreadConstraints':[{'maxSkew':1}]");
    struct score_candidate candidates[] = {
        {.node = NULL}, {.node = &nodes[0]}, {.node = &nodes[1]}};
    struct picked picked;
    assert_int_equal(pick_nodes(packer, &pod, candidates, 3, &seed, picked.at), 1);
    assert_int_equal(picked.at[0], 2);
    assert_int_equal(candidates[2].score, SCORE_BEST);
    packer_free(packer);
}

static void of_no_nodes_none_is_picked(void **state)
{
    struct extender_fixture *f = *state;
    struct pod pod = extender_pod(f, "'cpu':'100m'", "", "");
    struct score_candidate candidates[] = {{.node = NULL}};
    size_t at[PICK_MAX];
    struct packer *packer = extender_packer(f, PACK_RSP, NULL, 0);
    assert_int_equal(pick_nodes(packer, &pod, candidates, 0, &seed, at), 0);
    assert_int_equal(pick_nodes(packer, &pod, candidates, 1, &seed, at), 0);
    packer_free(packer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pod_without_preferences_gets_a_sample),
        cmocka_unit_test(half_of_a_sample_may_be_any_nodes),
        cmocka_unit_test(each_pod_has_a_sample_of_its_own_that_stays),
        cmocka_unit_test(kube_scheduler_weighs_all_nodes_for_a_pod_with_preferences),
        cmocka_unit_test(a_pod_with_gpus_gets_one_node_whatever_it_prefers),
        cmocka_unit_test(of_no_nodes_none_is_picked),
    };
    return cmocka_run_group_tests_name("extender_pick", tests, set_up, tear_down);
}
