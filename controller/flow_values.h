/*
 * What the placeholders and conditions of a flow's steps stand for while it runs, and the input parameters
 * of a step.
 *
 * Admission has seen to it that a step refers only to steps that have ended before it. Here every step of
 * the flow can be asked for: what one has not produced is absent.
 *
 * Nothing is copied: flow, status and results must outlive what is made from them.
 */
#ifndef CONTROLLER_FLOW_VALUES_H
#define CONTROLLER_FLOW_VALUES_H

#include "controller/manifest.h"
#include "policy/scope.h"

/* A step as the others see it. */
struct flow_result {
    struct str name;
    struct str phase;           /* "Succeeded" and so on */
    const struct json *outputs; /* an object of strings, or NULL */
};

struct flow_values {
    const struct json *parameters; /* spec.parameters of the flow, or NULL */
    const struct flow_result *results;
    size_t count;
    const uint32_t *by_name; /* indices of results in the order of names */
};

/* Results are in the order of the steps, those of `steps` before those of `finally`: a scope's step is an
 * index of it. False without memory. */
bool flow_values_init(struct flow_values *ret, struct arena *arena, const struct json *parameters,
                      const struct flow_result *results, size_t count);

/* The values as one step sees them: for when_parse(), when_eval() and placeholder_substitute(). */
struct flow_view {
    const struct flow_values *values;
    /* The step's own parameters, from flow_inputs_resolve(); they hide those of the flow. NULL: none are
     * in sight. */
    const struct json *inputs;
};

/* Both point to `view`, which must outlive them. */
struct scope flow_view_scope(const struct flow_view *view);
struct scope_values flow_view_values(const struct flow_view *view);

/* ---- Inputs ---- */

enum { FLOW_VALUE_MAX = 65536 }; /* bytes of one parameter */

/* Where values come from that are not in the flow. Both get `ctx`. */
struct flow_sources {
    void *ctx;
    /* The text under a key of a ConfigMap of the flow's namespace: 1 with *ret, 0 when there is no such
     * ConfigMap or key, -1 with *err when it cannot be told (which ends the resolving with this error).
     * The text must last as long as what is made from it. */
    int (*config_map_key)(void *ctx, struct str name, struct str key, struct str *ret,
                          struct err *err);
    /* The object of the last Job of a step, or NULL. */
    const struct json *(*job)(void *ctx, size_t step);
};

/*
 * Resolves inputs.parameters of a step (NULL: there are none) to an object of strings, in which their own
 * placeholders are replaced by what the flow has. A parameter from a Secret is null in it: it is there, and
 * has no value here. NULL with *err filled, its message beginning with the parameter: 422 for what has no
 * value or is too long (it stays so: the step has failed), 507 without memory, or what a source said.
 */
struct json *flow_inputs_resolve(struct manifest *m, const struct flow_values *values,
                                 const struct json *parameters, const struct flow_sources *sources,
                                 struct err *err);

/* The text of a value: a string as it is, anything else as compact JSON. 1 with *ret, 0 for null and
 * nothing, -1 when it has more than `max` bytes (422) or without memory (507). */
int flow_text_of(struct manifest *m, const struct json *value, size_t max, struct str *ret,
                 struct err *err);

#endif
