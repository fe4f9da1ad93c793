/* Decoding UTF-8. */
#include "base/utf8.h"

size_t utf8_decode(struct str s, uint32_t *ret_code)
{
    if (s.len == 0)
        return 0;
    unsigned char first = (unsigned char)s.ptr[0];
    if (first < 0x80) {
        *ret_code = first;
        return 1;
    }
    size_t len = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC0 || first > 0xF7 || len > s.len)
        return 0;
    uint32_t code = first & (0x7Fu >> len);
    for (size_t i = 1; i < len; i++) {
        unsigned char next = (unsigned char)s.ptr[i];
        if ((next & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (next & 0x3F);
    }
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < smallest[len] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return 0;
    *ret_code = code;
    return len;
}

bool utf8_is_valid(struct str s)
{
    while (s.len > 0) {
        uint32_t code;
        size_t len = utf8_decode(s, &code);
        if (len == 0)
            return false;
        s = str_sub(s, len, s.len);
    }
    return true;
}

struct str utf8_cut(struct str s, size_t max)
{
    if (s.len <= max)
        return s;
    size_t len = max;
    while (len > 0 && ((unsigned char)s.ptr[len] & 0xC0) == 0x80)
        len--;
    return str_sub(s, 0, len);
}

size_t utf8_count(struct str s)
{
    size_t count = 0;
    while (s.len > 0) {
        uint32_t code;
        size_t len = utf8_decode(s, &code);
        s = str_sub(s, len ? len : 1, s.len);
        count++;
    }
    return count;
}
