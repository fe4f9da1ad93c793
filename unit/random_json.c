/* Awkward random values. */
#include "unit/random_json.h"

#include "unit/support.h"
#include "json/number.h"

#include <math.h>

static const char *const texts[] = {
    "",
    "a",
    "name",
    "a b",
    " a",
    "a ",
    "yes",
    "No",
    "on",
    "y",
    "true",
    "null",
    "~",
    "1",
    "-1",
    "0x1F",
    "010",
    "0b1",
    "0o17",
    "1_0",
    "1.5",
    ".5",
    "1e3",
    "1e400",
    "+1",
    ".inf",
    "-.INF",
    ".nan",
    "+",
    "-",
    "- a",
    "-a",
    "?",
    "? a",
    ":",
    ": a",
    "a:",
    "a: b",
    "a:b",
    "a #b",
    "a#b",
    "#a",
    "<<",
    "=",
    "*a",
    "&a",
    "!a",
    "%a",
    "@a",
    "`a",
    "|",
    ">",
    "{}",
    "[]",
    "{a",
    "a,b",
    ",a",
    "'",
    "it's",
    "\"",
    "\\",
    "\\n",
    "---",
    "--- a",
    "...",
    "a\nb",
    "a\n",
    "a\n\n",
    "\na",
    "\n",
    " a\nb",
    "a\n b\n",
    "a\n\nb",
    "a \nb",
    "a\n  ",
    "a\n\n ",
    "a\tb",
    "\ta",
    "a\n\tb",
    "a\r\nb",
    "\r",
    "\b\f",
    "\x01",
    "\x1f",
    "\x7f",
    "é",
    "…",
    "😀",
    "\xc2\x85",
    "\u2028",
    "\u2029",
    "\ufeff",
    "\ufffd",
    "\ufffe",
    "\U0010ffff",
    "\xc2\xa0",
    "2024-01-02",
    "12:30",
    "1:20.5",
    "10.0.0.1:5000/a",
    "2024-01-02T03:04:05Z",
    "2024-a",
    "a/b",
    "a~b",
    "~1",
    "~0/",
};

static struct str random_text(struct arena *arena, const struct random *random)
{
    const size_t count = sizeof(texts) / sizeof(texts[0]);
    struct str text = str_from_cstr(texts[random_below(random, count)]);
    uint64_t kind = random_below(random, 8);
    if (kind == 0) /* two together */
        return arena_printf(arena, "%s%s", text.ptr, texts[random_below(random, count)]);
    if (kind == 1) { /* long */
        struct buf buf;
        buf_init(&buf, arena_mem(arena), 64 * 1024);
        for (uint64_t i = random_below(random, 400); i > 0; i--)
            buf_put(&buf, text.len > 0 ? text : STR("x"));
        return arena_copy(arena, buf_str(&buf));
    }
    return text;
}

static struct json *new_number(struct arena *arena, struct str text)
{
    struct json *value = json_new(arena, JSON_NUMBER);
    assert_non_null(value);
    struct str copy = arena_copy(arena, text);
    assert_non_null(copy.ptr);
    value->text = copy.ptr;
    value->len = (uint32_t)copy.len;
    return value;
}

static struct json *random_number(struct arena *arena, const struct random *random)
{
    static const char *const edges[] = {
        "0",
        "-1",
        "9007199254740993",
        "9223372036854775807",
        "-9223372036854775808",
        "1e+21",
        "1e-7",
        "0.000001",
        "18446744073709551615",
        "1.7976931348623157e+308",
        "5e-324",
        "-0.1",
        "100000000000000000000",
    };
    char text[NUMBER_PRINT_MAX];
    switch (random_below(random, 3)) {
    case 0:
        return new_number(
            arena, str_from_cstr(edges[random_below(random, sizeof(edges) / sizeof(edges[0]))]));
    case 1:
        return json_new_int(arena, (int64_t)random_u64(random) >> random_below(random, 64));
    default:
        break;
    }
    uint64_t bits = random_u64(random);
    double number;
    memcpy(&number, &bits, sizeof(number));
    if (!isfinite(number) || number == 0)
        number = 1.5;
    return new_number(arena, (struct str){text, number_print(number, text)});
}

static struct json *random_scalar(struct arena *arena, const struct random *random)
{
    switch (random_below(random, 5)) {
    case 0:
        return json_new(arena, JSON_NULL);
    case 1:
        return json_new_bool(arena, random_below(random, 2));
    case 2:
        return random_number(arena, random);
    default:
        return json_new_str(arena, random_text(arena, random));
    }
}

struct json *random_json(struct arena *arena, const struct random *random, size_t depth)
{
    uint64_t kind = depth > 0 ? random_below(random, 3) : 0;
    if (kind == 0)
        return random_scalar(arena, random);
    struct json *value = json_new(arena, kind == 1 ? JSON_ARRAY : JSON_OBJECT);
    /* Sometimes more members than are compared one by one. */
    uint64_t count = random_below(random, random_below(random, 20) == 0 ? 60 : 6);
    for (uint64_t i = 0; i < count; i++) {
        struct json *child = random_json(arena, random, depth - 1);
        if (kind == 1)
            assert_true(json_append(value, child));
        else
            assert_true(json_set(value, random_text(arena, random), child));
    }
    assert_non_null(value);
    return value;
}

static struct json *change_object(struct arena *arena, const struct random *random,
                                  const struct json *value)
{
    struct json *copy = json_new(arena, JSON_OBJECT);
    JSON_EACH (member, value) {
        if (random_below(random, 8) > 0)
            assert_true(
                json_set(copy, json_key(member), random_json_change(arena, random, member)));
    }
    if (random_below(random, 4) == 0)
        assert_true(json_set(copy, random_text(arena, random), random_json(arena, random, 1)));
    if (json_first(copy) && random_below(random, 4) == 0) {
        struct json *moved = json_copy(arena, copy->first);
        json_remove(copy, json_key(moved));
        assert_true(json_set(copy, json_key(moved), moved));
    }
    return copy;
}

static struct json *change_array(struct arena *arena, const struct random *random,
                                 const struct json *value)
{
    struct json *copy = json_new(arena, JSON_ARRAY);
    bool shorter = random_below(random, 8) == 0;
    JSON_EACH (element, value) {
        if (!shorter || element->next)
            assert_true(json_append(copy, random_json_change(arena, random, element)));
    }
    return copy;
}

struct json *random_json_change(struct arena *arena, const struct random *random,
                                const struct json *value)
{
    if (random_below(random, 10) == 0)
        return random_json(arena, random, 2);
    if (json_is(value, JSON_OBJECT))
        return change_object(arena, random, value);
    if (json_is(value, JSON_ARRAY))
        return change_array(arena, random, value);
    return json_copy(arena, value);
}
