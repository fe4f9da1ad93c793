/* The test support itself: what would not notice a defect proves nothing. */
#include "unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void memory_is_counted(void **state)
{
    (void)state;
    struct test_mem mem;
    test_mem_init(&mem);
    void *a = mem_alloc(&mem.mem, 100);
    void *b = mem_alloc(&mem.mem, 50);
    assert_int_equal(mem.live_bytes, 150);
    assert_int_equal(mem.live_blocks, 2);
    mem_free(&mem.mem, a, 100);
    void *c = mem_alloc(&mem.mem, 20);
    assert_int_equal(mem.live_bytes, 70);
    assert_int_equal(mem.peak_bytes, 150);
    assert_int_equal(mem.calls, 3);
    mem_free(&mem.mem, b, 50);
    mem_free(&mem.mem, c, 20);
    mem_free(&mem.mem, NULL, 7);
    assert_null(mem.misuse);
    test_mem_done(&mem);
}

static void new_memory_is_not_zeroed(void **state)
{
    (void)state;
    struct test_mem mem;
    test_mem_init(&mem);
    unsigned char *p = mem_alloc(&mem.mem, 10);
    for (size_t i = 0; i < 10; i++)
        assert_int_not_equal(p[i], 0);
    mem_free(&mem.mem, p, 10);
    test_mem_done(&mem);
}

static void the_chosen_allocation_fails(void **state)
{
    (void)state;
    struct test_mem mem;
    for (int fail_after = 0; fail_after < 2; fail_after++) {
        test_mem_init(&mem);
        mem.fail_at = 2;
        mem.fail_after = fail_after;
        void *first = mem_alloc(&mem.mem, 1);
        assert_non_null(first);
        assert_null(mem_alloc(&mem.mem, 1));
        void *third = mem_alloc(&mem.mem, 1);
        assert_int_equal(third == NULL, fail_after);
        assert_int_equal(mem.failures, 1 + fail_after);
        mem_free(&mem.mem, first, 1);
        mem_free(&mem.mem, third, 1);
        test_mem_done(&mem);
    }
}

static void an_impossible_size_is_refused(void **state)
{
    (void)state;
    struct test_mem mem;
    test_mem_init(&mem);
    assert_null(mem_alloc(&mem.mem, SIZE_MAX));
    assert_null(mem_alloc(&mem.mem, SIZE_MAX / 2));
    assert_int_equal(mem.failures, 0);
    test_mem_done(&mem);
}

static void a_wrong_size_at_the_free_is_noticed(void **state)
{
    (void)state;
    struct test_mem mem;
    test_mem_init(&mem);
    mem_free(&mem.mem, mem_alloc(&mem.mem, 10), 11);
    assert_non_null(mem.misuse);
    mem.misuse = NULL;
    test_mem_done(&mem);
}

static void a_byte_written_behind_the_end_is_noticed(void **state)
{
    (void)state;
    struct test_mem mem;
    test_mem_init(&mem);
    unsigned char *p = mem_alloc(&mem.mem, 10);
    volatile size_t behind = 10; /* the compiler would warn */
    p[behind] = 0;
    mem_free(&mem.mem, p, 10);
    assert_non_null(mem.misuse);
    mem.misuse = NULL;
    test_mem_done(&mem);
}

/* What a test that must fail says, by running it in a child process. */
static int run_in_child(void (*test)(void **state))
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        const struct CMUnitTest tests[] = {cmocka_unit_test(test)};
        _exit(cmocka_run_group_tests(tests, NULL, NULL));
    }
    int status;
    while (waitpid(child, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void leak_a_block(void **state)
{
    (void)state;
    struct test_mem mem;
    test_mem_init(&mem);
    mem_alloc(&mem.mem, 10);
    test_mem_done(&mem);
}

static void free_with_a_wrong_size(void **state)
{
    (void)state;
    struct test_mem mem;
    test_mem_init(&mem);
    mem_free(&mem.mem, mem_alloc(&mem.mem, 10), 11);
    test_mem_done(&mem);
}

static bool ignore_failed_allocations(const struct mem *mem, void *ctx)
{
    (void)ctx;
    mem_free(mem, mem_alloc(mem, 10), 10);
    return true;
}

static void overlook_a_failed_allocation(void **state)
{
    (void)state;
    test_every_allocation_failing(ignore_failed_allocations, NULL);
}

static bool never_succeed(const struct mem *mem, void *ctx)
{
    (void)ctx;
    mem_free(mem, mem_alloc(mem, 10), 10);
    return false;
}

static void fail_without_a_reason(void **state)
{
    (void)state;
    test_every_allocation_failing(never_succeed, NULL);
}

/* Gives the first block back only when the second was had. */
static bool leak_after_a_failure(const struct mem *mem, void *ctx)
{
    (void)ctx;
    void *first = mem_alloc(mem, 1), *second = first ? mem_alloc(mem, 1) : NULL;
    if (!second)
        return false;
    mem_free(mem, first, 1);
    mem_free(mem, second, 1);
    return true;
}

static void leak_when_memory_is_short(void **state)
{
    (void)state;
    test_every_allocation_failing(leak_after_a_failure, NULL);
}

static void read_a_file_that_does_not_exist(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, mem_system(), 1024, 65536);
    test_read_file(&arena, "no/such/file");
}

static void compare_different_texts(void **state)
{
    (void)state;
    assert_str_is(STR("a"), "b");
}

static void compare_absent_with_empty(void **state)
{
    (void)state;
    assert_str_is(str_from_cstr(NULL), "");
}

static void do_nothing_wrong(void **state)
{
    (void)state;
    assert_str_is(STR("a"), "a");
}

static void defects_fail_the_test(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(do_nothing_wrong), 0);
    static void (*const defects[])(void **state) = {
        leak_a_block,
        free_with_a_wrong_size,
        overlook_a_failed_allocation,
        fail_without_a_reason,
        leak_when_memory_is_short,
        read_a_file_that_does_not_exist,
        compare_different_texts,
        compare_absent_with_empty,
    };
    for (size_t i = 0; i < sizeof(defects) / sizeof(defects[0]); i++) {
        if (run_in_child(defects[i]) != 1)
            fail_msg("defect %zu was overlooked", i);
    }
}

/* Takes three blocks and counts its runs. */
static bool take_three_blocks(const struct mem *mem, void *ctx)
{
    int *runs = ctx;
    ++*runs;
    void *blocks[3];
    bool complete = true;
    for (int i = 0; i < 3; i++) {
        blocks[i] = mem_alloc(mem, 10);
        complete = complete && blocks[i];
    }
    for (int i = 0; i < 3; i++)
        mem_free(mem, blocks[i], 10);
    return complete;
}

static void each_allocation_fails_alone_and_with_all_later_ones(void **state)
{
    (void)state;
    int runs = 0;
    test_every_allocation_failing(take_three_blocks, &runs);
    assert_int_equal(runs, 2 * (3 + 1));
}

static void files_of_testdata_are_read_whole(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, mem_system(), 1024, 65536);
    struct str text = test_read_file(&arena, "support/two-lines.txt");
    assert_str_is(text, "one\ntwo\n");
    assert_int_equal(text.ptr[text.len], '\0');
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_counted),
        cmocka_unit_test(new_memory_is_not_zeroed),
        cmocka_unit_test(the_chosen_allocation_fails),
        cmocka_unit_test(an_impossible_size_is_refused),
        cmocka_unit_test(a_wrong_size_at_the_free_is_noticed),
        cmocka_unit_test(a_byte_written_behind_the_end_is_noticed),
        cmocka_unit_test(defects_fail_the_test),
        cmocka_unit_test(each_allocation_fails_alone_and_with_all_later_ones),
        cmocka_unit_test(files_of_testdata_are_read_whole),
    };
    return cmocka_run_group_tests_name("support", tests, NULL, NULL);
}
