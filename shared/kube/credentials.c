/* Who we are and whom we trust, kept up to date. */
#include "kube/credentials.h"

#include "base/file.h"

#include <errno.h>

enum { MATERIAL_MAX = 1024 * 1024 };

/* Files are looked at, and a plugin is run, no more often than this. */
#define LOOK_AGAIN_NS   (60 * CLOCK_NS_PER_SEC)
#define START_AGAIN_NS  (10 * CLOCK_NS_PER_SEC)
/* A plugin is run this long before what it printed expires. */
#define RENEW_BEFORE_NS (30 * CLOCK_NS_PER_SEC)

/* ---- Files ---- */

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int refuse(const struct kube_material *material, const char *what, struct err *err)
{
    return err_set(err, 400, "%s: %s%s%s", material->field,
                   material->path ? material->path : "the text", material->path ? " " : " there ",
                   what);
}

static int check_token(const struct kube_material *material, struct str token, struct err *err)
{
    if (token.len == 0)
        return refuse(material, "holds no token", err);
    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] <= ' ' || token.ptr[i] > '~')
            return refuse(material, "is no token: it has blanks or other odd characters", err);
    }
    return 0;
}

static int check_pem(const struct kube_material *material, struct str text, struct err *err)
{
    static const char begin[] = "-----BEGIN ";
    if (text.len == 0 || !memmem(text.ptr, text.len, begin, sizeof(begin) - 1))
        return refuse(material, "is not PEM: it has no line -----BEGIN", err);
    return 0;
}

static int check_text(const struct kube_material *material, bool is_token, struct str text,
                      struct err *err)
{
    return is_token ? check_token(material, str_trim(text), err) : check_pem(material, text, err);
}

/* 1 when it is another text, 0 when not; -1 when it is not good. A copy of its size stays, not the buffer
 * that it was read into. */
static int take(struct kube_material *material, bool is_token, struct str text, struct err *err)
{
    if (check_text(material, is_token, text, err) < 0)
        return -1;
    if (str_eq(text, buf_str(&material->text)))
        return 0;
    buf_clear(&material->text);
    buf_put(&material->text, text);
    return buf_failed(&material->text) ? err_no_memory(err, "keeping the credentials") : 1;
}

/* Reads the file when it has changed: 1 when its text is another one, 0 when not. On failure the old text
 * stays. */
static int look(struct kube_credentials *c, size_t which, struct err *err)
{
    struct kube_material *material = &c->materials[which];
    struct stat now;
    if (!material->path)
        return 0;
    if (stat(material->path, &now) < 0)
        return err_set(err, 400, "%s: %s: %s", material->field, material->path, strerror(errno));
    if (is_same_file(&now, &material->seen))
        return 0;
    struct buf text;
    buf_init(&text, c->mem, MATERIAL_MAX);
    int rc = file_read(material->path, &text, err);
    if (rc < 0)
        err_wrap(err, "%s", material->field);
    else
        rc = take(material, which == MATERIAL_TOKEN, buf_str(&text), err);
    buf_done(&text);
    if (rc >= 0)
        material->seen = now;
    return rc;
}

/* ---- What is shown ---- */

static struct str text_of(const struct buf *buf)
{
    return buf->len ? buf_str(buf) : (struct str){NULL, 0};
}

static int authorize(struct kube_credentials *c, struct err *err)
{
    bool has_exec_token = c->has_exec && c->exec.credential.token.len > 0;
    struct str token = str_trim(
        buf_str(has_exec_token ? &c->exec.credential.token : &c->materials[MATERIAL_TOKEN].text));
    buf_clear(&c->authorization);
    if (token.len > 0) {
        buf_put(&c->authorization, STR("Bearer "));
        buf_put(&c->authorization, token);
    } else if (str_is_set(c->basic)) {
        buf_put(&c->authorization, c->basic);
    }
    if (buf_failed(&c->authorization))
        return err_no_memory(err, "keeping the credentials");
    c->version++;
    return 0;
}

static void show(const struct kube_credentials *c, struct kube_identity *ret)
{
    bool has_exec_cert = c->has_exec && c->exec.credential.cert.len > 0;
    *ret = (struct kube_identity){
        .ca = text_of(&c->materials[MATERIAL_CA].text),
        .cert =
            text_of(has_exec_cert ? &c->exec.credential.cert : &c->materials[MATERIAL_CERT].text),
        .key = text_of(has_exec_cert ? &c->exec.credential.key : &c->materials[MATERIAL_KEY].text),
        .authorization = text_of(&c->authorization),
        .version = c->version,
    };
}

/* ---- The plugin ---- */

static bool is_due(const struct kube_credentials *c, int64_t before_ns)
{
    int64_t expires = c->exec.credential.expires_wall_ns;
    return c->taken == 0 || c->is_refused ||
           (expires != INT64_MAX && clock_wall_ns(c->clock) >= expires - before_ns);
}

static enum kube_identity_state ask_plugin(struct kube_credentials *c, int64_t now_ns,
                                           struct err *err)
{
    struct kube_exec *exec = &c->exec;
    if (exec->credential.version != c->taken) {
        c->taken = exec->credential.version;
        c->is_refused = false;
        const struct kube_material shown = {.field = "the credential plugin", .path = NULL};
        struct str token = str_trim(buf_str(&exec->credential.token));
        if ((token.len > 0 && check_token(&shown, token, err) < 0) || authorize(c, err) < 0)
            return KUBE_IDENTITY_FAILED;
    }
    bool may_start = c->started_ns == INT64_MIN || now_ns - c->started_ns >= START_AGAIN_NS;
    if (is_due(c, RENEW_BEFORE_NS) && exec->state != KUBE_EXEC_RUNNING && may_start) {
        c->started_ns = now_ns;
        kube_exec_start(exec);
    }
    if (!is_due(c, 0))
        return KUBE_IDENTITY_READY;
    if (exec->state == KUBE_EXEC_RUNNING)
        return KUBE_IDENTITY_PENDING;
    if (exec->state == KUBE_EXEC_FAILED) {
        *err = exec->err;
        return KUBE_IDENTITY_FAILED;
    }
    /* Refused or expired again so soon: what there is may still do. */
    return KUBE_IDENTITY_READY;
}

/* ---- The source ---- */

static struct kube_credentials *credentials_of(struct kube_identity_source *source)
{
    return (struct kube_credentials *)source;
}

/* A file that cannot be read for a while leaves what was there; only the server can judge it. */
static void look_again(struct kube_credentials *c)
{
    struct err ignored;
    bool is_other = false;
    for (size_t i = 0; i < MATERIALS; i++)
        is_other |= look(c, i, &ignored) > 0;
    if (is_other)
        authorize(c, &ignored);
}

static enum kube_identity_state get(struct kube_identity_source *source, int64_t now_ns,
                                    struct kube_identity *ret, struct err *err)
{
    struct kube_credentials *c = credentials_of(source);
    enum kube_identity_state state = KUBE_IDENTITY_READY;
    if (c->looked_ns == INT64_MIN || now_ns - c->looked_ns >= LOOK_AGAIN_NS ||
        (c->is_refused && !c->has_exec)) {
        c->looked_ns = now_ns;
        look_again(c);
        if (!c->has_exec)
            c->is_refused = false;
    }
    if (c->has_exec)
        state = ask_plugin(c, now_ns, err);
    if (state == KUBE_IDENTITY_READY)
        show(c, ret);
    return state;
}

static void refused(struct kube_identity_source *source, uint64_t version)
{
    struct kube_credentials *c = credentials_of(source);
    if (version == c->version) /* else it has been replaced already */
        c->is_refused = true;
}

static void handle(struct kube_identity_source *source)
{
    kube_exec_handle(&credentials_of(source)->exec);
}

void kube_credentials_init(struct kube_credentials *c, const struct mem *mem,
                           const struct clock *clock)
{
    *c = (struct kube_credentials){
        .source = {.get = get, .refused = refused, .handle = handle, .fd = -1},
        .mem = mem,
        .clock = clock,
        .looked_ns = INT64_MIN,
        .started_ns = INT64_MIN,
    };
    for (size_t i = 0; i < MATERIALS; i++)
        buf_init(&c->materials[i].text, mem, MATERIAL_MAX);
    buf_init(&c->authorization, mem, MATERIAL_MAX);
}

void kube_credentials_done(struct kube_credentials *c)
{
    if (!c->mem)
        return;
    if (c->has_exec)
        kube_exec_done(&c->exec);
    for (size_t i = 0; i < MATERIALS; i++)
        buf_done(&c->materials[i].text);
    buf_done(&c->authorization);
}

int kube_credentials_begin(struct kube_credentials *c, struct err *err)
{
    for (size_t i = 0; i < MATERIALS; i++) {
        struct kube_material *material = &c->materials[i];
        if (material->path
                ? look(c, i, err) < 0
                : material->text.len > 0 &&
                      check_text(material, i == MATERIAL_TOKEN, buf_str(&material->text), err) < 0)
            return -1;
    }
    return authorize(c, err);
}

int kube_credentials_use_exec(struct kube_credentials *c, const struct kube_exec_config *config,
                              struct err *err)
{
    if (kube_exec_init(&c->exec, config, err) < 0)
        return -1;
    c->has_exec = true;
    c->source.fd = c->exec.fd;
    return 0;
}
