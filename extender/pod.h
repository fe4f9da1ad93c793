/*
 * A pod as the extender sees it: what it asks of a node. Read from the JSON tree of a Pod, of a request of
 * kube-scheduler as well as of a watch.
 */
#ifndef EXTENDER_POD_H
#define EXTENDER_POD_H

#include "extender/node.h"

enum { POD_PRODUCT_LISTS_MAX = 8 };

/* Why no node at all can take it. */
enum pod_fault {
    POD_IS_SOUND,
    POD_MIXES_MODES,  /* whole GPUs of a device plugin and thousandths */
    POD_BAD_MILLI,    /* above 1000 and not whole GPUs */
    POD_TEE_CONFLICT, /* RuntimeClass and node selector are of different environments */
    POD_BAD_MEMORY,   /* an annotation that is no quantity */
    POD_BAD_CUDA,     /* an annotation that is no version */
};

/* Texts and trees are views into the Pod. */
struct pod {
    struct kube_meta meta;
    struct str node; /* it is bound to; absent or empty: to none */
    struct str scheduler;
    int32_t priority;
    struct amounts amounts;
    struct mig_list mig;
    enum pod_fault fault;
    int64_t gpu_memory_mib; /* of each GPU at least; 0: any */
    int32_t cuda;           /* at least, 1000 * major + minor; 0: any */
    uint32_t tees;          /* bit i: the catalog's i-th environment will do; 0: none is needed */
    int tee_resource;       /* by which its environment is counted, or -1 */
    /* Products by which required node affinity chooses: one of the lists has to have the node's. */
    const struct json *products[POD_PRODUCT_LISTS_MAX];
    unsigned product_lists; /* 0: any product */
    bool is_confidential;   /* its GPU works for a confidential machine */
    bool has_claims;        /* asks by ResourceClaims (DRA): left alone */
    bool wants_spread;
    bool has_preferences; /* that make kube-scheduler like some nodes better: affinity, spread */
    bool is_urgent;
    bool is_ours;
    bool may_preempt;   /* preemptionPolicy is not Never */
    bool is_nominated;  /* others are being preempted for it, on one node */
    bool has_ended;     /* Succeeded or Failed: takes nothing */
    struct str devices; /* the annotation, or absent */
};

/* Without a catalog nothing is read of trusted execution. */
void pod_read(struct pod *pod, const struct json *object, const struct catalog *catalog);

/* GPUs in any form. */
bool pod_wants_gpu(const struct pod *pod);
/* Whether a node with that product will do. */
bool pod_accepts_product(const struct pod *pod, struct str product);
/* What it takes of its node with these devices. */
void pod_load_of(const struct pod *pod, uint64_t devices, struct pod_load *ret);

/* The resource of which a pod of that RuntimeClass takes one even when it asks for none (a key of a machine
 * in a trusted environment), or -1. */
int pod_key_of_class(const struct catalog *catalog, struct str runtime_class);

/* "at least 12.4": false when it is no version. */
bool pod_parse_cuda(struct str text, int32_t *ret);

#endif
