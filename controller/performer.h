/*
 * Performers: from the object to a pod behind a Service, and back to nothing.
 *
 * performer_reconcile() is a pure step: it looks at the caches and the time, and fills a plan; what is
 * decided can be seen again after a crash at any point, so that the next step is the same.
 *
 * Pods. What makes up the pod is hashed to a revision: every member of spec but avsAddress (immutable),
 * upgradeStrategy, nodeFailurePolicy and backoffLimit, whatever their order, without what is null or
 * empty. The catalog, the defaults of this program and its version are no part of it, so that neither a
 * new catalog nor a new controller restarts what runs. A pod is named performer-NAME-HASH, by a hash of
 * the Performer's uid, the revision and the attempt, and is known by this name alone. The attempt is
 * status.attempt, or what is found on pods of the revision when that is more. It grows when a failed pod
 * is to be replaced, which is the one write that counts a retry (in status, on condition that nothing
 * has changed in between), and when the name is held by a pod on a lost node.
 *
 * At most one pod of a Performer is made at a time: another one only when those in its way are gone from
 * the cache. In the way is every pod but one on a lost node, and, with BlueGreen, a ready one of
 * another revision.
 *
 *   first start    Service, pod  …  status Running
 *   Recreate       status Upgrading, old pod deleted  …  Service switched, new pod  …  Running
 *   BlueGreen      status Upgrading, new pod  …  it is ready: Service switched  …  EndpointSlices show
 *                  it alone: Running  …  10 s later the old pod is deleted
 *   a failure      status Failed  …  backoff  …  status (attempt + 1), pod deleted  …  new pod
 *   the end        status Terminating, Service deleted  …  pods deleted  …  finalizer removed
 *
 * Phases and the stages that go with them:
 *
 *   Pending      Creating, PodCreation, Scheduling, NodeSelection, HardwareValidation, PodBinding,
 *                ImagePull, ContainerStart, ServiceCreation; any of them may be passed over
 *   Running      Running; `ready` tells whether it answers right now
 *   Upgrading    Upgrading, PodRecreation, then as Pending; Failed while the old pod still serves
 *   Failed       Failed
 *   Terminating  ServiceCleanup, PodCleanup
 *
 *   Pending → Running, Failed            Upgrading → Running, Failed, Pending (cannot be scheduled)
 *   Running → Upgrading, Failed,         Failed → Pending, Upgrading (the spec changed, or a retry),
 *             Pending (the pod is gone)           Running (the kubelet restarted it)
 *   all → Terminating
 *
 * Progress is written when it lasts: the first status 3 s after the pod was made, or 2 min after the
 * Performer was when there is no pod; a later stage when it has lasted for 10 s. Whatever else changes
 * is written at once.
 */
#ifndef CONTROLLER_PERFORMER_H
#define CONTROLLER_PERFORMER_H

#include "base/metrics.h"
#include "control/controller.h"
#include "types/catalog.h"

extern const struct store_type performer_objects, performer_pods, performer_services,
    performer_slices, performer_nodes;

/* For the watches of Pods, Services and EndpointSlices (which have the labels of their Service). */
#define PERFORMER_LABEL_SELECTOR "app=hourglass-performer"

/* Which way our pods take to a scheduler that asks the extender. */
enum performer_scheduler {
    PERFORMER_SCHEDULER_OWN,    /* schedulerName: callboard-scheduler */
    PERFORMER_SCHEDULER_MARKED, /* the cluster's own, which asks for pods with callboard.dev/managed */
    PERFORMER_SCHEDULER_PLAIN, /* the cluster's own, without an extender */
};

struct performer_metrics;

/* What reconciling is done with; everything is the caller's. */
struct performer_controller {
    const struct store *performers;
    const struct store *pods;
    const struct store *services;
    const struct store *slices;
    const struct store *nodes;
    const struct catalog *catalog; /* may be replaced between two reconciles */
    enum performer_scheduler scheduler;
};

/* For struct controller_kind; `ctx` is a struct performer_controller. */
int performer_reconcile(void *ctx, struct queue_key key, struct moment now, struct plan *plan,
                        struct err *err);
bool performer_refused(void *ctx, struct queue_key key, struct moment now,
                       const struct action *action, const struct action_failure *failure,
                       struct plan *plan);

/* The Performer that a changed child belongs to. Its views are the child's. False for a foreign one. */
bool performer_key_of_pod(const struct stored *pod, struct queue_key *ret);
bool performer_key_of_service(const struct stored *service, struct queue_key *ret);
bool performer_key_of_slice(const struct stored *slice, struct queue_key *ret);
/* Whether the change of a node matters to the pods on it (`before` or `after` may be NULL): not so for
 * a heartbeat. */
bool performer_node_matters(const struct stored *before, const struct stored *after);
/* Whether it advertises other shares of GPUs than it should (controller/node_gpu.h). */
bool performer_node_is_wrong(const struct stored *node);
/* As the Performer's status says: it serves as its spec says now; it has failed and is not tried again. */
bool performer_is_ready(const struct stored *performer);
bool performer_has_given_up(const struct stored *performer);
/* Calls `each` for the Performer of every pod on the node. */
void performer_each_on_node(const struct performer_controller *controller, struct str node,
                            void (*each)(void *ctx, struct queue_key key), void *ctx);

/* ---- Metrics ---- */

struct performer_metrics {
    struct counter_family *stages;   /* callboard_performer_stage_transitions_total{stage} */
    struct counter *retries;         /* callboard_performer_retries_total */
    struct counter *upgrades;        /* callboard_performer_upgrades_total */
    struct histogram *ready_seconds; /* callboard_performer_ready_seconds */
};

void performer_metrics_add(struct performer_metrics *ret, struct metrics *metrics);
/* Counts what a change of a Performer in the cache tells; for the leader's on_change of `performers`.
 * Stages that were passed in one write count one by one. */
void performer_metrics_observe(const struct performer_metrics *metrics, const struct stored *before,
                               const struct stored *after);

#endif
