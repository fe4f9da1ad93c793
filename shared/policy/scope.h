/*
 * What a condition or a placeholder of a flow can refer to, and where the values come from.
 *
 *     parameters.NAME           a parameter
 *     steps.STEP.phase          how a step ended (conditions only)
 *     steps.STEP.outputs.NAME   what a step produced
 *
 * At admission a `struct scope` says which names exist; at run time a `struct scope_values` gives
 * what they stand for. Both are filled in by who knows the flow. Names of parameters and outputs
 * are ASCII letters, digits, '_', '-' and '.'; names of steps are DNS labels.
 */
#ifndef POLICY_SCOPE_H
#define POLICY_SCOPE_H

#include "base/err.h"

enum scope_use {
    SCOPE_USABLE,     /* it has always ended before the value is needed */
    SCOPE_UNKNOWN,    /* there is no such step */
    SCOPE_ITSELF,     /* it is the step that asks */
    SCOPE_NOT_BEFORE, /* it need not have ended: no ancestor */
    SCOPE_AFTER,      /* it never has: it starts when all others have ended */
};

enum scope_kind {
    SCOPE_PARAMETER,
    SCOPE_PHASE,
    SCOPE_OUTPUT,
    SCOPE_STEP, /* only for scope.nearest */
};

/* All functions get `ctx` and are called from one thread at a time. */
struct scope {
    const void *ctx;
    /* *ret_step is the step's index, unless it is unknown. */
    enum scope_use (*find_step)(const void *ctx, struct str name, size_t *ret_step);
    bool (*has_output)(const void *ctx, size_t step, struct str name);
    bool (*has_parameter)(const void *ctx, struct str name);
    /* For "did you mean": the parameter, step, or output of `step` that is most like `name` (see
     * str_nearest()), or absent. May be NULL. */
    struct str (*nearest)(const void *ctx, enum scope_kind kind, size_t step, struct str name);
};

/* Values are data of users: nothing may be assumed of them. A view must stay valid until the call
 * that asked for it returns. */
struct scope_values {
    const void *ctx;
    /* "Succeeded" and so on. */
    struct str (*phase)(const void *ctx, size_t step);
    /* Absent when the step did not produce it (skipped, failed). */
    struct str (*output)(const void *ctx, size_t step, struct str name);
    struct str (*parameter)(const void *ctx, struct str name);
};

struct scope_ref {
    enum scope_kind kind;
    struct str step_name; /* absent for a parameter */
    size_t step;          /* index; set by scope_check() */
    struct str name;      /* of the parameter or output; absent for a phase */
};

/* The phases of a step, as they are written. */
extern const struct str scope_phases[];
extern const size_t scope_phase_count;

/* True for what a name of a parameter or output is made of. */
bool scope_is_name_char(char c);

/*
 * Reads "parameters.x", "steps.s.phase" or "steps.s.outputs.x" from `text`, which holds characters
 * of names only. Where dots leave a choice, the longest step that `scope` knows is meant; scope may
 * be NULL: then the step's name ends at the first ".outputs.". Views of *ret point into `text`. -1
 * with a message (422) about what is missing; *ret_wrong is then the part of `text` that is meant.
 */
int scope_read(struct str text, const struct scope *scope, struct scope_ref *ret,
               struct str *ret_wrong, struct err *err);

/* Whether the reference can be used: 0 with ref->step set, or -1 with `unknown step "biuld"; did
 * you mean "build"?` and the like (422); *ret_wrong is then ref's step_name or name. */
int scope_check(const struct scope *scope, struct scope_ref *ref, struct str *ret_wrong,
                struct err *err);

/* What a checked reference stands for; absent for an output that was not produced. */
struct str scope_value(const struct scope_values *values, const struct scope_ref *ref);

#endif
