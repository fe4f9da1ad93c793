/*
 * The extender without its process: watches, the census, the binder and the Lease, wired over a transport, a
 * clock and random numbers that are given. One thread runs it; the handlers of kube-scheduler's requests
 * read the snapshots that it publishes, and hand it what is to be bound.
 *
 *   extender_new(&config, &err);
 *   while (…)
 *       extender_run_once(extender, until_ns);
 *   extender_stop(extender);            bindings under way are finished, the Lease is given up
 *   while (!extender_has_stopped(extender))
 *       extender_run_once(extender, until_ns);
 *   extender_free(extender);
 *
 * One replica is active, the one that holds the Lease: two could give one device to two pods before either
 * sees what the other wrote. A new holder first waits until no binding of the one before can be under way
 * (the Lease's own duration, then settle_ns), lists everything from etcd, and counts what the annotations of
 * the pods say. Only then is it ready.
 *
 *   STANDBY ──Lease──▶ SETTLING ──settle_ns──▶ LISTING ──all fresh──▶ ACTIVE ──Lease lost──▶ STANDBY
 */
#ifndef EXTENDER_EXTENDER_H
#define EXTENDER_EXTENDER_H

#include "extender/binder.h"
#include "extender/packer.h"
#include "extender/preempt.h"
#include "extender/preemptor.h"
#include "extender/requeue.h"

/* A zero or an absent text stands for the default, where one is named. */
struct extender_config {
    struct kube_transport *transport;
    const struct clock *clock;
    const struct random *random;
    const struct mem *mem;
    struct metrics *metrics; /* may be NULL */
    const struct log *log;   /* may be NULL */
    struct str host;         /* HOST:PORT of the server, for metrics */
    struct catalog *catalog; /* a reference is taken */
    struct snapshot_source *source;
    struct packer *packer;

    struct str identity;        /* of this process: HOSTNAME_UUID */
    struct str lease_namespace; /* "callboard-system" */
    int64_t lease_duration_ns;  /* of leader election, as kube/lease.h has them */
    int64_t lease_renew_deadline_ns;
    int64_t lease_retry_ns;
    int64_t bind_timeout_ns; /* 5 s, as kube-scheduler waits */
    int64_t settle_ns;       /* bind_timeout_ns */
    int64_t audit_ns;        /* 1 min */
    int64_t advice_s;        /* 5 min: until a pod that waits is looked at again */
    int64_t hold_ns;         /* of freed devices for a preemptor; 0: nobody is preempted here */
    double qps;              /* of kube/client.h */
    unsigned burst;
    unsigned workers; /* bindings under way at a time; 32 */

    /* The request is done. Takes over a reference. */
    void (*answered)(void *ctx, struct bind_request *request);
    void (*preempted)(void *ctx, struct preempt_request *request);
    /* Why a pod waits; the text is valid during the call. May be NULL. */
    void (*advised)(void *ctx, const struct kube_meta *pod, struct str text);
    void *ctx;
};

enum { BIND_WAITING_MAX = 4096 };

struct extender;

/* Begins to list and to watch. Texts and what is pointed to must outlive it. */
struct extender *extender_new(const struct extender_config *config, struct err *err);
/* As a crash would: the Lease is not given up. Accepts NULL. */
void extender_free(struct extender *extender);

/* Waits for the next thing to do, at most until until_ns (monotonic), and does it. */
void extender_run_once(struct extender *extender, int64_t until_ns);

/* From any thread: hands over a request with one reference. False when too many wait: it stays the caller's. */
bool extender_bind(struct extender *extender, struct bind_request *request);

/* The same for a question about victims. */
bool extender_preempt(struct extender *extender, struct preempt_request *request);

/* From any thread: no node fits a pod, for these reasons. */
void extender_refused(struct extender *extender, const struct refused *refused,
                      const uint8_t *verdicts);

void extender_set_catalog(struct extender *extender, struct catalog *catalog);

void extender_stop(struct extender *extender);
bool extender_has_stopped(const struct extender *extender);

struct extender_status {
    bool has_synced; /* every cache has had a whole list */
    bool is_active;
    int64_t heard_ns; /* monotonic: when the server was last heard on the quietest watch */
};

void extender_status(const struct extender *extender, struct extender_status *ret);

#endif
