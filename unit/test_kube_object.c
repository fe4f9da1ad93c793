/* Objects of the API server, and the paths under which it serves them. */
#include "unit/support.h"

#include "kube/object.h"
#include "kube/resource.h"

#define TEXT(...) #__VA_ARGS__

static const char pod[] = TEXT({
    "metadata" : {
        "name" : "solo-1",
        "namespace" : "demo",
        "uid" : "u-1",
        "resourceVersion" : "1234",
        "generation" : 7,
        "deletionTimestamp" : "2026-01-02T03:04:05Z",
        "labels" : {"app" : "solo", "odd" : 1},
        "annotations" : {"a/b" : "c"},
        "finalizers" : ["x"],
        "ownerReferences" : [
            {"kind" : "Other", "name" : "o", "uid" : "u-0"},
            {"kind" : "Performer", "name" : "solo", "uid" : "u-2", "controller" : true}
        ]
    },
    "spec" : {"replicas" : 3, "paused" : true, "nodeName" : "n1"},
    "status" : {
        "conditions" :
            [ "odd", {"type" : "Ready", "status" : "False"}, {"type" : "Known", "status" : "True"} ]
    }
});

static int set_up(void **state)
{
    static struct arena arena;
    arena_init(&arena, mem_system(), 4096, 1 << 20);
    *state = &arena;
    return 0;
}

static int tear_down(void **state)
{
    arena_done(*state);
    return 0;
}

static struct json *read(struct arena *arena, const char *text)
{
    struct err err;
    struct json *value = json_read(arena, str_from_cstr(text), &json_limits_default, &err);
    if (!value)
        fail_msg("%s", err.message);
    return value;
}

static void metadata_is_read_whole(void **state)
{
    struct kube_meta meta;
    kube_meta_read(read(*state, pod), &meta);
    assert_str_is(meta.namespace, "demo");
    assert_str_is(meta.name, "solo-1");
    assert_str_is(meta.uid, "u-1");
    assert_str_is(meta.resource_version, "1234");
    assert_str_is(meta.deletion_timestamp, "2026-01-02T03:04:05Z");
    assert_int_equal(meta.generation, 7);
    assert_str_is(meta.owner_kind, "Performer");
    assert_str_is(meta.owner_name, "solo");
    assert_str_is(meta.owner_uid, "u-2");
    assert_str_is(kube_map_get(meta.labels, STR("app")), "solo");
    assert_str_is(kube_map_get(meta.annotations, STR("a/b")), "c");
    assert_int_equal(meta.finalizers->len, 1);
}

static void metadata_that_is_missing_or_of_another_type_is_absent(void **state)
{
    static const char *const texts[] = {
        "null",
        "[]",
        "{}",
        "{\"metadata\":[]}",
        "{\"metadata\":{}}",
        "{\"metadata\":{\"name\":1,\"namespace\":null,\"uid\":[],\"generation\":\"7\","
        "\"labels\":[],\"annotations\":\"x\",\"finalizers\":{},\"ownerReferences\":[1,{},"
        "{\"controller\":false,\"kind\":\"K\"}]}}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct kube_meta meta, none = {0};
        kube_meta_read(read(*state, texts[i]), &meta);
        assert_memory_equal(&meta, &none, sizeof(meta));
    }
}

static void members_are_reached_by_path(void **state)
{
    const struct json *object = read(*state, pod);
    assert_ptr_equal(kube_at(object, NULL), object);
    assert_non_null(kube_at(object, "spec", "replicas", NULL));
    assert_null(kube_at(object, "spec", "replicas", "more", NULL));
    assert_null(kube_at(object, "spec", "none", NULL));
    assert_null(kube_at(NULL, "spec", NULL));
    assert_str_is(kube_text_at(object, "spec", "nodeName", NULL), "n1");
    assert_false(str_is_set(kube_text_at(object, "spec", "replicas", NULL)));
    assert_int_equal(kube_int_at(object, -1, "spec", "replicas", NULL), 3);
    assert_int_equal(kube_int_at(object, -1, "spec", "nodeName", NULL), -1);
    assert_true(kube_bool_at(object, "spec", "paused", NULL));
    assert_false(kube_bool_at(object, "spec", "replicas", NULL));
    assert_false(str_is_set(kube_map_get(NULL, STR("app"))));
    assert_false(str_is_set(kube_map_get(kube_at(object, "metadata", "labels", NULL), STR("odd"))));
}

static void a_condition_is_found_by_its_type(void **state)
{
    const struct json *object = read(*state, pod);
    assert_str_is(kube_text_at(kube_condition(object, "Known"), "status", NULL), "True");
    assert_null(kube_condition(object, "None"));
    assert_null(kube_condition(NULL, "Known"));
}

static void only_plain_decimal_versions_are_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t number;
    } cases[] = {
        {"1", 1},
        {"1234567890123", 1234567890123},
        {"18446744073709551615", UINT64_MAX},
        {"18446744073709551616", 0},
        {"99999999999999999999", 0},
        {"", 0},
        {"0", 0},
        {"012", 0},
        {"-1", 0},
        {"+1", 0},
        {"12a", 0},
        {"1 ", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(kube_version_number(str_from_cstr(cases[i].text)), cases[i].number);
    assert_int_equal(kube_version_number((struct str){NULL, 0}), 0);
}

/* ---- Paths ---- */

static void objects_and_collections_have_their_paths(void **state)
{
    (void)state;
    static const struct {
        const struct kube_resource *resource;
        const char *namespace, *name, *subresource;
        const char *path; /* NULL: there is none */
    } cases[] = {
        {&kube_pods, "demo", "a", NULL, "/api/v1/namespaces/demo/pods/a"},
        {&kube_pods, "demo", "a", "eviction", "/api/v1/namespaces/demo/pods/a/eviction"},
        {&kube_pods, "demo", NULL, NULL, "/api/v1/namespaces/demo/pods"},
        {&kube_pods, NULL, NULL, NULL, "/api/v1/pods"},
        {&kube_nodes, NULL, "n1", "status", "/api/v1/nodes/n1/status"},
        {&kube_nodes, "demo", "n1", NULL, "/api/v1/nodes/n1"},
        {&kube_services, "demo", "a", NULL, "/api/v1/namespaces/demo/services/a"},
        {&kube_events, "demo", "a", NULL, "/api/v1/namespaces/demo/events/a"},
        {&kube_config_maps, "demo", "a", NULL, "/api/v1/namespaces/demo/configmaps/a"},
        {&kube_leases, "demo", "a", NULL, "/apis/coordination.k8s.io/v1/namespaces/demo/leases/a"},
        {&kube_jobs, "demo", "a", NULL, "/apis/batch/v1/namespaces/demo/jobs/a"},
        {&kube_endpoint_slices, NULL, NULL, NULL, "/apis/discovery.k8s.io/v1/endpointslices"},
        {&kube_performers, "demo", "a", "status",
         "/apis/hourglass.eigenlayer.io/v1alpha1/namespaces/demo/performers/a/status"},
        {&kube_jobflows, NULL, NULL, NULL, "/apis/workflow.kube-zen.io/v1alpha1/jobflows"},
        {&kube_jobflow_templates, NULL, NULL, NULL,
         "/apis/workflow.kube-zen.io/v1alpha1/jobflowtemplates"},
        {&kube_pods, "a/../b", "x?y#z%", NULL, "/api/v1/namespaces/a%2F..%2Fb/pods/x%3Fy%23z%25"},
        {&kube_pods, "demo", "\xC3\xA9\x01", NULL, "/api/v1/namespaces/demo/pods/%C3%A9%01"},
        {&kube_pods, "demo", "", NULL, NULL},
        {&kube_pods, "", "a", NULL, NULL},
        {&kube_pods, "demo", ".", NULL, NULL},
        {&kube_pods, "demo", "..", NULL, NULL},
        {&kube_pods, "demo", "a", "", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf buf;
        buf_init(&buf, mem_system(), 1024);
        kube_path_put(&buf, cases[i].resource, str_from_cstr(cases[i].namespace),
                      str_from_cstr(cases[i].name), str_from_cstr(cases[i].subresource));
        assert_int_equal(buf_failed(&buf), cases[i].path == NULL);
        if (cases[i].path)
            assert_str_is(buf_str(&buf), cases[i].path);
        buf_done(&buf);
    }
}

static void parameters_are_encoded_and_absent_ones_left_out(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, mem_system(), 1024);
    bool has_query = false;
    kube_query_put(&buf, &has_query, "labelSelector", (struct str){NULL, 0});
    assert_false(has_query);
    kube_query_put(&buf, &has_query, "labelSelector", STR("a in (b,c),d!=e"));
    kube_query_put(&buf, &has_query, "continue", STR("x+/="));
    kube_query_put(&buf, &has_query, "fieldSelector", STR(""));
    assert_str_is(buf_str(&buf), "?labelSelector=a%20in%20%28b%2Cc%29%2Cd%21%3De"
                                 "&continue=x%2B%2F%3D&fieldSelector=");
    buf_done(&buf);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(metadata_is_read_whole),
        TEST(metadata_that_is_missing_or_of_another_type_is_absent),
        TEST(members_are_reached_by_path),
        TEST(a_condition_is_found_by_its_type),
        cmocka_unit_test(only_plain_decimal_versions_are_numbers),
        cmocka_unit_test(objects_and_collections_have_their_paths),
        cmocka_unit_test(parameters_are_encoded_and_absent_ones_left_out),
    };
    return cmocka_run_group_tests_name("kube_object", tests, NULL, NULL);
}
