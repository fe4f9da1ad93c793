/* The objects of a flow's resourceTemplates. */
#include "controller/flow_template.h"

static size_t length(const struct json *list)
{
    return json_is(list, JSON_ARRAY) ? list->len : 0;
}

size_t flow_resource_count(const struct flow_resources *resources)
{
    return length(resources->volume_claims) + length(resources->config_maps);
}

bool flow_resource_at(const struct flow_resources *resources, size_t index,
                      struct flow_resource *ret)
{
    size_t claims = length(resources->volume_claims);
    bool is_claim = index < claims;
    const struct json *template = is_claim ? json_at(resources->volume_claims, index)
                                           : json_at(resources->config_maps, index - claims);
    if (!template)
        return false;
    *ret = (struct flow_resource){
        .resource = is_claim ? &kube_volume_claims : &kube_config_maps,
        .name = json_str(json_path(template, "metadata", "name", NULL)),
        .template = template,
    };
    return true;
}

static struct json *metadata_of(struct manifest *m, const struct flow_owner *flow,
                                const struct flow_resource *resource)
{
    const struct json *from = json_get(resource->template, STR("metadata"));
    struct json *metadata = manifest_object(m);
    struct json *labels = flow_child_labels(m, flow->name, (struct str){NULL, 0}, 0);
    manifest_put_str(m, metadata, "name", resource->name);
    manifest_put_str(m, metadata, "namespace", flow->namespace);
    manifest_merge(m, labels, json_get(from, STR("labels")));
    manifest_put(m, metadata, "labels", labels);
    if (json_first(json_get(from, STR("annotations"))))
        manifest_put(m, metadata, "annotations",
                     manifest_copy(m, json_get(from, STR("annotations"))));
    manifest_put(m, metadata, "ownerReferences", flow_owner_references(m, flow));
    return metadata;
}

struct json *flow_resource_make(struct manifest *m, const struct flow_owner *flow,
                                const struct flow_resource *resource)
{
    struct json *object = manifest_object(m);
    manifest_put_str(m, object, "apiVersion", str_from_cstr(resource->resource->version));
    manifest_put_str(m, object, "kind", str_from_cstr(resource->resource->kind));
    manifest_put(m, object, "metadata", metadata_of(m, flow, resource));
    JSON_EACH (member, resource->template) {
        struct json *copy = manifest_copy(m, member);
        bool is_own =
            str_eq(json_key(member), STR("status")) || json_get(object, json_key(member)) != NULL;
        if (!is_own && (!object || !json_set(object, json_key(member), copy)))
            m->failed = true;
    }
    return m->failed ? NULL : object;
}
