/*
 * Errors.
 *
 * A function that can fail returns 0 or a positive result, or a negative number after filling its last
 * parameter, a `struct err` on the caller's stack: an HTTP status code, the path of the field that is
 * wrong (when one is), and a message that says what is wrong and what to do. On success it is left
 * untouched. A function logs or returns an error, never both.
 *
 * Validation does not stop at the first error: it fills a bounded `struct err_list`.
 *
 * The reasons are Kubernetes' causes (k8s.io/apimachinery pkg/apis/meta/v1 types.go, CauseType), which
 * clients read from status.details.causes.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/arena.h"
#include "base/str.h"

enum err_reason {
    ERR_INVALID = 0, /* the value cannot be meant */
    ERR_REQUIRED,
    ERR_DUPLICATE,
    ERR_NOT_SUPPORTED, /* not one of the values that exist */
    ERR_FORBIDDEN,     /* a good value that may not be set here or now */
    ERR_TOO_LONG,
    ERR_TOO_MANY,
    ERR_TYPE, /* a string where a number belongs, and the like */
    ERR_NOT_FOUND,
};

/* "FieldValueInvalid" and so on; a static string. */
const char *err_reason_name(enum err_reason reason);

enum { ERR_FIELD_MAX = 192, ERR_MESSAGE_MAX = 512 };

struct err {
    int code; /* HTTP status */
    enum err_reason reason;
    uint32_t line; /* in a text that could not be read, from 1; 0 when it is about something else */
    char field[ERR_FIELD_MAX];     /* "spec.config.grpcPort", or "" */
    char message[ERR_MESSAGE_MAX]; /* cut with "…" when longer */
};

/* Fills *err with `field` empty and returns -1, so that raising is one `return`. */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "CONTEXT: " in front of the message of a filled *err and returns -1. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* For an allocation that failed: 507 with the name of what was being done. Returns -1. */
int err_no_memory(struct err *err, const char *doing);

/*
 * The path of a field, built on the stack while walking down an object: each level points to the one
 * above and is valid only while that one is. Nothing is formatted until an error needs it.
 */
struct path {
    const struct path *parent;
    struct str name; /* a key; absent for an index */
    size_t index;
};

static inline struct path path_field(const struct path *parent, struct str name)
{
    return (struct path){.parent = parent, .name = name};
}

static inline struct path path_index(const struct path *parent, size_t index)
{
    return (struct path){.parent = parent, .index = index};
}

/* "spec.steps[3].when"; a key that is no plain name is quoted: spec.config.environment["a.b"]. Absent
 * without memory. A NULL path is "". */
struct str path_print(const struct path *path, struct arena *arena);

struct err_item {
    struct err_item *next;
    enum err_reason reason;
    uint32_t line; /* in the document, from 1; 0 when unknown */
    struct str field;
    struct str message;
};

/* All that is wrong with an object, in the order of discovery. Items live in `arena`. Their texts hold names
 * that users chose, but no control characters: for each there is a '?'. */
struct err_list {
    struct arena *arena;
    struct err_item *first;
    struct err_item **last;
    size_t count;
    size_t max;     /* items kept */
    size_t dropped; /* found beyond `max` */
    /* An item was lost because the arena was full: the object must be refused. */
    bool out_of_memory;
};

enum { ERR_LIST_MAX = 64 };

void err_list_init(struct err_list *list, struct arena *arena, size_t max);
void err_list_add(struct err_list *list, const struct path *path, uint32_t line,
                  enum err_reason reason, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* The same for a finding that was made elsewhere; the texts must outlive the list. */
void err_list_add_text(struct err_list *list, struct str field, uint32_t line,
                       enum err_reason reason, struct str message);

/* True when nothing was found (and nothing was lost). */
static inline bool err_list_is_empty(const struct err_list *list)
{
    return list->count == 0 && list->dropped == 0 && !list->out_of_memory;
}

/* True when what is found from now on is only counted: its words need not be looked for. */
static inline bool err_list_is_full(const struct err_list *list)
{
    return list->count == list->max;
}

#endif
