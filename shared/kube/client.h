/*
 * Calls to the API server over a transport: paths, rate limit, retries, the write deadline of a leader,
 * metrics. Asynchronous; all in one thread; `done` runs exactly once per call unless it was cancelled.
 *
 * Retried here, with jittered exponential backoff and Retry-After honoured: 429, what was certainly
 * not sent, and for reads also 5xx and lost answers. A write whose outcome is unknown is never repeated
 * here: the caller decides from what it then sees.
 */
#ifndef KUBE_CLIENT_H
#define KUBE_CLIENT_H

#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/timers.h"
#include "kube/resource.h"
#include "kube/transport.h"

enum kube_verb {
    KUBE_GET,
    KUBE_LIST,
    KUBE_CREATE,
    KUBE_UPDATE,      /* PUT */
    KUBE_PATCH_JSON,  /* RFC 6902 */
    KUBE_PATCH_MERGE, /* RFC 7396 */
    KUBE_APPLY,       /* server-side apply */
    KUBE_DELETE,      /* body: metav1.DeleteOptions, made of the members below */
};

struct kube_call {
    enum kube_verb verb;
    enum kube_lane lane;
    const struct kube_resource *resource;
    struct str namespace;
    struct str name;
    struct str subresource;
    struct str body;             /* JSON; copied */
    struct str uid;              /* DELETE: precondition; absent: none */
    struct str resource_version; /* DELETE: precondition; LIST: as the parameter */
    int64_t grace_seconds;       /* DELETE: -1 leaves it to the object */
    struct str field_manager;    /* APPLY: required */
    bool force;                  /* APPLY */
    struct str label_selector;   /* LIST */
    struct str field_selector;
    struct str continue_token;
    int64_t limit;
};

/* The classes on which callers decide; made of status code, Status.reason and failure. */
enum kube_outcome {
    KUBE_OK,
    KUBE_NOT_FOUND,
    KUBE_ALREADY_EXISTS,
    KUBE_CONFLICT,     /* resourceVersion or a precondition */
    KUBE_INVALID,      /* 400, 422: sending it again is of no use */
    KUBE_FORBIDDEN_BY, /* 401, 403, and what an admission plugin denied */
    KUBE_GONE,         /* 410: the resourceVersion is too old */
    KUBE_BUSY,         /* 429, 503, 504 after the retries */
    KUBE_UNKNOWN,      /* the write may have happened: lost answer, 5xx */
    KUBE_UNREACHED,    /* certainly not done: no connection after the retries */
    KUBE_FENCED,       /* not sent: the write deadline has passed */
};

struct kube_result {
    enum kube_outcome outcome;
    int status;
    struct str body; /* JSON of the answer; valid during the call */
    struct str
        message; /* for people: Status.message, or what failed; without the text of objects */
};

typedef void kube_done(void *ctx, const struct kube_result *result);

struct kube_client;
struct kube_pending; /* a call under way, owned by the client */

struct kube_client_config {
    struct kube_transport *transport;
    struct timers *timers;
    const struct clock *clock;
    const struct random *random;
    const struct mem *mem;
    struct metrics *metrics; /* rest_client_*; may be NULL */
    double qps;              /* of the request lane; 0: 50 */
    unsigned burst;          /* 0: 100 */
    unsigned max_in_flight;  /* 0: 64; further calls wait in order */
    int64_t timeout_ns;      /* of one attempt; 0: 30 s */
};

struct kube_client *kube_client_new(const struct kube_client_config *config, struct err *err);
/* Cancels what is under way. Accepts NULL. */
void kube_client_free(struct kube_client *client);

/* NULL with *err when it could not begin; `done` then never runs. */
struct kube_pending *kube_client_call(struct kube_client *client, const struct kube_call *call,
                                      kube_done *done, void *ctx, struct err *err);
void kube_client_cancel(struct kube_client *client, struct kube_pending *pending);

/* No write of the request lane is sent at or after this time (monotonic), retries included; those that
 * wait end with KUBE_FENCED. INT64_MAX: no limit. A leader moves it with each renewal (lease.h). An
 * attempt's own timeout never reaches beyond it. */
void kube_client_set_write_deadline(struct kube_client *client, int64_t at_ns);

#endif
