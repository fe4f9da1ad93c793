/*
 * An arena owns everything made for one request, one reconcile or one document: memory is handed out by
 * bumping a pointer and given back all at once. It has a cap, so that no input can take more than its
 * share. Not for use by several threads at once.
 *
 *   struct arena arena;
 *   arena_init(&arena, mem_system(), 32 * 1024, 32 * 1024 * 1024);
 *   …
 *   arena_reset(&arena);     keeps a block for the next request
 *   arena_done(&arena);
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/mem.h"
#include "base/str.h"

#include <stdarg.h>

struct arena_block;

struct arena {
    const struct mem *source;
    struct arena_block *blocks; /* the first is filled; one is kept over a reset */
    size_t block_size;          /* of an ordinary block, bytes */
    size_t used;                /* bytes taken from the source */
    size_t max;                 /* bytes that may be taken from the source */
    struct mem mem;             /* this arena as a `struct mem`; see arena_mem() */
};

/* Takes no memory yet. `source` must outlive the arena, which must not be moved. */
void arena_init(struct arena *arena, const struct mem *source, size_t block_size, size_t max);

/* Gives everything back but the oldest block of ordinary size. Accepts a zeroed arena. */
void arena_reset(struct arena *arena);
/* Gives everything back. Accepts a zeroed arena. */
void arena_done(struct arena *arena);

/* Zeroed memory, aligned for any type, or NULL at the cap or when the source has none. */
void *arena_alloc(struct arena *arena, size_t size) __attribute__((malloc));
/* The same for an array; NULL also when the product overflows. */
void *arena_alloc_array(struct arena *arena, size_t count, size_t size);

#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_NEW_ARRAY(arena, type, count) \
    ((type *)arena_alloc_array((arena), (count), sizeof(type)))

/* A NUL-terminated copy; ptr is NULL when there is no memory. */
struct str arena_copy(struct arena *arena, struct str s);
struct str arena_printf(struct arena *arena, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
struct str arena_vprintf(struct arena *arena, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

/* The arena as a source of memory for a growing buffer: giving back does nothing. */
const struct mem *arena_mem(struct arena *arena);

#endif
