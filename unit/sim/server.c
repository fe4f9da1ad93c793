/* The server: routing, reading. */
#include "unit/sim/server_parts.h"

enum { SCRATCH_MAX = 256 << 20 };

void sim_server_init(struct sim_server *server, const struct clock *clock,
                     const struct random *random)
{
    struct err err;
    *server = (struct sim_server){
        .clock = clock, .random = random, .has_webhook = true, .has_watch_list = true};
    sim_store_init(&server->store);
    /* No object has the version 1: etcd's first revision is that of the empty store. */
    server->store.version = server->store.compacted = 1;
    server->catalog = catalog_builtin(mem_system(), &err);
    sim_require(server->catalog != NULL);
    arena_init(&server->scratch, mem_system(), 1 << 16, SCRATCH_MAX);
}

void sim_server_done(struct sim_server *server)
{
    sim_store_done(&server->store);
    catalog_unref(server->catalog);
    arena_done(&server->scratch);
}

/* ---- Lists ---- */

struct page {
    uint64_t version; /* of the state that is listed */
    struct str after_namespace;
    struct str after_name; /* the last object of the page before; absent at the first */
};

/* "VERSION.NAMESPACE/NAME", which clients pass back as it is. */
static bool read_token(struct str token, struct page *page)
{
    struct str version, key;
    int64_t number;
    if (!str_cut(token, '.', &version, &key) || !str_to_int64(version, &number) || number <= 0)
        return false;
    page->version = (uint64_t)number;
    return str_cut(key, '/', &page->after_namespace, &page->after_name);
}

static void refuse_expired(struct sim_call *call)
{
    sim_refuse(
        call, 410, "Expired",
        "The provided continue parameter is too old to display a consistent list result. You "
        "can start a new list without the continue parameter.");
}

/* Which state is asked for (k8s.io/apiserver pkg/storage: "" is the newest, by a quorum; "0" any; N not
 * older than N). False when the call was refused. */
static bool choose_version(struct sim_call *call, struct page *page)
{
    const struct sim_target *target = &call->target;
    const struct sim_store *store = &call->server->store;
    uint64_t cached = call->request->cache_version ? call->request->cache_version : store->version;
    uint64_t asked = kube_version_number(target->resource_version);
    page->version = store->version;
    if (target->continue_token.len > 0) {
        if (!read_token(target->continue_token, page)) {
            sim_refuse(call, 400, "BadRequest", "continue key is not valid");
            return false;
        }
        if (page->version < store->compacted) {
            refuse_expired(call);
            return false;
        }
    } else if (asked > store->version) {
        sim_refuse(call, 504, "Timeout", "Too large resource version: %llu, current: %llu",
                   (unsigned long long)asked, (unsigned long long)store->version);
        return false;
    } else if (str_is_set(target->resource_version) && target->resource_version.len > 0) {
        page->version = asked > cached ? asked : cached;
        if (page->version < store->compacted)
            page->version = store->compacted;
    }
    return true;
}

static bool is_after(const struct page *page, const struct sim_object *object)
{
    if (!str_is_set(page->after_name))
        return true;
    int order = str_cmp(object->meta.namespace, page->after_namespace);
    return order > 0 || (order == 0 && str_cmp(object->meta.name, page->after_name) > 0);
}

/* Objects of the built-in kinds have no apiVersion and kind in a list. */
static void put_item(struct sim_call *call, struct buf *out, const struct sim_object *object)
{
    if (object->resource->is_custom) {
        buf_put(out, object->text);
        return;
    }
    struct json *item = json_copy(call->arena, object->tree);
    json_remove(item, STR("apiVersion"));
    json_remove(item, STR("kind"));
    json_write(out, item);
}

static void put_list_head(struct buf *out, const struct sim_resource *resource)
{
    const struct kube_resource *kube = resource->kube;
    buf_printf(out, "{\"kind\":\"%sList\",\"apiVersion\":\"%s%s%s\",\"items\":[", kube->kind,
               kube->group, kube->group[0] ? "/" : "", kube->version);
}

static void list(struct sim_call *call)
{
    const struct sim_target *target = &call->target;
    struct page page = {.after_name = {NULL, 0}};
    if (!choose_version(call, &page))
        return;
    size_t count, given = 0, left = 0;
    struct sim_object **objects = sim_store_at(&call->server->store, target->resource->kube,
                                               page.version, call->arena, &count);
    struct buf *out = &call->response->body;
    const struct sim_object *last = NULL;
    put_list_head(out, target->resource);
    for (size_t i = 0; i < count; i++) {
        if (!sim_target_matches(target, objects[i]) || !is_after(&page, objects[i]))
            continue;
        if (target->limit > 0 && given >= (size_t)target->limit) {
            left++;
            continue;
        }
        buf_put(out, given++ ? STR(",") : STR(""));
        put_item(call, out, objects[i]);
        last = objects[i];
    }
    buf_printf(out, "],\"metadata\":{\"resourceVersion\":\"%llu\"",
               (unsigned long long)page.version);
    if (left > 0) {
        buf_put(out, STR(",\"continue\":"));
        json_write_str(out, arena_printf(call->arena, "%llu.%" PRIstr "/%" PRIstr,
                                         (unsigned long long)page.version,
                                         STR_ARG(last->meta.namespace), STR_ARG(last->meta.name)));
        /* With a selector the real one does not know. */
        if (!target->labels && !target->fields)
            buf_printf(out, ",\"remainingItemCount\":%zu", left);
    }
    buf_put(out, STR("}}"));
    call->response->status = 200;
    call->response->list_version = left > 0 ? 0 : page.version;
}

static void get(struct sim_call *call)
{
    const struct sim_object *object =
        sim_store_get(&call->server->store, call->target.resource->kube, call->target.namespace,
                      call->target.name);
    if (object)
        sim_answer_object(call, 200, object);
    else
        sim_refuse_not_found(call, call->target.name);
}

/* ---- Routing ---- */

const struct kube_resource *sim_target_resource(struct str target)
{
    struct arena arena;
    struct sim_target read;
    arena_init(&arena, mem_system(), 4096, 1 << 20);
    bool is_known = sim_target_read(target, &arena, &read);
    arena_done(&arena);
    return is_known ? read.resource->kube : NULL;
}

static bool is_method(const struct sim_call *call, const char *method)
{
    return str_eq_cstr(call->request->method, method);
}

static void refuse_method(struct sim_call *call)
{
    sim_refuse(call, 405, "MethodNotAllowed",
               "the server does not allow this method on the requested resource");
}

static void route_subresource(struct sim_call *call)
{
    struct str subresource = call->target.subresource;
    bool is_pod = call->target.resource->kube == &kube_pods;
    if (is_pod && str_eq(subresource, STR("binding")) && is_method(call, "POST"))
        sim_bind(call);
    else if (is_pod && str_eq(subresource, STR("eviction")) && is_method(call, "POST"))
        sim_evict(call);
    else if (!str_eq(subresource, STR("status")) || !call->target.resource->has_status)
        sim_refuse(call, 404, "NotFound", "the server could not find the requested resource");
    else if (is_method(call, "GET"))
        get(call);
    else if (is_method(call, "PUT"))
        sim_update(call);
    else if (is_method(call, "PATCH"))
        sim_patch(call);
    else
        refuse_method(call);
}

static void route(struct sim_call *call)
{
    const struct sim_target *target = &call->target;
    if (str_is_set(target->bad_selector))
        sim_refuse(call, 400, "BadRequest", "unable to parse requirement: %" PRIstr,
                   STR_ARG(target->bad_selector));
    else if (str_is_set(target->subresource))
        route_subresource(call);
    else if (!str_is_set(target->name) && is_method(call, "GET"))
        list(call);
    else if (!str_is_set(target->name) && is_method(call, "POST"))
        sim_create(call);
    else if (!str_is_set(target->name))
        refuse_method(call);
    else if (is_method(call, "GET"))
        get(call);
    else if (is_method(call, "PUT"))
        sim_update(call);
    else if (is_method(call, "PATCH"))
        sim_patch(call);
    else if (is_method(call, "DELETE"))
        sim_delete(call);
    else
        refuse_method(call);
}

void sim_server_handle(struct sim_server *server, const struct sim_request *request,
                       struct sim_response *response)
{
    struct sim_call call = {
        .server = server, .request = request, .response = response, .arena = &server->scratch};
    response->status = 0;
    response->retry_after_s = 0;
    response->list_version = 0;
    if (!sim_target_read(request->target, call.arena, &call.target))
        sim_refuse(&call, 404, "NotFound", "the server could not find the requested resource");
    else
        route(&call);
    sim_require(response->status > 0 && !buf_failed(&response->body));
    arena_reset(call.arena);
}
