/*
 * JSON values in an arena.
 *
 * A value is read-only for most of the code: readers walk it, nobody frees it, and it lives as long
 * as its arena (and, for text without escapes, the source it was read from: strings point into the
 * source).
 *
 * The reader is strict, as RFC 8259 is and as an admission webhook must be, because the apiserver
 * and we have to see the same object: UTF-8 only, no duplicate keys, no NUL (not even as \u0000),
 * no unpaired surrogates, no byte order mark, nothing after the value. It is bounded in bytes,
 * depth and number of values. Numbers keep the text that they were written with, so that no digit
 * is ever lost.
 *
 *          object ── first ──▶ member "a" ── next ──▶ member "b" ── next ──▶ NULL
 *                                │ first (array)
 *                                ▼
 *                              element ── next ──▶ element ── next ──▶ NULL
 */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum json_type {
    JSON_NULL = 0,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json {
    struct json *next; /* the next member or element */
    union {
        struct json *first; /* JSON_ARRAY, JSON_OBJECT */
        const char *text;   /* JSON_STRING: decoded; JSON_NUMBER: as written. Not NUL-terminated. */
        bool boolean;       /* JSON_BOOL */
    };
    union {                       /* for this module alone */
        struct json *last;        /* the last child, so that appending takes one step */
        struct json_keyset *keys; /* of an object that is still being read */
    };
    const char *key; /* of a member: decoded; else NULL */
    uint32_t key_len;
    uint32_t len;  /* bytes of `text`, or the number of children */
    uint32_t line; /* where the value begins in its source, from 1; 0 for a value made here */
    enum json_type type : 8;
};

struct json_limits {
    size_t max_depth;
    size_t max_values; /* values of any type in the document */
    /* metadata.managedFields of the object that this is, or is about (metav1.WatchEvent), is left out, and
     * looked at only as far as it takes to find its end: the apiserver has written it, it is a third of the
     * text, and nobody here reads it. */
    bool leave_out_managed_fields;
};

/* For a review or a document of a user: depth 64, 400,000 values. */
extern const struct json_limits json_limits_default;

/* Reads one value that takes up all of `text`. NULL with *err filled: 400 for what is no JSON (with
 * line and column; columns count bytes), 413 for what is over a limit, 507 without memory. The value
 * points into `text`. A number beyond the range of a double is refused, as the apiserver does. */
struct json *json_read(struct arena *arena, struct str text, const struct json_limits *limits,
                       struct err *err);

/* ---- looking ---- All accept NULL and a value of the wrong type, and then give NULL, absent or
 * false. */

struct json *json_get(const struct json *object, struct str key);
/* json_path(review, "request", "object", NULL): one member after the other. */
struct json *json_path(const struct json *value, ...) __attribute__((sentinel));
struct json *json_at(const struct json *array, size_t index);

static inline bool json_is(const struct json *value, enum json_type type)
{
    return value && value->type == type;
}

static inline struct str json_key(const struct json *member)
{
    return (struct str){member->key, member->key_len};
}

/* The text of a string; absent for anything else. */
static inline struct str json_str(const struct json *value)
{
    return json_is(value, JSON_STRING) ? (struct str){value->text, value->len}
                                       : (struct str){NULL, 0};
}

static inline struct json *json_first(const struct json *value)
{
    return value && (value->type == JSON_ARRAY || value->type == JSON_OBJECT) ? value->first : NULL;
}

/* for (each member or element of value) */
#define JSON_EACH(child, value) \
    for (struct json *child = json_first(value); child != NULL; child = child->next)

/* True and *ret set when it is an integer that fits; 1.0 and 1e3 are integers, as the apiserver
 * reads them for integer fields. */
bool json_int64(const struct json *value, int64_t *ret);
bool json_double(const struct json *value, double *ret);
/* The boolean, or `otherwise` when it is none. */
bool json_bool(const struct json *value, bool otherwise);

/* Same type and content; the order of members does not matter, numbers are compared by value,
 * exactly. Large objects in different orders take temporary memory from mem_system(); without it
 * the result is right but slow. */
bool json_equal(const struct json *a, const struct json *b);

/* "string", "array", "null" … for messages. */
const char *json_type_name(enum json_type type);

/* ---- making ---- NULL when the arena is full. Texts are not copied. */

struct json *json_new(struct arena *arena, enum json_type type);
struct json *json_new_str(struct arena *arena, struct str text);
struct json *json_new_int(struct arena *arena, int64_t number);
struct json *json_new_bool(struct arena *arena, bool boolean);
/* A copy that shares texts but no nodes. */
struct json *json_copy(struct arena *arena, const struct json *value);

/* These make `value` itself a part of the container: a value is in one container at most. Value
 * NULL (from a failed json_new) gives false, and so does a container of the wrong type. */

/* Adds the member `key`, or replaces it in its place. */
bool json_set(struct json *object, struct str key, struct json *value);
bool json_append(struct json *array, struct json *value);
/* Removes the member if it is there. */
void json_remove(struct json *object, struct str key);

/* ---- writing ---- Failure is the buffer's. */

/* Compact. */
void json_write(struct buf *buf, const struct json *value);
/* With line ends and `indent` blanks per level, in the order of the members. */
void json_write_pretty(struct buf *buf, const struct json *value, int indent);
/* A JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
void json_write_str(struct buf *buf, struct str text);

#endif
