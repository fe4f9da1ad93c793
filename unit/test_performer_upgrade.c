/* Upgrades and lost nodes, step by step. */
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

static void step(struct world *world, const char *actions)
{
    world_endpoints(world);
    world_reconcile(world);
    assert_string_equal(world_actions(world), actions);
    assert_true(world_apply(world, PLAN_ACTIONS_MAX));
}

/* The same before the endpoints follow. */
static void step_at_once(struct world *world, const char *actions)
{
    world_reconcile(world);
    assert_string_equal(world_actions(world), actions);
    assert_true(world_apply(world, PLAN_ACTIONS_MAX));
}

static struct str pod_at(struct world *world, size_t n)
{
    struct json *pod = world_nth(world, &kube_pods, n);
    assert_non_null(pod);
    return arena_copy(&world->arena, world_name(pod));
}

static struct str start(struct world *world, const char *spec)
{
    world_performer(world, spec);
    world_settle(world);
    struct str pod = pod_at(world, 0);
    world_run(world, pod, "n1");
    world_settle(world);
    assert_string_equal(world_status(world, "phase"), "Running");
    return pod;
}

static void change_spec(struct world *world, const char *spec)
{
    world_merge(world, &kube_performers, STR("solo"),
                arena_printf(&world->arena, "{\"spec\":{%s}}", spec).ptr);
}

static void assert_status(struct world *world, const char *phase, const char *stage,
                          const char *ready)
{
    assert_string_equal(world_status(world, "phase"), phase);
    assert_string_equal(world_status(world, "stage"), stage);
    assert_string_equal(world_status(world, "ready"), ready);
}

#define BLUE_GREEN "\"upgradeStrategy\":\"BlueGreen\""
#define NEW_IMAGE  "\"image\":\"registry.example/solo:v2\""

/* ---- Recreate ---- */

static void recreate_ends_the_old_pod_before_it_makes_the_new_one(void **state)
{
    struct world *world = *state;
    struct str old = start(world, "");
    change_spec(world, NEW_IMAGE);
    step(world, "write status, delete old pod");
    assert_string_equal(world_events(world), "Upgrading");
    assert_status(world, "Upgrading", "Upgrading", "false");
    step(world, "");
    world_remove(world, &kube_pods, old);
    world_advance_ms(world, 1000);
    step(world, "create pod, switch service");
    struct str new = pod_at(world, 0);
    assert_false(str_eq(new, old));
    world_run(world, new, "n2");
    step(world, "write status");
    assert_string_equal(world_events(world), "Upgraded");
    assert_status(world, "Running", "Running", "true");
    assert_string_equal(world_status(world, "lastUpgrade"), "2026-01-02T03:04:06Z");
    assert_string_equal(world_status(world, "observedGeneration"), "2");
    step(world, "");
    assert_int_equal(world->peak_running, 1);
}

/* The catalog of the webhook may be newer than ours for a minute. */
static void recreate_ends_nothing_for_a_pod_that_the_catalog_cannot_place(void **state)
{
    struct world *world = *state;
    struct str old = start(world, "");
    change_spec(world, "\"hardwareRequirements\":{\"gpuType\":\"nvidia-x\",\"gpuCount\":1}");
    step(world, "write status");
    assert_status(world, "Upgrading", "Failed", "true");
    assert_string_equal(world_condition(world, "Ready", "reason"), "HardwareUnknown");
    assert_string_equal(world_status(world, "podName"), old.ptr);
    step(world, "");
    world_delete(world, &kube_services, STR("performer-solo"));
    world_settle(world);
    assert_string_equal(world_status(world, "ready"), "true");
    change_spec(world, "\"hardwareRequirements\":{\"gpuType\":\"nvidia-a100\",\"gpuCount\":1}");
    step(world, "write status, delete old pod"); /* now it can */
    world_remove(world, &kube_pods, old);
    step(world, "create pod, switch service");
    assert_int_equal(world->peak_running, 1);
}

static void a_change_beside_the_pod_restarts_nothing(void **state)
{
    struct world *world = *state;
    struct str pod = start(world, "");
    change_spec(world, "\"backoffLimit\":3," BLUE_GREEN ",\"nodeFailurePolicy\":\"Wait\"");
    step(world, "write status"); /* the generation was seen */
    assert_status(world, "Running", "Running", "true");
    step(world, "");
    assert_str_equal(pod_at(world, 0), pod);
}

static void every_change_of_the_pod_is_an_upgrade(void **state)
{
    static const char *const changes[] = {
        "\"version\":\"v2\"",
        "\"config\":{\"grpcPort\":9091}",
        "\"config\":{\"environment\":{\"A\":\"b\"}}",
        "\"resources\":{\"limits\":{\"cpu\":\"1\"}}",
        "\"scheduling\":{\"nodeSelector\":{\"a\":\"b\"}}",
        "\"hardwareRequirements\":{\"customLabels\":{\"a\":\"b\"}}",
        "\"imagePullSecrets\":[{\"name\":\"s\"}]",
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        tear_down(state);
        set_up(state);
        struct world *world = *state;
        start(world, "");
        change_spec(world, changes[i]);
        step(world, "write status, delete old pod");
        assert_string_equal(world_status(world, "phase"), "Upgrading");
    }
}

static void a_failed_upgrade_is_mended_by_the_next(void **state)
{
    struct world *world = *state;
    struct str old = start(world, "");
    change_spec(world, NEW_IMAGE);
    world_settle(world);
    world_remove(world, &kube_pods, old);
    world_settle(world);
    struct str bad = pod_at(world, 0);
    world_schedule(world, bad, "n1");
    world_container(world, bad, "{\"waiting\":{\"reason\":\"ErrImagePull\"}}");
    world_settle(world);
    assert_status(world, "Failed", "Failed", "false");
    change_spec(world, "\"image\":\"registry.example/solo:v3\"");
    step(world, "write status, delete old pod");
    assert_status(world, "Upgrading", "Upgrading", "false");
    assert_string_equal(world_status(world, "retries"), "0");
    world_remove(world, &kube_pods, bad);
    world_settle(world);
    world_run(world, pod_at(world, 0), "n1");
    world_settle(world);
    assert_status(world, "Running", "Running", "true");
    assert_string_not_equal(world_status(world, "lastUpgrade"), "");
}

static void the_way_back_to_the_revision_of_before_is_no_upgrade(void **state)
{
    struct world *world = *state;
    struct str old = start(world, "");
    change_spec(world, NEW_IMAGE);
    world_settle(world);
    world_remove(world, &kube_pods, old);
    change_spec(world, "\"image\":\"registry.example/solo:v1\"");
    world_settle(world);
    assert_str_equal(pod_at(world, 0), old);
    world_run(world, old, "n1");
    world_settle(world);
    assert_status(world, "Running", "Running", "true");
    assert_string_equal(world_status(world, "lastUpgrade"), "");
}

static void an_upgrade_takes_a_pod_of_the_old_operator_along(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    world_create(world, &kube_pods,
                 "{\"metadata\":{\"name\":\"performer-solo\",\"namespace\":\"team\","
                 "\"labels\":{\"app\":\"hourglass-performer\"},\"ownerReferences\":[{\"kind\":"
                 "\"Performer\",\"name\":\"solo\",\"uid\":\"uid-solo\",\"controller\":true}]},"
                 "\"spec\":{\"containers\":[{\"name\":\"performer\",\"image\":\"x\"}]}}");
    world_create(world, &kube_services,
                 "{\"metadata\":{\"name\":\"performer-solo\",\"namespace\":\"team\","
                 "\"ownerReferences\":[{\"kind\":\"Performer\",\"name\":\"solo\",\"uid\":"
                 "\"uid-solo\",\"controller\":true}]},\"spec\":{\"selector\":{\"app\":\"x\"},"
                 "\"ports\":[{\"port\":8080}]}}");
    world_run(world, STR("performer-solo"), "n1");
    step(world, "write status, delete old pod");
    world_remove(world, &kube_pods, STR("performer-solo"));
    step(world, "create pod, restore service");
    world_run(world, pod_at(world, 0), "n1");
    world_settle(world);
    assert_status(world, "Running", "Running", "true");
}

/* ---- BlueGreen ---- */

static void blue_green_switches_when_the_new_pod_is_ready(void **state)
{
    struct world *world = *state;
    struct str old = start(world, BLUE_GREEN);
    change_spec(world, NEW_IMAGE ",\"config\":{\"grpcPort\":9095}");
    step(world, "write status, create pod");
    assert_string_equal(world_events(world), "Upgrading");
    assert_status(world, "Upgrading", "PodRecreation", "true");
    assert_string_equal(world_condition(world, "Ready", "reason"), "ServingOldRevision");
    assert_string_equal(world_status(world, "podName"), old.ptr);
    assert_string_equal(world_status(world, "grpcEndpoint"),
                        "performer-solo.team.svc.cluster.local:9090");
    struct str new = pod_at(world, 1);
    step(world, "");
    world_run(world, new, "n2");
    step(world, "switch service");
    step_at_once(world, ""); /* the endpoints still show the old pod, which serves */
    assert_string_equal(world_status(world, "ready"), "true");
    step(world, "write status");
    assert_status(world, "Running", "Running", "true");
    assert_string_equal(world_status(world, "podName"), new.ptr);
    assert_string_equal(world_status(world, "lastUpgrade"), "2026-01-02T03:04:05Z");
    assert_string_equal(world_status(world, "grpcEndpoint"),
                        "performer-solo.team.svc.cluster.local:9095");
    world_advance_ms(world, 9999);
    step(world, "");
    world_advance_ms(world, 1);
    step(world, "delete pod of before the upgrade");
    step(world, "");
    world_remove(world, &kube_pods, old);
    step(world, "");
    assert_int_equal(world->peak_running, 2);
}

static void a_clock_that_is_put_back_does_not_keep_the_old_pod(void **state)
{
    struct world *world = *state;
    start(world, BLUE_GREEN);
    change_spec(world, NEW_IMAGE);
    world_settle(world);
    world_run(world, pod_at(world, 1), "n2");
    world_settle(world);
    assert_status(world, "Running", "Running", "true");
    world->now.wall_ns -= 9 * CLOCK_NS_PER_SEC; /* two clocks never agree quite */
    step(world, "");
    world->now.wall_ns -= 3600 * CLOCK_NS_PER_SEC;
    step(world, "delete pod of before the upgrade");
}

static void blue_green_goes_on_serving_while_the_new_pod_fails(void **state)
{
    struct world *world = *state;
    struct str old = start(world, BLUE_GREEN);
    change_spec(world, NEW_IMAGE);
    world_settle(world);
    struct str new = pod_at(world, 1);
    world_schedule(world, new, "n2");
    world_container(world, new, "{\"waiting\":{\"reason\":\"ErrImagePull\"}}");
    step(world, "write status");
    assert_string_equal(world_events(world), "ImagePullFailed");
    assert_status(world, "Upgrading", "Failed", "true");
    assert_string_equal(world_condition(world, "Ready", "status"), "True");
    assert_string_equal(world_condition(world, "Ready", "reason"), "ImagePullFailed");
    step(world, "");
    world_advance_ms(world, 10000);
    step(world, "write status, delete failed pod");
    assert_status(world, "Upgrading", "Upgrading", "true");
    step(world, "");
    world_remove(world, &kube_pods, new);
    step(world, "create pod");
    assert_int_equal(world_count(world, &kube_pods), 2);
    change_spec(world, "\"image\":\"registry.example/solo:v1\"");
    step(world, "write status, delete old pod"); /* the new one, which is not wanted any more */
    assert_status(world, "Running", "Running", "true");
    assert_str_equal(pod_at(world, 0), old);
    assert_int_equal(world->peak_running, 2);
}

static void blue_green_keeps_only_a_pod_that_serves(void **state)
{
    struct world *world = *state;
    struct str old = start(world, BLUE_GREEN);
    world_unready(world, old);
    world_settle(world);
    change_spec(world, NEW_IMAGE);
    step(world, "write status, delete old pod");
    assert_status(world, "Upgrading", "Upgrading", "false");
}

static void blue_green_has_never_more_than_two_pods(void **state)
{
    struct world *world = *state;
    start(world, BLUE_GREEN);
    change_spec(world, NEW_IMAGE);
    world_settle(world);
    struct str second = pod_at(world, 1);
    world_schedule(world, second, "n2");
    change_spec(world, "\"image\":\"registry.example/solo:v3\"");
    step(world, "write status, delete old pod");
    step(world, "");
    world_remove(world, &kube_pods, second);
    step(world, "create pod");
    world_run(world, pod_at(world, 1), "n2");
    world_settle(world);
    world_advance_ms(world, 10000);
    world_settle(world);
    assert_status(world, "Running", "Running", "true");
    assert_int_equal(world->peak_running, 2);
}

static void what_serves_is_reachable_while_the_new_pod_cannot_be_made(void **state)
{
    static const struct {
        const char *change;
        bool is_refused;
    } changes[] = {
        {NEW_IMAGE, true},
        {"\"hardwareRequirements\":{\"gpuType\":\"nvidia-x\",\"gpuCount\":1}", false},
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        tear_down(state);
        set_up(state);
        struct world *world = *state;
        struct str old = start(world, BLUE_GREEN);
        change_spec(world, changes[i].change);
        if (changes[i].is_refused) {
            world->refuse = &kube_pods;
            world->refuse_outcome = KUBE_INVALID;
            world->refuse_message = "because";
        }
        world_reconcile(world);
        assert_int_equal(world_apply(world, PLAN_ACTIONS_MAX), !changes[i].is_refused);
        world_settle(world);
        assert_status(world, "Upgrading", "Failed", "true");
        world_delete(world, &kube_services, STR("performer-solo"));
        world_settle(world);
        assert_int_equal(world_count(world, &kube_services), 1);
        assert_string_equal(world_status(world, "ready"), "true");
        assert_str_equal(pod_at(world, 0), old);
        assert_int_equal(world_count(world, &kube_pods), 1);
    }
}

static void blue_green_goes_back_while_the_old_pod_is_there(void **state)
{
    struct world *world = *state;
    struct str old = start(world, BLUE_GREEN);
    change_spec(world, NEW_IMAGE);
    world_settle(world);
    struct str new = pod_at(world, 1);
    world_run(world, new, "n2");
    world_settle(world);
    assert_string_equal(world_status(world, "podName"), new.ptr);
    world_unready(world, new); /* within the ten seconds */
    world_settle(world);
    assert_string_equal(world_status(world, "podName"), old.ptr);
    assert_string_equal(world_status(world, "ready"), "true");
    world_run(world, new, "n2");
    world_settle(world);
    assert_string_equal(world_status(world, "podName"), new.ptr);
}

/* ---- Lost nodes ---- */

static void a_pod_on_a_lost_node_is_replaced_after_two_minutes(void **state)
{
    struct world *world = *state;
    struct str old = start(world, "");
    world_set_node(world, "n1", false);
    step(world, "write status");
    assert_status(world, "Running", "Running", "false");
    assert_string_equal(world_condition(world, "Ready", "reason"), "NodeNotReady");
    world_advance_ms(world, 119999);
    step(world, "");
    assert_true(world->plan.requeue_after_ns <= CLOCK_NS_PER_MS);
    world_advance_ms(world, 1);
    step(world, "write status, detach pod from service, delete pod of lost node, create pod");
    assert_status(world, "Pending", "PodCreation", "false");
    assert_string_equal(world_status(world, "attempt"), "1");
    assert_string_equal(world_status(world, "retries"), "0");
    assert_int_equal(world_count(world, &kube_pods), 2);
    assert_int_equal(world->peak_running, 1);
    step(world, ""); /* the old one waits for its node: nothing is forced */
    struct str new = pod_at(world, 1);
    world_run(world, new, "n2");
    world_settle(world);
    assert_status(world, "Running", "Running", "true");
    assert_string_equal(world_status(world, "nodeName"), "n2");
    world_set_node(world, "n1", true); /* it comes back */
    step(world, "");
    world_remove(world, &kube_pods, old);
    world_settle(world);
    assert_str_equal(pod_at(world, 0), new);
    assert_status(world, "Running", "Running", "true");
}

static void a_node_that_comes_back_in_time_changes_nothing(void **state)
{
    struct world *world = *state;
    struct str pod = start(world, "");
    world_set_node(world, "n1", false);
    world_settle(world);
    world_advance_ms(world, 60000);
    world_set_node(world, "n1", true);
    world_run(world, pod, "n1");
    world_settle(world);
    world_advance_ms(world, 120000);
    world_settle(world);
    assert_int_equal(world_count(world, &kube_pods), 1);
    assert_status(world, "Running", "Running", "true");
}

static void who_waits_for_its_node_is_not_replaced(void **state)
{
    struct world *world = *state;
    start(world, "\"nodeFailurePolicy\":\"Wait\"");
    world_set_node(world, "n1", false);
    world_settle(world);
    world_advance_ms(world, 24 * 3600 * 1000);
    world_settle(world);
    assert_int_equal(world_count(world, &kube_pods), 1);
    assert_status(world, "Running", "Running", "false");
    assert_string_equal(world_condition(world, "Ready", "reason"), "NodeNotReady");
}

static void a_pod_of_a_node_out_of_service_is_forced(void **state)
{
    struct world *world = *state;
    start(world, "");
    world_set_node(world, "n1", false);
    world_settle(world);
    world_merge(world, &kube_nodes, STR("n1"),
                "{\"spec\":{\"taints\":[{\"key\":\"node.kubernetes.io/out-of-service\","
                "\"effect\":\"NoExecute\"}]}}");
    step(world, "write status, delete pod of dead node, create pod");
    assert_string_equal(world_events(world), "NodeLost");
    assert_int_equal(world_count(world, &kube_pods), 1);
    assert_int_equal(world->peak_running, 1);
}

static void the_taint_alone_forces_nothing(void **state)
{
    struct world *world = *state;
    start(world, "");
    world_merge(world, &kube_nodes, STR("n1"),
                "{\"spec\":{\"taints\":[{\"key\":\"node.kubernetes.io/out-of-service\","
                "\"effect\":\"NoExecute\"}]}}");
    step(world, "");
}

static void a_node_that_is_gone_is_noted_before_anything_is_forced(void **state)
{
    struct world *world = *state;
    start(world, "");
    world_remove(world, &kube_nodes, STR("n1"));
    step(world, "note that the node is gone");
    step(world, "");
    world_advance_ms(world, 39000);
    step(world, "");
    world_advance_ms(world, 1000);
    step(world, "write status, delete pod of dead node, create pod");
    assert_string_equal(world_status(world, "attempt"), "1");
    assert_int_equal(world_count(world, &kube_pods), 1);
}

static void a_node_that_is_seen_again_is_no_longer_noted(void **state)
{
    struct world *world = *state;
    struct str pod = start(world, "");
    world_remove(world, &kube_nodes, STR("n1"));
    world_settle(world);
    world_node(world, "n1");
    step(world, "note that the node is gone"); /* that it is not, that is */
    assert_null(kube_at(world_get(world, &kube_pods, pod), "metadata", "annotations",
                        "callboard.dev/node-gone-since", NULL));
    world_advance_ms(world, 24 * 3600 * 1000);
    step(world, "");
}

/* As the node lifecycle controller: it is the network then, and moving all would end what still runs. */
static void nothing_is_moved_while_most_nodes_do_not_answer(void **state)
{
    static const char *const names[] = {"n1", "n2", "n3", "n4", "n5"};
    struct world *world = *state;
    for (size_t i = 2; i < 5; i++)
        world_node(world, names[i]);
    struct str pod = start(world, "");
    for (size_t i = 0; i < 3; i++)
        world_set_node(world, names[i], false);
    world_settle(world);
    world_advance_ms(world, 3600 * 1000);
    step(world, "");
    assert_true(world->plan.requeue_after_ns > 0);
    assert_string_equal(world_condition(world, "Ready", "reason"), "NodeNotReady");
    assert_str_equal(pod_at(world, 0), pod);
    world_set_node(world, "n2", true);
    world_advance_ms(world, world->plan.requeue_after_ns / CLOCK_NS_PER_MS);
    step(world, "write status, detach pod from service, delete pod of lost node, create pod");
}

static void the_only_node_is_waited_for(void **state)
{
    struct world *world = *state;
    start(world, "");
    world_remove(world, &kube_nodes, STR("n2"));
    world_set_node(world, "n1", false);
    world_settle(world);
    world_advance_ms(world, 3600 * 1000);
    step(world, "");
}

static void a_time_out_of_all_bounds_is_none(void **state)
{
    struct world *world = *state;
    struct str pod = start(world, "");
    world_merge(world, &kube_pods, pod,
                "{\"metadata\":{\"annotations\":{\"callboard.dev/node-gone-since\":"
                "\"1678-01-01T00:00:00Z\"}}}");
    world_remove(world, &kube_nodes, STR("n1"));
    step(world, "note that the node is gone");
}

static void the_end_waits_for_a_lost_node_and_says_so(void **state)
{
    struct world *world = *state;
    struct str pod = start(world, "");
    world_set_node(world, "n1", false);
    world_settle(world);
    world_delete(world, &kube_performers, STR("solo"));
    world_settle(world);
    world_advance_ms(world, 24 * 3600 * 1000);
    world_settle(world);
    assert_int_equal(world_count(world, &kube_performers), 1);
    assert_string_equal(world_condition(world, "Ready", "message"),
                        arena_printf(&world->arena,
                                     "waiting for pod %.*s: its node n1 does not answer. If it "
                                     "will not come back, delete the Node or give it the taint "
                                     "node.kubernetes.io/out-of-service",
                                     (int)pod.len, pod.ptr)
                            .ptr);
    world_remove(world, &kube_nodes, STR("n1"));
    world_settle(world);
    world_advance_ms(world, 40000);
    world_settle(world);
    assert_int_equal(world_count(world, &kube_performers), 0);
}

static void a_pod_lost_while_it_failed_is_replaced_once(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    world_settle(world);
    world_schedule(world, pod_at(world, 0), "n1");
    world_container(world, pod_at(world, 0), "{\"waiting\":{\"reason\":\"ErrImagePull\"}}");
    world_settle(world);
    world_set_node(world, "n1", false);
    world_advance_ms(world, 120000);
    step(world, "write status, detach pod from service, delete pod of lost node, create pod");
    assert_string_equal(world_status(world, "attempt"), "1");
    world_settle(world);
    assert_int_equal(world_count(world, &kube_pods), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(recreate_ends_the_old_pod_before_it_makes_the_new_one),
        TEST(recreate_ends_nothing_for_a_pod_that_the_catalog_cannot_place),
        TEST(a_change_beside_the_pod_restarts_nothing),
        TEST(every_change_of_the_pod_is_an_upgrade),
        TEST(a_failed_upgrade_is_mended_by_the_next),
        TEST(the_way_back_to_the_revision_of_before_is_no_upgrade),
        TEST(an_upgrade_takes_a_pod_of_the_old_operator_along),
        TEST(blue_green_switches_when_the_new_pod_is_ready),
        TEST(a_clock_that_is_put_back_does_not_keep_the_old_pod),
        TEST(blue_green_goes_on_serving_while_the_new_pod_fails),
        TEST(blue_green_keeps_only_a_pod_that_serves),
        TEST(blue_green_has_never_more_than_two_pods),
        TEST(what_serves_is_reachable_while_the_new_pod_cannot_be_made),
        TEST(blue_green_goes_back_while_the_old_pod_is_there),
        TEST(a_pod_on_a_lost_node_is_replaced_after_two_minutes),
        TEST(a_node_that_comes_back_in_time_changes_nothing),
        TEST(who_waits_for_its_node_is_not_replaced),
        TEST(a_pod_of_a_node_out_of_service_is_forced),
        TEST(the_taint_alone_forces_nothing),
        TEST(a_node_that_is_gone_is_noted_before_anything_is_forced),
        TEST(a_node_that_is_seen_again_is_no_longer_noted),
        TEST(nothing_is_moved_while_most_nodes_do_not_answer),
        TEST(the_only_node_is_waited_for),
        TEST(a_time_out_of_all_bounds_is_none),
        TEST(the_end_waits_for_a_lost_node_and_says_so),
        TEST(a_pod_lost_while_it_failed_is_replaced_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
