/* Leader election: one elector step by step, then several against a server with faults. */
#include "unit/fake_transport.h"
#include "unit/prometheus.h"
#include "unit/support.h"

#include "kube/lease.h"
#include "kube/object.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- One elector, whose requests the test answers ---- */

enum { LOG_MAX = 256 };

struct fixture {
    struct test_mem mem;
    struct test_clock clock;
    struct random_seeded random;
    struct timers timers;
    struct metrics metrics;
    struct fake_transport fake;
    struct kube_client *client;
    struct kube_lease *lease;
    struct arena arena;
    char log[LOG_MAX]; /* "started stopped released " */
    size_t answered;   /* exchanges that are over */
};

static void note(struct fixture *f, const char *what)
{
    assert_true(strlen(f->log) + strlen(what) < LOG_MAX);
    strcat(f->log, what);
}

static void on_started(void *ctx)
{
    note(ctx, "started ");
}

static void on_stopped(void *ctx)
{
    note(ctx, "stopped ");
}

static void on_released(void *ctx)
{
    note(ctx, "released ");
}

static struct kube_client *make_client(struct kube_transport *transport, struct timers *timers,
                                       const struct clock *clock, const struct random *random,
                                       const struct mem *mem, struct err *err)
{
    return kube_client_new(&(const struct kube_client_config){.transport = transport,
                                                              .timers = timers,
                                                              .clock = clock,
                                                              .random = random,
                                                              .mem = mem,
                                                              .host = STR("server:443")},
                           err);
}

static struct kube_lease_config config_of(struct fixture *f)
{
    return (struct kube_lease_config){
        .client = f->client,
        .timers = &f->timers,
        .clock = &f->clock.clock,
        .random = &f->random.random,
        .mem = &f->mem.mem,
        .metrics = &f->metrics,
        .namespace = STR("callboard-system"),
        .name = STR("callboard-controller"),
        .identity = STR("me"),
        .on_started = on_started,
        .on_stopped = on_stopped,
        .ctx = f,
    };
}

static int set_up(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    *f = (struct fixture){0};
    test_mem_init(&f->mem);
    test_clock_init(&f->clock);
    random_seeded_init(&f->random, TEST_SEED);
    timers_init(&f->timers, &f->mem.mem);
    metrics_init(&f->metrics, &f->mem.mem);
    fake_transport_init(&f->fake);
    arena_init(&f->arena, mem_system(), 1 << 16, 1 << 20);
    struct err err;
    f->client = make_client(&f->fake.transport, &f->timers, &f->clock.clock, &f->random.random,
                            &f->mem.mem, &err);
    assert_non_null(f->client);
    const struct kube_lease_config config = config_of(f);
    f->lease = kube_lease_new(&config, &err);
    assert_non_null(f->lease);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    kube_lease_free(f->lease);
    kube_client_free(f->client);
    fake_transport_done(&f->fake);
    arena_done(&f->arena);
    metrics_done(&f->metrics);
    timers_done(&f->timers);
    test_mem_done(&f->mem);
    return 0;
}

static void pass_ms(struct fixture *f, int64_t ms)
{
    /* In steps, as a loop would run. */
    for (; ms > 0; ms -= ms < 100 ? ms : 100) {
        test_clock_advance_ms(&f->clock, ms < 100 ? ms : 100);
        timers_run(&f->timers, f->clock.now_ns);
    }
    timers_run(&f->timers, f->clock.now_ns);
}

/* Lets time pass until a request is sent. */
static void await_request(struct fixture *f)
{
    timers_run(&f->timers, f->clock.now_ns);
    for (int i = 0; f->fake.count == f->answered; i++) {
        assert_true(i < 1000);
        pass_ms(f, 100);
    }
    assert_int_equal(f->fake.count, f->answered + 1);
}

static void assert_asks(struct fixture *f, const char *method)
{
    await_request(f);
    const struct kube_request *request = fake_sent(&f->fake, f->answered);
    assert_string_equal(request->method, method);
    assert_int_equal(request->lane, KUBE_LANE_LEASE);
    const char *target = strcmp(method, "POST") == 0
                             ? "/apis/coordination.k8s.io/v1/namespaces/callboard-system/leases"
                             : "/apis/coordination.k8s.io/v1/namespaces/callboard-system/leases/"
                               "callboard-controller";
    assert_int_equal(strncmp(request->target.ptr, target, strlen(target)), 0);
}

static void answer(struct fixture *f, int status, const char *body)
{
    fake_answer(&f->fake, f->answered++, status, body);
}

static void fail_call(struct fixture *f, enum kube_failure failure)
{
    fake_fail(&f->fake, f->answered++, failure);
}

static const char *lease_text(struct fixture *f, const char *holder, const char *renewed,
                              int transitions, int version)
{
    return arena_printf(
               &f->arena,
               "{\"metadata\":{\"name\":\"callboard-controller\",\"resourceVersion\":\"%d\"},"
               "\"spec\":{\"holderIdentity\":\"%s\",\"leaseDurationSeconds\":15,"
               "\"acquireTime\":\"2026-01-01T00:00:00.000000Z\",\"renewTime\":\"%s\","
               "\"leaseTransitions\":%d}}",
               version, holder, renewed, transitions)
        .ptr;
}

/* The body of the request that waits for an answer. */
static const struct json *sent_body(struct fixture *f)
{
    struct err err;
    const struct json *body =
        json_read(&f->arena, fake_sent(&f->fake, f->answered)->body, &json_limits_default, &err);
    assert_non_null(body);
    return body;
}

/* Makes it the holder, at version 2. */
static void take(struct fixture *f)
{
    assert_asks(f, "GET");
    answer(f, 200, lease_text(f, "", "t0", 3, 1));
    assert_asks(f, "PATCH");
    answer(f, 200, lease_text(f, "me", "t1", 4, 2));
    assert_string_equal(f->log, "started ");
    assert_true(kube_lease_is_held(f->lease));
    f->log[0] = '\0';
}

static bool can_write(struct fixture *f);

static void a_lease_that_does_not_exist_is_created(void **state)
{
    struct fixture *f = *state;
    assert_false(can_write(f));
    assert_asks(f, "GET");
    answer(f, 404, NULL);
    assert_asks(f, "POST");
    const struct json *body = sent_body(f);
    assert_str_is(kube_text_at(body, "metadata", "name", NULL), "callboard-controller");
    assert_str_is(kube_text_at(body, "spec", "holderIdentity", NULL), "me");
    assert_str_is(kube_text_at(body, "spec", "acquireTime", NULL), "2026-01-02T03:04:05.000000Z");
    assert_str_is(kube_text_at(body, "spec", "renewTime", NULL), "2026-01-02T03:04:05.000000Z");
    assert_int_equal(kube_int_at(body, -1, "spec", "leaseDurationSeconds", NULL), 15);
    assert_int_equal(kube_int_at(body, -1, "spec", "leaseTransitions", NULL), 0);
    assert_false(kube_lease_is_held(f->lease));
    answer(f, 201, lease_text(f, "me", "t1", 0, 1));
    assert_string_equal(f->log, "started ");
    assert_true(kube_lease_is_held(f->lease));
    assert_true(can_write(f));
}

static void one_that_was_given_up_is_taken_at_once(void **state)
{
    struct fixture *f = *state;
    assert_asks(f, "GET");
    answer(f, 200, lease_text(f, "", "t0", 3, 1));
    assert_asks(f, "PATCH");
    const struct json *body = sent_body(f);
    assert_str_is(kube_text_at(body, "metadata", "resourceVersion", NULL), "1");
    assert_str_is(kube_text_at(body, "spec", "holderIdentity", NULL), "me");
    assert_true(str_is_set(kube_text_at(body, "spec", "acquireTime", NULL)));
    assert_int_equal(kube_int_at(body, -1, "spec", "leaseTransitions", NULL), 4);
    answer(f, 200, lease_text(f, "me", "t1", 4, 2));
    assert_string_equal(f->log, "started ");
}

static void a_renewal_keeps_the_time_of_taking_and_the_transitions(void **state)
{
    struct fixture *f = *state;
    take(f);
    for (int i = 0; i < 5; i++) {
        int64_t sent_ns = f->clock.now_ns;
        assert_asks(f, "PATCH");
        assert_int_equal(f->clock.now_ns - sent_ns, 2 * CLOCK_NS_PER_SEC);
        const struct json *body = sent_body(f);
        assert_int_equal(atoi(kube_text_at(body, "metadata", "resourceVersion", NULL).ptr), i + 2);
        assert_false(str_is_set(kube_text_at(body, "spec", "acquireTime", NULL)));
        assert_true(str_is_set(kube_text_at(body, "spec", "renewTime", NULL)));
        assert_int_equal(kube_int_at(body, -1, "spec", "leaseTransitions", NULL), 4);
        answer(f, 200, lease_text(f, "me", "t2", 4, i + 3));
    }
    assert_string_equal(f->log, "");
    assert_true(kube_lease_is_held(f->lease));
}

static void another_holder_is_waited_out_from_the_last_change_that_was_seen(void **state)
{
    struct fixture *f = *state;
    assert_asks(f, "GET");
    answer(f, 200, lease_text(f, "other", "t1", 3, 1));
    pass_ms(f, 5000);
    while (f->fake.count > f->answered)
        answer(f, 200, lease_text(f, "other", "t1", 3, 1));
    /* It renews, with a time that lies in the past of this machine. */
    await_request(f);
    answer(f, 200, lease_text(f, "other", "1970-01-01T00:00:00Z", 3, 2));
    int64_t seen_ns = f->clock.now_ns;
    test_clock_jump_wall_ms(&f->clock, 1000000000);
    for (;;) {
        await_request(f);
        if (strcmp(fake_sent(&f->fake, f->answered)->method, "GET") != 0)
            break;
        /* Somebody sets a label: that is no sign of life. */
        answer(f, 200, lease_text(f, "other", "1970-01-01T00:00:00Z", 3, 7));
    }
    assert_asks(f, "PATCH");
    int64_t waited_ns = f->clock.now_ns - seen_ns;
    assert_true(waited_ns >= 15 * CLOCK_NS_PER_SEC && waited_ns <= 16 * CLOCK_NS_PER_SEC);
    const struct json *body = sent_body(f);
    assert_str_is(kube_text_at(body, "metadata", "resourceVersion", NULL), "7");
    assert_int_equal(kube_int_at(body, -1, "spec", "leaseTransitions", NULL), 4);
    answer(f, 409, NULL);
    assert_false(kube_lease_is_held(f->lease));
    assert_asks(f, "GET");
    answer(f, 200, lease_text(f, "third", "t9", 4, 8));
    assert_string_equal(f->log, "");
}

static void it_stops_when_no_renewal_succeeded_until_the_deadline(void **state)
{
    struct fixture *f = *state;
    take(f);
    int64_t sent_ns = f->clock.now_ns;
    assert_asks(f, "PATCH");
    fail_call(f, KUBE_LOST);
    while (f->clock.now_ns - sent_ns < 9900 * CLOCK_NS_PER_MS) {
        assert_true(kube_lease_is_held(f->lease));
        assert_true(can_write(f));
        pass_ms(f, 100);
        while (f->fake.count > f->answered &&
               fake_sent(&f->fake, f->answered)->lane == KUBE_LANE_LEASE)
            answer(f, 500, NULL);
    }
    assert_string_equal(f->log, "");
    pass_ms(f, 100);
    assert_string_equal(f->log, "stopped ");
    assert_false(kube_lease_is_held(f->lease));
    assert_false(can_write(f));
    /* It is still its own, and it may go on. */
    await_request(f);
    answer(f, 200, lease_text(f, "me", "t1", 4, 2));
    assert_asks(f, "PATCH");
    answer(f, 200, lease_text(f, "me", "t3", 4, 3));
    assert_string_equal(f->log, "stopped started ");
}

static void it_does_not_hold_by_what_the_loop_has_missed(void **state)
{
    struct fixture *f = *state;
    take(f);
    /* The process was stopped: no timer ran. */
    test_clock_advance_ms(&f->clock, 10000);
    assert_false(kube_lease_is_held(f->lease));
    assert_false(can_write(f));
}

static void an_answer_that_comes_after_the_deadline_is_no_renewal(void **state)
{
    struct fixture *f = *state;
    take(f);
    assert_asks(f, "PATCH");
    test_clock_advance_ms(&f->clock, 10001);
    answer(f, 200, lease_text(f, "me", "t2", 4, 3));
    assert_string_equal(f->log, "stopped ");
    assert_false(kube_lease_is_held(f->lease));
}

static void a_renewal_counts_from_when_it_was_sent(void **state)
{
    struct fixture *f = *state;
    take(f);
    assert_asks(f, "PATCH");
    pass_ms(f, 4000);
    answer(f, 200, lease_text(f, "me", "t2", 4, 3));
    test_clock_advance_ms(&f->clock, 5999);
    assert_true(kube_lease_is_held(f->lease));
    test_clock_advance_ms(&f->clock, 1);
    assert_false(kube_lease_is_held(f->lease));
    assert_false(can_write(f));
}

static void a_conflict_is_settled_by_reading(void **state)
{
    struct fixture *f = *state;
    take(f);
    /* A renewal whose answer was lost had been done. */
    assert_asks(f, "PATCH");
    answer(f, 409, NULL);
    assert_asks(f, "GET");
    answer(f, 200, lease_text(f, "me", "t2", 4, 9));
    assert_asks(f, "PATCH");
    assert_str_is(kube_text_at(sent_body(f), "metadata", "resourceVersion", NULL), "9");
    answer(f, 200, lease_text(f, "me", "t3", 4, 10));
    assert_string_equal(f->log, "");
    assert_true(kube_lease_is_held(f->lease));
}

static void endless_conflicts_are_met_once_a_turn(void **state)
{
    struct fixture *f = *state;
    take(f);
    assert_asks(f, "PATCH");
    answer(f, 409, NULL);
    answer(f, 200, lease_text(f, "me", "t2", 4, 9));
    answer(f, 409, NULL);
    assert_int_equal(f->fake.count, f->answered);
    pass_ms(f, 1900);
    assert_int_equal(f->fake.count, f->answered);
    assert_asks(f, "GET");
    answer(f, 200, lease_text(f, "me", "t2", 4, 10));
    assert_asks(f, "PATCH");
    answer(f, 200, lease_text(f, "me", "t2", 4, 11));
}

static void it_stops_at_once_when_another_holds_it(void **state)
{
    struct fixture *f = *state;
    take(f);
    assert_asks(f, "PATCH");
    answer(f, 409, NULL);
    assert_asks(f, "GET");
    answer(f, 200, lease_text(f, "other", "t5", 5, 9));
    assert_string_equal(f->log, "stopped ");
    assert_false(can_write(f));
}

static void a_release_empties_the_lease(void **state)
{
    struct fixture *f = *state;
    take(f);
    kube_lease_release(f->lease, on_released, f);
    assert_false(kube_lease_is_held(f->lease));
    assert_false(can_write(f));
    assert_asks(f, "PATCH");
    const struct json *body = sent_body(f);
    assert_str_is(kube_text_at(body, "metadata", "resourceVersion", NULL), "2");
    assert_str_is(kube_text_at(body, "spec", "holderIdentity", NULL), "");
    assert_int_equal(kube_int_at(body, -1, "spec", "leaseDurationSeconds", NULL), 1);
    assert_int_equal(kube_int_at(body, -1, "spec", "leaseTransitions", NULL), 4);
    assert_string_equal(f->log, "");
    answer(f, 200, lease_text(f, "", "t2", 4, 3));
    assert_string_equal(f->log, "released ");
    pass_ms(f, 60000);
    assert_int_equal(f->fake.count, f->answered);
    assert_string_equal(f->log, "released ");
}

static void a_release_during_a_renewal_reads_first(void **state)
{
    struct fixture *f = *state;
    take(f);
    assert_asks(f, "PATCH");
    kube_lease_release(f->lease, on_released, f);
    f->answered++;
    assert_asks(f, "GET");
    answer(f, 200, lease_text(f, "me", "t2", 4, 3));
    assert_asks(f, "PATCH");
    assert_str_is(kube_text_at(sent_body(f), "metadata", "resourceVersion", NULL), "3");
    answer(f, 409, NULL);
    assert_asks(f, "GET");
    answer(f, 200, lease_text(f, "other", "t2", 4, 4));
    assert_string_equal(f->log, "released ");
}

static void a_release_that_fails_ends_all_the_same(void **state)
{
    struct fixture *f = *state;
    take(f);
    kube_lease_release(f->lease, on_released, f);
    for (int i = 0; i < 3; i++) {
        await_request(f);
        fail_call(f, KUBE_LOST);
    }
    assert_string_equal(f->log, "released ");
    assert_int_equal(f->fake.open, 0);
}

static void what_is_not_held_is_released_without_a_request(void **state)
{
    struct fixture *f = *state;
    assert_asks(f, "GET");
    answer(f, 200, lease_text(f, "other", "t1", 3, 1));
    kube_lease_release(f->lease, on_released, f);
    assert_string_equal(f->log, "");
    timers_run(&f->timers, f->clock.now_ns);
    assert_string_equal(f->log, "released ");
    pass_ms(f, 60000);
    assert_int_equal(f->fake.count, f->answered);
}

static void a_refusal_is_a_problem_that_can_be_asked_for(void **state)
{
    struct fixture *f = *state;
    assert_asks(f, "GET");
    assert_false(str_is_set(kube_lease_problem(f->lease)));
    answer(f, 403,
           "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"leases is forbidden\"}");
    assert_str_is(kube_lease_problem(f->lease), "leases is forbidden");
    /* The namespace is missing. */
    assert_asks(f, "GET");
    answer(f, 404, NULL);
    assert_asks(f, "POST");
    answer(f, 404,
           "{\"kind\":\"Status\",\"reason\":\"NotFound\",\"message\":\"namespaces not found\"}");
    assert_str_is(kube_lease_problem(f->lease), "namespaces not found");
    assert_asks(f, "GET");
    answer(f, 200, lease_text(f, "other", "t1", 3, 1));
    assert_false(str_is_set(kube_lease_problem(f->lease)));
}

static void the_metric_tells_who_leads(void **state)
{
    struct fixture *f = *state;
    const char *series = "leader_election_master_status{name=\"callboard-controller\"}";
    double value = -1;
    struct buf buf;
    buf_init(&buf, mem_system(), 1 << 20);
    metrics_write(&f->metrics, &buf);
    assert_true(prometheus_find_sample(buf_str(&buf), series, &value));
    assert_true(value == 0);
    take(f);
    buf_clear(&buf);
    metrics_write(&f->metrics, &buf);
    assert_true(prometheus_find_sample(buf_str(&buf), series, &value));
    assert_true(value == 1);
    buf_done(&buf);
}

static void times_that_cannot_be_are_refused(void **state)
{
    struct fixture *f = *state;
    static const int64_t rows[][3] = {
        {10000, 10000, 2000}, {15000, 2000, 2000}, {15500, 10000, 2000}, {15000, 10000, -1}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct kube_lease_config config = config_of(f);
        config.duration_ns = rows[i][0] * CLOCK_NS_PER_MS;
        config.renew_deadline_ns = rows[i][1] * CLOCK_NS_PER_MS;
        config.retry_ns = rows[i][2] * CLOCK_NS_PER_MS;
        struct err err;
        assert_null(kube_lease_new(&config, &err));
        assert_int_equal(err.code, 400);
    }
}

/* ---- Whether writes are sent ---- */

static void on_write_done(void *ctx, const struct kube_result *result)
{
    (void)ctx;
    (void)result;
}

static void try_to_write(struct kube_client *client)
{
    struct err err;
    const struct kube_call call = {.verb = KUBE_PATCH_MERGE,
                                   .lane = KUBE_LANE_REQUEST,
                                   .resource = &kube_config_maps,
                                   .namespace = STR("team"),
                                   .name = STR("ledger"),
                                   .body = STR("{}")};
    kube_client_call(client, &call, on_write_done, NULL, &err);
}

/* Tries it, with a client's view of the time that no timer has told it. */
static bool can_write(struct fixture *f)
{
    size_t count = f->fake.count;
    try_to_write(f->client);
    timers_run(&f->timers, f->clock.now_ns);
    bool is_sent = false;
    for (size_t i = count; i < f->fake.count; i++) {
        if (fake_sent(&f->fake, i)->lane != KUBE_LANE_REQUEST)
            continue;
        is_sent = true;
        if (fake_is_open(&f->fake, i))
            fake_answer(&f->fake, i, 200, "{}");
        /* Kept out of the count of the lease's own requests. */
        assert_int_equal(i, f->answered);
        f->answered++;
    }
    return is_sent;
}

/* ---- Memory ---- */

static bool elect(const struct mem *mem, void *ctx)
{
    bool has_watch = *(const bool *)ctx;
    struct fixture f = {0};
    test_clock_init(&f.clock);
    random_seeded_init(&f.random, TEST_SEED);
    timers_init(&f.timers, mem);
    fake_transport_init(&f.fake);
    struct err err = {0};
    f.client =
        make_client(&f.fake.transport, &f.timers, &f.clock.clock, &f.random.random, mem, &err);
    if (f.client) {
        struct kube_lease_config config = config_of(&f);
        config.mem = mem;
        config.metrics = NULL;
        config.transport = has_watch ? &f.fake.transport : NULL;
        f.lease = kube_lease_new(&config, &err);
    }
    assert_int_equal(err.code, f.lease ? 0 : 507);
    for (int i = 0; f.lease && !kube_lease_is_held(f.lease) && i < 100; i++) {
        f.clock.now_ns =
            timers_next_ns(&f.timers) != TIMERS_NEVER ? timers_next_ns(&f.timers) : f.clock.now_ns;
        timers_run(&f.timers, f.clock.now_ns);
        for (size_t k = 0; k < f.fake.count; k++) {
            const struct kube_request *request = fake_sent(&f.fake, k);
            if (!fake_is_open(&f.fake, k) || request->lane != KUBE_LANE_LEASE)
                continue;
            if (strcmp(request->method, "GET") == 0)
                fake_answer(&f.fake, k, 404, "{}");
            else
                fake_answer(&f.fake, k, 201,
                            "{\"metadata\":{\"resourceVersion\":\"1\"},\"spec\":{"
                            "\"holderIdentity\":\"me\"}}");
        }
    }
    bool is_held = f.lease && kube_lease_is_held(f.lease);
    /* When an attempt fails, the next one does it. */
    const struct test_mem *counted = mem->ctx;
    bool succeeded = is_held && counted->failures == 0;
    assert_true(!f.lease || is_held || counted->fail_after);
    kube_lease_free(f.lease);
    kube_client_free(f.client);
    fake_transport_done(&f.fake);
    timers_done(&f.timers);
    return succeeded;
}

static void without_memory_it_fails_or_tries_again(void **state)
{
    (void)state;
    bool has_watch = false;
    test_every_allocation_failing(elect, &has_watch);
    has_watch = true;
    test_every_allocation_failing(elect, &has_watch);
}

/* ---- Several electors, a server, and faults ----
 *
 * All time is virtual. Each elector is a process with clocks of its own; the server applies a request at
 * some time after it was sent, or not, and answers later, or not. Each elector tries to write all the time,
 * and what is sent is checked: only the one that began to lead last may have sent it.
 */

enum { ELECTORS = 3, STEP_MS = 10, QUEUE_MAX = 256, RUN_MS = 120000, SEEDS = 60 };

struct world;

struct elector {
    struct world *world;
    size_t index;
    unsigned life; /* how often it was started anew */
    bool is_alive;
    int64_t stopped_until_ms; /* does not run, as under SIGSTOP */
    int64_t offset_ns;        /* its monotonic clock against the world's */
    struct test_clock clock;
    struct timers timers;
    struct fake_transport fake;
    struct kube_client *client;
    struct kube_lease *lease;
    char identity[32];
    size_t seen; /* requests that the server has in hand */
};

/* What the server will do with a request. */
struct work {
    struct elector *elector;
    unsigned life;
    size_t index;
    int64_t apply_ms; /* -1: never */
    int64_t answer_ms;
    enum kube_failure failure;
    int status;
    char body[512];
    bool is_applied;
    /* The request, which outlives its process. */
    const char *method;
    enum kube_lane lane;
    char sent[512];
};

struct world {
    struct random_seeded random;
    int64_t now_ms;
    struct elector electors[ELECTORS];
    struct work queue[QUEUE_MAX];
    size_t queued;
    /* The Lease. */
    bool exists;
    int version;
    char holder[32], renewed[40];
    int64_t transitions, seconds;
    /* The checker. */
    struct elector *leader; /* who began last, until it is over */
    unsigned starts, writes;
    bool has_faults;
    int64_t released_ms, handed_over_ms;
};

static uint64_t draw(struct world *world, uint64_t limit)
{
    return random_below(&world->random.random, limit);
}

static void world_started(void *ctx)
{
    struct elector *elector = ctx;
    struct world *world = elector->world;
    for (size_t i = 0; i < ELECTORS; i++) {
        struct elector *other = &world->electors[i];
        if (other != elector && other->is_alive && kube_lease_is_held(other->lease))
            fail_msg("%s and %s hold the lease", elector->identity, other->identity);
    }
    world->leader = elector;
    world->starts++;
    world->handed_over_ms = world->now_ms;
}

static void world_stopped(void *ctx)
{
    struct elector *elector = ctx;
    assert_false(kube_lease_is_held(elector->lease));
}

/* The checker: sees each request at the moment at which it is sent. */
static void world_sent(void *ctx, const struct kube_request *request)
{
    struct elector *elector = ctx;
    if (request->lane != KUBE_LANE_REQUEST)
        return;
    elector->world->writes++;
    if (elector->world->leader != elector)
        fail_msg("%s wrote after another had begun to lead", elector->identity);
}

static void elector_start(struct world *world, size_t index)
{
    struct elector *e = &world->electors[index];
    unsigned life = e->life + 1;
    *e = (struct elector){.world = world, .index = index, .life = life, .is_alive = true};
    snprintf(e->identity, sizeof(e->identity), "elector-%zu-%u", index, life);
    test_clock_init(&e->clock);
    e->offset_ns = (int64_t)draw(world, 1000000) * CLOCK_NS_PER_MS;
    e->clock.now_ns = world->now_ms * CLOCK_NS_PER_MS + e->offset_ns;
    e->clock.wall_ns += (int64_t)draw(world, 1000) * CLOCK_NS_PER_SEC;
    timers_init(&e->timers, mem_system());
    fake_transport_init(&e->fake);
    e->fake.on_send = world_sent;
    e->fake.ctx = e;
    struct err err;
    e->client = make_client(&e->fake.transport, &e->timers, &e->clock.clock, &world->random.random,
                            mem_system(), &err);
    assert_non_null(e->client);
    const struct kube_lease_config config = {
        .client = e->client,
        .transport = &e->fake.transport,
        .timers = &e->timers,
        .clock = &e->clock.clock,
        .random = &world->random.random,
        .mem = mem_system(),
        .namespace = STR("callboard-system"),
        .name = STR("callboard-controller"),
        .identity = str_from_cstr(e->identity),
        .on_started = world_started,
        .on_stopped = world_stopped,
        .ctx = e,
    };
    e->lease = kube_lease_new(&config, &err);
    assert_non_null(e->lease);
}

static void elector_kill(struct elector *e)
{
    kube_lease_free(e->lease);
    kube_client_free(e->client);
    fake_transport_done(&e->fake);
    timers_done(&e->timers);
    e->is_alive = false;
}

static void print_lease(const struct world *world, char to[512])
{
    snprintf(
        to, 512,
        "{\"metadata\":{\"name\":\"callboard-controller\",\"resourceVersion\":\"%d\"},\"spec\":{"
        "\"holderIdentity\":\"%s\",\"renewTime\":\"%s\",\"leaseDurationSeconds\":%lld,"
        "\"leaseTransitions\":%lld}}",
        world->version, world->holder, world->renewed, (long long)world->seconds,
        (long long)world->transitions);
}

static void keep_cstr(char *to, size_t size, struct str text)
{
    snprintf(to, size, "%" PRIstr, STR_ARG(text));
}

/* Tells the watches. */
static void tell_watches(struct world *world)
{
    char lease[512], event[600];
    print_lease(world, lease);
    snprintf(event, sizeof(event), "{\"type\":\"MODIFIED\",\"object\":%s}\n", lease);
    for (size_t i = 0; i < ELECTORS; i++) {
        struct elector *e = &world->electors[i];
        if (!e->is_alive || (world->has_faults && draw(world, 3) == 0))
            continue;
        for (size_t k = 0; k < e->fake.count; k++) {
            if (fake_is_open(&e->fake, k) && fake_sent(&e->fake, k)->lane == KUBE_LANE_WATCH)
                fake_data(&e->fake, k, event);
        }
    }
}

static void apply_write(struct world *world, struct work *work)
{
    struct arena arena;
    arena_init(&arena, mem_system(), 4096, 1 << 16);
    struct err err;
    const struct json *body =
        json_read(&arena, str_from_cstr(work->sent), &json_limits_default, &err);
    assert_non_null(body);
    bool is_create = strcmp(work->method, "POST") == 0;
    struct str version = kube_text_at(body, "metadata", "resourceVersion", NULL);
    if (is_create == world->exists ||
        (!is_create && (int)kube_version_number(version) != world->version)) {
        work->status = 409;
        snprintf(work->body, sizeof(work->body), "{\"reason\":\"%s\"}",
                 is_create ? "AlreadyExists" : "Conflict");
    } else {
        world->exists = true;
        world->version++;
        keep_cstr(world->holder, sizeof(world->holder),
                  kube_text_at(body, "spec", "holderIdentity", NULL));
        keep_cstr(world->renewed, sizeof(world->renewed),
                  kube_text_at(body, "spec", "renewTime", NULL));
        world->seconds = kube_int_at(body, -1, "spec", "leaseDurationSeconds", NULL);
        world->transitions = kube_int_at(body, -1, "spec", "leaseTransitions", NULL);
        work->status = is_create ? 201 : 200;
        print_lease(world, work->body);
    }
    arena_done(&arena);
}

static void apply(struct world *world, struct work *work)
{
    work->is_applied = true;
    work->status = 200;
    if (work->lane == KUBE_LANE_REQUEST) {
        snprintf(work->body, sizeof(work->body), "{}");
    } else if (strcmp(work->method, "GET") == 0) {
        work->status = world->exists ? 200 : 404;
        print_lease(world, work->body);
    } else {
        int before = world->version;
        apply_write(world, work);
        if (world->version != before)
            tell_watches(world);
    }
}

/* Takes new requests in hand, and draws what becomes of them. */
static void take_in(struct world *world, struct elector *e)
{
    for (; e->seen < e->fake.count; e->seen++) {
        const struct kube_request *request = fake_sent(&e->fake, e->seen);
        if (request->lane == KUBE_LANE_WATCH)
            continue; /* stays open */
        assert_true(world->queued < QUEUE_MAX);
        struct work *work = &world->queue[world->queued++];
        int64_t late_ms = world->has_faults && draw(world, 4) == 0 ? 8000 : 50;
        *work = (struct work){.elector = e,
                              .life = e->life,
                              .index = e->seen,
                              .method = request->method,
                              .lane = request->lane};
        keep_cstr(work->sent, sizeof(work->sent), request->body);
        work->apply_ms = world->now_ms + (int64_t)draw(world, (uint64_t)late_ms);
        work->answer_ms = work->apply_ms + (int64_t)draw(world, (uint64_t)late_ms);
        if (!world->has_faults)
            continue;
        switch (draw(world, 8)) {
        case 0: /* lost on the way there */
            work->apply_ms = -1;
            work->failure = KUBE_LOST;
            break;
        case 1: /* done, and the answer is lost */
            work->failure = KUBE_LOST;
            break;
        case 2:
            work->apply_ms = -1;
            work->failure = KUBE_NOT_SENT;
            break;
        default:
            break;
        }
    }
}

/* Requests of killed processes are applied too; answers only reach those that wait. */
static void serve(struct world *world)
{
    for (size_t i = 0; i < world->queued; i++) {
        struct work *work = &world->queue[i];
        struct elector *e = work->elector;
        bool is_same_life = e->is_alive && e->life == work->life;
        if (!work->is_applied && work->apply_ms >= 0 && work->apply_ms <= world->now_ms)
            apply(world, work);
        bool is_to_come = !work->is_applied && work->apply_ms >= 0;
        if (is_to_come || (is_same_life && work->answer_ms > world->now_ms))
            continue;
        if (is_same_life && e->stopped_until_ms > world->now_ms)
            continue;
        if (is_same_life && fake_is_open(&e->fake, work->index)) {
            if (work->failure)
                fake_fail(&e->fake, work->index, work->failure);
            else
                fake_answer(&e->fake, work->index, work->status, work->body);
        }
        world->queue[i--] = world->queue[--world->queued];
    }
}

static void on_world_released(void *ctx)
{
    struct elector *e = ctx;
    e->world->released_ms = e->world->now_ms;
}

static void injure(struct world *world)
{
    struct elector *e = &world->electors[draw(world, ELECTORS)];
    if (!world->has_faults || draw(world, 300) != 0)
        return;
    switch (draw(world, 5)) {
    case 0:
        if (e->is_alive)
            elector_kill(e);
        break;
    case 1:
        if (e->is_alive)
            e->stopped_until_ms = world->now_ms + (int64_t)draw(world, 20000);
        break;
    case 2:
        test_clock_jump_wall_ms(&e->clock, (int64_t)draw(world, 2000000) - 1000000);
        break;
    case 3:
        if (e->is_alive)
            kube_lease_release(e->lease, on_world_released, e);
        break;
    default:
        if (!e->is_alive)
            elector_start(world, e->index);
    }
}

static void step(struct world *world)
{
    world->now_ms += STEP_MS;
    injure(world);
    serve(world);
    for (size_t i = 0; i < ELECTORS; i++) {
        struct elector *e = &world->electors[i];
        if (!e->is_alive)
            continue;
        int64_t was_ns = e->clock.now_ns;
        e->clock.now_ns = world->now_ms * CLOCK_NS_PER_MS + e->offset_ns;
        e->clock.wall_ns += e->clock.now_ns - was_ns;
        if (e->stopped_until_ms > world->now_ms)
            continue;
        if (draw(world, 10) == 0)
            try_to_write(e->client);
        timers_run(&e->timers, e->clock.now_ns);
        take_in(world, e);
    }
}

static void world_begin(struct world *world, uint64_t seed)
{
    *world = (struct world){0};
    random_seeded_init(&world->random, seed);
    world->renewed[0] = '\0';
    for (size_t i = 0; i < ELECTORS; i++)
        elector_start(world, i);
}

static void world_end(struct world *world)
{
    for (size_t i = 0; i < ELECTORS; i++) {
        if (world->electors[i].is_alive)
            elector_kill(&world->electors[i]);
    }
}

static struct elector *holder(struct world *world)
{
    for (size_t i = 0; i < ELECTORS; i++) {
        struct elector *e = &world->electors[i];
        if (e->is_alive && kube_lease_is_held(e->lease))
            return e;
    }
    return NULL;
}

static void run_ms(struct world *world, int64_t ms)
{
    for (int64_t end_ms = world->now_ms + ms; world->now_ms < end_ms;)
        step(world);
}

static void under_faults_nobody_writes_after_another_began(void **state)
{
    (void)state;
    static struct world world;
    unsigned starts = 0, writes = 0;
    for (uint64_t seed = TEST_SEED; seed < TEST_SEED + SEEDS; seed++) {
        world_begin(&world, seed);
        world.has_faults = true;
        run_ms(&world, RUN_MS);
        /* Once they cease, there is a leader, and it stays. */
        world.has_faults = false;
        for (size_t i = 0; i < ELECTORS; i++) {
            if (world.electors[i].is_alive)
                elector_kill(&world.electors[i]);
            elector_start(&world, i);
        }
        run_ms(&world, 40000);
        struct elector *leader = holder(&world);
        if (!leader)
            fail_msg("seed %llu: nobody leads", (unsigned long long)seed);
        unsigned before = world.starts;
        run_ms(&world, 60000);
        assert_ptr_equal(holder(&world), leader);
        assert_int_equal(world.starts, before);
        starts += world.starts;
        writes += world.writes;
        world_end(&world);
    }
    /* That the run has tried something. */
    assert_true(starts > 3 * SEEDS);
    assert_true(writes > 900 * SEEDS);
}

static void a_killed_leader_is_followed_within_the_lease(void **state)
{
    (void)state;
    static struct world world;
    world_begin(&world, TEST_SEED);
    run_ms(&world, 10000);
    struct elector *leader = holder(&world);
    assert_non_null(leader);
    elector_kill(leader);
    int64_t killed_ms = world.now_ms;
    run_ms(&world, 20000);
    assert_non_null(holder(&world));
    assert_in_range(world.handed_over_ms - killed_ms, 10000, 16000);
    world_end(&world);
}

static void a_release_hands_over_at_once(void **state)
{
    (void)state;
    static struct world world;
    for (uint64_t seed = 1; seed < 20; seed++) {
        world_begin(&world, seed);
        run_ms(&world, 5000 + 100 * (int64_t)seed);
        struct elector *leader = holder(&world);
        assert_non_null(leader);
        kube_lease_release(leader->lease, on_world_released, leader);
        int64_t asked_ms = world.now_ms;
        run_ms(&world, 5000);
        assert_non_null(holder(&world));
        assert_ptr_not_equal(holder(&world), leader);
        assert_true(world.released_ms > 0);
        /* Three exchanges of at most 0.1 s each. */
        assert_true(world.handed_over_ms - asked_ms < 500);
        world_end(&world);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lease_that_does_not_exist_is_created),
        TEST(one_that_was_given_up_is_taken_at_once),
        TEST(a_renewal_keeps_the_time_of_taking_and_the_transitions),
        TEST(another_holder_is_waited_out_from_the_last_change_that_was_seen),
        TEST(it_stops_when_no_renewal_succeeded_until_the_deadline),
        TEST(it_does_not_hold_by_what_the_loop_has_missed),
        TEST(an_answer_that_comes_after_the_deadline_is_no_renewal),
        TEST(a_renewal_counts_from_when_it_was_sent),
        TEST(a_conflict_is_settled_by_reading),
        TEST(endless_conflicts_are_met_once_a_turn),
        TEST(it_stops_at_once_when_another_holds_it),
        TEST(a_release_empties_the_lease),
        TEST(a_release_during_a_renewal_reads_first),
        TEST(a_release_that_fails_ends_all_the_same),
        TEST(what_is_not_held_is_released_without_a_request),
        TEST(a_refusal_is_a_problem_that_can_be_asked_for),
        TEST(the_metric_tells_who_leads),
        TEST(times_that_cannot_be_are_refused),
        cmocka_unit_test(without_memory_it_fails_or_tries_again),
        cmocka_unit_test(under_faults_nobody_writes_after_another_began),
        cmocka_unit_test(a_killed_leader_is_followed_within_the_lease),
        cmocka_unit_test(a_release_hands_over_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
