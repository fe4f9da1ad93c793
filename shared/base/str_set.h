/*
 * A set of texts: which names a list has, and which of them stand in it twice, in time proportional to
 * their number, whoever chose them.
 *
 * A few texts are compared one with the other. Beyond that they are hashed under a random seed, so that
 * nobody can choose texts that fall into one place. The texts are views: what they point to must outlive
 * the set. Memory comes from the arena; there is nothing to free.
 */
#ifndef BASE_STR_SET_H
#define BASE_STR_SET_H

#include "base/arena.h"
#include "base/hash.h"

enum { STR_SET_FEW = 16 };

struct str_set {
    struct arena *arena;
    size_t count;
    struct str few[STR_SET_FEW];
    struct str *slots; /* when there are more: an absent text is an empty place */
    size_t slot_count; /* a power of two, at least twice `count` */
    struct hash_seed seed;
};

void str_set_init(struct str_set *set, struct arena *arena);

/* 0 when the text was added, 1 when it was there already, -1 without memory. Not for absent texts. */
int str_set_add(struct str_set *set, struct str text);

bool str_set_has(const struct str_set *set, struct str text);

#endif
