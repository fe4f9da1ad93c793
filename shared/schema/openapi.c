/* From a table to the OpenAPI schema of a CRD. */
#include "schema/openapi.h"

static bool put(struct json *object, const char *key, struct json *value)
{
    return json_set(object, str_from_cstr(key), value);
}

static bool put_text(struct json *object, const char *key, const char *text, struct arena *arena)
{
    return put(object, key, json_new_str(arena, str_from_cstr(text)));
}

static bool put_limit(struct json *object, const char *key, int64_t limit, struct arena *arena)
{
    return limit == 0 || put(object, key, json_new_int(arena, limit));
}

static bool describe_string(const struct schema *schema, struct json *out, struct arena *arena)
{
    if (!put_text(out, "type", "string", arena))
        return false;
    if (schema->values) {
        struct json *values = json_new(arena, JSON_ARRAY);
        for (const char *const *v = schema->values; *v; v++) {
            if (!json_append(values, json_new_str(arena, str_from_cstr(*v))))
                return false;
        }
        return put(out, "enum", values);
    }
    const struct format *format = format_get(schema->format);
    size_t max = schema->max_len ? schema->max_len : format->max_len;
    return put_limit(out, "minLength", schema->min_len, arena) &&
           put_limit(out, "maxLength", (int64_t)max, arena) &&
           (!format->pattern || put_text(out, "pattern", format->pattern, arena));
}

static bool describe_integer(const struct schema *schema, struct json *out, struct arena *arena)
{
    bool limited = schema->min != 0 || schema->max != 0;
    bool small = limited && schema->max <= INT32_MAX;
    if (!put_text(out, "type", "integer", arena) ||
        !put_text(out, "format", small ? "int32" : "int64", arena))
        return false;
    if (!limited)
        return true;
    bool whole_range = schema->max == INT32_MAX || schema->max == INT64_MAX;
    return put(out, "minimum", json_new_int(arena, schema->min)) &&
           (whole_range || put(out, "maximum", json_new_int(arena, schema->max)));
}

/* Kubernetes' own way to say "a number or a string" in a structural schema. */
static bool describe_quantity(struct json *out, struct arena *arena)
{
    struct json *any_of = json_new(arena, JSON_ARRAY);
    struct json *integer = json_new(arena, JSON_OBJECT), *string = json_new(arena, JSON_OBJECT);
    return any_of && integer && string && put_text(integer, "type", "integer", arena) &&
           put_text(string, "type", "string", arena) && json_append(any_of, integer) &&
           json_append(any_of, string) && put(out, "anyOf", any_of) &&
           put_text(out, "pattern",
                    "^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))"
                    "(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?[0-9]+))?$",
                    arena) &&
           put(out, "x-kubernetes-int-or-string", json_new_bool(arena, true));
}

static bool describe_number(const struct schema *schema, struct json *out, struct arena *arena)
{
    bool limited = schema->min != 0 || schema->max != 0;
    return put_text(out, "type", "number", arena) &&
           (!limited || (put(out, "minimum", json_new_int(arena, schema->min)) &&
                         put(out, "maximum", json_new_int(arena, schema->max))));
}

static bool describe_object(const struct schema *schema, struct json *out, struct arena *arena)
{
    struct json *properties = json_new(arena, JSON_OBJECT);
    struct json *required = json_new(arena, JSON_ARRAY);
    if (!properties || !required || !put_text(out, "type", "object", arena))
        return false;
    for (const struct schema *f = schema->fields; f->name; f++) {
        if (!put(properties, f->name, schema_openapi(f, arena)))
            return false;
        bool needed = (f->flags & SCHEMA_REQUIRED) && !(f->flags & SCHEMA_METADATA);
        if (needed && !json_append(required, json_new_str(arena, str_from_cstr(f->name))))
            return false;
    }
    return put(out, "properties", properties) &&
           (required->len == 0 || put(out, "required", required));
}

static bool describe_list(const struct schema *schema, struct json *out, struct arena *arena)
{
    if (!put_text(out, "type", "array", arena) ||
        !put(out, "items", schema_openapi(schema->item, arena)) ||
        !put_limit(out, "minItems", schema->min_len, arena) ||
        !put_limit(out, "maxItems", schema->max_len ? schema->max_len : SCHEMA_MAX_ENTRIES, arena))
        return false;
    if (!schema->list_key) {
        const char *kind = schema->flags & SCHEMA_SET ? "set" : "atomic";
        return put_text(out, "x-kubernetes-list-type", kind, arena);
    }
    struct json *keys = json_new(arena, JSON_ARRAY);
    return keys && json_append(keys, json_new_str(arena, str_from_cstr(schema->list_key))) &&
           put_text(out, "x-kubernetes-list-type", "map", arena) &&
           put(out, "x-kubernetes-list-map-keys", keys);
}

static bool describe_map(const struct schema *schema, struct json *out, struct arena *arena)
{
    return put_text(out, "type", "object", arena) &&
           put(out, "additionalProperties", schema_openapi(schema->item, arena)) &&
           put_limit(out, "minProperties", schema->min_len, arena) &&
           put_limit(out, "maxProperties", schema->max_len ? schema->max_len : SCHEMA_MAX_ENTRIES,
                     arena);
}

static bool describe_type(const struct schema *schema, struct json *out, struct arena *arena)
{
    switch (schema->type) {
    case SCHEMA_STRING:
        return describe_string(schema, out, arena);
    case SCHEMA_INTEGER:
        return describe_integer(schema, out, arena);
    case SCHEMA_NUMBER:
        return describe_number(schema, out, arena);
    case SCHEMA_BOOLEAN:
        return put_text(out, "type", "boolean", arena);
    case SCHEMA_QUANTITY:
        return describe_quantity(out, arena);
    case SCHEMA_TIME:
        return put_text(out, "type", "string", arena) &&
               put_text(out, "format", "date-time", arena);
    case SCHEMA_OBJECT:
        if (schema->flags & SCHEMA_METADATA)
            return put_text(out, "type", "object", arena);
        if (!schema->fields)
            return put_text(out, "type", "object", arena) &&
                   put(out, "x-kubernetes-preserve-unknown-fields", json_new_bool(arena, true));
        return describe_object(schema, out, arena);
    case SCHEMA_MAP:
        return describe_map(schema, out, arena);
    case SCHEMA_LIST:
        return describe_list(schema, out, arena);
    case SCHEMA_ANY:
        break;
    }
    return put(out, "x-kubernetes-preserve-unknown-fields", json_new_bool(arena, true));
}

/* The apiserver itself keeps an immutable field, by a transition rule. */
static bool describe_immutable(struct json *out, struct arena *arena)
{
    struct json *rules = json_new(arena, JSON_ARRAY), *rule = json_new(arena, JSON_OBJECT);
    return rules && rule && put_text(rule, "rule", "self == oldSelf", arena) &&
           put_text(rule, "message",
                    "the field is immutable; delete the object and create it anew to change it",
                    arena) &&
           json_append(rules, rule) && put(out, "x-kubernetes-validations", rules);
}

struct json *schema_openapi(const struct schema *schema, struct arena *arena)
{
    struct json *out = json_new(arena, JSON_OBJECT);
    /* The apiserver describes ObjectMeta itself and refuses a second description. */
    bool is_meta = (schema->flags & SCHEMA_METADATA) && schema->type == SCHEMA_OBJECT;
    bool described = schema->text && !is_meta;
    if (!out || (described && !put_text(out, "description", schema->text, arena)) ||
        !describe_type(schema, out, arena))
        return NULL;
    if (schema->def && !(schema->flags & SCHEMA_LATE_DEFAULT)) {
        struct err err;
        struct json *def = json_read(arena, str_from_cstr(schema->def), &json_limits_default, &err);
        if (!put(out, "default", def))
            return NULL;
    }
    if ((schema->flags & SCHEMA_IMMUTABLE) && !describe_immutable(out, arena))
        return NULL;
    return out;
}
