/*
 * Reading one JSON value after the other from a text: private to this folder.
 */
#ifndef JSON_READ_H
#define JSON_READ_H

#include "json/json.h"

/* What is left of a text, and where it stands in the whole, for messages. */
struct json_source {
    struct str text;
    uint32_t line;          /* of the first byte of `text` */
    const char *line_start; /* the first byte of that line */
};

/* Reads the value that `source` begins with, and moves `source` to the byte behind it. As
 * json_read() otherwise; after an error `source` is unchanged. */
struct json *json_read_next(struct arena *arena, struct json_source *source,
                            const struct json_limits *limits, struct err *err);

#endif
