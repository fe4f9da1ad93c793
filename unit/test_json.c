/* The strict JSON reader, looking into values, making and writing them. */
#include "unit/support.h"

#include "unit/random_json.h"
#include "json/json.h"
#include "json/number.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
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

/* A value that must be readable. */
static struct json *read_good(struct fixture *f, struct str text)
{
    struct json *value = json_read(&f->arena, text, &json_limits_default, &f->err);
    if (!value)
        fail_msg("%" PRIstr ": %s", STR_ARG(text), f->err.message);
    return value;
}

static struct json *read_cstr(struct fixture *f, const char *text)
{
    return read_good(f, str_from_cstr(text));
}

/* `count` times `part`, between `before` and `after`. */
static struct str repeat(struct fixture *f, const char *before, const char *part, size_t count,
                         const char *after)
{
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 16 * 1024 * 1024);
    buf_put(&buf, str_from_cstr(before));
    for (size_t i = 0; i < count; i++)
        buf_put(&buf, str_from_cstr(part));
    buf_put(&buf, str_from_cstr(after));
    assert_false(buf_failed(&buf));
    return buf_str(&buf);
}

static struct str print(struct fixture *f, const struct json *value)
{
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 16 * 1024 * 1024);
    json_write(&buf, value);
    assert_false(buf_failed(&buf));
    return buf_str(&buf);
}

/* ---- reading ---- */

static void what_is_read_is_written_compactly_with_numbers_as_they_were(void **state)
{
    static const struct {
        const char *text, *written;
    } rows[] = {
        {"null", "null"},
        {"true", "true"},
        {" false\n", "false"},
        {"0", "0"},
        {"-0", "-0"},
        {"-12.50e+03", "-12.50e+03"},
        {"6000000000000000001", "6000000000000000001"},
        {"1e-999", "1e-999"},
        {"0e999", "0e999"},
        {"\"\"", "\"\""},
        {"\"plain\"", "\"plain\""},
        {"\"\\u0041\\/\\b\\f\\n\\r\\t\\\"\\\\\"", "\"A/\\b\\f\\n\\r\\t\\\"\\\\\""},
        {"\"\\u001F\\u007f\\u00e9\\u20AC\\uD83D\\uDE00\"", "\"\\u001f\x7fé€😀\""},
        {"\"é€😀\"", "\"é€😀\""},
        {"[]", "[]"},
        {"[ ]", "[]"},
        {"{}", "{}"},
        {"\t{ \"a\" : [ 1 , 2 ] ,\r\n\"b\" : { } }\n", "{\"a\":[1,2],\"b\":{}}"},
        {"[[],[[]],{},{\"\":{}}]", "[[],[[]],{},{\"\":{}}]"},
        {"{\"b\":1,\"a\":2}", "{\"b\":1,\"a\":2}"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_str_is(print(f, read_cstr(f, rows[i].text)), rows[i].written);
}

static const struct {
    const char *text, *message;
} no_json[] = {
    {"", "line 1, column 1: expected a value, but there is none"},
    {" \n ", "line 2, column 2: expected a value, but there is none"},
    {"\xEF\xBB\xBF{}", "line 1, column 1: the text begins with a byte order mark"},
    {"nul", "line 1, column 1: expected a value, not 'n'"},
    {"True", "line 1, column 1: expected a value, not 'T'"},
    {"NaN", "line 1, column 1: expected a value, not 'N'"},
    {"'a'", "line 1, column 1: expected a value, not '''"},
    {"\xC3\xA9", "line 1, column 1: expected a value, not the byte 0xC3"},
    {"1 2", "line 1, column 3: expected nothing after the value, not '2'"},
    {"{}}", "line 1, column 3: expected nothing after the value, not '}'"},
    {"[1,\n 2\n  3]", "line 3, column 3: expected ',' or ']', not '3'"},
    {"[1,]", "line 1, column 4: expected a value, not ']'"},
    {"[,1]", "line 1, column 2: expected a value, not ','"},
    {"[1}", "line 1, column 3: expected ',' or ']', not '}'"},
    {"[", "line 1, column 2: expected a value, but the text ends here"},
    {"[1", "line 1, column 3: expected ',' or ']', but the text ends here"},
    {"{", "line 1, column 2: expected a key in quotes, but the text ends here"},
    {"{\"a\"", "line 1, column 5: expected ':' after the key, but the text ends here"},
    {"{\"a\":", "line 1, column 6: expected a value, but the text ends here"},
    {"{\"a\" 1}", "line 1, column 6: expected ':' after the key, not '1'"},
    {"{\"a\":1,}", "line 1, column 8: expected a key in quotes, not '}'"},
    {"{\"a\":1 \"b\":2}", "line 1, column 8: expected ',' or '}', not '\"'"},
    {"{a:1}", "line 1, column 2: expected a key in quotes, not 'a'"},
    {"{1:1}", "line 1, column 2: expected a key in quotes, not '1'"},
    {"[1]//", "line 1, column 4: expected nothing after the value, not '/'"},
    {"01", "line 1, column 1: a number may not begin with a needless 0"},
    {"-01", "line 1, column 1: a number may not begin with a needless 0"},
    {"-", "line 1, column 2: expected a digit, but the text ends here"},
    {"+1", "line 1, column 1: expected a value, not '+'"},
    {".5", "line 1, column 1: expected a value, not '.'"},
    {"[1.]", "line 1, column 4: expected a digit, not ']'"},
    {"1.e5", "line 1, column 3: expected a digit, not 'e'"},
    {"1e+", "line 1, column 4: expected a digit, but the text ends here"},
    {"0x10", "line 1, column 2: expected nothing after the value, not 'x'"},
    {"1e999", "line 1, column 1: the number is beyond what a 64-bit float can hold"},
    {"-1.8e308", "line 1, column 1: the number is beyond what a 64-bit float can hold"},
    {"\"abc", "line 1, column 1: the string that begins here has no end"},
    {"\"abc\\\"", "line 1, column 1: the string that begins here has no end"},
    {"\"a\tb\"",
     "line 1, column 3: the control character 0x09 must be written as \\u0009 in a string"},
    {"\"a\nb\"",
     "line 1, column 3: the control character 0x0A must be written as \\u000a in a string"},
    {"\"\\x41\"",
     "line 1, column 2: this escape is not one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX"},
    {"\"\\u00g0\"",
     "line 1, column 2: this escape is not one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX"},
    {"\"\\u00",
     "line 1, column 2: this escape is not one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX"},
    {"\"\\u0000\"", "line 1, column 2: the character U+0000 is not allowed"},
    {"\"\\ud800\"",
     "line 1, column 2: \\ud800 is half of a surrogate pair, the other half is missing"},
    {"\"\\ud800\\n\"",
     "line 1, column 2: \\ud800 is half of a surrogate pair, the other half is missing"},
    {"\"\\ud800\\ud800\"",
     "line 1, column 2: \\ud800 is half of a surrogate pair, the other half is missing"},
    {"\"x\\udc00\"",
     "line 1, column 3: \\udc00 is half of a surrogate pair, the other half is missing"},
    {"{\"a\":1,\"a\":2}", "line 1, column 8: duplicate key \"a\""},
    {"{\"a\":{\"b\":1,\n\"\\u0062\":2}}", "line 2, column 1: duplicate key \"b\""},
    {"{\"\":1,\"\":2}", "line 1, column 7: duplicate key \"\""},
};

static void what_is_no_json_is_refused_with_its_place_and_the_reason(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(no_json); i++) {
        struct str text = str_from_cstr(no_json[i].text);
        if (json_read(&f->arena, text, &json_limits_default, &f->err))
            fail_msg("row %zu was read: %s", i, no_json[i].text);
        assert_string_equal(f->err.message, no_json[i].message);
        assert_int_equal(f->err.code, 400);
    }
}

static void a_text_that_is_cut_anywhere_is_refused(void **state)
{
    struct fixture *f = *state;
    struct str whole = STR("{\"a\":[1,-2.5e3,true,null,\"x\\u00e9\\n😀\"],\"b\":{\"c\":{}}}");
    read_good(f, whole);
    for (size_t len = 0; len < whole.len; len++) {
        /* A copy of just this size: the sanitizer sees a reader that goes beyond the end. */
        char *cut = malloc(len + 1);
        assert_non_null(cut);
        memcpy(cut + 1, whole.ptr, len);
        assert_null(
            json_read(&f->arena, (struct str){cut + 1, len}, &json_limits_default, &f->err));
        assert_int_equal(f->err.code, 400);
        free(cut);
    }
}

static void a_nul_byte_is_refused_wherever_it_stands(void **state)
{
    static const struct str rows[] = {
        STR_INIT("\0"), STR_INIT("1\0"), STR_INIT("\"a\0b\""), STR_INIT("[\0]"), STR_INIT("{\0}"),
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_null(json_read(&f->arena, rows[i], &json_limits_default, &f->err));
}

static void strings_are_utf8_and_nothing_else(void **state)
{
    static const struct {
        const char *bytes;
        bool good;
    } rows[] = {
        {"\x7F", true},
        {"\xC2\x80", true},
        {"\xDF\xBF", true},
        {"\xE0\xA0\x80", true},
        {"\xED\x9F\xBF", true},
        {"\xEE\x80\x80", true},
        {"\xEF\xBF\xBF", true},
        {"\xF0\x90\x80\x80", true},
        {"\xF4\x8F\xBF\xBF", true},
        {"\x80", false},
        {"\xBF", false},
        {"\xC0\x80", false},
        {"\xC1\xBF", false},
        {"\xC2", false},
        {"\xC2\x41", false},
        {"\xE0\x80\x80", false},
        {"\xE0\x9F\xBF", false},
        {"\xE1\x80", false},
        {"\xED\xA0\x80", false},
        {"\xED\xBF\xBF", false},
        {"\xF0\x80\x80\x80", false},
        {"\xF0\x8F\xBF\xBF", false},
        {"\xF0\x90\x80", false},
        {"\xF4\x90\x80\x80", false},
        {"\xF5\x80\x80\x80", false},
        {"\xFE", false},
        {"\xFF", false},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        /* At all distances from the words of eight bytes that the reader looks at. */
        for (int before = 0; before < 17; before++) {
            struct str text =
                arena_printf(&f->arena, "\"%.*s%sxy\"", before, "0123456789abcdefg", rows[i].bytes);
            struct json *value = json_read(&f->arena, text, &json_limits_default, &f->err);
            assert_int_equal(value != NULL, rows[i].good);
            if (value)
                assert_str_equal(json_str(value), str_sub(text, 1, text.len - 2));
        }
    }
}

static void special_bytes_are_found_at_every_place_of_a_string(void **state)
{
    struct fixture *f = *state;
    for (int c = 1; c < 0x80; c++) {
        for (int before = 0; before < 17; before++) {
            struct str text = arena_printf(&f->arena, "[\"%.*s%c%s\"]", before, "0123456789abcdefg",
                                           c, c == '\\' ? "\\zzzzzzzz" : "zzzzzzzz");
            bool good = c >= 0x20 && c != '"';
            assert_int_equal(json_read(&f->arena, text, &json_limits_default, &f->err) != NULL,
                             good);
        }
    }
}

static void strings_without_escapes_point_into_the_source(void **state)
{
    struct fixture *f = *state;
    struct str text = STR("{\"key\":\"value\",\"\\u006b2\":\"a\\nb\"}");
    struct json *object = read_good(f, text), *value = json_get(object, STR("key"));
    assert_ptr_equal(value->key, text.ptr + 2);
    assert_ptr_equal(json_str(value).ptr, text.ptr + 8);
    value = json_get(object, STR("k2"));
    assert_str_is(json_str(value), "a\nb");
    assert_true(json_str(value).ptr < text.ptr || json_str(value).ptr >= text.ptr + text.len);
}

static void values_know_the_line_that_they_begin_in(void **state)
{
    struct fixture *f = *state;
    struct json *object = read_cstr(f, "\n{\"a\": 1,\n\"b\":\n[\n2,\r\n{}]}");
    assert_int_equal(object->line, 2);
    assert_int_equal(json_path(object, "a", NULL)->line, 2);
    struct json *array = json_path(object, "b", NULL);
    assert_int_equal(array->line, 4);
    assert_int_equal(json_at(array, 0)->line, 5);
    assert_int_equal(json_at(array, 1)->line, 6);
}

/* ---- limits ---- */

static void depth_is_limited(void **state)
{
    struct fixture *f = *state;
    struct str good = repeat(f, "", "[", 64, "]");
    for (int i = 0; i < 63; i++)
        good = arena_printf(&f->arena, "%" PRIstr "]", STR_ARG(good));
    read_good(f, good);
    static const char *const parts[] = {"[", "{\"a\":", "[{\"a\":"};
    for (size_t i = 0; i < COUNT(parts); i++) {
        assert_null(json_read(&f->arena, repeat(f, "", parts[i], 100000, ""), &json_limits_default,
                              &f->err));
        assert_int_equal(f->err.code, 413);
        assert_non_null(strstr(f->err.message, "nested deeper than 64 levels (the limit)"));
    }
}

static void the_number_of_values_is_limited(void **state)
{
    struct fixture *f = *state;
    const struct json_limits limits = {.max_depth = 4, .max_values = 5};
    assert_non_null(json_read(&f->arena, STR("[1,2,{\"a\":3}]"), &limits, &f->err));
    assert_null(json_read(&f->arena, STR("[1,2,{\"a\":3},\n4]"), &limits, &f->err));
    assert_int_equal(f->err.code, 413);
    assert_string_equal(f->err.message, "line 2, column 1: more than 5 values (the limit)");
}

static void three_mebibytes_of_zeros_are_refused_by_their_number_within_the_memory(void **state)
{
    struct fixture *f = *state;
    struct str text = repeat(f, "[0", ",0", 3 * 1024 * 1024 / 2, "]");
    struct arena arena;
    arena_init(&arena, &f->mem.mem, 32 * 1024, ARENA_MAX);
    assert_null(json_read(&arena, text, &json_limits_default, &f->err));
    assert_int_equal(f->err.code, 413);
    assert_non_null(strstr(f->err.message, "more than 400000 values (the limit)"));
    assert_true(arena.used < ARENA_MAX);
    arena_done(&arena);
}

static void managed_fields_are_left_out_where_the_server_writes_them(void **state)
{
    struct fixture *f = *state;
    const struct json_limits limits = {
        .max_depth = 9, .max_values = 20, .leave_out_managed_fields = true};
    static const struct {
        const char *text, *want; /* NULL: refused */
    } rows[] = {
        {"{\"metadata\":{\"managedFields\":[{\"a\":\"]}\\\"\"}],\"name\":\"a\"}}",
         "{\"metadata\":{\"name\":\"a\"}}"},
        {"{\"object\":{\"metadata\":{\"name\":\"a\", \"managedFields\" : [ [] , {} ] "
         "},\"spec\":1}}",
         "{\"object\":{\"metadata\":{\"name\":\"a\"},\"spec\":1}}"},
        {"{\"metadata\":{\"a\":1,\"managedFields\":{},\"managedFields\":null,\"b\":2}}",
         "{\"metadata\":{\"a\":1,\"b\":2}}"},
        {"{\"metadata\":{\"managedFields\":[]}}", "{\"metadata\":{}}"},
        {"{\"metadata\":{\"managedFields\":\"\\u00e4\"}}", "{\"metadata\":{}}"},
        /* What only looks like it. */
        {"{\"managedFields\":[1]}", "{\"managedFields\":[1]}"},
        {"{\"spec\":{\"managedFields\":[1]}}", "{\"spec\":{\"managedFields\":[1]}}"},
        {"{\"metadata\":{\"managedFieldsToo\":[1]}}", "{\"metadata\":{\"managedFieldsToo\":[1]}}"},
        {"{\"metadata\":{\"labels\":{\"managedFields\":\"x\"}}}",
         "{\"metadata\":{\"labels\":{\"managedFields\":\"x\"}}}"},
        {"{\"a\":{\"b\":{\"metadata\":{\"managedFields\":1}}}}",
         "{\"a\":{\"b\":{\"metadata\":{\"managedFields\":1}}}}"},
        /* What is around it is read as strictly as ever. */
        {"{\"metadata\":{\"managedFields\":[],}}", NULL},
        {"{\"metadata\":{,\"managedFields\":[]}}", NULL},
        {"{\"metadata\":{\"managedFields\":[] \"a\":1}}", NULL},
        {"{\"metadata\":{\"managedFields\" []}}", NULL},
        {"{\"metadata\":{\"managedFields\":}}", NULL},
        {"{\"metadata\":{\"managedFields\":x}}", NULL},
        {"{\"metadata\":{\"a\":1,\"managedFields\":[],\"a\":2}}", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct str text = str_from_cstr(rows[i].text);
        const struct json *value = json_read(&f->arena, text, &limits, &f->err);
        if (!rows[i].want) {
            assert_null(value);
            assert_int_equal(f->err.code, 400);
            continue;
        }
        if (!value)
            fail_msg("%s: %s", rows[i].text, f->err.message);
        struct buf buf;
        buf_init(&buf, &f->mem.mem, 1024);
        json_write(&buf, value);
        assert_str_equal(buf_str(&buf), str_from_cstr(rows[i].want));
        buf_done(&buf);
        /* Cut anywhere it is refused. */
        for (size_t len = 0; len < text.len; len++)
            assert_null(json_read(&f->arena, str_sub(text, 0, len), &limits, &f->err));
    }
}

static void the_length_of_a_number_is_limited(void **state)
{
    struct fixture *f = *state;
    read_good(f, repeat(f, "0.", "1", NUMBER_TEXT_MAX - 2, ""));
    assert_null(json_read(&f->arena, repeat(f, "0.", "1", NUMBER_TEXT_MAX - 1, ""),
                          &json_limits_default, &f->err));
    assert_int_equal(f->err.code, 413);
    assert_string_equal(f->err.message,
                        "line 1, column 1: a number of more than 512 characters (the limit)");
    /* Without an exponent a number can be infinite too. */
    assert_null(json_read(&f->arena, repeat(f, "", "9", 400, ""), &json_limits_default, &f->err));
    assert_int_equal(f->err.code, 400);
}

static void the_length_of_a_text_is_limited(void **state)
{
    struct fixture *f = *state;
    /* Only the length is looked at. */
    struct str text = {"[]", 1024 * 1024 * 1024 + 1};
    assert_null(json_read(&f->arena, text, &json_limits_default, &f->err));
    assert_int_equal(f->err.code, 413);
    assert_string_equal(f->err.message, "the text has more than 1073741824 bytes (the limit)");
}

static void an_arena_that_is_full_is_an_error_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct str text = repeat(f, "[1", ",1", 10000, "]");
    struct arena arena;
    arena_init(&arena, &f->mem.mem, 4096, 64 * 1024);
    assert_null(json_read(&arena, text, &json_limits_default, &f->err));
    assert_int_equal(f->err.code, 507);
    arena_done(&arena);
}

/* ---- duplicate keys ---- */

/* {"key-0":0, …}, with `again` as one more key. */
static struct str object_of(struct fixture *f, size_t count, const char *again)
{
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 16 * 1024 * 1024);
    buf_put_char(&buf, '{');
    for (size_t i = 0; i < count; i++)
        buf_printf(&buf, "\"key-%zu\":%zu,\n", i, i);
    buf_printf(&buf, "\"%s\":-1}", again);
    assert_false(buf_failed(&buf));
    return buf_str(&buf);
}

static void a_key_that_appears_twice_is_refused_in_objects_of_any_size(void **state)
{
    /* Around the sizes where the reader begins to hash, and where it makes more room. */
    static const size_t sizes[] = {1, 2, 15, 16, 17, 18, 31, 32, 33, 63, 64, 65, 127, 1000, 100000};
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const size_t twice[] = {0, sizes[i] / 2, sizes[i] - 1};
        read_good(f, object_of(f, sizes[i], "other"));
        for (size_t j = 0; j < COUNT(twice); j++) {
            char key[32], message[96];
            snprintf(key, sizeof(key), "key-%zu", twice[j]);
            snprintf(message, sizeof(message), "line %zu, column 1: duplicate key \"%s\"",
                     sizes[i] + 1, key);
            assert_null(
                json_read(&f->arena, object_of(f, sizes[i], key), &json_limits_default, &f->err));
            assert_string_equal(f->err.message, message);
            arena_reset(&f->arena);
        }
    }
}

static void keys_that_differ_in_little_are_different(void **state)
{
    struct fixture *f = *state;
    read_cstr(f, "{\"a\":1,\"A\":2,\"a \":3,\"\":4,\"aa\":5,\"\\u00e9\":6,\"e\\u0301\":7}");
    /* The same key in two objects. */
    read_cstr(f, "[{\"a\":{\"a\":1}},{\"a\":2}]");
}

/* ---- looking ---- */

static void looking_into_nothing_gives_nothing(void **state)
{
    struct fixture *f = *state;
    struct json *array = read_cstr(f, "[1]"), *text = read_cstr(f, "\"x\"");
    int64_t integer = 7;
    double number = 7;
    assert_null(json_get(NULL, STR("a")));
    assert_null(json_get(array, STR("a")));
    assert_null(json_at(NULL, 0));
    assert_null(json_at(array, 1));
    assert_null(json_at(text, 0));
    assert_null(json_path(array, "a", "b", NULL));
    assert_null(json_path(NULL, "a", NULL));
    assert_null(json_first(text));
    assert_false(str_is_set(json_str(NULL)));
    assert_false(str_is_set(json_str(array)));
    assert_true(str_is_set(json_str(text)));
    assert_true(str_is_set(json_str(read_cstr(f, "\"\""))));
    assert_false(json_int64(NULL, &integer) || json_int64(text, &integer));
    assert_false(json_double(NULL, &number) || json_double(text, &number));
    assert_int_equal(integer, 7);
    assert_true(number == 7);
    assert_true(json_bool(NULL, true) && json_bool(text, true) && !json_bool(text, false));
    assert_true(json_bool(read_cstr(f, "true"), false));
    assert_false(json_bool(read_cstr(f, "false"), true));
}

static void a_path_follows_members(void **state)
{
    struct fixture *f = *state;
    struct json *value = read_cstr(f, "{\"a\":{\"b\":{\"c\":\"x\"},\"d\":1}}");
    assert_str_is(json_str(json_path(value, "a", "b", "c", NULL)), "x");
    assert_null(json_path(value, "a", "x", "c", NULL));
    assert_null(json_path(value, "a", "d", "c", NULL));
}

static void integers_are_read_exactly_or_not_at_all(void **state)
{
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } rows[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"-0.0e5", true, 0},
        {"42", true, 42},
        {"1.0", true, 1},
        {"1.000", true, 1},
        {"1e3", true, 1000},
        {"1E+3", true, 1000},
        {"1.5e1", true, 15},
        {"1500e-2", true, 15},
        {"0.0015e4", true, 15},
        {"-12.0e1", true, -120},
        {"9007199254740993", true, INT64_C(9007199254740993)},
        {"9007199254740993.0", true, INT64_C(9007199254740993)},
        {"9223372036854775807", true, INT64_MAX},
        {"9.223372036854775807e18", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"-9223372036854775808.0", true, INT64_MIN},
        {"0e99999999999999999999", true, 0},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"9223372036854775807.5", false, 0},
        {"1.5", false, 0},
        {"1e-1", false, 0},
        {"1e-99999999999999999999", false, 0},
        {"1e19", false, 0},
        {"1e300", false, 0},
        {"12345678901234567890", false, 0},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t value = 77;
        if (json_int64(read_cstr(f, rows[i].text), &value) != rows[i].good)
            fail_msg("%s", rows[i].text);
        assert_int_equal(value, rows[i].good ? rows[i].value : 77);
    }
}

static void doubles_are_the_nearest_ones(void **state)
{
    static const struct {
        const char *text;
        double value;
    } rows[] = {
        {"0", 0},
        {"1.5", 1.5},
        {"-1e3", -1000},
        {"0.1", 0.1},
        {"1.7976931348623157e308", 1.7976931348623157e308},
        {"5e-324", 5e-324},
        {"1e-999", 0},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        double value = 77;
        assert_true(json_double(read_cstr(f, rows[i].text), &value));
        assert_true(value == rows[i].value);
    }
}

/* ---- comparing ---- */

static void equality_is_of_type_and_content(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {
        {"null", "null", true},
        {"null", "false", false},
        {"true", "true", true},
        {"true", "false", false},
        {"\"a\"", "\"\\u0061\"", true},
        {"\"a\"", "\"A\"", false},
        {"\"1\"", "1", false},
        {"1", "1.0", true},
        {"1", "10e-1", true},
        {"100", "1e2", true},
        {"0.01", "1e-2", true},
        {"-0", "0.0e7", true},
        {"1", "-1", false},
        {"1", "10", false},
        {"9007199254740993", "9007199254740992", false},
        {"9007199254740993", "9007199254740993.00", true},
        {"0.1", "0.1000000000000000055511151231257827", false},
        {"[]", "{}", false},
        {"[1,2]", "[1,2]", true},
        {"[1,2]", "[2,1]", false},
        {"[1,2]", "[1]", false},
        {"[1]", "[1,2]", false},
        {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", true},
        {"{\"a\":1,\"b\":2}", "{\"a\":1}", false},
        {"{\"a\":1}", "{\"a\":1,\"b\":2}", false},
        {"{\"a\":1}", "{\"b\":1}", false},
        {"{\"a\":null}", "{\"b\":null}", false},
        {"{\"a\":[{\"b\":1}]}", "{\"a\":[{\"b\":2}]}", false},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct json *a = read_cstr(f, rows[i].a), *b = read_cstr(f, rows[i].b);
        if (json_equal(a, b) != rows[i].equal || json_equal(b, a) != rows[i].equal)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
        assert_true(json_equal(a, a));
    }
    assert_true(json_equal(NULL, NULL));
    assert_false(json_equal(NULL, read_cstr(f, "null")));
}

/* The same members, the last first. */
static struct json *reversed(struct fixture *f, const struct json *object)
{
    struct json *copy = json_new(&f->arena, JSON_OBJECT);
    JSON_EACH (member, object) {
        struct json *front = json_copy(&f->arena, member);
        front->next = copy->first;
        copy->first = front;
        copy->len++;
    }
    return copy;
}

static void large_objects_are_compared_in_any_order(void **state)
{
    struct fixture *f = *state;
    struct json *object = read_good(f, object_of(f, 100000, "last"));
    struct json *other = reversed(f, object);
    assert_true(json_equal(object, other));
    json_get(other, STR("key-500"))->key = "key-???";
    assert_false(json_equal(object, other));
    assert_false(json_equal(other, object));
}

/* ---- making ---- */

static void members_are_set_replaced_in_place_and_removed(void **state)
{
    struct fixture *f = *state;
    struct arena *arena = &f->arena;
    struct json *object = json_new(arena, JSON_OBJECT);
    json_remove(object, STR("a"));
    assert_true(json_set(object, STR("a"), json_new_int(arena, 1)));
    assert_true(json_set(object, STR("b"), json_new_str(arena, STR("x"))));
    assert_true(json_set(object, STR("c"), json_new_bool(arena, true)));
    assert_str_is(print(f, object), "{\"a\":1,\"b\":\"x\",\"c\":true}");
    assert_true(json_set(object, STR("c"), json_new(arena, JSON_NULL)));
    assert_true(json_set(object, STR("a"), json_new(arena, JSON_ARRAY)));
    assert_str_is(print(f, object), "{\"a\":[],\"b\":\"x\",\"c\":null}");
    json_remove(object, STR("c"));
    assert_true(json_set(object, STR("d"), json_new_int(arena, INT64_MIN)));
    assert_str_is(print(f, object), "{\"a\":[],\"b\":\"x\",\"d\":-9223372036854775808}");
    json_remove(object, STR("a"));
    json_remove(object, STR("missing"));
    assert_int_equal(object->len, 2);
    json_remove(object, STR("d"));
    json_remove(object, STR("b"));
    assert_str_is(print(f, object), "{}");
    assert_true(json_set(object, STR("e"), json_new(arena, JSON_OBJECT)));
    assert_str_is(print(f, object), "{\"e\":{}}");
}

static void elements_are_appended_to_what_was_read_and_to_what_was_made(void **state)
{
    struct fixture *f = *state;
    struct json *array = read_cstr(f, "[1,[2]]");
    assert_true(json_append(array, json_new_str(&f->arena, STR(""))));
    assert_true(json_append(json_at(array, 1), json_new_int(&f->arena, 3)));
    assert_str_is(print(f, array), "[1,[2,3],\"\"]");
    assert_int_equal(array->len, 3);
    struct json *member = json_new_int(&f->arena, 4), *object = read_cstr(f, "{\"a\":1}");
    assert_true(json_set(object, STR("b"), member));
    assert_str_is(print(f, object), "{\"a\":1,\"b\":4}");
}

static void making_refuses_what_has_no_place(void **state)
{
    struct fixture *f = *state;
    struct json *array = read_cstr(f, "[]"), *object = read_cstr(f, "{}");
    assert_false(json_append(array, NULL));
    assert_false(json_set(object, STR("a"), NULL));
    assert_false(json_append(object, json_new_int(&f->arena, 1)));
    assert_false(json_set(array, STR("a"), json_new_int(&f->arena, 1)));
    assert_false(json_set(NULL, STR("a"), json_new_int(&f->arena, 1)));
    assert_str_is(print(f, array), "[]");
    assert_str_is(print(f, object), "{}");
}

static void a_copy_is_independent_of_what_it_was_made_from(void **state)
{
    struct fixture *f = *state;
    struct json *value = read_cstr(f, "{\"a\":[1,{\"b\":\"x\"}],\"c\":2}");
    struct json *copy = json_copy(&f->arena, value);
    assert_true(json_equal(value, copy));
    assert_true(
        json_set(json_at(json_get(copy, STR("a")), 1), STR("d"), json_new(&f->arena, JSON_NULL)));
    json_remove(copy, STR("c"));
    assert_str_is(print(f, copy), "{\"a\":[1,{\"b\":\"x\",\"d\":null}]}");
    assert_str_is(print(f, value), "{\"a\":[1,{\"b\":\"x\"}],\"c\":2}");
    struct json *inner = json_copy(&f->arena, json_get(value, STR("a")));
    assert_null(inner->next);
    assert_null(json_copy(&f->arena, NULL));
}

static void types_have_names(void **state)
{
    (void)state;
    static const char *const names[] = {"null", "boolean", "number", "string", "array", "object"};
    for (size_t i = 0; i < COUNT(names); i++)
        assert_string_equal(json_type_name((enum json_type)i), names[i]);
}

/* ---- writing ---- */

static void strings_are_escaped_where_json_wants_it(void **state)
{
    static const struct {
        struct str text;
        const char *written;
    } rows[] = {
        {{NULL, 0}, "\"\""},
        {STR_INIT(""), "\"\""},
        {STR_INIT("plain /<>&"), "\"plain /<>&\""},
        {STR_INIT("\"\\\b\f\n\r\t"), "\"\\\"\\\\\\b\\f\\n\\r\\t\""},
        {STR_INIT("\x01\x1f\x7f"), "\"\\u0001\\u001f\x7f\""},
        {STR_INIT("a\0b"), "\"a\\u0000b\""},
        {STR_INIT("é€😀"), "\"é€😀\""},
        {STR_INIT("\xff"
                  "a\xe2\x82"
                  "b"),
         "\"\uFFFDa\uFFFD\uFFFDb\""},
        {STR_INIT("cut \xf0\x9f\x98"), "\"cut \uFFFD\uFFFD\uFFFD\""},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf buf;
        buf_init(&buf, arena_mem(&f->arena), 1024);
        json_write_str(&buf, rows[i].text);
        assert_str_is(buf_str(&buf), rows[i].written);
    }
}

static void pretty_output_has_lines_and_indentation(void **state)
{
    struct fixture *f = *state;
    struct json *value = read_cstr(f, "{\"a\":[1,{\"b\":[]}],\"c\":{}}");
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 1024);
    json_write_pretty(&buf, value, 2);
    assert_str_is(buf_str(&buf), "{\n"
                                 "  \"a\": [\n"
                                 "    1,\n"
                                 "    {\n"
                                 "      \"b\": []\n"
                                 "    }\n"
                                 "  ],\n"
                                 "  \"c\": {}\n"
                                 "}");
    assert_true(json_equal(read_good(f, buf_str(&buf)), value));
    json_write(&buf, NULL);
    assert_true(str_ends_with(buf_str(&buf), STR("}null")));
}

static void writing_stops_at_the_maximum_of_the_buffer(void **state)
{
    struct fixture *f = *state;
    struct json *value = read_cstr(f, "[\"abc\",{\"k\":\"\\n\"},[1,2]]");
    size_t need = print(f, value).len;
    for (size_t max = 0; max <= need; max++) {
        struct buf buf;
        buf_init(&buf, arena_mem(&f->arena), max);
        json_write(&buf, value);
        assert_int_equal(buf_failed(&buf), max < need);
        buf_clear(&buf);
        json_write_pretty(&buf, value, 1);
        assert_true(buf_failed(&buf));
    }
}

/* ---- properties ---- */

static void what_is_written_reads_back_equal(void **state)
{
    struct fixture *f = *state;
    struct random_seeded seeded;
    random_seeded_init(&seeded, TEST_SEED);
    for (int i = 0; i < 2000; i++) {
        arena_reset(&f->arena);
        struct json *value = random_json(&f->arena, &seeded.random, 4);
        struct json *again = read_good(f, print(f, value));
        if (!json_equal(value, again))
            fail_msg("round %d: %" PRIstr, i, STR_ARG(print(f, value)));
        assert_true(json_equal(json_copy(&f->arena, again), value));
        struct buf pretty;
        buf_init(&pretty, arena_mem(&f->arena), 16 * 1024 * 1024);
        json_write_pretty(&pretty, value, 3);
        assert_true(json_equal(read_good(f, buf_str(&pretty)), value));
    }
}

/* Numbers are written with the digits that give them back, in the form of Go's encoding/json. */
static void doubles_are_printed_as_go_prints_them(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {100, "100"},
        {123.456, "123.456"},
        {1e20, "100000000000000000000"},
        {123456789012345680000.0, "123456789012345680000"},
        {1e21, "1e+21"},
        {1.5e300, "1.5e+300"},
        {1e-6, "0.000001"},
        {1.25e-6, "0.00000125"},
        {1e-7, "1e-7"},
        {-2.5e-10, "-2.5e-10"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {0.30000000000000004, "0.30000000000000004"},
        {9007199254740993.0, "9007199254740992"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[NUMBER_PRINT_MAX];
        assert_str_is(((struct str){text, number_print(rows[i].value, text)}), rows[i].text);
    }
    struct random_seeded seeded;
    random_seeded_init(&seeded, TEST_SEED);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = random_u64(&seeded.random);
        double value, again;
        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value))
            continue;
        char text[NUMBER_PRINT_MAX];
        assert_true(number_to_double((struct str){text, number_print(value, text)}, &again));
        assert_true(value == again);
    }
}

/* ---- against cJSON ---- */

static bool same_scalar(const struct json *ours, const cJSON *theirs)
{
    double number;
    switch (ours->type) {
    case JSON_NULL:
        return cJSON_IsNull(theirs);
    case JSON_BOOL:
        return cJSON_IsBool(theirs) && cJSON_IsTrue(theirs) == ours->boolean;
    case JSON_NUMBER:
        return cJSON_IsNumber(theirs) && json_double(ours, &number) &&
               number == theirs->valuedouble;
    default:
        return cJSON_IsString(theirs) && str_eq_cstr(json_str(ours), theirs->valuestring);
    }
}

static bool same_tree(const struct json *ours, const cJSON *theirs)
{
    if (ours->type != JSON_ARRAY && ours->type != JSON_OBJECT)
        return same_scalar(ours, theirs);
    if (!(ours->type == JSON_ARRAY ? cJSON_IsArray(theirs) : cJSON_IsObject(theirs)))
        return false;
    const cJSON *other = theirs->child;
    uint32_t count = 0;
    JSON_EACH (child, ours) {
        if (!other || !same_tree(child, other))
            return false;
        if (ours->type == JSON_OBJECT && !str_eq_cstr(json_key(child), other->string))
            return false;
        other = other->next;
        count++;
    }
    return !other && count == ours->len;
}

/* A few bytes of the text replaced, removed or doubled. */
static struct str mutate(struct fixture *f, const struct random *random, struct str text)
{
    static const char bytes[] = "{}[]\",:\\u0d8DCeE+-.1 \n\t\x01\x7f\xc3\xa9\xf0tfnrl/b";
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 16 * 1024 * 1024);
    uint64_t edits = random_below(random, 4);
    size_t from = 0;
    for (; edits > 0 && from < text.len; edits--) {
        size_t len = random_below(random, text.len - from);
        buf_put(&buf, str_sub(text, from, len));
        from += len + random_below(random, 3);
        for (uint64_t n = random_below(random, 3); n > 0; n--)
            buf_put_char(&buf, bytes[random_below(random, sizeof(bytes) - 1)]);
    }
    buf_put(&buf, str_sub(text, from, text.len));
    return buf_str(&buf);
}

static void what_is_accepted_is_what_cjson_reads(void **state)
{
    struct fixture *f = *state;
    struct random_seeded seeded;
    random_seeded_init(&seeded, TEST_SEED);
    int accepted = 0, refused = 0;
    for (int i = 0; i < 20000; i++) {
        arena_reset(&f->arena);
        struct str text = print(f, random_json(&f->arena, &seeded.random, 3));
        text = mutate(f, &seeded.random, text);
        struct json *ours = json_read(&f->arena, text, &json_limits_default, &f->err);
        if (!ours) {
            assert_int_equal(f->err.code, 400);
            refused++;
            continue;
        }
        accepted++;
        cJSON *theirs = cJSON_ParseWithLength(text.ptr, text.len);
        if (!theirs || !same_tree(ours, theirs))
            fail_msg("seed %d, round %d: %" PRIstr, TEST_SEED, i, STR_ARG(text));
        cJSON_Delete(theirs);
    }
    /* Both ways have been taken often. */
    assert_true(accepted > 5000);
    assert_true(refused > 5000);
}

/* ---- memory ---- */

static bool read_change_and_write(const struct mem *mem, void *ctx)
{
    const struct str *text = ctx;
    struct arena arena;
    struct buf buf;
    struct err err;
    arena_init(&arena, mem, 512, ARENA_MAX);
    buf_init(&buf, mem, ARENA_MAX);
    struct json *value = json_read(&arena, *text, &json_limits_default, &err);
    if (!value)
        assert_int_equal(err.code, 507);
    struct json *copy = value ? json_copy(&arena, value) : NULL;
    bool good = copy && json_set(copy, STR("number"), json_new_int(&arena, 12)) &&
                json_set(copy, STR("flag"), json_new_bool(&arena, true)) &&
                json_set(copy, STR("text"), json_new_str(&arena, STR("x")));
    if (good)
        json_write(&buf, copy);
    good = good && !buf_failed(&buf);
    buf_done(&buf);
    arena_done(&arena);
    return good;
}

static void a_failed_allocation_is_an_error_and_leaks_nothing(void **state)
{
    struct fixture *f = *state;
    struct str text = object_of(f, 100, "a\\nb");
    test_every_allocation_failing(read_change_and_write, &text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_read_is_written_compactly_with_numbers_as_they_were),
        TEST(what_is_no_json_is_refused_with_its_place_and_the_reason),
        TEST(a_text_that_is_cut_anywhere_is_refused),
        TEST(a_nul_byte_is_refused_wherever_it_stands),
        TEST(strings_are_utf8_and_nothing_else),
        TEST(special_bytes_are_found_at_every_place_of_a_string),
        TEST(strings_without_escapes_point_into_the_source),
        TEST(values_know_the_line_that_they_begin_in),
        TEST(depth_is_limited),
        TEST(the_number_of_values_is_limited),
        TEST(three_mebibytes_of_zeros_are_refused_by_their_number_within_the_memory),
        TEST(managed_fields_are_left_out_where_the_server_writes_them),
        TEST(the_length_of_a_number_is_limited),
        TEST(the_length_of_a_text_is_limited),
        TEST(an_arena_that_is_full_is_an_error_of_its_own),
        TEST(a_key_that_appears_twice_is_refused_in_objects_of_any_size),
        TEST(keys_that_differ_in_little_are_different),
        TEST(looking_into_nothing_gives_nothing),
        TEST(a_path_follows_members),
        TEST(integers_are_read_exactly_or_not_at_all),
        TEST(doubles_are_the_nearest_ones),
        TEST(equality_is_of_type_and_content),
        TEST(large_objects_are_compared_in_any_order),
        TEST(members_are_set_replaced_in_place_and_removed),
        TEST(elements_are_appended_to_what_was_read_and_to_what_was_made),
        TEST(making_refuses_what_has_no_place),
        TEST(a_copy_is_independent_of_what_it_was_made_from),
        TEST(types_have_names),
        TEST(strings_are_escaped_where_json_wants_it),
        TEST(pretty_output_has_lines_and_indentation),
        TEST(writing_stops_at_the_maximum_of_the_buffer),
        TEST(what_is_written_reads_back_equal),
        TEST(doubles_are_printed_as_go_prints_them),
        TEST(what_is_accepted_is_what_cjson_reads),
        TEST(a_failed_allocation_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
