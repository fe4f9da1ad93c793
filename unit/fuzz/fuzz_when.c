/*
 * A condition that is accepted keeps its value in other dress, and one that is refused says where.
 * Names are known by their first letter, so that the fuzzer can invent some of every kind.
 */
#include "base/utf8.h"
#include "policy/when.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "does not hold: %s\n", what);
    abort();
}

/* ---- The flow ---- */

static char first_of(struct str name)
{
    return name.len > 0 ? name.ptr[0] : '\0';
}

static enum scope_use find_step(const void *ctx, struct str name, size_t *ret_step)
{
    (void)ctx;
    char first = first_of(name);
    *ret_step = name.len;
    return first == 'i'   ? SCOPE_ITSELF
           : first == 'l' ? SCOPE_NOT_BEFORE
           : first == 'u' ? SCOPE_UNKNOWN
                          : SCOPE_USABLE;
}

static bool has_output(const void *ctx, size_t step, struct str name)
{
    (void)ctx;
    return step > 0 && first_of(name) != 'u';
}

static bool has_parameter(const void *ctx, struct str name)
{
    (void)ctx;
    return first_of(name) != 'u';
}

static struct str nearest(const void *ctx, enum scope_kind kind, size_t step, struct str name)
{
    (void)ctx;
    (void)step;
    const struct str known[] = {STR("parameter"), STR("step"), STR("output")};
    return str_nearest(name, known, kind == SCOPE_PARAMETER ? 1 : 3);
}

static const struct scope scope = {NULL, find_step, has_output, has_parameter, nearest};

/* ---- Values: `ctx` is a number that makes others of them ---- */

static struct str text_of(const void *ctx, size_t number, struct str name)
{
    static const struct str texts[] = {
        STR_INIT(""),     STR_INIT("0"),   STR_INIT("-1.50"),  STR_INIT("10\n"),
        STR_INIT("prod"), STR_INIT("1e5"), STR_INIT("Zürich"), {NULL, 0},
    };
    number += *(const size_t *)ctx * 5;
    for (size_t i = 0; i < name.len; i++)
        number = number * 31 + (unsigned char)name.ptr[i];
    return texts[number % (sizeof(texts) / sizeof(texts[0]))];
}

static struct str phase_of(const void *ctx, size_t step)
{
    return scope_phases[(step + *(const size_t *)ctx) % scope_phase_count];
}

static struct str output_of(const void *ctx, size_t step, struct str name)
{
    return text_of(ctx, step, name);
}

static struct str parameter_of(const void *ctx, struct str name)
{
    return text_of(ctx, 0, name);
}

/* ---- Properties ---- */

enum { ROUNDS = 4 };

/* The values of a condition in all rounds, a bit each. */
static unsigned values_of(const struct when *when)
{
    unsigned bits = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        const struct scope_values values = {&round, phase_of, output_of, parameter_of};
        bits |= (unsigned)when_eval(when, &values) << round;
    }
    return bits;
}

/* With text around it. What is too deep or too long now is passed over. */
static void check_dress(struct arena *arena, struct str text, const char *before,
                        const char *behind, unsigned expected)
{
    struct err err;
    struct str dressed = arena_printf(arena, "%s%" PRIstr "%s", before, STR_ARG(text), behind);
    check(str_is_set(dressed), "there is memory");
    const struct when *when = when_parse(arena, dressed, &scope, &err);
    bool at_limit = !when && (strstr(err.message, "more than 32 parentheses") ||
                              strstr(err.message, "at most 4096"));
    if (at_limit)
        return;
    if (!when)
        fprintf(stderr, "%" PRIstr "\n%s\n", STR_ARG(dressed), err.message);
    check(when != NULL, "it is accepted in other dress");
    check(values_of(when) == expected, "it has its value in other dress");
}

static void check_accepted(struct arena *arena, struct str text, const struct when *when)
{
    const unsigned all = (1u << ROUNDS) - 1;
    unsigned bits = values_of(when);
    check(utf8_is_valid(text), "it is UTF-8");
    check_dress(arena, text, " \n", "\t", bits);
    if (str_trim(text).len == 0)
        return;
    /* As an operand, what is in braces as a whole would be read in another way. */
    if (str_find(text, '}') < 0)
        check_dress(arena, text, "{{", "}}", bits);
    else if (str_starts_with(str_trim(text), STR("{{")))
        return;
    check_dress(arena, text, "(", ")", bits);
    check_dress(arena, text, "!(", ")", bits ^ all);
    check_dress(arena, text, "never || ", "", bits);
    check_dress(arena, text, "", " || 1 > 2", bits);
    check_dress(arena, text, "always && (", ") && 'b' >= 'a'", bits);
    check_dress(arena, text, "false == (", ")", bits ^ all);
}

static void check_refused(struct str text, const struct err *err)
{
    check(err->code == 422 && err->message[0] != '\0', "an error has a code and a message");
    check(utf8_is_valid(str_from_cstr(err->message)), "the message is UTF-8");
    if (text.len > WHEN_TEXT_MAX)
        return;
    const char *prefix = "column ";
    check(str_starts_with(str_from_cstr(err->message), str_from_cstr(prefix)),
          "an error names the column");
    unsigned long column = strtoul(err->message + strlen(prefix), NULL, 10);
    check(column >= 1 && column <= utf8_count(text) + 1, "the column is in the text");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct err err = {0};
    struct str text = {(const char *)data, size};
    /* The reader of JSON lets none through. */
    if (str_find(text, '\0') >= 0)
        return 0;
    arena_init(&arena, mem_system(), 4096, 64 * 1024 * 1024);
    const struct when *when = when_parse(&arena, text, &scope, &err);
    if (when)
        check_accepted(&arena, text, when);
    else
        check_refused(text, &err);
    arena_done(&arena);
    return 0;
}
