/*
 * The real transport: HTTPS to one API server by libcurl. curl.c alone includes libcurl.
 *
 *   epoll ──▶ sockets of the lanes' connections, an eventfd for wake(), the identity's fd
 *
 * Each lane has a pool of connections of its own, as HTTP/1.1: a cut or stalled connection concerns one
 * exchange, not all, and it costs less than HTTP/2 does in libcurl 7.88 (small writes to kube-apiserver
 * 1.36, by callgrind and strace: 133 thousand instructions and 8 system calls each, against 171
 * thousand and 11 on one HTTP/2 connection). A connection takes about 110 KiB and 8 million
 * instructions to open.
 *
 * A write is never sent twice: where libcurl would repeat it on a fresh connection because a kept one had
 * died, it ends with KUBE_LOST. Idle connections are kept alive, dead ones are noticed within 15 s.
 */
#ifndef KUBE_CURL_H
#define KUBE_CURL_H

#include "base/clock.h"
#include "base/mem.h"
#include "kube/config.h"
#include "kube/transport.h"

struct kube_curl_config {
    const struct mem *mem;     /* of what libcurl does not allocate itself */
    const struct clock *clock; /* the system's monotonic one, or as fast */
    struct str server;         /* "https://10.0.0.1:443", a path may follow; copied, as all below */
    struct str tls_server_name; /* whose certificate it shows; absent: the server's host */
    struct str proxy;           /* URL; absent: none, whatever the environment says */
    bool is_insecure;           /* does not verify the server */
    struct str user_agent;      /* "callboard-controller/0.1.0" */
    /* Of the request lane; 0: 8. Not fewer than the client's calls in flight: those that wait inside
     * libcurl cost it half as much again. */
    unsigned max_connections;
    int64_t connect_timeout_ns; /* 0: 5 s */
    /* After something came, wait() leaves what comes next for so long, so that a busy server's answers and
     * events are taken up many at a time: a turn for each would cost more than they do. What comes after a
     * time of silence is taken up at once. 0: no pause. */
    int64_t gather_ns;
    struct kube_identity_source *identity; /* outlives the transport; NULL: none */
};

/* The way to the server that a configuration names; the rest is zero. */
struct kube_curl_config kube_curl_config_of(const struct kube_config *config, const struct mem *mem,
                                            const struct clock *clock, struct str user_agent);

/* Before other threads begin: it sets up libcurl. NULL with *err when it cannot. */
struct kube_transport *kube_curl_new(const struct kube_curl_config *config, struct err *err);
/* Ends what is under way without a callback. Accepts NULL. */
void kube_curl_free(struct kube_transport *transport);

#endif
