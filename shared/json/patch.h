/*
 * JSON Patch (RFC 6902), for the answers of a mutating webhook.
 *
 * A patch is a list of operations in an arena. Failure is sticky, as a buffer's is: operations are
 * added without looking and json_patch_failed() is asked once at the end; a failed patch has lost
 * operations and must not be sent. Values are not copied: they have to live as long as the patch.
 *
 *   struct json_patch patch;
 *   json_patch_init(&patch, arena, JSON_PATCH_MAX);
 *   json_patch_diff(&patch, before, after);
 *   if (json_patch_failed(&patch)) …
 *   json_patch_write(&buf, &patch);
 *
 * Fields are named by the paths of base/err.h; a NULL path is the whole document. An operation on
 * an index inserts before it ("add") or means the element ("replace", "remove", "test").
 */
#ifndef JSON_PATCH_H
#define JSON_PATCH_H

#include "json/json.h"

/* The apiserver applies up to 10,000 operations (apiserver pkg/endpoints/handlers/patch.go,
 * maxJSONPatchOperations, for those of clients). */
enum { JSON_PATCH_MAX = 10000 };

struct json_patch_op;

struct json_patch {
    struct arena *arena;
    struct json_patch_op *first, *last;
    size_t count;
    struct buf pointer; /* the one that is being written */
    size_t max;         /* operations */
    bool failed;        /* too many operations, or no memory */
};

void json_patch_init(struct json_patch *patch, struct arena *arena, size_t max);

void json_patch_add(struct json_patch *patch, const struct path *at, const struct json *value);
void json_patch_replace(struct json_patch *patch, const struct path *at, const struct json *value);
void json_patch_remove(struct json_patch *patch, const struct path *at);
/* The patch applies only where the value at this place equals `value`. */
void json_patch_test(struct json_patch *patch, const struct path *at, const struct json *value);

/*
 * Adds what turns `before` into `after`: members that were removed, changed and added, each in its
 * own operation; arrays of one length element by element, other arrays as a whole. The order of
 * members is no difference, nor is the way a number is written.
 */
void json_patch_diff(struct json_patch *patch, const struct json *before, const struct json *after);

static inline bool json_patch_is_empty(const struct json_patch *patch)
{
    return patch->count == 0;
}

static inline bool json_patch_failed(const struct json_patch *patch)
{
    return patch->failed;
}

/* Writes the JSON array. Failure is the buffer's; a failed patch makes the buffer fail. */
void json_patch_write(struct buf *buf, const struct json_patch *patch);

/* Writes a path as a JSON Pointer (RFC 6901), without quotes: "/spec/steps/3/a~1b". */
void json_pointer_write(struct buf *buf, const struct path *path);

#endif
