/* Reading snapshots, and letting go of them. */
#include "extender/snapshot.h"

const struct snapshot_node *snapshot_find(const struct snapshot *snapshot, struct str name)
{
    const struct node_index *index = snapshot->index;
    if (!index)
        return NULL;
    size_t mask = index->slot_count - 1;
    for (size_t i = hash_text(&index->seed, name) & mask; index->slots[i] != 0;
         i = (i + 1) & mask) {
        const struct snapshot_node *node = snapshot->nodes[index->slots[i] - 1];
        if (str_eq(node->node.facts->name, name))
            return node;
    }
    return NULL;
}

const struct node *snapshot_node_for(const struct snapshot *snapshot,
                                     const struct snapshot_node *node, struct str uid,
                                     struct node *to)
{
    const struct doubt_list *doubts = snapshot->doubts;
    if (!doubts)
        return &node->node;
    uint64_t hash = hash_text(&snapshot->index->seed, uid);
    for (unsigned i = 0; i < doubts->count; i++) {
        const struct doubt *doubt = &doubts->doubts[i];
        if (doubt->uid_hash != hash || doubt->node != node)
            continue;
        *to = node->node;
        node_load_remove(&to->load, &doubt->load);
        return to;
    }
    return &node->node;
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
