/*
 * The formats of strings that Kubernetes objects hold, with the limits and words of
 * k8s.io/apimachinery pkg/util/validation and the grammar of image references
 * (github.com/distribution/reference).
 */
#ifndef SCHEMA_FORMAT_H
#define SCHEMA_FORMAT_H

#include "base/str.h"

enum schema_format {
    FORMAT_NONE = 0,
    FORMAT_NOT_BLANK,     /* has something other than white space, and no control characters */
    FORMAT_DNS_LABEL,     /* RFC 1123 label: a name of most things */
    FORMAT_DNS_SUBDOMAIN, /* RFC 1123 subdomain: a name of the rest */
    FORMAT_LABEL_KEY,     /* [prefix/]name */
    FORMAT_LABEL_VALUE,
    FORMAT_ENV_NAME,
    FORMAT_CONFIG_KEY, /* a key of a ConfigMap or Secret */
    FORMAT_IMAGE,      /* an image reference */
    FORMAT_VERSION,    /* MAJOR or MAJOR.MINOR */
    FORMAT_DURATION,   /* 30s, 1m30s, 500ms */
    FORMAT_HTTP_URL,
    FORMAT_HTTP_HEADER,    /* the name of one (RFC 9110, token) */
    FORMAT_ABSOLUTE_PATH,  /* of a file, without ".." */
    FORMAT_PARAMETER,      /* the name of a parameter or output of a flow */
    FORMAT_STEP_JSON_PATH, /* $.… or STEP:$.…, as json/path.h reads it */
    FORMAT_COUNT,
};

struct format {
    const char *name;    /* for the reference: "DNS label" */
    size_t max_len;      /* bytes; 0 = no limit of its own */
    const char *pattern; /* for the CRD, or NULL when a pattern cannot say it */
    const char *rule;    /* what is right, for messages */
    bool (*check)(struct str s);
};

/* The description of a format; for FORMAT_NONE one that accepts everything. */
const struct format *format_get(enum schema_format format);

/* True when `s` is well-formed and not over the format's length. */
bool format_is_valid(enum schema_format format, struct str s);

/*
 * The parts of an image reference: [DOMAIN/]PATH[:TAG][@ALGORITHM:HEX]. Absent parts are absent views.
 * False when it is none.
 */
struct image_ref {
    struct str domain, path, tag, digest;
};
bool image_ref_parse(struct str s, struct image_ref *ret);

/* The nanoseconds of a FORMAT_DURATION, INT64_MAX when they are more. False when it is none. */
bool format_duration(struct str s, int64_t *ret_ns);

#endif
