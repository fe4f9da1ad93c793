/* Parts of the Performer controller by themselves: names, projections, keys, metrics, refusals. */
#include "unit/performer_world.h"

#include "base/metrics.h"
#include "controller/performer_parts.h"
#include "types/performer.h"

static int set_up(void **state)
{
    static struct world world;
    world_init(&world, mem_system());
    world_node(&world, "n1");
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    world_done(*state);
    return 0;
}

/* ---- Names ---- */

static const char *const *values_of(const char *field)
{
    const struct schema *status = schema_field(performer_kind.schema, STR("status"));
    return schema_field(status, str_from_cstr(field))->values;
}

static void phases_and_stages_are_those_of_the_table(void **state)
{
    (void)state;
    const char *const *stages = values_of("stage");
    for (int i = 1; i < STAGE_COUNT; i++) {
        assert_string_equal(performer_stage_name((enum performer_stage)i), stages[i - 1]);
        assert_int_equal(performer_stage_find(str_from_cstr(stages[i - 1])), i);
    }
    assert_null(stages[STAGE_COUNT - 1]);
    const char *const *phases = values_of("phase");
    for (int i = 1; i < PHASE_COUNT; i++) {
        assert_string_equal(performer_phase_name((enum performer_phase)i), phases[i - 1]);
        assert_int_equal(performer_phase_find(str_from_cstr(phases[i - 1])), i);
    }
    assert_null(phases[PHASE_COUNT - 1]);
}

static void every_reason_has_one_name_and_a_meaning(void **state)
{
    struct world *world = *state;
    for (int i = 1; i < REASON_COUNT; i++) {
        const char *name = performer_reason_name((enum performer_reason)i);
        assert_non_null(name);
        assert_int_equal(performer_reason_find(str_from_cstr(name)), i);
    }
    struct buf buf;
    buf_init(&buf, arena_mem(&world->arena), 1 << 20);
    performer_reason_write_markdown(&buf);
    assert_false(buf_failed(&buf));
    assert_int_equal(performer_reason_find(STR("Somebody")), REASON_NONE);
}

static void every_field_of_a_written_status_is_in_the_table(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    world_settle(world);
    world_run(world, world_name(world_nth(world, &kube_pods, 0)), "n1");
    world_settle(world);
    const struct json *performer = world_nth(world, &kube_performers, 0);
    struct err_list errors;
    err_list_init(&errors, &world->arena, ERR_LIST_MAX);
    schema_validate(schema_field(performer_kind.schema, STR("status")),
                    json_get(performer, STR("status")), SCHEMA_UNKNOWN_REFUSED, NULL, &errors);
    assert_true(err_list_is_empty(&errors));
}

/* ---- Projections ---- */

static const struct stored *cached(struct world *world, const struct store *store, const char *name)
{
    (void)world;
    return store_get(store, STR("team"), str_from_cstr(name));
}

static void what_does_not_matter_is_no_other_status(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    world_settle(world);
    world_run(world, world_name(world_nth(world, &kube_pods, 0)), "n1");
    world_settle(world);
    world_merge(world, &kube_performers, STR("solo"), "{\"status\":{\"foreign\":\"field\"}}");
    size_t writes = world->writes;
    world_settle(world);
    assert_int_equal(world->writes, writes);
    world_merge(world, &kube_performers, STR("solo"), "{\"status\":{\"podName\":\"x\"}}");
    world_settle(world);
    assert_int_equal(world->writes, writes + 1);
}

static void odd_objects_are_taken_as_they_are(void **state)
{
    struct world *world = *state;
    world_create(world, &kube_performers,
                 "{\"metadata\":{\"name\":\"solo\",\"namespace\":\"team\"},\"spec\":[],"
                 "\"status\":{\"phase\":7,\"conditions\":\"x\",\"attempt\":\"y\"}}");
    const struct performer_object *performer =
        (const struct performer_object *)cached(world, world->controller.performers, "solo");
    assert_int_equal(performer->grpc_port, 9090);
    assert_int_equal(performer->phase, PHASE_NONE);
    assert_int_equal(performer->backoff_limit, -1);
    world_merge(world, &kube_performers, STR("solo"),
                "{\"status\":{\"attempt\":9223372036854775807,\"retries\":-7,"
                "\"nextRetryTime\":\"1678-01-01T00:00:00Z\"}}");
    performer =
        (const struct performer_object *)cached(world, world->controller.performers, "solo");
    assert_int_equal(performer->attempt, 0);
    assert_int_equal(performer->retries, 0);
    assert_int_equal(performer->next_retry_ns, 0);
    world_create(world, &kube_pods,
                 "{\"metadata\":{\"name\":\"p\",\"namespace\":\"team\",\"labels\":{"
                 "\"callboard.dev/attempt\":\"-5\",\"callboard.dev/revision\":\"zz\"}},"
                 "\"spec\":{\"containers\":{}},\"status\":{\"containerStatuses\":[1]}}");
    const struct performer_pod *pod =
        (const struct performer_pod *)cached(world, world->controller.pods, "p");
    assert_int_equal(pod->revision, 0);
    assert_int_equal(pod->container, -1);
    assert_int_equal(pod->state, CONTAINER_NONE);
}

static void ten_thousand_performers_are_cheap(void **state)
{
    struct world *world = *state;
    world_performer(world, "\"resources\":{\"limits\":{\"memory\":\"1Gi\",\"cpu\":\"1\"}},"
                           "\"hardwareRequirements\":{\"gpuType\":\"nvidia-a100\",\"gpuCount\":1}");
    world_settle(world);
    world_run(world, world_name(world_nth(world, &kube_pods, 0)), "n1");
    world_settle(world);
    size_t bytes = 0;
    bytes += cached(world, world->controller.performers, "solo")->size;
    bytes += cached(world, world->controller.services, "performer-solo")->size;
    bytes += cached(world, world->controller.slices, "performer-solo-x")->size;
    bytes += store_first_owned(world->controller.pods, STR("uid-solo"))->size;
    if (bytes > 2560)
        fail_msg("a Performer and its children take %zu bytes", bytes);
}

/* ---- Keys ---- */

static void performers_of_one_name_in_two_namespaces_have_nothing_in_common(void **state)
{
    struct world *world = *state;
    struct err err;
    world_performer(world, "");
    world_settle(world);
    world_run(world, world_name(world_nth(world, &kube_pods, 0)), "n1");
    world_settle(world);
    world_create(world, &kube_performers,
                 "{\"metadata\":{\"name\":\"solo\",\"namespace\":\"other\",\"finalizers\":"
                 "[\"hourglass.eigenlayer.io/performer-finalizer\"]},"
                 "\"spec\":{\"avsAddress\":\"0x2\",\"image\":\"a:v1\"}}");
    struct plan plan = {.arena = &world->plan_arena};
    struct queue_key key = {STR("other"), STR("solo")};
    assert_int_equal(performer_reconcile(&world->controller, key, world->now, &plan, &err), 0);
    assert_int_equal(plan.action_count, 2);
    assert_string_equal(plan.actions[0].purpose, "create pod");
    assert_string_equal(plan.actions[1].purpose, "create service");
    for (size_t i = 0; i < 2; i++)
        assert_str_is(plan.actions[i].namespace, "other");
}

static void children_lead_to_their_performer(void **state)
{
    struct world *world = *state;
    struct queue_key key;
    world_performer(world, "");
    world_settle(world);
    struct str name = world_name(world_nth(world, &kube_pods, 0));
    const struct performer_controller *c = &world->controller;
    assert_true(performer_key_of_pod(store_get(c->pods, STR("team"), name), &key));
    assert_str_is(key.name, "solo");
    assert_str_is(key.namespace, "team");
    assert_true(performer_key_of_service(cached(world, c->services, "performer-solo"), &key));
    assert_str_is(key.name, "solo");
    assert_true(performer_key_of_slice(cached(world, c->slices, "performer-solo-x"), &key));
    assert_str_is(key.name, "solo");
    world_merge(world, &kube_pods, name, "{\"metadata\":{\"ownerReferences\":null}}");
    assert_true(performer_key_of_pod(store_get(c->pods, STR("team"), name), &key));
    assert_str_is(key.name, "solo");
    world_merge(world, &kube_pods, name, "{\"metadata\":{\"labels\":null}}");
    assert_false(performer_key_of_pod(store_get(c->pods, STR("team"), name), &key));
}

static void count_key(void *ctx, struct queue_key key)
{
    size_t *count = ctx;
    assert_str_is(key.name, "solo");
    ++*count;
}

static void a_node_leads_to_the_performers_on_it(void **state)
{
    struct world *world = *state;
    size_t on_n1 = 0, on_n2 = 0;
    world_performer(world, "");
    world_settle(world);
    world_schedule(world, world_name(world_nth(world, &kube_pods, 0)), "n1");
    performer_each_on_node(&world->controller, STR("n1"), count_key, &on_n1);
    performer_each_on_node(&world->controller, STR("n2"), count_key, &on_n2);
    assert_int_equal(on_n1, 1);
    assert_int_equal(on_n2, 0);
}

static void a_heartbeat_of_a_node_does_not_matter(void **state)
{
    (void)state;
    struct performer_node before = {.is_ready = true, .since_ns = 1}, after = before;
    after.stored.version = 2;
    assert_false(performer_node_matters(&before.stored, &after.stored));
    after.is_ready = false;
    assert_true(performer_node_matters(&before.stored, &after.stored));
    assert_true(performer_node_matters(NULL, &after.stored));
    assert_true(performer_node_matters(&after.stored, NULL));
}

/* ---- Metrics ---- */

static uint64_t stage_count(const struct performer_metrics *metrics, const char *stage)
{
    return counter_value(counter_of(metrics->stages, METRICS_VALUES(str_from_cstr(stage))));
}

static void stages_that_are_passed_at_once_count_one_by_one(void **state)
{
    struct metrics registry;
    struct performer_metrics metrics;
    struct performer_object none = {0}, scheduling = {.stage = STAGE_SCHEDULING},
                            running = {.stage = STAGE_RUNNING, .ready_ns = 2 * CLOCK_NS_PER_SEC},
                            upgrading = {.stage = STAGE_UPGRADING, .retries = 1},
                            recreation = {.stage = STAGE_POD_RECREATION};
    (void)state;
    metrics_init(&registry, mem_system());
    performer_metrics_add(&metrics, &registry);
    performer_metrics_observe(&metrics, NULL, &none.stored);
    performer_metrics_observe(&metrics, &none.stored, &scheduling.stored);
    assert_int_equal(stage_count(&metrics, "PodCreation"), 1);
    assert_int_equal(stage_count(&metrics, "Scheduling"), 1);
    performer_metrics_observe(&metrics, &scheduling.stored, &running.stored);
    assert_int_equal(stage_count(&metrics, "Scheduling"), 1);
    assert_int_equal(stage_count(&metrics, "ImagePull"), 1);
    assert_int_equal(stage_count(&metrics, "Running"), 1);
    assert_int_equal(histogram_count(metrics.ready_seconds), 1);
    performer_metrics_observe(&metrics, &running.stored, &upgrading.stored);
    assert_int_equal(stage_count(&metrics, "Upgrading"), 1);
    assert_int_equal(counter_value(metrics.retries), 1);
    performer_metrics_observe(&metrics, &recreation.stored, &running.stored);
    assert_int_equal(stage_count(&metrics, "ImagePull"), 2);
    assert_int_equal(stage_count(&metrics, "PodCreation"), 1);
    assert_int_equal(stage_count(&metrics, "Running"), 2);
    performer_metrics_observe(&metrics, &running.stored, &running.stored);
    assert_int_equal(stage_count(&metrics, "Running"), 2);
    metrics_done(&registry);
}

/* ---- Refusals ---- */

static bool refuse_with(const struct mem *mem, void *ctx)
{
    struct world *world = ctx;
    struct arena arena;
    arena_init(&arena, mem, 1 << 10, 1 << 24);
    struct plan plan = {.arena = &arena};
    const struct action action = {.verb = ACTION_CREATE, .resource = &kube_pods};
    const struct action_failure failure = {.outcome = KUBE_INVALID, .message = STR("because")};
    struct queue_key key = {STR("team"), STR("solo")};
    bool gives_up =
        performer_refused(&world->controller, key, world->now, &action, &failure, &plan);
    arena_done(&arena);
    return gives_up && plan.action_count == 1;
}

static void a_refusal_without_memory_is_not_lost(void **state)
{
    struct world *world = *state;
    world_performer(world, "");
    test_every_allocation_failing(refuse_with, world);
}

static void what_is_refused_and_no_creation_backs_off(void **state)
{
    struct world *world = *state;
    struct plan plan = {.arena = &world->plan_arena};
    const struct action_failure failure = {.outcome = KUBE_FORBIDDEN_BY, .message = STR("no")};
    struct queue_key key = {STR("team"), STR("solo")};
    world_performer(world, "");
    const struct action patch = {.verb = ACTION_PATCH_MERGE, .resource = &kube_pods};
    assert_false(performer_refused(&world->controller, key, world->now, &patch, &failure, &plan));
    assert_int_equal(plan.action_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(phases_and_stages_are_those_of_the_table),
        TEST(every_reason_has_one_name_and_a_meaning),
        TEST(every_field_of_a_written_status_is_in_the_table),
        TEST(what_does_not_matter_is_no_other_status),
        TEST(odd_objects_are_taken_as_they_are),
        TEST(ten_thousand_performers_are_cheap),
        TEST(performers_of_one_name_in_two_namespaces_have_nothing_in_common),
        TEST(children_lead_to_their_performer),
        TEST(a_node_leads_to_the_performers_on_it),
        TEST(a_heartbeat_of_a_node_does_not_matter),
        TEST(stages_that_are_passed_at_once_count_one_by_one),
        TEST(a_refusal_without_memory_is_not_lost),
        TEST(what_is_refused_and_no_creation_backs_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
