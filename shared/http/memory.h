/*
 * Memory of requests: an arena and a body each, taken from one budget.
 *
 * The budget bounds what all requests hold together. What a finished request leaves is kept for the
 * next one, so that a steady stream of requests allocates nothing: an ordinary request's memory for as
 * long as the pool lives, and what large ones need beyond that for as long as there are such
 * (spare.h). May be used by several threads; one request's memory by one at a time.
 */
#ifndef HTTP_MEMORY_H
#define HTTP_MEMORY_H

#include "base/arena.h"
#include "base/buf.h"
#include "http/spare.h"

#include <pthread.h>
#include <stdatomic.h>

struct request_memory {
    struct request_memory *next;
    struct arena arena;
    struct buf body;
};

struct memory_pool {
    const struct mem *source;
    struct mem counted; /* the source within the budget */
    atomic_size_t used; /* bytes */
    size_t budget;      /* bytes */
    size_t arena_max;   /* bytes for one request */
    size_t keep_max;    /* entries of the list */
    struct spare_list spares;
    pthread_mutex_t lock; /* of what follows */
    struct request_memory *kept;
    size_t kept_count;
};

/* Takes no memory yet. Must not be moved. */
void memory_pool_init(struct memory_pool *pool, const struct mem *source, size_t budget,
                      size_t arena_max, size_t keep_max);
/* After everything was given back. */
void memory_pool_done(struct memory_pool *pool);

/* An empty arena and an empty body of at most body_max bytes. NULL over the budget or without
 * memory. */
struct request_memory *memory_pool_take(struct memory_pool *pool, size_t body_max);
/* Accepts NULL. */
void memory_pool_give(struct memory_pool *pool, struct request_memory *memory);

/* Moves an answer to where the request's body was, so that the arena can be emptied before the answer is
 * sent, which a slow client delays. False when there is no room: then it stays where it is. */
bool request_memory_move_answer(struct request_memory *memory, struct str *answer);

/* To be called once in a while: gives back what has been kept without need since the last time. */
void memory_pool_trim(struct memory_pool *pool);

/* Bytes in use, kept ones included. */
size_t memory_pool_used(const struct memory_pool *pool);

#endif
