/*
 * The connections of one worker, as libmicrohttpd handles them: only http/mhd.c includes its
 * header.
 *
 * One daemon per worker and an own accepting thread instead of the library's pool, because (0.9.75)
 * MHD_quiesce_daemon() of a pool can abort the process when a worker takes the listening socket out
 * of its epoll set at the same time, and because a pool's workers race for connections: some get
 * most of them. Why the thread is not the library's either: see http/worker.h.
 *
 * All but mhd_open() and mhd_close() are for the worker's thread. So is every call of the library
 * that suspends or resumes a connection: other threads only ring the bell, since
 * MHD_resume_connection() from one of them could meet a connection that is just being freed.
 */
#ifndef HTTP_MHD_H
#define HTTP_MHD_H

#include "http/wait.h"

#include <sys/socket.h>

struct MHD_Daemon;
struct http_server;

struct mhd {
    struct http_server *server;
    struct MHD_Daemon *daemon;
    unsigned index;      /* of the worker */
    bool is_registered;  /* the connection that is being taken */
    unsigned handshakes; /* connections in their handshake */
    unsigned idle_runs;  /* of mhd_run() in a row, without a callback */
    struct http_wait *waits;
    struct wait_bell bell; /* rung when a wait is over or may be */
};

int mhd_open(struct mhd *mhd, struct http_server *server, unsigned index, struct err *err);
/* Cuts the connections that are left, calling on_access for their requests. */
void mhd_close(struct mhd *mhd);

/* Readable when there is something to do. */
int mhd_fd(const struct mhd *mhd);
/* Does what is to be done, never waits. The milliseconds after which it must be called again even
 * when mhd_fd() is not readable, or -1. */
int mhd_run(struct mhd *mhd);
/* Lets requests go on that have waited for long enough. mhd_run() must follow. */
void mhd_end_waits(struct mhd *mhd);
/* Adds a connection that conn_assign() has counted. Its descriptor is the library's from now on; it
 * is closed when the connection cannot be taken. */
void mhd_take(struct mhd *mhd, int fd, const struct sockaddr *address, socklen_t size);

#endif
