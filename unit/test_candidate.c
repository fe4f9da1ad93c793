/* A replica's way from standing for election to giving its Lease up. test_app.c has it with a leader's work. */
#include "unit/fake_transport.h"

#include "control/candidate.h"

struct fixture {
    struct test_clock clock;
    struct random_seeded random;
    struct fake_transport fake;
    struct timers timers;
    struct kube_client *client;
    struct log_sink sink;
    struct log log;
    struct candidate candidate;
    size_t lines, releases;
};

static bool count_line(void *ctx, struct str line)
{
    struct fixture *f = ctx;
    (void)line;
    f->lines++;
    return true;
}

static void on_release(void *ctx)
{
    struct fixture *f = ctx;
    f->releases++;
}

static int set_up(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    struct err err;
    *f = (struct fixture){0};
    test_clock_init(&f->clock);
    random_seeded_init(&f->random, TEST_SEED);
    fake_transport_init(&f->fake);
    timers_init(&f->timers, mem_system());
    log_sink_init(&f->sink, count_line, f, LOG_TEXT, LOG_LEVEL_WARN, &f->clock.clock);
    f->log = (struct log){.sink = &f->sink};
    f->client = kube_client_new(&(const struct kube_client_config){.transport = &f->fake.transport,
                                                                   .timers = &f->timers,
                                                                   .clock = &f->clock.clock,
                                                                   .random = &f->random.random,
                                                                   .mem = mem_system(),
                                                                   .qps = -1},
                                &err);
    assert_non_null(f->client);
    const struct candidate_config config = {.lease = {.client = f->client,
                                                      .timers = &f->timers,
                                                      .clock = &f->clock.clock,
                                                      .random = &f->random.random,
                                                      .mem = mem_system(),
                                                      .namespace = STR("system"),
                                                      .name = STR("lease"),
                                                      .identity = STR("me"),
                                                      .ctx = f},
                                            .log = &f->log,
                                            .on_release = on_release};
    assert_int_equal(candidate_init(&f->candidate, &config, &err), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    candidate_done(&f->candidate);
    kube_client_free(f->client);
    timers_done(&f->timers);
    fake_transport_done(&f->fake);
    return 0;
}

static void run_timers(struct fixture *f)
{
    timers_run(&f->timers, clock_now_ns(&f->clock.clock));
}

static void one_that_has_not_stood_stops_without_asking_the_server(void **state)
{
    struct fixture *f = *state;
    candidate_release(&f->candidate); /* nothing is under way, and nobody has asked for the end */
    assert_int_equal(f->candidate.end, CANDIDATE_RUNNING);
    candidate_stop(&f->candidate);
    assert_int_equal(f->candidate.end, CANDIDATE_DRAINING);
    candidate_stand(&f->candidate);
    candidate_release(&f->candidate);
    candidate_release(&f->candidate);
    assert_int_equal(f->candidate.end, CANDIDATE_STOPPED);
    assert_int_equal(f->releases, 1);
    assert_int_equal(f->fake.count, 0);
}

static void what_does_not_end_is_waited_for_some_seconds_only(void **state)
{
    struct fixture *f = *state;
    candidate_stop(&f->candidate);
    test_clock_advance_ms(&f->clock, CANDIDATE_DRAIN_S * 1000 - 1);
    run_timers(f);
    assert_int_equal(f->candidate.end, CANDIDATE_DRAINING);
    test_clock_advance_ms(&f->clock, 1);
    run_timers(f);
    assert_int_equal(f->candidate.end, CANDIDATE_STOPPED);
    assert_int_equal(f->releases, 1);
}

static void it_stands_once_and_says_now_and_then_what_keeps_it_from_its_lease(void **state)
{
    struct fixture *f = *state;
    candidate_stand(&f->candidate);
    run_timers(f);
    assert_int_equal(f->fake.count, 1);
    assert_false(candidate_is_leading(&f->candidate));
    fake_answer(&f->fake, 0, 403, "{\"kind\":\"Status\",\"code\":403,\"reason\":\"Forbidden\"}");
    for (int watchdog = 0; watchdog < 12; watchdog++)
        candidate_stand(&f->candidate);
    assert_int_equal(f->fake.count, 1);
    assert_int_equal(f->lines, 2);
}

static void a_problem_that_comes_again_is_said_at_once(void **state)
{
    struct fixture *f = *state;
    unsigned times = 0;
    const struct str rows[] = {STR("refused"), STR("refused"), {NULL, 0}, STR("refused")};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        candidate_report(&f->log, &kube_pods, rows[i], &times);
    assert_int_equal(f->lines, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_that_has_not_stood_stops_without_asking_the_server),
        TEST(what_does_not_end_is_waited_for_some_seconds_only),
        TEST(it_stands_once_and_says_now_and_then_what_keeps_it_from_its_lease),
        TEST(a_problem_that_comes_again_is_said_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
