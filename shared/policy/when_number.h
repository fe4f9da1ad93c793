/* Decimal numbers as text, of any length, compared exactly: private to the files when*.c. */
#ifndef POLICY_WHEN_NUMBER_H
#define POLICY_WHEN_NUMBER_H

#include "base/str.h"

/* Views of the text that was read. Equal numbers have equal members. */
struct when_number {
    bool is_negative;    /* never for zero */
    struct str whole;    /* digits without zeros in front */
    struct str fraction; /* digits without zeros behind */
};

/* Digits with an optional sign in front and an optional fraction behind, blanks and line ends
 * around it. False for anything else: no exponent, no point without digits on both sides. */
bool when_number_read(struct str text, struct when_number *ret);

/* Below, at or above 0 as a is below, at or above b. */
int when_number_compare(const struct when_number *a, const struct when_number *b);

#endif
