/* The run of a flow: the graph, step by step. */
#include "controller/flow_run.h"

bool flow_run_init(struct flow_run *run, struct arena *arena, uint32_t count, uint32_t main_count,
                   const struct dag *dag)
{
    *run = (struct flow_run){.count = count, .main_count = main_count, .touched = RUN_NONE};
    run->main_open = main_count;
    run->finally_open = count - main_count;
    run->phases[STEP_PENDING] = count;
    for (int i = 0; i < RUN_LIST_COUNT; i++)
        run->lists[i] = (struct run_ends){RUN_NONE, RUN_NONE, 0};
    run->steps = ARENA_NEW_ARRAY(arena, struct run_step, count);
    if (!run->steps || !dag_reverse(arena, dag, &run->dependents))
        return false;
    for (uint32_t i = 0; i < count; i++)
        run->steps[i].waiting = (uint32_t)(dag_end(dag, i) - dag_begin(dag, i));
    return true;
}

/* ---- Lists ---- */

static void take_out(struct flow_run *run, uint32_t i)
{
    struct run_step *step = &run->steps[i];
    struct run_ends *ends = &run->lists[step->list];
    if (step->list == RUN_UNLISTED)
        return;
    if (step->prev == RUN_NONE)
        ends->head = step->next;
    else
        run->steps[step->prev].next = step->next;
    if (step->next == RUN_NONE)
        ends->tail = step->prev;
    else
        run->steps[step->next].prev = step->prev;
    ends->count--;
    step->list = RUN_UNLISTED;
}

static void set_phase(struct flow_run *run, uint32_t i, enum step_phase phase)
{
    run->phases[run->steps[i].phase]--;
    run->phases[phase]++;
    run->steps[i].phase = phase;
}

void flow_run_put(struct flow_run *run, uint32_t i, enum run_list list, enum step_phase phase)
{
    struct run_step *step = &run->steps[i];
    struct run_ends *ends = &run->lists[list];
    take_out(run, i);
    set_phase(run, i, phase);
    step->list = list;
    step->next = RUN_NONE;
    step->prev = ends->tail;
    if (ends->tail == RUN_NONE)
        ends->head = i;
    else
        run->steps[ends->tail].next = i;
    ends->tail = i;
    ends->count++;
}

void flow_run_touch(struct flow_run *run, uint32_t i)
{
    struct run_step *step = &run->steps[i];
    if (step->is_touched)
        return;
    step->is_touched = true;
    step->touched = run->touched;
    run->touched = i;
}

uint32_t flow_run_take_touched(struct flow_run *run)
{
    uint32_t i = run->touched;
    if (i != RUN_NONE) {
        run->touched = run->steps[i].touched;
        run->steps[i].is_touched = false;
    }
    return i;
}

/* ---- Beginning ---- */

static bool is_main(const struct flow_run *run, uint32_t i)
{
    return i < run->main_count;
}

static void freshen(struct flow_run *run, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        const struct run_step *step = &run->steps[i];
        if (step->phase == STEP_PENDING && step->list == RUN_UNLISTED && step->waiting == 0)
            flow_run_put(run, i, RUN_FRESH, STEP_PENDING);
    }
}

static void begin_finally(struct flow_run *run)
{
    if (run->main_open > 0 || run->is_finally)
        return;
    run->is_finally = true;
    freshen(run, run->main_count, run->count);
}

void flow_run_begin(struct flow_run *run)
{
    if (!run->is_stopped)
        freshen(run, 0, run->main_count);
    begin_finally(run);
}

void flow_run_mark(struct flow_run *run, uint32_t i)
{
    set_phase(run, i, STEP_RUNNING);
}

/* ---- Ending ---- */

static void settle(struct flow_run *run, uint32_t i, enum step_phase phase, enum flow_reason reason)
{
    struct run_step *step = &run->steps[i];
    take_out(run, i);
    set_phase(run, i, phase);
    step->reason = reason;
    if (is_main(run, i))
        run->main_open--;
    else
        run->finally_open--;
    if (phase == STEP_FAILED && !step->continues)
        run->has_failed = true;
    if (run->on_end)
        run->on_end(run->ctx, i);
    step->is_retrying = false;
}

static bool blocks(const struct run_step *step)
{
    return (step->phase == STEP_FAILED && !step->continues) ||
           (step->phase == STEP_SKIPPED && step->reason == FLOW_REASON_DEPENDENCY_FAILED);
}

/* One dependency less; 1 when the step is to be skipped for it. A step of `finally` that depends on none is
 * no dependent, so it is never met here before its time. */
static bool release(struct flow_run *run, uint32_t i, bool is_blocked)
{
    struct run_step *step = &run->steps[i];
    step->waiting--;
    step->is_blocked = step->is_blocked || is_blocked;
    if (step->waiting > 0 || step->phase != STEP_PENDING || step->list != RUN_UNLISTED)
        return false;
    if (step->is_blocked)
        return true;
    if (!is_main(run, i) || !run->is_stopped)
        flow_run_put(run, i, RUN_FRESH, STEP_PENDING);
    return false;
}

/* The dependents of a step that has ended, and theirs, as long as they are skipped for it. Those still to be
 * looked at are chained by `next`, which nobody needs of a step that is in no list. */
static void go_on(struct flow_run *run, uint32_t first)
{
    run->steps[first].next = RUN_NONE;
    for (uint32_t i = first; i != RUN_NONE;) {
        bool is_blocked = blocks(&run->steps[i]);
        uint32_t rest = run->steps[i].next;
        for (const uint32_t *d = dag_begin(&run->dependents, i); d < dag_end(&run->dependents, i);
             d++) {
            if (!release(run, *d, is_blocked))
                continue;
            settle(run, *d, STEP_SKIPPED, FLOW_REASON_DEPENDENCY_FAILED);
            run->steps[*d].next = rest;
            rest = *d;
        }
        i = rest;
    }
}

void flow_run_stop(struct flow_run *run, enum flow_reason reason)
{
    if (run->is_stopped)
        return;
    run->is_stopped = true;
    for (uint32_t i = 0; i < run->main_count; i++) {
        struct run_step *step = &run->steps[i];
        if (step->is_made)
            continue; /* it runs */
        /* Its time has come, and it has not begun: the try before was the last. */
        if (step->phase == STEP_PENDING && step->attempt > 0 && !step->is_retrying) {
            step->attempt--;
            step->is_retrying = true;
        }
        if (step->phase == STEP_PENDING && step->is_retrying)
            settle(run, i, STEP_FAILED, step->reason);
        else if (step->phase == STEP_PENDING || step->phase == STEP_PENDING_APPROVAL)
            settle(run, i, STEP_SKIPPED, reason);
    }
    begin_finally(run);
}

void flow_run_end(struct flow_run *run, uint32_t i, enum step_phase phase, enum flow_reason reason)
{
    if (run_step_has_ended(&run->steps[i]))
        return;
    settle(run, i, phase, reason);
    go_on(run, i);
    /* A step of `finally` that has failed stops nothing, also when it is restored before one of `steps`. */
    if (is_main(run, i) && phase == STEP_FAILED && !run->steps[i].continues)
        flow_run_stop(run, FLOW_REASON_FLOW_FAILED);
    begin_finally(run);
}
