/*
 * Writing YAML in block style.
 *
 * A string stands plain when the reader of kubectl takes it for a string, else in quotes; text of
 * several lines is a literal block (|). What is written is a safe subset of YAML 1.1 and 1.2.
 */
#include "base/utf8.h"
#include "json/yaml.h"
#include "json/yaml_scalar.h"

enum {
    INDENT = 2,
    KEY_MAX = 128, /* bytes; libyaml's scanner looks ahead 1,024 characters for the ':' of a key */
};

/* ---- strings ---- */

/* What libyaml's reader takes, and what is no line break in YAML 1.1. Tabs are allowed in quotes,
 * but no one sees them there. */
static bool is_printable(uint32_t code)
{
    if (code < 0x80)
        return code >= 0x20 && code != 0x7F;
    if (code < 0xA0 || code == 0x2028 || code == 0x2029 || code == 0xFEFF)
        return false;
    return code != 0xFFFE && code != 0xFFFF;
}

/* Whether it is UTF-8 and all characters are printable, or line ends where `lines` allows them. */
static bool is_clean(struct str text, bool lines)
{
    while (text.len > 0) {
        uint32_t code;
        size_t len = utf8_decode(text, &code);
        if (len == 0 || (!is_printable(code) && !(lines && code == '\n')))
            return false;
        text = str_sub(text, len, text.len);
    }
    return true;
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/*
 * Dates and base-60 numbers (1:20) are strings for kubectl, which writes them in quotes all the
 * same, because other readers of YAML 1.1 take them for what they look like.
 */
static bool looks_like_time(struct str text)
{
    size_t digits = 0, colons = 0, dates = 0;
    bool sign = text.len > 0 && is_one_of(text.ptr[0], "+-");
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        digits += digits == i && c >= '0' && c <= '9';
        colons += c == ':';
        dates += is_one_of(c, "TtZz ");
        if (!((c >= '0' && c <= '9') || is_one_of(c, "_:.+-TtZz ")))
            return false;
    }
    bool date = digits == 4 && text.len > 4 && text.ptr[4] == '-';
    return date || (colons > 0 && dates == 0 && (digits > 0 || sign));
}

/* Whether the characters mean a string when they stand without quotes in a block. */
static bool can_be_plain(struct str text)
{
    char first = text.len > 0 ? text.ptr[0] : '\0';
    char last = text.len > 0 ? text.ptr[text.len - 1] : '\0';
    if (text.len == 0 || is_one_of(first, " ,[]{}#&*!|>'\"%@`") || is_one_of(last, " :"))
        return false;
    if (is_one_of(first, "-?:") && (text.len == 1 || text.ptr[1] == ' '))
        return false;
    if (str_starts_with(text, STR("---")) || str_starts_with(text, STR("...")) ||
        str_eq(text, STR("<<")))
        return false;
    for (size_t i = 0; i + 1 < text.len; i++) {
        char c = text.ptr[i], next = text.ptr[i + 1];
        if ((c == ':' && next == ' ') || (c == ' ' && next == '#'))
            return false;
    }
    return true;
}

static void write_single_quoted(struct buf *buf, struct str text)
{
    buf_put_char(buf, '\'');
    struct str rest;
    while (str_cut(text, '\'', &text, &rest)) {
        buf_put(buf, text);
        buf_put(buf, STR("''"));
        text = rest;
    }
    buf_put(buf, text);
    buf_put_char(buf, '\'');
}

/* JSON's escapes are YAML's too, but YAML needs them for more characters. */
static void write_double_quoted(struct buf *buf, struct str text)
{
    static const char names[] = "\"\\\b\f\n\r\t", escapes[] = "\"\\bfnrt";
    buf_put_char(buf, '"');
    while (text.len > 0) {
        uint32_t code;
        size_t len = utf8_decode(text, &code);
        const char *found = len == 1 && code ? strchr(names, (int)code) : NULL;
        if (len == 0) {
            buf_put(buf, STR(UTF8_REPLACEMENT));
        } else if (found) {
            buf_put_char(buf, '\\');
            buf_put_char(buf, escapes[found - names]);
        } else if (is_printable(code)) {
            buf_put(buf, str_sub(text, 0, len));
        } else {
            buf_printf(buf, "\\u%04x", (unsigned)code); /* none of them is beyond U+FFFF */
        }
        text = str_sub(text, len ? len : 1, text.len);
    }
    buf_put_char(buf, '"');
}

static void write_one_line(struct buf *buf, struct str text)
{
    if (!is_clean(text, false) || yaml_scalar_resolve(text).kind != YAML_SCALAR_STRING ||
        looks_like_time(text))
        write_double_quoted(buf, text);
    else if (!can_be_plain(text))
        write_single_quoted(buf, text);
    else
        buf_put(buf, text);
}

/* Whether a literal block says the same: several lines, and the first shows the indentation. */
static bool can_be_literal(struct str text)
{
    return str_find(text, '\n') > 0 && !str_starts_with(text, STR(" ")) && is_clean(text, true);
}

static void write_blanks(struct buf *buf, size_t count)
{
    char *to = buf_reserve(buf, count);
    if (!to)
        return;
    memset(to, ' ', count);
    buf->len += count;
}

/* Lines that are not empty are indented. The line end that the caller writes is the last one. */
static void write_literal(struct buf *buf, struct str text, size_t indent)
{
    size_t ends = 0;
    while (ends < text.len && text.ptr[text.len - ends - 1] == '\n')
        ends++;
    buf_put(buf, ends == 0 ? STR("|-") : ends == 1 ? STR("|") : STR("|+"));
    struct str line, rest = str_sub(text, 0, ends > 0 ? text.len - 1 : text.len);
    bool more = true;
    while (more) {
        more = str_cut(rest, '\n', &line, &rest);
        buf_put_char(buf, '\n');
        if (line.len > 0)
            write_blanks(buf, indent);
        buf_put(buf, line);
    }
}

/* ---- values ---- */

static bool is_block(const struct json *value)
{
    return json_first(value) != NULL;
}

static void write_scalar(struct buf *buf, const struct json *value, size_t indent)
{
    switch (value ? value->type : JSON_NULL) {
    case JSON_STRING:
        if (can_be_literal(json_str(value)))
            write_literal(buf, json_str(value), indent);
        else
            write_one_line(buf, json_str(value));
        return;
    case JSON_ARRAY:
        buf_put(buf, STR("[]"));
        return;
    case JSON_OBJECT:
        buf_put(buf, STR("{}"));
        return;
    default:
        json_write(buf, value);
        return;
    }
}

static void write_block(struct buf *buf, const struct json *value, size_t indent, bool in_line);

/* A member from its key to its line end. A long key needs the form that begins with '?'. */
static void write_member(struct buf *buf, const struct json *member, size_t indent)
{
    bool long_key = member->key_len > KEY_MAX;
    if (long_key)
        buf_put(buf, STR("? "));
    write_one_line(buf, json_key(member));
    if (long_key) {
        buf_put_char(buf, '\n');
        write_blanks(buf, indent);
    }
    buf_put_char(buf, ':');
    if (is_block(member)) {
        buf_put_char(buf, '\n');
        /* The dashes of a list stand below the key. */
        write_block(buf, member, json_is(member, JSON_ARRAY) ? indent : indent + INDENT, false);
    } else {
        buf_put_char(buf, ' ');
        write_scalar(buf, member, indent + INDENT);
        buf_put_char(buf, '\n');
    }
}

static void write_element(struct buf *buf, const struct json *element, size_t indent)
{
    buf_put(buf, STR("- "));
    if (is_block(element)) {
        write_block(buf, element, indent + INDENT, true);
    } else {
        write_scalar(buf, element, indent + INDENT);
        buf_put_char(buf, '\n');
    }
}

/* A container that is not empty. `in_line`: its first child goes on behind "- ". */
static void write_block(struct buf *buf, const struct json *value, size_t indent, bool in_line)
{
    JSON_EACH (child, value) {
        if (!in_line || child != value->first)
            write_blanks(buf, indent);
        if (value->type == JSON_OBJECT)
            write_member(buf, child, indent);
        else
            write_element(buf, child, indent);
    }
}

void yaml_write(struct buf *buf, const struct json *value)
{
    if (is_block(value)) {
        write_block(buf, value, 0, false);
        return;
    }
    write_scalar(buf, value, INDENT);
    buf_put_char(buf, '\n');
}
