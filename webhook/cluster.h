/*
 * The API server that the webhook asks: which one and as whom, the connection to it, and the thread that
 * asks. Without one everything works but flows that are made from templates.
 */
#ifndef WEBHOOK_CLUSTER_H
#define WEBHOOK_CLUSTER_H

#include "webhook/template_lookup.h"

struct kube_config;

enum { CLUSTER_REASON_MAX = 640 };

struct cluster {
    struct kube_config *config;
    struct kube_transport *transport;
    struct template_lookups *lookups; /* NULL: there is no cluster, and `reason` says why */
    char reason[CLUSTER_REASON_MAX];
};

/*
 * From the file `kubeconfig`, or when it is NULL from the variable KUBECONFIG or the pod. To be called
 * before the first thread starts. Fails when `kubeconfig` does not work, because somebody asked for
 * it, and without memory. When the pod's account does not work, there is no cluster: Performers and
 * other flows must not suffer from it.
 */
int cluster_open(struct cluster *cluster, const char *kubeconfig, const struct clock *clock,
                 struct metrics *metrics, const struct log *log, struct err *err);
/* From now on there is a thread. */
int cluster_start(struct cluster *cluster, struct err *err);
/* After the server whose requests wait. Accepts a zeroed one. */
void cluster_close(struct cluster *cluster);

#endif
