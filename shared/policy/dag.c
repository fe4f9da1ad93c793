/* Graphs of steps: building, cycles, order, ancestors. */
#include "policy/dag.h"

#include <assert.h>

/* ---- Building ---- */

/*
 * Both ways of building sort by counting: `offsets` first holds the number of edges of each step,
 * then the end of its part, and each edge that is put moves that end one down, until it is the
 * part's begin.
 */
static void counts_to_ends(uint32_t *offsets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        offsets[i + 1] += offsets[i];
}

static bool take_graph(struct arena *arena, uint32_t count, uint32_t edge_count,
                       uint32_t **ret_offsets, uint32_t **ret_targets)
{
    *ret_offsets = ARENA_NEW_ARRAY(arena, uint32_t, (size_t)count + 1);
    *ret_targets = ARENA_NEW_ARRAY(arena, uint32_t, edge_count);
    return *ret_offsets && *ret_targets;
}

bool dag_build(struct arena *arena, uint32_t count, const struct dag_edge *edges,
               uint32_t edge_count, struct dag *ret)
{
    uint32_t *offsets, *targets;
    if (!take_graph(arena, count, edge_count, &offsets, &targets))
        return false;
    for (uint32_t e = 0; e < edge_count; e++) {
        assert(edges[e].from < count && edges[e].to < count);
        offsets[edges[e].from]++;
    }
    counts_to_ends(offsets, count);
    for (uint32_t e = edge_count; e-- > 0;)
        targets[--offsets[edges[e].from]] = edges[e].to;
    *ret = (struct dag){count, edge_count, offsets, targets};
    return true;
}

bool dag_reverse(struct arena *arena, const struct dag *dag, struct dag *ret)
{
    uint32_t *offsets, *targets;
    if (!take_graph(arena, dag->count, dag->edge_count, &offsets, &targets))
        return false;
    for (uint32_t e = 0; e < dag->edge_count; e++)
        offsets[dag->targets[e]]++;
    counts_to_ends(offsets, dag->count);
    for (uint32_t step = dag->count; step-- > 0;) {
        for (uint32_t e = dag->offsets[step + 1]; e-- > dag->offsets[step];)
            targets[--offsets[dag->targets[e]]] = step;
    }
    *ret = (struct dag){dag->count, dag->edge_count, offsets, targets};
    return true;
}

/* ---- Strongly connected components ---- */

/*
 * Tarjan's search with its recursion laid out: `path` is what would be the stack of calls, next[v]
 * the edge at which step v goes on.
 */
struct search {
    const struct dag *dag;
    uint32_t *path, path_len;
    uint32_t *next;
    uint32_t *open, open_len; /* found, in no component yet */
    uint32_t *number;         /* order of being found, from 1; 0: not yet */
    uint32_t *low;            /* the lowest number that can be reached among the open steps */
    uint32_t *component;      /* from 1; 0: none yet */
    uint32_t component_count;
    bool *on_path;
    bool *met_again; /* found by an edge while it was on the path */
    bool *is_cyclic; /* of a component */
};

static bool search_init(struct search *search, struct arena *arena, const struct dag *dag)
{
    *search = (struct search){
        .dag = dag,
        .path = ARENA_NEW_ARRAY(arena, uint32_t, dag->count),
        .next = ARENA_NEW_ARRAY(arena, uint32_t, dag->count),
        .open = ARENA_NEW_ARRAY(arena, uint32_t, dag->count),
        .number = ARENA_NEW_ARRAY(arena, uint32_t, dag->count),
        .low = ARENA_NEW_ARRAY(arena, uint32_t, dag->count),
        .component = ARENA_NEW_ARRAY(arena, uint32_t, dag->count),
        .on_path = ARENA_NEW_ARRAY(arena, bool, dag->count),
        .met_again = ARENA_NEW_ARRAY(arena, bool, dag->count),
        .is_cyclic = ARENA_NEW_ARRAY(arena, bool, (size_t)dag->count + 1),
    };
    return search->path && search->next && search->open && search->number && search->low &&
           search->component && search->on_path && search->met_again && search->is_cyclic;
}

static void search_enter(struct search *search, uint32_t step, uint32_t number)
{
    search->number[step] = search->low[step] = number;
    search->next[step] = search->dag->offsets[step];
    search->on_path[step] = true;
    search->path[search->path_len++] = step;
    search->open[search->open_len++] = step;
}

/* All that `step` leads to has been seen: when nothing leads further back than to itself, it and
 * what is open above it are a component. */
static void search_leave(struct search *search, uint32_t step)
{
    search->path_len--;
    search->on_path[step] = false;
    if (search->path_len > 0) {
        uint32_t above = search->path[search->path_len - 1];
        if (search->low[step] < search->low[above])
            search->low[above] = search->low[step];
    }
    if (search->low[step] != search->number[step])
        return;
    uint32_t id = ++search->component_count;
    search->is_cyclic[id] = search->open[search->open_len - 1] != step || search->met_again[step];
    uint32_t member;
    do {
        member = search->open[--search->open_len];
        search->component[member] = id;
    } while (member != step);
}

static void search_from(struct search *search, uint32_t root, uint32_t *last_number)
{
    const struct dag *dag = search->dag;
    search_enter(search, root, ++*last_number);
    while (search->path_len > 0) {
        uint32_t step = search->path[search->path_len - 1];
        if (search->next[step] == dag->offsets[step + 1]) {
            search_leave(search, step);
            continue;
        }
        uint32_t target = dag->targets[search->next[step]++];
        if (search->number[target] == 0) {
            search_enter(search, target, ++*last_number);
        } else if (search->component[target] == 0) {
            if (search->number[target] < search->low[step])
                search->low[step] = search->number[target];
            if (search->on_path[target])
                search->met_again[target] = true;
        }
    }
}

/* ---- The shortest cycle of a component ---- */

/* Edges that the searches of one call may follow beyond the first search of each component: some
 * milliseconds. Components of a few hundred steps stay far below. */
enum { FOLLOW_MAX = 1 << 20 };

struct hunt {
    const struct search *search;
    uint32_t *queue;
    uint32_t *seen_in; /* the number of the round in which a step was last seen */
    uint32_t *distance, *before;
    uint32_t round;
    uint32_t *best, best_len; /* 0: no cycle yet */
};

static bool hunt_init(struct hunt *hunt, struct arena *arena, const struct search *search)
{
    uint32_t count = search->dag->count;
    *hunt = (struct hunt){
        .search = search,
        .queue = ARENA_NEW_ARRAY(arena, uint32_t, count),
        .seen_in = ARENA_NEW_ARRAY(arena, uint32_t, count),
        .distance = ARENA_NEW_ARRAY(arena, uint32_t, count),
        .before = ARENA_NEW_ARRAY(arena, uint32_t, count),
        .best = ARENA_NEW_ARRAY(arena, uint32_t, count),
    };
    return hunt->queue && hunt->seen_in && hunt->distance && hunt->before && hunt->best;
}

static void hunt_keep(struct hunt *hunt, uint32_t last)
{
    hunt->best_len = hunt->distance[last] + 1;
    for (uint32_t i = hunt->best_len; i-- > 0; last = hunt->before[last])
        hunt->best[i] = last;
}

static void hunt_see(struct hunt *hunt, uint32_t step, uint32_t distance, uint32_t before)
{
    hunt->seen_in[step] = hunt->round;
    hunt->distance[step] = distance;
    hunt->before[step] = before;
}

/* The shortest cycle through `start`, kept when it is shorter than what there was. Follows at most
 * `follow_max` edges once there is one; returns how many it followed. */
static uint64_t hunt_from(struct hunt *hunt, uint32_t start, uint64_t follow_max)
{
    const struct dag *dag = hunt->search->dag;
    const uint32_t *component = hunt->search->component;
    uint64_t followed = 0;
    uint32_t head = 0, tail = 0;
    hunt->round++;
    hunt_see(hunt, start, 0, start);
    hunt->queue[tail++] = start;
    while (head < tail) {
        uint32_t step = hunt->queue[head++];
        if (hunt->best_len > 0 &&
            (hunt->distance[step] + 1 >= hunt->best_len || followed >= follow_max))
            break;
        for (const uint32_t *t = dag_begin(dag, step); t < dag_end(dag, step); t++) {
            followed++;
            if (*t == start) {
                hunt_keep(hunt, step);
                return followed;
            }
            if (component[*t] == component[start] && hunt->seen_in[*t] != hunt->round) {
                hunt_see(hunt, *t, hunt->distance[step] + 1, step);
                hunt->queue[tail++] = *t;
            }
        }
    }
    return followed;
}

/* Leaves the cycle in `best`. Returns how many edges were followed. */
static uint64_t hunt_component(struct hunt *hunt, uint32_t id, uint64_t follow_max)
{
    const struct search *search = hunt->search;
    uint64_t followed = 0;
    hunt->best_len = 0;
    for (uint32_t step = 0; step < search->dag->count; step++) {
        if (search->component[step] != id || !search->met_again[step])
            continue;
        followed += hunt_from(hunt, step, follow_max - followed);
        if (hunt->best_len == 1 || followed >= follow_max)
            break;
    }
    return followed < follow_max ? followed : follow_max;
}

/* A copy that begins with its lowest step. */
static bool hunt_take(const struct hunt *hunt, struct arena *arena, struct dag_cycle *ret)
{
    uint32_t *steps = ARENA_NEW_ARRAY(arena, uint32_t, hunt->best_len);
    if (!steps)
        return false;
    uint32_t lowest = 0;
    for (uint32_t i = 1; i < hunt->best_len; i++) {
        if (hunt->best[i] < hunt->best[lowest])
            lowest = i;
    }
    for (uint32_t i = 0; i < hunt->best_len; i++)
        steps[i] = hunt->best[(lowest + i) % hunt->best_len];
    *ret = (struct dag_cycle){steps, hunt->best_len};
    return true;
}

/* The first cyclic components by their lowest steps, in `ids`; returns how many there are in all
 * and uses up the marks of is_cyclic. */
static uint32_t list_cyclic(struct search *search, uint32_t ids[static DAG_CYCLES_MAX])
{
    uint32_t count = 0;
    for (uint32_t step = 0; step < search->dag->count; step++) {
        uint32_t id = search->component[step];
        if (!search->is_cyclic[id])
            continue;
        search->is_cyclic[id] = false;
        if (count < DAG_CYCLES_MAX)
            ids[count] = id;
        count++;
    }
    return count;
}

bool dag_cycles(struct arena *arena, const struct dag *dag, struct dag_cycles *ret)
{
    struct search search;
    if (!search_init(&search, arena, dag))
        return false;
    uint32_t last_number = 0;
    for (uint32_t step = 0; step < dag->count; step++) {
        if (search.number[step] == 0)
            search_from(&search, step, &last_number);
    }
    uint32_t ids[DAG_CYCLES_MAX];
    struct dag_cycles cycles = {.component_count = list_cyclic(&search, ids)};
    uint32_t wanted =
        cycles.component_count < DAG_CYCLES_MAX ? cycles.component_count : DAG_CYCLES_MAX;
    struct hunt hunt;
    if (wanted > 0 && !hunt_init(&hunt, arena, &search))
        return false;
    /* What one component leaves of its share goes to the next ones. */
    for (uint64_t left = FOLLOW_MAX; cycles.count < wanted; cycles.count++) {
        left -= hunt_component(&hunt, ids[cycles.count], left / (wanted - cycles.count));
        if (!hunt_take(&hunt, arena, &cycles.cycles[cycles.count]))
            return false;
    }
    *ret = cycles;
    return true;
}

/* ---- Order ---- */

/* The lowest step is at [0], and none is above those at twice its place. */
struct heap {
    uint32_t *steps;
    uint32_t len;
};

static void heap_put(struct heap *heap, uint32_t step)
{
    uint32_t at = heap->len++;
    for (; at > 0 && heap->steps[(at - 1) / 2] > step; at = (at - 1) / 2)
        heap->steps[at] = heap->steps[(at - 1) / 2];
    heap->steps[at] = step;
}

static uint32_t heap_take(struct heap *heap)
{
    uint32_t lowest = heap->steps[0], step = heap->steps[--heap->len], at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < heap->len && heap->steps[child + 1] < heap->steps[child])
            child++;
        if (child >= heap->len || heap->steps[child] >= step)
            break;
        heap->steps[at] = heap->steps[child];
        at = child;
    }
    heap->steps[at] = step;
    return lowest;
}

bool dag_order(struct arena *arena, const struct dag *dag, uint32_t *order, uint32_t *ret_ordered)
{
    struct dag dependents;
    uint32_t *missing = ARENA_NEW_ARRAY(arena, uint32_t, dag->count);
    struct heap ready = {.steps = ARENA_NEW_ARRAY(arena, uint32_t, dag->count)};
    if (!missing || !ready.steps || !dag_reverse(arena, dag, &dependents))
        return false;
    for (uint32_t step = 0; step < dag->count; step++) {
        missing[step] = dag->offsets[step + 1] - dag->offsets[step];
        if (missing[step] == 0)
            heap_put(&ready, step);
    }
    uint32_t ordered = 0;
    while (ready.len > 0) {
        uint32_t step = heap_take(&ready);
        order[ordered++] = step;
        for (const uint32_t *t = dag_begin(&dependents, step); t < dag_end(&dependents, step);
             t++) {
            if (--missing[*t] == 0)
                heap_put(&ready, *t);
        }
    }
    *ret_ordered = ordered;
    return true;
}

/* ---- Ancestors ---- */

static size_t words_per_row(uint32_t count)
{
    return ((size_t)count + 63) / 64;
}

size_t dag_ancestors_size(uint32_t count)
{
    return words_per_row(count) * count * sizeof(uint64_t);
}

bool dag_ancestors(struct arena *arena, const struct dag *dag, const uint32_t *order,
                   uint32_t ordered, struct dag_ancestors *ret)
{
    size_t row_words = words_per_row(dag->count);
    uint64_t *words = arena_alloc(arena, dag_ancestors_size(dag->count));
    if (!words)
        return false;
    for (uint32_t i = 0; i < ordered; i++) {
        uint64_t *row = words + order[i] * row_words;
        for (const uint32_t *t = dag_begin(dag, order[i]); t < dag_end(dag, order[i]); t++) {
            const uint64_t *above = words + *t * row_words;
            for (size_t w = 0; w < row_words; w++)
                row[w] |= above[w];
            row[*t / 64] |= UINT64_C(1) << (*t % 64);
        }
    }
    *ret = (struct dag_ancestors){dag->count, row_words, words};
    return true;
}

bool dag_search_init(struct dag_search *search, struct arena *arena, const struct dag *dag)
{
    *search = (struct dag_search){
        .dag = dag,
        .marks = ARENA_NEW_ARRAY(arena, uint32_t, dag->count),
        .stack = ARENA_NEW_ARRAY(arena, uint32_t, dag->count),
    };
    return search->marks && search->stack;
}

static void mark_ancestors(struct dag_search *search, uint32_t step)
{
    uint32_t depth = 0;
    for (;;) {
        for (const uint32_t *t = dag_begin(search->dag, step); t < dag_end(search->dag, step);
             t++) {
            if (search->marks[*t] == search->searches)
                continue;
            search->marks[*t] = search->searches;
            search->stack[depth++] = *t;
        }
        if (depth == 0)
            return;
        step = search->stack[--depth];
    }
}

bool dag_search_is_ancestor(struct dag_search *search, uint32_t step, uint32_t ancestor)
{
    if (search->searches == 0 || search->step != step) {
        search->searches++;
        search->step = step;
        mark_ancestors(search, step);
    }
    return search->marks[ancestor] == search->searches;
}
