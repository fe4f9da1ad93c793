/*
 * When a failed step is tried again, and what the exit codes of its pod mean.
 *
 *   Exponential   duration × factor^(n − 1)      before the n-th retry
 *   Linear        duration × n
 *   Fixed         duration
 */
#ifndef CONTROLLER_FLOW_BACKOFF_H
#define CONTROLLER_FLOW_BACKOFF_H

#include "json/json.h"

/* No wait is longer. */
#define FLOW_BACKOFF_MAX_NS (INT64_C(24) * 3600 * 1000 * 1000 * 1000)

/* How often a step is tried again at most; 0 without a policy. */
int64_t flow_retry_limit(const struct json *retry_policy);
/* The wait before the `retry`-th retry, from 1. What the policy does not say has its default. */
int64_t flow_backoff_ns(const struct json *retry_policy, int64_t retry);

/* ---- podFailurePolicy ---- */

enum flow_failure {
    FLOW_FAILURE_COUNTS,  /* Count, or no rule fits */
    FLOW_FAILURE_IGNORED, /* the next try is no retry */
    FLOW_FAILURE_FINAL,   /* FailJob: the step has failed and is not tried again */
};

/* By the executionPolicy.podFailurePolicy of a flow (NULL: none) and a failed pod. The first rule that fits
 * decides, as the Job controller's does (k8s.io/kubernetes pkg/controller/job/pod_failure_policy.go): a
 * container that ended with 0 is not looked at, nor is one that runs. */
enum flow_failure flow_failure_judge(const struct json *policy, const struct json *pod);

#endif
