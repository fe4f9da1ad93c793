/*
 * A JobFlow while it is being judged: private to the rules of JobFlows.
 *
 * Steps of `steps` and of `finally` are numbered through: first those, then these. Names are unique over
 * both. The two are separate graphs; a step of `finally` may look at every step of the flow.
 */
#ifndef POLICY_FLOW_H
#define POLICY_FLOW_H

#include "policy/dag.h"
#include "policy/policy.h"
#include "policy/scope.h"
#include "types/jobflow.h"

/* An entry of the index of names. */
struct flow_name {
    uint64_t start; /* its first eight bytes, in the order of str_cmp() */
    uint32_t step;
};

/* Who comes before whom: found out when it is first asked for, since most flows never do. */
struct flow_before {
    bool is_ready;
    bool has_rows; /* `rows` is filled, else `search` */
    struct dag_ancestors rows;
    struct dag_search search;
};

struct flow {
    const struct policy_object *subject;
    struct policy_findings *findings;
    struct arena *arena;
    const struct flow_spec *spec;
    uint32_t main_count; /* of `steps` */
    uint32_t count;      /* of both */
    const struct flow_step **steps;
    const struct json **nodes; /* the steps' JSON, for lines */
    struct flow_name *by_name; /* sorted by name; equal names by step */
    struct dag dag;            /* over both: no edge leads from one to the other */
    bool has_cycles;
    struct flow_before *before;
    bool is_template;
    bool *used; /* whether something refers to it: one for each of spec->parameters */
};

/* The path of a step: `parent` and `ret` are for path_index(). */
struct flow_path {
    struct path spec, list, step;
};
const struct path *flow_step_path(const struct flow *flow, uint32_t step,
                                  struct flow_path *storage);

/* The lowest step of that name, or UINT32_MAX. */
uint32_t flow_find(const struct flow *flow, struct str name);
/* The step's name most like `name`, or absent, also when there are so many errors that nobody reads it. */
struct str flow_nearest_step(const struct flow *flow, struct str name);

/* The entry of a list that has that name, or NULL; the name most like `name` among them, or absent. */
const struct json *flow_find_named(const struct json *list, struct str name);
struct str flow_nearest_named(const struct json *list, struct str name);
/* Whether the value is one of the list. */
bool flow_is_among(const struct json *list, const struct json *value);

static inline bool flow_is_finally(const struct flow *flow, uint32_t step)
{
    return step >= flow->main_count;
}

static inline bool flow_step_is(const struct flow_step *step, const char *type)
{
    return str_is_set(step->type) ? str_eq_cstr(step->type, type) : strcmp(type, "Job") == 0;
}

/* How `step` may use what `other` gives. */
enum scope_use flow_use(const struct flow *flow, uint32_t step, uint32_t other);
/* Why it may not, in words that follow its name. */
const char *flow_use_error(enum scope_use use);

/* An error at a member of a step, or below: `field` may be NULL for the step itself. */
void flow_refuse(const struct flow *flow, uint32_t step, const char *field, enum err_reason reason,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The rules, by file. */
void flow_check_references(const struct flow *flow, uint32_t step); /* flow_references.c */
void flow_check_io(const struct flow *flow, uint32_t step);         /* flow_io.c */
void flow_check_template(const struct flow *flow, uint32_t step);   /* flow_template.c */
/* Of a JobFlowTemplate, after all steps. */
void flow_check_declared(const struct flow *flow); /* flow_parameters.c */

/* Of texts in which they are left as they are (flow_references.c). */
void flow_warn_of_placeholders(const struct flow *flow, const struct json *value,
                               const struct path *path);

/* A step of which an UPDATE keeps a decision that was made before, or absent (flow_approval.c). */
struct str flow_decided_step(const struct policy_object *subject);

#endif
