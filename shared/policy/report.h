/*
 * Findings about an object, addressed by a dotted path ("spec.config.grpcPort") or by a key below one
 * ("spec.resources.limits", "nvidia.com/gpu"). The line is looked up in the object, and is that of the
 * nearest parent when the field itself is not there. A field that already has a finding gets no second
 * one: when a value is of a wrong type, what else could be said of it only confuses.
 */
#ifndef POLICY_REPORT_H
#define POLICY_REPORT_H

#include "base/err.h"
#include "json/json.h"

/* `key` may be absent. */
void report(struct err_list *list, const struct json *object, const char *dotted_path,
            struct str key, enum err_reason reason, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

#endif
