/*
 * Tells why a pod waits and what would help: an event about the pod, and a text for /explain. kube-scheduler's own
 * event FailedScheduling counts nodes by its reasons; this one looks at all nodes, also those that kube-scheduler
 * never asked about because a rule of its own came first, and says what to change, what is nearest to fitting first.
 *
 *   the cache shows the pod unschedulable ──10 s──▶ GET of the pod ──▶ all nodes judged ──▶ event
 *                                                        ▲                                  │
 *                                                        └──── 5 min, 10 min … 1 h later ◀──┘
 *
 * So what kube-scheduler tries again and again is told once. Bounded: ADVICE_PODS_MAX pods at a time, a GET a second
 * at most, one under way; kube/events.h counts what is said again, and combines and limits the rest. The pod is
 * read anew because a cache of 100,000 pods has no room for what they ask for.
 *
 * Pods of ours only (the label app.kubernetes.io/managed-by). All in one thread.
 */
#ifndef EXTENDER_ADVICE_H
#define EXTENDER_ADVICE_H

#include "extender/cached_pod.h"
#include "extender/snapshot.h"
#include "kube/events.h"

enum { ADVICE_PODS_MAX = 1024, ADVICE_TEXT_MAX = 1024 };

struct advice;

struct advice_config {
    struct kube_client *client;
    struct kube_events *events;
    struct snapshot_source *source;
    const struct clock *clock;
    const struct mem *mem;
    int64_t
        period_s; /* from the first look at a pod to the second; doubled each time, to an hour */
    /* What was found out; the text is valid during the call. May be NULL. */
    void (*advised)(void *ctx, const struct kube_meta *pod, struct str text);
    void *ctx;
};

struct advice *advice_new(const struct advice_config *config, struct err *err);
/* Accepts NULL. */
void advice_free(struct advice *advice);

/* The cache of pods has changed; either may be NULL. */
void advice_pod_changed(struct advice *advice, const struct stored *before,
                        const struct stored *after);
/* About once a second while this replica is active: asks about the next pod whose time has come. */
void advice_tick(struct advice *advice);

/* The text for a pod on these nodes, at most ADVICE_TEXT_MAX bytes; appended. Pure. */
void advice_write(struct buf *buf, const struct pod *pod, const struct snapshot *snapshot,
                  int64_t now_ns);

#endif
