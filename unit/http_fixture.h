/*
 * A server for tests: on 127.0.0.1, with a clock that the test moves, counted memory, some routes,
 * and a record of the finished requests.
 *
 *   struct http_fixture fixture;
 *   http_fixture_init(&fixture);
 *   fixture.config.max_body = 100;
 *   http_fixture_start(&fixture);
 *   … http_fixture_open(&fixture, &client) …
 *   http_fixture_done(&fixture);
 *
 *   GET  /hello      "hello\n"
 *   GET  /items/…    the path
 *   GET  /query      the parameter "q" in brackets, "-" when there is none
 *   GET  /large      HTTP_FIXTURE_LARGE bytes
 *   GET  /silent     sets no answer
 *   GET  /last       "last\n", the last answer of its connection
 *   POST /count      the number of bytes of the body and their sum: "3 294\n"
 *   POST /small      the same, at most 10 bytes
 *   POST /echo       the body
 *   POST /copy       the body, from a copy in the arena
 *   POST /hold       "held\n", once http_fixture_release() is called
 *   POST /wait       waits; then "waited N\n" with the number of bytes of the body
 *   POST /fill       takes all the memory of its arena before it answers
 */
#ifndef UNIT_HTTP_FIXTURE_H
#define UNIT_HTTP_FIXTURE_H

#include "unit/support.h"

#include "http/server.h"
#include "unit/http_client.h"

#include <semaphore.h>

enum { HTTP_FIXTURE_LARGE = 16 * 1024 * 1024, HTTP_FIXTURE_ROUTES = 13 };
enum {
    HTTP_FIXTURE_WAITS = 64,
    HTTP_FIXTURE_WAIT_MS = 2000,
    HTTP_FIXTURE_WAIT_ARENA = 1024 * 1024
};

struct http_fixture {
    struct test_mem mem;
    struct test_clock clock;
    struct http_server_config config;
    struct http_server *server;
    struct http_route routes[HTTP_FIXTURE_ROUTES];
    sem_t held; /* posted when /hold is entered */
    sem_t release;
    bool wait_is_short;   /* /wait ends its wait itself, before its handler returns */
    bool wait_is_failed;  /* /wait finds no memory for it */
    pthread_mutex_t lock; /* of what follows */
    size_t accesses;
    struct http_access last; /* its views are not valid */
    char last_path[64];
    struct http_wait *waits[HTTP_FIXTURE_WAITS]; /* of /wait, in their order */
    size_t wait_count;
    size_t dropped; /* states of requests that have waited */
};

void http_fixture_init(struct http_fixture *fixture);
void http_fixture_start(struct http_fixture *fixture);
/* Stops the server, which must not need longer than it takes to see that connections are closed. */
void http_fixture_done(struct http_fixture *fixture);

/* Fails the test when it cannot connect. */
void http_fixture_open(struct http_fixture *fixture, struct http_client *client);
/* Time passes and the server looks at its connections. */
void http_fixture_advance_ms(struct http_fixture *fixture, int64_t ms);
void http_fixture_release(struct http_fixture *fixture);
/* Ends the wait of the request that came to /wait as the index-th. */
void http_fixture_end_wait(struct http_fixture *fixture, size_t index);

/* One request on a connection of its own; the answer must come. */
void http_fixture_ask(struct http_fixture *fixture, const char *request,
                      struct http_answer *answer);
/* A body of `len` bytes 'x', or a whole POST with one. */
void http_send_body(struct http_client *client, size_t len);
void http_post_with_length(struct http_client *client, const char *path, size_t len);
void http_post_in_chunks(struct http_client *client, const char *path, size_t len);
/* The answer of /count or /small to it. */
void http_assert_counted(struct http_client *client, size_t len);

/* Waits until the figure has the value. */
void http_fixture_wait_connections(struct http_fixture *fixture, size_t count);
void http_fixture_wait_in_flight(struct http_fixture *fixture, size_t count);
void http_fixture_wait_evicted(struct http_fixture *fixture, size_t count);
void http_fixture_wait_accesses(struct http_fixture *fixture, size_t count);
void http_fixture_wait_waiting(struct http_fixture *fixture, size_t count);
/* For that many requests to have come to /wait and to wait there. */
void http_fixture_wait_waits(struct http_fixture *fixture, size_t count);

struct http_server_stats http_fixture_stats(const struct http_fixture *fixture);

#endif
