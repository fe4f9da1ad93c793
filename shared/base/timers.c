/* Timers: a binary heap ordered by deadline, then by the order in which they were set. */
#include "base/timers.h"

#include <assert.h>
#include <string.h>

enum { TIMERS_FIRST = 16 };

void timers_init(struct timers *timers, const struct mem *mem)
{
    *timers = (struct timers){.mem = mem, .running_ns = TIMERS_NOT_RUNNING};
}

void timers_done(struct timers *timers)
{
    if (timers->heap)
        mem_free(timers->mem, timers->heap, timers->cap * sizeof(struct timer *));
    *timers = (struct timers){.mem = timers->mem, .running_ns = TIMERS_NOT_RUNNING};
}

static bool grow(struct timers *timers)
{
    size_t cap = timers->cap ? timers->cap * 2 : TIMERS_FIRST;
    struct timer **heap = mem_alloc(timers->mem, cap * sizeof(struct timer *));
    if (!heap)
        return false;
    if (timers->heap) {
        memcpy(heap, timers->heap, timers->count * sizeof(struct timer *));
        mem_free(timers->mem, timers->heap, timers->cap * sizeof(struct timer *));
    }
    timers->heap = heap;
    timers->cap = cap;
    return true;
}

int timers_register(struct timers *timers, struct timer *timer,
                    void (*fire)(void *ctx, int64_t now_ns), void *ctx, struct err *err)
{
    if (timers->registered == timers->cap && !grow(timers))
        return err_no_memory(err, "setting up a timer");
    timers->registered++;
    *timer = (struct timer){.fire = fire, .ctx = ctx};
    return 0;
}

void timers_unregister(struct timers *timers, struct timer *timer)
{
    if (!timer->fire)
        return;
    timers_cancel(timers, timer);
    timers->registered--;
    *timer = (struct timer){0};
}

static bool is_before(const struct timer *a, const struct timer *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void put(struct timers *timers, size_t place, struct timer *timer)
{
    timers->heap[place - 1] = timer;
    timer->place = place;
}

/* Puts the timer at `place` or, as the order wants, above or below it. */
static void settle(struct timers *timers, size_t place, struct timer *timer)
{
    while (place > 1 && is_before(timer, timers->heap[place / 2 - 1])) {
        put(timers, place, timers->heap[place / 2 - 1]);
        place /= 2;
    }
    for (;;) {
        size_t child = place * 2;
        if (child < timers->count && is_before(timers->heap[child], timers->heap[child - 1]))
            child++;
        if (child > timers->count || !is_before(timers->heap[child - 1], timer))
            break;
        put(timers, place, timers->heap[child - 1]);
        place = child;
    }
    put(timers, place, timer);
}

void timers_set(struct timers *timers, struct timer *timer, int64_t at_ns)
{
    assert(timer->fire);
    /* What a callback sets for the past sorts behind all that is due, so that the run ends. */
    timer->at_ns = at_ns < timers->running_ns ? timers->running_ns : at_ns;
    timer->order = timers->orders++;
    if (!timer_is_set(timer))
        timer->place = ++timers->count;
    settle(timers, timer->place, timer);
}

void timers_cancel(struct timers *timers, struct timer *timer)
{
    if (!timer_is_set(timer))
        return;
    size_t place = timer->place;
    struct timer *last = timers->heap[--timers->count];
    timer->place = 0;
    if (last != timer)
        settle(timers, place, last);
}

int64_t timers_next_ns(const struct timers *timers)
{
    return timers->count ? timers->heap[0]->at_ns : TIMERS_NEVER;
}

void timers_run(struct timers *timers, int64_t now_ns)
{
    uint64_t end = timers->orders;
    timers->running_ns = now_ns;
    while (timers->count && timers->heap[0]->at_ns <= now_ns && timers->heap[0]->order < end) {
        struct timer *timer = timers->heap[0];
        timers_cancel(timers, timer);
        timer->fire(timer->ctx, now_ns);
    }
    timers->running_ns = TIMERS_NOT_RUNNING;
}
