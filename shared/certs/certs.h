/*
 * A server's own certificates: kept in a Secret, and for a webhook in the caBundle of both its
 * configurations, renewed, and taken into use here, by every replica alike.
 *
 *   every `interval_ns`, and after each write:
 *   GET configurations, then the Secret ──▶ certs_view ──▶ certs_plan ──▶ one write, or rest
 *                                                └──▶ the pair into the cert_source
 *
 * The configurations are read first: a bundle is written only over one that was read before the Secret
 * that it comes from, so that a Secret which is old by now never undoes what a newer one has published.
 *
 * A server without configurations is trusted by clients that read the Secret's ca.crt when they start. They
 * have `settle_ms` after a new authority was made to start again; while it is the only one there is nothing
 * to wait for.
 *
 * It is the API server's clock that counts: it judges the certificates, and says its time with every
 * answer. All in one thread of its own; the transport is used by it alone.
 *
 * Needed rights: get, create and patch of that Secret; get and patch of the configurations. The
 * Secret is made by a server-side apply, so that "create" can be limited to its name, which it cannot be for
 * a POST (kubernetes.io/docs/reference/access-authn-authz/rbac).
 */
#ifndef CERTS_CERTS_H
#define CERTS_CERTS_H

#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "certs/certs_plan.h"
#include "certs/pki.h"
#include "http/cert.h"
#include "kube/transport.h"

/* Whose certificates they are. All static. */
struct certs_owner {
    const char *service;       /* the first part of its DNS name */
    const char *secret;        /* the name of the Secret */
    const char *configuration; /* of both webhook configurations; NULL: there are none */
    const char *user_agent;    /* with the version */
    const char *field_manager;
    /* Metrics. */
    const char *days_left;
    const char *authorities;
    const char *writes;
};

struct certs_config {
    const struct certs_owner *owner;
    struct kube_transport *transport; /* outlives everything here, like all pointers */
    const struct clock *clock;
    const struct random *random;
    const struct mem *mem;
    struct metrics *metrics;
    const struct log *log;
    struct cert_source *source; /* gets each new pair */
    struct str host;            /* of the API server, for metrics; copied, as all texts */
    struct str namespace;
    const struct str *hosts; /* whom the certificate is for; the first one is the Service's name */
    size_t host_count;       /* at most PKI_HOSTS_MAX */
    struct certs_times times;
    int64_t interval_ns;
    /* A pair was put in place, or could not be. From the thread. May be NULL. */
    void (*on_load)(void *ctx, bool is_good);
    void *ctx;
};

struct certs;

/* No thread yet: certs_run_once() may be called instead of starting one. */
struct certs *certs_new(const struct certs_config *config, struct err *err);
int certs_start(struct certs *certs, struct err *err);
/* Ends the thread; a write that is under way may still happen. Accepts NULL. */
void certs_free(struct certs *certs);
/* What the thread does all the time. */
void certs_run_once(struct certs *certs);

/* Why this replica should get no requests: no client would trust it. NULL when one would. Any thread;
 * static. */
const char *certs_find_unready(const struct certs *certs);

#endif
