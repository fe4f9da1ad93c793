/*
 * Where memory comes from.
 *
 * Everything that a request or a reconcile needs is taken from a `struct mem` that is passed down, so
 * that a test can count the bytes, or fail the Nth allocation, without touching the code under test.
 * Allocations are aligned for any type. `free` gets the size that was asked for and accepts NULL.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

struct mem {
    void *(*alloc)(void *ctx, size_t size);
    void (*free)(void *ctx, void *ptr, size_t size);
    void *ctx;
};

/* The process's allocator (malloc). Valid for ever, may be used by any thread. */
const struct mem *mem_system(void);

static inline void *mem_alloc(const struct mem *mem, size_t size)
{
    return mem->alloc(mem->ctx, size);
}

static inline void mem_free(const struct mem *mem, void *ptr, size_t size)
{
    mem->free(mem->ctx, ptr, size);
}

#endif
