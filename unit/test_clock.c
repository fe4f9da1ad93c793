/* Time: the machine's clocks and RFC 3339. */
#include "unit/support.h"

static void the_monotonic_clock_never_goes_back(void **state)
{
    (void)state;
    int64_t last = clock_now_ns(clock_system());
    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_now_ns(clock_system());
        assert_true(now >= last);
        last = now;
    }
}

static void the_wall_clock_is_in_nanoseconds_since_1970(void **state)
{
    (void)state;
    int64_t wall_s = clock_wall_ns(clock_system()) / CLOCK_NS_PER_SEC;
    assert_true(wall_s > INT64_C(1700000000)); /* November 2023 */
    assert_true(wall_s < INT64_C(7900000000)); /* the year 2220 */
}

static void times_are_printed_in_utc_with_the_digits_asked_for(void **state)
{
    (void)state;
    static const struct {
        int64_t wall_ns;
        enum clock_precision precision;
        const char *text;
    } rows[] = {
        {0, CLOCK_SECONDS, "1970-01-01T00:00:00Z"},
        {0, CLOCK_MILLIS, "1970-01-01T00:00:00.000Z"},
        {0, CLOCK_MICROS, "1970-01-01T00:00:00.000000Z"},
        {INT64_C(1767323045678912345), CLOCK_SECONDS, "2026-01-02T03:04:05Z"},
        {INT64_C(1767323045678912345), CLOCK_MILLIS, "2026-01-02T03:04:05.678Z"},
        {INT64_C(1767323045678912345), CLOCK_MICROS, "2026-01-02T03:04:05.678912Z"},
        {INT64_C(1767323045999999999), CLOCK_MILLIS, "2026-01-02T03:04:05.999Z"}, /* not rounded */
        {INT64_C(951827696000000000), CLOCK_SECONDS, "2000-02-29T12:34:56Z"},
        {INT64_C(951868800000000000), CLOCK_SECONDS, "2000-03-01T00:00:00Z"},
        {INT64_C(4107542400000000000), CLOCK_SECONDS, "2100-03-01T00:00:00Z"}, /* no leap year */
        {-1, CLOCK_MICROS, "1969-12-31T23:59:59.999999Z"},
        {INT64_MIN, CLOCK_MICROS, "1677-09-21T00:12:43.145224Z"},
        {INT64_MAX, CLOCK_MICROS, "2262-04-11T23:47:16.854775Z"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[CLOCK_TEXT_SIZE];
        struct str printed = clock_print(rows[i].wall_ns, rows[i].precision, text);
        assert_str_is(printed, rows[i].text);
        assert_ptr_equal(printed.ptr, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void every_form_that_go_reads_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t wall_ns;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1969-12-31T23:59:59Z", -CLOCK_NS_PER_SEC},
        {"2026-01-02T03:04:05Z", INT64_C(1767323045000000000)},
        {"2026-01-02T03:04:05.678912Z", INT64_C(1767323045678912000)},
        {"2026-01-02T03:04:05.5Z", INT64_C(1767323045500000000)},
        {"2026-01-02T03:04:05.123456789Z", INT64_C(1767323045123456789)},
        {"2026-01-02T03:04:05.1234567899Z", INT64_C(1767323045123456789)},
        {"2026-01-02T05:04:05+02:00", INT64_C(1767323045000000000)},
        {"2026-01-01T19:34:05.25-07:30", INT64_C(1767323045250000000)},
        {"2026-01-02T03:04:05+00:00", INT64_C(1767323045000000000)},
        {"2026-01-02T03:04:05-00:00", INT64_C(1767323045000000000)},
        {"2000-02-29T12:34:56Z", INT64_C(951827696000000000)},
        {"2026-12-31T23:59:59Z", INT64_C(1798761599000000000)},
        {"1678-01-01T00:00:00Z", INT64_C(-9214560000000000000)},
        {"2261-12-31T23:59:59Z", INT64_C(9214646399000000000)},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t wall_ns = 42;
        if (!clock_parse(str_from_cstr(rows[i].text), &wall_ns))
            fail_msg("%s was refused", rows[i].text);
        if (wall_ns != rows[i].wall_ns)
            fail_msg("%s was read as %lld", rows[i].text, (long long)wall_ns);
    }
}

static void what_is_no_time_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "2026",
        "2026-01-02",
        "2026-01-02T03:04:05",  /* no zone */
        "2026-01-02T03:04:05z", /* small letters */
        "2026-01-02t03:04:05Z",
        "2026-01-02 03:04:05Z",
        "2026-1-02T03:04:05Z",
        "2026-00-02T03:04:05Z",
        "2026-13-02T03:04:05Z",
        "2026-01-00T03:04:05Z",
        "2026-01-32T03:04:05Z",
        "2026-04-31T03:04:05Z",
        "2026-02-29T03:04:05Z", /* no leap year */
        "2100-02-29T03:04:05Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:60:05Z",
        "2026-01-02T03:04:60Z", /* leap second */
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05,5Z",
        "2026-01-02T03:04:05Z ",
        " 2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05+2:00",
        "2026-01-02T03:04:05+0200",
        "2026-01-02T03:04:05+25:00",
        "2026-01-02T03:04:05+02:60",
        "2026-01-02T03:04:05+02:00Z",
        "2026-01-02T03:04:05-",
        "2026/01/02T03:04:05Z",
        "2026-01/02T03:04:05Z",
        "2026-01-02T03.04:05Z",
        "2026-01-02T03:04.05Z",
        "20x6-01-02T03:04:05Z",
        "2026-01-02T0 :04:05Z",
        "1677-12-31T23:59:59Z", /* what fits into nanoseconds */
        "2262-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t wall_ns = 42;
        if (clock_parse(str_from_cstr(rows[i]), &wall_ns))
            fail_msg("\"%s\" was read as %lld", rows[i], (long long)wall_ns);
        assert_int_equal(wall_ns, 42);
    }
    int64_t wall_ns = 42;
    assert_false(clock_parse((struct str){NULL, 0}, &wall_ns));
}

static void every_prefix_of_a_time_is_refused(void **state)
{
    (void)state;
    struct str whole = STR("2026-01-02T05:04:05.25+02:00");
    int64_t wall_ns;
    for (size_t len = 0; len < whole.len; len++)
        assert_false(clock_parse(str_sub(whole, 0, len), &wall_ns));
    assert_true(clock_parse(whole, &wall_ns));
}

static void what_is_printed_is_read_back(void **state)
{
    (void)state;
    /* Every day of the whole years that fit, at a moment that differs from day to day. */
    const int64_t day_ns = INT64_C(86400) * CLOCK_NS_PER_SEC;
    int64_t step = day_ns + INT64_C(61001001000);
    for (int64_t t = INT64_C(-9214560000000000000); t < INT64_C(9214646399000000000); t += step) {
        char text[CLOCK_TEXT_SIZE];
        int64_t back = 0;
        assert_true(clock_parse(clock_print(t, CLOCK_MICROS, text), &back));
        assert_int_equal(back, t);
    }
}

static void the_test_clock_moves_only_when_told(void **state)
{
    (void)state;
    struct test_clock clock;
    test_clock_init(&clock);
    int64_t now = clock_now_ns(&clock.clock), wall = clock_wall_ns(&clock.clock);
    char text[CLOCK_TEXT_SIZE];
    assert_str_is(clock_print(wall, CLOCK_SECONDS, text), "2026-01-02T03:04:05Z");
    assert_int_equal(clock_now_ns(&clock.clock), now);
    test_clock_advance_ms(&clock, 1500);
    assert_int_equal(clock_now_ns(&clock.clock), now + 1500 * CLOCK_NS_PER_MS);
    assert_int_equal(clock_wall_ns(&clock.clock), wall + 1500 * CLOCK_NS_PER_MS);
    test_clock_jump_wall_ms(&clock, -2000);
    assert_int_equal(clock_now_ns(&clock.clock), now + 1500 * CLOCK_NS_PER_MS);
    assert_int_equal(clock_wall_ns(&clock.clock), wall - 500 * CLOCK_NS_PER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_monotonic_clock_never_goes_back),
        cmocka_unit_test(the_wall_clock_is_in_nanoseconds_since_1970),
        cmocka_unit_test(times_are_printed_in_utc_with_the_digits_asked_for),
        cmocka_unit_test(every_form_that_go_reads_is_read),
        cmocka_unit_test(what_is_no_time_is_refused_and_changes_nothing),
        cmocka_unit_test(every_prefix_of_a_time_is_refused),
        cmocka_unit_test(what_is_printed_is_read_back),
        cmocka_unit_test(the_test_clock_moves_only_when_told),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
