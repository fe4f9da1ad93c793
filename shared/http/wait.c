/* Requests whose answer was put off. */
#include "http/wait.h"

#include "http/server.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int wait_bell_init(struct wait_bell *bell, struct err *err)
{
    bell->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell->fd < 0)
        return err_set(err, 500, "eventfd: %s", strerror(errno));
    return 0;
}

void wait_bell_done(struct wait_bell *bell)
{
    close(bell->fd);
}

void wait_bell_ring(const struct wait_bell *bell)
{
    const uint64_t one = 1;
    ssize_t written = write(bell->fd, &one, sizeof(one));
    (void)written; /* fails only when it is readable already */
}

void wait_bell_clear(const struct wait_bell *bell)
{
    uint64_t count;
    ssize_t drained = read(bell->fd, &count, sizeof(count));
    (void)drained; /* it only makes poll() wait again */
}

struct http_wait *wait_new(const struct mem *mem, const struct wait_bell *bell)
{
    struct http_wait *wait = mem_alloc(mem, sizeof(*wait));
    if (!wait)
        return NULL;
    *wait = (struct http_wait){
        .mem = mem,
        .owners = 2,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .bell = bell,
    };
    return wait;
}

static void release(struct http_wait *wait)
{
    if (atomic_fetch_sub(&wait->owners, 1) > 1)
        return;
    pthread_mutex_destroy(&wait->lock);
    mem_free(wait->mem, wait, sizeof(*wait));
}

void wait_leave(struct http_wait *wait)
{
    pthread_mutex_lock(&wait->lock);
    wait->bell = NULL;
    pthread_mutex_unlock(&wait->lock);
    release(wait);
}

void http_wait_end(struct http_wait *wait)
{
    if (!wait)
        return;
    pthread_mutex_lock(&wait->lock);
    atomic_store(&wait->is_over, true);
    if (wait->bell)
        wait_bell_ring(wait->bell);
    pthread_mutex_unlock(&wait->lock);
    release(wait);
}
