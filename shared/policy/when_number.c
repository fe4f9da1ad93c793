/* Exact decimal numbers. */
#include "policy/when_number.h"

static bool is_digits(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    }
    return s.len > 0;
}

bool when_number_read(struct str text, struct when_number *ret)
{
    struct str s = str_trim(text), whole, fraction;
    bool is_negative = s.len > 0 && s.ptr[0] == '-';
    if (is_negative || (s.len > 0 && s.ptr[0] == '+'))
        s = str_sub(s, 1, s.len);
    bool has_fraction = str_cut(s, '.', &whole, &fraction);
    if (!is_digits(whole) || (has_fraction && !is_digits(fraction)))
        return false;
    while (whole.len > 0 && whole.ptr[0] == '0')
        whole = str_sub(whole, 1, whole.len);
    while (fraction.len > 0 && fraction.ptr[fraction.len - 1] == '0')
        fraction.len--;
    bool is_zero = whole.len == 0 && fraction.len == 0;
    *ret = (struct when_number){is_negative && !is_zero, whole, fraction};
    return true;
}

/* Without their signs. */
static int compare_size(const struct when_number *a, const struct when_number *b)
{
    if (a->whole.len != b->whole.len)
        return a->whole.len < b->whole.len ? -1 : 1;
    int order = str_cmp(a->whole, b->whole);
    return order != 0 ? order : str_cmp(a->fraction, b->fraction);
}

int when_number_compare(const struct when_number *a, const struct when_number *b)
{
    if (a->is_negative != b->is_negative)
        return a->is_negative ? -1 : 1;
    return a->is_negative ? compare_size(b, a) : compare_size(a, b);
}
