/*
 * What an object of ours must be: defaults, rules, and what the webhook writes into it. The same code
 * answers the apiserver and `callboard-webhook lint`.
 *
 *   policy_expand()     fills in what it refers to, as /mutate does first
 *   policy_default()    changes the object as /mutate does
 *   policy_validate()   reports all errors and warnings of the object as it stands
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "policy/template_source.h"
#include "types/catalog.h"
#include "types/kind.h"

enum policy_operation {
    POLICY_CREATE,
    POLICY_UPDATE,
};

/* An object to be judged. Everything is owned by the caller and lives in `arena` or longer. */
struct policy_object {
    const struct kind *kind;
    enum policy_operation operation;
    struct json *object;       /* policy_default() changes it in place */
    const struct json *before; /* the stored version for POLICY_UPDATE, else NULL */
    /* Who asks; absent offline, where nothing is written in anybody's name. */
    struct str user;
    struct str request_uid;
    /* Offline nobody else checks metadata and unknown fields. */
    bool is_offline;
    size_t max_steps; /* of a flow; 0: JOBFLOW_STEPS_MAX */
    struct str namespace;
    const struct template_source *templates; /* for policy_expand() */
    const struct catalog *catalog;
    struct arena *arena;
    /* Set by policy_expand(); else absent. */
    struct str template_name;       /* whose steps a flow has */
    struct str template_generation; /* metadata.generation of it, when the flow was just made */
};

struct policy_findings {
    struct err_list errors;
    struct err_list warnings;
};

void policy_findings_init(struct policy_findings *findings, struct arena *arena);

enum policy_expansion {
    POLICY_EXPANDED,  /* or nothing was to be done, or it could not be and the findings say why */
    POLICY_UNDECIDED, /* the template is TEMPLATE_UNKNOWN or TEMPLATE_UNREACHABLE */
    POLICY_NO_MEMORY,
};

/* Fills in what the object only refers to: a flow's spec.templateRef. Comes before policy_default().
 * *ret_answer is set for POLICY_UNDECIDED: what subject->templates said. */
enum policy_expansion policy_expand(struct policy_object *subject, struct policy_findings *findings,
                                    struct template_answer *ret_answer);

/* False without memory. The object must be a JSON object; what is of a wrong type in it is left for
 * policy_validate() to report. */
bool policy_default(struct policy_object *subject);

void policy_validate(const struct policy_object *subject, struct policy_findings *findings);

/*
 * Annotations that say who asked, under which id it is logged, and which generation of a template the
 * flow was made from. The webhook writes them at CREATE and keeps them afterwards; nobody else can.
 */
#define ANNOTATION_INITIATED_BY        "callboard.dev/initiated-by"
#define ANNOTATION_CORRELATION_ID      "callboard.dev/correlation-id"
#define ANNOTATION_TEMPLATE_GENERATION "workflow.kube-zen.io/template-generation"

#endif
