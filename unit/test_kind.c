/*
 * The tables of all kinds, and what is generated from them: CustomResourceDefinitions and the
 * reference. What is asserted of the schemas are the rules for structural schemas of
 * k8s.io/apiextensions-apiserver pkg/apiserver/schema/validation.go.
 */
#include "unit/support.h"

#include "types/crd.h"
#include "types/performer.h"
#include "json/yaml.h"

#include <ctype.h>
#include <regex.h>
#include <stdio.h>

struct fixture {
    struct arena arena;
};

static int setup(void **state)
{
    struct fixture *f = test_malloc(sizeof(*f));
    arena_init(&f->arena, mem_system(), 64 * 1024, 64 * 1024 * 1024);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_done(&f->arena);
    test_free(f);
    return 0;
}

static struct str crd_text(struct arena *arena, const struct kind *kind)
{
    struct buf buf;
    buf_init(&buf, arena_mem(arena), 4 * 1024 * 1024);
    crd_write(&buf, kind, arena);
    return buf_failed(&buf) ? (struct str){NULL, 0} : buf_str(&buf);
}

static const struct json *read_crd(struct fixture *f, const struct kind *kind)
{
    struct yaml_reader reader;
    struct json *crd = NULL, *second;
    struct err err;
    yaml_reader_init(&reader, crd_text(&f->arena, kind), &json_limits_default);
    if (yaml_reader_next(&reader, &f->arena, &crd, &err) != 1)
        fail_msg("%s: %s", kind->kind, err.message);
    assert_int_equal(yaml_reader_next(&reader, &f->arena, &second, &err), 0);
    yaml_reader_done(&reader);
    return crd;
}

/* ---- Rows ---- */

/* Calls `check` for each named row below one, with its path. */
static void each_row(const struct schema *schema, const char *path,
                     void (*check)(const struct schema *row, const char *path))
{
    if (schema->item)
        each_row(schema->item, path, check);
    for (const struct schema *f = schema->fields; f && f->name; f++) {
        char at[512];
        snprintf(at, sizeof(at), "%s.%s", path, f->name);
        check(f, at);
        each_row(f, at, check);
    }
}

static void each_row_of_all_kinds(void (*check)(const struct schema *row, const char *path))
{
    size_t count;
    const struct kind *const *kinds = kinds_all(&count);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++)
        each_row(kinds[i]->schema, kinds[i]->kind, check);
}

static void check_sentence(const char *text, const char *path)
{
    size_t len = text ? strlen(text) : 0;
    if (len < 5 || len > 400 || text[len - 1] != '.')
        fail_msg("%s: no text that ends with a full stop", path);
    if (!isupper((unsigned char)text[0]) && strncmp(text, "gRPC", 4) != 0)
        fail_msg("%s: \"%s\" begins in lower case", path, text);
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < 0x20 || (c[0] == ' ' && c[1] == ' '))
            fail_msg("%s: \"%s\" has a control character or two blanks", path, text);
    }
}

static void check_text(const struct schema *row, const char *path)
{
    check_sentence(row->text, path);
}

static void every_row_has_a_text_that_ends_with_a_full_stop(void **state)
{
    (void)state;
    each_row_of_all_kinds(check_text);
}

static void check_default(const struct schema *row, const char *path)
{
    if (!row->def)
        return;
    struct arena arena;
    struct err err;
    struct err_list errors;
    arena_init(&arena, mem_system(), 4096, 65536);
    err_list_init(&errors, &arena, ERR_LIST_MAX);
    struct json *value = json_read(&arena, str_from_cstr(row->def), &json_limits_default, &err);
    if (!value || !schema_default(row, value, &arena) ||
        !schema_validate(row, value, SCHEMA_UNKNOWN_REFUSED, NULL, &errors))
        fail_msg("%s: its own row refuses the default %s", path, row->def);
    assert_false(row->flags & SCHEMA_REQUIRED); /* one of the two is of no use */
    arena_done(&arena);
}

static void every_default_is_valid(void **state)
{
    (void)state;
    each_row_of_all_kinds(check_default);
}

static void check_shape(const struct schema *row, const char *path)
{
    bool has_items = row->type == SCHEMA_LIST || row->type == SCHEMA_MAP;
    if (has_items != (row->item != NULL))
        fail_msg("%s: only lists and maps have items", path);
    if (row->fields && row->type != SCHEMA_OBJECT)
        fail_msg("%s: only objects have fields", path);
    if (row->min > row->max)
        fail_msg("%s: its range is empty", path);
    if (row->max_len && row->min_len > row->max_len)
        fail_msg("%s: no length is right", path);
    if (row->type != SCHEMA_MAP && row->key_format != FORMAT_NONE)
        fail_msg("%s: only maps have keys", path);
    if ((row->flags & SCHEMA_SET) && (row->type != SCHEMA_LIST || row->item->type != SCHEMA_STRING))
        fail_msg("%s: only lists of strings can be sets", path);
    for (const struct schema *a = row->fields; a && a->name; a++) {
        for (const struct schema *b = row->fields; b != a; b++)
            assert_string_not_equal(a->name, b->name);
    }
    if (!row->list_key)
        return;
    const struct schema *key = schema_field(row->item, str_from_cstr(row->list_key));
    if (!key || !(key->flags & SCHEMA_REQUIRED) || key->type != SCHEMA_STRING)
        fail_msg("%s: the key %s must be a required string", path, row->list_key);
}

static void every_row_is_well_formed(void **state)
{
    (void)state;
    each_row_of_all_kinds(check_shape);
}

/* ---- Kinds ---- */

static void kinds_are_found_by_group_version_and_name(void **state)
{
    (void)state;
    struct str group = STR("hourglass.eigenlayer.io"), version = STR("v1alpha1");
    assert_ptr_equal(kind_find(group, version, STR("Performer")), &performer_kind);
    assert_null(kind_find(group, STR("v1"), STR("Performer")));
    assert_null(kind_find(group, version, STR("performer")));
    assert_null(kind_find(STR("apps"), version, STR("Performer")));
    assert_null(kind_find((struct str){NULL, 0}, version, STR("Performer")));
    static const struct {
        struct str api_version, kind;
        bool found;
    } rows[] = {
        {STR_INIT("hourglass.eigenlayer.io/v1alpha1"), STR_INIT("Performer"), true},
        {STR_INIT("hourglass.eigenlayer.io/v1alpha2"), STR_INIT("Performer"), false},
        {STR_INIT("hourglass.eigenlayer.io/v1alpha1/x"), STR_INIT("Performer"), false},
        {STR_INIT("hourglass.eigenlayer.io/v1alpha1"), STR_INIT("Pod"), false},
        {STR_INIT("hourglass.eigenlayer.io"), STR_INIT("Performer"), false},
        {STR_INIT("v1"), STR_INIT("Pod"), false},
        {STR_INIT(""), STR_INIT(""), false},
        {{NULL, 0}, {NULL, 0}, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(kind_find_by_api_version(rows[i].api_version, rows[i].kind) != NULL,
                         rows[i].found);
}

static void every_kind_is_described(void **state)
{
    (void)state;
    size_t count;
    const struct kind *const *kinds = kinds_all(&count);
    for (size_t i = 0; i < count; i++) {
        const struct kind *k = kinds[i];
        assert_ptr_equal(
            kind_find(str_from_cstr(k->group), str_from_cstr(k->version), str_from_cstr(k->kind)),
            k);
        assert_true(format_is_valid(FORMAT_DNS_SUBDOMAIN, str_from_cstr(k->group)));
        assert_true(format_is_valid(FORMAT_DNS_LABEL, str_from_cstr(k->plural)));
        assert_true(format_is_valid(FORMAT_DNS_LABEL, str_from_cstr(k->singular)));
        check_sentence(k->text, k->kind);
        if (k->finalizer) /* with a prefix, else the apiserver refuses it */
            assert_true(format_is_valid(FORMAT_LABEL_KEY, str_from_cstr(k->finalizer)) &&
                        strchr(k->finalizer, '/'));
        assert_true(k->max_name_len > 5 && k->max_name_len <= 253);
        assert_int_not_equal(k->name_format, FORMAT_NONE);
        static const char *const roots[] = {"apiVersion", "kind", "metadata", "spec"};
        for (size_t r = 0; r < sizeof(roots) / sizeof(roots[0]); r++)
            assert_non_null(schema_field(k->schema, str_from_cstr(roots[r])));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(kinds[j]->plural, k->plural);
    }
}

static void every_column_shows_a_field_that_exists(void **state)
{
    (void)state;
    size_t count;
    const struct kind *const *kinds = kinds_all(&count);
    for (size_t i = 0; i < count; i++) {
        for (const struct printer_column *c = kinds[i]->columns; c->name; c++) {
            const struct schema *row = kinds[i]->schema;
            struct str name, rest = str_sub(str_from_cstr(c->json_path), 1, 256);
            assert_int_equal(c->json_path[0], '.');
            while (str_is_set(rest)) {
                str_cut(rest, '.', &name, &rest);
                row = schema_field(row, name);
                if (!row)
                    fail_msg("%s: %s", kinds[i]->kind, c->json_path);
            }
            const char *type = row->type == SCHEMA_TIME      ? "date"
                               : row->type == SCHEMA_BOOLEAN ? "boolean"
                               : row->type == SCHEMA_INTEGER ? "integer"
                                                             : "string";
            assert_string_equal(c->type, type);
            check_sentence(c->text, c->json_path);
        }
    }
}

/* ---- CustomResourceDefinitions ---- */

static const char *const schema_keys[] = {"description",
                                          "type",
                                          "format",
                                          "enum",
                                          "default",
                                          "minLength",
                                          "maxLength",
                                          "pattern",
                                          "minimum",
                                          "maximum",
                                          "properties",
                                          "required",
                                          "additionalProperties",
                                          "minProperties",
                                          "maxProperties",
                                          "items",
                                          "minItems",
                                          "maxItems",
                                          "anyOf",
                                          "x-kubernetes-int-or-string",
                                          "x-kubernetes-list-type",
                                          "x-kubernetes-list-map-keys",
                                          "x-kubernetes-preserve-unknown-fields",
                                          "x-kubernetes-validations",
                                          NULL};

static bool is_listed(struct str text, const char *const *list)
{
    while (*list && !str_eq_cstr(text, *list))
        list++;
    return *list != NULL;
}

static void check_node(const struct json *node, const char *path);

static void check_list(const struct json *node, const char *path)
{
    const struct json *items = json_get(node, STR("items"));
    struct str type = json_str(json_get(node, STR("x-kubernetes-list-type")));
    char at[512];
    snprintf(at, sizeof(at), "%s[]", path);
    if (!json_get(node, STR("maxItems")) || !str_is_set(type))
        fail_msg("%s: a list needs a limit and a type", path);
    check_node(items, at);
    bool scalar = !str_eq(json_str(json_get(items, STR("type"))), STR("object")) &&
                  !str_eq(json_str(json_get(items, STR("type"))), STR("array"));
    if (str_eq(type, STR("set")) && !scalar)
        fail_msg("%s: a set of objects", path);
    JSON_EACH (key, json_get(node, STR("x-kubernetes-list-map-keys"))) {
        bool required = false;
        JSON_EACH (name, json_get(items, STR("required")))
            required = required || str_eq(json_str(name), json_str(key));
        if (!required)
            fail_msg("%s: a key of its entries is not required", path);
    }
}

static void check_string(const struct json *node, const char *path)
{
    struct str pattern = json_str(json_get(node, STR("pattern")));
    const struct json *values = json_get(node, STR("enum"));
    if (values && values->len == 0)
        fail_msg("%s: no value is right", path);
    if (!str_is_set(pattern))
        return;
    char text[1024];
    regex_t regex;
    snprintf(text, sizeof(text), "%" PRIstr, STR_ARG(pattern));
    if (text[0] != '^' || text[strlen(text) - 1] != '$' ||
        regcomp(&regex, text, REG_EXTENDED | REG_NOSUB) != 0)
        fail_msg("%s: the pattern %s", path, text);
    regfree(&regex);
}

static void check_object(const struct json *node, const char *path)
{
    const struct json *properties = json_get(node, STR("properties"));
    const struct json *additional = json_get(node, STR("additionalProperties"));
    char at[512];
    bool open = json_bool(json_get(node, STR("x-kubernetes-preserve-unknown-fields")), false);
    if (!open && !additional == !properties && strcmp(path, "metadata") != 0)
        fail_msg("%s: an object has properties, or additional ones", path);
    if (additional) {
        snprintf(at, sizeof(at), "%s{}", path);
        check_node(additional, at);
    }
    JSON_EACH (property, properties) {
        snprintf(at, sizeof(at), "%s%s%" PRIstr, path, *path ? "." : "",
                 STR_ARG(json_key(property)));
        check_node(property, at);
        /* The apiserver allows metadata nothing but its type. */
        if (strcmp(at, "metadata") != 0 &&
            json_str(json_get(property, STR("description"))).len == 0)
            fail_msg("%s has no description", at);
    }
    JSON_EACH (name, json_get(node, STR("required"))) {
        if (!json_get(properties, json_str(name)))
            fail_msg("%s: requires what is none of its properties", path);
    }
}

/* A node of a structural schema: it has one type, or says in one of two ways that it has none. */
static void check_node(const struct json *node, const char *path)
{
    if (!json_is(node, JSON_OBJECT))
        fail_msg("%s: no schema", path);
    JSON_EACH (member, node) {
        if (!is_listed(json_key(member), schema_keys))
            fail_msg("%s: unexpected %.*s", path, (int)member->key_len, member->key);
    }
    struct str type = json_str(json_get(node, STR("type")));
    bool int_or_string = json_bool(json_get(node, STR("x-kubernetes-int-or-string")), false);
    bool any = json_bool(json_get(node, STR("x-kubernetes-preserve-unknown-fields")), false);
    if (str_is_set(type) ? int_or_string : int_or_string == any)
        fail_msg("%s: neither a type nor any type", path);
    if (!int_or_string && json_get(node, STR("anyOf")))
        fail_msg("%s: anyOf", path);
    if (str_eq(type, STR("array")))
        check_list(node, path);
    else if (str_eq(type, STR("object")))
        check_object(node, path);
    else if (str_eq(type, STR("string")) || int_or_string)
        check_string(node, path);
    else if (str_is_set(type))
        assert_true(str_eq(type, STR("integer")) || str_eq(type, STR("number")) ||
                    str_eq(type, STR("boolean")));
}

static const struct json *crd_schema(const struct json *crd)
{
    const struct json *version = json_first(json_path(crd, "spec", "versions", NULL));
    return json_path(version, "schema", "openAPIV3Schema", NULL);
}

static void every_schema_is_structural(void **state)
{
    struct fixture *f = *state;
    size_t count;
    const struct kind *const *kinds = kinds_all(&count);
    for (size_t i = 0; i < count; i++)
        check_node(crd_schema(read_crd(f, kinds[i])), "");
}

static void every_definition_stays_below_its_limit(void **state)
{
    struct fixture *f = *state;
    size_t count;
    const struct kind *const *kinds = kinds_all(&count);
    for (size_t i = 0; i < count; i++) {
        struct str text = crd_text(&f->arena, kinds[i]);
        if (text.len >= 200 * 1024)
            fail_msg("%s: %zu bytes", kinds[i]->plural, text.len);
        assert_true(str_starts_with(text, STR("# Generated ")));
    }
}

static void a_definition_names_its_kind(void **state)
{
    struct fixture *f = *state;
    const struct json *crd = read_crd(f, &performer_kind);
    static const struct {
        const char *a, *b, *c, *value;
    } rows[] = {
        {"apiVersion", NULL, NULL, "apiextensions.k8s.io/v1"},
        {"kind", NULL, NULL, "CustomResourceDefinition"},
        {"metadata", "name", NULL, "performers.hourglass.eigenlayer.io"},
        {"spec", "group", NULL, "hourglass.eigenlayer.io"},
        {"spec", "scope", NULL, "Namespaced"},
        {"spec", "names", "kind", "Performer"},
        {"spec", "names", "listKind", "PerformerList"},
        {"spec", "names", "plural", "performers"},
        {"spec", "names", "singular", "performer"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct json *value = json_path(crd, rows[i].a, rows[i].b, rows[i].c, NULL);
        assert_str_is(json_str(value), rows[i].value);
    }
    const struct json *versions = json_path(crd, "spec", "versions", NULL);
    assert_int_equal(versions->len, 1);
    const struct json *version = json_first(versions);
    assert_str_is(json_str(json_get(version, STR("name"))), "v1alpha1");
    assert_true(json_bool(json_get(version, STR("served")), false));
    assert_true(json_bool(json_get(version, STR("storage")), false));
    assert_true(json_is(json_path(version, "subresources", "status", NULL), JSON_OBJECT));
    const struct json *columns = json_get(version, STR("additionalPrinterColumns"));
    assert_int_equal(columns->len, 10);
    int64_t priority;
    assert_null(json_get(json_at(columns, 0), STR("priority")));
    assert_true(json_int64(json_get(json_at(columns, 6), STR("priority")), &priority));
    assert_int_equal(priority, 1); /* only with -o wide */
}

/* Without a status, the subresource would hide writes to a field that does not exist. */
static void only_a_kind_with_a_status_has_the_subresource(void **state)
{
    struct fixture *f = *state;
    size_t count;
    const struct kind *const *kinds = kinds_all(&count);
    for (size_t i = 0; i < count; i++) {
        bool has_status = schema_field(kinds[i]->schema, STR("status")) != NULL;
        const struct json *versions = json_path(read_crd(f, kinds[i]), "spec", "versions", NULL);
        if ((json_get(json_first(versions), STR("subresources")) != NULL) != has_status)
            fail_msg("%s", kinds[i]->kind);
    }
}

/* The limits of the table are in the definition, for where the webhook is not installed. */
static void limits_are_in_the_definition(void **state)
{
    struct fixture *f = *state;
    const struct json *spec = json_path(crd_schema(read_crd(f, &performer_kind)), "properties",
                                        "spec", "properties", NULL);
    int64_t n;
    const struct json *port = json_path(spec, "config", "properties", "grpcPort", NULL);
    assert_true(json_int64(json_get(port, STR("minimum")), &n) && n == 1);
    assert_true(json_int64(json_get(port, STR("maximum")), &n) && n == 65535);
    assert_true(json_int64(json_get(port, STR("default")), &n) && n == 9090);
    const struct json *share =
        json_path(spec, "hardwareRequirements", "properties", "gpuShare", NULL);
    assert_true(json_int64(json_get(share, STR("maximum")), &n) && n == 99);
    const struct json *tee = json_path(spec, "hardwareRequirements", "properties", "teeType", NULL);
    assert_int_equal(json_get(tee, STR("enum"))->len, 4);
    const struct json *service_account =
        json_path(spec, "config", "properties", "serviceAccountName", NULL);
    assert_true(str_is_set(json_str(json_get(service_account, STR("pattern")))));
    assert_non_null(json_path(spec, "avsAddress", "x-kubernetes-validations", NULL));
}

/* ---- Reference ---- */

static void the_reference_has_every_field_and_column(void **state)
{
    struct fixture *f = *state;
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 1024 * 1024);
    reference_write(&buf, &performer_kind);
    assert_false(buf_failed(&buf));
    struct str text = buf_str(&buf);
    static const char *const parts[] = {
        "## Performer\n",
        ("`apiVersion: hourglass.eigenlayer.io/v1alpha1`, `kind: Performer`, namespaced, short "
         "name "
         "`perf`."),
        "The name has at most 53 bytes",
        "\n### Performer spec\n",
        "\n### Performer status\n",
        "| `spec.avsAddress` | string | yes | ",
        "Immutable. |",
        "| `spec.config.grpcPort` | integer |  | ",
        " 1 to 65535. Default: `9090`. |",
        "| `spec.config.environment` | map of string |  | ",
        "| `spec.config.environmentFrom[]` | list of object |  | ",
        "| `spec.config.environmentFrom[].valueFrom.secretKeyRef.key` | string | yes | ",
        "| `spec.resources.limits` | map of quantity |  | ",
        "One of `Recreate`, `BlueGreen`. Default: `\"Recreate\"`. |",
        "| `spec.hardwareRequirements.gpuCount` | integer |  | ",
        " 0 or more. |",
        "Format: image reference. |",
        "At most 1024 bytes. |",
        "| `status.conditions[].lastTransitionTime` | time | yes | ",
        "\n### Columns of `kubectl get performers`\n",
        "| AVS | always | ",
        "| Stage | `-o wide` | ",
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!memmem(text.ptr, text.len, parts[i], strlen(parts[i])))
            fail_msg("the reference lacks %s", parts[i]);
    }
}

/* A kind with one row of the spec, as the reference shows it. */
static struct str reference_of(struct fixture *f, const struct schema *row)
{
    const struct schema spec_fields[] = {*row, {0}};
    const struct schema fields[] = {
        {.name = "spec", .type = SCHEMA_OBJECT, .fields = spec_fields, .text = "What."},
        {0},
    };
    const struct schema schema = {.type = SCHEMA_OBJECT, .fields = fields};
    static const struct printer_column columns[] = {{0}};
    const struct kind kind = {.group = "g",
                              .version = "v1",
                              .kind = "K",
                              .plural = "ks",
                              .singular = "k",
                              .text = "A kind.",
                              .name_format = FORMAT_DNS_LABEL,
                              .columns = columns,
                              .schema = &schema};
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), 65536);
    reference_write(&buf, &kind);
    assert_false(buf_failed(&buf));
    assert_null(memmem(buf.ptr, buf.len, "K status", 8)); /* it has none */
    return buf_str(&buf);
}

static void every_sort_of_row_is_in_the_reference(void **state)
{
    struct fixture *f = *state;
    static const struct schema version_item = {.type = SCHEMA_STRING, .format = FORMAT_VERSION};
    static const struct {
        struct schema row;
        const char *line;
    } rows[] = {
        /* A bar does not end the cell. */
        {{.name = "x", .type = SCHEMA_ANY, .text = "This | that."},
         "| `spec.x` | anything |  | This \\| that. |\n"},
        {{.name = "x", .type = SCHEMA_NUMBER, .text = "X."}, "| `spec.x` | number |  | X. |\n"},
        {{.name = "x", .type = SCHEMA_NUMBER, .min = 1, .max = 10, .text = "X."},
         "| number |  | X. 1 to 10. |\n"},
        {{.name = "x", .type = SCHEMA_INTEGER, .max = 5, .text = "X."},
         "| integer |  | X. 0 to 5. |\n"},
        {{.name = "x", .type = SCHEMA_INTEGER, .min = -5, .text = "X."},
         "| integer |  | X. -5 to 0. |\n"},
        {{.name = "x", .type = SCHEMA_INTEGER, .max = INT64_MAX, .text = "X."},
         "| integer |  | X. 0 or more. |\n"},
        {{.name = "x", .type = SCHEMA_INTEGER, .text = "X."}, "| integer |  | X. |\n"},
        {{.name = "x", .type = SCHEMA_STRING, .format = FORMAT_VERSION, .text = "X."},
         "| string |  | X. Format: version. |\n"},
        {{.name = "x", .type = SCHEMA_STRING, .text = "X."}, "| string |  | X. |\n"},
        {{.name = "x", .type = SCHEMA_BOOLEAN, .flags = SCHEMA_REQUIRED, .text = "X."},
         "| `spec.x` | boolean | yes | X. |\n"},
        {{.name = "x", .type = SCHEMA_LIST, .item = &version_item, .max_len = 7, .text = "X."},
         "| `spec.x[]` | list of string |  | X. At most 7 entries. |\n"},
        {{.name = "x", .type = SCHEMA_LIST, .item = &version_item, .max_len = 1, .text = "X."},
         "| list of string |  | X. At most 1 entry. |\n"},
        {{.name = "x", .type = SCHEMA_MAP, .item = &version_item, .text = "X."},
         "| `spec.x` | map of string |  | X. |\n"},
        {{.name = "x", .type = SCHEMA_OBJECT, .text = "X."}, "| `spec.x` | object |  | X. |\n"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str text = reference_of(f, &rows[i].row);
        if (!memmem(text.ptr, text.len, rows[i].line, strlen(rows[i].line)))
            fail_msg("row %zu: no %s in %.*s", i, rows[i].line, (int)text.len, text.ptr);
    }
}

/* ---- Memory ---- */

static bool work_crd(const struct mem *mem, void *ctx)
{
    struct arena arena;
    arena_init(&arena, mem, 64 * 1024, 64 * 1024 * 1024);
    bool good = crd_text(&arena, ctx).len > 0;
    arena_done(&arena);
    return good;
}

static bool work_reference(const struct mem *mem, void *ctx)
{
    struct buf buf;
    buf_init(&buf, mem, 1024 * 1024);
    reference_write(&buf, ctx);
    bool good = !buf_failed(&buf);
    buf_done(&buf);
    return good;
}

static void every_failing_allocation_is_noticed(void **state)
{
    (void)state;
    struct kind kind = performer_kind;
    test_every_allocation_failing(work_crd, &kind);
    test_every_allocation_failing(work_reference, &kind);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_row_has_a_text_that_ends_with_a_full_stop),
        TEST(every_default_is_valid),
        TEST(every_row_is_well_formed),
        TEST(kinds_are_found_by_group_version_and_name),
        TEST(every_kind_is_described),
        TEST(every_column_shows_a_field_that_exists),
        TEST(every_schema_is_structural),
        TEST(every_definition_stays_below_its_limit),
        TEST(a_definition_names_its_kind),
        TEST(only_a_kind_with_a_status_has_the_subresource),
        TEST(limits_are_in_the_definition),
        TEST(the_reference_has_every_field_and_column),
        TEST(every_sort_of_row_is_in_the_reference),
        TEST(every_failing_allocation_is_noticed),
    };
    return cmocka_run_group_tests_name("kind", tests, NULL, NULL);
}
