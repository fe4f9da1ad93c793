/* Watches: a place in the history, moved on when the client is given events. */
#include "unit/sim/server_parts.h"

struct sim_watch {
    struct sim_server *server;
    struct sim_target target;
    struct arena arena;
    uint64_t version; /* all up to it was given */
    /* The list that goes before (sendInitialEvents). */
    struct sim_object **initial;
    size_t initial_count;
    size_t initial_next;
    bool owes_initial_end;
    bool has_ended;
};

bool sim_server_is_watch(const struct sim_request *request)
{
    struct arena arena;
    struct sim_target target;
    arena_init(&arena, mem_system(), 4096, 1 << 20);
    bool is_watch = str_eq(request->method, STR("GET")) &&
                    sim_target_read(request->target, &arena, &target) && target.is_watch;
    arena_done(&arena);
    return is_watch;
}

/* Holds what the list is made of: the client takes it in as slowly as it likes. */
static void take_initial(struct sim_watch *watch, struct arena *scratch)
{
    size_t count;
    struct sim_object **objects = sim_store_at(&watch->server->store, watch->target.resource->kube,
                                               watch->version, scratch, &count);
    watch->initial = ARENA_NEW_ARRAY(&watch->arena, struct sim_object *, count + 1);
    sim_require(watch->initial != NULL);
    for (size_t i = 0; i < count; i++) {
        if (sim_target_matches(&watch->target, objects[i]))
            watch->initial[watch->initial_count++] = sim_object_ref(objects[i]);
    }
}

static bool check(struct sim_call *call)
{
    const struct sim_target *target = &call->target;
    if (str_is_set(target->bad_selector))
        sim_refuse(call, 400, "BadRequest", "unable to parse requirement: %" PRIstr,
                   STR_ARG(target->bad_selector));
    else if (target->wants_initial_events && !call->server->has_watch_list)
        sim_refuse_list_options(call, "sendInitialEvents",
                                "Forbidden: sendInitialEvents is forbidden for watch unless the "
                                "WatchList feature gate is enabled");
    else if (target->wants_initial_events &&
             !str_eq(target->resource_version_match, STR("NotOlderThan")))
        sim_refuse_list_options(call, "resourceVersionMatch",
                                "Forbidden: sendInitialEvents requires setting "
                                "resourceVersionMatch to NotOlderThan");
    else
        return true;
    return false;
}

struct sim_watch *sim_server_watch(struct sim_server *server, const struct sim_request *request,
                                   struct sim_response *response)
{
    struct sim_call call = {
        .server = server, .request = request, .response = response, .arena = &server->scratch};
    struct sim_watch *watch = NULL;
    bool is_known = sim_target_read(request->target, call.arena, &call.target);
    sim_require(is_known);
    if (check(&call)) {
        watch = calloc(1, sizeof(*watch));
        sim_require(watch != NULL);
        watch->server = server;
        arena_init(&watch->arena, mem_system(), 4096, 64 << 20);
        sim_target_copy(&call.target, &watch->arena, &watch->target);
        uint64_t asked = kube_version_number(call.target.resource_version);
        uint64_t cached = request->cache_version ? request->cache_version : server->store.version;
        bool is_plain_start = asked == 0 && !call.target.wants_initial_events;
        watch->version = asked;
        if (call.target.wants_initial_events || is_plain_start) {
            watch->version = asked > cached ? asked : cached;
            if (watch->version < server->store.compacted || call.target.resource_version.len == 0)
                watch->version = server->store.version;
            take_initial(watch, call.arena);
            watch->owes_initial_end = call.target.wants_initial_events;
        }
        response->status = 200;
    }
    arena_reset(call.arena);
    return watch;
}

void sim_watch_free(struct sim_watch *watch)
{
    if (!watch)
        return;
    for (size_t i = 0; i < watch->initial_count; i++)
        sim_object_unref(watch->initial[i]);
    arena_done(&watch->arena);
    free(watch);
}

static void put_event(struct buf *line, const char *type, struct str object)
{
    buf_printf(line, "{\"type\":\"%s\",\"object\":%" PRIstr "}\n", type, STR_ARG(object));
}

static void put_bookmark(const struct sim_watch *watch, struct buf *line, bool ends_initial)
{
    const struct kube_resource *kube = watch->target.resource->kube;
    buf_printf(line,
               "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"%s\",\"apiVersion\":\"%s%s%s\","
               "\"metadata\":{\"resourceVersion\":\"%llu\",\"creationTimestamp\":null%s}}}\n",
               kube->kind, kube->group, kube->group[0] ? "/" : "", kube->version,
               (unsigned long long)watch->version,
               ends_initial ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
}

/* As the watch cache answers it: 200, and then this (storage/cacher, newErrWatcher). */
static void put_expired(struct sim_watch *watch, struct buf *line)
{
    buf_printf(line,
               "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\","
               "\"metadata\":{},\"status\":\"Failure\",\"message\":\"too old resource version: "
               "%llu (%llu)\",\"reason\":\"Expired\",\"code\":410}}\n",
               (unsigned long long)watch->version,
               (unsigned long long)watch->server->store.compacted);
    watch->has_ended = true;
}

/* An object can come into the selection and leave it by a change. */
static bool put_change(const struct sim_watch *watch, const struct sim_event *event,
                       struct buf *line)
{
    bool before = event->before && sim_target_matches(&watch->target, event->before);
    bool after = !event->is_deletion && sim_target_matches(&watch->target, event->after);
    if (!before && !after)
        return false;
    if (!after && !event->is_deletion) {
        /* The last state that matched, with the version of the change. */
        struct arena *arena = &watch->server->scratch;
        struct json *last = json_copy(arena, event->before->tree);
        struct json *meta = json_copy(arena, json_get(last, STR("metadata")));
        tree_set(last, STR("metadata"), meta);
        tree_set_str(arena, meta, "resourceVersion", event->after->meta.resource_version);
        put_event(line, "DELETED", tree_write(arena, last));
        arena_reset(arena);
        return true;
    }
    put_event(line, !after ? "DELETED" : before ? "MODIFIED" : "ADDED", event->after->text);
    return true;
}

bool sim_watch_next(struct sim_watch *watch, uint64_t version, struct buf *line, bool *ret_ended)
{
    const struct sim_store *store = &watch->server->store;
    *ret_ended = watch->has_ended;
    if (watch->has_ended)
        return false;
    if (watch->initial_next < watch->initial_count) {
        put_event(line, "ADDED", watch->initial[watch->initial_next++]->text);
        return true;
    }
    if (watch->owes_initial_end) {
        watch->owes_initial_end = false;
        put_bookmark(watch, line, true);
        return true;
    }
    if (watch->version < store->compacted) {
        put_expired(watch, line);
        return true;
    }
    for (version = version < store->version ? version : store->version; watch->version < version;) {
        if (put_change(watch, sim_store_event(store, ++watch->version), line))
            return true;
    }
    return false;
}

bool sim_watch_is_list(const struct sim_watch *watch)
{
    return watch->target.wants_initial_events;
}

bool sim_watch_wants_bookmarks(const struct sim_watch *watch)
{
    return watch->target.wants_bookmarks && !watch->has_ended &&
           watch->initial_next == watch->initial_count && !watch->owes_initial_end;
}

void sim_watch_bookmark(const struct sim_watch *watch, struct buf *line)
{
    put_bookmark(watch, line, false);
}

uint64_t sim_watch_version(const struct sim_watch *watch)
{
    return watch->version;
}

int64_t sim_watch_timeout_s(const struct sim_watch *watch)
{
    return watch->target.timeout_s;
}
