/* Asking the API server for templates. */
#include "webhook/template_lookup.h"

#include "base/utf8.h"
#include "kube/client.h"

#include <stdio.h>

enum {
    /* What etcd takes for one object is 1.5 MiB (--max-request-bytes). */
    TEMPLATE_MAX = 2 * 1024 * 1024,
    /* All answers together that no review has used yet. */
    HELD_MAX = 32 * 1024 * 1024,
    /* For a name that is alike: templates are sent whole, so few of them. */
    NAMES_MAX = 100,
    LIST_MAX = 4 * 1024 * 1024,
    LIST_ARENA_MAX = 64 * 1024 * 1024,
    TEXT_MAX = 512,
    NAME_MAX_LEN = 253,
};
static const int64_t default_timeout_ns = 5 * CLOCK_NS_PER_SEC;
static const int64_t list_timeout_ns = 1 * CLOCK_NS_PER_SEC;

enum lookup_result {
    RESULT_FOUND,
    RESULT_NOT_FOUND,
    RESULT_ERROR,
    RESULT_TIMEOUT,
    RESULT_REFUSED, /* not asked: too many wait */
    RESULTS,
};

struct template_lookup {
    atomic_uint owners;
    struct template_lookups *lookups;
    struct template_lookup *next; /* in the inbox, or among those under way */
    char namespace[NAME_MAX_LEN + 1];
    char name[NAME_MAX_LEN + 1];
    int64_t asked_ns;
    int64_t timeout_ns;

    /* The thread's own. */
    struct http_wait *wait;
    struct kube_pending *pending;
    struct timer deadline;
    bool is_missing; /* the GET said so; the LIST is under way */

    /* The answer: written before is_answered is set, never afterwards. */
    atomic_bool is_answered;
    enum template_state state;
    char *body; /* TEMPLATE_FOUND */
    size_t body_len;
    char near[NAME_MAX_LEN + 1]; /* TEMPLATE_MISSING, or "" */
    char text[TEXT_MAX];         /* TEMPLATE_UNREACHABLE */
};

struct template_lookups {
    struct template_lookups_config config;
    struct timers timers;
    struct kube_client *client;
    struct template_lookup *under_way;
    atomic_size_t held; /* bytes of answers */
    struct counter_family *results;
    struct histogram *seconds;
    atomic_bool must_stop;
    bool is_running;
    pthread_t thread;
    pthread_mutex_t lock;          /* of the inbox */
    struct template_lookup *inbox; /* the newest first */
};

/* ---- A lookup ---- */

static bool keep_name(char to[NAME_MAX_LEN + 1], struct str name)
{
    if (name.len == 0 || name.len > NAME_MAX_LEN)
        return false;
    memcpy(to, name.ptr, name.len);
    to[name.len] = '\0';
    return true;
}

struct template_lookup *template_lookup_new(struct template_lookups *lookups, struct str namespace,
                                            struct str name, int64_t patience_ns)
{
    const struct template_lookups_config *config = &lookups->config;
    struct template_lookup *lookup = mem_alloc(lookups->config.mem, sizeof(*lookup));
    if (!lookup)
        return NULL;
    *lookup = (struct template_lookup){
        .owners = 1,
        .lookups = lookups,
        .asked_ns = clock_now_ns(config->clock),
        .timeout_ns = config->timeout_ns,
    };
    if (patience_ns > 0 && patience_ns < config->timeout_ns)
        lookup->timeout_ns = patience_ns;
    if (keep_name(lookup->namespace, namespace) && keep_name(lookup->name, name))
        return lookup;
    template_lookup_drop(lookup);
    return NULL;
}

int64_t template_lookup_asked_ns(const struct template_lookup *lookup)
{
    return lookup->asked_ns;
}

void template_lookup_drop(void *dropped)
{
    struct template_lookup *lookup = dropped;
    struct template_lookups *lookups = lookup->lookups;
    if (atomic_fetch_sub(&lookup->owners, 1) > 1)
        return;
    atomic_fetch_sub(&lookups->held, lookup->body_len);
    mem_free(lookups->config.mem, lookup->body, lookup->body_len);
    mem_free(lookups->config.mem, lookup, sizeof(*lookup));
}

void template_lookup_begin(struct template_lookup *lookup, struct http_wait *wait)
{
    struct template_lookups *lookups = lookup->lookups;
    struct kube_transport *transport = lookups->config.transport;
    atomic_fetch_add(&lookup->owners, 1);
    lookup->wait = wait;
    pthread_mutex_lock(&lookups->lock);
    lookup->next = lookups->inbox;
    lookups->inbox = lookup;
    pthread_mutex_unlock(&lookups->lock);
    transport->ops->wake(transport);
}

/* ---- Answering ---- */

static void remove_from_list(struct template_lookup *lookup)
{
    struct template_lookup **at = &lookup->lookups->under_way;
    while (*at != lookup)
        at = &(*at)->next;
    *at = lookup->next;
}

static struct counter *result_counter(const struct template_lookups *lookups,
                                      enum lookup_result result)
{
    static const struct str names[] = {
        [RESULT_FOUND] = STR_INIT("found"),     [RESULT_NOT_FOUND] = STR_INIT("not found"),
        [RESULT_ERROR] = STR_INIT("error"),     [RESULT_TIMEOUT] = STR_INIT("timeout"),
        [RESULT_REFUSED] = STR_INIT("refused"),
    };
    return counter_of(lookups->results, METRICS_VALUES(names[result]));
}

void template_lookups_count_refused(struct template_lookups *lookups)
{
    counter_add(result_counter(lookups, RESULT_REFUSED), 1);
}

static void answer(struct template_lookup *lookup, enum template_state state,
                   enum lookup_result result)
{
    struct template_lookups *lookups = lookup->lookups;
    double seconds =
        (double)(clock_now_ns(lookups->config.clock) - lookup->asked_ns) / (double)CLOCK_NS_PER_SEC;
    counter_add(result_counter(lookups, result), 1);
    histogram_observe(lookups->seconds, seconds);
    if (state == TEMPLATE_UNREACHABLE)
        log_warn(lookups->config.log, "template not looked up",
                 LOG_CSTR("namespace", lookup->namespace), LOG_CSTR("template", lookup->name),
                 LOG_CSTR("reason", lookup->text));
    timers_unregister(&lookups->timers, &lookup->deadline);
    remove_from_list(lookup);
    lookup->state = state;
    atomic_store(&lookup->is_answered, true);
    http_wait_end(lookup->wait);
    template_lookup_drop(lookup);
}

static void answer_failed(struct template_lookup *lookup, struct str why)
{
    snprintf(lookup->text, sizeof(lookup->text), "%" PRIstr,
             STR_ARG(utf8_cut(why, sizeof(lookup->text) - 1)));
    answer(lookup, TEMPLATE_UNREACHABLE, RESULT_ERROR);
}

static void answer_found(struct template_lookup *lookup, struct str body)
{
    struct template_lookups *lookups = lookup->lookups;
    size_t held = atomic_fetch_add(&lookups->held, body.len);
    char *copy = held + body.len > HELD_MAX ? NULL : mem_alloc(lookups->config.mem, body.len);
    if (!copy) {
        atomic_fetch_sub(&lookups->held, body.len);
        answer_failed(lookup, STR("the webhook has no memory for it now; try again"));
        return;
    }
    memcpy(copy, body.ptr, body.len);
    lookup->body = copy;
    lookup->body_len = body.len;
    answer(lookup, TEMPLATE_FOUND, RESULT_FOUND);
}

/* ---- Names that are alike ---- */

static void find_nearest(struct template_lookup *lookup, struct str body)
{
    struct arena arena;
    struct err err;
    struct str names[NAMES_MAX];
    size_t count = 0;
    arena_init(&arena, lookup->lookups->config.mem, 64 * 1024, LIST_ARENA_MAX);
    const struct json *list = json_read(&arena, body, &json_limits_default, &err);
    JSON_EACH (item, json_get(list, STR("items"))) {
        struct str name = json_str(json_path(item, "metadata", "name", NULL));
        if (count < NAMES_MAX && str_is_set(name))
            names[count++] = name;
    }
    keep_name(lookup->near, str_nearest(str_from_cstr(lookup->name), names, count));
    arena_done(&arena);
}

/* Without names the answer is still right. */
static void on_list(void *ctx, const struct kube_result *result)
{
    struct template_lookup *lookup = ctx;
    lookup->pending = NULL;
    if (result->outcome == KUBE_NOT_FOUND) {
        answer_failed(lookup, STR("the cluster has no kind JobFlowTemplate; apply the "
                                  "CustomResourceDefinitions of this version"));
        return;
    }
    if (result->outcome == KUBE_OK)
        find_nearest(lookup, result->body);
    answer(lookup, TEMPLATE_MISSING, RESULT_NOT_FOUND);
}

static void list_names(struct template_lookup *lookup)
{
    struct err err;
    const struct kube_call call = {
        .verb = KUBE_LIST,
        .lane = KUBE_LANE_REQUEST,
        .resource = &kube_jobflow_templates,
        .namespace = str_from_cstr(lookup->namespace),
        .limit = NAMES_MAX,
        .timeout_ns = list_timeout_ns,
        .retry_until_ns = clock_now_ns(lookup->lookups->config.clock), /* not again */
        .response_max = LIST_MAX,
    };
    lookup->is_missing = true;
    lookup->pending = kube_client_call(lookup->lookups->client, &call, on_list, lookup, &err);
    if (!lookup->pending)
        answer(lookup, TEMPLATE_MISSING, RESULT_NOT_FOUND);
}

/* ---- Asking ---- */

static void on_template(void *ctx, const struct kube_result *result)
{
    struct template_lookup *lookup = ctx;
    lookup->pending = NULL;
    if (result->outcome == KUBE_OK)
        answer_found(lookup, result->body);
    else if (result->outcome == KUBE_NOT_FOUND)
        list_names(lookup);
    else
        answer_failed(lookup, result->message);
}

static void on_deadline(void *ctx, int64_t now_ns)
{
    struct template_lookup *lookup = ctx;
    (void)now_ns;
    kube_client_cancel(lookup->lookups->client, lookup->pending);
    lookup->pending = NULL;
    if (lookup->is_missing) {
        answer(lookup, TEMPLATE_MISSING, RESULT_NOT_FOUND);
        return;
    }
    snprintf(lookup->text, sizeof(lookup->text),
             "the API server did not answer the webhook in time");
    answer(lookup, TEMPLATE_UNREACHABLE, RESULT_TIMEOUT);
}

static void begin(struct template_lookup *lookup)
{
    struct template_lookups *lookups = lookup->lookups;
    struct err err;
    const struct kube_call call = {
        .verb = KUBE_GET,
        .lane = KUBE_LANE_REQUEST,
        .resource = &kube_jobflow_templates,
        .namespace = str_from_cstr(lookup->namespace),
        .name = str_from_cstr(lookup->name),
        .timeout_ns = lookup->timeout_ns / 5 * 2,
        .retry_until_ns = lookup->asked_ns + lookup->timeout_ns / 5 * 3,
        .response_max = TEMPLATE_MAX,
    };
    lookup->next = lookups->under_way;
    lookups->under_way = lookup;
    if (timers_register(&lookups->timers, &lookup->deadline, on_deadline, lookup, &err) < 0) {
        answer_failed(lookup, str_from_cstr(err.message));
        return;
    }
    timers_set(&lookups->timers, &lookup->deadline, lookup->asked_ns + lookup->timeout_ns);
    lookup->pending = kube_client_call(lookups->client, &call, on_template, lookup, &err);
    if (!lookup->pending)
        answer_failed(lookup, str_from_cstr(err.message));
}

/* The oldest first. */
static void take_inbox(struct template_lookups *lookups)
{
    pthread_mutex_lock(&lookups->lock);
    struct template_lookup *newest = lookups->inbox, *oldest = NULL;
    lookups->inbox = NULL;
    pthread_mutex_unlock(&lookups->lock);
    while (newest) {
        struct template_lookup *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct template_lookup *next = oldest->next;
        begin(oldest);
        oldest = next;
    }
}

void template_lookups_run_once(struct template_lookups *lookups)
{
    struct kube_transport *transport = lookups->config.transport;
    take_inbox(lookups);
    transport->ops->wait(transport, timers_next_ns(&lookups->timers));
    timers_run(&lookups->timers, clock_now_ns(lookups->config.clock));
}

/* ---- The thread ---- */

static void *run(void *arg)
{
    struct template_lookups *lookups = arg;
    while (!atomic_load(&lookups->must_stop))
        template_lookups_run_once(lookups);
    return NULL;
}

int template_lookups_start(struct template_lookups *lookups, struct err *err)
{
    int rc = pthread_create(&lookups->thread, NULL, run, lookups);
    if (rc != 0)
        return err_set(err, 500, "thread: %s", strerror(rc));
    lookups->is_running = true;
    pthread_setname_np(lookups->thread, "templates");
    return 0;
}

struct template_lookups *template_lookups_new(const struct template_lookups_config *config,
                                              struct err *err)
{
    struct template_lookups *lookups = mem_alloc(config->mem, sizeof(*lookups));
    if (!lookups) {
        err_no_memory(err, "template lookups");
        return NULL;
    }
    *lookups = (struct template_lookups){.config = *config, .lock = PTHREAD_MUTEX_INITIALIZER};
    if (lookups->config.timeout_ns == 0)
        lookups->config.timeout_ns = default_timeout_ns;
    timers_init(&lookups->timers, config->mem);
    lookups->client = kube_client_new(
        &(const struct kube_client_config){
            .transport = config->transport,
            .timers = &lookups->timers,
            .clock = config->clock,
            .random = config->random,
            .mem = config->mem,
            .metrics = config->metrics,
            .host = config->host,
            /* Who waits is bounded already, and the API server limits its clients itself. */
            .qps = -1,
            .max_in_flight = TEMPLATE_LOOKUPS_AT_ONCE,
        },
        err);
    if (!lookups->client) {
        template_lookups_free(lookups);
        return NULL;
    }
    lookups->results = metrics_counters(config->metrics, "callboard_webhook_template_lookups_total",
                                        "Templates that were asked for, by what came of it.",
                                        METRICS_LABELS("result"), RESULTS);
    /* There from the start, so that the first one is seen as a change. */
    for (enum lookup_result result = 0; result < RESULTS; result++)
        result_counter(lookups, result);
    lookups->seconds =
        metrics_histogram(config->metrics, "callboard_webhook_template_lookup_duration_seconds",
                          "How long the API server took for a template.", metrics_buckets_latency);
    return lookups;
}

void template_lookups_free(struct template_lookups *lookups)
{
    if (!lookups)
        return;
    if (lookups->is_running) {
        atomic_store(&lookups->must_stop, true);
        lookups->config.transport->ops->wake(lookups->config.transport);
        pthread_join(lookups->thread, NULL);
    }
    /* Those in the inbox are taken over only to be ended like the others. */
    if (lookups->client)
        take_inbox(lookups);
    while (lookups->under_way) {
        struct template_lookup *lookup = lookups->under_way;
        kube_client_cancel(lookups->client, lookup->pending);
        answer_failed(lookup, STR("the webhook is being shut down"));
    }
    kube_client_free(lookups->client);
    timers_done(&lookups->timers);
    pthread_mutex_destroy(&lookups->lock);
    mem_free(lookups->config.mem, lookups, sizeof(*lookups));
}

/* ---- What a review finds ---- */

static void unreachable(struct template_answer *ret, struct str why)
{
    ret->state = TEMPLATE_UNREACHABLE;
    ret->text = why;
}

static void read_answer(const struct template_view *view, struct template_answer *ret)
{
    const struct template_lookup *lookup = view->lookup;
    struct err err;
    ret->state = lookup->state;
    if (lookup->state == TEMPLATE_UNREACHABLE) {
        ret->text = str_from_cstr(lookup->text);
    } else if (lookup->state == TEMPLATE_MISSING) {
        if (lookup->near[0])
            ret->near = str_from_cstr(lookup->near);
    } else {
        ret->object = json_read(view->arena, (struct str){lookup->body, lookup->body_len},
                                &json_limits_default, &err);
        if (!ret->object)
            unreachable(ret, STR("what the API server sent cannot be read"));
    }
}

static void find(void *ctx, struct str namespace, struct str name, struct template_answer *ret)
{
    const struct template_view *view = ctx;
    (void)namespace; /* a review asks for one template, and is judged with the answer to that */
    (void)name;
    *ret = (struct template_answer){.state = TEMPLATE_UNKNOWN};
    if (view->reason)
        unreachable(ret, str_from_cstr(view->reason));
    else if (view->lookup && !atomic_load(&view->lookup->is_answered))
        unreachable(ret, STR("the API server did not answer the webhook in time"));
    else if (view->lookup)
        read_answer(view, ret);
}

struct template_source template_view_source(struct template_view *view)
{
    return (struct template_source){.ctx = view, .find = find};
}
