/* Nodes and pods as a packing policy sees them. */
#include "extender/packer.h"

#include "types/names.h"

#include <assert.h>
#include <pthread.h>

struct packer {
    const struct mem *mem;
    enum pack_kind kind;
    pthread_mutex_t lock;
    struct pack *packs[PACKER_PARTS]; /* NULL: no node of the mode was there yet */
    uint64_t learned;
};

/* ---- Making ---- */

struct packer *packer_new(enum pack_kind kind, const struct mem *mem, struct err *err)
{
    struct packer *packer = mem_alloc(mem, sizeof(*packer));
    if (!packer) {
        err_no_memory(err, "setting up the packing of GPUs");
        return NULL;
    }
    *packer = (struct packer){.mem = mem, .kind = kind};
    pthread_mutex_init(&packer->lock, NULL);
    return packer;
}

void packer_free(struct packer *packer)
{
    if (!packer)
        return;
    for (unsigned part = 0; part < PACKER_PARTS; part++)
        pack_free(packer->packs[part]);
    pthread_mutex_destroy(&packer->lock);
    mem_free(packer->mem, packer, sizeof(*packer));
}

static bool make_pack(struct packer *packer, enum packer_part part, struct err *err)
{
    struct pack_config config = pack_config_default(packer->kind);
    config.learn_first = 1; /* a cluster may be small: the first pod tells more than none */
    packer->packs[part] = pack_new(&config, packer->mem, err);
    return packer->packs[part] != NULL;
}

/* ---- Nodes ---- */

static bool part_of(const struct node *node, enum packer_part *ret)
{
    *ret = node->facts->gpu_mode == GPU_MODE_IS_SHARED ? PACKER_SHARED : PACKER_PLUGIN;
    return node->facts->gpu_mode != GPU_MODE_IS_NONE;
}

/* Which devices of a plugin's node are taken is not known, only how many; and they are alike. */
static void view_plugin(const struct node *node, struct pack_node *ret)
{
    int64_t count = node->facts->capacity.of[RESOURCE_INDEX_GPUS];
    int64_t free = count - node->load.amounts.of[RESOURCE_INDEX_GPUS];
    ret->device_count = (uint8_t)(count < PACK_DEVICES_MAX ? count : PACK_DEVICES_MAX);
    for (int64_t i = 0; i < ret->device_count && i < free; i++)
        ret->device_free_milli[i] = PACK_WHOLE_MILLI;
}

static void view_shared(const struct node *node, struct pack_node *ret)
{
    static_assert((int)NODE_DEVICES_MAX == (int)PACK_DEVICES_MAX &&
                      (int)NODE_DEVICE_MILLI == (int)PACK_WHOLE_MILLI,
                  "a policy sees every device");
    ret->device_count = node->facts->device_count;
    for (unsigned i = 0; i < ret->device_count; i++)
        ret->device_free_milli[i] = (uint16_t)node_device_left(node, i);
}

/* Memory and the number of pods are kube-scheduler's to judge and enter no score: none of them is asked for. */
static void view_node(struct pack *pack, const struct node *node, struct pack_node *ret)
{
    const struct node_facts *facts = node->facts;
    int64_t capacity = facts->capacity.of[RESOURCE_INDEX_CPU];
    int64_t free = capacity - node->load.amounts.of[RESOURCE_INDEX_CPU];
    bool has_name = facts->product.len > 0;
    *ret = (struct pack_node){
        .cpu_capacity_milli = capacity,
        .cpu_free_milli = free > 0 ? free : 0,
        .pods_free = 1,
        .model = has_name ? pack_model(pack, facts->product) : PACK_NO_MODEL,
    };
    if (facts->gpu_mode == GPU_MODE_IS_SHARED)
        view_shared(node, ret);
    else
        view_plugin(node, ret);
}

/* ---- Pods ---- */

/* A pod with MIG instances or without GPUs has no part: false. */
static bool read_demand(const struct amounts *amounts, enum packer_part *part,
                        struct pack_demand *ret)
{
    int64_t milli = amounts->of[RESOURCE_INDEX_MILLI], count = amounts->of[RESOURCE_INDEX_GPUS];
    *ret = (struct pack_demand){.cpu_milli = amounts->of[RESOURCE_INDEX_CPU]};
    *part = milli > 0 ? PACKER_SHARED : PACKER_PLUGIN;
    if (milli > 0)
        count = milli < PACK_WHOLE_MILLI ? 1 : milli / PACK_WHOLE_MILLI;
    if (count <= 0 || count > PACK_DEVICES_MAX)
        return false;
    ret->gpu_count = (uint8_t)count;
    ret->gpu_milli = (uint16_t)(milli > 0 && milli < PACK_WHOLE_MILLI ? milli : PACK_WHOLE_MILLI);
    return true;
}

static void allow(const struct pack *pack, struct str product, uint64_t *models)
{
    uint8_t model;
    if (pack_model_find(pack, product, &model))
        *models |= UINT64_C(1) << model;
}

static uint64_t models_of(const struct pack *pack, const struct pod *pod)
{
    uint64_t models = 0;
    for (unsigned i = 0; i < pod->product_lists; i++) {
        JSON_EACH (product, pod->products[i])
            allow(pack, json_str(product), &models);
    }
    return models;
}

/* False when it may go to no node that was ever seen. */
static bool read_cached_models(const struct pack *pack, const struct cached_pod *pod, uint64_t *ret)
{
    struct str rest = cached_pod_products(pod);
    *ret = 0;
    if (!str_is_set(rest))
        return true;
    while (str_is_set(rest)) {
        struct str product;
        str_cut(rest, '|', &product, &rest);
        allow(pack, product, ret);
    }
    return *ret != 0;
}

/* ---- Scores ---- */

static int64_t value_of(struct packer *packer, const struct node *node,
                        const struct pack_demand *demand)
{
    enum packer_part part;
    struct pack *pack = part_of(node, &part) ? packer->packs[part] : NULL;
    struct pack_node view;
    struct pack_choice choice;
    if (!pack)
        return 0;
    view_node(pack, node, &view);
    return pack_score(pack, &view, demand, &choice) ? choice.score : INT64_MIN;
}

void packer_score(struct packer *packer, const struct pod *pod, struct score_candidate *candidates,
                  size_t count)
{
    enum packer_part part;
    struct pack_demand demand;
    bool has_part = read_demand(&pod->amounts, &part, &demand);
    demand.spread = pod->wants_spread;
    pthread_mutex_lock(&packer->lock);
    if (has_part && packer->packs[part])
        demand.models = models_of(packer->packs[part], pod);
    for (size_t i = 0; i < count; i++) {
        if (candidates[i].node)
            candidates[i].value = value_of(packer, candidates[i].node, &demand);
    }
    pthread_mutex_unlock(&packer->lock);
}

uint64_t packer_devices(struct packer *packer, const struct node *node, const struct pod_load *load,
                        bool wants_spread)
{
    enum packer_part part;
    struct pack_demand demand;
    struct pack_choice choice = {.devices = 0};
    if (!read_demand(&load->amounts, &part, &demand) || part != PACKER_SHARED)
        return 0;
    demand.spread = wants_spread;
    pthread_mutex_lock(&packer->lock);
    struct pack *pack = packer->packs[part];
    if (pack) {
        struct pack_node view;
        view_node(pack, node, &view);
        /* That CPU is short on the node by now is for the kubelet to say, not for the devices. */
        if (view.cpu_free_milli < demand.cpu_milli)
            view.cpu_free_milli = demand.cpu_milli;
        pack_score(pack, &view, &demand, &choice);
    }
    pthread_mutex_unlock(&packer->lock);
    return pack ? choice.devices
                : node_choose_devices(node, load->amounts.of[RESOURCE_INDEX_MILLI], wants_spread);
}

/* ---- Learning ---- */

struct arrival {
    enum packer_part part;
    struct pack_demand demand;
};

static bool read_arrival(const struct cached_pod *pod, struct arrival *ret)
{
    struct pod_load load;
    if (pod->load_size == 0) /* only CPU and memory */
        return false;
    cached_pod_load(pod, NULL, &load);
    return read_demand(&load.amounts, &ret->part, &ret->demand);
}

/* NULL when there is nothing to tell. */
static struct pack *pack_for(struct packer *packer, const struct cached_pod *pod,
                             struct arrival *arrival)
{
    struct pack *pack = packer->packs[arrival->part];
    return pack && read_cached_models(pack, pod, &arrival->demand.models) ? pack : NULL;
}

/* Of one pod: `before` is NULL when it came, `after` when it went. */
static void follow(struct packer *packer, const struct cached_pod *before,
                   const struct cached_pod *after)
{
    struct arrival arrival;
    const struct cached_pod *pod = after ? after : before;
    if (!read_arrival(pod, &arrival))
        return;
    bool was_placed = cached_pod_counts(before), is_placed = cached_pod_counts(after);
    pthread_mutex_lock(&packer->lock);
    struct pack *pack = pack_for(packer, pod, &arrival);
    if (pack && !before) {
        pack_observe(pack, &arrival.demand);
        packer->learned++;
    }
    if (pack && is_placed && !was_placed)
        pack_count_placed(pack, &arrival.demand);
    if (pack && was_placed && !is_placed)
        pack_count_released(pack, &arrival.demand);
    pthread_mutex_unlock(&packer->lock);
}

void packer_pod_changed(struct packer *packer, const struct stored *before,
                        const struct stored *after)
{
    bool is_same = before && after && str_eq(before->uid, after->uid);
    if (is_same) {
        follow(packer, (const struct cached_pod *)before, (const struct cached_pod *)after);
        return;
    }
    if (before)
        follow(packer, (const struct cached_pod *)before, NULL);
    if (after)
        follow(packer, NULL, (const struct cached_pod *)after);
}

/* Where nothing was kept, the pods that exist are the best sample of those to come. */
static void learn_from_all(struct packer *packer, enum packer_part part, const struct store *pods)
{
    struct pack *pack = packer->packs[part];
    size_t from = 0;
    for (const struct stored *s = NULL; (s = store_each(pods, &from, s));) {
        const struct cached_pod *pod = (const struct cached_pod *)s;
        struct arrival arrival;
        if (pod->has_ended || !read_arrival(pod, &arrival) || arrival.part != part ||
            !pack_for(packer, pod, &arrival))
            continue;
        pack_observe_many(pack, &arrival.demand, 1);
        if (cached_pod_counts(pod))
            pack_count_placed(pack, &arrival.demand);
        packer->learned++;
    }
    pack_learn(pack);
}

/* ---- Prices ---- */

static size_t count_nodes(const struct snapshot *snapshot, enum packer_part part)
{
    size_t count = 0;
    for (size_t i = 0; i < snapshot->count; i++) {
        enum packer_part is;
        count += part_of(&snapshot->nodes[i]->node, &is) && is == part;
    }
    return count;
}

struct views {
    struct pack_node **pointers;
    struct pack_node *nodes;
    size_t count;
};

static void view_all(struct pack *pack, const struct snapshot *snapshot, enum packer_part part,
                     struct views *to)
{
    size_t n = 0;
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct node *node = &snapshot->nodes[i]->node;
        enum packer_part is;
        if (!part_of(node, &is) || is != part)
            continue;
        view_node(pack, node, &to->nodes[n]);
        to->pointers[n] = &to->nodes[n];
        n++;
    }
}

static bool refresh_part(struct packer *packer, enum packer_part part,
                         const struct snapshot *snapshot, const struct store *pods)
{
    const struct mem *mem = packer->mem;
    struct views views = {.count = count_nodes(snapshot, part)};
    bool is_new = !packer->packs[part];
    struct err err;
    if (is_new && views.count == 0)
        return true;
    size_t nodes_size = (views.count + 1) * sizeof(*views.nodes);
    size_t pointers_size = (views.count + 1) * sizeof(struct pack_node *);
    views.nodes = mem_alloc(mem, nodes_size);
    views.pointers = mem_alloc(mem, pointers_size);
    bool is_good = views.nodes && views.pointers && (!is_new || make_pack(packer, part, &err));
    if (is_good) {
        view_all(packer->packs[part], snapshot, part, &views);
        if (is_new) /* now it knows the products */
            learn_from_all(packer, part, pods);
        pack_refresh(packer->packs[part], views.pointers, views.count);
    }
    mem_free(mem, views.nodes, nodes_size);
    mem_free(mem, views.pointers, pointers_size);
    return is_good;
}

bool packer_refresh(struct packer *packer, const struct snapshot *snapshot,
                    const struct store *pods, bool now)
{
    bool is_good = true;
    pthread_mutex_lock(&packer->lock);
    for (unsigned part = 0; part < PACKER_PARTS; part++) {
        const struct pack *pack = packer->packs[part];
        if (now || !pack || pack_refresh_is_due(pack))
            is_good = refresh_part(packer, part, snapshot, pods) && is_good;
    }
    pthread_mutex_unlock(&packer->lock);
    return is_good;
}

/* ---- Over a restart ---- */

struct str packer_part_name(enum packer_part part)
{
    return part == PACKER_SHARED ? STR(GPU_MODE_SHARED) : STR(GPU_MODE_PLUGIN);
}

void packer_save(struct packer *packer, enum packer_part part, struct buf *to)
{
    pthread_mutex_lock(&packer->lock);
    if (packer->packs[part])
        pack_save(packer->packs[part], to);
    pthread_mutex_unlock(&packer->lock);
}

int packer_load(struct packer *packer, enum packer_part part, struct str text, struct err *err)
{
    int result = -1;
    pthread_mutex_lock(&packer->lock);
    if (packer->packs[part] || make_pack(packer, part, err))
        result = pack_load(packer->packs[part], text, err);
    pthread_mutex_unlock(&packer->lock);
    return result;
}

uint64_t packer_learned(struct packer *packer)
{
    pthread_mutex_lock(&packer->lock);
    uint64_t learned = packer->learned;
    pthread_mutex_unlock(&packer->lock);
    return learned;
}
