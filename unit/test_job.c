/*
 * The table of Jobs: each row a Job that is changed in one place, and what is said of it. That the apiserver
 * says the same is proved by e2e/template.bats.
 */
#include "types/job.h"
#include "unit/findings.h"
#include "unit/support.h"
#include "json/yaml.h"

#define ERRORS_MAX 4

struct row {
    const char *spec;
    struct finding errors[ERRORS_MAX];
};

static struct json *read_yaml(struct arena *arena, const char *text)
{
    struct yaml_reader reader;
    struct json *value = NULL;
    struct err err;
    yaml_reader_init(&reader, str_from_cstr(text), &json_limits_default);
    if (yaml_reader_next(&reader, arena, &value, &err) != 1)
        fail_msg("%s\n%s", err.message, text);
    yaml_reader_done(&reader);
    return value;
}

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct arena arena;
        struct err_list errors;
        arena_init(&arena, mem_system(), 64 * 1024, 16 * 1024 * 1024);
        err_list_init(&errors, &arena, ERR_LIST_MAX);
        schema_validate(&job_template_schema, read_yaml(&arena, rows[i].spec), SCHEMA_PLACEHOLDERS,
                        NULL, &errors);
        findings_assert(&errors, rows[i].errors, rows[i].spec);
        arena_done(&arena);
    }
}
#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

/* A Job with more members; its pod, and its container. */
#define JOB(members)                                                                            \
    "{spec: {" members "template: {spec: {restartPolicy: Never, containers: [{name: m, image: " \
    "i}]}}}}"
#define POD(members)                                                                            \
    "{spec: {template: {spec: {" members "restartPolicy: Never, containers: [{name: m, image: " \
    "i}]}}}}"
#define CONTAINER(members)                                                                       \
    "{spec: {template: {spec: {volumes: [{name: v}], restartPolicy: Never, containers: [{name: " \
    "m, "                                                                                        \
    "image: i, " members "}]}}}}"
#define INIT(members) POD("initContainers: [{name: i, image: i, " members "}], ")
#define AT_POD        "spec.template.spec."
#define AT_MAIN       AT_POD "containers[0]."

static void what_a_job_of_a_step_may_not_have_is_refused(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {JOB(""), {{0}}},
        {JOB("ttlSecondsAfterFinished: 5, "),
         {{ERR_FORBIDDEN, "spec.ttlSecondsAfterFinished", "vanish with its result"}}},
        {JOB("suspend: true, "), {{ERR_FORBIDDEN, "spec.suspend", "would never end"}}},
        {JOB("suspend: false, "), {{0}}},
        {JOB("selector: {}, manualSelector: true, "),
         {{ERR_FORBIDDEN, "spec.selector", "makes a Job's selector itself"}}},
        {JOB("manualSelector: true, "), {{ERR_FORBIDDEN, "spec.manualSelector", "itself"}}},
    };
    CHECK_ROWS(rows);
}

static void indexed_jobs_need_what_belongs_to_them(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {JOB("completionMode: Indexed, "), {{0}}},
        {JOB("completionMode: Indexed, parallelism: 2, "),
         {{ERR_REQUIRED, "spec.completions", "an Indexed Job needs it"}}},
        {JOB("completionMode: Indexed, completions: 1, parallelism: 100001, "),
         {{ERR_INVALID, "spec.parallelism", "at most 100000"}}},
        {JOB("backoffLimitPerIndex: 1, "),
         {{ERR_INVALID, "spec.backoffLimitPerIndex", "completionMode Indexed"}}},
        {JOB("successPolicy: {rules: [{}]}, "),
         {{ERR_REQUIRED, "spec.successPolicy.rules[0]", "succeededCount"},
          {ERR_INVALID, "spec.successPolicy", "completionMode Indexed"}}},
        {JOB("maxFailedIndexes: 1, "),
         {{ERR_REQUIRED, "spec.backoffLimitPerIndex", "maxFailedIndexes needs it"}}},
        {JOB("completionMode: Indexed, completions: 1, backoffLimitPerIndex: 1, "
             "maxFailedIndexes: 2, "),
         {{ERR_INVALID, "spec.maxFailedIndexes", "more than completions"}}},
        {JOB("managedBy: other, "), {{ERR_INVALID, "spec.managedBy", "example.com/name"}}},
    };
    CHECK_ROWS(rows);
}

#define POLICY(rule) JOB("podFailurePolicy: {rules: [" rule "]}, ")
#define RULE         "spec.podFailurePolicy.rules[0]"

static void a_failure_policy_must_make_sense(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {POLICY("{action: FailJob, onExitCodes: {operator: In, values: [1, 2]}}"), {{0}}},
        {POLICY("{action: Ignore, onPodConditions: [{type: DisruptionTarget}]}"), {{0}}},
        {POLICY("{action: FailJob}"), {{ERR_REQUIRED, RULE, "exactly one of"}}},
        {POLICY("{action: FailJob, onExitCodes: {operator: In, values: [1]}, onPodConditions: []}"),
         {{ERR_REQUIRED, RULE, "exactly one of"}}},
        {POLICY("{action: FailJob, onExitCodes: {operator: In, values: [0, 1]}}"),
         {{ERR_INVALID, RULE ".onExitCodes.values", "would mean success"}}},
        {POLICY("{action: FailJob, onExitCodes: {operator: NotIn, values: [0, 1]}}"), {{0}}},
        {POLICY("{action: FailJob, onExitCodes: {operator: In, values: [2, 1]}}"),
         {{ERR_INVALID, RULE ".onExitCodes.values", "ascending order"}}},
        {POLICY("{action: FailJob, onExitCodes: {operator: In, values: [1, 1]}}"),
         {{ERR_INVALID, RULE ".onExitCodes.values", "each code once"}}},
        {POLICY("{action: FailJob, onExitCodes: {containerName: x, operator: In, values: [1]}}"),
         {{ERR_NOT_FOUND, RULE ".onExitCodes.containerName", "no container \"x\""}}},
        {POLICY("{action: FailIndex, onExitCodes: {operator: In, values: [1]}}"),
         {{ERR_INVALID, RULE ".action", "backoffLimitPerIndex"}}},
        {"{spec: {podFailurePolicy: {}, podReplacementPolicy: TerminatingOrFailed, template: "
         "{spec: {restartPolicy: OnFailure, containers: [{name: m, image: i}]}}}}",
         {{ERR_INVALID, "spec.podFailurePolicy", "restartPolicy Never"},
          {ERR_INVALID, "spec.podReplacementPolicy", "must be Failed"}}},
    };
    CHECK_ROWS(rows);
}

static void a_pod_is_checked(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{}", {{ERR_REQUIRED, "spec", "The Job's spec."}}},
        {"{spec: {template: {spec: {}}}}",
         {{ERR_REQUIRED, AT_POD "containers", "The containers"},
          {ERR_REQUIRED, AT_POD "restartPolicy", "OnFailure or Never"}}},
        {POD("initContainers: [{name: m, image: i}], "),
         {{ERR_DUPLICATE, AT_POD "initContainers[0].name", "name of a container too"}}},
        {POD("ephemeralContainers: [], "),
         {{ERR_FORBIDDEN, AT_POD "ephemeralContainers", "a pod that runs"}}},
        {POD("dnsPolicy: None, "), {{ERR_REQUIRED, AT_POD "dnsConfig", "nameservers"}}},
        {POD("dnsPolicy: None, dnsConfig: {nameservers: [10.0.0.10]}, "), {{0}}},
        {POD("hostAliases: [{ip: 'fe80::1'}, {ip: 10.0.0.1}, {ip: host}, {ip: "
             "'1111111111111111111111111111111111111111111111111'}], "),
         {{ERR_INVALID, AT_POD "hostAliases[2].ip", "an IP address"},
          {ERR_INVALID, AT_POD "hostAliases[3].ip", "an IP address"}}},
        {POD("hostname: a.b, "), {{ERR_INVALID, AT_POD "hostname", "letters, digits or '-'"}}},
        {POD("runtimeClassName: '{{parameters.class}}', "), {{0}}},
        {"{spec: {template: {spec: {hostNetwork: true, restartPolicy: Never, containers: [{name: "
         "m, image: i, ports: [{containerPort: 1, hostPort: 2}, {containerPort: 3}]}]}}}}",
         {{ERR_INVALID, AT_MAIN "ports[0].hostPort", "must be the containerPort"}}},
    };
    CHECK_ROWS(rows);
}

static void a_container_is_checked(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {CONTAINER("env: [{name: A}, {name: B, value: x, valueFrom: {fieldRef: {fieldPath: "
                   "metadata.name}}}]"),
         {{ERR_FORBIDDEN, AT_MAIN "env[1].valueFrom", "has a value already"}}},
        {CONTAINER("env: [{name: A, valueFrom: {}}]"),
         {{ERR_REQUIRED, AT_MAIN "env[0].valueFrom", "exactly one of"}}},
        {CONTAINER("env: [{name: A, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['a']\"}}},"
                   " {name: B, valueFrom: {fieldRef: {fieldPath: metadata.labels}}}]"),
         {{ERR_NOT_SUPPORTED, AT_MAIN "env[1].valueFrom.fieldRef.fieldPath", "metadata.name"}}},
        {CONTAINER("env: [{name: A, valueFrom: {resourceFieldRef: {resource: "
                   "limits.hugepages-2Mi}}}, {name: B, valueFrom: {resourceFieldRef: {resource: "
                   "cpu}}}]"),
         {{ERR_NOT_SUPPORTED, AT_MAIN "env[1].valueFrom.resourceFieldRef.resource", "limits.cpu"}}},
        {CONTAINER("envFrom: [{prefix: P}]"),
         {{ERR_REQUIRED, AT_MAIN "envFrom[0]", "configMapRef and secretRef"}}},
        {CONTAINER("ports: [{containerPort: 1, name: a}, {containerPort: 2, name: a}]"),
         {{ERR_DUPLICATE, AT_MAIN "ports[1].name", "another port"}}},
        {CONTAINER("livenessProbe: {}"), {{ERR_REQUIRED, AT_MAIN "livenessProbe", "not what"}}},
        {CONTAINER("livenessProbe: {exec: {command: [x]}, tcpSocket: {port: 1}}"),
         {{ERR_FORBIDDEN, AT_MAIN "livenessProbe", "only one of"}}},
        {CONTAINER("livenessProbe: {tcpSocket: {port: http}, successThreshold: 2}"),
         {{ERR_INVALID, AT_MAIN "livenessProbe.successThreshold", "must be 1"}}},
        {CONTAINER("readinessProbe: {tcpSocket: {port: 0}, successThreshold: 2}"),
         {{ERR_INVALID, AT_MAIN "readinessProbe.tcpSocket.port", "from 1 to 65535"}}},
        {CONTAINER("lifecycle: {preStop: {}}"),
         {{ERR_REQUIRED, AT_MAIN "lifecycle.preStop", "not what"}}},
        {CONTAINER("securityContext: {privileged: true, allowPrivilegeEscalation: false}"),
         {{ERR_INVALID, AT_MAIN "securityContext.allowPrivilegeEscalation", "always escalate"}}},
        {CONTAINER("securityContext: {runAsUser: -1, seccompProfile: {type: Default}}"),
         {{ERR_INVALID, AT_MAIN "securityContext.runAsUser", "0 or more"},
          {ERR_NOT_SUPPORTED, AT_MAIN "securityContext.seccompProfile.type", "RuntimeDefault"}}},
        {INIT("livenessProbe: {tcpSocket: {port: 1}}"),
         {{ERR_FORBIDDEN, AT_POD "initContainers[0].livenessProbe", "restartPolicy Always"}}},
        {INIT("restartPolicy: Always, livenessProbe: {tcpSocket: {port: 1}}"), {{0}}},
    };
    CHECK_ROWS(rows);
}

#define VOLUME(source) POD("volumes: [{name: v, " source "}], ")
#define AT_VOLUME      AT_POD "volumes[0]"

static void volumes_and_mounts_are_checked(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {VOLUME("emptyDir: {}"), {{0}}},
        {VOLUME("aSourceOfTomorrow: {}"), {{0}}},
        {VOLUME("emptyDir: {}, secret: {secretName: s}"),
         {{ERR_FORBIDDEN, AT_VOLUME, "one source"}}},
        {VOLUME("persistentVolumeClaim: {}"),
         {{ERR_REQUIRED, AT_VOLUME ".persistentVolumeClaim.claimName", "The name"}}},
        {VOLUME("configMap: {name: c, items: [{key: a/b, path: a/../b}, {key: k, path: /b}, {key: "
                "k, path: a/..b}]}"),
         {{ERR_INVALID, AT_VOLUME ".configMap.items[0].path", "\"..\""},
          {ERR_INVALID, AT_VOLUME ".configMap.items[1].path", "without /"}}},
        {VOLUME("hostPath: {path: /d, type: Folder}"),
         {{ERR_NOT_SUPPORTED, AT_VOLUME ".hostPath.type", "Directory"}}},
        {CONTAINER("volumeMounts: [{name: v, mountPath: /a}, {name: w, mountPath: /a}]"),
         {{ERR_DUPLICATE, AT_MAIN "volumeMounts[1].mountPath", "mounted there"},
          {ERR_NOT_FOUND, AT_MAIN "volumeMounts[1].name", "no volume \"w\""}}},
        {CONTAINER("volumeMounts: [{name: v, mountPath: /a, subPath: x, subPathExpr: z}]"),
         {{ERR_FORBIDDEN, AT_MAIN "volumeMounts[0].subPathExpr", "only one of"}}},
        {INIT("volumeMounts: [{name: v, mountPath: /a}]"),
         {{ERR_NOT_FOUND, AT_POD "initContainers[0].volumeMounts[0].name", "no volume"}}},
    };
    CHECK_ROWS(rows);
}

/* What is wrong in one place hides nothing in another. */
static void errors_are_found_beside_others(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{spec: {ttlSecondsAfterFinished: 1, template: {spec: {restartPolicy: Never, containers: "
         "[{name: m, image: i, imagePullPolicy: Soon, volumeMounts: [{name: v, mountPath: "
         "/v}]}]}}}}",
         {{ERR_NOT_SUPPORTED, AT_MAIN "imagePullPolicy", "Always"},
          {ERR_NOT_FOUND, AT_MAIN "volumeMounts[0].name", "no volume"},
          {ERR_FORBIDDEN, "spec.ttlSecondsAfterFinished", "vanish"}}},
        {"{spec: {ttlSecondsAfterFinished: 1, template: {spec: {restartPolicy: Never, containers: "
         "3}}}}",
         {{ERR_TYPE, AT_POD "containers", "must be a list"},
          {ERR_FORBIDDEN, "spec.ttlSecondsAfterFinished", "vanish"}}},
    };
    CHECK_ROWS(rows);
}

static void values_of_variables_are_not_shown(void **state)
{
    (void)state;
    struct arena arena;
    struct err_list errors;
    arena_init(&arena, mem_system(), 64 * 1024, 16 * 1024 * 1024);
    err_list_init(&errors, &arena, ERR_LIST_MAX);
    struct json *job = read_yaml(&arena, CONTAINER("env: [{name: 'A=', value: hunter2, valueFrom: "
                                                   "{}}, {name: B, value: 4711}]"));
    schema_validate(&job_template_schema, job, 0, NULL, &errors);
    assert_true(errors.count > 1);
    for (const struct err_item *e = errors.first; e; e = e->next) {
        assert_null(memmem(e->message.ptr, e->message.len, "hunter2", 7));
        assert_null(memmem(e->message.ptr, e->message.len, "4711", 4));
    }
    arena_done(&arena);
}

/* ---- Long lists ---- */

/* A pod in which each list is longer than what is compared one by one. */
static struct str large_job(struct arena *arena, unsigned mount, unsigned port, unsigned path)
{
    enum { COUNT = 100 };
    struct buf text;
    buf_init(&text, arena_mem(arena), 256 * 1024);
    buf_put(&text, STR("{spec: {podFailurePolicy: {rules: [{action: Count, onExitCodes: {operator: "
                       "In, values: [1], containerName: c99}}]}, template: {spec: {restartPolicy: "
                       "Never, volumes: ["));
    for (unsigned i = 0; i < COUNT; i++)
        buf_printf(&text, "{name: v%u}, ", i);
    buf_put(&text, STR("], containers: ["));
    for (unsigned i = 1; i < COUNT; i++)
        buf_printf(&text, "{name: c%u, image: i}, ", i);
    buf_put(&text, STR("{name: c0, image: i, volumeMounts: ["));
    for (unsigned i = 0; i < COUNT; i++)
        buf_printf(&text, "{name: v%u, mountPath: /p%u}, ", i + 1 < COUNT ? i : mount,
                   i + 1 < COUNT ? i : path);
    buf_put(&text, STR("], ports: ["));
    for (unsigned i = 0; i < COUNT; i++)
        buf_printf(&text, "{name: p%u, containerPort: 80}, ", i + 1 < COUNT ? i : port);
    buf_put(&text, STR("]}]}}}}\0"));
    assert_false(buf_failed(&text));
    return buf_str(&text);
}

static void names_are_found_in_long_lists(void **state)
{
    (void)state;
    static const struct {
        unsigned mount, port, path;
        struct finding errors[ERRORS_MAX];
    } rows[] = {
        {99, 99, 99, {{0}}},
        {100, 99, 99, {{ERR_NOT_FOUND, AT_POD "containers[99].volumeMounts[99].name", "v100"}}},
        {99, 50, 99, {{ERR_DUPLICATE, AT_POD "containers[99].ports[99].name", "another port"}}},
        {99,
         99,
         98,
         {{ERR_DUPLICATE, AT_POD "containers[99].volumeMounts[99].mountPath", "there"}}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena arena;
        arena_init(&arena, mem_system(), 64 * 1024, 16 * 1024 * 1024);
        struct str text = large_job(&arena, rows[i].mount, rows[i].port, rows[i].path);
        struct row row = {.spec = text.ptr};
        memcpy(row.errors, rows[i].errors, sizeof(row.errors));
        check_rows(&row, 1);
        arena_done(&arena);
    }
}

static bool validate_large(const struct mem *mem, void *ctx)
{
    struct arena arena;
    struct err_list errors;
    arena_init(&arena, mem, 64, 16 * 1024 * 1024);
    err_list_init(&errors, &arena, ERR_LIST_MAX);
    schema_validate(&job_template_schema, ctx, SCHEMA_PLACEHOLDERS, NULL, &errors);
    bool good = !errors.out_of_memory;
    if (good)
        assert_int_equal(errors.count, 2);
    arena_done(&arena);
    return good;
}

static void every_failing_allocation_is_noticed(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, mem_system(), 64 * 1024, 16 * 1024 * 1024);
    test_every_allocation_failing(validate_large,
                                  read_yaml(&arena, large_job(&arena, 100, 50, 99).ptr));
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_job_of_a_step_may_not_have_is_refused),
        cmocka_unit_test(indexed_jobs_need_what_belongs_to_them),
        cmocka_unit_test(a_failure_policy_must_make_sense),
        cmocka_unit_test(a_pod_is_checked),
        cmocka_unit_test(a_container_is_checked),
        cmocka_unit_test(volumes_and_mounts_are_checked),
        cmocka_unit_test(errors_are_found_beside_others),
        cmocka_unit_test(values_of_variables_are_not_shown),
        cmocka_unit_test(names_are_found_in_long_lists),
        cmocka_unit_test(every_failing_allocation_is_noticed),
    };
    return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
