/*
 * The schema engine: one table per kind drives decoding, defaults, validation, the CRD and the API
 * reference.
 *
 * A table is a tree of constant rows. A row says everything about one field: its name, type, limits,
 * default, format, text, and where its value goes in a C struct. The functions here interpret it:
 *
 *   schema_default()    adds the defaults to a JSON tree
 *   schema_validate()   reports all errors: types, limits, formats, unknown fields, row checks
 *   schema_check_immutable()   compares two versions of an object
 *   schema_decode()     fills a C struct from a validated tree
 *   openapi.h, reference.h     print the CRD's schema and the reference
 *
 * As the apiserver does for CRDs (k8s.io/apiextensions-apiserver pkg/apiserver/schema/defaulting), a
 * null member counts as an absent one.
 */
#ifndef SCHEMA_SCHEMA_H
#define SCHEMA_SCHEMA_H

#include "schema/format.h"
#include "json/json.h"

enum schema_type {
    SCHEMA_STRING = 0, /* decodes to struct str */
    SCHEMA_INTEGER,    /* to struct schema_int */
    SCHEMA_NUMBER,     /* with a fraction or not; to const struct json * */
    SCHEMA_BOOLEAN,    /* to bool; absent is false */
    SCHEMA_QUANTITY,   /* a number or a string such as "500Mi"; to const struct json * */
    SCHEMA_TIME,       /* RFC 3339; to struct str */
    SCHEMA_OBJECT,     /* `fields`; to a nested struct. Without fields: any object, kept as it is */
    SCHEMA_MAP,        /* string keys, each value is an `item`; to const struct json * */
    SCHEMA_LIST, /* of `item`s; objects to struct schema_list, others to const struct json * */
    SCHEMA_ANY,  /* anything, kept as it is; to const struct json * */
};

enum schema_flag {
    SCHEMA_REQUIRED = 1 << 0,
    SCHEMA_IMMUTABLE = 1 << 1,  /* once set it may not change */
    SCHEMA_SECRET = 1 << 2,     /* the value may be confidential: it is never shown in a message */
    SCHEMA_SET = 1 << 3,        /* a list of strings without repetition */
    SCHEMA_NO_DECODE = 1 << 4,  /* has no place in the C struct */
    SCHEMA_METADATA = 1 << 5,   /* TypeMeta and ObjectMeta, which the apiserver itself checks */
    SCHEMA_STATUS = 1 << 6,     /* written by the controller through the status subresource */
    SCHEMA_WHOLE = 1 << 7,      /* an object that decodes to const struct json *, not to a struct */
    SCHEMA_POLICY_MAX = 1 << 8, /* the greatest number of entries is checked by the kind's rules */
    /* The default comes last, after others who may have a value, and so not from the apiserver, which
     * would fill it in before it asks a webhook: it is not in the CRD. */
    SCHEMA_LATE_DEFAULT = 1 << 9,
};

struct schema_int {
    int64_t value;
    bool is_set;
};

struct schema_list {
    void *items; /* `count` structs of the element type */
    size_t count;
};

struct schema;

/* A rule over one value that its row alone cannot say, such as "values are needed when the operator is
 * In". Runs when the value is good; also beside mistakes further down, when an object's own members are
 * there, of their types, and right as far as they are scalars. So a check takes nothing for granted
 * about what is inside of members that are objects, maps or lists. */
typedef void schema_check(const struct schema *schema, const struct json *value,
                          const struct path *path, struct err_list *errors);

struct schema {
    const char *name; /* the key in its object; NULL for an item and for a root */
    const char *text; /* what it is for; required for every named row */
    enum schema_type type;
    unsigned flags;
    enum schema_format format;     /* of a string */
    enum schema_format key_format; /* of a map's keys */
    const char *const *values;     /* the strings that are allowed, NULL at the end */
    const char *def;               /* default, as JSON */
    int64_t min, max;              /* of a number; unlimited when both are 0 */
    uint32_t min_len;              /* of a string, bytes; of a list or a map, entries */
    uint32_t max_len;            /* the same; 0 = the format's own limit, or SCHEMA_MAX_… below */
    const struct schema *fields; /* of an object; a row without name ends them */
    const struct schema *item;   /* of a list or a map */
    const char *list_key;        /* a list of objects that are told apart by this field, a string */
    schema_check *check;
    size_t offset; /* in the C struct of the object */
    size_t size;   /* of the element's C struct, for a list of objects */
};

/* Where a row's value goes: AT(struct performer, image). */
#define SCHEMA_AT(type, member) .offset = offsetof(type, member)
/* The same for a list of objects with its element type. */
#define SCHEMA_LIST_AT(type, member, element) \
    .offset = offsetof(type, member), .size = sizeof(element)

enum {
    SCHEMA_MAX_STRING = 65536, /* bytes of a string without a limit of its own */
    SCHEMA_MAX_ENTRIES = 1024, /* entries of a list or a map without a limit of its own */
};

/* How to validate; to be added up. */
enum schema_option {
    /* Behind an apiserver, which has pruned or reported unknown fields. */
    SCHEMA_UNKNOWN_IGNORED = 0,
    /* Offline, where nobody else would notice a misspelt field. */
    SCHEMA_UNKNOWN_REFUSED = 1 << 0,
    /* A string with a placeholder can become anything: its format, its length and its check are not asked. A
     * check of an object has to mind them itself. */
    SCHEMA_PLACEHOLDERS = 1 << 1,
};

/* Whether a placeholder ("{{" or "${") begins in the text. */
bool schema_has_placeholder(struct str text);

/* Reports everything that is wrong with `value`. `path` is where it is (NULL for the root). True when
 * nothing was found, so that the caller may decode and check further rules. */
bool schema_validate(const struct schema *schema, const struct json *value, unsigned options,
                     const struct path *path, struct err_list *errors);

/* Reports the fields that have no row, and nothing else: for objects of others, in which a field that is
 * not known may be a new one as well as a misspelt one. */
void schema_find_unknown(const struct schema *schema, const struct json *value,
                         const struct path *path, struct err_list *findings);

/* Adds the defaults below `value` in place. False without memory. */
bool schema_default(const struct schema *schema, struct json *value, struct arena *arena);

/* Reports every immutable field whose value differs. Either may be NULL. */
void schema_check_immutable(const struct schema *schema, const struct json *before,
                            const struct json *after, const struct path *path,
                            struct err_list *errors);

/* Fills `to`, a zeroed struct of the object's type. Views point into the tree. A value of a wrong type is
 * left out, so that rules over several fields can be checked in an object that has errors elsewhere. False
 * without memory. */
bool schema_decode(const struct schema *schema, const struct json *value, void *to,
                   struct arena *arena);

/* The row of a field of an object, or NULL. */
const struct schema *schema_field(const struct schema *object, struct str name);

#endif
