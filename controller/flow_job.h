/*
 * What a step is made into: the Job of a step of type Job, the Performer of one of type Performer. Pure:
 * the same flow, step, attempt and values give the same text, so that a create that is repeated meets what
 * the first one made.
 *
 * The template of the user is copied with all of its fields, known here or not. Changed are:
 *   - placeholders in texts, each replaced by its value as data (policy/placeholder.h);
 *   - metadata: name, namespace and owner are ours; labels and annotations are the template's, above them
 *     those of the step's metadata, above them ours. The pods have the labels and annotations, too;
 *   - parameters from Secrets: variables of all containers, by secretKeyRef. Their values are never seen;
 *   - activeDeadlineSeconds: the step's timeoutSeconds when that is less;
 *   - podFailurePolicy: the flow's, where the API server takes it;
 *   - the pods' schedulerName, when the template has none, and the annotation max-runtime-seconds.
 */
#ifndef CONTROLLER_FLOW_JOB_H
#define CONTROLLER_FLOW_JOB_H

#include "controller/flow_values.h"
#include "types/jobflow.h"
#include "types/names.h"

enum {
    /* Of all values that are put into one template, bytes; the API server takes objects of about 1.5 MiB
     * (etcd's --max-request-bytes). */
    FLOW_JOB_VALUES_MAX = 512 * 1024,
};

/* Which flow it is. */
struct flow_owner {
    struct str name;
    struct str namespace;
    struct str uid;
    struct str correlation_id; /* absent: none */
};

/* One try of a step. */
struct flow_try {
    struct flow_owner flow;
    const struct flow_step *step;
    int64_t attempt; /* 0 is the first; status.steps[].retryCount */
    /* The flow's executionPolicy.podFailurePolicy, or NULL. */
    const struct json *failure_policy;
    /* With the step's inputs. */
    const struct flow_view *view;
    bool is_suspended;         /* the Job is made suspended */
    struct str scheduler_name; /* of pods whose template names none; absent: the cluster's */
    bool is_marked; /* pods ask for callboard.dev/managed, for a scheduler with the extender */
};

/*
 * FLOW-STEP, cut to fit, "-" and 8 hexadecimal digits of a hash of (uid, step, attempt): a DNS label of at
 * most `max` bytes. Absent without memory.
 */
struct str flow_child_name(struct arena *arena, const struct flow_owner *flow, struct str step,
                           size_t max, int64_t attempt);
/* 63; less for an Indexed Job, whose pods' host names are longer than its own, and for a Performer, whose
 * children's names are. */
size_t flow_child_name_max(const struct flow_step *step);

/* The whole object, kind and all. NULL with *err filled: 422 with the field in front of the message when
 * the values do not fit into the template (the step has failed; a retry makes it no better), 507 without
 * memory (m->failed is set, too). */
struct json *flow_job_make(struct manifest *m, const struct flow_try *try, struct err *err);
struct json *flow_performer_make(struct manifest *m, const struct flow_try *try, struct err *err);

/* Whether the Job of the step carries the flow's podFailurePolicy, so that the Job controller applies it
 * to each pod. Else (restartPolicy OnFailure, a policy of the template's own, a container that the pod does
 * not have …) it is for us to apply to the pod of a failed Job. False without a policy. */
bool flow_job_carries_policy(const struct flow_step *step, const struct json *failure_policy);

/* The object's labels say that it is this try of this step. Whose it is says its owner reference. */
bool flow_child_matches(const struct json *labels, struct str flow, struct str step,
                        int64_t attempt);

/* Of children: the controller reference alone, and the labels that all have. `step` is absent for what
 * belongs to the flow as a whole. */
struct json *flow_owner_references(struct manifest *m, const struct flow_owner *flow);
struct json *flow_child_labels(struct manifest *m, struct str flow, struct str step,
                               int64_t attempt);

#endif
