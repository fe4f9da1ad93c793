/* An API server for the webhook's certificates, for tests. */
#include "unit/certs_world.h"

#include "kube/object.h"
#include "unit/apply_patch.h"
#include "json/base64.h"

#include <stdio.h>

enum { BUNDLES_MAX = 512, ARENA_MAX = 1 << 30, TEXT_MAX = 1 << 20 };

static const char *const targets[CERTS_OBJECTS] = {
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/callboard",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/callboard",
    "/api/v1/namespaces/callboard-system/secrets/callboard-webhook-tls",
};

static struct json *parse(struct certs_world *world, struct str text)
{
    struct err err;
    struct json *value = json_read(&world->arena, text, &json_limits_default, &err);
    if (!value)
        fail_msg("%s: %" PRIstr, err.message, STR_ARG(text));
    return value;
}

static struct str encode(struct certs_world *world, struct str text)
{
    struct buf buf;
    buf_init(&buf, arena_mem(&world->arena), TEXT_MAX);
    base64_write(&buf, text);
    return buf_str(&buf);
}

static struct str decode(struct certs_world *world, struct str text)
{
    struct buf buf;
    buf_init(&buf, arena_mem(&world->arena), TEXT_MAX);
    return base64_read(&buf, text) ? buf_str(&buf) : STR("");
}

/* ---- Keeping ---- */

static void intersect(struct pki_certs *certs, const struct pki_certs *with)
{
    struct pki_certs both = {0};
    for (size_t i = 0; i < certs->count; i++) {
        if (pki_find(with, &certs->all[i].id))
            pki_add(&both, &certs->all[i]);
    }
    *certs = both;
}

static void remember_bundle(struct certs_world *world, size_t which, const struct json *object,
                            bool is_vandals)
{
    struct certs_bundle bundle = {.from_ns = clock_now_ns(&world->clock->clock),
                                  .is_vandals = is_vandals};
    bool is_first = true;
    JSON_EACH (webhook, json_get(object, STR("webhooks"))) {
        struct pki_certs certs;
        struct err err;
        struct str text = decode(world, kube_text_at(webhook, "clientConfig", "caBundle", NULL));
        assert_int_equal(pki_read(text, &world->arena, &certs, &err), 0);
        if (is_first)
            bundle.certs = certs;
        else
            intersect(&bundle.certs, &certs);
        is_first = false;
    }
    if (world->bundle_count[which] == BUNDLES_MAX)
        fail_msg("a caBundle was changed too often");
    world->bundles[which][world->bundle_count[which]++] = bundle;
}

static void put(struct certs_world *world, size_t which, struct json *object, bool is_vandals)
{
    struct buf text;
    struct str version = arena_printf(&world->arena, "%llu", (unsigned long long)++world->version);
    json_set(json_get(object, STR("metadata")), STR("resourceVersion"),
             json_new_str(&world->arena, version));
    buf_init(&text, arena_mem(&world->arena), TEXT_MAX);
    json_write(&text, object);
    world->objects[which] = buf_str(&text);
    if (which != CERTS_SECRET_OBJECT)
        remember_bundle(world, which, object, is_vandals);
}

static struct str version_of(const struct json *object)
{
    return kube_text_at(object, "metadata", "resourceVersion", NULL);
}

/* ---- Requests ---- */

static struct json *child(struct certs_world *world, struct json *object, const char *key)
{
    struct json *found = json_get(object, str_from_cstr(key));
    if (!found) {
        found = json_new(&world->arena, JSON_OBJECT);
        json_set(object, str_from_cstr(key), found);
    }
    return found;
}

static void merge_texts(struct certs_world *world, struct json *to, const struct json *from)
{
    JSON_EACH (member, from) {
        if (json_is(member, JSON_STRING))
            json_set(to, json_key(member), json_copy(&world->arena, member));
        else
            json_remove(to, json_key(member));
    }
}

static void count_keys(struct certs_world *world, const struct json *data)
{
    struct str pair = json_str(json_get(data, STR("tls.key")));
    world->authorities += str_is_set(json_str(json_get(data, STR("ca.key"))));
    world->pairs += pair.len > 0 && !str_is_set(json_str(json_get(data, STR("ca.key"))));
}

/* RFC 7396, as far as Secrets need it. */
static int merge(struct certs_world *world, size_t which, struct str body)
{
    struct json *object = parse(world, world->objects[which]);
    const struct json *patch = parse(world, body);
    if (!str_eq(version_of(patch), version_of(object)))
        return 409;
    const struct json *data = json_get(patch, STR("data"));
    count_keys(world, data);
    merge_texts(world, child(world, object, "data"), data);
    merge_texts(world, child(world, json_get(object, STR("metadata")), "annotations"),
                kube_at(patch, "metadata", "annotations", NULL));
    put(world, which, object, false);
    return 200;
}

static int patch_json(struct certs_world *world, size_t which, struct str body)
{
    struct json *object = parse(world, world->objects[which]);
    struct json *changed = apply_patch(&world->arena, object, parse(world, body));
    if (!changed)
        return 422;
    if (!str_eq(version_of(changed), version_of(object)))
        return 409;
    put(world, which, changed, false);
    return 200;
}

static int apply(struct certs_world *world, size_t which, struct str body)
{
    if (str_is_set(world->objects[which]))
        return 200;
    put(world, which, json_copy(&world->arena, parse(world, body)), false);
    return 201;
}

static int patch(struct certs_world *world, const struct kube_request *request, size_t which)
{
    struct str body = arena_copy(&world->arena, request->body);
    if (strcmp(request->content_type, "application/apply-patch+yaml") == 0)
        return apply(world, which, body);
    if (!str_is_set(world->objects[which]))
        return 404;
    return strcmp(request->content_type, "application/merge-patch+json") == 0
               ? merge(world, which, body)
               : patch_json(world, which, body);
}

int certs_world_do(struct certs_world *world, const struct kube_request *request, struct str *ret)
{
    struct str path, query;
    size_t which = 0;
    str_cut(request->target, '?', &path, &query);
    while (which < CERTS_OBJECTS && !str_eq_cstr(path, targets[which]))
        which++;
    if (which == CERTS_OBJECTS)
        fail_msg("%" PRIstr, STR_ARG(request->target));
    int status = 200;
    if (strcmp(request->method, "PATCH") == 0) {
        status = patch(world, request, which);
        world->writes += status < 300;
        world->conflicts += status == 409;
    } else if (!str_is_set(world->objects[which])) {
        status = 404;
    }
    *ret = status < 300 ? world->objects[which] : STR("");
    return status;
}

void certs_world_answer(struct certs_world *world, struct fake_transport *fake, size_t index)
{
    struct str object;
    int status = certs_world_do(world, fake_sent(fake, index), &object);
    struct str text = arena_copy(&world->arena, object);
    fake_answer(fake, index, status, text.ptr);
}

/* ---- Looking ---- */

struct str certs_world_secret(struct certs_world *world, const char *file)
{
    if (!str_is_set(world->objects[CERTS_SECRET_OBJECT]))
        return STR("");
    const struct json *object = parse(world, world->objects[CERTS_SECRET_OBJECT]);
    return decode(world, kube_text_at(object, "data", file, NULL));
}

struct str certs_world_annotation(struct certs_world *world, const char *name)
{
    const struct json *object = parse(world, world->objects[CERTS_SECRET_OBJECT]);
    return kube_map_get(kube_at(object, "metadata", "annotations", NULL), str_from_cstr(name));
}

/* ---- Vandals ---- */

void certs_world_delete(struct certs_world *world, size_t object)
{
    world->objects[object] = (struct str){NULL, 0};
}

void certs_world_set_secret(struct certs_world *world, const char *file, struct str text)
{
    struct json *object = parse(world, world->objects[CERTS_SECRET_OBJECT]);
    json_set(child(world, object, "data"), str_from_cstr(file),
             json_new_str(&world->arena, encode(world, text)));
    put(world, CERTS_SECRET_OBJECT, object, true);
}

void certs_world_annotate(struct certs_world *world, const char *name, const char *value)
{
    struct json *object = parse(world, world->objects[CERTS_SECRET_OBJECT]);
    struct json *annotations = child(world, json_get(object, STR("metadata")), "annotations");
    json_set(annotations, str_from_cstr(name), json_new_str(&world->arena, str_from_cstr(value)));
    put(world, CERTS_SECRET_OBJECT, object, true);
}

void certs_world_set_bundle(struct certs_world *world, size_t configuration, struct str pem)
{
    struct json *object = parse(world, world->objects[configuration]);
    JSON_EACH (webhook, json_get(object, STR("webhooks")))
        json_set(json_get(webhook, STR("clientConfig")), STR("caBundle"),
                 json_new_str(&world->arena, encode(world, pem)));
    put(world, configuration, object, true);
}

void certs_world_restore(struct certs_world *world, size_t configuration)
{
    put(world, configuration,
        parse(world, STR("{\"metadata\":{\"name\":\"callboard\"},\"webhooks\":["
                         "{\"name\":\"performers\",\"clientConfig\":{}},"
                         "{\"name\":\"jobflows\",\"clientConfig\":{}}]}")),
        true);
}

void certs_world_init(struct certs_world *world, struct test_clock *clock)
{
    *world = (struct certs_world){.clock = clock};
    arena_init(&world->arena, mem_system(), 1 << 20, ARENA_MAX);
    for (size_t i = 0; i < CERTS_CONFIGURATIONS; i++) {
        world->bundles[i] = ARENA_NEW_ARRAY(&world->arena, struct certs_bundle, BUNDLES_MAX);
        certs_world_restore(world, i);
    }
}

void certs_world_done(struct certs_world *world)
{
    arena_done(&world->arena);
}
