/* Schema rows of a container (k8s.io/api/core/v1 Container; core/validation validateContainers). */
#include "types/job_parts.h"

#include "types/pod.h"

enum { LONG_TEXT_MAX = 1024 * 1024, PORT_MAX = 65535, PORT_NAME_MAX = 15 };

const struct schema job_long_text_item = {.type = SCHEMA_STRING, .max_len = LONG_TEXT_MAX};

/* ---- env ---- */

const struct schema job_field_reference_fields[] = {
    KNOWN_OF("apiVersion", SCHEMA_STRING),
    {.name = "fieldPath",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .min_len = 1,
     .text = "The field, such as metadata.name."},
    {0},
};

static const char *const resource_fields[] = {"limits.cpu",
                                              "limits.memory",
                                              "limits.ephemeral-storage",
                                              "requests.cpu",
                                              "requests.memory",
                                              "requests.ephemeral-storage",
                                              NULL};

static bool is_resource_field(struct str name)
{
    for (const char *const *f = resource_fields; *f; f++) {
        if (str_eq_cstr(name, *f))
            return true;
    }
    return str_starts_with(name, STR("limits.hugepages-")) ||
           str_starts_with(name, STR("requests.hugepages-"));
}

static void check_resource_field(const struct schema *schema, const struct json *value,
                                 const struct path *path, struct err_list *errors)
{
    (void)schema;
    struct str resource = job_known_text(value, "resource");
    if (str_is_set(resource) && !is_resource_field(resource))
        job_refuse(errors, path, "resource", value, ERR_NOT_SUPPORTED,
                   "Unsupported value: must be limits or requests of cpu, memory, "
                   "ephemeral-storage or hugepages-SIZE, such as limits.cpu");
}

const struct schema job_resource_field_fields[] = {
    KNOWN_OF("containerName", SCHEMA_STRING),
    {.name = "resource",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .min_len = 1,
     .text = "The resource, such as limits.cpu."},
    KNOWN_OF("divisor", SCHEMA_QUANTITY),
    {0},
};

static const struct schema env_source_fields[] = {
    {.name = "secretKeyRef",
     .type = SCHEMA_OBJECT,
     .fields = key_reference_fields,
     .text = "A key of a Secret."},
    {.name = "configMapKeyRef",
     .type = SCHEMA_OBJECT,
     .fields = key_reference_fields,
     .text = "A key of a ConfigMap."},
    {.name = "fieldRef",
     .type = SCHEMA_OBJECT,
     .fields = job_field_reference_fields,
     .text = "A field of the pod."},
    {.name = "resourceFieldRef",
     .type = SCHEMA_OBJECT,
     .fields = job_resource_field_fields,
     .check = check_resource_field,
     .text = "A resource of a container."},
    KNOWN("fileKeyRef"),
    {0},
};

static bool is_pod_field(struct str name)
{
    static const char *const fields[] = {"metadata.name",
                                         "metadata.namespace",
                                         "metadata.uid",
                                         "spec.nodeName",
                                         "spec.serviceAccountName",
                                         "status.hostIP",
                                         "status.hostIPs",
                                         "status.podIP",
                                         "status.podIPs",
                                         NULL};
    for (const char *const *f = fields; *f; f++) {
        if (str_eq_cstr(name, *f))
            return true;
    }
    return str_starts_with(name, STR("metadata.labels['")) ||
           str_starts_with(name, STR("metadata.annotations['"));
}

static void check_env(const struct schema *schema, const struct json *value,
                      const struct path *path, struct err_list *errors)
{
    (void)schema;
    const struct json *source = json_get(value, STR("valueFrom"));
    if (!json_is(source, JSON_OBJECT))
        return;
    if (job_text(value, "value").len > 0)
        job_refuse(errors, path, "valueFrom", value, ERR_FORBIDDEN,
                   "Forbidden: the variable has a value already; remove one of value and "
                   "valueFrom");
    if (job_count_set(source, NULL) != 1)
        job_refuse(errors, path, "valueFrom", value, ERR_REQUIRED,
                   "Required value: exactly one of secretKeyRef, configMapKeyRef, fieldRef and "
                   "resourceFieldRef must be set");
    const struct json *field = json_get(source, STR("fieldRef"));
    struct path from = path_field(path, STR("valueFrom")), at = path_field(&from, STR("fieldRef"));
    struct str field_path = job_known_text(field, "fieldPath");
    if (str_is_set(field_path) && !is_pod_field(field_path))
        job_refuse(errors, &at, "fieldPath", field, ERR_NOT_SUPPORTED,
                   "Unsupported value: must be metadata.name, metadata.namespace, metadata.uid, "
                   "metadata.labels['KEY'], metadata.annotations['KEY'], spec.nodeName, "
                   "spec.serviceAccountName, status.hostIP(s) or status.podIP(s)");
}

static const struct schema env_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_ENV_NAME,
     .text = "The name of the variable."},
    {.name = "value",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_SECRET,
     .max_len = LONG_TEXT_MAX,
     .text = "Its value."},
    {.name = "valueFrom",
     .type = SCHEMA_OBJECT,
     .fields = env_source_fields,
     .text = "Where its value comes from."},
    {0},
};
static const struct schema env_item = {
    .type = SCHEMA_OBJECT,
    .fields = env_fields,
    .check = check_env,
};

static const struct schema object_reference_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_DNS_SUBDOMAIN,
     .text = "The name of the Secret or ConfigMap."},
    KNOWN_OF("optional", SCHEMA_BOOLEAN),
    {0},
};

static void check_env_from(const struct schema *schema, const struct json *value,
                           const struct path *path, struct err_list *errors)
{
    (void)schema;
    static const char *const others[] = {"prefix", NULL};
    if (job_count_set(value, others) != 1)
        err_list_add(errors, path, value->line, ERR_REQUIRED,
                     "Required value: exactly one of configMapRef and secretRef must be set");
}

static const struct schema env_from_fields[] = {
    KNOWN_OF("prefix", SCHEMA_STRING),
    {.name = "configMapRef",
     .type = SCHEMA_OBJECT,
     .fields = object_reference_fields,
     .text = "A ConfigMap."},
    {.name = "secretRef",
     .type = SCHEMA_OBJECT,
     .fields = object_reference_fields,
     .text = "A Secret."},
    {0},
};
static const struct schema env_from_item = {
    .type = SCHEMA_OBJECT,
    .fields = env_from_fields,
    .check = check_env_from,
};

/* ---- ports ---- */

static const char *const protocols[] = {"TCP", "UDP", "SCTP", NULL};

static const struct schema port_fields[] = {
    {.name = "containerPort",
     .type = SCHEMA_INTEGER,
     .flags = SCHEMA_REQUIRED,
     .min = 1,
     .max = PORT_MAX,
     .text = "The port."},
    {.name = "name",
     .type = SCHEMA_STRING,
     .format = FORMAT_DNS_LABEL,
     .max_len = PORT_NAME_MAX,
     .text = "Its name."},
    INTEGER_FROM("hostPort", 0, PORT_MAX),
    KNOWN_OF("hostIP", SCHEMA_STRING),
    CHOICE("protocol", protocols),
    {0},
};
static const struct schema port_item = {.type = SCHEMA_OBJECT, .fields = port_fields};

static void check_ports(const struct json *container, const struct path *path,
                        struct err_list *errors)
{
    const struct json *ports = json_get(container, STR("ports"));
    if (!json_first(ports))
        return;
    struct path list_at = path_field(path, STR("ports"));
    struct str_set names;
    size_t index = 0;
    str_set_init(&names, errors->arena);
    JSON_EACH (port, ports) {
        struct path at = path_index(&list_at, index++);
        struct str name = job_text(port, "name");
        if (job_seen(&names, name, errors) && name.len > 0)
            job_refuse(errors, &at, "name", port, ERR_DUPLICATE,
                       "Duplicate value: another port of the container has this name");
    }
}

/* ---- probes and hooks ---- */

static const struct schema command_fields[] = {
    {.name = "command",
     .type = SCHEMA_LIST,
     .flags = SCHEMA_REQUIRED,
     .min_len = 1,
     .item = &job_long_text_item,
     .text = "The command."},
    {0},
};

static void check_port(const struct schema *schema, const struct json *value,
                       const struct path *path, struct err_list *errors)
{
    (void)schema;
    int64_t number;
    bool named = json_str(value).len > 0;
    if (!named && (!json_int64(value, &number) || number < 1 || number > PORT_MAX))
        err_list_add(errors, path, value->line, ERR_INVALID,
                     "Invalid value: must be a port from 1 to %d, or the name of a port", PORT_MAX);
}

#define PORT_ROW                                                                           \
    {                                                                                      \
        .name = "port", .type = SCHEMA_ANY, .flags = SCHEMA_REQUIRED, .check = check_port, \
        .text = "The port, by number or name."                                             \
    }

static const char *const schemes[] = {"HTTP", "HTTPS", NULL};
static const struct schema http_get_fields[] = {PORT_ROW,
                                                KNOWN_OF("path", SCHEMA_STRING),
                                                KNOWN_OF("host", SCHEMA_STRING),
                                                CHOICE("scheme", schemes),
                                                KNOWN("httpHeaders"),
                                                {0}};
static const struct schema tcp_fields[] = {PORT_ROW, KNOWN_OF("host", SCHEMA_STRING), {0}};
static const struct schema grpc_fields[] = {{.name = "port",
                                             .type = SCHEMA_INTEGER,
                                             .flags = SCHEMA_REQUIRED,
                                             .min = 1,
                                             .max = PORT_MAX,
                                             .text = "The port."},
                                            KNOWN_OF("service", SCHEMA_STRING),
                                            {0}};

#define HANDLER(field, handler_fields)                                                     \
    {                                                                                      \
        .name = (field), .type = SCHEMA_OBJECT, .fields = (handler_fields), .text = "How." \
    }
#define SECONDS(field) INTEGER_FROM(field, 0, INT32_MAX)

static const struct schema probe_fields[] = {
    HANDLER("exec", command_fields),
    HANDLER("httpGet", http_get_fields),
    HANDLER("tcpSocket", tcp_fields),
    HANDLER("grpc", grpc_fields),
    SECONDS("initialDelaySeconds"),
    SECONDS("timeoutSeconds"),
    SECONDS("periodSeconds"),
    SECONDS("successThreshold"),
    SECONDS("failureThreshold"),
    INTEGER_FROM("terminationGracePeriodSeconds", 1, INT32_MAX),
    {0},
};

static void check_handler(const struct json *value, const char *const *others,
                          const struct path *path, struct err_list *errors)
{
    size_t count = job_count_set(value, others);
    if (count == 0)
        err_list_add(errors, path, value->line, ERR_REQUIRED,
                     "Required value: says when but not what; set exec, httpGet or tcpSocket");
    else if (count > 1)
        err_list_add(errors, path, value->line, ERR_FORBIDDEN,
                     "Forbidden: only one of exec, httpGet, tcpSocket and the like may be set");
}

static void check_probe(const struct schema *schema, const struct json *value,
                        const struct path *path, struct err_list *errors)
{
    static const char *const others[] = {"initialDelaySeconds",
                                         "timeoutSeconds",
                                         "periodSeconds",
                                         "successThreshold",
                                         "failureThreshold",
                                         "terminationGracePeriodSeconds",
                                         NULL};
    check_handler(value, others, path, errors);
    int64_t successes;
    if (strcmp(schema->name, "readinessProbe") != 0 &&
        json_int64(json_get(value, STR("successThreshold")), &successes) && successes > 1)
        job_refuse(errors, path, "successThreshold", value, ERR_INVALID,
                   "Invalid value: must be 1, except in a readinessProbe");
}

static void check_hook(const struct schema *schema, const struct json *value,
                       const struct path *path, struct err_list *errors)
{
    (void)schema;
    check_handler(value, NULL, path, errors);
}

static const struct schema hook_fields[] = {HANDLER("exec", command_fields),
                                            HANDLER("httpGet", http_get_fields),
                                            HANDLER("tcpSocket", tcp_fields),
                                            KNOWN("sleep"),
                                            {0}};

#define HOOK(field)                                                                         \
    {                                                                                       \
        .name = (field), .type = SCHEMA_OBJECT, .fields = hook_fields, .check = check_hook, \
        .text = "A hook."                                                                   \
    }
static const struct schema lifecycle_fields[] = {
    HOOK("postStart"), HOOK("preStop"), KNOWN_OF("stopSignal", SCHEMA_STRING), {0}};

/* ---- securityContext ---- */

static const char *const profile_types[] = {"RuntimeDefault", "Localhost", "Unconfined", NULL};
const struct schema job_profile_fields[] = {
    CHOICE("type", profile_types), KNOWN_OF("localhostProfile", SCHEMA_STRING), {0}};

static const char *const proc_mounts[] = {"Default", "Unmasked", NULL};

static const struct schema capabilities_fields[] = {
    {.name = "add", .type = SCHEMA_LIST, .item = &string_item, .text = "More rights."},
    {.name = "drop", .type = SCHEMA_LIST, .item = &string_item, .text = "Fewer rights."},
    {0},
};

static void check_security(const struct schema *schema, const struct json *value,
                           const struct path *path, struct err_list *errors)
{
    (void)schema;
    if (json_bool(json_get(value, STR("privileged")), false) &&
        !json_bool(json_get(value, STR("allowPrivilegeEscalation")), true))
        job_refuse(errors, path, "allowPrivilegeEscalation", value, ERR_INVALID,
                   "Invalid value: false: a privileged container can always escalate; remove one "
                   "of the two");
}

static const struct schema security_fields[] = {
    JOB_IDENTITY_ROWS,
    {.name = "capabilities",
     .type = SCHEMA_OBJECT,
     .fields = capabilities_fields,
     .text = "Rights of the process."},
    KNOWN_OF("privileged", SCHEMA_BOOLEAN),
    KNOWN_OF("allowPrivilegeEscalation", SCHEMA_BOOLEAN),
    KNOWN_OF("readOnlyRootFilesystem", SCHEMA_BOOLEAN),
    CHOICE("procMount", proc_mounts),
    {0},
};

/* ---- volumeMounts ---- */

static const char *const propagations[] = {"None", "HostToContainer", "Bidirectional", NULL};

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
    KNOWN_OF("subPath", SCHEMA_STRING),
    KNOWN_OF("subPathExpr", SCHEMA_STRING),
    KNOWN_OF("readOnly", SCHEMA_BOOLEAN),
    CHOICE("mountPropagation", propagations),
    KNOWN_OF("recursiveReadOnly", SCHEMA_STRING),
    {0},
};

static void check_mount(const struct schema *schema, const struct json *value,
                        const struct path *path, struct err_list *errors)
{
    (void)schema;
    job_check_relative(value, "subPath", path, errors);
    job_check_relative(value, "subPathExpr", path, errors);
    if (job_text(value, "subPath").len > 0 && job_text(value, "subPathExpr").len > 0)
        job_refuse(errors, path, "subPathExpr", value, ERR_FORBIDDEN,
                   "Forbidden: only one of subPath and subPathExpr may be set");
}

static const struct schema mount_item = {
    .type = SCHEMA_OBJECT,
    .fields = mount_fields,
    .check = check_mount,
};

static void check_mount_paths(const struct json *container, const struct path *path,
                              struct err_list *errors)
{
    const struct json *mounts = json_get(container, STR("volumeMounts"));
    if (!json_first(mounts))
        return;
    struct path list_at = path_field(path, STR("volumeMounts"));
    struct str_set paths;
    size_t index = 0;
    str_set_init(&paths, errors->arena);
    JSON_EACH (mount, mounts) {
        struct path at = path_index(&list_at, index++);
        if (job_seen(&paths, job_text(mount, "mountPath"), errors))
            job_refuse(errors, &at, "mountPath", mount, ERR_DUPLICATE,
                       "Duplicate value: another volume is mounted there");
    }
}

/* ---- The container ---- */

static const char *const pull_policies[] = {"Always", "Never", "IfNotPresent", NULL};
static const char *const message_policies[] = {"File", "FallbackToLogsOnError", NULL};
static const char *const restart_policies[] = {"Always", "OnFailure", "Never", NULL};

#define PROBE(field)                                                                          \
    {                                                                                         \
        .name = (field), .type = SCHEMA_OBJECT, .fields = probe_fields, .check = check_probe, \
        .text = "A probe."                                                                    \
    }

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
    CHOICE("imagePullPolicy", pull_policies),
    {.name = "command", .type = SCHEMA_LIST, .item = &job_long_text_item, .text = "The command."},
    {.name = "args", .type = SCHEMA_LIST, .item = &job_long_text_item, .text = "Arguments."},
    KNOWN_OF("workingDir", SCHEMA_STRING),
    {.name = "env", .type = SCHEMA_LIST, .item = &env_item, .text = "Environment variables."},
    {.name = "envFrom", .type = SCHEMA_LIST, .item = &env_from_item, .text = "More of them."},
    {.name = "ports", .type = SCHEMA_LIST, .item = &port_item, .text = "Ports."},
    {.name = "resources",
     .type = SCHEMA_OBJECT,
     .fields = resource_requirements_fields,
     .check = resource_requirements_check,
     .text = "Requests and limits."},
    {.name = "volumeMounts",
     .type = SCHEMA_LIST,
     .item = &mount_item,
     .text = "Volumes that the container sees."},
    PROBE("livenessProbe"),
    PROBE("readinessProbe"),
    PROBE("startupProbe"),
    {.name = "lifecycle", .type = SCHEMA_OBJECT, .fields = lifecycle_fields, .text = "Hooks."},
    {.name = "securityContext",
     .type = SCHEMA_OBJECT,
     .fields = security_fields,
     .check = check_security,
     .text = "What the container may do."},
    KNOWN_OF("terminationMessagePath", SCHEMA_STRING),
    CHOICE("terminationMessagePolicy", message_policies),
    CHOICE("restartPolicy", restart_policies),
    KNOWN("restartPolicyRules"),
    KNOWN_OF("stdin", SCHEMA_BOOLEAN),
    KNOWN_OF("stdinOnce", SCHEMA_BOOLEAN),
    KNOWN_OF("tty", SCHEMA_BOOLEAN),
    KNOWN("volumeDevices"),
    KNOWN("resizePolicy"),
    {0},
};

static void check_container(const struct schema *schema, const struct json *value,
                            const struct path *path, struct err_list *errors)
{
    (void)schema;
    check_ports(value, path, errors);
    check_mount_paths(value, path, errors);
}

/* One that runs before the others cannot be probed, unless it goes on beside them (a sidecar). */
static void check_init_container(const struct schema *schema, const struct json *value,
                                 const struct path *path, struct err_list *errors)
{
    static const char *const members[] = {"livenessProbe", "readinessProbe", "startupProbe",
                                          "lifecycle", NULL};
    check_container(schema, value, path, errors);
    if (str_eq(job_text(value, "restartPolicy"), STR("Always")))
        return;
    for (const char *const *m = members; *m; m++) {
        if (job_has(value, *m))
            job_refuse(errors, path, *m, value, ERR_FORBIDDEN,
                       "Forbidden: an init container may have it only with restartPolicy Always");
    }
}

const struct schema job_container_item = {
    .type = SCHEMA_OBJECT,
    .fields = container_fields,
    .check = check_container,
};
const struct schema job_init_container_item = {
    .type = SCHEMA_OBJECT,
    .fields = container_fields,
    .check = check_init_container,
};
