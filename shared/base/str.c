/* String views: comparing, cutting, and the distance between two names. */
#include "base/str.h"

#include <ctype.h>

int str_cmp(struct str a, struct str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

bool str_starts_with(struct str s, struct str prefix)
{
    return prefix.len == 0 || (s.len >= prefix.len && memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

bool str_ends_with(struct str s, struct str suffix)
{
    return suffix.len == 0 ||
           (s.len >= suffix.len && memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

ptrdiff_t str_find(struct str s, char c)
{
    const char *at = s.len ? memchr(s.ptr, c, s.len) : NULL;
    return at ? at - s.ptr : -1;
}

ptrdiff_t str_find_last(struct str s, char c)
{
    for (size_t i = s.len; i > 0; i--) {
        if (s.ptr[i - 1] == c)
            return (ptrdiff_t)(i - 1);
    }
    return -1;
}

struct str str_sub(struct str s, size_t start, size_t len)
{
    if (start > s.len)
        start = s.len;
    if (len > s.len - start)
        len = s.len - start;
    return (struct str){s.ptr ? s.ptr + start : NULL, len};
}

bool str_cut(struct str s, char sep, struct str *head, struct str *tail)
{
    ptrdiff_t at = str_find(s, sep);
    if (at < 0) {
        *head = s;
        *tail = (struct str){NULL, 0};
        return false;
    }
    *head = str_sub(s, 0, (size_t)at);
    *tail = str_sub(s, (size_t)at + 1, s.len);
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct str str_trim(struct str s)
{
    while (s.len > 0 && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

struct str str_put(char **at, struct str s)
{
    if (!str_is_set(s))
        return s;
    struct str copy = {*at, s.len};
    if (s.len > 0)
        memcpy(*at, s.ptr, s.len);
    *at += s.len;
    return copy;
}

bool str_to_int64(struct str s, int64_t *ret)
{
    bool negative = s.len > 0 && s.ptr[0] == '-';
    size_t i = negative ? 1 : 0;
    if (i == s.len)
        return false;
    /* Collected as a negative number: INT64_MIN has no positive counterpart. */
    int64_t value = 0;
    for (; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, s.ptr[i] - '0', &value))
            return false;
    }
    if (!negative) {
        if (value == INT64_MIN)
            return false;
        value = -value;
    }
    *ret = value;
    return true;
}

enum { DISTANCE_MAX_LEN = 63 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

unsigned str_distance(struct str a, struct str b, unsigned max)
{
    size_t gap = a.len > b.len ? a.len - b.len : b.len - a.len;
    if (a.len > DISTANCE_MAX_LEN || b.len > DISTANCE_MAX_LEN || gap > max)
        return UINT32_MAX;
    /* Three rows of the table of Damerau's restricted edit distance suffice, and of each those places
     * that are not farther than `max` from the diagonal: beyond them more edits are needed. */
    enum { FAR = 0x3F }; /* in each byte: more than any distance */
    unsigned rows[3][DISTANCE_MAX_LEN + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    memset(rows, FAR, sizeof(rows));
    for (size_t j = 0; j <= b.len; j++)
        above[j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t first = i > max ? i - max : 1, last = i + max < b.len ? i + max : b.len;
        row[first - 1] = (unsigned)i;
        for (size_t j = first; j <= last; j++) {
            int ca = tolower((unsigned char)a.ptr[i - 1]),
                cb = tolower((unsigned char)b.ptr[j - 1]);
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (ca != cb));
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b.ptr[j - 2]) &&
                tolower((unsigned char)a.ptr[i - 2]) == cb && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        unsigned *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[b.len];
}

struct str str_nearest(struct str name, const struct str *names, size_t count)
{
    struct str best = {NULL, 0};
    /* Up to a third of the name may be wrong: beyond that a proposal only confuses. */
    size_t third = name.len / 3;
    unsigned limit = name.len < 2 ? 0 : third < 1 ? 1 : third > 4 ? 4 : (unsigned)third;
    unsigned best_distance = limit + 1;
    for (size_t i = 0; i < count; i++) {
        unsigned d = str_distance(name, names[i], limit);
        if (d < best_distance) {
            best_distance = d;
            best = names[i];
        }
    }
    return best;
}
