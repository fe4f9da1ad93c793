/*
 * How the server and this client prove to each other who they are, for the transport: certificate
 * authority, client certificate, and the value of the header Authorization. kube/config.h brings the
 * sources: fixed, files that are read again, a plugin that is run.
 */
#ifndef KUBE_IDENTITY_H
#define KUBE_IDENTITY_H

#include "base/err.h"
#include "base/str.h"

struct kube_identity {
    struct str ca;            /* PEM; absent: those that the system trusts */
    struct str cert;          /* PEM; absent with `key`: none is shown */
    struct str key;           /* PEM */
    struct str authorization; /* "Bearer …"; absent: none */
    uint64_t version;         /* another one when anything above is another */
};

enum kube_identity_state {
    KUBE_IDENTITY_FAILED = -1,
    KUBE_IDENTITY_READY = 0,
    KUBE_IDENTITY_PENDING = 1, /* being fetched: ask again after handle() has run */
};

struct kube_identity_source {
    /* Called for every request: looks at files or starts a plugin at most once a minute. The views
     * in *ret are valid until the next call of any of these. */
    enum kube_identity_state (*get)(struct kube_identity_source *source, int64_t now_ns,
                                    struct kube_identity *ret, struct err *err);
    /* The server answered 401 to a request with this version: the next get() fetches anew. */
    void (*refused)(struct kube_identity_source *source, uint64_t version);
    /* When `fd` is readable, handle() is to be called. */
    void (*handle)(struct kube_identity_source *source);
    int fd; /* -1: never */
};

#endif
