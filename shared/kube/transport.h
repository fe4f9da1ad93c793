/*
 * The way to a Kubernetes API server, behind an interface: kube/curl.c is the real one, and the
 * simulator brings a server of its own. One thread, one event loop: all callbacks run inside wait().
 */
#ifndef KUBE_TRANSPORT_H
#define KUBE_TRANSPORT_H

#include "base/err.h"
#include "base/str.h"

/* Requests and watches never share a connection: a dead HTTP/2 connection stalls every stream on it. */
enum kube_lane {
    KUBE_LANE_REQUEST,
    KUBE_LANE_WATCH,
    KUBE_LANE_LEASE, /* leader election must not wait behind a burst of writes */
};

struct kube_request {
    enum kube_lane lane;
    const char *method;       /* static */
    struct str target;        /* path and query, percent-encoded: "/api/v1/pods?limit=500" */
    const char *content_type; /* static; NULL without a body */
    /* Of an object in the answer its metadata is enough (metav1.PartialObjectMetadata); a server may send all
     * of it even so. */
    bool wants_metadata;
    struct str body;     /* copied when the transport needs it after send() returns */
    int64_t timeout_ns;  /* for the whole exchange; 0: none (watches) */
    int64_t silence_ns;  /* ends an exchange that has brought no byte for so long; 0: never */
    size_t response_max; /* bytes collected; more is KUBE_TOO_LARGE */
};

/* Why there is no (whole) answer. */
enum kube_failure {
    KUBE_ANSWERED = 0,
    KUBE_NOT_SENT,  /* no connection: the server has certainly not seen the request */
    KUBE_LOST,      /* the server may have acted on it: cut, timed out */
    KUBE_SILENT,    /* silence_ns passed */
    KUBE_TOO_LARGE, /* the answer went beyond response_max */
};

struct kube_response {
    enum kube_failure failure;
    int status;             /* HTTP; 0 unless a status line was read */
    int64_t retry_after_ns; /* of the header Retry-After; -1 without one */
    int64_t date_s;         /* of the header Date, since 1970; 0 without one */
    struct str body;        /* what was collected; empty when on_data took it */
    const char *text; /* for a failure: what happened, for people; static or valid in the call */
};

struct kube_exchange; /* one that is under way; owned by the transport */

struct kube_receiver {
    /* A part of the body of a 2xx answer, as it arrives. NULL: collected for on_done. Returning -1 cuts
     * the exchange: on_done follows with KUBE_LOST. */
    int (*on_data)(void *ctx, struct str part);
    /* The end, exactly once, unless it was cancelled. May send() and cancel() others. */
    void (*on_done)(void *ctx, const struct kube_response *response);
    void *ctx;
};

struct kube_transport;

struct kube_transport_ops {
    /* NULL with *err when it cannot begin (no memory). No callback runs before wait(). */
    struct kube_exchange *(*send)(struct kube_transport *transport,
                                  const struct kube_request *request,
                                  const struct kube_receiver *receiver, struct err *err);
    /* No callback follows. Whether the server has acted is unknown. */
    void (*cancel)(struct kube_transport *transport, struct kube_exchange *exchange);
    /* Waits until something came, wake() was called, or until_ns (monotonic) has passed, and runs the
     * callbacks. May return early. */
    void (*wait)(struct kube_transport *transport, int64_t until_ns);
    /* Ends wait(). From any thread, and from a signal handler. */
    void (*wake)(struct kube_transport *transport);
};

/* The first member of every transport. */
struct kube_transport {
    const struct kube_transport_ops *ops;
};

#endif
