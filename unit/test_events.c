/* Kubernetes events: what is sent, combined, filtered and dropped. */
#include "unit/fake_transport.h"
#include "unit/prometheus.h"
#include "unit/support.h"

#include "kube/events.h"
#include "kube/object.h"

#include <stdio.h>

struct fixture {
    struct test_mem mem;
    struct test_clock clock;
    struct random_seeded random;
    struct timers timers;
    struct metrics metrics;
    struct fake_transport fake;
    struct kube_client *client;
    struct kube_events *events;
    struct arena arena;
    size_t answered;
};

static struct kube_client *make_client(struct fixture *f, const struct mem *mem, struct err *err)
{
    return kube_client_new(&(const struct kube_client_config){.transport = &f->fake.transport,
                                                              .timers = &f->timers,
                                                              .clock = &f->clock.clock,
                                                              .random = &f->random.random,
                                                              .mem = mem,
                                                              .qps = -1},
                           err);
}

static struct kube_events *make_events(struct fixture *f, const struct mem *mem, struct err *err)
{
    return kube_events_new(
        &(const struct kube_events_config){.client = f->client,
                                           .timers = &f->timers,
                                           .clock = &f->clock.clock,
                                           .random = &f->random.random,
                                           .mem = mem,
                                           .metrics = &f->metrics,
                                           .component = STR("callboard-controller"),
                                           .instance = STR("pod-1")},
        err);
}

static void begin_fixture(struct fixture *f, const struct mem *mem)
{
    *f = (struct fixture){0};
    test_mem_init(&f->mem);
    test_clock_init(&f->clock);
    random_seeded_init(&f->random, TEST_SEED);
    timers_init(&f->timers, mem ? mem : &f->mem.mem);
    metrics_init(&f->metrics, mem_system());
    fake_transport_init(&f->fake);
    arena_init(&f->arena, mem_system(), 1 << 16, 1 << 24);
}

static void end_fixture(struct fixture *f)
{
    kube_events_free(f->events);
    kube_client_free(f->client);
    fake_transport_done(&f->fake);
    arena_done(&f->arena);
    metrics_done(&f->metrics);
    timers_done(&f->timers);
    test_mem_done(&f->mem);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    begin_fixture(&fixture, NULL);
    struct err err;
    fixture.client = make_client(&fixture, &fixture.mem.mem, &err);
    assert_non_null(fixture.client);
    fixture.events = make_events(&fixture, &fixture.mem.mem, &err);
    assert_non_null(fixture.events);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    end_fixture(*state);
    return 0;
}

static struct kube_event event_of(const char *name, const char *reason, const char *message)
{
    return (struct kube_event){
        .resource = &kube_performers,
        .namespace = STR("team"),
        .name = str_from_cstr(name),
        .uid = STR("uid-1"),
        .resource_version = STR("77"),
        .reason = reason,
        .message = str_from_cstr(message),
    };
}

static void record(struct fixture *f, const char *name, const char *reason, const char *message)
{
    struct kube_event event = event_of(name, reason, message);
    kube_events_record(f->events, &event);
    timers_run(&f->timers, f->clock.now_ns);
}

static bool has_request(const struct fixture *f)
{
    assert_true(f->fake.count <= f->answered + 1);
    return f->fake.count > f->answered;
}

static const struct kube_request *request(struct fixture *f, const char *method)
{
    assert_true(has_request(f));
    const struct kube_request *sent = fake_sent(&f->fake, f->answered);
    assert_string_equal(sent->method, method);
    assert_int_equal(sent->lane, KUBE_LANE_REQUEST);
    return sent;
}

static const struct json *body(struct fixture *f)
{
    struct err err;
    const struct json *tree =
        json_read(&f->arena, fake_sent(&f->fake, f->answered)->body, &json_limits_default, &err);
    assert_non_null(tree);
    return tree;
}

static void answer(struct fixture *f, int status)
{
    fake_answer(&f->fake, f->answered++, status, "{}");
    timers_run(&f->timers, f->clock.now_ns);
}

/* All that is asked for succeeds. Returns how many requests that were. */
static size_t answer_all(struct fixture *f)
{
    size_t count = 0;
    for (; has_request(f); count++)
        answer(f, 200);
    assert_int_equal(kube_events_pending(f->events), 0);
    return count;
}

static void pass_ms(struct fixture *f, int64_t ms)
{
    test_clock_advance_ms(&f->clock, ms);
    timers_run(&f->timers, f->clock.now_ns);
}

static double results(struct fixture *f, const char *result)
{
    char series[64];
    snprintf(series, sizeof(series), "kube_events_total{result=\"%s\"}", result);
    struct buf buf;
    buf_init(&buf, mem_system(), 1 << 20);
    metrics_write(&f->metrics, &buf);
    prometheus_check(buf_str(&buf));
    double value = -1;
    prometheus_find_sample(buf_str(&buf), series, &value);
    buf_done(&buf);
    return value;
}

/* ---- Behaviours ---- */

static void an_event_is_created_as_kubectl_describe_finds_it(void **state)
{
    struct fixture *f = *state;
    struct kube_event event = event_of("web", "PodCreated", "created pod \"web-1\"");
    event.is_warning = true;
    kube_events_record(f->events, &event);
    assert_int_equal(kube_events_pending(f->events), 1);
    timers_run(&f->timers, f->clock.now_ns);
    const struct kube_request *sent = request(f, "POST");
    assert_str_is(sent->target, "/api/v1/namespaces/team/events");
    assert_str_is(
        sent->body,
        "{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"metadata\":{\"name\":\"web.1886caf21c963200\","
        "\"namespace\":\"team\"},\"involvedObject\":{\"kind\":\"Performer\",\"namespace\":\"team\","
        "\"name\":\"web\",\"uid\":\"uid-1\",\"resourceVersion\":\"77\","
        "\"apiVersion\":\"hourglass.eigenlayer.io/v1alpha1\"},"
        "\"source\":{\"component\":\"callboard-controller\"},\"type\":\"Warning\","
        "\"reason\":\"PodCreated\",\"reportingComponent\":\"callboard-controller\","
        "\"reportingInstance\":\"pod-1\",\"firstTimestamp\":\"2026-01-02T03:04:05Z\","
        "\"message\":\"created pod \\\"web-1\\\"\",\"lastTimestamp\":\"2026-01-02T03:04:05Z\","
        "\"count\":1}");
    answer(f, 201);
    assert_int_equal(kube_events_pending(f->events), 0);
    assert_true(results(f, "sent") == 1);
}

static void an_event_about_what_is_in_no_namespace_is_in_default(void **state)
{
    struct fixture *f = *state;
    struct kube_event event = {
        .resource = &kube_nodes, .name = STR("node-1"), .reason = "Lost", .message = STR("gone")};
    kube_events_record(f->events, &event);
    timers_run(&f->timers, f->clock.now_ns);
    assert_str_is(request(f, "POST")->target, "/api/v1/namespaces/default/events");
    assert_str_is(kube_text_at(body(f), "metadata", "namespace", NULL), "default");
    assert_str_is(kube_text_at(body(f), "involvedObject", "apiVersion", NULL), "v1");
    assert_null(kube_at(body(f), "involvedObject", "namespace", NULL));
    assert_str_is(kube_text_at(body(f), "type", NULL), "Normal");
    answer(f, 201);
}

static void the_same_event_again_raises_the_count(void **state)
{
    struct fixture *f = *state;
    record(f, "web", "Failed", "no image");
    struct str name = kube_text_at(body(f), "metadata", "name", NULL);
    answer(f, 201);
    pass_ms(f, 61000);
    record(f, "web", "Failed", "no image");
    const struct kube_request *sent = request(f, "PATCH");
    assert_true(str_starts_with(sent->target, STR("/api/v1/namespaces/team/events/web.")));
    assert_true(str_ends_with(sent->target, name));
    assert_int_equal(kube_int_at(body(f), -1, "count", NULL), 2);
    assert_str_is(kube_text_at(body(f), "lastTimestamp", NULL), "2026-01-02T03:05:06Z");
    assert_null(kube_at(body(f), "firstTimestamp", NULL));
    answer(f, 200);
    /* Something else about it is another event. */
    record(f, "web", "Failed", "no memory");
    request(f, "POST");
    answer(f, 201);
    record(f, "web", "Started", "no image");
    request(f, "POST");
    answer(f, 201);
    record(f, "db", "Failed", "no image");
    request(f, "POST");
    answer(f, 201);
}

static void what_comes_while_it_waits_or_is_sent_is_counted_in(void **state)
{
    struct fixture *f = *state;
    record(f, "web", "A", "first");
    record(f, "web", "B", "second");
    for (int i = 0; i < 3; i++)
        record(f, "web", "B", "second");
    assert_int_equal(kube_events_pending(f->events), 2);
    record(f, "web", "A", "first");
    answer(f, 201);
    assert_int_equal(kube_int_at(body(f), -1, "count", NULL), 4);
    answer(f, 201);
    request(f, "PATCH");
    assert_int_equal(kube_int_at(body(f), -1, "count", NULL), 2);
    answer(f, 200);
    assert_false(has_request(f));
    assert_int_equal(kube_events_pending(f->events), 0);
}

static void one_request_is_under_way_at_a_time_in_order(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++)
        record(f, names[i], "Made", "x");
    for (size_t i = 0; i < 3; i++) {
        assert_str_is(kube_text_at(body(f), "involvedObject", "name", NULL), names[i]);
        answer(f, 201);
    }
    assert_false(has_request(f));
}

static void from_the_tenth_message_on_events_are_combined(void **state)
{
    struct fixture *f = *state;
    char message[32];
    for (int i = 0; i < 9; i++) {
        snprintf(message, sizeof(message), "message %d", i);
        record(f, "web", "Failed", message);
        assert_str_is(kube_text_at(body(f), "message", NULL), message);
        answer(f, 201);
    }
    record(f, "web", "Failed", "message 9");
    request(f, "POST");
    assert_str_is(kube_text_at(body(f), "message", NULL),
                  "(combined from similar events): message 9");
    answer(f, 201);
    record(f, "web", "Failed", "message 10");
    request(f, "PATCH");
    assert_str_is(kube_text_at(body(f), "message", NULL),
                  "(combined from similar events): message 10");
    assert_int_equal(kube_int_at(body(f), -1, "count", NULL), 2);
    answer(f, 200);
    /* One of the first nine is still its own, and so is another reason. */
    record(f, "web", "Failed", "message 3");
    assert_str_is(kube_text_at(body(f), "message", NULL), "message 3");
    answer(f, 200);
    record(f, "web", "Other", "message 10");
    assert_str_is(kube_text_at(body(f), "message", NULL), "message 10");
    answer(f, 201);
    /* Ten quiet minutes, and it begins anew. */
    pass_ms(f, 600001);
    record(f, "web", "Failed", "message 11");
    assert_str_is(kube_text_at(body(f), "message", NULL), "message 11");
    answer(f, 201);
}

static void an_object_has_a_burst_of_25_and_then_one_in_5_minutes(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 40; i++) {
        record(f, "web", "Failed", "again");
        answer_all(f);
    }
    assert_int_equal(f->answered, 25);
    assert_true(results(f, "filtered") == 15);
    /* Others are not touched. */
    record(f, "db", "Failed", "again");
    assert_int_equal(answer_all(f), 1);
    pass_ms(f, 299999);
    record(f, "web", "Failed", "again");
    assert_false(has_request(f));
    pass_ms(f, 1);
    record(f, "web", "Failed", "again");
    request(f, "PATCH");
    /* Those that were not sent were counted. */
    assert_int_equal(kube_int_at(body(f), -1, "count", NULL), 42);
    answer(f, 200);
    record(f, "web", "Failed", "something new");
    assert_false(has_request(f));
}

static void an_event_that_was_deleted_is_created_anew(void **state)
{
    struct fixture *f = *state;
    record(f, "web", "Failed", "again");
    answer(f, 201);
    record(f, "web", "Failed", "again");
    request(f, "PATCH");
    answer(f, 404);
    request(f, "POST");
    assert_int_equal(kube_int_at(body(f), -1, "count", NULL), 2);
    answer(f, 201);
    assert_int_equal(kube_events_pending(f->events), 0);
}

static void what_the_server_refuses_is_dropped(void **state)
{
    struct fixture *f = *state;
    static const int statuses[] = {400, 403, 404, 422};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        record(f, "web", "Failed", "again");
        request(f, "POST");
        answer(f, statuses[i]);
        assert_int_equal(kube_events_pending(f->events), 0);
        assert_false(has_request(f));
    }
    assert_true(results(f, "failed") == 4);
}

static void an_answer_that_was_lost_is_asked_for_again_and_found(void **state)
{
    struct fixture *f = *state;
    record(f, "web", "Failed", "again");
    struct str name = kube_text_at(body(f), "metadata", "name", NULL);
    fake_fail(&f->fake, f->answered++, KUBE_LOST);
    pass_ms(f, 9999);
    assert_false(has_request(f));
    pass_ms(f, 1);
    request(f, "POST");
    assert_str_equal(kube_text_at(body(f), "metadata", "name", NULL), name);
    answer(f, 409);
    assert_int_equal(kube_events_pending(f->events), 0);
}

static void a_server_that_is_not_reached_is_given_up_after_twelve_times(void **state)
{
    struct fixture *f = *state;
    record(f, "web", "Failed", "again");
    record(f, "db", "Failed", "again");
    for (int i = 0; i < 12; i++) {
        assert_str_is(kube_text_at(body(f), "involvedObject", "name", NULL), "web");
        fake_fail(&f->fake, f->answered++, KUBE_LOST);
        pass_ms(f, 10000);
    }
    assert_int_equal(kube_events_pending(f->events), 1);
    assert_str_is(kube_text_at(body(f), "involvedObject", "name", NULL), "db");
    assert_true(results(f, "failed") == 1);
    assert_int_equal(answer_all(f), 1);
}

static void a_full_queue_drops_and_counts(void **state)
{
    struct fixture *f = *state;
    char name[32];
    for (int i = 0; i < 1100; i++) {
        snprintf(name, sizeof(name), "thing-%d", i);
        record(f, name, "Made", "x");
    }
    assert_int_equal(kube_events_pending(f->events), 1000);
    assert_true(results(f, "full") == 100);
    assert_int_equal(answer_all(f), 1000);
}

static void what_is_remembered_is_bounded(void **state)
{
    struct fixture *f = *state;
    char name[32];
    size_t bytes = 0;
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "thing-%04d", i % 10000);
        record(f, name, "Made", "x");
        answer_all(f);
        if (i == 2000)
            bytes = f->mem.live_bytes;
    }
    assert_int_equal(f->mem.live_bytes, bytes);
    assert_true(bytes < 1024 * 1024);
    /* The last ones are known, the first are not. */
    record(f, "thing-4999", "Made", "x");
    request(f, "PATCH");
    answer(f, 200);
    record(f, "thing-0000", "Made", "x");
    request(f, "POST");
    answer(f, 201);
}

static void a_long_message_and_a_long_name_are_cut(void **state)
{
    struct fixture *f = *state;
    char message[1200], name[254];
    memset(message, 'm', sizeof(message) - 1);
    message[sizeof(message) - 1] = '\0';
    memcpy(message + 1023, "\xC3\xA4", 2);
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    record(f, name, "Failed", message);
    /* No character is cut in two. */
    assert_int_equal(kube_text_at(body(f), "message", NULL).len, 1023);
    assert_int_equal(kube_text_at(body(f), "metadata", "name", NULL).len, 253);
    assert_int_equal(kube_text_at(body(f), "involvedObject", "name", NULL).len, 253);
    answer(f, 201);
    for (int i = 0; i < 10; i++) {
        message[0] = (char)('0' + i);
        record(f, name, "Failed", message);
        struct str sent = kube_text_at(body(f), "message", NULL);
        assert_in_range(sent.len, 1023, 1024);
        answer(f, 201);
    }
}

static void names_differ_even_when_the_clock_stands_or_goes_back(void **state)
{
    struct fixture *f = *state;
    record(f, "web", "A", "x");
    struct str first = kube_text_at(body(f), "metadata", "name", NULL);
    answer(f, 201);
    record(f, "web", "B", "x");
    struct str second = kube_text_at(body(f), "metadata", "name", NULL);
    answer(f, 201);
    test_clock_jump_wall_ms(&f->clock, -3600000);
    record(f, "web", "C", "x");
    struct str third = kube_text_at(body(f), "metadata", "name", NULL);
    answer(f, 201);
    assert_false(str_eq(first, second) || str_eq(second, third) || str_eq(first, third));
}

static void freeing_cancels_what_is_under_way(void **state)
{
    struct fixture *f = *state;
    record(f, "web", "A", "x");
    record(f, "web", "B", "x");
    kube_events_free(f->events);
    f->events = NULL;
    assert_int_equal(f->fake.open, 0);
}

/* ---- Memory ---- */

static bool record_some(const struct mem *mem, void *ctx)
{
    (void)ctx;
    struct fixture f;
    begin_fixture(&f, mem);
    struct err err = {0};
    f.client = make_client(&f, mem, &err);
    if (f.client)
        f.events = make_events(&f, mem, &err);
    assert_int_equal(err.code, f.events ? 0 : 507);
    if (f.events) {
        for (int i = 0; i < 3; i++) {
            char message[16];
            snprintf(message, sizeof(message), "%d", i);
            record(&f, "web", "Failed", message);
            while (has_request(&f))
                answer(&f, 201);
        }
    }
    const struct test_mem *counted = mem->ctx;
    bool succeeded = f.events && f.answered == 3 && counted->failures == 0;
    end_fixture(&f);
    return succeeded;
}

static void without_memory_events_are_lost_or_sent_later(void **state)
{
    (void)state;
    test_every_allocation_failing(record_some, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_event_is_created_as_kubectl_describe_finds_it),
        TEST(an_event_about_what_is_in_no_namespace_is_in_default),
        TEST(the_same_event_again_raises_the_count),
        TEST(what_comes_while_it_waits_or_is_sent_is_counted_in),
        TEST(one_request_is_under_way_at_a_time_in_order),
        TEST(from_the_tenth_message_on_events_are_combined),
        TEST(an_object_has_a_burst_of_25_and_then_one_in_5_minutes),
        TEST(an_event_that_was_deleted_is_created_anew),
        TEST(what_the_server_refuses_is_dropped),
        TEST(an_answer_that_was_lost_is_asked_for_again_and_found),
        TEST(a_server_that_is_not_reached_is_given_up_after_twelve_times),
        TEST(a_full_queue_drops_and_counts),
        TEST(what_is_remembered_is_bounded),
        TEST(a_long_message_and_a_long_name_are_cut),
        TEST(names_differ_even_when_the_clock_stands_or_goes_back),
        TEST(freeing_cancels_what_is_under_way),
        cmocka_unit_test(without_memory_events_are_lost_or_sent_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
