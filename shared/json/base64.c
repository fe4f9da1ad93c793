/* Writing and reading base64. */
#include "json/base64.h"

void base64_write(struct buf *buf, struct str data)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (data.len > SIZE_MAX / 4) {
        buf->failed = true;
        return;
    }
    char *to = buf_reserve(buf, (data.len + 2) / 3 * 4);
    if (!to)
        return;
    const char *start = to;
    for (size_t i = 0; i < data.len; i += 3, to += 4) {
        size_t have = data.len - i;
        uint32_t group = (uint32_t)(unsigned char)data.ptr[i] << 16;
        if (have > 1)
            group |= (uint32_t)(unsigned char)data.ptr[i + 1] << 8;
        if (have > 2)
            group |= (unsigned char)data.ptr[i + 2];
        to[0] = letters[group >> 18];
        to[1] = letters[group >> 12 & 63];
        to[2] = have > 1 ? letters[group >> 6 & 63] : '=';
        to[3] = have > 2 ? letters[group & 63] : '=';
    }
    buf->len += (size_t)(to - start);
}

/* The value of a letter, or -1. */
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_read(struct buf *buf, struct str text)
{
    uint32_t group = 0;
    size_t letters = 0, padding = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\n' || c == '\r')
            continue;
        int value = value_of(c);
        if (c == '=')
            padding++;
        else if (value < 0 || padding > 0)
            return false;
        else
            letters++;
        if (padding > 0)
            continue;
        group = group << 6 | (uint32_t)value;
        if (letters % 4 != 0)
            continue;
        buf_put_char(buf, (char)(group >> 16));
        buf_put_char(buf, (char)(group >> 8));
        buf_put_char(buf, (char)group);
        group = 0;
    }
    size_t last = letters % 4;
    if (last == 1 || padding != (last ? 4 - last : 0))
        return false;
    if (last >= 2)
        buf_put_char(buf, (char)(group >> (last == 2 ? 4 : 10)));
    if (last == 3)
        buf_put_char(buf, (char)(group >> 2));
    return true;
}
