/* Which operands of a condition may be compared, and how. */
#include "policy/when_tree.h"

/* What an operand is for a comparison. */
enum type {
    TYPE_BOOLEAN,
    TYPE_PHASE,
    TYPE_NUMBER,
    TYPE_STRING,
    TYPE_DATA, /* a parameter or output: a string that may read as a number */
};

static enum type type_of(const struct when *operand)
{
    if (when_is_boolean(operand))
        return TYPE_BOOLEAN;
    if (operand->kind == WHEN_NUMBER)
        return TYPE_NUMBER;
    if (operand->kind == WHEN_STRING)
        return TYPE_STRING;
    return operand->ref.kind == SCOPE_PHASE ? TYPE_PHASE : TYPE_DATA;
}

static const char *check_booleans(const struct when *comparison, enum type other)
{
    if (other == TYPE_DATA)
        return "parameters and outputs are strings; compare with 'true' or 'false' in quotes";
    if (other != TYPE_BOOLEAN)
        return "true and false compare only with each other";
    if (when_is_ordering(comparison->kind))
        return "booleans have no order; use == or !=";
    return NULL;
}

static const char *check_phase(const struct when *comparison, const struct when *other,
                               uint32_t *ret_at)
{
    if (when_is_ordering(comparison->kind))
        return "phases have no order; use == or !=";
    if (other->kind != WHEN_STRING)
        return "a phase compares only with the name of a phase in quotes, such as 'Succeeded'";
    for (size_t i = 0; i < scope_phase_count; i++) {
        if (str_eq(other->text, scope_phases[i]))
            return NULL;
    }
    *ret_at = other->at;
    return "no such phase; phases are 'Pending', 'Running', 'Succeeded', 'Failed', 'Skipped' and "
           "'PendingApproval'";
}

const char *when_check(const struct when *comparison, uint32_t *ret_at)
{
    const struct when *left = comparison->first, *right = left->next;
    enum type a = type_of(left), b = type_of(right);
    *ret_at = comparison->at;
    if (a == TYPE_BOOLEAN || b == TYPE_BOOLEAN)
        return check_booleans(comparison, a == TYPE_BOOLEAN ? b : a);
    if (a == TYPE_PHASE || b == TYPE_PHASE)
        return check_phase(comparison, a == TYPE_PHASE ? right : left, ret_at);
    if ((a == TYPE_NUMBER && b == TYPE_STRING) || (a == TYPE_STRING && b == TYPE_NUMBER))
        return "a number and a string in quotes do not compare; remove the quotes, or add some";
    return NULL;
}
