/*
 * What the cache keeps of a pod: little, because there may be 100,000. About 280 bytes with its names; those
 * that ask for more than CPU and memory have some hundred more.
 */
#ifndef EXTENDER_CACHED_POD_H
#define EXTENDER_CACHED_POD_H

#include "control/store.h"
#include "extender/pod.h"

struct cached_pod {
    struct stored stored;
    struct str node;          /* it is bound to, or absent */
    struct str runtime_class; /* or absent */
    struct str more;          /* the bytes of a struct pod_load, or absent: only CPU and memory */
    struct str products;      /* of GPUs that will do, "A|B"; absent: any, or it wants none */
    int64_t cpu_milli;
    int64_t memory;
    bool is_ours;
    bool asks_us;    /* its scheduler asks the extender */
    bool is_waiting; /* of ours, bound to no node, and kube-scheduler has found none for it */
    bool has_ended;
    bool wants_spread;
    bool has_bad_devices; /* the annotation cannot be read */
};

/* For store_config.type. */
extern const struct store_type cached_pods;

/* Whether it takes anything of a node. */
static inline bool cached_pod_counts(const struct cached_pod *pod)
{
    return pod && pod->node.len > 0 && !pod->has_ended;
}

/* What it takes; the catalog tells by which keys its RuntimeClass is counted. Without one they are not. */
void cached_pod_load(const struct cached_pod *pod, const struct catalog *catalog,
                     struct pod_load *ret);

#endif
