/* A kind's part of the API reference, in Markdown: one row per field, in the order of the table. */
#include "types/crd.h"

#include <stdio.h>

static const char *type_name(const struct schema *schema)
{
    switch (schema->type) {
    case SCHEMA_STRING:
        return "string";
    case SCHEMA_INTEGER:
        return "integer";
    case SCHEMA_NUMBER:
        return "number";
    case SCHEMA_BOOLEAN:
        return "boolean";
    case SCHEMA_QUANTITY:
        return "quantity";
    case SCHEMA_TIME:
        return "time";
    case SCHEMA_OBJECT:
        return "object";
    case SCHEMA_MAP:
        return "map";
    case SCHEMA_LIST:
        return "list";
    case SCHEMA_ANY:
        break;
    }
    return "anything";
}

static void write_type(struct buf *buf, const struct schema *schema)
{
    buf_put(buf, str_from_cstr(type_name(schema)));
    if (schema->type == SCHEMA_LIST || schema->type == SCHEMA_MAP) {
        buf_put(buf, STR(" of "));
        write_type(buf, schema->item);
    }
}

static void write_values(struct buf *buf, const struct schema *schema)
{
    buf_put(buf, STR(" One of"));
    for (const char *const *v = schema->values; *v; v++)
        buf_printf(buf, "%s `%s`", v == schema->values ? "" : ",", *v);
    buf_put_char(buf, '.');
}

static void write_range(struct buf *buf, const struct schema *schema)
{
    if (schema->min == 0 && schema->max == 0)
        return;
    if (schema->max == INT32_MAX || schema->max == INT64_MAX)
        buf_printf(buf, " %lld or more.", (long long)schema->min);
    else
        buf_printf(buf, " %lld to %lld.", (long long)schema->min, (long long)schema->max);
}

static void write_limits(struct buf *buf, const struct schema *schema)
{
    const struct format *format = format_get(schema->format);
    if (schema->values)
        write_values(buf, schema);
    else if (schema->type == SCHEMA_STRING && schema->format != FORMAT_NONE)
        buf_printf(buf, " Format: %s.", format->name);
    if (schema->type == SCHEMA_INTEGER || schema->type == SCHEMA_NUMBER)
        write_range(buf, schema);
    if (schema->type == SCHEMA_STRING && schema->max_len)
        buf_printf(buf, " At most %u bytes.", schema->max_len);
    if ((schema->type == SCHEMA_LIST || schema->type == SCHEMA_MAP) && schema->max_len)
        buf_printf(buf, " At most %u entr%s.", schema->max_len, schema->max_len == 1 ? "y" : "ies");
    if (schema->def)
        buf_printf(buf, " Default: `%s`.", schema->def);
    if (schema->flags & SCHEMA_IMMUTABLE)
        buf_put(buf, STR(" Immutable."));
}

/* The vertical bar would end the cell of the table. */
static void write_text(struct buf *buf, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            buf_put_char(buf, '\\');
        buf_put_char(buf, *text);
    }
}

static void write_fields(struct buf *buf, const struct schema *schema, const char *prefix)
{
    for (const struct schema *f = schema->fields; f->name; f++) {
        const struct schema *inner = f;
        bool is_list = f->type == SCHEMA_LIST, is_map = f->type == SCHEMA_MAP;
        char path[256];
        int n = snprintf(path, sizeof(path), "%s%s%s%s", prefix, *prefix ? "." : "", f->name,
                         is_list ? "[]" : "");
        if (n < 0 || (size_t)n >= sizeof(path)) {
            buf->failed = true;
            return;
        }
        buf_printf(buf, "| `%s` | ", path);
        write_type(buf, f);
        buf_printf(buf, " | %s | ", f->flags & SCHEMA_REQUIRED ? "yes" : "");
        write_text(buf, f->text);
        write_limits(buf, f);
        buf_put(buf, STR(" |\n"));
        if (is_list || is_map)
            inner = f->item;
        if (inner->type == SCHEMA_OBJECT && inner->fields)
            write_fields(buf, inner, path);
    }
}

static void write_part(struct buf *buf, const struct kind *kind, const char *name)
{
    const struct schema *part = schema_field(kind->schema, str_from_cstr(name));
    if (!part)
        return;
    buf_printf(buf, "\n### %s %s\n\n%s\n\n", kind->kind, name, part->text);
    buf_put(buf, STR("| Field | Type | Required | Meaning |\n|---|---|---|---|\n"));
    write_fields(buf, part, name);
}

static void write_columns(struct buf *buf, const struct kind *kind)
{
    buf_printf(buf, "\n### Columns of `kubectl get %s`\n\n", kind->plural);
    buf_put(buf, STR("| Column | Shown | Meaning |\n|---|---|---|\n"));
    for (const struct printer_column *c = kind->columns; c->name; c++)
        buf_printf(buf, "| %s | %s | %s |\n", c->name, c->priority ? "`-o wide`" : "always",
                   c->text);
}

void reference_write(struct buf *buf, const struct kind *kind)
{
    buf_printf(buf, "## %s\n\n`apiVersion: %s/%s`, `kind: %s`, namespaced", kind->kind, kind->group,
               kind->version, kind->kind);
    for (const char *const *s = kind->short_names; s && *s; s++)
        buf_printf(buf, "%s `%s`", s == kind->short_names ? ", short name" : ",", *s);
    buf_printf(buf, ".\n\n%s\n\nThe name has at most %zu bytes: %s.\n", kind->text,
               kind->max_name_len, format_get(kind->name_format)->rule);
    write_part(buf, kind, "spec");
    write_part(buf, kind, "status");
    write_columns(buf, kind);
}
