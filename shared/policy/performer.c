/* Rules of Performers. */
#include "policy/performer.h"

#include "policy/report.h"
#include "schema/quantity.h"
#include "types/performer.h"
#include "json/finder.h"

#include <stdio.h>

#define HARDWARE_PATH "spec.hardwareRequirements"
#define NO_KEY        ((struct str){NULL, 0})

/* ---- Defaults ---- */

static bool is_set(const struct json *object, const char *name)
{
    const struct json *value = json_get(object, str_from_cstr(name));
    return value && value->type != JSON_NULL;
}

/* Whoever names a type of GPU, its memory or a CUDA version wants at least one. */
bool performer_default(struct policy_object *subject)
{
    struct json *hardware = json_path(subject->object, "spec", "hardwareRequirements", NULL);
    if (!json_is(hardware, JSON_OBJECT) || is_set(hardware, "gpuCount") ||
        is_set(hardware, "gpuShare"))
        return true;
    if (!is_set(hardware, "gpuType") && !is_set(hardware, "gpuMemory") &&
        !is_set(hardware, "cudaVersion"))
        return true;
    return json_set(hardware, STR("gpuCount"), json_new_int(subject->arena, 1));
}

/* ---- Rules ---- */

/* A text that can be compared with others. In the template of a step it may hold a placeholder, of which
 * nobody knows what it will be; elsewhere the table has refused it. */
static bool is_known(struct str text)
{
    return str_is_set(text) && !schema_has_placeholder(text);
}

struct rules {
    const struct json *object;
    const struct performer_spec *spec;
    const struct catalog *catalog;
    struct arena *arena;
    struct err_list *errors;
    struct err_list *warnings;
};

#define REFUSE(rules, path, reason, ...) \
    report((rules)->errors, (rules)->object, path, NO_KEY, reason, __VA_ARGS__)
#define WARN(rules, path, ...) \
    report((rules)->warnings, (rules)->object, path, NO_KEY, ERR_INVALID, __VA_ARGS__)

static bool wants_gpu(const struct performer_hardware *hardware)
{
    return hardware->gpu_count.value > 0 || hardware->gpu_share.is_set;
}

enum { NAMES_LEN_MAX = 512 }; /* of a list of names in a message */

/* Adds a name of at most 253 bytes, or, when there are too many, an ellipsis in its place. */
static bool add_name(struct buf *buf, struct str name)
{
    buf_put(buf, buf->len ? STR(", ") : STR(""));
    bool fits = buf->len + name.len <= NAMES_LEN_MAX;
    buf_put(buf, fits ? name : STR("…"));
    return fits;
}

static struct str finished(struct rules *rules, const struct buf *buf)
{
    rules->errors->out_of_memory = rules->errors->out_of_memory || buf_failed(buf);
    return buf_str(buf);
}

/* "nvidia-a10, nvidia-a100, …" for a message. */
static struct str list_names(struct rules *rules, const void *first, size_t count, size_t stride)
{
    struct buf buf;
    buf_init(&buf, arena_mem(rules->arena), 2 * NAMES_LEN_MAX);
    if (count == 0)
        return STR("none");
    for (size_t i = 0; i < count; i++) {
        /* `name` is the first member of what the catalog lists. */
        const struct str *name = (const void *)((const char *)first + i * stride);
        if (!add_name(&buf, *name))
            break;
    }
    return finished(rules, &buf);
}

static void check_gpu_type(struct rules *rules)
{
    const struct performer_hardware *hardware = &rules->spec->hardware;
    const struct catalog *catalog = rules->catalog;
    if (!is_known(hardware->gpu_type) || catalog_gpu_type(catalog, hardware->gpu_type))
        return;
    struct str names[64];
    size_t count = 0;
    for (; count < catalog->gpu_type_count && count < 64; count++)
        names[count] = catalog->gpu_types[count].name;
    struct str near = str_nearest(hardware->gpu_type, names, count);
    struct str known = list_names(rules, catalog->gpu_types, catalog->gpu_type_count,
                                  sizeof(catalog->gpu_types[0]));
    REFUSE(rules, HARDWARE_PATH ".gpuType", ERR_NOT_SUPPORTED,
           "Unsupported value: \"%" PRIstr "\": %s%" PRIstr "%sthe catalog has: %" PRIstr
           ". An administrator can add a type to the ConfigMap callboard-catalog",
           STR_ARG(hardware->gpu_type), near.ptr ? "did you mean \"" : "", STR_ARG(near),
           near.ptr ? "\"? " : "", STR_ARG(known));
}

static void check_gpu_amounts(struct rules *rules)
{
    const struct performer_hardware *hardware = &rules->spec->hardware;
    if (hardware->gpu_share.is_set && hardware->gpu_count.value > 1)
        REFUSE(rules, HARDWARE_PATH ".gpuShare", ERR_FORBIDDEN,
               "Forbidden: a share is of one GPU, so it may not be combined with gpuCount %lld; "
               "remove gpuShare to get whole GPUs, or gpuCount to get a share of one",
               (long long)hardware->gpu_count.value);

    struct quantity memory;
    if (hardware->gpu_memory && quantity_from_json(hardware->gpu_memory, &memory) &&
        quantity_sign(memory) == 0)
        REFUSE(rules, HARDWARE_PATH ".gpuMemory", ERR_INVALID,
               "Invalid value: 0: must be more than 0, such as 40Gi; remove the field when any "
               "memory will do");

    const struct {
        const char *path;
        const char *name;
        bool is_set;
    } needs_gpu[] = {
        {HARDWARE_PATH ".gpuType", "gpuType", str_is_set(hardware->gpu_type)},
        {HARDWARE_PATH ".gpuMemory", "gpuMemory", hardware->gpu_memory != NULL},
        {HARDWARE_PATH ".cudaVersion", "cudaVersion", str_is_set(hardware->cuda_version)},
    };
    bool explicitly_none =
        hardware->gpu_count.is_set && hardware->gpu_count.value == 0 && !hardware->gpu_share.is_set;
    for (size_t i = 0; explicitly_none && i < sizeof(needs_gpu) / sizeof(needs_gpu[0]); i++) {
        if (needs_gpu[i].is_set)
            REFUSE(rules, needs_gpu[i].path, ERR_FORBIDDEN,
                   "Forbidden: %s needs a GPU but gpuCount is 0; set gpuCount to 1 or more, or "
                   "remove %s",
                   needs_gpu[i].name, needs_gpu[i].name);
    }
}

/* GPUs are asked for in one place; the same resource by hand must not say something else. */
static void check_gpu_resources(struct rules *rules, const char *member)
{
    const struct performer_hardware *hardware = &rules->spec->hardware;
    char path[64];
    snprintf(path, sizeof(path), "spec.resources.%s", member);
    JSON_EACH (amount, json_get(rules->spec->resources, str_from_cstr(member))) {
        struct str name = json_key(amount);
        struct quantity q;
        int64_t count = 0;
        if (str_eq(name, STR("callboard.dev/gpu-milli")) ||
            str_eq(name, STR("callboard.dev/managed"))) {
            report(rules->errors, rules->object, path, name, ERR_FORBIDDEN,
                   "Forbidden: this resource is set by the controller; ask for GPUs by "
                   "hardwareRequirements.gpuCount or gpuShare");
            continue;
        }
        bool counted = str_eq(name, STR("nvidia.com/gpu")) && wants_gpu(hardware) &&
                       quantity_from_json(amount, &q) && quantity_to_int64(q, &count);
        if (counted && (hardware->gpu_share.is_set || count != hardware->gpu_count.value))
            report(rules->errors, rules->object, path, name, ERR_INVALID,
                   "Invalid value: %lld: differs from hardwareRequirements, which asks for %lld%s; "
                   "remove it here, hardwareRequirements is enough",
                   (long long)count,
                   (long long)(hardware->gpu_share.is_set ? hardware->gpu_share.value
                                                          : hardware->gpu_count.value),
                   hardware->gpu_share.is_set ? " per cent of one GPU" : " GPUs");
    }
}

static bool lists(const struct json *names, struct str name)
{
    JSON_EACH (entry, names) {
        if (str_eq(json_str(entry), name))
            return true;
    }
    return false;
}

static void check_runtime_class(struct rules *rules, const struct tee *tee)
{
    struct str given = rules->spec->scheduling.runtime_class;
    if (!is_known(given) || !json_first(tee->runtime_classes) || lists(tee->runtime_classes, given))
        return;
    struct buf classes;
    buf_init(&classes, arena_mem(rules->arena), 2 * NAMES_LEN_MAX);
    JSON_EACH (entry, tee->runtime_classes) {
        if (!add_name(&classes, json_str(entry)))
            break;
    }
    struct str known = finished(rules, &classes);
    REFUSE(rules, "spec.scheduling.runtimeClass", ERR_NOT_SUPPORTED,
           "Unsupported value: \"%" PRIstr "\": it does not run pods in %" PRIstr
           "; supported values: %" PRIstr "; remove the field to get the first one",
           STR_ARG(given), STR_ARG(tee->name), STR_ARG(known));
}

static void check_tee(struct rules *rules)
{
    const struct performer_hardware *hardware = &rules->spec->hardware;
    if (!hardware->tee_required) {
        if (str_is_set(hardware->tee_type))
            WARN(rules, HARDWARE_PATH ".teeType",
                 "has no effect without teeRequired: true; the pod may run outside of %" PRIstr,
                 STR_ARG(hardware->tee_type));
        return;
    }
    if (!str_is_set(hardware->tee_type)) {
        REFUSE(rules, HARDWARE_PATH ".teeType", ERR_REQUIRED,
               "Required value: teeRequired is true; say which one: sgx, sev, sev-snp or tdx");
        return;
    }
    if (!is_known(hardware->tee_type))
        return;
    const struct tee *tee = catalog_tee(rules->catalog, hardware->tee_type);
    if (tee) {
        check_runtime_class(rules, tee);
        return;
    }
    struct str known =
        list_names(rules, rules->catalog->tees, rules->catalog->tee_count, sizeof(struct tee));
    REFUSE(rules, HARDWARE_PATH ".teeType", ERR_NOT_SUPPORTED,
           "Unsupported value: \"%" PRIstr "\": this cluster's catalog has: %" PRIstr
           ". An administrator can add it to the ConfigMap callboard-catalog",
           STR_ARG(hardware->tee_type), STR_ARG(known));
}

/* Node labels come from three places; two that want different values of one label can never both be
 * met. */
static void check_label_conflict(struct rules *rules, const struct json *labels, const char *path,
                                 const struct json *others, const char *origin)
{
    struct json_finder finder;
    json_finder_init(&finder, others, arena_mem(rules->arena));
    JSON_EACH (label, labels) {
        struct str wanted = json_str(label),
                   other = json_str(json_finder_find(&finder, json_key(label)));
        if (is_known(wanted) && is_known(other) && !str_eq(wanted, other))
            report(rules->errors, rules->object, path, json_key(label), ERR_INVALID,
                   "Invalid value: \"%" PRIstr "\": %s wants \"%" PRIstr
                   "\" for the same label, so no node can fit; make them the same or remove one",
                   STR_ARG(wanted), origin, STR_ARG(other));
    }
    json_finder_done(&finder);
}

static void check_labels(struct rules *rules)
{
    const struct performer_spec *spec = rules->spec;
    const struct performer_hardware *hardware = &spec->hardware;
    check_label_conflict(rules, hardware->custom_labels, HARDWARE_PATH ".customLabels",
                         spec->scheduling.node_selector, "spec.scheduling.nodeSelector");
    const struct tee *tee =
        hardware->tee_required ? catalog_tee(rules->catalog, hardware->tee_type) : NULL;
    if (!tee)
        return;
    check_label_conflict(rules, hardware->custom_labels, HARDWARE_PATH ".customLabels",
                         tee->node_selector, "the catalog's entry of the teeType");
    check_label_conflict(rules, spec->scheduling.node_selector, "spec.scheduling.nodeSelector",
                         tee->node_selector, "the catalog's entry of the teeType");
}

static void check_environment(struct rules *rules)
{
    const struct performer_config *config = &rules->spec->config;
    struct json_finder finder;
    json_finder_init(&finder, config->environment, arena_mem(rules->arena));
    JSON_EACH (source, config->environment_from) {
        struct str name = json_str(json_get(source, STR("name")));
        const struct json *same = json_finder_find(&finder, name);
        if (str_is_set(name) && same && same->type != JSON_NULL)
            report(
                rules->errors, rules->object, "spec.config.environment", name, ERR_DUPLICATE,
                "Duplicate value: environmentFrom sets the same variable; remove one of the two");
    }
    json_finder_done(&finder);
}

/* ---- What is legal but surely unwanted ---- */

static void warn_of_image(struct rules *rules)
{
    struct image_ref ref;
    if (!image_ref_parse(rules->spec->image, &ref) || str_is_set(ref.digest))
        return;
    if (!str_is_set(ref.tag))
        WARN(rules, "spec.image",
             "has no tag, which means \"latest\": what runs changes without notice; name a version "
             "or a digest");
    else if (str_eq(ref.tag, STR("latest")))
        WARN(
            rules, "spec.image",
            "has the tag \"latest\": what runs changes without notice; name a version or a digest");
}

static void warn_of_limits(struct rules *rules)
{
    const struct json *limits = json_get(rules->spec->resources, STR("limits"));
    if (!is_set(limits, "memory"))
        WARN(rules, "spec.resources.limits",
             "sets no memory limit: the container may take all of its node's memory");
}

/* ---- Entry ---- */

void performer_validate(const struct policy_object *subject, struct policy_findings *findings)
{
    struct performer *performer = ARENA_NEW(subject->arena, struct performer);
    if (!performer ||
        !schema_decode(subject->kind->schema, subject->object, performer, subject->arena)) {
        findings->errors.out_of_memory = true;
        return;
    }
    struct rules rules = {
        .object = subject->object,
        .spec = &performer->spec,
        .catalog = subject->catalog,
        .arena = subject->arena,
        .errors = &findings->errors,
        .warnings = &findings->warnings,
    };
    check_gpu_type(&rules);
    check_gpu_amounts(&rules);
    check_gpu_resources(&rules, "requests");
    check_gpu_resources(&rules, "limits");
    check_tee(&rules);
    check_labels(&rules);
    check_environment(&rules);
    warn_of_image(&rules);
    warn_of_limits(&rules);
}
