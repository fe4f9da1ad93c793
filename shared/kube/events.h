/*
 * Records Kubernetes events about objects, for `kubectl describe`. Best effort and bounded: a full queue
 * drops, and counts what it dropped. The same event again raises the count of the first; from the 10th
 * message on for the same object and reason, each within 10 minutes of the one before, they become
 * one, "(combined from similar events): …"; an object has a burst of 25 events, then one every
 * 5 minutes (client-go tools/record/events_cache.go).
 *
 * They are events of v1, whose count and two times `kubectl describe` shows. events.k8s.io/v1 serves the
 * same objects, but forbids the count and wants a series that its writer has to end.
 *
 * One request is under way at a time, in the order of recording, so that events never crowd out the
 * writes that they tell of. A server that is not reached is tried again every 10 s, 12 times.
 *
 * Metric: kube_events_total{result}: sent (created or counted), filtered (one too many of an object),
 * full, failed.
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
    struct str component;    /* "callboard-controller"; both are copied */
    struct str instance;     /* reportingInstance: the pod's name */
};

struct kube_event {
    const struct kube_resource *resource; /* of the object that it is about; static */
    struct str namespace; /* absent for what is in none: the event is in "default" */
    struct str name;
    struct str uid;
    struct str resource_version;
    bool is_warning;
    const char *reason; /* CamelCase; static */
    struct str message; /* at most 1,024 bytes are sent */
};

struct kube_events;

struct kube_events *kube_events_new(const struct kube_events_config *config, struct err *err);
/* What was not sent is lost. Accepts NULL. */
void kube_events_free(struct kube_events *events);
/* Copies the texts. Neither waits nor fails: at most it is counted as dropped. */
void kube_events_record(struct kube_events *events, const struct kube_event *event);
/* Events not yet sent. */
size_t kube_events_pending(const struct kube_events *events);

#endif
