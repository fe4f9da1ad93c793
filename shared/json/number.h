/*
 * Numbers as text: private to this folder. A text is what RFC 8259 calls a number, of at most
 * NUMBER_TEXT_MAX characters; a longer one has no value.
 */
#ifndef JSON_NUMBER_H
#define JSON_NUMBER_H

#include "base/str.h"

/* Go writes no float64 with more than about 330 characters. */
enum { NUMBER_TEXT_MAX = 512 };

/* ±0.DIGITS × 10^exponent, without zeros at either end; zero has no digits. Equal numbers have
 * equal members. */
struct number {
    bool negative;
    int64_t exponent; /* saturates at about ±10^18 */
    size_t len;
    char digits[NUMBER_TEXT_MAX];
};

/* False when the text is too long. */
bool number_parse(struct str text, struct number *ret);
bool number_equal(const struct number *a, const struct number *b);
/* False when it is no integer or does not fit. */
bool number_to_int64(const struct number *number, int64_t *ret);
/* The nearest double; false when that is infinite. */
bool number_to_double(struct str text, double *ret);

/* Room for any double as number_print() writes it. */
enum { NUMBER_PRINT_MAX = 32 };

/* Writes a finite number with the fewest digits that give it back, in the form that Go's
 * encoding/json gives a float64; returns the length. Not NUL-terminated. */
size_t number_print(double value, char to[static NUMBER_PRINT_MAX]);

#endif
