/* A cache of projected objects: two hash tables with chains through the objects. */
#include "control/store.h"

#include "base/hash.h"

#include <assert.h>

enum { FIRST_BUCKETS = 16 }; /* a power of two */

struct store {
    struct store_config config;
    struct hash_seed seed;
    /* Both tables have as many buckets, a power of two and at least as many as there are objects. */
    struct stored **by_key;
    struct stored **by_owner; /* only objects that have one */
    size_t buckets;
    size_t count;
    size_t object_bytes;
    bool is_listing; /* between begin() and end() */
};

/* ---- Objects ---- */

static size_t kept_size(const struct kube_meta *meta)
{
    return meta->namespace.len + meta->name.len + meta->uid.len + meta->owner_uid.len +
           meta->owner_name.len;
}

struct stored *store_new_object(const struct mem *mem, const struct kube_meta *meta,
                                size_t object_size, size_t text_size)
{
    assert(object_size >= sizeof(struct stored));
    size_t size;
    if (__builtin_add_overflow(object_size, kept_size(meta), &size) ||
        __builtin_add_overflow(size, text_size, &size) || size > UINT32_MAX)
        return NULL;
    struct stored *object = mem_alloc(mem, size);
    if (!object)
        return NULL;
    memset(object, 0, object_size);
    object->size = (uint32_t)size;
    object->used = (uint32_t)object_size;
    object->is_deleting = str_is_set(meta->deletion_timestamp);
    object->generation = meta->generation;
    object->version = kube_version_number(meta->resource_version);
    object->namespace = store_keep_text(object, meta->namespace);
    object->name = store_keep_text(object, meta->name);
    object->uid = store_keep_text(object, meta->uid);
    object->owner_uid = store_keep_text(object, meta->owner_uid);
    object->owner_name = store_keep_text(object, meta->owner_name);
    return object;
}

struct str store_keep_text(struct stored *object, struct str text)
{
    if (!str_is_set(text))
        return text;
    assert(text.len <= object->size - object->used);
    char *to = (char *)object + object->used;
    memcpy(to, text.ptr, text.len);
    object->used += (uint32_t)text.len;
    return (struct str){to, text.len};
}

void store_free_object(const struct mem *mem, struct stored *object)
{
    if (object)
        mem_free(mem, object, object->size);
}

/* ---- Tables ---- */

static struct stored **key_bucket(const struct store *store, struct str namespace, struct str name)
{
    return &store->by_key[hash_pair(&store->seed, namespace, name) & (store->buckets - 1)];
}

static struct stored **owner_bucket(const struct store *store, struct str uid)
{
    return &store->by_owner[hash_text(&store->seed, uid) & (store->buckets - 1)];
}

/* The place that points to the object, or the NULL at the end of its chain. */
static struct stored **find(const struct store *store, struct str namespace, struct str name)
{
    struct stored **at = key_bucket(store, namespace, name);
    while (*at && !(str_eq((*at)->name, name) && str_eq((*at)->namespace, namespace)))
        at = &(*at)->next_by_key;
    return at;
}

static void link_by_owner(struct store *store, struct stored *object)
{
    if (object->owner_uid.len == 0)
        return;
    struct stored **head = owner_bucket(store, object->owner_uid);
    object->next_by_owner = *head;
    object->link_by_owner = head;
    if (*head)
        (*head)->link_by_owner = &object->next_by_owner;
    *head = object;
}

static void unlink_by_owner(struct stored *object)
{
    if (!object->link_by_owner)
        return;
    *object->link_by_owner = object->next_by_owner;
    if (object->next_by_owner)
        object->next_by_owner->link_by_owner = object->link_by_owner;
}

static struct stored **new_buckets(const struct mem *mem, size_t count)
{
    struct stored **buckets = mem_alloc(mem, count * sizeof(struct stored *));
    for (size_t i = 0; buckets && i < count; i++)
        buckets[i] = NULL;
    return buckets;
}

static void free_buckets(struct store *store)
{
    mem_free(store->config.mem, store->by_key, store->buckets * sizeof(struct stored *));
    mem_free(store->config.mem, store->by_owner, store->buckets * sizeof(struct stored *));
}

static bool grow(struct store *store)
{
    const struct mem *mem = store->config.mem;
    struct store old = *store;
    size_t buckets = old.buckets * 2;
    struct stored **by_key = new_buckets(mem, buckets), **by_owner = new_buckets(mem, buckets);
    if (!by_key || !by_owner) {
        mem_free(mem, by_key, buckets * sizeof(struct stored *));
        mem_free(mem, by_owner, buckets * sizeof(struct stored *));
        return false;
    }
    store->by_key = by_key;
    store->by_owner = by_owner;
    store->buckets = buckets;
    for (size_t i = 0; i < old.buckets; i++) {
        for (struct stored *object = old.by_key[i], *next; object; object = next) {
            next = object->next_by_key;
            struct stored **head = key_bucket(store, object->namespace, object->name);
            object->next_by_key = *head;
            *head = object;
            link_by_owner(store, object);
        }
    }
    free_buckets(&old);
    return true;
}

static void put(struct store *store, struct stored **at, struct stored *object)
{
    object->next_by_key = NULL;
    *at = object;
    link_by_owner(store, object);
    store->count++;
    store->object_bytes += object->size;
}

static struct stored *take(struct store *store, struct stored **at)
{
    struct stored *object = *at;
    *at = object->next_by_key;
    unlink_by_owner(object);
    store->count--;
    store->object_bytes -= object->size;
    return object;
}

/* ---- What the reflector tells ---- */

static void tell(struct store *store, const struct stored *before, const struct stored *after)
{
    if (store->config.on_change)
        store->config.on_change(store->config.ctx, before, after);
}

/* Takes the object out, tells it, and frees it. */
static void drop(struct store *store, struct stored **at)
{
    struct stored *object = take(store, at);
    tell(store, object, NULL);
    store_free_object(store->config.mem, object);
}

static void on_begin(void *ctx)
{
    struct store *store = ctx;
    store->is_listing = true;
    for (size_t i = 0; i < store->buckets; i++) {
        for (struct stored *object = store->by_key[i]; object; object = object->next_by_key)
            object->is_marked = false;
    }
}

/* The same version is the same object. */
static bool is_news(const struct store *store, const struct stored *object, uint64_t version)
{
    if (!object || object->version == 0 || version == 0)
        return true;
    return store->is_listing ? version != object->version : version > object->version;
}

static int on_upsert(void *ctx, const struct json *tree, const struct kube_meta *meta)
{
    struct store *store = ctx;
    struct stored **at = find(store, meta->namespace, meta->name);
    if (!is_news(store, *at, kube_version_number(meta->resource_version))) {
        (*at)->is_marked = true;
        return 0;
    }
    if (!*at && store->count == store->buckets) {
        if (!grow(store))
            return -1;
        at = find(store, meta->namespace, meta->name);
    }
    struct stored *object = store->config.type->project(store->config.mem, tree, meta);
    if (!object)
        return -1;
    object->is_marked = true;
    struct stored *before = NULL;
    if (*at) {
        before = take(store, at);
        /* To the end of the chain. */
        at = find(store, meta->namespace, meta->name);
    }
    put(store, at, object);
    tell(store, before, object);
    store_free_object(store->config.mem, before);
    return 0;
}

static void on_remove(void *ctx, const struct json *tree, const struct kube_meta *meta)
{
    (void)tree;
    struct store *store = ctx;
    struct stored **at = find(store, meta->namespace, meta->name);
    /* The version of a removal is its own; an object that came later stays. */
    uint64_t version = kube_version_number(meta->resource_version);
    if (*at && (version == 0 || version >= (*at)->version))
        drop(store, at);
}

static void on_end(void *ctx)
{
    struct store *store = ctx;
    store->is_listing = false;
    for (size_t i = 0; i < store->buckets; i++) {
        for (struct stored **at = &store->by_key[i]; *at;) {
            if ((*at)->is_marked)
                at = &(*at)->next_by_key;
            else
                drop(store, at);
        }
    }
}

struct kube_sink store_sink(struct store *store)
{
    return (struct kube_sink){
        .begin = on_begin,
        .upsert = on_upsert,
        .remove = on_remove,
        .end = on_end,
        .ctx = store,
    };
}

/* ---- Making and asking ---- */

struct store *store_new(const struct store_config *config, struct err *err)
{
    struct store *store = mem_alloc(config->mem, sizeof(*store));
    if (store) {
        *store = (struct store){
            .config = *config,
            .seed = hash_seed_from(config->random),
            .by_key = new_buckets(config->mem, FIRST_BUCKETS),
            .by_owner = new_buckets(config->mem, FIRST_BUCKETS),
            .buckets = FIRST_BUCKETS,
        };
        if (store->by_key && store->by_owner)
            return store;
        free_buckets(store);
        mem_free(config->mem, store, sizeof(*store));
    }
    err_no_memory(err, "setting up a cache");
    return NULL;
}

void store_free(struct store *store)
{
    if (!store)
        return;
    const struct mem *mem = store->config.mem;
    for (size_t i = 0; i < store->buckets; i++) {
        for (struct stored *object = store->by_key[i], *next; object; object = next) {
            next = object->next_by_key;
            store_free_object(mem, object);
        }
    }
    free_buckets(store);
    mem_free(mem, store, sizeof(*store));
}

const struct stored *store_get(const struct store *store, struct str namespace, struct str name)
{
    return *find(store, namespace, name);
}

static const struct stored *skip_to_owner(const struct stored *object, struct str uid)
{
    while (object && !str_eq(object->owner_uid, uid))
        object = object->next_by_owner;
    return object;
}

const struct stored *store_first_owned(const struct store *store, struct str uid)
{
    return skip_to_owner(*owner_bucket(store, uid), uid);
}

const struct stored *store_next_owned(const struct stored *stored)
{
    return skip_to_owner(stored->next_by_owner, stored->owner_uid);
}

size_t store_count(const struct store *store)
{
    return store->count;
}

size_t store_bytes(const struct store *store)
{
    return sizeof(*store) + 2 * store->buckets * sizeof(struct stored *) + store->object_bytes;
}

const struct stored *store_each(const struct store *store, size_t *from, const struct stored *last)
{
    const struct stored *next = last ? last->next_by_key : NULL;
    while (!next && *from < store->buckets)
        next = store->by_key[(*from)++];
    return next;
}
