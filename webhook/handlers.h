/*
 * What the webhook's two HTTP servers answer: /mutate and /validate over TLS; /metrics, /healthz and
 * /readyz in plain. Handlers only compute; any number of them run at once. A review that needs a
 * JobFlowTemplate waits for it without a thread (template_lookup.h).
 */
#ifndef WEBHOOK_HANDLERS_H
#define WEBHOOK_HANDLERS_H

#include "base/log.h"
#include "base/metrics.h"
#include "certs/certs.h"
#include "http/cert.h"
#include "http/health.h"
#include "types/catalog_source.h"
#include "webhook/template_lookup.h"

#include <stdatomic.h>

struct handlers {
    const struct log *log;
    const struct clock *clock;
    struct metrics *metrics;
    struct catalog_source *catalog;
    struct template_lookups *lookups; /* NULL without a cluster: then ... */
    const char *no_lookups;           /* ... why */
    const struct certs *certs;        /* NULL with --cert-dir */
    atomic_bool is_ready;
    struct health health;

    struct counter_family *reviews;
    struct counter_family *causes;
    struct counter_family *warnings;
    struct counter_family *http_requests;
    struct histogram_family *review_seconds;
    struct counter_family *reloads;
};

/* Makes the metrics; the other members are set by the caller. */
void handlers_add_metrics(struct handlers *handlers);
/* Metrics about the server itself; `cert` may be NULL. Both must outlive the metrics. */
void handlers_add_server_metrics(struct handlers *handlers, struct http_server *const *server,
                                 const struct cert_source *cert);

/* The routes of the two servers; `ctx` of each is filled with `handlers`. */
enum { ADMISSION_ROUTES = 2 };
void handlers_admission_routes(struct handlers *handlers,
                               struct http_route routes[ADMISSION_ROUTES]);
void handlers_health_routes(struct handlers *handlers, struct http_route routes[HEALTH_ROUTES]);

/* For http_server_config.on_access of the TLS server; ctx is the handlers. */
void handlers_on_access(void *ctx, const struct http_access *access);

/* Counts a certificate that --manage-certs has found or made. */
void handlers_count_load(struct handlers *handlers, bool is_good);

#endif
