/* Reading, sharing and searching the catalog of hardware. */
#include "types/catalog.h"

#include "schema/schema.h"
#include "types/pod.h"
#include "json/yaml.h"

#include <stdatomic.h>

/*
 * Products are the values that NVIDIA's GPU Feature Discovery puts into the label nvidia.com/gpu.product;
 * the labels of trusted execution environments are those of Node Feature Discovery.
 */
static const char builtin[] =
    "gpuTypes:\n"
    "  nvidia-tesla-p100: {products: [Tesla-P100-PCIE-16GB, Tesla-P100-SXM2-16GB],"
    " minMemoryMiB: 16280}\n"
    "  nvidia-tesla-t4: {products: [Tesla-T4], minMemoryMiB: 15360}\n"
    "  nvidia-tesla-v100: {products: [Tesla-V100-PCIE-16GB, Tesla-V100-PCIE-32GB,"
    " Tesla-V100-SXM2-16GB, Tesla-V100-SXM2-32GB, Tesla-V100-SXM3-32GB], minMemoryMiB: 16384}\n"
    "  nvidia-a10: {products: [NVIDIA-A10], minMemoryMiB: 23028}\n"
    "  nvidia-a10g: {products: [NVIDIA-A10G], minMemoryMiB: 23028}\n"
    "  nvidia-a100: {products: [NVIDIA-A100-PCIE-40GB, NVIDIA-A100-SXM4-40GB,"
    " NVIDIA-A100-80GB-PCIe, NVIDIA-A100-SXM4-80GB], minMemoryMiB: 40960}\n"
    "  nvidia-l4: {products: [NVIDIA-L4], minMemoryMiB: 23034}\n"
    "  nvidia-l40s: {products: [NVIDIA-L40S], minMemoryMiB: 46068}\n"
    "  nvidia-h100: {products: [NVIDIA-H100-PCIe, NVIDIA-H100-80GB-HBM3, NVIDIA-H100-NVL],"
    " minMemoryMiB: 81559}\n"
    "  nvidia-h200: {products: [NVIDIA-H200, NVIDIA-H200-NVL], minMemoryMiB: 143771}\n"
    "  nvidia-b200: {products: [NVIDIA-B200], minMemoryMiB: 183359}\n"
    "  nvidia-rtx-5000: {products: [Quadro-RTX-5000], minMemoryMiB: 16384}\n"
    "  nvidia-rtx-6000: {products: [Quadro-RTX-6000], minMemoryMiB: 24576}\n"
    "tee:\n"
    "  sgx:\n"
    "    nodeSelector: {feature.node.kubernetes.io/cpu-security.sgx.enabled: 'true'}\n"
    "    tolerations: [{key: callboard.dev/tee, operator: Equal, value: sgx, effect: NoSchedule}]\n"
    "    runtimeClasses: []\n"
    "  sev:\n"
    "    nodeSelector: {feature.node.kubernetes.io/cpu-security.sev.enabled: 'true'}\n"
    "    tolerations: [{key: callboard.dev/tee, operator: Equal, value: sev, effect: NoSchedule}]\n"
    "    runtimeClasses: [kata-qemu-sev]\n"
    "  sev-snp:\n"
    "    nodeSelector: {feature.node.kubernetes.io/cpu-security.sev.snp.enabled: 'true'}\n"
    "    tolerations:\n"
    "    - {key: callboard.dev/tee, operator: Equal, value: sev-snp, effect: NoSchedule}\n"
    "    runtimeClasses: [kata-qemu-snp, kata-qemu-nvidia-gpu-snp]\n"
    "  tdx:\n"
    "    nodeSelector: {feature.node.kubernetes.io/cpu-security.tdx.enabled: 'true'}\n"
    "    tolerations: [{key: callboard.dev/tee, operator: Equal, value: tdx, effect: NoSchedule}]\n"
    "    runtimeClasses: [kata-qemu-tdx, kata-qemu-nvidia-gpu-tdx]\n";

/* ---- The table ---- */

static const struct schema gpu_type_fields[] = {
    {.name = "products",
     .type = SCHEMA_LIST,
     .flags = SCHEMA_REQUIRED | SCHEMA_SET,
     .min_len = 1,
     .item = &label_map_item,
     SCHEMA_AT(struct gpu_type, products),
     .text = "Values of the node label nvidia.com/gpu.product that are of this type."},
    {.name = "minMemoryMiB",
     .type = SCHEMA_INTEGER,
     .flags = SCHEMA_NO_DECODE,
     .max = INT32_MAX,
     .text = "The memory of the smallest product, MiB."},
    {0},
};
static const struct schema gpu_type_item = {.type = SCHEMA_OBJECT, .fields = gpu_type_fields};

static const struct schema class_item = {.type = SCHEMA_STRING, .format = FORMAT_DNS_SUBDOMAIN};

static const struct schema tee_fields[] = {
    {.name = "nodeSelector",
     .type = SCHEMA_MAP,
     .key_format = FORMAT_LABEL_KEY,
     .item = &label_map_item,
     SCHEMA_AT(struct tee, node_selector),
     .text = "Labels of the nodes that have it."},
    {.name = "tolerations",
     .type = SCHEMA_LIST,
     .item = &toleration_item,
     SCHEMA_AT(struct tee, tolerations),
     .text = "Tolerations for the taints of those nodes."},
    {.name = "runtimeClasses",
     .type = SCHEMA_LIST,
     .flags = SCHEMA_SET,
     .item = &class_item,
     SCHEMA_AT(struct tee, runtime_classes),
     .text = "RuntimeClasses that use it; the first is taken when a Performer names none."},
    {0},
};
static const struct schema tee_item = {.type = SCHEMA_OBJECT, .fields = tee_fields};
static const struct schema any_item = {.type = SCHEMA_ANY};

static const struct schema catalog_fields[] = {
    {.name = "gpuTypes",
     .type = SCHEMA_MAP,
     .key_format = FORMAT_LABEL_VALUE,
     .item = &gpu_type_item,
     .text = "Types of GPU by name."},
    {.name = "tee",
     .type = SCHEMA_MAP,
     .key_format = FORMAT_DNS_LABEL,
     .item = &tee_item,
     .text = "Trusted execution environments by name."},
    {.name = "nodeTypes",
     .type = SCHEMA_LIST,
     .item = &any_item,
     .text = "Types of node that can be reserved."},
    {.name = "images", .type = SCHEMA_LIST, .item = &any_item, .text = "Images for environments."},
    {0},
};
static const struct schema catalog_schema = {.type = SCHEMA_OBJECT, .fields = catalog_fields};

/* ---- Making one ---- */

struct catalog_owner {
    struct catalog catalog; /* first: a catalog is freed by its owner */
    atomic_int references;
    const struct mem *mem;
    struct arena arena;
};

enum { CATALOG_MAX = 4 * 1024 * 1024, CATALOG_BLOCK = 16 * 1024 };

static int first_error(const struct err_list *errors, struct err *err)
{
    if (!errors->first)
        return err_no_memory(err, "reading the catalog");
    const struct err_item *item = errors->first;
    return err_set(err, 422, "line %u: %" PRIstr "%s%" PRIstr, item->line, STR_ARG(item->field),
                   item->field.len ? ": " : "", STR_ARG(item->message));
}

static bool fill(struct catalog *catalog, const struct json *root, struct arena *arena)
{
    const struct json *gpus = json_get(root, STR("gpuTypes")), *tees = json_get(root, STR("tee"));
    size_t gpu_count = json_is(gpus, JSON_OBJECT) ? gpus->len : 0;
    size_t tee_count = json_is(tees, JSON_OBJECT) ? tees->len : 0;
    catalog->gpu_types = ARENA_NEW_ARRAY(arena, struct gpu_type, gpu_count);
    catalog->tees = ARENA_NEW_ARRAY(arena, struct tee, tee_count);
    if (!catalog->gpu_types || !catalog->tees)
        return false;
    JSON_EACH (entry, gpus) {
        if (json_is(entry, JSON_NULL))
            continue;
        struct gpu_type *type = &catalog->gpu_types[catalog->gpu_type_count++];
        if (!schema_decode(&gpu_type_item, entry, type, arena))
            return false;
        type->name = json_key(entry);
        json_int64(json_get(entry, STR("minMemoryMiB")), &type->min_memory_mib);
    }
    JSON_EACH (entry, tees) {
        if (json_is(entry, JSON_NULL))
            continue;
        struct tee *tee = &catalog->tees[catalog->tee_count++];
        if (!schema_decode(&tee_item, entry, tee, arena))
            return false;
        tee->name = json_key(entry);
    }
    return true;
}

/* The only document of a text. */
static struct json *read_one(struct str text, struct arena *arena, struct err *err)
{
    struct json *root = NULL, *second = NULL;
    struct yaml_reader reader;
    yaml_reader_init(&reader, text, &json_limits_default);
    int found = yaml_reader_next(&reader, arena, &root, err);
    if (found == 0)
        err_set(err, 422, "the catalog is empty");
    int more = found > 0 ? yaml_reader_next(&reader, arena, &second, err) : 0;
    if (more > 0)
        err_set(err, 422, "line %u: the catalog must be one document", second->line);
    yaml_reader_done(&reader);
    return found > 0 && more == 0 ? root : NULL;
}

static int parse(struct catalog_owner *owner, struct str text, struct err *err)
{
    struct str own = arena_copy(&owner->arena, text);
    if (!str_is_set(own))
        return err_no_memory(err, "reading the catalog");
    struct json *root = read_one(own, &owner->arena, err);
    if (!root)
        return -1;
    struct err_list errors;
    err_list_init(&errors, &owner->arena, 1);
    if (!schema_validate(&catalog_schema, root, SCHEMA_UNKNOWN_REFUSED, NULL, &errors))
        return first_error(&errors, err);
    if (!fill(&owner->catalog, root, &owner->arena))
        return err_no_memory(err, "reading the catalog");
    return 0;
}

struct catalog *catalog_read(struct str text, const struct mem *mem, struct err *err)
{
    struct catalog_owner *owner = mem_alloc(mem, sizeof(*owner));
    if (!owner) {
        err_no_memory(err, "reading the catalog");
        return NULL;
    }
    memset(owner, 0, sizeof(*owner));
    owner->mem = mem;
    atomic_init(&owner->references, 1);
    arena_init(&owner->arena, mem, CATALOG_BLOCK, CATALOG_MAX);
    if (parse(owner, text, err) < 0) {
        catalog_unref(&owner->catalog);
        return NULL;
    }
    return &owner->catalog;
}

struct str catalog_builtin_text(void)
{
    return STR(builtin);
}

struct catalog *catalog_builtin(const struct mem *mem, struct err *err)
{
    return catalog_read(catalog_builtin_text(), mem, err);
}

struct catalog *catalog_ref(struct catalog *catalog)
{
    struct catalog_owner *owner = (struct catalog_owner *)catalog;
    atomic_fetch_add_explicit(&owner->references, 1, memory_order_relaxed);
    return catalog;
}

void catalog_unref(struct catalog *catalog)
{
    struct catalog_owner *owner = (struct catalog_owner *)catalog;
    if (!owner || atomic_fetch_sub_explicit(&owner->references, 1, memory_order_acq_rel) != 1)
        return;
    arena_done(&owner->arena);
    mem_free(owner->mem, owner, sizeof(*owner));
}

const struct gpu_type *catalog_gpu_type(const struct catalog *catalog, struct str name)
{
    for (size_t i = 0; i < catalog->gpu_type_count; i++) {
        if (str_eq(catalog->gpu_types[i].name, name))
            return &catalog->gpu_types[i];
    }
    return NULL;
}

const struct tee *catalog_tee(const struct catalog *catalog, struct str name)
{
    for (size_t i = 0; i < catalog->tee_count; i++) {
        if (str_eq(catalog->tees[i].name, name))
            return &catalog->tees[i];
    }
    return NULL;
}
