/*
 * The certificate that kube-scheduler is shown: from a folder (--cert-dir), or made and renewed by the extender
 * itself in the Secret callboard-extender-tls (--manage-certs), or none.
 *
 * kube-scheduler reads the authority of an extender once, when it starts: only client-go's cached transports
 * reload it (k8s.io/client-go transport/cache.go), and an extender's is none (pkg/scheduler/extender.go,
 * makeTransport). So the authority lasts ten years. When another one is made all the same, because somebody has
 * deleted the Secret or nine years have passed, certificates of the old one are served for a week more, and an
 * alert asks for a restart of the scheduler.
 */
#ifndef EXTENDER_CERTIFICATE_H
#define EXTENDER_CERTIFICATE_H

#include "certs/managed.h"

struct certificate_options {
    const char *folder;     /* of --cert-dir, or NULL */
    bool is_managed;        /* --manage-certs */
    const char *hosts;      /* more names and addresses for --manage-certs, or NULL */
    const char *kubeconfig; /* of --manage-certs, or NULL */
};

struct certificate {
    const char *folder;
    const struct log *log;
    const struct clock *clock;
    struct counter_family *reloads;
    struct cert_source *source; /* NULL: none */
    struct managed managed;
};

/* 400 with the flag's name when the options make no sense. */
int certificate_check(const struct certificate_options *options, struct err *err);

/* Before the first thread starts. certificate_close() for what a failure leaves. */
int certificate_open(struct certificate *certificate, const struct certificate_options *options,
                     const struct clock *clock, struct metrics *metrics, const struct log *log,
                     struct counter_family *reloads, struct err *err);
/* From now on there may be a thread. */
int certificate_start(struct certificate *certificate, struct err *err);
/* About once a second: takes new files into use. */
void certificate_tick(struct certificate *certificate);
/* Why kube-scheduler would not trust this replica; NULL when it would. Any thread. */
const char *certificate_find_unready(const struct certificate *certificate);
/* After the server. Accepts a zeroed one. */
void certificate_close(struct certificate *certificate);

#endif
