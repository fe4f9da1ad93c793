/* String views. */
#include "unit/support.h"

#include <stdio.h>

#define ABSENT ((struct str){NULL, 0})

static void an_absent_view_is_not_the_empty_one_but_has_the_same_text(void **state)
{
    (void)state;
    assert_false(str_is_set(ABSENT));
    assert_true(str_is_set(STR("")));
    assert_true(str_eq(ABSENT, STR("")));
    assert_false(str_is_set(str_from_cstr(NULL)));
    assert_int_equal(str_from_cstr(NULL).len, 0);
    assert_true(str_is_set(str_from_cstr("")));
    assert_true(str_eq_cstr(ABSENT, NULL));
}

static void views_are_equal_when_their_bytes_are(void **state)
{
    (void)state;
    assert_true(str_eq(STR("abc"), STR("abc")));
    assert_false(str_eq(STR("abc"), STR("abd")));
    assert_false(str_eq(STR("abc"), STR("ab")));
    assert_false(str_eq(STR("abc"), STR("ABC")));
    assert_true(str_eq(STR("a\0b"), STR("a\0b")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_true(str_eq_cstr(STR("abc"), "abc"));
    assert_false(str_eq_cstr(STR("abc"), "abcd"));
}

static void a_view_is_printed_with_its_length(void **state)
{
    (void)state;
    char text[32];
    snprintf(text, sizeof(text), "<%" PRIstr ">", STR_ARG(str_sub(STR("abcdef"), 1, 3)));
    assert_string_equal(text, "<bcd>");
    snprintf(text, sizeof(text), "<%" PRIstr ">", STR_ARG(ABSENT));
    assert_string_equal(text, "<>");
}

static void the_order_is_that_of_the_bytes(void **state)
{
    (void)state;
    /* Each before the next. */
    static const struct str rising[] = {
        {NULL, 0},      STR_INIT("A"), STR_INIT("a"),    STR_INIT("a\0"),  STR_INIT("aa"),
        STR_INIT("ab"), STR_INIT("b"), STR_INIT("\x7F"), STR_INIT("\x80"), STR_INIT("\xFF")};
    enum { COUNT = sizeof(rising) / sizeof(rising[0]) };
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < COUNT; j++) {
            int order = str_cmp(rising[i], rising[j]);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
    assert_int_equal(str_cmp(STR(""), ABSENT), 0);
}

static void both_ends_are_compared(void **state)
{
    (void)state;
    static const struct {
        struct str s, part;
        bool starts, ends;
    } rows[] = {
        {STR_INIT("abcab"), STR_INIT("ab"), true, true},
        {STR_INIT("abc"), STR_INIT("ab"), true, false},
        {STR_INIT("abc"), STR_INIT("bc"), false, true},
        {STR_INIT("abc"), STR_INIT("abc"), true, true},
        {STR_INIT("abc"), STR_INIT("abcd"), false, false},
        {STR_INIT("abc"), STR_INIT(""), true, true},
        {STR_INIT("abc"), {NULL, 0}, true, true},
        {{NULL, 0}, STR_INIT(""), true, true},
        {{NULL, 0}, {NULL, 0}, true, true},
        {{NULL, 0}, STR_INIT("a"), false, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(str_starts_with(rows[i].s, rows[i].part), rows[i].starts);
        assert_int_equal(str_ends_with(rows[i].s, rows[i].part), rows[i].ends);
    }
}

static void the_first_and_the_last_place_of_a_byte_are_found(void **state)
{
    (void)state;
    static const struct {
        struct str s;
        char c;
        ptrdiff_t first, last;
    } rows[] = {
        {STR_INIT("a/b/c"), '/', 1, 3},   {STR_INIT("/"), '/', 0, 0},
        {STR_INIT("abc"), '/', -1, -1},   {STR_INIT(""), '/', -1, -1},
        {{NULL, 0}, '/', -1, -1},         {STR_INIT("a\0b"), '\0', 1, 1},
        {STR_INIT("\xFF"), '\xFF', 0, 0}, {STR_INIT("abc"), '\0', -1, -1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(str_find(rows[i].s, rows[i].c), rows[i].first);
        assert_int_equal(str_find_last(rows[i].s, rows[i].c), rows[i].last);
    }
}

static void a_part_never_leaves_the_view(void **state)
{
    (void)state;
    struct str s = STR("abcdef");
    assert_str_is(str_sub(s, 0, 6), "abcdef");
    assert_str_is(str_sub(s, 2, 3), "cde");
    assert_str_is(str_sub(s, 2, 4), "cdef");
    assert_str_is(str_sub(s, 2, 5), "cdef");
    assert_str_is(str_sub(s, 2, SIZE_MAX), "cdef");
    assert_str_is(str_sub(s, 3, 0), "");
    assert_str_is(str_sub(s, 6, 1), "");
    assert_str_is(str_sub(s, 7, 1), "");
    assert_str_is(str_sub(s, SIZE_MAX, SIZE_MAX), "");
    assert_ptr_equal(str_sub(s, 99, 1).ptr, s.ptr + 6);
    assert_false(str_is_set(str_sub(ABSENT, 1, 1)));
}

static void a_view_is_cut_at_its_first_separator(void **state)
{
    (void)state;
    static const struct {
        struct str s, head, tail;
        bool found;
    } rows[] = {
        {STR_INIT("a=b"), STR_INIT("a"), STR_INIT("b"), true},
        {STR_INIT("a=b=c"), STR_INIT("a"), STR_INIT("b=c"), true},
        {STR_INIT("=b"), STR_INIT(""), STR_INIT("b"), true},
        {STR_INIT("a="), STR_INIT("a"), STR_INIT(""), true},
        {STR_INIT("="), STR_INIT(""), STR_INIT(""), true},
        {STR_INIT("ab"), STR_INIT("ab"), {NULL, 0}, false},
        {STR_INIT(""), STR_INIT(""), {NULL, 0}, false},
        {{NULL, 0}, {NULL, 0}, {NULL, 0}, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str head = STR("x"), tail = STR("x");
        assert_int_equal(str_cut(rows[i].s, '=', &head, &tail), rows[i].found);
        assert_str_equal(head, rows[i].head);
        assert_str_equal(tail, rows[i].tail);
    }
    /* The parts may overwrite the whole. */
    struct str s = STR("a,b,c"), head;
    assert_true(str_cut(s, ',', &head, &s));
    assert_str_is(head, "a");
    assert_str_is(s, "b,c");
    s = STR("a,b");
    struct str tail;
    assert_true(str_cut(s, ',', &s, &tail));
    assert_str_is(s, "a");
    assert_str_is(tail, "b");
}

static void blanks_are_trimmed_at_both_ends_only(void **state)
{
    (void)state;
    assert_str_is(str_trim(STR(" \t\r\n a b \n\r\t ")), "a b");
    assert_str_is(str_trim(STR("ab")), "ab");
    assert_str_is(str_trim(STR(" a")), "a");
    assert_str_is(str_trim(STR("a ")), "a");
    assert_str_is(str_trim(STR(" \t\n")), "");
    assert_str_is(str_trim(STR("")), "");
    assert_str_is(str_trim(STR("\v\f")), "\v\f");
    assert_str_is(str_trim(STR("\xC2\xA0")), "\xC2\xA0");
    assert_false(str_is_set(str_trim(ABSENT)));
}

static void texts_are_put_one_behind_the_other(void **state)
{
    char room[8], *at = room;
    (void)state;
    struct str first = str_put(&at, STR("abc")), empty = str_put(&at, STR(""));
    struct str absent = str_put(&at, (struct str){NULL, 0}), last = str_put(&at, STR("de"));
    assert_ptr_equal(first.ptr, room);
    assert_str_is(first, "abc");
    assert_str_is(empty, "");
    assert_false(str_is_set(absent));
    assert_ptr_equal(last.ptr, room + 3);
    assert_str_is(last, "de");
    assert_ptr_equal(at, room + 5);
}

static void decimal_integers_are_read_to_their_limits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } rows[] = {
        {"0", 0},
        {"-0", 0},
        {"007", 7},
        {"42", 42},
        {"-42", -42},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775807", -INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {"00000000000000000000000000000001", 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t value = 1234;
        assert_true(str_to_int64(str_from_cstr(rows[i].text), &value));
        assert_int_equal(value, rows[i].value);
    }
}

static void what_is_no_integer_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const struct str rows[] = {
        {NULL, 0},
        STR_INIT(""),
        STR_INIT("-"),
        STR_INIT("--1"),
        STR_INIT("+1"),
        STR_INIT(" 1"),
        STR_INIT("1 "),
        STR_INIT("1.0"),
        STR_INIT("1e3"),
        STR_INIT("0x10"),
        STR_INIT("1\0"),
        STR_INIT("/"),
        STR_INIT(":"),
        STR_INIT("9223372036854775808"),
        STR_INIT("-9223372036854775809"),
        STR_INIT("92233720368547758070"),
        STR_INIT("99999999999999999999999999"),
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t value = 1234;
        assert_false(str_to_int64(rows[i], &value));
        assert_int_equal(value, 1234);
    }
}

static void the_distance_counts_edits(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        unsigned distance;
    } rows[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"abc", "abc", 0},
        {"abc", "ABC", 0},
        {"abc", "abd", 1},   /* replace */
        {"abc", "abcd", 1},  /* insert */
        {"abc", "ac", 1},    /* delete */
        {"abcd", "abdc", 1}, /* swap of neighbours */
        {"ba", "ab", 1},
        {"xabcd", "xbadc", 2}, /* two swaps */
        {"ca", "abc", 3},      /* the restricted distance: a swap is not edited again */
        {"kitten", "sitting", 3},
        {"replicas", "replcias", 1},
        {"abc", "xyz", 3},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str a = str_from_cstr(rows[i].a), b = str_from_cstr(rows[i].b);
        for (unsigned max = rows[i].distance; max <= 64; max++) {
            assert_int_equal(str_distance(a, b, max), rows[i].distance);
            assert_int_equal(str_distance(b, a, max), rows[i].distance);
        }
        for (unsigned max = 0; max < rows[i].distance; max++)
            assert_true(str_distance(a, b, max) > max);
    }
}

/* Whatever the names are: few letters, so that they are near each other in many ways. */
static void a_limit_changes_no_distance_below_it(void **state)
{
    (void)state;
    struct random_seeded random;
    random_seeded_init(&random, TEST_SEED);
    for (int round = 0; round < 2000; round++) {
        char text[2][16];
        struct str names[2];
        for (int n = 0; n < 2; n++) {
            names[n] = (struct str){text[n], (size_t)random_below(&random.random, 17)};
            for (size_t i = 0; i < names[n].len; i++)
                text[n][i] = (char)('a' + random_below(&random.random, 3));
        }
        unsigned distance = str_distance(names[0], names[1], 16);
        for (unsigned max = 0; max < 16; max++) {
            unsigned found = str_distance(names[0], names[1], max);
            assert_true(found == distance || (found > max && distance > max));
        }
    }
}

static void long_names_are_far_apart(void **state)
{
    (void)state;
    char text[64];
    memset(text, 'a', sizeof(text));
    struct str longest = {text, 63}, too_long = {text, 64};
    assert_int_equal(str_distance(longest, longest, 64), 0);
    assert_int_equal(str_distance(longest, STR(""), 64), 63);
    assert_int_equal(str_distance(too_long, too_long, 64), UINT32_MAX);
    assert_int_equal(str_distance(too_long, STR("a"), 64), UINT32_MAX);
    assert_int_equal(str_distance(STR("a"), too_long, 64), UINT32_MAX);
    assert_false(str_is_set(str_nearest(too_long, &too_long, 1)));
}

static void only_a_likely_misspelling_is_proposed(void **state)
{
    (void)state;
    static const struct str names[] = {STR_INIT("replicas"), STR_INIT("resources"),
                                       STR_INIT("listen"),   STR_INIT("o"),
                                       STR_INIT("gpu"),      STR_INIT("hardwareRequirements"),
                                       STR_INIT("cert-dir")};
    static const struct {
        const char *given, *nearest; /* NULL for none */
    } rows[] = {
        {"replica", "replicas"},
        {"Replicas", "replicas"},
        {"replcias", "replicas"},
        {"resource", "resources"},
        {"lisen", "listen"},
        {"listne", "listen"},
        {"certdir", "cert-dir"},
        {"gpus", "gpu"},
        {"gp", "gpu"},
        {"O", "o"},
        {"hardwareRequirement", "hardwareRequirements"},
        {"hrdwareReqirments", "hardwareRequirements"},
        {"hardware", NULL},
        {"x", NULL}, /* all of it would be wrong */
        {"", NULL},
        {"xy", NULL},
        {"port", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str nearest =
            str_nearest(str_from_cstr(rows[i].given), names, sizeof(names) / sizeof(names[0]));
        assert_str_equal(nearest, str_from_cstr(rows[i].nearest));
    }
    assert_false(str_is_set(str_nearest(STR("a"), NULL, 0)));
    /* Of two, the nearer; of equally near ones, the first. */
    static const struct str close[] = {STR_INIT("abcdefgx"), STR_INIT("abcdefg"),
                                       STR_INIT("abcdefh")};
    assert_str_is(str_nearest(STR("abcdefg"), close, 3), "abcdefg");
    assert_str_is(str_nearest(STR("abcdefgi"), close, 3), "abcdefgx");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_absent_view_is_not_the_empty_one_but_has_the_same_text),
        cmocka_unit_test(views_are_equal_when_their_bytes_are),
        cmocka_unit_test(a_view_is_printed_with_its_length),
        cmocka_unit_test(the_order_is_that_of_the_bytes),
        cmocka_unit_test(both_ends_are_compared),
        cmocka_unit_test(the_first_and_the_last_place_of_a_byte_are_found),
        cmocka_unit_test(a_part_never_leaves_the_view),
        cmocka_unit_test(a_view_is_cut_at_its_first_separator),
        cmocka_unit_test(blanks_are_trimmed_at_both_ends_only),
        cmocka_unit_test(texts_are_put_one_behind_the_other),
        cmocka_unit_test(decimal_integers_are_read_to_their_limits),
        cmocka_unit_test(what_is_no_integer_is_refused_and_changes_nothing),
        cmocka_unit_test(the_distance_counts_edits),
        cmocka_unit_test(a_limit_changes_no_distance_below_it),
        cmocka_unit_test(long_names_are_far_apart),
        cmocka_unit_test(only_a_likely_misspelling_is_proposed),
    };
    return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
