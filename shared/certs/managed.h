/*
 * --manage-certs: a server's own certificates (certs.h) with all that they need to reach the API
 * server: which one and as whom, and a connection whose memory is wiped, as keys go over it.
 */
#ifndef CERTS_MANAGED_H
#define CERTS_MANAGED_H

#include "certs/certs.h"

struct kube_config;

struct managed_options {
    const char *kubeconfig; /* file, or NULL for KUBECONFIG or the pod's account */
    const char *hosts;      /* more names and addresses, separated by commas; NULL for none */
    struct certs_times times;
    int64_t interval_ns;
};

struct managed {
    struct mem wiping;
    struct kube_config *config;
    struct kube_transport *transport;
    struct certs *certs; /* NULL: not asked for */
};

/* The callbacks and sources that certs_config names. */
struct managed_parts {
    const struct certs_owner *owner;
    const struct clock *clock;
    struct metrics *metrics;
    const struct log *log;
    struct cert_source *source;
    void (*on_load)(void *ctx, bool is_good);
    void *ctx;
};

/* What the options ask for makes sense: 400 with the flag's name when not. */
int managed_check(const struct managed_options *options, struct err *err);
/* To be called before the first thread starts, and managed_close() for what a failure leaves. */
int managed_open(struct managed *managed, const struct managed_options *options,
                 const struct managed_parts *parts, struct err *err);
/* From now on there is a thread. */
int managed_start(struct managed *managed, struct err *err);
/* Before the cert_source is closed. Accepts a zeroed one. */
void managed_close(struct managed *managed);

#endif
