/*
 * Leader election on a coordination.k8s.io Lease (client-go tools/leaderelection): one holder at a time.
 *
 * Times are measured by the own monotonic clock only, from the moment at which a change of the Lease was
 * seen; the clocks of other machines do not matter. A renewal counts from the moment it was sent. At
 * the renew deadline the holder has stopped: the client sends no write from then on (the write
 * deadline of kube/client.h), while others take over only after the lease duration.
 */
#ifndef KUBE_LEASE_H
#define KUBE_LEASE_H

#include "kube/client.h"

struct kube_lease_config {
    struct kube_client *client;
    struct timers *timers;
    const struct clock *clock;
    const struct random *random;
    const struct mem *mem;
    struct metrics *metrics; /* leader_election_master_status; may be NULL */
    struct str namespace;
    struct str name;
    struct str identity;           /* HOSTNAME_UUID */
    int64_t duration_ns;           /* 0: 15 s */
    int64_t renew_deadline_ns;     /* 0: 10 s */
    int64_t retry_ns;              /* 0: 2 s */
    void (*on_started)(void *ctx); /* holds it now */
    void (*on_stopped)(void *ctx); /* lost, or could not renew in time; writes are fenced already */
    void *ctx;
};

struct kube_lease;

struct kube_lease *kube_lease_new(const struct kube_lease_config *config, struct err *err);
/* Frees without releasing. Accepts NULL. */
void kube_lease_free(struct kube_lease *lease);
bool kube_lease_is_held(const struct kube_lease *lease);
/* Gives the lease up, so that another takes it at once; `done` runs when the server has answered or the
 * attempt failed. No on_stopped follows. */
void kube_lease_release(struct kube_lease *lease, void (*done)(void *ctx), void *ctx);

#endif
