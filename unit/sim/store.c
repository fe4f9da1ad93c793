/* Objects, versions, history. */
#include "unit/sim/store.h"

#include "unit/sim/tree.h"

const struct kube_resource kube_namespaces = {"", "v1", "Namespace", "namespaces", false, true};

const struct sim_resource sim_resources[SIM_RESOURCES] = {
    {.kube = &kube_namespaces, .has_status = true},
    {.kube = &kube_pods, .has_status = true, .has_generation = true, .gives_deleted = true},
    {.kube = &kube_services, .has_status = true, .gives_deleted = true},
    {.kube = &kube_nodes, .has_status = true},
    {.kube = &kube_endpoint_slices, .has_generation = true},
    {.kube = &kube_events},
    {.kube = &kube_leases, .needs_version = true},
    {.kube = &kube_jobs, .has_status = true, .has_generation = true},
    {.kube = &kube_config_maps},
    {.kube = &kube_volume_claims, .has_status = true},
    {.kube = &kube_performers,
     .is_custom = true,
     .has_status = true,
     .has_generation = true,
     .needs_version = true},
    {.kube = &kube_jobflows,
     .is_custom = true,
     .has_status = true,
     .has_generation = true,
     .needs_version = true},
    {.kube = &kube_jobflow_templates,
     .is_custom = true,
     .has_generation = true,
     .needs_version = true},
};

size_t sim_resource_index(const struct kube_resource *resource)
{
    size_t index = 0;
    while (index < SIM_RESOURCES && sim_resources[index].kube != resource)
        index++;
    sim_require(index < SIM_RESOURCES);
    return index;
}

/* ---- One version of one object ---- */

static struct sim_object *object_new(const struct sim_resource *resource, uint64_t version,
                                     struct json *tree, struct arena *scratch)
{
    struct sim_object *object = malloc(sizeof(*object));
    sim_require(object != NULL);
    *object = (struct sim_object){.refs = 1, .resource = resource, .version = version};
    arena_init(&object->arena, mem_system(), 4096, 64 << 20);
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)version);
    tree_set_str(scratch, tree_child(scratch, tree, "metadata", JSON_OBJECT), "resourceVersion",
                 str_from_cstr(text));
    object->text = arena_copy(&object->arena, tree_write(scratch, tree));
    sim_require(object->text.ptr != NULL);
    struct err err;
    object->tree = json_read(&object->arena, object->text, &json_limits_default, &err);
    sim_require(object->tree != NULL);
    kube_meta_read(object->tree, &object->meta);
    return object;
}

struct sim_object *sim_object_ref(struct sim_object *object)
{
    if (object)
        object->refs++;
    return object;
}

void sim_object_unref(struct sim_object *object)
{
    if (!object || --object->refs > 0)
        return;
    arena_done(&object->arena);
    free(object);
}

/* ---- The shelf: sorted, found by halving ---- */

static int key_cmp(const struct sim_object *object, struct str namespace, struct str name)
{
    int order = str_cmp(object->meta.namespace, namespace);
    return order ? order : str_cmp(object->meta.name, name);
}

/* The first place whose object is not before the key. */
static size_t shelf_place(const struct sim_shelf *shelf, struct str namespace, struct str name)
{
    size_t low = 0, high = shelf->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (key_cmp(shelf->objects[middle], namespace, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool shelf_has(const struct sim_shelf *shelf, size_t place, struct str namespace,
                      struct str name)
{
    return place < shelf->count && key_cmp(shelf->objects[place], namespace, name) == 0;
}

static void shelf_insert(struct sim_shelf *shelf, size_t place, struct sim_object *object)
{
    if (shelf->count == shelf->cap) {
        shelf->cap = shelf->cap ? shelf->cap * 2 : 8;
        shelf->objects = realloc(shelf->objects, shelf->cap * sizeof(struct sim_object *));
        sim_require(shelf->objects != NULL);
    }
    memmove(shelf->objects + place + 1, shelf->objects + place,
            (shelf->count - place) * sizeof(struct sim_object *));
    shelf->objects[place] = object;
    shelf->count++;
}

static void shelf_remove(struct sim_shelf *shelf, size_t place)
{
    shelf->count--;
    memmove(shelf->objects + place, shelf->objects + place + 1,
            (shelf->count - place) * sizeof(struct sim_object *));
}

/* ---- The store ---- */

void sim_store_init(struct sim_store *store)
{
    *store = (struct sim_store){0};
}

static void event_done(struct sim_event *event)
{
    sim_object_unref(event->before);
    sim_object_unref(event->after);
}

void sim_store_done(struct sim_store *store)
{
    for (size_t i = 0; i < SIM_RESOURCES; i++) {
        struct sim_shelf *shelf = &store->shelves[i];
        for (size_t j = 0; j < shelf->count; j++)
            sim_object_unref(shelf->objects[j]);
        free(shelf->objects);
    }
    for (size_t i = 0; i < store->event_count; i++)
        event_done(&store->events[i]);
    free(store->events);
    sim_store_init(store);
}

const struct sim_shelf *sim_store_shelf(const struct sim_store *store,
                                        const struct kube_resource *resource)
{
    return &store->shelves[sim_resource_index(resource)];
}

struct sim_object *sim_store_get(const struct sim_store *store,
                                 const struct kube_resource *resource, struct str namespace,
                                 struct str name)
{
    const struct sim_shelf *shelf = sim_store_shelf(store, resource);
    size_t place = shelf_place(shelf, namespace, name);
    return shelf_has(shelf, place, namespace, name) ? shelf->objects[place] : NULL;
}

static void add_event(struct sim_store *store, struct sim_event event)
{
    if (store->event_count == store->event_cap) {
        store->event_cap = store->event_cap ? store->event_cap * 2 : 64;
        store->events = realloc(store->events, store->event_cap * sizeof(struct sim_event));
        sim_require(store->events != NULL);
    }
    store->events[store->event_count++] = event;
}

struct sim_object *sim_store_put(struct sim_store *store, const struct sim_resource *resource,
                                 struct sim_object *before, struct json *tree, struct arena *arena)
{
    struct sim_object *object = object_new(resource, ++store->version, tree, arena);
    struct sim_shelf *shelf = &store->shelves[resource - sim_resources];
    size_t place = shelf_place(shelf, object->meta.namespace, object->meta.name);
    sim_require(shelf_has(shelf, place, object->meta.namespace, object->meta.name) ==
                (before != NULL));
    /* The shelf's reference to `before` becomes the event's. */
    add_event(store,
              (struct sim_event){
                  .version = store->version, .before = before, .after = sim_object_ref(object)});
    if (before)
        shelf->objects[place] = object;
    else
        shelf_insert(shelf, place, object);
    return object;
}

void sim_store_remove(struct sim_store *store, struct sim_object *object, struct json *tree,
                      struct arena *arena)
{
    struct sim_object *last = object_new(object->resource, ++store->version, tree, arena);
    struct sim_shelf *shelf = &store->shelves[object->resource - sim_resources];
    size_t place = shelf_place(shelf, object->meta.namespace, object->meta.name);
    sim_require(place < shelf->count && shelf->objects[place] == object);
    shelf_remove(shelf, place);
    add_event(store,
              (struct sim_event){
                  .version = store->version, .before = object, .after = last, .is_deletion = true});
}

const struct sim_event *sim_store_event(const struct sim_store *store, uint64_t version)
{
    sim_require(version > store->compacted && version <= store->version);
    return &store->events[version - store->compacted - 1];
}

struct sim_object **sim_store_at(const struct sim_store *store,
                                 const struct kube_resource *resource, uint64_t version,
                                 struct arena *arena, size_t *ret_count)
{
    const struct sim_shelf *now = sim_store_shelf(store, resource);
    /* Each event that is undone adds one at most. */
    size_t undone = (size_t)(store->version - version);
    struct sim_shelf then = {
        .objects = ARENA_NEW_ARRAY(arena, struct sim_object *, now->count + undone + 1),
        .count = now->count,
        .cap = now->count + undone + 1,
    };
    sim_require(then.objects != NULL);
    if (now->count > 0)
        memcpy(then.objects, now->objects, now->count * sizeof(struct sim_object *));
    for (uint64_t v = store->version; v > version; v--) {
        const struct sim_event *event = sim_store_event(store, v);
        if (event->after->resource->kube != resource)
            continue;
        struct str namespace = event->after->meta.namespace, name = event->after->meta.name;
        size_t place = shelf_place(&then, namespace, name);
        if (shelf_has(&then, place, namespace, name) && event->before)
            then.objects[place] = event->before;
        else if (event->before)
            shelf_insert(&then, place, event->before);
        else
            shelf_remove(&then, place);
    }
    *ret_count = then.count;
    return then.objects;
}

void sim_store_compact(struct sim_store *store, uint64_t version)
{
    if (version > store->version)
        version = store->version;
    if (version <= store->compacted)
        return;
    size_t count = (size_t)(version - store->compacted);
    for (size_t i = 0; i < count; i++)
        event_done(&store->events[i]);
    store->event_count -= count;
    memmove(store->events, store->events + count, store->event_count * sizeof(struct sim_event));
    store->compacted = version;
}
