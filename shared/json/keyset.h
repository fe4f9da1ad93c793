/*
 * Finding keys that appear twice in an object that is being read: private to this folder.
 *
 * Most objects have a handful of members: their keys are compared one with the other. Beyond that
 * an object gets a hash set, in the arena, so that the time stays proportional to the input. The
 * hash has a random seed, so that nobody can choose keys that fall into one place.
 */
#ifndef JSON_KEYSET_H
#define JSON_KEYSET_H

#include "base/hash.h"
#include "json/json.h"

/* What the objects of one document share. Zero it first. */
struct json_keys {
    struct hash_seed seed;
    bool seeded;
};

/*
 * To be called once for each member, after it has been added as the last of `object`, with
 * object->keys NULL before the first. 1 when an earlier member has the same key, 0 when none has,
 * -1 without memory. The caller sets object->last when the object is complete.
 */
int json_keys_add(struct json_keys *keys, struct arena *arena, struct json *object,
                  struct json *member);

#endif
