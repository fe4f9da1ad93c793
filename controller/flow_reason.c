/* The reasons in conditions, steps and events of a JobFlow. */
#include "controller/flow_reason.h"

struct reason {
    const char *name;
    const char *text;
};

static const struct reason reasons[FLOW_REASON_COUNT] = {
    [FLOW_REASON_NONE] = {"", NULL},
    [FLOW_REASON_WAITING] = {"Waiting", "The flow has not started, or has not come so far."},
    [FLOW_REASON_RUNNING] = {"Running", "Steps run, or can."},
    [FLOW_REASON_SUCCEEDED] = {"Succeeded", "All steps have ended well, or may fail."},
    [FLOW_REASON_STEP_FAILED] = {"StepFailed", "A step has failed. Also an event about it."},
    [FLOW_REASON_SUSPENDED] = {"Suspended",
                               "No step starts, because of spec.executionPolicy.suspend."},
    [FLOW_REASON_APPROVAL_PENDING] = {"ApprovalPending", "A Manual step waits for a decision."},
    [FLOW_REASON_CONCURRENCY_FORBIDDEN] =
        {"ConcurrencyForbidden", "The flow waits for another one of its concurrencyGroup, "
                                 "or for one before it that waits, too."},
    [FLOW_REASON_ACTIVE_FLOWS_LIMIT] = {"ActiveFlowsLimit",
                                        "As many flows are active as --max-active-flows allows."},
    [FLOW_REASON_DEADLINE_EXCEEDED] = {"DeadlineExceeded",
                                       "The flow ran longer than activeDeadlineSeconds."},
    [FLOW_REASON_REPLACED] = {"Replaced", "A newer flow of the concurrencyGroup, with the policy "
                                          "Replace, takes its place."},
    [FLOW_REASON_RESOURCE_REFUSED] = {"ResourceRefused",
                                      "An object of resourceTemplates cannot be made."},
    [FLOW_REASON_SPEC_UNREADABLE] = {"SpecUnreadable",
                                     "The webhook has not checked the flow, and it "
                                     "cannot be run as it is."},
    [FLOW_REASON_CONDITION_FALSE] = {"ConditionFalse", "Skipped: its condition does not hold."},
    [FLOW_REASON_DEPENDENCY_FAILED] =
        {"DependencyFailed", "Skipped: a step that it depends on has failed, or was skipped "
                             "for that reason."},
    [FLOW_REASON_FLOW_FAILED] = {"FlowFailed",
                                 "Skipped: after the failure of another step nothing starts."},
    [FLOW_REASON_APPROVED] = {"Approved", "Somebody has approved the step. Also an event."},
    [FLOW_REASON_REJECTED] = {"Rejected", "Somebody has rejected the step. Also an event."},
    [FLOW_REASON_JOB_FAILED] = {"JobFailed", "The Job of the step has failed."},
    [FLOW_REASON_JOB_LOST] = {"JobLost", "The Job was deleted before it had ended."},
    [FLOW_REASON_RESULT_LOST] = {"ResultLost",
                                 "The step has ended, because one that depends on it has begun, "
                                 "but the status had not told how, and its Job or Performer is "
                                 "gone. It counts as failed if it has continueOnFailure, as "
                                 "skipped if its condition cannot be asked any more, else as "
                                 "succeeded, without outputs."},
    [FLOW_REASON_JOB_REFUSED] = {"JobRefused",
                                 "The API server refuses the Job as invalid. The step is "
                                 "not tried again."},
    [FLOW_REASON_JOB_FORBIDDEN] = {"JobForbidden",
                                   "A quota or a policy does not allow the Job. It is "
                                   "tried again."},
    [FLOW_REASON_NAME_TAKEN] = {"NameTaken",
                                "An object of somebody else has the name that is needed. It "
                                "is left alone."},
    [FLOW_REASON_POD_FAILURE_POLICY] = {"PodFailurePolicy",
                                        "The exit code of a pod ended the step; it is not tried "
                                        "again."},
    [FLOW_REASON_TIMEOUT] = {"Timeout", "The step took longer than timeoutSeconds."},
    [FLOW_REASON_VALUE_INVALID] = {"ValueInvalid",
                                   "A value that the step needs is missing or does not "
                                   "fit into its template."},
    [FLOW_REASON_OUTPUT_INVALID] = {"OutputInvalid", "An output of the step cannot be read."},
    [FLOW_REASON_PERFORMER_FAILED] =
        {"PerformerFailed", "The Performer of the step has failed for good, or was deleted."},
    [FLOW_REASON_STARTED] = {"Started", "Event: the flow has started."},
    [FLOW_REASON_RESUMED] = {"Resumed", "Event: the flow is no longer suspended."},
    [FLOW_REASON_STEP_STARTED] = {"StepStarted", "Event: steps have started."},
    [FLOW_REASON_STEP_SUCCEEDED] = {"StepSucceeded", "Event: steps have succeeded."},
    [FLOW_REASON_STEP_SKIPPED] = {"StepSkipped", "Event: steps were skipped."},
    [FLOW_REASON_RETRYING] = {"Retrying",
                              "Event: a failed step is tried again, after its backoff."},
    [FLOW_REASON_FAILED] = {"Failed", "Event: the flow has failed."},
};

const char *flow_reason_name(enum flow_reason reason)
{
    return reasons[reason].name;
}

enum flow_reason flow_reason_find(struct str name)
{
    for (int i = 1; i < FLOW_REASON_COUNT; i++) {
        if (str_eq_cstr(name, reasons[i].name))
            return (enum flow_reason)i;
    }
    return FLOW_REASON_NONE;
}

void flow_reason_write_markdown(struct buf *buf)
{
    buf_put(buf, STR("| Reason | Means |\n|---|---|\n"));
    for (int i = 1; i < FLOW_REASON_COUNT; i++)
        buf_printf(buf, "| `%s` | %s |\n", reasons[i].name, reasons[i].text);
}
