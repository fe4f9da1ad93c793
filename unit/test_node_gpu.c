/* What the controller advertises of shared GPUs. */
#include "unit/support.h"

#include "controller/performer_parts.h"

struct fixture {
    struct arena arena;
    struct random_seeded random;
    struct store *nodes;
    struct plan plan;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    struct err err;
    *f = (struct fixture){0};
    arena_init(&f->arena, mem_system(), 1 << 16, 1 << 24);
    random_seeded_init(&f->random, TEST_SEED);
    f->nodes = store_new(
        &(const struct store_config){
            .type = &performer_nodes, .mem = mem_system(), .random = &f->random.random},
        &err);
    assert_non_null(f->nodes);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    store_free(f->nodes);
    arena_done(&f->arena);
    return 0;
}

/* What is written about a node with these labels and resources; "" for nothing. */
static struct str write_about(struct fixture *f, const char *labels, const char *capacity,
                              const char *allocatable)
{
    struct err err;
    struct str text = arena_printf(&f->arena,
                                   "{\"metadata\":{\"name\":\"n\",\"labels\":{%s}},"
                                   "\"status\":{\"capacity\":{%s},\"allocatable\":{%s}}}",
                                   labels, capacity, allocatable);
    const struct json *node = json_read(&f->arena, text, &json_limits_default, &err);
    assert_non_null(node);
    struct kube_meta meta;
    kube_meta_read(node, &meta);
    struct kube_sink sink = store_sink(f->nodes);
    assert_int_equal(sink.upsert(sink.ctx, node, &meta), 0);
    const struct stored *stored = store_get(f->nodes, (struct str){NULL, 0}, STR("n"));
    f->plan = (struct plan){.arena = &f->arena};
    assert_int_equal(node_gpu_reconcile(f->nodes, (struct queue_key){stored->namespace, STR("n")},
                                        (struct moment){0}, &f->plan, &err),
                     0);
    assert_int_equal(f->plan.action_count, performer_node_is_wrong(stored));
    if (f->plan.action_count == 0)
        return STR("");
    const struct action *action = &f->plan.actions[0];
    assert_ptr_equal(action->resource, &kube_nodes);
    assert_str_is(action->name, "n");
    assert_str_is(action->subresource, "status");
    return action->body;
}

#define MILLI(n)   "\"callboard.dev/gpu-milli\":\"" n "\""
#define SHARED(n)  "\"callboard.dev/gpu-mode\":\"shared\",\"nvidia.com/gpu.count\":\"" n "\""
#define WRITTEN(n) "{\"status\":{\"capacity\":{" n "},\"allocatable\":{" n "}}}"
#define GONE       "\"callboard.dev/gpu-milli\":null"

static void shares_are_advertised_as_the_node_has_gpus(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *labels, *capacity, *allocatable, *written;
    } cases[] = {
        {SHARED("4"), "", "", WRITTEN(MILLI("4000"))},
        {SHARED("4"), MILLI("4k"), MILLI("4000"), ""},
        /* What the kubelet does when it registers anew. */
        {SHARED("4"), MILLI("0"), MILLI("0"), WRITTEN(MILLI("4000"))},
        {SHARED("4"), MILLI("4k"), MILLI("0"), WRITTEN(MILLI("4000"))},
        {SHARED("8"), MILLI("4k"), MILLI("4k"), WRITTEN(MILLI("8000"))},
        {SHARED("999"), "", "", WRITTEN(MILLI("64000"))},
        {"", "", "", ""},
        {"\"nvidia.com/gpu.count\":\"4\"", "", "", ""},
        {"\"callboard.dev/gpu-mode\":\"plugin\",\"nvidia.com/gpu.count\":\"4\"", MILLI("4k"),
         MILLI("4k"), WRITTEN(GONE)},
        {SHARED("-1"), "", "", ""},
        {SHARED("many"), MILLI("1k"), "", WRITTEN(GONE)},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_str_is(write_about(f, cases[i].labels, cases[i].capacity, cases[i].allocatable),
                      cases[i].written);
}

static void a_node_that_is_gone_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct err err;
    f->plan = (struct plan){.arena = &f->arena};
    assert_int_equal(node_gpu_reconcile(f->nodes, (struct queue_key){{NULL, 0}, STR("gone")},
                                        (struct moment){0}, &f->plan, &err),
                     0);
    assert_int_equal(f->plan.action_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shares_are_advertised_as_the_node_has_gpus, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_node_that_is_gone_is_left_alone, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
