/* The real transport, against a server that misbehaves as it is told. */
#include "unit/tls_server.h"

#include "kube/curl.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SEC CLOCK_NS_PER_SEC
#define MS  CLOCK_NS_PER_MS

/* Nothing takes so long unless something hangs. */
#define PATIENCE_NS (20 * SEC)

/* What the test shows to the server, changed at will. */
struct fake_identity {
    struct kube_identity_source source;
    struct kube_identity identity;
    enum kube_identity_state state;
    unsigned refused;
    uint64_t refused_version;
};

struct fixture {
    struct test_mem mem;
    struct tls_server server;
    struct fake_identity identity;
    struct kube_curl_config config;
    struct kube_transport *transport;
};

struct got {
    struct fixture *fixture;
    unsigned times;
    enum kube_failure failure;
    int status;
    int64_t retry_after_ns;
    int64_t date_s;
    size_t body_len;
    char body[TLS_REQUEST_MAX];
    char text[512];
    char data[4096]; /* in parts, each in brackets */
    unsigned parts;
    unsigned cut_at;               /* on_data refuses this part; 0: none */
    struct kube_exchange *cancels; /* by on_done */
    struct kube_exchange *self;    /* cancelled by on_data */
};

/* ---- The server ---- */

static bool answer_path(struct tls_connection *c, const struct tls_request *request)
{
    const char *target = request->target;
    char body[2 * TLS_REQUEST_MAX];
    if (strcmp(target, "/cut") == 0)
        return false;
    if (strcmp(target, "/cut-second") == 0 && request->nth > 1)
        return false;
    if (strcmp(target, "/half") == 0)
        return tls_send(c, "HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nhalf") && false;
    if (strcmp(target, "/hold") == 0 && !tls_hold(c))
        return false;
    if (strcmp(target, "/last") == 0) {
        bool is_sent = tls_answer_json(c, 200, "", "{}");
        tls_goodbye(c);
        return is_sent && false;
    }
    if (strcmp(target, "/busy") == 0)
        return tls_answer_json(c, 429, "Retry-After: 7\r\nDate: Sat, 21 Nov 2026 20:30:00 GMT\r\n",
                               "{}");
    if (strcmp(target, "/error") == 0)
        return tls_answer_json(c, 410, "", "{\"kind\":\"Status\"}");
    if (strcmp(target, "/token") == 0 && !tls_request_has(request, "Authorization: Bearer new"))
        return tls_answer_json(c, 401, "", "{}");
    if (strcmp(target, "/large") == 0) {
        memset(body, 'x', 10000);
        body[10000] = '\0';
        return tls_answer_json(c, 200, "", body);
    }
    if (strcmp(target, "/stream") == 0)
        return tls_send(c, "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n") &&
               tls_send(c, "3\r\none\r\n") && tls_hold(c) && tls_send(c, "3\r\ntwo\r\n") &&
               tls_hold(c) && tls_send(c, "0\r\n\r\n");
    snprintf(body, sizeof(body), "%s %s %u.%u %s|%s", request->method, target, request->connection,
             request->nth, request->client, request->body);
    return tls_answer_json(c, 200, "", body);
}

static bool answer(void *ctx, struct tls_connection *c, const struct tls_request *request)
{
    struct fixture *f = ctx;
    char host[64];
    (void)f;
    snprintf(host, sizeof(host), "Host: 127.0.0.1:%u", f->server.port);
    /* Of every request. */
    const char *accept =
        strcmp(request->target, "/metadata") == 0
            ? "Accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,"
              "application/json"
            : "Accept: application/json";
    bool good = tls_request_has(request, accept) &&
                tls_request_has(request, "User-Agent: callboard-test/1") &&
                tls_request_has(request, host) && !strstr(request->head, "Expect:") &&
                !strstr(request->head, "Accept-Encoding:");
    return good ? answer_path(c, request) : tls_answer_json(c, 418, "", request->head);
}

/* ---- The fixture ---- */

static enum kube_identity_state get_identity(struct kube_identity_source *source, int64_t now_ns,
                                             struct kube_identity *ret, struct err *err)
{
    struct fake_identity *fake = (struct fake_identity *)source;
    (void)now_ns;
    if (fake->state == KUBE_IDENTITY_FAILED)
        err_set(err, 500, "no credentials today");
    *ret = fake->identity;
    return fake->state;
}

static void refuse_identity(struct kube_identity_source *source, uint64_t version)
{
    struct fake_identity *fake = (struct fake_identity *)source;
    fake->refused++;
    fake->refused_version = version;
}

/* The fd of the fake is a pipe's: reading it once makes the identity ready. */
static void handle_identity(struct kube_identity_source *source)
{
    struct fake_identity *fake = (struct fake_identity *)source;
    char byte;
    if (read(source->fd, &byte, 1) == 1)
        fake->state = byte == 'r' ? KUBE_IDENTITY_READY : KUBE_IDENTITY_FAILED;
}

static void start(struct fixture *f)
{
    struct err err;
    f->config.server = str_from_cstr(f->server.url);
    f->transport = kube_curl_new(&f->config, &err);
    if (!f->transport)
        fail_msg("%s", err.message);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    test_mem_init(&f->mem);
    tls_server_start(&f->server, "127.0.0.1", answer, f);
    f->identity = (struct fake_identity){
        .source = {.get = get_identity,
                   .refused = refuse_identity,
                   .handle = handle_identity,
                   .fd = -1},
        .identity = {.ca = str_from_cstr(f->server.pem.cert), .version = 1},
    };
    f->config = (struct kube_curl_config){
        .mem = &f->mem.mem,
        .clock = clock_system(),
        .user_agent = STR("callboard-test/1"),
        .identity = &f->identity.source,
    };
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    kube_curl_free(f->transport);
    tls_server_stop(&f->server);
    test_mem_done(&f->mem);
    free(f);
    return 0;
}

static int on_data(void *ctx, struct str part)
{
    struct got *got = ctx;
    size_t len = strlen(got->data);
    snprintf(got->data + len, sizeof(got->data) - len, "[%" PRIstr "]", STR_ARG(part));
    got->parts++;
    if (got->self)
        got->fixture->transport->ops->cancel(got->fixture->transport, got->self);
    return got->parts == got->cut_at ? -1 : 0;
}

static void on_done(void *ctx, const struct kube_response *response)
{
    struct got *got = ctx;
    got->times++;
    got->failure = response->failure;
    got->status = response->status;
    got->retry_after_ns = response->retry_after_ns;
    got->date_s = response->date_s;
    got->body_len = response->body.len;
    snprintf(got->body, sizeof(got->body), "%" PRIstr, STR_ARG(response->body));
    snprintf(got->text, sizeof(got->text), "%s", response->text ? response->text : "");
    if (got->cancels)
        got->fixture->transport->ops->cancel(got->fixture->transport, got->cancels);
}

static struct kube_exchange *send_request(struct fixture *f, const struct kube_request *request,
                                          struct got *got, bool streams)
{
    struct err err;
    const struct kube_receiver receiver = {streams ? on_data : NULL, on_done, got};
    struct kube_exchange *exchange;
    got->fixture = f;
    exchange = f->transport->ops->send(f->transport, request, &receiver, &err);
    if (!exchange)
        fail_msg("%s", err.message);
    assert_int_equal(got->times, 0); /* no callback before wait() */
    return exchange;
}

static struct kube_request get_of(const char *target)
{
    return (struct kube_request){.method = "GET",
                                 .target = str_from_cstr(target),
                                 .timeout_ns = PATIENCE_NS,
                                 .response_max = 64 * 1024};
}

static struct kube_request post_of(const char *target, const char *body)
{
    struct kube_request request = get_of(target);
    request.method = "POST";
    request.content_type = "application/json";
    request.body = str_from_cstr(body);
    return request;
}

static void wait_once(struct fixture *f)
{
    f->transport->ops->wait(f->transport, clock_now_ns(clock_system()) + 100 * MS);
}

static void wait_for(struct fixture *f, const unsigned *value, unsigned least)
{
    int64_t end = clock_now_ns(clock_system()) + PATIENCE_NS;
    while (*value < least) {
        if (clock_now_ns(clock_system()) > end)
            fail_msg("nothing came");
        wait_once(f);
    }
}

static void ask(struct fixture *f, const struct kube_request *request, struct got *got)
{
    *got = (struct got){0};
    send_request(f, request, got, false);
    wait_for(f, &got->times, 1);
}

/* ---- Requests and answers ---- */

static void each_method_arrives_with_its_body(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *method, *content_type, *body, *answer;
    } cases[] = {
        {"GET", NULL, NULL, "GET /a%20b?x=1 1.1 |"},
        {"POST", "application/json", "{\"a\":1}", "POST /a%20b?x=1 1.2 |{\"a\":1}"},
        {"PUT", "application/json", "{}", "PUT /a%20b?x=1 1.3 |{}"},
        {"GET", NULL, NULL, "GET /a%20b?x=1 1.4 |"},
        {"PATCH", "application/merge-patch+json", "{}", "PATCH /a%20b?x=1 1.5 |{}"},
        {"DELETE", "application/json", "{}", "DELETE /a%20b?x=1 1.6 |{}"},
        {"DELETE", NULL, NULL, "DELETE /a%20b?x=1 1.7 |"},
    };
    start(f);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kube_request request = get_of("/a%20b?x=1");
        struct got got;
        request.method = cases[i].method;
        request.content_type = cases[i].content_type;
        request.body = str_from_cstr(cases[i].body);
        ask(f, &request, &got);
        assert_int_equal(got.failure, KUBE_ANSWERED);
        assert_int_equal(got.status, 200);
        assert_string_equal(got.body, cases[i].answer);
        assert_int_equal(got.retry_after_ns, -1);
        assert_int_equal(got.date_s, 0);
    }
    assert_int_equal(tls_server_accepted(&f->server), 1); /* kept alive */
}

static void of_an_object_the_metadata_is_asked_for_alone(void **state)
{
    struct fixture *f = *state;
    struct kube_request request = get_of("/metadata");
    struct got got;
    start(f);
    request.wants_metadata = true;
    ask(f, &request, &got);
    assert_int_equal(got.status, 200);
    request.wants_metadata = false;
    ask(f, &request, &got);
    assert_int_equal(got.status, 418);
}

static void dot_segments_and_paths_of_the_server_stay_as_they_are(void **state)
{
    struct fixture *f = *state;
    struct kube_request request = get_of("/../x");
    struct got got;
    strcat(f->server.url, "/k8s/c1//");
    start(f);
    ask(f, &request, &got);
    assert_string_equal(got.body, "GET /k8s/c1/../x 1.1 |");
}

static void an_error_answer_comes_whole_with_its_retry_after_and_date(void **state)
{
    struct fixture *f = *state;
    struct kube_request busy = get_of("/busy"), error = get_of("/error");
    struct got got;
    start(f);
    ask(f, &busy, &got);
    assert_int_equal(got.status, 429);
    assert_int_equal(got.retry_after_ns, 7 * SEC);
    assert_int_equal(got.date_s, 1795293000);
    /* Of a stream, too: it is no data. */
    got = (struct got){0};
    send_request(f, &error, &got, true);
    wait_for(f, &got.times, 1);
    assert_int_equal(got.status, 410);
    assert_int_equal(got.parts, 0);
    assert_string_equal(got.body, "{\"kind\":\"Status\"}");
}

static void a_stream_arrives_as_it_is_sent(void **state)
{
    struct fixture *f = *state;
    struct kube_request request = get_of("/stream");
    struct got got = {0};
    request.timeout_ns = 0;
    request.lane = KUBE_LANE_WATCH;
    start(f);
    send_request(f, &request, &got, true);
    wait_for(f, &got.parts, 1);
    assert_string_equal(got.data, "[one]");
    tls_server_release(&f->server);
    wait_for(f, &got.parts, 2);
    assert_string_equal(got.data, "[one][two]");
    assert_int_equal(got.times, 0);
    tls_server_release(&f->server);
    wait_for(f, &got.times, 1);
    assert_int_equal(got.failure, KUBE_ANSWERED);
    assert_int_equal(got.status, 200);
    assert_string_equal(got.body, "");
}

static void a_reader_may_cut_its_stream(void **state)
{
    struct fixture *f = *state;
    struct kube_request request = get_of("/stream");
    struct got got = {.cut_at = 1};
    start(f);
    send_request(f, &request, &got, true);
    wait_for(f, &got.times, 1);
    assert_int_equal(got.failure, KUBE_LOST);
    assert_int_equal(got.parts, 1);
}

static void a_reader_may_cancel_its_own_stream_and_others(void **state)
{
    struct fixture *f = *state;
    struct kube_request stream = get_of("/stream"), quick = get_of("/quick");
    struct got cancelled = {0}, other = {0}, third = {0};
    start(f);
    cancelled.self = send_request(f, &stream, &cancelled, true);
    wait_for(f, &cancelled.parts, 1);
    other.cancels = send_request(f, &stream, &third, true);
    send_request(f, &quick, &other, false);
    wait_for(f, &other.times, 1);
    for (int i = 0; i < 3; i++)
        f->transport->ops->wait(f->transport, 0);
    assert_int_equal(cancelled.times + third.times, 0);
}

/* ---- Failures ---- */

static void what_could_not_connect_was_certainly_not_sent(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    struct kube_request request = post_of("/x", "{}");
    struct got got;
    /* A port that is taken but does not listen. */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    snprintf(f->server.url, sizeof(f->server.url), "https://127.0.0.1:%u", ntohs(address.sin_port));
    start(f);
    ask(f, &request, &got);
    assert_int_equal(got.failure, KUBE_NOT_SENT);
    assert_int_equal(got.status, 0);
    assert_non_null(strstr(got.text, "onnect"));
    close(fd);
}

static void a_handshake_that_hangs_was_certainly_not_a_request(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    struct kube_request request = post_of("/x", "{}");
    struct got got;
    /* It accepts connections, by its backlog, and says nothing. */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    snprintf(f->server.url, sizeof(f->server.url), "https://127.0.0.1:%u", ntohs(address.sin_port));
    start(f);
    request.timeout_ns = 50 * MS;
    ask(f, &request, &got);
    assert_int_equal(got.failure, KUBE_NOT_SENT);
    close(fd);
}

static void a_server_that_shows_another_certificate_is_not_spoken_to(void **state)
{
    struct fixture *f = *state;
    struct cert_pem other;
    struct kube_request request = post_of("/x", "{}");
    struct got got;
    cert_pem_make(&other, "127.0.0.1", time(NULL), 10);
    f->identity.identity.ca = str_from_cstr(other.cert);
    start(f);
    ask(f, &request, &got);
    assert_int_equal(got.failure, KUBE_NOT_SENT);
    assert_non_null(strstr(got.text, "certificate"));
    assert_int_equal(tls_server_requests(&f->server), 0);
    /* The right authority is taken up with the next request. */
    f->identity.identity.ca = str_from_cstr(f->server.pem.cert);
    f->identity.identity.version++;
    ask(f, &request, &got);
    assert_int_equal(got.status, 200);
}

static void the_name_in_the_certificate_may_be_given(void **state)
{
    struct fixture *f = *state;
    struct kube_request request = get_of("/x");
    struct got got;
    tls_server_stop(&f->server);
    tls_server_start(&f->server, "api.test", answer, f);
    f->identity.identity.ca = str_from_cstr(f->server.pem.cert);
    start(f);
    ask(f, &request, &got);
    assert_int_equal(got.failure, KUBE_NOT_SENT);
    kube_curl_free(f->transport);
    f->config.tls_server_name = STR("api.test");
    start(f);
    ask(f, &request, &got);
    assert_int_equal(got.status, 200);
    kube_curl_free(f->transport);
    f->config.tls_server_name = (struct str){NULL, 0};
    f->config.is_insecure = true;
    start(f);
    ask(f, &request, &got);
    assert_int_equal(got.status, 200);
}

static void a_cut_connection_leaves_the_outcome_unknown(void **state)
{
    struct fixture *f = *state;
    struct kube_request cut = post_of("/cut", "{}"), half = get_of("/half"), next = get_of("/x");
    struct got got;
    start(f);
    ask(f, &cut, &got);
    assert_int_equal(got.failure, KUBE_LOST);
    assert_int_equal(tls_server_requests(&f->server), 1);
    ask(f, &half, &got);
    assert_int_equal(got.failure, KUBE_LOST);
    ask(f, &next, &got);
    assert_string_equal(got.body, "GET /x 3.1 |");
}

/* libcurl would repeat a request on a fresh connection when a kept one ends without an answer. */
static void a_write_is_never_sent_twice_and_a_read_may_be(void **state)
{
    struct fixture *f = *state;
    struct kube_request write = post_of("/cut-second", "{}"), read = get_of("/cut-second");
    struct got got;
    start(f);
    ask(f, &write, &got);
    assert_int_equal(got.status, 200);
    ask(f, &write, &got);
    assert_int_equal(got.failure, KUBE_LOST);
    assert_int_equal(tls_server_requests(&f->server), 2);
    assert_non_null(strstr(got.text, "closed before the answer"));
    ask(f, &read, &got);
    assert_int_equal(got.status, 200);
    ask(f, &read, &got);
    assert_int_equal(got.status, 200);
    assert_true(tls_server_requests(&f->server) > 4);
}

/* The ends of our connections to the server: how many the server has not closed, as far as we know here. */
static unsigned count_open(const struct fixture *f)
{
    unsigned open = 0;
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in peer;
        socklen_t len = sizeof(peer);
        struct pollfd polled = {.fd = fd, .events = POLLRDHUP};
        if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0 && peer.sin_family == AF_INET &&
            ntohs(peer.sin_port) == f->server.port && poll(&polled, 1, 0) == 0)
            open++;
    }
    return open;
}

/* A server that ends, or that has waited long enough for a connection to be used, says goodbye. */
static void a_connection_that_the_server_has_closed_takes_no_write(void **state)
{
    enum { CONNECTIONS = 3 };
    struct fixture *f = *state;
    struct kube_request last = get_of("/last"), write = post_of("/x", "{}");
    struct got got[CONNECTIONS] = {0}, written;
    int64_t end = clock_now_ns(clock_system()) + PATIENCE_NS;
    start(f);
    for (size_t i = 0; i < CONNECTIONS; i++)
        send_request(f, &last, &got[i], false);
    for (size_t i = 0; i < CONNECTIONS; i++)
        wait_for(f, &got[i].times, 1);
    while (count_open(f) > 0)
        assert_true(clock_now_ns(clock_system()) < end);
    ask(f, &write, &written);
    assert_int_equal(written.failure, KUBE_ANSWERED);
    assert_non_null(strstr(written.body, ".1 |{}")); /* the first one of its connection */
}

static void an_answer_that_does_not_come_ends_at_the_timeout(void **state)
{
    struct fixture *f = *state;
    struct kube_request request = post_of("/hold", "{}"), next = get_of("/x");
    struct got got;
    start(f);
    request.timeout_ns = 50 * MS;
    ask(f, &request, &got);
    assert_int_equal(got.failure, KUBE_LOST);
    assert_int_equal(tls_server_requests(&f->server), 1);
    ask(f, &next, &got); /* on another connection */
    assert_string_equal(got.body, "GET /x 2.1 |");
}

static void a_timeout_that_has_passed_sends_nothing(void **state)
{
    struct fixture *f = *state;
    struct kube_request request = post_of("/x", "{}");
    struct got got;
    start(f);
    request.timeout_ns = 1;
    ask(f, &request, &got);
    assert_int_equal(got.failure, KUBE_NOT_SENT);
    assert_int_equal(tls_server_requests(&f->server), 0);
}

static void a_stream_that_falls_silent_is_ended(void **state)
{
    struct fixture *f = *state;
    struct kube_request request = get_of("/stream");
    struct got got = {0};
    request.timeout_ns = 0;
    request.silence_ns = 100 * MS;
    start(f);
    send_request(f, &request, &got, true);
    wait_for(f, &got.times, 1);
    assert_int_equal(got.failure, KUBE_SILENT);
    assert_string_equal(got.data, "[one]");
}

static void an_answer_beyond_its_maximum_is_refused(void **state)
{
    struct fixture *f = *state;
    struct kube_request request = get_of("/large");
    struct got got;
    start(f);
    request.response_max = 10000;
    ask(f, &request, &got);
    assert_int_equal(got.body_len, 10000);
    request.response_max = 9999;
    ask(f, &request, &got);
    assert_int_equal(got.failure, KUBE_TOO_LARGE);
    assert_int_equal(got.status, 200);
}

/* ---- Lanes and connections ---- */

static void lanes_share_no_connection(void **state)
{
    struct fixture *f = *state;
    struct got got;
    start(f);
    static const char *const answers[] = {"GET /x 1.1 |", "GET /x 2.1 |", "GET /x 3.1 |"};
    for (int lane = 0; lane < 3; lane++) {
        struct kube_request request = get_of("/x");
        request.lane = (enum kube_lane)lane;
        ask(f, &request, &got);
        assert_string_equal(got.body, answers[lane]);
    }
}

static void requests_beyond_the_connections_wait_for_one(void **state)
{
    struct fixture *f = *state;
    struct kube_request request = get_of("/hold");
    struct got got[5];
    memset(got, 0, sizeof(got));
    f->config.max_connections = 2;
    start(f);
    for (size_t i = 0; i < 5; i++)
        send_request(f, &request, &got[i], false);
    for (size_t i = 0; i < 5; i++)
        tls_server_release(&f->server);
    for (size_t i = 0; i < 5; i++) {
        wait_for(f, &got[i].times, 1);
        assert_int_equal(got[i].status, 200);
    }
    assert_int_equal(tls_server_accepted(&f->server), 2);
}

/* A credential plugin would hold it open when it is closed here. */
static void no_child_process_inherits_a_connection(void **state)
{
    struct fixture *f = *state;
    struct kube_request request = get_of("/x");
    struct got got;
    start(f);
    ask(f, &request, &got);
    unsigned connections = 0;
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in peer;
        socklen_t size = sizeof(peer);
        if (getpeername(fd, (struct sockaddr *)&peer, &size) < 0 || peer.sin_family != AF_INET ||
            ntohs(peer.sin_port) != f->server.port)
            continue;
        connections++;
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
    assert_int_equal(connections, 1);
}

static void wake_ends_a_wait(void **state)
{
    struct fixture *f = *state;
    start(f);
    f->transport->ops->wake(f->transport);
    f->transport->ops->wake(f->transport);
    f->transport->ops->wait(f->transport, INT64_MAX); /* would be for ever */
    f->transport->ops->wait(f->transport, clock_now_ns(clock_system()));
}

/* Takes the first part of the stream up without a pause, because the end of each wait is due. The time before
 * the wait that brought it. */
static int64_t take_first_part(struct fixture *f, struct got *got)
{
    struct kube_request request = get_of("/stream");
    int64_t before = 0, end = clock_now_ns(clock_system()) + PATIENCE_NS;
    request.timeout_ns = 0; /* nothing but what is tested may end a wait */
    send_request(f, &request, got, true);
    while (got->parts == 0) {
        before = clock_now_ns(clock_system());
        if (before > end)
            fail_msg("nothing came");
        f->transport->ops->wait(f->transport, 0);
    }
    return before;
}

static void what_comes_after_a_turn_is_left_to_gather(void **state)
{
    struct fixture *f = *state;
    struct got got = {0};
    f->config.gather_ns = 100 * MS;
    start(f);
    int64_t before = take_first_part(f, &got);
    tls_server_release(&f->server);
    while (got.parts == 1)
        f->transport->ops->wait(f->transport, before + PATIENCE_NS);
    assert_string_equal(got.data, "[one][two]");
    assert_true(clock_now_ns(clock_system()) - before >= f->config.gather_ns);
}

static void wake_ends_the_pause_after_a_turn(void **state)
{
    struct fixture *f = *state;
    f->config.gather_ns = 3600 * SEC;
    start(f);
    f->transport->ops->wake(f->transport);
    f->transport->ops->wait(f->transport, 0); /* a turn, and no timer of libcurl */
    f->transport->ops->wake(f->transport);
    f->transport->ops->wait(f->transport, INT64_MAX); /* would be for an hour */
}

static void a_request_is_sent_without_a_pause(void **state)
{
    struct fixture *f = *state;
    struct kube_request request = get_of("/quick");
    struct got stream = {0}, got = {0};
    f->config.gather_ns = 3600 * SEC;
    start(f);
    take_first_part(f, &stream);
    send_request(f, &request, &got, false);
    f->transport->ops->wait(f->transport, INT64_MAX); /* would be for an hour */
    while (got.times == 0)
        f->transport->ops->wait(f->transport, 0);
    assert_int_equal(got.status, 200);
}

static void freeing_ends_what_is_under_way(void **state)
{
    struct fixture *f = *state;
    struct kube_request request = get_of("/hold");
    struct got got = {0};
    start(f);
    send_request(f, &request, &got, false);
    wait_once(f);
    kube_curl_free(f->transport);
    f->transport = NULL;
    assert_int_equal(got.times, 0);
}

static void an_address_that_is_none_is_named(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    f->config.server = STR("https://a b");
    assert_null(kube_curl_new(&f->config, &err));
    assert_non_null(strstr(err.message, "\"https://a b\" is no URL"));
}

/* ---- Identity ---- */

static void a_new_token_is_used_at_once_and_a_refused_one_is_told(void **state)
{
    struct fixture *f = *state;
    struct kube_request request = get_of("/token");
    struct got got;
    f->identity.identity.authorization = STR("Bearer old");
    start(f);
    ask(f, &request, &got);
    assert_int_equal(got.status, 401);
    assert_int_equal(f->identity.refused, 1);
    assert_int_equal(f->identity.refused_version, 1);
    f->identity.identity.authorization = STR("Bearer new");
    f->identity.identity.version = 2;
    ask(f, &request, &got);
    assert_int_equal(got.status, 200);
    assert_int_equal(f->identity.refused, 1);
}

static void a_client_certificate_is_shown_and_changes_with_the_connection(void **state)
{
    struct fixture *f = *state;
    struct cert_pem alice, bob, carol;
    struct kube_request request = get_of("/x");
    struct got got;
    cert_pem_make(&alice, "alice", time(NULL), 10);
    cert_pem_make(&bob, "bob", time(NULL), 10);
    cert_pem_make(&carol, "carol", time(NULL), 10);
    f->identity.identity.cert = str_from_cstr(alice.cert);
    f->identity.identity.key = str_from_cstr(alice.key);
    start(f);
    ask(f, &request, &got);
    assert_string_equal(got.body, "GET /x 1.1 alice|");
    f->identity.identity.cert = str_from_cstr(bob.cert);
    f->identity.identity.key = str_from_cstr(bob.key);
    f->identity.identity.version++;
    ask(f, &request, &got);
    assert_string_equal(got.body, "GET /x 2.1 bob|");
    /* Read while it was being replaced: certificate and key are looked at again. */
    f->identity.identity.cert = str_from_cstr(carol.cert);
    f->identity.identity.version++;
    ask(f, &request, &got);
    assert_int_equal(got.failure, KUBE_NOT_SENT);
    assert_int_equal(f->identity.refused, 1);
    assert_int_equal(f->identity.refused_version, 3);
}

static void requests_wait_for_an_identity_that_is_being_fetched(void **state)
{
    struct fixture *f = *state;
    struct kube_request request = get_of("/x"), hasty = get_of("/x");
    struct got got = {0}, other = {0}, late = {0}, failed = {0};
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    f->identity.source.fd = fds[0];
    f->identity.state = KUBE_IDENTITY_PENDING;
    start(f);
    hasty.timeout_ns = 10 * MS;
    send_request(f, &request, &got, false);
    send_request(f, &request, &other, false);
    send_request(f, &hasty, &late, false);
    wait_for(f, &late.times, 1);
    assert_int_equal(late.failure, KUBE_NOT_SENT);
    assert_int_equal(got.times, 0);
    assert_int_equal(write(fds[1], "r", 1), 1);
    wait_for(f, &got.times, 1);
    wait_for(f, &other.times, 1);
    assert_int_equal(got.status, 200);
    assert_int_equal(other.status, 200);
    /* One that cannot be had. */
    f->identity.state = KUBE_IDENTITY_PENDING;
    got.times = 0;
    send_request(f, &request, &got, false);
    assert_int_equal(write(fds[1], "f", 1), 1);
    wait_for(f, &got.times, 1);
    assert_int_equal(got.failure, KUBE_NOT_SENT);
    assert_string_equal(got.text, "no credentials today");
    send_request(f, &request, &failed, false);
    wait_for(f, &failed.times, 1);
    assert_int_equal(failed.failure, KUBE_NOT_SENT);
    assert_string_equal(failed.text, "no credentials today");
    close(fds[0]);
    close(fds[1]);
}

/* ---- Memory ---- */

static bool ask_once(const struct mem *mem, void *ctx)
{
    struct fixture *f = ctx;
    struct kube_curl_config config = f->config;
    struct err err = {0};
    struct got got = {.fixture = f};
    const struct kube_request request = post_of("/x", "{}");
    const struct kube_receiver receiver = {NULL, on_done, &got};
    config.mem = mem;
    config.server = str_from_cstr(f->server.url);
    f->transport = kube_curl_new(&config, &err);
    if (f->transport && f->transport->ops->send(f->transport, &request, &receiver, &err))
        wait_for(f, &got.times, 1);
    else
        assert_int_equal(err.code, 507);
    kube_curl_free(f->transport);
    f->transport = NULL;
    assert_true(got.times == 0 || got.failure == KUBE_ANSWERED || got.failure == KUBE_LOST ||
                got.failure == KUBE_NOT_SENT);
    return got.times == 1 && got.failure == KUBE_ANSWERED;
}

static void without_memory_nothing_is_sent_or_the_answer_is_lost(void **state)
{
    struct fixture *f = *state;
    test_every_allocation_failing(ask_once, f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_method_arrives_with_its_body),
        TEST(of_an_object_the_metadata_is_asked_for_alone),
        TEST(dot_segments_and_paths_of_the_server_stay_as_they_are),
        TEST(an_error_answer_comes_whole_with_its_retry_after_and_date),
        TEST(a_stream_arrives_as_it_is_sent),
        TEST(a_reader_may_cut_its_stream),
        TEST(a_reader_may_cancel_its_own_stream_and_others),
        TEST(what_could_not_connect_was_certainly_not_sent),
        TEST(a_handshake_that_hangs_was_certainly_not_a_request),
        TEST(a_server_that_shows_another_certificate_is_not_spoken_to),
        TEST(the_name_in_the_certificate_may_be_given),
        TEST(a_cut_connection_leaves_the_outcome_unknown),
        TEST(a_write_is_never_sent_twice_and_a_read_may_be),
        TEST(a_connection_that_the_server_has_closed_takes_no_write),
        TEST(an_answer_that_does_not_come_ends_at_the_timeout),
        TEST(a_timeout_that_has_passed_sends_nothing),
        TEST(a_stream_that_falls_silent_is_ended),
        TEST(an_answer_beyond_its_maximum_is_refused),
        TEST(lanes_share_no_connection),
        TEST(requests_beyond_the_connections_wait_for_one),
        TEST(no_child_process_inherits_a_connection),
        TEST(wake_ends_a_wait),
        TEST(what_comes_after_a_turn_is_left_to_gather),
        TEST(wake_ends_the_pause_after_a_turn),
        TEST(a_request_is_sent_without_a_pause),
        TEST(freeing_ends_what_is_under_way),
        TEST(an_address_that_is_none_is_named),
        TEST(a_new_token_is_used_at_once_and_a_refused_one_is_told),
        TEST(a_client_certificate_is_shown_and_changes_with_the_connection),
        TEST(requests_wait_for_an_identity_that_is_being_fetched),
        TEST(without_memory_nothing_is_sent_or_the_answer_is_lost),
    };
    return cmocka_run_group_tests_name("kube_curl", tests, NULL, NULL);
}
