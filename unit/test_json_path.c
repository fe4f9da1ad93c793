/* Paths into JSON values: what they find, what is no path, and that admission reads them in the same way. */
#include "unit/support.h"

#include "schema/format.h"
#include "json/path.h"

#include <stdio.h>

static const char document[] =
    "{\"status\":{\"succeeded\":1,\"conditions\":["
    "{\"type\":\"SuccessCriteriaMet\",\"reason\":\"early\"},"
    "{\"type\":\"Complete\",\"reason\":\"done\",\"a.b\":\"dotted\"},"
    "{\"type\":\"Complete\",\"reason\":\"second\"}]},"
    "\"metadata\":{\"labels\":{\"app.kubernetes.io/name\":\"x\",\"it's\":\"quoted\","
    "\"back\\\\slash\":\"b\"}},"
    "\"list\":[10,[20,21],{\"n\":null}],\"text\":\"abc\",\"\":\"empty\",\"0\":\"zero\"}";

struct fixture {
    struct arena arena;
    const struct json *root;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    struct err err;
    arena_init(&fixture.arena, mem_system(), 4096, 1 << 20);
    fixture.root = json_read(&fixture.arena, str_from_cstr(document), &json_limits_default, &err);
    assert_non_null(fixture.root);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    arena_done(&fixture->arena);
    return 0;
}

static void a_path_finds_one_value(void **state)
{
    static const struct {
        const char *path, *value; /* as JSON; NULL: nothing */
    } cases[] = {
        {"$.status.succeeded", "1"},
        {"$['status']['succeeded']", "1"},
        {"$[\"status\"].succeeded", "1"},
        {"$.status.conditions[0].type", "\"SuccessCriteriaMet\""},
        {"$.status.conditions[-1].reason", "\"second\""},
        {"$.status.conditions[?(@.type=='Complete')].reason", "\"done\""},
        {"$.status.conditions[?(@.type == \"Complete\")].reason", "\"done\""},
        {"$.status.conditions[?(@.a\\.b=='dotted')].reason", "\"done\""},
        {"$.metadata.labels.app\\.kubernetes\\.io/name", "\"x\""},
        {"$.metadata.labels['app.kubernetes.io/name']", "\"x\""},
        {"$.metadata.labels[\"it's\"]", "\"quoted\""},
        {"$.metadata.labels.back\\\\slash", "\"b\""},
        {"$.list[1][1]", "21"},
        {"$.list[2].n", "null"},
        {"$['']", "\"empty\""},
        {"$.0", "\"zero\""},
        {"$.list", "[10,[20,21],{\"n\":null}]"},
        /* Nothing there. */
        {"$.status.failed", NULL},
        {"$.status.succeeded.x", NULL},
        {"$.list[3]", NULL},
        {"$.list[-4]", NULL},
        {"$.list.n", NULL},
        {"$.list['0']", NULL},
        {"$.text[0]", NULL},
        {"$[0]", NULL},
        {"$.status[?(@.type=='Complete')]", NULL},
        {"$.status.conditions[?(@.type=='Failed')].reason", NULL},
        {"$.list[?(@.n=='null')]", NULL},
        {"$.list[9223372036854775807]", NULL},
        {"$.list[-9223372036854775808]", NULL},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err;
        struct buf buf;
        struct str path = str_from_cstr(cases[i].path);
        if (json_path_check(path, &err) < 0)
            fail_msg("%s: %s", cases[i].path, err.message);
        const struct json *found = json_path_find(fixture->root, path);
        if (!found != !cases[i].value)
            fail_msg("%s finds %s", cases[i].path, found ? "something" : "nothing");
        if (!found)
            continue;
        buf_init(&buf, arena_mem(&fixture->arena), 4096);
        json_write(&buf, found);
        assert_str_is(buf_str(&buf), cases[i].value);
    }
}

static void what_is_no_path_says_where(void **state)
{
    static const struct {
        const char *path, *message;
    } cases[] = {
        {"", "column 1: a path begins with $"},
        {"status", "column 1: a path begins with $"},
        {"$status", "column 2: \".\" or \"[\" expected"},
        {"$.", "column 3: a name expected"},
        {"$..a", "column 3: a name expected; .. and .* name several values"},
        {"$.*", "column 4: a name expected"},
        {"$.a.", "column 5: a name expected"},
        {"$.a]", "column 4: \".\" or \"[\" expected"},
        {"$.a[", "column 5: a whole number"},
        {"$.a[]", "column 5: a whole number"},
        {"$.a[*]", "such as [*], cannot be used"},
        {"$.a[0:2]", "column 5: a whole number"},
        {"$.a[0,1]", "column 5: a whole number"},
        {"$.a[99999999999999999999]", "column 5: a whole number"},
        {"$.a['b]", "column 5: a whole number"},
        {"$.a['b'", "column 8: \"]\" expected"},
        {"$.a[?", "column 6: a filter must be like"},
        {"$.a[?(@.b)]", "column 10: a filter must be like"},
        {"$.a[?(@.b>'1')]", "a filter must be like"},
        {"$.a[?(@.b==1)]", "a filter must be like"},
        {"$.a[?(@.b=='1']", "a filter must be like"},
        {"$.a[?(@.=='1')]", "a filter must be like"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = {0};
        struct str path = str_from_cstr(cases[i].path);
        assert_int_equal(json_path_check(path, &err), -1);
        assert_int_equal(err.code, 422);
        if (!strstr(err.message, cases[i].message))
            fail_msg("%s: %s", cases[i].path, err.message);
        assert_null(json_path_find(fixture->root, path));
    }
}

static void a_path_is_bounded(void **state)
{
    (void)state;
    struct err err;
    char text[JSON_PATH_TEXT_MAX + 2] = "$";
    for (int i = 0; i < JSON_PATH_SEGMENTS_MAX; i++)
        strcat(text, ".a");
    assert_int_equal(json_path_check(str_from_cstr(text), &err), 0);
    strcat(text, ".a");
    assert_int_equal(json_path_check(str_from_cstr(text), &err), -1);
    memset(text, 'a', sizeof(text));
    memcpy(text, "$.", 2);
    assert_int_equal(json_path_check((struct str){text, JSON_PATH_TEXT_MAX}, &err), 0);
    assert_int_equal(json_path_check((struct str){text, JSON_PATH_TEXT_MAX + 1}, &err), -1);
}

static void the_first_member_is_known_in_both_spellings(void **state)
{
    (void)state;
    assert_true(json_path_begins(STR("$.message"), STR("message")));
    assert_true(json_path_begins(STR("$.message.rows[0]"), STR("message")));
    assert_true(json_path_begins(STR("$['message'].rows"), STR("message")));
    assert_true(json_path_begins(STR("$.mess\\age"), STR("message")));
    assert_false(json_path_begins(STR("$.messages"), STR("message")));
    assert_false(json_path_begins(STR("$.mess"), STR("message")));
    assert_false(json_path_begins(STR("$[0].message"), STR("message")));
    assert_false(json_path_begins(STR("message"), STR("message")));
    assert_false(json_path_begins(STR("$"), STR("message")));
}

static void admission_accepts_what_can_be_followed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_valid;
    } cases[] = {
        {"$.status.succeeded", true},
        {"build:$.status.succeeded", true},
        {"$.status.conditions[?(@.type=='Complete')].reason", true},
        {"build:$.data['{{parameters.key}}']", true},
        {"$.status..succeeded", false},
        {"$.items[*].name", false},
        {"build:$.a[", false},
        {"Build:$.a", false},
        {"$", false},
        {"build:", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (format_is_valid(FORMAT_STEP_JSON_PATH, str_from_cstr(cases[i].text)) !=
            cases[i].is_valid)
            fail_msg("%s", cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_path_finds_one_value, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_path_says_where, set_up, tear_down),
        cmocka_unit_test(a_path_is_bounded),
        cmocka_unit_test(the_first_member_is_known_in_both_spellings),
        cmocka_unit_test(admission_accepts_what_can_be_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
