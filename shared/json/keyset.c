/* A hash set of the members of a large object. */
#include "json/keyset.h"

enum {
    COMPARE_MAX = 16, /* members up to which comparing all is quicker than hashing */
    FIRST_SLOTS = 64, /* a power of two */
};

struct json_keyset {
    size_t slots; /* a power of two, at least twice the members */
    struct json **members;
};

/* The place of the member with this key: taken by it, or empty. */
static struct json **find_slot(const struct json_keyset *set, const struct hash_seed *seed,
                               struct str key)
{
    size_t mask = set->slots - 1;
    size_t i = (size_t)hash_text(seed, key) & mask;
    while (set->members[i] && !str_eq(json_key(set->members[i]), key))
        i = (i + 1) & mask;
    return &set->members[i];
}

/* A set twice as large with all members but the last, which is still to be added. */
static int rebuild(struct json_keys *keys, struct arena *arena, struct json *object)
{
    if (!keys->seeded)
        keys->seed = hash_seed_from(random_system());
    keys->seeded = true;
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
        *find_slot(set, &keys->seed, json_key(m)) = m;
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
    struct json **slot = find_slot(object->keys, &keys->seed, key);
    if (*slot)
        return 1;
    *slot = member;
    return 0;
}
