/* Memory of requests: an arena and a body each, taken from one budget. */
#include "http/memory.h"

enum {
    /* With its header, which is smaller than what is left out here, a block is one SPARE_UNIT. */
    ARENA_BLOCK = SPARE_UNIT - 64,
    /* An AdmissionReview of a Pod has 5 to 20 KiB: its body and tree stay within what is kept. */
    BODY_KEEP_MAX = 64 * 1024,
};

/* Takes the bytes from the budget. */
static bool reserve(struct memory_pool *pool, size_t size)
{
    size_t used = atomic_load_explicit(&pool->used, memory_order_relaxed);
    do {
        if (size > pool->budget || used > pool->budget - size)
            return false;
    } while (!atomic_compare_exchange_weak(&pool->used, &used, used + size));
    return true;
}

static void *counted_alloc(void *ctx, size_t size)
{
    struct memory_pool *pool = ctx;
    size = spare_size(size);
    void *ptr = spare_take(&pool->spares, size);
    if (ptr)
        return ptr;
    if (!reserve(pool, size)) {
        atomic_fetch_sub(&pool->used, spare_drop(&pool->spares));
        if (!reserve(pool, size))
            return NULL;
    }
    ptr = mem_alloc(pool->source, size);
    if (!ptr)
        atomic_fetch_sub(&pool->used, size);
    return ptr;
}

static void counted_free(void *ctx, void *ptr, size_t size)
{
    struct memory_pool *pool = ctx;
    size = spare_size(size);
    if (!ptr || spare_give(&pool->spares, ptr, size))
        return;
    mem_free(pool->source, ptr, size);
    atomic_fetch_sub(&pool->used, size);
}

void memory_pool_init(struct memory_pool *pool, const struct mem *source, size_t budget,
                      size_t arena_max, size_t keep_max)
{
    *pool = (struct memory_pool){
        .source = source,
        .counted = {.alloc = counted_alloc, .free = counted_free, .ctx = pool},
        .budget = budget,
        .arena_max = arena_max,
        .keep_max = keep_max,
        .lock = PTHREAD_MUTEX_INITIALIZER,
    };
    spare_init(&pool->spares, source);
}

static void release(struct memory_pool *pool, struct request_memory *memory)
{
    arena_done(&memory->arena);
    buf_done(&memory->body);
    mem_free(&pool->counted, memory, sizeof(*memory));
}

void memory_pool_done(struct memory_pool *pool)
{
    while (pool->kept) {
        struct request_memory *memory = pool->kept;
        pool->kept = memory->next;
        release(pool, memory);
    }
    spare_done(&pool->spares);
    pthread_mutex_destroy(&pool->lock);
}

static struct request_memory *make(struct memory_pool *pool)
{
    struct request_memory *memory = mem_alloc(&pool->counted, sizeof(*memory));
    if (!memory)
        return NULL;
    arena_init(&memory->arena, &pool->counted, ARENA_BLOCK, pool->arena_max);
    buf_init(&memory->body, &pool->counted, 0);
    return memory;
}

struct request_memory *memory_pool_take(struct memory_pool *pool, size_t body_max)
{
    pthread_mutex_lock(&pool->lock);
    struct request_memory *memory = pool->kept;
    if (memory) {
        pool->kept = memory->next;
        pool->kept_count--;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!memory)
        memory = make(pool);
    if (!memory)
        return NULL;
    memory->next = NULL;
    memory->body.max = body_max;
    return memory;
}

void memory_pool_give(struct memory_pool *pool, struct request_memory *memory)
{
    if (!memory)
        return;
    arena_reset(&memory->arena);
    if (memory->body.cap > BODY_KEEP_MAX)
        buf_done(&memory->body);
    buf_clear(&memory->body);
    pthread_mutex_lock(&pool->lock);
    bool is_kept = pool->kept_count < pool->keep_max;
    if (is_kept) {
        memory->next = pool->kept;
        pool->kept = memory;
        pool->kept_count++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!is_kept)
        release(pool, memory);
}

bool request_memory_move_answer(struct request_memory *memory, struct str *answer)
{
    struct buf *body = &memory->body;
    if (answer->len == 0 || answer->len > body->cap)
        return false;
    memmove(body->ptr, answer->ptr, answer->len);
    body->len = answer->len;
    *answer = buf_str(body);
    return true;
}

void memory_pool_trim(struct memory_pool *pool)
{
    atomic_fetch_sub(&pool->used, spare_trim(&pool->spares));
}

size_t memory_pool_used(const struct memory_pool *pool)
{
    return atomic_load_explicit(&pool->used, memory_order_relaxed);
}
