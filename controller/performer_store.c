/* Projections: what the caches keep of Performers, Pods, Services, EndpointSlices and Nodes. */
#include "controller/performer_parts.h"

#include "base/utf8.h"
#include "types/names.h"
#include "types/performer.h"

enum {
    SPEC_TEXT_MAX = 4 * 1024 * 1024, /* more than etcd takes */
    MESSAGE_MAX = 512,               /* bytes kept of a message of somebody else */
    PORT_DEFAULT = 9090,
};

/* 0 when it is none, or before 1970: then no difference of two times overflows. */
static int64_t time_of(struct str text)
{
    int64_t wall_ns = 0;
    clock_parse(text, &wall_ns);
    return wall_ns > 0 ? wall_ns : 0;
}

/* A number of the status; 0 when nobody can have counted so far. */
static int64_t count_of(const struct json *status, const char *name)
{
    int64_t count = kube_int_at(status, 0, name, NULL);
    return count >= 0 && count <= PERFORMER_COUNT_MAX ? count : 0;
}

static struct str creation_of(const struct json *object)
{
    return kube_text_at(object, "metadata", "creationTimestamp", NULL);
}

static struct str cut(struct str message)
{
    return str_is_set(message) ? utf8_cut(message, MESSAGE_MAX) : message;
}

/* ---- Performers ---- */

static bool is_named(const struct json *object, const char *name)
{
    const struct json *value = kube_at(object, "spec", "hardwareRequirements", name, NULL);
    return value && value->type != JSON_NULL;
}

static bool wants_hardware(const struct json *object)
{
    static const char *const fields[] = {"gpuType", "gpuMemory", "gpuShare", "cudaVersion",
                                         "customLabels"};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (is_named(object, fields[i]))
            return true;
    }
    return kube_int_at(object, 0, "spec", "hardwareRequirements", "gpuCount", NULL) > 0 ||
           kube_bool_at(object, "spec", "hardwareRequirements", "teeRequired", NULL);
}

static enum truth truth_of(struct str status)
{
    if (str_eq(status, STR("True")))
        return TRUTH_TRUE;
    return str_eq(status, STR("False")) ? TRUTH_FALSE : TRUTH_UNKNOWN;
}

static void read_conditions(struct performer_object *to, const struct json *object)
{
    for (int i = 0; i < CONDITION_COUNT; i++) {
        const struct json *condition =
            kube_condition(object, performer_condition_name((enum performer_condition)i));
        to->conditions[i].truth = truth_of(kube_text_at(condition, "status", NULL));
        to->conditions[i].since_ns = time_of(kube_text_at(condition, "lastTransitionTime", NULL));
        if (i == CONDITION_READY)
            to->reason = performer_reason_find(kube_text_at(condition, "reason", NULL));
    }
}

static void read_status(struct performer_object *to, const struct json *object)
{
    const struct json *status = kube_at(object, "status", NULL);
    to->status_hash = performer_status_hash(status);
    to->phase = performer_phase_find(kube_text_at(status, "phase", NULL));
    to->stage = performer_stage_find(kube_text_at(status, "stage", NULL));
    to->is_ready = kube_bool_at(status, "ready", NULL);
    to->observed_generation = kube_int_at(status, 0, "observedGeneration", NULL);
    to->attempt = count_of(status, "attempt");
    to->retries = count_of(status, "retries");
    to->next_retry_ns = time_of(kube_text_at(status, "nextRetryTime", NULL));
    to->last_upgrade_ns = time_of(kube_text_at(status, "lastUpgrade", NULL));
    to->ready_ns = time_of(kube_text_at(status, "readyTime", NULL));
    to->served_revision = performer_hex_read(kube_text_at(status, "revision", NULL));
    read_conditions(to, object);
}

static bool lists(const struct json *names, const char *name)
{
    JSON_EACH (entry, names) {
        if (str_eq_cstr(json_str(entry), name))
            return true;
    }
    return false;
}

/* The texts that do not stand in the object as they are kept. */
struct performer_texts {
    struct str spec;
    struct str finalizers;
    struct str other_conditions;
    char avs[LABEL_VALUE_SIZE];
    struct str avs_label;
    struct str reservation;
    struct str correlation_id;
};

static void read_spec(struct performer_object *to, const struct json *object)
{
    const struct json *spec = kube_at(object, "spec", NULL);
    int64_t port = kube_int_at(spec, PORT_DEFAULT, "config", "grpcPort", NULL);
    to->revision = performer_revision(spec);
    to->created_ns = time_of(creation_of(object));
    to->grpc_port = port > 0 && port <= UINT16_MAX ? (uint16_t)port : PORT_DEFAULT;
    to->backoff_limit = kube_int_at(spec, -1, "backoffLimit", NULL);
    to->is_blue_green = str_eq(kube_text_at(spec, "upgradeStrategy", NULL), STR("BlueGreen"));
    to->waits_for_node = str_eq(kube_text_at(spec, "nodeFailurePolicy", NULL), STR("Wait"));
    to->wants_hardware = wants_hardware(object);
}

static struct stored *keep_performer(const struct mem *mem, const struct json *object,
                                     const struct kube_meta *meta,
                                     const struct performer_texts *texts)
{
    struct stored *stored = store_new_object(
        mem, meta, sizeof(struct performer_object),
        texts->spec.len + texts->finalizers.len + texts->other_conditions.len +
            texts->avs_label.len + texts->reservation.len + texts->correlation_id.len);
    if (!stored)
        return NULL;
    struct performer_object *to = (struct performer_object *)stored;
    to->spec = store_keep_text(stored, texts->spec);
    to->finalizers = store_keep_text(stored, texts->finalizers);
    to->other_conditions = store_keep_text(stored, texts->other_conditions);
    to->avs_label = store_keep_text(stored, texts->avs_label);
    to->reservation = store_keep_text(stored, texts->reservation);
    to->correlation_id = store_keep_text(stored, texts->correlation_id);
    to->has_finalizer = lists(meta->finalizers, performer_kind.finalizer);
    read_spec(to, object);
    read_status(to, object);
    return stored;
}

static bool is_ours(const struct json *condition)
{
    for (int i = 0; i < CONDITION_COUNT; i++) {
        if (str_eq_cstr(kube_text_at(condition, "type", NULL),
                        performer_condition_name((enum performer_condition)i)))
            return true;
    }
    return false;
}

/* They are written back with ours, as a list is replaced as a whole. */
static void write_other_conditions(struct buf *buf, const struct json *object)
{
    char separator = '[';
    JSON_EACH (condition, kube_at(object, "status", "conditions", NULL)) {
        if (is_ours(condition))
            continue;
        buf_put_char(buf, separator);
        json_write(buf, condition);
        separator = ',';
    }
    if (separator == ',')
        buf_put_char(buf, ']');
}

/* What was written since `from`, absent when nothing was. */
static struct str part_of(const struct buf *buf, size_t from, size_t to)
{
    return to > from ? str_sub(buf_str(buf), from, to) : (struct str){NULL, 0};
}

static struct stored *project_performer(const struct mem *mem, const struct json *object,
                                        const struct kube_meta *meta)
{
    struct performer_texts texts = {
        .reservation = kube_text_at(object, "spec", "scheduling", "reservation", NULL),
        .correlation_id = kube_map_get(meta->annotations, STR("callboard.dev/correlation-id")),
    };
    struct buf buf;
    buf_init(&buf, mem, SPEC_TEXT_MAX);
    json_write(&buf, kube_at(object, "spec", NULL));
    size_t spec_end = buf.len;
    if (meta->finalizers)
        json_write(&buf, meta->finalizers);
    size_t finalizers_end = buf.len;
    write_other_conditions(&buf, object);
    texts.spec = part_of(&buf, 0, spec_end);
    texts.finalizers = part_of(&buf, spec_end, finalizers_end);
    texts.other_conditions = part_of(&buf, finalizers_end, buf.len);
    texts.avs_label =
        performer_label_value(kube_text_at(object, "spec", "avsAddress", NULL), texts.avs);
    struct stored *stored = buf_failed(&buf) ? NULL : keep_performer(mem, object, meta, &texts);
    buf_done(&buf);
    return stored;
}

const struct store_type performer_objects = {
    .resource = &kube_performers,
    .project = project_performer,
};

bool performer_is_ready(const struct stored *stored)
{
    const struct performer_object *performer = (const struct performer_object *)stored;
    return performer->phase == PHASE_RUNNING && performer->is_ready &&
           performer->observed_generation == stored->generation;
}

bool performer_has_given_up(const struct stored *stored)
{
    const struct performer_object *performer = (const struct performer_object *)stored;
    return performer->phase == PHASE_FAILED && performer->reason == REASON_BACKOFF_LIMIT_EXCEEDED;
}

/* ---- Pods ---- */

/* Why a container waits, when that is a failure (kubernetes pkg/kubelet/images/types.go and
 * pkg/kubelet/container/sync_result.go). */
static enum performer_reason failure_of_waiting(struct str reason)
{
    static const struct {
        const char *reason;
        enum performer_reason failure;
    } known[] = {
        {"ErrImagePull", REASON_IMAGE_PULL_FAILED},
        {"ImagePullBackOff", REASON_IMAGE_PULL_FAILED},
        {"ImageInspectError", REASON_IMAGE_PULL_FAILED},
        {"ErrImageNeverPull", REASON_IMAGE_PULL_FAILED},
        {"InvalidImageName", REASON_IMAGE_PULL_FAILED},
        {"RegistryUnavailable", REASON_IMAGE_PULL_FAILED},
        {"SignatureValidationFailed", REASON_IMAGE_PULL_FAILED},
        {"CreateContainerConfigError", REASON_CONTAINER_START_FAILED},
        {"CreateContainerError", REASON_CONTAINER_START_FAILED},
        {"PreCreateHookError", REASON_CONTAINER_START_FAILED},
        {"PreStartHookError", REASON_CONTAINER_START_FAILED},
        {"PostStartHookError", REASON_CONTAINER_START_FAILED},
        {"RunContainerError", REASON_CONTAINER_START_FAILED},
        {"CrashLoopBackOff", REASON_CONTAINER_CRASHED},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (str_eq_cstr(reason, known[i].reason))
            return known[i].failure;
    }
    return REASON_NONE;
}

/* The status of our container; NULL before the kubelet has reported one. */
static const struct json *container_status(const struct json *pod)
{
    JSON_EACH (status, kube_at(pod, "status", "containerStatuses", NULL)) {
        if (str_eq(kube_text_at(status, "name", NULL), STR(PERFORMER_CONTAINER)))
            return status;
    }
    return NULL;
}

/* Messages of the kubelet may quote the command or its arguments, which may be confidential; those
 * about images, Secrets and ConfigMaps cannot. */
static struct str waiting_message(enum performer_reason failure, struct str reason,
                                  struct str message)
{
    bool is_plain =
        failure == REASON_IMAGE_PULL_FAILED || str_eq(reason, STR("CreateContainerConfigError"));
    return is_plain ? cut(message) : (struct str){NULL, 0};
}

/* For one that lost its controller reference, which is then added to the others. */
static void write_owners(struct buf *buf, const struct json *object, const struct kube_meta *meta)
{
    const struct json *owners = kube_at(object, "metadata", "ownerReferences", NULL);
    if (!str_is_set(meta->owner_uid) && json_is(owners, JSON_ARRAY) && json_first(owners))
        json_write(buf, owners);
}

static void read_waiting(struct performer_pod *to, const struct json *waiting)
{
    to->state = CONTAINER_WAITING;
    to->reason = cut(kube_text_at(waiting, "reason", NULL));
    to->failure = failure_of_waiting(to->reason);
    to->message = waiting_message(to->failure, to->reason, kube_text_at(waiting, "message", NULL));
}

static void read_terminated(struct performer_pod *to, const struct json *terminated)
{
    to->reason = cut(kube_text_at(terminated, "reason", NULL));
    to->exit_code = kube_int_at(terminated, 0, "exitCode", NULL);
}

static void read_container(struct performer_pod *to, const struct json *status)
{
    const struct json *waiting = kube_at(status, "state", "waiting", NULL);
    const struct json *terminated = kube_at(status, "state", "terminated", NULL);
    const struct json *before = kube_at(status, "lastState", "terminated", NULL);
    to->is_pulled = kube_text_at(status, "imageID", NULL).len > 0;
    if (waiting) {
        read_waiting(to, waiting);
        /* Why it crashed is with the container before. */
        if (to->failure == REASON_CONTAINER_CRASHED && before)
            read_terminated(to, before);
    } else if (terminated) {
        to->state = CONTAINER_TERMINATED;
        to->failure = REASON_CONTAINER_CRASHED;
        read_terminated(to, terminated);
    } else if (kube_at(status, "state", "running", NULL)) {
        to->state = CONTAINER_RUNNING;
    }
}

static void read_pod_status(struct performer_pod *to, const struct json *pod)
{
    const struct json *scheduled = kube_condition(pod, "PodScheduled");
    const struct json *ready = kube_condition(pod, "Ready");
    struct str phase = kube_text_at(pod, "status", "phase", NULL);
    to->is_ready = str_eq(kube_text_at(ready, "status", NULL), STR("True"));
    to->ready_since_ns = time_of(kube_text_at(ready, "lastTransitionTime", NULL));
    to->scheduled_ns = time_of(kube_text_at(scheduled, "lastTransitionTime", NULL));
    to->is_unschedulable = str_eq(kube_text_at(scheduled, "status", NULL), STR("False")) &&
                           str_eq(kube_text_at(scheduled, "reason", NULL), STR("Unschedulable"));
    to->has_ended = str_eq(phase, STR("Failed")) || str_eq(phase, STR("Succeeded"));
    if (to->is_unschedulable) {
        to->message = cut(kube_text_at(scheduled, "message", NULL));
        return;
    }
    read_container(to, container_status(pod));
    struct str reason = kube_text_at(pod, "status", "reason", NULL);
    if (to->has_ended && (to->failure == REASON_NONE || reason.len > 0)) {
        to->failure = REASON_POD_FAILED;
        to->reason = cut(reason);
        to->message = cut(kube_text_at(pod, "status", "message", NULL));
    }
}

static void read_pod_spec(struct performer_pod *to, const struct json *pod)
{
    int index = 0;
    to->node_name = kube_text_at(pod, "spec", "nodeName", NULL);
    to->container = -1;
    JSON_EACH (container, kube_at(pod, "spec", "containers", NULL)) {
        if (str_eq(kube_text_at(container, "name", NULL), STR(PERFORMER_CONTAINER))) {
            to->container = index;
            to->image = kube_text_at(container, "image", NULL);
        }
        index++;
    }
}

static void read_pod_meta(struct performer_pod *to, const struct json *pod,
                          const struct kube_meta *meta)
{
    to->created_ns = time_of(creation_of(pod));
    to->labels_hash = performer_labels_hash(meta->labels);
    to->revision = performer_hex_read(kube_map_get(meta->labels, STR(LABEL_REVISION)));
    to->attempt = -1;
    str_to_int64(kube_map_get(meta->labels, STR(LABEL_ATTEMPT)), &to->attempt);
    to->performer = kube_map_get(meta->labels, STR(LABEL_PERFORMER));
    to->node_gone_ns = time_of(kube_map_get(meta->annotations, STR(ANNOTATION_NODE_GONE_SINCE)));
}

static struct stored *keep_pod(const struct mem *mem, const struct performer_pod *pod,
                               const struct kube_meta *meta)
{
    struct stored *stored =
        store_new_object(mem, meta, sizeof(*pod),
                         pod->node_name.len + pod->image.len + pod->reason.len + pod->message.len +
                             pod->performer.len + pod->owners.len);
    if (!stored)
        return NULL;
    struct stored head = *stored;
    struct performer_pod *to = (struct performer_pod *)stored;
    *to = *pod;
    to->stored = head;
    to->node_name = store_keep_text(stored, pod->node_name);
    to->image = store_keep_text(stored, pod->image);
    to->reason = store_keep_text(stored, pod->reason);
    to->message = store_keep_text(stored, pod->message);
    to->performer = store_keep_text(stored, pod->performer);
    to->owners = store_keep_text(stored, pod->owners);
    return stored;
}

static struct stored *project_pod(const struct mem *mem, const struct json *object,
                                  const struct kube_meta *meta)
{
    struct performer_pod pod = {0};
    read_pod_meta(&pod, object, meta);
    read_pod_spec(&pod, object);
    read_pod_status(&pod, object);
    struct buf text;
    buf_init(&text, mem, SPEC_TEXT_MAX);
    write_owners(&text, object, meta);
    pod.owners = part_of(&text, 0, text.len);
    struct stored *stored = buf_failed(&text) ? NULL : keep_pod(mem, &pod, meta);
    buf_done(&text);
    return stored;
}

const struct store_type performer_pods = {.resource = &kube_pods, .project = project_pod};

/* ---- Services ---- */

/* The port when there is one port and it is as we make it, else 0. */
static int64_t port_of(const struct json *service)
{
    const struct json *ports = kube_at(service, "spec", "ports", NULL);
    const struct json *port = json_first(ports);
    struct str protocol = kube_text_at(port, "protocol", NULL);
    bool is_ours = port && !port->next &&
                   str_eq(kube_text_at(port, "name", NULL), STR(PERFORMER_PORT)) &&
                   str_eq(kube_text_at(port, "targetPort", NULL), STR(PERFORMER_PORT)) &&
                   (!str_is_set(protocol) || str_eq(protocol, STR("TCP")));
    return is_ours ? kube_int_at(port, 0, "port", NULL) : 0;
}

static struct stored *project_service(const struct mem *mem, const struct json *object,
                                      const struct kube_meta *meta)
{
    const struct json *selector = kube_at(object, "spec", "selector", NULL);
    struct str type = kube_text_at(object, "spec", "type", NULL);
    struct buf text;
    buf_init(&text, mem, SPEC_TEXT_MAX);
    if (json_is(selector, JSON_OBJECT))
        json_write(&text, selector);
    size_t selector_end = text.len;
    write_owners(&text, object, meta);
    struct str performer = kube_map_get(meta->labels, STR(LABEL_PERFORMER));
    struct stored *stored = buf_failed(&text)
                                ? NULL
                                : store_new_object(mem, meta, sizeof(struct performer_service),
                                                   text.len + performer.len);
    if (stored) {
        struct performer_service *to = (struct performer_service *)stored;
        to->selector = store_keep_text(stored, part_of(&text, 0, selector_end));
        to->owners = store_keep_text(stored, part_of(&text, selector_end, text.len));
        to->performer = store_keep_text(stored, performer);
        to->selects_performer = kube_map_get(selector, STR(LABEL_PERFORMER)).len > 0 &&
                                str_eq(kube_map_get(selector, STR(LABEL_PERFORMER)), performer) &&
                                selector->len == 2;
        to->revision = performer_hex_read(kube_map_get(selector, STR(LABEL_REVISION)));
        to->labels_hash = performer_labels_hash(meta->labels);
        to->port = port_of(object);
        to->is_cluster_ip = !str_is_set(type) || str_eq(type, STR("ClusterIP"));
    }
    buf_done(&text);
    return stored;
}

const struct store_type performer_services = {
    .resource = &kube_services,
    .project = project_service,
};

/* ---- EndpointSlices ---- */

/* The pod of an endpoint that gets calls, or absent. An unset `ready` counts as true
 * (k8s.io/api/discovery/v1 types.go, EndpointConditions). */
static struct str ready_pod(const struct json *endpoint)
{
    const struct json *ready = kube_at(endpoint, "conditions", "ready", NULL);
    return json_bool(ready, true) ? kube_text_at(endpoint, "targetRef", "name", NULL)
                                  : (struct str){NULL, 0};
}

static struct stored *project_slice(const struct mem *mem, const struct json *object,
                                    const struct kube_meta *meta)
{
    struct buf pods;
    buf_init(&pods, mem, SPEC_TEXT_MAX);
    JSON_EACH (endpoint, kube_at(object, "endpoints", NULL)) {
        struct str pod = ready_pod(endpoint);
        if (pod.len > 0) {
            buf_put(&pods, pod);
            buf_put_char(&pods, '\n');
        }
    }
    struct stored *stored =
        buf_failed(&pods) ? NULL
                          : store_new_object(mem, meta, sizeof(struct performer_slice), pods.len);
    if (stored)
        ((struct performer_slice *)stored)->ready_pods = store_keep_text(stored, buf_str(&pods));
    buf_done(&pods);
    return stored;
}

const struct store_type performer_slices = {
    .resource = &kube_endpoint_slices,
    .project = project_slice,
};

/* ---- Nodes ---- */

static struct stored *project_node(const struct mem *mem, const struct json *object,
                                   const struct kube_meta *meta)
{
    struct stored *stored = store_new_object(mem, meta, sizeof(struct performer_node), 0);
    if (!stored)
        return NULL;
    struct performer_node *to = (struct performer_node *)stored;
    const struct json *ready = kube_condition(object, "Ready");
    to->is_ready = str_eq(kube_text_at(ready, "status", NULL), STR("True"));
    to->since_ns = time_of(kube_text_at(ready, "lastTransitionTime", NULL));
    node_gpu_read(&to->gpu, object, meta);
    JSON_EACH (taint, kube_at(object, "spec", "taints", NULL)) {
        if (str_eq(kube_text_at(taint, "key", NULL), STR(TAINT_OUT_OF_SERVICE)))
            to->is_out_of_service = true;
    }
    return stored;
}

const struct store_type performer_nodes = {.resource = &kube_nodes, .project = project_node};

/* ---- Whose they are ---- */

static bool key_of(const struct stored *child, struct str label, struct queue_key *ret)
{
    ret->namespace = child->namespace;
    /* The label helps when the owner reference was taken away. */
    ret->name = str_is_set(child->owner_uid) ? child->owner_name : label;
    return ret->name.len > 0;
}

bool performer_key_of_pod(const struct stored *pod, struct queue_key *ret)
{
    return key_of(pod, ((const struct performer_pod *)pod)->performer, ret);
}

bool performer_key_of_service(const struct stored *service, struct queue_key *ret)
{
    return key_of(service, ((const struct performer_service *)service)->performer, ret);
}

bool performer_key_of_slice(const struct stored *slice, struct queue_key *ret)
{
    static const struct str prefix = STR_INIT("performer-");
    if (!str_starts_with(slice->owner_name, prefix))
        return false;
    ret->namespace = slice->namespace;
    ret->name = str_sub(slice->owner_name, prefix.len, slice->owner_name.len);
    return ret->name.len > 0;
}

bool performer_node_matters(const struct stored *before, const struct stored *after)
{
    const struct performer_node *a = (const struct performer_node *)before;
    const struct performer_node *b = (const struct performer_node *)after;
    return !a || !b || a->is_ready != b->is_ready || a->since_ns != b->since_ns ||
           a->is_out_of_service != b->is_out_of_service;
}

bool performer_node_is_wrong(const struct stored *node)
{
    return node_gpu_is_wrong(&((const struct performer_node *)node)->gpu);
}

void performer_each_on_node(const struct performer_controller *controller, struct str node,
                            void (*each)(void *ctx, struct queue_key key), void *ctx)
{
    size_t from = 0;
    const struct stored *stored = NULL;
    while ((stored = store_each(controller->pods, &from, stored))) {
        struct queue_key key;
        if (str_eq(((const struct performer_pod *)stored)->node_name, node) &&
            performer_key_of_pod(stored, &key))
            each(ctx, key);
    }
}
