/*
 * libmicrohttpd's callbacks, in the order in which they come for a connection:
 *
 *   on_connection(STARTED)      registers it
 *   on_certificate              TLS: the pair for the handshake
 *   on_handshake                TLS: the client has finished its part
 *   on_request_line             a request begins
 *   on_request                  once after the headers, once for each piece of the body, once at
 * its end; only the last call answers, because the library closes the connection after an answer
 * that is queued earlier on_completed                the answer is sent, or the connection is lost
 *   on_connection(CLOSED)       unregisters it; the descriptor is still open
 *
 * All of them run on the worker's thread. The facts are those of version 0.9.75 of Debian 12.
 */
#include "http/mhd.h"

#include "http/cert_pair.h"
#include "http/server_parts.h"

#include <microhttpd.h>
#include <string.h>
#include <strings.h>

/* libmicrohttpd's pool of a connection: the request's and the answer's headers and the read
 * buffer. */
enum { CONNECTION_MEMORY = 16 * 1024 };

/* Bytes of a refused body that are read and thrown away. */
enum { DISCARD_MAX = 64 * 1024 * 1024 };

/* TLS 1.3 and 1.2 with forward secrecy and authenticated encryption; curves and ciphers that Go's
 * and OpenSSL's clients offer. */
static const char tls_priorities[] =
    "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
    "+ECDHE-ECDSA:+ECDHE-RSA:+AEAD:+COMP-NULL:+SIGN-ALL:+GROUP-X25519:+GROUP-SECP256R1:"
    "+GROUP-SECP384R1:+CTYPE-SRV-X509:%SERVER_PRECEDENCE";

struct http_exchange {
    struct MHD_Connection *connection;
};

static int64_t now(const struct http_server *server)
{
    return clock_now_ns(server->config.clock);
}

static struct http_server *server_of(const struct conn *conn)
{
    return ((struct mhd_worker *)conn->owner)->server;
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

static int on_handshake(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
                        const gnutls_datum_t *message)
{
    (void)type;
    (void)when;
    (void)message;
    struct conn *conn = conn_of_session(session);
    if (incoming && conn) {
        struct http_server *server = server_of(conn);
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
    /* GnuTLS reads the chain; its type has no const. */
    *ret_chain = (gnutls_pcert_st *)conn->cert->chain;
    *ret_chain_len = conn->cert->chain_len;
    *ret_key = conn->cert->key;
    return 0;
}

static void watch_handshake(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (info)
        gnutls_handshake_set_hook_function(info->tls_session, GNUTLS_HANDSHAKE_FINISHED,
                                           GNUTLS_HOOK_POST, on_handshake);
}

static void connection_started(struct mhd_worker *worker, struct MHD_Connection *connection,
                               void **socket_context)
{
    struct http_server *server = worker->server;
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    struct conn *conn = mem_alloc(server->config.mem, sizeof(*conn));
    if (!conn) {
        conn_unassign(&server->registry, worker->index);
        conn_count_out_of_memory(&server->registry);
        shutdown(fd, SHUT_RDWR);
        return;
    }
    *conn = (struct conn){.fd = fd, .worker = worker->index, .owner = worker};
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    conn->peer = address_print(info->client_addr, conn->peer_text);
    *socket_context = conn;
    if (server->config.cert)
        watch_handshake(connection);
    conn_add(&server->registry, conn, server->config.cert ? CONN_HANDSHAKE : CONN_IDLE,
             now(server));
}

/* The library has ended the TLS session by now: nothing uses the certificate any more. */
static void connection_closed(struct http_server *server, struct conn *conn)
{
    if (!conn)
        return;
    conn_remove(&server->registry, conn);
    cert_pair_release(conn->cert);
    mem_free(server->config.mem, conn, sizeof(*conn));
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct mhd_worker *worker = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        connection_started(worker, connection, socket_context);
    else
        connection_closed(worker->server, *socket_context);
}

/* ---- the beginning of a request ---- */

static void *on_request_line(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct mhd_worker *worker = cls;
    struct http_server *server = worker->server;
    struct conn *conn = conn_of(connection);
    if (!conn)
        return NULL;
    struct conn_request *request = &conn->request;
    request->has_begun = false;
    request->is_answered = false;
    request->route = NULL;
    request->refusal.status = 0;
    request->received = 0;
    request->response_size = 0;
    request->start_ns = now(server);
    request->id = atomic_fetch_add(&server->last_id, 1) + 1;
    /* The library would decode it to the end of a C string: "/mutate%00x" would be "/mutate". */
    request->has_nul = strstr(uri, "%00") != NULL;
    conn_enter(&server->registry, conn, CONN_HEADERS, request->start_ns);
    return conn;
}

/* How the body is delimited, and whether the client waits to be asked for it. */
struct framing {
    unsigned lengths; /* headers Content-Length */
    unsigned encodings;
    bool is_chunked;
    bool expects_continue;
    uint64_t length;
};

static enum MHD_Result read_framing_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                           const char *value)
{
    (void)kind;
    struct framing *framing = cls;
    if (!value)
        return MHD_YES;
    if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
        int64_t length = 0;
        str_to_int64(str_from_cstr(value), &length);
        framing->lengths++;
        framing->length = (uint64_t)length;
    } else if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        framing->encodings++;
        framing->is_chunked = strcasecmp(value, "chunked") == 0;
    } else if (strcasecmp(name, MHD_HTTP_HEADER_EXPECT) == 0) {
        framing->expects_continue = strcasecmp(value, "100-continue") == 0;
    }
    return MHD_YES;
}

/* RFC 9112, section 6.3: what is ambiguous could be a request smuggled past a proxy. */
static void check_framing(struct refusal *refusal, const struct framing *framing, struct str method)
{
    bool has_content =
        str_eq_cstr(method, "POST") || str_eq_cstr(method, "PUT") || str_eq_cstr(method, "PATCH");
    if (framing->lengths + framing->encodings > 1)
        refusal_set(refusal, 400, "more than one header says how long the body is");
    else if (framing->encodings == 1 && !framing->is_chunked)
        refusal_set(refusal, 501, "the only transfer encoding that is known is chunked");
    else if (has_content && framing->lengths + framing->encodings == 0)
        refusal_set(refusal, 411, "a Content-Length or chunked encoding is needed");
    refusal->must_end = refusal->at_once = refusal->status != 0;
}

static void refuse_large(struct conn_request *request)
{
    refusal_set(&request->refusal, 413, "the body is larger than %zu bytes", request->body_max);
}

static void refuse_no_memory(struct conn *conn)
{
    refusal_set(&conn->request.refusal, 503,
                "the server has no memory for this request now; try again");
    conn_count_out_of_memory(&server_of(conn)->registry);
}

static void choose_route(struct conn *conn, const struct framing *framing)
{
    struct http_server *server = server_of(conn);
    const struct http_server_config *config = &server->config;
    struct conn_request *request = &conn->request;
    request->route =
        route_find(config->routes, config->route_count, request->method, request->path);
    if (!request->route) {
        refusal_no_route(&request->refusal, config->routes, config->route_count, request->path);
        return;
    }
    request->body_max = request->route->max_body ? request->route->max_body : config->max_body;
    if (framing->length > request->body_max) {
        refuse_large(request);
        return;
    }
    size_t body_max = framing->lengths ? (size_t)framing->length : request->body_max;
    request->memory = memory_pool_take(&server->memory, body_max);
    if (!request->memory)
        refuse_no_memory(conn);
}

static enum MHD_Result send_refusal(struct MHD_Connection *connection, struct conn *conn);

static enum MHD_Result begin(struct MHD_Connection *connection, struct conn *conn, const char *url,
                             const char *method)
{
    struct conn_request *request = &conn->request;
    struct framing framing = {0};
    request->has_begun = true;
    request->method = str_from_cstr(method);
    request->path = str_from_cstr(url);
    conn_enter(&server_of(conn)->registry, conn, CONN_BODY, now(server_of(conn)));
    MHD_get_connection_values(connection, MHD_HEADER_KIND, read_framing_header, &framing);
    check_framing(&request->refusal, &framing, request->method);
    if (request->refusal.status == 0 && request->has_nul)
        refusal_set(&request->refusal, 400, "the path or the query has a NUL");
    if (request->refusal.status == 0)
        choose_route(conn, &framing);
    if (request->refusal.status != 0 &&
        (request->refusal.at_once || framing.expects_continue || framing.length > DISCARD_MAX))
        return send_refusal(connection, conn);
    return MHD_YES;
}

/* ---- the body ---- */

static void drop_memory(struct conn *conn)
{
    memory_pool_give(&server_of(conn)->memory, conn->request.memory);
    conn->request.memory = NULL;
}

/* A buffer doubles up to half of its maximum and then takes what each piece needs; a body that has
 * come so far gets the rest at once, lest each piece copy all that came before. */
static void keep(struct buf *body, struct str piece)
{
    if (body->cap > body->max / 2)
        buf_reserve(body, body->max - body->len);
    buf_put(body, piece);
}

/* False when so much of a refused body has come that the client will not stop. */
static bool receive(struct conn *conn, struct str piece)
{
    struct conn_request *request = &conn->request;
    request->received += piece.len;
    if (request->refusal.status != 0)
        return request->received <= DISCARD_MAX;
    if (request->received > request->body_max) {
        refuse_large(request);
    } else {
        keep(&request->memory->body, piece);
        if (buf_failed(&request->memory->body))
            refuse_no_memory(conn);
    }
    if (request->refusal.status != 0)
        drop_memory(conn);
    return true;
}

/* ---- the answer ---- */

static enum MHD_Result queue(struct MHD_Connection *connection, struct conn *conn,
                             const struct http_response *answer, bool is_last)
{
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

/* Whether this answer must be the last one of its connection. */
static bool enter_answer(struct conn *conn)
{
    struct http_server *server = server_of(conn);
    bool is_open = conn_enter(&server->registry, conn, CONN_ANSWER, now(server));
    return !is_open || atomic_load(&server->is_draining);
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
    const struct http_exchange exchange = {.connection = connection};
    bool is_last = enter_answer(conn);
    struct http_request handed = {
        .method = str_eq_cstr(request->method, "HEAD") ? STR("GET") : request->method,
        .path = request->path,
        .body = buf_str(&request->memory->body),
        .peer = conn->peer,
        .arena = &request->memory->arena,
        .id = request->id,
        .start_ns = request->start_ns,
        .exchange = &exchange,
    };
    handed.content_type = http_request_header(&handed, MHD_HTTP_HEADER_CONTENT_TYPE);
    struct http_response answer = {.status = 0};
    request->route->handler(request->route->ctx, &handed, &answer);
    if (answer.status == 0) {
        refusal_set(&request->refusal, 500, "the server made no answer to this request");
        return send_refusal(connection, conn);
    }
    return queue(connection, conn, &answer, is_last);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **con_cls)
{
    (void)cls;
    (void)version;
    struct conn *conn = *con_cls;
    if (!conn)
        return MHD_NO;
    struct conn_request *request = &conn->request;
    if (!request->has_begun)
        return begin(connection, conn, url, method);
    if (*upload_size > 0) {
        bool goes_on = receive(conn, (struct str){upload, *upload_size});
        *upload_size = 0;
        return goes_on ? MHD_YES : MHD_NO;
    }
    struct http_server *server = server_of(conn);
    int64_t timeout_ns = server->registry.timeouts.request_ns;
    if (now(server) - request->start_ns > timeout_ns) {
        drop_memory(conn);
        refusal_set(&request->refusal, 408, "the request was not complete within %lld ms",
                    (long long)(timeout_ns / CLOCK_NS_PER_MS));
        request->refusal.must_end = true;
    }
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
    drop_memory(conn);
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

/* ---- workers ---- */

int mhd_worker_start(struct mhd_worker *worker, struct http_server *server, unsigned index,
                     struct err *err)
{
    *worker = (struct mhd_worker){.server = server, .index = index};
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_NO_LISTEN_SOCKET;
    const struct MHD_OptionItem tls_options[] = {
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)tls_priorities},
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)on_certificate},
        {MHD_OPTION_END, 0, NULL},
    };
    const struct MHD_OptionItem no_options[] = {{MHD_OPTION_END, 0, NULL}};
    bool has_tls = server->config.cert != NULL;
    worker->daemon = MHD_start_daemon(
        flags | (has_tls ? MHD_USE_TLS : 0), 0, NULL, NULL, on_request, worker,
        /* The accepting thread keeps the limit; this one is never reached. */
        MHD_OPTION_CONNECTION_LIMIT, server->config.max_connections + 1024U,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT,
        1, MHD_OPTION_NOTIFY_CONNECTION, on_connection, worker, MHD_OPTION_URI_LOG_CALLBACK,
        on_request_line, worker, MHD_OPTION_NOTIFY_COMPLETED, on_completed, worker,
        MHD_OPTION_ARRAY, has_tls ? tls_options : no_options, MHD_OPTION_END);
    if (!worker->daemon)
        return err_set(err, 500, "libmicrohttpd could not start a worker thread");
    return 0;
}

bool mhd_worker_take(struct mhd_worker *worker, int fd, const struct sockaddr *address,
                     socklen_t size)
{
    return MHD_add_connection(worker->daemon, fd, address, size) == MHD_YES;
}

void mhd_worker_stop(struct mhd_worker *worker)
{
    if (worker->daemon)
        MHD_stop_daemon(worker->daemon);
    worker->daemon = NULL;
}
