/*
 * Preemption that kube-scheduler cannot see: a node with two half-used GPUs has enough gpu-milli for a pod that
 * wants one whole, so kube-scheduler finds nobody to end, and never asks. The active replica ends pods itself.
 *
 *   filter refuses a pod on every node ──▶ refusal ──▶ the cheapest node and victims (extender/victims.h)
 *                                                            │
 *      bound, gone, or the hold's time is up ◀── hold ◀──────┤ the freed devices are kept for it
 *                                                            └──▶ pods/eviction, one after the other
 *
 * Only nodes count that kube-scheduler asked about, which are right by its own rules, and which lack nothing but
 * devices. Only pods of lower priority are ended, by the Eviction API, and none that a PodDisruptionBudget
 * guards now. While pods leave whose devices would do, nobody is ended. Off when hold_ns is 0.
 *
 * Bounded: one preemption is under way at a time, one begins a second at most, a pod gets one in the time of a
 * hold, CENSUS_HOLDS_MAX holds. Holds are in memory alone. A replica that takes over makes one anew when
 * kube-scheduler asks about the pod while its victims still leave; after that the freed devices may go to another
 * pod, and the preemptor is served again like any that is refused.
 */
#ifndef EXTENDER_PREEMPTOR_H
#define EXTENDER_PREEMPTOR_H

#include "base/log.h"
#include "base/metrics.h"
#include "extender/census.h"
#include "extender/wire.h"
#include "kube/events.h"

enum {
    REFUSAL_NODES_MAX = 256,  /* of a pod; those beyond are not looked at */
    REFUSALS_MAX = 64,        /* on their way from the handlers */
    PREEMPTOR_PODS_MAX = 128, /* that are remembered */
    PREEMPTOR_VICTIMS_MAX = 64,
};

/* A pod that the filter refused on every node. One allocation with its texts. */
struct refusal {
    struct refusal *next; /* of whoever has it now */
    size_t size;
    struct pod pod; /* without what is a tree */
    size_t count;
    struct str nodes[]; /* that lack devices alone */
};

/* Of a filtering in which no node fits: NULL when none of them lacks devices alone, when the pod may not preempt,
 * or without memory. */
struct refusal *refusal_new(const struct pod *pod, const struct wire_node *nodes,
                            const uint8_t *verdicts, size_t count);
/* Accepts NULL. */
void refusal_free(struct refusal *refusal);

struct preemptor;

struct preemptor_config {
    struct kube_client *client;
    struct kube_events *events;
    struct census *census;
    const struct store *pods;
    const struct store *budgets;
    struct catalog *const *catalog; /* the current one */
    const struct clock *clock;
    const struct mem *mem;
    struct metrics *metrics; /* may be NULL */
    const struct log *log;   /* may be NULL */
    int64_t hold_ns;
};

struct preemptor *preemptor_new(const struct preemptor_config *config, struct err *err);
/* Accepts NULL. */
void preemptor_free(struct preemptor *preemptor);

/* Takes it over. */
void preemptor_refused(struct preemptor *preemptor, struct refusal *refusal);
/* About once a second; ends holds whose time is up, and may begin a preemption when this replica is active. */
void preemptor_tick(struct preemptor *preemptor, bool is_active);

#endif
