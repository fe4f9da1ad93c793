/* Metrics: a registry of families of series with atomic values, and its text form. */
#include "base/metrics.h"

#include "base/utf8.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ARENA_BLOCK = 16 * 1024,
    ARENA_MAX = 8 * 1024 * 1024,
    SERIES_MAX = 10000, /* of one metric: more than any scraper is glad of */
    METRICS_MAX = 500,
};

struct counter {
    _Atomic uint64_t value;
};

/* The value is the bits of a double: an atomic double would need libatomic for some operations. */
struct gauge {
    _Atomic uint64_t bits;
};

struct histogram {
    struct metrics_buckets buckets;
    _Atomic uint64_t sum_bits;
    _Atomic uint64_t counts[]; /* of each bucket alone, the last of +Inf */
};

struct series {
    const struct str *values; /* of the labels */
    union {
        struct counter counter;
        struct gauge gauge;
        struct histogram *histogram;
    };
};

enum type { TYPE_COUNTER, TYPE_GAUGE, TYPE_HISTOGRAM };

struct metric {
    struct metric *next;
    struct metrics *metrics;
    const char *name;
    const char *help;
    enum type type;
    struct metrics_labels labels;
    struct metrics_buckets buckets;
    void (*collect)(void *ctx, struct metrics_scrape *scrape); /* NULL for a metric with series */
    void *collect_ctx;

    size_t max_series;
    struct counter *dropped; /* look-ups that met the bound */
    /*
     * Series are never removed, so readers need no lock. `all` has them in the order of their
     * making, the first `shown` are complete; `slots` is a hash table with open addressing that is
     * at most half full. Both are written under the registry's lock.
     */
    _Atomic size_t shown;
    struct series **all;
    _Atomic(struct series *) *slots;
    size_t slot_mask;
    struct series
        *other; /* takes what is beyond the bound; the only one of a metric without labels */
    _Atomic bool other_shown;
    _Atomic bool full;
};

struct counter_family {
    struct metric metric;
};
struct gauge_family {
    struct metric metric;
};
struct histogram_family {
    struct metric metric;
};

static const double latency_bounds[] = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025,
                                        0.005,   0.01,   0.025,   0.05,   0.1,   0.25,
                                        0.5,     1,      2.5,     5,      10};
const struct metrics_buckets metrics_buckets_latency = {
    latency_bounds, sizeof(latency_bounds) / sizeof(latency_bounds[0])};

/* ---- Doubles as atomic bits ----------------------------------------------------------------- */

static double double_from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static uint64_t bits_from_double(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static double load_double(const _Atomic uint64_t *bits)
{
    return double_from_bits(atomic_load_explicit(bits, memory_order_relaxed));
}

static void add_double(_Atomic uint64_t *bits, double delta)
{
    uint64_t old = atomic_load_explicit(bits, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(bits, &old,
                                                  bits_from_double(double_from_bits(old) + delta),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

/* ---- Making metrics ------------------------------------------------------------------------- */

void metrics_init(struct metrics *metrics, const struct mem *mem)
{
    *metrics = (struct metrics){.lock = PTHREAD_MUTEX_INITIALIZER};
    arena_init(&metrics->arena, mem, ARENA_BLOCK, ARENA_MAX);
    metrics->last = &metrics->first;
    metrics->dropped = metrics_counters(
        metrics, "callboard_metrics_series_dropped_total",
        "Look-ups of label values that were counted as \"other\", because the metric has as many "
        "series as it may.",
        METRICS_LABELS("metric"), METRICS_MAX);
}

void metrics_done(struct metrics *metrics)
{
    arena_done(&metrics->arena);
    pthread_mutex_destroy(&metrics->lock);
}

int metrics_check(const struct metrics *metrics, struct err *err)
{
    if (!metrics->failed)
        return 0;
    *err = metrics->err;
    return -1;
}

static bool is_name(const char *name, bool colon_allowed)
{
    for (const char *c = name; *c; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_' ||
                      (colon_allowed && *c == ':');
        bool digit = *c >= '0' && *c <= '9' && c > name;
        if (!letter && !digit)
            return false;
    }
    return name[0] != '\0';
}

static int check_labels(const struct metric *metric, struct err *err)
{
    struct metrics_labels labels = metric->labels;
    if (labels.count > METRICS_LABELS_MAX)
        return err_set(err, 500, "metric %s: more than %d labels", metric->name,
                       METRICS_LABELS_MAX);
    for (size_t i = 0; i < labels.count; i++) {
        const char *name = labels.names[i];
        bool reserved = strncmp(name, "__", 2) == 0 ||
                        (metric->type == TYPE_HISTOGRAM && strcmp(name, "le") == 0);
        if (reserved || !is_name(name, false))
            return err_set(err, 500, "metric %s: bad label \"%s\"", metric->name, name);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(name, labels.names[j]) == 0)
                return err_set(err, 500, "metric %s: label %s appears twice", metric->name, name);
        }
    }
    return 0;
}

static int check_buckets(const struct metric *metric, struct err *err)
{
    struct metrics_buckets buckets = metric->buckets;
    if (metric->type != TYPE_HISTOGRAM)
        return 0;
    if (buckets.count == 0 || buckets.count > METRICS_BUCKETS_MAX)
        return err_set(err, 500, "metric %s: from 1 to %d buckets are possible", metric->name,
                       METRICS_BUCKETS_MAX);
    for (size_t i = 0; i < buckets.count; i++) {
        /* Written so that NaN fails too. */
        if (!isfinite(buckets.bounds[i]) || (i > 0 && !(buckets.bounds[i] > buckets.bounds[i - 1])))
            return err_set(err, 500, "metric %s: the bounds of the buckets must rise",
                           metric->name);
    }
    return 0;
}

static int check_metric(const struct metrics *metrics, const struct metric *metric, struct err *err)
{
    if (!is_name(metric->name, true))
        return err_set(err, 500, "bad name of a metric: \"%s\"", metric->name);
    if (metric->max_series == 0 || metric->max_series > SERIES_MAX)
        return err_set(err, 500, "metric %s: from 1 to %d series are possible", metric->name,
                       SERIES_MAX);
    size_t count = 0;
    for (const struct metric *m = metrics->first; m; m = m->next, count++) {
        if (strcmp(m->name, metric->name) == 0)
            return err_set(err, 500, "metric %s was made twice", metric->name);
    }
    if (count >= METRICS_MAX)
        return err_set(err, 500, "more than %d metrics", METRICS_MAX);
    if (check_labels(metric, err) < 0)
        return -1;
    return check_buckets(metric, err);
}

static struct histogram *histogram_new(struct arena *arena, struct metrics_buckets buckets)
{
    size_t counts = (buckets.count + 1) * sizeof(_Atomic uint64_t);
    struct histogram *histogram = arena_alloc(arena, sizeof(*histogram) + counts);
    if (histogram)
        histogram->buckets = buckets;
    return histogram;
}

/* A series that nobody sees yet, with copies of the values. */
static struct series *series_new(struct metric *metric, const struct str *values)
{
    struct arena *arena = &metric->metrics->arena;
    struct series *series = ARENA_NEW(arena, struct series);
    struct str *copies = ARENA_NEW_ARRAY(arena, struct str, metric->labels.count);
    if (!series || !copies)
        return NULL;
    for (size_t i = 0; i < metric->labels.count; i++) {
        copies[i] = arena_copy(arena, values[i]);
        if (!str_is_set(copies[i]))
            return NULL;
    }
    series->values = copies;
    if (metric->type == TYPE_HISTOGRAM) {
        series->histogram = histogram_new(arena, metric->buckets);
        if (!series->histogram)
            return NULL;
    }
    return series;
}

static uint64_t hash_values(const struct str *values, size_t count)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325); /* FNV-1a */
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j <= values[i].len; j++) { /* the end of each value counts too */
            unsigned char c = j < values[i].len ? (unsigned char)values[i].ptr[j] : 0xFF;
            hash = (hash ^ c) * UINT64_C(0x100000001B3);
        }
    }
    return hash;
}

static bool values_equal(const struct str *a, const struct str *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(a[i], b[i]))
            return false;
    }
    return true;
}

/* The slot that holds the values, or the free one that is theirs. */
static size_t find_slot(const struct metric *metric, const struct str *values)
{
    size_t slot = hash_values(values, metric->labels.count) & metric->slot_mask;
    for (;; slot = (slot + 1) & metric->slot_mask) {
        const struct series *series =
            atomic_load_explicit(&metric->slots[slot], memory_order_acquire);
        if (!series || values_equal(series->values, values, metric->labels.count))
            return slot;
    }
}

/* Makes a complete series visible to metrics_write(). Under the lock, or before there are threads.
 */
static void show_series(struct metric *metric, struct series *series)
{
    size_t shown = atomic_load_explicit(&metric->shown, memory_order_relaxed);
    metric->all[shown] = series;
    atomic_store_explicit(&metric->shown, shown + 1, memory_order_release);
}

static void fill_slot(struct metric *metric, size_t slot, struct series *series)
{
    atomic_store_explicit(&metric->slots[slot], series, memory_order_release);
}

/* The tables, and the series "other". */
static int make_series_tables(struct metric *metric, struct err *err)
{
    struct arena *arena = &metric->metrics->arena;
    size_t slots = 4;
    while (slots < 2 * (metric->max_series + 1))
        slots *= 2;
    metric->slot_mask = slots - 1;
    metric->slots = ARENA_NEW_ARRAY(arena, _Atomic(struct series *), slots);
    metric->all = ARENA_NEW_ARRAY(arena, struct series *, metric->max_series + 1);
    struct str others[METRICS_LABELS_MAX];
    for (size_t i = 0; i < METRICS_LABELS_MAX; i++)
        others[i] = STR("other");
    metric->other = series_new(metric, others);
    if (!metric->slots || !metric->all || !metric->other)
        return err_no_memory(err, metric->name);
    fill_slot(metric, find_slot(metric, others), metric->other);
    if (metric->labels.count > 0)
        return 0;
    show_series(metric, metric->other);
    metric->other_shown = true;
    return 0;
}

/* Counts what meets the bound of a metric with labels; a registry without its own first metric has
 * failed already. */
static struct counter *make_dropped_counter(struct metrics *metrics, const struct metric *metric)
{
    if (metric->labels.count == 0)
        return NULL;
    return counter_of(metrics->dropped, METRICS_VALUES(str_from_cstr(metric->name)));
}

static int fill_metric(struct metrics *metrics, struct metric *metric, struct err *err)
{
    if (check_metric(metrics, metric, err) < 0)
        return -1;
    size_t count = metric->labels.count;
    const char **names = ARENA_NEW_ARRAY(&metrics->arena, const char *, count);
    if (!names)
        return err_no_memory(err, metric->name);
    if (count > 0)
        memcpy(names, metric->labels.names, count * sizeof(*names));
    metric->labels.names = names;
    metric->dropped = make_dropped_counter(metrics, metric);
    return metric->collect ? 0 : make_series_tables(metric, err);
}

/* Only the first failure is kept: others may follow from it. */
static void keep_failure(struct metrics *metrics, const struct err *err)
{
    if (!metrics->failed)
        metrics->err = *err;
    metrics->failed = true;
}

void metrics_fail_memory(struct metrics *metrics, const char *doing)
{
    struct err err;
    err_no_memory(&err, doing);
    keep_failure(metrics, &err);
}

static bool is_same_metric(const struct metric *a, const struct metric *b)
{
    bool same = strcmp(a->name, b->name) == 0 && strcmp(a->help, b->help) == 0 &&
                a->type == b->type && a->labels.count == b->labels.count &&
                a->max_series == b->max_series && a->buckets.count == b->buckets.count &&
                !a->collect && !b->collect;
    for (size_t i = 0; same && i < a->labels.count; i++)
        same = strcmp(a->labels.names[i], b->labels.names[i]) == 0;
    for (size_t i = 0; same && i < a->buckets.count; i++)
        same = a->buckets.bounds[i] == b->buckets.bounds[i];
    return same;
}

/* A family with labels that was made before, exactly so, or NULL. */
static struct metric *find_shared(const struct metrics *metrics, const struct metric *wanted)
{
    if (wanted->labels.count == 0)
        return NULL;
    struct metric *metric = metrics->first;
    while (metric && !is_same_metric(metric, wanted))
        metric = metric->next;
    return metric;
}

/* Puts `wanted` into `place`, which is NULL without memory, and into the registry. */
static bool add_metric(struct metrics *metrics, struct metric *place, struct metric wanted)
{
    if (!place) {
        metrics_fail_memory(metrics, wanted.name);
        return false;
    }
    *place = wanted;
    place->metrics = metrics;
    struct err err;
    if (fill_metric(metrics, place, &err) < 0) {
        keep_failure(metrics, &err);
        return false;
    }
    *metrics->last = place;
    metrics->last = &place->next;
    return true;
}

struct counter_family *metrics_counters(struct metrics *metrics, const char *name, const char *help,
                                        struct metrics_labels labels, size_t max_series)
{
    struct metric wanted = {.name = name,
                            .help = help,
                            .type = TYPE_COUNTER,
                            .labels = labels,
                            .max_series = max_series};
    struct metric *shared = find_shared(metrics, &wanted);
    if (shared)
        return (struct counter_family *)shared;
    struct counter_family *family = ARENA_NEW(&metrics->arena, struct counter_family);
    return add_metric(metrics, family ? &family->metric : NULL, wanted) ? family : NULL;
}

struct counter *metrics_counter(struct metrics *metrics, const char *name, const char *help)
{
    return counter_of(metrics_counters(metrics, name, help, METRICS_NO_LABELS, 1),
                      METRICS_NO_VALUES);
}

struct gauge_family *metrics_gauges(struct metrics *metrics, const char *name, const char *help,
                                    struct metrics_labels labels, size_t max_series)
{
    struct metric wanted = {
        .name = name, .help = help, .type = TYPE_GAUGE, .labels = labels, .max_series = max_series};
    struct metric *shared = find_shared(metrics, &wanted);
    if (shared)
        return (struct gauge_family *)shared;
    struct gauge_family *family = ARENA_NEW(&metrics->arena, struct gauge_family);
    return add_metric(metrics, family ? &family->metric : NULL, wanted) ? family : NULL;
}

struct gauge *metrics_gauge(struct metrics *metrics, const char *name, const char *help)
{
    return gauge_of(metrics_gauges(metrics, name, help, METRICS_NO_LABELS, 1), METRICS_NO_VALUES);
}

struct histogram_family *metrics_histograms(struct metrics *metrics, const char *name,
                                            const char *help, struct metrics_labels labels,
                                            size_t max_series, struct metrics_buckets buckets)
{
    struct metric wanted = {.name = name,
                            .help = help,
                            .type = TYPE_HISTOGRAM,
                            .labels = labels,
                            .max_series = max_series,
                            .buckets = buckets};
    struct metric *shared = find_shared(metrics, &wanted);
    if (shared)
        return (struct histogram_family *)shared;
    struct histogram_family *family = ARENA_NEW(&metrics->arena, struct histogram_family);
    return add_metric(metrics, family ? &family->metric : NULL, wanted) ? family : NULL;
}

struct histogram *metrics_histogram(struct metrics *metrics, const char *name, const char *help,
                                    struct metrics_buckets buckets)
{
    return histogram_of(metrics_histograms(metrics, name, help, METRICS_NO_LABELS, 1, buckets),
                        METRICS_NO_VALUES);
}

void metrics_collector(struct metrics *metrics, enum metrics_kind kind, const char *name,
                       const char *help, struct metrics_labels labels, size_t max_series,
                       void (*collect)(void *ctx, struct metrics_scrape *scrape), void *ctx)
{
    add_metric(metrics, ARENA_NEW(&metrics->arena, struct metric),
               (struct metric){.name = name,
                               .help = help,
                               .type = kind == METRICS_COUNTER ? TYPE_COUNTER : TYPE_GAUGE,
                               .labels = labels,
                               .max_series = max_series,
                               .collect = collect,
                               .collect_ctx = ctx});
}

/* ---- Finding series ------------------------------------------------------------------------- */

/* The value as it is shown: a scraper refuses the whole text for a NUL or for what is no UTF-8.
 * Made before the look-up, so that no two series are shown alike. */
static struct str clean_value(struct str value)
{
    struct str cut = utf8_cut(value, METRICS_VALUE_MAX);
    return utf8_is_valid(cut) && str_find(cut, '\0') < 0 ? cut : STR("invalid");
}

/* The series "other" appears only once something was counted there. */
static struct series *give_other(struct metric *metric)
{
    if (atomic_load_explicit(&metric->other_shown, memory_order_relaxed))
        return metric->other;
    struct metrics *metrics = metric->metrics;
    pthread_mutex_lock(&metrics->lock);
    if (!metric->other_shown)
        show_series(metric, metric->other);
    metric->other_shown = true;
    pthread_mutex_unlock(&metrics->lock);
    return metric->other;
}

static struct series *give_other_for_dropped(struct metric *metric)
{
    counter_add(metric->dropped, 1);
    return give_other(metric);
}

/* A new series, or one that another thread has just made; NULL at the bound. Under the lock. */
static struct series *add_series(struct metric *metric, const struct str *values)
{
    size_t slot = find_slot(metric, values);
    struct series *series = atomic_load_explicit(&metric->slots[slot], memory_order_relaxed);
    if (series)
        return series;
    size_t made = atomic_load_explicit(&metric->shown, memory_order_relaxed) - metric->other_shown;
    series = made < metric->max_series ? series_new(metric, values) : NULL;
    if (!series) {
        atomic_store_explicit(&metric->full, true, memory_order_relaxed);
        return NULL;
    }
    fill_slot(metric, slot, series);
    show_series(metric, series);
    return series;
}

static struct series *series_of(struct metric *metric, struct metrics_values given)
{
    size_t count = metric->labels.count;
    if (count == 0)
        return metric->other;
    if (given.count != count)
        return give_other_for_dropped(metric);
    struct str values[METRICS_LABELS_MAX];
    for (size_t i = 0; i < count; i++)
        values[i] = clean_value(given.values[i]);

    size_t slot = find_slot(metric, values);
    struct series *series = atomic_load_explicit(&metric->slots[slot], memory_order_acquire);
    if (!series && !atomic_load_explicit(&metric->full, memory_order_relaxed)) {
        pthread_mutex_lock(&metric->metrics->lock);
        series = add_series(metric, values);
        pthread_mutex_unlock(&metric->metrics->lock);
    }
    if (!series)
        return give_other_for_dropped(metric);
    return series == metric->other ? give_other(metric) : series;
}

struct counter *counter_of(struct counter_family *family, struct metrics_values values)
{
    return family ? &series_of(&family->metric, values)->counter : NULL;
}

struct gauge *gauge_of(struct gauge_family *family, struct metrics_values values)
{
    return family ? &series_of(&family->metric, values)->gauge : NULL;
}

struct histogram *histogram_of(struct histogram_family *family, struct metrics_values values)
{
    return family ? series_of(&family->metric, values)->histogram : NULL;
}

/* ---- Updates -------------------------------------------------------------------------------- */

void counter_add(struct counter *counter, uint64_t n)
{
    if (counter)
        atomic_fetch_add_explicit(&counter->value, n, memory_order_relaxed);
}

uint64_t counter_value(const struct counter *counter)
{
    return counter ? atomic_load_explicit(&counter->value, memory_order_relaxed) : 0;
}

void gauge_set(struct gauge *gauge, double value)
{
    if (gauge)
        atomic_store_explicit(&gauge->bits, bits_from_double(value), memory_order_relaxed);
}

void gauge_add(struct gauge *gauge, double delta)
{
    if (gauge)
        add_double(&gauge->bits, delta);
}

double gauge_value(const struct gauge *gauge)
{
    return gauge ? load_double(&gauge->bits) : 0;
}

void histogram_observe(struct histogram *histogram, double value)
{
    if (!histogram || isnan(value))
        return;
    size_t bucket = 0;
    while (bucket < histogram->buckets.count && value > histogram->buckets.bounds[bucket])
        bucket++;
    atomic_fetch_add_explicit(&histogram->counts[bucket], 1, memory_order_relaxed);
    add_double(&histogram->sum_bits, value);
}

uint64_t histogram_count(const struct histogram *histogram)
{
    uint64_t count = 0;
    for (size_t i = 0; histogram && i <= histogram->buckets.count; i++)
        count += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
    return count;
}

/* ---- The text ------------------------------------------------------------------------------- */

struct metrics_scrape {
    struct buf *buf;
    const struct metric *metric;
    size_t samples;
};

static void put_escaped(struct buf *buf, struct str s, bool quoted)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\n')
            buf_put(buf, STR("\\n"));
        else if (s.ptr[i] == '\\' || (s.ptr[i] == '"' && quoted))
            buf_printf(buf, "\\%c", s.ptr[i]);
        else
            buf_put_char(buf, s.ptr[i]);
    }
}

/* The shortest text that reads back as the same number. */
static void put_double(struct buf *buf, double value)
{
    char text[32];
    if (isnan(value)) {
        buf_put(buf, STR("NaN"));
        return;
    }
    if (isinf(value)) {
        buf_put(buf, value > 0 ? STR("+Inf") : STR("-Inf"));
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    buf_put(buf, str_from_cstr(text));
}

static void put_header(struct buf *buf, const struct metric *metric)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    buf_printf(buf, "# HELP %s ", metric->name);
    put_escaped(buf, str_from_cstr(metric->help), false);
    buf_printf(buf, "\n# TYPE %s %s\n", metric->name, types[metric->type]);
}

/* NAME{LABELS,le="BOUND"} and a blank; `bound` is NULL for none. */
static void put_name(struct buf *buf, const struct metric *metric, const char *suffix,
                     const struct str *values, const double *bound)
{
    buf_printf(buf, "%s%s", metric->name, suffix);
    const char *separator = "{";
    for (size_t i = 0; i < metric->labels.count; i++) {
        buf_printf(buf, "%s%s=\"", separator, metric->labels.names[i]);
        put_escaped(buf, values[i], true);
        buf_put(buf, STR("\""));
        separator = ",";
    }
    if (bound) {
        buf_printf(buf, "%sle=\"", separator);
        put_double(buf, *bound);
        buf_put(buf, STR("\""));
    }
    buf_put(buf, metric->labels.count > 0 || bound ? STR("} ") : STR(" "));
}

static void put_histogram(struct buf *buf, const struct metric *metric, const struct series *series)
{
    const struct histogram *histogram = series->histogram;
    uint64_t count = 0;
    for (size_t i = 0; i <= metric->buckets.count; i++) {
        double bound = i < metric->buckets.count ? metric->buckets.bounds[i] : INFINITY;
        count += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        put_name(buf, metric, "_bucket", series->values, &bound);
        buf_printf(buf, "%llu\n", (unsigned long long)count);
    }
    put_name(buf, metric, "_sum", series->values, NULL);
    put_double(buf, load_double(&histogram->sum_bits));
    buf_put(buf, STR("\n"));
    /* Not a counter of its own: it must equal the bucket of +Inf while others count on. */
    put_name(buf, metric, "_count", series->values, NULL);
    buf_printf(buf, "%llu\n", (unsigned long long)count);
}

static void put_series(struct buf *buf, const struct metric *metric, const struct series *series)
{
    if (metric->type == TYPE_HISTOGRAM) {
        put_histogram(buf, metric, series);
        return;
    }
    put_name(buf, metric, "", series->values, NULL);
    if (metric->type == TYPE_COUNTER)
        buf_printf(buf, "%llu", (unsigned long long)counter_value(&series->counter));
    else
        put_double(buf, gauge_value(&series->gauge));
    buf_put(buf, STR("\n"));
}

void metrics_sample(struct metrics_scrape *scrape, struct metrics_values values, double value)
{
    const struct metric *metric = scrape->metric;
    if (values.count != metric->labels.count || scrape->samples == metric->max_series) {
        counter_add(metric->dropped, 1);
        return;
    }
    if (scrape->samples++ == 0)
        put_header(scrape->buf, metric);
    struct str clean[METRICS_LABELS_MAX];
    for (size_t i = 0; i < values.count; i++)
        clean[i] = clean_value(values.values[i]);
    put_name(scrape->buf, metric, "", clean, NULL);
    put_double(scrape->buf, value);
    buf_put(scrape->buf, STR("\n"));
}

void metrics_write(struct metrics *metrics, struct buf *buf)
{
    for (const struct metric *metric = metrics->first; metric; metric = metric->next) {
        if (metric->collect) {
            struct metrics_scrape scrape = {.buf = buf, .metric = metric};
            metric->collect(metric->collect_ctx, &scrape);
            continue;
        }
        size_t shown = atomic_load_explicit(&metric->shown, memory_order_acquire);
        if (shown > 0)
            put_header(buf, metric);
        for (size_t i = 0; i < shown; i++)
            put_series(buf, metric, metric->all[i]);
    }
}
