/*
 * The inside of the replay: replay.c reads, decides and reports; replay_fill.c and replay_flow.c bring pods
 * that stay and pods that come and go; replay_svg.c draws.
 */
#ifndef EXTENDER_REPLAY_PARTS_H
#define EXTENDER_REPLAY_PARTS_H

#include "extender/replay.h"
#include "extender/trace.h"

enum { REPLAY_NO_NODE = UINT32_MAX };

struct replay {
    const struct replay_options *options;
    struct arena arena;
    struct trace trace;
    struct pack *pack;
    struct pack_node **nodes; /* all */
    struct pack_node **open;  /* those that are kept for nobody */
    size_t open_count;
    bool *is_held;
    uint64_t decisions;
    int64_t decision_ns;
    int64_t allocated_milli;
    FILE *placements; /* or NULL */
};

/* A place that was found: `node` is REPLAY_NO_NODE when there is none. */
struct replay_place {
    uint32_t node;
    uint64_t devices;
};

/* A pod has arrived: learned from, and the prices are refreshed when it is time. */
void replay_observe(struct replay *replay, const struct pack_demand *demand);
/* Chooses among `nodes` and places. */
struct replay_place replay_place(struct replay *replay, struct pack_node *const *nodes,
                                 size_t count, const struct pack_demand *demand);
void replay_release(struct replay *replay, const struct replay_place *place,
                    const struct pack_demand *demand);
/* A line "pod,node,devices" of --placements. */
void replay_write_place(struct replay *replay, const struct trace_pod *pod,
                        const struct replay_place *place);
/* A line "+N,node,devices": the pod that arrived as the Nth, from 0, has waited and is placed. */
void replay_write_start(struct replay *replay, size_t arrival, const struct replay_place *place);
/* A line "-N,,": the pod that arrived as the Nth, from 0, has left. */
void replay_write_release(struct replay *replay, size_t arrival);
/* After is_held has changed. */
void replay_list_open(struct replay *replay);

int replay_fill(struct replay *replay, struct err *err);
int replay_flow(struct replay *replay, struct err *err);
int replay_draw(struct replay *replay, const char *path, struct err *err);

#endif
