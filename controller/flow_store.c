/* Projections: what the caches keep of JobFlows, their Jobs, and the pods of these. */
#include "controller/flow_parts.h"

#include "base/utf8.h"
#include "policy/jobflow.h"

enum {
    TEXT_MAX = 8 * 1024 * 1024, /* more than etcd takes, twice */
    MESSAGE_MAX = 512,          /* bytes kept of a message of somebody else */
    TTL_DEFAULT_S = 86400,
    BACKOFF_LIMIT_DEFAULT = 6,
};

int64_t flow_time_of(struct str text)
{
    int64_t wall_ns = 0;
    clock_parse(text, &wall_ns);
    return wall_ns > 0 ? wall_ns : 0;
}

/* ---- Names ---- */

static const char *const phases[FLOW_PHASE_COUNT] = {
    [FLOW_NONE] = "",         [FLOW_PENDING] = "Pending",     [FLOW_RUNNING] = "Running",
    [FLOW_PAUSED] = "Paused", [FLOW_SUSPENDED] = "Suspended", [FLOW_SUCCEEDED] = "Succeeded",
    [FLOW_FAILED] = "Failed",
};

const char *flow_phase_name(enum flow_phase phase)
{
    return phases[phase];
}

enum flow_phase flow_phase_find(struct str name)
{
    for (int i = 1; i < FLOW_PHASE_COUNT; i++) {
        if (str_eq_cstr(name, phases[i]))
            return (enum flow_phase)i;
    }
    return FLOW_NONE;
}

static const char *const conditions[FLOW_CONDITION_COUNT] = {
    [FLOW_READY] = "Ready",
    [FLOW_COMPLETED] = "Completed",
    [FLOW_HAS_FAILED] = "Failed",
    [FLOW_BLOCKED] = "Blocked",
};

const char *flow_condition_name(enum flow_condition condition)
{
    return conditions[condition];
}

/* ---- JobFlows ---- */

/* The texts that do not stand in the object as they are kept: parts of one buffer. */
struct flow_texts {
    struct str head, steps, results, resources, decisions;
    uint32_t count, main_count;
};

static enum flow_truth truth_of(struct str status)
{
    if (str_eq(status, STR("True")))
        return FLOW_TRUE;
    return str_eq(status, STR("False")) ? FLOW_FALSE : FLOW_UNKNOWN;
}

static void read_status(struct flow_object *to, const struct json *object)
{
    const struct json *status = kube_at(object, "status", NULL);
    to->phase = flow_phase_find(kube_text_at(status, "phase", NULL));
    to->start_ns = flow_time_of(kube_text_at(status, "startTime", NULL));
    to->end_ns = flow_time_of(kube_text_at(status, "completionTime", NULL));
    to->completed = kube_int_at(status, 0, "progress", "completedSteps", NULL);
    to->observed_generation = kube_int_at(status, 0, "observedGeneration", NULL);
    for (int i = 0; i < FLOW_CONDITION_COUNT; i++) {
        const struct json *condition = kube_condition(object, conditions[i]);
        to->conditions[i].truth = truth_of(kube_text_at(condition, "status", NULL));
        to->conditions[i].reason = flow_reason_find(kube_text_at(condition, "reason", NULL));
        to->conditions[i].since_ns =
            flow_time_of(kube_text_at(condition, "lastTransitionTime", NULL));
    }
}

static enum flow_concurrency concurrency_of(struct str policy)
{
    if (str_eq(policy, STR("Allow")))
        return FLOW_ALLOW;
    return str_eq(policy, STR("Replace")) ? FLOW_REPLACE : FLOW_FORBID;
}

static enum flow_priority priority_of(struct str priority)
{
    if (str_eq(priority, STR("high")))
        return FLOW_HIGH;
    return str_eq(priority, STR("low")) ? FLOW_LOW : FLOW_NORMAL;
}

static void read_policy(struct flow_object *to, const struct json *object)
{
    const struct json *policy = kube_at(object, "spec", "executionPolicy", NULL);
    to->ttl_s = kube_int_at(policy, TTL_DEFAULT_S, "ttlSecondsAfterFinished", NULL);
    to->deadline_s = kube_int_at(policy, 0, "activeDeadlineSeconds", NULL);
    to->parallelism = kube_int_at(policy, 0, "parallelism", NULL);
    to->backoff_limit = kube_int_at(policy, BACKOFF_LIMIT_DEFAULT, "backoffLimit", NULL);
    to->concurrency = concurrency_of(kube_text_at(policy, "concurrencyPolicy", NULL));
    to->priority = priority_of(kube_text_at(policy, "priority", NULL));
    to->is_suspended = kube_bool_at(policy, "suspend", NULL);
    to->is_killing = str_eq(kube_text_at(policy, "suspendMode", NULL), STR("Kill"));
}

/* The group that it names, else its generateName without the dash, else its name. */
static struct str group_of(const struct json *object)
{
    struct str group = kube_text_at(object, "spec", "executionPolicy", "concurrencyGroup", NULL);
    struct str generate = kube_text_at(object, "metadata", "generateName", NULL);
    if (group.len > 0)
        return group;
    if (generate.len > 0)
        return str_ends_with(generate, STR("-")) ? str_sub(generate, 0, generate.len - 1)
                                                 : generate;
    return kube_text_at(object, "metadata", "name", NULL);
}

static uint32_t write_steps(struct buf *buf, const struct json *steps)
{
    uint32_t count = 0;
    JSON_EACH (step, steps) {
        json_write(buf, step);
        buf_put_char(buf, '\n');
        count++;
    }
    return count;
}

static void write_head(struct buf *buf, const struct json *spec)
{
    char separator = '{';
    JSON_EACH (member, spec) {
        if (str_eq(json_key(member), STR("steps")) || str_eq(json_key(member), STR("finally")))
            continue;
        buf_put_char(buf, separator);
        json_write_str(buf, json_key(member));
        buf_put_char(buf, ':');
        json_write(buf, member);
        separator = ',';
    }
    buf_put(buf, separator == '{' ? STR("{}") : STR("}"));
}

static void write_decisions(struct buf *buf, const struct json *annotations)
{
    char separator = '{';
    JSON_EACH (annotation, annotations) {
        if (!str_starts_with(json_key(annotation), STR(ANNOTATION_APPROVE)) &&
            !str_starts_with(json_key(annotation), STR(ANNOTATION_APPROVED_BY)))
            continue;
        buf_put_char(buf, separator);
        json_write_str(buf, json_key(annotation));
        buf_put_char(buf, ':');
        json_write(buf, annotation);
        separator = ',';
    }
    if (separator == ',')
        buf_put_char(buf, '}');
}

/* What was written since *from, absent when nothing was; *from is then the end. */
static struct str part_of(const struct buf *buf, size_t *from)
{
    size_t start = *from;
    *from = buf->len;
    return buf->len > start ? (struct str){buf->ptr + start, buf->len - start}
                            : (struct str){NULL, 0};
}

static bool write_texts(struct buf *buf, const struct json *object, const struct kube_meta *meta,
                        struct flow_texts *ret)
{
    const struct json *spec = kube_at(object, "spec", NULL);
    const struct json *results = kube_at(object, "status", "steps", NULL);
    const struct json *resources = kube_at(object, "status", "resourceRefs", NULL);
    size_t ends[5];
    write_head(buf, spec);
    ends[0] = buf->len;
    ret->main_count = write_steps(buf, kube_at(spec, "steps", NULL));
    ret->count = ret->main_count + write_steps(buf, kube_at(spec, "finally", NULL));
    ends[1] = buf->len;
    if (results)
        json_write(buf, results);
    ends[2] = buf->len;
    if (resources)
        json_write(buf, resources);
    ends[3] = buf->len;
    write_decisions(buf, meta->annotations);
    ends[4] = buf->len;
    if (buf_failed(buf))
        return false;
    /* The buffer does not move any more. */
    struct str *const parts[] = {&ret->head, &ret->steps, &ret->results, &ret->resources,
                                 &ret->decisions};
    size_t from = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct buf upto = *buf;
        upto.len = ends[i];
        *parts[i] = part_of(&upto, &from);
    }
    return true;
}

static struct stored *keep_flow(const struct mem *mem, const struct json *object,
                                const struct kube_meta *meta, const struct flow_texts *texts)
{
    struct str group = group_of(object);
    struct str id = kube_map_get(meta->annotations, STR(ANNOTATION_CORRELATION_ID));
    struct str by = kube_map_get(meta->annotations, STR(ANNOTATION_INITIATED_BY));
    struct stored *stored =
        store_new_object(mem, meta, sizeof(struct flow_object),
                         group.len + id.len + by.len + texts->head.len + texts->steps.len +
                             texts->results.len + texts->resources.len + texts->decisions.len);
    if (!stored)
        return NULL;
    struct flow_object *to = (struct flow_object *)stored;
    to->created_ns = flow_time_of(kube_text_at(object, "metadata", "creationTimestamp", NULL));
    to->count = texts->count;
    to->main_count = texts->main_count;
    to->group = store_keep_text(stored, group);
    to->correlation_id = store_keep_text(stored, id);
    to->initiated_by = store_keep_text(stored, by);
    to->head = store_keep_text(stored, texts->head);
    to->steps = store_keep_text(stored, texts->steps);
    to->results = store_keep_text(stored, texts->results);
    to->resources = store_keep_text(stored, texts->resources);
    to->decisions = store_keep_text(stored, texts->decisions);
    read_policy(to, object);
    read_status(to, object);
    return stored;
}

static struct stored *project_flow(const struct mem *mem, const struct json *object,
                                   const struct kube_meta *meta)
{
    struct flow_texts texts = {0};
    enum flow_phase phase = flow_phase_find(kube_text_at(object, "status", "phase", NULL));
    bool has_ended = phase == FLOW_SUCCEEDED || phase == FLOW_FAILED;
    struct buf buf;
    buf_init(&buf, mem, TEXT_MAX);
    struct stored *stored = NULL;
    if (has_ended || write_texts(&buf, object, meta, &texts))
        stored = keep_flow(mem, object, meta, &texts);
    buf_done(&buf);
    return stored;
}

const struct store_type flow_objects = {
    .resource = &kube_jobflows,
    .project = project_flow,
};

/* ---- Jobs ---- */

static bool is_true(const struct json *condition)
{
    return str_eq(kube_text_at(condition, "status", NULL), STR("True"));
}

/* The conditions that end a Job (k8s.io/api/batch/v1 types.go); those of before are not the end. */
static void read_job_status(struct flow_job *to, const struct json *job)
{
    const struct json *complete = kube_condition(job, "Complete");
    const struct json *failed = kube_condition(job, "Failed");
    if (is_true(complete)) {
        to->state = FLOW_JOB_COMPLETE;
        to->end_ns = flow_time_of(kube_text_at(job, "status", "completionTime", NULL));
        if (to->end_ns == 0)
            to->end_ns = flow_time_of(kube_text_at(complete, "lastTransitionTime", NULL));
    } else if (is_true(failed)) {
        to->state = FLOW_JOB_FAILED;
        to->end_ns = flow_time_of(kube_text_at(failed, "lastTransitionTime", NULL));
        to->reason = kube_text_at(failed, "reason", NULL);
        to->message = kube_text_at(failed, "message", NULL);
        if (str_is_set(to->message))
            to->message = utf8_cut(to->message, MESSAGE_MAX);
    }
}

static struct stored *project_job(const struct mem *mem, const struct json *object,
                                  const struct kube_meta *meta)
{
    struct flow_job job = {.attempt = -1};
    struct buf buf;
    buf_init(&buf, mem, TEXT_MAX);
    read_job_status(&job, object);
    job.is_suspended = kube_bool_at(object, "spec", "suspend", NULL);
    job.created_ns = flow_time_of(kube_text_at(object, "metadata", "creationTimestamp", NULL));
    job.step = kube_map_get(meta->labels, STR(LABEL_FLOW_STEP));
    str_to_int64(kube_map_get(meta->labels, STR(LABEL_FLOW_ATTEMPT)), &job.attempt);
    if (job.state != FLOW_JOB_OPEN &&
        str_is_set(kube_map_get(meta->labels, STR(LABEL_FLOW_RESULT)))) {
        json_write(&buf, object);
        job.text = buf_str(&buf);
    }
    struct stored *stored = NULL;
    if (!buf_failed(&buf))
        stored = store_new_object(mem, meta, sizeof(job),
                                  job.step.len + job.reason.len + job.message.len + job.text.len);
    if (stored) {
        struct flow_job *to = (struct flow_job *)stored;
        job.stored = *stored;
        *to = job;
        to->step = store_keep_text(stored, job.step);
        to->reason = store_keep_text(stored, job.reason);
        to->message = store_keep_text(stored, job.message);
        to->text = store_keep_text(stored, job.text);
    }
    buf_done(&buf);
    return stored;
}

const struct store_type flow_jobs = {
    .resource = &kube_jobs,
    .project = project_job,
};

/* ---- Pods ---- */

static void write_member(struct buf *buf, char separator, const char *key, const struct json *value)
{
    buf_put_char(buf, separator);
    json_write_str(buf, str_from_cstr(key));
    buf_put_char(buf, ':');
    if (value)
        json_write(buf, value);
    else
        buf_put(buf, STR("null"));
}

static void write_names(struct buf *buf, char separator, const char *key, const struct json *list)
{
    buf_put_char(buf, separator);
    json_write_str(buf, str_from_cstr(key));
    buf_put(buf, STR(":["));
    JSON_EACH (container, list) {
        write_member(buf, '{', "name", json_get(container, STR("name")));
        buf_put(buf, container->next ? STR("},") : STR("}"));
    }
    buf_put_char(buf, ']');
}

/* Never the containers themselves, whose variables may be confidential. */
static void write_pod(struct buf *buf, const struct json *pod)
{
    const struct json *spec = kube_at(pod, "spec", NULL), *status = kube_at(pod, "status", NULL);
    buf_put(buf, STR("{\"spec\":"));
    write_names(buf, '{', "containers", kube_at(spec, "containers", NULL));
    write_names(buf, ',', "initContainers", kube_at(spec, "initContainers", NULL));
    buf_put(buf, STR("},\"status\":"));
    write_member(buf, '{', "phase", json_get(status, STR("phase")));
    write_member(buf, ',', "containerStatuses", json_get(status, STR("containerStatuses")));
    write_member(buf, ',', "initContainerStatuses", json_get(status, STR("initContainerStatuses")));
    buf_put(buf, STR("}}"));
}

static struct stored *project_pod(const struct mem *mem, const struct json *object,
                                  const struct kube_meta *meta)
{
    struct str phase = kube_text_at(object, "status", "phase", NULL);
    struct flow_pod pod = {
        .has_failed = str_eq(phase, STR("Failed")),
        .has_succeeded = str_eq(phase, STR("Succeeded")),
        .created_ns = flow_time_of(kube_text_at(object, "metadata", "creationTimestamp", NULL)),
        .flow = kube_map_get(meta->labels, STR(LABEL_FLOW)),
        .step = kube_map_get(meta->labels, STR(LABEL_FLOW_STEP)),
    };
    struct buf buf;
    buf_init(&buf, mem, TEXT_MAX);
    /* With restartPolicy OnFailure a container has failed and its pod has not. */
    if (kube_at(object, "status", "containerStatuses", NULL)) {
        write_pod(&buf, object);
        pod.text = buf_str(&buf);
    }
    struct stored *stored = NULL;
    if (!buf_failed(&buf))
        stored =
            store_new_object(mem, meta, sizeof(pod), pod.flow.len + pod.step.len + pod.text.len);
    if (stored) {
        struct flow_pod *to = (struct flow_pod *)stored;
        pod.stored = *stored;
        *to = pod;
        to->flow = store_keep_text(stored, pod.flow);
        to->step = store_keep_text(stored, pod.step);
        to->text = store_keep_text(stored, pod.text);
    }
    buf_done(&buf);
    return stored;
}

const struct store_type flow_pods = {
    .resource = &kube_pods,
    .project = project_pod,
};
