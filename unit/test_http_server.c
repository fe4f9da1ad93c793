/* The HTTP server: requests and answers, what it refuses, and its memory. Over plain TCP. */
#include "unit/http_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define HOST "Host: test\r\n"

static int setup(void **state)
{
    struct http_fixture *fixture = malloc(sizeof(*fixture));
    http_fixture_init(fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct http_fixture *fixture = *state;
    http_fixture_done(fixture);
    free(fixture);
    return 0;
}

static void assert_header(const struct http_answer *answer, const char *name, const char *value)
{
    assert_str_is(http_answer_header(answer, name), value);
}

static void assert_message_contains(const struct http_answer *answer, const char *part)
{
    if (!strstr(answer->body, part))
        fail_msg("\"%s\" is not in %s", part, answer->body);
}

/* One request on a connection of its own; the answer must come. */
static void ask_once(struct http_fixture *fixture, const char *request, struct http_answer *answer)
{
    struct http_client client;
    http_fixture_open(fixture, &client);
    assert_true(http_client_ask(&client, request, answer));
    http_client_close(&client);
}

/* A body of `len` bytes 'x'. */
static void send_body(struct http_client *client, size_t len)
{
    char piece[4096];
    memset(piece, 'x', sizeof(piece));
    while (len > 0) {
        size_t part = len < sizeof(piece) ? len : sizeof(piece);
        assert_true(http_client_send(client, (struct str){piece, part}));
        len -= part;
    }
}

static void post_with_length(struct http_client *client, const char *path, size_t len)
{
    char head[256];
    snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", path,
             len);
    assert_true(http_client_send_text(client, head));
    send_body(client, len);
}

/* In chunks of at most 1,000 bytes. */
static void post_in_chunks(struct http_client *client, const char *path, size_t len)
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
        send_body(client, part);
        assert_true(http_client_send_text(client, "\r\n"));
        len -= part;
    }
    assert_true(http_client_send_text(client, "0\r\n\r\n"));
}

static void assert_counted(struct http_client *client, size_t len)
{
    struct http_answer answer;
    char expected[64];
    snprintf(expected, sizeof(expected), "%zu %zu\n", len, len * 'x');
    assert_true(http_client_read(client, &answer));
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, expected);
}

/* ---- requests and answers ---- */

static void a_request_reaches_its_handler_and_its_answer_the_client(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_answer answer;
    http_fixture_start(fixture);
    ask_once(fixture, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "hello\n");
    assert_header(&answer, "Content-Type", "text/plain; charset=utf-8");
    assert_header(&answer, "X-Method", "GET");
}

static void head_is_answered_as_get_without_a_body(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    struct http_answer answer;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    assert_true(http_client_send_text(&client, "HEAD /hello HTTP/1.1\r\n" HOST "\r\n"));
    assert_true(http_client_read_head(&client, &answer));
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "X-Method", "GET");
    assert_true(http_client_ask(&client, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &answer));
    assert_string_equal(answer.body, "hello\n");
    http_client_close(&client);
}

static void paths_and_parameters_are_decoded(void **state)
{
    static const struct {
        const char *target;
        const char *body;
    } cases[] = {
        {"/items/a/b", "/items/a/b"},
        {"/items/a%20b?x=1", "/items/a b"},
        {"/items/", "/items/"},
        {"/query?q=1", "[1]"},
        {"/query?a=0&q=%2Fx+y&b=2", "[/x y]"},
        {"/query?q=", "[]"},
        {"/query?q", "[]"},
        {"/query?Q=1", "[1]"},
        {"/query?other=1", "-"},
        {"/query", "-"},
    };
    struct http_fixture *fixture = *state;
    http_fixture_start(fixture);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char request[256];
        struct http_answer answer;
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n" HOST "\r\n", cases[i].target);
        ask_once(fixture, request, &answer);
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.body, cases[i].body);
    }
}

static void headers_are_found_whatever_their_case(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_answer answer;
    http_fixture_start(fixture);
    ask_once(fixture, "POST /echo HTTP/1.1\r\n" HOST "X-ECHO: yes\r\nContent-Length: 3\r\n\r\nabc",
             &answer);
    assert_string_equal(answer.body, "abc");
    assert_header(&answer, "X-Echo", "yes");
    ask_once(fixture, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", &answer);
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.body_len, 0);
    assert_false(str_is_set(http_answer_header(&answer, "X-Echo")));
}

static void many_requests_use_one_connection(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    struct http_answer answer;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    for (size_t i = 0; i < 50; i++) {
        assert_true(http_client_ask(&client, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &answer));
        assert_int_equal(answer.status, 200);
        post_with_length(&client, "/count", i * 100);
        assert_counted(&client, i * 100);
    }
    http_client_close(&client);
    assert_int_equal(http_fixture_stats(fixture).accepted, 1);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    struct http_answer answer;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    assert_true(http_client_send_text(
        &client,
        "GET /items/1 HTTP/1.1\r\n" HOST "\r\n"
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\ntwo"
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nthree\r\n0\r\n\r\n"
        "GET /nowhere HTTP/1.1\r\n" HOST "\r\nGET /items/5 HTTP/1.1\r\n" HOST "\r\n"));
    static const char *const bodies[] = {"/items/1", "two", "three", NULL, "/items/5"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        assert_true(http_client_read(&client, &answer));
        assert_int_equal(answer.status, bodies[i] ? 200 : 404);
        if (bodies[i])
            assert_string_equal(answer.body, bodies[i]);
    }
    http_client_close(&client);
}

static void the_client_may_end_the_connection(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    struct http_answer answer;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    assert_true(http_client_ask(&client, "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
                                &answer));
    assert_header(&answer, "Connection", "close");
    assert_true(http_client_read_end(&client));
    http_client_close(&client);
    http_fixture_wait_connections(fixture, 0);
}

static void a_finished_request_is_reported(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_answer answer;
    http_fixture_start(fixture);
    ask_once(fixture, "GET /items/7?x HTTP/1.1\r\n" HOST "\r\n", &answer);
    http_fixture_wait_accesses(fixture, 1);
    assert_int_equal(fixture->last.status, 200);
    assert_false(fixture->last.is_cut);
    assert_string_equal(fixture->last.route, "/items/");
    assert_string_equal(fixture->last_path, "/items/7");
    assert_int_equal(fixture->last.response_bytes, strlen("/items/7"));
    assert_int_equal(fixture->last.id, 1);
    ask_once(fixture, "POST /nowhere HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nabcd", &answer);
    http_fixture_wait_accesses(fixture, 2);
    assert_int_equal(fixture->last.status, 404);
    assert_null(fixture->last.route);
    assert_int_equal(fixture->last.request_bytes, 4);
    assert_int_equal(fixture->last.id, 2);
}

static void a_client_that_leaves_in_the_middle_of_its_body_is_reported_as_cut(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    assert_true(http_client_send_text(
        &client, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc"));
    http_fixture_wait_in_flight(fixture, 1);
    http_client_close(&client);
    http_fixture_wait_accesses(fixture, 1);
    assert_int_equal(fixture->last.status, 0);
    assert_true(fixture->last.is_cut);
    http_fixture_wait_connections(fixture, 0);
}

/* ---- refusals ---- */

static void what_has_no_route_is_refused_with_what_there_is(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_answer answer;
    http_fixture_start(fixture);
    ask_once(fixture, "GET /nowhere HTTP/1.1\r\n" HOST "\r\n", &answer);
    assert_int_equal(answer.status, 404);
    assert_header(&answer, "Content-Type", "application/json");
    assert_message_contains(&answer, "\"kind\":\"Status\"");
    assert_message_contains(&answer, "\"code\":404}");
    assert_message_contains(&answer, "/hello, /items/, ");
    ask_once(fixture, "GET /hello/ HTTP/1.1\r\n" HOST "\r\n", &answer);
    assert_int_equal(answer.status, 404);
    ask_once(fixture, "DELETE /hello HTTP/1.1\r\n" HOST "\r\n", &answer);
    assert_int_equal(answer.status, 405);
    assert_header(&answer, "Allow", "GET, HEAD");
    ask_once(fixture, "GET /count HTTP/1.1\r\n" HOST "\r\n", &answer);
    assert_int_equal(answer.status, 405);
    assert_header(&answer, "Allow", "POST");
}

static void a_refused_request_does_not_cost_the_connection(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    struct http_answer answer;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    post_with_length(&client, "/nowhere", 100 * 1000);
    assert_true(http_client_read(&client, &answer));
    assert_int_equal(answer.status, 404);
    post_in_chunks(&client, "/nowhere", 100 * 1000);
    assert_true(http_client_read(&client, &answer));
    assert_int_equal(answer.status, 404);
    assert_true(http_client_ask(&client, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &answer));
    assert_int_equal(answer.status, 200);
    http_client_close(&client);
}

static void framing_that_is_ambiguous_or_unknown_ends_the_connection(void **state)
{
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"POST /count HTTP/1.1\r\n" HOST "\r\n", 411},
        {"POST /count HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400},
        {"POST /count HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
        {"POST /count HTTP/1.1\r\n" HOST
         "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
         400},
        {"POST /count HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\nabc", 501},
        {"POST /count HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\nabc", 501},
        {"POST /count HTTP/1.1\r\n" HOST "Content-Length: -3\r\n\r\nabc", 400},
        {"POST /count HTTP/1.1\r\n" HOST "Content-Length: 3x\r\n\r\nabc", 400},
        {"POST /count HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\nabc", 413},
        {"POST /count HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
        {"POST /count HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400},
    };
    struct http_fixture *fixture = *state;
    http_fixture_start(fixture);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_client client;
        struct http_answer answer;
        http_fixture_open(fixture, &client);
        assert_true(http_client_ask(&client, cases[i].request, &answer));
        if (answer.status != cases[i].status)
            fail_msg("%d instead of %d for %s", answer.status, cases[i].status, cases[i].request);
        assert_true(http_client_read_end(&client));
        http_client_close(&client);
    }
}

static void a_nul_in_the_path_is_refused(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_answer answer;
    http_fixture_start(fixture);
    ask_once(fixture, "GET /hello%00x HTTP/1.1\r\n" HOST "\r\n", &answer);
    assert_int_equal(answer.status, 400);
    assert_message_contains(&answer, "NUL");
    ask_once(fixture, "GET /query?q=a%00b HTTP/1.1\r\n" HOST "\r\n", &answer);
    assert_int_equal(answer.status, 400);
}

static void headers_beyond_the_limit_are_refused(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    struct http_answer answer;
    char filler[8 * 1024];
    http_fixture_start(fixture);
    memset(filler, 'a', sizeof(filler));
    http_fixture_open(fixture, &client);
    assert_true(http_client_send_text(&client, "GET /hello HTTP/1.1\r\n" HOST "X-Filler: "));
    assert_true(http_client_send(&client, (struct str){filler, sizeof(filler)}));
    assert_true(http_client_ask(&client, "\r\n\r\n", &answer));
    assert_int_equal(answer.status, 200);
    assert_true(http_client_send_text(&client, "GET /hello HTTP/1.1\r\n" HOST "X-Filler: "));
    for (int i = 0; i < 4; i++)
        http_client_send(&client, (struct str){filler, sizeof(filler)});
    assert_true(http_client_read(&client, &answer));
    assert_int_equal(answer.status, 431);
    http_client_close(&client);
}

static void a_handler_without_an_answer_gives_500(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_answer answer;
    http_fixture_start(fixture);
    ask_once(fixture, "GET /silent HTTP/1.1\r\n" HOST "\r\n", &answer);
    assert_int_equal(answer.status, 500);
    assert_message_contains(&answer, "no answer");
}

/* ---- bodies ---- */

static void a_body_of_exactly_the_limit_is_taken_and_one_byte_more_refused(void **state)
{
    enum { LIMIT = 100 * 1000 };
    static const struct {
        const char *path;
        size_t limit;
    } cases[] = {{"/count", LIMIT}, {"/small", 10}};
    struct http_fixture *fixture = *state;
    struct http_client client;
    struct http_answer answer;
    fixture->config.max_body = LIMIT;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        void (*const posts[])(struct http_client *, const char *, size_t) = {post_with_length,
                                                                             post_in_chunks};
        for (size_t j = 0; j < 2; j++) {
            posts[j](&client, cases[i].path, cases[i].limit);
            assert_counted(&client, cases[i].limit);
            posts[j](&client, cases[i].path, cases[i].limit + 1);
            assert_true(http_client_read(&client, &answer));
            assert_int_equal(answer.status, 413);
            char part[64];
            snprintf(part, sizeof(part), "larger than %zu bytes", cases[i].limit);
            assert_message_contains(&answer, part);
        }
    }
    http_client_close(&client);
    assert_int_equal(http_fixture_stats(fixture).accepted, 1);
}

static void the_default_limit_is_7_mib(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    struct http_answer answer;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    post_with_length(&client, "/count", 7 * 1024 * 1024);
    assert_counted(&client, 7 * 1024 * 1024);
    post_with_length(&client, "/count", 7 * 1024 * 1024 + 1);
    assert_true(http_client_read(&client, &answer));
    assert_int_equal(answer.status, 413);
    http_client_close(&client);
}

static void a_client_that_asks_first_is_refused_before_it_sends(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    struct http_answer answer;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    assert_true(http_client_ask(&client,
                                "POST /small HTTP/1.1\r\n" HOST
                                "Expect: 100-continue\r\nContent-Length: 11\r\n\r\n",
                                &answer));
    assert_int_equal(answer.status, 413);
    assert_true(http_client_read_end(&client));
    http_client_close(&client);

    http_fixture_open(fixture, &client);
    assert_true(http_client_send_text(&client,
                                      "POST /small HTTP/1.1\r\n" HOST
                                      "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
    char interim[64];
    const struct str expected = STR("HTTP/1.1 100 Continue\r\n\r\n");
    assert_int_equal(recv(client.fd, interim, expected.len, MSG_WAITALL), expected.len);
    assert_memory_equal(interim, expected.ptr, expected.len);
    send_body(&client, 3);
    assert_counted(&client, 3);
    http_client_close(&client);
}

static void a_body_too_large_to_be_thrown_away_is_refused_at_once(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    struct http_answer answer;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    assert_true(http_client_ask(
        &client, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 67108865\r\n\r\n", &answer));
    assert_int_equal(answer.status, 413);
    assert_header(&answer, "Connection", "close");
    assert_true(http_client_read_end(&client));
    http_client_close(&client);
}

/* ---- memory ---- */

static void a_body_takes_memory_only_as_it_arrives(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    assert_true(http_client_send_text(
        &client, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 7000000\r\n\r\nx"));
    http_fixture_wait_in_flight(fixture, 1);
    assert_in_range(http_fixture_stats(fixture).memory, 0, 4096);
    send_body(&client, 7000000 - 1);
    assert_counted(&client, 7000000);
    http_client_close(&client);
}

static void beyond_the_budget_a_request_is_refused_and_the_next_one_served(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client, other;
    struct http_answer answer;
    fixture->config.memory_budget = 1024 * 1024;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    post_with_length(&client, "/count", 2 * 1024 * 1024);
    assert_true(http_client_read(&client, &answer));
    assert_int_equal(answer.status, 503);
    assert_header(&answer, "Retry-After", "1");
    assert_message_contains(&answer, "try again");
    assert_int_equal(http_fixture_stats(fixture).out_of_memory, 1);
    post_in_chunks(&client, "/count", 2 * 1024 * 1024);
    assert_true(http_client_read(&client, &answer));
    assert_int_equal(answer.status, 503);

    /* What one request holds is missing for others, and comes back. */
    http_fixture_open(fixture, &other);
    post_with_length(&other, "/hold", 500 * 1000);
    sem_wait(&fixture->held);
    post_with_length(&client, "/count", 500 * 1000);
    assert_true(http_client_read(&client, &answer));
    assert_int_equal(answer.status, 503);
    http_fixture_release(fixture);
    assert_true(http_client_read(&other, &answer));
    assert_int_equal(answer.status, 200);
    http_fixture_wait_in_flight(fixture, 0);
    post_with_length(&client, "/count", 500 * 1000);
    assert_counted(&client, 500 * 1000);
    http_client_close(&client);
    http_client_close(&other);
}

static void a_request_cannot_take_more_than_its_arena(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_answer answer;
    fixture->config.arena_max = 256 * 1024;
    http_fixture_start(fixture);
    ask_once(fixture, "POST /fill HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", &answer);
    assert_int_equal(answer.status, 503);
    assert_message_contains(&answer, "no memory");
    http_fixture_wait_in_flight(fixture, 0);
    assert_in_range(fixture->mem.peak_bytes, 100 * 1024, 600 * 1024);
}

static void a_steady_stream_of_requests_allocates_nothing(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    post_with_length(&client, "/count", 20 * 1000);
    assert_counted(&client, 20 * 1000);
    http_fixture_wait_in_flight(fixture, 0);
    size_t calls = fixture->mem.calls;
    for (int i = 0; i < 100; i++) {
        post_with_length(&client, "/count", 20 * 1000);
        assert_counted(&client, 20 * 1000);
        http_fixture_wait_in_flight(fixture, 0);
    }
    assert_int_equal(fixture->mem.calls, calls);
    http_client_close(&client);
}

static bool serve_one_request(const struct mem *mem, void *ctx)
{
    struct http_fixture *fixture = ctx;
    struct http_client client = {0};
    struct http_answer answer;
    struct http_server *server;
    struct err err;
    fixture->config.mem = mem;
    if (http_server_start(&fixture->config, &server, &err) < 0) {
        assert_int_equal(err.code, 507);
        return false;
    }
    bool ok = http_client_open(&client, http_server_port(server)) &&
              http_client_ask(
                  &client, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", &answer);
    if (ok && answer.status != 200)
        assert_int_equal(answer.status, 503);
    http_client_close(&client);
    http_server_stop(server, 10 * 1000);
    return ok && answer.status == 200;
}

static void every_failing_allocation_is_survived(void **state)
{
    struct http_fixture *fixture = *state;
    test_every_allocation_failing(serve_one_request, fixture);
}

/* ---- configurations ---- */

static void a_configuration_that_cannot_be_is_refused(void **state)
{
    static const struct {
        const char *listen;
        int code;
        const char *message;
    } cases[] = {
        {"127.0.0.1", 400, "must be IP:PORT"},
        {"127.0.0.1:65536", 400, "must be IP:PORT"},
        {"127.0.0.1:-1", 400, "must be IP:PORT"},
        {"127.0.0.1:", 400, "must be IP:PORT"},
        {"::1:80", 400, "must be IP:PORT"},
        {"[127.0.0.1]:80", 400, "must be IP:PORT"},
        {"localhost:80", 400, "must be IP:PORT"},
        {"[::1:80", 400, "must be IP:PORT"},
        {"", 400, "must be IP:PORT"},
        {"192.0.2.1:1", 500, "cannot listen on 192.0.2.1:1: "},
    };
    struct http_fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err;
        fixture->config.listen = cases[i].listen;
        assert_int_equal(http_server_start(&fixture->config, &fixture->server, &err), -1);
        assert_int_equal(err.code, cases[i].code);
        if (!strstr(err.message, cases[i].message))
            fail_msg("%s", err.message);
    }
    assert_null(fixture->server);
}

static void all_addresses_of_both_families_are_listened_on(void **state)
{
    static const char *const addresses[] = {":0", "0.0.0.0:0"};
    struct http_fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct http_answer answer;
        fixture->config.listen = addresses[i];
        http_fixture_start(fixture);
        ask_once(fixture, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &answer);
        assert_int_equal(answer.status, 200);
        http_fixture_wait_accesses(fixture, i + 1);
        http_server_stop(fixture->server, 10 * 1000);
        fixture->server = NULL;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_reaches_its_handler_and_its_answer_the_client),
        TEST(head_is_answered_as_get_without_a_body),
        TEST(paths_and_parameters_are_decoded),
        TEST(headers_are_found_whatever_their_case),
        TEST(many_requests_use_one_connection),
        TEST(pipelined_requests_are_answered_in_order),
        TEST(the_client_may_end_the_connection),
        TEST(a_finished_request_is_reported),
        TEST(a_client_that_leaves_in_the_middle_of_its_body_is_reported_as_cut),
        TEST(what_has_no_route_is_refused_with_what_there_is),
        TEST(a_refused_request_does_not_cost_the_connection),
        TEST(framing_that_is_ambiguous_or_unknown_ends_the_connection),
        TEST(a_nul_in_the_path_is_refused),
        TEST(headers_beyond_the_limit_are_refused),
        TEST(a_handler_without_an_answer_gives_500),
        TEST(a_body_of_exactly_the_limit_is_taken_and_one_byte_more_refused),
        TEST(the_default_limit_is_7_mib),
        TEST(a_client_that_asks_first_is_refused_before_it_sends),
        TEST(a_body_too_large_to_be_thrown_away_is_refused_at_once),
        TEST(a_body_takes_memory_only_as_it_arrives),
        TEST(beyond_the_budget_a_request_is_refused_and_the_next_one_served),
        TEST(a_request_cannot_take_more_than_its_arena),
        TEST(a_steady_stream_of_requests_allocates_nothing),
        TEST(every_failing_allocation_is_survived),
        TEST(a_configuration_that_cannot_be_is_refused),
        TEST(all_addresses_of_both_families_are_listened_on),
    };
    return cmocka_run_group_tests_name("http_server", tests, NULL, NULL);
}
