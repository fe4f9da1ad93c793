/*
 * Reading YAML: libyaml's events become JSON values. libyaml's own loader is not used: it knows no
 * limits, and its aliases make small texts into endless trees.
 *
 * While a container is open, its `next` points to the container around it, as in read.c.
 */
#include "json/yaml.h"

#include "base/utf8.h"
#include "json/keyset.h"
#include "json/yaml_scalar.h"

#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

static const struct str byte_order_mark = STR_INIT("\xEF\xBB\xBF");

enum { ANCHORS_MAX = 256 }; /* of a document; they are searched one by one */

struct anchor {
    struct anchor *next;
    struct str name;
    const struct json *value;
};

/* A document that is being read. */
struct builder {
    struct yaml_reader *reader;
    struct arena *arena;
    struct json *root;
    struct json *open; /* the innermost container, or NULL */
    struct json *tail; /* its last child so far, or NULL */
    struct str key;    /* of the member whose value comes next; absent when a key comes next */
    yaml_mark_t key_mark;
    size_t depth;
    size_t values;
    struct json_keys keys;
    struct anchor *anchors;
    size_t anchor_count;
    size_t marker_line; /* libyaml's number of the line that the "---" is on, or SIZE_MAX */
    struct err *err;
};

/* ---- errors ---- */

static int fail_at(struct builder *b, yaml_mark_t mark, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static int fail_at(struct builder *b, yaml_mark_t mark, int code, const char *fmt, ...)
{
    char what[ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    size_t line = b->reader->source.line + mark.line;
    err_set(b->err, code, "line %zu, column %zu: %s", line, mark.column + 1, n < 0 ? "" : what);
    b->err->line = (uint32_t)line;
    return -1;
}

static int fail_memory(struct builder *b)
{
    return err_no_memory(b->err, "reading YAML");
}

/* For what libyaml's decoder of characters finds: it knows the offset in bytes only. */
static int fail_character(struct builder *b, const yaml_parser_t *parser)
{
    struct str text = str_sub(b->reader->source.text, 0, parser->problem_offset);
    struct str line = text;
    yaml_mark_t mark = {0};
    while (str_cut(text, '\n', &line, &text))
        mark.line++;
    mark.column = utf8_count(line);
    if (parser->problem_value >= 0 && strstr(parser->problem, "control"))
        return fail_at(b, mark, 400, "the character U+%04X is not allowed",
                       (unsigned)parser->problem_value);
    return fail_at(b, mark, 400, "these bytes are no UTF-8 character");
}

/* The first byte of the character that a mark of libyaml means. NUL at the end. */
static char byte_at(struct str text, yaml_mark_t mark)
{
    for (size_t i = 0; i < mark.index && text.len > 0; i++) {
        uint32_t code;
        size_t len = utf8_decode(text, &code);
        text = str_sub(text, len ? len : 1, text.len);
    }
    return text.len > 0 ? text.ptr[0] : '\0';
}

/* libyaml's message in plainer words. */
static const char *explain(const char *problem)
{
    static const struct {
        const char *problem, *words;
    } rows[] = {
        {"mapping values are not allowed in this context",
         "\":\" is not allowed here; put the text in quotes, or check the indentation"},
        {"did not find expected key", "expected a key here; check the indentation and the quotes"},
        {"did not find expected '-' indicator", "expected \"- \" here; check the indentation"},
        {"could not find expected ':'", "expected \":\" after the key"},
        {"did not find expected <document start>",
         "expected the end of the document, or \"---\" and the next one; check the indentation"},
        {"found unexpected end of stream", "the text in quotes that begins here has no end"},
        {"block sequence entries are not allowed in this context",
         "\"- \" is not allowed here; a list begins on a line of its own"},
        {"found a tab character that violates indentation",
         "a tab is not allowed here; indent with blanks"},
        {"found a tab character where an indentation space is expected",
         "a tab is not allowed here; indent with blanks"},
        {"did not find expected ',' or '}'", "expected \",\" or \"}\""},
        {"did not find expected ',' or ']'", "expected \",\" or \"]\""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].problem, problem) == 0)
            return rows[i].words;
    }
    return problem;
}

static int fail_syntax(struct builder *b, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return fail_memory(b);
    if (parser->error == YAML_READER_ERROR)
        return fail_character(b, parser);
    yaml_mark_t mark = parser->problem_mark;
    if (strcmp(parser->problem, "found character that cannot start any token") == 0) {
        char c = byte_at(b->reader->source.text, mark);
        return c == '\t' ? fail_at(b, mark, 400, "a tab is not allowed here; indent with blanks")
                         : fail_at(b, mark, 400, "a text that begins with '%c' needs quotes", c);
    }
    if (strcmp(parser->problem, "found unexpected end of stream") == 0 && parser->context)
        mark = parser->context_mark;
    return fail_at(b, mark, 400, "%s", explain(parser->problem));
}

/* ---- building values ---- */

/* Makes `value` the next child of the open container, or the root. */
static int attach(struct builder *b, struct json *value)
{
    if (b->tail)
        b->tail->next = value;
    else if (b->open)
        b->open->first = value;
    else
        b->root = value;
    b->tail = value;
    value->key = NULL;
    value->key_len = 0;
    if (!b->open)
        return 0;
    b->open->len++;
    if (b->open->type == JSON_ARRAY)
        return 0;
    value->key = b->key.ptr;
    value->key_len = (uint32_t)b->key.len;
    int twice = json_keys_add(&b->keys, b->arena, b->open, value);
    if (twice < 0)
        return fail_memory(b);
    if (twice > 0)
        return fail_at(b, b->key_mark, 400, "duplicate key \"%" PRIstr "\"", STR_ARG(b->key));
    b->key = (struct str){NULL, 0};
    return 0;
}

static int too_many_values(struct builder *b, yaml_mark_t mark)
{
    return fail_at(b, mark, 413, "more than %zu values (the limit)", b->reader->limits->max_values);
}

/* Adds a value of the type; NULL with *err filled. */
static struct json *add_value(struct builder *b, const yaml_event_t *event, enum json_type type)
{
    if (b->values == b->reader->limits->max_values) {
        too_many_values(b, event->start_mark);
        return NULL;
    }
    b->values++;
    struct json *value = json_new(b->arena, type);
    if (!value) {
        fail_memory(b);
        return NULL;
    }
    value->line = (uint32_t)(b->reader->source.line + event->start_mark.line);
    return attach(b, value) < 0 ? NULL : value;
}

static int add_anchor(struct builder *b, yaml_mark_t mark, const unsigned char *name,
                      const struct json *value)
{
    if (!name)
        return 0;
    if (b->anchor_count == ANCHORS_MAX)
        return fail_at(b, mark, 413, "more than %d anchors (the limit)", ANCHORS_MAX);
    struct anchor *anchor = ARENA_NEW(b->arena, struct anchor);
    struct str copy = arena_copy(b->arena, str_from_cstr((const char *)name));
    if (!anchor || !str_is_set(copy))
        return fail_memory(b);
    *anchor = (struct anchor){.next = b->anchors, .name = copy, .value = value};
    b->anchors = anchor;
    b->anchor_count++;
    return 0;
}

/* Whether a copy of `value` stays within both numbers; the second one is used up. */
static bool fits(const struct json *value, size_t depth_left, size_t *values_left)
{
    if (*values_left == 0)
        return false;
    --*values_left;
    bool container = value->type == JSON_ARRAY || value->type == JSON_OBJECT;
    if (container && depth_left == 0)
        return false;
    JSON_EACH (child, value) {
        if (!fits(child, depth_left - 1, values_left))
            return false;
    }
    return true;
}

static bool is_open(const struct builder *b, const struct json *value)
{
    for (const struct json *open = b->open; open; open = open->next) {
        if (open == value)
            return true;
    }
    return false;
}

static int add_alias(struct builder *b, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    const struct anchor *anchor = b->anchors;
    while (anchor && !str_eq_cstr(anchor->name, name))
        anchor = anchor->next;
    if (!anchor)
        return fail_at(b, event->start_mark, 400, "there is no anchor \"&%s\" before this alias",
                       name);
    if (is_open(b, anchor->value))
        return fail_at(b, event->start_mark, 400,
                       "the alias \"*%s\" is inside of what it stands for", name);
    const struct json_limits *limits = b->reader->limits;
    size_t values_left = limits->max_values - b->values;
    if (!fits(anchor->value, limits->max_depth - b->depth, &values_left))
        return fail_at(b, event->start_mark, 413,
                       "what the alias \"*%s\" stands for exceeds %zu values or %zu levels (the "
                       "limits)",
                       name, limits->max_values, limits->max_depth);
    b->values = limits->max_values - values_left;
    struct json *copy = json_copy(b->arena, anchor->value);
    return copy ? attach(b, copy) : fail_memory(b);
}

/* ---- scalars ---- */

static struct str scalar_text(const yaml_event_t *event)
{
    return (struct str){(const char *)event->data.scalar.value, event->data.scalar.length};
}

/* What the scalar means without regard to its tag. */
static struct yaml_scalar resolve(const yaml_event_t *event)
{
    bool plain = event->data.scalar.plain_implicit || event->data.scalar.tag;
    return plain ? yaml_scalar_resolve(scalar_text(event))
                 : (struct yaml_scalar){.kind = YAML_SCALAR_STRING};
}

/* !!float makes a float of an integer, but not of those beyond 2^63. */
static void int_to_float(struct yaml_scalar *scalar)
{
    struct str text = {scalar->number, scalar->len};
    int64_t integer;
    double value;
    if (!str_to_int64(text, &integer) || !number_to_double(text, &value))
        return;
    scalar->kind = YAML_SCALAR_FLOAT;
    scalar->len = number_print(value, scalar->number);
}

/* Resolves the scalar and holds it against its tag. */
static int resolve_tagged(struct builder *b, const yaml_event_t *event, struct yaml_scalar *ret)
{
    static const struct {
        const char *tag;
        enum yaml_scalar_kind kind;
    } tags[] = {
        {YAML_NULL_TAG, YAML_SCALAR_NULL},  {YAML_BOOL_TAG, YAML_SCALAR_BOOL},
        {YAML_INT_TAG, YAML_SCALAR_INT},    {YAML_FLOAT_TAG, YAML_SCALAR_FLOAT},
        {YAML_STR_TAG, YAML_SCALAR_STRING},
    };
    *ret = resolve(event);
    const char *tag = (const char *)event->data.scalar.tag;
    if (!tag)
        return 0;
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        if (strcmp(tags[i].tag, tag) != 0)
            continue;
        if (tags[i].kind == YAML_SCALAR_STRING)
            ret->kind = YAML_SCALAR_STRING;
        if (tags[i].kind == YAML_SCALAR_FLOAT && ret->kind == YAML_SCALAR_INT)
            int_to_float(ret);
        if (tags[i].kind == ret->kind)
            return 0;
        return fail_at(b, event->start_mark, 400, "this value is not what its tag says");
    }
    return fail_at(b, event->start_mark, 400, "the tag <%s> is not supported", tag);
}

/* The text of a string, in the arena. */
static int copy_text(struct builder *b, const yaml_event_t *event, struct str *ret)
{
    struct str text = scalar_text(event);
    if (memchr(text.ptr, '\0', text.len))
        return fail_at(b, event->start_mark, 400, "the character U+0000 is not allowed");
    *ret = arena_copy(b->arena, text);
    return str_is_set(*ret) ? 0 : fail_memory(b);
}

static int copy_number(struct builder *b, const struct yaml_scalar *scalar, struct str *ret)
{
    *ret = arena_copy(b->arena, (struct str){scalar->number, scalar->len});
    return str_is_set(*ret) ? 0 : fail_memory(b);
}

static int fail_scalar(struct builder *b, const yaml_event_t *event,
                       const struct yaml_scalar *scalar)
{
    if (scalar->kind == YAML_SCALAR_TOO_LONG)
        return fail_at(b, event->start_mark, 413,
                       "a number of more than %d characters (the limit); put a text in quotes",
                       NUMBER_TEXT_MAX);
    return fail_at(b, event->start_mark, 400,
                   "JSON has no infinity and no NaN; put a text in quotes");
}

static int add_scalar(struct builder *b, const yaml_event_t *event)
{
    static const enum json_type types[] = {
        [YAML_SCALAR_STRING] = JSON_STRING, [YAML_SCALAR_NULL] = JSON_NULL,
        [YAML_SCALAR_BOOL] = JSON_BOOL,     [YAML_SCALAR_INT] = JSON_NUMBER,
        [YAML_SCALAR_FLOAT] = JSON_NUMBER,
    };
    struct yaml_scalar scalar;
    struct str text = {NULL, 0};
    if (resolve_tagged(b, event, &scalar) < 0)
        return -1;
    if (scalar.kind == YAML_SCALAR_INFINITE || scalar.kind == YAML_SCALAR_TOO_LONG)
        return fail_scalar(b, event, &scalar);
    struct json *value = add_value(b, event, types[scalar.kind]);
    if (!value)
        return -1;
    if (value->type == JSON_BOOL)
        value->boolean = scalar.boolean;
    if (value->type == JSON_STRING && copy_text(b, event, &text) < 0)
        return -1;
    if (value->type == JSON_NUMBER && copy_number(b, &scalar, &text) < 0)
        return -1;
    if (str_is_set(text)) {
        value->text = text.ptr;
        value->len = (uint32_t)text.len;
    }
    return add_anchor(b, event->start_mark, event->data.scalar.anchor, value);
}

/* ---- keys ---- */

static bool is_merge(const yaml_event_t *event)
{
    return event->data.scalar.plain_implicit && str_eq(scalar_text(event), STR("<<"));
}

/* The key of the next member. Integers and booleans become what they mean, in text. */
static int read_key(struct builder *b, const yaml_event_t *event)
{
    struct yaml_scalar scalar;
    int64_t integer;
    b->key_mark = event->start_mark;
    if (event->type != YAML_SCALAR_EVENT)
        return fail_at(b, event->start_mark, 400, "a key must be a text, not %s",
                       event->type == YAML_ALIAS_EVENT ? "an alias" : "a list or an object");
    if (is_merge(event))
        return fail_at(b, event->start_mark, 400,
                       "merge keys (<<) are not supported; write out the fields");
    if (event->data.scalar.anchor)
        return fail_at(b, event->start_mark, 400, "an anchor is not allowed on a key");
    if (resolve_tagged(b, event, &scalar) < 0)
        return -1;
    switch (scalar.kind) {
    case YAML_SCALAR_STRING:
        return copy_text(b, event, &b->key);
    case YAML_SCALAR_BOOL:
        b->key = scalar.boolean ? STR("true") : STR("false");
        return 0;
    case YAML_SCALAR_INT:
        if (str_to_int64((struct str){scalar.number, scalar.len}, &integer))
            return copy_number(b, &scalar, &b->key);
        break;
    default:
        break;
    }
    return fail_at(b, event->start_mark, 400, "this key is no text; put it in quotes");
}

/* ---- events ---- */

static int open_container(struct builder *b, const yaml_event_t *event)
{
    bool array = event->type == YAML_SEQUENCE_START_EVENT;
    const unsigned char *tag =
        array ? event->data.sequence_start.tag : event->data.mapping_start.tag;
    const unsigned char *anchor =
        array ? event->data.sequence_start.anchor : event->data.mapping_start.anchor;
    if (tag && strcmp((const char *)tag, array ? YAML_SEQ_TAG : YAML_MAP_TAG) != 0)
        return fail_at(b, event->start_mark, 400, "the tag <%s> is not supported here", tag);
    if (b->depth == b->reader->limits->max_depth)
        return fail_at(b, event->start_mark, 413, "nested deeper than %zu levels (the limit)",
                       b->reader->limits->max_depth);
    struct json *value = add_value(b, event, array ? JSON_ARRAY : JSON_OBJECT);
    if (!value || add_anchor(b, event->start_mark, anchor, value) < 0)
        return -1;
    value->next = b->open;
    b->open = value;
    b->tail = NULL;
    b->depth++;
    return 0;
}

static void close_container(struct builder *b)
{
    struct json *value = b->open;
    if (!value)
        return; /* libyaml's events are balanced */
    b->open = value->next;
    value->next = NULL;
    value->last = b->tail;
    b->tail = value;
    b->depth--;
}

static int begin_document(struct builder *b, const yaml_event_t *event)
{
    bool implicit = event->data.document_start.implicit;
    if (implicit && b->reader->documents > 0)
        return fail_at(b, event->start_mark, 400, "a further document must begin with \"---\"");
    b->reader->documents++;
    b->marker_line = implicit ? SIZE_MAX : event->start_mark.line;
    return 0;
}

/* Adds what the event brings to the document. */
static int add_event(struct builder *b, const yaml_event_t *event)
{
    if (event->type == YAML_MAPPING_END_EVENT || event->type == YAML_SEQUENCE_END_EVENT) {
        close_container(b);
        return 0;
    }
    /* kubectl cuts the text at lines that begin with "---" and refuses more on such a line. An
     * empty value stands where the "---" ends. */
    bool empty = event->type == YAML_SCALAR_EVENT && event->data.scalar.length == 0;
    if (!b->root && event->start_mark.line == b->marker_line && !empty)
        return fail_at(b, event->start_mark, 400, "only a comment may follow \"---\" on its line");
    if (json_is(b->open, JSON_OBJECT) && !str_is_set(b->key))
        return read_key(b, event);
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return add_scalar(b, event);
    case YAML_ALIAS_EVENT:
        return add_alias(b, event);
    default:
        return open_container(b, event);
    }
}

/* One event: 1 when it ends a document, 0 when there is more, -1 with *err filled. The end of the
 * stream makes the reader one that reads no more. */
static int step(struct builder *b, yaml_parser_t *parser)
{
    yaml_event_t event;
    if (!yaml_parser_parse(parser, &event))
        return fail_syntax(b, parser);
    int rc = 0;
    switch (event.type) {
    case YAML_NO_EVENT:
    case YAML_STREAM_END_EVENT:
        b->reader->state = YAML_READS_NO_MORE;
        break;
    case YAML_STREAM_START_EVENT:
        break;
    case YAML_DOCUMENT_START_EVENT:
        rc = begin_document(b, &event);
        break;
    case YAML_DOCUMENT_END_EVENT:
        rc = 1;
        break;
    default:
        rc = add_event(b, &event);
        break;
    }
    yaml_event_delete(&event);
    return rc;
}

/*
 * What libyaml takes but must not be here. A line that begins with '%' is a directive (or a text in
 * quotes that goes on at the margin): directives are of no use in Kubernetes, and libyaml needs
 * quadratic time for many. A byte order mark at the beginning of a line is dropped by libyaml and
 * kept by kubectl.
 */
static int check_text(struct builder *b)
{
    struct str text = b->reader->source.text, rest;
    yaml_mark_t mark = {0};
    for (; str_is_set(text); text = rest, mark.line++) {
        if (str_starts_with(text, STR("%")))
            return fail_at(b, mark, 400,
                           "directives, lines that begin with '%%', are not supported");
        str_cut(text, '\n', &text, &rest);
        if (text.len > 0 && memmem(text.ptr, text.len, byte_order_mark.ptr, byte_order_mark.len))
            return fail_at(b, mark, 400,
                           "there is a byte order mark (U+FEFF) in this line; only the first line "
                           "may begin with one");
    }
    return 0;
}

/* libyaml's parser over what is to be read; NULL with *err filled. */
static yaml_parser_t *begin_yaml(struct builder *b)
{
    if (check_text(b) < 0)
        return NULL;
    yaml_parser_t *parser = malloc(sizeof(*parser));
    if (!parser || !yaml_parser_initialize(parser)) {
        free(parser);
        fail_memory(b);
        return NULL;
    }
    struct str text = b->reader->source.text;
    yaml_parser_set_input_string(parser, (const unsigned char *)text.ptr, text.len);
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
    return parser;
}

static int next_yaml(struct yaml_reader *reader, struct arena *arena, struct json **ret,
                     struct err *err)
{
    struct builder first = {.reader = reader, .arena = arena, .marker_line = SIZE_MAX, .err = err};
    struct builder b = first;
    if (!reader->parser)
        reader->parser = begin_yaml(&b);
    yaml_parser_t *parser = reader->parser;
    if (!parser)
        return -1;
    while (reader->state == YAML_READS_YAML) {
        int rc = step(&b, parser);
        if (rc < 0)
            return -1;
        if (rc > 0 && !json_is(b.root, JSON_NULL)) {
            *ret = b.root;
            return 1;
        }
        if (rc > 0)
            b = first;
    }
    return 0;
}

/* ---- JSON ---- */

/* The text behind blanks and line ends. */
static struct str skip_blanks(struct str text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t' || text.ptr[0] == '\n' ||
                            text.ptr[0] == '\r'))
        text = str_sub(text, 1, text.len);
    return text;
}

/* Whether a text that begins with '{' is meant to be JSON, not YAML in flow style. */
static bool looks_like_json(struct str text)
{
    struct str inside = skip_blanks(str_sub(skip_blanks(text), 1, text.len));
    return str_starts_with(inside, STR("\"")) || str_starts_with(inside, STR("}"));
}

/*
 * The next value of a text that began with '{'. What follows the values may still be YAML, and so
 * may be the whole when its first value is no JSON; when it is neither, the message is about what
 * it looks like.
 */
static int next_json(struct yaml_reader *reader, struct arena *arena, struct json **ret,
                     struct err *err)
{
    struct str rest = skip_blanks(reader->source.text);
    if (rest.len == 0)
        return 0;
    struct err json_err, yaml_err;
    if (rest.ptr[0] == '{') {
        *ret = json_read_next(arena, &reader->source, reader->limits, &json_err);
        if (*ret) {
            reader->documents++;
            return 1;
        }
        if (reader->documents > 0 || json_err.code != 400) {
            *err = json_err;
            return -1;
        }
    }
    bool json = looks_like_json(rest) && rest.ptr[0] == '{';
    reader->state = YAML_READS_YAML;
    int rc = next_yaml(reader, arena, ret, &yaml_err);
    if (rc < 0)
        *err = json && yaml_err.code == 400 ? json_err : yaml_err;
    return rc;
}

/* ---- the stream ---- */

void yaml_reader_init(struct yaml_reader *reader, struct str text, const struct json_limits *limits)
{
    if (str_starts_with(text, byte_order_mark))
        text = str_sub(text, byte_order_mark.len, text.len);
    if (text.len == 0)
        text = STR("");
    *reader = (struct yaml_reader){
        .limits = limits,
        .source = {text, 1, text.ptr},
        .state = str_starts_with(skip_blanks(text), STR("{")) ? YAML_READS_JSON : YAML_READS_YAML,
    };
}

void yaml_reader_done(struct yaml_reader *reader)
{
    if (reader->parser) {
        yaml_parser_delete(reader->parser);
        free(reader->parser);
    }
    *reader = (struct yaml_reader){0};
}

int yaml_reader_next(struct yaml_reader *reader, struct arena *arena, struct json **ret,
                     struct err *err)
{
    int rc = 0;
    struct json *value = NULL;
    if (reader->state != YAML_READS_NO_MORE && reader->source.text.len > YAML_TEXT_MAX)
        rc = err_set(err, 413, "the text has more than %d bytes (the limit)", YAML_TEXT_MAX);
    else if (reader->state == YAML_READS_JSON)
        rc = next_json(reader, arena, &value, err);
    else if (reader->state == YAML_READS_YAML)
        rc = next_yaml(reader, arena, &value, err);
    if (rc > 0)
        *ret = value;
    else
        reader->state = YAML_READS_NO_MORE;
    return rc;
}
