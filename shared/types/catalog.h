/*
 * The catalog: what hardware a cluster's users can ask for, and by which names. It is the key
 * `catalog.yaml` of the ConfigMap callboard-catalog; a built-in one serves when there is none.
 *
 *   gpuTypes:
 *     nvidia-a100: {products: [NVIDIA-A100-SXM4-40GB, …], minMemoryMiB: 40960}
 *   tee:
 *     tdx: {nodeSelector: {…}, tolerations: […], runtimeClasses: [kata-qemu-tdx]}
 *
 * A catalog is immutable once made, so that any number of threads may read it; it is counted by its
 * users, and the last one frees it.
 */
#ifndef TYPES_CATALOG_H
#define TYPES_CATALOG_H

#include "json/json.h"

struct gpu_type {
    struct str name;
    const struct json *products; /* a list of values of the label nvidia.com/gpu.product */
    int64_t min_memory_mib;      /* the memory of the smallest product; 0 = unknown */
};

struct tee {
    struct str name;
    const struct json *node_selector; /* a map of strings, or NULL */
    const struct json *tolerations;
    const struct json *runtime_classes; /* a list of names; NULL or empty: any, or none, will do */
};

struct catalog {
    struct gpu_type *gpu_types;
    size_t gpu_type_count;
    struct tee *tees;
    size_t tee_count;
};

/* Makes a catalog with one reference from YAML; NULL with *err filled (the message names line and field).
 * `text` may go away afterwards. */
struct catalog *catalog_read(struct str text, const struct mem *mem, struct err *err);

/* The same from the built-in text; fails only without memory. */
struct catalog *catalog_builtin(const struct mem *mem, struct err *err);
/* The built-in text, YAML. */
struct str catalog_builtin_text(void);

struct catalog *catalog_ref(struct catalog *catalog);
/* Accepts NULL. */
void catalog_unref(struct catalog *catalog);

/* NULL when the catalog has none of that name. */
const struct gpu_type *catalog_gpu_type(const struct catalog *catalog, struct str name);
const struct tee *catalog_tee(const struct catalog *catalog, struct str name);

#endif
