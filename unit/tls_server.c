/* A server for tests of the client. */
#include "unit/tls_server.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct tls_connection {
    struct tls_server *server;
    pthread_t thread;
    gnutls_session_t session;
    int fd;
    unsigned number;
    size_t filled;
    char buffer[TLS_REQUEST_MAX];
};

/* ---- One connection ---- */

bool tls_send(struct tls_connection *connection, const char *bytes)
{
    size_t len = strlen(bytes);
    while (len > 0) {
        ssize_t n = gnutls_record_send(connection->session, bytes, len);
        if (n == GNUTLS_E_INTERRUPTED || n == GNUTLS_E_AGAIN)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

bool tls_answer_json(struct tls_connection *connection, int status, const char *headers,
                     const char *body)
{
    char text[TLS_REQUEST_MAX];
    snprintf(text, sizeof(text),
             "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n%s",
             status, strlen(body), headers, body);
    return tls_send(connection, text);
}

void tls_goodbye(struct tls_connection *connection)
{
    int rc;
    do {
        rc = gnutls_bye(connection->session, GNUTLS_SHUT_WR);
    } while (rc == GNUTLS_E_INTERRUPTED || rc == GNUTLS_E_AGAIN);
}

bool tls_hold(struct tls_connection *connection)
{
    struct tls_server *server = connection->server;
    pthread_mutex_lock(&server->lock);
    while (server->released == 0 && !server->is_stopping)
        pthread_cond_wait(&server->changed, &server->lock);
    bool was_released = server->released > 0;
    server->released -= was_released;
    pthread_mutex_unlock(&server->lock);
    return was_released;
}

bool tls_request_has(const struct tls_request *request, const char *header)
{
    char line[512];
    snprintf(line, sizeof(line), "\r\n%s\r\n", header);
    return strstr(request->head, line) != NULL;
}

/* More bytes; false at the end. */
static bool fill(struct tls_connection *c)
{
    ssize_t n;
    do {
        n = gnutls_record_recv(c->session, c->buffer + c->filled,
                               sizeof(c->buffer) - 1 - c->filled);
    } while (n == GNUTLS_E_INTERRUPTED || n == GNUTLS_E_AGAIN);
    if (n <= 0)
        return false;
    c->filled += (size_t)n;
    c->buffer[c->filled] = '\0';
    return true;
}

static void take(struct tls_connection *c, char *to, size_t len)
{
    memcpy(to, c->buffer, len);
    to[len] = '\0';
    c->filled -= len;
    memmove(c->buffer, c->buffer + len, c->filled + 1);
}

static bool read_request(struct tls_connection *c, struct tls_request *request)
{
    const char *end;
    while ((end = strstr(c->buffer, "\r\n\r\n")) == NULL) {
        if (!fill(c))
            return false;
    }
    take(c, request->head, (size_t)(end - c->buffer) + 4);
    if (sscanf(request->head, "%15s %511s", request->method, request->target) != 2)
        return false;
    const char *length = strstr(request->head, "\r\nContent-Length: ");
    size_t body = length ? strtoul(length + 18, NULL, 10) : 0;
    while (c->filled < body) {
        if (!fill(c))
            return false;
    }
    take(c, request->body, body);
    return true;
}

static void name_client(struct tls_connection *c, char name[64])
{
    unsigned count = 0;
    size_t size = 64;
    gnutls_x509_crt_t cert;
    const gnutls_datum_t *der = gnutls_certificate_get_peers(c->session, &count);
    name[0] = '\0';
    if (count == 0 || gnutls_x509_crt_init(&cert) < 0)
        return;
    if (gnutls_x509_crt_import(cert, der, GNUTLS_X509_FMT_DER) >= 0)
        gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &size);
    gnutls_x509_crt_deinit(cert);
}

static void *serve_connection(void *ctx)
{
    struct tls_connection *c = ctx;
    struct tls_server *server = c->server;
    struct tls_request *request = calloc(1, sizeof(*request));
    int rc;
    do {
        rc = gnutls_handshake(c->session);
    } while (rc == GNUTLS_E_INTERRUPTED || rc == GNUTLS_E_AGAIN);
    bool goes_on = rc >= 0 && request;
    if (goes_on)
        name_client(c, request->client);
    while (goes_on && read_request(c, request)) {
        request->connection = c->number;
        request->nth++;
        pthread_mutex_lock(&server->lock);
        server->requests++;
        pthread_mutex_unlock(&server->lock);
        goes_on = server->answer(server->ctx, c, request);
    }
    free(request);
    shutdown(c->fd, SHUT_RDWR);
    return NULL;
}

/* ---- The server ---- */

static struct tls_connection *connection_new(struct tls_server *server, int fd)
{
    struct tls_connection *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->server = server;
    c->fd = fd;
    gnutls_init(&c->session, GNUTLS_SERVER | GNUTLS_NO_SIGNAL);
    gnutls_set_default_priority(c->session);
    gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, server->credentials);
    gnutls_certificate_server_set_request(c->session, GNUTLS_CERT_REQUEST);
    gnutls_transport_set_int(c->session, fd);
    return c;
}

static void *accept_all(void *ctx)
{
    struct tls_server *server = ctx;
    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL; /* the listener was shut down */
        pthread_mutex_lock(&server->lock);
        struct tls_connection *c =
            server->accepted < TLS_CONNECTIONS_MAX ? connection_new(server, fd) : NULL;
        if (c) {
            server->connections[server->accepted++] = c;
            c->number = server->accepted;
            pthread_create(&c->thread, NULL, serve_connection, c);
        } else {
            close(fd);
        }
        pthread_mutex_unlock(&server->lock);
    }
}

static void must(bool good, const char *what)
{
    if (!good)
        fail_msg("the server of the test: %s", what);
}

static void load_certificate(struct tls_server *server, const char *name)
{
    gnutls_certificate_credentials_t credentials;
    cert_pem_make(&server->pem, name, time(NULL), 10);
    const gnutls_datum_t cert = {(void *)server->pem.cert, (unsigned)strlen(server->pem.cert)};
    const gnutls_datum_t key = {(void *)server->pem.key, (unsigned)strlen(server->pem.key)};
    must(
        gnutls_certificate_allocate_credentials(&credentials) >= 0 &&
            gnutls_certificate_set_x509_key_mem(credentials, &cert, &key, GNUTLS_X509_FMT_PEM) >= 0,
        "certificate");
    server->credentials = credentials;
}

void tls_server_start(struct tls_server *server, const char *name, tls_answer *answer, void *ctx)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    *server = (struct tls_server){.answer = answer,
                                  .ctx = ctx,
                                  .lock = PTHREAD_MUTEX_INITIALIZER,
                                  .changed = PTHREAD_COND_INITIALIZER};
    load_certificate(server, name);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(server->listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
             listen(server->listener, 16) == 0 &&
             getsockname(server->listener, (struct sockaddr *)&address, &len) == 0,
         "socket");
    server->port = ntohs(address.sin_port);
    snprintf(server->url, sizeof(server->url), "https://127.0.0.1:%u", server->port);
    must(pthread_create(&server->thread, NULL, accept_all, server) == 0, "thread");
}

void tls_server_stop(struct tls_server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    pthread_mutex_lock(&server->lock);
    server->is_stopping = true;
    pthread_cond_broadcast(&server->changed);
    for (unsigned i = 0; i < server->accepted; i++)
        shutdown(server->connections[i]->fd, SHUT_RDWR);
    pthread_mutex_unlock(&server->lock);
    for (unsigned i = 0; i < server->accepted; i++) {
        struct tls_connection *c = server->connections[i];
        pthread_join(c->thread, NULL);
        gnutls_deinit(c->session);
        close(c->fd);
        free(c);
    }
    gnutls_certificate_free_credentials(server->credentials);
}

void tls_server_release(struct tls_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->released++;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static unsigned read_locked(struct tls_server *server, const unsigned *value)
{
    pthread_mutex_lock(&server->lock);
    unsigned copy = *value;
    pthread_mutex_unlock(&server->lock);
    return copy;
}

unsigned tls_server_accepted(struct tls_server *server)
{
    return read_locked(server, &server->accepted);
}

unsigned tls_server_requests(struct tls_server *server)
{
    return read_locked(server, &server->requests);
}
