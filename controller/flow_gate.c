/* Who may start. */
#include "controller/flow_gate.h"

enum { BUCKETS_MIN = 64 };

struct gate_list {
    struct flow_live *head, *tail;
};

/* The flows of a namespace that name the same group. It goes with its last member. */
struct gate_group {
    struct gate_group *next_by_key;
    struct flow_live *members;
    struct gate_list waiting; /* BLOCKED ones */
    size_t active;            /* GRANTED and ACTIVE ones */
    bool has_candidate;       /* one whose policy is not Allow is QUEUED */
    struct str namespace, name;
    size_t size;
};

struct flow_gate {
    struct flow_gate_config config;
    struct hash_seed seed;
    struct flow_live **lives; /* hash table; as many chains as `buckets` */
    struct gate_group **groups;
    size_t buckets;
    size_t live_count;
    uint64_t last_number;
    size_t active;
    struct gate_list queues[FLOW_PRIORITY_COUNT];
    size_t waiting[FLOW_PRIORITY_COUNT];
    int turn;              /* the priority that comes next */
    int64_t last_start_ns; /* of those whom another process let go */
};

/* ---- Tables ---- */

static size_t bucket_of(const struct flow_gate *gate, struct str namespace, struct str name)
{
    return hash_pair(&gate->seed, namespace, name) & (gate->buckets - 1);
}

static void *new_table(const struct mem *mem, size_t buckets)
{
    void *table = mem_alloc(mem, buckets * sizeof(void *));
    if (table)
        memset(table, 0, buckets * sizeof(void *));
    return table;
}

static void add_live(struct flow_gate *gate, struct flow_live *live)
{
    struct flow_live **at = &gate->lives[bucket_of(gate, live->key.namespace, live->key.name)];
    live->next_by_key = *at;
    *at = live;
}

static void add_group(struct flow_gate *gate, struct gate_group *group)
{
    struct gate_group **at = &gate->groups[bucket_of(gate, group->namespace, group->name)];
    group->next_by_key = *at;
    *at = group;
}

/* Without memory the chains stay long. */
static void grow(struct flow_gate *gate)
{
    size_t before = gate->buckets, size = before * sizeof(void *);
    struct flow_live **lives = gate->lives;
    struct gate_group **groups = gate->groups;
    void *new_lives = new_table(gate->config.mem, 2 * before);
    void *new_groups = new_table(gate->config.mem, 2 * before);
    if (!new_lives || !new_groups) {
        mem_free(gate->config.mem, new_lives, 2 * size);
        mem_free(gate->config.mem, new_groups, 2 * size);
        return;
    }
    gate->lives = new_lives;
    gate->groups = new_groups;
    gate->buckets = 2 * before;
    for (size_t i = 0; i < before; i++) {
        for (struct flow_live *live = lives[i], *next; live; live = next) {
            next = live->next_by_key;
            add_live(gate, live);
        }
        for (struct gate_group *group = groups[i], *next; group; group = next) {
            next = group->next_by_key;
            add_group(gate, group);
        }
    }
    mem_free(gate->config.mem, lives, size);
    mem_free(gate->config.mem, groups, size);
}

struct flow_live *flow_gate_find(const struct flow_gate *gate, struct queue_key key)
{
    struct flow_live *live = gate->lives[bucket_of(gate, key.namespace, key.name)];
    while (live &&
           !(str_eq(live->key.name, key.name) && str_eq(live->key.namespace, key.namespace)))
        live = live->next_by_key;
    return live;
}

static struct gate_group *get_group(struct flow_gate *gate, struct str namespace, struct str name)
{
    struct gate_group *group = gate->groups[bucket_of(gate, namespace, name)];
    while (group && !(str_eq(group->name, name) && str_eq(group->namespace, namespace)))
        group = group->next_by_key;
    if (group)
        return group;
    size_t size = sizeof(*group) + namespace.len + name.len;
    group = mem_alloc(gate->config.mem, size);
    if (!group)
        return NULL;
    *group = (struct gate_group){.size = size};
    char *text = (char *)(group + 1);
    group->namespace = str_put(&text, namespace);
    group->name = str_put(&text, name);
    add_group(gate, group);
    return group;
}

static void free_group(struct flow_gate *gate, struct gate_group *group)
{
    struct gate_group **at = &gate->groups[bucket_of(gate, group->namespace, group->name)];
    while (*at != group)
        at = &(*at)->next_by_key;
    *at = group->next_by_key;
    mem_free(gate->config.mem, group, group->size);
}

/* ---- Lists, in the order of creation ---- */

static bool is_before(const struct flow_live *a, const struct flow_live *b)
{
    if (a->created_ns != b->created_ns)
        return a->created_ns < b->created_ns;
    return a->number < b->number;
}

static void list_add(struct gate_list *list, struct flow_live *live)
{
    struct flow_live *after = list->tail;
    while (after && is_before(live, after))
        after = after->prev;
    live->prev = after;
    live->next = after ? after->next : list->head;
    *(live->next ? &live->next->prev : &list->tail) = live;
    *(after ? &after->next : &list->head) = live;
}

static void list_remove(struct gate_list *list, struct flow_live *live)
{
    *(live->prev ? &live->prev->next : &list->head) = live->next;
    *(live->next ? &live->next->prev : &list->tail) = live->prev;
    live->prev = live->next = NULL;
}

/* ---- States ---- */

static bool counts(enum gate_state state)
{
    return state == GATE_GRANTED || state == GATE_ACTIVE;
}

static bool waits(enum gate_state state)
{
    return state == GATE_BLOCKED || state == GATE_QUEUED;
}

static void set_state(struct flow_gate *gate, struct flow_live *live, enum gate_state state)
{
    struct gate_group *group = live->group;
    enum gate_state before = live->state;
    if (before == GATE_BLOCKED)
        list_remove(&group->waiting, live);
    if (before == GATE_QUEUED) {
        list_remove(&gate->queues[live->priority], live);
        group->has_candidate = group->has_candidate && live->concurrency == FLOW_ALLOW;
    }
    group->active = group->active - counts(before) + counts(state);
    gate->active = gate->active - counts(before) + counts(state);
    size_t *waiting = &gate->waiting[live->priority];
    *waiting = *waiting - waits(before) + waits(state);
    live->state = state;
    if (state == GATE_BLOCKED)
        list_add(&group->waiting, live);
    if (state == GATE_QUEUED) {
        list_add(&gate->queues[live->priority], live);
        group->has_candidate = group->has_candidate || live->concurrency != FLOW_ALLOW;
    }
}

/* The next of the group gets into its queue when nothing is in its way. */
static void advance(struct flow_gate *gate, struct gate_group *group)
{
    struct flow_live *next = group->waiting.head;
    if (!next || group->active > 0 || group->has_candidate)
        return;
    set_state(gate, next, GATE_QUEUED);
    gate->config.wake(gate->config.ctx, next->key);
}

static void wake_queues(struct flow_gate *gate)
{
    for (int i = 0; i < FLOW_PRIORITY_COUNT; i++) {
        if (gate->queues[i].head)
            gate->config.wake(gate->config.ctx, gate->queues[i].head->key);
    }
}

/* Those of its group make room for it. */
static void announce(struct flow_gate *gate, const struct flow_live *live)
{
    for (struct flow_live *m = live->group->members; m; m = m->next_member) {
        if (m->state == GATE_ACTIVE)
            gate->config.wake(gate->config.ctx, m->key);
    }
}

static void enter(struct flow_gate *gate, struct flow_live *live)
{
    if (live->concurrency == FLOW_ALLOW) {
        set_state(gate, live, GATE_QUEUED);
        return;
    }
    set_state(gate, live, GATE_BLOCKED);
    if (live->concurrency == FLOW_REPLACE)
        announce(gate, live);
    advance(gate, live->group);
}

static void leave(struct flow_gate *gate, struct flow_live *live)
{
    bool made_room = counts(live->state);
    set_state(gate, live, GATE_OUT);
    advance(gate, live->group);
    if (made_room)
        wake_queues(gate);
}

/* ---- Flows ---- */

static int next_of(int priority)
{
    return (priority + 1) % FLOW_PRIORITY_COUNT;
}

static void join(struct flow_live *live, struct gate_group *group)
{
    live->group = group;
    live->prev_member = NULL;
    live->next_member = group->members;
    if (group->members)
        group->members->prev_member = live;
    group->members = live;
}

static void part(struct flow_gate *gate, struct flow_live *live)
{
    struct gate_group *group = live->group;
    *(live->prev_member ? &live->prev_member->next_member : &group->members) = live->next_member;
    if (live->next_member)
        live->next_member->prev_member = live->prev_member;
    if (!group->members)
        free_group(gate, group);
}

static struct flow_live *new_live(struct flow_gate *gate, const struct gate_facts *facts,
                                  struct gate_group *group)
{
    size_t size =
        sizeof(struct flow_live) + facts->key.namespace.len + facts->key.name.len + facts->uid.len;
    struct flow_live *live = mem_alloc(gate->config.mem, size);
    if (!live)
        return NULL;
    *live = (struct flow_live){
        .size = size, .created_ns = facts->created_ns, .number = ++gate->last_number};
    char *text = (char *)(live + 1);
    live->key.namespace = str_put(&text, facts->key.namespace);
    live->key.name = str_put(&text, facts->key.name);
    live->uid = str_put(&text, facts->uid);
    live->concurrency = facts->concurrency;
    live->priority = facts->priority;
    join(live, group);
    if (++gate->live_count > 2 * gate->buckets)
        grow(gate);
    add_live(gate, live);
    return live;
}

static void free_live(struct flow_gate *gate, struct flow_live *live)
{
    struct flow_live **at = &gate->lives[bucket_of(gate, live->key.namespace, live->key.name)];
    while (*at != live)
        at = &(*at)->next_by_key;
    *at = live->next_by_key;
    gate->live_count--;
    if (live->run)
        gate->config.drop_run(gate->config.ctx, live->run);
    part(gate, live);
    mem_free(gate->config.mem, live, live->size);
}

/* Whom this gate has not let go has had its turn all the same. */
static void follow(struct flow_gate *gate, const struct flow_live *live,
                   const struct gate_facts *facts)
{
    if (facts->start_ns <= gate->last_start_ns || (live && counts(live->state)))
        return;
    gate->last_start_ns = facts->start_ns;
    gate->turn = next_of(facts->priority);
}

static bool is_as(const struct flow_live *live, const struct gate_facts *facts)
{
    return str_eq(live->uid, facts->uid) && str_eq(live->group->name, facts->group) &&
           live->concurrency == facts->concurrency && live->priority == facts->priority;
}

static void forget(struct flow_gate *gate, struct flow_live *live)
{
    leave(gate, live);
    free_live(gate, live);
}

struct flow_live *flow_gate_see(struct flow_gate *gate, const struct gate_facts *facts)
{
    struct flow_live *live = flow_gate_find(gate, facts->key);
    /* Another object of that name, or one that was changed before its start. */
    if (live && !is_as(live, facts)) {
        forget(gate, live);
        live = NULL;
    }
    if (!live) {
        struct gate_group *group = get_group(gate, facts->key.namespace, facts->group);
        live = group ? new_live(gate, facts, group) : NULL;
        if (!live) {
            if (group && !group->members)
                free_group(gate, group);
            return NULL;
        }
    }
    follow(gate, live, facts);
    if (facts->start_ns > 0)
        set_state(gate, live, GATE_ACTIVE);
    else if (facts->is_out && live->state != GATE_OUT)
        leave(gate, live);
    else if (!facts->is_out && (live->state == GATE_OUT || live->state == GATE_ACTIVE))
        enter(gate, live);
    return live;
}

void flow_gate_forget(struct flow_gate *gate, const struct gate_facts *facts)
{
    struct flow_live *live = flow_gate_find(gate, facts->key);
    follow(gate, live, facts);
    if (live)
        forget(gate, live);
}

/* ---- Turns ---- */

static bool has_room(const struct flow_gate *gate)
{
    return gate->config.max_active == 0 || gate->active < (size_t)gate->config.max_active;
}

/* The first of a queue that may start; one whose group has become active since goes back to wait for it. */
static struct flow_live *first_of(struct flow_gate *gate, int priority)
{
    struct flow_live *live;
    while ((live = gate->queues[priority].head)) {
        if (live->concurrency == FLOW_ALLOW || live->group->active == 0)
            return live;
        set_state(gate, live, GATE_BLOCKED);
        if (live->concurrency == FLOW_REPLACE)
            announce(gate, live);
    }
    return NULL;
}

static struct flow_live *next_in_turn(struct flow_gate *gate)
{
    for (int i = 0; i < FLOW_PRIORITY_COUNT; i++) {
        int priority = (gate->turn + i) % FLOW_PRIORITY_COUNT;
        struct flow_live *live = first_of(gate, priority);
        if (live) {
            gate->turn = next_of(priority);
            return live;
        }
    }
    return NULL;
}

bool flow_gate_ask(struct flow_gate *gate, const struct flow_live *live)
{
    struct flow_live *next;
    while (has_room(gate) && (next = next_in_turn(gate))) {
        set_state(gate, next, GATE_GRANTED);
        if (next != live)
            gate->config.wake(gate->config.ctx, next->key);
    }
    return counts(live->state);
}

bool flow_gate_is_replaced(const struct flow_live *live)
{
    for (const struct flow_live *w = live->group->waiting.head; w; w = w->next) {
        if (w->concurrency == FLOW_REPLACE && is_before(live, w))
            return true;
    }
    return false;
}

size_t flow_gate_active(const struct flow_gate *gate)
{
    return gate->active;
}

size_t flow_gate_waiting(const struct flow_gate *gate, enum flow_priority priority)
{
    return gate->waiting[priority];
}

/* ---- The gate ---- */

struct flow_gate *flow_gate_new(const struct flow_gate_config *config, struct err *err)
{
    struct flow_gate *gate = mem_alloc(config->mem, sizeof(*gate));
    if (!gate) {
        err_no_memory(err, "the gate of flows");
        return NULL;
    }
    *gate = (struct flow_gate){.config = *config, .buckets = BUCKETS_MIN};
    gate->seed = hash_seed_from(config->random);
    gate->lives = new_table(config->mem, BUCKETS_MIN);
    gate->groups = new_table(config->mem, BUCKETS_MIN);
    if (!gate->lives || !gate->groups) {
        err_no_memory(err, "the gate of flows");
        flow_gate_free(gate);
        return NULL;
    }
    return gate;
}

void flow_gate_free(struct flow_gate *gate)
{
    if (!gate)
        return;
    for (size_t i = 0; gate->lives && i < gate->buckets; i++) {
        while (gate->lives[i])
            free_live(gate, gate->lives[i]);
    }
    mem_free(gate->config.mem, gate->lives, gate->buckets * sizeof(void *));
    mem_free(gate->config.mem, gate->groups, gate->buckets * sizeof(void *));
    mem_free(gate->config.mem, gate, sizeof(*gate));
}

void flow_gate_reset(struct flow_gate *gate)
{
    for (size_t i = 0; i < gate->buckets; i++) {
        for (struct flow_live *live = gate->lives[i]; live; live = live->next_by_key) {
            if (live->run)
                gate->config.drop_run(gate->config.ctx, live->run);
            live->run = NULL;
            if (live->state == GATE_GRANTED) {
                set_state(gate, live, GATE_OUT);
                enter(gate, live);
            }
        }
    }
}
