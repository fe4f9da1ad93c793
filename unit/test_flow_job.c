/* What a step is made into: name, owner, labels, values in the template, and that these stay data. */
#include "unit/support.h"

#include "controller/flow_job.h"
#include "controller/flow_template.h"
#include "schema/format.h"
#include "types/job.h"
#include "unit/fixed_templates.h"
#include "json/path.h"

#include <stdio.h>

/* ---- A flow ---- */

struct fixture {
    struct arena arena;
    struct manifest m;
    struct flow_spec spec;
    struct flow_values values;
    struct flow_view view;
    struct flow_try try;
};

#define POD(more)                                                                    \
    "{spec: {template: {spec: {restartPolicy: Never, containers: [{name: m, image: " \
    "'i:1'" more "}]}}}}"

static bool load(struct fixture *f, const struct mem *mem, const char *yaml)
{
    static const struct flow_result results[] = {{STR_INIT("build"), STR_INIT("Succeeded"), NULL}};
    arena_init(&f->arena, mem, 4096, 8 << 20);
    f->m = (struct manifest){&f->arena, false};
    struct json *tree = fixed_read(&f->arena, str_from_cstr(yaml));
    struct json *inputs = fixed_read(&f->arena, STR("{own: mine, evil: '\", \"x\": {\"y', "
                                                    "token: null, seven: '7', dollar: $(HOME)}"));
    if (!tree || !inputs ||
        !schema_decode(schema_field(jobflow_kind.schema, STR("spec")), tree, &f->spec, &f->arena) ||
        !flow_values_init(&f->values, &f->arena, f->spec.parameters, results, 1))
        return false;
    f->view = (struct flow_view){&f->values, inputs};
    f->try = (struct flow_try){
        .flow = {STR("nightly"), STR("team"), STR("0b0e-uid"), STR("c0-ff-ee")},
        .step = f->spec.steps.items,
        .failure_policy = f->spec.policy.pod_failure_policy,
        .view = &f->view,
    };
    return true;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    arena_done(&fixture->arena);
    return 0;
}

static struct fixture *fixture_of(void **state, const char *yaml)
{
    static struct fixture fixture;
    if (*state)
        arena_done(&fixture.arena);
    memset(&fixture, 0, sizeof(fixture));
    *state = &fixture;
    assert_true(load(&fixture, mem_system(), yaml));
    return &fixture;
}

static struct json *make(struct fixture *f)
{
    struct err err;
    struct json *job = flow_job_make(&f->m, &f->try, &err);
    if (!job)
        fail_msg("%s", err.message);
    return job;
}

/* The value at a path as JSON, "" when there is none. */
static const char *at(struct fixture *f, const struct json *object, const char *path)
{
    struct err err;
    if (json_path_check(str_from_cstr(path), &err) < 0)
        fail_msg("%s: %s", path, err.message);
    const struct json *value = json_path_find(object, str_from_cstr(path));
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 1 << 20);
    if (value)
        json_write(&buf, value);
    buf_put_char(&buf, '\0');
    return buf_str(&buf).ptr;
}

#define assert_at(object, path, text) assert_string_equal(at(f, (object), (path)), (text))

/* ---- Names ---- */

static struct str name_of(struct fixture *f, const char *flow, const char *step, const char *type,
                          int64_t attempt)
{
    struct flow_step with = *f->try.step;
    struct flow_owner owner = f->try.flow;
    owner.name = str_from_cstr(flow);
    with.name = str_from_cstr(step);
    with.type = str_from_cstr(type);
    return flow_child_name(&f->arena, &owner, with.name, flow_child_name_max(&with), attempt);
}

#define LONG_63 "a23456789-b23456789-c23456789-d23456789-e23456789-f23456789-g23"

static void a_name_is_that_of_flow_and_step_cut_to_fit_with_a_hash(void **state)
{
    struct fixture *f = fixture_of(state, "steps: [{name: build, template: " POD("") "}]");
    struct str name = name_of(f, "nightly", "build", "Job", 0);
    assert_int_equal(name.len, strlen("nightly-build-") + 8);
    assert_true(str_starts_with(name, STR("nightly-build-")));
    static const char *const types[] = {"Job", "Performer"};
    static const size_t sizes[] = {63, 53};
    for (size_t i = 0; i < 2; i++) {
        struct str longest = name_of(f, LONG_63, LONG_63, types[i], 1000);
        assert_int_equal(longest.len, sizes[i]);
        assert_true(format_is_valid(FORMAT_DNS_LABEL, longest));
    }
    assert_true(format_is_valid(FORMAT_DNS_LABEL, name_of(f, "a.b.c", "x", "Job", 0)));
    /* Cut where a dash would be last. */
    assert_true(format_is_valid(
        FORMAT_DNS_LABEL,
        name_of(f, "a23456789-b23456789-c23456789-d23456789-e23456789-f2.", "step", "Job", 0)));
}

static void names_differ_by_flow_step_and_attempt_and_are_the_same_again(void **state)
{
    struct fixture *f = fixture_of(state, "steps: [{name: build, template: " POD("") "}]");
    struct str name = name_of(f, "nightly", "build", "Job", 0);
    /* What exists on clusters must be found again. */
    assert_str_is(name, "nightly-build-67f8931f");
    assert_str_equal(name_of(f, "nightly", "build", "Job", 0), name);
    assert_false(str_eq(name_of(f, "nightly", "build", "Job", 1), name));
    assert_false(str_eq(name_of(f, "nightly-build", "", "Job", 0), name));
    /* The same words, cut in another place. */
    assert_false(str_eq(name_of(f, "a-b", "c", "Job", 0), name_of(f, "a", "b-c", "Job", 0)));
    f->try.flow.uid = STR("another");
    assert_false(str_eq(name_of(f, "nightly", "build", "Job", 0), name));
}

static void an_indexed_job_leaves_room_for_the_index(void **state)
{
    struct fixture *f =
        fixture_of(state, "steps: [{name: build, template: {spec: {completionMode: Indexed}}}]");
    assert_int_equal(name_of(f, LONG_63, "s", "Job", 0).len, 52);
}

/* ---- Metadata ---- */

static void the_job_is_owned_labelled_and_found_by_its_labels(void **state)
{
    struct fixture *f = fixture_of(
        state,
        "steps: [{name: build, metadata: {labels: {team: step, "
        "workflow.kube-zen.io/flow: other}, annotations: {note: hm}}, template: {metadata: {name: "
        "mine, namespace: other, labels: {team: template, tier: t}, ownerReferences: [{}], "
        "uid: u}, spec: {template: {metadata: {labels: {pod: p}}, spec: {containers: [{name: m}], "
        "restartPolicy: Never}}}}}]");
    f->try.attempt = 3;
    struct json *job = make(f);
    assert_at(job, "$.apiVersion", "\"batch/v1\"");
    assert_at(job, "$.kind", "\"Job\"");
    assert_at(job, "$.metadata.namespace", "\"team\"");
    assert_str_equal(json_str(json_path(job, "metadata", "name", NULL)),
                     flow_child_name(&f->arena, &f->try.flow, f->try.step->name,
                                     flow_child_name_max(f->try.step), 3));
    assert_at(job, "$.metadata.uid", "");
    assert_at(job, "$.metadata.ownerReferences",
              "[{\"apiVersion\":\"workflow.kube-zen.io/v1alpha1\",\"kind\":\"JobFlow\","
              "\"name\":\"nightly\",\"uid\":\"0b0e-uid\",\"controller\":true,"
              "\"blockOwnerDeletion\":true}]");
    assert_at(job, "$.metadata.labels",
              "{\"app.kubernetes.io/managed-by\":\"callboard\","
              "\"workflow.kube-zen.io/flow\":\"nightly\",\"workflow.kube-zen.io/step\":\"build\","
              "\"workflow.kube-zen.io/attempt\":\"3\",\"team\":\"step\",\"tier\":\"t\"}");
    assert_at(job, "$.metadata.annotations",
              "{\"callboard.dev/correlation-id\":\"c0-ff-ee\",\"note\":\"hm\"}");
    assert_at(job, "$.spec.template.metadata.labels.pod", "\"p\"");
    assert_at(job, "$.spec.template.metadata.labels.team", "\"step\"");
    assert_at(job, "$.spec.template.metadata.labels['workflow.kube-zen.io/attempt']", "\"3\"");
    assert_at(job, "$.spec.template.metadata.annotations.note", "\"hm\"");
    const struct json *labels = json_path(job, "metadata", "labels", NULL);
    assert_true(flow_child_matches(labels, STR("nightly"), STR("build"), 3));
    assert_false(flow_child_matches(labels, STR("nightly"), STR("build"), 2));
    assert_false(flow_child_matches(labels, STR("nightly"), STR("test"), 3));
    assert_false(flow_child_matches(labels, STR("daily"), STR("build"), 3));
    assert_false(flow_child_matches(NULL, STR("nightly"), STR("build"), 3));
}

static void fields_that_nobody_here_knows_are_kept(void **state)
{
    struct fixture *f = fixture_of(
        state, "steps: [{name: a, template: {spec: {newField: {deep: [1, true, null]}, "
               "template: {spec: {restartPolicy: Never, containers: [{name: m, newer: '{{x}}'}]}}},"
               " status: {active: 1}}}]");
    struct json *job = make(f);
    assert_at(job, "$.spec.newField", "{\"deep\":[1,true,null]}");
    assert_at(job, "$.spec.template.spec.containers[0].newer", "\"{{x}}\"");
    assert_at(job, "$.status", "");
}

static void the_template_itself_is_not_changed(void **state)
{
    struct fixture *f = fixture_of(
        state, "parameters: [{name: tag, value: v1}]\n"
               "steps: [{name: a, template: " POD(", args: ['{{parameters.tag}}']") "}]");
    struct json *before = json_copy(&f->arena, f->try.step->template);
    struct json *first = make(f), *second = make(f);
    assert_true(json_equal(before, f->try.step->template));
    assert_true(json_equal(first, second));
}

/* ---- Values ---- */

static void values_are_put_in_as_data(void **state)
{
    static const struct {
        const char *pod, *path, *value;
    } cases[] = {
        {", args: ['--tag={{parameters.tag}}']", "$.args[0]", "\"--tag=v1\""},
        {", args: ['${parameters.tag}{{.parameters.own}}']", "$.args[0]", "\"v1mine\""},
        {", args: ['{{steps.build.outputs.rows}}']", "$.args[0]", "\"12\""},
        {", args: ['{{parameters.evil}}']", "$.args[0]", "\"\\\", \\\"x\\\": {\\\"y\""},
        /* What the kubelet would expand is doubled, where it does, and only there. */
        {", args: ['{{parameters.dollar}}']", "$.args[0]", "\"$$(HOME)\""},
        {", command: ['{{parameters.dollar}}']", "$.command[0]", "\"$$(HOME)\""},
        {", env: [{name: A, value: '{{parameters.dollar}}'}]", "$.env[0].value", "\"$$(HOME)\""},
        {", volumeMounts: [{name: a, mountPath: /a, subPathExpr: '{{parameters.dollar}}'}]",
         "$.volumeMounts[0].subPathExpr", "\"$$(HOME)\""},
        {", workingDir: '/{{parameters.dollar}}'", "$.workingDir", "\"/$(HOME)\""},
        {", livenessProbe: {exec: {command: ['{{parameters.dollar}}']}}",
         "$.livenessProbe.exec.command[0]", "\"$(HOME)\""},
        {", resources: {limits: {memory: '{{parameters.seven}}Gi'}}", "$.resources.limits.memory",
         "\"7Gi\""},
        {", args: ['${HOME} {{ range .items }}']", "$.args[0]", "\"${HOME} {{ range .items }}\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char yaml[1024];
        snprintf(yaml, sizeof(yaml),
                 "parameters: [{name: tag, value: v1}]\nsteps: [{name: a, template: {spec: "
                 "{template: {spec: {restartPolicy: Never, volumes: [{name: a, emptyDir: {}}], "
                 "containers: [{name: m, image: 'i:1'%s}]}}}}}]",
                 cases[i].pod);
        struct fixture *f = fixture_of(state, yaml);
        struct json *outputs = fixed_read(&f->arena, STR("{rows: '12'}"));
        const struct flow_result results[] = {{STR("build"), STR("Succeeded"), outputs}};
        f->values.results = results;
        struct json *job = make(f);
        const struct json *container =
            json_path_find(job, STR("$.spec.template.spec.containers[0]"));
        assert_at(container, cases[i].path, cases[i].value);
    }
}

static void a_value_cannot_change_the_structure(void **state)
{
    struct fixture *f = fixture_of(
        state, "parameters: [{name: p, value: x}]\n"
               "steps: [{name: a, template: " POD(", workingDir: '{{parameters.p}}'") "}]");
    static const char *const values[] = {
        "\"],\"image\":\"evil", "\\",   "\n\t\x01", "{{parameters.p}}", "${parameters.p}",
        "\xc3\xa4\xe2\x82\xac", "]}}}", "",
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct err err;
        f->view.inputs = json_new(&f->arena, JSON_OBJECT);
        json_set((struct json *)(uintptr_t)f->view.inputs, STR("p"),
                 json_new_str(&f->arena, str_from_cstr(values[i])));
        struct str text = manifest_text(&f->m, make(f));
        struct json *again = json_read(&f->arena, text, &json_limits_default, &err);
        assert_non_null(again);
        const struct json *container =
            json_path_find(again, STR("$.spec.template.spec.containers[0]"));
        assert_str_is(json_str(json_get(container, STR("workingDir"))), values[i]);
        assert_int_equal(container->len, 3);
    }
}

static void what_cannot_be_made_says_where_and_why(void **state)
{
    static const struct {
        const char *yaml, *message;
    } cases[] = {
        {"steps: [{name: a, template: " POD(", args: [x, '{{parameters.zz}}']") "}]",
         "template.spec.template.spec.containers[0].args[1]: column 14: unknown parameter"},
        {"steps: [{name: a, template: " POD(", args: ['{{steps.build.outputs.o}}']") "}]",
         "args[0]: column 1: \"{{steps.build.outputs.o}}\" has no value: it was not produced"},
        {"steps: [{name: a, template: " POD(", args: ['{{parameters.token}}']") "}]",
         "\"{{parameters.token}}\" has no value"},
        {"steps: [{name: a, template: " POD(
             ", resources: {limits: {cpu: '{{parameters.own}}'}}") "}]",
         "with its values, template.spec.template.spec.containers[0].resources.limits.cpu: "},
        {"steps: [{name: a, template: {spec: {template: {}}}}]", "the Job has no containers"},
        {"steps: [{name: a, inputs: {parameters: [{name: TOKEN, valueFrom: {secretKeyRef: {name: "
         "s, key: k}}}]}, template: " POD(", env: [{name: TOKEN, value: x}]") "}]",
         "the container has one of this name"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *f = fixture_of(state, cases[i].yaml);
        struct err err = {0};
        assert_null(flow_job_make(&f->m, &f->try, &err));
        assert_int_equal(err.code, 422);
        assert_false(f->m.failed);
        if (!strstr(err.message, cases[i].message))
            fail_msg("%s\n%s", cases[i].message, err.message);
    }
}

static void values_that_are_too_long_together_are_refused(void **state)
{
    enum { HALF = FLOW_JOB_VALUES_MAX / 2 };
    struct fixture *f = fixture_of(
        state, "steps: [{name: a, template: " POD(
                   ", args: ['{{parameters.p}}', '{{parameters.p}}', '{{parameters.p}}']") "}]");
    static char half[HALF];
    memset(half, 'x', sizeof(half));
    struct json *inputs = json_new(&f->arena, JSON_OBJECT);
    json_set(inputs, STR("p"), json_new_str(&f->arena, (struct str){half, HALF}));
    f->view.inputs = inputs;
    struct err err = {0};
    assert_null(flow_job_make(&f->m, &f->try, &err));
    assert_int_equal(err.code, 422);
    assert_non_null(strstr(err.message, "args[2]: the text would be longer than 0 bytes"));
}

/* ---- Secrets ---- */

static void a_secret_becomes_a_variable_and_is_never_a_value(void **state)
{
    struct fixture *f = fixture_of(
        state, "parameters: [{name: db, value: orders}]\n"
               "steps: [{name: a, inputs: {parameters: [{name: TOKEN, valueFrom: {secretKeyRef: "
               "{name: '{{parameters.db}}-secret', key: k}}}, {name: x, value: y}]}, template: "
               "{spec: {template: {spec: {restartPolicy: Never, initContainers: [{name: i}], "
               "containers: [{name: m, env: [{name: A, value: b}]}, {name: n}]}}}}}]");
    struct json *job = make(f);
    const char *variable = "{\"name\":\"TOKEN\",\"valueFrom\":{\"secretKeyRef\":{\"name\":"
                           "\"orders-secret\",\"key\":\"k\"}}}";
    assert_at(job, "$.spec.template.spec.containers[0].env[1]", variable);
    assert_at(job, "$.spec.template.spec.containers[0].env[2]", "");
    assert_at(job, "$.spec.template.spec.containers[1].env[0]", variable);
    assert_at(job, "$.spec.template.spec.initContainers[0].env", "");
}

/* ---- Deadline, policy, suspend, scheduler ---- */

static void the_shorter_deadline_holds_and_the_pods_say_it(void **state)
{
    static const struct {
        const char *step, *job, *deadline;
    } cases[] = {
        {"", "", ""},
        {"timeoutSeconds: 60, ", "", "60"},
        {"", "activeDeadlineSeconds: 90, ", "90"},
        {"timeoutSeconds: 60, ", "activeDeadlineSeconds: 90, ", "60"},
        {"timeoutSeconds: 100, ", "activeDeadlineSeconds: 90, ", "90"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char yaml[512], annotation[32] = "";
        snprintf(yaml, sizeof(yaml),
                 "steps: [{name: a, %stemplate: {spec: {%stemplate: {spec: {containers: "
                 "[{name: m}]}}}}}]",
                 cases[i].step, cases[i].job);
        struct fixture *f = fixture_of(state, yaml);
        struct json *job = make(f);
        assert_at(job, "$.spec.activeDeadlineSeconds", cases[i].deadline);
        if (cases[i].deadline[0])
            snprintf(annotation, sizeof(annotation), "\"%s\"", cases[i].deadline);
        assert_at(job, "$.spec.template.metadata.annotations['callboard.dev/max-runtime-seconds']",
                  annotation);
    }
}

static void the_policy_goes_where_the_api_server_takes_it(void **state)
{
#define POLICY(container)                                                                     \
    "executionPolicy: {podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {" container \
    "operator: In, values: [42, 3, 42]}}]}}\n"
    static const struct {
        const char *policy, *job;
        bool is_carried;
    } cases[] = {
        {POLICY(""), "template: {spec: {restartPolicy: Never, containers: [{name: m}]}}", true},
        {POLICY("containerName: m, "),
         "template: {spec: {restartPolicy: Never, containers: [{name: m}]}}", true},
        {POLICY("containerName: i, "),
         "template: {spec: {restartPolicy: Never, initContainers: [{name: i}], containers: "
         "[{name: m}]}}",
         true},
        {POLICY(""),
         "podReplacementPolicy: Failed, template: {spec: {restartPolicy: Never, containers: "
         "[{name: m}]}}",
         true},
        {POLICY("containerName: zz, "),
         "template: {spec: {restartPolicy: Never, containers: [{name: m}]}}", false},
        {POLICY(""), "template: {spec: {restartPolicy: OnFailure, containers: [{name: m}]}}",
         false},
        {POLICY(""),
         "podReplacementPolicy: TerminatingOrFailed, template: {spec: {restartPolicy: Never, "
         "containers: [{name: m}]}}",
         false},
        {POLICY(""),
         "podFailurePolicy: {rules: []}, template: {spec: {restartPolicy: Never, containers: "
         "[{name: m}]}}",
         false},
        {"", "template: {spec: {restartPolicy: Never, containers: [{name: m}]}}", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char yaml[1024];
        snprintf(yaml, sizeof(yaml), "%ssteps: [{name: a, template: {spec: {%s}}}]",
                 cases[i].policy, cases[i].job);
        struct fixture *f = fixture_of(state, yaml);
        struct json *job = make(f);
        assert_int_equal(flow_job_carries_policy(f->try.step, f->try.failure_policy),
                         cases[i].is_carried);
        if (!cases[i].is_carried)
            continue;
        struct err_list errors;
        err_list_init(&errors, &f->arena, 8);
        assert_at(job, "$.spec.podFailurePolicy.rules[0].onExitCodes.values", "[3,42]");
        assert_at(job, "$.spec.podFailurePolicy.rules[0].action", "\"FailJob\"");
        schema_validate(&job_template_schema, job, 0, NULL, &errors);
        for (const struct err_item *e = errors.first; e; e = e->next)
            assert_null(strstr(e->field.ptr, "podFailurePolicy"));
    }
}

static void a_suspended_job_and_its_scheduler_are_as_asked(void **state)
{
    struct fixture *f =
        fixture_of(state, "steps: [{name: a, template: " POD(
                              "") "}, {name: b, "
                                  "template: {spec: {template: {spec: {schedulerName: own, "
                                  "containers: [{name: m, resources: {limits: {cpu: 1}}}]"
                                  "}}}}}]");
    assert_at(make(f), "$.spec.suspend", "");
    assert_at(make(f), "$.spec.template.spec.schedulerName", "");
    f->try.is_suspended = true;
    f->try.scheduler_name = STR("callboard-scheduler");
    f->try.is_marked = true;
    struct json *job = make(f);
    assert_at(job, "$.spec.suspend", "true");
    assert_at(job, "$.spec.template.spec.schedulerName", "\"callboard-scheduler\"");
    assert_at(job, "$.spec.template.spec.containers[0].resources",
              "{\"limits\":{\"callboard.dev/managed\":\"1\"}}");
    f->try.step++;
    job = make(f);
    assert_at(job, "$.spec.template.spec.schedulerName", "\"own\"");
    assert_at(job, "$.spec.template.spec.containers[0].resources.limits",
              "{\"cpu\":1,\"callboard.dev/managed\":\"1\"}");
}

/* ---- Performers and resources ---- */

static void a_performer_step_becomes_a_performer_of_the_flow(void **state)
{
    struct fixture *f = fixture_of(
        state, "parameters: [{name: tag, value: v1}]\n"
               "steps: [{name: serve, type: Performer, template: {metadata: {labels: {a: b}}, "
               "spec: {avsAddress: '0x1', image: 'r/app:{{parameters.tag}}', config: {args: "
               "['{{parameters.dollar}}'], environment: {E: '{{parameters.dollar}}'}}, version: "
               "'{{parameters.dollar}}'}}}]");
    struct err err;
    struct json *performer = flow_performer_make(&f->m, &f->try, &err);
    assert_non_null(performer);
    assert_at(performer, "$.kind", "\"Performer\"");
    assert_at(performer, "$.spec.image", "\"r/app:v1\"");
    assert_at(performer, "$.spec.config.args[0]", "\"$$(HOME)\"");
    assert_at(performer, "$.spec.config.environment.E", "\"$$(HOME)\"");
    assert_at(performer, "$.spec.version", "\"$(HOME)\"");
    assert_at(performer, "$.metadata.labels.a", "\"b\"");
    assert_at(performer, "$.metadata.ownerReferences[0].uid", "\"0b0e-uid\"");
}

static void resources_keep_their_name_and_belong_to_the_flow(void **state)
{
    struct fixture *f = fixture_of(
        state, "resourceTemplates: {volumeClaimTemplates: [{metadata: {name: data, namespace: "
               "other, labels: {a: b}, annotations: {c: d}}, spec: {accessModes: [ReadWriteMany]}, "
               "status: {phase: Bound}}], configMapTemplates: [{apiVersion: v7, kind: X, metadata: "
               "{name: conf}, data: {k: '{{parameters.x}}'}}]}\n"
               "steps: [{name: a, template: " POD("") "}]");
    struct flow_resource resource;
    assert_int_equal(flow_resource_count(&f->spec.resources), 2);
    assert_true(flow_resource_at(&f->spec.resources, 0, &resource));
    assert_ptr_equal(resource.resource, &kube_volume_claims);
    struct json *claim = flow_resource_make(&f->m, &f->try.flow, &resource);
    assert_at(claim, "$.metadata.name", "\"data\"");
    assert_at(claim, "$.metadata.namespace", "\"team\"");
    assert_at(claim, "$.metadata.labels",
              "{\"app.kubernetes.io/managed-by\":\"callboard\","
              "\"workflow.kube-zen.io/flow\":\"nightly\",\"a\":\"b\"}");
    assert_at(claim, "$.metadata.annotations", "{\"c\":\"d\"}");
    assert_at(claim, "$.spec.accessModes[0]", "\"ReadWriteMany\"");
    assert_at(claim, "$.status", "");
    assert_true(flow_resource_at(&f->spec.resources, 1, &resource));
    struct json *map = flow_resource_make(&f->m, &f->try.flow, &resource);
    assert_at(map, "$.apiVersion", "\"v1\"");
    assert_at(map, "$.kind", "\"ConfigMap\"");
    assert_at(map, "$.data.k", "\"{{parameters.x}}\"");
    assert_at(map, "$.metadata.ownerReferences[0].name", "\"nightly\"");
    assert_false(flow_resource_at(&f->spec.resources, 2, &resource));
}

/* ---- Memory ---- */

static const char whole[] =
    "executionPolicy: {podFailurePolicy: {rules: [{action: Ignore, onExitCodes: {operator: NotIn, "
    "values: [2, 1]}}]}}\n"
    "parameters: [{name: tag, value: v1}]\n"
    "resourceTemplates: {configMapTemplates: [{metadata: {name: c, labels: {x: y}}, data: {a: b}}]}"
    "\n"
    "steps: [{name: a, timeoutSeconds: 5, metadata: {labels: {l: m}}, inputs: {parameters: "
    "[{name: T, valueFrom: {secretKeyRef: {name: s, key: k}}}]}, template: " POD(
        ", args: ['{{parameters.tag}}']") "}]";

static bool make_all(const struct mem *mem, void *ctx)
{
    (void)ctx;
    struct fixture f;
    struct err err = {0};
    struct flow_resource resource;
    bool done = load(&f, mem, whole);
    if (done) {
        f.try.is_marked = true;
        struct json *job = flow_job_make(&f.m, &f.try, &err);
        assert_int_equal(err.code, job ? 0 : 507);
        assert_int_equal(f.m.failed, !job);
        done = job && flow_resource_at(&f.spec.resources, 0, &resource) &&
               flow_resource_make(&f.m, &f.try.flow, &resource);
    }
    arena_done(&f.arena);
    return done;
}

static void without_memory_nothing_is_made(void **state)
{
    (void)state;
    test_every_allocation_failing(make_all, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, NULL, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_name_is_that_of_flow_and_step_cut_to_fit_with_a_hash),
        TEST(names_differ_by_flow_step_and_attempt_and_are_the_same_again),
        TEST(an_indexed_job_leaves_room_for_the_index),
        TEST(the_job_is_owned_labelled_and_found_by_its_labels),
        TEST(fields_that_nobody_here_knows_are_kept),
        TEST(the_template_itself_is_not_changed),
        TEST(values_are_put_in_as_data),
        TEST(a_value_cannot_change_the_structure),
        TEST(what_cannot_be_made_says_where_and_why),
        TEST(values_that_are_too_long_together_are_refused),
        TEST(a_secret_becomes_a_variable_and_is_never_a_value),
        TEST(the_shorter_deadline_holds_and_the_pods_say_it),
        TEST(the_policy_goes_where_the_api_server_takes_it),
        TEST(a_suspended_job_and_its_scheduler_are_as_asked),
        TEST(a_performer_step_becomes_a_performer_of_the_flow),
        TEST(resources_keep_their_name_and_belong_to_the_flow),
        cmocka_unit_test(without_memory_nothing_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
