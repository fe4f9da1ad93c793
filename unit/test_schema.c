/* The schema engine, on a table of its own that has a row of every sort. */
#include "unit/findings.h"
#include "unit/support.h"

#include "schema/schema.h"

#include <stdio.h>

/* ---- A table ---- */

struct part {
    struct str name;
    struct schema_int weight;
};

struct inner {
    struct schema_int depth;
    struct str label;
};

struct thing {
    struct str text;
    struct str level;
    struct str since;
    struct schema_int port;
    struct schema_int big;
    bool flag;
    const struct json *memory;
    struct inner nested;
    const struct json *whole;
    const struct json *env;
    struct schema_list parts;
    const struct json *tags;
    const struct json *any;
};

#define THING(member) SCHEMA_AT(struct thing, member)

static const char *const levels[] = {"low", "medium", "high", NULL};

static const struct schema inner_fields[] = {
    {.name = "depth",
     .type = SCHEMA_INTEGER,
     .min = -5,
     .max = 5,
     .def = "3",
     SCHEMA_AT(struct inner, depth),
     .text = "How deep."},
    {.name = "label",
     .type = SCHEMA_STRING,
     .format = FORMAT_LABEL_VALUE,
     SCHEMA_AT(struct inner, label),
     .text = "A label."},
    {0},
};
static const struct schema part_fields[] = {
    {.name = "name",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED,
     .format = FORMAT_DNS_LABEL,
     SCHEMA_AT(struct part, name),
     .text = "The part's name."},
    {.name = "weight",
     .type = SCHEMA_INTEGER,
     .max = INT32_MAX,
     .def = "1",
     SCHEMA_AT(struct part, weight),
     .text = "Its weight."},
    {0},
};
static const struct schema part_item = {.type = SCHEMA_OBJECT, .fields = part_fields};
static const struct schema secret_item = {
    .type = SCHEMA_STRING, .flags = SCHEMA_SECRET, .max_len = 20};
static const struct schema tag_item = {.type = SCHEMA_STRING};
static const struct schema code_item = {.type = SCHEMA_INTEGER};

/* A range must not be empty. */
static void check_range(const struct schema *schema, const struct json *value,
                        const struct path *path, struct err_list *errors)
{
    int64_t from, to;
    assert_ptr_equal(schema->check, check_range);
    assert_true(json_int64(json_get(value, STR("from")), &from));
    assert_true(json_int64(json_get(value, STR("to")), &to));
    if (from > to)
        err_list_add(errors, path, value->line, ERR_INVALID, "Invalid value: it is empty");
}

static const struct schema range_fields[] = {
    {.name = "from", .type = SCHEMA_INTEGER, .flags = SCHEMA_REQUIRED, .text = "The first."},
    {.name = "to", .type = SCHEMA_INTEGER, .flags = SCHEMA_REQUIRED, .text = "The last."},
    {.name = "parts", .type = SCHEMA_LIST, .item = &part_item, .text = "What is in it."},
    {0},
};
static const struct schema status_fields[] = {
    {.name = "phase", .type = SCHEMA_STRING, .text = "What it does."},
    {0},
};

static const struct schema thing_fields[] = {
    {.name = "text",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_REQUIRED | SCHEMA_IMMUTABLE,
     .min_len = 2,
     .max_len = 10,
     THING(text),
     .text = "Some text."},
    {.name = "level",
     .type = SCHEMA_STRING,
     .values = levels,
     .def = "\"medium\"",
     THING(level),
     .text = "How much."},
    {.name = "since", .type = SCHEMA_TIME, THING(since), .text = "Since when."},
    {.name = "port",
     .type = SCHEMA_INTEGER,
     .min = 1,
     .max = 65535,
     .def = "8080",
     THING(port),
     .text = "A port."},
    {.name = "big", .type = SCHEMA_INTEGER, THING(big), .text = "Any whole number."},
    {.name = "least",
     .type = SCHEMA_INTEGER,
     .min = 3,
     .max = INT64_MAX,
     .flags = SCHEMA_NO_DECODE,
     .text = "Three or more."},
    {.name = "factor",
     .type = SCHEMA_NUMBER,
     .min = 1,
     .max = 10,
     .flags = SCHEMA_NO_DECODE,
     .text = "A factor."},
    {.name = "flag", .type = SCHEMA_BOOLEAN, THING(flag), .text = "Whether."},
    {.name = "memory", .type = SCHEMA_QUANTITY, THING(memory), .text = "How much memory."},
    {.name = "nested",
     .type = SCHEMA_OBJECT,
     .fields = inner_fields,
     .def = "{}",
     THING(nested),
     .text = "An object with a default."},
    {.name = "whole",
     .type = SCHEMA_OBJECT,
     .fields = inner_fields,
     .flags = SCHEMA_WHOLE,
     THING(whole),
     .text = "An object that stays JSON."},
    {.name = "env",
     .type = SCHEMA_MAP,
     .key_format = FORMAT_ENV_NAME,
     .item = &secret_item,
     THING(env),
     .text = "Confidential values."},
    {.name = "password",
     .type = SCHEMA_STRING,
     .flags = SCHEMA_SECRET | SCHEMA_NO_DECODE,
     .format = FORMAT_DNS_LABEL,
     .text = "A secret with a format."},
    {.name = "pin",
     .type = SCHEMA_INTEGER,
     .flags = SCHEMA_SECRET | SCHEMA_NO_DECODE,
     .max = 9999,
     .text = "A secret number."},
    {.name = "keys",
     .type = SCHEMA_LIST,
     .flags = SCHEMA_SET | SCHEMA_NO_DECODE,
     .item = &secret_item,
     .text = "Secrets that differ."},
    {.name = "parts",
     .type = SCHEMA_LIST,
     .item = &part_item,
     .list_key = "name",
     SCHEMA_LIST_AT(struct thing, parts, struct part),
     .text = "Parts with names."},
    {.name = "byName",
     .type = SCHEMA_MAP,
     .key_format = FORMAT_DNS_LABEL,
     .item = &part_item,
     .min_len = 1,
     .max_len = 2,
     .flags = SCHEMA_NO_DECODE,
     .text = "Parts by another name."},
    {.name = "tags",
     .type = SCHEMA_LIST,
     .item = &tag_item,
     .flags = SCHEMA_SET,
     .min_len = 1,
     .max_len = 3,
     THING(tags),
     .text = "A set."},
    {.name = "codes",
     .type = SCHEMA_LIST,
     .item = &code_item,
     .flags = SCHEMA_NO_DECODE,
     .text = "Numbers."},
    {.name = "many",
     .type = SCHEMA_LIST,
     .item = &tag_item,
     .flags = SCHEMA_NO_DECODE,
     .text = "A list without a limit of its own."},
    {.name = "range",
     .type = SCHEMA_OBJECT,
     .fields = range_fields,
     .check = check_range,
     .flags = SCHEMA_NO_DECODE,
     .text = "A range."},
    {.name = "any", .type = SCHEMA_ANY, THING(any), .text = "Anything."},
    {.name = "status",
     .type = SCHEMA_OBJECT,
     .fields = status_fields,
     .flags = SCHEMA_STATUS | SCHEMA_NO_DECODE,
     .text = "What is."},
    {0},
};
static const struct schema thing_schema = {.type = SCHEMA_OBJECT, .fields = thing_fields};

/* ---- Helpers ---- */

struct fixture {
    struct test_mem mem;
    struct arena arena;
    struct err_list errors;
};

static int setup(void **state)
{
    struct fixture *f = test_malloc(sizeof(*f));
    test_mem_init(&f->mem);
    arena_init(&f->arena, &f->mem.mem, 16 * 1024, 64 * 1024 * 1024);
    err_list_init(&f->errors, &f->arena, ERR_LIST_MAX);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_done(&f->arena);
    test_mem_done(&f->mem);
    test_free(f);
    return 0;
}

static struct json *read_json(struct arena *arena, const char *text)
{
    struct err err;
    struct json *value = json_read(arena, str_from_cstr(text), &json_limits_default, &err);
    if (!value)
        fail_msg("%s: %s", text, err.message);
    return value;
}

static struct str print(struct fixture *f, const struct json *value)
{
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 1024 * 1024);
    json_write(&buf, value);
    assert_false(buf_failed(&buf));
    return buf_str(&buf);
}

/* `members` of a thing that has its required text. */
static struct json *thing(struct fixture *f, const char *members)
{
    struct str text =
        arena_printf(&f->arena, "{\"text\":\"abc\"%s%s}", *members ? "," : "", members);
    return read_json(&f->arena, text.ptr);
}

static void validate(struct fixture *f, const struct json *value, enum schema_option unknown)
{
    err_list_init(&f->errors, &f->arena, ERR_LIST_MAX);
    bool good = schema_validate(&thing_schema, value, unknown, NULL, &f->errors);
    assert_int_equal(good, err_list_is_empty(&f->errors));
}

struct row {
    const char *members;
    struct finding findings[4];
};

static void check_rows(struct fixture *f, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        validate(f, thing(f, rows[i].members), SCHEMA_UNKNOWN_REFUSED);
        findings_assert(&f->errors, rows[i].findings, rows[i].members);
    }
}

#define CHECK_ROWS(f, rows) check_rows((f), (rows), sizeof(rows) / sizeof((rows)[0]))

/* ---- Validation ---- */

static void good_values_give_no_errors(void **state)
{
    static const struct row rows[] = {
        {"", {{0}}},
        {"\"level\":\"high\",\"since\":\"2026-01-31T12:00:00Z\",\"port\":1,\"flag\":false", {{0}}},
        {"\"port\":65535,\"big\":-9223372036854775808,\"least\":3", {{0}}},
        {"\"port\":8080.0,\"big\":1e3", {{0}}}, /* whole, however written */
        {"\"least\":9223372036854775807,\"factor\":1", {{0}}},
        {"\"factor\":1.5", {{0}}},
        {"\"factor\":10.0", {{0}}},
        {"\"memory\":\"40Gi\"", {{0}}},
        {"\"memory\":2", {{0}}},
        {"\"memory\":0", {{0}}},
        {"\"nested\":{}", {{0}}},
        {"\"nested\":{\"depth\":-5,\"label\":\"\"}", {{0}}},
        {"\"env\":{\"A\":\"\",\"a.b\":\"x\"}", {{0}}},
        {"\"env\":{}", {{0}}},
        {"\"parts\":[{\"name\":\"a\"},{\"name\":\"b\",\"weight\":0}]", {{0}}},
        {"\"parts\":[]", {{0}}},
        {"\"byName\":{\"x\":{\"name\":\"a\"},\"y\":{\"name\":\"a\"}}", {{0}}},
        {"\"tags\":[\"a\",\"b\",\"\"]", {{0}}},
        {"\"codes\":[1,2,-1,0]", {{0}}},
        {"\"range\":{\"from\":1,\"to\":1}", {{0}}},
        {"\"any\":[1,{\"x\":null}]", {{0}}},
        {"\"any\":\"x\"", {{0}}},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

static void wrong_types_are_named(void **state)
{
    static const struct row rows[] = {
        {"\"level\":1", {{ERR_TYPE, "level", "must be a string, not a number"}}},
        {"\"since\":5", {{ERR_TYPE, "since", "must be a time such as 2026-01-31T12:00:00Z, not"}}},
        {"\"port\":\"80\"", {{ERR_TYPE, "port", "must be a whole number, not a string"}}},
        {"\"port\":1.5", {{ERR_TYPE, "port", "1.5: must be a whole number"}}},
        {"\"big\":9223372036854775808", {{ERR_TYPE, "big", "must be a whole number"}}},
        {"\"factor\":\"2\"", {{ERR_TYPE, "factor", "must be a number, not a string"}}},
        {"\"flag\":\"true\"", {{ERR_TYPE, "flag", "must be true or false, not a string"}}},
        {"\"flag\":0", {{ERR_TYPE, "flag", "must be true or false, not a number"}}},
        {"\"memory\":true", {{ERR_TYPE, "memory", "must be a quantity such as 2 or 500Mi, not"}}},
        {"\"nested\":[]", {{ERR_TYPE, "nested", "must be an object, not a list"}}},
        {"\"env\":[]", {{ERR_TYPE, "env", "must be an object, not a list"}}},
        {"\"parts\":{}", {{ERR_TYPE, "parts", "must be a list, not an object"}}},
        {"\"parts\":[1]", {{ERR_TYPE, "parts[0]", "must be an object, not a number"}}},
        {"\"parts\":[null]", {{ERR_TYPE, "parts[0]", "must be an object, not null"}}},
        {"\"tags\":[\"a\",2]", {{ERR_TYPE, "tags[1]", "must be a string, not a number"}}},
        {"\"range\":{\"from\":\"1\",\"to\":2}",
         {{ERR_TYPE, "range.from", "must be a whole number, not a string"}}},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

static void what_yaml_took_for_something_else_is_to_be_quoted(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *members, *message;
    } rows[] = {
        {"\"level\":1", "Invalid value: must be a string, not a number; put it in quotes"},
        {"\"level\":false", "Invalid value: must be a string, not a boolean; put it in quotes"},
        {"\"level\":[]", "Invalid value: must be a string, not a list"},
        {"\"level\":{}", "Invalid value: must be a string, not an object"},
        {"\"tags\":[null]", "Invalid value: must be a string, not null"},
        {"\"flag\":1", "Invalid value: must be true or false, not a number"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        validate(f, thing(f, rows[i].members), SCHEMA_UNKNOWN_REFUSED);
        assert_int_equal(f->errors.count, 1);
        assert_str_is(f->errors.first->message, rows[i].message);
    }
}

static void the_root_may_be_of_a_wrong_type(void **state)
{
    struct fixture *f = *state;
    static const char *const rows[] = {"1", "null", "[]", "\"x\"", "true"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        validate(f, read_json(&f->arena, rows[i]), SCHEMA_UNKNOWN_REFUSED);
        findings_assert(&f->errors,
                        (const struct finding[]){{ERR_TYPE, "", "must be an object"}, {0}},
                        rows[i]);
    }
}

static void required_fields_are_missed(void **state)
{
    struct fixture *f = *state;
    static const struct row rows[] = {
        {"\"parts\":[{}]", {{ERR_REQUIRED, "parts[0].name", "Required value: The part's name."}}},
        {"\"parts\":[{\"name\":null}]", {{ERR_REQUIRED, "parts[0].name", "Required value"}}},
        {"\"range\":{}",
         {{ERR_REQUIRED, "range.from", "The first."}, {ERR_REQUIRED, "range.to", "The last."}}},
    };
    CHECK_ROWS(f, rows);
    static const struct finding missing[] = {{ERR_REQUIRED, "text", "Required value: Some text."},
                                             {0}};
    validate(f, read_json(&f->arena, "{}"), SCHEMA_UNKNOWN_REFUSED);
    findings_assert(&f->errors, missing, "{}");
    validate(f, read_json(&f->arena, "{\"text\":null}"), SCHEMA_UNKNOWN_REFUSED);
    findings_assert(&f->errors, missing, "null");
}

static void numbers_have_their_ranges(void **state)
{
    static const struct row rows[] = {
        {"\"port\":0", {{ERR_INVALID, "port", "Invalid value: 0: must be from 1 to 65535"}}},
        {"\"port\":65536", {{ERR_INVALID, "port", "65536: must be from 1 to 65535"}}},
        {"\"port\":-1", {{ERR_INVALID, "port", "-1: must be from 1 to 65535"}}},
        {"\"nested\":{\"depth\":-6}", {{ERR_INVALID, "nested.depth", "must be from -5 to 5"}}},
        {"\"nested\":{\"depth\":6}", {{ERR_INVALID, "nested.depth", "must be from -5 to 5"}}},
        {"\"least\":2", {{ERR_INVALID, "least", "Invalid value: 2: must be 3 or more"}}},
        {"\"parts\":[{\"name\":\"a\",\"weight\":-1}]",
         {{ERR_INVALID, "parts[0].weight", "Invalid value: -1: must be 0 or more"}}},
        {"\"parts\":[{\"name\":\"a\",\"weight\":2147483648}]",
         {{ERR_INVALID, "parts[0].weight", "must be 0 or more, and less than 2147483648"}}},
        {"\"factor\":0.99", {{ERR_INVALID, "factor", "0.99: must be from 1 to 10"}}},
        {"\"factor\":10.1", {{ERR_INVALID, "factor", "10.1: must be from 1 to 10"}}},
        {"\"memory\":-1", {{ERR_INVALID, "memory", "-1: must not be negative"}}},
        {"\"memory\":\"-1Gi\"", {{ERR_INVALID, "memory", "\"-1Gi\": must not be negative"}}},
        {"\"memory\":\"40 GB\"", {{ERR_INVALID, "memory", "\"40 GB\": must be a quantity"}}},
        {"\"memory\":\"\"", {{ERR_INVALID, "memory", "\"\": must be a quantity"}}},
        /* As the CRD says: an integer or a string. */
        {"\"memory\":0.5", {{ERR_INVALID, "memory", "0.5: must be in quotes when it is no whole"}}},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

static void strings_have_their_lengths_and_formats(void **state)
{
    struct fixture *f = *state;
    static const struct row rows[] = {
        {"\"nested\":{\"label\":\"-a\"}",
         {{ERR_INVALID, "nested.label", "Invalid value: \"-a\": must be empty or at most 63"}}},
        {"\"parts\":[{\"name\":\"A\"}]",
         {{ERR_INVALID, "parts[0].name", "Invalid value: \"A\": must be at most 63 lower-case"}}},
        {"\"parts\":[{\"name\":\"\"}]", {{ERR_INVALID, "parts[0].name", "\"\": must be at most"}}},
        {"\"since\":\"yesterday\"",
         {{ERR_INVALID, "since", "\"yesterday\": must be a time such as 2026-01-31T12:00:00Z"}}},
        {"\"nested\":{\"label\":\"a\\u001b[31m\\u007fb\"}",
         {{ERR_INVALID, "nested.label", "\"a?[31m?b\": must be"}}},
    };
    CHECK_ROWS(f, rows);
    static const struct {
        const char *json;
        struct finding findings[2];
    } texts[] = {
        {"{\"text\":\"a\"}", {{ERR_REQUIRED, "text", "it must not be empty: Some text."}}},
        {"{\"text\":\"\"}", {{ERR_REQUIRED, "text", "it must not be empty: Some text."}}},
        {"{\"text\":\"ab\"}", {{0}}},
        {"{\"text\":\"0123456789\"}", {{0}}},
        {"{\"text\":\"01234567890\"}",
         {{ERR_TOO_LONG, "text", "Too long: it has 11 bytes and may have at most 10"}}},
        {"{\"text\":\"\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\"}", {{0}}}, /* bytes count */
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        validate(f, read_json(&f->arena, texts[i].json), SCHEMA_UNKNOWN_REFUSED);
        findings_assert(&f->errors, texts[i].findings, texts[i].json);
    }
}

static void values_of_an_enum_are_listed_and_the_nearest_is_proposed(void **state)
{
    static const struct row rows[] = {
        {"\"level\":\"hihg\"",
         {{ERR_NOT_SUPPORTED, "level",
           "Unsupported value: \"hihg\": supported values: \"low\", \"medium\", \"high\"; did you "
           "mean \"high\"?"}}},
        {"\"level\":\"Medium\"", {{ERR_NOT_SUPPORTED, "level", "did you mean \"medium\"?"}}},
        {"\"level\":\"\"",
         {{ERR_NOT_SUPPORTED, "level",
           "Unsupported value: \"\": supported values: \"low\", \"medium\", \"high\""}}},
    };
    struct fixture *f = *state;
    CHECK_ROWS(f, rows);
    validate(f, thing(f, "\"level\":\"extraordinary\""), SCHEMA_UNKNOWN_REFUSED);
    assert_null(memmem(f->errors.first->message.ptr, f->errors.first->message.len, "did you", 7));
}

/* Of objects of others they are only told of, also where something is of a wrong type. */
static void unknown_fields_can_be_found_alone(void **state)
{
    struct fixture *f = *state;
    static const struct row rows[] = {
        {"\"port\":0,\"any\":{\"x\":1},\"env\":{\"x\":\"y\"}", {{0}}},
        {"\"nonsense\":null", {{0}}},
        {"\"nested\":[],\"parts\":{}", {{0}}},
        {"\"prot\":1", {{ERR_INVALID, "prot", "known (did you mean \"port\"?); the apiserver"}}},
        {"\"parts\":[{\"name\":\"a\"},{\"nonsense\":1}]",
         {{ERR_INVALID, "parts[1].nonsense", "as far as is known; the apiserver drops"}}},
        {"\"nested\":{\"dpeth\":1},\"zzzzz\":1",
         {{ERR_INVALID, "nested.dpeth", "\"depth\""}, {ERR_INVALID, "zzzzz", "known; the"}}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        err_list_init(&f->errors, &f->arena, ERR_LIST_MAX);
        schema_find_unknown(&thing_schema, thing(f, rows[i].members), NULL, &f->errors);
        findings_assert(&f->errors, rows[i].findings, rows[i].members);
    }
}

static void unknown_fields_are_refused_offline_with_a_proposal(void **state)
{
    static const struct row rows[] = {
        {"\"levle\":\"low\"",
         {{ERR_INVALID, "levle", "there is no such field; did you mean \"level\"?"}}},
        {"\"Port\":1", {{ERR_INVALID, "Port", "did you mean \"port\"?"}}},
        {"\"somethingElse\":1",
         {{ERR_INVALID, "somethingElse", "there is no such field here, or it is at the wrong"}}},
        {"\"nested\":{\"dept\":1}", {{ERR_INVALID, "nested.dept", "did you mean \"depth\"?"}}},
        {"\"parts\":[{\"name\":\"a\",\"weigth\":1}]",
         {{ERR_INVALID, "parts[0].weigth", "did you mean \"weight\"?"}}},
        {"\"x.y\":null", {{ERR_INVALID, "[\"x.y\"]", "there is no such field"}}},
    };
    struct fixture *f = *state;
    CHECK_ROWS(f, rows);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        validate(f, thing(f, rows[i].members), SCHEMA_UNKNOWN_IGNORED);
        assert_true(err_list_is_empty(&f->errors));
    }
}

static void null_counts_as_absent(void **state)
{
    static const struct row rows[] = {
        {"\"level\":null,\"port\":null,\"flag\":null,\"memory\":null,\"nested\":null", {{0}}},
        {"\"env\":null,\"parts\":null,\"tags\":null,\"any\":null,\"since\":null", {{0}}},
        {"\"nested\":{\"depth\":null,\"label\":null}", {{0}}},
        {"\"parts\":[{\"name\":\"a\",\"weight\":null}]", {{0}}},
        /* Not so in lists and maps, where there is nothing to leave out. */
        {"\"tags\":[null]", {{ERR_TYPE, "tags[0]", "must be a string, not null"}}},
        {"\"env\":{\"A\":null,\"no key\":null}", {{0}}},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

static void lists_and_maps_have_their_numbers_of_entries(void **state)
{
    struct fixture *f = *state;
    static const struct row rows[] = {
        {"\"tags\":[]", {{ERR_REQUIRED, "tags", "Required value: needs at least 1 entry"}}},
        {"\"tags\":[\"a\",\"b\",\"c\",\"d\"]",
         {{ERR_TOO_MANY, "tags", "Too many: 4: must have at most 3 entries"}}},
        {"\"byName\":{}", {{ERR_REQUIRED, "byName", "needs at least 1 entry"}}},
        {"\"byName\":{\"a\":{\"name\":\"a\"},\"b\":{\"name\":\"a\"},\"c\":{\"name\":\"a\"}}",
         {{ERR_TOO_MANY, "byName", "Too many: 3: must have at most 2 entries"}}},
    };
    CHECK_ROWS(f, rows);
    for (size_t n = SCHEMA_MAX_ENTRIES; n <= SCHEMA_MAX_ENTRIES + 1; n++) {
        struct json *value = thing(f, "\"many\":[]"), *many = json_get(value, STR("many"));
        for (size_t i = 0; i < n; i++)
            assert_true(json_append(many, json_new_str(&f->arena, STR("x"))));
        validate(f, value, SCHEMA_UNKNOWN_REFUSED);
        assert_int_equal(f->errors.count, n > SCHEMA_MAX_ENTRIES);
    }
}

static void a_string_without_a_limit_of_its_own_has_the_common_one(void **state)
{
    struct fixture *f = *state;
    for (size_t n = SCHEMA_MAX_STRING; n <= SCHEMA_MAX_STRING + 1; n++) {
        char *text = arena_alloc(&f->arena, n);
        memset(text, 'x', n);
        struct json *value = thing(f, "\"many\":[]");
        assert_true(json_append(json_get(value, STR("many")),
                                json_new_str(&f->arena, (struct str){text, n})));
        validate(f, value, SCHEMA_UNKNOWN_REFUSED);
        assert_int_equal(f->errors.count, n > SCHEMA_MAX_STRING);
    }
}

static void duplicates_in_sets_and_keyed_lists_are_reported(void **state)
{
    static const struct row rows[] = {
        {"\"tags\":[\"a\",\"b\",\"a\"]",
         {{ERR_DUPLICATE, "tags[2]", "Duplicate value: \"a\" is already in the list"}}},
        {"\"tags\":[\"a\",\"a\",\"a\"]",
         {{ERR_DUPLICATE, "tags[1]", "\"a\""}, {ERR_DUPLICATE, "tags[2]", "\"a\""}}},
        {"\"parts\":[{\"name\":\"a\"},{\"name\":\"a\",\"weight\":2}]",
         {{ERR_DUPLICATE, "parts[1].name", "\"a\" is already in the list"}}},
        /* All at once, also where another entry is wrong. */
        {"\"parts\":[{\"name\":\"a\"},{\"name\":\"A\"},{\"name\":\"a\"},3]",
         {{ERR_INVALID, "parts[1].name", "must be at most 63"},
          {ERR_TYPE, "parts[3]", "must be an object"},
          {ERR_DUPLICATE, "parts[2].name", "\"a\" is already"}}},
        {"\"parts\":[{},{}]",
         {{ERR_REQUIRED, "parts[0].name", ""}, {ERR_REQUIRED, "parts[1].name", ""}}},
        {"\"many\":[\"a\",\"a\"]", {{0}}}, /* no set */
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

/* Beyond a handful the entries are hashed. */
static void duplicates_in_long_lists_are_reported_too(void **state)
{
    struct fixture *f = *state;
    static const int twice[] = {0, 15, 16, 17, 500, 998};
    for (size_t t = 0; t < sizeof(twice) / sizeof(twice[0]); t++) {
        struct buf text;
        buf_init(&text, arena_mem(&f->arena), 64 * 1024);
        buf_put(&text, STR("\"parts\":["));
        for (int i = 0; i < 1000; i++)
            buf_printf(&text, "%s{\"name\":\"part-%d\"}", i ? "," : "", i < 999 ? i : twice[t]);
        buf_put(&text, STR("]\0"));
        validate(f, thing(f, text.ptr), SCHEMA_UNKNOWN_REFUSED);
        assert_int_equal(f->errors.count, 1);
        assert_str_is(f->errors.first->field, "parts[999].name");
        assert_int_equal(f->errors.first->reason, ERR_DUPLICATE);
    }
}

static void keys_of_maps_have_a_format(void **state)
{
    struct fixture *f = *state;
    static const struct row rows[] = {
        {"\"env\":{\"A=B\":\"x\",\"C\":\"y\"}",
         {{ERR_INVALID, "env[\"A=B\"]", "the key \"A=B\" must be printable ASCII"}}},
        {"\"env\":{\"\":\"x\"}", {{ERR_INVALID, "env[\"\"]", "the key \"\" must be printable"}}},
        {"\"byName\":{\"X\":{\"name\":\"Y\"}}",
         {{ERR_INVALID, "byName.X", "the key \"X\" must be at most 63"},
          {ERR_INVALID, "byName.X.name", "\"Y\": must be at most 63"}}},
    };
    CHECK_ROWS(f, rows);
    /* A key of any length is reported, cut between characters. */
    char key[5000];
    for (size_t i = 0; i < sizeof(key); i += 2)
        memcpy(key + i, "\xC3\xA9", 2);
    for (size_t len = 300; len <= sizeof(key); len += 4700) {
        struct json *value = thing(f, "\"env\":{}");
        assert_true(json_set(json_get(value, STR("env")), (struct str){key, len},
                             json_new_str(&f->arena, STR("x"))));
        validate(f, value, SCHEMA_UNKNOWN_REFUSED);
        assert_int_equal(f->errors.count, 1);
        assert_false(f->errors.out_of_memory);
        const struct err_item *item = f->errors.first;
        assert_int_equal(item->reason, ERR_TOO_LONG);
        struct str expected = arena_printf(&f->arena, "%zu bytes and may have at most 256", len);
        assert_non_null(memmem(item->message.ptr, item->message.len, expected.ptr, expected.len));
        assert_true(item->message.len < 200 && item->field.len < 400);
        assert_null(memmem(item->message.ptr, item->message.len, "\xC3\xE2", 2));
    }
}

static void secrets_are_never_shown(void **state)
{
    struct fixture *f = *state;
    static const char *const rows[] = {
        "\"env\":{\"A\":\"s3cr3t-s3cr3t-s3cr3t\\n\"}", /* too long */
        "\"env\":{\"A\":[\"s3cr3t\"]}",
        "\"env\":{\"A\":{\"s\":\"s3cr3t\"}}",
        "\"env\":{\"A\":73537}",
        "\"env\":{\"A\":true}",
        "\"password\":\"S3CR3T s3cr3t\"",
        "\"password\":73537",
        "\"pin\":73537",
        "\"pin\":7.3537",
        "\"pin\":\"s3cr3t\"",
        "\"keys\":[\"s3cr3t\",\"s3cr3t\"]",
        "\"keys\":\"s3cr3t\"",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        validate(f, thing(f, rows[i]), SCHEMA_UNKNOWN_REFUSED);
        assert_true(f->errors.count > 0);
        for (const struct err_item *e = f->errors.first; e; e = e->next) {
            if (memmem(e->message.ptr, e->message.len, "s3cr3t", 6) ||
                memmem(e->message.ptr, e->message.len, "3537", 4) ||
                memmem(e->field.ptr, e->field.len, "s3cr3t", 6))
                fail_msg("%s: %.*s", rows[i], (int)e->message.len, e->message.ptr);
        }
    }
    static const struct row hidden[] = {
        {"\"password\":\"S3CR3T\"", {{ERR_INVALID, "password", "(hidden): must be at most 63"}}},
        {"\"keys\":[\"x\",\"x\"]", {{ERR_DUPLICATE, "keys[1]", "(hidden) is already in the list"}}},
    };
    CHECK_ROWS(f, hidden);
}

static void long_values_are_cut_in_messages(void **state)
{
    struct fixture *f = *state;
    char text[200];
    for (size_t i = 0; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "\xC3\xA9", 2);
    struct json *value = thing(f, "\"since\":\"x\"");
    assert_true(
        json_set(value, STR("since"), json_new_str(&f->arena, (struct str){text, sizeof(text)})));
    validate(f, value, SCHEMA_UNKNOWN_REFUSED);
    const struct err_item *item = f->errors.first;
    assert_non_null(memmem(item->message.ptr, item->message.len, "\xC3\xA9…\"", 6));
    assert_true(item->message.len < 160);
}

static void a_check_runs_only_on_values_of_the_right_types(void **state)
{
    /* check_range() itself asserts that both are numbers. */
    static const struct row rows[] = {
        {"\"range\":{\"from\":2,\"to\":1}", {{ERR_INVALID, "range", "it is empty"}}},
        {"\"range\":{\"from\":2,\"to\":\"1\"}", {{ERR_TYPE, "range.to", "must be a whole number"}}},
        {"\"range\":{\"from\":2}", {{ERR_REQUIRED, "range.to", "The last."}}},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

static void a_mistake_further_down_does_not_hide_what_a_check_finds(void **state)
{
    static const struct row rows[] = {
        {"\"range\":{\"from\":2,\"to\":1,\"parts\":[{\"weight\":1}]}",
         {{ERR_REQUIRED, "range.parts[0].name", "The part's name."},
          {ERR_INVALID, "range", "it is empty"}}},
        {"\"range\":{\"from\":2,\"to\":1,\"parts\":{}}",
         {{ERR_TYPE, "range.parts", "must be a list"}}},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

static void status_is_not_looked_at(void **state)
{
    static const struct row rows[] = {
        {"\"status\":{\"phase\":1,\"unknown\":2}", {{0}}},
        {"\"status\":5", {{0}}},
    };
    CHECK_ROWS((struct fixture *)*state, rows);
}

static void all_errors_are_found_in_one_go_each_with_its_line(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "{\n"
                               " \"level\": \"x\",\n"
                               " \"port\": 0,\n"
                               " \"nested\":\n"
                               "  {\"depth\": 9},\n"
                               " \"parts\": [\n"
                               "  {\"name\": \"a\"},\n"
                               "  {\"weight\": 1},\n"
                               "  {\"name\": \"a\"}],\n"
                               " \"env\": {\n"
                               "  \"A=\": \"x\"},\n"
                               " \"nonsense\": 1}\n";
    static const struct {
        uint32_t line;
        const char *field;
    } expected[] = {
        {1, "text"},         {2, "level"},         {3, "port"},          {5, "nested.depth"},
        {11, "env[\"A=\"]"}, {8, "parts[1].name"}, {9, "parts[2].name"}, {12, "nonsense"},
    };
    validate(f, read_json(&f->arena, text), SCHEMA_UNKNOWN_REFUSED);
    const struct err_item *item = f->errors.first;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_non_null(item);
        assert_str_is(item->field, expected[i].field);
        assert_int_equal(item->line, expected[i].line);
        item = item->next;
    }
    assert_null(item);
}

static void the_path_of_the_value_leads_its_errors(void **state)
{
    struct fixture *f = *state;
    struct path list = path_field(NULL, STR("items")), at = path_index(&list, 3);
    assert_false(schema_validate(&thing_schema, read_json(&f->arena, "{}"), SCHEMA_UNKNOWN_REFUSED,
                                 &at, &f->errors));
    assert_str_is(f->errors.first->field, "items[3].text");
}

/* ---- Defaults ---- */

static void defaults_are_added_where_nothing_is(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *before, *after;
    } rows[] = {
        {"{}", "{\"level\":\"medium\",\"port\":8080,\"nested\":{\"depth\":3}}"},
        {"{\"level\":\"low\",\"port\":1,\"nested\":{\"depth\":0}}",
         "{\"level\":\"low\",\"port\":1,\"nested\":{\"depth\":0}}"},
        {"{\"level\":null,\"port\":null,\"nested\":null}",
         "{\"level\":\"medium\",\"port\":8080,\"nested\":{\"depth\":3}}"},
        {"{\"nested\":{\"label\":\"x\"},\"whole\":{},\"flag\":null}",
         "{\"nested\":{\"label\":\"x\",\"depth\":3},\"whole\":{\"depth\":3},\"flag\":null,"
         "\"level\":\"medium\",\"port\":8080}"},
        {"{\"parts\":[{\"name\":\"a\"},{\"weight\":5},{}],\"byName\":{\"x\":{}}}",
         "{\"parts\":[{\"name\":\"a\",\"weight\":1},{\"weight\":5},{\"weight\":1}],"
         "\"byName\":{\"x\":{\"weight\":1}},\"level\":\"medium\",\"port\":8080,"
         "\"nested\":{\"depth\":3}}"},
        /* What is of a wrong type is left for validation. */
        {"{\"level\":5,\"port\":[],\"nested\":\"x\",\"parts\":{\"a\":{}},\"byName\":[{}],\"env\":"
         "3}",
         "{\"level\":5,\"port\":[],\"nested\":\"x\",\"parts\":{\"a\":{}},\"byName\":[{}],"
         "\"env\":3}"},
        {"{\"parts\":[1,null,[]],\"level\":\"\",\"port\":0,\"nested\":{\"depth\":false}}",
         "{\"parts\":[1,null,[]],\"level\":\"\",\"port\":0,\"nested\":{\"depth\":false}}"},
        {"[]", "[]"},
        {"\"x\"", "\"x\""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct json *value = read_json(&f->arena, rows[i].before);
        assert_true(schema_default(&thing_schema, value, &f->arena));
        assert_str_is(print(f, value), rows[i].after);
        assert_true(schema_default(&thing_schema, value, &f->arena));
        assert_str_is(print(f, value), rows[i].after);
    }
}

static void defaults_are_valid(void **state)
{
    struct fixture *f = *state;
    struct json *value = thing(f, "\"parts\":[{\"name\":\"a\"}]");
    assert_true(schema_default(&thing_schema, value, &f->arena));
    validate(f, value, SCHEMA_UNKNOWN_REFUSED);
    assert_true(err_list_is_empty(&f->errors));
}

/* ---- Immutability ---- */

static void immutable_fields_may_not_change(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *before, *after;
        bool same;
    } rows[] = {
        {"{\"text\":\"abc\"}", "{\"text\":\"abc\",\"port\":1}", true},
        {"{\"text\":\"abc\"}", "{\"text\":\"abd\"}", false},
        {"{\"text\":\"abc\"}", "{}", false},
        {"{\"text\":\"abc\"}", "{\"text\":null}", false},
        /* What was not set can be: a mistake that was stored before the rule existed can be made good. */
        {"{}", "{\"text\":\"abc\"}", true},
        {"{\"text\":null}", "{\"text\":\"abc\"}", true},
        {"{}", "{}", true},
        {"{\"text\":null}", "{}", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        err_list_init(&f->errors, &f->arena, ERR_LIST_MAX);
        schema_check_immutable(&thing_schema, read_json(&f->arena, rows[i].before),
                               read_json(&f->arena, rows[i].after), NULL, &f->errors);
        static const struct finding changed[] = {
            {ERR_FORBIDDEN, "text", "the field is immutable; delete the object and create it anew"},
            {0}};
        findings_assert(&f->errors, rows[i].same ? changed + 1 : changed, rows[i].after);
    }
    err_list_init(&f->errors, &f->arena, ERR_LIST_MAX);
    schema_check_immutable(&thing_schema, NULL, NULL, NULL, &f->errors);
    assert_true(err_list_is_empty(&f->errors));
}

static void immutable_fields_are_found_at_any_depth(void **state)
{
    struct fixture *f = *state;
    static const struct schema leaf[] = {
        {.name = "leaf", .type = SCHEMA_ANY, .flags = SCHEMA_IMMUTABLE, .text = "A leaf."},
        {0},
    };
    static const struct schema branch[] = {
        {.name = "branch", .type = SCHEMA_OBJECT, .fields = leaf, .text = "A branch."},
        {0},
    };
    static const struct schema tree = {.type = SCHEMA_OBJECT, .fields = branch};
    static const struct {
        const char *before, *after;
        bool same;
    } rows[] = {
        {"{\"branch\":{\"leaf\":[1]}}", "{\"branch\":{\"leaf\":[1.0],\"x\":1}}", true},
        {"{\"branch\":{\"leaf\":[1]}}", "{\"branch\":{\"leaf\":[2]}}", false},
        {"{\"branch\":{\"leaf\":1}}", "{\"branch\":{}}", false},
        {"{\"branch\":{}}", "{\"branch\":{\"leaf\":1}}", true},
        /* As the rule in the CRD: it is asked only where the object is on both sides. */
        {"{\"branch\":{\"leaf\":1}}", "{}", true},
        {"{}", "{\"branch\":{\"leaf\":1}}", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        err_list_init(&f->errors, &f->arena, ERR_LIST_MAX);
        schema_check_immutable(&tree, read_json(&f->arena, rows[i].before),
                               read_json(&f->arena, rows[i].after), NULL, &f->errors);
        static const struct finding changed[] = {{ERR_FORBIDDEN, "branch.leaf", "immutable"}, {0}};
        findings_assert(&f->errors, rows[i].same ? changed + 1 : changed, rows[i].after);
    }
}

/* ---- Decoding ---- */

static void values_are_decoded_into_the_struct(void **state)
{
    struct fixture *f = *state;
    struct thing t = {0};
    const struct json *value = read_json(
        &f->arena,
        "{\"text\":\"abc\",\"level\":\"low\",\"since\":\"2026-01-31T12:00:00Z\","
        "\"port\":8.08e3,\"flag\":true,\"memory\":\"1Gi\",\"nested\":{\"depth\":-2},"
        "\"whole\":{\"depth\":1},\"env\":{\"A\":\"x\"},\"parts\":[{\"name\":\"a\"},"
        "{\"name\":\"b\",\"weight\":7}],\"tags\":[\"t\"],\"any\":[1],\"password\":\"p\"}");
    assert_true(schema_decode(&thing_schema, value, &t, &f->arena));
    assert_str_is(t.text, "abc");
    assert_str_is(t.level, "low");
    assert_str_is(t.since, "2026-01-31T12:00:00Z");
    assert_true(t.port.is_set && t.port.value == 8080);
    assert_false(t.big.is_set);
    assert_true(t.flag);
    assert_ptr_equal(t.memory, json_get(value, STR("memory")));
    assert_true(t.nested.depth.is_set && t.nested.depth.value == -2);
    assert_false(str_is_set(t.nested.label));
    assert_ptr_equal(t.whole, json_get(value, STR("whole")));
    assert_ptr_equal(t.env, json_get(value, STR("env")));
    assert_int_equal(t.parts.count, 2);
    const struct part *parts = t.parts.items;
    assert_str_is(parts[0].name, "a");
    assert_false(parts[0].weight.is_set);
    assert_str_is(parts[1].name, "b");
    assert_int_equal(parts[1].weight.value, 7);
    assert_ptr_equal(t.tags, json_get(value, STR("tags")));
    assert_ptr_equal(t.any, json_get(value, STR("any")));
}

static void what_is_absent_or_of_a_wrong_type_is_left_out(void **state)
{
    struct fixture *f = *state;
    static const char *const rows[] = {
        "{}",
        "{\"text\":null,\"port\":null,\"nested\":null,\"parts\":null,\"env\":null,\"any\":null}",
        ("{\"text\":1,\"level\":[],\"since\":{},\"port\":\"1\",\"big\":true,\"flag\":\"true\","
         "\"memory\":[],\"nested\":[],\"whole\":1,\"env\":\"x\",\"parts\":\"abc\",\"tags\":{}}"),
        "{\"big\":1.5,\"port\":99999999999999999999,\"parts\":{\"name\":\"a\"}}",
        "[1,2]",
        "\"x\"",
    };
    static const struct thing empty;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct thing t = {0};
        assert_true(schema_decode(&thing_schema, read_json(&f->arena, rows[i]), &t, &f->arena));
        if (memcmp(&t, &empty, sizeof(t)) != 0)
            fail_msg("%s was decoded", rows[i]);
    }
    struct thing t = {0};
    assert_true(schema_decode(&thing_schema, read_json(&f->arena, "{\"parts\":[1,{\"name\":2}]}"),
                              &t, &f->arena));
    assert_int_equal(t.parts.count, 2);
    assert_false(str_is_set(((const struct part *)t.parts.items)[0].name));
    assert_false(str_is_set(((const struct part *)t.parts.items)[1].name));
}

static void an_empty_list_is_decoded(void **state)
{
    struct fixture *f = *state;
    struct thing t = {0};
    assert_true(schema_decode(&thing_schema, thing(f, "\"parts\":[]"), &t, &f->arena));
    assert_int_equal(t.parts.count, 0);
}

static void rows_are_found_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(schema_field(&thing_schema, STR("text")), &thing_fields[0]);
    assert_null(schema_field(&thing_schema, STR("Text")));
    assert_null(schema_field(&thing_schema, STR("tex")));
    assert_null(schema_field(&thing_schema, STR("")));
    assert_null(schema_field(&tag_item, STR("text")));
}

/* ---- Memory ---- */

static const char much[] =
    "{\"text\":\"a\",\"level\":\"x\",\"port\":0,\"nested\":{\"depth\":9},\"parts\":[{\"name\":"
    "\"a\"},"
    "{\"name\":\"a\"},{}],\"env\":{\"=\":\"x\"},\"tags\":[],\"nonsense\":1,\"memory\":\"x\"}";

static bool work_validate(const struct mem *mem, void *ctx)
{
    struct arena arena, text;
    struct err_list errors;
    (void)ctx;
    arena_init(&text, mem_system(), 4096, 65536);
    arena_init(&arena, mem, 64, 65536); /* a small block, so that most things need a new one */
    err_list_init(&errors, &arena, ERR_LIST_MAX);
    assert_false(schema_validate(&thing_schema, read_json(&text, much), SCHEMA_UNKNOWN_REFUSED,
                                 NULL, &errors));
    assert_false(err_list_is_empty(&errors));
    bool good = !errors.out_of_memory;
    if (good)
        assert_int_equal(errors.count, 10);
    arena_done(&arena);
    arena_done(&text);
    return good;
}

static bool work_default_and_decode(const struct mem *mem, void *ctx)
{
    struct arena arena, text;
    struct thing t = {0};
    (void)ctx;
    arena_init(&text, mem_system(), 4096, 65536);
    arena_init(&arena, mem, 16, 65536);
    struct json *value = read_json(&text, "{\"text\":\"ab\",\"parts\":[{\"name\":\"a\"},{}]}");
    bool good = schema_default(&thing_schema, value, &arena) &&
                schema_decode(&thing_schema, value, &t, &arena);
    if (good) {
        assert_int_equal(t.port.value, 8080);
        assert_int_equal(t.nested.depth.value, 3);
        assert_int_equal(((const struct part *)t.parts.items)[1].weight.value, 1);
    }
    arena_done(&arena);
    arena_done(&text);
    return good;
}

static void every_failing_allocation_is_noticed(void **state)
{
    (void)state;
    test_every_allocation_failing(work_validate, NULL);
    test_every_allocation_failing(work_default_and_decode, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(good_values_give_no_errors),
        TEST(wrong_types_are_named),
        TEST(what_yaml_took_for_something_else_is_to_be_quoted),
        TEST(the_root_may_be_of_a_wrong_type),
        TEST(required_fields_are_missed),
        TEST(numbers_have_their_ranges),
        TEST(strings_have_their_lengths_and_formats),
        TEST(values_of_an_enum_are_listed_and_the_nearest_is_proposed),
        TEST(unknown_fields_are_refused_offline_with_a_proposal),
        TEST(unknown_fields_can_be_found_alone),
        TEST(null_counts_as_absent),
        TEST(lists_and_maps_have_their_numbers_of_entries),
        TEST(a_string_without_a_limit_of_its_own_has_the_common_one),
        TEST(duplicates_in_sets_and_keyed_lists_are_reported),
        TEST(duplicates_in_long_lists_are_reported_too),
        TEST(keys_of_maps_have_a_format),
        TEST(secrets_are_never_shown),
        TEST(long_values_are_cut_in_messages),
        TEST(a_check_runs_only_on_values_of_the_right_types),
        TEST(a_mistake_further_down_does_not_hide_what_a_check_finds),
        TEST(status_is_not_looked_at),
        TEST(all_errors_are_found_in_one_go_each_with_its_line),
        TEST(the_path_of_the_value_leads_its_errors),
        TEST(defaults_are_added_where_nothing_is),
        TEST(defaults_are_valid),
        TEST(immutable_fields_may_not_change),
        TEST(immutable_fields_are_found_at_any_depth),
        TEST(values_are_decoded_into_the_struct),
        TEST(what_is_absent_or_of_a_wrong_type_is_left_out),
        TEST(an_empty_list_is_decoded),
        TEST(rows_are_found_by_name),
        TEST(every_failing_allocation_is_noticed),
    };
    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
