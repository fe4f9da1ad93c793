/*
 * A small HTTP/1.1 client for tests of the server: it sends exactly the bytes that the test gives
 * it, over TCP or TLS to 127.0.0.1, and reads answers one by one. Waiting is bounded by 20 s;
 * beyond that, and when it cannot connect, it reports failure.
 *
 * It never calls cmocka, so that a test's own threads may use it.
 */
#ifndef UNIT_HTTP_CLIENT_H
#define UNIT_HTTP_CLIENT_H

#include "base/str.h"

#include <gnutls/gnutls.h>

enum { HTTP_CLIENT_BUFFER = 16 * 1024, HTTP_ANSWER_KEPT = 4096 };

struct http_client {
    int fd;
    gnutls_session_t session; /* NULL without TLS */
    gnutls_certificate_credentials_t credentials;
    size_t filled;
    char buffer[HTTP_CLIENT_BUFFER]; /* received, not yet read as an answer */
};

struct http_answer {
    int status;
    size_t head_len;
    size_t body_len;
    char head[HTTP_ANSWER_KEPT]; /* the status line and the headers */
    char body[HTTP_ANSWER_KEPT]; /* NUL-terminated; what is longer is counted but not kept */
};

bool http_client_open(struct http_client *client, uint16_t port);
/* With a handshake; the server's certificate is not verified. `priorities` may be NULL. */
bool http_client_open_tls(struct http_client *client, uint16_t port, const char *priorities);
/* Accepts a zeroed client. */
void http_client_close(struct http_client *client);

/* False when the connection has ended. */
bool http_client_send(struct http_client *client, struct str bytes);
bool http_client_send_text(struct http_client *client, const char *text);
/* Waits until the server's kernel has all that was sent. */
void http_client_flush(struct http_client *client);
/* False when the connection ended before an answer was complete. An answer 100 is passed over. */
bool http_client_read(struct http_client *client, struct http_answer *ret);
/* An answer to HEAD: the length is that of a body that does not come. */
bool http_client_read_head(struct http_client *client, struct http_answer *ret);
/* Reads to the end of the connection. False when it does not end. */
bool http_client_read_end(struct http_client *client);
/* The request and its answer. */
bool http_client_ask(struct http_client *client, const char *text, struct http_answer *ret);

/* The common name of the certificate that the server presented. */
bool http_client_peer_name(const struct http_client *client, char name[64]);

/* The value of a header of the answer, or absent. */
struct str http_answer_header(const struct http_answer *answer, const char *name);

#endif
