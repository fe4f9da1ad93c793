/* Parsing and comparing Kubernetes quantities. */
#include "schema/quantity.h"

enum {
    NANO_DIGITS = 9,
    PLACES_MAX = 36,            /* decimal places kept while computing */
    EXPONENT_MAX = 1000 * 1000, /* beyond it everything is zero or saturates */
};

/* Above this (10^36 billionths) values saturate; far below the range of __int128, so that multiplying
 * by 10 or adding a digit cannot overflow. */
static const __int128 saturation = (__int128)1000000000000000000 * 1000000000000000000;

/* DIGITS × 10^-places, and less than one more digit when `inexact`. */
struct decimal {
    __int128 digits;
    int64_t places;
    bool inexact;
};

/* `value` × 2^power2 in billionths; rounded up as Kubernetes does, saturating. */
static __int128 to_nano(struct decimal value, int power2)
{
    for (; value.places > PLACES_MAX && value.digits > 0; value.places--) {
        value.inexact = value.inexact || value.digits % 10 != 0;
        value.digits /= 10;
    }
    if (value.digits == 0)
        return value.inexact;
    __int128 unit = 1; /* what is one billionth in `digits` */
    for (; value.places > NANO_DIGITS; value.places--)
        unit *= 10;
    for (; value.places < NANO_DIGITS && value.digits < saturation; value.places++)
        value.digits *= 10;
    __int128 nano = value.digits / unit, rest = value.digits % unit;
    for (; power2 > 0 && nano < saturation; power2--) {
        rest *= 2;
        nano = nano * 2 + (rest >= unit);
        rest -= rest >= unit ? unit : 0;
    }
    return nano < saturation ? nano + (rest > 0 || value.inexact) : saturation;
}

/* The multiplier of a suffix as base^power; false when it is none. */
static bool parse_suffix(struct str suffix, int *power10, int *power2)
{
    static const struct {
        const char *text;
        int power10, power2;
    } suffixes[] = {
        {"", 0, 0},    {"n", -9, 0},  {"u", -6, 0},  {"m", -3, 0},  {"k", 3, 0},   {"M", 6, 0},
        {"G", 9, 0},   {"T", 12, 0},  {"P", 15, 0},  {"E", 18, 0},  {"Ki", 0, 10}, {"Mi", 0, 20},
        {"Gi", 0, 30}, {"Ti", 0, 40}, {"Pi", 0, 50}, {"Ei", 0, 60},
    };
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        if (str_eq_cstr(suffix, suffixes[i].text)) {
            *power10 = suffixes[i].power10;
            *power2 = suffixes[i].power2;
            return true;
        }
    }
    int64_t exponent;
    if (suffix.len < 2 || (suffix.ptr[0] != 'e' && suffix.ptr[0] != 'E'))
        return false;
    struct str digits = str_sub(suffix, 1, suffix.len);
    bool plus = digits.ptr[0] == '+';
    if (plus)
        digits = str_sub(digits, 1, digits.len);
    if ((plus && str_starts_with(digits, STR("-"))) || !str_to_int64(digits, &exponent))
        return false;
    if (exponent > EXPONENT_MAX)
        exponent = EXPONENT_MAX;
    if (exponent < -EXPONENT_MAX)
        exponent = -EXPONENT_MAX;
    *power10 = (int)exponent;
    *power2 = 0;
    return true;
}

/* Reads digits with at most one point among them; returns what follows. False without a digit. */
static bool parse_digits(struct str s, struct decimal *ret, struct str *rest)
{
    bool point = false, any = false;
    size_t i = 0;
    for (; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9')
            break;
        any = true;
        if (ret->digits > saturation / 10) {
            ret->inexact = ret->inexact || c != '0';
            ret->places -= !point;
        } else {
            ret->digits = ret->digits * 10 + (c - '0');
            ret->places += point;
        }
    }
    *rest = str_sub(s, i, s.len);
    return any;
}

bool quantity_parse(struct str s, struct quantity *ret)
{
    bool negative = str_starts_with(s, STR("-"));
    if (negative || str_starts_with(s, STR("+")))
        s = str_sub(s, 1, s.len);
    struct decimal value = {0};
    struct str suffix;
    int power10, power2;
    if (!parse_digits(s, &value, &suffix) || !parse_suffix(suffix, &power10, &power2))
        return false;
    value.places -= power10;
    __int128 nano = to_nano(value, power2);
    ret->nano = negative ? -nano : nano;
    return true;
}

bool quantity_from_json(const struct json *value, struct quantity *ret)
{
    if (json_is(value, JSON_NUMBER) || json_is(value, JSON_STRING))
        return quantity_parse((struct str){value->text, value->len}, ret);
    return false;
}

int quantity_cmp(struct quantity a, struct quantity b)
{
    return (a.nano > b.nano) - (a.nano < b.nano);
}

bool quantity_to_int64(struct quantity q, int64_t *ret)
{
    const __int128 one = 1000000000;
    __int128 whole = q.nano / one;
    if (q.nano % one != 0 || whole > INT64_MAX || whole < INT64_MIN)
        return false;
    *ret = (int64_t)whole;
    return true;
}
