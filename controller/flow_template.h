/*
 * The objects of a flow's resourceTemplates: claims of volumes and ConfigMaps, which are made before the
 * first step and go with the flow. Pure, as flow_job.h.
 *
 * Steps refer to such an object by the name that its template has: it keeps this name. One of that name
 * that the flow does not own is somebody else's and is never used.
 */
#ifndef CONTROLLER_FLOW_TEMPLATE_H
#define CONTROLLER_FLOW_TEMPLATE_H

#include "controller/flow_job.h"
#include "kube/resource.h"

/* The n-th object of a flow, claims before ConfigMaps, each in the order of its list. */
struct flow_resource {
    const struct kube_resource *resource;
    struct str name;
    const struct json *template;
};

/* How many there are. */
size_t flow_resource_count(const struct flow_resources *resources);
/* False beyond the last. */
bool flow_resource_at(const struct flow_resources *resources, size_t index,
                      struct flow_resource *ret);

/* The whole object: the template with our labels above its own, the flow as owner, its namespace, and no
 * status. NULL without memory (m->failed). */
struct json *flow_resource_make(struct manifest *m, const struct flow_owner *flow,
                                const struct flow_resource *resource);

#endif
