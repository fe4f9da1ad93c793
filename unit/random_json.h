/*
 * Random JSON values for round trips. They are made to be awkward: texts that look like something
 * else in YAML, characters at the edges of Unicode, keys in need of escapes, numbers at the edges
 * of their types, empty containers.
 *
 * Every number is written as Go's encoding/json would write it, so that YAML gives the same text
 * back.
 */
#ifndef UNIT_RANDOM_JSON_H
#define UNIT_RANDOM_JSON_H

#include "base/random.h"
#include "json/json.h"

/* A tree of at most `depth` levels of containers. Without memory the test fails. */
struct json *random_json(struct arena *arena, const struct random *random, size_t depth);

/* A copy in which some values have been added, removed, changed or put into another order. */
struct json *random_json_change(struct arena *arena, const struct random *random,
                                const struct json *value);

#endif
