/*
 * The one writer of what the extender knows: nodes, what pods take of them, what has been promised and not
 * yet seen, heartbeats. Fed by watches, in one thread; readers get snapshots.
 *
 *   watch of Nodes ──┐
 *   watch of Leases ─┤      per node: facts + load ──▶ snapshot (when anything changed)
 *   watch of Pods ───┤              ▲
 *   bind ────────────┴─ reservation ┘
 *
 * A reservation counts from the moment at which devices were chosen until the watch shows the pod bound or
 * gone, or until it is certain that it was not bound. So no device is chosen twice, however far the watch is
 * behind.
 *
 * The order of the watches does not matter: pods and Leases of a node that has not been seen yet are kept.
 */
#ifndef EXTENDER_CENSUS_H
#define EXTENDER_CENSUS_H

#include "base/metrics.h"
#include "extender/cached_pod.h"
#include "extender/snapshot.h"

struct census;

struct census_config {
    const struct mem *mem; /* used by the readers' threads too */
    const struct clock *clock;
    const struct random *random;
    struct catalog *catalog; /* a reference is taken */
    struct snapshot_source *source;
    struct counter *heartbeats; /* renewals of Leases that were seen; may be NULL */
};

struct census *census_new(const struct census_config *config, struct err *err);
/* When the last reader has gone; the source is left empty. Accepts NULL. */
void census_free(struct census *census);

/* For the reflectors. Pods are told by their store: census_pod_changed() is its on_change. */
struct kube_sink census_node_sink(struct census *census);
struct kube_sink census_lease_sink(struct census *census);
void census_pod_changed(struct census *census, const struct stored *before,
                        const struct stored *after);

/* Environments are named anew: from now on Nodes are read with it, and nothing is published until a whole
 * list of them has come. What pods take is counted anew. */
void census_set_catalog(struct census *census, struct catalog *catalog, const struct store *pods);

/* ---- Reservations ---- */

enum { CENSUS_RESERVATIONS_MAX = 8192 };

struct reservation {
    struct reservation *next;
    size_t size;
    struct str namespace, name, uid, node; /* texts behind the struct */
    struct pod_load load;
    bool is_bound;    /* the server has said so */
    int64_t check_ns; /* monotonic: when to ask the server what became of it; INT64_MAX: not yet */
};

/* Takes the pod's share of the node now. NULL without memory or with too many. */
struct reservation *census_reserve(struct census *census, const struct stored *pod, struct str node,
                                   const struct pod_load *load);
/* On that node, or on any when `node` is absent. */
struct reservation *census_find_reservation(struct census *census, struct str uid, struct str node);
/* The one that is to be checked, or NULL. */
struct reservation *census_find_doubtful(struct census *census);
/* Whether it is bound is not known; to be checked at that time (INT64_MAX: no longer in doubt). Until then its
 * own pod may take what it holds. */
void census_doubt(struct census *census, struct reservation *reservation, int64_t check_ns);
/* Gives it back at once. Accepts NULL. */
void census_release(struct census *census, struct reservation *reservation);
size_t census_reservations(const struct census *census);

/* ---- Holds ---- */

/* Devices that are kept for a pod for which others are ended: for pods of its priority and below they are
 * taken, for itself and for those above it they are free. A hold ends by itself when its pod is bound, or gone. */
enum { CENSUS_HOLDS_MAX = 32 };

struct hold {
    struct hold *next;
    size_t size;
    struct str uid, node; /* texts behind the struct */
    int32_t priority;
    struct pod_load load;
    int64_t until_ns; /* monotonic */
};

/* One for each UID: another takes its place. NULL without memory, with too many, or without the node. */
struct hold *census_hold(struct census *census, struct str uid, int32_t priority, struct str node,
                         const struct pod_load *load, int64_t until_ns);
/* NULL when there is none. */
const struct hold *census_find_hold(const struct census *census, struct str uid);
/* Nothing when there is none. */
void census_unhold(struct census *census, struct str uid);
/* Ends those whose time is up; returns how many. */
size_t census_expire_holds(struct census *census);
size_t census_holds(const struct census *census);

/* ---- Reading, in the writer's thread ---- */

/* NULL when there is no such node. Valid until the next change. */
const struct node *census_node(const struct census *census, struct str name);
/* The same with its heartbeat. */
const struct snapshot_node *census_snapshot_node(const struct census *census, struct str name);
/* The node as that pod sees it: `to` is filled when that differs from what all see. */
const struct node *census_node_for(const struct census *census, const struct node *node,
                                   struct str uid, int32_t priority, struct node *to);
size_t census_node_count(const struct census *census);

/* Publishes when something has changed. False when it had no memory: it is tried again with the next call. */
bool census_publish(struct census *census);

/* ---- Audit ---- */

struct census_audit {
    size_t nodes;         /* looked at */
    size_t drifted;       /* whose counted load is not what the pods and reservations add up to */
    size_t overcommitted; /* devices of which more than all is given out */
    size_t stray;         /* nodes with a pod that uses GPUs and names none that is there */
};

/* Compares the running counts with what the pods' annotations say, all over. With `repair` the counts of a
 * node that has drifted are set right. False without memory. */
bool census_audit(struct census *census, const struct store *pods, bool repair,
                  struct census_audit *ret);

#endif
