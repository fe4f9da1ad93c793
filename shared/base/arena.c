/* Bump allocation in blocks, with a cap. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>

enum { PRINTED_ONCE_MAX = 256 };

struct arena_block {
    struct arena_block *next;
    size_t size; /* of data, bytes */
    size_t used;
    alignas(max_align_t) unsigned char data[];
};

static void mem_to_arena(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    (void)ptr;
    (void)size;
}

static void *mem_from_arena(void *ctx, size_t size);

void arena_init(struct arena *arena, const struct mem *source, size_t block_size, size_t max)
{
    *arena = (struct arena){.source = source, .block_size = block_size, .max = max};
    arena->mem = (struct mem){.alloc = mem_from_arena, .free = mem_to_arena, .ctx = arena};
}

static void block_free(struct arena *arena, struct arena_block *block)
{
    size_t total = sizeof(*block) + block->size;
    arena->used -= total;
    mem_free(arena->source, block, total);
}

void arena_reset(struct arena *arena)
{
    struct arena_block *kept = NULL, *next;
    for (struct arena_block *block = arena->blocks; block; block = next) {
        struct arena_block *unwanted = block;
        next = block->next;
        if (block->size == arena->block_size) {
            unwanted = kept;
            kept = block;
        }
        if (unwanted)
            block_free(arena, unwanted);
    }
    if (kept) {
        kept->next = NULL;
        kept->used = 0;
    }
    arena->blocks = kept;
}

void arena_done(struct arena *arena)
{
    arena_reset(arena);
    if (arena->blocks)
        block_free(arena, arena->blocks);
    arena->blocks = NULL;
}

/* A new block, in front of the others unless it is larger than an ordinary one: what is left of the
 * block in front goes on being used then. */
static struct arena_block *block_add(struct arena *arena, size_t size)
{
    bool is_large = size > arena->block_size;
    if (!is_large)
        size = arena->block_size;
    if (size > SIZE_MAX - sizeof(struct arena_block))
        return NULL;
    size_t total = sizeof(struct arena_block) + size;
    if (arena->used > arena->max || total > arena->max - arena->used)
        return NULL;
    struct arena_block *block = mem_alloc(arena->source, total);
    if (!block)
        return NULL;
    struct arena_block **place = is_large && arena->blocks ? &arena->blocks->next : &arena->blocks;
    *block = (struct arena_block){.next = *place, .size = size};
    *place = block;
    arena->used += total;
    return block;
}

/* Not zeroed. */
static void *mem_from_arena(void *ctx, size_t size)
{
    struct arena *arena = ctx;
    const size_t align = alignof(max_align_t);
    if (size > SIZE_MAX - align)
        return NULL;
    size = (size + align - 1) & ~(align - 1);
    struct arena_block *block = arena->blocks;
    if (!block || size > block->size - block->used) {
        block = block_add(arena, size);
        if (!block)
            return NULL;
    }
    void *ptr = block->data + block->used;
    block->used += size;
    return ptr;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    void *ptr = mem_from_arena(arena, size);
    return ptr ? memset(ptr, 0, size) : NULL;
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return arena_alloc(arena, total);
}

struct str arena_copy(struct arena *arena, struct str s)
{
    char *copy = s.len < SIZE_MAX ? arena_alloc(arena, s.len + 1) : NULL;
    if (!copy)
        return (struct str){NULL, 0};
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    return (struct str){copy, s.len};
}

struct str arena_vprintf(struct arena *arena, const char *fmt, va_list args)
{
    char most[PRINTED_ONCE_MAX]; /* texts are short: they need not be printed twice */
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(most, sizeof(most), fmt, args);
    char *text = len < 0 ? NULL : arena_alloc(arena, (size_t)len + 1);
    if (text && (size_t)len < sizeof(most))
        memcpy(text, most, (size_t)len + 1);
    else if (text)
        vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return (struct str){text, text ? (size_t)len : 0};
}

struct str arena_printf(struct arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct str s = arena_vprintf(arena, fmt, args);
    va_end(args);
    return s;
}

const struct mem *arena_mem(struct arena *arena)
{
    return &arena->mem;
}
