/*
 * String views: (pointer, length) by value. A view owns nothing and is not NUL-terminated; it lives as
 * long as what it points into. `ptr == NULL` means "absent", which differs from the empty string.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *ptr;
    size_t len;
};

/* A view of a string literal. */
#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
/* The same where a constant initialiser is needed (static tables). */
#define STR_INIT(literal)              \
    {                                  \
        (literal), sizeof(literal) - 1 \
    }
/* For printf: printf("%" PRIstr, STR_ARG(s)). */
#define PRIstr     ".*s"
#define STR_ARG(s) (int)(s).len, ((s).ptr ? (s).ptr : "")

static inline struct str str_from_cstr(const char *s)
{
    return (struct str){s, s ? strlen(s) : 0};
}

static inline bool str_is_set(struct str s)
{
    return s.ptr != NULL;
}

/* Most comparisons are with another name of the same table, which begins with another letter: those need
 * no call. */
static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len &&
           (a.len == 0 || a.ptr == b.ptr || (*a.ptr == *b.ptr && memcmp(a.ptr, b.ptr, a.len) == 0));
}

static inline bool str_eq_cstr(struct str a, const char *b)
{
    return (a.len == 0 || *a.ptr == *b) && str_eq(a, str_from_cstr(b));
}

/* Bytewise order, as strcmp. */
int str_cmp(struct str a, struct str b);

bool str_starts_with(struct str s, struct str prefix);
bool str_ends_with(struct str s, struct str suffix);

/* The index of the first (last) `c`, or -1. */
ptrdiff_t str_find(struct str s, char c);
ptrdiff_t str_find_last(struct str s, char c);

/* The part from `start` on, at most `len` bytes; out of range gives the empty view at the end. */
struct str str_sub(struct str s, size_t start, size_t len);

/* Cuts at the first `sep`: *head gets what is before it, *tail what is after. Without `sep`, *head gets
 * all, *tail is absent, and the result is false. */
bool str_cut(struct str s, char sep, struct str *head, struct str *tail);

/* Without leading and trailing blanks, tabs and line ends. */
struct str str_trim(struct str s);

/* Copies it to *at, which then points behind the copy; what is absent stays so. For texts that share the allocation of
 * what they belong to. */
struct str str_put(char **at, struct str s);

/* A decimal integer with an optional minus sign that takes up all of `s`. False when it is none or does
 * not fit; *ret is then untouched. */
bool str_to_int64(struct str s, int64_t *ret);

/*
 * How many single-character edits (insert, delete, replace, swap of neighbours) lie between two names,
 * ignoring case; used to propose the nearest right name. Names longer than 63 bytes count as far apart. Beyond
 * `max` edits nobody counts: the result is then something above it, and was found the sooner.
 */
unsigned str_distance(struct str a, struct str b, unsigned max);

/* The entry of `names` nearest to `name`, or the absent view when none is near enough to be a likely
 * misspelling. */
struct str str_nearest(struct str name, const struct str *names, size_t count);

#endif
