/*
 * All nodes at one moment, for any number of readers. A snapshot never changes: the one writer
 * (extender/census.h) publishes a new one, and readers keep the one that they took.
 *
 *   older ──holds──▶ newer ──holds──▶ current ◀── the writer, and readers that come now
 *     │                │
 *     └ replaced ▶ ●●  └ replaced ▶ ●     what the next one no longer has
 *
 * What a snapshot's successor replaced is freed with the snapshot; and because each holds its successor, it
 * goes only when all older ones have gone. So no reader counts references but that of its snapshot.
 */
#ifndef EXTENDER_SNAPSHOT_H
#define EXTENDER_SNAPSHOT_H

#include "base/hash.h"
#include "extender/filter.h"

#include <pthread.h>
#include <stdatomic.h>

/* When a node's Lease was last renewed, as seen by this process; the only thing that changes under readers. */
struct pulse {
    _Atomic int64_t seen_ns; /* monotonic; PULSE_NONE: it has no Lease */
};
#define PULSE_NONE INT64_MIN

struct snapshot_node {
    const struct pulse *pulse;
    struct node node;
};

/* Something to be freed later. */
struct retired {
    void *ptr;
    size_t size;
};

struct retired_list {
    struct retired *items;
    size_t count;
    size_t room;
};

/* Nodes by name: in each slot the place in `nodes`, plus one, and above it the upper half of the name's hash, so
 * that other names are passed over without a look at their nodes; 0 is free. */
struct node_index {
    size_t size;       /* bytes of the allocation */
    size_t slot_count; /* a power of two */
    struct hash_seed seed;
    uint64_t slots[];
};

static inline uint64_t node_index_slot(uint64_t hash, size_t place)
{
    return (hash & ~(uint64_t)UINT32_MAX) | (place + 1);
}

/* Devices that are kept for a pod of which it is not known whether it was bound, or for which others are ended:
 * for it they are free. */
struct doubt {
    uint64_t uid_hash; /* by the index's seed */
    int32_t priority;  /* for pods above it too */
    const struct snapshot_node *node;
    struct pod_load load;
};

enum {
    DOUBTS_MAX = 32
}; /* those beyond are taken for their own pods too, until they are settled */

struct doubt_list {
    unsigned count;
    struct doubt doubts[];
};

struct snapshot {
    atomic_size_t refs;
    uint64_t number; /* from 1; each has the next one */
    const struct mem *mem;
    struct snapshot *next;
    struct retired_list retired; /* the writer's until there is a next one */
    struct catalog *catalog;     /* what the bits of environments mean */
    const struct node_index *index;
    struct doubt_list *doubts; /* NULL: none */
    size_t count;
    const struct snapshot_node *nodes[];
};

/* NULL when there is none of that name. */
const struct snapshot_node *snapshot_find(const struct snapshot *snapshot, struct str name);
/* The same by the hash of its name by the index's seed, which all snapshots of a process share. The index has half of
 * the hash: once in billions of names it is another node. */
const struct snapshot_node *snapshot_find_hashed(const struct snapshot *snapshot, uint64_t hash);
/* The same of many names, one every `stride` bytes. What one of them waits for from memory is fetched meanwhile for
 * the others, so that this and the first look at what is found cost less than a third. */
enum { SNAPSHOT_FIND_MAX = 32 };
void snapshot_find_all(const struct snapshot *snapshot, const struct str *names, size_t stride,
                       size_t count, const struct snapshot_node *ret[SNAPSHOT_FIND_MAX]);
/* The node as the pod sees it: `to` is filled when that differs from what all see. */
const struct node *snapshot_node_for(const struct snapshot *snapshot,
                                     const struct snapshot_node *node, struct str uid,
                                     int32_t priority, struct node *to);
/* -1: it has no Lease. */
int64_t snapshot_heartbeat_age_ns(const struct snapshot_node *node, int64_t now_ns);
/* Accepts NULL. */
void snapshot_unref(struct snapshot *snapshot);

/* The place where the writer leaves the current one. */
struct snapshot_source {
    pthread_mutex_t lock;
    struct snapshot *current; /* NULL until there is one */
};

void snapshot_source_init(struct snapshot_source *source);
/* After all readers. */
void snapshot_source_done(struct snapshot_source *source);
/* With a reference of the caller's; NULL when there is none. Any thread. */
struct snapshot *snapshot_get(struct snapshot_source *source);
/* For the writer: its one reference moves here, and the one before becomes older. */
void snapshot_publish(struct snapshot_source *source, struct snapshot *snapshot);

/* For the writer, before anything is replaced: makes sure that `more` can be retired. False without memory. */
bool retired_reserve(const struct mem *mem, struct retired_list *list, size_t more);
void retired_add(struct retired_list *list, void *ptr, size_t size);
void retired_free_all(const struct mem *mem, struct retired_list *list);

#endif
