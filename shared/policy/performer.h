/* The rules of a Performer that its table cannot say: hardware, names that must not clash, and what is
 * legal but surely unwanted. */
#ifndef POLICY_PERFORMER_H
#define POLICY_PERFORMER_H

#include "policy/policy.h"

/* Defaults that depend on other fields. False without memory. */
bool performer_default(struct policy_object *subject);

/* The schema has been checked: its errors are in the findings. */
void performer_validate(const struct policy_object *subject, struct policy_findings *findings);

#endif
