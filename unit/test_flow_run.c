/* The run of a flow, beside a model that works everything out anew after each event. */
#include "unit/support.h"

#include "controller/flow_run.h"

enum { STEPS_MAX = 24, ROUNDS = 3000 };

/* What was told, and the graph: all that the model knows. */
struct model {
    uint32_t count, main_count;
    bool depends[STEPS_MAX][STEPS_MAX];
    bool continues[STEPS_MAX];
    bool has_begun[STEPS_MAX];
    enum step_phase told[STEPS_MAX]; /* SUCCEEDED, FAILED or SKIPPED; PENDING when nothing was */
};

struct fixture {
    struct model model;
    struct flow_run run;
    struct arena arena;
    struct random_seeded dice;
    unsigned ends;
};

static uint64_t roll(struct fixture *f, uint64_t limit)
{
    return random_below(&f->dice.random, limit);
}

/* ---- The model ---- */

struct outcome {
    enum step_phase phase[STEPS_MAX];
    bool is_blocked[STEPS_MAX]; /* skipped because of a failure before it */
    bool is_fresh[STEPS_MAX];
    bool is_finally;
    bool has_failed;
};

static bool has_ended(enum step_phase phase)
{
    return phase == STEP_SUCCEEDED || phase == STEP_FAILED || phase == STEP_SKIPPED;
}

static bool is_stopped(const struct model *m)
{
    for (uint32_t i = 0; i < m->main_count; i++) {
        if (m->told[i] == STEP_FAILED && !m->continues[i])
            return true;
    }
    return false;
}

static void work_out_step(const struct model *m, struct outcome *o, uint32_t i)
{
    bool all_ended = true, is_blocked = false;
    bool is_main = i < m->main_count;
    for (uint32_t d = 0; d < m->count; d++) {
        if (!m->depends[i][d])
            continue;
        all_ended = all_ended && has_ended(o->phase[d]);
        is_blocked = is_blocked || (o->phase[d] == STEP_FAILED && !m->continues[d]) ||
                     (o->phase[d] == STEP_SKIPPED && o->is_blocked[d]);
    }
    o->is_fresh[i] = false;
    if (m->told[i] != STEP_PENDING) {
        o->phase[i] = m->told[i];
    } else if (m->has_begun[i]) {
        o->phase[i] = STEP_RUNNING;
    } else if (is_main && is_stopped(m)) {
        o->phase[i] = STEP_SKIPPED;
    } else if (all_ended && is_blocked) {
        o->phase[i] = STEP_SKIPPED;
        o->is_blocked[i] = true;
    } else {
        o->phase[i] = STEP_PENDING;
        o->is_fresh[i] = all_ended && (is_main || o->is_finally);
    }
}

static struct outcome work_out(const struct model *m)
{
    struct outcome o = {0};
    /* A step is known once those before it are: as many passes as there are steps are enough. */
    for (uint32_t pass = 0; pass <= m->count; pass++) {
        o.is_finally = true;
        for (uint32_t i = 0; i < m->count; i++) {
            if (i == m->main_count) {
                for (uint32_t k = 0; k < m->main_count; k++)
                    o.is_finally = o.is_finally && has_ended(o.phase[k]);
            }
            work_out_step(m, &o, i);
            o.has_failed = o.has_failed || (m->told[i] == STEP_FAILED && !m->continues[i]);
        }
    }
    return o;
}

/* ---- Beside each other ---- */

static void on_end(void *ctx, uint32_t step)
{
    struct fixture *f = ctx;
    assert_true(run_step_has_ended(&f->run.steps[step]));
    f->ends++;
}

static void make_graph(struct fixture *f)
{
    struct model *m = &f->model;
    struct dag_edge edges[STEPS_MAX * STEPS_MAX];
    uint32_t edge_count = 0;
    struct dag dag;
    *m = (struct model){.count = 1 + (uint32_t)roll(f, STEPS_MAX)};
    m->main_count = 1 + (uint32_t)roll(f, m->count);
    uint64_t density = 1 + roll(f, 6);
    for (uint32_t i = 0; i < m->count; i++) {
        m->continues[i] = roll(f, 4) == 0;
        for (uint32_t d = i < m->main_count ? 0 : m->main_count; d < i; d++) {
            m->depends[i][d] = roll(f, 8) < density;
            if (m->depends[i][d])
                edges[edge_count++] = (struct dag_edge){i, d};
        }
    }
    assert_true(dag_build(&f->arena, m->count, edges, edge_count, &dag));
    assert_true(flow_run_init(&f->run, &f->arena, m->count, m->main_count, &dag));
    for (uint32_t i = 0; i < m->count; i++)
        f->run.steps[i].continues = m->continues[i];
    f->run.on_end = on_end;
    f->run.ctx = f;
    f->ends = 0;
}

/* A step of a list, any; RUN_NONE when it is empty. */
static uint32_t pick(struct fixture *f, enum run_list list)
{
    uint32_t count = f->run.lists[list].count, i = flow_run_first(&f->run, list);
    for (uint64_t n = count ? roll(f, count) : 0; n > 0; n--)
        i = f->run.steps[i].next;
    return i;
}

static void end(struct fixture *f, uint32_t i, enum step_phase phase)
{
    f->model.told[i] = phase;
    flow_run_end(&f->run, i, phase,
                 phase == STEP_SKIPPED ? FLOW_REASON_CONDITION_FALSE : FLOW_REASON_JOB_FAILED);
}

static void act(struct fixture *f)
{
    enum run_list list = (enum run_list)(1 + roll(f, RUN_LIST_COUNT - 1));
    uint32_t i = pick(f, list);
    if (i == RUN_NONE)
        return;
    if (list == RUN_FRESH && roll(f, 5) == 0)
        end(f, i, STEP_SKIPPED);
    else if (list == RUN_FRESH)
        flow_run_put(&f->run, i, RUN_READY, STEP_PENDING);
    else if (list == RUN_READY) {
        f->model.has_begun[i] = true;
        flow_run_put(&f->run, i, roll(f, 2) ? RUN_RUNNING : RUN_WATCHED, STEP_RUNNING);
    } else
        end(f, i, roll(f, 4) ? STEP_SUCCEEDED : STEP_FAILED);
}

static bool is_listed(const struct run_step *step)
{
    return step->list == RUN_FRESH || step->list == RUN_READY;
}

static void compare(const struct fixture *f)
{
    struct outcome o = work_out(&f->model);
    unsigned ended = 0;
    for (uint32_t i = 0; i < f->model.count; i++) {
        const struct run_step *step = &f->run.steps[i];
        assert_int_equal(step->phase, o.phase[i]);
        assert_int_equal(is_listed(step), o.is_fresh[i]);
        if (o.is_blocked[i] && !f->run.is_stopped)
            assert_int_equal(step->reason, FLOW_REASON_DEPENDENCY_FAILED);
        ended += has_ended(o.phase[i]);
    }
    assert_int_equal(f->run.has_failed, o.has_failed);
    assert_int_equal(flow_run_is_over(&f->run), ended == f->model.count);
    assert_int_equal(f->ends, ended);
}

static void begin_fixture(struct fixture *f, uint64_t seed)
{
    random_seeded_init(&f->dice, seed);
    arena_init(&f->arena, mem_system(), 1 << 14, 1 << 24);
    make_graph(f);
}

static void the_run_is_always_what_a_model_works_out_from_nothing(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct fixture f;
        begin_fixture(&f, TEST_SEED + round);
        flow_run_begin(&f.run);
        compare(&f);
        for (int acts = 0; acts < 1000 && !flow_run_is_over(&f.run); acts++) {
            act(&f);
            compare(&f);
        }
        assert_true(flow_run_is_over(&f.run));
        arena_done(&f.arena);
    }
}

/* As after a restart: all that began or ended is told in the order of the steps, not of time. */
static void restore(struct fixture *f, const struct model *model)
{
    for (uint32_t i = 0; i < model->count; i++) {
        if (model->told[i] != STEP_PENDING)
            flow_run_mark(&f->run, i);
        else if (model->has_begun[i])
            flow_run_put(&f->run, i, RUN_RUNNING, STEP_RUNNING);
    }
    for (uint32_t i = 0; i < model->count; i++) {
        if (model->told[i] != STEP_PENDING)
            flow_run_end(&f->run, i, model->told[i], FLOW_REASON_JOB_FAILED);
    }
    flow_run_begin(&f->run);
}

static void a_run_that_is_restored_is_as_the_one_before(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct fixture before, after;
        begin_fixture(&before, TEST_SEED + round);
        flow_run_begin(&before.run);
        for (uint64_t acts = roll(&before, 60); acts > 0; acts--)
            act(&before);
        begin_fixture(&after, TEST_SEED + round);
        restore(&after, &before.model);
        after.model = before.model;
        compare(&after);
        arena_done(&before.arena);
        arena_done(&after.arena);
    }
}

/* ---- Work ---- */

static uint32_t ended_steps(const struct flow_run *run)
{
    return run->phases[STEP_SUCCEEDED] + run->phases[STEP_FAILED] + run->phases[STEP_SKIPPED];
}

static void a_chain_of_2000_steps_that_are_skipped_needs_no_deep_stack(void **state)
{
    enum { COUNT = 2000 };
    static struct dag_edge edges[COUNT];
    struct arena arena;
    struct dag dag;
    struct flow_run run;
    (void)state;
    arena_init(&arena, mem_system(), 1 << 16, 1 << 24);
    for (uint32_t i = 1; i < COUNT; i++)
        edges[i - 1] = (struct dag_edge){i, i - 1};
    /* All of `finally`, where a failure stops nothing but what depends on it. */
    assert_true(dag_build(&arena, COUNT, edges, COUNT - 1, &dag));
    assert_true(flow_run_init(&run, &arena, COUNT, 0, &dag));
    flow_run_begin(&run);
    assert_int_equal(run.lists[RUN_FRESH].count, 1);
    flow_run_end(&run, 0, STEP_FAILED, FLOW_REASON_JOB_FAILED);
    assert_int_equal(ended_steps(&run), COUNT);
    assert_true(flow_run_is_over(&run));
    assert_int_equal(run.steps[COUNT - 1].reason, FLOW_REASON_DEPENDENCY_FAILED);
    arena_done(&arena);
}

static void touched_steps_are_taken_once_each(void **state)
{
    struct fixture f;
    (void)state;
    arena_init(&f.arena, mem_system(), 1 << 14, 1 << 24);
    struct dag dag;
    assert_true(dag_build(&f.arena, 3, NULL, 0, &dag));
    assert_true(flow_run_init(&f.run, &f.arena, 3, 3, &dag));
    flow_run_touch(&f.run, 1);
    flow_run_touch(&f.run, 2);
    flow_run_touch(&f.run, 1);
    assert_int_equal(flow_run_take_touched(&f.run), 2);
    assert_int_equal(flow_run_take_touched(&f.run), 1);
    assert_int_equal(flow_run_take_touched(&f.run), RUN_NONE);
    arena_done(&f.arena);
}

static void a_flow_that_is_stopped_lets_what_runs_end_and_what_waits_for_a_retry_fail(void **state)
{
    struct arena arena;
    struct dag dag;
    struct flow_run run;
    (void)state;
    arena_init(&arena, mem_system(), 1 << 14, 1 << 24);
    assert_true(dag_build(&arena, 5, NULL, 0, &dag));
    assert_true(flow_run_init(&run, &arena, 5, 4, &dag));
    flow_run_begin(&run);
    flow_run_put(&run, 0, RUN_RUNNING, STEP_RUNNING);
    flow_run_put(&run, 1, RUN_WATCHED, STEP_PENDING);
    run.steps[1].is_retrying = true;
    run.steps[1].reason = FLOW_REASON_TIMEOUT;
    /* The time of its retry has come, and it waits for its turn. */
    flow_run_put(&run, 3, RUN_READY, STEP_PENDING);
    run.steps[3].attempt = 1;
    run.steps[3].reason = FLOW_REASON_JOB_FAILED;
    flow_run_stop(&run, FLOW_REASON_REPLACED);
    assert_int_equal(run.steps[0].phase, STEP_RUNNING);
    assert_int_equal(run.steps[3].phase, STEP_FAILED);
    assert_int_equal(run.steps[3].reason, FLOW_REASON_JOB_FAILED);
    assert_int_equal(run.steps[3].attempt, 0);
    assert_int_equal(run.steps[1].phase, STEP_FAILED);
    assert_int_equal(run.steps[1].reason, FLOW_REASON_TIMEOUT);
    assert_int_equal(run.steps[2].phase, STEP_SKIPPED);
    assert_int_equal(run.steps[2].reason, FLOW_REASON_REPLACED);
    assert_int_equal(run.lists[RUN_FRESH].count, 0);
    flow_run_end(&run, 0, STEP_FAILED, FLOW_REASON_REPLACED);
    assert_int_equal(flow_run_first(&run, RUN_FRESH), 4);
    arena_done(&arena);
}

/* After a restart a step of `finally` may be known to have ended before those of `steps` are. */
static void a_failure_of_finally_stops_nothing(void **state)
{
    struct arena arena;
    struct dag dag;
    struct flow_run run;
    (void)state;
    arena_init(&arena, mem_system(), 1 << 14, 1 << 24);
    assert_true(dag_build(&arena, 3, NULL, 0, &dag));
    assert_true(flow_run_init(&run, &arena, 3, 2, &dag));
    flow_run_begin(&run);
    flow_run_end(&run, 2, STEP_FAILED, FLOW_REASON_JOB_FAILED);
    flow_run_end(&run, 0, STEP_SKIPPED, FLOW_REASON_CONDITION_FALSE);
    assert_int_equal(run.steps[1].phase, STEP_PENDING);
    flow_run_end(&run, 1, STEP_SUCCEEDED, FLOW_REASON_NONE);
    assert_true(flow_run_is_over(&run) && run.has_failed);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_run_is_always_what_a_model_works_out_from_nothing),
        cmocka_unit_test(a_run_that_is_restored_is_as_the_one_before),
        cmocka_unit_test(a_chain_of_2000_steps_that_are_skipped_needs_no_deep_stack),
        cmocka_unit_test(touched_steps_are_taken_once_each),
        cmocka_unit_test(a_failure_of_finally_stops_nothing),
        cmocka_unit_test(a_flow_that_is_stopped_lets_what_runs_end_and_what_waits_for_a_retry_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
