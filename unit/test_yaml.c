/*
 * YAML as kubectl reads it, and YAML as it is written.
 *
 * This program is linked with its own malloc in front of the real one (UNIT_LDFLAGS_test_yaml in
 * the Makefile), so that libyaml's allocations can be made to fail too.
 */
#include "unit/support.h"

#include "unit/random_json.h"
#include "json/number.h"
#include "json/yaml.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

enum { ARENA_MAX = 32 * 1024 * 1024 };

/* ---- the malloc in front ---- */

void *__real_malloc(size_t size);
void *__real_realloc(void *ptr, size_t size);
void __real_free(void *ptr);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void __wrap_free(void *ptr);
char *__wrap_strdup(const char *text);

/* Counts while it is on. The test program has one thread. */
static struct {
    bool on;
    size_t calls;
    size_t fail_at; /* the call that fails, from 1; 0 for none */
    size_t failures;
    long live; /* blocks */
} counted;

static bool fails_now(void)
{
    if (!counted.on || ++counted.calls != counted.fail_at)
        return false;
    counted.failures++;
    return true;
}

void *__wrap_malloc(size_t size)
{
    void *ptr = fails_now() ? NULL : __real_malloc(size);
    counted.live += counted.on && ptr;
    return ptr;
}

void *__wrap_realloc(void *ptr, size_t size)
{
    void *moved = fails_now() ? NULL : __real_realloc(ptr, size);
    counted.live += counted.on && moved && !ptr;
    return moved;
}

void __wrap_free(void *ptr)
{
    counted.live -= counted.on && ptr;
    __real_free(ptr);
}

char *__wrap_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = __wrap_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

/* ---- fixture ---- */

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

static struct str print(struct fixture *f, const struct json *value)
{
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 16 * 1024 * 1024);
    json_write(&buf, value);
    assert_false(buf_failed(&buf));
    return buf_str(&buf);
}

static struct json *read_json(struct fixture *f, const char *text)
{
    struct json *value = json_read(&f->arena, str_from_cstr(text), &json_limits_default, &f->err);
    assert_non_null(value);
    return value;
}

/* All documents as JSON, one after the other with '|' between, or "CODE MESSAGE" after those that
 * were read before the error. */
static struct str read_limited(struct fixture *f, struct str text, const struct json_limits *limits)
{
    struct yaml_reader reader;
    struct buf buf;
    struct json *value = NULL;
    int rc;
    yaml_reader_init(&reader, text, limits);
    buf_init(&buf, arena_mem(&f->arena), 16 * 1024 * 1024);
    for (bool first = true; (rc = yaml_reader_next(&reader, &f->arena, &value, &f->err)) > 0;
         first = false) {
        if (!first)
            buf_put_char(&buf, '|');
        json_write(&buf, value);
    }
    if (rc < 0) {
        buf_printf(&buf, "%s%d %s", buf_str(&buf).len > 0 ? "|" : "", f->err.code, f->err.message);
        unsigned line;
        if (sscanf(f->err.message, "line %u,", &line) == 1)
            assert_int_equal(f->err.line, line);
    }
    /* It has come to its end and stays there. */
    assert_int_equal(yaml_reader_next(&reader, &f->arena, &value, &f->err), 0);
    yaml_reader_done(&reader);
    assert_false(buf_failed(&buf));
    return buf_str(&buf);
}

static struct str read_all(struct fixture *f, struct str text)
{
    return read_limited(f, text, &json_limits_default);
}

struct row {
    const char *yaml, *result;
};

static void check_rows(struct fixture *f, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct str result = read_all(f, str_from_cstr(rows[i].yaml));
        if (!str_eq_cstr(result, rows[i].result))
            fail_msg("%s\n  gives   %" PRIstr "\n  and not %s", rows[i].yaml, STR_ARG(result),
                     rows[i].result);
    }
}

static struct str repeat(struct fixture *f, const char *part, size_t count)
{
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 16 * 1024 * 1024);
    for (size_t i = 0; i < count; i++)
        buf_put(&buf, str_from_cstr(part));
    assert_false(buf_failed(&buf));
    return buf_str(&buf);
}

/* ---- scalars ---- */

/* Each line was compared with what sigs.k8s.io/yaml v1.6.0 gives. */
static const struct row plain_scalars[] = {
    {"", "null"},
    {"~", "null"},
    {"null", "null"},
    {"Null", "null"},
    {"NULL", "null"},
    {"nUll", "\"nUll\""},
    {"nil", "\"nil\""},
    /* booleans of YAML 1.1 */
    {"true", "true"},
    {"True", "true"},
    {"TRUE", "true"},
    {"tRue", "\"tRue\""},
    {"false", "false"},
    {"False", "false"},
    {"FALSE", "false"},
    {"yes", "true"},
    {"Yes", "true"},
    {"YES", "true"},
    {"yES", "\"yES\""},
    {"no", "false"},
    {"No", "false"},
    {"NO", "false"},
    {"on", "true"},
    {"On", "true"},
    {"ON", "true"},
    {"off", "false"},
    {"Off", "false"},
    {"OFF", "false"},
    {"y", "true"},
    {"Y", "true"},
    {"n", "false"},
    {"N", "false"},
    /* integers */
    {"0", "0"},
    {"-0", "0"},
    {"+0", "0"},
    {"7", "7"},
    {"+12", "12"},
    {"-12", "-12"},
    {"007", "7"},
    {"010", "8"},
    {"-010", "-8"},
    {"0o17", "15"},
    {"0O17", "15"},
    {"08", "8"},
    {"09.5", "9.5"},
    {"019", "19"},
    {"0o8", "\"0o8\""},
    {"0x1F", "31"},
    {"0X1f", "31"},
    {"-0x1f", "-31"},
    {"0x", "\"0x\""},
    {"0xg", "\"0xg\""},
    {"0b101", "5"},
    {"0B101", "5"},
    {"-0b101", "-5"},
    {"0b-101", "-5"},
    {"0b+1", "1"},
    {"0b2", "\"0b2\""},
    {"0b", "\"0b\""},
    {"1_000", "1000"},
    {"1__0_", "10"},
    {"0x_f", "15"},
    {"_1", "\"_1\""},
    {"+_", "\"+_\""},
    {"9007199254740993", "9007199254740993"},
    {"9223372036854775807", "9223372036854775807"},
    {"-9223372036854775808", "-9223372036854775808"},
    {"18446744073709551615", "18446744073709551615"},
    {"0xFFFFFFFFFFFFFFFF", "18446744073709551615"},
    {"18446744073709551616", "18446744073709552000"},
    {"+9223372036854775808", "9223372036854776000"},
    {"-9223372036854775809", "-9223372036854776000"},
    /* fractions, in the form that Go gives them */
    {"1.5", "1.5"},
    {"1.50", "1.5"},
    {"1.0", "1"},
    {"1.", "1"},
    {".5", "0.5"},
    {"-.5", "-0.5"},
    {"+.5", "0.5"},
    {"-0.0", "-0"},
    {"1e3", "1000"},
    {"1E+3", "1000"},
    {"1e21", "1e+21"},
    {"1.e2", "100"},
    {".5e1", "5"},
    {"1e-7", "1e-7"},
    {"0.000001", "0.000001"},
    {"1_0.5", "10.5"},
    {".5_0", "0.5"},
    {".5__0", "\".5__0\""},
    {".5_", "\".5_\""},
    {"._5", "\"._5\""},
    {"5e-325", "0"},
    {"0.1000000000000000055", "0.1"},
    {"1e400", "\"1e400\""},
    {"-1e400", "\"-1e400\""},
    {".1e400", "\".1e400\""},
    {"1e", "\"1e\""},
    {"1e+", "\"1e+\""},
    {".", "\".\""},
    {".e5", "\".e5\""},
    {"+", "\"+\""},
    {"1.2.3", "\"1.2.3\""},
    {"1,5", "\"1,5\""},
    {"0x1p3", "\"0x1p3\""},
    {"1 2", "\"1 2\""},
    {".info", "\".info\""},
    {"inf", "\"inf\""},
    {"nan", "\"nan\""},
    /* what looks like a time is a string */
    {"2001-12-14", "\"2001-12-14\""},
    {"2001-12-14T21:59:43.10Z", "\"2001-12-14T21:59:43.10Z\""},
    {"12:30", "\"12:30\""},
    {"1:20:30.5", "\"1:20:30.5\""},
    {"=", "\"=\""},
    {"<<", "\"<<\""},
    {"a b", "\"a b\""},
    {"a#b", "\"a#b\""},
    {"a # b", "\"a\""},
    {"http://a:80/?b", "\"http://a:80/?b\""},
    {"é😀", "\"é😀\""},
};

static void plain_scalars_mean_what_they_mean_to_kubectl(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(plain_scalars); i++) {
        struct str yaml = arena_printf(&f->arena, "- %s\n", plain_scalars[i].yaml);
        struct str json = arena_printf(&f->arena, "[%s]", plain_scalars[i].result);
        assert_str_equal(read_all(f, yaml), json);
    }
}

static void quoted_and_block_scalars_are_strings(void **state)
{
    static const struct row rows[] = {
        {"a: \"1\"", "{\"a\":\"1\"}"},
        {"a: 'true'", "{\"a\":\"true\"}"},
        {"a: ''", "{\"a\":\"\"}"},
        {"a: 'it''s'", "{\"a\":\"it's\"}"},
        {"a: \"\\x41\\u00e9\\U0001F600\\t\\e\\_\"", "{\"a\":\"Aé😀\\t\\u001b\u00a0\"}"},
        {"a: \"b\n  c\n\n  d\"", "{\"a\":\"b c\\nd\"}"},
        {"a: \"b\\\n  c\"", "{\"a\":\"bc\"}"},
        {"a: b\n  c\n", "{\"a\":\"b c\"}"},
        {"a: |\n  1\n  2\n", "{\"a\":\"1\\n2\\n\"}"},
        {"a: |-\n  1\n\n", "{\"a\":\"1\"}"},
        {"a: |+\n  1\n\n", "{\"a\":\"1\\n\\n\"}"},
        {"a: >\n  b\n  c\n\n  d\n", "{\"a\":\"b c\\nd\\n\"}"},
        {"a: |2\n   x\n", "{\"a\":\" x\\n\"}"},
        {"a: |\n  #!/bin/sh\n  echo $((1+1)) # x: y\n",
         "{\"a\":\"#!/bin/sh\\necho $((1+1)) # x: y\\n\"}"},
    };
    check_rows(*state, rows, COUNT(rows));
}

static void tags_of_the_core_are_held_against_the_value(void **state)
{
    static const struct row rows[] = {
        {"a: !!str 5", "{\"a\":\"5\"}"},
        {"a: !!str", "{\"a\":\"\"}"},
        {"a: !!int \"0x10\"", "{\"a\":16}"},
        {"a: !!float 3", "{\"a\":3}"},
        {"a: !!float 9007199254740993", "{\"a\":9007199254740992}"},
        {"a: !!bool 'yes'", "{\"a\":true}"},
        {"a: !!null ''", "{\"a\":null}"},
        {"a: !!map {b: !!seq [1]}", "{\"a\":{\"b\":[1]}}"},
        {"a: ! 5", "400 line 1, column 4: the tag <!> is not supported"},
        {"!!str 1: x", "{\"1\":\"x\"}"},
        {"a: !!int x", "400 line 1, column 4: this value is not what its tag says"},
        {"a: !!int 1.5", "400 line 1, column 4: this value is not what its tag says"},
        {"a: !!bool 1", "400 line 1, column 4: this value is not what its tag says"},
        {"a: !!float 18446744073709551615",
         "400 line 1, column 4: this value is not what its tag says"},
        {"a: !!binary aGk=",
         "400 line 1, column 4: the tag <tag:yaml.org,2002:binary> is not supported"},
        {"a: !foo 1", "400 line 1, column 4: the tag <!foo> is not supported"},
        {"a: !foo {}", "400 line 1, column 4: the tag <!foo> is not supported here"},
        {"a: !!seq {}",
         "400 line 1, column 4: the tag <tag:yaml.org,2002:seq> is not supported here"},
    };
    check_rows(*state, rows, COUNT(rows));
}

/* ---- keys ---- */

static void keys_become_strings_as_kubectl_makes_them(void **state)
{
    static const struct row rows[] = {
        {"a: 1\n\"b\": 2\n'c d': 3\n", "{\"a\":1,\"b\":2,\"c d\":3}"},
        {"1: a\n0x10: b\n010: c\n-5: d\n", "{\"1\":\"a\",\"16\":\"b\",\"8\":\"c\",\"-5\":\"d\"}"},
        {"on: push\nNo: x\n", "{\"true\":\"push\",\"false\":\"x\"}"},
        {"2001-01-01: x", "{\"2001-01-01\":\"x\"}"},
        {"\"<<\": x", "{\"<<\":\"x\"}"},
        {"? a\n: 1\n? b\n", "{\"a\":1,\"b\":null}"},
        {"a: 1\nb: {a: 2}\n", "{\"a\":1,\"b\":{\"a\":2}}"},
    };
    check_rows(*state, rows, COUNT(rows));
}

static void a_key_that_appears_twice_is_refused_with_its_line(void **state)
{
    static const struct row rows[] = {
        {"a: 1\nb: 2\na: 3\n", "400 line 3, column 1: duplicate key \"a\""},
        {"x:\n  a: 1\n  \"a\": 2\n", "400 line 3, column 3: duplicate key \"a\""},
        {"{a: 1, b: 2, 'a': 3}", "400 line 1, column 14: duplicate key \"a\""},
        {"1: a\n\"1\": b\n", "400 line 2, column 1: duplicate key \"1\""},
        {"yes: a\ntrue: b\n", "400 line 2, column 1: duplicate key \"true\""},
    };
    struct fixture *f = *state;
    check_rows(f, rows, COUNT(rows));
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 1024 * 1024);
    for (int i = 0; i < 1000; i++)
        buf_printf(&buf, "key%d: x\n", i);
    buf_put(&buf, STR("key500: y\n"));
    assert_str_is(read_all(f, buf_str(&buf)), "400 line 1001, column 1: duplicate key \"key500\"");
}

static void keys_that_are_no_text_are_refused(void **state)
{
    static const struct row rows[] = {
        {"? [a]\n: b\n", "400 line 1, column 3: a key must be a text, not a list or an object"},
        {"{{a: 1}: b}", "400 line 1, column 2: a key must be a text, not a list or an object"},
        {"~: a", "400 line 1, column 1: this key is no text; put it in quotes"},
        {"{? : a}", "400 line 1, column 4: this key is no text; put it in quotes"},
        {"1.5: a", "400 line 1, column 1: this key is no text; put it in quotes"},
        {".inf: a", "400 line 1, column 1: this key is no text; put it in quotes"},
        {"18446744073709551615: a", "400 line 1, column 1: this key is no text; put it in quotes"},
        {"a: &x b\n*x : c\n", "400 line 2, column 1: a key must be a text, not an alias"},
        {"&x a: b\n", "400 line 1, column 1: an anchor is not allowed on a key"},
        {"a: &x {b: 1}\nc:\n  <<: *x\n",
         "400 line 3, column 3: merge keys (<<) are not supported; write out the fields"},
    };
    check_rows(*state, rows, COUNT(rows));
}

/* ---- documents ---- */

static void a_text_holds_several_documents(void **state)
{
    static const struct row rows[] = {
        {"", ""},
        {"\n \n", ""},
        {"# nothing\n", ""},
        {"---\n", ""},
        {"---\n---\n---\n", ""},
        {"null\n", ""},
        {"a: 1", "{\"a\":1}"},
        {"---\na: 1\n", "{\"a\":1}"},
        {"--- # first\na: 1\n---\n# none\n---\nb: 2\n...\n---\nc: 3\n",
         "{\"a\":1}|{\"b\":2}|{\"c\":3}"},
        {"- a\n- - b\n  - c\n-\n  d: e\n", "[\"a\",[\"b\",\"c\"],{\"d\":\"e\"}]"},
        {"a:\n- b\n- c: 1\n  d: 2\ne:\n", "{\"a\":[\"b\",{\"c\":1,\"d\":2}],\"e\":null}"},
        {"{a: [1, {b: c}], \"d\":e}", "{\"a\":[1,{\"b\":\"c\"}],\"d\":\"e\"}"},
        {"just text", "\"just text\""},
        {"\xEF\xBB\xBF"
         "a: 1\r\nb: |\r\n  x\r\n  y\r\nc:\r\n- d\r\n",
         "{\"a\":1,\"b\":\"x\\ny\\n\",\"c\":[\"d\"]}"},
        {"a: 1\n---\nb: [\n", "{\"a\":1}|400 line 4, column 1: did not find expected node content"},
    };
    check_rows(*state, rows, COUNT(rows));
}

static void json_is_read_as_json(void **state)
{
    static const struct row rows[] = {
        {"{\"a\":\"\\ud83d\\ude00\\/\",\"b\":1.50}", "{\"a\":\"😀/\",\"b\":1.50}"},
        {"\xEF\xBB\xBF \n{\"a\":1}\n", "{\"a\":1}"},
        {"{\"a\":1}{\"b\":2}\n{\"c\":3}", "{\"a\":1}|{\"b\":2}|{\"c\":3}"},
        {"{\"a\":1}\n---\nb: 2\n---\n{\"c\":3}\n", "{\"a\":1}|{\"b\":2}|{\"c\":3}"},
        {"{\n\t\"a\": [1,\n\t2]\n}", "{\"a\":[1,2]}"},
        {"{}", "{}"},
        /* YAML that only begins like JSON */
        {"{a: yes}", "{\"a\":true}"},
        {"{\"a\": b}", "{\"a\":\"b\"}"},
        {"{\"a\": 1,}", "{\"a\":1}"},
        /* errors are about what it looks like */
        {"{\"a\":1", "400 line 1, column 7: expected ',' or '}', but the text ends here"},
        {"{\n\"a\":1,\"a\":2}", "400 line 2, column 7: duplicate key \"a\""},
        {"{a: 1, a: 2}", "400 line 1, column 8: duplicate key \"a\""},
        {"{\"a\":1}\n{\"b\":}", "{\"a\":1}|400 line 2, column 6: expected a value, not '}'"},
        {"{\"a\":1}\n---\nb: 1\nb: 2\n", "{\"a\":1}|400 line 4, column 1: duplicate key \"b\""},
        {"{\"a\":1} x",
         "{\"a\":1}|400 line 1, column 2: a further document must begin with \"---\""},
    };
    check_rows(*state, rows, COUNT(rows));
}

static void what_kubectl_would_refuse_or_drop_is_refused(void **state)
{
    static const struct row rows[] = {
        {"--- a: 1\n", "400 line 1, column 5: only a comment may follow \"---\" on its line"},
        {"--- {a: 1}\n", "400 line 1, column 5: only a comment may follow \"---\" on its line"},
        {"--- |\n  x\n", "400 line 1, column 5: only a comment may follow \"---\" on its line"},
        {"a: 1\n...\nb: 2\n",
         "{\"a\":1}|400 line 3, column 1: expected the end of the document, or "
         "\"---\" and the next one; check the indentation"},
        {"%YAML 1.1\n---\na: 1\n",
         "400 line 1, column 1: directives, lines that begin with '%', are not supported"},
        {"a: 1\n...\n%TAG ! x\n",
         "400 line 3, column 1: directives, lines that begin with '%', are not supported"},
        {"a: 1\n\xEF\xBB\xBF"
         "b: 1\n",
         "400 line 2, column 1: there is a byte order mark (U+FEFF) in this line; only the first "
         "line may begin with one"},
        {"a: .inf", "400 line 1, column 4: JSON has no infinity and no NaN; put a text in quotes"},
        {"a: -.INF", "400 line 1, column 4: JSON has no infinity and no NaN; put a text in quotes"},
        {"a: .nan", "400 line 1, column 4: JSON has no infinity and no NaN; put a text in quotes"},
        {"a: \"x\\0y\"", "400 line 1, column 4: the character U+0000 is not allowed"},
        {"\"x\\u0000\": 1", "400 line 1, column 1: the character U+0000 is not allowed"},
    };
    check_rows(*state, rows, COUNT(rows));
}

static void mistakes_are_explained_with_line_and_column(void **state)
{
    static const struct row rows[] = {
        {"a:\n  - b\n\t- c\n",
         "400 line 3, column 1: a tab is not allowed here; indent with blanks"},
        {"a: @b", "400 line 1, column 4: a text that begins with '@' needs quotes"},
        {"a: `b`", "400 line 1, column 4: a text that begins with '`' needs quotes"},
        {"é: %b", "400 line 1, column 4: a text that begins with '%' needs quotes"},
        {"a: b: c", "400 line 1, column 5: \":\" is not allowed here; put the text in quotes, or "
                    "check the indentation"},
        {"a: 1\n  b: 2\n",
         "400 line 2, column 4: \":\" is not allowed here; put the text in quotes, "
         "or check the indentation"},
        {"a:\n  b: 1\n c: 2\n",
         "400 line 3, column 2: expected a key here; check the indentation and the quotes"},
        {"a:\n- b\nc\n", "400 line 4, column 1: expected \":\" after the key"},
        {"- a\nb: 1\n", "400 line 2, column 1: expected \"- \" here; check the indentation"},
        {"a: \"b\nc: d\n", "400 line 1, column 4: the text in quotes that begins here has no end"},
        {"a: - b\n", "400 line 1, column 4: \"- \" is not allowed here; a list begins on a line of "
                     "its own"},
        {"a: [b, c\nd: e\n", "400 line 2, column 2: expected \",\" or \"]\""},
        {"a: {b: c\nd: e\n", "400 line 2, column 2: expected \",\" or \"}\""},
        {"a: \"\\y\"", "400 line 1, column 5: found unknown escape character"},
        {"é: 1\nab: \xff\n", "400 line 2, column 5: these bytes are no UTF-8 character"},
        {"é: 1\nab: \x01\n", "400 line 2, column 5: the character U+0001 is not allowed"},
        {"a: \x7f", "400 line 1, column 4: the character U+007F is not allowed"},
        {"a: *x", "400 line 1, column 4: there is no anchor \"&x\" before this alias"},
    };
    check_rows(*state, rows, COUNT(rows));
}

static void values_know_their_lines(void **state)
{
    struct fixture *f = *state;
    struct yaml_reader reader;
    struct json *value = NULL;
    struct str text =
        STR("# c\n---\n\na: 1\nb:\n  - x\n  - {w: 2}\n---\n- |\n  z\n---\nx: &a\n  w: 1\n"
            "z: *a\n");
    yaml_reader_init(&reader, text, &json_limits_default);
    assert_int_equal(yaml_reader_next(&reader, &f->arena, &value, &f->err), 1);
    assert_int_equal(value->line, 4);
    assert_int_equal(json_get(value, STR("a"))->line, 4);
    assert_int_equal(json_get(value, STR("b"))->line, 6);
    assert_int_equal(json_path(json_at(json_get(value, STR("b")), 1), "w", NULL)->line, 7);
    assert_int_equal(yaml_reader_next(&reader, &f->arena, &value, &f->err), 1);
    assert_int_equal(value->line, 9);
    assert_int_equal(json_at(value, 0)->line, 9);
    assert_int_equal(yaml_reader_next(&reader, &f->arena, &value, &f->err), 1);
    /* What an alias stands for is where it was written. */
    assert_int_equal(json_path(value, "z", "w", NULL)->line, 13);
    yaml_reader_done(&reader);

    yaml_reader_init(&reader, STR("{}\n{}\n---\n\nb: 2\n"), &json_limits_default);
    assert_int_equal(yaml_reader_next(&reader, &f->arena, &value, &f->err), 1);
    assert_int_equal(yaml_reader_next(&reader, &f->arena, &value, &f->err), 1);
    assert_int_equal(value->line, 2);
    assert_int_equal(yaml_reader_next(&reader, &f->arena, &value, &f->err), 1);
    assert_int_equal(value->line, 5);
    yaml_reader_done(&reader);
}

static void documents_outlive_a_reset_arena_one_by_one(void **state)
{
    struct fixture *f = *state;
    struct yaml_reader reader;
    struct json *value = NULL;
    yaml_reader_init(&reader, STR("a: &x 1\nb: *x\n---\nc: 2\n"), &json_limits_default);
    assert_int_equal(yaml_reader_next(&reader, &f->arena, &value, &f->err), 1);
    arena_reset(&f->arena);
    assert_int_equal(yaml_reader_next(&reader, &f->arena, &value, &f->err), 1);
    assert_str_is(print(f, value), "{\"c\":2}");
    yaml_reader_done(&reader);
    yaml_reader_done(&reader);
    assert_int_equal(yaml_reader_next(&reader, &f->arena, &value, &f->err), 0);
}

/* ---- aliases ---- */

static void aliases_are_copies_of_what_they_stand_for(void **state)
{
    static const struct row rows[] = {
        {"a: &x {b: [1, c]}\nd: *x\ne: [*x, &y 2, *y]\n",
         "{\"a\":{\"b\":[1,\"c\"]},\"d\":{\"b\":[1,\"c\"]},\"e\":[{\"b\":[1,\"c\"]},2,2]}"},
        {"- &x 1\n- *x\n- &x 2\n- *x\n", "[1,1,2,2]"},
        {"&x a", "\"a\""},
        {"a: &x [b, *x]",
         "400 line 1, column 11: the alias \"*x\" is inside of what it stands for"},
        {"a: &x {b: {c: *x}}",
         "400 line 1, column 15: the alias \"*x\" is inside of what it stands for"},
        {"a: &x 1\n---\nb: *x\n",
         "{\"a\":1}|400 line 3, column 4: there is no anchor \"&x\" before this alias"},
    };
    struct fixture *f = *state;
    check_rows(f, rows, COUNT(rows));
    /* A copy can be changed without the other. */
    struct yaml_reader reader;
    struct json *value = NULL;
    yaml_reader_init(&reader, STR("a: &x {b: 1}\nc: *x\n"), &json_limits_default);
    assert_int_equal(yaml_reader_next(&reader, &f->arena, &value, &f->err), 1);
    json_remove(json_get(value, STR("c")), STR("b"));
    assert_str_is(print(f, value), "{\"a\":{\"b\":1},\"c\":{}}");
    yaml_reader_done(&reader);
}

static void aliases_of_aliases_stay_within_the_limits(void **state)
{
    struct fixture *f = *state;
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 1024 * 1024);
    buf_put(&buf, STR("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"));
    for (int i = 1; i < 10; i++) {
        buf_printf(&buf, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            buf_printf(&buf, "*a%d,", i - 1);
        buf_put(&buf, STR("]\n"));
    }
    assert_str_is(
        read_all(f, buf_str(&buf)),
        "413 line 6, column 18: what the alias \"*a4\" stands for exceeds 400000 values or "
        "64 levels (the limits)");
    /* Each alias is one level deeper than the one before. */
    buf_clear(&buf);
    buf_put(&buf, STR("a0: &a0 [x]\n"));
    for (int i = 1; i < 70; i++)
        buf_printf(&buf, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    assert_str_is(
        read_all(f, buf_str(&buf)),
        "413 line 64, column 12: what the alias \"*a62\" stands for exceeds 400000 values "
        "or 64 levels (the limits)");
}

static void the_number_of_anchors_is_limited(void **state)
{
    struct fixture *f = *state;
    struct str result = read_all(f, repeat(f, "- &x 1\n", 256));
    assert_true(str_starts_with(result, STR("[1,1")));
    result = read_all(f, repeat(f, "- &x 1\n", 257));
    assert_str_is(result, "413 line 257, column 3: more than 256 anchors (the limit)");
}

/* ---- limits ---- */

/* libyaml needs seconds for some of these when it is let. */
static void nesting_is_cut_off_early(void **state)
{
    static const struct row rows[] = {
        {"[", "413 line 1, column 65: nested deeper than 64 levels (the limit)"},
        {"- ", "413 line 1, column 129: nested deeper than 64 levels (the limit)"},
        {"{a: ", "413 line 1, column 257: nested deeper than 64 levels (the limit)"},
        {"[{a: ", "413 line 1, column 161: nested deeper than 64 levels (the limit)"},
        {"{\"a\":", "413 line 1, column 321: nested deeper than 64 levels (the limit)"},
        {"{", "400 line 1, column 2: a key must be a text, not a list or an object"},
        {"? ", "400 line 1, column 3: a key must be a text, not a list or an object"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_str_is(read_all(f, repeat(f, rows[i].yaml, 40000)), rows[i].result);
    struct str deepest = repeat(f, "- ", 64);
    struct str good = arena_printf(&f->arena, "%" PRIstr "x\n", STR_ARG(deepest));
    assert_true(str_starts_with(read_all(f, good), STR("[[[[")));
}

static void values_bytes_and_numbers_are_limited(void **state)
{
    struct fixture *f = *state;
    const struct json_limits limits = {.max_depth = 4, .max_values = 4};
    assert_str_is(read_limited(f, STR("a: [1, 2]\n---\nb: [1, 2]\n"), &limits),
                  "{\"a\":[1,2]}|{\"b\":[1,2]}");
    assert_str_is(read_limited(f, STR("a: [1, 2,\n3]\n"), &limits),
                  "413 line 2, column 1: more than 4 values (the limit)");
    assert_str_is(read_limited(f, STR("{\"a\": [1, 2, 3]}"), &limits),
                  "413 line 1, column 14: more than 4 values (the limit)");
    assert_str_is(read_limited(f, STR("a: &x [1]\nb: *x\n"), &limits),
                  "413 line 2, column 4: what the alias \"*x\" stands for exceeds 4 values or 4 "
                  "levels (the limits)");
    /* Only the length is looked at. */
    assert_str_is(read_all(f, (struct str){"a: 1", YAML_TEXT_MAX + 1}),
                  "413 the text has more than 67108864 bytes (the limit)");
    struct str number = repeat(f, "1", NUMBER_TEXT_MAX + 1);
    assert_str_is(read_all(f, number), "413 line 1, column 1: a number of more than 512 characters "
                                       "(the limit); put a text in quotes");
    struct str text = arena_printf(&f->arena, "%" PRIstr "x", STR_ARG(number));
    assert_int_equal(read_all(f, text).len, text.len + 2);
}

/* ---- writing ---- */

static struct str write(struct fixture *f, const struct json *value)
{
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 16 * 1024 * 1024);
    yaml_write(&buf, value);
    assert_false(buf_failed(&buf));
    return buf_str(&buf);
}

static void containers_are_written_in_blocks(void **state)
{
    static const struct row rows[] = {
        {"{}", "{}\n"},
        {"[]", "[]\n"},
        {"null", "null\n"},
        {"1.50", "1.50\n"},
        {"\"a\"", "a\n"},
        {"{\"b\":1,\"a\":{\"c\":true},\"d\":[],\"e\":{}}", "b: 1\n"
                                                           "a:\n"
                                                           "  c: true\n"
                                                           "d: []\n"
                                                           "e: {}\n"},
        {"{\"a\":[1,[2,[3],[]],{\"b\":4,\"c\":[5]},{}]}", "a:\n"
                                                          "- 1\n"
                                                          "- - 2\n"
                                                          "  - - 3\n"
                                                          "  - []\n"
                                                          "- b: 4\n"
                                                          "  c:\n"
                                                          "  - 5\n"
                                                          "- {}\n"},
        {"[{\"a\":{\"b\":\"x\\ny\\n\"}},\"x\\ny\"]", "- a:\n"
                                                     "    b: |\n"
                                                     "      x\n"
                                                     "      y\n"
                                                     "- |-\n"
                                                     "  x\n"
                                                     "  y\n"},
        {"{\"a\":\"x\\n\\n y\\n\\n\"}", "a: |+\n"
                                        "  x\n"
                                        "\n"
                                        "   y\n"
                                        "\n"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_str_is(write(f, read_json(f, rows[i].yaml)), rows[i].result);
    assert_str_is(write(f, NULL), "null\n");
}

static const struct row quoted[] = {
    {"plain", "plain"},
    {"two words", "two words"},
    {"a:b", "a:b"},
    {"a#b", "a#b"},
    {"-a", "-a"},
    {"?a", "?a"},
    {":a", ":a"},
    {"a, b", "a, b"},
    {"it's", "it's"},
    {"é😀", "é😀"},
    {"a/b:1.2-c_d", "a/b:1.2-c_d"},
    {"10.0.0.1:5000/a", "10.0.0.1:5000/a"},
    {"0-3", "0-3"},
    {"2024-a", "2024-a"},
    {"100m", "100m"},
    {"1Gi", "1Gi"},
    {"=", "="},
    {".", "."},
    {"a\\b", "a\\b"},
    {"a\"b", "a\"b"},
    {"nO", "nO"},
    {"1.2.3", "1.2.3"},
    /* other types */
    {"", "\"\""},
    {"~", "\"~\""},
    {"null", "\"null\""},
    {"yes", "\"yes\""},
    {"on", "\"on\""},
    {"y", "\"y\""},
    {"1", "\"1\""},
    {"1.5", "\"1.5\""},
    {"1e3", "\"1e3\""},
    {"0x1F", "\"0x1F\""},
    {"1_0", "\"1_0\""},
    {"-.inf", "\"-.inf\""},
    {"2024-01-02", "\"2024-01-02\""},
    {"2024-01-02T03:04:05Z", "\"2024-01-02T03:04:05Z\""},
    {"12:30", "\"12:30\""},
    /* other syntax */
    {"a: b", "'a: b'"},
    {"a #b", "'a #b'"},
    {"a:", "'a:'"},
    {"- a", "'- a'"},
    {"-", "'-'"},
    {"? a", "'? a'"},
    {":", "':'"},
    {"#a", "'#a'"},
    {"*a", "'*a'"},
    {"&a", "'&a'"},
    {"!a", "'!a'"},
    {"%a", "'%a'"},
    {"@a", "'@a'"},
    {"`a", "'`a'"},
    {"|", "'|'"},
    {">", "'>'"},
    {"{}", "'{}'"},
    {"[a", "'[a'"},
    {",a", "',a'"},
    {"'a'", "'''a'''"},
    {"\"a", "'\"a'"},
    {"<<", "'<<'"},
    {"---", "'---'"},
    {"...", "'...'"},
    {" a", "' a'"},
    {"a ", "'a '"},
    /* characters that must not stand for themselves */
    {"a\tb", "\"a\\tb\""},
    {"a\rb", "\"a\\rb\""},
    {"\x01\x7f", "\"\\u0001\\u007f\""},
    {"\n", "\"\\n\""},
    {" a\nb", "\" a\\nb\""},
    {"a\nb\t", "\"a\\nb\\t\""},
    {"\xc2\x85", "\"\\u0085\""},
    {"\u2028", "\"\\u2028\""},
    {"\ufeff", "\"\\ufeff\""},
    {"\xff", "\"\ufffd\""},
};

static void strings_get_quotes_where_they_would_be_something_else(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT(quoted); i++) {
        struct json *text = json_new_str(&f->arena, str_from_cstr(quoted[i].yaml));
        struct json *object = json_new(&f->arena, JSON_OBJECT);
        assert_str_is(write(f, text), arena_printf(&f->arena, "%s\n", quoted[i].result).ptr);
        /* A key is written in the same way. */
        assert_true(json_set(object, str_from_cstr(quoted[i].yaml), json_new_int(&f->arena, 1)));
        assert_str_is(write(f, object), arena_printf(&f->arena, "%s: 1\n", quoted[i].result).ptr);
    }
}

static void a_key_too_long_for_one_line_gets_the_explicit_form(void **state)
{
    struct fixture *f = *state;
    struct str key = repeat(f, "k", 2000);
    struct json *object = json_new(&f->arena, JSON_OBJECT), *list = json_new(&f->arena, JSON_ARRAY);
    assert_true(json_set(object, key, json_new_int(&f->arena, 1)));
    assert_true(json_append(list, object));
    struct str text = write(f, list);
    assert_true(str_starts_with(text, STR("- ? kkk")));
    assert_true(str_ends_with(text, STR("kkk\n  : 1\n")));
    assert_str_equal(read_all(f, text), print(f, list));
}

static void what_is_written_reads_back_equal(void **state)
{
    struct fixture *f = *state;
    struct random_seeded seeded;
    random_seeded_init(&seeded, TEST_SEED);
    for (int i = 0; i < 3000; i++) {
        arena_reset(&f->arena);
        struct json *value = random_json(&f->arena, &seeded.random, 4), *again = NULL;
        struct str text = write(f, value);
        struct yaml_reader reader;
        yaml_reader_init(&reader, text, &json_limits_default);
        int rc = yaml_reader_next(&reader, &f->arena, &again, &f->err);
        yaml_reader_done(&reader);
        if (json_is(value, JSON_NULL)) {
            assert_int_equal(rc, 0);
            continue;
        }
        if (rc < 0)
            fail_msg("round %d: %s\n%" PRIstr, i, f->err.message, STR_ARG(text));
        if (!json_equal(value, again))
            fail_msg("round %d: %" PRIstr "\n%" PRIstr, i, STR_ARG(print(f, value)), STR_ARG(text));
    }
}

/* ---- memory ---- */

static const char every_feature[] =
    "# comment\n---\na: &x {b: [1, 'two', \"th\\tree\"], c: *ignored}\n"
    "d: |\n  text\ne: >-\n  more\n  text\nf: !!str 5\n? g\n: - 1.5\n  - *x\n---\n{h: [i, *j]}\n";

static bool read_and_write(const struct mem *mem, void *ctx)
{
    (void)ctx;
    static const struct str text = STR_INIT("a: &x {b: [1, 'two', \"th\\tree\"]}\nc: *x\n"
                                            "d: |\n  text\n? e\n: - 1.5\n---\n{f: g}\n");
    struct arena arena;
    struct buf buf;
    struct yaml_reader reader;
    struct json *value = NULL;
    struct err err;
    int rc;
    arena_init(&arena, mem, 128, ARENA_MAX);
    buf_init(&buf, mem, ARENA_MAX);
    yaml_reader_init(&reader, text, &json_limits_default);
    while ((rc = yaml_reader_next(&reader, &arena, &value, &err)) > 0)
        yaml_write(&buf, value);
    if (rc < 0)
        assert_int_equal(err.code, 507);
    bool good = rc == 0 && !buf_failed(&buf);
    if (good)
        assert_str_is(buf_str(&buf), "a:\n  b:\n  - 1\n  - two\n  - \"th\\tree\"\n"
                                     "c:\n  b:\n  - 1\n  - two\n  - \"th\\tree\"\n"
                                     "d: |\n  text\ne:\n- 1.5\nf: g\n");
    yaml_reader_done(&reader);
    buf_done(&buf);
    arena_done(&arena);
    return good;
}

static void a_failed_allocation_is_an_error_and_leaks_nothing(void **state)
{
    (void)state;
    test_every_allocation_failing(read_and_write, NULL);
}

/* Reads all of the text; the code of the error, 0 without one. */
static int read_quietly(struct fixture *f, struct str text)
{
    struct yaml_reader reader;
    struct json *value = NULL;
    int rc;
    yaml_reader_init(&reader, text, &json_limits_default);
    while ((rc = yaml_reader_next(&reader, &f->arena, &value, &f->err)) > 0)
        continue;
    yaml_reader_done(&reader);
    return rc < 0 ? f->err.code : 0;
}

static void a_failed_allocation_of_libyaml_is_an_error_and_leaks_nothing(void **state)
{
    struct fixture *f = *state;
    /* The arena has what it needs: only libyaml's memory is counted. */
    assert_non_null(arena_alloc(&f->arena, 20 * 1024));
    const struct str text = STR(every_feature);
    size_t failures = 0;
    for (counted.fail_at = 1;; counted.fail_at++) {
        counted.calls = counted.failures = 0;
        counted.live = 0;
        counted.on = true;
        int code = read_quietly(f, text);
        counted.on = false;
        assert_int_equal(counted.live, 0);
        if (counted.failures == 0)
            break;
        failures++;
        assert_int_equal(code, 507);
    }
    assert_true(failures > 20);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(plain_scalars_mean_what_they_mean_to_kubectl),
        TEST(quoted_and_block_scalars_are_strings),
        TEST(tags_of_the_core_are_held_against_the_value),
        TEST(keys_become_strings_as_kubectl_makes_them),
        TEST(a_key_that_appears_twice_is_refused_with_its_line),
        TEST(keys_that_are_no_text_are_refused),
        TEST(a_text_holds_several_documents),
        TEST(json_is_read_as_json),
        TEST(what_kubectl_would_refuse_or_drop_is_refused),
        TEST(mistakes_are_explained_with_line_and_column),
        TEST(values_know_their_lines),
        TEST(documents_outlive_a_reset_arena_one_by_one),
        TEST(aliases_are_copies_of_what_they_stand_for),
        TEST(aliases_of_aliases_stay_within_the_limits),
        TEST(the_number_of_anchors_is_limited),
        TEST(nesting_is_cut_off_early),
        TEST(values_bytes_and_numbers_are_limited),
        TEST(containers_are_written_in_blocks),
        TEST(strings_get_quotes_where_they_would_be_something_else),
        TEST(a_key_too_long_for_one_line_gets_the_explicit_form),
        TEST(what_is_written_reads_back_equal),
        TEST(a_failed_allocation_is_an_error_and_leaks_nothing),
        TEST(a_failed_allocation_of_libyaml_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
