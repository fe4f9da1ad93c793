/* Exact decimal numbers from text. */
#include "json/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { INT64_DIGITS = 19 };

static int64_t parse_exponent(struct str text)
{
    const int64_t limit = 1000000000000000000;
    bool negative = text.len > 0 && text.ptr[0] == '-';
    int64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            continue;
        if (value > limit / 10)
            return negative ? -limit : limit;
        value = value * 10 + (text.ptr[i] - '0');
    }
    return negative ? -value : value;
}

bool number_parse(struct str text, struct number *ret)
{
    if (text.len > NUMBER_TEXT_MAX)
        return false;
    *ret = (struct number){0};
    bool fraction = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '-') {
            ret->negative = true;
        } else if (c == '.') {
            fraction = true;
        } else if (c == 'e' || c == 'E') {
            ret->exponent += parse_exponent(str_sub(text, i + 1, text.len));
            break;
        } else if (c == '0' && ret->len == 0) {
            ret->exponent -= fraction;
        } else {
            ret->digits[ret->len++] = c;
            ret->exponent += !fraction;
        }
    }
    while (ret->len > 0 && ret->digits[ret->len - 1] == '0')
        ret->len--;
    if (ret->len == 0) {
        ret->negative = false;
        ret->exponent = 0;
    }
    return true;
}

bool number_equal(const struct number *a, const struct number *b)
{
    return a->negative == b->negative && a->exponent == b->exponent && a->len == b->len &&
           memcmp(a->digits, b->digits, a->len) == 0;
}

bool number_to_int64(const struct number *number, int64_t *ret)
{
    if (number->exponent > INT64_DIGITS || number->exponent < (int64_t)number->len)
        return false;
    /* Collected as a negative number: INT64_MIN has no positive counterpart. */
    int64_t value = 0;
    for (size_t i = 0; i < (size_t)number->exponent; i++) {
        int digit = i < number->len ? number->digits[i] - '0' : 0;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value))
            return false;
    }
    if (!number->negative) {
        if (value == INT64_MIN)
            return false;
        value = -value;
    }
    *ret = value;
    return true;
}

bool number_to_double(struct str text, double *ret)
{
    char copy[NUMBER_TEXT_MAX + 1];
    if (text.len > NUMBER_TEXT_MAX)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    /* The programs never leave the C locale, so the decimal point is a point. */
    double value = strtod(copy, NULL);
    if (!isfinite(value))
        return false;
    *ret = value;
    return true;
}

/* The fewest significant digits that give `value` back, and the exponent of the first one. */
static size_t shortest_digits(double value, char digits[static NUMBER_PRINT_MAX], int *exponent)
{
    char text[NUMBER_PRINT_MAX];
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision, value);
        if (strtod(text, NULL) == value)
            break;
    }
    size_t len = 0;
    const char *at = text;
    for (; *at != 'e'; at++) {
        if (*at != '.')
            digits[len++] = *at;
    }
    *exponent = (int)strtol(at + 1, NULL, 10);
    return len;
}

static size_t put_zeros(char *to, int count)
{
    for (int i = 0; i < count; i++)
        to[i] = '0';
    return count > 0 ? (size_t)count : 0;
}

/* 0.DIGITS with zeros in front, DIGITS with a point inside, or with zeros behind. */
static size_t put_fixed(char *to, const char *digits, size_t count, int exponent)
{
    size_t len = 0;
    if (exponent < 0) {
        to[len++] = '0';
        to[len++] = '.';
        len += put_zeros(to + len, -exponent - 1);
    }
    for (size_t i = 0; i < count; i++) {
        to[len++] = digits[i];
        if ((int)i == exponent && i + 1 < count)
            to[len++] = '.';
    }
    return len + put_zeros(to + len, exponent + 1 - (int)count);
}

size_t number_print(double value, char to[static NUMBER_PRINT_MAX])
{
    char digits[NUMBER_PRINT_MAX] = "";
    int exponent;
    size_t sign = signbit(value) != 0;
    if (sign)
        to[0] = '-';
    size_t count = shortest_digits(fabs(value), digits, &exponent);
    /* The bounds are those of encode.go, floatEncoder. */
    if (exponent >= -6 && exponent < 21)
        return sign + put_fixed(to + sign, digits, count, exponent);
    size_t len = sign;
    to[len++] = digits[0];
    if (count > 1)
        to[len++] = '.';
    memcpy(to + len, digits + 1, count - 1);
    len += count - 1;
    return len + (size_t)snprintf(to + len, NUMBER_PRINT_MAX - len, "e%+d", exponent);
}
