/* Whatever the YAML reader accepts is written, as YAML and as JSON, and read back as the same. */
#include "json/yaml.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct json_limits limits = {.max_depth = 32, .max_values = 5000};

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "does not hold: %s\n", what);
    abort();
}

/* The value written as YAML and read again. */
static struct json *there_and_back(struct arena *arena, const struct json *value)
{
    struct buf buf;
    struct err err = {0};
    struct yaml_reader reader;
    struct json *again = NULL, *more = NULL;
    buf_init(&buf, arena_mem(arena), 64 * 1024 * 1024);
    yaml_write(&buf, value);
    check(!buf_failed(&buf), "there is room to write");
    yaml_reader_init(&reader, buf_str(&buf), &limits);
    if (yaml_reader_next(&reader, arena, &again, &err) != 1) {
        fprintf(stderr, "%s\n%" PRIstr "\n", err.message, STR_ARG(buf_str(&buf)));
        check(false, "what was written is read");
    }
    check(yaml_reader_next(&reader, arena, &more, &err) == 0, "it is one document");
    yaml_reader_done(&reader);
    return again;
}

static void check_value(struct arena *arena, const struct json *value, bool json)
{
    struct err err;
    struct buf buf;
    struct json *again = there_and_back(arena, value);
    /* Numbers that were read as JSON may have digits that YAML's numbers have not. */
    check(json || json_equal(value, again), "YAML gives the same value");
    check(json_equal(again, there_and_back(arena, again)), "YAML gives the same value again");
    buf_init(&buf, arena_mem(arena), 64 * 1024 * 1024);
    json_write(&buf, value);
    again = json_read(arena, buf_str(&buf), &limits, &err);
    check(json_equal(value, again), "JSON gives the same value");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct err err = {0};
    struct yaml_reader reader;
    struct json *value = NULL;
    int rc;
    arena_init(&arena, mem_system(), 4096, 256 * 1024 * 1024);
    yaml_reader_init(&reader, (struct str){(const char *)data, size}, &limits);
    while ((rc = yaml_reader_next(&reader, &arena, &value, &err)) > 0) {
        check(value->line > 0, "a document has a line");
        check_value(&arena, value, reader.state == YAML_READS_JSON);
        arena_reset(&arena);
    }
    check(rc == 0 || ((err.code == 400 || err.code == 413) && err.message[0] != '\0'),
          "an error has a code and a message");
    yaml_reader_done(&reader);
    arena_done(&arena);
    return 0;
}
