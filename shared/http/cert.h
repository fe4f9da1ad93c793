/*
 * The server's certificate and private key, and their replacement while connections are open.
 *
 * A source hands the current pair to each TLS handshake; the pair is counted, so that an old one
 * lives until the last connection that may use it is gone. Pairs come from a folder as Kubernetes
 * mounts a Secret of type kubernetes.io/tls (tls.crt: PEM, leaf first; tls.key: PEM; the kubelet
 * replaces all files at once by switching the symlink "..data"), or from memory. A new pair that
 * does not work (unreadable, no PEM, key and certificate that do not fit together) never replaces a
 * good one. An expired certificate is served: clients say clearly what is wrong with it, nothing
 * else does; look at cert_source_info().
 *
 * May be used by several threads at once, but refresh and replace by one at a time.
 */
#ifndef HTTP_CERT_H
#define HTTP_CERT_H

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/str.h"

struct cert_source;

/* Reads DIR/tls.crt and DIR/tls.key; fails when they do not make a working pair. Code of *err: 500,
 * or 507 without memory. */
int cert_source_open_dir(const char *dir, const struct clock *clock, struct cert_source **ret,
                         struct err *err);
/* Without a pair yet: until cert_source_replace() every handshake fails. */
int cert_source_open_empty(const struct clock *clock, struct cert_source **ret, struct err *err);
/* The same for PEM in memory, which is copied. */
int cert_source_open_pem(struct str cert, struct str key, const struct clock *clock,
                         struct cert_source **ret, struct err *err);
/* After the servers that use it are stopped. Accepts NULL. */
void cert_source_close(struct cert_source *source);

/* Looks whether the files have changed (two stat calls when not); call about once a second. 1 when
 * a new pair is in use, 0 when all is as it was, -1 with *err when the new files do not work: the
 * old pair stays in use, and the same files are not reported again. Always 0 for a source from
 * memory. */
int cert_source_refresh(struct cert_source *source, struct err *err);
/* The same, counted in a family with the labels file ("certificate") and result ("ok", "error"), and
 * logged. True when a new pair is in use. */
bool cert_source_reload(struct cert_source *source, struct counter_family *reloads,
                        const struct log *log);
/* Puts a pair from memory in place; on failure the old one stays. For sources of either kind. */
int cert_source_replace(struct cert_source *source, struct str cert, struct str key,
                        struct err *err);

struct cert_info {
    int64_t not_before_s; /* seconds since 1970 */
    int64_t not_after_s;
    int64_t left_s;      /* until then, by the clock's wall time; negative: expired */
    bool is_expired;     /* by the clock's wall time, now */
    uint64_t generation; /* 1 for the first pair, one more for each that replaced it; 0 without one:
                          * then all else is 0 too */
};

/* Of the current pair. */
void cert_source_info(const struct cert_source *source, struct cert_info *ret);

#endif
