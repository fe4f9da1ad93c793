/*
 * A replica that may lead: it stands for election once its caches are full, says what keeps it from renewing its
 * Lease, and at its end finishes what is under way before it gives the Lease up.
 *
 *   candidate_init()
 *   candidate_stand()      when the caches are full, and with every watchdog from then on
 *   candidate_stop()       the end begins: nothing new is begun
 *   candidate_release()    nothing is under way any more; CANDIDATE_DRAIN_S later it happens by itself
 *   candidate_done()
 *
 *   RUNNING ──stop──▶ DRAINING ──release──▶ RELEASING ──the server has answered──▶ STOPPED
 */
#ifndef CONTROL_CANDIDATE_H
#define CONTROL_CANDIDATE_H

#include "base/log.h"
#include "kube/lease.h"
#include "kube/resource.h"

enum { CANDIDATE_DRAIN_S = 5 };

struct candidate_config {
    struct kube_lease_config lease; /* what it points to outlives the candidate, texts included */
    const struct log *log;
    void (*on_release)(void *ctx); /* the Lease is given up now; ctx is the Lease's. May be NULL */
};

enum candidate_end {
    CANDIDATE_RUNNING,
    CANDIDATE_DRAINING,
    CANDIDATE_RELEASING,
    CANDIDATE_STOPPED
};

struct candidate {
    struct candidate_config config;
    struct kube_lease *lease; /* NULL before it has stood */
    struct timer drained;     /* the latest end of what is under way */
    unsigned problems;        /* watchdogs in a row that found one */
    enum candidate_end end;
};

/* Must not be moved. candidate_done() either way. */
int candidate_init(struct candidate *candidate, const struct candidate_config *config,
                   struct err *err);
/* As a crash would: the Lease is not given up. Accepts a zeroed one. */
void candidate_done(struct candidate *candidate);

/* Stands for election when it does not yet; else says, now and then, why the Lease is not served. Who has not
 * seen everything must not lead. */
void candidate_stand(struct candidate *candidate);
void candidate_stop(struct candidate *candidate);
void candidate_release(struct candidate *candidate);

static inline bool candidate_is_leading(const struct candidate *candidate)
{
    return candidate->lease && kube_lease_is_held(candidate->lease);
}

/* For every watchdog: a line about a problem (absent: there is none) of a watch or of the Lease, with the first one
 * and with each sixth after that. `times` is theirs, from 0. */
void candidate_report(const struct log *log, const struct kube_resource *resource,
                      struct str problem, unsigned *times);

#endif
