/*
 * A path that is accepted finds one value that is in the document, or none, and finds the same when its
 * names are written in brackets; one that is refused says where and finds nothing. The input is the path,
 * a line end, and the document.
 */
#include "json/path.h"

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

static bool is_within(const struct json *root, const struct json *value)
{
    bool found = root == value;
    JSON_EACH (child, root)
        found = found || is_within(child, value);
    return found;
}

/* All parents of a value, written as a path of texts and indices. */
static bool write_way(struct buf *path, const struct json *root, const struct json *value)
{
    size_t index = 0;
    if (root == value)
        return true;
    JSON_EACH (child, root) {
        size_t len = path->len;
        char quote = str_find(json_key(child), '\'') < 0 ? '\'' : '"';
        if (root->type == JSON_ARRAY)
            buf_printf(path, "[%zu]", index++);
        else
            buf_printf(path, "[%c%.*s%c]", quote, STR_ARG(json_key(child)), quote);
        if (write_way(path, child, value))
            return true;
        path->len = len;
    }
    return false;
}

static bool has_both_quotes(struct str text)
{
    return str_find(text, '\'') >= 0 && str_find(text, '"') >= 0;
}

static void check_found(struct arena *arena, const struct json *root, const struct json *found,
                        struct str source)
{
    struct buf path;
    struct err err;
    check(is_within(root, found), "what is found is in the document");
    buf_init(&path, arena_mem(arena), 1 << 20);
    buf_put(&path, STR("$"));
    if (has_both_quotes(source) || !write_way(&path, root, found) || buf_failed(&path) ||
        json_path_check(buf_str(&path), &err) < 0)
        return; /* keys that cannot be written, or too many */
    check(json_path_find(root, buf_str(&path)) == found, "another path leads to it, too");
}

static void check_refused(struct str path, const struct json *root, const struct err *err)
{
    check(err->code == 422 && err->message[0] != '\0', "an error has a code and a message");
    check(json_path_find(root, path) == NULL, "what is no path finds nothing");
    unsigned long column = 0;
    if (sscanf(err->message, "column %lu:", &column) == 1)
        check(column >= 1 && column <= path.len + 1, "the column is in the path");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct err err = {0}, ignored;
    struct str path, text;
    if (!str_cut((struct str){(const char *)data, size}, '\n', &path, &text))
        return 0;
    arena_init(&arena, mem_system(), 4096, 64 << 20);
    const struct json *root = json_read(&arena, text, &json_limits_default, &ignored);
    if (root && json_path_check(path, &err) == 0) {
        const struct json *found = json_path_find(root, path);
        if (found)
            check_found(&arena, root, found, text);
    } else if (root) {
        check_refused(path, root, &err);
    }
    arena_done(&arena);
    return 0;
}
