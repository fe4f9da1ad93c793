/*
 * A directed graph of steps: which step depends on which. Steps are numbers from 0 on, in the
 * order of the object, and all results are determined by that order.
 *
 * Built once from a list of edges; nothing here calls itself, so that a chain of 20,000 steps
 * needs no more of the C stack than one of two. All memory, scratch memory too, comes from the
 * arena, and a function that returns a bool is false only without memory.
 *
 *     offsets  ┌──┬──┬──┬──┐     targets  ┌──┬──┬──┐
 *              │ 0│ 2│ 2│ 3│              │ 1│ 2│ 0│     0 depends on 1 and 2, 1 on none, 2 on 0
 *              └──┴──┴──┴──┘              └──┴──┴──┘
 */
#ifndef POLICY_DAG_H
#define POLICY_DAG_H

#include "base/arena.h"

#include <stdint.h>

/* Step `from` depends on step `to`. */
struct dag_edge {
    uint32_t from;
    uint32_t to;
};

struct dag {
    uint32_t count; /* steps */
    uint32_t edge_count;
    const uint32_t *offsets; /* count + 1; those of step i are targets[offsets[i]] and so on */
    const uint32_t *targets; /* in the order of the edges; what was given twice is there twice */
};

/* Every edge must be between steps below `count`. */
bool dag_build(struct arena *arena, uint32_t count, const struct dag_edge *edges,
               uint32_t edge_count, struct dag *ret);

/* The same graph with every edge turned round: the dependents of each step, lowest first. */
bool dag_reverse(struct arena *arena, const struct dag *dag, struct dag *ret);

/* The targets of a step: for (const uint32_t *t = dag_begin(…); t < dag_end(…); t++). */
static inline const uint32_t *dag_begin(const struct dag *dag, uint32_t step)
{
    return dag->targets + dag->offsets[step];
}

static inline const uint32_t *dag_end(const struct dag *dag, uint32_t step)
{
    return dag->targets + dag->offsets[step + 1];
}

/* ---- Cycles ---- */

enum { DAG_CYCLES_MAX = 10 };

/* Each step depends on the next and the last on the first: [a, b, c] is a → b → c → a. Begins with
 * the lowest step. A step that depends on itself is a cycle of one. */
struct dag_cycle {
    const uint32_t *steps;
    uint32_t count;
};

struct dag_cycles {
    struct dag_cycle cycles[DAG_CYCLES_MAX]; /* in the order of their components' lowest steps */
    uint32_t count;
    uint32_t component_count; /* with a cycle; may be more than `count` */
};

/*
 * One cycle of each strongly connected component, in time linear in steps and edges: Tarjan's
 * algorithm, then breadth-first searches. Every cycle goes through a step that the depth-first
 * search met again on its own path, so a search from each of these finds a shortest cycle. Where
 * there are too many of them (components of thousands of steps, woven closely) the searches end at
 * a fixed amount of work, and the cycle is the shortest that was seen.
 */
bool dag_cycles(struct arena *arena, const struct dag *dag, struct dag_cycles *ret);

/* ---- Order and ancestors ---- */

/*
 * Steps so that each comes after all that it depends on, the lowest of those that could come next
 * first. `order` has room for `count` steps; *ret_ordered is how many could be ordered: fewer when
 * there is a cycle, for those on it and behind it are left out.
 */
bool dag_order(struct arena *arena, const struct dag *dag, uint32_t *order, uint32_t *ret_ordered);

/* A row of bits for each step: the steps that it depends on, directly or through others. */
struct dag_ancestors {
    uint32_t count;
    size_t row_words; /* 64-bit words of a row */
    const uint64_t *words;
};

/* Bytes that the rows of `count` steps take: 500 KB for 2,000, 12.5 MB for 10,000. The caller
 * decides whether its arena can bear that. */
size_t dag_ancestors_size(uint32_t count);

/* `order` and `ordered` are from dag_order(). A step that is not in it gets no ancestors. */
bool dag_ancestors(struct arena *arena, const struct dag *dag, const uint32_t *order,
                   uint32_t ordered, struct dag_ancestors *ret);

static inline bool dag_is_ancestor(const struct dag_ancestors *ancestors, uint32_t step,
                                   uint32_t ancestor)
{
    const uint64_t *row = ancestors->words + (size_t)step * ancestors->row_words;
    return row[ancestor / 64] >> (ancestor % 64) & 1;
}

/*
 * The same for graphs that are too large for such rows: the ancestors of one step at a time, found
 * by a search when the step is first asked about. Steps are to be asked about one after the other.
 */
struct dag_search {
    const struct dag *dag;
    uint32_t *marks; /* of each step: the number of the last search that met it */
    uint32_t *stack;
    uint32_t searches;
    uint32_t step; /* whose ancestors the last search has met */
};

/* `dag` must outlive the search. */
bool dag_search_init(struct dag_search *search, struct arena *arena, const struct dag *dag);

bool dag_search_is_ancestor(struct dag_search *search, uint32_t step, uint32_t ancestor);

#endif
