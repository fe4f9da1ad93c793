/* Conditions: both tables of the language, every comparison, every refusal with its column. */
#include "unit/support.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "policy/when_number.h"
#include "policy/when_tree.h"

#include <stdio.h>

/* ---- A flow ---- */

/*
 * a Succeeded with outputs n = 10, text = "abc", line = "10\n", neg = -2.50, one = 1; b Failed
 * with output x, which it did not produce; c Skipped; build-image Succeeded; a-b and a.b, whose
 * names begin like that of a; "me" is the step itself, "later" is no ancestor.
 */
struct output {
    struct str name, value;
};

static const struct step {
    struct str name;
    struct str phase;
    struct output outputs[8];
} steps[] = {
    {STR_INIT("a"),
     STR_INIT("Succeeded"),
     {{STR_INIT("n"), STR_INIT("10")},
      {STR_INIT("text"), STR_INIT("abc")},
      {STR_INIT("line"), STR_INIT("10\n")},
      {STR_INIT("neg"), STR_INIT("-2.50")},
      {STR_INIT("one"), STR_INIT("1")},
      {STR_INIT("a.b"), STR_INIT("dotted")},
      {STR_INIT("outputs.z"), STR_INIT("deep")},
      {STR_INIT("nine"), STR_INIT("9")}}},
    {STR_INIT("b"), STR_INIT("Failed"), {{STR_INIT("x"), {NULL, 0}}}},
    {STR_INIT("c"), STR_INIT("Skipped"), {{STR_INIT("n"), {NULL, 0}}}},
    {STR_INIT("build-image"), STR_INIT("Succeeded"), {{STR_INIT("tag-1"), STR_INIT("v1")}}},
    {STR_INIT("a-b"), STR_INIT("PendingApproval"), {{STR_INIT("n"), STR_INIT("1")}}},
    {STR_INIT("a.b"), STR_INIT("Running"), {{STR_INIT("n"), STR_INIT("2")}}},
    {STR_INIT("a.outputs"), STR_INIT("Pending"), {{STR_INIT("z"), STR_INIT("3")}}},
    {STR_INIT("me"), STR_INIT("Running"), {{STR_INIT("n"), STR_INIT("1")}}},
    {STR_INIT("later"), STR_INIT("Pending"), {{STR_INIT("n"), STR_INIT("1")}}},
};
enum { STEP_COUNT = sizeof(steps) / sizeof(steps[0]), STEP_ME = STEP_COUNT - 2 };

static const struct output parameters[] = {
    {STR_INIT("env"), STR_INIT("prod")},     {STR_INIT("empty"), STR_INIT("")},
    {STR_INIT("ten"), STR_INIT("10")},       {STR_INIT("ten.0"), STR_INIT("10.0")},
    {STR_INIT("dry-run"), STR_INIT("true")}, {STR_INIT("city"), STR_INIT("Zürich")},
    {STR_INIT("exp"), STR_INIT("1e5")},      {STR_INIT("big"), STR_INIT("9007199254740993")},
};
enum { PARAMETER_COUNT = sizeof(parameters) / sizeof(parameters[0]) };

static enum scope_use find_step(const void *ctx, struct str name, size_t *ret_step)
{
    (void)ctx;
    for (size_t i = 0; i < STEP_COUNT; i++) {
        if (!str_eq(steps[i].name, name))
            continue;
        *ret_step = i;
        return i < STEP_ME ? SCOPE_USABLE : i == STEP_ME ? SCOPE_ITSELF : SCOPE_NOT_BEFORE;
    }
    return SCOPE_UNKNOWN;
}

static const struct output *find_output(size_t step, struct str name)
{
    for (size_t i = 0; i < 8; i++) {
        if (str_is_set(steps[step].outputs[i].name) && str_eq(steps[step].outputs[i].name, name))
            return &steps[step].outputs[i];
    }
    return NULL;
}

static bool has_output(const void *ctx, size_t step, struct str name)
{
    (void)ctx;
    return find_output(step, name) != NULL;
}

static const struct output *find_parameter(struct str name)
{
    for (size_t i = 0; i < PARAMETER_COUNT; i++) {
        if (str_eq(parameters[i].name, name))
            return &parameters[i];
    }
    return NULL;
}

static bool has_parameter(const void *ctx, struct str name)
{
    (void)ctx;
    return find_parameter(name) != NULL;
}

static struct str nearest(const void *ctx, enum scope_kind kind, size_t step, struct str name)
{
    (void)ctx;
    struct str names[16];
    size_t count = 0;
    for (size_t i = 0; kind == SCOPE_STEP && i < STEP_COUNT; i++)
        names[count++] = steps[i].name;
    for (size_t i = 0; kind == SCOPE_PARAMETER && i < PARAMETER_COUNT; i++)
        names[count++] = parameters[i].name;
    for (size_t i = 0; kind == SCOPE_OUTPUT && i < 8; i++)
        names[count++] = steps[step].outputs[i].name;
    return str_nearest(name, names, count);
}

static const struct scope scope = {NULL, find_step, has_output, has_parameter, nearest};

static struct str phase_of(const void *ctx, size_t step)
{
    (void)ctx;
    return steps[step].phase;
}

static struct str output_of(const void *ctx, size_t step, struct str name)
{
    (void)ctx;
    return find_output(step, name)->value;
}

static struct str parameter_of(const void *ctx, struct str name)
{
    (void)ctx;
    return find_parameter(name)->value;
}

static const struct scope_values values = {NULL, phase_of, output_of, parameter_of};

/* ---- Helpers ---- */

static void arena_start(struct arena *arena)
{
    arena_init(arena, mem_system(), 1 << 14, 1 << 22);
}

static void assert_value(struct str text, bool expected)
{
    struct arena arena;
    struct err err;
    arena_start(&arena);
    const struct when *when = when_parse(&arena, text, &scope, &err);
    if (!when)
        fail_msg("%" PRIstr ": refused: %s", STR_ARG(text), err.message);
    if (when_eval(when, &values) != expected)
        fail_msg("%" PRIstr ": must be %s", STR_ARG(text), expected ? "true" : "false");
    arena_done(&arena);
}

/* `message` is all of it, or its front part when it ends with "…". */
static void assert_refused(struct str text, const char *message)
{
    struct arena arena;
    struct err err;
    arena_start(&arena);
    if (when_parse(&arena, text, &scope, &err))
        fail_msg("%" PRIstr ": must be refused", STR_ARG(text));
    struct str wanted = str_from_cstr(message), got = str_from_cstr(err.message);
    bool is_front = str_ends_with(wanted, STR("…"));
    if (is_front)
        wanted.len -= strlen("…");
    if (is_front ? !str_starts_with(got, wanted) : !str_eq(got, wanted))
        fail_msg("%" PRIstr ": is refused with \"%s\" instead of \"%s\"", STR_ARG(text),
                 err.message, message);
    assert_int_equal(err.code, 422);
    arena_done(&arena);
}

struct value_row {
    const char *text;
    bool value;
};

struct refusal_row {
    const char *text, *message;
};

#define CHECK_VALUES(rows)                                        \
    for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++) \
    assert_value(str_from_cstr((rows)[i].text), (rows)[i].value)
#define CHECK_REFUSALS(rows)                                      \
    for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++) \
    assert_refused(str_from_cstr((rows)[i].text), (rows)[i].message)

/* ---- The tables of the language ---- */

static void the_truth_table_holds(void **state)
{
    (void)state;
    static const struct value_row rows[] = {
        {"", true},
        {"always", true},
        {"never", false},
        {"true && !false", true},
        {"steps.a.phase == 'Succeeded'", true},
        {"steps.b.phase != \"Failed\"", false},
        {"steps.c.phase == 'Skipped'", true},
        {"{{ steps.a.phase == 'Succeeded' }}", true},
        {"(true || false) && false", false},
        {"steps.a.outputs.n > 9", true},
        {"steps.a.outputs.n < '9'", false},
        {"steps.a.outputs.n == 10.0", true},
        {"steps.a.outputs.n == '10.0'", false},
        {"steps.b.outputs.x == ''", true},
        {"parameters.env == 'prod' || never", true},
        {"!(1 > 2) && 'a' < 'b'", true},
        {"{{parameters.env}} == 'prod'", true},
        {"true || false && false", true},
    };
    CHECK_VALUES(rows);
}

static void the_refusal_table_holds_with_columns(void **state)
{
    (void)state;
    static const struct refusal_row rows[] = {
        {"steps.a.phase ==", "column 17: expected a value, but the condition ends here"},
        {"steps.a.phase == 'Suceeded'", "column 18: no such phase; phases are 'Pending', …"},
        {"steps.zz.phase == 'Failed'", "column 7: unknown step \"zz\""},
        {"steps.a.outputs.m == '1'", "column 17: step \"a\" has no output \"m\""},
        {"parameters.x == '1'", "column 12: unknown parameter \"x\""},
        {"steps.a.phase > 'Failed'", "column 15: phases have no order; use == or !="},
        {"1 && true", "column 1: a number is no condition by itself; …"},
        {"true < false", "column 6: booleans have no order; use == or !="},
        {"steps.a",
         "column 1: \"steps.a\" is incomplete; write steps.a.phase or steps.a.outputs.NAME"},
        {"a == b", "column 1: \"a\" has no meaning here; text needs quotes …"},
        {"'open", "column 1: string without end: a second ' is missing"},
        {"true true", "column 6: expected \"&&\", \"||\" or the end, not \"true\""},
    };
    CHECK_REFUSALS(rows);
}

/* ---- Values ---- */

static void precedence_is_not_and_or(void **state)
{
    (void)state;
    static const struct value_row rows[] = {
        {"false && false || true", true},
        {"true || true && false", true},
        {"(true || true) && false", false},
        {"!true || true", true},
        {"!(true || true)", false},
        {"!true && false", false},
        {"!(true && false)", true},
        /* ! is of a whole comparison. */
        {"!'a' == 'b'", true},
        {"!1 == 1", false},
        {"! parameters.env == 'dev' && true", true},
        {"(1 < 2) == (2 < 3)", true},
        {"(1 < 2) != (2 < 3)", false},
        {"true == true && false == false", true},
        {"always == never", false},
        {"((((true))))", true},
        {"false || false || false || true", true},
        {"true && true && true && false", false},
        {"true && false || true && true", true},
    };
    CHECK_VALUES(rows);
}

static void blanks_and_line_ends_do_not_matter(void **state)
{
    (void)state;
    static const struct value_row rows[] = {
        {" \t\r\n", true},
        {"  true  ", true},
        {"true&&!false||never", true},
        {"1<2&&2>=2&&'a'!='b'", true},
        {"(\n  parameters.env == 'prod'\n  && steps.a.outputs.n\t> 9\n)\n", true},
        {"{{steps.a.phase=='Succeeded'}}", true},
        {"  {{  always\n}}  ", true},
        {"{{never}}", false},
        {"{{   parameters.env   }}   ==   'prod'", true},
    };
    CHECK_VALUES(rows);
}

static const struct {
    const char *left, *right;
    int order; /* 2: not comparable */
} pairs[] = {
    {"1", "2", -1},
    {"2", "2.0", 0},
    {"-1", "-2", 1},
    {"'a'", "'b'", -1},
    {"'b'", "'b'", 0},
    {"'b'", "'a'", 1},
    {"'B'", "'a'", -1},
    {"'a'", "'ab'", -1},
    {"''", "'a'", -1},
    {"'10'", "'9'", -1},
    {"'ü'", "'z'", 1},
    {"steps.a.outputs.n", "9", 1},
    {"steps.a.outputs.n", "10", 0},
    {"steps.a.outputs.n", "10.5", -1},
    {"steps.a.outputs.neg", "-2.5", 0},
    {"steps.a.outputs.neg", "-2.51", 1},
    {"steps.a.outputs.line", "10", 0},
    {"parameters.ten", "11", -1},
    {"parameters.ten.0", "10", 0},
    {"parameters.big", "9007199254740992", 1},
    {"parameters.city", "'Zürich'", 0},
    {"parameters.city", "'Zurich'", 1},
    {"steps.a.outputs.text", "'abd'", -1},
    /* What reads as no number is no number: not even 1e5, nor nothing at all. */
    {"steps.a.outputs.text", "1", 2},
    {"parameters.exp", "100000", 2},
    {"parameters.empty", "0", 2},
    {"steps.b.outputs.x", "5", 2},
    {"steps.c.outputs.n", "-5", 2},
    {"steps.b.outputs.x", "''", 0},
    {"steps.b.outputs.x", "'a'", -1},
    {"parameters.empty", "steps.b.outputs.x", 0},
    {"parameters.env", "'prod'", 0},
};

static void every_comparison_of_every_pair_of_types_is_right(void **state)
{
    (void)state;
    static const struct {
        const char *sign;
        bool below, equal, above, incomparable;
    } signs[] = {
        {"==", false, true, false, false}, {"!=", true, false, true, true},
        {"<", true, false, false, false},  {"<=", true, true, false, false},
        {">", false, false, true, false},  {">=", false, true, true, false},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        for (size_t s = 0; s < sizeof(signs) / sizeof(signs[0]); s++) {
            const bool by_order[] = {signs[s].below, signs[s].equal, signs[s].above,
                                     signs[s].incomparable};
            const bool turned[] = {signs[s].above, signs[s].equal, signs[s].below,
                                   signs[s].incomparable};
            char text[200];
            snprintf(text, sizeof(text), "%s %s %s", pairs[i].left, signs[s].sign, pairs[i].right);
            assert_value(str_from_cstr(text), by_order[pairs[i].order + 1]);
            snprintf(text, sizeof(text), "%s %s %s", pairs[i].right, signs[s].sign, pairs[i].left);
            assert_value(str_from_cstr(text), turned[pairs[i].order + 1]);
        }
    }
}

static void outputs_and_parameters_are_ordered_as_numbers_but_equal_as_text(void **state)
{
    (void)state;
    static const struct value_row rows[] = {
        {"steps.a.outputs.n > steps.a.outputs.nine", true},
        {"steps.a.outputs.n > '9'", true},
        {"steps.a.outputs.n <= parameters.ten.0", true},
        {"steps.a.outputs.n >= parameters.ten.0", true},
        {"steps.a.outputs.n == parameters.ten.0", false},
        {"steps.a.outputs.n == parameters.ten", true},
        {"steps.a.outputs.n == '10'", true},
        {"steps.a.outputs.n != '10.0'", true},
        {"steps.a.outputs.line == '10'", false},
        {"steps.a.outputs.n > 'abc'", false},
        {"steps.a.outputs.n < 'abc'", true},
        {"steps.a.outputs.text < steps.a.outputs.n", false},
        {"parameters.dry-run == 'true'", true},
    };
    CHECK_VALUES(rows);
}

static void numbers_are_compared_exactly(void **state)
{
    (void)state;
    static const struct value_row rows[] = {
        {"0 == -0", true},
        {"-0.000 == +0", true},
        {"007 == 7", true},
        {"+5 == 5.0", true},
        {"0.1 == 0.10", true},
        {"0.1 < 0.11", true},
        {"0.5 > 0.25", true},
        {"-0.5 < -0.25", true},
        {"9007199254740993 == 9007199254740992", false},
        {"9007199254740993 > 9007199254740992", true},
        {"0.30000000000000004 == 0.3", false},
        {"100000000000000000000000000000000000000000000000001 > "
         "100000000000000000000000000000000000000000000000000",
         true},
        {"0.00000000000000000000000000000000000000000000000001 > 0", true},
        {"-100000000000000000000000000000 < 1", true},
        {"18446744073709551617 == 1", false},
    };
    CHECK_VALUES(rows);
}

static void a_number_may_fill_the_whole_condition(void **state)
{
    (void)state;
    char text[WHEN_TEXT_MAX + 1];
    memset(text, '9', sizeof(text));
    memcpy(text, "1<", 2);
    assert_value((struct str){text, WHEN_TEXT_MAX}, true);
    memcpy(text, "1>", 2);
    assert_value((struct str){text, WHEN_TEXT_MAX}, false);
}

/* Against the comparison of scaled integers. */
static void random_decimals_compare_as_integers_do(void **state)
{
    (void)state;
    struct random_seeded seeded;
    random_seeded_init(&seeded, TEST_SEED);
    for (int round = 0; round < 20000; round++) {
        struct when_number numbers[2];
        char texts[2][64];
        int64_t scaled[2];
        for (size_t i = 0; i < 2; i++) {
            uint64_t whole = random_below(&seeded.random, round % 2 ? 3 : 1000000);
            uint64_t fraction = random_below(&seeded.random, round % 3 ? 10 : 10000);
            bool negative = random_below(&seeded.random, 2) == 1;
            scaled[i] = (int64_t)(whole * 10000 + fraction) * (negative ? -1 : 1);
            snprintf(texts[i], sizeof(texts[i]), "%s%s%llu.%04llu%s", negative ? "-" : "",
                     round % 5 ? "" : "00", (unsigned long long)whole, (unsigned long long)fraction,
                     round % 7 ? "" : "000");
            assert_true(when_number_read(str_from_cstr(texts[i]), &numbers[i]));
        }
        int order = when_number_compare(&numbers[0], &numbers[1]);
        int expected = (scaled[0] > scaled[1]) - (scaled[0] < scaled[1]);
        if ((order > 0) - (order < 0) != expected)
            fail_msg("%s and %s are compared as %d", texts[0], texts[1], order);
    }
}

static void only_plain_decimals_read_as_numbers(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        bool is_number;
    } rows[] = {
        {STR_INIT("1"), true},       {STR_INIT("-1.5"), true},  {STR_INIT("+0"), true},
        {STR_INIT(" 10\r\n"), true}, {STR_INIT(""), false},     {STR_INIT(" "), false},
        {STR_INIT("-"), false},      {STR_INIT("+-1"), false},  {STR_INIT("1."), false},
        {STR_INIT(".5"), false},     {STR_INIT("."), false},    {STR_INIT("1.2.3"), false},
        {STR_INIT("1e5"), false},    {STR_INIT("0x10"), false}, {STR_INIT("1,5"), false},
        {STR_INIT("1 0"), false},    {STR_INIT("NaN"), false},  {STR_INIT("inf"), false},
        {STR_INIT("1\0"), false},    {STR_INIT("- 1"), false},  {STR_INIT("１"), false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct when_number number;
        assert_int_equal(when_number_read(rows[i].text, &number), rows[i].is_number);
    }
    struct when_number number;
    assert_false(when_number_read((struct str){NULL, 0}, &number));
}

static void strings_have_two_kinds_of_quotes_and_three_escapes(void **state)
{
    (void)state;
    static const struct value_row rows[] = {
        {"'it\\'s' == \"it's\"", true},
        {"\"a\\\"b\" == 'a\"b'", true},
        {"'a\\\\b' == \"a\\\\b\"", true},
        {"'a\\\\' != 'a'", true},
        {"'\\'' == \"'\"", true},
        {"'' == \"\"", true},
        {"'a && b' == 'a && b'", true},
        {"'(' == '('", true},
        {"'}}' == '}}'", true},
        {"{{ '}}' == '}}' }}", true},
        {"{{ '\\'}}' == '\\'}}' }}", true},
        {"parameters.city == 'Zürich'", true},
        {"'日本' < '日本語'", true},
        {"'line\nend' == 'line\nend'", true},
    };
    CHECK_VALUES(rows);
}

static void names_may_hold_dashes_and_dots_and_the_longest_step_is_meant(void **state)
{
    (void)state;
    static const struct value_row rows[] = {
        {"steps.build-image.phase == 'Succeeded'", true},
        {"steps.build-image.outputs.tag-1 == 'v1'", true},
        {"steps.a-b.phase == 'PendingApproval'", true},
        {"steps.a-b.outputs.n == 1", true},
        {"steps.a.b.phase == 'Running'", true},
        {"steps.a.b.outputs.n == 2", true},
        {"steps.a.outputs.a.b == 'dotted'", true},
        {"parameters.ten.0 == '10.0'", true},
        {"parameters.ten == '10'", true},
        {"parameters.dry-run=='true'", true},
        /* Step "a" has an output "outputs.z", and there is a step "a.outputs" with an output z. */
        {"steps.a.outputs.outputs.z == 3", true},
    };
    CHECK_VALUES(rows);
}

static void old_spellings_mean_the_same(void **state)
{
    (void)state;
    static const struct value_row rows[] = {
        {"{{ eq (index .StepStatus \"a\").Phase \"Succeeded\" }}", true},
        {"{{ eq (index .StepStatus \"b\").Phase \"Succeeded\" }}", false},
        {"{{ ne (index .StepStatus \"b\").Phase \"Succeeded\" }}", true},
        {"{{eq (index .StepStatus \"build-image\").Phase \"Succeeded\"}}", true},
        {"{{eq(index .StepStatus \"a\").Phase \"Succeeded\"}}", true},
        {"{{ eq (index .StepStatus \"a\").Phase \"Succeeded\" }} && always", true},
        {"!{{ eq (index .StepStatus \"a\").Phase \"Succeeded\" }}", false},
        {"{{ eq (index .StepStatus \"a\").Phase \"Failed\" }} || "
         "{{ ne (index .StepStatus \"a\").Phase \"Failed\" }}",
         true},
        {"{{steps.a.outputs.n}} > 9", true},
        {"9 < {{ steps.a.outputs.n }}", true},
        {"{{parameters.env}} == {{parameters.env}}", true},
        {"{{.parameters.env}} == 'prod'", true},
        {"{{ .steps.a.outputs.n }} == 10", true},
        {"{{parameters.env == 'dev'}}", false},
        {"({{parameters.env}} == 'prod')", true},
    };
    CHECK_VALUES(rows);
}

/* ---- Refusals ---- */

static void wrong_names_are_refused_with_the_nearest_right_one(void **state)
{
    (void)state;
    static const struct refusal_row rows[] = {
        {"always && steps.biuld-image.phase == 'Failed'",
         "column 17: unknown step \"biuld-image\"; did you mean \"build-image\"?"},
        {"parameters.evn == 'prod'", "column 12: unknown parameter \"evn\"; did you mean \"env\"?"},
        {"steps.a.outputs.txt == ''",
         "column 17: step \"a\" has no output \"txt\"; did you mean \"text\"?"},
        {"steps.me.phase == 'Failed'",
         "column 7: step \"me\" is the step itself, which has not run yet"},
        {"steps.later.phase == 'Failed'",
         "column 7: step \"later\" need not have ended when this one starts; add it to the "
         "dependencies"},
        {"{{ eq (index .StepStatus \"bb\").Phase \"Failed\" }}",
         "column 27: unknown step \"bb\"; did you mean \"b\"?"},
        {"{{ eq (index .StepStatus \"me\").Phase \"Failed\" }}",
         "column 27: step \"me\" is the step itself, which has not run yet"},
        {"steps.a.output.n == 1",
         "column 1: \"steps.a.output.n\" is incomplete; write steps.a.phase or "
         "steps.a.outputs.NAME"},
        {"steps.a.outputs == 1", "column 1: \"steps.a.outputs\" is incomplete; …"},
        {"steps.a.outputs. == 1", "column 1: \"steps.a.outputs.\" is incomplete; …"},
        {"steps.a.Phase == 'Failed'", "column 1: \"steps.a.Phase\" is incomplete; …"},
        {"steps..phase == 'Failed'",
         "column 1: \"steps..phase\" is incomplete; write steps.STEP.phase or …"},
        {"steps. == ''", "column 1: \"steps.\" is incomplete; write steps.STEP.phase or …"},
        {"steps == ''", "column 1: \"steps\" is no reference; write parameters.NAME, …"},
        {"parameters. == ''", "column 1: the parameter's name is missing behind \"parameters.\""},
        {"parameters == ''", "column 1: \"parameters\" is no reference; …"},
        {"steps.a.phase-x == 'Failed'", "column 1: \"steps.a.phase-x\" is incomplete; …"},
        {"step.a.phase == 'Failed'",
         "column 1: \"step.a.phase\" has no meaning here; did you mean \"steps.a.phase\"?"},
        {"parameter.env == 'prod'",
         "column 1: \"parameter.env\" has no meaning here; did you mean \"parameters.env\"?"},
        {".parameters.env == 'prod'",
         "column 1: \".parameters.env\" has no meaning here; did you mean \"parameters.env\"?"},
        {"True", "column 1: \"True\" has no meaning here; did you mean \"true\"?"},
        {"alway", "column 1: \"alway\" has no meaning here; did you mean \"always\"?"},
    };
    CHECK_REFUSALS(rows);
}

static void types_that_do_not_compare_are_refused(void **state)
{
    (void)state;
    static const struct refusal_row rows[] = {
        {"1 == '1'", "column 3: a number and a string in quotes do not compare; …"},
        {"'1' < 1", "column 5: a number and a string in quotes do not compare; …"},
        {"true == 'true'", "column 6: true and false compare only with each other"},
        {"1 != false", "column 3: true and false compare only with each other"},
        {"true == steps.a.phase", "column 6: true and false compare only with each other"},
        {"parameters.dry-run == true",
         "column 20: parameters and outputs are strings; compare with 'true' or 'false' in "
         "quotes"},
        {"(1 < 2) >= true", "column 9: booleans have no order; use == or !="},
        {"never <= always", "column 7: booleans have no order; use == or !="},
        {"steps.a.phase == steps.b.phase",
         "column 15: a phase compares only with the name of a phase in quotes, such as "
         "'Succeeded'"},
        {"parameters.env == steps.b.phase", "column 16: a phase compares only with …"},
        {"steps.a.phase == 1", "column 15: a phase compares only with …"},
        {"'Failed' < steps.a.phase", "column 10: phases have no order; use == or !="},
        {"'failed' == steps.a.phase", "column 1: no such phase; …"},
        {"steps.a.phase == ''", "column 18: no such phase; …"},
        {"steps.a.phase == Failed", "column 18: \"Failed\" is text and needs quotes: 'Failed'"},
        {"parameters.env", "column 1: a parameter or output is text and no condition by itself; …"},
        {"!steps.a.outputs.n", "column 2: a parameter or output is text …"},
        {"true && steps.a.phase", "column 9: a phase is no condition by itself; …"},
        {"'true'", "column 1: a string is no condition by itself; …"},
        {"('a') == 'a'", "column 2: a string is no condition by itself; …"},
        {"{{parameters.dry-run}}", "column 3: a parameter or output is text …"},
    };
    CHECK_REFUSALS(rows);
}

static void what_is_not_of_the_grammar_is_refused(void **state)
{
    (void)state;
    static const struct refusal_row rows[] = {
        {"1 < 2 < 3",
         "column 7: expected \"&&\", \"||\" or the end, not \"<\"; comparisons in a row need && or "
         "parentheses"},
        {"true and false",
         "column 6: expected \"&&\", \"||\" or the end, not \"and\"; \"and\" is &&"},
        {"true or false", "column 6: expected \"&&\", \"||\" or the end, not \"or\"; \"or\" is ||"},
        {"not true", "column 1: \"not\" has no meaning here; it is written !"},
        {"!!true", "column 2: expected a value, not \"!\""},
        {"true &&", "column 8: expected a value, but the condition ends here"},
        {"|| true", "column 1: expected a value, not \"||\""},
        {"(true", "column 6: expected \"&&\", \"||\" or \")\", but the condition ends here"},
        {"true)", "column 5: expected \"&&\", \"||\" or the end, not \")\""},
        {"()", "column 2: expected a value, not \")\""},
        {"(=", "column 2: unexpected \"=\"; …"},
        {"{{ eq = }}", "column 7: unexpected \"=\"; …"},
        {"1 = 1", "column 3: unexpected \"=\"; equality is =="},
        {"true & true", "column 6: unexpected \"&\"; \"and\" is &&"},
        {"true | true", "column 6: unexpected \"|\"; \"or\" is ||"},
        {"parameters.env == “prod”", "column 19: unexpected \"“\"; strings are in plain quotes, …"},
        {"parameters.env == `prod`", "column 19: unexpected \"`\"; strings are in ' or \""},
        {"${parameters.env} == 'prod'", "column 1: unexpected \"$\"; write parameters.NAME or …"},
        {"true; false", "column 5: unexpected \";\""},
        {"true # comment", "column 6: unexpected \"#\""},
        {"true\001", "column 5: unexpected character U+0001"},
        {"true\xC2\xA0", "column 5: unexpected \"\xC2\xA0\""},
        {"\xFF", "column 1: the text is not valid UTF-8 here"},
        {"eq 1 1", "column 1: \"eq\" has no meaning here; …"},
    };
    CHECK_REFUSALS(rows);
    assert_refused(STR("true\0"), "column 5: unexpected character U+0000");
    assert_refused(STR("\0"), "column 1: unexpected character U+0000");
}

static void numbers_have_no_exponent_and_digits_on_both_sides_of_the_point(void **state)
{
    (void)state;
    static const char *const numbers[] = {"1e5", "1E5", "1e-5",  "0x1F", "1.",  ".5",  "1.2.3",
                                          "-",   "+",   "1_000", "1-1",  "-.5", "1.e", "10a"};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char text[64], message[128];
        snprintf(text, sizeof(text), "2 > %s", numbers[i]);
        snprintf(message, sizeof(message),
                 "column 5: \"%s\" is no number; numbers are decimal, such as -3 or 0.25",
                 numbers[i]);
        assert_refused(str_from_cstr(text), message);
    }
}

static void wrong_strings_are_refused(void **state)
{
    (void)state;
    static const struct refusal_row rows[] = {
        {"parameters.env == \"prod'", "column 19: string without end: a second \" is missing"},
        {"'a\\'", "column 1: string without end: a second ' is missing"},
        {"'", "column 1: string without end: a second ' is missing"},
        {"'\\", "column 1: string without end: a second ' is missing"},
        {"'a\\n' == ''",
         "column 3: a backslash can only be before \\, ' or \"; write \\\\ for one"},
        {"'\\u0041' == 'A'", "column 2: a backslash can only be before …"},
        {"'{{parameters.env}}' == 'prod'", "column 1: a template in quotes is only text here; …"},
        {"'prod' == \"${parameters.env}\"", "column 11: a template in quotes is only text here; …"},
        {"'${steps.a.outputs.n}' == ''", "column 1: a template in quotes is only text here; …"},
    };
    CHECK_REFUSALS(rows);
    assert_refused(STR("'' == '\xC3'"), "column 7: the string is not valid UTF-8");
    assert_value(STR("'${HOME}' == '${HOME}'"), true);
}

static void other_templates_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int column;
    } rows[] = {
        {"{{ .StepStatus.a.Phase }} == 'x'", 4},
        {"{{ true }} && true", 4},
        {"{{ {{parameters.env}} == 'prod' }}", 4},
        {"{{parameters.env", 17},
        {"{{parameters.env upper}} == 'PROD'", 18},
        {"{{ eq .StepStatus.a.Phase \"Failed\" }}", 7},
        {"{{ eq (index .StepStatus a).Phase \"Failed\" }}", 26},
        {"{{ eq (index .StepStatus \"a\") .Phase \"Failed\" }}", 29},
        {"{{ eq (index .StepStatus \"a\").Name \"Failed\" }}", 30},
        {"{{ eq (index .StepStatus \"a\").Phase }}", 37},
        {"{{ eq (index .StepStatus \"a\").Phase \"Failed\" \"Skipped\" }}", 46},
        {"{{ eq (index .Steps \"a\").Phase \"Failed\" }}", 14},
        {"{{ eq (index .StepStatus \"a\").Phase \"Failed\"", 45},
        {"{{ gt 1 2 }} && true", 4},
        {"true == {{", 11},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char message[256];
        snprintf(message, sizeof(message),
                 "column %d: this template is not supported; conditions are written such as "
                 "steps.STEP.phase == 'Succeeded' or parameters.NAME == 'x'",
                 rows[i].column);
        assert_refused(str_from_cstr(rows[i].text), message);
    }
    static const struct refusal_row others[] = {
        {"{{ .StepStatus.step1.Phase }}", "column 4: \".StepStatus.step1.Phase\" has no meaning …"},
        {"{{- parameters.env -}} == 'prod'", "column 3: \"-\" is no number; …"},
        {"{{ }}", "column 4: expected a value, but the condition ends here"},
        {"{{}}", "column 3: expected a value, but the condition ends here"},
        {"{{parameters.env}", "column 17: unexpected \"}\"; a template ends with }}"},
        {"{parameters.env}}", "column 1: unexpected \"{\"; a template begins with {{"},
        {"{{parameters.env | upper}} == 'PROD'", "column 18: unexpected \"|\"; …"},
        {"{{", "column 3: this template is not supported; …"},
        {"}}", "column 1: expected a value, not \"}}\""},
        {"true }}", "column 6: expected \"&&\", \"||\" or the end, not \"}}\""},
        {"{{steps.a.phase}} == 'Failed'", "column 3: write a phase without braces: steps.a.phase"},
        {"{{ eq (index .StepStatus \"a\").Phase \"Faild\" }}", "column 37: no such phase; …"},
        {"{{parameters.evn}} == 'prod'",
         "column 14: unknown parameter \"evn\"; did you mean \"env\"?"},
    };
    CHECK_REFUSALS(others);
}

static void columns_count_characters(void **state)
{
    (void)state;
    static const struct refusal_row rows[] = {
        {"'Zürich' == 'Zürich' && x", "column 25: \"x\" has no meaning here; …"},
        {"'日本語😀' == x", "column 11: \"x\" has no meaning here; …"},
        {"'é'", "column 1: a string is no condition by itself; …"},
        {"1 < 2'é'", "column 6: expected \"&&\", …"},
        {"é", "column 1: unexpected \"é\""},
        {"true é", "column 6: unexpected \"é\""},
        {"'é' == 'e' &&\n x", "column 16: \"x\" has no meaning here; …"},
        {"  {{ 'é' == x }}", "column 13: \"x\" has no meaning here; …"},
    };
    CHECK_REFUSALS(rows);
}

static void names_in_messages_are_cut(void **state)
{
    (void)state;
    char text[1000];
    memset(text, 'x', sizeof(text));
    memcpy(text, "parameters.", 11);
    char message[200];
    snprintf(message, sizeof(message), "column 12: unknown parameter \"%.63s…\"", text + 11);
    assert_refused((struct str){text, sizeof(text)}, message);
}

static void a_condition_of_4096_bytes_is_read_and_a_longer_one_refused(void **state)
{
    (void)state;
    char text[WHEN_TEXT_MAX + 1];
    memset(text, ' ', sizeof(text));
    memcpy(text, "never", 5);
    assert_value((struct str){text, WHEN_TEXT_MAX}, false);
    assert_refused((struct str){text, sizeof(text)},
                   "the condition has 4097 bytes; at most 4096 are possible");
    /* As many parts as fit. */
    for (size_t i = 0; i + 8 <= WHEN_TEXT_MAX; i += 8)
        memcpy(text + i, "  1<2 &&", 8);
    memcpy(text + WHEN_TEXT_MAX - 8, "  2<1   ", 8);
    assert_value((struct str){text, WHEN_TEXT_MAX}, false);
}

static void put_times(struct buf *buf, const char *text, int times)
{
    for (int i = 0; i < times; i++)
        buf_put(buf, str_from_cstr(text));
}

static void parentheses_may_be_32_deep(void **state)
{
    (void)state;
    struct arena arena;
    arena_start(&arena);
    for (int depth = 31; depth <= 34; depth++) {
        struct buf text;
        buf_init(&text, arena_mem(&arena), WHEN_TEXT_MAX);
        put_times(&text, "(", depth);
        put_times(&text, "1 < 2", 1);
        put_times(&text, ")", depth);
        put_times(&text, " == true", 1);
        if (depth <= WHEN_DEPTH_MAX)
            assert_value(buf_str(&text), true);
        else
            assert_refused(buf_str(&text),
                           "column 33: more than 32 parentheses inside of each other");
    }
    /* One after the other they do not count. */
    struct buf text;
    buf_init(&text, arena_mem(&arena), WHEN_TEXT_MAX);
    put_times(&text, "(true)&&", 300);
    put_times(&text, "(((never)))", 1);
    assert_value(buf_str(&text), false);
    arena_done(&arena);
}

/* ---- Random conditions ---- */

struct maker {
    const struct random *random;
    struct buf *out;
    int depth;
};

static size_t pick(struct maker *maker, size_t count)
{
    return (size_t)random_below(maker->random, count);
}

static void make_condition(struct maker *maker);

static void make_comparison(struct maker *maker)
{
    static const char *const data[] = {
        "steps.a.outputs.n", "steps.a.outputs.text", "steps.b.outputs.x",
        "parameters.env",    "{{parameters.ten}}",   "{{ steps.a.outputs.neg }}",
        "parameters.city",   "steps.a.outputs.line", "{{.parameters.empty}}",
    };
    static const char *const texts[] = {"'prod'", "\"10\"", "''", "'it\\'s'", "'Zürich'", "'9'"};
    static const char *const numbers[] = {"0", "-2.5", "10.0", "+9", "9007199254740993"};
    static const char *const signs[] = {"==", "!=", "<", "<=", ">", ">="};
    static const char *const phases[] = {"'Succeeded'", "\"Failed\"", "'Skipped'"};
    static const char *const step_phases[] = {"steps.a.phase", "steps.b.phase", "steps.c.phase"};
    const char *sign = signs[pick(maker, 6)], *left = data[pick(maker, 9)], *right = NULL;
    switch (pick(maker, 6)) {
    case 0:
        sign = signs[pick(maker, 2)];
        left = step_phases[pick(maker, 3)];
        right = phases[pick(maker, 3)];
        break;
    case 1:
        right = numbers[pick(maker, 5)];
        break;
    case 2:
        left = numbers[pick(maker, 5)];
        right = numbers[pick(maker, 5)];
        break;
    case 3:
        left = texts[pick(maker, 6)];
        right = texts[pick(maker, 6)];
        break;
    case 4:
        right = texts[pick(maker, 6)];
        break;
    default:
        right = data[pick(maker, 9)];
        break;
    }
    bool turned = pick(maker, 2) == 1;
    buf_printf(maker->out, "%s%s %s%s", turned ? right : left, pick(maker, 2) ? " " : "", sign,
               pick(maker, 2) ? " " : "");
    buf_put(maker->out, str_from_cstr(turned ? left : right));
}

static void make_operand(struct maker *maker)
{
    static const char *const constants[] = {"true", "false", "always", "never",
                                            "{{ eq (index .StepStatus \"a\").Phase \"Failed\" }}"};
    size_t choice = pick(maker, 8);
    if (choice == 0) {
        buf_put(maker->out, str_from_cstr(constants[pick(maker, 5)]));
    } else if (choice < 4 && maker->depth < 5) {
        maker->depth++;
        buf_put(maker->out, STR("("));
        make_condition(maker);
        buf_put(maker->out, STR(")"));
        maker->depth--;
        if (choice == 1) {
            buf_put(maker->out, pick(maker, 2) ? STR(" == ") : STR("!="));
            buf_put(maker->out, str_from_cstr(constants[pick(maker, 5)]));
        }
    } else {
        make_comparison(maker);
    }
}

static void make_condition(struct maker *maker)
{
    size_t parts = 1 + pick(maker, 4);
    for (size_t i = 0; i < parts; i++) {
        if (i > 0)
            buf_put(maker->out, pick(maker, 2) ? STR(" && ") : STR("||"));
        if (pick(maker, 4) == 0)
            buf_put(maker->out, STR("!"));
        make_operand(maker);
    }
}

static void print_string(struct buf *out, struct str text)
{
    buf_put_char(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (strchr("\\'\"", text.ptr[i]))
            buf_put_char(out, '\\');
        buf_put_char(out, text.ptr[i]);
    }
    buf_put_char(out, '\'');
}

static const char *sign_of(enum when_kind kind)
{
    static const char *const signs[] = {
        [WHEN_OR] = "||", [WHEN_AND] = "&&", [WHEN_EQ] = "==", [WHEN_NE] = "!=",
        [WHEN_LT] = "<",  [WHEN_LE] = "<=",  [WHEN_GT] = ">",  [WHEN_GE] = ">=",
    };
    return signs[kind];
}

static void print_tree(struct buf *out, const struct when *node);

static void print_operand(struct buf *out, const struct when *node)
{
    switch (node->kind) {
    case WHEN_NUMBER:
        buf_put(out, node->text);
        return;
    case WHEN_STRING:
        print_string(out, node->text);
        return;
    case WHEN_REF:
        if (node->ref.kind == SCOPE_PARAMETER)
            buf_printf(out, "parameters.%" PRIstr, STR_ARG(node->ref.name));
        else if (node->ref.kind == SCOPE_PHASE)
            buf_printf(out, "steps.%" PRIstr ".phase", STR_ARG(node->ref.step_name));
        else
            buf_printf(out, "steps.%" PRIstr ".outputs.%" PRIstr, STR_ARG(node->ref.step_name),
                       STR_ARG(node->ref.name));
        return;
    default:
        print_tree(out, node);
    }
}

/* Every boolean in parentheses of its own, every pair of parts in two. */
static void print_tree(struct buf *out, const struct when *node)
{
    buf_put_char(out, '(');
    if (node->kind == WHEN_BOOLEAN) {
        buf_put(out, node->boolean ? STR("true") : STR("false"));
    } else if (node->kind == WHEN_NOT) {
        buf_put_char(out, '!');
        print_tree(out, node->first);
    } else {
        for (const struct when *part = node->first; part; part = part->next) {
            if (part != node->first)
                buf_put(out, str_from_cstr(sign_of(node->kind)));
            print_operand(out, part);
        }
    }
    buf_put_char(out, ')');
}

/* Values that change from round to round. */
struct assignment {
    const struct str *phases; /* by step */
    const struct str *texts;
    size_t text_count;
    uint64_t salt;
};

static struct str assigned_phase(const void *ctx, size_t step)
{
    const struct assignment *assignment = ctx;
    return scope_phases[(assignment->salt + step * 7) % scope_phase_count];
}

static struct str assigned_text(const struct assignment *assignment, size_t step, struct str name)
{
    uint64_t hash = assignment->salt + step * 31;
    for (size_t i = 0; i < name.len; i++)
        hash = hash * 131 + (unsigned char)name.ptr[i];
    return assignment->texts[hash % assignment->text_count];
}

static struct str assigned_output(const void *ctx, size_t step, struct str name)
{
    return assigned_text(ctx, step, name);
}

static struct str assigned_parameter(const void *ctx, struct str name)
{
    return assigned_text(ctx, 99, name);
}

static void assert_same_values(const struct when *a, const struct when *b, struct str text,
                               const struct random *random)
{
    static const struct str texts[] = {
        STR_INIT("10"),     STR_INIT("9"), STR_INIT("-2.5"), STR_INIT("prod"), STR_INIT("it's"),
        STR_INIT("Zürich"), STR_INIT(""),  {NULL, 0},        STR_INIT("10.0"), STR_INIT("10\n"),
    };
    for (int round = 0; round < 8; round++) {
        struct assignment assignment = {.texts = texts,
                                        .text_count = sizeof(texts) / sizeof(texts[0]),
                                        .salt = random_u64(random) >> 8};
        const struct scope_values assigned = {&assignment, assigned_phase, assigned_output,
                                              assigned_parameter};
        if (when_eval(a, &assigned) != when_eval(b, &assigned))
            fail_msg("%" PRIstr ": has another value when it is printed and read again",
                     STR_ARG(text));
    }
}

/* A random condition; absent when it came out too long. */
static struct str make_text(struct arena *arena, const struct random *random)
{
    struct buf text;
    buf_init(&text, arena_mem(arena), WHEN_TEXT_MAX);
    struct maker maker = {random, &text, 0};
    make_condition(&maker);
    return buf_failed(&text) ? (struct str){NULL, 0} : buf_str(&text);
}

static const struct when *parse_good(struct arena *arena, struct str text)
{
    struct err err;
    const struct when *when = when_parse(arena, text, &scope, &err);
    if (!when)
        fail_msg("%" PRIstr ": refused: %s", STR_ARG(text), err.message);
    return when;
}

static void a_condition_that_is_printed_with_all_parentheses_keeps_its_value(void **state)
{
    (void)state;
    struct random_seeded seeded;
    random_seeded_init(&seeded, TEST_SEED);
    struct arena arena;
    arena_start(&arena);
    int true_count = 0, read_count = 0;
    for (int round = 0; round < 3000; round++) {
        arena_reset(&arena);
        struct str text = make_text(&arena, &seeded.random);
        const struct when *when = str_is_set(text) ? parse_good(&arena, text) : NULL;
        if (!when)
            continue;
        struct buf printed;
        buf_init(&printed, arena_mem(&arena), WHEN_TEXT_MAX);
        print_tree(&printed, when);
        /* It takes more room with its parentheses. */
        if (buf_failed(&printed))
            continue;
        assert_same_values(when, parse_good(&arena, buf_str(&printed)), text, &seeded.random);
        read_count++;
        true_count += when_eval(when, &values);
    }
    /* The conditions are no trivial ones. */
    assert_true(read_count > 2500);
    assert_in_range(true_count, 500, 2500);
    arena_done(&arena);
}

/* ---- Want of memory ---- */

static bool parse_in(const struct mem *mem, void *ctx)
{
    struct arena arena;
    struct err err = {0};
    arena_init(&arena, mem, 64, 1 << 20);
    const struct when *when = when_parse(&arena, *(const struct str *)ctx, &scope, &err);
    assert_true(when != NULL || err.code == 507);
    if (when)
        assert_true(when_eval(when, &values));
    arena_done(&arena);
    return when != NULL;
}

static void without_memory_a_condition_is_not_read(void **state)
{
    (void)state;
    struct str texts[] = {
        STR(""),
        STR("!(steps.a.phase == 'Failed' || 'it\\'s' == \"it\") && always && 1 < 2"),
        STR("{{ eq (index .StepStatus \"a\").Phase \"Succeeded\" }}"),
        STR("{{parameters.env}} == 'prod' && {{ steps.a.outputs.n }} >= 10"),
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        test_every_allocation_failing(parse_in, &texts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_truth_table_holds),
        cmocka_unit_test(the_refusal_table_holds_with_columns),
        cmocka_unit_test(precedence_is_not_and_or),
        cmocka_unit_test(blanks_and_line_ends_do_not_matter),
        cmocka_unit_test(every_comparison_of_every_pair_of_types_is_right),
        cmocka_unit_test(outputs_and_parameters_are_ordered_as_numbers_but_equal_as_text),
        cmocka_unit_test(numbers_are_compared_exactly),
        cmocka_unit_test(a_number_may_fill_the_whole_condition),
        cmocka_unit_test(random_decimals_compare_as_integers_do),
        cmocka_unit_test(only_plain_decimals_read_as_numbers),
        cmocka_unit_test(strings_have_two_kinds_of_quotes_and_three_escapes),
        cmocka_unit_test(names_may_hold_dashes_and_dots_and_the_longest_step_is_meant),
        cmocka_unit_test(old_spellings_mean_the_same),
        cmocka_unit_test(wrong_names_are_refused_with_the_nearest_right_one),
        cmocka_unit_test(types_that_do_not_compare_are_refused),
        cmocka_unit_test(what_is_not_of_the_grammar_is_refused),
        cmocka_unit_test(numbers_have_no_exponent_and_digits_on_both_sides_of_the_point),
        cmocka_unit_test(wrong_strings_are_refused),
        cmocka_unit_test(other_templates_are_refused),
        cmocka_unit_test(columns_count_characters),
        cmocka_unit_test(names_in_messages_are_cut),
        cmocka_unit_test(a_condition_of_4096_bytes_is_read_and_a_longer_one_refused),
        cmocka_unit_test(parentheses_may_be_32_deep),
        cmocka_unit_test(a_condition_that_is_printed_with_all_parentheses_keeps_its_value),
        cmocka_unit_test(without_memory_a_condition_is_not_read),
    };
    return cmocka_run_group_tests_name("when", tests, NULL, NULL);
}
