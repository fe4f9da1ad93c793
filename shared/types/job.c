/* Schema rows of a Job, with the rules of k8s.io/kubernetes pkg/apis/batch/validation and core/validation
 * that a table and small checks can say. */
#include "types/job.h"

#include "types/pod.h"

static bool has(const struct json *object, const char *name)
{
    const struct json *value = json_get(object, str_from_cstr(name));
    return value && value->type != JSON_NULL;
}

static void refuse(struct err_list *errors, const struct path *path, const char *field,
                   const struct json *value, enum err_reason reason, const char *message)
{
    struct path at = path_field(path, str_from_cstr(field));
    const struct json *found = json_get(value, str_from_cstr(field));
    err_list_add(errors, &at, found ? found->line : value->line, reason, "%s", message);
}

/* ---- containers ---- */

static const struct schema env_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_ENV_NAME,
     .text = "The name of the variable."},
    {.name = "value", .type = SCHEMA_STRING, .flags = SCHEMA_SECRET, .text = "Its value."},
    {.name = "valueFrom", .type = SCHEMA_OBJECT, .text = "Where its value comes from."},
    {0},
};
static const struct schema env_item = {.type = SCHEMA_OBJECT, .fields = env_fields};

static const struct schema mount_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_DNS_LABEL,
     .text = "The name of a volume of the pod."},
    {.name = "mountPath",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .min_len = 1,
     .text = "Where it is mounted."},
    {0},
};
static const struct schema mount_item = {.type = SCHEMA_OBJECT, .fields = mount_fields};

static const char *const pull_policies[] = {"Always", "Never", "IfNotPresent", NULL};

static const struct schema container_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_DNS_LABEL,
     .text = "The name of the container."},
    {.name = "image",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_IMAGE,
     .text = "The container image."},
    {.name = "imagePullPolicy",
     .type = SCHEMA_STRING,
     .values = pull_policies,
     .text = "When the image is pulled."},
    {.name = "command", .type = SCHEMA_LIST, .item = &string_item, .text = "The command."},
    {.name = "args", .type = SCHEMA_LIST, .item = &string_item, .text = "Its arguments."},
    {.name = "env", .type = SCHEMA_LIST, .item = &env_item, .text = "Environment variables."},
    {.name = "resources",
     .type = SCHEMA_OBJECT,
     .fields = resource_requirements_fields,
     .check = resource_requirements_check,
     .text = "Requests and limits."},
    {.name = "volumeMounts",
     .type = SCHEMA_LIST,
     .item = &mount_item,
     .text = "Volumes that the container sees."},
    {0},
};
static const struct schema container_item = {.type = SCHEMA_OBJECT, .fields = container_fields};

/* ---- pod ---- */

static const struct schema volume_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_DNS_LABEL,
     .text = "The name of the volume."},
    {0},
};
static const struct schema volume_item = {.type = SCHEMA_OBJECT, .fields = volume_fields};

static const char *const restart_policies[] = {"OnFailure", "Never", NULL};

static bool lists_name(const struct json *list, struct str name)
{
    JSON_EACH (entry, list) {
        if (str_eq(json_str(json_get(entry, STR("name"))), name))
            return true;
    }
    return false;
}

static void check_mounts(const struct json *pod, const char *member, const struct path *path,
                         struct err_list *errors)
{
    struct path list_at = path_field(path, str_from_cstr(member));
    size_t index = 0;
    JSON_EACH (container, json_get(pod, str_from_cstr(member))) {
        struct path at = path_index(&list_at, index++),
                    mounts_at = path_field(&at, STR("volumeMounts"));
        size_t mount_index = 0;
        JSON_EACH (mount, json_get(container, STR("volumeMounts"))) {
            struct path mount_at = path_index(&mounts_at, mount_index++);
            struct path name_at = path_field(&mount_at, STR("name"));
            struct str name = json_str(json_get(mount, STR("name")));
            if (!lists_name(json_get(pod, STR("volumes")), name))
                err_list_add(errors, &name_at, mount->line, ERR_NOT_FOUND,
                             "Not found: the pod has no volume \"%" PRIstr "\"; add it to volumes",
                             STR_ARG(name));
        }
    }
}

static void check_pod(const struct schema *schema, const struct json *value,
                      const struct path *path, struct err_list *errors)
{
    (void)schema;
    check_mounts(value, "initContainers", path, errors);
    check_mounts(value, "containers", path, errors);
    struct path list_at = path_field(path, STR("initContainers"));
    size_t index = 0;
    JSON_EACH (container, json_get(value, STR("initContainers"))) {
        struct path at = path_index(&list_at, index++), name_at = path_field(&at, STR("name"));
        struct str name = json_str(json_get(container, STR("name")));
        if (lists_name(json_get(value, STR("containers")), name))
            err_list_add(errors, &name_at, container->line, ERR_DUPLICATE,
                         "Duplicate value: \"%" PRIstr "\" is the name of a container too",
                         STR_ARG(name));
    }
}

static const struct schema pod_fields[] = {
    {.name = "containers",
     .type = SCHEMA_LIST,
     .flags = SCHEMA_REQUIRED,
     .min_len = 1,
     .item = &container_item,
     .list_key = "name",
     .text = "The containers of the pod."},
    {.name = "initContainers",
     .type = SCHEMA_LIST,
     .item = &container_item,
     .list_key = "name",
     .text = "Containers that run before."},
    {.name = "restartPolicy",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .values = restart_policies,
     .text = "A Job's pods need OnFailure or Never."},
    {.name = "volumes",
     .type = SCHEMA_LIST,
     .item = &volume_item,
     .list_key = "name",
     .text = "The volumes of the pod."},
    {.name = "nodeSelector",
     .type = SCHEMA_MAP,
     .key_format = FORMAT_LABEL_KEY,
     .item = &label_map_item,
     .text = "Labels that the node must have."},
    {.name = "tolerations",
     .type = SCHEMA_LIST,
     .item = &toleration_item,
     .text = "Taints that the pod bears."},
    {.name = "affinity", .type = SCHEMA_OBJECT, .fields = affinity_fields, .text = "Affinity."},
    {.name = "serviceAccountName",
     .type = SCHEMA_STRING,
     .format = FORMAT_DNS_SUBDOMAIN,
     .text = "The ServiceAccount."},
    {.name = "activeDeadlineSeconds",
     .type = SCHEMA_INTEGER,
     .min = 1,
     .max = INT32_MAX,
     .text = "How long the pod may run."},
    {0},
};

static const struct schema template_metadata_fields[] = {
    {.name = "labels",
     .type = SCHEMA_MAP,
     .key_format = FORMAT_LABEL_KEY,
     .item = &label_map_item,
     .text = "Labels."},
    {.name = "annotations",
     .type = SCHEMA_MAP,
     .key_format = FORMAT_LABEL_KEY,
     .item = &string_item,
     .text = "Annotations."},
    {0},
};

static const struct schema pod_template_fields[] = {
    {.name = "metadata",
     .type = SCHEMA_OBJECT,
     .fields = template_metadata_fields,
     .text = "Labels and annotations of the pods."},
    {.name = "spec",
     .type = SCHEMA_OBJECT,
     .flags = SCHEMA_REQUIRED,
     .fields = pod_fields,
     .check = check_pod,
     .text = "The pod."},
    {0},
};

/* ---- Job ---- */

static const char *const completion_modes[] = {"NonIndexed", "Indexed", NULL};

static void check_job(const struct schema *schema, const struct json *value,
                      const struct path *path, struct err_list *errors)
{
    (void)schema;
    if (has(value, "ttlSecondsAfterFinished"))
        refuse(errors, path, "ttlSecondsAfterFinished", value, ERR_FORBIDDEN,
               "Forbidden: the Job would vanish with its result, and the step might run again; the "
               "flow's executionPolicy.ttlSecondsAfterFinished removes it with the flow");
    if (has(value, "selector") || json_bool(json_get(value, STR("manualSelector")), false))
        refuse(errors, path, has(value, "selector") ? "selector" : "manualSelector", value,
               ERR_FORBIDDEN, "Forbidden: the apiserver makes a Job's selector itself");
    if (json_bool(json_get(value, STR("suspend")), false))
        refuse(errors, path, "suspend", value, ERR_FORBIDDEN,
               "Forbidden: a suspended Job would never end; suspend the flow by "
               "executionPolicy.suspend, or make it wait by a Manual step");
    bool indexed = str_eq(json_str(json_get(value, STR("completionMode"))), STR("Indexed"));
    if (indexed && !has(value, "completions"))
        refuse(errors, path, "completions", value, ERR_REQUIRED,
               "Required value: an Indexed Job needs it");
    const struct json *pod = json_path(value, "template", "spec", NULL);
    if (has(value, "podFailurePolicy") &&
        !str_eq(json_str(json_get(pod, STR("restartPolicy"))), STR("Never")))
        refuse(errors, path, "podFailurePolicy", value, ERR_INVALID,
               "Invalid value: needs template.spec.restartPolicy Never");
}

#define COUNT_ROW(field, words)                                                 \
    {                                                                           \
        .name = field, .type = SCHEMA_INTEGER, .max = INT32_MAX, .text = words, \
    }

static const struct schema job_spec_fields[] = {
    {.name = "template",
     .type = SCHEMA_OBJECT,
     .flags = SCHEMA_REQUIRED,
     .fields = pod_template_fields,
     .text = "The pods of the Job."},
    COUNT_ROW("parallelism", "How many pods run at once."),
    COUNT_ROW("completions", "How many pods must succeed."),
    COUNT_ROW("backoffLimit", "How many pods may fail."),
    {.name = "activeDeadlineSeconds",
     .type = SCHEMA_INTEGER,
     .min = 1,
     .max = INT32_MAX,
     .text = "How long the Job may run."},
    {.name = "completionMode",
     .type = SCHEMA_STRING,
     .values = completion_modes,
     .text = "Whether pods have an index."},
    {.name = "suspend", .type = SCHEMA_BOOLEAN, .text = "Whether the Job waits."},
    {.name = "manualSelector", .type = SCHEMA_BOOLEAN, .text = "Not for Jobs of flows."},
    {.name = "podFailurePolicy", .type = SCHEMA_OBJECT, .text = "What failures of pods mean."},
    {0},
};

static const char *const job_versions[] = {"batch/v1", NULL};
static const char *const job_kinds[] = {"Job", NULL};

static const struct schema job_fields[] = {
    {.name = "apiVersion",
     .type = SCHEMA_STRING,
     .values = job_versions,
     .text = "batch/v1, also when absent."},
    {.name = "kind", .type = SCHEMA_STRING, .values = job_kinds, .text = "Job, also when absent."},
    {.name = "metadata",
     .type = SCHEMA_OBJECT,
     .fields = template_metadata_fields,
     .text = "Labels and annotations of the Job; its name is made from flow and step."},
    {.name = "spec",
     .type = SCHEMA_OBJECT,
     .flags = SCHEMA_REQUIRED,
     .fields = job_spec_fields,
     .check = check_job,
     .text = "The Job's spec."},
    {0},
};
const struct schema job_template_schema = {.type = SCHEMA_OBJECT, .fields = job_fields};
