/* HTTPS to the API server by libcurl's multi interface and epoll. */
#include "kube/curl.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/timers.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/*
 * libcurl must not be called from its own callbacks, and receivers may do anything. So the callbacks of
 * libcurl only collect; receivers are called when it has returned:
 *
 *   epoll_wait ─▶ curl_multi_socket_action ─▶ body into exchange->data, ring `ready`
 *              ─▶ deliver(): on_data for those in `ready`, then on_done for those that libcurl has ended
 *
 * An easy handle with its options is a slot; idle slots are kept for the next exchange.
 */

enum {
    LANES = 3,
    CONNECTIONS_DEFAULT = 8,
    CONNECTIONS_OTHER = 32, /* of the lanes of watches and of the lease */
    SLOTS_KEPT = 16,
    EVENTS_MAX = 64,
    HEADERS_MAX = 5,
    ERROR_BODY_MAX =
        64 * 1024, /* of an answer that is not 2xx to one that takes its data in parts */
    DATA_KEPT_MAX = 64 * 1024,
    DATA_MAX = 16 * 1024 * 1024, /* between two deliveries; libcurl reads far less at a time */
    UNACKNOWLEDGED_MAX_MS = 15000,
    KEEPALIVE_IDLE_S = 15,
    KEEPALIVE_INTERVAL_S = 5,
    UPLOAD_BUFFER = 16 * 1024, /* libcurl's least */
    TEXTS_BLOCK = 1024,
    TEXTS_MAX = 64 * 1024,
    UNAUTHORISED = 401,
};

#define CONNECT_TIMEOUT_DEFAULT_NS (5 * CLOCK_NS_PER_SEC)

/* What epoll says: a socket of a lane, or one of these in place of the lane. */
enum { EVENT_WAKE = LANES, EVENT_IDENTITY, EVENT_IDLE };

struct link {
    struct link *next, *before;
};

/* A copy of an identity, shared by the handles that use it; wiped at the end. */
struct snapshot {
    unsigned refs;
    uint64_t version;
    struct str ca, cert, key;
    const char *authorization; /* the whole header, or NULL */
    size_t size;
    char data[];
};

struct slot {
    CURL *easy;
    struct snapshot *identity; /* with which its options were set, or NULL */
    struct slot *next;         /* idle */
    struct curl_slist headers[HEADERS_MAX];
    char error[CURL_ERROR_SIZE];
};

struct curl_transport;

struct kube_exchange {
    struct link link;  /* first: in `exchanges` */
    struct link ready; /* in `ready` when there is data */
    struct curl_transport *owner;
    struct slot *slot; /* while libcurl has it; NULL while it waits for an identity */
    struct kube_receiver receiver;
    struct kube_request request;
    struct timer timer; /* silence; while held: the time that it may wait */
    int64_t began_ns;
    int64_t heard_ns; /* the last byte */
    uint64_t identity_version;
    unsigned times_sent; /* handed to a connection */
    bool is_write;
    bool is_delivering; /* its on_data is running */
    bool is_cancelled;  /* by that on_data */
    bool is_too_large;
    struct buf data;       /* of the body, collected or not yet delivered */
    struct err held_error; /* why there is no identity */
    size_t size;
    char body[];
};

struct lane {
    struct curl_transport *owner;
    CURLM *multi;
    struct timer timer;
    uint32_t index;
};

struct curl_transport {
    struct kube_transport transport; /* first */
    struct kube_curl_config config;
    struct arena texts; /* the strings of the config, NUL-terminated */
    const char *server, *proxy, *user_agent;
    struct curl_slist connect_to; /* for a certificate of another name */
    const char *host_header;
    struct timers timers;
    struct lane lanes[LANES];
    struct link exchanges;
    struct link ready;
    struct slot *idle;
    size_t idle_count;
    struct snapshot *identity; /* the newest */
    int64_t turned_ns;         /* when something came the last time */
    int epoll;
    int wakeup;
    bool has_curl;
};

/* ---- Rings ---- */

static void ring_init(struct link *head)
{
    head->next = head->before = head;
}

static bool is_linked(const struct link *link)
{
    return link->next != link;
}

static void link_remove(struct link *link)
{
    link->before->next = link->next;
    link->next->before = link->before;
    ring_init(link);
}

static void link_append(struct link *head, struct link *link)
{
    link->next = head;
    link->before = head->before;
    head->before->next = link;
    head->before = link;
}

static struct kube_exchange *exchange_of_ready(struct link *link)
{
    return (struct kube_exchange *)((char *)link - offsetof(struct kube_exchange, ready));
}

static struct curl_transport *curl_of(struct kube_transport *transport)
{
    return (struct curl_transport *)transport;
}

static int64_t now_ns(const struct curl_transport *t)
{
    return clock_now_ns(t->config.clock);
}

/* ---- Identity ---- */

static void snapshot_unref(struct curl_transport *t, struct snapshot *snapshot)
{
    if (!snapshot || --snapshot->refs > 0)
        return;
    explicit_bzero(snapshot->data, snapshot->size - sizeof(*snapshot));
    mem_free(t->config.mem, snapshot, snapshot->size);
}

static struct str put_text(char **at, struct str text)
{
    if (!str_is_set(text))
        return text;
    struct str copy = {*at, text.len};
    if (text.len)
        memcpy(*at, text.ptr, text.len);
    (*at)[text.len] = '\0';
    *at += text.len + 1;
    return copy;
}

static struct snapshot *snapshot_new(struct curl_transport *t, const struct kube_identity *identity)
{
    static const struct str header = STR_INIT("Authorization: ");
    const struct str *auth = &identity->authorization;
    size_t size = sizeof(struct snapshot) + identity->ca.len + identity->cert.len +
                  identity->key.len + header.len + auth->len + 4;
    struct snapshot *snapshot = mem_alloc(t->config.mem, size);
    if (!snapshot)
        return NULL;
    *snapshot = (struct snapshot){.refs = 1, .version = identity->version, .size = size};
    char *at = snapshot->data;
    snapshot->ca = put_text(&at, identity->ca);
    snapshot->cert = put_text(&at, identity->cert);
    snapshot->key = put_text(&at, identity->key);
    if (str_is_set(*auth)) {
        snapshot->authorization = at;
        memcpy(at, header.ptr, header.len);
        at += header.len;
        put_text(&at, *auth);
    }
    return snapshot;
}

/* The newest identity into t->identity. */
static enum kube_identity_state refresh_identity(struct curl_transport *t, struct err *err)
{
    struct kube_identity identity = {0};
    struct kube_identity_source *source = t->config.identity;
    enum kube_identity_state state =
        source ? source->get(source, now_ns(t), &identity, err) : KUBE_IDENTITY_READY;
    if (state != KUBE_IDENTITY_READY || (t->identity && t->identity->version == identity.version))
        return state;
    struct snapshot *snapshot = snapshot_new(t, &identity);
    if (!snapshot) {
        err_no_memory(err, "keeping the credentials");
        return KUBE_IDENTITY_FAILED;
    }
    snapshot_unref(t, t->identity);
    t->identity = snapshot;
    return KUBE_IDENTITY_READY;
}

/* ---- What libcurl calls ---- */

/* Whether more than `max` would be collected. */
static bool collect(struct kube_exchange *exchange, struct str part, size_t max)
{
    if (part.len > max || exchange->data.len > max - part.len) {
        exchange->is_too_large = true;
        return false;
    }
    exchange->data.max = max;
    buf_put(&exchange->data, part);
    return !buf_failed(&exchange->data);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the type is libcurl's. */
static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct kube_exchange *exchange = ctx;
    struct curl_transport *t = exchange->owner;
    struct str part = {data, size * count};
    long status = 0;
    curl_easy_getinfo(exchange->slot->easy, CURLINFO_RESPONSE_CODE, &status);
    exchange->heard_ns = now_ns(t);
    if (exchange->receiver.on_data && status >= 200 && status < 300) {
        if (!collect(exchange, part, DATA_MAX))
            return 0;
        if (!is_linked(&exchange->ready))
            link_append(&t->ready, &exchange->ready);
        return part.len;
    }
    size_t max = exchange->request.response_max;
    if (exchange->receiver.on_data && max > ERROR_BODY_MAX)
        max = ERROR_BODY_MAX;
    return collect(exchange, part, max) ? part.len : 0;
}

/* NOLINTNEXTLINE(readability-non-const-parameter) */
static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
    struct kube_exchange *exchange = ctx;
    (void)data;
    exchange->heard_ns = now_ns(exchange->owner);
    return size * count;
}

/* Right before the request goes to a connection, for the second time when libcurl repeats it.
 * NOLINTNEXTLINE(readability-non-const-parameter) */
static int on_request(void *ctx, char *to, char *from, int to_port, int from_port)
{
    struct kube_exchange *exchange = ctx;
    const struct curl_transport *t = exchange->owner;
    (void)to, (void)from, (void)to_port, (void)from_port;
    bool is_late = exchange->request.timeout_ns > 0 &&
                   now_ns(t) - exchange->began_ns >= exchange->request.timeout_ns;
    if (is_late || (exchange->is_write && exchange->times_sent > 0))
        return CURL_PREREQFUNC_ABORT;
    exchange->times_sent++;
    return CURL_PREREQFUNC_OK;
}

/* The kernel gives a connection up whose peer acknowledges nothing, as Go's HTTP/2 does by its pings. And a
 * credential plugin must not hold it open when it is closed here. */
static int on_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
    (void)ctx;
    (void)purpose;
    unsigned ms = UNACKNOWLEDGED_MAX_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return CURL_SOCKOPT_OK;
}

static int on_poll_change(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known)
{
    const struct lane *lane = ctx;
    const struct curl_transport *t = lane->owner;
    (void)easy, (void)known;
    struct epoll_event event = {
        .events = (what & CURL_POLL_IN ? EPOLLIN : 0U) | (what & CURL_POLL_OUT ? EPOLLOUT : 0U),
        .data.u64 = (uint64_t)lane->index << 32 | (uint32_t)fd,
    };
    if (what == CURL_POLL_REMOVE) { /* it stays open, or is about to be closed */
        event.events = EPOLLRDHUP | EPOLLONESHOT;
        event.data.u64 = (uint64_t)EVENT_IDLE << 32 | (uint32_t)fd;
    }
    if (epoll_ctl(t->epoll, EPOLL_CTL_MOD, fd, &event) == 0)
        return 0;
    return errno == ENOENT ? epoll_ctl(t->epoll, EPOLL_CTL_ADD, fd, &event) : -1;
}

/* The server has closed a connection that is kept. Before it takes one, libcurl looks whether there is anything
 * to be read; before its version 8.0 it takes the goodbye of TLS, which comes before the end, for a sign of life
 * (curl's pull request 10690), and a write on that connection is one whose outcome nobody knows. Without the
 * goodbye it finds the end. */
static void read_goodbye(int fd)
{
    struct pollfd polled = {.fd = fd, .events = POLLRDHUP};
    char bytes[256];
    if (poll(&polled, 1, 0) != 1 ||
        !(polled.revents & POLLRDHUP)) /* the descriptor is another one now */
        return;
    while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        continue;
}

static int on_timer_change(CURLM *multi, long timeout_ms, void *ctx)
{
    struct lane *lane = ctx;
    struct curl_transport *t = lane->owner;
    (void)multi;
    if (timeout_ms < 0)
        timers_cancel(&t->timers, &lane->timer);
    else
        timers_set(&t->timers, &lane->timer, now_ns(t) + timeout_ms * CLOCK_NS_PER_MS);
    return 0;
}

/* ---- Slots ---- */

static bool set_blob(CURL *easy, CURLoption option, struct str data)
{
    /* The snapshot outlives the handle's use of it. */
    struct curl_blob blob = {(void *)data.ptr, data.len, CURL_BLOB_NOCOPY};
    return curl_easy_setopt(easy, option, data.len ? &blob : NULL) == CURLE_OK;
}

/* The options that never change. */
static bool set_up_easy(const struct curl_transport *t, CURL *easy, struct slot *slot)
{
    int64_t connect_ms = t->config.connect_timeout_ns / CLOCK_NS_PER_MS;
    long verify = t->config.is_insecure ? 0L : 1L;
    bool good = true;
#define SET(option, value) good = good && curl_easy_setopt(easy, option, value) == CURLE_OK
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, verify);
    SET(CURLOPT_SSL_VERIFYHOST, verify * 2);
    SET(CURLOPT_PROXY, t->proxy); /* "": none, and no look at the environment */
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_USERAGENT, t->user_agent);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE_S);
    SET(CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_INTERVAL_S);
    SET(CURLOPT_SOCKOPTFUNCTION, on_socket);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_PREREQFUNCTION, on_request);
    SET(CURLOPT_ERRORBUFFER, slot->error);
    if (t->connect_to.data)
        SET(CURLOPT_CONNECT_TO, &t->connect_to);
    return good;
}

static void slot_free(struct curl_transport *t, struct slot *slot)
{
    if (!slot)
        return;
    curl_easy_cleanup(slot->easy);
    snapshot_unref(t, slot->identity);
    mem_free(t->config.mem, slot, sizeof(*slot));
}

/* An idle slot, or a new one; NULL without memory. */
static struct slot *slot_take(struct curl_transport *t)
{
    struct slot *slot = t->idle;
    if (slot) {
        t->idle = slot->next;
        t->idle_count--;
        return slot;
    }
    slot = mem_alloc(t->config.mem, sizeof(*slot));
    if (!slot)
        return NULL;
    *slot = (struct slot){.easy = curl_easy_init()};
    if (!slot->easy || !set_up_easy(t, slot->easy, slot)) {
        slot_free(t, slot);
        return NULL;
    }
    return slot;
}

static void slot_give_back(struct curl_transport *t, struct slot *slot)
{
    if (t->idle_count >= SLOTS_KEPT) {
        slot_free(t, slot);
        return;
    }
    /* What these pointed to is about to go. */
    curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS, NULL);
    curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, NULL);
    slot->next = t->idle;
    t->idle = slot;
    t->idle_count++;
}

static bool slot_identify(struct curl_transport *t, struct slot *slot)
{
    struct snapshot *identity = t->identity;
    if (slot->identity == identity)
        return true;
    bool good = set_blob(slot->easy, CURLOPT_CAINFO_BLOB, identity->ca) &&
                set_blob(slot->easy, CURLOPT_SSLCERT_BLOB, identity->cert) &&
                set_blob(slot->easy, CURLOPT_SSLKEY_BLOB, identity->key);
    /* Even when that failed half-way it may point into the new one: the slot is then thrown away. */
    snapshot_unref(t, slot->identity);
    slot->identity = identity;
    identity->refs++;
    return good;
}

/* The headers need no memory of their own: they lie in the slot and point to what lasts as long. */
static struct curl_slist *list_headers(const struct curl_transport *t, struct slot *slot,
                                       const struct kube_request *request)
{
    static const struct {
        const char *type, *header;
    } types[] = {
        {"application/json", "Content-Type: application/json"},
        {"application/json-patch+json", "Content-Type: application/json-patch+json"},
        {"application/merge-patch+json", "Content-Type: application/merge-patch+json"},
        {"application/apply-patch+yaml", "Content-Type: application/apply-patch+yaml"},
    };
    const char *content_type = request->content_type;
    const char *accept =
        request->wants_metadata
            ? "Accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,"
              "application/json"
            : "Accept: application/json";
    const char *texts[HEADERS_MAX] = {accept,
                                      "Expect:", /* for large bodies it would cost a round trip */
                                      slot->identity->authorization, t->host_header, NULL};
    for (size_t i = 0; content_type && i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].type, content_type) == 0)
            texts[HEADERS_MAX - 1] = types[i].header;
    }
    struct curl_slist *list = NULL;
    for (size_t i = HEADERS_MAX; i-- > 0;) {
        if (!texts[i])
            continue;
        slot->headers[i] = (struct curl_slist){.data = (char *)texts[i], .next = list};
        list = &slot->headers[i];
    }
    return list;
}

static bool set_method(CURL *easy, const struct kube_exchange *exchange)
{
    const struct kube_request *request = &exchange->request;
    bool is_get = strcmp(request->method, "GET") == 0, has_body = str_is_set(request->body);
    bool good = true;
    SET(CURLOPT_HTTPGET, 1L);
    if (has_body) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        SET(CURLOPT_POSTFIELDS, request->body.ptr);
        SET(CURLOPT_POST, 1L);
    }
    SET(CURLOPT_CUSTOMREQUEST, is_get ? NULL : request->method);
    return good;
}

static bool set_url(struct curl_transport *t, CURL *easy, struct str target)
{
    struct buf url;
    bool good = true;
    buf_init(&url, t->config.mem, SIZE_MAX / 2);
    buf_put(&url, str_from_cstr(t->server));
    buf_put(&url, target);
    buf_put_char(&url, '\0');
    good = !buf_failed(&url);
    SET(CURLOPT_URL, url.ptr);
    buf_done(&url);
    return good;
}

/* The options of one exchange. */
static bool prepare_slot(struct curl_transport *t, struct kube_exchange *exchange,
                         struct str target)
{
    struct slot *slot = exchange->slot;
    CURL *easy = slot->easy;
    int64_t timeout_ms = exchange->request.timeout_ns / CLOCK_NS_PER_MS;
    /* 0 would be none; on_request() sees to the rest of the millisecond. */
    if (timeout_ms == 0 && exchange->request.timeout_ns > 0)
        timeout_ms = 1;
    bool good = slot_identify(t, slot) && set_method(easy, exchange) && set_url(t, easy, target);
    slot->error[0] = '\0';
    SET(CURLOPT_HTTPHEADER, list_headers(t, slot, &exchange->request));
    SET(CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    SET(CURLOPT_PRIVATE, exchange);
    SET(CURLOPT_WRITEDATA, exchange);
    SET(CURLOPT_HEADERDATA, exchange);
    SET(CURLOPT_PREREQDATA, exchange);
#undef SET
    exchange->identity_version = slot->identity->version;
    return good;
}

/* ---- The end of an exchange ---- */

static void detach(struct kube_exchange *exchange)
{
    struct curl_transport *t = exchange->owner;
    if (exchange->slot) {
        curl_multi_remove_handle(t->lanes[exchange->request.lane].multi, exchange->slot->easy);
        slot_give_back(t, exchange->slot);
        exchange->slot = NULL;
    }
    timers_unregister(&t->timers, &exchange->timer);
    link_remove(&exchange->link);
    link_remove(&exchange->ready);
}

static void exchange_free(struct kube_exchange *exchange)
{
    buf_done(&exchange->data);
    mem_free(exchange->owner->config.mem, exchange, exchange->size);
}

static void finish(struct kube_exchange *exchange, const struct kube_response *response)
{
    detach(exchange);
    exchange->receiver.on_done(exchange->receiver.ctx, response);
    exchange_free(exchange);
}

static void fail(struct kube_exchange *exchange, enum kube_failure failure, const char *text)
{
    finish(exchange, &(const struct kube_response){
                         .failure = failure, .retry_after_ns = -1, .text = text, .body = STR("")});
}

/* What libcurl's code means. Nothing was sent unless on_request() let it through. */
static enum kube_failure failure_of(const struct kube_exchange *exchange, CURLcode code)
{
    if (code == CURLE_OK)
        return KUBE_ANSWERED;
    if (exchange->is_too_large)
        return KUBE_TOO_LARGE;
    return exchange->times_sent > 0 ? KUBE_LOST : KUBE_NOT_SENT;
}

static const char *explain(const struct kube_exchange *exchange, CURLcode code, const char *error)
{
    if (exchange->is_too_large)
        return "the answer is larger than the limit";
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return exchange->times_sent > 0 ? "the connection was closed before the answer came"
                                        : "no connection was ready in time";
    return error[0] ? error : curl_easy_strerror(code);
}

static int64_t date_of(CURL *easy)
{
    struct curl_header *date;
    if (curl_easy_header(easy, "Date", 0, CURLH_HEADER, -1, &date) != CURLHE_OK)
        return 0;
    time_t seconds = curl_getdate(date->value, NULL);
    return seconds > 0 ? seconds : 0;
}

static void end_by_curl(struct kube_exchange *exchange, CURLcode code)
{
    CURL *easy = exchange->slot->easy;
    char error[CURL_ERROR_SIZE];
    long status = 0;
    curl_off_t retry_after_s = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    memcpy(error, exchange->slot->error, sizeof(error));
    struct kube_identity_source *source = exchange->owner->config.identity;
    /* A certificate and a key that do not fit were read between two writes of who rotates them. */
    if (source && (code == CURLE_SSL_CERTPROBLEM || (code == CURLE_OK && status == UNAUTHORISED)))
        source->refused(source, exchange->identity_version);
    struct kube_response response = {
        .failure = failure_of(exchange, code),
        .status = (int)status,
        .retry_after_ns =
            retry_after_s > 0 && retry_after_s < INT32_MAX ? retry_after_s * CLOCK_NS_PER_SEC : -1,
        .date_s = date_of(easy),
        .body = buf_str(&exchange->data),
        .text = explain(exchange, code, error),
    };
    finish(exchange, &response);
}

/* ---- Delivery ---- */

static void deliver_data(struct kube_exchange *exchange)
{
    struct buf data = exchange->data; /* what on_data causes to arrive comes later */
    const struct mem *mem = data.mem;
    link_remove(&exchange->ready);
    buf_init(&exchange->data, mem, DATA_MAX);
    exchange->is_delivering = true;
    int rc = exchange->receiver.on_data(exchange->receiver.ctx, buf_str(&data));
    exchange->is_delivering = false;
    if (data.cap <= DATA_KEPT_MAX && !exchange->data.ptr) {
        buf_clear(&data);
        exchange->data = data;
    } else {
        buf_done(&data);
    }
    if (exchange->is_cancelled)
        exchange_free(exchange);
    else if (rc < 0)
        fail(exchange, KUBE_LOST, "cut by its reader");
}

static bool deliver_ended(struct lane *lane)
{
    int left;
    CURLMsg *message = curl_multi_info_read(lane->multi, &left);
    if (!message)
        return false;
    struct kube_exchange *exchange;
    CURLcode code = message->data.result;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&exchange);
    end_by_curl(exchange, code);
    return true;
}

static void deliver(struct curl_transport *t)
{
    while (is_linked(&t->ready))
        deliver_data(exchange_of_ready(t->ready.next));
    for (size_t i = 0; i < LANES; i++) {
        while (deliver_ended(&t->lanes[i]))
            continue;
    }
}

/* ---- Beginning ---- */

static int begin(struct kube_exchange *exchange, struct err *err)
{
    struct curl_transport *t = exchange->owner;
    CURLM *multi = t->lanes[exchange->request.lane].multi;
    exchange->slot = slot_take(t);
    if (!exchange->slot)
        return err_no_memory(err, "sending a request");
    if (!prepare_slot(t, exchange, exchange->request.target) ||
        curl_multi_add_handle(multi, exchange->slot->easy) != CURLM_OK) {
        slot_free(t, exchange->slot);
        exchange->slot = NULL;
        return err_no_memory(err, "sending a request");
    }
    exchange->heard_ns = now_ns(t);
    if (exchange->request.silence_ns > 0)
        timers_set(&t->timers, &exchange->timer, exchange->heard_ns + exchange->request.silence_ns);
    else
        timers_cancel(&t->timers, &exchange->timer);
    return 0;
}

static void on_exchange_timer(void *ctx, int64_t now)
{
    struct kube_exchange *exchange = ctx;
    struct curl_transport *t = exchange->owner;
    if (!exchange->slot) {
        fail(exchange, KUBE_NOT_SENT,
             exchange->held_error.code ? exchange->held_error.message
                                       : "the credentials did not come in time");
    } else if (now < exchange->heard_ns + exchange->request.silence_ns) {
        timers_set(&t->timers, &exchange->timer, exchange->heard_ns + exchange->request.silence_ns);
    } else {
        fail(exchange, KUBE_SILENT, "the server has said nothing for too long");
    }
}

static struct kube_exchange *exchange_new(struct curl_transport *t,
                                          const struct kube_request *request,
                                          const struct kube_receiver *receiver, struct err *err)
{
    size_t size = sizeof(struct kube_exchange) + request->body.len + request->target.len;
    struct kube_exchange *exchange = mem_alloc(t->config.mem, size);
    if (!exchange) {
        err_no_memory(err, "sending a request");
        return NULL;
    }
    *exchange = (struct kube_exchange){
        .owner = t,
        .receiver = *receiver,
        .request = *request,
        .began_ns = now_ns(t),
        .is_write = strcmp(request->method, "GET") != 0,
        .size = size,
    };
    exchange->request.target.ptr = exchange->body;
    memcpy(exchange->body, request->target.ptr, request->target.len);
    if (str_is_set(request->body)) {
        exchange->request.body.ptr = exchange->body + request->target.len;
        memcpy(exchange->body + request->target.len, request->body.ptr, request->body.len);
    }
    buf_init(&exchange->data, t->config.mem, 0);
    ring_init(&exchange->link);
    ring_init(&exchange->ready);
    if (timers_register(&t->timers, &exchange->timer, on_exchange_timer, exchange, err) < 0) {
        exchange_free(exchange);
        return NULL;
    }
    link_append(&t->exchanges, &exchange->link);
    return exchange;
}

static struct kube_exchange *curl_send(struct kube_transport *transport,
                                       const struct kube_request *request,
                                       const struct kube_receiver *receiver, struct err *err)
{
    struct curl_transport *t = curl_of(transport);
    struct kube_exchange *exchange = exchange_new(t, request, receiver, err);
    if (!exchange)
        return NULL;
    enum kube_identity_state state = refresh_identity(t, &exchange->held_error);
    if (state == KUBE_IDENTITY_READY && begin(exchange, err) < 0) {
        detach(exchange);
        exchange_free(exchange);
        return NULL;
    }
    int64_t held_ns = request->timeout_ns ? request->timeout_ns : CONNECT_TIMEOUT_DEFAULT_NS;
    if (state != KUBE_IDENTITY_READY)
        timers_set(&t->timers, &exchange->timer,
                   exchange->began_ns + (state == KUBE_IDENTITY_FAILED ? 0 : held_ns));
    return exchange;
}

static void curl_cancel(struct kube_transport *transport, struct kube_exchange *exchange)
{
    (void)transport;
    bool is_delivering = exchange->is_delivering;
    detach(exchange);
    exchange->is_cancelled = true;
    if (!is_delivering)
        exchange_free(exchange);
}

/* ---- Waiting ---- */

/* The exchanges that wait for an identity, which may have come or failed. Calls no receiver: what cannot
 * begin ends by its timer. */
static void begin_held(struct curl_transport *t)
{
    struct err err = {0};
    enum kube_identity_state state = refresh_identity(t, &err);
    struct link *next;
    for (struct link *at = t->exchanges.next; at != &t->exchanges; at = next) {
        struct kube_exchange *exchange = (struct kube_exchange *)at;
        next = at->next;
        if (state == KUBE_IDENTITY_PENDING || exchange->slot)
            continue;
        if (state == KUBE_IDENTITY_READY && begin(exchange, &err) == 0)
            continue;
        exchange->held_error = err;
        timers_set(&t->timers, &exchange->timer, now_ns(t));
    }
}

static void on_lane_timer(void *ctx, int64_t now)
{
    const struct lane *lane = ctx;
    int running;
    (void)now;
    curl_multi_socket_action(lane->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

static void handle_event(struct curl_transport *t, const struct epoll_event *event)
{
    uint32_t which = (uint32_t)(event->data.u64 >> 32);
    int fd = (int)(uint32_t)event->data.u64;
    if (which == EVENT_WAKE) {
        uint64_t times;
        while (read(t->wakeup, &times, sizeof(times)) < 0 && errno == EINTR)
            continue;
    } else if (which == EVENT_IDENTITY) {
        t->config.identity->handle(t->config.identity);
        begin_held(t);
    } else if (which == EVENT_IDLE) {
        read_goodbye(fd);
    } else {
        int mask = (event->events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                   (event->events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (event->events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
        int running;
        curl_multi_socket_action(t->lanes[which].multi, fd, mask, &running);
    }
}

/* Milliseconds, rounded up, so that what is waited for is then due. */
static int wait_ms(const struct curl_transport *t, int64_t until_ns)
{
    int64_t next = timers_next_ns(&t->timers), now = now_ns(t);
    if (next < until_ns)
        until_ns = next;
    if (until_ns <= now)
        return 0;
    int64_t ms = (until_ns - now - 1) / CLOCK_NS_PER_MS + 1;
    return until_ns == TIMERS_NEVER ? -1 : ms > INT32_MAX ? INT32_MAX : (int)ms;
}

/* The pause after a turn in which something came. It holds up nothing that is due, and wake() ends it. */
static void gather(struct curl_transport *t, int64_t until_ns)
{
    struct pollfd wakeup = {.fd = t->wakeup, .events = POLLIN};
    int64_t end_ns = t->turned_ns + t->config.gather_ns;
    int ms = t->config.gather_ns > 0 ? wait_ms(t, end_ns < until_ns ? end_ns : until_ns) : 0;
    if (ms > 0)
        (void)poll(&wakeup, 1, ms);
}

static void curl_wait(struct kube_transport *transport, int64_t until_ns)
{
    struct curl_transport *t = curl_of(transport);
    struct epoll_event events[EVENTS_MAX];
    gather(t, until_ns);
    int count = epoll_wait(t->epoll, events, EVENTS_MAX, wait_ms(t, until_ns));
    if (count > 0)
        t->turned_ns = now_ns(t);
    for (int i = 0; i < count; i++)
        handle_event(t, &events[i]);
    timers_run(&t->timers, now_ns(t));
    deliver(t);
}

static void curl_wake(struct kube_transport *transport)
{
    int saved = errno;
    uint64_t one = 1;
    /* It fails only when it is full, and then the wait ends anyway. */
    ssize_t written = write(curl_of(transport)->wakeup, &one, sizeof(one));
    (void)written;
    errno = saved;
}

/* ---- The transport ---- */

/* A part of a URL as a copy; absent without memory or when there is none. */
static struct str url_part(struct curl_transport *t, CURLU *url, CURLUPart part)
{
    char *text = NULL;
    struct str copy = {NULL, 0};
    if (curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK)
        copy = arena_copy(&t->texts, str_from_cstr(text));
    curl_free(text);
    return copy;
}

/* The server's certificate is checked against the host of the URL: with a certificate of another name,
 * the URL has that name, and the connection goes to the host. */
static int set_server(struct curl_transport *t, CURLU *url, struct err *err)
{
    struct str scheme = url_part(t, url, CURLUPART_SCHEME);
    struct str host = url_part(t, url, CURLUPART_HOST), port = url_part(t, url, CURLUPART_PORT);
    struct str path = url_part(t, url, CURLUPART_PATH), name = t->config.tls_server_name;
    while (path.len > 0 && path.ptr[path.len - 1] == '/')
        path.len--;
    if (!str_is_set(name))
        name = host;
    struct str server = arena_printf(&t->texts, "%" PRIstr "://%" PRIstr ":%" PRIstr "%" PRIstr,
                                     STR_ARG(scheme), STR_ARG(name), STR_ARG(port), STR_ARG(path));
    struct str target =
        arena_printf(&t->texts, "::%" PRIstr ":%" PRIstr, STR_ARG(host), STR_ARG(port));
    struct str header =
        arena_printf(&t->texts, "Host: %" PRIstr ":%" PRIstr, STR_ARG(host), STR_ARG(port));
    if (!port.ptr || !path.ptr || !server.ptr || !target.ptr || !header.ptr)
        return err_no_memory(err, "setting up the connection to the API server");
    t->server = server.ptr;
    if (!str_eq(name, host)) {
        t->connect_to.data = (char *)target.ptr;
        t->host_header = header.ptr;
    }
    return 0;
}

static int set_texts(struct curl_transport *t, struct err *err)
{
    struct str server = arena_copy(&t->texts, t->config.server);
    struct str proxy = arena_copy(&t->texts, t->config.proxy);
    struct str agent = arena_copy(&t->texts, t->config.user_agent);
    CURLU *url = curl_url();
    int rc = -1;
    if (!server.ptr || !proxy.ptr || !agent.ptr || !url)
        err_no_memory(err, "setting up the connection to the API server");
    else if (curl_url_set(url, CURLUPART_URL, server.ptr, 0) != CURLUE_OK)
        err_set(err, 400, "the API server's address \"%s\" is no URL such as https://10.0.0.1:443",
                server.ptr);
    else
        rc = set_server(t, url, err);
    curl_url_cleanup(url);
    t->proxy = proxy.ptr;
    t->user_agent = agent.ptr;
    return rc;
}

static int add_to_epoll(struct curl_transport *t, int fd, uint32_t which)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)which << 32};
    return epoll_ctl(t->epoll, EPOLL_CTL_ADD, fd, &event);
}

static int set_up_epoll(struct curl_transport *t, struct err *err)
{
    const struct kube_identity_source *identity = t->config.identity;
    t->epoll = epoll_create1(EPOLL_CLOEXEC);
    t->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (t->epoll < 0 || t->wakeup < 0 || add_to_epoll(t, t->wakeup, EVENT_WAKE) < 0 ||
        (identity && identity->fd >= 0 && add_to_epoll(t, identity->fd, EVENT_IDENTITY) < 0))
        return err_set(err, 500, "waiting for the API server: %s", strerror(errno));
    return 0;
}

static int set_up_lane(struct curl_transport *t, uint32_t index, struct err *err)
{
    struct lane *lane = &t->lanes[index];
    long connections =
        index == KUBE_LANE_REQUEST ? (long)t->config.max_connections : (long)CONNECTIONS_OTHER;
    *lane = (struct lane){.owner = t, .multi = curl_multi_init(), .index = index};
    if (!lane->multi)
        return err_no_memory(err, "setting up the connection to the API server");
    if (timers_register(&t->timers, &lane->timer, on_lane_timer, lane, err) < 0)
        return -1;
    CURLM *multi = lane->multi;
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_poll_change);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, lane);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer_change);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, lane);
    curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, connections);
    return 0;
}

static int set_up(struct curl_transport *t, struct err *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(err, 500, "libcurl cannot be set up");
    t->has_curl = true;
    if (set_texts(t, err) < 0 || set_up_epoll(t, err) < 0)
        return -1;
    for (uint32_t i = 0; i < LANES; i++) {
        if (set_up_lane(t, i, err) < 0)
            return -1;
    }
    return 0;
}

struct kube_curl_config kube_curl_config_of(const struct kube_config *config, const struct mem *mem,
                                            const struct clock *clock, struct str user_agent)
{
    return (struct kube_curl_config){
        .mem = mem,
        .clock = clock,
        .server = config->server,
        .tls_server_name = config->tls_server_name,
        .proxy = config->proxy,
        .is_insecure = config->is_insecure,
        .user_agent = user_agent,
        .identity = config->identity,
    };
}

struct kube_transport *kube_curl_new(const struct kube_curl_config *config, struct err *err)
{
    static const struct kube_transport_ops ops = {
        .send = curl_send, .cancel = curl_cancel, .wait = curl_wait, .wake = curl_wake};
    struct curl_transport *t = mem_alloc(config->mem, sizeof(*t));
    if (!t) {
        err_no_memory(err, "setting up the connection to the API server");
        return NULL;
    }
    *t = (struct curl_transport){
        .transport = {.ops = &ops}, .config = *config, .epoll = -1, .wakeup = -1};
    if (t->config.max_connections == 0)
        t->config.max_connections = CONNECTIONS_DEFAULT;
    if (t->config.connect_timeout_ns == 0)
        t->config.connect_timeout_ns = CONNECT_TIMEOUT_DEFAULT_NS;
    arena_init(&t->texts, config->mem, TEXTS_BLOCK, TEXTS_MAX);
    timers_init(&t->timers, config->mem);
    ring_init(&t->exchanges);
    ring_init(&t->ready);
    if (set_up(t, err) < 0) {
        kube_curl_free(&t->transport);
        return NULL;
    }
    return &t->transport;
}

static void close_lanes(struct curl_transport *t)
{
    for (size_t i = 0; i < LANES; i++) {
        struct lane *lane = &t->lanes[i];
        if (lane->multi)
            curl_multi_cleanup(lane->multi);
        timers_unregister(&t->timers, &lane->timer);
    }
}

void kube_curl_free(struct kube_transport *transport)
{
    struct curl_transport *t = curl_of(transport);
    if (!t)
        return;
    while (is_linked(&t->exchanges))
        curl_cancel(transport, (struct kube_exchange *)t->exchanges.next);
    close_lanes(t);
    while (t->idle) {
        struct slot *slot = t->idle;
        t->idle = slot->next;
        slot_free(t, slot);
    }
    snapshot_unref(t, t->identity);
    if (t->epoll >= 0)
        close(t->epoll);
    if (t->wakeup >= 0)
        close(t->wakeup);
    if (t->has_curl)
        curl_global_cleanup();
    timers_done(&t->timers);
    arena_done(&t->texts);
    mem_free(t->config.mem, t, sizeof(*t));
}
