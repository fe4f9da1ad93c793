/*
 * A process of the simulation: a program that runs real code on a transport, a clock and random numbers of
 * the simulation, and that is started, paused, ended and killed. After its end a new instance begins
 * with empty memory and a new identity.
 */
#ifndef UNIT_SIM_PROCESS_H
#define UNIT_SIM_PROCESS_H

#include "base/log.h"
#include "unit/sim/network.h"

struct sim_process;

/* What a process runs. */
struct sim_program {
    const char *name;
    void *(*start)(struct sim_process *process);
    /* Waits on the transport once, and does what is due. */
    void (*run_once)(void *state, int64_t until_ns);
    /* Begins the orderly end; NULL: it can only be killed. */
    void (*stop)(void *state);
    bool (*has_stopped)(void *state);
    void (*kill)(void *state);
};

enum { SIM_IDENTITY_MAX = 32 };

struct sim_process {
    struct sim_world *world;
    struct sim_network *network;
    const struct sim_program *program;
    unsigned number;
    unsigned instance;
    char identity[SIM_IDENTITY_MAX];
    struct sim_transport transport;
    struct clock clock;
    int64_t wall_offset_ns; /* of its machine, against the world's */
    struct random_seeded seeded;
    struct mem mem; /* counts */
    size_t live_bytes, peak_bytes, live_blocks;
    struct log_sink sink;
    struct log log;
    /* A line that it logged. May be NULL. */
    void (*on_log)(void *ctx, struct sim_process *process, struct str line);
    void *ctx;
    void *state; /* NULL: it does not run */
    bool is_stopping;
    bool must_die; /* at the next occasion */
    int64_t paused_until_ns;
    int64_t starts_ns; /* while it does not run */
    uint64_t runs;
};

void sim_process_init(struct sim_process *process, struct sim_network *network,
                      const struct sim_program *program, unsigned number);
void sim_process_done(struct sim_process *process);

void sim_process_start(struct sim_process *process);
/* As SIGKILL: a new one starts after `pause_ns`. */
void sim_process_kill(struct sim_process *process, int64_t pause_ns);
void sim_process_stop(struct sim_process *process);

/* Runs until it waits for something. Tells a violation when it never does. */
void sim_process_run(struct sim_process *process);
/* When it wants to run next, should nothing come before. */
int64_t sim_process_next_ns(const struct sim_process *process);

#endif
