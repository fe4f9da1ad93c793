/*
 * The registry of open connections: what phase each is in and until when, who is cut at a deadline,
 * who goes when room is needed, and when all are gone.
 *
 *   HANDSHAKE ──▶ IDLE ──▶ LINE ──▶ HEADERS ──▶ BODY ──▶ ANSWER ──▶ IDLE ──▶ …
 *   (TLS only)     │ some bytes of a request came │ its line is complete
 *
 * A connection is cut by shutdown(2) alone: libmicrohttpd sees the end of the stream in its own
 * thread and closes the descriptor there. A connection leaves the registry before its descriptor is
 * closed, and the registry shuts down only under its lock, so a descriptor that was reused is never
 * hit.
 *
 * An idle connection is shut for reading only. What the kernel has received by then is still
 * delivered, and a request in it is answered: only after it does the worker see the end.
 *
 * May be used by several threads at once.
 */
#ifndef HTTP_CONN_H
#define HTTP_CONN_H

#include "http/listen.h"
#include "http/request.h"
#include "http/server.h"

#include <pthread.h>

enum conn_phase {
    CONN_HANDSHAKE,
    CONN_IDLE,
    CONN_LINE,
    CONN_HEADERS,
    CONN_BODY,
    CONN_ANSWER,
};

enum conn_end {
    CONN_OPEN,
    CONN_READ_SHUT,
    CONN_CUT,
};

struct conn {
    /* Under the registry's lock. */
    struct conn *prev;
    struct conn *next;
    int fd;
    unsigned worker;
    enum conn_phase phase;
    enum conn_end end;
    bool has_had_request;
    bool knows_bytes;
    uint64_t bytes; /* received by the kernel when the connection was last looked at idle */
    int64_t since_ns;
    int64_t deadline_ns;
    int64_t request_deadline_ns;
    /* The worker thread's own. */
    void *owner; /* of the library's callbacks */
    bool is_shaking_hands;
    const struct cert_pair *cert;
    struct str peer;
    char peer_text[ADDRESS_TEXT_SIZE];
    struct conn_request request;
};

struct conn_timeouts {
    int64_t header_ns;
    int64_t request_ns;
    int64_t idle_ns;
};

enum { CONN_WORKERS_MAX = 64 };

struct conn_registry {
    struct conn_timeouts timeouts;
    size_t max;
    unsigned workers;
    int room_fd; /* an eventfd that is written when a connection has gone while `wants_room` */
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t gone;
    struct conn *conns;
    size_t count;
    size_t in_flight;
    size_t load[CONN_WORKERS_MAX]; /* connections of a worker, those handed over included */
    size_t pending;                /* handed over, not yet in `conns` */
    bool wants_room;
    struct http_server_stats stats; /* the counters */
};

int conn_registry_init(struct conn_registry *registry, const struct conn_timeouts *timeouts,
                       size_t max, unsigned workers, int room_fd, struct err *err);
/* After all connections have gone. */
void conn_registry_done(struct conn_registry *registry);

/* ---- for the accepting thread ---- */

/* Whether one more may be accepted; when not, room_fd is written as soon as one may. */
bool conn_has_room(struct conn_registry *registry);
/* Counts a connection that is about to be handed to the worker that has the fewest, which is
 * returned. Makes room when little is left. */
unsigned conn_assign(struct conn_registry *registry, int64_t now_ns);
/* The library did not take it. */
void conn_unassign(struct conn_registry *registry, unsigned worker);
/* Cuts the slowest, or else the longest idle, connection. False when there is none that may be
 * cut. */
bool conn_evict(struct conn_registry *registry, int64_t now_ns);

/* ---- for the workers ---- */

/* `conn` has fd and worker set. */
void conn_add(struct conn_registry *registry, struct conn *conn, enum conn_phase phase,
              int64_t now_ns);
void conn_remove(struct conn_registry *registry, struct conn *conn);
/* The next phase with its deadline. False when the connection is being ended: the answer must then
 * be the last. */
bool conn_enter(struct conn_registry *registry, struct conn *conn, enum conn_phase phase,
                int64_t now_ns);

/* ---- for the program's thread ---- */

void conn_expire(struct conn_registry *registry, int64_t now_ns);
/* Ends connections without a request. `stage` counts the calls from 0, 100 ms apart: those that
 * never had a request are spared for some calls, because their first may be on its way. */
void conn_close_idle(struct conn_registry *registry, unsigned stage);
/* Waits until no connection is left; false when timeout_ms (real time) passed before. */
bool conn_wait_gone(struct conn_registry *registry, unsigned timeout_ms);

void conn_count_out_of_memory(struct conn_registry *registry);
void conn_count_accept_error(struct conn_registry *registry);
void conn_stats(struct conn_registry *registry, struct http_server_stats *ret);

#endif
