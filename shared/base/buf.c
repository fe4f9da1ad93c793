/* A growing byte buffer with a maximum and a sticky failure. */
#include "base/buf.h"

#include <stdio.h>

enum { BUF_FIRST = 256 };

void buf_init(struct buf *buf, const struct mem *mem, size_t max)
{
    *buf = (struct buf){.mem = mem, .max = max};
}

void buf_done(struct buf *buf)
{
    if (buf->ptr)
        mem_free(buf->mem, buf->ptr, buf->cap);
    buf->ptr = NULL;
    buf->len = buf->cap = 0;
    buf->failed = false;
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

static bool grow(struct buf *buf, size_t need)
{
    size_t cap = buf->cap ? buf->cap : BUF_FIRST;
    while (cap < need && cap <= buf->max / 2)
        cap *= 2;
    /* Beyond half of the maximum it gets all of it, lest each piece copy all that came before. */
    if (cap < need || cap > buf->max)
        cap = buf->max;
    if (cap < need) /* by what does not count against the maximum */
        cap = need;
    char *ptr = mem_alloc(buf->mem, cap);
    if (!ptr)
        return false;
    if (buf->ptr) {
        memcpy(ptr, buf->ptr, buf->len);
        mem_free(buf->mem, buf->ptr, buf->cap);
    }
    buf->ptr = ptr;
    buf->cap = cap;
    return true;
}

/* Room for `size` bytes of content and `spare` ones behind it, which do not count against `max`. */
static char *make_room(struct buf *buf, size_t size, size_t spare)
{
    if (buf->failed)
        return NULL;
    bool fits = buf->len <= buf->max && size <= buf->max - buf->len;
    bool has_room = buf->ptr && size + spare <= buf->cap - buf->len;
    if (!fits || (!has_room && !grow(buf, buf->len + size + spare))) {
        buf->failed = true;
        return NULL;
    }
    return buf->ptr + buf->len;
}

char *buf_reserve(struct buf *buf, size_t size)
{
    return make_room(buf, size, 0);
}

void buf_put(struct buf *buf, struct str s)
{
    char *to = s.len > 0 ? make_room(buf, s.len, 0) : NULL;
    if (!to)
        return;
    memcpy(to, s.ptr, s.len);
    buf->len += s.len;
}

void buf_put_char(struct buf *buf, char c)
{
    char *to = buf_reserve(buf, 1);
    if (!to)
        return;
    *to = c;
    buf->len++;
}

void buf_put_int(struct buf *buf, int64_t value)
{
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%lld", (long long)value);
    buf_put(buf, (struct str){digits, (size_t)n});
}

void buf_vprintf(struct buf *buf, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    char *to = n < 0 ? NULL : make_room(buf, (size_t)n, 1); /* vsnprintf writes a NUL */
    if (to) {
        vsnprintf(to, (size_t)n + 1, fmt, again);
        buf->len += (size_t)n;
    } else {
        buf->failed = true;
    }
    va_end(again);
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    buf_vprintf(buf, fmt, args);
    va_end(args);
}
