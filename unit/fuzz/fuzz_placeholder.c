/*
 * Placeholders are found in order, each is replaced once by its value, and what is between them
 * stays. Names that begin with 'u' are unknown.
 */
#include "base/utf8.h"
#include "policy/placeholder.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RESULT_MAX = 64 * 1024 };

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "does not hold: %s\n", what);
    abort();
}

/* ---- The flow ---- */

static bool is_known(struct str name)
{
    check(name.len > 0, "a name has characters");
    for (size_t i = 0; i < name.len; i++)
        check(scope_is_name_char(name.ptr[i]), "a name has the characters of names");
    return name.ptr[0] != 'u';
}

static enum scope_use find_step(const void *ctx, struct str name, size_t *ret_step)
{
    (void)ctx;
    *ret_step = name.len;
    return is_known(name) ? SCOPE_USABLE : SCOPE_UNKNOWN;
}

static bool has_output(const void *ctx, size_t step, struct str name)
{
    (void)ctx;
    (void)step;
    return is_known(name);
}

static bool has_parameter(const void *ctx, struct str name)
{
    (void)ctx;
    return is_known(name);
}

static const struct scope scope = {NULL, find_step, has_output, has_parameter, NULL};

/* Values of all lengths, with dollars and placeholders of their own. */
static struct str parameter_of(const void *ctx, struct str name)
{
    (void)ctx;
    return str_sub(STR("$(A)$$x${parameters.x}{{parameters.y}}$"), 0, name.len * 3);
}

static struct str output_of(const void *ctx, size_t step, struct str name)
{
    (void)step;
    return parameter_of(ctx, name);
}

static struct str phase_of(const void *ctx, size_t step)
{
    (void)ctx;
    (void)step;
    check(false, "no phase is ever put into a text");
    return (struct str){NULL, 0};
}

static const struct scope_values values = {NULL, phase_of, output_of, parameter_of};

/* ---- Properties ---- */

/* A dollar that no other one belongs to would, for the kubelet, make a variable of what follows. */
static bool ends_with_open_dollar(const struct buf *buf)
{
    size_t dollars = 0;
    while (dollars < buf->len && buf->ptr[buf->len - 1 - dollars] == '$')
        dollars++;
    return dollars % 2 == 1;
}

/* The result as it must be, from the placeholders that the reader gives. False when there is an
 * error in the text. */
static bool assemble(struct str text, bool doubled, struct buf *out)
{
    struct placeholder_reader reader = {.text = text};
    struct placeholder found;
    struct err err = {0};
    size_t copied = 0, column = 0;
    bool good = true;
    int result;
    while ((result = placeholder_next(&reader, &found, &err)) != 0) {
        check(reader.at > copied, "the reader moves on");
        if (result < 0 || scope_check(&scope, &found.ref, &(struct str){NULL, 0}, &err) < 0) {
            check(err.code == 422, "an error has a code");
            check(utf8_is_valid(str_from_cstr(err.message)) || !utf8_is_valid(text),
                  "the message is UTF-8");
            good = false;
            continue;
        }
        check(found.at >= copied && found.len > 4 && found.at + found.len <= text.len,
              "placeholders are in order and in the text");
        size_t next = placeholder_column(&reader, found.at);
        check(next > column && next <= found.at + 1, "columns rise and count characters");
        column = next;
        buf_put(out, str_sub(text, copied, found.at - copied));
        if (doubled && ends_with_open_dollar(out))
            buf_put_char(out, '$');
        struct str value = scope_value(&values, &found.ref);
        for (size_t i = 0; i < value.len; i++) {
            buf_put_char(out, value.ptr[i]);
            if (doubled && value.ptr[i] == '$')
                buf_put_char(out, '$');
        }
        copied = found.at + found.len;
    }
    buf_put(out, str_sub(text, copied, text.len));
    return good;
}

static void check_field(struct arena *arena, struct str text, enum placeholder_field field)
{
    struct buf expected, out;
    struct err err = {0};
    buf_init(&expected, arena_mem(arena), 16 * 1024 * 1024);
    buf_init(&out, arena_mem(arena), RESULT_MAX);
    bool good = assemble(text, field == PLACEHOLDER_EXPANDED, &expected);
    check(good == (placeholder_check(text, &scope, &err) == 0), "the check finds the same errors");
    int result = placeholder_substitute(text, field, &scope, &values, &out, &err);
    check(out.len <= RESULT_MAX, "the result stays below its cap");
    check((result == 0) == (good && expected.len <= RESULT_MAX), "good texts have a result");
    if (result == 0)
        check(str_eq(buf_str(&out), buf_str(&expected)), "the result is the text with its values");
    else
        check(err.code == 422, "an error has a code");
}

struct walk {
    struct str text;
    size_t values, keys;
};

static bool visit(void *ctx, const struct path *path, struct json *value, struct str text,
                  bool is_key)
{
    struct walk *walk = ctx;
    check(path != NULL && value != NULL, "a visit has a place");
    check(str_eq(text, walk->text), "a visit has the text");
    walk->values += !is_key;
    walk->keys += is_key;
    return true;
}

static void check_walk(struct arena *arena, struct str text)
{
    struct json *object = json_new(arena, JSON_OBJECT), *list = json_new(arena, JSON_ARRAY);
    check(json_append(list, json_new_str(arena, text)) && json_set(object, text, list),
          "there is memory");
    struct walk walk = {.text = text};
    const struct placeholder_visitor visitor = {&walk, visit};
    check(placeholder_walk(object, NULL, &visitor), "a walk comes to its end");
    bool may_hold = text.len > 0 && (memmem(text.ptr, text.len, "{{", 2) != NULL ||
                                     memmem(text.ptr, text.len, "${", 2) != NULL);
    check(walk.values == may_hold && walk.keys == may_hold, "a walk finds what it must");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct str text = {size ? (const char *)data : "", size};
    arena_init(&arena, mem_system(), 4096, 256 * 1024 * 1024);
    check_field(&arena, text, PLACEHOLDER_PLAIN);
    check_field(&arena, text, PLACEHOLDER_EXPANDED);
    check_walk(&arena, text);
    arena_done(&arena);
    return 0;
}
