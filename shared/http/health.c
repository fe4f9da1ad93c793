/* /healthz, /readyz and /metrics. */
#include "http/health.h"

enum {
    METRICS_TEXT_MAX = 4 * 1024 * 1024,
    /* Metrics and probes are asked by few. */
    THREADS = 1,
    CONNECTIONS = 64,
    BODY_MAX = 1024,
    ARENA_MAX = 4 * 1024 * 1024,
    MEMORY = 16 * 1024 * 1024,
};

static void answer(const struct http_request *request, struct http_response *response,
                   const char *trouble)
{
    http_response_set_text(response, request, trouble ? 503 : 200, "%s", trouble ? trouble : "ok");
}

static void handle_healthz(void *ctx, const struct http_request *request,
                           struct http_response *response)
{
    const struct health *health = ctx;
    answer(request, response, health->find_illness ? health->find_illness(health->ctx) : NULL);
}

static void handle_readyz(void *ctx, const struct http_request *request,
                          struct http_response *response)
{
    const struct health *health = ctx;
    answer(request, response, health->find_unready(health->ctx));
}

static void handle_metrics(void *ctx, const struct http_request *request,
                           struct http_response *response)
{
    const struct health *health = ctx;
    struct buf text;
    buf_init(&text, arena_mem(request->arena), METRICS_TEXT_MAX);
    metrics_write(health->metrics, &text);
    if (buf_failed(&text)) {
        http_response_set_text(response, request, 503, "out of memory");
        return;
    }
    response->status = 200;
    response->content_type = METRICS_MEDIA_TYPE;
    response->body = buf_str(&text);
}

void health_routes(struct health *health, struct http_route routes[HEALTH_ROUTES])
{
    routes[0] = (struct http_route){
        .method = "GET", .path = "/healthz", .handler = handle_healthz, .ctx = health};
    routes[1] = (struct http_route){
        .method = "GET", .path = "/readyz", .handler = handle_readyz, .ctx = health};
    routes[2] = (struct http_route){
        .method = "GET", .path = "/metrics", .handler = handle_metrics, .ctx = health};
}

int health_start(const char *listen, const struct http_route routes[HEALTH_ROUTES],
                 const struct clock *clock, struct http_server **ret, struct err *err)
{
    struct http_server_config config = {
        .listen = listen,
        .routes = routes,
        .route_count = HEALTH_ROUTES,
        .clock = clock,
        .mem = mem_system(),
        .threads = THREADS,
        .max_connections = CONNECTIONS,
        .max_body = BODY_MAX,
        .arena_max = ARENA_MAX,
        .memory_budget = MEMORY,
    };
    return http_server_start(&config, ret, err);
}
