/*
 * The strict reader of JSON: one pass over the text, without recursion. While a container is open,
 * its `next` points to the container around it, so the values themselves are the stack.
 *
 * Columns in messages count bytes from 1.
 */
#include "json/read.h"
#include "base/utf8.h"
#include "json/json.h"
#include "json/keyset.h"
#include "json/number.h"
#include "json/scan.h"

#include <stdio.h>

enum {
    SLAB_NODES = 64, /* values that are taken from the arena at once */
    TEXT_MAX = 1024 * 1024 * 1024,
    LEFT_OUT_DEPTH_MAX = 3, /* of the object in a watch event; what a user has named so is deeper */
};

const struct json_limits json_limits_default = {.max_depth = 64, .max_values = 400000};

struct reader {
    const char *at; /* the next byte */
    const char *end;
    const char *line_start;
    uint32_t line;
    size_t depth;
    size_t values;
    const struct json_limits *limits;
    struct arena *arena;
    struct json *slab, *slab_end; /* zeroed, ready for use */
    struct json *open;            /* the innermost container that is being read, or NULL */
    struct json *tail;            /* its last child so far, or NULL */
    struct json_keys keys;
    struct err *err;
};

/* Raises an error at the byte `at`. */
static int fail_at(struct reader *r, const char *at, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5), cold, noinline));

static int fail_at(struct reader *r, const char *at, int code, const char *fmt, ...)
{
    char what[ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    /* A text that was cut here is cut again, with a mark, in err_set(). */
    err_set(r->err, code, "line %u, column %zu: %s", r->line, (size_t)(at - r->line_start) + 1,
            n < 0 ? "" : what);
    r->err->line = r->line;
    return -1;
}

/* Raises an error because of the byte `at`, or because the text ends there. */
__attribute__((cold, noinline)) static int fail_expected(struct reader *r, const char *expected)
{
    if (r->at == r->end)
        return fail_at(r, r->at, 400, "expected %s, but the text ends here", expected);
    unsigned char c = (unsigned char)*r->at;
    if (c > ' ' && c < 0x7F)
        return fail_at(r, r->at, 400, "expected %s, not '%c'", expected, c);
    return fail_at(r, r->at, 400, "expected %s, not the byte 0x%02X", expected, c);
}

static inline void skip_blanks(struct reader *r)
{
    for (; r->at < r->end && (unsigned char)*r->at <= ' '; r->at++) {
        if (*r->at == '\n') {
            r->line++;
            r->line_start = r->at + 1;
        } else if (*r->at != ' ' && *r->at != '\r' && *r->at != '\t') {
            return;
        }
    }
}

/* ---- strings ---- */

static bool read_hex4(const char *at, const char *end, uint32_t *ret)
{
    if (end - at < 4)
        return false;
    uint32_t code = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return false;
        code = code << 4 | digit;
    }
    *ret = code;
    return true;
}

/* Checks the escape at `at` (a backslash); its length in the source, 0 with *err filled. A pair of
 * surrogates is one escape. *ret gets its character. */
static size_t read_escape(struct reader *r, const char *at, uint32_t *ret)
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char name = at + 1 < r->end ? at[1] : '\0';
    const char *found = name ? strchr(names, name) : NULL;
    if (found) {
        *ret = (unsigned char)meanings[found - names];
        return 2;
    }
    uint32_t code, low;
    if (name != 'u' || !read_hex4(at + 2, r->end, &code)) {
        fail_at(r, at, 400, "this escape is not one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
        return 0;
    }
    if (code == 0) {
        fail_at(r, at, 400, "the character U+0000 is not allowed");
        return 0;
    }
    *ret = code;
    if (code < 0xD800 || code > 0xDFFF)
        return 6;
    if (code > 0xDBFF || r->end - at < 12 || at[6] != '\\' || at[7] != 'u' ||
        !read_hex4(at + 8, r->end, &low) || low < 0xDC00 || low > 0xDFFF) {
        fail_at(r, at, 400, "\\u%04x is half of a surrogate pair, the other half is missing", code);
        return 0;
    }
    *ret = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    return 12;
}

/* The text between the quotes, which `raw` is, with its escapes replaced. They have been checked.
 */
static int decode_string(struct reader *r, struct str raw, struct str *ret)
{
    char *to = arena_alloc(r->arena, raw.len);
    if (!to)
        return err_no_memory(r->err, "reading JSON");
    char *out = to;
    const char *at = raw.ptr, *end = raw.ptr + raw.len;
    for (;;) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((escape ? escape : end) - at);
        memcpy(out, at, plain);
        out += plain;
        if (!escape)
            break;
        uint32_t code = 0;
        at = escape + read_escape(r, escape, &code);
        out += utf8_encode(code, out);
    }
    *ret = (struct str){to, (size_t)(out - to)};
    return 0;
}

/* One thing in a string that does not stand for itself: its length, or 0 with *err filled. */
static size_t check_special(struct reader *r, const char *at)
{
    uint32_t code;
    if (*at == '\\')
        return read_escape(r, at, &code);
    if ((unsigned char)*at < 0x20) {
        fail_at(r, at, 400, "the control character 0x%02X must be written as \\u%04x in a string",
                (unsigned)*at, (unsigned)*at);
        return 0;
    }
    size_t len = utf8_decode((struct str){at, (size_t)(r->end - at)}, &code);
    if (len == 0)
        fail_at(r, at, 400, "the byte 0x%02X begins no UTF-8 character", (unsigned char)*at);
    return len;
}

/* Goes on at `at` in a string that begins at r->at and has something that does not stand for itself. */
__attribute__((noinline)) static int read_string_from(struct reader *r, const char *at,
                                                      struct str *ret)
{
    const char *start = r->at + 1;
    bool escaped = false;
    for (;; at = json_skip_plain(at, r->end)) {
        if (at == r->end)
            return fail_at(r, r->at, 400, "the string that begins here has no end");
        if (*at == '"')
            break;
        escaped |= *at == '\\';
        size_t len = check_special(r, at);
        if (len == 0)
            return -1;
        at += len;
    }
    r->at = at + 1;
    *ret = (struct str){start, (size_t)(at - start)};
    return escaped ? decode_string(r, *ret, ret) : 0;
}

/* Reads the string at r->at, which is a quote. */
static inline int read_string(struct reader *r, struct str *ret)
{
    const char *start = r->at + 1, *at = json_skip_plain(start, r->end);
    if (at == r->end || *at != '"')
        return read_string_from(r, at, ret);
    r->at = at + 1;
    *ret = (struct str){start, (size_t)(at - start)};
    return 0;
}

/* ---- values ---- */

static inline bool is_digit(const struct reader *r)
{
    return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

static inline int read_digits(struct reader *r)
{
    if (!is_digit(r))
        return fail_expected(r, "a digit");
    while (is_digit(r))
        r->at++;
    return 0;
}

static int read_number(struct reader *r, struct json *value)
{
    const char *start = r->at;
    bool exponent = false;
    r->at += *r->at == '-';
    bool zero = r->at < r->end && *r->at == '0';
    if (read_digits(r) < 0)
        return -1;
    if (zero && *(r->at - 1) != '0')
        return fail_at(r, start, 400, "a number may not begin with a needless 0");
    if (r->at < r->end && *r->at == '.') {
        r->at++;
        if (read_digits(r) < 0)
            return -1;
    }
    if (r->at < r->end && (*r->at | 0x20) == 'e') {
        exponent = true;
        r->at++;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
            r->at++;
        if (read_digits(r) < 0)
            return -1;
    }
    size_t len = (size_t)(r->at - start);
    if (len > NUMBER_TEXT_MAX)
        return fail_at(r, start, 413, "a number of more than %d characters (the limit)",
                       NUMBER_TEXT_MAX);
    /* Fewer than 300 digits without an exponent are always within a double's range. */
    double number;
    if ((exponent || len > 300) && !number_to_double((struct str){start, len}, &number))
        return fail_at(r, start, 400, "the number is beyond what a 64-bit float can hold");
    value->type = JSON_NUMBER;
    value->text = start;
    value->len = (uint32_t)len;
    return 0;
}

static inline int read_word(struct reader *r, struct json *value, struct str word,
                            enum json_type type)
{
    if ((size_t)(r->end - r->at) < word.len || memcmp(r->at, word.ptr, word.len) != 0)
        return fail_expected(r, "a value");
    value->type = type;
    value->boolean = word.ptr[0] == 't';
    r->at += word.len;
    return 0;
}

static inline int open_container(struct reader *r, struct json *value, enum json_type type)
{
    if (r->depth == r->limits->max_depth)
        return fail_at(r, r->at, 413, "nested deeper than %zu levels (the limit)",
                       r->limits->max_depth);
    value->type = type;
    value->next = r->open;
    r->open = value;
    r->tail = NULL;
    r->depth++;
    r->at++;
    return 0;
}

static inline void close_container(struct reader *r)
{
    struct json *value = r->open;
    r->open = value->next;
    value->next = NULL;
    value->last = r->tail;
    r->tail = value;
    r->depth--;
    r->at++;
}

/* Reads the value at r->at into `value`; of a container only how it begins. */
static inline int read_value(struct reader *r, struct json *value)
{
    value->line = r->line;
    struct str text = {NULL, 0};
    switch (r->at < r->end ? *r->at : '\0') {
    case '{':
        return open_container(r, value, JSON_OBJECT);
    case '[':
        return open_container(r, value, JSON_ARRAY);
    case '"':
        if (read_string(r, &text) < 0)
            return -1;
        value->type = JSON_STRING;
        value->text = text.ptr;
        value->len = (uint32_t)text.len;
        return 0;
    case 't':
        return read_word(r, value, STR("true"), JSON_BOOL);
    case 'f':
        return read_word(r, value, STR("false"), JSON_BOOL);
    case 'n':
        return read_word(r, value, STR("null"), JSON_NULL);
    case '-':
    case '0' ... '9':
        return read_number(r, value);
    default:
        return fail_expected(r, "a value");
    }
}

/* A value that is the last child of the open container, or the root. NULL with *err filled. */
static inline struct json *add_node(struct reader *r)
{
    if (r->values == r->limits->max_values) {
        fail_at(r, r->at, 413, "more than %zu values (the limit)", r->limits->max_values);
        return NULL;
    }
    if (r->slab == r->slab_end) {
        /* A value takes two bytes at least, with its comma or brackets. */
        size_t ahead = (size_t)(r->end - r->at) / 2 + 1;
        size_t count = ahead < SLAB_NODES ? ahead : SLAB_NODES;
        r->slab = ARENA_NEW_ARRAY(r->arena, struct json, count);
        r->slab_end = r->slab ? r->slab + count : NULL;
        if (!r->slab) {
            err_no_memory(r->err, "reading JSON");
            return NULL;
        }
    }
    r->values++;
    struct json *value = r->slab++;
    if (r->tail)
        r->tail->next = value;
    else if (r->open)
        r->open->first = value;
    if (r->open)
        r->open->len++;
    r->tail = value;
    return value;
}

/* Reads `"key" :` and adds the member. */
static inline struct json *add_member(struct reader *r)
{
    const char *start = r->at;
    struct str key = {NULL, 0};
    if (r->at == r->end || *r->at != '"') {
        fail_expected(r, "a key in quotes");
        return NULL;
    }
    if (read_string(r, &key) < 0)
        return NULL;
    struct json *member = add_node(r);
    if (!member)
        return NULL;
    member->key = key.ptr;
    member->key_len = (uint32_t)key.len;
    int twice = json_keys_add(&r->keys, r->arena, r->open, member);
    if (twice != 0) {
        if (twice > 0)
            fail_at(r, start, 400, "duplicate key \"%" PRIstr "\"", STR_ARG(key));
        else
            err_no_memory(r->err, "reading JSON");
        return NULL;
    }
    skip_blanks(r);
    if (r->at == r->end || *r->at != ':') {
        fail_expected(r, "':' after the key");
        return NULL;
    }
    r->at++;
    return member;
}

/* ---- what is left out ---- */

/* Behind the string at r->at, whatever is in it. */
static inline int skip_string(struct reader *r)
{
    const char *at = r->at + 1;
    while ((at = json_skip_plain(at, r->end)) < r->end && *at != '"')
        at += *at == '\\' && at + 1 < r->end ? 2 : 1;
    if (at == r->end)
        return fail_at(r, r->at, 400, "the string that begins here has no end");
    r->at = at + 1;
    return 0;
}

/* Behind the container at r->at: brackets are counted, not matched. */
static int skip_container(struct reader *r)
{
    const char *start = r->at;
    size_t depth = 0;
    do {
        skip_blanks(r);
        if (r->at == r->end)
            return fail_at(r, start, 400, "what begins here has no end");
        if (*r->at == '"') {
            if (skip_string(r) < 0)
                return -1;
            continue;
        }
        depth += *r->at == '{' || *r->at == '[';
        depth -= *r->at == '}' || *r->at == ']';
        r->at++;
    } while (depth > 0);
    return 0;
}

static int skip_value(struct reader *r)
{
    struct json ignored = {0};
    skip_blanks(r);
    bool is_container = r->at < r->end && (*r->at == '{' || *r->at == '[');
    return is_container ? skip_container(r) : read_value(r, &ignored);
}

/* At r->at there is a member to be left out. */
static inline bool is_left_out(const struct reader *r)
{
    static const struct str name = STR_INIT("\"managedFields\"");
    return r->limits->leave_out_managed_fields && r->depth <= LEFT_OUT_DEPTH_MAX &&
           str_eq(json_key(r->open), STR("metadata")) &&
           str_starts_with((struct str){r->at, (size_t)(r->end - r->at)}, name);
}

/* Goes on behind what is left out: 1 when another one follows, 0 at the end of the object. */
static int leave_out(struct reader *r)
{
    while (is_left_out(r)) {
        r->at += strlen("\"managedFields\"");
        skip_blanks(r);
        if (r->at == r->end || *r->at != ':')
            return fail_expected(r, "':' after the key");
        r->at++;
        if (skip_value(r) < 0)
            return -1;
        skip_blanks(r);
        if (r->at < r->end && *r->at == '}')
            return 0;
        if (r->at == r->end || *r->at != ',')
            return fail_expected(r, "',' or '}'");
        r->at++;
        skip_blanks(r);
    }
    return 1;
}

/* ---- all ---- */

/* Goes on behind a value, or behind the bracket that opens a container: 1 and *ret is the value to
 * read next, 0 when the root is complete. */
static inline int next_value(struct reader *r, struct json **ret)
{
    while (r->open) {
        bool object = r->open->type == JSON_OBJECT;
        skip_blanks(r);
        if (r->at < r->end && *r->at == (object ? '}' : ']')) {
            close_container(r);
            continue;
        }
        if (r->tail) {
            if (r->at == r->end || *r->at != ',')
                return fail_expected(r, object ? "',' or '}'" : "',' or ']'");
            r->at++;
            skip_blanks(r);
        }
        int more = object ? leave_out(r) : 1;
        if (more < 0)
            return -1;
        if (more == 0)
            continue;
        *ret = object ? add_member(r) : add_node(r);
        return *ret ? 1 : -1;
    }
    return 0;
}

/* Reads the value that comes next, to its end. */
static struct json *read_root(struct reader *r)
{
    skip_blanks(r);
    if (r->at == r->end) {
        fail_at(r, r->at, 400, "expected a value, but there is none");
        return NULL;
    }
    struct json *root = add_node(r), *value = root;
    if (!root)
        return NULL;
    for (int more = 1; more > 0;) {
        skip_blanks(r);
        if (read_value(r, value) < 0)
            return NULL;
        more = next_value(r, &value);
        if (more < 0)
            return NULL;
    }
    return root;
}

static struct reader begin(struct arena *arena, const struct json_source *source,
                           const struct json_limits *limits, struct err *err)
{
    return (struct reader){
        .at = source->text.ptr,
        .end = source->text.ptr + source->text.len,
        .line_start = source->line_start,
        .line = source->line,
        .limits = limits,
        .arena = arena,
        .err = err,
    };
}

struct json *json_read_next(struct arena *arena, struct json_source *source,
                            const struct json_limits *limits, struct err *err)
{
    struct reader r = begin(arena, source, limits, err);
    struct json *root = read_root(&r);
    if (root)
        *source = (struct json_source){{r.at, (size_t)(r.end - r.at)}, r.line, r.line_start};
    return root;
}

struct json *json_read(struct arena *arena, struct str text, const struct json_limits *limits,
                       struct err *err)
{
    if (text.len == 0)
        text = STR("");
    if (text.len > TEXT_MAX) {
        err_set(err, 413, "the text has more than %d bytes (the limit)", TEXT_MAX);
        return NULL;
    }
    struct json_source source = {text, 1, text.ptr};
    struct reader r = begin(arena, &source, limits, err);
    if (str_starts_with(text, STR("\xEF\xBB\xBF"))) {
        fail_at(&r, r.at, 400, "the text begins with a byte order mark");
        return NULL;
    }
    struct json *root = read_root(&r);
    if (!root)
        return NULL;
    skip_blanks(&r);
    if (r.at < r.end) {
        fail_expected(&r, "nothing after the value");
        return NULL;
    }
    return root;
}
