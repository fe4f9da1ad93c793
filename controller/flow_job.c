/* The Job or Performer of a step. */
#include "controller/flow_job.h"

#include "base/hash.h"
#include "policy/placeholder.h"
#include "types/job.h"

#include <inttypes.h>
#include <stdio.h>

/* Fixed: what is on a cluster must be found again by every version of this program. */
static const struct hash_seed fixed_seed = {{UINT64_C(0x63616c6c626f6172), UINT64_C(0x66)}};

static bool step_is(const struct flow_step *step, const char *type)
{
    return str_is_set(step->type) ? str_eq_cstr(step->type, type) : strcmp(type, "Job") == 0;
}

/* ---- Names ---- */

/* The host name of an Indexed Job's pod is NAME-INDEX, a DNS label (k8s.io/kubernetes
 * pkg/apis/batch/validation). */
static bool may_be_indexed(const struct flow_step *step)
{
    struct str mode = json_str(json_path(step->template, "spec", "completionMode", NULL));
    return mode.len > 0 && !str_eq(mode, STR("NonIndexed"));
}

size_t flow_child_name_max(const struct flow_step *step)
{
    enum { LABEL_MAX = 63, INDEX_MAX = 11, PERFORMER_MAX = 53 };
    if (step_is(step, "Performer"))
        return PERFORMER_MAX;
    return may_be_indexed(step) ? LABEL_MAX - INDEX_MAX : LABEL_MAX;
}

struct str flow_child_name(struct arena *arena, const struct flow_owner *flow, struct str step,
                           size_t max, int64_t attempt)
{
    enum { HASH_DIGITS = 8 };
    char stem[128], number[24];
    int len =
        snprintf(stem, sizeof(stem), "%" PRIstr "-%" PRIstr, STR_ARG(flow->name), STR_ARG(step));
    struct str cut = {stem, len < (int)sizeof(stem) ? (size_t)len : sizeof(stem) - 1};
    cut = str_sub(cut, 0, max - 1 - HASH_DIGITS);
    while (cut.len > 0 && (stem[cut.len - 1] == '-' || stem[cut.len - 1] == '.'))
        cut.len--;
    /* A flow's name may have dots, which are none of a host name. */
    for (size_t i = 0; i < cut.len; i++)
        stem[i] = stem[i] == '.' ? '-' : stem[i];
    snprintf(number, sizeof(number), "%" PRId64, attempt);
    uint64_t parts[2] = {hash_pair(&fixed_seed, flow->uid, step),
                         hash_text(&fixed_seed, str_from_cstr(number))};
    uint64_t hash = hash_text(&fixed_seed, (struct str){(const char *)parts, sizeof(parts)}) >> 32;
    return arena_printf(arena, "%" PRIstr "-%08" PRIx64, STR_ARG(cut), hash);
}

/* ---- What children have in common ---- */

struct json *flow_owner_references(struct manifest *m, const struct flow_owner *flow)
{
    struct json *list = manifest_list(m), *owner = manifest_object(m);
    manifest_append(m, list, owner);
    manifest_put_str(m, owner, "apiVersion", STR("workflow.kube-zen.io/v1alpha1"));
    manifest_put_str(m, owner, "kind", STR("JobFlow"));
    manifest_put_str(m, owner, "name", flow->name);
    manifest_put_str(m, owner, "uid", flow->uid);
    manifest_put_bool(m, owner, "controller", true);
    manifest_put_bool(m, owner, "blockOwnerDeletion", true);
    return list;
}

struct json *flow_child_labels(struct manifest *m, struct str flow, struct str step,
                               int64_t attempt)
{
    struct json *labels = manifest_object(m);
    manifest_put_str(m, labels, LABEL_MANAGED_BY, STR(MANAGED_BY));
    manifest_put_str(m, labels, LABEL_FLOW, flow);
    if (!str_is_set(step))
        return labels;
    manifest_put_str(m, labels, LABEL_FLOW_STEP, step);
    manifest_put_str(m, labels, LABEL_FLOW_ATTEMPT, manifest_printf(m, "%" PRId64, attempt));
    return labels;
}

bool flow_child_matches(const struct json *labels, struct str flow, struct str step,
                        int64_t attempt)
{
    int64_t found;
    return str_eq(json_str(json_get(labels, STR(LABEL_MANAGED_BY))), STR(MANAGED_BY)) &&
           str_eq(json_str(json_get(labels, STR(LABEL_FLOW))), flow) &&
           str_eq(json_str(json_get(labels, STR(LABEL_FLOW_STEP))), step) &&
           str_to_int64(json_str(json_get(labels, STR(LABEL_FLOW_ATTEMPT))), &found) &&
           found == attempt;
}

/* ---- Putting values into the template ---- */

struct substitution {
    struct manifest *m;
    struct scope scope;
    struct scope_values values;
    size_t left; /* bytes that the texts may have together */
    bool is_performer;
    bool has_replaced;
    struct err *err;
    int failed; /* the code of the error; 0: none */
};

static bool is_field(const struct path *path, const char *name)
{
    return path && str_is_set(path->name) && str_eq_cstr(path->name, name);
}

static bool is_index(const struct path *path)
{
    return path && !str_is_set(path->name);
}

/* The path of a container of the pod: spec.template.spec.containers[i]. */
static bool is_container(const struct path *path)
{
    if (!is_index(path) || !path->parent)
        return false;
    const struct path *list = path->parent, *pod = list->parent;
    bool is_list = is_field(list, "containers") || is_field(list, "initContainers");
    if (!is_list || !is_field(pod, "spec") || !is_field(pod->parent, "template"))
        return false;
    const struct path *job = pod->parent->parent;
    return is_field(job, "spec") && !job->parent;
}

/* spec.config of a Performer, whose command, args and environment go into its container. */
static bool is_config(const struct path *path)
{
    return is_field(path, "config") && is_field(path->parent, "spec") && !path->parent->parent;
}

static bool is_entry_of(const struct path *path, const char *list)
{
    return is_index(path) && is_field(path->parent, list);
}

/* Where the kubelet expands $(NAME): see policy/placeholder.h. Not in the commands of probes. */
static enum placeholder_field kind_of_field(const struct path *path, bool is_performer)
{
    const struct path *parent = path->parent;
    bool is_word = is_entry_of(path, "command") || is_entry_of(path, "args");
    bool is_expanded;
    if (is_performer)
        is_expanded = (is_word && is_config(parent->parent)) ||
                      (is_field(parent, "environment") && is_config(parent->parent));
    else
        is_expanded = (is_word && is_container(parent->parent)) ||
                      (is_field(path, "value") && is_entry_of(parent, "env") &&
                       is_container(parent->parent->parent)) ||
                      (is_field(path, "subPathExpr") && is_entry_of(parent, "volumeMounts") &&
                       is_container(parent->parent->parent));
    return is_expanded ? PLACEHOLDER_EXPANDED : PLACEHOLDER_PLAIN;
}

static int fail_at(struct substitution *put, const struct path *path)
{
    struct str at = path_print(path, put->m->arena);
    if (!str_is_set(at)) {
        put->m->failed = true;
        return err_no_memory(put->err, "putting values into a template");
    }
    return err_wrap(put->err, "template.%" PRIstr, STR_ARG(at));
}

static int replace(struct substitution *put, const struct path *path, struct json *value,
                   struct str text)
{
    struct buf buf;
    buf_init(&buf, arena_mem(put->m->arena), put->left);
    enum placeholder_field field = kind_of_field(path, put->is_performer);
    if (placeholder_substitute(text, field, &put->scope, &put->values, &buf, put->err) < 0) {
        put->m->failed = put->m->failed || put->err->code == 507;
        return fail_at(put, path);
    }
    struct str result = buf_str(&buf);
    if (str_eq(result, text))
        return 0;
    put->left -= result.len;
    put->has_replaced = true;
    value->text = result.ptr;
    value->len = (uint32_t)result.len;
    return 0;
}

static bool visit(void *ctx, const struct path *path, struct json *value, struct str text,
                  bool is_key)
{
    struct substitution *put = ctx;
    if (is_key)
        return true;
    put->failed = replace(put, path, value, text);
    return put->failed == 0;
}

/* With `inputs`, the step's own parameters are in sight. */
static int substitute(struct manifest *m, const struct flow_try *try, struct json *value,
                      bool has_inputs, bool *ret_has_replaced, struct err *err)
{
    struct flow_view view = *try->view;
    if (!has_inputs)
        view.inputs = NULL;
    struct substitution put = {
        .m = m,
        .scope = flow_view_scope(&view),
        .values = flow_view_values(&view),
        .left = FLOW_JOB_VALUES_MAX,
        .is_performer = step_is(try->step, "Performer"),
        .err = err,
    };
    const struct placeholder_visitor visitor = {.ctx = &put, .visit = visit};
    placeholder_walk(value, NULL, &visitor);
    *ret_has_replaced = put.has_replaced;
    return put.failed;
}

/* ---- After the values: is it still a Job? ---- */

/* The apiserver's message would not be shown, because it may quote what is confidential. */
static int check_job(struct manifest *m, const struct json *template, struct err *err)
{
    struct err_list errors;
    err_list_init(&errors, m->arena, 1);
    struct path at = path_field(NULL, STR("template"));
    schema_validate(&job_template_schema, template, 0, &at, &errors);
    if (err_list_is_empty(&errors))
        return 0;
    if (errors.out_of_memory || !errors.first) {
        m->failed = true;
        return err_no_memory(err, "checking a Job");
    }
    return err_set(err, 422, "with its values, %" PRIstr ": %" PRIstr, STR_ARG(errors.first->field),
                   STR_ARG(errors.first->message));
}

static struct json *template_with_values(struct manifest *m, const struct flow_try *try,
                                         struct err *err)
{
    bool has_replaced;
    struct json *template = manifest_copy(m, try->step->template);
    if (!template) {
        err_no_memory(err, "copying a template");
        return NULL;
    }
    if (substitute(m, try, template, true, &has_replaced, err) < 0)
        return NULL;
    if (has_replaced && step_is(try->step, "Job") && check_job(m, template, err) < 0)
        return NULL;
    return template;
}

/* ---- Metadata ---- */

/* The member of that name: what is in `first` hides what is in `second` and in `third`. */
static void put_layers(struct manifest *m, struct json *metadata, const char *key,
                       struct json *first, const struct json *second, const struct json *third)
{
    manifest_merge(m, first, second);
    manifest_merge(m, first, third);
    if (json_first(first))
        manifest_put(m, metadata, key, first);
}

static struct json *own_annotations(struct manifest *m, const struct flow_try *try)
{
    struct json *annotations = manifest_object(m);
    manifest_put_str(m, annotations, "callboard.dev/correlation-id", try->flow.correlation_id);
    return annotations;
}

static void put_labels(struct manifest *m, const struct flow_try *try, struct json *to,
                       const struct json *metadata)
{
    put_layers(m, to, "labels", flow_child_labels(m, try->flow.name, try->step->name, try->attempt),
               json_get(try->step->metadata, STR("labels")), json_get(metadata, STR("labels")));
}

static void put_annotations(struct manifest *m, const struct flow_try *try, struct json *to,
                            const struct json *metadata, struct json *own)
{
    put_layers(m, to, "annotations", own, json_get(try->step->metadata, STR("annotations")),
               json_get(metadata, STR("annotations")));
}

static struct json *child_metadata(struct manifest *m, const struct flow_try *try,
                                   const struct json *template)
{
    const struct json *from = json_get(template, STR("metadata"));
    struct json *metadata = manifest_object(m);
    struct str name = flow_child_name(m->arena, &try->flow, try->step->name,
                                      flow_child_name_max(try->step), try->attempt);
    m->failed = m->failed || !str_is_set(name);
    manifest_put_str(m, metadata, "name", name);
    manifest_put_str(m, metadata, "namespace", try->flow.namespace);
    put_labels(m, try, metadata, from);
    put_annotations(m, try, metadata, from, own_annotations(m, try));
    manifest_put(m, metadata, "ownerReferences", flow_owner_references(m, &try->flow));
    return metadata;
}

/* ---- Secrets ---- */

static struct json *secret_variable(struct manifest *m, const struct flow_try *try,
                                    const struct json *parameter, struct err *err)
{
    bool has_replaced;
    struct json *reference =
        manifest_copy(m, json_path(parameter, "valueFrom", "secretKeyRef", NULL));
    if (reference && substitute(m, try, reference, false, &has_replaced, err) < 0)
        return NULL;
    struct json *variable = manifest_object(m);
    manifest_put_str(m, variable, "name", json_str(json_get(parameter, STR("name"))));
    manifest_put(m, manifest_put_object(m, variable, "valueFrom"), "secretKeyRef", reference);
    return variable;
}

static bool has_variable(const struct json *env, struct str name)
{
    JSON_EACH (variable, env) {
        if (str_eq(json_str(json_get(variable, STR("name"))), name))
            return true;
    }
    return false;
}

static int put_secret(struct manifest *m, const struct flow_try *try, struct json *pod,
                      const struct json *parameter, struct err *err)
{
    struct str name = json_str(json_get(parameter, STR("name")));
    JSON_EACH (container, json_get(pod, STR("containers"))) {
        struct json *env = json_get(container, STR("env"));
        if (has_variable(env, name))
            return err_set(err, 422,
                           "the parameter \"%" PRIstr "\" comes from a Secret and becomes an "
                           "environment variable, and the container has one of this name; rename "
                           "one of them",
                           STR_ARG(name));
        struct json *variable = secret_variable(m, try, parameter, err);
        if (!variable)
            return m->failed ? err_no_memory(err, "making a Job") : -1;
        if (!json_is(env, JSON_ARRAY))
            env = manifest_put_list(m, container, "env");
        manifest_append(m, env, variable);
    }
    return 0;
}

static int put_secrets(struct manifest *m, const struct flow_try *try, struct json *pod,
                       struct err *err)
{
    JSON_EACH (parameter, try->step->inputs.parameters) {
        bool is_secret = json_path(parameter, "valueFrom", "secretKeyRef", NULL) != NULL;
        if (is_secret && put_secret(m, try, pod, parameter, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- podFailurePolicy ---- */

static bool is_absent(const struct json *object, const char *key)
{
    const struct json *value = json_get(object, str_from_cstr(key));
    return !value || value->type == JSON_NULL;
}

static bool names_container(const struct json *pod, struct str name)
{
    static const struct str lists[] = {STR_INIT("containers"), STR_INIT("initContainers")};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (has_variable(json_get(pod, lists[i]), name))
            return true;
    }
    return false;
}

/* The rules of k8s.io/kubernetes pkg/apis/batch/validation, validatePodFailurePolicy. */
bool flow_job_carries_policy(const struct flow_step *step, const struct json *failure_policy)
{
    const struct json *job = json_get(step->template, STR("spec"));
    const struct json *pod = json_path(job, "template", "spec", NULL);
    struct str replacement = json_str(json_get(job, STR("podReplacementPolicy")));
    if (!json_first(json_get(failure_policy, STR("rules"))) || !step_is(step, "Job"))
        return false;
    if (!is_absent(job, "podFailurePolicy") ||
        !str_eq(json_str(json_get(pod, STR("restartPolicy"))), STR("Never")) ||
        (replacement.len > 0 && !str_eq(replacement, STR("Failed"))))
        return false;
    JSON_EACH (rule, json_get(failure_policy, STR("rules"))) {
        struct str name = json_str(json_path(rule, "onExitCodes", "containerName", NULL));
        if (name.len > 0 && !names_container(pod, name))
            return false;
    }
    return true;
}

/* Ascending and each code once, as the API server wants them. */
static struct json *sorted_codes(struct manifest *m, const struct json *values)
{
    enum { CODE_MAX = 255 };
    bool has[CODE_MAX + 1] = {false};
    int64_t code;
    struct json *sorted = manifest_list(m);
    JSON_EACH (value, values) {
        if (json_int64(value, &code) && code >= 0 && code <= CODE_MAX)
            has[code] = true;
    }
    for (code = 0; code <= CODE_MAX; code++) {
        if (has[code])
            manifest_append(m, sorted, json_new_int(m->arena, code));
    }
    return sorted;
}

static struct json *failure_policy(struct manifest *m, const struct json *policy)
{
    struct json *copy = manifest_copy(m, policy);
    JSON_EACH (rule, json_get(copy, STR("rules"))) {
        struct json *codes = json_get(rule, STR("onExitCodes"));
        manifest_put(m, codes, "values", sorted_codes(m, json_get(codes, STR("values"))));
    }
    return copy;
}

/* ---- The Job ---- */

/* Of the step and of the template the shorter one; 0: none. */
static int64_t deadline(const struct flow_try *try, const struct json *job)
{
    int64_t own = 0;
    json_int64(json_get(job, STR("activeDeadlineSeconds")), &own);
    int64_t timeout = try->step->timeout_seconds.is_set ? try->step->timeout_seconds.value : 0;
    return timeout > 0 && (own <= 0 || timeout < own) ? timeout : own;
}

static void mark(struct manifest *m, struct json *pod)
{
    struct json *container = json_first(json_get(pod, STR("containers")));
    struct json *resources = json_get(container, STR("resources"));
    if (!json_is(resources, JSON_OBJECT))
        resources = manifest_put_object(m, container, "resources");
    /* An extended resource is asked for by its limit; the request is the same. */
    struct json *limits = json_get(resources, STR("limits"));
    if (!json_is(limits, JSON_OBJECT))
        limits = manifest_put_object(m, resources, "limits");
    manifest_put_str(m, limits, RESOURCE_MANAGED, STR("1"));
}

static void put_pod(struct manifest *m, const struct flow_try *try, struct json *template,
                    int64_t deadline_s)
{
    struct json *own = own_annotations(m, try), *pod = json_get(template, STR("spec"));
    struct json *metadata = json_get(template, STR("metadata"));
    if (!json_is(metadata, JSON_OBJECT))
        metadata = manifest_put_object(m, template, "metadata");
    if (deadline_s > 0)
        manifest_put_str(m, own, ANNOTATION_MAX_RUNTIME,
                         manifest_printf(m, "%" PRId64, deadline_s));
    put_labels(m, try, metadata, metadata);
    put_annotations(m, try, metadata, metadata, own);
    if (is_absent(pod, "schedulerName"))
        manifest_put_str(m, pod, "schedulerName", try->scheduler_name);
    if (try->is_marked)
        mark(m, pod);
}

static int put_spec(struct manifest *m, const struct flow_try *try, struct json *spec,
                    struct err *err)
{
    struct json *template = json_get(spec, STR("template"));
    struct json *pod = json_get(template, STR("spec"));
    if (!json_is(pod, JSON_OBJECT) || !json_is(json_get(pod, STR("containers")), JSON_ARRAY))
        return err_set(err, 422, "template.spec.template.spec: the Job has no containers");
    int64_t deadline_s = deadline(try, spec);
    if (put_secrets(m, try, pod, err) < 0)
        return -1;
    put_pod(m, try, template, deadline_s);
    if (deadline_s > 0)
        manifest_put_int(m, spec, "activeDeadlineSeconds", deadline_s);
    if (flow_job_carries_policy(try->step, try->failure_policy))
        manifest_put(m, spec, "podFailurePolicy", failure_policy(m, try->failure_policy));
    if (try->is_suspended)
        manifest_put_bool(m, spec, "suspend", true);
    return 0;
}

static struct json *finish(struct manifest *m, struct json *object, struct err *err)
{
    if (!m->failed)
        return object;
    err_no_memory(err, "making the object of a step");
    return NULL;
}

struct json *flow_job_make(struct manifest *m, const struct flow_try *try, struct err *err)
{
    struct json *template = template_with_values(m, try, err);
    struct json *spec = json_get(template, STR("spec")), *job = manifest_object(m);
    if (!template || put_spec(m, try, spec, err) < 0)
        return NULL;
    manifest_put_str(m, job, "apiVersion", STR("batch/v1"));
    manifest_put_str(m, job, "kind", STR("Job"));
    manifest_put(m, job, "metadata", child_metadata(m, try, template));
    manifest_put(m, job, "spec", spec);
    return finish(m, job, err);
}

struct json *flow_performer_make(struct manifest *m, const struct flow_try *try, struct err *err)
{
    struct json *template = template_with_values(m, try, err), *performer = manifest_object(m);
    if (!template)
        return NULL;
    if (!json_get(template, STR("spec"))) {
        err_set(err, 422, "template.spec: the Performer has none");
        return NULL;
    }
    manifest_put_str(m, performer, "apiVersion", STR("hourglass.eigenlayer.io/v1alpha1"));
    manifest_put_str(m, performer, "kind", STR("Performer"));
    manifest_put(m, performer, "metadata", child_metadata(m, try, template));
    manifest_put(m, performer, "spec", json_get(template, STR("spec")));
    return finish(m, performer, err);
}
