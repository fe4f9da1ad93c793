/*
 * Which pods of a node have to go so that a pod of higher priority fits: by devices and all else that the
 * extender's filter judges, and by the sums of kube-scheduler. Pure.
 *
 * Of all sets of pods of lower priority whose end makes room, that one is chosen whose cost is the least:
 *
 *   1. budgets       how many of the pods are more than their PodDisruptionBudgets allow
 *   2. highest       the highest priority among them
 *   3. count         how many they are
 *   4. sum           of their priorities
 *
 * which is the order in which kube-scheduler compares nodes (pkg/scheduler/framework/preemption
 * pickOneNodeForPreemption). A pod that is being deleted costs nothing: it goes anyway.
 *
 * The first set is made as kube-scheduler makes it: all go, and as many as possible are taken back, the most
 * important ones first. Then sets are searched that cost less, branch and bound, for a bounded number of
 * steps; a node with up to eleven pods that matter is always searched whole. What comes out never has a pod
 * too many, whether the search was whole or not.
 *
 * kube-scheduler's own victims, when there are some, are needed for its own rules. Those that are needed for
 * what the extender does not see (ports, affinity, other resources) stay: without such a one the pod would
 * seem to fit by all sums that are known here, but kube-scheduler has found otherwise.
 */
#ifndef EXTENDER_VICTIMS_H
#define EXTENDER_VICTIMS_H

#include "control/store.h"
#include "extender/budgets.h"
#include "extender/filter.h"

enum {
    VICTIMS_MAX = 512,       /* pods of a node that matter; one with more is left alone */
    VICTIM_BUDGETS_MAX = 4,  /* of one pod */
    VICTIMS_BUDGETS_MAX = 64 /* of all pods of a node; those beyond are taken for violated */
};

struct victim {
    const struct cached_pod *pod;
    struct pod_load load;
    bool is_given;  /* kube-scheduler's choice */
    bool is_locked; /* stays a victim */
    bool is_chosen; /* what came out */
    bool is_unbudgeted;
    uint8_t budget_count;
    uint8_t budgets[VICTIM_BUDGETS_MAX];
};

struct victims_cost {
    int64_t budgets;
    int64_t highest; /* INT64_MIN: none that costs anything */
    int64_t count;
    int64_t sum; /* of priority - INT32_MIN */
};

/* Below 0: a costs less. */
int victims_compare(const struct victims_cost *a, const struct victims_cost *b);

/* What a choice is about. */
struct victims_question {
    const struct pod *pod; /* the preemptor */
    const struct node *node;
    int64_t heartbeat_age_ns;
    const struct catalog *catalog;
    const struct store *pods;
    const struct store *budgets;
    const struct str *given; /* UIDs of kube-scheduler's victims; NULL: it has none */
    size_t given_count;
    size_t *steps; /* of the search; what it takes is subtracted */
};

struct victims {
    struct victim
        *all; /* in the arena; the most important first. Those that are chosen: is_chosen */
    size_t count;
    size_t chosen;
    struct victims_cost cost;
    /* UIDs among the given ones of which nothing is known here: they stay victims. In the arena. */
    struct str *unknown;
    size_t unknown_count;
    bool is_as_given; /* exactly kube-scheduler's victims */
};

enum victims_result {
    VICTIMS_FOUND,
    VICTIMS_NOT_ENOUGH, /* even without all pods of lower priority it does not fit */
    VICTIMS_NO_MEMORY,
};

enum victims_result victims_choose(const struct victims_question *question, struct arena *arena,
                                   struct victims *ret);

#endif
