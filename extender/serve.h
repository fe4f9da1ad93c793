/*
 * `callboard-extender serve`: the process around the extender, from start to end.
 */
#ifndef EXTENDER_SERVE_H
#define EXTENDER_SERVE_H

#include "extender/certificate.h"
#include "extender/pack.h"

/* Strings live as long as the process. */
struct extender_serve_options {
    const char *listen;
    const char *health_listen;
    struct certificate_options certificate;
    bool insecure; /* plain HTTP elsewhere than on loopback, too */
    const char *kubeconfig;
    const char *catalog;
    const char *lease_namespace;
    int64_t lease_duration_ms;
    int64_t renew_deadline_ms;
    int64_t retry_period_ms;
    int64_t bind_timeout_ms;
    int64_t audit_ms;
    int64_t advice_ms;
    int64_t preemption_hold_ms; /* 0: no preemption of its own */
    enum pack_kind packing;
    int64_t qps;
    int64_t burst;
    int64_t threads;
    int64_t max_body;
    int64_t memory_budget;
    int64_t drain_delay_ms;
};

/* Runs until SIGTERM or SIGINT. Returns the exit status: 0 after an orderly end, 1 when it could not
 * start (the reason is logged). To be called by the only thread of the process. */
int extender_serve(const struct extender_serve_options *options, const struct log *log);

#endif
