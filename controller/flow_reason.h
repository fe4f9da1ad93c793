/*
 * Why: the reasons in conditions, steps and events of a JobFlow, each with its meaning for the generated
 * reference. They are a part of the interface, as clients and alerts compare them.
 */
#ifndef CONTROLLER_FLOW_REASON_H
#define CONTROLLER_FLOW_REASON_H

#include "base/buf.h"

enum flow_reason {
    FLOW_REASON_NONE = 0, /* also one that is not ours */
    /* Of conditions. */
    FLOW_REASON_WAITING,
    FLOW_REASON_RUNNING,
    FLOW_REASON_SUCCEEDED,
    FLOW_REASON_STEP_FAILED,
    FLOW_REASON_SUSPENDED,
    FLOW_REASON_APPROVAL_PENDING,
    FLOW_REASON_CONCURRENCY_FORBIDDEN,
    FLOW_REASON_ACTIVE_FLOWS_LIMIT,
    FLOW_REASON_DEADLINE_EXCEEDED,
    FLOW_REASON_REPLACED,
    FLOW_REASON_RESOURCE_REFUSED,
    FLOW_REASON_SPEC_UNREADABLE,
    /* Of steps. */
    FLOW_REASON_CONDITION_FALSE,
    FLOW_REASON_DEPENDENCY_FAILED,
    FLOW_REASON_FLOW_FAILED,
    FLOW_REASON_APPROVED,
    FLOW_REASON_REJECTED,
    FLOW_REASON_JOB_FAILED,
    FLOW_REASON_JOB_LOST,
    FLOW_REASON_RESULT_LOST,
    FLOW_REASON_JOB_REFUSED,
    FLOW_REASON_JOB_FORBIDDEN,
    FLOW_REASON_NAME_TAKEN,
    FLOW_REASON_POD_FAILURE_POLICY,
    FLOW_REASON_TIMEOUT,
    FLOW_REASON_VALUE_INVALID,
    FLOW_REASON_OUTPUT_INVALID,
    FLOW_REASON_PERFORMER_FAILED,
    /* Of events alone. */
    FLOW_REASON_STARTED,
    FLOW_REASON_RESUMED,
    FLOW_REASON_STEP_STARTED,
    FLOW_REASON_STEP_SUCCEEDED,
    FLOW_REASON_STEP_SKIPPED,
    FLOW_REASON_RETRYING,
    FLOW_REASON_FAILED,
    FLOW_REASON_COUNT,
};

/* CamelCase; "" for FLOW_REASON_NONE. */
const char *flow_reason_name(enum flow_reason reason);
/* FLOW_REASON_NONE when it is none of ours. */
enum flow_reason flow_reason_find(struct str name);

/* The table of the generated reference, Markdown. Failure is the buffer's. */
void flow_reason_write_markdown(struct buf *buf);

#endif
