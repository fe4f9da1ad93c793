/* What the metrics tell about flows: each end once, whoever leads, and never a value of anybody's. */
#include "unit/flow_world.h"

#include "base/metrics.h"

enum { LIMIT = 1 };

struct fixture {
    struct flow_world world;
    struct metrics metrics;
    struct flow_metrics flow;
    struct buf text;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct err err;
    flow_world_init(&f.world, mem_system(), LIMIT);
    metrics_init(&f.metrics, mem_system());
    flow_metrics_add(&f.flow, &f.metrics);
    assert_int_equal(metrics_check(&f.metrics, &err), 0);
    f.world.controller.metrics = &f.flow;
    buf_init(&f.text, mem_system(), 1 << 20);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    buf_done(&f->text);
    flow_world_done(&f->world);
    metrics_done(&f->metrics);
    return 0;
}

static const char *written(struct fixture *f)
{
    buf_clear(&f->text);
    metrics_write(&f->metrics, &f->text);
    return arena_copy(&f->world.arena, buf_str(&f->text)).ptr;
}

/* The sample is a whole line, value included. */
static void assert_sample(struct fixture *f, const char *sample)
{
    const char *line = arena_printf(&f->world.arena, "\n%s\n", sample).ptr;
    const char *text = written(f);
    if (!strstr(text, line))
        fail_msg("lacks %s in:\n%s", sample, text);
}

static void make(struct fixture *f, const char *name, const char *spec)
{
    flow_world_create(&f->world, name, spec);
    flow_world_settle(&f->world);
}

static void complete_after(struct fixture *f, const char *flow, const char *step, int64_t seconds)
{
    flow_world_pass(&f->world, seconds);
    flow_world_complete(&f->world, flow, step);
    flow_world_settle(&f->world);
}

static void a_flow_counts_with_its_phases_steps_and_times(void **state)
{
    struct fixture *f = *state;
    make(f, "m", "'steps':[{'name':'a'},{'name':'b','dependencies':['a']}]");
    assert_sample(f, "callboard_jobflow_active 1");
    complete_after(f, "m", "a", 4);
    complete_after(f, "m", "b", 20);
    flow_world_pass(&f->world, 2);
    assert_sample(f, "callboard_jobflow_active 0");
    assert_sample(f, "callboard_jobflow_phase_transitions_total{phase=\"Running\"} 1");
    assert_sample(f, "callboard_jobflow_phase_transitions_total{phase=\"Succeeded\"} 1");
    assert_sample(f, "callboard_jobflow_steps_total{phase=\"Succeeded\"} 2");
    assert_sample(f, "callboard_jobflow_duration_seconds_sum 24");
    assert_sample(f, "callboard_jobflow_step_duration_seconds_bucket{type=\"Job\",le=\"5\"} 1");
    assert_sample(f, "callboard_jobflow_step_duration_seconds_sum{type=\"Job\"} 24");
}

static void a_try_that_failed_is_a_retry_and_no_end(void **state)
{
    struct fixture *f = *state;
    make(f, "m",
         "'steps':[{'name':'a','retryPolicy':{'limit':1,'backoff':{'type':'Fixed','duration':'1s'}}"
         "},{'name':'b','dependencies':['a']}]");
    flow_world_fail(&f->world, "m", "a", "BackoffLimitExceeded");
    flow_world_settle(&f->world);
    flow_world_pass(&f->world, 5);
    assert_sample(f, "callboard_jobflow_step_retries_total 1");
    assert_null(strstr(written(f), "callboard_jobflow_steps_total{"));
    flow_world_fail(&f->world, "m", "a", "BackoffLimitExceeded");
    flow_world_settle(&f->world);
    assert_sample(f, "callboard_jobflow_step_retries_total 1");
    assert_sample(f, "callboard_jobflow_steps_total{phase=\"Failed\"} 1");
    assert_sample(f, "callboard_jobflow_steps_total{phase=\"Skipped\"} 1");
}

static void those_that_wait_show_by_their_priority(void **state)
{
    struct fixture *f = *state;
    make(f, "first", "'steps':[{'name':'a'}]");
    make(f, "low", "'executionPolicy':{'priority':'low'},'steps':[{'name':'a'}]");
    make(f, "high", "'executionPolicy':{'priority':'high'},'steps':[{'name':'a'}]");
    make(f, "blocked", "'executionPolicy':{'concurrencyGroup':'first'},'steps':[{'name':'a'}]");
    make(f, "other", "'steps':[{'name':'a'}]");
    assert_sample(f, "callboard_jobflow_active 1");
    assert_sample(f, "callboard_jobflow_waiting{priority=\"high\"} 1");
    assert_sample(f, "callboard_jobflow_waiting{priority=\"normal\"} 2");
    assert_sample(f, "callboard_jobflow_waiting{priority=\"low\"} 1");
}

static void what_ended_before_a_restart_is_not_counted_again(void **state)
{
    struct fixture *f = *state;
    make(f, "m", "'steps':[{'name':'a'},{'name':'b','dependencies':['a']}]");
    complete_after(f, "m", "a", 4);
    flow_world_pass(&f->world, 2);
    flow_world_restart(&f->world);
    flow_world_settle(&f->world);
    complete_after(f, "m", "b", 4);
    assert_sample(f, "callboard_jobflow_steps_total{phase=\"Succeeded\"} 2");
    assert_sample(f, "callboard_jobflow_step_duration_seconds_count{type=\"Job\"} 2");
}

static void no_value_and_no_name_of_a_user_is_in_them(void **state)
{
    struct fixture *f = *state;
    make(f, "m",
         "'parameters':[{'name':'p','value':'hush-parameter'}],'steps':[{'name':'hush-step',"
         "'outputs':{'parameters':[{'name':'o','valueFrom':{'jsonPath':'$.status.hush'}}]}}]");
    flow_world_merge(&f->world, &kube_jobs, flow_world_job(&f->world, "m", "hush-step"),
                     "{'status':{'hush':'hush-output'}}");
    complete_after(f, "m", "hush-step", 2);
    flow_world_pass(&f->world, 2);
    assert_string_equal(flow_world_step(&f->world, "m", "hush-step", "outputs"),
                        "{\"o\":\"hush-output\"}");
    assert_sample(f, "callboard_jobflow_steps_total{phase=\"Succeeded\"} 1");
    assert_null(strstr(written(f), "hush"));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_flow_counts_with_its_phases_steps_and_times),
        TEST(a_try_that_failed_is_a_retry_and_no_end),
        TEST(those_that_wait_show_by_their_priority),
        TEST(what_ended_before_a_restart_is_not_counted_again),
        TEST(no_value_and_no_name_of_a_user_is_in_them),
    };
    return cmocka_run_group_tests_name("flow_metrics", tests, NULL, NULL);
}
