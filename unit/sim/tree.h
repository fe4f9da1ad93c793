/*
 * Making and changing JSON trees where nothing can be done about a failure: the simulator ends with a
 * message when memory runs out or a tree is not of the form that its own code gave it.
 */
#ifndef UNIT_SIM_TREE_H
#define UNIT_SIM_TREE_H

#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>

/* Unlike assert() it is about the machine and the simulator's own code, and stays on. */
#define sim_require(condition) \
    ((condition) ? (void)0 : sim_require_failed(#condition, __FILE__, __LINE__))

static inline void sim_require_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s does not hold\n", file, line, condition);
    abort();
}

/* The text must be JSON; it is copied into the arena. */
struct json *tree_read(struct arena *arena, struct str text);
struct json *tree_readf(struct arena *arena, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The compact text, in the arena. */
struct str tree_write(struct arena *arena, const struct json *value);

/* A copy of `key` is made when it is no literal: pass the arena's text. */
void tree_set(struct json *object, struct str key, struct json *value);
void tree_set_str(struct arena *arena, struct json *object, const char *key, struct str text);
void tree_set_int(struct arena *arena, struct json *object, const char *key, int64_t number);
void tree_set_bool(struct arena *arena, struct json *object, const char *key, bool boolean);
/* The member `key`, which is made an empty value of `type` when it is none of that type. */
struct json *tree_child(struct arena *arena, struct json *object, const char *key,
                        enum json_type type);
/* Puts a copy of `from`'s member (or its absence) into `to`. */
void tree_copy_member(struct arena *arena, struct json *to, const struct json *from,
                      const char *key);
/* Without the element that is the string `text`; an array that gets empty is removed. False when it was
 * not there. */
bool tree_remove_text(struct arena *arena, struct json *object, const char *key, struct str text);
bool tree_has_text(const struct json *array, struct str text);

/* RFC 7396. */
struct json *tree_merge(struct arena *arena, const struct json *target, const struct json *patch);

#endif
