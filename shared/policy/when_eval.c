/* The value of a condition. */
#include "policy/when_number.h"
#include "policy/when_tree.h"

/* An operand that is no boolean, as text. */
static struct str text_of(const struct when *operand, const struct scope_values *values)
{
    if (operand->kind != WHEN_REF)
        return operand->text;
    return scope_value(values, &operand->ref);
}

static bool holds(enum when_kind comparison, int order)
{
    switch (comparison) {
    case WHEN_EQ:
        return order == 0;
    case WHEN_NE:
        return order != 0;
    case WHEN_LT:
        return order < 0;
    case WHEN_LE:
        return order <= 0;
    case WHEN_GT:
        return order > 0;
    default:
        return order >= 0;
    }
}

static bool eval_comparison(const struct when *node, const struct scope_values *values)
{
    const struct when *left = node->first, *right = left->next;
    if (when_is_boolean(left))
        return holds(node->kind, when_eval(left, values) - when_eval(right, values));
    struct str a = text_of(left, values), b = text_of(right, values);
    bool has_number = left->kind == WHEN_NUMBER || right->kind == WHEN_NUMBER;
    bool has_data = left->kind == WHEN_REF || right->kind == WHEN_REF;
    if (has_number || (has_data && when_is_ordering(node->kind))) {
        struct when_number x, y;
        if (when_number_read(a, &x) && when_number_read(b, &y))
            return holds(node->kind, when_number_compare(&x, &y));
        if (has_number)
            return node->kind == WHEN_NE;
    }
    return holds(node->kind, str_cmp(a, b));
}

bool when_eval(const struct when *when, const struct scope_values *values)
{
    switch (when->kind) {
    case WHEN_BOOLEAN:
        return when->boolean;
    case WHEN_NOT:
        return !when_eval(when->first, values);
    case WHEN_AND:
    case WHEN_OR:
        for (const struct when *part = when->first; part; part = part->next) {
            if (when_eval(part, values) == (when->kind == WHEN_OR))
                return when->kind == WHEN_OR;
        }
        return when->kind == WHEN_AND;
    default:
        return eval_comparison(when, values);
    }
}
