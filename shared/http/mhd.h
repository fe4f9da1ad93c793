/*
 * The workers: each is a thread of libmicrohttpd with an epoll loop of its own, which gets its
 * connections from the accepting thread. Only http/mhd.c includes the library's header.
 *
 * One daemon per worker and an own accepting thread instead of the library's pool, because (0.9.75)
 * MHD_quiesce_daemon() of a pool can abort the process when a worker takes the listening socket out
 * of its epoll set at the same time, and because a pool's workers race for connections: some get
 * most of them.
 */
#ifndef HTTP_MHD_H
#define HTTP_MHD_H

#include "base/err.h"

#include <sys/socket.h>

struct MHD_Daemon;
struct http_server;

struct mhd_worker {
    struct http_server *server;
    struct MHD_Daemon *daemon;
    unsigned index;
};

int mhd_worker_start(struct mhd_worker *worker, struct http_server *server, unsigned index,
                     struct err *err);
/* Hands over a connection; its descriptor is the worker's from now on, also when the result is
 * false because it could not be taken. */
bool mhd_worker_take(struct mhd_worker *worker, int fd, const struct sockaddr *address,
                     socklen_t size);
/* Cuts what is left and ends the thread. Accepts a worker that was not started. */
void mhd_worker_stop(struct mhd_worker *worker);

#endif
