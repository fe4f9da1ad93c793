/* Nodes, loads and reservations, and publishing them. */
#include "extender/census.h"

#include <assert.h>

enum { FIRST_BUCKETS = 64 };

/* A name that was heard of: from a Node, a Lease, or a pod that is bound to it. Readers see its pulse. */
struct slot {
    struct slot *next;
    size_t size;
    struct str name;
    struct pulse pulse;
    int64_t renewed_wall_ns;    /* what the Lease says */
    struct node_facts *facts;   /* NULL: there is no such Node */
    struct snapshot_node *node; /* NULL until there are facts or load */
    uint64_t epoch;             /* of `node`: in which publication it will be for the first time */
    struct slot *next_changed;  /* whose nodes are of this epoch */
    size_t place;               /* in the snapshots, while the index is good */
    struct node_load *audit;    /* during census_audit() */
    bool is_listed, has_lease, is_lease_listed;
};

struct census {
    struct census_config config;
    struct hash_seed seed;
    struct slot **buckets;
    size_t bucket_count;
    size_t slot_count;
    size_t node_count; /* with facts */
    struct reservation *reservations;
    size_t reservation_count;
    struct hold *holds;
    size_t hold_count;
    struct node_index *index;    /* of the last publication */
    struct retired_list retired; /* when nothing is published yet */
    uint64_t epoch;              /* of the next publication */
    struct slot *changed;
    bool is_changed;
    bool is_index_stale;
    bool is_frozen; /* a new catalog waits for a whole list */
    bool is_listing;
};

/* ---- Slots ---- */

static struct slot **slot_place(const struct census *census, struct str name)
{
    struct slot **at =
        &census->buckets[hash_text(&census->seed, name) & (census->bucket_count - 1)];
    while (*at && !str_eq((*at)->name, name))
        at = &(*at)->next;
    return at;
}

static struct slot *find_slot(const struct census *census, struct str name)
{
    return *slot_place(census, name);
}

static bool grow(struct census *census)
{
    struct census old = *census;
    size_t count = old.bucket_count ? 2 * old.bucket_count : FIRST_BUCKETS;
    struct slot **buckets = mem_alloc(census->config.mem, count * sizeof(struct slot *));
    if (!buckets)
        return false;
    memset(buckets, 0, count * sizeof(struct slot *));
    census->buckets = buckets;
    census->bucket_count = count;
    census->is_index_stale = true; /* it is in the order of the buckets */
    for (size_t i = 0; i < old.bucket_count; i++) {
        for (struct slot *slot = old.buckets[i], *next; slot; slot = next) {
            next = slot->next;
            struct slot **at = slot_place(census, slot->name);
            slot->next = NULL;
            *at = slot;
        }
    }
    mem_free(census->config.mem, old.buckets, old.bucket_count * sizeof(struct slot *));
    return true;
}

static struct slot *make_slot(struct census *census, struct str name)
{
    struct slot *slot = find_slot(census, name);
    if (slot)
        return slot;
    if (census->slot_count >= census->bucket_count && !grow(census))
        return NULL;
    size_t size = sizeof(*slot) + name.len;
    slot = mem_alloc(census->config.mem, size);
    if (!slot)
        return NULL;
    *slot = (struct slot){.size = size, .pulse = {PULSE_NONE}};
    memcpy(slot + 1, name.ptr, name.len);
    slot->name = (struct str){(const char *)(slot + 1), name.len};
    *slot_place(census, name) = slot;
    census->slot_count++;
    return slot;
}

/* ---- What readers may still see ---- */

static struct retired_list *retired_of(struct census *census)
{
    struct snapshot *current = census->config.source->current;
    return current ? &current->retired : &census->retired;
}

/* Room for it must have been reserved. */
static void retire(struct census *census, void *ptr, size_t size)
{
    if (ptr)
        retired_add(retired_of(census), ptr, size);
}

static bool reserve_retired(struct census *census, size_t more)
{
    return retired_reserve(census->config.mem, retired_of(census), more);
}

/* The slot's node as one that no reader has seen. */
static struct snapshot_node *own_node(struct census *census, struct slot *slot)
{
    if (slot->node && slot->epoch == census->epoch)
        return slot->node;
    if (!reserve_retired(census, 1))
        return NULL;
    struct snapshot_node *node = mem_alloc(census->config.mem, sizeof(*node));
    if (!node)
        return NULL;
    if (slot->node)
        *node = *slot->node;
    else
        *node = (struct snapshot_node){.pulse = &slot->pulse};
    retire(census, slot->node, sizeof(*node));
    slot->node = node;
    slot->epoch = census->epoch;
    slot->next_changed = census->changed;
    census->changed = slot;
    census->is_changed = true;
    return node;
}

/* ---- Nodes ---- */

static void set_facts(struct census *census, struct slot *slot, struct node_facts *facts)
{
    struct node_facts *before = slot->facts;
    slot->facts = facts;
    slot->node->node.facts = facts;
    if (before)
        retire(census, before, before->size);
    if (!before != !facts) {
        census->node_count += facts ? 1 : (size_t)-1;
        census->is_index_stale = true;
    }
    census->is_changed = true;
}

static int on_node(void *ctx, const struct json *object, const struct kube_meta *meta)
{
    struct census *census = ctx;
    const struct mem *mem = census->config.mem;
    struct slot *slot = make_slot(census, meta->name);
    struct node_facts *facts = node_facts_new(mem, object, meta, census->config.catalog);
    if (slot && facts && slot->facts && node_facts_same(slot->facts, facts)) {
        slot->is_listed = true;
        node_facts_free(mem, facts);
        return 0;
    }
    if (!slot || !facts || !reserve_retired(census, 2) || !own_node(census, slot)) {
        node_facts_free(mem, facts);
        return -1;
    }
    set_facts(census, slot, facts);
    slot->is_listed = true;
    return 0;
}

static void forget_node(struct census *census, struct slot *slot)
{
    /* Without memory the node stays in the snapshot until something else happens to it; its pods cannot run. */
    if (slot->facts && reserve_retired(census, 2) && own_node(census, slot))
        set_facts(census, slot, NULL);
}

static void on_node_gone(void *ctx, const struct json *object, const struct kube_meta *meta)
{
    (void)object;
    struct slot *slot = find_slot(ctx, meta->name);
    if (slot)
        forget_node(ctx, slot);
}

static struct slot *first_from(const struct census *census, size_t *bucket)
{
    while (*bucket < census->bucket_count) {
        struct slot *slot = census->buckets[(*bucket)++];
        if (slot)
            return slot;
    }
    return NULL;
}

static struct slot *next_slot(const struct census *census, size_t *bucket, const struct slot *last)
{
    return last && last->next ? last->next : first_from(census, bucket);
}
#define EACH_SLOT(at, census) \
    size_t at##_bucket = 0;   \
    for (struct slot *at = NULL; (at = next_slot((census), &at##_bucket, at));)

static void begin_nodes(void *ctx)
{
    struct census *census = ctx;
    census->is_listing = true;
    EACH_SLOT (slot, census)
        slot->is_listed = false;
}

static void end_nodes(void *ctx)
{
    struct census *census = ctx;
    EACH_SLOT (slot, census) {
        if (!slot->is_listed)
            forget_node(census, slot);
    }
    census->is_listing = false;
    census->is_frozen = false;
}

struct kube_sink census_node_sink(struct census *census)
{
    return (struct kube_sink){.begin = begin_nodes,
                              .upsert = on_node,
                              .remove = on_node_gone,
                              .end = end_nodes,
                              .ctx = census};
}

/* ---- Heartbeats ---- */

/* Other machines' clocks do not matter: what counts is when a renewal was seen here. Only of the first one
 * that is seen the Lease itself tells the age. */
static void beat(struct census *census, struct slot *slot, int64_t renewed_wall_ns)
{
    const struct clock *clock = census->config.clock;
    int64_t now_ns = clock_now_ns(clock);
    if (slot->has_lease && renewed_wall_ns == slot->renewed_wall_ns)
        return;
    counter_add(census->config.heartbeats, 1);
    int64_t seen_ns = now_ns;
    if (!slot->has_lease && clock_wall_ns(clock) > renewed_wall_ns)
        seen_ns = now_ns - (clock_wall_ns(clock) - renewed_wall_ns);
    slot->renewed_wall_ns = renewed_wall_ns;
    slot->has_lease = true;
    atomic_store_explicit(&slot->pulse.seen_ns, seen_ns, memory_order_relaxed);
}

static int on_lease(void *ctx, const struct json *object, const struct kube_meta *meta)
{
    struct census *census = ctx;
    int64_t renewed_wall_ns;
    struct slot *slot = make_slot(census, meta->name);
    if (!slot)
        return -1;
    slot->is_lease_listed = true;
    if (clock_parse(kube_text_at(object, "spec", "renewTime", NULL), &renewed_wall_ns))
        beat(census, slot, renewed_wall_ns);
    return 0;
}

static void forget_lease(struct slot *slot)
{
    slot->has_lease = false;
    atomic_store_explicit(&slot->pulse.seen_ns, PULSE_NONE, memory_order_relaxed);
}

static void on_lease_gone(void *ctx, const struct json *object, const struct kube_meta *meta)
{
    (void)object;
    struct slot *slot = find_slot(ctx, meta->name);
    if (slot)
        forget_lease(slot);
}

static void begin_leases(void *ctx)
{
    struct census *census = ctx;
    EACH_SLOT (slot, census)
        slot->is_lease_listed = false;
}

static void end_leases(void *ctx)
{
    struct census *census = ctx;
    EACH_SLOT (slot, census) {
        if (!slot->is_lease_listed)
            forget_lease(slot);
    }
}

struct kube_sink census_lease_sink(struct census *census)
{
    return (struct kube_sink){.begin = begin_leases,
                              .upsert = on_lease,
                              .remove = on_lease_gone,
                              .end = end_leases,
                              .ctx = census};
}

/* ---- Loads ---- */

typedef void change_load(struct node_load *load, const struct pod_load *pod);

/* Without memory the count is wrong until the audit, which sees every pod, sets it right. */
static void change_node(struct census *census, struct str name, const struct pod_load *load,
                        change_load *change)
{
    struct slot *slot = make_slot(census, name);
    struct snapshot_node *node = slot ? own_node(census, slot) : NULL;
    if (node)
        change(&node->node.load, load);
}

static void drop_reservation(struct census *census, struct reservation **at)
{
    struct reservation *reservation = *at;
    *at = reservation->next;
    census->reservation_count--;
    change_node(census, reservation->node, &reservation->load, node_load_remove);
    mem_free(census->config.mem, reservation, reservation->size);
}

/* The pod itself counts from now on, or there is nothing more to count. */
static void settle(struct census *census, struct str uid)
{
    for (struct reservation **at = &census->reservations; *at;) {
        if (str_eq((*at)->uid, uid))
            drop_reservation(census, at);
        else
            at = &(*at)->next;
    }
    census_unhold(census, uid);
}

static void recount(struct census *census, const struct cached_pod *old,
                    const struct cached_pod *new)
{
    struct pod_load load;
    if (old && new &&cached_pod_takes_same(old, new)) /* most changes are of its status */
        return;
    if (cached_pod_counts(old)) {
        cached_pod_load(old, census->config.catalog, &load);
        change_node(census, old->node, &load, node_load_remove);
    }
    if (cached_pod_counts(new)) {
        cached_pod_load(new, census->config.catalog, &load);
        change_node(census, new->node, &load, node_load_add);
    }
}

void census_pod_changed(struct census *census, const struct stored *before,
                        const struct stored *after)
{
    const struct cached_pod *old = (const struct cached_pod *)before;
    const struct cached_pod *new = (const struct cached_pod *)after;
    recount(census, old, new);
    if (before && (!after || !str_eq(before->uid, after->uid)))
        settle(census, before->uid);
    if (new && (new->node.len > 0 || new->has_ended))
        settle(census, after->uid);
}

/* ---- Reservations ---- */

static struct str keep(void *owner, size_t *used, struct str text)
{
    char *to = (char *)owner + *used;
    memcpy(to, text.ptr ? text.ptr : "", text.len);
    *used += text.len;
    return (struct str){to, text.len};
}

struct reservation *census_reserve(struct census *census, const struct stored *pod, struct str node,
                                   const struct pod_load *load)
{
    struct slot *slot = find_slot(census, node);
    if (!slot || census->reservation_count == CENSUS_RESERVATIONS_MAX || !own_node(census, slot))
        return NULL;
    size_t size =
        sizeof(struct reservation) + pod->namespace.len + pod->name.len + pod->uid.len + node.len;
    struct reservation *r = mem_alloc(census->config.mem, size);
    if (!r)
        return NULL;
    *r = (struct reservation){
        .next = census->reservations, .size = size, .load = *load, .check_ns = INT64_MAX};
    size_t used = sizeof(*r);
    r->namespace = keep(r, &used, pod->namespace);
    r->name = keep(r, &used, pod->name);
    r->uid = keep(r, &used, pod->uid);
    r->node = keep(r, &used, node);
    census->reservations = r;
    census->reservation_count++;
    change_node(census, node, load, node_load_add);
    return r;
}

struct reservation *census_find_reservation(struct census *census, struct str uid, struct str node)
{
    struct reservation *r = census->reservations;
    while (r && !(str_eq(r->uid, uid) && (!str_is_set(node) || str_eq(r->node, node))))
        r = r->next;
    return r;
}

struct reservation *census_find_doubtful(struct census *census)
{
    int64_t now_ns = clock_now_ns(census->config.clock);
    struct reservation *r = census->reservations;
    while (r && r->check_ns > now_ns)
        r = r->next;
    return r;
}

void census_doubt(struct census *census, struct reservation *reservation, int64_t check_ns)
{
    reservation->check_ns = check_ns;
    census->is_changed = true;
}

void census_release(struct census *census, struct reservation *reservation)
{
    struct reservation **at = &census->reservations;
    while (*at && *at != reservation)
        at = &(*at)->next;
    if (*at)
        drop_reservation(census, at);
}

size_t census_reservations(const struct census *census)
{
    return census->reservation_count;
}

/* ---- Holds ---- */

static struct hold **hold_place(struct census *census, struct str uid)
{
    struct hold **at = &census->holds;
    while (*at && !str_eq((*at)->uid, uid))
        at = &(*at)->next;
    return at;
}

static void drop_hold(struct census *census, struct hold **at)
{
    struct hold *hold = *at;
    *at = hold->next;
    census->hold_count--;
    census->is_changed = true;
    change_node(census, hold->node, &hold->load, node_load_remove);
    mem_free(census->config.mem, hold, hold->size);
}

struct hold *census_hold(struct census *census, struct str uid, int32_t priority, struct str node,
                         const struct pod_load *load, int64_t until_ns)
{
    struct slot *slot = find_slot(census, node);
    census_unhold(census, uid);
    if (!slot || census->hold_count == CENSUS_HOLDS_MAX || !own_node(census, slot))
        return NULL;
    size_t size = sizeof(struct hold) + uid.len + node.len, used = sizeof(struct hold);
    struct hold *hold = mem_alloc(census->config.mem, size);
    if (!hold)
        return NULL;
    *hold = (struct hold){.next = census->holds,
                          .size = size,
                          .priority = priority,
                          .load = *load,
                          .until_ns = until_ns};
    hold->uid = keep(hold, &used, uid);
    hold->node = keep(hold, &used, node);
    census->holds = hold;
    census->hold_count++;
    change_node(census, node, load, node_load_add);
    return hold;
}

const struct hold *census_find_hold(const struct census *census, struct str uid)
{
    const struct hold *hold = census->holds;
    while (hold && !str_eq(hold->uid, uid))
        hold = hold->next;
    return hold;
}

void census_unhold(struct census *census, struct str uid)
{
    struct hold **at = hold_place(census, uid);
    if (*at)
        drop_hold(census, at);
}

size_t census_expire_holds(struct census *census)
{
    int64_t now_ns = clock_now_ns(census->config.clock);
    size_t count = 0;
    for (struct hold **at = &census->holds; *at;) {
        if ((*at)->until_ns > now_ns) {
            at = &(*at)->next;
            continue;
        }
        drop_hold(census, at);
        count++;
    }
    return count;
}

size_t census_holds(const struct census *census)
{
    return census->hold_count;
}

/* ---- Reading ---- */

const struct snapshot_node *census_snapshot_node(const struct census *census, struct str name)
{
    const struct slot *slot = find_slot(census, name);
    return slot && slot->facts ? slot->node : NULL;
}

const struct node *census_node_for(const struct census *census, const struct node *node,
                                   struct str uid, int32_t priority, struct node *to)
{
    *to = *node;
    for (const struct hold *hold = census->holds; hold; hold = hold->next) {
        bool is_free = priority > hold->priority || str_eq(hold->uid, uid);
        if (is_free && str_eq(hold->node, node->facts->name))
            node_load_remove(&to->load, &hold->load);
    }
    return to;
}

const struct node *census_node(const struct census *census, struct str name)
{
    const struct slot *slot = find_slot(census, name);
    return slot && slot->facts ? &slot->node->node : NULL;
}

size_t census_node_count(const struct census *census)
{
    return census->node_count;
}

/* ---- Publishing ---- */

/* Names that nothing is left of, and nothing new is known of. */
static void drop_empty_slots(struct census *census)
{
    for (size_t i = 0; i < census->bucket_count; i++) {
        for (struct slot **at = &census->buckets[i]; *at;) {
            struct slot *slot = *at;
            bool is_used = slot->facts || slot->has_lease ||
                           (slot->node && slot->node->node.load.amounts.of[RESOURCE_INDEX_PODS]);
            if (is_used || slot->epoch == census->epoch || !reserve_retired(census, 2)) {
                at = &slot->next;
                continue;
            }
            *at = slot->next;
            census->slot_count--;
            retire(census, slot->node, sizeof(*slot->node));
            retire(census, slot, slot->size);
        }
    }
}

static struct node_index *new_index(struct census *census, const struct snapshot *snapshot)
{
    size_t slots = FIRST_BUCKETS;
    while (slots < 2 * snapshot->count)
        slots *= 2;
    size_t size = sizeof(struct node_index) + slots * sizeof(uint64_t);
    struct node_index *index = mem_alloc(census->config.mem, size);
    if (!index)
        return NULL;
    memset(index, 0, size);
    index->size = size;
    index->slot_count = slots;
    index->seed = census->seed;
    for (size_t n = 0; n < snapshot->count; n++) {
        const struct snapshot_node *node = snapshot->nodes[n];
        assert(node && node->node.facts);
        uint64_t hash = hash_text(&index->seed, node->node.facts->name);
        size_t i = hash & (slots - 1);
        while (index->slots[i] != 0)
            i = (i + 1) & (slots - 1);
        index->slots[i] = node_index_slot(hash, n);
    }
    return index;
}

/* Most publications are about a few nodes. */
static void fill_snapshot(struct census *census, struct snapshot *snapshot)
{
    const struct snapshot *before = census->config.source->current;
    if (!census->is_index_stale && before) {
        memcpy(snapshot->nodes, before->nodes, before->count * sizeof(struct snapshot_node *));
        snapshot->count = before->count;
        for (const struct slot *slot = census->changed; slot; slot = slot->next_changed) {
            if (slot->facts)
                snapshot->nodes[slot->place] = slot->node;
        }
        return;
    }
    EACH_SLOT (slot, census) {
        if (slot->facts) {
            slot->place = snapshot->count;
            snapshot->nodes[snapshot->count++] = slot->node;
        }
    }
}

static struct snapshot *new_snapshot(struct census *census)
{
    struct snapshot *snapshot =
        mem_alloc(census->config.mem,
                  sizeof(*snapshot) + census->node_count * sizeof(struct snapshot_node *));
    if (!snapshot)
        return NULL;
    *snapshot = (struct snapshot){.refs = 1, .mem = census->config.mem, .number = census->epoch};
    fill_snapshot(census, snapshot);
    assert(snapshot->count == census->node_count);
    snapshot->catalog = catalog_ref(census->config.catalog);
    return snapshot;
}

/* The order of the slots, and so the places in the index, change with the set of names only. */
static bool refresh_index(struct census *census, const struct snapshot *snapshot)
{
    struct node_index *index = new_index(census, snapshot);
    if (!index || !reserve_retired(census, 1)) {
        if (index)
            mem_free(census->config.mem, index, index->size);
        return false;
    }
    if (census->index)
        retire(census, census->index, census->index->size);
    census->index = index;
    census->is_index_stale = false;
    return true;
}

/* Best effort: without memory a pod in doubt waits until it is settled. */
static struct doubt_list *new_doubts(struct census *census, const struct snapshot *snapshot)
{
    unsigned count = 0;
    for (const struct reservation *r = census->reservations; r; r = r->next)
        count += count < DOUBTS_MAX && r->check_ns != INT64_MAX && census_node(census, r->node);
    for (const struct hold *hold = census->holds; hold; hold = hold->next)
        count += census_node(census, hold->node) != NULL;
    if (count == 0)
        return NULL;
    struct doubt_list *list =
        mem_alloc(census->config.mem, sizeof(*list) + count * sizeof(list->doubts[0]));
    if (!list)
        return NULL;
    list->count = 0;
    for (const struct hold *hold = census->holds; hold; hold = hold->next) {
        if (census_node(census, hold->node))
            list->doubts[list->count++] =
                (struct doubt){.uid_hash = hash_text(&snapshot->index->seed, hold->uid),
                               .node = find_slot(census, hold->node)->node,
                               .priority = hold->priority,
                               .load = hold->load};
    }
    for (const struct reservation *r = census->reservations; r && list->count < count;
         r = r->next) {
        if (r->check_ns != INT64_MAX && census_node(census, r->node))
            list->doubts[list->count++] =
                (struct doubt){.uid_hash = hash_text(&snapshot->index->seed, r->uid),
                               .node = find_slot(census, r->node)->node,
                               .priority = INT32_MAX,
                               .load = r->load};
    }
    return list;
}

bool census_publish(struct census *census)
{
    if (!census->is_changed || census->is_frozen || census->is_listing)
        return true;
    if (census->is_index_stale)
        drop_empty_slots(census);
    struct snapshot *snapshot = new_snapshot(census);
    if (!snapshot)
        return false;
    if ((census->is_index_stale || !census->index) && !refresh_index(census, snapshot)) {
        snapshot_unref(snapshot);
        return false;
    }
    snapshot->index = census->index;
    snapshot->doubts = new_doubts(census, snapshot);
    if (!census->config.source->current)
        retired_free_all(census->config.mem, &census->retired);
    snapshot_publish(census->config.source, snapshot);
    census->epoch++;
    census->changed = NULL;
    census->is_changed = false;
    return true;
}

/* ---- Audit ---- */

static void add_to_audit(struct census *census, struct str name, const struct pod_load *load)
{
    struct slot *slot = find_slot(census, name);
    if (slot)
        node_load_add(slot->audit, load);
}

static bool same_load(const struct node_load *a, const struct node_load *b)
{
    return memcmp(&a->amounts, &b->amounts, sizeof(a->amounts)) == 0 && a->jobs == b->jobs &&
           a->stray == b->stray && mig_same(&a->mig, &b->mig) &&
           memcmp(a->device_milli, b->device_milli, sizeof(a->device_milli)) == 0;
}

static void add_all(struct census *census, const struct store *pods)
{
    struct pod_load load;
    size_t from = 0;
    for (const struct stored *s = NULL; (s = store_each(pods, &from, s));) {
        const struct cached_pod *pod = (const struct cached_pod *)s;
        if (!cached_pod_counts(pod))
            continue;
        cached_pod_load(pod, census->config.catalog, &load);
        add_to_audit(census, pod->node, &load);
    }
    for (const struct reservation *r = census->reservations; r; r = r->next)
        add_to_audit(census, r->node, &r->load);
}

/* Devices are held while those who have them still end: that gives out nothing. */
static void add_holds(struct census *census)
{
    for (const struct hold *hold = census->holds; hold; hold = hold->next)
        add_to_audit(census, hold->node, &hold->load);
}

static void count_overcommitted(const struct slot *slot, struct census_audit *ret)
{
    for (unsigned i = 0; i < NODE_DEVICES_MAX; i++)
        ret->overcommitted += slot->audit->device_milli[i] > NODE_DEVICE_MILLI;
}

static void look_at(struct census *census, struct slot *slot, bool repair, struct census_audit *ret)
{
    static const struct node_load none;
    const struct node_load *load = slot->node ? &slot->node->node.load : &none;
    bool is_same = same_load(load, slot->audit);
    ret->drifted += !is_same;
    ret->nodes += slot->facts != NULL;
    ret->stray += slot->facts && node_has_stray(&(const struct node){slot->facts, *slot->audit});
    if (!is_same && repair && own_node(census, slot))
        slot->node->node.load = *slot->audit;
}

bool census_audit(struct census *census, const struct store *pods, bool repair,
                  struct census_audit *ret)
{
    const struct mem *mem = census->config.mem;
    size_t size = (census->slot_count + 1) * sizeof(struct node_load), i = 0;
    struct node_load *loads = mem_alloc(mem, size);
    if (!loads)
        return false;
    memset(loads, 0, size);
    EACH_SLOT (slot, census)
        slot->audit = &loads[i++];
    *ret = (struct census_audit){0};
    add_all(census, pods);
    EACH_SLOT (given_out, census)
        count_overcommitted(given_out, ret);
    add_holds(census);
    EACH_SLOT (counted, census)
        look_at(census, counted, repair, ret);
    mem_free(mem, loads, size);
    return true;
}

void census_set_catalog(struct census *census, struct catalog *catalog, const struct store *pods)
{
    struct census_audit audit;
    catalog_ref(catalog);
    catalog_unref(census->config.catalog);
    census->config.catalog = catalog;
    census->is_frozen = true;
    census->is_changed = true;
    /* Without memory the next audit does it. */
    census_audit(census, pods, true, &audit);
}

/* ---- Making ---- */

struct census *census_new(const struct census_config *config, struct err *err)
{
    struct census *census = mem_alloc(config->mem, sizeof(*census));
    if (census) {
        *census = (struct census){.config = *config,
                                  .seed = hash_seed_from(config->random),
                                  .epoch = 1,
                                  .is_changed = true};
        if (grow(census)) {
            catalog_ref(config->catalog);
            return census;
        }
        mem_free(config->mem, census, sizeof(*census));
    }
    err_no_memory(err, "setting up the cache of nodes");
    return NULL;
}

static void free_slot(const struct mem *mem, struct slot *slot)
{
    node_facts_free(mem, slot->facts);
    mem_free(mem, slot->node, sizeof(*slot->node));
    mem_free(mem, slot, slot->size);
}

void census_free(struct census *census)
{
    if (!census)
        return;
    const struct mem *mem = census->config.mem;
    struct snapshot_source *source = census->config.source;
    snapshot_unref(source->current);
    source->current = NULL;
    for (size_t i = 0; i < census->bucket_count; i++) {
        for (struct slot *slot = census->buckets[i], *next; slot; slot = next) {
            next = slot->next;
            free_slot(mem, slot);
        }
    }
    for (struct reservation *r = census->reservations, *next; r; r = next) {
        next = r->next;
        mem_free(mem, r, r->size);
    }
    for (struct hold *hold = census->holds, *next; hold; hold = next) {
        next = hold->next;
        mem_free(mem, hold, hold->size);
    }
    if (census->index)
        mem_free(mem, census->index, census->index->size);
    retired_free_all(mem, &census->retired);
    mem_free(mem, census->buckets, census->bucket_count * sizeof(struct slot *));
    catalog_unref(census->config.catalog);
    mem_free(mem, census, sizeof(*census));
}
