/* The Service of a Performer: where it leads, and putting it right. */
#include "controller/performer_parts.h"

#include "types/names.h"

static struct json *selector_of(struct scene *scene, uint64_t revision)
{
    struct manifest *m = &scene->make;
    char hex[HEX_SIZE];
    struct json *selector = manifest_object(m);
    manifest_put_str(m, selector, LABEL_PERFORMER, scene->performer->stored.name);
    struct str text = performer_hex(revision, hex);
    manifest_put_str(m, selector, LABEL_REVISION, manifest_printf(m, "%" PRIstr, STR_ARG(text)));
    return selector;
}

/* The port of the pod goes by its name, so that pods with different ones can follow each other. */
static struct json *ports_of(struct scene *scene)
{
    struct manifest *m = &scene->make;
    struct json *ports = manifest_list(m), *port = manifest_object(m);
    manifest_put_str(m, port, "name", STR(PERFORMER_PORT));
    manifest_put_int(m, port, "port", scene->performer->grpc_port);
    manifest_put_str(m, port, "targetPort", STR(PERFORMER_PORT));
    manifest_put_str(m, port, "protocol", STR("TCP"));
    manifest_append(m, ports, port);
    return ports;
}

static void create(struct scene *scene, uint64_t revision)
{
    struct manifest *m = &scene->make;
    struct json *service = manifest_object(m);
    manifest_put_str(m, service, "apiVersion", STR("v1"));
    manifest_put_str(m, service, "kind", STR("Service"));
    struct json *metadata = manifest_put_object(m, service, "metadata");
    manifest_put_str(m, metadata, "name", scene->service_name);
    manifest_put_str(m, metadata, "namespace", scene->performer->stored.namespace);
    manifest_put(m, metadata, "labels", performer_labels(scene));
    manifest_put(m, metadata, "ownerReferences",
                 performer_owner_references(scene, (struct str){NULL, 0}));
    struct json *spec = manifest_put_object(m, service, "spec");
    manifest_put_str(m, spec, "type", STR("ClusterIP"));
    manifest_put(m, spec, "selector", selector_of(scene, revision));
    manifest_put(m, spec, "ports", ports_of(scene));
    performer_create(scene, &kube_services, scene->service_name, service, "create service");
}

/* In a merge patch a member goes when it is set to null. */
static void put_selector(struct scene *scene, struct json *spec, uint64_t revision)
{
    struct manifest *m = &scene->make;
    struct err err;
    struct json *selector = selector_of(scene, revision);
    const struct json *now = NULL;
    if (scene->service->selector.len > 0) {
        now = json_read(m->arena, scene->service->selector, &json_limits_default, &err);
        m->failed = m->failed || !now;
    }
    JSON_EACH (label, now) {
        if (!json_get(selector, json_key(label)))
            manifest_put_null(m, selector, json_key(label));
    }
    manifest_put(m, spec, "selector", selector);
}

/* True when somebody else has changed it. */
static bool restore(struct scene *scene, struct json *patch, struct json *spec)
{
    struct manifest *m = &scene->make;
    const struct performer_service *service = scene->service;
    struct json *metadata = manifest_put_object(m, patch, "metadata");
    struct json *labels = performer_labels(scene);
    bool is_changed = !service->is_cluster_ip || !service->selects_performer || service->port == 0;
    if (performer_labels_hash(labels) != service->labels_hash) {
        manifest_put(m, metadata, "labels", labels);
        is_changed = true;
    }
    if (!str_is_set(service->stored.owner_uid)) {
        manifest_put(m, metadata, "ownerReferences",
                     performer_owner_references(scene, service->owners));
        is_changed = true;
    }
    if (!service->is_cluster_ip) {
        manifest_put_str(m, spec, "type", STR("ClusterIP"));
        manifest_put_null(m, spec, STR("externalName"));
    }
    return is_changed;
}

void performer_service_ensure(struct scene *scene, uint64_t revision)
{
    struct manifest *m = &scene->make;
    const struct performer_service *service = scene->service;
    if (!service) {
        create(scene, revision);
        return;
    }
    if (service->stored.is_deleting)
        return; /* another one when it is gone */
    /* As long as it leads to a pod of before, its clients call the port of before. */
    bool is_before = scene->keeper && revision == scene->keeper->revision && service->port > 0;
    bool has_port = service->port == scene->performer->grpc_port || is_before;
    bool has_selector = service->selects_performer && service->revision == revision;
    struct json *patch = manifest_object(m), *spec = manifest_object(m);
    bool is_changed = restore(scene, patch, spec);
    if (!is_changed && has_port && has_selector)
        return;
    if (!has_selector)
        put_selector(scene, spec, revision);
    if (!has_port)
        manifest_put(m, spec, "ports", ports_of(scene));
    if (json_first(spec))
        manifest_put(m, patch, "spec", spec);
    performer_patch(scene, &kube_services, &service->stored, patch,
                    is_changed ? "restore service" : "switch service");
    performer_rest(scene);
    if (is_changed)
        performer_event(
            scene, false, REASON_RESTORED,
            manifest_printf(m, "Service %" PRIstr " is set back", STR_ARG(scene->service_name)));
}

bool performer_service_leads_to(const struct scene *scene, const struct performer_pod *pod)
{
    const struct performer_service *service = scene->service;
    if (!service || service->stored.is_deleting || service->revision != pod->revision ||
        !performer_is_listed(scene, pod))
        return false;
    for (const struct performer_pod *other = performer_first_pod(scene); other;
         other = performer_next_pod(scene, other)) {
        if (other != pod && performer_is_listed(scene, other))
            return false;
    }
    return true;
}
