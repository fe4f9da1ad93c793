/*
 * What a plain scalar of YAML means, by the rules of go.yaml.in/yaml v2 (resolve.go), which kubectl
 * uses: private to this folder.
 */
#ifndef JSON_YAML_SCALAR_H
#define JSON_YAML_SCALAR_H

#include "json/number.h"

enum yaml_scalar_kind {
    YAML_SCALAR_STRING = 0,
    YAML_SCALAR_NULL,
    YAML_SCALAR_BOOL,
    YAML_SCALAR_INT,      /* from -2^63 to 2^64 - 1 */
    YAML_SCALAR_FLOAT,    /* finite */
    YAML_SCALAR_INFINITE, /* or not a number */
    YAML_SCALAR_TOO_LONG, /* of more characters than a number may have */
};

struct yaml_scalar {
    enum yaml_scalar_kind kind;
    bool boolean;
    size_t len;
    char number[NUMBER_PRINT_MAX]; /* in JSON, as Go's encoding/json writes it */
};

struct yaml_scalar yaml_scalar_resolve(struct str text);

#endif
