/*
 * A path to one value inside a JSON value: the part of JSONPath, as kubectl writes it, that names at most
 * one value (k8s.io/client-go util/jsonpath).
 *
 *     path    = "$" segment { segment }
 *     segment = "." NAME | "['" TEXT "']" | "[" INTEGER "]" | "[?(@." NAME "=='" TEXT "')]"
 *
 *     $.status.succeeded
 *     $.metadata.labels['batch.kubernetes.io/job-name']
 *     $.metadata.annotations.callboard\.dev/devices
 *     $.status.conditions[?(@.type=='Complete')].reason
 *     $.items[-1]
 *
 * NAME is everything up to the next dot or bracket that has no backslash before it. TEXT stands in single
 * or double quotes and has none of its own kind in it. A negative index counts from the end. The filter
 * gives the first element whose member is that text. Wildcards, slices, unions and ".." name several
 * values and are refused.
 *
 * Nothing is allocated: a path is read each time that it is used.
 */
#ifndef JSON_PATH_H
#define JSON_PATH_H

#include "json/json.h"

enum {
    JSON_PATH_TEXT_MAX = 1024,
    JSON_PATH_SEGMENTS_MAX = 64,
};

/* 0 when it is such a path, else -1 with `column 9: …` (422; columns count bytes from 1). */
int json_path_check(struct str path, struct err *err);

/* The value at the path: NULL when there is none, or when the path is none. */
const struct json *json_path_find(const struct json *root, struct str path);

/* Whether the path begins with the member `name` of the root: "status" of $.status.succeeded and of
 * $['status']. */
bool json_path_begins(struct str path, struct str name);

#endif
