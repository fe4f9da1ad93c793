/*
 * The objects that a server's certificates are in, read from their JSON, and the bodies of the
 * writes that change them. Certificates are judged here (pki.h); what to do is certs_plan.h's affair.
 *
 * Everything lies in one arena, keys included: give it memory that is wiped. Texts that cannot be read
 * count as missing, so that a damaged Secret or caBundle is one that needs a write.
 */
#ifndef CERTS_CERTS_VIEW_H
#define CERTS_CERTS_VIEW_H

#include "certs/certs_plan.h"
#include "certs/pki.h"
#include "json/json.h"

/* The mutating one is the first. */
enum { CERTS_CONFIGURATIONS = 2 };

/* As the API server sent them; absent: there is no such object. */
struct certs_texts {
    struct str configurations[CERTS_CONFIGURATIONS];
    struct str secret;
};

struct certs_view {
    struct arena *arena;
    const struct json *configurations[CERTS_CONFIGURATIONS];
    bool is_bundled; /* there are to be configurations; else the Secret itself is what is trusted */
    bool is_published[CERTS_CONFIGURATIONS];
    struct pki_certs
        trusted;            /* in every bundle of both configurations; none while one is missing */
    struct pki_certs known; /* in any of them */
    const struct json *secret;
    struct pki_certs authorities; /* ca.crt */
    struct pki_pair authority;    /* the first one, when `has_authority` */
    bool has_authority;
    struct str bundle;    /* what the bundles should be; absent without authorities */
    struct pki_pair pair; /* when `is_pair_good` */
    bool is_pair_good;
    struct pki_cert pair_cert;
    struct pki_cert pair_authority; /* one of `authorities` */
    bool is_foreign;
    int64_t old_until_s;
};

/* For whom a pair must be good. */
struct certs_hosts {
    const struct str *all;
    size_t count;
};

/* -1 with *err when an answer is no JSON, or without memory. */
int certs_view_read(struct certs_view *view, const struct certs_texts *texts,
                    const struct certs_hosts *hosts, bool is_bundled, struct arena *arena,
                    struct err *err);

/* A change of the Secret, as a merge patch that fails when the Secret is not as it was read. */
struct certs_change {
    const struct pki_certs *authorities; /* NULL: as they are */
    struct str authority_key;            /* absent: as it is */
    const struct pki_pair *pair;         /* NULL: as it is; one of empty texts removes it */
    int64_t old_until_s;                 /* written with `authorities`, when there are old ones */
};
/* These fail as the buffer does. */
void certs_put_change(struct buf *buf, const struct certs_view *view,
                      const struct certs_change *change);
/* A server-side apply that makes the Secret, empty, where there is none. It does no harm to one that
 * somebody else has made meanwhile. */
void certs_put_empty_secret(struct buf *buf, struct str name);
/* A JSON patch with view->bundle for every webhook of one configuration. */
void certs_put_bundles(struct buf *buf, const struct certs_view *view, size_t configuration);

#endif
