/* Starting, watching over and ending the webhook's servers. */
#include "webhook/serve.h"

#include "base/program.h"
#include "webhook/cluster.h"
#include "webhook/handlers.h"

#include <signal.h>
#include <unistd.h>

enum {
    TICK_MS = 1000,
    HEALTH_STOP_MS = 1000,
};

struct app {
    const struct serve_options *options;
    const struct log *log;
    const struct clock *clock;
    struct metrics metrics;
    struct catalog_source catalog;
    struct cert_source *cert;
    struct managed managed;
    struct cluster cluster;
    struct handlers handlers;
    struct http_route admission_routes[ADMISSION_ROUTES];
    struct http_route health_routes[HEALTH_ROUTES];
    struct http_server *admission;
    struct http_server *health;
};

static const struct certs_owner owner = {
    .service = "callboard-webhook",
    .secret = "callboard-webhook-tls",
    .configuration = "callboard",
    .user_agent = "callboard-webhook/" CALLBOARD_VERSION,
    .field_manager = "callboard-webhook",
    .days_left = "callboard_webhook_certificate_authority_days_left",
    .authorities = "callboard_webhook_certificate_authorities",
    .writes = "callboard_webhook_certificate_writes_total",
};

/* ---- Starting ---- */

static int start_admission(struct app *app, struct err *err)
{
    const struct serve_options *o = app->options;
    handlers_admission_routes(&app->handlers, app->admission_routes);
    struct http_server_config config = {
        .listen = o->listen,
        .cert = app->cert,
        .routes = app->admission_routes,
        .route_count = ADMISSION_ROUTES,
        .clock = app->clock,
        .mem = mem_system(),
        .threads = o->threads,
        .max_connections = o->max_connections,
        .max_body = o->max_body,
        .memory_budget = o->memory_budget,
        .header_timeout_ms = o->header_timeout_ms,
        .request_timeout_ms = o->request_timeout_ms,
        .idle_timeout_ms = o->idle_timeout_ms,
        .on_access = handlers_on_access,
        .ctx = &app->handlers,
    };
    return http_server_start(&config, &app->admission, err);
}

static void on_load(void *ctx, bool is_good)
{
    handlers_count_load(ctx, is_good);
}

/* Without --cert-dir the pair comes when the API server has been asked: until then nobody can be served,
 * and /readyz says so. */
static int open_cert(struct app *app, struct err *err)
{
    if (app->options->cert_dir)
        return cert_source_open_dir(app->options->cert_dir, app->clock, &app->cert, err);
    if (cert_source_open_empty(app->clock, &app->cert, err) < 0)
        return -1;
    const struct managed_parts parts = {
        .owner = &owner,
        .clock = app->clock,
        .metrics = &app->metrics,
        .log = app->log,
        .source = app->cert,
        .on_load = on_load,
        .ctx = &app->handlers,
    };
    if (managed_open(&app->managed, &app->options->managed, &parts, err) < 0)
        return -1;
    app->handlers.certs = app->managed.certs;
    return 0;
}

static int start(struct app *app, struct err *err)
{
    if (catalog_source_init(&app->catalog, app->options->catalog, mem_system(), err) < 0)
        return -1;
    app->handlers.catalog = &app->catalog;
    if (open_cert(app, err) < 0)
        return -1;
    if (cluster_open(&app->cluster, app->options->kubeconfig, app->clock, &app->metrics, app->log,
                     err) < 0)
        return -1;
    app->handlers.lookups = app->cluster.lookups;
    app->handlers.no_lookups = app->cluster.reason;
    handlers_add_metrics(&app->handlers);
    handlers_add_server_metrics(&app->handlers, &app->admission, app->cert);
    metrics_add_build_info(&app->metrics, CALLBOARD_VERSION);
    metrics_add_process(&app->metrics, "/proc/self", app->clock);
    if (metrics_check(&app->metrics, err) < 0)
        return -1;
    /* Nothing waits for the API server here: flows with templateRef need it, each when it comes, and
     * certificates. */
    if (cluster_start(&app->cluster, err) < 0 || managed_start(&app->managed, err) < 0 ||
        start_admission(app, err) < 0)
        return -1;
    /* Health comes second: it must not answer before there is something to be ready. */
    handlers_health_routes(&app->handlers, app->health_routes);
    if (health_start(app->options->health_listen, app->health_routes, app->clock, &app->health,
                     err) < 0)
        return -1;
    atomic_store(&app->handlers.is_ready, true);
    return 0;
}

/* ---- Running ---- */

static void warn_of_expiry(struct app *app)
{
    struct cert_info info;
    cert_source_info(app->cert, &info);
    if (info.is_expired && app->options->cert_dir)
        log_warn(app->log, "the certificate has expired: the apiserver refuses it",
                 LOG_CSTR("folder", app->options->cert_dir));
}

static void reload(struct app *app)
{
    if (cert_source_reload(app->cert, app->handlers.reloads, app->log))
        warn_of_expiry(app);
    (void)catalog_source_reload(&app->catalog, app->handlers.reloads, app->log);
}

static void tick(struct app *app)
{
    http_server_tick(app->admission);
    http_server_tick(app->health);
    reload(app);
}

/* ---- Ending ---- */

/*
 * Kubernetes sends SIGTERM and takes the pod out of the Service at the same time, so for a while new
 * connections still come: they are served. Ctrl-C means a person who does not want to wait.
 */
static void drain(struct app *app, int signal_number)
{
    program_end_on_second_signal();
    atomic_store(&app->handlers.is_ready, false);
    unsigned delay_ms = signal_number == SIGINT ? 0 : app->options->drain_delay_ms;
    log_info(app->log, "shutting down", LOG_UINT("drainDelayMs", delay_ms));
    http_server_begin_drain(app->admission);
    int64_t end_ns = clock_now_ns(app->clock) + (int64_t)delay_ms * CLOCK_NS_PER_MS;
    while (clock_now_ns(app->clock) < end_ns) {
        int64_t left_ms = (end_ns - clock_now_ns(app->clock)) / CLOCK_NS_PER_MS;
        usleep((useconds_t)(left_ms < TICK_MS ? left_ms + 1 : TICK_MS) * 1000);
        tick(app);
    }
}

static void done(struct app *app)
{
    if (app->admission) {
        size_t cut = http_server_stop(app->admission, app->options->drain_timeout_ms);
        if (cut > 0)
            log_warn(app->log, "requests were cut", LOG_UINT("requests", cut));
    }
    http_server_stop(app->health, HEALTH_STOP_MS);
    cluster_close(&app->cluster);
    managed_close(&app->managed);
    cert_source_close(app->cert);
    catalog_source_done(&app->catalog);
    metrics_done(&app->metrics);
}

int serve_run(const struct serve_options *options, const struct log *log)
{
    struct app app = {.options = options, .log = log, .clock = clock_system()};
    app.handlers = (struct handlers){.log = log, .clock = app.clock, .metrics = &app.metrics};
    metrics_init(&app.metrics, mem_system());
    program_block_signals();

    struct err err;
    int status = 0;
    if (start(&app, &err) < 0) {
        log_error(log, "cannot start", LOG_ERR(&err));
        status = 1;
    } else {
        log_info(log, "ready", LOG_CSTR("version", CALLBOARD_VERSION),
                 LOG_UINT("port", http_server_port(app.admission)),
                 LOG_UINT("healthPort", http_server_port(app.health)));
        warn_of_expiry(&app);
        int signal_number;
        while ((signal_number = program_wait_signal(TICK_MS)) == 0)
            tick(&app);
        drain(&app, signal_number);
    }
    done(&app);
    if (status == 0)
        log_info(log, "ended", LOG_UINT("logLinesLost", log->sink->lost));
    return status;
}
