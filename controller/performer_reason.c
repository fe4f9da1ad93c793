/* The reasons in conditions and events of a Performer. */
#include "controller/performer_reason.h"

struct reason {
    const char *name;
    const char *text;
};

static const struct reason reasons[REASON_COUNT] = {
    [REASON_NONE] = {"", NULL},
    [REASON_WAITING] = {"Waiting", "An earlier step comes first."},
    [REASON_NOT_REQUIRED] = {"NotRequired", "The Performer asks for no special hardware."},
    [REASON_SCHEDULED] = {"Scheduled", "The scheduler found a node that fits."},
    [REASON_PULLED] = {"Pulled", "The image is on the node."},
    [REASON_STARTED] = {"Started", "The container runs, and its readiness probe succeeds."},
    [REASON_STARTING] = {"Starting", "On its way; the stage tells how far."},
    [REASON_ENDPOINT_READY] = {"EndpointReady", "The Service leads to the pod."},
    [REASON_ENDPOINT_NOT_READY] = {"EndpointNotReady", "The Service does not lead to the pod yet."},
    [REASON_SERVING] = {"Serving", "The endpoint accepts requests."},
    [REASON_SERVING_OLD_REVISION] = {"ServingOldRevision",
                                     "The pod of before an upgrade still serves."},
    [REASON_NOT_READY] = {"NotReady", "The container runs, but its readiness probe fails."},
    [REASON_TERMINATING] = {"Terminating", "The Performer is being deleted."},
    [REASON_UNSCHEDULABLE] =
        {"Unschedulable", "No node fits right now; the message is the scheduler's. The pod goes "
                          "on waiting."},
    [REASON_HARDWARE_UNAVAILABLE] = {"HardwareUnavailable",
                                     "No node has the hardware free right now; the message is the "
                                     "scheduler's. The pod goes on waiting."},
    [REASON_HARDWARE_UNKNOWN] = {"HardwareUnknown",
                                 "The catalog does not have what hardwareRequirements names."},
    [REASON_IMAGE_PULL_FAILED] = {"ImagePullFailed", "The image could not be pulled."},
    [REASON_CONTAINER_START_FAILED] = {"ContainerStartFailed",
                                       "The container could not be started."},
    [REASON_CONTAINER_CRASHED] = {"ContainerCrashed", "The container ended."},
    [REASON_POD_FAILED] = {"PodFailed", "The pod ended as a whole: evicted, or refused by its "
                                        "node."},
    [REASON_BACKOFF_LIMIT_EXCEEDED] = {"BackoffLimitExceeded",
                                       "The pod failed more often than backoffLimit allows; it is "
                                       "not replaced any more."},
    [REASON_POD_REFUSED] = {"PodRefused", "The API server refuses the pod as invalid. It is tried "
                                          "again when the spec changes."},
    [REASON_POD_FORBIDDEN] = {"PodForbidden", "A quota or a policy does not allow the pod. It is "
                                              "tried again."},
    [REASON_SERVICE_REFUSED] = {"ServiceRefused",
                                "The API server refuses the Service as invalid. It is tried again "
                                "when the spec changes."},
    [REASON_SERVICE_FORBIDDEN] = {"ServiceForbidden", "A quota or a policy does not allow the "
                                                      "Service. It is tried again."},
    [REASON_NAME_TAKEN] = {"NameTaken", "An object of somebody else has the name of the pod or of "
                                        "the Service. It is left alone."},
    [REASON_NODE_NOT_READY] = {"NodeNotReady", "The node of the pod does not answer."},
    [REASON_NODE_LOST] = {"NodeLost", "The node of the pod has not answered for two minutes, or is "
                                      "gone; another pod takes over."},
    [REASON_RUNNING] = {"Running", "Event: the endpoint accepts requests for the first time, or "
                                   "again."},
    [REASON_UPGRADING] = {"Upgrading", "Event: a change of the spec is being rolled out."},
    [REASON_UPGRADED] = {"Upgraded", "Event: the change is rolled out."},
    [REASON_RETRYING] = {"Retrying", "Event: the failed pod is replaced."},
    [REASON_RESTORED] = {"Restored", "Event: a change that somebody made to the pod or the Service "
                                     "is put right."},
};

const char *performer_reason_name(enum performer_reason reason)
{
    return reasons[reason].name;
}

enum performer_reason performer_reason_find(struct str name)
{
    for (int i = 1; i < REASON_COUNT; i++) {
        if (str_eq_cstr(name, reasons[i].name))
            return (enum performer_reason)i;
    }
    return REASON_NONE;
}

bool performer_reason_is_problem(enum performer_reason reason)
{
    return reason >= REASON_UNSCHEDULABLE && reason <= REASON_NODE_LOST;
}

void performer_reason_write_markdown(struct buf *buf)
{
    buf_put(buf, STR("| Reason | Meaning |\n|---|---|\n"));
    for (int i = 1; i < REASON_COUNT; i++)
        buf_printf(buf, "| `%s` | %s |\n", reasons[i].name, reasons[i].text);
}
