/*
 * The condition of a step (`when`): parsed and checked at admission, evaluated when all
 * dependencies of the step have ended.
 *
 *     expr    = or ; or = and { "||" and } ; and = not { "&&" not } ; not = [ "!" ] cmp
 *     cmp     = operand [ ("==" | "!=" | "<" | "<=" | ">" | ">=") operand ]
 *     operand = "(" expr ")" | string | number | "true" | "false" | "always" | "never" | ref
 *     ref     = "steps." NAME ".phase" | "steps." NAME ".outputs." PARAM | "parameters." PARAM
 *     string  = '…' or "…" with \\ \' \"
 *     number  = digits, with a sign in front and a fraction behind if wanted; no exponent
 *
 * Blanks, tabs and line ends may stand anywhere between these. An empty condition is true. Old
 * spellings that mean the same: an expression as a whole in {{ … }}; as operands {{parameters.P}}
 * and {{steps.S.outputs.P}}, also with a dot in front, as in placeholders; and, with eq or ne,
 * {{ eq (index .StepStatus "S").Phase "X" }}. Any other template is refused, and so is one inside a
 * string, where it would be taken for text and the condition never hold.
 *
 * Types. Conditions, the content of (…) and what stands between && and || are booleans; booleans
 * have == and != only. A phase has == and != with a string that is a phase's name. A number
 * compares with a number, a string with a string (bytewise, which is by code point). Parameters
 * and outputs are strings that read as numbers when they look like a number of this language,
 * blanks around it aside ("10\n" is what `echo 10` leaves):
 *   - with a number literal they compare as numbers; one that does not read as a number is unequal
 *     to every number and neither less nor greater, so that a skipped step's missing output is not
 *     "< 5";
 *   - with <, <=, > and >= against a string, a parameter or an output they compare as numbers when
 *     both sides read as numbers, else as strings;
 *   - == and != compare text: "10" and '10.0' differ.
 * Numbers are compared as decimals of any length, exactly. An output that was not produced is the
 * empty string.
 */
#ifndef POLICY_WHEN_H
#define POLICY_WHEN_H

#include "policy/scope.h"

enum {
    WHEN_TEXT_MAX = 4096, /* bytes */
    WHEN_DEPTH_MAX = 32,  /* parentheses inside of parentheses */
};

/* A condition that has been read and found right. */
struct when;

/*
 * NULL with *err filled: 422 with `column 17: unknown step "biuld"; did you mean "build"?`
 * (columns count characters from 1), or 507 without memory. The result lives in `arena` and points
 * into `text`.
 */
const struct when *when_parse(struct arena *arena, struct str text, const struct scope *scope,
                              struct err *err);

/* Takes no memory and cannot fail. */
bool when_eval(const struct when *when, const struct scope_values *values);

#endif
