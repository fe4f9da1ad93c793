/*
 * What a test expects of a list of errors: for each its reason, its field and a telling part of its
 * message, in their order.
 */
#ifndef UNIT_FINDINGS_H
#define UNIT_FINDINGS_H

#include "base/err.h"

struct finding {
    enum err_reason reason;
    const char *field; /* NULL ends an array */
    const char *part;  /* of the message */
};

/* Fails the test, naming `subject`, unless `list` holds just what is expected. */
void findings_assert(const struct err_list *list, const struct finding *expected,
                     const char *subject);

#endif
