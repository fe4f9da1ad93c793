/* What is left over on a node in the end, if typical pods came to it at random. */
#include "extender/pack_parts.h"

#include <assert.h>
#include <stdlib.h>

enum { WORD_BITS = 64, MODEL_SETS = PACK_MODELS_MAX + 1 };

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

bool pack_rollouts_init(struct pack *pack)
{
    const struct pack_config *config = &pack->config;
    struct pack_rollouts *r = &pack->rollouts;
    struct arena *arena = &pack->arena;
    r->count = larger(config->rollouts_still, config->rollouts_moving);
    r->draws = larger(config->draws_still, config->draws_moving) * (PACK_DEVICES_MAX / 8);
    r->words = (r->draws + WORD_BITS - 1) / WORD_BITS;
    size_t sets = (size_t)r->count * r->words;
    r->pods = pack_take_table(pack, (size_t)r->count * r->draws, sizeof(uint16_t));
    r->gpu_levels = ARENA_NEW_ARRAY(arena, uint32_t, PACK_TYPICAL_MAX);
    r->cpu_levels = ARENA_NEW_ARRAY(arena, int64_t, PACK_TYPICAL_MAX);
    r->by_gpu = pack_take_table(pack, sets * PACK_TYPICAL_MAX, sizeof(uint64_t));
    r->by_cpu = pack_take_table(pack, sets * PACK_TYPICAL_MAX, sizeof(uint64_t));
    r->by_model = pack_take_table(pack, sets * MODEL_SETS, sizeof(uint64_t));
    return r->pods && r->gpu_levels && r->cpu_levels && r->by_gpu && r->by_cpu && r->by_model;
}

/* The sets' words at a place of a sequence, one for each level or model: side by side, for whoever looks at one
 * looks at the next lower ones soon. */
static uint64_t *words_at(const struct pack_rollouts *r, uint64_t *sets, uint32_t level_count,
                          uint32_t sequence, uint32_t word)
{
    return sets + ((size_t)sequence * r->words + word) * level_count;
}

/* ---- Drawing ---- */

static uint32_t gpu_need(const struct pack_typical *t)
{
    return (uint32_t)t->gpu_milli * t->gpu_count;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int compare_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void find_levels(struct pack_rollouts *r, const struct pack_typicals *typical)
{
    uint32_t count = 0, gpu = 0, cpu = 0;
    for (uint32_t i = 0; i < typical->count; i++) {
        if (typical->items[i].gpu_count == 0)
            continue;
        r->gpu_levels[count] = gpu_need(&typical->items[i]);
        r->cpu_levels[count++] = typical->items[i].cpu_milli;
    }
    qsort(r->gpu_levels, count, sizeof(r->gpu_levels[0]), compare_u32);
    qsort(r->cpu_levels, count, sizeof(r->cpu_levels[0]), compare_i64);
    for (uint32_t i = 0; i < count; i++) {
        if (gpu == 0 || r->gpu_levels[gpu - 1] != r->gpu_levels[i])
            r->gpu_levels[gpu++] = r->gpu_levels[i];
        if (cpu == 0 || r->cpu_levels[cpu - 1] != r->cpu_levels[i])
            r->cpu_levels[cpu++] = r->cpu_levels[i];
    }
    r->gpu_level_count = gpu;
    r->cpu_level_count = cpu;
}

static uint16_t draw_pod(const struct pack_typicals *typical, struct random_seeded *random)
{
    double at = (double)(random_u64(&random->random) >> 11) * 0x1p-53;
    uint32_t i = 0;
    while (i + 1 < typical->count && at >= typical->items[i].share)
        at -= typical->items[i++].share;
    return (uint16_t)i;
}

/* Puts the pod at a place of the sequence into every set that it belongs to. */
static void mark_pod(struct pack_rollouts *r, const struct pack_typical *t, uint32_t sequence,
                     uint32_t place)
{
    uint32_t word = place / WORD_BITS;
    uint64_t bit = UINT64_C(1) << (place % WORD_BITS);
    uint64_t *gpu = words_at(r, r->by_gpu, r->gpu_level_count, sequence, word);
    uint64_t *cpu = words_at(r, r->by_cpu, r->cpu_level_count, sequence, word);
    uint64_t *models = words_at(r, r->by_model, MODEL_SETS, sequence, word);
    for (uint32_t l = r->gpu_level_count; l-- > 0 && r->gpu_levels[l] >= gpu_need(t);)
        gpu[l] |= bit;
    for (uint32_t l = r->cpu_level_count; l-- > 0 && r->cpu_levels[l] >= t->cpu_milli;)
        cpu[l] |= bit;
    for (uint32_t model = 0; model < MODEL_SETS; model++) {
        if (pack_model_allowed(t->models, model))
            models[model] |= bit;
    }
}

void pack_rollouts_draw(struct pack *pack)
{
    struct pack_rollouts *r = &pack->rollouts;
    const struct pack_typicals *typical = &pack->typical;
    size_t sets = (size_t)r->count * r->words * sizeof(uint64_t);
    struct random_seeded random;
    random_seeded_init(&random, pack->config.seed);
    find_levels(r, typical);
    memset(r->by_gpu, 0, sets * r->gpu_level_count);
    memset(r->by_cpu, 0, sets * r->cpu_level_count);
    memset(r->by_model, 0, sets * MODEL_SETS);
    for (uint32_t s = 0; s < r->count && typical->count > 0; s++) {
        for (uint32_t place = 0; place < r->draws; place++) {
            uint16_t pod = draw_pod(typical, &random);
            r->pods[(size_t)s * r->draws + place] = pod;
            if (typical->items[pod].gpu_count > 0)
                mark_pod(r, &typical->items[pod], s, place);
        }
    }
}

/* ---- Filling a node ---- */

/* A node that is being filled: the free devices are alike, of the others those with something left ascend. */
struct fill {
    int64_t cpu_milli;
    uint32_t idle_milli;
    uint32_t whole;
    uint32_t part_count;
    uint16_t parts[PACK_DEVICES_MAX];
    uint32_t gpu_levels, cpu_levels; /* how many levels fit */
};

static void fill_init(struct fill *fill, const struct pack_state *state,
                      const struct pack_rollouts *r)
{
    fill->cpu_milli = state->cpu_free_milli;
    fill->idle_milli = fill->whole = fill->part_count = 0;
    fill->gpu_levels = r->gpu_level_count;
    fill->cpu_levels = r->cpu_level_count;
    for (uint32_t i = 0; i < state->device_count; i++) {
        uint16_t milli = state->free_milli[i];
        fill->idle_milli += milli;
        if (milli >= PACK_WHOLE_MILLI)
            fill->whole++;
        else if (milli > 0)
            fill->parts[fill->part_count++] = milli;
    }
}

/* Levels only go down while a node is filled. */
static void fill_find_levels(struct fill *fill, const struct pack_rollouts *r)
{
    uint32_t able = fill->whole * PACK_WHOLE_MILLI;
    if (able == 0 && fill->part_count > 0)
        able = fill->parts[fill->part_count - 1];
    while (fill->gpu_levels > 0 && r->gpu_levels[fill->gpu_levels - 1] > able)
        fill->gpu_levels--;
    while (fill->cpu_levels > 0 && r->cpu_levels[fill->cpu_levels - 1] > fill->cpu_milli)
        fill->cpu_levels--;
}

/* Makes parts[at] smaller; it goes where it belongs, and away at 0. */
static void fill_shrink(struct fill *fill, uint32_t at, uint16_t milli)
{
    uint16_t left = (uint16_t)(fill->parts[at] - milli);
    if (left == 0) {
        fill->part_count--;
        for (; at < fill->part_count; at++)
            fill->parts[at] = fill->parts[at + 1];
        return;
    }
    for (; at > 0 && fill->parts[at - 1] > left; at--)
        fill->parts[at] = fill->parts[at - 1];
    fill->parts[at] = left;
}

/* A share goes to the fullest device that can take it, to a free one only when none other can. */
static void fill_take(struct fill *fill, const struct pack_typical *t)
{
    fill->cpu_milli -= t->cpu_milli;
    fill->idle_milli -= gpu_need(t);
    if (t->gpu_milli >= PACK_WHOLE_MILLI) {
        fill->whole -= t->gpu_count;
        return;
    }
    uint32_t at = 0;
    while (at < fill->part_count && fill->parts[at] < t->gpu_milli)
        at++;
    if (at == fill->part_count) {
        fill->whole--;
        fill->parts[fill->part_count++] = PACK_WHOLE_MILLI;
    }
    fill_shrink(fill, at, t->gpu_milli);
}

/* The places of a word of the sequence whose pods fit now. */
static uint64_t find_fitting(const struct pack_rollouts *r, const struct fill *fill, uint8_t model,
                             uint32_t sequence, uint32_t word)
{
    return words_at(r, r->by_gpu, r->gpu_level_count, sequence, word)[fill->gpu_levels - 1] &
           words_at(r, r->by_cpu, r->cpu_level_count, sequence, word)[fill->cpu_levels - 1] &
           words_at(r, r->by_model, MODEL_SETS, sequence, word)[model];
}

/* What a sequence leaves idle. */
static uint32_t fill_by(const struct pack *pack, struct fill *fill, uint8_t model,
                        uint32_t sequence, uint32_t draws)
{
    const struct pack_rollouts *r = &pack->rollouts;
    const uint16_t *pods = r->pods + (size_t)sequence * r->draws;
    for (uint32_t word = 0; word * WORD_BITS < draws; word++) {
        uint32_t rest = draws - word * WORD_BITS;
        uint64_t later = rest < WORD_BITS ? (UINT64_C(1) << rest) - 1 : UINT64_MAX;
        for (;;) {
            if (fill->gpu_levels == 0 || fill->cpu_levels == 0)
                return fill->idle_milli;
            uint64_t fitting = find_fitting(r, fill, model, sequence, word) & later;
            if (fitting == 0)
                break;
            uint32_t bit = (uint32_t)__builtin_ctzll(fitting);
            later &= ~UINT64_C(1) << bit; /* what comes after it */
            fill_take(fill, &pack->typical.items[pods[word * WORD_BITS + bit]]);
            fill_find_levels(fill, r);
        }
    }
    return fill->idle_milli;
}

double pack_rollout(const struct pack *pack, const struct pack_state *state)
{
    bool moving = pack_is_moving(pack);
    uint32_t count = moving ? pack->config.rollouts_moving : pack->config.rollouts_still;
    uint32_t per_eight = moving ? pack->config.draws_moving : pack->config.draws_still;
    uint32_t draws = (per_eight * state->device_count + 7) / 8;
    if (state->device_count == 0 || count == 0)
        return 0;
    assert(count <= pack->rollouts.count && draws <= pack->rollouts.draws);
    struct fill start;
    fill_init(&start, state, &pack->rollouts);
    fill_find_levels(&start, &pack->rollouts);
    uint64_t left = 0;
    for (uint32_t s = 0; s < count; s++) {
        struct fill fill = start;
        left += fill_by(pack, &fill, state->model, s, draws);
    }
    return (double)left / count;
}
