/* Errors. */
#include "unit/support.h"

#include "base/err.h"
#include "base/utf8.h"

#include <stdio.h>
#include <wchar.h>

static void setting_fills_everything_and_returns_minus_one(void **state)
{
    (void)state;
    struct err err;
    memset(&err, 'x', sizeof(err));
    assert_int_equal(err_set(&err, 422, "%s must be at least %d", "replicas", 1), -1);
    assert_int_equal(err.code, 422);
    assert_int_equal(err.reason, ERR_INVALID);
    assert_string_equal(err.field, "");
    assert_string_equal(err.message, "replicas must be at least 1");
}

static void a_new_message_may_be_made_from_the_old_one(void **state)
{
    (void)state;
    struct err err;
    err_set(&err, 422, "no such file");
    snprintf(err.field, sizeof(err.field), "spec");
    err_set(&err, 500, "%s: %s", err.field, err.message);
    assert_string_equal(err.message, "spec: no such file");
    assert_string_equal(err.field, "");
}

static void wrapping_puts_the_context_in_front(void **state)
{
    (void)state;
    struct err err;
    err_set(&err, 404, "not found");
    err.reason = ERR_NOT_FOUND;
    snprintf(err.field, sizeof(err.field), "spec.image");
    assert_int_equal(err_wrap(&err, "reading %s", "a.yaml"), -1);
    assert_int_equal(err_wrap(&err, "lint"), -1);
    assert_string_equal(err.message, "lint: reading a.yaml: not found");
    assert_int_equal(err.code, 404);
    assert_int_equal(err.reason, ERR_NOT_FOUND);
    assert_string_equal(err.field, "spec.image");
    err_wrap(&err, "%s", err.message);
    assert_string_equal(err.message, "lint: reading a.yaml: not found: "
                                     "lint: reading a.yaml: not found");
}

static void want_of_memory_has_its_own_code(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_no_memory(&err, "decoding"), -1);
    assert_int_equal(err.code, 507);
    assert_non_null(strstr(err.message, "decoding: out of memory"));
}

/* Cut text must end with the ellipsis, be valid UTF-8 and lose no more than it must. */
static void assert_cut(const char *message, size_t size)
{
    size_t len = strlen(message);
    assert_in_range(len, size - 1 - 4, size - 1);
    assert_string_equal(message + len - 3, "…");
    assert_true(utf8_is_valid((struct str){message, len}));
}

static void long_messages_are_cut_between_characters(void **state)
{
    (void)state;
    static const char *const characters[] = {"x", "é", "€", "😀"};
    for (size_t c = 0; c < 4; c++) {
        for (size_t shift = 0; shift < 8; shift++) {
            char text[3000] = "";
            memset(text, '-', shift);
            for (size_t len = shift; len < 1000; len += strlen(characters[c]))
                strcat(text, characters[c]);
            struct err err;
            err_set(&err, 422, "%s", text);
            assert_cut(err.message, sizeof(err.message));
            err_wrap(&err, "context");
            assert_cut(err.message, sizeof(err.message));
            err_set(&err, 422, "short");
            err_wrap(&err, "%s", text);
            assert_cut(err.message, sizeof(err.message));
        }
    }
}

static void a_message_that_just_fits_is_whole(void **state)
{
    (void)state;
    char text[ERR_MESSAGE_MAX + 1];
    memset(text, 'x', sizeof(text));
    struct err err;
    text[ERR_MESSAGE_MAX - 1] = '\0';
    err_set(&err, 422, "%s", text);
    assert_string_equal(err.message, text);
    text[ERR_MESSAGE_MAX - 1] = 'x';
    text[ERR_MESSAGE_MAX] = '\0';
    err_set(&err, 422, "%s", text);
    assert_cut(err.message, sizeof(err.message));
    /* With its context: 2 bytes of ": " and 1 of "c". */
    text[ERR_MESSAGE_MAX - 4] = '\0';
    err_set(&err, 422, "%s", text);
    err_wrap(&err, "c");
    assert_int_equal(strlen(err.message), ERR_MESSAGE_MAX - 1);
    assert_null(strstr(err.message, "…"));
}

static void what_printf_cannot_print_is_left_out(void **state)
{
    (void)state;
    const wchar_t unprintable[] = {0x7FFFFFFF, 0};
    struct err err;
    memset(&err, 'x', sizeof(err));
    err_set(&err, 500, "a %ls", unprintable);
    assert_string_equal(err.message, "");
    err_set(&err, 500, "inner");
    err_wrap(&err, "a %ls", unprintable);
    assert_string_equal(err.message, ": inner");
}

static void every_reason_has_its_kubernetes_name(void **state)
{
    (void)state;
    static const struct {
        enum err_reason reason;
        const char *name;
    } rows[] = {
        {ERR_INVALID, "FieldValueInvalid"},     {ERR_REQUIRED, "FieldValueRequired"},
        {ERR_DUPLICATE, "FieldValueDuplicate"}, {ERR_NOT_SUPPORTED, "FieldValueNotSupported"},
        {ERR_FORBIDDEN, "FieldValueForbidden"}, {ERR_TOO_LONG, "FieldValueTooLong"},
        {ERR_TOO_MANY, "FieldValueTooMany"},    {ERR_TYPE, "FieldValueTypeInvalid"},
        {ERR_NOT_FOUND, "FieldValueNotFound"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(err_reason_name(rows[i].reason), rows[i].name);
}

static void paths_are_printed_as_users_write_them(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, mem_system(), 4096, 1 << 20);
    assert_str_is(path_print(NULL, &arena), "");
    struct path spec = path_field(NULL, STR("spec"));
    assert_str_is(path_print(&spec, &arena), "spec");
    struct path steps = path_field(&spec, STR("steps"));
    struct path third = path_index(&steps, 3);
    struct path when = path_field(&third, STR("when"));
    assert_str_is(path_print(&when, &arena), "spec.steps[3].when");
    struct path nested = path_index(&third, 0);
    assert_str_is(path_print(&nested, &arena), "spec.steps[3][0]");
    struct path index = path_index(NULL, 12);
    assert_str_is(path_print(&index, &arena), "[12]");

    static const struct {
        struct str key;
        const char *shown;
    } rows[] = {
        {STR_INIT("a.b"), "spec[\"a.b\"]"},  {STR_INIT(""), "spec[\"\"]"},
        {STR_INIT("a/b"), "spec[\"a/b\"]"},  {STR_INIT("é"), "spec[\"é\"]"},
        {STR_INIT("aZ09-_"), "spec.aZ09-_"}, {STR_INIT("a b"), "spec[\"a b\"]"},
        {STR_INIT("a["), "spec[\"a[\"]"},    {STR_INIT("a@"), "spec[\"a@\"]"},
        {STR_INIT("a`"), "spec[\"a`\"]"},    {STR_INIT("a{"), "spec[\"a{\"]"},
        {STR_INIT("a:"), "spec[\"a:\"]"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct path key = path_field(&spec, rows[i].key);
        assert_str_is(path_print(&key, &arena), rows[i].shown);
    }
    arena_done(&arena);
}

static void a_long_key_is_cut_and_the_path_stays(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, mem_system(), 4096, 1 << 20);
    static char text[10000];
    memset(text, 'k', sizeof(text));
    struct path spec = path_field(NULL, STR("spec"));
    struct path key = path_field(&spec, (struct str){text, sizeof(text)});
    struct path field = path_field(&key, STR("x"));
    struct str printed = path_print(&field, &arena);
    assert_true(str_starts_with(printed, STR("spec.kkk")));
    assert_true(str_ends_with(printed, STR("kkk….x")));
    assert_int_equal(printed.len, 5 + 320 + 3 + 2);
    memset(text, '.', sizeof(text));
    printed = path_print(&field, &arena);
    assert_true(str_ends_with(printed, STR("...…\"].x")));
    arena_done(&arena);
}

static void a_path_of_the_deepest_object_is_whole(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, mem_system(), 4096, 1 << 20);
    char text[320];
    memset(text, '.', sizeof(text));
    struct path levels[64];
    for (size_t i = 0; i < 64; i++)
        levels[i] = path_field(i ? &levels[i - 1] : NULL, (struct str){text, sizeof(text)});
    assert_int_equal(path_print(&levels[63], &arena).len, 64 * (320 + 4));
    arena_done(&arena);
}

static void without_memory_a_path_is_absent(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, mem_system(), 4096, 0);
    struct path spec = path_field(NULL, STR("spec"));
    assert_false(str_is_set(path_print(&spec, &arena)));
    arena_done(&arena);
}

static void a_list_keeps_the_order_of_discovery(void **state)
{
    (void)state;
    struct arena arena;
    struct err_list list;
    arena_init(&arena, mem_system(), 4096, 1 << 20);
    err_list_init(&list, &arena, ERR_LIST_MAX);
    assert_true(err_list_is_empty(&list));
    struct path spec = path_field(NULL, STR("spec"));
    err_list_add(&list, &spec, 7, ERR_REQUIRED, "is %s", "missing");
    err_list_add(&list, NULL, 0, ERR_TYPE, "100%% wrong");
    assert_false(err_list_is_empty(&list));
    assert_int_equal(list.count, 2);
    const struct err_item *item = list.first;
    assert_str_is(item->field, "spec");
    assert_str_is(item->message, "is missing");
    assert_int_equal(item->line, 7);
    assert_int_equal(item->reason, ERR_REQUIRED);
    item = item->next;
    assert_str_is(item->field, "");
    assert_str_is(item->message, "100% wrong");
    assert_int_equal(item->line, 0);
    assert_int_equal(item->reason, ERR_TYPE);
    assert_null(item->next);
    arena_done(&arena);
}

static void a_list_counts_what_is_beyond_its_bound(void **state)
{
    (void)state;
    struct arena arena;
    struct err_list list;
    arena_init(&arena, mem_system(), 4096, 1 << 20);
    err_list_init(&list, &arena, 2);
    for (int i = 0; i < 5; i++)
        err_list_add(&list, NULL, 0, ERR_INVALID, "%d", i);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.dropped, 3);
    assert_str_is(list.first->next->message, "1");
    assert_null(list.first->next->next);
    err_list_init(&list, &arena, 0);
    err_list_add(&list, NULL, 0, ERR_INVALID, "x");
    assert_int_equal(list.dropped, 1);
    assert_false(err_list_is_empty(&list));
    arena_done(&arena);
}

static void a_long_message_of_a_list_is_cut(void **state)
{
    (void)state;
    struct arena arena;
    struct err_list list;
    arena_init(&arena, mem_system(), 4096, 1 << 20);
    err_list_init(&list, &arena, 2);
    err_list_add(&list, NULL, 0, ERR_INVALID, "%*d", 5000, 1);
    assert_true(list.first->message.len < 2100);
    assert_true(str_ends_with(list.first->message, STR("…")));
    arena_done(&arena);
}

/* A list in little memory: nothing may be lost without a sign. */
static bool find_errors(const struct mem *mem, void *ctx)
{
    (void)ctx;
    struct arena arena;
    struct err_list list;
    arena_init(&arena, mem, 64, 1 << 20);
    err_list_init(&list, &arena, 10);
    struct path spec = path_field(NULL, STR("spec"));
    struct path field = path_field(&spec, STR("field"));
    for (int i = 0; i < 3; i++)
        err_list_add(&list, &field, 0, ERR_INVALID, "%d", i);
    size_t items = 0;
    for (const struct err_item *item = list.first; item; item = item->next) {
        assert_str_is(item->field, "spec.field");
        items++;
    }
    assert_int_equal(items, list.count);
    assert_false(err_list_is_empty(&list));
    bool complete = !list.out_of_memory;
    assert_int_equal(complete, list.count == 3);
    arena_done(&arena);
    return complete;
}

static void an_error_lost_for_want_of_memory_leaves_a_sign(void **state)
{
    (void)state;
    test_every_allocation_failing(find_errors, NULL);
}

static void texts_of_a_list_hold_no_control_characters(void **state)
{
    (void)state;
    struct arena arena;
    struct err_list list;
    arena_init(&arena, mem_system(), 1024, 64 * 1024);
    err_list_init(&list, &arena, 4);
    struct path metadata = path_field(NULL, STR("metadata"));
    struct path key = path_field(&metadata, STR("a\x1B[31m\nb\x7F"));
    err_list_add(&list, &key, 1, ERR_INVALID, "\"%s\" is é\t", "x\r\ny");
    assert_str_is(list.first->field, "metadata[\"a?[31m?b?\"]");
    assert_str_is(list.first->message, "\"x??y\" is é?");
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setting_fills_everything_and_returns_minus_one),
        cmocka_unit_test(a_new_message_may_be_made_from_the_old_one),
        cmocka_unit_test(wrapping_puts_the_context_in_front),
        cmocka_unit_test(want_of_memory_has_its_own_code),
        cmocka_unit_test(long_messages_are_cut_between_characters),
        cmocka_unit_test(a_message_that_just_fits_is_whole),
        cmocka_unit_test(what_printf_cannot_print_is_left_out),
        cmocka_unit_test(every_reason_has_its_kubernetes_name),
        cmocka_unit_test(paths_are_printed_as_users_write_them),
        cmocka_unit_test(a_long_key_is_cut_and_the_path_stays),
        cmocka_unit_test(a_path_of_the_deepest_object_is_whole),
        cmocka_unit_test(without_memory_a_path_is_absent),
        cmocka_unit_test(a_list_keeps_the_order_of_discovery),
        cmocka_unit_test(a_list_counts_what_is_beyond_its_bound),
        cmocka_unit_test(a_long_message_of_a_list_is_cut),
        cmocka_unit_test(texts_of_a_list_hold_no_control_characters),
        cmocka_unit_test(an_error_lost_for_want_of_memory_leaves_a_sign),
    };
    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
