/*
 * Lists of nodes and pods as CSV, and the order in which pods arrive: what `callboard-extender replay` reads.
 * The format is that of the openb trace (Alibaba, clusterdata, cluster-trace-gpu-v2023):
 *
 *   nodes     sn,cpu_milli,memory_mib,gpu,model
 *   pods      name,cpu_milli,memory_mib,num_gpu,gpu_milli[,gpu_spec][,duration | scheduled_time,deletion_time]
 *   arrivals  the zero-based row of a pod on each line
 *
 * Columns are found by their names; others are passed over. gpu_spec is the models that will do, "A|B", or
 * empty for any. Times are seconds. There is no quoting.
 */
#ifndef EXTENDER_TRACE_H
#define EXTENDER_TRACE_H

#include "base/arena.h"
#include "base/err.h"
#include "extender/pack.h"

enum {
    TRACE_NODES_MAX = 20000,
    TRACE_PODS_MAX = 1000000,
    TRACE_ARRIVALS_MAX = 4000000,
    TRACE_PODS_PER_NODE = 1001, /* as the paper's simulator has it */
};

struct trace_pod {
    struct str name;
    struct pack_demand demand;
    double seconds; /* that it runs; 0 when the list does not tell */
};

struct trace {
    struct str *node_names;
    struct pack_node *nodes; /* as they are when empty */
    size_t node_count;
    struct trace_pod *pods;
    size_t pod_count;
    uint32_t *arrivals; /* places in `pods` */
    size_t arrival_count;
    int64_t gpu_milli; /* of all nodes */
};

/* Each adds to the trace from the text of a file, whose name is for messages; texts must outlive the trace.
 * 400 with the line that is wrong, 413 for too many, 507 without memory. Models get their ids from `pack`. */
int trace_read_nodes(struct trace *trace, struct arena *arena, struct pack *pack, const char *file,
                     struct str text, struct err *err);
int trace_read_pods(struct trace *trace, struct arena *arena, struct pack *pack, const char *file,
                    struct str text, struct err *err);
/* After the pods. */
int trace_read_arrivals(struct trace *trace, struct arena *arena, const char *file, struct str text,
                        struct err *err);
/* The pods in their own order. */
int trace_arrive_in_order(struct trace *trace, struct arena *arena, struct err *err);

static inline int64_t trace_gpu_milli(const struct pack_demand *demand)
{
    return (int64_t)demand->gpu_milli * demand->gpu_count;
}

#endif
