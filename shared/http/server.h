/*
 * An HTTP/1.1 server for handlers that only compute: an admission webhook, a scheduler extender,
 * metrics and probes. TLS 1.2 and 1.3 when it is given certificates, else plain. Built on
 * libmicrohttpd, whose types stay in http/mhd.c.
 *
 *   struct http_server_config config = {.listen = "0.0.0.0:9443", .cert = cert, …};
 *   http_server_start(&config, &server, &err);
 *   http_server_tick(server);           about once a second, from one thread
 *   http_server_begin_drain(server);    SIGTERM: answers carry "Connection: close"
 *   … some seconds, until nobody opens connections here any more …
 *   http_server_stop(server, 5000);     finishes what is under way, frees the server
 *
 * Threads. Handlers run on `threads` worker threads, one request at a time on each: they never wait
 * for I/O. One that lacks something puts its answer off by http_request_wait() instead. One more
 * thread accepts connections and hands each to the worker that has the fewest. All signals are
 * blocked in these threads. The program ignores SIGPIPE.
 *
 * Memory. Everything is bounded: connections, bytes of headers (about 15 KiB), bytes of a body,
 * bytes of one request's arena, and the bytes that bodies and arenas of all requests take together.
 * A body takes memory as it arrives, not as it was announced.
 *
 * Time. A connection has a deadline in each of its phases, which activity does not move, so that
 * sending a byte a second gains nothing: TLS handshake and request line with headers
 * (header_timeout_ms), the whole request from the end of its request line until the last byte of
 * the answer is with the kernel (request_timeout_ms), idle (idle_timeout_ms). http_server_tick()
 * cuts the connections that are past it. When fewer than 1/16 of max_connections are free, each new
 * one also costs the slowest connection (handshake, headers or body under way for more than a
 * second) or, when there is none, the one that has been idle for the longest time. An answer under
 * way is never cut for this.
 *
 * Errors. What the server refuses by itself is answered by a Kubernetes Status object in JSON with
 * a message, so that kube-apiserver shows it to the user: 400 bad framing, 404, 405 with Allow, 408
 * (a request that was complete only after its deadline), 411 (POST, PUT or PATCH without a length),
 * 413, 501 (a transfer encoding other than chunked), 503 with Retry-After (no memory), 500 (a
 * handler without an answer). What libmicrohttpd refuses before that (broken request lines, headers
 * too large) is its own short HTML. A refused body is read and thrown away, up to 64 MiB, before
 * the answer, because a client whose connection is closed while it still sends often never sees the
 * answer; a client that asked by "Expect: 100-continue" is refused at once. A request cut at its
 * deadline gets no answer: the library can begin one only when the request is complete.
 *
 * Shutting down without losing a request. From begin_drain() on each answer carries "Connection:
 * close", so clients that are active leave one by one while new connections are still served. Idle
 * connections stay open during the drain: closing one could meet a request that is on its way. Only
 * http_server_stop() closes them, and only for reading: a request whose first byte has arrived by
 * then is still read and answered. What remains is a request that was sent on an idle connection
 * but has not arrived when the connection is closed, one way through the network; HTTP/1.1 has no
 * means against it, and the longer the drain, the fewer idle connections are left (kube-apiserver
 * closes its own after 90 s, which is also why idle_timeout_ms is longer than that). And a
 * connection that is made between the last look into the queue of an own listening socket and its
 * closing is reset: the drain must last until nobody connects here any more. A socket that was
 * handed in is not closed, so a successor that listens on it too takes over without a lost request.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

struct cert_source; /* http/cert.h */
struct http_exchange;
struct http_server;
struct http_wait;

/* All views and memory are valid until the handler returns; `arena` and what is in it until the
 * answer is sent. */
struct http_request {
    struct str method;                    /* "POST"; "GET" also for a HEAD request */
    struct str path;                      /* "/mutate": percent-decoded, without the query */
    struct str content_type;              /* the header as sent, or absent */
    struct str body;                      /* empty when there is none */
    struct str peer;                      /* "10.0.0.7:51234" or "[fd00::7]:51234" */
    struct arena *arena;                  /* this request's own, capped at arena_max */
    uint64_t id;                          /* counts up from 1 since the server started */
    int64_t start_ns;                     /* when the request line was complete; monotonic */
    void *state;                          /* of http_request_wait(), when it is over; else NULL */
    const struct http_exchange *exchange; /* for the functions below; NULL in a test of a handler:
                                           * they then find nothing */
};

/* A header by its name, whose case does not matter, or absent. The first when there are several. */
struct str http_request_header(const struct http_request *request, const char *name);
/* A decoded parameter of the query, "10s" of "?timeout=10s", by its name, whose case does not
 * matter. Absent when there is none; a parameter without "=" is the empty string. */
struct str http_request_query(const struct http_request *request, const char *name);

enum { HTTP_RESPONSE_HEADERS_MAX = 8 };

struct http_response {
    int status;               /* 0 until the handler sets it; 500 is sent when it does not */
    const char *content_type; /* static; NULL: no such header */
    struct str body;          /* sent from where it is: static or in the request's arena */
    struct {
        const char *name;  /* static */
        const char *value; /* static or in the request's arena */
    } headers[HTTP_RESPONSE_HEADERS_MAX];
    size_t header_count;
    bool is_last; /* of its connection, which it ends: "Connection: close" */
};

/* Beyond HTTP_RESPONSE_HEADERS_MAX the program ends: it is an error of the caller. */
void http_response_add_header(struct http_response *response, const char *name, const char *value);
/* Status and a text made in the request's arena; 503 when it does not fit there. */
void http_response_set_text(struct http_response *response, const struct http_request *request,
                            int status, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

typedef void http_handler(void *ctx, const struct http_request *request,
                          struct http_response *response);

/*
 * Puts the answer off until another thread has found out what the handler needs. The handler calls
 * this and returns without a status; its thread serves others meanwhile. When http_wait_end() was
 * called or timeout_ms have passed, as http_server_tick() sees it, the handler is called once more
 * with the same request, whose `state` is what is given here, and answers. `drop` is called with
 * the state once, when the request is over, however it ends: it may be cut while it waits, and then
 * the handler is not called again.
 *
 * NULL when max_waiting requests wait already, when the bodies of those that wait would take more than
 * half of the memory budget, when there is no memory, and for a request that has waited before: the
 * handler answers at once, and the state stays the caller's.
 *
 * What the first call took from the arena is given back when it returns: `state` must not be there.
 *
 * While a request waits, its connection is not looked at: that the client has gone shows only
 * afterwards. So timeout_ms should be short; it never reaches beyond request_timeout_ms. Draining
 * and stopping wait for such a request as for any other.
 */
struct http_wait *http_request_wait(const struct http_request *request, unsigned timeout_ms,
                                    void *state, void (*drop)(void *state));
/* Ends the wait, if it has not ended by itself. To be called exactly once for each wait, from any
 * thread, at any time, even after the server has gone. Accepts NULL. */
void http_wait_end(struct http_wait *wait);

struct http_route {
    const char *method; /* "GET" (which serves HEAD too), "POST", … */
    const char *path;   /* "/mutate"; matched as a whole, or as a prefix of the path: "/explain/" */
    bool is_prefix;     /* the first route that matches is taken: put longer ones first */
    size_t max_body;    /* bytes; 0: max_body of the server */
    http_handler *handler;
    void *ctx;
};

/* A request that is over, answered or not. Views are valid during the call. */
struct http_access {
    struct str method;
    struct str path;
    const char *route; /* path of its route: a label of bounded variety; NULL when it has none */
    struct str peer;
    uint64_t id;
    int status;            /* 0 when the request was cut before its answer began */
    bool is_cut;           /* the connection ended before all of the answer was with the kernel */
    size_t request_bytes;  /* of the body, as far as it came */
    size_t response_bytes; /* of the body, as it should have been sent */
    int64_t duration_ns;   /* since the request line was complete */
};

/* A zero or NULL stands for the default, where one is named. */
struct http_server_config {
    const char *listen; /* "0.0.0.0:9443", "[::1]:9443", ":9443" (IPv6 and IPv4); port 0: any */
    /* When `listen` is NULL: a TCP socket that listens already. It stays the caller's, who closes
     * it after http_server_stop(), and is made non-blocking. */
    int listen_fd;
    struct cert_source *cert;        /* must outlive the server; NULL: plain HTTP */
    const struct http_route *routes; /* must outlive the server */
    size_t route_count;
    const struct clock *clock; /* the system's */
    const struct mem *mem;     /* mem_system(); used by several threads at once; outlives each
                                * http_wait_end() */
    unsigned threads;          /* the CPUs that the process may use, at most 4 */
    unsigned max_connections;  /* 1024; the program sees to it that it may open as many files */
    size_t max_body;           /* bytes; 7 MiB: an AdmissionReview with two objects as large as etcd
                                * takes them */
    size_t arena_max;          /* bytes for one request; 32 MiB */
    size_t memory_budget;      /* bytes for bodies and arenas of all requests; 128 MiB */
    unsigned max_waiting;      /* requests whose answer is put off; half of max_connections */
    unsigned header_timeout_ms;  /* 10 s */
    unsigned request_timeout_ms; /* 30 s, the longest that kube-apiserver waits for a webhook */
    unsigned idle_timeout_ms;    /* 120 s, longer than kube-apiserver's 90 s */
    /* Called on a worker thread after each request whose headers were read. May be NULL. */
    void (*on_access)(void *ctx, const struct http_access *access);
    void *ctx; /* for on_access */
};

/* Answers from the moment that it returns 0. Code of *err: 400 for a configuration that cannot be,
 * 500 when the system refuses (the address is in use, no threads), 507 without memory. */
int http_server_start(const struct http_server_config *config, struct http_server **ret,
                      struct err *err);

/* The TCP port that is listened on. */
uint16_t http_server_port(const struct http_server *server);

/* Cuts connections that are past their deadline, ends waits that are past theirs, and gives back memory that
 * requests have not needed since the last call. Call about once a second. */
void http_server_tick(struct http_server *server);

void http_server_begin_drain(struct http_server *server);
/* Takes in the connections that wait in the kernel's queue, then no more; the server's own
 * listening socket is closed, one that was handed in goes on listening for its other holders. May
 * be called before or after begin_drain(), twice too. */
void http_server_stop_accepting(struct http_server *server);
/* Requests whose line has been read and whose answer is not yet sent. */
size_t http_server_in_flight(const struct http_server *server);

/* Begins the drain and stops accepting when that has not been done, closes idle connections, waits
 * at most timeout_ms (of real time) for requests under way, ends the threads and frees the server.
 * Returns the number of requests that were cut. Accepts NULL. */
size_t http_server_stop(struct http_server *server, unsigned timeout_ms);

/* Counters since the start, and gauges, for metrics. */
struct http_server_stats {
    uint64_t accepted;       /* connections */
    uint64_t evicted;        /* connections cut to make room */
    uint64_t expired_header; /* connections cut at a deadline, by phase */
    uint64_t expired_request;
    uint64_t expired_idle;
    uint64_t out_of_memory; /* requests refused by 503, connections dropped for want of memory */
    uint64_t accept_errors; /* most often: no file descriptors left */
    size_t connections;     /* gauge */
    size_t in_flight;       /* gauge: requests, those that wait included */
    size_t waiting;         /* gauge */
    size_t memory;          /* gauge: bytes of the budget in use, kept blocks included */
};

void http_server_stats(const struct http_server *server, struct http_server_stats *ret);

#endif
