/* Schema rows of a Job's pods (k8s.io/api/core/v1 PodTemplateSpec; core/validation ValidatePodSpec). */
#include "types/job_parts.h"

#include "types/pod.h"

#include <arpa/inet.h>
#include <stdio.h>

/* ---- metadata ---- */

static const struct schema annotation_item = {.type = SCHEMA_STRING, .max_len = 256 * 1024};

const struct schema job_metadata_fields[] = {
    {.name = "labels",
     .type = SCHEMA_MAP,
     .key_format = FORMAT_LABEL_KEY,
     .item = &label_map_item,
     .text = "Labels."},
    {.name = "annotations",
     .type = SCHEMA_MAP,
     .key_format = FORMAT_LABEL_KEY,
     .item = &annotation_item,
     .text = "Annotations."},
    KNOWN_OF("name", SCHEMA_STRING),
    KNOWN_OF("generateName", SCHEMA_STRING),
    KNOWN_OF("namespace", SCHEMA_STRING),
    KNOWN("creationTimestamp"),
    KNOWN("finalizers"),
    KNOWN("ownerReferences"),
    {0},
};

/* ---- parts ---- */

static const char *const fs_group_policies[] = {"OnRootMismatch", "Always", NULL};
static const char *const group_policies[] = {"Merge", "Strict", NULL};

static const struct schema group_item = {.type = SCHEMA_INTEGER, .max = INT32_MAX};

static const struct schema security_fields[] = {
    JOB_IDENTITY_ROWS,
    INTEGER_FROM("fsGroup", 0, INT32_MAX),
    CHOICE("fsGroupChangePolicy", fs_group_policies),
    {.name = "supplementalGroups",
     .type = SCHEMA_LIST,
     .item = &group_item,
     .text = "More groups."},
    CHOICE("supplementalGroupsPolicy", group_policies),
    KNOWN("sysctls"),
    KNOWN("seLinuxChangePolicy"),
    {0},
};

static const char *const unsatisfiable[] = {"DoNotSchedule", "ScheduleAnyway", NULL};
static const char *const inclusion[] = {"Honor", "Ignore", NULL};

static const struct schema spread_fields[] = {
    {.name = "maxSkew",
     .type = SCHEMA_INTEGER,
     .flags = SCHEMA_REQUIRED,
     .min = 1,
     .max = INT32_MAX,
     .text = "By how many pods the places may differ, 1 or more."},
    {.name = "topologyKey",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_LABEL_KEY,
     .text = "The node label that names the place."},
    {.name = "whenUnsatisfiable",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .values = unsatisfiable,
     .text = "DoNotSchedule or ScheduleAnyway."},
    KNOWN("labelSelector"),
    KNOWN("matchLabelKeys"),
    INTEGER_FROM("minDomains", 1, INT32_MAX),
    CHOICE("nodeAffinityPolicy", inclusion),
    CHOICE("nodeTaintsPolicy", inclusion),
    {0},
};
static const struct schema spread_item = {.type = SCHEMA_OBJECT, .fields = spread_fields};

static const struct schema host_name_item = {.type = SCHEMA_STRING, .format = FORMAT_DNS_SUBDOMAIN};

static const char *const systems[] = {"linux", "windows", NULL};
static const struct schema os_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .values = systems,
     .text = "linux or windows."},
    {0},
};

static const struct schema dns_config_fields[] = {
    {.name = "nameservers", .type = SCHEMA_LIST, .item = &string_item, .text = "Addresses."},
    {.name = "searches", .type = SCHEMA_LIST, .item = &string_item, .text = "Domains."},
    KNOWN("options"),
    {0},
};

static void check_address(const struct schema *schema, const struct json *value,
                          const struct path *path, struct err_list *errors)
{
    (void)schema;
    char text[INET6_ADDRSTRLEN];
    unsigned char address[sizeof(struct in6_addr)];
    struct str s = json_str(value);
    snprintf(text, sizeof(text), "%" PRIstr, STR_ARG(s));
    if (s.len >= sizeof(text) ||
        (inet_pton(AF_INET, text, address) != 1 && inet_pton(AF_INET6, text, address) != 1))
        err_list_add(errors, path, value->line, ERR_INVALID,
                     "Invalid value: must be an IP address such as 10.9.8.7 or 2001:db8::1");
}

static const struct schema host_alias_fields[] = {
    {.name = "ip",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .min_len = 1,
     .check = check_address,
     .text = "The address."},
    {.name = "hostnames", .type = SCHEMA_LIST, .item = &host_name_item, .text = "Its names."},
    {0},
};
static const struct schema host_alias_item = {.type = SCHEMA_OBJECT, .fields = host_alias_fields};

/* ---- Checks ---- */

static void check_mounts(const struct json *pod, const char *member, const struct str_set *volumes,
                         const struct path *path, struct err_list *errors)
{
    struct path list_at = path_field(path, str_from_cstr(member));
    size_t index = 0;
    JSON_EACH (container, json_get(pod, str_from_cstr(member))) {
        struct path at = path_index(&list_at, index++),
                    mounts_at = path_field(&at, STR("volumeMounts"));
        size_t mount_index = 0;
        JSON_EACH (mount, json_get(container, STR("volumeMounts"))) {
            struct path mount_at = path_index(&mounts_at, mount_index++);
            struct str name = job_known_text(mount, "name");
            if (str_is_set(name) && !str_set_has(volumes, name))
                job_refuse(errors, &mount_at, "name", mount, ERR_NOT_FOUND,
                           "Not found: the pod has no volume \"%" PRIstr "\"; add it to volumes",
                           STR_ARG(name));
        }
    }
}

static void check_names(const struct json *pod, const struct path *path, struct err_list *errors)
{
    const struct json *before = json_get(pod, STR("initContainers"));
    if (!json_first(before))
        return;
    struct str_set names = job_names(json_get(pod, STR("containers")), errors);
    struct path list_at = path_field(path, STR("initContainers"));
    size_t index = 0;
    JSON_EACH (container, before) {
        struct path at = path_index(&list_at, index++);
        struct str name = job_text(container, "name");
        if (str_set_has(&names, name))
            job_refuse(errors, &at, "name", container, ERR_DUPLICATE,
                       "Duplicate value: \"%" PRIstr "\" is the name of a container too",
                       STR_ARG(name));
    }
}

/* On the network of its host a container's port is the host's. */
static void check_host_ports(const struct json *pod, const struct path *path,
                             struct err_list *errors)
{
    struct path list_at = path_field(path, STR("containers"));
    size_t index = 0;
    if (!json_bool(json_get(pod, STR("hostNetwork")), false))
        return;
    JSON_EACH (container, json_get(pod, STR("containers"))) {
        struct path at = path_index(&list_at, index++), ports_at = path_field(&at, STR("ports"));
        size_t port_index = 0;
        JSON_EACH (port, json_get(container, STR("ports"))) {
            struct path port_at = path_index(&ports_at, port_index++);
            const struct json *on_host = json_get(port, STR("hostPort"));
            if (json_is(on_host, JSON_NUMBER) &&
                !json_equal(on_host, json_get(port, STR("containerPort"))))
                job_refuse(errors, &port_at, "hostPort", port, ERR_INVALID,
                           "Invalid value: with hostNetwork it must be the containerPort; remove "
                           "it");
        }
    }
}

static void check_dns(const struct json *pod, const struct path *path, struct err_list *errors)
{
    const struct json *servers = json_path(pod, "dnsConfig", "nameservers", NULL);
    if (str_eq(job_text(pod, "dnsPolicy"), STR("None")) && !json_first(servers))
        job_refuse(errors, path, "dnsConfig", pod, ERR_REQUIRED,
                   "Required value: the dnsPolicy None needs dnsConfig.nameservers");
}

static void check_pod(const struct schema *schema, const struct json *value,
                      const struct path *path, struct err_list *errors)
{
    (void)schema;
    struct str_set volumes = job_names(json_get(value, STR("volumes")), errors);
    check_mounts(value, "initContainers", &volumes, path, errors);
    check_mounts(value, "containers", &volumes, path, errors);
    check_names(value, path, errors);
    check_host_ports(value, path, errors);
    check_dns(value, path, errors);
    if (job_has(value, "ephemeralContainers"))
        job_refuse(errors, path, "ephemeralContainers", value, ERR_FORBIDDEN,
                   "Forbidden: they can only be added to a pod that runs");
}

/* ---- The pod ---- */

static const char *const restart_policies[] = {"OnFailure", "Never", NULL};
static const char *const dns_policies[] = {"ClusterFirst", "ClusterFirstWithHostNet", "Default",
                                           "None", NULL};
static const char *const preemption_policies[] = {"PreemptLowerPriority", "Never", NULL};

#define NAME_ROW(field, name_format)                                    \
    {                                                                   \
        .name = (field), .type = SCHEMA_STRING, .format = (name_format) \
    }

static const struct schema pod_fields[] = {
    {.name = "containers",
     .type = SCHEMA_LIST,
     .flags = SCHEMA_REQUIRED,
     .min_len = 1,
     .item = &job_container_item,
     .list_key = "name",
     .text = "The containers of the pod."},
    {.name = "initContainers",
     .type = SCHEMA_LIST,
     .item = &job_init_container_item,
     .list_key = "name",
     .text = "Containers that run before."},
    {.name = "restartPolicy",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .values = restart_policies,
     .text = "OnFailure or Never; a Job's pods cannot have Always."},
    {.name = "volumes",
     .type = SCHEMA_LIST,
     .item = &job_volume_item,
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
    {.name = "topologySpreadConstraints",
     .type = SCHEMA_LIST,
     .item = &spread_item,
     .text = "How pods are spread."},
    {.name = "imagePullSecrets",
     .type = SCHEMA_LIST,
     .item = &local_reference_item,
     .text = "Secrets for the registry."},
    {.name = "hostAliases",
     .type = SCHEMA_LIST,
     .item = &host_alias_item,
     .text = "Lines of /etc/hosts."},
    {.name = "securityContext",
     .type = SCHEMA_OBJECT,
     .fields = security_fields,
     .text = "Who the pod is."},
    {.name = "os", .type = SCHEMA_OBJECT, .fields = os_fields, .text = "The system."},
    {.name = "dnsConfig", .type = SCHEMA_OBJECT, .fields = dns_config_fields, .text = "DNS."},
    CHOICE("dnsPolicy", dns_policies),
    CHOICE("preemptionPolicy", preemption_policies),
    INTEGER_FROM("activeDeadlineSeconds", 1, INT32_MAX),
    KNOWN_OF("terminationGracePeriodSeconds", SCHEMA_INTEGER),
    KNOWN_OF("priority", SCHEMA_INTEGER),
    NAME_ROW("serviceAccountName", FORMAT_DNS_SUBDOMAIN),
    NAME_ROW("serviceAccount", FORMAT_DNS_SUBDOMAIN),
    NAME_ROW("priorityClassName", FORMAT_DNS_SUBDOMAIN),
    NAME_ROW("runtimeClassName", FORMAT_DNS_SUBDOMAIN),
    NAME_ROW("nodeName", FORMAT_DNS_SUBDOMAIN),
    NAME_ROW("hostname", FORMAT_DNS_LABEL),
    NAME_ROW("subdomain", FORMAT_DNS_LABEL),
    KNOWN_OF("schedulerName", SCHEMA_STRING),
    KNOWN_OF("automountServiceAccountToken", SCHEMA_BOOLEAN),
    KNOWN_OF("enableServiceLinks", SCHEMA_BOOLEAN),
    KNOWN_OF("hostIPC", SCHEMA_BOOLEAN),
    KNOWN_OF("hostNetwork", SCHEMA_BOOLEAN),
    KNOWN_OF("hostPID", SCHEMA_BOOLEAN),
    KNOWN_OF("hostUsers", SCHEMA_BOOLEAN),
    KNOWN_OF("setHostnameAsFQDN", SCHEMA_BOOLEAN),
    KNOWN_OF("shareProcessNamespace", SCHEMA_BOOLEAN),
    KNOWN("ephemeralContainers"),
    KNOWN("hostnameOverride"),
    KNOWN("overhead"),
    KNOWN("readinessGates"),
    KNOWN("resourceClaims"),
    KNOWN("resources"),
    KNOWN("schedulingGates"),
    KNOWN("schedulingGroup"),
    KNOWN("workloadRef"),
    {0},
};

const struct schema job_pod_template_fields[] = {
    {.name = "metadata",
     .type = SCHEMA_OBJECT,
     .fields = job_metadata_fields,
     .text = "Labels and annotations of the pods."},
    {.name = "spec",
     .type = SCHEMA_OBJECT,
     .flags = SCHEMA_REQUIRED,
     .fields = pod_fields,
     .check = check_pod,
     .text = "The pod."},
    {0},
};
