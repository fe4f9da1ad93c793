/* What the extender takes from nodes and pods, and which node may have which pod. */
#include "unit/extender_fixture.h"

#include "extender/filter.h"

enum { NO_LEASE = -1 };

static int set_up(void **state)
{
    static struct extender_fixture fixture;
    extender_fixture_init(&fixture);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    extender_fixture_done(*state);
    return 0;
}

/* ---- What a pod asks for ---- */

static void requests_are_counted_as_the_scheduler_counts_them(void **state)
{
    struct extender_fixture *f = *state;
    static const struct {
        const char *spec;
        int64_t cpu, gpus, milli;
    } cases[] = {
        {"'containers':[{'resources':{'requests':{'cpu':'1500m'}}},"
         "{'resources':{'requests':{'cpu':'0.5','nvidia.com/gpu':2}}}]",
         2000, 2, 0},
        /* Limits stand for requests that are missing. */
        {"'containers':[{'resources':{'limits':{'callboard.dev/gpu-milli':'300'}}}]", 0, 0, 300},
        /* The largest init container, with the sidecars that run beside it. */
        {"'containers':[{'resources':{'requests':{'cpu':'1'}}}],'initContainers':["
         "{'restartPolicy':'Always','resources':{'requests':{'cpu':'1'}}},"
         "{'resources':{'requests':{'cpu':'3','nvidia.com/gpu':'1'}}}]",
         4000, 1, 0},
        {"'containers':[{'resources':{'requests':{'cpu':'5'}}}],'initContainers':["
         "{'restartPolicy':'Always','resources':{'requests':{'cpu':'1'}}},"
         "{'resources':{'requests':{'cpu':'3'}}}]",
         6000, 0, 0},
        /* The pod as a whole, and what its RuntimeClass adds. */
        {"'containers':[{'resources':{'requests':{'cpu':'5'}}}],"
         "'resources':{'requests':{'cpu':'2'}},'overhead':{'cpu':'250m'}",
         2250, 0, 0},
        {"'containers':[{'resources':{'requests':{'cpu':'0.0001','nvidia.com/gpu':'-1'}}}]", 1, 0,
         0},
        {"'containers':null", 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str text = arena_printf(&f->arena, "{'spec':{%s}}", cases[i].spec);
        struct pod pod;
        pod_read(&pod, extender_json(f, text.ptr), f->catalog);
        assert_int_equal(pod.amounts.of[RESOURCE_INDEX_CPU], cases[i].cpu);
        assert_int_equal(pod.amounts.of[RESOURCE_INDEX_GPUS], cases[i].gpus);
        assert_int_equal(pod.amounts.of[RESOURCE_INDEX_MILLI], cases[i].milli);
        assert_int_equal(pod.amounts.of[RESOURCE_INDEX_PODS], 1);
    }
}

static void amounts_beyond_all_bounds_stay_at_the_largest(void **state)
{
    struct extender_fixture *f = *state;
    struct pod pod = extender_pod(f, "'memory':'9E'", "", "'overhead':{'memory':'9E'}");
    assert_int_equal(pod.amounts.of[RESOURCE_INDEX_MEMORY], INT64_MAX);
}

/* ---- Verdicts ---- */

struct verdict_case {
    const char *requests, *annotations, *spec;
    enum verdict verdict;
};

static void check(struct extender_fixture *f, const struct node *node,
                  const struct verdict_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct verdict_case *c = &cases[i];
        struct pod pod = extender_pod(f, c->requests, c->annotations, c->spec);
        enum verdict verdict = filter_judge(&pod, node, NO_LEASE);
        if (verdict != c->verdict)
            fail_msg("{%s} {%s} {%s} on %" PRIstr ": \"%" PRIstr "\", not \"%" PRIstr "\"",
                     c->requests, c->annotations, c->spec, STR_ARG(node->facts->name),
                     STR_ARG(verdict_reason(verdict)), STR_ARG(verdict_reason(c->verdict)));
    }
}
#define CHECK(f, node, cases) check(f, node, cases, sizeof(cases) / sizeof((cases)[0]))

#define PRODUCT_TERM(products)                                              \
    "{'matchExpressions':[{'key':'nvidia.com/gpu.product','operator':'In'," \
    "'values':[" products "]}]}"
#define AFFINITY(terms)                                                             \
    "'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':" \
    "{'nodeSelectorTerms':[" terms "]}}}"

static void a_shared_node_takes_what_fits_on_its_devices(void **state)
{
    struct extender_fixture *f = *state;
    struct node node = extender_shared_node(f, "shared", 2);
    /* Taken: 700 of device 0, 400 of device 1. */
    node.load.device_milli[0] = 700;
    node.load.device_milli[1] = 400;
    static const struct verdict_case cases[] = {
        {"'callboard.dev/gpu-milli':'300'", "", "", VERDICT_FITS},
        {"'callboard.dev/gpu-milli':'600'", "", "", VERDICT_FITS},
        /* 900 are left, but on no device more than 600. */
        {"'callboard.dev/gpu-milli':'601'", "", "", VERDICT_SHARE_TAKEN},
        {"'callboard.dev/gpu-milli':'1000'", "", "", VERDICT_DEVICES_TAKEN},
        {"'callboard.dev/gpu-milli':'3000'", "", "", VERDICT_TOO_FEW_DEVICES},
        {"'callboard.dev/gpu-milli':'1500'", "", "", VERDICT_BAD_MILLI},
        {"'nvidia.com/gpu':'1'", "", "", VERDICT_IS_SHARED},
        {"'nvidia.com/mig-1g.5gb':'1'", "", "", VERDICT_IS_SHARED},
        {"'nvidia.com/gpu':'1','callboard.dev/gpu-milli':'100'", "", "", VERDICT_MIXES_MODES},
        {"'cpu':'1'", "", "", VERDICT_FITS},
        {"'callboard.dev/gpu-milli':'100'", "'callboard.dev/gpu-memory':'40Gi'", "", VERDICT_FITS},
        {"'callboard.dev/gpu-milli':'100'", "'callboard.dev/gpu-memory':'41Gi'", "",
         VERDICT_MEMORY},
        {"'callboard.dev/gpu-milli':'100'", "'callboard.dev/gpu-memory':'much'", "",
         VERDICT_BAD_MEMORY},
        {"'callboard.dev/gpu-milli':'100'", "'callboard.dev/cuda-version':'12.4'", "",
         VERDICT_FITS},
        {"'callboard.dev/gpu-milli':'100'", "'callboard.dev/cuda-version':'12'", "", VERDICT_FITS},
        {"'callboard.dev/gpu-milli':'100'", "'callboard.dev/cuda-version':'12.10'", "",
         VERDICT_CUDA},
        {"'callboard.dev/gpu-milli':'100'", "'callboard.dev/cuda-version':'13'", "", VERDICT_CUDA},
        {"'callboard.dev/gpu-milli':'100'", "'callboard.dev/cuda-version':'new'", "",
         VERDICT_BAD_CUDA},
        {"'callboard.dev/gpu-milli':'100'", "",
         AFFINITY(PRODUCT_TERM("'NVIDIA-A100-SXM4-40GB','NVIDIA-A100-PCIE-40GB'")), VERDICT_FITS},
        {"'callboard.dev/gpu-milli':'100'", "", AFFINITY(PRODUCT_TERM("'Tesla-T4'")),
         VERDICT_PRODUCT},
        /* Terms are alternatives. */
        {"'callboard.dev/gpu-milli':'100'", "",
         AFFINITY(PRODUCT_TERM("'Tesla-T4'") "," PRODUCT_TERM("'NVIDIA-A100-SXM4-40GB'")),
         VERDICT_FITS},
        {"'callboard.dev/gpu-milli':'100'", "",
         AFFINITY(PRODUCT_TERM("'Tesla-T4'") ",{'matchExpressions':[{'key':'zone',"
                                             "'operator':'In','values':['a']}]}"),
         VERDICT_FITS},
        {"'callboard.dev/gpu-milli':'1000'", "", "'resourceClaims':[{'name':'gpu'}]", VERDICT_FITS},
    };
    CHECK(f, &node, cases);
}

static void a_plugins_node_counts_whole_gpus_and_mig_instances(void **state)
{
    struct extender_fixture *f = *state;
    struct node node = extender_node(
        f, "plugin", "'nvidia.com/gpu.product':'Tesla-T4'",
        "'nvidia.com/gpu':'4','nvidia.com/mig-1g.5gb':'7','nvidia.com/mig-3g.20gb':'2'", "");
    mig_add(&node.load.mig, "1g.5gb", 6);
    static const struct verdict_case cases[] = {
        {"'nvidia.com/gpu':'4'", "", "", VERDICT_FITS},
        {"'nvidia.com/gpu':'5'", "", "", VERDICT_TOO_FEW_DEVICES},
        {"'callboard.dev/gpu-milli':'500'", "", "", VERDICT_IS_NOT_SHARED},
        {"'nvidia.com/mig-1g.5gb':'1'", "", "", VERDICT_FITS},
        {"'nvidia.com/mig-1g.5gb':'2'", "", "", VERDICT_MIG_TAKEN},
        {"'nvidia.com/mig-1g.5gb':'8'", "", "", VERDICT_NO_MIG},
        {"'nvidia.com/mig-3g.20gb':'2','nvidia.com/mig-1g.5gb':'1'", "", "", VERDICT_FITS},
        {"'nvidia.com/mig-7g.40gb':'1'", "", "", VERDICT_NO_MIG},
        {"'nvidia.com/gpu':'1'", "'callboard.dev/gpu-memory':'1Gi'", "", VERDICT_MEMORY_UNKNOWN},
        {"'nvidia.com/gpu':'1'", "'callboard.dev/cuda-version':'11'", "", VERDICT_CUDA_UNKNOWN},
    };
    CHECK(f, &node, cases);
}

static void a_node_without_gpus_takes_no_pod_with_one(void **state)
{
    struct extender_fixture *f = *state;
    struct node node = extender_node(f, "plain", "", "", "");
    static const struct verdict_case cases[] = {
        {"'nvidia.com/gpu':'1'", "", "", VERDICT_NO_GPU},
        {"'callboard.dev/gpu-milli':'10'", "", "", VERDICT_NO_GPU},
        {"'cpu':'100'", "", "", VERDICT_FITS}, /* the scheduler's own affair */
    };
    CHECK(f, &node, cases);
}

static void nobody_gets_devices_beside_a_pod_that_has_none_of_its_own(void **state)
{
    struct extender_fixture *f = *state;
    struct node node = extender_shared_node(f, "shared", 2);
    struct pod stranger = extender_pod(f, "'callboard.dev/gpu-milli':'100'", "", "");
    struct pod_load load;
    pod_load_of(&stranger, 0, &load);
    node_load_add(&node.load, &load);
    static const struct verdict_case cases[] = {
        {"'callboard.dev/gpu-milli':'100'", "", "", VERDICT_STRAY},
        {"'cpu':'1'", "", "", VERDICT_FITS},
    };
    CHECK(f, &node, cases);
    node_load_remove(&node.load, &load);
    struct pod pod = extender_pod(f, "'callboard.dev/gpu-milli':'100'", "", "");
    assert_int_equal(filter_judge(&pod, &node, NO_LEASE), VERDICT_FITS);
}

#define TDX_LABEL "'feature.node.kubernetes.io/cpu-security.tdx.enabled':'true'"
#define SNP_LABEL "'feature.node.kubernetes.io/cpu-security.sev.snp.enabled':'true'"
#define TDX       "'nodeSelector':{" TDX_LABEL "},'runtimeClassName':'kata-qemu-tdx'"
#define TDX_GPU   "'runtimeClassName':'kata-qemu-nvidia-gpu-tdx'"

static void a_tee_is_had_or_the_pod_is_refused(void **state)
{
    struct extender_fixture *f = *state;
    struct node plain = extender_node(f, "plain", "", "", "");
    struct node tdx = extender_node(f, "tdx", TDX_LABEL, "", "");
    static const struct verdict_case on_plain[] = {
        {"'cpu':'1'", "", TDX, VERDICT_NO_TEE},
        /* The RuntimeClass alone says enough. */
        {"'cpu':'1'", "", "'runtimeClassName':'kata-qemu-tdx'", VERDICT_NO_TEE},
        {"'cpu':'1'", "", "'runtimeClassName':'kata-qemu'", VERDICT_FITS},
    };
    static const struct verdict_case on_tdx[] = {
        {"'cpu':'1'", "", TDX, VERDICT_FITS},
        {"'cpu':'1'", "", "'runtimeClassName':'kata-qemu-snp'", VERDICT_NO_TEE},
        {"'cpu':'1'", "", "'nodeSelector':{" TDX_LABEL "},'runtimeClassName':'kata-qemu-snp'",
         VERDICT_TEE_CONFLICT},
        {"'cpu':'1'", "", "'nodeSelector':{" TDX_LABEL "},'runtimeClassName':'runc'",
         VERDICT_TEE_CONFLICT},
        /* What prepares such nodes runs there without the environment. */
        {"'cpu':'1'", "", "'nodeSelector':{" TDX_LABEL "}", VERDICT_FITS},
        {"'cpu':'1'", "", TDX_GPU, VERDICT_NOT_CONFIDENTIAL},
    };
    CHECK(f, &plain, on_plain);
    CHECK(f, &tdx, on_tdx);
}

static void what_is_counted_of_a_tee_runs_out(void **state)
{
    struct extender_fixture *f = *state;
    struct node none = extender_node(f, "none", TDX_LABEL, "'tdx.intel.com/keys':'0'", "");
    struct node two = extender_node(f, "two", TDX_LABEL, "'tdx.intel.com/keys':'2'", "");
    struct pod pod = extender_pod(f, "'cpu':'1'", "", TDX);
    assert_int_equal(filter_judge(&pod, &none, NO_LEASE), VERDICT_TEE_UNCOUNTED);
    struct pod_load load;
    pod_load_of(&pod, 0, &load);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(filter_judge(&pod, &two, NO_LEASE), VERDICT_FITS);
        node_load_add(&two.load, &load);
    }
    assert_int_equal(filter_judge(&pod, &two, NO_LEASE), VERDICT_TEE_TAKEN);
    node_load_remove(&two.load, &load);
    assert_int_equal(filter_judge(&pod, &two, NO_LEASE), VERDICT_FITS);
}

static void confidential_gpus_are_for_confidential_pods(void **state)
{
    struct extender_fixture *f = *state;
    struct node ready = extender_node(f, "ready",
                                      TDX_LABEL ",'nvidia.com/cc.mode.state':'on',"
                                                "'nvidia.com/cc.ready.state':'true'",
                                      "'nvidia.com/gpu':'1'", "");
    struct node unready = extender_node(f, "unready", TDX_LABEL ",'nvidia.com/cc.mode.state':'on'",
                                        "'nvidia.com/gpu':'1'", "");
    static const struct verdict_case on_ready[] = {
        {"'nvidia.com/gpu':'1'", "", TDX_GPU, VERDICT_FITS},
        {"'nvidia.com/gpu':'1'", "", "", VERDICT_CONFIDENTIAL},
        {"'cpu':'1'", "", "", VERDICT_FITS},
    };
    static const struct verdict_case on_unready[] = {
        {"'nvidia.com/gpu':'1'", "", TDX_GPU, VERDICT_NOT_ATTESTED},
    };
    CHECK(f, &ready, on_ready);
    CHECK(f, &unready, on_unready);
}

/* ---- Workers ---- */

static void a_node_that_is_not_well_gets_no_new_pod(void **state)
{
    struct extender_fixture *f = *state;
    struct node well = extender_node(f, "well", "", "", "");
    struct node cordoned = extender_node(f, "cordoned", "", "", "'spec':{'unschedulable':true}");
    struct node kind = extender_node(f, "kind", "'callboard.dev/drain-allows-urgent':'true'", "",
                                     "'spec':{'unschedulable':true}");
    struct node_facts dead_facts = *well.facts;
    dead_facts.is_ready = false;
    struct node dead = {.facts = &dead_facts};
    struct pod pod = extender_pod(f, "'cpu':'1'", "", ""), urgent = pod;
    urgent.is_urgent = true;
    const struct {
        const struct pod *pod;
        const struct node *node;
        int64_t age_s;
        enum verdict verdict;
        enum worker_state worker;
    } cases[] = {
        {&pod, &well, 0, VERDICT_FITS, WORKER_AVAILABLE},
        {&pod, &well, 30, VERDICT_FITS, WORKER_AVAILABLE},
        {&pod, &well, 31, VERDICT_HEARTBEAT, WORKER_UNHEALTHY},
        {&urgent, &well, 31, VERDICT_HEARTBEAT, WORKER_UNHEALTHY},
        {&pod, &well, 301, VERDICT_HEARTBEAT, WORKER_FAILED},
        {&pod, &dead, 0, VERDICT_NOT_READY, WORKER_FAILED},
        {&pod, &cordoned, 0, VERDICT_DRAINING, WORKER_DRAINING},
        {&urgent, &cordoned, 0, VERDICT_DRAINING, WORKER_DRAINING},
        {&pod, &kind, 0, VERDICT_DRAINING, WORKER_DRAINING},
        {&urgent, &kind, 0, VERDICT_FITS, WORKER_DRAINING},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t age_ns = cases[i].age_s * CLOCK_NS_PER_SEC;
        assert_int_equal(filter_judge(cases[i].pod, cases[i].node, age_ns), cases[i].verdict);
        assert_int_equal(worker_state_of(cases[i].node, age_ns), cases[i].worker);
    }
    well.load.jobs = 1;
    assert_int_equal(worker_state_of(&well, 0), WORKER_RUNNING);
}

static void a_node_takes_no_more_pods_of_ours_than_it_says(void **state)
{
    struct extender_fixture *f = *state;
    const struct json *object =
        extender_json(f, "{'metadata':{'name':'n','annotations':{'callboard.dev/max-jobs':'1'}},"
                         "'status':{'conditions':[{'type':'Ready','status':'True'}]}}");
    struct kube_meta meta;
    kube_meta_read(object, &meta);
    struct node node = {.facts = node_facts_new(arena_mem(&f->arena), object, &meta, f->catalog)};
    struct pod pod = extender_pod(f, "'cpu':'1'", "", "");
    struct pod_load load;
    pod_load_of(&pod, 0, &load);
    assert_int_equal(filter_judge(&pod, &node, NO_LEASE), VERDICT_FITS);
    node_load_add(&node.load, &load);
    assert_int_equal(filter_judge(&pod, &node, NO_LEASE), VERDICT_MAX_JOBS);
    pod.is_ours = false;
    assert_int_equal(filter_judge(&pod, &node, NO_LEASE), VERDICT_FITS);
}

/* ---- Reasons ---- */

static bool has_digit(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] >= '2' && text.ptr[i] <= '9')
            return true;
    }
    return false;
}

/* kube-scheduler counts them by their text, and cuts the whole at 1,024 bytes. */
static void reasons_are_short_and_of_their_own(void **state)
{
    (void)state;
    for (int i = 1; i < VERDICT_COUNT; i++) {
        struct str reason = verdict_reason((enum verdict)i);
        assert_in_range(reason.len, 5, 80);
        assert_false(has_digit(reason));
        /* It is written as it is. */
        assert_true(str_find(reason, '"') < 0 && str_find(reason, '\\') < 0);
        assert_true(verdict_help((enum verdict)i).len > 3);
        for (int j = 1; j < i; j++)
            assert_false(str_eq(reason, verdict_reason((enum verdict)j)));
    }
}

static void only_what_other_pods_take_is_worth_preempting(void **state)
{
    (void)state;
    for (int i = 0; i < VERDICT_COUNT; i++) {
        bool is_of_others =
            i == VERDICT_FITS || i == VERDICT_UNKNOWN_NODE || i >= VERDICT_SHARE_TAKEN;
        assert_int_equal(verdict_is_unresolvable((enum verdict)i), !is_of_others);
    }
}

static void sums_are_judged_where_the_scheduler_was_silent(void **state)
{
    struct extender_fixture *f = *state;
    struct node node = extender_node(f, "n", "", "'nvidia.com/gpu':'2'", "");
    node.load.amounts.of[RESOURCE_INDEX_GPUS] = 1;
    node.load.amounts.of[RESOURCE_INDEX_CPU] = 7000;
    static const struct verdict_case cases[] = {
        {"'nvidia.com/gpu':'2'", "", "", VERDICT_GPUS_TAKEN},
        {"'nvidia.com/gpu':'1','cpu':'2'", "", "", VERDICT_CPU_TAKEN},
        {"'memory':'33Gi'", "", "", VERDICT_MEMORY_TAKEN},
        {"'nvidia.com/gpu':'1','cpu':'1','memory':'32Gi'", "", "", VERDICT_FITS},
        {"'nvidia.com/gpu':'3'", "", "", VERDICT_TOO_FEW_DEVICES},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pod pod = extender_pod(f, cases[i].requests, "", "");
        assert_int_equal(filter_judge_all(&pod, &node, NO_LEASE), cases[i].verdict);
    }
}

/* ---- Devices ---- */

static void devices_are_chosen_by_best_fit(void **state)
{
    struct extender_fixture *f = *state;
    static const struct {
        int32_t taken[4];
        int64_t milli;
        bool spread;
        uint64_t devices;
    } cases[] = {
        {{0, 0, 0, 0}, 500, false, 1},         {{0, 500, 0, 0}, 500, false, 2},
        {{0, 600, 500, 0}, 500, false, 4},     {{600, 700, 500, 100}, 400, true, 8},
        {{600, 700, 800, 900}, 500, false, 0}, {{0, 1, 0, 0}, 2000, false, 5},
        {{0, 1, 0, 1}, 3000, false, 0},        {{0, 0, 0, 0}, 4000, false, 15},
        {{0, 0, 0, 0}, 5000, false, 0},        {{1200, 0, 0, 0}, 1000, false, 2},
        {{0, 0, 0, 0}, 0, false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct node node = extender_shared_node(f, "n", 4);
        memcpy(node.load.device_milli, cases[i].taken, sizeof(cases[i].taken));
        assert_int_equal(node_choose_devices(&node, cases[i].milli, cases[i].spread),
                         cases[i].devices);
    }
}

static void lists_of_devices_are_printed_and_parsed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t devices;
    } good[] = {{"0", 1}, {"0,3", 9}, {"63", UINT64_C(1) << 63}, {"7,10", 0x480}};
    char text[NODE_DEVICES_TEXT];
    uint64_t devices;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(node_devices_parse(str_from_cstr(good[i].text), &devices));
        assert_int_equal(devices, good[i].devices);
        assert_str_is(node_devices_print(devices, text), good[i].text);
    }
    /* All of them fit. */
    assert_true(node_devices_parse(node_devices_print(UINT64_MAX, text), &devices));
    assert_int_equal(devices, UINT64_MAX);
    static const char *const bad[] = {"", ",", "0,", "64", "-1", "a", "0,0", "1 ", "all", "0-3"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(node_devices_parse(str_from_cstr(bad[i]), &devices));
}

/* Whatever comes and goes: in the end nothing is taken. */
static void what_was_added_is_removed_again(void **state)
{
    struct extender_fixture *f = *state;
    struct node node = extender_shared_node(f, "n", 4);
    static const struct node_load empty;
    struct pod_load loads[3];
    struct pod share = extender_pod(f, "'callboard.dev/gpu-milli':'300','cpu':'1'", "", "");
    struct pod whole = extender_pod(f, "'callboard.dev/gpu-milli':'2000'", "", "");
    struct pod mig = extender_pod(f, "'nvidia.com/mig-1g.5gb':'2'", "", "");
    pod_load_of(&share, 2, &loads[0]);
    pod_load_of(&whole, 12, &loads[1]);
    pod_load_of(&mig, 0, &loads[2]);
    for (size_t i = 0; i < 3; i++)
        node_load_add(&node.load, &loads[i]);
    assert_int_equal(node.load.device_milli[1], 300);
    assert_int_equal(node.load.device_milli[2], 1000);
    assert_int_equal(node.load.device_milli[3], 1000);
    assert_int_equal(node_devices_free(&node), 1);
    assert_int_equal(node.load.jobs, 3);
    for (size_t i = 0; i < 3; i++)
        node_load_remove(&node.load, &loads[i]);
    assert_memory_equal(&node.load.amounts, &empty.amounts, sizeof(empty.amounts));
    assert_memory_equal(node.load.device_milli, empty.device_milli, sizeof(empty.device_milli));
    assert_int_equal(node.load.mig.count, 0);
    assert_int_equal(node.load.stray, 0);
    assert_int_equal(node.load.jobs, 0);
}

static bool read_node(const struct mem *mem, void *ctx)
{
    struct extender_fixture *f = ctx;
    const struct json *object = extender_json(f, "{'metadata':{'name':'n'}}");
    struct kube_meta meta;
    kube_meta_read(object, &meta);
    struct node_facts *facts = node_facts_new(mem, object, &meta, f->catalog);
    node_facts_free(mem, facts);
    return facts != NULL;
}

static void a_node_needs_memory(void **state)
{
    test_every_allocation_failing(read_node, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_counted_as_the_scheduler_counts_them),
        cmocka_unit_test(amounts_beyond_all_bounds_stay_at_the_largest),
        cmocka_unit_test(a_shared_node_takes_what_fits_on_its_devices),
        cmocka_unit_test(a_plugins_node_counts_whole_gpus_and_mig_instances),
        cmocka_unit_test(a_node_without_gpus_takes_no_pod_with_one),
        cmocka_unit_test(nobody_gets_devices_beside_a_pod_that_has_none_of_its_own),
        cmocka_unit_test(a_tee_is_had_or_the_pod_is_refused),
        cmocka_unit_test(what_is_counted_of_a_tee_runs_out),
        cmocka_unit_test(confidential_gpus_are_for_confidential_pods),
        cmocka_unit_test(a_node_that_is_not_well_gets_no_new_pod),
        cmocka_unit_test(a_node_takes_no_more_pods_of_ours_than_it_says),
        cmocka_unit_test(reasons_are_short_and_of_their_own),
        cmocka_unit_test(only_what_other_pods_take_is_worth_preempting),
        cmocka_unit_test(sums_are_judged_where_the_scheduler_was_silent),
        cmocka_unit_test(devices_are_chosen_by_best_fit),
        cmocka_unit_test(lists_of_devices_are_printed_and_parsed),
        cmocka_unit_test(what_was_added_is_removed_again),
        cmocka_unit_test(a_node_needs_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
