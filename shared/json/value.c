/* Looking into JSON values, comparing and making them. */
#include "json/finder.h"
#include "json/json.h"
#include "json/number.h"

#include <stdarg.h>

/* ---- looking ---- */

struct json *json_get(const struct json *object, struct str key)
{
    if (!json_is(object, JSON_OBJECT))
        return NULL;
    for (struct json *m = object->first; m; m = m->next) {
        if (str_eq(json_key(m), key))
            return m;
    }
    return NULL;
}

struct json *json_path(const struct json *value, ...)
{
    va_list args;
    va_start(args, value);
    struct json *at = NULL;
    const char *name = va_arg(args, const char *);
    for (; name; name = va_arg(args, const char *)) {
        at = json_get(value, str_from_cstr(name));
        value = at;
    }
    va_end(args);
    return at;
}

struct json *json_at(const struct json *array, size_t index)
{
    if (!json_is(array, JSON_ARRAY) || index >= array->len)
        return NULL;
    struct json *element = array->first;
    while (index-- > 0)
        element = element->next;
    return element;
}

static struct str number_text(const struct json *value)
{
    return (struct str){value->text, value->len};
}

bool json_int64(const struct json *value, int64_t *ret)
{
    struct number number;
    if (!json_is(value, JSON_NUMBER))
        return false;
    return str_to_int64(number_text(value), ret) ||
           (number_parse(number_text(value), &number) && number_to_int64(&number, ret));
}

bool json_double(const struct json *value, double *ret)
{
    return json_is(value, JSON_NUMBER) && number_to_double(number_text(value), ret);
}

bool json_bool(const struct json *value, bool otherwise)
{
    return json_is(value, JSON_BOOL) ? value->boolean : otherwise;
}

const char *json_type_name(enum json_type type)
{
    static const char *const names[] = {
        [JSON_NULL] = "null",     [JSON_BOOL] = "boolean", [JSON_NUMBER] = "number",
        [JSON_STRING] = "string", [JSON_ARRAY] = "array",  [JSON_OBJECT] = "object",
    };
    return names[type];
}

/* ---- comparing ---- */

static bool numbers_equal(struct str a, struct str b)
{
    if (str_eq(a, b))
        return true;
    struct number x, y;
    return number_parse(a, &x) && number_parse(b, &y) && number_equal(&x, &y);
}

static bool objects_equal(const struct json *a, const struct json *b)
{
    if (a->len != b->len)
        return false;
    struct json_finder finder;
    json_finder_init(&finder, b, mem_system());
    bool equal = true;
    for (const struct json *m = a->first; m && equal; m = m->next) {
        const struct json *other = json_finder_find(&finder, json_key(m));
        equal = other && json_equal(m, other);
    }
    json_finder_done(&finder);
    return equal;
}

static bool arrays_equal(const struct json *a, const struct json *b)
{
    if (a->len != b->len)
        return false;
    for (a = a->first, b = b->first; a; a = a->next, b = b->next) {
        if (!json_equal(a, b))
            return false;
    }
    return true;
}

bool json_equal(const struct json *a, const struct json *b)
{
    if (a == b)
        return true;
    if (!a || !b || a->type != b->type)
        return false;
    switch (a->type) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return a->boolean == b->boolean;
    case JSON_NUMBER:
        return numbers_equal(number_text(a), number_text(b));
    case JSON_STRING:
        return str_eq(json_str(a), json_str(b));
    case JSON_ARRAY:
        return arrays_equal(a, b);
    case JSON_OBJECT:
        return objects_equal(a, b);
    }
    return false;
}

/* ---- making ---- */

struct json *json_new(struct arena *arena, enum json_type type)
{
    struct json *value = ARENA_NEW(arena, struct json);
    if (!value)
        return NULL;
    value->type = type;
    if (type == JSON_STRING)
        value->text = "";
    return value;
}

struct json *json_new_str(struct arena *arena, struct str text)
{
    struct json *value = text.len <= UINT32_MAX ? json_new(arena, JSON_STRING) : NULL;
    if (value && text.len > 0) {
        value->text = text.ptr;
        value->len = (uint32_t)text.len;
    }
    return value;
}

struct json *json_new_int(struct arena *arena, int64_t number)
{
    struct str text = arena_printf(arena, "%lld", (long long)number);
    struct json *value = str_is_set(text) ? json_new(arena, JSON_NUMBER) : NULL;
    if (value) {
        value->text = text.ptr;
        value->len = (uint32_t)text.len;
    }
    return value;
}

struct json *json_new_bool(struct arena *arena, bool boolean)
{
    struct json *value = json_new(arena, JSON_BOOL);
    if (value)
        value->boolean = boolean;
    return value;
}

static void add_child(struct json *container, struct json *value)
{
    value->next = NULL;
    if (container->last)
        container->last->next = value;
    else
        container->first = value;
    container->last = value;
    container->len++;
}

/* Gives `copy`, a copy of its node, children of its own. */
static bool copy_children(struct arena *arena, struct json *copy)
{
    const struct json *child = json_first(copy);
    if (!child)
        return true;
    struct json *children = ARENA_NEW_ARRAY(arena, struct json, copy->len);
    if (!children)
        return false;
    copy->first = children;
    copy->last = children + copy->len - 1;
    for (; child; child = child->next, children++) {
        *children = *child;
        children->next = child->next ? children + 1 : NULL;
        if (!copy_children(arena, children))
            return false;
    }
    return true;
}

struct json *json_copy(struct arena *arena, const struct json *value)
{
    struct json *copy = value ? ARENA_NEW(arena, struct json) : NULL;
    if (!copy)
        return NULL;
    *copy = *value;
    copy->next = NULL;
    return copy_children(arena, copy) ? copy : NULL;
}

bool json_set(struct json *object, struct str key, struct json *value)
{
    if (!json_is(object, JSON_OBJECT) || !value || key.len > UINT32_MAX)
        return false;
    value->key = str_is_set(key) ? key.ptr : "";
    value->key_len = (uint32_t)key.len;
    struct json *before = NULL;
    for (struct json *m = object->first; m; before = m, m = m->next) {
        if (!str_eq(json_key(m), key))
            continue;
        value->next = m->next;
        *(before ? &before->next : &object->first) = value;
        if (object->last == m)
            object->last = value;
        return true;
    }
    add_child(object, value);
    return true;
}

void json_remove(struct json *object, struct str key)
{
    if (!json_is(object, JSON_OBJECT))
        return;
    struct json *before = NULL;
    for (struct json *m = object->first; m; before = m, m = m->next) {
        if (!str_eq(json_key(m), key))
            continue;
        *(before ? &before->next : &object->first) = m->next;
        if (object->last == m)
            object->last = before;
        object->len--;
        return;
    }
}

bool json_append(struct json *array, struct json *value)
{
    if (!json_is(array, JSON_ARRAY) || !value)
        return false;
    value->key = NULL;
    value->key_len = 0;
    add_child(array, value);
    return true;
}
