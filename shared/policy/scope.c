/* References to parameters and steps. */
#include "policy/scope.h"

#include "base/utf8.h"

#include <stdio.h>

const struct str scope_phases[] = {
    STR_INIT("Pending"), STR_INIT("Running"), STR_INIT("Succeeded"),
    STR_INIT("Failed"),  STR_INIT("Skipped"), STR_INIT("PendingApproval"),
};
const size_t scope_phase_count = sizeof(scope_phases) / sizeof(scope_phases[0]);

/* A wrong name may be as long as its text: the message must stay readable. */
enum { SHOWN_MAX = 63 };
/* For printf: a name, cut when it is long, and what tells that it was cut. */
#define SHOWN        "%" PRIstr "%s"
#define SHOWN_ARG(s) STR_ARG(utf8_cut((s), SHOWN_MAX)), (s).len > SHOWN_MAX ? "…" : ""

bool scope_is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

/* ---- Reading ---- */

static int read_parameter(struct str text, struct str name, struct scope_ref *ret,
                          struct str *ret_wrong, struct err *err)
{
    if (name.len == 0) {
        *ret_wrong = text;
        return err_set(err, 422, "the parameter's name is missing behind \"parameters.\"");
    }
    *ret = (struct scope_ref){.kind = SCOPE_PARAMETER, .name = name};
    return 0;
}

/* Takes `rest`, which is behind "steps.", apart at the dot at `dot`. False when it is none of the
 * two forms. */
static bool split_at(struct str rest, size_t dot, struct scope_ref *ret)
{
    const struct str outputs = STR(".outputs.");
    struct str behind = str_sub(rest, dot, rest.len);
    if (str_eq(behind, STR(".phase"))) {
        *ret = (struct scope_ref){.kind = SCOPE_PHASE, .step_name = str_sub(rest, 0, dot)};
        return true;
    }
    if (!str_starts_with(behind, outputs) || behind.len == outputs.len)
        return false;
    *ret = (struct scope_ref){
        .kind = SCOPE_OUTPUT,
        .step_name = str_sub(rest, 0, dot),
        .name = str_sub(behind, outputs.len, behind.len),
    };
    return true;
}

static int read_step(struct str text, struct str rest, const struct scope *scope,
                     struct scope_ref *ret, struct str *ret_wrong, struct err *err)
{
    bool found = false;
    /* From the right, so that the first step that is known is the longest. Without one the leftmost
     * remains. The name of a step has at least one character. */
    for (size_t dot = rest.len; dot-- > 1;) {
        size_t index;
        if (rest.ptr[dot] != '.' || !split_at(rest, dot, ret))
            continue;
        found = true;
        if (scope && scope->find_step(scope->ctx, ret->step_name, &index) != SCOPE_UNKNOWN)
            break;
    }
    if (found)
        return 0;
    *ret_wrong = text;
    struct str name = rest, behind;
    str_cut(rest, '.', &name, &behind);
    if (name.len == 0)
        name = STR("STEP");
    return err_set(err, 422,
                   "\"" SHOWN "\" is incomplete; write steps." SHOWN ".phase or steps." SHOWN
                   ".outputs.NAME",
                   SHOWN_ARG(text), SHOWN_ARG(name), SHOWN_ARG(name));
}

int scope_read(struct str text, const struct scope *scope, struct scope_ref *ret,
               struct str *ret_wrong, struct err *err)
{
    const struct str parameters = STR("parameters."), steps = STR("steps.");
    if (str_starts_with(text, parameters))
        return read_parameter(text, str_sub(text, parameters.len, text.len), ret, ret_wrong, err);
    if (str_starts_with(text, steps))
        return read_step(text, str_sub(text, steps.len, text.len), scope, ret, ret_wrong, err);
    *ret_wrong = text;
    return err_set(err, 422,
                   "\"" SHOWN "\" is no reference; write parameters.NAME, steps.STEP.phase or "
                   "steps.STEP.outputs.NAME",
                   SHOWN_ARG(text));
}

/* ---- Checking ---- */

/* Raises "WHAT "NAME"; did you mean "…"?". */
static int fail_unknown(const struct scope *scope, enum scope_kind kind, size_t step,
                        struct str name, const char *what, struct err *err)
{
    struct str near = {NULL, 0};
    if (scope->nearest)
        near = scope->nearest(scope->ctx, kind, step, name);
    return err_set(err, 422, "%s \"" SHOWN "\"%s" SHOWN "%s", what, SHOWN_ARG(name),
                   near.ptr ? "; did you mean \"" : "", SHOWN_ARG(near), near.ptr ? "\"?" : "");
}

static int check_step(const struct scope *scope, struct scope_ref *ref, struct err *err)
{
    struct str name = ref->step_name;
    switch (scope->find_step(scope->ctx, name, &ref->step)) {
    case SCOPE_USABLE:
        return 0;
    case SCOPE_ITSELF:
        return err_set(err, 422, "step \"" SHOWN "\" is the step itself, which has not run yet",
                       SHOWN_ARG(name));
    case SCOPE_NOT_BEFORE:
        return err_set(err, 422,
                       "step \"" SHOWN
                       "\" need not have ended when this one starts; add it to the dependencies",
                       SHOWN_ARG(name));
    case SCOPE_AFTER:
        return err_set(err, 422,
                       "step \"" SHOWN
                       "\" is a step of finally, which starts when all others have ended",
                       SHOWN_ARG(name));
    case SCOPE_UNKNOWN:
        break;
    }
    return fail_unknown(scope, SCOPE_STEP, 0, name, "unknown step", err);
}

int scope_check(const struct scope *scope, struct scope_ref *ref, struct str *ret_wrong,
                struct err *err)
{
    if (ref->kind == SCOPE_PARAMETER) {
        if (scope->has_parameter(scope->ctx, ref->name))
            return 0;
        *ret_wrong = ref->name;
        return fail_unknown(scope, SCOPE_PARAMETER, 0, ref->name, "unknown parameter", err);
    }
    if (check_step(scope, ref, err) < 0) {
        *ret_wrong = ref->step_name;
        return -1;
    }
    if (ref->kind == SCOPE_PHASE || scope->has_output(scope->ctx, ref->step, ref->name))
        return 0;
    *ret_wrong = ref->name;
    char what[128];
    snprintf(what, sizeof(what), "step \"" SHOWN "\" has no output", SHOWN_ARG(ref->step_name));
    return fail_unknown(scope, SCOPE_OUTPUT, ref->step, ref->name, what, err);
}

/* ---- Values ---- */

struct str scope_value(const struct scope_values *values, const struct scope_ref *ref)
{
    if (ref->kind == SCOPE_PARAMETER)
        return values->parameter(values->ctx, ref->name);
    if (ref->kind == SCOPE_PHASE)
        return values->phase(values->ctx, ref->step);
    return values->output(values->ctx, ref->step, ref->name);
}
