/*
 * The world of one simulation: a time that only the simulation moves, one source of random numbers, one
 * API server, and a trace of what happened. The same seed gives the same trace, to the byte: nothing
 * here reads a clock, an address or anything else of the machine.
 *
 * Two times, as in base/clock.h: all processes share the monotonic one; each has a wall clock of its
 * own, which jumps.
 */
#ifndef UNIT_SIM_WORLD_H
#define UNIT_SIM_WORLD_H

#include "base/timers.h"
#include "unit/sim/server.h"

#include <setjmp.h>
#include <stdio.h>

#define SIM_MS  CLOCK_NS_PER_MS
#define SIM_SEC CLOCK_NS_PER_SEC

/* The last lines of a trace are kept for people; all of them are in its hash. */
enum { SIM_TRACE_LINES = 256, SIM_TRACE_LINE_MAX = 320 };

struct sim_trace {
    uint64_t hash;
    uint64_t count;
    bool is_shown; /* written to standard output as it comes */
    char lines[SIM_TRACE_LINES][SIM_TRACE_LINE_MAX];
};

struct sim_world {
    int64_t now_ns;
    int64_t wall_offset_ns;
    struct clock clock; /* the server's and the actors' */
    struct timers timers;
    struct random_seeded seeded;
    const struct random *random;
    struct sim_server server;
    struct sim_trace trace;
    uint64_t seed;
    struct arena asking; /* of sim_ask(), which a violation may leave by its jump */
    /* Where a violation leads; its text. */
    jmp_buf *violated;
    const char *checker;
    char violation[1024];
};

/* Must not be moved. */
void sim_world_init(struct sim_world *world, uint64_t seed);
void sim_world_done(struct sim_world *world);

void sim_tracef(struct sim_world *world, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void sim_trace_print(const struct sim_world *world, FILE *to);

/* Ends the simulation: what `checker` says must always hold does not. */
void sim_violation(struct sim_world *world, const char *checker, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), noreturn));

/* True in `permille` of 1,000 cases. */
bool sim_chance(struct sim_world *world, unsigned permille);
/* From low to high, both included. */
int64_t sim_between(struct sim_world *world, int64_t low, int64_t high);

/* A request of somebody who sits beside the server: no network, no faults. The body is printed; absent
 * with an empty `fmt`. Returns the status code. */
int sim_ask(struct sim_world *world, const char *method, struct str target, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
