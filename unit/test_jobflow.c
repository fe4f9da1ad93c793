/* The rules of JobFlows, each by a flow that breaks it and one that does not. */
#include "policy/jobflow.h"
#include "policy/policy.h"
#include "types/jobflow.h"
#include "unit/support.h"
#include "json/yaml.h"

#include <stdio.h>

/* ---- Making and judging flows ---- */

struct judged {
    struct arena arena;
    struct catalog *catalog;
    struct policy_object subject;
    struct policy_findings findings;
};

static struct json *read_yaml(struct arena *arena, const char *text)
{
    struct yaml_reader reader;
    struct json *value = NULL;
    struct err err = {0};
    yaml_reader_init(&reader, str_from_cstr(text), &json_limits_default);
    if (yaml_reader_next(&reader, arena, &value, &err) != 1)
        fail_msg("%s\n%s", err.message, text);
    yaml_reader_done(&reader);
    return value;
}

static void judged_init(struct judged *j)
{
    struct err err;
    memset(j, 0, sizeof(*j));
    arena_init(&j->arena, mem_system(), 64 * 1024, 512 * 1024 * 1024);
    j->catalog = catalog_builtin(mem_system(), &err);
    assert_non_null(j->catalog);
    j->subject = (struct policy_object){
        .kind = &jobflow_kind,
        .operation = POLICY_CREATE,
        .is_offline = true,
        .catalog = j->catalog,
        .arena = &j->arena,
    };
    policy_findings_init(&j->findings, &j->arena);
}

static void judged_done(struct judged *j)
{
    catalog_unref(j->catalog);
    arena_done(&j->arena);
}

static void judge(struct judged *j)
{
    assert_true(policy_default(&j->subject));
    policy_validate(&j->subject, &j->findings);
    assert_false(j->findings.errors.out_of_memory);
}

static void print_errors(const struct err_list *errors)
{
    for (const struct err_item *e = errors->first; e; e = e->next)
        print_error("  %" PRIstr ": %s: %" PRIstr "\n", STR_ARG(e->field),
                    err_reason_name(e->reason), STR_ARG(e->message));
}

static bool contains(struct str text, const char *part)
{
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

/* A flow whose spec is `spec`, with HEAD before it. */
#define HEAD \
    "apiVersion: workflow.kube-zen.io/v1alpha1\nkind: JobFlow\nmetadata: {name: f}\nspec:\n"
#define JOB \
    "{spec: {template: {spec: {restartPolicy: Never, containers: [{name: m, image: 'i:1'}]}}}}"
#define ARGS(args)                                                                                \
    "{spec: {template: {spec: {restartPolicy: Never, containers: [{name: m, image: 'i:1', args: " \
    "[" args "]}]}}}}"

struct rule_case {
    const char *name;
    const char *spec;
    /* The only error; NULL when the flow is good. */
    const char *field;
    enum err_reason reason;
    const char *text;
};

static void check_cases(const struct rule_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct rule_case *c = &cases[i];
        struct judged j;
        judged_init(&j);
        struct str text = arena_printf(&j.arena, HEAD "%s", c->spec);
        j.subject.object = read_yaml(&j.arena, text.ptr);
        judge(&j);
        const struct err_item *e = j.findings.errors.first;
        size_t expected = c->field ? 1 : 0;
        if (j.findings.errors.count != expected ||
            (e && (!str_eq_cstr(e->field, c->field) || e->reason != c->reason ||
                   !contains(e->message, c->text)))) {
            print_error("%s: expected %s: %s\n", c->name, c->field ? c->field : "no error",
                        c->text ? c->text : "");
            print_errors(&j.findings.errors);
            fail();
        }
        judged_done(&j);
    }
}
#define CHECK_CASES(cases) check_cases(cases, sizeof(cases) / sizeof((cases)[0]))

/* ---- The graph ---- */

static void the_graph_is_checked(void **state)
{
    (void)state;
    static const struct rule_case cases[] = {
        {"two steps in a row",
         "  steps:\n  - {name: a, template: " JOB "}\n"
         "  - {name: b, dependencies: [a], template: " JOB "}\n",
         NULL, 0, NULL},
        {"no step", "  steps: []\n", "spec.steps", ERR_REQUIRED, "at least"},
        {"a name twice",
         "  steps:\n  - {name: a, template: " JOB "}\n  - {name: a, template: " JOB "}\n",
         "spec.steps[1].name", ERR_DUPLICATE, "spec.steps[0]"},
        {"a name in steps and in finally",
         "  steps:\n  - {name: a, template: " JOB "}\n"
         "  finally:\n  - {name: a, template: " JOB "}\n",
         "spec.finally[0].name", ERR_DUPLICATE, "spec.steps[0]"},
        {"an unknown dependency, with the nearest name",
         "  steps:\n  - {name: build, template: " JOB "}\n"
         "  - {name: b, dependencies: [biuld], template: " JOB "}\n",
         "spec.steps[1].dependencies[0]", ERR_NOT_FOUND, "did you mean \"build\"?"},
        {"a dependency twice",
         "  steps:\n  - {name: a, template: " JOB "}\n"
         "  - {name: b, dependencies: [a, a], template: " JOB "}\n",
         "spec.steps[1].dependencies[1]", ERR_DUPLICATE, "already in the list"},
        {"itself", "  steps:\n  - {name: a, dependencies: [a], template: " JOB "}\n", "spec.steps",
         ERR_INVALID, "cycle: a → a"},
        {"a cycle of three",
         "  steps:\n  - {name: a, dependencies: [b], template: " JOB "}\n"
         "  - {name: b, dependencies: [c], template: " JOB "}\n"
         "  - {name: c, dependencies: [a], template: " JOB "}\n",
         "spec.steps", ERR_INVALID, "cycle: a → b → c → a"},
        {"a cycle in finally",
         "  steps:\n  - {name: a, template: " JOB "}\n"
         "  finally:\n  - {name: x, dependencies: [z], template: " JOB "}\n"
         "  - {name: z, dependencies: [x], template: " JOB "}\n",
         "spec.finally", ERR_INVALID, "cycle: x → z → x"},
        {"finally after a step",
         "  steps:\n  - {name: a, template: " JOB "}\n"
         "  finally:\n  - {name: x, dependencies: [a], template: " JOB "}\n",
         "spec.finally[0].dependencies[0]", ERR_INVALID, "depend on each other only"},
        {"a step after finally",
         "  steps:\n  - {name: a, dependencies: [x], template: " JOB "}\n"
         "  finally:\n  - {name: x, template: " JOB "}\n",
         "spec.steps[0].dependencies[0]", ERR_INVALID, "is a step of finally"},
    };
    CHECK_CASES(cases);
}

/* ---- Types and templates ---- */

static void the_template_of_each_type_is_checked(void **state)
{
    (void)state;
    static const struct rule_case cases[] = {
        {"a Job without a template", "  steps: [{name: a}]\n", "spec.steps[0].template",
         ERR_REQUIRED, "needs a template"},
        {"a Manual step", "  steps: [{name: a, type: Manual, message: ok?}]\n", NULL, 0, NULL},
        {"a Manual step with a template",
         "  steps:\n  - {name: a, type: Manual, template: " JOB "}\n", "spec.steps[0].template",
         ERR_FORBIDDEN, "has no template"},
        {"a Manual step in finally",
         "  steps:\n  - {name: a, template: " JOB "}\n  finally: [{name: x, type: Manual}]\n",
         "spec.finally[0].type", ERR_FORBIDDEN, "without waiting"},
        {"an unknown type", "  steps: [{name: a, type: job, template: " JOB "}]\n",
         "spec.steps[0].type", ERR_NOT_SUPPORTED, "did you mean \"Job\"?"},
        {"no containers",
         "  steps: [{name: a, template: {spec: {template: {spec: {restartPolicy: Never}}}}}]\n",
         "spec.steps[0].template.spec.template.spec.containers", ERR_REQUIRED, "containers"},
        {"restartPolicy Always",
         "  steps: [{name: a, template: {spec: {template: {spec: {restartPolicy: Always, "
         "containers: [{name: m, image: i}]}}}}}]\n",
         "spec.steps[0].template.spec.template.spec.restartPolicy", ERR_NOT_SUPPORTED,
         "\"OnFailure\", \"Never\""},
        {"a TTL of its own",
         "  steps: [{name: a, template: {spec: {ttlSecondsAfterFinished: 5, template: {spec: "
         "{restartPolicy: Never, containers: [{name: m, image: i}]}}}}}]\n",
         "spec.steps[0].template.spec.ttlSecondsAfterFinished", ERR_FORBIDDEN, "vanish"},
        {"a volume that is not there",
         "  steps: [{name: a, template: {spec: {template: {spec: {restartPolicy: Never, "
         "containers: "
         "[{name: m, image: i, volumeMounts: [{name: v, mountPath: /v}]}]}}}}}]\n",
         "spec.steps[0].template.spec.template.spec.containers[0].volumeMounts[0].name",
         ERR_NOT_FOUND, "no volume \"v\""},
        {"an image by parameter",
         "  parameters: [{name: tag, value: '1'}]\n"
         "  steps: [{name: a, template: {spec: {template: {spec: {restartPolicy: Never, "
         "containers: "
         "[{name: m, image: 'Repo/{{parameters.tag}}'}]}}}}}]\n",
         NULL, 0, NULL},
        {"a Performer step",
         "  steps: [{name: a, type: Performer, template: {spec: {avsAddress: x, image: 'i:1'}}}]\n",
         NULL, 0, NULL},
        {"a Performer step with an error in the Performer",
         "  steps: [{name: a, type: Performer, template: {spec: {avsAddress: x, image: 'i:1', "
         "hardwareRequirements: {gpuType: nvidia-a1000}}}}]\n",
         "spec.steps[0].template.spec.hardwareRequirements.gpuType", ERR_NOT_SUPPORTED, "catalog"},
        {"a Performer step without a template", "  steps: [{name: a, type: Performer}]\n",
         "spec.steps[0].template", ERR_REQUIRED, "a Performer"},
    };
    CHECK_CASES(cases);
}

/* ---- Conditions, parameters, placeholders ---- */

static void references_are_checked(void **state)
{
    (void)state;
    static const struct rule_case cases[] = {
        {"a condition on an ancestor",
         "  steps:\n  - {name: a, template: " JOB "}\n"
         "  - {name: b, dependencies: [a], when: \"steps.a.phase == 'Succeeded'\", template: " JOB
         "}\n",
         NULL, 0, NULL},
        {"a condition on a step that need not have ended",
         "  steps:\n  - {name: a, template: " JOB "}\n"
         "  - {name: b, when: \"steps.a.phase == 'Succeeded'\", template: " JOB "}\n",
         "spec.steps[1].when", ERR_INVALID, "column"},
        {"finally may look at every step",
         "  steps:\n  - {name: a, template: " JOB "}\n"
         "  finally:\n  - {name: x, when: \"steps.a.phase == 'Failed'\", template: " JOB "}\n",
         NULL, 0, NULL},
        {"a misspelt phase",
         "  steps:\n  - {name: a, template: " JOB "}\n"
         "  - {name: b, dependencies: [a], when: \"steps.a.phase == 'Suceeded'\", template: " JOB
         "}\n",
         "spec.steps[1].when", ERR_INVALID, "column"},
        {"an unknown parameter",
         "  parameters: [{name: env, value: prod}]\n"
         "  steps:\n  - {name: a, template: " ARGS("'{{parameters.evn}}'") "}\n",
         "spec.steps[0].template.spec.template.spec.containers[0].args[0]", ERR_INVALID,
         "did you mean \"env\"?"},
        {"shell variables are left alone",
         "  steps:\n  - {name: a, template: " ARGS("'echo ${HOME} $(X) {{.Names}}'") "}\n", NULL, 0,
         NULL},
        {"an output of an ancestor",
         "  steps:\n"
         "  - {name: a, outputs: {parameters: [{name: num, valueFrom: {jsonPath: "
         "$.status.succeeded}}]}"
         ", template: " JOB "}\n"
         "  - {name: b, dependencies: [a], template: " ARGS("'{{steps.a.outputs.num}}'") "}\n",
         NULL, 0, NULL},
        {"an output that is not there",
         "  steps:\n  - {name: a, template: " JOB "}\n"
         "  - {name: b, dependencies: [a], template: " ARGS("'{{steps.a.outputs.num}}'") "}\n",
         "spec.steps[1].template.spec.template.spec.containers[0].args[0]", ERR_INVALID, "output"},
        {"a secret in a text",
         "  steps:\n  - {name: a, inputs: {parameters: [{name: PW, valueFrom: {secretKeyRef: "
         "{name: s,"
         " key: k}}}]}, template: " ARGS("'{{parameters.PW}}'") "}\n",
         "spec.steps[0].template.spec.template.spec.containers[0].args[0]", ERR_FORBIDDEN, "$(PW)"},
        {"a secret as an environment variable",
         "  steps:\n  - {name: a, inputs: {parameters: [{name: PW, valueFrom: {secretKeyRef: "
         "{name: s,"
         " key: k}}}]}, template: " ARGS("'$(PW)'") "}\n",
         NULL, 0, NULL},
        {"a parameter with two sources",
         "  steps:\n  - {name: a, inputs: {parameters: [{name: p, value: x, valueFrom: "
         "{configMapKeyRef: {name: c, key: k}}}]}, template: " JOB "}\n",
         "spec.steps[0].inputs.parameters[0]", ERR_REQUIRED, "exactly one"},
        {"a path into the step's own Job",
         "  steps:\n  - {name: a, inputs: {parameters: [{name: p, valueFrom: {jsonPath: $.x}}]}, "
         "template: " JOB "}\n",
         "spec.steps[0].inputs.parameters[0].valueFrom.jsonPath", ERR_INVALID,
         "does not exist yet"},
        {"a path into the Job of a step that is not before",
         "  steps:\n  - {name: a, template: " JOB "}\n"
         "  - {name: b, inputs: {parameters: [{name: p, valueFrom: {jsonPath: 'a:$.x'}}]}, "
         "template: " JOB "}\n",
         "spec.steps[1].inputs.parameters[0].valueFrom.jsonPath", ERR_INVALID, "dependencies"},
    };
    CHECK_CASES(cases);
}

/* ---- Artifacts ---- */

#define OUT(name) "outputs: {artifacts: [{name: " name ", path: /out}]}"

static void artifacts_are_checked(void **state)
{
    (void)state;
    static const struct rule_case cases[] = {
        {"from an ancestor",
         "  steps:\n  - {name: a, " OUT("data") ", template: " JOB "}\n"
                                                "  - {name: b, dependencies: [a], inputs: "
                                                "{artifacts: [{name: data, path: /in, from: a}]}, "
                                                "template: " JOB "}\n",
         NULL, 0, NULL},
        {"from a step that is not before",
         "  steps:\n  - {name: a, " OUT("data") ", template: " JOB "}\n"
                                                "  - {name: b, inputs: {artifacts: [{name: x, "
                                                "path: /in, from: a/data}]}, template: " JOB "}\n",
         "spec.steps[1].inputs.artifacts[0].from", ERR_INVALID, "dependencies"},
        {"an artifact that is not there",
         "  steps:\n  - {name: a, " OUT("data") ", template: " JOB "}\n"
                                                "  - {name: b, dependencies: [a], inputs: "
                                                "{artifacts: [{name: x, path: /in, from: a/dta}]}, "
                                                "template: " JOB "}\n",
         "spec.steps[1].inputs.artifacts[0].from", ERR_NOT_FOUND, "no artifact \"dta\""},
        {"two sources",
         "  steps:\n  - {name: a, inputs: {artifacts: [{name: x, path: /in, from: b, http: {url: "
         "'http://h/'}}]}, template: " JOB "}\n",
         "spec.steps[0].inputs.artifacts[0]", ERR_REQUIRED, "exactly one"},
        {"a relative path",
         "  steps:\n  - {name: a, inputs: {artifacts: [{name: x, path: in, http: {url: "
         "'http://h/'}}]}, template: " JOB "}\n",
         "spec.steps[0].inputs.artifacts[0].path", ERR_INVALID, "begins with /"},
        {"zip with gzip",
         "  steps:\n  - {name: a, outputs: {artifacts: [{name: x, path: /o, archive: {format: zip, "
         "compression: gzip}}]}, template: " JOB "}\n",
         "spec.steps[0].outputs.artifacts[0].archive.compression", ERR_INVALID, "by itself"},
        {"artifacts of a pod with a probe",
         "  steps:\n  - {name: a, " OUT("x") ", template: {spec: {template: {spec: {restartPolicy: "
                                             "Never, containers: [{name: m, image: i, "
                                             "livenessProbe: {exec: {command: [x]}}}]}}}}}\n",
         "spec.steps[0].template", ERR_FORBIDDEN, "livenessProbe"},
    };
    CHECK_CASES(cases);
}

/* ---- The flow as a whole ---- */

static void the_policy_of_a_flow_is_checked(void **state)
{
    (void)state;
#define STEPS "  steps:\n  - {name: a, template: " JOB "}\n"
    static const struct rule_case cases[] = {
        {"exit code 0 with In",
         STEPS "  executionPolicy: {podFailurePolicy: {rules: [{action: FailJob, onExitCodes: "
               "{operator: In, values: [0]}}]}}\n",
         "spec.executionPolicy.podFailurePolicy.rules[0].onExitCodes.values", ERR_INVALID,
         "success"},
        {"a misspelt concurrency policy", STEPS "  executionPolicy: {concurrencyPolicy: forbid}\n",
         "spec.executionPolicy.concurrencyPolicy", ERR_NOT_SUPPORTED, "did you mean \"Forbid\"?"},
        {"a claim without a name",
         STEPS "  resourceTemplates: {volumeClaimTemplates: [{spec: {}}]}\n",
         "spec.resourceTemplates.volumeClaimTemplates[0].metadata.name", ERR_REQUIRED,
         "by its name"},
        {"a factor below 1",
         "  steps:\n  - {name: a, retryPolicy: {backoff: {factor: 0.5}}, template: " JOB "}\n",
         "spec.steps[0].retryPolicy.backoff.factor", ERR_INVALID, "from 1"},
        {"a fraction as factor",
         "  steps:\n  - {name: a, retryPolicy: {backoff: {factor: 1.5, duration: 1m30s}}, "
         "template: " JOB "}\n",
         NULL, 0, NULL},
    };
    CHECK_CASES(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_graph_is_checked),
        cmocka_unit_test(the_template_of_each_type_is_checked),
        cmocka_unit_test(references_are_checked),
        cmocka_unit_test(artifacts_are_checked),
        cmocka_unit_test(the_policy_of_a_flow_is_checked),
    };
    return cmocka_run_group_tests_name("jobflow", tests, NULL, NULL);
}
