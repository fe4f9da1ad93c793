/* The machine's random numbers, a seeded generator, and what is made of them. */
#include "base/random.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static uint64_t system_u64(void *ctx)
{
    (void)ctx;
    uint64_t value;
    /* Fewer than 256 bytes are never cut short by a signal, and nothing else can fail
     * (getrandom(2)). Without random numbers there is nothing sound to go on with. */
    if (getrandom(&value, sizeof(value), 0) != (ssize_t)sizeof(value))
        abort();
    return value;
}

const struct random *random_system(void)
{
    static const struct random system = {.u64 = system_u64, .ctx = NULL};
    return &system;
}

/* SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): a counter
 * with a good mixer, so that seeds 1, 2, 3 give unrelated sequences. */
static uint64_t seeded_u64(void *ctx)
{
    struct random_seeded *seeded = ctx;
    seeded->state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t z = seeded->state;
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

void random_seeded_init(struct random_seeded *seeded, uint64_t seed)
{
    *seeded = (struct random_seeded){.random = {.u64 = seeded_u64, .ctx = seeded}, .state = seed};
}

uint64_t random_below(const struct random *random, uint64_t limit)
{
    if (limit == 0)
        return 0;
    /* The lowest (2^64 mod limit) values are drawn again: without them each result has as many
     * values that lead to it. */
    uint64_t uneven = (0 - limit) % limit;
    uint64_t value;
    do
        value = random_u64(random);
    while (value < uneven);
    return value % limit;
}

void random_uuid(const struct random *random, char to[RANDOM_UUID_SIZE])
{
    uint64_t high = random_u64(random), low = random_u64(random);
    high = (high & ~UINT64_C(0xF000)) | UINT64_C(0x4000);     /* version 4 */
    low = (low & ~(UINT64_C(3) << 62)) | (UINT64_C(2) << 62); /* variant of RFC 9562 */
    snprintf(to, RANDOM_UUID_SIZE, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(high >> 32),
             (unsigned)(high >> 16 & 0xFFFF), (unsigned)(high & 0xFFFF), (unsigned)(low >> 48),
             (unsigned long long)(low & UINT64_C(0xFFFFFFFFFFFF)));
}
