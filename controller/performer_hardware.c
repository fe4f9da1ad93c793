/*
 * From hardwareRequirements and scheduling to what a scheduler understands.
 *
 * A pod asks for GPUs in one of two ways, and a node offers them in one of two modes: whole ones by
 * nvidia.com/gpu on nodes of the mode "plugin", thousandths by callboard.dev/gpu-milli on nodes of the
 * mode "shared". A gpuShare means the latter; a gpuCount the former, unless the Performer selects shared
 * nodes by the label callboard.dev/gpu-mode, where a whole GPU is 1,000 thousandths.
 */
#include "controller/performer_pod.h"

#include "types/names.h"

enum { MILLI_PER_GPU = 1000, MILLI_PER_CENT = 10 };

/* ---- GPUs ---- */

/* As the webhook sets it, for what was stored before there was one. */
static int64_t gpu_count(const struct performer_hardware *hardware)
{
    if (hardware->gpu_share.is_set)
        return 0;
    if (hardware->gpu_count.is_set)
        return hardware->gpu_count.value;
    return str_is_set(hardware->gpu_type) || hardware->gpu_memory ||
                   str_is_set(hardware->cuda_version)
               ? 1
               : 0;
}

static bool selects_shared(const struct pod_maker *maker)
{
    return str_eq(json_str(json_get(maker->node_selector, STR(LABEL_GPU_MODE))),
                  STR(GPU_MODE_SHARED));
}

/* An extended resource is asked for in requests and limits alike (kubernetes
 * pkg/apis/core/validation: they must be equal). */
static void ask_for(struct pod_maker *maker, const char *resource, int64_t amount)
{
    static const char *const lists[] = {"requests", "limits"};
    struct manifest *m = maker->m;
    for (size_t i = 0; i < 2; i++) {
        struct json *list = json_get(maker->resources, str_from_cstr(lists[i]));
        if (!json_is(list, JSON_OBJECT))
            list = manifest_put_object(m, maker->resources, lists[i]);
        manifest_put_str(m, list, resource, manifest_printf(m, "%lld", (long long)amount));
    }
}

static void ask_for_gpus(struct pod_maker *maker, int64_t count)
{
    const struct performer_hardware *hardware = &maker->spec.hardware;
    maker->has_shared_gpu = hardware->gpu_share.is_set || selects_shared(maker);
    if (hardware->gpu_share.is_set)
        ask_for(maker, RESOURCE_GPU_MILLI, hardware->gpu_share.value * MILLI_PER_CENT);
    else if (maker->has_shared_gpu)
        ask_for(maker, RESOURCE_GPU_MILLI, count * MILLI_PER_GPU);
    else
        ask_for(maker, RESOURCE_GPU, count);
    if (maker->has_shared_gpu) {
        /* The same by hand, which shared nodes do not have. */
        json_remove(json_get(maker->resources, STR("requests")), STR(RESOURCE_GPU));
        json_remove(json_get(maker->resources, STR("limits")), STR(RESOURCE_GPU));
    }
}

static void tolerate(struct pod_maker *maker, const char *key, const char *effect)
{
    struct manifest *m = maker->m;
    struct json *toleration = manifest_object(m);
    manifest_put_str(m, toleration, "key", str_from_cstr(key));
    manifest_put_str(m, toleration, "operator", STR("Exists"));
    manifest_put_str(m, toleration, "effect", str_from_cstr(effect));
    manifest_append(m, maker->tolerations, toleration);
}

/* An expression in every term of the node affinity: terms are alternatives. One without expressions
 * fits no node (k8s.io/api/core/v1 types.go, NodeSelectorTerm), and must not come to fit one. */
static void add_to_terms(struct pod_maker *maker, const struct json *products)
{
    struct manifest *m = maker->m;
    struct json *node = json_get(maker->affinity, STR("nodeAffinity"));
    if (!json_is(node, JSON_OBJECT))
        node = manifest_put_object(m, maker->affinity, "nodeAffinity");
    static const char required[] = "requiredDuringSchedulingIgnoredDuringExecution";
    struct json *selector = json_get(node, STR(required));
    if (!json_is(selector, JSON_OBJECT))
        selector = manifest_put_object(m, node, required);
    struct json *terms = json_get(selector, STR("nodeSelectorTerms"));
    bool is_alone = !json_first(terms);
    if (is_alone) {
        terms = manifest_put_list(m, selector, "nodeSelectorTerms");
        manifest_append(m, terms, manifest_object(m));
    }
    for (struct json *term = json_first(terms); term; term = term->next) {
        if (!is_alone && !json_first(json_get(term, STR("matchExpressions"))) &&
            !json_first(json_get(term, STR("matchFields"))))
            continue;
        struct json *expressions = json_get(term, STR("matchExpressions"));
        if (!json_is(expressions, JSON_ARRAY))
            expressions = manifest_put_list(m, term, "matchExpressions");
        struct json *expression = manifest_object(m);
        manifest_put_str(m, expression, "key", STR(LABEL_GPU_PRODUCT));
        manifest_put_str(m, expression, "operator", STR("In"));
        manifest_put(m, expression, "values", manifest_copy(m, products));
        manifest_append(m, expressions, expression);
    }
}

static struct str place_gpus(struct pod_maker *maker)
{
    struct manifest *m = maker->m;
    const struct performer_hardware *hardware = &maker->spec.hardware;
    int64_t count = gpu_count(hardware);
    if (count == 0 && !hardware->gpu_share.is_set)
        return (struct str){NULL, 0};
    ask_for_gpus(maker, count);
    tolerate(maker, RESOURCE_GPU, "NoSchedule");
    manifest_put_str(m, maker->annotations, ANNOTATION_CUDA_VERSION, hardware->cuda_version);
    if (hardware->gpu_memory)
        manifest_put_str(m, maker->annotations, ANNOTATION_GPU_MEMORY,
                         (struct str){hardware->gpu_memory->text, hardware->gpu_memory->len});
    if (!str_is_set(hardware->gpu_type))
        return (struct str){NULL, 0};
    const struct gpu_type *type =
        catalog_gpu_type(maker->scene->controller->catalog, hardware->gpu_type);
    if (!type)
        return manifest_printf(
            m,
            "spec.hardwareRequirements.gpuType: the catalog has no \"%" PRIstr
            "\"; add it to the ConfigMap callboard-catalog, or name another type",
            STR_ARG(hardware->gpu_type));
    add_to_terms(maker, type->products);
    return (struct str){NULL, 0};
}

/* ---- Trusted execution ---- */

static bool lists(const struct json *names, struct str name)
{
    JSON_EACH (entry, names) {
        if (str_eq(json_str(entry), name))
            return true;
    }
    return false;
}

static struct str place_tee(struct pod_maker *maker)
{
    struct manifest *m = maker->m;
    const struct performer_hardware *hardware = &maker->spec.hardware;
    if (!hardware->tee_required)
        return (struct str){NULL, 0};
    const struct tee *tee = catalog_tee(maker->scene->controller->catalog, hardware->tee_type);
    if (!tee)
        return manifest_printf(m,
                               "spec.hardwareRequirements.teeType: the catalog has no \"%" PRIstr
                               "\"; add it to the ConfigMap callboard-catalog, or name another one",
                               STR_ARG(hardware->tee_type));
    const struct json *first = json_first(tee->runtime_classes);
    if (!str_is_set(maker->runtime_class))
        maker->runtime_class = json_str(first);
    else if (first && !lists(tee->runtime_classes, maker->runtime_class))
        return manifest_printf(m,
                               "spec.scheduling.runtimeClass: \"%" PRIstr
                               "\" does not run pods in %" PRIstr "; leave it out",
                               STR_ARG(maker->runtime_class), STR_ARG(tee->name));
    /* Whatever else is selected: the pod must never run outside of it. */
    JSON_EACH (label, tee->node_selector)
        json_remove(maker->node_selector, json_key(label));
    manifest_merge(m, maker->node_selector, tee->node_selector);
    manifest_merge(m, maker->tolerations, tee->tolerations);
    return (struct str){NULL, 0};
}

/* ---- All ---- */

static struct json *copy_or(struct manifest *m, const struct json *value, enum json_type type)
{
    if (json_is(value, type))
        return manifest_copy(m, value);
    return type == JSON_ARRAY ? manifest_list(m) : manifest_object(m);
}

static bool tolerates(const struct json *tolerations, const char *key)
{
    JSON_EACH (toleration, tolerations) {
        struct str named = json_str(json_get(toleration, STR("key")));
        if (named.len == 0 || str_eq_cstr(named, key))
            return true;
    }
    return false;
}

/* Otherwise the pod would be evicted after five minutes (the admission plugin
 * DefaultTolerationSeconds), and there would be nothing to wait for. */
static void wait_for_node(struct pod_maker *maker)
{
    static const char *const keys[] = {"node.kubernetes.io/not-ready",
                                       "node.kubernetes.io/unreachable"};
    for (size_t i = 0; i < 2; i++) {
        if (!tolerates(maker->spec.scheduling.tolerations, keys[i]))
            tolerate(maker, keys[i], "NoExecute");
    }
}

struct str pod_maker_place(struct pod_maker *maker)
{
    struct manifest *m = maker->m;
    const struct performer_scheduling *scheduling = &maker->spec.scheduling;
    maker->annotations = manifest_object(m);
    maker->resources = copy_or(m, maker->spec.resources, JSON_OBJECT);
    maker->node_selector = copy_or(m, scheduling->node_selector, JSON_OBJECT);
    maker->affinity = copy_or(m, scheduling->affinity, JSON_OBJECT);
    maker->tolerations = copy_or(m, scheduling->tolerations, JSON_ARRAY);
    maker->runtime_class = scheduling->runtime_class;
    manifest_merge(m, maker->node_selector, maker->spec.hardware.custom_labels);
    struct str problem = place_gpus(maker);
    if (!str_is_set(problem))
        problem = place_tee(maker);
    if (maker->scene->performer->waits_for_node)
        wait_for_node(maker);
    if (maker->scene->controller->scheduler == PERFORMER_SCHEDULER_MARKED)
        ask_for(maker, RESOURCE_MANAGED, 1);
    manifest_put_str(m, maker->annotations, ANNOTATION_PACKING, scheduling->packing);
    return problem;
}
