/* The HTTP server: bodies of all sizes, and the memory that requests take. */
#include "unit/http_fixture.h"

#include "http/memory.h"

#include <poll.h>
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
        void (*const posts[])(struct http_client *, const char *, size_t) = {http_post_with_length,
                                                                             http_post_in_chunks};
        for (size_t j = 0; j < 2; j++) {
            posts[j](&client, cases[i].path, cases[i].limit);
            http_assert_counted(&client, cases[i].limit);
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
    http_post_with_length(&client, "/count", 7 * 1024 * 1024);
    http_assert_counted(&client, 7 * 1024 * 1024);
    http_post_with_length(&client, "/count", 7 * 1024 * 1024 + 1);
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
    http_send_body(&client, 3);
    http_assert_counted(&client, 3);
    http_client_close(&client);
}

static void a_refused_body_without_an_end_is_cut(void **state)
{
    enum { PIECE = 1024 * 1024, PIECES = 80 };
    struct http_fixture *fixture = *state;
    struct http_client client;
    char *piece = calloc(1, PIECE);
    bool goes_on = true;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    assert_true(http_client_send_text(
        &client, "POST /small HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"));
    for (int i = 0; i < PIECES && goes_on; i++)
        goes_on = http_client_send_text(&client, "100000\r\n") &&
                  http_client_send(&client, (struct str){piece, PIECE}) &&
                  http_client_send_text(&client, "\r\n");
    assert_false(goes_on);
    http_client_close(&client);
    http_fixture_wait_accesses(fixture, 1);
    assert_true(fixture->last.is_cut);
    assert_int_equal(fixture->last.status, 0);
    free(piece);
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

/* Waits, while time passes, until no more than `limit` bytes are in use. */
static void wait_memory(struct http_fixture *fixture, size_t limit)
{
    enum { WAIT_MS = 20 * 1000 };
    for (int i = 0; i < WAIT_MS; i++) {
        if (http_fixture_stats(fixture).memory <= limit)
            return;
        http_server_tick(fixture->server);
        poll(NULL, 0, 1);
    }
    fail_msg("%zu bytes are still in use", http_fixture_stats(fixture).memory);
}

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
    http_send_body(&client, 7000000 - 1);
    http_assert_counted(&client, 7000000);
    http_fixture_wait_in_flight(fixture, 0);

    wait_memory(fixture, 300 * 1000);

    /* No more than what was announced, the part that came before it while it is copied, and the
     * smaller pieces that held it before. */
    fixture->mem.peak_bytes = 0;
    http_post_with_length(&client, "/count", 5000000);
    http_assert_counted(&client, 5000000);
    assert_in_range(fixture->mem.peak_bytes, 5000000, (5 + 4 + 2) * 1024 * 1024);
    http_fixture_wait_in_flight(fixture, 0);
    wait_memory(fixture, 300 * 1000);
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
    http_post_with_length(&client, "/count", 2 * 1024 * 1024);
    assert_true(http_client_read(&client, &answer));
    assert_int_equal(answer.status, 503);
    assert_header(&answer, "Retry-After", "1");
    assert_message_contains(&answer, "try again");
    assert_int_equal(http_fixture_stats(fixture).out_of_memory, 1);
    http_post_in_chunks(&client, "/count", 2 * 1024 * 1024);
    assert_true(http_client_read(&client, &answer));
    assert_int_equal(answer.status, 503);

    /* What one request holds is missing for others, and comes back. */
    http_fixture_open(fixture, &other);
    http_post_with_length(&other, "/hold", 500 * 1000);
    sem_wait(&fixture->held);
    http_post_with_length(&client, "/count", 500 * 1000);
    assert_true(http_client_read(&client, &answer));
    assert_int_equal(answer.status, 503);
    http_fixture_release(fixture);
    assert_true(http_client_read(&other, &answer));
    assert_int_equal(answer.status, 200);
    http_fixture_wait_in_flight(fixture, 0);
    http_post_with_length(&client, "/count", 500 * 1000);
    http_assert_counted(&client, 500 * 1000);
    http_client_close(&client);
    http_client_close(&other);
}

static void a_request_cannot_take_more_than_its_arena(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_answer answer;
    fixture->config.arena_max = 256 * 1024;
    http_fixture_start(fixture);
    http_fixture_ask(fixture, "POST /fill HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", &answer);
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
    http_post_with_length(&client, "/count", 20 * 1000);
    http_assert_counted(&client, 20 * 1000);
    http_fixture_wait_in_flight(fixture, 0);
    size_t calls = fixture->mem.calls;
    for (int i = 0; i < 100; i++) {
        http_post_with_length(&client, "/count", 20 * 1000);
        http_assert_counted(&client, 20 * 1000);
        http_fixture_wait_in_flight(fixture, 0);
    }
    assert_int_equal(fixture->mem.calls, calls);
    http_client_close(&client);
}

/* What a review of 300 KB takes. */
static void use_large_memory(struct memory_pool *pool)
{
    enum { BODY = 300 * 1000, TREE = 1000 * 1000, VALUE = 50 };
    struct request_memory *memory = memory_pool_take(pool, BODY);
    assert_non_null(memory);
    assert_non_null(buf_reserve(&memory->body, BODY));
    for (size_t used = 0; used < TREE; used += VALUE)
        assert_non_null(arena_alloc(&memory->arena, VALUE));
    memory_pool_give(pool, memory);
}

static void large_requests_in_a_row_allocate_nothing_and_leave_nothing(void **state)
{
    (void)state;
    enum { BUDGET = 16 * 1024 * 1024, KEPT = 1, ORDINARY = 100 * 1000 };
    struct test_mem mem;
    struct memory_pool pool;
    test_mem_init(&mem);
    memory_pool_init(&pool, &mem.mem, BUDGET, BUDGET, KEPT);
    use_large_memory(&pool);
    size_t calls = mem.calls;
    for (int i = 0; i < 3; i++) {
        use_large_memory(&pool);
        memory_pool_trim(&pool); /* it was needed since the one before */
        assert_int_equal(memory_pool_used(&pool), mem.live_bytes);
    }
    assert_int_equal(mem.calls, calls);
    assert_true(mem.live_bytes > 1000 * 1000);
    memory_pool_trim(&pool);
    assert_in_range(mem.live_bytes, 1, ORDINARY);
    assert_int_equal(memory_pool_used(&pool), mem.live_bytes);
    memory_pool_done(&pool);
    test_mem_done(&mem);
}

static void what_is_kept_makes_room_for_what_is_needed(void **state)
{
    (void)state;
    enum { BUDGET = 2 * 1024 * 1024, SIZE = BUDGET - 200 * 1000 };
    struct test_mem mem;
    struct memory_pool pool;
    test_mem_init(&mem);
    memory_pool_init(&pool, &mem.mem, BUDGET, BUDGET, 1);
    use_large_memory(&pool);
    assert_true(memory_pool_used(&pool) > BUDGET - SIZE);
    struct request_memory *memory = memory_pool_take(&pool, SIZE);
    assert_non_null(memory);
    assert_non_null(buf_reserve(&memory->body, SIZE));
    assert_null(arena_alloc(&memory->arena, BUDGET - SIZE));
    memory_pool_give(&pool, memory);
    memory_pool_done(&pool);
    test_mem_done(&mem);
}

static void an_answer_that_waits_for_its_client_keeps_no_arena(void **state)
{
    /* More than the kernel takes for a client that does not read. */
    enum { SIZE = HTTP_FIXTURE_LARGE };
    struct http_fixture *fixture = *state;
    struct http_client client;
    char first;
    fixture->config.max_body = SIZE;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    http_post_with_length(&client, "/copy", SIZE);
    assert_int_equal(recv(client.fd, &first, 1, MSG_PEEK), 1);
    wait_memory(fixture, SIZE + SIZE / 4);
    assert_int_equal(http_fixture_stats(fixture).in_flight, 1);
    assert_true(fixture->mem.peak_bytes > 2 * SIZE);
    http_client_close(&client);
}

static void a_refused_body_holds_no_memory_while_its_rest_comes(void **state)
{
    struct http_fixture *fixture = *state;
    struct http_client client;
    http_fixture_start(fixture);
    http_fixture_open(fixture, &client);
    assert_true(http_client_send_text(
        &client, "POST /count HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n800000\r\n"));
    http_send_body(&client, 7 * 1024 * 1024);
    http_send_body(&client, 1);
    wait_memory(fixture, 300 * 1000);
    http_client_close(&client);
}

static void many_requests_at_once_leave_little_memory_behind(void **state)
{
    enum { CLIENTS = 40, SIZE = 40 * 1000, KEPT = 4 * (64 + 64 + 1) * 1024 };
    struct http_fixture *fixture = *state;
    struct http_client clients[CLIENTS];
    http_fixture_start(fixture);
    for (size_t i = 0; i < CLIENTS; i++) {
        http_fixture_open(fixture, &clients[i]);
        assert_true(http_client_send_text(
            &clients[i], "POST /count HTTP/1.1\r\n" HOST "Content-Length: 40000\r\n\r\n"));
        http_send_body(&clients[i], SIZE - 1);
    }
    http_fixture_wait_in_flight(fixture, CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++) {
        http_send_body(&clients[i], 1);
        http_assert_counted(&clients[i], SIZE);
        http_client_close(&clients[i]);
    }
    assert_true(fixture->mem.peak_bytes > CLIENTS * SIZE);
    wait_memory(fixture, KEPT);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_body_of_exactly_the_limit_is_taken_and_one_byte_more_refused),
        TEST(the_default_limit_is_7_mib),
        TEST(a_client_that_asks_first_is_refused_before_it_sends),
        TEST(a_refused_body_without_an_end_is_cut),
        TEST(a_body_too_large_to_be_thrown_away_is_refused_at_once),
        TEST(a_body_takes_memory_only_as_it_arrives),
        TEST(beyond_the_budget_a_request_is_refused_and_the_next_one_served),
        TEST(a_request_cannot_take_more_than_its_arena),
        TEST(a_steady_stream_of_requests_allocates_nothing),
        cmocka_unit_test(large_requests_in_a_row_allocate_nothing_and_leave_nothing),
        cmocka_unit_test(what_is_kept_makes_room_for_what_is_needed),
        TEST(an_answer_that_waits_for_its_client_keeps_no_arena),
        TEST(a_refused_body_holds_no_memory_while_its_rest_comes),
        TEST(many_requests_at_once_leave_little_memory_behind),
        TEST(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests_name("http_memory", tests, NULL, NULL);
}
