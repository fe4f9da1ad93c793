/* List and watch against a server that is played by the test. */
#include "unit/fake_transport.h"
#include "unit/prometheus.h"
#include "unit/support.h"

#include "kube/reflector.h"

#include <stdio.h>
#include <stdlib.h>

enum { LOG_MAX = 4096, THINGS = 26 };

/* A reflector, and what its sink was told: "[" and "]" for begin and end, "+a5" and "-a6" for objects with
 * their versions. Objects have names of one letter. */
struct fixture {
    struct test_mem mem;
    struct test_clock clock;
    struct random_seeded random;
    struct timers timers;
    struct metrics metrics;
    struct fake_transport fake;
    struct kube_reflector *reflector;
    char log[LOG_MAX];
    size_t log_len;
    bool sink_has_no_memory;
    bool is_quiet;
    /* What a sink would hold. */
    bool is_there[THINGS], is_marked[THINGS];
    uint64_t versions[THINGS];
};

static void note(struct fixture *f, const char *what, struct str name, uint64_t version)
{
    if (f->is_quiet)
        return;
    int len =
        snprintf(f->log + f->log_len, LOG_MAX - f->log_len, version ? "%s%" PRIstr "%llu " : "%s ",
                 what, STR_ARG(name), (unsigned long long)version);
    f->log_len += (size_t)len;
    assert_true(f->log_len < LOG_MAX);
}

static size_t thing_of(const struct kube_meta *meta)
{
    assert_int_equal(meta->name.len, 1);
    return (size_t)(meta->name.ptr[0] - 'a');
}

static void on_begin(void *ctx)
{
    struct fixture *f = ctx;
    note(f, "[", STR(""), 0);
    memset(f->is_marked, 0, sizeof(f->is_marked));
}

static int on_upsert(void *ctx, const struct json *object, const struct kube_meta *meta)
{
    struct fixture *f = ctx;
    assert_non_null(object);
    if (f->sink_has_no_memory)
        return -1;
    uint64_t version = kube_version_number(meta->resource_version);
    note(f, "+", meta->name, version);
    f->is_there[thing_of(meta)] = f->is_marked[thing_of(meta)] = true;
    f->versions[thing_of(meta)] = version;
    return 0;
}

static void on_remove(void *ctx, const struct json *object, const struct kube_meta *meta)
{
    struct fixture *f = ctx;
    assert_non_null(object);
    note(f, "-", meta->name, kube_version_number(meta->resource_version));
    f->is_there[thing_of(meta)] = false;
}

static void on_end(void *ctx)
{
    struct fixture *f = ctx;
    note(f, "]", STR(""), 0);
    for (size_t i = 0; i < THINGS; i++)
        f->is_there[i] = f->is_there[i] && f->is_marked[i];
}

static struct kube_reflector_config config_of(struct fixture *f)
{
    return (struct kube_reflector_config){
        .transport = &f->fake.transport,
        .timers = &f->timers,
        .clock = &f->clock.clock,
        .random = &f->random.random,
        .mem = &f->mem.mem,
        .metrics = &f->metrics,
        .resource = &kube_pods,
        .sink = {on_begin, on_upsert, on_remove, on_end, f},
        .object_max = 4096,
    };
}

static void start(struct fixture *f)
{
    const struct kube_reflector_config config = config_of(f);
    struct err err;
    f->reflector = kube_reflector_new(&config, &err);
    assert_non_null(f->reflector);
}

static void begin_fixture(struct fixture *f)
{
    *f = (struct fixture){0};
    test_mem_init(&f->mem);
    test_clock_init(&f->clock);
    random_seeded_init(&f->random, TEST_SEED);
    timers_init(&f->timers, &f->mem.mem);
    metrics_init(&f->metrics, &f->mem.mem);
    fake_transport_init(&f->fake);
}

static void end_fixture(struct fixture *f)
{
    kube_reflector_free(f->reflector);
    fake_transport_done(&f->fake);
    timers_done(&f->timers);
    metrics_done(&f->metrics);
    test_mem_done(&f->mem);
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

/* ---- What the server says ---- */

#define OBJECT(name, version)                                                       \
    "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"team\",\"uid\":\"u-" name \
    "\",\"resourceVersion\":\"" version "\"}}"
#define EVENT(type, name, version) "{\"type\":\"" type "\",\"object\":" OBJECT(name, version) "}\n"
#define BOOKMARK(version)                                                                    \
    "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":" \
    "\"" version "\"}}}\n"
#define LIST_END(version)                                                             \
    "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"" version \
    "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n"
#define ERROR_EVENT(code, reason)                                                                \
    "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":" code ",\"reason\":\"" reason \
    "\",\"message\":\"too old\"}}\n"
#define PAGE(version, token, items)                                      \
    "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"" version \
    "\",\"continue\":\"" token "\"},\"items\":[" items "]}"

static size_t last(const struct fixture *f)
{
    assert_true(f->fake.count > 0);
    return f->fake.count - 1;
}

static void say(struct fixture *f, const char *data)
{
    fake_data(&f->fake, last(f), data);
}

/* The whole of an answer that is no watch. */
static void answer_page(struct fixture *f, const char *page)
{
    size_t index = last(f);
    fake_data(&f->fake, index, page);
    fake_end(&f->fake, index, KUBE_ANSWERED);
}

static void pass_ms(struct fixture *f, int64_t ms)
{
    test_clock_advance_ms(&f->clock, ms);
    timers_run(&f->timers, f->clock.now_ns);
}

/* Lets the backoff pass; fails when there is none. Returns its milliseconds. */
static int64_t pass_backoff(struct fixture *f)
{
    int64_t at_ns = timers_next_ns(&f->timers);
    assert_true(at_ns != TIMERS_NEVER);
    int64_t wait_ns = at_ns - f->clock.now_ns;
    assert_true(wait_ns > 0);
    size_t count = f->fake.count;
    f->clock.now_ns = at_ns - 1;
    timers_run(&f->timers, f->clock.now_ns);
    assert_int_equal(f->fake.count, count);
    f->clock.now_ns = at_ns;
    timers_run(&f->timers, at_ns);
    return wait_ns / CLOCK_NS_PER_MS;
}

static void assert_told(struct fixture *f, const char *expected)
{
    assert_string_equal(f->log, expected);
    f->log_len = 0;
    f->log[0] = '\0';
}

/* The target of the last request, with the random number of seconds taken out. */
static void assert_asked(struct fixture *f, const char *expected)
{
    assert_true(fake_is_open(&f->fake, last(f)));
    struct str target = fake_sent(&f->fake, last(f))->target;
    char shown[512];
    const char *mark = "timeoutSeconds=";
    const char *at = strstr(target.ptr, mark);
    if (at) {
        char *rest = NULL;
        long seconds = strtol(at + strlen(mark), &rest, 10);
        assert_in_range(seconds, 300, 599);
        snprintf(shown, sizeof(shown), "%.*sT%s", (int)(at - target.ptr), target.ptr, rest);
    } else {
        snprintf(shown, sizeof(shown), "%s", target.ptr);
    }
    assert_string_equal(shown, expected);
}

#define ASKED_STREAM                                                            \
    "/api/v1/pods?watch=true&allowWatchBookmarks=true&T&sendInitialEvents=true" \
    "&resourceVersionMatch=NotOlderThan"
#define ASKED_WATCH "/api/v1/pods?watch=true&allowWatchBookmarks=true&T&resourceVersion="
#define ASKED_PAGE  "/api/v1/pods?limit=500"

/* To a watch at version 10 with the object a at 5. */
static void start_watch(struct fixture *f)
{
    say(f, EVENT("ADDED", "a", "5") LIST_END("10"));
    assert_told(f, "[ +a5 ] ");
    assert_true(kube_reflector_has_synced(f->reflector));
    assert_int_equal(kube_reflector_version(f->reflector), 10);
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

static double lists_because(struct fixture *f, const char *reason)
{
    char series[128];
    snprintf(series, sizeof(series), "reflector_lists_total{resource=\"pods\",reason=\"%s\"}",
             reason);
    return sample(f, series);
}

/* ---- Lists ---- */

static void the_list_is_streamed_and_the_stream_goes_on_as_the_watch(void **state)
{
    struct fixture *f = *state;
    assert_asked(f, ASKED_STREAM);
    const struct kube_request *request = fake_sent(&f->fake, 0);
    assert_int_equal(request->lane, KUBE_LANE_WATCH);
    assert_int_equal(request->timeout_ns, 0);
    assert_int_equal(request->silence_ns, 90 * CLOCK_NS_PER_SEC);
    say(f, EVENT("ADDED", "b", "7") EVENT("ADDED", "a", "5"));
    assert_told(f, "[ +b7 +a5 ");
    assert_false(kube_reflector_has_synced(f->reflector));
    assert_int_equal(kube_reflector_version(f->reflector), 0);
    /* Changes may come before the end of the list. */
    say(f, EVENT("MODIFIED", "a", "8") EVENT("DELETED", "b", "9"));
    say(f, LIST_END("9") EVENT("ADDED", "c", "12"));
    assert_told(f, "+a8 -b9 ] +c12 ");
    assert_true(kube_reflector_has_synced(f->reflector));
    assert_int_equal(kube_reflector_version(f->reflector), 12);
    assert_int_equal(f->fake.count, 1);
}

static void an_ordinary_bookmark_does_not_end_the_list(void **state)
{
    struct fixture *f = *state;
    say(f, EVENT("ADDED", "a", "5") BOOKMARK("6"));
    assert_false(kube_reflector_has_synced(f->reflector));
    assert_told(f, "[ +a5 ");
}

static void a_server_that_refuses_to_stream_is_listed_in_pages(void **state)
{
    struct fixture *f = *state;
    fake_answer(&f->fake, 0, 422, "{\"message\":\"sendInitialEvents is forbidden\"}");
    assert_told(f, "");
    assert_asked(f, ASKED_PAGE);
    assert_int_equal(fake_sent(&f->fake, 1)->lane, KUBE_LANE_REQUEST);
    answer_page(f, PAGE("10", "next/1=", OBJECT("b", "7") "," OBJECT("a", "5")));
    assert_asked(f, ASKED_PAGE "&continue=next%2F1%3D");
    answer_page(f, PAGE("10", "", OBJECT("c", "6")));
    assert_told(f, "[ +b7 +a5 +c6 ] ");
    assert_asked(f, ASKED_WATCH "10");
    assert_int_equal(kube_reflector_version(f->reflector), 10);
    /* It is not asked for a stream again. */
    fake_answer(&f->fake, last(f), 410, "{}");
    pass_backoff(f);
    assert_asked(f, ASKED_PAGE);
    answer_page(f, PAGE("20", "", ""));
    assert_told(f, "[ ] ");
}

static void the_version_may_come_behind_the_items(void **state)
{
    struct fixture *f = *state;
    fake_answer(&f->fake, 0, 400, NULL);
    answer_page(f, "{\"items\":[" OBJECT("a", "5") "],\"metadata\":{\"resourceVersion\":\"9\"}}");
    assert_told(f, "[ +a5 ] ");
    assert_asked(f, ASKED_WATCH "9");
}

static void a_continue_token_that_expired_begins_a_new_list_and_then_one_without_pages(void **state)
{
    struct fixture *f = *state;
    fake_answer(&f->fake, 0, 422, NULL);
    answer_page(f, PAGE("10", "x", OBJECT("a", "5")));
    fake_answer(&f->fake, last(f), 410, "{\"message\":\"token expired\"}");
    assert_str_is(kube_reflector_problem(f->reflector), "410: token expired");
    pass_backoff(f);
    assert_asked(f, ASKED_PAGE);
    answer_page(f, PAGE("20", "y", OBJECT("a", "5")));
    fake_answer(&f->fake, last(f), 410, NULL);
    pass_backoff(f);
    assert_asked(f, "/api/v1/pods");
    answer_page(f, PAGE("30", "", OBJECT("b", "5")));
    assert_told(f, "[ +a5 [ +a5 [ +b5 ] ");
    assert_false(str_is_set(kube_reflector_problem(f->reflector)));
    assert_true(lists_because(f, "expired") == 2);
    /* The next list is one of pages again. */
    fake_answer(&f->fake, last(f), 410, NULL);
    pass_backoff(f);
    assert_asked(f, ASKED_PAGE);
}

static void a_page_that_fails_begins_the_list_anew(void **state)
{
    struct fixture *f = *state;
    fake_answer(&f->fake, 0, 422, NULL);
    static const struct {
        const char *page; /* what came of it */
        enum kube_failure failure;
    } rows[] = {
        {"{\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[" OBJECT("a", "5"), KUBE_ANSWERED},
        {"{\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[" OBJECT("a", "5") ",{", KUBE_LOST},
        {"{\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[" OBJECT("a", "5") ",5", KUBE_LOST},
        {"{\"items\":[" OBJECT("a", "5") "]}", KUBE_ANSWERED},
        {"{\"metadata\":{\"resourceVersion\":7},\"items\":[" OBJECT("a", "5") "]}", KUBE_ANSWERED},
        {"{\"items\":[" OBJECT("a", "5") "],\"metadata\":{nonsense}}", KUBE_LOST},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t index = last(f);
        fake_data(&f->fake, index, rows[i].page);
        if (fake_is_open(&f->fake, index))
            fake_end(&f->fake, index, rows[i].failure);
        assert_told(f, "[ +a5 ");
        assert_true(str_is_set(kube_reflector_problem(f->reflector)));
        pass_backoff(f);
        assert_asked(f, ASKED_PAGE);
    }
    answer_page(f, PAGE("10", "", OBJECT("a", "5")));
    assert_told(f, "[ +a5 ] ");
}

static void streams_that_break_off_thrice_are_given_up_for_pages(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        assert_asked(f, ASKED_STREAM);
        size_t index = last(f);
        say(f, EVENT("ADDED", "a", "5"));
        fake_end(&f->fake, index, i == 1 ? KUBE_SILENT : KUBE_ANSWERED);
        pass_backoff(f);
    }
    assert_told(f, "[ +a5 [ +a5 [ +a5 ");
    assert_asked(f, ASKED_PAGE);
}

static void an_unreachable_server_does_not_end_streaming(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++) {
        fake_fail(&f->fake, last(f), KUBE_NOT_SENT);
        pass_backoff(f);
        assert_asked(f, ASKED_STREAM);
    }
    fake_answer(&f->fake, last(f), 503, NULL);
    pass_backoff(f);
    assert_asked(f, ASKED_STREAM);
}

static void objects_that_cannot_be_read_are_passed_over(void **state)
{
    struct fixture *f = *state;
    char large[5000];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    say(f, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"z\",\"x\":\"\\u0000\"}}}\n");
    say(f, EVENT("ADDED", "a", "5"));
    say(f, large);
    say(f, "\n" EVENT("ADDED", "b", "6") LIST_END("10"));
    assert_told(f, "[ +a5 +b6 ] ");
    assert_true(
        sample(f, "reflector_objects_skipped_total{resource=\"pods\",reason=\"unreadable\"}") == 1);
    assert_true(
        sample(f, "reflector_objects_skipped_total{resource=\"pods\",reason=\"too large\"}") == 1);
}

static void items_that_cannot_be_read_are_passed_over(void **state)
{
    struct fixture *f = *state;
    fake_answer(&f->fake, 0, 422, NULL);
    char large[5000];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    size_t index = last(f);
    say(f, "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[{\"x\":\"\\u0000\"},");
    say(f, OBJECT("a", "5") ",{},{\"x\":\"");
    say(f, large);
    say(f, "\"}," OBJECT("b", "6") "]}");
    fake_end(&f->fake, index, KUBE_ANSWERED);
    assert_told(f, "[ +a5 +b6 ] ");
    assert_true(
        sample(f, "reflector_objects_skipped_total{resource=\"pods\",reason=\"unreadable\"}") == 2);
    assert_true(
        sample(f, "reflector_objects_skipped_total{resource=\"pods\",reason=\"too large\"}") == 1);
}

static void namespace_and_selectors_are_asked_for(void **state)
{
    struct fixture *f = *state;
    kube_reflector_free(f->reflector);
    char selector[] = "app.kubernetes.io/managed-by=callboard";
    struct kube_reflector_config config = config_of(f);
    config.namespace = STR("team");
    config.label_selector = str_from_cstr(selector);
    config.field_selector = STR("spec.nodeName!=");
    config.page = 7;
    struct err err;
    f->reflector = kube_reflector_new(&config, &err);
    assert_non_null(f->reflector);
    memset(selector, 'x', sizeof(selector) - 1);
    fake_answer(&f->fake, last(f), 422, NULL);
#define SELECTORS                                                                           \
    "/api/v1/namespaces/team/pods?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dcallboard" \
    "&fieldSelector=spec.nodeName%21%3D"
    assert_asked(f, SELECTORS "&limit=7");
    answer_page(f, PAGE("10", "", ""));
    assert_asked(f, SELECTORS "&watch=true&allowWatchBookmarks=true&T&resourceVersion=10");
}

/* ---- Watches ---- */

static void events_bookmarks_and_removals_move_the_version(void **state)
{
    struct fixture *f = *state;
    start_watch(f);
    say(f, EVENT("MODIFIED", "a", "11"));
    assert_int_equal(kube_reflector_version(f->reflector), 11);
    say(f, BOOKMARK("20"));
    assert_int_equal(kube_reflector_version(f->reflector), 20);
    say(f, EVENT("DELETED", "a", "21") EVENT("ADDED", "a", "22"));
    assert_int_equal(kube_reflector_version(f->reflector), 22);
    assert_told(f, "+a11 -a21 +a22 ");
}

static void what_comes_a_second_time_or_late_is_dropped(void **state)
{
    struct fixture *f = *state;
    start_watch(f);
    say(f, EVENT("MODIFIED", "a", "11") EVENT("MODIFIED", "a", "11") EVENT("DELETED", "a", "9"));
    say(f, EVENT("MODIFIED", "a", "10") BOOKMARK("8") EVENT("MODIFIED", "a", "12"));
    assert_told(f, "+a11 +a12 ");
    assert_int_equal(kube_reflector_version(f->reflector), 12);
}

static void a_watch_that_ended_goes_on_at_the_last_version(void **state)
{
    struct fixture *f = *state;
    start_watch(f);
    static const enum kube_failure ends[] = {KUBE_ANSWERED, KUBE_LOST, KUBE_SILENT};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        say(f, BOOKMARK("30"));
        pass_ms(f, 90000);
        fake_end(&f->fake, last(f), ends[i]);
        assert_asked(f, ASKED_WATCH "30");
    }
    assert_told(f, "");
}

static void a_line_that_was_cut_with_its_watch_is_forgotten(void **state)
{
    struct fixture *f = *state;
    start_watch(f);
    say(f, "{\"type\":\"ADDED\",\"obj");
    fake_end(&f->fake, last(f), KUBE_LOST);
    say(f, EVENT("ADDED", "b", "11"));
    assert_told(f, "+b11 ");
}

static void a_watch_that_ends_at_once_is_not_hammered(void **state)
{
    struct fixture *f = *state;
    start_watch(f);
    pass_ms(f, 5000);
    fake_end(&f->fake, last(f), KUBE_ANSWERED);
    assert_asked(f, ASKED_WATCH "10");
    size_t count = f->fake.count;
    fake_end(&f->fake, last(f), KUBE_ANSWERED);
    assert_int_equal(f->fake.count, count);
    pass_backoff(f);
    assert_asked(f, ASKED_WATCH "10");
    /* With an event it was a success. */
    say(f, BOOKMARK("11"));
    fake_end(&f->fake, last(f), KUBE_ANSWERED);
    assert_asked(f, ASKED_WATCH "11");
}

static void a_server_that_is_silent_for_half_an_hour_is_listed(void **state)
{
    struct fixture *f = *state;
    start_watch(f);
    for (int i = 1; i < 20; i++) {
        pass_ms(f, 90000);
        fake_end(&f->fake, last(f), KUBE_SILENT);
        assert_asked(f, ASKED_WATCH "10");
    }
    pass_ms(f, 90000);
    fake_end(&f->fake, last(f), KUBE_SILENT);
    assert_asked(f, ASKED_STREAM);
    /* etcd was restored: versions went back, and are taken as they are. */
    say(f, EVENT("ADDED", "a", "3") LIST_END("4") EVENT("MODIFIED", "a", "6"));
    assert_told(f, "[ +a3 ] +a6 ");
    assert_true(lists_because(f, "silent") == 1);
}

static void an_expired_version_is_listed_anew(void **state)
{
    struct fixture *f = *state;
    start_watch(f);
    say(f, ERROR_EVENT("410", "Expired"));
    assert_str_is(kube_reflector_problem(f->reflector), "410: too old");
    pass_backoff(f);
    assert_asked(f, ASKED_STREAM);
    /* Until the list is whole, nothing newer than before is promised. */
    assert_int_equal(kube_reflector_version(f->reflector), 10);
    say(f, EVENT("ADDED", "b", "40"));
    assert_int_equal(kube_reflector_version(f->reflector), 10);
    assert_true(kube_reflector_has_synced(f->reflector));
    say(f, LIST_END("50"));
    assert_told(f, "[ +b40 ] ");
    assert_int_equal(kube_reflector_version(f->reflector), 50);
    assert_false(str_is_set(kube_reflector_problem(f->reflector)));
    fake_end(&f->fake, last(f), KUBE_ANSWERED);
    fake_answer(&f->fake, last(f), 410, "{}");
    pass_backoff(f);
    assert_asked(f, ASKED_STREAM);
    assert_true(lists_because(f, "expired") == 2);
}

static void of_error_events_only_one_for_too_many_requests_keeps_the_version(void **state)
{
    struct fixture *f = *state;
    start_watch(f);
    say(f, ERROR_EVENT("429", "TooManyRequests"));
    pass_backoff(f);
    assert_asked(f, ASKED_WATCH "10");
    say(f, ERROR_EVENT("500", "InternalError"));
    pass_backoff(f);
    assert_asked(f, ASKED_STREAM);
    say(f, ERROR_EVENT("429", "TooManyRequests"));
    pass_backoff(f);
    assert_asked(f, ASKED_STREAM);
    assert_true(lists_because(f, "error") == 2);
}

static void what_cannot_be_read_of_a_watch_leads_to_a_list(void **state)
{
    struct fixture *f = *state;
    start_watch(f);
    static const char *const rows[] = {
        "nonsense\n",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\",\"x\":\"\\u0000\"}}}\n",
        "{\"type\":\"RENAMED\",\"object\":" OBJECT("a", "60") "}\n",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\"}}}\n",
        "{\"type\":\"ADDED\"}\n",
        "[]\n",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        say(f, rows[i]);
        assert_true(str_is_set(kube_reflector_problem(f->reflector)));
        pass_backoff(f);
        assert_asked(f, ASKED_STREAM);
        say(f, LIST_END("10"));
        assert_told(f, "[ ] ");
    }
    char large[5000];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    say(f, large);
    assert_true(fake_is_open(&f->fake, last(f)));
    say(f, "\n");
    pass_backoff(f);
    assert_asked(f, ASKED_STREAM);
}

static void a_watch_that_is_refused_is_tried_again_and_then_listed(void **state)
{
    struct fixture *f = *state;
    start_watch(f);
    say(f, BOOKMARK("11"));
    fake_end(&f->fake, last(f), KUBE_ANSWERED);
    fake_fail(&f->fake, last(f), KUBE_NOT_SENT);
    pass_backoff(f);
    for (int i = 0; i < 5; i++) {
        fake_answer(&f->fake, last(f), 429, NULL);
        pass_backoff(f);
        assert_asked(f, ASKED_WATCH "11");
    }
    for (int i = 0; i < 3; i++) {
        assert_asked(f, ASKED_WATCH "11");
        fake_answer(&f->fake, last(f), 403, "{\"message\":\"pods is forbidden\"}");
        assert_str_is(kube_reflector_problem(f->reflector), "403: pods is forbidden");
        pass_backoff(f);
    }
    assert_asked(f, ASKED_STREAM);
    assert_true(lists_because(f, "refused") == 1);
}

/* ---- Failures ---- */

static void the_backoff_doubles_with_jitter_and_is_reset_by_quiet(void **state)
{
    struct fixture *f = *state;
    int64_t base_ms = 800;
    for (int i = 0; i < 12; i++) {
        fake_fail(&f->fake, last(f), KUBE_NOT_SENT);
        int64_t wait_ms = pass_backoff(f);
        assert_in_range(wait_ms, base_ms, 2 * base_ms - 1);
        base_ms = base_ms * 2 < 30000 ? base_ms * 2 : 30000;
    }
    start_watch(f);
    pass_ms(f, 119000);
    fake_fail(&f->fake, last(f), KUBE_NOT_SENT);
    assert_in_range(pass_backoff(f), 30000, 60000);
    pass_ms(f, 121000);
    fake_fail(&f->fake, last(f), KUBE_NOT_SENT);
    assert_in_range(pass_backoff(f), 800, 1600);
}

static void after_a_restart_of_the_server_the_list_comes_soon(void **state)
{
    struct fixture *f = *state;
    start_watch(f);
    pass_ms(f, 31000);
    fake_end(&f->fake, last(f), KUBE_LOST);
    for (int i = 0; i < 4; i++) {
        fake_fail(&f->fake, last(f), KUBE_NOT_SENT);
        pass_backoff(f);
    }
    fake_answer(&f->fake, last(f), 410, "{}");
    assert_in_range(pass_backoff(f), 800, 1600);
    /* Lists that expire at once are not hammered. */
    for (int i = 0; i < 2; i++) {
        say(f, LIST_END("10") ERROR_EVENT("410", "Expired"));
        assert_in_range(pass_backoff(f), 1600 << i, 3200 << i);
    }
}

static void retry_after_is_honoured_within_reason(void **state)
{
    struct fixture *f = *state;
    fake_answer_later(&f->fake, 0, 429, 45 * CLOCK_NS_PER_SEC);
    assert_int_equal(pass_backoff(f), 45000);
    fake_answer_later(&f->fake, 1, 503, 1000000 * CLOCK_NS_PER_SEC);
    assert_int_equal(pass_backoff(f), 120000);
}

static void a_sink_without_memory_gets_a_new_list(void **state)
{
    struct fixture *f = *state;
    start_watch(f);
    f->sink_has_no_memory = true;
    say(f, EVENT("ADDED", "b", "11"));
    /* It must not be passed over. */
    assert_int_equal(kube_reflector_version(f->reflector), 10);
    pass_backoff(f);
    say(f, EVENT("ADDED", "b", "11"));
    pass_backoff(f);
    f->sink_has_no_memory = false;
    say(f, EVENT("ADDED", "b", "11") LIST_END("12"));
    assert_told(f, "[ [ +b11 ] ");
    assert_true(lists_because(f, "memory") == 2);
}

static void a_transport_that_cannot_send_is_tried_again(void **state)
{
    struct fixture *f = *state;
    start_watch(f);
    say(f, BOOKMARK("11"));
    f->fake.refuses = true;
    fake_end(&f->fake, last(f), KUBE_ANSWERED);
    f->fake.refuses = false;
    pass_backoff(f);
    assert_asked(f, ASKED_WATCH "11");
    say(f, ERROR_EVENT("410", "Gone"));
    f->fake.refuses = true;
    timers_run(&f->timers, timers_next_ns(&f->timers));
    f->fake.refuses = false;
    timers_run(&f->timers, timers_next_ns(&f->timers));
    assert_asked(f, ASKED_STREAM);
}

static void it_tells_when_the_server_was_heard(void **state)
{
    struct fixture *f = *state;
    int64_t started_ns = f->clock.now_ns;
    pass_ms(f, 1000);
    assert_int_equal(kube_reflector_heard_ns(f->reflector), started_ns);
    say(f, "{");
    assert_int_equal(kube_reflector_heard_ns(f->reflector), f->clock.now_ns);
    int64_t heard_ns = f->clock.now_ns;
    pass_ms(f, 1000);
    fake_fail(&f->fake, last(f), KUBE_LOST);
    assert_int_equal(kube_reflector_heard_ns(f->reflector), heard_ns);
}

/* Whatever it is doing: a watch, a list that may be older than what is asked for, or waiting. */
static void a_refresh_lists_anew_and_is_over_when_that_list_is_whole(void **state)
{
    enum { WATCHING, LISTING, WAITING, CASES };
    struct fixture *f = *state;
    for (int i = 0; i < CASES; i++) {
        say(f, EVENT("ADDED", "a", "5") LIST_END("10"));
        assert_true(kube_reflector_is_fresh(f->reflector));
        if (i != WATCHING)
            kube_reflector_refresh(f->reflector);
        if (i == LISTING)
            say(f, EVENT("ADDED", "a", "5"));
        if (i == WAITING)
            fake_fail(&f->fake, last(f), KUBE_NOT_SENT);
        size_t before = last(f);
        kube_reflector_refresh(f->reflector);
        assert_false(fake_is_open(&f->fake, before));
        assert_int_equal(last(f), before + 1);
        assert_int_equal(timers_next_ns(&f->timers), TIMERS_NEVER);
        assert_non_null(strstr(fake_sent(&f->fake, last(f))->target.ptr, "sendInitialEvents=true"));
        assert_false(kube_reflector_is_fresh(f->reflector));
        assert_true(kube_reflector_has_synced(f->reflector));
        say(f, EVENT("ADDED", "a", "5"));
        assert_false(kube_reflector_is_fresh(f->reflector));
    }
    say(f, LIST_END("20"));
    assert_true(kube_reflector_is_fresh(f->reflector));
    assert_int_equal(kube_reflector_version(f->reflector), 20);
}

/* Who asks for it has just heard the server, which may refuse the first requests after a start (403, 429). */
static void a_refresh_forgets_how_often_it_was_tried_before(void **state)
{
    struct fixture *f = *state;
    say(f, LIST_END("10"));
    for (int i = 0; i < 5; i++) {
        fake_fail(&f->fake, last(f), KUBE_NOT_SENT);
        pass_backoff(f);
    }
    kube_reflector_refresh(f->reflector);
    fake_answer(&f->fake, last(f), 403, "{}");
    assert_in_range(pass_backoff(f), 800, 1600);
}

static void the_metrics_tell_what_happened(void **state)
{
    struct fixture *f = *state;
    start_watch(f);
    say(f, EVENT("DELETED", "a", "11") BOOKMARK("20"));
    fake_end(&f->fake, last(f), KUBE_ANSWERED);
    assert_true(lists_because(f, "start") == 1);
    assert_true(sample(f, "reflector_watches_total{resource=\"pods\"}") == 2);
    assert_true(sample(f, "reflector_objects_total{resource=\"pods\"}") == 2);
    assert_true(sample(f, "reflector_last_resource_version{resource=\"pods\"}") == 20);
    struct err err;
    assert_int_equal(metrics_check(&f->metrics, &err), 0);
}

/* ---- Every cut ---- */

static const char stream[] = EVENT("ADDED", "b", "7") EVENT("ADDED", "a", "5") LIST_END("10")
    EVENT("MODIFIED", "a", "11") EVENT("ADDED", "c", "12") BOOKMARK("15")
        EVENT("DELETED", "b", "16") EVENT("ADDED", "d", "17");

static void assert_whole(struct fixture *f)
{
    assert_true(kube_reflector_has_synced(f->reflector));
    assert_int_equal(kube_reflector_version(f->reflector), 17);
    assert_true(f->is_there[0] && !f->is_there[1] && f->is_there[2] && f->is_there[3]);
    assert_int_equal(f->versions[0], 11);
}

static void a_stream_is_understood_however_it_is_cut_into_parts(void **state)
{
    (void)state;
    struct str whole = STR(stream);
    for (size_t cut = 0; cut <= whole.len; cut++) {
        struct fixture f;
        begin_fixture(&f);
        start(&f);
        fake_part(&f.fake, 0, str_sub(whole, 0, cut));
        fake_part(&f.fake, 0, str_sub(whole, cut, whole.len));
        assert_string_equal(f.log, "[ +b7 +a5 ] +a11 +c12 -b16 +d17 ");
        assert_whole(&f);
        end_fixture(&f);
    }
}

/* What a server says that resumes: the events that are newer than what is asked for. */
static void say_again(struct fixture *f)
{
    static const struct {
        uint64_t version;
        const char *text;
    } events[] = {{11, EVENT("MODIFIED", "a", "11")},
                  {12, EVENT("ADDED", "c", "12")},
                  {16, EVENT("DELETED", "b", "16")},
                  {17, EVENT("ADDED", "d", "17")}};
    const char *mark = "resourceVersion=";
    const char *at = strstr(fake_sent(&f->fake, last(f))->target.ptr, mark);
    if (!at) {
        say(f, stream);
        return;
    }
    uint64_t version = strtoull(at + strlen(mark), NULL, 10);
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        if (events[i].version > version)
            say(f, events[i].text);
    }
}

static void wherever_the_connection_breaks_nothing_is_lost_or_seen_twice(void **state)
{
    (void)state;
    struct str whole = STR(stream);
    for (size_t cut = 0; cut <= whole.len; cut++) {
        struct fixture f;
        begin_fixture(&f);
        start(&f);
        fake_part(&f.fake, 0, str_sub(whole, 0, cut));
        fake_end(&f.fake, 0, KUBE_LOST);
        if (f.fake.open == 0)
            pass_backoff(&f);
        say_again(&f);
        assert_whole(&f);
        /* Each change once, but for a list that began anew. */
        const char *list_end = strrchr(f.log, ']');
        assert_non_null(list_end);
        assert_string_equal(list_end, "] +a11 +c12 -b16 +d17 ");
        end_fixture(&f);
    }
}

/* ---- Memory ---- */

static void the_longest_list_takes_no_more_memory_than_its_largest_object(void **state)
{
    struct fixture *f = *state;
    f->is_quiet = true;
    fake_answer(&f->fake, 0, 422, NULL);
    size_t index = last(f);
    say(f, "{\"metadata\":{\"resourceVersion\":\"10\"},\"items\":[" OBJECT("a", "5"));
    for (int i = 0; i < 20000; i++)
        say(f, "," OBJECT("a", "5"));
    say(f, "]}");
    fake_end(&f->fake, index, KUBE_ANSWERED);
    assert_asked(f, ASKED_WATCH "10");
    assert_true(sample(f, "reflector_objects_total{resource=\"pods\"}") == 20001);
    assert_true(f->mem.peak_bytes < 512 * 1024);
}

static void a_reflector_that_is_freed_cancels_its_request(void **state)
{
    struct fixture *f = *state;
    kube_reflector_free(f->reflector);
    f->reflector = NULL;
    assert_int_equal(f->fake.open, 0);
}

/* Whatever fails, it comes to the same end; it succeeded when nothing had to be asked twice. */
static bool reflect(const struct mem *mem, void *ctx)
{
    (void)ctx;
    struct fixture f;
    begin_fixture(&f);
    timers_done(&f.timers);
    timers_init(&f.timers, mem);
    struct kube_reflector_config config = config_of(&f);
    config.mem = mem;
    config.metrics = NULL;
    config.namespace = STR("team");
    struct err err = {0};
    f.reflector = kube_reflector_new(&config, &err);
    assert_int_equal(err.code, f.reflector ? 0 : 507);
    size_t waits = 0;
    while (f.reflector && !kube_reflector_has_synced(f.reflector) && waits < 10) {
        if (f.fake.open == 0) {
            waits++;
            timers_run(&f.timers, timers_next_ns(&f.timers));
            continue;
        }
        size_t index = last(&f);
        fake_data(&f.fake, index, EVENT("ADDED", "a", "5") LIST_END("10"));
        if (fake_is_open(&f.fake, index) && !kube_reflector_has_synced(f.reflector))
            fake_end(&f.fake, index, KUBE_ANSWERED);
    }
    bool is_synced = f.reflector && kube_reflector_has_synced(f.reflector);
    /* When memory fails for ever, it goes on trying. */
    assert_true(!f.reflector || is_synced || waits == 10);
    bool succeeded = is_synced && waits == 0;
    end_fixture(&f);
    return succeeded;
}

static void without_memory_it_tries_again(void **state)
{
    (void)state;
    test_every_allocation_failing(reflect, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_list_is_streamed_and_the_stream_goes_on_as_the_watch),
        TEST(an_ordinary_bookmark_does_not_end_the_list),
        TEST(a_server_that_refuses_to_stream_is_listed_in_pages),
        TEST(the_version_may_come_behind_the_items),
        TEST(a_continue_token_that_expired_begins_a_new_list_and_then_one_without_pages),
        TEST(a_page_that_fails_begins_the_list_anew),
        TEST(streams_that_break_off_thrice_are_given_up_for_pages),
        TEST(an_unreachable_server_does_not_end_streaming),
        TEST(objects_that_cannot_be_read_are_passed_over),
        TEST(items_that_cannot_be_read_are_passed_over),
        TEST(namespace_and_selectors_are_asked_for),
        TEST(events_bookmarks_and_removals_move_the_version),
        TEST(what_comes_a_second_time_or_late_is_dropped),
        TEST(a_watch_that_ended_goes_on_at_the_last_version),
        TEST(a_line_that_was_cut_with_its_watch_is_forgotten),
        TEST(a_watch_that_ends_at_once_is_not_hammered),
        TEST(a_server_that_is_silent_for_half_an_hour_is_listed),
        TEST(an_expired_version_is_listed_anew),
        TEST(of_error_events_only_one_for_too_many_requests_keeps_the_version),
        TEST(what_cannot_be_read_of_a_watch_leads_to_a_list),
        TEST(a_watch_that_is_refused_is_tried_again_and_then_listed),
        TEST(the_backoff_doubles_with_jitter_and_is_reset_by_quiet),
        TEST(after_a_restart_of_the_server_the_list_comes_soon),
        TEST(retry_after_is_honoured_within_reason),
        TEST(a_sink_without_memory_gets_a_new_list),
        TEST(a_transport_that_cannot_send_is_tried_again),
        TEST(it_tells_when_the_server_was_heard),
        TEST(a_refresh_lists_anew_and_is_over_when_that_list_is_whole),
        TEST(a_refresh_forgets_how_often_it_was_tried_before),
        TEST(the_metrics_tell_what_happened),
        TEST(the_longest_list_takes_no_more_memory_than_its_largest_object),
        TEST(a_reflector_that_is_freed_cancels_its_request),
        cmocka_unit_test(a_stream_is_understood_however_it_is_cut_into_parts),
        cmocka_unit_test(wherever_the_connection_breaks_nothing_is_lost_or_seen_twice),
        cmocka_unit_test(without_memory_it_tries_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
