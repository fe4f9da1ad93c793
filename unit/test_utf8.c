/* UTF-8. */
#include "unit/support.h"

#include "base/utf8.h"

static void every_code_point_is_decoded(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0x110000; code++) {
        char text[4];
        size_t len;
        if (code < 0x80) {
            text[0] = (char)code;
            len = 1;
        } else if (code < 0x800) {
            text[0] = (char)(0xC0 | code >> 6);
            len = 2;
        } else if (code < 0x10000) {
            text[0] = (char)(0xE0 | code >> 12);
            len = 3;
        } else {
            text[0] = (char)(0xF0 | code >> 18);
            len = 4;
        }
        for (size_t i = 1; i < len; i++)
            text[i] = (char)(0x80 | (code >> (6 * (len - 1 - i)) & 0x3F));
        bool allowed = code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
        uint32_t decoded = 7;
        assert_int_equal(utf8_decode((struct str){text, len}, &decoded), allowed ? len : 0);
        assert_int_equal(decoded, allowed ? code : 7);
        /* Too short, it is none. */
        if (len > 1)
            assert_int_equal(utf8_decode((struct str){text, len - 1}, &decoded), 0);
    }
}

static void wrong_bytes_are_no_character(void **state)
{
    (void)state;
    static const struct str rows[] = {
        {NULL, 0},
        STR_INIT(""),
        STR_INIT("\x80"),
        STR_INIT("\xBF"),
        STR_INIT("\xC0\x80"), /* overlong */
        STR_INIT("\xC1\xBF"),
        STR_INIT("\xE0\x9F\xBF"),
        STR_INIT("\xF0\x8F\xBF\xBF"),
        STR_INIT("\xC3z"), /* no continuation */
        STR_INIT("\xE2\x82z"),
        STR_INIT("\xF0\x9F\x98z"),
        STR_INIT("\xC3\xC3"),
        STR_INIT("\xF8\x88\x80\x80\x80"),
        STR_INIT("\xFF"),
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t code = 7;
        assert_int_equal(utf8_decode(rows[i], &code), 0);
        assert_int_equal(code, 7);
        assert_int_equal(utf8_is_valid(rows[i]), rows[i].len == 0);
    }
    assert_true(utf8_is_valid(STR("a\0é€😀")));
    assert_false(utf8_is_valid(STR("aé\xFF")));
}

static void text_is_cut_between_characters(void **state)
{
    (void)state;
    struct str s = STR("aé€😀z"); /* 1 + 2 + 3 + 4 + 1 bytes */
    static const size_t kept[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    for (size_t max = 0; max < sizeof(kept) / sizeof(kept[0]); max++)
        assert_str_equal(utf8_cut(s, max), str_sub(s, 0, kept[max]));
    assert_int_equal(utf8_cut(STR("\x80\x80\x80"), 2).len, 0);
    assert_false(str_is_set(utf8_cut((struct str){NULL, 0}, 5)));
}

static void characters_are_counted(void **state)
{
    (void)state;
    assert_int_equal(utf8_count(STR("")), 0);
    assert_int_equal(utf8_count(STR("aé€😀z")), 5);
    assert_int_equal(utf8_count(STR("a\xFF\xC3")), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_decoded),
        cmocka_unit_test(wrong_bytes_are_no_character),
        cmocka_unit_test(text_is_cut_between_characters),
        cmocka_unit_test(characters_are_counted),
    };
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
