/*
 * The request that a connection is at, from its request line to its end: what the server decides
 * about it by itself before a handler sees it. Belongs to the connection's worker.
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "http/refusal.h"

struct http_wait;
struct request_memory;

struct conn_request {
    bool has_begun; /* its headers were looked at */
    bool has_nul;   /* in its path or query */
    bool is_answered;
    bool has_waited;
    struct http_wait *wait; /* its answer is put off; else NULL */
    void *state;            /* of http_request_wait() */
    void (*drop)(void *state);
    const struct http_route *route;
    struct request_memory *memory;
    struct refusal refusal; /* status 0: none so far */
    struct str method;
    struct str path;
    uint64_t id;
    int64_t start_ns;
    size_t body_max;
    size_t received;      /* bytes of the body, kept or thrown away */
    size_t response_size; /* bytes of the body */
};

/* How the body is delimited, and whether the client waits to be asked for it. */
struct framing {
    unsigned lengths;   /* headers Content-Length */
    unsigned encodings; /* headers Transfer-Encoding */
    bool is_chunked;
    bool expects_continue;
    uint64_t length;
};

/* For each header of the request. */
void framing_add_header(struct framing *framing, const char *name, const char *value);

void request_reset(struct conn_request *request, uint64_t id, int64_t now_ns);

/* With method and path set: finds the route and memory for the body, or the reason to refuse it.
 * False when it is to be refused at once, without reading the body. */
bool request_judge(struct conn_request *request, struct http_server *server,
                   const struct framing *framing);
/* A piece of the body, kept or, when the request is refused, thrown away. False when so much of a
 * refused body has come that the client will not stop. */
bool request_receive(struct conn_request *request, struct http_server *server, struct str piece);
/* The body is complete, but perhaps too late. */
void request_check_time(struct conn_request *request, struct http_server *server, int64_t now_ns);
/* Gives up what the handler left for its second call. */
void request_drop_state(struct conn_request *request);
void request_drop_memory(struct conn_request *request, struct http_server *server);

#endif
