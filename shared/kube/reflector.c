/* List and watch. */
#include "kube/reflector.h"

#include "kube/pieces.h"

#include <stdio.h>

#define BACKOFF_FIRST_NS   (800 * CLOCK_NS_PER_MS)
#define BACKOFF_LAST_NS    (30 * CLOCK_NS_PER_SEC)
#define BACKOFF_RESET_NS   (120 * CLOCK_NS_PER_SEC)
/* A server may ask for more patience, but not for any. */
#define RETRY_AFTER_MAX_NS (120 * CLOCK_NS_PER_SEC)

/* The server sends a bookmark about every minute (apiserver pkg/storage/cacher, bookmarkFrequency), but none
 * while the version stands still, as it may on an idle cluster. So silence does not prove a dead
 * connection: the watch goes on with a new request, which costs next to nothing. */
#define SILENCE_NS (90 * CLOCK_NS_PER_SEC)
/* After half an hour of that the versions may have been put back by a restore of etcd, and no event would
 * ever come. */
enum { SILENCES_MAX = 20 };
/* A watch that ended sooner, without an event, was no success. */
#define SHORT_NS (1 * CLOCK_NS_PER_SEC)
/* The server ends a watch after this time, and as much again at random. */
enum { WATCH_SECONDS = 300 };
#define PAGE_TIMEOUT_NS (60 * CLOCK_NS_PER_SEC)
#define PAGE_SILENCE_NS (30 * CLOCK_NS_PER_SEC)

enum {
    OBJECT_DEFAULT = 4 << 20,
    PAGE_DEFAULT = 500,
    REFUSAL_MAX = 64 << 10, /* of an answer that is none of objects */
    TARGET_MAX = 16 << 10,
    PROBLEM_MAX = 256,
    ARENA_BLOCK = 16 << 10,
    REFUSALS_MAX = 3, /* of a watch that goes on, before a new list */
    STREAMS_MAX = 3,  /* streamed lists that broke off, before the list is read in pages */
    SERIES_MAX = 32,
};

/* 11 MiB of nodes and at most 16 MiB for the keys of objects, so that the arena's bound is never what an
 * object fails on: without memory then means just that. */
static const struct json_limits limits = {
    .max_depth = 64, .max_values = 200000, .leave_out_managed_fields = true};
enum { ARENA_EXTRA = 28 << 20 };

/* What one exchange found wrong in an answer that the server gave. */
enum fault {
    FAULT_NONE,
    FAULT_MALFORMED,
    FAULT_NO_MEMORY,
    FAULT_EXPIRED, /* 410 */
    FAULT_BUSY,    /* 429 */
    FAULT_ERROR,   /* another ERROR event */
};

struct reflector_metrics {
    struct counter_family *lists;
    struct counter_family *skipped;
    struct counter *watches;
    struct counter *objects;
    struct gauge *version;
};

struct kube_reflector {
    struct kube_reflector_config config;
    struct reflector_metrics metrics;
    struct arena texts;  /* copies of what the configuration names */
    struct arena object; /* of one object at a time */
    struct pieces pieces;
    struct timer retry;
    struct kube_exchange *exchange;

    bool is_list_next;       /* after the backoff: a list, else the watch goes on */
    const char *list_reason; /* why */
    bool has_synced;
    bool is_fresh;
    uint64_t version; /* given to the sink */
    int64_t heard_ns;
    int64_t backoff_ns;    /* the next one */
    int64_t backed_off_ns; /* when the last one was used */
    int64_t listed_ns;     /* when the last list was begun */
    char problem[PROBLEM_MAX];

    /* What this server does. */
    bool is_stream_refused;
    unsigned broken_streams;
    unsigned refusals;
    unsigned silences;

    /* The list that is under way. */
    bool is_listing;  /* until its end */
    bool has_begun;   /* the sink knows */
    bool is_unpaged;  /* a continue token has expired twice */
    bool has_expired; /* once */
    struct buf token; /* of the next page; empty: it was the last */
    uint64_t list_version;

    /* The exchange that is under way. */
    bool is_watch;
    bool has_events;
    int64_t sent_ns;
    enum fault fault;
};

static int64_t now(const struct kube_reflector *reflector)
{
    return clock_now_ns(reflector->config.clock);
}

static struct str resource_label(const struct kube_reflector *reflector)
{
    return str_from_cstr(reflector->config.resource->plural);
}

/* ---- When something failed ---- */

static void set_problem(struct kube_reflector *reflector, int64_t status, struct str text)
{
    if (status)
        snprintf(reflector->problem, PROBLEM_MAX, "%lld: %" PRIstr, (long long)status,
                 STR_ARG(text));
    else
        snprintf(reflector->problem, PROBLEM_MAX, "%" PRIstr, STR_ARG(text));
}

/* Waits. A reason means that a list comes next, without one the watch goes on. */
static void try_later(struct kube_reflector *reflector, const char *list_reason,
                      int64_t at_least_ns)
{
    int64_t now_ns = now(reflector);
    if (now_ns - reflector->backed_off_ns > BACKOFF_RESET_NS)
        reflector->backoff_ns = BACKOFF_FIRST_NS;
    int64_t wait_ns = reflector->backoff_ns;
    wait_ns += (int64_t)random_below(reflector->config.random, (uint64_t)wait_ns);
    if (at_least_ns > RETRY_AFTER_MAX_NS)
        at_least_ns = RETRY_AFTER_MAX_NS;
    if (wait_ns < at_least_ns)
        wait_ns = at_least_ns;
    reflector->backoff_ns *= 2;
    if (reflector->backoff_ns > BACKOFF_LAST_NS)
        reflector->backoff_ns = BACKOFF_LAST_NS;
    reflector->backed_off_ns = now_ns + wait_ns;
    reflector->is_list_next = list_reason != NULL;
    reflector->list_reason = list_reason;
    timers_set(reflector->config.timers, &reflector->retry, reflector->backed_off_ns);
}

/* A version that is too old needs a list and nothing else: what failed before it, as when the server was
 * restarted, is over. */
static void list_after_expiry(struct kube_reflector *reflector, int64_t at_least_ns)
{
    if (now(reflector) - reflector->listed_ns > BACKOFF_LAST_NS)
        reflector->backoff_ns = BACKOFF_FIRST_NS;
    try_later(reflector, "expired", at_least_ns);
}

/* ---- Requests ---- */

static int on_data(void *ctx, struct str part);
static void on_done(void *ctx, const struct kube_response *response);

static void put_number(struct buf *target, bool *has_query, const char *key, uint64_t number)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    kube_query_put(target, has_query, key, (struct str){text, (size_t)len});
}

static void put_watch_query(struct kube_reflector *reflector, struct buf *target, bool *has_query)
{
    kube_query_put(target, has_query, "watch", STR("true"));
    kube_query_put(target, has_query, "allowWatchBookmarks", STR("true"));
    put_number(target, has_query, "timeoutSeconds",
               WATCH_SECONDS + random_below(reflector->config.random, WATCH_SECONDS));
    if (reflector->is_listing) {
        kube_query_put(target, has_query, "sendInitialEvents", STR("true"));
        kube_query_put(target, has_query, "resourceVersionMatch", STR("NotOlderThan"));
    } else {
        put_number(target, has_query, "resourceVersion", reflector->version);
    }
}

static void put_page_query(struct kube_reflector *reflector, struct buf *target, bool *has_query)
{
    int64_t page = reflector->config.page ? reflector->config.page : PAGE_DEFAULT;
    if (!reflector->is_unpaged)
        put_number(target, has_query, "limit", (uint64_t)page);
    if (reflector->token.len > 0)
        kube_query_put(target, has_query, "continue", buf_str(&reflector->token));
}

static void send_request(struct kube_reflector *reflector, bool is_watch)
{
    const struct kube_reflector_config *config = &reflector->config;
    struct buf target;
    buf_init(&target, config->mem, TARGET_MAX);
    bool has_query = false;
    struct str absent = {NULL, 0};
    kube_path_put(&target, config->resource, config->namespace, absent, absent);
    kube_query_put(&target, &has_query, "labelSelector", config->label_selector);
    kube_query_put(&target, &has_query, "fieldSelector", config->field_selector);
    if (is_watch)
        put_watch_query(reflector, &target, &has_query);
    else
        put_page_query(reflector, &target, &has_query);
    const struct kube_request request = {
        .lane = is_watch ? KUBE_LANE_WATCH : KUBE_LANE_REQUEST,
        .method = "GET",
        .target = buf_str(&target),
        .timeout_ns = is_watch ? 0 : PAGE_TIMEOUT_NS,
        .silence_ns = is_watch ? SILENCE_NS : PAGE_SILENCE_NS,
        .response_max = REFUSAL_MAX,
    };
    const struct kube_receiver receiver = {
        .on_data = on_data, .on_done = on_done, .ctx = reflector};
    struct err err = {0};
    if (buf_failed(&target))
        err_no_memory(&err, "asking for a list");
    else
        reflector->exchange =
            config->transport->ops->send(config->transport, &request, &receiver, &err);
    buf_done(&target);
    buf_clear(&reflector->token);
    reflector->is_watch = is_watch;
    reflector->has_events = false;
    reflector->fault = FAULT_NONE;
    reflector->sent_ns = now(reflector);
    pieces_begin(&reflector->pieces, is_watch ? PIECES_OF_WATCH : PIECES_OF_LIST);
    if (!reflector->exchange) {
        set_problem(reflector, 0, str_from_cstr(err.message));
        try_later(reflector, reflector->is_listing ? reflector->list_reason : NULL, 0);
    }
}

static void send_watch(struct kube_reflector *reflector)
{
    counter_add(reflector->metrics.watches, 1);
    send_request(reflector, true);
}

static void begin_list(struct kube_reflector *reflector, const char *reason)
{
    counter_add(counter_of(reflector->metrics.lists,
                           METRICS_VALUES(resource_label(reflector), str_from_cstr(reason))),
                1);
    reflector->listed_ns = now(reflector);
    reflector->list_reason = reason;
    reflector->is_listing = true;
    reflector->has_begun = false;
    reflector->list_version = 0;
    buf_clear(&reflector->token);
    if (reflector->is_stream_refused)
        send_request(reflector, false);
    else
        send_watch(reflector);
}

static void on_retry(void *ctx, int64_t now_ns)
{
    (void)now_ns;
    struct kube_reflector *reflector = ctx;
    if (reflector->is_list_next)
        begin_list(reflector, reflector->list_reason);
    else
        send_watch(reflector);
}

/* ---- Objects ---- */

static void set_version(struct kube_reflector *reflector, uint64_t version)
{
    reflector->version = version;
    gauge_set(reflector->metrics.version, (double)version);
}

static void skip_object(struct kube_reflector *reflector, struct str reason)
{
    counter_add(
        counter_of(reflector->metrics.skipped, METRICS_VALUES(resource_label(reflector), reason)),
        1);
}

static int note_fault(struct kube_reflector *reflector, enum fault fault)
{
    reflector->fault = fault;
    return -1;
}

/* The tree; NULL when the text is none, with FAULT_NO_MEMORY raised when that is why. */
static const struct json *read_piece(struct kube_reflector *reflector, struct str text)
{
    struct err err;
    const struct json *tree = json_read(&reflector->object, text, &limits, &err);
    if (!tree && err.code == 507)
        note_fault(reflector, FAULT_NO_MEMORY);
    return tree;
}

static int upsert(struct kube_reflector *reflector, const struct json *object)
{
    struct kube_meta meta;
    kube_meta_read(object, &meta);
    if (meta.name.len == 0) {
        skip_object(reflector, STR("unreadable"));
        return 0;
    }
    counter_add(reflector->metrics.objects, 1);
    if (reflector->config.sink.upsert(reflector->config.sink.ctx, object, &meta) < 0)
        return note_fault(reflector, FAULT_NO_MEMORY);
    return 0;
}

static void remove_object(struct kube_reflector *reflector, const struct json *object)
{
    struct kube_meta meta;
    kube_meta_read(object, &meta);
    if (meta.name.len == 0)
        return;
    counter_add(reflector->metrics.objects, 1);
    reflector->config.sink.remove(reflector->config.sink.ctx, object, &meta);
}

/* The sink hears of a list when the server has accepted it. */
static void tell_begin(struct kube_reflector *reflector)
{
    if (reflector->has_begun)
        return;
    reflector->has_begun = true;
    reflector->config.sink.begin(reflector->config.sink.ctx);
}

static void end_list(struct kube_reflector *reflector, uint64_t version)
{
    tell_begin(reflector);
    reflector->is_listing = reflector->has_expired = reflector->is_unpaged = false;
    reflector->broken_streams = reflector->refusals = reflector->silences = 0;
    reflector->has_synced = reflector->is_fresh = true;
    reflector->problem[0] = '\0';
    reflector->config.sink.end(reflector->config.sink.ctx);
    set_version(reflector, version);
}

/* ---- Events ---- */

static int take_error(struct kube_reflector *reflector, const struct json *status)
{
    int64_t code = kube_int_at(status, 0, "code", NULL);
    struct str reason = kube_text_at(status, "reason", NULL);
    set_problem(reflector, code, kube_text_at(status, "message", NULL));
    if (code == 410 || str_eq(reason, STR("Expired")) || str_eq(reason, STR("Gone")))
        return note_fault(reflector, FAULT_EXPIRED);
    return note_fault(reflector, code == 429 ? FAULT_BUSY : FAULT_ERROR);
}

static int take_bookmark(struct kube_reflector *reflector, const struct json *object,
                         uint64_t version)
{
    struct str mark =
        kube_text_at(object, "metadata", "annotations", "k8s.io/initial-events-end", NULL);
    if (reflector->is_listing) {
        if (str_eq(mark, STR("true")))
            end_list(reflector, version);
    } else if (version > reflector->version) {
        set_version(reflector, version);
    }
    return 0;
}

/* Everything up to reflector->version has been given: what is not newer comes a second time. A streamed
 * list comes in no order of versions, and all of it counts. */
static int take_change(struct kube_reflector *reflector, const struct json *object,
                       uint64_t version, bool is_removal)
{
    if (!reflector->is_listing && version <= reflector->version)
        return 0;
    if (is_removal)
        remove_object(reflector, object);
    else if (upsert(reflector, object) < 0)
        return -1;
    if (!reflector->is_listing)
        set_version(reflector, version);
    return 0;
}

static int take_event(struct kube_reflector *reflector, const struct json *event)
{
    const struct json *object = kube_at(event, "object", NULL);
    struct str type = kube_text_at(event, "type", NULL);
    uint64_t version =
        kube_version_number(kube_text_at(object, "metadata", "resourceVersion", NULL));
    if (str_eq(type, STR("ERROR")))
        return take_error(reflector, object);
    if (version == 0)
        return note_fault(reflector, FAULT_MALFORMED);
    if (str_eq(type, STR("BOOKMARK")))
        return take_bookmark(reflector, object, version);
    bool is_removal = str_eq(type, STR("DELETED"));
    if (!is_removal && !str_eq(type, STR("ADDED")) && !str_eq(type, STR("MODIFIED")))
        return note_fault(reflector, FAULT_MALFORMED);
    return take_change(reflector, object, version, is_removal);
}

static int take_line(struct kube_reflector *reflector, struct str text)
{
    reflector->has_events = true;
    reflector->silences = reflector->refusals = 0;
    const struct json *event = str_is_set(text) ? read_piece(reflector, text) : NULL;
    if (event)
        return take_event(reflector, event);
    if (reflector->fault)
        return -1;
    skip_object(reflector, str_is_set(text) ? STR("unreadable") : STR("too large"));
    /* Which object it was is not known, and what the sink has of it is old now. A list leaves it out;
     * within a list that has been done. */
    return reflector->is_listing ? 0 : note_fault(reflector, FAULT_MALFORMED);
}

/* ---- Pages ---- */

static int take_metadata(struct kube_reflector *reflector, struct str text)
{
    const struct json *metadata = str_is_set(text) ? read_piece(reflector, text) : NULL;
    if (!metadata)
        return reflector->fault ? -1 : note_fault(reflector, FAULT_MALFORMED);
    reflector->list_version = kube_version_number(kube_text_at(metadata, "resourceVersion", NULL));
    buf_put(&reflector->token, kube_text_at(metadata, "continue", NULL));
    if (buf_failed(&reflector->token))
        return note_fault(reflector, FAULT_NO_MEMORY);
    return 0;
}

static int take_item(struct kube_reflector *reflector, struct str text)
{
    const struct json *object = str_is_set(text) ? read_piece(reflector, text) : NULL;
    if (object)
        return upsert(reflector, object);
    if (reflector->fault)
        return -1;
    skip_object(reflector, str_is_set(text) ? STR("unreadable") : STR("too large"));
    return 0;
}

static int take_piece(void *ctx, enum piece_kind kind, struct str text)
{
    struct kube_reflector *reflector = ctx;
    int result = kind == PIECE_LINE       ? take_line(reflector, text)
                 : kind == PIECE_METADATA ? take_metadata(reflector, text)
                                          : take_item(reflector, text);
    arena_reset(&reflector->object);
    return result;
}

static int on_data(void *ctx, struct str part)
{
    struct kube_reflector *reflector = ctx;
    reflector->heard_ns = now(reflector);
    if (reflector->is_listing)
        tell_begin(reflector);
    else
        reflector->problem[0] = '\0';
    int result = pieces_put(&reflector->pieces, part);
    if (result == PIECES_MALFORMED)
        note_fault(reflector, FAULT_MALFORMED);
    else if (result == PIECES_NO_MEMORY)
        note_fault(reflector, FAULT_NO_MEMORY);
    return result < 0 ? -1 : 0;
}

/* ---- The end of an exchange ---- */

static bool is_accepted(const struct kube_response *response)
{
    return response->status >= 200 && response->status < 300;
}

static void keep_refusal(struct kube_reflector *reflector, const struct kube_response *response)
{
    const struct json *status = NULL;
    struct err err;
    if (response->body.len > 0)
        status = json_read(&reflector->object, response->body, &limits, &err);
    struct str message = kube_text_at(status, "message", NULL);
    if (!str_is_set(message) && response->text)
        message = str_from_cstr(response->text);
    else if (!str_is_set(message))
        message = is_accepted(response) ? STR("the answer ended too soon") : STR("refused");
    set_problem(reflector, response->status, message);
    arena_reset(&reflector->object);
}

/* The answer was one, but something in it was wrong. */
static void recover(struct kube_reflector *reflector)
{
    static const struct {
        const char *reason;
        const char *problem; /* NULL: set when it was found */
    } faults[] = {
        [FAULT_MALFORMED] = {"malformed", "the server's answer is not what the API promises"},
        [FAULT_NO_MEMORY] = {"memory", "no memory for an object"},
        [FAULT_EXPIRED] = {"expired", NULL},
        [FAULT_BUSY] = {NULL, NULL},
        [FAULT_ERROR] = {"error", NULL},
    };
    enum fault fault = reflector->fault;
    if (faults[fault].problem)
        set_problem(reflector, 0, str_from_cstr(faults[fault].problem));
    const char *reason = faults[fault].reason;
    if (!reason && reflector->is_listing)
        reason = reflector->list_reason;
    if (fault == FAULT_EXPIRED)
        list_after_expiry(reflector, 0);
    else
        try_later(reflector, reason, 0);
}

static void end_page(struct kube_reflector *reflector, const struct kube_response *response)
{
    if (response->failure || !is_accepted(response)) {
        bool is_expired = response->status == 410;
        keep_refusal(reflector, response);
        reflector->is_unpaged = reflector->is_unpaged || (is_expired && reflector->has_expired);
        reflector->has_expired = reflector->has_expired || is_expired;
        if (is_expired)
            list_after_expiry(reflector, response->retry_after_ns);
        else
            try_later(reflector, "failed", response->retry_after_ns);
        return;
    }
    if (!pieces_is_whole(&reflector->pieces) || reflector->list_version == 0) {
        note_fault(reflector, FAULT_MALFORMED);
        recover(reflector);
    } else if (reflector->token.len > 0) {
        send_request(reflector, false);
    } else {
        end_list(reflector, reflector->list_version);
        send_watch(reflector);
    }
}

/* A streamed list that did not come to its end. */
static void end_stream(struct kube_reflector *reflector, const struct kube_response *response)
{
    /* What a server says that does not know the parameters, or may not use them. */
    if (response->status == 400 || response->status == 422) {
        reflector->is_stream_refused = true;
        send_request(reflector, false);
        return;
    }
    keep_refusal(reflector, response);
    if (is_accepted(response) && ++reflector->broken_streams >= STREAMS_MAX)
        reflector->is_stream_refused = true;
    try_later(reflector, response->status == 410 ? "expired" : "failed", response->retry_after_ns);
}

static void end_accepted_watch(struct kube_reflector *reflector,
                               const struct kube_response *response)
{
    if (response->failure == KUBE_SILENT && ++reflector->silences >= SILENCES_MAX)
        begin_list(reflector, "silent");
    else if (reflector->has_events || now(reflector) - reflector->sent_ns >= SHORT_NS)
        send_watch(reflector);
    else
        try_later(reflector, NULL, 0);
}

static void end_watch(struct kube_reflector *reflector, const struct kube_response *response)
{
    if (is_accepted(response)) {
        reflector->problem[0] = '\0';
        end_accepted_watch(reflector, response);
        return;
    }
    keep_refusal(reflector, response);
    bool is_refusal = response->status && response->status != 429;
    if (response->status == 410)
        list_after_expiry(reflector, response->retry_after_ns);
    else if (is_refusal && ++reflector->refusals >= REFUSALS_MAX)
        try_later(reflector, "refused", response->retry_after_ns);
    else
        try_later(reflector, NULL, response->retry_after_ns);
}

static void on_done(void *ctx, const struct kube_response *response)
{
    struct kube_reflector *reflector = ctx;
    reflector->exchange = NULL;
    if (response->status)
        reflector->heard_ns = now(reflector);
    if (reflector->fault)
        recover(reflector);
    else if (!reflector->is_watch)
        end_page(reflector, response);
    else if (reflector->is_listing)
        end_stream(reflector, response);
    else
        end_watch(reflector, response);
}

/* ---- Making and asking ---- */

static struct reflector_metrics make_metrics(const struct kube_reflector_config *config)
{
    struct metrics *metrics = config->metrics;
    if (!metrics)
        return (struct reflector_metrics){0};
    struct str resource = str_from_cstr(config->resource->plural);
    const struct metrics_labels labels = METRICS_LABELS("resource");
    const struct metrics_labels with_reason = METRICS_LABELS("resource", "reason");
    return (struct reflector_metrics){
        .lists = metrics_counters(metrics, "reflector_lists_total",
                                  "Lists that were begun, and why.", with_reason, SERIES_MAX * 8),
        .skipped = metrics_counters(metrics, "reflector_objects_skipped_total",
                                    "Objects too large or unreadable, which are not seen.",
                                    with_reason, SERIES_MAX * 2),
        .watches = counter_of(metrics_counters(metrics, "reflector_watches_total",
                                               "Watches that were begun.", labels, SERIES_MAX),
                              METRICS_VALUES(resource)),
        .objects = counter_of(
            metrics_counters(metrics, "reflector_objects_total",
                             "Objects that came by lists and watches.", labels, SERIES_MAX),
            METRICS_VALUES(resource)),
        .version = gauge_of(
            metrics_gauges(metrics, "reflector_last_resource_version",
                           "The version up to which all has been seen.", labels, SERIES_MAX),
            METRICS_VALUES(resource)),
    };
}

/* The texts of the configuration, copied. */
static bool keep_texts(struct kube_reflector *reflector)
{
    struct str *texts[] = {&reflector->config.namespace, &reflector->config.label_selector,
                           &reflector->config.field_selector};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!str_is_set(*texts[i]))
            continue;
        *texts[i] = arena_copy(&reflector->texts, *texts[i]);
        if (!str_is_set(*texts[i]))
            return false;
    }
    return true;
}

struct kube_reflector *kube_reflector_new(const struct kube_reflector_config *config,
                                          struct err *err)
{
    struct kube_reflector *reflector = mem_alloc(config->mem, sizeof(*reflector));
    if (!reflector) {
        err_no_memory(err, "setting up a watch");
        return NULL;
    }
    *reflector = (struct kube_reflector){
        .config = *config,
        .metrics = make_metrics(config),
        .heard_ns = clock_now_ns(config->clock),
        .backoff_ns = BACKOFF_FIRST_NS,
    };
    size_t object_max = config->object_max ? config->object_max : OBJECT_DEFAULT;
    arena_init(&reflector->texts, config->mem, 256, TARGET_MAX);
    arena_init(&reflector->object, config->mem, ARENA_BLOCK, object_max + ARENA_EXTRA);
    pieces_init(&reflector->pieces, config->mem, object_max, take_piece, reflector);
    buf_init(&reflector->token, config->mem, TARGET_MAX / 2);
    if (!keep_texts(reflector)) {
        err_no_memory(err, "setting up a watch");
        goto fail;
    }
    if (timers_register(config->timers, &reflector->retry, on_retry, reflector, err) < 0)
        goto fail;
    begin_list(reflector, "start");
    return reflector;
fail:
    kube_reflector_free(reflector);
    return NULL;
}

void kube_reflector_free(struct kube_reflector *reflector)
{
    if (!reflector)
        return;
    struct kube_transport *transport = reflector->config.transport;
    const struct mem *mem = reflector->config.mem;
    if (reflector->exchange)
        transport->ops->cancel(transport, reflector->exchange);
    timers_unregister(reflector->config.timers, &reflector->retry);
    buf_done(&reflector->token);
    pieces_done(&reflector->pieces);
    arena_done(&reflector->object);
    arena_done(&reflector->texts);
    mem_free(mem, reflector, sizeof(*reflector));
}

bool kube_reflector_has_synced(const struct kube_reflector *reflector)
{
    return reflector->has_synced;
}

void kube_reflector_refresh(struct kube_reflector *reflector)
{
    struct kube_transport *transport = reflector->config.transport;
    if (reflector->exchange)
        transport->ops->cancel(transport, reflector->exchange);
    reflector->exchange = NULL;
    timers_cancel(reflector->config.timers, &reflector->retry);
    reflector->is_fresh = false;
    reflector->backoff_ns = BACKOFF_FIRST_NS;
    begin_list(reflector, "refresh");
}

bool kube_reflector_is_fresh(const struct kube_reflector *reflector)
{
    return reflector->is_fresh;
}

uint64_t kube_reflector_version(const struct kube_reflector *reflector)
{
    return reflector->version;
}

int64_t kube_reflector_heard_ns(const struct kube_reflector *reflector)
{
    return reflector->heard_ns;
}

struct str kube_reflector_problem(const struct kube_reflector *reflector)
{
    return str_from_cstr(reflector->problem[0] ? reflector->problem : NULL);
}
