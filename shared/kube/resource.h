/*
 * The resources that our programs use, and the paths under which the API server serves them
 * (k8s.io/apiserver pkg/endpoints: /api/v1/namespaces/NS/pods/NAME/status).
 */
#ifndef KUBE_RESOURCE_H
#define KUBE_RESOURCE_H

#include "base/buf.h"

struct kube_resource {
    const char *group; /* "" is the core group */
    const char *version;
    const char *kind;
    const char *plural;
    bool is_namespaced;
};

extern const struct kube_resource kube_pods, kube_services, kube_nodes, kube_endpoint_slices,
    kube_events, kube_leases, kube_jobs, kube_config_maps, kube_performers, kube_jobflows,
    kube_jobflow_templates;

/* Appends the path of an object, or of the collection when `name` is absent (of all namespaces when
 * `namespace` is absent); `subresource` is absent or "status", "binding", "eviction". Names are
 * percent-encoded: a strange one cannot leave its place. */
void kube_path_put(struct buf *buf, const struct kube_resource *resource, struct str namespace,
                   struct str name, struct str subresource);
/* Appends "?key=value" or "&key=value" (the first when *has_query is false), encoded. */
void kube_query_put(struct buf *buf, bool *has_query, const char *key, struct str value);

#endif
