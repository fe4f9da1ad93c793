/*
 * A work queue of keys (client-go util/workqueue): a key waits at most once; one that is worked on and
 * comes again is queued anew when its work is done; failures back off per key from 5 ms to 1,000 s,
 * doubling; keys may be added for later, and the earliest time counts; a key may be made to rest, so that
 * one that changes all the time does not take the turns of all others.
 *
 *   queue_add ──▶ waiting ── queue_take ──▶ worked on ── queue_done ──▶ (gone)
 *                    ▲                          │
 *                    └──── queue_done, when the key was added meanwhile
 *
 * A key takes memory while it waits, is worked on, is to come later, or has failures that were not
 * forgotten: forget the keys of objects that are gone.
 *
 * Metrics, with the label name: workqueue_depth, _adds_total, _retries_total (queue_add_failed()),
 * _queue_duration_seconds, _work_duration_seconds, and, brought up to date every 0.5 s while there is
 * work, _unfinished_work_seconds and _longest_running_processor_seconds.
 */
#ifndef CONTROL_QUEUE_H
#define CONTROL_QUEUE_H

#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/timers.h"

struct queue_key {
    struct str namespace; /* absent for what is in none */
    struct str name;
};

struct queue_config {
    const char *name; /* label of the workqueue_* metrics */
    struct timers *timers;
    const struct clock *clock;
    const struct random *random; /* seeds the hash table */
    const struct mem *mem;
    struct metrics *metrics; /* may be NULL */
};

struct queue;

struct queue *queue_new(const struct queue_config *config, struct err *err);
/* Accepts NULL. */
void queue_free(struct queue *queue);

/* -1 without memory: the caller relies on the resync. Keys are copied. */
int queue_add(struct queue *queue, struct queue_key key);
int queue_add_at(struct queue *queue, struct queue_key key, int64_t at_ns);
/* Not to be taken before that time, whoever adds it; then it comes once more. For a key that is worked on. */
void queue_rest(struct queue *queue, struct queue_key key, int64_t until_ns);
/* After its backoff; queue_forget() resets that. */
int queue_add_failed(struct queue *queue, struct queue_key key);
void queue_forget(struct queue *queue, struct queue_key key);

/* The next key to work on, false when there is none. Views are valid until queue_done(). */
bool queue_take(struct queue *queue, struct queue_key *ret);
void queue_done(struct queue *queue, struct queue_key key);
/* Keys that wait to be taken. */
size_t queue_depth(const struct queue *queue);

#endif
