/* Making and changing JSON trees. */
#include "unit/sim/tree.h"

enum { TEXT_MAX = 16 << 20 };

struct json *tree_read(struct arena *arena, struct str text)
{
    struct err err;
    struct str copy = arena_copy(arena, text);
    sim_require(copy.ptr != NULL);
    struct json *value = json_read(arena, copy, &json_limits_default, &err);
    if (!value)
        fprintf(stderr, "%s in: %" PRIstr "\n", err.message, STR_ARG(text));
    sim_require(value != NULL);
    return value;
}

struct json *tree_readf(struct arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct str text = arena_vprintf(arena, fmt, args);
    va_end(args);
    sim_require(text.ptr != NULL);
    return tree_read(arena, text);
}

struct str tree_write(struct arena *arena, const struct json *value)
{
    struct buf buf;
    buf_init(&buf, arena_mem(arena), TEXT_MAX);
    json_write(&buf, value);
    sim_require(!buf_failed(&buf));
    return buf_str(&buf);
}

void tree_set(struct json *object, struct str key, struct json *value)
{
    bool done = json_set(object, key, value);
    sim_require(done);
}

void tree_set_str(struct arena *arena, struct json *object, const char *key, struct str text)
{
    struct str copy = arena_copy(arena, text);
    sim_require(copy.ptr != NULL);
    tree_set(object, str_from_cstr(key), json_new_str(arena, copy));
}

void tree_set_int(struct arena *arena, struct json *object, const char *key, int64_t number)
{
    tree_set(object, str_from_cstr(key), json_new_int(arena, number));
}

void tree_set_bool(struct arena *arena, struct json *object, const char *key, bool boolean)
{
    tree_set(object, str_from_cstr(key), json_new_bool(arena, boolean));
}

struct json *tree_child(struct arena *arena, struct json *object, const char *key,
                        enum json_type type)
{
    struct json *child = json_get(object, str_from_cstr(key));
    if (!json_is(child, type)) {
        child = json_new(arena, type);
        tree_set(object, str_from_cstr(key), child);
    }
    return child;
}

void tree_copy_member(struct arena *arena, struct json *to, const struct json *from,
                      const char *key)
{
    const struct json *value = json_get(from, str_from_cstr(key));
    if (value)
        tree_set(to, str_from_cstr(key), json_copy(arena, value));
    else
        json_remove(to, str_from_cstr(key));
}

bool tree_has_text(const struct json *array, struct str text)
{
    JSON_EACH (element, array) {
        if (json_is(element, JSON_STRING) && str_eq(json_str(element), text))
            return true;
    }
    return false;
}

bool tree_remove_text(struct arena *arena, struct json *object, const char *key, struct str text)
{
    const struct json *array = json_get(object, str_from_cstr(key));
    if (!tree_has_text(array, text))
        return false;
    struct json *kept = json_new(arena, JSON_ARRAY);
    JSON_EACH (element, array) {
        if (!str_eq(json_str(element), text)) {
            bool done = json_append(kept, json_copy(arena, element));
            sim_require(done);
        }
    }
    if (json_first(kept))
        tree_set(object, str_from_cstr(key), kept);
    else
        json_remove(object, str_from_cstr(key));
    return true;
}

struct json *tree_merge(struct arena *arena, const struct json *target, const struct json *patch)
{
    if (!json_is(patch, JSON_OBJECT))
        return json_copy(arena, patch);
    struct json *merged =
        json_is(target, JSON_OBJECT) ? json_copy(arena, target) : json_new(arena, JSON_OBJECT);
    JSON_EACH (member, patch) {
        struct str key = json_key(member);
        if (json_is(member, JSON_NULL))
            json_remove(merged, key);
        else
            tree_set(merged, key, tree_merge(arena, json_get(merged, key), member));
    }
    return merged;
}
