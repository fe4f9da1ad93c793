/*
 * A worker: a thread that serves its share of the connections, which the accepting thread hands to
 * it through a pipe.
 *
 * The thread is ours and not the library's own because (libmicrohttpd 0.9.75) MHD_epoll() waits for
 * more events, without an end, before it handles those that it has whenever it got exactly 128: on
 * a worker with that many connections a request then stays unanswered until another client sends
 * something. When the loop is ours, the library is never asked to wait.
 */
#ifndef HTTP_WORKER_H
#define HTTP_WORKER_H

#include "http/mhd.h"

#include <pthread.h>

struct worker {
    struct mhd mhd;
    int handed[2]; /* a pipe of file descriptors (as numbers): the end to read, the end to write */
    bool is_running;
    pthread_t thread;
};

int worker_start(struct worker *worker, struct http_server *server, unsigned index,
                 struct err *err);
/* The descriptor is the worker's from now on, also when the result is false because it could not be
 * taken and is closed. */
bool worker_hand_over(struct worker *worker, int fd);
/* Makes it look at the deadlines of requests that wait. */
void worker_end_waits(struct worker *worker);
/* Cuts what is left and ends the thread. Accepts a worker that was not started. */
void worker_stop(struct worker *worker);

#endif
