/* The process around the app: how the server is reached, health, signals, the catalog's file. */
#include "controller/serve.h"

#include "base/program.h"
#include "controller/app.h"
#include "http/health.h"
#include "kube/config.h"
#include "kube/curl.h"
#include "types/catalog_source.h"

#include <stdio.h>
#include <unistd.h>

enum {
    TICK_MS = 1000,
    HEALTH_STOP_MS = 1000,
    /* Among what a Performer takes to start nobody notices it; on a busy cluster it saves a third of our
     * processor time. */
    GATHER_MS = 20,
    /* A loop that has not come round for so long is stuck; one turn takes milliseconds. */
    HEARTBEAT_S = 30,
    /* Watches are heard at least every 90 s while all is well. */
    HEARD_S = 300,
    END_S = 10,
    HOST_NAME_SIZE = 256,
    IDENTITY_SIZE = HOST_NAME_SIZE + RANDOM_UUID_SIZE,
};

struct process {
    const struct controller_options *options;
    const struct log *log;
    const struct clock *clock;
    struct metrics metrics;
    struct catalog_source catalog;
    struct counter_family *reloads;
    struct kube_config *kube;
    struct kube_transport *transport;
    struct app *app;
    struct health health;
    struct http_route routes[HEALTH_ROUTES];
    struct http_server *server;
    char host_name[HOST_NAME_SIZE];
    char identity[IDENTITY_SIZE];
    pthread_t signals;
    bool has_signals;
    atomic_bool has_ended; /* the thread of the signals may end */
    /* For the threads of the health server. */
    atomic_int signal_number; /* that asked for the end, or 0 */
    atomic_bool has_synced;
    _Atomic int64_t beat_ns;  /* of the event loop */
    _Atomic int64_t heard_ns; /* of the quietest watch */
};

/* ---- Health ---- */

static bool is_older(const struct process *p, int64_t at_ns, int64_t seconds)
{
    return clock_now_ns(p->clock) - at_ns > seconds * CLOCK_NS_PER_SEC;
}

static const char *find_illness(void *ctx)
{
    const struct process *p = ctx;
    if (is_older(p, atomic_load(&p->beat_ns), HEARTBEAT_S))
        return "the event loop is stuck";
    if (atomic_load(&p->has_synced) && is_older(p, atomic_load(&p->heard_ns), HEARD_S))
        return "a watch has heard nothing from the apiserver for minutes";
    return NULL;
}

static const char *find_unready(void *ctx)
{
    const struct process *p = ctx;
    if (atomic_load(&p->signal_number) != 0)
        return "shutting down";
    if (!atomic_load(&p->has_synced))
        return "the caches are being filled";
    return NULL;
}

static void publish(struct process *p)
{
    struct app_status status;
    app_status(p->app, &status);
    atomic_store(&p->has_synced, status.has_synced);
    atomic_store(&p->heard_ns, status.heard_ns);
    atomic_store(&p->beat_ns, clock_now_ns(p->clock));
}

/* ---- Signals ---- */

/* Ends the wait of the event loop as well, from a thread of its own: a handler would need a global. */
static void *wait_for_signals(void *ctx)
{
    struct process *p = ctx;
    int signal_number = 0;
    while (signal_number == 0 && !atomic_load(&p->has_ended))
        signal_number = program_wait_signal(TICK_MS);
    if (signal_number == 0)
        return NULL;
    atomic_store(&p->signal_number, signal_number);
    p->transport->ops->wake(p->transport);
    program_end_on_second_signal();
    while (!atomic_load(&p->has_ended))
        usleep(10 * 1000);
    return NULL;
}

/* ---- Starting ---- */

static void name_process(struct process *p)
{
    char uuid[RANDOM_UUID_SIZE];
    if (gethostname(p->host_name, sizeof(p->host_name) - 1) != 0 || p->host_name[0] == '\0')
        snprintf(p->host_name, sizeof(p->host_name), "callboard-controller");
    random_uuid(random_system(), uuid);
    snprintf(p->identity, sizeof(p->identity), "%s_%s", p->host_name, uuid);
}

static int check_times(const struct controller_options *o, struct err *err)
{
    if (o->renew_deadline_ms >= o->lease_duration_ms)
        return err_set(err, 400,
                       "--leader-elect-renew-deadline must be less than "
                       "--leader-elect-lease-duration: a leader has to stop before another begins");
    if (o->lease_duration_ms % 1000 != 0)
        return err_set(err, 400, "--leader-elect-lease-duration must be whole seconds");
    if (o->retry_period_ms >= o->renew_deadline_ms)
        return err_set(err, 400,
                       "--leader-elect-retry-period must be less than "
                       "--leader-elect-renew-deadline");
    return 0;
}

static struct str text_or_absent(const char *text)
{
    return text && text[0] ? str_from_cstr(text) : (struct str){NULL, 0};
}

static int connect_to_cluster(struct process *p, struct err *err)
{
    const struct kube_config_options options = {
        .mem = mem_system(), .clock = p->clock, .kubeconfig = p->options->kubeconfig};
    int found = kube_config_load(&options, &p->kube, err);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(err, 400,
                       "there is no cluster: give --kubeconfig FILE, set KUBECONFIG, or run in a "
                       "pod with a ServiceAccount");
    struct kube_curl_config config = {
        .mem = mem_system(),
        .clock = p->clock,
        .server = p->kube->server,
        .tls_server_name = p->kube->tls_server_name,
        .proxy = p->kube->proxy,
        .is_insecure = p->kube->is_insecure,
        .user_agent = STR("callboard-controller/" CALLBOARD_VERSION),
        .identity = p->kube->identity,
        .max_connections = (unsigned)p->options->workers,
        .gather_ns = GATHER_MS * CLOCK_NS_PER_MS,
    };
    p->transport = kube_curl_new(&config, err);
    return p->transport ? 0 : -1;
}

static int start_app(struct process *p, struct err *err)
{
    const struct controller_options *o = p->options;
    struct app_config config = {
        .transport = p->transport,
        .clock = p->clock,
        .random = random_system(),
        .mem = mem_system(),
        .metrics = &p->metrics,
        .log = p->log,
        .host = p->kube->host,
        .catalog = p->catalog.current,
        .identity = str_from_cstr(p->identity),
        .instance = str_from_cstr(p->host_name),
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
    p->app = app_new(&config, err);
    return p->app ? 0 : -1;
}

static int start_health(struct process *p, struct err *err)
{
    p->health = (struct health){.metrics = &p->metrics,
                                .find_illness = find_illness,
                                .find_unready = find_unready,
                                .ctx = p};
    health_routes(&p->health, p->routes);
    return health_start(p->options->health_listen, p->routes, p->clock, &p->server, err);
}

static int start(struct process *p, struct err *err)
{
    if (check_times(p->options, err) < 0 ||
        catalog_source_init(&p->catalog, p->options->catalog, mem_system(), err) < 0)
        return -1;
    name_process(p);
    p->reloads = metrics_counters(&p->metrics, "callboard_controller_reloads_total",
                                  "Reloads of the catalog.", METRICS_LABELS("file", "result"), 8);
    metrics_add_build_info(&p->metrics, CALLBOARD_VERSION);
    metrics_add_process(&p->metrics, "/proc/self", p->clock);
    if (connect_to_cluster(p, err) < 0 || start_app(p, err) < 0 ||
        metrics_check(&p->metrics, err) < 0)
        return -1;
    publish(p);
    if (start_health(p, err) < 0)
        return -1;
    if (pthread_create(&p->signals, NULL, wait_for_signals, p) != 0)
        return err_set(err, 500, "cannot start a thread");
    p->has_signals = true;
    return 0;
}

/* ---- Running ---- */

static void reload(struct process *p)
{
    struct err err;
    int changed = catalog_source_refresh(&p->catalog, &err);
    if (changed == 0)
        return;
    struct str result = changed > 0 ? STR("ok") : STR("error");
    counter_add(counter_of(p->reloads, METRICS_VALUES(STR("catalog"), result)), 1);
    if (changed > 0) {
        app_set_catalog(p->app, p->catalog.current);
        log_info(p->log, "catalog reloaded", LOG_CSTR("file", p->options->catalog));
    } else {
        log_error(p->log, "the new catalog does not work; the old one stays in use", LOG_ERR(&err));
    }
}

/* One turn of the loop, at most until the next tick. */
static void turn(struct process *p, int64_t *tick_ns)
{
    app_run_once(p->app, *tick_ns);
    publish(p);
    int64_t now_ns = clock_now_ns(p->clock);
    if (now_ns < *tick_ns)
        return;
    *tick_ns = now_ns + TICK_MS * CLOCK_NS_PER_MS;
    http_server_tick(p->server);
    reload(p);
}

static void run(struct process *p)
{
    int64_t tick_ns = clock_now_ns(p->clock) + TICK_MS * CLOCK_NS_PER_MS;
    while (atomic_load(&p->signal_number) == 0)
        turn(p, &tick_ns);
    log_info(p->log, "shutting down");
    app_stop(p->app);
    int64_t end_ns = clock_now_ns(p->clock) + END_S * CLOCK_NS_PER_SEC;
    while (!app_has_stopped(p->app) && clock_now_ns(p->clock) < end_ns)
        turn(p, &tick_ns);
    if (!app_has_stopped(p->app))
        log_warn(p->log, "the Lease could not be given up: another replica takes over when it "
                         "runs out");
}

static void done(struct process *p)
{
    atomic_store(&p->has_ended, true);
    if (p->has_signals)
        pthread_join(p->signals, NULL);
    http_server_stop(p->server, HEALTH_STOP_MS);
    app_free(p->app);
    kube_curl_free(p->transport);
    kube_config_free(p->kube);
    catalog_source_done(&p->catalog);
    metrics_done(&p->metrics);
}

int controller_serve(const struct controller_options *options, const struct log *log)
{
    struct process p = {.options = options, .log = log, .clock = clock_system()};
    struct err err;
    int status = 0;
    metrics_init(&p.metrics, mem_system());
    program_block_signals();
    if (start(&p, &err) < 0) {
        log_error(log, "cannot start", LOG_ERR(&err));
        status = 1;
    } else {
        log_info(log, "started", LOG_CSTR("version", CALLBOARD_VERSION),
                 LOG_STR("server", p.kube->server), LOG_STR("configuredBy", p.kube->origin),
                 LOG_UINT("healthPort", http_server_port(p.server)));
        run(&p);
    }
    done(&p);
    if (status == 0)
        log_info(log, "ended", LOG_UINT("logLinesLost", log->sink->lost));
    return status;
}
