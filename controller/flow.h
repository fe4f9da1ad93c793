/*
 * JobFlows: from the object to the Jobs of its steps, one after the other, and to its end.
 *
 * flow_reconcile() decides by the caches and the time. What it decides can be seen again after a crash at
 * any point: the Job of a try has a name of its own (flow_job.h), so that a create that is repeated meets
 * what the first one made; a step is RUNNING once the cache shows its Job; and what has ended is in the
 * status. To do that in proportion to what has changed, and not to the flow, it keeps a run (flow_run.h) of
 * each flow that has started: built once from the object and its Jobs, then advanced by what
 * flow_job_changed() and the like tell, and dropped when the flow has ended or this process no longer leads.
 *
 *   Pending   suspended, or not yet its turn (flow_gate.h): a status that says so, once
 *   start     status Running, on condition that the flow is as it was read: its steps are immutable from
 *             then on; then its resources, then Jobs
 *   running   a Job ends: its dependents' conditions are asked, their Jobs are made
 *   the end   Performers of the flow are deleted, the last status is written; at ttlSecondsAfterFinished
 *             the flow is deleted, and what it owns goes with it
 *
 * A step that must end before its time (the flow's deadline, a newer flow that replaces it) has its Job
 * suspended: its pods are deleted, and what it was stays to be looked at. The steps of `finally` are run
 * then, too.
 *
 * Deadlines and backoffs are counted by the wall clock, from times that are in objects.
 */
#ifndef CONTROLLER_FLOW_H
#define CONTROLLER_FLOW_H

#include "base/metrics.h"
#include "control/controller.h"
#include "controller/flow_gate.h"
#include "controller/performer.h"

extern const struct store_type flow_objects, flow_jobs, flow_pods;

/* For the watches of Jobs and of Pods. Pods are watched only where their exit codes or messages are
 * needed. */
#define FLOW_JOB_SELECTOR "workflow.kube-zen.io/flow"
#define FLOW_POD_SELECTOR "workflow.kube-zen.io/result"

struct flow_metrics {
    struct counter_family *phases;       /* callboard_jobflow_phase_transitions_total{phase} */
    struct counter_family *steps;        /* callboard_jobflow_steps_total{phase} */
    struct counter *retries;             /* callboard_jobflow_step_retries_total */
    struct histogram *seconds;           /* callboard_jobflow_duration_seconds */
    struct histogram_family *step_times; /* callboard_jobflow_step_duration_seconds{type} */
    struct gauge *active;                /* callboard_jobflow_active */
    struct gauge_family *waiting;        /* callboard_jobflow_waiting{priority} */
};

void flow_metrics_add(struct flow_metrics *ret, struct metrics *metrics);

/* Everything pointed to is the caller's. */
struct flow_controller {
    const struct store *flows;
    const struct store *jobs;
    const struct store *pods;
    const struct store *performers;
    const struct mem *mem;              /* of runs */
    const struct flow_metrics *metrics; /* NULL: none */
    enum performer_scheduler scheduler;
    struct flow_gate *gate;
};

/* For struct flow_gate_config. */
void flow_drop_run(void *ctx, void *run);

/* For struct controller_kind; `ctx` is a struct flow_controller. */
int flow_reconcile(void *ctx, struct queue_key key, struct moment now, struct plan *plan,
                   struct err *err);
bool flow_refused(void *ctx, struct queue_key key, struct moment now, const struct action *action,
                  const struct action_failure *failure, struct plan *plan);
void flow_answered(void *ctx, struct queue_key key, const struct action *action,
                   const struct json *object);

/* A flow came, changed or went: the gate follows. */
void flow_changed(struct flow_controller *controller, const struct stored *before,
                  const struct stored *after);
/* Whether the change of a Job, a pod or a Performer matters to a flow, and to which; a run that there is
 * remembers it. Views are the child's or the flow's. */
bool flow_job_changed(struct flow_controller *controller, const struct stored *before,
                      const struct stored *after, struct queue_key *ret);
bool flow_pod_changed(struct flow_controller *controller, const struct stored *before,
                      const struct stored *after, struct queue_key *ret);
bool flow_performer_changed(struct flow_controller *controller, const struct stored *before,
                            const struct stored *after, struct queue_key *ret);

/* Counts what the change of a flow in the cache tells; for the leader. */
void flow_metrics_observe(const struct flow_controller *controller, const struct stored *before,
                          const struct stored *after);

#endif
