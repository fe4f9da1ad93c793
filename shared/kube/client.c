/* Calls under way: waiting in order, in flight, or backing off. */
#include "kube/client.h"

#include "kube/call.h"
#include "kube/status.h"

#include <assert.h>
#include <stdio.h>

/*
 *   call ──▶ waiting ──(token, room)──▶ in flight ──▶ done
 *               ▲                           │
 *               └────── backing off ◀───────┘
 *
 * Lanes other than that of requests do not wait: they go to the transport at once.
 */

enum {
    QPS_DEFAULT = 50,
    BURST_DEFAULT = 100,
    IN_FLIGHT_DEFAULT = 8,
    PENDING_DEFAULT = 16384,
    TARGET_MAX = 32 * 1024,
    BODY_MAX = 4 * 1024 * 1024,
    LIST_MAX = 32 * 1024 * 1024,
    BURST_MAX = 1000000,
    RETRIES_MAX = 7,
    UNAUTHORISED = 401,
};

#define TIMEOUT_DEFAULT_NS (30 * CLOCK_NS_PER_SEC)
#define BACKOFF_FIRST_NS   (100 * CLOCK_NS_PER_MS)
#define BACKOFF_MAX_NS     (10 * CLOCK_NS_PER_SEC)
/* A server that wants more patience than this is for the caller to decide about. */
#define RETRY_AFTER_MAX_NS (60 * CLOCK_NS_PER_SEC)

/* Of a ring whose head is no member. */
struct link {
    struct link *next, *before;
};

struct kube_pending {
    struct link link; /* first: in waiting, in_flight, backing_off or ended */
    struct kube_client *client;
    struct timer retry;
    struct kube_exchange *exchange; /* while it is in flight */
    const struct kube_resource *resource;
    struct kube_request request;
    int64_t timeout_ns;
    int64_t retry_until_ns; /* 0: no limit */
    int64_t queued_ns;
    int64_t sent_ns;
    uint64_t order;
    unsigned attempts;
    bool is_write;
    bool was_unauthorised;
    kube_done *done;
    void *ctx;
    size_t size; /* of this block */
    char data[]; /* target and body */
};

struct client_metrics {
    struct counter_family *requests;
    struct counter_family *retries;
    struct histogram_family *duration;
    struct histogram_family *waiting;
};

struct kube_client {
    struct kube_client_config config;
    struct client_metrics metrics;
    struct link waiting; /* of the request lane, by order */
    struct link in_flight;
    struct link backing_off;
    struct link ended;         /* to be told by the timer `fence` */
    struct timer pump;         /* when the next token comes */
    struct timer fence;        /* at the write deadline, or as soon as something has ended */
    size_t pending;            /* in all four */
    size_t requests_in_flight; /* of the request lane */
    int64_t write_deadline_ns;
    int64_t token_interval_ns; /* 0: no limit */
    int64_t bucket_full_ns;    /* when all tokens will be there */
    uint64_t orders;
    size_t host_size;
    char host[];
};

/* ---- Rings ---- */

static void ring_init(struct link *head)
{
    head->next = head->before = head;
}

static void link_remove(struct link *link)
{
    link->before->next = link->next;
    link->next->before = link->before;
    ring_init(link);
}

static void link_put_before(struct link *place, struct link *link)
{
    link->next = place;
    link->before = place->before;
    place->before->next = link;
    place->before = link;
}

static struct kube_pending *ring_first(const struct link *head)
{
    return head->next == head ? NULL : (struct kube_pending *)head->next;
}

static void move_to(struct link *ring, struct kube_pending *pending)
{
    link_remove(&pending->link);
    link_put_before(ring, &pending->link);
}

/* ---- Rate limit: a bucket of `burst` tokens that fills at `qps`, as client-go's
 * (golang.org/x/time/rate) ---- */

static int64_t now_ns(const struct kube_client *client)
{
    return clock_now_ns(client->config.clock);
}

/* Takes a token: 0, or else the time that it takes until there is one. */
static int64_t take_token(struct kube_client *client, int64_t now)
{
    int64_t interval = client->token_interval_ns;
    int64_t full = client->bucket_full_ns > now ? client->bucket_full_ns : now;
    int64_t wait = full + interval - (now + interval * client->config.burst);
    if (wait > 0)
        return wait;
    client->bucket_full_ns = full + interval;
    return 0;
}

/* ---- Metrics ---- */

static void make_metrics(struct kube_client *client, struct metrics *metrics)
{
    /* client-go's (k8s.io/component-base metrics/prometheus/restclient). */
    static const double bounds[] = {0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60};
    const struct metrics_buckets buckets = {bounds, sizeof(bounds) / sizeof(bounds[0])};
    enum { SERIES_MAX = 64 };
    client->metrics = (struct client_metrics){
        .requests = metrics_counters(metrics, "rest_client_requests_total",
                                     "Requests to the API server by status code, method and host.",
                                     METRICS_LABELS("code", "method", "host"), SERIES_MAX),
        .retries = metrics_counters(metrics, "rest_client_request_retries_total",
                                    "Requests to the API server that were repeated.",
                                    METRICS_LABELS("code", "verb", "host"), SERIES_MAX),
        .duration = metrics_histograms(metrics, "rest_client_request_duration_seconds",
                                       "Time from sending a request to the end of its answer.",
                                       METRICS_LABELS("verb", "host"), SERIES_MAX, buckets),
        .waiting =
            metrics_histograms(metrics, "rest_client_rate_limiter_duration_seconds",
                               "Time for which a request waited for the client's rate limit.",
                               METRICS_LABELS("verb", "host"), SERIES_MAX, buckets),
    };
}

static struct str host_of(const struct kube_client *client)
{
    return (struct str){client->host, client->host_size - 1};
}

static double seconds(int64_t ns)
{
    return (double)ns / (double)CLOCK_NS_PER_SEC;
}

/* The code as a label: client-go's "<error>" where there is none. */
struct code_text {
    char text[16];
};

static struct str print_code(const struct kube_response *response, struct code_text *to)
{
    if (response->failure != KUBE_ANSWERED)
        return STR("<error>");
    snprintf(to->text, sizeof(to->text), "%d", response->status);
    return str_from_cstr(to->text);
}

static void count_attempt(struct kube_pending *pending, const struct kube_response *response)
{
    struct kube_client *client = pending->client;
    struct str method = str_from_cstr(pending->request.method), host = host_of(client);
    struct code_text code;
    counter_add(counter_of(client->metrics.requests,
                           METRICS_VALUES(print_code(response, &code), method, host)),
                1);
    histogram_observe(histogram_of(client->metrics.duration, METRICS_VALUES(method, host)),
                      seconds(now_ns(client) - pending->sent_ns));
}

static void count_retry(struct kube_pending *pending, const struct kube_response *response)
{
    struct kube_client *client = pending->client;
    struct code_text code;
    counter_add(counter_of(client->metrics.retries,
                           METRICS_VALUES(print_code(response, &code),
                                          str_from_cstr(pending->request.method), host_of(client))),
                1);
}

/* ---- The end of a call ---- */

static void pending_free(struct kube_pending *pending)
{
    struct kube_client *client = pending->client;
    if (pending->exchange) {
        client->config.transport->ops->cancel(client->config.transport, pending->exchange);
        client->requests_in_flight -= pending->request.lane == KUBE_LANE_REQUEST;
    }
    link_remove(&pending->link);
    timers_unregister(client->config.timers, &pending->retry);
    client->pending--;
    mem_free(client->config.mem, pending, pending->size);
}

/* Frees it first: `done` may do what it likes with the client but free it. */
static void finish(struct kube_pending *pending, const struct kube_result *result)
{
    kube_done *done = pending->done;
    void *ctx = pending->ctx;
    pending_free(pending);
    done(ctx, result);
}

/* ---- Sending ---- */

static void on_answer(void *ctx, const struct kube_response *response);

static bool is_fenced(const struct kube_pending *pending, int64_t now)
{
    return pending->is_write && pending->request.lane == KUBE_LANE_REQUEST &&
           now >= pending->client->write_deadline_ns;
}

static int64_t timeout_of(const struct kube_pending *pending, int64_t now)
{
    int64_t deadline = pending->client->write_deadline_ns;
    bool has_deadline =
        pending->is_write && pending->request.lane == KUBE_LANE_REQUEST && deadline != INT64_MAX;
    return has_deadline && deadline - now < pending->timeout_ns ? deadline - now
                                                                : pending->timeout_ns;
}

/* How long before the attempt after `attempts` ones: 100 ms, doubled each time up to 10 s, and from that
 * anything between half and one and a half. */
static int64_t backoff_of(const struct kube_pending *pending)
{
    int64_t backoff = BACKOFF_FIRST_NS;
    for (unsigned i = 1; i < pending->attempts && backoff < BACKOFF_MAX_NS; i++)
        backoff *= 2;
    if (backoff > BACKOFF_MAX_NS)
        backoff = BACKOFF_MAX_NS;
    return backoff / 2 +
           (int64_t)random_below(pending->client->config.random, (uint64_t)backoff + 1);
}

static void back_off(struct kube_pending *pending, int64_t delay)
{
    struct kube_client *client = pending->client;
    move_to(&client->backing_off, pending);
    timers_set(client->config.timers, &pending->retry, now_ns(client) + delay);
}

static void send_attempt(struct kube_pending *pending, int64_t now)
{
    struct kube_client *client = pending->client;
    struct kube_transport *transport = client->config.transport;
    struct err err;
    const struct kube_receiver receiver = {.on_done = on_answer, .ctx = pending};
    pending->attempts++;
    pending->sent_ns = now;
    pending->request.timeout_ns = timeout_of(pending, now);
    pending->exchange = transport->ops->send(transport, &pending->request, &receiver, &err);
    if (!pending->exchange) { /* no memory: perhaps later */
        back_off(pending, backoff_of(pending));
        return;
    }
    move_to(&client->in_flight, pending);
    client->requests_in_flight += pending->request.lane == KUBE_LANE_REQUEST;
}

/* Sends what may be sent now. Calls nobody back. */
static void pump(struct kube_client *client)
{
    int64_t now = now_ns(client);
    struct kube_pending *first;
    while ((first = ring_first(&client->waiting)) != NULL) {
        if (is_fenced(first, now)) {
            move_to(&client->ended, first);
            timers_set(client->config.timers, &client->fence, now);
            continue;
        }
        if (client->requests_in_flight >= client->config.max_in_flight)
            return;
        int64_t wait = take_token(client, now);
        if (wait > 0) {
            timers_set(client->config.timers, &client->pump, now + wait);
            return;
        }
        histogram_observe(
            histogram_of(client->metrics.waiting,
                         METRICS_VALUES(str_from_cstr(first->request.method), host_of(client))),
            seconds(now - first->queued_ns));
        send_attempt(first, now);
    }
}

static void on_pump(void *ctx, int64_t now)
{
    (void)now;
    pump(ctx);
}

/* To the waiting ones, before those that are younger. */
static void enqueue(struct kube_pending *pending, int64_t now)
{
    struct kube_client *client = pending->client;
    if (pending->request.lane != KUBE_LANE_REQUEST) {
        send_attempt(pending, now);
        return;
    }
    struct link *place = &client->waiting;
    while (place->before != &client->waiting &&
           ((struct kube_pending *)place->before)->order > pending->order)
        place = place->before;
    pending->queued_ns = now;
    link_remove(&pending->link);
    link_put_before(place, &pending->link);
    pump(client);
}

/* ---- Retries ---- */

static void on_retry(void *ctx, int64_t now)
{
    struct kube_pending *pending = ctx;
    if (pending->attempts >
        RETRIES_MAX) { /* only for what could not even be given to the transport */
        finish(pending, &(const struct kube_result){.outcome = KUBE_UNREACHED,
                                                    .message = STR("out of memory")});
        return;
    }
    enqueue(pending, now);
}

/* How long the client or the server wants to wait, or -1: for too long. */
static int64_t delay_of(const struct kube_pending *pending, const struct kube_response *response)
{
    int64_t backoff = backoff_of(pending);
    if (response->failure != KUBE_ANSWERED || response->retry_after_ns < 0)
        return backoff;
    /* Not all of those that were sent away shall come back at the same moment. */
    return response->retry_after_ns <= RETRY_AFTER_MAX_NS ? response->retry_after_ns + backoff : -1;
}

/* The time to wait before the next attempt, or -1: there is none. */
static int64_t retry_delay(struct kube_pending *pending, const struct kube_response *response,
                           const struct kube_verdict *verdict)
{
    bool is_new_401 = response->failure == KUBE_ANSWERED && response->status == UNAUTHORISED &&
                      !pending->was_unauthorised;
    pending->was_unauthorised |= is_new_401;
    if (pending->request.lane == KUBE_LANE_LEASE || pending->attempts > RETRIES_MAX ||
        !(verdict->may_retry || is_new_401))
        return -1;
    int64_t delay = delay_of(pending, response), until = pending->retry_until_ns;
    return until == 0 || now_ns(pending->client) + delay < until ? delay : -1;
}

static void on_answer(void *ctx, const struct kube_response *response)
{
    struct kube_pending *pending = ctx;
    struct kube_client *client = pending->client;
    struct kube_verdict verdict;
    pending->exchange = NULL;
    client->requests_in_flight -= pending->request.lane == KUBE_LANE_REQUEST;
    count_attempt(pending, response);
    if (response->failure == KUBE_ANSWERED)
        kube_judge_answer(response, pending->resource, pending->is_write, client->config.mem,
                          &verdict);
    else
        kube_judge_failure(response, pending->is_write, &verdict);
    int64_t delay = retry_delay(pending, response, &verdict);
    if (delay >= 0) {
        count_retry(pending, response);
        back_off(pending, delay);
    } else {
        finish(pending, &(const struct kube_result){.outcome = verdict.outcome,
                                                    .status = response->status,
                                                    .date_s = response->date_s,
                                                    .body = response->body,
                                                    .message = verdict.message});
    }
    pump(client);
}

/* ---- The write deadline ---- */

static void end_writes(struct kube_client *client, struct link *ring, int64_t now)
{
    struct link *next;
    for (struct link *at = ring->next; at != ring; at = next) {
        struct kube_pending *pending = (struct kube_pending *)at;
        next = at->next;
        if (is_fenced(pending, now))
            move_to(&client->ended, pending);
    }
}

/* Tells those that had ended when it began: a `done` may make new calls, which end in their turn. */
static void tell_ended(struct kube_client *client)
{
    struct kube_pending *pending;
    uint64_t end = client->orders;
    while ((pending = ring_first(&client->ended)) != NULL && pending->order < end) {
        if (pending->exchange)
            finish(pending, &(const struct kube_result){
                                .outcome = KUBE_UNKNOWN,
                                .message = STR("the leadership ended before the answer came; "
                                               "whether the server has done it is unknown")});
        else
            finish(pending,
                   &(const struct kube_result){
                       .outcome = KUBE_FENCED,
                       .message = STR("not sent: this process may not be the leader any more")});
    }
    if (pending)
        timers_set(client->config.timers, &client->fence, now_ns(client));
}

static void on_fence(void *ctx, int64_t now)
{
    struct kube_client *client = ctx;
    end_writes(client, &client->in_flight, now);
    end_writes(client, &client->backing_off, now);
    end_writes(client, &client->waiting, now);
    if (now < client->write_deadline_ns && client->write_deadline_ns != INT64_MAX)
        timers_set(client->config.timers, &client->fence, client->write_deadline_ns);
    tell_ended(client);
    pump(client);
}

void kube_client_set_write_deadline(struct kube_client *client, int64_t at_ns)
{
    client->write_deadline_ns = at_ns;
    if (ring_first(&client->ended))
        return; /* the timer is set already */
    if (at_ns == INT64_MAX)
        timers_cancel(client->config.timers, &client->fence);
    else
        timers_set(client->config.timers, &client->fence, at_ns);
}

/* ---- Beginning ---- */

static size_t response_max_of(const struct kube_call *call)
{
    if (call->response_max)
        return call->response_max;
    return call->verb == KUBE_LIST ? LIST_MAX : BODY_MAX;
}

/* The block with copies of target and body. */
static struct kube_pending *pending_new(struct kube_client *client, const struct kube_call *call,
                                        struct str target, struct str body)
{
    size_t size = sizeof(struct kube_pending) + target.len + body.len;
    struct kube_pending *pending = mem_alloc(client->config.mem, size);
    if (!pending)
        return NULL;
    *pending = (struct kube_pending){
        .client = client,
        .resource = call->resource,
        .request = {.lane = call->lane,
                    .method = kube_verb_method(call->verb),
                    .target = {pending->data, target.len},
                    .content_type = kube_verb_content_type(call->verb),
                    .wants_metadata = call->wants_metadata,
                    .body = {body.len ? pending->data + target.len : NULL, body.len},
                    .response_max = response_max_of(call)},
        .timeout_ns = call->timeout_ns ? call->timeout_ns : client->config.timeout_ns,
        .retry_until_ns = call->retry_until_ns,
        .is_write = kube_verb_is_write(call->verb),
        .size = size,
    };
    ring_init(&pending->link);
    memcpy(pending->data, target.ptr, target.len);
    if (body.len)
        memcpy(pending->data + target.len, body.ptr, body.len);
    return pending;
}

static struct kube_pending *prepare(struct kube_client *client, const struct kube_call *call,
                                    struct err *err)
{
    struct buf target, body;
    struct kube_pending *pending = NULL;
    buf_init(&target, client->config.mem, TARGET_MAX);
    buf_init(&body, client->config.mem, BODY_MAX);
    kube_call_put_target(&target, call);
    kube_call_put_body(&body, call);
    if (!buf_failed(&target) && !buf_failed(&body))
        pending = pending_new(client, call, buf_str(&target), buf_str(&body));
    buf_done(&target);
    buf_done(&body);
    if (!pending)
        err_no_memory(err, "calling the API server");
    return pending;
}

struct kube_pending *kube_client_call(struct kube_client *client, const struct kube_call *call,
                                      kube_done *done, void *ctx, struct err *err)
{
    if (kube_call_check(call, err) < 0)
        return NULL;
    if (client->pending >= client->config.max_pending) {
        err_set(err, 429, "more than %u calls to the API server are under way",
                client->config.max_pending);
        return NULL;
    }
    struct kube_pending *pending = prepare(client, call, err);
    if (!pending)
        return NULL;
    if (timers_register(client->config.timers, &pending->retry, on_retry, pending, err) < 0) {
        mem_free(client->config.mem, pending, pending->size);
        return NULL;
    }
    pending->done = done;
    pending->ctx = ctx;
    pending->order = client->orders++;
    client->pending++;
    enqueue(pending, now_ns(client));
    return pending;
}

void kube_client_cancel(struct kube_client *client, struct kube_pending *pending)
{
    pending_free(pending);
    /* Its place may be taken, but nobody is called back from here. */
    pump(client);
}

/* ---- The client ---- */

static void set_defaults(struct kube_client *client)
{
    struct kube_client_config *config = &client->config;
    if (config->burst == 0)
        config->burst = BURST_DEFAULT;
    if (config->burst > BURST_MAX)
        config->burst = BURST_MAX;
    if (config->max_in_flight == 0)
        config->max_in_flight = IN_FLIGHT_DEFAULT;
    if (config->max_pending == 0)
        config->max_pending = PENDING_DEFAULT;
    if (config->timeout_ns == 0)
        config->timeout_ns = TIMEOUT_DEFAULT_NS;
    if (config->qps == 0)
        config->qps = QPS_DEFAULT;
    /* Slower than one in 1,000 s is not meant; and the product with the burst must fit. */
    double interval = config->qps > 0 ? (double)CLOCK_NS_PER_SEC / config->qps : 0;
    double interval_max = 1000 * (double)CLOCK_NS_PER_SEC;
    client->token_interval_ns = (int64_t)(interval < interval_max ? interval : interval_max);
}

struct kube_client *kube_client_new(const struct kube_client_config *config, struct err *err)
{
    size_t host_size = config->host.len + 1;
    struct kube_client *client = mem_alloc(config->mem, sizeof(*client) + host_size);
    if (!client) {
        err_no_memory(err, "setting up the client of the API server");
        return NULL;
    }
    *client = (struct kube_client){
        .config = *config, .write_deadline_ns = INT64_MAX, .host_size = host_size};
    if (config->host.len)
        memcpy(client->host, config->host.ptr, config->host.len);
    client->host[config->host.len] = '\0';
    set_defaults(client);
    ring_init(&client->waiting);
    ring_init(&client->in_flight);
    ring_init(&client->backing_off);
    ring_init(&client->ended);
    if (timers_register(config->timers, &client->pump, on_pump, client, err) < 0 ||
        timers_register(config->timers, &client->fence, on_fence, client, err) < 0) {
        kube_client_free(client);
        return NULL;
    }
    if (config->metrics)
        make_metrics(client, config->metrics);
    return client;
}

static void free_all(struct link *ring)
{
    struct kube_pending *pending;
    while ((pending = ring_first(ring)) != NULL)
        pending_free(pending);
}

void kube_client_free(struct kube_client *client)
{
    if (!client)
        return;
    free_all(&client->waiting);
    free_all(&client->in_flight);
    free_all(&client->backing_off);
    free_all(&client->ended);
    assert(client->pending == 0);
    timers_unregister(client->config.timers, &client->pump);
    timers_unregister(client->config.timers, &client->fence);
    mem_free(client->config.mem, client, sizeof(*client) + client->host_size);
}
