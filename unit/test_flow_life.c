/* The life of a JobFlow: what is made when, what the status says, and how it ends. */
#include "unit/flow_world.h"

#include <stdio.h>

static int set_up(void **state)
{
    struct flow_world *w = test_calloc(1, sizeof(*w));
    flow_world_init(w, mem_system(), 0);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    flow_world_done(*state);
    test_free(*state);
    return 0;
}

#define FLOW(w, name, spec)               \
    do {                                  \
        flow_world_create(w, name, spec); \
        flow_world_settle(w);             \
    } while (0)

static void done(struct flow_world *w, const char *flow, const char *step)
{
    flow_world_complete(w, flow, step);
    flow_world_settle(w);
}

static void failed(struct flow_world *w, const char *flow, const char *step)
{
    flow_world_fail(w, flow, step, "BackoffLimitExceeded");
    flow_world_settle(w);
}

static const char *phase(struct flow_world *w, const char *flow)
{
    return flow_world_status(w, flow, "phase");
}

static const char *condition(struct flow_world *w, const char *flow, const char *type,
                             const char *field)
{
    const struct json *object = flow_world_get(w, &kube_jobflows, str_from_cstr(flow));
    struct str text = kube_text_at(kube_condition(object, type), field, NULL);
    return str_is_set(text) ? arena_copy(&w->arena, text).ptr : "";
}

/* ---- Order ---- */

static void a_diamond_runs_in_the_order_of_its_dependencies(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "d",
         "'steps':[{'name':'a'},{'name':'b','dependencies':['a']},"
         "{'name':'c','dependencies':['a']},{'name':'d','dependencies':['b','c']}]");
    assert_string_equal(phase(w, "d"), "Running");
    assert_string_equal(flow_world_jobs(w, "d"), "a");
    done(w, "d", "a");
    assert_string_equal(flow_world_jobs(w, "d"), "a b c");
    done(w, "d", "c");
    assert_string_equal(flow_world_jobs(w, "d"), "a b c");
    done(w, "d", "b");
    assert_string_equal(flow_world_jobs(w, "d"), "a b c d");
    flow_world_pass(w, 2);
    assert_string_equal(flow_world_steps(w, "d"), "a=Succeeded b=Succeeded c=Succeeded d=Running");
    done(w, "d", "d");
    assert_string_equal(phase(w, "d"), "Succeeded");
    assert_string_equal(condition(w, "d", "Completed", "status"), "True");
    assert_string_equal(flow_world_status(w, "d", "progress"),
                        "{\"completedSteps\":4,\"totalSteps\":4,\"successfulSteps\":4,"
                        "\"failedSteps\":0}");
    assert_string_equal(flow_world_status(w, "d", "audit"),
                        "{\"initiatedBy\":{\"user\":\"ann\",\"type\":\"User\"},"
                        "\"correlationID\":\"c-1\"}");
}

static void the_status_says_running_before_the_first_job_is_made(void **state)
{
    struct flow_world *w = *state;
    flow_world_create(w, "f", "'steps':[{'name':'a'}]");
    flow_world_reconcile(w, "f");
    assert_string_equal(flow_world_actions(w), "write status, create Job");
    assert_string_equal(flow_world_events(w), "Started");
}

static void a_flow_that_changes_before_it_started_is_read_anew(void **state)
{
    struct flow_world *w = *state;
    flow_world_create(w, "f", "'steps':[{'name':'a'}]");
    flow_world_reconcile(w, "f");
    flow_world_merge(w, &kube_jobflows, STR("f"), "{'metadata':{'labels':{'x':'y'}}}");
    assert_false(flow_world_apply(w, PLAN_ACTIONS_MAX));
    assert_string_equal(flow_world_jobs(w, "f"), "");
    flow_world_settle(w);
    assert_string_equal(flow_world_jobs(w, "f"), "a");
}

static void a_wide_flow_is_started_in_several_plans(void **state)
{
    struct flow_world *w = *state;
    struct buf spec;
    buf_init(&spec, arena_mem(&w->arena), 1 << 20);
    buf_put(&spec, STR("'steps':["));
    for (int i = 0; i < 100; i++)
        buf_printf(&spec, "%s{'name':'s%d'}", i ? "," : "", i);
    buf_put(&spec, STR("]"));
    FLOW(w, "wide", arena_copy(&w->arena, buf_str(&spec)).ptr);
    assert_int_equal(flow_world_count(w, &kube_jobs), 100);
}

static void parallelism_limits_what_runs_at_once(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "p",
         "'executionPolicy':{'parallelism':2},'steps':[{'name':'a'},{'name':'b'},{'name':'c'}]");
    assert_string_equal(flow_world_jobs(w, "p"), "a b");
    done(w, "p", "b");
    assert_string_equal(flow_world_jobs(w, "p"), "a b c");
}

/* ---- Conditions ---- */

static void a_condition_that_is_false_skips_its_step_and_satisfies_the_next(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "c",
         "'parameters':[{'name':'env','value':'prod'}],"
         "'steps':[{'name':'a','when':'parameters.env == \\'dev\\''},"
         "{'name':'b','dependencies':['a'],'when':'steps.a.phase == \\'Skipped\\''}]");
    assert_string_equal(flow_world_jobs(w, "c"), "b");
    flow_world_pass(w, 2);
    assert_string_equal(flow_world_step(w, "c", "a", "reason"), "ConditionFalse");
}

static void a_flow_whose_steps_are_all_skipped_succeeds_at_once(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "n",
         "'steps':[{'name':'a','when':'never'},{'name':'b','dependencies':['a'],"
         "'when':'never'}]");
    flow_world_pass(w, 2);
    assert_string_equal(phase(w, "n"), "Succeeded");
    assert_string_equal(flow_world_steps(w, "n"), "a=Skipped b=Skipped");
}

/* ---- Failures ---- */

static void after_a_failure_nothing_starts_what_runs_ends_and_finally_runs(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "f",
         "'steps':[{'name':'bad'},{'name':'runs'},{'name':'next','dependencies':['bad']},"
         "{'name':'other','dependencies':['runs']}],"
         "'finally':[{'name':'tidy','when':'steps.bad.phase == \\'Failed\\''},"
         "{'name':'last','dependencies':['tidy']}]");
    failed(w, "f", "bad");
    flow_world_pass(w, 2);
    assert_string_equal(
        flow_world_steps(w, "f"),
        "bad=Failed runs=Running next=Skipped other=Skipped tidy=Pending last=Pending");
    assert_string_equal(flow_world_step(w, "f", "next", "reason"), "DependencyFailed");
    assert_string_equal(flow_world_step(w, "f", "other", "reason"), "FlowFailed");
    assert_string_equal(flow_world_jobs(w, "f"), "bad runs");
    done(w, "f", "runs");
    assert_string_equal(flow_world_jobs(w, "f"), "bad runs tidy");
    done(w, "f", "tidy");
    done(w, "f", "last");
    flow_world_pass(w, 2);
    assert_string_equal(phase(w, "f"), "Failed");
    assert_string_equal(condition(w, "f", "Failed", "reason"), "StepFailed");
    assert_string_equal(condition(w, "f", "Failed", "message"), "step bad: JobFailed: told so");
}

static void a_step_that_may_fail_lets_the_flow_go_on(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "t",
         "'steps':[{'name':'a','continueOnFailure':true},{'name':'b','dependencies':['a']}]");
    failed(w, "t", "a");
    done(w, "t", "b");
    assert_string_equal(phase(w, "t"), "Succeeded");
}

/* ---- Retries ---- */

struct backoff_case {
    const char *backoff;
    int64_t waits_s[3];
};

static void a_failed_step_is_tried_again_after_its_backoff(void **state)
{
    static const struct backoff_case cases[] = {
        {"'type':'Fixed','duration':'7s'", {7, 7, 7}},
        {"'type':'Linear','duration':'7s'", {7, 14, 21}},
        {"'type':'Exponential','duration':'7s'", {7, 14, 28}},
        {"'type':'Exponential','factor':3,'duration':'7s'", {7, 21, 63}},
        {"'type':'Exponential'", {10, 20, 40}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct flow_world *w;
        set_up((void **)&w);
        FLOW(w, "r",
             arena_printf(&w->arena,
                          "'steps':[{'name':'a','retryPolicy':{'limit':3,'backoff':{%s}}}]",
                          cases[i].backoff)
                 .ptr);
        for (size_t n = 0; n < 3; n++) {
            failed(w, "r", "a");
            assert_int_equal(flow_world_count(w, &kube_jobs), n + 1);
            flow_world_pass(w, cases[i].waits_s[n] - 1);
            assert_int_equal(flow_world_count(w, &kube_jobs), n + 1);
            flow_world_pass(w, 2);
            assert_int_equal(flow_world_count(w, &kube_jobs), n + 2);
        }
        failed(w, "r", "a");
        flow_world_pass(w, 2);
        assert_string_equal(phase(w, "r"), "Failed");
        assert_string_equal(flow_world_steps(w, "r"), "a=Failed(3)");
        assert_int_equal(flow_world_count(w, &kube_jobs), 4);
        tear_down((void **)&w);
    }
}

static void while_a_step_waits_for_its_retry_the_status_says_when(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "r", "'steps':[{'name':'a','retryPolicy':{'backoff':{'duration':'1m'}}}]");
    flow_world_pass(w, 5);
    failed(w, "r", "a");
    flow_world_pass(w, 1);
    assert_string_equal(flow_world_steps(w, "r"), "a=Pending(1)");
    assert_string_equal(flow_world_step(w, "r", "a", "nextRetryTime"), "2026-01-02T03:05:10Z");
    assert_string_equal(flow_world_step(w, "r", "a", "reason"), "JobFailed");
}

static void the_flow_limits_the_retries_of_all_its_steps_together(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "l",
         "'executionPolicy':{'backoffLimit':1},'steps':["
         "{'name':'a','continueOnFailure':true,'retryPolicy':{'limit':5}},"
         "{'name':'b','continueOnFailure':true,'retryPolicy':{'limit':5}}]");
    failed(w, "l", "a");
    failed(w, "l", "b");
    flow_world_pass(w, 30);
    assert_string_equal(flow_world_jobs(w, "l"), "a b a");
    assert_string_equal(flow_world_steps(w, "l"), "a=Running(1) b=Failed");
}

/* a waits for its retry, or for room, when the failure of b stops the flow. */
static void a_retry_that_is_not_taken_is_left_for_finally(void **state)
{
    (void)state;
    for (int is_ready = 0; is_ready < 2; is_ready++) {
        struct flow_world *w;
        set_up((void **)&w);
        FLOW(w, "l",
             "'executionPolicy':{'backoffLimit':1,'parallelism':2},'steps':[{'name':'a',"
             "'retryPolicy':{'limit':1,'backoff':{'duration':'10s'}}},{'name':'b'},{'name':'c'}],"
             "'finally':[{'name':'z','retryPolicy':{'limit':1,'backoff':{'duration':'1s'}}}]");
        failed(w, "l", "a");
        assert_string_equal(flow_world_jobs(w, "l"), "a b c");
        flow_world_pass(w, is_ready ? 11 : 5);
        failed(w, "l", "b");
        done(w, "l", "c");
        failed(w, "l", "z");
        flow_world_pass(w, 3);
        assert_string_equal(flow_world_steps(w, "l"), "a=Failed b=Failed c=Succeeded z=Running(1)");
        tear_down((void **)&w);
    }
}

static void a_job_that_somebody_deletes_is_a_failed_try(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "g", "'steps':[{'name':'a','retryPolicy':{'limit':1,'backoff':{'duration':'3s'}}}]");
    flow_world_delete(w, &kube_jobs, flow_world_job(w, "g", "a"));
    flow_world_pass(w, 4);
    assert_string_equal(flow_world_steps(w, "g"), "a=Running(1)");
    flow_world_delete(w, &kube_jobs, flow_world_job(w, "g", "a"));
    flow_world_pass(w, 4);
    assert_string_equal(flow_world_step(w, "g", "a", "reason"), "JobLost");
    assert_string_equal(phase(w, "g"), "Failed");
}

static void a_job_that_is_deleted_when_it_has_ended_changes_nothing(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "g", "'steps':[{'name':'a'},{'name':'b','dependencies':['a']}]");
    done(w, "g", "a");
    flow_world_pass(w, 2);
    flow_world_delete(w, &kube_jobs, flow_world_job(w, "g", "a"));
    flow_world_settle(w);
    flow_world_restart(w);
    flow_world_settle(w);
    assert_string_equal(flow_world_jobs(w, "g"), "b");
    assert_string_equal(flow_world_steps(w, "g"), "a=Succeeded b=Running");
}

static void a_timeout_and_a_pod_failure_policy_are_told_apart(void **state)
{
    static const struct {
        const char *reason, *told;
        size_t jobs;
    } cases[] = {
        {"DeadlineExceeded", "Timeout", 2},
        {"PodFailurePolicy", "PodFailurePolicy", 1},
        {"BackoffLimitExceeded", "JobFailed", 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct flow_world *w;
        set_up((void **)&w);
        FLOW(w, "x",
             "'steps':[{'name':'a','retryPolicy':{'limit':1,'backoff':{'duration':'1s'}}}]");
        for (int n = 0; n < 2; n++) {
            flow_world_fail(w, "x", "a", cases[i].reason);
            flow_world_pass(w, 3);
        }
        assert_string_equal(flow_world_step(w, "x", "a", "reason"), cases[i].told);
        assert_int_equal(flow_world_count(w, &kube_jobs), cases[i].jobs);
        tear_down((void **)&w);
    }
}

/* ---- What the server refuses ---- */

static void a_job_that_is_refused_fails_its_step_without_a_retry(void **state)
{
    struct flow_world *w = *state;
    flow_world_create(w, "r", "'steps':[{'name':'a','retryPolicy':{'limit':3}}]");
    w->refuse = &kube_jobs;
    w->refuse_outcome = KUBE_INVALID;
    flow_world_settle(w);
    w->refuse = &kube_jobs;
    flow_world_pass(w, 3);
    assert_string_equal(phase(w, "r"), "Failed");
    assert_string_equal(flow_world_step(w, "r", "a", "reason"), "JobRefused");
    assert_int_equal(flow_world_count(w, &kube_jobs), 0);
}

static void a_job_that_a_quota_forbids_is_tried_again(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "q", "'steps':[{'name':'a'},{'name':'b','dependencies':['a']}]");
    flow_world_pass(w, 2);
    w->refuse = &kube_jobs;
    w->refuse_outcome = KUBE_FORBIDDEN_BY;
    flow_world_complete(w, "q", "a");
    flow_world_reconcile(w, "q");
    assert_false(flow_world_apply(w, PLAN_ACTIONS_MAX));
    assert_string_equal(flow_world_step(w, "q", "b", "reason"), "JobForbidden");
    flow_world_settle(w);
    assert_string_equal(flow_world_jobs(w, "q"), "a b");
    flow_world_pass(w, 2);
    assert_string_equal(flow_world_step(w, "q", "b", "reason"), "");
}

static void a_name_that_somebody_else_has_fails_the_flow(void **state)
{
    struct flow_world *w = *state;
    flow_world_add(w, &kube_config_maps, "{'metadata':{'name':'settings'}}");
    FLOW(w, "n",
         "'resourceTemplates':{'configMapTemplates':[{'metadata':{'name':'settings'}}]},"
         "'steps':[{'name':'a'}]");
    flow_world_pass(w, 2);
    assert_string_equal(phase(w, "n"), "Failed");
    assert_string_equal(condition(w, "n", "Failed", "reason"), "ResourceRefused");
    assert_int_equal(flow_world_count(w, &kube_jobs), 0);
}

/* ---- Resources and values ---- */

/* Its Job was made by the same plan, and the caches did not show it when the next one was refused. */
static void a_refusal_ends_no_step_whose_job_was_just_made(void **state)
{
    struct flow_world *w = *state;
    flow_world_create(w, "t", "'steps':[{'name':'a'},{'name':'b'}]");
    flow_world_reconcile(w, "t");
    assert_string_equal(flow_world_actions(w), "write status, create Job, create Job");
    flow_world_add(w, &kube_jobs,
                   arena_printf(&w->arena, "{'metadata':{'name':'%" PRIstr "'}}",
                                STR_ARG(w->plan.actions[2].name))
                       .ptr);
    assert_false(flow_world_apply(w, PLAN_ACTIONS_MAX));
    flow_world_pass(w, 2);
    assert_string_equal(flow_world_steps(w, "t"), "a=Running b=Failed");
    assert_string_equal(flow_world_step(w, "t", "b", "reason"), "NameTaken");
}

static void a_job_that_is_deleted_before_it_was_seen_is_lost_and_not_made_again(void **state)
{
    struct flow_world *w = *state;
    flow_world_create(w, "t", "'steps':[{'name':'a'},{'name':'b'},{'name':'c'}]");
    flow_world_reconcile(w, "t");
    assert_true(flow_world_apply(w, PLAN_ACTIONS_MAX));
    flow_world_delete(w, &kube_jobs, flow_world_job(w, "t", "b"));
    flow_world_settle(w);
    flow_world_pass(w, 2);
    assert_string_equal(flow_world_jobs(w, "t"), "a c");
    assert_string_equal(flow_world_steps(w, "t"), "a=Running b=Failed c=Running");
    assert_string_equal(flow_world_step(w, "t", "b", "reason"), "JobLost");
}

/* Another process, which does not know of the deadline, has let its Job go on. */
static void the_job_of_a_step_that_was_stopped_is_suspended_again(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "t",
         "'executionPolicy':{'activeDeadlineSeconds':60},'steps':[{'name':'a'}],'finally':[{"
         "'name':'z'}]");
    flow_world_pass(w, 62);
    assert_string_equal(flow_world_steps(w, "t"), "a=Failed z=Running");
    struct str job = flow_world_job(w, "t", "a");
    flow_world_merge(w, &kube_jobs, job, "{'spec':{'suspend':false}}");
    flow_world_settle(w);
    assert_true(kube_bool_at(flow_world_get(w, &kube_jobs, job), "spec", "suspend", NULL));
}

static void resources_are_made_before_the_first_step(void **state)
{
    struct flow_world *w = *state;
    flow_world_create(w, "r",
                      "'resourceTemplates':{'configMapTemplates':[{'metadata':{'name':'c'}}],"
                      "'volumeClaimTemplates':[{'metadata':{'name':'v'}}]},'steps':[{'name':'a'}]");
    flow_world_reconcile(w, "r");
    assert_string_equal(flow_world_actions(w),
                        "write status, create resource of flow, create resource of flow");
    flow_world_settle(w);
    assert_string_equal(flow_world_jobs(w, "r"), "a");
    flow_world_pass(w, 2);
    assert_string_equal(
        flow_world_status(w, "r", "resourceRefs"),
        "[{\"apiVersion\":\"v1\",\"kind\":\"PersistentVolumeClaim\",\"name\":\"v\","
        "\"namespace\":\"team\",\"uid\":\"uid-2\"},{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\","
        "\"name\":\"c\",\"namespace\":\"team\",\"uid\":\"uid-3\"}]");
}

static const char *argument(struct flow_world *w, const char *flow, const char *step)
{
    const struct json *job = flow_world_get(w, &kube_jobs, flow_world_job(w, flow, step));
    const struct json *containers = kube_at(job, "spec", "template", "spec", "containers", NULL);
    struct str text = json_str(json_first(json_get(json_first(containers), STR("args"))));
    return str_is_set(text) ? arena_copy(&w->arena, text).ptr : "";
}

static const char *text_uid(struct flow_world *w, const struct json *object)
{
    return arena_copy(&w->arena, kube_text_at(object, "metadata", "uid", NULL)).ptr;
}

#define WITH_ARGUMENT(text)                                                           \
    "'template':{'spec':{'template':{'spec':{'restartPolicy':'Never','containers':[{" \
    "'name':'main','image':'app','args':['" text "']}]}}}}"

static void a_value_from_a_config_map_is_read_when_the_step_starts(void **state)
{
    struct flow_world *w = *state;
    flow_world_add(w, &kube_config_maps, "{'metadata':{'name':'given'},'data':{'level':'7'}}");
    FLOW(w, "v",
         "'steps':[{'name':'a','inputs':{'parameters':[{'name':'level','valueFrom':{"
         "'configMapKeyRef':{'name':'given','key':'level'}}}]}," WITH_ARGUMENT(
             "{{parameters.level}}") "}]");
    assert_string_equal(argument(w, "v", "a"), "7");
}

static void a_value_that_is_not_there_fails_its_step(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "v",
         "'steps':[{'name':'a','inputs':{'parameters':[{'name':'level','valueFrom':{"
         "'configMapKeyRef':{'name':'given','key':'level'}}}]}," WITH_ARGUMENT(
             "{{parameters.level}}") "}]");
    flow_world_pass(w, 2);
    assert_string_equal(flow_world_step(w, "v", "a", "reason"), "ValueInvalid");
    assert_string_equal(phase(w, "v"), "Failed");
}

/* The flow has failed before anything else is made. */
static void a_value_that_is_not_there_takes_back_what_the_same_plan_makes(void **state)
{
#define INPUT                                                                                 \
    "'inputs':{'parameters':[{'name':'level','valueFrom':{'configMapKeyRef':{'name':'given'," \
    "'key':'level'}}}]}"
    struct flow_world *w = *state;
    flow_world_create(w, "v",
                      "'steps':[{'name':'first','continueOnFailure':true," INPUT
                      "},{'name':'a'},{'name':'m','dependencies':['a'],'type':'Performer',"
                      "'template':{'spec':{'avsAddress':'0x1','image':'i:1'}}},{'name':'j',"
                      "'dependencies':['a']},{'name':'b','dependencies':['a']," INPUT "}]");
    flow_world_reconcile(w, "v");
    assert_string_equal(flow_world_actions(w), "write status, read ConfigMap, create Job");
    assert_true(flow_world_apply(w, PLAN_ACTIONS_MAX));
    flow_world_complete(w, "v", "a");
    flow_world_reconcile(w, "v");
    assert_string_equal(flow_world_actions(w), "write status");
    assert_true(flow_world_apply(w, PLAN_ACTIONS_MAX));
    assert_string_equal(flow_world_steps(w, "v"),
                        "first=Failed a=Succeeded m=Skipped j=Skipped b=Failed");
#undef INPUT
}

static void an_output_of_a_job_goes_to_later_steps_also_after_a_restart(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "o",
         "'steps':[{'name':'a','outputs':{'parameters':[{'name':'n','valueFrom':{'jsonPath':"
         "'$.status.succeeded'}}]}},{'name':'b','dependencies':['a']},{'name':'c','dependencies':"
         "['b']," WITH_ARGUMENT("{{steps.a.outputs.n}}") "}]");
    done(w, "o", "a");
    flow_world_pass(w, 2);
    assert_string_equal(flow_world_step(w, "o", "a", "outputs"), "{\"n\":\"1\"}");
    flow_world_restart(w);
    done(w, "o", "b");
    assert_string_equal(argument(w, "o", "c"), "1");
}

static void the_termination_message_is_waited_for_and_then_given_up(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "m",
         "'steps':[{'name':'a','outputs':{'parameters':[{'name':'n','valueFrom':{'jsonPath':"
         "'$.terminationMessage'}}]}}]");
    done(w, "m", "a");
    flow_world_pass(w, 20);
    assert_string_equal(flow_world_steps(w, "m"), "a=Running");
    flow_world_pass(w, 20);
    assert_string_equal(flow_world_steps(w, "m"), "a=Succeeded");
    assert_string_equal(flow_world_step(w, "m", "a", "outputs"), "");
}

static void the_termination_message_of_the_pod_is_an_output(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "m",
         "'steps':[{'name':'a','outputs':{'parameters':[{'name':'n','valueFrom':{'jsonPath':"
         "'$.terminationMessage'}}]}}]");
    struct str job = flow_world_job(w, "m", "a");
    struct json *object = flow_world_get(w, &kube_jobs, job);
    assert_non_null(kube_at(object, "spec", "template", "metadata", "labels",
                            "workflow.kube-zen.io/result", NULL));
    done(w, "m", "a");
    flow_world_add(
        w, &kube_pods,
        arena_printf(&w->arena,
                     "{'metadata':{'name':'p','labels':{'workflow.kube-zen.io/result':'pod',"
                     "'workflow.kube-zen.io/flow':'m','workflow.kube-zen.io/step':'a'},"
                     "'ownerReferences':[{'kind':'Job','name':'%.*s','uid':'%s','controller':true}]"
                     "},'spec':{'containers':[{'name':'main','env':[{'name':'X','value':'secret'}]}"
                     "]},'status':{'phase':'Succeeded','containerStatuses':[{'name':'main','state':"
                     "{'terminated':{'exitCode':0,'message':'42\\n'}}}]}}",
                     (int)job.len, job.ptr, text_uid(w, object))
            .ptr);
    flow_world_settle(w);
    flow_world_pass(w, 2);
    assert_string_equal(flow_world_step(w, "m", "a", "outputs"), "{\"n\":\"42\"}");
}

/* ---- Decisions ---- */

static void a_manual_step_waits_for_its_annotation(void **state)
{
    static const struct {
        const char *decision, *phase, *steps, *reason;
    } cases[] = {
        {"true", "Running", "ask=Succeeded act=Running", "Approved"},
        {"false", "Failed", "ask=Failed act=Skipped", "Rejected"},
        {"maybe", "Paused", "ask=PendingApproval act=Pending", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct flow_world *w;
        set_up((void **)&w);
        FLOW(w, "m",
             "'steps':[{'name':'ask','type':'Manual','message':'now?'},"
             "{'name':'act','dependencies':['ask']}]");
        flow_world_pass(w, 2);
        assert_string_equal(phase(w, "m"), "Paused");
        assert_string_equal(flow_world_step(w, "m", "ask", "message"), "now?");
        flow_world_merge(w, &kube_jobflows, STR("m"),
                         arena_printf(&w->arena,
                                      "{'metadata':{'annotations':{"
                                      "'approve.workflow.kube-zen.io/ask':'%s',"
                                      "'approved-by.workflow.kube-zen.io/ask':'bob'}}}",
                                      cases[i].decision)
                             .ptr);
        flow_world_pass(w, 2);
        assert_string_equal(phase(w, "m"), cases[i].phase);
        assert_string_equal(flow_world_steps(w, "m"), cases[i].steps);
        assert_string_equal(flow_world_step(w, "m", "ask", "reason"), cases[i].reason);
        if (cases[i].reason[0])
            assert_string_equal(flow_world_step(w, "m", "ask", "approvedBy"), "bob");
        tear_down((void **)&w);
    }
}

static void a_decision_of_before_counts_when_the_step_comes(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "m",
         "'steps':[{'name':'a'},{'name':'ask','type':'Manual','dependencies':['a']},"
         "{'name':'act','dependencies':['ask']}]");
    flow_world_merge(w, &kube_jobflows, STR("m"),
                     "{'metadata':{'annotations':{'approve.workflow.kube-zen.io/ask':'true'}}}");
    flow_world_settle(w);
    done(w, "m", "a");
    assert_string_equal(flow_world_jobs(w, "m"), "a act");
}

static void a_manual_step_may_have_a_time_limit(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "m", "'steps':[{'name':'ask','type':'Manual','timeoutSeconds':60}]");
    flow_world_pass(w, 58);
    assert_string_equal(phase(w, "m"), "Paused");
    flow_world_restart(w);
    flow_world_pass(w, 4);
    assert_string_equal(phase(w, "m"), "Failed");
    assert_string_equal(flow_world_step(w, "m", "ask", "reason"), "Timeout");
}

/* ---- Suspending ---- */

#define SUSPEND(w, name, value)                                                 \
    do {                                                                        \
        flow_world_merge(w, &kube_jobflows, STR(name),                          \
                         "{'spec':{'executionPolicy':{'suspend':" value "}}}"); \
        flow_world_settle(w);                                                   \
    } while (0)

static void a_suspended_flow_lets_what_runs_end_and_starts_nothing(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "s", "'steps':[{'name':'a'},{'name':'b','dependencies':['a']}]");
    SUSPEND(w, "s", "true");
    assert_string_equal(phase(w, "s"), "Suspended");
    assert_string_equal(condition(w, "s", "Blocked", "status"), "True");
    done(w, "s", "a");
    assert_string_equal(flow_world_jobs(w, "s"), "a");
    SUSPEND(w, "s", "false");
    assert_string_equal(flow_world_jobs(w, "s"), "a b");
    assert_string_equal(phase(w, "s"), "Running");
}

static bool is_job_suspended(struct flow_world *w, const char *flow, const char *step)
{
    return kube_bool_at(flow_world_get(w, &kube_jobs, flow_world_job(w, flow, step)), "spec",
                        "suspend", NULL);
}

static void kill_suspends_running_jobs_too_and_resuming_lets_them_go_on(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "k", "'executionPolicy':{'suspendMode':'Kill'},'steps':[{'name':'a'},{'name':'b'}]");
    SUSPEND(w, "k", "true");
    assert_true(is_job_suspended(w, "k", "a") && is_job_suspended(w, "k", "b"));
    flow_world_restart(w);
    flow_world_settle(w);
    SUSPEND(w, "k", "false");
    assert_false(is_job_suspended(w, "k", "a") || is_job_suspended(w, "k", "b"));
    assert_string_equal(phase(w, "k"), "Running");
}

static void suspend_job(struct flow_world *w, const char *flow, const char *step)
{
    flow_world_merge(w, &kube_jobs, flow_world_job(w, flow, step), "{'spec':{'suspend':true}}");
    flow_world_settle(w);
}

/* It leads for a moment, too, and does not know yet that the flow goes on. What people suspend stays so. */
static void what_another_process_suspends_with_a_flow_that_goes_on_is_resumed(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "k", "'executionPolicy':{'suspendMode':'Kill'},'steps':[{'name':'a'}]");
    flow_world_pass(w, 120);
    suspend_job(w, "k", "a");
    assert_true(is_job_suspended(w, "k", "a"));
    SUSPEND(w, "k", "true");
    SUSPEND(w, "k", "false");
    assert_false(is_job_suspended(w, "k", "a"));
    flow_world_pass(w, 20);
    suspend_job(w, "k", "a");
    assert_false(is_job_suspended(w, "k", "a"));
    flow_world_restart(w);
    flow_world_pass(w, 20);
    suspend_job(w, "k", "a");
    assert_false(is_job_suspended(w, "k", "a"));
    flow_world_pass(w, 60);
    suspend_job(w, "k", "a");
    assert_true(is_job_suspended(w, "k", "a"));
}

/* A conflict, say, ends the plan. */
static void what_could_not_be_resumed_at_once_is_resumed_later(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "k", "'executionPolicy':{'suspendMode':'Kill'},'steps':[{'name':'a'},{'name':'b'}]");
    SUSPEND(w, "k", "true");
    flow_world_merge(w, &kube_jobflows, STR("k"), "{'spec':{'executionPolicy':{'suspend':false}}}");
    flow_world_reconcile(w, "k");
    assert_string_equal(flow_world_actions(w), "resume Job, resume Job, write status");
    assert_true(flow_world_apply(w, 1));
    flow_world_settle(w);
    assert_false(is_job_suspended(w, "k", "a") || is_job_suspended(w, "k", "b"));
    flow_world_reconcile(w, "k");
    assert_string_equal(flow_world_actions(w), "");
}

static void a_flow_that_is_created_suspended_has_not_started(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "s", "'executionPolicy':{'suspend':true},'steps':[{'name':'a'}]");
    assert_string_equal(phase(w, "s"), "Pending");
    assert_string_equal(condition(w, "s", "Blocked", "reason"), "Suspended");
    assert_string_equal(flow_world_status(w, "s", "startTime"), "");
    SUSPEND(w, "s", "false");
    assert_string_equal(flow_world_jobs(w, "s"), "a");
}

/* ---- The end ---- */

static void at_its_deadline_a_flow_is_stopped_and_finally_runs(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "d",
         "'executionPolicy':{'activeDeadlineSeconds':60},'steps':[{'name':'a'},"
         "{'name':'b','dependencies':['a']}],'finally':[{'name':'tidy'}]");
    flow_world_pass(w, 58);
    assert_false(is_job_suspended(w, "d", "a"));
    flow_world_pass(w, 4);
    assert_true(is_job_suspended(w, "d", "a"));
    assert_string_equal(flow_world_steps(w, "d"), "a=Failed b=Skipped tidy=Running");
    done(w, "d", "tidy");
    assert_string_equal(phase(w, "d"), "Failed");
    assert_string_equal(condition(w, "d", "Failed", "reason"), "DeadlineExceeded");
}

static void finally_has_its_retries_after_the_deadline_too(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "t",
         "'executionPolicy':{'activeDeadlineSeconds':60},'steps':[{'name':'a'}],'finally':[{"
         "'name':'z','retryPolicy':{'limit':1,'backoff':{'duration':'1s'}}}]");
    flow_world_pass(w, 61);
    assert_string_equal(flow_world_jobs(w, "t"), "a z");
    failed(w, "t", "z");
    flow_world_pass(w, 3);
    assert_string_equal(flow_world_steps(w, "t"), "a=Failed z=Running(1)");
}

static void why_a_flow_was_stopped_is_known_after_a_restart(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "d",
         "'executionPolicy':{'activeDeadlineSeconds':60},'steps':[{'name':'a'},"
         "{'name':'b','dependencies':['a']}],'finally':[{'name':'tidy'}]");
    flow_world_pass(w, 64);
    flow_world_restart(w);
    done(w, "d", "tidy");
    assert_string_equal(condition(w, "d", "Failed", "reason"), "DeadlineExceeded");
    flow_world_add(w, &kube_config_maps, "{'metadata':{'name':'settings'}}");
    FLOW(w, "n",
         "'resourceTemplates':{'configMapTemplates':[{'metadata':{'name':'settings'}}]},"
         "'steps':[{'name':'a'}],'finally':[{'name':'tidy'}]");
    flow_world_pass(w, 2);
    flow_world_restart(w);
    done(w, "n", "tidy");
    assert_string_equal(phase(w, "n"), "Failed");
    assert_string_equal(condition(w, "n", "Failed", "reason"), "ResourceRefused");
}

static void a_flow_is_deleted_when_its_time_is_over_and_not_before(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "t", "'executionPolicy':{'ttlSecondsAfterFinished':100},'steps':[{'name':'a'}]");
    done(w, "t", "a");
    flow_world_pass(w, 98);
    flow_world_restart(w);
    assert_non_null(flow_world_get(w, &kube_jobflows, STR("t")));
    flow_world_pass(w, 4);
    assert_null(flow_world_get(w, &kube_jobflows, STR("t")));
}

static void a_flow_that_has_ended_keeps_no_run_and_no_text(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "e", "'steps':[{'name':'a'}]");
    struct queue_key key = {STR("team"), STR("e")};
    assert_non_null(flow_gate_find(w->controller.gate, key)->run);
    size_t before = store_bytes(w->stores[0]);
    done(w, "e", "a");
    assert_null(flow_gate_find(w->controller.gate, key));
    assert_true(store_bytes(w->stores[0]) < before);
    flow_world_reconcile(w, "e");
    assert_int_equal(w->plan.action_count, 0);
}

static void the_status_is_written_at_most_once_a_second_but_a_phase_at_once(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "s", "'steps':[{'name':'a'},{'name':'b'},{'name':'c'},{'name':'d'}]");
    size_t before = w->status_writes;
    done(w, "s", "a");
    done(w, "s", "b");
    done(w, "s", "c");
    assert_int_equal(w->status_writes, before);
    flow_world_pass(w, 2);
    assert_int_equal(w->status_writes, before + 1);
    done(w, "s", "d");
    assert_int_equal(w->status_writes, before + 2);
    flow_world_pass(w, 60);
    assert_int_equal(w->status_writes, before + 2);
}

static void progress_is_told_less_often_while_many_flows_are_active(void **state)
{
    struct flow_world *w = *state;
    char name[16];
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        FLOW(w, name, "'steps':[{'name':'a'},{'name':'b'},{'name':'c'}]");
    }
    flow_world_pass(w, 10);
    done(w, "f0", "a");
    flow_world_pass(w, 2);
    size_t before = w->status_writes;
    done(w, "f0", "b");
    flow_world_pass(w, 1);
    assert_int_equal(w->status_writes, before);
    flow_world_pass(w, 2);
    assert_int_equal(w->status_writes, before + 1);
    /* But for what is more than progress. */
    done(w, "f1", "a");
    flow_world_pass(w, 2);
    before = w->status_writes;
    failed(w, "f1", "b");
    flow_world_pass(w, 1);
    assert_int_equal(w->status_writes, before + 1);
}

static void steps_that_go_well_are_told_together_and_others_soon(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "t",
         "'steps':[{'name':'a'},{'name':'b','dependencies':['a']},{'name':'c','dependencies':['b']"
         ",'retryPolicy':{'limit':1}},{'name':'d','dependencies':['c']}]");
    flow_world_pass(w, 1);
    assert_string_equal(flow_world_told(w), "Started: 4 steps; StepStarted: a");
    done(w, "t", "a");
    flow_world_pass(w, 3);
    assert_string_equal(flow_world_told(w), "");
    done(w, "t", "b");
    flow_world_pass(w, 8);
    assert_string_equal(flow_world_told(w), "StepStarted: b, c; StepSucceeded: a, b");
    failed(w, "t", "c");
    flow_world_pass(w, 1);
    assert_string_equal(flow_world_told(w), "Retrying: c");
    flow_world_pass(w, 30);
    assert_string_equal(flow_world_told(w), "StepStarted: c");
    done(w, "t", "c");
    done(w, "t", "d");
    assert_string_equal(flow_world_told(w),
                        "StepStarted: d; StepSucceeded: c, d; Succeeded: all steps have ended");
    flow_world_pass(w, 60);
    assert_string_equal(flow_world_told(w), "");
}

static void an_event_names_the_steps_that_fit_and_counts_the_others(void **state)
{
    struct flow_world *w = *state;
    struct buf spec;
    unsigned named = 1, more = 0;
    buf_init(&spec, arena_mem(&w->arena), 1 << 20);
    buf_put(&spec, STR("'steps':["));
    for (int i = 0; i < 100; i++)
        buf_printf(&spec, "%s{'name':'step-%02d'}", i ? "," : "", i);
    buf_put(&spec, STR("]"));
    FLOW(w, "wide", arena_copy(&w->arena, buf_str(&spec)).ptr);
    flow_world_pass(w, 2);
    const char *told = flow_world_told(w);
    const char *at = strstr(told, "StepStarted: step-00, step-01, ");
    assert_non_null(at);
    assert_null(strstr(at + 1, "StepStarted"));
    for (; (at = strstr(at, ", step-")); at++)
        named++;
    assert_int_equal(sscanf(strstr(told, " and "), " and %u more", &more), 1);
    assert_int_equal(named + more, 100);
    assert_in_range(strlen(told), 250, 320);
}

static void a_status_that_somebody_changed_is_put_right(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "s", "'steps':[{'name':'a'}]");
    flow_world_pass(w, 2);
    flow_world_merge(w, &kube_jobflows, STR("s"),
                     "{'status':{'phase':'Paused','progress':{'completedSteps':1}}}");
    flow_world_pass(w, 2);
    assert_string_equal(phase(w, "s"), "Running");
}

static void the_estimate_follows_the_longest_way(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "e",
         "'steps':[{'name':'a'},{'name':'b','dependencies':['a']},{'name':'c','dependencies':"
         "['b']},{'name':'d','dependencies':['a']}]");
    flow_world_pass(w, 100);
    done(w, "e", "a");
    flow_world_pass(w, 2);
    /* b and c are left on the longest way, each as long as a took. */
    const char *estimate = flow_world_status(w, "e", "estimatedCompletionTime");
    assert_string_equal(estimate, "2026-01-02T03:09:05Z");
    done(w, "e", "b");
    done(w, "e", "c");
    done(w, "e", "d");
    assert_string_equal(flow_world_status(w, "e", "estimatedCompletionTime"), "");
}

/* ---- Performers ---- */

static struct str performer_of(struct flow_world *w)
{
    for (size_t i = 0; i < w->count; i++) {
        if (w->objects[i].resource == &kube_performers)
            return kube_text_at(w->objects[i].json, "metadata", "name", NULL);
    }
    return (struct str){NULL, 0};
}

#define PERFORMER_FLOW                                                              \
    "'steps':[{'name':'model','type':'Performer','timeoutSeconds':100,'template':{" \
    "'spec':{'avsAddress':'0x1','image':'app:v1'}}},{'name':'use','dependencies':[" \
    "'model']}]"

static void a_performer_step_is_done_when_it_serves_and_goes_with_the_flow(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "p", PERFORMER_FLOW);
    assert_int_equal(flow_world_count(w, &kube_performers), 1);
    flow_world_pass(w, 2);
    assert_string_equal(flow_world_steps(w, "p"), "model=Running use=Pending");
    flow_world_merge(w, &kube_performers, performer_of(w),
                     "{'status':{'phase':'Running','ready':true,'observedGeneration':1}}");
    flow_world_settle(w);
    assert_string_equal(flow_world_jobs(w, "p"), "use");
    assert_int_equal(flow_world_count(w, &kube_performers), 1);
    done(w, "p", "use");
    assert_string_equal(phase(w, "p"), "Succeeded");
    assert_int_equal(flow_world_count(w, &kube_performers), 0);
}

static void a_performer_that_does_not_serve_in_time_fails_its_step(void **state)
{
    struct flow_world *w = *state;
    FLOW(w, "p", PERFORMER_FLOW);
    flow_world_pass(w, 50);
    flow_world_restart(w);
    flow_world_pass(w, 60);
    assert_string_equal(flow_world_step(w, "p", "model", "reason"), "Timeout");
    assert_string_equal(phase(w, "p"), "Failed");
    assert_int_equal(flow_world_count(w, &kube_performers), 0);
}

static void a_performer_that_is_given_up_or_deleted_fails_its_step(void **state)
{
    (void)state;
    for (int is_deleted = 0; is_deleted < 2; is_deleted++) {
        struct flow_world *w;
        set_up((void **)&w);
        FLOW(w, "p", PERFORMER_FLOW);
        if (is_deleted)
            flow_world_delete(w, &kube_performers, performer_of(w));
        else
            flow_world_merge(w, &kube_performers, performer_of(w),
                             "{'status':{'phase':'Failed','conditions':[{'type':'Ready','status':"
                             "'False','reason':'BackoffLimitExceeded'}]}}");
        flow_world_pass(w, 2);
        assert_string_equal(flow_world_step(w, "p", "model", "reason"), "PerformerFailed");
        assert_string_equal(phase(w, "p"), "Failed");
        tear_down((void **)&w);
    }
}

/* The server does not do it at once. */
static void nothing_begins_beside_a_performer_that_has_still_to_be_deleted(void **state)
{
    static const char *const members[] = {"'timeoutSeconds':100", "'timeoutSeconds':1000"};
    static const char *const policies[] = {"", "'activeDeadlineSeconds':100"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct flow_world *w;
        set_up((void **)&w);
        FLOW(
            w, "p",
            arena_printf(&w->arena,
                         "'executionPolicy':{%s},'steps':[{'name':'model','type':'Performer',%s,"
                         "'retryPolicy':{'limit':1,'backoff':{'duration':'1s'}},'template':{"
                         "'spec':{'avsAddress':'0x1','image':'app:v1'}}}],'finally':[{'name':'z'}]",
                         policies[i], members[i])
                .ptr);
        flow_world_pass(w, 99);
        w->now.now_ns += 2 * CLOCK_NS_PER_SEC;
        w->now.wall_ns += 2 * CLOCK_NS_PER_SEC;
        for (int look = 0; look < 3; look++) {
            flow_world_reconcile(w, "p");
            assert_string_equal(flow_world_actions(w), "delete Performer");
        }
        assert_string_equal(flow_world_steps(w, "p"), "model=Running z=Pending");
        assert_true(flow_world_apply(w, 1));
        flow_world_pass(w, 5);
        assert_int_equal(flow_world_count(w, &kube_performers), i == 0);
        assert_string_equal(flow_world_steps(w, "p"),
                            i == 0 ? "model=Running(1) z=Pending" : "model=Failed z=Running");
        tear_down((void **)&w);
    }
}

/* ---- Exit codes ---- */

/* With restartPolicy OnFailure the Job cannot carry the flow's policy: we look at its pod. */
static void the_flow_judges_exit_codes_that_its_jobs_cannot(void **state)
{
    static const struct {
        const char *action, *reason;
        size_t jobs;
        const char *steps;
    } cases[] = {
        {"FailJob", "PodFailurePolicy", 1, "a=Failed"},
        {"Count", "", 2, "a=Running(1)"},
        {"Ignore", "", 2, "a=Running(1)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct flow_world *w;
        set_up((void **)&w);
        FLOW(w, "x",
             arena_printf(&w->arena,
                          "'executionPolicy':{'podFailurePolicy':{'rules':[{'action':'%s',"
                          "'onExitCodes':{'operator':'In','values':[42]}}]}},'steps':[{'name':'a',"
                          "'retryPolicy':{'limit':1,'backoff':{'duration':'1s'}},'template':{"
                          "'spec':{'template':{'spec':{'restartPolicy':'OnFailure','containers':[{"
                          "'name':'main','image':'app'}]}}}}}]",
                          cases[i].action)
                 .ptr);
        struct str job = flow_world_job(w, "x", "a");
        flow_world_add(
            w, &kube_pods,
            arena_printf(
                &w->arena,
                "{'metadata':{'name':'p','labels':{'workflow.kube-zen.io/result':'pod',"
                "'workflow.kube-zen.io/flow':'x','workflow.kube-zen.io/step':'a'},"
                "'ownerReferences':[{'kind':'Job','name':'%.*s','uid':'%s','controller':true}]},"
                "'spec':{'containers':[{'name':'main'}]},'status':{'phase':'Failed',"
                "'containerStatuses':[{'name':'main','state':{'terminated':{'exitCode':42}}}]}}",
                (int)job.len, job.ptr, text_uid(w, flow_world_get(w, &kube_jobs, job)))
                .ptr);
        failed(w, "x", "a");
        flow_world_pass(w, 3);
        assert_string_equal(flow_world_steps(w, "x"), cases[i].steps);
        assert_string_equal(flow_world_step(w, "x", "a", "reason"), cases[i].reason);
        assert_int_equal(flow_world_count(w, &kube_jobs), cases[i].jobs);
        tear_down((void **)&w);
    }
}

/* ---- Bounds ---- */

static void the_status_of_2000_steps_that_all_fail_stays_within_its_bound(void **state)
{
    enum { COUNT = 2000, BOUND = 512 * 1024 };
    struct flow_world *w = *state;
    struct buf spec;
    buf_init(&spec, arena_mem(&w->arena), 1 << 22);
    buf_put(&spec, STR("'steps':["));
    for (int i = 0; i < COUNT; i++)
        buf_printf(&spec,
                   "%s{'name':'a-step-with-a-name-that-is-as-long-as-a-name-can-be-in-here-%04d',"
                   "'continueOnFailure':true}",
                   i ? "," : "", i);
    buf_put(&spec, STR("]"));
    FLOW(w, "large", arena_copy(&w->arena, buf_str(&spec)).ptr);
    assert_int_equal(flow_world_count(w, &kube_jobs), COUNT);
    char step[96];
    for (int i = 0; i < COUNT; i++) {
        snprintf(step, sizeof(step),
                 "a-step-with-a-name-that-is-as-long-as-a-name-can-be-in-here-%04d", i);
        if (i % 100 == 0)
            flow_world_settle(w);
        flow_world_fail(w, "large", step, "BackoffLimitExceeded");
    }
    flow_world_settle(w);
    flow_world_pass(w, 2);
    assert_string_equal(phase(w, "large"), "Succeeded");
    const struct json *flow = flow_world_get(w, &kube_jobflows, STR("large"));
    struct buf text;
    buf_init(&text, mem_system(), 1 << 22);
    json_write(&text, json_get(flow, STR("status")));
    assert_in_range(text.len, BOUND / 2, BOUND);
    buf_done(&text);
    assert_string_equal(flow_world_step(w, "large", step, "phase"), "Failed");
}

/* Nothing is made of the other steps. */
static void the_end_of_a_job_costs_what_its_dependents_cost(void **state)
{
    enum { COUNT = 1000 };
    struct flow_world *w = *state;
    struct buf spec;
    buf_init(&spec, arena_mem(&w->arena), 1 << 22);
    buf_put(&spec, STR("'steps':["));
    for (int i = 0; i < COUNT; i++)
        buf_printf(&spec, "%s{'name':'s%d'},{'name':'t%d','dependencies':['s%d']}", i ? "," : "", i,
                   i, i);
    buf_put(&spec, STR("]"));
    FLOW(w, "wide", arena_copy(&w->arena, buf_str(&spec)).ptr);
    flow_world_pass(w, 2);
    done(w, "wide", "s5");
    flow_world_complete(w, "wide", "s6");
    flow_world_reconcile(w, "wide");
    /* What is made of all steps takes megabytes. */
    assert_string_equal(flow_world_actions(w), "create Job");
    assert_true(w->plan_arena.used < 64 * 1024);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(a_diamond_runs_in_the_order_of_its_dependencies),
        WORLD(the_status_says_running_before_the_first_job_is_made),
        WORLD(a_flow_that_changes_before_it_started_is_read_anew),
        WORLD(a_wide_flow_is_started_in_several_plans),
        WORLD(parallelism_limits_what_runs_at_once),
        WORLD(a_condition_that_is_false_skips_its_step_and_satisfies_the_next),
        WORLD(a_flow_whose_steps_are_all_skipped_succeeds_at_once),
        WORLD(after_a_failure_nothing_starts_what_runs_ends_and_finally_runs),
        WORLD(a_step_that_may_fail_lets_the_flow_go_on),
        cmocka_unit_test(a_failed_step_is_tried_again_after_its_backoff),
        WORLD(while_a_step_waits_for_its_retry_the_status_says_when),
        WORLD(the_flow_limits_the_retries_of_all_its_steps_together),
        cmocka_unit_test(a_retry_that_is_not_taken_is_left_for_finally),
        WORLD(a_job_that_somebody_deletes_is_a_failed_try),
        WORLD(a_job_that_is_deleted_when_it_has_ended_changes_nothing),
        cmocka_unit_test(a_timeout_and_a_pod_failure_policy_are_told_apart),
        WORLD(a_job_that_is_refused_fails_its_step_without_a_retry),
        WORLD(a_job_that_a_quota_forbids_is_tried_again),
        WORLD(a_name_that_somebody_else_has_fails_the_flow),
        WORLD(a_refusal_ends_no_step_whose_job_was_just_made),
        WORLD(a_job_that_is_deleted_before_it_was_seen_is_lost_and_not_made_again),
        WORLD(the_job_of_a_step_that_was_stopped_is_suspended_again),
        WORLD(resources_are_made_before_the_first_step),
        WORLD(a_value_from_a_config_map_is_read_when_the_step_starts),
        WORLD(a_value_that_is_not_there_fails_its_step),
        WORLD(a_value_that_is_not_there_takes_back_what_the_same_plan_makes),
        WORLD(an_output_of_a_job_goes_to_later_steps_also_after_a_restart),
        WORLD(the_termination_message_is_waited_for_and_then_given_up),
        WORLD(the_termination_message_of_the_pod_is_an_output),
        cmocka_unit_test(a_manual_step_waits_for_its_annotation),
        WORLD(a_decision_of_before_counts_when_the_step_comes),
        WORLD(a_manual_step_may_have_a_time_limit),
        WORLD(a_suspended_flow_lets_what_runs_end_and_starts_nothing),
        WORLD(kill_suspends_running_jobs_too_and_resuming_lets_them_go_on),
        WORLD(what_another_process_suspends_with_a_flow_that_goes_on_is_resumed),
        WORLD(what_could_not_be_resumed_at_once_is_resumed_later),
        WORLD(a_flow_that_is_created_suspended_has_not_started),
        WORLD(at_its_deadline_a_flow_is_stopped_and_finally_runs),
        WORLD(finally_has_its_retries_after_the_deadline_too),
        WORLD(why_a_flow_was_stopped_is_known_after_a_restart),
        WORLD(a_flow_is_deleted_when_its_time_is_over_and_not_before),
        WORLD(a_flow_that_has_ended_keeps_no_run_and_no_text),
        WORLD(the_status_is_written_at_most_once_a_second_but_a_phase_at_once),
        WORLD(progress_is_told_less_often_while_many_flows_are_active),
        WORLD(steps_that_go_well_are_told_together_and_others_soon),
        WORLD(an_event_names_the_steps_that_fit_and_counts_the_others),
        WORLD(a_status_that_somebody_changed_is_put_right),
        WORLD(the_estimate_follows_the_longest_way),
        WORLD(a_performer_step_is_done_when_it_serves_and_goes_with_the_flow),
        WORLD(a_performer_that_does_not_serve_in_time_fails_its_step),
        cmocka_unit_test(a_performer_that_is_given_up_or_deleted_fails_its_step),
        cmocka_unit_test(nothing_begins_beside_a_performer_that_has_still_to_be_deleted),
        cmocka_unit_test(the_flow_judges_exit_codes_that_its_jobs_cannot),
        WORLD(the_status_of_2000_steps_that_all_fail_stays_within_its_bound),
        WORLD(the_end_of_a_job_costs_what_its_dependents_cost),
    };
    return cmocka_run_group_tests_name("flow_life", tests, NULL, NULL);
}
