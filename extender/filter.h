/*
 * Whether a pod may be bound to a node, and if not, why: the extender's own rules. What kube-scheduler
 * judges by itself (labels, taints, the sum of each resource) has been judged when it asks.
 *
 * The reasons are part of the interface: kube-scheduler counts them by their exact text in the pod's event
 * ("3 GPU: no device has enough left for the share"), so they are short and name neither nodes nor numbers.
 *
 * A reason is unresolvable when the end of other pods would not change it: kube-scheduler then does not
 * look for pods to preempt there.
 */
#ifndef EXTENDER_FILTER_H
#define EXTENDER_FILTER_H

#include "extender/pod.h"

enum verdict {
    VERDICT_FITS,
    /* About the pod. */
    VERDICT_MIXES_MODES,
    VERDICT_BAD_MILLI,
    VERDICT_TEE_CONFLICT,
    VERDICT_BAD_MEMORY,
    VERDICT_BAD_CUDA,
    /* About the node. */
    VERDICT_UNKNOWN_NODE,
    VERDICT_NOT_READY,
    VERDICT_HEARTBEAT,
    VERDICT_DRAINING,
    VERDICT_NO_GPU,
    VERDICT_IS_SHARED,
    VERDICT_IS_NOT_SHARED,
    VERDICT_PRODUCT,
    VERDICT_TOO_FEW_DEVICES,
    VERDICT_NO_MIG,
    VERDICT_MEMORY,
    VERDICT_MEMORY_UNKNOWN,
    VERDICT_CUDA,
    VERDICT_CUDA_UNKNOWN,
    VERDICT_NO_TEE,
    VERDICT_TEE_UNCOUNTED,
    VERDICT_NOT_CONFIDENTIAL,
    VERDICT_NOT_ATTESTED,
    VERDICT_CONFIDENTIAL,
    /* What the end of other pods would change. */
    VERDICT_SHARE_TAKEN,
    VERDICT_DEVICES_TAKEN,
    VERDICT_STRAY,
    VERDICT_MIG_TAKEN,
    VERDICT_TEE_TAKEN,
    VERDICT_MAX_JOBS,
    VERDICT_GPUS_TAKEN,
    VERDICT_CPU_TAKEN,
    VERDICT_MEMORY_TAKEN,
    VERDICT_PODS_TAKEN,
    VERDICT_COUNT,
};

/* In the pod's event. */
struct str verdict_reason(enum verdict verdict);
/* What the user or the administrator can do about it. */
struct str verdict_help(enum verdict verdict);
bool verdict_is_unresolvable(enum verdict verdict);

enum {
    /* The kubelet renews its Lease every 10 s (nodeLeaseDurationSeconds 40, a quarter of it). */
    HEARTBEAT_OVERDUE_S = 30,
    HEARTBEAT_FAILED_S = 300,
};

/* Nodes as workers. */
enum worker_state {
    WORKER_AVAILABLE,
    WORKER_RUNNING,   /* has pods of ours */
    WORKER_DRAINING,  /* cordoned */
    WORKER_UNHEALTHY, /* the heartbeat is overdue: no new pods */
    WORKER_FAILED,    /* not Ready, or no heartbeat for minutes */
    WORKER_STATES,
};

/* "Available" and so on. */
struct str worker_state_name(enum worker_state state);
/* `heartbeat_age_ns` is -1 for a node without a Lease. */
enum worker_state worker_state_of(const struct node *node, int64_t heartbeat_age_ns);

/* The verdict on a node that kube-scheduler has found fit. Pure. */
enum verdict filter_judge(const struct pod *pod, const struct node *node, int64_t heartbeat_age_ns);
/* The same with the sums that kube-scheduler judges by itself, for a node of which it says nothing. */
enum verdict filter_judge_all(const struct pod *pod, const struct node *node,
                              int64_t heartbeat_age_ns);

#endif
