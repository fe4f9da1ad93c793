/*
 * Pods that were refused and would find a node now: kube-scheduler is made to try them again.
 *
 * It asks about a pod that waits when something has changed in the cluster. Of some changes it never hears: a
 * heartbeat that returns (it watches no Leases), a hold of devices that ends, a binding that came to nothing. Of the
 * others it hears by a watch of its own, often some milliseconds before the extender does: the refusal on what was
 * known until then would stand until something else changes, or for five minutes (Kubernetes 1.36
 * pkg/scheduler/backend/queue/scheduling_queue.go, flushUnschedulablePodsLeftover).
 *
 *   no node fits ──▶ kept: the pod and the nodes ──every second──▶ one fits ──▶ annotation ──▶ kube-scheduler's queue
 *                       │                │
 *                       │                └──▶ forgotten: bound, gone, or ten minutes old
 *                       └── asked about again: the newer refusal counts
 *
 * Only nodes count that kube-scheduler asked about then: where its own rules keep the pod off a node, nothing is
 * written time and again. It has a second to ask by itself. The annotation is written by pods/status, which changes
 * nothing of what a pod runs; each change of it brings the pod back (the same file, Update; isPodUpdated before 1.32).
 *
 * Bounded: REQUEUE_BYTES_MAX, for what was looked at the longest ago kube-scheduler's five minutes are left;
 * REQUEUE_NODES_MAX judgements a tick; REQUEUE_CALLS_MAX writes under way.
 */
#ifndef EXTENDER_REQUEUE_H
#define EXTENDER_REQUEUE_H

#include "base/log.h"
#include "base/metrics.h"
#include "control/store.h"
#include "extender/snapshot.h"
#include "extender/wire.h"
#include "kube/client.h"

enum {
    REQUEUE_BYTES_MAX = 4 * 1024 * 1024,
    REQUEUE_POD_MAX = 64 * 1024, /* bytes of JSON; a larger pod is not kept */
    REQUEUE_NODES_MAX = 100000,  /* of a pod, too */
    REQUEUE_CALLS_MAX = 16,
};

struct requeue;

struct requeue_config {
    struct kube_client *client;
    struct snapshot_source *source;
    const struct store *pods;
    const struct clock *clock;
    const struct mem *mem;   /* used by the handlers' threads too */
    struct metrics *metrics; /* may be NULL */
    const struct log *log;   /* may be NULL */
};

struct requeue *requeue_new(const struct requeue_config *config, struct err *err);
/* Accepts NULL. */
void requeue_free(struct requeue *requeue);

/* A question about a pod that none of the nodes fits. */
struct refused {
    const struct pod *pod;
    struct str text; /* the pod's JSON */
    const struct snapshot *snapshot;
    const struct wire_node *nodes;
    size_t count;
};

/* From any thread. Best effort: without memory the pod is not kept. */
void requeue_refused(struct requeue *requeue, const struct refused *refused);

/* The same of a pod for which it is not known whether any node would do: it is tried again in any case, two seconds
 * later. */
void requeue_later(struct requeue *requeue, const struct kube_meta *pod);

/* About once a second. A replica that is not active forgets all pods. */
void requeue_tick(struct requeue *requeue, bool is_active);

#endif
