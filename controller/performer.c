/* The order of it all: from what is there to what is done next. */
#include "controller/performer_parts.h"

#include "types/performer.h"

/* The old pod of an upgrade stays so long after the switch: kube-proxy and clients' resolvers take a
 * moment. */
#define SWITCHED_WAIT_NS (10 * CLOCK_NS_PER_SEC)
#define NEW_NS           (120 * CLOCK_NS_PER_SEC)

/* ---- Parts ---- */

static void add_finalizer(struct scene *scene)
{
    struct manifest *m = &scene->make;
    struct err err;
    struct json *patch = manifest_object(m);
    struct json *list =
        manifest_put_list(m, manifest_put_object(m, patch, "metadata"), "finalizers");
    if (scene->performer->finalizers.len > 0) {
        const struct json *now =
            json_read(m->arena, scene->performer->finalizers, &json_limits_default, &err);
        m->failed = m->failed || !now;
        manifest_merge(m, list, now);
    }
    manifest_append(m, list, json_new_str(m->arena, str_from_cstr(performer_kind.finalizer)));
    performer_patch(scene, &kube_performers, &scene->performer->stored, patch, "add finalizer");
}

static void delete_others(struct scene *scene)
{
    for (const struct performer_pod *pod = performer_first_pod(scene); pod;
         pod = performer_next_pod(scene, pod)) {
        if (pod != scene->current && pod != scene->keeper && !pod->stored.is_deleting &&
            !performer_is_lost(scene, pod))
            performer_delete(scene, &kube_pods, &pod->stored, false, "delete old pod");
    }
}

/* A time that is further ahead than we would wait is of a clock that was put back. */
static int64_t switched_left_ns(const struct scene *scene)
{
    int64_t switched_ns = scene->performer->last_upgrade_ns;
    return switched_ns - scene->now.wall_ns <= SWITCHED_WAIT_NS
               ? performer_time_left(scene, switched_ns, SWITCHED_WAIT_NS)
               : 0;
}

/* The old pod of an upgrade goes when it has not been called for a while. */
static void retire_keeper(struct scene *scene)
{
    const struct performer_object *performer = scene->performer;
    if (!scene->keeper || performer->phase != PHASE_RUNNING ||
        performer->served_revision != performer->revision ||
        !performer_service_leads_to(scene, scene->current))
        return;
    int64_t left_ns = switched_left_ns(scene);
    if (left_ns > 0)
        performer_again_after(scene, left_ns);
    else
        performer_delete(scene, &kube_pods, &scene->keeper->stored, false,
                         "delete pod of before the upgrade");
}

/* ---- Steps ---- */

static void report_name_taken(struct scene *scene)
{
    performer_status_begin(scene);
    performer_status_problem(
        scene, PHASE_FAILED, STAGE_FAILED, REASON_NAME_TAKEN,
        manifest_printf(&scene->make,
                        "there is a Service %" PRIstr " that does not belong to this Performer; "
                        "delete or rename it, or name the Performer otherwise",
                        STR_ARG(scene->service_name)));
    performer_status_write(scene);
}

/* Nothing leads to the pod, because the Service was refused. That stays told until the Service is there. */
static bool is_without_service(const struct scene *scene)
{
    return !scene->service && performer_was_refused(scene);
}

/* The pod is there: its status, and what somebody changed about it. */
static void tend(struct scene *scene)
{
    const struct performer_pod *pod = scene->current;
    bool is_without = is_without_service(scene);
    if (pod->failure != REASON_NONE && !pod->is_ready) {
        performer_fail(scene);
    } else if (!is_without && (!performer_failure_stands(scene) || pod->is_ready)) {
        performer_status_begin(scene);
        performer_status_describe(scene);
        performer_status_write(scene);
    }
    if (!scene->current)
        return; /* a retry */
    performer_leave_lost_nodes(scene);
    delete_others(scene);
    performer_pod_repair(scene);
    if (!is_without || !performer_is_held_back(scene))
        performer_service_ensure(scene, pod->is_ready || !scene->keeper ? scene->performer->revision
                                                                        : scene->keeper->revision);
    retire_keeper(scene);
}

/* No pod is made: the one of before the upgrade, when there is one, is to be reached all the same. */
static void keep_serving(struct scene *scene)
{
    performer_leave_lost_nodes(scene);
    if (scene->keeper)
        performer_service_ensure(scene, scene->keeper->revision);
}

/* Among many that were created together it has waited for its turn: its pod, which is made now, will tell
 * more. Where pods cannot be made the status says so in the end. */
static bool is_new(const struct scene *scene)
{
    const struct performer_object *performer = scene->performer;
    int64_t age_ns = scene->now.wall_ns - performer->created_ns;
    return performer->phase == PHASE_NONE && age_ns >= 0 && age_ns < NEW_NS;
}

static void report_unknown_hardware(struct scene *scene, struct str problem)
{
    performer_keep_what_serves(scene);
    performer_status_begin(scene);
    performer_status_set(scene, CONDITION_HARDWARE_VALIDATED, TRUTH_FALSE, REASON_HARDWARE_UNKNOWN,
                         problem);
    performer_status_problem(scene, PHASE_FAILED, STAGE_FAILED, REASON_HARDWARE_UNKNOWN, problem);
    performer_status_write(scene);
    keep_serving(scene);
}

/* Another pod must be gone first. */
static void make_room(struct scene *scene)
{
    struct str problem;
    if (!performer_pod_manifest(scene, &problem)) {
        report_unknown_hardware(scene, problem);
        return;
    }
    performer_status_begin(scene);
    performer_status_progress(scene, STAGE_CREATING, scene->now.wall_ns);
    if (scene->status.phase == PHASE_UPGRADING)
        scene->status.stage = STAGE_UPGRADING;
    scene->status.is_progress = false;
    performer_status_write(scene);
    performer_leave_lost_nodes(scene);
    delete_others(scene);
}

/* Nothing is in the way of the pod. It comes before its Service: what kube-controller-manager writes about a
 * Service whose pod is not ready it has to write again, which costs a cluster more than all that we do. */
static void start(struct scene *scene)
{
    const struct performer_object *performer = scene->performer;
    struct str problem;
    performer_status_begin(scene);
    struct json *pod = performer_pod_manifest(scene, &problem);
    if (performer_is_held_back(scene)) {
        keep_serving(scene);
        return;
    }
    if (!pod) {
        report_unknown_hardware(scene, problem);
        return;
    }
    performer_status_progress(
        scene, STAGE_POD_CREATION,
        performer->phase == PHASE_NONE ? performer->created_ns : scene->now.wall_ns);
    if (scene->status.phase == PHASE_UPGRADING)
        scene->status.stage = STAGE_POD_RECREATION;
    if (!performer_was_refused(scene) && !is_new(scene))
        performer_status_write(scene);
    performer_leave_lost_nodes(scene);
    if (!scene->is_full)
        performer_create(scene, &kube_pods, scene->pod_name, pod, "create pod");
    performer_service_ensure(scene, scene->keeper ? scene->keeper->revision : performer->revision);
}

static void live(struct scene *scene)
{
    if (scene->service_is_foreign)
        report_name_taken(scene);
    else if (scene->current)
        tend(scene);
    else if (scene->in_the_way > 0)
        make_room(scene);
    else
        start(scene);
}

/* ---- Entry ---- */

bool performer_scene(struct scene *ret, const struct performer_controller *controller,
                     struct queue_key key, struct moment now, struct plan *plan)
{
    const struct performer_object *performer =
        (const struct performer_object *)store_get(controller->performers, key.namespace, key.name);
    if (!performer)
        return false;
    *ret = (struct scene){
        .controller = controller,
        .performer = performer,
        .now = now,
        .plan = plan,
        .make = {.arena = plan->arena},
    };
    if (str_is_set(performer->correlation_id)) {
        plan->correlation_id = arena_copy(plan->arena, performer->correlation_id);
        ret->make.failed = !str_is_set(plan->correlation_id);
    }
    performer_look(ret);
    return true;
}

int performer_reconcile(void *ctx, struct queue_key key, struct moment now, struct plan *plan,
                        struct err *err)
{
    struct scene scene;
    if (!performer_scene(&scene, ctx, key, now, plan))
        return 0;
    if (scene.performer->stored.is_deleting) {
        if (scene.performer->has_finalizer)
            performer_end(&scene);
    } else if (!scene.performer->has_finalizer) {
        add_finalizer(&scene);
    } else {
        live(&scene);
    }
    return scene.make.failed ? err_no_memory(err, "reconciling a Performer") : 0;
}
