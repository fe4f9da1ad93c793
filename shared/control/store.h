/*
 * A cache of projected objects of one kind: by namespace and name, and by the UID of the controller that
 * owns them. It is a reflector's sink: a projection is made of each object's tree, and what changed is
 * told to the work queue.
 *
 * A projection is one allocation that begins with a `struct stored`; only the fields that are used are in
 * it, with their texts behind it:
 *
 *   ┌───────────────┬──────────────────┬───────────────────────────────────┬──────┐
 *   │ struct stored │ the kind's own   │ namespace, name, uid, owner, texts│ room │
 *   └───────────────┴──────────────────┴───────────────────────────────────┴──────┘
 *    ◀────── object_size of store_new_object() ──▶◀── used ──────────────▶
 *
 * What store_get() and the like give is valid until the reflector gives the next object, that is, within
 * one turn of the event loop. An object that is not newer than the one that is stored is passed over,
 * unless a list is being taken in: a list is the truth, also after a restore of etcd has put the
 * versions back.
 */
#ifndef CONTROL_STORE_H
#define CONTROL_STORE_H

#include "kube/reflector.h"

struct stored {
    struct stored *next_by_key; /* hash chains; the store's own */
    struct stored *next_by_owner;
    struct stored **link_by_owner; /* what points here in the chain of the owner */
    uint32_t size;                 /* bytes of the whole allocation */
    uint32_t used;                 /* of them, with texts */
    bool is_marked;                /* seen in the list that is being taken in */
    bool is_deleting;
    int64_t generation;
    uint64_t version;
    struct str namespace; /* absent for what is in none */
    struct str name;
    struct str uid;
    struct str owner_uid; /* of the controller reference, or absent */
    struct str owner_name;
};

struct store_type {
    const struct kube_resource *resource;
    /* Makes the projection by store_new_object() and fills what is the kind's. NULL without memory. */
    struct stored *(*project)(const struct mem *mem, const struct json *object,
                              const struct kube_meta *meta);
};

/* For project(): `object_size` bytes (of the kind's struct, whose first member is the `struct stored`),
 * zeroed, and `text_size` bytes of room behind them. The `struct stored` is filled from *meta; its texts
 * have room of their own. NULL without memory. */
struct stored *store_new_object(const struct mem *mem, const struct kube_meta *meta,
                                size_t object_size, size_t text_size);
/* A copy of `text` in the room of the object; absent stays absent. All copies together must not need
 * more than `text_size`. */
struct str store_keep_text(struct stored *object, struct str text);
/* For a project() that gives up, and for tests. Accepts NULL. */
void store_free_object(const struct mem *mem, struct stored *object);

struct store;

struct store_config {
    const struct store_type *type;
    const struct mem *mem;
    const struct random *random; /* seeds the hash tables */
    /* An object came (`before` NULL), changed or went (`after` NULL); both are valid in the call, and
     * the store shows what is after it. Must not change the store. */
    void (*on_change)(void *ctx, const struct stored *before, const struct stored *after);
    void *ctx;
};

struct store *store_new(const struct store_config *config, struct err *err);
/* Tells nobody. Accepts NULL. */
void store_free(struct store *store);
/* For kube_reflector_config.sink. */
struct kube_sink store_sink(struct store *store);

/* `namespace` is absent for what is in none. */
const struct stored *store_get(const struct store *store, struct str namespace, struct str name);
/* The first object owned by `uid`; the next of the same owner. */
const struct stored *store_first_owned(const struct store *store, struct str uid);
const struct stored *store_next_owned(const struct stored *stored);
size_t store_count(const struct store *store);
/* What the objects and the tables take. */
size_t store_bytes(const struct store *store);
/* All objects in no particular order; `from` starts at 0 and is the iterator's, `last` is what the call
 * before gave, NULL at first. */
const struct stored *store_each(const struct store *store, size_t *from, const struct stored *last);

#endif
