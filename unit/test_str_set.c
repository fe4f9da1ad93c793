/* A set of texts. */
#include "unit/support.h"

#include "base/str_set.h"

#include <stdio.h>

/* The text of a number, in memory of its own: equal texts are not the same ones. */
static struct str number(struct arena *arena, unsigned n)
{
    struct str text = arena_printf(arena, "name-%u", n);
    assert_true(str_is_set(text));
    return text;
}

static void each_text_is_added_once_however_many_there_are(void **state)
{
    (void)state;
    static const unsigned counts[] = {1, STR_SET_FEW - 1, STR_SET_FEW, STR_SET_FEW + 1, 33, 5000};
    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        struct arena arena;
        struct str_set set;
        arena_init(&arena, mem_system(), 4096, 16 * 1024 * 1024);
        str_set_init(&set, &arena);
        for (unsigned i = 0; i < counts[c]; i++) {
            assert_false(str_set_has(&set, number(&arena, i)));
            assert_int_equal(str_set_add(&set, number(&arena, i)), 0);
        }
        for (unsigned i = 0; i < counts[c]; i++) {
            assert_true(str_set_has(&set, number(&arena, i)));
            assert_int_equal(str_set_add(&set, number(&arena, i)), 1);
        }
        assert_false(str_set_has(&set, number(&arena, counts[c])));
        assert_int_equal(set.count, counts[c]);
        arena_done(&arena);
    }
}

static void the_empty_text_is_one_like_others(void **state)
{
    (void)state;
    struct arena arena;
    struct str_set set;
    arena_init(&arena, mem_system(), 4096, 1024 * 1024);
    str_set_init(&set, &arena);
    assert_false(str_set_has(&set, STR("")));
    assert_int_equal(str_set_add(&set, STR("")), 0);
    for (unsigned i = 0; i < 100; i++)
        str_set_add(&set, number(&arena, i));
    assert_true(str_set_has(&set, STR("")));
    assert_int_equal(str_set_add(&set, STR("")), 1);
    arena_done(&arena);
}

static bool fill(const struct mem *mem, void *ctx)
{
    (void)ctx;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
    struct arena arena;
    struct str_set set;
    arena_init(&arena, mem, 64, 1024 * 1024);
    str_set_init(&set, &arena);
    bool good = true;
    for (size_t i = 0; i < sizeof(letters) - 1; i++) {
        int added = str_set_add(&set, (struct str){&letters[i], 1});
        good = good && added >= 0;
        if (good)
            assert_int_equal(added, i >= 26);
    }
    arena_done(&arena);
    return good;
}

static void every_failing_allocation_is_noticed(void **state)
{
    (void)state;
    test_every_allocation_failing(fill, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_text_is_added_once_however_many_there_are),
        cmocka_unit_test(the_empty_text_is_one_like_others),
        cmocka_unit_test(every_failing_allocation_is_noticed),
    };
    return cmocka_run_group_tests_name("str_set", tests, NULL, NULL);
}
