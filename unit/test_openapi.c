/* From tables to OpenAPI schemas: a table with a row of every sort, and the patterns of formats. */
#include "unit/support.h"

#include "schema/openapi.h"

#include <regex.h>

/* ---- A row of every sort, and what becomes of it ---- */

static const char *const levels[] = {"low", "high", NULL};
static const struct schema text_item = {.type = SCHEMA_STRING};
static const struct schema number_item = {.type = SCHEMA_INTEGER};
static const struct schema any_item = {.type = SCHEMA_ANY};

static const struct schema part_fields[] = {
    {.name = "name", .type = SCHEMA_STRING, .flags = SCHEMA_REQUIRED, .text = "A name."},
    {0},
};
static const struct schema part_item = {.type = SCHEMA_OBJECT, .fields = part_fields};

#define INT_OR_STRING                                                              \
    "\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}],\"pattern\":"        \
    "\"^(\\\\+|-)?(([0-9]+(\\\\.[0-9]*)?)|(\\\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|" \
    "([eE](\\\\+|-)?[0-9]+))?$\",\"x-kubernetes-int-or-string\":true"

static const struct {
    struct schema row;
    const char *json;
} rows[] = {
    {{.type = SCHEMA_STRING}, "{\"type\":\"string\"}"},
    {{.name = "a", .type = SCHEMA_STRING, .text = "Words."},
     "{\"description\":\"Words.\",\"type\":\"string\"}"},
    {{.type = SCHEMA_STRING, .min_len = 1, .max_len = 9},
     "{\"type\":\"string\",\"minLength\":1,\"maxLength\":9}"},
    {{.type = SCHEMA_STRING, .format = FORMAT_VERSION},
     "{\"type\":\"string\",\"maxLength\":9,\"pattern\":\"^[0-9]{1,4}(\\\\.[0-9]{1,4})?$\"}"},
    {{.type = SCHEMA_STRING, .format = FORMAT_VERSION, .max_len = 4},
     "{\"type\":\"string\",\"maxLength\":4,\"pattern\":\"^[0-9]{1,4}(\\\\.[0-9]{1,4})?$\"}"},
    {{.type = SCHEMA_STRING, .format = FORMAT_IMAGE}, "{\"type\":\"string\",\"maxLength\":1024}"},
    {{.type = SCHEMA_STRING, .values = levels, .def = "\"low\""},
     "{\"type\":\"string\",\"enum\":[\"low\",\"high\"],\"default\":\"low\"}"},
    {{.type = SCHEMA_STRING, .def = "\"low\"", .flags = SCHEMA_LATE_DEFAULT},
     "{\"type\":\"string\"}"},
    {{.type = SCHEMA_INTEGER}, "{\"type\":\"integer\",\"format\":\"int64\"}"},
    {{.type = SCHEMA_INTEGER, .min = 1, .max = 65535, .def = "9090"},
     "{\"type\":\"integer\",\"format\":\"int32\",\"minimum\":1,\"maximum\":65535,"
     "\"default\":9090}"},
    {{.type = SCHEMA_INTEGER, .max = INT32_MAX},
     "{\"type\":\"integer\",\"format\":\"int32\",\"minimum\":0}"},
    {{.type = SCHEMA_INTEGER, .max = INT64_MAX},
     "{\"type\":\"integer\",\"format\":\"int64\",\"minimum\":0}"},
    {{.type = SCHEMA_INTEGER, .min = -5, .max = 0},
     "{\"type\":\"integer\",\"format\":\"int32\",\"minimum\":-5,\"maximum\":0}"},
    {{.type = SCHEMA_NUMBER}, "{\"type\":\"number\"}"},
    {{.type = SCHEMA_NUMBER, .min = 1, .max = 10},
     "{\"type\":\"number\",\"minimum\":1,\"maximum\":10}"},
    {{.type = SCHEMA_BOOLEAN}, "{\"type\":\"boolean\"}"},
    {{.type = SCHEMA_QUANTITY}, "{" INT_OR_STRING "}"},
    {{.type = SCHEMA_TIME}, "{\"type\":\"string\",\"format\":\"date-time\"}"},
    {{.type = SCHEMA_OBJECT, .fields = part_fields},
     "{\"type\":\"object\",\"properties\":{\"name\":{\"description\":\"A name.\","
     "\"type\":\"string\"}},\"required\":[\"name\"]}"},
    {{.type = SCHEMA_OBJECT, .fields = part_fields, .flags = SCHEMA_METADATA},
     "{\"type\":\"object\"}"},
    {{.type = SCHEMA_OBJECT},
     "{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true}"},
    {{.type = SCHEMA_MAP, .item = &text_item},
     "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"},"
     "\"maxProperties\":1024}"},
    {{.type = SCHEMA_MAP, .item = &text_item, .min_len = 1, .max_len = 5},
     "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"},\"minProperties\":1,"
     "\"maxProperties\":5}"},
    {{.type = SCHEMA_LIST, .item = &text_item},
     "{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"maxItems\":1024,"
     "\"x-kubernetes-list-type\":\"atomic\"}"},
    {{.type = SCHEMA_LIST, .item = &number_item, .flags = SCHEMA_SET, .min_len = 2, .max_len = 3},
     "{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"format\":\"int64\"},\"minItems\":2,"
     "\"maxItems\":3,\"x-kubernetes-list-type\":\"set\"}"},
    {{.type = SCHEMA_LIST, .item = &part_item, .list_key = "name"},
     "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"name\":"
     "{\"description\":\"A name.\",\"type\":\"string\"}},\"required\":[\"name\"]},"
     "\"maxItems\":1024,\"x-kubernetes-list-type\":\"map\","
     "\"x-kubernetes-list-map-keys\":[\"name\"]}"},
    {{.type = SCHEMA_LIST, .item = &any_item},
     "{\"type\":\"array\",\"items\":{\"x-kubernetes-preserve-unknown-fields\":true},"
     "\"maxItems\":1024,\"x-kubernetes-list-type\":\"atomic\"}"},
    {{.type = SCHEMA_ANY}, "{\"x-kubernetes-preserve-unknown-fields\":true}"},
    {{.type = SCHEMA_STRING, .max_len = 9, .flags = SCHEMA_IMMUTABLE},
     "{\"type\":\"string\",\"maxLength\":9,\"x-kubernetes-validations\":[{\"rule\":"
     "\"self == oldSelf\",\"message\":\"the field is immutable; delete the object and create it "
     "anew to change it\"}]}"},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static struct str print(struct arena *arena, const struct json *value)
{
    struct buf buf;
    buf_init(&buf, arena_mem(arena), 65536);
    json_write(&buf, value);
    return buf_failed(&buf) ? (struct str){NULL, 0} : buf_str(&buf);
}

static void every_sort_of_row_has_its_schema(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, mem_system(), 4096, 1024 * 1024);
    for (size_t i = 0; i < ROWS; i++) {
        const struct json *schema = schema_openapi(&rows[i].row, &arena);
        assert_non_null(schema);
        assert_str_is(print(&arena, schema), rows[i].json);
    }
    arena_done(&arena);
}

/* Only those of the root are added by the apiserver itself. */
static void api_version_kind_and_metadata_are_required_by_nobody_else(void **state)
{
    (void)state;
    static const struct schema reference_fields[] = {
        {.name = "kind", .type = SCHEMA_STRING, .flags = SCHEMA_REQUIRED, .text = "E."},
        {0},
    };
    static const struct schema fields[] = {
        {.name = "apiVersion",
         .type = SCHEMA_STRING,
         .flags = SCHEMA_REQUIRED | SCHEMA_METADATA,
         .text = "A."},
        {.name = "kind",
         .type = SCHEMA_STRING,
         .flags = SCHEMA_REQUIRED | SCHEMA_METADATA,
         .text = "B."},
        {.name = "metadata",
         .type = SCHEMA_OBJECT,
         .flags = SCHEMA_REQUIRED | SCHEMA_METADATA,
         .fields = part_fields,
         .text = "C."},
        {.name = "spec",
         .type = SCHEMA_OBJECT,
         .flags = SCHEMA_REQUIRED,
         .fields = reference_fields,
         .text = "D."},
        {0},
    };
    static const struct schema root = {.type = SCHEMA_OBJECT, .fields = fields};
    struct arena arena;
    arena_init(&arena, mem_system(), 4096, 65536);
    const struct json *schema = schema_openapi(&root, &arena);
    assert_str_is(print(&arena, json_get(schema, STR("required"))), "[\"spec\"]");
    const struct json *members = json_get(schema, STR("properties"));
    assert_str_is(json_str(json_path(members, "kind", "description", NULL)), "B.");
    /* A kind further down is a field like others. */
    assert_str_is(print(&arena, json_path(members, "spec", "required", NULL)), "[\"kind\"]");
    arena_done(&arena);
}

static bool work(const struct mem *mem, void *ctx)
{
    const struct schema *row = ctx;
    struct arena arena;
    arena_init(&arena, mem, 16, 65536);
    bool good = schema_openapi(row, &arena) != NULL;
    arena_done(&arena);
    return good;
}

static void every_failing_allocation_is_noticed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        struct schema row = rows[i].row;
        test_every_allocation_failing(work, &row);
    }
}

/* ---- Patterns say what the checks do ---- */

static bool matches(const regex_t *regex, const char *text)
{
    return regexec(regex, text, 0, NULL, 0) == 0;
}

/* The length is not the pattern's affair: the schema has maxLength beside it. */
static void compare(enum schema_format f, const regex_t *regex, const char *text)
{
    const struct format *format = format_get(f);
    size_t len = strlen(text);
    /* Nor is that of a label key's prefix, which only the check knows. */
    if (f == FORMAT_LABEL_KEY && strcspn(text, "/") > 253)
        return;
    bool fits = len <= format->max_len && matches(regex, text);
    if (fits != format_is_valid(f, str_from_cstr(text)))
        fail_msg("\"%s\" as a %s: the pattern %s and the check does not agree", text, format->name,
                 fits ? "matches" : "does not match");
}

static void compile(const char *pattern, regex_t *regex)
{
    if (regcomp(regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        fail_msg("cannot compile %s", pattern);
}

static const char alphabet[] = "aabz019AZ-._/= ~\n";

static char random_letter(const struct random *random)
{
    return alphabet[random_below(random, sizeof(alphabet) - 1)];
}

static void random_word(const struct random *random, char *text, size_t max)
{
    size_t len = (size_t)random_below(random, max);
    for (size_t i = 0; i < len; i++)
        text[i] = random_letter(random);
}

/* At the edges of the limits, with a fault or two. */
static void random_long_word(const struct random *random, char *text, size_t max)
{
    size_t len = 1 + (size_t)random_below(random, max);
    memset(text, 'a', len);
    for (uint64_t faults = random_below(random, 3); faults > 0; faults--)
        text[random_below(random, len)] = random_letter(random);
}

static void patterns_agree_with_the_checks(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",      "a",          "0",        "A",     "-",     ".",      "_",
        "/",     "a-",         "-a",       "a-b",   "a.b",   "a..b",   ".a",
        "a.",    "a_b",        "a/b",      "a/b/c", "a.b/c", "A/b",    "a-.b",
        "a.-b",  "..",         "..a",      ".-",    "...",   "a b",    " ",
        "a=b",   "=",          "12",       "12.4",  "12.",   ".4",     "1.2.3",
        "12345", "1.12345",    "\n",       "a\n",   "\na",   "\x7f",   "\xC3\xA9",
        "a\tb",  "m5.2xlarge", "0x123...", "a.b/",  "/a",    "a.b/-c", "a.b/c.d_e-F",
    };
    struct random_seeded seeded;
    random_seeded_init(&seeded, TEST_SEED);
    for (enum schema_format f = FORMAT_NONE; f < FORMAT_COUNT; f++) {
        const char *pattern = format_get(f)->pattern;
        if (!pattern)
            continue;
        regex_t regex;
        compile(pattern, &regex);
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
            compare(f, &regex, texts[i]);
        for (int n = 0; n < 5000; n++) {
            char text[400] = {0};
            if (n % 2)
                random_word(&seeded.random, text, 8);
            else
                random_long_word(&seeded.random, text, sizeof(text) - 1);
            compare(f, &regex, text);
        }
        regfree(&regex);
    }
}

static void a_format_without_a_pattern_is_one_that_a_pattern_cannot_say(void **state)
{
    (void)state;
    for (enum schema_format f = FORMAT_NONE; f < FORMAT_COUNT; f++) {
        bool can = f != FORMAT_NONE && f != FORMAT_NOT_BLANK && f != FORMAT_IMAGE &&
                   f != FORMAT_ABSOLUTE_PATH;
        assert_int_equal(format_get(f)->pattern != NULL, can);
    }
}

static void the_pattern_of_quantities_accepts_what_is_one(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } texts[] = {
        {"0", true},      {"1.5Gi", true}, {".5", true},     {"5.", true},  {"-1", true},
        {"+1", true},     {"1e3", true},   {"1E-3", true},   {"1E", true},  {"100m", true},
        {"1n", true},     {"1u", true},    {"", false},      {".", false},  {"m", false},
        {"1ki", false},   {"1e", false},   {"1 ", false},    {"1K", false}, {"1e+-3", false},
        {"1.1.1", false}, {"--1", false},  {"1e1.5", false},
    };
    struct arena arena;
    arena_init(&arena, mem_system(), 4096, 65536);
    const struct schema row = {.type = SCHEMA_QUANTITY};
    struct str pattern = json_str(json_get(schema_openapi(&row, &arena), STR("pattern")));
    regex_t regex;
    compile(arena_copy(&arena, pattern).ptr, &regex);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (matches(&regex, texts[i].text) != texts[i].good)
            fail_msg("\"%s\"", texts[i].text);
    }
    regfree(&regex);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sort_of_row_has_its_schema),
        cmocka_unit_test(api_version_kind_and_metadata_are_required_by_nobody_else),
        cmocka_unit_test(every_failing_allocation_is_noticed),
        cmocka_unit_test(patterns_agree_with_the_checks),
        cmocka_unit_test(a_format_without_a_pattern_is_one_that_a_pattern_cannot_say),
        cmocka_unit_test(the_pattern_of_quantities_accepts_what_is_one),
    };
    return cmocka_run_group_tests_name("openapi", tests, NULL, NULL);
}
