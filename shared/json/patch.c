/* Making and writing JSON patches. */
#include "json/patch.h"

#include "json/finder.h"

/* Longer than any path whose parts are of reasonable size. */
enum { POINTER_MAX = 64 * 1024 };

enum patch_verb {
    PATCH_ADD,
    PATCH_REPLACE,
    PATCH_REMOVE,
    PATCH_TEST,
};

struct json_patch_op {
    struct json_patch_op *next;
    enum patch_verb verb;
    struct str at;            /* a JSON Pointer */
    const struct json *value; /* NULL for PATCH_REMOVE */
};

static void pointer_write_part(struct buf *buf, struct str part)
{
    for (size_t i = 0; i < part.len; i++) {
        if (part.ptr[i] == '~')
            buf_put(buf, STR("~0"));
        else if (part.ptr[i] == '/')
            buf_put(buf, STR("~1"));
        else
            buf_put_char(buf, part.ptr[i]);
    }
}

void json_pointer_write(struct buf *buf, const struct path *path)
{
    if (!path)
        return;
    json_pointer_write(buf, path->parent);
    buf_put_char(buf, '/');
    if (str_is_set(path->name))
        pointer_write_part(buf, path->name);
    else
        buf_put_int(buf, (int64_t)path->index);
}

void json_patch_init(struct json_patch *patch, struct arena *arena, size_t max)
{
    *patch = (struct json_patch){.arena = arena, .max = max};
    buf_init(&patch->pointer, arena_mem(arena), POINTER_MAX);
}

static void append(struct json_patch *patch, enum patch_verb verb, const struct path *at,
                   const struct json *value)
{
    if (patch->failed)
        return;
    buf_clear(&patch->pointer);
    json_pointer_write(&patch->pointer, at);
    struct json_patch_op *op =
        patch->count < patch->max ? ARENA_NEW(patch->arena, struct json_patch_op) : NULL;
    struct str pointer = arena_copy(patch->arena, buf_str(&patch->pointer));
    if (!op || !str_is_set(pointer) || buf_failed(&patch->pointer)) {
        patch->failed = true;
        return;
    }
    *op = (struct json_patch_op){.verb = verb, .at = pointer, .value = value};
    *(patch->last ? &patch->last->next : &patch->first) = op;
    patch->last = op;
    patch->count++;
}

/* A value that is NULL comes from an allocation that failed. */
static void append_value(struct json_patch *patch, enum patch_verb verb, const struct path *at,
                         const struct json *value)
{
    if (value)
        append(patch, verb, at, value);
    else
        patch->failed = true;
}

void json_patch_add(struct json_patch *patch, const struct path *at, const struct json *value)
{
    append_value(patch, PATCH_ADD, at, value);
}

void json_patch_replace(struct json_patch *patch, const struct path *at, const struct json *value)
{
    append_value(patch, PATCH_REPLACE, at, value);
}

void json_patch_remove(struct json_patch *patch, const struct path *at)
{
    append(patch, PATCH_REMOVE, at, NULL);
}

void json_patch_test(struct json_patch *patch, const struct path *at, const struct json *value)
{
    append_value(patch, PATCH_TEST, at, value);
}

/* ---- the difference of two values ---- */

static void diff_at(struct json_patch *patch, const struct path *at, const struct json *before,
                    const struct json *after);

/* Members that are gone or different; how many are in both. */
static size_t diff_members(struct json_patch *patch, const struct path *at,
                           const struct json *before, const struct json *after)
{
    size_t in_both = 0;
    struct json_finder finder;
    json_finder_init(&finder, after, arena_mem(patch->arena));
    JSON_EACH (old, before) {
        struct path member = path_field(at, json_key(old));
        const struct json *new = json_finder_find(&finder, json_key(old));
        in_both += new != NULL;
        if (new)
            diff_at(patch, &member, old, new);
        else
            json_patch_remove(patch, &member);
        if (patch->failed)
            break;
    }
    json_finder_done(&finder);
    return in_both;
}

static void diff_added(struct json_patch *patch, const struct path *at, const struct json *before,
                       const struct json *after)
{
    struct json_finder finder;
    json_finder_init(&finder, before, arena_mem(patch->arena));
    JSON_EACH (new, after) {
        struct path member = path_field(at, json_key(new));
        if (!json_finder_find(&finder, json_key(new)))
            json_patch_add(patch, &member, new);
    }
    json_finder_done(&finder);
}

static void diff_elements(struct json_patch *patch, const struct path *at,
                          const struct json *before, const struct json *after)
{
    const struct json *new = after->first;
    size_t index = 0;
    JSON_EACH (old, before) {
        struct path element = path_index(at, index++);
        diff_at(patch, &element, old, new);
        if (patch->failed)
            return;
        new = new->next;
    }
}

static void diff_at(struct json_patch *patch, const struct path *at, const struct json *before,
                    const struct json *after)
{
    if (json_is(before, JSON_OBJECT) && json_is(after, JSON_OBJECT)) {
        if (diff_members(patch, at, before, after) < after->len)
            diff_added(patch, at, before, after);
    } else if (json_is(before, JSON_ARRAY) && json_is(after, JSON_ARRAY) &&
               before->len == after->len) {
        diff_elements(patch, at, before, after);
    } else if (!json_equal(before, after)) {
        json_patch_replace(patch, at, after);
    }
}

void json_patch_diff(struct json_patch *patch, const struct json *before, const struct json *after)
{
    diff_at(patch, NULL, before, after);
}

/* ---- writing ---- */

void json_patch_write(struct buf *buf, const struct json_patch *patch)
{
    static const struct str verbs[] = {
        [PATCH_ADD] = STR_INIT("add"),
        [PATCH_REPLACE] = STR_INIT("replace"),
        [PATCH_REMOVE] = STR_INIT("remove"),
        [PATCH_TEST] = STR_INIT("test"),
    };
    if (patch->failed) {
        buf->failed = true;
        return;
    }
    buf_put_char(buf, '[');
    for (const struct json_patch_op *op = patch->first; op; op = op->next) {
        if (op != patch->first)
            buf_put_char(buf, ',');
        buf_put(buf, STR("{\"op\":"));
        json_write_str(buf, verbs[op->verb]);
        buf_put(buf, STR(",\"path\":"));
        json_write_str(buf, op->at);
        if (op->value) {
            buf_put(buf, STR(",\"value\":"));
            json_write(buf, op->value);
        }
        buf_put_char(buf, '}');
    }
    buf_put_char(buf, ']');
}
