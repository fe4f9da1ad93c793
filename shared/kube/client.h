/*
 * Calls to the API server over a transport: paths, rate limit, retries, the write deadline of a leader,
 * metrics. Asynchronous; all in one thread; `done` runs exactly once per call unless it was cancelled,
 * and only inside transport->wait() or timers_run(), never inside a function of this header.
 *
 * Retried here, with jittered exponential backoff and Retry-After honoured: 429, what was certainly
 * not sent, a 401 once (the transport then reads its credentials again), and for reads also 5xx and lost
 * answers. A write whose outcome is unknown is never repeated here: the caller decides from what it
 * then sees. Nothing is retried in the lane of the lease, which has a rhythm of its own.
 *
 * Rate limit, order and bound of calls in flight are those of the request lane. Its calls are sent in the
 * order in which they were made; a retry goes before younger calls.
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
    KUBE_CREATE,      /* the name counts only with a subresource: "binding", "eviction" */
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
    /* Monotonic: no attempt but the first is made at or after this time, and the result says what the last
     * one met. 0: as often as the client does it. */
    int64_t retry_until_ns;
    int64_t timeout_ns;  /* of one attempt; 0: the client's */
    size_t response_max; /* bytes of the answer; 0: 4 MiB, of a list 32 MiB */
    bool wants_metadata; /* transport.h */
};

/* The classes on which callers decide; made of status code, Status.reason and failure. */
enum kube_outcome {
    KUBE_OK,
    KUBE_NOT_FOUND,
    KUBE_ALREADY_EXISTS,
    KUBE_CONFLICT,     /* resourceVersion or a precondition */
    KUBE_INVALID,      /* 400, 422 and the like: sending it again is of no use */
    KUBE_FORBIDDEN_BY, /* 401, 403, and what an admission webhook or policy denied */
    KUBE_GONE,         /* 410: the resourceVersion is too old */
    KUBE_BUSY,         /* after the retries 429, of a read also 5xx: not done */
    KUBE_UNKNOWN,      /* the write may have happened: lost answer, 5xx; never for a read */
    KUBE_UNREACHED,    /* after the retries: a write was certainly not done, a read had no answer */
    KUBE_FENCED,       /* not sent: the write deadline has passed */
};

/* "OK", "NotFound" …: for logs. */
const char *kube_outcome_name(enum kube_outcome outcome);

struct kube_result {
    enum kube_outcome outcome;
    int status;      /* HTTP, of the last answer; 0 without one */
    int64_t date_s;  /* the server's time of the last answer, since 1970; 0 when it did not say */
    struct str body; /* JSON of the answer, of a failure too; valid during the call. Not for logs */
    /* For people, valid during the call: the server's message, or what failed. Where the server may
     * quote the object (400, 422, webhooks, policies) and the resource is not `is_plain`, the fields and
     * reasons alone, so that no environment value reaches logs, events or status. */
    struct str message;
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
    struct str host;         /* HOST:PORT of the server, for the metrics; copied */
    double qps;              /* of the request lane; 0: 50; negative: no limit */
    unsigned burst;          /* 0: 100 */
    unsigned max_in_flight;  /* 0: 8, as the transport's connections; others wait in order */
    unsigned max_pending;    /* calls not yet done; 0: 16,384; more are refused */
    int64_t timeout_ns;      /* of one attempt; 0: 30 s */
};

struct kube_client *kube_client_new(const struct kube_client_config *config, struct err *err);
/* Cancels what is under way. Accepts NULL. */
void kube_client_free(struct kube_client *client);

/* NULL with *err when it could not begin: without memory, too many are pending, or a name is missing or
 * cannot be part of a path; `done` then never runs. */
struct kube_pending *kube_client_call(struct kube_client *client, const struct kube_call *call,
                                      kube_done *done, void *ctx, struct err *err);
/* `done` does not run. Whether the server has acted is unknown. Not after `done` has begun. */
void kube_client_cancel(struct kube_client *client, struct kube_pending *pending);

/* No write of the request lane is sent at or after this time (monotonic), retries included; those that
 * wait end with KUBE_FENCED, those under way with KUBE_UNKNOWN. INT64_MAX: no limit. A leader moves it
 * with each renewal (lease.h). An attempt's own timeout never reaches beyond it. */
void kube_client_set_write_deadline(struct kube_client *client, int64_t at_ns);

#endif
