/* The HTTP server over TLS, and certificates that change while connections are open. */
#include "unit/cert_files.h"
#include "unit/http_fixture.h"

#include "http/cert.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HOST "Host: test\r\n"

struct tls_fixture {
    struct http_fixture http; /* the first member: also used alone */
    struct cert_folder folder;
    struct cert_pem first;
    struct cert_pem second;
    struct cert_source *source;
};

static int64_t wall_s(const struct tls_fixture *fixture)
{
    return clock_wall_ns(&fixture->http.clock.clock) / CLOCK_NS_PER_SEC;
}

static void put(struct tls_fixture *fixture, const struct cert_pem *pem)
{
    cert_folder_put(&fixture->folder, pem->cert, pem->key);
}

static int setup(void **state)
{
    struct tls_fixture *fixture = calloc(1, sizeof(*fixture));
    struct err err;
    http_fixture_init(&fixture->http);
    cert_pem_make(&fixture->first, "first", wall_s(fixture), 30);
    cert_pem_make(&fixture->second, "second", wall_s(fixture), 60);
    cert_folder_make(&fixture->folder);
    put(fixture, &fixture->first);
    if (cert_source_open_dir(fixture->folder.path, &fixture->http.clock.clock, &fixture->source,
                             &err) < 0)
        fail_msg("%s", err.message);
    fixture->http.config.cert = fixture->source;
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct tls_fixture *fixture = *state;
    http_fixture_done(&fixture->http);
    cert_source_close(fixture->source);
    cert_folder_remove(&fixture->folder);
    free(fixture);
    return 0;
}

static void assert_served(struct http_client *client)
{
    struct http_answer answer;
    assert_true(http_client_ask(client, "GET /hello HTTP/1.1\r\n" HOST "\r\n", &answer));
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "hello\n");
}

static void assert_new_connection_gets(struct tls_fixture *fixture, const char *name)
{
    struct http_client client;
    char actual[64] = "";
    http_fixture_open(&fixture->http, &client);
    assert_true(http_client_peer_name(&client, actual));
    assert_string_equal(actual, name);
    assert_served(&client);
    http_client_close(&client);
}

static uint64_t generation(const struct tls_fixture *fixture)
{
    struct cert_info info;
    cert_source_info(fixture->source, &info);
    return info.generation;
}

/* ---- serving ---- */

static void tls_1_2_and_1_3_are_served_and_nothing_older(void **state)
{
    static const struct {
        const char *priorities;
        bool is_served;
    } cases[] = {
        {"NORMAL:-VERS-ALL:+VERS-TLS1.3", true},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.2", true},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.1", false},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA", false},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC:-MAC-ALL:+SHA1", false},
    };
    struct tls_fixture *fixture = *state;
    http_fixture_start(&fixture->http);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_client client;
        bool is_served = http_client_open_tls(&client, http_server_port(fixture->http.server),
                                              cases[i].priorities);
        if (is_served != cases[i].is_served)
            fail_msg("%s", cases[i].priorities);
        if (is_served)
            assert_served(&client);
        http_client_close(&client);
    }
}

static void large_bodies_and_answers_pass(void **state)
{
    enum { SIZE = 3 * 1024 * 1024 };
    struct tls_fixture *fixture = *state;
    struct http_client client;
    struct http_answer answer;
    char *body = malloc(SIZE);
    char expected[64];
    unsigned long sum = 0;
    for (size_t i = 0; i < SIZE; i++) {
        body[i] = (char)('a' + i % 23);
        sum += (unsigned char)body[i];
    }
    http_fixture_start(&fixture->http);
    http_fixture_open(&fixture->http, &client);
    for (int i = 0; i < 3; i++) {
        snprintf(expected, sizeof(expected),
                 "POST /count HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n", SIZE);
        assert_true(http_client_send_text(&client, expected));
        assert_true(http_client_send(&client, (struct str){body, SIZE}));
        assert_true(http_client_read(&client, &answer));
        snprintf(expected, sizeof(expected), "%d %lu\n", SIZE, sum);
        assert_string_equal(answer.body, expected);
        assert_true(http_client_ask(&client, "GET /large HTTP/1.1\r\n" HOST "\r\n", &answer));
        assert_int_equal(answer.body_len, HTTP_FIXTURE_LARGE);
    }
    http_client_close(&client);
    free(body);
}

static void a_client_that_does_not_finish_its_handshake_is_cut(void **state)
{
    struct tls_fixture *fixture = *state;
    struct http_client silent, plain;
    http_fixture_start(&fixture->http);
    uint16_t port = http_server_port(fixture->http.server);
    assert_true(http_client_open(&silent, port));
    assert_true(http_client_open(&plain, port));
    /* The first bytes of a record that never comes whole. */
    assert_true(http_client_send(&plain, STR("\x16\x03\x01\x00")));
    http_fixture_wait_connections(&fixture->http, 2);
    http_fixture_advance_ms(&fixture->http, 10 * 1000);
    assert_int_equal(http_fixture_stats(&fixture->http).expired_header, 0);
    http_fixture_advance_ms(&fixture->http, 1);
    assert_int_equal(http_fixture_stats(&fixture->http).expired_header, 2);
    assert_true(http_client_read_end(&silent));
    assert_true(http_client_read_end(&plain));
    http_client_close(&silent);
    http_client_close(&plain);
    http_fixture_wait_connections(&fixture->http, 0);
}

/* The worker learns of half a record and of the end together. */
static void a_handshake_that_is_cut_after_half_a_record_is_cleaned_up(void **state)
{
    struct tls_fixture *fixture = *state;
    struct http_client silent, blocker;
    fixture->http.config.threads = 1;
    http_fixture_start(&fixture->http);
    http_fixture_open(&fixture->http, &blocker);
    assert_true(http_client_open(&silent, http_server_port(fixture->http.server)));
    http_fixture_wait_connections(&fixture->http, 2);
    assert_true(http_client_send_text(&blocker,
                                      "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"));
    sem_wait(&fixture->http.held);
    assert_true(http_client_send(&silent, STR("\x16\x03\x01\x01")));
    http_client_flush(&silent);
    http_fixture_advance_ms(&fixture->http, 10 * 1000 + 1);
    http_fixture_release(&fixture->http);
    assert_true(http_client_read_end(&silent));
    http_client_close(&silent);
    http_fixture_wait_connections(&fixture->http, 1);
    http_client_close(&blocker);
}

static void half_finished_handshakes_do_not_keep_others_from_being_served(void **state)
{
    enum { SLOW = 300 };
    struct tls_fixture *fixture = *state;
    struct http_client *slow = calloc(SLOW, sizeof(*slow)), fast;
    http_fixture_start(&fixture->http);
    http_fixture_open(&fixture->http, &fast);
    for (size_t i = 0; i < SLOW; i++) {
        assert_true(http_client_open(&slow[i], http_server_port(fixture->http.server)));
        assert_true(http_client_send(&slow[i], STR("\x16\x03\x01\x01")));
    }
    http_fixture_wait_connections(&fixture->http, SLOW + 1);
    for (int s = 0; s < 11; s++) {
        for (size_t i = 0; i < SLOW; i++)
            http_client_send(&slow[i], STR("\0"));
        assert_served(&fast);
        assert_new_connection_gets(fixture, "first");
        http_fixture_advance_ms(&fixture->http, 1000);
    }
    assert_int_equal(http_fixture_stats(&fixture->http).expired_header, SLOW);
    http_fixture_advance_ms(&fixture->http, 1000);
    http_fixture_wait_connections(&fixture->http, 1);
    for (size_t i = 0; i < SLOW; i++)
        http_client_close(&slow[i]);
    http_client_close(&fast);
    free(slow);
}

/* As Go's client leaves one in its pool when another connection was free sooner. */
static void a_connection_that_waits_after_its_handshake_is_idle_not_slow(void **state)
{
    struct tls_fixture *fixture = *state;
    static const char *const priorities[] = {"NORMAL:-VERS-ALL:+VERS-TLS1.3",
                                             "NORMAL:-VERS-ALL:+VERS-TLS1.2"};
    http_fixture_start(&fixture->http);
    for (size_t i = 0; i < 2; i++) {
        struct http_client client;
        assert_true(
            http_client_open_tls(&client, http_server_port(fixture->http.server), priorities[i]));
        /* The client may be done before the server has read its last message: ask once to be sure
         * that the server is done too, on another connection of the same worker. */
        http_client_flush(&client);
        assert_new_connection_gets(fixture, "first");
        assert_new_connection_gets(fixture, "first");
        for (int s = 0; s < 100; s++)
            http_fixture_advance_ms(&fixture->http, 1000);
        assert_served(&client);
        http_client_close(&client);
    }
    assert_int_equal(http_fixture_stats(&fixture->http).expired_header, 0);
}

static void a_slow_request_is_cut_under_tls_too(void **state)
{
    struct tls_fixture *fixture = *state;
    struct http_client client;
    http_fixture_start(&fixture->http);
    http_fixture_open(&fixture->http, &client);
    assert_served(&client);
    http_fixture_wait_in_flight(&fixture->http, 0);
    http_fixture_advance_ms(&fixture->http, 1000);
    for (int s = 0; s <= 11; s++) {
        assert_int_equal(http_fixture_stats(&fixture->http).expired_header, 0);
        assert_true(http_client_send_text(&client, "G"));
        http_client_flush(&client);
        http_fixture_advance_ms(&fixture->http, 1000);
    }
    assert_int_equal(http_fixture_stats(&fixture->http).expired_header, 1);
    assert_true(http_client_read_end(&client));
    http_client_close(&client);
}

/* ---- certificates that change ---- */

static void a_new_certificate_is_for_new_connections_and_open_ones_go_on(void **state)
{
    struct tls_fixture *fixture = *state;
    struct http_client old;
    struct err err;
    http_fixture_start(&fixture->http);
    http_fixture_open(&fixture->http, &old);
    assert_served(&old);
    assert_int_equal(cert_source_refresh(fixture->source, &err), 0);

    put(fixture, &fixture->second);
    assert_int_equal(cert_source_refresh(fixture->source, &err), 1);
    assert_int_equal(cert_source_refresh(fixture->source, &err), 0);
    assert_int_equal(generation(fixture), 2);
    assert_new_connection_gets(fixture, "second");
    assert_served(&old);

    /* The old pair lives as long as its connection: a third one is in use by now. */
    assert_int_equal(cert_source_replace(fixture->source, str_from_cstr(fixture->first.cert),
                                         str_from_cstr(fixture->first.key), &err),
                     0);
    assert_new_connection_gets(fixture, "first");
    assert_served(&old);
    http_client_close(&old);
}

static void a_broken_new_pair_keeps_the_old_one_and_is_reported_once(void **state)
{
    struct tls_fixture *fixture = *state;
    const struct {
        const char *cert;
        const char *key;
        const char *message;
    } cases[] = {
        {fixture->second.cert, fixture->first.key, "does not belong to the certificate"},
        {"", fixture->second.key, "certificate: "},
        {"nonsense", fixture->second.key, "certificate: "},
        {fixture->second.cert, "", "private key: "},
        {fixture->second.cert, fixture->second.cert, "private key: "},
    };
    http_fixture_start(&fixture->http);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err;
        cert_folder_put(&fixture->folder, cases[i].cert, cases[i].key);
        assert_int_equal(cert_source_refresh(fixture->source, &err), -1);
        if (!strstr(err.message, cases[i].message) || !strstr(err.message, "/tls.key"))
            fail_msg("%s", err.message);
        assert_int_equal(cert_source_refresh(fixture->source, &err), 0);
        assert_int_equal(generation(fixture), 1);
        assert_new_connection_gets(fixture, "first");
    }
    struct err err;
    put(fixture, &fixture->second);
    assert_int_equal(cert_source_refresh(fixture->source, &err), 1);
    assert_new_connection_gets(fixture, "second");
}

static void files_that_are_gone_keep_the_old_pair(void **state)
{
    struct tls_fixture *fixture = *state;
    char path[128];
    struct err err;
    http_fixture_start(&fixture->http);
    snprintf(path, sizeof(path), "%s/..data", fixture->folder.path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(cert_source_refresh(fixture->source, &err), -1);
    assert_non_null(strstr(err.message, "No such file or directory"));
    assert_int_equal(cert_source_refresh(fixture->source, &err), 0);
    assert_new_connection_gets(fixture, "first");
}

static void the_time_that_is_left_is_told_and_an_expired_certificate_is_served(void **state)
{
    enum { DAY_S = 24 * 60 * 60 };
    struct tls_fixture *fixture = *state;
    struct cert_info info;
    http_fixture_start(&fixture->http);
    cert_source_info(fixture->source, &info);
    assert_int_equal(info.not_after_s, wall_s(fixture) + 30 * DAY_S);
    assert_false(info.is_expired);
    test_clock_jump_wall_ms(&fixture->http.clock, INT64_C(1000) * 30 * DAY_S);
    cert_source_info(fixture->source, &info);
    assert_false(info.is_expired);
    test_clock_jump_wall_ms(&fixture->http.clock, 1000);
    cert_source_info(fixture->source, &info);
    assert_true(info.is_expired);
    assert_new_connection_gets(fixture, "first");
}

static void a_source_does_not_begin_with_a_broken_pair(void **state)
{
    struct tls_fixture *fixture = *state;
    const struct clock *clock = &fixture->http.clock.clock;
    struct cert_source *source = NULL;
    struct err err;
    assert_int_equal(cert_source_open_dir("/nonexistent", clock, &source, &err), -1);
    assert_string_equal(err.message, "/nonexistent/tls.crt: No such file or directory");
    assert_int_equal(err.code, 500);
    assert_int_equal(cert_source_open_pem(str_from_cstr(fixture->first.cert),
                                          str_from_cstr(fixture->second.key), clock, &source, &err),
                     -1);
    assert_string_equal(err.message, "the private key does not belong to the certificate");
    assert_null(source);
}

/* As long as the webhook's own certificates have not been made. */
static void without_a_pair_handshakes_fail_until_there_is_one(void **state)
{
    struct tls_fixture *fixture = *state;
    struct http_client client;
    struct cert_info info;
    struct err err;
    cert_source_close(fixture->source);
    assert_int_equal(cert_source_open_empty(&fixture->http.clock.clock, &fixture->source, &err), 0);
    fixture->http.config.cert = fixture->source;
    http_fixture_start(&fixture->http);
    assert_int_equal(generation(fixture), 0);
    cert_source_info(fixture->source, &info);
    assert_int_equal(info.not_after_s, 0);
    assert_false(http_client_open_tls(&client, http_server_port(fixture->http.server), "NORMAL"));
    http_client_close(&client);
    assert_int_equal(cert_source_refresh(fixture->source, &err), 0);
    assert_int_equal(cert_source_replace(fixture->source, str_from_cstr(fixture->second.cert),
                                         str_from_cstr(fixture->second.key), &err),
                     0);
    assert_int_equal(generation(fixture), 1);
    cert_source_info(fixture->source, &info);
    assert_int_equal(info.left_s, info.not_after_s - wall_s(fixture));
    assert_new_connection_gets(fixture, "second");
}

static void a_broken_replacement_from_memory_keeps_the_old_pair(void **state)
{
    struct tls_fixture *fixture = *state;
    struct err err;
    http_fixture_start(&fixture->http);
    assert_int_equal(cert_source_replace(fixture->source, STR(""), STR(""), &err), -1);
    assert_int_equal(generation(fixture), 1);
    assert_new_connection_gets(fixture, "first");
}

/* ---- threads ---- */

struct hammer {
    struct tls_fixture *fixture;
    unsigned failures;
};

/* New and used connections by turns. */
static void *hammer(void *arg)
{
    struct hammer *hammer = arg;
    uint16_t port = http_server_port(hammer->fixture->http.server);
    for (int i = 0; i < 40; i++) {
        struct http_client client;
        struct http_answer answer;
        bool ok = http_client_open_tls(&client, port, NULL);
        for (int j = 0; j < 3; j++) {
            ok = ok &&
                 http_client_ask(&client,
                                 "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nthree",
                                 &answer) &&
                 answer.status == 200 && strcmp(answer.body, "three") == 0;
        }
        hammer->failures += !ok;
        http_client_close(&client);
    }
    return NULL;
}

static void clients_of_several_threads_are_served_while_certificates_change(void **state)
{
    enum { THREADS = 3 };
    struct tls_fixture *fixture = *state;
    struct hammer hammers[THREADS];
    pthread_t threads[THREADS];
    http_fixture_start(&fixture->http);
    for (size_t i = 0; i < THREADS; i++) {
        hammers[i] = (struct hammer){.fixture = fixture};
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, &hammers[i]), 0);
    }
    for (int i = 0; i < 40; i++) {
        struct err err;
        put(fixture, i % 2 ? &fixture->first : &fixture->second);
        assert_int_equal(cert_source_refresh(fixture->source, &err), 1);
        http_fixture_advance_ms(&fixture->http, 10);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(hammers[i].failures, 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tls_1_2_and_1_3_are_served_and_nothing_older),
        TEST(large_bodies_and_answers_pass),
        TEST(a_client_that_does_not_finish_its_handshake_is_cut),
        TEST(a_handshake_that_is_cut_after_half_a_record_is_cleaned_up),
        TEST(half_finished_handshakes_do_not_keep_others_from_being_served),
        TEST(a_connection_that_waits_after_its_handshake_is_idle_not_slow),
        TEST(a_slow_request_is_cut_under_tls_too),
        TEST(a_new_certificate_is_for_new_connections_and_open_ones_go_on),
        TEST(a_broken_new_pair_keeps_the_old_one_and_is_reported_once),
        TEST(files_that_are_gone_keep_the_old_pair),
        TEST(the_time_that_is_left_is_told_and_an_expired_certificate_is_served),
        TEST(a_source_does_not_begin_with_a_broken_pair),
        TEST(without_a_pair_handshakes_fail_until_there_is_one),
        TEST(a_broken_replacement_from_memory_keeps_the_old_pair),
        TEST(clients_of_several_threads_are_served_while_certificates_change),
    };
    return cmocka_run_group_tests_name("http_tls", tests, NULL, NULL);
}
