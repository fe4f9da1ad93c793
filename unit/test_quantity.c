/* Quantities. The tables were computed with k8s.io/apimachinery v0.36.3 pkg/api/resource. */
#include "unit/support.h"

#include "schema/quantity.h"

/* "-12" for -12; the longest has 38 digits. */
static struct str print_nano(__int128 nano, char to[static 48])
{
    char *end = to + 47, *at = end;
    bool negative = nano < 0;
    do {
        int digit = (int)(nano % 10);
        *--at = (char)('0' + (digit < 0 ? -digit : digit));
        nano /= 10;
    } while (nano != 0);
    if (negative)
        *--at = '-';
    return (struct str){at, (size_t)(end - at)};
}

static struct quantity parsed(const char *text)
{
    struct quantity q;
    if (!quantity_parse(str_from_cstr(text), &q))
        fail_msg("\"%s\" is refused", text);
    return q;
}

static void quantities_have_the_value_that_kubernetes_gives_them(void **state)
{
    (void)state;
    static const struct {
        const char *text, *nano; /* billionths */
    } rows[] = {
        {"0", "0"},
        {"00", "0"},
        {"-0", "0"},
        {"+0", "0"},
        {"1", "1000000000"},
        {"+1", "1000000000"},
        {"-1", "-1000000000"},
        {"00012", "12000000000"},
        {"12.", "12000000000"},
        {".5", "500000000"},
        {"-.5", "-500000000"},
        {"+.5k", "500000000000"},
        {"1.5", "1500000000"},
        {"-1.5", "-1500000000"},
        {"0.1", "100000000"},
        {"100m", "100000000"},
        {"1500m", "1500000000"},
        {"-1500m", "-1500000000"},
        {"1u", "1000"},
        {"1n", "1"},
        {"0.5n", "1"},
        {"0.0000000001", "1"},
        {"-0.0000000001", "-1"},
        {"0.000000001", "1"},
        {"0.0000000011234567891", "2"},
        {"1k", "1000000000000"},
        {"1M", "1000000000000000"},
        {"1G", "1000000000000000000"},
        {"1T", "1000000000000000000000"},
        {"1P", "1000000000000000000000000"},
        {"1E", "1000000000000000000000000000"},
        {"1Ki", "1024000000000"},
        {"1Mi", "1048576000000000"},
        {"1Gi", "1073741824000000000"},
        {"1Ti", "1099511627776000000000"},
        {"1Pi", "1125899906842624000000000"},
        {"1Ei", "1152921504606846976000000000"},
        {"1.5Gi", "1610612736000000000"},
        {"0.1Ki", "102400000000"},
        {"0.001Ki", "1024000000"},
        {"128Mi", "134217728000000000"},
        {"7Ei", "8070450532247928832000000000"},
        {"1.000000000000000000Ei", "1152921504606846976000000000"},
        {"1.100000000000000001Ei", "1268213655067531674752921505"},
        {"1e3", "1000000000000"},
        {"1E3", "1000000000000"},
        {"1e+3", "1000000000000"},
        {"1E+3", "1000000000000"},
        {"1e-3", "1000000"},
        {"1E-3", "1000000"},
        {"1e0", "1000000000"},
        {"1E03", "1000000000000"},
        {"12e6", "12000000000000000"},
        {"0e99", "0"},
        {"1e18", "1000000000000000000000000000"},
        {"1e-9", "1"},
        {"1e-10", "1"},
        {"1.5e3", "1500000000000"},
        {"1.5e-9", "2"},
        {"0.0000000000000000001e19", "1000000000"},
        {"0.0000000000000000001E", "100000000"},
        {"9223372036854775807", "9223372036854775807000000000"},
        {"12345678901234567.123456789", "12345678901234567123456789"},
        {"100000000000000000000m", "100000000000000000000000000"},
        {"0.123456789012345678901234567890", "123456790"},
        {"9E", "9000000000000000000000000000"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char buffer[48];
        struct str nano = print_nano(parsed(rows[i].text).nano, buffer);
        if (!str_eq_cstr(nano, rows[i].nano))
            fail_msg("\"%s\" is %.*s billionths, not %s", rows[i].text, (int)nano.len, nano.ptr,
                     rows[i].nano);
    }
}

static void what_is_no_quantity_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        " ",
        "1 ",
        " 1",
        "1 k",
        "--1",
        "+-1",
        "1-",
        "1.1.1",
        "1,5",
        "0x10",
        "1ki",
        "1K",
        "1i",
        "1mi",
        "1gi",
        "1kb",
        "1MiB",
        "1e",
        "1e+",
        "1e-",
        "1e+-3",
        "1e-+3",
        "1e--3",
        "1e++3",
        "1e3k",
        "1e3Ki",
        "1Ei5",
        "1n5",
        "1e1.5",
        "1ee3",
        "Infinity",
        "NaN",
        "one",
        "1e99999999999999999999", /* beyond 64 bits */
        /* Kubernetes' parser takes what has no digit for 0; its CRDs refuse it, and so do we. */
        ".",
        "+",
        "-",
        "m",
        "E",
        "Ki",
        "e3",
        "-.",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct quantity q = {.nano = 42};
        if (quantity_parse(str_from_cstr(rows[i]), &q))
            fail_msg("\"%s\" is accepted", rows[i]);
        assert_true(q.nano == 42);
    }
    struct quantity q;
    assert_false(quantity_parse(STR("1\0"), &q));
    assert_false(quantity_parse((struct str){NULL, 0}, &q));
}

static void one_letter_e_is_exa_and_e_with_digits_an_exponent(void **state)
{
    (void)state;
    assert_int_equal(quantity_cmp(parsed("1E"), parsed("1e18")), 0);
    assert_int_equal(quantity_cmp(parsed("1E1"), parsed("10")), 0);
    assert_int_equal(quantity_cmp(parsed("1Ei"), parsed("1152921504606846976")), 0);
}

static void what_is_too_large_saturates(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "1e28",
        "1e30",
        "1e999",
        "1e99999999999",
        "9999999999E",
        "1000000000Ei",
        "99999999999999999999999999999999999999999999999999999999999999999999999999",
    };
    struct quantity most = parsed("1e27");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(quantity_cmp(parsed(rows[i]), most), 0);
    assert_int_equal(quantity_cmp(parsed("-1e30"), parsed("-1e27")), 0);
    assert_int_equal(quantity_cmp(parsed("9.9e26"), most), -1);
    /* Larger than anything real, and still told apart. */
    assert_int_equal(quantity_cmp(parsed("10E"), parsed("11E")), -1);
}

static void what_is_too_small_is_rounded_up_to_a_billionth(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "1e-10",
        "1e-999",
        "1e-99999999999",
        "0.1n",
        "0.000000000000000000000000000000000000001",
        "0.00000000000000000000000000000000000000000000000000000000000000001Ki",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_true(parsed(rows[i]).nano == 1);
    assert_true(parsed("-1e-10").nano == -1);
    assert_true(parsed("0.00000000000000000000").nano == 0);
    assert_true(parsed("0e-999").nano == 0);
}

static void a_digit_far_behind_the_point_is_rounded_up_only_once(void **state)
{
    (void)state;
    assert_true(parsed("1.0000000000000000000000000000000000000000001").nano == 1000000001);
    assert_true(parsed("1.0000000001000000000000000000000000000000001").nano == 1000000001);
    assert_true(parsed("0.00000000000000000000000000000000000000000000000000000001").nano == 1);
    assert_true(parsed("1.0000000000000000000000000000000000000000000").nano == 1000000000);
}

static void quantities_are_ordered(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "-1E", "-1Gi", "-1G", "-1", "-1m", "-1n", "0",   "1n", "1u",  "1m", "0.5", "999m", "1",
        "1.1", "1k",   "1Ki", "1M", "1Mi", "1G",  "1Gi", "1T", "1Ti", "1P", "1Pi", "1E",   "1Ei",
    };
    enum { COUNT = sizeof(rows) / sizeof(rows[0]) };
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < COUNT; j++) {
            if (quantity_cmp(parsed(rows[i]), parsed(rows[j])) != (i > j) - (i < j))
                fail_msg("%s and %s", rows[i], rows[j]);
        }
        int sign = (i > 6) - (i < 6);
        assert_int_equal(quantity_sign(parsed(rows[i])), sign);
    }
}

static void the_same_amount_may_be_written_in_many_ways(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"1", "1000m"},   {"1Ki", "1024"},   {"0.5Gi", "512Mi"}, {"1e3", "1k"},
        {"1.5", "1500m"}, {"1024Mi", "1Gi"}, {"100m", "0.1"},    {"2e-3", "2m"},
        {"1G", "1e9"},    {"1.0", "1"},      {"0", "0Ei"},       {"0.1m", "100u"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(quantity_cmp(parsed(rows[i][0]), parsed(rows[i][1])), 0);
}

static void whole_numbers_that_fit_are_given_as_such(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool whole;
        int64_t value;
    } rows[] = {
        {"0", true, 0},
        {"1", true, 1},
        {"-1", true, -1},
        {"2000m", true, 2},
        {"1Ki", true, 1024},
        {"1e3", true, 1000},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"1e27", false, 0},
        {"0.5", false, 0},
        {"1500m", false, 0},
        {"1n", false, 0},
        {"-0.1", false, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t value = 42;
        if (quantity_to_int64(parsed(rows[i].text), &value) != rows[i].whole)
            fail_msg("%s", rows[i].text);
        assert_int_equal(value, rows[i].whole ? rows[i].value : 42);
    }
}

static void json_gives_quantities_as_strings_and_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *json, *same; /* NULL: none */
    } rows[] = {
        {"\"500m\"", "0.5"}, {"2", "2"},     {"2.5", "2500m"}, {"1e3", "1k"},
        {"-1", "-1"},        {"\"\"", NULL}, {"null", NULL},   {"true", NULL},
        {"[1]", NULL},       {"{}", NULL},   {"1E3", "1k"},    {"1e-3", "1m"},
    };
    struct arena arena;
    arena_init(&arena, mem_system(), 4096, 65536);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err;
        const struct json *value =
            json_read(&arena, str_from_cstr(rows[i].json), &json_limits_default, &err);
        assert_non_null(value);
        struct quantity q;
        assert_int_equal(quantity_from_json(value, &q), rows[i].same != NULL);
        if (rows[i].same)
            assert_int_equal(quantity_cmp(q, parsed(rows[i].same)), 0);
    }
    struct quantity q;
    assert_false(quantity_from_json(NULL, &q));
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantities_have_the_value_that_kubernetes_gives_them),
        cmocka_unit_test(what_is_no_quantity_is_refused_and_changes_nothing),
        cmocka_unit_test(one_letter_e_is_exa_and_e_with_digits_an_exponent),
        cmocka_unit_test(what_is_too_large_saturates),
        cmocka_unit_test(what_is_too_small_is_rounded_up_to_a_billionth),
        cmocka_unit_test(a_digit_far_behind_the_point_is_rounded_up_only_once),
        cmocka_unit_test(quantities_are_ordered),
        cmocka_unit_test(the_same_amount_may_be_written_in_many_ways),
        cmocka_unit_test(whole_numbers_that_fit_are_given_as_such),
        cmocka_unit_test(json_gives_quantities_as_strings_and_numbers),
    };
    return cmocka_run_group_tests_name("quantity", tests, NULL, NULL);
}
