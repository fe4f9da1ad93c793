/* Failures: what is told, when it is tried again, and what the API server refused. */
#include "controller/performer_parts.h"

#include "controller/performer.h"

#define BACKOFF_MIN_NS (10 * CLOCK_NS_PER_SEC)
#define BACKOFF_MAX_NS (300 * CLOCK_NS_PER_SEC)
/* A pod that has served for so long begins to count anew, as the kubelet does
 * (kubernetes pkg/kubelet/kubelet.go, MaxCrashLoopBackOff). */
#define SERVED_WELL_NS (600 * CLOCK_NS_PER_SEC)

enum { BACKOFF_DOUBLINGS = 5 };

/* ---- A pod that failed ---- */

static int64_t backoff_ns(int64_t retries)
{
    int64_t backoff = BACKOFF_MIN_NS << (retries < BACKOFF_DOUBLINGS ? retries : BACKOFF_DOUBLINGS);
    return backoff < BACKOFF_MAX_NS ? backoff : BACKOFF_MAX_NS;
}

static bool is_failure_of_pod(enum performer_reason reason)
{
    return reason >= REASON_IMAGE_PULL_FAILED && reason <= REASON_BACKOFF_LIMIT_EXCEEDED;
}

bool performer_failure_stands(const struct scene *scene)
{
    const struct performer_object *performer = scene->performer;
    return performer->stage == STAGE_FAILED && performer->attempt == scene->attempt &&
           is_failure_of_pod(performer->reason);
}

static struct str explain(struct scene *scene)
{
    struct manifest *m = &scene->make;
    const struct performer_pod *pod = scene->current;
    const char *separator = pod->message.len ? ": " : "";
    switch (pod->failure) {
    case REASON_IMAGE_PULL_FAILED:
        return manifest_printf(m, "image %" PRIstr " cannot be pulled: %" PRIstr "%s%" PRIstr,
                               STR_ARG(pod->image), STR_ARG(pod->reason), separator,
                               STR_ARG(pod->message));
    case REASON_CONTAINER_CRASHED:
        return manifest_printf(m,
                               "the container ended with exit code %lld (%" PRIstr
                               "): kubectl logs --previous %" PRIstr " may say why",
                               (long long)pod->exit_code, STR_ARG(pod->reason),
                               STR_ARG(pod->stored.name));
    case REASON_CONTAINER_START_FAILED:
        return manifest_printf(m,
                               "the container cannot be started: %" PRIstr "%s%" PRIstr
                               "; kubectl describe pod %" PRIstr " says more",
                               STR_ARG(pod->reason), separator, STR_ARG(pod->message),
                               STR_ARG(pod->stored.name));
    default:
        return manifest_printf(m, "the pod has ended: %" PRIstr "%s%" PRIstr, STR_ARG(pod->reason),
                               separator, STR_ARG(pod->message));
    }
}

static bool may_retry(const struct scene *scene, int64_t retries)
{
    return scene->performer->backoff_limit < 0 || retries < scene->performer->backoff_limit;
}

/* How often it was tried in a row. */
static int64_t retries_so_far(const struct scene *scene)
{
    const struct performer_object *performer = scene->performer;
    int64_t until_ns =
        performer->is_ready ? scene->now.wall_ns : performer->conditions[CONDITION_READY].since_ns;
    bool served_well = performer->ready_ns >= scene->current->created_ns &&
                       performer->ready_ns > 0 && until_ns - performer->ready_ns >= SERVED_WELL_NS;
    return served_well ? 0 : performer->retries;
}

static void put_failure(struct scene *scene, int64_t retries, int64_t next_ns)
{
    struct performer_status *status = &scene->status;
    const struct performer_pod *pod = scene->current;
    struct str message = explain(scene);
    bool is_last = next_ns == 0;
    performer_status_begin(scene);
    performer_status_describe(scene);
    enum performer_condition condition = pod->failure == REASON_IMAGE_PULL_FAILED
                                             ? CONDITION_IMAGE_PULLED
                                             : CONDITION_CONTAINERS_READY;
    performer_status_set(scene, condition, TRUTH_FALSE, pod->failure, message);
    performer_status_problem(scene, PHASE_FAILED, STAGE_FAILED,
                             is_last ? REASON_BACKOFF_LIMIT_EXCEEDED : pod->failure, message);
    status->retries = retries;
    status->next_retry_ns = next_ns;
    performer_status_write(scene);
    if (!is_last)
        performer_again_after(
            scene, performer_time_left(scene, scene->now.wall_ns, next_ns - scene->now.wall_ns));
}

/* The one write that counts a retry: on condition that the Performer is as it was seen, and before the pod
 * is touched. From then on the pod of the next attempt is the one that should be. */
static void retry(struct scene *scene)
{
    const struct performer_pod *failed = scene->current;
    scene->current = NULL;
    performer_status_begin(scene);
    performer_status_progress(scene, STAGE_CREATING, scene->now.wall_ns);
    if (scene->status.phase == PHASE_UPGRADING)
        scene->status.stage = STAGE_UPGRADING;
    scene->status.is_progress = false;
    scene->status.attempt = scene->attempt + 1;
    scene->status.retries = scene->performer->retries + 1;
    performer_status_write(scene);
    performer_delete(scene, &kube_pods, &failed->stored, false, "delete failed pod");
}

/* A time that is further away than any backoff is of a clock that was put back. */
static int64_t retry_left_ns(const struct scene *scene)
{
    int64_t left_ns = scene->performer->next_retry_ns - scene->now.wall_ns;
    return left_ns > 0 && left_ns <= BACKOFF_MAX_NS + CLOCK_NS_PER_SEC ? left_ns : 0;
}

void performer_fail(struct scene *scene)
{
    const struct performer_object *performer = scene->performer;
    if (!performer_failure_stands(scene)) {
        int64_t retries = retries_so_far(scene);
        int64_t next_ns = may_retry(scene, retries) ? scene->now.wall_ns + backoff_ns(retries) : 0;
        put_failure(scene, retries, next_ns);
        return;
    }
    bool has_changed = performer->observed_generation != performer->stored.generation;
    if (!may_retry(scene, performer->retries)) {
        if (has_changed || performer->next_retry_ns)
            put_failure(scene, performer->retries, 0);
    } else if (performer->next_retry_ns == 0) {
        put_failure(scene, performer->retries, /* the limit was raised */
                    scene->now.wall_ns + backoff_ns(performer->retries));
    } else if (retry_left_ns(scene) == 0) {
        retry(scene);
    } else if (has_changed) {
        put_failure(scene, performer->retries, performer->next_retry_ns);
    } else {
        performer_again_after(scene, retry_left_ns(scene));
    }
}

/* ---- What the API server refused ---- */

static bool is_same_spec(const struct performer_object *performer)
{
    return performer->observed_generation == performer->stored.generation;
}

static bool is_forbidden(enum performer_reason reason)
{
    return reason == REASON_POD_FORBIDDEN || reason == REASON_SERVICE_FORBIDDEN;
}

static bool is_refused(enum performer_reason reason)
{
    return reason == REASON_POD_REFUSED || reason == REASON_SERVICE_REFUSED;
}

bool performer_was_refused(const struct scene *scene)
{
    enum performer_reason reason = scene->performer->reason;
    return is_same_spec(scene->performer) &&
           (is_forbidden(reason) || is_refused(reason) || reason == REASON_NAME_TAKEN);
}

bool performer_is_held_back(struct scene *scene)
{
    const struct performer_object *performer = scene->performer;
    if (!is_same_spec(performer))
        return false;
    if (is_forbidden(performer->reason) && retry_left_ns(scene) > 0) {
        performer_again_after(scene, retry_left_ns(scene));
        return true;
    }
    return is_refused(performer->reason);
}

/* Twice as long as it has lasted already. */
static int64_t forbidden_wait_ns(const struct scene *scene)
{
    const struct performer_object *performer = scene->performer;
    int64_t since_ns = performer->conditions[CONDITION_READY].since_ns;
    int64_t wait_ns =
        since_ns && is_forbidden(performer->reason) ? scene->now.wall_ns - since_ns : 0;
    if (wait_ns < BACKOFF_MIN_NS)
        wait_ns = BACKOFF_MIN_NS;
    return wait_ns < BACKOFF_MAX_NS ? wait_ns : BACKOFF_MAX_NS;
}

static void put_refusal(struct scene *scene, bool is_pod, const struct action_failure *failure)
{
    struct manifest *m = &scene->make;
    const char *what = is_pod ? "pod" : "Service";
    struct str name = is_pod ? scene->pod_name : scene->service_name;
    performer_status_begin(scene);
    if (failure->is_foreign) {
        performer_status_problem(
            scene, PHASE_FAILED, STAGE_FAILED, REASON_NAME_TAKEN,
            manifest_printf(m,
                            "there is a %s %" PRIstr " that does not belong to this Performer; "
                            "delete or rename it, or name the Performer otherwise",
                            what, STR_ARG(name)));
    } else if (failure->outcome == KUBE_INVALID) {
        performer_status_problem(
            scene, PHASE_FAILED, STAGE_FAILED, is_pod ? REASON_POD_REFUSED : REASON_SERVICE_REFUSED,
            manifest_printf(m, "the %s is invalid: %" PRIstr, what, STR_ARG(failure->message)));
    } else {
        int64_t wait_ns = forbidden_wait_ns(scene);
        performer_status_problem(scene, performer_phase_on_the_way(scene),
                                 is_pod ? STAGE_POD_CREATION : STAGE_SERVICE_CREATION,
                                 is_pod ? REASON_POD_FORBIDDEN : REASON_SERVICE_FORBIDDEN,
                                 manifest_printf(m, "the %s may not be created: %" PRIstr, what,
                                                 STR_ARG(failure->message)));
        scene->status.next_retry_ns = scene->now.wall_ns + wait_ns;
        performer_again_after(scene, wait_ns);
    }
    performer_status_write(scene);
}

bool performer_refused(void *ctx, struct queue_key key, struct moment now,
                       const struct action *action, const struct action_failure *failure,
                       struct plan *plan)
{
    struct scene scene;
    bool is_pod = action->resource == &kube_pods;
    if (action->verb != ACTION_CREATE)
        return false;
    if (failure->outcome == KUBE_NOT_FOUND)
        return true; /* the namespace is gone, and the Performer with it */
    if (!performer_scene(&scene, ctx, key, now, plan) || scene.performer->stored.is_deleting)
        return true;
    put_refusal(&scene, is_pod, failure);
    if (!scene.make.failed)
        return true;
    plan->action_count = plan->event_count = 0;
    return false;
}
