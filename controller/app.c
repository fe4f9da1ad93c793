/* Caches, controllers, leader election and readiness, wired together. */
#include "controller/app.h"

#include "control/candidate.h"
#include "controller/node_gpu.h"

enum {
    WATCHES = 8,
    CONTROLLERS = 3,
    WATCHDOG_S = 5,
};

struct app;

/* A collection of the server, and who is told of its changes. */
struct watch {
    const struct store_type *type;
    const char *name; /* in metrics; the kind when NULL */
    const char *label_selector;
    void (*on_change)(void *ctx, const struct stored *before, const struct stored *after);
    struct store *store;
    struct kube_reflector *reflector;
    unsigned problems; /* watchdogs in a row that found one */
    struct gauge *objects;
    struct gauge *bytes;
};

struct app {
    struct app_config config;
    struct timers timers;
    struct timer watchdog;
    struct kube_client *client;
    struct kube_events *events;
    struct candidate candidate;
    struct queue *queues[CONTROLLERS];
    struct controller *controllers[CONTROLLERS];
    struct controller_metrics controller_metrics;
    struct performer_metrics performer_metrics;
    struct performer_controller performers;
    struct flow_metrics flow_metrics;
    struct flow_controller flows;
    struct watch watches[WATCHES];
    bool has_synced;
    bool has_more; /* to do at once */
};

enum { PERFORMERS, FLOWS, NODES };
enum {
    WATCH_PERFORMERS,
    WATCH_PODS,
    WATCH_SERVICES,
    WATCH_SLICES,
    WATCH_NODES,
    WATCH_FLOWS,
    WATCH_JOBS,
    WATCH_JOB_PODS,
};

/* ---- What a change means ---- */

static bool is_leading(const struct app *app)
{
    return candidate_is_leading(&app->candidate);
}

static void enqueue(void *ctx, struct queue_key key)
{
    struct app *app = ctx;
    controller_enqueue(app->controllers[PERFORMERS], key);
}

static void enqueue_flow(void *ctx, struct queue_key key)
{
    struct app *app = ctx;
    controller_enqueue(app->controllers[FLOWS], key);
}

static void performer_changed(void *ctx, const struct stored *before, const struct stored *after)
{
    struct app *app = ctx;
    const struct stored *stored = after ? after : before;
    struct queue_key flow;
    enqueue(app, (struct queue_key){stored->namespace, stored->name});
    if (flow_performer_changed(&app->flows, before, after, &flow))
        enqueue_flow(app, flow);
    if (is_leading(app))
        performer_metrics_observe(&app->performer_metrics, before, after);
}

static void enqueue_owner(struct app *app, const struct stored *before, const struct stored *after,
                          bool (*key_of)(const struct stored *child, struct queue_key *ret))
{
    struct queue_key key;
    if (before && key_of(before, &key))
        enqueue(app, key);
    if (after && key_of(after, &key))
        enqueue(app, key);
}

static void pod_changed(void *ctx, const struct stored *before, const struct stored *after)
{
    enqueue_owner(ctx, before, after, performer_key_of_pod);
}

static void service_changed(void *ctx, const struct stored *before, const struct stored *after)
{
    enqueue_owner(ctx, before, after, performer_key_of_service);
}

static void slice_changed(void *ctx, const struct stored *before, const struct stored *after)
{
    enqueue_owner(ctx, before, after, performer_key_of_slice);
}

static void node_changed(void *ctx, const struct stored *before, const struct stored *after)
{
    struct app *app = ctx;
    if (after && performer_node_is_wrong(after))
        controller_enqueue(app->controllers[NODES],
                           (struct queue_key){after->namespace, after->name});
    if (is_leading(app) && performer_node_matters(before, after))
        performer_each_on_node(&app->performers, (after ? after : before)->name, enqueue, app);
}

static void flow_object_changed(void *ctx, const struct stored *before, const struct stored *after)
{
    struct app *app = ctx;
    const struct stored *stored = after ? after : before;
    flow_changed(&app->flows, before, after);
    enqueue_flow(app, (struct queue_key){stored->namespace, stored->name});
    if (is_leading(app))
        flow_metrics_observe(&app->flows, before, after);
}

static void job_changed(void *ctx, const struct stored *before, const struct stored *after)
{
    struct app *app = ctx;
    struct queue_key key;
    if (flow_job_changed(&app->flows, before, after, &key))
        enqueue_flow(app, key);
}

static void job_pod_changed(void *ctx, const struct stored *before, const struct stored *after)
{
    struct app *app = ctx;
    struct queue_key key;
    if (flow_pod_changed(&app->flows, before, after, &key))
        enqueue_flow(app, key);
}

/* ---- Leading ---- */

static void on_started(void *ctx)
{
    struct app *app = ctx;
    log_info(app->config.log, "leading", LOG_STR("identity", app->config.identity));
    /* What was kept of flows is older than what another one may have done since. */
    flow_gate_reset(app->flows.gate);
    for (size_t i = 0; i < CONTROLLERS && app->candidate.end == CANDIDATE_RUNNING; i++)
        controller_start(app->controllers[i]);
}

static void stop_controllers(void *ctx)
{
    struct app *app = ctx;
    for (size_t i = 0; i < CONTROLLERS; i++)
        controller_stop(app->controllers[i]);
}

static void on_stopped(void *ctx)
{
    struct app *app = ctx;
    log_warn(app->config.log, "no longer leading: the Lease was lost, or could not be renewed",
             LOG_STR("identity", app->config.identity));
    stop_controllers(app);
}

static void look_at_caches(struct app *app)
{
    bool have_all = true;
    for (size_t i = 0; i < WATCHES; i++)
        have_all = have_all && kube_reflector_has_synced(app->watches[i].reflector);
    app->has_synced = have_all;
}

/* ---- Watching over ---- */

static void fire_watchdog(void *ctx, int64_t now_ns)
{
    struct app *app = ctx;
    timers_set(&app->timers, &app->watchdog, now_ns + WATCHDOG_S * CLOCK_NS_PER_SEC);
    for (size_t i = 0; i < WATCHES; i++) {
        struct watch *watch = &app->watches[i];
        candidate_report(app->config.log, watch->type->resource,
                         kube_reflector_problem(watch->reflector), &watch->problems);
        gauge_set(watch->objects, (double)store_count(watch->store));
        gauge_set(watch->bytes, (double)store_bytes(watch->store));
    }
    if (app->has_synced)
        candidate_stand(&app->candidate);
}

/* ---- Starting ---- */

static int make_client(struct app *app, struct err *err)
{
    const struct app_config *c = &app->config;
    app->client = kube_client_new(&(const struct kube_client_config){.transport = c->transport,
                                                                     .timers = &app->timers,
                                                                     .clock = c->clock,
                                                                     .random = c->random,
                                                                     .mem = c->mem,
                                                                     .metrics = c->metrics,
                                                                     .host = c->host,
                                                                     .qps = c->qps,
                                                                     .burst = c->burst,
                                                                     .max_in_flight = c->workers},
                                  err);
    if (!app->client)
        return -1;
    app->events =
        kube_events_new(&(const struct kube_events_config){.client = app->client,
                                                           .timers = &app->timers,
                                                           .clock = c->clock,
                                                           .random = c->random,
                                                           .mem = c->mem,
                                                           .metrics = c->metrics,
                                                           .component = STR("callboard-controller"),
                                                           .instance = c->instance},
                        err);
    return app->events ? 0 : -1;
}

static int make_store(struct app *app, struct watch *watch, struct err *err)
{
    watch->store = store_new(&(const struct store_config){.type = watch->type,
                                                          .mem = app->config.mem,
                                                          .random = app->config.random,
                                                          .on_change = watch->on_change,
                                                          .ctx = app},
                             err);
    return watch->store ? 0 : -1;
}

static int begin_watch(struct app *app, struct watch *watch, struct err *err)
{
    const struct app_config *c = &app->config;
    bool is_namespaced = watch->type->resource->is_namespaced;
    struct kube_reflector_config config = {
        .transport = c->transport,
        .timers = &app->timers,
        .clock = c->clock,
        .random = c->random,
        .mem = c->mem,
        .metrics = c->metrics,
        .resource = watch->type->resource,
        .namespace = is_namespaced ? c->namespace : (struct str){NULL, 0},
        .label_selector = str_from_cstr(watch->label_selector),
        .sink = store_sink(watch->store),
    };
    watch->reflector = kube_reflector_new(&config, err);
    return watch->reflector ? 0 : -1;
}

/* The caches that a controller decides on, that of its own kind first. */
static const size_t performer_caches[] = {WATCH_PERFORMERS, WATCH_PODS, WATCH_SERVICES,
                                          WATCH_SLICES, WATCH_NODES};
static const size_t node_caches[] = {WATCH_NODES};
static const size_t flow_caches[] = {WATCH_FLOWS, WATCH_JOBS, WATCH_JOB_PODS, WATCH_PERFORMERS};

struct part {
    struct controller_kind kind;
    const size_t *caches;
    size_t cache_count;
};

static int make_controller(struct app *app, size_t index, const struct part *part, struct err *err)
{
    const struct app_config *c = &app->config;
    app->queues[index] = queue_new(&(const struct queue_config){.name = part->kind.name,
                                                                .timers = &app->timers,
                                                                .clock = c->clock,
                                                                .random = c->random,
                                                                .mem = c->mem,
                                                                .metrics = c->metrics},
                                   err);
    if (!app->queues[index])
        return -1;
    struct controller_config config = {
        .kind = part->kind,
        .client = app->client,
        .timers = &app->timers,
        .clock = c->clock,
        .random = c->random,
        .mem = c->mem,
        .queue = app->queues[index],
        .cache_count = part->cache_count,
        .events = app->events,
        .metrics = c->metrics ? &app->controller_metrics : NULL,
        .log = c->log,
        .workers = c->workers,
        .resync_ns = c->resync_ns,
    };
    for (size_t i = 0; i < part->cache_count; i++) {
        const struct watch *watch = &app->watches[part->caches[i]];
        config.caches[i] =
            (struct controller_cache){watch->type->resource, watch->store, watch->reflector};
    }
    app->controllers[index] = controller_new(&config, err);
    return app->controllers[index] ? 0 : -1;
}

static int make_controllers(struct app *app, struct err *err)
{
    const struct part parts[CONTROLLERS] = {
        [PERFORMERS] = {.kind = {.name = "performer",
                                 .resource = &kube_performers,
                                 .reconcile = performer_reconcile,
                                 .refused = performer_refused,
                                 .ctx = &app->performers},
                        .caches = performer_caches,
                        .cache_count = sizeof(performer_caches) / sizeof(performer_caches[0])},
        [FLOWS] = {.kind = {.name = "jobflow",
                            .resource = &kube_jobflows,
                            .reconcile = flow_reconcile,
                            .refused = flow_refused,
                            .answered = flow_answered,
                            .ctx = &app->flows},
                   .caches = flow_caches,
                   .cache_count = sizeof(flow_caches) / sizeof(flow_caches[0])},
        [NODES] = {.kind = {.name = "node",
                            .resource = &kube_nodes,
                            .reconcile = node_gpu_reconcile,
                            .ctx = app->watches[WATCH_NODES].store},
                   .caches = node_caches,
                   .cache_count = sizeof(node_caches) / sizeof(node_caches[0])},
    };
    for (size_t i = 0; i < CONTROLLERS; i++) {
        if (make_controller(app, i, &parts[i], err) < 0)
            return -1;
    }
    return 0;
}

static int make_gate(struct app *app, struct err *err)
{
    const struct app_config *c = &app->config;
    app->flows.gate = flow_gate_new(&(const struct flow_gate_config){.mem = c->mem,
                                                                     .random = c->random,
                                                                     .max_active = c->max_active,
                                                                     .wake = enqueue_flow,
                                                                     .drop_run = flow_drop_run,
                                                                     .ctx = app},
                                    err);
    return app->flows.gate ? 0 : -1;
}

static void add_metrics(struct app *app)
{
    struct metrics *m = app->config.metrics;
    if (!m)
        return;
    controller_metrics_add(&app->controller_metrics, m);
    kube_lease_add_metrics(m); /* the lease itself comes later */
    performer_metrics_add(&app->performer_metrics, m);
    flow_metrics_add(&app->flow_metrics, m);
    struct gauge_family *objects =
        metrics_gauges(m, "callboard_controller_cache_objects", "Objects in the caches.",
                       METRICS_LABELS("kind"), 16);
    struct gauge_family *bytes =
        metrics_gauges(m, "callboard_controller_cache_bytes", "Memory that the caches take.",
                       METRICS_LABELS("kind"), 16);
    for (size_t i = 0; i < WATCHES; i++) {
        struct watch *watch = &app->watches[i];
        struct metrics_values kind =
            METRICS_VALUES(str_from_cstr(watch->name ? watch->name : watch->type->resource->kind));
        watch->objects = gauge_of(objects, kind);
        watch->bytes = gauge_of(bytes, kind);
    }
}

static void set_up(struct app *app)
{
    static const struct watch watches[WATCHES] = {
        [WATCH_PERFORMERS] = {.type = &performer_objects, .on_change = performer_changed},
        [WATCH_PODS] = {.type = &performer_pods,
                        .label_selector = PERFORMER_LABEL_SELECTOR,
                        .on_change = pod_changed},
        [WATCH_SERVICES] = {.type = &performer_services,
                            .label_selector = PERFORMER_LABEL_SELECTOR,
                            .on_change = service_changed},
        [WATCH_SLICES] = {.type = &performer_slices,
                          .label_selector = PERFORMER_LABEL_SELECTOR,
                          .on_change = slice_changed},
        [WATCH_NODES] = {.type = &performer_nodes, .on_change = node_changed},
        [WATCH_FLOWS] = {.type = &flow_objects, .on_change = flow_object_changed},
        [WATCH_JOBS] = {.type = &flow_jobs,
                        .label_selector = FLOW_JOB_SELECTOR,
                        .on_change = job_changed},
        [WATCH_JOB_PODS] = {.type = &flow_pods,
                            .name = "Pod of a Job",
                            .label_selector = FLOW_POD_SELECTOR,
                            .on_change = job_pod_changed},
    };
    memcpy(app->watches, watches, sizeof(watches));
    if (!str_is_set(app->config.lease_namespace))
        app->config.lease_namespace = STR("callboard-system");
    if (!str_is_set(app->config.instance))
        app->config.instance = app->config.identity;
    catalog_ref(app->config.catalog);
    timers_init(&app->timers, app->config.mem);
}

static int make_candidate(struct app *app, struct err *err)
{
    const struct app_config *c = &app->config;
    const struct candidate_config config = {
        .lease = {.client = app->client,
                  .transport = c->transport,
                  .timers = &app->timers,
                  .clock = c->clock,
                  .random = c->random,
                  .mem = c->mem,
                  .metrics = c->metrics,
                  .namespace = c->lease_namespace,
                  .name = STR("callboard-controller"),
                  .identity = c->identity,
                  .duration_ns = c->lease_duration_ns,
                  .renew_deadline_ns = c->lease_renew_deadline_ns,
                  .retry_ns = c->lease_retry_ns,
                  .on_started = on_started,
                  .on_stopped = on_stopped,
                  .ctx = app},
        .log = c->log,
        .on_release = stop_controllers,
    };
    return candidate_init(&app->candidate, &config, err);
}

static int start(struct app *app, struct err *err)
{
    add_metrics(app);
    if (timers_register(&app->timers, &app->watchdog, fire_watchdog, app, err) < 0 ||
        make_client(app, err) < 0 || make_candidate(app, err) < 0 || make_gate(app, err) < 0)
        return -1;
    for (size_t i = 0; i < WATCHES; i++) {
        if (make_store(app, &app->watches[i], err) < 0 ||
            begin_watch(app, &app->watches[i], err) < 0)
            return -1;
    }
    app->performers = (struct performer_controller){
        .performers = app->watches[WATCH_PERFORMERS].store,
        .pods = app->watches[WATCH_PODS].store,
        .services = app->watches[WATCH_SERVICES].store,
        .slices = app->watches[WATCH_SLICES].store,
        .nodes = app->watches[WATCH_NODES].store,
        .catalog = app->config.catalog,
        .scheduler = app->config.scheduler,
    };
    app->flows.flows = app->watches[WATCH_FLOWS].store;
    app->flows.jobs = app->watches[WATCH_JOBS].store;
    app->flows.pods = app->watches[WATCH_JOB_PODS].store;
    app->flows.performers = app->watches[WATCH_PERFORMERS].store;
    app->flows.mem = app->config.mem;
    app->flows.metrics = app->config.metrics ? &app->flow_metrics : NULL;
    app->flows.scheduler = app->config.scheduler;
    timers_set(&app->timers, &app->watchdog, clock_now_ns(app->config.clock));
    return make_controllers(app, err);
}

struct app *app_new(const struct app_config *config, struct err *err)
{
    struct app *app = mem_alloc(config->mem, sizeof(*app));
    if (!app) {
        err_no_memory(err, "starting");
        return NULL;
    }
    *app = (struct app){.config = *config};
    set_up(app);
    if (start(app, err) < 0) {
        app_free(app);
        return NULL;
    }
    return app;
}

void app_free(struct app *app)
{
    if (!app)
        return;
    for (size_t i = 0; i < CONTROLLERS; i++) {
        controller_free(app->controllers[i]);
        queue_free(app->queues[i]);
    }
    candidate_done(&app->candidate);
    kube_events_free(app->events);
    for (size_t i = 0; i < WATCHES; i++) {
        kube_reflector_free(app->watches[i].reflector);
        store_free(app->watches[i].store);
    }
    flow_gate_free(app->flows.gate);
    kube_client_free(app->client);
    timers_unregister(&app->timers, &app->watchdog);
    timers_done(&app->timers);
    catalog_unref(app->config.catalog);
    mem_free(app->config.mem, app, sizeof(*app));
}

/* ---- Ending ---- */

void app_stop(struct app *app)
{
    if (app->candidate.end != CANDIDATE_RUNNING)
        return;
    for (size_t i = 0; i < CONTROLLERS; i++)
        controller_drain(app->controllers[i]);
    candidate_stop(&app->candidate);
}

bool app_has_stopped(const struct app *app)
{
    return app->candidate.end == CANDIDATE_STOPPED;
}

/* ---- Running ---- */

void app_run_once(struct app *app, int64_t until_ns)
{
    int64_t next_ns = timers_next_ns(&app->timers);
    if (next_ns > until_ns)
        next_ns = until_ns;
    if (app->has_more)
        next_ns = clock_now_ns(app->config.clock);
    app->config.transport->ops->wait(app->config.transport, next_ns);
    timers_run(&app->timers, clock_now_ns(app->config.clock));
    if (!app->has_synced) {
        look_at_caches(app);
        if (app->has_synced)
            candidate_stand(&app->candidate);
    }
    bool is_idle = true;
    app->has_more = false;
    for (size_t i = 0; i < CONTROLLERS; i++) {
        app->has_more = controller_run(app->controllers[i]) || app->has_more;
        is_idle = is_idle && controller_is_idle(app->controllers[i]);
    }
    if (is_idle)
        candidate_release(&app->candidate);
}

void app_set_catalog(struct app *app, struct catalog *catalog)
{
    catalog_ref(catalog);
    catalog_unref(app->config.catalog);
    app->config.catalog = catalog;
    app->performers.catalog = catalog;
    size_t from = 0;
    const struct store *store = app->performers.performers;
    for (const struct stored *s = NULL; (s = store_each(store, &from, s));)
        enqueue(app, (struct queue_key){s->namespace, s->name});
}

void app_status(const struct app *app, struct app_status *ret)
{
    *ret = (struct app_status){
        .has_synced = app->has_synced, .is_leading = is_leading(app), .heard_ns = INT64_MAX};
    for (size_t i = 0; i < WATCHES; i++) {
        int64_t heard_ns = kube_reflector_heard_ns(app->watches[i].reflector);
        if (heard_ns < ret->heard_ns)
            ret->heard_ns = heard_ns;
    }
}
