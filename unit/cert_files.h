/*
 * Certificates for tests, made when the test runs: self-signed, ECDSA P-256, in a folder of their
 * own as Kubernetes mounts a Secret: tls.crt and tls.key are links to ..data/tls.crt and
 * ..data/tls.key, and "..data" is a link to the folder of one version, which is switched all at
 * once.
 */
#ifndef UNIT_CERT_FILES_H
#define UNIT_CERT_FILES_H

#include "base/str.h"

enum { CERT_PEM_MAX = 4096 };

struct cert_pem {
    char cert[CERT_PEM_MAX];
    char key[CERT_PEM_MAX];
};

/* Valid from a day before `wall_s` (seconds since 1970) for `days` from it on; negative: expired.
 * Ends the test when GnuTLS fails. */
void cert_pem_make(struct cert_pem *ret, const char *common_name, int64_t wall_s, int days);

struct cert_folder {
    char path[64];
    unsigned versions;
};

void cert_folder_make(struct cert_folder *folder);
/* A new version, put in place by one rename. */
void cert_folder_put(struct cert_folder *folder, const char *cert, const char *key);
/* Removes everything. */
void cert_folder_remove(struct cert_folder *folder);

#endif
