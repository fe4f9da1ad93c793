/* JSON Patch and base64, as admission answers carry them. */
#include "unit/support.h"

#include "unit/random_json.h"
#include "json/base64.h"
#include "json/patch.h"

#include <stdlib.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

enum { ARENA_MAX = 32 * 1024 * 1024 };

struct fixture {
    struct test_mem mem;
    struct arena arena;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    test_mem_init(&f->mem);
    arena_init(&f->arena, &f->mem.mem, 32 * 1024, ARENA_MAX);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    arena_done(&f->arena);
    test_mem_done(&f->mem);
    free(f);
    return 0;
}

static struct json *read_text(struct fixture *f, struct str text)
{
    struct json *value = json_read(&f->arena, text, &json_limits_default, &f->err);
    if (!value)
        fail_msg("%" PRIstr ": %s", STR_ARG(text), f->err.message);
    return value;
}

static struct str print(struct fixture *f, const struct json *value)
{
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 16 * 1024 * 1024);
    json_write(&buf, value);
    assert_false(buf_failed(&buf));
    return buf_str(&buf);
}

static struct str print_patch(struct fixture *f, const struct json_patch *patch)
{
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 16 * 1024 * 1024);
    json_patch_write(&buf, patch);
    assert_false(buf_failed(&buf));
    return buf_str(&buf);
}

static struct str diff(struct fixture *f, const struct json *before, const struct json *after)
{
    struct json_patch patch;
    json_patch_init(&patch, &f->arena, JSON_PATCH_MAX);
    json_patch_diff(&patch, before, after);
    assert_false(json_patch_failed(&patch));
    return print_patch(f, &patch);
}

/* ---- a patch applied by the letter of RFC 6902 and RFC 6901 ---- */

/* The part between two slashes with ~1 and ~0 replaced. */
static struct str unescape(struct fixture *f, struct str part)
{
    char *to = arena_alloc(&f->arena, part.len + 1);
    size_t len = 0;
    assert_non_null(to);
    for (size_t i = 0; i < part.len; i++) {
        if (part.ptr[i] == '~') {
            i++;
            assert_true(i < part.len && (part.ptr[i] == '0' || part.ptr[i] == '1'));
            to[len++] = part.ptr[i] == '0' ? '~' : '/';
        } else {
            to[len++] = part.ptr[i];
        }
    }
    return (struct str){to, len};
}

static size_t parse_index(struct str part)
{
    int64_t index;
    assert_true(str_to_int64(part, &index) && index >= 0);
    assert_true(part.len == 1 || part.ptr[0] != '0');
    return (size_t)index;
}

/* An array or object with the operation carried out on its member or element `part`. */
static struct json *apply_to_child(struct fixture *f, const struct json *container, struct str part,
                                   struct str op, struct json *value)
{
    bool add = str_eq_cstr(op, "add"), remove = str_eq_cstr(op, "remove"), done = false;
    bool array = json_is(container, JSON_ARRAY);
    size_t at = array ? parse_index(part) : 0, index = 0;
    struct json *copy = json_new(&f->arena, container->type);
    JSON_EACH (child, container) {
        bool here = array ? index == at : str_eq(json_key(child), part);
        index++;
        struct str key = json_key(child);
        struct json *same = json_copy(&f->arena, child);
        done |= here;
        if (!here || (add && array)) {
            if (here)
                assert_true(json_append(copy, value));
            assert_true(array ? json_append(copy, same) : json_set(copy, key, same));
        } else if (!remove) {
            assert_true(array ? json_append(copy, value) : json_set(copy, key, value));
        }
    }
    if (!done) {
        /* Only "add" may name what is not there: a new member, or the end of an array. */
        assert_true(add && (!array || index == at));
        assert_true(array ? json_append(copy, value) : json_set(copy, part, value));
    }
    return copy;
}

static struct json *apply_at(struct fixture *f, struct json *document, struct str pointer,
                             struct str op, struct json *value)
{
    if (pointer.len == 0) {
        assert_true(str_eq_cstr(op, "replace") || str_eq_cstr(op, "add"));
        return value;
    }
    struct str part, rest;
    assert_int_equal(pointer.ptr[0], '/');
    bool more = str_cut(str_sub(pointer, 1, pointer.len), '/', &part, &rest);
    part = unescape(f, part);
    if (!more)
        return apply_to_child(f, document, part, op, value);
    struct json *child = json_is(document, JSON_ARRAY) ? json_at(document, parse_index(part))
                                                       : json_get(document, part);
    assert_non_null(child);
    struct str inner = str_sub(pointer, (size_t)(rest.ptr - 1 - pointer.ptr), pointer.len);
    struct json *changed = apply_at(f, child, inner, op, value);
    return apply_to_child(f, document, part, STR("replace"), changed);
}

static struct json *apply(struct fixture *f, struct json *document, struct str patch)
{
    JSON_EACH (op, read_text(f, patch)) {
        struct str verb = json_str(json_get(op, STR("op")));
        struct json *value = json_get(op, STR("value"));
        assert_int_equal(value == NULL, str_eq_cstr(verb, "remove"));
        document = apply_at(f, document, json_str(json_get(op, STR("path"))), verb,
                            json_copy(&f->arena, value));
    }
    return document;
}

/* ---- operations ---- */

static void operations_are_written_in_their_order(void **state)
{
    struct fixture *f = *state;
    struct path spec = path_field(NULL, STR("spec")), steps = path_field(&spec, STR("steps"));
    struct path third = path_index(&steps, 3), odd = path_field(&third, STR("a/b~c\"d"));
    struct path empty = path_field(NULL, STR(""));
    struct json *value = read_text(f, STR("{\"x\":[1.50]}"));
    struct json_patch patch;
    json_patch_init(&patch, &f->arena, JSON_PATCH_MAX);
    assert_true(json_patch_is_empty(&patch));
    assert_str_is(print_patch(f, &patch), "[]");
    json_patch_test(&patch, &spec, value);
    json_patch_add(&patch, &odd, value);
    json_patch_replace(&patch, &third, json_new(&f->arena, JSON_NULL));
    json_patch_remove(&patch, &empty);
    json_patch_replace(&patch, NULL, json_new_bool(&f->arena, true));
    assert_false(json_patch_is_empty(&patch));
    assert_str_is(print_patch(f, &patch),
                  "[{\"op\":\"test\",\"path\":\"/spec\",\"value\":{\"x\":[1.50]}},"
                  "{\"op\":\"add\",\"path\":\"/spec/steps/3/a~1b~0c\\\"d\","
                  "\"value\":{\"x\":[1.50]}},"
                  "{\"op\":\"replace\",\"path\":\"/spec/steps/3\",\"value\":null},"
                  "{\"op\":\"remove\",\"path\":\"/\"},"
                  "{\"op\":\"replace\",\"path\":\"\",\"value\":true}]");
}

static void a_patch_with_too_many_operations_fails_as_a_whole(void **state)
{
    struct fixture *f = *state;
    struct json_patch patch;
    struct buf buf;
    json_patch_init(&patch, &f->arena, 2);
    buf_init(&buf, arena_mem(&f->arena), 4096);
    json_patch_diff(&patch, read_text(f, STR("{\"a\":1,\"b\":2,\"c\":[3]}")),
                    read_text(f, STR("{\"a\":1}")));
    assert_false(json_patch_failed(&patch));
    json_patch_remove(&patch, NULL);
    assert_true(json_patch_failed(&patch));
    json_patch_write(&buf, &patch);
    assert_true(buf_failed(&buf));
    assert_int_equal(buf_str(&buf).len, 0);
}

static void a_value_that_could_not_be_made_fails_the_patch(void **state)
{
    struct fixture *f = *state;
    struct json_patch patch;
    json_patch_init(&patch, &f->arena, JSON_PATCH_MAX);
    json_patch_add(&patch, NULL, NULL);
    assert_true(json_patch_failed(&patch));
}

/* ---- differences ---- */

static void a_difference_names_what_changed_and_no_more(void **state)
{
    static const struct {
        const char *before, *after, *patch;
    } rows[] = {
        {"{\"a\":1}", "{\"a\":1}", "[]"},
        {"{\"a\":1,\"b\":2}", "{\"b\":2.0,\"a\":1e0}", "[]"},
        {"[]", "[]", "[]"},
        {"{\"a\":1}", "{\"a\":2}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":2}]"},
        {"{\"a\":1}", "{\"a\":null}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":null}]"},
        {"{\"a\":1}", "{}", "[{\"op\":\"remove\",\"path\":\"/a\"}]"},
        {"{}", "{\"a\":{}}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":{}}]"},
        {"{\"a\":1}", "{\"b\":1}",
         "[{\"op\":\"remove\",\"path\":\"/a\"},{\"op\":\"add\",\"path\":\"/b\",\"value\":1}]"},
        {"{\"s\":[{\"a\":1},{\"b\":1}]}", "{\"s\":[{\"a\":1},{\"b\":1,\"c\":2}]}",
         "[{\"op\":\"add\",\"path\":\"/s/1/c\",\"value\":2}]"},
        {"[1,2,3]", "[1,5,3]", "[{\"op\":\"replace\",\"path\":\"/1\",\"value\":5}]"},
        {"{\"s\":[1,2]}", "{\"s\":[1]}", "[{\"op\":\"replace\",\"path\":\"/s\",\"value\":[1]}]"},
        {"{\"s\":[]}", "{\"s\":{}}", "[{\"op\":\"replace\",\"path\":\"/s\",\"value\":{}}]"},
        {"1", "\"1\"", "[{\"op\":\"replace\",\"path\":\"\",\"value\":\"1\"}]"},
        {"{\"a/b\":{\"~\":1}}", "{\"a/b\":{\"~\":2}}",
         "[{\"op\":\"replace\",\"path\":\"/a~1b/~0\",\"value\":2}]"},
        {"{\"\":1}", "{\"\":2}", "[{\"op\":\"replace\",\"path\":\"/\",\"value\":2}]"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_str_is(diff(f, read_text(f, str_from_cstr(rows[i].before)),
                           read_text(f, str_from_cstr(rows[i].after))),
                      rows[i].patch);
}

static void a_difference_applied_to_what_was_before_gives_what_is_after(void **state)
{
    struct fixture *f = *state;
    struct random_seeded seeded;
    random_seeded_init(&seeded, TEST_SEED);
    int changed = 0;
    for (int i = 0; i < 3000; i++) {
        arena_reset(&f->arena);
        struct json *before = random_json(&f->arena, &seeded.random, 3);
        struct json *after = random_json_change(&f->arena, &seeded.random, before);
        struct str patch = diff(f, before, after);
        bool equal = json_equal(before, after);
        assert_int_equal(str_eq_cstr(patch, "[]"), equal);
        changed += !equal;
        if (!json_equal(apply(f, before, patch), after))
            fail_msg("round %d: %" PRIstr " and %" PRIstr " do not give %" PRIstr, i,
                     STR_ARG(print(f, before)), STR_ARG(patch), STR_ARG(print(f, after)));
    }
    assert_true(changed > 1000);
}

/* The member "k-0" is replaced by "new", and all others stand in the opposite order. */
static void large_objects_in_another_order_differ_only_where_they_differ(void **state)
{
    enum { MEMBERS = 50000 };
    struct fixture *f = *state;
    struct buf before, after;
    buf_init(&before, arena_mem(&f->arena), 4 * 1024 * 1024);
    buf_init(&after, arena_mem(&f->arena), 4 * 1024 * 1024);
    buf_put(&before, STR("{\"k-0\":0"));
    buf_put(&after, STR("{\"new\":1"));
    for (int i = 1; i < MEMBERS; i++) {
        buf_printf(&before, ",\"k-%d\":0", i);
        buf_printf(&after, ",\"k-%d\":0", MEMBERS - i);
    }
    buf_put_char(&before, '}');
    buf_put_char(&after, '}');
    assert_str_is(
        diff(f, read_text(f, buf_str(&before)), read_text(f, buf_str(&after))),
        "[{\"op\":\"remove\",\"path\":\"/k-0\"},{\"op\":\"add\",\"path\":\"/new\",\"value\":1}]");
}

static bool diff_in(const struct mem *mem, void *ctx)
{
    const struct str *texts = ctx;
    struct arena arena, source;
    struct buf buf;
    struct err err;
    arena_init(&source, mem_system(), 4096, ARENA_MAX);
    arena_init(&arena, mem, 256, ARENA_MAX);
    buf_init(&buf, mem, ARENA_MAX);
    struct json *before = json_read(&source, texts[0], &json_limits_default, &err);
    struct json *after = json_read(&source, texts[1], &json_limits_default, &err);
    assert_non_null(before);
    assert_non_null(after);
    struct json_patch patch;
    json_patch_init(&patch, &arena, JSON_PATCH_MAX);
    json_patch_diff(&patch, before, after);
    bool good = !json_patch_failed(&patch);
    json_patch_write(&buf, &patch);
    assert_true(good || buf_failed(&buf));
    good = good && !buf_failed(&buf);
    buf_done(&buf);
    arena_done(&arena);
    arena_done(&source);
    return good;
}

static void a_failed_allocation_fails_the_patch_and_leaks_nothing(void **state)
{
    (void)state;
    struct str texts[] = {
        STR("{\"a\":1,\"b\":[1,2,3,4,5,6,7,8,9],\"c\":{\"d\":\"e\"},\"f\":0}"),
        STR("{\"a\":2,\"b\":[9,8,7,6,5,4,3,2,1],\"c\":{\"d\":\"x\",\"g\":{}},\"h\":[]}")};
    test_every_allocation_failing(diff_in, texts);
}

/* ---- base64 ---- */

static void base64_is_that_of_rfc_4648(void **state)
{
    static const struct {
        struct str data;
        const char *text;
    } rows[] = {
        {STR_INIT(""), ""},
        {STR_INIT("f"), "Zg=="},
        {STR_INIT("fo"), "Zm8="},
        {STR_INIT("foo"), "Zm9v"},
        {STR_INIT("foob"), "Zm9vYg=="},
        {STR_INIT("fooba"), "Zm9vYmE="},
        {STR_INIT("foobar"), "Zm9vYmFy"},
        {STR_INIT("\0\0\0"), "AAAA"},
        {STR_INIT("\xff\xff\xff\xfb\xef\xbe"), "////++++"},
        {STR_INIT("[{\"op\":\"remove\",\"path\":\"/a\"}]"),
         "W3sib3AiOiJyZW1vdmUiLCJwYXRoIjoiL2EifV0="},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf buf;
        buf_init(&buf, arena_mem(&f->arena), 1024);
        buf_put(&buf, STR("<"));
        base64_write(&buf, rows[i].data);
        assert_str_is(str_sub(buf_str(&buf), 1, 1024), rows[i].text);
    }
}

static void base64_fails_whole_when_there_is_no_room(void **state)
{
    struct fixture *f = *state;
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 7);
    base64_write(&buf, STR("foob"));
    assert_true(buf_failed(&buf));
    assert_int_equal(buf_str(&buf).len, 0);
    buf_clear(&buf);
    base64_write(&buf, (struct str){"f", SIZE_MAX}); /* whose encoding has no length */
    assert_true(buf_failed(&buf));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(operations_are_written_in_their_order),
        TEST(a_patch_with_too_many_operations_fails_as_a_whole),
        TEST(a_value_that_could_not_be_made_fails_the_patch),
        TEST(a_difference_names_what_changed_and_no_more),
        TEST(a_difference_applied_to_what_was_before_gives_what_is_after),
        TEST(large_objects_in_another_order_differ_only_where_they_differ),
        TEST(a_failed_allocation_fails_the_patch_and_leaks_nothing),
        TEST(base64_is_that_of_rfc_4648),
        TEST(base64_fails_whole_when_there_is_no_room),
    };
    return cmocka_run_group_tests_name("json_patch", tests, NULL, NULL);
}
