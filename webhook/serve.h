/*
 * `callboard-webhook serve`: the servers from start to end.
 */
#ifndef WEBHOOK_SERVE_H
#define WEBHOOK_SERVE_H

#include "base/log.h"
#include "certs/managed.h"

#include <stddef.h>

struct serve_options {
    const char *listen;        /* HOST:PORT of the TLS port */
    const char *health_listen; /* HOST:PORT of metrics and probes, plain HTTP */
    const char *cert_dir;      /* tls.crt and tls.key; NULL: `managed` */
    struct managed_options managed;
    const char *catalog;    /* file, or NULL for the built-in catalog */
    const char *kubeconfig; /* file, or NULL for KUBECONFIG, the pod's account, or no cluster */
    unsigned threads;       /* 0: one per CPU, at most 8 */
    unsigned max_connections;
    size_t max_body;      /* bytes */
    size_t memory_budget; /* bytes for all requests together */
    unsigned header_timeout_ms;
    unsigned request_timeout_ms;
    unsigned idle_timeout_ms;
    unsigned drain_delay_ms;   /* after SIGTERM, new connections are still served for so long */
    unsigned drain_timeout_ms; /* then requests under way may take so long */
};

/* Serves until SIGTERM or SIGINT. Returns the exit status: 0 after an orderly end, 1 when it could not
 * start (the reason is logged). To be called by the only thread of the process. */
int serve_run(const struct serve_options *options, const struct log *log);

#endif
