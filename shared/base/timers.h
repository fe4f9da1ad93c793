/*
 * Timers of one event loop: a heap of deadlines with callbacks. Nothing sleeps here: the loop asks for
 * the next deadline, waits for input until then, and runs what is due.
 *
 *   timers_set(timers, &lease->renew, now + 2 * CLOCK_NS_PER_SEC);
 *   …
 *   transport->ops->wait(transport, timers_next_ns(timers));
 *   timers_run(timers, clock_now_ns(clock));
 *
 * A timer is a member of the struct that it belongs to; it must not move while it is set. Times are
 * monotonic nanoseconds (base/clock.h).
 */
#ifndef BASE_TIMERS_H
#define BASE_TIMERS_H

#include "base/err.h"
#include "base/mem.h"

struct timer {
    void (*fire)(void *ctx, int64_t now_ns);
    void *ctx;
    int64_t at_ns;
    size_t place;   /* in the heap, from 1; 0: not set */
    uint64_t order; /* timers of the same instant fire in the order in which they were set */
};

struct timers {
    const struct mem *mem;
    struct timer **heap;
    size_t count;      /* that are set */
    size_t cap;        /* of the heap */
    size_t registered; /* at most cap */
    uint64_t orders;
    int64_t running_ns; /* the time for which timers_run() is at work, or TIMERS_NOT_RUNNING */
};

#define TIMERS_NEVER       INT64_MAX
#define TIMERS_NOT_RUNNING INT64_MIN

void timers_init(struct timers *timers, const struct mem *mem);
void timers_done(struct timers *timers);

/* Makes room for one more timer, so that timers_set() of a registered one cannot fail. To be paired with
 * timers_unregister(). -1 without memory. */
int timers_register(struct timers *timers, struct timer *timer,
                    void (*fire)(void *ctx, int64_t now_ns), void *ctx, struct err *err);
/* Cancels it too. Accepts a zeroed timer. */
void timers_unregister(struct timers *timers, struct timer *timer);

/* Sets, or moves when it is set. */
void timers_set(struct timers *timers, struct timer *timer, int64_t at_ns);
void timers_cancel(struct timers *timers, struct timer *timer);
static inline bool timer_is_set(const struct timer *timer)
{
    return timer->place != 0;
}

/* The earliest deadline, or TIMERS_NEVER. */
int64_t timers_next_ns(const struct timers *timers);
/* Fires what is due at now_ns, in order; a timer that a callback sets for now or earlier fires in the
 * next run, so that this one ends. */
void timers_run(struct timers *timers, int64_t now_ns);

#endif
