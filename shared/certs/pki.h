/*
 * Certificates in memory: reading them, judging what belongs together, and making an authority and
 * a certificate of it, with ECDSA P-256 (pki.c alone includes OpenSSL).
 *
 * PEM in, PEM out; texts lie in the caller's arena, which should be one whose memory is wiped when it
 * is given back (wiping_mem_init), because keys are among them. Times are seconds since 1970. What
 * cannot be read is simply not good: nobody here says more about a key than that.
 */
#ifndef CERTS_PKI_H
#define CERTS_PKI_H

#include "base/arena.h"
#include "base/err.h"

/* More certificates in a text are not looked at. */
enum { PKI_CERTS_MAX = 8, PKI_ID_SIZE = 32, PKI_HOSTS_MAX = 8 };

/* SHA-256 of the certificate: what makes two the same, whatever stands around them in a file. */
struct pki_id {
    unsigned char bytes[PKI_ID_SIZE];
};

struct pki_cert {
    struct pki_id id;
    struct str pem; /* of this one alone, as OpenSSL writes it */
    int64_t not_before_s;
    int64_t not_after_s;
    bool is_authority; /* may sign certificates */
};

struct pki_certs {
    struct pki_cert all[PKI_CERTS_MAX];
    size_t count;
};

struct pki_pair {
    struct str cert;
    struct str key;
};

static inline bool pki_same(const struct pki_id *a, const struct pki_id *b)
{
    return memcmp(a->bytes, b->bytes, PKI_ID_SIZE) == 0;
}

/* `mem` over `source`, which wipes what is given back. Both must outlive it. */
void wiping_mem_init(struct mem *mem, const struct mem *source);

/* The certificates of a PEM text in their order, up to the first that cannot be read; none when there
 * are none. -1 without memory. */
int pki_read(struct str pem, struct arena *arena, struct pki_certs *ret, struct err *err);
/* The certificate of the list with this id, or NULL. */
const struct pki_cert *pki_find(const struct pki_certs *certs, const struct pki_id *id);
/* Adds it unless it is there or the list is full. */
void pki_add(struct pki_certs *certs, const struct pki_cert *cert);

/* The key (PEM, without password) is that of the certificate. */
bool pki_key_fits(struct str cert, struct str key);
/* The certificate bears a signature of the authority, and its name as the issuer. */
bool pki_is_signed_by(struct str cert, struct str authority);
/* A server may show it to clients that look for this DNS name or IP address. */
bool pki_is_for(struct str cert, struct str host);

/* A DNS name or an IP address, as a certificate may have it. */
bool pki_host_is_valid(struct str host);

/* A self-signed authority with a name of its own, so that two in one bundle can be told apart. */
int pki_make_authority(int64_t not_before_s, int64_t not_after_s, struct arena *arena,
                       struct pki_pair *ret, struct err *err);
/* A serving certificate for these hosts, at most PKI_HOSTS_MAX, signed by the authority. */
int pki_make_serving(const struct pki_pair *authority, const struct str *hosts, size_t host_count,
                     int64_t not_before_s, int64_t not_after_s, struct arena *arena,
                     struct pki_pair *ret, struct err *err);

#endif
