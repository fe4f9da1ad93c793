/* The objects that a server's certificates are in. */
#include "certs/certs_view.h"

#include "base/clock.h"
#include "kube/object.h"
#include "json/base64.h"

/* A chain and a key have a few KiB; etcd takes 1.5 MiB. */
enum { TEXT_MAX = 2 * 1024 * 1024 };

#define OLD_UNTIL "callboard.dev/old-authorities-until"

/* ---- Reading ---- */

static int no_memory(struct err *err)
{
    return err_no_memory(err, "reading certificates");
}

/* What is no base64 is empty. */
static int decode(struct arena *arena, struct str text, struct str *ret, struct err *err)
{
    struct buf buf;
    buf_init(&buf, arena_mem(arena), TEXT_MAX);
    bool is_base64 = base64_read(&buf, text);
    if (buf_failed(&buf))
        return no_memory(err);
    *ret = is_base64 ? buf_str(&buf) : STR("");
    return 0;
}

static int read_object(struct arena *arena, struct str text, const struct json **ret,
                       struct err *err)
{
    *ret = NULL;
    if (!str_is_set(text))
        return 0;
    *ret = json_read(arena, text, &json_limits_default, err);
    return *ret ? 0 : -1;
}

/* ca.crt without what is no authority. */
static int read_authorities(struct certs_view *view, struct str text, struct err *err)
{
    struct pki_certs all;
    if (pki_read(text, view->arena, &all, err) < 0)
        return -1;
    for (size_t i = 0; i < all.count; i++) {
        if (all.all[i].is_authority)
            pki_add(&view->authorities, &all.all[i]);
    }
    return 0;
}

static int join(struct certs_view *view, struct err *err)
{
    struct buf buf;
    if (view->authorities.count == 0)
        return 0;
    buf_init(&buf, arena_mem(view->arena), TEXT_MAX);
    for (size_t i = 0; i < view->authorities.count; i++)
        buf_put(&buf, view->authorities.all[i].pem);
    if (buf_failed(&buf))
        return no_memory(err);
    view->bundle = buf_str(&buf);
    return 0;
}

static bool is_for_all(struct str cert, const struct certs_hosts *hosts)
{
    for (size_t i = 0; i < hosts->count; i++) {
        if (!pki_is_for(cert, hosts->all[i]))
            return false;
    }
    return true;
}

static int judge_pair(struct certs_view *view, const struct certs_hosts *hosts, struct err *err)
{
    struct pki_certs chain;
    if (pki_read(view->pair.cert, view->arena, &chain, err) < 0)
        return -1;
    if (chain.count == 0 || !pki_key_fits(chain.all[0].pem, view->pair.key) ||
        !is_for_all(chain.all[0].pem, hosts))
        return 0;
    for (size_t i = 0; i < view->authorities.count && !view->is_pair_good; i++) {
        if (!pki_is_signed_by(chain.all[0].pem, view->authorities.all[i].pem))
            continue;
        view->is_pair_good = true;
        view->pair_cert = chain.all[0];
        view->pair_authority = view->authorities.all[i];
    }
    return 0;
}

/* Without the annotation: for as long as one of them could be of use at all. */
static void read_old_until(struct certs_view *view, const struct json *annotations)
{
    int64_t until_ns;
    for (size_t i = 1; i < view->authorities.count; i++) {
        if (view->authorities.all[i].not_after_s > view->old_until_s)
            view->old_until_s = view->authorities.all[i].not_after_s;
    }
    if (clock_parse(kube_map_get(annotations, STR(OLD_UNTIL)), &until_ns))
        view->old_until_s = until_ns / CLOCK_NS_PER_SEC;
}

static int read_secret(struct certs_view *view, struct str text, const struct certs_hosts *hosts,
                       struct err *err)
{
    struct str ca_crt = STR(""), ca_key = STR("");
    struct {
        const char *name;
        struct str *text;
    } parts[] = {
        {"ca.crt", &ca_crt},
        {"ca.key", &ca_key},
        {"tls.crt", &view->pair.cert},
        {"tls.key", &view->pair.key},
    };
    if (read_object(view->arena, text, &view->secret, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct str value = kube_text_at(view->secret, "data", parts[i].name, NULL);
        if (decode(view->arena, value, parts[i].text, err) < 0)
            return -1;
    }
    if (read_authorities(view, ca_crt, err) < 0 || join(view, err) < 0)
        return -1;
    view->has_authority =
        view->authorities.count > 0 && pki_key_fits(view->authorities.all[0].pem, ca_key);
    if (view->has_authority)
        view->authority = (struct pki_pair){view->authorities.all[0].pem, ca_key};
    const struct json *annotations = kube_at(view->secret, "metadata", "annotations", NULL);
    view->is_foreign =
        str_is_set(kube_map_get(annotations, STR("cert-manager.io/certificate-name")));
    read_old_until(view, annotations);
    return judge_pair(view, hosts, err);
}

static const struct json *webhooks_of(const struct json *configuration)
{
    return json_get(configuration, STR("webhooks"));
}

/* `trusted` keeps what is in this bundle too. */
static void intersect(struct pki_certs *trusted, const struct pki_certs *bundle)
{
    size_t kept = 0;
    for (size_t i = 0; i < trusted->count; i++) {
        if (pki_find(bundle, &trusted->all[i].id))
            trusted->all[kept++] = trusted->all[i];
    }
    trusted->count = kept;
}

static int read_bundle(struct certs_view *view, size_t configuration, const struct json *webhook,
                       bool *is_first, struct err *err)
{
    struct str text = STR("");
    struct pki_certs bundle = view->authorities; /* as nearly always */
    struct str encoded = kube_text_at(webhook, "clientConfig", "caBundle", NULL);
    if (decode(view->arena, encoded, &text, err) < 0)
        return -1;
    if (!str_eq(text, view->bundle)) {
        view->is_published[configuration] = false;
        if (pki_read(text, view->arena, &bundle, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < bundle.count; i++)
        pki_add(&view->known, &bundle.all[i]);
    if (*is_first)
        view->trusted = bundle;
    else
        intersect(&view->trusted, &bundle);
    *is_first = false;
    return 0;
}

static int read_bundles(struct certs_view *view, const struct certs_texts *texts, struct err *err)
{
    bool is_first = true, is_missing = false;
    for (size_t i = 0; i < CERTS_CONFIGURATIONS; i++) {
        if (read_object(view->arena, texts->configurations[i], &view->configurations[i], err) < 0)
            return -1;
        is_missing = is_missing || !view->configurations[i];
        view->is_published[i] = true;
        JSON_EACH (webhook, webhooks_of(view->configurations[i])) {
            if (read_bundle(view, i, webhook, &is_first, err) < 0)
                return -1;
        }
    }
    if (is_missing)
        view->trusted.count = 0;
    return 0;
}

static void trust_secret(struct certs_view *view)
{
    view->trusted = view->authorities;
    for (size_t i = 0; i < CERTS_CONFIGURATIONS; i++)
        view->is_published[i] = true;
}

int certs_view_read(struct certs_view *view, const struct certs_texts *texts,
                    const struct certs_hosts *hosts, bool is_bundled, struct arena *arena,
                    struct err *err)
{
    *view = (struct certs_view){.arena = arena, .is_bundled = is_bundled};
    if (read_secret(view, texts->secret, hosts, err) < 0)
        return -1;
    if (is_bundled)
        return read_bundles(view, texts, err);
    trust_secret(view);
    return 0;
}

/* ---- Writing ---- */

static void put_base64(struct buf *buf, struct str text)
{
    buf_put_char(buf, '"');
    base64_write(buf, text);
    buf_put_char(buf, '"');
}

static void put_data(struct buf *buf, const char **separator, const char *key, struct str value)
{
    buf_printf(buf, "%s\"%s\":", *separator, key);
    put_base64(buf, value);
    *separator = ",";
}

static void put_authorities(struct buf *buf, const char **separator,
                            const struct pki_certs *authorities)
{
    struct buf text;
    buf_init(&text, buf->mem, TEXT_MAX);
    for (size_t i = 0; i < authorities->count; i++)
        buf_put(&text, authorities->all[i].pem);
    put_data(buf, separator, "ca.crt", buf_str(&text));
    buf->failed = buf->failed || buf_failed(&text);
    buf_done(&text);
}

static void put_version(struct buf *buf, const struct json *object)
{
    json_write_str(buf, kube_text_at(object, "metadata", "resourceVersion", NULL));
}

static void put_old_until(struct buf *buf, const struct certs_change *change)
{
    char text[CLOCK_TEXT_SIZE];
    buf_put(buf, STR(",\"annotations\":{\"" OLD_UNTIL "\":"));
    if (change->authorities->count > 1)
        json_write_str(buf,
                       clock_print(change->old_until_s * CLOCK_NS_PER_SEC, CLOCK_SECONDS, text));
    else
        buf_put(buf, STR("null"));
    buf_put_char(buf, '}');
}

void certs_put_change(struct buf *buf, const struct certs_view *view,
                      const struct certs_change *change)
{
    const char *separator = "";
    buf_put(buf, STR("{\"metadata\":{\"resourceVersion\":"));
    put_version(buf, view->secret);
    if (change->authorities)
        put_old_until(buf, change);
    buf_put(buf, STR("},\"data\":{"));
    if (change->authorities)
        put_authorities(buf, &separator, change->authorities);
    if (str_is_set(change->authority_key))
        put_data(buf, &separator, "ca.key", change->authority_key);
    if (change->pair) {
        put_data(buf, &separator, "tls.crt", change->pair->cert);
        put_data(buf, &separator, "tls.key", change->pair->key);
    }
    buf_put(buf, STR("}}"));
}

void certs_put_empty_secret(struct buf *buf, struct str name)
{
    buf_printf(buf,
               "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"%" PRIstr "\","
               "\"labels\":{\"app.kubernetes.io/part-of\":\"callboard\"}}}",
               STR_ARG(name));
}

/* An "add" replaces too. The version makes it a conflict when somebody was faster. */
void certs_put_bundles(struct buf *buf, const struct certs_view *view, size_t configuration)
{
    const struct json *object = view->configurations[configuration];
    size_t count = json_is(webhooks_of(object), JSON_ARRAY) ? webhooks_of(object)->len : 0;
    buf_put(buf, STR("[{\"op\":\"replace\",\"path\":\"/metadata/resourceVersion\",\"value\":"));
    put_version(buf, object);
    buf_put_char(buf, '}');
    for (size_t i = 0; i < count; i++) {
        buf_printf(
            buf, ",{\"op\":\"add\",\"path\":\"/webhooks/%zu/clientConfig/caBundle\",\"value\":", i);
        put_base64(buf, view->bundle);
        buf_put_char(buf, '}');
    }
    buf_put_char(buf, ']');
}
