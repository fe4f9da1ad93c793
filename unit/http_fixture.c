/* A server for tests. */
#include "unit/http_fixture.h"

#include <poll.h>
#include <stdio.h>

#define HOST "Host: test\r\n"

/* ---- handlers ---- */

static void answer_hello(void *ctx, const struct http_request *request,
                         struct http_response *response)
{
    (void)ctx;
    http_response_set_text(response, request, 200, "hello\n");
    http_response_add_header(response, "X-Method",
                             str_eq_cstr(request->method, "GET") ? "GET" : "");
}

static void answer_last(void *ctx, const struct http_request *request,
                        struct http_response *response)
{
    (void)ctx;
    http_response_set_text(response, request, 200, "last\n");
    response->is_last = true;
}

static void answer_path(void *ctx, const struct http_request *request,
                        struct http_response *response)
{
    (void)ctx;
    http_response_set_text(response, request, 200, "%" PRIstr, STR_ARG(request->path));
}

static void answer_query(void *ctx, const struct http_request *request,
                         struct http_response *response)
{
    (void)ctx;
    struct str value = http_request_query(request, "q");
    if (str_is_set(value))
        http_response_set_text(response, request, 200, "[%" PRIstr "]", STR_ARG(value));
    else
        http_response_set_text(response, request, 200, "-");
}

static void answer_large(void *ctx, const struct http_request *request,
                         struct http_response *response)
{
    static const char zeros[HTTP_FIXTURE_LARGE];
    (void)ctx;
    (void)request;
    *response = (struct http_response){
        .status = 200,
        .content_type = "application/octet-stream",
        .body = {zeros, sizeof(zeros)},
    };
}

static void answer_nothing(void *ctx, const struct http_request *request,
                           struct http_response *response)
{
    (void)ctx;
    (void)request;
    (void)response;
}

static void answer_count(void *ctx, const struct http_request *request,
                         struct http_response *response)
{
    (void)ctx;
    unsigned long sum = 0;
    for (size_t i = 0; i < request->body.len; i++)
        sum += (unsigned char)request->body.ptr[i];
    http_response_set_text(response, request, 200, "%zu %lu\n", request->body.len, sum);
}

static void answer_echo(void *ctx, const struct http_request *request,
                        struct http_response *response)
{
    (void)ctx;
    response->status = 200;
    response->content_type = "text/plain";
    response->body = request->body;
    struct str type = arena_copy(request->arena, http_request_header(request, "x-echo"));
    if (str_is_set(type) && type.len > 0)
        http_response_add_header(response, "X-Echo", type.ptr);
}

static void answer_copy(void *ctx, const struct http_request *request,
                        struct http_response *response)
{
    (void)ctx;
    response->status = 200;
    response->body = arena_copy(request->arena, request->body);
}

static void answer_after_release(void *ctx, const struct http_request *request,
                                 struct http_response *response)
{
    struct http_fixture *fixture = ctx;
    sem_post(&fixture->held);
    sem_wait(&fixture->release);
    http_response_set_text(response, request, 200, "held\n");
}

static void drop_state(void *state)
{
    struct http_fixture *fixture = state;
    pthread_mutex_lock(&fixture->lock);
    fixture->dropped++;
    pthread_mutex_unlock(&fixture->lock);
}

static void answer_later(void *ctx, const struct http_request *request,
                         struct http_response *response)
{
    struct http_fixture *fixture = ctx;
    if (request->state) {
        http_response_set_text(response, request, 200, "waited %zu\n", request->body.len);
        return;
    }
    arena_alloc(request->arena, HTTP_FIXTURE_WAIT_ARENA);
    fixture->mem.fail_at = fixture->wait_is_failed ? fixture->mem.calls + 1 : 0;
    struct http_wait *wait = http_request_wait(request, HTTP_FIXTURE_WAIT_MS, fixture, drop_state);
    if (!wait) {
        http_response_set_text(response, request, 503, "no room\n");
    } else if (fixture->wait_is_short) {
        http_wait_end(wait);
    } else {
        pthread_mutex_lock(&fixture->lock);
        fixture->waits[fixture->wait_count++] = wait;
        pthread_mutex_unlock(&fixture->lock);
    }
}

static void answer_full(void *ctx, const struct http_request *request,
                        struct http_response *response)
{
    (void)ctx;
    size_t count = 0;
    while (arena_alloc(request->arena, 1))
        count++;
    /* The answer needs memory that no longer is there: http_response_set_text() notices. */
    http_response_set_text(response, request, 200, "%zu\n", count);
}

static void record(void *ctx, const struct http_access *access)
{
    struct http_fixture *fixture = ctx;
    pthread_mutex_lock(&fixture->lock);
    fixture->accesses++;
    fixture->last = *access;
    snprintf(fixture->last_path, sizeof(fixture->last_path), "%" PRIstr, STR_ARG(access->path));
    pthread_mutex_unlock(&fixture->lock);
}

/* ---- the server ---- */

static const struct http_route *routes_for(struct http_fixture *fixture)
{
    const struct http_route routes[HTTP_FIXTURE_ROUTES] = {
        {.method = "GET", .path = "/hello", .handler = answer_hello},
        {.method = "GET", .path = "/items/", .is_prefix = true, .handler = answer_path},
        {.method = "GET", .path = "/query", .handler = answer_query},
        {.method = "GET", .path = "/large", .handler = answer_large},
        {.method = "GET", .path = "/silent", .handler = answer_nothing},
        {.method = "GET", .path = "/last", .handler = answer_last},
        {.method = "POST", .path = "/count", .handler = answer_count},
        {.method = "POST", .path = "/small", .max_body = 10, .handler = answer_count},
        {.method = "POST", .path = "/echo", .handler = answer_echo},
        {.method = "POST", .path = "/copy", .handler = answer_copy},
        {.method = "POST", .path = "/hold", .handler = answer_after_release, .ctx = fixture},
        {.method = "POST", .path = "/wait", .handler = answer_later, .ctx = fixture},
        {.method = "POST", .path = "/fill", .handler = answer_full},
    };
    memcpy(fixture->routes, routes, sizeof(routes));
    return fixture->routes;
}

void http_fixture_init(struct http_fixture *fixture)
{
    memset(fixture, 0, sizeof(*fixture));
    test_mem_init(&fixture->mem);
    test_clock_init(&fixture->clock);
    pthread_mutex_init(&fixture->lock, NULL);
    sem_init(&fixture->held, 0, 0);
    sem_init(&fixture->release, 0, 0);
    fixture->config = (struct http_server_config){
        .listen = "127.0.0.1:0",
        .routes = routes_for(fixture),
        .route_count = HTTP_FIXTURE_ROUTES,
        .clock = &fixture->clock.clock,
        .mem = &fixture->mem.mem,
        .threads = 2,
        .on_access = record,
        .ctx = fixture,
    };
}

void http_fixture_start(struct http_fixture *fixture)
{
    struct err err;
    if (http_server_start(&fixture->config, &fixture->server, &err) < 0)
        fail_msg("%s", err.message);
}

void http_fixture_done(struct http_fixture *fixture)
{
    enum { PATIENCE_MS = 10 * 1000 };
    http_server_stop(fixture->server, PATIENCE_MS);
    sem_destroy(&fixture->held);
    sem_destroy(&fixture->release);
    pthread_mutex_destroy(&fixture->lock);
    test_mem_done(&fixture->mem);
}

void http_fixture_open(struct http_fixture *fixture, struct http_client *client)
{
    uint16_t port = http_server_port(fixture->server);
    bool is_open = fixture->config.cert ? http_client_open_tls(client, port, NULL)
                                        : http_client_open(client, port);
    if (!is_open)
        fail_msg("cannot connect to port %u", port);
}

void http_fixture_advance_ms(struct http_fixture *fixture, int64_t ms)
{
    test_clock_advance_ms(&fixture->clock, ms);
    http_server_tick(fixture->server);
}

void http_fixture_release(struct http_fixture *fixture)
{
    sem_post(&fixture->release);
}

void http_fixture_end_wait(struct http_fixture *fixture, size_t index)
{
    pthread_mutex_lock(&fixture->lock);
    struct http_wait *wait = fixture->waits[index];
    fixture->waits[index] = NULL;
    pthread_mutex_unlock(&fixture->lock);
    http_wait_end(wait);
}

/* ---- requests ---- */

/* One request on a connection of its own; the answer must come. */
void http_fixture_ask(struct http_fixture *fixture, const char *request, struct http_answer *answer)
{
    struct http_client client;
    http_fixture_open(fixture, &client);
    assert_true(http_client_ask(&client, request, answer));
    http_client_close(&client);
}

/* A body of `len` bytes 'x'. */
void http_send_body(struct http_client *client, size_t len)
{
    char piece[4096];
    memset(piece, 'x', sizeof(piece));
    while (len > 0) {
        size_t part = len < sizeof(piece) ? len : sizeof(piece);
        assert_true(http_client_send(client, (struct str){piece, part}));
        len -= part;
    }
}

void http_post_with_length(struct http_client *client, const char *path, size_t len)
{
    char head[256];
    snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", path,
             len);
    assert_true(http_client_send_text(client, head));
    http_send_body(client, len);
}

/* In chunks of at most 1,000 bytes. */
void http_post_in_chunks(struct http_client *client, const char *path, size_t len)
{
    enum { CHUNK = 1000 };
    char text[256];
    snprintf(text, sizeof(text), "POST %s HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
             path);
    assert_true(http_client_send_text(client, text));
    while (len > 0) {
        size_t part = len < CHUNK ? len : CHUNK;
        snprintf(text, sizeof(text), "%zx\r\n", part);
        assert_true(http_client_send_text(client, text));
        http_send_body(client, part);
        assert_true(http_client_send_text(client, "\r\n"));
        len -= part;
    }
    assert_true(http_client_send_text(client, "0\r\n\r\n"));
}

void http_assert_counted(struct http_client *client, size_t len)
{
    struct http_answer answer;
    char expected[64];
    snprintf(expected, sizeof(expected), "%zu %zu\n", len, len * 'x');
    assert_true(http_client_read(client, &answer));
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, expected);
}

/* ---- waiting for the server's threads ---- */

struct http_server_stats http_fixture_stats(const struct http_fixture *fixture)
{
    struct http_server_stats stats;
    http_server_stats(fixture->server, &stats);
    return stats;
}

static size_t connections(struct http_fixture *fixture)
{
    return http_fixture_stats(fixture).connections;
}

static size_t in_flight(struct http_fixture *fixture)
{
    return http_server_in_flight(fixture->server);
}

static size_t evicted(struct http_fixture *fixture)
{
    return http_fixture_stats(fixture).evicted;
}

static size_t accesses(struct http_fixture *fixture)
{
    pthread_mutex_lock(&fixture->lock);
    size_t count = fixture->accesses;
    pthread_mutex_unlock(&fixture->lock);
    return count;
}

static size_t waits(struct http_fixture *fixture)
{
    pthread_mutex_lock(&fixture->lock);
    size_t count = fixture->wait_count;
    pthread_mutex_unlock(&fixture->lock);
    return count;
}

static size_t waiting(struct http_fixture *fixture)
{
    return http_fixture_stats(fixture).waiting;
}

static void wait_for(struct http_fixture *fixture, size_t (*figure)(struct http_fixture *),
                     const char *name, size_t wanted)
{
    enum { WAIT_MS = 20 * 1000 };
    for (int i = 0; i < WAIT_MS; i++) {
        if (figure(fixture) == wanted)
            return;
        poll(NULL, 0, 1);
    }
    fail_msg("%s: %zu, not %zu", name, figure(fixture), wanted);
}

void http_fixture_wait_connections(struct http_fixture *fixture, size_t count)
{
    wait_for(fixture, connections, "connections", count);
}

void http_fixture_wait_in_flight(struct http_fixture *fixture, size_t count)
{
    wait_for(fixture, in_flight, "requests in flight", count);
}

void http_fixture_wait_evicted(struct http_fixture *fixture, size_t count)
{
    wait_for(fixture, evicted, "evicted connections", count);
}

void http_fixture_wait_accesses(struct http_fixture *fixture, size_t count)
{
    wait_for(fixture, accesses, "finished requests", count);
}

void http_fixture_wait_waiting(struct http_fixture *fixture, size_t count)
{
    wait_for(fixture, waiting, "requests that wait", count);
}

void http_fixture_wait_waits(struct http_fixture *fixture, size_t count)
{
    wait_for(fixture, waits, "requests that have waited", count);
}
