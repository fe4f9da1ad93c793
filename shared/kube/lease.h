/*
 * Leader election on a coordination.k8s.io Lease (client-go tools/leaderelection): one holder at a time.
 *
 *   A  renewal sent ├──────── 10 s: A writes ────────┤ fenced
 *   B        sees it  ├───────────────── 15 s: B waits ─────────────────┤ takes it
 *
 * Times are measured by the own monotonic clock only, from the moment at which a change of the Lease was
 * seen; the clocks of other machines, and jumps of the own wall clock, do not matter. A renewal counts
 * from the moment it was sent. At the renew deadline the holder has stopped: the client sends no write
 * from then on (the write deadline of kube/client.h), while others take over only after the lease
 * duration. Before the first taking, and whenever the lease is not held, the client's writes are fenced.
 *
 * The Lease is changed by merge patches that name its resourceVersion: of two who try, one gets a conflict,
 * and what others keep in the object stays. One who waits also watches it, so that a release is seen at
 * once. Needed rights: create; get, patch, list and watch (of this name).
 *
 * Metric: leader_election_master_status{name}, 1 while it is held.
 */
#ifndef KUBE_LEASE_H
#define KUBE_LEASE_H

#include "kube/client.h"

struct kube_lease_config {
    struct kube_client *client;
    /* For the watch; NULL: a release is seen with the next attempt, within about twice retry_ns. */
    struct kube_transport *transport;
    struct timers *timers;
    const struct clock *clock;
    const struct random *random;
    const struct mem *mem;
    struct metrics *metrics; /* may be NULL */
    struct str namespace;    /* these three are copied */
    struct str name;
    struct str identity;           /* HOSTNAME_UUID: never the same for two processes */
    int64_t duration_ns;           /* 0: 15 s; in whole seconds; the largest of the three */
    int64_t renew_deadline_ns;     /* 0: 10 s */
    int64_t retry_ns;              /* 0: 2 s; the smallest */
    void (*on_started)(void *ctx); /* holds it now */
    /* Lost, or could not renew in time; writes are fenced already. It goes on trying. */
    void (*on_stopped)(void *ctx);
    void *ctx;
};

struct kube_lease;

/* For a program that makes its lease later than its other metrics (base/metrics.h): makes the metric. */
void kube_lease_add_metrics(struct metrics *metrics);
/* Begins at once. The callbacks run only inside transport->wait() or timers_run(), and must not free the lease. */
struct kube_lease *kube_lease_new(const struct kube_lease_config *config, struct err *err);
/* Frees without releasing. Accepts NULL. */
void kube_lease_free(struct kube_lease *lease);
bool kube_lease_is_held(const struct kube_lease *lease);
/* Gives the lease up, so that another takes it at once; `done` runs when the server has answered or the
 * attempt failed, also when it was not held. Writes are fenced from now on: let those that are under way
 * end first. No on_stopped follows, and it is not tried for again. */
void kube_lease_release(struct kube_lease *lease, void (*done)(void *ctx), void *ctx);
/* Why the last attempt failed, for people; absent while all is well. Valid until the next turn of the
 * event loop. */
struct str kube_lease_problem(const struct kube_lease *lease);

#endif
