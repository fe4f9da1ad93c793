/* The resources that our programs use, and their paths. */
#include "kube/resource.h"

const struct kube_resource kube_pods = {
    .group = "", .version = "v1", .kind = "Pod", .plural = "pods", .is_namespaced = true};
const struct kube_resource kube_services = {.group = "",
                                            .version = "v1",
                                            .kind = "Service",
                                            .plural = "services",
                                            .is_namespaced = true,
                                            .is_plain = true};
const struct kube_resource kube_nodes = {
    .group = "", .version = "v1", .kind = "Node", .plural = "nodes", .is_plain = true};
const struct kube_resource kube_events = {.group = "",
                                          .version = "v1",
                                          .kind = "Event",
                                          .plural = "events",
                                          .is_namespaced = true,
                                          .is_plain = true};
const struct kube_resource kube_config_maps = {.group = "",
                                               .version = "v1",
                                               .kind = "ConfigMap",
                                               .plural = "configmaps",
                                               .is_namespaced = true};
const struct kube_resource kube_volume_claims = {.group = "",
                                                 .version = "v1",
                                                 .kind = "PersistentVolumeClaim",
                                                 .plural = "persistentvolumeclaims",
                                                 .is_namespaced = true,
                                                 .is_plain = true};
const struct kube_resource kube_secrets = {
    .group = "", .version = "v1", .kind = "Secret", .plural = "secrets", .is_namespaced = true};
const struct kube_resource kube_endpoint_slices = {.group = "discovery.k8s.io",
                                                   .version = "v1",
                                                   .kind = "EndpointSlice",
                                                   .plural = "endpointslices",
                                                   .is_namespaced = true,
                                                   .is_plain = true};
const struct kube_resource kube_leases = {.group = "coordination.k8s.io",
                                          .version = "v1",
                                          .kind = "Lease",
                                          .plural = "leases",
                                          .is_namespaced = true,
                                          .is_plain = true};
const struct kube_resource kube_jobs = {
    .group = "batch", .version = "v1", .kind = "Job", .plural = "jobs", .is_namespaced = true};
const struct kube_resource kube_disruption_budgets = {.group = "policy",
                                                      .version = "v1",
                                                      .kind = "PodDisruptionBudget",
                                                      .plural = "poddisruptionbudgets",
                                                      .is_namespaced = true,
                                                      .is_plain = true};
const struct kube_resource kube_performers = {.group = "hourglass.eigenlayer.io",
                                              .version = "v1alpha1",
                                              .kind = "Performer",
                                              .plural = "performers",
                                              .is_namespaced = true};
const struct kube_resource kube_jobflows = {.group = "workflow.kube-zen.io",
                                            .version = "v1alpha1",
                                            .kind = "JobFlow",
                                            .plural = "jobflows",
                                            .is_namespaced = true};
const struct kube_resource kube_jobflow_templates = {.group = "workflow.kube-zen.io",
                                                     .version = "v1alpha1",
                                                     .kind = "JobFlowTemplate",
                                                     .plural = "jobflowtemplates",
                                                     .is_namespaced = true};
const struct kube_resource kube_mutating_webhooks = {.group = "admissionregistration.k8s.io",
                                                     .version = "v1",
                                                     .kind = "MutatingWebhookConfiguration",
                                                     .plural = "mutatingwebhookconfigurations",
                                                     .is_plain = true};
const struct kube_resource kube_validating_webhooks = {.group = "admissionregistration.k8s.io",
                                                       .version = "v1",
                                                       .kind = "ValidatingWebhookConfiguration",
                                                       .plural = "validatingwebhookconfigurations",
                                                       .is_plain = true};

/* RFC 3986, section 2.3. */
static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void put_encoded(struct buf *buf, struct str text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0, start = 0; i <= text.len; i++) {
        if (i < text.len && is_unreserved(text.ptr[i]))
            continue;
        buf_put(buf, str_sub(text, start, i - start));
        start = i + 1;
        if (i < text.len) {
            unsigned char c = (unsigned char)text.ptr[i];
            buf_put(buf, (struct str){(const char[]){'%', digits[c >> 4], digits[c & 0xF]}, 3});
        }
    }
}

bool kube_path_is_segment(struct str name)
{
    return name.len > 0 && !str_eq(name, STR(".")) && !str_eq(name, STR(".."));
}

static void put_segment(struct buf *buf, struct str name)
{
    if (!kube_path_is_segment(name))
        buf->failed = true;
    buf_put_char(buf, '/');
    put_encoded(buf, name);
}

void kube_path_put(struct buf *buf, const struct kube_resource *resource, struct str namespace,
                   struct str name, struct str subresource)
{
    buf_put(buf, resource->group[0] ? STR("/apis") : STR("/api"));
    if (resource->group[0])
        put_segment(buf, str_from_cstr(resource->group));
    put_segment(buf, str_from_cstr(resource->version));
    if (resource->is_namespaced && str_is_set(namespace)) {
        put_segment(buf, STR("namespaces"));
        put_segment(buf, namespace);
    }
    put_segment(buf, str_from_cstr(resource->plural));
    if (str_is_set(name))
        put_segment(buf, name);
    if (str_is_set(subresource))
        put_segment(buf, subresource);
}

void kube_query_put(struct buf *buf, bool *has_query, const char *key, struct str value)
{
    if (!str_is_set(value))
        return;
    buf_put_char(buf, *has_query ? '&' : '?');
    *has_query = true;
    put_encoded(buf, str_from_cstr(key));
    buf_put_char(buf, '=');
    put_encoded(buf, value);
}
