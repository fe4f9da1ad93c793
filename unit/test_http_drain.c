/* Ending the HTTP server without losing a request. */
#include "unit/http_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST "Host: test\r\n"

enum { PATIENCE_MS = 10 * 1000 };

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

static void send_text(struct http_client *client, const char *text)
{
    assert_true(http_client_send_text(client, text));
}

static const char hello[] = "GET /hello HTTP/1.1\r\n" HOST "\r\n";

static void assert_answer(struct http_client *client, bool is_last)
{
    struct http_answer answer;
    assert_true(http_client_read(client, &answer));
    assert_int_equal(answer.status, 200);
    struct str connection = http_answer_header(&answer, "Connection");
    if (is_last)
        assert_str_is(connection, "close");
    else
        assert_false(str_is_set(connection));
}

static void assert_served(struct http_client *client, bool is_last)
{
    send_text(client, hello);
    assert_answer(client, is_last);
}

/* ---- stopping on a thread of its own ---- */

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

static void stop_begin(struct stopping *stopping, struct http_fixture *fixture)
{
    *stopping = (struct stopping){.fixture = fixture};
    assert_int_equal(pthread_create(&stopping->thread, NULL, stop, stopping), 0);
}

/* The number of requests that were cut. */
static size_t stop_end(struct stopping *stopping)
{
    pthread_join(stopping->thread, NULL);
    stopping->fixture->server = NULL;
    return stopping->cut;
}

/* ---- the drain ---- */

static void answers_during_the_drain_are_the_last_of_their_connection(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client used, fresh, refused;
    struct http_answer answer;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &used);
    assert_served(&used, false);
    http_server_begin_drain(fixture->server);
    assert_served(&used, true);
    assert_true(http_client_read_end(&used));
    http_client_close(&used);

    http_fixture_open(fixture, &fresh);
    assert_served(&fresh, true);
    assert_true(http_client_read_end(&fresh));
    http_client_close(&fresh);

    http_fixture_open(fixture, &refused);
    assert_true(http_client_ask(&refused, "GET /nowhere HTTP/1.1\r\n" HOST "\r\n", &answer));
    assert_int_equal(answer.status, 404);
    assert_str_is(http_answer_header(&answer, "Connection"), "close");
    http_client_close(&refused);
}

static void an_answer_that_was_under_way_when_the_drain_began_is_complete(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    struct http_answer answer;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    send_text(&client, "GET /large HTTP/1.1\r\n" HOST "\r\n");
    char first;
    assert_int_equal(recv(client.fd, &first, 1, MSG_PEEK), 1);
    http_server_begin_drain(fixture->server);
    assert_true(http_client_read(&client, &answer));
    assert_int_equal(answer.body_len, HTTP_FIXTURE_LARGE);
    assert_served(&client, true);
    http_client_close(&client);
}

static void idle_connections_stay_open_during_the_drain(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client used, unused;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &used);
    http_fixture_open(fixture, &unused);
    assert_served(&used, false);
    http_fixture_wait_connections(fixture, 2);
    http_fixture_wait_in_flight(fixture, 0);
    http_server_begin_drain(fixture->server);
    for (int s = 0; s < 60; s++)
        http_fixture_advance_ms(fixture, 1000);
    assert_served(&used, true);
    assert_served(&unused, true);
    http_client_close(&used);
    http_client_close(&unused);
}

/* ---- the end ---- */

static void requests_under_way_are_finished_before_the_server_ends(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client handled, sending;
    struct stopping stopping;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &handled);
    http_fixture_open(fixture, &sending);
    send_text(&handled, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    sem_wait(&fixture->held);
    send_text(&sending, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\na");
    http_fixture_wait_in_flight(fixture, 2);
    http_server_begin_drain(fixture->server);
    stop_begin(&stopping, fixture);
    http_fixture_release(fixture);
    struct http_answer answer;
    assert_true(http_client_read(&handled, &answer));
    assert_string_equal(answer.body, "held\n");
    send_text(&sending, "bc");
    assert_answer(&sending, true);
    assert_int_equal(stop_end(&stopping), 0);
    http_client_close(&handled);
    http_client_close(&sending);
}

static void requests_that_had_arrived_on_idle_connections_are_answered(void **state)
{
    enum { CLIENTS = 40 };
    struct http_fixture *fixture = *state;
    struct http_client clients[CLIENTS];
    struct stopping stopping;
    http_fixture_start(fixture);
    for (size_t i = 0; i < CLIENTS; i++) {
        http_fixture_open(fixture, &clients[i]);
        assert_served(&clients[i], false);
    }
    http_fixture_wait_in_flight(fixture, 0);
    for (size_t i = 0; i < CLIENTS; i++)
        send_text(&clients[i], hello);
    for (size_t i = 0; i < CLIENTS; i++)
        http_client_flush(&clients[i]);
    stop_begin(&stopping, fixture);
    for (size_t i = 0; i < CLIENTS; i++) {
        struct http_answer answer;
        assert_true(http_client_read(&clients[i], &answer));
        assert_int_equal(answer.status, 200);
        assert_true(http_client_read_end(&clients[i]));
        http_client_close(&clients[i]);
    }
    assert_int_equal(stop_end(&stopping), 0);
}

/* Its first request may be on the way. */
static void a_connection_without_a_request_is_spared_for_a_moment(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client used, unused;
    struct stopping stopping;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &used);
    http_fixture_open(fixture, &unused);
    assert_served(&used, false);
    http_fixture_wait_connections(fixture, 2);
    stop_begin(&stopping, fixture);
    assert_true(http_client_read_end(&used));
    assert_served(&unused, true);
    assert_int_equal(stop_end(&stopping), 0);
    http_client_close(&used);
    http_client_close(&unused);
}

static void silent_clients_do_not_hold_up_the_end(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client unused, half;
    struct stopping stopping;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &unused);
    http_fixture_open(fixture, &half);
    send_text(&half, "GET /he");
    http_fixture_wait_connections(fixture, 2);
    stop_begin(&stopping, fixture);
    assert_int_equal(stop_end(&stopping), 0);
    assert_true(http_client_read_end(&unused));
    assert_true(http_client_read_end(&half));
    http_client_close(&unused);
    http_client_close(&half);
}

static void what_does_not_finish_in_time_is_cut_and_counted(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    send_text(&client, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\na");
    http_fixture_wait_in_flight(fixture, 1);
    assert_int_equal(http_server_stop(fixture->server, 0), 1);
    fixture->server = NULL;
    assert_true(fixture->last.is_cut);
    assert_true(http_client_read_end(&client));
    http_client_close(&client);
    assert_int_equal(http_server_stop(NULL, 0), 0);
}

static void after_stop_accepting_connections_are_refused_and_open_ones_served(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client early, late;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &early);
    http_server_stop_accepting(fixture->server);
    http_server_stop_accepting(fixture->server);
    assert_false(http_client_open(&late, http_server_port(fixture->server)));
    assert_int_equal(errno, ECONNREFUSED);
    assert_served(&early, false);
    http_client_close(&early);
}

/* ---- handing over a listening socket ---- */

static int make_listener(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, SOMAXCONN), 0);
    return fd;
}

struct visitor {
    uint16_t port;
    atomic_bool must_stop;
    atomic_size_t served;
    size_t lost;
};

/* Uses a connection until the server ends it, then the next one. */
static void *visit(void *arg)
{
    struct visitor *visitor = arg;
    while (!atomic_load(&visitor->must_stop)) {
        struct http_client client;
        struct http_answer answer;
        bool is_open = http_client_open(&client, visitor->port);
        for (int i = 0; is_open && i < 10; i++) {
            if (!http_client_ask(&client, hello, &answer) || answer.status != 200) {
                visitor->lost++;
                break;
            }
            atomic_fetch_add(&visitor->served, 1);
            if (str_is_set(http_answer_header(&answer, "Connection")))
                break;
        }
        visitor->lost += !is_open;
        http_client_close(&client);
    }
    return NULL;
}

static void wait_served(struct visitor *visitors, size_t count, size_t more)
{
    for (size_t i = 0; i < count; i++) {
        size_t before = atomic_load(&visitors[i].served);
        while (atomic_load(&visitors[i].served) < before + more)
            sched_yield();
    }
}

static void a_successor_on_the_same_socket_takes_over_without_a_lost_request(void **state)
{
    enum { VISITORS = 3, GENERATIONS = 3 };
    struct http_fixture *fixture = *state;
    struct visitor visitors[VISITORS];
    pthread_t threads[VISITORS];
    int fd = make_listener();
    fixture->config.listen = NULL;
    fixture->config.listen_fd = fd;
    http_fixture_start(fixture);
    for (size_t i = 0; i < VISITORS; i++) {
        visitors[i] = (struct visitor){.port = http_server_port(fixture->server)};
        assert_int_equal(pthread_create(&threads[i], NULL, visit, &visitors[i]), 0);
    }
    for (int i = 0; i < GENERATIONS; i++) {
        wait_served(visitors, VISITORS, 50);
        struct http_server *old = fixture->server;
        http_fixture_start(fixture);
        http_server_begin_drain(old);
        /* Everybody has met the new server, or the old one's last answer. */
        wait_served(visitors, VISITORS, 20);
        assert_int_equal(http_server_stop(old, PATIENCE_MS), 0);
    }
    wait_served(visitors, VISITORS, 50);
    for (size_t i = 0; i < VISITORS; i++) {
        atomic_store(&visitors[i].must_stop, true);
        pthread_join(threads[i], NULL);
        assert_int_equal(visitors[i].lost, 0);
    }
    assert_int_equal(http_server_stop(fixture->server, PATIENCE_MS), 0);
    fixture->server = NULL;
    close(fd);
}

static void what_is_no_listening_socket_is_refused(void **state)
{
    struct http_fixture *fixture = *state;
    struct err err;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    fixture->config.listen = NULL;
    const int fds[] = {pair[0], -1, 1000000};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        fixture->config.listen_fd = fds[i];
        assert_int_equal(http_server_start(&fixture->config, &fixture->server, &err), -1);
        assert_int_equal(err.code, 400);
        assert_non_null(strstr(err.message, "is not a TCP socket that listens"));
    }
    close(pair[0]);
    close(pair[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_during_the_drain_are_the_last_of_their_connection),
        TEST(an_answer_that_was_under_way_when_the_drain_began_is_complete),
        TEST(idle_connections_stay_open_during_the_drain),
        TEST(requests_under_way_are_finished_before_the_server_ends),
        TEST(requests_that_had_arrived_on_idle_connections_are_answered),
        TEST(a_connection_without_a_request_is_spared_for_a_moment),
        TEST(silent_clients_do_not_hold_up_the_end),
        TEST(what_does_not_finish_in_time_is_cut_and_counted),
        TEST(after_stop_accepting_connections_are_refused_and_open_ones_served),
        TEST(a_successor_on_the_same_socket_takes_over_without_a_lost_request),
        TEST(what_is_no_listening_socket_is_refused),
    };
    return cmocka_run_group_tests_name("http_drain", tests, NULL, NULL);
}
