/* A worker: a thread that serves its share of the connections. */
#include "http/worker.h"

#include "http/server_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static void take(struct worker *worker, int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    if (getpeername(fd, (struct sockaddr *)&address, &size) == 0) {
        mhd_take(&worker->mhd, fd, (struct sockaddr *)&address, size);
        return;
    }
    /* The client has gone already. */
    close(fd);
    conn_unassign(&worker->mhd.server->registry, worker->mhd.index);
}

/* False when no more will come: the worker is to end. */
static bool take_handed(struct worker *worker)
{
    enum { BATCH = 64 };
    int fds[BATCH];
    ssize_t n = read(worker->handed[0], fds, sizeof(fds));
    for (ssize_t i = 0; i < n / (ssize_t)sizeof(fds[0]); i++)
        take(worker, fds[i]);
    return n != 0;
}

/* The library takes several turns for each piece of a message: it is looked elsewhere after some of them. */
static int run_library(struct worker *worker)
{
    enum { TURNS = 8 };
    int wait_ms = 0;
    for (int i = 0; i < TURNS && wait_ms == 0; i++)
        wait_ms = mhd_run(&worker->mhd);
    return wait_ms;
}

static void *run(void *arg)
{
    struct worker *worker = arg;
    bool goes_on = true;
    while (goes_on) {
        struct pollfd fds[] = {{.fd = worker->handed[0], .events = POLLIN},
                               {.fd = worker->mhd.bell.fd, .events = POLLIN},
                               {.fd = mhd_fd(&worker->mhd), .events = POLLIN}};
        poll(fds, 3, run_library(worker));
        if (fds[0].revents)
            goes_on = take_handed(worker);
        if (fds[1].revents)
            mhd_end_waits(&worker->mhd);
    }
    return NULL;
}

int worker_start(struct worker *worker, struct http_server *server, unsigned index, struct err *err)
{
    *worker = (struct worker){.handed = {-1, -1}};
    if (mhd_open(&worker->mhd, server, index, err) < 0)
        return -1;
    if (pipe2(worker->handed, O_CLOEXEC | O_NONBLOCK) != 0) {
        err_set(err, 500, "pipe: %s", strerror(errno));
        goto failed;
    }
    int rc = pthread_create(&worker->thread, NULL, run, worker);
    if (rc != 0) {
        err_set(err, 500, "thread: %s", strerror(rc));
        goto failed;
    }
    char name[16];
    snprintf(name, sizeof(name), "http-%u", index);
    pthread_setname_np(worker->thread, name);
    worker->is_running = true;
    return 0;
failed:
    mhd_close(&worker->mhd);
    if (worker->handed[0] >= 0) {
        close(worker->handed[0]);
        close(worker->handed[1]);
    }
    return -1;
}

bool worker_hand_over(struct worker *worker, int fd)
{
    if (write(worker->handed[1], &fd, sizeof(fd)) == sizeof(fd))
        return true;
    close(fd);
    return false;
}

void worker_end_waits(struct worker *worker)
{
    wait_bell_ring(&worker->mhd.bell);
}

void worker_stop(struct worker *worker)
{
    if (!worker->is_running)
        return;
    close(worker->handed[1]);
    pthread_join(worker->thread, NULL);
    mhd_close(&worker->mhd);
    close(worker->handed[0]);
    worker->is_running = false;
}
