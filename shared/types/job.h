/*
 * The Job of a step's template (k8s.io/api/batch/v1), as far as admission checks it: what the apiserver
 * would refuse when the controller creates the Job, when it is too late to tell the user. Fields that are
 * not in the table are passed on as they are. e2e/testdata/templates compares it with an apiserver.
 */
#ifndef TYPES_JOB_H
#define TYPES_JOB_H

#include "schema/schema.h"

/* Of a whole template: apiVersion, kind, metadata, spec. */
extern const struct schema job_template_schema;

#endif
