/* A hash set of the members of a large object. */
#include "json/keyset.h"

#include <sys/random.h>
#include <time.h>

enum {
    COMPARE_MAX = 16, /* members up to which comparing all is quicker than hashing */
    FIRST_SLOTS = 64, /* a power of two */
};

struct json_keyset {
    size_t slots; /* a power of two, at least twice the members */
    struct json **members;
};

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

static uint64_t sip_hash(const uint64_t seed[2], struct str text)
{
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575, seed[1] ^ 0x646f72616e646f6d,
                     seed[0] ^ 0x6c7967656e657261, seed[1] ^ 0x7465646279746573};
    uint64_t word;
    size_t i = 0;
    for (; i + sizeof(word) <= text.len; i += sizeof(word)) {
        memcpy(&word, text.ptr + i, sizeof(word));
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = 0;
    memcpy(&word, text.ptr + i, text.len - i);
    word ^= (uint64_t)text.len << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int round = 0; round < 3; round++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* One system call for a document that has a large object. Where there is no entropy (a sandbox,
 * early boot), the time and the randomised addresses have to do: what is read does not depend on
 * it. */
static void seed_once(struct json_keys *keys)
{
    if (keys->seeded)
        return;
    keys->seeded = true;
    if (getrandom(keys->seed, sizeof(keys->seed), GRND_NONBLOCK) == sizeof(keys->seed))
        return;
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    keys->seed[0] = (uint64_t)(uintptr_t)keys ^ (uint64_t)now.tv_nsec;
    keys->seed[1] = (uint64_t)(uintptr_t)&json_keys_add ^ (uint64_t)now.tv_sec;
}

/* The place of the member with this key: taken by it, or empty. */
static struct json **find_slot(const struct json_keyset *set, const uint64_t seed[2],
                               struct str key)
{
    size_t mask = set->slots - 1;
    size_t i = (size_t)sip_hash(seed, key) & mask;
    while (set->members[i] && !str_eq(json_key(set->members[i]), key))
        i = (i + 1) & mask;
    return &set->members[i];
}

/* A set twice as large with all members but the last, which is still to be added. */
static int rebuild(struct json_keys *keys, struct arena *arena, struct json *object)
{
    seed_once(keys);
    struct json_keyset *set = object->keys;
    if (!set)
        set = ARENA_NEW(arena, struct json_keyset);
    if (!set)
        return -1;
    size_t slots = set->slots ? set->slots * 2 : FIRST_SLOTS;
    struct json **members = ARENA_NEW_ARRAY(arena, struct json *, slots);
    if (!members)
        return -1;
    *set = (struct json_keyset){.slots = slots, .members = members};
    object->keys = set;
    for (struct json *m = object->first; m->next; m = m->next)
        *find_slot(set, keys->seed, json_key(m)) = m;
    return 0;
}

int json_keys_add(struct json_keys *keys, struct arena *arena, struct json *object,
                  struct json *member)
{
    struct str key = json_key(member);
    if (object->len <= COMPARE_MAX) {
        for (const struct json *m = object->first; m != member; m = m->next) {
            if (str_eq(json_key(m), key))
                return 1;
        }
        return 0;
    }
    if ((!object->keys || object->len > object->keys->slots / 2) &&
        rebuild(keys, arena, object) < 0)
        return -1;
    struct json **slot = find_slot(object->keys, keys->seed, key);
    if (*slot)
        return 1;
    *slot = member;
    return 0;
}
