/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/str.h"

/* U+FFFD, which stands for what cannot be decoded. */
#define UTF8_REPLACEMENT "\xEF\xBF\xBD"

/* Decodes the character at the front of `s`: its length in bytes, 1 to 4, or 0 when there is none;
 * *ret_code is then untouched. */
size_t utf8_decode(struct str s, uint32_t *ret_code);

bool utf8_is_valid(struct str s);

/* The longest front part of `s` of at most `max` bytes that cuts no character in two. */
struct str utf8_cut(struct str s, size_t max);

/* Characters, for the width of a column; each byte that is part of none counts as one. */
size_t utf8_count(struct str s);

#endif
