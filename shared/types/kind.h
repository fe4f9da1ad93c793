/*
 * The kinds that Callboard brings. A `struct kind` is what a program, the CRD writer and the reference
 * writer need to know of one; the rows of its schema are in the kind's own file.
 */
#ifndef TYPES_KIND_H
#define TYPES_KIND_H

#include "schema/schema.h"

/* A column of `kubectl get` (CustomResourceDefinition additionalPrinterColumns). */
struct printer_column {
    const char *name; /* NULL ends the list */
    const char *type; /* string, integer, date … */
    const char *json_path;
    const char *text;
    int priority; /* 0: always, 1: with -o wide */
};

struct kind {
    const char *group;
    const char *version;
    const char *kind;
    const char *plural;
    const char *singular;
    const char *const *short_names; /* NULL at the end; may be NULL */
    const char *text;
    const char *finalizer; /* added on CREATE, or NULL */
    const char *example;   /* for the reference: a whole object in YAML */
    size_t max_name_len;   /* bytes */
    enum schema_format name_format;
    const struct printer_column *columns;
    const struct schema *schema; /* of the whole object: apiVersion, kind, metadata, spec, status */
};

/* All kinds; *count is set. */
const struct kind *const *kinds_all(size_t *count);

/* The kind of that name, or NULL when it is not ours. */
const struct kind *kind_find(struct str group, struct str version, struct str kind);
/* The same by an object's apiVersion ("GROUP/VERSION"). */
const struct kind *kind_find_by_api_version(struct str api_version, struct str kind);

#endif
