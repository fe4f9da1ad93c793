/*
 * A cache of projected objects of one kind: by namespace and name, and by the UID of the controller that
 * owns them. It is a reflector's sink: a projection is made of each object's tree, and what changed is
 * told to the work queue.
 *
 * A projection is one allocation that begins with a `struct stored`; only the fields that are used are in
 * it, with their texts behind it.
 */
#ifndef CONTROL_STORE_H
#define CONTROL_STORE_H

#include "kube/reflector.h"

struct stored {
    struct stored *next_by_key; /* hash chains */
    struct stored *next_by_owner;
    uint32_t size;  /* bytes of the whole allocation */
    bool is_marked; /* seen in the list that is being taken in */
    bool is_deleting;
    int64_t generation;
    uint64_t version;
    struct str namespace;
    struct str name;
    struct str uid;
    struct str owner_uid; /* of the controller reference, or absent */
    struct str owner_name;
};

struct store_type {
    const struct kube_resource *resource;
    /* Makes the projection: allocates `store_new_object()` with room for the kind's struct and texts.
     * NULL without memory. */
    struct stored *(*project)(const struct mem *mem, const struct json *object,
                              const struct kube_meta *meta);
};

struct store;

struct store_config {
    const struct store_type *type;
    const struct mem *mem;
    /* An object came (`before` NULL), changed or went (`after` NULL); both are valid in the call. */
    void (*on_change)(void *ctx, const struct stored *before, const struct stored *after);
    void *ctx;
};

struct store *store_new(const struct store_config *config, struct err *err);
void store_free(struct store *store);
/* For kube_reflector_config.sink. */
struct kube_sink store_sink(struct store *store);

const struct stored *store_get(const struct store *store, struct str namespace, struct str name);
/* The first object owned by `uid`; the next of the same owner. */
const struct stored *store_first_owned(const struct store *store, struct str uid);
const struct stored *store_next_owned(const struct stored *stored);
size_t store_count(const struct store *store);
size_t store_bytes(const struct store *store);
/* All objects in no particular order; `from` starts at 0 and is the iterator's. */
const struct stored *store_each(const struct store *store, size_t *from, const struct stored *last);

#endif
