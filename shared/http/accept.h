/*
 * The thread that accepts connections and hands each to the worker that has the fewest. While
 * max_connections are open it accepts none: they wait in the kernel's queue, and one that is slow
 * or idle is cut for them.
 */
#ifndef HTTP_ACCEPT_H
#define HTTP_ACCEPT_H

#include "base/err.h"

#include <pthread.h>
#include <stdatomic.h>

struct http_server;

struct acceptor {
    struct http_server *server;
    int wake_fd; /* an eventfd: there is room again, or `must_stop` */
    atomic_bool must_stop;
    bool is_running;
    pthread_t thread;
};

/* Makes wake_fd only. */
int acceptor_init(struct acceptor *acceptor, struct http_server *server, struct err *err);
int acceptor_start(struct acceptor *acceptor, struct err *err);
/* Accepts what is in the kernel's queue and ends the thread. May be called twice. */
void acceptor_stop(struct acceptor *acceptor);
/* After acceptor_stop(). */
void acceptor_done(struct acceptor *acceptor);

#endif
