/*
 * callboard.dev/gpu-milli on nodes that share their GPUs (label callboard.dev/gpu-mode: shared): a thousand for
 * each of the nvidia.com/gpu.count GPUs, in capacity and allocatable, so that kube-scheduler itself sees what is
 * left in sum. Nobody else advertises it. The kubelet keeps extended resources that it does not know, but sets
 * them to zero when it registers anew, and whoever may write a node's status may take them away: so every
 * change of a Node is looked at. A node that shares no longer advertises none.
 *
 * A pure step of a controller (control/controller.h) whose keys are the names of nodes.
 */
#ifndef CONTROLLER_NODE_GPU_H
#define CONTROLLER_NODE_GPU_H

#include "control/controller.h"

/* Of a Node, for the cache. */
struct node_gpu {
    int64_t wanted; /* 0: none is to be advertised */
    int64_t capacity;
    int64_t allocatable;
};

void node_gpu_read(struct node_gpu *ret, const struct json *node, const struct kube_meta *meta);

static inline bool node_gpu_is_wrong(const struct node_gpu *gpu)
{
    return gpu->capacity != gpu->wanted || gpu->allocatable != gpu->wanted;
}

/* ctx is the cache of nodes, a `const struct store` of performer_nodes. */
int node_gpu_reconcile(void *ctx, struct queue_key key, struct moment now, struct plan *plan,
                       struct err *err);

#endif
