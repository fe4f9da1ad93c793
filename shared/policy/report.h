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

/*
 * Whether the kind's rules are to look at an object in which the table has found `errors`: not when a list is
 * longer than it may be, because rules compare entries with each other and rely on their number, nor when
 * nobody would read what they find.
 */
bool report_leaves_rules(const struct err_list *errors);

#endif
