/* The schema engine: validation, defaults, immutability and decoding, driven by tables. */
#include "schema/schema.h"

#include "base/clock.h"
#include "base/str_set.h"
#include "base/utf8.h"
#include "schema/quantity.h"

#include <stdio.h>

enum { MAX_SUGGESTIONS = 64, SHOWN_VALUE_MAX = 80 };

const struct schema *schema_field(const struct schema *object, struct str name)
{
    for (const struct schema *f = object->fields; f && f->name; f++) {
        if (str_eq_cstr(name, f->name))
            return f;
    }
    return NULL;
}

/* Most members have another name than the one that is asked for, and begin with another letter. */
static inline bool is_named(const struct json *m, const char *name)
{
    return m->key_len > 0 && *m->key == *name && strncmp(name, m->key, m->key_len) == 0 &&
           name[m->key_len] == '\0';
}

/* A member that counts: null is the same as absent. */
static struct json *member(const struct json *object, const char *name)
{
    struct json *m = json_first(object);
    while (m && !is_named(m, name))
        m = m->next;
    return json_is(m, JSON_NULL) ? NULL : m;
}

/* The members of an object while the rows of its table are gone through. A table has many rows and an
 * object few members: most rows are ruled out by the first letter of their name, or because all members
 * have been met. */
struct members {
    const struct json *object;
    uint64_t initials; /* a bit for each letter that a name begins with */
    uint32_t left;     /* not met yet */
};

static struct members members_of(const struct json *object)
{
    struct members members = {.object = object};
    JSON_EACH (m, object) {
        members.left++;
        if (m->key_len > 0)
            members.initials |= UINT64_C(1) << (*m->key & 63);
    }
    return members;
}

static inline struct json *row_member(struct members *members, const char *name)
{
    if (members->left == 0 || !(members->initials >> (*name & 63) & 1))
        return NULL;
    struct json *found = member(members->object, name);
    members->left -= found != NULL;
    return found;
}

/* ---- Messages ---- */

/* The value as it stands in a message: quoted, cut, without control characters; never a secret. */
static const char *shown(const struct schema *schema, const struct json *value, char *to,
                         size_t size)
{
    if (schema->flags & SCHEMA_SECRET)
        return "(hidden)";
    struct str s = {value->text, value->len};
    bool string = value->type == JSON_STRING;
    bool cut = s.len > SHOWN_VALUE_MAX;
    s = utf8_cut(s, SHOWN_VALUE_MAX);
    size_t n = 0;
    if (string)
        to[n++] = '"';
    for (size_t i = 0; i < s.len && n + 8 < size; i++)
        to[n++] = (unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f ? '?' : s.ptr[i];
    if (cut) {
        memcpy(to + n, "…", sizeof("…") - 1);
        n += sizeof("…") - 1;
    }
    if (string)
        to[n++] = '"';
    to[n] = '\0';
    return to;
}

static const char *expected_type(enum schema_type type)
{
    switch (type) {
    case SCHEMA_STRING:
        return "a string";
    case SCHEMA_INTEGER:
        return "a whole number";
    case SCHEMA_NUMBER:
        return "a number";
    case SCHEMA_BOOLEAN:
        return "true or false";
    case SCHEMA_QUANTITY:
        return "a quantity such as 2 or 500Mi";
    case SCHEMA_TIME:
        return "a time such as 2026-01-31T12:00:00Z";
    case SCHEMA_LIST:
        return "a list";
    case SCHEMA_OBJECT:
    case SCHEMA_MAP:
    case SCHEMA_ANY:
        break;
    }
    return "an object";
}

static const char *found_type(enum json_type type)
{
    static const char *const names[] = {
        [JSON_NULL] = "null",       [JSON_BOOL] = "a boolean", [JSON_NUMBER] = "a number",
        [JSON_STRING] = "a string", [JSON_ARRAY] = "a list",   [JSON_OBJECT] = "an object",
    };
    return names[type];
}

/* ---- Validation ---- */

struct walk {
    unsigned options; /* of enum schema_option */
    struct err_list *errors;
};

static bool validate(const struct walk *walk, const struct schema *schema, const struct json *value,
                     const struct path *path);

static bool type_fits(enum schema_type type, const struct json *value)
{
    switch (type) {
    case SCHEMA_STRING:
    case SCHEMA_TIME:
        return value->type == JSON_STRING;
    case SCHEMA_INTEGER:
    case SCHEMA_NUMBER:
        return value->type == JSON_NUMBER;
    case SCHEMA_BOOLEAN:
        return value->type == JSON_BOOL;
    case SCHEMA_QUANTITY:
        return value->type == JSON_NUMBER || value->type == JSON_STRING;
    case SCHEMA_OBJECT:
    case SCHEMA_MAP:
        return value->type == JSON_OBJECT;
    case SCHEMA_LIST:
        return value->type == JSON_ARRAY;
    case SCHEMA_ANY:
        break;
    }
    return true;
}

/* "Invalid value: VALUE: …"; false. Not part of its callers, which else would make room for the text for
 * each value that is right. */
static bool refuse(const struct walk *walk, const struct schema *schema, const struct json *value,
                   const struct path *path, enum err_reason reason, const char *fmt, ...)
    __attribute__((format(printf, 6, 7), cold, noinline));

static bool refuse(const struct walk *walk, const struct schema *schema, const struct json *value,
                   const struct path *path, enum err_reason reason, const char *fmt, ...)
{
    char buffer[2 * SHOWN_VALUE_MAX], rule[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(rule, sizeof(rule), fmt, args);
    va_end(args);
    err_list_add(walk->errors, path, value->line, reason, "Invalid value: %s: %s",
                 shown(schema, value, buffer, sizeof(buffer)), rule);
    return false;
}

__attribute__((cold, noinline)) static void report_unsupported(const struct walk *walk,
                                                               const struct schema *schema,
                                                               const struct json *value,
                                                               const struct path *path)
{
    char list[512], buffer[2 * SHOWN_VALUE_MAX];
    struct str names[MAX_SUGGESTIONS];
    size_t count = 0, n = 0;
    for (const char *const *v = schema->values; *v && count < MAX_SUGGESTIONS; v++) {
        names[count++] = str_from_cstr(*v);
        int added = snprintf(list + n, sizeof(list) - n, "%s\"%s\"", n ? ", " : "", *v);
        if (added > 0 && (size_t)added < sizeof(list) - n)
            n += (size_t)added;
    }
    list[n] = '\0';
    struct str near = str_nearest(json_str(value), names, count);
    err_list_add(walk->errors, path, value->line, ERR_NOT_SUPPORTED,
                 "Unsupported value: %s: supported values: %s%s%" PRIstr "%s",
                 shown(schema, value, buffer, sizeof(buffer)), list,
                 near.ptr ? "; did you mean \"" : "", STR_ARG(near), near.ptr ? "\"?" : "");
}

bool schema_has_placeholder(struct str text)
{
    return text.len > 0 &&
           (memmem(text.ptr, text.len, "{{", 2) || memmem(text.ptr, text.len, "${", 2));
}

static bool has_placeholder(const struct walk *walk, struct str s)
{
    return (walk->options & SCHEMA_PLACEHOLDERS) && schema_has_placeholder(s);
}

static bool validate_string(const struct walk *walk, const struct schema *schema,
                            const struct json *value, const struct path *path)
{
    struct str s = json_str(value);
    const struct format *format = format_get(schema->format);
    size_t max = schema->max_len ? schema->max_len : format->max_len;
    if (max == 0)
        max = SCHEMA_MAX_STRING;
    for (const char *const *v = schema->values; v && *v; v++) {
        if (str_eq_cstr(s, *v))
            return true;
    }
    if (schema->values && !has_placeholder(walk, s)) {
        report_unsupported(walk, schema, value, path);
        return false;
    }
    if (s.len < schema->min_len) {
        err_list_add(walk->errors, path, value->line, ERR_REQUIRED,
                     "Required value: it must not be empty: %s", schema->text ? schema->text : "");
        return false;
    }
    if (s.len > max && !has_placeholder(walk, s)) {
        err_list_add(walk->errors, path, value->line, ERR_TOO_LONG,
                     "Too long: it has %zu bytes and may have at most %zu", s.len, max);
        return false;
    }
    return format->check(s) || has_placeholder(walk, s) ||
           refuse(walk, schema, value, path, ERR_INVALID, "%s", format->rule);
}

/* Kubernetes names a field for the unit that it counts. */
static const char *unit_of(const struct schema *schema)
{
    return schema->name && str_ends_with(str_from_cstr(schema->name), STR("Seconds")) ? " seconds"
                                                                                      : "";
}

static bool validate_integer(const struct walk *walk, const struct schema *schema,
                             const struct json *value, const struct path *path)
{
    int64_t n;
    if (!json_int64(value, &n))
        return refuse(walk, schema, value, path, ERR_TYPE, "must be a whole number");
    if ((schema->min == 0 && schema->max == 0) || (n >= schema->min && n <= schema->max))
        return true;
    if (schema->max == INT64_MAX || schema->max == INT32_MAX)
        return refuse(walk, schema, value, path, ERR_INVALID, "must be %lld or more%s%s",
                      (long long)schema->min, unit_of(schema),
                      n > schema->max ? ", and less than 2147483648" : "");
    return refuse(walk, schema, value, path, ERR_INVALID, "must be from %lld to %lld%s",
                  (long long)schema->min, (long long)schema->max, unit_of(schema));
}

static bool validate_number(const struct walk *walk, const struct schema *schema,
                            const struct json *value, const struct path *path)
{
    double n;
    bool limited = schema->min != 0 || schema->max != 0;
    if (json_double(value, &n) &&
        (!limited || (n >= (double)schema->min && n <= (double)schema->max)))
        return true;
    return refuse(walk, schema, value, path, ERR_INVALID, "must be from %lld to %lld",
                  (long long)schema->min, (long long)schema->max);
}

static bool validate_quantity(const struct walk *walk, const struct schema *schema,
                              const struct json *value, const struct path *path)
{
    struct quantity q;
    int64_t whole;
    const char *rule = NULL;
    if (has_placeholder(walk, json_str(value)))
        return true;
    if (!quantity_from_json(value, &q))
        rule =
            "must be a quantity: a number with an optional suffix such as m, k, M, G, Ki, Mi or Gi";
    else if (quantity_sign(q) < 0)
        rule = "must not be negative";
    else if (value->type == JSON_NUMBER && !json_int64(value, &whole))
        /* The CRD says "integer or string", as those of Kubernetes do. */
        rule = "must be in quotes when it is no whole number";
    return !rule || refuse(walk, schema, value, path, ERR_INVALID, "%s", rule);
}

static bool validate_time(const struct walk *walk, const struct schema *schema,
                          const struct json *value, const struct path *path)
{
    int64_t ns;
    return clock_parse(json_str(value), &ns) ||
           refuse(walk, schema, value, path, ERR_INVALID,
                  "must be a time such as 2026-01-31T12:00:00Z");
}

/* The name of a field that is most like `name`, or absent, also when nobody would read it. */
static struct str nearest_field(const struct schema *schema, struct str name,
                                const struct err_list *findings)
{
    struct str names[MAX_SUGGESTIONS];
    size_t count = 0;
    if (err_list_is_full(findings))
        return (struct str){NULL, 0};
    for (const struct schema *f = schema->fields; f->name && count < MAX_SUGGESTIONS; f++)
        names[count++] = str_from_cstr(f->name);
    return str_nearest(name, names, count);
}

__attribute__((cold, noinline)) static void report_unknown(const struct walk *walk,
                                                           const struct schema *schema,
                                                           const struct json *found,
                                                           const struct path *path)
{
    struct str near = nearest_field(schema, json_key(found), walk->errors);
    struct path at = path_field(path, json_key(found));
    err_list_add(walk->errors, &at, found->line, ERR_INVALID,
                 "Invalid value: there is no such field%s%" PRIstr "%s",
                 near.ptr ? "; did you mean \"" : " here, or it is at the wrong indentation",
                 STR_ARG(near), near.ptr ? "\"?" : "");
}

static bool validate_object(const struct walk *walk, const struct schema *schema,
                            const struct json *value, const struct path *path)
{
    bool good = true;
    struct members members = members_of(value);
    for (const struct schema *f = schema->fields; f->name; f++) {
        const struct json *field = row_member(&members, f->name);
        /* Status has a way of its own into the store, where the CRD's schema checks it. */
        if ((f->flags & SCHEMA_STATUS) || (!field && !(f->flags & SCHEMA_REQUIRED)))
            continue;
        struct path at = path_field(path, field ? json_key(field) : str_from_cstr(f->name));
        if (field) {
            good = validate(walk, f, field, &at) && good;
        } else {
            err_list_add(walk->errors, &at, value->line, ERR_REQUIRED, "Required value: %s",
                         f->text);
            good = false;
        }
    }
    if ((walk->options & SCHEMA_UNKNOWN_REFUSED)) {
        JSON_EACH (found, value) {
            if (!schema_field(schema, json_key(found))) {
                report_unknown(walk, schema, found, path);
                good = false;
            }
        }
    }
    return good;
}

/* Lists and maps have a least and a greatest number of entries. */
static bool validate_count(const struct walk *walk, const struct schema *schema,
                           const struct json *value, const struct path *path)
{
    size_t max = schema->max_len ? schema->max_len : SCHEMA_MAX_ENTRIES;
    if (value->len < schema->min_len) {
        err_list_add(walk->errors, path, value->line, ERR_REQUIRED,
                     "Required value: needs at least %u entr%s", schema->min_len,
                     schema->min_len == 1 ? "y" : "ies");
        return false;
    }
    if (value->len > max && !(schema->flags & SCHEMA_POLICY_MAX)) {
        err_list_add(walk->errors, path, value->line, ERR_TOO_MANY,
                     "Too many: %u: must have at most %zu entr%s", value->len, max,
                     max == 1 ? "y" : "ies");
        return false;
    }
    return true;
}

__attribute__((cold, noinline)) static void report_key(const struct walk *walk,
                                                       enum schema_format name,
                                                       const struct json *entry,
                                                       const struct path *path)
{
    const struct format *format = format_get(name);
    struct str key = utf8_cut(json_key(entry), SHOWN_VALUE_MAX);
    if (format->max_len > 0 && entry->key_len > format->max_len)
        err_list_add(walk->errors, path, entry->line, ERR_TOO_LONG,
                     "Too long: the key \"%" PRIstr "…\" has %u bytes and may have at most %zu",
                     STR_ARG(key), entry->key_len, format->max_len);
    else
        err_list_add(walk->errors, path, entry->line, ERR_INVALID,
                     "Invalid value: the key \"%" PRIstr "%s\" %s", STR_ARG(key),
                     key.len < entry->key_len ? "…" : "", format->rule);
}

static bool validate_map(const struct walk *walk, const struct schema *schema,
                         const struct json *value, const struct path *path)
{
    if (!validate_count(walk, schema, value, path))
        return false;
    bool good = true;
    JSON_EACH (entry, value) {
        struct path at = path_field(path, json_key(entry));
        /* The apiserver drops it before anybody sees the object (structural/defaulting/prune.go). */
        if (json_is(entry, JSON_NULL))
            continue;
        if (!format_is_valid(schema->key_format, json_key(entry))) {
            report_key(walk, schema->key_format, entry, &at);
            good = false;
        }
        good = validate(walk, schema->item, entry, &at) && good;
    }
    return good;
}

/* What tells the entries of a list apart: the entry itself in a set, a field of it in a keyed list. */
static const struct json *entry_key(const struct schema *schema, const struct json *entry)
{
    return schema->list_key ? member(entry, schema->list_key) : entry;
}

static bool validate_unique(const struct walk *walk, const struct schema *schema,
                            const struct json *value, const struct path *path)
{
    const char *name = schema->list_key;
    const struct schema *row =
        name ? schema_field(schema->item, str_from_cstr(name)) : schema->item;
    struct str_set seen;
    bool good = true;
    size_t index = 0;
    str_set_init(&seen, walk->errors->arena);
    JSON_EACH (entry, value) {
        struct path at = path_index(path, index++);
        const struct json *key = entry_key(schema, entry);
        if (!json_is(key, JSON_STRING))
            continue;
        int added = str_set_add(&seen, json_str(key));
        walk->errors->out_of_memory = walk->errors->out_of_memory || added < 0;
        if (added <= 0)
            continue;
        struct path key_at = name ? path_field(&at, str_from_cstr(name)) : at;
        char buffer[2 * SHOWN_VALUE_MAX];
        err_list_add(walk->errors, &key_at, key->line, ERR_DUPLICATE,
                     "Duplicate value: %s is already in the list",
                     shown(row, key, buffer, sizeof(buffer)));
        good = false;
    }
    return good;
}

static bool validate_list(const struct walk *walk, const struct schema *schema,
                          const struct json *value, const struct path *path)
{
    if (!validate_count(walk, schema, value, path))
        return false;
    bool good = true;
    size_t index = 0;
    JSON_EACH (entry, value) {
        struct path at = path_index(path, index++);
        good = validate(walk, schema->item, entry, &at) && good;
    }
    if (value->len > 1 && (schema->list_key || (schema->flags & SCHEMA_SET)))
        good = validate_unique(walk, schema, value, path) && good;
    return good;
}

static bool validate_content(const struct walk *walk, const struct schema *schema,
                             const struct json *value, const struct path *path)
{
    switch (schema->type) {
    case SCHEMA_STRING:
        return validate_string(walk, schema, value, path);
    case SCHEMA_INTEGER:
        return validate_integer(walk, schema, value, path);
    case SCHEMA_NUMBER:
        return validate_number(walk, schema, value, path);
    case SCHEMA_QUANTITY:
        return validate_quantity(walk, schema, value, path);
    case SCHEMA_TIME:
        return validate_time(walk, schema, value, path);
    case SCHEMA_OBJECT:
        return !schema->fields || validate_object(walk, schema, value, path);
    case SCHEMA_MAP:
        return validate_map(walk, schema, value, path);
    case SCHEMA_LIST:
        return validate_list(walk, schema, value, path);
    case SCHEMA_BOOLEAN:
    case SCHEMA_ANY:
        break;
    }
    return true;
}

/* Whether a check may look at a value in which there is a mistake: an object whose own members are all
 * there, of their types, and right when they are no objects, maps or lists themselves. */
static bool members_are_good(const struct walk *outer, const struct schema *schema,
                             const struct json *value)
{
    if (schema->type != SCHEMA_OBJECT || !schema->fields)
        return false;
    struct err_list unwanted;
    err_list_init(&unwanted, NULL, 0);
    const struct walk walk = {.options = outer->options, .errors = &unwanted};
    for (const struct schema *f = schema->fields; f->name; f++) {
        const struct json *field = member(value, f->name);
        bool is_deep = f->type == SCHEMA_OBJECT || f->type == SCHEMA_MAP || f->type == SCHEMA_LIST;
        if (!field ? (f->flags & SCHEMA_REQUIRED) != 0
                   : !type_fits(f->type, field) || (!is_deep && !validate(&walk, f, field, NULL)))
            return false;
    }
    return true;
}

static bool validate(const struct walk *walk, const struct schema *schema, const struct json *value,
                     const struct path *path)
{
    if (!type_fits(schema->type, value)) {
        /* YAML reads 0x1f, 1.10, no and y as something else than text. */
        bool unquoted = schema->type == SCHEMA_STRING &&
                        (value->type == JSON_NUMBER || value->type == JSON_BOOL);
        err_list_add(walk->errors, path, value->line, ERR_TYPE,
                     "Invalid value: must be %s, not %s%s", expected_type(schema->type),
                     found_type(value->type), unquoted ? "; put it in quotes" : "");
        return false;
    }
    bool is_good = validate_content(walk, schema, value, path);
    if (!schema->check || has_placeholder(walk, json_str(value)))
        return is_good;
    /* A mistake further down does not hide the others: all are reported at once. */
    if (!is_good && !members_are_good(walk, schema, value))
        return false;
    size_t before = walk->errors->count + walk->errors->dropped;
    schema->check(schema, value, path, walk->errors);
    return is_good && walk->errors->count + walk->errors->dropped == before;
}

bool schema_validate(const struct schema *schema, const struct json *value, unsigned options,
                     const struct path *path, struct err_list *errors)
{
    struct walk walk = {.options = options, .errors = errors};
    return validate(&walk, schema, value, path);
}

/* ---- Unknown fields ---- */

static void find_unknown_members(const struct schema *schema, const struct json *value,
                                 const struct path *path, struct err_list *findings)
{
    JSON_EACH (found, value) {
        const struct schema *row = schema_field(schema, json_key(found));
        struct path at = path_field(path, json_key(found));
        if (row) {
            if (row->fields || row->item)
                schema_find_unknown(row, found, &at, findings);
        } else if (found->type != JSON_NULL) {
            struct str near = nearest_field(schema, json_key(found), findings);
            err_list_add(findings, &at, found->line, ERR_INVALID,
                         "there is no such field, as far as is known%s%" PRIstr
                         "%s; the apiserver drops what does not exist",
                         near.ptr ? " (did you mean \"" : "", STR_ARG(near),
                         near.ptr ? "\"?)" : "");
        }
    }
}

void schema_find_unknown(const struct schema *schema, const struct json *value,
                         const struct path *path, struct err_list *findings)
{
    if (schema->type == SCHEMA_OBJECT && schema->fields && json_is(value, JSON_OBJECT)) {
        find_unknown_members(schema, value, path, findings);
    } else if (schema->type == SCHEMA_LIST && json_is(value, JSON_ARRAY) && schema->item->fields) {
        size_t index = 0;
        JSON_EACH (entry, value) {
            struct path at = path_index(path, index++);
            schema_find_unknown(schema->item, entry, &at, findings);
        }
    }
}

/* ---- Defaults ---- */

/* The default of a field as a new value; *failed is set without memory. */
static struct json *default_of(const struct schema *field, struct arena *arena)
{
    struct err err;
    return json_read(arena, str_from_cstr(field->def), &json_limits_default, &err);
}

static bool default_object(const struct schema *schema, struct json *value, struct arena *arena)
{
    struct members members = members_of(value);
    for (const struct schema *f = schema->fields; f && f->name; f++) {
        struct json *field = row_member(&members, f->name);
        if (!field && f->def) {
            field = default_of(f, arena);
            if (!json_set(value, str_from_cstr(f->name), field))
                return false;
        }
        if (field && !schema_default(f, field, arena))
            return false;
    }
    return true;
}

bool schema_default(const struct schema *schema, struct json *value, struct arena *arena)
{
    if (schema->type == SCHEMA_OBJECT && json_is(value, JSON_OBJECT))
        return default_object(schema, value, arena);
    bool entries = (schema->type == SCHEMA_MAP && json_is(value, JSON_OBJECT)) ||
                   (schema->type == SCHEMA_LIST && json_is(value, JSON_ARRAY));
    if (!entries || schema->item->type != SCHEMA_OBJECT)
        return true;
    JSON_EACH (entry, value) {
        if (!schema_default(schema->item, entry, arena))
            return false;
    }
    return true;
}

/* ---- Immutability ---- */

void schema_check_immutable(const struct schema *schema, const struct json *before,
                            const struct json *after, const struct path *path,
                            struct err_list *errors)
{
    if (schema->type != SCHEMA_OBJECT)
        return;
    for (const struct schema *f = schema->fields; f && f->name; f++) {
        const struct json *old = member(before, f->name), *new = member(after, f->name);
        struct path at = path_field(path, str_from_cstr(f->name));
        if (!(f->flags & SCHEMA_IMMUTABLE)) {
            if (old && new)
                schema_check_immutable(f, old, new, &at, errors);
            continue;
        }
        if (old && !(new &&json_equal(old, new)))
            err_list_add(errors, &at, new ? new->line : 0, ERR_FORBIDDEN,
                         "Forbidden: the field is immutable; delete the object and create it anew "
                         "to change it");
    }
}

/* ---- Decoding ---- */

static bool decode_list(const struct schema *schema, const struct json *value, void *to,
                        struct arena *arena)
{
    struct schema_list list = {.count = value->len};
    list.items = arena_alloc_array(arena, list.count, schema->size);
    if (!list.items)
        return false;
    unsigned char *item = list.items;
    JSON_EACH (entry, value) {
        if (!schema_decode(schema->item, entry, item, arena))
            return false;
        item += schema->size;
    }
    memcpy(to, &list, sizeof(list));
    return true;
}

static bool decode_value(const struct schema *schema, const struct json *value, void *to,
                         struct arena *arena)
{
    switch (schema->type) {
    case SCHEMA_STRING:
    case SCHEMA_TIME:
        *(struct str *)to = json_str(value);
        return true;
    case SCHEMA_INTEGER:
        ((struct schema_int *)to)->is_set = json_int64(value, &((struct schema_int *)to)->value);
        return true;
    case SCHEMA_BOOLEAN:
        *(bool *)to = json_bool(value, false);
        return true;
    case SCHEMA_OBJECT:
        if (schema->fields && !(schema->flags & SCHEMA_WHOLE))
            return schema_decode(schema, value, to, arena);
        break;
    case SCHEMA_LIST:
        if (schema->size > 0)
            return decode_list(schema, value, to, arena);
        break;
    case SCHEMA_NUMBER:
    case SCHEMA_QUANTITY:
    case SCHEMA_MAP:
    case SCHEMA_ANY:
        break;
    }
    *(const struct json **)to = value;
    return true;
}

bool schema_decode(const struct schema *schema, const struct json *value, void *to,
                   struct arena *arena)
{
    struct members members = members_of(value);
    for (const struct schema *f = schema->fields; f->name; f++) {
        const struct json *field = row_member(&members, f->name);
        if (!field || (f->flags & SCHEMA_NO_DECODE) || !type_fits(f->type, field))
            continue;
        if (!decode_value(f, field, (unsigned char *)to + f->offset, arena))
            return false;
    }
    return true;
}
