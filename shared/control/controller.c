/* Keys: when they are taken up, and what becomes of them. */
#include "control/controller_parts.h"

enum {
    WORKERS_DEFAULT = 16,
    FENCED_PER_WORKER = 4, /* keys that may wait for caches, for each that may write */
    BATCH = 128,           /* keys taken up before other work gets its turn */
    RESYNC_SLOTS = 64,
    RESYNC_DEFAULT_S = 120,
    PLAN_BLOCK = 8 * 1024,
    PLAN_MAX = 16 * 1024 * 1024,
    ANSWER_BLOCK = 32 * 1024,
    ANSWER_MAX = 32 * 1024 * 1024,
};

/* ---- Metrics ---- */

/* As controller-runtime has them, without the finest. */
static const double seconds_bounds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                        1,     2.5,  5,     10,   30,  60};

void controller_metrics_add(struct controller_metrics *ret, struct metrics *metrics)
{
    *ret = (struct controller_metrics){
        .reconciles = metrics_counters(metrics, "controller_runtime_reconcile_total",
                                       "Reconciles by result: success, requeue_after, requeue "
                                       "(a conflict), error.",
                                       METRICS_LABELS("controller", "result"), 64),
        .errors = metrics_counters(metrics, "controller_runtime_reconcile_errors_total",
                                   "Reconciles that ended with an error.",
                                   METRICS_LABELS("controller"), 16),
        .seconds = metrics_histograms(
            metrics, "controller_runtime_reconcile_time_seconds",
            "Time from taking up a key to the answer of its last write.",
            METRICS_LABELS("controller"), 16,
            (struct metrics_buckets){seconds_bounds,
                                     sizeof(seconds_bounds) / sizeof(seconds_bounds[0])}),
        .active =
            metrics_gauges(metrics, "controller_runtime_active_workers",
                           "Keys that are being worked on.", METRICS_LABELS("controller"), 16),
        .workers = metrics_gauges(metrics, "controller_runtime_max_concurrent_reconciles",
                                  "Keys whose writes may be under way at the same time.",
                                  METRICS_LABELS("controller"), 16),
        .writes = metrics_counters(metrics, "callboard_controller_writes_total",
                                   "Writes by what for and how they ended.",
                                   METRICS_LABELS("controller", "purpose", "outcome"), 512),
    };
}

static void count_result(const struct work *work)
{
    const struct controller_metrics *m = work->controller->config.metrics;
    if (!m)
        return;
    struct str name = str_from_cstr(work->controller->config.kind.name);
    struct str result = STR("error");
    if (work->end == WORK_DONE)
        result = work->plan.requeue_after_ns > 0 ? STR("requeue_after") : STR("success");
    else if (work->end == WORK_AGAIN)
        result = STR("requeue");
    else
        counter_add(counter_of(m->errors, METRICS_VALUES(name)), 1);
    counter_add(counter_of(m->reconciles, METRICS_VALUES(name, result)), 1);
}

/* ---- Works ---- */

const struct log *work_log(const struct work *work, struct work_log *ret)
{
    const struct controller *c = work->controller;
    ret->fields[0] = LOG_CSTR("controller", c->config.kind.name);
    ret->fields[1] = LOG_STR("namespace", work->key.namespace);
    ret->fields[2] = LOG_STR("name", work->key.name);
    ret->log = log_child(c->config.log, work->plan.correlation_id, ret->fields, 3);
    return &ret->log;
}

static bool is_busy(enum work_state state)
{
    return state == WORK_SENDING || state == WORK_LOOKING;
}

void work_set_state(struct work *work, enum work_state state)
{
    struct controller *c = work->controller;
    c->busy -= is_busy(work->state);
    c->busy += is_busy(state);
    work->state = state;
}

static void fire(void *ctx, int64_t now_ns)
{
    (void)now_ns;
    struct work *work = ctx;
    if (work->state == WORK_PAUSED)
        work_look(work);
    else
        work_ask(work);
}

static struct work *work_new(struct controller *c, struct queue_key key, struct err *err)
{
    struct work *work = mem_alloc(c->config.mem, sizeof(*work));
    if (!work) {
        err_no_memory(err, "taking up a key");
        return NULL;
    }
    *work = (struct work){.controller = c, .key = key, .state = WORK_FENCED};
    work->start_ns = clock_now_ns(c->config.clock);
    if (timers_register(c->config.timers, &work->timer, fire, work, err) < 0) {
        mem_free(c->config.mem, work, sizeof(*work));
        return NULL;
    }
    arena_init(&work->arena, c->config.mem, PLAN_BLOCK, PLAN_MAX);
    work->plan.arena = &work->arena;
    work->next = c->works;
    work->link = &c->works;
    if (work->next)
        work->next->link = &work->next;
    c->works = work;
    gauge_set(c->active, (double)++c->work_count);
    return work;
}

static void work_free(struct work *work)
{
    struct controller *c = work->controller;
    work_set_state(work, WORK_FENCED);
    if (work->pending)
        kube_client_cancel(c->config.client, work->pending);
    timers_unregister(c->config.timers, &work->timer);
    *work->link = work->next;
    if (work->next)
        work->next->link = work->link;
    gauge_set(c->active, (double)--c->work_count);
    queue_done(c->config.queue, work->key);
    arena_done(&work->arena);
    mem_free(c->config.mem, work, sizeof(*work));
}

/* Without memory for the queue, the resync brings the key. */
static void put_back(const struct work *work)
{
    struct queue *queue = work->controller->config.queue;
    int64_t now_ns = clock_now_ns(work->controller->config.clock);
    int64_t after_ns = work->plan.requeue_after_ns, at_ns = now_ns + after_ns;
    if (work->end == WORK_DONE && work->plan.rest_ns > 0)
        queue_rest(queue, work->key, now_ns + work->plan.rest_ns);
    switch (work->end) {
    case WORK_DONE:
    case WORK_GIVEN_UP:
        queue_forget(queue, work->key);
        if (after_ns > 0)
            (void)queue_add_at(queue, work->key, at_ns);
        break;
    case WORK_REFUSED:
        if (after_ns > 0)
            (void)queue_add_at(queue, work->key, at_ns);
        else
            (void)queue_add_failed(queue, work->key);
        break;
    case WORK_AGAIN:
    case WORK_FAILED:
        /* The backoff begins at 5 ms: a conflict comes again at once, ten in a row do not. */
        (void)queue_add_failed(queue, work->key);
        break;
    }
}

void work_finish(struct work *work)
{
    count_result(work);
    put_back(work);
    work_free(work);
}

static void take_up(struct controller *c, struct queue_key key)
{
    struct err err;
    struct work *work = work_new(c, key, &err);
    if (!work) {
        log_error(c->config.log, "cannot take up a key",
                  LOG_CSTR("controller", c->config.kind.name), LOG_ERR(&err));
        (void)queue_add_failed(c->config.queue, key);
        queue_done(c->config.queue, key);
        return;
    }
    struct moment now = {.now_ns = work->start_ns, .wall_ns = clock_wall_ns(c->config.clock)};
    if (c->config.kind.reconcile(c->config.kind.ctx, key, now, &work->plan, &err) < 0) {
        struct work_log log;
        log_error(work_log(work, &log), "cannot reconcile; it is tried again", LOG_ERR(&err));
        work->end = WORK_FAILED;
        work_finish(work);
        return;
    }
    work_write(work);
}

/* ---- Every object, now and again ---- */

static uint64_t slot_of(const struct stored *stored)
{
    /* FNV-1a of the uid, which is random already. */
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < stored->uid.len; i++)
        hash = (hash ^ (unsigned char)stored->uid.ptr[i]) * UINT64_C(0x100000001b3);
    return (hash >> 32) % RESYNC_SLOTS;
}

/* Queues the objects of one slot of the resync period, or all. */
static void enqueue_slot(struct controller *c, uint64_t slot)
{
    const struct store *store = c->config.caches[0].store;
    size_t from = 0;
    const struct stored *stored = NULL;
    while ((stored = store_each(store, &from, stored))) {
        if (slot == RESYNC_SLOTS || slot_of(stored) == slot)
            controller_enqueue(c, (struct queue_key){stored->namespace, stored->name});
    }
}

static void fire_resync(void *ctx, int64_t now_ns)
{
    struct controller *c = ctx;
    timers_set(c->config.timers, &c->resync, now_ns + c->config.resync_ns / RESYNC_SLOTS);
    c->resync_slot = (c->resync_slot + 1) % RESYNC_SLOTS;
    if (c->is_fresh)
        enqueue_slot(c, c->resync_slot);
}

static bool caches_are_fresh(struct controller *c)
{
    for (size_t i = 0; i < c->config.cache_count && !c->is_fresh; i++) {
        if (!kube_reflector_is_fresh(c->config.caches[i].reflector))
            return false;
    }
    return c->is_fresh = true;
}

/* ---- The controller ---- */

struct controller *controller_new(const struct controller_config *config, struct err *err)
{
    struct controller *c = mem_alloc(config->mem, sizeof(*c));
    if (!c) {
        err_no_memory(err, "the controller");
        return NULL;
    }
    *c = (struct controller){.config = *config};
    if (c->config.workers == 0)
        c->config.workers = WORKERS_DEFAULT;
    if (c->config.resync_ns == 0)
        c->config.resync_ns = RESYNC_DEFAULT_S * CLOCK_NS_PER_SEC;
    if (timers_register(c->config.timers, &c->resync, fire_resync, c, err) < 0) {
        mem_free(config->mem, c, sizeof(*c));
        return NULL;
    }
    arena_init(&c->answer, config->mem, ANSWER_BLOCK, ANSWER_MAX);
    if (config->metrics) {
        struct metrics_values values = METRICS_VALUES(str_from_cstr(config->kind.name));
        c->seconds = histogram_of(config->metrics->seconds, values);
        c->active = gauge_of(config->metrics->active, values);
        gauge_set(gauge_of(config->metrics->workers, values), (double)c->config.workers);
    }
    return c;
}

void controller_free(struct controller *c)
{
    if (!c)
        return;
    controller_stop(c);
    timers_unregister(c->config.timers, &c->resync);
    arena_done(&c->answer);
    mem_free(c->config.mem, c, sizeof(*c));
}

void controller_start(struct controller *c)
{
    c->is_leading = true;
    c->is_all_due = true;
    c->is_fresh = false;
    for (size_t i = 0; i < c->config.cache_count; i++)
        kube_reflector_refresh(c->config.caches[i].reflector);
    timers_set(c->config.timers, &c->resync,
               clock_now_ns(c->config.clock) + c->config.resync_ns / RESYNC_SLOTS);
}

void controller_stop(struct controller *c)
{
    c->is_leading = false;
    timers_cancel(c->config.timers, &c->resync);
    while (c->works)
        work_free(c->works);
}

void controller_drain(struct controller *c)
{
    c->is_draining = true;
}

bool controller_is_idle(const struct controller *c)
{
    for (const struct work *work = c->works; work; work = work->next) {
        if (work->pending)
            return false;
    }
    return true;
}

void controller_enqueue(struct controller *c, struct queue_key key)
{
    /* Who does not lead queues all when it begins to. */
    if (c->is_leading)
        (void)queue_add(c->config.queue, key);
}

bool controller_run(struct controller *c)
{
    for (struct work *work = c->works, *next; work; work = next) {
        next = work->next;
        if (work->state == WORK_FENCED)
            work_pass_fence(work);
    }
    if (!c->is_leading || c->is_draining || !caches_are_fresh(c))
        return false;
    if (c->is_all_due)
        enqueue_slot(c, RESYNC_SLOTS);
    c->is_all_due = false;
    size_t works_max = (size_t)c->config.workers * (1 + FENCED_PER_WORKER);
    for (int taken = 0; c->busy < c->config.workers && c->work_count < works_max; taken++) {
        struct queue_key key;
        if (taken == BATCH)
            return true;
        if (!queue_take(c->config.queue, &key))
            return false;
        take_up(c, key);
    }
    return false;
}

size_t controller_active(const struct controller *c)
{
    return c->work_count;
}
