/* Waiting until the caches have seen the writes. */
#include "control/controller_parts.h"

static const struct controller_cache *cache_of(const struct controller *c,
                                               const struct kube_resource *resource)
{
    for (size_t i = 0; i < c->config.cache_count; i++) {
        if (c->config.caches[i].resource == resource)
            return &c->config.caches[i];
    }
    return NULL;
}

static void add(struct work *work, const struct action *action, uint64_t version, struct str uid)
{
    const struct controller_cache *cache = cache_of(work->controller, action->resource);
    if (!cache || work->fence_count == FENCES_MAX)
        return;
    work->fences[work->fence_count++] = (struct fence){
        .cache = cache,
        .version = version,
        .namespace = action->namespace,
        .name = action->name,
        .uid = str_is_set(uid) ? arena_copy(&work->arena, uid) : uid,
    };
}

void fence_version(struct work *work, const struct action *action, const struct kube_meta *meta)
{
    uint64_t version = kube_version_number(meta->resource_version);
    if (version > 0)
        add(work, action, version, meta->uid);
}

void fence_gone(struct work *work, const struct action *action, struct str uid)
{
    add(work, action, 0, uid);
}

/* The cache still has the object as one that stays. */
static bool is_there(const struct fence *fence)
{
    const struct stored *stored = store_get(fence->cache->store, fence->namespace, fence->name);
    return stored && !stored->is_deleting &&
           (!str_is_set(fence->uid) || str_eq(stored->uid, fence->uid));
}

static bool has_seen(const struct fence *fence)
{
    if (fence->version == 0)
        return !is_there(fence);
    return kube_reflector_version(fence->cache->reflector) >= fence->version;
}

static void ask_later(struct work *work)
{
    struct controller *c = work->controller;
    work_set_state(work, WORK_FENCED);
    timers_set(c->config.timers, &work->timer,
               clock_now_ns(c->config.clock) + CONTROLLER_FENCE_ASK_NS);
}

void work_pass_fence(struct work *work)
{
    while (work->fence_count > 0 && has_seen(&work->fences[work->fence_count - 1]))
        work->fence_count--;
    if (work->fence_count == 0)
        work_finish(work);
}

static void record_events(const struct work *work)
{
    struct work_log log;
    if (work->end == WORK_AGAIN || work->end == WORK_FAILED)
        return;
    for (size_t i = 0; i < work->plan.event_count; i++) {
        const struct kube_event *event = &work->plan.events[i];
        log_info(work_log(work, &log), "event", LOG_BOOL("warning", event->is_warning),
                 LOG_CSTR("reason", event->reason), LOG_STR("message", event->message));
        if (work->controller->config.events)
            kube_events_record(work->controller->config.events, event);
    }
}

void work_fence(struct work *work)
{
    record_events(work);
    histogram_observe(work->controller->seconds,
                      (double)(clock_now_ns(work->controller->config.clock) - work->start_ns) /
                          (double)CLOCK_NS_PER_SEC);
    ask_later(work);
    work_pass_fence(work);
}

/* ---- The server's word ---- */

/* What the cache has to see when the server has the object as `meta`. */
static void compare_found(struct fence *fence, const struct kube_meta *meta)
{
    bool is_same = !str_is_set(fence->uid) || str_eq(fence->uid, meta->uid);
    bool is_gone = !is_same || str_is_set(meta->deletion_timestamp);
    bool stays = fence->version == 0 && !is_gone;
    /* The server is older than our write: it was restored. */
    bool is_restored = fence->version > kube_version_number(meta->resource_version);
    if (stays || is_restored)
        fence->version = 1; /* nothing to wait for */
}

static void asked(void *ctx, const struct kube_result *result)
{
    struct work *work = ctx;
    struct fence *fence = &work->fences[work->fence_count - 1];
    struct kube_meta meta;
    work->pending = NULL;
    if (result->outcome == KUBE_OK && controller_read(work->controller, result, &meta))
        compare_found(fence, &meta);
    else if (result->outcome == KUBE_NOT_FOUND)
        fence->version = 0;
    ask_later(work);
    work_pass_fence(work);
}

void work_ask(struct work *work)
{
    const struct fence *fence = &work->fences[work->fence_count - 1];
    struct work_log log;
    log_warn(work_log(work, &log), "a cache has not seen our write yet: asking the server",
             LOG_CSTR("kind", fence->cache->resource->kind), LOG_STR("object", fence->name),
             LOG_UINT("version", fence->version),
             LOG_UINT("cacheVersion", kube_reflector_version(fence->cache->reflector)));
    struct kube_call call = {
        .verb = KUBE_GET,
        .resource = fence->cache->resource,
        .namespace = fence->namespace,
        .name = fence->name,
        .wants_metadata = true,
    };
    struct err err;
    work->pending = kube_client_call(work->controller->config.client, &call, asked, work, &err);
    if (work->pending)
        work_set_state(work, WORK_ASKING);
    else
        ask_later(work);
}
