/*
 * ObjectMeta, the part of every object that the apiserver keeps (k8s.io/apimachinery
 * pkg/apis/meta/v1), as far as our programs read it; and metav1.Condition for status.
 */
#ifndef TYPES_META_H
#define TYPES_META_H

#include "schema/schema.h"

struct object_meta {
    struct str name;
    struct str generate_name;
    struct str namespace;
    struct str uid;
    struct str resource_version;
    struct str deletion_timestamp;
    struct schema_int generation;
    const struct json *labels;      /* a map of strings, or NULL */
    const struct json *annotations; /* the same */
    const struct json *finalizers;  /* a list of strings, or NULL */
    const struct json *owner_references;
};

extern const struct schema object_meta_fields[];
/* The fields of a metav1.Condition. */
extern const struct schema condition_fields[];

/* The first three rows of every kind: apiVersion, kind and metadata, the last decoded to `member` of
 * `type`. */
#define META_ROWS(struct_type, member)                                                         \
    {.name = "apiVersion",                                                                     \
     .type = SCHEMA_STRING,                                                                    \
     .flags = SCHEMA_NO_DECODE | SCHEMA_REQUIRED | SCHEMA_METADATA,                            \
     .text = "The group and version of the kind."},                                            \
        {.name = "kind",                                                                       \
         .type = SCHEMA_STRING,                                                                \
         .flags = SCHEMA_NO_DECODE | SCHEMA_REQUIRED | SCHEMA_METADATA,                        \
         .text = "The kind of the object."},                                                   \
    {                                                                                          \
        .name = "metadata", .type = SCHEMA_OBJECT, .flags = SCHEMA_METADATA | SCHEMA_REQUIRED, \
        .fields = object_meta_fields, SCHEMA_AT(struct_type, member),                          \
        .text = "Name, namespace, labels and annotations."                                     \
    }

#endif
