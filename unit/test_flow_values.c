/* What steps see of each other: parameters, inputs, outputs; and when a failed one is tried again. */
#include "unit/support.h"

#include "controller/flow_backoff.h"
#include "controller/flow_output.h"
#include "policy/placeholder.h"
#include "policy/when.h"
#include "unit/fixed_templates.h"

#include <stdio.h>

/* ---- A flow: build has succeeded, test was skipped, load has not started ---- */

struct fixture {
    struct arena arena;
    struct manifest m;
    struct flow_result results[3];
    struct flow_values values;
    const struct json *build_job;
    struct flow_sources sources;
};

/* The namespace has the ConfigMap "conf" with the key "server"; "slow" is not known yet. */
static int find_key(void *ctx, struct str name, struct str key, struct str *ret, struct err *err)
{
    (void)ctx;
    if (str_eq(name, STR("slow")))
        return err_set(err, 503, "not known yet");
    if (!str_eq(name, STR("conf")) || !str_eq(key, STR("server")))
        return 0;
    *ret = STR("db.example");
    return 1;
}

static const struct json *find_job(void *ctx, size_t step)
{
    const struct fixture *f = ctx;
    return step == 0 ? f->build_job : NULL;
}

static const struct json *yaml(struct fixture *f, const char *text)
{
    return fixed_read(&f->arena, str_from_cstr(text));
}

static bool load(struct fixture *f, const struct mem *mem)
{
    memset(f, 0, sizeof(*f));
    arena_init(&f->arena, mem, 4096, 8 << 20);
    f->m = (struct manifest){&f->arena, false};
    const struct json *parameters =
        yaml(f, "[{name: env, value: prod}, {name: table, value: orders}]");
    const struct json *outputs = yaml(f, "{rows: '12', empty: ''}");
    f->build_job = yaml(f, "{status: {succeeded: 1, ready: null, deep: {a: [1, x]}}, metadata: "
                           "{uid: u-1}}");
    f->results[0] = (struct flow_result){STR("build"), STR("Succeeded"), outputs};
    f->results[1] = (struct flow_result){STR("test"), STR("Skipped"), NULL};
    f->results[2] = (struct flow_result){STR("load"), STR("Pending"), NULL};
    f->sources = (struct flow_sources){f, find_key, find_job};
    return parameters && outputs && f->build_job &&
           flow_values_init(&f->values, &f->arena, parameters, f->results, 3);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    assert_true(load(&fixture, mem_system()));
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    arena_done(&fixture->arena);
    return 0;
}

static const char *text_of(struct fixture *f, const struct json *value)
{
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 1 << 20);
    if (value)
        json_write(&buf, value);
    buf_put_char(&buf, '\0');
    return buf_str(&buf).ptr;
}

/* ---- Views ---- */

static void a_condition_sees_phases_outputs_and_parameters(void **state)
{
    static const struct {
        const char *when;
        bool holds;
    } cases[] = {
        {"steps.build.phase == 'Succeeded'", true},
        {"steps.test.phase == 'Skipped'", true},
        {"steps.load.phase == 'Pending'", true},
        {"steps.build.outputs.rows > 9", true},
        {"steps.build.outputs.rows > 12", false},
        {"steps.test.outputs.rows == ''", true},
        {"parameters.env == 'prod'", true},
        {"parameters.table == 'mine'", true}, /* the step's own hides the flow's */
    };
    struct fixture *f = *state;
    struct flow_view view = {&f->values, yaml(f, "{table: mine}")};
    struct scope scope = flow_view_scope(&view);
    struct scope_values values = flow_view_values(&view);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err;
        const struct when *when = when_parse(&f->arena, str_from_cstr(cases[i].when), &scope, &err);
        if (!when)
            fail_msg("%s: %s", cases[i].when, err.message);
        if (when_eval(when, &values) != cases[i].holds)
            fail_msg("%s", cases[i].when);
    }
    struct err err;
    assert_null(when_parse(&f->arena, STR("parameters.zz == ''"), &scope, &err));
    assert_null(when_parse(&f->arena, STR("steps.zz.phase == 'Failed'"), &scope, &err));
    view.inputs = NULL;
    const struct when *when =
        when_parse(&f->arena, STR("parameters.table == 'orders'"), &scope, &err);
    assert_true(when_eval(when, &values));
}

static void every_step_of_a_large_flow_is_found(void **state)
{
    enum { COUNT = 2000 };
    struct fixture *f = *state;
    static struct flow_result results[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        results[i].name = arena_printf(&f->arena, "s%zu", (i * 7919) % COUNT);
    struct flow_values values;
    assert_true(flow_values_init(&values, &f->arena, NULL, results, COUNT));
    struct flow_view view = {.values = &values};
    struct scope scope = flow_view_scope(&view);
    for (size_t i = 0; i < COUNT; i++) {
        size_t step;
        assert_int_equal(scope.find_step(&view, results[i].name, &step), SCOPE_USABLE);
        assert_int_equal(step, i);
    }
    size_t step;
    assert_int_equal(scope.find_step(&view, STR("s2000"), &step), SCOPE_UNKNOWN);
}

/* ---- Inputs ---- */

static void inputs_come_from_where_they_say(void **state)
{
    static const struct {
        const char *parameters, *inputs;
    } cases[] = {
        {"[]", "{}"},
        {"[{name: a, value: x}, {name: b, value: ''}]", "{\"a\":\"x\",\"b\":\"\"}"},
        {"[{name: a, value: '{{parameters.env}}-${steps.build.outputs.rows}'}]",
         "{\"a\":\"prod-12\"}"},
        {"[{name: a, valueFrom: {configMapKeyRef: {name: conf, key: server}}}]",
         "{\"a\":\"db.example\"}"},
        {"[{name: a, valueFrom: {configMapKeyRef: {name: conf, key: zz, optional: true}}}]",
         "{\"a\":\"\"}"},
        {"[{name: a, valueFrom: {jsonPath: 'build:$.status.succeeded'}}]", "{\"a\":\"1\"}"},
        {"[{name: a, valueFrom: {jsonPath: 'build:$.metadata.uid'}}]", "{\"a\":\"u-1\"}"},
        {"[{name: a, valueFrom: {jsonPath: 'build:$.status.deep'}}]",
         "{\"a\":\"{\\\"a\\\":[1,\\\"x\\\"]}\"}"},
        {"[{name: a, valueFrom: {secretKeyRef: {name: s, key: k}}}]", "{\"a\":null}"},
        /* Its own parameters are not in sight, the flow's are. */
        {"[{name: table, value: '{{parameters.table}}-2'}]", "{\"table\":\"orders-2\"}"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err;
        const struct json *inputs =
            flow_inputs_resolve(&f->m, &f->values, yaml(f, cases[i].parameters), &f->sources, &err);
        if (!inputs)
            fail_msg("%s: %s", cases[i].parameters, err.message);
        assert_string_equal(text_of(f, inputs), cases[i].inputs);
    }
}

static void an_input_without_value_names_itself(void **state)
{
    static const struct {
        const char *parameters;
        int code;
        const char *message;
    } cases[] = {
        {"[{name: a, value: '{{parameters.zz}}'}]", 422,
         "the parameter \"a\": column 14: unknown parameter \"zz\""},
        {"[{name: a, value: '{{steps.test.outputs.rows}}'}]", 422, "it was not produced"},
        {"[{name: a, valueFrom: {configMapKeyRef: {name: conf, key: zz}}}]", 422,
         "the parameter \"a\": there is no ConfigMap \"conf\" with a key \"zz\""},
        {"[{name: a, valueFrom: {configMapKeyRef: {name: slow, key: k}}}]", 503,
         "the parameter \"a\": not known yet"},
        {"[{name: a, valueFrom: {jsonPath: 'load:$.status.succeeded'}}]", 422,
         "the step \"load\" has no Job"},
        {"[{name: a, valueFrom: {jsonPath: 'zz:$.status.succeeded'}}]", 422,
         "the step \"zz\" has no Job"},
        {"[{name: a, valueFrom: {jsonPath: 'build:$.status.ready'}}]", 422,
         "the Job of the step \"build\" has nothing at $.status.ready"},
        {"[{name: a, valueFrom: {jsonPath: 'build:$.{{parameters.env}}..x'}}]", 422,
         "column 8: a name expected"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = {0};
        assert_null(flow_inputs_resolve(&f->m, &f->values, yaml(f, cases[i].parameters),
                                        &f->sources, &err));
        assert_int_equal(err.code, cases[i].code);
        if (!strstr(err.message, cases[i].message))
            fail_msg("%s\n%s", cases[i].message, err.message);
    }
}

/* ---- Outputs ---- */

static void outputs_come_from_jobs_and_from_the_termination_message(void **state)
{
    static const struct {
        const char *path, *message, *outputs;
    } cases[] = {
        {"$.status.succeeded", NULL, "{\"o\":\"1\"}"},
        {"build:$.metadata.uid", NULL, "{\"o\":\"u-1\"}"},
        {"$.status.ready", NULL, "{}"},
        {"$.status.zz", NULL, "{}"},
        {"load:$.status.succeeded", NULL, "{}"},
        {"$.terminationMessage", "10\n", "{\"o\":\"10\"}"},
        {"$.terminationMessage", "a\r\n", "{\"o\":\"a\"}"},
        {"$.terminationMessage", "\n\n", "{\"o\":\"\\n\"}"},
        {"$.terminationMessage", "", "{\"o\":\"\"}"},
        {"$.terminationMessage", NULL, "{}"},
        {"$['terminationMessage']", "x", "{\"o\":\"x\"}"},
        {"$.terminationMessage.rows", "{\"rows\": 12}\n", "{\"o\":\"12\"}"},
        {"$.terminationMessage.rows", "{\"rows\": 1.50}", "{\"o\":\"1.50\"}"},
        {"$.terminationMessage.list[1]", "{\"list\": [1, \"two\"]}", "{\"o\":\"two\"}"},
        {"$.terminationMessage[0]", "[true]", "{\"o\":\"true\"}"},
        {"$.terminationMessage.rows", "no JSON", "{}"},
        {"$.terminationMessage.rows", "{\"rows\": null}", "{}"},
        /* As a whole it is taken as it was written. */
        {"$.terminationMessage", "{\"b\": 1,  \"a\": 2}\n",
         "{\"o\":\"{\\\"b\\\": 1,  \\\"a\\\": 2}\"}"},
        {"$.terminationMessages", "x", "{}"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[128];
        struct err err;
        snprintf(text, sizeof(text), "[{name: o, valueFrom: {jsonPath: \"%s\"}}]", cases[i].path);
        const struct json *parameters = yaml(f, text);
        struct flow_output_source source = {f->build_job, str_from_cstr(cases[i].message),
                                            &f->values, &f->sources};
        const struct json *outputs = flow_output_read(&f->m, parameters, &source, &err);
        if (!outputs)
            fail_msg("%s: %s", cases[i].path, err.message);
        assert_string_equal(text_of(f, outputs), cases[i].outputs);
        assert_int_equal(flow_output_needs_message(parameters),
                         strstr(cases[i].path, "terminationMessage") != NULL &&
                             !strstr(cases[i].path, "Messages"));
    }
}

static void outputs_are_bounded_one_by_one_and_together(void **state)
{
    struct fixture *f = *state;
    static char message[FLOW_OUTPUT_MAX + 2];
    memset(message, 'x', sizeof(message) - 1);
    struct flow_output_source source = {NULL, {message, FLOW_OUTPUT_MAX}, &f->values, &f->sources};
    const struct json *one = yaml(f, "[{name: o, valueFrom: {jsonPath: $.terminationMessage}}]");
    struct err err = {0};
    assert_non_null(flow_output_read(&f->m, one, &source, &err));
    source.termination_message.len++;
    assert_null(flow_output_read(&f->m, one, &source, &err));
    assert_int_equal(err.code, 422);
    assert_string_equal(
        err.message, "the output \"o\": the value has 4097 bytes, and at most 4096 are possible");
    source.termination_message.len--;
    const struct json *many = yaml(f, "[{name: a, valueFrom: {jsonPath: $.terminationMessage}},"
                                      " {name: b, valueFrom: {jsonPath: $.terminationMessage}},"
                                      " {name: c, valueFrom: {jsonPath: $.terminationMessage}},"
                                      " {name: d, valueFrom: {jsonPath: $.terminationMessage}},"
                                      " {name: e, valueFrom: {jsonPath: 'build:$.metadata.uid'}}]");
    assert_null(flow_output_read(&f->m, many, &source, &err));
    assert_string_equal(
        err.message, "the output \"e\": all outputs of a step together have at most 16384 bytes");
}

static void the_message_is_that_of_the_first_container_that_has_one(void **state)
{
    struct fixture *f = *state;
    const struct json *pod = yaml(
        f, "{spec: {containers: [{name: a}, {name: b}, {name: c}]}, status: {containerStatuses: ["
           "{name: c, state: {terminated: {exitCode: 0, message: third}}},"
           "{name: b, state: {terminated: {exitCode: 0, message: second}}},"
           "{name: a, state: {terminated: {exitCode: 0, message: ''}}}]}}");
    assert_str_is(flow_output_message(pod), "second");
    assert_false(str_is_set(flow_output_message(yaml(f, "{spec: {containers: [{name: a}]}}"))));
    assert_false(str_is_set(flow_output_message(NULL)));
}

/* ---- Memory ---- */

static bool read_all(const struct mem *mem, void *ctx)
{
    (void)ctx;
    struct fixture f;
    struct err err = {0};
    bool done = load(&f, mem);
    if (done) {
        const struct json *inputs =
            yaml(&f, "[{name: a, value: '{{parameters.env}}'}, {name: b, valueFrom: {jsonPath: "
                     "'build:$.status.deep'}}, {name: c, valueFrom: {secretKeyRef: {name: x}}}]");
        const struct json *outputs =
            yaml(&f, "[{name: o, valueFrom: {jsonPath: $.terminationMessage.a}}]");
        struct flow_output_source source = {f.build_job, STR("{\"a\": {\"b\": 1}}"), &f.values,
                                            &f.sources};
        done = inputs && outputs &&
               flow_inputs_resolve(&f.m, &f.values, inputs, &f.sources, &err) &&
               flow_output_read(&f.m, outputs, &source, &err);
        assert_true(done || err.code == 507 || err.code == 0);
    }
    arena_done(&f.arena);
    return done;
}

static void without_memory_nothing_is_resolved(void **state)
{
    (void)state;
    test_every_allocation_failing(read_all, NULL);
}

/* ---- Retries ---- */

static void waits_grow_as_the_policy_says(void **state)
{
    static const struct {
        const char *policy;
        int64_t retry;
        double seconds;
    } cases[] = {
        {"{}", 1, 10},
        {"{}", 2, 20},
        {"{}", 4, 80},
        {"{backoff: {type: Exponential, factor: 3, duration: 10s}}", 1, 10},
        {"{backoff: {type: Exponential, factor: 3, duration: 10s}}", 3, 90},
        {"{backoff: {factor: 1.5, duration: 1m30s}}", 2, 135},
        {"{backoff: {factor: 1, duration: 500ms}}", 900, 0.5},
        {"{backoff: {type: Linear, duration: 30s}}", 1, 30},
        {"{backoff: {type: Linear, duration: 30s}}", 5, 150},
        {"{backoff: {type: Fixed, duration: 1.5h}}", 7, 5400},
        {"{backoff: {type: Fixed, duration: 0s}}", 7, 0},
        /* Never more than a day, whatever is multiplied. */
        {"{backoff: {type: Fixed, duration: 999999999h}}", 1, 86400},
        {"{backoff: {type: Linear, duration: 999999999h}}", 1000, 86400},
        {"{backoff: {factor: 1000, duration: 999999999h}}", 1000, 86400},
        {"{}", 1000, 86400},
        {"{}", INT64_MAX, 86400},
        {"{}", 0, 10},
        {"{}", -5, 10},
        {"{backoff: {duration: nonsense}}", 1, 10},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t wait = flow_backoff_ns(yaml(f, cases[i].policy), cases[i].retry);
        if (wait != (int64_t)(cases[i].seconds * 1e9))
            fail_msg("%s, retry %lld: %lld ns", cases[i].policy, (long long)cases[i].retry,
                     (long long)wait);
    }
}

static void retries_are_those_of_the_policy(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(flow_retry_limit(NULL), 0);
    assert_int_equal(flow_retry_limit(yaml(f, "{}")), 3);
    assert_int_equal(flow_retry_limit(yaml(f, "{limit: 0}")), 0);
    assert_int_equal(flow_retry_limit(yaml(f, "{limit: 7}")), 7);
    assert_int_equal(flow_retry_limit(yaml(f, "{limit: -7}")), 0);
}

static void the_first_rule_that_fits_a_failed_pod_decides(void **state)
{
#define EXIT(name, code) "{name: " name ", state: {terminated: {exitCode: " code "}}}"
    static const struct {
        const char *rules, *statuses;
        enum flow_failure failure;
    } cases[] = {
        {"[{action: FailJob, onExitCodes: {operator: In, values: [42]}}]", EXIT("a", "42"),
         FLOW_FAILURE_FINAL},
        {"[{action: FailJob, onExitCodes: {operator: In, values: [42]}}]", EXIT("a", "1"),
         FLOW_FAILURE_COUNTS},
        {"[{action: Ignore, onExitCodes: {operator: In, values: [1, 137]}}]", EXIT("a", "137"),
         FLOW_FAILURE_IGNORED},
        {"[{action: FailJob, onExitCodes: {operator: NotIn, values: [1]}}]", EXIT("a", "2"),
         FLOW_FAILURE_FINAL},
        /* A container that has succeeded, or runs, is not asked. */
        {"[{action: FailJob, onExitCodes: {operator: NotIn, values: [1]}}]",
         EXIT("a", "1") ", " EXIT("b", "0") ", {name: c, state: {running: {}}}",
         FLOW_FAILURE_COUNTS},
        {"[{action: FailJob, onExitCodes: {containerName: b, operator: In, values: [42]}}]",
         EXIT("a", "42") ", " EXIT("b", "1"), FLOW_FAILURE_COUNTS},
        {"[{action: FailJob, onExitCodes: {containerName: b, operator: In, values: [42]}}]",
         EXIT("a", "1") ", " EXIT("b", "42"), FLOW_FAILURE_FINAL},
        {"[{action: Count, onExitCodes: {operator: In, values: [1]}}, {action: FailJob, "
         "onExitCodes: {operator: In, values: [1]}}]",
         EXIT("a", "1"), FLOW_FAILURE_COUNTS},
        {"[]", EXIT("a", "1"), FLOW_FAILURE_COUNTS},
    };
    struct fixture *f = *state;
    static const char *const lists[] = {"containerStatuses", "initContainerStatuses"};
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        char policy[256], pod[256];
        snprintf(policy, sizeof(policy), "{rules: %s}", cases[i / 2].rules);
        snprintf(pod, sizeof(pod), "{status: {%s: [%s]}}", lists[i % 2], cases[i / 2].statuses);
        if (flow_failure_judge(yaml(f, policy), yaml(f, pod)) != cases[i / 2].failure)
            fail_msg("%s %s", policy, pod);
    }
    assert_int_equal(flow_failure_judge(NULL, NULL), FLOW_FAILURE_COUNTS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_condition_sees_phases_outputs_and_parameters),
        TEST(every_step_of_a_large_flow_is_found),
        TEST(inputs_come_from_where_they_say),
        TEST(an_input_without_value_names_itself),
        TEST(outputs_come_from_jobs_and_from_the_termination_message),
        TEST(outputs_are_bounded_one_by_one_and_together),
        TEST(the_message_is_that_of_the_first_container_that_has_one),
        cmocka_unit_test(without_memory_nothing_is_resolved),
        TEST(waits_grow_as_the_policy_says),
        TEST(retries_are_those_of_the_policy),
        TEST(the_first_rule_that_fits_a_failed_pod_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
