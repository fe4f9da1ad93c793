/*
 * `callboard-webhook lint`: the webhook's checks offline, on files of YAML or JSON.
 */
#ifndef WEBHOOK_LINT_H
#define WEBHOOK_LINT_H

#include "types/catalog.h"

#include <stdio.h>

enum lint_output {
    LINT_TEXT, /* FILE:LINE: KIND NAMESPACE/NAME: PATH: MESSAGE */
    LINT_JSON, /* one object with all findings */
};

struct lint_options {
    enum lint_output output;
    bool print_mutated; /* the objects as they would be stored go to `out`, findings to `log` */
    const char *const *files; /* "-" is standard input */
    size_t file_count;
    size_t max_steps; /* of a flow; 0: what the webhook allows */
    const struct catalog *catalog;
    const struct mem *mem;
    FILE *out;
    FILE *log;
};

enum lint_result {
    LINT_VALID = 0,
    LINT_INVALID = 1,
    LINT_UNREADABLE = 2, /* a file could not be read, or is neither YAML nor JSON */
};

enum lint_result lint_run(const struct lint_options *options);

#endif
