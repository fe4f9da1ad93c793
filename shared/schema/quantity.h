/*
 * Kubernetes quantities ("500m", "1.5Gi", "3e2"), after k8s.io/apimachinery pkg/api/resource: decimal
 * with an SI, binary or exponent suffix. Held in billionths as a 128-bit integer: exact for everything
 * that Kubernetes keeps (it rounds smaller fractions up, as this does); larger than any real resource
 * saturates.
 */
#ifndef SCHEMA_QUANTITY_H
#define SCHEMA_QUANTITY_H

#include "json/json.h"

struct quantity {
    __int128 nano; /* billionths */
};

bool quantity_parse(struct str s, struct quantity *ret);
/* From a JSON string or number. */
bool quantity_from_json(const struct json *value, struct quantity *ret);

/* -1, 0 or 1. */
int quantity_cmp(struct quantity a, struct quantity b);

/* True when it is a whole number that fits; *ret is it. */
bool quantity_to_int64(struct quantity q, int64_t *ret);

static inline int quantity_sign(struct quantity q)
{
    return (q.nano > 0) - (q.nano < 0);
}

#endif
