/* Reading snapshots, and letting go of them. */
#include "extender/snapshot.h"

/* The slot of a name with that hash, from `at` on; that of no name when there is none. */
static size_t likely_slot(const struct node_index *index, uint64_t hash, size_t at)
{
    size_t mask = index->slot_count - 1, i = at & mask;
    while (index->slots[i] != 0 && index->slots[i] >> 32 != hash >> 32)
        i = (i + 1) & mask;
    return i;
}

static const struct snapshot_node *node_at(const struct snapshot *snapshot, size_t slot)
{
    uint32_t place = (uint32_t)snapshot->index->slots[slot];
    return place ? snapshot->nodes[place - 1] : NULL;
}

static const struct snapshot_node *find(const struct snapshot *snapshot, struct str name,
                                        uint64_t hash)
{
    const struct node_index *index = snapshot->index;
    size_t slot = likely_slot(index, hash, hash);
    const struct snapshot_node *node;
    while ((node = node_at(snapshot, slot)) != NULL && !str_eq(node->node.facts->name, name))
        slot = likely_slot(index, hash, slot + 1);
    return node;
}

const struct snapshot_node *snapshot_find(const struct snapshot *snapshot, struct str name)
{
    const struct node_index *index = snapshot->index;
    return index ? find(snapshot, name, hash_text(&index->seed, name)) : NULL;
}

const struct snapshot_node *snapshot_find_hashed(const struct snapshot *snapshot, uint64_t hash)
{
    const struct node_index *index = snapshot->index;
    return index ? node_at(snapshot, likely_slot(index, hash, hash)) : NULL;
}

static void prefetch(const void *at, size_t size)
{
    enum { LINE = 64 };
    for (size_t i = 0; i < size; i += LINE)
        __builtin_prefetch((const char *)at + i);
}

/* Each step needs what the one before has fetched. */
static void fetch(const struct snapshot *snapshot, const uint64_t *hashes, size_t count)
{
    const struct snapshot_node *likely[SNAPSHOT_FIND_MAX];
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        likely[found] = node_at(snapshot, likely_slot(snapshot->index, hashes[i], hashes[i]));
        found += likely[found] != NULL;
    }
    for (size_t i = 0; i < found; i++)
        prefetch(likely[i], offsetof(struct snapshot_node, node.load.device_milli[16]));
    for (size_t i = 0; i < found; i++) {
        prefetch(likely[i]->node.facts, offsetof(struct node_facts, capacity));
        prefetch(likely[i]->pulse, 1);
    }
    for (size_t i = 0; i < found; i++)
        prefetch(likely[i]->node.facts->name.ptr, 1);
}

void snapshot_find_all(const struct snapshot *snapshot, const struct str *names, size_t stride,
                       size_t count, const struct snapshot_node *ret[SNAPSHOT_FIND_MAX])
{
    const struct node_index *index = snapshot->index;
    const char *name = (const char *)names;
    uint64_t hashes[SNAPSHOT_FIND_MAX];
    for (size_t i = 0; i < count; i++) {
        ret[i] = NULL;
        if (!index)
            continue;
        hashes[i] = hash_text(&index->seed, *(const struct str *)(name + i * stride));
        prefetch(&index->slots[hashes[i] & (index->slot_count - 1)], 1);
    }
    if (!index)
        return;
    fetch(snapshot, hashes, count);
    for (size_t i = 0; i < count; i++)
        ret[i] = find(snapshot, *(const struct str *)(name + i * stride), hashes[i]);
}

const struct node *snapshot_node_for(const struct snapshot *snapshot,
                                     const struct snapshot_node *node, struct str uid,
                                     int32_t priority, struct node *to)
{
    const struct doubt_list *doubts = snapshot->doubts;
    if (!doubts)
        return &node->node;
    uint64_t hash = hash_text(&snapshot->index->seed, uid);
    bool differs = false;
    for (unsigned i = 0; i < doubts->count; i++) {
        const struct doubt *doubt = &doubts->doubts[i];
        if (doubt->node != node || (doubt->uid_hash != hash && priority <= doubt->priority))
            continue;
        if (!differs)
            *to = node->node;
        differs = true;
        node_load_remove(&to->load, &doubt->load);
    }
    return differs ? to : &node->node;
}

int64_t snapshot_heartbeat_age_ns(const struct snapshot_node *node, int64_t now_ns)
{
    int64_t seen_ns = atomic_load_explicit(&node->pulse->seen_ns, memory_order_relaxed);
    if (seen_ns == PULSE_NONE)
        return -1;
    return now_ns > seen_ns ? now_ns - seen_ns : 0;
}

static void free_snapshot(struct snapshot *snapshot)
{
    const struct mem *mem = snapshot->mem;
    retired_free_all(mem, &snapshot->retired);
    catalog_unref(snapshot->catalog);
    if (snapshot->doubts)
        mem_free(mem, snapshot->doubts,
                 sizeof(*snapshot->doubts) +
                     snapshot->doubts->count * sizeof(snapshot->doubts->doubts[0]));
    mem_free(mem, snapshot, sizeof(*snapshot) + snapshot->count * sizeof(struct snapshot_node *));
}

void snapshot_unref(struct snapshot *snapshot)
{
    while (snapshot && atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel) == 1) {
        struct snapshot *next = snapshot->next;
        free_snapshot(snapshot);
        snapshot = next;
    }
}

void snapshot_source_init(struct snapshot_source *source)
{
    source->current = NULL;
    pthread_mutex_init(&source->lock, NULL);
}

void snapshot_source_done(struct snapshot_source *source)
{
    snapshot_unref(source->current);
    source->current = NULL;
    pthread_mutex_destroy(&source->lock);
}

struct snapshot *snapshot_get(struct snapshot_source *source)
{
    pthread_mutex_lock(&source->lock);
    struct snapshot *snapshot = source->current;
    if (snapshot)
        atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&source->lock);
    return snapshot;
}

void snapshot_publish(struct snapshot_source *source, struct snapshot *snapshot)
{
    pthread_mutex_lock(&source->lock);
    struct snapshot *before = source->current;
    if (before) {
        atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
        before->next = snapshot;
    }
    source->current = snapshot;
    pthread_mutex_unlock(&source->lock);
    snapshot_unref(before);
}

bool retired_reserve(const struct mem *mem, struct retired_list *list, size_t more)
{
    if (list->room - list->count >= more)
        return true;
    size_t room = 2 * list->room + more + 16;
    struct retired *items = mem_alloc(mem, room * sizeof(*items));
    if (!items)
        return false;
    if (list->count > 0)
        memcpy(items, list->items, list->count * sizeof(*items));
    mem_free(mem, list->items, list->room * sizeof(*items));
    list->items = items;
    list->room = room;
    return true;
}

void retired_add(struct retired_list *list, void *ptr, size_t size)
{
    list->items[list->count++] = (struct retired){ptr, size};
}

void retired_free_all(const struct mem *mem, struct retired_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        mem_free(mem, list->items[i].ptr, list->items[i].size);
    mem_free(mem, list->items, list->room * sizeof(*list->items));
    *list = (struct retired_list){0};
}
