/* The status of a Performer: derived from what is there, compared with what is written, written. */
#include "controller/performer_parts.h"

#include "base/utf8.h"
#include "types/names.h"

#include <assert.h>

enum { MESSAGE_MAX = 1000 }; /* of a condition, in bytes */

/* How long progress lasts before it is told: the first status, and later stages. Most Performers run
 * before, with one write. */
#define FIRST_WAIT_NS (3 * CLOCK_NS_PER_SEC)
#define STAGE_WAIT_NS (10 * CLOCK_NS_PER_SEC)

/* ---- Names ---- */

static const char *const phases[PHASE_COUNT] = {
    [PHASE_NONE] = "",
    [PHASE_PENDING] = "Pending",
    [PHASE_RUNNING] = "Running",
    [PHASE_UPGRADING] = "Upgrading",
    [PHASE_TERMINATING] = "Terminating",
    [PHASE_FAILED] = "Failed",
};

static const char *const stages[STAGE_COUNT] = {
    [STAGE_NONE] = "",
    [STAGE_CREATING] = "Creating",
    [STAGE_POD_CREATION] = "PodCreation",
    [STAGE_SCHEDULING] = "Scheduling",
    [STAGE_NODE_SELECTION] = "NodeSelection",
    [STAGE_HARDWARE_VALIDATION] = "HardwareValidation",
    [STAGE_POD_BINDING] = "PodBinding",
    [STAGE_IMAGE_PULL] = "ImagePull",
    [STAGE_CONTAINER_START] = "ContainerStart",
    [STAGE_SERVICE_CREATION] = "ServiceCreation",
    [STAGE_RUNNING] = "Running",
    [STAGE_UPGRADING] = "Upgrading",
    [STAGE_POD_RECREATION] = "PodRecreation",
    [STAGE_TERMINATING] = "Terminating",
    [STAGE_SERVICE_CLEANUP] = "ServiceCleanup",
    [STAGE_POD_CLEANUP] = "PodCleanup",
    [STAGE_FAILED] = "Failed",
};

static const char *const conditions[CONDITION_COUNT] = {
    [CONDITION_POD_SCHEDULED] = "PodScheduled",
    [CONDITION_HARDWARE_VALIDATED] = "HardwareValidated",
    [CONDITION_IMAGE_PULLED] = "ImagePulled",
    [CONDITION_CONTAINERS_READY] = "ContainersReady",
    [CONDITION_SERVICE_READY] = "ServiceReady",
    [CONDITION_READY] = "Ready",
};

static int find(const char *const *names, int count, struct str name)
{
    for (int i = 1; i < count; i++) {
        if (str_eq_cstr(name, names[i]))
            return i;
    }
    return 0;
}

const char *performer_phase_name(enum performer_phase phase)
{
    return phases[phase];
}

const char *performer_stage_name(enum performer_stage stage)
{
    return stages[stage];
}

enum performer_phase performer_phase_find(struct str name)
{
    return (enum performer_phase)find(phases, PHASE_COUNT, name);
}

enum performer_stage performer_stage_find(struct str name)
{
    return (enum performer_stage)find(stages, STAGE_COUNT, name);
}

const char *performer_condition_name(enum performer_condition condition)
{
    return conditions[condition];
}

/* ---- Deriving ---- */

static bool was_running(const struct scene *scene)
{
    return scene->performer->phase == PHASE_RUNNING &&
           scene->performer->attempt == scene->attempt &&
           scene->performer->served_revision == scene->performer->revision;
}

static bool is_upgrade(const struct performer_object *performer)
{
    return performer->served_revision != 0 && performer->served_revision != performer->revision;
}

enum performer_phase performer_phase_on_the_way(const struct scene *scene)
{
    const struct performer_object *performer = scene->performer;
    if (scene->keeper)
        return PHASE_UPGRADING;
    /* Once Pending, it stays so until it runs. */
    return is_upgrade(performer) && performer->phase != PHASE_PENDING ? PHASE_UPGRADING
                                                                      : PHASE_PENDING;
}

void performer_status_set(struct scene *scene, enum performer_condition condition, enum truth truth,
                          enum performer_reason reason, struct str message)
{
    scene->status.conditions[condition] =
        (struct condition){.truth = truth, .reason = reason, .message = message};
}

/* What the pod that serves does for clients: the current one, or with BlueGreen the one of before. */
static void describe_serving(struct scene *scene)
{
    const struct performer_pod *current = scene->current, *keeper = scene->keeper;
    bool by_current = current && current->is_ready && performer_is_listed(scene, current);
    bool by_keeper = keeper && performer_is_listed(scene, keeper);
    const struct performer_pod *pod = by_current || !keeper ? current : keeper;
    scene->status.is_ready = by_current || by_keeper;
    scene->status.pod_name = pod ? pod->stored.name : (struct str){NULL, 0};
    scene->status.node_name = pod ? pod->node_name : (struct str){NULL, 0};
    if (scene->status.is_ready) {
        performer_status_set(scene, CONDITION_SERVICE_READY, TRUTH_TRUE, REASON_ENDPOINT_READY,
                             STR("the Service leads to a pod that is ready"));
        performer_status_set(scene, CONDITION_READY, TRUTH_TRUE,
                             by_current ? REASON_SERVING : REASON_SERVING_OLD_REVISION,
                             by_current ? STR("the endpoint accepts requests")
                                        : STR("the pod of before the upgrade still serves"));
    } else if (scene->service) {
        performer_status_set(scene, CONDITION_SERVICE_READY, TRUTH_FALSE, REASON_ENDPOINT_NOT_READY,
                             STR("the Service leads to no pod that is ready"));
    }
}

void performer_status_begin(struct scene *scene)
{
    const struct performer_object *performer = scene->performer;
    scene->status = (struct performer_status){
        .attempt = scene->attempt,
        .retries = performer->retries,
        .last_upgrade_ns = performer->last_upgrade_ns,
        .ready_ns = performer->ready_ns,
        .served_revision = performer->served_revision,
    };
    for (int i = 0; i < CONDITION_READY; i++)
        performer_status_set(scene, (enum performer_condition)i, TRUTH_UNKNOWN, REASON_WAITING,
                             STR("an earlier step comes first"));
    performer_status_set(scene, CONDITION_READY, TRUTH_FALSE, REASON_STARTING,
                         STR("it is on its way"));
    if (!performer->wants_hardware)
        performer_status_set(scene, CONDITION_HARDWARE_VALIDATED, TRUTH_TRUE, REASON_NOT_REQUIRED,
                             STR("no special hardware is asked for"));
    describe_serving(scene);
}

void performer_status_progress(struct scene *scene, enum performer_stage stage, int64_t since_ns)
{
    scene->status.phase = performer_phase_on_the_way(scene);
    scene->status.stage = stage;
    scene->status.is_progress = true;
    scene->status.since_ns = since_ns;
}

void performer_status_problem(struct scene *scene, enum performer_phase phase,
                              enum performer_stage stage, enum performer_reason reason,
                              struct str message)
{
    struct performer_status *status = &scene->status;
    /* What of before still serves is no failure for clients. */
    status->phase = phase == PHASE_FAILED && scene->keeper ? PHASE_UPGRADING : phase;
    status->stage = stage;
    status->is_progress = false;
    status->conditions[CONDITION_READY].reason = reason;
    status->conditions[CONDITION_READY].message = message;
}

/* ---- What the pod shows ---- */

/* The scheduler names the resources that are short, and the extender begins its reasons with what is. */
static bool is_about_hardware(struct str message)
{
    static const char *const words[] = {"nvidia.com/", "callboard.dev/", "GPU", "TEE", "CUDA"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (message.len && memmem(message.ptr, message.len, words[i], strlen(words[i])))
            return true;
    }
    return false;
}

static void describe_unschedulable(struct scene *scene)
{
    const struct performer_pod *pod = scene->current;
    bool is_hardware = scene->performer->wants_hardware && is_about_hardware(pod->message);
    enum performer_reason reason = is_hardware ? REASON_HARDWARE_UNAVAILABLE : REASON_UNSCHEDULABLE;
    struct str message = pod->message.len ? pod->message : STR("no node fits");
    performer_status_set(scene, CONDITION_POD_SCHEDULED, TRUTH_FALSE, REASON_UNSCHEDULABLE,
                         message);
    if (is_hardware)
        performer_status_set(scene, CONDITION_HARDWARE_VALIDATED, TRUTH_FALSE, reason, message);
    performer_status_problem(scene, scene->keeper ? PHASE_UPGRADING : PHASE_PENDING,
                             is_hardware ? STAGE_HARDWARE_VALIDATION : STAGE_NODE_SELECTION, reason,
                             message);
}

static void describe_placed(struct scene *scene)
{
    const struct performer_pod *pod = scene->current;
    struct str where = manifest_printf(&scene->make, "on node %" PRIstr, STR_ARG(pod->node_name));
    bool was_pulled = pod->is_pulled || pod->state == CONTAINER_RUNNING ||
                      pod->state == CONTAINER_TERMINATED || pod->is_ready;
    performer_status_set(scene, CONDITION_POD_SCHEDULED, TRUTH_TRUE, REASON_SCHEDULED, where);
    if (scene->performer->wants_hardware)
        performer_status_set(scene, CONDITION_HARDWARE_VALIDATED, TRUTH_TRUE, REASON_SCHEDULED,
                             where);
    if (was_pulled)
        performer_status_set(scene, CONDITION_IMAGE_PULLED, TRUTH_TRUE, REASON_PULLED,
                             STR("the image is on the node"));
    if (pod->is_ready)
        performer_status_set(scene, CONDITION_CONTAINERS_READY, TRUTH_TRUE, REASON_STARTED,
                             STR("the container runs and is ready"));
    else if (pod->state == CONTAINER_RUNNING)
        performer_status_set(scene, CONDITION_CONTAINERS_READY, TRUTH_FALSE, REASON_STARTING,
                             STR("the container runs and is not ready"));
}

static void describe_progress(struct scene *scene)
{
    const struct performer_pod *pod = scene->current;
    if (pod->node_name.len == 0)
        performer_status_progress(scene, STAGE_SCHEDULING, pod->created_ns);
    else if (pod->is_ready)
        performer_status_progress(scene, STAGE_SERVICE_CREATION, pod->ready_since_ns);
    else if (pod->state == CONTAINER_NONE)
        performer_status_progress(scene, STAGE_POD_BINDING, pod->scheduled_ns);
    else if (pod->state == CONTAINER_WAITING && !pod->is_pulled)
        performer_status_progress(scene, STAGE_IMAGE_PULL, pod->scheduled_ns);
    else
        performer_status_progress(scene, STAGE_CONTAINER_START, pod->scheduled_ns);
}

static void describe_running(struct scene *scene)
{
    struct performer_status *status = &scene->status;
    const struct performer_object *performer = scene->performer;
    status->phase = PHASE_RUNNING;
    status->stage = STAGE_RUNNING;
    if (is_upgrade(performer))
        status->last_upgrade_ns = scene->now.wall_ns;
    status->served_revision = performer->revision;
}

void performer_status_describe(struct scene *scene)
{
    const struct performer_pod *pod = scene->current;
    if (pod->is_unschedulable && pod->node_name.len == 0) {
        describe_unschedulable(scene);
        return;
    }
    if (pod->node_name.len > 0)
        describe_placed(scene);
    if (pod->is_ready && performer_service_leads_to(scene, pod)) {
        describe_running(scene);
    } else if (was_running(scene)) {
        scene->status.phase = PHASE_RUNNING;
        scene->status.stage = STAGE_RUNNING;
        if (!scene->status.is_ready)
            performer_status_set(scene, CONDITION_READY, TRUTH_FALSE, REASON_NOT_READY,
                                 STR("the pod is not ready"));
    } else {
        describe_progress(scene);
    }
    if (performer_node_state(scene, pod) != NODE_FINE && !scene->status.is_ready)
        performer_status_set(
            scene, CONDITION_READY, TRUTH_FALSE, REASON_NODE_NOT_READY,
            manifest_printf(&scene->make, "node %" PRIstr " of the pod does not answer",
                            STR_ARG(pod->node_name)));
}

/* ---- Writing ---- */

static void put_time(struct scene *scene, struct json *object, const char *key, int64_t wall_ns)
{
    char text[CLOCK_TEXT_SIZE];
    struct manifest *m = &scene->make;
    if (wall_ns == 0) {
        manifest_put_null(m, object, str_from_cstr(key));
        return;
    }
    struct str time = clock_print(wall_ns, CLOCK_SECONDS, text);
    manifest_put_str(m, object, key, manifest_printf(m, "%" PRIstr, STR_ARG(time)));
}

/* In a merge patch, null removes what was there. */
static void put_text(struct scene *scene, struct json *object, const char *key, struct str text)
{
    if (text.len == 0)
        manifest_put_null(&scene->make, object, str_from_cstr(key));
    else
        manifest_put_str(&scene->make, object, key, text);
}

static const char *truth_name(enum truth truth)
{
    static const char *const names[] = {"Unknown", "False", "True"};
    return names[truth];
}

static struct json *condition_json(struct scene *scene, enum performer_condition i)
{
    struct manifest *m = &scene->make;
    const struct performer_object *performer = scene->performer;
    const struct condition *condition = &scene->status.conditions[i];
    bool is_same =
        performer->conditions[i].since_ns && performer->conditions[i].truth == condition->truth;
    struct json *json = manifest_object(m);
    manifest_put_str(m, json, "type", str_from_cstr(conditions[i]));
    manifest_put_str(m, json, "status", str_from_cstr(truth_name(condition->truth)));
    manifest_put_int(m, json, "observedGeneration", performer->stored.generation);
    put_time(scene, json, "lastTransitionTime",
             is_same ? performer->conditions[i].since_ns : scene->now.wall_ns);
    manifest_put_str(m, json, "reason", str_from_cstr(performer_reason_name(condition->reason)));
    manifest_put_str(m, json, "message", utf8_cut(condition->message, MESSAGE_MAX));
    return json;
}

static void put_endpoint(struct scene *scene, struct json *json)
{
    const struct stored *performer = &scene->performer->stored;
    struct str none = {NULL, 0};
    put_text(scene, json, "serviceName", scene->service ? scene->service_name : none);
    put_text(
        scene, json, "grpcEndpoint",
        !scene->service
            ? none
            : manifest_printf(&scene->make, "%" PRIstr ".%" PRIstr ".svc.cluster.local:%lld",
                              STR_ARG(scene->service_name), STR_ARG(performer->namespace),
                              (long long)(scene->service->port ? scene->service->port
                                                               : scene->performer->grpc_port)));
}

static void put_other_conditions(struct scene *scene, struct json *list)
{
    struct manifest *m = &scene->make;
    struct err err;
    struct str text = scene->performer->other_conditions;
    if (!str_is_set(text))
        return;
    const struct json *others = json_read(m->arena, text, &json_limits_default, &err);
    m->failed = m->failed || !others;
    manifest_merge(m, list, others);
}

/* In the order of the table of the kind. */
static struct json *status_json(struct scene *scene)
{
    struct manifest *m = &scene->make;
    const struct performer_status *status = &scene->status;
    char hex[HEX_SIZE];
    struct json *json = manifest_object(m);
    manifest_put_str(m, json, "phase", str_from_cstr(phases[status->phase]));
    manifest_put_str(m, json, "stage", str_from_cstr(stages[status->stage]));
    manifest_put_bool(m, json, "ready", status->is_ready);
    put_text(scene, json, "podName", status->pod_name);
    put_text(scene, json, "nodeName", status->node_name);
    put_endpoint(scene, json);
    manifest_put_int(m, json, "observedGeneration", scene->performer->stored.generation);
    struct str revision = performer_hex(status->served_revision, hex);
    put_text(scene, json, "revision",
             status->served_revision ? manifest_printf(m, "%" PRIstr, STR_ARG(revision))
                                     : (struct str){NULL, 0});
    manifest_put_int(m, json, "attempt", status->attempt);
    manifest_put_int(m, json, "retries", status->retries);
    put_time(scene, json, "nextRetryTime", status->next_retry_ns);
    put_time(scene, json, "lastUpgrade", status->last_upgrade_ns);
    put_time(scene, json, "readyTime", status->ready_ns);
    struct json *list = manifest_put_list(m, json, "conditions");
    for (int i = 0; i < CONDITION_COUNT; i++)
        manifest_append(m, list, condition_json(scene, (enum performer_condition)i));
    put_other_conditions(scene, list);
    return json;
}

uint64_t performer_status_hash(const struct json *status)
{
    static const char *const fields[] = {
        "phase",       "stage",       "ready",        "podName",
        "nodeName",    "serviceName", "grpcEndpoint", "observedGeneration",
        "revision",    "attempt",     "retries",      "nextRetryTime",
        "lastUpgrade", "readyTime",   "conditions",
    };
    uint64_t hash = 0;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const struct json *value = json_get(status, str_from_cstr(fields[i]));
        hash = hash * 31 + performer_hash(value, true);
    }
    return hash;
}

/* Whether nobody misses it when it is not told: it is on its way as before, only further. */
static bool may_wait(const struct scene *scene)
{
    const struct performer_object *performer = scene->performer;
    const struct performer_status *status = &scene->status;
    return status->is_progress && status->attempt == performer->attempt &&
           status->is_ready == performer->is_ready && performer->stage != STAGE_FAILED &&
           (performer->phase == PHASE_NONE || performer->phase == status->phase) &&
           !performer_reason_is_problem(performer->reason);
}

static bool is_too_early(struct scene *scene)
{
    int64_t wait_ns = scene->performer->phase == PHASE_NONE ? FIRST_WAIT_NS : STAGE_WAIT_NS;
    int64_t since_ns = scene->status.since_ns;
    /* A clock that was put back must not keep the status from ever being written. */
    if (!may_wait(scene) || since_ns > scene->now.wall_ns)
        return false;
    int64_t left_ns = performer_time_left(scene, since_ns, wait_ns);
    if (left_ns > 0)
        performer_again_after(scene, left_ns);
    return left_ns > 0;
}

/* The count of retries is of one spec. */
static void forget_retries(struct scene *scene)
{
    const struct performer_object *performer = scene->performer;
    if (!scene->current && performer->observed_generation != performer->stored.generation)
        scene->status.retries = 0;
}

/* What of it is worth an event. */
static void tell(struct scene *scene)
{
    struct manifest *m = &scene->make;
    const struct performer_object *performer = scene->performer;
    const struct performer_status *status = &scene->status;
    const struct condition *ready = &status->conditions[CONDITION_READY];
    if (performer_reason_is_problem(ready->reason)) {
        if (ready->reason != performer->reason)
            performer_event(scene, true, ready->reason, ready->message);
    } else if (status->phase == PHASE_RUNNING && performer->phase != PHASE_RUNNING) {
        bool is_new = status->last_upgrade_ns != performer->last_upgrade_ns;
        performer_event(scene, false, is_new ? REASON_UPGRADED : REASON_RUNNING,
                        manifest_printf(m, "pod %" PRIstr " serves on node %" PRIstr,
                                        STR_ARG(status->pod_name), STR_ARG(status->node_name)));
    } else if (status->retries > performer->retries) {
        performer_event(
            scene, false, REASON_RETRYING,
            manifest_printf(m, "the pod is replaced (retry %lld)", (long long)status->retries));
    } else if (status->phase == PHASE_UPGRADING && performer->phase != PHASE_UPGRADING) {
        performer_event(scene, false, REASON_UPGRADING,
                        scene->keeper ? STR("a new pod is started beside the old one")
                                      : STR("the old pod is ended, then a new one is started"));
    }
}

void performer_status_write(struct scene *scene)
{
    struct manifest *m = &scene->make;
    struct performer_status *status = &scene->status;
    forget_retries(scene);
    if (status->is_ready && !scene->performer->is_ready)
        status->ready_ns = scene->now.wall_ns;
    struct json *json = status_json(scene), *patch = manifest_object(m);
    if (m->failed || performer_status_hash(json) == scene->performer->status_hash ||
        is_too_early(scene))
        return;
    manifest_put(m, patch, "status", json);
    performer_patch_status(scene, patch);
    tell(scene);
}
