/*
 * Flows that are made to take long: as large as a request may be, and so that what is compared with what is
 * many times many. Each took from seconds to minutes when something was looked up one by one; this test would
 * not end then.
 */
#include "policy/flow.h"
#include "policy/policy.h"
#include "types/jobflow.h"
#include "unit/fixed_templates.h"
#include "unit/support.h"

#include <stdio.h>

/* ---- Texts ---- */

/* `count` times the format with the number in it, which has just one place for it. */
static void put_each(struct buf *out, unsigned count, const char *fmt, const char *separator)
{
    const char *place = strstr(fmt, "#");
    for (unsigned i = 0; i < count; i++)
        buf_printf(out, "%s%.*s%u%s", i ? separator : "", (int)(place - fmt), fmt, i, place + 1);
}

#define HEAD                                                                                \
    "{\"apiVersion\":\"workflow.kube-zen.io/v1alpha1\",\"kind\":\"JobFlow\",\"metadata\":{" \
    "\"name\":\"f\"},\"spec\":{"
#define POD(members)                                                                     \
    "{\"name\":\"x\",\"template\":{\"spec\":{\"template\":{\"spec\":{\"restartPolicy\":" \
    "\"Never\"," members "}}}}}"
#define CONTAINERS "\"containers\":[{\"name\":\"m\",\"image\":\"i\""

static void put_dependencies(struct buf *out)
{
    buf_put(out, STR("\"steps\":["));
    put_each(out, 600, "{\"name\":\"step-number-#\",\"type\":\"Manual\"}", ",");
    buf_put(out, STR(",{\"name\":\"x\",\"type\":\"Manual\",\"dependencies\":["));
    put_each(out, 100000, "\"step-numbxx-#\"", ",");
    buf_put(out, STR("]}]"));
}

static void put_placeholders(struct buf *out)
{
    buf_put(out, STR("\"parameters\":["));
    put_each(out, 250, "{\"name\":\"parameter-name-#\",\"value\":\"\"}", ",");
    buf_put(out, STR("],\"steps\":[{\"name\":\"x\",\"template\":{\"spec\":{\"template\":{\"spec\":{"
                     "\"restartPolicy\":\"Never\"," CONTAINERS ",\"args\":["));
    for (int i = 0; i < 100; i++) {
        buf_put(out, i ? STR(",\"") : STR("\""));
        put_each(out, 1000, "{{parameters.paraxeter-name-#}}", " ");
        buf_put(out, STR("\""));
    }
    buf_put(out, STR("]}]}}}}}]"));
}

static void put_parameters(struct buf *out)
{
    buf_put(out, STR("\"parameters\":["));
    put_each(out, 50000, "{\"name\":\"p#\",\"value\":\"\"}", ",");
    buf_put(out, STR("],\"steps\":[{\"name\":\"x\",\"template\":{\"spec\":{\"template\":{\"spec\":{"
                     "\"restartPolicy\":\"Never\"," CONTAINERS ",\"args\":["));
    put_each(out, 1000, "\"# {{parameters.p49999}} {{parameters.p49999}}\"", ",");
    buf_put(out, STR("]}]}}}}}]"));
}

static void put_values(struct buf *out)
{
    buf_put(out, STR("\"templateRef\":{\"name\":\"etl\"},\"parameters\":["));
    put_each(out, 100000, "{\"name\":\"p#\",\"value\":\"\"}", ",");
    buf_put(out, STR("]"));
}

static void put_artifacts(struct buf *out)
{
    buf_put(out, STR("\"steps\":[{\"name\":\"x\",\"outputs\":{\"artifacts\":["));
    put_each(out, 70000, "{\"name\":\"a\",\"path\":\"/p#\"}", ",");
    buf_put(out, STR("]}}]"));
}

static void put_claims(struct buf *out)
{
    buf_put(out, STR("\"resourceTemplates\":{\"volumeClaimTemplates\":["));
    put_each(out, 70000, "{\"metadata\":{\"name\":\"a#\"}}", ",");
    buf_put(out, STR("]},\"steps\":[{\"name\":\"x\",\"type\":\"Manual\"}]"));
}

static void put_mounts(struct buf *out)
{
    buf_put(out, STR("\"steps\":["
                     "{\"name\":\"x\",\"template\":{\"spec\":{\"template\":{\"spec\":{"
                     "\"restartPolicy\":\"Never\",\"volumes\":["));
    put_each(out, 1000, "{\"name\":\"v#\"}", ",");
    buf_put(out, STR("],\"containers\":["));
    for (int i = 0; i < 60; i++) {
        buf_printf(out, "%s{\"name\":\"c%d\",\"image\":\"i\",\"volumeMounts\":[", i ? "," : "", i);
        put_each(out, 1000, "{\"name\":\"v999\",\"mountPath\":\"/#\"}", ",");
        buf_put(out, STR("]}"));
    }
    buf_put(out, STR("]}}}}}]"));
}

static void put_unknown_fields(struct buf *out)
{
    buf_put(out, STR("\"steps\":[{\"name\":\"x\",\"template\":{\"spec\":{\"template\":{\"spec\":{"
                     "\"restartPolicy\":\"Never\"," CONTAINERS "}],"));
    put_each(out, 100000, "\"container#\":1", ",");
    buf_put(out, STR("}}}}}]"));
}

static void put_environment(struct buf *out)
{
    buf_put(out, STR("\"steps\":["));
    for (int i = 0; i < 40; i++) {
        buf_printf(out,
                   "%s{\"name\":\"s%d\",\"type\":\"Performer\",\"template\":{\"spec\":{"
                   "\"avsAddress\":\"x\",\"image\":\"i:1\",\"config\":{\"environment\":{",
                   i ? "," : "", i);
        put_each(out, 1000, "\"A#\":\"\"", ",");
        buf_put(out, STR("},\"environmentFrom\":["));
        put_each(
            out, 1000,
            "{\"name\":\"B#\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"s\",\"key\":\"k\"}}}",
            ",");
        buf_put(out, STR("]}}}}"));
    }
    buf_put(out, STR("]"));
}

/* ---- Judging them ---- */

static void judge(void (*put)(struct buf *out), struct policy_findings *ret, struct arena *arena)
{
    static const struct json_limits limits = {.max_depth = 64, .max_values = 1000 * 1000};
    struct err err = {0};
    struct catalog *catalog = catalog_builtin(mem_system(), &err);
    struct buf text;
    assert_non_null(catalog);
    arena_init(arena, mem_system(), 64 * 1024, 512 * 1024 * 1024);
    buf_init(&text, mem_system(), 16 * 1024 * 1024);
    buf_put(&text, STR(HEAD));
    put(&text);
    buf_put(&text, STR("}}"));
    assert_false(buf_failed(&text));
    struct policy_object subject = {
        .kind = &jobflow_kind,
        .operation = POLICY_CREATE,
        .object = json_read(arena, buf_str(&text), &limits, &err),
        .catalog = catalog,
        .user = STR("u"),
        .request_uid = STR("1"),
        .arena = arena,
    };
    if (!subject.object)
        fail_msg("%s", err.message);
    struct template_source templates = fixed_templates(fixed_read(arena, STR(FIXED_TEMPLATE)));
    struct template_answer answer;
    subject.templates = &templates;
    subject.namespace = STR("ns");
    policy_findings_init(ret, arena);
    assert_int_equal(policy_expand(&subject, ret, &answer), POLICY_EXPANDED);
    assert_true(policy_default(&subject));
    policy_validate(&subject, ret);
    assert_false(ret->errors.out_of_memory || ret->warnings.out_of_memory);
    buf_done(&text);
    catalog_unref(catalog);
}

static void a_flow_that_is_made_to_take_long_is_judged_like_others(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*put)(struct buf *out);
        size_t errors, dropped, warnings;
    } rows[] = {
        {"unknown dependencies, each nearly a step", put_dependencies, 64, 99936, 0},
        {"unknown placeholders, each nearly a parameter", put_placeholders, 64, 99936, 0},
        {"more parameters than there may be", put_parameters, 1, 0, 0},
        {"more values than a template can have parameters", put_values, 1, 0, 0},
        {"more artifacts than there may be", put_artifacts, 1, 0, 0},
        {"more claims than there may be", put_claims, 1, 0, 0},
        {"mounts of the last volume", put_mounts, 0, 0, 0},
        {"fields that nobody knows", put_unknown_fields, 0, 0, 64},
        {"variables from two places", put_environment, 0, 0, 40},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena arena;
        struct policy_findings findings;
        judge(rows[i].put, &findings, &arena);
        if (findings.errors.count != rows[i].errors || findings.errors.dropped != rows[i].dropped ||
            findings.warnings.count != rows[i].warnings)
            fail_msg("%s: %zu errors, %zu dropped, %zu warnings", rows[i].name,
                     findings.errors.count, findings.errors.dropped, findings.warnings.count);
        arena_done(&arena);
    }
}

/* ---- Proposals ---- */

static void nobody_looks_for_a_name_that_nobody_would_read(void **state)
{
    (void)state;
    struct arena arena;
    struct policy_findings findings;
    arena_init(&arena, mem_system(), 4096, 1024 * 1024);
    err_list_init(&findings.errors, &arena, 1);
    const struct flow_step step = {.name = STR("build")}, *steps[] = {&step};
    const struct flow flow = {.findings = &findings, .steps = steps, .count = 1};
    assert_str_is(flow_nearest_step(&flow, STR("biuld")), "build");
    err_list_add(&findings.errors, NULL, 1, ERR_INVALID, "the list is full");
    assert_false(str_is_set(flow_nearest_step(&flow, STR("biuld"))));
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flow_that_is_made_to_take_long_is_judged_like_others),
        cmocka_unit_test(nobody_looks_for_a_name_that_nobody_would_read),
    };
    return cmocka_run_group_tests_name("flow_hostile", tests, NULL, NULL);
}
