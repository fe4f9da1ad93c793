/*
 * What etcd and the watch cache are to an API server: objects by resource, namespace and name, one
 * resourceVersion that rises with every write, and the history of all writes back to the last
 * compaction.
 *
 * An object here is one version of one object: immutable, counted by its users.
 */
#ifndef UNIT_SIM_STORE_H
#define UNIT_SIM_STORE_H

#include "kube/object.h"
#include "kube/resource.h"

/* How the API server treats a resource (kubernetes pkg/registry, pkg/apis/…/strategy.go). */
struct sim_resource {
    const struct kube_resource *kube;
    bool is_custom;      /* of a CustomResourceDefinition */
    bool has_status;     /* a status subresource */
    bool has_generation; /* metadata.generation counts changes of what is not status */
    bool needs_version;  /* an update must name the resourceVersion that it is based on */
    bool gives_deleted;  /* DELETE is answered by the object, not by a Status */
};

enum { SIM_RESOURCES = 13 };
extern const struct sim_resource sim_resources[SIM_RESOURCES];
extern const struct kube_resource kube_namespaces;

/* Its index in sim_resources. */
size_t sim_resource_index(const struct kube_resource *resource);

struct sim_object {
    unsigned refs;
    const struct sim_resource *resource;
    uint64_t version;
    const struct json *tree;
    struct kube_meta meta;
    struct str text; /* the tree, written */
    struct arena arena;
};

struct sim_object *sim_object_ref(struct sim_object *object);
/* Accepts NULL. */
void sim_object_unref(struct sim_object *object);

struct sim_event {
    uint64_t version;
    struct sim_object *before; /* NULL: it was created */
    struct sim_object *after;  /* of a deletion: the last state, with the deletion's version */
    bool is_deletion;
};

struct sim_shelf { /* the objects of one resource, by namespace and name */
    struct sim_object **objects;
    size_t count;
    size_t cap;
};

struct sim_store {
    struct sim_shelf shelves[SIM_RESOURCES];
    struct sim_event *events; /* oldest first, of consecutive versions */
    size_t event_count;
    size_t event_cap;
    uint64_t version;   /* of the last write */
    uint64_t compacted; /* events up to this version are forgotten */
};

void sim_store_init(struct sim_store *store);
void sim_store_done(struct sim_store *store);

struct sim_object *sim_store_get(const struct sim_store *store,
                                 const struct kube_resource *resource, struct str namespace,
                                 struct str name);
const struct sim_shelf *sim_store_shelf(const struct sim_store *store,
                                        const struct kube_resource *resource);

/* Stores `tree`, whose resourceVersion is set here, in place of `before` (NULL: a new object). The
 * result stays the store's. */
struct sim_object *sim_store_put(struct sim_store *store, const struct sim_resource *resource,
                                 struct sim_object *before, struct json *tree, struct arena *arena);
/* The last event tells of it. `tree` is the state that watchers see at last. */
void sim_store_remove(struct sim_store *store, struct sim_object *object, struct json *tree,
                      struct arena *arena);

/* The event of that version, which must not be compacted. */
const struct sim_event *sim_store_event(const struct sim_store *store, uint64_t version);

/* The objects of a resource as they were at a version that is not compacted, in order, in the arena; valid
 * until the next write or compaction. */
struct sim_object **sim_store_at(const struct sim_store *store,
                                 const struct kube_resource *resource, uint64_t version,
                                 struct arena *arena, size_t *ret_count);

/* Forgets the events up to `version`. */
void sim_store_compact(struct sim_store *store, uint64_t version);

#endif
