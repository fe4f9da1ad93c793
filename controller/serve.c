/* The process around the app: how the server is reached, health, signals, the catalog's file. */
#include "controller/serve.h"

#include "base/program.h"
#include "controller/app.h"
#include "http/health.h"
#include "kube/process.h"
#include "types/catalog_source.h"

enum {
    TICK_MS = 1000,
    HEALTH_STOP_MS = 1000,
    /* Among what a Performer takes to start nobody notices it; on a busy cluster it saves a third of our
     * processor time. */
    GATHER_MS = 20,
    END_S = 10,
};

struct service {
    const struct controller_options *options;
    const struct log *log;
    const struct clock *clock;
    struct metrics metrics;
    struct catalog_source catalog;
    struct counter_family *reloads;
    struct process process;
    struct app *app;
    struct health health;
    struct http_route routes[HEALTH_ROUTES];
    struct http_server *server;
};

static void publish(struct service *s)
{
    struct app_status status;
    app_status(s->app, &status);
    process_beat(&s->process, status.has_synced, status.heard_ns);
}

/* ---- Starting ---- */

static struct str text_or_absent(const char *text)
{
    return text && text[0] ? str_from_cstr(text) : (struct str){NULL, 0};
}

static int open_process(struct service *s, struct err *err)
{
    const struct process_options options = {
        .clock = s->clock,
        .program = "callboard-controller",
        .kubeconfig = s->options->kubeconfig,
        .max_connections = (unsigned)s->options->workers,
        .gather_ns = GATHER_MS * CLOCK_NS_PER_MS,
    };
    return process_open(&s->process, &options, err);
}

static int start_app(struct service *s, struct err *err)
{
    const struct controller_options *o = s->options;
    struct app_config config = {
        .transport = s->process.transport,
        .clock = s->clock,
        .random = random_system(),
        .mem = mem_system(),
        .metrics = &s->metrics,
        .log = s->log,
        .host = s->process.kube->host,
        .catalog = s->catalog.current,
        .identity = str_from_cstr(s->process.identity),
        .instance = str_from_cstr(s->process.host_name),
        .lease_namespace = text_or_absent(o->lease_namespace),
        .namespace = text_or_absent(o->namespace),
        .lease_duration_ns = o->lease_duration_ms * CLOCK_NS_PER_MS,
        .lease_renew_deadline_ns = o->renew_deadline_ms * CLOCK_NS_PER_MS,
        .lease_retry_ns = o->retry_period_ms * CLOCK_NS_PER_MS,
        .resync_ns = o->resync_ms * CLOCK_NS_PER_MS,
        .qps = (double)o->qps,
        .burst = (unsigned)o->burst,
        .workers = (unsigned)o->workers,
        .scheduler = o->scheduler,
        .max_active = o->max_active_flows,
    };
    s->app = app_new(&config, err);
    return s->app ? 0 : -1;
}

static int start_health(struct service *s, struct err *err)
{
    s->health = (struct health){.metrics = &s->metrics,
                                .find_illness = process_find_illness,
                                .find_unready = process_find_unready,
                                .ctx = &s->process};
    health_routes(&s->health, s->routes);
    return health_start(s->options->health_listen, s->routes, s->clock, &s->server, err);
}

static int start(struct service *s, struct err *err)
{
    const struct controller_options *o = s->options;
    if (process_check_lease(o->lease_duration_ms, o->renew_deadline_ms, o->retry_period_ms, err) <
            0 ||
        catalog_source_init(&s->catalog, o->catalog, mem_system(), err) < 0)
        return -1;
    s->reloads = metrics_counters(&s->metrics, "callboard_controller_reloads_total",
                                  "Reloads of the catalog.", METRICS_LABELS("file", "result"), 8);
    metrics_add_build_info(&s->metrics, CALLBOARD_VERSION);
    metrics_add_process(&s->metrics, "/proc/self", s->clock);
    if (open_process(s, err) < 0 || start_app(s, err) < 0 || metrics_check(&s->metrics, err) < 0)
        return -1;
    publish(s);
    return start_health(s, err) < 0 || process_watch_signals(&s->process, err) < 0 ? -1 : 0;
}

/* ---- Running ---- */

/* One turn of the loop, at most until the next tick. */
static void turn(struct service *s, int64_t *tick_ns)
{
    app_run_once(s->app, *tick_ns);
    publish(s);
    int64_t now_ns = clock_now_ns(s->clock);
    if (now_ns < *tick_ns)
        return;
    *tick_ns = now_ns + TICK_MS * CLOCK_NS_PER_MS;
    http_server_tick(s->server);
    if (catalog_source_reload(&s->catalog, s->reloads, s->log))
        app_set_catalog(s->app, s->catalog.current);
}

static void run(struct service *s)
{
    int64_t tick_ns = clock_now_ns(s->clock) + TICK_MS * CLOCK_NS_PER_MS;
    while (process_signal(&s->process) == 0)
        turn(s, &tick_ns);
    log_info(s->log, "shutting down");
    app_stop(s->app);
    int64_t end_ns = clock_now_ns(s->clock) + END_S * CLOCK_NS_PER_SEC;
    while (!app_has_stopped(s->app) && clock_now_ns(s->clock) < end_ns)
        turn(s, &tick_ns);
    if (!app_has_stopped(s->app))
        log_warn(s->log, "the Lease could not be given up: another replica takes over when it "
                         "runs out");
}

static void done(struct service *s)
{
    process_unwatch_signals(&s->process);
    http_server_stop(s->server, HEALTH_STOP_MS);
    app_free(s->app);
    process_close(&s->process);
    catalog_source_done(&s->catalog);
    metrics_done(&s->metrics);
}

int controller_serve(const struct controller_options *options, const struct log *log)
{
    struct service s = {.options = options, .log = log, .clock = clock_system()};
    struct err err;
    int status = 0;
    metrics_init(&s.metrics, mem_system());
    program_block_signals();
    if (start(&s, &err) < 0) {
        log_error(log, "cannot start", LOG_ERR(&err));
        status = 1;
    } else {
        log_info(log, "started", LOG_CSTR("version", CALLBOARD_VERSION),
                 LOG_STR("server", s.process.kube->server),
                 LOG_STR("configuredBy", s.process.kube->origin),
                 LOG_UINT("healthPort", http_server_port(s.server)));
        run(&s);
    }
    done(&s);
    if (status == 0)
        log_info(log, "ended", LOG_UINT("logLinesLost", log->sink->lost));
    return status;
}
