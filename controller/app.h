/*
 * The controller without its process: caches, controllers, leader election and readiness, wired over a
 * transport, a clock and random numbers that are given. callboard-controller runs it on libcurl and the
 * machine's clocks (serve.h), the simulator on a server and a time of its own.
 *
 *   app_new(&config, &err);
 *   while (…)
 *       app_run_once(app);
 *   app_stop(app);                   finish the writes under way, give up the lease
 *   while (!app_has_stopped(app))
 *       app_run_once(app);
 *   app_free(app);
 *
 * One thread. Nothing here sleeps but the transport's wait().
 */
#ifndef CONTROLLER_APP_H
#define CONTROLLER_APP_H

#include "base/log.h"
#include "controller/flow.h"
#include "controller/performer.h"
#include "kube/client.h"

/* A zero or an absent text stands for the default, where one is named. */
struct app_config {
    struct kube_transport *transport;
    const struct clock *clock;
    const struct random *random;
    const struct mem *mem;
    struct metrics *metrics; /* may be NULL */
    const struct log *log;   /* may be NULL */
    struct str host;         /* HOST:PORT of the server, for metrics */
    struct catalog *catalog; /* a reference is taken */

    struct str identity;        /* of this process: HOSTNAME_UUID */
    struct str instance;        /* the pod's name, for events; the identity */
    struct str lease_namespace; /* "callboard-system" */
    struct str namespace;       /* whose objects are looked after; absent: all */
    int64_t lease_duration_ns;  /* of leader election, as kube/lease.h has them */
    int64_t lease_renew_deadline_ns;
    int64_t lease_retry_ns;
    int64_t resync_ns; /* 2 min */
    double qps;        /* of kube/client.h */
    unsigned burst;
    unsigned workers; /* of control/controller.h */
    enum performer_scheduler scheduler;
    int64_t max_active; /* flows at the same time; 0: no limit */
};

struct app;

/* Begins to list and to watch. Texts and what is pointed to must outlive the app. */
struct app *app_new(const struct app_config *config, struct err *err);
/* As a crash would: what is under way is dropped, the lease is not given up. Accepts NULL. */
void app_free(struct app *app);

/* Waits for the next thing to do, at most until until_ns (monotonic), and does it. */
void app_run_once(struct app *app, int64_t until_ns);

/* The new catalog is in use from the next reconcile on; every object is looked at again. */
void app_set_catalog(struct app *app, struct catalog *catalog);

/* Begins the orderly end: the writes under way are finished, for some seconds at most, and the lease is
 * given up. */
void app_stop(struct app *app);
bool app_has_stopped(const struct app *app);

struct app_status {
    bool has_synced; /* every cache has had a whole list: ready, as leader and as standby */
    bool is_leading;
    int64_t heard_ns; /* monotonic: when the server was last heard on the quietest watch */
};

void app_status(const struct app *app, struct app_status *ret);

#endif
