/*
 * Which node, and which of its devices, a pod should get: the policies of packing, by themselves.
 *
 * No cluster, no clock, no thread, no file: whoever keeps the nodes (the extender's cache, the replay)
 * describes each by a `struct pack_node` and asks. The same calls in the same order give the same answers.
 * Not for use by several threads at once: one lock around the policy and its nodes.
 *
 *   struct pack_config config = pack_config_default(PACK_RSP);
 *   struct pack *pack = pack_new(&config, mem_system(), &err);
 *   …
 *   pack_observe(pack, &demand);                       once per pod that arrives
 *   if (pack_refresh_is_due(pack))
 *       pack_refresh(pack, nodes, node_count);
 *   if (pack_choose(pack, nodes, node_count, &demand, &best, &choice))
 *       pack_place(pack, nodes[best], &demand, choice.devices);
 *   …
 *   pack_release(pack, node, &demand, devices);        when the pod has ended
 *   …
 *   pack_save(pack, &buf); pack_load(pack, text, &err);   what was learned, over a restart
 *   pack_free(pack);
 *
 * docs/scheduling.md explains the policies. FGD and the baselines are those of Weng et al., "Beware of
 * Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent" (USENIX ATC 2023).
 */
#ifndef EXTENDER_PACK_H
#define EXTENDER_PACK_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

enum {
    PACK_DEVICES_MAX = 64, /* of a node */
    PACK_MODELS_MAX = 64,  /* names; beyond them models share the last id */
    PACK_CLASSES_MAX = 1024,
    PACK_NO_MODEL = PACK_MODELS_MAX, /* of a node without GPUs or of unknown ones */
    PACK_WHOLE_MILLI = 1000,         /* one device */
};

/*
 * A node as it is now. Units are those of the caller as long as demands have the same; memory enters no
 * score. A device that cannot be used has 0 milli left. Where the devices are counted only (the vendor's
 * device plugin owns them), the taken ones are those with 0.
 */
struct pack_node {
    int64_t cpu_free_milli;
    int64_t cpu_capacity_milli;
    int64_t memory_free;
    int64_t pods_free;
    uint8_t model; /* pack_model() */
    uint8_t device_count;
    uint16_t device_free_milli[PACK_DEVICES_MAX];
    /* The policy's own note of what this state is; starts zeroed. Who changes anything above by hand, not by
     * pack_place() and pack_release(), sets it to zero. */
    uint64_t memo;
};

/* What a pod asks for. GPUs: none (both 0), a share of one device (1, below 1000), or whole ones (n, 1000). */
struct pack_demand {
    int64_t cpu_milli;
    int64_t memory;
    uint64_t models; /* bit i: the model with id i will do; 0 for any */
    uint16_t gpu_milli;
    uint8_t gpu_count;
    bool spread; /* wants the emptiest node and device, not the best-packed */
};

struct pack_choice {
    int64_t score;    /* higher is better; comparable among nodes for one pod only */
    uint64_t devices; /* bit i: device i is given to the pod */
};

enum pack_kind {
    PACK_RSP, /* rollouts, prices, and fragmentation as far as pods leave (RSP-D) */
    PACK_FGD,
    PACK_BESTFIT,
    PACK_RANDOM,
};

/* The parameters; pack_config_default() has those that were measured, for FGD those that were published. */
struct pack_config {
    enum pack_kind kind;
    uint64_t seed; /* of the rollouts and of PACK_RANDOM */
    /* The typical pods are learned anew at learn_first arrivals and whenever as many again have come,
     * at the latest after learn_every; with learn_first 0 only by pack_learn(). */
    uint32_t learn_first, learn_every;
    uint32_t remember; /* arrivals; at this number all counts are halved, so that old ones fade */
    uint32_t typical_percent; /* of the arrivals; the rarest classes beyond it are left out */
    /* Rollouts and draws per eight devices, while no pod leaves and while about as many leave as come. */
    uint32_t rollouts_still, draws_still;
    uint32_t rollouts_moving, draws_moving;
    /* Arrivals between two refreshes of the prices. */
    uint32_t refresh_still, refresh_moving;
    uint32_t flow_window; /* arrivals over which "placed" and "released" are remembered */
    uint32_t quantum_still, quantum_moving; /* milli: scores that differ by less are equal */
    double slot_weight;                     /* of the prices of whole free devices */
    double model_price_max;                 /* of a milli on a model that others are bound to */
    double fragment_weight;                 /* of fragmentation, while as many pods leave as come */
    double release_share; /* of the busy devices that may come free before they are needed */
};

struct pack_config pack_config_default(enum pack_kind kind);

struct pack;

/* NULL with 507 when there is no memory. `mem` must outlive the policy, which takes some megabytes at most. */
struct pack *pack_new(const struct pack_config *config, const struct mem *mem, struct err *err);
/* Accepts NULL. */
void pack_free(struct pack *pack);

/* The id of a model's name, the same for as long as the policy lives. Names of more than 63 bytes are cut. */
uint8_t pack_model(struct pack *pack, struct str name);
/* The same without giving an id to a name that has none: false then. */
bool pack_model_find(const struct pack *pack, struct str name, uint8_t *ret);

/* A pod has arrived: counted once, whether it will be placed or not. Only what was observed is learned. */
void pack_observe(struct pack *pack, const struct pack_demand *demand);
/* The same for `count` pods at once, known from elsewhere; the typical pods are then learned from them by
 * pack_learn(). */
void pack_observe_many(struct pack *pack, const struct pack_demand *demand, uint64_t count);
void pack_learn(struct pack *pack);

/* Whether the prices are older than they should be; then pack_refresh() with all nodes of the cluster. */
bool pack_refresh_is_due(const struct pack *pack);
void pack_refresh(struct pack *pack, struct pack_node *const *nodes, size_t count);

/* Whether the pod could be bound to the node now: CPU, memory, pods, model, devices. */
bool pack_fits(const struct pack_node *node, const struct pack_demand *demand);
/* False when it does not fit; *ret is then untouched. */
bool pack_score(struct pack *pack, struct pack_node *node, const struct pack_demand *demand,
                struct pack_choice *ret);
/* The best of the nodes that fit, the first of equals: give them sorted by name. False when none fits. */
bool pack_choose(struct pack *pack, struct pack_node *const *nodes, size_t count,
                 const struct pack_demand *demand, size_t *ret_index, struct pack_choice *ret);

/* Changes the node, which must have what is taken from it (or given back to it), and counts the flow. */
void pack_place(struct pack *pack, struct pack_node *node, const struct pack_demand *demand,
                uint64_t devices);
void pack_release(struct pack *pack, struct pack_node *node, const struct pack_demand *demand,
                  uint64_t devices);
/* The same without a node, for who keeps the nodes by other means: counts the flow only. */
void pack_count_placed(struct pack *pack, const struct pack_demand *demand);
void pack_count_released(struct pack *pack, const struct pack_demand *demand);

/*
 * Among nodes that could hold the pod if others left, the one to keep free for it: most of what it needs is
 * free there already. For a large pod that has waited for long, for which no node ever comes free by itself.
 * `is_held[i]`, when given, excludes node i. False when no node is large enough.
 */
bool pack_choose_hold(struct pack_node *const *nodes, size_t count, const bool *is_held,
                      const struct pack_demand *demand, size_t *ret_index);

/* What was learned, as text with a line for each class, models by their names. */
void pack_save(const struct pack *pack, struct buf *to);
/* Takes the place of what was learned so far. 400 with the line that is wrong: nothing is changed then. */
int pack_load(struct pack *pack, struct str text, struct err *err);

#endif
