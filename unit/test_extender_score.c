/* Which node comes out best. */
#include "unit/extender_fixture.h"

#include "extender/score.h"

#include <stdlib.h>

enum { CANDIDATES_MAX = 4 };

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

static struct node used_node(struct extender_fixture *f, const char *name, const char *allocatable,
                             int64_t cpu_percent, int64_t memory_percent)
{
    struct node node = extender_node(f, name, "", allocatable, "");
    node.load.amounts.of[RESOURCE_INDEX_CPU] = 8000 * cpu_percent / 100;
    node.load.amounts.of[RESOURCE_INDEX_MEMORY] = (INT64_C(32) << 30) * memory_percent / 100 + 1;
    return node;
}

static void the_best_use_is_between_60_and_85_per_cent(void **state)
{
    struct extender_fixture *f = *state;
    struct pod pod = extender_pod(f, "", "", "");
    static const struct {
        int64_t cpu, memory;
        int64_t age_s;
        int score;
    } cases[] = {
        {60, 60, 0, 100}, {85, 85, 0, 100}, {75, 75, 10, 100}, {0, 0, 0, 50},
        {30, 30, 0, 74},  {95, 95, 0, 66},  {100, 100, 0, 50}, {75, 0, 0, 56},
        {75, 75, 20, 87}, {75, 75, 30, 75}, {120, 120, 0, 50},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct node node = used_node(f, "n", "", cases[i].cpu, cases[i].memory);
        int score = score_fit(&pod, &node, cases[i].age_s * 1000000000);
        if (abs(score - cases[i].score) > 1)
            fail_msg("case %zu: %d, not %d", i, score, cases[i].score);
    }
}

static void a_pod_without_gpus_is_kept_off_nodes_with_them(void **state)
{
    struct extender_fixture *f = *state;
    struct node empty = used_node(f, "empty", "", 0, 0);
    struct node good = used_node(f, "good", "", 70, 70);
    struct node close = used_node(f, "close", "", 58, 62);
    struct node gpu = used_node(f, "gpu", "'nvidia.com/gpu':'8'", 70, 70);
    struct packer *packer = extender_packer(f, PACK_RSP, &gpu, 1);
    struct pod pod = extender_pod(f, "'cpu':'100m'", "", "");
    struct score_candidate all[] = {
        {.node = &gpu}, {.node = &empty}, {.node = &good}, {.node = &close}};
    score_rank(packer, &pod, all, 4);
    assert_int_equal(all[0].score, 0);
    assert_int_equal(all[1].score, 0);
    assert_int_equal(all[2].score, 1);
    assert_int_equal(all[3].score, 1);
    /* As long as another will do. */
    struct score_candidate only[] = {{.node = &gpu}};
    score_rank(packer, &pod, only, 1);
    assert_int_equal(only[0].score, SCORE_BEST);
    struct score_candidate unknown[] = {{.node = NULL}};
    score_rank(packer, &pod, unknown, 1);
    assert_int_equal(unknown[0].score, 0);
    packer_free(packer);
}

static void one_node_stands_above_the_others_for_a_pod_with_gpus(void **state)
{
    struct extender_fixture *f = *state;
    struct node nodes[CANDIDATES_MAX];
    static const char *const names[] = {"d", "c", "b", "a"};
    for (size_t i = 0; i < CANDIDATES_MAX; i++)
        nodes[i] = extender_shared_node(f, names[i], 2);
    nodes[1].load.device_milli[0] = 500; /* an exact fit, but with an empty device beside it */
    nodes[2].load.device_milli[0] = 500; /* an exact fit */
    nodes[2].load.device_milli[1] = 1000;
    nodes[3].load.device_milli[0] = 400;
    struct packer *packer = extender_packer(f, PACK_BESTFIT, nodes, CANDIDATES_MAX);
    static const struct {
        const char *requests, *annotations;
        size_t best;
    } cases[] = {
        {"'callboard.dev/gpu-milli':'500'", "", 2},
        {"'callboard.dev/gpu-milli':'600'", "", 1},
        {"'callboard.dev/gpu-milli':'500'", "'callboard.dev/packing':'Spread'", 0},
        {"'callboard.dev/gpu-milli':'1000'", "", 1},
        {"'callboard.dev/gpu-milli':'2000'", "", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pod pod = extender_pod(f, cases[i].requests, cases[i].annotations, "");
        struct score_candidate candidates[CANDIDATES_MAX];
        size_t count = 0, of[CANDIDATES_MAX];
        for (size_t n = 0; n < CANDIDATES_MAX; n++) {
            if (!node_choose_devices(&nodes[n], pod.amounts.of[RESOURCE_INDEX_MILLI], false))
                continue;
            of[count] = n;
            candidates[count++] = (struct score_candidate){.node = &nodes[n]};
        }
        score_rank(packer, &pod, candidates, count);
        for (size_t n = 0; n < count; n++) {
            if (candidates[n].score != (of[n] == cases[i].best ? SCORE_BEST : 0))
                fail_msg("case %zu: node %s has %d", i, names[of[n]], candidates[n].score);
        }
    }
    packer_free(packer);
}

static void equal_nodes_are_told_apart_by_name(void **state)
{
    struct extender_fixture *f = *state;
    struct node a = extender_node(f, "a", "", "'nvidia.com/gpu':'8'", "");
    struct node b = extender_node(f, "b", "", "'nvidia.com/gpu':'8'", "");
    struct packer *packer = extender_packer(f, PACK_BESTFIT, &a, 1);
    struct pod pod = extender_pod(f, "'nvidia.com/gpu':'1'", "", "");
    struct score_candidate one[] = {{.node = &a}, {.node = &b}};
    struct score_candidate other[] = {{.node = &b}, {.node = &a}};
    score_rank(packer, &pod, one, 2);
    score_rank(packer, &pod, other, 2);
    assert_int_equal(one[0].score, SCORE_BEST);
    assert_int_equal(one[1].score, 0);
    assert_int_equal(other[0].score, 0);
    assert_int_equal(other[1].score, SCORE_BEST);
    /* The node that is fuller already. */
    b.load.amounts.of[RESOURCE_INDEX_GPUS] = 7;
    score_rank(packer, &pod, one, 2);
    assert_int_equal(one[1].score, SCORE_BEST);
    packer_free(packer);
}

static void mig_instances_are_taken_where_the_fewest_are_left(void **state)
{
    struct extender_fixture *f = *state;
    struct node a = extender_node(f, "a", "", "'nvidia.com/mig-1g.5gb':'7'", "");
    struct node b = extender_node(f, "b", "", "'nvidia.com/mig-1g.5gb':'7'", "");
    struct packer *packer = extender_packer(f, PACK_RSP, &a, 1);
    static const struct {
        const char *annotations;
        int64_t taken;
        size_t best;
    } cases[] = {{"", 0, 0}, {"", 3, 1}, {"'callboard.dev/packing':'Spread'", 3, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pod pod = extender_pod(f, "'nvidia.com/mig-1g.5gb':'1'", cases[i].annotations, "");
        b.load.mig = (struct mig_list){0};
        mig_add(&b.load.mig, "1g.5gb", cases[i].taken);
        struct score_candidate both[] = {{.node = &a}, {.node = &b}};
        score_rank(packer, &pod, both, 2);
        assert_int_equal(both[cases[i].best].score, SCORE_BEST);
        assert_int_equal(both[1 - cases[i].best].score, 0);
    }
    packer_free(packer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_use_is_between_60_and_85_per_cent),
        cmocka_unit_test(a_pod_without_gpus_is_kept_off_nodes_with_them),
        cmocka_unit_test(one_node_stands_above_the_others_for_a_pod_with_gpus),
        cmocka_unit_test(equal_nodes_are_told_apart_by_name),
        cmocka_unit_test(mig_instances_are_taken_where_the_fewest_are_left),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
