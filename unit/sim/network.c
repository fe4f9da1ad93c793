/* The network: exchanges on their way there and back, and what happens to them. */
#include "unit/sim/network.h"

#include "unit/sim/tree.h"

const char *const sim_fault_names[SIM_FAULTS] = {
    [SIM_REFUSED] = "connection refused",
    [SIM_LOST_BEFORE] = "request lost",
    [SIM_LOST_AFTER] = "answer lost",
    [SIM_SLOW] = "slow",
    [SIM_REPEATED] = "request repeated",
    [SIM_BUSY] = "429",
    [SIM_ERROR_BEFORE] = "500, not done",
    [SIM_ERROR_AFTER] = "500, done",
    [SIM_UNAVAILABLE] = "503",
    [SIM_CONFLICT] = "conflict",
    [SIM_DENIED] = "create denied",
    [SIM_STALE_LIST] = "stale list",
    [SIM_COMPACTED] = "compaction, 410",
    [SIM_WATCH_CUT] = "watch cut",
    [SIM_WATCH_DELAYED] = "watch delayed",
    [SIM_WATCH_COALESCED] = "watch coalesced",
    [SIM_WATCH_DUPLICATED] = "watch duplicated",
    [SIM_WATCH_SPLIT] = "watch split",
    [SIM_WATCH_SILENT] = "watch silent",
    [SIM_WATCH_ERROR] = "watch error",
    [SIM_PARTITION] = "partition",
    [SIM_CLOCK_JUMP] = "clock jump",
    [SIM_PAUSE] = "pause",
    [SIM_TWO_LEADERS] = "two leaders",
    [SIM_CRASH] = "crash",
    [SIM_CRASH_AT_WRITE] = "crash at a write",
    [SIM_GRACEFUL_END] = "graceful end",
};

enum fate {
    FATE_PASS,
    FATE_REFUSED,
    FATE_LOST_BEFORE,
    FATE_LOST_AFTER,
    FATE_REPEATED,
    FATE_BUSY,
    FATE_ERROR_BEFORE,
    FATE_ERROR_AFTER,
    FATE_UNAVAILABLE,
    FATE_CONFLICT,
    FATE_DENIED,
};

enum { BODY_MAX = 64 << 20, REPLAY_MAX = 1 << 16 };

struct kube_exchange {
    struct kube_exchange *next;
    struct kube_exchange **link;
    struct sim_network *network;
    struct sim_transport *transport; /* NULL: the process has lost interest, or is gone */
    struct kube_request request;     /* with texts of its own */
    struct kube_receiver receiver;
    enum fate fate;
    int64_t sent_ns;
    bool is_read;
    const struct kube_resource *resource; /* NULL: no such one */
    bool is_over;                         /* its end is among the deliveries */
    struct timer arrive, progress, timeout, silence;
    /* The answer that is on its way back. */
    struct sim_response response;
    enum kube_failure failure;
    struct sim_object *written;
    /* Of a watch. */
    struct sim_watch *watch;
    struct buf replay;     /* the last piece */
    uint64_t held_version; /* the first piece, which is late, ends here; 0: none is */
    int64_t push_ns, bookmark_ns, expire_ns;
    bool is_dead;
};

/* What has reached a process and waits for its wait(). */
struct sim_delivery {
    struct sim_delivery *next;
    struct kube_exchange *exchange;
    bool is_end;
    struct kube_response response;        /* of an end */
    struct str text;                      /* of a part; owned */
    const struct kube_resource *resource; /* all up to `version` is with the process after it */
    uint64_t version;
};

static int64_t latency(struct sim_network *network)
{
    if (sim_fault(network, SIM_SLOW))
        return sim_between(network->world, 100 * SIM_MS, 2500 * SIM_MS);
    return sim_between(network->world, SIM_MS / 2, 10 * SIM_MS);
}

bool sim_fault(struct sim_network *network, enum sim_fault fault)
{
    bool happens = sim_chance(network->world, network->permille[fault]);
    network->counts[fault] += happens;
    return happens;
}

/* ---- Texts of their own ---- */

static struct str text_copy(struct str text)
{
    char *copy = malloc(text.len + 1);
    sim_require(copy != NULL);
    memcpy(copy, text.ptr ? text.ptr : "", text.len);
    copy[text.len] = '\0';
    return (struct str){copy, text.len};
}

static void text_free(struct str text)
{
    free((void *)(uintptr_t)text.ptr);
}

/* ---- Deliveries ---- */

static void deliver(struct kube_exchange *exchange, struct sim_delivery delivery)
{
    struct sim_transport *transport = exchange->transport;
    struct sim_delivery *copy = malloc(sizeof(*copy));
    sim_require(copy != NULL && transport != NULL);
    *copy = delivery;
    copy->next = NULL;
    copy->exchange = exchange;
    *transport->last = copy;
    transport->last = &copy->next;
}

static void delivery_free(struct sim_delivery *delivery)
{
    text_free(delivery->text);
    text_free(delivery->response.body);
    free(delivery);
}

static void drop_deliveries(struct sim_transport *transport, const struct kube_exchange *exchange)
{
    struct sim_delivery **at = &transport->first;
    while (*at) {
        struct sim_delivery *delivery = *at;
        if (exchange && delivery->exchange != exchange) {
            at = &delivery->next;
            continue;
        }
        *at = delivery->next;
        delivery_free(delivery);
    }
    transport->last = at;
}

/* ---- Exchanges ---- */

static void exchange_free(struct kube_exchange *exchange)
{
    struct timers *timers = &exchange->network->world->timers;
    *exchange->link = exchange->next;
    if (exchange->next)
        exchange->next->link = exchange->link;
    timers_unregister(timers, &exchange->arrive);
    timers_unregister(timers, &exchange->progress);
    timers_unregister(timers, &exchange->timeout);
    timers_unregister(timers, &exchange->silence);
    sim_watch_free(exchange->watch);
    sim_object_unref(exchange->written);
    buf_done(&exchange->replay);
    buf_done(&exchange->response.body);
    text_free(exchange->request.target);
    text_free(exchange->request.body);
    free(exchange);
}

static void end(struct kube_exchange *exchange, enum kube_failure failure, int status,
                const char *text)
{
    struct timers *timers = &exchange->network->world->timers;
    struct sim_delivery delivery = {.is_end = true};
    /* What is on its way may still arrive: only the process has given up. */
    timers_cancel(timers, &exchange->progress);
    timers_cancel(timers, &exchange->timeout);
    timers_cancel(timers, &exchange->silence);
    exchange->is_over = true;
    delivery.response = (struct kube_response){
        .failure = failure,
        .status = status,
        .retry_after_ns =
            exchange->response.retry_after_s ? exchange->response.retry_after_s * SIM_SEC : -1,
        .text = text,
    };
    if (failure == KUBE_ANSWERED && exchange->response.list_version) {
        delivery.version = exchange->response.list_version;
        delivery.resource = exchange->resource;
    }
    bool is_taken = exchange->receiver.on_data && status >= 200 && status < 300;
    if (failure == KUBE_ANSWERED && !is_taken)
        delivery.response.body = text_copy(buf_str(&exchange->response.body));
    deliver(exchange, delivery);
}

/* The process has lost interest; the request may be on its way still. */
static void detach(struct kube_exchange *exchange)
{
    struct timers *timers = &exchange->network->world->timers;
    exchange->transport = NULL;
    timers_cancel(timers, &exchange->progress);
    timers_cancel(timers, &exchange->timeout);
    timers_cancel(timers, &exchange->silence);
    if (!timer_is_set(&exchange->arrive))
        exchange_free(exchange);
}

static bool is_cut_off(const struct kube_exchange *exchange)
{
    return exchange->transport &&
           exchange->transport->cut_off_until_ns > exchange->network->world->now_ns;
}

static void on_timeout(void *ctx, int64_t now_ns)
{
    (void)now_ns;
    struct kube_exchange *exchange = ctx;
    sim_tracef(exchange->network->world, "net %s: times out: %s %" PRIstr,
               exchange->transport->identity, exchange->request.method,
               STR_ARG(exchange->request.target));
    end(exchange, KUBE_LOST, 0, "timed out");
}

static void on_silence(void *ctx, int64_t now_ns)
{
    (void)now_ns;
    struct kube_exchange *exchange = ctx;
    end(exchange, KUBE_SILENT, exchange->watch ? 200 : 0, "no byte came");
}

static void heard(struct kube_exchange *exchange)
{
    struct sim_world *world = exchange->network->world;
    if (exchange->request.silence_ns > 0)
        timers_set(&world->timers, &exchange->silence,
                   world->now_ns + exchange->request.silence_ns);
}

/* ---- Watches ---- */

static void arm_watch(struct kube_exchange *exchange)
{
    int64_t at_ns = exchange->push_ns;
    if (exchange->bookmark_ns < at_ns)
        at_ns = exchange->bookmark_ns;
    if (exchange->expire_ns < at_ns)
        at_ns = exchange->expire_ns;
    if (!exchange->is_dead && !exchange->is_over)
        timers_set(&exchange->network->world->timers, &exchange->progress, at_ns);
}

static int64_t push_delay(struct sim_network *network)
{
    if (sim_fault(network, SIM_WATCH_DELAYED))
        return sim_between(network->world, SIM_SEC, 30 * SIM_SEC);
    if (sim_fault(network, SIM_WATCH_COALESCED))
        return sim_between(network->world, 200 * SIM_MS, 3 * SIM_SEC);
    return sim_between(network->world, SIM_MS, 20 * SIM_MS);
}

void sim_network_on_write(struct sim_network *network)
{
    for (struct kube_exchange *e = network->exchanges; e; e = e->next) {
        if (!e->watch || e->is_dead || e->is_over || e->push_ns != TIMERS_NEVER)
            continue;
        e->push_ns = network->world->now_ns + push_delay(network);
        arm_watch(e);
    }
}

/* Of the last event that is whole in the first part of a piece; 0: there is none. */
static uint64_t last_version(struct str text)
{
    struct arena arena;
    ptrdiff_t end = str_find_last(text, '\n');
    if (end <= 0)
        return 0;
    text = str_sub(text, 0, (size_t)end);
    struct str line = str_sub(text, (size_t)(str_find_last(text, '\n') + 1), text.len);
    arena_init(&arena, mem_system(), 1 << 14, BODY_MAX);
    uint64_t version = kube_version_number(
        kube_text_at(tree_read(&arena, line), "object", "metadata", "resourceVersion", NULL));
    arena_done(&arena);
    return version;
}

static void deliver_part(struct kube_exchange *exchange, struct str text, uint64_t version)
{
    deliver(exchange, (struct sim_delivery){
                          .text = text_copy(text),
                          .resource = exchange->resource,
                          .version = version,
                      });
    heard(exchange);
}

/* A piece of a watch, perhaps in two parts. */
static void deliver_piece(struct kube_exchange *exchange, struct buf *piece)
{
    struct sim_network *network = exchange->network;
    uint64_t version = sim_watch_version(exchange->watch);
    if (network->filter.rewrite)
        network->filter.rewrite(network->filter.ctx, exchange->transport, &exchange->request,
                                piece);
    struct str text = buf_str(piece);
    if (text.len > 1 && sim_fault(network, SIM_WATCH_SPLIT)) {
        size_t at = (size_t)sim_between(network->world, 1, (int64_t)text.len - 1);
        struct str first = str_sub(text, 0, at);
        deliver_part(exchange, first, last_version(first));
        text = str_sub(text, at, text.len);
    }
    deliver_part(exchange, text, version);
}

/* Ends the stream, perhaps in the middle of the piece. */
static void cut_watch(struct kube_exchange *exchange, struct buf *piece)
{
    struct sim_network *network = exchange->network;
    bool is_clean = sim_chance(network->world, 500);
    if (!is_clean && piece->len > 1)
        piece->len = (size_t)sim_between(network->world, 1, (int64_t)piece->len - 1);
    if (piece->len > 0)
        deliver_part(exchange, buf_str(piece),
                     is_clean ? sim_watch_version(exchange->watch) : last_version(buf_str(piece)));
    end(exchange, is_clean ? KUBE_ANSWERED : KUBE_LOST, 200, "the connection was cut");
}

static void put_error_event(struct buf *piece)
{
    buf_put(piece,
            STR("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"apiVersion\":\"v1\","
                "\"metadata\":{},\"status\":\"Failure\",\"message\":\"etcd event received with "
                "PrevKv=nil\",\"reason\":\"InternalError\",\"code\":500}}\n"));
}

/* Fills the piece with what is due; false when the stream ends after it. */
static bool fill_piece(struct kube_exchange *exchange, struct buf *piece)
{
    struct sim_world *world = exchange->network->world;
    bool has_ended = false;
    if (exchange->replay.len > 0 && sim_fault(exchange->network, SIM_WATCH_DUPLICATED))
        buf_put(piece, buf_str(&exchange->replay));
    size_t start = piece->len;
    uint64_t end = exchange->held_version ? exchange->held_version : UINT64_MAX;
    while (sim_watch_next(exchange->watch, end, piece, &has_ended))
        ;
    buf_clear(&exchange->replay);
    if (piece->len - start < REPLAY_MAX && !has_ended)
        buf_put(&exchange->replay, str_sub(buf_str(piece), start, piece->len));
    if (world->now_ns >= exchange->bookmark_ns) {
        if (sim_watch_wants_bookmarks(exchange->watch))
            sim_watch_bookmark(exchange->watch, piece);
        exchange->bookmark_ns = world->now_ns + sim_between(world, 10 * SIM_SEC, 60 * SIM_SEC);
    }
    return !has_ended;
}

static void on_watch_progress(struct kube_exchange *exchange)
{
    struct sim_network *network = exchange->network;
    struct buf piece;
    buf_init(&piece, mem_system(), BODY_MAX);
    bool goes_on = fill_piece(exchange, &piece);
    exchange->push_ns =
        exchange->held_version ? network->world->now_ns + push_delay(network) : TIMERS_NEVER;
    exchange->held_version = 0;
    bool is_expired = network->world->now_ns >= exchange->expire_ns;
    if (goes_on && sim_fault(network, SIM_WATCH_ERROR)) {
        put_error_event(&piece);
        goes_on = false;
    }
    if (goes_on && !is_expired && sim_fault(network, SIM_WATCH_CUT)) {
        cut_watch(exchange, &piece);
    } else {
        if (piece.len > 0)
            deliver_piece(exchange, &piece);
        if (!goes_on || is_expired)
            end(exchange, KUBE_ANSWERED, 200, "");
        else if (sim_fault(network, SIM_WATCH_SILENT))
            exchange->is_dead = true;
        else
            arm_watch(exchange);
    }
    buf_done(&piece);
}

static int64_t stale_delay(struct sim_network *network)
{
    return sim_between(network->world, SIM_SEC, 25 * SIM_SEC);
}

static void start_watch(struct kube_exchange *exchange)
{
    struct sim_world *world = exchange->network->world;
    int64_t timeout_s = sim_watch_timeout_s(exchange->watch);
    exchange->push_ns = world->now_ns + latency(exchange->network);
    if (sim_watch_is_list(exchange->watch) && sim_fault(exchange->network, SIM_STALE_LIST)) {
        exchange->held_version = sim_watch_version(exchange->watch);
        exchange->push_ns += stale_delay(exchange->network);
    }
    exchange->bookmark_ns = world->now_ns + sim_between(world, 5 * SIM_SEC, 60 * SIM_SEC);
    exchange->expire_ns = timeout_s > 0 ? world->now_ns + timeout_s * SIM_SEC : TIMERS_NEVER;
    arm_watch(exchange);
}

/* ---- A request at the server ---- */

static struct sim_request request_of(const struct kube_exchange *exchange)
{
    return (struct sim_request){
        .method = str_from_cstr(exchange->request.method),
        .target = exchange->request.target,
        .content_type = str_from_cstr(exchange->request.content_type),
        .body = exchange->request.body,
    };
}

/* Somebody else's change, which leaves the object as valid as it was. */
static void touch(struct kube_exchange *exchange)
{
    struct sim_world *world = exchange->network->world;
    struct str path;
    str_cut(exchange->request.target, '?', &path, &(struct str){0});
    if (str_ends_with(path, STR("/status")))
        path = str_sub(path, 0, path.len - strlen("/status"));
    exchange->network->writer = NULL;
    sim_ask(world, "PATCH", path, "{\"metadata\":{\"annotations\":{\"touched\":\"%lld\"}}}",
            (long long)sim_between(world, 0, 999));
}

/* An object as metav1.PartialObjectMetadata; a Status stays as it is. */
static void keep_metadata(struct sim_response *response)
{
    struct arena arena;
    struct err err;
    arena_init(&arena, mem_system(), 16 * 1024, BODY_MAX);
    struct json *object = json_read(&arena, buf_str(&response->body), &json_limits_default, &err);
    if (object && !str_eq(json_str(json_get(object, STR("kind"))), STR("Status"))) {
        struct str text =
            STR("{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\","
                "\"metadata\":");
        struct buf body;
        buf_init(&body, mem_system(), BODY_MAX);
        buf_put(&body, text);
        json_write(&body, json_get(object, STR("metadata")));
        buf_put_char(&body, '}');
        buf_done(&response->body);
        response->body = body;
    }
    arena_done(&arena);
}

static void execute(struct kube_exchange *exchange)
{
    struct sim_network *network = exchange->network;
    struct sim_request request = request_of(exchange);
    struct sim_response *response = &exchange->response;
    buf_clear(&response->body);
    if (network->filter.intercept && exchange->transport &&
        network->filter.intercept(network->filter.ctx, exchange->transport, &exchange->request,
                                  response))
        return;
    uint64_t before = network->world->server.store.version;
    network->writer = exchange->transport;
    network->writing = &exchange->request;
    if (sim_server_is_watch(&request))
        exchange->watch = sim_server_watch(&network->world->server, &request, response);
    else
        sim_server_handle(&network->world->server, &request, response);
    if (exchange->request.wants_metadata)
        keep_metadata(response);
    network->writer = NULL;
    if (network->world->server.store.version > before) {
        sim_object_unref(exchange->written);
        exchange->written = sim_object_ref(
            sim_store_event(&network->world->server.store, network->world->server.store.version)
                ->after);
    }
}

static void refuse(struct kube_exchange *exchange)
{
    struct sim_response *response = &exchange->response;
    struct sim_world *world = exchange->network->world;
    switch (exchange->fate) {
    case FATE_BUSY:
        sim_response_set_error(response, 429, "TooManyRequests",
                               "the server has received too many requests and has asked us to try "
                               "again later");
        response->retry_after_s = (int)sim_between(world, 0, 3);
        break;
    case FATE_UNAVAILABLE:
        sim_response_set_error(response, 503, "ServiceUnavailable",
                               "the server is currently unable to handle the request");
        break;
    case FATE_DENIED:
        if (sim_chance(world, 500))
            sim_response_set_error(response, 403, "Forbidden", "exceeded quota: compute");
        else
            sim_response_set_error(response, 422, "Invalid", "the pod is invalid: spec: refused");
        break;
    default:
        sim_response_set_error(response, 500, "InternalError", "Internal error occurred: etcd");
    }
}

static bool is_refused(enum fate fate)
{
    return fate == FATE_BUSY || fate == FATE_UNAVAILABLE || fate == FATE_DENIED ||
           fate == FATE_ERROR_BEFORE;
}

static void serve(struct kube_exchange *exchange)
{
    struct sim_network *network = exchange->network;
    if (sim_fault(network, SIM_COMPACTED))
        sim_store_compact(
            &network->world->server.store,
            network->world->server.store.version - (uint64_t)sim_between(network->world, 0, 3));
    if (is_refused(exchange->fate)) {
        refuse(exchange);
        return;
    }
    if (exchange->fate == FATE_CONFLICT)
        touch(exchange);
    execute(exchange);
    if (exchange->fate == FATE_REPEATED)
        execute(exchange);
    if (exchange->fate == FATE_ERROR_AFTER)
        refuse(exchange);
}

static void on_arrive(void *ctx, int64_t now_ns)
{
    struct kube_exchange *exchange = ctx;
    struct sim_network *network = exchange->network;
    if (exchange->fate == FATE_REFUSED) {
        if (!exchange->transport)
            exchange_free(exchange);
        else if (!exchange->is_over)
            end(exchange, KUBE_NOT_SENT, 0, "connection refused");
        return;
    }
    if (exchange->fate == FATE_LOST_BEFORE || is_cut_off(exchange)) {
        exchange->failure = KUBE_LOST;
    } else {
        serve(exchange);
        sim_tracef(network->world, "net %s: %s %" PRIstr " -> %d%s",
                   exchange->transport ? exchange->transport->identity : "(gone)",
                   exchange->request.method, STR_ARG(exchange->request.target),
                   exchange->response.status, exchange->fate == FATE_LOST_AFTER ? ", lost" : "");
        exchange->failure = exchange->fate == FATE_LOST_AFTER ? KUBE_LOST : KUBE_ANSWERED;
    }
    if (!exchange->transport) {
        exchange_free(exchange);
        return;
    }
    if (exchange->is_over)
        return;
    if (exchange->watch && exchange->failure == KUBE_ANSWERED) {
        start_watch(exchange);
        return;
    }
    bool is_late = exchange->response.list_version && sim_fault(network, SIM_STALE_LIST);
    timers_set(&network->world->timers, &exchange->progress,
               now_ns + latency(network) + (is_late ? stale_delay(network) : 0));
}

static void answer(struct kube_exchange *exchange)
{
    struct sim_network *network = exchange->network;
    struct buf *body = &exchange->response.body;
    int status = exchange->response.status;
    if (exchange->failure == KUBE_LOST) {
        /* Half of the losses are noticed at once, the others at the timeout. */
        if (exchange->request.timeout_ns == 0 || sim_chance(network->world, 500))
            end(exchange, KUBE_LOST, 0, "the connection was reset");
        return;
    }
    if (network->filter.rewrite)
        network->filter.rewrite(network->filter.ctx, exchange->transport, &exchange->request, body);
    /* What is passed on in parts is not collected. */
    bool is_passed_on = exchange->receiver.on_data && status >= 200 && status < 300;
    if (!is_passed_on && exchange->request.response_max > 0 &&
        body->len > exchange->request.response_max) {
        end(exchange, KUBE_TOO_LARGE, status, "the answer is too large");
        return;
    }
    if (is_passed_on)
        deliver_part(exchange, buf_str(body), 0);
    end(exchange, KUBE_ANSWERED, status, "");
}

static void on_progress(void *ctx, int64_t now_ns)
{
    struct kube_exchange *exchange = ctx;
    (void)now_ns;
    if (is_cut_off(exchange)) /* what is on the wire comes when it is whole again */
        timers_set(&exchange->network->world->timers, &exchange->progress,
                   exchange->transport->cut_off_until_ns);
    else if (exchange->watch)
        on_watch_progress(exchange);
    else
        answer(exchange);
}

/* ---- The transport ---- */

static enum fate choose_fate(struct sim_network *network, const struct kube_exchange *exchange)
{
    static const struct {
        enum sim_fault fault;
        enum fate fate;
        bool of_writes_only;
    } choices[] = {
        {SIM_REFUSED, FATE_REFUSED, false},           {SIM_LOST_BEFORE, FATE_LOST_BEFORE, false},
        {SIM_LOST_AFTER, FATE_LOST_AFTER, false},     {SIM_BUSY, FATE_BUSY, false},
        {SIM_ERROR_BEFORE, FATE_ERROR_BEFORE, false}, {SIM_UNAVAILABLE, FATE_UNAVAILABLE, false},
        {SIM_REPEATED, FATE_REPEATED, true},          {SIM_ERROR_AFTER, FATE_ERROR_AFTER, true},
    };
    bool is_create = strcmp(exchange->request.method, "POST") == 0;
    bool is_change = strcmp(exchange->request.method, "PUT") == 0 ||
                     strcmp(exchange->request.method, "PATCH") == 0;
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        if ((!choices[i].of_writes_only || !exchange->is_read) &&
            sim_fault(network, choices[i].fault))
            return choices[i].fate;
    }
    if (is_change && sim_fault(network, SIM_CONFLICT))
        return FATE_CONFLICT;
    if (is_create && str_ends_with(exchange->request.target, STR("/pods")) &&
        sim_fault(network, SIM_DENIED))
        return FATE_DENIED;
    return FATE_PASS;
}

static void register_timers(struct kube_exchange *exchange)
{
    struct timers *timers = &exchange->network->world->timers;
    struct err err;
    int failed = timers_register(timers, &exchange->arrive, on_arrive, exchange, &err);
    failed |= timers_register(timers, &exchange->progress, on_progress, exchange, &err);
    failed |= timers_register(timers, &exchange->timeout, on_timeout, exchange, &err);
    failed |= timers_register(timers, &exchange->silence, on_silence, exchange, &err);
    sim_require(failed == 0);
}

static struct kube_exchange *exchange_new(struct sim_transport *transport,
                                          const struct kube_request *request,
                                          const struct kube_receiver *receiver)
{
    struct sim_network *network = transport->network;
    struct kube_exchange *exchange = calloc(1, sizeof(*exchange));
    sim_require(exchange != NULL);
    exchange->network = network;
    exchange->transport = transport;
    exchange->request = *request;
    exchange->request.target = text_copy(request->target);
    exchange->request.body = text_copy(request->body);
    exchange->receiver = *receiver;
    exchange->sent_ns = network->world->now_ns;
    exchange->is_read = strcmp(request->method, "GET") == 0;
    exchange->resource = sim_target_resource(request->target);
    exchange->push_ns = exchange->bookmark_ns = exchange->expire_ns = TIMERS_NEVER;
    buf_init(&exchange->response.body, mem_system(), BODY_MAX);
    buf_init(&exchange->replay, mem_system(), REPLAY_MAX);
    exchange->next = network->exchanges;
    exchange->link = &network->exchanges;
    if (exchange->next)
        exchange->next->link = &exchange->next;
    network->exchanges = exchange;
    register_timers(exchange);
    return exchange;
}

static struct kube_exchange *transport_send(struct kube_transport *base,
                                            const struct kube_request *request,
                                            const struct kube_receiver *receiver, struct err *err)
{
    (void)err;
    struct sim_transport *transport = (struct sim_transport *)base;
    struct sim_network *network = transport->network;
    struct sim_world *world = network->world;
    if (network->hooks.on_send)
        network->hooks.on_send(network->hooks.ctx, transport, request);
    struct kube_exchange *exchange = exchange_new(transport, request, receiver);
    network->requests++;
    exchange->fate = choose_fate(network, exchange);
    if (is_cut_off(exchange))
        exchange->fate = sim_chance(world, 300) ? FATE_REFUSED : FATE_LOST_BEFORE;
    timers_set(&world->timers, &exchange->arrive, world->now_ns + latency(network));
    if (request->timeout_ns > 0)
        timers_set(&world->timers, &exchange->timeout, world->now_ns + request->timeout_ns);
    heard(exchange);
    transport->did_something = true;
    return exchange;
}

static void transport_cancel(struct kube_transport *base, struct kube_exchange *exchange)
{
    struct sim_transport *transport = (struct sim_transport *)base;
    drop_deliveries(transport, exchange);
    detach(exchange);
}

/* Gives one delivery to the process. */
static void hand_over(struct sim_transport *transport)
{
    struct sim_network *network = transport->network;
    struct sim_delivery *delivery = transport->first;
    struct kube_exchange *exchange = delivery->exchange;
    struct kube_receiver receiver = exchange->receiver;
    transport->first = delivery->next;
    if (!transport->first)
        transport->last = &transport->first;
    /* The process knows it before it is told, so that what it does in the call is judged rightly. */
    if (delivery->version && network->hooks.on_seen)
        network->hooks.on_seen(network->hooks.ctx, transport, delivery->resource,
                               delivery->version);
    if (delivery->is_end) {
        if (network->hooks.on_answered)
            network->hooks.on_answered(network->hooks.ctx, transport, &exchange->request,
                                       exchange->sent_ns, &delivery->response, exchange->written);
        detach(exchange);
        receiver.on_done(receiver.ctx, &delivery->response);
    } else {
        int result = receiver.on_data ? receiver.on_data(receiver.ctx, delivery->text) : 0;
        if (result < 0) {
            drop_deliveries(transport, exchange);
            end(exchange, KUBE_LOST, 0, "cut by the receiver");
        }
    }
    delivery_free(delivery);
}

static void transport_wait(struct kube_transport *base, int64_t until_ns)
{
    struct sim_transport *transport = (struct sim_transport *)base;
    transport->until_ns = until_ns;
    transport->did_something =
        transport->is_woken || transport->first || until_ns <= transport->network->world->now_ns;
    transport->is_woken = false;
    /* Sometimes one by one, so that the process works between two that came together. */
    bool is_single = sim_chance(transport->network->world, 200);
    while (transport->first) {
        hand_over(transport);
        if (is_single)
            break;
    }
}

static void transport_wake(struct kube_transport *base)
{
    ((struct sim_transport *)base)->is_woken = true;
}

static const struct kube_transport_ops transport_ops = {
    .send = transport_send,
    .cancel = transport_cancel,
    .wait = transport_wait,
    .wake = transport_wake,
};

void sim_transport_init(struct sim_transport *transport, struct sim_network *network,
                        const char *identity, void *owner)
{
    *transport = (struct sim_transport){
        .transport = {.ops = &transport_ops},
        .network = network,
        .identity = identity,
        .owner = owner,
        .is_woken = true,
    };
    transport->last = &transport->first;
}

void sim_transport_done(struct sim_transport *transport)
{
    struct kube_exchange *next;
    drop_deliveries(transport, NULL);
    for (struct kube_exchange *e = transport->network->exchanges; e; e = next) {
        next = e->next;
        if (e->transport == transport)
            detach(e);
    }
}

void sim_network_init(struct sim_network *network, struct sim_world *world)
{
    *network = (struct sim_network){.world = world};
}

void sim_network_done(struct sim_network *network)
{
    while (network->exchanges)
        exchange_free(network->exchanges);
}
