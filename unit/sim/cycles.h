/*
 * What the memory of a controller is measured with, in a healthy cluster: a user who makes many objects, waits
 * for each to come to its end, and deletes it; and flows that ended before the controller began.
 */
#ifndef UNIT_SIM_CYCLES_H
#define UNIT_SIM_CYCLES_H

#include "unit/sim/actors.h"

struct sim_cycle; /* of what kind the objects are */
extern const struct sim_cycle sim_performer_cycle, sim_flow_cycle;

struct sim_cycles {
    struct sim_actors *actors;
    const struct sim_cycle *kind;
    uint64_t wanted;
    uint64_t begun; /* objects that were made */
    uint64_t done;  /* and are gone */
};

/* Deletes what has come to its end, and makes more, fifty at once. Prints a line "cycles N" after every tenth
 * of those wanted, and at the end. */
void sim_cycles_act(struct sim_cycles *cycles);

/* Flows of six steps, with their Jobs. */
void sim_make_ended_flows(struct sim_world *world, uint64_t count);

#endif
