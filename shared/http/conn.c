/* The registry of open connections. */
#include "http/conn.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <time.h>
#include <unistd.h>

/* A connection is slow only when it has been in its phase for longer than an ordinary client on a
 * slow network needs. */
static const int64_t slow_ns = 1 * CLOCK_NS_PER_SEC;

/* In calls of conn_close_idle(), 100 ms apart. */
enum { STAGE_UNUSED = 5, STAGE_HANDSHAKE = 10 };

int conn_registry_init(struct conn_registry *registry, const struct conn_timeouts *timeouts,
                       size_t max, unsigned workers, int room_fd, struct err *err)
{
    *registry = (struct conn_registry){
        .timeouts = *timeouts,
        .max = max,
        .workers = workers,
        .room_fd = room_fd,
        .lock = PTHREAD_MUTEX_INITIALIZER,
    };
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);
    if (rc == 0) {
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        rc = pthread_cond_init(&registry->gone, &attr);
        pthread_condattr_destroy(&attr);
    }
    if (rc != 0)
        return err_set(err, 500, "condition variable: %s", strerror(rc));
    return 0;
}

void conn_registry_done(struct conn_registry *registry)
{
    pthread_cond_destroy(&registry->gone);
    pthread_mutex_destroy(&registry->lock);
}

static void lock(struct conn_registry *registry)
{
    pthread_mutex_lock(&registry->lock);
}

static void unlock(struct conn_registry *registry)
{
    pthread_mutex_unlock(&registry->lock);
}

static bool is_in_flight(enum conn_phase phase)
{
    return phase >= CONN_HEADERS;
}

/* ---- phases ---- */

static void set_phase(struct conn_registry *registry, struct conn *conn, enum conn_phase phase,
                      int64_t now_ns)
{
    const struct conn_timeouts *timeouts = &registry->timeouts;
    registry->in_flight -= is_in_flight(conn->phase);
    registry->in_flight += is_in_flight(phase);
    conn->phase = phase;
    conn->since_ns = now_ns;
    switch (phase) {
    case CONN_HANDSHAKE:
    case CONN_LINE:
        conn->deadline_ns = now_ns + timeouts->header_ns;
        break;
    case CONN_IDLE:
        conn->deadline_ns = now_ns + timeouts->idle_ns;
        conn->knows_bytes = false;
        break;
    case CONN_HEADERS:
        conn->request_deadline_ns = now_ns + timeouts->request_ns;
        conn->deadline_ns = now_ns + timeouts->header_ns;
        if (conn->deadline_ns > conn->request_deadline_ns)
            conn->deadline_ns = conn->request_deadline_ns;
        conn->has_had_request = true;
        break;
    case CONN_BODY:
    case CONN_ANSWER:
        conn->deadline_ns = conn->request_deadline_ns;
        break;
    }
}

bool conn_enter(struct conn_registry *registry, struct conn *conn, enum conn_phase phase,
                int64_t now_ns)
{
    lock(registry);
    set_phase(registry, conn, phase, now_ns);
    bool is_open = conn->end == CONN_OPEN;
    unlock(registry);
    return is_open;
}

/* ---- coming and going ---- */

static size_t total(const struct conn_registry *registry)
{
    return registry->count + registry->pending;
}

static void signal_room(struct conn_registry *registry)
{
    if (!registry->wants_room)
        return;
    registry->wants_room = false;
    const uint64_t one = 1;
    /* It cannot fail but when it is at its maximum, and then it is readable already. */
    ssize_t written = write(registry->room_fd, &one, sizeof(one));
    (void)written;
}

void conn_add(struct conn_registry *registry, struct conn *conn, enum conn_phase phase,
              int64_t now_ns)
{
    lock(registry);
    registry->pending--;
    conn->next = registry->conns;
    if (conn->next)
        conn->next->prev = conn;
    registry->conns = conn;
    registry->count++;
    set_phase(registry, conn, phase, now_ns);
    /* Without a handshake the first byte already belongs to a request. */
    conn->knows_bytes = phase == CONN_IDLE;
    unlock(registry);
}

static void forget_load(struct conn_registry *registry, unsigned worker)
{
    registry->load[worker]--;
    signal_room(registry);
    if (total(registry) == 0)
        pthread_cond_broadcast(&registry->gone);
}

void conn_remove(struct conn_registry *registry, struct conn *conn)
{
    lock(registry);
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        registry->conns = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    registry->in_flight -= is_in_flight(conn->phase);
    registry->count--;
    forget_load(registry, conn->worker);
    unlock(registry);
}

/* ---- ending ---- */

static void shut(struct conn *conn)
{
    shutdown(conn->fd, SHUT_RDWR);
    conn->end = CONN_CUT;
}

static void shut_reading(struct conn *conn)
{
    shutdown(conn->fd, SHUT_RD);
    conn->end = CONN_READ_SHUT;
}

/*
 * In the handshake reading alone is shut at first. libmicrohttpd (0.9.75, call_handlers) forgets a
 * connection whose end in both directions it learns together with a part of a TLS record: GnuTLS
 * then asks to be called again, and nothing calls it. What is left after that is shut by the next
 * look at deadlines.
 */
static void cut(struct conn *conn)
{
    if (conn->end == CONN_OPEN && (conn->phase == CONN_HANDSHAKE || conn->phase == CONN_IDLE))
        shut_reading(conn);
    else
        shut(conn);
}

/* How well `conn` is suited to be cut for room: 0 not at all. */
static int eviction_rank(const struct conn *conn, int64_t now_ns)
{
    bool is_slow = now_ns - conn->since_ns > slow_ns;
    if (conn->end != CONN_OPEN)
        return 0;
    switch (conn->phase) {
    case CONN_HANDSHAKE:
    case CONN_LINE:
    case CONN_HEADERS:
    case CONN_BODY:
        return is_slow ? 2 : 0;
    case CONN_IDLE:
        return 1;
    case CONN_ANSWER:
        break;
    }
    return 0;
}

static bool evict_locked(struct conn_registry *registry, int64_t now_ns)
{
    struct conn *victim = NULL;
    int victim_rank = 0;
    for (struct conn *conn = registry->conns; conn; conn = conn->next) {
        int rank = eviction_rank(conn, now_ns);
        if (rank > victim_rank ||
            (rank > 0 && rank == victim_rank && conn->since_ns < victim->since_ns)) {
            victim = conn;
            victim_rank = rank;
        }
    }
    if (!victim)
        return false;
    registry->stats.evicted++;
    cut(victim);
    return true;
}

bool conn_evict(struct conn_registry *registry, int64_t now_ns)
{
    lock(registry);
    bool found = evict_locked(registry, now_ns);
    unlock(registry);
    return found;
}

/* ---- accepting ---- */

bool conn_has_room(struct conn_registry *registry)
{
    lock(registry);
    bool has_room = total(registry) < registry->max;
    registry->wants_room = !has_room;
    unlock(registry);
    return has_room;
}

unsigned conn_assign(struct conn_registry *registry, int64_t now_ns)
{
    lock(registry);
    unsigned worker = 0;
    for (unsigned i = 1; i < registry->workers; i++) {
        if (registry->load[i] < registry->load[worker])
            worker = i;
    }
    registry->load[worker]++;
    registry->pending++;
    registry->stats.accepted++;
    if (total(registry) > registry->max - registry->max / 16)
        evict_locked(registry, now_ns);
    unlock(registry);
    return worker;
}

void conn_unassign(struct conn_registry *registry, unsigned worker)
{
    lock(registry);
    registry->pending--;
    forget_load(registry, worker);
    unlock(registry);
}

/* ---- deadlines ---- */

static uint64_t received_bytes(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return 0;
    return info.tcpi_bytes_received;
}

/* libmicrohttpd says nothing before a request line is complete; the kernel tells whether one has
 * begun. */
static void watch_idle(struct conn_registry *registry, struct conn *conn, int64_t now_ns)
{
    uint64_t bytes = received_bytes(conn->fd);
    if (!conn->knows_bytes) {
        conn->knows_bytes = true;
        conn->bytes = bytes;
    } else if (bytes > conn->bytes) {
        set_phase(registry, conn, CONN_LINE, now_ns);
    }
}

static void expire(struct conn_registry *registry, struct conn *conn)
{
    struct http_server_stats *stats = &registry->stats;
    /* One that is read-shut is counted already. */
    if (conn->end == CONN_OPEN) {
        switch (conn->phase) {
        case CONN_HANDSHAKE:
        case CONN_LINE:
        case CONN_HEADERS:
            stats->expired_header++;
            break;
        case CONN_BODY:
        case CONN_ANSWER:
            stats->expired_request++;
            break;
        case CONN_IDLE:
            stats->expired_idle++;
            break;
        }
    }
    cut(conn);
}

/* Shut for reading, and still there a look later: the worker waits for the rest of what it has. */
static bool is_left_over(const struct conn *conn)
{
    return conn->end == CONN_READ_SHUT &&
           (conn->phase == CONN_IDLE || conn->phase == CONN_HANDSHAKE);
}

void conn_expire(struct conn_registry *registry, int64_t now_ns)
{
    lock(registry);
    for (struct conn *conn = registry->conns; conn; conn = conn->next) {
        if (conn->end == CONN_CUT)
            continue;
        if (now_ns > conn->deadline_ns || is_left_over(conn))
            expire(registry, conn);
        else if (conn->phase == CONN_IDLE)
            watch_idle(registry, conn, now_ns);
    }
    unlock(registry);
}

/* ---- stopping ---- */

void conn_close_idle(struct conn_registry *registry, unsigned stage)
{
    lock(registry);
    for (struct conn *conn = registry->conns; conn; conn = conn->next) {
        bool is_unused = !conn->has_had_request;
        if (conn->end == CONN_CUT)
            continue;
        if ((conn->phase == CONN_IDLE && (!is_unused || stage >= STAGE_UNUSED)) ||
            (conn->phase == CONN_HANDSHAKE && stage >= STAGE_HANDSHAKE))
            cut(conn);
    }
    unlock(registry);
}

bool conn_wait_gone(struct conn_registry *registry, unsigned timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * CLOCK_NS_PER_MS;
    if (until.tv_nsec >= CLOCK_NS_PER_SEC) {
        until.tv_sec++;
        until.tv_nsec -= CLOCK_NS_PER_SEC;
    }
    lock(registry);
    int rc = 0;
    while (total(registry) > 0 && rc == 0)
        rc = pthread_cond_timedwait(&registry->gone, &registry->lock, &until);
    bool are_gone = total(registry) == 0;
    unlock(registry);
    return are_gone;
}

/* ---- figures ---- */

void conn_count_out_of_memory(struct conn_registry *registry)
{
    lock(registry);
    registry->stats.out_of_memory++;
    unlock(registry);
}

void conn_count_accept_error(struct conn_registry *registry)
{
    lock(registry);
    registry->stats.accept_errors++;
    unlock(registry);
}

void conn_stats(struct conn_registry *registry, struct http_server_stats *ret)
{
    lock(registry);
    *ret = registry->stats;
    ret->connections = registry->count;
    ret->in_flight = registry->in_flight;
    unlock(registry);
}
