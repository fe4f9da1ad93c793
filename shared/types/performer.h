/*
 * Performer (hourglass.eigenlayer.io/v1alpha1): a long-running gRPC service with needs in GPUs and
 * trusted execution environments.
 *
 * The struct is what schema_decode() fills with performer_kind.schema; views and JSON pointers lead into
 * the decoded tree.
 */
#ifndef TYPES_PERFORMER_H
#define TYPES_PERFORMER_H

#include "types/kind.h"
#include "types/meta.h"

struct performer_config {
    struct schema_int grpc_port;
    const struct json *environment; /* a map of strings; values are confidential */
    const struct json *environment_from;
    const struct json *args;    /* a list of strings */
    const struct json *command; /* the same */
    struct str service_account_name;
};

struct performer_scheduling {
    const struct json *node_selector; /* a map of strings */
    const struct json *tolerations;
    const struct json *affinity;
    struct str runtime_class;
    struct str priority_class_name;
    struct str reservation;
    struct str packing;
};

struct performer_hardware {
    struct str gpu_type;
    struct schema_int gpu_count;
    const struct json *gpu_memory; /* a quantity */
    struct schema_int gpu_share;   /* per cent of one GPU */
    struct str cuda_version;
    bool tee_required;
    struct str tee_type;
    const struct json *custom_labels; /* a map of strings */
};

struct performer_spec {
    struct str avs_address;
    struct str image;
    struct str image_pull_policy;
    struct str version;
    const struct json *image_pull_secrets;
    struct performer_config config;
    const struct json *resources; /* requests and limits: maps of quantities */
    struct performer_scheduling scheduling;
    struct performer_hardware hardware;
    struct str upgrade_strategy;
    struct str node_failure_policy;
    struct schema_int backoff_limit;
};

struct performer {
    struct object_meta meta;
    struct performer_spec spec;
};

extern const struct kind performer_kind;

#endif
