/*
 * What the cache keeps of PodDisruptionBudgets (policy/v1): how many of which pods may go now.
 */
#ifndef EXTENDER_BUDGETS_H
#define EXTENDER_BUDGETS_H

#include "extender/cached_pod.h"

struct cached_budget {
    struct stored
        stored; /* owned by its namespace, so that store_first_owned() finds those of one */
    struct str selector;  /* of labels.h */
    struct str disrupted; /* of status.disruptedPods: 4 bytes each, the hash of the name */
    int64_t allowed;      /* status.disruptionsAllowed */
    bool selects_none;
};

/* For store_config.type. */
extern const struct store_type cached_budgets;

/* Whether the end of the pod takes from what the budget allows. One that the apiserver has begun to evict is
 * counted already (pkg/scheduler/framework/plugins/defaultpreemption filterPodsWithPDBViolation). */
bool cached_budget_guards(const struct cached_budget *budget, const struct cached_pod *pod);

#endif
