/* Whatever the JSON reader accepts is written and read back as the same value. */
#include "json/json.h"
#include "json/patch.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct json_limits limits = {.max_depth = 32, .max_values = 10000};

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "does not hold: %s\n", what);
    abort();
}

static struct str print(struct arena *arena, const struct json *value, bool pretty)
{
    struct buf buf;
    buf_init(&buf, arena_mem(arena), 64 * 1024 * 1024);
    if (pretty)
        json_write_pretty(&buf, value, 2);
    else
        json_write(&buf, value);
    check(!buf_failed(&buf), "there is room to write");
    return buf_str(&buf);
}

static void check_value(struct arena *arena, const struct json *value)
{
    struct err err;
    struct str text = print(arena, value, false);
    struct json *again = json_read(arena, text, &limits, &err);
    check(again, "what was written is read");
    check(json_equal(value, again), "what was written is the same value");
    check(str_eq(print(arena, again, false), text), "it is written in the same way again");
    again = json_read(arena, print(arena, value, true), &limits, &err);
    check(json_equal(again, value), "pretty output is the same value");
    check(json_equal(json_copy(arena, value), value), "a copy is the same value");

    struct json_patch patch;
    json_patch_init(&patch, arena, 1);
    json_patch_diff(&patch, value, again);
    check(json_patch_is_empty(&patch), "equal values do not differ");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct err err = {0};
    arena_init(&arena, mem_system(), 4096, 256 * 1024 * 1024);
    struct json *value = json_read(&arena, (struct str){(const char *)data, size}, &limits, &err);
    if (value)
        check_value(&arena, value);
    else
        check((err.code == 400 || err.code == 413) && err.message[0] != '\0',
              "an error has a code and a message");
    arena_done(&arena);
    return 0;
}
