/* Certificates for tests, made when the test runs. */
#include "unit/cert_files.h"

#include "unit/support.h"

#include <errno.h>
#include <ftw.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DAY_S = 24 * 60 * 60, PATH_MAX_LEN = 256 };

static void must(int rc, const char *what)
{
    if (rc < 0)
        fail_msg("%s: %s", what, gnutls_strerror(rc));
}

void cert_pem_make(struct cert_pem *ret, const char *common_name, int64_t wall_s, int days)
{
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t cert;
    unsigned char serial[] = {1, 0, 0, 1};
    size_t cert_size = sizeof(ret->cert) - 1, key_size = sizeof(ret->key) - 1;
    *ret = (struct cert_pem){.cert = ""};
    must(gnutls_x509_privkey_init(&key), "key");
    must(gnutls_x509_crt_init(&cert), "certificate");
    must(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                      GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
         "key");
    must(gnutls_x509_crt_set_version(cert, 3), "version");
    must(gnutls_x509_crt_set_serial(cert, serial, sizeof(serial)), "serial");
    must(gnutls_x509_crt_set_activation_time(cert, wall_s - 400 * DAY_S), "activation");
    must(gnutls_x509_crt_set_expiration_time(cert, wall_s + (int64_t)days * DAY_S), "expiration");
    must(gnutls_x509_crt_set_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, common_name,
                                       (unsigned)strlen(common_name)),
         "name");
    must(gnutls_x509_crt_set_key(cert, key), "public key");
    must(gnutls_x509_crt_sign2(cert, cert, key, GNUTLS_DIG_SHA256, 0), "signature");
    must(gnutls_x509_crt_export(cert, GNUTLS_X509_FMT_PEM, ret->cert, &cert_size), "export");
    must(gnutls_x509_privkey_export_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN,
                                          ret->key, &key_size),
         "export");
    gnutls_x509_crt_deinit(cert);
    gnutls_x509_privkey_deinit(key);
}

static void check(int rc, const char *what)
{
    if (rc < 0)
        fail_msg("%s: %s", what, strerror(errno));
}

static const char *path_of(const struct cert_folder *folder, char to[PATH_MAX_LEN],
                           const char *name)
{
    snprintf(to, PATH_MAX_LEN, "%s/%s", folder->path, name);
    return to;
}

void cert_folder_make(struct cert_folder *folder)
{
    char path[PATH_MAX_LEN];
    *folder = (struct cert_folder){.path = "/tmp/callboard-unit-XXXXXX"};
    if (!mkdtemp(folder->path))
        fail_msg("%s: %s", folder->path, strerror(errno));
    check(symlink("..data/tls.crt", path_of(folder, path, "tls.crt")), "tls.crt");
    check(symlink("..data/tls.key", path_of(folder, path, "tls.key")), "tls.key");
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) == EOF || fclose(file) == EOF)
        fail_msg("%s: %s", path, strerror(errno));
}

void cert_folder_put(struct cert_folder *folder, const char *cert, const char *key)
{
    char version[32], name[64], path[PATH_MAX_LEN], link_path[PATH_MAX_LEN];
    snprintf(version, sizeof(version), "..version%u", folder->versions++);
    check(mkdir(path_of(folder, path, version), 0700), version);
    snprintf(name, sizeof(name), "%s/tls.crt", version);
    write_file(path_of(folder, path, name), cert);
    snprintf(name, sizeof(name), "%s/tls.key", version);
    write_file(path_of(folder, path, name), key);
    check(symlink(version, path_of(folder, link_path, "..data_tmp")), "..data_tmp");
    check(rename(link_path, path_of(folder, path, "..data")), "..data");
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void cert_folder_remove(struct cert_folder *folder)
{
    enum { OPEN_FOLDERS = 8 };
    check(nftw(folder->path, remove_entry, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS), folder->path);
}
