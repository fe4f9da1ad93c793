/* Scores of nodes. */
#include "extender/score.h"

#include "base/clock.h"
#include "extender/filter.h"
#include "extender/packer.h"

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

static bool have_all_gpus(const struct score_candidate *candidates, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (candidates[i].node && !has_gpus(candidates[i].node))
            return false;
    }
    return true;
}

/* ---- By one value ---- */

static bool is_better(const struct score_candidate *a, const struct score_candidate *b)
{
    if (a->value != b->value)
        return a->value > b->value;
    return str_cmp(a->node->facts->name, b->node->facts->name) < 0;
}

static const struct score_candidate *rank_best(struct score_candidate *candidates, size_t count)
{
    struct score_candidate *best = NULL;
    for (size_t i = 0; i < count; i++) {
        struct score_candidate *c = &candidates[i];
        c->score = 0;
        if (c->node && (!best || is_better(c, best)))
            best = c;
    }
    if (best)
        best->score = SCORE_BEST;
    return best;
}

/* ---- MIG instances ---- */

static int64_t instances_left(const struct pod *pod, const struct node *node)
{
    int64_t left = 0;
    for (unsigned i = 0; i < pod->mig.count; i++) {
        const char *name = pod->mig.profiles[i].name;
        left += mig_amount(&node->facts->mig, name) - mig_amount(&node->load.mig, name) -
                pod->mig.profiles[i].amount;
    }
    return left;
}

static void value_mig(const struct pod *pod, struct score_candidate *candidates, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct score_candidate *c = &candidates[i];
        int64_t left = c->node ? instances_left(pod, c->node) : 0;
        c->value = pod->wants_spread ? left : -left;
    }
}

/* ---- All ---- */

const struct score_candidate *score_rank(struct packer *packer, const struct pod *pod,
                                         struct score_candidate *candidates, size_t count)
{
    /* What a claim asks for is for the drivers of dynamic resource allocation to rank. */
    if (pod->has_claims || (!pod_wants_gpu(pod) && !have_all_gpus(candidates, count))) {
        rank_fit(pod, candidates, count);
        return NULL;
    }
    if (pod->mig.count > 0)
        value_mig(pod, candidates, count);
    else
        packer_score(packer, pod, candidates, count);
    return rank_best(candidates, count);
}
