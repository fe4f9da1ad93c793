/*
 * A node as the extender sees it: what it is (from the Node object) and what is taken of it (from the pods
 * that are bound to it). Both are plain values: a change makes a new one, and whoever reads the old one is
 * not disturbed (extender/snapshot.h).
 *
 * A node's GPUs are in one of two modes (label callboard.dev/gpu-mode):
 *
 *   plugin  the vendor's device plugin owns the cards: nvidia.com/gpu and nvidia.com/mig-* are counted here,
 *           and no index is claimed;
 *   shared  nvidia.com/gpu is 0, pods ask for callboard.dev/gpu-milli, and each has the indices of its
 *           devices in the annotation callboard.dev/devices, written when it is bound.
 */
#ifndef EXTENDER_NODE_H
#define EXTENDER_NODE_H

#include "extender/amount.h"
#include "kube/object.h"
#include "types/catalog.h"

enum { NODE_DEVICES_MAX = 64, NODE_DEVICE_MILLI = 1000, NODE_TEES_MAX = 32 };

enum gpu_mode { GPU_MODE_IS_NONE, GPU_MODE_IS_PLUGIN, GPU_MODE_IS_SHARED };

/* From the Node object; one allocation of `size` bytes with its texts. Immutable. */
struct node_facts {
    size_t size;
    struct str name;
    struct str product; /* nvidia.com/gpu.product, or absent */
    enum gpu_mode gpu_mode;
    bool is_ready;    /* the condition Ready is True */
    bool is_cordoned; /* spec.unschedulable */
    bool allows_urgent;
    bool is_confidential; /* its GPUs work for confidential machines only ... */
    bool is_attested;     /* ... and do so now */
    uint8_t device_count; /* in mode shared */
    int32_t cuda;         /* the newest that the driver runs, 1000 * major + minor; 0: not known */
    int64_t gpu_memory_mib;  /* of each GPU; 0: not known */
    int64_t max_jobs;        /* -1: no limit */
    uint32_t tees;           /* bit i: it has the catalog's i-th environment */
    uint32_t counted;        /* bit r: it counts resource r, though it may have none of it */
    struct amounts capacity; /* allocatable */
    struct mig_list mig;
};

/* Reads a Node. NULL without memory; to be given back by node_facts_free(). */
struct node_facts *node_facts_new(const struct mem *mem, const struct json *object,
                                  const struct kube_meta *meta, const struct catalog *catalog);
void node_facts_free(const struct mem *mem, struct node_facts *facts);
/* Most changes of a node are of other things: images, times of conditions. */
bool node_facts_same(const struct node_facts *a, const struct node_facts *b);

/* What one bound pod takes. */
struct pod_load {
    struct amounts amounts;
    uint64_t devices; /* bit i: device i is (partly) its own */
    bool is_ours;     /* counts against max-jobs */
    struct mig_list mig;
};

/* What all of them take. */
struct node_load {
    int64_t jobs;     /* pods of ours */
    int64_t stray;    /* thousandths of GPUs of pods that say of no device that it is theirs */
    uint64_t devices; /* bit i: something is taken of device i */
    int32_t device_milli[NODE_DEVICES_MAX]; /* taken */
    struct amounts amounts;                 /* of RESOURCE_INDEX_PODS: how many they are */
    struct mig_list mig;
};

void node_load_add(struct node_load *load, const struct pod_load *pod);
void node_load_remove(struct node_load *load, const struct pod_load *pod);

struct node {
    const struct node_facts *facts;
    struct node_load load;
};

/* Thousandths that are left of a device; 0 when more than all is taken. */
static inline int32_t node_device_left(const struct node *node, unsigned device)
{
    int32_t left = NODE_DEVICE_MILLI - node->load.device_milli[device];
    return left > 0 ? left : 0;
}

/* How many devices have nothing taken. */
unsigned node_devices_free(const struct node *node);
/* Whether a pod uses GPUs and nobody knows which: it names none, or one that the node does not have. */
bool node_has_stray(const struct node *node);

/* Devices for a demand of so many thousandths, by best fit: of those that have enough left the fullest one
 * for a share (with `spread` the emptiest), the first free ones for whole GPUs. 0 when there are none. */
uint64_t node_choose_devices(const struct node *node, int64_t milli, bool spread);

/* "0,3": the text of the annotation; `to` has NODE_DEVICES_TEXT bytes. */
enum { NODE_DEVICES_TEXT = NODE_DEVICES_MAX * 3 };
struct str node_devices_print(uint64_t devices, char to[NODE_DEVICES_TEXT]);
/* False when it is no such list, or an index is too high or there twice. */
bool node_devices_parse(struct str text, uint64_t *ret);

#endif
