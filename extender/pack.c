/* The policies: from the state of a node and the demand of a pod to a score. */
#include "extender/pack_parts.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum { ARENA_BLOCK = 1 << 16, ARENA_MAX = 32 << 20 };

struct pack_config pack_config_default(enum pack_kind kind)
{
    return (struct pack_config){
        .kind = kind,
        .seed = 1,
        .learn_first = 32,
        .learn_every = 8000,
        .remember = 50000,
        .typical_percent = kind == PACK_FGD ? 95 : 100,
        .rollouts_still = 96,
        .draws_still = 120,
        .rollouts_moving = 32,
        .draws_moving = 60,
        .refresh_still = 200,
        .refresh_moving = 400,
        .flow_window = 4000,
        .quantum_still = 50,
        .quantum_moving = 20,
        .slot_weight = 0.5,
        .model_price_max = 1.5,
        .fragment_weight = 2,
        .release_share = 0.3,
    };
}

void *pack_take_table(struct pack *pack, size_t count, size_t size)
{
    assert(pack->table_count < PACK_TABLES_MAX);
    void *ptr = mem_alloc(pack->mem, count * size);
    if (ptr)
        pack->tables[pack->table_count++] = (struct pack_table){ptr, count * size};
    return ptr;
}

static bool pack_init(struct pack *pack)
{
    const struct pack_config *config = &pack->config;
    struct arena *arena = &pack->arena;
    pack->model_names = arena_alloc_array(arena, PACK_MODELS_MAX, sizeof(pack->model_names[0]));
    pack->typical.items = ARENA_NEW_ARRAY(arena, struct pack_typical, PACK_PRICED_MAX);
    pack->value_epoch = pack->price_epoch = 1;
    pack->next_learn = config->learn_first;
    pack->cpu_capacity_max = pack->device_count_max = 1;
    pack->must_refresh = true;
    random_seeded_init(&pack->random, config->seed);
    pack->hash_seed = hash_seed_from(&pack->random.random);
    return pack->model_names && pack->typical.items && pack_rollouts_init(pack) &&
           pack_classes_init(&pack->classes, arena) && pack_states_init(pack);
}

struct pack *pack_new(const struct pack_config *config, const struct mem *mem, struct err *err)
{
    struct pack *pack = mem_alloc(mem, sizeof(*pack));
    if (pack) {
        *pack = (struct pack){.config = *config, .mem = mem};
        arena_init(&pack->arena, mem, ARENA_BLOCK, ARENA_MAX);
        if (pack_init(pack))
            return pack;
    }
    pack_free(pack);
    err_set(err, 507, "no memory for the packing policy");
    return NULL;
}

void pack_free(struct pack *pack)
{
    if (!pack)
        return;
    const struct mem *mem = pack->mem;
    arena_done(&pack->arena);
    for (uint32_t i = 0; i < pack->table_count; i++)
        mem_free(mem, pack->tables[i].ptr, pack->tables[i].size);
    mem_free(mem, pack, sizeof(*pack));
}

bool pack_model_find(const struct pack *pack, struct str name, uint8_t *ret)
{
    name = str_sub(name, 0, PACK_MODEL_NAME_MAX);
    for (uint32_t i = 0; i < pack->model_count; i++) {
        if (str_eq_cstr(name, pack->model_names[i])) {
            *ret = (uint8_t)i;
            return true;
        }
    }
    return false;
}

uint8_t pack_model(struct pack *pack, struct str name)
{
    uint8_t model;
    if (pack_model_find(pack, name, &model))
        return model;
    name = str_sub(name, 0, PACK_MODEL_NAME_MAX);
    if (pack->model_count == PACK_MODELS_MAX)
        return PACK_MODELS_MAX - 1;
    memcpy(pack->model_names[pack->model_count], name.ptr, name.len);
    return (uint8_t)pack->model_count++;
}

/* ---- Fitting ---- */

static bool devices_fit(const struct pack_node *node, const struct pack_demand *demand)
{
    uint32_t able = 0;
    for (uint32_t i = 0; i < node->device_count && able < demand->gpu_count; i++)
        able += node->device_free_milli[i] >= demand->gpu_milli;
    return able >= demand->gpu_count;
}

bool pack_fits(const struct pack_node *node, const struct pack_demand *demand)
{
    return node->cpu_free_milli >= demand->cpu_milli && node->memory_free >= demand->memory &&
           node->pods_free > 0 &&
           (demand->models == 0 || pack_model_allowed(demand->models, node->model)) &&
           devices_fit(node, demand);
}

/* ---- Scores of a state ---- */

/* A score, and what the device that it takes has left before (0 when it does not matter which). */
struct found {
    int64_t score;
    uint16_t free_milli;
};

/* FGD's own scale: equals are common, and the first of them is taken. */
static int64_t fgd_score(double drop_milli)
{
    return (int64_t)(100 / (1 + exp(-drop_milli / PACK_WHOLE_MILLI)));
}

static int64_t rsp_score(const struct pack *pack, const struct pack_demand *demand, uint8_t model,
                         double gain)
{
    gain -= pack->model_price[model] * demand->gpu_milli * demand->gpu_count;
    return (int64_t)floor(
        gain / (pack_is_moving(pack) ? pack->config.quantum_moving : pack->config.quantum_still));
}

/* The less is left on the node, of what the largest nodes have, the better. */
static int64_t bestfit_score(const struct pack *pack, const struct pack_state *after)
{
    double idle_milli = 0;
    for (uint32_t i = 0; i < after->device_count; i++)
        idle_milli += after->free_milli[i];
    double left = (double)after->cpu_free_milli / (double)pack->cpu_capacity_max +
                  idle_milli / PACK_WHOLE_MILLI / pack->device_count_max;
    return (int64_t)(-left * 1e6);
}

static int64_t score_after(struct pack *pack, const struct pack_known *now,
                           const struct pack_state *after, const struct pack_demand *demand)
{
    if (pack->config.kind == PACK_BESTFIT)
        return bestfit_score(pack, after);
    const struct pack_known *then = pack_state_known(pack, pack_state_number(pack, after));
    if (pack->config.kind == PACK_FGD)
        return fgd_score(now->fragments - then->fragments);
    return rsp_score(pack, demand, after->model, now->potential - then->potential);
}

/* The best of the devices that can take the share; devices with equally much left are equal, and of equal
 * scores the one with the least left is taken. */
static struct found score_share(struct pack *pack, const struct pack_known *now,
                                const struct pack_state *state, const struct pack_demand *demand)
{
    struct found best = {.score = INT64_MIN};
    uint16_t last = 0;
    for (uint32_t i = 0; i < state->device_count; i++) {
        uint16_t milli = state->free_milli[i];
        if (milli < demand->gpu_milli || milli == last)
            continue;
        last = milli;
        struct pack_state after = *state;
        pack_state_take(&after, demand, i);
        int64_t score = score_after(pack, now, &after, demand);
        if (score > best.score)
            best = (struct found){score, milli};
    }
    return best;
}

static struct found score_state(struct pack *pack, uint32_t number,
                                const struct pack_demand *demand)
{
    struct pack_state state;
    pack_state_get(pack, number, &state);
    /* A copy: the table may be emptied while states are added. */
    struct pack_known now = {0};
    if (pack->config.kind != PACK_BESTFIT)
        now = *pack_state_known(pack, number);
    if (demand->gpu_count == 1 && demand->gpu_milli < PACK_WHOLE_MILLI)
        return score_share(pack, &now, &state, demand);
    pack_state_take(&state, demand, 0);
    return (struct found){.score = score_after(pack, &now, &state, demand)};
}

static struct found score_with_memo(struct pack *pack, struct pack_node *node,
                                    const struct pack_demand *demand, uint32_t class)
{
    uint32_t number = pack_node_number(pack, node);
    if (class == PACK_NO_CLASS)
        return score_state(pack, number, demand);
    struct pack_memo *memo = pack_memo_at(pack, number, class);
    if (memo->state != number || memo->class != class || memo->epoch != pack->price_epoch) {
        uint32_t epoch = pack->price_epoch;
        struct found found = score_state(pack, number, demand);
        if (epoch != pack->price_epoch) /* the table was emptied: the number means nothing now */
            return found;
        *memo = (struct pack_memo){.state = number,
                                   .epoch = epoch,
                                   .score = (int32_t)found.score,
                                   .class = (uint16_t) class,
                                   .free_milli = found.free_milli};
    }
    return (struct found){memo->score, memo->free_milli};
}

/* ---- Scores of a node ---- */

/* Any device that is free, or the first with exactly so much left. */
static uint64_t pick_devices(const struct pack_node *node, const struct pack_demand *demand,
                             uint16_t free_milli)
{
    uint64_t devices = 0;
    uint32_t left = demand->gpu_count;
    bool exact = free_milli > 0;
    for (uint32_t i = 0; i < node->device_count && left > 0; i++) {
        uint16_t milli = node->device_free_milli[i];
        if (exact ? milli != free_milli : milli < demand->gpu_milli)
            continue;
        devices |= UINT64_C(1) << i;
        left--;
    }
    return devices;
}

/* The node that has the most of its GPUs idle (of its CPU, for a pod without GPUs), and the device. */
static void score_spread(const struct pack_node *node, const struct pack_demand *demand,
                         struct pack_choice *ret)
{
    int64_t idle = 0;
    uint16_t most = 0;
    for (uint32_t i = 0; i < node->device_count; i++) {
        idle += node->device_free_milli[i];
        if (node->device_free_milli[i] > most)
            most = node->device_free_milli[i];
    }
    if (demand->gpu_count == 0)
        ret->score = node->cpu_free_milli * 1000 /
                     (node->cpu_capacity_milli > 0 ? node->cpu_capacity_milli : 1);
    else
        ret->score = idle / node->device_count;
    ret->devices = pick_devices(node, demand, demand->gpu_milli < PACK_WHOLE_MILLI ? most : 0);
}

static void score_fitting(struct pack *pack, struct pack_node *node,
                          const struct pack_demand *demand, uint32_t class, struct pack_choice *ret)
{
    if (demand->spread) {
        score_spread(node, demand, ret);
        return;
    }
    if (pack->config.kind == PACK_RANDOM) {
        ret->score = (int64_t)(random_u64(&pack->random.random) >> 1);
        ret->devices = pick_devices(node, demand, 0);
        return;
    }
    struct found found = score_with_memo(pack, node, demand, class);
    ret->score = found.score;
    /* A node without GPUs comes before one whose GPUs could be left without CPU. */
    if (demand->gpu_count == 0 && node->device_count == 0)
        ret->score = INT32_MAX;
    ret->devices = pick_devices(node, demand, found.free_milli);
}

bool pack_score(struct pack *pack, struct pack_node *node, const struct pack_demand *demand,
                struct pack_choice *ret)
{
    if (!pack_fits(node, demand))
        return false;
    score_fitting(pack, node, demand, pack_class_find(&pack->classes, demand), ret);
    return true;
}

bool pack_choose(struct pack *pack, struct pack_node *const *nodes, size_t count,
                 const struct pack_demand *demand, size_t *ret_index, struct pack_choice *ret)
{
    uint32_t class = pack_class_find(&pack->classes, demand);
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        struct pack_choice choice;
        if (!pack_fits(nodes[i], demand))
            continue;
        score_fitting(pack, nodes[i], demand, class, &choice);
        if (found && choice.score <= ret->score)
            continue;
        found = true;
        *ret = choice;
        *ret_index = i;
    }
    return found;
}

/* ---- Pods that come and go ---- */

static void change_node(struct pack_node *node, const struct pack_demand *demand, uint64_t devices,
                        int sign)
{
    node->cpu_free_milli -= sign * demand->cpu_milli;
    node->memory_free -= sign * demand->memory;
    node->pods_free -= sign;
    for (uint32_t i = 0; i < node->device_count; i++) {
        if (devices >> i & 1)
            node->device_free_milli[i] =
                (uint16_t)(node->device_free_milli[i] - sign * demand->gpu_milli);
    }
    node->memo = 0;
}

void pack_count_placed(struct pack *pack, const struct pack_demand *demand)
{
    pack->placed += (double)demand->gpu_milli * demand->gpu_count;
}

void pack_count_released(struct pack *pack, const struct pack_demand *demand)
{
    pack->released += (double)demand->gpu_milli * demand->gpu_count;
}

void pack_place(struct pack *pack, struct pack_node *node, const struct pack_demand *demand,
                uint64_t devices)
{
    change_node(node, demand, devices, 1);
    pack_count_placed(pack, demand);
}

void pack_release(struct pack *pack, struct pack_node *node, const struct pack_demand *demand,
                  uint64_t devices)
{
    change_node(node, demand, devices, -1);
    pack_count_released(pack, demand);
}

/* ---- Nodes that are kept for a large pod ---- */

/* How much of what the pod needs is free already, in parts of a million; -1 when the node is too small. The
 * node as if it were empty must take the pod; memory cannot be told, for a node does not say how much it has. */
static int64_t readiness(const struct pack_node *node, const struct pack_demand *demand)
{
    if (node->cpu_capacity_milli < demand->cpu_milli || node->device_count < demand->gpu_count ||
        (demand->models != 0 && !pack_model_allowed(demand->models, node->model)))
        return -1;
    uint32_t able = 0;
    int64_t idle = 0;
    for (uint32_t i = 0; i < node->device_count; i++) {
        able += node->device_free_milli[i] >= demand->gpu_milli;
        idle += node->device_free_milli[i];
    }
    double devices = able < demand->gpu_count ? (double)able / demand->gpu_count : 1;
    double cpu = node->cpu_free_milli < demand->cpu_milli
                     ? (double)node->cpu_free_milli / (double)demand->cpu_milli
                     : 1;
    double part = node->device_count > 0 ? (double)idle / node->device_count : 0;
    return (int64_t)((devices < cpu ? devices : cpu) * 1e6 + part);
}

bool pack_choose_hold(struct pack_node *const *nodes, size_t count, const bool *is_held,
                      const struct pack_demand *demand, size_t *ret_index)
{
    int64_t best = -1;
    for (size_t i = 0; i < count; i++) {
        if (is_held && is_held[i])
            continue;
        int64_t is = readiness(nodes[i], demand);
        if (is > best) {
            best = is;
            *ret_index = i;
        }
    }
    return best >= 0;
}
