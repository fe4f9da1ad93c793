/* The life of a Performer, step by step: start, running, failure, end. */
#include "unit/performer_world.h"

static int set_up(void **state)
{
    static struct world world;
    world_init(&world, mem_system());
    world_node(&world, "n1");
    world_node(&world, "n2");
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    world_done(*state);
    return 0;
}

static struct str the_pod(struct world *world)
{
    assert_int_equal(world_count(world, &kube_pods), 1);
    return world_name(world_nth(world, &kube_pods, 0));
}

/* A Performer that runs on n1, with all told. */
static struct str start(struct world *world, const char *spec)
{
    world_performer(world, spec);
    world_settle(world);
    struct str pod = the_pod(world);
    world_run(world, pod, "n1");
    world_settle(world);
    assert_string_equal(world_status(world, "phase"), "Running");
    return pod;
}

static void step(struct world *world, const char *actions)
{
    world_endpoints(world);
    world_reconcile(world);
    assert_string_equal(world_actions(world), actions);
    assert_true(world_apply(world, PLAN_ACTIONS_MAX));
}

static void a_good_start_takes_three_writes_and_one_event(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    step(world, "create pod, create service");
    assert_string_equal(world_events(world), "");
    step(world, "");
    world_run(world, the_pod(world), "n1");
    step(world, "write status");
    assert_string_equal(world_events(world), "Running");
    step(world, "");
    assert_int_equal(world->writes, 3);
    assert_string_equal(world_status(world, "phase"), "Running");
    assert_string_equal(world_status(world, "stage"), "Running");
    assert_string_equal(world_status(world, "ready"), "true");
    assert_string_equal(world_status(world, "nodeName"), "n1");
    assert_string_equal(world_status(world, "serviceName"), "performer-solo");
    assert_string_equal(world_status(world, "grpcEndpoint"),
                        "performer-solo.team.svc.cluster.local:9090");
    assert_string_equal(world_status(world, "observedGeneration"), "1");
    assert_string_equal(world_status(world, "readyTime"), "2026-01-02T03:04:05Z");
}

static void who_waited_for_its_turn_takes_no_write_more(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    world_advance_ms(world, 119000);
    step(world, "create pod, create service");
}

static void a_pod_that_cannot_be_made_is_told_of_in_the_end(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    world_advance_ms(world, 121000);
    step(world, "write status, create pod, create service");
    assert_string_equal(world_status(world, "stage"), "PodCreation");
}

/* ---- Stages ---- */

static void told_after(struct world *world, int64_t ms)
{
    world_advance_ms(world, ms);
    world_settle(world);
}

static void progress_is_told_when_it_lasts(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    world_settle(world);
    struct str pod = the_pod(world);
    told_after(world, 2999);
    assert_string_equal(world_status(world, "phase"), "");
    told_after(world, 1);
    assert_string_equal(world_status(world, "phase"), "Pending");
    assert_string_equal(world_status(world, "stage"), "Scheduling");
    assert_string_equal(world_condition(world, "PodScheduled", "status"), "Unknown");
    world_schedule(world, pod, "n1");
    told_after(world, 9000);
    assert_string_equal(world_status(world, "stage"), "Scheduling");
    told_after(world, 1000);
    assert_string_equal(world_status(world, "stage"), "PodBinding");
    assert_string_equal(world_condition(world, "PodScheduled", "status"), "True");
    world_container(world, pod, "{\"waiting\":{\"reason\":\"ContainerCreating\"}}");
    told_after(world, 10000);
    assert_string_equal(world_status(world, "stage"), "ImagePull");
    world_unready(world, pod);
    told_after(world, 10000);
    assert_string_equal(world_status(world, "stage"), "ContainerStart");
    assert_string_equal(world_condition(world, "ImagePulled", "status"), "True");
    assert_string_equal(world_condition(world, "ContainersReady", "status"), "False");
    world_run(world, pod, "n1");
    world_settle(world);
    assert_string_equal(world_status(world, "stage"), "Running");
    assert_string_equal(world_condition(world, "Ready", "status"), "True");
}

static void a_pod_without_an_endpoint_is_not_running(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    world_settle(world);
    world_run(world, the_pod(world), "n1");
    world_remove(world, &kube_endpoint_slices, STR("performer-solo-x"));
    world_advance_ms(world, 11000);
    world_reconcile(world);
    assert_true(world_apply(world, PLAN_ACTIONS_MAX));
    assert_string_equal(world_status(world, "stage"), "ServiceCreation");
    assert_string_equal(world_status(world, "ready"), "false");
    assert_string_equal(world_condition(world, "ServiceReady", "reason"), "EndpointNotReady");
}

static void unschedulable(struct world *world, struct str pod, const char *message)
{
    world_merge(world, &kube_pods, pod,
                arena_printf(&world->arena,
                             "{\"status\":{\"conditions\":[{\"type\":\"PodScheduled\",\"status\":"
                             "\"False\",\"reason\":\"Unschedulable\",\"message\":\"%s\"}]}}",
                             message)
                    .ptr);
    world_settle(world);
}

static void what_cannot_be_scheduled_waits_with_the_reason(void **state)
{
    struct world *world = *state;
    world_performer(world, "\"hardwareRequirements\":{\"gpuCount\":1}");
    world_settle(world);
    struct str pod = the_pod(world);
    unschedulable(world, pod, "0/2 nodes are available: 2 Insufficient cpu.");
    assert_string_equal(world_status(world, "phase"), "Pending");
    assert_string_equal(world_status(world, "stage"), "NodeSelection");
    assert_string_equal(world_condition(world, "Ready", "reason"), "Unschedulable");
    size_t writes = world->writes;
    unschedulable(world, pod, "0/3 nodes are available: 3 Insufficient cpu.");
    assert_int_equal(world->writes, writes); /* only a number is another */
    unschedulable(world, pod, "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.");
    assert_string_equal(world_status(world, "stage"), "HardwareValidation");
    assert_string_equal(world_condition(world, "HardwareValidated", "status"), "False");
    assert_string_equal(world_condition(world, "HardwareValidated", "message"),
                        "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.");
    world_advance_ms(world, 24 * 3600 * 1000);
    world_settle(world);
    assert_str_equal(the_pod(world), pod); /* never deleted for waiting */
    world_run(world, pod, "n1");
    world_settle(world);
    assert_string_equal(world_status(world, "phase"), "Running");
    assert_string_equal(world_condition(world, "HardwareValidated", "status"), "True");
}

static void readiness_comes_and_goes_without_another_phase(void **state)
{
    struct world *world = *state;
    struct str pod = start(world, "");
    world_unready(world, pod);
    world_settle(world);
    assert_string_equal(world_status(world, "phase"), "Running");
    assert_string_equal(world_status(world, "ready"), "false");
    assert_string_equal(world_condition(world, "Ready", "reason"), "NotReady");
    world_advance_ms(world, 60000);
    world_run(world, pod, "n1");
    world_settle(world);
    assert_string_equal(world_status(world, "ready"), "true");
    assert_string_equal(world_status(world, "readyTime"), "2026-01-02T03:05:05Z");
}

/* ---- Failures ---- */

static const struct {
    const char *state;
    const char *reason;
    const char *message;
} failures[] = {
    {"{\"waiting\":{\"reason\":\"ImagePullBackOff\",\"message\":\"Back-off pulling\"}}",
     "ImagePullFailed",
     "image registry.example/solo:v1 cannot be pulled: ImagePullBackOff: Back-off pulling"},
    {"{\"waiting\":{\"reason\":\"CreateContainerConfigError\",\"message\":\"no secret\"}}",
     "ContainerStartFailed", NULL},
    {"{\"terminated\":{\"reason\":\"OOMKilled\",\"exitCode\":137,\"message\":\"SECRET\"}}",
     "ContainerCrashed", NULL},
    {"{\"waiting\":{\"reason\":\"CrashLoopBackOff\",\"message\":\"back-off 10s\"}}",
     "ContainerCrashed", NULL},
    {"{\"waiting\":{\"reason\":\"RunContainerError\",\"message\":\"exec SECRET\"}}",
     "ContainerStartFailed", NULL},
};

static void every_failure_is_told_and_retried(void **state)
{
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        struct world *world = *state;
        tear_down(state);
        set_up(state);
        world_performer(world, "");
        world_settle(world);
        struct str pod = the_pod(world);
        world_schedule(world, pod, "n1");
        world_container(world, pod, failures[i].state);
        step(world, "write status");
        assert_string_equal(world_events(world), failures[i].reason);
        assert_string_equal(world_status(world, "phase"), "Failed");
        assert_string_equal(world_status(world, "stage"), "Failed");
        assert_string_equal(world_condition(world, "Ready", "reason"), failures[i].reason);
        if (failures[i].message)
            assert_string_equal(world_condition(world, "Ready", "message"), failures[i].message);
        assert_null(strstr(world_status(world, "conditions"), "SECRET"));
        assert_string_equal(world_status(world, "nextRetryTime"), "2026-01-02T03:04:15Z");
        world_advance_ms(world, 9999);
        step(world, "");
        world_advance_ms(world, 1);
        step(world, "write status, delete failed pod");
        assert_string_equal(world_events(world), "Retrying");
        assert_string_equal(world_status(world, "phase"), "Pending");
        assert_string_equal(world_status(world, "retries"), "1");
        assert_string_equal(world_status(world, "attempt"), "1");
        assert_string_equal(world_status(world, "nextRetryTime"), "");
        step(world, ""); /* the pod is still there */
        world_remove(world, &kube_pods, pod);
        step(world, "create pod");
        assert_false(str_eq(the_pod(world), pod));
        world_run(world, the_pod(world), "n1");
        world_settle(world);
        assert_string_equal(world_status(world, "phase"), "Running");
    }
}

static void fail_once(struct world *world)
{
    world_settle(world);
    struct str pod = the_pod(world);
    world_schedule(world, pod, "n1");
    world_container(world, pod, "{\"terminated\":{\"reason\":\"Error\",\"exitCode\":1}}");
    world_settle(world);
}

static void retry_once(struct world *world, int64_t after_ms)
{
    struct str pod = the_pod(world);
    world_advance_ms(world, after_ms - 1);
    step(world, "");
    world_advance_ms(world, 1);
    step(world, "write status, delete failed pod");
    world_remove(world, &kube_pods, pod);
}

static void retries_come_after_ten_seconds_then_twice_as_long_up_to_five_minutes(void **state)
{
    static const int64_t waits_ms[] = {10000, 20000, 40000, 80000, 160000, 300000, 300000};
    struct world *world = *state;
    world_performer(world, "");
    for (size_t i = 0; i < sizeof(waits_ms) / sizeof(waits_ms[0]); i++) {
        fail_once(world);
        retry_once(world, waits_ms[i]);
    }
    assert_string_equal(world_status(world, "retries"), "7");
}

static void the_backoff_limit_ends_retries_until_it_is_raised(void **state)
{
    struct world *world = *state;
    world_performer(world, "\"backoffLimit\":1");
    fail_once(world);
    retry_once(world, 10000);
    fail_once(world);
    assert_string_equal(world_status(world, "phase"), "Failed");
    assert_string_equal(world_status(world, "nextRetryTime"), "");
    assert_string_equal(world_condition(world, "Ready", "reason"), "BackoffLimitExceeded");
    world_advance_ms(world, 3600 * 1000);
    step(world, "");
    world_merge(world, &kube_performers, STR("solo"), "{\"spec\":{\"backoffLimit\":2}}");
    step(world, "write status");
    retry_once(world, 20000);
    assert_string_equal(world_status(world, "retries"), "2");
}

static void a_pod_that_served_long_is_retried_as_at_first(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    fail_once(world);
    retry_once(world, 10000);
    world_settle(world);
    world_run(world, the_pod(world), "n1");
    world_settle(world);
    world_advance_ms(world, 600 * 1000);
    fail_once(world);
    assert_string_equal(world_status(world, "retries"), "0");
    retry_once(world, 10000);
    assert_string_equal(world_status(world, "retries"), "1");
}

static void a_container_that_the_kubelet_restarted_runs_again(void **state)
{
    struct world *world = *state;
    struct str pod = start(world, "");
    fail_once(world);
    assert_string_equal(world_status(world, "phase"), "Failed");
    world_unready(world, pod); /* it starts */
    step(world, "");
    world_run(world, pod, "n1");
    world_settle(world);
    assert_string_equal(world_status(world, "phase"), "Running");
    assert_string_equal(world_status(world, "retries"), "0");
    assert_str_equal(the_pod(world), pod);
}

static void a_container_that_starts_at_the_time_of_its_retry_gets_its_chance(void **state)
{
    struct world *world = *state;
    struct str pod = start(world, "");
    fail_once(world);
    world_unready(world, pod);
    world_advance_ms(world, 10000);
    step(world, "");
    world_container(world, pod, "{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}}");
    step(world, "write status, delete failed pod");
}

static void an_evicted_pod_is_replaced_after_the_backoff(void **state)
{
    struct world *world = *state;
    struct str pod = start(world, "");
    world_merge(world, &kube_pods, pod,
                "{\"status\":{\"phase\":\"Failed\",\"reason\":\"Evicted\",\"message\":\"low on "
                "memory\",\"conditions\":[]}}");
    world_settle(world);
    assert_string_equal(world_condition(world, "Ready", "reason"), "PodFailed");
    assert_string_equal(world_condition(world, "Ready", "message"),
                        "the pod has ended: Evicted: low on memory");
    retry_once(world, 10000);
    step(world, "create pod");
}

static void a_clock_that_is_put_back_does_not_stop_a_retry(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    fail_once(world);
    world->now.wall_ns -= 3600 * CLOCK_NS_PER_SEC;
    step(world, "write status, delete failed pod");
}

/* ---- What the API server refuses ---- */

static void refuse_next(struct world *world, const struct kube_resource *resource,
                        enum kube_outcome outcome)
{
    world->refuse = resource;
    world->refuse_outcome = outcome;
    world->refuse_message = "because";
}

static void an_invalid_pod_stops_until_the_spec_changes(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    refuse_next(world, &kube_pods, KUBE_INVALID);
    world_reconcile(world);
    assert_false(world_apply(world, PLAN_ACTIONS_MAX));
    assert_string_equal(world_status(world, "phase"), "Failed");
    assert_string_equal(world_condition(world, "Ready", "reason"), "PodRefused");
    assert_string_equal(world_condition(world, "Ready", "message"), "the pod is invalid: because");
    world_advance_ms(world, 24 * 3600 * 1000);
    step(world, "");
    world_merge(world, &kube_performers, STR("solo"), "{\"spec\":{\"image\":\"b:v2\"}}");
    step(world, "write status, create pod, create service");
    assert_string_equal(world_status(world, "phase"), "Pending");
}

static void a_quota_is_waited_for(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    refuse_next(world, &kube_pods, KUBE_FORBIDDEN_BY);
    world_reconcile(world);
    assert_false(world_apply(world, PLAN_ACTIONS_MAX));
    assert_string_equal(world_status(world, "phase"), "Pending");
    assert_string_equal(world_status(world, "stage"), "PodCreation");
    assert_string_equal(world_condition(world, "Ready", "reason"), "PodForbidden");
    assert_string_equal(world_status(world, "nextRetryTime"), "2026-01-02T03:04:15Z");
    step(world, "");
    world_advance_ms(world, 10000);
    refuse_next(world, &kube_pods, KUBE_FORBIDDEN_BY);
    world_reconcile(world);
    assert_string_equal(world_actions(world), "create pod, create service");
    assert_false(world_apply(world, PLAN_ACTIONS_MAX));
    assert_string_equal(world_status(world, "nextRetryTime"), "2026-01-02T03:04:25Z");
    world_advance_ms(world, 10000);
    step(world, "create pod, create service");
    world_settle(world);
    assert_string_equal(world_status(world, "nextRetryTime"), "");
    assert_string_equal(world_condition(world, "Ready", "reason"), "Starting");
}

static void a_service_that_is_refused_is_waited_for_while_the_pod_runs(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    refuse_next(world, &kube_services, KUBE_FORBIDDEN_BY);
    world_reconcile(world);
    assert_false(world_apply(world, PLAN_ACTIONS_MAX));
    assert_string_equal(world_condition(world, "Ready", "reason"), "ServiceForbidden");
    step(world, "");
    world_run(world, the_pod(world), "n1");
    step(world, "");
    world_advance_ms(world, 10000);
    refuse_next(world, &kube_services, KUBE_FORBIDDEN_BY);
    world_reconcile(world);
    assert_string_equal(world_actions(world), "create service");
    assert_false(world_apply(world, PLAN_ACTIONS_MAX));
    step(world, "");
    world_advance_ms(world, 10000);
    step(world, "create service");
    world_settle(world);
    assert_string_equal(world_status(world, "phase"), "Running");
}

static void a_taken_name_of_the_service_is_told_once_while_the_pod_runs(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    world_reconcile(world);
    world_create(world, &kube_services, /* nobody's, after the decision */
                 "{\"metadata\":{\"name\":\"performer-solo\",\"namespace\":\"team\"}}");
    assert_false(world_apply(world, PLAN_ACTIONS_MAX));
    world_run(world, the_pod(world), "n1");
    world_settle(world);
    assert_string_equal(world_condition(world, "Ready", "reason"), "NameTaken");
    step(world, "");
    world_remove(world, &kube_services, STR("performer-solo"));
    step(world, "create service");
    world_settle(world);
    assert_string_equal(world_status(world, "phase"), "Running");
}

static void what_belongs_to_others_is_left_alone(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    world_create(world, &kube_services,
                 "{\"metadata\":{\"name\":\"performer-solo\",\"namespace\":\"team\"}}");
    step(world, "write status");
    assert_string_equal(world_status(world, "phase"), "Failed");
    assert_string_equal(world_condition(world, "Ready", "reason"), "NameTaken");
    step(world, "");
    assert_int_equal(world_count(world, &kube_pods), 0);
    world_remove(world, &kube_services, STR("performer-solo"));
    step(world, "create pod, create service");
    step(world, "write status");
    assert_string_equal(world_status(world, "phase"), "Pending");
}

static void a_foreign_pod_with_our_name_is_left_alone(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    world_settle(world);
    struct str name = arena_copy(&world->arena, the_pod(world));
    world_remove(world, &kube_pods, name);
    world_create(world, &kube_pods,
                 arena_printf(&world->arena,
                              "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"team\","
                              "\"ownerReferences\":[{\"kind\":\"X\",\"name\":\"x\",\"uid\":\"x\","
                              "\"controller\":true}]}}",
                              name.ptr)
                     .ptr);
    world_reconcile(world);
    assert_string_equal(world_actions(world), "create pod");
    assert_false(world_apply(world, PLAN_ACTIONS_MAX));
    assert_string_equal(world_condition(world, "Ready", "reason"), "NameTaken");
    assert_int_equal(world_count(world, &kube_pods), 1);
}

static void hardware_that_the_catalog_does_not_have_is_told(void **state)
{
    struct world *world = *state;
    world_performer(world, "\"hardwareRequirements\":{\"gpuType\":\"nvidia-x\",\"gpuCount\":1}");
    step(world, "write status");
    assert_string_equal(world_status(world, "phase"), "Failed");
    assert_string_equal(world_condition(world, "HardwareValidated", "reason"), "HardwareUnknown");
    step(world, "");
}

/* ---- What others change ---- */

static void what_others_change_is_put_right(void **state)
{
    static const struct {
        const struct kube_resource *resource;
        const char *patch;
        const char *actions;
    } changes[] = {
        {&kube_services, "{\"spec\":{\"selector\":{\"x\":\"y\"}}}", "restore service"},
        {&kube_services, "{\"spec\":{\"selector\":null}}", "restore service"},
        {&kube_services, "{\"spec\":{\"type\":\"NodePort\"}}", "restore service"},
        {&kube_services, "{\"spec\":{\"ports\":[]}}", "restore service"},
        {&kube_services,
         "{\"spec\":{\"ports\":[{\"name\":\"grpc\",\"port\":1,"
         "\"targetPort\":\"grpc\"}]}}",
         "write status, switch service"}, /* the endpoint that is told is true meanwhile */
        {&kube_services, "{\"metadata\":{\"labels\":{\"app\":\"x\"}}}", "restore service"},
        {&kube_services, "{\"metadata\":{\"ownerReferences\":null}}", "restore service"},
        {&kube_pods, "{\"metadata\":{\"labels\":{\"callboard.dev/revision\":null}}}",
         "restore metadata of pod"},
        {&kube_pods, "{\"metadata\":{\"ownerReferences\":null}}", "restore metadata of pod"},
    };
    struct world *world = *state;
    struct str pod = start(world, "");
    struct json *before = json_copy(&world->arena, world_nth(world, &kube_services, 0));
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        const struct kube_resource *resource = changes[i].resource;
        world_merge(world, resource, resource == &kube_services ? STR("performer-solo") : pod,
                    changes[i].patch);
        world_reconcile(world); /* the endpoints have not followed yet */
        assert_string_equal(world_actions(world), changes[i].actions);
        assert_int_equal(world->plan.rest_ns, CLOCK_NS_PER_SEC); /* they may change it again */
        assert_true(world_apply(world, PLAN_ACTIONS_MAX));
        world_settle(world);
        struct json *after = world_nth(world, &kube_services, 0);
        assert_true(json_equal(json_get(before, STR("spec")), json_get(after, STR("spec"))));
        assert_string_equal(world_status(world, "ready"), "true");
        assert_str_equal(the_pod(world), pod);
    }
}

static void an_image_that_somebody_set_is_set_back(void **state)
{
    struct world *world = *state;
    struct str pod = start(world, "");
    world_merge(world, &kube_pods, pod,
                "{\"spec\":{\"containers\":[{\"name\":\"side\",\"image\":\"s\"},"
                "{\"name\":\"performer\",\"image\":\"evil\"}]}}");
    step(world, "restore image");
    assert_int_equal(world->plan.rest_ns, CLOCK_NS_PER_SEC);
    const struct json *containers =
        kube_at(world_get(world, &kube_pods, pod), "spec", "containers", NULL);
    assert_str_is(kube_text_at(json_at(containers, 1), "image", NULL), "registry.example/solo:v1");
    assert_str_is(kube_text_at(json_at(containers, 0), "image", NULL), "s");
    step(world, "");
}

static void an_image_that_a_webhook_made_is_left(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    world_settle(world);
    struct str pod = the_pod(world);
    world_merge(
        world, &kube_pods, pod,
        "{\"spec\":{\"containers\":[{\"name\":\"performer\",\"image\":\"mirror/solo:v1\"}]}}");
    world_run(world, pod, "n1"); /* generation 1 */
    world_settle(world);
    assert_string_equal(world_status(world, "phase"), "Running");
}

/* Before Kubernetes 1.34 nothing tells who changed it. */
static void an_image_of_unknown_origin_is_left(void **state)
{
    struct world *world = *state;
    struct str pod = start(world, "");
    world_merge(world, &kube_pods, pod, "{\"metadata\":{\"generation\":null}}");
    world_merge(world, &kube_pods, pod,
                "{\"spec\":{\"containers\":"
                "[{\"name\":\"performer\",\"image\":\"mirror/solo:v1\"}]}}");
    step(world, "");
}

static void owners_beside_the_performer_stay(void **state)
{
    static const char owners[] = "{\"metadata\":{\"ownerReferences\":[{\"apiVersion\":\"v1\","
                                 "\"kind\":\"ConfigMap\",\"name\":\"x\",\"uid\":\"u\"}]}}";
    struct world *world = *state;
    struct str pod = start(world, "");
    world_merge(world, &kube_pods, pod, owners);
    world_merge(world, &kube_services, STR("performer-solo"), owners);
    world_settle(world);
    const struct json *children[] = {world_get(world, &kube_pods, pod),
                                     world_nth(world, &kube_services, 0)};
    for (size_t i = 0; i < 2; i++) {
        const struct json *list = kube_at(children[i], "metadata", "ownerReferences", NULL);
        assert_int_equal(list->len, 2);
        assert_str_is(kube_text_at(json_at(list, 0), "uid", NULL), "uid-solo");
        assert_str_is(kube_text_at(json_at(list, 1), "uid", NULL), "u");
    }
}

static void conditions_of_others_stay(void **state)
{
    struct world *world = *state;
    start(world, "");
    world_merge(world, &kube_performers, STR("solo"),
                "{\"status\":{\"conditions\":[{\"type\":\"Audited\",\"status\":\"True\","
                "\"reason\":\"Monthly\",\"message\":\"7 of 7\"}]}}");
    step(world, "write status"); /* ours had been taken away */
    step(world, "");
    assert_string_equal(world_condition(world, "Audited", "message"), "7 of 7");
    assert_string_equal(world_condition(world, "Ready", "status"), "True");
}

static void a_message_of_any_length_becomes_a_status(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    world_settle(world);
    struct str pod = the_pod(world);
    char text[5001] = "";
    memset(text, 'x', sizeof(text) - 1);
    world_schedule(world, pod, "n1");
    world_container(
        world, pod,
        arena_printf(&world->arena, "{\"terminated\":{\"reason\":\"%s\",\"exitCode\":1}}", text)
            .ptr);
    world_settle(world);
    assert_string_equal(world_status(world, "phase"), "Failed");
    assert_true(strlen(world_condition(world, "Ready", "message")) < 1024);
}

static void a_pod_that_somebody_deletes_comes_again(void **state)
{
    struct world *world = *state;
    struct str pod = start(world, "");
    world_delete(world, &kube_pods, pod);
    step(world, "write status"); /* it is still ending */
    assert_string_equal(world_status(world, "phase"), "Pending");
    assert_string_equal(world_status(world, "stage"), "Creating");
    step(world, "");
    world_remove(world, &kube_pods, pod);
    step(world, "create pod");
    assert_str_equal(the_pod(world), pod); /* the same name */
    world_run(world, pod, "n2");
    world_settle(world);
    assert_string_equal(world_status(world, "phase"), "Running");
    assert_string_equal(world_status(world, "nodeName"), "n2");
    assert_int_equal(world->peak_running, 1);
}

static void a_service_that_somebody_deletes_comes_again(void **state)
{
    struct world *world = *state;
    start(world, "");
    world_delete(world, &kube_services, STR("performer-solo"));
    step(world, "write status, create service");
    assert_string_equal(world_status(world, "ready"), "false");
    world_settle(world);
    assert_string_equal(world_status(world, "ready"), "true");
}

static void a_status_that_was_lost_does_not_restart_the_pod(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    fail_once(world);
    retry_once(world, 10000);
    world_settle(world);
    struct str pod = the_pod(world);
    world_run(world, pod, "n1");
    world_settle(world);
    world_merge(world, &kube_performers, STR("solo"), "{\"status\":null}");
    world_settle(world);
    assert_str_equal(the_pod(world), pod);
    assert_string_equal(world_status(world, "attempt"), "1");
    assert_string_equal(world_status(world, "phase"), "Running");
}

/* ---- The end ---- */

static void a_performer_ends_in_order(void **state)
{
    struct world *world = *state;
    struct str pod = start(world, "");
    world_delete(world, &kube_performers, STR("solo"));
    step(world, "write status, delete service");
    assert_string_equal(world_status(world, "phase"), "Terminating");
    assert_string_equal(world_status(world, "stage"), "ServiceCleanup");
    step(world, "write status, delete pod");
    assert_string_equal(world_status(world, "stage"), "PodCleanup");
    assert_string_equal(world_status(world, "ready"), "false");
    step(world, "");
    assert_int_equal(world_count(world, &kube_performers), 1);
    world_remove(world, &kube_pods, pod);
    step(world, "remove finalizer");
    assert_int_equal(world_count(world, &kube_performers), 0);
    step(world, "");
}

static void finalizers_of_others_stay(void **state)
{
    struct world *world = *state;
    start(world, "");
    world_merge(world, &kube_performers, STR("solo"),
                "{\"metadata\":{\"finalizers\":[\"a/b\","
                "\"hourglass.eigenlayer.io/performer-finalizer\"]}}");
    world_delete(world, &kube_performers, STR("solo"));
    world_settle(world);
    world_remove(world, &kube_pods, the_pod(world));
    world_settle(world);
    assert_int_equal(world_count(world, &kube_performers), 1);
    const struct json *performer = world_nth(world, &kube_performers, 0);
    const struct json *finalizers = kube_at(performer, "metadata", "finalizers", NULL);
    assert_int_equal(finalizers->len, 1);
    assert_str_is(json_str(json_first(finalizers)), "a/b");
}

static void the_finalizer_comes_first(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    world_merge(world, &kube_performers, STR("solo"), "{\"metadata\":{\"finalizers\":[\"a/b\"]}}");
    step(world, "add finalizer");
    const struct json *performer = world_nth(world, &kube_performers, 0);
    assert_int_equal(kube_at(performer, "metadata", "finalizers", NULL)->len, 2);
    step(world, "create pod, create service");
}

static void a_performer_that_has_nothing_ends_at_once(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    world_delete(world, &kube_performers, STR("solo"));
    step(world, "remove finalizer");
    assert_int_equal(world_count(world, &kube_performers), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_start_takes_three_writes_and_one_event),
        TEST(who_waited_for_its_turn_takes_no_write_more),
        TEST(a_pod_that_cannot_be_made_is_told_of_in_the_end),
        TEST(progress_is_told_when_it_lasts),
        TEST(a_pod_without_an_endpoint_is_not_running),
        TEST(what_cannot_be_scheduled_waits_with_the_reason),
        TEST(readiness_comes_and_goes_without_another_phase),
        TEST(every_failure_is_told_and_retried),
        TEST(retries_come_after_ten_seconds_then_twice_as_long_up_to_five_minutes),
        TEST(the_backoff_limit_ends_retries_until_it_is_raised),
        TEST(a_pod_that_served_long_is_retried_as_at_first),
        TEST(a_container_that_the_kubelet_restarted_runs_again),
        TEST(a_container_that_starts_at_the_time_of_its_retry_gets_its_chance),
        TEST(an_evicted_pod_is_replaced_after_the_backoff),
        TEST(a_clock_that_is_put_back_does_not_stop_a_retry),
        TEST(an_invalid_pod_stops_until_the_spec_changes),
        TEST(a_quota_is_waited_for),
        TEST(a_service_that_is_refused_is_waited_for_while_the_pod_runs),
        TEST(a_taken_name_of_the_service_is_told_once_while_the_pod_runs),
        TEST(what_belongs_to_others_is_left_alone),
        TEST(a_foreign_pod_with_our_name_is_left_alone),
        TEST(hardware_that_the_catalog_does_not_have_is_told),
        TEST(what_others_change_is_put_right),
        TEST(an_image_that_somebody_set_is_set_back),
        TEST(an_image_that_a_webhook_made_is_left),
        TEST(an_image_of_unknown_origin_is_left),
        TEST(owners_beside_the_performer_stay),
        TEST(conditions_of_others_stay),
        TEST(a_message_of_any_length_becomes_a_status),
        TEST(a_pod_that_somebody_deletes_comes_again),
        TEST(a_service_that_somebody_deletes_comes_again),
        TEST(a_status_that_was_lost_does_not_restart_the_pod),
        TEST(a_performer_ends_in_order),
        TEST(finalizers_of_others_stay),
        TEST(the_finalizer_comes_first),
        TEST(a_performer_that_has_nothing_ends_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
