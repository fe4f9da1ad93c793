/* Arenas. */
#include "unit/support.h"

#include <stdalign.h>
#include <wchar.h>

enum { BLOCK = 1024, MAX = 16 * 1024 };

/* What a block of the arena needs beside its data: found out once, so that the tests can aim. */
static size_t measure_overhead(void)
{
    struct test_mem mem;
    struct arena arena;
    test_mem_init(&mem);
    arena_init(&arena, &mem.mem, BLOCK, MAX);
    assert_non_null(arena_alloc(&arena, 1));
    size_t overhead = mem.live_bytes - BLOCK;
    arena_done(&arena);
    test_mem_done(&mem);
    return overhead;
}

static void memory_is_zeroed_and_aligned(void **state)
{
    (void)state;
    struct test_mem mem; /* fills what it gives with a pattern */
    struct arena arena;
    test_mem_init(&mem);
    arena_init(&arena, &mem.mem, BLOCK, MAX);
    for (int round = 0; round < 2; round++) {
        for (size_t size = 0; size < 100; size++) {
            unsigned char *p = arena_alloc(&arena, size);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
            for (size_t i = 0; i < size; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xEE, size);
        }
        arena_reset(&arena); /* what is used again is zeroed again */
    }
    arena_done(&arena);
    test_mem_done(&mem);
}

static void pieces_do_not_overlap(void **state)
{
    (void)state;
    struct test_mem mem;
    struct arena arena;
    test_mem_init(&mem);
    arena_init(&arena, &mem.mem, BLOCK, MAX);
    unsigned char *pieces[60];
    for (size_t i = 0; i < 60; i++) {
        pieces[i] = arena_alloc(&arena, 10 + i * 3);
        assert_non_null(pieces[i]);
        memset(pieces[i], (int)i, 10 + i * 3);
    }
    for (size_t i = 0; i < 60; i++) {
        for (size_t j = 0; j < 10 + i * 3; j++)
            assert_int_equal(pieces[i][j], i);
    }
    arena_done(&arena);
    test_mem_done(&mem);
}

static void nothing_is_taken_before_it_is_needed(void **state)
{
    (void)state;
    struct test_mem mem;
    struct arena arena;
    test_mem_init(&mem);
    arena_init(&arena, &mem.mem, BLOCK, MAX);
    assert_int_equal(mem.calls, 0);
    assert_int_equal(arena.used, 0);
    arena_reset(&arena);
    arena_done(&arena);
    assert_int_equal(mem.calls, 0);
    test_mem_done(&mem);
}

static void a_block_is_used_to_its_end(void **state)
{
    (void)state;
    struct test_mem mem;
    struct arena arena;
    test_mem_init(&mem);
    arena_init(&arena, &mem.mem, BLOCK, MAX);
    for (int i = 0; i < BLOCK / 16; i++)
        assert_non_null(arena_alloc(&arena, 16));
    assert_int_equal(mem.calls, 1);
    assert_non_null(arena_alloc(&arena, 0));
    assert_int_equal(mem.calls, 1);
    assert_non_null(arena_alloc(&arena, 1));
    assert_int_equal(mem.calls, 2);
    assert_int_equal(arena.used, mem.live_bytes);
    arena_done(&arena);
    test_mem_done(&mem);
}

static void the_cap_is_kept_to_the_byte(void **state)
{
    (void)state;
    size_t overhead = measure_overhead();
    static const struct {
        size_t more; /* bytes beyond what two blocks need */
        bool second;
    } rows[] = {{0, true}, {1, true}, {(size_t)-1, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct test_mem mem;
        struct arena arena;
        test_mem_init(&mem);
        arena_init(&arena, &mem.mem, BLOCK, 2 * (BLOCK + overhead) + rows[i].more);
        assert_non_null(arena_alloc(&arena, BLOCK));
        assert_int_equal(arena_alloc(&arena, BLOCK) != NULL, rows[i].second);
        assert_null(arena_alloc(&arena, BLOCK));
        assert_true(arena.used <= arena.max);
        /* What fits into the last block is still given. */
        arena_reset(&arena);
        assert_non_null(arena_alloc(&arena, BLOCK - 16));
        size_t used = arena.used;
        assert_non_null(arena_alloc(&arena, 16));
        assert_int_equal(arena.used, used);
        arena_done(&arena);
        test_mem_done(&mem);
    }
}

static void a_piece_larger_than_a_block_has_its_own(void **state)
{
    (void)state;
    struct test_mem mem;
    struct arena arena;
    test_mem_init(&mem);
    arena_init(&arena, &mem.mem, BLOCK, MAX);
    char *p = arena_alloc(&arena, 5 * BLOCK);
    assert_non_null(p);
    memset(p, 1, 5 * BLOCK);
    assert_non_null(arena_alloc(&arena, 1));
    assert_null(arena_alloc(&arena, MAX));
    arena_done(&arena);
    test_mem_done(&mem);
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    struct test_mem mem;
    struct arena arena;
    test_mem_init(&mem);
    arena_init(&arena, &mem.mem, BLOCK, SIZE_MAX);
    for (size_t less = 0; less < 64; less++)
        assert_null(arena_alloc(&arena, SIZE_MAX - less));
    assert_null(arena_alloc_array(&arena, SIZE_MAX / 2, 3));
    assert_null(arena_alloc_array(&arena, 3, SIZE_MAX / 2));
    assert_null(arena_copy(&arena, (struct str){"a", SIZE_MAX}).ptr);
    assert_int_equal(arena.used, 0);
    assert_int_equal(mem.live_blocks, 0);
    assert_non_null(arena_alloc_array(&arena, 3, 5));
    assert_non_null(arena_alloc_array(&arena, 0, 5));
    arena_done(&arena);
    test_mem_done(&mem);
}

static void a_large_piece_leaves_the_rest_of_the_block_in_use(void **state)
{
    (void)state;
    struct test_mem mem;
    struct arena arena;
    test_mem_init(&mem);
    arena_init(&arena, &mem.mem, BLOCK, MAX);
    unsigned char *before = arena_alloc(&arena, 64);
    assert_non_null(arena_alloc(&arena, 3 * BLOCK));
    assert_int_equal(mem.live_blocks, 2);
    assert_ptr_equal(arena_alloc(&arena, 64), before + 64);
    assert_int_equal(mem.live_blocks, 2);
    arena_done(&arena);
    assert_int_equal(arena.used, 0);
    test_mem_done(&mem);
}

static void a_reset_keeps_no_large_block(void **state)
{
    (void)state;
    struct test_mem mem;
    struct arena arena;
    test_mem_init(&mem);
    arena_init(&arena, &mem.mem, BLOCK, MAX);
    assert_non_null(arena_alloc(&arena, 3 * BLOCK));
    assert_non_null(arena_alloc(&arena, 2 * BLOCK));
    arena_reset(&arena);
    assert_int_equal(mem.live_blocks, 0);
    assert_int_equal(arena.used, 0);
    assert_non_null(arena_alloc(&arena, 1));
    arena_done(&arena);
    test_mem_done(&mem);
}

static void a_reset_keeps_one_ordinary_block(void **state)
{
    (void)state;
    struct test_mem mem;
    struct arena arena;
    test_mem_init(&mem);
    arena_init(&arena, &mem.mem, BLOCK, MAX);
    void *first = arena_alloc(&arena, 100);
    arena_alloc(&arena, 3 * BLOCK);
    arena_alloc(&arena, BLOCK);
    assert_int_equal(mem.live_blocks, 3);
    arena_reset(&arena);
    assert_int_equal(mem.live_blocks, 1);
    assert_int_equal(arena.used, mem.live_bytes);
    size_t calls = mem.calls;
    assert_ptr_equal(arena_alloc(&arena, 100), first);
    assert_int_equal(mem.calls, calls);
    arena_done(&arena);
    assert_int_equal(arena.used, 0);
    test_mem_done(&mem);
}

static void a_reset_does_not_keep_a_large_block(void **state)
{
    (void)state;
    struct test_mem mem;
    struct arena arena;
    test_mem_init(&mem);
    arena_init(&arena, &mem.mem, BLOCK, MAX);
    arena_alloc(&arena, 3 * BLOCK);
    arena_reset(&arena);
    assert_int_equal(mem.live_blocks, 0);
    assert_int_equal(arena.used, 0);
    assert_non_null(arena_alloc(&arena, 1));
    arena_done(&arena);
    arena_done(&arena); /* a second time does nothing */
    test_mem_done(&mem);
}

static void a_zeroed_arena_may_be_reset_and_done_and_gives_nothing(void **state)
{
    (void)state;
    struct arena arena;
    memset(&arena, 0, sizeof(arena));
    arena_reset(&arena);
    arena_done(&arena);
    assert_null(arena_alloc(&arena, 1));
}

static void without_memory_there_is_null_and_later_perhaps_more(void **state)
{
    (void)state;
    struct test_mem mem;
    struct arena arena;
    test_mem_init(&mem);
    arena_init(&arena, &mem.mem, BLOCK, MAX);
    mem.fail_at = 1;
    assert_null(arena_alloc(&arena, 1));
    assert_int_equal(arena.used, 0);
    assert_non_null(arena_alloc(&arena, 1));
    arena_done(&arena);
    test_mem_done(&mem);
}

static void typed_allocations_are_zeroed(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, mem_system(), BLOCK, MAX);
    struct str *one = ARENA_NEW(&arena, struct str);
    assert_non_null(one);
    assert_null(one->ptr);
    int64_t *many = ARENA_NEW_ARRAY(&arena, int64_t, 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(many[i], 0);
    arena_done(&arena);
}

static void copies_end_with_nul(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, mem_system(), BLOCK, MAX);
    const char *source = "abcdef";
    struct str copy = arena_copy(&arena, (struct str){source, 3});
    assert_str_is(copy, "abc");
    assert_int_equal(copy.ptr[3], '\0');
    assert_ptr_not_equal(copy.ptr, source);
    assert_str_is(arena_copy(&arena, STR("")), "");
    assert_str_is(arena_copy(&arena, (struct str){NULL, 0}), "");
    arena_done(&arena);
    arena_init(&arena, mem_system(), BLOCK, 0);
    assert_false(str_is_set(arena_copy(&arena, STR("abc"))));
    arena_done(&arena);
}

static void text_of_any_length_is_printed(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, mem_system(), BLOCK, MAX);
    struct str s = arena_printf(&arena, "%s-%d", "abc", 42);
    assert_str_is(s, "abc-42");
    assert_int_equal(s.ptr[s.len], '\0');
    assert_str_is(arena_printf(&arena, "%s", ""), "");
    for (int len = 250; len < 260; len++) { /* around what is printed once */
        s = arena_printf(&arena, "%*d", len, 7);
        assert_int_equal(s.len, len);
        assert_true(str_ends_with(s, STR(" 7")) && s.ptr[len] == '\0');
    }
    s = arena_printf(&arena, "%*d", 3 * BLOCK, 7);
    assert_int_equal(s.len, 3 * BLOCK);
    assert_int_equal(s.ptr[s.len - 1], '7');
    assert_false(str_is_set(arena_printf(&arena, "%*d", MAX, 7)));
    /* What printf itself cannot print. */
    s = arena_printf(&arena, "%ls", (const wchar_t[]){0x7FFFFFFF, 0});
    assert_false(str_is_set(s));
    assert_int_equal(s.len, 0);
    arena_done(&arena);
}

static void an_arena_serves_as_a_source_of_memory(void **state)
{
    (void)state;
    struct test_mem mem;
    struct arena outer, inner;
    test_mem_init(&mem);
    arena_init(&outer, &mem.mem, 4 * BLOCK, MAX);
    arena_init(&inner, arena_mem(&outer), BLOCK, MAX);
    assert_non_null(arena_alloc(&inner, 10));
    assert_non_null(arena_alloc(&inner, BLOCK));
    arena_done(&inner); /* gives back to the outer arena, which keeps it */
    assert_int_equal(mem.live_blocks, 1);
    mem_free(arena_mem(&outer), NULL, 0);
    arena_done(&outer);
    test_mem_done(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(pieces_do_not_overlap),
        cmocka_unit_test(nothing_is_taken_before_it_is_needed),
        cmocka_unit_test(a_block_is_used_to_its_end),
        cmocka_unit_test(the_cap_is_kept_to_the_byte),
        cmocka_unit_test(a_piece_larger_than_a_block_has_its_own),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(a_large_piece_leaves_the_rest_of_the_block_in_use),
        cmocka_unit_test(a_reset_keeps_no_large_block),
        cmocka_unit_test(a_reset_keeps_one_ordinary_block),
        cmocka_unit_test(a_reset_does_not_keep_a_large_block),
        cmocka_unit_test(a_zeroed_arena_may_be_reset_and_done_and_gives_nothing),
        cmocka_unit_test(without_memory_there_is_null_and_later_perhaps_more),
        cmocka_unit_test(typed_allocations_are_zeroed),
        cmocka_unit_test(copies_end_with_nul),
        cmocka_unit_test(text_of_any_length_is_printed),
        cmocka_unit_test(an_arena_serves_as_a_source_of_memory),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
