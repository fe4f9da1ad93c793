/* The pod of a Performer: its manifest, and putting it right. */
#include "controller/performer_pod.h"
#include "controller/performer_parts.h"

#include "types/names.h"

#include <stdlib.h>

enum {
    /* A container may take five minutes until it serves (models are large), and is asked often enough
     * to be noticed within seconds. */
    STARTUP_PERIOD_S = 2,
    STARTUP_FAILURES = 150,
    PROBE_PERIOD_S = 10,
    READINESS_PERIOD_S = 5,
    PROBE_TIMEOUT_S = 5,
    PROBE_FAILURES = 3,
    GRACE_S = 30,
    /* Calls in flight have this long even in a server that ends at once when it is told to; one that
     * ends well has the rest of the grace period for it. */
    PRE_STOP_SLEEP_S = 20,
};

static const struct json_limits spec_limits = {.max_depth = 64, .max_values = 400000};

/* ---- Metadata ---- */

struct json *performer_owner_references(struct scene *scene, struct str others)
{
    struct manifest *m = &scene->make;
    struct err err;
    struct json *list = manifest_list(m), *owner = manifest_object(m);
    manifest_append(m, list, owner);
    manifest_put_str(m, owner, "apiVersion", STR("hourglass.eigenlayer.io/v1alpha1"));
    manifest_put_str(m, owner, "kind", STR("Performer"));
    manifest_put_str(m, owner, "name", scene->performer->stored.name);
    manifest_put_str(m, owner, "uid", scene->performer->stored.uid);
    manifest_put_bool(m, owner, "controller", true);
    manifest_put_bool(m, owner, "blockOwnerDeletion", true);
    if (str_is_set(others)) {
        const struct json *rest = json_read(m->arena, others, &json_limits_default, &err);
        m->failed = m->failed || !rest;
        manifest_merge(m, list, rest);
    }
    return list;
}

struct json *performer_labels(struct scene *scene)
{
    struct manifest *m = &scene->make;
    struct json *labels = manifest_object(m);
    manifest_put_str(m, labels, LABEL_APP, STR(APP_PERFORMER));
    manifest_put_str(m, labels, LABEL_MANAGED_BY, STR(MANAGED_BY));
    manifest_put_str(m, labels, LABEL_PERFORMER, scene->performer->stored.name);
    manifest_put_str(m, labels, LABEL_AVS, scene->performer->avs_label);
    return labels;
}

static struct json *pod_labels(struct scene *scene)
{
    struct manifest *m = &scene->make;
    const struct performer_object *performer = scene->performer;
    char hex[HEX_SIZE];
    struct str revision = performer_hex(performer->revision, hex);
    struct json *labels = performer_labels(scene);
    manifest_put_str(m, labels, LABEL_REVISION, manifest_printf(m, "%" PRIstr, STR_ARG(revision)));
    manifest_put_str(m, labels, LABEL_ATTEMPT,
                     manifest_printf(m, "%lld", (long long)scene->attempt));
    manifest_put_str(m, labels, LABEL_RESERVATION, performer->reservation);
    return labels;
}

static void put_metadata(struct pod_maker *maker, struct json *pod)
{
    struct manifest *m = maker->m;
    const struct stored *performer = &maker->scene->performer->stored;
    struct json *metadata = manifest_put_object(m, pod, "metadata");
    manifest_put_str(m, metadata, "name", maker->scene->pod_name);
    manifest_put_str(m, metadata, "namespace", performer->namespace);
    manifest_put(m, metadata, "labels", pod_labels(maker->scene));
    if (json_first(maker->annotations))
        manifest_put(m, metadata, "annotations", maker->annotations);
    manifest_put(m, metadata, "ownerReferences",
                 performer_owner_references(maker->scene, (struct str){NULL, 0}));
}

/* ---- Environment ---- */

static int by_name(const void *a, const void *b)
{
    const struct json *const *x = a, *const *y = b;
    return str_cmp(json_str(json_get(*x, STR("name"))), json_str(json_get(*y, STR("name"))));
}

static struct json *variable(struct manifest *m, struct str name)
{
    struct json *entry = manifest_object(m);
    manifest_put_str(m, entry, "name", name);
    return entry;
}

static void add_devices(struct pod_maker *maker, struct json *list)
{
    struct manifest *m = maker->m;
    struct json *entry = variable(m, STR("NVIDIA_VISIBLE_DEVICES"));
    struct json *ref =
        manifest_put_object(m, manifest_put_object(m, entry, "valueFrom"), "fieldRef");
    manifest_put_str(m, ref, "fieldPath", STR("metadata.annotations['" ANNOTATION_DEVICES "']"));
    manifest_append(m, list, entry);
}

static bool names_variable(const struct json *list, const char *name)
{
    JSON_EACH (entry, list) {
        if (str_eq_cstr(json_str(json_get(entry, STR("name"))), name))
            return true;
    }
    return false;
}

static struct json *all_variables(struct pod_maker *maker)
{
    struct manifest *m = maker->m;
    const struct performer_config *config = &maker->spec.config;
    struct json *list = manifest_list(m);
    JSON_EACH (value, config->environment) {
        struct json *entry = variable(m, json_key(value));
        manifest_put_str(m, entry, "value", json_str(value));
        manifest_append(m, list, entry);
    }
    JSON_EACH (source, config->environment_from) {
        struct json *entry = variable(m, json_str(json_get(source, STR("name"))));
        manifest_put(m, entry, "valueFrom", manifest_copy(m, json_get(source, STR("valueFrom"))));
        manifest_append(m, list, entry);
    }
    if (maker->has_shared_gpu && !names_variable(list, "NVIDIA_VISIBLE_DEVICES"))
        add_devices(maker, list);
    return list;
}

/* Sorted, so that the same Performer always gives the same pod. */
static struct json *environment(struct pod_maker *maker)
{
    struct manifest *m = maker->m;
    struct json *list = all_variables(maker), *sorted = manifest_list(m);
    size_t count = 0, len = list ? list->len : 0;
    struct json **entries = ARENA_NEW_ARRAY(m->arena, struct json *, len + 1);
    m->failed = m->failed || !entries;
    if (m->failed)
        return sorted;
    for (struct json *entry = json_first(list); entry; entry = entry->next)
        entries[count++] = entry;
    qsort(entries, count, sizeof(struct json *), by_name);
    for (size_t i = 0; i < count; i++) {
        entries[i]->next = NULL;
        manifest_append(m, sorted, entries[i]);
    }
    return sorted;
}

/* ---- Container ---- */

static void put_probe(struct pod_maker *maker, struct json *container, const char *name,
                      int period_s, int failures)
{
    struct manifest *m = maker->m;
    struct json *probe = manifest_put_object(m, container, name);
    manifest_put_int(m, manifest_put_object(m, probe, "grpc"), "port", maker->port);
    manifest_put_int(m, probe, "periodSeconds", period_s);
    manifest_put_int(m, probe, "timeoutSeconds", PROBE_TIMEOUT_S);
    manifest_put_int(m, probe, "failureThreshold", failures);
}

static void put_port(struct pod_maker *maker, struct json *container)
{
    struct manifest *m = maker->m;
    struct json *port = manifest_object(m);
    manifest_put_str(m, port, "name", STR(PERFORMER_PORT));
    manifest_put_int(m, port, "containerPort", maker->port);
    manifest_put_str(m, port, "protocol", STR("TCP"));
    manifest_append(m, manifest_put_list(m, container, "ports"), port);
}

/* The kubelet's own sleep (on since Kubernetes 1.30): an image need not have a shell. */
static void put_pre_stop(struct pod_maker *maker, struct json *container)
{
    struct manifest *m = maker->m;
    struct json *hook =
        manifest_put_object(m, manifest_put_object(m, container, "lifecycle"), "preStop");
    manifest_put_int(m, manifest_put_object(m, hook, "sleep"), "seconds", PRE_STOP_SLEEP_S);
}

static void put_copy(struct pod_maker *maker, struct json *to, const char *key,
                     const struct json *value)
{
    if (json_first(value))
        manifest_put(maker->m, to, key, manifest_copy(maker->m, value));
}

static struct json *container_of(struct pod_maker *maker)
{
    struct manifest *m = maker->m;
    const struct performer_spec *spec = &maker->spec;
    struct json *container = manifest_object(m), *variables = environment(maker);
    manifest_put_str(m, container, "name", STR(PERFORMER_CONTAINER));
    manifest_put_str(m, container, "image", spec->image);
    manifest_put_str(m, container, "imagePullPolicy", spec->image_pull_policy);
    put_copy(maker, container, "command", spec->config.command);
    put_copy(maker, container, "args", spec->config.args);
    if (json_first(variables))
        manifest_put(m, container, "env", variables);
    put_port(maker, container);
    if (json_first(maker->resources))
        manifest_put(m, container, "resources", maker->resources);
    put_probe(maker, container, "startupProbe", STARTUP_PERIOD_S, STARTUP_FAILURES);
    put_probe(maker, container, "livenessProbe", PROBE_PERIOD_S, PROBE_FAILURES);
    put_probe(maker, container, "readinessProbe", READINESS_PERIOD_S, PROBE_FAILURES);
    if (maker->scene->performer->is_blue_green)
        put_pre_stop(maker, container);
    return container;
}

/* ---- Pod ---- */

static void put_scheduling(struct pod_maker *maker, struct json *spec)
{
    struct manifest *m = maker->m;
    if (maker->scene->controller->scheduler == PERFORMER_SCHEDULER_OWN)
        manifest_put_str(m, spec, "schedulerName", STR(SCHEDULER_NAME));
    manifest_put_str(m, spec, "priorityClassName", maker->spec.scheduling.priority_class_name);
    manifest_put_str(m, spec, "runtimeClassName", maker->runtime_class);
    if (json_first(maker->node_selector))
        manifest_put(m, spec, "nodeSelector", maker->node_selector);
    if (json_first(maker->affinity))
        manifest_put(m, spec, "affinity", maker->affinity);
    if (json_first(maker->tolerations))
        manifest_put(m, spec, "tolerations", maker->tolerations);
}

static void put_spec(struct pod_maker *maker, struct json *pod)
{
    struct manifest *m = maker->m;
    struct json *spec = manifest_put_object(m, pod, "spec");
    manifest_append(m, manifest_put_list(m, spec, "containers"), container_of(maker));
    manifest_put_str(m, spec, "restartPolicy", STR("Always"));
    manifest_put_int(m, spec, "terminationGracePeriodSeconds", GRACE_S);
    /* A namespace with thousands of Services would fill the environment until nothing starts. */
    manifest_put_bool(m, spec, "enableServiceLinks", false);
    manifest_put_str(m, spec, "serviceAccountName", maker->spec.config.service_account_name);
    put_copy(maker, spec, "imagePullSecrets", maker->spec.image_pull_secrets);
    put_scheduling(maker, spec);
}

static bool read_spec(struct pod_maker *maker)
{
    struct err err;
    const struct json *spec =
        json_read(maker->m->arena, maker->scene->performer->spec, &spec_limits, &err);
    return spec && schema_decode(schema_field(performer_kind.schema, STR("spec")), spec,
                                 &maker->spec, maker->m->arena);
}

struct json *performer_pod_manifest(struct scene *scene, struct str *problem)
{
    struct manifest *m = &scene->make;
    struct pod_maker maker = {.scene = scene, .m = m, .port = scene->performer->grpc_port};
    *problem = (struct str){NULL, 0};
    if (!read_spec(&maker)) {
        m->failed = true;
        return NULL;
    }
    *problem = pod_maker_place(&maker);
    if (m->failed || str_is_set(*problem))
        return NULL;
    struct json *pod = manifest_object(m);
    manifest_put_str(m, pod, "apiVersion", STR("v1"));
    manifest_put_str(m, pod, "kind", STR("Pod"));
    put_metadata(&maker, pod);
    put_spec(&maker, pod);
    return m->failed ? NULL : pod;
}

/* ---- Putting right ---- */

/* Whether it may be what `kubectl set image` did, and not what an admission webhook made of the image when
 * the pod was created, such as the name of a mirror: the generation counts changes of a pod's spec (since
 * Kubernetes 1.34; 0 before, when the two cannot be told apart). */
static bool was_changed(const struct performer_pod *pod)
{
    return pod->container >= 0 && pod->stored.generation > 1;
}

static struct str wanted_image(struct scene *scene)
{
    struct err err;
    const struct json *spec =
        json_read(scene->make.arena, scene->performer->spec, &spec_limits, &err);
    scene->make.failed = scene->make.failed || !spec;
    return kube_text_at(spec, "image", NULL);
}

/* A merge patch replaces a list as a whole, and the other containers are not known here: the image is
 * set by a strategic place in the list. */
static void restore_image(struct scene *scene, struct str image)
{
    struct manifest *m = &scene->make;
    const struct performer_pod *pod = scene->current;
    struct json *patch = manifest_list(m);
    struct json *version = manifest_object(m), *replace = manifest_object(m);
    manifest_put_str(m, version, "op", STR("replace"));
    manifest_put_str(m, version, "path", STR("/metadata/resourceVersion"));
    manifest_put_str(m, version, "value",
                     manifest_printf(m, "%llu", (unsigned long long)pod->stored.version));
    manifest_put_str(m, replace, "op", STR("replace"));
    manifest_put_str(m, replace, "path",
                     manifest_printf(m, "/spec/containers/%d/image", pod->container));
    manifest_put_str(m, replace, "value", image);
    manifest_append(m, patch, version);
    manifest_append(m, patch, replace);
    performer_patch_json(scene, &kube_pods, &pod->stored, patch, "restore image");
    performer_rest(scene);
    performer_event(
        scene, false, REASON_RESTORED,
        manifest_printf(m, "the image of pod %" PRIstr " is set back", STR_ARG(pod->stored.name)));
}

void performer_pod_repair(struct scene *scene)
{
    struct manifest *m = &scene->make;
    const struct performer_pod *pod = scene->current;
    struct json *labels = pod_labels(scene), *patch = manifest_object(m);
    struct json *metadata = manifest_put_object(m, patch, "metadata");
    if (performer_labels_hash(labels) != pod->labels_hash)
        manifest_put(m, metadata, "labels", labels);
    if (!str_is_set(pod->stored.owner_uid))
        manifest_put(m, metadata, "ownerReferences",
                     performer_owner_references(scene, pod->owners));
    if (json_first(metadata)) {
        performer_patch(scene, &kube_pods, &pod->stored, patch, "restore metadata of pod");
        performer_rest(scene);
        performer_event(scene, false, REASON_RESTORED,
                        manifest_printf(m, "the metadata of pod %" PRIstr " is set back",
                                        STR_ARG(pod->stored.name)));
        return; /* then the image */
    }
    if (!was_changed(pod))
        return;
    struct str image = wanted_image(scene);
    if (!str_eq(pod->image, image))
        restore_image(scene, image);
}
