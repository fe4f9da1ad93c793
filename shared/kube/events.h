/*
 * Records Kubernetes events about objects, for `kubectl describe`. Best effort and bounded: a full queue
 * drops, and counts what it dropped. The same event again raises the count of the first (10 alike
 * within 10 minutes become one; a burst of 25 an object, then one every 5 minutes), as client-go
 * tools/record/events_cache.go does.
 *
 * Never put an environment value into a message.
 */
#ifndef KUBE_EVENTS_H
#define KUBE_EVENTS_H

#include "kube/client.h"

struct kube_events_config {
    struct kube_client *client;
    struct timers *timers;
    const struct clock *clock;
    const struct random *random;
    const struct mem *mem;
    struct metrics *metrics; /* may be NULL */
    struct str component;    /* "callboard-controller" */
    struct str instance;     /* reportingInstance: the pod's name */
};

struct kube_event {
    const struct kube_resource *resource; /* of the object that it is about */
    struct str namespace;
    struct str name;
    struct str uid;
    struct str resource_version;
    bool is_warning;
    const char *reason; /* CamelCase; static */
    struct str message; /* copied; at most 1,024 bytes are sent */
};

struct kube_events;

struct kube_events *kube_events_new(const struct kube_events_config *config, struct err *err);
void kube_events_free(struct kube_events *events);
void kube_events_record(struct kube_events *events, const struct kube_event *event);
/* Events not yet sent. */
size_t kube_events_pending(const struct kube_events *events);

#endif
