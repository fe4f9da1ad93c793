/* The resources that our programs use, and their paths. */
#include "kube/resource.h"

const struct kube_resource kube_pods = {"", "v1", "Pod", "pods", true};
const struct kube_resource kube_services = {"", "v1", "Service", "services", true};
const struct kube_resource kube_nodes = {"", "v1", "Node", "nodes", false};
const struct kube_resource kube_events = {"", "v1", "Event", "events", true};
const struct kube_resource kube_config_maps = {"", "v1", "ConfigMap", "configmaps", true};
const struct kube_resource kube_endpoint_slices = {"discovery.k8s.io", "v1", "EndpointSlice",
                                                   "endpointslices", true};
const struct kube_resource kube_leases = {"coordination.k8s.io", "v1", "Lease", "leases", true};
const struct kube_resource kube_jobs = {"batch", "v1", "Job", "jobs", true};
const struct kube_resource kube_performers = {"hourglass.eigenlayer.io", "v1alpha1", "Performer",
                                              "performers", true};
const struct kube_resource kube_jobflows = {"workflow.kube-zen.io", "v1alpha1", "JobFlow",
                                            "jobflows", true};
const struct kube_resource kube_jobflow_templates = {"workflow.kube-zen.io", "v1alpha1",
                                                     "JobFlowTemplate", "jobflowtemplates", true};

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
