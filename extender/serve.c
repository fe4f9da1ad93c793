/* The process around the extender: servers, signals, files that may change, the event loop. */
#include "extender/serve.h"

#include "base/program.h"
#include "extender/verbs.h"
#include "http/cert.h"
#include "kube/config.h"
#include "kube/curl.h"
#include "types/catalog_source.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum {
    TICK_MS = 1000,
    STOP_MS = 5000,
    HEALTH_STOP_MS = 1000,
    /* A loop that has not come round for so long is stuck; one turn takes milliseconds. */
    HEARTBEAT_S = 30,
    /* Watches are heard at least every 90 s while all is well. */
    HEARD_S = 300,
    END_S = 10,
    HOST_NAME_SIZE = 256,
    IDENTITY_SIZE = HOST_NAME_SIZE + RANDOM_UUID_SIZE,
    WORKERS = 32,
    /* /nodes and the metrics of nodes are megabytes on large clusters. */
    PEOPLE_ARENA_MAX = 64 * 1024 * 1024,
    PEOPLE_CONNECTIONS = 32,
    PEOPLE_BODY_MAX = 1024,
};

struct process {
    const struct extender_serve_options *options;
    const struct log *log;
    const struct clock *clock;
    struct metrics metrics;
    struct catalog_source catalog;
    struct counter_family *reloads;
    struct cert_source *cert;
    struct kube_config *kube;
    struct kube_transport *transport;
    struct snapshot_source snapshots;
    struct extender *extender;
    struct verbs verbs;
    struct http_route routes[VERB_ROUTES];
    struct http_route people_routes[PEOPLE_ROUTES];
    struct http_server *server;
    struct http_server *people;
    char identity[IDENTITY_SIZE];
    pthread_t signals;
    bool has_signals;
    atomic_bool has_ended; /* the thread of the signals may end */
    /* For the threads of the servers. */
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

/* A standby is not ready: the Service leads to the one replica that answers. */
static const char *find_unready(void *ctx)
{
    const struct process *p = ctx;
    if (atomic_load(&p->signal_number) != 0)
        return "shutting down";
    if (!atomic_load(&p->has_synced))
        return "the caches are being filled";
    if (!atomic_load(&p->verbs.is_active))
        return "standing by: another replica holds the Lease, or its last bindings are waited for";
    return NULL;
}

static void publish(struct process *p)
{
    struct extender_status status;
    extender_status(p->extender, &status);
    atomic_store(&p->has_synced, status.has_synced);
    atomic_store(&p->verbs.is_active, status.is_active);
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
    char host_name[HOST_NAME_SIZE] = "", uuid[RANDOM_UUID_SIZE];
    if (gethostname(host_name, sizeof(host_name) - 1) != 0 || host_name[0] == '\0')
        snprintf(host_name, sizeof(host_name), "callboard-extender");
    random_uuid(random_system(), uuid);
    snprintf(p->identity, sizeof(p->identity), "%s_%s", host_name, uuid);
}

static bool is_loopback(const char *listen)
{
    struct str at = str_from_cstr(listen);
    return str_starts_with(at, STR("127.")) || str_starts_with(at, STR("[::1]:")) ||
           str_starts_with(at, STR("localhost:"));
}

static int check_options(const struct extender_serve_options *o, struct err *err)
{
    if (o->renew_deadline_ms >= o->lease_duration_ms)
        return err_set(err, 400,
                       "--leader-elect-renew-deadline must be less than "
                       "--leader-elect-lease-duration: a holder has to stop before another begins");
    if (o->lease_duration_ms % 1000 != 0)
        return err_set(err, 400, "--leader-elect-lease-duration must be whole seconds");
    if (o->retry_period_ms >= o->renew_deadline_ms)
        return err_set(err, 400,
                       "--leader-elect-retry-period must be less than "
                       "--leader-elect-renew-deadline");
    if (!o->cert_dir && !o->insecure && !is_loopback(o->listen))
        return err_set(err, 400,
                       "who can reach --listen %s in plain HTTP can bind pods: give --cert-dir, "
                       "listen on 127.0.0.1, or say --insecure",
                       o->listen);
    return 0;
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
        .user_agent = STR("callboard-extender/" CALLBOARD_VERSION),
        .identity = p->kube->identity,
        .max_connections = WORKERS,
    };
    p->transport = kube_curl_new(&config, err);
    return p->transport ? 0 : -1;
}

static int start_extender(struct process *p, struct err *err)
{
    const struct extender_serve_options *o = p->options;
    struct extender_config config = {
        .transport = p->transport,
        .clock = p->clock,
        .random = random_system(),
        .mem = mem_system(),
        .metrics = &p->metrics,
        .log = p->log,
        .host = p->kube->host,
        .catalog = p->catalog.current,
        .source = &p->snapshots,
        .identity = str_from_cstr(p->identity),
        .lease_namespace = str_from_cstr(o->lease_namespace),
        .lease_duration_ns = o->lease_duration_ms * CLOCK_NS_PER_MS,
        .lease_renew_deadline_ns = o->renew_deadline_ms * CLOCK_NS_PER_MS,
        .lease_retry_ns = o->retry_period_ms * CLOCK_NS_PER_MS,
        .bind_timeout_ns = o->bind_timeout_ms * CLOCK_NS_PER_MS,
        .audit_ns = o->audit_ms * CLOCK_NS_PER_MS,
        .qps = (double)o->qps,
        .burst = (unsigned)o->burst,
        .workers = WORKERS,
        .answered = verbs_answered,
        .ctx = &p->verbs,
    };
    p->extender = extender_new(&config, err);
    return p->extender ? 0 : -1;
}

static int start_verbs(struct process *p, struct err *err)
{
    const struct extender_serve_options *o = p->options;
    verbs_routes(&p->verbs, p->routes);
    struct http_server_config config = {
        .listen = o->listen,
        .cert = p->cert,
        .routes = p->routes,
        .route_count = VERB_ROUTES,
        .clock = p->clock,
        .threads = (unsigned)o->threads,
        .max_body = (size_t)o->max_body,
        .arena_max = (size_t)o->memory_budget,
        .memory_budget = (size_t)o->memory_budget,
    };
    return http_server_start(&config, &p->server, err);
}

static int start_people(struct process *p, struct err *err)
{
    verbs_people_routes(&p->verbs, p->people_routes);
    struct http_server_config config = {
        .listen = p->options->health_listen,
        .routes = p->people_routes,
        .route_count = PEOPLE_ROUTES,
        .clock = p->clock,
        .threads = 1,
        .max_connections = PEOPLE_CONNECTIONS,
        .max_body = PEOPLE_BODY_MAX,
        .arena_max = PEOPLE_ARENA_MAX,
        .memory_budget = PEOPLE_ARENA_MAX,
    };
    return http_server_start(&config, &p->people, err);
}

static void set_up_verbs(struct process *p)
{
    p->verbs.log = p->log;
    p->verbs.clock = p->clock;
    p->verbs.metrics = &p->metrics;
    p->verbs.source = &p->snapshots;
    p->verbs.bind_wait_ms = (unsigned)p->options->bind_timeout_ms;
    p->verbs.health = (struct health){.metrics = &p->metrics,
                                      .find_illness = find_illness,
                                      .find_unready = find_unready,
                                      .ctx = p};
    verbs_add_metrics(&p->verbs);
    p->reloads = metrics_counters(&p->metrics, "callboard_extender_reloads_total",
                                  "Reloads of certificate and catalog.",
                                  METRICS_LABELS("file", "result"), 8);
    metrics_add_build_info(&p->metrics, CALLBOARD_VERSION);
    metrics_add_process(&p->metrics, "/proc/self", p->clock);
}

static int start(struct process *p, struct err *err)
{
    const struct extender_serve_options *o = p->options;
    if (check_options(o, err) < 0 ||
        catalog_source_init(&p->catalog, o->catalog, mem_system(), err) < 0)
        return -1;
    if (o->cert_dir && cert_source_open_dir(o->cert_dir, p->clock, &p->cert, err) < 0)
        return -1;
    p->verbs.decisions = decisions_new(mem_system(), p->clock, err);
    if (!p->verbs.decisions)
        return -1;
    name_process(p);
    set_up_verbs(p);
    if (connect_to_cluster(p, err) < 0 || start_extender(p, err) < 0 ||
        metrics_check(&p->metrics, err) < 0)
        return -1;
    p->verbs.extender = p->extender;
    publish(p);
    if (start_verbs(p, err) < 0 || start_people(p, err) < 0)
        return -1;
    if (pthread_create(&p->signals, NULL, wait_for_signals, p) != 0)
        return err_set(err, 500, "cannot start a thread");
    p->has_signals = true;
    return 0;
}

/* ---- Running ---- */

static void count_reload(struct process *p, struct str file, bool is_good)
{
    counter_add(counter_of(p->reloads, METRICS_VALUES(file, is_good ? STR("ok") : STR("error"))),
                1);
}

static void reload_certificate(struct process *p)
{
    struct err err;
    int changed = p->cert ? cert_source_refresh(p->cert, &err) : 0;
    if (changed == 0)
        return;
    count_reload(p, STR("certificate"), changed > 0);
    if (changed > 0)
        log_info(p->log, "certificate reloaded", LOG_CSTR("folder", p->options->cert_dir));
    else
        log_error(p->log, "the new certificate does not work; the old one stays in use",
                  LOG_ERR(&err));
}

static void reload_catalog(struct process *p)
{
    struct err err;
    int changed = catalog_source_refresh(&p->catalog, &err);
    if (changed == 0)
        return;
    count_reload(p, STR("catalog"), changed > 0);
    if (changed > 0) {
        extender_set_catalog(p->extender, p->catalog.current);
        log_info(p->log, "catalog reloaded", LOG_CSTR("file", p->options->catalog));
    } else {
        log_error(p->log, "the new catalog does not work; the old one stays in use", LOG_ERR(&err));
    }
}

/* One turn of the loop, at most until the next tick. */
static void turn(struct process *p, int64_t *tick_ns)
{
    extender_run_once(p->extender, *tick_ns);
    publish(p);
    int64_t now_ns = clock_now_ns(p->clock);
    if (now_ns < *tick_ns)
        return;
    *tick_ns = now_ns + TICK_MS * CLOCK_NS_PER_MS;
    http_server_tick(p->server);
    http_server_tick(p->people);
    reload_certificate(p);
    reload_catalog(p);
}

/* While the Service forgets this replica, kube-scheduler is still answered: nobody else can. */
static void drain(struct process *p, int64_t *tick_ns)
{
    int64_t delay_ms = atomic_load(&p->signal_number) == SIGINT ? 0 : p->options->drain_delay_ms;
    int64_t end_ns = clock_now_ns(p->clock) + delay_ms * CLOCK_NS_PER_MS;
    log_info(p->log, "shutting down", LOG_INT("drainDelayMs", delay_ms));
    http_server_begin_drain(p->server);
    while (clock_now_ns(p->clock) < end_ns)
        turn(p, tick_ns);
}

static void run(struct process *p)
{
    int64_t tick_ns = clock_now_ns(p->clock) + TICK_MS * CLOCK_NS_PER_MS;
    while (atomic_load(&p->signal_number) == 0)
        turn(p, &tick_ns);
    drain(p, &tick_ns);
    extender_stop(p->extender);
    int64_t end_ns = clock_now_ns(p->clock) + END_S * CLOCK_NS_PER_SEC;
    while (!extender_has_stopped(p->extender) && clock_now_ns(p->clock) < end_ns)
        turn(p, &tick_ns);
    if (!extender_has_stopped(p->extender))
        log_warn(p->log, "the Lease could not be given up: another replica takes over when it "
                         "runs out");
}

static void done(struct process *p)
{
    atomic_store(&p->has_ended, true);
    atomic_store(&p->verbs.is_active, false);
    if (p->has_signals)
        pthread_join(p->signals, NULL);
    http_server_stop(p->server, STOP_MS);
    http_server_stop(p->people, HEALTH_STOP_MS);
    extender_free(p->extender);
    snapshot_source_done(&p->snapshots);
    kube_curl_free(p->transport);
    kube_config_free(p->kube);
    decisions_free(p->verbs.decisions);
    cert_source_close(p->cert);
    catalog_source_done(&p->catalog);
    metrics_done(&p->metrics);
}

int extender_serve(const struct extender_serve_options *options, const struct log *log)
{
    struct process p = {.options = options, .log = log, .clock = clock_system()};
    struct err err;
    int status = 0;
    metrics_init(&p.metrics, mem_system());
    snapshot_source_init(&p.snapshots);
    program_block_signals();
    if (start(&p, &err) < 0) {
        log_error(log, "cannot start", LOG_ERR(&err));
        status = 1;
    } else {
        log_info(log, "started", LOG_CSTR("version", CALLBOARD_VERSION),
                 LOG_STR("server", p.kube->server), LOG_STR("configuredBy", p.kube->origin),
                 LOG_UINT("port", http_server_port(p.server)),
                 LOG_UINT("healthPort", http_server_port(p.people)));
        run(&p);
    }
    done(&p);
    if (status == 0)
        log_info(log, "ended", LOG_UINT("logLinesLost", log->sink->lost));
    return status;
}
