/*
 * JobFlow (workflow.kube-zen.io/v1alpha1): a directed acyclic graph of steps, each a Job, a decision of a
 * person, or a Performer; and JobFlowTemplate, a flow with parameters that JobFlows are made from.
 *
 * The structs are what schema_decode() fills; views and JSON pointers lead into the decoded tree.
 */
#ifndef TYPES_JOBFLOW_H
#define TYPES_JOBFLOW_H

#include "types/kind.h"
#include "types/meta.h"

enum {
    JOBFLOW_STEPS_MAX = 2000,
    JOBFLOW_PARAMETERS_MAX = 256,         /* of a flow, and of a template */
    JOBFLOW_TIMEOUT_MAX = 30 * 24 * 3600, /* seconds */
};

struct flow_policy {
    struct str concurrency_policy;
    struct str concurrency_group;
    struct schema_int ttl_seconds;
    struct schema_int backoff_limit;
    struct schema_int active_deadline_seconds;
    const struct json *pod_failure_policy;
    struct str priority;
    struct schema_int parallelism;
    bool suspend;
    struct str suspend_mode;
};

struct flow_inputs {
    const struct json *artifacts;
    const struct json *parameters;
};

struct flow_outputs {
    const struct json *artifacts;
    const struct json *parameters;
};

struct flow_step {
    struct str name;
    struct str type;
    const struct json *metadata;
    const struct json *dependencies; /* a list of names */
    const struct json *retry_policy;
    struct schema_int timeout_seconds;
    struct str when;
    bool continue_on_failure;
    struct str message;
    const struct json *template;
    struct flow_inputs inputs;
    struct flow_outputs outputs;
};

struct flow_resources {
    const struct json *volume_claims;
    const struct json *config_maps;
};

struct flow_spec {
    struct flow_policy policy;
    struct flow_resources resources;
    struct schema_list steps;   /* of struct flow_step */
    struct schema_list finally; /* the same */
    const struct json *parameters;
    const struct json *template_ref;
};

struct jobflow {
    struct object_meta meta;
    struct flow_spec spec;
};

extern const struct kind jobflow_kind;
extern const struct kind jobflow_template_kind;

#endif
