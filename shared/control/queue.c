/* The work queue: a hash table of keys, a list of those that wait, a list of those that are worked on. */
#include "control/queue.h"

#include "base/hash.h"

#include <assert.h>

#define BACKOFF_FIRST_NS (5 * CLOCK_NS_PER_MS)
#define BACKOFF_LAST_NS  (1000 * CLOCK_NS_PER_SEC)
#define UNFINISHED_NS    (500 * CLOCK_NS_PER_MS)

enum {
    FIRST_BUCKETS = 16, /* a power of two */
    SERIES_MAX = 16,    /* queues of a process */
};

struct entry {
    struct entry *next_by_key;
    struct entry **link_by_key;
    struct entry *next, **link; /* in the list of those that wait or of those that are worked on */
    struct queue *queue;
    struct timer timer;   /* set when the key is to be added later */
    int64_t since_ns;     /* waiting or being worked on */
    int64_t rests_ns;     /* until then */
    struct queue_key key; /* views into `texts` */
    uint32_t failures;
    bool is_working;
    bool is_dirty; /* waits, or will when its work is done */
    char texts[];
};

struct list {
    struct entry *first;
    struct entry **last;
    size_t count;
};

struct queue_metrics {
    struct gauge *depth;
    struct counter *adds;
    struct counter *retries;
    struct histogram *waited;
    struct histogram *worked;
    struct gauge *unfinished;
    struct gauge *longest;
};

struct queue {
    struct queue_config config;
    struct queue_metrics metrics;
    struct hash_seed seed;
    struct entry **buckets;
    size_t bucket_count; /* a power of two, at least as many as there are entries */
    size_t count;
    struct list waiting;
    struct list working;      /* longest first */
    struct timer measure_due; /* set while something is worked on */
};

static int64_t now(const struct queue *queue)
{
    return clock_now_ns(queue->config.clock);
}

static double seconds(int64_t ns)
{
    return (double)ns / (double)CLOCK_NS_PER_SEC;
}

/* ---- Lists ---- */

static void list_init(struct list *list)
{
    *list = (struct list){.last = &list->first};
}

static void list_append(struct list *list, struct entry *entry)
{
    entry->next = NULL;
    entry->link = list->last;
    *list->last = entry;
    list->last = &entry->next;
    list->count++;
}

static void list_remove(struct list *list, struct entry *entry)
{
    *entry->link = entry->next;
    if (entry->next)
        entry->next->link = entry->link;
    else
        list->last = entry->link;
    list->count--;
}

/* ---- Keys ---- */

static bool keys_equal(struct queue_key a, struct queue_key b)
{
    return str_eq(a.name, b.name) && str_eq(a.namespace, b.namespace);
}

static struct entry **bucket_of(const struct queue *queue, struct queue_key key)
{
    uint64_t hash = hash_pair(&queue->seed, key.namespace, key.name);
    return &queue->buckets[hash & (queue->bucket_count - 1)];
}

static struct entry *find(const struct queue *queue, struct queue_key key)
{
    struct entry *entry = *bucket_of(queue, key);
    while (entry && !keys_equal(entry->key, key))
        entry = entry->next_by_key;
    return entry;
}

static void put_in_table(struct queue *queue, struct entry *entry)
{
    struct entry **head = bucket_of(queue, entry->key);
    entry->next_by_key = *head;
    entry->link_by_key = head;
    if (*head)
        (*head)->link_by_key = &entry->next_by_key;
    *head = entry;
}

static struct entry **new_buckets(const struct mem *mem, size_t count)
{
    struct entry **buckets = mem_alloc(mem, count * sizeof(struct entry *));
    for (size_t i = 0; buckets && i < count; i++)
        buckets[i] = NULL;
    return buckets;
}

static bool grow(struct queue *queue)
{
    struct entry **old = queue->buckets;
    size_t old_count = queue->bucket_count;
    struct entry **buckets = new_buckets(queue->config.mem, old_count * 2);
    if (!buckets)
        return false;
    queue->buckets = buckets;
    queue->bucket_count = old_count * 2;
    for (size_t i = 0; i < old_count; i++) {
        for (struct entry *entry = old[i], *next; entry; entry = next) {
            next = entry->next_by_key;
            put_in_table(queue, entry);
        }
    }
    mem_free(queue->config.mem, old, old_count * sizeof(struct entry *));
    return true;
}

static size_t entry_size(struct queue_key key)
{
    return sizeof(struct entry) + key.namespace.len + key.name.len;
}

static struct str copy_text(char *to, struct str text)
{
    if (!str_is_set(text))
        return text;
    memcpy(to, text.ptr, text.len);
    return (struct str){to, text.len};
}

static void on_time(void *ctx, int64_t now_ns);

static struct entry *add_entry(struct queue *queue, struct queue_key key)
{
    if (queue->count == queue->bucket_count && !grow(queue))
        return NULL;
    size_t size = entry_size(key);
    struct entry *entry = mem_alloc(queue->config.mem, size);
    if (!entry)
        return NULL;
    *entry = (struct entry){.queue = queue};
    struct err err;
    if (timers_register(queue->config.timers, &entry->timer, on_time, entry, &err) < 0) {
        mem_free(queue->config.mem, entry, size);
        return NULL;
    }
    entry->key.namespace = copy_text(entry->texts, key.namespace);
    entry->key.name = copy_text(entry->texts + key.namespace.len, key.name);
    put_in_table(queue, entry);
    queue->count++;
    return entry;
}

static struct entry *find_or_add(struct queue *queue, struct queue_key key)
{
    struct entry *entry = find(queue, key);
    return entry ? entry : add_entry(queue, key);
}

static void free_entry(struct queue *queue, struct entry *entry)
{
    timers_unregister(queue->config.timers, &entry->timer);
    mem_free(queue->config.mem, entry, entry_size(entry->key));
}

/* Frees what nothing needs to be remembered of. */
static void let_go(struct queue *queue, struct entry *entry)
{
    if (entry->is_working || entry->is_dirty || entry->failures > 0 || timer_is_set(&entry->timer))
        return;
    *entry->link_by_key = entry->next_by_key;
    if (entry->next_by_key)
        entry->next_by_key->link_by_key = entry->link_by_key;
    queue->count--;
    free_entry(queue, entry);
}

/* ---- Adding ---- */

static void wait_in_line(struct queue *queue, struct entry *entry)
{
    entry->since_ns = now(queue);
    list_append(&queue->waiting, entry);
    gauge_set(queue->metrics.depth, (double)queue->waiting.count);
}

static void add_at(struct queue *queue, struct entry *entry, int64_t at_ns);

static void add(struct queue *queue, struct entry *entry)
{
    if (entry->is_dirty)
        return;
    if (!entry->is_working && now(queue) < entry->rests_ns) {
        add_at(queue, entry, entry->rests_ns);
        return;
    }
    entry->is_dirty = true;
    counter_add(queue->metrics.adds, 1);
    if (!entry->is_working)
        wait_in_line(queue, entry);
}

static void on_time(void *ctx, int64_t now_ns)
{
    (void)now_ns;
    struct entry *entry = ctx;
    add(entry->queue, entry);
}

static void add_at(struct queue *queue, struct entry *entry, int64_t at_ns)
{
    if (at_ns <= now(queue))
        add(queue, entry);
    else if (!timer_is_set(&entry->timer) || at_ns < entry->timer.at_ns)
        timers_set(queue->config.timers, &entry->timer, at_ns);
}

int queue_add(struct queue *queue, struct queue_key key)
{
    struct entry *entry = find_or_add(queue, key);
    if (!entry)
        return -1;
    add(queue, entry);
    return 0;
}

int queue_add_at(struct queue *queue, struct queue_key key, int64_t at_ns)
{
    struct entry *entry = find_or_add(queue, key);
    if (!entry)
        return -1;
    add_at(queue, entry, at_ns);
    return 0;
}

void queue_rest(struct queue *queue, struct queue_key key, int64_t until_ns)
{
    struct entry *entry = find(queue, key);
    assert(entry && entry->is_working);
    entry->rests_ns = until_ns;
}

static int64_t backoff_ns(uint32_t failures)
{
    int64_t delay_ns = BACKOFF_FIRST_NS;
    for (uint32_t i = 0; i < failures && delay_ns < BACKOFF_LAST_NS; i++)
        delay_ns *= 2;
    return delay_ns < BACKOFF_LAST_NS ? delay_ns : BACKOFF_LAST_NS;
}

int queue_add_failed(struct queue *queue, struct queue_key key)
{
    struct entry *entry = find_or_add(queue, key);
    if (!entry)
        return -1;
    int64_t delay_ns = backoff_ns(entry->failures);
    if (entry->failures < UINT32_MAX)
        entry->failures++;
    counter_add(queue->metrics.retries, 1);
    add_at(queue, entry, now(queue) + delay_ns);
    return 0;
}

void queue_forget(struct queue *queue, struct queue_key key)
{
    struct entry *entry = find(queue, key);
    if (!entry)
        return;
    entry->failures = 0;
    let_go(queue, entry);
}

/* ---- Working ---- */

static void measure(struct queue *queue, int64_t now_ns)
{
    double unfinished = 0;
    for (const struct entry *entry = queue->working.first; entry; entry = entry->next)
        unfinished += seconds(now_ns - entry->since_ns);
    const struct entry *longest = queue->working.first;
    gauge_set(queue->metrics.unfinished, unfinished);
    gauge_set(queue->metrics.longest, longest ? seconds(now_ns - longest->since_ns) : 0);
}

static void on_measure_due(void *ctx, int64_t now_ns)
{
    struct queue *queue = ctx;
    measure(queue, now_ns);
    timers_set(queue->config.timers, &queue->measure_due, now_ns + UNFINISHED_NS);
}

bool queue_take(struct queue *queue, struct queue_key *ret)
{
    struct entry *entry = queue->waiting.first;
    if (!entry)
        return false;
    int64_t now_ns = now(queue);
    histogram_observe(queue->metrics.waited, seconds(now_ns - entry->since_ns));
    list_remove(&queue->waiting, entry);
    gauge_set(queue->metrics.depth, (double)queue->waiting.count);
    entry->is_dirty = false;
    entry->is_working = true;
    entry->since_ns = now_ns;
    list_append(&queue->working, entry);
    if (!timer_is_set(&queue->measure_due))
        timers_set(queue->config.timers, &queue->measure_due, now_ns + UNFINISHED_NS);
    *ret = entry->key;
    return true;
}

void queue_done(struct queue *queue, struct queue_key key)
{
    struct entry *entry = find(queue, key);
    assert(entry && entry->is_working);
    int64_t now_ns = now(queue);
    histogram_observe(queue->metrics.worked, seconds(now_ns - entry->since_ns));
    list_remove(&queue->working, entry);
    entry->is_working = false;
    if (queue->working.count == 0) {
        timers_cancel(queue->config.timers, &queue->measure_due);
        measure(queue, now_ns);
    }
    if (now_ns < entry->rests_ns) {
        entry->is_dirty = false;
        add_at(queue, entry, entry->rests_ns);
    } else if (entry->is_dirty) {
        wait_in_line(queue, entry);
    } else {
        let_go(queue, entry);
    }
}

size_t queue_depth(const struct queue *queue)
{
    return queue->waiting.count;
}

/* ---- Making ---- */

/* As k8s.io/component-base metrics/prometheus/workqueue has them. */
static const double durations[] = {1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 100, 1000};

static struct gauge *make_gauge(const struct queue_config *config, const char *name,
                                const char *help)
{
    struct gauge_family *family =
        metrics_gauges(config->metrics, name, help, METRICS_LABELS("name"), SERIES_MAX);
    return gauge_of(family, METRICS_VALUES(str_from_cstr(config->name)));
}

static struct counter *make_counter(const struct queue_config *config, const char *name,
                                    const char *help)
{
    struct counter_family *family =
        metrics_counters(config->metrics, name, help, METRICS_LABELS("name"), SERIES_MAX);
    return counter_of(family, METRICS_VALUES(str_from_cstr(config->name)));
}

static struct histogram *make_histogram(const struct queue_config *config, const char *name,
                                        const char *help)
{
    const struct metrics_buckets buckets = {durations, sizeof(durations) / sizeof(durations[0])};
    struct histogram_family *family = metrics_histograms(
        config->metrics, name, help, METRICS_LABELS("name"), SERIES_MAX, buckets);
    return histogram_of(family, METRICS_VALUES(str_from_cstr(config->name)));
}

static struct queue_metrics make_metrics(const struct queue_config *config)
{
    if (!config->metrics)
        return (struct queue_metrics){0};
    return (struct queue_metrics){
        .depth = make_gauge(config, "workqueue_depth", "Keys that wait."),
        .adds = make_counter(config, "workqueue_adds_total", "Keys that were added."),
        .retries = make_counter(config, "workqueue_retries_total", "Keys added after a failure."),
        .waited = make_histogram(config, "workqueue_queue_duration_seconds",
                                 "From being added to being taken."),
        .worked = make_histogram(config, "workqueue_work_duration_seconds",
                                 "From being taken to being done."),
        .unfinished = make_gauge(config, "workqueue_unfinished_work_seconds",
                                 "Time that work in progress has taken, all keys together."),
        .longest = make_gauge(config, "workqueue_longest_running_processor_seconds",
                              "Time that the oldest work in progress has taken."),
    };
}

struct queue *queue_new(const struct queue_config *config, struct err *err)
{
    struct queue *queue = mem_alloc(config->mem, sizeof(*queue));
    struct entry **buckets = new_buckets(config->mem, FIRST_BUCKETS);
    if (!queue || !buckets) {
        err_no_memory(err, "setting up a work queue");
        goto fail;
    }
    *queue = (struct queue){
        .config = *config,
        .metrics = make_metrics(config),
        .seed = hash_seed_from(config->random),
        .buckets = buckets,
        .bucket_count = FIRST_BUCKETS,
    };
    list_init(&queue->waiting);
    list_init(&queue->working);
    if (timers_register(config->timers, &queue->measure_due, on_measure_due, queue, err) < 0)
        goto fail;
    return queue;
fail:
    mem_free(config->mem, buckets, FIRST_BUCKETS * sizeof(struct entry *));
    mem_free(config->mem, queue, sizeof(*queue));
    return NULL;
}

void queue_free(struct queue *queue)
{
    if (!queue)
        return;
    const struct mem *mem = queue->config.mem;
    for (size_t i = 0; i < queue->bucket_count; i++) {
        for (struct entry *entry = queue->buckets[i], *next; entry; entry = next) {
            next = entry->next_by_key;
            free_entry(queue, entry);
        }
    }
    timers_unregister(queue->config.timers, &queue->measure_due);
    mem_free(mem, queue->buckets, queue->bucket_count * sizeof(struct entry *));
    mem_free(mem, queue, sizeof(*queue));
}
