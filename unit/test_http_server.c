/* The HTTP server: requests, answers, and what it refuses. Over plain TCP. */
#include "unit/http_fixture.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

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

/* ---- requests and answers ---- */

static void a_request_reaches_its_handler_and_its_answer_the_client(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_answer answer;
    http_fixture_start(fixture);
    http_fixture_ask(fixture, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &answer);
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
        http_fixture_ask(fixture, request, &answer);
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.body, cases[i].body);
    }
}

static void headers_are_found_whatever_their_case(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_answer answer;
    http_fixture_start(fixture);
    http_fixture_ask(fixture,
                     "POST /echo HTTP/1.1\r\n" HOST "X-ECHO: yes\r\nContent-Length: 3\r\n\r\nabc",
                     &answer);
    assert_string_equal(answer.body, "abc");
    assert_header(&answer, "X-Echo", "yes");
    http_fixture_ask(fixture, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", &answer);
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
        http_post_with_length(&client, "/count", i * 100);
        http_assert_counted(&client, i * 100);
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

static void a_handler_may_end_the_connection(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    struct http_answer answer;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    assert_true(http_client_ask(&client, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &answer));
    assert_true(http_client_ask(&client, "GET /last HTTP/1.1\r\n" HOST "\r\n", &answer));
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "last\n");
    assert_header(&answer, "Connection", "close");
    assert_true(http_client_read_end(&client));
    http_client_close(&client);
}

static void a_finished_request_is_reported(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_answer answer;
    http_fixture_start(fixture);
    http_fixture_ask(fixture, "GET /items/7?x HTTP/1.1\r\n" HOST "\r\n", &answer);
    http_fixture_wait_accesses(fixture, 1);
    assert_int_equal(fixture->last.status, 200);
    assert_false(fixture->last.is_cut);
    assert_string_equal(fixture->last.route, "/items/");
    assert_string_equal(fixture->last_path, "/items/7");
    assert_int_equal(fixture->last.response_bytes, strlen("/items/7"));
    assert_int_equal(fixture->last.id, 1);
    http_fixture_ask(fixture, "POST /nowhere HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nabcd",
                     &answer);
    http_fixture_wait_accesses(fixture, 2);
    assert_int_equal(fixture->last.status, 404);
    assert_null(fixture->last.route);
    assert_int_equal(fixture->last.request_bytes, 4);
    assert_int_equal(fixture->last.id, 2);
    /* This one is answered by libmicrohttpd itself. */
    http_fixture_ask(fixture,
                     "POST /count HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
                     &answer);
    http_fixture_wait_accesses(fixture, 3);
    assert_int_equal(fixture->last.status, 400);
    assert_false(fixture->last.is_cut);
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
    http_fixture_ask(fixture, "GET /nowhere HTTP/1.1\r\n" HOST "\r\n", &answer);
    assert_int_equal(answer.status, 404);
    assert_header(&answer, "Content-Type", "application/json");
    assert_message_contains(&answer, "\"kind\":\"Status\"");
    assert_message_contains(&answer, "\"code\":404}");
    assert_message_contains(&answer, "/hello, /items/, ");
    http_fixture_ask(fixture, "GET /hello/ HTTP/1.1\r\n" HOST "\r\n", &answer);
    assert_int_equal(answer.status, 404);
    http_fixture_ask(fixture, "DELETE /hello HTTP/1.1\r\n" HOST "\r\n", &answer);
    assert_int_equal(answer.status, 405);
    assert_header(&answer, "Allow", "GET, HEAD");
    http_fixture_ask(fixture, "GET /count HTTP/1.1\r\n" HOST "\r\n", &answer);
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
    http_post_with_length(&client, "/nowhere", 100 * 1000);
    assert_true(http_client_read(&client, &answer));
    assert_int_equal(answer.status, 404);
    http_post_in_chunks(&client, "/nowhere", 100 * 1000);
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
    http_fixture_ask(fixture, "GET /hello%00x HTTP/1.1\r\n" HOST "\r\n", &answer);
    assert_int_equal(answer.status, 400);
    assert_message_contains(&answer, "NUL");
    http_fixture_ask(fixture, "GET /query?q=a%00b HTTP/1.1\r\n" HOST "\r\n", &answer);
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
    http_fixture_ask(fixture, "GET /silent HTTP/1.1\r\n" HOST "\r\n", &answer);
    assert_int_equal(answer.status, 500);
    assert_message_contains(&answer, "no answer");
}

/* ---- threads ---- */

static atomic_int signals_caught;

static void catch_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals_caught, 1);
}

static void signals_are_left_to_the_threads_of_the_program(void **state)
{
    struct http_fixture *fixture = *state;
    const struct sigaction action = {.sa_handler = catch_signal};
    sigset_t set, pending;
    struct http_answer answer;
    http_fixture_start(fixture);
    sigaction(SIGUSR1, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    kill(getpid(), SIGUSR1);
    http_fixture_ask(fixture, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &answer);
    sigpending(&pending);
    assert_int_equal(atomic_load(&signals_caught), 0);
    assert_true(sigismember(&pending, SIGUSR1));
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    assert_int_equal(atomic_load(&signals_caught), 1);
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

/* The number that the next descriptor gets. */
static int next_descriptor(void)
{
    int fd = dup(STDIN_FILENO);
    close(fd);
    return fd;
}

static void allow_descriptors(rlim_t count)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = count;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void a_server_that_finds_too_few_descriptors_leaves_none_behind(void **state)
{
    struct http_fixture *fixture = *state;
    struct rlimit before;
    rlim_t tries = 0;
    int next = next_descriptor(), rc = -1;
    getrlimit(RLIMIT_NOFILE, &before);
    while (rc < 0) {
        struct err err;
        allow_descriptors((rlim_t)next + tries++);
        rc = http_server_start(&fixture->config, &fixture->server, &err);
        allow_descriptors(before.rlim_cur);
        if (rc < 0) {
            assert_int_equal(err.code, 500);
            assert_int_equal(next_descriptor(), next);
        }
    }
    /* A listening socket, an eventfd, and for each worker an epoll set and the ends of a pipe. */
    assert_true(tries > 2 + 2 * 3);
}

static void all_addresses_of_both_families_are_listened_on(void **state)
{
    static const char *const addresses[] = {":0", "0.0.0.0:0"};
    struct http_fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct http_answer answer;
        fixture->config.listen = addresses[i];
        http_fixture_start(fixture);
        http_fixture_ask(fixture, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &answer);
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
        TEST(a_handler_may_end_the_connection),
        TEST(a_finished_request_is_reported),
        TEST(a_client_that_leaves_in_the_middle_of_its_body_is_reported_as_cut),
        TEST(what_has_no_route_is_refused_with_what_there_is),
        TEST(a_refused_request_does_not_cost_the_connection),
        TEST(framing_that_is_ambiguous_or_unknown_ends_the_connection),
        TEST(a_nul_in_the_path_is_refused),
        TEST(headers_beyond_the_limit_are_refused),
        TEST(a_handler_without_an_answer_gives_500),
        TEST(signals_are_left_to_the_threads_of_the_program),
        TEST(a_configuration_that_cannot_be_is_refused),
        TEST(a_server_that_finds_too_few_descriptors_leaves_none_behind),
        TEST(all_addresses_of_both_families_are_listened_on),
    };
    return cmocka_run_group_tests_name("http_server", tests, NULL, NULL);
}
