/* Cutting streamed answers into JSON texts. */
#include "unit/support.h"

#include "kube/pieces.h"

#include <stdio.h>

enum { LOG_MAX = 1024, PIECE_MAX = 64 };

/* What came: "L:text", "I:text", "M:text", each with a "|" behind it; "(too large)" in place of a text. */
struct fixture {
    struct test_mem mem;
    struct pieces pieces;
    char log[LOG_MAX];
    size_t log_len;
    size_t fail_after; /* `take` fails for the piece after so many; 0: never */
    size_t taken;
};

static int take(void *ctx, enum piece_kind kind, struct str text)
{
    struct fixture *f = ctx;
    if (f->fail_after && f->taken++ == f->fail_after)
        return -7;
    struct str shown = str_is_set(text) ? text : STR("(too large)");
    int len = snprintf(f->log + f->log_len, LOG_MAX - f->log_len, "%c:%" PRIstr "|", "LIM"[kind],
                       STR_ARG(shown));
    f->log_len += (size_t)len;
    assert_true(f->log_len < LOG_MAX);
    return 0;
}

static int set_up(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    *f = (struct fixture){0};
    test_mem_init(&f->mem);
    pieces_init(&f->pieces, &f->mem.mem, PIECE_MAX, take, f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    pieces_done(&f->pieces);
    test_mem_done(&f->mem);
    return 0;
}

static void begin(struct fixture *f, enum pieces_mode mode)
{
    pieces_begin(&f->pieces, mode);
    f->log_len = f->taken = 0;
    f->log[0] = '\0';
}

/* The whole text in parts of `size` bytes, the first of `first`. */
static int put_in_parts(struct fixture *f, struct str text, size_t first, size_t size)
{
    int result = pieces_put(&f->pieces, str_sub(text, 0, first));
    for (size_t i = first; result == 0 && i < text.len; i += size)
        result = pieces_put(&f->pieces, str_sub(text, i, size));
    return result;
}

/* However it is cut, the same pieces come. */
static void assert_pieces(struct fixture *f, enum pieces_mode mode, const char *text,
                          const char *expected)
{
    struct str whole = str_from_cstr(text);
    for (size_t cut = 0; cut <= whole.len; cut++) {
        begin(f, mode);
        assert_int_equal(put_in_parts(f, whole, cut, whole.len), 0);
        assert_string_equal(f->log, expected);
        assert_true(pieces_is_whole(&f->pieces));
    }
    for (size_t size = 1; size < 5; size++) {
        begin(f, mode);
        assert_int_equal(put_in_parts(f, whole, 0, size), 0);
        assert_string_equal(f->log, expected);
        assert_true(pieces_is_whole(&f->pieces));
    }
}

/* ---- Behaviours ---- */

static void the_lines_of_a_watch_are_found_however_they_are_cut(void **state)
{
    struct fixture *f = *state;
    assert_pieces(f, PIECES_OF_WATCH, "{\"a\":1}\n\n{\"b\":\"\\n\"}\n",
                  "L:{\"a\":1}|L:{\"b\":\"\\n\"}|");
}

static void the_items_of_a_list_are_found_however_they_are_cut(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text;
        const char *expected;
    } rows[] = {
        {"{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[{\"a\":1},{}]}",
         "M:{\"resourceVersion\":\"7\"}|I:{\"a\":1}|I:{}|"},
        {" { \"items\" : [ {\"a\":{\"items\":[]}} , { } ] , \"metadata\" : {\"m\":[1]} } \n",
         "I:{\"a\":{\"items\":[]}}|I:{ }|M:{\"m\":[1]}|"},
        /* Quotes, brackets and backslashes in texts. */
        {"{\"items\":[{\"a\":\"}]\\\"\\\\\"},{\"\\\"}\":\"[{\"}]}",
         "I:{\"a\":\"}]\\\"\\\\\"}|I:{\"\\\"}\":\"[{\"}|"},
        /* Members of every type are passed over. */
        {"{\"a\":-1.5e3,\"b\":true,\"c\":null,\"d\":[[\"]\"]],\"e\":{\"items\":[{}]},\"f\":\"x\"}",
         ""},
        {"{\"a\":1 ,\"metadata\":null,\"items\":null}", ""},
        {"{\"metadata\":\"text\",\"items\":{\"a\":1}}", ""},
        {"{\"a-key-that-is-longer-than-all\":{},\"it\\\"ems\":[{}],\"item\":[{}],\"itemsx\":[{}]}",
         ""},
        {"{\"items\":[]}", ""},
        {"{}", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_pieces(f, PIECES_OF_LIST, rows[i].text, rows[i].expected);
}

static void what_is_no_list_is_malformed(void **state)
{
    struct fixture *f = *state;
    static const char *const rows[] = {
        "[",
        "x",
        "{x",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":,",
        "{\"a\":1]",
        "{\"items\":[1",
        "{\"items\":[\"a\"",
        "{\"items\":[[",
        "{\"items\":[{}{",
        "{\"items\":[{}}",
        "{} x",
        "{}{",
        "{\"items\":[] x",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        begin(f, PIECES_OF_LIST);
        assert_int_equal(put_in_parts(f, str_from_cstr(rows[i]), 0, 1), PIECES_MALFORMED);
    }
}

static void what_is_cut_off_is_not_whole(void **state)
{
    struct fixture *f = *state;
    const struct str list = STR("{\"metadata\":{\"a\":1},\"items\":[{\"b\":2}]}");
    for (size_t len = 0; len < list.len; len++) {
        begin(f, PIECES_OF_LIST);
        assert_int_equal(pieces_put(&f->pieces, str_sub(list, 0, len)), 0);
        assert_false(pieces_is_whole(&f->pieces));
    }
    begin(f, PIECES_OF_WATCH);
    assert_true(pieces_is_whole(&f->pieces));
    assert_int_equal(pieces_put(&f->pieces, STR("{}\n{")), 0);
    assert_false(pieces_is_whole(&f->pieces));
}

static void a_piece_beyond_the_maximum_is_passed_over_and_the_next_comes(void **state)
{
    struct fixture *f = *state;
    char large[PIECE_MAX + 1];
    memset(large, '1', PIECE_MAX);
    large[PIECE_MAX] = '\0';
    char text[4 * PIECE_MAX], expected[4 * PIECE_MAX];
    /* The largest that fits, with its brackets; then one that is a byte larger. */
    snprintf(text, sizeof(text), "{\"items\":[{%.*s},{%.*s},{\"a\":1}]}", PIECE_MAX - 2, large,
             PIECE_MAX - 1, large);
    snprintf(expected, sizeof(expected), "I:{%.*s}|I:(too large)|I:{\"a\":1}|", PIECE_MAX - 2,
             large);
    assert_pieces(f, PIECES_OF_LIST, text, expected);
    snprintf(text, sizeof(text), "%s\n1%s\n{}\n", large, large);
    snprintf(expected, sizeof(expected), "L:%s|L:(too large)|L:{}|", large);
    assert_pieces(f, PIECES_OF_WATCH, text, expected);
    begin(f, PIECES_OF_WATCH);
    assert_int_equal(put_in_parts(f, str_from_cstr(text), 0, PIECE_MAX * 2), 0);
    assert_string_equal(f->log, expected);
}

static void what_the_taker_refuses_ends_it(void **state)
{
    struct fixture *f = *state;
    f->fail_after = 1;
    begin(f, PIECES_OF_WATCH);
    assert_int_equal(pieces_put(&f->pieces, STR("1\n2\n3\n")), -7);
    assert_string_equal(f->log, "L:1|");
    begin(f, PIECES_OF_LIST);
    assert_int_equal(pieces_put(&f->pieces, STR("{\"items\":[{\"a\":1},{\"b\":2}]}")), -7);
    assert_string_equal(f->log, "I:{\"a\":1}|");
}

static void a_long_list_takes_no_more_memory_than_its_largest_item(void **state)
{
    struct fixture *f = *state;
    f->fail_after = SIZE_MAX;
    begin(f, PIECES_OF_LIST);
    assert_int_equal(pieces_put(&f->pieces, STR("{\"items\":[{}")), 0);
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(pieces_put(&f->pieces, STR(",{\"name\":\"a name")), 0);
        assert_int_equal(pieces_put(&f->pieces, STR(" of an item\"}")), 0);
        f->log_len = 0;
    }
    assert_true(f->mem.peak_bytes < 1024);
}

static bool cut_a_list(const struct mem *mem, void *ctx)
{
    (void)ctx;
    struct fixture f = {0};
    pieces_init(&f.pieces, mem, 4096, take, &f);
    pieces_begin(&f.pieces, PIECES_OF_LIST);
    struct str text = STR("{\"metadata\":{\"a\":1},\"items\":[{\"name\":\"long enough to need "
                          "a buffer that grows once or twice more than it was before\"}]}");
    int result = put_in_parts(&f, text, 0, 10);
    assert_true(result == 0 || result == PIECES_NO_MEMORY);
    pieces_done(&f.pieces);
    return result == 0;
}

static void a_failed_allocation_is_reported(void **state)
{
    (void)state;
    test_every_allocation_failing(cut_a_list, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_lines_of_a_watch_are_found_however_they_are_cut),
        TEST(the_items_of_a_list_are_found_however_they_are_cut),
        TEST(what_is_no_list_is_malformed),
        TEST(what_is_cut_off_is_not_whole),
        TEST(a_piece_beyond_the_maximum_is_passed_over_and_the_next_comes),
        TEST(what_the_taker_refuses_ends_it),
        TEST(a_long_list_takes_no_more_memory_than_its_largest_item),
        cmocka_unit_test(a_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
