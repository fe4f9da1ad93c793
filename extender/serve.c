/* The process around the extender: servers, signals, files that may change, the event loop. */
#include "extender/serve.h"

#include "base/program.h"
#include "extender/verbs.h"
#include "kube/process.h"
#include "types/catalog_source.h"

#include <signal.h>

enum {
    TICK_MS = 1000,
    STOP_MS = 5000,
    HEALTH_STOP_MS = 1000,
    END_S = 10,
    WORKERS = 32,
    /* /nodes and the metrics of nodes are megabytes on large clusters. */
    PEOPLE_ARENA_MAX = 64 * 1024 * 1024,
    PEOPLE_CONNECTIONS = 32,
    PEOPLE_BODY_MAX = 1024,
};

struct service {
    const struct extender_serve_options *options;
    const struct log *log;
    const struct clock *clock;
    struct metrics metrics;
    struct catalog_source catalog;
    struct counter_family *reloads;
    struct certificate certificate;
    struct process process;
    struct snapshot_source snapshots;
    struct packer *packer;
    struct extender *extender;
    struct verbs verbs;
    struct http_route routes[VERB_ROUTES];
    struct http_route people_routes[PEOPLE_ROUTES];
    struct http_server *server;
    struct http_server *people;
};

/* ---- Health ---- */

static const char *find_illness(void *ctx)
{
    struct service *s = ctx;
    return process_find_illness(&s->process);
}

/* A standby is not ready: the Service leads to the one replica that answers. */
static const char *find_unready(void *ctx)
{
    struct service *s = ctx;
    const char *reason = process_find_unready(&s->process);
    if (!reason)
        reason = certificate_find_unready(&s->certificate);
    if (reason)
        return reason;
    if (!atomic_load(&s->verbs.is_active))
        return "standing by: another replica holds the Lease, or its last bindings are waited for";
    return NULL;
}

static void publish(struct service *s)
{
    struct extender_status status;
    extender_status(s->extender, &status);
    atomic_store(&s->verbs.is_active, status.is_active);
    process_beat(&s->process, status.has_synced, status.heard_ns);
}

/* ---- Starting ---- */

static bool is_loopback(const char *listen)
{
    struct str at = str_from_cstr(listen);
    return str_starts_with(at, STR("127.")) || str_starts_with(at, STR("[::1]:")) ||
           str_starts_with(at, STR("localhost:"));
}

static int check_options(const struct extender_serve_options *o, struct err *err)
{
    if (process_check_lease(o->lease_duration_ms, o->renew_deadline_ms, o->retry_period_ms, err) <
        0)
        return -1;
    if (!o->certificate.folder && !o->certificate.is_managed && !o->insecure &&
        !is_loopback(o->listen))
        return err_set(err, 400,
                       "who can reach --listen %s in plain HTTP can bind pods: give --manage-certs "
                       "or --cert-dir, listen on 127.0.0.1, or say --insecure",
                       o->listen);
    return certificate_check(&o->certificate, err);
}

static int open_process(struct service *s, struct err *err)
{
    const struct process_options options = {
        .clock = s->clock,
        .program = "callboard-extender",
        .kubeconfig = s->options->kubeconfig,
        .max_connections = WORKERS,
    };
    return process_open(&s->process, &options, err);
}

static int start_extender(struct service *s, struct err *err)
{
    const struct extender_serve_options *o = s->options;
    struct extender_config config = {
        .transport = s->process.transport,
        .clock = s->clock,
        .random = random_system(),
        .mem = mem_system(),
        .metrics = &s->metrics,
        .log = s->log,
        .host = s->process.kube->host,
        .catalog = s->catalog.current,
        .source = &s->snapshots,
        .packer = s->packer,
        .identity = str_from_cstr(s->process.identity),
        .lease_namespace = str_from_cstr(o->lease_namespace),
        .lease_duration_ns = o->lease_duration_ms * CLOCK_NS_PER_MS,
        .lease_renew_deadline_ns = o->renew_deadline_ms * CLOCK_NS_PER_MS,
        .lease_retry_ns = o->retry_period_ms * CLOCK_NS_PER_MS,
        .bind_timeout_ns = o->bind_timeout_ms * CLOCK_NS_PER_MS,
        .audit_ns = o->audit_ms * CLOCK_NS_PER_MS,
        .advice_s = o->advice_ms / 1000,
        .hold_ns = o->preemption_hold_ms * CLOCK_NS_PER_MS,
        .qps = (double)o->qps,
        .burst = (unsigned)o->burst,
        .workers = WORKERS,
        .answered = verbs_answered,
        .preempted = verbs_preempted,
        .advised = verbs_advised,
        .ctx = &s->verbs,
    };
    s->extender = extender_new(&config, err);
    return s->extender ? 0 : -1;
}

static int open_certificate(struct service *s, struct err *err)
{
    struct certificate_options options = s->options->certificate;
    options.kubeconfig = s->options->kubeconfig;
    return certificate_open(&s->certificate, &options, s->clock, &s->metrics, s->log, s->reloads,
                            err);
}

static int start_verbs(struct service *s, struct err *err)
{
    const struct extender_serve_options *o = s->options;
    verbs_routes(&s->verbs, s->routes);
    struct http_server_config config = {
        .listen = o->listen,
        .cert = s->certificate.source,
        .routes = s->routes,
        .route_count = VERB_ROUTES,
        .clock = s->clock,
        .threads = (unsigned)o->threads,
        .max_body = (size_t)o->max_body,
        .arena_max = (size_t)o->memory_budget,
        .memory_budget = (size_t)o->memory_budget,
    };
    return http_server_start(&config, &s->server, err);
}

static int start_people(struct service *s, struct err *err)
{
    verbs_people_routes(&s->verbs, s->people_routes);
    struct http_server_config config = {
        .listen = s->options->health_listen,
        .routes = s->people_routes,
        .route_count = PEOPLE_ROUTES,
        .clock = s->clock,
        .threads = 1,
        .max_connections = PEOPLE_CONNECTIONS,
        .max_body = PEOPLE_BODY_MAX,
        .arena_max = PEOPLE_ARENA_MAX,
        .memory_budget = PEOPLE_ARENA_MAX,
    };
    return http_server_start(&config, &s->people, err);
}

static void set_up_verbs(struct service *s)
{
    s->verbs.log = s->log;
    s->verbs.clock = s->clock;
    s->verbs.metrics = &s->metrics;
    s->verbs.source = &s->snapshots;
    s->verbs.packer = s->packer;
    s->verbs.bind_wait_ms = (unsigned)s->options->bind_timeout_ms;
    s->verbs.health = (struct health){.metrics = &s->metrics,
                                      .find_illness = find_illness,
                                      .find_unready = find_unready,
                                      .ctx = s};
    verbs_add_metrics(&s->verbs);
    s->reloads = metrics_counters(&s->metrics, "callboard_extender_reloads_total",
                                  "Reloads of certificate and catalog.",
                                  METRICS_LABELS("file", "result"), 8);
    metrics_add_build_info(&s->metrics, CALLBOARD_VERSION);
    metrics_add_process(&s->metrics, "/proc/self", s->clock);
}

static int start(struct service *s, struct err *err)
{
    const struct extender_serve_options *o = s->options;
    if (check_options(o, err) < 0 ||
        catalog_source_init(&s->catalog, o->catalog, mem_system(), err) < 0)
        return -1;
    s->verbs.decisions = decisions_new(mem_system(), s->clock, err);
    s->packer = packer_new(o->packing, mem_system(), err);
    if (!s->verbs.decisions || !s->packer)
        return -1;
    set_up_verbs(s);
    if (open_certificate(s, err) < 0 || open_process(s, err) < 0 || start_extender(s, err) < 0 ||
        metrics_check(&s->metrics, err) < 0)
        return -1;
    s->verbs.extender = s->extender;
    publish(s);
    if (certificate_start(&s->certificate, err) < 0 || start_verbs(s, err) < 0 ||
        start_people(s, err) < 0)
        return -1;
    return process_watch_signals(&s->process, err);
}

/* ---- Running ---- */

/* One turn of the loop, at most until the next tick. */
static void turn(struct service *s, int64_t *tick_ns)
{
    extender_run_once(s->extender, *tick_ns);
    publish(s);
    int64_t now_ns = clock_now_ns(s->clock);
    if (now_ns < *tick_ns)
        return;
    *tick_ns = now_ns + TICK_MS * CLOCK_NS_PER_MS;
    http_server_tick(s->server);
    http_server_tick(s->people);
    certificate_tick(&s->certificate);
    if (catalog_source_reload(&s->catalog, s->reloads, s->log))
        extender_set_catalog(s->extender, s->catalog.current);
}

/* While the Service forgets this replica, kube-scheduler is still answered: nobody else can. */
static void drain(struct service *s, int64_t *tick_ns)
{
    int64_t delay_ms = process_signal(&s->process) == SIGINT ? 0 : s->options->drain_delay_ms;
    int64_t end_ns = clock_now_ns(s->clock) + delay_ms * CLOCK_NS_PER_MS;
    log_info(s->log, "shutting down", LOG_INT("drainDelayMs", delay_ms));
    http_server_begin_drain(s->server);
    while (clock_now_ns(s->clock) < end_ns)
        turn(s, tick_ns);
}

static void run(struct service *s)
{
    int64_t tick_ns = clock_now_ns(s->clock) + TICK_MS * CLOCK_NS_PER_MS;
    while (process_signal(&s->process) == 0)
        turn(s, &tick_ns);
    drain(s, &tick_ns);
    extender_stop(s->extender);
    int64_t end_ns = clock_now_ns(s->clock) + END_S * CLOCK_NS_PER_SEC;
    while (!extender_has_stopped(s->extender) && clock_now_ns(s->clock) < end_ns)
        turn(s, &tick_ns);
    if (!extender_has_stopped(s->extender))
        log_warn(s->log, "the Lease could not be given up: another replica takes over when it "
                         "runs out");
}

static void done(struct service *s)
{
    process_unwatch_signals(&s->process);
    atomic_store(&s->verbs.is_active, false);
    http_server_stop(s->server, STOP_MS);
    http_server_stop(s->people, HEALTH_STOP_MS);
    extender_free(s->extender);
    packer_free(s->packer);
    snapshot_source_done(&s->snapshots);
    process_close(&s->process);
    decisions_free(s->verbs.decisions);
    pace_done(&s->verbs.pace);
    certificate_close(&s->certificate);
    catalog_source_done(&s->catalog);
    metrics_done(&s->metrics);
}

int extender_serve(const struct extender_serve_options *options, const struct log *log)
{
    struct service s = {.options = options, .log = log, .clock = clock_system()};
    struct err err;
    int status = 0;
    metrics_init(&s.metrics, mem_system());
    snapshot_source_init(&s.snapshots);
    pace_init(&s.verbs.pace, WORKERS); /* those beyond would wait here to be sent */
    program_block_signals();
    if (start(&s, &err) < 0) {
        log_error(log, "cannot start", LOG_ERR(&err));
        status = 1;
    } else {
        log_info(log, "started", LOG_CSTR("version", CALLBOARD_VERSION),
                 LOG_STR("server", s.process.kube->server),
                 LOG_STR("configuredBy", s.process.kube->origin),
                 LOG_UINT("port", http_server_port(s.server)),
                 LOG_UINT("healthPort", http_server_port(s.people)));
        run(&s);
    }
    done(&s);
    if (status == 0)
        log_info(log, "ended", LOG_UINT("logLinesLost", log->sink->lost));
    return status;
}
