/*
 * Placeholders in the strings of a step's template: where they are, and putting values in their
 * place.
 *
 *     {{parameters.x}}   {{.parameters.x}}   ${parameters.x}
 *     {{steps.S.outputs.P}}   {{.steps.S.outputs.P}}   ${steps.S.outputs.P}
 *
 * Blanks may stand inside the braces. What is ours must be right: a text that begins with "{{" or
 * "${", blanks, at most one dot and "parameters." or "steps." is refused when it is no placeholder
 * (a wrong name, no end, a filter). Everything else is text for somebody else and is left alone,
 * since templates carry shell scripts and arguments of programs with templates of their own:
 * ${HOME}, $(NAME), docker's --format '{{.Names}}', {{ range .items }}. With one exception, so
 * that a slip does not reach a container as text: a dotted name in {{ }} that is nearly ours
 * ({{paramters.x}}, {{.Parameters.x}}, {{step.s.outputs.x}}) or is what this was called before or
 * is called elsewhere ({{inputs.parameters.x}}, {{.JobFlow.Name}}, {{.StepName}}) is refused, with
 * the right spelling where there is one. Who needs such a text as it is passes it as the value of
 * a parameter:
 *
 * A value is data. It is put in once and never looked at again, whatever it contains.
 *
 * Only values of a template have placeholders, not its keys: a value must never change the
 * structure of the object, and two keys could become one. One in a key is found all the same, to
 * be refused instead of left.
 */
#ifndef POLICY_PLACEHOLDER_H
#define POLICY_PLACEHOLDER_H

#include "policy/scope.h"
#include "json/json.h"

struct placeholder {
    size_t at;            /* offset of its first character, bytes */
    size_t len;           /* to behind its last brace */
    struct scope_ref ref; /* a parameter or an output; not yet checked against a scope */
};

/* For the caller to begin with: {.text = text}. */
struct placeholder_reader {
    struct str text;
    size_t at;         /* where the search goes on */
    size_t counted;    /* the characters before this offset ... */
    size_t characters; /* ... are so many */
};

/* The column of the offset `at`, which must not be before one that was asked for earlier, in
 * characters from 1. Nothing is counted before somebody asks. */
size_t placeholder_column(struct placeholder_reader *reader, size_t at);

/*
 * The next placeholder: 1 with *ret filled, 0 at the end of the text, or -1 for something that is
 * ours and wrong: *err says in which column and what (422), and the search can go on behind it.
 */
int placeholder_next(struct placeholder_reader *reader, struct placeholder *ret, struct err *err);

/* All of a text, each reference checked: 0 when they are right, else -1 with the first error
 * (422), its column in front. */
int placeholder_check(struct str text, const struct scope *scope, struct err *err);

/* Where the result goes. */
enum placeholder_field {
    PLACEHOLDER_PLAIN,
    /* command, args, env[].value, subPathExpr: there the kubelet replaces $(NAME) and makes $$ a $
     * (k8s.io/api core/v1 types.go, EnvVar). Each '$' of a value is doubled, so that the container
     * gets the value as it was, and a value cannot read the container's other variables. */
    PLACEHOLDER_EXPANDED,
};

/*
 * Appends `text` to `out` with every placeholder replaced by its value. -1 for a wrong
 * placeholder, an output that was not produced, or a result beyond out->max (422), and without
 * memory (507); `out` is then not to be used.
 */
int placeholder_substitute(struct str text, enum placeholder_field field, const struct scope *scope,
                           const struct scope_values *values, struct buf *out, struct err *err);

struct placeholder_visitor {
    void *ctx;
    /* A string that contains "{{" or "${". `value` is the string, which may be changed, or the
     * member whose key `text` is; `path` is where it is. False ends the walk. */
    bool (*visit)(void *ctx, const struct path *path, struct json *value, struct str text,
                  bool is_key);
};

/* All strings of `value`, which is at `path`, in their order, each key before its value. False
 * when the visitor ended it. Calls itself for each level; values that were read are at most 64
 * deep. */
bool placeholder_walk(struct json *value, const struct path *path,
                      const struct placeholder_visitor *visitor);

#endif
