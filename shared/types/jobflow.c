/* The tables of the kinds JobFlow and JobFlowTemplate. */
#include "types/jobflow.h"

#include "types/pod.h"

#define POLICY(member) SCHEMA_AT(struct flow_policy, member)
#define STEP(member)   SCHEMA_AT(struct flow_step, member)
#define SPEC(member)   SCHEMA_AT(struct flow_spec, member)

/* ---- executionPolicy ---- */

static const char *const concurrency_policies[] = {"Allow", "Forbid", "Replace", NULL};
static const char *const priorities[] = {"high", "normal", "low", NULL};
static const char *const suspend_modes[] = {"Drain", "Kill", NULL};
static const char *const failure_actions[] = {"FailJob", "Ignore", "Count", NULL};
static const char *const exit_code_operators[] = {"In", "NotIn", NULL};

static const struct schema exit_code_item = {.type = SCHEMA_INTEGER, .max = 255};

static const struct schema exit_codes_fields[] = {
    {.name = "containerName",
     .type = SCHEMA_STRING,
     .format = FORMAT_DNS_LABEL,
     .text = "The container whose exit code counts; all when absent."},
    {.name = "operator",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .values = exit_code_operators,
     .text = "Whether the exit code must be among the values or not."},
    {.name = "values",
     .type = SCHEMA_LIST,
     .flags = SCHEMA_REQUIRED,
     .min_len = 1,
     .max_len = 255,
     .item = &exit_code_item,
     .text = "Exit codes, 0 to 255; 0 only with NotIn."},
    {0},
};

static const struct schema failure_rule_fields[] = {
    {.name = "action",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .values = failure_actions,
     .text = "FailJob ends the step at once, Ignore does not count the failure, Count counts it."},
    {.name = "onExitCodes",
     .type = SCHEMA_OBJECT,
     .flags = SCHEMA_REQUIRED,
     .fields = exit_codes_fields,
     .text = "The exit codes that the rule is about."},
    {0},
};
static const struct schema failure_rule_item = {
    .type = SCHEMA_OBJECT,
    .fields = failure_rule_fields,
};

static const struct schema failure_policy_fields[] = {
    {.name = "rules",
     .type = SCHEMA_LIST,
     .flags = SCHEMA_REQUIRED,
     .min_len = 1,
     .max_len = 20,
     .item = &failure_rule_item,
     .text = "Rules in order; the first that fits a failed pod decides."},
    {0},
};

/* Defaults are late: the flow's template may have another value. */
static const struct schema policy_fields[] = {
    {.name = "concurrencyPolicy",
     .type = SCHEMA_STRING,
     .values = concurrency_policies,
     .def = "\"Forbid\"",
     .flags = SCHEMA_LATE_DEFAULT,
     POLICY(concurrency_policy),
     .text =
         "What happens when a flow of the same group is active: Allow runs both, Forbid lets the "
         "new one wait, Replace cancels the active ones."},
    {.name = "concurrencyGroup",
     .type = SCHEMA_STRING,
     .format = FORMAT_LABEL_VALUE,
     POLICY(concurrency_group),
     .text = "The group; the generateName without its dash, or else the name, when absent."},
    {.name = "ttlSecondsAfterFinished",
     .type = SCHEMA_INTEGER,
     .max = INT32_MAX,
     .def = "86400",
     .flags = SCHEMA_LATE_DEFAULT,
     POLICY(ttl_seconds),
     .text = "How long the flow is kept after its end, in seconds."},
    {.name = "backoffLimit",
     .type = SCHEMA_INTEGER,
     .max = INT32_MAX,
     .def = "6",
     .flags = SCHEMA_LATE_DEFAULT,
     POLICY(backoff_limit),
     .text = "How many retries all steps together may take."},
    {.name = "activeDeadlineSeconds",
     .type = SCHEMA_INTEGER,
     .min = 1,
     .max = INT32_MAX,
     POLICY(active_deadline_seconds),
     .text = "How long the flow may run, in seconds."},
    {.name = "podFailurePolicy",
     .type = SCHEMA_OBJECT,
     .flags = SCHEMA_WHOLE,
     .fields = failure_policy_fields,
     POLICY(pod_failure_policy),
     .text = "What the exit codes of failed pods mean."},
    {.name = "priority",
     .type = SCHEMA_STRING,
     .values = priorities,
     .def = "\"normal\"",
     .flags = SCHEMA_LATE_DEFAULT,
     POLICY(priority),
     .text = "Which of the waiting flows starts first when the number of active flows is limited."},
    {.name = "parallelism",
     .type = SCHEMA_INTEGER,
     .min = 1,
     .max = INT32_MAX,
     POLICY(parallelism),
     .text = "How many steps may run at once; without limit when absent."},
    {.name = "suspend",
     .type = SCHEMA_BOOLEAN,
     POLICY(suspend),
     .text = "Whether no new step may start."},
    {.name = "suspendMode",
     .type = SCHEMA_STRING,
     .values = suspend_modes,
     POLICY(suspend_mode),
     .text =
         "What suspend does to running steps: Drain (when absent) lets them finish, Kill suspends "
         "their Jobs too, whose work starts again later."},
    {0},
};

/* ---- steps ---- */

static const char *const step_types[] = {"Job", "Manual", "Performer", NULL};
static const char *const backoff_types[] = {"Exponential", "Linear", "Fixed", NULL};
static const char *const archive_formats[] = {"tar", "zip", NULL};
static const char *const compressions[] = {"gzip", "none", NULL};

static const struct schema step_metadata_fields[] = {
    {.name = "labels",
     .type = SCHEMA_MAP,
     .key_format = FORMAT_LABEL_KEY,
     .item = &label_map_item,
     .text = "Labels of the step's Job and its pods."},
    {.name = "annotations",
     .type = SCHEMA_MAP,
     .key_format = FORMAT_LABEL_KEY,
     .item = &string_item,
     .text = "Annotations of the step's Job and its pods."},
    {0},
};

static const struct schema backoff_fields[] = {
    {.name = "type",
     .type = SCHEMA_STRING,
     .values = backoff_types,
     .def = "\"Exponential\"",
     .text = "How the wait grows from try to try."},
    {.name = "factor",
     .type = SCHEMA_NUMBER,
     .min = 1,
     .max = 1000,
     .def = "2",
     .text = "By what an exponential wait is multiplied each time."},
    {.name = "duration",
     .type = SCHEMA_STRING,
     .format = FORMAT_DURATION,
     .text = "The first wait, such as 30s or 1m30s; 10s when absent."},
    {0},
};

static const struct schema retry_fields[] = {
    {.name = "limit",
     .type = SCHEMA_INTEGER,
     .max = 1000,
     .def = "3",
     .text = "How often a failed step is tried again."},
    {.name = "backoff",
     .type = SCHEMA_OBJECT,
     .fields = backoff_fields,
     .text = "How long to wait before."},
    {0},
};

static const struct schema dependency_item = {.type = SCHEMA_STRING, .format = FORMAT_DNS_LABEL};

static const struct schema header_item = {
    .type = SCHEMA_STRING,
    .flags = SCHEMA_SECRET,
    .max_len = 8192,
};

static const struct schema http_fields[] = {
    {.name = "url",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_HTTP_URL,
     .text = "An http or https address."},
    {.name = "headers",
     .type = SCHEMA_MAP,
     .key_format = FORMAT_HTTP_HEADER,
     .item = &header_item,
     .max_len = 64,
     .text = "Headers of the request."},
    {0},
};

static const struct schema input_artifact_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_DNS_LABEL,
     .text = "The name of the artifact in this step."},
    {.name = "path",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_ABSOLUTE_PATH,
     .text = "Where it is put in the container."},
    {.name = "from",
     .type = SCHEMA_STRING,
     .max_len = 127,
     .text = "A step that came before, STEP or STEP/ARTIFACT."},
    {.name = "http", .type = SCHEMA_OBJECT, .fields = http_fields, .text = "A download."},
    {0},
};
static const struct schema input_artifact_item = {
    .type = SCHEMA_OBJECT,
    .fields = input_artifact_fields,
};

static const struct schema input_source_fields[] = {
    {.name = "jsonPath",
     .type = SCHEMA_STRING,
     .format = FORMAT_STEP_JSON_PATH,
     .text = "A place in another step's Job: STEP:$.status.succeeded."},
    {.name = "configMapKeyRef",
     .type = SCHEMA_OBJECT,
     .fields = key_reference_fields,
     .text = "A key of a ConfigMap."},
    {.name = "secretKeyRef",
     .type = SCHEMA_OBJECT,
     .fields = key_reference_fields,
     .text = "A key of a Secret; the parameter can then only be used as an environment variable."},
    {0},
};

static const struct schema input_parameter_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_PARAMETER,
     .text = "The name by which the template refers to it."},
    {.name = "value", .type = SCHEMA_STRING, .text = "The value."},
    {.name = "valueFrom",
     .type = SCHEMA_OBJECT,
     .fields = input_source_fields,
     .text = "Where the value comes from, in place of value."},
    {0},
};
static const struct schema input_parameter_item = {
    .type = SCHEMA_OBJECT,
    .fields = input_parameter_fields,
};

static const struct schema inputs_fields[] = {
    {.name = "artifacts",
     .type = SCHEMA_LIST,
     .item = &input_artifact_item,
     .list_key = "name",
     .max_len = 64,
     SCHEMA_AT(struct flow_inputs, artifacts),
     .text = "Files that are fetched before the container starts."},
    {.name = "parameters",
     .type = SCHEMA_LIST,
     .item = &input_parameter_item,
     .list_key = "name",
     .max_len = 256,
     SCHEMA_AT(struct flow_inputs, parameters),
     .text = "Parameters of the step; they hide those of the flow."},
    {0},
};

static const struct schema archive_fields[] = {
    {.name = "format",
     .type = SCHEMA_STRING,
     .values = archive_formats,
     .def = "\"tar\"",
     .text = "The format of the archive."},
    {.name = "compression",
     .type = SCHEMA_STRING,
     .values = compressions,
     .def = "\"gzip\"",
     .text = "How it is compressed."},
    {0},
};

static const struct schema s3_fields[] = {
    {.name = "endpoint",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .min_len = 1,
     .max_len = 512,
     .text = "The address of the store."},
    {.name = "bucket",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .min_len = 3,
     .max_len = 63,
     .text = "The bucket."},
    {.name = "key",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .min_len = 1,
     .max_len = 1024,
     .text = "The key of the object."},
    {.name = "accessKeyIDSecretRef",
     .type = SCHEMA_OBJECT,
     .fields = key_reference_fields,
     .text = "The Secret with the access key's id."},
    {.name = "secretAccessKeySecretRef",
     .type = SCHEMA_OBJECT,
     .fields = key_reference_fields,
     .text = "The Secret with the access key."},
    {0},
};

static const struct schema output_artifact_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_DNS_LABEL,
     .text = "The name by which later steps refer to it."},
    {.name = "path",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_ABSOLUTE_PATH,
     .text = "The file or folder in the container."},
    {.name = "optional", .type = SCHEMA_BOOLEAN, .text = "Whether the step succeeds without it."},
    {.name = "archive",
     .type = SCHEMA_OBJECT,
     .fields = archive_fields,
     .text = "How it is packed."},
    {.name = "s3",
     .type = SCHEMA_OBJECT,
     .fields = s3_fields,
     .text = "A store to which it is sent as well."},
    {0},
};
static const struct schema output_artifact_item = {
    .type = SCHEMA_OBJECT,
    .fields = output_artifact_fields,
};

static const struct schema output_source_fields[] = {
    {.name = "jsonPath",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_STEP_JSON_PATH,
     .text = "A place in the step's Job ($.status.succeeded), in another's (STEP:$.…), or in the "
             "termination message of its pod ($.terminationMessage…)."},
    {0},
};

static const struct schema output_parameter_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_PARAMETER,
     .text = "The name by which later steps refer to it."},
    {.name = "valueFrom",
     .type = SCHEMA_OBJECT,
     .flags = SCHEMA_REQUIRED,
     .fields = output_source_fields,
     .text = "Where the value comes from."},
    {0},
};
static const struct schema output_parameter_item = {
    .type = SCHEMA_OBJECT,
    .fields = output_parameter_fields,
};

static const struct schema outputs_fields[] = {
    {.name = "artifacts",
     .type = SCHEMA_LIST,
     .item = &output_artifact_item,
     .list_key = "name",
     .max_len = 64,
     SCHEMA_AT(struct flow_outputs, artifacts),
     .text = "Files that are kept when the container has ended."},
    {.name = "parameters",
     .type = SCHEMA_LIST,
     .item = &output_parameter_item,
     .list_key = "name",
     .max_len = 256,
     SCHEMA_AT(struct flow_outputs, parameters),
     .text = "Values that later steps can use."},
    {0},
};

static const struct schema step_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_DNS_LABEL,
     STEP(name),
     .text = "The name of the step, unique in the flow."},
    {.name = "type",
     .type = SCHEMA_STRING,
     .values = step_types,
     .def = "\"Job\"",
     STEP(type),
     .text =
         "Job runs a Job, Manual waits for an approval, Performer starts a Performer and is done "
         "when that is ready."},
    {.name = "message",
     .type = SCHEMA_STRING,
     .max_len = 4096,
     STEP(message),
     .text = "For a Manual step: what is to be approved."},
    {.name = "metadata",
     .type = SCHEMA_OBJECT,
     .flags = SCHEMA_WHOLE,
     .fields = step_metadata_fields,
     STEP(metadata),
     .text = "Labels and annotations of what the step makes."},
    {.name = "dependencies",
     .type = SCHEMA_LIST,
     .item = &dependency_item,
     .flags = SCHEMA_POLICY_MAX,
     .max_len = JOBFLOW_STEPS_MAX,
     STEP(dependencies),
     .text = "Steps that must be completed before."},
    {.name = "retryPolicy",
     .type = SCHEMA_OBJECT,
     .flags = SCHEMA_WHOLE,
     .fields = retry_fields,
     STEP(retry_policy),
     .text = "Whether and when a failed step is tried again; never when absent."},
    {.name = "timeoutSeconds",
     .type = SCHEMA_INTEGER,
     .min = 1,
     .max = JOBFLOW_TIMEOUT_MAX,
     STEP(timeout_seconds),
     .text = "How long one try may take, in seconds."},
    {.name = "when",
     .type = SCHEMA_STRING,
     .max_len = 4096,
     STEP(when),
     .text = "A condition; the step is skipped when it is false, such as steps.build.phase == "
             "'Succeeded'."},
    {.name = "continueOnFailure",
     .type = SCHEMA_BOOLEAN,
     STEP(continue_on_failure),
     .text = "Whether the flow goes on when the step fails."},
    {.name = "template",
     .type = SCHEMA_OBJECT,
     STEP(template),
     .text = "The Job (`kubectl explain job.spec`), or for a Performer step the Performer, that is "
             "made."},
    {.name = "inputs",
     .type = SCHEMA_OBJECT,
     .fields = inputs_fields,
     STEP(inputs),
     .text = "What the step gets."},
    {.name = "outputs",
     .type = SCHEMA_OBJECT,
     .fields = outputs_fields,
     STEP(outputs),
     .text = "What the step gives."},
    {0},
};
static const struct schema step_item = {.type = SCHEMA_OBJECT, .fields = step_fields};

/* ---- spec ---- */

static const struct schema resource_item = {.type = SCHEMA_OBJECT};

static const struct schema resources_fields[] = {
    {.name = "volumeClaimTemplates",
     .type = SCHEMA_LIST,
     .item = &resource_item,
     .max_len = 64,
     SCHEMA_AT(struct flow_resources, volume_claims),
     .text = "PersistentVolumeClaims (`kubectl explain pvc`) that are made first and go with the "
             "flow."},
    {.name = "configMapTemplates",
     .type = SCHEMA_LIST,
     .item = &resource_item,
     .max_len = 64,
     SCHEMA_AT(struct flow_resources, config_maps),
     .text = "ConfigMaps (`kubectl explain configmap`) that are made first and go with the flow."},
    {0},
};

static const struct schema parameter_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_PARAMETER,
     .text = "The name by which templates and conditions refer to it."},
    {.name = "value", .type = SCHEMA_STRING, .flags = SCHEMA_REQUIRED, .text = "The value."},
    {0},
};
static const struct schema parameter_item = {.type = SCHEMA_OBJECT, .fields = parameter_fields};

static const struct schema choice_item = {.type = SCHEMA_STRING, .max_len = 1024};

static const struct schema template_parameter_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_PARAMETER,
     .text = "The name by which templates and conditions refer to it."},
    {.name = "default",
     .type = SCHEMA_STRING,
     .text = "The value when a flow gives none; without it, a flow must give one."},
    {.name = "enum",
     .type = SCHEMA_LIST,
     .flags = SCHEMA_SET,
     .item = &choice_item,
     .min_len = 1,
     .max_len = 256,
     .text = "The values that are allowed."},
    {.name = "description", .type = SCHEMA_STRING, .max_len = 4096, .text = "What it is for."},
    {0},
};
static const struct schema template_parameter_item = {
    .type = SCHEMA_OBJECT,
    .fields = template_parameter_fields,
};

static const struct schema template_ref_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_DNS_SUBDOMAIN,
     .text = "The name of a JobFlowTemplate of the same namespace."},
    {0},
};

/* What a flow and a template share. */
#define FLOW_ROWS(steps_flags)                                                                     \
    {.name = "executionPolicy",                                                                    \
     .type = SCHEMA_OBJECT,                                                                        \
     .fields = policy_fields,                                                                      \
     .def = "{}",                                                                                  \
     SPEC(policy),                                                                                 \
     .text = "How the flow runs as a whole."},                                                     \
        {.name = "resourceTemplates",                                                              \
         .type = SCHEMA_OBJECT,                                                                    \
         .fields = resources_fields,                                                               \
         SPEC(resources),                                                                          \
         .text = "Objects that are made before the first step."},                                  \
        {.name = "steps",                                                                          \
         .type = SCHEMA_LIST,                                                                      \
         .flags = SCHEMA_POLICY_MAX | (steps_flags),                                               \
         .item = &step_item,                                                                       \
         .min_len = 1,                                                                             \
         .max_len = JOBFLOW_STEPS_MAX,                                                             \
         SCHEMA_LIST_AT(struct flow_spec, steps, struct flow_step),                                \
         .text = "The steps, in any order: dependencies say what comes first."},                   \
    {                                                                                              \
        .name = "finally", .type = SCHEMA_LIST, .flags = SCHEMA_POLICY_MAX, .item = &step_item,    \
        .max_len = JOBFLOW_STEPS_MAX, SCHEMA_LIST_AT(struct flow_spec, finally, struct flow_step), \
        .text =                                                                                    \
            "Steps that always run at the end, however it came; they depend on each other only."   \
    }

static const struct schema spec_fields[] = {
    FLOW_ROWS(0),
    {.name = "parameters",
     .type = SCHEMA_LIST,
     .item = &parameter_item,
     .list_key = "name",
     .max_len = JOBFLOW_PARAMETERS_MAX,
     SPEC(parameters),
     .text = "Parameters of the flow; with templateRef, the values for the template's."},
    {.name = "templateRef",
     .type = SCHEMA_OBJECT,
     .flags = SCHEMA_WHOLE,
     .fields = template_ref_fields,
     SPEC(template_ref),
     .text = "A JobFlowTemplate whose steps are filled in when the flow is created; the flow then "
             "depends on it no more."},
    {0},
};

static const struct schema template_spec_fields[] = {
    FLOW_ROWS(SCHEMA_REQUIRED),
    {.name = "parameters",
     .type = SCHEMA_LIST,
     .item = &template_parameter_item,
     .list_key = "name",
     .max_len = JOBFLOW_PARAMETERS_MAX,
     SPEC(parameters),
     .text = "The parameters that a flow made from this can give."},
    {0},
};

/* ---- status ---- */

static const char *const phases[] = {"Pending", "Running",   "Succeeded", "Failed",
                                     "Paused",  "Suspended", NULL};
static const char *const step_phases[] = {"Pending", "Running",         "Succeeded", "Failed",
                                          "Skipped", "PendingApproval", NULL};
static const char *const initiator_types[] = {"User", "ServiceAccount", NULL};

static const struct schema condition_item = {.type = SCHEMA_OBJECT, .fields = condition_fields};

static const struct schema job_ref_fields[] = {
    {.name = "apiVersion", .type = SCHEMA_STRING, .text = "The version of the object."},
    {.name = "kind", .type = SCHEMA_STRING, .text = "Its kind."},
    {.name = "name", .type = SCHEMA_STRING, .text = "Its name."},
    {.name = "namespace", .type = SCHEMA_STRING, .text = "Its namespace."},
    {.name = "uid", .type = SCHEMA_STRING, .text = "Its uid."},
    {0},
};
static const struct schema resource_ref_item = {.type = SCHEMA_OBJECT, .fields = job_ref_fields};

static const struct schema step_status_fields[] = {
    {.name = "name", .type = SCHEMA_STRING, .flags = SCHEMA_REQUIRED, .text = "The step."},
    {.name = "phase", .type = SCHEMA_STRING, .values = step_phases, .text = "Where it is."},
    {.name = "reason", .type = SCHEMA_STRING, .text = "Why, as one CamelCase word."},
    {.name = "message", .type = SCHEMA_STRING, .text = "Why, for people."},
    {.name = "startTime", .type = SCHEMA_TIME, .text = "When it started."},
    {.name = "completionTime", .type = SCHEMA_TIME, .text = "When it ended."},
    {.name = "jobRef",
     .type = SCHEMA_OBJECT,
     .fields = job_ref_fields,
     .text = "The Job or Performer of the last try."},
    {.name = "outputs", .type = SCHEMA_OBJECT, .text = "The values that it gave."},
    {.name = "retryCount",
     .type = SCHEMA_INTEGER,
     .max = INT32_MAX,
     .text = "How often it was tried again."},
    {.name = "nextRetryTime", .type = SCHEMA_TIME, .text = "When it is tried again."},
    {.name = "approvedBy", .type = SCHEMA_STRING, .text = "Who approved or rejected it."},
    {0},
};
static const struct schema step_status_item = {
    .type = SCHEMA_OBJECT,
    .fields = step_status_fields,
};

static const struct schema progress_fields[] = {
    {.name = "completedSteps",
     .type = SCHEMA_INTEGER,
     .max = INT32_MAX,
     .text = "Steps that have ended or were skipped."},
    {.name = "totalSteps", .type = SCHEMA_INTEGER, .max = INT32_MAX, .text = "All steps."},
    {.name = "successfulSteps",
     .type = SCHEMA_INTEGER,
     .max = INT32_MAX,
     .text = "Steps that have succeeded."},
    {.name = "failedSteps",
     .type = SCHEMA_INTEGER,
     .max = INT32_MAX,
     .text = "Steps that have failed."},
    {0},
};

static const struct schema initiator_fields[] = {
    {.name = "user",
     .type = SCHEMA_STRING,
     .text = "The name by which the apiserver knows the user."},
    {.name = "type",
     .type = SCHEMA_STRING,
     .values = initiator_types,
     .text = "Whether it is a person or a program."},
    {0},
};

static const struct schema audit_fields[] = {
    {.name = "initiatedBy",
     .type = SCHEMA_OBJECT,
     .fields = initiator_fields,
     .text = "Who created the flow."},
    {.name = "correlationID",
     .type = SCHEMA_STRING,
     .text = "The id under which the flow is logged."},
    {0},
};

static const struct schema status_fields[] = {
    {.name = "phase",
     .type = SCHEMA_STRING,
     .values = phases,
     .text = "Where the flow is in its life."},
    {.name = "conditions",
     .type = SCHEMA_LIST,
     .item = &condition_item,
     .list_key = "type",
     .text = "Ready, Completed, Failed and Blocked."},
    {.name = "observedGeneration",
     .type = SCHEMA_INTEGER,
     .max = INT64_MAX,
     .text = "The metadata.generation that this status is about."},
    {.name = "startTime", .type = SCHEMA_TIME, .text = "When it started."},
    {.name = "completionTime", .type = SCHEMA_TIME, .text = "When it ended."},
    {.name = "estimatedCompletionTime",
     .type = SCHEMA_TIME,
     .text = "When it may end, from the longest path over the durations that were seen."},
    {.name = "steps",
     .type = SCHEMA_LIST,
     .item = &step_status_item,
     .max_len = 2 * JOBFLOW_STEPS_MAX,
     .text = "Where each step is."},
    {.name = "resourceRefs",
     .type = SCHEMA_LIST,
     .item = &resource_ref_item,
     .text = "The objects that were made from resourceTemplates."},
    {.name = "progress",
     .type = SCHEMA_OBJECT,
     .fields = progress_fields,
     .text = "How many steps are done."},
    {.name = "audit",
     .type = SCHEMA_OBJECT,
     .fields = audit_fields,
     .text = "Who started it and how to find it in the logs."},
    {0},
};

/* ---- The kinds ---- */

static const struct schema jobflow_fields[] = {
    META_ROWS(struct jobflow, meta),
    {.name = "spec",
     .type = SCHEMA_OBJECT,
     .flags = SCHEMA_REQUIRED,
     .fields = spec_fields,
     SCHEMA_AT(struct jobflow, spec),
     .text = "What is wanted."},
    {.name = "status",
     .type = SCHEMA_OBJECT,
     .flags = SCHEMA_STATUS | SCHEMA_NO_DECODE,
     .fields = status_fields,
     .text = "What is, written by the controller."},
    {0},
};
static const struct schema jobflow_schema = {.type = SCHEMA_OBJECT, .fields = jobflow_fields};

static const struct schema template_fields[] = {
    META_ROWS(struct jobflow, meta),
    {.name = "spec",
     .type = SCHEMA_OBJECT,
     .flags = SCHEMA_REQUIRED,
     .fields = template_spec_fields,
     SCHEMA_AT(struct jobflow, spec),
     .text = "The flow that is made."},
    {0},
};
static const struct schema template_schema = {.type = SCHEMA_OBJECT, .fields = template_fields};

static const struct printer_column jobflow_columns[] = {
    {"Phase", "string", ".status.phase", "Where it is in its life.", 0},
    {"Done", "integer", ".status.progress.completedSteps", "Steps that are done.", 0},
    {"Steps", "integer", ".status.progress.totalSteps", "All steps.", 0},
    {"Age", "date", ".metadata.creationTimestamp", "Since when it exists.", 0},
    {"Failed", "integer", ".status.progress.failedSteps", "Steps that have failed.", 1},
    {"Started", "date", ".status.startTime", "When it started.", 1},
    {"Completed", "date", ".status.completionTime", "When it ended.", 1},
    {"Initiated-By", "string", ".status.audit.initiatedBy.user", "Who created it.", 1},
    {0},
};
static const char *const jobflow_short_names[] = {"jf", "flow", NULL};

const struct kind jobflow_kind = {
    .group = "workflow.kube-zen.io",
    .version = "v1alpha1",
    .kind = "JobFlow",
    .plural = "jobflows",
    .singular = "jobflow",
    .short_names = jobflow_short_names,
    .text = "A JobFlow is a graph of steps that depend on each other without a cycle: Jobs, "
            "approvals by "
            "people, and Performers.",
    /* Names of Jobs are cut to fit, and labels carry the name. */
    .max_name_len = 63,
    .name_format = FORMAT_DNS_SUBDOMAIN,
    .columns = jobflow_columns,
    .schema = &jobflow_schema,
};

static const struct printer_column template_columns[] = {
    {"Age", "date", ".metadata.creationTimestamp", "Since when it exists.", 0},
    {0},
};
static const char *const template_short_names[] = {"jft", NULL};

const struct kind jobflow_template_kind = {
    .group = "workflow.kube-zen.io",
    .version = "v1alpha1",
    .kind = "JobFlowTemplate",
    .plural = "jobflowtemplates",
    .singular = "jobflowtemplate",
    .short_names = template_short_names,
    .text = "A JobFlowTemplate is a flow with parameters, from which JobFlows are made by "
            "spec.templateRef.",
    .max_name_len = 253,
    .name_format = FORMAT_DNS_SUBDOMAIN,
    .columns = template_columns,
    .schema = &template_schema,
};
