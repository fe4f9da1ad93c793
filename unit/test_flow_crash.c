/*
 * A controller of flows that may die after each of its writes, among a Job controller, users, and a clock:
 * whatever happens, no step runs twice for one try or before what it depends on, and in the end every flow
 * has ended as it should.
 */
#include "unit/flow_world.h"

#include "types/names.h"

#include <stdio.h>

enum { SEEDS = 300, ACTS = 80, FLOWS = 3, STEPS_MAX = 7 };

struct play {
    struct flow_world *world;
    struct random_seeded dice;
    uint64_t seed;
    /* What depends on what, of each flow. */
    bool depends[FLOWS][STEPS_MAX][STEPS_MAX];
    int steps[FLOWS];
};

static uint64_t roll(struct play *play, uint64_t limit)
{
    return random_below(&play->dice.random, limit);
}

static const char *flow_name(int flow)
{
    static const char *const names[FLOWS] = {"f0", "f1", "f2"};
    return names[flow];
}

/* ---- Flows ---- */

static void put_step(struct play *play, struct buf *spec, int flow, int i)
{
    const char *separator = "";
    buf_printf(spec, "%s{'name':'s%d','dependencies':[", i ? "," : "", i);
    for (int d = 0; d < i; d++) {
        play->depends[flow][i][d] = roll(play, 3) == 0;
        if (!play->depends[flow][i][d])
            continue;
        buf_printf(spec, "%s's%d'", separator, d);
        separator = ",";
    }
    buf_put(spec, STR("]"));
    if (roll(play, 3) == 0)
        buf_put(spec, STR(",'retryPolicy':{'limit':2,'backoff':{'type':'Fixed','duration':'5s'}}"));
    if (roll(play, 4) == 0)
        buf_put(spec, STR(",'continueOnFailure':true"));
    if (i > 0 && play->depends[flow][i][i - 1] && roll(play, 4) == 0)
        buf_printf(spec, ",'when':'steps.s%d.phase == \\\"Succeeded\\\"'", i - 1);
    if (roll(play, 8) == 0)
        buf_put(spec, STR(",'type':'Manual'"));
    buf_put(spec, STR("}"));
}

static void make_flow(struct play *play, int flow)
{
    static const char *const policies[] = {"Allow", "Forbid", "Replace"};
    struct buf spec;
    buf_init(&spec, arena_mem(&play->world->arena), 1 << 16);
    play->steps[flow] = 2 + (int)roll(play, STEPS_MAX - 1);
    buf_printf(
        &spec,
        "'executionPolicy':{'concurrencyPolicy':'%s','concurrencyGroup':'g','backoffLimit':%d",
        policies[roll(play, 3)], (int)roll(play, 4));
    if (roll(play, 3) == 0)
        buf_printf(&spec, ",'parallelism':%d", 1 + (int)roll(play, 2));
    buf_put(&spec, STR("},'steps':["));
    for (int i = 0; i < play->steps[flow]; i++)
        put_step(play, &spec, flow, i);
    buf_put(&spec, STR("],'finally':[{'name':'tidy'}]"));
    flow_world_create(play->world, flow_name(flow),
                      arena_copy(&play->world->arena, buf_str(&spec)).ptr);
}

/* ---- What must hold ---- */

static struct str label(const struct json *job, const char *name)
{
    return kube_map_get(kube_at(job, "metadata", "labels", NULL), str_from_cstr(name));
}

static bool has_condition(const struct json *job, const char *type)
{
    return str_eq(kube_text_at(kube_condition(job, type), "status", NULL), STR("True"));
}

static int64_t attempt_of(const struct json *job)
{
    int64_t attempt = -1;
    assert_true(str_to_int64(label(job, LABEL_FLOW_ATTEMPT), &attempt));
    return attempt;
}

static bool is_open(const struct json *job)
{
    return !has_condition(job, "Complete") && !has_condition(job, "Failed") &&
           !kube_bool_at(job, "spec", "suspend", NULL);
}

/* One try at a time, none after one that went well. */
static void check_tries(const struct flow_world *w, const struct json *a, const struct json *b)
{
    (void)w;
    if (a == b || !str_eq(label(a, LABEL_FLOW), label(b, LABEL_FLOW)) ||
        !str_eq(label(a, LABEL_FLOW_STEP), label(b, LABEL_FLOW_STEP)))
        return;
    assert_int_not_equal(attempt_of(a), attempt_of(b));
    assert_false(is_open(a) && is_open(b));
    if (attempt_of(a) < attempt_of(b))
        assert_false(has_condition(a, "Complete"));
}

/* What a step depends on runs no more once it has a Job. */
static void check_order(const struct play *play, int flow, int step)
{
    struct flow_world *w = play->world;
    char name[16];
    snprintf(name, sizeof(name), "s%d", step);
    if (!str_is_set(flow_world_job(w, flow_name(flow), name)))
        return;
    for (int d = 0; d < step; d++) {
        snprintf(name, sizeof(name), "s%d", d);
        struct str job = flow_world_job(w, flow_name(flow), name);
        if (play->depends[flow][step][d] && str_is_set(job))
            assert_false(is_open(flow_world_get(w, &kube_jobs, job)));
    }
}

static void check(const struct play *play)
{
    const struct flow_world *w = play->world;
    for (size_t i = 0; i < w->count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (w->objects[i].resource == &kube_jobs && w->objects[k].resource == &kube_jobs)
                check_tries(w, w->objects[i].json, w->objects[k].json);
        }
    }
    for (int flow = 0; flow < FLOWS; flow++) {
        for (int step = 0; step < play->steps[flow]; step++)
            check_order(play, flow, step);
    }
}

/* ---- Acts ---- */

static void end_a_job(struct play *play)
{
    struct flow_world *w = play->world;
    size_t open = 0;
    for (size_t i = 0; i < w->count; i++)
        open += w->objects[i].resource == &kube_jobs && is_open(w->objects[i].json);
    uint64_t n = open ? roll(play, open) : 0;
    for (size_t i = 0; i < w->count && open > 0; i++) {
        const struct json *job = w->objects[i].json;
        if (w->objects[i].resource != &kube_jobs || !is_open(job) || n-- > 0)
            continue;
        const char *flow = arena_copy(&w->arena, label(job, LABEL_FLOW)).ptr;
        const char *step = arena_copy(&w->arena, label(job, LABEL_FLOW_STEP)).ptr;
        if (roll(play, 4))
            flow_world_complete(w, flow, step);
        else
            flow_world_fail(w, flow, step, "BackoffLimitExceeded");
        return;
    }
}

/* Somebody tidies up. */
static void delete_a_job(struct play *play)
{
    struct flow_world *w = play->world;
    size_t count = flow_world_count(w, &kube_jobs);
    uint64_t n = count ? roll(play, count) : 0;
    for (size_t i = 0; i < w->count && count > 0; i++) {
        if (w->objects[i].resource != &kube_jobs || n-- > 0)
            continue;
        flow_world_delete(w, &kube_jobs,
                          kube_text_at(w->objects[i].json, "metadata", "name", NULL));
        return;
    }
}

static void decide(struct play *play, int flow)
{
    char patch[160];
    snprintf(patch, sizeof(patch),
             "{'metadata':{'annotations':{'approve.workflow.kube-zen.io/s%d':'%s'}}}",
             (int)roll(play, STEPS_MAX), roll(play, 3) ? "true" : "false");
    flow_world_merge(play->world, &kube_jobflows, str_from_cstr(flow_name(flow)), patch);
}

/* A part of a plan, or all of it; the process dies behind a part. */
static void control(struct play *play)
{
    struct flow_world *w = play->world;
    const char *flow = flow_name((int)roll(play, FLOWS));
    flow_world_reconcile(w, flow);
    assert_false(w->failed);
    size_t count = w->plan.action_count;
    size_t done = roll(play, 3) ? count : (size_t)roll(play, count + 1);
    flow_world_apply(w, done);
    if (done < count || roll(play, 20) == 0)
        flow_world_restart(w);
}

static void act(struct play *play)
{
    struct flow_world *w = play->world;
    switch (roll(play, 11)) {
    case 0:
    case 1:
    case 2:
        end_a_job(play);
        break;
    case 3:
        decide(play, (int)roll(play, FLOWS));
        break;
    case 4:
        w->now.now_ns += 3 * CLOCK_NS_PER_SEC;
        w->now.wall_ns += 3 * CLOCK_NS_PER_SEC;
        break;
    case 5:
        delete_a_job(play);
        break;
    default:
        control(play);
        break;
    }
    check(play);
}

static bool has_ended(struct play *play, int flow)
{
    const char *phase = flow_world_status(play->world, flow_name(flow), "phase");
    return strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
}

/* Nobody disturbs any more: Jobs end well, and what waits for a decision gets it. */
static void calm_down(struct play *play)
{
    struct flow_world *w = play->world;
    bool all = false;
    for (int round = 0; round < 200 && !all; round++) {
        flow_world_pass(w, 10);
        for (size_t i = 0; i < w->count; i++) {
            const struct json *job = w->objects[i].json;
            if (w->objects[i].resource == &kube_jobs && is_open(job))
                flow_world_complete(w, arena_copy(&w->arena, label(job, LABEL_FLOW)).ptr,
                                    arena_copy(&w->arena, label(job, LABEL_FLOW_STEP)).ptr);
        }
        all = true;
        for (int flow = 0; flow < FLOWS; flow++) {
            if (!has_ended(play, flow))
                decide(play, flow);
            all = all && has_ended(play, flow);
        }
        flow_world_settle(w);
        check(play);
    }
    for (int flow = 0; flow < FLOWS; flow++) {
        if (!has_ended(play, flow))
            fail_msg("seed %llu: %s does not end: %s: %s", (unsigned long long)play->seed,
                     flow_name(flow), flow_world_status(w, flow_name(flow), "phase"),
                     flow_world_steps(w, flow_name(flow)));
    }
}

static void whenever_it_dies_no_step_runs_twice_and_every_flow_ends(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        static struct flow_world world;
        struct play play = {.world = &world, .seed = seed};
        flow_world_init(&world, mem_system(), (int64_t)(seed % 3));
        random_seeded_init(&play.dice, TEST_SEED + seed);
        for (int flow = 0; flow < FLOWS; flow++) {
            make_flow(&play, flow);
            for (uint64_t acts = roll(&play, 20); acts > 0 && flow < FLOWS - 1; acts--)
                flow_world_pass(&world, 1);
        }
        for (int i = 0; i < ACTS; i++)
            act(&play);
        flow_world_restart(&world);
        calm_down(&play);
        flow_world_done(&world);
    }
}

/* ---- Memory ---- */

static void end_open_job(struct flow_world *w, const char *step)
{
    struct str job = flow_world_job(w, "f", step);
    if (str_is_set(job) && is_open(flow_world_get(w, &kube_jobs, job)))
        flow_world_complete(w, "f", step);
}

/* A flow from its beginning to its end, however often a reconcile fails. */
static void live(const struct mem *mem)
{
    static struct flow_world w;
    flow_world_init(&w, mem, 0);
    flow_world_create(&w, "f",
                      "'parameters':[{'name':'p','value':'x'}],'steps':[{'name':'a','outputs':{"
                      "'parameters':[{'name':'n','valueFrom':{'jsonPath':'$.status.succeeded'}}]}},"
                      "{'name':'b','dependencies':['a'],'when':'steps.a.outputs.n == 1'},"
                      "{'name':'c','type':'Manual','timeoutSeconds':5,'continueOnFailure':true}]");
    for (int turn = 0; turn < 20; turn++) {
        flow_world_reconcile(&w, "f");
        if (!w.failed)
            flow_world_apply(&w, PLAN_ACTIONS_MAX);
        w.now.now_ns += 2 * CLOCK_NS_PER_SEC;
        w.now.wall_ns += 2 * CLOCK_NS_PER_SEC;
        end_open_job(&w, turn % 2 ? "a" : "b");
    }
    assert_string_equal(flow_world_steps(&w, "f"), "a=Succeeded b=Succeeded c=Failed");
    assert_string_equal(flow_world_status(&w, "f", "phase"), "Succeeded");
    flow_world_done(&w);
}

static void whatever_allocation_fails_the_flow_ends_all_the_same(void **state)
{
    (void)state;
    for (size_t n = 1, failures = 1; failures > 0; n++) {
        struct test_mem mem;
        test_mem_init(&mem);
        mem.fail_at = n;
        live(&mem.mem);
        failures = mem.failures;
        test_mem_done(&mem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whenever_it_dies_no_step_runs_twice_and_every_flow_ends),
        cmocka_unit_test(whatever_allocation_fails_the_flow_ends_all_the_same),
    };
    return cmocka_run_group_tests_name("flow_crash", tests, NULL, NULL);
}
