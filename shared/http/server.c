/* The server as a whole: its configuration, and starting, draining and stopping its parts. */
#include "http/server.h"

#include "http/server_parts.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* Of kept request memory: enough that each worker finds one while as many answers are being sent.
 */
enum { KEPT_PER_WORKER = 2 };

/* Between two looks at idle connections while the server stops; see conn_close_idle(). */
enum { STOP_STEP_MS = 100 };

/* ---- configuration ---- */

static unsigned usable_cpus(void)
{
    enum { USEFUL_MAX = 4 };
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return count > USEFUL_MAX ? USEFUL_MAX : (unsigned)count;
}

#define DEFAULT(field, value)  \
    do {                       \
        if (!(field))          \
            (field) = (value); \
    } while (0)

static void fill_defaults(struct http_server_config *config)
{
    DEFAULT(config->clock, clock_system());
    DEFAULT(config->mem, mem_system());
    DEFAULT(config->threads, usable_cpus());
    DEFAULT(config->max_connections, 1024);
    DEFAULT(config->max_body, (size_t)7 << 20);
    DEFAULT(config->arena_max, (size_t)32 << 20);
    DEFAULT(config->memory_budget, (size_t)128 << 20);
    DEFAULT(config->max_waiting, (config->max_connections + 1) / 2);
    DEFAULT(config->header_timeout_ms, 10 * 1000);
    DEFAULT(config->request_timeout_ms, 30 * 1000);
    DEFAULT(config->idle_timeout_ms, 120 * 1000);
}

static int check_config(const struct http_server_config *config, struct err *err)
{
    if (config->threads > CONN_WORKERS_MAX)
        return err_set(err, 400, "%u threads are more than %d", config->threads, CONN_WORKERS_MAX);
    if (config->max_connections > INT32_MAX)
        return err_set(err, 400, "%u connections are too many", config->max_connections);
    if (config->route_count == 0)
        return err_set(err, 400, "a server needs at least one route");
    return 0;
}

/* ---- starting ---- */

static void free_parts(struct http_server *server)
{
    memory_pool_done(&server->memory);
    conn_registry_done(&server->registry);
    acceptor_done(&server->acceptor);
    listener_close(&server->listener);
    mem_free(server->config.mem, server, sizeof(*server));
}

static int open_listener(struct http_server *server, struct err *err)
{
    const struct http_server_config *config = &server->config;
    int rc = config->listen ? listener_open(config->listen, &server->listener, err)
                            : listener_adopt(config->listen_fd, &server->listener, err);
    server->port = server->listener.port;
    return rc;
}

static int open_registry(struct http_server *server, struct err *err)
{
    const struct http_server_config *config = &server->config;
    const struct conn_timeouts timeouts = {
        .header_ns = config->header_timeout_ms * CLOCK_NS_PER_MS,
        .request_ns = config->request_timeout_ms * CLOCK_NS_PER_MS,
        .idle_ns = config->idle_timeout_ms * CLOCK_NS_PER_MS,
    };
    return conn_registry_init(&server->registry, &timeouts, config->max_connections,
                              config->threads, server->acceptor.wake_fd, err);
}

static struct http_server *make_parts(const struct http_server_config *config, struct err *err)
{
    struct http_server *server = mem_alloc(config->mem, sizeof(*server));
    if (!server) {
        err_no_memory(err, "HTTP server");
        return NULL;
    }
    *server = (struct http_server){.config = *config};
    if (open_listener(server, err) < 0)
        goto no_listener;
    if (acceptor_init(&server->acceptor, server, err) < 0)
        goto no_acceptor;
    if (open_registry(server, err) < 0)
        goto no_registry;
    memory_pool_init(&server->memory, config->mem, config->memory_budget, config->arena_max,
                     (size_t)config->threads * KEPT_PER_WORKER);
    return server;
no_registry:
    acceptor_done(&server->acceptor);
no_acceptor:
    listener_close(&server->listener);
no_listener:
    mem_free(config->mem, server, sizeof(*server));
    return NULL;
}

static void stop_workers(struct http_server *server)
{
    for (unsigned i = 0; i < server->config.threads; i++)
        worker_stop(&server->workers[i]);
}

static int start_threads(struct http_server *server, struct err *err)
{
    for (unsigned i = 0; i < server->config.threads; i++) {
        if (worker_start(&server->workers[i], server, i, err) < 0)
            return -1;
    }
    return acceptor_start(&server->acceptor, err);
}

int http_server_start(const struct http_server_config *config, struct http_server **ret,
                      struct err *err)
{
    struct http_server_config filled = *config;
    fill_defaults(&filled);
    if (check_config(&filled, err) < 0)
        return -1;
    struct http_server *server = make_parts(&filled, err);
    if (!server)
        return -1;
    /* Threads inherit the mask: signals are for the program's own thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = start_threads(server, err);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc < 0) {
        stop_workers(server);
        free_parts(server);
        return -1;
    }
    *ret = server;
    return 0;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

static void end_waits(struct http_server *server)
{
    for (unsigned i = 0; i < server->config.threads && atomic_load(&server->waiting) > 0; i++)
        worker_end_waits(&server->workers[i]);
}

void http_server_tick(struct http_server *server)
{
    conn_expire(&server->registry, clock_now_ns(server->config.clock));
    end_waits(server);
    memory_pool_trim(&server->memory);
}

/* ---- stopping ---- */

void http_server_begin_drain(struct http_server *server)
{
    atomic_store(&server->is_draining, true);
}

void http_server_stop_accepting(struct http_server *server)
{
    acceptor_stop(&server->acceptor);
    listener_close(&server->listener);
}

size_t http_server_stop(struct http_server *server, unsigned timeout_ms)
{
    if (!server)
        return 0;
    http_server_begin_drain(server);
    http_server_stop_accepting(server);
    unsigned waited_ms = 0;
    for (unsigned stage = 0; waited_ms < timeout_ms; stage++) {
        unsigned step_ms = timeout_ms - waited_ms;
        if (step_ms > STOP_STEP_MS)
            step_ms = STOP_STEP_MS;
        end_waits(server);
        conn_close_idle(&server->registry, stage);
        if (conn_wait_gone(&server->registry, step_ms))
            break;
        waited_ms += step_ms;
    }
    size_t cut = http_server_in_flight(server);
    stop_workers(server);
    free_parts(server);
    return cut;
}

/* ---- figures ---- */

size_t http_server_in_flight(const struct http_server *server)
{
    struct http_server_stats stats;
    http_server_stats(server, &stats);
    return stats.in_flight;
}

void http_server_stats(const struct http_server *server, struct http_server_stats *ret)
{
    /* The lock is not part of what the caller sees. */
    conn_stats((struct conn_registry *)&server->registry, ret);
    ret->waiting = atomic_load(&server->waiting);
    ret->memory = memory_pool_used(&server->memory);
}

/* ---- answers ---- */

void http_response_add_header(struct http_response *response, const char *name, const char *value)
{
    if (response->header_count == HTTP_RESPONSE_HEADERS_MAX)
        abort();
    response->headers[response->header_count].name = name;
    response->headers[response->header_count].value = value;
    response->header_count++;
}

void http_response_set_text(struct http_response *response, const struct http_request *request,
                            int status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct str text = arena_vprintf(request->arena, fmt, args);
    va_end(args);
    response->status = str_is_set(text) ? status : 503;
    response->content_type = "text/plain; charset=utf-8";
    response->body = str_is_set(text) ? text : STR("no memory for the answer\n");
}
