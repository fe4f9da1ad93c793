/* Log lines as JSON or as text. */
#include "base/log.h"

#include "base/utf8.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

_Static_assert(LOG_LINE_MAX <= PIPE_BUF, "a longer line could mix with others on a pipe");

const char *const log_level_names[] = {"debug", "info", "warn", "error", NULL};
const char *const log_format_names[] = {"json", "text", NULL};

static const char ellipsis[] = "…";
static const char json_end[] = "}\n";
static const char json_end_cut[] = ",\"truncated\":true}\n";
static const char text_end[] = "\n";
static const char text_end_cut[] = " …\n";

/* A line is filled up to here; what closes it (an ellipsis, a quote, one of the ends) fits behind.
 */
enum { LINE_LIMIT = LOG_LINE_MAX - sizeof(ellipsis) - 1 - sizeof(json_end_cut) };

struct line {
    enum log_format format;
    bool cut;  /* something is missing from it */
    bool full; /* nothing more is put into it */
    size_t len;
    char text[LOG_LINE_MAX];
};

/* Appends what there is always room for: see LINE_LIMIT. */
static void close_with(struct line *line, const char *text)
{
    size_t len = strlen(text);
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

/* Whether it fitted. */
static bool put(struct line *line, struct str s)
{
    if (line->full || line->len + s.len > LINE_LIMIT) {
        line->full = line->cut = true;
        return false;
    }
    memcpy(line->text + line->len, s.ptr, s.len);
    line->len += s.len;
    return true;
}

/* Characters that a terminal or a viewer of logs acts upon: controls, separators of lines, changes
 * of the direction of writing. */
static bool is_unsafe(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x2028 && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069);
}

/* Takes one character off the front of *s and writes its harmless form, which fits into `to`. */
static size_t escape_character(struct str *s, bool quoted, char to[8])
{
    uint32_t c = 0;
    size_t len = utf8_decode(*s, &c);
    size_t written = len;
    if (len == 0) {
        len = 1;
        written = sizeof(UTF8_REPLACEMENT) - 1;
        memcpy(to, UTF8_REPLACEMENT, written);
    } else if (c == '\n' || c == '\r' || c == '\t' || (quoted && (c == '"' || c == '\\'))) {
        char letter = c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : (char)c;
        to[0] = '\\';
        to[1] = letter;
        written = 2;
    } else if (is_unsafe(c)) {
        written = (size_t)snprintf(to, 8, "\\u%04x", c & 0xFFFF);
    } else {
        memcpy(to, s->ptr, len);
    }
    *s = str_sub(*s, len, s->len);
    return written;
}

/* At most LOG_VALUE_MAX bytes of text; cut text ends with an ellipsis. Whether more can follow. */
static bool put_escaped(struct line *line, struct str s, bool quoted)
{
    size_t value_limit = line->len + LOG_VALUE_MAX;
    size_t limit = value_limit < LINE_LIMIT ? value_limit : LINE_LIMIT;
    while (s.len > 0) {
        char escaped[8];
        size_t len = escape_character(&s, quoted, escaped);
        if (line->len + len > limit) {
            close_with(line, ellipsis);
            line->cut = true;
            line->full = limit == LINE_LIMIT;
            return !line->full;
        }
        memcpy(line->text + line->len, escaped, len);
        line->len += len;
    }
    return true;
}

static bool put_quoted(struct line *line, struct str s)
{
    if (!put(line, STR("\"")))
        return false;
    put_escaped(line, s, true);
    close_with(line, "\"");
    return true;
}

/* Text that could be taken for something else is quoted in the text format. */
static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= ' ' || c >= 0x7F || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return s.len > 0;
}

static bool put_string(struct line *line, struct str s)
{
    if (!str_is_set(s))
        return line->format == LOG_TEXT || put(line, STR("null"));
    if (line->format == LOG_JSON || !is_plain(s) || s.len > LOG_VALUE_MAX)
        return put_quoted(line, s);
    return put(line, s);
}

static bool put_error(struct line *line, const struct err *err)
{
    char text[ERR_FIELD_MAX + sizeof(": ") + ERR_MESSAGE_MAX];
    snprintf(text, sizeof(text), "%s%s%s", err->field, err->field[0] ? ": " : "", err->message);
    return put_string(line, str_from_cstr(text));
}

static bool put_double(struct line *line, double value)
{
    char text[32];
    snprintf(text, sizeof(text), "%.15g", value);
    /* JSON has no NaN and no infinity. */
    return isfinite(value) ? put(line, str_from_cstr(text)) : put_string(line, str_from_cstr(text));
}

static bool put_value(struct line *line, const struct log_field *field)
{
    char text[24];
    switch (field->type) {
    case LOG_TYPE_STR:
        return put_string(line, field->value.str);
    case LOG_TYPE_INT:
        snprintf(text, sizeof(text), "%lld", (long long)field->value.i);
        return put(line, str_from_cstr(text));
    case LOG_TYPE_UINT:
        snprintf(text, sizeof(text), "%llu", (unsigned long long)field->value.u);
        return put(line, str_from_cstr(text));
    case LOG_TYPE_BOOL:
        return put(line, field->value.b ? STR("true") : STR("false"));
    case LOG_TYPE_DOUBLE:
        return put_double(line, field->value.d);
    case LOG_TYPE_ERR:
        return put_error(line, field->value.err);
    }
    __builtin_unreachable();
}

static bool put_name(struct line *line, const char *name)
{
    if (line->format == LOG_JSON)
        return put(line, STR(",")) && put_quoted(line, str_from_cstr(name)) && put(line, STR(":"));
    return put(line, STR(" ")) && put_escaped(line, str_from_cstr(name), false) &&
           put(line, STR("="));
}

static void put_field(struct line *line, const struct log_field *field)
{
    size_t start = line->len;
    if (!put_name(line, field->name) || !put_value(line, field))
        line->len = start; /* no half fields */
}

static void put_fields(struct line *line, const struct log_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fields[i].name)
            put_field(line, &fields[i]);
    }
}

static void put_inherited_fields(struct line *line, const struct log *log)
{
    if (log->parent)
        put_inherited_fields(line, log->parent);
    put_fields(line, log->fields, log->field_count);
}

static void put_start(struct line *line, struct str time, enum log_level level, struct str message)
{
    if (line->format == LOG_JSON) {
        put(line, STR("{\"ts\":\""));
        put(line, time);
        put(line, STR("\",\"level\":\""));
        put(line, str_from_cstr(log_level_names[level]));
        put(line, STR("\",\"msg\":"));
        put_quoted(line, message);
        return;
    }
    static const char *const padded_names[] = {" DEBUG ", " INFO  ", " WARN  ", " ERROR "};
    put(line, time);
    put(line, str_from_cstr(padded_names[level]));
    put_escaped(line, message, false);
}

void log_write(const struct log *log, enum log_level level, const char *message,
               const struct log_field *fields, size_t field_count)
{
    struct log_sink *sink = log->sink;
    struct line line;
    line.format = sink->format;
    line.cut = line.full = false;
    line.len = 0;

    char time[CLOCK_TEXT_SIZE];
    put_start(&line, clock_print(clock_wall_ns(sink->clock), CLOCK_MILLIS, time), level,
              str_from_cstr(message));
    if (str_is_set(log->correlation_id))
        put_fields(&line, &LOG_STR("correlationID", log->correlation_id), 1);
    put_inherited_fields(&line, log);
    put_fields(&line, fields, field_count);

    if (line.format == LOG_JSON)
        close_with(&line, line.cut ? json_end_cut : json_end);
    else
        close_with(&line, line.full ? text_end_cut : text_end);
    if (!sink->write(sink->ctx, (struct str){line.text, line.len}))
        atomic_fetch_add_explicit(&sink->lost, 1, memory_order_relaxed);
}

struct log log_child(const struct log *parent, struct str correlation_id,
                     const struct log_field *fields, size_t field_count)
{
    if (!parent)
        return (struct log){0};
    return (struct log){
        .sink = parent->sink,
        .parent = parent,
        .correlation_id = str_is_set(correlation_id) ? correlation_id : parent->correlation_id,
        .fields = fields,
        .field_count = field_count,
    };
}

void log_sink_init(struct log_sink *sink, bool (*write)(void *ctx, struct str line), void *ctx,
                   enum log_format format, enum log_level level, const struct clock *clock)
{
    *sink = (struct log_sink){
        .write = write, .ctx = ctx, .clock = clock, .format = format, .level = level, .fd = -1};
}

static bool write_to_fd(void *ctx, struct str line)
{
    const struct log_sink *sink = ctx;
    ssize_t written;
    do
        written = write(sink->fd, line.ptr, line.len);
    while (written < 0 && errno == EINTR);
    /* The rest of a line that was written in part is not sent after it: it could land in another's.
     */
    return written == (ssize_t)line.len;
}

void log_sink_init_fd(struct log_sink *sink, int fd, enum log_format format, enum log_level level,
                      const struct clock *clock)
{
    log_sink_init(sink, write_to_fd, sink, format, level, clock);
    sink->fd = fd;
}
