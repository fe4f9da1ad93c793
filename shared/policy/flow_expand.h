/*
 * A JobFlow made from a JobFlowTemplate by spec.templateRef.
 *
 * At CREATE the flow gets what the template has: its steps, finally and resourceTemplates, which the
 * flow itself may not have; its executionPolicy, of which the flow's own fields replace single ones;
 * and all its parameters with the flow's values or else their defaults. templateRef stays, and an
 * annotation says which generation of the template it was. From then on the flow depends on the
 * template no more: that may change or go.
 *
 * What is sent at UPDATE is most often the short manifest again:
 *
 *   kubectl apply                 a merge patch of what changed in the manifest: steps stay, but the
 *                                 list of parameters is the short one again
 *   kubectl apply --server-side   owns what the manifest says: all else stays, in any order
 *   kubectl replace               the short manifest is all there is: steps are gone
 *
 * All three must leave the flow as it was made. So at UPDATE what was made and is not in the object
 * is put back from the stored flow, never from the template. Steps, parameters or a templateRef that
 * are others than the stored ones are refused, also before the start: they would no longer be those
 * of the template that the flow names. Of the executionPolicy only what may not change after the start
 * is put back: `suspend: true` that is taken out of a manifest must let the flow go on.
 */
#ifndef POLICY_FLOW_EXPAND_H
#define POLICY_FLOW_EXPAND_H

#include "policy/policy.h"

/* Expands or restores a flow in place. Errors leave the object as it was. What has no templateRef, or
 * a broken one, is left alone. */
enum policy_expansion flow_expand(struct policy_object *subject, struct err_list *errors,
                                  struct template_answer *ret_answer);

/* The stored spec with the defaults of today: what an earlier version did not fill in has not changed.
 * NULL without memory. */
const struct json *flow_stored_spec(const struct policy_object *subject);
/* For UPDATE: what came from the template must be as it was; `before` is flow_stored_spec(). */
void flow_check_expanded(const struct policy_object *subject, const struct json *before,
                         struct err_list *errors);
/* Whether flow_check_expanded() sees to this member of the spec. */
bool flow_is_made(const struct policy_object *subject, struct str member);

/* Says in each error about a step that it is the template's, whose user never wrote it. */
void flow_name_template(const struct policy_object *subject, struct err_list *errors);

/* Whether a field of spec.executionPolicy may change after the start. */
bool flow_may_change(struct str member);

#endif
