/*
 * A hash of texts for tables whose keys others choose: SipHash-1-3 (Aumasson and Bernstein, "SipHash: a
 * fast short-input PRF", 2012). Under a random seed nobody can choose keys that fall into one place.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/random.h"
#include "base/str.h"

struct hash_seed {
    uint64_t words[2];
};

struct hash_seed hash_seed_from(const struct random *random);
/* An absent text is as the empty one. */
uint64_t hash_text(const struct hash_seed *seed, struct str text);
/* Of two texts that are a key together: ("ab", "c") differs from ("a", "bc"). */
uint64_t hash_pair(const struct hash_seed *seed, struct str first, struct str second);

#endif
