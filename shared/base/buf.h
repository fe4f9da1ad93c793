/*
 * A growing byte buffer with a maximum. Failure is sticky: writers append without looking and ask once
 * at the end with buf_failed(); after a failure nothing more is appended, so that no half-written
 * output is taken for whole. The content is not NUL-terminated.
 *
 * The memory comes from `mem`: mem_system() for a buffer of its own (buf_done() gives it back), or
 * arena_mem() for one that lives and dies with its arena.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/mem.h"
#include "base/str.h"

#include <stdarg.h>

struct buf {
    const struct mem *mem;
    char *ptr;
    size_t len;
    size_t cap;
    size_t max; /* bytes; a write that would go beyond it fails */
    bool failed;
};

void buf_init(struct buf *buf, const struct mem *mem, size_t max);
/* Gives the memory back; the buffer is then empty and may be used again. Accepts a zeroed buffer. */
void buf_done(struct buf *buf);
/* Forgets content and failure, keeps the memory. */
void buf_clear(struct buf *buf);

void buf_put(struct buf *buf, struct str s);
void buf_put_char(struct buf *buf, char c);
void buf_put_int(struct buf *buf, int64_t value);
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Room for `size` more bytes at the end, to be filled by the caller who then adds to `len`; NULL after
 * a failure. */
char *buf_reserve(struct buf *buf, size_t size);

static inline bool buf_failed(const struct buf *buf)
{
    return buf->failed;
}

/* What is in it; valid until the next write. */
static inline struct str buf_str(const struct buf *buf)
{
    return (struct str){buf->ptr ? buf->ptr : "", buf->len};
}

#endif
