/*
 * Keeps a sink in step with a collection of the API server: a list, then a watch with bookmarks. A watch
 * that was cut, or ended by the server, or was silent, goes on at the last version; a list comes again
 * on 410, on an ERROR event, when the sink had no memory, and when the watch cannot be had (client-go
 * tools/cache/reflector.go). Whatever failed is tried again after 0.8 s, doubling up to 30 s, each time
 * with as much again at random; two quiet minutes reset that.
 *
 * Freshness: every list, the first too, asks for no version, which is as new as etcd is when the server
 * takes the request ("Most recent", kubernetes.io/docs/reference/using-api/api-concepts). A watch may be
 * behind: by seconds, and by SILENCE_NS (reflector.c) when its connection is dead. So a new leader refreshes,
 * and never acts on less than the leader before it wrote. The list is streamed (WatchList, sendInitialEvents)
 * where the server has that, else it is read in pages.
 *
 * Objects are given to the sink as JSON trees in an arena that is reset after each one: a sink keeps a
 * projection, not the tree. Neither a page nor a stream is ever held whole. An object that is larger than
 * `object_max`, or that our strict reader refuses (a NUL in a text), is passed over, counted, and is for
 * the sink as if it were not there: etcd's own limit is 1.5 MiB, and nobody who can write one such
 * object may stop the others.
 *
 * Metrics, with the label resource: reflector_lists_total{reason}, reflector_watches_total,
 * reflector_objects_total, reflector_objects_skipped_total{reason}, reflector_last_resource_version.
 */
#ifndef KUBE_REFLECTOR_H
#define KUBE_REFLECTOR_H

#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/timers.h"
#include "kube/object.h"
#include "kube/resource.h"
#include "kube/transport.h"

/* Calls come in this order: begin, upserts (and, of a list that is streamed, removals), end: what was not
 * in the list is gone. Then upserts and removals of the watch, in the order of their versions, each once.
 * A new list begins with begin() again, also when the one before did not come to its end. The sink must
 * not free the reflector. */
struct kube_sink {
    void (*begin)(void *ctx);
    /* -1 without memory: the reflector lists again after its backoff. */
    int (*upsert)(void *ctx, const struct json *object, const struct kube_meta *meta);
    void (*remove)(void *ctx, const struct json *object, const struct kube_meta *meta);
    void (*end)(void *ctx);
    void *ctx;
};

struct kube_reflector_config {
    struct kube_transport *transport;
    struct timers *timers;
    const struct clock *clock;
    const struct random *random;
    const struct mem *mem;
    struct metrics *metrics; /* may be NULL */
    const struct kube_resource *resource;
    struct str namespace; /* absent: all. These three are copied. */
    struct str label_selector;
    struct str field_selector;
    struct kube_sink sink;
    size_t object_max; /* bytes of one object; 0: 4 MiB */
    int64_t page;      /* 0: 500 */
};

struct kube_reflector;

/* Begins at once. */
struct kube_reflector *kube_reflector_new(const struct kube_reflector_config *config,
                                          struct err *err);
/* Accepts NULL. */
void kube_reflector_free(struct kube_reflector *reflector);

/* True once a list was whole (and for ever after). */
bool kube_reflector_has_synced(const struct kube_reflector *reflector);
/* What was seen so far may be behind what others wrote: begins a new list, which kube_reflector_is_fresh()
 * waits for, and forgets how often something has failed before. Not to be called by the sink. */
void kube_reflector_refresh(struct kube_reflector *reflector);
/* A list that was begun after the last refresh was whole. */
bool kube_reflector_is_fresh(const struct kube_reflector *reflector);
/* All that happened up to this version has been given to the sink (the last event, bookmark or list). A
 * fence waits for the version of its own write (control/controller.h). */
uint64_t kube_reflector_version(const struct kube_reflector *reflector);
/* Monotonic time at which the server was last heard: a part of an answer, or a watch that the server
 * had accepted and that ended. While all is well that is at most about 90 s ago. */
int64_t kube_reflector_heard_ns(const struct kube_reflector *reflector);
/* Why the last attempt failed, for people: "403: pods is forbidden: …"; absent once the server is heard
 * again. Valid until the next turn of the event loop. */
struct str kube_reflector_problem(const struct kube_reflector *reflector);

#endif
