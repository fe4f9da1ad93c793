/* Writing JSON values. */
#include "base/utf8.h"
#include "json/json.h"
#include "json/scan.h"

static void write_special(struct buf *buf, char c)
{
    static const char hex[] = "0123456789abcdef", names[] = "\"\\\b\f\n\r\t",
                      escapes[] = "\"\\bfnrt";
    const char *found = c ? strchr(names, c) : NULL;
    unsigned char byte = (unsigned char)c;
    char text[] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
    if (found)
        text[1] = escapes[found - names];
    buf_put(buf, (struct str){text, found ? 2 : sizeof(text)});
}

/* Most strings have nothing special: they are written in one go. */
static void write_plain(struct buf *buf, struct str text)
{
    char *to = buf_reserve(buf, text.len + 2);
    if (!to)
        return;
    to[0] = '"';
    if (text.len > 0)
        memcpy(to + 1, text.ptr, text.len);
    to[text.len + 1] = '"';
    buf->len += text.len + 2;
}

/* The first byte that has to be replaced, or `end`. */
static const char *skip_clean(const char *at, const char *end)
{
    uint32_t code;
    for (;;) {
        at = json_skip_plain(at, end);
        bool beyond_ascii = at < end && (unsigned char)*at >= 0x80;
        size_t len = beyond_ascii ? utf8_decode((struct str){at, (size_t)(end - at)}, &code) : 0;
        if (len == 0)
            return at;
        at += len;
    }
}

void json_write_str(struct buf *buf, struct str text)
{
    const char *at = text.len > 0 ? text.ptr : "", *end = at + text.len;
    if (json_skip_plain(at, end) == end) {
        write_plain(buf, text);
        return;
    }
    buf_put_char(buf, '"');
    while (at < end) {
        const char *plain_end = skip_clean(at, end);
        buf_put(buf, (struct str){at, (size_t)(plain_end - at)});
        at = plain_end;
        if (at == end)
            break;
        if ((unsigned char)*at >= 0x80)
            buf_put(buf, STR(UTF8_REPLACEMENT));
        else
            write_special(buf, *at);
        at++;
    }
    buf_put_char(buf, '"');
}

/* The blanks per level and the level to write at; `lines` false is the compact form. */
struct layout {
    bool lines;
    int indent;
    int level;
};

static void new_line(struct buf *buf, struct layout layout)
{
    if (!layout.lines)
        return;
    size_t blanks = (size_t)layout.indent * (size_t)layout.level;
    char *to = buf_reserve(buf, blanks + 1);
    if (!to)
        return;
    to[0] = '\n';
    memset(to + 1, ' ', blanks);
    buf->len += blanks + 1;
}

static void write_value(struct buf *buf, const struct json *value, struct layout layout);

static void write_container(struct buf *buf, const struct json *value, struct layout layout)
{
    bool object = value->type == JSON_OBJECT;
    struct layout inner = {layout.lines, layout.indent, layout.level + 1};
    buf_put_char(buf, object ? '{' : '[');
    JSON_EACH (child, value) {
        if (child != value->first)
            buf_put_char(buf, ',');
        new_line(buf, inner);
        if (object) {
            json_write_str(buf, json_key(child));
            buf_put(buf, layout.lines ? STR(": ") : STR(":"));
        }
        write_value(buf, child, inner);
    }
    if (value->first)
        new_line(buf, layout);
    buf_put_char(buf, object ? '}' : ']');
}

static void write_value(struct buf *buf, const struct json *value, struct layout layout)
{
    switch (value ? value->type : JSON_NULL) {
    case JSON_NULL:
        buf_put(buf, STR("null"));
        return;
    case JSON_BOOL:
        buf_put(buf, value->boolean ? STR("true") : STR("false"));
        return;
    case JSON_NUMBER:
        buf_put(buf, (struct str){value->text, value->len});
        return;
    case JSON_STRING:
        json_write_str(buf, json_str(value));
        return;
    case JSON_ARRAY:
    case JSON_OBJECT:
        write_container(buf, value, layout);
        return;
    }
}

void json_write(struct buf *buf, const struct json *value)
{
    write_value(buf, value, (struct layout){.lines = false});
}

void json_write_pretty(struct buf *buf, const struct json *value, int indent)
{
    write_value(buf, value, (struct layout){.lines = true, .indent = indent});
}
