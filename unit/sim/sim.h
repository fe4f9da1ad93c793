/*
 * One simulation: a world, its actors, the processes that run real code, chaos for some minutes, then calm
 * until everything has settled, then a while in which nobody may write any more.
 */
#ifndef UNIT_SIM_SIM_H
#define UNIT_SIM_SIM_H

#include "unit/sim/checkers.h"
#include "unit/sim/flows.h"

struct sim;

/* What is simulated. */
struct sim_target {
    const char *name;
    const struct sim_program *program;
    unsigned processes;
    bool is_led;            /* only the holder of the Lease may write */
    bool judges_performers; /* and only what is right for Performers */
    bool has_flows;         /* users make flows, which are judged, in place of Performers */
    int settle_s;           /* 0: as long as Performers need */
    /* Before anybody acts. May be NULL. */
    void (*prepare)(struct sim *sim);
    /* Called after each step; may tell a violation. May be NULL. */
    void (*check)(struct sim *sim);
    /* Whether all is as it should be once faults have stopped; else why not. */
    bool (*is_settled)(struct sim *sim, char *why, size_t size);
};

extern const struct sim_target sim_target_controller, sim_target_flow, sim_target_lease,
    sim_target_reflector;

enum { SIM_MAX_ACTIVE_FLOWS = 4 }; /* of the target `flow` */

/* Bugs that are planted on purpose, to see whether a checker finds them (plant.c). */
enum sim_plant {
    SIM_PLANT_NONE,
    SIM_PLANT_FINALIZER,
    SIM_PLANT_FENCE,
    SIM_PLANT_OLD_LEADER,
    SIM_PLANT_EARLY, /* this and the next two are of the target `flow` */
    SIM_PLANT_TWICE,
    SIM_PLANT_TTL,
    SIM_PLANTS
};

struct sim_config {
    const struct sim_target *target;
    uint64_t seed;
    enum sim_plant plant;
    bool is_shown;    /* the trace is printed */
    bool is_peaceful; /* no faults, and nobody but one user, who creates a Performer */
};

struct sim_result {
    const char *checker; /* NULL: all held */
    char violation[1024];
    uint64_t trace_hash;
    uint64_t fault_counts[SIM_FAULTS];
    uint64_t requests;
    uint64_t writes; /* by processes, Leases apart */
    uint64_t starts; /* of processes */
    int64_t simulated_ns;
    int64_t settled_ns;   /* how long after the faults stopped */
    unsigned writes_peak; /* for one Performer */
};

struct sim {
    struct sim_config config;
    struct sim_world world;
    struct sim_network network;
    struct sim_actors actors;
    struct sim_checkers checkers;
    struct sim_flow_checker flows;
    struct sim_process processes[SIM_PROCESSES_MAX];
    struct timer chaos; /* what happens to processes */
    bool is_calm;
    int64_t calm_ns;         /* when it began */
    unsigned crash_at_write; /* per 1,000 writes */
    uint64_t metrics_due;    /* after so many requests they are looked at */
    struct sim_plant_state *plant;
};

void sim_run(const struct sim_config *config, struct sim_result *ret);
/* The lines of the last simulation that failed. */
void sim_run_traced(const struct sim_config *config, struct sim_result *ret, FILE *trace);

/* plant.c */
void sim_plant_init(struct sim *sim);
void sim_plant_done(struct sim *sim);

#endif
