/*
 * Schema rows of resources, tolerations, affinity and environment sources. The rules beyond the rows are
 * those of k8s.io/kubernetes pkg/apis/core/validation.
 */
#include "types/pod.h"

#include "schema/quantity.h"

const struct schema string_item = {.type = SCHEMA_STRING};
const struct schema label_map_item = {.type = SCHEMA_STRING, .format = FORMAT_LABEL_VALUE};

/* The text of a member, absent when it is not there or null. */
static struct str text_of(const struct json *object, const char *name)
{
    return json_str(json_get(object, str_from_cstr(name)));
}

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

/* ---- resources ---- */

static const struct schema quantity_item = {.type = SCHEMA_QUANTITY};

/* Extended resources come in whole numbers. */
static bool is_extended(struct str name)
{
    return str_find(name, '/') >= 0 && !str_starts_with(name, STR("kubernetes.io/"));
}

static bool is_huge_pages(struct str name)
{
    return str_starts_with(name, STR("hugepages-"));
}

static bool is_standard(struct str name)
{
    return str_eq(name, STR("cpu")) || str_eq(name, STR("memory")) ||
           str_eq(name, STR("ephemeral-storage")) || is_huge_pages(name);
}

/* Extended resources and huge pages may not be overcommitted: request and limit are the same. */
static bool is_exact(struct str name)
{
    return is_extended(name) || is_huge_pages(name);
}

static void check_amounts(const struct json *amounts, const char *member, const struct path *path,
                          struct err_list *errors)
{
    struct path list_at = path_field(path, str_from_cstr(member));
    JSON_EACH (amount, amounts) {
        struct str name = json_key(amount);
        struct path at = path_field(&list_at, name);
        struct quantity q;
        int64_t whole;
        if (!is_standard(name) && !is_extended(name))
            err_list_add(
                errors, &at, amount->line, ERR_INVALID,
                "Invalid value: there is no resource of this name; it must be cpu, memory, "
                "ephemeral-storage, hugepages-SIZE, or an extended resource such as "
                "nvidia.com/gpu");
        else if (is_extended(name) && quantity_from_json(amount, &q) &&
                 !quantity_to_int64(q, &whole))
            err_list_add(errors, &at, amount->line, ERR_INVALID,
                         "Invalid value: an extended resource must be a whole number");
    }
}

static void check_request_fits(const struct json *request, const struct json *limit,
                               const struct path *requests_at, struct err_list *errors)
{
    struct path at = path_field(requests_at, json_key(request));
    struct quantity wanted, most;
    if (!quantity_from_json(request, &wanted) || !quantity_from_json(limit, &most))
        return;
    if (quantity_cmp(wanted, most) > 0)
        err_list_add(errors, &at, request->line, ERR_INVALID,
                     "Invalid value: %" PRIstr " is more than the limit %" PRIstr
                     "; lower the request or raise the limit",
                     STR_ARG(((struct str){request->text, request->len})),
                     STR_ARG(((struct str){limit->text, limit->len})));
    else if (is_exact(json_key(request)) && quantity_cmp(wanted, most) != 0)
        err_list_add(errors, &at, request->line, ERR_INVALID,
                     "Invalid value: request and limit of an extended resource, and of huge pages, "
                     "must be the same");
}

static bool names_any(const struct json *amounts, bool (*is_meant)(struct str name))
{
    JSON_EACH (amount, amounts) {
        if (is_meant(json_key(amount)))
            return true;
    }
    return false;
}

static bool is_cpu_or_memory(struct str name)
{
    return str_eq(name, STR("cpu")) || str_eq(name, STR("memory"));
}

void resource_requirements_check(const struct schema *schema, const struct json *value,
                                 const struct path *path, struct err_list *errors)
{
    (void)schema;
    const struct json *requests = json_get(value, STR("requests"));
    const struct json *limits = json_get(value, STR("limits"));
    check_amounts(requests, "requests", path, errors);
    check_amounts(limits, "limits", path, errors);
    struct path requests_at = path_field(path, STR("requests"));
    JSON_EACH (request, requests) {
        const struct json *limit = json_get(limits, json_key(request));
        if (limit) {
            check_request_fits(request, limit, &requests_at, errors);
        } else if (is_exact(json_key(request))) {
            struct path at = path_field(&requests_at, json_key(request));
            err_list_add(errors, &at, request->line, ERR_REQUIRED,
                         "Required value: an extended resource, and huge pages, need a limit too; "
                         "set the same amount in limits");
        }
    }
    bool huge_pages = names_any(requests, is_huge_pages) || names_any(limits, is_huge_pages);
    if (huge_pages && !names_any(requests, is_cpu_or_memory) &&
        !names_any(limits, is_cpu_or_memory))
        err_list_add(errors, path, value->line, ERR_FORBIDDEN,
                     "Forbidden: huge pages need a request or limit of cpu or memory beside them");
}

static const struct schema claim_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_DNS_LABEL,
     .text = "The name of an entry of the pod's resourceClaims."},
    {.name = "request",
     .type = SCHEMA_STRING,
     .format = FORMAT_DNS_LABEL,
     .text = "One request of that claim; all when it is empty."},
    {0},
};
static const struct schema claim_item = {.type = SCHEMA_OBJECT, .fields = claim_fields};

const struct schema resource_requirements_fields[] = {
    {.name = "requests",
     .type = SCHEMA_MAP,
     .key_format = FORMAT_LABEL_KEY,
     .item = &quantity_item,
     .text = "What is set aside for the container on its node."},
    {.name = "limits",
     .type = SCHEMA_MAP,
     .key_format = FORMAT_LABEL_KEY,
     .item = &quantity_item,
     .text = "What the container may use at most."},
    {.name = "claims",
     .type = SCHEMA_LIST,
     .item = &claim_item,
     .list_key = "name",
     .text = "Resource claims that the container uses."},
    {0},
};

/* ---- tolerations ---- */

static const char *const toleration_operators[] = {"Exists", "Equal", NULL};
static const char *const taint_effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};

static const struct schema toleration_fields[] = {
    {.name = "key",
     .type = SCHEMA_STRING,
     .format = FORMAT_NONE,
     .text = "The key of the taint that is tolerated; empty, with operator Exists, for all."},
    {.name = "operator",
     .type = SCHEMA_STRING,
     .values = toleration_operators,
     .text = "Exists (any value) or Equal (the value below); Equal when absent."},
    {.name = "value",
     .type = SCHEMA_STRING,
     .format = FORMAT_LABEL_VALUE,
     .text = "The taint's value, for Equal."},
    {.name = "effect",
     .type = SCHEMA_STRING,
     .values = taint_effects,
     .text = "The taint's effect; all effects when absent."},
    {.name = "tolerationSeconds",
     .type = SCHEMA_INTEGER,
     .text = "How long a NoExecute taint is tolerated; for ever when absent."},
    {0},
};

static void check_toleration(const struct schema *schema, const struct json *value,
                             const struct path *path, struct err_list *errors)
{
    (void)schema;
    struct str key = text_of(value, "key"), operator= text_of(value, "operator");
    bool exists = str_eq(operator, STR("Exists"));
    if (key.len == 0 && !exists)
        refuse(errors, path, "operator", value, ERR_INVALID,
               "Invalid value: must be Exists when the key is empty");
    if (key.len > 0 && !format_is_valid(FORMAT_LABEL_KEY, key))
        refuse(errors, path, "key", value, ERR_INVALID,
               "Invalid value: must be the key of a taint: letters, digits, '-', '_' or '.', with "
               "an optional DNS name and '/' before them");
    if (exists && text_of(value, "value").len > 0)
        refuse(errors, path, "value", value, ERR_INVALID,
               "Invalid value: must be empty when the operator is Exists; use Equal to compare it");
    if (has(value, "tolerationSeconds") && !str_eq(text_of(value, "effect"), STR("NoExecute")))
        refuse(errors, path, "effect", value, ERR_INVALID,
               "Invalid value: must be NoExecute when tolerationSeconds is set");
}

const struct schema toleration_item = {
    .type = SCHEMA_OBJECT,
    .fields = toleration_fields,
    .check = check_toleration,
};

/* ---- affinity ---- */

static const char *const node_operators[] = {"In", "NotIn", "Exists", "DoesNotExist",
                                             "Gt", "Lt",    NULL};
static const char *const label_operators[] = {"In", "NotIn", "Exists", "DoesNotExist", NULL};

static void check_requirement(const struct schema *schema, const struct json *value,
                              const struct path *path, struct err_list *errors)
{
    (void)schema;
    struct str operator= text_of(value, "operator");
    const struct json *values = json_get(value, STR("values"));
    size_t count = json_is(values, JSON_ARRAY) ? values->len : 0;
    if ((str_eq(operator, STR("In")) || str_eq(operator, STR("NotIn"))) && count == 0)
        refuse(errors, path, "values", value, ERR_REQUIRED,
               "Required value: In and NotIn need at least one value");
    if (str_ends_with(operator, STR("Exist")) || str_eq(operator, STR("Exists"))) {
        if (count > 0)
            refuse(errors, path, "values", value, ERR_FORBIDDEN,
                   "Forbidden: Exists and DoesNotExist take no values");
    }
    if (!str_eq(operator, STR("Gt")) && !str_eq(operator, STR("Lt")))
        return;
    int64_t number;
    if (count != 1 || !str_to_int64(json_str(json_first(values)), &number))
        refuse(errors, path, "values", value, ERR_INVALID,
               "Invalid value: Gt and Lt need exactly one value, a whole number in quotes");
}

#define REQUIREMENT_ROWS(operators, value_item)                    \
    {.name = "key",                                                \
     .type = SCHEMA_STRING,                                        \
     .flags = SCHEMA_REQUIRED,                                     \
     .format = FORMAT_LABEL_KEY,                                   \
     .text = "The label's key."},                                  \
        {.name = "operator",                                       \
         .type = SCHEMA_STRING,                                    \
         .flags = SCHEMA_REQUIRED,                                 \
         .values = operators,                                      \
         .text = "How the label is compared with the values."},    \
        {.name = "values",                                         \
         .type = SCHEMA_LIST,                                      \
         .item = &value_item,                                      \
         .text = "The values; none for Exists and DoesNotExist."}, \
    {                                                              \
        0                                                          \
    }

static const struct schema node_requirement_fields[] = {
    REQUIREMENT_ROWS(node_operators, label_map_item)};
static const struct schema node_requirement_item = {
    .type = SCHEMA_OBJECT,
    .fields = node_requirement_fields,
    .check = check_requirement,
};
/* What is only preferred may name values that no label can have. */
static const struct schema preferred_requirement_fields[] = {
    REQUIREMENT_ROWS(node_operators, string_item)};
static const struct schema preferred_requirement_item = {
    .type = SCHEMA_OBJECT,
    .fields = preferred_requirement_fields,
    .check = check_requirement,
};

/* The only field of a node that can be asked for is its name. */
static const char *const node_field_names[] = {"metadata.name", NULL};
static const char *const node_field_operators[] = {"In", "NotIn", NULL};
static const struct schema node_name_item = {.type = SCHEMA_STRING, .format = FORMAT_DNS_SUBDOMAIN};
static const struct schema node_field_fields[] = {
    {.name = "key",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .values = node_field_names,
     .text = "The field: metadata.name."},
    {.name = "operator",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .values = node_field_operators,
     .text = "Whether the field must have the value or must not."},
    {.name = "values",
     .type = SCHEMA_LIST,
     .flags = SCHEMA_REQUIRED,
     .min_len = 1,
     .max_len = 1,
     .item = &node_name_item,
     .text = "The name of a node, one."},
    {0},
};
static const struct schema node_field_item = {.type = SCHEMA_OBJECT, .fields = node_field_fields};
static const struct schema label_requirement_fields[] = {
    REQUIREMENT_ROWS(label_operators, label_map_item)};
static const struct schema label_requirement_item = {
    .type = SCHEMA_OBJECT,
    .fields = label_requirement_fields,
    .check = check_requirement,
};

#define NODE_TERM_ROWS(requirement_item)                               \
    {.name = "matchExpressions",                                       \
     .type = SCHEMA_LIST,                                              \
     .item = &requirement_item,                                        \
     .text = "Requirements on the node's labels; all must hold."},     \
        {.name = "matchFields",                                        \
         .type = SCHEMA_LIST,                                          \
         .item = &node_field_item,                                     \
         .text = "Requirements on the node's fields; all must hold."}, \
    {                                                                  \
        0                                                              \
    }

static const struct schema node_term_fields[] = {NODE_TERM_ROWS(node_requirement_item)};
static const struct schema preferred_term_fields[] = {NODE_TERM_ROWS(preferred_requirement_item)};
static const struct schema node_term_item = {.type = SCHEMA_OBJECT, .fields = node_term_fields};

static const struct schema preferred_node_fields[] = {
    {.name = "weight",
     .type = SCHEMA_INTEGER,
     .flags = SCHEMA_REQUIRED,
     .min = 1,
     .max = 100,
     .text = "How much a node that fits is preferred, 1 to 100."},
    {.name = "preference",
     .type = SCHEMA_OBJECT,
     .flags = SCHEMA_REQUIRED,
     .fields = preferred_term_fields,
     .text = "The nodes that are preferred."},
    {0},
};
static const struct schema preferred_node_item = {
    .type = SCHEMA_OBJECT,
    .fields = preferred_node_fields,
};

static const struct schema node_selector_fields[] = {
    {.name = "nodeSelectorTerms",
     .type = SCHEMA_LIST,
     .flags = SCHEMA_REQUIRED,
     .min_len = 1,
     .item = &node_term_item,
     .text = "Terms; one must hold."},
    {0},
};

static const struct schema node_affinity_fields[] = {
    {.name = "requiredDuringSchedulingIgnoredDuringExecution",
     .type = SCHEMA_OBJECT,
     .fields = node_selector_fields,
     .text = "The only nodes that are right."},
    {.name = "preferredDuringSchedulingIgnoredDuringExecution",
     .type = SCHEMA_LIST,
     .item = &preferred_node_item,
     .text = "Nodes that are better than others."},
    {0},
};

static const struct schema label_selector_fields[] = {
    {.name = "matchLabels",
     .type = SCHEMA_MAP,
     .key_format = FORMAT_LABEL_KEY,
     .item = &label_map_item,
     .text = "Labels with these values."},
    {.name = "matchExpressions",
     .type = SCHEMA_LIST,
     .item = &label_requirement_item,
     .text = "Requirements on labels; all must hold."},
    {0},
};

static const struct schema pod_term_fields[] = {
    {.name = "topologyKey",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_LABEL_KEY,
     .text = "The node label that says what \"together\" means, such as kubernetes.io/hostname."},
    {.name = "labelSelector",
     .type = SCHEMA_OBJECT,
     .fields = label_selector_fields,
     .text = "The pods that count."},
    {.name = "namespaceSelector",
     .type = SCHEMA_OBJECT,
     .fields = label_selector_fields,
     .text = "The namespaces whose pods count, by label."},
    {.name = "namespaces",
     .type = SCHEMA_LIST,
     .item = &string_item,
     .text = "The namespaces whose pods count, by name; the own one when both are absent."},
    {.name = "matchLabelKeys",
     .type = SCHEMA_LIST,
     .item = &string_item,
     .text = "Label keys whose values are taken from the pod and must be the same."},
    {.name = "mismatchLabelKeys",
     .type = SCHEMA_LIST,
     .item = &string_item,
     .text = "Label keys whose values are taken from the pod and must differ."},
    {0},
};
static const struct schema pod_term_item = {.type = SCHEMA_OBJECT, .fields = pod_term_fields};

static const struct schema preferred_pod_fields[] = {
    {.name = "weight",
     .type = SCHEMA_INTEGER,
     .flags = SCHEMA_REQUIRED,
     .min = 1,
     .max = 100,
     .text = "How much a node that fits is preferred, 1 to 100."},
    {.name = "podAffinityTerm",
     .type = SCHEMA_OBJECT,
     .flags = SCHEMA_REQUIRED,
     .fields = pod_term_fields,
     .text = "The pods to be near to, or far from."},
    {0},
};
static const struct schema preferred_pod_item = {
    .type = SCHEMA_OBJECT,
    .fields = preferred_pod_fields,
};

static const struct schema pod_affinity_fields[] = {
    {.name = "requiredDuringSchedulingIgnoredDuringExecution",
     .type = SCHEMA_LIST,
     .item = &pod_term_item,
     .text = "Terms that must hold."},
    {.name = "preferredDuringSchedulingIgnoredDuringExecution",
     .type = SCHEMA_LIST,
     .item = &preferred_pod_item,
     .text = "Terms that should hold."},
    {0},
};

const struct schema affinity_fields[] = {
    {.name = "nodeAffinity",
     .type = SCHEMA_OBJECT,
     .fields = node_affinity_fields,
     .text = "Which nodes, by their labels."},
    {.name = "podAffinity",
     .type = SCHEMA_OBJECT,
     .fields = pod_affinity_fields,
     .text = "Near to which other pods."},
    {.name = "podAntiAffinity",
     .type = SCHEMA_OBJECT,
     .fields = pod_affinity_fields,
     .text = "Away from which other pods."},
    {0},
};

/* ---- environment ---- */

const struct schema key_reference_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_DNS_SUBDOMAIN,
     .text = "The name of the Secret or ConfigMap, in the same namespace."},
    {.name = "key",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_CONFIG_KEY,
     .text = "The key in it."},
    {.name = "optional",
     .type = SCHEMA_BOOLEAN,
     .text = "Whether the container may start without it."},
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
    {0},
};

static void check_env_source(const struct schema *schema, const struct json *value,
                             const struct path *path, struct err_list *errors)
{
    (void)schema;
    bool secret = has(value, "secretKeyRef"), config = has(value, "configMapKeyRef");
    if (secret == config)
        err_list_add(errors, path, value->line, secret ? ERR_INVALID : ERR_REQUIRED,
                     "%s: exactly one of secretKeyRef and configMapKeyRef must be set",
                     secret ? "Invalid value" : "Required value");
}

static const struct schema env_from_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_ENV_NAME,
     .text = "The name of the environment variable."},
    {.name = "valueFrom",
     .type = SCHEMA_OBJECT,
     .flags = SCHEMA_REQUIRED,
     .fields = env_source_fields,
     .check = check_env_source,
     .text = "Where its value comes from."},
    {0},
};
const struct schema env_from_source_item = {.type = SCHEMA_OBJECT, .fields = env_from_fields};

/* ---- references ---- */

static const struct schema local_reference_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_DNS_SUBDOMAIN,
     .text = "The name of the object, in the same namespace."},
    {0},
};
const struct schema local_reference_item = {
    .type = SCHEMA_OBJECT,
    .fields = local_reference_fields,
};
