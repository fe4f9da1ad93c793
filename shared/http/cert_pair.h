/*
 * A pair of certificate and private key in use, with GnuTLS's types: for http/cert.c, which makes
 * pairs, and http/mhd.c, which hands them to handshakes.
 */
#ifndef HTTP_CERT_PAIR_H
#define HTTP_CERT_PAIR_H

#include "http/cert.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stdatomic.h>

/* Certificates of a chain that are served; a leaf with two intermediate ones is usual. */
enum { CERT_CHAIN_MAX = 8 };

struct cert_pair {
    atomic_size_t refs;
    gnutls_privkey_t key;
    gnutls_pcert_st chain[CERT_CHAIN_MAX]; /* leaf first */
    unsigned chain_len;
    int64_t not_before_s;
    int64_t not_after_s;
};

/* The current pair, counted; NULL when there was none yet. May be called by any thread. */
const struct cert_pair *cert_source_acquire(struct cert_source *source);
/* Accepts NULL. */
void cert_pair_release(const struct cert_pair *pair);

#endif
