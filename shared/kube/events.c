/* Kubernetes events: what was recorded, the queue of what is to be sent, and sending. */
#include "kube/events.h"

#include "base/hash.h"
#include "base/utf8.h"
#include "kube/event_filter.h"
#include "json/json.h"

#include <assert.h>
#include <stdio.h>

#define RETRY_NS (10 * CLOCK_NS_PER_SEC)

enum {
    MESSAGE_MAX = 1024,
    NAME_MAX_LEN = 253, /* of an object: RFC 1123 subdomain */
    STAMP_LEN = 17,     /* "." and 16 digits */
    PENDING_MAX = 1000, /* events to be sent, as client-go has it */
    KNOWN_MAX = 1500,   /* with those whose count may still rise */
    BUCKETS = 2048,     /* a power of two */
    TRIES_MAX = 12,
    BODY_MAX = 16 << 10,
};

static const struct str combined_prefix = STR_INIT("(combined from similar events): ");

enum state {
    STATE_IDLE,      /* all is sent; makes room when there are too many */
    STATE_WAITING,   /* in the queue */
    STATE_IN_FLIGHT, /* the first of the queue */
};

/* One event of the server, and what is not yet sent of it. */
struct record {
    struct record *next_by_key;
    struct record **link_by_key;
    struct record *next, **link; /* in the list of its state */
    uint64_t key;
    const struct kube_resource *resource;
    const char *reason;
    struct str namespace, name, uid, resource_version, message; /* in `texts` */
    uint64_t stamp;                                             /* in the name of the event */
    int64_t first_wall_ns, last_wall_ns;
    uint64_t count, sent_count;
    size_t size; /* of the allocation */
    unsigned tries;
    enum state state;
    bool is_warning;
    bool is_combined; /* `message` has room for MESSAGE_MAX bytes */
    bool is_created;
    char texts[];
};

struct list {
    struct record *first;
    struct record **last;
    size_t count;
};

struct kube_events {
    struct kube_events_config config;
    struct arena texts;
    struct event_filter *filter;
    struct hash_seed seed;
    struct record **buckets;
    struct list waiting; /* with the one that is in flight, which is the first */
    struct list idle;    /* the one that was idle longest first */
    struct kube_pending *pending;
    struct timer retry;
    uint64_t last_stamp;
    struct counter *sent, *filtered, *full, *failed;
};

/* ---- Lists and the table ---- */

static void list_append(struct list *list, struct record *record)
{
    record->next = NULL;
    record->link = list->last;
    *list->last = record;
    list->last = &record->next;
    list->count++;
}

static void list_remove(struct list *list, struct record *record)
{
    *record->link = record->next;
    if (record->next)
        record->next->link = record->link;
    else
        list->last = record->link;
    list->count--;
}

static uint64_t hash_object(const struct kube_events *events, const struct kube_event *event)
{
    uint64_t hash = hash_pair(&events->seed, event->namespace, event->name);
    struct hash_seed next = {{events->seed.words[0] ^ hash, events->seed.words[1]}};
    return hash_pair(&next, event->uid, str_from_cstr(event->resource->plural));
}

/* Of the object, type and reason. */
static uint64_t hash_group(const struct kube_events *events, const struct kube_event *event,
                           uint64_t object)
{
    struct hash_seed next = {{events->seed.words[0] ^ object, events->seed.words[1]}};
    return hash_pair(&next, event->is_warning ? STR("Warning") : STR("Normal"),
                     str_from_cstr(event->reason));
}

static bool is_of_event(const struct record *record, const struct kube_event *event,
                        bool is_combined)
{
    return record->is_combined == is_combined && record->is_warning == event->is_warning &&
           record->resource == event->resource &&
           str_eq_cstr(str_from_cstr(record->reason), event->reason) &&
           str_eq(record->name, event->name) && str_eq(record->namespace, event->namespace) &&
           str_eq(record->uid, event->uid) &&
           (is_combined || str_eq(record->message, event->message));
}

static struct record *find(const struct kube_events *events, const struct kube_event *event,
                           uint64_t key, bool is_combined)
{
    struct record *record = events->buckets[key & (BUCKETS - 1)];
    while (record && !(record->key == key && is_of_event(record, event, is_combined)))
        record = record->next_by_key;
    return record;
}

static void free_record(struct kube_events *events, struct record *record)
{
    list_remove(record->state == STATE_IDLE ? &events->idle : &events->waiting, record);
    *record->link_by_key = record->next_by_key;
    if (record->next_by_key)
        record->next_by_key->link_by_key = record->link_by_key;
    mem_free(events->config.mem, record, record->size);
}

/* ---- Recording ---- */

/* In the room of a combined record, which is the last of its texts. */
static void put_combined_message(struct record *record, struct str message)
{
    char *at = (char *)record + record->size - MESSAGE_MAX;
    char *start = at;
    str_put(&at, combined_prefix);
    str_put(&at, utf8_cut(message, MESSAGE_MAX - combined_prefix.len));
    record->message = (struct str){start, (size_t)(at - start)};
}

/* Nanoseconds of the wall clock, as client-go names events; never the same twice. */
static uint64_t next_stamp(struct kube_events *events, int64_t wall_ns)
{
    uint64_t stamp = (uint64_t)wall_ns;
    if (stamp <= events->last_stamp)
        stamp = events->last_stamp + 1;
    events->last_stamp = stamp;
    return stamp;
}

static struct record *add_record(struct kube_events *events, const struct kube_event *event,
                                 uint64_t key, bool is_combined)
{
    if (events->waiting.count + events->idle.count == KNOWN_MAX)
        free_record(events, events->idle.first);
    size_t message_size = is_combined ? MESSAGE_MAX : event->message.len;
    size_t size = sizeof(struct record) + event->namespace.len + event->name.len + event->uid.len +
                  event->resource_version.len + message_size;
    struct record *record = mem_alloc(events->config.mem, size);
    if (!record)
        return NULL;
    *record = (struct record){
        .key = key,
        .resource = event->resource,
        .reason = event->reason,
        .size = size,
        .is_warning = event->is_warning,
        .is_combined = is_combined,
        .first_wall_ns = clock_wall_ns(events->config.clock),
    };
    char *at = record->texts;
    record->namespace = str_put(&at, event->namespace);
    record->name = str_put(&at, event->name);
    record->uid = str_put(&at, event->uid);
    record->resource_version = str_put(&at, event->resource_version);
    if (!is_combined)
        record->message = str_put(&at, event->message);
    record->stamp = next_stamp(events, record->first_wall_ns);
    struct record **head = &events->buckets[key & (BUCKETS - 1)];
    record->next_by_key = *head;
    record->link_by_key = head;
    if (*head)
        (*head)->link_by_key = &record->next_by_key;
    *head = record;
    list_append(&events->idle, record);
    return record;
}

/* To the end of the list of its new state. */
static void move(struct kube_events *events, struct record *record, enum state state)
{
    list_remove(record->state == STATE_IDLE ? &events->idle : &events->waiting, record);
    record->state = state;
    list_append(state == STATE_IDLE ? &events->idle : &events->waiting, record);
}

static void send_next(struct kube_events *events);

void kube_events_record(struct kube_events *events, const struct kube_event *event)
{
    struct kube_event cut = *event;
    cut.message = utf8_cut(event->message, MESSAGE_MAX);
    int64_t now_ns = clock_now_ns(events->config.clock);
    uint64_t object = hash_object(events, event);
    uint64_t group = hash_group(events, event, object);
    struct hash_seed seed = {{events->seed.words[0] ^ group, events->seed.words[1]}};
    uint64_t message = hash_text(&seed, cut.message);
    bool is_combined = event_filter_combines(events->filter, group, message, now_ns);
    uint64_t key = is_combined ? group : message;
    struct record *record = find(events, &cut, key, is_combined);
    bool is_admitted = event_filter_admits(events->filter, object, now_ns);
    if (!is_admitted)
        counter_add(events->filtered, 1);
    if (!record && !is_admitted)
        return;
    bool must_queue = is_admitted && (!record || record->state == STATE_IDLE);
    if (must_queue && events->waiting.count >= PENDING_MAX) {
        counter_add(events->full, 1);
        return;
    }
    if (!record)
        record = add_record(events, &cut, key, is_combined);
    if (!record) {
        counter_add(events->failed, 1);
        return;
    }
    if (is_combined)
        put_combined_message(record, cut.message);
    record->count++;
    record->last_wall_ns = clock_wall_ns(events->config.clock);
    if (must_queue)
        move(events, record, STATE_WAITING);
    send_next(events);
}

size_t kube_events_pending(const struct kube_events *events)
{
    return events->waiting.count;
}

/* ---- Sending ---- */

static void put_member(struct buf *body, const char *key, struct str text)
{
    if (!str_is_set(text))
        return;
    buf_printf(body, "\"%s\":", key);
    json_write_str(body, text);
    buf_put_char(body, ',');
}

static void put_time(struct buf *body, const char *key, int64_t wall_ns)
{
    char text[CLOCK_TEXT_SIZE];
    put_member(body, key, clock_print(wall_ns, CLOCK_SECONDS, text));
}

static struct str namespace_of(const struct record *record)
{
    return str_is_set(record->namespace) ? record->namespace : STR("default");
}

/* "NAME.17c0ffee…", the end of a long name cut off. */
static struct str name_of(const struct record *record, char to[NAME_MAX_LEN + 1])
{
    struct str name = str_sub(record->name, 0, NAME_MAX_LEN - STAMP_LEN);
    int len = snprintf(to, NAME_MAX_LEN + 1, "%" PRIstr ".%llx", STR_ARG(name),
                       (unsigned long long)record->stamp);
    return (struct str){to, (size_t)len};
}

static void put_involved_object(struct buf *body, const struct record *record)
{
    const struct kube_resource *resource = record->resource;
    buf_put(body, STR("\"involvedObject\":{"));
    put_member(body, "kind", str_from_cstr(resource->kind));
    put_member(body, "namespace", record->namespace);
    put_member(body, "name", record->name);
    put_member(body, "uid", record->uid);
    put_member(body, "resourceVersion", record->resource_version);
    buf_printf(body, "\"apiVersion\":\"%s%s%s\"},", resource->group, resource->group[0] ? "/" : "",
               resource->version);
}

static void put_new_event(const struct kube_events *events, const struct record *record,
                          struct buf *body)
{
    char name[NAME_MAX_LEN + 1];
    buf_put(body, STR("{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"metadata\":{"));
    put_member(body, "name", name_of(record, name));
    buf_put(body, STR("\"namespace\":"));
    json_write_str(body, namespace_of(record));
    buf_put(body, STR("},"));
    put_involved_object(body, record);
    buf_put(body, STR("\"source\":{\"component\":"));
    json_write_str(body, events->config.component);
    buf_put(body, STR("},"));
    put_member(body, "type", record->is_warning ? STR("Warning") : STR("Normal"));
    put_member(body, "reason", str_from_cstr(record->reason));
    put_member(body, "reportingComponent", events->config.component);
    put_member(body, "reportingInstance", events->config.instance);
    put_time(body, "firstTimestamp", record->first_wall_ns);
}

/* What differs from one time to the next. */
static void put_count(const struct record *record, struct buf *body)
{
    put_member(body, "message", str_is_set(record->message) ? record->message : STR(""));
    put_time(body, "lastTimestamp", record->last_wall_ns);
    buf_printf(body, "\"count\":%llu}", (unsigned long long)record->count);
}

static void on_sent(void *ctx, const struct kube_result *result);

static bool send_record(struct kube_events *events, struct record *record)
{
    char name[NAME_MAX_LEN + 1];
    struct buf body;
    buf_init(&body, events->config.mem, BODY_MAX);
    if (record->is_created)
        buf_put_char(&body, '{');
    else
        put_new_event(events, record, &body);
    put_count(record, &body);
    struct kube_call call = {
        .verb = record->is_created ? KUBE_PATCH_MERGE : KUBE_CREATE,
        .lane = KUBE_LANE_REQUEST,
        .resource = &kube_events,
        .namespace = namespace_of(record),
        .body = buf_str(&body),
        .wants_metadata = true, /* not even that */
    };
    if (record->is_created)
        call.name = name_of(record, name);
    struct err err;
    record->sent_count = record->count;
    if (!buf_failed(&body))
        events->pending = kube_client_call(events->config.client, &call, on_sent, events, &err);
    buf_done(&body);
    return events->pending != NULL;
}

static void drop(struct kube_events *events, struct record *record)
{
    counter_add(events->failed, 1);
    free_record(events, record);
}

/* Nothing is tried for ever. */
static void retry_later(struct kube_events *events, struct record *record)
{
    record->state = STATE_WAITING;
    if (++record->tries >= TRIES_MAX)
        drop(events, record);
    timers_set(events->config.timers, &events->retry,
               clock_now_ns(events->config.clock) + RETRY_NS);
}

static void send_next(struct kube_events *events)
{
    struct record *record = events->waiting.first;
    if (!record || events->pending || timer_is_set(&events->retry))
        return;
    record->state = STATE_IN_FLIGHT;
    if (!send_record(events, record))
        retry_later(events, record);
}

static void on_retry(void *ctx, int64_t now_ns)
{
    (void)now_ns;
    send_next(ctx);
}

static void finish(struct kube_events *events, struct record *record)
{
    counter_add(events->sent, 1);
    record->is_created = true;
    record->tries = 0;
    move(events, record, record->count == record->sent_count ? STATE_IDLE : STATE_WAITING);
}

/* A create that was done although its answer was lost meets its own name. */
static void on_sent(void *ctx, const struct kube_result *result)
{
    struct kube_events *events = ctx;
    struct record *record = events->waiting.first;
    assert(record->state == STATE_IN_FLIGHT);
    events->pending = NULL;
    switch (result->outcome) {
    case KUBE_OK:
    case KUBE_ALREADY_EXISTS:
        finish(events, record);
        break;
    case KUBE_BUSY:
    case KUBE_UNKNOWN:
    case KUBE_UNREACHED:
        retry_later(events, record);
        break;
    case KUBE_NOT_FOUND:
        /* Events are deleted after an hour; it is made anew. A create finds no namespace. */
        if (record->is_created) {
            record->is_created = false;
            record->state = STATE_WAITING;
        } else {
            drop(events, record);
        }
        break;
    default:
        drop(events, record);
    }
    send_next(events);
}

/* ---- Making ---- */

static void make_metrics(struct kube_events *events)
{
    if (!events->config.metrics)
        return;
    struct counter_family *family =
        metrics_counters(events->config.metrics, "kube_events_total",
                         "Kubernetes events that were recorded, and what became of them.",
                         METRICS_LABELS("result"), 4);
    events->sent = counter_of(family, METRICS_VALUES(STR("sent")));
    events->filtered = counter_of(family, METRICS_VALUES(STR("filtered")));
    events->full = counter_of(family, METRICS_VALUES(STR("full")));
    events->failed = counter_of(family, METRICS_VALUES(STR("failed")));
}

struct kube_events *kube_events_new(const struct kube_events_config *config, struct err *err)
{
    const struct mem *mem = config->mem;
    struct kube_events *events = mem_alloc(mem, sizeof(*events));
    if (!events) {
        err_no_memory(err, "setting up events");
        return NULL;
    }
    *events = (struct kube_events){.config = *config, .seed = hash_seed_from(config->random)};
    make_metrics(events);
    events->waiting.last = &events->waiting.first;
    events->idle.last = &events->idle.first;
    arena_init(&events->texts, mem, 256, BODY_MAX);
    events->config.component = arena_copy(&events->texts, config->component);
    events->config.instance = arena_copy(&events->texts, config->instance);
    events->filter = event_filter_new(mem);
    events->buckets = mem_alloc(mem, BUCKETS * sizeof(struct record *));
    for (size_t i = 0; events->buckets && i < BUCKETS; i++)
        events->buckets[i] = NULL;
    if (!str_is_set(events->config.component) || !str_is_set(events->config.instance) ||
        !events->filter || !events->buckets) {
        err_no_memory(err, "setting up events");
        goto fail;
    }
    if (timers_register(config->timers, &events->retry, on_retry, events, err) < 0)
        goto fail;
    return events;
fail:
    kube_events_free(events);
    return NULL;
}

void kube_events_free(struct kube_events *events)
{
    if (!events)
        return;
    const struct mem *mem = events->config.mem;
    if (events->pending)
        kube_client_cancel(events->config.client, events->pending);
    while (events->waiting.first)
        free_record(events, events->waiting.first);
    while (events->idle.first)
        free_record(events, events->idle.first);
    timers_unregister(events->config.timers, &events->retry);
    if (events->filter)
        event_filter_free(mem, events->filter);
    mem_free(mem, events->buckets, BUCKETS * sizeof(struct record *));
    arena_done(&events->texts);
    mem_free(mem, events, sizeof(*events));
}
