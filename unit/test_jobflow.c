/* The rules of JobFlows, each by a flow that breaks it and one that does not. */
#include "policy/jobflow.h"
#include "policy/policy.h"
#include "types/jobflow.h"
#include "unit/findings.h"
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
        {"a Manual step with an empty template, as the old kind required one",
         "  steps: [{name: a, type: Manual, template: {}}]\n", NULL, 0, NULL},
        {"a Performer step with an error in the Performer",
         "  steps: [{name: a, type: Performer, template: {spec: {avsAddress: x, image: 'i:1', "
         "hardwareRequirements: {gpuType: nvidia-a1000}}}}]\n",
         "spec.steps[0].template.spec.hardwareRequirements.gpuType", ERR_NOT_SUPPORTED, "catalog"},
        {"a Performer step with an error in a field of the Performer",
         "  steps: [{name: a, type: Performer, template: {spec: {avsAddress: x, image: '-'}}}]\n",
         "spec.steps[0].template.spec.image", ERR_INVALID, "image reference"},
        {"a Performer step without a spec",
         "  steps: [{name: a, type: Performer, template: {kind: Performer}}]\n",
         "spec.steps[0].template.spec", ERR_REQUIRED, "What is wanted."},
        {"a Performer step with a label that is none",
         "  steps: [{name: a, type: Performer, template: {metadata: {labels: {a: b c}}, spec: "
         "{avsAddress: x, image: 'i:1'}}}]\n",
         "spec.steps[0].template.metadata.labels.a", ERR_INVALID, "\"b c\""},
        {"a Performer step whose template is a Job",
         "  steps: [{name: a, type: Performer, template: {kind: Job, spec: {avsAddress: x, image: "
         "'i:1'}}}]\n",
         "spec.steps[0].template.kind", ERR_NOT_SUPPORTED, "must be \"Performer\""},
        {"a Performer step without a template", "  steps: [{name: a, type: Performer}]\n",
         "spec.steps[0].template", ERR_REQUIRED, "a Performer"},
    };
    CHECK_CASES(cases);
}

static void misspelt_fields_of_a_template_are_warned_of(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        struct finding warnings[3];
    } rows[] = {
        {"  steps: [{name: a, template: {spec: {template: {spec: {restartPolicy: Never, "
         "containers: "
         "[{name: m, image: i, imagePullPolcy: Never}]}}}}}]\n",
         {{ERR_INVALID, "spec.steps[0].template.spec.template.spec.containers[0].imagePullPolcy",
           "did you mean \"imagePullPolicy\"?"}}},
        {"  steps: [{name: a, type: Performer, template: {spec: {avsAddress: x, image: 'i:1', "
         "resources: {limits: {memory: 1Gi}}, hardwareRequirements: {gpuCont: 1}}}}]\n",
         {{ERR_INVALID, "spec.steps[0].template.spec.hardwareRequirements.gpuCont",
           "did you mean \"gpuCount\"?"}}},
        {"  steps: [{name: a, type: Performer, template: {metadata: {labels: {a: b}}, spec: "
         "{avsAddress: x, image: 'i:1', resources: {limits: {memory: 1Gi}}}}}]\n",
         {{0}}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct judged j;
        judged_init(&j);
        struct str text = arena_printf(&j.arena, HEAD "%s", rows[i].spec);
        j.subject.object = read_yaml(&j.arena, text.ptr);
        judge(&j);
        findings_assert(&j.findings.errors, (const struct finding[]){{0}}, rows[i].spec);
        findings_assert(&j.findings.warnings, rows[i].warnings, rows[i].spec);
        judged_done(&j);
    }
}

static void placeholders_that_nobody_replaces_are_warned_of(void **state)
{
    (void)state;
#define STAYS "replaced in template and inputs only"
    static const struct {
        const char *spec;
        struct finding warnings[3];
    } rows[] = {
        {"  parameters: [{name: x, value: v1}]\n"
         "  steps: [{name: a, type: Manual, message: 'Deploy {{parameters.x}} and "
         "{{parameters.y}}?', "
         "metadata: {annotations: {a: '${parameters.x}'}}}]\n",
         {{ERR_INVALID, "spec.steps[0].message", STAYS},
          {ERR_INVALID, "spec.steps[0].metadata.annotations.a", STAYS}}},
        {"  parameters: [{name: x, value: v1}]\n"
         "  steps:\n  - {name: a, outputs: {artifacts: [{name: o, path: /o, s3: {endpoint: e, "
         "bucket: "
         "bbb, key: '{{parameters.x}}/o'}}]}, template: " JOB "}\n",
         {{ERR_INVALID, "spec.steps[0].outputs.artifacts[0].s3.key", STAYS}}},
        {"  parameters: [{name: x, value: v1}]\n"
         "  resourceTemplates: {configMapTemplates: [{metadata: {name: c}, data: {a: "
         "'{{parameters.x}}'}}]}\n"
         "  steps: [{name: a, type: Manual}]\n",
         {{ERR_INVALID, "spec.resourceTemplates.configMapTemplates[0].data.a", STAYS}}},
        {"  steps: [{name: a, type: Manual, message: 'Is ${HOME} in {{ .Values.x }} right?'}]\n",
         {{0}}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct judged j;
        judged_init(&j);
        struct str text = arena_printf(&j.arena, HEAD "%s", rows[i].spec);
        j.subject.object = read_yaml(&j.arena, text.ptr);
        judge(&j);
        findings_assert(&j.findings.errors, (const struct finding[]){{0}}, rows[i].spec);
        findings_assert(&j.findings.warnings, rows[i].warnings, rows[i].spec);
        judged_done(&j);
    }
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
        {"a condition on a step of finally",
         "  steps:\n  - {name: a, when: \"steps.x.phase == 'Succeeded'\", template: " JOB "}\n"
         "  finally:\n  - {name: x, template: " JOB "}\n",
         "spec.steps[0].when", ERR_INVALID,
         "\"x\" is a step of finally, which starts when all others"},
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
#define SECRET_PW "inputs: {parameters: [{name: PW, valueFrom: {secretKeyRef: {name: s, key: k}}}]}"
        {"a secret in a condition",
         "  steps:\n  - {name: a, when: \"parameters.PW == 'x'\", " SECRET_PW ", template: " JOB
         "}\n",
         "spec.steps[0].when", ERR_FORBIDDEN, "does not read"},
        {"a secret beside a variable of its name",
         "  steps:\n  - {name: a, " SECRET_PW
         ", template: {spec: {template: {spec: {restartPolicy: "
         "Never, containers: [{name: m, image: i, env: [{name: PW}]}]}}}}}\n",
         "spec.steps[0].inputs.parameters[0].name", ERR_DUPLICATE, "rename one"},
        {"a secret of a Performer",
         "  steps:\n  - {name: a, type: Performer, " SECRET_PW
         ", template: {spec: {avsAddress: x, image: 'i:1'}}}\n",
         "spec.steps[0].inputs.parameters[0]", ERR_FORBIDDEN, "config.environmentFrom"},
        {"the flow's parameter in an input beside a secret of its name",
         "  parameters: [{name: PW, value: x}]\n"
         "  steps:\n  - {name: a, inputs: {parameters: [{name: PW, valueFrom: {secretKeyRef: "
         "{name: "
         "s, key: k}}}, {name: other, value: '{{parameters.PW}}'}]}, template: " JOB "}\n",
         NULL, 0, NULL},
        {"a parameter with two sources",
         "  steps:\n  - {name: a, inputs: {parameters: [{name: p, value: x, valueFrom: "
         "{configMapKeyRef: {name: c, key: k}}}]}, template: " JOB "}\n",
         "spec.steps[0].inputs.parameters[0]", ERR_REQUIRED, "exactly one"},
    };
    CHECK_CASES(cases);
}

static void paths_into_jobs_are_checked(void **state)
{
    (void)state;
    static const struct rule_case cases[] = {
        {"a path into the step's own Job",
         "  steps:\n  - {name: a, inputs: {parameters: [{name: p, valueFrom: {jsonPath: $.x}}]}, "
         "template: " JOB "}\n",
         "spec.steps[0].inputs.parameters[0].valueFrom.jsonPath", ERR_INVALID,
         "does not exist yet"},
        {"a path into the step's own Job by its name",
         "  steps:\n  - {name: a, inputs: {parameters: [{name: p, valueFrom: {jsonPath: "
         "'a:$.x'}}]}, "
         "template: " JOB "}\n",
         "spec.steps[0].inputs.parameters[0].valueFrom.jsonPath", ERR_INVALID,
         "does not exist yet"},
        {"an output from the step's own Job by its name",
         "  steps:\n  - {name: a, outputs: {parameters: [{name: p, valueFrom: {jsonPath: "
         "'a:$.x'}}]}, template: " JOB "}\n",
         NULL, 0, NULL},
        {"a path into the Job of a step that has none",
         "  steps:\n  - {name: a, type: Manual}\n"
         "  - {name: b, dependencies: [a], inputs: {parameters: [{name: p, valueFrom: {jsonPath: "
         "'a:$.x'}}]}, template: " JOB "}\n",
         "spec.steps[1].inputs.parameters[0].valueFrom.jsonPath", ERR_INVALID,
         "\"a\" is of type Manual and has no Job"},
        {"an output from the Job of a step that has none",
         "  steps:\n  - {name: a, type: Performer, template: {spec: {avsAddress: x, image: "
         "'i:1'}}}\n"
         "  - {name: b, dependencies: [a], outputs: {parameters: [{name: p, valueFrom: {jsonPath: "
         "'a:$.x'}}]}, template: " JOB "}\n",
         "spec.steps[1].outputs.parameters[0].valueFrom.jsonPath", ERR_INVALID,
         "\"a\" is of type Performer and has no Job"},
        {"a path into the Job of a step that is not before",
         "  steps:\n  - {name: a, template: " JOB "}\n"
         "  - {name: b, inputs: {parameters: [{name: p, valueFrom: {jsonPath: 'a:$.x'}}]}, "
         "template: " JOB "}\n",
         "spec.steps[1].inputs.parameters[0].valueFrom.jsonPath", ERR_INVALID, "dependencies"},
    };
    CHECK_CASES(cases);
}

/* What it becomes is not known before the flow runs; the apiserver judges it then. */
static void a_placeholder_may_stand_where_a_text_may(void **state)
{
    (void)state;
#define PARAMETERS "  parameters: [{name: x, value: v1}]\n"
#define IN_JOB(members)                                         \
    PARAMETERS "  steps: [{name: a, template: {spec: {" members \
               "restartPolicy: Never, containers: [{name: m, image: i}]}}}}}]\n"
#define IN_POD(members) IN_JOB("template: {spec: {" members)
#define IN_CONTAINER(members)                                                                   \
    PARAMETERS "  steps: [{name: a, template: {spec: {template: {spec: {restartPolicy: Never, " \
               "volumes: [{name: v}], containers: [{name: m, image: i, " members "}]}}}}}]\n"
#define IN_PERFORMER(members)                                                                  \
    PARAMETERS "  steps: [{name: a, type: Performer, template: {spec: {avsAddress: x, image: " \
               "'i:1', " members "}}}]\n"
    static const struct rule_case cases[] = {
        {"an amount",
         IN_CONTAINER("resources: {requests: {cpu: '{{parameters.x}}'}, limits: {cpu: 2, "
                      "memory: '${parameters.x}', nvidia.com/gpu: '{{.parameters.x}}'}}"),
         NULL, 0, NULL},
        {"an amount that is no text", IN_CONTAINER("resources: {limits: {cpu: '{parameters.x}'}}"),
         "spec.steps[0].template.spec.template.spec.containers[0].resources.limits.cpu",
         ERR_INVALID, "must be a quantity"},
        {"the size of a volume",
         IN_POD("volumes: [{name: v, emptyDir: {sizeLimit: "
                "'{{parameters.x}}'}}], "),
         NULL, 0, NULL},
        {"the volume of a mount",
         IN_CONTAINER("volumeMounts: [{name: '{{parameters.x}}', mountPath: "
                      "/x}]"),
         NULL, 0, NULL},
        {"a field of the pod",
         IN_CONTAINER("env: [{name: A, valueFrom: {fieldRef: {fieldPath: "
                      "'{{parameters.x}}'}}}]"),
         NULL, 0, NULL},
        {"a resource of the pod",
         IN_CONTAINER("env: [{name: A, valueFrom: {resourceFieldRef: "
                      "{resource: '{{parameters.x}}'}}}]"),
         NULL, 0, NULL},
        {"an address", IN_POD("hostAliases: [{ip: '{{parameters.x}}', hostnames: [h]}], "), NULL, 0,
         NULL},
        {"the container of a failure rule",
         IN_JOB("podFailurePolicy: {rules: [{action: Count, onExitCodes: {operator: In, values: "
                "[1], containerName: '{{parameters.x}}'}}]}, template: {spec: {"),
         NULL, 0, NULL},
        {"who runs the Job", IN_JOB("managedBy: '{{parameters.x}}', template: {spec: {"), NULL, 0,
         NULL},
        {"one that must have no value at all",
         IN_CONTAINER(
             "env: [{name: A, value: '{{parameters.x}}', valueFrom: {fieldRef: {fieldPath: "
             "metadata.name}}}]"),
         "spec.steps[0].template.spec.template.spec.containers[0].env[0].valueFrom", ERR_FORBIDDEN,
         "has a value already"},
        {"hardware of a Performer",
         IN_PERFORMER(
             "hardwareRequirements: {gpuType: '{{parameters.x}}', gpuMemory: "
             "'{{parameters.x}}', cudaVersion: '{{parameters.x}}', teeRequired: true, teeType: "
             "'{{parameters.x}}'}, resources: {limits: {memory: '{{parameters.x}}', "
             "nvidia.com/gpu: '{{parameters.x}}'}}"),
         NULL, 0, NULL},
        {"the runtime class of a Performer",
         IN_PERFORMER("hardwareRequirements: {teeRequired: true, teeType: tdx}, scheduling: "
                      "{runtimeClass: '{{parameters.x}}'}"),
         NULL, 0, NULL},
        {"labels of a Performer",
         IN_PERFORMER("hardwareRequirements: {customLabels: {a: '{{parameters.x}}', b: c}}, "
                      "scheduling: {nodeSelector: {a: b, b: '{{parameters.x}}'}}"),
         NULL, 0, NULL},
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
        {"one key of a store",
         "  steps:\n  - {name: a, outputs: {artifacts: [{name: x, path: /o, s3: {endpoint: "
         "'https://s', bucket: bbb, key: k, accessKeyIDSecretRef: {name: s, key: id}}}]}, "
         "template: " JOB "}\n",
         "spec.steps[0].outputs.artifacts[0].s3", ERR_REQUIRED, "both or neither"},
        {"a store without keys",
         "  steps:\n  - {name: a, outputs: {artifacts: [{name: x, path: /o, s3: {endpoint: "
         "'https://s', bucket: bbb, key: k}}]}, template: " JOB "}\n",
         NULL, 0, NULL},
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
        {"a timeout beyond thirty days",
         "  steps:\n  - {name: a, timeoutSeconds: 2592001, template: " JOB "}\n",
         "spec.steps[0].timeoutSeconds", ERR_INVALID, "must be from 1 to 2592000 seconds"},
        {"a deadline of nothing", STEPS "  executionPolicy: {activeDeadlineSeconds: 0}\n",
         "spec.executionPolicy.activeDeadlineSeconds", ERR_INVALID, "must be 1 or more seconds"},
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

/* ---- Size ---- */

/* `count` steps, each after the one before; the step `extra` has more members. */
static struct str chain(struct arena *arena, size_t count, size_t extra, const char *members)
{
    struct buf text;
    buf_init(&text, arena_mem(arena), 64 * 1024 * 1024);
    buf_put(&text, STR("{\"apiVersion\": \"workflow.kube-zen.io/v1alpha1\", \"kind\": \"JobFlow\", "
                       "\"metadata\": {\"name\": \"f\"}, \"spec\": {\"steps\": ["));
    for (size_t i = 0; i < count; i++) {
        buf_printf(&text, "%s{\"name\": \"s%zu\", \"type\": \"Manual\"", i ? "," : "", i);
        if (i > 0)
            buf_printf(&text, ", \"dependencies\": [\"s%zu\"]", i - 1);
        buf_printf(&text, "%s}", i == extra ? members : "");
    }
    buf_put(&text, STR("]}}"));
    assert_false(buf_failed(&text));
    return buf_str(&text);
}

static void judge_chain(struct judged *j, size_t max_steps, size_t count, size_t extra,
                        const char *members)
{
    static const struct json_limits limits = {.max_depth = 64, .max_values = 8 * 1000 * 1000};
    struct err err;
    judged_init(j);
    j->subject.max_steps = max_steps;
    j->subject.object =
        json_read(&j->arena, chain(&j->arena, count, extra, members), &limits, &err);
    assert_non_null(j->subject.object);
    judge(j);
}

static void the_number_of_steps_is_limited(void **state)
{
    (void)state;
    static const struct {
        size_t max, count;
        const char *message; /* NULL when it is good */
    } rows[] = {
        {0, 2000, NULL},      {0, 2001, "Too many: 2001: a flow may have at most 2000 steps"},
        {3, 3, NULL},         {3, 4, "Too many: 4: a flow may have at most 3 steps"},
        {20000, 10000, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct judged j;
        judge_chain(&j, rows[i].max, rows[i].count, SIZE_MAX, "");
        const struct finding expected[] = {{ERR_TOO_MANY, "spec.steps", rows[i].message}, {0}};
        findings_assert(&j.findings.errors, rows[i].message ? expected : &expected[1], "a chain");
        judged_done(&j);
    }
}

/* Also where a row of bits for each step would take too much memory. */
static void ancestors_are_known_in_flows_of_any_size(void **state)
{
    (void)state;
    static const size_t counts[] = {100, 25000};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct judged j;
        judge_chain(&j, 30000, counts[i], 50, ", \"when\": \"steps.s0.phase == 'Succeeded'\"");
        findings_assert(&j.findings.errors, (const struct finding[]){{0}}, "an ancestor");
        judged_done(&j);
        judge_chain(&j, 30000, counts[i], 50, ", \"when\": \"steps.s51.phase == 'Succeeded'\"");
        findings_assert(
            &j.findings.errors,
            (const struct finding[]){{ERR_INVALID, "spec.steps[50].when", "column 7"}, {0}},
            "a descendant");
        judged_done(&j);
    }
}

/* ---- Cycles ---- */

static void ten_cycles_are_named_and_the_rest_counted(void **state)
{
    (void)state;
    struct judged j;
    judged_init(&j);
    struct buf text;
    buf_init(&text, arena_mem(&j.arena), 64 * 1024);
    buf_put(&text, STR(HEAD "  steps:\n"));
    for (int i = 0; i < 12; i++)
        buf_printf(&text,
                   "  - {name: a%d, type: Manual, dependencies: [b%d]}\n"
                   "  - {name: b%d, type: Manual, dependencies: [a%d]}\n",
                   i, i, i, i);
    buf_put_char(&text, '\0');
    j.subject.object = read_yaml(&j.arena, text.ptr);
    judge(&j);
    assert_int_equal(j.findings.errors.count, 11);
    size_t index = 0;
    for (const struct err_item *e = j.findings.errors.first; e->next; e = e->next) {
        char path[64];
        snprintf(path, sizeof(path), "cycle: a%zu → b%zu → a%zu: remove one", index, index, index);
        assert_str_is(e->field, "spec.steps");
        assert_true(contains(e->message, path));
        assert_int_equal(e->line, 6 + 2 * index);
        index++;
        if (!e->next->next)
            assert_str_is(e->next->message, "Too many: 2 more cycles are not listed");
    }
    judged_done(&j);
}

static void a_long_cycle_is_shown_by_its_ends(void **state)
{
    (void)state;
    static const struct {
        size_t count;
        const char *part;
    } rows[] = {
        {64, "s0 → s63 → s62 → s61 → s60"},
        {64, "s3 → s2 → s1 → s0: remove"},
        {100, "s70 → s69 → … 36 more … → s32 → s31"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct judged j;
        char members[64];
        snprintf(members, sizeof(members), ", \"dependencies\": [\"s%zu\"]", rows[i].count - 1);
        judge_chain(&j, 0, rows[i].count, 0, members);
        assert_int_equal(j.findings.errors.count, 1);
        if (!contains(j.findings.errors.first->message, rows[i].part))
            fail_msg("%" PRIstr, STR_ARG(j.findings.errors.first->message));
        judged_done(&j);
    }
}

/* ---- Changes ---- */

#define STORED                                                                        \
    "apiVersion: workflow.kube-zen.io/v1alpha1\nkind: JobFlow\nmetadata: {name: f}\n" \
    "spec:\n  executionPolicy: {priority: low, backoffLimit: 3}\n"                    \
    "  parameters: [{name: p, value: x}]\n  steps:\n  - {name: a, template: " JOB "}\n"

static void a_flow_that_has_started_keeps_its_steps(void **state)
{
    (void)state;
    static const struct {
        const char *phase, *spec;
        struct finding errors[3];
    } rows[] = {
        {"Running",
         "  executionPolicy: {priority: low, backoffLimit: 3, suspend: true, parallelism: "
         "2, ttlSecondsAfterFinished: 5, activeDeadlineSeconds: 9, suspendMode: Kill}\n"
         "  parameters: [{name: p, value: x}]\n  steps:\n  - {name: a, template: " JOB "}\n",
         {{0}}},
        {"Running",
         "  executionPolicy: {priority: high, backoffLimit: 3}\n"
         "  parameters: [{name: p, value: z}]\n  steps:\n  - {name: a, template: " JOB "}\n",
         {{ERR_FORBIDDEN, "spec.parameters", "has started"},
          {ERR_FORBIDDEN, "spec.executionPolicy.priority", "has started"}}},
        {"Succeeded",
         "  executionPolicy: {priority: low, backoffLimit: 3}\n"
         "  parameters: [{name: p, value: x}]\n  steps:\n"
         "  - {name: a, type: Manual}\n",
         {{ERR_FORBIDDEN, "spec.steps", "create another flow"}}},
        {"Paused",
         "  executionPolicy: {priority: low, backoffLimit: 3, concurrencyGroup: g}\n"
         "  parameters: [{name: p, value: x}]\n  steps:\n  - {name: a, template: " JOB
         "}\n  finally: [{name: z, template: " JOB "}]\n",
         {{ERR_FORBIDDEN, "spec.finally", "cannot be added"},
          {ERR_FORBIDDEN, "spec.executionPolicy.concurrencyGroup", "cannot be added"}}},
        {"Pending", "  steps:\n  - {name: b, template: " JOB "}\n", {{0}}},
        {NULL, "  steps:\n  - {name: b, template: " JOB "}\n", {{0}}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct judged j;
        judged_init(&j);
        const char *phase = rows[i].phase;
        struct str before = arena_printf(&j.arena, STORED "%s%s%s", phase ? "status: {phase: " : "",
                                         phase ? phase : "", phase ? "}\n" : "");
        struct str after = arena_printf(&j.arena, HEAD "%s", rows[i].spec);
        struct json *stored = read_yaml(&j.arena, before.ptr);
        assert_true(schema_default(jobflow_kind.schema, stored, &j.arena));
        j.subject.object = read_yaml(&j.arena, after.ptr);
        j.subject.before = stored;
        j.subject.operation = POLICY_UPDATE;
        judge(&j);
        findings_assert(&j.findings.errors, rows[i].errors, rows[i].spec);
        judged_done(&j);
    }
}

/* Else who may change a flow, and not approve, could put anything behind an approval. */
static void a_flow_that_was_decided_on_keeps_what_was_decided(void **state)
{
    (void)state;
#define DECIDED(annotations, image)                                                               \
    "apiVersion: workflow.kube-zen.io/v1alpha1\nkind: JobFlow\nmetadata: {name: f, annotations: " \
    "{" annotations "}}\nspec:\n  steps:\n  - {name: check, type: Manual}\n"                      \
    "  - {name: a, dependencies: [check], template: {spec: {template: {spec: {restartPolicy: "    \
    "Never, containers: [{name: m, image: '" image "'}]}}}}}\n"
#define YES "approve.workflow.kube-zen.io/check: 'true'"
#define NO  "approve.workflow.kube-zen.io/check: 'false'"
    static const struct {
        const char *name, *before, *after;
        bool is_refused;
    } rows[] = {
        {"changed after the decision", DECIDED(YES, "i:1"), DECIDED(YES, "i:2"), true},
        {"changed after a rejection", DECIDED(NO, "i:1"), DECIDED(NO, "i:2"), true},
        {"changed before the decision", DECIDED("", "i:1"), DECIDED("", "i:2"), false},
        {"decided on together with the change", DECIDED("", "i:1"), DECIDED(YES, "i:2"), false},
        {"decided on anew", DECIDED(NO, "i:1"), DECIDED(YES, "i:2"), false},
        {"changed when the decision is withdrawn", DECIDED(YES, "i:1"), DECIDED("", "i:2"), false},
        {"something that may always change", DECIDED(YES, "i:1"),
         DECIDED(YES, "i:1") "  executionPolicy: {suspend: true, parallelism: 3}\n", false},
        {"the policy", DECIDED(YES, "i:1"),
         DECIDED(YES, "i:1") "  executionPolicy: {concurrencyPolicy: Allow}\n", true},
        {"something new", DECIDED(YES, "i:1"),
         DECIDED(YES, "i:1") "  finally: [{name: x, template: " JOB "}]\n", true},
        {"a label only", DECIDED(YES, "i:1"), DECIDED(YES ", a: b", "i:1"), false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct judged j;
        judged_init(&j);
        struct json *stored = read_yaml(&j.arena, rows[i].before);
        assert_true(schema_default(jobflow_kind.schema, stored, &j.arena));
        j.subject.object = read_yaml(&j.arena, rows[i].after);
        j.subject.before = stored;
        j.subject.operation = POLICY_UPDATE;
        judge(&j);
        const struct err_item *e = j.findings.errors.first;
        if (j.findings.errors.count != rows[i].is_refused ||
            (e && !contains(e->message, "the step \"check\" was decided on")))
            fail_msg("%s: %zu errors: %" PRIstr, rows[i].name, j.findings.errors.count,
                     STR_ARG(e ? e->message : STR("")));
        judged_done(&j);
    }
}

/* ---- Memory ---- */

static bool judge_all(const struct mem *mem, void *ctx)
{
    const struct catalog *catalog = ctx;
    struct arena reading, arena;
    arena_init(&reading, mem_system(), 64 * 1024, 16 * 1024 * 1024);
    arena_init(&arena, mem, 64, 16 * 1024 * 1024);
    struct policy_object subject = {
        .kind = &jobflow_kind,
        .operation = POLICY_CREATE,
        .object = read_yaml(
            &reading, HEAD
            "  parameters: [{name: p, value: x}]\n"
            "  steps:\n  - {name: a, outputs: {parameters: [{name: num, valueFrom: {jsonPath: "
            "$.a}}], artifacts: [{name: o, path: /o}]}, template: " JOB "}\n"
            "  - {name: b, dependencies: [a, a, x], when: \"steps.a.outputs.num > 1\", inputs: "
            "{artifacts: [{name: o, path: /o, from: a}]}, template: " ARGS(
                "'{{parameters.q}}'") "}\n"
                                      "  - {name: c, dependencies: [d], template: " JOB "}\n"
                                      "  - {name: d, type: Performer, dependencies: [c], "
                                      "template: {spec: {avsAddress: "
                                      "x, image: '-'}}}\n"),
        .user = STR("u"),
        .request_uid = STR("1"),
        .catalog = catalog,
        .arena = &arena,
    };
    struct policy_findings findings;
    policy_findings_init(&findings, &arena);
    bool good = policy_default(&subject);
    if (good)
        policy_validate(&subject, &findings);
    good = good && !findings.errors.out_of_memory && !findings.warnings.out_of_memory;
    if (good)
        assert_int_equal(findings.errors.count, 5);
    arena_done(&arena);
    arena_done(&reading);
    return good;
}

static void every_failing_allocation_is_noticed(void **state)
{
    (void)state;
    struct err err;
    struct catalog *catalog = catalog_builtin(mem_system(), &err);
    assert_non_null(catalog);
    test_every_allocation_failing(judge_all, catalog);
    catalog_unref(catalog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_graph_is_checked),
        cmocka_unit_test(the_template_of_each_type_is_checked),
        cmocka_unit_test(misspelt_fields_of_a_template_are_warned_of),
        cmocka_unit_test(placeholders_that_nobody_replaces_are_warned_of),
        cmocka_unit_test(references_are_checked),
        cmocka_unit_test(paths_into_jobs_are_checked),
        cmocka_unit_test(a_placeholder_may_stand_where_a_text_may),
        cmocka_unit_test(artifacts_are_checked),
        cmocka_unit_test(the_policy_of_a_flow_is_checked),
        cmocka_unit_test(the_number_of_steps_is_limited),
        cmocka_unit_test(ancestors_are_known_in_flows_of_any_size),
        cmocka_unit_test(ten_cycles_are_named_and_the_rest_counted),
        cmocka_unit_test(a_long_cycle_is_shown_by_its_ends),
        cmocka_unit_test(a_flow_that_has_started_keeps_its_steps),
        cmocka_unit_test(a_flow_that_was_decided_on_keeps_what_was_decided),
        cmocka_unit_test(every_failing_allocation_is_noticed),
    };
    return cmocka_run_group_tests_name("jobflow", tests, NULL, NULL);
}
