/*
 * Memory of requests: an arena and a body each, taken from one budget.
 *
 * The budget bounds what all requests hold together. What a finished request leaves is kept for the
 * next one, as far as it is of ordinary size, so that a steady stream of ordinary requests
 * allocates nothing. May be used by several threads; one request's memory by one at a time.
 */
#ifndef HTTP_MEMORY_H
#define HTTP_MEMORY_H

#include "base/arena.h"
#include "base/buf.h"

#include <pthread.h>
#include <stdatomic.h>

struct request_memory {
    struct request_memory *next;
    struct arena arena;
    struct buf body;
};

struct memory_pool {
    const struct mem *source;
    struct mem counted;   /* the source within the budget */
    atomic_size_t used;   /* bytes */
    size_t budget;        /* bytes */
    size_t arena_max;     /* bytes for one request */
    size_t keep_max;      /* entries of the list */
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

/* Bytes in use, kept ones included. */
size_t memory_pool_used(const struct memory_pool *pool);

#endif
