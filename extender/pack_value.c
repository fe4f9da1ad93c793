/* What a node's state is worth: fragmentation, and slots for pods of several GPUs at their prices. */
#include "extender/pack_parts.h"

/* ---- Fragmentation ---- */

double pack_fragments(const struct pack *pack, const struct pack_state *state)
{
    uint32_t idle = 0;
    for (uint32_t i = 0; i < state->device_count; i++)
        idle += state->free_milli[i];
    double sum = 0;
    for (uint32_t m = 0; m < pack->typical.count; m++) {
        const struct pack_typical *t = &pack->typical.items[m];
        uint32_t able = 0, small = 0; /* devices with enough; milli on those without */
        for (uint32_t i = 0; i < state->device_count; i++) {
            if (state->free_milli[i] >= t->gpu_milli)
                able++;
            else
                small += state->free_milli[i];
        }
        bool fits = t->gpu_count > 0 && able >= t->gpu_count &&
                    state->cpu_free_milli >= t->cpu_milli &&
                    pack_model_allowed(t->models, state->model);
        sum += t->share * (fits ? small : idle);
    }
    return sum;
}

/* ---- Slots ---- */

static double slots_with(const struct pack_typical *t, uint32_t devices, double cpu_milli)
{
    int64_t slots = devices / t->gpu_count;
    if (t->cpu_milli > 0) {
        int64_t by_cpu = (int64_t)(cpu_milli / (double)t->cpu_milli);
        if (by_cpu < slots)
            slots = by_cpu;
    }
    return (double)slots;
}

double pack_slots(const struct pack *pack, const struct pack_state *state,
                  const struct pack_typical *typical)
{
    if (typical->gpu_count > state->device_count ||
        !pack_model_allowed(typical->models, state->model))
        return 0;
    uint32_t whole = 0;
    while (whole < state->device_count &&
           state->free_milli[state->device_count - 1 - whole] >= PACK_WHOLE_MILLI)
        whole++;
    uint32_t busy = state->device_count - whole;
    double cpu = (double)state->cpu_free_milli;
    double rate = pack->config.release_share * pack->release_ratio;
    if (busy == 0 || rate <= 0)
        return slots_with(typical, whole, cpu);
    /* Binomially many of the busy devices come free, and their part of the CPU with each. */
    double cpu_each = (double)(state->cpu_capacity_milli - state->cpu_free_milli) / busy;
    double chance = 1, sum = 0;
    for (uint32_t i = 0; i < busy; i++)
        chance *= 1 - rate;
    for (uint32_t j = 0; j <= busy; j++) {
        sum += chance * slots_with(typical, whole + j, cpu + cpu_each * j);
        chance *= (double)(busy - j) / (j + 1) * rate / (1 - rate);
    }
    return sum;
}

double pack_slot_worth(const struct pack *pack, const struct pack_state *state)
{
    double sum = 0;
    for (uint32_t m = 0; m < pack->typical.priced_count; m++) {
        const struct pack_typical *t = &pack->typical.items[m];
        if (t->gpu_count > 1 && t->price > 0)
            sum += pack->config.slot_weight * PACK_WHOLE_MILLI * t->gpu_count * t->price *
                   t->price * pack_slots(pack, state, t);
    }
    return sum;
}

/* ---- Prices ---- */

/* What the cluster has, in GPUs. */
struct supply {
    double idle, busy;
    double model_idle[PACK_MODELS_MAX + 1];
};

static void count_supply(struct pack *pack, struct pack_node *const *nodes, size_t count,
                         struct supply *supply)
{
    *supply = (struct supply){0};
    pack->cpu_capacity_max = 1;
    pack->device_count_max = 1;
    for (size_t n = 0; n < count; n++) {
        const struct pack_node *node = nodes[n];
        uint32_t idle_milli = 0;
        for (uint32_t i = 0; i < node->device_count; i++)
            idle_milli += node->device_free_milli[i];
        double idle = (double)idle_milli / PACK_WHOLE_MILLI;
        supply->idle += idle;
        supply->busy += node->device_count - idle;
        supply->model_idle[node->model] += idle;
        if (node->cpu_capacity_milli > pack->cpu_capacity_max)
            pack->cpu_capacity_max = node->cpu_capacity_milli;
        if (node->device_count > pack->device_count_max)
            pack->device_count_max = node->device_count;
    }
}

static double slots_of_all(struct pack *pack, struct pack_node *const *nodes, size_t count,
                           const struct pack_typical *t)
{
    double sum = 0;
    struct pack_state state;
    for (size_t n = 0; n < count; n++) {
        if (nodes[n]->device_count < t->gpu_count)
            continue;
        pack_state_of(nodes[n], &state);
        sum += pack_slots(pack, &state, t);
    }
    return sum;
}

/* Pods that are bound to some models drive up the price of those. */
static void price_models(struct pack *pack, const struct supply *supply, double pods)
{
    for (uint32_t model = 0; model <= PACK_MODELS_MAX; model++)
        pack->model_price[model] = 0;
    for (uint32_t m = 0; m < pack->typical.priced_count; m++) {
        const struct pack_typical *t = &pack->typical.items[m];
        if (t->models == 0 || t->gpu_count == 0)
            continue;
        double idle = 0;
        for (uint32_t model = 0; model < PACK_MODELS_MAX; model++) {
            if (pack_model_allowed(t->models, model))
                idle += supply->model_idle[model];
        }
        for (uint32_t model = 0; model < PACK_MODELS_MAX; model++) {
            if (pack_model_allowed(t->models, model))
                pack->model_price[model] += t->share * t->gpus * pods / (idle + 0.5);
        }
    }
    for (uint32_t model = 0; model < PACK_MODELS_MAX; model++) {
        if (pack->model_price[model] > pack->config.model_price_max)
            pack->model_price[model] = pack->config.model_price_max;
    }
}

static void refresh_flow(struct pack *pack)
{
    bool was_moving = pack_is_moving(pack);
    double ratio = pack->placed > 0 ? pack->released / pack->placed : 0;
    pack->release_ratio = ratio < 1 ? ratio : 1;
    pack->release_quarters = (double)(int)(pack->release_ratio * 4 + 0.5) / 4;
    if (was_moving != pack_is_moving(pack))
        pack->value_epoch++;
}

void pack_refresh(struct pack *pack, struct pack_node *const *nodes, size_t count)
{
    struct supply supply;
    refresh_flow(pack);
    count_supply(pack, nodes, count, &supply);
    double gpus_per_pod = 0;
    for (uint32_t m = 0; m < pack->typical.priced_count; m++)
        gpus_per_pod += pack->typical.items[m].share * pack->typical.items[m].gpus;
    /* As many pods as the cluster has room for, or will have. */
    double room = supply.idle + pack->release_ratio * supply.busy;
    double pods = gpus_per_pod > 0 ? room / gpus_per_pod : 0;
    for (uint32_t m = 0; m < pack->typical.priced_count; m++) {
        struct pack_typical *t = &pack->typical.items[m];
        if (t->gpu_count < 2)
            continue;
        double price = t->share * pods / (slots_of_all(pack, nodes, count, t) + 0.5);
        t->price = price < 1 ? price : 1;
    }
    price_models(pack, &supply, pods);
    pack->price_epoch++;
    pack->refreshed_at = pack->arrivals;
    pack->must_refresh = false;
}

bool pack_refresh_is_due(const struct pack *pack)
{
    uint32_t period =
        pack->release_quarters > 0 ? pack->config.refresh_moving : pack->config.refresh_still;
    return pack->must_refresh || pack->arrivals - pack->refreshed_at >= period;
}
