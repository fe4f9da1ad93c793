/* The thread that accepts connections. */
#include "http/accept.h"

#include "http/server_parts.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* How long to wait before trying again when nothing can be accepted: no room and nobody to cut, or
 * no descriptors left. */
enum { RETRY_MS = 100 };

enum outcome { TOOK_ONE, QUEUE_EMPTY, NOT_NOW };

int acceptor_init(struct acceptor *acceptor, struct http_server *server, struct err *err)
{
    *acceptor = (struct acceptor){.server = server};
    acceptor->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (acceptor->wake_fd < 0)
        return err_set(err, 500, "eventfd: %s", strerror(errno));
    return 0;
}

static int64_t now(const struct http_server *server)
{
    return clock_now_ns(server->config.clock);
}

static enum outcome accept_failed(struct http_server *server, int error)
{
    switch (error) {
    case EAGAIN:
        return QUEUE_EMPTY;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        conn_evict(&server->registry, now(server));
        /* fall through */
    case EINVAL: /* a socket that was handed in was shut down or closed elsewhere */
    case EBADF:
    case ENOTSOCK:
    case EOPNOTSUPP:
        conn_count_accept_error(&server->registry);
        return NOT_NOW;
    default: /* accept(2) passes on errors of the network, which concern one connection only */
        return TOOK_ONE;
    }
}

static enum outcome accept_one(struct http_server *server)
{
    int fd = accept4(server->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return accept_failed(server, errno);
    unsigned index = conn_assign(&server->registry, now(server));
    if (!worker_hand_over(&server->workers[index], fd)) {
        conn_unassign(&server->registry, index);
        conn_count_out_of_memory(&server->registry);
    }
    return TOOK_ONE;
}

static bool is_somebody_waiting(const struct http_server *server)
{
    struct pollfd fd = {.fd = server->listener.fd, .events = POLLIN};
    return poll(&fd, 1, 0) > 0;
}

static enum outcome accept_some(struct http_server *server)
{
    enum { BATCH = 64 };
    enum outcome outcome = TOOK_ONE;
    for (int i = 0; i < BATCH && outcome == TOOK_ONE; i++) {
        if (!conn_has_room(&server->registry)) {
            if (!is_somebody_waiting(server))
                return QUEUE_EMPTY;
            conn_evict(&server->registry, now(server));
            return NOT_NOW;
        }
        outcome = accept_one(server);
    }
    return outcome;
}

static void *run(void *arg)
{
    struct acceptor *acceptor = arg;
    struct http_server *server = acceptor->server;
    bool pauses = false;
    while (!atomic_load(&acceptor->must_stop)) {
        struct pollfd fds[] = {{.fd = acceptor->wake_fd, .events = POLLIN},
                               {.fd = server->listener.fd, .events = POLLIN}};
        poll(fds, pauses ? 1 : 2, pauses ? RETRY_MS : -1);
        uint64_t count;
        ssize_t drained = read(acceptor->wake_fd, &count, sizeof(count));
        (void)drained; /* it only makes poll() wait again */
        pauses = accept_some(server) == NOT_NOW;
    }
    /* Who has connected is served, here or, where others hold the socket too, by them. */
    while (server->listener.is_own && accept_some(server) == TOOK_ONE)
        continue;
    return NULL;
}

int acceptor_start(struct acceptor *acceptor, struct err *err)
{
    int rc = pthread_create(&acceptor->thread, NULL, run, acceptor);
    if (rc != 0)
        return err_set(err, 500, "thread: %s", strerror(rc));
    acceptor->is_running = true;
    pthread_setname_np(acceptor->thread, "http-accept");
    return 0;
}

static void wake(const struct acceptor *acceptor)
{
    const uint64_t one = 1;
    ssize_t written = write(acceptor->wake_fd, &one, sizeof(one));
    (void)written; /* fails only when it is readable already */
}

void acceptor_stop(struct acceptor *acceptor)
{
    if (!acceptor->is_running)
        return;
    atomic_store(&acceptor->must_stop, true);
    wake(acceptor);
    pthread_join(acceptor->thread, NULL);
    acceptor->is_running = false;
}

void acceptor_done(struct acceptor *acceptor)
{
    close(acceptor->wake_fd);
}
