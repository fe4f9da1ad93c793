/*
 * The routes that every program serves in plain HTTP: /healthz, /readyz and /metrics. A check says what is
 * wrong, in a few words for the person who asks, or NULL when nothing is; it may be asked by several
 * threads at once.
 */
#ifndef HTTP_HEALTH_H
#define HTTP_HEALTH_H

#include "base/metrics.h"
#include "http/server.h"

enum { HEALTH_ROUTES = 3 };

struct health {
    struct metrics *metrics;
    const char *(*find_illness)(void *ctx); /* why it should be restarted; NULL: never ill */
    const char *(*find_unready)(void *ctx); /* why it should get no requests */
    void *ctx;
};

/* `health` must outlive the server. */
void health_routes(struct health *health, struct http_route routes[HEALTH_ROUTES]);

/* A server of one thread for them, on HOST:PORT. */
int health_start(const char *listen, const struct http_route routes[HEALTH_ROUTES],
                 const struct clock *clock, struct http_server **ret, struct err *err);

#endif
