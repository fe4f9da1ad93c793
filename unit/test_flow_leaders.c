/*
 * What another process has written: one that led for a moment beside this one, or before it. What the stored
 * status tells of a step holds, and the run of this process is read from it anew; what users change of a
 * flow costs nothing of the kind.
 */
#include "unit/flow_world.h"

struct fixture {
    struct flow_world world;
    struct test_mem mem; /* of runs and plans */
};

static int set_up(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    test_mem_init(&f->mem);
    flow_world_init(&f->world, &f->mem.mem, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    flow_world_done(&f->world);
    test_mem_done(&f->mem);
    test_free(f);
    return 0;
}

static void begin(struct flow_world *w, const char *steps)
{
    flow_world_create(w, "f", steps);
    flow_world_settle(w);
    flow_world_pass(w, 2);
}

/* Somebody else writes the status. */
static void tell(struct flow_world *w, const char *status)
{
    flow_world_merge(w, &kube_jobflows, STR("f"), status);
}

/* ---- Steps ---- */

static void a_step_that_another_process_has_ended_stays_so(void **state)
{
    static const struct {
        const char *told, *steps, *phase;
    } cases[] = {
        {"{'status':{'steps':[{'name':'a','phase':'Failed','reason':'Timeout'},{'name':'b',"
         "'phase':'Skipped','reason':'DependencyFailed'}]}}",
         "a=Failed b=Skipped", "Failed"},
        {"{'status':{'steps':[{'name':'a','phase':'Succeeded'},{'name':'b','phase':'Pending'}]}}",
         "a=Succeeded b=Running", "Running"},
        {"{'status':{'steps':[{'name':'a','phase':'Succeeded'},{'name':'b','phase':'Failed',"
         "'reason':'JobRefused'}]}}",
         "a=Succeeded b=Failed", "Failed"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *f;
        set_up((void **)&f);
        struct flow_world *w = &f->world;
        begin(w, "'steps':[{'name':'a'},{'name':'b','dependencies':['a']}]");
        assert_string_equal(flow_world_steps(w, "f"), "a=Running b=Pending");
        tell(w, cases[i].told);
        flow_world_pass(w, 3);
        assert_string_equal(flow_world_steps(w, "f"), cases[i].steps);
        assert_string_equal(flow_world_status(w, "f", "phase"), cases[i].phase);
        tear_down((void **)&f);
    }
}

/* It is made by the caches as they were before, and meets what was written since. */
static void a_plan_that_meets_a_conflict_is_made_anew_of_what_is_stored(void **state)
{
    struct flow_world *w = &((struct fixture *)*state)->world;
    begin(w, "'steps':[{'name':'a'},{'name':'b','dependencies':['a']}]");
    flow_world_complete(w, "f", "a");
    flow_world_reconcile(w, "f");
    assert_string_equal(flow_world_actions(w), "create Job");
    assert_true(flow_world_apply(w, PLAN_ACTIONS_MAX));
    w->now.now_ns += 2 * CLOCK_NS_PER_SEC;
    w->now.wall_ns += 2 * CLOCK_NS_PER_SEC;
    flow_world_reconcile(w, "f");
    assert_string_equal(flow_world_actions(w), "write status");
    tell(w, "{'status':{'steps':[{'name':'a','phase':'Failed','reason':'Timeout'},{'name':'b',"
            "'phase':'Skipped','reason':'DependencyFailed'}]}}");
    assert_false(flow_world_apply(w, PLAN_ACTIONS_MAX));
    flow_world_pass(w, 3);
    assert_string_equal(flow_world_steps(w, "f"), "a=Failed b=Skipped");
}

/* ---- What the status does not tell yet ---- */

/* It is written at most once a second, and the process dies before. */
static void a_failure_skips_no_performer_that_was_made(void **state)
{
    (void)state;
    for (int restarts = 0; restarts < 2; restarts++) {
        struct fixture *f;
        set_up((void **)&f);
        struct flow_world *w = &f->world;
        flow_world_create(
            w, "f",
            "'steps':[{'name':'a'},{'name':'m','type':'Performer','template':{'spec':{"
            "'avsAddress':'0x1','image':'i:1'}}}]");
        flow_world_reconcile(w, "f");
        assert_true(flow_world_apply(w, PLAN_ACTIONS_MAX));
        assert_int_equal(flow_world_count(w, &kube_performers), 1);
        flow_world_fail(w, "f", "a", "BackoffLimitExceeded");
        if (restarts)
            flow_world_restart(w);
        flow_world_pass(w, 2);
        assert_string_equal(flow_world_steps(w, "f"), "a=Failed m=Running");
        tear_down((void **)&f);
    }
}

static void a_performer_is_seen_behind_a_job_that_cannot_be_made(void **state)
{
    struct flow_world *w = &((struct fixture *)*state)->world;
    flow_world_create(w, "f",
                      "'steps':[{'name':'a'},{'name':'m','type':'Performer','template':{'spec':{"
                      "'avsAddress':'0x1','image':'i:1'}}}]");
    flow_world_reconcile(w, "f");
    assert_string_equal(flow_world_actions(w), "write status, create Job, create Performer");
    /* The Job is gone when the caches show the Performer. */
    assert_true(flow_world_apply(w, PLAN_ACTIONS_MAX));
    flow_world_delete(w, &kube_jobs, flow_world_job(w, "f", "a"));
    flow_world_reconcile(w, "f");
    w->now.now_ns += 2 * CLOCK_NS_PER_SEC;
    w->now.wall_ns += 2 * CLOCK_NS_PER_SEC;
    flow_world_reconcile(w, "f");
    flow_world_apply(w, PLAN_ACTIONS_MAX);
    assert_string_equal(flow_world_step(w, "f", "m", "phase"), "Running");
}

/* Its ConfigMap may be there when another process looks, and the step would run after finally. */
static void finally_begins_when_the_status_tells_how_the_others_have_ended(void **state)
{
    struct flow_world *w = &((struct fixture *)*state)->world;
    flow_world_create(w, "f",
                      "'steps':[{'name':'a','inputs':{'parameters':[{'name':'p','valueFrom':{"
                      "'configMapKeyRef':{'name':'none','key':'k'}}}]}}],'finally':[{'name':'z'}]");
    for (int look = 0; look < 6 && !str_is_set(flow_world_job(w, "f", "z")); look++) {
        flow_world_reconcile(w, "f");
        for (size_t i = 0; i < w->plan.action_count; i++)
            if (strcmp(w->plan.actions[i].purpose, "create Job") == 0)
                assert_string_equal(flow_world_steps(w, "f"), "a=Failed z=Pending");
        assert_true(flow_world_apply(w, PLAN_ACTIONS_MAX));
    }
    assert_true(str_is_set(flow_world_job(w, "f", "z")));
}

/* ---- What nobody can tell any more ---- */

static void delete_children(struct flow_world *w)
{
    for (size_t i = w->count; i-- > 0;) {
        const struct flow_object_of_world *object = &w->objects[i];
        if (object->resource == &kube_jobs || object->resource == &kube_performers)
            flow_world_delete(w, object->resource,
                              kube_text_at(object->json, "metadata", "name", NULL));
    }
}

/* The status did not tell how it ended, and who cleans up has deleted its Job: the step behind it, which has failed
 * once and is to be tried again, has begun all the same. */
static void a_step_behind_which_one_has_begun_is_not_run_again(void **state)
{
#define VALUE                                                                         \
    "'inputs':{'parameters':[{'name':'p','valueFrom':{'configMapKeyRef':{'name':'c'," \
    "'key':'k'}}}]}"
#define PERFORMER "'type':'Performer','template':{'spec':{'avsAddress':'0x1','image':'i:1'}}"
    static const struct {
        const char *members; /* of the step a */
        const char *told;    /* of it */
        const char *steps, *reason;
    } cases[] = {
        {"", "'phase':'Running','startTime':'2026-01-02T03:04:05Z'", "a=Succeeded b=Running(1)",
         "ResultLost"},
        {"", "'phase':'Pending'", "a=Succeeded b=Running(1)", "ResultLost"},
        {",'continueOnFailure':true", "'phase':'Pending'", "a=Failed b=Running(1)", "ResultLost"},
        {",'when':'never'", "'phase':'Pending'", "a=Skipped b=Running(1)", "ConditionFalse"},
        {"," VALUE, "'phase':'Pending'", "a=Succeeded b=Running(1)", "ResultLost"},
        {",'when':'always'," VALUE, "'phase':'Pending'", "a=Skipped b=Running(1)", "ResultLost"},
        {",'continueOnFailure':true," VALUE, "'phase':'Pending'", "a=Failed b=Running(1)",
         "ValueInvalid"},
        {",'retryPolicy':{'limit':1}",
         "'phase':'Pending','reason':'JobFailed','startTime':'2026-01-02T03:04:05Z','retryCount':1,"
         "'nextRetryTime':'2026-01-02T03:04:08Z'",
         "a=Succeeded(1) b=Running(1)", "ResultLost"},
        {"," PERFORMER, "'phase':'Running','startTime':'2026-01-02T03:04:05Z'",
         "a=Succeeded b=Running(1)", "ResultLost"},
        {"," PERFORMER, "'phase':'Pending'", "a=Succeeded b=Running(1)", "ResultLost"},
        {",'continueOnFailure':true," PERFORMER, "'phase':'Pending'", "a=Failed b=Running(1)",
         "ResultLost"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *f;
        set_up((void **)&f);
        struct flow_world *w = &f->world;
        begin(w, arena_printf(&w->arena,
                              "'steps':[{'name':'a'%s},{'name':'b','dependencies':['a'],"
                              "'retryPolicy':{'limit':1}}]",
                              cases[i].members)
                     .ptr);
        flow_world_restart(w);
        delete_children(w);
        tell(w, arena_printf(&w->arena,
                             "{'status':{'phase':'Running','completionTime':null,'steps':[{'name':"
                             "'a',%s},{'name':'b','phase':'Pending','reason':'JobFailed',"
                             "'startTime':'2026-01-02T03:04:06Z','retryCount':1}]}}",
                             cases[i].told)
                    .ptr);
        flow_world_pass(w, 15);
        assert_string_equal(flow_world_steps(w, "f"), cases[i].steps);
        assert_string_equal(flow_world_step(w, "f", "a", "reason"), cases[i].reason);
        assert_string_equal(flow_world_jobs(w, "f"), "b");
        assert_int_equal(flow_world_count(w, &kube_performers), 0);
        tear_down((void **)&f);
    }
#undef VALUE
#undef PERFORMER
}

/* Its Job tells of what is between. */
static void what_a_step_depends_on_through_others_is_not_run_again_either(void **state)
{
    struct flow_world *w = &((struct fixture *)*state)->world;
    flow_world_create(w, "f",
                      "'steps':[{'name':'a'},{'name':'n','dependencies':['a'],'when':'never'},{"
                      "'name':'b','dependencies':['n']}]");
    flow_world_settle(w);
    flow_world_complete(w, "f", "a");
    flow_world_settle(w);
    assert_string_equal(flow_world_steps(w, "f"), "a=Pending n=Pending b=Pending");
    flow_world_restart(w);
    flow_world_delete(w, &kube_jobs, flow_world_job(w, "f", "a"));
    flow_world_pass(w, 15);
    assert_string_equal(flow_world_jobs(w, "f"), "b");
    assert_string_equal(flow_world_steps(w, "f"), "a=Succeeded n=Skipped b=Running");
}

/* ---- Late caches ---- */

/* The status that another process has written may be ahead of the cache of Jobs. */
static void a_job_that_the_cache_does_not_show_yet_is_not_lost(void **state)
{
    static const struct {
        bool is_there; /* at the server */
        const char *patch;
        const char *steps;
    } cases[] = {
        {true, "{'metadata':{'annotations':{'seen':'late'}}}", "a=Running"},
        {true, "{'status':{'conditions':[{'type':'Complete','status':'True'}]}}", "a=Succeeded"},
        {true, "{'metadata':{'labels':{'workflow.kube-zen.io/attempt':'7'}}}", "a=Failed"},
        {false, NULL, "a=Failed"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *f;
        set_up((void **)&f);
        struct flow_world *w = &f->world;
        begin(w, "'steps':[{'name':'a'}]");
        struct str job = flow_world_job(w, "f", "a");
        flow_world_restart(w);
        flow_world_hide(w, &kube_jobs, job);
        if (!cases[i].is_there)
            flow_world_delete(w, &kube_jobs, job);
        flow_world_pass(w, 25);
        if (cases[i].is_there) {
            assert_string_equal(flow_world_steps(w, "f"), "a=Running");
            flow_world_merge(w, &kube_jobs, job, cases[i].patch);
        }
        flow_world_pass(w, 25);
        assert_string_equal(flow_world_steps(w, "f"), cases[i].steps);
        tear_down((void **)&f);
    }
}

static void a_job_that_goes_after_the_cache_has_shown_it_late_is_lost(void **state)
{
    struct flow_world *w = &((struct fixture *)*state)->world;
    begin(w, "'steps':[{'name':'a'}]");
    struct str job = flow_world_job(w, "f", "a");
    flow_world_restart(w);
    flow_world_hide(w, &kube_jobs, job);
    flow_world_settle(w);
    flow_world_merge(w, &kube_jobs, job, "{'metadata':{'annotations':{'seen':'late'}}}");
    flow_world_settle(w);
    flow_world_delete(w, &kube_jobs, job);
    flow_world_pass(w, 2);
    assert_string_equal(flow_world_step(w, "f", "a", "reason"), "JobLost");
}

/* The server is asked for all of them, every ten seconds. */
static void several_jobs_that_the_cache_shows_late_are_awaited_together(void **state)
{
    struct flow_world *w = &((struct fixture *)*state)->world;
    begin(w, "'steps':[{'name':'a'},{'name':'b'},{'name':'c'}]");
    flow_world_restart(w);
    static const char *const steps[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++)
        flow_world_hide(w, &kube_jobs, flow_world_job(w, "f", steps[i]));
    flow_world_pass(w, 1);
    size_t before = w->reconciles;
    flow_world_pass(w, 60);
    assert_in_range(w->reconciles - before, 6, 30);
    assert_string_equal(flow_world_steps(w, "f"), "a=Running b=Running c=Running");
    delete_children(w);
    flow_world_pass(w, 25);
    assert_string_equal(flow_world_steps(w, "f"), "a=Failed b=Failed c=Failed");
    assert_string_equal(flow_world_step(w, "f", "c", "reason"), "JobLost");
}

/* ---- The start ---- */

static void a_start_that_another_process_has_written_stays(void **state)
{
    struct flow_world *w = &((struct fixture *)*state)->world;
    flow_world_create(w, "f", "'steps':[{'name':'a'}]");
    flow_world_reconcile(w, "f");
    tell(w, "{'status':{'phase':'Running','startTime':'2026-01-02T03:04:03Z'}}");
    assert_false(flow_world_apply(w, PLAN_ACTIONS_MAX));
    flow_world_pass(w, 3);
    assert_string_equal(flow_world_status(w, "f", "startTime"), "2026-01-02T03:04:03Z");
    assert_string_equal(flow_world_steps(w, "f"), "a=Running");
}

static void resources_that_another_process_has_made_are_not_made_again(void **state)
{
    struct flow_world *w = &((struct fixture *)*state)->world;
    flow_world_create(w, "f",
                      "'resourceTemplates':{'configMapTemplates':[{'metadata':{'name':'conf'}}]},"
                      "'steps':[{'name':'a'}]");
    flow_world_reconcile(w, "f");
    assert_true(flow_world_apply(w, 1)); /* the start */
    tell(w, "{'status':{'resourceRefs':[{'kind':'ConfigMap','name':'conf','uid':'u'}]}}");
    flow_world_reconcile(w, "f");
    assert_string_equal(flow_world_actions(w), "create Job");
}

/* ---- A refusal ---- */

/* What is told of a refused Job goes with the status as it was: when that has changed, the next plan tells. */
static void a_refusal_does_not_write_over_what_another_process_has_told(void **state)
{
    struct flow_world *w = &((struct fixture *)*state)->world;
    begin(w, "'steps':[{'name':'a'},{'name':'b','dependencies':['a']}]");
    flow_world_complete(w, "f", "a");
    flow_world_reconcile(w, "f");
    assert_string_equal(flow_world_actions(w), "create Job");
    tell(w, "{'status':{'steps':[{'name':'a','phase':'Failed','reason':'Timeout'},{'name':'b',"
            "'phase':'Skipped','reason':'DependencyFailed'}]}}");
    w->refuse = &kube_jobs;
    w->refuse_outcome = KUBE_INVALID;
    assert_false(flow_world_apply(w, PLAN_ACTIONS_MAX));
    assert_string_equal(flow_world_steps(w, "f"), "a=Failed b=Skipped");
    flow_world_pass(w, 3);
    assert_string_equal(flow_world_steps(w, "f"), "a=Failed b=Skipped");
    assert_string_equal(flow_world_status(w, "f", "phase"), "Failed");
}

/* ---- Users ---- */

/* How much memory a look at the flow asks for. */
static size_t calls_of_a_look(struct fixture *f)
{
    size_t before = f->mem.calls;
    flow_world_reconcile(&f->world, "f");
    assert_int_equal(f->world.plan.action_count, 0);
    return f->mem.calls - before;
}

static void what_users_change_lets_the_run_be(void **state)
{
    struct fixture *f = *state;
    begin(&f->world, "'steps':[{'name':'a'},{'name':'b','dependencies':['a']}]");
    calls_of_a_look(f);
    size_t before = calls_of_a_look(f);
    tell(&f->world, "{'metadata':{'annotations':{'note':'mine'}}}");
    assert_int_equal(calls_of_a_look(f), before);
    tell(&f->world, "{'status':{'steps':[{'name':'a','phase':'Running'}]}}");
    assert_true(calls_of_a_look(f) > before);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_that_another_process_has_ended_stays_so),
        WORLD(a_plan_that_meets_a_conflict_is_made_anew_of_what_is_stored),
        cmocka_unit_test(a_failure_skips_no_performer_that_was_made),
        WORLD(a_performer_is_seen_behind_a_job_that_cannot_be_made),
        WORLD(finally_begins_when_the_status_tells_how_the_others_have_ended),
        cmocka_unit_test(a_step_behind_which_one_has_begun_is_not_run_again),
        WORLD(what_a_step_depends_on_through_others_is_not_run_again_either),
        cmocka_unit_test(a_job_that_the_cache_does_not_show_yet_is_not_lost),
        WORLD(a_job_that_goes_after_the_cache_has_shown_it_late_is_lost),
        WORLD(several_jobs_that_the_cache_shows_late_are_awaited_together),
        WORLD(a_start_that_another_process_has_written_stays),
        WORLD(resources_that_another_process_has_made_are_not_made_again),
        WORLD(a_refusal_does_not_write_over_what_another_process_has_told),
        WORLD(what_users_change_lets_the_run_be),
    };
    return cmocka_run_group_tests_name("flow_leaders", tests, NULL, NULL);
}
