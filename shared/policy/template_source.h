/*
 * Where JobFlowTemplates come from: the API server for the webhook, the given files for lint, a table
 * for tests. What is found stays as it is until the caller has done with the object that it judges.
 */
#ifndef POLICY_TEMPLATE_SOURCE_H
#define POLICY_TEMPLATE_SOURCE_H

#include "json/json.h"

enum template_state {
    TEMPLATE_FOUND,
    TEMPLATE_MISSING,     /* there is none of that name */
    TEMPLATE_UNKNOWN,     /* somebody must be asked first; then judge the object again */
    TEMPLATE_UNREACHABLE, /* whoever knows could not be asked */
};

struct template_answer {
    enum template_state state;
    const struct json *object; /* TEMPLATE_FOUND: the whole JobFlowTemplate */
    struct str near; /* TEMPLATE_MISSING: the name most like the one asked for, or absent */
    struct str text; /* TEMPLATE_UNREACHABLE: why; TEMPLATE_MISSING: what else to say, or absent */
};

struct template_source {
    void *ctx;
    /* Fills *ret, all members. Never waits. */
    void (*find)(void *ctx, struct str namespace, struct str name, struct template_answer *ret);
};

#endif
