/* Schema rows of a Job, with the rules of k8s.io/kubernetes pkg/apis/batch/validation. */
#include "types/job.h"

#include "types/job_parts.h"

/* ---- podFailurePolicy ---- */

enum { FAILURE_RULES_MAX = 20, EXIT_CODES_MAX = 255, INDEXED_PARALLELISM_MAX = 100000 };

static const char *const exit_code_operators[] = {"In", "NotIn", NULL};
static const char *const failure_actions[] = {"FailJob", "FailIndex", "Ignore", "Count", NULL};
static const char *const condition_statuses[] = {"True", "False", "Unknown", NULL};

static const struct schema exit_code_item = {
    .type = SCHEMA_INTEGER,
    .min = INT32_MIN,
    .max = INT32_MAX,
};

static void check_exit_codes(const struct schema *schema, const struct json *value,
                             const struct path *path, struct err_list *errors)
{
    (void)schema;
    bool among = str_eq(job_text(value, "operator"), STR("In"));
    int64_t code, before = INT64_MIN;
    JSON_EACH (entry, json_get(value, STR("values"))) {
        if (!json_int64(entry, &code))
            continue;
        if (code == 0 && among)
            job_refuse(errors, path, "values", value, ERR_INVALID,
                       "Invalid value: 0: with the operator In it would mean success; remove it");
        if (code <= before) {
            job_refuse(errors, path, "values", value, ERR_INVALID,
                       "Invalid value: must be in ascending order, each code once");
            break;
        }
        before = code;
    }
}

static const struct schema exit_codes_fields[] = {
    {.name = "containerName",
     .type = SCHEMA_STRING,
     .format = FORMAT_DNS_LABEL,
     .text = "The container whose exit code counts."},
    {.name = "operator",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .values = exit_code_operators,
     .text = "In or NotIn."},
    {.name = "values",
     .type = SCHEMA_LIST,
     .flags = SCHEMA_REQUIRED,
     .min_len = 1,
     .max_len = EXIT_CODES_MAX,
     .item = &exit_code_item,
     .text = "Exit codes."},
    {0},
};

static const struct schema pod_condition_fields[] = {
    {.name = "type",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_LABEL_KEY,
     .text = "The type of the condition."},
    CHOICE("status", condition_statuses),
    {0},
};
static const struct schema pod_condition_item = {
    .type = SCHEMA_OBJECT,
    .fields = pod_condition_fields,
};

static void check_failure_rule(const struct schema *schema, const struct json *value,
                               const struct path *path, struct err_list *errors)
{
    (void)schema;
    if (job_has(value, "onExitCodes") == job_has(value, "onPodConditions"))
        err_list_add(errors, path, value->line, ERR_REQUIRED,
                     "Required value: exactly one of onExitCodes and onPodConditions must be set");
}

static const struct schema failure_rule_fields[] = {
    {.name = "action",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .values = failure_actions,
     .text = "What the failure means."},
    {.name = "onExitCodes",
     .type = SCHEMA_OBJECT,
     .fields = exit_codes_fields,
     .check = check_exit_codes,
     .text = "Exit codes that the rule is about."},
    {.name = "onPodConditions",
     .type = SCHEMA_LIST,
     .max_len = FAILURE_RULES_MAX,
     .item = &pod_condition_item,
     .text = "Conditions of the pod that the rule is about."},
    {0},
};
static const struct schema failure_rule_item = {
    .type = SCHEMA_OBJECT,
    .fields = failure_rule_fields,
    .check = check_failure_rule,
};
static const struct schema failure_policy_fields[] = {
    {.name = "rules",
     .type = SCHEMA_LIST,
     .max_len = FAILURE_RULES_MAX,
     .item = &failure_rule_item,
     .text = "Rules in order."},
    {0},
};

/* A rule against what is beside it: the Job and its containers. */
static void check_rule_in_job(const struct json *job, const struct str_set containers[static 2],
                              const struct json *rule, const struct path *at,
                              struct err_list *errors)
{
    const struct json *codes = json_get(rule, STR("onExitCodes"));
    struct str container = job_known_text(codes, "containerName");
    struct path codes_at = path_field(at, STR("onExitCodes"));
    if (container.len > 0 && !str_set_has(&containers[0], container) &&
        !str_set_has(&containers[1], container))
        job_refuse(errors, &codes_at, "containerName", codes, ERR_NOT_FOUND,
                   "Not found: the pod has no container \"%" PRIstr "\"", STR_ARG(container));
    if (str_eq(job_text(rule, "action"), STR("FailIndex")) && !job_has(job, "backoffLimitPerIndex"))
        job_refuse(errors, at, "action", rule, ERR_INVALID,
                   "Invalid value: \"FailIndex\": the Job has no backoffLimitPerIndex");
}

static void check_failure_policy(const struct json *job, const struct path *path,
                                 struct err_list *errors)
{
    if (!job_has(job, "podFailurePolicy"))
        return;
    const struct json *pod = json_path(job, "template", "spec", NULL);
    if (!str_eq(job_text(pod, "restartPolicy"), STR("Never")))
        job_refuse(errors, path, "podFailurePolicy", job, ERR_INVALID,
                   "Invalid value: needs template.spec.restartPolicy Never");
    struct path policy = path_field(path, STR("podFailurePolicy"));
    struct path rules = path_field(&policy, STR("rules"));
    const struct str_set containers[] = {job_names(json_get(pod, STR("containers")), errors),
                                         job_names(json_get(pod, STR("initContainers")), errors)};
    size_t index = 0;
    JSON_EACH (rule, json_path(job, "podFailurePolicy", "rules", NULL)) {
        struct path at = path_index(&rules, index++);
        check_rule_in_job(job, containers, rule, &at, errors);
    }
    if (job_has(job, "podReplacementPolicy") &&
        !str_eq(job_text(job, "podReplacementPolicy"), STR("Failed")))
        job_refuse(errors, path, "podReplacementPolicy", job, ERR_INVALID,
                   "Invalid value: must be Failed beside a podFailurePolicy");
}

/* ---- Indexed Jobs ---- */

static void check_success_rule(const struct schema *schema, const struct json *value,
                               const struct path *path, struct err_list *errors)
{
    (void)schema;
    if (!job_has(value, "succeededIndexes") && !job_has(value, "succeededCount"))
        err_list_add(errors, path, value->line, ERR_REQUIRED,
                     "Required value: succeededIndexes or succeededCount must be set");
}

static const struct schema success_rule_fields[] = {
    KNOWN_OF("succeededIndexes", SCHEMA_STRING),
    INTEGER_FROM("succeededCount", 1, INT32_MAX),
    {0},
};
static const struct schema success_rule_item = {
    .type = SCHEMA_OBJECT,
    .fields = success_rule_fields,
    .check = check_success_rule,
};
static const struct schema success_policy_fields[] = {
    {.name = "rules",
     .type = SCHEMA_LIST,
     .flags = SCHEMA_REQUIRED,
     .min_len = 1,
     .max_len = FAILURE_RULES_MAX,
     .item = &success_rule_item,
     .text = "Rules in order."},
    {0},
};

static void check_indexed(const struct json *job, const struct path *path, struct err_list *errors)
{
    int64_t parallelism;
    if (job_has(job, "parallelism") && !job_has(job, "completions"))
        job_refuse(errors, path, "completions", job, ERR_REQUIRED,
                   "Required value: an Indexed Job needs it");
    if (json_int64(json_get(job, STR("parallelism")), &parallelism) &&
        parallelism > INDEXED_PARALLELISM_MAX)
        job_refuse(errors, path, "parallelism", job, ERR_INVALID,
                   "Invalid value: an Indexed Job may have at most %d", INDEXED_PARALLELISM_MAX);
}

static void check_indexes(const struct json *job, const struct path *path, struct err_list *errors)
{
    static const char *const members[] = {"backoffLimitPerIndex", "successPolicy", NULL};
    bool indexed = str_eq(job_text(job, "completionMode"), STR("Indexed"));
    if (indexed)
        check_indexed(job, path, errors);
    for (const char *const *m = members; *m && !indexed; m++) {
        if (job_has(job, *m))
            job_refuse(errors, path, *m, job, ERR_INVALID,
                       "Invalid value: needs the completionMode Indexed");
    }
    int64_t failed, completions;
    if (!json_int64(json_get(job, STR("maxFailedIndexes")), &failed))
        return;
    if (!job_has(job, "backoffLimitPerIndex"))
        job_refuse(errors, path, "backoffLimitPerIndex", job, ERR_REQUIRED,
                   "Required value: maxFailedIndexes needs it");
    if (json_int64(json_get(job, STR("completions")), &completions) && failed > completions)
        job_refuse(errors, path, "maxFailedIndexes", job, ERR_INVALID,
                   "Invalid value: must not be more than completions");
}

/* ---- The Job ---- */

/* What a Job may have, but not one of a step. */
static void check_use(const struct json *job, const struct path *path, struct err_list *errors)
{
    if (job_has(job, "ttlSecondsAfterFinished"))
        job_refuse(errors, path, "ttlSecondsAfterFinished", job, ERR_FORBIDDEN,
                   "Forbidden: the Job would vanish with its result, and the step might run again; "
                   "the flow's executionPolicy.ttlSecondsAfterFinished removes it with the flow");
    if (job_has(job, "selector") || json_bool(json_get(job, STR("manualSelector")), false))
        job_refuse(errors, path, job_has(job, "selector") ? "selector" : "manualSelector", job,
                   ERR_FORBIDDEN, "Forbidden: the apiserver makes a Job's selector itself");
    if (json_bool(json_get(job, STR("suspend")), false))
        job_refuse(errors, path, "suspend", job, ERR_FORBIDDEN,
                   "Forbidden: a suspended Job would never end; suspend the flow by "
                   "executionPolicy.suspend, or make it wait by a Manual step");
}

static void check_job(const struct schema *schema, const struct json *value,
                      const struct path *path, struct err_list *errors)
{
    (void)schema;
    check_use(value, path, errors);
    check_indexes(value, path, errors);
    check_failure_policy(value, path, errors);
    struct str manager = job_known_text(value, "managedBy");
    if (manager.len > 0 && str_find(manager, '/') < 0)
        job_refuse(errors, path, "managedBy", value, ERR_INVALID,
                   "Invalid value: \"%" PRIstr "\": must be a name with a domain before it, such "
                   "as example.com/name",
                   STR_ARG(str_sub(manager, 0, 63)));
}

static const char *const completion_modes[] = {"NonIndexed", "Indexed", NULL};
static const char *const replacement_policies[] = {"TerminatingOrFailed", "Failed", NULL};

static const struct schema job_spec_fields[] = {
    {.name = "template",
     .type = SCHEMA_OBJECT,
     .flags = SCHEMA_REQUIRED,
     .fields = job_pod_template_fields,
     .text = "The pods of the Job."},
    INTEGER_FROM("parallelism", 0, INT32_MAX),
    INTEGER_FROM("completions", 0, INT32_MAX),
    INTEGER_FROM("backoffLimit", 0, INT32_MAX),
    INTEGER_FROM("backoffLimitPerIndex", 0, INT32_MAX),
    INTEGER_FROM("maxFailedIndexes", 0, INT32_MAX),
    INTEGER_FROM("activeDeadlineSeconds", 0, INT64_MAX),
    CHOICE("completionMode", completion_modes),
    CHOICE("podReplacementPolicy", replacement_policies),
    KNOWN_OF("suspend", SCHEMA_BOOLEAN),
    KNOWN_OF("manualSelector", SCHEMA_BOOLEAN),
    {.name = "managedBy",
     .type = SCHEMA_STRING,
     .max_len = 63,
     .format = FORMAT_LABEL_KEY,
     .text = "Another controller."},
    KNOWN("selector"),
    KNOWN("ttlSecondsAfterFinished"),
    KNOWN("scheduling"),
    {.name = "podFailurePolicy",
     .type = SCHEMA_OBJECT,
     .fields = failure_policy_fields,
     .text = "What failures of pods mean."},
    {.name = "successPolicy",
     .type = SCHEMA_OBJECT,
     .fields = success_policy_fields,
     .text = "When an Indexed Job has succeeded."},
    {0},
};

static const char *const job_versions[] = {"batch/v1", NULL};
static const char *const job_kinds[] = {"Job", NULL};

static const struct schema job_fields[] = {
    CHOICE("apiVersion", job_versions),
    CHOICE("kind", job_kinds),
    {.name = "metadata",
     .type = SCHEMA_OBJECT,
     .fields = job_metadata_fields,
     .text = "Labels and annotations of the Job; its name is made from flow and step."},
    {.name = "spec",
     .type = SCHEMA_OBJECT,
     .flags = SCHEMA_REQUIRED,
     .fields = job_spec_fields,
     .check = check_job,
     .text = "The Job's spec."},
    KNOWN("status"),
    {0},
};
const struct schema job_template_schema = {.type = SCHEMA_OBJECT, .fields = job_fields};
