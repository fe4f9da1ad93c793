/*
 * What an object of ours must be: defaults, rules, and what the webhook writes into it. The same code
 * answers the apiserver and `callboard-webhook lint`.
 *
 *   policy_default()    changes the object as /mutate does
 *   policy_validate()   reports all errors and warnings of the object as it stands
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

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
    const struct catalog *catalog;
    struct arena *arena;
};

struct policy_findings {
    struct err_list errors;
    struct err_list warnings;
};

void policy_findings_init(struct policy_findings *findings, struct arena *arena);

/* False without memory. The object must be a JSON object; what is of a wrong type in it is left for
 * policy_validate() to report. */
bool policy_default(struct policy_object *subject);

void policy_validate(const struct policy_object *subject, struct policy_findings *findings);

/*
 * Annotations that say who asked and under which id it is logged. The webhook writes them at CREATE and
 * keeps them afterwards; nobody else can.
 */
#define ANNOTATION_INITIATED_BY   "callboard.dev/initiated-by"
#define ANNOTATION_CORRELATION_ID "callboard.dev/correlation-id"

#endif
