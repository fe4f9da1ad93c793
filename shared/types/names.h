/*
 * Labels, annotations and resources on objects that more than one program reads or writes. They are a
 * part of the interface: what is renamed here is lost on the objects that exist.
 */
#ifndef TYPES_NAMES_H
#define TYPES_NAMES_H

/* On the children of a Performer. */
#define LABEL_APP        "app"
#define LABEL_MANAGED_BY "app.kubernetes.io/managed-by"
#define LABEL_PERFORMER  "hourglass.eigenlayer.io/performer"
#define LABEL_AVS        "hourglass.eigenlayer.io/avs"
#define LABEL_REVISION   "callboard.dev/revision"
#define LABEL_ATTEMPT    "callboard.dev/attempt"

/* On the children of a JobFlow, and on their pods. */
#define LABEL_FLOW         "workflow.kube-zen.io/flow"
#define LABEL_FLOW_STEP    "workflow.kube-zen.io/step"
#define LABEL_FLOW_ATTEMPT "workflow.kube-zen.io/attempt"

/* The reservation on whose nodes a pod may run. */
#define LABEL_RESERVATION "callboard.dev/reservation"

#define APP_PERFORMER "hourglass-performer"
#define MANAGED_BY    "callboard"

/* What the extender needs to know of a pod, and what it answers. */
#define ANNOTATION_GPU_MEMORY   "callboard.dev/gpu-memory"   /* of each GPU, at least: a quantity */
#define ANNOTATION_CUDA_VERSION "callboard.dev/cuda-version" /* at least: MAJOR[.MINOR] */
#define ANNOTATION_PACKING      "callboard.dev/packing"      /* Pack or Spread */
#define ANNOTATION_DEVICES      "callboard.dev/devices"      /* set at bind: indices, "0,3" */
/* Set when kube-scheduler is to try a pod again that was refused: RFC 3339. */
#define ANNOTATION_REQUEUED_AT  "callboard.dev/requeued-at"
/* How long it can run at most, for nodes that are about to be held for a reservation: seconds. */
#define ANNOTATION_MAX_RUNTIME  "callboard.dev/max-runtime-seconds"

/* Since when the node of a pod is not to be found, RFC 3339. */
#define ANNOTATION_NODE_GONE_SINCE "callboard.dev/node-gone-since"

/* On pods: "high" may use a node that is being drained, where the node allows it. */
#define LABEL_PRIORITY "callboard.dev/priority"
#define PRIORITY_HIGH  "high"

/* On nodes. */
#define LABEL_GPU_MODE            "callboard.dev/gpu-mode"
#define GPU_MODE_SHARED           "shared"
#define GPU_MODE_PLUGIN           "plugin"
#define LABEL_DRAIN_ALLOWS_URGENT "callboard.dev/drain-allows-urgent"
#define ANNOTATION_MAX_JOBS       "callboard.dev/max-jobs" /* pods of ours at a time */
#define LABEL_GPU_PRODUCT         "nvidia.com/gpu.product"
#define LABEL_GPU_COUNT           "nvidia.com/gpu.count"
#define LABEL_GPU_MEMORY          "nvidia.com/gpu.memory" /* of each GPU, MiB */
#define LABEL_CONFIDENTIAL_GPU    "nvidia.com/cc.mode.state"
#define LABEL_CONFIDENTIAL_READY  "nvidia.com/cc.ready.state"
#define TAINT_OUT_OF_SERVICE      "node.kubernetes.io/out-of-service"

/* Extended resources. */
#define RESOURCE_GPU       "nvidia.com/gpu"
#define RESOURCE_GPU_MILLI "callboard.dev/gpu-milli"
#define RESOURCE_MANAGED   "callboard.dev/managed"

/* Of the second kube-scheduler, which asks the extender. */
#define SCHEDULER_NAME "callboard-scheduler"

#endif
