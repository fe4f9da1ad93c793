/* The values of flags: from text to C and back. For flags.c and flags_help.c. */
#ifndef BASE_FLAGS_VALUE_H
#define BASE_FLAGS_VALUE_H

#include "base/flags.h"

/* Stores the value of `text` at the flag's place in `options`. -1 when it is none or out of range. */
int flag_set_value(const struct flag *flag, const char *text, char *options, struct err *err);

/* Stores the default; without one: false, 0, NULL. */
int flag_set_default(const struct flag *flag, char *options, struct err *err);

/* Whether the flag's values lie between `min` and `max`. */
bool flag_has_range(const struct flag *flag);

enum { FLAG_RANGE_SIZE = 64 };

/* "10s to 5m", or "at least 1", NUL-terminated in `to`; of a flag that has a range. */
void flag_print_range(const struct flag *flag, char to[FLAG_RANGE_SIZE]);

#endif
