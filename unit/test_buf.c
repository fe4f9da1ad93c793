/* Growing buffers. */
#include "unit/support.h"

#include "base/buf.h"

#include <wchar.h>

static void writers_append(void **state)
{
    (void)state;
    struct test_mem mem;
    struct buf buf;
    test_mem_init(&mem);
    buf_init(&buf, &mem.mem, 1000);
    buf_put(&buf, STR("ab"));
    buf_put_char(&buf, 'c');
    buf_put_int(&buf, INT64_MIN);
    buf_put_int(&buf, INT64_MAX);
    buf_printf(&buf, "<%s%d>", "x", 7);
    buf_put(&buf, STR(""));
    buf_put(&buf, (struct str){NULL, 0});
    buf_put_char(&buf, '\0');
    assert_str_equal(buf_str(&buf), STR("abc-92233720368547758089223372036854775807<x7>\0"));
    assert_false(buf_failed(&buf));
    buf_done(&buf);
    test_mem_done(&mem);
}

static void an_empty_buffer_is_the_empty_text_and_takes_no_memory(void **state)
{
    (void)state;
    struct test_mem mem;
    struct buf buf;
    test_mem_init(&mem);
    buf_init(&buf, &mem.mem, 1000);
    assert_str_is(buf_str(&buf), "");
    buf_put(&buf, STR(""));
    assert_int_equal(mem.calls, 0);
    assert_false(buf_failed(&buf));
    buf_done(&buf);
    test_mem_done(&mem);
}

static void content_survives_growing(void **state)
{
    (void)state;
    struct test_mem mem;
    struct buf buf;
    test_mem_init(&mem);
    buf_init(&buf, &mem.mem, 1000000);
    for (int i = 0; i < 100000; i++)
        buf_put_char(&buf, (char)('a' + i % 26));
    struct str s = buf_str(&buf);
    assert_int_equal(s.len, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(s.ptr[i], 'a' + i % 26);
    assert_true(mem.calls < 15); /* it doubles */
    assert_int_equal(mem.live_blocks, 1);
    buf_done(&buf);
    test_mem_done(&mem);
}

static void beyond_half_of_the_maximum_the_rest_is_taken_at_once(void **state)
{
    (void)state;
    static const size_t maxima[] = {1, 255, 256, 300, 600, 1000, 1024, 1025};
    for (size_t i = 0; i < sizeof(maxima) / sizeof(maxima[0]); i++) {
        size_t max = maxima[i], half_calls = 0;
        struct test_mem mem;
        struct buf buf;
        test_mem_init(&mem);
        buf_init(&buf, &mem.mem, max);
        for (size_t len = 0; len < max; len++) {
            buf_put_char(&buf, 'x');
            assert_true(buf.cap <= max);
            half_calls = len == max / 2 ? mem.calls : half_calls;
        }
        assert_false(buf_failed(&buf));
        assert_true(mem.calls <= half_calls + 1);
        assert_int_equal(buf.cap, max);
        buf_done(&buf);
        test_mem_done(&mem);
    }
}

/* Writes `len` bytes in one of the ways there are. */
static void write_in_way(struct buf *buf, int way, size_t len)
{
    static char text[2000];
    memset(text, 'x', sizeof(text));
    struct str s = {text, len};
    switch (way) {
    case 0:
        buf_put(buf, s);
        break;
    case 1:
        for (size_t i = 0; i < len; i++)
            buf_put_char(buf, 'x');
        break;
    case 2:
        buf_printf(buf, "%" PRIstr, STR_ARG(s));
        break;
    default: {
        char *to = buf_reserve(buf, len);
        if (to) {
            memcpy(to, text, len);
            buf->len += len;
        }
    }
    }
}

static void the_maximum_is_kept_to_the_byte_by_every_writer(void **state)
{
    (void)state;
    static const size_t limits[] = {0, 1, 2, 255, 256, 257, 300, 511, 512, 513, 1000};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        size_t max = limits[i];
        for (int way = 0; way < 4; way++) {
            for (size_t before = 0; before <= max; before += max / 2 + 1) {
                struct test_mem mem;
                struct buf buf;
                test_mem_init(&mem);
                buf_init(&buf, &mem.mem, max);
                buf_put(&buf, str_sub(STR("yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"), 0, before));
                size_t rest = max - buf.len;
                write_in_way(&buf, way, rest);
                if (buf_failed(&buf))
                    fail_msg("way %d: %zu + %zu of %zu bytes failed", way, max - rest, rest, max);
                assert_int_equal(buf.len, max);
                write_in_way(&buf, way, 1);
                assert_true(buf_failed(&buf));
                assert_int_equal(buf.len, max);
                buf_done(&buf);
                test_mem_done(&mem);
            }
        }
    }
}

static void after_a_failure_nothing_more_is_written(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, mem_system(), 10);
    buf_put(&buf, STR("abc"));
    buf_put(&buf, STR("0123456789"));
    buf_put(&buf, STR("d"));
    buf_put_char(&buf, 'd');
    buf_put_int(&buf, 1);
    buf_printf(&buf, "d");
    assert_null(buf_reserve(&buf, 0));
    assert_true(buf_failed(&buf));
    assert_str_is(buf_str(&buf), "abc");
    buf_clear(&buf);
    assert_false(buf_failed(&buf));
    buf_put(&buf, STR("0123456789"));
    assert_str_is(buf_str(&buf), "0123456789");
    buf_done(&buf);
}

static void clearing_keeps_the_memory_and_done_gives_it_back(void **state)
{
    (void)state;
    struct test_mem mem;
    struct buf buf;
    test_mem_init(&mem);
    buf_init(&buf, &mem.mem, 1000);
    buf_put(&buf, STR("abc"));
    buf_clear(&buf);
    assert_str_is(buf_str(&buf), "");
    assert_int_equal(mem.live_blocks, 1);
    buf_put(&buf, STR("def"));
    assert_int_equal(mem.calls, 1);
    buf_done(&buf);
    assert_int_equal(mem.live_blocks, 0);
    buf_done(&buf);
    /* It may be used again. */
    buf_put(&buf, STR("ghi"));
    assert_str_is(buf_str(&buf), "ghi");
    buf_done(&buf);
    test_mem_done(&mem);
    struct buf zeroed;
    memset(&zeroed, 0, sizeof(zeroed));
    buf_done(&zeroed);
}

static void reserved_room_is_the_callers_to_fill(void **state)
{
    (void)state;
    struct test_mem mem;
    struct buf buf;
    test_mem_init(&mem);
    buf_init(&buf, &mem.mem, 1000);
    buf_put(&buf, STR("ab"));
    char *to = buf_reserve(&buf, 500);
    assert_non_null(to);
    assert_str_is(buf_str(&buf), "ab");
    memset(to, 'c', 500); /* the guard of the memory would tell if there were less */
    buf.len += 3;
    assert_str_is(buf_str(&buf), "abccc");
    assert_null(buf_reserve(&buf, SIZE_MAX));
    buf_done(&buf);
    test_mem_done(&mem);
}

static void what_printf_cannot_print_is_a_failure(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, mem_system(), 1000);
    buf_printf(&buf, "%ls", (const wchar_t[]){0x7FFFFFFF, 0});
    assert_true(buf_failed(&buf));
    buf_done(&buf);
}

static bool write_much(const struct mem *mem, void *ctx)
{
    (void)ctx;
    struct buf buf;
    buf_init(&buf, mem, 100000);
    for (int i = 0; i < 1000; i++)
        buf_printf(&buf, "%d,", i);
    for (int i = 0; i < 1000; i++)
        buf_put(&buf, STR("0123456789"));
    bool failed = buf_failed(&buf);
    buf_done(&buf);
    return !failed;
}

static void a_failed_allocation_fails_the_buffer(void **state)
{
    (void)state;
    test_every_allocation_failing(write_much, NULL);
}

static void a_buffer_lives_in_an_arena(void **state)
{
    (void)state;
    struct arena arena;
    struct buf buf;
    arena_init(&arena, mem_system(), 4096, 65536);
    buf_init(&buf, arena_mem(&arena), SIZE_MAX);
    for (int i = 0; i < 5000; i++)
        buf_put(&buf, STR("abc"));
    assert_int_equal(buf.len, 15000);
    assert_false(buf_failed(&buf));
    for (int i = 0; i < 50000; i++)
        buf_put(&buf, STR("abc"));
    assert_true(buf_failed(&buf)); /* the arena is full */
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writers_append),
        cmocka_unit_test(an_empty_buffer_is_the_empty_text_and_takes_no_memory),
        cmocka_unit_test(content_survives_growing),
        cmocka_unit_test(beyond_half_of_the_maximum_the_rest_is_taken_at_once),
        cmocka_unit_test(the_maximum_is_kept_to_the_byte_by_every_writer),
        cmocka_unit_test(after_a_failure_nothing_more_is_written),
        cmocka_unit_test(clearing_keeps_the_memory_and_done_gives_it_back),
        cmocka_unit_test(reserved_room_is_the_callers_to_fill),
        cmocka_unit_test(what_printf_cannot_print_is_a_failure),
        cmocka_unit_test(a_failed_allocation_fails_the_buffer),
        cmocka_unit_test(a_buffer_lives_in_an_arena),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
