/* The Job controller (pkg/controller/job), and what a pod of a Job does. */
#include "unit/sim/actors.h"
#include "unit/sim/tree.h"

enum { PATH_MAX_LEN = 512, BODY_MAX = 4096 };

static const struct sim_shelf *shelf(const struct sim_actors *actors,
                                     const struct kube_resource *resource)
{
    return sim_store_shelf(&actors->world->server.store, resource);
}

static void now_text(const struct sim_actors *actors, char text[CLOCK_TEXT_SIZE])
{
    clock_print(clock_wall_ns(&actors->world->clock), CLOCK_SECONDS, text);
}

static void write_status(struct sim_actors *actors, const struct sim_object *object,
                         const char *status)
{
    char path[PATH_MAX_LEN];
    struct str target = sim_path(object, "status", path, sizeof(path));
    int code = sim_ask(actors->world, "PATCH", target, "{\"status\":%s}", status);
    sim_tracef(actors->world, "%s: %d %.160s", path, code, status);
}

static bool is_true(const struct sim_object *object, const char *condition)
{
    return str_eq(kube_text_at(kube_condition(object->tree, condition), "status", NULL),
                  STR("True"));
}

static bool is_phase(const struct sim_object *pod, const char *phase)
{
    return str_eq_cstr(kube_text_at(pod->tree, "status", "phase", NULL), phase);
}

bool sim_is_pod_of_job(const struct sim_object *pod)
{
    return str_eq(pod->meta.owner_kind, STR("Job"));
}

/* ---- Pods of Jobs, for the kubelet ---- */

/* By the image of its container: one that always fails, one whose exit code is 42, any other by chance. */
static int exit_code_of(struct sim_actors *actors, const struct sim_object *pod)
{
    static const int codes[] = {1, 2, 42, 137};
    const struct json *container = json_at(kube_at(pod->tree, "spec", "containers", NULL), 0);
    struct str image = kube_text_at(container, "image", NULL);
    if (str_eq(image, STR(SIM_FAILING_IMAGE)))
        return 1;
    if (str_eq(image, STR(SIM_FINAL_IMAGE)))
        return 42;
    if (actors->is_calm || !sim_chance(actors->world, actors->job_failure))
        return 0;
    return codes[random_below(actors->world->random, 4)];
}

static bool is_restarted(const struct sim_object *pod)
{
    return str_eq(kube_text_at(pod->tree, "spec", "restartPolicy", NULL), STR("OnFailure"));
}

static int64_t restarts_of(const struct sim_object *pod)
{
    const struct json *container =
        json_at(kube_at(pod->tree, "status", "containerStatuses", NULL), 0);
    return kube_int_at(container, 0, "restartCount", NULL);
}

static struct str container_of(const struct sim_object *pod)
{
    const struct json *container = json_at(kube_at(pod->tree, "spec", "containers", NULL), 0);
    return kube_text_at(container, "name", NULL);
}

/* The pod ends with its container. */
static void end_pod(struct sim_actors *actors, const struct sim_object *pod, int code)
{
    char status[BODY_MAX], now[CLOCK_TEXT_SIZE];
    now_text(actors, now);
    snprintf(status, sizeof(status),
             "{\"phase\":\"%s\",\"containerStatuses\":[{\"name\":\"%" PRIstr
             "\",\"image\":\"x\",\"imageID\":\"y\",\"ready\":false,\"restartCount\":%lld,"
             "\"state\":{\"terminated\":{\"exitCode\":%d,\"reason\":\"%s\",\"finishedAt\":\"%s\","
             "\"message\":\"{\\\"rows\\\": %d}\"}}}]}",
             code == 0 ? "Succeeded" : "Failed", STR_ARG(container_of(pod)),
             (long long)restarts_of(pod), code, code == 0 ? "Completed" : "Error", now,
             (int)sim_between(actors->world, 0, 20));
    write_status(actors, pod, status);
}

/* The container begins anew where it is. */
static void restart_container(struct sim_actors *actors, const struct sim_object *pod, int code)
{
    char status[BODY_MAX];
    snprintf(status, sizeof(status),
             "{\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"%" PRIstr
             "\",\"image\":\"x\",\"imageID\":\"y\",\"ready\":false,\"restartCount\":%lld,"
             "\"state\":{\"running\":{}},\"lastState\":{\"terminated\":{\"exitCode\":%d,"
             "\"reason\":\"Error\"}}}]}",
             STR_ARG(container_of(pod)), (long long)restarts_of(pod) + 1, code);
    write_status(actors, pod, status);
}

static void end_container(struct sim_actors *actors, const struct sim_object *pod)
{
    int code = exit_code_of(actors, pod);
    if (code != 0 && is_restarted(pod))
        restart_container(actors, pod, code);
    else
        end_pod(actors, pod, code);
}

void sim_run_pod_of_job(struct sim_actors *actors, const struct sim_object *pod)
{
    bool is_quick = actors->is_calm || sim_chance(actors->world, actors->job_speed);
    if (is_phase(pod, "Pending"))
        write_status(actors, pod, "{\"phase\":\"Running\"}");
    else if (is_phase(pod, "Running") && is_quick)
        end_container(actors, pod);
}

/* ---- Jobs ---- */

/* Its pods in that phase. */
static int64_t count_pods(const struct sim_actors *actors, const struct sim_object *job,
                          const char *phase)
{
    const struct sim_shelf *pods = shelf(actors, &kube_pods);
    int64_t count = 0;
    for (size_t i = 0; i < pods->count; i++) {
        const struct sim_object *pod = pods->objects[i];
        count += str_eq(pod->meta.owner_uid, job->meta.uid) && is_phase(pod, phase);
    }
    return count;
}

static void delete_pods(struct sim_actors *actors, const struct sim_object *job)
{
    const struct sim_shelf *pods = shelf(actors, &kube_pods);
    char path[PATH_MAX_LEN];
    for (size_t i = pods->count; i-- > 0;) {
        const struct sim_object *pod = pods->objects[i];
        if (str_eq(pod->meta.owner_uid, job->meta.uid) && !is_phase(pod, "Succeeded") &&
            !is_phase(pod, "Failed") && !str_is_set(pod->meta.deletion_timestamp))
            sim_ask(actors->world, "DELETE", sim_path(pod, NULL, path, sizeof(path)), "%s", "");
    }
}

static void make_pod(struct sim_actors *actors, const struct sim_object *job)
{
    struct sim_world *world = actors->world;
    struct arena arena;
    char path[PATH_MAX_LEN];
    arena_init(&arena, mem_system(), 1 << 14, 1 << 24);
    const struct json *template = kube_at(job->tree, "spec", "template", NULL);
    struct json *pod = json_copy(&arena, template);
    struct json *meta = tree_child(&arena, pod, "metadata", JSON_OBJECT);
    tree_set_str(&arena, meta, "name",
                 arena_printf(&arena, "%" PRIstr "-%llu", STR_ARG(str_sub(job->meta.name, 0, 50)),
                              (unsigned long long)world->server.store.version));
    tree_set(meta, STR("ownerReferences"),
             tree_readf(&arena,
                        "[{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"name\":\"%" PRIstr
                        "\",\"uid\":\"%" PRIstr "\",\"controller\":true}]",
                        STR_ARG(job->meta.name), STR_ARG(job->meta.uid)));
    snprintf(path, sizeof(path), "/api/v1/namespaces/%" PRIstr "/pods",
             STR_ARG(job->meta.namespace));
    int status =
        sim_ask(world, "POST", str_from_cstr(path), "%" PRIstr, STR_ARG(tree_write(&arena, pod)));
    sim_tracef(world, "Job %" PRIstr " makes a pod: %d", STR_ARG(job->meta.name), status);
    arena_done(&arena);
}

static void end_job(struct sim_actors *actors, const struct sim_object *job, const char *type,
                    const char *reason)
{
    char status[BODY_MAX], now[CLOCK_TEXT_SIZE];
    now_text(actors, now);
    snprintf(status, sizeof(status),
             "{\"active\":0,%s\"completionTime\":%s%s%s,\"conditions\":[{\"type\":\"%s\","
             "\"status\":\"True\",\"reason\":\"%s\",\"message\":\"simulated\","
             "\"lastTransitionTime\":\"%s\"}]}",
             strcmp(type, "Complete") == 0 ? "\"succeeded\":1," : "",
             strcmp(type, "Complete") == 0 ? "\"" : "",
             strcmp(type, "Complete") == 0 ? now : "null",
             strcmp(type, "Complete") == 0 ? "\"" : "", type, reason, now);
    write_status(actors, job, status);
}

static bool is_among(const struct json *codes, int64_t code)
{
    int64_t value;
    JSON_EACH (entry, json_get(codes, STR("values"))) {
        if (json_int64(entry, &value) && value == code)
            return !str_eq(kube_text_at(codes, "operator", NULL), STR("NotIn"));
    }
    return str_eq(kube_text_at(codes, "operator", NULL), STR("NotIn"));
}

/* "FailJob", "Ignore", or "Count". */
static struct str action_for(const struct sim_object *job, const struct sim_object *pod)
{
    const struct json *container =
        json_at(kube_at(pod->tree, "status", "containerStatuses", NULL), 0);
    int64_t code = kube_int_at(container, 0, "state", "terminated", "exitCode", NULL);
    JSON_EACH (rule, kube_at(job->tree, "spec", "podFailurePolicy", "rules", NULL)) {
        if (code != 0 && is_among(json_get(rule, STR("onExitCodes")), code))
            return kube_text_at(rule, "action", NULL);
    }
    return STR("Count");
}

/* A pod that failed is counted once: then it gets a label. */
static void count_failure(struct sim_actors *actors, const struct sim_object *job,
                          const struct sim_object *pod)
{
    char path[PATH_MAX_LEN], status[64];
    struct str action = action_for(job, pod);
    int64_t failed =
        kube_int_at(job->tree, 0, "status", "failed", NULL) + !str_eq(action, STR("Ignore"));
    bool is_last = failed > kube_int_at(job->tree, 6, "spec", "backoffLimit", NULL);
    sim_ask(actors->world, "PATCH", sim_path(pod, NULL, path, sizeof(path)),
            "{\"metadata\":{\"labels\":{\"counted\":\"yes\"}}}");
    if (str_eq(action, STR("FailJob"))) {
        end_job(actors, job, "Failed", "PodFailurePolicy");
    } else if (is_last) {
        end_job(actors, job, "Failed", "BackoffLimitExceeded");
    } else {
        snprintf(status, sizeof(status), "{\"failed\":%lld}", (long long)failed);
        write_status(actors, job, status);
    }
}

static const struct sim_object *uncounted_failure(const struct sim_actors *actors,
                                                  const struct sim_object *job)
{
    const struct sim_shelf *pods = shelf(actors, &kube_pods);
    for (size_t i = 0; i < pods->count; i++) {
        const struct sim_object *pod = pods->objects[i];
        if (str_eq(pod->meta.owner_uid, job->meta.uid) && is_phase(pod, "Failed") &&
            !str_is_set(kube_map_get(pod->meta.labels, STR("counted"))))
            return pod;
    }
    return NULL;
}

static int64_t live_pods(const struct sim_actors *actors, const struct sim_object *job)
{
    return count_pods(actors, job, "Pending") + count_pods(actors, job, "Running");
}

static int64_t completions_of(const struct sim_object *job)
{
    return kube_int_at(job->tree, 1, "spec", "completions", NULL);
}

/* A pod whose containers were started again too often. */
static const struct sim_object *restless_pod(const struct sim_actors *actors,
                                             const struct sim_object *job)
{
    const struct sim_shelf *pods = shelf(actors, &kube_pods);
    int64_t limit = kube_int_at(job->tree, 6, "spec", "backoffLimit", NULL);
    for (size_t i = 0; i < pods->count; i++) {
        const struct sim_object *pod = pods->objects[i];
        if (str_eq(pod->meta.owner_uid, job->meta.uid) && is_phase(pod, "Running") &&
            restarts_of(pod) > limit)
            return pod;
    }
    return NULL;
}

/* It is stopped, and may be gone before anybody has seen its end. */
static void end_restless(struct sim_actors *actors, const struct sim_object *job,
                         const struct sim_object *pod)
{
    const struct json *status = json_at(kube_at(pod->tree, "status", "containerStatuses", NULL), 0);
    int64_t code = kube_int_at(status, 1, "lastState", "terminated", "exitCode", NULL);
    if (sim_chance(actors->world, 500))
        end_pod(actors, pod, (int)code);
    delete_pods(actors, job);
    end_job(actors, job, "Failed", "BackoffLimitExceeded");
}

/* As many at once as it says, and no more than are missing. */
static void make_pods(struct sim_actors *actors, const struct sim_object *job)
{
    int64_t at_once = kube_int_at(job->tree, 1, "spec", "parallelism", NULL);
    int64_t missing = completions_of(job) - count_pods(actors, job, "Succeeded");
    int64_t wanted = at_once < missing ? at_once : missing;
    for (int64_t live = live_pods(actors, job); live < wanted; live++)
        make_pod(actors, job);
}

static bool is_overdue(const struct sim_actors *actors, const struct sim_object *job)
{
    int64_t started_ns, limit_s = kube_int_at(job->tree, 0, "spec", "activeDeadlineSeconds", NULL);
    return limit_s > 0 &&
           clock_parse(kube_text_at(job->tree, "status", "startTime", NULL), &started_ns) &&
           clock_wall_ns(&actors->world->clock) - started_ns >= limit_s * SIM_SEC;
}

static void set_suspended(struct sim_actors *actors, const struct sim_object *job,
                          bool is_suspended)
{
    char status[BODY_MAX], now[CLOCK_TEXT_SIZE];
    now_text(actors, now);
    snprintf(status, sizeof(status),
             "{\"active\":0,\"startTime\":%s%s%s,\"conditions\":[{\"type\":\"Suspended\","
             "\"status\":\"%s\",\"lastTransitionTime\":\"%s\"}]}",
             is_suspended ? "" : "\"", is_suspended ? "null" : now, is_suspended ? "" : "\"",
             is_suspended ? "True" : "False", now);
    write_status(actors, job, status);
}

static void run_job(struct sim_actors *actors, const struct sim_object *job)
{
    bool is_suspended = kube_bool_at(job->tree, "spec", "suspend", NULL);
    bool has_start = kube_text_at(job->tree, "status", "startTime", NULL).len > 0;
    const struct sim_object *failure, *restless;
    if (is_true(job, "Complete") || is_true(job, "Failed") ||
        str_is_set(job->meta.deletion_timestamp)) {
        delete_pods(actors, job);
    } else if (count_pods(actors, job, "Succeeded") >= completions_of(job)) {
        end_job(actors, job, "Complete", "CompletionsReached");
    } else if (is_suspended) {
        delete_pods(actors, job);
        if (!is_true(job, "Suspended"))
            set_suspended(actors, job, true);
    } else if (!has_start) {
        set_suspended(actors, job, false);
    } else if (is_overdue(actors, job)) {
        end_job(actors, job, "Failed", "DeadlineExceeded");
    } else if ((failure = uncounted_failure(actors, job))) {
        count_failure(actors, job, failure);
    } else if ((restless = restless_pod(actors, job))) {
        end_restless(actors, job, restless);
    } else {
        make_pods(actors, job);
    }
}

void sim_jobs_act(struct sim_actors *actors)
{
    const struct sim_shelf *jobs = shelf(actors, &kube_jobs);
    for (size_t i = 0; i < jobs->count; i++) {
        if (actors->is_calm || sim_chance(actors->world, 600))
            run_job(actors, jobs->objects[i]);
    }
}
