/* Reviews that wait for a template: what is asked, what is answered, and what bounds it. */
#include "webhook/template_lookup.h"

#include "base/utf8.h"
#include "unit/fake_transport.h"
#include "unit/fixed_templates.h"
#include "unit/http_client.h"
#include "unit/prometheus.h"
#include "webhook/handlers.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum { TIMEOUT_MS = 5000, ATTEMPT_MS = 2000 };

#define PATH "/apis/workflow.kube-zen.io/v1alpha1/namespaces/ns/jobflowtemplates"

struct fixture {
    struct test_mem mem;
    struct test_clock clock;
    struct fake_transport fake;
    struct random_seeded random;
    struct log_sink sink;
    struct log log;
    struct metrics metrics;
    struct arena arena;
    struct template_lookups *lookups;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    test_mem_init(&f->mem);
    test_clock_init(&f->clock);
    fake_transport_init(&f->fake);
    random_seeded_init(&f->random, TEST_SEED);
    log_sink_init_fd(&f->sink, -1, LOG_JSON, LOG_LEVEL_ERROR, &f->clock.clock);
    f->log = (struct log){.sink = &f->sink};
    metrics_init(&f->metrics, mem_system());
    arena_init(&f->arena, mem_system(), 64 * 1024, 64 * 1024 * 1024);
    *state = f;
    return 0;
}

static struct template_lookups_config config_of(struct fixture *f, const struct mem *mem)
{
    return (struct template_lookups_config){
        .transport = &f->fake.transport,
        .clock = &f->clock.clock,
        .random = &f->random.random,
        .mem = mem,
        .metrics = &f->metrics,
        .log = &f->log,
        .host = STR("127.0.0.1:6443"),
    };
}

static void start(struct fixture *f)
{
    struct err err;
    const struct template_lookups_config config = config_of(f, &f->mem.mem);
    f->lookups = template_lookups_new(&config, &err);
    assert_non_null(f->lookups);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    template_lookups_free(f->lookups);
    fake_transport_done(&f->fake);
    metrics_done(&f->metrics);
    arena_done(&f->arena);
    test_mem_done(&f->mem);
    free(f);
    return 0;
}

static struct template_lookup *ask_with_patience(struct fixture *f, const char *name,
                                                 int64_t patience_ns)
{
    struct template_lookup *lookup =
        template_lookup_new(f->lookups, STR("ns"), str_from_cstr(name), patience_ns);
    assert_non_null(lookup);
    template_lookup_begin(lookup, NULL);
    template_lookups_run_once(f->lookups);
    return lookup;
}

static struct template_lookup *ask(struct fixture *f, const char *name)
{
    return ask_with_patience(f, name, 0);
}

static struct template_answer look(struct fixture *f, struct template_lookup *lookup)
{
    struct template_view view = {.lookup = lookup, .arena = &f->arena};
    struct template_source source = template_view_source(&view);
    struct template_answer answer;
    source.find(source.ctx, STR("ns"), STR("etl"), &answer);
    return answer;
}

static void run_after_ms(struct fixture *f, int64_t ms)
{
    test_clock_advance_ms(&f->clock, ms);
    template_lookups_run_once(f->lookups);
}

/* ---- Answers ---- */

static void a_template_is_read_as_it_is_now(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct template_lookup *lookup = ask(f, "etl");
    assert_string_equal(fake_sent(&f->fake, 0)->method, "GET");
    assert_str_is(fake_sent(&f->fake, 0)->target, PATH "/etl");
    fake_answer(&f->fake, 0, 200, "{\"metadata\": {\"name\": \"etl\"}}");
    struct template_answer answer = look(f, lookup);
    assert_int_equal(answer.state, TEMPLATE_FOUND);
    assert_str_is(json_str(json_path(answer.object, "metadata", "name", NULL)), "etl");
    template_lookup_drop(lookup);
}

static void each_review_asks_anew(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct template_lookup *first = ask(f, "etl");
    fake_answer(&f->fake, 0, 200, "{\"metadata\": {\"generation\": 1}}");
    struct template_lookup *second = ask(f, "etl");
    fake_answer(&f->fake, 1, 200, "{\"metadata\": {\"generation\": 2}}");
    int64_t generation = 0;
    assert_true(
        json_int64(json_path(look(f, second).object, "metadata", "generation", NULL), &generation));
    assert_int_equal(generation, 2);
    template_lookup_drop(first);
    template_lookup_drop(second);
}

static void a_missing_template_names_one_that_is_alike(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int status;
        const char *list;
        const char *near;
    } rows[] = {
        {200,
         "{\"items\": [{\"metadata\": {\"name\": \"x\"}}, {\"metadata\": {\"name\": \"etl\"}}]}",
         "etl"},
        {200, "{\"items\": []}", NULL},
        {200, "broken", NULL},
        {403, NULL, NULL},
    };
    start(f);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct template_lookup *lookup = ask(f, "elt");
        fake_answer(&f->fake, 2 * i, 404, NULL);
        assert_str_is(fake_sent(&f->fake, 2 * i + 1)->target, PATH "?limit=100");
        assert_int_equal(look(f, lookup).state, TEMPLATE_UNREACHABLE);
        fake_answer(&f->fake, 2 * i + 1, rows[i].status, rows[i].list);
        struct template_answer answer = look(f, lookup);
        assert_int_equal(answer.state, TEMPLATE_MISSING);
        assert_str_equal(answer.near, str_from_cstr(rows[i].near));
        template_lookup_drop(lookup);
    }
}

static void a_cluster_without_the_kind_is_told_apart(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct template_lookup *lookup = ask(f, "etl");
    fake_answer(&f->fake, 0, 404, NULL);
    fake_answer(&f->fake, 1, 404, NULL);
    struct template_answer answer = look(f, lookup);
    assert_int_equal(answer.state, TEMPLATE_UNREACHABLE);
    assert_non_null(memmem(answer.text.ptr, answer.text.len, "no kind JobFlowTemplate", 23));
    template_lookup_drop(lookup);
}

static void what_the_server_says_is_passed_on(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct template_lookup *lookup = ask(f, "etl");
    fake_answer(
        &f->fake, 0, 403,
        "{\"kind\": \"Status\", \"reason\": \"Forbidden\", \"message\": \"user w cannot get "
        "jobflowtemplates\"}");
    struct template_answer answer = look(f, lookup);
    assert_int_equal(answer.state, TEMPLATE_UNREACHABLE);
    assert_non_null(memmem(answer.text.ptr, answer.text.len, "cannot get", 10));
    template_lookup_drop(lookup);
}

static void a_long_reason_is_cut_between_characters(void **state)
{
    struct fixture *f = *state;
    struct buf body;
    buf_init(&body, arena_mem(&f->arena), 4096);
    buf_put(&body, STR("{\"kind\": \"Status\", \"message\": \"xy"));
    for (int i = 0; i < 400; i++)
        buf_put(&body, STR("\xC3\xA9"));
    buf_put(&body, STR("\"}"));
    buf_put_char(&body, '\0');
    start(f);
    struct template_lookup *lookup = ask(f, "etl");
    fake_answer(&f->fake, 0, 403, body.ptr);
    struct template_answer answer = look(f, lookup);
    assert_in_range(answer.text.len, 400, 800);
    assert_true(utf8_is_valid(answer.text));
    template_lookup_drop(lookup);
}

static void what_is_no_json_is_no_template(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct template_lookup *lookup = ask(f, "etl");
    fake_answer(&f->fake, 0, 200, "{\"metadata\": ");
    assert_int_equal(look(f, lookup).state, TEMPLATE_UNREACHABLE);
    template_lookup_drop(lookup);
}

static double counted(struct fixture *f, const char *result)
{
    char series[128];
    double value = -1;
    struct buf out;
    snprintf(series, sizeof(series), "callboard_webhook_template_lookups_total{result=\"%s\"}",
             result);
    buf_init(&out, mem_system(), 1024 * 1024);
    metrics_write(&f->metrics, &out);
    assert_true(prometheus_find_sample(buf_str(&out), series, &value));
    buf_done(&out);
    return value;
}

/* From 0 on: a rate is only seen when the first event is a step, not the beginning of a series. */
static void lookups_are_counted_by_what_came_of_them(void **state)
{
    static const char *const results[] = {"found", "not found", "error", "timeout", "refused"};
    enum { RESULTS = sizeof(results) / sizeof(results[0]) };
    struct fixture *f = *state;
    start(f);
    for (size_t done = 0; done <= RESULTS; done++) {
        for (size_t i = 0; i < RESULTS; i++)
            assert_true(counted(f, results[i]) == (i < done ? 1 : 0));
        if (done == RESULTS)
            break;
        if (strcmp(results[done], "refused") == 0) {
            template_lookups_count_refused(f->lookups);
            continue;
        }
        struct template_lookup *lookup = ask(f, "etl");
        size_t sent = f->fake.count - 1;
        if (strcmp(results[done], "found") == 0)
            fake_answer(&f->fake, sent, 200, "{}");
        else if (strcmp(results[done], "error") == 0)
            fake_answer(&f->fake, sent, 403, NULL);
        else if (strcmp(results[done], "not found") == 0)
            fake_answer(&f->fake, sent, 404, NULL);
        run_after_ms(f, TIMEOUT_MS);
        template_lookup_drop(lookup);
    }
}

/* ---- Bounds ---- */

static void a_server_that_does_not_answer_is_not_waited_for(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct template_lookup *lookup = ask(f, "etl");
    run_after_ms(f, TIMEOUT_MS - 1);
    assert_true(fake_is_open(&f->fake, 0));
    run_after_ms(f, 1);
    assert_false(fake_is_open(&f->fake, 0));
    struct template_answer answer = look(f, lookup);
    assert_int_equal(answer.state, TEMPLATE_UNREACHABLE);
    assert_non_null(memmem(answer.text.ptr, answer.text.len, "in time", 7));
    template_lookup_drop(lookup);
}

/* Each attempt fails for as long as there are any. */
static size_t fail_all(struct fixture *f, enum kube_failure failure)
{
    size_t failed = 0;
    for (int64_t ms = 0; ms < TIMEOUT_MS; ms++) {
        if (failed < f->fake.count)
            fake_fail(&f->fake, failed++, failure);
        run_after_ms(f, 1);
    }
    return failed;
}

static void a_server_that_cannot_be_reached_is_tried_again_and_then_said(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct template_lookup *lookup = ask(f, "etl");
    assert_in_range(fail_all(f, KUBE_NOT_SENT), 3, 7);
    struct template_answer answer = look(f, lookup);
    assert_int_equal(answer.state, TEMPLATE_UNREACHABLE);
    assert_str_is(answer.text, "the cable was cut");
    template_lookup_drop(lookup);
}

/* As when the API server that a kept connection leads to has gone without a word. */
static void a_dead_connection_costs_an_attempt_and_not_the_review(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct template_lookup *lookup = ask(f, "etl");
    assert_int_equal(fake_sent(&f->fake, 0)->timeout_ns, ATTEMPT_MS * CLOCK_NS_PER_MS);
    test_clock_advance_ms(&f->clock, ATTEMPT_MS);
    fake_fail(&f->fake, 0, KUBE_LOST);
    run_after_ms(f, 200);
    fake_answer(&f->fake, 1, 200, "{}");
    assert_int_equal(look(f, lookup).state, TEMPLATE_FOUND);
    template_lookup_drop(lookup);
}

static void who_has_less_patience_is_answered_earlier(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct template_lookup *lookup = ask_with_patience(f, "etl", CLOCK_NS_PER_SEC);
    assert_int_equal(fake_sent(&f->fake, 0)->timeout_ns,
                     CLOCK_NS_PER_SEC * ATTEMPT_MS / TIMEOUT_MS);
    run_after_ms(f, 999);
    assert_true(fake_is_open(&f->fake, 0));
    run_after_ms(f, 1);
    assert_false(fake_is_open(&f->fake, 0));
    template_lookup_drop(lookup);
    lookup = ask_with_patience(f, "etl", 60 * CLOCK_NS_PER_SEC);
    run_after_ms(f, TIMEOUT_MS);
    assert_false(fake_is_open(&f->fake, 1));
    template_lookup_drop(lookup);
}

static void names_that_are_alike_are_not_worth_a_second_try(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct template_lookup *lookup = ask(f, "etl");
    fake_answer(&f->fake, 0, 404, NULL);
    fake_fail(&f->fake, 1, KUBE_LOST);
    assert_int_equal(look(f, lookup).state, TEMPLATE_MISSING);
    template_lookup_drop(lookup);
}

static void a_server_that_does_not_list_has_still_said_what_is_missing(void **state)
{
    struct fixture *f = *state;
    start(f);
    struct template_lookup *lookup = ask(f, "etl");
    fake_answer(&f->fake, 0, 404, NULL);
    run_after_ms(f, TIMEOUT_MS);
    assert_int_equal(look(f, lookup).state, TEMPLATE_MISSING);
    template_lookup_drop(lookup);
}

static void more_than_can_be_asked_at_once_wait_in_their_order(void **state)
{
    enum { LOOKUPS = TEMPLATE_LOOKUPS_AT_ONCE + 2 };
    struct fixture *f = *state;
    struct template_lookup *lookups[LOOKUPS];
    start(f);
    for (size_t i = 0; i < LOOKUPS; i++)
        lookups[i] = ask(f, i == TEMPLATE_LOOKUPS_AT_ONCE ? "next" : "etl");
    assert_int_equal(f->fake.count, TEMPLATE_LOOKUPS_AT_ONCE);
    fake_answer(&f->fake, 3, 200, "{}");
    assert_int_equal(f->fake.count, TEMPLATE_LOOKUPS_AT_ONCE + 1);
    assert_str_is(fake_sent(&f->fake, TEMPLATE_LOOKUPS_AT_ONCE)->target, PATH "/next");
    run_after_ms(f, TIMEOUT_MS);
    assert_int_equal(f->fake.open, 0);
    for (size_t i = 0; i < LOOKUPS; i++)
        template_lookup_drop(lookups[i]);
}

static void answers_that_nobody_uses_are_bounded(void **state)
{
    enum { SIZE = 1024 * 1024, LOOKUPS = 40 };
    struct fixture *f = *state;
    struct template_lookup *lookups[LOOKUPS];
    char *body = malloc(SIZE + 1);
    size_t found = 0;
    memset(body, ' ', SIZE);
    body[0] = '{';
    body[SIZE - 1] = '}';
    body[SIZE] = '\0';
    start(f);
    for (size_t i = 0; i < LOOKUPS; i++) {
        lookups[i] = ask(f, "etl");
        fake_answer(&f->fake, i, 200, body);
        found += look(f, lookups[i]).state == TEMPLATE_FOUND;
    }
    assert_int_equal(found, 32);
    template_lookup_drop(lookups[0]);
    lookups[0] = ask(f, "etl");
    fake_answer(&f->fake, LOOKUPS, 200, body);
    assert_int_equal(look(f, lookups[0]).state, TEMPLATE_FOUND);
    for (size_t i = 0; i < LOOKUPS; i++)
        template_lookup_drop(lookups[i]);
    free(body);
}

static void a_review_that_has_gone_needs_no_answer(void **state)
{
    struct fixture *f = *state;
    start(f);
    template_lookup_drop(ask(f, "etl"));
    fake_answer(&f->fake, 0, 200, "{}");
    template_lookup_drop(ask(f, "etl"));
    /* The second is under way when all ends. */
}

static void names_that_cannot_be_are_not_asked_for(void **state)
{
    struct fixture *f = *state;
    char name[300];
    memset(name, 'a', sizeof(name));
    start(f);
    assert_null(template_lookup_new(f->lookups, STR("ns"), (struct str){name, sizeof(name)}, 0));
    assert_null(template_lookup_new(f->lookups, (struct str){name, sizeof(name)}, STR("etl"), 0));
    assert_null(template_lookup_new(f->lookups, (struct str){NULL, 0}, STR("etl"), 0));
}

struct memory_work {
    struct fixture *f;
};

static bool look_up_with(const struct mem *mem, void *ctx)
{
    struct fixture *f = ((struct memory_work *)ctx)->f;
    struct metrics metrics;
    struct err err;
    bool good = false;
    metrics_init(&metrics, mem_system());
    fake_transport_init(&f->fake);
    struct template_lookups_config config = config_of(f, mem);
    config.metrics = &metrics;
    struct template_lookups *lookups = template_lookups_new(&config, &err);
    struct template_lookup *lookup =
        lookups ? template_lookup_new(lookups, STR("ns"), STR("etl"), 0) : NULL;
    if (lookup) {
        template_lookup_begin(lookup, NULL);
        template_lookups_run_once(lookups);
        if (f->fake.count > 0)
            fake_answer(&f->fake, 0, 200, "{}");
        good = look(f, lookup).state == TEMPLATE_FOUND;
        template_lookup_drop(lookup);
    }
    template_lookups_free(lookups);
    fake_transport_done(&f->fake);
    metrics_done(&metrics);
    return good;
}

static void memory_may_fail_anywhere(void **state)
{
    struct memory_work work = {.f = *state};
    test_every_allocation_failing(look_up_with, &work);
    fake_transport_init(&work.f->fake);
}

/* ---- A whole review ---- */

struct server {
    struct catalog_source catalog;
    struct handlers handlers;
    struct http_route routes[ADMISSION_ROUTES];
    struct http_server *server;
    struct http_client client;
};

static void server_start(struct fixture *f, struct server *s, unsigned max_waiting)
{
    struct err err;
    *s = (struct server){0};
    assert_int_equal(catalog_source_init(&s->catalog, NULL, mem_system(), &err), 0);
    s->handlers = (struct handlers){
        .log = &f->log,
        .clock = &f->clock.clock,
        .metrics = &f->metrics,
        .catalog = &s->catalog,
        .lookups = f->lookups,
        .no_lookups = "there is no cluster",
    };
    handlers_add_metrics(&s->handlers);
    handlers_admission_routes(&s->handlers, s->routes);
    const struct http_server_config config = {
        .listen = "127.0.0.1:0",
        .routes = s->routes,
        .route_count = ADMISSION_ROUTES,
        .clock = &f->clock.clock,
        .threads = 1,
        .max_waiting = max_waiting,
    };
    assert_int_equal(http_server_start(&config, &s->server, &err), 0);
    assert_true(http_client_open(&s->client, http_server_port(s->server)));
}

static void server_stop(struct server *s)
{
    http_client_close(&s->client);
    assert_int_equal(http_server_stop(s->server, 10 * 1000), 0);
    catalog_source_done(&s->catalog);
}

/* `query` as the apiserver sends it. */
static void send_review_with(struct fixture *f, struct http_client *client, const char *query)
{
    struct str body = test_read_file(&f->arena, "reviews/from-template.mutate.json");
    struct str request = arena_printf(
        &f->arena, "POST /mutate%s HTTP/1.1\r\nHost: w\r\nContent-Length: %zu\r\n\r\n%" PRIstr,
        query, body.len, STR_ARG(body));
    assert_true(http_client_send(client, request));
}

static void send_review(struct fixture *f, struct http_client *client)
{
    send_review_with(f, client, "?timeout=10s");
}

/* Until that many requests were sent to the API server. */
static void run_until_sent(struct fixture *f, size_t count)
{
    enum { PATIENCE_MS = 20 * 1000 };
    for (int i = 0; i < PATIENCE_MS && f->fake.count < count; i++) {
        template_lookups_run_once(f->lookups);
        poll(NULL, 0, 1);
    }
    assert_int_equal(f->fake.count, count);
}

static void assert_answer(struct http_client *client, const char *part)
{
    struct http_answer answer;
    assert_true(http_client_read(client, &answer));
    assert_int_equal(answer.status, 200);
    if (!strstr(answer.body, part))
        fail_msg("no \"%s\" in %s", part, answer.body);
}

static struct str template_text(struct fixture *f)
{
    struct buf text;
    buf_init(&text, arena_mem(&f->arena), 64 * 1024);
    json_write(&text, fixed_read(&f->arena, STR(FIXED_TEMPLATE)));
    buf_put_char(&text, '\0');
    return buf_str(&text);
}

static void a_review_is_answered_when_its_template_has_come(void **state)
{
    struct fixture *f = *state;
    struct server s;
    start(f);
    server_start(f, &s, 0);
    send_review(f, &s.client);
    run_until_sent(f, 1);
    fake_answer(&f->fake, 0, 200, template_text(f).ptr);
    assert_answer(&s.client, "\"allowed\":true,\"patchType\":\"JSONPatch\"");
    server_stop(&s);
}

static void a_review_is_refused_when_nobody_knows(void **state)
{
    struct fixture *f = *state;
    struct server s;
    start(f);
    server_start(f, &s, 0);
    send_review(f, &s.client);
    run_until_sent(f, 1);
    run_after_ms(f, TIMEOUT_MS);
    assert_answer(&s.client, "\"code\":503,\"reason\":\"ServiceUnavailable\",\"message\":"
                             "\"spec.templateRef: the JobFlowTemplate could not be looked up: the "
                             "API server did not answer the webhook in time\"");
    server_stop(&s);
}

static void a_review_is_answered_before_the_apiserver_gives_it_up(void **state)
{
    static const struct {
        const char *query;
        int64_t patience_ms;
    } rows[] = {
        {"?timeout=3s", 2000},         {"?timeout=2s", 1000},
        {"?timeout=1s", 500},          {"?timeout=30s", TIMEOUT_MS},
        {"?timeout=1m0s", TIMEOUT_MS}, {"?timeout=0s", TIMEOUT_MS},
        {"?timeout=-3s", TIMEOUT_MS},  {"?timeout=99999999999999999999s", TIMEOUT_MS},
        {"?timeout", TIMEOUT_MS},      {"", TIMEOUT_MS},
    };
    struct fixture *f = *state;
    struct server s;
    start(f);
    server_start(f, &s, 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        send_review_with(f, &s.client, rows[i].query);
        run_until_sent(f, i + 1);
        run_after_ms(f, rows[i].patience_ms - 1);
        assert_true(fake_is_open(&f->fake, i));
        run_after_ms(f, 1);
        assert_false(fake_is_open(&f->fake, i));
        assert_answer(&s.client, "in time");
    }
    server_stop(&s);
}

static void a_review_too_many_is_refused_at_once(void **state)
{
    struct fixture *f = *state;
    struct server s;
    struct http_client second;
    start(f);
    server_start(f, &s, 1);
    send_review(f, &s.client);
    run_until_sent(f, 1);
    assert_true(http_client_open(&second, http_server_port(s.server)));
    send_review(f, &second);
    assert_answer(&second, "too many reviews wait for the API server now");
    assert_true(counted(f, "refused") == 1);
    http_client_close(&second);
    fake_answer(&f->fake, 0, 200, template_text(f).ptr);
    assert_answer(&s.client, "\"allowed\":true");
    server_stop(&s);
}

static void without_a_cluster_the_reason_is_said(void **state)
{
    struct fixture *f = *state;
    struct server s;
    server_start(f, &s, 0);
    send_review(f, &s.client);
    assert_answer(&s.client, "could not be looked up: there is no cluster");
    server_stop(&s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_template_is_read_as_it_is_now),
        TEST(each_review_asks_anew),
        TEST(a_missing_template_names_one_that_is_alike),
        TEST(a_cluster_without_the_kind_is_told_apart),
        TEST(what_the_server_says_is_passed_on),
        TEST(a_long_reason_is_cut_between_characters),
        TEST(what_is_no_json_is_no_template),
        TEST(lookups_are_counted_by_what_came_of_them),
        TEST(a_server_that_does_not_answer_is_not_waited_for),
        TEST(a_server_that_cannot_be_reached_is_tried_again_and_then_said),
        TEST(a_dead_connection_costs_an_attempt_and_not_the_review),
        TEST(who_has_less_patience_is_answered_earlier),
        TEST(names_that_are_alike_are_not_worth_a_second_try),
        TEST(a_server_that_does_not_list_has_still_said_what_is_missing),
        TEST(more_than_can_be_asked_at_once_wait_in_their_order),
        TEST(answers_that_nobody_uses_are_bounded),
        TEST(a_review_that_has_gone_needs_no_answer),
        TEST(names_that_cannot_be_are_not_asked_for),
        TEST(memory_may_fail_anywhere),
        TEST(a_review_is_answered_when_its_template_has_come),
        TEST(a_review_is_refused_when_nobody_knows),
        TEST(a_review_is_answered_before_the_apiserver_gives_it_up),
        TEST(a_review_too_many_is_refused_at_once),
        TEST(without_a_cluster_the_reason_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
