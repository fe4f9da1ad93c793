/* Certificates with OpenSSL 3. Each function begins with an empty error queue and leaves one. */
#include "certs/pki.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/* RFC 5280, section 4.1.2.2: at most 20 bytes; 16 of chance are enough. */
enum { SERIAL_SIZE = 16, TAG_SIZE = 4, NAME_SIZE = 64, HOST_MAX = 253 };

/* ---- Cleaning up ---- */

static void done_bio(BIO **bio)
{
    BIO_free_all(*bio);
}

static void done_cert(X509 **cert)
{
    X509_free(*cert);
}

static void done_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void done_names(GENERAL_NAMES **names)
{
    GENERAL_NAMES_free(*names);
}

#define CLEANUP(type) __attribute__((cleanup(done_##type)))

static void *wiping_alloc(void *ctx, size_t size)
{
    return mem_alloc(ctx, size);
}

static void wiping_free(void *ctx, void *ptr, size_t size)
{
    if (ptr)
        explicit_bzero(ptr, size);
    mem_free(ctx, ptr, size);
}

void wiping_mem_init(struct mem *mem, const struct mem *source)
{
    *mem =
        (struct mem){.alloc = wiping_alloc, .free = wiping_free, .ctx = (void *)(uintptr_t)source};
}

/* OpenSSL's reason holds nothing confidential: it is a fixed text. */
static int fail(struct err *err, const char *doing)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return err_set(err, 500, "%s: %s", doing, reason ? reason : "OpenSSL fails");
}

/* ---- Reading ---- */

static BIO *open_text(struct str text)
{
    ERR_clear_error();
    return text.len > 0 && text.len <= INT32_MAX ? BIO_new_mem_buf(text.ptr, (int)text.len) : NULL;
}

static X509 *read_cert(struct str pem)
{
    CLEANUP(bio) BIO *bio = open_text(pem);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    ERR_clear_error();
    return cert;
}

/* The empty password, or OpenSSL would ask the terminal for one. */
static EVP_PKEY *read_key(struct str pem)
{
    CLEANUP(bio) BIO *bio = open_text(pem);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t) "") : NULL;
    ERR_clear_error();
    return key;
}

/* The text that was written to the BIO; absent without memory. */
static struct str take_text(BIO *bio, struct arena *arena)
{
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    return len > 0 ? arena_copy(arena, (struct str){text, (size_t)len}) : (struct str){NULL, 0};
}

static struct str write_cert(X509 *cert, struct arena *arena)
{
    CLEANUP(bio) BIO *bio = BIO_new(BIO_s_mem());
    if (!bio || !PEM_write_bio_X509(bio, cert))
        return (struct str){NULL, 0};
    return take_text(bio, arena);
}

/* The memory of this kind of BIO is wiped. */
static struct str write_key(EVP_PKEY *key, struct arena *arena)
{
    CLEANUP(bio) BIO *bio = BIO_new(BIO_s_secmem());
    if (!bio || !PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL))
        return (struct str){NULL, 0};
    return take_text(bio, arena);
}

static bool time_of(const ASN1_TIME *time, int64_t *ret)
{
    struct tm parts;
    if (!ASN1_TIME_to_tm(time, &parts))
        return false;
    *ret = timegm(&parts);
    return true;
}

/* False when it is none that one can use. */
static bool describe(X509 *cert, struct pki_cert *ret)
{
    unsigned len = 0;
    ret->is_authority = X509_check_ca(cert) == 1;
    return X509_digest(cert, EVP_sha256(), ret->id.bytes, &len) && len == PKI_ID_SIZE &&
           time_of(X509_get0_notBefore(cert), &ret->not_before_s) &&
           time_of(X509_get0_notAfter(cert), &ret->not_after_s);
}

int pki_read(struct str pem, struct arena *arena, struct pki_certs *ret, struct err *err)
{
    *ret = (struct pki_certs){0};
    CLEANUP(bio) BIO *bio = open_text(pem);
    while (bio && ret->count < PKI_CERTS_MAX) {
        CLEANUP(cert) X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        struct pki_cert one;
        if (!cert || !describe(cert, &one))
            break;
        one.pem = write_cert(cert, arena);
        if (!str_is_set(one.pem)) {
            ERR_clear_error();
            return err_no_memory(err, "reading certificates");
        }
        pki_add(ret, &one);
    }
    ERR_clear_error();
    return 0;
}

const struct pki_cert *pki_find(const struct pki_certs *certs, const struct pki_id *id)
{
    for (size_t i = 0; i < certs->count; i++) {
        if (pki_same(&certs->all[i].id, id))
            return &certs->all[i];
    }
    return NULL;
}

void pki_add(struct pki_certs *certs, const struct pki_cert *cert)
{
    if (certs->count < PKI_CERTS_MAX && !pki_find(certs, &cert->id))
        certs->all[certs->count++] = *cert;
}

/* ---- Judging ---- */

bool pki_key_fits(struct str cert, struct str key)
{
    CLEANUP(cert) X509 *own_cert = read_cert(cert);
    CLEANUP(key) EVP_PKEY *own_key = read_key(key);
    bool fits = own_cert && own_key && X509_check_private_key(own_cert, own_key) == 1;
    ERR_clear_error();
    return fits;
}

bool pki_is_signed_by(struct str cert, struct str authority)
{
    CLEANUP(cert) X509 *one = read_cert(cert);
    CLEANUP(cert) X509 *issuer = read_cert(authority);
    bool is_signed = one && issuer && X509_check_issued(issuer, one) == X509_V_OK &&
                     X509_verify(one, X509_get0_pubkey(issuer)) == 1;
    ERR_clear_error();
    return is_signed;
}

static bool is_address(struct str host)
{
    unsigned char bytes[16];
    char text[NAME_SIZE];
    if (host.len >= sizeof(text))
        return false;
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(text);
    bool is_one = address && (size_t)ASN1_STRING_length(address) <= sizeof(bytes);
    ASN1_OCTET_STRING_free(address);
    ERR_clear_error();
    return is_one;
}

bool pki_is_for(struct str cert, struct str host)
{
    CLEANUP(cert) X509 *one = read_cert(cert);
    char text[HOST_MAX + 1];
    if (!one || host.len > HOST_MAX)
        return false;
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    bool fits = X509_check_purpose(one, X509_PURPOSE_SSL_SERVER, 0) == 1 &&
                (is_address(host) ? X509_check_ip_asc(one, text, 0) == 1
                                  : X509_check_host(one, text, host.len, 0, NULL) == 1);
    ERR_clear_error();
    return fits;
}

bool pki_host_is_valid(struct str host)
{
    if (host.len == 0 || host.len > HOST_MAX)
        return false;
    if (is_address(host))
        return true;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        bool is_edge = i == 0 || i + 1 == host.len;
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              ((c == '-' || c == '.') && !is_edge)))
            return false;
    }
    return true;
}

/* ---- Making ---- */

static bool set_serial(X509 *cert)
{
    unsigned char bytes[SERIAL_SIZE];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    bytes[0] = (unsigned char)((bytes[0] & 0x7F) | 0x40); /* positive, and always as long */
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
    BN_free(number);
    return good;
}

static bool set_name(X509 *cert, const char *name)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                                      -1, 0) == 1;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool good = extension && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

static GENERAL_NAME *make_host(struct str host)
{
    bool is_ip = is_address(host);
    char text[HOST_MAX + 1];
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *value = is_ip ? a2i_IPADDRESS(text) : ASN1_IA5STRING_new();
    if (!name || !value || (!is_ip && !ASN1_STRING_set(value, text, (int)host.len))) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(value);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, is_ip ? GEN_IPADD : GEN_DNS, value);
    return name;
}

static bool add_hosts(X509 *cert, const struct str *hosts, size_t count)
{
    CLEANUP(names) GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    for (size_t i = 0; names && i < count; i++) {
        GENERAL_NAME *name = pki_host_is_valid(hosts[i]) ? make_host(hosts[i]) : NULL;
        if (!name || !sk_GENERAL_NAME_push(names, name)) {
            GENERAL_NAME_free(name);
            return false;
        }
    }
    return names && X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_APPEND) == 1;
}

static X509 *begin_cert(EVP_PKEY *key, const char *name, int64_t not_before_s, int64_t not_after_s)
{
    X509 *cert = X509_new();
    if (cert && X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
        set_name(cert, name) && ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)not_before_s) &&
        ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)not_after_s) && X509_set_pubkey(cert, key))
        return cert;
    X509_free(cert);
    return NULL;
}

static int finish(X509 *cert, EVP_PKEY *key, const char *doing, struct arena *arena,
                  struct pki_pair *ret, struct err *err)
{
    const struct pki_pair pair = {.cert = write_cert(cert, arena), .key = write_key(key, arena)};
    ERR_clear_error();
    if (!str_is_set(pair.cert) || !str_is_set(pair.key))
        return err_no_memory(err, doing);
    *ret = pair;
    return 0;
}

int pki_make_authority(int64_t not_before_s, int64_t not_after_s, struct arena *arena,
                       struct pki_pair *ret, struct err *err)
{
    static const char doing[] = "making an authority";
    unsigned char tag[TAG_SIZE];
    char name[NAME_SIZE];
    ERR_clear_error();
    if (RAND_bytes(tag, sizeof(tag)) != 1)
        return fail(err, doing);
    snprintf(name, sizeof(name), "callboard-ca-%02x%02x%02x%02x", tag[0], tag[1], tag[2], tag[3]);
    CLEANUP(key) EVP_PKEY *key = EVP_EC_gen("P-256");
    CLEANUP(cert) X509 *cert = key ? begin_cert(key, name, not_before_s, not_after_s) : NULL;
    if (!cert || !X509_set_issuer_name(cert, X509_get_subject_name(cert)) ||
        !add_extension(cert, cert, NID_basic_constraints, "critical,CA:true,pathlen:0") ||
        !add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(cert, cert, NID_subject_key_identifier, "hash") ||
        !X509_sign(cert, key, EVP_sha256()))
        return fail(err, doing);
    return finish(cert, key, doing, arena, ret, err);
}

int pki_make_serving(const struct pki_pair *authority, const struct str *hosts, size_t host_count,
                     int64_t not_before_s, int64_t not_after_s, struct arena *arena,
                     struct pki_pair *ret, struct err *err)
{
    static const char doing[] = "making a serving certificate";
    CLEANUP(cert) X509 *issuer = read_cert(authority->cert);
    CLEANUP(key) EVP_PKEY *issuer_key = read_key(authority->key);
    if (!issuer || !issuer_key)
        return err_set(err, 500, "%s: the authority cannot be read", doing);
    CLEANUP(key) EVP_PKEY *key = EVP_EC_gen("P-256");
    CLEANUP(cert)
    X509 *cert = key ? begin_cert(key, "callboard", not_before_s, not_after_s) : NULL;
    if (!cert || !X509_set_issuer_name(cert, X509_get_subject_name(issuer)) ||
        !add_extension(cert, issuer, NID_basic_constraints, "critical,CA:false") ||
        !add_extension(cert, issuer, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(cert, issuer, NID_ext_key_usage, "serverAuth") ||
        !add_extension(cert, issuer, NID_authority_key_identifier, "keyid") ||
        !add_hosts(cert, hosts, host_count) || !X509_sign(cert, issuer_key, EVP_sha256()))
        return fail(err, doing);
    return finish(cert, key, doing, arena, ret, err);
}
