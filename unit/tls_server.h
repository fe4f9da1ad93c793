/*
 * A server for tests of the client: HTTPS on 127.0.0.1, one thread a connection, which does to its
 * connections what the test wants: cut them, say nothing, answer byte by byte.
 *
 *   struct tls_server server;
 *   tls_server_start(&server, "127.0.0.1", answer, &test);
 *   …
 *   tls_server_stop(&server);
 *
 * The functions for handlers never call cmocka: handlers run in threads of the server.
 */
#ifndef UNIT_TLS_SERVER_H
#define UNIT_TLS_SERVER_H

#include "unit/cert_files.h"
#include "unit/support.h"

enum { TLS_REQUEST_MAX = 16 * 1024, TLS_CONNECTIONS_MAX = 64 };

struct tls_connection;

struct tls_request {
    char method[16];
    char target[512];
    char head[TLS_REQUEST_MAX]; /* all of it */
    char body[TLS_REQUEST_MAX];
    char client[64];     /* the common name of the client's certificate, or "" */
    unsigned connection; /* from 1 */
    unsigned nth;        /* on its connection, from 1 */
};

/* Answers one request. Returning false closes the connection. */
typedef bool tls_answer(void *ctx, struct tls_connection *connection,
                        const struct tls_request *request);

struct tls_server {
    struct cert_pem pem;
    char url[64];
    uint16_t port;
    int listener;
    tls_answer *answer;
    void *ctx;
    void *credentials; /* GnuTLS's */
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct tls_connection *connections[TLS_CONNECTIONS_MAX];
    unsigned accepted;
    unsigned requests;
    unsigned released;
    bool is_stopping;
};

/* With a new certificate of that common name. */
void tls_server_start(struct tls_server *server, const char *name, tls_answer *answer, void *ctx);
void tls_server_stop(struct tls_server *server);
/* One more handler that waits in tls_hold() goes on. */
void tls_server_release(struct tls_server *server);
unsigned tls_server_accepted(struct tls_server *server);
unsigned tls_server_requests(struct tls_server *server);

/* ---- For handlers ---- */

/* The bytes as they are; false when the client has gone. */
bool tls_send(struct tls_connection *connection, const char *bytes);
/* A whole answer with a body of JSON. */
bool tls_answer_json(struct tls_connection *connection, int status, const char *headers,
                     const char *body);
/* Says that nothing follows, as a server does that closes a connection in order. */
void tls_goodbye(struct tls_connection *connection);
/* Waits for tls_server_release(), or the end of the server: false. */
bool tls_hold(struct tls_connection *connection);
/* The value of a header of the request is exactly this. */
bool tls_request_has(const struct tls_request *request, const char *header);

#endif
