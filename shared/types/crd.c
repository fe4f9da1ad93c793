/* The CustomResourceDefinition of a kind. */
#include "types/crd.h"

#include "schema/openapi.h"
#include "json/yaml.h"

static bool put(struct json *object, const char *key, struct json *value)
{
    return json_set(object, str_from_cstr(key), value);
}

static bool put_text(struct json *object, const char *key, const char *text, struct arena *arena)
{
    return put(object, key, json_new_str(arena, str_from_cstr(text)));
}

static struct json *names(const struct kind *kind, struct arena *arena)
{
    struct json *out = json_new(arena, JSON_OBJECT);
    struct json *shorts = json_new(arena, JSON_ARRAY), *categories = json_new(arena, JSON_ARRAY);
    struct str list = arena_printf(arena, "%sList", kind->kind);
    for (const char *const *s = kind->short_names; s && *s; s++) {
        if (!json_append(shorts, json_new_str(arena, str_from_cstr(*s))))
            return NULL;
    }
    bool good = out && shorts && categories && str_is_set(list) &&
                put_text(out, "kind", kind->kind, arena) &&
                put(out, "listKind", json_new_str(arena, list)) &&
                put_text(out, "plural", kind->plural, arena) &&
                put_text(out, "singular", kind->singular, arena) &&
                json_append(categories, json_new_str(arena, STR("callboard"))) &&
                put(out, "categories", categories) &&
                (shorts->len == 0 || put(out, "shortNames", shorts));
    return good ? out : NULL;
}

static struct json *columns(const struct kind *kind, struct arena *arena)
{
    struct json *out = json_new(arena, JSON_ARRAY);
    for (const struct printer_column *c = kind->columns; out && c->name; c++) {
        struct json *column = json_new(arena, JSON_OBJECT);
        bool good =
            column && put_text(column, "name", c->name, arena) &&
            put_text(column, "type", c->type, arena) &&
            put_text(column, "jsonPath", c->json_path, arena) &&
            put_text(column, "description", c->text, arena) &&
            (c->priority == 0 || put(column, "priority", json_new_int(arena, c->priority))) &&
            json_append(out, column);
        if (!good)
            return NULL;
    }
    return out;
}

/* Only where there is a status: without the subresource the whole object is the user's. */
static bool put_subresources(struct json *version, const struct kind *kind, struct arena *arena)
{
    bool has_status = false;
    for (const struct schema *row = kind->schema->fields; row->name; row++)
        has_status = has_status || (row->flags & SCHEMA_STATUS);
    if (!has_status)
        return true;
    struct json *subresources = json_new(arena, JSON_OBJECT);
    struct json *status = json_new(arena, JSON_OBJECT);
    return subresources && status && put(subresources, "status", status) &&
           put(version, "subresources", subresources);
}

static struct json *version(const struct kind *kind, struct arena *arena)
{
    struct json *out = json_new(arena, JSON_OBJECT), *schema = json_new(arena, JSON_OBJECT);
    struct json *open_api = schema_openapi(kind->schema, arena);
    bool good =
        out && schema && open_api && put_text(open_api, "description", kind->text, arena) &&
        put(schema, "openAPIV3Schema", open_api) && put_text(out, "name", kind->version, arena) &&
        put(out, "served", json_new_bool(arena, true)) &&
        put(out, "storage", json_new_bool(arena, true)) && put_subresources(out, kind, arena) &&
        put(out, "additionalPrinterColumns", columns(kind, arena)) && put(out, "schema", schema);
    return good ? out : NULL;
}

static struct json *definition(const struct kind *kind, struct arena *arena)
{
    struct json *out = json_new(arena, JSON_OBJECT), *metadata = json_new(arena, JSON_OBJECT);
    struct json *labels = json_new(arena, JSON_OBJECT), *spec = json_new(arena, JSON_OBJECT);
    struct json *versions = json_new(arena, JSON_ARRAY);
    struct str name = arena_printf(arena, "%s.%s", kind->plural, kind->group);
    bool good = out && metadata && labels && spec && versions && str_is_set(name) &&
                put_text(labels, "app.kubernetes.io/part-of", "callboard", arena) &&
                put(metadata, "name", json_new_str(arena, name)) &&
                put(metadata, "labels", labels) && put_text(spec, "group", kind->group, arena) &&
                put_text(spec, "scope", "Namespaced", arena) &&
                put(spec, "names", names(kind, arena)) &&
                json_append(versions, version(kind, arena)) && put(spec, "versions", versions) &&
                put_text(out, "apiVersion", "apiextensions.k8s.io/v1", arena) &&
                put_text(out, "kind", "CustomResourceDefinition", arena) &&
                put(out, "metadata", metadata) && put(out, "spec", spec);
    return good ? out : NULL;
}

void crd_write(struct buf *buf, const struct kind *kind, struct arena *arena)
{
    struct json *crd = definition(kind, arena);
    buf_put(buf, STR("# Generated from the kind's table by `make generate`; do not edit.\n"));
    if (crd)
        yaml_write(buf, crd);
    else
        buf->failed = true;
}
