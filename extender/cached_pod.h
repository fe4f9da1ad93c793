/*
 * What the cache keeps of a pod: little, because there may be 100,000. About 350 bytes with its names; those
 * that ask for more than CPU and memory have some hundred more.
 */
#ifndef EXTENDER_CACHED_POD_H
#define EXTENDER_CACHED_POD_H

#include "control/store.h"
#include "extender/labels.h"
#include "extender/pod.h"

/* What most pods do not have. */
struct cached_extra {
    struct str runtime_class; /* or absent */
    struct str products;      /* of GPUs that will do, "A|B"; absent: any, or it wants none */
    struct pod_load load;     /* without MIG instances it ends before its member `mig` */
};

struct cached_pod {
    struct stored stored; /* owned by its node, so that store_first_owned() finds the pods of one */
    struct str node;      /* it is bound to, or absent */
    struct str labels; /* as label_hashes_put() writes them; absent while it is bound to no node */
    int64_t cpu_milli;
    int64_t memory;
    int32_t priority;
    uint32_t started_s; /* since 1970; 0: not yet */
    bool is_ours;
    bool asks_us;    /* its scheduler asks the extender */
    bool is_waiting; /* of ours, bound to no node, and kube-scheduler has found none for it */
    bool has_ended;
    bool wants_spread;
    bool has_bad_devices; /* the annotation cannot be read */
    uint16_t load_size;   /* bytes of extra[0].load; 0: there is no extra */
    struct cached_extra extra[];
};

/* For store_config.type. */
extern const struct store_type cached_pods;

/* Whether it takes anything of a node. */
static inline bool cached_pod_counts(const struct cached_pod *pod)
{
    return pod && pod->node.len > 0 && !pod->has_ended;
}

/* Of the products of GPUs that will do, as in struct cached_extra. */
static inline struct str cached_pod_products(const struct cached_pod *pod)
{
    return pod->load_size > 0 ? pod->extra[0].products : (struct str){NULL, 0};
}

/* Whether both take the same, of the same node. */
bool cached_pod_takes_same(const struct cached_pod *a, const struct cached_pod *b);

/* What it takes; the catalog tells by which keys its RuntimeClass is counted. Without one they are not. */
void cached_pod_load(const struct cached_pod *pod, const struct catalog *catalog,
                     struct pod_load *ret);

/* What has become of a pod that kube-scheduler asked about, which may have heard of it before us. */
enum pod_standing {
    POD_STANDING_UNHEARD, /* the watch has yet to tell of it */
    POD_STANDING_WAITS,
    POD_STANDING_OVER, /* bound, or gone */
};
/* `age_ns`: since the question; after ten seconds the watch would have told. */
enum pod_standing cached_pod_standing(const struct store *pods, struct str namespace,
                                      struct str name, struct str uid, int64_t age_ns);

#endif
