/*
 * libmicrohttpd's callbacks, in the order in which they come for a connection:
 *
 *   on_connection(STARTED)      registers it
 *   on_certificate              TLS: the pair for the handshake
 *   on_handshake                TLS: the client has finished its part
 *   on_request_line             a request begins
 *   on_request                  once after the headers, once for each piece of the body, once at
 *                               its end; only the last call answers, because the library closes the
 *                               connection after an answer that is queued earlier. A connection
 *                               that the last call suspended gets it again when it is resumed.
 *   on_completed                the answer is sent, or the connection is lost
 *   on_connection(CLOSED)       unregisters it; the descriptor is still open
 *
 * All of them run on the worker's thread. The facts are those of version 0.9.75 of Debian 12.
 */
#include "http/mhd.h"

#include "http/cert_pair.h"
#include "http/server_parts.h"

#include <microhttpd.h>
#include <string.h>

/* libmicrohttpd's pool of a connection: the request's and the answer's headers and the read
 * buffer. */
enum { CONNECTION_MEMORY = 16 * 1024 };

/* TLS 1.3 and 1.2 with forward secrecy and authenticated encryption; curves and ciphers that Go's
 * and OpenSSL's clients offer. */
static const char tls_priorities[] =
    "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
    "+ECDHE-ECDSA:+ECDHE-RSA:+AEAD:+COMP-NULL:+SIGN-ALL:+GROUP-X25519:+GROUP-SECP256R1:"
    "+GROUP-SECP384R1:+CTYPE-SRV-X509:%SERVER_PRECEDENCE";

struct http_exchange {
    struct MHD_Connection *connection;
    struct conn *conn;
};

static int64_t now(const struct http_server *server)
{
    return clock_now_ns(server->config.clock);
}

static struct http_server *server_of(const struct conn *conn)
{
    return ((const struct mhd *)conn->owner)->server;
}

/* ---- connections ---- */

/* NULL for one that could not be registered. */
static struct conn *conn_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

/* libmicrohttpd stores its connection as the session's pointer (daemon.c, new_connection_prepare_).
 */
static struct conn *conn_of_session(gnutls_session_t session)
{
    struct MHD_Connection *connection = gnutls_session_get_ptr(session);
    return connection ? conn_of(connection) : NULL;
}

static void end_handshake(struct conn *conn)
{
    struct mhd *mhd = conn->owner;
    mhd->handshakes -= conn->is_shaking_hands;
    mhd->idle_runs = 0;
    conn->is_shaking_hands = false;
}

static int on_handshake(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
                        const gnutls_datum_t *message)
{
    (void)type;
    (void)when;
    (void)message;
    struct conn *conn = conn_of_session(session);
    if (incoming && conn && conn->is_shaking_hands) {
        struct http_server *server = server_of(conn);
        end_handshake(conn);
        conn_enter(&server->registry, conn, CONN_IDLE, now(server));
    }
    return 0;
}

static int on_certificate(gnutls_session_t session, const gnutls_datum_t *ca_names, int ca_count,
                          const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                          gnutls_pcert_st **ret_chain, unsigned *ret_chain_len,
                          gnutls_privkey_t *ret_key)
{
    (void)ca_names;
    (void)ca_count;
    (void)algorithms;
    (void)algorithm_count;
    struct conn *conn = conn_of_session(session);
    if (!conn)
        return -1;
    if (!conn->cert)
        conn->cert = cert_source_acquire(server_of(conn)->config.cert);
    if (!conn->cert)
        return -1;
    /* GnuTLS reads the chain; its type has no const. */
    *ret_chain = (gnutls_pcert_st *)conn->cert->chain;
    *ret_chain_len = conn->cert->chain_len;
    *ret_key = conn->cert->key;
    return 0;
}

static void begin_handshake(struct MHD_Connection *connection, struct conn *conn)
{
    struct mhd *mhd = conn->owner;
    mhd->handshakes++;
    conn->is_shaking_hands = true;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (info)
        gnutls_handshake_set_hook_function(info->tls_session, GNUTLS_HANDSHAKE_FINISHED,
                                           GNUTLS_HOOK_POST, on_handshake);
}

static void connection_started(struct mhd *mhd, struct MHD_Connection *connection,
                               void **socket_context)
{
    struct http_server *server = mhd->server;
    mhd->is_registered = true;
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    struct conn *conn = mem_alloc(server->config.mem, sizeof(*conn));
    if (!conn) {
        conn_unassign(&server->registry, mhd->index);
        conn_count_out_of_memory(&server->registry);
        shutdown(fd, SHUT_RDWR);
        return;
    }
    *conn = (struct conn){.fd = fd, .worker = mhd->index, .owner = mhd};
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    conn->peer = address_print(info->client_addr, conn->peer_text);
    *socket_context = conn;
    if (server->config.cert)
        begin_handshake(connection, conn);
    conn_add(&server->registry, conn, server->config.cert ? CONN_HANDSHAKE : CONN_IDLE,
             now(server));
}

/* The library has ended the TLS session by now: nothing uses the certificate any more. */
static void connection_closed(struct http_server *server, struct conn *conn)
{
    if (!conn)
        return;
    end_handshake(conn);
    conn_remove(&server->registry, conn);
    cert_pair_release(conn->cert);
    mem_free(server->config.mem, conn, sizeof(*conn));
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct mhd *mhd = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        connection_started(mhd, connection, socket_context);
    else
        connection_closed(mhd->server, *socket_context);
}

/* ---- the beginning of a request ---- */

static void *on_request_line(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct mhd *mhd = cls;
    struct http_server *server = mhd->server;
    struct conn *conn = conn_of(connection);
    if (!conn)
        return NULL;
    struct conn_request *request = &conn->request;
    mhd->idle_runs = 0;
    request_reset(request, atomic_fetch_add(&server->last_id, 1) + 1, now(server));
    /* The library would decode it to the end of a C string: "/mutate%00x" would be "/mutate". */
    request->has_nul = strstr(uri, "%00") != NULL;
    conn_enter(&server->registry, conn, CONN_HEADERS, request->start_ns);
    return conn;
}

static enum MHD_Result read_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    (void)kind;
    if (value)
        framing_add_header(cls, name, value);
    return MHD_YES;
}

static enum MHD_Result send_refusal(struct MHD_Connection *connection, struct conn *conn);

static enum MHD_Result begin(struct MHD_Connection *connection, struct conn *conn, const char *url,
                             const char *method)
{
    struct http_server *server = server_of(conn);
    struct conn_request *request = &conn->request;
    struct framing framing = {0};
    request->has_begun = true;
    request->method = str_from_cstr(method);
    request->path = str_from_cstr(url);
    conn_enter(&server->registry, conn, CONN_BODY, now(server));
    MHD_get_connection_values(connection, MHD_HEADER_KIND, read_header, &framing);
    return request_judge(request, server, &framing) ? MHD_YES : send_refusal(connection, conn);
}

/* ---- the answer ---- */

static enum MHD_Result queue(struct MHD_Connection *connection, struct conn *conn,
                             const struct http_response *answer, bool is_last)
{
    is_last = is_last || answer->is_last || atomic_load(&server_of(conn)->is_draining);
    /* The library does not write to what it is told to be persistent. */
    struct MHD_Response *response = MHD_create_response_from_buffer(
        answer->body.len, (void *)(uintptr_t)answer->body.ptr, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    bool ok = true;
    if (answer->content_type)
        ok = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                     answer->content_type) == MHD_YES;
    for (size_t i = 0; i < answer->header_count; i++)
        ok = ok && MHD_add_response_header(response, answer->headers[i].name,
                                           answer->headers[i].value) == MHD_YES;
    if (is_last)
        ok =
            ok && MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES;
    conn->request.is_answered = ok;
    conn->request.response_size = answer->body.len;
    enum MHD_Result result =
        ok ? MHD_queue_response(connection, (unsigned)answer->status, response) : MHD_NO;
    MHD_destroy_response(response);
    return result;
}

/* Whether the connection is being ended, so that this answer must be its last. */
static bool enter_answer(struct conn *conn)
{
    struct http_server *server = server_of(conn);
    return !conn_enter(&server->registry, conn, CONN_ANSWER, now(server));
}

static enum MHD_Result send_refusal(struct MHD_Connection *connection, struct conn *conn)
{
    struct refusal *refusal = &conn->request.refusal;
    bool is_last = enter_answer(conn) || refusal->must_end;
    struct http_response answer = {
        .status = refusal->status,
        .content_type = "application/json",
        .body = {refusal->body, refusal->size},
    };
    if (refusal->status == 405)
        http_response_add_header(&answer, MHD_HTTP_HEADER_ALLOW, refusal->allow);
    if (refusal->status == 503)
        http_response_add_header(&answer, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    return queue(connection, conn, &answer, is_last);
}

static enum MHD_Result call_handler(struct MHD_Connection *connection, struct conn *conn)
{
    struct conn_request *request = &conn->request;
    const struct http_exchange exchange = {.connection = connection, .conn = conn};
    bool is_last = enter_answer(conn);
    struct http_request handed = {
        .method = str_eq_cstr(request->method, "HEAD") ? STR("GET") : request->method,
        .path = request->path,
        .body = buf_str(&request->memory->body),
        .peer = conn->peer,
        .arena = &request->memory->arena,
        .id = request->id,
        .start_ns = request->start_ns,
        .state = request->state,
        .exchange = &exchange,
    };
    handed.content_type = http_request_header(&handed, MHD_HTTP_HEADER_CONTENT_TYPE);
    struct http_response answer = {.status = 0};
    request->route->handler(request->route->ctx, &handed, &answer);
    if (request->wait) {
        arena_done(&request->memory->arena); /* it is as new again */
        MHD_suspend_connection(connection);
        return MHD_YES;
    }
    if (answer.status == 0) {
        refusal_set(&request->refusal, 500, "the server made no answer to this request");
        return send_refusal(connection, conn);
    }
    bool was_moved = request_memory_move_answer(request->memory, &answer.body);
    enum MHD_Result result = queue(connection, conn, &answer, is_last);
    if (was_moved)
        arena_reset(&request->memory->arena);
    return result;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **con_cls)
{
    (void)version;
    struct mhd *mhd = cls;
    struct conn *conn = *con_cls;
    if (!conn)
        return MHD_NO;
    struct http_server *server = mhd->server;
    struct conn_request *request = &conn->request;
    mhd->idle_runs = 0;
    if (!request->has_begun)
        return begin(connection, conn, url, method);
    if (*upload_size > 0) {
        struct str piece = {upload, *upload_size};
        *upload_size = 0;
        return request_receive(request, server, piece) ? MHD_YES : MHD_NO;
    }
    request_check_time(request, server, now(server));
    return request->refusal.status != 0 ? send_refusal(connection, conn)
                                        : call_handler(connection, conn);
}

/* ---- the end ---- */

static void report(struct MHD_Connection *connection, const struct conn *conn, bool is_cut)
{
    const struct http_server *server = server_of(conn);
    const struct conn_request *request = &conn->request;
    if (!server->config.on_access)
        return;
    /* Also of an answer that the library made itself, to a malformed body. */
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_HTTP_STATUS);
    const struct http_access access = {
        .method = request->method,
        .path = request->path,
        .route = request->route ? request->route->path : NULL,
        .peer = conn->peer,
        .id = request->id,
        .status = info ? (int)info->http_status : 0,
        .is_cut = is_cut && (request->is_answered || !info),
        .request_bytes = request->received,
        .response_bytes = request->response_size,
        .duration_ns = now(server) - request->start_ns,
    };
    server->config.on_access(server->config.ctx, &access);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode code)
{
    (void)cls;
    struct conn *conn = *con_cls;
    if (!conn)
        return;
    report(connection, conn, code != MHD_REQUEST_TERMINATED_COMPLETED_OK);
    request_drop_state(&conn->request);
    request_drop_memory(&conn->request, server_of(conn));
    conn_enter(&server_of(conn)->registry, conn, CONN_IDLE, now(server_of(conn)));
}

/* ---- what handlers call ---- */

struct str http_request_header(const struct http_request *request, const char *name)
{
    if (!request->exchange)
        return (struct str){NULL, 0};
    return str_from_cstr(
        MHD_lookup_connection_value(request->exchange->connection, MHD_HEADER_KIND, name));
}

struct str http_request_query(const struct http_request *request, const char *name)
{
    const char *value = NULL;
    size_t size = 0;
    if (!request->exchange ||
        MHD_lookup_connection_value_n(request->exchange->connection, MHD_GET_ARGUMENT_KIND, name,
                                      strlen(name), &value, &size) != MHD_YES)
        return (struct str){NULL, 0};
    return (struct str){value ? value : "", value ? size : 0};
}

/* ---- waiting ---- */

static void give_room_back(struct http_server *server, size_t bytes)
{
    atomic_fetch_sub(&server->waiting_bytes, bytes);
    atomic_fetch_sub(&server->waiting, 1);
}

static bool take_room(struct http_server *server, size_t bytes)
{
    const struct http_server_config *config = &server->config;
    bool has_room = atomic_fetch_add(&server->waiting, 1) < config->max_waiting;
    size_t others = atomic_fetch_add(&server->waiting_bytes, bytes);
    if (has_room && others + bytes <= config->memory_budget / 2)
        return true;
    give_room_back(server, bytes);
    return false;
}

struct http_wait *http_request_wait(const struct http_request *request, unsigned timeout_ms,
                                    void *state, void (*drop)(void *state))
{
    if (!request->exchange || request->exchange->conn->request.has_waited)
        return NULL;
    struct conn *conn = request->exchange->conn;
    struct http_server *server = server_of(conn);
    struct mhd *mhd = conn->owner;
    if (!take_room(server, request->body.len))
        return NULL;
    struct http_wait *wait = wait_new(server->config.mem, &mhd->bell);
    if (!wait) {
        give_room_back(server, request->body.len);
        return NULL;
    }
    int64_t last_ns = conn->request.start_ns + server->registry.timeouts.request_ns;
    wait->deadline_ns = now(server) + timeout_ms * CLOCK_NS_PER_MS;
    if (wait->deadline_ns > last_ns)
        wait->deadline_ns = last_ns;
    wait->connection = request->exchange->connection;
    wait->conn = conn;
    wait->next = mhd->waits;
    mhd->waits = wait;
    conn->request.has_waited = true;
    conn->request.wait = wait;
    conn->request.state = state;
    conn->request.drop = drop;
    return wait;
}

static void resume(struct mhd *mhd, struct http_wait *wait)
{
    struct conn_request *request = &wait->conn->request;
    request->wait = NULL;
    MHD_resume_connection(wait->connection);
    give_room_back(mhd->server, request->memory->body.len);
    wait_leave(wait);
}

static void end_waits(struct mhd *mhd, bool all)
{
    int64_t now_ns = now(mhd->server);
    struct http_wait **at = &mhd->waits;
    while (*at) {
        struct http_wait *wait = *at;
        if (all || atomic_load(&wait->is_over) || now_ns > wait->deadline_ns) {
            *at = wait->next;
            resume(mhd, wait);
        } else {
            at = &wait->next;
        }
    }
}

void mhd_end_waits(struct mhd *mhd)
{
    wait_bell_clear(&mhd->bell);
    end_waits(mhd, false);
}

/* ---- the daemon ---- */

int mhd_open(struct mhd *mhd, struct http_server *server, unsigned index, struct err *err)
{
    *mhd = (struct mhd){.server = server, .index = index};
    if (wait_bell_init(&mhd->bell, err) < 0)
        return -1;
    const struct MHD_OptionItem tls_options[] = {
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)tls_priorities},
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)on_certificate},
        {MHD_OPTION_END, 0, NULL},
    };
    const struct MHD_OptionItem no_options[] = {{MHD_OPTION_END, 0, NULL}};
    bool has_tls = server->config.cert != NULL;
    mhd->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
            (has_tls ? MHD_USE_TLS : 0),
        0, NULL, NULL, on_request, mhd,
        /* The accepting thread keeps the limit, for all workers together. */
        MHD_OPTION_CONNECTION_LIMIT, server->config.max_connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT,
        1, MHD_OPTION_NOTIFY_CONNECTION, on_connection, mhd, MHD_OPTION_URI_LOG_CALLBACK,
        on_request_line, mhd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, mhd, MHD_OPTION_ARRAY,
        has_tls ? tls_options : no_options, MHD_OPTION_END);
    if (!mhd->daemon) {
        wait_bell_done(&mhd->bell);
        return err_set(err, 500, "libmicrohttpd could not start a worker");
    }
    return 0;
}

void mhd_close(struct mhd *mhd)
{
    /* The library ends the process when a connection is still suspended (MHD_stop_daemon). */
    end_waits(mhd, true);
    MHD_stop_daemon(mhd->daemon);
    wait_bell_done(&mhd->bell);
}

int mhd_fd(const struct mhd *mhd)
{
    return MHD_get_daemon_info(mhd->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

/*
 * While a handshake waits for the client, the library (0.9.75, MHD_run_tls_handshake_) believes
 * that there is more to read and wants to be called again and again, which would burn a processor
 * for as long as a client likes. After some calls in a row without a callback there is a pause, the
 * longer the more handshakes each call has to look at; what a client sends ends it.
 */
int mhd_run(struct mhd *mhd)
{
    enum { IDLE_RUNS_MAX = 16, HANDSHAKES_PER_MS = 16 };
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    MHD_run(mhd->daemon);
    if (MHD_get_timeout(mhd->daemon, &timeout_ms) != MHD_YES)
        return -1;
    if (timeout_ms > 0)
        return timeout_ms < INT32_MAX ? (int)timeout_ms : INT32_MAX;
    if (mhd->handshakes == 0)
        return 0;
    mhd->idle_runs++;
    return mhd->idle_runs > IDLE_RUNS_MAX ? 1 + (int)(mhd->handshakes / HANDSHAKES_PER_MS) : 0;
}

void mhd_take(struct mhd *mhd, int fd, const struct sockaddr *address, socklen_t size)
{
    mhd->is_registered = false;
    /* A connection that was registered leaves the registry by itself when taking it fails later. */
    if (MHD_add_connection(mhd->daemon, fd, address, size) != MHD_YES && !mhd->is_registered) {
        conn_unassign(&mhd->server->registry, mhd->index);
        conn_count_out_of_memory(&mhd->server->registry);
    }
}
