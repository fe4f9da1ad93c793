/* Pieces of memory that are kept. */
#include "unit/support.h"

#include "http/spare.h"

enum { PIECE = SPARE_UNIT };

static void sizes_are_rounded_to_units_between_the_limits(void **state)
{
    (void)state;
    static const struct {
        size_t size, rounded;
    } cases[] = {
        {0, 0},
        {1, 1},
        {SPARE_LEAST - 1, SPARE_LEAST - 1},
        {SPARE_LEAST, PIECE},
        {PIECE, PIECE},
        {PIECE + 1, 2 * PIECE},
        {SPARE_SIZES * PIECE, SPARE_SIZES * PIECE},
        {SPARE_SIZES * PIECE + 1, SPARE_SIZES * PIECE + 1},
        {SIZE_MAX, SIZE_MAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(spare_size(cases[i].size), cases[i].rounded);
}

/* Takes a new piece from the source and gives it to the list. */
static void *give_new(struct spare_list *list, size_t size)
{
    void *piece = mem_alloc(list->source, size);
    assert_true(spare_give(list, piece, size));
    return piece;
}

static void a_piece_comes_back_for_its_size_alone(void **state)
{
    (void)state;
    struct test_mem mem;
    struct spare_list list;
    test_mem_init(&mem);
    spare_init(&list, &mem.mem);
    assert_null(spare_take(&list, PIECE));
    void *piece = give_new(&list, 2 * PIECE);
    assert_null(spare_take(&list, PIECE));
    assert_null(spare_take(&list, 3 * PIECE));
    assert_null(spare_take(&list, 100));
    assert_ptr_equal(spare_take(&list, 2 * PIECE), piece);
    assert_null(spare_take(&list, 2 * PIECE));
    mem_free(&mem.mem, piece, 2 * PIECE);
    spare_done(&list);
    test_mem_done(&mem);
}

static void small_and_huge_pieces_are_not_kept(void **state)
{
    (void)state;
    struct test_mem mem;
    struct spare_list list;
    char piece[64];
    test_mem_init(&mem);
    spare_init(&list, &mem.mem);
    assert_false(spare_give(&list, piece, sizeof(piece)));
    assert_false(spare_give(&list, piece, (SPARE_SIZES + 1) * PIECE));
    assert_int_equal(list.bytes, 0);
    spare_done(&list);
    test_mem_done(&mem);
}

static void no_more_is_kept_than_the_maximum(void **state)
{
    (void)state;
    enum { SIZE = SPARE_SIZES * PIECE };
    struct test_mem mem;
    struct spare_list list;
    test_mem_init(&mem);
    spare_init(&list, &mem.mem);
    for (size_t kept = 0; kept + SIZE <= SPARE_MAX; kept += SIZE)
        give_new(&list, SIZE);
    void *piece = mem_alloc(&mem.mem, SIZE);
    assert_false(spare_give(&list, piece, SIZE));
    mem_free(&mem.mem, piece, SIZE);
    assert_int_equal(spare_drop(&list), SPARE_MAX);
    assert_int_equal(mem.live_bytes, 0);
    spare_done(&list);
    test_mem_done(&mem);
}

static void what_was_not_needed_between_two_trims_goes(void **state)
{
    (void)state;
    struct test_mem mem;
    struct spare_list list;
    test_mem_init(&mem);
    spare_init(&list, &mem.mem);
    for (int i = 0; i < 4; i++)
        give_new(&list, PIECE);
    assert_int_equal(spare_trim(&list), 0); /* all of it came since the beginning */
    void *a = spare_take(&list, PIECE), *b = spare_take(&list, PIECE);
    assert_true(spare_give(&list, a, PIECE));
    assert_true(spare_give(&list, b, PIECE));
    assert_int_equal(spare_trim(&list), 2 * PIECE);
    assert_int_equal(list.bytes, 2 * PIECE);
    assert_int_equal(spare_trim(&list), 2 * PIECE);
    assert_int_equal(spare_trim(&list), 0);
    assert_int_equal(mem.live_bytes, 0);
    spare_done(&list);
    test_mem_done(&mem);
}

static void the_largest_pieces_go_first(void **state)
{
    (void)state;
    struct test_mem mem;
    struct spare_list list;
    test_mem_init(&mem);
    spare_init(&list, &mem.mem);
    give_new(&list, PIECE);
    give_new(&list, PIECE);
    give_new(&list, 2 * PIECE);
    spare_trim(&list);
    void *needed = spare_take(&list, PIECE);
    assert_int_equal(spare_trim(&list), 3 * PIECE); /* all that is there has not been needed */
    assert_true(spare_give(&list, needed, PIECE));
    give_new(&list, 3 * PIECE);
    spare_trim(&list);
    spare_take(&list, PIECE);
    assert_true(spare_give(&list, needed, PIECE));
    assert_int_equal(spare_trim(&list), 3 * PIECE);
    assert_int_equal(list.bytes, PIECE);
    spare_done(&list);
    test_mem_done(&mem);
}

static void dropping_gives_all_back_at_once(void **state)
{
    (void)state;
    struct test_mem mem;
    struct spare_list list;
    test_mem_init(&mem);
    spare_init(&list, &mem.mem);
    give_new(&list, PIECE);
    give_new(&list, 5 * PIECE);
    assert_int_equal(spare_drop(&list), 6 * PIECE);
    assert_int_equal(mem.live_bytes, 0);
    give_new(&list, PIECE);
    spare_done(&list); /* as does the end */
    test_mem_done(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_rounded_to_units_between_the_limits),
        cmocka_unit_test(a_piece_comes_back_for_its_size_alone),
        cmocka_unit_test(small_and_huge_pieces_are_not_kept),
        cmocka_unit_test(no_more_is_kept_than_the_maximum),
        cmocka_unit_test(what_was_not_needed_between_two_trims_goes),
        cmocka_unit_test(the_largest_pieces_go_first),
        cmocka_unit_test(dropping_gives_all_back_at_once),
    };
    return cmocka_run_group_tests_name("spare", tests, NULL, NULL);
}
