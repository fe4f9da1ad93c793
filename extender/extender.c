/* Watches, census, binder and Lease, wired together. */
#include "extender/extender.h"

#include "control/candidate.h"
#include "extender/advice.h"
#include "extender/budgets.h"
#include "extender/keeper.h"

enum {
    WATCHES = 4,
    WATCHDOG_S = 5,
    TICK_S = 1,
};

enum { WATCH_NODES, WATCH_LEASES, WATCH_PODS, WATCH_BUDGETS };

enum extender_state { STANDBY, SETTLING, LISTING, ACTIVE };

struct watch {
    const struct kube_resource *resource;
    struct kube_reflector *reflector;
    unsigned problems; /* watchdogs in a row that found one */
};

struct extender {
    struct extender_config config;
    struct timers timers;
    struct timer watchdog, tick, settled, audit;
    struct kube_client *client;
    struct candidate candidate;
    struct census *census;
    struct store *pods;
    struct store *budgets;
    struct keeper *keeper;
    struct binder *binder;
    struct kube_events *events;
    struct advice *advice;
    struct preemptor *preemptor;
    struct requeue *requeue;
    int64_t binder_ns; /* when it wants to run again */
    struct catalog *catalog;
    struct watch watches[WATCHES];
    enum extender_state state;
    bool has_synced;
    /* What other threads hand over. */
    pthread_mutex_t lock;
    struct bind_request *first, **last;
    size_t waiting;
    struct preempt_request *asked, **last_asked;
    size_t asked_count;
    struct refusal *refused, **last_refused;
    size_t refused_count;

    struct gauge_family *cached;
    struct gauge *pod_bytes, *reservations, *drifted, *overcommitted, *stray;
    struct counter *drift_total, *audits, *heartbeats;
};

/* ---- Requests from other threads ---- */

bool extender_bind(struct extender *e, struct bind_request *request)
{
    pthread_mutex_lock(&e->lock);
    bool has_room = e->waiting < BIND_WAITING_MAX;
    if (has_room) {
        request->next = NULL;
        *e->last = request;
        e->last = &request->next;
        e->waiting++;
    }
    pthread_mutex_unlock(&e->lock);
    if (has_room)
        e->config.transport->ops->wake(e->config.transport);
    return has_room;
}

bool extender_preempt(struct extender *e, struct preempt_request *request)
{
    pthread_mutex_lock(&e->lock);
    bool has_room = e->asked_count < PREEMPT_WAITING_MAX;
    if (has_room) {
        request->next = NULL;
        *e->last_asked = request;
        e->last_asked = &request->next;
        e->asked_count++;
    }
    pthread_mutex_unlock(&e->lock);
    if (has_room)
        e->config.transport->ops->wake(e->config.transport);
    return has_room;
}

static struct bind_request *take_requests(struct extender *e)
{
    pthread_mutex_lock(&e->lock);
    struct bind_request *first = e->first;
    e->first = NULL;
    e->last = &e->first;
    e->waiting = 0;
    pthread_mutex_unlock(&e->lock);
    return first;
}

static bool is_active(const struct extender *e)
{
    return e->state == ACTIVE && e->candidate.end == CANDIDATE_RUNNING;
}

static void bind_requests(struct extender *e)
{
    for (struct bind_request *request = take_requests(e), *next; request; request = next) {
        next = request->next;
        if (is_active(e))
            binder_bind(e->binder, request);
        else
            bind_request_finish(request, "this replica is not active", e->config.answered,
                                e->config.ctx);
    }
}

static struct preempt_request *take_questions(struct extender *e)
{
    pthread_mutex_lock(&e->lock);
    struct preempt_request *first = e->asked;
    e->asked = NULL;
    e->last_asked = &e->asked;
    e->asked_count = 0;
    pthread_mutex_unlock(&e->lock);
    return first;
}

static void answer_questions(struct extender *e, bool may_answer, const char *error)
{
    const struct preempt_view view = {.census = e->census,
                                      .pods = e->pods,
                                      .budgets = e->budgets,
                                      .catalog = e->catalog,
                                      .clock = e->config.clock,
                                      .requeue = e->requeue};
    for (struct preempt_request *request = take_questions(e), *next; request; request = next) {
        next = request->next;
        preempt_request_finish(request, may_answer ? &view : NULL, error);
        e->config.preempted(e->config.ctx, request);
    }
}

/* They are looked at with the next tick: nobody is woken. */
static void hand_over(struct extender *e, struct refusal *refusal)
{
    pthread_mutex_lock(&e->lock);
    bool has_room = e->refused_count < REFUSALS_MAX && e->config.hold_ns > 0;
    if (has_room) {
        refusal->next = NULL;
        *e->last_refused = refusal;
        e->last_refused = &refusal->next;
        e->refused_count++;
    }
    pthread_mutex_unlock(&e->lock);
    if (!has_room)
        refusal_free(refusal);
}

/* Of a pod for which others are being preempted one node is asked about first, and then all. */
void extender_refused(struct extender *e, const struct refused *refused, const uint8_t *verdicts)
{
    requeue_refused(e->requeue, refused);
    if (refused->count == 1 && refused->pod->is_nominated)
        return;
    struct refusal *refusal = refusal_new(refused->pod, refused->nodes, verdicts, refused->count);
    if (refusal)
        hand_over(e, refusal);
}

static struct refusal *take_refusals(struct extender *e)
{
    pthread_mutex_lock(&e->lock);
    struct refusal *first = e->refused;
    e->refused = NULL;
    e->last_refused = &e->refused;
    e->refused_count = 0;
    pthread_mutex_unlock(&e->lock);
    return first;
}

static void hear_refusals(struct extender *e)
{
    for (struct refusal *refusal = take_refusals(e), *next; refusal; refusal = next) {
        next = refusal->next;
        preemptor_refused(e->preemptor, refusal);
    }
}

static void drop_refusals(struct extender *e)
{
    for (struct refusal *refusal = take_refusals(e), *next; refusal; refusal = next) {
        next = refusal->next;
        refusal_free(refusal);
    }
}

/* ---- Leading ---- */

static void on_started(void *ctx)
{
    struct extender *e = ctx;
    log_info(e->config.log, "holding the Lease; waiting for bindings of the holder before",
             LOG_STR("identity", e->config.identity));
    e->state = SETTLING;
    timers_set(&e->timers, &e->settled, clock_now_ns(e->config.clock) + e->config.settle_ns);
}

static void on_stopped(void *ctx)
{
    struct extender *e = ctx;
    log_warn(e->config.log, "no longer active: the Lease was lost, or could not be renewed",
             LOG_STR("identity", e->config.identity));
    e->state = STANDBY;
    timers_cancel(&e->timers, &e->settled);
}

static void fire_settled(void *ctx, int64_t now_ns)
{
    struct extender *e = ctx;
    (void)now_ns;
    e->state = LISTING;
    for (size_t i = 0; i < WATCHES; i++)
        kube_reflector_refresh(e->watches[i].reflector);
}

static void look_over(struct extender *e, bool is_first)
{
    struct census_audit audit;
    if (!census_audit(e->census, e->pods, true, &audit))
        return;
    counter_add(e->audits, 1);
    gauge_set(e->drifted, (double)audit.drifted);
    gauge_set(e->overcommitted, (double)audit.overcommitted);
    gauge_set(e->stray, (double)audit.stray);
    if (is_first)
        return;
    counter_add(e->drift_total, audit.drifted);
    if (audit.drifted > 0)
        log_error(e->config.log, "counts had drifted from the pods; they are set right",
                  LOG_UINT("nodes", audit.drifted));
    if (audit.overcommitted > 0)
        log_error(e->config.log,
                  "more than all of a device is given out: somebody else bound pods "
                  "or changed their annotations",
                  LOG_UINT("devices", audit.overcommitted));
}

/* Best effort: without memory the prices are older than they should be. */
static void refresh_packing(struct extender *e, bool now)
{
    struct snapshot *snapshot = snapshot_get(e->config.source);
    if (snapshot)
        packer_refresh(e->config.packer, snapshot, e->pods, now);
    snapshot_unref(snapshot);
}

static void become_active(struct extender *e)
{
    for (size_t i = 0; i < WATCHES; i++) {
        if (!kube_reflector_is_fresh(e->watches[i].reflector))
            return;
    }
    look_over(e, true);
    if (!census_publish(e->census))
        return;
    refresh_packing(e, true);
    e->state = ACTIVE;
    log_info(e->config.log, "active", LOG_STR("identity", e->config.identity),
             LOG_UINT("nodes", census_node_count(e->census)),
             LOG_UINT("pods", store_count(e->pods)));
}

/* ---- Timers ---- */

static void fire_watchdog(void *ctx, int64_t now_ns)
{
    struct extender *e = ctx;
    timers_set(&e->timers, &e->watchdog, now_ns + WATCHDOG_S * CLOCK_NS_PER_SEC);
    for (size_t i = 0; i < WATCHES; i++) {
        struct watch *watch = &e->watches[i];
        candidate_report(e->config.log, watch->resource, kube_reflector_problem(watch->reflector),
                         &watch->problems);
    }
    gauge_set(gauge_of(e->cached, METRICS_VALUES(STR("Node"))),
              (double)census_node_count(e->census));
    gauge_set(gauge_of(e->cached, METRICS_VALUES(STR("Pod"))), (double)store_count(e->pods));
    gauge_set(gauge_of(e->cached, METRICS_VALUES(STR("PodDisruptionBudget"))),
              (double)store_count(e->budgets));
    gauge_set(e->pod_bytes, (double)store_bytes(e->pods));
    if (e->has_synced)
        candidate_stand(&e->candidate);
}

static void fire_tick(void *ctx, int64_t now_ns)
{
    struct extender *e = ctx;
    timers_set(&e->timers, &e->tick, now_ns + TICK_S * CLOCK_NS_PER_SEC);
    if (e->state == ACTIVE) {
        binder_tick(e->binder);
        advice_tick(e->advice);
    }
    hear_refusals(e);
    preemptor_tick(e->preemptor, is_active(e));
    requeue_tick(e->requeue, is_active(e));
    if (e->has_synced)
        refresh_packing(e, false);
    keeper_tick(e->keeper, e->state == ACTIVE);
    gauge_set(e->reservations, (double)census_reservations(e->census));
}

static void fire_audit(void *ctx, int64_t now_ns)
{
    struct extender *e = ctx;
    timers_set(&e->timers, &e->audit, now_ns + e->config.audit_ns);
    if (!e->has_synced)
        return;
    look_over(e, false);
    refresh_packing(e, true); /* nodes may have come or gone, without a pod that arrived */
}

static void pod_changed(void *ctx, const struct stored *before, const struct stored *after)
{
    struct extender *e = ctx;
    census_pod_changed(e->census, before, after);
    advice_pod_changed(e->advice, before, after);
    packer_pod_changed(e->config.packer, before, after);
}

/* ---- Starting ---- */

static void add_metrics(struct extender *e)
{
    struct metrics *m = e->config.metrics;
    if (!m)
        return;
    kube_lease_add_metrics(m); /* the Lease itself comes later */
    e->cached = metrics_gauges(m, "callboard_extender_cache_objects", "Objects in the caches.",
                               METRICS_LABELS("kind"), 4);
    e->pod_bytes = metrics_gauge(m, "callboard_extender_cache_pod_bytes",
                                 "Memory that the cache of pods takes.");
    e->reservations = metrics_gauge(
        m, "callboard_extender_reservations",
        "Pods whose devices are taken though the watch does not show them bound yet.");
    e->heartbeats = metrics_counter(m, "callboard_node_heartbeats_total",
                                    "Renewals of nodes' Leases that were seen.");
    e->audits = metrics_counter(m, "callboard_extender_audits_total",
                                "Comparisons of the counts with the annotations of all pods.");
    e->drifted = metrics_gauge(m, "callboard_extender_drifted_nodes",
                               "Nodes whose count was wrong at the last audit; it was set right.");
    e->drift_total = metrics_counter(m, "callboard_extender_drift_total",
                                     "Counts of nodes that audits have set right.");
    e->overcommitted =
        metrics_gauge(m, "callboard_extender_overcommitted_devices",
                      "Devices of which the pods' annotations give out more than all.");
    e->stray = metrics_gauge(m, "callboard_extender_stray_nodes",
                             "Nodes with a pod that uses GPUs and names no device of the node.");
}

static int make_client(struct extender *e, struct err *err)
{
    const struct extender_config *c = &e->config;
    e->client = kube_client_new(&(const struct kube_client_config){.transport = c->transport,
                                                                   .timers = &e->timers,
                                                                   .clock = c->clock,
                                                                   .random = c->random,
                                                                   .mem = c->mem,
                                                                   .metrics = c->metrics,
                                                                   .host = c->host,
                                                                   .qps = c->qps,
                                                                   .burst = c->burst,
                                                                   .max_in_flight = c->workers},
                                err);
    return e->client ? 0 : -1;
}

static int make_advice(struct extender *e, struct err *err)
{
    const struct extender_config *c = &e->config;
    struct str host_name, uuid;
    str_cut(c->identity, '_', &host_name, &uuid);
    e->events =
        kube_events_new(&(const struct kube_events_config){.client = e->client,
                                                           .timers = &e->timers,
                                                           .clock = c->clock,
                                                           .random = c->random,
                                                           .mem = c->mem,
                                                           .metrics = c->metrics,
                                                           .component = STR("callboard-extender"),
                                                           .instance = host_name},
                        err);
    if (!e->events)
        return -1;
    e->advice = advice_new(&(const struct advice_config){.client = e->client,
                                                         .events = e->events,
                                                         .source = c->source,
                                                         .clock = c->clock,
                                                         .mem = c->mem,
                                                         .period_s = c->advice_s,
                                                         .advised = c->advised,
                                                         .ctx = c->ctx},
                           err);
    return e->advice ? 0 : -1;
}

static int make_state(struct extender *e, struct err *err)
{
    const struct extender_config *c = &e->config;
    e->census = census_new(&(const struct census_config){.mem = c->mem,
                                                         .clock = c->clock,
                                                         .random = c->random,
                                                         .catalog = c->catalog,
                                                         .source = c->source,
                                                         .heartbeats = e->heartbeats},
                           err);
    if (!e->census)
        return -1;
    e->pods = store_new(&(const struct store_config){.type = &cached_pods,
                                                     .mem = c->mem,
                                                     .random = c->random,
                                                     .on_change = pod_changed,
                                                     .ctx = e},
                        err);
    if (!e->pods)
        return -1;
    e->budgets = store_new(
        &(const struct store_config){.type = &cached_budgets, .mem = c->mem, .random = c->random},
        err);
    if (!e->budgets)
        return -1;
    e->binder = binder_new(&(const struct binder_config){.client = e->client,
                                                         .census = e->census,
                                                         .packer = c->packer,
                                                         .pods = e->pods,
                                                         .clock = c->clock,
                                                         .mem = c->mem,
                                                         .metrics = c->metrics,
                                                         .log = c->log,
                                                         .catalog = &e->catalog,
                                                         .timeout_ns = c->bind_timeout_ns,
                                                         .answered = c->answered,
                                                         .ctx = c->ctx},
                           err);
    if (!e->binder)
        return -1;
    e->keeper = keeper_new(&(const struct keeper_config){.client = e->client,
                                                         .packer = c->packer,
                                                         .clock = c->clock,
                                                         .mem = c->mem,
                                                         .log = c->log,
                                                         .namespace = c->lease_namespace},
                           err);
    return e->keeper ? 0 : -1;
}

static int make_preemptor(struct extender *e, struct err *err)
{
    const struct extender_config *c = &e->config;
    e->preemptor = preemptor_new(&(const struct preemptor_config){.client = e->client,
                                                                  .events = e->events,
                                                                  .census = e->census,
                                                                  .pods = e->pods,
                                                                  .budgets = e->budgets,
                                                                  .catalog = &e->catalog,
                                                                  .clock = c->clock,
                                                                  .mem = c->mem,
                                                                  .metrics = c->metrics,
                                                                  .log = c->log,
                                                                  .hold_ns = c->hold_ns},
                                 err);
    return e->preemptor ? 0 : -1;
}

static int make_requeue(struct extender *e, struct err *err)
{
    const struct extender_config *c = &e->config;
    e->requeue = requeue_new(&(const struct requeue_config){.client = e->client,
                                                            .source = c->source,
                                                            .pods = e->pods,
                                                            .clock = c->clock,
                                                            .mem = c->mem,
                                                            .metrics = c->metrics,
                                                            .log = c->log},
                             err);
    return e->requeue ? 0 : -1;
}

static int begin_watch(struct extender *e, size_t which, const struct kube_resource *resource,
                       struct kube_sink sink, struct err *err)
{
    const struct extender_config *c = &e->config;
    struct watch *watch = &e->watches[which];
    struct kube_reflector_config config = {
        .transport = c->transport,
        .timers = &e->timers,
        .clock = c->clock,
        .random = c->random,
        .mem = c->mem,
        .metrics = c->metrics,
        .resource = resource,
        .sink = sink,
    };
    if (which == WATCH_LEASES)
        config.namespace = STR("kube-node-lease");
    if (which == WATCH_PODS) /* what has ended takes nothing */
        config.field_selector = STR("status.phase!=Succeeded,status.phase!=Failed");
    watch->resource = resource;
    watch->reflector = kube_reflector_new(&config, err);
    return watch->reflector ? 0 : -1;
}

static int begin_watches(struct extender *e, struct err *err)
{
    if (begin_watch(e, WATCH_NODES, &kube_nodes, census_node_sink(e->census), err) < 0 ||
        begin_watch(e, WATCH_LEASES, &kube_leases, census_lease_sink(e->census), err) < 0)
        return -1;
    if (begin_watch(e, WATCH_PODS, &kube_pods, store_sink(e->pods), err) < 0)
        return -1;
    return begin_watch(e, WATCH_BUDGETS, &kube_disruption_budgets, store_sink(e->budgets), err);
}

static int make_candidate(struct extender *e, struct err *err)
{
    const struct extender_config *c = &e->config;
    const struct candidate_config config = {
        .lease = {.client = e->client,
                  .transport = c->transport,
                  .timers = &e->timers,
                  .clock = c->clock,
                  .random = c->random,
                  .mem = c->mem,
                  .metrics = c->metrics,
                  .namespace = c->lease_namespace,
                  .name = STR("callboard-extender"),
                  .identity = c->identity,
                  .duration_ns = c->lease_duration_ns,
                  .renew_deadline_ns = c->lease_renew_deadline_ns,
                  .retry_ns = c->lease_retry_ns,
                  .on_started = on_started,
                  .on_stopped = on_stopped,
                  .ctx = e},
        .log = c->log,
    };
    return candidate_init(&e->candidate, &config, err);
}

static int make_timers(struct extender *e, struct err *err)
{
    const struct {
        struct timer *timer;
        void (*fire)(void *ctx, int64_t now_ns);
    } timers[] = {
        {&e->watchdog, fire_watchdog},
        {&e->tick, fire_tick},
        {&e->settled, fire_settled},
        {&e->audit, fire_audit},
    };
    for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
        if (timers_register(&e->timers, timers[i].timer, timers[i].fire, e, err) < 0)
            return -1;
    }
    int64_t now_ns = clock_now_ns(e->config.clock);
    timers_set(&e->timers, &e->watchdog, now_ns);
    timers_set(&e->timers, &e->tick, now_ns);
    timers_set(&e->timers, &e->audit, now_ns + e->config.audit_ns);
    return 0;
}

static void set_defaults(struct extender_config *c)
{
    if (!str_is_set(c->lease_namespace))
        c->lease_namespace = STR("callboard-system");
    if (c->bind_timeout_ns == 0)
        c->bind_timeout_ns = 5 * CLOCK_NS_PER_SEC;
    if (c->settle_ns == 0)
        c->settle_ns = c->bind_timeout_ns;
    if (c->audit_ns == 0)
        c->audit_ns = 60 * CLOCK_NS_PER_SEC;
    if (c->advice_s == 0)
        c->advice_s = 300;
    if (c->workers == 0)
        c->workers = 32;
}

struct extender *extender_new(const struct extender_config *config, struct err *err)
{
    struct extender *e = mem_alloc(config->mem, sizeof(*e));
    if (!e) {
        err_no_memory(err, "starting");
        return NULL;
    }
    *e = (struct extender){.config = *config, .catalog = catalog_ref(config->catalog)};
    e->last = &e->first;
    e->last_asked = &e->asked;
    e->last_refused = &e->refused;
    e->binder_ns = INT64_MAX;
    pthread_mutex_init(&e->lock, NULL);
    set_defaults(&e->config);
    timers_init(&e->timers, config->mem);
    add_metrics(e);
    if (make_timers(e, err) < 0 || make_client(e, err) < 0 || make_candidate(e, err) < 0 ||
        make_advice(e, err) < 0 || make_state(e, err) < 0 || make_preemptor(e, err) < 0 ||
        make_requeue(e, err) < 0 || begin_watches(e, err) < 0) {
        extender_free(e);
        return NULL;
    }
    return e;
}

void extender_free(struct extender *e)
{
    if (!e)
        return;
    for (struct bind_request *request = take_requests(e), *next; request; request = next) {
        next = request->next;
        bind_request_finish(request, "the extender is shutting down", e->config.answered,
                            e->config.ctx);
    }
    answer_questions(e, false, "the extender is shutting down");
    drop_refusals(e);
    requeue_free(e->requeue);
    preemptor_free(e->preemptor);
    binder_free(e->binder);
    keeper_free(e->keeper);
    candidate_done(&e->candidate);
    for (size_t i = 0; i < WATCHES; i++)
        kube_reflector_free(e->watches[i].reflector);
    advice_free(e->advice);
    kube_events_free(e->events);
    store_free(e->budgets);
    store_free(e->pods);
    census_free(e->census);
    kube_client_free(e->client);
    struct timer *const timers[] = {&e->watchdog, &e->tick, &e->settled, &e->audit};
    for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++)
        timers_unregister(&e->timers, timers[i]);
    timers_done(&e->timers);
    pthread_mutex_destroy(&e->lock);
    catalog_unref(e->catalog);
    mem_free(e->config.mem, e, sizeof(*e));
}

/* ---- Ending ---- */

void extender_stop(struct extender *e)
{
    if (e->candidate.end == CANDIDATE_RUNNING && e->state == ACTIVE)
        keeper_flush(e->keeper);
    candidate_stop(&e->candidate);
}

bool extender_has_stopped(const struct extender *e)
{
    return e->candidate.end == CANDIDATE_STOPPED;
}

/* ---- Running ---- */

static void look_at_caches(struct extender *e)
{
    for (size_t i = 0; i < WATCHES; i++) {
        if (!kube_reflector_has_synced(e->watches[i].reflector))
            return;
    }
    e->has_synced = true;
    candidate_stand(&e->candidate);
}

void extender_run_once(struct extender *e, int64_t until_ns)
{
    int64_t next_ns = timers_next_ns(&e->timers);
    if (next_ns > until_ns)
        next_ns = until_ns;
    if (next_ns > e->binder_ns)
        next_ns = e->binder_ns;
    e->config.transport->ops->wait(e->config.transport, next_ns);
    timers_run(&e->timers, clock_now_ns(e->config.clock));
    if (!e->has_synced)
        look_at_caches(e);
    if (e->state == LISTING)
        become_active(e);
    bind_requests(e);
    e->binder_ns = binder_run(e->binder);
    answer_questions(e, is_active(e), "this replica is not active");
    if (e->has_synced)
        census_publish(e->census);
    if (binder_pending(e->binder) == 0 && !keeper_is_writing(e->keeper))
        candidate_release(&e->candidate);
}

void extender_set_catalog(struct extender *e, struct catalog *catalog)
{
    catalog_ref(catalog);
    catalog_unref(e->catalog);
    e->catalog = catalog;
    census_set_catalog(e->census, catalog, e->pods);
    kube_reflector_refresh(e->watches[WATCH_NODES].reflector);
}

void extender_status(const struct extender *e, struct extender_status *ret)
{
    *ret = (struct extender_status){
        .has_synced = e->has_synced, .is_active = is_active(e), .heard_ns = INT64_MAX};
    for (size_t i = 0; i < WATCHES; i++) {
        int64_t heard_ns = kube_reflector_heard_ns(e->watches[i].reflector);
        if (heard_ns < ret->heard_ns)
            ret->heard_ns = heard_ns;
    }
}
