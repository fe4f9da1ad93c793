/*
 * Structured logging: one line per event, as JSON or as text for people.
 *
 *   struct log_sink sink;
 *   log_sink_init_fd(&sink, STDERR_FILENO, LOG_JSON, LOG_LEVEL_INFO, clock_system());
 *   struct log log = {.sink = &sink};
 *   log_info(&log, "certificate reloaded", LOG_STR("file", file), LOG_INT("days", days));
 *
 * A program has one sink. A `struct log` is a small value that is passed down by pointer; a child,
 * with a correlation id or with fields that all its lines carry, is another value on the stack that
 * points to its parent. Nothing is allocated. May be used by any number of threads: each line is
 * one write(2) of at most LOG_LINE_MAX bytes, which is PIPE_BUF, so that lines never mix, on a pipe
 * neither.
 *
 * Messages are literals (the macros insist); what varies belongs into fields. All text is escaped:
 * bytes that are no UTF-8, control characters and line ends cannot forge a line or reach a
 * terminal. What does not fit (LOG_VALUE_MAX for one value) is cut, marked with "…", and the line
 * stays valid. A line that cannot be written is counted and lost. A NULL log is silent.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

#include <stdatomic.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_JSON, LOG_TEXT };

/* The names of the two, in the order of the enums and with a NULL at the end, as a table of flags
 * wants them. */
extern const char *const log_level_names[];
extern const char *const log_format_names[];

enum { LOG_LINE_MAX = 4096, LOG_VALUE_MAX = 1024 }; /* bytes, escaped */

struct log_sink {
    /* Takes a whole line with its line end; false when it could not be written. Called by several
     * threads at once. */
    bool (*write)(void *ctx, struct str line);
    void *ctx;
    const struct clock *clock;
    enum log_format format;
    enum log_level level;  /* lines below it are not made; not to be changed once threads run */
    int fd;                /* of log_sink_init_fd() */
    _Atomic uint64_t lost; /* lines that could not be written */
};

void log_sink_init(struct log_sink *sink, bool (*write)(void *ctx, struct str line), void *ctx,
                   enum log_format format, enum log_level level, const struct clock *clock);
/* Writes to a file descriptor, which stays the caller's. The sink must not be moved. */
void log_sink_init_fd(struct log_sink *sink, int fd, enum log_format format, enum log_level level,
                      const struct clock *clock);

enum log_type {
    LOG_TYPE_STR,
    LOG_TYPE_INT,
    LOG_TYPE_UINT,
    LOG_TYPE_BOOL,
    LOG_TYPE_DOUBLE,
    LOG_TYPE_ERR
};

/* Made with the macros below. The names must not be ts, level, msg, correlationID or truncated. */
struct log_field {
    const char *name;
    enum log_type type;
    union {
        struct str str;
        int64_t i;
        uint64_t u;
        bool b;
        double d;
        const struct err *err;
    } value;
};

/* A `struct str`; an absent one is null. */
#define LOG_STR(n, s)    ((struct log_field){.name = (n), .type = LOG_TYPE_STR, .value.str = (s)})
#define LOG_CSTR(n, s)   LOG_STR(n, str_from_cstr(s))
#define LOG_INT(n, v)    ((struct log_field){.name = (n), .type = LOG_TYPE_INT, .value.i = (v)})
#define LOG_UINT(n, v)   ((struct log_field){.name = (n), .type = LOG_TYPE_UINT, .value.u = (v)})
#define LOG_BOOL(n, v)   ((struct log_field){.name = (n), .type = LOG_TYPE_BOOL, .value.b = (v)})
#define LOG_DOUBLE(n, v) ((struct log_field){.name = (n), .type = LOG_TYPE_DOUBLE, .value.d = (v)})
/* A duration in nanoseconds, shown in milliseconds: name it so ("durationMs"). */
#define LOG_MS(n, ns)    LOG_DOUBLE(n, (double)(ns) / (double)CLOCK_NS_PER_MS)
/* A `const struct err *`: "error", with the field in front of the message when there is one. */
#define LOG_ERR(e)       ((struct log_field){.name = "error", .type = LOG_TYPE_ERR, .value.err = (e)})

struct log {
    struct log_sink *sink;     /* NULL is silent */
    const struct log *parent;  /* whose fields come first; NULL for none */
    struct str correlation_id; /* absent for none */
    const struct log_field *fields;
    size_t field_count;
};

/*
 * A child of `parent`, which, like the id and the fields, must outlive it. Without an id of its own
 * it has its parent's. The child of a NULL log is silent.
 *
 *   struct log log = log_child(parent, STR(uuid), NULL, 0);
 */
struct log log_child(const struct log *parent, struct str correlation_id,
                     const struct log_field *fields, size_t field_count);

static inline bool log_is_on(const struct log *log, enum log_level level)
{
    return log && log->sink && level >= log->sink->level;
}

/* For the macros: fields whose name is NULL are passed over. */
void log_write(const struct log *log, enum log_level level, const char *message,
               const struct log_field *fields, size_t field_count);

/* The fields are evaluated only when the level is on. */
#define LOG_AT(log_, level_, message_, ...)                              \
    do {                                                                 \
        const struct log *log_at_ = (log_);                              \
        if (log_is_on(log_at_, (level_))) {                              \
            const struct log_field log_fields_[] = {{0}, ##__VA_ARGS__}; \
            log_write(log_at_, (level_), "" message_, log_fields_,       \
                      sizeof(log_fields_) / sizeof(log_fields_[0]));     \
        }                                                                \
    } while (0)

#define log_debug(log, message, ...) LOG_AT(log, LOG_LEVEL_DEBUG, message, ##__VA_ARGS__)
#define log_info(log, message, ...)  LOG_AT(log, LOG_LEVEL_INFO, message, ##__VA_ARGS__)
#define log_warn(log, message, ...)  LOG_AT(log, LOG_LEVEL_WARN, message, ##__VA_ARGS__)
#define log_error(log, message, ...) LOG_AT(log, LOG_LEVEL_ERROR, message, ##__VA_ARGS__)

#endif
