/*
 * Keeps a sink in step with a collection of the API server: paged list, then watch with bookmarks;
 * resumes at the last version after a cut, lists again on 410, on silence and on an ERROR event, with
 * jittered backoff (client-go tools/cache/reflector.go). Streams the list by WatchList
 * (sendInitialEvents) where the server has it.
 *
 * Objects are given to the sink as JSON trees in an arena that is reset after each one: a sink keeps a
 * projection, not the tree.
 */
#ifndef KUBE_REFLECTOR_H
#define KUBE_REFLECTOR_H

#include "kube/client.h"
#include "kube/object.h"

/* Calls come in this order: begin, upsert…, end (a whole list: what was not in it is gone), then upserts and
 * removals; a new list begins with begin() again. */
struct kube_sink {
    void (*begin)(void *ctx);
    /* -1 without memory: the reflector lists again after its backoff. */
    int (*upsert)(void *ctx, const struct json *object, const struct kube_meta *meta);
    void (*remove)(void *ctx, const struct json *object, const struct kube_meta *meta);
    void (*end)(void *ctx);
    void *ctx;
};

struct kube_reflector_config {
    struct kube_client *client;
    struct kube_transport *transport;
    struct timers *timers;
    const struct clock *clock;
    const struct random *random;
    const struct mem *mem;
    struct metrics *metrics; /* may be NULL */
    const struct kube_resource *resource;
    struct str namespace; /* absent: all */
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
void kube_reflector_free(struct kube_reflector *reflector);

/* True once a list was whole (and for ever after). */
bool kube_reflector_has_synced(const struct kube_reflector *reflector);
/* All that happened up to this version has been given to the sink (the last event, bookmark or list). A
 * fence waits for the version of its own write (control/controller.h). */
uint64_t kube_reflector_version(const struct kube_reflector *reflector);
/* Monotonic time of the last byte from the server, for health. */
int64_t kube_reflector_heard_ns(const struct kube_reflector *reflector);

#endif
