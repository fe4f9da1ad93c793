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
    /* Its objects hold nothing confidential, so that a message of the server that quotes them may be
     * shown. Environment values make an object confidential. */
    bool is_plain;
};

extern const struct kube_resource kube_pods, kube_services, kube_nodes, kube_endpoint_slices,
    kube_events, kube_leases, kube_jobs, kube_config_maps, kube_volume_claims, kube_secrets,
    kube_disruption_budgets, kube_performers, kube_jobflows, kube_jobflow_templates,
    kube_mutating_webhooks, kube_validating_webhooks;

/* Whether it can be a part of a path: not empty, "." or ".." (an empty name would make the request one
 * for the whole collection). */
bool kube_path_is_segment(struct str name);
/* Appends the path of an object, or of the collection when `name` is absent (of all namespaces when
 * `namespace` is absent or the resource has none); `subresource` is absent or "status", "binding",
 * "eviction". Names are percent-encoded: a strange one cannot leave its place, and one that is no
 * segment fails the buffer. */
void kube_path_put(struct buf *buf, const struct kube_resource *resource, struct str namespace,
                   struct str name, struct str subresource);
/* Appends "?key=value" or "&key=value" (the first when *has_query is false), encoded; nothing for an
 * absent value. */
void kube_query_put(struct buf *buf, bool *has_query, const char *key, struct str value);

#endif
