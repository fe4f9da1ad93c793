/* The process's allocator behind the `struct mem` interface. */
#include "base/mem.h"

#include <stdlib.h>

static void *system_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void system_free(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    (void)size;
    free(ptr);
}

const struct mem *mem_system(void)
{
    static const struct mem system = {.alloc = system_alloc, .free = system_free, .ctx = NULL};
    return &system;
}
