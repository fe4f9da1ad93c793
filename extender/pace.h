/*
 * Keeps kube-scheduler from running ahead of its bindings. It goes on with the next pod while earlier ones are being
 * bound; where that takes the apiserver longer than finding a node takes kube-scheduler, more and more bindings wait,
 * until they take longer than anybody waits for them and their pods are placed anew. So while too many are under way,
 * the answer to the question about the next pod is put off, until some have ended or a second or two have passed.
 *
 * All functions: any thread.
 */
#ifndef EXTENDER_PACE_H
#define EXTENDER_PACE_H

#include "http/server.h"

#include <pthread.h>

enum {
    PACE_HELD_MAX = 8, /* questions; kube-scheduler asks about one pod at a time */
    PACE_HOLD_MS = 1000,
};

struct pace {
    size_t most; /* bindings that may be under way */
    pthread_mutex_t lock;
    size_t bindings; /* under way */
    struct http_wait *held[PACE_HELD_MAX];
    size_t held_count;
};

void pace_init(struct pace *pace, size_t most);
/* When no binding is under way any more. */
void pace_done(struct pace *pace);

/* A binding begins; each is ended once. */
void pace_begin_binding(struct pace *pace);
void pace_end_binding(struct pace *pace);

/* True when the answer is put off: the handler returns, and is called once more with the same request. */
bool pace_hold(struct pace *pace, const struct http_request *request);

#endif
