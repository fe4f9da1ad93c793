/*
 * What to do about a server's certificates: a pure step over what was seen in the cluster, like a
 * reconcile. It knows neither keys nor PEM, only what certs_view.c has found out about them.
 *
 * All replicas do the same, without a leader: each change is one write that names the version of what
 * was read (compare and swap), after which everything is read again. So of two replicas that would make
 * an authority, one wins and the other finds it.
 *
 *   Secret   ca.crt   authorities to be trusted; the first one signs, the others are old
 *            ca.key   of the first
 *            tls.crt, tls.key   what every replica serves
 *   caBundle          ca.crt, exactly, in every webhook of both configurations, where there are some
 *
 * No moment may come in which an apiserver does not trust what some replica serves (or another client, which
 * reads the Secret when it starts, as long as it starts again within `settle_ms`):
 *
 *   1. A new authority is put in front of ca.crt, and from there into the caBundles. The pair stays.
 *   2. When this replica has seen it there for `settle_ms`, by its own monotonic clock, apiservers have
 *      heard of it: a pair of it is made, and a replica takes such a pair over by the same rule.
 *   3. The old authorities leave ca.crt when every certificate that they have signed has ended, which
 *      the Secret's annotation says: then no replica can serve one with success, not even one that has
 *      been cut off from the API server since. Their keys are gone since step 1. An administrator may
 *      bring the time forward; all the same, the new pair is there for `takeover_ms` before.
 *
 * A replica whose own pair is not of an authority in ca.crt, because somebody has deleted or changed the
 * Secret, puts that authority there again. The time is the API server's, which judges certificates.
 */
#ifndef CERTS_CERTS_PLAN_H
#define CERTS_CERTS_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* certs_plan() and the parameters of a new certificate. */
struct certs_times {
    int64_t pair_ms;            /* how long a serving certificate is valid; at least a second */
    int64_t pair_renew_ms;      /* a new one is made when less is left; less than pair_ms */
    int64_t authority_ms;       /* the same for the authority */
    int64_t authority_renew_ms; /* at least pair_ms, so that a pair never outlives its authority */
    int64_t settle_ms;          /* until every apiserver has heard of a change of the caBundle */
    int64_t takeover_ms; /* until every replica that reaches the API server serves a new pair */
};

/* How much earlier than now a certificate begins to be valid: the clocks of apiservers differ. */
enum { CERTS_BACKDATE_S = 3600 };

#define CERTS_NEVER (-1)

struct certs_span {
    int64_t not_before_s;
    int64_t not_after_s;
};

static inline bool certs_is_valid(const struct certs_span *span, int64_t now_ms)
{
    return span->not_before_s * 1000 <= now_ms && now_ms < span->not_after_s * 1000;
}

/* A serving pair, in the Secret or in use. */
struct certs_pair_seen {
    /* Certificate and key belong together, for our hosts; one in the Secret is also of an authority in
     * ca.crt. What follows says nothing unless. */
    bool is_good;
    struct certs_span span;
    /* Monotonic time since which all bundles have held its authority, as far as this replica has seen;
     * CERTS_NEVER while they do not. */
    int64_t trusted_ns;
};

struct certs_seen {
    int64_t now_ms;  /* since 1970, as the API server has it */
    int64_t now_ns;  /* monotonic */
    bool is_foreign; /* the Secret is kept by somebody else, such as cert-manager */
    bool has_secret;
    bool has_authority; /* ca.crt begins with one whose key is ca.key: these are its: */
    struct certs_span authority;
    int64_t authority_trusted_ns;
    bool has_old;                /* ca.crt has more of them */
    int64_t old_until_s;         /* when the last certificate that they have signed has ended */
    bool is_published;           /* all bundles are ca.crt */
    struct certs_pair_seen pair; /* of the Secret */
    bool is_pair_of_authority;   /* not of an old one */
    int64_t pair_since_ns;       /* monotonic time at which such a pair was first seen here */
    struct certs_pair_seen own;  /* in use here */
    bool is_own_authority_kept;  /* ca.crt has it */
    bool is_own_the_pair;        /* the Secret has the same certificate */
};

enum certs_step {
    CERTS_REST,
    CERTS_MAKE_SECRET,    /* an empty one */
    CERTS_NEW_AUTHORITY,  /* in front of those that are trusted now */
    CERTS_KEEP_AUTHORITY, /* that of the pair in use, behind those in ca.crt */
    CERTS_PUBLISH,        /* ca.crt into the bundles */
    CERTS_ISSUE,          /* a pair of the authority */
    CERTS_DROP_OLD,       /* authorities */
    CERTS_STEPS,
};

/* "make an authority" …: for logs and metrics; a static string. */
const char *certs_step_name(enum certs_step step);

/* The next write. */
enum certs_step certs_plan(const struct certs_seen *seen, const struct certs_times *times);
/* When certs_plan() says CERTS_REST: after how long only the passing of time can have changed that, at
 * most `interval_ns`. */
int64_t certs_rest_ns(const struct certs_seen *seen, const struct certs_times *times,
                      int64_t interval_ns);
/* Whether this replica is to serve the Secret's pair in place of its own. */
bool certs_should_load(const struct certs_seen *seen, const struct certs_times *times);
/* Why an apiserver would not trust this replica, in words; NULL when it would. */
const char *certs_find_distrust(const struct certs_pair_seen *own, int64_t now_ms);

#endif
