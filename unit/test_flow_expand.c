/* Flows that are made from templates, and that stay what they were when their manifest comes again. */
#include "policy/flow_expand.h"
#include "types/jobflow.h"
#include "unit/findings.h"
#include "unit/fixed_templates.h"
#include "unit/support.h"

#include <stdio.h>

struct fixture {
    struct arena arena;
    struct catalog *catalog;
    struct template_source templates;
    struct policy_findings findings;
    struct template_answer answer;
};

static struct json *read_yaml(struct fixture *f, const char *text)
{
    struct json *value = fixed_read(&f->arena, str_from_cstr(text));
    if (!value)
        fail_msg("no YAML: %s", text);
    return value;
}

static int setup(void **state)
{
    struct fixture *f = test_malloc(sizeof(*f));
    struct err err;
    *f = (struct fixture){0};
    arena_init(&f->arena, mem_system(), 64 * 1024, 256 * 1024 * 1024);
    f->catalog = catalog_builtin(mem_system(), &err);
    assert_non_null(f->catalog);
    f->templates = fixed_templates(read_yaml(f, FIXED_TEMPLATE));
    policy_findings_init(&f->findings, &f->arena);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    catalog_unref(f->catalog);
    arena_done(&f->arena);
    test_free(f);
    return 0;
}

#define FLOW                                                                                       \
    "apiVersion: workflow.kube-zen.io/v1alpha1\nkind: JobFlow\nmetadata: {name: f, namespace: ns}" \
    "\nspec:\n"
#define FROM_ETL FLOW "  templateRef: {name: etl}\n"
#define JOB \
    "{spec: {template: {spec: {restartPolicy: Never, containers: [{name: m, image: 'i:1'}]}}}}"

static struct policy_object subject_of(struct fixture *f, const struct json *before,
                                       struct json *object)
{
    return (struct policy_object){
        .kind = &jobflow_kind,
        .operation = before ? POLICY_UPDATE : POLICY_CREATE,
        .object = object,
        .before = before,
        .user = STR("alice"),
        .request_uid = STR("u-1"),
        .namespace = STR("ns"),
        .templates = &f->templates,
        .catalog = f->catalog,
        .arena = &f->arena,
    };
}

/* As /mutate does, and then /validate. */
static void judge(struct fixture *f, struct policy_object *subject)
{
    policy_findings_init(&f->findings, &f->arena);
    assert_int_equal(policy_expand(subject, &f->findings, &f->answer), POLICY_EXPANDED);
    assert_true(policy_default(subject));
    policy_validate(subject, &f->findings);
    assert_false(f->findings.errors.out_of_memory);
}

static struct json *judge_yaml(struct fixture *f, const struct json *before, const char *text)
{
    struct policy_object subject = subject_of(f, before, read_yaml(f, text));
    judge(f, &subject);
    return subject.object;
}

static void assert_good(const struct fixture *f, const char *name)
{
    static const struct finding none[] = {{0}};
    findings_assert(&f->findings.errors, none, name);
}

/* A flow that was made from the template and has been stored; `phase` may be NULL. */
static struct json *stored_flow(struct fixture *f, const char *phase)
{
    struct json *flow =
        judge_yaml(f, NULL,
                   FROM_ETL "  parameters: [{name: source, value: s3}]\n"
                            "  executionPolicy: {backoffLimit: 9, suspend: true}\n");
    assert_good(f, "the stored flow");
    if (phase) {
        struct json *status = json_new(&f->arena, JSON_OBJECT);
        assert_true(json_set(status, STR("phase"), json_new_str(&f->arena, str_from_cstr(phase))));
        assert_true(json_set(flow, STR("status"), status));
    }
    return flow;
}

static struct str print(struct fixture *f, const struct json *value)
{
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 1024 * 1024);
    json_write(&buf, value);
    assert_false(buf_failed(&buf));
    return buf_str(&buf);
}

static void assert_json(struct fixture *f, const struct json *value, const char *expected)
{
    assert_str_is(print(f, value), expected);
}

/* ---- Making ---- */

static void a_flow_gets_all_that_its_template_has(void **state)
{
    struct fixture *f = *state;
    struct json *flow =
        judge_yaml(f, NULL,
                   FROM_ETL "  parameters: [{name: source, value: s3}]\n"
                            "  executionPolicy: {backoffLimit: 9, suspend: true}\n");
    const struct json *spec = json_get(flow, STR("spec"));
    const struct json *template = json_get(f->templates.ctx, STR("spec"));
    assert_good(f, "the flow");
    assert_json(f, json_get(spec, STR("templateRef")), "{\"name\":\"etl\"}");
    assert_json(f, json_get(spec, STR("parameters")),
                "[{\"name\":\"source\",\"value\":\"s3\"},{\"name\":\"size\",\"value\":\"small\"}]");
    assert_json(f, json_get(spec, STR("executionPolicy")),
                "{\"priority\":\"high\",\"backoffLimit\":9,\"parallelism\":4,"
                "\"concurrencyPolicy\":\"Forbid\",\"ttlSecondsAfterFinished\":86400,"
                "\"suspend\":true}");
    assert_int_equal(json_get(spec, STR("steps"))->len, 2);
    assert_json(f, json_path(json_at(json_get(spec, STR("steps")), 1), "when", NULL),
                "\"parameters.size == 'large'\"");
    assert_int_equal(json_get(spec, STR("finally"))->len, 1);
    assert_true(json_equal(json_get(spec, STR("resourceTemplates")),
                           json_get(template, STR("resourceTemplates"))));
    assert_json(f, json_path(flow, "metadata", "annotations", NULL),
                "{\"callboard.dev/initiated-by\":\"alice\",\"callboard.dev/correlation-id\":"
                "\"u-1\",\"workflow.kube-zen.io/template-generation\":\"7\"}");
}

static void the_template_itself_stays_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct str before = print(f, f->templates.ctx);
    stored_flow(f, NULL);
    assert_str_equal(print(f, f->templates.ctx), before);
}

static void making_a_flow_again_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct json *flow = stored_flow(f, NULL);
    struct str first = print(f, flow);
    struct policy_object again = subject_of(f, NULL, flow);
    judge(f, &again);
    assert_good(f, "made twice");
    assert_str_equal(print(f, flow), first);
}

static void a_flow_without_a_template_is_left_alone(void **state)
{
    struct fixture *f = *state;
    static const char *const flows[] = {
        FLOW "  steps: [{name: a, template: " JOB "}]\n",
        FLOW "  steps: [{name: a, template: " JOB "}]\n  templateRef: null\n",
    };
    for (size_t i = 0; i < sizeof(flows) / sizeof(flows[0]); i++) {
        struct policy_object subject = subject_of(f, NULL, read_yaml(f, flows[i]));
        struct str before = print(f, subject.object);
        assert_int_equal(policy_expand(&subject, &f->findings, &f->answer), POLICY_EXPANDED);
        assert_str_equal(print(f, subject.object), before);
    }
    /* Nobody can claim that it came from one. */
    struct json *flow = judge_yaml(
        f, NULL,
        "apiVersion: workflow.kube-zen.io/v1alpha1\nkind: JobFlow\nmetadata: {name: f, "
        "annotations: "
        "{workflow.kube-zen.io/template-generation: '3'}}\nspec: {steps: [{name: a, template: " JOB
        "}]}\n");
    assert_null(json_path(flow, "metadata", "annotations",
                          "workflow.kube-zen.io/template-generation", NULL));
}

struct refusal {
    const char *name;
    const char *flow;
    struct finding errors[4];
};

static void check_refusals(struct fixture *f, const struct json *before,
                           const struct refusal *refusals, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        judge_yaml(f, before, refusals[i].flow);
        findings_assert(&f->findings.errors, refusals[i].errors, refusals[i].name);
    }
}
#define CHECK_REFUSALS(f, before, refusals) \
    check_refusals(f, before, refusals, sizeof(refusals) / sizeof((refusals)[0]))

#define SOURCE "{name: source, value: s3}"

static void what_a_flow_gives_must_fit_its_template(void **state)
{
    static const struct refusal refusals[] = {
        {"no value for a parameter without a default",
         FROM_ETL,
         {{ERR_REQUIRED, "spec.parameters",
           "the JobFlowTemplate \"etl\" needs a value for the parameter \"source\": Where the data "
           "comes from."}}},
        {"a parameter that the template has not",
         FROM_ETL "  parameters: [" SOURCE ", {name: sise, value: x}]\n",
         {{ERR_NOT_FOUND, "spec.parameters[1].name",
           "\"etl\" has no parameter \"sise\"; did you mean \"size\"?"}}},
        {"a value that is no choice",
         FROM_ETL "  parameters: [" SOURCE ", {name: size, value: huge}]\n",
         {{ERR_NOT_SUPPORTED, "spec.parameters[1].value",
           "Unsupported value: \"huge\": the JobFlowTemplate \"etl\" allows for \"size\": "
           "\"small\", \"large\""}}},
        {"all at once",
         FROM_ETL "  parameters: [{name: size, value: huge}, {name: x, value: z}]\n",
         {{ERR_NOT_SUPPORTED, "spec.parameters[0].value", "huge"},
          {ERR_NOT_FOUND, "spec.parameters[1].name", "\"x\""},
          {ERR_REQUIRED, "spec.parameters", "source"}}},
        {"steps beside it",
         FROM_ETL "  parameters: [" SOURCE "]\n  steps: [{name: a, template: " JOB "}]\n",
         {{ERR_FORBIDDEN, "spec.steps",
           "they come from the JobFlowTemplate \"etl\"; remove them"}}},
        {"steps of finally beside it",
         FROM_ETL "  parameters: [" SOURCE "]\n  finally: [{name: a, template: " JOB "}]\n",
         {{ERR_FORBIDDEN, "spec.finally", "they come from the JobFlowTemplate \"etl\""}}},
        {"resources beside it",
         FROM_ETL "  parameters: [" SOURCE "]\n  resourceTemplates: {}\n",
         {{ERR_FORBIDDEN, "spec.resourceTemplates", "they come from the JobFlowTemplate"}}},
        {"a parameter twice",
         FROM_ETL "  parameters: [" SOURCE ", " SOURCE "]\n",
         {{ERR_DUPLICATE, "spec.parameters[1].name", "source"}}},
        {"a value that is no text",
         FROM_ETL "  parameters: [{name: source, value: 5}]\n",
         {{ERR_TYPE, "spec.parameters[0].value", "string"}}},
        {"no list", FROM_ETL "  parameters: none\n", {{ERR_TYPE, "spec.parameters", "list"}}},
        {"a template that does not exist",
         FLOW "  templateRef: {name: elt}\n",
         {{ERR_NOT_FOUND, "spec.templateRef.name",
           "the namespace \"ns\" has no JobFlowTemplate \"elt\"; did you mean \"etl\"?"}}},
        {"a name that is none",
         FLOW "  templateRef: {name: ../etl}\n",
         {{ERR_INVALID, "spec.templateRef.name", "../etl"}}},
        {"no name", FLOW "  templateRef: {}\n", {{ERR_REQUIRED, "spec.templateRef.name", ""}}},
        {"a policy that is none",
         FROM_ETL "  parameters: [" SOURCE "]\n  executionPolicy: {priority: urgent}\n",
         {{ERR_NOT_SUPPORTED, "spec.executionPolicy.priority", "urgent"}}},
    };
    CHECK_REFUSALS(*state, NULL, refusals);
}

static void an_error_in_a_step_names_the_template_that_it_is_from(void **state)
{
    struct fixture *f = *state;
    f->templates = fixed_templates(read_yaml(
        f, "metadata: {name: etl}\nspec: {steps: [{name: a, dependencies: [b], template: " JOB
           "}]}\n"));
    static const struct refusal refusals[] = {
        {"a dependency",
         FROM_ETL,
         {{ERR_NOT_FOUND, "spec.steps[0].dependencies[0]",
           "the flow has no step \"b\" (from the JobFlowTemplate \"etl\")"}}},
    };
    CHECK_REFUSALS(f, NULL, refusals);
}

static void long_lists_of_choices_are_cut(void **state)
{
    struct fixture *f = *state;
    struct buf text;
    buf_init(&text, arena_mem(&f->arena), 64 * 1024);
    buf_put(&text, STR("metadata: {name: etl}\nspec: {parameters: [{name: p, enum: ["));
    for (int i = 0; i < 12; i++)
        buf_printf(&text, "c%d, ", i);
    buf_put(&text, STR("]}]}\n"));
    f->templates = fixed_templates(fixed_read(&f->arena, buf_str(&text)));
    judge_yaml(f, NULL, FROM_ETL "  parameters: [{name: p, value: x}]\n");
    static const struct finding errors[] = {
        {ERR_NOT_SUPPORTED, "spec.parameters[0].value", "\"c9\" and 2 more"}, {0}};
    findings_assert(&f->findings.errors, errors, "twelve choices");
}

static void a_template_that_is_not_known_decides_nothing(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct str namespace;
        enum template_state state;
    } rows[] = {
        {STR_INIT("unknown"), TEMPLATE_UNKNOWN},
        {STR_INIT("unreachable"), TEMPLATE_UNREACHABLE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct policy_object subject = subject_of(f, NULL, read_yaml(f, FROM_ETL));
        struct str before = print(f, subject.object);
        subject.namespace = rows[i].namespace;
        assert_int_equal(policy_expand(&subject, &f->findings, &f->answer), POLICY_UNDECIDED);
        assert_int_equal(f->answer.state, rows[i].state);
        assert_true(err_list_is_empty(&f->findings.errors));
        assert_str_equal(print(f, subject.object), before);
    }
}

static void a_flow_that_was_not_made_is_refused(void **state)
{
    struct fixture *f = *state;
    struct policy_object subject = subject_of(f, NULL, read_yaml(f, FROM_ETL));
    assert_true(policy_default(&subject));
    policy_validate(&subject, &f->findings);
    static const struct finding errors[] = {{ERR_REQUIRED, "spec.steps", "removed since"}, {0}};
    findings_assert(&f->findings.errors, errors, "a flow without steps");
}

/* ---- The manifest again ---- */

/* kubectl replace: the short manifest is all there is. */
#define SHORT                                              \
    FROM_ETL "  parameters: [{name: source, value: s3}]\n" \
             "  executionPolicy: {backoffLimit: 9, suspend: true}\n"

static void replacing_by_the_short_manifest_changes_nothing(void **state)
{
    struct fixture *f = *state;
    static const char *const phases[] = {NULL, "Pending", "Running", "Succeeded"};
    static const char *const manifests[] = {
        SHORT,
        FROM_ETL "  executionPolicy: {suspend: true, parallelism: 4}\n",
        FROM_ETL "  executionPolicy: {suspend: true, parallelism: 4, priority: null}\n"
                 "  parameters: null\n  steps: null\n",
    };
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        for (size_t k = 0; k < sizeof(manifests) / sizeof(manifests[0]); k++) {
            struct json *before = stored_flow(f, phases[i]);
            struct json *after = judge_yaml(f, before, manifests[k]);
            assert_good(f, manifests[k]);
            const struct json *policy = json_path(after, "spec", "executionPolicy", NULL);
            if (k == 0) /* parallelism may change, so it is what the manifest says: without limit */
                assert_true(json_set((struct json *)(uintptr_t)policy, STR("parallelism"),
                                     json_new_int(&f->arena, 4)));
            if (!json_equal(json_get(before, STR("spec")), json_get(after, STR("spec"))))
                fail_msg("%s: %s\n%s", manifests[k], print(f, json_get(before, STR("spec"))).ptr,
                         print(f, json_get(after, STR("spec"))).ptr);
            assert_json(f,
                        json_path(after, "metadata", "annotations",
                                  "workflow.kube-zen.io/template-generation", NULL),
                        "\"7\"");
        }
    }
}

/* kubectl apply sends a merge patch (RFC 7396): lists as a whole. */
static void applying_the_short_manifest_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct json *before = stored_flow(f, "Running");
    struct json *after = json_copy(&f->arena, before);
    assert_true(json_set(json_get(after, STR("spec")), STR("parameters"),
                         read_yaml(f, "[{name: source, value: s3}]\n")));
    struct policy_object subject = subject_of(f, before, after);
    judge(f, &subject);
    assert_good(f, "a merge patch");
    assert_true(json_equal(json_get(before, STR("spec")), json_get(after, STR("spec"))));
}

/* Server-side apply keeps all that others own, with the applied entries of a list first. */
static void the_order_of_parameters_does_not_matter(void **state)
{
    struct fixture *f = *state;
    struct json *before = stored_flow(f, "Running");
    struct json *after = json_copy(&f->arena, before);
    assert_true(
        json_set(json_get(after, STR("spec")), STR("parameters"),
                 read_yaml(f, "[{name: size, value: small}, {name: source, value: s3}]\n")));
    struct policy_object subject = subject_of(f, before, after);
    judge(f, &subject);
    assert_good(f, "another order");
    assert_true(json_equal(json_get(before, STR("spec")), json_get(after, STR("spec"))));
}

static void a_template_that_changed_or_went_does_not_matter_any_more(void **state)
{
    struct fixture *f = *state;
    struct json *before = stored_flow(f, NULL);
    f->templates = fixed_templates(read_yaml(f, "metadata: {name: other}\n"));
    judge_yaml(f, before, SHORT);
    assert_good(f, "without the template");
}

/* As one that was stored before steps had a type. */
static void what_an_earlier_version_did_not_fill_in_is_no_change(void **state)
{
    struct fixture *f = *state;
    struct json *before = stored_flow(f, "Running");
    JSON_EACH (step, json_path(before, "spec", "steps", NULL)) {
        json_remove(step, STR("type"));
    }
    struct json *after = judge_yaml(f, before, SHORT);
    assert_good(f, "an older flow");
    struct policy_object again = subject_of(f, before, after);
    judge(f, &again);
    assert_good(f, "what was made of it");
    again = subject_of(f, before, json_copy(&f->arena, before));
    struct str text = print(f, json_get(before, STR("spec")));
    judge(f, &again);
    assert_good(f, "the older flow as it is");
    assert_str_equal(print(f, json_get(again.object, STR("spec"))), text);
}

static void what_may_change_changes(void **state)
{
    struct fixture *f = *state;
    struct json *before = stored_flow(f, "Running");
    struct json *after = judge_yaml(f, before,
                                    FROM_ETL "  executionPolicy: {backoffLimit: 9, parallelism: 2, "
                                             "activeDeadlineSeconds: 60}\n");
    assert_good(f, "suspend taken out of the manifest");
    assert_json(f, json_path(after, "spec", "executionPolicy", NULL),
                "{\"backoffLimit\":9,\"parallelism\":2,\"activeDeadlineSeconds\":60,"
                "\"priority\":\"high\",\"concurrencyPolicy\":\"Forbid\","
                "\"ttlSecondsAfterFinished\":86400}");
}

static void what_was_made_cannot_be_changed(void **state)
{
    struct fixture *f = *state;
    static const struct refusal refusals[] = {
        {"another value",
         FROM_ETL "  parameters: [{name: source, value: gcs}]\n",
         {{ERR_FORBIDDEN, "spec.parameters[0].value", "made with another value of \"source\""}}},
        {"another parameter",
         FROM_ETL "  parameters: [" SOURCE ", {name: sourse, value: x}]\n",
         {{ERR_NOT_FOUND, "spec.parameters[1].name", "did you mean \"source\"?"}}},
        {"no text",
         FROM_ETL "  parameters: [{name: source, value: 5}, {name: size, value: small}]\n",
         {{ERR_TYPE, "spec.parameters[0].value", "string"},
          {ERR_FORBIDDEN, "spec.parameters", "came from"}}},
        {"other steps",
         FROM_ETL "  steps: [{name: a, template: " JOB "}]\n",
         {{ERR_FORBIDDEN, "spec.steps", "made from the JobFlowTemplate \"etl\""}}},
        {"another template",
         FLOW "  templateRef: {name: other}\n  steps: [{name: a, template: " JOB "}]\n",
         {{ERR_FORBIDDEN, "spec.templateRef", "cannot be added, changed or removed"}}},
        {"no template",
         FLOW "  steps: [{name: a, template: " JOB "}]\n",
         {{ERR_FORBIDDEN, "spec.templateRef", "cannot be added, changed or removed"}}},
    };
    CHECK_REFUSALS(f, stored_flow(f, NULL), refusals);
    CHECK_REFUSALS(f, stored_flow(f, "Pending"), refusals);
}

static void nor_after_the_start(void **state)
{
    struct fixture *f = *state;
    static const struct refusal refusals[] = {
        {"another value",
         FROM_ETL "  parameters: [{name: source, value: gcs}]\n",
         {{ERR_FORBIDDEN, "spec.parameters[0].value", "made with another value"}}},
        {"other steps",
         FROM_ETL "  steps: [{name: a, template: " JOB "}]\n",
         {{ERR_FORBIDDEN, "spec.steps", "made from the JobFlowTemplate \"etl\""}}},
        {"another policy",
         FROM_ETL "  executionPolicy: {backoffLimit: 1}\n",
         {{ERR_FORBIDDEN, "spec.executionPolicy.backoffLimit", "has started"}}},
    };
    CHECK_REFUSALS(f, stored_flow(f, "Running"), refusals);
}

static void a_template_cannot_be_added_later(void **state)
{
    struct fixture *f = *state;
    struct json *before = judge_yaml(f, NULL, FLOW "  steps: [{name: a, template: " JOB "}]\n");
    static const struct refusal refusals[] = {
        {"beside the steps",
         FROM_ETL "  steps: [{name: a, template: " JOB "}]\n",
         {{ERR_FORBIDDEN, "spec.templateRef", "cannot be added"}}},
    };
    CHECK_REFUSALS(f, before, refusals);
}

/* ---- Templates ---- */

#define TEMPLATE                                                                                \
    "apiVersion: workflow.kube-zen.io/v1alpha1\nkind: JobFlowTemplate\nmetadata: {name: etl}\n" \
    "spec:\n"
#define USES(text)                                                                               \
    "  steps: [{name: a, template: {spec: {template: {spec: {restartPolicy: Never, containers: " \
    "[{name: m, image: 'i:1', args: ['" text "']}]}}}}}]\n"

static void check_template(struct fixture *f, const char *text, const struct finding *errors,
                           const struct finding *warnings)
{
    struct policy_object subject = subject_of(f, NULL, read_yaml(f, text));
    subject.kind = &jobflow_template_kind;
    judge(f, &subject);
    findings_assert(&f->findings.errors, errors, text);
    findings_assert(&f->findings.warnings, warnings, text);
}

static void a_template_is_checked_when_it_is_applied(void **state)
{
    static const struct {
        const char *text;
        struct finding errors[2];
        struct finding warnings[2];
    } rows[] = {
        {FIXED_TEMPLATE, {{0}}, {{0}}},
        {TEMPLATE "  parameters: [{name: p, default: x, enum: [a, b]}]\n" USES("{{parameters.p}}"),
         {{ERR_NOT_SUPPORTED, "spec.parameters[0].default", "\"x\": it must be one of enum"}},
         {{0}}},
        {TEMPLATE "  parameters: [{name: p, enum: []}]\n" USES("{{parameters.p}}"),
         {{ERR_REQUIRED, "spec.parameters[0].enum", ""}},
         {{0}}},
        {TEMPLATE "  parameters: [{name: p}, {name: q}]\n" USES("{{parameters.p}}"),
         {{0}},
         {{ERR_INVALID, "spec.parameters[1]", "nothing uses the parameter \"q\""}}},
        {TEMPLATE "  parameters: [{name: p}]\n" USES("{{parameters.q}}"),
         {{ERR_INVALID, "spec.steps[0].template.spec.template.spec.containers[0].args[0]",
           "unknown parameter \"q\""}},
         {{0}}},
        {TEMPLATE "  parameters: [{name: p}, {name: p}]\n" USES("{{parameters.p}}"),
         {{ERR_DUPLICATE, "spec.parameters[1].name", "p"}},
         {{0}}},
        {TEMPLATE "  parameters: [{name: p}]\n", {{ERR_REQUIRED, "spec.steps", ""}}, {{0}}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_template(*state, rows[i].text, rows[i].errors, rows[i].warnings);
}

/* ---- Failing memory ---- */

struct work {
    const struct json *object;
    const struct json *before;
    const struct fixture *f;
};

static bool work(const struct mem *mem, void *ctx)
{
    struct work *w = ctx;
    struct arena arena;
    arena_init(&arena, mem, 256, 64 * 1024 * 1024);
    bool good = false;
    struct policy_object subject = {
        .kind = &jobflow_kind,
        .operation = w->before ? POLICY_UPDATE : POLICY_CREATE,
        .object = json_copy(&arena, w->object),
        .before = w->before,
        .namespace = STR("ns"),
        .templates = &w->f->templates,
        .catalog = w->f->catalog,
        .arena = &arena,
    };
    struct template_answer answer;
    struct policy_findings findings;
    policy_findings_init(&findings, &arena);
    if (subject.object && policy_expand(&subject, &findings, &answer) == POLICY_EXPANDED &&
        policy_default(&subject)) {
        policy_validate(&subject, &findings);
        good = !findings.errors.out_of_memory && !findings.warnings.out_of_memory;
    }
    arena_done(&arena);
    return good;
}

static void memory_may_fail_anywhere(void **state)
{
    struct fixture *f = *state;
    struct work works[] = {
        {read_yaml(f, SHORT), NULL, f},
        {read_yaml(f, FROM_ETL "  parameters: [{name: size, value: huge}, {name: x, value: z}]\n"),
         NULL, f},
        {read_yaml(f, SHORT), stored_flow(f, "Running"), f},
        {read_yaml(f, FROM_ETL "  parameters: [{name: source, value: gcs}]\n"),
         stored_flow(f, NULL), f},
    };
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
        test_every_allocation_failing(work, &works[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_flow_gets_all_that_its_template_has),
        TEST(the_template_itself_stays_as_it_is),
        TEST(making_a_flow_again_changes_nothing),
        TEST(a_flow_without_a_template_is_left_alone),
        TEST(what_a_flow_gives_must_fit_its_template),
        TEST(an_error_in_a_step_names_the_template_that_it_is_from),
        TEST(long_lists_of_choices_are_cut),
        TEST(a_template_that_is_not_known_decides_nothing),
        TEST(a_flow_that_was_not_made_is_refused),
        TEST(replacing_by_the_short_manifest_changes_nothing),
        TEST(applying_the_short_manifest_changes_nothing),
        TEST(the_order_of_parameters_does_not_matter),
        TEST(a_template_that_changed_or_went_does_not_matter_any_more),
        TEST(what_an_earlier_version_did_not_fill_in_is_no_change),
        TEST(what_may_change_changes),
        TEST(what_was_made_cannot_be_changed),
        TEST(nor_after_the_start),
        TEST(a_template_cannot_be_added_later),
        TEST(a_template_is_checked_when_it_is_applied),
        TEST(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
