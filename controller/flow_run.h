/*
 * The run of a flow: which steps may start, which wait for what, and how it all ends. It knows the graph and
 * nothing of Jobs, texts or time; whoever uses it says what has become of a step, and a step that ends costs
 * work in proportion to its dependents.
 *
 *             all dependencies ended         condition true            the Job is there
 *   PENDING ──────────────────────▶ FRESH ──────────────▶ READY ──────────────────────▶ RUNNING
 *                                     │                     ▲                              │
 *                                     │ Manual              │ backoff over                 │ failed, a retry
 *                                     ├──────▶ WATCHED ─────┘◀─────────────────────────────┤
 *                                     │ condition false │ decided                          │
 *                                     ▼                 ▼                                  ▼
 *                                  SKIPPED       SUCCEEDED, FAILED                SUCCEEDED, FAILED
 *
 * FRESH, READY, RUNNING and WATCHED are lists; a step is in one at most. A step that ends lets those go on
 * whose last dependency it was; one that failed, or was skipped for that, lets them be skipped, unless it
 * may fail (`continues`). When a step of `steps` fails that may not, none of them starts any more; those
 * that run go on. The steps of `finally` begin when all others have ended, however they did.
 */
#ifndef CONTROLLER_FLOW_RUN_H
#define CONTROLLER_FLOW_RUN_H

#include "controller/flow_reason.h"
#include "policy/dag.h"

#define RUN_NONE UINT32_MAX

/* In the order of scope_phases. */
enum step_phase {
    STEP_PENDING,
    STEP_RUNNING,
    STEP_SUCCEEDED,
    STEP_FAILED,
    STEP_SKIPPED,
    STEP_PENDING_APPROVAL,
    STEP_PHASE_COUNT,
};

enum step_type { STEP_JOB, STEP_MANUAL, STEP_PERFORMER };

enum run_list {
    RUN_UNLISTED,
    RUN_FRESH,   /* what it depends on has ended; its condition has not been asked */
    RUN_READY,   /* may start when there is room */
    RUN_RUNNING, /* has a Job */
    RUN_WATCHED, /* waits for a time, a decision or a Performer */
    RUN_LIST_COUNT,
};

struct run_step {
    uint32_t waiting;    /* dependencies that have not ended */
    uint32_t prev, next; /* in its list */
    uint32_t touched;    /* the next touched one */
    uint32_t attempt;    /* from 0 */
    enum step_phase phase : 8;
    enum step_type type : 8;
    enum run_list list : 8;
    bool is_touched : 1;
    bool is_blocked : 1;  /* a dependency has failed */
    bool is_retrying : 1; /* an attempt has failed; PENDING until the next one */
    bool continues : 1;   /* continueOnFailure */
    /* For who uses the run. */
    bool has_when : 1;
    bool is_asked : 1;    /* its condition holds */
    bool is_read : 1;     /* others read its Job */
    bool is_free : 1;     /* the retry that it waits for is none that counts */
    bool is_made : 1;     /* the server has made what this try needs; the caches will show it */
    bool is_seen : 1;     /* the caches have had its Job since the run was loaded */
    bool is_followed : 1; /* one that depends on it has begun: it has ended, told or not */
    uint8_t name_max;     /* bytes of its children's names */
    uint8_t untold;       /* bits: the events about it that are to be told */
    enum flow_reason reason;
    uint32_t ignored;   /* attempts that are no retries */
    uint32_t timeout_s; /* of an attempt; 0: none */
    int64_t start_ns;   /* wall; 0: none */
    int64_t end_ns;
    int64_t due_ns; /* of a WATCHED one: when to look again; 0: no such time */
};

struct run_ends {
    uint32_t head, tail, count;
};

struct flow_run {
    uint32_t count;
    uint32_t main_count; /* of `steps`; the others are of `finally` */
    struct run_step *steps;
    struct dag dependents;
    struct run_ends lists[RUN_LIST_COUNT];
    uint32_t touched;      /* the first of those that something has happened to */
    uint32_t main_open;    /* have not ended */
    uint32_t finally_open; /* the same of `finally` */
    uint32_t phases[STEP_PHASE_COUNT];
    bool is_stopped; /* no step of `steps` starts any more */
    bool has_failed;
    bool is_finally; /* the steps of `finally` have begun */
    /* Is told of each step that ends; may be NULL. */
    void (*on_end)(void *ctx, uint32_t step);
    void *ctx;
};

/* Steps with `type` and `continues` may be filled in then. `dag` says what depends on what; all is in the
 * arena. False without memory. */
bool flow_run_init(struct flow_run *run, struct arena *arena, uint32_t count, uint32_t main_count,
                   const struct dag *dag);
/* The steps that depend on none become FRESH; those that flow_run_mark() has marked stay. */
void flow_run_begin(struct flow_run *run);

/* Before flow_run_begin(): the step has begun, or has ended, as is to be said next. */
void flow_run_mark(struct flow_run *run, uint32_t step);
/* Into a list, at its end, with the phase that it has there. */
void flow_run_put(struct flow_run *run, uint32_t step, enum run_list list, enum step_phase phase);
/* SUCCEEDED, FAILED or SKIPPED. What depends on it goes on. Nothing happens when it has ended. */
void flow_run_end(struct flow_run *run, uint32_t step, enum step_phase phase,
                  enum flow_reason reason);
/* No step of `steps` starts any more: those that have not begun are skipped, with that reason. */
void flow_run_stop(struct flow_run *run, enum flow_reason reason);

static inline bool run_step_has_ended(const struct run_step *step)
{
    return step->phase == STEP_SUCCEEDED || step->phase == STEP_FAILED ||
           step->phase == STEP_SKIPPED;
}

static inline bool flow_run_is_over(const struct flow_run *run)
{
    return run->main_open == 0 && run->finally_open == 0;
}

static inline uint32_t flow_run_first(const struct flow_run *run, enum run_list list)
{
    return run->lists[list].head;
}

/* Remembers that something has happened to the step. */
void flow_run_touch(struct flow_run *run, uint32_t step);
/* Takes one of these, RUN_NONE when there is none. */
uint32_t flow_run_take_touched(struct flow_run *run);

#endif
