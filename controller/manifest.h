/*
 * Making the JSON of objects and patches without asking after each step: failure (no memory) is sticky,
 * and asked for once, at the end, by what turns the tree into text.
 *
 * Texts are not copied: they must live as long as the tree.
 */
#ifndef CONTROLLER_MANIFEST_H
#define CONTROLLER_MANIFEST_H

#include "json/json.h"

struct manifest {
    struct arena *arena;
    bool failed;
};

/* For the text of one object or patch: more than the API server takes (3 MiB, apiserver
 * pkg/server/config.go). */
enum { MANIFEST_TEXT_MAX = 4 * 1024 * 1024 };

struct json *manifest_object(struct manifest *m);
struct json *manifest_list(struct manifest *m);
/* A copy of a value of the user's. */
struct json *manifest_copy(struct manifest *m, const struct json *value);
struct str manifest_printf(struct manifest *m, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Members. An absent text adds nothing. */
void manifest_put(struct manifest *m, struct json *object, const char *key, struct json *value);
void manifest_put_str(struct manifest *m, struct json *object, const char *key, struct str text);
void manifest_put_int(struct manifest *m, struct json *object, const char *key, int64_t number);
void manifest_put_bool(struct manifest *m, struct json *object, const char *key, bool boolean);
void manifest_put_null(struct manifest *m, struct json *object, struct str key);
/* An object as a member. */
struct json *manifest_put_object(struct manifest *m, struct json *object, const char *key);
struct json *manifest_put_list(struct manifest *m, struct json *object, const char *key);
void manifest_append(struct manifest *m, struct json *list, struct json *value);
/* Adds the members or elements of `from` (NULL adds none); a key that is there stays as it is. */
void manifest_merge(struct manifest *m, struct json *to, const struct json *from);

/* The tree as compact JSON, absent after a failure. */
struct str manifest_text(struct manifest *m, const struct json *value);

#endif
