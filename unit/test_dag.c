/* Graphs of steps. */
#include "unit/support.h"

#include "policy/dag.h"

#include <stdlib.h>

enum { STEPS_MAX = 12, EDGES_MAX = 40 };

static void arena_start(struct arena *arena)
{
    arena_init(arena, mem_system(), 1 << 16, 1 << 30);
}

static struct dag build(struct arena *arena, uint32_t count, const struct dag_edge *edges,
                        size_t edge_count)
{
    struct dag dag;
    assert_true(dag_build(arena, count, edges, (uint32_t)edge_count, &dag));
    return dag;
}

/* ---- What the slow and plain way finds ---- */

struct oracle {
    uint32_t count;
    bool edge[STEPS_MAX][STEPS_MAX];
    /* The least number of edges from one step to another, 0 when there is no way. */
    unsigned distance[STEPS_MAX][STEPS_MAX];
};

static void oracle_fill(struct oracle *oracle, uint32_t count, const struct dag_edge *edges,
                        size_t edge_count)
{
    *oracle = (struct oracle){.count = count};
    for (size_t e = 0; e < edge_count; e++) {
        oracle->edge[edges[e].from][edges[e].to] = true;
        oracle->distance[edges[e].from][edges[e].to] = 1;
    }
    for (uint32_t k = 0; k < count; k++) {
        for (uint32_t i = 0; i < count; i++) {
            for (uint32_t j = 0; j < count; j++) {
                unsigned first = oracle->distance[i][k], second = oracle->distance[k][j];
                unsigned *known = &oracle->distance[i][j];
                if (first && second && (*known == 0 || first + second < *known))
                    *known = first + second;
            }
        }
    }
}

static bool is_same_component(const struct oracle *oracle, uint32_t a, uint32_t b)
{
    return a == b || (oracle->distance[a][b] > 0 && oracle->distance[b][a] > 0);
}

/* The lowest step of the cyclic component after the one whose lowest step is `before`. */
static uint32_t next_cyclic_component(const struct oracle *oracle, uint32_t from)
{
    for (uint32_t step = from; step < oracle->count; step++) {
        bool is_lowest = oracle->distance[step][step] > 0;
        for (uint32_t other = 0; other < step; other++)
            is_lowest = is_lowest && !is_same_component(oracle, step, other);
        if (is_lowest)
            return step;
    }
    return oracle->count;
}

static unsigned shortest_cycle(const struct oracle *oracle, uint32_t component)
{
    unsigned shortest = 0;
    for (uint32_t step = 0; step < oracle->count; step++) {
        unsigned len = oracle->distance[step][step];
        if (is_same_component(oracle, step, component) && len && (!shortest || len < shortest))
            shortest = len;
    }
    return shortest;
}

/* ---- Checks ---- */

static bool has_edge(const struct dag *dag, uint32_t from, uint32_t to)
{
    for (const uint32_t *t = dag_begin(dag, from); t < dag_end(dag, from); t++) {
        if (*t == to)
            return true;
    }
    return false;
}

/* A cycle of the graph: along edges, through no step twice, from its lowest step. */
static void assert_is_cycle(const struct dag *dag, const struct dag_cycle *cycle)
{
    assert_true(cycle->count > 0);
    bool *seen = calloc(dag->count, 1);
    for (uint32_t i = 0; i < cycle->count; i++) {
        uint32_t step = cycle->steps[i];
        assert_true(step < dag->count);
        assert_true(step >= cycle->steps[0]);
        assert_false(seen[step]);
        seen[step] = true;
        assert_true(has_edge(dag, step, cycle->steps[(i + 1) % cycle->count]));
    }
    free(seen);
}

static void check_cycles(const struct oracle *oracle, const struct dag *dag,
                         const struct dag_cycles *cycles)
{
    uint32_t found = 0;
    uint32_t component = next_cyclic_component(oracle, 0);
    for (; component < oracle->count; component = next_cyclic_component(oracle, component + 1)) {
        if (found < DAG_CYCLES_MAX) {
            const struct dag_cycle *cycle = &cycles->cycles[found];
            assert_is_cycle(dag, cycle);
            assert_true(is_same_component(oracle, component, cycle->steps[0]));
            assert_int_equal(cycle->count, shortest_cycle(oracle, component));
        }
        found++;
    }
    assert_int_equal(cycles->component_count, found);
    assert_int_equal(cycles->count, found < DAG_CYCLES_MAX ? found : DAG_CYCLES_MAX);
}

/* The order is the one that picking the lowest step that is ready gives. */
static void check_order(const struct oracle *oracle, const uint32_t *order, uint32_t ordered)
{
    bool done[STEPS_MAX] = {false};
    for (uint32_t i = 0;; i++) {
        uint32_t lowest = oracle->count;
        for (uint32_t step = oracle->count; step-- > 0;) {
            bool ready = !done[step];
            for (uint32_t other = 0; other < oracle->count; other++)
                ready = ready && (!oracle->edge[step][other] || done[other]);
            if (ready)
                lowest = step;
        }
        if (lowest == oracle->count) {
            assert_int_equal(ordered, i);
            return;
        }
        assert_true(i < ordered);
        assert_int_equal(order[i], lowest);
        done[lowest] = true;
    }
}

static void check_ancestors(const struct oracle *oracle, const struct dag_ancestors *ancestors,
                            const uint32_t *order, uint32_t ordered)
{
    for (uint32_t i = 0; i < ordered; i++) {
        for (uint32_t other = 0; other < oracle->count; other++)
            assert_int_equal(dag_is_ancestor(ancestors, order[i], other),
                             oracle->distance[order[i]][other] > 0);
    }
}

/* Also in graphs with cycles, whatever is asked for first. */
static void check_search(struct arena *arena, const struct oracle *oracle, const struct dag *dag)
{
    struct dag_search search;
    assert_true(dag_search_init(&search, arena, dag));
    for (int round = 0; round < 2; round++) {
        for (uint32_t step = oracle->count; step-- > 0;) {
            for (uint32_t other = 0; other < oracle->count; other++)
                assert_int_equal(dag_search_is_ancestor(&search, step, other),
                                 oracle->distance[step][other] > 0);
        }
    }
}

static void check_reverse(const struct dag *dag, const struct dag *reversed)
{
    assert_int_equal(reversed->count, dag->count);
    assert_int_equal(reversed->edge_count, dag->edge_count);
    for (uint32_t step = 0; step < dag->count; step++) {
        for (const uint32_t *t = dag_begin(dag, step); t < dag_end(dag, step); t++)
            assert_true(has_edge(reversed, *t, step));
        for (const uint32_t *t = dag_begin(reversed, step); t < dag_end(reversed, step); t++) {
            assert_true(has_edge(dag, *t, step));
            assert_true(t == dag_begin(reversed, step) || t[-1] <= t[0]);
        }
    }
}

static void check_all(struct arena *arena, uint32_t count, const struct dag_edge *edges,
                      size_t edge_count)
{
    struct oracle oracle;
    oracle_fill(&oracle, count, edges, edge_count);
    struct dag dag = build(arena, count, edges, edge_count), reversed;
    struct dag_cycles cycles;
    assert_true(dag_cycles(arena, &dag, &cycles));
    check_cycles(&oracle, &dag, &cycles);
    assert_true(dag_reverse(arena, &dag, &reversed));
    check_reverse(&dag, &reversed);
    uint32_t order[STEPS_MAX], ordered;
    assert_true(dag_order(arena, &dag, order, &ordered));
    check_order(&oracle, order, ordered);
    assert_int_equal(ordered == count, cycles.count == 0);
    struct dag_ancestors ancestors;
    assert_true(dag_ancestors(arena, &dag, order, ordered, &ancestors));
    check_ancestors(&oracle, &ancestors, order, ordered);
    check_search(arena, &oracle, &dag);
}

/* ---- Tests ---- */

static void every_random_graph_is_judged_as_the_plain_way_does(void **state)
{
    (void)state;
    struct random_seeded seeded;
    random_seeded_init(&seeded, TEST_SEED);
    const struct random *random = &seeded.random;
    struct arena arena;
    arena_start(&arena);
    for (int round = 0; round < 20000; round++) {
        uint32_t count = 1 + (uint32_t)random_below(random, STEPS_MAX);
        struct dag_edge edges[EDGES_MAX];
        /* Sparse graphs have several components, dense ones few and woven. */
        size_t edge_count = random_below(random, 1 + random_below(random, EDGES_MAX));
        for (size_t e = 0; e < edge_count; e++)
            edges[e] = (struct dag_edge){(uint32_t)random_below(random, count),
                                         (uint32_t)random_below(random, count)};
        check_all(&arena, count, edges, edge_count);
        arena_reset(&arena);
    }
    arena_done(&arena);
}

/* All graphs of three steps: 512 of them. */
static void every_graph_of_three_steps_is_judged_as_the_plain_way_does(void **state)
{
    (void)state;
    struct arena arena;
    arena_start(&arena);
    for (unsigned mask = 0; mask < 512; mask++) {
        struct dag_edge edges[9];
        size_t edge_count = 0;
        for (uint32_t bit = 0; bit < 9; bit++) {
            if (mask >> bit & 1)
                edges[edge_count++] = (struct dag_edge){bit / 3, bit % 3};
        }
        check_all(&arena, 3, edges, edge_count);
        arena_reset(&arena);
    }
    arena_done(&arena);
}

static void the_edges_of_a_step_keep_their_order(void **state)
{
    (void)state;
    struct arena arena;
    arena_start(&arena);
    const struct dag_edge edges[] = {{1, 3}, {0, 2}, {1, 0}, {0, 1}, {1, 3}};
    struct dag dag = build(&arena, 4, edges, 5);
    const uint32_t offsets[] = {0, 2, 5, 5, 5}, targets[] = {2, 1, 3, 0, 3};
    assert_memory_equal(dag.offsets, offsets, sizeof(offsets));
    assert_memory_equal(dag.targets, targets, sizeof(targets));
    arena_done(&arena);
}

static void assert_cycle(const struct dag_cycle *cycle, const uint32_t *steps, uint32_t count)
{
    assert_int_equal(cycle->count, count);
    assert_memory_equal(cycle->steps, steps, count * sizeof(*steps));
}

static void a_cycle_follows_the_dependencies_from_its_lowest_step(void **state)
{
    (void)state;
    struct arena arena;
    arena_start(&arena);
    const struct dag_edge edges[] = {{4, 2}, {2, 1}, {1, 3}, {3, 4}, {0, 1}, {4, 5}};
    struct dag dag = build(&arena, 6, edges, 6);
    struct dag_cycles cycles;
    assert_true(dag_cycles(&arena, &dag, &cycles));
    assert_int_equal(cycles.count, 1);
    const uint32_t steps[] = {1, 3, 4, 2};
    assert_cycle(&cycles.cycles[0], steps, 4);
    arena_done(&arena);
}

static void a_step_that_depends_on_itself_is_the_shortest_cycle_of_its_component(void **state)
{
    (void)state;
    struct arena arena;
    arena_start(&arena);
    const struct dag_edge edges[] = {{0, 1}, {1, 2}, {2, 0}, {2, 2}, {3, 3}};
    struct dag dag = build(&arena, 4, edges, 5);
    struct dag_cycles cycles;
    assert_true(dag_cycles(&arena, &dag, &cycles));
    assert_int_equal(cycles.count, 2);
    assert_cycle(&cycles.cycles[0], (const uint32_t[]){2}, 1);
    assert_cycle(&cycles.cycles[1], (const uint32_t[]){3}, 1);
    arena_done(&arena);
}

static void more_than_ten_components_are_counted_and_the_first_ten_shown(void **state)
{
    (void)state;
    enum { PAIRS = 40 };
    struct arena arena;
    arena_start(&arena);
    struct dag_edge edges[2 * PAIRS];
    /* Step i and step 79 - i depend on each other; the highest pairs are given first. */
    for (uint32_t i = 0; i < PAIRS; i++) {
        uint32_t low = PAIRS - 1 - i, high = 2 * PAIRS - 1 - low;
        edges[2 * i] = (struct dag_edge){high, low};
        edges[2 * i + 1] = (struct dag_edge){low, high};
    }
    struct dag dag = build(&arena, 2 * PAIRS, edges, 2 * PAIRS);
    struct dag_cycles cycles;
    assert_true(dag_cycles(&arena, &dag, &cycles));
    assert_int_equal(cycles.count, DAG_CYCLES_MAX);
    assert_int_equal(cycles.component_count, PAIRS);
    for (uint32_t i = 0; i < DAG_CYCLES_MAX; i++)
        assert_cycle(&cycles.cycles[i], (const uint32_t[]){i, 2 * PAIRS - 1 - i}, 2);
    arena_done(&arena);
}

static void a_graph_without_steps_is_no_trouble(void **state)
{
    (void)state;
    struct arena arena;
    arena_start(&arena);
    struct dag dag = build(&arena, 0, NULL, 0);
    struct dag_cycles cycles;
    assert_true(dag_cycles(&arena, &dag, &cycles));
    assert_int_equal(cycles.count, 0);
    uint32_t ordered = 7;
    assert_true(dag_order(&arena, &dag, NULL, &ordered));
    assert_int_equal(ordered, 0);
    struct dag_ancestors ancestors;
    assert_true(dag_ancestors(&arena, &dag, NULL, 0, &ancestors));
    assert_int_equal(dag_ancestors_size(0), 0);
    arena_done(&arena);
}

/* A chain in the order in which a search goes deepest: each step depends on the next. */
static void a_chain_of_20000_steps_is_judged_without_a_deep_stack(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    struct arena arena;
    arena_start(&arena);
    struct dag_edge *edges = calloc(COUNT, sizeof(*edges));
    for (uint32_t i = 0; i + 1 < COUNT; i++)
        edges[i] = (struct dag_edge){i, i + 1};
    struct dag dag = build(&arena, COUNT, edges, COUNT - 1);
    struct dag_cycles cycles;
    assert_true(dag_cycles(&arena, &dag, &cycles));
    assert_int_equal(cycles.component_count, 0);
    uint32_t *order = calloc(COUNT, sizeof(*order)), ordered;
    assert_true(dag_order(&arena, &dag, order, &ordered));
    assert_int_equal(ordered, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(order[i], COUNT - 1 - i);
    /* The last one closes it. */
    edges[COUNT - 1] = (struct dag_edge){COUNT - 1, 0};
    dag = build(&arena, COUNT, edges, COUNT);
    assert_true(dag_cycles(&arena, &dag, &cycles));
    assert_int_equal(cycles.count, 1);
    assert_int_equal(cycles.cycles[0].count, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(cycles.cycles[0].steps[i], i);
    assert_true(dag_order(&arena, &dag, order, &ordered));
    assert_int_equal(ordered, 0);
    free(order);
    free(edges);
    arena_done(&arena);
}

/* 48 steps in 24 layers of two, each on both of the layer before: 2^23 paths, which a search
 * without marks would follow one by one. */
static void layers_with_many_paths_take_no_longer_than_others(void **state)
{
    (void)state;
    struct arena arena;
    arena_start(&arena);
    struct dag_edge edges[93];
    uint32_t edge_count = 0;
    for (uint32_t step = 2; step < 48; step++) {
        edges[edge_count++] = (struct dag_edge){step, step / 2 * 2 - 2};
        edges[edge_count++] = (struct dag_edge){step, step / 2 * 2 - 1};
    }
    assert_int_equal(edge_count, 92);
    struct dag dag = build(&arena, 48, edges, edge_count);
    struct dag_cycles cycles;
    assert_true(dag_cycles(&arena, &dag, &cycles));
    assert_int_equal(cycles.count, 0);
    uint32_t order[48], ordered;
    assert_true(dag_order(&arena, &dag, order, &ordered));
    for (uint32_t i = 0; i < 48; i++)
        assert_int_equal(order[i], i);
    struct dag_ancestors ancestors;
    assert_true(dag_ancestors(&arena, &dag, order, ordered, &ancestors));
    for (uint32_t i = 0; i < 48; i++) {
        for (uint32_t j = 0; j < 48; j++)
            assert_int_equal(dag_is_ancestor(&ancestors, i, j), j / 2 < i / 2);
    }
    edges[edge_count++] = (struct dag_edge){0, 47};
    dag = build(&arena, 48, edges, edge_count);
    assert_true(dag_cycles(&arena, &dag, &cycles));
    assert_int_equal(cycles.count, 1);
    assert_is_cycle(&dag, &cycles.cycles[0]);
    assert_int_equal(cycles.cycles[0].count, 24);
    arena_done(&arena);
}

/* Every step on every lower one. */
static void a_dense_graph_of_2000_steps_has_its_order_and_all_ancestors(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    struct arena arena;
    arena_start(&arena);
    struct dag_edge *edges = calloc((size_t)COUNT * COUNT / 2, sizeof(*edges));
    uint32_t edge_count = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        for (uint32_t j = 0; j < i; j++)
            edges[edge_count++] = (struct dag_edge){i, j};
    }
    struct dag dag = build(&arena, COUNT, edges, edge_count);
    struct dag_cycles cycles;
    assert_true(dag_cycles(&arena, &dag, &cycles));
    assert_int_equal(cycles.count, 0);
    uint32_t *order = calloc(COUNT, sizeof(*order)), ordered;
    assert_true(dag_order(&arena, &dag, order, &ordered));
    assert_int_equal(ordered, COUNT);
    struct dag_ancestors ancestors;
    assert_true(dag_ancestors(&arena, &dag, order, ordered, &ancestors));
    for (uint32_t i = 0; i < COUNT; i += 7) {
        assert_int_equal(order[i], i);
        for (uint32_t j = 0; j < COUNT; j++)
            assert_int_equal(dag_is_ancestor(&ancestors, i, j), j < i);
    }
    /* Now the two ends: all is one component, but the shortest cycle has two steps. */
    edges[edge_count++] = (struct dag_edge){0, COUNT - 1};
    dag = build(&arena, COUNT, edges, edge_count);
    assert_true(dag_cycles(&arena, &dag, &cycles));
    assert_int_equal(cycles.count, 1);
    assert_cycle(&cycles.cycles[0], (const uint32_t[]){0, COUNT - 1}, 2);
    free(order);
    free(edges);
    arena_done(&arena);
}

/* 100,000 edges, all from higher to lower steps. */
static uint32_t fill_large(struct dag_edge *edges, uint32_t count, uint32_t edge_count)
{
    struct random_seeded seeded;
    random_seeded_init(&seeded, TEST_SEED);
    for (uint32_t e = 0; e < edge_count; e++) {
        uint32_t from = 1 + (uint32_t)random_below(&seeded.random, count - 1);
        edges[e] = (struct dag_edge){from, (uint32_t)random_below(&seeded.random, from)};
    }
    return edge_count;
}

static void one_wrong_edge_among_100000_gives_the_shortest_cycle(void **state)
{
    (void)state;
    enum { COUNT = 10000, EDGES = 100000 };
    struct arena arena;
    arena_start(&arena);
    struct dag_edge *edges = calloc(EDGES + 2, sizeof(*edges));
    uint32_t edge_count = fill_large(edges, COUNT, EDGES);
    struct dag dag = build(&arena, COUNT, edges, edge_count);
    struct dag_cycles cycles;
    assert_true(dag_cycles(&arena, &dag, &cycles));
    assert_int_equal(cycles.component_count, 0);

    /* There are ways of many lengths from the last step to the first. */
    edges[edge_count++] = (struct dag_edge){COUNT - 1, 5000};
    edges[edge_count++] = (struct dag_edge){0, COUNT - 1};
    dag = build(&arena, COUNT, edges, edge_count);
    assert_true(dag_cycles(&arena, &dag, &cycles));
    assert_int_equal(cycles.count, 1);
    assert_is_cycle(&dag, &cycles.cycles[0]);
    assert_int_equal(cycles.cycles[0].steps[0], 0);
    assert_int_equal(cycles.cycles[0].steps[1], COUNT - 1);

    /* The shortest way down, by plain breadth-first layers from the last step. */
    uint32_t *distance = calloc(COUNT, sizeof(*distance));
    distance[COUNT - 1] = 1;
    for (uint32_t step = COUNT; step-- > 0;) {
        for (const uint32_t *t = dag_begin(&dag, step); step > 0 && t < dag_end(&dag, step); t++) {
            if (distance[step] && (!distance[*t] || distance[step] + 1 < distance[*t]))
                distance[*t] = distance[step] + 1;
        }
    }
    assert_int_equal(cycles.cycles[0].count, distance[0]);
    free(distance);
    free(edges);
    arena_done(&arena);
}

/* Random edges in all directions: one component of nearly all steps, with thousands of places
 * where a search meets its own path, so that the bound on the work is reached. */
static void a_component_too_large_to_search_whole_still_gives_a_short_cycle(void **state)
{
    (void)state;
    enum { COUNT = 10000, EDGES = 100000 };
    struct arena arena;
    arena_start(&arena);
    struct random_seeded seeded;
    random_seeded_init(&seeded, TEST_SEED);
    struct dag_edge *edges = calloc(EDGES, sizeof(*edges));
    for (uint32_t e = 0; e < EDGES; e++) {
        uint32_t from = (uint32_t)random_below(&seeded.random, COUNT);
        /* At most a third of the way round, so that no cycle is shorter than four. */
        uint32_t leap = 1 + (uint32_t)random_below(&seeded.random, COUNT / 3);
        edges[e] = (struct dag_edge){from, (from + leap) % COUNT};
    }
    struct dag dag = build(&arena, COUNT, edges, EDGES);
    struct dag_cycles cycles, again;
    assert_true(dag_cycles(&arena, &dag, &cycles));
    assert_int_equal(cycles.count, 1);
    assert_is_cycle(&dag, &cycles.cycles[0]);
    assert_in_range(cycles.cycles[0].count, 4, 6);
    assert_true(dag_cycles(&arena, &dag, &again));
    assert_cycle(&again.cycles[0], cycles.cycles[0].steps, cycles.cycles[0].count);
    free(edges);
    arena_done(&arena);
}

static bool do_all_in(const struct mem *mem, void *ctx)
{
    (void)ctx;
    struct arena arena;
    arena_init(&arena, mem, 64, 1 << 20);
    const struct dag_edge edges[] = {{0, 1}, {1, 2}, {2, 0}, {3, 2}, {5, 4}, {4, 5}, {6, 7}};
    struct dag dag, reversed;
    struct dag_cycles cycles;
    struct dag_ancestors ancestors;
    struct dag_search search;
    uint32_t order[8], ordered;
    bool succeeded = dag_build(&arena, 8, edges, 7, &dag) && dag_cycles(&arena, &dag, &cycles) &&
                     dag_reverse(&arena, &dag, &reversed) &&
                     dag_order(&arena, &dag, order, &ordered) &&
                     dag_ancestors(&arena, &dag, order, ordered, &ancestors) &&
                     dag_search_init(&search, &arena, &dag);
    if (succeeded) {
        assert_int_equal(cycles.count, 2);
        assert_int_equal(ordered, 2);
        assert_true(dag_is_ancestor(&ancestors, 6, 7));
    }
    arena_done(&arena);
    return succeeded;
}

static void without_memory_every_function_says_so(void **state)
{
    (void)state;
    test_every_allocation_failing(do_all_in, NULL);
}

static void the_size_of_the_ancestors_is_known_beforehand(void **state)
{
    (void)state;
    assert_int_equal(dag_ancestors_size(1), 8);
    assert_int_equal(dag_ancestors_size(64), 64 * 8);
    assert_int_equal(dag_ancestors_size(65), 65 * 16);
    assert_int_equal(dag_ancestors_size(20000), 20000 * 313 * 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_graph_of_three_steps_is_judged_as_the_plain_way_does),
        cmocka_unit_test(every_random_graph_is_judged_as_the_plain_way_does),
        cmocka_unit_test(the_edges_of_a_step_keep_their_order),
        cmocka_unit_test(a_cycle_follows_the_dependencies_from_its_lowest_step),
        cmocka_unit_test(a_step_that_depends_on_itself_is_the_shortest_cycle_of_its_component),
        cmocka_unit_test(more_than_ten_components_are_counted_and_the_first_ten_shown),
        cmocka_unit_test(a_graph_without_steps_is_no_trouble),
        cmocka_unit_test(a_chain_of_20000_steps_is_judged_without_a_deep_stack),
        cmocka_unit_test(layers_with_many_paths_take_no_longer_than_others),
        cmocka_unit_test(a_dense_graph_of_2000_steps_has_its_order_and_all_ancestors),
        cmocka_unit_test(one_wrong_edge_among_100000_gives_the_shortest_cycle),
        cmocka_unit_test(a_component_too_large_to_search_whole_still_gives_a_short_cycle),
        cmocka_unit_test(without_memory_every_function_says_so),
        cmocka_unit_test(the_size_of_the_ancestors_is_known_beforehand),
    };
    return cmocka_run_group_tests_name("dag", tests, NULL, NULL);
}
