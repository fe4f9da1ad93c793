/* Making kube-scheduler try pods again. */
#include "extender/requeue.h"

#include "extender/cached_pod.h"
#include "types/names.h"

#include <pthread.h>

enum {
    ARENA_BLOCK = 64 * 1024,
    ARENA_MAX = 4 * 1024 * 1024,
    BODY_MAX = 1024,
    ASK_S = 1,      /* kube-scheduler's time to ask by itself */
    LATER_S = 2,    /* the watch's time to tell of what was bound a moment ago */
    LOOK_S = 5,     /* heartbeats return without a new snapshot */
    FORGET_S = 600, /* twice the time after which kube-scheduler asks by itself */
};

/* A pod that waits. One allocation with the hashes and its texts. */
struct waiting {
    struct waiting *next;
    size_t size;
    struct str namespace, name, uid;
    struct str pod; /* absent: it is tried in any case */
    int64_t refused_ns;
    int64_t looked_ns;
    uint64_t snapshot; /* on which it fits nowhere */
    size_t count;
    uint64_t nodes[]; /* hashes of the names, by the snapshots' seed */
};

struct list {
    struct waiting *first, **last;
    size_t bytes;
};

/* A write that is under way. */
struct call {
    struct requeue *requeue;
    struct kube_pending *pending; /* NULL: free */
    struct waiting *waiting;
};

struct requeue {
    struct requeue_config config;
    pthread_mutex_t lock;
    struct list list; /* those that were looked at, or refused, last at its end */
    struct call calls[REQUEUE_CALLS_MAX];
    struct counter_family *results;
};

/* ---- Lists ---- */

static void list_init(struct list *list)
{
    *list = (struct list){.last = &list->first};
}

static void list_put(struct list *list, struct waiting *waiting)
{
    waiting->next = NULL;
    *list->last = waiting;
    list->last = &waiting->next;
    list->bytes += waiting->size;
}

static struct waiting *list_take(struct list *list, struct waiting **at)
{
    struct waiting *waiting = *at;
    *at = waiting->next;
    list->bytes -= waiting->size;
    if (list->last == &waiting->next)
        list->last = at;
    return waiting;
}

static void drop(const struct requeue *r, struct waiting *waiting)
{
    mem_free(r->config.mem, waiting, waiting->size);
}

static void list_drop_uid(const struct requeue *r, struct list *list, struct str uid)
{
    for (struct waiting **at = &list->first; *at; at = &(*at)->next) {
        if (str_eq((*at)->uid, uid)) {
            drop(r, list_take(list, at));
            return;
        }
    }
}

static void list_trim(const struct requeue *r, struct list *list)
{
    while (list->bytes > REQUEUE_BYTES_MAX)
        drop(r, list_take(list, &list->first));
}

/* To the end of the other one. */
static void list_move_to(struct list *from, struct list *to)
{
    while (from->first)
        list_put(to, list_take(from, &from->first));
}

static void list_drop_all(const struct requeue *r, struct list *list)
{
    while (list->first)
        drop(r, list_take(list, &list->first));
}

/* ---- Refusals ---- */

/* Without the hashes. */
static struct waiting *new_waiting(const struct requeue *r, const struct kube_meta *meta,
                                   struct str pod, size_t nodes)
{
    size_t texts = meta->namespace.len + meta->name.len + meta->uid.len + pod.len;
    size_t size = sizeof(struct waiting) + nodes * sizeof(uint64_t) + texts;
    struct waiting *waiting = mem_alloc(r->config.mem, size);
    if (!waiting)
        return NULL;
    char *at = (char *)&waiting->nodes[nodes];
    int64_t now_ns = clock_now_ns(r->config.clock);
    *waiting = (struct waiting){
        .size = size,
        .namespace = str_put(&at, meta->namespace),
        .name = str_put(&at, meta->name),
        .uid = str_put(&at, meta->uid),
        .pod = str_put(&at, pod),
        .refused_ns = now_ns,
        .looked_ns = now_ns,
        .count = nodes,
    };
    return waiting;
}

static void add(struct requeue *r, struct waiting *waiting)
{
    pthread_mutex_lock(&r->lock);
    list_drop_uid(r, &r->list, waiting->uid);
    list_put(&r->list, waiting);
    list_trim(r, &r->list);
    pthread_mutex_unlock(&r->lock);
}

void requeue_refused(struct requeue *r, const struct refused *refused)
{
    const struct node_index *index = refused->snapshot->index;
    if (refused->text.len > REQUEUE_POD_MAX || refused->count > REQUEUE_NODES_MAX || !index)
        return;
    struct waiting *waiting = new_waiting(r, &refused->pod->meta, refused->text, refused->count);
    if (!waiting)
        return;
    waiting->snapshot = refused->snapshot->number;
    for (size_t i = 0; i < refused->count; i++)
        waiting->nodes[i] = hash_text(&index->seed, refused->nodes[i].name);
    add(r, waiting);
}

void requeue_later(struct requeue *r, const struct kube_meta *pod)
{
    struct waiting *waiting = new_waiting(r, pod, (struct str){NULL, 0}, 0);
    if (waiting)
        add(r, waiting);
}

/* Where a pod was refused again meanwhile, that counts. */
static void put_back(struct requeue *r, struct list *list)
{
    pthread_mutex_lock(&r->lock);
    for (const struct waiting *newer = r->list.first; newer; newer = newer->next)
        list_drop_uid(r, list, newer->uid);
    list_move_to(&r->list, list);
    list_trim(r, list);
    list_move_to(list, &r->list);
    pthread_mutex_unlock(&r->lock);
}

/* ---- Looking ---- */

enum look { LOOK_LATER, LOOK_WAITS, LOOK_FITS, LOOK_OVER };

static bool fits_somewhere(const struct requeue *r, const struct waiting *waiting,
                           const struct snapshot *snapshot, struct arena *arena)
{
    struct err err;
    struct pod pod;
    int64_t now_ns = clock_now_ns(r->config.clock);
    if (!str_is_set(waiting->pod))
        return true;
    const struct json *object = json_read(arena, waiting->pod, &json_limits_default, &err);
    if (!object)
        return false;
    pod_read(&pod, object, snapshot->catalog);
    for (size_t i = 0; i < waiting->count; i++) {
        const struct snapshot_node *at = snapshot_find_hashed(snapshot, waiting->nodes[i]);
        struct node own;
        if (!at)
            continue;
        const struct node *node = snapshot_node_for(snapshot, at, pod.meta.uid, pod.priority, &own);
        if (filter_judge_all(&pod, node, snapshot_heartbeat_age_ns(at, now_ns)) == VERDICT_FITS)
            return true;
    }
    return false;
}

static bool is_due(const struct waiting *waiting, const struct snapshot *snapshot, int64_t now_ns)
{
    int64_t age_ns = now_ns - waiting->refused_ns, unseen_ns = now_ns - waiting->looked_ns;
    if (!str_is_set(waiting->pod))
        return age_ns >= LATER_S * CLOCK_NS_PER_SEC;
    return age_ns >= ASK_S * CLOCK_NS_PER_SEC &&
           (snapshot->number != waiting->snapshot || unseen_ns >= LOOK_S * CLOCK_NS_PER_SEC);
}

/* `budget` is what is left of REQUEUE_NODES_MAX. */
static enum look look_at(const struct requeue *r, struct waiting *waiting,
                         const struct snapshot *snapshot, struct arena *arena, size_t *budget)
{
    int64_t now_ns = clock_now_ns(r->config.clock), age_ns = now_ns - waiting->refused_ns;
    enum pod_standing standing = cached_pod_standing(r->config.pods, waiting->namespace,
                                                     waiting->name, waiting->uid, age_ns);
    if (standing == POD_STANDING_OVER || age_ns >= FORGET_S * CLOCK_NS_PER_SEC)
        return LOOK_OVER;
    if (standing != POD_STANDING_WAITS || !is_due(waiting, snapshot, now_ns) ||
        *budget < waiting->count)
        return LOOK_LATER;
    *budget -= waiting->count;
    waiting->snapshot = snapshot->number;
    waiting->looked_ns = now_ns;
    bool fits = fits_somewhere(r, waiting, snapshot, arena);
    arena_reset(arena);
    return fits ? LOOK_FITS : LOOK_WAITS;
}

/* ---- Writing ---- */

static void count(struct requeue *r, struct str result)
{
    counter_add(counter_of(r->results, METRICS_VALUES(result)), 1);
}

/* False where the pod has gone meanwhile, or sending it again is of no use. */
static bool is_to_be_tried_later(const struct requeue *r, const struct waiting *waiting,
                                 const struct kube_result *result)
{
    enum kube_outcome outcome = result->outcome;
    if (outcome == KUBE_OK || outcome == KUBE_NOT_FOUND || outcome == KUBE_CONFLICT)
        return false;
    log_warn(r->config.log, "kube-scheduler could not be made to try a pod again",
             LOG_STR("namespace", waiting->namespace), LOG_STR("pod", waiting->name),
             LOG_STR("error", result->message));
    return outcome != KUBE_INVALID && outcome != KUBE_FORBIDDEN_BY;
}

static void on_written(void *ctx, const struct kube_result *result)
{
    struct call *call = ctx;
    struct requeue *r = call->requeue;
    struct list back;
    call->pending = NULL;
    count(r, str_from_cstr(kube_outcome_name(result->outcome)));
    if (!is_to_be_tried_later(r, call->waiting, result)) {
        drop(r, call->waiting);
        return;
    }
    list_init(&back);
    list_put(&back, call->waiting);
    put_back(r, &back);
}

static struct call *free_call(struct requeue *r)
{
    for (size_t i = 0; i < REQUEUE_CALLS_MAX; i++) {
        if (!r->calls[i].pending)
            return &r->calls[i];
    }
    return NULL;
}

/* The UID as a precondition: another pod of that name is not touched. */
static bool begin_writing(struct requeue *r, struct call *call, struct waiting *waiting)
{
    char time[CLOCK_TEXT_SIZE];
    struct buf body;
    struct err err;
    struct str now = clock_print(clock_wall_ns(r->config.clock), CLOCK_MICROS, time);
    buf_init(&body, r->config.mem, BODY_MAX);
    buf_put(&body, STR("{\"metadata\":{\"uid\":"));
    json_write_str(&body, waiting->uid);
    buf_printf(&body, ",\"annotations\":{\"" ANNOTATION_REQUEUED_AT "\":\"%" PRIstr "\"}}}",
               STR_ARG(now));
    const struct kube_call write = {.verb = KUBE_PATCH_MERGE,
                                    .resource = &kube_pods,
                                    .namespace = waiting->namespace,
                                    .name = waiting->name,
                                    .subresource = STR("status"),
                                    .body = buf_str(&body)};
    *call = (struct call){.requeue = r, .waiting = waiting};
    if (!buf_failed(&body))
        call->pending = kube_client_call(r->config.client, &write, on_written, call, &err);
    buf_done(&body);
    return call->pending != NULL;
}

/* ---- Every second ---- */

/* What is left of the list is in its order, and behind it what was looked at. */
static void look_at_all(struct requeue *r, const struct snapshot *snapshot, struct list *list)
{
    struct arena arena;
    struct list looked;
    struct call *call;
    size_t budget = REQUEUE_NODES_MAX;
    list_init(&looked);
    arena_init(&arena, r->config.mem, ARENA_BLOCK, ARENA_MAX);
    for (struct waiting **at = &list->first; *at && (call = free_call(r)) != NULL;) {
        enum look look = look_at(r, *at, snapshot, &arena, &budget);
        if (look == LOOK_LATER) {
            at = &(*at)->next;
            continue;
        }
        struct waiting *waiting = list_take(list, at);
        if (look == LOOK_OVER)
            drop(r, waiting);
        else if (look == LOOK_WAITS || !begin_writing(r, call, waiting))
            list_put(&looked, waiting);
    }
    arena_done(&arena);
    list_move_to(&looked, list);
}

void requeue_tick(struct requeue *r, bool is_active)
{
    struct list list;
    struct snapshot *snapshot = snapshot_get(r->config.source);
    list_init(&list);
    pthread_mutex_lock(&r->lock);
    list_move_to(&r->list, &list);
    pthread_mutex_unlock(&r->lock);
    if (is_active && snapshot)
        look_at_all(r, snapshot, &list);
    else
        list_drop_all(r, &list);
    put_back(r, &list);
    snapshot_unref(snapshot);
}

/* ---- Making and freeing ---- */

struct requeue *requeue_new(const struct requeue_config *config, struct err *err)
{
    struct requeue *r = mem_alloc(config->mem, sizeof(*r));
    if (!r) {
        err_no_memory(err, "setting up the pods that are tried again");
        return NULL;
    }
    *r = (struct requeue){.config = *config};
    list_init(&r->list);
    pthread_mutex_init(&r->lock, NULL);
    if (config->metrics)
        r->results = metrics_counters(config->metrics, "callboard_extender_requeued_total",
                                      "Pods that kube-scheduler was made to try again, because a "
                                      "node has come to fit since they were refused.",
                                      METRICS_LABELS("outcome"), 16);
    return r;
}

void requeue_free(struct requeue *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < REQUEUE_CALLS_MAX; i++) {
        if (!r->calls[i].pending)
            continue;
        kube_client_cancel(r->config.client, r->calls[i].pending);
        drop(r, r->calls[i].waiting);
    }
    list_drop_all(r, &r->list);
    pthread_mutex_destroy(&r->lock);
    mem_free(r->config.mem, r, sizeof(*r));
}
