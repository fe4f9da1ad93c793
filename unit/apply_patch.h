/*
 * Applies the JSON patch (RFC 6902) of an admission answer, as the apiserver would, without any of
 * the code that made it. In a header, so that fuzz targets need to link nothing more.
 *
 * Everything lives in the arena; NULL or false stands for a patch that is not right, or that does
 * not fit the document.
 */
#ifndef UNIT_APPLY_PATCH_H
#define UNIT_APPLY_PATCH_H

#include "json/json.h"

/* What base64 says, with padding; absent when it says nothing. */
static inline struct str apply_patch_base64(struct arena *arena, struct str text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    if (!out || text.len % 4 != 0)
        return (struct str){NULL, 0};
    for (size_t i = 0; i < text.len; i += 4) {
        uint32_t word = 0;
        int pads = 0;
        for (size_t j = i; j < i + 4; j++) {
            const char *digit = text.ptr[j] ? strchr(digits, text.ptr[j]) : NULL;
            bool pad = text.ptr[j] == '=' && j + 2 >= text.len;
            if (!(pad || (digit && pads == 0)))
                return (struct str){NULL, 0};
            pads += pad;
            word = word << 6 | (uint32_t)(pad ? 0 : digit - digits);
        }
        out[len] = (char)(word >> 16 & 255);
        out[len + 1] = (char)(word >> 8 & 255);
        out[len + 2] = (char)(word & 255);
        len += 3 - (size_t)pads;
    }
    return (struct str){out, len};
}

/* A token of a JSON pointer (RFC 6901) without its escapes. */
static inline struct str apply_patch_token(struct arena *arena, struct str token)
{
    char *out = arena_alloc(arena, token.len + 1);
    size_t len = 0;
    for (size_t i = 0; out && i < token.len; i++) {
        bool escape = token.ptr[i] == '~';
        if (escape && (++i == token.len || (token.ptr[i] != '0' && token.ptr[i] != '1')))
            return (struct str){NULL, 0};
        out[len++] = !escape ? token.ptr[i] : token.ptr[i] == '0' ? '~' : '/';
    }
    return (struct str){out, len};
}

/* An index from 0 to `max`. */
static inline bool apply_patch_index(struct str token, size_t max, size_t *ret)
{
    int64_t index;
    bool plain = token.len == 1 || (token.len > 1 && token.ptr[0] != '0');
    if (!plain || !str_to_int64(token, &index) || index < 0 || (size_t)index > max)
        return false;
    *ret = (size_t)index;
    return true;
}

/* Puts `value` before the element, in its place, or nothing there. */
static inline bool apply_patch_array(struct arena *arena, struct json *array, struct str verb,
                                     struct str token, struct json *value)
{
    bool add = str_eq(verb, STR("add")), remove = str_eq(verb, STR("remove"));
    size_t index = array->len, at = 0;
    if (str_eq(verb, STR("test")))
        return array->len > 0 && apply_patch_index(token, array->len - 1, &index) &&
               json_equal(json_at(array, index), value);
    if (!(add && str_eq(token, STR("-"))) &&
        (array->len + add == 0 || !apply_patch_index(token, array->len - 1 + add, &index)))
        return false;
    struct json *changed = json_new(arena, JSON_ARRAY), *next;
    if (!changed)
        return false;
    for (struct json *element = array->first; element; element = next) {
        next = element->next;
        if (at == index && !remove && !json_append(changed, value))
            return false;
        if ((at++ != index || add) && !json_append(changed, element))
            return false;
    }
    if (add && index == array->len && !json_append(changed, value))
        return false;
    array->first = changed->first;
    array->last = changed->last;
    array->len = changed->len;
    return true;
}

static inline bool apply_patch_object(struct json *object, struct str verb, struct str token,
                                      struct json *value)
{
    if (!str_eq(verb, STR("add")) && !json_get(object, token))
        return false;
    if (str_eq(verb, STR("test")))
        return json_equal(json_get(object, token), value);
    if (!str_eq(verb, STR("remove")))
        return json_set(object, token, value);
    json_remove(object, token);
    return true;
}

static inline bool apply_patch_operation(struct arena *arena, struct json *document,
                                         const struct json *operation)
{
    struct str verb = json_str(json_get(operation, STR("op")));
    struct str rest = json_str(json_get(operation, STR("path")));
    struct json *value = json_copy(arena, json_get(operation, STR("value")));
    bool remove = str_eq(verb, STR("remove"));
    if (!remove && !str_eq(verb, STR("add")) && !str_eq(verb, STR("replace")) &&
        !str_eq(verb, STR("test")))
        return false;
    if (remove == (value != NULL) || rest.len == 0 || rest.ptr[0] != '/')
        return false;
    rest = str_sub(rest, 1, rest.len);
    struct json *parent = document;
    for (;;) {
        struct str token;
        bool inner = str_cut(rest, '/', &token, &rest);
        token = apply_patch_token(arena, token);
        if (!str_is_set(token))
            return false;
        if (!inner && json_is(parent, JSON_ARRAY))
            return apply_patch_array(arena, parent, verb, token, value);
        if (!inner)
            return json_is(parent, JSON_OBJECT) && apply_patch_object(parent, verb, token, value);
        size_t index = 0;
        if (json_is(parent, JSON_ARRAY))
            parent = apply_patch_index(token, parent->len, &index) ? json_at(parent, index) : NULL;
        else
            parent = json_get(parent, token);
    }
}

/* A changed copy of `document`. `patch` is the decoded array of operations. */
static inline struct json *apply_patch(struct arena *arena, const struct json *document,
                                       const struct json *patch)
{
    struct json *changed = json_copy(arena, document);
    if (!changed || !json_is(patch, JSON_ARRAY))
        return NULL;
    JSON_EACH (operation, patch) {
        if (!apply_patch_operation(arena, changed, operation))
            return NULL;
    }
    return changed;
}

#endif
