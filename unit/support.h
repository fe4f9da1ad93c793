/*
 * What unit tests share: memory that counts and fails on demand, a clock that the test moves, files
 * of unit/testdata. Everything here ends the test with a message when it is misused or when the
 * machine fails it; nothing needs error handling.
 *
 * For random numbers use random_seeded_init(&seeded, TEST_SEED) of base/random.h.
 */
#ifndef UNIT_SUPPORT_H
#define UNIT_SUPPORT_H

/* cmocka needs these four first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/str.h"

#include <pthread.h>

enum { TEST_SEED = 20260102 };

/*
 * A `struct mem` on top of malloc that counts, fills new and freed memory with patterns, checks
 * that each block comes back once, with its right size and with nothing written behind its end. May
 * be used by several threads; must not be moved.
 *
 *   struct test_mem mem;
 *   test_mem_init(&mem);
 *   mem.fail_at = 3;               the third call gets NULL
 *   … &mem.mem …
 *   test_mem_done(&mem);           fails the test on a leak or a wrong free
 */
struct test_mem {
    struct mem mem;
    size_t live_bytes; /* asked for and not yet given back */
    size_t live_blocks;
    size_t peak_bytes;  /* the most that live_bytes has been */
    size_t calls;       /* of alloc, the failed ones too */
    size_t failures;    /* of alloc that were injected */
    size_t fail_at;     /* the number, from 1, of the call that fails; 0 for none */
    bool fail_after;    /* all calls after fail_at fail too */
    const char *misuse; /* what was wrong with a free, or NULL */
    pthread_mutex_t lock;
};

void test_mem_init(struct test_mem *mem);
/* Fails the test when a block was not given back, or was given back wrongly. */
void test_mem_done(struct test_mem *mem);

/*
 * Runs `work` again and again, with its first allocation failing, then its second, and so on, each
 * once alone and once with all later ones, until it needs no more. `work` returns whether it
 * succeeded: it must not when an allocation failed, must when none did, and must never leak.
 */
void test_every_allocation_failing(bool (*work)(const struct mem *mem, void *ctx), void *ctx);

/* A clock that only the test moves. Starts at 2026-01-02T03:04:05Z, monotonic at 1,000 s. May be
 * read by other threads; must not be moved. */
struct test_clock {
    struct clock clock;
    _Atomic int64_t now_ns;
    _Atomic int64_t wall_ns;
};

void test_clock_init(struct test_clock *clock);
/* Time passes on both clocks. */
void test_clock_advance_ms(struct test_clock *clock, int64_t ms);
/* Only the wall clock is set, as by NTP or an administrator; ms may be negative. */
void test_clock_jump_wall_ms(struct test_clock *clock, int64_t ms);

/* The whole of unit/testdata/NAME, NUL-terminated, in the arena. The test must be run from the root
 * of the repository, as `make` does. */
struct str test_read_file(struct arena *arena, const char *name);

/* For assert_str_equal below. */
void test_assert_str_equal(struct str actual, struct str expected, const char *file, int line);

/* Like cmocka's assert_string_equal, for views; both are printed when they differ. */
#define assert_str_equal(actual, expected) \
    test_assert_str_equal((actual), (expected), __FILE__, __LINE__)
/* The same against a C string. */
#define assert_str_is(actual, expected) \
    test_assert_str_equal((actual), str_from_cstr(expected), __FILE__, __LINE__)

#endif
