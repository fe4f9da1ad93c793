/* Writes: create, update, patch, delete, bind (k8s.io/apiserver pkg/registry/rest, generic/registry). */
#include "unit/sim/server_parts.h"

#include "unit/apply_patch.h"

#define META STR("metadata")

/* ---- Common ---- */

static struct json *meta_of(struct json *object)
{
    return json_get(object, META);
}

static struct sim_object *find(struct sim_call *call)
{
    struct sim_object *object = sim_store_get(&call->server->store, call->target.resource->kube,
                                              call->target.namespace, call->target.name);
    if (!object)
        sim_refuse_not_found(call, call->target.name);
    return object;
}

static struct json *read_body(struct sim_call *call, enum json_type type)
{
    struct err err;
    struct json *body = json_read(call->arena, call->request->body, &json_limits_default, &err);
    if (body && body->type == type)
        return body;
    sim_refuse(call, 400, "BadRequest", "the request's body is not what was expected: %s",
               body ? "its type" : err.message);
    return NULL;
}

/* The text of now, to seconds, in the arena. */
static struct str now_text(struct sim_call *call, int64_t plus_s)
{
    char text[CLOCK_TEXT_SIZE];
    int64_t wall_ns = clock_wall_ns(call->server->clock) + plus_s * CLOCK_NS_PER_SEC;
    return arena_copy(call->arena, clock_print(wall_ns, CLOCK_SECONDS, text));
}

static void tell(struct sim_call *call)
{
    struct sim_server *server = call->server;
    if (server->on_write)
        server->on_write(server->ctx, sim_store_event(&server->store, server->store.version));
}

static struct sim_object *put(struct sim_call *call, struct sim_object *before, struct json *tree)
{
    struct sim_object *object =
        sim_store_put(&call->server->store, call->target.resource, before, tree, call->arena);
    tell(call);
    return object;
}

/* Removes for good; `tree` is what watchers see at last. */
static void remove_now(struct sim_call *call, struct sim_object *object, struct json *tree)
{
    sim_store_remove(&call->server->store, object, tree, call->arena);
    tell(call);
}

static struct json *copy_tree(struct sim_call *call, const struct sim_object *object)
{
    return tree_read(call->arena, object->text);
}

/* Everything that is not metadata or status. */
static bool is_spec_equal(struct sim_call *call, const struct json *a, const struct json *b)
{
    struct json *x = json_copy(call->arena, a), *y = json_copy(call->arena, b);
    struct json *both[] = {x, y};
    for (size_t i = 0; i < 2; i++) {
        json_remove(both[i], META);
        json_remove(both[i], STR("status"));
    }
    return json_equal(x, y);
}

/* ---- Create ---- */

static void set_default_str(struct sim_call *call, struct json *object, const char *key,
                            const char *text)
{
    if (!json_get(object, str_from_cstr(key)))
        tree_set_str(call->arena, object, key, str_from_cstr(text));
}

static void set_default(struct sim_call *call, struct json *object, const char *key,
                        const char *json)
{
    if (!json_get(object, str_from_cstr(key)))
        tree_set(object, str_from_cstr(key), tree_read(call->arena, str_from_cstr(json)));
}

static bool tolerates(const struct json *spec, struct str key)
{
    JSON_EACH (toleration, json_get(spec, STR("tolerations"))) {
        struct str found = json_str(json_get(toleration, STR("key")));
        if (!str_is_set(found) || str_eq(found, key))
            return true;
    }
    return false;
}

/* The admission plugin DefaultTolerationSeconds. */
static void add_toleration(struct sim_call *call, struct json *spec, const char *key)
{
    if (tolerates(spec, str_from_cstr(key)))
        return;
    bool done = json_append(tree_child(call->arena, spec, "tolerations", JSON_ARRAY),
                            tree_readf(call->arena,
                                       "{\"key\":\"%s\",\"operator\":\"Exists\","
                                       "\"effect\":\"NoExecute\",\"tolerationSeconds\":300}",
                                       key));
    sim_require(done);
}

/* The defaults that a controller which compares what is with what it wants must bear. */
static void default_pod(struct sim_call *call, struct json *object)
{
    struct json *spec = tree_child(call->arena, object, "spec", JSON_OBJECT);
    set_default_str(call, spec, "restartPolicy", "Always");
    set_default(call, spec, "terminationGracePeriodSeconds", "30");
    set_default_str(call, spec, "dnsPolicy", "ClusterFirst");
    set_default_str(call, spec, "serviceAccountName", "default");
    set_default_str(call, spec, "schedulerName", "default-scheduler");
    set_default(call, spec, "securityContext", "{}");
    set_default(call, spec, "enableServiceLinks", "true");
    set_default(call, spec, "priority", "0");
    add_toleration(call, spec, "node.kubernetes.io/not-ready");
    add_toleration(call, spec, "node.kubernetes.io/unreachable");
    JSON_EACH (container, json_get(spec, STR("containers"))) {
        set_default_str(call, container, "terminationMessagePath", "/dev/termination-log");
        set_default_str(call, container, "terminationMessagePolicy", "File");
        set_default_str(call, container, "imagePullPolicy", "IfNotPresent");
        set_default(call, container, "resources", "{}");
    }
    tree_set(object, STR("status"),
             tree_read(call->arena, STR("{\"phase\":\"Pending\",\"qosClass\":\"BestEffort\"}")));
}

static void default_service(struct sim_call *call, struct json *object)
{
    struct json *spec = tree_child(call->arena, object, "spec", JSON_OBJECT);
    uint64_t n = random_u64(call->server->random);
    if (!json_get(spec, STR("clusterIP"))) {
        struct str ip =
            arena_printf(call->arena, "10.0.%u.%u", (unsigned)(n >> 8 & 255), (unsigned)(n & 255));
        tree_set_str(call->arena, spec, "clusterIP", ip);
        tree_set(spec, STR("clusterIPs"),
                 tree_readf(call->arena, "[\"%" PRIstr "\"]", STR_ARG(ip)));
    }
    set_default_str(call, spec, "type", "ClusterIP");
    set_default_str(call, spec, "sessionAffinity", "None");
    set_default_str(call, spec, "internalTrafficPolicy", "Cluster");
    set_default(call, spec, "ipFamilies", "[\"IPv4\"]");
    set_default_str(call, spec, "ipFamilyPolicy", "SingleStack");
    JSON_EACH (port, json_get(spec, STR("ports"))) {
        set_default_str(call, port, "protocol", "TCP");
        if (!json_get(port, STR("targetPort")))
            tree_copy_member(call->arena, port, port, "port");
    }
    set_default(call, object, "status", "{\"loadBalancer\":{}}");
}

/* pkg/apis/batch/v1 defaults.go, pkg/registry/batch/job strategy.go. */
static void default_job(struct sim_call *call, struct json *object)
{
    struct json *meta = meta_of(object),
                *spec = tree_child(call->arena, object, "spec", JSON_OBJECT);
    struct json *template = tree_child(call->arena, spec, "template", JSON_OBJECT);
    struct json *template_meta = tree_child(call->arena, template, "metadata", JSON_OBJECT);
    struct json *labels = tree_child(call->arena, template_meta, "labels", JSON_OBJECT);
    struct str uid = json_str(json_get(meta, STR("uid")));
    set_default(call, spec, "parallelism", "1");
    set_default(call, spec, "completions", "1");
    set_default(call, spec, "backoffLimit", "6");
    set_default(call, spec, "suspend", "false");
    set_default_str(call, spec, "completionMode", "NonIndexed");
    set_default_str(call, spec, "podReplacementPolicy", "TerminatingOrFailed");
    tree_set_str(call->arena, labels, "batch.kubernetes.io/controller-uid", uid);
    tree_set_str(call->arena, labels, "batch.kubernetes.io/job-name", call->target.name);
    tree_set(
        spec, STR("selector"),
        tree_readf(call->arena,
                   "{\"matchLabels\":{\"batch.kubernetes.io/controller-uid\":\"%" PRIstr "\"}}",
                   STR_ARG(uid)));
    tree_set(object, STR("status"), tree_read(call->arena, STR("{}")));
}

static bool check_namespace(struct sim_call *call)
{
    const struct sim_target *target = &call->target;
    if (!target->resource->kube->is_namespaced)
        return true;
    const struct sim_object *namespace = sim_store_get(&call->server->store, &kube_namespaces,
                                                       (struct str){NULL, 0}, target->namespace);
    if (!namespace) {
        sim_refuse_as(call, 404, "NotFound", "namespaces", target->namespace,
                      "namespaces \"%" PRIstr "\" not found", STR_ARG(target->namespace));
        return false;
    }
    if (!str_is_set(namespace->meta.deletion_timestamp))
        return true;
    sim_refuse_object(call, 403, "Forbidden", call->target.name,
                      "%" PRIstr " \"%" PRIstr "\" is forbidden: unable to create new content in "
                      "namespace %" PRIstr " because it is being terminated",
                      STR_ARG(sim_qualified(call)), STR_ARG(call->target.name),
                      STR_ARG(target->namespace));
    return false;
}

static bool is_name_valid(const struct sim_call *call, struct str name)
{
    bool is_label = call->target.resource->kube == &kube_services ||
                    call->target.resource->kube == &kube_namespaces;
    return format_is_valid(is_label ? FORMAT_DNS_LABEL : FORMAT_DNS_SUBDOMAIN, name);
}

/* Makes the name of generateName, and sets call->target.name. */
static bool name_it(struct sim_call *call, struct json *meta)
{
    static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
    struct str name = json_str(json_get(meta, STR("name")));
    struct str prefix = json_str(json_get(meta, STR("generateName")));
    if (name.len == 0 && prefix.len > 0) {
        char end[5];
        for (size_t i = 0; i < sizeof(end); i++)
            end[i] = letters[random_below(call->server->random, sizeof(letters) - 1)];
        name = arena_printf(call->arena, "%" PRIstr "%.5s", STR_ARG(prefix), end);
        tree_set_str(call->arena, meta, "name", name);
    }
    if (name.len == 0) {
        sim_refuse_field(call, STR(""), "metadata.name", "FieldValueRequired",
                         "Required value: name or generateName is required");
        return false;
    }
    if (!is_name_valid(call, name)) {
        sim_refuse_field(call, name, "metadata.name", "FieldValueInvalid",
                         "Invalid value: \"%" PRIstr "\"", STR_ARG(name));
        return false;
    }
    call->target.name = name;
    return true;
}

static void init_meta(struct sim_call *call, struct json *meta)
{
    static const char *const dropped[] = {"deletionTimestamp", "deletionGracePeriodSeconds",
                                          "selfLink", "managedFields", "generation"};
    char uid[RANDOM_UUID_SIZE];
    random_uuid(call->server->random, uid);
    for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++)
        json_remove(meta, str_from_cstr(dropped[i]));
    if (call->target.resource->kube->is_namespaced)
        tree_set_str(call->arena, meta, "namespace", call->target.namespace);
    tree_set_str(call->arena, meta, "uid", str_from_cstr(uid));
    tree_set_str(call->arena, meta, "creationTimestamp", now_text(call, 0));
    if (call->target.resource->has_generation)
        tree_set_int(call->arena, meta, "generation", 1);
}

static bool check_new(struct sim_call *call, struct json *object, struct json *meta)
{
    struct str namespace = json_str(json_get(meta, STR("namespace")));
    if (str_is_set(namespace) && !str_eq(namespace, call->target.namespace)) {
        sim_refuse(call, 400, "BadRequest",
                   "the namespace of the provided object does not match the namespace sent on the "
                   "request");
        return false;
    }
    if (call->target.resource->is_custom) {
        if (call->target.resource->has_status)
            json_remove(object, STR("status"));
        if (!sim_admit(call, object, NULL))
            return false;
    }
    if (json_str(json_get(meta, STR("resourceVersion"))).len > 0) {
        sim_refuse(call, 500, NULL, "resourceVersion should not be set on objects to be created");
        return false;
    }
    return name_it(call, meta);
}

void sim_create(struct sim_call *call)
{
    struct json *object = read_body(call, JSON_OBJECT);
    if (!object)
        return;
    const struct kube_resource *kube = call->target.resource->kube;
    struct json *meta = tree_child(call->arena, object, "metadata", JSON_OBJECT);
    call->target.name = json_str(json_get(meta, STR("name")));
    if (kube->is_namespaced && !str_is_set(call->target.namespace)) {
        sim_refuse(call, 405, "MethodNotAllowed",
                   "the server does not allow this method on the requested resource");
        return;
    }
    if (!check_namespace(call) || !check_new(call, object, meta))
        return;
    if (sim_store_get(&call->server->store, kube, call->target.namespace, call->target.name)) {
        sim_refuse_object(call, 409, "AlreadyExists", call->target.name,
                          "%" PRIstr " \"%" PRIstr "\" already exists",
                          STR_ARG(sim_qualified(call)), STR_ARG(call->target.name));
        return;
    }
    init_meta(call, meta);
    if (kube == &kube_pods)
        default_pod(call, object);
    if (kube == &kube_services)
        default_service(call, object);
    if (kube == &kube_jobs)
        default_job(call, object);
    sim_answer_object(call, 201, put(call, NULL, object));
}

/* ---- Update ---- */

static bool check_versions(struct sim_call *call, const struct sim_object *before,
                           const struct json *meta)
{
    struct str version = json_str(json_get(meta, STR("resourceVersion")));
    struct str uid = json_str(json_get(meta, STR("uid")));
    struct str name = json_str(json_get(meta, STR("name")));
    if (!str_eq(name, before->meta.name)) {
        sim_refuse(call, 400, "BadRequest",
                   "the name of the object (%" PRIstr ") does not match the name on the URL "
                   "(%" PRIstr ")",
                   STR_ARG(name), STR_ARG(before->meta.name));
        return false;
    }
    if (uid.len > 0 && !str_eq(uid, before->meta.uid) &&
        str_eq(call->request->method, STR("PATCH"))) {
        sim_refuse_field(call, before->meta.name, "metadata.uid", "FieldValueInvalid",
                         "Invalid value: \"%" PRIstr "\": field is immutable", STR_ARG(uid));
        return false;
    }
    if (uid.len > 0 && !str_eq(uid, before->meta.uid)) {
        sim_refuse_object(call, 409, "Conflict", before->meta.name,
                          "Operation cannot be fulfilled on %" PRIstr " \"%" PRIstr
                          "\": Precondition failed: UID in precondition: %" PRIstr
                          ", UID in object meta: %" PRIstr,
                          STR_ARG(sim_qualified(call)), STR_ARG(before->meta.name), STR_ARG(uid),
                          STR_ARG(before->meta.uid));
        return false;
    }
    if (version.len == 0 && call->target.resource->needs_version) {
        sim_refuse_version(call, before->meta.name);
        return false;
    }
    if (version.len > 0 && !str_eq(version, before->meta.resource_version)) {
        sim_refuse_changed(call, before->meta.name);
        return false;
    }
    return true;
}

/* What a client cannot change. */
static void restore_meta(struct sim_call *call, const struct sim_object *before,
                         struct json *object)
{
    static const char *const kept[] = {"uid",
                                       "namespace",
                                       "creationTimestamp",
                                       "generation",
                                       "deletionTimestamp",
                                       "deletionGracePeriodSeconds",
                                       "resourceVersion"};
    const struct json *old = json_get(before->tree, META);
    struct json *meta = meta_of(object);
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        tree_copy_member(call->arena, meta, old, kept[i]);
    json_remove(meta, STR("managedFields"));
    json_remove(meta, STR("selfLink"));
}

/* The part of the new object that this endpoint may change, over the rest of the old one. */
static struct json *choose_parts(struct sim_call *call, const struct sim_object *before,
                                 struct json *object)
{
    const struct sim_resource *resource = call->target.resource;
    if (str_is_set(call->target.subresource)) {
        struct json *whole = copy_tree(call, before);
        tree_copy_member(call->arena, whole, object, "status");
        if (!resource->is_custom) {
            tree_copy_member(call->arena, meta_of(whole), meta_of(object), "labels");
            tree_copy_member(call->arena, meta_of(whole), meta_of(object), "annotations");
        }
        return whole;
    }
    if (resource->has_status)
        tree_copy_member(call->arena, object, before->tree, "status");
    return object;
}

static bool check_finalizers(struct sim_call *call, const struct sim_object *before,
                             const struct json *object)
{
    if (!str_is_set(before->meta.deletion_timestamp))
        return true;
    JSON_EACH (finalizer, json_path(object, "metadata", "finalizers", NULL)) {
        if (!tree_has_text(before->meta.finalizers, json_str(finalizer))) {
            sim_refuse_field(call, before->meta.name, "metadata.finalizers", "FieldValueForbidden",
                             "Forbidden: no new finalizers can be added if the object is being "
                             "deleted, found new finalizers []string{\"%" PRIstr "\"}",
                             STR_ARG(json_str(finalizer)));
            return false;
        }
    }
    return true;
}

/* Of a pod's spec only images, tolerations and the deadline may change. */
static bool check_pod(struct sim_call *call, const struct sim_object *before,
                      const struct json *object)
{
    struct json *both[] = {json_copy(call->arena, before->tree), json_copy(call->arena, object)};
    for (size_t i = 0; i < 2; i++) {
        struct json *spec = json_get(both[i], STR("spec"));
        json_remove(spec, STR("tolerations"));
        json_remove(spec, STR("activeDeadlineSeconds"));
        JSON_EACH (container, json_get(spec, STR("containers")))
            json_remove(container, STR("image"));
    }
    if (json_equal(json_get(both[0], STR("spec")), json_get(both[1], STR("spec"))))
        return true;
    sim_refuse_field(call, before->meta.name, "spec", "FieldValueForbidden",
                     "Forbidden: pod updates may not change fields other than "
                     "`spec.containers[*].image`, `spec.initContainers[*].image`, "
                     "`spec.activeDeadlineSeconds`, `spec.tolerations` (only additions to existing "
                     "tolerations)");
    return false;
}

/* pkg/apis/batch/validation, ValidateJobSpecUpdate. */
static bool check_job(struct sim_call *call, const struct sim_object *before,
                      const struct json *object)
{
    static const char *const fixed[] = {"template",       "selector",         "completions",
                                        "completionMode", "podFailurePolicy", "managedBy"};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        const struct json *old = kube_at(before->tree, "spec", fixed[i], NULL);
        const struct json *new = kube_at(object, "spec", fixed[i], NULL);
        if (old == new || (old && new &&json_equal(old, new)))
            continue;
        sim_refuse_field(call, before->meta.name, "spec", "FieldValueInvalid",
                         "Invalid value: %s: field is immutable", fixed[i]);
        return false;
    }
    return true;
}

static bool is_to_be_removed(const struct json *object)
{
    const struct json *meta = json_get(object, META);
    int64_t grace_s = 0;
    json_int64(json_get(meta, STR("deletionGracePeriodSeconds")), &grace_s);
    return json_get(meta, STR("deletionTimestamp")) && grace_s == 0 &&
           !json_first(json_get(meta, STR("finalizers")));
}

static void tidy_meta(struct json *meta)
{
    static const char *const may_be_empty[] = {"finalizers", "labels", "annotations",
                                               "ownerReferences"};
    for (size_t i = 0; i < sizeof(may_be_empty) / sizeof(may_be_empty[0]); i++) {
        struct str key = str_from_cstr(may_be_empty[i]);
        if (json_get(meta, key) && !json_first(json_get(meta, key)))
            json_remove(meta, key);
    }
}

static void write_over(struct sim_call *call, struct sim_object *before, struct json *object)
{
    const struct sim_resource *resource = call->target.resource;
    if (!json_is(meta_of(object), JSON_OBJECT) || !check_versions(call, before, meta_of(object)))
        return;
    restore_meta(call, before, object);
    object = choose_parts(call, before, object);
    tidy_meta(meta_of(object));
    if (!check_finalizers(call, before, object) ||
        (resource->is_custom && !sim_admit(call, object, before)) ||
        (resource->kube == &kube_pods && !str_is_set(call->target.subresource) &&
         !check_pod(call, before, object)) ||
        (resource->kube == &kube_jobs && !check_job(call, before, object)))
        return;
    if (resource->has_generation && !is_spec_equal(call, before->tree, object))
        tree_set_int(call->arena, meta_of(object), "generation", before->meta.generation + 1);
    if (json_equal(before->tree, object)) {
        sim_answer_object(call, 200, before);
        return;
    }
    if (!is_to_be_removed(object)) {
        sim_answer_object(call, 200, put(call, before, object));
        return;
    }
    remove_now(call, before, object);
    sim_answer_object(call, 200,
                      sim_store_event(&call->server->store, call->server->store.version)->after);
}

void sim_update(struct sim_call *call)
{
    struct json *object = read_body(call, JSON_OBJECT);
    struct sim_object *before = object ? find(call) : NULL;
    if (before)
        write_over(call, before, object);
}

void sim_patch(struct sim_call *call)
{
    bool is_list = str_starts_with(call->request->content_type, STR("application/json-patch+json"));
    if (!is_list &&
        !str_starts_with(call->request->content_type, STR("application/merge-patch+json"))) {
        sim_refuse(call, 415, "UnsupportedMediaType",
                   "the body of the request was in an unknown format - accepted media types "
                   "include: application/json-patch+json, application/merge-patch+json");
        return;
    }
    struct json *patch = read_body(call, is_list ? JSON_ARRAY : JSON_OBJECT);
    struct sim_object *before = patch ? find(call) : NULL;
    if (!before)
        return;
    struct json *old = copy_tree(call, before);
    struct json *object =
        is_list ? apply_patch(call->arena, old, patch) : tree_merge(call->arena, old, patch);
    if (object)
        write_over(call, before, object);
    else
        sim_refuse(call, 422, "Invalid",
                   "the server rejected our request due to an error in our request");
}

/* ---- Delete ---- */

struct deletion {
    int64_t grace_s; /* asked for; -1: not */
    struct str uid;
    struct str version;
    struct str propagation;
};

static bool read_deletion(struct sim_call *call, struct deletion *ret)
{
    *ret =
        (struct deletion){.grace_s = call->target.grace_s, .propagation = call->target.propagation};
    if (call->request->body.len == 0)
        return true;
    const struct json *options = read_body(call, JSON_OBJECT);
    if (!options)
        return false;
    json_int64(json_get(options, STR("gracePeriodSeconds")), &ret->grace_s);
    struct str propagation = json_str(json_get(options, STR("propagationPolicy")));
    ret->propagation = str_is_set(propagation) ? propagation : ret->propagation;
    ret->uid = json_str(json_path(options, "preconditions", "uid", NULL));
    ret->version = json_str(json_path(options, "preconditions", "resourceVersion", NULL));
    return true;
}

static bool check_preconditions(struct sim_call *call, const struct sim_object *object,
                                const struct deletion *deletion)
{
    bool is_other = str_is_set(deletion->uid) && !str_eq(deletion->uid, object->meta.uid);
    bool is_changed =
        str_is_set(deletion->version) && !str_eq(deletion->version, object->meta.resource_version);
    if (!is_other && !is_changed)
        return true;
    sim_refuse_as(
        call, 409, "Conflict", object->resource->kube->kind, object->meta.name,
        "Operation cannot be fulfilled on %" PRIstr " \"%" PRIstr "\": the %s in the precondition "
        "(%" PRIstr ") does not match the %s in record (%" PRIstr
        "). The object might have been %s",
        STR_ARG(sim_qualified(call)), STR_ARG(object->meta.name),
        is_other ? "UID" : "ResourceVersion", STR_ARG(is_other ? deletion->uid : deletion->version),
        is_other ? "UID" : "ResourceVersion",
        STR_ARG(is_other ? object->meta.uid : object->meta.resource_version),
        is_other ? "deleted and then recreated" : "modified");
    return false;
}

/* pkg/registry/core/pod/strategy.go, CheckGracefulDelete; other resources have no grace. */
static int64_t grace_of(const struct sim_object *object, const struct deletion *deletion)
{
    struct str phase = kube_text_at(object->tree, "status", "phase", NULL);
    if (object->resource->kube != &kube_pods ||
        kube_text_at(object->tree, "spec", "nodeName", NULL).len == 0 ||
        str_eq(phase, STR("Failed")) || str_eq(phase, STR("Succeeded")))
        return 0;
    if (deletion->grace_s >= 0)
        return deletion->grace_s;
    int64_t grace_s = kube_int_at(object->tree, 30, "spec", "terminationGracePeriodSeconds", NULL);
    return grace_s < 0 ? 1 : grace_s;
}

static void add_finalizer(struct sim_call *call, struct json *meta, const char *finalizer)
{
    struct json *list = tree_child(call->arena, meta, "finalizers", JSON_ARRAY);
    if (tree_has_text(list, str_from_cstr(finalizer)))
        return;
    bool done = json_append(list, json_new_str(call->arena, str_from_cstr(finalizer)));
    sim_require(done);
}

/* The garbage collector ends these (actors.h). */
static void add_gc_finalizers(struct sim_call *call, struct json *meta, struct str propagation)
{
    if (str_eq(propagation, STR("Orphan")))
        add_finalizer(call, meta, "orphan");
    if (str_eq(propagation, STR("Foreground")))
        add_finalizer(call, meta, "foregroundDeletion");
}

static void mark_deleted(struct sim_call *call, const struct sim_object *object, struct json *meta,
                         int64_t grace_s)
{
    tree_set_str(call->arena, meta, "deletionTimestamp", now_text(call, grace_s));
    tree_set_int(call->arena, meta, "deletionGracePeriodSeconds", grace_s);
    if (!str_is_set(object->meta.deletion_timestamp) && object->meta.generation > 0)
        tree_set_int(call->arena, meta, "generation", object->meta.generation + 1);
}

static void delete_object(struct sim_call *call, struct sim_object *object,
                          const struct deletion *deletion)
{
    struct json *tree = copy_tree(call, object), *meta = meta_of(tree);
    int64_t grace_s = grace_of(object, deletion);
    int64_t left_s = kube_int_at(tree, -1, "metadata", "deletionGracePeriodSeconds", NULL);
    add_gc_finalizers(call, meta, deletion->propagation);
    bool has_finalizers = json_first(json_get(meta, STR("finalizers"))) != NULL;
    bool is_going = str_is_set(object->meta.deletion_timestamp);
    if (grace_s == 0 && !has_finalizers) {
        if (object->resource->kube == &kube_pods)
            mark_deleted(call, object, meta, 0);
        remove_now(call, object, tree);
        const struct sim_object *last =
            sim_store_event(&call->server->store, call->server->store.version)->after;
        if (last->resource->gives_deleted)
            sim_answer_object(call, 200, last);
        else
            sim_answer_success(call, 200, last);
        return;
    }
    /* Asked again, a grace period can only get shorter. */
    if (!is_going || grace_s < left_s)
        mark_deleted(call, object, meta, grace_s);
    if (json_equal(object->tree, tree))
        sim_answer_object(call, 200, object);
    else
        sim_answer_object(call, 200, put(call, object, tree));
}

void sim_delete(struct sim_call *call)
{
    struct deletion deletion;
    if (!read_deletion(call, &deletion))
        return;
    struct sim_object *object = find(call);
    if (object && check_preconditions(call, object, &deletion))
        delete_object(call, object, &deletion);
}

/* ---- Binding and eviction (pkg/registry/core/pod/storage) ---- */

static void refuse_binding(struct sim_call *call, const struct sim_object *pod, struct str why)
{
    sim_refuse_as(call, 409, "Conflict", "pods/binding", pod->meta.name,
                  "Operation cannot be fulfilled on pods/binding \"%" PRIstr "\": %" PRIstr,
                  STR_ARG(pod->meta.name), STR_ARG(why));
}

static bool check_binding(struct sim_call *call, const struct sim_object *pod,
                          const struct json *binding)
{
    struct str uid = json_str(json_path(binding, "metadata", "uid", NULL));
    struct str node = kube_text_at(pod->tree, "spec", "nodeName", NULL);
    if (str_is_set(uid) && uid.len > 0 && !str_eq(uid, pod->meta.uid))
        sim_refuse_object(call, 409, "Conflict", pod->meta.name,
                          "Operation cannot be fulfilled on pods \"%" PRIstr
                          "\": Precondition failed: UID in precondition: %" PRIstr
                          ", UID in object meta: %" PRIstr,
                          STR_ARG(pod->meta.name), STR_ARG(uid), STR_ARG(pod->meta.uid));
    else if (str_is_set(pod->meta.deletion_timestamp))
        refuse_binding(
            call, pod,
            arena_printf(call->arena,
                         "pod %" PRIstr " is being deleted, cannot be assigned to a host",
                         STR_ARG(pod->meta.name)));
    else if (node.len > 0)
        refuse_binding(
            call, pod,
            arena_printf(call->arena, "pod %" PRIstr " is already assigned to node \"%" PRIstr "\"",
                         STR_ARG(pod->meta.name), STR_ARG(node)));
    else
        return true;
    return false;
}

void sim_bind(struct sim_call *call)
{
    struct json *binding = read_body(call, JSON_OBJECT);
    struct sim_object *pod = binding ? find(call) : NULL;
    if (!pod || !check_binding(call, pod, binding))
        return;
    struct json *tree = copy_tree(call, pod);
    tree_set_str(call->arena, tree_child(call->arena, tree, "spec", JSON_OBJECT), "nodeName",
                 json_str(json_path(binding, "target", "name", NULL)));
    JSON_EACH (annotation, json_path(binding, "metadata", "annotations", NULL))
        tree_set(tree_child(call->arena, meta_of(tree), "annotations", JSON_OBJECT),
                 json_key(annotation), json_copy(call->arena, annotation));
    struct json *status = tree_child(call->arena, tree, "status", JSON_OBJECT);
    tree_set(status, STR("conditions"),
             tree_readf(call->arena,
                        "[{\"type\":\"PodScheduled\",\"status\":\"True\","
                        "\"lastTransitionTime\":\"%" PRIstr "\"}]",
                        STR_ARG(now_text(call, 0))));
    put(call, pod, tree);
    sim_answer_success(call, 201, NULL);
}

/* Without disruption budgets every eviction is granted. */
void sim_evict(struct sim_call *call)
{
    struct json *eviction = read_body(call, JSON_OBJECT);
    struct sim_object *pod = eviction ? find(call) : NULL;
    if (!pod)
        return;
    const struct json *options = json_get(eviction, STR("deleteOptions"));
    struct deletion deletion = {.grace_s = -1,
                                .uid = json_str(json_path(options, "preconditions", "uid", NULL))};
    json_int64(json_get(options, STR("gracePeriodSeconds")), &deletion.grace_s);
    if (!check_preconditions(call, pod, &deletion))
        return;
    delete_object(call, pod, &deletion);
    sim_answer_success(call, 201, NULL);
}
