/* The HTTP server's deadlines, its limit of connections, and clients that are slow on purpose. */
#include "unit/http_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST "Host: test\r\n"

static int setup(void **state)
{
    struct http_fixture *fixture = malloc(sizeof(*fixture));
    http_fixture_init(fixture);
    fixture->config.header_timeout_ms = 10 * 1000;
    fixture->config.request_timeout_ms = 30 * 1000;
    fixture->config.idle_timeout_ms = 120 * 1000;
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

/* Begins a request with a body, and waits until the server waits for that: a moment before, the
 * request is in flight already, and has the time for headers alone. */
static void begin_body(struct http_client *client, unsigned length)
{
    char text[160], interim[64];
    const struct str expected = STR("HTTP/1.1 100 Continue\r\n\r\n");
    snprintf(text, sizeof(text),
             "POST /count HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: %u\r\n\r\n",
             length);
    send_text(client, text);
    assert_int_equal(recv(client->fd, interim, expected.len, MSG_WAITALL), expected.len);
    assert_memory_equal(interim, expected.ptr, expected.len);
}

static void assert_served(struct http_client *client)
{
    struct http_answer answer;
    assert_true(http_client_ask(client, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &answer));
    assert_int_equal(answer.status, 200);
}

/* It ends, and `others` connections are left. */
static void assert_cut_but(struct http_fixture *fixture, struct http_client *client, size_t others)
{
    assert_true(http_client_read_end(client));
    http_client_close(client);
    http_fixture_wait_connections(fixture, others);
}

static void assert_cut(struct http_fixture *fixture, struct http_client *client)
{
    assert_cut_but(fixture, client, 0);
}

/* Keeps the only worker busy, so that what happens next is seen by it all at once. */
static void block_worker(struct http_fixture *fixture, struct http_client *blocker)
{
    send_text(blocker, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    sem_wait(&fixture->held);
}

/* ---- deadlines ---- */

static void a_slow_request_line_is_cut(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    http_fixture_wait_connections(fixture, 1);
    for (int s = 0; s <= 11; s++) {
        assert_int_equal(http_fixture_stats(fixture).expired_header, 0);
        send_text(&client, "G");
        http_client_flush(&client);
        http_fixture_advance_ms(fixture, 1000);
    }
    assert_cut(fixture, &client);
    assert_int_equal(http_fixture_stats(fixture).expired_header, 1);
}

static void a_slow_request_line_is_cut_on_a_connection_that_was_used_too(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    assert_served(&client);
    http_fixture_wait_in_flight(fixture, 0);
    http_fixture_advance_ms(fixture, 1000);
    for (int s = 0; s <= 11; s++) {
        assert_int_equal(http_fixture_stats(fixture).expired_header, 0);
        send_text(&client, "G");
        http_client_flush(&client);
        http_fixture_advance_ms(fixture, 1000);
    }
    assert_cut(fixture, &client);
    assert_int_equal(http_fixture_stats(fixture).expired_header, 1);
}

static void slow_headers_are_cut(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    send_text(&client, "GET /hello HTTP/1.1\r\n");
    http_fixture_wait_in_flight(fixture, 1);
    http_fixture_advance_ms(fixture, 9999);
    send_text(&client, "X-More: 1\r\n");
    assert_int_equal(http_fixture_stats(fixture).expired_header, 0);
    http_fixture_advance_ms(fixture, 2);
    assert_cut(fixture, &client);
    assert_int_equal(http_fixture_stats(fixture).expired_header, 1);
}

static void a_slow_body_is_cut_however_often_it_shows_signs_of_life(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    begin_body(&client, 100);
    for (int s = 0; s < 30; s++) {
        send_text(&client, "x");
        http_fixture_advance_ms(fixture, 1000);
        assert_int_equal(http_fixture_stats(fixture).expired_request, 0);
    }
    http_fixture_advance_ms(fixture, 1);
    assert_cut(fixture, &client);
    assert_int_equal(http_fixture_stats(fixture).expired_request, 1);
    http_fixture_wait_accesses(fixture, 1);
    assert_true(fixture->last.is_cut);
    assert_int_equal(fixture->last.status, 0);
}

static void a_request_that_is_complete_too_late_gets_408(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    struct http_answer answer;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    begin_body(&client, 1);
    test_clock_advance_ms(&fixture->clock, 30001);
    send_text(&client, "x");
    assert_true(http_client_read(&client, &answer));
    assert_int_equal(answer.status, 408);
    assert_str_is(http_answer_header(&answer, "Connection"), "close");
    assert_cut(fixture, &client);
}

static void a_client_that_does_not_read_its_answer_is_cut(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    send_text(&client, "GET /large HTTP/1.1\r\n" HOST "\r\n");
    char first;
    assert_int_equal(recv(client.fd, &first, 1, MSG_PEEK), 1);
    http_fixture_advance_ms(fixture, 30000);
    assert_int_equal(http_fixture_stats(fixture).expired_request, 0);
    http_fixture_advance_ms(fixture, 1);
    assert_int_equal(http_fixture_stats(fixture).expired_request, 1);
    http_fixture_wait_accesses(fixture, 1);
    assert_int_equal(fixture->last.status, 200);
    assert_true(fixture->last.is_cut);
    assert_cut(fixture, &client);
}

static void an_idle_connection_is_closed_after_its_time(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client, unused;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &unused);
    http_fixture_open(fixture, &client);
    assert_served(&client);
    http_fixture_wait_connections(fixture, 2);
    http_fixture_wait_in_flight(fixture, 0);
    for (int s = 0; s < 120; s++)
        http_fixture_advance_ms(fixture, 1000);
    assert_int_equal(http_fixture_stats(fixture).expired_idle, 0);
    http_fixture_advance_ms(fixture, 1);
    assert_int_equal(http_fixture_stats(fixture).expired_idle, 2);
    assert_true(http_client_read_end(&unused));
    http_client_close(&unused);
    assert_cut(fixture, &client);
}

static void a_request_begins_the_idle_time_anew(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    for (int i = 0; i < 3; i++) {
        assert_served(&client);
        http_fixture_wait_in_flight(fixture, 0);
        http_fixture_advance_ms(fixture, 119 * 1000);
    }
    assert_served(&client);
    http_client_close(&client);
}

/* The worker learns of the request and of the end together. */
static void a_request_that_meets_the_end_of_the_idle_time_is_answered(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client, blocker;
    struct http_answer answer;
    fixture->config.threads = 1;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &blocker);
    http_fixture_open(fixture, &client);
    assert_served(&client);
    http_fixture_wait_in_flight(fixture, 0);
    block_worker(fixture, &blocker);
    send_text(&client, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    http_client_flush(&client);
    http_fixture_advance_ms(fixture, 120 * 1000 + 1);
    assert_int_equal(http_fixture_stats(fixture).expired_idle, 1);
    http_fixture_release(fixture);
    assert_true(http_client_read(&client, &answer));
    assert_int_equal(answer.status, 200);
    assert_str_is(http_answer_header(&answer, "Connection"), "close");
    assert_true(http_client_read_end(&client));
    http_client_close(&client);
    assert_cut(fixture, &blocker);
}

/* The worker reads the half and not the end behind it. */
static void half_a_request_line_does_not_outlive_the_idle_time(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client, blocker;
    fixture->config.threads = 1;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &blocker);
    http_fixture_open(fixture, &client);
    http_fixture_wait_connections(fixture, 2);
    block_worker(fixture, &blocker);
    send_text(&client, "GET /he");
    http_client_flush(&client);
    http_fixture_advance_ms(fixture, 120 * 1000 + 1);
    http_fixture_release(fixture);
    assert_cut_but(fixture, &blocker, 1);
    http_fixture_advance_ms(fixture, 1000);
    assert_cut(fixture, &client);
}

static void the_time_for_headers_is_within_that_for_the_request(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    fixture->config.header_timeout_ms = 60 * 1000;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    send_text(&client, "GET /hello HTTP/1.1\r\n");
    http_fixture_wait_in_flight(fixture, 1);
    http_fixture_advance_ms(fixture, 30 * 1000 + 1);
    assert_cut(fixture, &client);
}

/* ---- many connections ---- */

enum { SLOW = 300 };

static void slow_clients_do_not_keep_others_from_being_served(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client *slow = calloc(SLOW, sizeof(*slow));
    struct http_client fast;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &fast);
    for (size_t i = 0; i < SLOW; i++) {
        http_fixture_open(fixture, &slow[i]);
        if (i % 2)
            begin_body(&slow[i], 500);
        else
            send_text(&slow[i], "GET /hello HTTP/1.1\r\n");
    }
    http_fixture_wait_in_flight(fixture, SLOW);
    for (int s = 0; s < 31; s++) {
        struct http_client fresh;
        for (size_t i = 0; i < SLOW; i++)
            http_client_send_text(&slow[i], "X");
        assert_served(&fast);
        http_fixture_open(fixture, &fresh);
        assert_served(&fresh);
        http_client_close(&fresh);
        http_fixture_advance_ms(fixture, 1000);
    }
    assert_int_equal(http_fixture_stats(fixture).expired_header, SLOW / 2);
    assert_int_equal(http_fixture_stats(fixture).expired_request, SLOW / 2);
    assert_int_equal(http_fixture_stats(fixture).evicted, 0);
    http_fixture_wait_connections(fixture, 1);
    for (size_t i = 0; i < SLOW; i++)
        http_client_close(&slow[i]);
    http_client_close(&fast);
    free(slow);
}

/* The clock stands still: no deadline helps, only making room. */
static void at_the_limit_slow_connections_make_room_before_idle_ones(void **state)
{
    enum { LIMIT = 64, SLOW_ONES = LIMIT - LIMIT / 16 - 1 };
    struct http_fixture *fixture = *state;
    struct http_client slow[SLOW_ONES], steady, fast;
    fixture->config.max_connections = LIMIT;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &steady);
    assert_served(&steady);
    for (size_t i = 0; i < SLOW_ONES; i++) {
        http_fixture_open(fixture, &slow[i]);
        send_text(&slow[i], "POST /count HTTP/1.1\r\n" HOST "Content-Length: 500\r\n\r\n");
    }
    http_fixture_wait_in_flight(fixture, SLOW_ONES);
    test_clock_advance_ms(&fixture->clock, 2000);
    for (size_t i = 0; i < SLOW_ONES; i++) {
        http_fixture_open(fixture, &fast);
        assert_served(&fast);
        http_client_close(&fast);
    }
    assert_true(http_fixture_stats(fixture).evicted > 0);
    assert_served(&steady);
    for (size_t i = 0; i < SLOW_ONES; i++)
        http_client_close(&slow[i]);
    http_client_close(&steady);
}

static void the_connection_that_was_idle_longest_makes_room_when_none_is_slow(void **state)
{
    enum { LIMIT = 8 };
    struct http_fixture *fixture = *state;
    struct http_client clients[LIMIT], other;
    fixture->config.max_connections = LIMIT;
    http_fixture_start(fixture);
    for (size_t i = 0; i < LIMIT; i++) {
        http_fixture_open(fixture, &clients[i]);
        assert_served(&clients[i]);
        http_fixture_wait_in_flight(fixture, 0);
        test_clock_advance_ms(&fixture->clock, 10);
    }
    /* The first one is used again: now the second has been idle longest. */
    assert_served(&clients[0]);
    http_fixture_wait_in_flight(fixture, 0);
    assert_int_equal(http_fixture_stats(fixture).evicted, 0);
    http_fixture_open(fixture, &other);
    assert_served(&other);
    assert_int_equal(http_fixture_stats(fixture).evicted, 1);
    assert_true(http_client_read_end(&clients[1]));
    for (size_t i = 0; i < LIMIT; i++) {
        if (i != 1)
            assert_served(&clients[i]);
        http_client_close(&clients[i]);
    }
    http_client_close(&other);
}

/* The worker reads the half and not the end behind it. */
static void a_connection_with_half_a_request_line_makes_room_too(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client half, blocker, other;
    struct http_answer answer;
    fixture->config.threads = 1;
    fixture->config.max_connections = 2;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &blocker);
    http_fixture_open(fixture, &half);
    http_fixture_wait_connections(fixture, 2);
    block_worker(fixture, &blocker);
    send_text(&half, "GET /he");
    http_client_flush(&half);
    http_fixture_open(fixture, &other);
    http_fixture_wait_evicted(fixture, 1);
    http_fixture_release(fixture);
    assert_true(http_client_read(&blocker, &answer));
    http_fixture_advance_ms(fixture, 1000);
    assert_true(http_client_read_end(&half));
    assert_served(&other);
    http_client_close(&half);
    http_client_close(&blocker);
    http_client_close(&other);
}

/* accept4() reserves a descriptor before it finds that nobody is waiting, and gives it back: what
 * it holds for that moment is not open, and not free either. */
static int wait_for_lowest_descriptor(void)
{
    int lowest = 0;
    while (fcntl(lowest, F_GETFD) >= 0)
        lowest++;
    for (;;) {
        int fd = dup(STDIN_FILENO);
        assert_true(fd >= 0);
        close(fd);
        if (fd == lowest)
            return lowest;
        sched_yield();
    }
}

static void without_descriptors_left_an_idle_connection_makes_room(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client idle, other;
    struct rlimit before, low;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &idle);
    assert_served(&idle);
    http_fixture_wait_in_flight(fixture, 0);
    int next = wait_for_lowest_descriptor();
    getrlimit(RLIMIT_NOFILE, &before);
    low = before;
    low.rlim_cur = (rlim_t)next + 1; /* one more: for the client */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    http_fixture_open(fixture, &other);
    assert_served(&other);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(http_fixture_stats(fixture).accept_errors > 0);
    assert_true(http_client_read_end(&idle));
    http_client_close(&idle);
    http_client_close(&other);
}

static void an_answer_under_way_is_not_cut_to_make_room(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client busy, idle, late;
    struct http_answer answer;
    fixture->config.max_connections = 2;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &busy);
    send_text(&busy, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    sem_wait(&fixture->held);
    test_clock_advance_ms(&fixture->clock, 5000);
    http_fixture_open(fixture, &idle);
    assert_served(&idle);
    http_fixture_open(fixture, &late);
    assert_served(&late);
    http_fixture_release(fixture);
    assert_true(http_client_read(&busy, &answer));
    assert_int_equal(answer.status, 200);
    http_client_close(&busy);
    http_client_close(&idle);
    http_client_close(&late);
}

static void connections_are_spread_over_the_workers(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client first, second, third;
    struct http_answer answer;
    fixture->config.threads = 2;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &first);
    http_fixture_wait_connections(fixture, 1);
    http_fixture_open(fixture, &second);
    block_worker(fixture, &first);
    /* One worker is busy; the other one has the second connection. */
    assert_served(&second);
    http_client_close(&second);
    http_fixture_wait_connections(fixture, 1);
    http_fixture_open(fixture, &third);
    assert_served(&third);
    http_fixture_release(fixture);
    assert_true(http_client_read(&first, &answer));
    http_client_close(&first);
    http_client_close(&third);
}

/* libmicrohttpd takes 128 events at once, and when there are as many it waits for more. */
static void as_many_requests_at_once_as_the_library_takes_events_are_answered(void **state)
{
    enum { CLIENTS = 128 };
    struct http_fixture *fixture = *state;
    struct http_client *clients = calloc(CLIENTS, sizeof(*clients)), first;
    fixture->config.threads = 1;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &first);
    for (size_t i = 0; i < CLIENTS; i++) {
        http_fixture_open(fixture, &clients[i]);
        assert_served(&clients[i]);
    }
    http_fixture_wait_in_flight(fixture, 0);
    send_text(&first, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    sem_wait(&fixture->held);
    for (size_t i = 0; i < CLIENTS; i++)
        send_text(&clients[i], "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    for (size_t i = 0; i < CLIENTS; i++)
        http_client_flush(&clients[i]);
    http_fixture_release(fixture);
    for (size_t i = 0; i < CLIENTS; i++) {
        struct http_answer answer;
        assert_true(http_client_read(&clients[i], &answer));
        assert_int_equal(answer.status, 200);
        http_client_close(&clients[i]);
    }
    http_client_close(&first);
    free(clients);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_slow_request_line_is_cut),
        TEST(a_slow_request_line_is_cut_on_a_connection_that_was_used_too),
        TEST(slow_headers_are_cut),
        TEST(a_slow_body_is_cut_however_often_it_shows_signs_of_life),
        TEST(a_request_that_is_complete_too_late_gets_408),
        TEST(a_client_that_does_not_read_its_answer_is_cut),
        TEST(an_idle_connection_is_closed_after_its_time),
        TEST(a_request_begins_the_idle_time_anew),
        TEST(a_request_that_meets_the_end_of_the_idle_time_is_answered),
        TEST(the_time_for_headers_is_within_that_for_the_request),
        TEST(half_a_request_line_does_not_outlive_the_idle_time),
        TEST(slow_clients_do_not_keep_others_from_being_served),
        TEST(as_many_requests_at_once_as_the_library_takes_events_are_answered),
        TEST(at_the_limit_slow_connections_make_room_before_idle_ones),
        TEST(the_connection_that_was_idle_longest_makes_room_when_none_is_slow),
        TEST(a_connection_with_half_a_request_line_makes_room_too),
        TEST(without_descriptors_left_an_idle_connection_makes_room),
        TEST(an_answer_under_way_is_not_cut_to_make_room),
        TEST(connections_are_spread_over_the_workers),
    };
    return cmocka_run_group_tests_name("http_limits", tests, NULL, NULL);
}
