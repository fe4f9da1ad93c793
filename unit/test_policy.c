/* The rules of objects: those of all kinds, and those of Performers. */
#include "unit/findings.h"
#include "unit/support.h"

#include "policy/policy.h"
#include "policy/report.h"
#include "types/performer.h"
#include "json/yaml.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct arena arena;
    struct catalog *catalog;
    struct policy_findings findings;
};

static int setup(void **state)
{
    struct fixture *f = test_malloc(sizeof(*f));
    struct err err;
    arena_init(&f->arena, mem_system(), 64 * 1024, 64 * 1024 * 1024);
    f->catalog = catalog_builtin(mem_system(), &err);
    assert_non_null(f->catalog);
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

static struct json *read_yaml(struct arena *arena, struct str text)
{
    struct yaml_reader reader;
    struct json *value = NULL;
    struct err err = {0};
    yaml_reader_init(&reader, text, &json_limits_default);
    if (yaml_reader_next(&reader, arena, &value, &err) != 1)
        fail_msg("%.*s: %s", (int)text.len, text.ptr, err.message);
    yaml_reader_done(&reader);
    return value;
}

#define HEAD                                         \
    "apiVersion: hourglass.eigenlayer.io/v1alpha1\n" \
    "kind: Performer\n"
#define NAMED HEAD "metadata: {name: p}\n"
/* A Performer that gives no warnings, to which lines of its spec are added. */
#define SPEC  "spec:\n  avsAddress: an-avs\n"
#define IMAGE "  image: registry.example/p:v1\n"
#define MEM   "  resources: {limits: {memory: 1Gi}}\n"
#define GOOD  NAMED SPEC IMAGE MEM

static struct str print(struct arena *arena, const struct json *value)
{
    struct buf buf;
    buf_init(&buf, arena_mem(arena), 1024 * 1024);
    json_write(&buf, value);
    assert_false(buf_failed(&buf));
    return buf_str(&buf);
}

/* As /mutate does, as somebody would see it. */
static struct policy_object subject_of(struct fixture *f, const char *before, const char *object)
{
    struct policy_object subject = {
        .kind = &performer_kind,
        .operation = before ? POLICY_UPDATE : POLICY_CREATE,
        .object = read_yaml(&f->arena, str_from_cstr(object)),
        .before = before ? read_yaml(&f->arena, str_from_cstr(before)) : NULL,
        .user = STR("alice"),
        .request_uid = STR("0a1b"),
        .catalog = f->catalog,
        .arena = &f->arena,
    };
    return subject;
}

static void judge(struct fixture *f, struct policy_object *subject)
{
    policy_findings_init(&f->findings, &f->arena);
    assert_true(policy_default(subject));
    policy_validate(subject, &f->findings);
}

static void judge_text(struct fixture *f, const char *before, const char *object, bool offline)
{
    struct policy_object subject = subject_of(f, before, object);
    subject.is_offline = offline;
    judge(f, &subject);
}

struct row {
    const char *spec; /* the whole, or NULL for `more` */
    const char *more; /* lines behind those of GOOD */
    struct finding errors[6];
    struct finding warnings[4];
};

static void check_rows(struct fixture *f, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct str text = rows[i].spec ? arena_printf(&f->arena, "%s%s", NAMED, rows[i].spec)
                                       : arena_printf(&f->arena, "%s%s", GOOD, rows[i].more);
        judge_text(f, NULL, text.ptr, true);
        findings_assert(&f->findings.errors, rows[i].errors, text.ptr);
        findings_assert(&f->findings.warnings, rows[i].warnings, text.ptr);
    }
}

#define CHECK_ROWS(f, rows) check_rows((f), (rows), sizeof(rows) / sizeof((rows)[0]))
#define HW                  "  hardwareRequirements: "
#define HW_PATH             "spec.hardwareRequirements"

/* ---- GPUs ---- */

static void the_type_of_gpu_must_be_in_the_catalog(void **state)
{
    static const struct row rows[] = {
        {.more = HW "{gpuType: nvidia-a100, gpuCount: 1}\n"},
        {.more = HW "{gpuType: nvidia-h100}\n"},
        {.more = HW "{gpuType: nvidia-a1000}\n",
         .errors = {{ERR_NOT_SUPPORTED, HW_PATH ".gpuType",
                     "Unsupported value: \"nvidia-a1000\": did you mean \"nvidia-a100\"? the "
                     "catalog has: nvidia-tesla-p100, nvidia-tesla-t4, "}}},
        {.more = HW "{gpuType: tpu}\n",
         .errors = {{ERR_NOT_SUPPORTED, HW_PATH ".gpuType",
                     "Unsupported value: \"tpu\": the catalog has: "}}},
        {.more = HW "{gpuType: tpu}\n",
         .errors = {{ERR_NOT_SUPPORTED, HW_PATH ".gpuType",
                     "nvidia-rtx-6000. An administrator can add a type to the ConfigMap "
                     "callboard-catalog"}}},
        {.more = HW "{gpuType: ''}\n",
         .errors = {{ERR_REQUIRED, HW_PATH ".gpuType", "must not be empty"}}},
        /* One error a field: that it is in no catalog goes without saying. */
        {.more = HW "{gpuType: a b}\n",
         .errors = {{ERR_INVALID, HW_PATH ".gpuType", "\"a b\": must be empty or"}}},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

static void a_long_catalog_is_listed_in_part(void **state)
{
    struct fixture *f = *state;
    struct buf text;
    struct err err;
    buf_init(&text, arena_mem(&f->arena), 65536);
    buf_put(&text, STR("gpuTypes:\n"));
    for (int i = 0; i < 500; i++)
        buf_printf(&text, "  a-type-of-gpu-%d: {products: [X]}\n", i);
    catalog_unref(f->catalog);
    f->catalog = catalog_read(buf_str(&text), mem_system(), &err);
    assert_non_null(f->catalog);
    judge_text(f, NULL, GOOD HW "{gpuType: x, teeRequired: true, teeType: sgx}\n", true);
    static const struct finding errors[] = {
        {ERR_NOT_SUPPORTED, HW_PATH ".gpuType",
         ", …. An administrator can add a type to the ConfigMap callboard-catalog"},
        {ERR_NOT_SUPPORTED, HW_PATH ".teeType",
         "\"sgx\": this cluster's catalog has: none. An administrator can add it"},
        {0}};
    findings_assert(&f->findings.errors, errors, "long catalog");
    assert_true(f->findings.errors.first->message.len < 1024);
}

static void amounts_of_gpus_must_make_sense(void **state)
{
    static const struct row rows[] = {
        {.more = HW "{gpuCount: 0}\n"},
        {.more = HW "{gpuCount: 8, gpuMemory: 40Gi, cudaVersion: '12.4'}\n"},
        {.more = HW "{gpuShare: 50}\n"},
        {.more = HW "{gpuShare: 99, gpuCount: 1, gpuMemory: 4Gi}\n"},
        {.more = HW "{gpuShare: 1, gpuCount: 0, gpuType: nvidia-l4}\n"},
        {.more = HW "{gpuShare: 50, gpuCount: 2}\n",
         .errors = {{ERR_FORBIDDEN, HW_PATH ".gpuShare",
                     "a share is of one GPU, so it may not be combined with gpuCount 2"}}},
        {.more = HW "{gpuShare: 0}\n",
         .errors = {{ERR_INVALID, HW_PATH ".gpuShare", "0: must be from 1 to 99"}}},
        {.more = HW "{gpuShare: 100}\n",
         .errors = {{ERR_INVALID, HW_PATH ".gpuShare", "100: must be from 1 to 99"}}},
        {.more = HW "{gpuShare: 150, gpuCount: 2}\n",
         .errors = {{ERR_INVALID, HW_PATH ".gpuShare", "150: must be from 1 to 99"}}},
        {.more = HW "{gpuCount: -1, gpuType: nvidia-l4}\n",
         .errors = {{ERR_INVALID, HW_PATH ".gpuCount", "-1: must be 0 or more"}}},
        {.more = HW "{gpuCount: 2147483648}\n",
         .errors = {{ERR_INVALID, HW_PATH ".gpuCount", "less than 2147483648"}}},
        {.more = HW "{gpuMemory: 0}\n",
         .errors = {{ERR_INVALID, HW_PATH ".gpuMemory", "0: must be more than 0, such as 40Gi"}}},
        {.more = HW "{gpuMemory: 0Gi, gpuCount: 1}\n",
         .errors = {{ERR_INVALID, HW_PATH ".gpuMemory", "must be more than 0"}}},
        {.more = HW "{gpuMemory: -4Gi}\n",
         .errors = {{ERR_INVALID, HW_PATH ".gpuMemory", "must not be negative"}}},
        {.more = HW "{gpuMemory: 40 GB}\n",
         .errors = {{ERR_INVALID, HW_PATH ".gpuMemory", "must be a quantity"}}},
        {.more = HW "{cudaVersion: 12.4}\n",
         .errors = {{ERR_TYPE, HW_PATH ".cudaVersion",
                     "must be a string, not a number; put it in quotes"}}},
        {.more = HW "{cudaVersion: v12}\n",
         .errors = {{ERR_INVALID, HW_PATH ".cudaVersion", "must be a version such as 12"}}},
        {.more = HW "{gpuCount: 0, gpuType: nvidia-l4, gpuMemory: 1Gi, cudaVersion: '12'}\n",
         .errors = {{ERR_FORBIDDEN, HW_PATH ".gpuType", "gpuType needs a GPU but gpuCount is 0"},
                    {ERR_FORBIDDEN, HW_PATH ".gpuMemory", "remove gpuMemory"},
                    {ERR_FORBIDDEN, HW_PATH ".cudaVersion", "set gpuCount to 1 or more"}}},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

#define WITH_GPU(amounts) SPEC IMAGE "  resources: " amounts "\n" HW

static void gpus_by_hand_must_agree_with_the_requirements(void **state)
{
    static const struct row rows[] = {
        {.spec = WITH_GPU("{limits: {memory: 1Gi, nvidia.com/gpu: 2}}") "{gpuCount: 2}\n"},
        {.spec = WITH_GPU("{limits: {memory: 1Gi, nvidia.com/gpu: '2'}}") "{gpuCount: 2}\n"},
        {.spec = WITH_GPU("{limits: {memory: 1Gi, nvidia.com/gpu: 2}}") "{}\n"},
        {.spec = WITH_GPU("{limits: {memory: 1Gi, nvidia.com/gpu: 0}}") "{gpuCount: 0}\n"},
        {.spec = WITH_GPU("{limits: {memory: 1Gi, nvidia.com/mig-1g.5gb: 1}}") "{gpuCount: 0}\n"},
        {.spec = WITH_GPU("{limits: {memory: 1Gi, nvidia.com/gpu: 2}}") "{gpuCount: 1}\n",
         .errors = {{ERR_INVALID, "spec.resources.limits[\"nvidia.com/gpu\"]",
                     "2: differs from hardwareRequirements, which asks for 1 GPUs; remove it"}}},
        {.spec = WITH_GPU("{requests: {nvidia.com/gpu: 2}, limits: {memory: 1Gi, "
                          "nvidia.com/gpu: 2}}") "{gpuType: nvidia-l4}\n",
         .errors = {{ERR_INVALID, "spec.resources.requests[\"nvidia.com/gpu\"]", "asks for 1 GPUs"},
                    {ERR_INVALID, "spec.resources.limits[\"nvidia.com/gpu\"]", "asks for 1 GPUs"}}},
        {.spec = WITH_GPU("{limits: {memory: 1Gi, nvidia.com/gpu: 1}}") "{gpuShare: 30}\n",
         .errors = {{ERR_INVALID, "spec.resources.limits[\"nvidia.com/gpu\"]",
                     "1: differs from hardwareRequirements, which asks for 30 per cent of one "
                     "GPU;"}}},
        {.spec = WITH_GPU("{limits: {memory: 1Gi, callboard.dev/gpu-milli: 500}}") "{}\n",
         .errors = {{ERR_FORBIDDEN, "spec.resources.limits[\"callboard.dev/gpu-milli\"]",
                     "this resource is set by the controller"}}},
        {.spec = WITH_GPU("{requests: {callboard.dev/managed: 1}, limits: {memory: 1Gi, "
                          "callboard.dev/managed: 1}}") "{}\n",
         .errors = {{ERR_FORBIDDEN, "spec.resources.requests[\"callboard.dev/managed\"]", "set by"},
                    {ERR_FORBIDDEN, "spec.resources.limits[\"callboard.dev/managed\"]", "set by"}}},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

/* ---- Trusted execution environments ---- */

static void a_tee_must_be_named_and_exist(void **state)
{
    static const struct row rows[] = {
        {.more = HW "{teeRequired: true, teeType: sgx}\n"},
        {.more = HW "{teeRequired: true, teeType: sev-snp}\n"},
        {.more = HW "{teeRequired: false}\n"},
        {.more = HW "{teeRequired: true}\n",
         .errors = {{ERR_REQUIRED, HW_PATH ".teeType",
                     "teeRequired is true; say which one: sgx, sev, sev-snp or tdx"}}},
        {.more = HW "{teeRequired: true, teeType: tdx2}\n",
         .errors = {{ERR_NOT_SUPPORTED, HW_PATH ".teeType", "did you mean \"tdx\"?"}}},
        {.more = HW "{teeType: tdx}\n",
         .warnings = {{ERR_INVALID, HW_PATH ".teeType",
                       "has no effect without teeRequired: true; the pod may run outside of tdx"}}},
        {.more = HW "{teeRequired: false, teeType: sev}\n",
         .warnings = {{ERR_INVALID, HW_PATH ".teeType", "has no effect"}}},
        {.more = HW "{teeRequired: 'true'}\n",
         .errors = {{ERR_TYPE, HW_PATH ".teeRequired", "must be true or false"}}},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

static void a_tee_must_be_in_the_catalog(void **state)
{
    struct fixture *f = *state;
    struct err err;
    catalog_unref(f->catalog);
    f->catalog = catalog_read(STR("tee: {sgx: {}, sev: {}}\n"), mem_system(), &err);
    judge_text(f, NULL, GOOD HW "{teeRequired: true, teeType: tdx}\n", true);
    static const struct finding errors[] = {
        {ERR_NOT_SUPPORTED, HW_PATH ".teeType",
         "Unsupported value: \"tdx\": this cluster's catalog has: sgx, sev. An administrator can "
         "add it to the ConfigMap callboard-catalog"},
        {0}};
    findings_assert(&f->findings.errors, errors, "tdx");
}

static void a_runtime_class_must_fit_the_tee(void **state)
{
    static const struct row rows[] = {
        {.more = "  scheduling: {runtimeClass: kata-qemu-tdx}\n" HW
                 "{teeRequired: true, teeType: tdx}\n"},
        {.more = "  scheduling: {runtimeClass: kata-qemu-nvidia-gpu-tdx}\n" HW
                 "{teeRequired: true, teeType: tdx}\n"},
        {.more = "  scheduling: {runtimeClass: gvisor}\n" HW "{teeRequired: true, teeType: sgx}\n"},
        {.more = "  scheduling: {runtimeClass: gvisor}\n" HW "{teeRequired: false}\n"},
        {.more = "  scheduling: {runtimeClass: gvisor}\n" HW "{teeRequired: true, teeType: tdx}\n",
         .errors = {{ERR_NOT_SUPPORTED, "spec.scheduling.runtimeClass",
                     "Unsupported value: \"gvisor\": it does not run pods in tdx; supported "
                     "values: kata-qemu-tdx, kata-qemu-nvidia-gpu-tdx; remove the field to get "
                     "the first one"}}},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

/* ---- Labels, environment ---- */

static void labels_that_no_node_can_have_at_once_are_refused(void **state)
{
    static const struct row rows[] = {
        {.more = "  scheduling: {nodeSelector: {a: x}}\n" HW "{customLabels: {a: x, b: z}}\n"},
        {.more = "  scheduling: {nodeSelector: {a: x}}\n" HW "{customLabels: {a: z}}\n",
         .errors = {{ERR_INVALID, HW_PATH ".customLabels.a",
                     "Invalid value: \"z\": spec.scheduling.nodeSelector wants \"x\" for the same "
                     "label, so no node can fit"}}},
        {.more = HW "{teeRequired: true, teeType: tdx, customLabels: "
                    "{feature.node.kubernetes.io/cpu-security.tdx.enabled: 'false'}}\n",
         .errors = {{ERR_INVALID,
                     HW_PATH ".customLabels"
                             "[\"feature.node.kubernetes.io/cpu-security.tdx.enabled\"]",
                     "\"false\": the catalog's entry of the teeType wants \"true\""}}},
        {.more = "  scheduling: {nodeSelector: "
                 "{feature.node.kubernetes.io/cpu-security.tdx.enabled: 'false'}}\n" HW
                 "{teeRequired: true, teeType: tdx}\n",
         .errors = {{ERR_INVALID,
                     "spec.scheduling.nodeSelector"
                     "[\"feature.node.kubernetes.io/cpu-security.tdx.enabled\"]",
                     "the catalog's entry of the teeType wants \"true\""}}},
        /* Without a TEE the catalog has no say. */
        {.more = HW "{customLabels: "
                    "{feature.node.kubernetes.io/cpu-security.tdx.enabled: 'false'}}\n"},
        {.more = "  scheduling: {nodeSelector: {a: x}}\n" HW "{customLabels: {a: 1}}\n",
         .errors = {{ERR_TYPE, HW_PATH ".customLabels.a", "must be a string, not a number"}}},
        {.more = "  scheduling: {nodeSelector: {a: true}}\n" HW "{customLabels: {a: x}}\n",
         .errors = {{ERR_TYPE, "spec.scheduling.nodeSelector.a", "must be a string"}}},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

#define FROM(name, source) "{name: " name ", valueFrom: {" source "}}"
#define SECRET             "secretKeyRef: {name: s, key: k}"
#define CONFIG_MAP         "configMapKeyRef: {name: c, key: k, optional: true}"

static void an_environment_variable_is_set_once(void **state)
{
    static const struct row rows[] = {
        {.more = "  config: {environment: {A: x}, environmentFrom: [" FROM("B", SECRET) ", " FROM(
             "C", CONFIG_MAP) "]}\n"},
        {.more =
             "  config: {environment: {A: x, B: z}, environmentFrom: [" FROM("B", SECRET) "]}\n",
         .errors = {{ERR_DUPLICATE, "spec.config.environment.B",
                     "environmentFrom sets the same variable; remove one of the two"}}},
        {.more = "  config: {environment: {B: null}, environmentFrom: [" FROM("B", SECRET) "]}\n"},
        {.more = "  config: {environmentFrom: [" FROM("B", SECRET) ", " FROM("B", SECRET) "]}\n",
         .errors = {{ERR_DUPLICATE, "spec.config.environmentFrom[1].name", "\"B\" is already"}}},
        {.more = "  config: {environmentFrom: [" FROM("B", SECRET ", " CONFIG_MAP) "]}\n",
         .errors = {{ERR_INVALID, "spec.config.environmentFrom[0].valueFrom",
                     "exactly one of secretKeyRef and configMapKeyRef must be set"}}},
        {.more = "  config: {environmentFrom: [{name: B, valueFrom: {}}]}\n",
         .errors = {{ERR_REQUIRED, "spec.config.environmentFrom[0].valueFrom",
                     "exactly one of secretKeyRef and configMapKeyRef must be set"}}},
        {.more = "  config: {environmentFrom: [{name: B}]}\n",
         .errors = {{ERR_REQUIRED, "spec.config.environmentFrom[0].valueFrom", "Where its"}}},
        {.more = "  config: {environment: {'': x}, environmentFrom: [{name: 5}]}\n",
         .errors = {{ERR_INVALID, "spec.config.environment[\"\"]", "printable ASCII"},
                    {ERR_TYPE, "spec.config.environmentFrom[0].name", "must be a string"},
                    {ERR_REQUIRED, "spec.config.environmentFrom[0].valueFrom", "Where its"}}},
        {.more =
             "  config: {environmentFrom: [" FROM("B", "secretKeyRef: {name: S, key: ../k}") "]}\n",
         .errors = {{ERR_INVALID, "spec.config.environmentFrom[0].valueFrom.secretKeyRef.name",
                     "\"S\": must be lower-case letters"},
                    {ERR_INVALID, "spec.config.environmentFrom[0].valueFrom.secretKeyRef.key",
                     "\"../k\": must be letters"}}},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

/* ---- What is legal but surely unwanted ---- */

static void an_image_that_may_change_is_warned_of(void **state)
{
    static const struct row rows[] = {
        {.spec = SPEC MEM "  image: a/b@sha256:"
                          "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"},
        {.spec = SPEC MEM "  image: a/b:latest@sha256:"
                          "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"},
        {.spec = SPEC MEM "  image: a/b:v1\n"},
        {.spec = SPEC MEM "  image: a/b\n",
         .warnings = {{ERR_INVALID, "spec.image", "has no tag, which means \"latest\""}}},
        {.spec = SPEC MEM "  image: localhost:5000/b\n",
         .warnings = {{ERR_INVALID, "spec.image", "has no tag"}}},
        {.spec = SPEC MEM "  image: a/b:latest\n",
         .warnings = {{ERR_INVALID, "spec.image", "has the tag \"latest\""}}},
        {.spec = SPEC MEM "  image: A/b:v1\n"},
        {.spec = SPEC MEM "  image: a/B:v1\n",
         .errors = {{ERR_INVALID, "spec.image", "\"a/B:v1\": must be an image reference"}}},
        {.spec = SPEC MEM "  image: ''\n",
         .errors = {{ERR_REQUIRED, "spec.image", "must not be empty"}}},
        {.spec = SPEC MEM, .errors = {{ERR_REQUIRED, "spec.image", "The container image"}}},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

static void a_missing_memory_limit_is_warned_of(void **state)
{
    static const struct finding none = {ERR_INVALID, "spec.resources.limits",
                                        "sets no memory limit: the container may take all of its "
                                        "node's memory"};
    struct row rows[] = {
        {.spec = SPEC IMAGE, .warnings = {none}},
        {.spec = SPEC IMAGE "  resources: {}\n", .warnings = {none}},
        {.spec = SPEC IMAGE "  resources: {requests: {memory: 1Gi}}\n", .warnings = {none}},
        {.spec = SPEC IMAGE "  resources: {limits: {cpu: 1, memory: null}}\n", .warnings = {none}},
        {.spec = SPEC IMAGE "  resources: {limits: {memory: 1Gi}}\n"},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

/* ---- Parts of pods ---- */

static void resources_are_what_a_pod_may_have(void **state)
{
#define RES(amounts) SPEC IMAGE "  resources: " amounts "\n"
    static const struct row rows[] = {
        {.spec = RES("{requests: {cpu: '1', memory: 2Gi}, limits: {cpu: '4', memory: 8Gi}}")},
        {.spec = RES("{requests: {cpu: 500m}, limits: {cpu: 0.5, memory: 1Gi}}"),
         .errors = {{ERR_INVALID, "spec.resources.limits.cpu", "0.5: must be in quotes"}}},
        {.spec = RES("{requests: {cpu: 500m}, limits: {cpu: '0.5', memory: 1Gi}}")},
        {.spec = RES("{limits: {memory: 1Gi, ephemeral-storage: 1Gi, hugepages-2Mi: 4Mi, "
                     "example.com/x: 1}, claims: [{name: c}]}")},
        {.spec =
             RES("{requests: {hugepages-2Mi: 4Mi}, limits: {memory: 1Gi, hugepages-2Mi: 4Mi}}")},
        {.spec = RES("{requests: {memory: 2Gi}, limits: {memory: 1Gi}}"),
         .errors = {{ERR_INVALID, "spec.resources.requests.memory",
                     "2Gi is more than the limit 1Gi; lower the request or raise the limit"}}},
        {.spec = RES("{limits: {memory: 1Gi, gpu: 1}}"),
         .errors = {{ERR_INVALID, "spec.resources.limits.gpu",
                     "there is no resource of this name; it must be cpu, memory"}}},
        {.spec = RES("{limits: {memory: 1Gi, example.com/x: 500m}}"),
         .errors = {{ERR_INVALID, "spec.resources.limits[\"example.com/x\"]",
                     "an extended resource must be a whole number"}}},
        {.spec = RES("{requests: {example.com/x: 1}, limits: {memory: 1Gi, example.com/x: 2}}"),
         .errors = {{ERR_INVALID, "spec.resources.requests[\"example.com/x\"]",
                     "must be the same"}}},
        {.spec = RES("{requests: {hugepages-2Mi: 2Mi}, limits: {memory: 1Gi, hugepages-2Mi: 4Mi}}"),
         .errors = {{ERR_INVALID, "spec.resources.requests.hugepages-2Mi", "must be the same"}}},
        {.spec = RES("{requests: {example.com/x: 1, hugepages-1Gi: 1Gi}, limits: {memory: 1Gi}}"),
         .errors = {{ERR_REQUIRED, "spec.resources.requests[\"example.com/x\"]",
                     "need a limit too"},
                    {ERR_REQUIRED, "spec.resources.requests.hugepages-1Gi", "need a limit too"}}},
        {.spec = RES("{limits: {hugepages-2Mi: 4Mi}}"),
         .errors = {{ERR_FORBIDDEN, "spec.resources",
                     "huge pages need a request or limit of cpu or memory beside them"}},
         .warnings = {{ERR_INVALID, "spec.resources.limits", "sets no memory limit"}}},
        {.spec = RES("{limits: {memory: lots}}"),
         .errors = {{ERR_INVALID, "spec.resources.limits.memory", "\"lots\": must be a quantity"}}},
        {.spec = RES("{limits: {memory: -1}}"),
         .errors = {{ERR_INVALID, "spec.resources.limits.memory", "must not be negative"}}},
        {.spec = RES("{limits: {memory: 1Gi}, claims: [{name: a}, {name: a}, {}]}"),
         .errors = {{ERR_REQUIRED, "spec.resources.claims[2].name", ""},
                    {ERR_DUPLICATE, "spec.resources.claims[1].name", "\"a\""}}},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

static void tolerations_are_what_a_pod_may_have(void **state)
{
#define TOL(toleration) "  scheduling: {tolerations: [" toleration "]}\n"
#define TOL_PATH        "spec.scheduling.tolerations[0]"
    static const struct row rows[] = {
        {.more = TOL("{key: a, operator: Equal, value: b, effect: NoSchedule}")},
        {.more = TOL("{key: a.b/c, operator: Exists}")},
        {.more = TOL("{operator: Exists}")},
        {.more = TOL("{key: a, value: b}")},
        {.more = TOL("{key: a, operator: Exists, effect: NoExecute, tolerationSeconds: 60}")},
        {.more = TOL("{}"),
         .errors = {{ERR_INVALID, TOL_PATH ".operator", "must be Exists when the key is empty"}}},
        {.more = TOL("{key: '', operator: Equal}"),
         .errors = {{ERR_INVALID, TOL_PATH ".operator", "must be Exists when the key is empty"}}},
        {.more = TOL("{key: a b, operator: Exists}"),
         .errors = {{ERR_INVALID, TOL_PATH ".key", "must be the key of a taint"}}},
        {.more = TOL("{key: a, operator: Exists, value: b}"),
         .errors = {{ERR_INVALID, TOL_PATH ".value", "must be empty when the operator is Exists"}}},
        {.more = TOL("{key: a, value: b c}"),
         .errors = {{ERR_INVALID, TOL_PATH ".value", "\"b c\": must be empty or"}}},
        {.more = TOL("{key: a, operator: Exists, effect: NoSchedule, tolerationSeconds: 60}"),
         .errors = {{ERR_INVALID, TOL_PATH ".effect",
                     "must be NoExecute when tolerationSeconds is set"}}},
        {.more = TOL("{key: a, operator: Exists, tolerationSeconds: 60}"),
         .errors = {{ERR_INVALID, TOL_PATH ".effect", "must be NoExecute"}}},
        {.more = TOL("{key: a, operator: exists}"),
         .errors = {{ERR_NOT_SUPPORTED, TOL_PATH ".operator", "did you mean \"Exists\"?"}}},
        {.more = TOL("{key: a, effect: NoSchedul}"),
         .errors = {{ERR_NOT_SUPPORTED, TOL_PATH ".effect", "did you mean \"NoSchedule\"?"}}},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

static void affinity_is_what_a_pod_may_have(void **state)
{
#define NODE(requirement)                                                                       \
    "  scheduling: {affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: " \
    "{nodeSelectorTerms: [" requirement "]}}}}\n"
#define NODE_PATH                                                                           \
    "spec.scheduling.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution." \
    "nodeSelectorTerms"
#define EXPRESSION(e)   NODE("{matchExpressions: [" e "]}")
#define EXPRESSION_PATH NODE_PATH "[0].matchExpressions[0]"
#define FIELD(e)        NODE("{matchFields: [" e "]}")
#define FIELD_PATH      NODE_PATH "[0].matchFields[0]"
#define PREFERRED(t)                                                                             \
    "  scheduling: {affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: " \
    "[" t "]}}}\n"
#define PREFERRED_PATH \
    "spec.scheduling.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]"
    static const struct row rows[] = {
        {.more = EXPRESSION("{key: hardware-type, operator: In, values: [gpu, tee]}")},
        {.more = EXPRESSION("{key: a, operator: Exists}, {key: b, operator: Gt, values: ['5']}")},
        {.more = FIELD("{key: metadata.name, operator: In, values: [node-1]}")},
        {.more = NODE("{}")},
        {.more = PREFERRED("{weight: 100, preference: {matchExpressions: [{key: a, operator: In, "
                           "values: [no label value]}]}}")},
        {.more = NODE(""), .errors = {{ERR_REQUIRED, NODE_PATH, "needs at least 1 entry"}}},
        {.more = EXPRESSION("{key: a, operator: In}"),
         .errors = {{ERR_REQUIRED, EXPRESSION_PATH ".values", "In and NotIn need at least one"}}},
        {.more = EXPRESSION("{key: a, operator: NotIn, values: []}"),
         .errors = {{ERR_REQUIRED, EXPRESSION_PATH ".values", "In and NotIn need at least one"}}},
        {.more = EXPRESSION("{key: a, operator: Exists, values: [x]}"),
         .errors = {{ERR_FORBIDDEN, EXPRESSION_PATH ".values", "take no values"}}},
        {.more = EXPRESSION("{key: a, operator: DoesNotExist, values: [x]}"),
         .errors = {{ERR_FORBIDDEN, EXPRESSION_PATH ".values", "take no values"}}},
        {.more = EXPRESSION("{key: a, operator: Gt, values: ['5', '6']}"),
         .errors = {{ERR_INVALID, EXPRESSION_PATH ".values", "need exactly one value"}}},
        {.more = EXPRESSION("{key: a, operator: Lt, values: [x]}"),
         .errors = {{ERR_INVALID, EXPRESSION_PATH ".values", "a whole number in quotes"}}},
        {.more = EXPRESSION("{key: a, operator: Is, values: [x]}"),
         .errors = {{ERR_NOT_SUPPORTED, EXPRESSION_PATH ".operator", "\"Is\""}}},
        {.more = EXPRESSION("{key: a, operator: In, values: [no label value]}"),
         .errors = {{ERR_INVALID, EXPRESSION_PATH ".values[0]", "must be empty or at most 63"}}},
        {.more = EXPRESSION("{operator: Exists}"),
         .errors = {{ERR_REQUIRED, EXPRESSION_PATH ".key", "The label's key"}}},
        {.more = FIELD("{key: metadata.uid, operator: Exists, values: [a, b]}"),
         .errors = {{ERR_NOT_SUPPORTED, FIELD_PATH ".key", "supported values: \"metadata.name\""},
                    {ERR_NOT_SUPPORTED, FIELD_PATH ".operator", "\"In\", \"NotIn\""},
                    {ERR_TOO_MANY, FIELD_PATH ".values", "at most 1 entry"}}},
        {.more = FIELD("{key: metadata.name, operator: In}"),
         .errors = {{ERR_REQUIRED, FIELD_PATH ".values", "The name of a node"}}},
        {.more = PREFERRED("{weight: 101, preference: {}}"),
         .errors = {{ERR_INVALID, PREFERRED_PATH ".weight", "101: must be from 1 to 100"}}},
        {.more = PREFERRED("{preference: {}}"),
         .errors = {{ERR_REQUIRED, PREFERRED_PATH ".weight", "1 to 100"}}},
        {.more = "  scheduling: {affinity: {podAntiAffinity: "
                 "{requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: "
                 "kubernetes.io/hostname, labelSelector: {matchLabels: {app: x}, "
                 "matchExpressions: [{key: a, operator: In, values: [b]}]}}]}}}\n"},
        {.more = "  scheduling: {affinity: {podAffinity: "
                 "{requiredDuringSchedulingIgnoredDuringExecution: [{labelSelector: "
                 "{matchExpressions: [{key: a, operator: Gt, values: [b c]}]}}]}}}\n",
         .errors = {{ERR_REQUIRED,
                     "spec.scheduling.affinity.podAffinity."
                     "requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey",
                     "The node label"},
                    {ERR_NOT_SUPPORTED,
                     "spec.scheduling.affinity.podAffinity."
                     "requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector."
                     "matchExpressions[0].operator",
                     "\"DoesNotExist\""},
                    {ERR_INVALID,
                     "spec.scheduling.affinity.podAffinity."
                     "requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector."
                     "matchExpressions[0].values[0]",
                     "\"b c\""}}},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

/* ---- All at once ---- */

static void all_errors_are_found_at_once(void **state)
{
    static const struct row rows[] = {
        /* Errors of single fields hide none of those of several fields. */
        {.spec = SPEC "  image: registry.example/P:v2\n"
                      "  config: {grpcPort: 90900}\n" MEM HW
                      "{gpuType: nvidia-a1000, gpuShare: 50, gpuCount: 2, teeRequired: true}\n",
         .errors = {{ERR_INVALID, "spec.image", "must be an image reference"},
                    {ERR_INVALID, "spec.config.grpcPort", "90900: must be from 1 to 65535"},
                    {ERR_NOT_SUPPORTED, HW_PATH ".gpuType", "nvidia-a1000"},
                    {ERR_FORBIDDEN, HW_PATH ".gpuShare", "a share is of one GPU"},
                    {ERR_REQUIRED, HW_PATH ".teeType", "say which one"}}},
        {.spec = SPEC IMAGE "  config: 5\n  scheduling: []\n" MEM HW
                            "{teeType: [], teeRequired: true, gpuCount: 'x', gpuType: tpu}\n",
         .errors = {{ERR_TYPE, "spec.config", "must be an object"},
                    {ERR_TYPE, "spec.scheduling", "must be an object"},
                    {ERR_TYPE, HW_PATH ".gpuCount", "must be a whole number"},
                    {ERR_TYPE, HW_PATH ".teeType", "must be a string"},
                    {ERR_NOT_SUPPORTED, HW_PATH ".gpuType", "\"tpu\""}}},
        {.spec = "spec: 5\n",
         .errors = {{ERR_TYPE, "spec", "must be an object"}},
         .warnings = {{ERR_INVALID, "spec.resources.limits", "sets no memory limit"}}},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

static void errors_have_the_line_of_what_they_are_about(void **state)
{
    struct fixture *f = *state;
    judge_text(f, NULL,
               HEAD "metadata: {name: p}\n"     /* 3 */
                    "spec:\n"                   /* 4 */
                    "  avsAddress: x\n"         /* 5 */
                    "  image: A\n"              /* 6 */
                    "  hardwareRequirements:\n" /* 7 */
                    "    teeRequired: true\n"   /* 8 */
                    "    gpuType: tpu\n"        /* 9 */
                    "  nonsense: 1\n",          /* 10 */
               true);
    static const struct {
        const char *field;
        uint32_t line;
    } expected[] = {
        {"spec.image", 6},
        {"spec.nonsense", 10},
        {HW_PATH ".gpuType", 9},
        {HW_PATH ".teeType", 8},
    };
    const struct err_item *e = f->findings.errors.first;
    for (size_t i = 0; i < 4; i++) {
        assert_non_null(e);
        assert_str_is(e->field, expected[i].field);
        assert_int_equal(e->line, expected[i].line);
        e = e->next;
    }
    assert_null(e);
}

/* ---- Defaults ---- */

static void defaults_are_added(void **state)
{
    struct fixture *f = *state;
#define TAIL                                                                 \
    "\"imagePullPolicy\":\"IfNotPresent\",\"upgradeStrategy\":\"Recreate\"," \
    "\"nodeFailurePolicy\":\"Reschedule\"}"
    static const struct {
        const char *spec, *json;
    } rows[] = {
        {"spec: {}\n", "{\"imagePullPolicy\":\"IfNotPresent\",\"config\":{\"grpcPort\":9090},"
                       "\"upgradeStrategy\":\"Recreate\",\"nodeFailurePolicy\":\"Reschedule\"}"},
        {"spec: {config: {grpcPort: 1}}\n", "{\"config\":{\"grpcPort\":1}," TAIL},
        {"spec: {config: {}, hardwareRequirements: {}}\n",
         "{\"config\":{\"grpcPort\":9090},\"hardwareRequirements\":{}," TAIL},
        {"spec: {config: {grpcPort: 2}, hardwareRequirements: {gpuType: x}}\n",
         "{\"config\":{\"grpcPort\":2},\"hardwareRequirements\":{\"gpuType\":\"x\","
         "\"gpuCount\":1}," TAIL},
        {"spec: {config: {grpcPort: 2}, hardwareRequirements: {gpuMemory: 4Gi, gpuCount: null}}\n",
         "{\"config\":{\"grpcPort\":2},\"hardwareRequirements\":{\"gpuMemory\":\"4Gi\","
         "\"gpuCount\":1}," TAIL},
        {"spec: {config: {grpcPort: 2}, hardwareRequirements: {cudaVersion: '12'}}\n",
         "{\"config\":{\"grpcPort\":2},\"hardwareRequirements\":{\"cudaVersion\":\"12\","
         "\"gpuCount\":1}," TAIL},
        {"spec: {config: {grpcPort: 2}, hardwareRequirements: {gpuType: x, gpuCount: 0}}\n",
         "{\"config\":{\"grpcPort\":2},\"hardwareRequirements\":{\"gpuType\":\"x\","
         "\"gpuCount\":0}," TAIL},
        {"spec: {config: {grpcPort: 2}, hardwareRequirements: {gpuType: x, gpuShare: 5}}\n",
         "{\"config\":{\"grpcPort\":2},\"hardwareRequirements\":{\"gpuType\":\"x\","
         "\"gpuShare\":5}," TAIL},
        {"spec: {config: {grpcPort: 2}, hardwareRequirements: {gpuType: null}}\n",
         "{\"config\":{\"grpcPort\":2},\"hardwareRequirements\":{\"gpuType\":null}," TAIL},
        {"spec: {config: x, hardwareRequirements: [gpuType]}\n",
         "{\"config\":\"x\",\"hardwareRequirements\":[\"gpuType\"]," TAIL},
        {"spec: 5\n", "5"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str text = arena_printf(&f->arena, "%s%s", NAMED, rows[i].spec);
        struct policy_object subject = subject_of(f, NULL, text.ptr);
        for (int twice = 0; twice < 2; twice++) {
            assert_true(policy_default(&subject));
            assert_str_is(print(&f->arena, json_get(subject.object, STR("spec"))), rows[i].json);
        }
    }
}

/* ---- Metadata that the webhook writes ---- */

struct meta_row {
    const char *before; /* metadata of the stored object; NULL for CREATE */
    const char *object; /* metadata as sent */
    const char *json;   /* metadata as it is to be stored */
};

static void check_metadata(struct fixture *f, const struct meta_row *rows, size_t count,
                           bool offline)
{
    for (size_t i = 0; i < count; i++) {
        const char *rest = "\n" SPEC IMAGE MEM;
        struct str before = arena_printf(&f->arena, "%smetadata: %s%s", HEAD,
                                         rows[i].before ? rows[i].before : "", rest);
        struct str object = arena_printf(&f->arena, "%smetadata: %s%s", HEAD, rows[i].object, rest);
        struct policy_object subject =
            subject_of(f, rows[i].before ? before.ptr : NULL, object.ptr);
        subject.is_offline = offline;
        assert_true(policy_default(&subject));
        assert_str_is(print(&f->arena, json_get(subject.object, STR("metadata"))), rows[i].json);
        policy_findings_init(&f->findings, &f->arena);
        policy_validate(&subject, &f->findings);
        static const struct finding nothing[] = {{0}};
        findings_assert(&f->findings.errors, nothing, rows[i].object);
    }
}

#define CHECK_METADATA(f, rows, offline) \
    check_metadata((f), (rows), sizeof(rows) / sizeof((rows)[0]), (offline))

#define WRITTEN   "\"callboard.dev/initiated-by\":\"alice\",\"callboard.dev/correlation-id\":\"0a1b\""
#define FINALIZER "\"hourglass.eigenlayer.io/performer-finalizer\""

static void who_creates_is_written_down_and_cannot_be_forged(void **state)
{
    static const struct meta_row rows[] = {
        {NULL, "{name: p}",
         "{\"name\":\"p\",\"annotations\":{" WRITTEN "},\"finalizers\":[" FINALIZER "]}"},
        {NULL, "{name: p, annotations: null, finalizers: null}",
         "{\"name\":\"p\",\"annotations\":{" WRITTEN "},\"finalizers\":[" FINALIZER "]}"},
        {NULL, "{name: p, annotations: {a: b}, finalizers: [x.y/z]}",
         "{\"name\":\"p\",\"annotations\":{\"a\":\"b\"," WRITTEN
         "},\"finalizers\":[\"x.y/z\"," FINALIZER "]}"},
        {NULL,
         "{name: p, annotations: {callboard.dev/initiated-by: root, callboard.dev/correlation-id: "
         "x}, finalizers: [hourglass.eigenlayer.io/performer-finalizer]}",
         "{\"name\":\"p\",\"annotations\":{" WRITTEN "},\"finalizers\":[" FINALIZER "]}"},
    };
    CHECK_METADATA((struct fixture *)*state, rows, false);
}

static void without_a_user_nothing_is_written(void **state)
{
    struct fixture *f = *state;
    struct policy_object subject = subject_of(
        f, NULL, HEAD "metadata: {name: p, annotations: {callboard.dev/initiated-by: root}}\n");
    subject.user = subject.request_uid = (struct str){NULL, 0};
    assert_true(policy_default(&subject));
    assert_str_is(print(&f->arena, json_get(subject.object, STR("metadata"))),
                  "{\"name\":\"p\",\"annotations\":{},\"finalizers\":[" FINALIZER "]}");
}

#define STORED \
    "{name: p, annotations: {callboard.dev/initiated-by: bob, callboard.dev/correlation-id: old}}"
#define STORED_JSON \
    "\"callboard.dev/initiated-by\":\"bob\",\"callboard.dev/correlation-id\":\"old\""

static void an_update_keeps_who_created_it(void **state)
{
    static const struct meta_row rows[] = {
        {STORED, "{name: p}", "{\"name\":\"p\",\"annotations\":{" STORED_JSON "}}"},
        {STORED, "{name: p, annotations: null}",
         "{\"name\":\"p\",\"annotations\":{" STORED_JSON "}}"},
        {STORED,
         "{name: p, annotations: {callboard.dev/initiated-by: mallory, a: b, "
         "callboard.dev/correlation-id: new}}",
         "{\"name\":\"p\",\"annotations\":{\"callboard.dev/initiated-by\":\"bob\",\"a\":\"b\","
         "\"callboard.dev/correlation-id\":\"old\"}}"},
        /* What was never written is not written later, by anybody. */
        {"{name: p}", "{name: p, annotations: {callboard.dev/initiated-by: mallory, a: b}}",
         "{\"name\":\"p\",\"annotations\":{\"a\":\"b\"}}"},
        {"{name: p}", "{name: p}", "{\"name\":\"p\"}"},
        {"{name: p, annotations: null}", "{name: p, annotations: null}",
         "{\"name\":\"p\",\"annotations\":null}"},
    };
    CHECK_METADATA((struct fixture *)*state, rows, false);
}

static void a_finalizer_that_was_removed_is_not_added_again(void **state)
{
    static const struct meta_row rows[] = {
        {"{name: p, finalizers: [hourglass.eigenlayer.io/performer-finalizer]}",
         "{name: p, finalizers: []}", "{\"name\":\"p\",\"finalizers\":[]}"},
        {"{name: p, finalizers: [hourglass.eigenlayer.io/performer-finalizer]}", "{name: p}",
         "{\"name\":\"p\"}"},
    };
    CHECK_METADATA((struct fixture *)*state, rows, false);
}

static void offline_nothing_is_written_in_anybodys_name(void **state)
{
    static const struct meta_row rows[] = {
        {NULL, "{name: p}", "{\"name\":\"p\"}"},
        {NULL, "{name: p, annotations: {callboard.dev/initiated-by: x}}",
         "{\"name\":\"p\",\"annotations\":{\"callboard.dev/initiated-by\":\"x\"}}"},
    };
    CHECK_METADATA((struct fixture *)*state, rows, true);
}

static void metadata_of_wrong_types_is_left_for_validation(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *metadata, *json;
        struct finding errors[3];
    } rows[] = {
        {"{name: p, annotations: x}",
         "{\"name\":\"p\",\"annotations\":\"x\"}",
         {{ERR_TYPE, "metadata.annotations", "must be an object"}}},
        {"{name: p, annotations: [], finalizers: []}",
         "{\"name\":\"p\",\"annotations\":[],\"finalizers\":[]}",
         {{ERR_TYPE, "metadata.annotations", "must be an object"}}},
        {"{name: p, finalizers: x}",
         "{\"name\":\"p\",\"finalizers\":\"x\",\"annotations\":{" WRITTEN "}}",
         {{ERR_TYPE, "metadata.finalizers", "must be a list"}}},
        {"{name: p, finalizers: {a: b}}",
         "{\"name\":\"p\",\"finalizers\":{\"a\":\"b\"},\"annotations\":{" WRITTEN "}}",
         {{ERR_TYPE, "metadata.finalizers", "must be a list"}}},
        {"[]",
         "[]",
         {{ERR_REQUIRED, "metadata.name", "needs a name or a generateName"},
          {ERR_TYPE, "metadata", "must be an object"}}},
        {"null",
         "null",
         {{ERR_REQUIRED, "metadata.name", "needs a name or a generateName"},
          {ERR_REQUIRED, "metadata", "Name, namespace"}}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str text =
            arena_printf(&f->arena, "%smetadata: %s\n%s", HEAD, rows[i].metadata, SPEC IMAGE MEM);
        struct policy_object subject = subject_of(f, NULL, text.ptr);
        judge(f, &subject);
        assert_str_is(print(&f->arena, json_get(subject.object, STR("metadata"))), rows[i].json);
        findings_assert(&f->findings.errors, rows[i].errors, rows[i].metadata);
    }
}

/* Only /validate sees what a webhook behind ours has done. */
static void a_forged_annotation_is_refused_in_the_final_object(void **state)
{
    struct fixture *f = *state;
    static const struct finding forged_user[] = {
        {ERR_FORBIDDEN, "metadata.annotations[\"callboard.dev/initiated-by\"]",
         "the annotation is written by Callboard only"},
        {0}};
    static const struct finding forged_both[] = {
        {ERR_FORBIDDEN, "metadata.annotations[\"callboard.dev/initiated-by\"]", "written by"},
        {ERR_FORBIDDEN, "metadata.annotations[\"callboard.dev/correlation-id\"]", "written by"},
        {0}};
    static const struct finding none[] = {{0}};
    static const struct {
        const char *before, *object;
        const struct finding *errors;
    } rows[] = {
        {NULL, "{name: p, annotations: {callboard.dev/initiated-by: alice}}", none},
        {NULL, "{name: p, annotations: {callboard.dev/initiated-by: mallory}}", forged_user},
        {NULL, "{name: p, annotations: {callboard.dev/initiated-by: ''}}", forged_user},
        /* The webhook was not there at the creation, or each call has an id of its own. */
        {NULL, "{name: p}", none},
        {NULL, "{name: p, annotations: {callboard.dev/correlation-id: any}}", none},
        {STORED, STORED, none},
        {STORED, "{name: p}", forged_both},
        {STORED,
         "{name: p, annotations: {callboard.dev/initiated-by: alice, "
         "callboard.dev/correlation-id: 0a1b}}",
         forged_both},
        {"{name: p}",
         "{name: p, annotations: {callboard.dev/initiated-by: alice, "
         "callboard.dev/correlation-id: 0a1b}}",
         forged_both},
        {"{name: p}", "{name: p}", none},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *rest = SPEC IMAGE MEM;
        struct str before = arena_printf(&f->arena, "%smetadata: %s\n%s", HEAD,
                                         rows[i].before ? rows[i].before : "", rest);
        struct str object =
            arena_printf(&f->arena, "%smetadata: %s\n%s", HEAD, rows[i].object, rest);
        struct policy_object subject =
            subject_of(f, rows[i].before ? before.ptr : NULL, object.ptr);
        policy_findings_init(&f->findings, &f->arena);
        policy_validate(&subject, &f->findings);
        findings_assert(&f->findings.errors, rows[i].errors, rows[i].object);
    }
}

/* ---- Names ---- */

#define N10 "abcdefghij"
#define N50 N10 N10 N10 N10 N10

static void names_must_fit_those_of_the_children(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *metadata;
        struct finding errors[2];
    } rows[] = {
        {"{name: a}", {{0}}},
        {"{name: " N50 "abc}", {{0}}},
        {"{name: " N50 "abcd}",
         {{ERR_TOO_LONG, "metadata.name", "Too long: it has 54 bytes and may have at most 53"}}},
        {"{name: a.b}", {{ERR_INVALID, "metadata.name", "\"a.b\": must be at most 63 lower-case"}}},
        {"{name: A}", {{ERR_INVALID, "metadata.name", "\"A\": must be"}}},
        {"{name: a-}", {{ERR_INVALID, "metadata.name", "\"a-\": must be"}}},
        {"{name: ''}", {{ERR_REQUIRED, "metadata.name", "needs a name or a generateName"}}},
        {"{}", {{ERR_REQUIRED, "metadata.name", "needs a name or a generateName"}}},
        {"{generateName: a-}", {{0}}},
        {"{generateName: a}", {{0}}},
        {"{name: a, generateName: A_}", {{0}}}, /* not used */
        {"{generateName: abcdefg-" N10 N10 N10 N10 "}", {{0}}},
        {"{generateName: abcdefg-" N10 N10 N10 N10 "-}",
         {{ERR_TOO_LONG, "metadata.generateName", "has 49 bytes and may have at most 48"}}},
        {"{generateName: a.b-}",
         {{ERR_INVALID, "metadata.generateName", "\"a.b-\": the name made from it must be"}}},
        {"{generateName: -a}", {{ERR_INVALID, "metadata.generateName", "\"-a\""}}},
        {"{generateName: A}", {{ERR_INVALID, "metadata.generateName", "\"A\""}}},
        {"{name: 5}", {{ERR_REQUIRED, "metadata.name", "needs a name or a generateName"}}},
        {"{name: p, namespace: A}", {{ERR_INVALID, "metadata.namespace", "\"A\": must be"}}},
        {"{name: p, labels: {a: b c}}", {{ERR_INVALID, "metadata.labels.a", "\"b c\""}}},
        {"{name: p, nam: x}", {{ERR_INVALID, "metadata.nam", "did you mean \"name\"?"}}},
        {"{name: p, creationTimestamp: null}", {{0}}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str text =
            arena_printf(&f->arena, "%smetadata: %s\n%s", HEAD, rows[i].metadata, SPEC IMAGE MEM);
        judge_text(f, NULL, text.ptr, true);
        if (strstr(rows[i].metadata, "name: 5")) {
            /* Beside it the type is reported. */
            assert_int_equal(f->findings.errors.count, 2);
            continue;
        }
        findings_assert(&f->findings.errors, rows[i].errors, rows[i].metadata);
    }
}

/* ---- Updates ---- */

#define BAD_SPEC                                                                                 \
    "spec: {avsAddress: '', image: Bad, config: {grpcPort: 0}, hardwareRequirements: {gpuType: " \
    "x, "                                                                                        \
    "teeRequired: true}}\n"

static void an_update_that_leaves_a_bad_spec_alone_is_allowed_with_warnings(void **state)
{
    struct fixture *f = *state;
    const char *name = "metadata: {name: " N50 "-too-long}\n";
    struct str before = arena_printf(&f->arena, "%s%s%s", HEAD, name, BAD_SPEC);
    struct str after = arena_printf(&f->arena, "%smetadata: {name: %s, labels: {a: b}}\n%s", HEAD,
                                    N50 "-too-long", BAD_SPEC);
    struct policy_object subject = subject_of(f, before.ptr, after.ptr);
    judge(f, &subject);
    static const struct finding none[] = {{0}};
    static const struct finding warnings[] = {
        {ERR_TOO_LONG, "metadata.name", "may have at most 53"},
        {ERR_REQUIRED, "spec.avsAddress", "must not be empty"},
        {ERR_INVALID, "spec.image", "must be an image reference"},
        {ERR_INVALID, "spec.config.grpcPort", "must be from 1 to 65535"},
        {ERR_NOT_SUPPORTED, HW_PATH ".gpuType", "\"x\""},
        {ERR_REQUIRED, HW_PATH ".teeType", "say which one"},
        {ERR_INVALID, "spec.resources.limits", "sets no memory limit"},
        {0}};
    findings_assert(&f->findings.errors, none, "errors");
    findings_assert(&f->findings.warnings, warnings, "warnings");
    /* Nothing is added to it either. */
    assert_true(
        json_equal(json_get(subject.object, STR("spec")), json_get(subject.before, STR("spec"))));
}

static void an_update_of_the_spec_must_be_right_as_a_whole(void **state)
{
    struct fixture *f = *state;
    judge_text(f, NAMED BAD_SPEC,
               NAMED "spec: {avsAddress: '', image: a:v1, config: {grpcPort: 0}, resources: "
                     "{limits: {memory: 1Gi}}}\n",
               false);
    static const struct finding errors[] = {
        {ERR_REQUIRED, "spec.avsAddress", "must not be empty"},
        {ERR_INVALID, "spec.config.grpcPort", "must be from 1 to 65535"},
        {0}};
    findings_assert(&f->findings.errors, errors, "changed");
}

static void the_order_of_members_and_the_form_of_numbers_are_no_change(void **state)
{
    struct fixture *f = *state;
    judge_text(f, NAMED "spec: {image: Bad, avsAddress: x, config: {grpcPort: 70000}}\n",
               NAMED "spec: {config: {grpcPort: 7e4}, avsAddress: x, image: Bad}\n", false);
    assert_true(err_list_is_empty(&f->findings.errors));
    assert_true(f->findings.warnings.count > 0);
}

static void the_address_may_not_change(void **state)
{
    struct fixture *f = *state;
    static const struct finding errors[] = {
        {ERR_FORBIDDEN, "spec.avsAddress", "the field is immutable; delete the object"}, {0}};
    judge_text(f, GOOD, NAMED "spec:\n  avsAddress: other\n" IMAGE MEM, false);
    findings_assert(&f->findings.errors, errors, "address");
    judge_text(f, GOOD, NAMED SPEC MEM "  image: a:v2\n  version: v2\n", false);
    findings_assert(&f->findings.errors, errors + 1, "image");
}

static void a_spec_that_is_missing_on_both_sides_is_unchanged(void **state)
{
    struct fixture *f = *state;
    judge_text(f, NAMED, NAMED, false);
    assert_true(err_list_is_empty(&f->findings.errors));
}

static void unknown_fields_are_refused_only_offline(void **state)
{
    struct fixture *f = *state;
    static const struct finding errors[] = {{ERR_INVALID, "spec.iamge", "did you mean \"image\"?"},
                                            {0}};
    judge_text(f, NULL, GOOD "  iamge: x\n", true);
    findings_assert(&f->findings.errors, errors, "offline");
    judge_text(f, NULL, GOOD "  iamge: x\n", false);
    findings_assert(&f->findings.errors, errors + 1, "in a cluster");
}

static void a_kind_without_rules_has_only_its_table(void **state)
{
    struct fixture *f = *state;
    struct kind kind = performer_kind;
    kind.finalizer = NULL;
    struct policy_object subject = subject_of(f, NULL, GOOD HW "{gpuType: tpu}\n");
    subject.kind = &kind;
    judge(f, &subject);
    assert_true(err_list_is_empty(&f->findings.errors));
    assert_null(json_path(subject.object, "spec", "hardwareRequirements", "gpuCount", NULL));
    assert_null(json_path(subject.object, "metadata", "finalizers", NULL));
}

/* ---- report() ---- */

static void a_finding_is_addressed_by_a_dotted_path_and_a_key(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "{\n\"a\": {\n\"b\": {\n\"c.d/e\": 1}}}";
    struct err err;
    const struct json *object = json_read(&f->arena, STR(text), &json_limits_default, &err);
    static const struct {
        const char *path, *key, *field;
        uint32_t line;
    } rows[] = {
        {"a", NULL, "a", 2},
        {"a.b", NULL, "a.b", 3},
        {"a.b", "c.d/e", "a.b[\"c.d/e\"]", 4},
        {"a.b.x", NULL, "a.b.x", 3}, /* the nearest parent's */
        {"a.x.y", "z", "a.x.y.z", 2},
        {"x", NULL, "x", 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err_list list;
        err_list_init(&list, &f->arena, ERR_LIST_MAX);
        for (int twice = 0; twice < 2; twice++)
            report(&list, object, rows[i].path, str_from_cstr(rows[i].key), ERR_INVALID, "no %d",
                   7 + twice);
        assert_int_equal(list.count, 1); /* one finding a field */
        assert_str_is(list.first->field, rows[i].field);
        assert_int_equal(list.first->line, rows[i].line);
        assert_str_is(list.first->message, "no 7");
    }
}

/* ---- Compatibility ---- */

/* The features of what is documented for the Performers of Hourglass, all of them. */
static const char documented[] =
    HEAD "metadata:\n  name: example-performer\n  namespace: avs-project-a\n"
         "spec:\n"
         "  avsAddress: \"0xabc123...\"\n"
         "  image: \"avs/performer:v2.1.0\"\n"
         "  version: \"v2.1.0\"\n"
         "  config:\n"
         "    grpcPort: 9090\n"
         "    environment:\n      LOG_LEVEL: \"debug\"\n      CHAIN_ID: \"1\"\n"
         "    args:\n    - \"--enable-metrics\"\n    - \"--metrics-port=8080\"\n"
         "  resources:\n"
         "    requests:\n      cpu: \"1\"\n      memory: \"2Gi\"\n"
         "    limits:\n      cpu: \"4\"\n      memory: \"8Gi\"\n"
         "  scheduling:\n"
         "    nodeSelector:\n      node.kubernetes.io/instance-type: \"m5.2xlarge\"\n"
         "    tolerations:\n"
         "    - key: \"dedicated\"\n      operator: \"Equal\"\n      value: \"avs-workloads\"\n"
         "      effect: \"NoSchedule\"\n"
         "    affinity:\n"
         "      nodeAffinity:\n"
         "        requiredDuringSchedulingIgnoredDuringExecution:\n"
         "          nodeSelectorTerms:\n"
         "          - matchExpressions:\n"
         "            - key: \"hardware-type\"\n              operator: In\n"
         "              values: [\"gpu\", \"tee\"]\n"
         "    runtimeClass: \"gvisor\"\n"
         "    priorityClassName: \"high-priority\"\n"
         "  hardwareRequirements:\n"
         "    gpuType: \"nvidia-a100\"\n    gpuCount: 1\n"
         "    teeRequired: true\n    teeType: \"sgx\"\n"
         "    customLabels:\n      sgx.intel.com/epc: \"128Mi\"\n"
         "  imagePullSecrets:\n  - name: registry-secret\n";
static const char smallest[] = HEAD "metadata:\n  name: test-performer\n"
                                    "spec:\n"
                                    "  avsAddress: \"0x123...\"\n"
                                    "  image: \"my-avs:latest\"\n"
                                    "  imagePullPolicy: Never\n"
                                    "  config:\n    grpcPort: 8080\n";

static bool is_part_of(const struct json *part, const struct json *whole)
{
    if (!json_is(part, JSON_OBJECT) || !json_is(whole, JSON_OBJECT))
        return json_equal(part, whole);
    JSON_EACH (member, part) {
        if (!is_part_of(member, json_get(whole, json_key(member))))
            return false;
    }
    return true;
}

/* All of it is right, and nothing of it is changed. */
static void check_applies_unchanged(struct fixture *f, struct str text, const char *name)
{
    static const struct finding none[] = {{0}};
    const struct json *before = read_yaml(&f->arena, text);
    struct policy_object subject = {
        .kind = &performer_kind,
        .operation = POLICY_CREATE,
        .object = read_yaml(&f->arena, text),
        .is_offline = true, /* unknown fields would be found */
        .catalog = f->catalog,
        .arena = &f->arena,
    };
    judge(f, &subject);
    findings_assert(&f->findings.errors, none, name);
    if (!is_part_of(before, subject.object))
        fail_msg("%s: something of it was lost", name);
}

static void what_hourglass_documents_applies_unchanged(void **state)
{
    struct fixture *f = *state;
    check_applies_unchanged(f, STR(documented), "documented");
    check_applies_unchanged(f, STR(smallest), "smallest");
}

static struct str read_path(struct arena *arena, const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = arena_alloc(arena, 1024 * 1024);
    if (!file || !text)
        fail_msg("cannot read %s", path);
    size_t len = fread(text, 1, 1024 * 1024, file);
    fclose(file);
    return (struct str){text, len};
}

/* COMPAT=FOLDER: the Performers in its YAML files, too. */
static void the_manifests_of_a_folder_apply_unchanged(void **state)
{
    struct fixture *f = *state;
    const char *folder = getenv("COMPAT");
    if (!folder)
        skip();
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort), found = 0;
    for (int i = 0; i < count; i++) {
        struct str name = str_from_cstr(entries[i]->d_name);
        struct str path = arena_printf(&f->arena, "%s/%s", folder, entries[i]->d_name);
        if (str_ends_with(name, STR(".yaml"))) {
            struct str text = read_path(&f->arena, path.ptr);
            const struct json *object = read_yaml(&f->arena, text);
            if (str_eq(json_str(json_get(object, STR("kind"))), STR("Performer"))) {
                check_applies_unchanged(f, text, path.ptr);
                found++;
            }
        }
        free(entries[i]);
    }
    free(entries);
    assert_true(found > 0);
}

/* ---- Memory ---- */

struct texts {
    const char *before, *object;
    size_t errors, warnings;
};

static bool work(const struct mem *mem, void *ctx)
{
    const struct texts *texts = ctx;
    struct err err;
    struct arena source, arena;
    struct policy_findings findings;
    arena_init(&source, mem_system(), 65536, 1024 * 1024);
    arena_init(&arena, mem, 16, 1024 * 1024); /* nearly a block for each */
    struct catalog *catalog = catalog_builtin(mem_system(), &err);
    struct policy_object subject = {
        .kind = &performer_kind,
        .operation = texts->before ? POLICY_UPDATE : POLICY_CREATE,
        .object = read_yaml(&source, str_from_cstr(texts->object)),
        .before = texts->before ? read_yaml(&source, str_from_cstr(texts->before)) : NULL,
        .user = STR("alice"),
        .request_uid = STR("0a1b"),
        .catalog = catalog,
        .arena = &arena,
    };
    policy_findings_init(&findings, &arena);
    bool good = policy_default(&subject);
    if (good)
        policy_validate(&subject, &findings);
    good = good && !findings.errors.out_of_memory && !findings.warnings.out_of_memory;
    if (good) {
        assert_int_equal(findings.errors.count, texts->errors);
        assert_int_equal(findings.warnings.count, texts->warnings);
    }
    catalog_unref(catalog);
    arena_done(&arena);
    arena_done(&source);
    return good;
}

static void every_failing_allocation_is_noticed(void **state)
{
    (void)state;
    static const struct texts rows[] = {
        {NULL, documented, 0, 0},
        {NULL, smallest, 0, 2},
        {NULL,
         NAMED "spec: {avsAddress: '', image: Bad, config: {grpcPort: 0, environment: {'=': x, B: "
               "x}, environmentFrom: [{name: B}]}, scheduling: {runtimeClass: x, nodeSelector: "
               "{a: b}}, hardwareRequirements: {gpuType: x, gpuShare: 2, gpuCount: 2, teeRequired: "
               "true, teeType: tdx, customLabels: {a: c}}}\n",
         10, 1},
        {NAMED BAD_SPEC, HEAD "metadata: {generateName: a}\n" BAD_SPEC, 0, 6},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct texts texts = rows[i];
        test_every_allocation_failing(work, &texts);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_type_of_gpu_must_be_in_the_catalog),
        TEST(a_long_catalog_is_listed_in_part),
        TEST(amounts_of_gpus_must_make_sense),
        TEST(gpus_by_hand_must_agree_with_the_requirements),
        TEST(a_tee_must_be_named_and_exist),
        TEST(a_tee_must_be_in_the_catalog),
        TEST(a_runtime_class_must_fit_the_tee),
        TEST(labels_that_no_node_can_have_at_once_are_refused),
        TEST(an_environment_variable_is_set_once),
        TEST(an_image_that_may_change_is_warned_of),
        TEST(a_missing_memory_limit_is_warned_of),
        TEST(resources_are_what_a_pod_may_have),
        TEST(tolerations_are_what_a_pod_may_have),
        TEST(affinity_is_what_a_pod_may_have),
        TEST(all_errors_are_found_at_once),
        TEST(errors_have_the_line_of_what_they_are_about),
        TEST(defaults_are_added),
        TEST(who_creates_is_written_down_and_cannot_be_forged),
        TEST(without_a_user_nothing_is_written),
        TEST(an_update_keeps_who_created_it),
        TEST(a_finalizer_that_was_removed_is_not_added_again),
        TEST(offline_nothing_is_written_in_anybodys_name),
        TEST(metadata_of_wrong_types_is_left_for_validation),
        TEST(a_forged_annotation_is_refused_in_the_final_object),
        TEST(names_must_fit_those_of_the_children),
        TEST(an_update_that_leaves_a_bad_spec_alone_is_allowed_with_warnings),
        TEST(an_update_of_the_spec_must_be_right_as_a_whole),
        TEST(the_order_of_members_and_the_form_of_numbers_are_no_change),
        TEST(the_address_may_not_change),
        TEST(a_spec_that_is_missing_on_both_sides_is_unchanged),
        TEST(unknown_fields_are_refused_only_offline),
        TEST(a_kind_without_rules_has_only_its_table),
        TEST(a_finding_is_addressed_by_a_dotted_path_and_a_key),
        TEST(what_hourglass_documents_applies_unchanged),
        TEST(the_manifests_of_a_folder_apply_unchanged),
        TEST(every_failing_allocation_is_noticed),
    };
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
