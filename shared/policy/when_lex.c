/* The lexer of conditions. */
#include "policy/when_lex.h"

#include "base/utf8.h"

#include <stdio.h>

int when_fail(const struct when_lexer *lexer, size_t at, const char *fmt, ...)
{
    char what[ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    /* A text that was cut here is cut again, with a mark, in err_set(). */
    return err_set(lexer->err, 422, "column %zu: %s", utf8_count(str_sub(lexer->text, 0, at)) + 1,
                   len < 0 ? "" : what);
}

static struct str rest_at(const struct when_lexer *lexer, size_t at)
{
    return str_sub(lexer->text, at, lexer->text.len);
}

static int take(struct when_lexer *lexer, enum when_token_kind kind, size_t len,
                struct when_token *ret)
{
    *ret = (struct when_token){
        .kind = kind,
        .at = (uint32_t)lexer->at,
        .text = str_sub(lexer->text, lexer->at, len),
    };
    lexer->at += len;
    return 0;
}

/* ---- Strings ---- */

static bool contains(struct str s, struct str part)
{
    return s.len > 0 && memmem(s.ptr, s.len, part.ptr, part.len) != NULL;
}

/* The string's text without its escapes; a view of the source when there are none. */
static int unescape(struct when_lexer *lexer, struct str raw, struct str *ret)
{
    *ret = raw;
    if (str_find(raw, '\\') < 0)
        return 0;
    char *to = arena_alloc(lexer->arena, raw.len);
    if (!to)
        return err_no_memory(lexer->err, "reading a condition");
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.ptr[i] == '\\')
            i++;
        to[len++] = raw.ptr[i];
    }
    *ret = (struct str){to, len};
    return 0;
}

static int lex_string(struct when_lexer *lexer, struct when_token *ret)
{
    struct str rest = rest_at(lexer, lexer->at);
    size_t end = 1;
    while (end < rest.len && rest.ptr[end] != rest.ptr[0]) {
        if (rest.ptr[end] != '\\') {
            end++;
            continue;
        }
        if (end + 1 < rest.len && !memchr("\\'\"", rest.ptr[end + 1], 3))
            return when_fail(lexer, lexer->at + end,
                             "a backslash can only be before \\, ' or \"; write \\\\ for one");
        end += 2;
    }
    if (end >= rest.len)
        return when_fail(lexer, lexer->at, "string without end: a second %c is missing",
                         rest.ptr[0]);
    struct str raw = str_sub(rest, 1, end - 1);
    if (!utf8_is_valid(raw))
        return when_fail(lexer, lexer->at, "the string is not valid UTF-8");
    if (contains(raw, STR("{{")) || contains(raw, STR("${parameters.")) ||
        contains(raw, STR("${steps.")))
        return when_fail(lexer, lexer->at,
                         "a template in quotes is only text here; write the name without quotes "
                         "and braces, such as parameters.env == 'prod'");
    take(lexer, WHEN_TOKEN_STRING, end + 1, ret);
    return unescape(lexer, raw, &ret->value);
}

/* ---- Words and numbers ---- */

static size_t count_name_chars(struct str s)
{
    size_t len = 0;
    while (len < s.len && scope_is_name_char(s.ptr[len]))
        len++;
    return len;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t count_digits(struct str s)
{
    size_t len = 0;
    while (len < s.len && is_digit(s.ptr[len]))
        len++;
    return len;
}

static int lex_number(struct when_lexer *lexer, struct when_token *ret)
{
    struct str rest = rest_at(lexer, lexer->at);
    bool has_sign = !is_digit(rest.ptr[0]) && rest.ptr[0] != '.';
    struct str all =
        str_sub(rest, 0, has_sign + count_name_chars(str_sub(rest, has_sign, rest.len)));
    struct str digits = str_sub(all, has_sign, all.len);
    size_t len = count_digits(digits);
    bool is_number = len > 0;
    if (is_number && len < digits.len) {
        size_t fraction = count_digits(str_sub(digits, len + 1, digits.len));
        is_number = digits.ptr[len] == '.' && fraction > 0 && len + 1 + fraction == digits.len;
    }
    if (!is_number)
        return when_fail(lexer, lexer->at,
                         "\"%" PRIstr "\" is no number; numbers are decimal, such as -3 or 0.25",
                         STR_ARG(utf8_cut(all, 63)));
    return take(lexer, WHEN_TOKEN_NUMBER, all.len, ret);
}

/* ---- Signs ---- */

/* The longer of two that begin alike comes first. */
static const struct sign {
    char text[3];
    uint8_t len;
    enum when_token_kind kind;
} signs[] = {
    {"(", 1, WHEN_TOKEN_LEFT},      {")", 1, WHEN_TOKEN_RIGHT},
    {"{{", 2, WHEN_TOKEN_TEMPLATE}, {"}}", 2, WHEN_TOKEN_TEMPLATE_END},
    {"&&", 2, WHEN_TOKEN_AND},      {"||", 2, WHEN_TOKEN_OR},
    {"==", 2, WHEN_TOKEN_EQ},       {"!=", 2, WHEN_TOKEN_NE},
    {"!", 1, WHEN_TOKEN_NOT},       {"<=", 2, WHEN_TOKEN_LE},
    {"<", 1, WHEN_TOKEN_LT},        {">=", 2, WHEN_TOKEN_GE},
    {">", 1, WHEN_TOKEN_GT},
};

/* The sign at the front of a text that is not empty, or NULL. */
static const struct sign *find_sign(struct str rest)
{
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        if (rest.ptr[0] == signs[i].text[0] &&
            (signs[i].len == 1 || (rest.len > 1 && rest.ptr[1] == signs[i].text[1])))
            return &signs[i];
    }
    return NULL;
}

/* What people write for something that exists. */
static const struct {
    struct str text;
    const char *hint;
} slips[] = {
    {STR_INIT("="), "; equality is =="},
    {STR_INIT("&"), "; \"and\" is &&"},
    {STR_INIT("|"), "; \"or\" is ||"},
    {STR_INIT("‘"), "; strings are in plain quotes, ' or \""},
    {STR_INIT("’"), "; strings are in plain quotes, ' or \""},
    {STR_INIT("“"), "; strings are in plain quotes, ' or \""},
    {STR_INIT("”"), "; strings are in plain quotes, ' or \""},
    {STR_INIT("`"), "; strings are in ' or \""},
    {STR_INIT("{"), "; a template begins with {{"},
    {STR_INIT("}"), "; a template ends with }}"},
    {STR_INIT("$"), "; write parameters.NAME or steps.STEP.outputs.NAME as it is"},
};

static int fail_character(const struct when_lexer *lexer)
{
    struct str rest = rest_at(lexer, lexer->at);
    const char *hint = "";
    for (size_t i = 0; i < sizeof(slips) / sizeof(slips[0]); i++) {
        if (str_starts_with(rest, slips[i].text))
            hint = slips[i].hint;
    }
    uint32_t code;
    size_t len = utf8_decode(rest, &code);
    if (len == 0)
        return when_fail(lexer, lexer->at, "the text is not valid UTF-8 here");
    if (code < ' ' || (code >= 0x7F && code < 0xA0))
        return when_fail(lexer, lexer->at, "unexpected character U+%04X", code);
    return when_fail(lexer, lexer->at, "unexpected \"%" PRIstr "\"%s",
                     STR_ARG(str_sub(rest, 0, len)), hint);
}

int when_lex(struct when_lexer *lexer, struct when_token *ret)
{
    struct str text = lexer->text;
    while (lexer->at < text.len && memchr(" \t\r\n", text.ptr[lexer->at], 4))
        lexer->at++;
    struct str rest = rest_at(lexer, lexer->at);
    if (rest.len == 0)
        return take(lexer, WHEN_TOKEN_END, 0, ret);
    const struct sign *sign = find_sign(rest);
    if (sign)
        return take(lexer, sign->kind, sign->len, ret);
    char c = rest.ptr[0];
    if (c == '\'' || c == '"')
        return lex_string(lexer, ret);
    bool is_number =
        is_digit(c) || c == '-' || c == '+' || (c == '.' && rest.len > 1 && is_digit(rest.ptr[1]));
    if (is_number)
        return lex_number(lexer, ret);
    size_t len = count_name_chars(rest);
    if (len > 0)
        return take(lexer, WHEN_TOKEN_WORD, len, ret);
    return fail_character(lexer);
}
