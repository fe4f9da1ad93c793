/* What unit tests share. */
#include "unit/support.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILL_NEW = 0xA5, FILL_FREED = 0x5A, GUARD = 0xC3, GUARD_SIZE = 16 };

/* The sanitizers' malloc ends the program for what no machine has, instead of giving NULL. */
#define SIZE_POSSIBLE ((size_t)1 << 32)

static const uint64_t block_is_live = UINT64_C(0x1EAF1EAF1EAF1EAF);

/* In front of every block; the guard is behind it. */
struct block {
    uint64_t state;
    size_t size;
    alignas(max_align_t) unsigned char data[];
};

static void *counting_alloc(void *ctx, size_t size)
{
    struct test_mem *mem = ctx;
    pthread_mutex_lock(&mem->lock);
    mem->calls++;
    bool fail = mem->fail_at > 0 &&
                (mem->fail_after ? mem->calls >= mem->fail_at : mem->calls == mem->fail_at);
    mem->failures += fail;
    struct block *block =
        fail || size > SIZE_POSSIBLE ? NULL : malloc(sizeof(*block) + size + GUARD_SIZE);
    if (block) {
        *block = (struct block){.state = block_is_live, .size = size};
        memset(block->data, FILL_NEW, size);
        memset(block->data + size, GUARD, GUARD_SIZE);
        mem->live_blocks++;
        mem->live_bytes += size;
        if (mem->live_bytes > mem->peak_bytes)
            mem->peak_bytes = mem->live_bytes;
    }
    pthread_mutex_unlock(&mem->lock);
    return block ? block->data : NULL;
}

/* What is wrong with giving `block` back as one of `size` bytes, or NULL. */
static const char *find_misuse(const struct block *block, size_t size)
{
    if (block->state != block_is_live)
        return "a block was freed that is not live";
    if (block->size != size)
        return "a block was freed with a size that is not its own";
    for (size_t i = 0; i < GUARD_SIZE; i++) {
        if (block->data[block->size + i] != GUARD)
            return "something was written behind the end of a block";
    }
    return NULL;
}

static void counting_free(void *ctx, void *ptr, size_t size)
{
    struct test_mem *mem = ctx;
    if (!ptr)
        return;
    struct block *block = (struct block *)((unsigned char *)ptr - offsetof(struct block, data));
    pthread_mutex_lock(&mem->lock);
    /* The test fails later, in test_mem_done(): this may be another thread than the test's. */
    const char *misuse = find_misuse(block, size);
    if (misuse)
        mem->misuse = misuse;
    if (block->state == block_is_live) {
        mem->live_blocks--;
        mem->live_bytes -= block->size;
        memset(block->data, FILL_FREED, block->size);
        block->state = 0;
        free(block);
    }
    pthread_mutex_unlock(&mem->lock);
}

void test_mem_init(struct test_mem *mem)
{
    *mem = (struct test_mem){
        .mem = {.alloc = counting_alloc, .free = counting_free, .ctx = mem},
        .lock = PTHREAD_MUTEX_INITIALIZER,
    };
}

void test_mem_done(struct test_mem *mem)
{
    pthread_mutex_destroy(&mem->lock);
    if (mem->misuse)
        fail_msg("%s", mem->misuse);
    if (mem->live_blocks > 0)
        fail_msg("%zu blocks (%zu bytes) were not given back", mem->live_blocks, mem->live_bytes);
}

void test_every_allocation_failing(bool (*work)(const struct mem *mem, void *ctx), void *ctx)
{
    /* The runs are quadratic in the number of allocations: more than this is no unit test. */
    enum { CALLS_MAX = 20000 };
    size_t calls = 1;
    for (size_t n = 1; n <= calls; n++) {
        for (int fail_after = 0; fail_after < 2; fail_after++) {
            struct test_mem mem;
            test_mem_init(&mem);
            mem.fail_at = n;
            mem.fail_after = fail_after;
            bool succeeded = work(&mem.mem, ctx);
            if (succeeded && mem.failures > 0)
                fail_msg("allocation %zu failed and nobody noticed", n);
            if (!succeeded && mem.failures == 0)
                fail_msg("it failed although each of its %zu allocations succeeded", mem.calls);
            calls = mem.failures > 0 ? n + 1 : n;
            test_mem_done(&mem);
        }
        if (n > CALLS_MAX)
            fail_msg("more than %d allocations", CALLS_MAX);
    }
}

static int64_t test_now_ns(void *ctx)
{
    struct test_clock *clock = ctx;
    return clock->now_ns;
}

static int64_t test_wall_ns(void *ctx)
{
    struct test_clock *clock = ctx;
    return clock->wall_ns;
}

void test_clock_init(struct test_clock *clock)
{
    clock->clock = (struct clock){.now_ns = test_now_ns, .wall_ns = test_wall_ns, .ctx = clock};
    clock->now_ns = 1000 * CLOCK_NS_PER_SEC;
    clock->wall_ns = INT64_C(1767323045) * CLOCK_NS_PER_SEC;
}

void test_clock_advance_ms(struct test_clock *clock, int64_t ms)
{
    clock->now_ns += ms * CLOCK_NS_PER_MS;
    clock->wall_ns += ms * CLOCK_NS_PER_MS;
}

void test_clock_jump_wall_ms(struct test_clock *clock, int64_t ms)
{
    clock->wall_ns += ms * CLOCK_NS_PER_MS;
}

struct str test_read_file(struct arena *arena, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "unit/testdata/%s", name);
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s (tests run from the root of the repository)", path);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = size < 0 ? NULL : arena_alloc(arena, (size_t)size + 1);
    size_t got = text ? fread(text, 1, (size_t)size, file) : 0;
    fclose(file);
    if (!text || got != (size_t)size)
        fail_msg("cannot read %s (%ld bytes) into the arena", path, size);
    return (struct str){text, got};
}

void test_assert_str_equal(struct str actual, struct str expected, const char *file, int line)
{
    if (str_is_set(actual) == str_is_set(expected) && str_eq(actual, expected))
        return;
    /* Not print_error(), which cuts at 1,024 bytes. */
    fprintf(stderr, "actual:   %s\"%" PRIstr "\"\n", str_is_set(actual) ? "" : "absent ",
            STR_ARG(actual));
    fprintf(stderr, "expected: %s\"%" PRIstr "\"\n", str_is_set(expected) ? "" : "absent ",
            STR_ARG(expected));
    _fail(file, line);
}
