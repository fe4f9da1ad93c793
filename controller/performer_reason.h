/*
 * Why: the reasons in conditions and events of a Performer, each with its meaning for the generated
 * reference. They are a part of the interface, as clients and alerts compare them.
 */
#ifndef CONTROLLER_PERFORMER_REASON_H
#define CONTROLLER_PERFORMER_REASON_H

#include "base/buf.h"

enum performer_reason {
    REASON_NONE = 0, /* also one that is not ours */
    /* Good or not yet. */
    REASON_WAITING,
    REASON_NOT_REQUIRED,
    REASON_SCHEDULED,
    REASON_PULLED,
    REASON_STARTED,
    REASON_STARTING,
    REASON_ENDPOINT_READY,
    REASON_ENDPOINT_NOT_READY,
    REASON_SERVING,
    REASON_SERVING_OLD_REVISION,
    REASON_NOT_READY,
    REASON_TERMINATING,
    /* Problems. */
    REASON_UNSCHEDULABLE,
    REASON_HARDWARE_UNAVAILABLE,
    REASON_HARDWARE_UNKNOWN,
    REASON_IMAGE_PULL_FAILED,
    REASON_CONTAINER_START_FAILED,
    REASON_CONTAINER_CRASHED,
    REASON_POD_FAILED,
    REASON_BACKOFF_LIMIT_EXCEEDED,
    REASON_POD_REFUSED,
    REASON_POD_FORBIDDEN,
    REASON_SERVICE_REFUSED,
    REASON_SERVICE_FORBIDDEN,
    REASON_NAME_TAKEN,
    REASON_NODE_NOT_READY,
    REASON_NODE_LOST,
    /* Of events alone. */
    REASON_RUNNING,
    REASON_UPGRADING,
    REASON_UPGRADED,
    REASON_RETRYING,
    REASON_RESTORED,
    REASON_COUNT,
};

/* CamelCase; "" for REASON_NONE. */
const char *performer_reason_name(enum performer_reason reason);
/* REASON_NONE when it is none of ours. */
enum performer_reason performer_reason_find(struct str name);
bool performer_reason_is_problem(enum performer_reason reason);

/* The table of the generated reference, Markdown. Failure is the buffer's. */
void performer_reason_write_markdown(struct buf *buf);

#endif
