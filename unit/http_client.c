/* A small HTTP/1.1 client for tests of the server. */
#include "unit/http_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/x509.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { TIMEOUT_S = 20 };

/* ---- connections ---- */

bool http_client_open(struct http_client *client, uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr = {htonl(INADDR_LOOPBACK)},
    };
    const struct timeval timeout = {.tv_sec = TIMEOUT_S};
    const int on = 1;
    client->session = NULL;
    client->credentials = NULL;
    client->filled = 0;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        return false;
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(client->fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return true;
    http_client_close(client);
    return false;
}

bool http_client_open_tls(struct http_client *client, uint16_t port, const char *priorities)
{
    if (!http_client_open(client, port))
        return false;
    int rc = gnutls_certificate_allocate_credentials(&client->credentials);
    if (rc >= 0)
        rc = gnutls_init(&client->session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL);
    if (rc >= 0)
        rc = gnutls_priority_set_direct(client->session, priorities ? priorities : "NORMAL", NULL);
    if (rc >= 0)
        rc = gnutls_credentials_set(client->session, GNUTLS_CRD_CERTIFICATE, client->credentials);
    if (rc >= 0) {
        gnutls_transport_set_int(client->session, client->fd);
        do {
            rc = gnutls_handshake(client->session);
        } while (rc == GNUTLS_E_INTERRUPTED);
    }
    if (rc >= 0)
        return true;
    http_client_close(client);
    return false;
}

void http_client_close(struct http_client *client)
{
    if (client->session)
        gnutls_deinit(client->session);
    if (client->credentials)
        gnutls_certificate_free_credentials(client->credentials);
    if (client->fd > 0)
        close(client->fd);
    client->fd = 0;
    client->session = NULL;
    client->credentials = NULL;
}

static ssize_t write_some(struct http_client *client, struct str bytes)
{
    if (client->session)
        return gnutls_record_send(client->session, bytes.ptr, bytes.len);
    return send(client->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
}

bool http_client_send(struct http_client *client, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write_some(client, bytes);
        if (n == GNUTLS_E_INTERRUPTED)
            continue;
        if (n <= 0)
            return false;
        bytes = str_sub(bytes, (size_t)n, bytes.len);
    }
    return true;
}

bool http_client_send_text(struct http_client *client, const char *text)
{
    return http_client_send(client, str_from_cstr(text));
}

void http_client_flush(struct http_client *client)
{
    int unsent = 0;
    while (ioctl(client->fd, SIOCOUTQ, &unsent) == 0 && unsent > 0)
        sched_yield();
}

/* More bytes in the buffer: their number, 0 at the end of the connection, -1 when none came in
 * time. */
static int fill(struct http_client *client)
{
    char *to = client->buffer + client->filled;
    size_t room = sizeof(client->buffer) - client->filled;
    ssize_t n;
    do {
        n = client->session ? gnutls_record_recv(client->session, to, room)
                            : recv(client->fd, to, room, 0);
    } while (client->session && n == GNUTLS_E_INTERRUPTED);
    if (n < 0 && (client->session ? n == GNUTLS_E_AGAIN : errno == EAGAIN))
        return -1;
    if (n <= 0)
        return 0;
    client->filled += (size_t)n;
    return 1;
}

static void drop(struct http_client *client, size_t size)
{
    memmove(client->buffer, client->buffer + size, client->filled - size);
    client->filled -= size;
}

/* ---- answers ---- */

struct str http_answer_header(const struct http_answer *answer, const char *name)
{
    struct str rest = {answer->head, answer->head_len}, line;
    struct str wanted = str_from_cstr(name);
    while (str_cut(rest, '\n', &line, &rest)) {
        struct str own, value;
        if (str_cut(line, ':', &own, &value) && own.len == wanted.len &&
            strncasecmp(own.ptr, wanted.ptr, own.len) == 0)
            return str_trim(value);
    }
    return (struct str){NULL, 0};
}

static bool read_answer_head(struct http_client *client, struct http_answer *ret)
{
    char *end;
    while (!(end = memmem(client->buffer, client->filled, "\r\n\r\n", 4))) {
        if (client->filled == sizeof(client->buffer) || fill(client) <= 0)
            return false;
    }
    size_t len = (size_t)(end - client->buffer) + 4;
    if (len >= sizeof(ret->head))
        return false;
    memcpy(ret->head, client->buffer, len);
    ret->head[len] = '\0';
    ret->head_len = len;
    ret->body_len = 0;
    ret->body[0] = '\0';
    drop(client, len);
    ret->status = len > 12 ? atoi(ret->head + 9) : 0;
    return ret->status > 0;
}

static bool read_body(struct http_client *client, struct http_answer *ret, size_t len)
{
    while (len > 0) {
        if (client->filled == 0 && fill(client) <= 0)
            return false;
        size_t part = client->filled < len ? client->filled : len;
        if (ret->body_len + part < sizeof(ret->body)) {
            memcpy(ret->body + ret->body_len, client->buffer, part);
            ret->body[ret->body_len + part] = '\0';
        }
        ret->body_len += part;
        len -= part;
        drop(client, part);
    }
    return true;
}

bool http_client_read_head(struct http_client *client, struct http_answer *ret)
{
    do {
        if (!read_answer_head(client, ret))
            return false;
    } while (ret->status == 100);
    return true;
}

bool http_client_read(struct http_client *client, struct http_answer *ret)
{
    int64_t len = 0;
    if (!http_client_read_head(client, ret))
        return false;
    str_to_int64(http_answer_header(ret, "Content-Length"), &len);
    return read_body(client, ret, (size_t)len);
}

bool http_client_read_end(struct http_client *client)
{
    int rc = 1;
    while (rc > 0) {
        client->filled = 0;
        rc = fill(client);
    }
    return rc == 0;
}

bool http_client_ask(struct http_client *client, const char *text, struct http_answer *ret)
{
    return http_client_send_text(client, text) && http_client_read(client, ret);
}

/* ---- TLS ---- */

bool http_client_peer_name(const struct http_client *client, char name[64])
{
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(client->session, &count);
    gnutls_x509_crt_t cert;
    size_t size = 64;
    if (count == 0 || gnutls_x509_crt_init(&cert) < 0)
        return false;
    int rc = gnutls_x509_crt_import(cert, &chain[0], GNUTLS_X509_FMT_DER);
    if (rc >= 0)
        rc = gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &size);
    gnutls_x509_crt_deinit(cert);
    return rc >= 0;
}
