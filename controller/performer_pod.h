/*
 * The making of a pod: private to performer_pod.c and performer_hardware.c.
 */
#ifndef CONTROLLER_PERFORMER_POD_H
#define CONTROLLER_PERFORMER_POD_H

#include "controller/performer_parts.h"
#include "types/performer.h"

struct pod_maker {
    struct scene *scene;
    struct manifest *m;
    struct performer_spec spec;
    int64_t port;

    /* What pod_maker_place() fills. */
    struct json *annotations;
    struct json *resources;
    struct json *node_selector;
    struct json *affinity;
    struct json *tolerations;
    struct str runtime_class;
    bool has_shared_gpu;
};

/* Where the pod may run, and what it asks of the node, by spec and catalog. A text says what the catalog
 * does not have; absent when all is well. */
struct str pod_maker_place(struct pod_maker *maker);

#endif
