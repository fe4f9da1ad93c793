/*
 * Binding pods: the one thing that the extender writes. Devices are chosen, reserved and written with the
 * node in one POST of pods/binding, which takes annotations along and honours the pod's UID.
 *
 *   handler's thread                     the writer's thread
 *   bind_request_new() ── queue ──▶ choose, reserve ── POST ──▶ answer known ── http_wait_end()
 *                                              │                     │ unknown: GET, and look
 *                                              └── nothing fits ─────┴──▶ error, nothing reserved
 *
 * Idempotent on the pod's UID: a binding that is under way is joined, one that is done is success again,
 * because kube-scheduler may have given up waiting for one that succeeded.
 *
 * A reservation whose outcome is not known stays: after DOUBT_S, longer than any request can be under way, the
 * server is asked again, and only when it says that the pod is not bound are the devices given back. Until
 * then the same binding is sent again when kube-scheduler asks for it.
 */
#ifndef EXTENDER_BINDER_H
#define EXTENDER_BINDER_H

#include "base/log.h"
#include "base/metrics.h"
#include "extender/census.h"
#include "extender/packer.h"
#include "extender/wire.h"
#include "kube/client.h"

enum { BIND_ERROR_MAX = 256, DOUBT_S = 60 };

/* What kube-scheduler waits for; shared by its handler and the binder. */
struct bind_request {
    atomic_uint refs;
    struct bind_request *next;   /* of whoever has it now */
    void *wait;                  /* the handler's; given to binder_config.answered */
    struct wire_binding binding; /* texts behind the struct */
    size_t size;
    int64_t give_up_ns; /* the binder's */
    atomic_bool is_done;
    char error[BIND_ERROR_MAX]; /* empty: bound; to be read when it is done */
};

/* With one reference; NULL without memory. */
struct bind_request *bind_request_new(const struct wire_binding *binding);
struct bind_request *bind_request_ref(struct bind_request *request);
void bind_request_unref(struct bind_request *request);
/* For requests that never came to a binder: sets the error and hands the reference to `answered`. */
void bind_request_finish(struct bind_request *request, const char *error,
                         void (*answered)(void *ctx, struct bind_request *request), void *ctx);

struct binder;

struct binder_config {
    struct kube_client *client;
    struct census *census;
    struct packer *packer;
    const struct store *pods;
    const struct clock *clock;
    const struct mem *mem;
    struct metrics *metrics;        /* may be NULL */
    const struct log *log;          /* may be NULL */
    struct catalog *const *catalog; /* the current one */
    int64_t timeout_ns;             /* of the POST */
    /* The request is done; takes over the reference of binder_bind(). */
    void (*answered)(void *ctx, struct bind_request *request);
    void *ctx;
};

struct binder *binder_new(const struct binder_config *config, struct err *err);
/* Requests that are under way are answered with an error. Accepts NULL. */
void binder_free(struct binder *binder);

/* Takes over a reference. `answered` may be called before this returns. */
void binder_bind(struct binder *binder, struct bind_request *request);
/* After the watches have been heard: binds the pods that were not known before. Returns when it wants to be
 * called again at the latest. */
int64_t binder_run(struct binder *binder);
/* About once a second: looks after what is in doubt. */
void binder_tick(struct binder *binder);
/* Requests under way. */
size_t binder_pending(const struct binder *binder);

#endif
