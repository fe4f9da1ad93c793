/* Scores of nodes. */
#include "extender/score.h"

#include "base/clock.h"
#include "extender/filter.h"

enum {
    PART_MAX = 25,
    USE_LOW = 60, /* per cent */
    USE_HIGH = 85,
    CLOSE = 10, /* to the best: as good as it */
};

/* ---- Pods without GPUs ---- */

/* Per cent in use with the pod on it; above 100 when it is too much. */
static int64_t use_of(const struct pod *pod, const struct node *node, enum resource r)
{
    int64_t capacity = node->facts->capacity.of[r];
    if (capacity <= 0)
        return 100;
    __int128 used = (__int128)node->load.amounts.of[r] + pod->amounts.of[r];
    __int128 percent = used * 100 / capacity;
    return percent > 1000 ? 1000 : (int64_t)percent;
}

static int fit_of(int64_t use)
{
    if (use > 100)
        return 0;
    if (use > USE_HIGH)
        return (int)((100 - use) * PART_MAX / (100 - USE_HIGH));
    return use >= USE_LOW ? PART_MAX : (int)(use * PART_MAX / USE_LOW);
}

static int balance_of(int64_t cpu, int64_t memory)
{
    int64_t distance = cpu > memory ? cpu - memory : memory - cpu;
    return distance >= 100 ? 0 : (int)((100 - distance) * PART_MAX / 100);
}

static int health_of(const struct node *node, int64_t heartbeat_age_ns)
{
    int64_t age_s = heartbeat_age_ns / CLOCK_NS_PER_SEC;
    if (!node->facts->is_ready || age_s >= HEARTBEAT_OVERDUE_S)
        return 0;
    return age_s <= HEARTBEAT_OVERDUE_S / 2 ? PART_MAX : PART_MAX / 2;
}

int score_fit(const struct pod *pod, const struct node *node, int64_t heartbeat_age_ns)
{
    int64_t cpu = use_of(pod, node, RESOURCE_INDEX_CPU);
    int64_t memory = use_of(pod, node, RESOURCE_INDEX_MEMORY);
    return fit_of(cpu) + fit_of(memory) + balance_of(cpu, memory) +
           health_of(node, heartbeat_age_ns);
}

static bool has_gpus(const struct node *node)
{
    return node->facts->gpu_mode != GPU_MODE_IS_NONE;
}

static void rank_fit(const struct pod *pod, struct score_candidate *candidates, size_t count)
{
    int64_t best = -1;
    bool is_gpu_only = true;
    for (size_t i = 0; i < count; i++) {
        struct score_candidate *c = &candidates[i];
        c->value = c->node ? score_fit(pod, c->node, c->heartbeat_age_ns) : -1;
        bool is_plain = c->node && !has_gpus(c->node);
        if (is_plain && is_gpu_only) {
            is_gpu_only = false;
            best = -1;
        }
        if (c->node && (is_plain || is_gpu_only) && c->value > best)
            best = c->value;
    }
    for (size_t i = 0; i < count; i++) {
        struct score_candidate *c = &candidates[i];
        c->score = c->node && (is_gpu_only || !has_gpus(c->node)) && c->value >= best - CLOSE;
    }
}

/* ---- Pods with GPUs ---- */

/* Thousandths of GPUs that are left unused on the node beside the pod: on the one device of a share, and, as
 * what decides between equals, on all of them. */
static int64_t left_on(const struct pod *pod, const struct node *node)
{
    int64_t milli = pod->amounts.of[RESOURCE_INDEX_MILLI];
    if (milli == 0) {
        int64_t free = node->facts->capacity.of[RESOURCE_INDEX_GPUS] -
                       node->load.amounts.of[RESOURCE_INDEX_GPUS] -
                       pod->amounts.of[RESOURCE_INDEX_GPUS];
        return free * NODE_DEVICE_MILLI;
    }
    uint64_t devices = node_choose_devices(node, milli, pod->wants_spread);
    int64_t on_device = 0, on_all = -milli;
    for (unsigned i = 0; i < node->facts->device_count; i++)
        on_all += node_device_left(node, i);
    if (milli < NODE_DEVICE_MILLI && devices)
        on_device = node_device_left(node, (unsigned)__builtin_ctzll(devices)) - milli;
    return on_device * NODE_DEVICE_MILLI * NODE_DEVICES_MAX + on_all;
}

static bool is_better(const struct score_candidate *a, const struct score_candidate *b)
{
    if (a->value != b->value)
        return a->value > b->value;
    return str_cmp(a->node->facts->name, b->node->facts->name) < 0;
}

static void rank_gpu(const struct pod *pod, struct score_candidate *candidates, size_t count)
{
    struct score_candidate *best = NULL;
    for (size_t i = 0; i < count; i++) {
        struct score_candidate *c = &candidates[i];
        c->score = 0;
        c->value = INT64_MIN;
        if (!c->node)
            continue;
        int64_t left = left_on(pod, c->node);
        c->value = pod->wants_spread ? left : -left;
        if (!best || is_better(c, best))
            best = c;
    }
    if (best)
        best->score = SCORE_BEST;
}

void score_rank(const struct pod *pod, struct score_candidate *candidates, size_t count)
{
    if (pod_wants_gpu(pod) && !pod->has_claims)
        rank_gpu(pod, candidates, count);
    else
        rank_fit(pod, candidates, count);
}
