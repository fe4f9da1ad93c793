/*
 * Random numbers behind an interface: the machine's, or a generator that gives the same numbers for
 * the same seed, so that a failed simulation can be repeated.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t (*u64)(void *ctx);
    void *ctx;
};

/* The machine's generator (getrandom): fit for secrets. Valid for ever, may be used by any thread.
 */
const struct random *random_system(void);

/* A generator that is determined by its seed: not for secrets, and not for several threads at once.
 * It must not be moved. */
struct random_seeded {
    struct random random;
    uint64_t state;
};

void random_seeded_init(struct random_seeded *seeded, uint64_t seed);

static inline uint64_t random_u64(const struct random *random)
{
    return random->u64(random->ctx);
}

/* From 0 to limit - 1, each equally likely; 0 when limit is 0. */
uint64_t random_below(const struct random *random, uint64_t limit);

enum { RANDOM_UUID_SIZE = 37 }; /* with the NUL */

/* A UUID version 4 (RFC 9562), "0b0e7a0c-9ad5-4c4e-8d5e-3f0c0c9b6a51": correlation ids. */
void random_uuid(const struct random *random, char to[RANDOM_UUID_SIZE]);

#endif
