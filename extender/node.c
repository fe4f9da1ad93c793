/* Reading nodes, and counting what is taken of them. */
#include "extender/node.h"

#include "types/names.h"

#include <stdio.h>

/* ---- The Node object ---- */

/* "12.4", or "12" and "4" in labels of their own. */
static int32_t read_cuda(const struct json *labels)
{
    /* NVIDIA's GPU Feature Discovery: "runtime" is the CUDA version that the driver supports; the second pair
     * is what releases before 0.16 wrote. */
    static const char *const pairs[][2] = {
        {"nvidia.com/cuda.runtime-version.major", "nvidia.com/cuda.runtime-version.minor"},
        {"nvidia.com/cuda.runtime.major", "nvidia.com/cuda.runtime.minor"},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        int64_t major, minor = 0;
        if (!str_to_int64(kube_map_get(labels, str_from_cstr(pairs[i][0])), &major) || major < 1 ||
            major > 999)
            continue;
        if (!str_to_int64(kube_map_get(labels, str_from_cstr(pairs[i][1])), &minor) || minor < 0 ||
            minor > 999)
            minor = 0;
        return (int32_t)(1000 * major + minor);
    }
    return 0;
}

static int64_t read_number(const struct json *map, const char *key, int64_t otherwise)
{
    int64_t number;
    return str_to_int64(kube_map_get(map, str_from_cstr(key)), &number) && number >= 0 ? number
                                                                                       : otherwise;
}

static bool is_true(const struct json *labels, const char *key)
{
    return str_eq(kube_map_get(labels, str_from_cstr(key)), STR("true"));
}

static bool has_labels(const struct json *labels, const struct json *selector)
{
    JSON_EACH (wanted, selector) {
        if (!str_eq(kube_map_get(labels, json_key(wanted)), json_str(wanted)))
            return false;
    }
    return true;
}

static uint32_t read_tees(const struct json *labels, const struct catalog *catalog)
{
    uint32_t tees = 0;
    for (size_t i = 0; i < catalog->tee_count && i < NODE_TEES_MAX; i++) {
        const struct json *selector = catalog->tees[i].node_selector;
        if (json_first(selector) && has_labels(labels, selector))
            tees |= UINT32_C(1) << i;
    }
    return tees;
}

static void read_gpus(struct node_facts *facts, const struct json *labels)
{
    bool is_shared = str_eq(kube_map_get(labels, STR(LABEL_GPU_MODE)), STR(GPU_MODE_SHARED));
    facts->gpu_memory_mib = read_number(labels, LABEL_GPU_MEMORY, 0);
    facts->cuda = read_cuda(labels);
    facts->is_confidential = str_eq(kube_map_get(labels, STR(LABEL_CONFIDENTIAL_GPU)), STR("on"));
    facts->is_attested = is_true(labels, LABEL_CONFIDENTIAL_READY);
    if (is_shared) {
        int64_t count = read_number(labels, LABEL_GPU_COUNT, 0);
        facts->gpu_mode = GPU_MODE_IS_SHARED;
        facts->device_count = (uint8_t)(count < NODE_DEVICES_MAX ? count : NODE_DEVICES_MAX);
    } else if (facts->capacity.of[RESOURCE_INDEX_GPUS] > 0 || facts->mig.count > 0) {
        facts->gpu_mode = GPU_MODE_IS_PLUGIN;
    }
}

static void read_counted(struct node_facts *facts, const struct json *allocatable)
{
    for (unsigned i = 0; i < RESOURCE_COUNT; i++) {
        if (json_get(allocatable, resource_name(i)))
            facts->counted |= UINT32_C(1) << i;
    }
}

static struct str keep_text(struct node_facts *facts, size_t *used, struct str text)
{
    if (!str_is_set(text))
        return text;
    char *to = (char *)facts + *used;
    memcpy(to, text.ptr, text.len);
    *used += text.len;
    return (struct str){to, text.len};
}

struct node_facts *node_facts_new(const struct mem *mem, const struct json *object,
                                  const struct kube_meta *meta, const struct catalog *catalog)
{
    struct str product = kube_map_get(meta->labels, STR(LABEL_GPU_PRODUCT));
    size_t size = sizeof(struct node_facts) + meta->name.len + product.len;
    struct node_facts *facts = mem_alloc(mem, size);
    if (!facts)
        return NULL;
    *facts = (struct node_facts){.size = size};
    size_t used = sizeof(*facts);
    facts->name = keep_text(facts, &used, meta->name);
    facts->product = keep_text(facts, &used, product);
    const struct json *allocatable = kube_at(object, "status", "allocatable", NULL);
    amounts_read(&facts->capacity, &facts->mig, allocatable);
    read_counted(facts, allocatable);
    read_gpus(facts, meta->labels);
    const struct json *ready = kube_condition(object, "Ready");
    facts->is_ready = str_eq(kube_text_at(ready, "status", NULL), STR("True"));
    facts->is_cordoned = kube_bool_at(object, "spec", "unschedulable", NULL);
    facts->allows_urgent = is_true(meta->labels, LABEL_DRAIN_ALLOWS_URGENT);
    facts->max_jobs = read_number(meta->annotations, ANNOTATION_MAX_JOBS, -1);
    facts->tees = read_tees(meta->labels, catalog);
    return facts;
}

void node_facts_free(const struct mem *mem, struct node_facts *facts)
{
    if (facts)
        mem_free(mem, facts, facts->size);
}

bool node_facts_same(const struct node_facts *a, const struct node_facts *b)
{
    return str_eq(a->name, b->name) && str_eq(a->product, b->product) &&
           a->gpu_mode == b->gpu_mode && a->is_ready == b->is_ready &&
           a->is_cordoned == b->is_cordoned && a->allows_urgent == b->allows_urgent &&
           a->is_confidential == b->is_confidential && a->is_attested == b->is_attested &&
           a->device_count == b->device_count && a->cuda == b->cuda &&
           a->gpu_memory_mib == b->gpu_memory_mib && a->max_jobs == b->max_jobs &&
           a->tees == b->tees && a->counted == b->counted &&
           memcmp(&a->capacity, &b->capacity, sizeof(a->capacity)) == 0 &&
           mig_same(&a->mig, &b->mig);
}

/* ---- What is taken ---- */

/* Whole GPUs have each of their devices alone; a share is the same part of its one device. */
static int32_t milli_of_each(const struct pod_load *pod)
{
    int64_t milli = pod->amounts.of[RESOURCE_INDEX_MILLI];
    return milli >= NODE_DEVICE_MILLI ? NODE_DEVICE_MILLI : (int32_t)milli;
}

static void change_devices(struct node_load *load, const struct pod_load *pod, int32_t sign)
{
    int64_t milli = pod->amounts.of[RESOURCE_INDEX_MILLI];
    if (milli == 0)
        return;
    if (pod->devices == 0)
        load->stray += sign * milli;
    for (uint64_t devices = pod->devices; devices != 0; devices &= devices - 1) {
        unsigned i = (unsigned)__builtin_ctzll(devices);
        load->device_milli[i] += sign * milli_of_each(pod);
        load->devices &= ~(UINT64_C(1) << i);
        load->devices |= (uint64_t)(load->device_milli[i] != 0) << i;
    }
}

static void change(struct node_load *load, const struct pod_load *pod, int32_t sign)
{
    for (size_t i = 0; i < RESOURCE_INDEX_PODS; i++)
        load->amounts.of[i] = amount_add(load->amounts.of[i], sign * pod->amounts.of[i]);
    load->amounts.of[RESOURCE_INDEX_PODS] += sign;
    for (unsigned i = 0; i < pod->mig.count; i++)
        mig_add(&load->mig, pod->mig.profiles[i].name, sign * pod->mig.profiles[i].amount);
    load->jobs += pod->is_ours ? sign : 0;
    change_devices(load, pod, sign);
}

void node_load_add(struct node_load *load, const struct pod_load *pod)
{
    change(load, pod, 1);
}

void node_load_remove(struct node_load *load, const struct pod_load *pod)
{
    change(load, pod, -1);
}

/* ---- Devices ---- */

unsigned node_devices_free(const struct node *node)
{
    unsigned count = 0;
    for (unsigned i = 0; i < node->facts->device_count; i++)
        count += node->load.device_milli[i] <= 0;
    return count;
}

bool node_has_stray(const struct node *node)
{
    unsigned count = node->facts->device_count;
    uint64_t beyond = count < NODE_DEVICES_MAX ? node->load.devices >> count : 0;
    return beyond != 0 || node->load.stray > 0;
}

static uint64_t choose_shared(const struct node *node, int64_t milli, bool spread)
{
    int best = -1;
    for (unsigned i = 0; i < node->facts->device_count; i++) {
        int32_t left = node_device_left(node, i);
        if (left < milli)
            continue;
        int32_t best_left = best < 0 ? 0 : node_device_left(node, (unsigned)best);
        if (best < 0 || (spread ? left > best_left : left < best_left))
            best = (int)i;
    }
    return best < 0 ? 0 : UINT64_C(1) << best;
}

uint64_t node_choose_devices(const struct node *node, int64_t milli, bool spread)
{
    if (milli <= 0)
        return 0;
    if (milli < NODE_DEVICE_MILLI)
        return choose_shared(node, milli, spread);
    int64_t wanted = milli / NODE_DEVICE_MILLI;
    uint64_t devices = 0;
    for (unsigned i = 0; i < node->facts->device_count && wanted > 0; i++) {
        if (node->load.device_milli[i] <= 0) {
            devices |= UINT64_C(1) << i;
            wanted--;
        }
    }
    return wanted == 0 ? devices : 0;
}

struct str node_devices_print(uint64_t devices, char to[NODE_DEVICES_TEXT])
{
    size_t len = 0;
    for (; devices != 0; devices &= devices - 1)
        len += (size_t)snprintf(to + len, NODE_DEVICES_TEXT - len, "%s%d", len ? "," : "",
                                __builtin_ctzll(devices));
    return (struct str){to, len};
}

bool node_devices_parse(struct str text, uint64_t *ret)
{
    uint64_t devices = 0;
    struct str rest = text;
    do {
        struct str number;
        int64_t index;
        str_cut(rest, ',', &number, &rest);
        if (number.len > 2 || !str_to_int64(number, &index) || index < 0 ||
            index >= NODE_DEVICES_MAX || (devices >> index & 1))
            return false;
        devices |= UINT64_C(1) << index;
    } while (str_is_set(rest));
    *ret = devices;
    return true;
}
