/*
 * Metrics in Prometheus' text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 *
 *   struct metrics metrics;
 *   metrics_init(&metrics, mem_system());
 *   struct counter *reviews = metrics_counter(&metrics, "callboard_webhook_reviews_total", "…");
 *   struct counter_family *verdicts = metrics_counters(
 *       &metrics, "callboard_webhook_verdicts_total", "…", METRICS_LABELS("kind", "verdict"), 100);
 *   if (metrics_check(&metrics, err) < 0) …
 *
 *   counter_add(reviews, 1);
 *   counter_add(counter_of(verdicts, METRICS_VALUES(kind, STR("allowed"))), 1);
 *
 * All metrics are made at the start, by one thread, before the first update or metrics_write().
 * Failure is sticky and asked for once. Handles live as long as the registry. Everything that takes
 * a handle accepts NULL and then does nothing, so that code runs without metrics.
 *
 * Updates, look-ups of a series and metrics_write() may come from any number of threads: updates
 * are single atomic operations, a look-up takes a lock only for a combination of labels that is
 * new.
 *
 * Asking again for a family with labels, in exactly the same words, gives the same family: two work
 * queues share theirs.
 *
 * A family has at most `max_series` combinations. Further ones are counted together in a series
 * whose values are all "other", and callboard_metrics_series_dropped_total tells for which metric.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

#include <pthread.h>

enum {
    METRICS_LABELS_MAX = 6,
    METRICS_VALUE_MAX = 128, /* bytes of a label value; longer ones are cut */
    METRICS_BUCKETS_MAX = 24,
};

struct metric; /* one name with its series */

struct metrics {
    struct arena arena; /* of all that is made; under `lock` */
    pthread_mutex_t lock;
    struct metric *first;
    struct metric **last;
    struct counter_family *dropped;
    bool failed;
    struct err err; /* the first failure */
};

/* Nothing else fails at once: see metrics_check(). The registry must not be moved. */
void metrics_init(struct metrics *metrics, const struct mem *mem);
void metrics_done(struct metrics *metrics);

/* For those who make metrics: without memory for `doing`, metrics_check() fails. */
void metrics_fail_memory(struct metrics *metrics, const char *doing);
/* After all were made: -1 with the first error when a name was wrong or taken, or there was no
 * memory. */
int metrics_check(const struct metrics *metrics, struct err *err);

/* Label names, at most METRICS_LABELS_MAX. They, names, help and buckets are kept as pointers. */
struct metrics_labels {
    const char *const *names;
    size_t count;
};
#define METRICS_LABELS(...)                                      \
    ((struct metrics_labels){(const char *const[]){__VA_ARGS__}, \
                             sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)})
#define METRICS_NO_LABELS ((struct metrics_labels){NULL, 0})

/* Label values in the order of the names: as many, else the look-up gives "other". Text that is no
 * UTF-8 or has a NUL is shown as "invalid", an absent value as "". */
struct metrics_values {
    const struct str *values;
    size_t count;
};
#define METRICS_VALUES(...)                                     \
    ((struct metrics_values){(const struct str[]){__VA_ARGS__}, \
                             sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str)})
#define METRICS_NO_VALUES ((struct metrics_values){NULL, 0})

/* ---- Counters: how often since the start ---------------------------------------------------- */

struct counter;
struct counter_family;

struct counter *metrics_counter(struct metrics *metrics, const char *name, const char *help);
struct counter_family *metrics_counters(struct metrics *metrics, const char *name, const char *help,
                                        struct metrics_labels labels, size_t max_series);
struct counter *counter_of(struct counter_family *family, struct metrics_values values);
void counter_add(struct counter *counter, uint64_t n);
uint64_t counter_value(const struct counter *counter);

/* ---- Gauges: how much now ------------------------------------------------------------------- */

struct gauge;
struct gauge_family;

struct gauge *metrics_gauge(struct metrics *metrics, const char *name, const char *help);
struct gauge_family *metrics_gauges(struct metrics *metrics, const char *name, const char *help,
                                    struct metrics_labels labels, size_t max_series);
struct gauge *gauge_of(struct gauge_family *family, struct metrics_values values);
void gauge_set(struct gauge *gauge, double value);
void gauge_add(struct gauge *gauge, double delta);
double gauge_value(const struct gauge *gauge);

/* ---- Histograms: how long, how large -------------------------------------------------------- */

struct histogram;
struct histogram_family;

/* The upper bounds of the buckets, rising, at most METRICS_BUCKETS_MAX; +Inf comes by itself. */
struct metrics_buckets {
    const double *bounds;
    size_t count;
};
/* Seconds, from 50 µs to 10 s. */
extern const struct metrics_buckets metrics_buckets_latency;

struct histogram *metrics_histogram(struct metrics *metrics, const char *name, const char *help,
                                    struct metrics_buckets buckets);
struct histogram_family *metrics_histograms(struct metrics *metrics, const char *name,
                                            const char *help, struct metrics_labels labels,
                                            size_t max_series, struct metrics_buckets buckets);
struct histogram *histogram_of(struct histogram_family *family, struct metrics_values values);
/* NaN is not observed. */
void histogram_observe(struct histogram *histogram, double value);
uint64_t histogram_count(const struct histogram *histogram);

/* ---- Values that are computed when they are asked for --------------------------------------- */

enum metrics_kind { METRICS_COUNTER, METRICS_GAUGE };

struct metrics_scrape;

/*
 * `collect` is called by each metrics_write() and gives the values with metrics_sample(): one for a
 * metric without labels; with labels, at most `max_series` combinations, each once. It may be
 * called by several threads at once, without a lock.
 */
void metrics_collector(struct metrics *metrics, enum metrics_kind kind, const char *name,
                       const char *help, struct metrics_labels labels, size_t max_series,
                       void (*collect)(void *ctx, struct metrics_scrape *scrape), void *ctx);
void metrics_sample(struct metrics_scrape *scrape, struct metrics_values values, double value);

/* ---- Metrics of every program --------------------------------------------------------------- */

/* callboard_build_info{version="…"} 1; the text must outlive the registry. */
void metrics_add_build_info(struct metrics *metrics, const char *version);
/* The process_* metrics of Prometheus' own clients: memory, CPU, file descriptors, start. `proc` is
 * "/proc/self" (another folder in tests); what cannot be read from it has no value. */
void metrics_add_process(struct metrics *metrics, const char *proc, const struct clock *clock);

/* Appends the whole text: its media type is METRICS_MEDIA_TYPE. */
#define METRICS_MEDIA_TYPE "text/plain; version=0.0.4; charset=utf-8"
void metrics_write(struct metrics *metrics, struct buf *buf);

#endif
