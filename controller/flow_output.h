/*
 * The values of a step's outputs.parameters, read when its Job has succeeded.
 *
 *     $.status.succeeded          from the step's Job
 *     STEP:$.status.succeeded     from another step's
 *     $.terminationMessage        what its container wrote to /dev/termination-log
 *     $.terminationMessage.rows   a value in it, when that is JSON
 *
 * A text is taken as it is, a number as it is written, an object or a list as compact JSON. Of a whole
 * termination message one line end at its end is left out: `echo 10` means "10". What is not there, and
 * null, is not produced: a condition reads it as the empty text, a placeholder refuses it.
 */
#ifndef CONTROLLER_FLOW_OUTPUT_H
#define CONTROLLER_FLOW_OUTPUT_H

#include "controller/flow_values.h"

enum {
    FLOW_OUTPUT_MAX = 4096,   /* bytes of one value: what a termination message can hold */
    FLOW_OUTPUTS_MAX = 16384, /* of all values of a step, so that the flow's status stays small */
};

struct flow_output_source {
    const struct json *job;         /* of the step */
    struct str termination_message; /* absent: none, or not known */
    const struct flow_values *values;
    /* For the Jobs of other steps; only `job` of it is asked. */
    const struct flow_sources *sources;
};

/* Whether one of outputs.parameters asks for the termination message, so that the pod has to be looked at. */
bool flow_output_needs_message(const struct json *parameters);

/* An object of strings, empty when nothing was produced. NULL with *err filled: 422 when a value is too
 * long, 507 without memory. */
struct json *flow_output_read(struct manifest *m, const struct json *parameters,
                              const struct flow_output_source *source, struct err *err);

/* The termination message in a pod's object: that of the first container of spec.containers that has ended
 * with one; absent when none has. */
struct str flow_output_message(const struct json *pod);

#endif
