/*
 * Requests whose answer was put off: the part of http_request_wait() that knows nothing of the
 * library.
 *
 * A wait has two owners: the connection, on its worker's thread, and who is to end it, on any
 * thread. Each gives up its reference once. The connection's leaves first when the deadline passes
 * or the server stops; ending the wait then does nothing.
 */
#ifndef HTTP_WAIT_H
#define HTTP_WAIT_H

#include "base/err.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>

struct MHD_Connection;
struct conn;

/* Wakes a worker that waits in poll(). */
struct wait_bell {
    int fd; /* an eventfd */
};

struct http_wait {
    const struct mem *mem;
    atomic_uint owners;
    pthread_mutex_t lock;         /* of `bell` */
    const struct wait_bell *bell; /* of the worker; NULL once the connection has left */
    atomic_bool is_over;
    /* The worker's own. */
    struct http_wait *next;
    struct MHD_Connection *connection;
    struct conn *conn;
    int64_t deadline_ns;
};

int wait_bell_init(struct wait_bell *bell, struct err *err);
void wait_bell_done(struct wait_bell *bell);
void wait_bell_ring(const struct wait_bell *bell);
/* Silences it until it is rung again. */
void wait_bell_clear(const struct wait_bell *bell);

/* Has both owners. NULL without memory. */
struct http_wait *wait_new(const struct mem *mem, const struct wait_bell *bell);
/* The connection no longer waits; gives up its reference. */
void wait_leave(struct http_wait *wait);

#endif
