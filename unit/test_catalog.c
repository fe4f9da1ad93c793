/* The catalog of hardware. */
#include "unit/support.h"

#include "types/catalog.h"

static struct catalog *read_catalog(struct str text)
{
    struct err err;
    struct catalog *catalog = catalog_read(text, mem_system(), &err);
    if (!catalog)
        fail_msg("%.*s: %s", (int)text.len, text.ptr, err.message);
    return catalog;
}

static bool lists(const struct json *list, const char *text)
{
    JSON_EACH (entry, list) {
        if (str_eq_cstr(json_str(entry), text))
            return true;
    }
    return false;
}

static void the_built_in_catalog_has_what_is_documented(void **state)
{
    (void)state;
    struct err err;
    struct catalog *catalog = catalog_builtin(mem_system(), &err);
    assert_non_null(catalog);
    static const char *const gpu_types[] = {
        "nvidia-tesla-p100", "nvidia-tesla-t4", "nvidia-tesla-v100", "nvidia-a10",  "nvidia-a10g",
        "nvidia-a100",       "nvidia-l4",       "nvidia-l40s",       "nvidia-h100", "nvidia-h200",
        "nvidia-b200",       "nvidia-rtx-5000", "nvidia-rtx-6000"};
    for (size_t i = 0; i < sizeof(gpu_types) / sizeof(gpu_types[0]); i++) {
        const struct gpu_type *type = catalog_gpu_type(catalog, str_from_cstr(gpu_types[i]));
        assert_non_null(type);
        assert_str_is(type->name, gpu_types[i]);
        assert_true(type->products->len > 0);
        assert_in_range(type->min_memory_mib, 8 * 1024, 1024 * 1024);
    }
    const struct gpu_type *a100 = catalog_gpu_type(catalog, STR("nvidia-a100"));
    assert_true(lists(a100->products, "NVIDIA-A100-SXM4-40GB"));
    assert_true(lists(a100->products, "NVIDIA-A100-SXM4-80GB"));
    assert_int_equal(a100->min_memory_mib, 40960); /* of the smallest */

    static const char *const tees[] = {"sgx", "sev", "sev-snp", "tdx"};
    assert_int_equal(catalog->tee_count, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct tee *tee = catalog_tee(catalog, str_from_cstr(tees[i]));
        assert_non_null(tee);
        assert_str_is(tee->name, tees[i]);
        assert_int_equal(tee->node_selector->len, 1);
        assert_int_equal(tee->tolerations->len, 1);
        const struct json *toleration = json_first(tee->tolerations);
        assert_str_is(json_str(json_get(toleration, STR("value"))), tees[i]);
    }
    /* Processes use SGX from an ordinary container; the others are of the whole machine. */
    assert_int_equal(catalog_tee(catalog, STR("sgx"))->runtime_classes->len, 0);
    assert_true(lists(catalog_tee(catalog, STR("tdx"))->runtime_classes, "kata-qemu-tdx"));
    catalog_unref(catalog);
}

static void the_built_in_text_is_that_of_the_built_in_catalog(void **state)
{
    (void)state;
    struct err err;
    struct catalog *a = catalog_builtin(mem_system(), &err),
                   *b = read_catalog(catalog_builtin_text());
    assert_int_equal(a->gpu_type_count, b->gpu_type_count);
    for (size_t i = 0; i < a->gpu_type_count; i++) {
        assert_str_equal(a->gpu_types[i].name, b->gpu_types[i].name);
        assert_true(json_equal(a->gpu_types[i].products, b->gpu_types[i].products));
    }
    catalog_unref(a);
    catalog_unref(b);
}

static void only_exact_names_are_found(void **state)
{
    (void)state;
    struct catalog *catalog = read_catalog(STR("gpuTypes: {a: {products: [X]}}\ntee: {sgx: {}}\n"));
    assert_non_null(catalog_gpu_type(catalog, STR("a")));
    assert_null(catalog_gpu_type(catalog, STR("A")));
    assert_null(catalog_gpu_type(catalog, STR("")));
    assert_null(catalog_gpu_type(catalog, (struct str){NULL, 0}));
    assert_null(catalog_gpu_type(catalog, STR("sgx")));
    assert_non_null(catalog_tee(catalog, STR("sgx")));
    assert_null(catalog_tee(catalog, STR("sg")));
    assert_null(catalog_tee(catalog, STR("a")));
    catalog_unref(catalog);
}

static void what_is_not_given_is_unknown(void **state)
{
    (void)state;
    struct catalog *catalog = read_catalog(STR("gpuTypes: {a: {products: [X, Z]}}\n"
                                               "tee: {tdx: {nodeSelector: null}}\n"));
    assert_int_equal(catalog_gpu_type(catalog, STR("a"))->min_memory_mib, 0);
    assert_int_equal(catalog_gpu_type(catalog, STR("a"))->products->len, 2);
    const struct tee *tee = catalog_tee(catalog, STR("tdx"));
    assert_null(tee->node_selector);
    assert_null(tee->tolerations);
    assert_null(tee->runtime_classes);
    catalog_unref(catalog);
    catalog = read_catalog(STR("gpuTypes: {a: null, b: {products: [X]}}\ntee: {tdx: null}\n"));
    assert_int_equal(catalog->gpu_type_count, 1);
    assert_non_null(catalog_gpu_type(catalog, STR("b")));
    assert_int_equal(catalog->tee_count, 0);
    catalog_unref(catalog);
    /* For other programs. */
    catalog = read_catalog(STR("nodeTypes: [{name: x}]\nimages: []\n"));
    assert_int_equal(catalog->gpu_type_count, 0);
    assert_int_equal(catalog->tee_count, 0);
    catalog_unref(catalog);
}

static void a_catalog_may_be_json(void **state)
{
    (void)state;
    struct catalog *catalog =
        read_catalog(STR("{\"gpuTypes\": {\"a\": {\"products\": [\"X\"], \"minMemoryMiB\": 5}}}"));
    assert_int_equal(catalog_gpu_type(catalog, STR("a"))->min_memory_mib, 5);
    catalog_unref(catalog);
}

static void the_text_may_go_away(void **state)
{
    (void)state;
    for (int json = 0; json < 2; json++) {
        char text[] = "{\"gpuTypes\": {\"abc\": {\"products\": [\"XYZ\"]}}}\n";
        size_t skipped = json ? 0 : 1; /* without its braces it is YAML */
        struct str given = {text + skipped, sizeof(text) - 1 - 3 * skipped};
        struct catalog *catalog = read_catalog(given);
        memset(text, '#', sizeof(text));
        const struct gpu_type *type = catalog_gpu_type(catalog, STR("abc"));
        assert_non_null(type);
        assert_true(lists(type->products, "XYZ"));
        catalog_unref(catalog);
    }
}

static void errors_name_line_and_field(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
        const char *part;
    } rows[] = {
        {"", 422, "the catalog is empty"},
        {"# nothing\n", 422, "the catalog is empty"},
        {"null\n", 422, "the catalog is empty"},
        {"[]\n", 422, "line 1: Invalid value: must be an object"},
        {"gpuTypes: {\n", 400, "line "},
        {"{\"gpuTypes\": {}} x", 400, "line 1"},
        {"gpuTypes: {}\n---\ntee: {}\n", 422, "line 3: the catalog must be one document"},
        {"{}\n{}\n", 422, "line 2: the catalog must be one document"},
        {"gpuTypes: {}\n---\n\t\n", 400, "line 3"},
        {"gpuTypes: []\n", 422, "line 1: gpuTypes: Invalid value: must be an object"},
        {"gputypes: {}\n", 422, "did you mean \"gpuTypes\"?"},
        {"gpuTypes:\n  a: {}\n", 422, "line 2: gpuTypes.a.products: Required value"},
        {"gpuTypes:\n  a: {products: []}\n", 422, "gpuTypes.a.products: Required value"},
        {"gpuTypes:\n  a: {products: [X, X]}\n", 422, "gpuTypes.a.products[1]: Duplicate value"},
        {"gpuTypes:\n  a: {products: [\"X Y\"]}\n", 422, "gpuTypes.a.products[0]: Invalid value"},
        {"gpuTypes:\n  a b: {products: [X]}\n", 422, "gpuTypes[\"a b\"]: Invalid value: the key"},
        {"gpuTypes:\n  a:\n    products: [X]\n    minMemoryMiB: -1\n", 422,
         "line 4: gpuTypes.a.minMemoryMiB: Invalid value: -1: must be 0 or more"},
        {"gpuTypes:\n  a: {products: [X]}\n  a: {products: [Z]}\n", 400, "line 3"},
        {"tee:\n  TDX: {}\n", 422, "tee.TDX: Invalid value: the key"},
        {"tee:\n  tdx: {nodeSelector: {a b: c}}\n", 422, "tee.tdx.nodeSelector[\"a b\"]"},
        {"tee:\n  tdx: {nodeSelector: {a: true}}\n", 422, "must be a string, not a boolean"},
        {"tee:\n  tdx: {tolerations: [{operator: Equal}]}\n", 422,
         "tee.tdx.tolerations[0].operator: Invalid value: must be Exists when the key is empty"},
        {"tee:\n  tdx: {runtimeClasses: [Kata]}\n", 422, "tee.tdx.runtimeClasses[0]: Invalid"},
        {"nodeTypes: {}\n", 422, "nodeTypes: Invalid value: must be a list"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err = {0};
        struct test_mem mem;
        test_mem_init(&mem);
        if (catalog_read(str_from_cstr(rows[i].text), &mem.mem, &err))
            fail_msg("\"%s\" is accepted", rows[i].text);
        if (err.code != rows[i].code || !strstr(err.message, rows[i].part))
            fail_msg("\"%s\": %d %s", rows[i].text, err.code, err.message);
        test_mem_done(&mem);
    }
}

static void a_catalog_that_takes_too_much_memory_is_refused(void **state)
{
    (void)state;
    struct arena arena;
    struct buf text;
    arena_init(&arena, mem_system(), 4096, 64 * 1024 * 1024);
    buf_init(&text, arena_mem(&arena), 8 * 1024 * 1024);
    buf_put(&text, STR("nodeTypes: ["));
    for (int i = 0; i < 200000; i++)
        buf_put(&text, STR("0,"));
    buf_put(&text, STR("0]\n"));
    struct err err;
    struct test_mem mem;
    test_mem_init(&mem);
    assert_null(catalog_read(buf_str(&text), &mem.mem, &err));
    assert_int_equal(err.code, 507);
    assert_true(mem.peak_bytes < 5 * 1024 * 1024);
    test_mem_done(&mem);
    arena_done(&arena);
}

/* ---- References ---- */

static void the_last_user_frees_it(void **state)
{
    (void)state;
    struct test_mem mem;
    struct err err;
    test_mem_init(&mem);
    struct catalog *catalog = catalog_builtin(&mem.mem, &err);
    assert_ptr_equal(catalog_ref(catalog), catalog);
    assert_ptr_equal(catalog_ref(catalog), catalog);
    catalog_unref(catalog);
    catalog_unref(catalog);
    assert_true(mem.live_blocks > 0);
    assert_non_null(catalog_gpu_type(catalog, STR("nvidia-a100")));
    catalog_unref(catalog);
    assert_int_equal(mem.live_blocks, 0);
    catalog_unref(NULL);
    test_mem_done(&mem);
}

static void *use_often(void *ctx)
{
    struct catalog *catalog = ctx;
    for (int i = 0; i < 1000; i++) {
        struct catalog *mine = catalog_ref(catalog);
        if (!catalog_tee(mine, STR("tdx")))
            return ctx;
        catalog_unref(mine);
    }
    catalog_unref(catalog);
    return NULL;
}

static void threads_share_it(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    struct test_mem mem;
    struct err err;
    test_mem_init(&mem);
    struct catalog *catalog = catalog_builtin(&mem.mem, &err);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_often, catalog_ref(catalog)), 0);
    catalog_unref(catalog);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
    test_mem_done(&mem);
}

/* ---- Memory ---- */

static bool work(const struct mem *mem, void *ctx)
{
    struct err err = {0};
    const struct str *text = ctx;
    struct catalog *catalog = catalog_read(*text, mem, &err);
    assert_true(catalog || err.code == 507);
    if (catalog)
        assert_non_null(catalog_tee(catalog, STR("tdx")));
    catalog_unref(catalog);
    return catalog != NULL;
}

static void every_failing_allocation_is_noticed(void **state)
{
    (void)state;
    struct str texts[] = {catalog_builtin_text(), STR("{\"tee\": {\"tdx\": {}}}")};
    for (size_t i = 0; i < 2; i++)
        test_every_allocation_failing(work, &texts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_built_in_catalog_has_what_is_documented),
        cmocka_unit_test(the_built_in_text_is_that_of_the_built_in_catalog),
        cmocka_unit_test(only_exact_names_are_found),
        cmocka_unit_test(what_is_not_given_is_unknown),
        cmocka_unit_test(a_catalog_may_be_json),
        cmocka_unit_test(the_text_may_go_away),
        cmocka_unit_test(errors_name_line_and_field),
        cmocka_unit_test(a_catalog_that_takes_too_much_memory_is_refused),
        cmocka_unit_test(the_last_user_frees_it),
        cmocka_unit_test(threads_share_it),
        cmocka_unit_test(every_failing_allocation_is_noticed),
    };
    return cmocka_run_group_tests_name("catalog", tests, NULL, NULL);
}
