/*
 * The inside of a packing policy, for extender/pack*.c and their unit tests.
 *
 *   pack_learn.c   which pods are typical, from what arrived; kept over a restart
 *   pack_rollout.c what is left over on a node in the end, as rollouts tell
 *   pack_value.c   what a node's state is worth: fragmentation, prices
 *   pack_state.c   states by number, and what was computed for them
 *   pack.c         the scores
 *
 * All memory is taken by pack_new(): nothing later can fail. A full table is emptied, which costs time and changes
 * no score, for whatever is in it can be computed again. The large tables are not zeroed, so that what is never
 * used of them takes no memory.
 */
#ifndef EXTENDER_PACK_PARTS_H
#define EXTENDER_PACK_PARTS_H

#include "base/arena.h"
#include "base/hash.h"
#include "extender/pack.h"

enum {
    PACK_TYPICAL_MAX = 128,
    PACK_PRICED_MAX = 512,
    PACK_MODEL_NAME_MAX = 63,
    PACK_NO_CLASS = PACK_CLASSES_MAX,
    PACK_TABLES_MAX = 6,
};

/* What the scores see of a demand. */
struct pack_class {
    int64_t cpu_milli;
    uint64_t models;
    uint16_t gpu_milli;
    uint8_t gpu_count;
    uint64_t seen;
};

/* Classes by content; a number stands for one until some are forgotten. */
struct pack_classes {
    struct pack_class *items; /* PACK_CLASSES_MAX */
    uint16_t *index;          /* 2 * PACK_CLASSES_MAX: number + 1, 0 for free */
    uint32_t count;
    uint64_t seen;
};

/* A typical pod: a class and its share of the arrivals. */
struct pack_typical {
    int64_t cpu_milli;
    uint64_t models;
    uint16_t gpu_milli;
    uint8_t gpu_count;
    double share;
    double gpus;  /* that a pod takes: 0.5, 1, 8 */
    double price; /* of a slot, 0 to 1: several whole GPUs only */
};

/* The typical pods, and behind them the rarer ones of several GPUs: few, but large, and hard to place. Only
 * prices see those. */
struct pack_typicals {
    struct pack_typical *items; /* PACK_PRICED_MAX */
    uint32_t count, priced_count;
};

/*
 * Sequences of typical pods, drawn once, and for each of them sets of bits, a bit per place in the sequence:
 * the pods that need at most so many GPUs, at most so much CPU, that may go to a model. The intersection is
 * what fits a node, so that a rollout goes from one pod that fits to the next.
 */
struct pack_rollouts {
    uint32_t count, draws, words; /* sequences, pods in each, words of a set */
    uint16_t *pods;               /* count rows of `draws` */
    uint32_t gpu_level_count, cpu_level_count;
    uint32_t *gpu_levels; /* what pods need, ascending: 1000 for one whole device */
    int64_t *cpu_levels;
    uint64_t *by_gpu, *by_cpu, *by_model; /* sets: per sequence, per level or model */
};

/* What the scores see of a node: two nodes of one state are worth the same. Compared bytewise, so without
 * padding before `free_milli`. */
struct pack_state {
    int64_t cpu_free_milli;
    int64_t cpu_capacity_milli;
    uint8_t model;
    uint8_t device_count;
    uint16_t free_milli[PACK_DEVICES_MAX]; /* ascending */
};

/* What is known about a state by number. */
struct pack_known {
    size_t key;           /* where its state is among the keys */
    uint32_t value_epoch; /* of `rollout` and `fragments`; 0: not computed */
    uint32_t price_epoch; /* of `potential` */
    double rollout;       /* milli that are left over in the end */
    double fragments;     /* FGD's fragmentation, milli */
    double potential;
};

struct pack_states {
    struct pack_known *items;
    uint32_t *index; /* number + 1, 0 for free */
    uint32_t count;
    uint32_t generation; /* from 1; counts how often the table was emptied */
    char *keys;
    size_t keys_len;
};

/* The score of a class in a state, and how much the device that it takes has left before. */
struct pack_memo {
    uint32_t state, epoch;
    int32_t score;
    uint16_t class, free_milli;
};

struct pack_table {
    void *ptr;
    size_t size;
};

struct pack {
    struct pack_config config;
    const struct mem *mem;
    struct arena arena;
    struct pack_table tables[PACK_TABLES_MAX];
    uint32_t table_count;
    struct hash_seed hash_seed;
    struct random_seeded random; /* PACK_RANDOM */

    char (*model_names)[PACK_MODEL_NAME_MAX + 1];
    uint32_t model_count;

    struct pack_classes classes;
    uint64_t next_learn; /* when so many have arrived */
    struct pack_typicals typical;
    struct pack_rollouts rollouts;

    double placed, released; /* milli, fading */
    /* As of the last refresh. */
    double release_ratio; /* 0: nobody leaves, 1: as many leave as come */
    double release_quarters;
    double model_price[PACK_MODELS_MAX + 1]; /* the last for none */
    int64_t cpu_capacity_max;
    uint32_t device_count_max;
    uint64_t arrivals;
    uint64_t refreshed_at;
    bool must_refresh;

    struct pack_states states;
    struct pack_memo *memos;
    uint32_t value_epoch, price_epoch; /* from 1 */
};

/* Room that is not zeroed, until pack_free(). NULL without memory. */
void *pack_take_table(struct pack *pack, size_t count, size_t size);

/* Whether about as many pods leave as come. */
static inline bool pack_is_moving(const struct pack *pack)
{
    return pack->release_quarters >= 0.5;
}

/* ---- pack_learn.c ---- */

bool pack_classes_init(struct pack_classes *classes, struct arena *arena);
/* Its number, or PACK_NO_CLASS. */
uint32_t pack_class_find(const struct pack_classes *classes, const struct pack_demand *demand);
/* The most frequent classes until they are so many per cent of what was seen. */
void pack_learn_typical(const struct pack_classes *classes, uint32_t percent,
                        struct pack_typicals *to);

/* ---- pack_rollout.c ---- */

bool pack_rollouts_init(struct pack *pack);
/* Draws anew from the typical pods. */
void pack_rollouts_draw(struct pack *pack);
/* The mean of what is idle in the end, milli. */
double pack_rollout(const struct pack *pack, const struct pack_state *state);

/* ---- pack_value.c ---- */

static inline bool pack_model_allowed(uint64_t models, uint32_t model)
{
    return models == 0 || (model < PACK_MODELS_MAX && (models >> model & 1));
}

double pack_fragments(const struct pack *pack, const struct pack_state *state);
/* How many pods of a typical class the node can take, or will be able to as others leave. */
double pack_slots(const struct pack *pack, const struct pack_state *state,
                  const struct pack_typical *typical);
/* What the node's slots are worth at the current prices, milli. */
double pack_slot_worth(const struct pack *pack, const struct pack_state *state);

/* ---- pack_state.c ---- */

bool pack_states_init(struct pack *pack);
void pack_state_of(const struct pack_node *node, struct pack_state *ret);
/* After the pod took the device that is at `device` of free_milli (a share), or the free ones. */
void pack_state_take(struct pack_state *state, const struct pack_demand *demand, uint32_t device);
uint32_t pack_state_number(struct pack *pack, const struct pack_state *state);
/* The number of a node's state, from its memo when that is current. */
uint32_t pack_node_number(struct pack *pack, struct pack_node *node);
void pack_state_get(const struct pack *pack, uint32_t number, struct pack_state *ret);
/* With `potential` and, for FGD, `fragments` computed. */
const struct pack_known *pack_state_known(struct pack *pack, uint32_t number);
struct pack_memo *pack_memo_at(struct pack *pack, uint32_t state, uint32_t class);

#endif
