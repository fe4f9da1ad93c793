/*
 * The rules of JobFlows that their tables cannot say: the graph, conditions, parameters, artifacts,
 * templates, and what may change when.
 */
#ifndef POLICY_JOBFLOW_H
#define POLICY_JOBFLOW_H

#include "policy/policy.h"

/* Offline or at CREATE and UPDATE; the schema has been checked: its errors are in the findings. */
void jobflow_validate(const struct policy_object *subject, struct policy_findings *findings);

/* The same for a JobFlowTemplate, whose parameters have no values yet. */
void jobflow_template_validate(const struct policy_object *subject,
                               struct policy_findings *findings);

/*
 * Approvals: the annotation approve.workflow.kube-zen.io/STEP is a user's, and
 * approved-by.workflow.kube-zen.io/STEP says who set it. The webhook writes the second whenever the
 * first changes, and puts back what anybody else does to it. Who may set the first is decided by the
 * apiserver (manifests/policies).
 */
#define ANNOTATION_APPROVE     "approve.workflow.kube-zen.io/"
#define ANNOTATION_APPROVED_BY "approved-by.workflow.kube-zen.io/"

/* False without memory. */
bool jobflow_default(struct policy_object *subject);

/* Whatever else changes: an approval that is new or another one must be of a Manual step, and who
 * approved must be right. */
void jobflow_check_metadata(const struct policy_object *subject, struct err_list *errors);

#endif
