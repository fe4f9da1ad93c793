/* Projecting pods. */
#include "extender/cached_pod.h"

#include "types/names.h"

enum { PRODUCTS_MAX = 1024, LABELS_MAX = 4096 };

static bool has_more(const struct pod *pod, uint64_t devices)
{
    bool has = pod->mig.count > 0 || devices != 0;
    for (size_t i = RESOURCE_INDEX_MEMORY + 1; i < RESOURCE_INDEX_PODS; i++)
        has = has || pod->amounts.of[i] != 0;
    return has;
}

/* SchedulerError in between: kube-scheduler was told to ask again, and the pod waits all the same. */
static bool is_unschedulable(const struct json *object)
{
    struct str reason = kube_text_at(kube_condition(object, "PodScheduled"), "reason", NULL);
    return str_eq(reason, STR("Unschedulable")) || str_eq(reason, STR("SchedulerError"));
}

static bool wants_managed(const struct json *containers)
{
    JSON_EACH (container, containers) {
        const struct json *resources = json_get(container, STR("resources"));
        if (kube_at(resources, "requests", RESOURCE_MANAGED, NULL) ||
            kube_at(resources, "limits", RESOURCE_MANAGED, NULL))
            return true;
    }
    return false;
}

/* The two ways in: the second scheduler, and the marker by which the cluster's own one asks. */
static bool asks_us(const struct pod *pod, const struct json *object)
{
    return str_eq(pod->scheduler, STR(SCHEDULER_NAME)) ||
           wants_managed(kube_at(object, "spec", "containers", NULL)) ||
           wants_managed(kube_at(object, "spec", "initContainers", NULL));
}

/* What is too long is left out: then any product seems to do, which is about what packing learns only. */
static struct str write_products(struct buf *text, const struct pod *pod)
{
    for (unsigned i = 0; pod_wants_gpu(pod) && i < pod->product_lists; i++) {
        JSON_EACH (product, pod->products[i]) {
            if (text->len > 0)
                buf_put_char(text, '|');
            buf_put(text, json_str(product));
        }
    }
    return buf_failed(text) || text->len == 0 ? (struct str){NULL, 0} : buf_str(text);
}

/* What is too long is left out: then no budget seems to guard the pod, and the apiserver knows better. */
static struct str write_labels(struct buf *to, const struct pod *pod)
{
    if (pod->node.len > 0)
        label_hashes_put(to, pod->meta.labels);
    return buf_failed(to) || to->len == 0 ? (struct str){NULL, 0} : buf_str(to);
}

static uint32_t started_of(const struct json *object)
{
    int64_t wall_ns;
    if (!clock_parse(kube_text_at(object, "status", "startTime", NULL), &wall_ns) || wall_ns < 0)
        return 0;
    return (uint32_t)(wall_ns / CLOCK_NS_PER_SEC);
}

static void keep_extra(struct cached_pod *to, const struct pod_load *load, struct str class,
                       struct str products, size_t load_size)
{
    struct cached_extra *extra = to->extra;
    to->load_size = (uint16_t)load_size;
    extra->runtime_class = store_keep_text(&to->stored, class);
    extra->products = store_keep_text(&to->stored, products);
    memcpy(&extra->load, load, load_size);
}

static struct stored *keep(const struct mem *mem, const struct pod *pod, struct str class,
                           struct str products, struct str labels)
{
    struct pod_load load;
    uint64_t devices = 0;
    bool has_bad_devices = str_is_set(pod->devices) && !node_devices_parse(pod->devices, &devices);
    pod_load_of(pod, devices, &load);
    bool has_extra = class.len > 0 || products.len > 0 || has_more(pod, devices);
    size_t load_size = pod->mig.count > 0 ? sizeof(load) : offsetof(struct pod_load, mig);
    size_t extra_size = has_extra ? offsetof(struct cached_extra, load) + load_size : 0;
    /* Of the real owner nothing is used. */
    struct kube_meta meta = pod->meta;
    meta.owner_uid = pod->node;
    meta.owner_name = (struct str){NULL, 0};
    struct stored *stored = store_new_object(mem, &meta, sizeof(struct cached_pod) + extra_size,
                                             class.len + products.len + labels.len);
    if (!stored)
        return NULL;
    struct cached_pod *to = (struct cached_pod *)stored;
    to->node = stored->owner_uid;
    if (has_extra)
        keep_extra(to, &load, class, products, load_size);
    to->labels = store_keep_text(stored, labels);
    to->priority = pod->priority;
    to->cpu_milli = pod->amounts.of[RESOURCE_INDEX_CPU];
    to->memory = pod->amounts.of[RESOURCE_INDEX_MEMORY];
    to->is_ours = pod->is_ours;
    to->has_ended = pod->has_ended;
    to->wants_spread = pod->wants_spread;
    to->has_bad_devices = has_bad_devices;
    return stored;
}

static struct stored *project(const struct mem *mem, const struct json *object,
                              const struct kube_meta *meta)
{
    (void)meta;
    struct pod pod;
    pod_read(&pod, object, NULL);
    struct buf products, labels;
    struct str class = kube_text_at(object, "spec", "runtimeClassName", NULL);
    bool is_waiting = pod.node.len == 0 && pod.is_ours && is_unschedulable(object);
    buf_init(&products, mem, PRODUCTS_MAX);
    buf_init(&labels, mem, LABELS_MAX);
    struct stored *stored =
        keep(mem, &pod, class, write_products(&products, &pod), write_labels(&labels, &pod));
    buf_done(&labels);
    buf_done(&products);
    if (stored) {
        struct cached_pod *to = (struct cached_pod *)stored;
        to->is_waiting = is_waiting;
        to->asks_us = asks_us(&pod, object);
        to->started_s = started_of(object);
    }
    return stored;
}

const struct store_type cached_pods = {.resource = &kube_pods, .project = project};

static struct str runtime_class_of(const struct cached_pod *pod)
{
    return pod->load_size > 0 ? pod->extra[0].runtime_class : (struct str){NULL, 0};
}

static bool has_same_load(const struct cached_pod *a, const struct cached_pod *b)
{
    if (a->load_size != b->load_size || a->load_size == 0)
        return a->load_size == b->load_size;
    const struct pod_load *load = &a->extra[0].load, *other = &b->extra[0].load;
    /* Field by field: what stands between them is nobody's. */
    return str_eq(a->extra[0].runtime_class, b->extra[0].runtime_class) &&
           memcmp(&load->amounts, &other->amounts, sizeof(load->amounts)) == 0 &&
           load->devices == other->devices && load->is_ours == other->is_ours &&
           (a->load_size < sizeof(*load) || mig_same(&load->mig, &other->mig));
}

bool cached_pod_takes_same(const struct cached_pod *a, const struct cached_pod *b)
{
    return cached_pod_counts(a) == cached_pod_counts(b) && a->cpu_milli == b->cpu_milli &&
           a->memory == b->memory && a->is_ours == b->is_ours && str_eq(a->node, b->node) &&
           has_same_load(a, b);
}

void cached_pod_load(const struct cached_pod *pod, const struct catalog *catalog,
                     struct pod_load *ret)
{
    *ret = (struct pod_load){.is_ours = pod->is_ours};
    if (pod->load_size > 0)
        memcpy(ret, &pod->extra[0].load, pod->load_size);
    ret->amounts.of[RESOURCE_INDEX_CPU] = pod->cpu_milli;
    ret->amounts.of[RESOURCE_INDEX_MEMORY] = pod->memory;
    ret->amounts.of[RESOURCE_INDEX_PODS] = 1;
    int key = catalog ? pod_key_of_class(catalog, runtime_class_of(pod)) : -1;
    if (key >= 0 && ret->amounts.of[key] == 0)
        ret->amounts.of[key] = 1;
}

/* ---- Waiting ---- */

enum pod_standing cached_pod_standing(const struct store *pods, struct str namespace,
                                      struct str name, struct str uid, int64_t age_ns)
{
    enum { HEAR_S = 10 };
    const struct stored *stored = store_get(pods, namespace, name);
    if (!stored || !str_eq(stored->uid, uid))
        return age_ns < HEAR_S * CLOCK_NS_PER_SEC ? POD_STANDING_UNHEARD : POD_STANDING_OVER;
    bool is_bound = ((const struct cached_pod *)stored)->node.len > 0;
    return stored->is_deleting || is_bound ? POD_STANDING_OVER : POD_STANDING_WAITS;
}
