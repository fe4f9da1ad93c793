/* Metrics and their text. */
#include "base/metrics.h"
#include "unit/prometheus.h"

#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A registry with counted memory and the text that it gave last. */
struct fixture {
    struct test_mem mem;
    struct metrics metrics;
    struct buf buf;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    test_mem_init(&f->mem);
    metrics_init(&f->metrics, &f->mem.mem);
    buf_init(&f->buf, mem_system(), 16 * 1024 * 1024);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    metrics_done(&f->metrics);
    buf_done(&f->buf);
    test_mem_done(&f->mem);
    free(f);
    return 0;
}

/* The text, checked as a scraper would. */
static struct str scrape(struct fixture *f)
{
    struct err err;
    if (metrics_check(&f->metrics, &err) < 0)
        fail_msg("%s", err.message);
    buf_clear(&f->buf);
    metrics_write(&f->metrics, &f->buf);
    assert_false(buf_failed(&f->buf));
    prometheus_check(buf_str(&f->buf));
    return buf_str(&f->buf);
}

/* The text from the first appearance of `start` on. */
static struct str scrape_from(struct fixture *f, const char *start)
{
    struct str text = scrape(f);
    const char *at = memmem(text.ptr, text.len, start, strlen(start));
    assert_non_null(at);
    return str_sub(text, (size_t)(at - text.ptr), text.len);
}

static double sample(struct fixture *f, const char *series)
{
    double value = 0;
    if (!prometheus_find_sample(scrape(f), series, &value))
        fail_msg("no %s in:\n%" PRIstr, series, STR_ARG(buf_str(&f->buf)));
    return value;
}

static bool has_sample(struct fixture *f, const char *series)
{
    double value;
    return prometheus_find_sample(scrape(f), series, &value);
}

/* That the text is exactly `expected`, comments left out. */
static void assert_samples(struct fixture *f, const char *expected)
{
    struct str text = scrape(f), line;
    char samples[4096];
    size_t len = 0;
    while (text.len > 0) {
        str_cut(text, '\n', &line, &text);
        if (line.ptr[0] != '#')
            len += (size_t)snprintf(samples + len, sizeof(samples) - len, "%" PRIstr "\n",
                                    STR_ARG(line));
    }
    assert_string_equal(samples, expected);
}

static void a_counter_starts_at_zero_and_counts(void **state)
{
    struct fixture *f = *state;
    struct counter *c = metrics_counter(&f->metrics, "requests_total", "Requests.");
    assert_str_is(scrape(f), "# HELP requests_total Requests.\n"
                             "# TYPE requests_total counter\n"
                             "requests_total 0\n");
    counter_add(c, 1);
    counter_add(c, 41);
    assert_int_equal(counter_value(c), 42);
    assert_samples(f, "requests_total 42\n");
    counter_add(c, UINT64_MAX - 42);
    assert_samples(f, "requests_total 18446744073709551615\n");
}

static void a_gauge_is_set_and_moved(void **state)
{
    struct fixture *f = *state;
    struct gauge *g = metrics_gauge(&f->metrics, "temperature", "Degrees.");
    assert_samples(f, "temperature 0\n");
    gauge_set(g, 20.5);
    gauge_add(g, -21);
    assert_true(gauge_value(g) == -0.5);
    assert_str_is(scrape(f), "# HELP temperature Degrees.\n"
                             "# TYPE temperature gauge\n"
                             "temperature -0.5\n");
}

static void numbers_are_short_and_exact(void **state)
{
    struct fixture *f = *state;
    struct gauge *g = metrics_gauge(&f->metrics, "g", "G.");
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0.1, "g 0.1\n"},
        {1.0 / 3, "g 0.3333333333333333\n"},
        {0.1 + 0.2, "g 0.30000000000000004\n"},
        {1e21, "g 1e+21\n"},
        {6000000000000001.0, "g 6000000000000001\n"},
        {DBL_MAX, "g 1.7976931348623157e+308\n"},
        {INFINITY, "g +Inf\n"},
        {-INFINITY, "g -Inf\n"},
        {(double)NAN, "g NaN\n"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        gauge_set(g, rows[i].value);
        assert_samples(f, rows[i].text);
    }
}

static void a_histogram_counts_what_is_at_most_its_bounds(void **state)
{
    struct fixture *f = *state;
    static const double bounds[] = {0.5, 1, 2.5};
    struct histogram *h =
        metrics_histogram(&f->metrics, "seconds", "Time.", (struct metrics_buckets){bounds, 3});
    static const double values[] = {0.5, 0.6, 1, 2.5, 2.6, -1, 1000};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        histogram_observe(h, values[i]);
    histogram_observe(h, (double)NAN);
    assert_int_equal(histogram_count(h), 7);
    assert_str_is(scrape(f), "# HELP seconds Time.\n"
                             "# TYPE seconds histogram\n"
                             "seconds_bucket{le=\"0.5\"} 2\n"
                             "seconds_bucket{le=\"1\"} 4\n"
                             "seconds_bucket{le=\"2.5\"} 5\n"
                             "seconds_bucket{le=\"+Inf\"} 7\n"
                             "seconds_sum 1006.2\n"
                             "seconds_count 7\n");
}

static void a_histogram_with_labels_has_its_bound_last(void **state)
{
    struct fixture *f = *state;
    static const double bounds[] = {1};
    struct histogram_family *family =
        metrics_histograms(&f->metrics, "seconds", "Time.", METRICS_LABELS("verb"), 5,
                           (struct metrics_buckets){bounds, 1});
    histogram_observe(histogram_of(family, METRICS_VALUES(STR("get"))), 2);
    histogram_observe(histogram_of(family, METRICS_VALUES(STR("put"))), 1);
    assert_samples(f, "callboard_metrics_series_dropped_total{metric=\"seconds\"} 0\n"
                      "seconds_bucket{verb=\"get\",le=\"1\"} 0\n"
                      "seconds_bucket{verb=\"get\",le=\"+Inf\"} 1\n"
                      "seconds_sum{verb=\"get\"} 2\n"
                      "seconds_count{verb=\"get\"} 1\n"
                      "seconds_bucket{verb=\"put\",le=\"1\"} 1\n"
                      "seconds_bucket{verb=\"put\",le=\"+Inf\"} 1\n"
                      "seconds_sum{verb=\"put\"} 1\n"
                      "seconds_count{verb=\"put\"} 1\n");
}

static void the_buckets_for_latency_rise(void **state)
{
    struct fixture *f = *state;
    metrics_histogram(&f->metrics, "seconds", "Time.", metrics_buckets_latency);
    assert_true(has_sample(f, "seconds_bucket{le=\"5e-05\"}"));
    assert_true(has_sample(f, "seconds_bucket{le=\"10\"}"));
}

static void the_same_labels_give_the_same_series(void **state)
{
    struct fixture *f = *state;
    struct counter_family *family =
        metrics_counters(&f->metrics, "c_total", "C.", METRICS_LABELS("kind", "result"), 10);
    struct counter *a = counter_of(family, METRICS_VALUES(STR("JobFlow"), STR("allowed")));
    assert_ptr_equal(counter_of(family, METRICS_VALUES(STR("JobFlow"), STR("allowed"))), a);
    struct counter *b = counter_of(family, METRICS_VALUES(STR("JobFlowa"), STR("llowed")));
    assert_ptr_not_equal(a, b);
    counter_add(a, 2);
    counter_add(b, 3);
    assert_samples(f, "callboard_metrics_series_dropped_total{metric=\"c_total\"} 0\n"
                      "c_total{kind=\"JobFlow\",result=\"allowed\"} 2\n"
                      "c_total{kind=\"JobFlowa\",result=\"llowed\"} 3\n");
    struct gauge_family *gauges =
        metrics_gauges(&f->metrics, "g", "G.", METRICS_LABELS("kind"), 10);
    struct gauge *g = gauge_of(gauges, METRICS_VALUES(STR("x")));
    gauge_set(g, 7);
    assert_ptr_equal(gauge_of(gauges, METRICS_VALUES(STR("x"))), g);
    assert_true(sample(f, "g{kind=\"x\"}") == 7);
}

static void a_family_without_series_is_not_shown(void **state)
{
    struct fixture *f = *state;
    metrics_counters(&f->metrics, "c_total", "C.", METRICS_LABELS("kind"), 10);
    assert_samples(f, "callboard_metrics_series_dropped_total{metric=\"c_total\"} 0\n");
}

static void label_values_and_help_are_escaped(void **state)
{
    struct fixture *f = *state;
    struct gauge_family *family =
        metrics_gauges(&f->metrics, "g", "a \"b\" \\ \n c", METRICS_LABELS("v"), 10);
    static const struct str values[] = {
        STR_INIT("a\"b"),   STR_INIT("a\\b"), STR_INIT("a\nb"), STR_INIT("é"),
        STR_INIT("a\xFFz"), STR_INIT("a\0z"), STR_INIT(""),     {NULL, 0},
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        gauge_add(gauge_of(family, METRICS_VALUES(values[i])), 1);
    assert_str_is(scrape(f), "# HELP callboard_metrics_series_dropped_total Look-ups of label "
                             "values that were counted as \"other\", because the metric has as "
                             "many series as it may.\n"
                             "# TYPE callboard_metrics_series_dropped_total counter\n"
                             "callboard_metrics_series_dropped_total{metric=\"g\"} 0\n"
                             "# HELP g a \"b\" \\\\ \\n c\n"
                             "# TYPE g gauge\n"
                             "g{v=\"a\\\"b\"} 1\n"
                             "g{v=\"a\\\\b\"} 1\n"
                             "g{v=\"a\\nb\"} 1\n"
                             "g{v=\"é\"} 1\n"
                             "g{v=\"invalid\"} 2\n"
                             "g{v=\"\"} 2\n");
}

static void a_long_label_value_is_cut_between_characters(void **state)
{
    struct fixture *f = *state;
    struct gauge_family *family = metrics_gauges(&f->metrics, "g", "G.", METRICS_LABELS("v"), 10);
    char text[200], expected[200];
    memset(text, 'x', sizeof(text));
    memcpy(text + METRICS_VALUE_MAX - 1, "é", 2);
    struct str value = {text, sizeof(text)};
    gauge_set(gauge_of(family, METRICS_VALUES(value)), 1);
    snprintf(expected, sizeof(expected), "g{v=\"%.*s\"}", METRICS_VALUE_MAX - 1, text);
    assert_true(sample(f, expected) == 1);
    /* One of exactly the limit is whole. */
    memset(text, 'x', sizeof(text));
    gauge_set(gauge_of(family, METRICS_VALUES(str_sub(value, 0, METRICS_VALUE_MAX))), 2);
    snprintf(expected, sizeof(expected), "g{v=\"%.*s\"}", METRICS_VALUE_MAX, text);
    assert_true(sample(f, expected) == 2);
}

static void series_beyond_the_bound_are_counted_as_other(void **state)
{
    struct fixture *f = *state;
    struct counter_family *family =
        metrics_counters(&f->metrics, "c_total", "C.", METRICS_LABELS("tenant", "verb"), 3);
    for (int i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof(name), "t%d", i);
        counter_add(counter_of(family, METRICS_VALUES(str_from_cstr(name), STR("get"))), 1);
    }
    /* The first ones are still counted apart. */
    counter_add(counter_of(family, METRICS_VALUES(STR("t2"), STR("get"))), 5);
    assert_samples(f, "callboard_metrics_series_dropped_total{metric=\"c_total\"} 7\n"
                      "c_total{tenant=\"t0\",verb=\"get\"} 1\n"
                      "c_total{tenant=\"t1\",verb=\"get\"} 1\n"
                      "c_total{tenant=\"t2\",verb=\"get\"} 6\n"
                      "c_total{tenant=\"other\",verb=\"other\"} 7\n");
}

static void a_value_that_is_called_other_is_no_second_series(void **state)
{
    struct fixture *f = *state;
    struct counter_family *family =
        metrics_counters(&f->metrics, "c_total", "C.", METRICS_LABELS("tenant"), 1);
    counter_add(counter_of(family, METRICS_VALUES(STR("other"))), 1);
    counter_add(counter_of(family, METRICS_VALUES(STR("a"))), 10);
    counter_add(counter_of(family, METRICS_VALUES(STR("b"))), 100);
    counter_add(counter_of(family, METRICS_VALUES(STR("other"))), 1000);
    assert_samples(f, "callboard_metrics_series_dropped_total{metric=\"c_total\"} 1\n"
                      "c_total{tenant=\"other\"} 1101\n"
                      "c_total{tenant=\"a\"} 10\n");
}

static void a_wrong_number_of_values_is_counted_as_other(void **state)
{
    struct fixture *f = *state;
    struct counter_family *family =
        metrics_counters(&f->metrics, "c_total", "C.", METRICS_LABELS("tenant"), 10);
    counter_add(counter_of(family, METRICS_NO_VALUES), 1);
    counter_add(counter_of(family, METRICS_VALUES(STR("a"), STR("b"))), 1);
    assert_samples(f, "callboard_metrics_series_dropped_total{metric=\"c_total\"} 2\n"
                      "c_total{tenant=\"other\"} 2\n");
}

static void a_family_that_is_asked_for_again_is_the_same(void **state)
{
    struct fixture *f = *state;
    static const double bounds[] = {1, 2};
    struct metrics_buckets buckets = {bounds, 2};
    struct metrics_labels labels = METRICS_LABELS("name");
    assert_ptr_equal(metrics_counters(&f->metrics, "c_total", "C.", labels, 2),
                     metrics_counters(&f->metrics, "c_total", "C.", METRICS_LABELS("name"), 2));
    assert_ptr_equal(metrics_gauges(&f->metrics, "g", "G.", labels, 2),
                     metrics_gauges(&f->metrics, "g", "G.", labels, 2));
    assert_ptr_equal(metrics_histograms(&f->metrics, "h", "H.", labels, 2, buckets),
                     metrics_histograms(&f->metrics, "h", "H.", labels, 2, buckets));
    struct err err;
    assert_int_equal(metrics_check(&f->metrics, &err), 0);
    assert_null(metrics_gauges(&f->metrics, "g", "Something else.", labels, 2));
    assert_int_equal(metrics_check(&f->metrics, &err), -1);
    assert_string_equal(err.message, "metric g was made twice");
}

static void many_series_are_all_found_again(void **state)
{
    struct fixture *f = *state;
    enum { SERIES = 2000 };
    struct gauge_family *family =
        metrics_gauges(&f->metrics, "g", "G.", METRICS_LABELS("n"), SERIES);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < SERIES; i++) {
            char name[16];
            snprintf(name, sizeof(name), "%d", i);
            struct gauge *g = gauge_of(family, METRICS_VALUES(str_from_cstr(name)));
            assert_true(gauge_value(g) == (round ? i : 0));
            gauge_set(g, i);
        }
    }
    assert_true(sample(f, "g{n=\"1999\"}") == 1999);
    assert_true(sample(f, "callboard_metrics_series_dropped_total{metric=\"g\"}") == 0);
}

static void bad_definitions_are_refused_with_a_reason(void **state)
{
    (void)state;
    static const double falling[] = {1, 1}, infinite[] = {1, (double)INFINITY},
                        nan[] = {(double)NAN}, many[METRICS_BUCKETS_MAX + 1] = {0};
    static const double good[] = {1};
#define BUCKETS(b) ((struct metrics_buckets){b, sizeof(b) / sizeof(b[0])})
#define NO_BUCKETS ((struct metrics_buckets){NULL, 0})
    const struct {
        const char *name;
        struct metrics_labels labels;
        size_t max_series;
        struct metrics_buckets buckets;
        const char *message;
    } rows[] = {
        {"", METRICS_NO_LABELS, 1, BUCKETS(good), "bad name of a metric: \"\""},
        {"1a", METRICS_NO_LABELS, 1, BUCKETS(good), "bad name of a metric: \"1a\""},
        {"a-b", METRICS_NO_LABELS, 1, BUCKETS(good), "bad name of a metric: \"a-b\""},
        {"h", METRICS_LABELS("le"), 1, BUCKETS(good), "metric h: bad label \"le\""},
        {"h", METRICS_LABELS("__x"), 1, BUCKETS(good), "metric h: bad label \"__x\""},
        {"h", METRICS_LABELS("a:b"), 1, BUCKETS(good), "metric h: bad label \"a:b\""},
        {"h", METRICS_LABELS(""), 1, BUCKETS(good), "metric h: bad label \"\""},
        {"h", METRICS_LABELS("a", "b", "a"), 1, BUCKETS(good), "metric h: label a appears twice"},
        {"h", METRICS_LABELS("a", "b", "c", "d", "e", "f", "g"), 1, BUCKETS(good),
         "metric h: more than 6 labels"},
        {"h", METRICS_LABELS("a"), 0, BUCKETS(good),
         "metric h: from 1 to 10000 series are possible"},
        {"h", METRICS_LABELS("a"), 10001, BUCKETS(good),
         "metric h: from 1 to 10000 series are possible"},
        {"h", METRICS_NO_LABELS, 1, NO_BUCKETS, "metric h: from 1 to 24 buckets are possible"},
        {"h", METRICS_NO_LABELS, 1, BUCKETS(many), "metric h: from 1 to 24 buckets are possible"},
        {"h", METRICS_NO_LABELS, 1, BUCKETS(falling),
         "metric h: the bounds of the buckets must rise"},
        {"h", METRICS_NO_LABELS, 1, BUCKETS(infinite),
         "metric h: the bounds of the buckets must rise"},
        {"h", METRICS_NO_LABELS, 1, BUCKETS(nan), "metric h: the bounds of the buckets must rise"},
        {"taken", METRICS_NO_LABELS, 1, BUCKETS(good), "metric taken was made twice"},
        {"family", METRICS_LABELS("a"), 1, BUCKETS(good), "metric family was made twice"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct metrics metrics;
        metrics_init(&metrics, mem_system());
        metrics_counter(&metrics, "taken", "T.");
        metrics_gauges(&metrics, "family", "H.", METRICS_LABELS("a"), 1);
        struct err err = {.code = -7};
        assert_int_equal(metrics_check(&metrics, &err), 0);
        assert_int_equal(err.code, -7);
        assert_null(metrics_histograms(&metrics, rows[i].name, "H.", rows[i].labels,
                                       rows[i].max_series, rows[i].buckets));
        metrics_gauge(&metrics, "also wrong", "W.");
        assert_int_equal(metrics_check(&metrics, &err), -1);
        assert_string_equal(err.message, rows[i].message);
        metrics_done(&metrics);
    }
}

static void names_may_have_digits_and_colons(void **state)
{
    struct fixture *f = *state;
    metrics_gauge(&f->metrics, "job:a1_B:rate5m", "G.");
    metrics_gauges(&f->metrics, "Z", "G.", METRICS_LABELS("_", "aZ9", "l"), 1);
    assert_true(has_sample(f, "job:a1_B:rate5m"));
    /* Only histograms need "le" for themselves. */
    metrics_gauges(&f->metrics, "g", "G.", METRICS_LABELS("le"), 1);
    assert_int_equal(metrics_check(&f->metrics, &(struct err){0}), 0);
}

static void more_metrics_than_the_limit_are_refused(void **state)
{
    struct fixture *f = *state;
    static char names[600][8];
    size_t made = 0;
    for (size_t i = 0; i < 600; i++) {
        snprintf(names[i], sizeof(names[i]), "m%zu", i);
        made += metrics_gauge(&f->metrics, names[i], "G.") != NULL;
    }
    struct err err;
    assert_int_equal(metrics_check(&f->metrics, &err), -1);
    assert_string_equal(err.message, "more than 500 metrics");
    assert_int_equal(made, 499); /* and the registry's own */
}

static void without_handles_nothing_happens(void **state)
{
    (void)state;
    counter_add(NULL, 1);
    gauge_set(NULL, 1);
    gauge_add(NULL, 1);
    histogram_observe(NULL, 1);
    assert_int_equal(counter_value(NULL), 0);
    assert_true(gauge_value(NULL) == 0);
    assert_int_equal(histogram_count(NULL), 0);
    assert_null(counter_of(NULL, METRICS_VALUES(STR("a"))));
    assert_null(gauge_of(NULL, METRICS_VALUES(STR("a"))));
    assert_null(histogram_of(NULL, METRICS_VALUES(STR("a"))));
}

static void collect_one(void *ctx, struct metrics_scrape *scrape)
{
    metrics_sample(scrape, METRICS_NO_VALUES, ++*(int *)ctx);
}

static void collect_nothing(void *ctx, struct metrics_scrape *scrape)
{
    (void)ctx;
    (void)scrape;
}

static void collect_tenants(void *ctx, struct metrics_scrape *scrape)
{
    const int *count = ctx;
    for (int i = 0; i < *count; i++) {
        char name[16];
        snprintf(name, sizeof(name), "t\"%d", i);
        metrics_sample(scrape, METRICS_VALUES(str_from_cstr(name)), i / 2.0);
    }
    metrics_sample(scrape, METRICS_NO_VALUES, 1); /* not what was announced */
}

static void values_are_computed_at_each_scrape(void **state)
{
    struct fixture *f = *state;
    int value = 0, tenants = 2;
    metrics_collector(&f->metrics, METRICS_COUNTER, "calls_total", "C.", METRICS_NO_LABELS, 1,
                      collect_one, &value);
    metrics_collector(&f->metrics, METRICS_GAUGE, "nothing", "N.", METRICS_NO_LABELS, 1,
                      collect_nothing, NULL);
    metrics_collector(&f->metrics, METRICS_GAUGE, "usage", "U.", METRICS_LABELS("tenant"), 3,
                      collect_tenants, &tenants);
    assert_str_is(scrape_from(f, "# HELP calls_total"), "# HELP calls_total C.\n"
                                                        "# TYPE calls_total counter\n"
                                                        "calls_total 1\n"
                                                        "# HELP usage U.\n"
                                                        "# TYPE usage gauge\n"
                                                        "usage{tenant=\"t\\\"0\"} 0\n"
                                                        "usage{tenant=\"t\\\"1\"} 0.5\n");
    tenants = 7;
    assert_samples(f, "callboard_metrics_series_dropped_total{metric=\"usage\"} 1\n"
                      "calls_total 2\n"
                      "usage{tenant=\"t\\\"0\"} 0\n"
                      "usage{tenant=\"t\\\"1\"} 0.5\n"
                      "usage{tenant=\"t\\\"2\"} 1\n");
    tenants = 0;
    assert_samples(f, "callboard_metrics_series_dropped_total{metric=\"usage\"} 6\n"
                      "calls_total 3\n");
}

static void the_build_is_shown(void **state)
{
    struct fixture *f = *state;
    metrics_add_build_info(&f->metrics, "1.2.3");
    assert_true(sample(f, "callboard_build_info{version=\"1.2.3\"}") == 1);
}

static void the_process_shows_its_resources(void **state)
{
    struct fixture *f = *state;
    metrics_add_process(&f->metrics, "/proc/self", clock_system());
    double now = (double)clock_wall_ns(clock_system()) / 1e9;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);

    assert_true(sample(f, "process_resident_memory_bytes") > 100000);
    assert_true(sample(f, "process_virtual_memory_bytes") >
                sample(f, "process_resident_memory_bytes"));
    assert_true(sample(f, "process_cpu_seconds_total") > 0);
    assert_true(sample(f, "process_max_fds") == (double)limit.rlim_cur);
    double started = sample(f, "process_start_time_seconds");
    assert_true(started <= now && started > now - 3600);
    double fds = 0;
    for (int fd = 0; fd < 4096; fd++)
        fds += fcntl(fd, F_GETFD) >= 0;
    assert_true(sample(f, "process_open_fds") == fds);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(sample(f, "process_open_fds") == fds + 1);
    close(fd);
    assert_true(fds >= 3);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void a_start_is_read_behind_any_program_name(void **state)
{
    struct fixture *f = *state;
    char folder[] = "/tmp/callboard-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[64];
    snprintf(path, sizeof(path), "%s/stat", folder);
    write_file(path, "7 (a b) c) S 1 7 7 0 -1 4194560 1 0 0 0 10 20 0 0 20 0 5 0 4200 1 2 3\n");
    struct test_clock clock;
    test_clock_init(&clock);
    struct timespec boot;
    clock_gettime(CLOCK_BOOTTIME, &boot);
    metrics_add_process(&f->metrics, folder, &clock.clock);
    unlink(path);
    rmdir(folder);
    double expected = 1767323045.0 - (double)boot.tv_sec - (double)boot.tv_nsec / 1e9 +
                      4200.0 / (double)sysconf(_SC_CLK_TCK);
    double started = sample(f, "process_start_time_seconds");
    assert_true(fabs(started - expected) < 5);
    assert_false(has_sample(f, "process_open_fds"));
}

static void what_cannot_be_read_from_proc_has_no_value(void **state)
{
    struct fixture *f = *state;
    metrics_add_process(&f->metrics, "/nonexistent", clock_system());
    assert_false(has_sample(f, "process_resident_memory_bytes"));
    assert_false(has_sample(f, "process_virtual_memory_bytes"));
    assert_false(has_sample(f, "process_open_fds"));
    assert_false(has_sample(f, "process_start_time_seconds"));
    assert_true(has_sample(f, "process_cpu_seconds_total"));
}

/* Every kind of metric, as a program makes them at its start. */
static bool make_metrics(const struct mem *mem, void *ctx)
{
    (void)ctx;
    struct metrics metrics;
    struct err err;
    metrics_init(&metrics, mem);
    static const double bounds[] = {1, 2};
    counter_add(metrics_counter(&metrics, "c_total", "C."), 1);
    struct counter_family *counters =
        metrics_counters(&metrics, "cs_total", "C.", METRICS_LABELS("a", "b"), 3000);
    struct gauge_family *gauges = metrics_gauges(&metrics, "gs", "G.", METRICS_LABELS("a"), 1000);
    struct histogram_family *histograms = metrics_histograms(
        &metrics, "hs", "H.", METRICS_LABELS("a"), 500, (struct metrics_buckets){bounds, 2});
    metrics_add_process(&metrics, "/proc/self", clock_system());
    metrics_add_build_info(&metrics, "1");
    bool made = metrics_check(&metrics, &err) == 0;
    if (made) {
        counter_add(counter_of(counters, METRICS_VALUES(STR("a"), STR("b"))), 1);
        gauge_set(gauge_of(gauges, METRICS_VALUES(STR("a"))), 1);
        histogram_observe(histogram_of(histograms, METRICS_VALUES(STR("a"))), 1);
    } else {
        assert_int_equal(err.code, 507);
    }
    metrics_done(&metrics);
    return made;
}

static void without_memory_the_check_at_the_start_fails(void **state)
{
    (void)state;
    test_every_allocation_failing(make_metrics, NULL);
}

static void without_memory_a_new_series_is_counted_as_other(void **state)
{
    struct fixture *f = *state;
    static const double bounds[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    struct histogram_family *family = metrics_histograms(
        &f->metrics, "h", "H.", METRICS_LABELS("a"), 5000, (struct metrics_buckets){bounds, 12});
    f->mem.fail_at = f->mem.calls + 1;
    f->mem.fail_after = true;
    char name[METRICS_VALUE_MAX + 1];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "%0*d", 100, i);
        histogram_observe(histogram_of(family, METRICS_VALUES(str_from_cstr(name))), 1);
    }
    double dropped = sample(f, "callboard_metrics_series_dropped_total{metric=\"h\"}");
    assert_true(dropped > 900);
    assert_true(sample(f, "h_count{a=\"other\"}") == dropped);
}

/* What many threads do at once. */
struct shared_metrics {
    struct counter *counter;
    struct gauge *gauge;
    struct histogram *histogram;
    struct counter_family *family;
    struct metrics *metrics;
};

enum { THREADS = 4, ROUNDS = 5000, NAMES = 40, NAMES_KEPT = 25 };

static void *update_metrics(void *ctx)
{
    const struct shared_metrics *shared = ctx;
    for (int i = 0; i < ROUNDS; i++) {
        counter_add(shared->counter, 1);
        gauge_add(shared->gauge, 1);
        histogram_observe(shared->histogram, i % 3);
        char name[16];
        snprintf(name, sizeof(name), "%d", i % NAMES);
        counter_add(counter_of(shared->family, METRICS_VALUES(str_from_cstr(name))), 1);
    }
    return NULL;
}

static void no_update_of_several_threads_is_lost(void **state)
{
    struct fixture *f = *state;
    static const double bounds[] = {0, 1};
    struct shared_metrics shared = {
        .counter = metrics_counter(&f->metrics, "c_total", "C."),
        .gauge = metrics_gauge(&f->metrics, "g", "G."),
        .histogram = metrics_histogram(&f->metrics, "h", "H.", (struct metrics_buckets){bounds, 2}),
        .family = metrics_counters(&f->metrics, "f_total", "F.", METRICS_LABELS("n"), NAMES_KEPT),
        .metrics = &f->metrics,
    };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, update_metrics, &shared), 0);
    for (int i = 0; i < 50; i++)
        scrape(f); /* whatever is going on, the text is right */
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);

    assert_int_equal(counter_value(shared.counter), THREADS * ROUNDS);
    assert_true(gauge_value(shared.gauge) == THREADS * ROUNDS);
    assert_int_equal(histogram_count(shared.histogram), THREADS * ROUNDS);
    struct str text = scrape(f), line;
    double sum = 0, value;
    int series = 0;
    while (text.len > 0) {
        str_cut(text, '\n', &line, &text);
        if (!str_starts_with(line, STR("f_total{")))
            continue;
        ptrdiff_t blank = str_find_last(line, ' ');
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)blank, line.ptr);
        assert_true(prometheus_find_sample(line, name, &value));
        sum += value;
        series++;
    }
    assert_int_equal(series, NAMES_KEPT + 1);
    assert_true(sum == THREADS * ROUNDS);
    assert_true(sample(f, "f_total{n=\"other\"}") ==
                THREADS * ROUNDS * (NAMES - NAMES_KEPT) / NAMES);
}

static void a_text_that_does_not_fit_is_a_failure(void **state)
{
    struct fixture *f = *state;
    metrics_gauge(&f->metrics, "g", "G.");
    struct buf small;
    buf_init(&small, mem_system(), 20);
    metrics_write(&f->metrics, &small);
    assert_true(buf_failed(&small));
    buf_done(&small);
}

/* Prometheus' own reader and linter, where it is installed. */
static void promtool_accepts_the_text(void **state)
{
    struct fixture *f = *state;
    if (system("command -v promtool >/dev/null 2>&1") != 0)
        skip();
    static const double bounds[] = {0.5, 1};
    struct histogram_family *family =
        metrics_histograms(&f->metrics, "callboard_decision_duration_seconds", "Time.",
                           METRICS_LABELS("verb"), 5, (struct metrics_buckets){bounds, 2});
    histogram_observe(histogram_of(family, METRICS_VALUES(STR("a\"\\\n\xC3\xA9"))), 0.7);
    gauge_set(metrics_gauge(&f->metrics, "callboard_load_ratio", "a \\ \n b"), (double)NAN);
    counter_add(metrics_counter(&f->metrics, "callboard_things_total", "T."), UINT64_MAX);
    metrics_add_process(&f->metrics, "/proc/self", clock_system());
    metrics_add_build_info(&f->metrics, "1.2.3");
    struct str text = scrape(f);
    FILE *promtool = popen("promtool check metrics", "w");
    assert_non_null(promtool);
    assert_int_equal(fwrite(text.ptr, 1, text.len, promtool), text.len);
    assert_int_equal(pclose(promtool), 0);
}

static void the_strict_reader_refuses_wrong_texts(void **state)
{
    (void)state;
#define HEAD "# HELP a A.\n# TYPE a counter\n"
#define HIST "# HELP h H.\n# TYPE h histogram\n"
    static const struct {
        const char *text;
        const char *error; /* NULL when right */
    } rows[] = {
        {HEAD "a 1\n", NULL},
        {HEAD "a{b=\"c\\\\\\\"\\n\"} 1.5e3\n", NULL},
        {HIST "h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n", NULL},
        {HEAD "a 1", "the text does not end with a line end"},
        {HEAD "a{b=\"\xFF\"} 1\n", "the text is no UTF-8"},
        {"a 1\n", "a sample without HELP and TYPE"},
        {"# HELP a A.\na 1\n", "a sample without HELP and TYPE"},
        {"# TYPE a counter\na 1\n", "TYPE does not follow its HELP"},
        {"# HELP a A.\n# TYPE b counter\n", "TYPE does not follow its HELP"},
        {"# HELP a A.\n# TYPE a untyped\n", "TYPE has an unknown type"},
        {"# HELP a \\x\n", "HELP has a bad escape"},
        {"# HELP a A.\n# HELP b B.\n", "a metric without samples"},
        {"# HELP \n", "HELP or TYPE without a name"},
        {"# x\n", "a comment that is neither HELP nor TYPE"},
        {HEAD, "the last metric has no end"},
        {HEAD "a 1\n" HEAD "a 1\n", "a metric appears twice"},
        {HEAD "a 1\na 2\n", "a series appears twice"},
        {HEAD "b 1\n", "a sample without HELP and TYPE"},
        {HEAD "ab 1\n", "a sample of another metric"},
        {HEAD "a -1\n", "a counter is negative"},
        {HEAD "a\n", "no value"},
        {HEAD "a x\n", "no value"},
        {HEAD "a  1\n", "no value"},
        {HEAD "\n", "no name"},
        {HEAD "a{1=\"c\"} 1\n", "a label has no proper name"},
        {HEAD "a{b:c=\"c\"} 1\n", "a label has no proper name"},
        {HEAD "a{b} 1\n", "a label has no value"},
        {HEAD "a{b=c} 1\n", "a label has a bad value"},
        {HEAD "a{b=\"\\x\"} 1\n", "a label has a bad value"},
        {HEAD "a{b=\"c} 1\n", "a label has a bad value"},
        {HEAD "a{b=\"c\" 1\n", "the labels have no end"},
        {HEAD "a{b=\"c\",b=\"d\"} 1\n", "a label appears twice"},
        {HIST "h_bucket 1\n", "a bucket has no bound"},
        {HIST "h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\n", "buckets do not rise"},
        {HIST "h_bucket{le=\"1\"} 1\nh_bucket{le=\"0.5\"} 1\n", "buckets do not rise"},
        {HIST "h_bucket{a=\"1\",le=\"1\"} 1\nh_bucket{a=\"2\",le=\"2\"} 1\n",
         "buckets of another series"},
        {HIST "h_sum 1\n", "a sum or count without its buckets"},
        {HIST "h_bucket{le=\"1\"} 1\nh_sum 1\n", "a sum or count without its buckets"},
        {HIST "h_bucket{le=\"+Inf\"} 1\nh_count 1\n", "the count is not that of the last bucket"},
        {HIST "h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n",
         "the count is not that of the last bucket"},
        {HIST "h_bucket{le=\"+Inf\"} 1\n", "the last metric has no end"},
        {HIST "h_bucket{le=\"+Inf\"} 1\n# HELP a A.\n", "a histogram has no end"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t line;
        const char *error = prometheus_find_error(str_from_cstr(rows[i].text), &line);
        if (rows[i].error ? !error || strcmp(error, rows[i].error) != 0 : error != NULL)
            fail_msg("%s: %s", rows[i].text, error ? error : "accepted");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_counter_starts_at_zero_and_counts),
        TEST(a_gauge_is_set_and_moved),
        TEST(numbers_are_short_and_exact),
        TEST(a_histogram_counts_what_is_at_most_its_bounds),
        TEST(a_histogram_with_labels_has_its_bound_last),
        TEST(the_buckets_for_latency_rise),
        TEST(the_same_labels_give_the_same_series),
        TEST(a_family_without_series_is_not_shown),
        TEST(label_values_and_help_are_escaped),
        TEST(a_long_label_value_is_cut_between_characters),
        TEST(series_beyond_the_bound_are_counted_as_other),
        TEST(a_value_that_is_called_other_is_no_second_series),
        TEST(a_wrong_number_of_values_is_counted_as_other),
        TEST(a_family_that_is_asked_for_again_is_the_same),
        TEST(many_series_are_all_found_again),
        TEST(names_may_have_digits_and_colons),
        TEST(more_metrics_than_the_limit_are_refused),
        TEST(values_are_computed_at_each_scrape),
        TEST(the_build_is_shown),
        TEST(the_process_shows_its_resources),
        TEST(a_start_is_read_behind_any_program_name),
        TEST(what_cannot_be_read_from_proc_has_no_value),
        TEST(without_memory_a_new_series_is_counted_as_other),
        TEST(no_update_of_several_threads_is_lost),
        TEST(a_text_that_does_not_fit_is_a_failure),
        TEST(promtool_accepts_the_text),
        cmocka_unit_test(bad_definitions_are_refused_with_a_reason),
        cmocka_unit_test(without_handles_nothing_happens),
        cmocka_unit_test(without_memory_the_check_at_the_start_fails),
        cmocka_unit_test(the_strict_reader_refuses_wrong_texts),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
