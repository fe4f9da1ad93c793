/*
 * What the schema engine says of strings and objects hangs together. The first byte chooses:
 *
 *   q TEXT     a quantity is accepted when the CRD's pattern accepts it, and is equal to itself
 *   i TEXT     the parts of an image reference make up the reference
 *   0 … 9 TEXT a format's check and its pattern agree
 *   j JSON     an object survives validation, defaults and decoding with the table of a Performer
 */
#include "schema/openapi.h"
#include "schema/quantity.h"
#include "types/performer.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 512, ARENA_MAX = 256 * 1024 * 1024 };

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "does not hold: %s\n", what);
    abort();
}

/* ---- Strings ---- */

/* False also for what the regular expressions of C cannot look at. */
static bool matches(const char *pattern, struct str text)
{
    regex_t regex;
    char copy[TEXT_MAX + 1] = {0};
    memcpy(copy, text.ptr, text.len);
    check(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) == 0, "a pattern is one");
    bool found = strlen(copy) == text.len && regexec(&regex, copy, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

static void check_quantity(struct arena *arena, struct str text)
{
    static const struct schema row = {.type = SCHEMA_QUANTITY};
    struct str pattern = json_str(json_get(schema_openapi(&row, arena), STR("pattern")));
    bool matched = matches(arena_copy(arena, pattern).ptr, text);
    struct quantity q, other;
    bool accepted = quantity_parse(text, &q);
    check(!accepted || matched, "the pattern accepts every quantity");
    size_t exponent = 0; /* digits at the end */
    while (exponent < text.len && text.ptr[text.len - 1 - exponent] >= '0' &&
           text.ptr[text.len - 1 - exponent] <= '9')
        exponent++;
    check(accepted || !matched || exponent > 18, "all that the pattern accepts is a quantity");
    if (!accepted)
        return;
    check(quantity_cmp(q, q) == 0, "a quantity is equal to itself");
    other.nano = q.nano + 1;
    check(quantity_cmp(q, other) < 0 && quantity_cmp(other, q) > 0, "quantities are ordered");
    int64_t whole;
    if (!quantity_to_int64(q, &whole))
        return;
    char digits[32];
    snprintf(digits, sizeof(digits), "%lld", (long long)whole);
    check(quantity_parse(str_from_cstr(digits), &other) && quantity_cmp(q, other) == 0,
          "a whole number is the quantity");
}

static void check_image(struct str text)
{
    struct image_ref ref;
    if (!image_ref_parse(text, &ref))
        return;
    char whole[4 * TEXT_MAX];
    int len = snprintf(whole, sizeof(whole), "%" PRIstr "%s%" PRIstr "%s%" PRIstr "%s%" PRIstr,
                       STR_ARG(ref.domain), ref.domain.ptr ? "/" : "", STR_ARG(ref.path),
                       ref.tag.ptr ? ":" : "", STR_ARG(ref.tag), ref.digest.ptr ? "@" : "",
                       STR_ARG(ref.digest));
    check(ref.path.len > 0, "an image has a path");
    check(str_eq((struct str){whole, (size_t)len}, text), "the parts make up the reference");
}

static void check_format(enum schema_format f, struct str text)
{
    const struct format *format = format_get(f);
    bool valid = format_is_valid(f, text);
    if (!format->pattern)
        return;
    bool matched = matches(format->pattern, text) && text.len <= format->max_len;
    /* A pattern cannot say how long the prefix of a label key may be. */
    if (f == FORMAT_LABEL_KEY && str_find(text, '/') > 253)
        matched = valid;
    check(valid == matched, "pattern and check agree");
}

/* ---- Objects ---- */

static size_t count_errors(struct arena *arena, const struct json *value,
                           enum schema_option unknown)
{
    struct err_list errors;
    err_list_init(&errors, arena, ERR_LIST_MAX);
    bool good = schema_validate(performer_kind.schema, value, unknown, NULL, &errors);
    check(good == err_list_is_empty(&errors), "the result tells whether there are errors");
    check(!errors.out_of_memory, "there is memory for the errors");
    for (const struct err_item *e = errors.first; e; e = e->next)
        check(e->message.len > 0 && e->message.len < 2048, "an error has a message");
    return errors.count + errors.dropped;
}

static void check_object(struct arena *arena, struct str text)
{
    struct err err;
    struct json *value = json_read(arena, text, &json_limits_default, &err);
    if (!value)
        return;
    struct json *before = json_copy(arena, value);
    size_t errors = count_errors(arena, value, SCHEMA_UNKNOWN_IGNORED);
    check(errors <= count_errors(arena, value, SCHEMA_UNKNOWN_REFUSED),
          "unknown fields add errors");
    check(json_equal(before, value), "validation changes nothing");
    check(schema_default(performer_kind.schema, value, arena), "there is memory for defaults");
    check(count_errors(arena, value, SCHEMA_UNKNOWN_IGNORED) <= errors, "defaults are right");
    struct json *defaulted = json_copy(arena, value);
    check(schema_default(performer_kind.schema, value, arena), "there is memory for defaults");
    check(json_equal(defaulted, value), "defaults are added once");
    struct performer performer = {0};
    check(schema_decode(performer_kind.schema, value, &performer, arena), "there is memory");
    struct err_list changes;
    err_list_init(&changes, arena, ERR_LIST_MAX);
    schema_check_immutable(performer_kind.schema, value, defaulted, NULL, &changes);
    check(err_list_is_empty(&changes), "an equal object has no changes");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena arena;
    arena_init(&arena, mem_system(), 16 * 1024, ARENA_MAX);
    struct str text = {(const char *)data + 1, size - 1};
    bool is_short = text.len <= TEXT_MAX;
    if (data[0] == 'j')
        check_object(&arena, text);
    else if (is_short && data[0] == 'q')
        check_quantity(&arena, text);
    else if (is_short && data[0] == 'i')
        check_image(text);
    else if (is_short && data[0] >= '0' && data[0] <= '9')
        check_format((enum schema_format)((data[0] - '0') % FORMAT_COUNT), text);
    arena_done(&arena);
    return 0;
}
