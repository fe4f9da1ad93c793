/* SipHash-1-3. */
#include "base/hash.h"

struct hash_seed hash_seed_from(const struct random *random)
{
    uint64_t first = random_u64(random);
    return (struct hash_seed){{first, random_u64(random)}};
}

static inline uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

/* The bytes behind the last whole word, the first of them lowest. */
static inline uint64_t tail_of(struct str text, size_t from)
{
    uint64_t word = 0;
    size_t left = text.len - from;
    if (left == 0)
        return 0;
    if (from == 0) {
        memcpy(&word, text.ptr, left);
        return word;
    }
    /* The whole word that ends there is one load; a copy of a length that varies is a call. */
    memcpy(&word, text.ptr + text.len - sizeof(word), sizeof(word));
    return word >> 8 * (sizeof(word) - left);
}

uint64_t hash_text(const struct hash_seed *seed, struct str text)
{
    uint64_t v[4] = {seed->words[0] ^ 0x736f6d6570736575, seed->words[1] ^ 0x646f72616e646f6d,
                     seed->words[0] ^ 0x6c7967656e657261, seed->words[1] ^ 0x7465646279746573};
    uint64_t word;
    size_t i = 0;
    for (; i + sizeof(word) <= text.len; i += sizeof(word)) {
        memcpy(&word, text.ptr + i, sizeof(word));
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = tail_of(text, i) ^ (uint64_t)text.len << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int round = 0; round < 3; round++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_pair(const struct hash_seed *seed, struct str first, struct str second)
{
    struct hash_seed inner = {{seed->words[0] ^ hash_text(seed, first), seed->words[1]}};
    return hash_text(&inner, second);
}
