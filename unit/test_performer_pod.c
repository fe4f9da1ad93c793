/*
 * What a Performer is made into. unit/testdata/performers holds Performers, each with the Service and the
 * pod of its first reconcile; UPDATE_GOLDEN=1 writes those anew: look at what has changed. That an API
 * server takes them is tested by e2e.
 */
#include "unit/performer_world.h"

#include "controller/performer_parts.h"
#include "schema/format.h"
#include "types/names.h"
#include "json/yaml.h"

#include <stdio.h>
#include <stdlib.h>

#define FOLDER "performers"

struct fixture {
    struct world world;
    struct test_mem mem;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    test_mem_init(&fixture.mem);
    world_init(&fixture.world, &fixture.mem.mem);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    world_done(&fixture->world);
    test_mem_done(&fixture->mem);
    return 0;
}

static struct json *read_yaml(struct world *world, struct str text)
{
    struct yaml_reader reader;
    struct json *json = NULL;
    struct err err;
    yaml_reader_init(&reader, text, &json_limits_default);
    if (yaml_reader_next(&reader, &world->arena, &json, &err) != 1)
        fail_msg("%s", err.message);
    yaml_reader_done(&reader);
    return json;
}

/* The first plan for the Performer in a file, "NAME.yaml". */
static void plan_of(struct world *world, const char *name)
{
    struct str file = arena_printf(&world->arena, FOLDER "/%s.yaml", name);
    struct json *performer = read_yaml(world, test_read_file(&world->arena, file.ptr));
    struct buf text;
    struct err err;
    buf_init(&text, arena_mem(&world->arena), 1 << 20);
    json_write(&text, performer);
    buf_put_char(&text, '\0');
    world_create(world, &kube_performers, text.ptr);
    world->controller.scheduler = strcmp(name, "marked") == 0  ? PERFORMER_SCHEDULER_MARKED
                                  : strcmp(name, "plain") == 0 ? PERFORMER_SCHEDULER_PLAIN
                                                               : PERFORMER_SCHEDULER_OWN;
    struct queue_key key = {STR("team"), str_from_cstr(name)};
    arena_reset(&world->plan_arena);
    world->plan = (struct plan){.arena = &world->plan_arena};
    if (performer_reconcile(&world->controller, key, world->now, &world->plan, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(world_actions(world), "create pod, create service");
}

static struct json *body(struct world *world, size_t action)
{
    struct err err;
    struct json *json =
        json_read(&world->arena, world->plan.actions[action].body, &json_limits_default, &err);
    assert_non_null(json);
    return json;
}

static void check_golden(struct world *world, const char *name)
{
    struct buf text;
    buf_init(&text, arena_mem(&world->arena), 1 << 20);
    for (size_t i = 0; i < world->plan.action_count; i++) {
        buf_put(&text, i ? STR("---\n") : STR(""));
        yaml_write(&text, body(world, i));
    }
    struct str file = arena_printf(&world->arena, FOLDER "/%s.golden.yaml", name);
    if (getenv("UPDATE_GOLDEN")) {
        FILE *golden = fopen(arena_printf(&world->arena, "unit/testdata/%s", file.ptr).ptr, "wb");
        assert_non_null(golden);
        assert_int_equal(fwrite(text.ptr, 1, text.len, golden), text.len);
        fclose(golden);
        return;
    }
    assert_str_equal(buf_str(&text), test_read_file(&world->arena, file.ptr));
}

static void performers_become_what_the_golden_files_say(void **state)
{
    static const char *const names[] = {
        "minimal",         "full", "gpu",    "gpu-type-alone",  "gpu-share",
        "gpu-shared-node", "tee",  "marked", "tee-given-class", "blue-green-wait",
        "plain",
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        plan_of(&f->world, names[i]);
        check_golden(&f->world, names[i]);
    }
}

/* ---- The parts that must never go wrong, in words ---- */

static const struct json *pod_spec(struct world *world)
{
    return kube_at(body(world, 0), "spec", NULL);
}

static const struct json *container(struct world *world)
{
    return json_first(kube_at(pod_spec(world), "containers", NULL));
}

static void a_tee_overrides_what_the_user_selects(void **state)
{
    struct fixture *f = *state;
    plan_of(&f->world, "tee");
    const struct json *selector = kube_at(pod_spec(&f->world), "nodeSelector", NULL);
    assert_str_is(
        kube_map_get(selector, STR("feature.node.kubernetes.io/cpu-security.tdx.enabled")), "true");
    assert_str_is(kube_map_get(selector, STR("disk")), "ssd");
    assert_str_is(kube_text_at(pod_spec(&f->world), "runtimeClassName", NULL), "kata-qemu-tdx");
}

static void the_gpu_type_is_asked_for_in_every_term_that_can_fit(void **state)
{
    struct fixture *f = *state;
    plan_of(&f->world, "gpu");
    const struct json *terms =
        kube_at(pod_spec(&f->world), "affinity", "nodeAffinity",
                "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms", NULL);
    assert_int_equal(terms->len, 3);
    for (size_t i = 0; i < 3; i++) {
        bool has_type = false;
        JSON_EACH (expression, kube_at(json_at(terms, i), "matchExpressions", NULL))
            has_type =
                has_type || str_eq(kube_text_at(expression, "key", NULL), STR(LABEL_GPU_PRODUCT));
        assert_int_equal(has_type, i < 2); /* an empty term fits no node, and must go on so */
    }
}

static void the_environment_is_sorted(void **state)
{
    struct fixture *f = *state;
    plan_of(&f->world, "full");
    struct str last = STR("");
    size_t count = 0;
    JSON_EACH (entry, kube_at(container(&f->world), "env", NULL)) {
        struct str name = kube_text_at(entry, "name", NULL);
        assert_true(str_cmp(last, name) < 0);
        last = name;
        count++;
    }
    assert_int_equal(count, 5);
}

static void the_order_of_members_makes_no_other_pod(void **state)
{
    struct fixture *f = *state;
    struct err err;
    uint64_t first = 0;
    static const char *const specs[] = {
        "{\"image\":\"a\",\"config\":{\"grpcPort\":1,\"environment\":{\"A\":\"1\",\"B\":\"2\"}}}",
        "{\"config\":{\"environment\":{\"B\":\"2\",\"A\":\"1\"},\"grpcPort\":1},\"image\":\"a\"}",
        "{\"config\":{\"environment\":{\"B\":\"2\",\"A\":\"1\"},\"grpcPort\":1,\"args\":[]},"
        "\"image\":\"a\",\"resources\":{},\"version\":null,\"avsAddress\":\"x\","
        "\"backoffLimit\":3,\"upgradeStrategy\":\"BlueGreen\",\"nodeFailurePolicy\":\"Wait\"}",
    };
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        uint64_t revision = performer_revision(
            json_read(&f->world.arena, str_from_cstr(specs[i]), &json_limits_default, &err));
        if (i == 0)
            first = revision;
        assert_int_equal(revision, first);
    }
}

/* Of the pods on clusters: another value would replace them all when the controller is upgraded. */
static void the_revision_stays_from_version_to_version(void **state)
{
    struct fixture *f = *state;
    plan_of(&f->world, "full");
    const struct json *labels = kube_at(body(&f->world, 0), "metadata", "labels", NULL);
    assert_str_is(kube_map_get(labels, STR(LABEL_REVISION)), "7da0de6cda0072b0");
    assert_str_is(world_name(body(&f->world, 0)), "performer-full-127fa2a61f");
}

static void labels_are_legal_and_tell_addresses_apart(void **state)
{
    static const struct {
        const char *text;
        const char *label;
    } cases[] = {
        {"0x1a2b", "0x1a2b"},
        {"0x123...", "0x123-%"},
        {"0x123..", "0x123-%"},
        {"...", "%"},
        {"eip155:1:0xAb", "eip155-1-0xAb-%"},
        {"0123456789012345678901234567890123456789012345678901234567890123456789",
         "012345678901234567890123456789012345678901234567890123-%"},
    };
    struct str seen[6];
    char values[6][LABEL_VALUE_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        seen[i] = performer_label_value(str_from_cstr(cases[i].text), values[i]);
        assert_true(format_is_valid(FORMAT_LABEL_VALUE, seen[i]));
        struct str fixed = str_from_cstr(cases[i].label);
        bool is_hashed = str_ends_with(fixed, STR("%"));
        fixed.len -= is_hashed;
        assert_int_equal(seen[i].len, fixed.len + (is_hashed ? 8 : 0));
        assert_true(str_starts_with(seen[i], fixed));
        for (size_t j = 0; j < i; j++)
            assert_false(str_eq(seen[i], seen[j]));
    }
}

/* ---- Memory ---- */

static bool plan_with(const struct mem *mem, void *ctx)
{
    struct world *world = ctx;
    struct arena arena;
    struct err err;
    arena_init(&arena, mem, 1 << 10, 1 << 24);
    struct plan plan = {.arena = &arena};
    struct queue_key key = {STR("team"), STR("full")};
    int result = performer_reconcile(&world->controller, key, world->now, &plan, &err);
    arena_done(&arena);
    return result == 0 && plan.action_count == 2;
}

static void a_plan_without_memory_is_no_plan(void **state)
{
    struct fixture *f = *state;
    plan_of(&f->world, "full");
    test_every_allocation_failing(plan_with, &f->world);
}

static bool project_with(const struct mem *mem, void *ctx)
{
    struct world *world = ctx;
    static const struct store_type *const types[] = {&performer_objects, &performer_services,
                                                     &performer_pods, &performer_nodes};
    bool succeeded = true;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct kube_meta meta;
        const struct json *object = world_nth(world, types[i]->resource, 0);
        kube_meta_read(object, &meta);
        struct stored *stored = types[i]->project(mem, object, &meta);
        succeeded = succeeded && stored;
        store_free_object(mem, stored);
    }
    return succeeded;
}

static void a_projection_without_memory_is_none(void **state)
{
    struct fixture *f = *state;
    world_performer(&f->world, "\"version\":\"v1\"");
    world_node(&f->world, "n1");
    world_settle(&f->world);
    test_every_allocation_failing(project_with, &f->world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(performers_become_what_the_golden_files_say),
        TEST(a_tee_overrides_what_the_user_selects),
        TEST(the_gpu_type_is_asked_for_in_every_term_that_can_fit),
        TEST(the_environment_is_sorted),
        TEST(the_order_of_members_makes_no_other_pod),
        TEST(the_revision_stays_from_version_to_version),
        TEST(labels_are_legal_and_tell_addresses_apart),
        TEST(a_plan_without_memory_is_no_plan),
        TEST(a_projection_without_memory_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
