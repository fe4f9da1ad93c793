/* Questions wait while too many bindings are under way. */
#include "unit/http_fixture.h"

#include "extender/pace.h"

#include <stdlib.h>

static const char question[] = "GET /ask HTTP/1.1\r\nHost: test\r\n\r\n";

enum { MOST = 4 };

struct pace_fixture {
    struct http_fixture http;
    struct http_route route;
    struct pace pace;
    sem_t held; /* posted when an answer was put off */
};

static void handle(void *ctx, const struct http_request *request, struct http_response *response)
{
    struct pace_fixture *f = ctx;
    if (pace_hold(&f->pace, request))
        sem_post(&f->held);
    else
        http_response_set_text(response, request, 200, "now\n");
}

static int set_up(void **state)
{
    struct pace_fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    http_fixture_init(&f->http);
    pace_init(&f->pace, MOST);
    sem_init(&f->held, 0, 0);
    f->route = (struct http_route){.method = "GET", .path = "/ask", .handler = handle, .ctx = f};
    f->http.config.routes = &f->route;
    f->http.config.route_count = 1;
    http_fixture_start(&f->http);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct pace_fixture *f = *state;
    http_fixture_done(&f->http);
    pace_done(&f->pace);
    sem_destroy(&f->held);
    free(f);
    return 0;
}

static void begin(struct pace_fixture *f, unsigned bindings)
{
    for (unsigned i = 0; i < bindings; i++)
        pace_begin_binding(&f->pace);
}

static void end(struct pace_fixture *f, unsigned bindings)
{
    for (unsigned i = 0; i < bindings; i++)
        pace_end_binding(&f->pace);
}

static void ask(struct pace_fixture *f, struct http_client *client)
{
    http_fixture_open(&f->http, client);
    assert_true(http_client_send_text(client, question));
}

static void ask_and_be_held(struct pace_fixture *f, struct http_client *client)
{
    ask(f, client);
    while (sem_wait(&f->held) < 0) {
    }
}

static void be_answered(struct http_client *client)
{
    struct http_answer answer;
    assert_true(http_client_read(client, &answer));
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "now\n");
    http_client_close(client);
}

static void a_question_is_answered_at_once_while_few_bindings_are_under_way(void **state)
{
    struct pace_fixture *f = *state;
    struct http_client client;
    begin(f, MOST - 1);
    ask(f, &client);
    be_answered(&client);
    end(f, MOST - 1);
    assert_int_equal(f->pace.bindings, 0);
}

static void a_question_waits_until_enough_bindings_have_ended(void **state)
{
    struct pace_fixture *f = *state;
    struct http_client clients[2];
    begin(f, MOST + 1);
    ask_and_be_held(f, &clients[0]);
    ask_and_be_held(f, &clients[1]);
    end(f, 1);
    assert_int_equal(f->pace.held_count, 2);
    end(f, 1);
    assert_int_equal(f->pace.held_count, 0);
    be_answered(&clients[0]);
    be_answered(&clients[1]);
    end(f, MOST - 1);
}

static void a_question_does_not_wait_for_long(void **state)
{
    struct pace_fixture *f = *state;
    struct http_client client;
    begin(f, MOST);
    ask_and_be_held(f, &client);
    http_fixture_wait_waiting(&f->http, 1);
    http_fixture_advance_ms(&f->http, PACE_HOLD_MS + 1);
    be_answered(&client);
    end(f, MOST);
}

static void few_questions_wait_at_once(void **state)
{
    struct pace_fixture *f = *state;
    struct http_client clients[PACE_HELD_MAX], last;
    begin(f, MOST);
    for (size_t i = 0; i < PACE_HELD_MAX; i++)
        ask_and_be_held(f, &clients[i]);
    ask(f, &last);
    be_answered(&last);
    end(f, MOST);
    for (size_t i = 0; i < PACE_HELD_MAX; i++)
        be_answered(&clients[i]);
}

static void the_server_may_go_before_the_bindings(void **state)
{
    struct pace_fixture *f = *state;
    struct http_client client;
    begin(f, MOST);
    ask_and_be_held(f, &client);
    http_server_stop(f->http.server, 0);
    f->http.server = NULL;
    end(f, MOST);
    http_client_close(&client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_question_is_answered_at_once_while_few_bindings_are_under_way),
        TEST(a_question_waits_until_enough_bindings_have_ended),
        TEST(a_question_does_not_wait_for_long),
        TEST(few_questions_wait_at_once),
        TEST(the_server_may_go_before_the_bindings),
    };
    return cmocka_run_group_tests_name("extender_pace", tests, NULL, NULL);
}
