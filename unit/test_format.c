/*
 * Formats of strings. The tables agree with k8s.io/apimachinery pkg/util/validation and
 * github.com/distribution/reference ParseNormalizedNamed, but where a comment says otherwise.
 */
#include "unit/support.h"

#include "schema/format.h"

enum { TEXT_MAX = 2048 };

struct row {
    enum schema_format format;
    const char *text;
    bool good;
};

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (format_is_valid(rows[i].format, str_from_cstr(rows[i].text)) != rows[i].good)
            fail_msg("\"%s\" is %s %s", rows[i].text, rows[i].good ? "no" : "a",
                     format_get(rows[i].format)->name);
    }
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

/* `count` times `c` between two texts. */
static struct str repeated(char to[TEXT_MAX], const char *before, char c, size_t count,
                           const char *after)
{
    size_t n = strlen(before), m = strlen(after);
    assert_true(n + count + m < TEXT_MAX);
    memcpy(to, before, n);
    memset(to + n, c, count);
    memcpy(to + n + count, after, m);
    return (struct str){to, n + count + m};
}

static void every_format_has_a_name_a_rule_and_a_check(void **state)
{
    (void)state;
    for (enum schema_format f = FORMAT_NONE; f < FORMAT_COUNT; f++) {
        const struct format *format = format_get(f);
        assert_non_null(format->check);
        assert_non_null(format->name);
        if (f == FORMAT_NONE)
            continue;
        assert_true(strlen(format->name) > 0);
        assert_true(strncmp(format->rule, "must ", 5) == 0);
        /* A message goes on after it. */
        assert_int_not_equal(format->rule[strlen(format->rule) - 1], '.');
    }
}

static void no_format_accepts_everything(void **state)
{
    (void)state;
    assert_true(format_is_valid(FORMAT_NONE, STR("")));
    assert_true(format_is_valid(FORMAT_NONE, STR("\x01\xff\0x")));
}

static void text_must_not_be_blank(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {FORMAT_NOT_BLANK, "0x123...", true}, {FORMAT_NOT_BLANK, " a ", true},
        {FORMAT_NOT_BLANK, "a b", true},      {FORMAT_NOT_BLANK, "\xC3\xA9", true},
        {FORMAT_NOT_BLANK, "", false},        {FORMAT_NOT_BLANK, " ", false},
        {FORMAT_NOT_BLANK, "\t", false},      {FORMAT_NOT_BLANK, "a\tb", false},
        {FORMAT_NOT_BLANK, "a\n", false},     {FORMAT_NOT_BLANK, "a\x1b[31m", false},
        {FORMAT_NOT_BLANK, "a\x7f", false},
    };
    CHECK_ROWS(rows);
    assert_false(format_is_valid(FORMAT_NOT_BLANK, STR("a\0b")));
}

static void names_are_dns_labels(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {FORMAT_DNS_LABEL, "a", true},         {FORMAT_DNS_LABEL, "0", true},
        {FORMAT_DNS_LABEL, "a-b", true},       {FORMAT_DNS_LABEL, "a--b", true},
        {FORMAT_DNS_LABEL, "0-9", true},       {FORMAT_DNS_LABEL, "", false},
        {FORMAT_DNS_LABEL, "-", false},        {FORMAT_DNS_LABEL, "-a", false},
        {FORMAT_DNS_LABEL, "a-", false},       {FORMAT_DNS_LABEL, "A", false},
        {FORMAT_DNS_LABEL, "a.b", false},      {FORMAT_DNS_LABEL, "a_b", false},
        {FORMAT_DNS_LABEL, "a b", false},      {FORMAT_DNS_LABEL, "a/b", false},
        {FORMAT_DNS_LABEL, "\xC3\xA9", false}, {FORMAT_DNS_LABEL, "a\n", false},
    };
    CHECK_ROWS(rows);
}

static void longer_names_are_dns_subdomains(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {FORMAT_DNS_SUBDOMAIN, "a", true},       {FORMAT_DNS_SUBDOMAIN, "a.b.c", true},
        {FORMAT_DNS_SUBDOMAIN, "a-b.c-d", true}, {FORMAT_DNS_SUBDOMAIN, "1.2.3", true},
        {FORMAT_DNS_SUBDOMAIN, "", false},       {FORMAT_DNS_SUBDOMAIN, ".", false},
        {FORMAT_DNS_SUBDOMAIN, ".a", false},     {FORMAT_DNS_SUBDOMAIN, "a.", false},
        {FORMAT_DNS_SUBDOMAIN, "a..b", false},   {FORMAT_DNS_SUBDOMAIN, "a.-b", false},
        {FORMAT_DNS_SUBDOMAIN, "a-.b", false},   {FORMAT_DNS_SUBDOMAIN, "-a.b", false},
        {FORMAT_DNS_SUBDOMAIN, "a.b-", false},   {FORMAT_DNS_SUBDOMAIN, "A.b", false},
        {FORMAT_DNS_SUBDOMAIN, "a_b", false},    {FORMAT_DNS_SUBDOMAIN, "a b", false},
    };
    CHECK_ROWS(rows);
}

static void label_keys_have_an_optional_prefix(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {FORMAT_LABEL_KEY, "a", true},       {FORMAT_LABEL_KEY, "A_b.c-d", true},
        {FORMAT_LABEL_KEY, "a.b/c", true},   {FORMAT_LABEL_KEY, "nvidia.com/gpu", true},
        {FORMAT_LABEL_KEY, "a/B", true},     {FORMAT_LABEL_KEY, "", false},
        {FORMAT_LABEL_KEY, "/", false},      {FORMAT_LABEL_KEY, "a/", false},
        {FORMAT_LABEL_KEY, "/a", false},     {FORMAT_LABEL_KEY, "a/b/c", false},
        {FORMAT_LABEL_KEY, "A.b/c", false},  {FORMAT_LABEL_KEY, "a_b/c", false},
        {FORMAT_LABEL_KEY, "-a", false},     {FORMAT_LABEL_KEY, "a-", false},
        {FORMAT_LABEL_KEY, "a.b/-c", false}, {FORMAT_LABEL_KEY, "a b", false},
        {FORMAT_LABEL_KEY, "a=b", false},    {FORMAT_LABEL_KEY, "a..b/c", false},
    };
    CHECK_ROWS(rows);
}

static void label_values_may_be_empty(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {FORMAT_LABEL_VALUE, "", true},           {FORMAT_LABEL_VALUE, "a", true},
        {FORMAT_LABEL_VALUE, "A_b.c-d", true},    {FORMAT_LABEL_VALUE, "128Mi", true},
        {FORMAT_LABEL_VALUE, "m5.2xlarge", true}, {FORMAT_LABEL_VALUE, "-", false},
        {FORMAT_LABEL_VALUE, "-a", false},        {FORMAT_LABEL_VALUE, "a_", false},
        {FORMAT_LABEL_VALUE, "a/b", false},       {FORMAT_LABEL_VALUE, "a b", false},
        {FORMAT_LABEL_VALUE, " ", false},         {FORMAT_LABEL_VALUE, "0x123...", false},
    };
    CHECK_ROWS(rows);
}

static void environment_names_are_printable_without_an_equals_sign(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {FORMAT_ENV_NAME, "A", true},     {FORMAT_ENV_NAME, "LOG_LEVEL", true},
        {FORMAT_ENV_NAME, "a.b-c", true}, {FORMAT_ENV_NAME, "1", true},
        {FORMAT_ENV_NAME, " ", true},     {FORMAT_ENV_NAME, "~!{}", true},
        {FORMAT_ENV_NAME, "", false},     {FORMAT_ENV_NAME, "=", false},
        {FORMAT_ENV_NAME, "A=b", false},  {FORMAT_ENV_NAME, "A\n", false},
        {FORMAT_ENV_NAME, "\x7f", false}, {FORMAT_ENV_NAME, "\xC3\xA9", false},
    };
    CHECK_ROWS(rows);
    assert_false(format_is_valid(FORMAT_ENV_NAME, STR("A\0")));
}

static void keys_of_configmaps_lead_to_no_other_folder(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {FORMAT_CONFIG_KEY, "a", true},    {FORMAT_CONFIG_KEY, "A_b-c.d", true},
        {FORMAT_CONFIG_KEY, ".a", true},   {FORMAT_CONFIG_KEY, "a..b", true},
        {FORMAT_CONFIG_KEY, "-.", true},   {FORMAT_CONFIG_KEY, ".-", true},
        {FORMAT_CONFIG_KEY, "", false},    {FORMAT_CONFIG_KEY, ".", false},
        {FORMAT_CONFIG_KEY, "..", false},  {FORMAT_CONFIG_KEY, "..a", false},
        {FORMAT_CONFIG_KEY, "...", false}, {FORMAT_CONFIG_KEY, "a/b", false},
        {FORMAT_CONFIG_KEY, "a b", false},
    };
    CHECK_ROWS(rows);
}

static void versions_have_one_or_two_numbers(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {FORMAT_VERSION, "12", true},      {FORMAT_VERSION, "12.4", true},
        {FORMAT_VERSION, "0.0", true},     {FORMAT_VERSION, "9999.9999", true},
        {FORMAT_VERSION, "", false},       {FORMAT_VERSION, ".", false},
        {FORMAT_VERSION, "12.", false},    {FORMAT_VERSION, ".4", false},
        {FORMAT_VERSION, "12.4.1", false}, {FORMAT_VERSION, "v12", false},
        {FORMAT_VERSION, "12345", false},  {FORMAT_VERSION, "1.12345", false},
        {FORMAT_VERSION, "1 ", false},     {FORMAT_VERSION, "-1", false},
        {FORMAT_VERSION, "1,2", false},
    };
    CHECK_ROWS(rows);
}

static void formats_have_their_greatest_length(void **state)
{
    (void)state;
    static const struct {
        enum schema_format format;
        const char *before;
        char c;
        size_t longest; /* of the characters */
        const char *after;
    } rows[] = {
        {FORMAT_DNS_LABEL, "", 'a', 63, ""},
        {FORMAT_DNS_SUBDOMAIN, "", 'a', 253, ""}, /* one label may be that long */
        {FORMAT_DNS_SUBDOMAIN, "a.", 'a', 251, ""},
        {FORMAT_LABEL_KEY, "", 'a', 63, ""},
        {FORMAT_LABEL_KEY, "a.b/", 'a', 63, ""},
        {FORMAT_LABEL_KEY, "", 'a', 253, "/x"},
        {FORMAT_LABEL_VALUE, "", 'a', 63, ""},
        {FORMAT_ENV_NAME, "", 'A', 256, ""}, /* Kubernetes has no limit of its own */
        {FORMAT_CONFIG_KEY, "", 'a', 253, ""},
        {FORMAT_IMAGE, "", 'a', 255, ""},
        {FORMAT_IMAGE, "registry.example/", 'a', 255, ":v1"},
        {FORMAT_IMAGE, "a:", 'v', 128, ""},
    };
    char text[TEXT_MAX];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *name = format_get(rows[i].format)->name;
        for (size_t n = 1; n <= rows[i].longest; n++) {
            struct str s = repeated(text, rows[i].before, rows[i].c, n, rows[i].after);
            /* 64 hexadecimal digits are an image's ID, not its name. */
            bool good = !(rows[i].format == FORMAT_IMAGE && n == 64 && s.len == 64);
            if (format_is_valid(rows[i].format, s) != good)
                fail_msg("row %zu: %zu characters in a %s", i, n, name);
        }
        struct str s =
            repeated(text, rows[i].before, rows[i].c, rows[i].longest + 1, rows[i].after);
        if (format_is_valid(rows[i].format, s))
            fail_msg("row %zu: %zu characters in a %s", i, rows[i].longest + 1, name);
    }
}

#define HEX32 "0123456789abcdef0123456789abcdef"
#define HEX64 HEX32 HEX32

static void image_references_have_parts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *domain, *path, *tag, *digest;
    } rows[] = {
        {"nginx", NULL, "nginx", NULL, NULL},
        {"my-avs:latest", NULL, "my-avs", "latest", NULL},
        {"myavs/performer:v2.1.0", NULL, "myavs/performer", "v2.1.0", NULL},
        {"a/b/c/d", NULL, "a/b/c/d", NULL, NULL},
        {"registry.example/a", "registry.example", "a", NULL, NULL},
        {"registry.ex-a:65535/a", "registry.ex-a:65535", "a", NULL, NULL},
        {"registry.example:5000/a/b:c", "registry.example:5000", "a/b", "c", NULL},
        {"localhost/a", "localhost", "a", NULL, NULL},
        {"localhost:5000/a", "localhost:5000", "a", NULL, NULL},
        {"localhost", NULL, "localhost", NULL, NULL},
        {"localhost:5000", NULL, "localhost", "5000", NULL}, /* a tag */
        {"host:5000/a", "host:5000", "a", NULL, NULL},
        {"REGISTRY/a", "REGISTRY", "a", NULL, NULL},
        {"Registry.Example/a", "Registry.Example", "a", NULL, NULL},
        {"[::1]/a", "[::1]", "a", NULL, NULL},
        {"[::]/a", "[::]", "a", NULL, NULL},
        {"[abcdef::ABCDEF:09]/a", "[abcdef::ABCDEF:09]", "a", NULL, NULL},
        {"[2001:DB8::1]:5000/a:v1", "[2001:DB8::1]:5000", "a", "v1", NULL},
        {"192.168.0.1:443/a", "192.168.0.1:443", "a", NULL, NULL},
        {"a.b", NULL, "a.b", NULL, NULL},
        {"a__b", NULL, "a__b", NULL, NULL},
        {"a---b", NULL, "a---b", NULL, NULL},
        {"a:_v.1-x", NULL, "a", "_v.1-x", NULL},
        {"a@sha256:" HEX64, NULL, "a", NULL, "sha256:" HEX64},
        {"a.b:1/c:d@sha256:" HEX64, "a.b:1", "c", "d", "sha256:" HEX64},
        {"a@sha384:" HEX64 HEX32, NULL, "a", NULL, "sha384:" HEX64 HEX32},
        {"a@sha512:" HEX64 HEX64, NULL, "a", NULL, "sha512:" HEX64 HEX64},
        {HEX64 ":v1", NULL, HEX64, "v1", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct image_ref ref = {0};
        if (!image_ref_parse(str_from_cstr(rows[i].text), &ref))
            fail_msg("\"%s\" is refused", rows[i].text);
        assert_str_is(ref.domain, rows[i].domain);
        assert_str_is(ref.path, rows[i].path);
        assert_str_is(ref.tag, rows[i].tag);
        assert_str_is(ref.digest, rows[i].digest);
    }
}

static void what_no_runtime_can_pull_is_no_image(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        " nginx",
        "nginx ",
        "my image",
        "MyAvs",
        "MyAvs:latest",
        "registry.example/MyAvs",
        "a/B/c",
        "/a",
        "a/",
        "a//b",
        "a:",
        ":v1",
        "a:-v1",
        "a:.v1",
        "a:v 1",
        "a:v+1",
        "a:b:c",
        "-a",
        "a-",
        "_a",
        "a.",
        "a..b",
        "a___b",
        "a._b",
        "http://a.b/c",
        "registry.example:/a",
        "registry.example:port/a",
        "registry.example:123456/a", /* no port has six digits */
        "registry_1.example/a",      /* no host either */
        "-registry.example/a",
        "registry-.example/a",
        ".registry.example/a",
        "registry..example/a",
        "registry.example./a",
        "[::g]/a",
        "[]/a",
        "[:]/a",
        "[::1/a",
        "[::1]5000/a",
        "[::1]:/a",
        "::1/a",
        "a@",
        "a@sha256",
        "a@sha256:",
        "a@sha256:" HEX32,
        "a@sha256:" HEX64 "0",
        "a@sha256:0123456789ABCDEF0123456789abcdef" HEX32,
        "a@sha256:0123456789abcdeg0123456789abcdef" HEX32,
        "a@sha512:" HEX64,
        "a@md5:" HEX32,
        "a@" HEX64,
        "@sha256:" HEX64,
        "a@sha256:" HEX64 "@sha256:" HEX64,
        HEX64, /* an ID */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct image_ref ref = {.path = STR("untouched")};
        if (image_ref_parse(str_from_cstr(rows[i]), &ref))
            fail_msg("\"%s\" is accepted", rows[i]);
        assert_str_is(ref.path, "untouched");
        assert_false(format_is_valid(FORMAT_IMAGE, str_from_cstr(rows[i])));
    }
    struct image_ref ref;
    assert_false(image_ref_parse(STR("a\0b"), &ref));
    assert_false(image_ref_parse(STR("a:b\0"), &ref));
    assert_false(image_ref_parse((struct str){NULL, 0}, &ref));
}

static void durations_are_numbers_with_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns; /* -1: it is none */
    } rows[] = {
        {"30s", INT64_C(30000000000)},
        {"1m30s", INT64_C(90000000000)},
        {"500ms", INT64_C(500000000)},
        {"1.5h", INT64_C(5400000000000)},
        {"0.000000001s", -1}, /* more than nine digits */
        {"0.00000001s", 10},
        {"1h1m1s1ms", INT64_C(3661001000000)},
        {"0s", 0},
        {"999999999h", INT64_MAX},
        {"", -1},
        {"30", -1},
        {"s", -1},
        {"1.s", -1},
        {".5s", -1},
        {"1.2.3s", -1},
        {"-1s", -1},
        {"1 s", -1},
        {"1d", -1},
        {"1S", -1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t ns = -1;
        struct str text = str_from_cstr(rows[i].text);
        assert_int_equal(format_duration(text, &ns), rows[i].ns >= 0);
        assert_int_equal(format_is_valid(FORMAT_DURATION, text), rows[i].ns >= 0);
        assert_int_equal(ns, rows[i].ns);
    }
}

static void the_absent_text_is_treated_as_empty(void **state)
{
    (void)state;
    for (enum schema_format f = FORMAT_NONE; f < FORMAT_COUNT; f++)
        assert_int_equal(format_is_valid(f, (struct str){NULL, 0}), format_is_valid(f, STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_has_a_name_a_rule_and_a_check),
        cmocka_unit_test(no_format_accepts_everything),
        cmocka_unit_test(text_must_not_be_blank),
        cmocka_unit_test(names_are_dns_labels),
        cmocka_unit_test(longer_names_are_dns_subdomains),
        cmocka_unit_test(label_keys_have_an_optional_prefix),
        cmocka_unit_test(label_values_may_be_empty),
        cmocka_unit_test(environment_names_are_printable_without_an_equals_sign),
        cmocka_unit_test(keys_of_configmaps_lead_to_no_other_folder),
        cmocka_unit_test(versions_have_one_or_two_numbers),
        cmocka_unit_test(formats_have_their_greatest_length),
        cmocka_unit_test(image_references_have_parts),
        cmocka_unit_test(what_no_runtime_can_pull_is_no_image),
        cmocka_unit_test(durations_are_numbers_with_units),
        cmocka_unit_test(the_absent_text_is_treated_as_empty),
    };
    return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
