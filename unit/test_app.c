/* The controller's wiring: what it watches, when it stands for election, who is looked at, how it ends. */
#include "unit/fake_transport.h"
#include "unit/prometheus.h"

#include "controller/app.h"

#include <stdio.h>

#define SEC CLOCK_NS_PER_SEC

enum { MISSING = -1, STEPS_MAX = 200 };

#define LIST_END                                                                  \
    "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"9\"," \
    "\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n"
#define PERFORMER                                                                                \
    "{\"apiVersion\":\"hourglass.eigenlayer.io/v1alpha1\",\"kind\":\"Performer\",\"metadata\":{" \
    "\"name\":\"solo\",\"namespace\":\"team\",\"uid\":\"u-solo\",\"resourceVersion\":\"5\","     \
    "\"generation\":1,\"creationTimestamp\":\"2026-01-02T03:04:05Z\","                           \
    "\"finalizers\":[\"hourglass.eigenlayer.io/performer-finalizer\"]},"                         \
    "\"spec\":{\"avsAddress\":\"0x1\",\"image\":\"app:v1\"}}"
/* Nothing is left to do about it. */
#define GOING                                                                       \
    "{\"metadata\":{\"name\":\"going\",\"namespace\":\"team\",\"uid\":\"u-going\"," \
    "\"resourceVersion\":\"5\",\"deletionTimestamp\":\"2026-01-02T03:04:05Z\"},\"spec\":{}}"
#define POD(version)                                                                         \
    "{\"metadata\":{\"name\":\"performer-solo-0\",\"namespace\":\"team\",\"uid\":\"u-pod\"," \
    "\"resourceVersion\":\"" version "\",\"labels\":{\"app\":\"hourglass-performer\"},"      \
    "\"ownerReferences\":[{\"apiVersion\":\"hourglass.eigenlayer.io/v1alpha1\","             \
    "\"kind\":\"Performer\",\"name\":\"solo\",\"uid\":\"u-solo\",\"controller\":true}]},"    \
    "\"spec\":{\"nodeName\":\"n1\"}}"
#define NODE(version, ready, beat)                                                          \
    "{\"metadata\":{\"name\":\"n1\",\"uid\":\"u-n1\",\"resourceVersion\":\"" version "\"}," \
    "\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"" ready "\","             \
    "\"lastHeartbeatTime\":\"" beat "\",\"lastTransitionTime\":\"2026-01-02T03:00:00Z\"}]}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define LEASE(holder)                                                                       \
    "{\"metadata\":{\"name\":\"callboard-controller\",\"namespace\":\"callboard-system\","  \
    "\"uid\":\"u-lease\",\"resourceVersion\":\"7\"},\"spec\":{\"holderIdentity\":\"" holder \
    "\",\"leaseDurationSeconds\":15,\"renewTime\":\"2026-01-02T03:04:05.000000Z\","         \
    "\"leaseTransitions\":1}}"
#define LEASES "/namespaces/callboard-system/leases"

/* "*" is for anything in between. */
static const char *const watched[] = {"/performers?",
                                      "/pods?*hourglass-performer",
                                      "/services?",
                                      "/endpointslices?",
                                      "/nodes?",
                                      "/jobflows?",
                                      "/jobs?*kube-zen.io%2Fflow",
                                      "/pods?*kube-zen.io%2Fresult"};
enum { WATCHED = sizeof(watched) / sizeof(watched[0]) };

struct fixture {
    struct test_mem mem;
    struct test_clock clock;
    struct random_seeded random;
    struct metrics metrics;
    struct fake_transport fake;
    struct catalog *catalog;
    struct app_config config;
    struct app *app;
    const char *listed[WATCHED]; /* what the server has; events, or NULL */
};

static void begin_fixture(struct fixture *f)
{
    struct err err;
    *f = (struct fixture){0};
    test_mem_init(&f->mem);
    test_clock_init(&f->clock);
    random_seeded_init(&f->random, TEST_SEED);
    metrics_init(&f->metrics, mem_system());
    fake_transport_init(&f->fake);
    f->catalog = catalog_builtin(mem_system(), &err);
    assert_non_null(f->catalog);
    f->config = (struct app_config){.transport = &f->fake.transport,
                                    .clock = &f->clock.clock,
                                    .random = &f->random.random,
                                    .mem = &f->mem.mem,
                                    .metrics = &f->metrics,
                                    .host = STR("server:443"),
                                    .catalog = f->catalog,
                                    .identity = STR("me")};
}

static void end_fixture(struct fixture *f)
{
    app_free(f->app);
    fake_transport_done(&f->fake);
    catalog_unref(f->catalog);
    metrics_done(&f->metrics);
    test_mem_done(&f->mem);
}

static void start(struct fixture *f)
{
    struct err err;
    f->app = app_new(&f->config, &err);
    if (!f->app)
        fail_msg("%s", err.message);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    begin_fixture(&fixture);
    start(&fixture);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    end_fixture(*state);
    return 0;
}

/* ---- The server, played by hand ---- */

static bool is_request(const struct kube_request *request, const char *method, const char *part)
{
    struct str rest = request->target, first, second;
    if (strcmp(request->method, method) != 0)
        return false;
    str_cut(str_from_cstr(part), '*', &first, &second);
    const char *at = memmem(rest.ptr, rest.len, first.ptr, first.len);
    if (!at || !str_is_set(second))
        return at != NULL;
    rest = str_sub(rest, (size_t)(at - rest.ptr), rest.len);
    return memmem(rest.ptr, rest.len, second.ptr, second.len) != NULL;
}

/* The first such request that waits for its answer, or MISSING. */
static int find_open(const struct fixture *f, const char *method, const char *part)
{
    for (size_t i = 0; i < f->fake.count; i++) {
        if (fake_is_open(&f->fake, i) && is_request(fake_sent(&f->fake, i), method, part))
            return (int)i;
    }
    return MISSING;
}

static size_t count_sent(const struct fixture *f, const char *method, const char *part)
{
    size_t count = 0;
    for (size_t i = 0; i < f->fake.count; i++)
        count += is_request(fake_sent(&f->fake, i), method, part);
    return count;
}

static void turn(struct fixture *f)
{
    app_run_once(f->app, f->clock.now_ns);
}

/* Lets time pass until the server is asked. */
static size_t await(struct fixture *f, const char *method, const char *part)
{
    int index = MISSING;
    for (int step = 0; (index = find_open(f, method, part)) == MISSING; step++) {
        if (step == STEPS_MAX)
            fail_msg("nobody asks %s …%s", method, part);
        test_clock_advance_ms(&f->clock, 50);
        turn(f);
    }
    return (size_t)index;
}

static void pass_ms(struct fixture *f, int64_t ms)
{
    for (int64_t passed = 0; passed < ms; passed += 50) {
        test_clock_advance_ms(&f->clock, 50);
        turn(f);
    }
}

static void tell(struct fixture *f, const char *watch, const char *events)
{
    fake_data(&f->fake, await(f, "GET", watch), events);
    turn(f);
}

static void list(struct fixture *f, size_t i)
{
    if (f->listed[i])
        tell(f, watched[i], f->listed[i]);
    tell(f, watched[i], LIST_END);
}

static void sync_all(struct fixture *f)
{
    for (size_t i = 0; i < WATCHED; i++)
        list(f, i);
}

/* Nobody has had the Lease before. */
static void lead(struct fixture *f)
{
    fake_answer(&f->fake, await(f, "GET", LEASES "/callboard-controller"), 404, "{}");
    fake_answer(&f->fake, await(f, "POST", LEASES), 201, LEASE("me"));
    turn(f);
    sync_all(f); /* a new leader lists again */
}

static struct app_status status_of(const struct fixture *f)
{
    struct app_status status;
    app_status(f->app, &status);
    return status;
}

static double sample(struct fixture *f, const char *series)
{
    struct buf buf;
    buf_init(&buf, mem_system(), 1 << 20);
    metrics_write(&f->metrics, &buf);
    prometheus_check(buf_str(&buf));
    double value = -1;
    prometheus_find_sample(buf_str(&buf), series, &value);
    buf_done(&buf);
    return value;
}

static double reconciles(struct fixture *f)
{
    return sample(f, "controller_runtime_reconcile_total{controller=\"performer\",result="
                     "\"success\"}");
}

/* ---- Starting ---- */

static void it_watches_performers_flows_their_children_and_nodes(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < WATCHED; i++)
        assert_int_not_equal(find_open(f, "GET", watched[i]), MISSING);
    assert_int_equal(f->fake.count, WATCHED);
    for (size_t i = 1; i < 4; i++) {
        struct str target = fake_sent(&f->fake, (size_t)find_open(f, "GET", watched[i]))->target;
        assert_non_null(strstr(target.ptr, "labelSelector=app%3Dhourglass-performer"));
    }
}

static void one_namespace_is_watched_when_it_is_told_so(void **state)
{
    struct fixture f;
    (void)state;
    begin_fixture(&f);
    f.config.namespace = STR("team");
    start(&f);
    for (size_t i = 0; i < WATCHED; i++) {
        bool is_node = strstr(watched[i], "/nodes") != NULL;
        char part[96];
        snprintf(part, sizeof(part), "/namespaces/team%s", watched[i]);
        assert_int_equal(find_open(&f, "GET", part) != MISSING, !is_node);
    }
    end_fixture(&f);
}

static void nobody_stands_for_election_who_has_not_seen_everything(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < WATCHED; i++) {
        pass_ms(f, 6000);
        assert_false(status_of(f).has_synced);
        assert_int_equal(count_sent(f, "GET", LEASES), 0);
        list(f, i);
    }
    assert_true(status_of(f).has_synced);
    await(f, "GET", LEASES "/callboard-controller");
    assert_false(status_of(f).is_leading);
}

static void all_metrics_are_there_before_the_election(void **state)
{
    struct fixture *f = *state;
    struct err err;
    const char *leading = "leader_election_master_status{name=\"callboard-controller\"}";
    struct buf before;
    buf_init(&before, mem_system(), 1 << 20);
    metrics_write(&f->metrics, &before);
    assert_non_null(memmem(before.ptr, before.len, "leader_election_master_status", 29));
    buf_done(&before);
    sync_all(f);
    lead(f);
    assert_true(status_of(f).is_leading);
    assert_true(sample(f, leading) == 1);
    assert_int_equal(metrics_check(&f->metrics, &err), 0);
}

/* ---- Leading and standing by ---- */

static void a_leader_makes_what_is_missing(void **state)
{
    struct fixture *f = *state;
    f->listed[0] = EVENT("ADDED", PERFORMER);
    sync_all(f);
    assert_int_equal(count_sent(f, "POST", "/namespaces/team/"), 0);
    lead(f);
    await(f, "POST", "/namespaces/team/pods");
}

static void a_standby_is_ready_and_writes_nothing(void **state)
{
    struct fixture *f = *state;
    f->listed[0] = EVENT("ADDED", PERFORMER);
    sync_all(f);
    fake_answer(&f->fake, await(f, "GET", LEASES "/callboard-controller"), 200, LEASE("other"));
    pass_ms(f, 5000);
    assert_true(status_of(f).has_synced);
    assert_false(status_of(f).is_leading);
    assert_int_equal(count_sent(f, "POST", ""), 0);
    assert_int_equal(count_sent(f, "PATCH", ""), 0);
    assert_true(reconciles(f) <= 0);
}

static void a_child_of_a_performer_wakes_it_and_a_heartbeat_of_its_node_does_not(void **state)
{
    struct fixture *f = *state;
    /* Without the Performer itself there is nothing to write: only looks are counted. */
    f->listed[1] = EVENT("ADDED", POD("6"));
    f->listed[4] = EVENT("ADDED", NODE("6", "True", "2026-01-02T03:04:00Z"));
    sync_all(f);
    lead(f);
    pass_ms(f, 1000);
    double before = reconciles(f);
    tell(f, watched[4], EVENT("MODIFIED", NODE("10", "True", "2026-01-02T03:05:00Z")));
    pass_ms(f, 1000);
    assert_true(reconciles(f) == before);
    tell(f, watched[4], EVENT("MODIFIED", NODE("11", "Unknown", "2026-01-02T03:05:00Z")));
    pass_ms(f, 1000);
    assert_true(reconciles(f) > before);
    before = reconciles(f);
    tell(f, watched[1], EVENT("MODIFIED", POD("12")));
    pass_ms(f, 1000);
    assert_true(reconciles(f) > before);
}

static void a_new_catalog_has_every_performer_looked_at(void **state)
{
    struct fixture *f = *state;
    struct err err;
    f->listed[0] = EVENT("ADDED", GOING);
    sync_all(f);
    lead(f);
    pass_ms(f, 1000);
    double before = reconciles(f);
    struct catalog *catalog = catalog_builtin(mem_system(), &err);
    assert_non_null(catalog);
    app_set_catalog(f->app, catalog);
    catalog_unref(catalog);
    pass_ms(f, 1000);
    assert_true(reconciles(f) == before + 1);
}

/* ---- Ending ---- */

/* Answers what is asked of the Lease until it is given up. */
static void take_back_lease(struct fixture *f)
{
    for (;;) {
        size_t asked = await(f, "PATCH", LEASES);
        const char *body = fake_sent(&f->fake, asked)->body.ptr;
        bool is_release = strstr(body, "\"holderIdentity\":\"\"") != NULL;
        fake_answer(&f->fake, asked, 200, is_release ? LEASE("") : LEASE("me"));
        if (is_release)
            return;
    }
}

static void the_write_under_way_is_finished_and_then_the_lease_is_given_up(void **state)
{
    struct fixture *f = *state;
    f->listed[0] = EVENT("ADDED", PERFORMER);
    sync_all(f);
    lead(f);
    size_t write = await(f, "POST", "/pods");
    app_stop(f->app);
    pass_ms(f, 1000);
    assert_int_equal(find_open(f, "PATCH", LEASES), MISSING);
    fake_answer(
        &f->fake, write, 201,
        "{\"metadata\":{\"name\":\"performer-solo-x\",\"namespace\":\"team\",\"uid\":\"u-s\","
        "\"resourceVersion\":\"20\"}}");
    assert_false(app_has_stopped(f->app));
    take_back_lease(f);
    assert_true(app_has_stopped(f->app));
    assert_int_equal(count_sent(f, "POST", "/services"), 0);
}

static void a_write_that_is_never_answered_holds_up_the_end_for_seconds_only(void **state)
{
    struct fixture *f = *state;
    f->listed[0] = EVENT("ADDED", PERFORMER);
    sync_all(f);
    lead(f);
    await(f, "POST", "/pods");
    app_stop(f->app);
    take_back_lease(f);
    assert_true(app_has_stopped(f->app));
}

static void who_never_stood_for_election_ends_at_once(void **state)
{
    struct fixture *f = *state;
    app_stop(f->app);
    turn(f);
    assert_true(app_has_stopped(f->app));
    sync_all(f);
    pass_ms(f, 10000);
    assert_int_equal(count_sent(f, "GET", LEASES), 0);
}

/* ---- Memory ---- */

static bool start_and_end(const struct mem *mem, void *ctx)
{
    (void)ctx;
    struct fixture f;
    struct err err;
    begin_fixture(&f);
    f.config.mem = mem;
    f.app = app_new(&f.config, &err);
    /* A watch that cannot begin is tried again later. */
    bool worked = f.app && f.fake.count == WATCHED;
    end_fixture(&f);
    return worked;
}

static void a_start_without_memory_fails_and_leaks_nothing(void **state)
{
    (void)state;
    test_every_allocation_failing(start_and_end, NULL);
}

#define WIRED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WIRED(it_watches_performers_flows_their_children_and_nodes),
        cmocka_unit_test(one_namespace_is_watched_when_it_is_told_so),
        WIRED(nobody_stands_for_election_who_has_not_seen_everything),
        WIRED(all_metrics_are_there_before_the_election),
        WIRED(a_leader_makes_what_is_missing),
        WIRED(a_standby_is_ready_and_writes_nothing),
        WIRED(a_child_of_a_performer_wakes_it_and_a_heartbeat_of_its_node_does_not),
        WIRED(a_new_catalog_has_every_performer_looked_at),
        WIRED(the_write_under_way_is_finished_and_then_the_lease_is_given_up),
        WIRED(a_write_that_is_never_answered_holds_up_the_end_for_seconds_only),
        WIRED(who_never_stood_for_election_ends_at_once),
        cmocka_unit_test(a_start_without_memory_fails_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("app", tests, NULL, NULL);
}
