/*
 * Finding members of an object by key, for code that asks for many.
 *
 * Two versions of one object mostly have their members in the same order, so the member behind the
 * one that was found last is tried first. When that fails too often on a large object, an index is
 * sorted once, so that no order of the members makes the time quadratic.
 */
#ifndef JSON_FINDER_H
#define JSON_FINDER_H

#include "json/json.h"

struct json_entry {
    const struct json *member;
};

struct json_finder {
    const struct json *object;
    const struct mem *mem;
    const struct json *expected; /* the member behind the one that was found last */
    struct json_entry *sorted;   /* the index, once it has been made */
    size_t steps;                /* spent on searching one by one */
};

/* `object` must not be changed until json_finder_done(). The index comes from `mem`; without memory
 * for it, finding is slow but right. */
void json_finder_init(struct json_finder *finder, const struct json *object, const struct mem *mem);
const struct json *json_finder_find(struct json_finder *finder, struct str key);
void json_finder_done(struct json_finder *finder);

#endif
