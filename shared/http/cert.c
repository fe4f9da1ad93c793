/* The server's certificate and private key, and their replacement while connections are open. */
#include "http/cert_pair.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A chain of eight RSA-4096 certificates in PEM has about 20 KiB. */
enum { PEM_MAX = 256 * 1024, PATH_SIZE = 4096 };

/* What shows that a file has changed. */
struct file_mark {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
};

enum { FILE_CERT, FILE_KEY, FILE_COUNT };

struct cert_source {
    const struct clock *clock;
    char paths[FILE_COUNT][PATH_SIZE];  /* "" for a source from memory */
    struct file_mark marks[FILE_COUNT]; /* of the files that were tried last */
    pthread_mutex_t lock;               /* of what follows */
    struct cert_pair *pair;             /* NULL: there was none yet */
    uint64_t generation;
};

/* ---- a pair ---- */

static void pair_free(struct cert_pair *pair)
{
    for (unsigned i = 0; i < pair->chain_len; i++)
        gnutls_pcert_deinit(&pair->chain[i]);
    if (pair->key)
        gnutls_privkey_deinit(pair->key);
    mem_free(mem_system(), pair, sizeof(*pair));
}

void cert_pair_release(const struct cert_pair *pair)
{
    /* The pair is constant for its holders but for the count. */
    struct cert_pair *own = (struct cert_pair *)pair;
    if (own && atomic_fetch_sub(&own->refs, 1) == 1)
        pair_free(own);
}

static gnutls_datum_t as_datum(struct str s)
{
    return (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)s.ptr, .size = (unsigned)s.len};
}

static int pair_read_chain(struct cert_pair *pair, struct str pem, struct err *err)
{
    const gnutls_datum_t data = as_datum(pem);
    gnutls_x509_crt_t certs[CERT_CHAIN_MAX];
    unsigned count = CERT_CHAIN_MAX;
    int rc = gnutls_x509_crt_list_import(
        certs, &count, &data, GNUTLS_X509_FMT_PEM,
        GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED | GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
    if (rc < 0)
        return err_set(err, 500, "certificate: %s", gnutls_strerror(rc));
    unsigned chain_len = (unsigned)rc;
    pair->not_before_s = gnutls_x509_crt_get_activation_time(certs[0]);
    pair->not_after_s = gnutls_x509_crt_get_expiration_time(certs[0]);
    rc = 0;
    for (unsigned i = 0; i < chain_len && rc >= 0; i++) {
        rc = gnutls_pcert_import_x509(&pair->chain[i], certs[i], 0);
        pair->chain_len += rc >= 0;
    }
    for (unsigned i = 0; i < chain_len; i++)
        gnutls_x509_crt_deinit(certs[i]);
    if (rc < 0)
        return err_set(err, 500, "certificate: %s", gnutls_strerror(rc));
    return 0;
}

static int pair_read_key(struct cert_pair *pair, struct str pem, struct err *err)
{
    const gnutls_datum_t data = as_datum(pem);
    int rc = gnutls_privkey_init(&pair->key);
    if (rc >= 0)
        rc = gnutls_privkey_import_x509_raw(pair->key, &data, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (rc < 0)
        return err_set(err, 500, "private key: %s", gnutls_strerror(rc));
    return 0;
}

enum { KEY_ID_MAX = 64 };

/* The key belongs to the leaf: both have the same public key. */
static int pair_check_fit(const struct cert_pair *pair, struct err *err)
{
    unsigned char ids[2][KEY_ID_MAX];
    size_t sizes[2] = {KEY_ID_MAX, KEY_ID_MAX};
    gnutls_pubkey_t own = NULL;
    int rc = gnutls_pubkey_init(&own);
    if (rc >= 0)
        rc = gnutls_pubkey_import_privkey(own, pair->key, 0, 0);
    if (rc >= 0)
        rc = gnutls_pubkey_get_key_id(own, GNUTLS_KEYID_USE_SHA256, ids[0], &sizes[0]);
    if (rc >= 0)
        rc = gnutls_pubkey_get_key_id(pair->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, ids[1],
                                      &sizes[1]);
    gnutls_pubkey_deinit(own);
    if (rc < 0)
        return err_set(err, 500, "public key: %s", gnutls_strerror(rc));
    if (sizes[0] != sizes[1] || memcmp(ids[0], ids[1], sizes[0]) != 0)
        return err_set(err, 500, "the private key does not belong to the certificate");
    return 0;
}

static int pair_make(struct str cert, struct str key, struct cert_pair **ret, struct err *err)
{
    struct cert_pair *pair = mem_alloc(mem_system(), sizeof(*pair));
    if (!pair)
        return err_no_memory(err, "certificate");
    *pair = (struct cert_pair){.refs = 1};
    if (pair_read_chain(pair, cert, err) < 0 || pair_read_key(pair, key, err) < 0 ||
        pair_check_fit(pair, err) < 0) {
        pair_free(pair);
        return -1;
    }
    *ret = pair;
    return 0;
}

/* ---- files ---- */

struct pem {
    char *ptr;
    size_t len;
};

static void pem_done(struct pem *pem)
{
    if (pem->ptr) {
        explicit_bzero(pem->ptr, pem->len);
        mem_free(mem_system(), pem->ptr, PEM_MAX);
    }
    pem->ptr = NULL;
}

static int read_all(int fd, struct pem *pem)
{
    while (pem->len < PEM_MAX) {
        ssize_t n = read(fd, pem->ptr + pem->len, PEM_MAX - pem->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return (int)n;
        pem->len += (size_t)n;
    }
    errno = EFBIG;
    return -1;
}

static int pem_read(const char *path, struct pem *pem, struct err *err)
{
    *pem = (struct pem){.ptr = mem_alloc(mem_system(), PEM_MAX)};
    if (!pem->ptr)
        return err_no_memory(err, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : read_all(fd, pem);
    int saved = errno;
    if (fd >= 0)
        close(fd);
    if (rc < 0)
        return err_set(err, 500, "%s: %s", path, strerror(saved));
    return 0;
}

static int pair_load(const struct cert_source *source, struct cert_pair **ret, struct err *err)
{
    struct pem cert = {0}, key = {0};
    int rc = pem_read(source->paths[FILE_CERT], &cert, err);
    if (rc == 0)
        rc = pem_read(source->paths[FILE_KEY], &key, err);
    if (rc == 0 &&
        pair_make((struct str){cert.ptr, cert.len}, (struct str){key.ptr, key.len}, ret, err) < 0)
        rc = err_wrap(err, "%s, %s", source->paths[FILE_CERT], source->paths[FILE_KEY]);
    pem_done(&cert);
    pem_done(&key);
    return rc;
}

static void read_marks(const struct cert_source *source, struct file_mark marks[FILE_COUNT])
{
    for (int i = 0; i < FILE_COUNT; i++) {
        struct stat st;
        marks[i] = (struct file_mark){0};
        if (stat(source->paths[i], &st) == 0)
            marks[i] = (struct file_mark){
                .device = st.st_dev,
                .inode = st.st_ino,
                .size = st.st_size,
                .modified = st.st_mtim,
            };
    }
}

static bool marks_equal(const struct file_mark a[FILE_COUNT], const struct file_mark b[FILE_COUNT])
{
    for (int i = 0; i < FILE_COUNT; i++) {
        if (a[i].device != b[i].device || a[i].inode != b[i].inode || a[i].size != b[i].size ||
            a[i].modified.tv_sec != b[i].modified.tv_sec ||
            a[i].modified.tv_nsec != b[i].modified.tv_nsec)
            return false;
    }
    return true;
}

/* ---- the source ---- */

static void put_in_place(struct cert_source *source, struct cert_pair *pair)
{
    pthread_mutex_lock(&source->lock);
    struct cert_pair *old = source->pair;
    source->pair = pair;
    source->generation++;
    pthread_mutex_unlock(&source->lock);
    cert_pair_release(old);
}

static struct cert_source *source_make(const struct clock *clock, struct err *err)
{
    struct cert_source *source = mem_alloc(mem_system(), sizeof(*source));
    if (!source) {
        err_no_memory(err, "certificate");
        return NULL;
    }
    *source = (struct cert_source){.clock = clock, .lock = PTHREAD_MUTEX_INITIALIZER};
    return source;
}

void cert_source_close(struct cert_source *source)
{
    if (!source)
        return;
    cert_pair_release(source->pair);
    pthread_mutex_destroy(&source->lock);
    mem_free(mem_system(), source, sizeof(*source));
}

int cert_source_open_dir(const char *dir, const struct clock *clock, struct cert_source **ret,
                         struct err *err)
{
    static const char *const names[FILE_COUNT] = {[FILE_CERT] = "tls.crt", [FILE_KEY] = "tls.key"};
    struct cert_source *source = source_make(clock, err);
    if (!source)
        return -1;
    for (int i = 0; i < FILE_COUNT; i++) {
        int n = snprintf(source->paths[i], PATH_SIZE, "%s/%s", dir, names[i]);
        if (n < 0 || n >= PATH_SIZE) {
            cert_source_close(source);
            return err_set(err, 500, "folder of the certificate: the path is too long");
        }
    }
    struct cert_pair *pair = NULL;
    read_marks(source, source->marks);
    if (pair_load(source, &pair, err) < 0) {
        cert_source_close(source);
        return -1;
    }
    put_in_place(source, pair);
    *ret = source;
    return 0;
}

int cert_source_open_empty(const struct clock *clock, struct cert_source **ret, struct err *err)
{
    struct cert_source *source = source_make(clock, err);
    if (!source)
        return -1;
    *ret = source;
    return 0;
}

int cert_source_open_pem(struct str cert, struct str key, const struct clock *clock,
                         struct cert_source **ret, struct err *err)
{
    struct cert_source *source = source_make(clock, err);
    if (!source)
        return -1;
    if (cert_source_replace(source, cert, key, err) < 0) {
        cert_source_close(source);
        return -1;
    }
    *ret = source;
    return 0;
}

int cert_source_replace(struct cert_source *source, struct str cert, struct str key,
                        struct err *err)
{
    struct cert_pair *pair = NULL;
    if (pair_make(cert, key, &pair, err) < 0)
        return -1;
    put_in_place(source, pair);
    return 0;
}

int cert_source_refresh(struct cert_source *source, struct err *err)
{
    if (source->paths[FILE_CERT][0] == '\0')
        return 0;
    struct file_mark marks[FILE_COUNT], after[FILE_COUNT];
    read_marks(source, marks);
    if (marks_equal(marks, source->marks))
        return 0;
    struct cert_pair *pair = NULL;
    struct err problem;
    int rc = pair_load(source, &pair, &problem);
    /* Files that change while they are read may be of different pairs: the next call sees them
     * whole. */
    read_marks(source, after);
    if (!marks_equal(marks, after)) {
        if (rc == 0)
            cert_pair_release(pair);
        return 0;
    }
    memcpy(source->marks, marks, sizeof(marks));
    if (rc < 0) {
        *err = problem;
        return -1;
    }
    put_in_place(source, pair);
    return 1;
}

const struct cert_pair *cert_source_acquire(struct cert_source *source)
{
    pthread_mutex_lock(&source->lock);
    struct cert_pair *pair = source->pair;
    if (pair)
        atomic_fetch_add(&pair->refs, 1);
    pthread_mutex_unlock(&source->lock);
    return pair;
}

bool cert_source_reload(struct cert_source *source, struct counter_family *reloads,
                        const struct log *log)
{
    struct err err;
    int changed = cert_source_refresh(source, &err);
    if (changed == 0)
        return false;
    struct str result = changed > 0 ? STR("ok") : STR("error");
    counter_add(counter_of(reloads, METRICS_VALUES(STR("certificate"), result)), 1);
    if (changed > 0)
        log_info(log, "certificate reloaded", LOG_CSTR("file", source->paths[FILE_CERT]));
    else
        log_error(log, "the new certificate does not work; the old one stays in use",
                  LOG_ERR(&err));
    return changed > 0;
}

void cert_source_info(const struct cert_source *source, struct cert_info *ret)
{
    /* The lock is not part of what the caller sees. */
    struct cert_source *own = (struct cert_source *)source;
    int64_t now_s = clock_wall_ns(source->clock) / CLOCK_NS_PER_SEC;
    *ret = (struct cert_info){0};
    pthread_mutex_lock(&own->lock);
    if (own->pair)
        *ret = (struct cert_info){
            .not_before_s = own->pair->not_before_s,
            .not_after_s = own->pair->not_after_s,
            .left_s = own->pair->not_after_s - now_s,
            .is_expired = now_s > own->pair->not_after_s,
            .generation = own->generation,
        };
    pthread_mutex_unlock(&own->lock);
}
