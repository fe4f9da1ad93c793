/* Making the JSON of objects and patches. */
#include "controller/manifest.h"

static struct json *made(struct manifest *m, struct json *value)
{
    m->failed = m->failed || !value;
    return value;
}

struct json *manifest_object(struct manifest *m)
{
    return made(m, json_new(m->arena, JSON_OBJECT));
}

struct json *manifest_list(struct manifest *m)
{
    return made(m, json_new(m->arena, JSON_ARRAY));
}

struct json *manifest_copy(struct manifest *m, const struct json *value)
{
    return made(m, json_copy(m->arena, value));
}

struct str manifest_printf(struct manifest *m, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct str text = arena_vprintf(m->arena, fmt, args);
    va_end(args);
    m->failed = m->failed || !str_is_set(text);
    return text;
}

void manifest_put(struct manifest *m, struct json *object, const char *key, struct json *value)
{
    if (!object || !json_set(object, str_from_cstr(key), value))
        m->failed = true;
}

void manifest_put_str(struct manifest *m, struct json *object, const char *key, struct str text)
{
    if (str_is_set(text))
        manifest_put(m, object, key, json_new_str(m->arena, text));
}

void manifest_put_int(struct manifest *m, struct json *object, const char *key, int64_t number)
{
    manifest_put(m, object, key, json_new_int(m->arena, number));
}

void manifest_put_bool(struct manifest *m, struct json *object, const char *key, bool boolean)
{
    manifest_put(m, object, key, json_new_bool(m->arena, boolean));
}

void manifest_put_null(struct manifest *m, struct json *object, struct str key)
{
    if (!object || !json_set(object, key, json_new(m->arena, JSON_NULL)))
        m->failed = true;
}

struct json *manifest_put_object(struct manifest *m, struct json *object, const char *key)
{
    struct json *value = manifest_object(m);
    manifest_put(m, object, key, value);
    return value;
}

struct json *manifest_put_list(struct manifest *m, struct json *object, const char *key)
{
    struct json *value = manifest_list(m);
    manifest_put(m, object, key, value);
    return value;
}

void manifest_append(struct manifest *m, struct json *list, struct json *value)
{
    if (!list || !json_append(list, value))
        m->failed = true;
}

void manifest_merge(struct manifest *m, struct json *to, const struct json *from)
{
    JSON_EACH (value, from) {
        struct json *copy = manifest_copy(m, value);
        if (json_is(to, JSON_ARRAY))
            manifest_append(m, to, copy);
        else if (!to || (!json_get(to, json_key(value)) && !json_set(to, json_key(value), copy)))
            m->failed = true;
    }
}

struct str manifest_text(struct manifest *m, const struct json *value)
{
    struct buf buf;
    if (m->failed || !value)
        return (struct str){NULL, 0};
    buf_init(&buf, arena_mem(m->arena), MANIFEST_TEXT_MAX);
    json_write(&buf, value);
    m->failed = buf_failed(&buf);
    return m->failed ? (struct str){NULL, 0} : buf_str(&buf);
}
