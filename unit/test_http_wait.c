/* Requests whose answer is put off, in plain and over TLS. */
#include "unit/cert_files.h"
#include "unit/http_fixture.h"

#include "http/cert.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define HOST "Host: test\r\n"

enum { PATIENCE_MS = 10 * 1000 };

static const char hello[] = "GET /hello HTTP/1.1\r\n" HOST "\r\n";
static const char later[] = "POST /wait HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc";

struct wait_fixture {
    struct http_fixture http;
    struct cert_folder folder;
    struct cert_source *source;
};

static int setup_plain(void **state)
{
    struct wait_fixture *fixture = calloc(1, sizeof(*fixture));
    http_fixture_init(&fixture->http);
    *state = fixture;
    return 0;
}

static int setup_tls(void **state)
{
    setup_plain(state);
    struct wait_fixture *fixture = *state;
    const struct clock *clock = &fixture->http.clock.clock;
    struct cert_pem pem;
    struct err err;
    cert_pem_make(&pem, "test", clock_wall_ns(clock) / CLOCK_NS_PER_SEC, 30);
    cert_folder_make(&fixture->folder);
    cert_folder_put(&fixture->folder, pem.cert, pem.key);
    if (cert_source_open_dir(fixture->folder.path, clock, &fixture->source, &err) < 0)
        fail_msg("%s", err.message);
    fixture->http.config.cert = fixture->source;
    return 0;
}

static int teardown(void **state)
{
    struct wait_fixture *fixture = *state;
    for (size_t i = 0; i < fixture->http.wait_count; i++)
        http_fixture_end_wait(&fixture->http, i);
    http_fixture_done(&fixture->http);
    if (fixture->source) {
        cert_source_close(fixture->source);
        cert_folder_remove(&fixture->folder);
    }
    free(fixture);
    return 0;
}

/* ---- the parts of a test ---- */

static void ask_later(struct http_fixture *fixture, struct http_client *client)
{
    size_t before = fixture->wait_count;
    assert_true(http_client_send_text(client, later));
    http_fixture_wait_waits(fixture, before + 1);
}

static void open_and_ask_later(struct http_fixture *fixture, struct http_client *client)
{
    http_fixture_open(fixture, client);
    ask_later(fixture, client);
}

static void assert_text(struct http_client *client, int status, const char *text)
{
    struct http_answer answer;
    assert_true(http_client_read(client, &answer));
    assert_int_equal(answer.status, status);
    assert_string_equal(answer.body, text);
}

static void assert_hello(struct http_client *client)
{
    assert_true(http_client_send_text(client, hello));
    assert_text(client, 200, "hello\n");
}

/* The end of a request is known to the test a little before the server has noted it. */
static void assert_dropped(struct http_fixture *fixture, size_t finished, size_t dropped)
{
    http_fixture_wait_accesses(fixture, finished);
    http_fixture_wait_in_flight(fixture, 0);
    pthread_mutex_lock(&fixture->lock);
    assert_int_equal(fixture->dropped, dropped);
    pthread_mutex_unlock(&fixture->lock);
}

/* ---- waiting ---- */

static void a_request_that_waits_holds_no_thread(void **state)
{
    struct http_fixture *fixture = &((struct wait_fixture *)*state)->http;
    struct http_client first, second;
    fixture->config.threads = 1;
    http_fixture_start(fixture);
    open_and_ask_later(fixture, &first);
    http_fixture_open(fixture, &second);
    assert_hello(&second);
    http_fixture_wait_in_flight(fixture, 1);
    http_fixture_end_wait(fixture, 0);
    assert_text(&first, 200, "waited 3\n");
    assert_dropped(fixture, 2, 1);
    assert_int_equal(http_fixture_stats(fixture).waiting, 0);
    http_client_close(&first);
    http_client_close(&second);
}

static void a_wait_that_ends_before_it_has_begun_is_no_loss(void **state)
{
    struct http_fixture *fixture = &((struct wait_fixture *)*state)->http;
    struct http_client client;
    fixture->wait_is_short = true;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    for (int i = 0; i < 20; i++) {
        assert_true(http_client_send_text(&client, later));
        assert_text(&client, 200, "waited 3\n");
    }
    assert_dropped(fixture, 20, 20);
    http_client_close(&client);
}

static void the_connection_serves_on_after_a_wait(void **state)
{
    struct http_fixture *fixture = &((struct wait_fixture *)*state)->http;
    struct http_client client;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    for (size_t i = 0; i < 3; i++) {
        assert_hello(&client);
        ask_later(fixture, &client);
        http_fixture_end_wait(fixture, i);
        assert_text(&client, 200, "waited 3\n");
    }
    assert_hello(&client);
    http_client_close(&client);
}

static void a_request_that_was_sent_behind_a_waiting_one_is_answered_after_it(void **state)
{
    struct http_fixture *fixture = &((struct wait_fixture *)*state)->http;
    struct http_client client;
    http_fixture_start(fixture);
    open_and_ask_later(fixture, &client);
    assert_true(http_client_send_text(&client, hello));
    http_client_flush(&client);
    http_fixture_end_wait(fixture, 0);
    assert_text(&client, 200, "waited 3\n");
    assert_text(&client, 200, "hello\n");
    http_client_close(&client);
}

static void a_body_in_chunks_is_kept_while_its_request_waits(void **state)
{
    enum { SIZE = 200 * 1000 };
    struct http_fixture *fixture = &((struct wait_fixture *)*state)->http;
    struct http_client client;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    http_post_in_chunks(&client, "/wait", SIZE);
    http_fixture_wait_waits(fixture, 1);
    http_fixture_end_wait(fixture, 0);
    assert_text(&client, 200, "waited 200000\n");
    http_client_close(&client);
}

struct ending {
    struct http_fixture *fixture;
    size_t count;
};

static void *end_all(void *arg)
{
    struct ending *ending = arg;
    for (size_t i = 0; i < ending->count; i++)
        http_fixture_end_wait(ending->fixture, (i * 7) % ending->count);
    return NULL;
}

static void many_wait_at_once_and_each_gets_its_answer(void **state)
{
    enum { CLIENTS = 40 };
    struct http_fixture *fixture = &((struct wait_fixture *)*state)->http;
    struct http_client clients[CLIENTS];
    struct ending ending = {fixture, CLIENTS};
    pthread_t thread;
    http_fixture_start(fixture);
    for (size_t i = 0; i < CLIENTS; i++)
        open_and_ask_later(fixture, &clients[i]);
    assert_int_equal(pthread_create(&thread, NULL, end_all, &ending), 0);
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_text(&clients[i], 200, "waited 3\n");
        http_client_close(&clients[i]);
    }
    pthread_join(thread, NULL);
    assert_dropped(fixture, CLIENTS, CLIENTS);
}

/* ---- bounds ---- */

static void a_wait_ends_at_its_deadline(void **state)
{
    struct http_fixture *fixture = &((struct wait_fixture *)*state)->http;
    struct http_client client;
    http_fixture_start(fixture);
    open_and_ask_later(fixture, &client);
    http_fixture_advance_ms(fixture, HTTP_FIXTURE_WAIT_MS);
    assert_int_equal(http_fixture_stats(fixture).waiting, 1);
    http_fixture_advance_ms(fixture, 1);
    assert_text(&client, 200, "waited 3\n");
    http_fixture_end_wait(fixture, 0); /* too late, and harmless */
    assert_hello(&client);
    http_client_close(&client);
}

static void a_wait_never_outlasts_its_request(void **state)
{
    struct http_fixture *fixture = &((struct wait_fixture *)*state)->http;
    struct http_client client;
    fixture->config.request_timeout_ms = HTTP_FIXTURE_WAIT_MS / 2;
    http_fixture_start(fixture);
    open_and_ask_later(fixture, &client);
    http_fixture_advance_ms(fixture, HTTP_FIXTURE_WAIT_MS / 2 + 1);
    http_fixture_wait_waiting(fixture, 0);
    http_fixture_wait_connections(fixture, 0);
    assert_dropped(fixture, 1, 1);
    http_client_close(&client);
}

static void more_than_max_waiting_do_not_wait(void **state)
{
    struct http_fixture *fixture = &((struct wait_fixture *)*state)->http;
    struct http_client first, second;
    fixture->config.max_waiting = 1;
    http_fixture_start(fixture);
    open_and_ask_later(fixture, &first);
    http_fixture_open(fixture, &second);
    assert_true(http_client_send_text(&second, later));
    assert_text(&second, 503, "no room\n");
    http_fixture_end_wait(fixture, 0);
    assert_text(&first, 200, "waited 3\n");
    ask_later(fixture, &second);
    http_fixture_end_wait(fixture, 1);
    assert_text(&second, 200, "waited 3\n");
    assert_dropped(fixture, 3, 2);
    http_client_close(&first);
    http_client_close(&second);
}

static void half_of_the_connections_may_wait(void **state)
{
    enum { CONNECTIONS = 4 };
    struct http_fixture *fixture = &((struct wait_fixture *)*state)->http;
    struct http_client clients[CONNECTIONS / 2 + 1];
    fixture->config.max_connections = CONNECTIONS;
    http_fixture_start(fixture);
    for (size_t i = 0; i < CONNECTIONS / 2; i++)
        open_and_ask_later(fixture, &clients[i]);
    http_fixture_open(fixture, &clients[CONNECTIONS / 2]);
    assert_true(http_client_send_text(&clients[CONNECTIONS / 2], later));
    assert_text(&clients[CONNECTIONS / 2], 503, "no room\n");
    assert_hello(&clients[CONNECTIONS / 2]);
    for (size_t i = 0; i < CONNECTIONS / 2; i++)
        http_fixture_end_wait(fixture, i);
    for (size_t i = 0; i < CONNECTIONS / 2 + 1; i++)
        http_client_close(&clients[i]);
}

static void send_large_later(struct http_client *client, size_t size)
{
    char head[128];
    char *body = calloc(size, 1);
    assert_non_null(body);
    snprintf(head, sizeof(head), "POST /wait HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
             size);
    assert_true(http_client_send_text(client, head));
    assert_true(http_client_send(client, (struct str){body, size}));
    free(body);
}

static void bodies_that_wait_leave_half_of_the_memory_to_others(void **state)
{
    enum { MIB = 1024 * 1024 };
    struct http_fixture *fixture = &((struct wait_fixture *)*state)->http;
    struct http_client first, second;
    fixture->config.memory_budget = 16 * MIB;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &first);
    send_large_later(&first, 5 * MIB);
    http_fixture_wait_waits(fixture, 1);
    http_fixture_open(fixture, &second);
    send_large_later(&second, 4 * MIB);
    assert_text(&second, 503, "no room\n");
    send_large_later(&second, 3 * MIB);
    http_fixture_wait_waits(fixture, 2);
    http_fixture_end_wait(fixture, 0);
    assert_text(&first, 200, "waited 5242880\n");
    send_large_later(&first, 5 * MIB);
    http_fixture_wait_waits(fixture, 3);
    http_fixture_end_wait(fixture, 1);
    http_fixture_end_wait(fixture, 2);
    assert_text(&second, 200, "waited 3145728\n");
    assert_text(&first, 200, "waited 5242880\n");
    http_client_close(&first);
    http_client_close(&second);
}

static void a_request_that_waits_holds_only_its_body(void **state)
{
    struct http_fixture *fixture = &((struct wait_fixture *)*state)->http;
    struct http_client client;
    http_fixture_start(fixture);
    open_and_ask_later(fixture, &client);
    /* The handler may be about to return, and what was given back is kept until a tick has passed without
     * need of it. */
    for (int i = 0; i < PATIENCE_MS && http_fixture_stats(fixture).memory >= 4096; i++) {
        http_server_tick(fixture->server);
        poll(NULL, 0, 1);
    }
    assert_true(http_fixture_stats(fixture).memory < 4096);
    http_fixture_end_wait(fixture, 0);
    assert_text(&client, 200, "waited 3\n");
    http_client_close(&client);
}

static void without_memory_a_request_does_not_wait(void **state)
{
    struct http_fixture *fixture = &((struct wait_fixture *)*state)->http;
    struct http_client client;
    fixture->config.threads = 1;
    fixture->wait_is_failed = true;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    assert_hello(&client); /* has the server allocate what it keeps */
    assert_true(http_client_send_text(&client, later));
    assert_text(&client, 503, "no room\n");
    assert_int_equal(fixture->mem.failures, 1);
    assert_int_equal(http_fixture_stats(fixture).waiting, 0);
    http_client_close(&client);
}

static void a_client_that_leaves_while_it_waits_leaves_nothing_behind(void **state)
{
    struct http_fixture *fixture = &((struct wait_fixture *)*state)->http;
    struct http_client client;
    http_fixture_start(fixture);
    open_and_ask_later(fixture, &client);
    http_client_close(&client);
    http_fixture_end_wait(fixture, 0);
    http_fixture_wait_connections(fixture, 0);
    assert_dropped(fixture, 1, 1);
}

/* ---- the end ---- */

struct stopping {
    struct http_fixture *fixture;
    pthread_t thread;
    size_t cut;
};

static void *stop(void *arg)
{
    struct stopping *stopping = arg;
    stopping->cut = http_server_stop(stopping->fixture->server, PATIENCE_MS);
    return NULL;
}

static void stopping_waits_for_requests_that_wait(void **state)
{
    struct http_fixture *fixture = &((struct wait_fixture *)*state)->http;
    struct http_client client;
    struct http_answer answer;
    struct stopping stopping = {.fixture = fixture};
    http_fixture_start(fixture);
    open_and_ask_later(fixture, &client);
    http_server_begin_drain(fixture->server);
    assert_int_equal(pthread_create(&stopping.thread, NULL, stop, &stopping), 0);
    http_fixture_end_wait(fixture, 0);
    assert_true(http_client_read(&client, &answer));
    assert_string_equal(answer.body, "waited 3\n");
    assert_str_is(http_answer_header(&answer, "Connection"), "close");
    pthread_join(stopping.thread, NULL);
    fixture->server = NULL;
    assert_int_equal(stopping.cut, 0);
    http_client_close(&client);
}

static void deadlines_of_waits_count_while_the_server_stops(void **state)
{
    struct http_fixture *fixture = &((struct wait_fixture *)*state)->http;
    struct http_client client;
    struct stopping stopping = {.fixture = fixture};
    http_fixture_start(fixture);
    open_and_ask_later(fixture, &client);
    assert_int_equal(pthread_create(&stopping.thread, NULL, stop, &stopping), 0);
    test_clock_advance_ms(&fixture->clock, HTTP_FIXTURE_WAIT_MS + 1);
    assert_text(&client, 200, "waited 3\n");
    pthread_join(stopping.thread, NULL);
    fixture->server = NULL;
    assert_int_equal(stopping.cut, 0);
    http_client_close(&client);
}

static void a_request_that_waits_for_too_long_is_cut_when_the_server_ends(void **state)
{
    struct http_fixture *fixture = &((struct wait_fixture *)*state)->http;
    struct http_client client;
    http_fixture_start(fixture);
    open_and_ask_later(fixture, &client);
    assert_int_equal(http_server_stop(fixture->server, 1), 1);
    fixture->server = NULL;
    assert_int_equal(fixture->dropped, 1);
    assert_int_equal(fixture->accesses, 1);
    assert_int_equal(fixture->last.status, 0);
    http_fixture_end_wait(fixture, 0); /* after the server has gone */
    assert_true(http_client_read_end(&client));
    http_client_close(&client);
}

#define BOTH_WAYS(test)                                    \
    {#test, test, setup_plain, teardown, NULL},            \
    {                                                      \
#test "_over_tls", test, setup_tls, teardown, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_WAYS(a_request_that_waits_holds_no_thread),
        BOTH_WAYS(a_wait_that_ends_before_it_has_begun_is_no_loss),
        BOTH_WAYS(the_connection_serves_on_after_a_wait),
        BOTH_WAYS(a_request_that_was_sent_behind_a_waiting_one_is_answered_after_it),
        BOTH_WAYS(a_body_in_chunks_is_kept_while_its_request_waits),
        BOTH_WAYS(many_wait_at_once_and_each_gets_its_answer),
        BOTH_WAYS(a_wait_ends_at_its_deadline),
        BOTH_WAYS(a_wait_never_outlasts_its_request),
        BOTH_WAYS(more_than_max_waiting_do_not_wait),
        BOTH_WAYS(half_of_the_connections_may_wait),
        BOTH_WAYS(bodies_that_wait_leave_half_of_the_memory_to_others),
        BOTH_WAYS(a_request_that_waits_holds_only_its_body),
        BOTH_WAYS(without_memory_a_request_does_not_wait),
        BOTH_WAYS(a_client_that_leaves_while_it_waits_leaves_nothing_behind),
        BOTH_WAYS(stopping_waits_for_requests_that_wait),
        BOTH_WAYS(deadlines_of_waits_count_while_the_server_stops),
        BOTH_WAYS(a_request_that_waits_for_too_long_is_cut_when_the_server_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
