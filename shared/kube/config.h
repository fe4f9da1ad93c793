/*
 * Which API server to talk to, and as whom: from a kubeconfig, else from the pod that this process runs
 * in (k8s.io/client-go tools/clientcmd, rest.InClusterConfig).
 *
 *   switch (kube_config_load(&options, &config, &err)) {
 *   case 1: … config->server, config->identity … kube_config_free(config);
 *   case 0: there is no cluster
 *   case -1: err names file, context, field and the cure
 *   }
 *
 * Certificates and tokens that come from files are read again when the files change. The memory of
 * everything here is wiped when it is given back.
 */
#ifndef KUBE_CONFIG_H
#define KUBE_CONFIG_H

#include "base/clock.h"
#include "base/mem.h"
#include "kube/identity.h"

struct kube_config_options {
    const struct mem *mem;
    const struct clock *clock;
    const char *kubeconfig; /* a file; NULL: those of the variable KUBECONFIG, first one first */
    const char *context;    /* NULL: the current one */
    /* The environment; NULL: this process's. */
    const char *(*env)(void *ctx, const char *name);
    void *env_ctx;
    const char
        *service_account; /* folder with token, ca.crt, namespace; NULL: where pods have it */
};

struct kube_config {
    struct str server;          /* URL */
    struct str host;            /* HOST:PORT as in the URL, for metrics and logs */
    struct str tls_server_name; /* or absent */
    struct str proxy;           /* URL, or absent */
    bool is_insecure;
    struct str namespace; /* of the context or the pod, or absent */
    struct str origin;    /* "context prod of /root/.kube/config", for logs */
    struct kube_identity_source *identity;
};

/* 1 and *ret, 0 when there is no cluster, -1 with *err. */
int kube_config_load(const struct kube_config_options *options, struct kube_config **ret,
                     struct err *err);
/* After the transport that uses it. Accepts NULL. */
void kube_config_free(struct kube_config *config);

#endif
