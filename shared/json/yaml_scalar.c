/* Resolving plain scalars of YAML. */
#include "json/yaml_scalar.h"

#include <stdio.h>

static const struct {
    struct str text;
    struct yaml_scalar means;
} words[] = {
#define WORD(word, ...) \
    {                   \
        STR_INIT(word), \
        {               \
            __VA_ARGS__ \
        }               \
    }
    WORD("", .kind = YAML_SCALAR_NULL),
    WORD("~", .kind = YAML_SCALAR_NULL),
    WORD("null", .kind = YAML_SCALAR_NULL),
    WORD("Null", .kind = YAML_SCALAR_NULL),
    WORD("NULL", .kind = YAML_SCALAR_NULL),
    WORD("y", .kind = YAML_SCALAR_BOOL, .boolean = true),
    WORD("Y", .kind = YAML_SCALAR_BOOL, .boolean = true),
    WORD("yes", .kind = YAML_SCALAR_BOOL, .boolean = true),
    WORD("Yes", .kind = YAML_SCALAR_BOOL, .boolean = true),
    WORD("YES", .kind = YAML_SCALAR_BOOL, .boolean = true),
    WORD("true", .kind = YAML_SCALAR_BOOL, .boolean = true),
    WORD("True", .kind = YAML_SCALAR_BOOL, .boolean = true),
    WORD("TRUE", .kind = YAML_SCALAR_BOOL, .boolean = true),
    WORD("on", .kind = YAML_SCALAR_BOOL, .boolean = true),
    WORD("On", .kind = YAML_SCALAR_BOOL, .boolean = true),
    WORD("ON", .kind = YAML_SCALAR_BOOL, .boolean = true),
    WORD("n", .kind = YAML_SCALAR_BOOL),
    WORD("N", .kind = YAML_SCALAR_BOOL),
    WORD("no", .kind = YAML_SCALAR_BOOL),
    WORD("No", .kind = YAML_SCALAR_BOOL),
    WORD("NO", .kind = YAML_SCALAR_BOOL),
    WORD("false", .kind = YAML_SCALAR_BOOL),
    WORD("False", .kind = YAML_SCALAR_BOOL),
    WORD("FALSE", .kind = YAML_SCALAR_BOOL),
    WORD("off", .kind = YAML_SCALAR_BOOL),
    WORD("Off", .kind = YAML_SCALAR_BOOL),
    WORD("OFF", .kind = YAML_SCALAR_BOOL),
    WORD(".nan", .kind = YAML_SCALAR_INFINITE),
    WORD(".NaN", .kind = YAML_SCALAR_INFINITE),
    WORD(".NAN", .kind = YAML_SCALAR_INFINITE),
    WORD(".inf", .kind = YAML_SCALAR_INFINITE),
    WORD(".Inf", .kind = YAML_SCALAR_INFINITE),
    WORD(".INF", .kind = YAML_SCALAR_INFINITE),
    WORD("+.inf", .kind = YAML_SCALAR_INFINITE),
    WORD("+.Inf", .kind = YAML_SCALAR_INFINITE),
    WORD("+.INF", .kind = YAML_SCALAR_INFINITE),
    WORD("-.inf", .kind = YAML_SCALAR_INFINITE),
    WORD("-.Inf", .kind = YAML_SCALAR_INFINITE),
    WORD("-.INF", .kind = YAML_SCALAR_INFINITE),
#undef WORD
};

enum { WORD_MAX = 5 };

static struct yaml_scalar resolve_float(struct str text)
{
    struct yaml_scalar scalar = {.kind = YAML_SCALAR_STRING};
    double value;
    /* What is beyond a double stays a string. */
    if (number_to_double(text, &value)) {
        scalar.kind = YAML_SCALAR_FLOAT;
        scalar.len = number_print(value, scalar.number);
    }
    return scalar;
}

/* Digits in a base; false when there are none, others, or too many. */
static bool parse_digits(struct str text, unsigned base, uint64_t *ret)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0')
                         : (c | 0x20) >= 'a' && (c | 0x20) <= 'f'
                             ? (unsigned)((c | 0x20) - 'a') + 10
                             : 16;
        if (digit >= base || __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *ret = value;
    return text.len > 0;
}

/* As Go's strconv.ParseUint with base 0: 0x, 0o, 0b or a leading 0 give the base. */
static bool parse_magnitude(struct str text, uint64_t *ret)
{
    if (text.len == 0 || text.ptr[0] != '0')
        return parse_digits(text, 10, ret);
    char prefix = text.len >= 3 ? (char)(text.ptr[1] | 0x20) : '\0';
    unsigned base = prefix == 'b' ? 2 : prefix == 'o' ? 8 : prefix == 'x' ? 16 : 0;
    return base ? parse_digits(str_sub(text, 2, text.len), base, ret)
                : parse_digits(text, 8, ret); /* the leading 0 is a digit too */
}

/* As strconv.ParseInt, then ParseUint, which takes no sign. "0b" may have its sign behind it. */
static bool resolve_int(struct str text, struct yaml_scalar *scalar)
{
    struct str digits = text;
    bool binary = str_starts_with(text, STR("0b-")) || str_starts_with(text, STR("0b+"));
    if (binary)
        digits = str_sub(text, 2, text.len);
    bool sign = digits.ptr[0] == '-' || digits.ptr[0] == '+';
    bool negative = digits.ptr[0] == '-';
    digits = str_sub(digits, sign, digits.len);
    uint64_t magnitude;
    if (!(binary ? parse_digits(digits, 2, &magnitude) : parse_magnitude(digits, &magnitude)))
        return false;
    const uint64_t limit = negative ? (uint64_t)1 << 63 : sign ? INT64_MAX : UINT64_MAX;
    if (magnitude > limit)
        return false;
    scalar->kind = YAML_SCALAR_INT;
    scalar->len = (size_t)snprintf(scalar->number, sizeof(scalar->number), "%s%llu",
                                   negative && magnitude ? "-" : "", (unsigned long long)magnitude);
    return true;
}

static size_t count_digits(struct str text)
{
    size_t n = 0;
    while (n < text.len && text.ptr[n] >= '0' && text.ptr[n] <= '9')
        n++;
    return n;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_float(struct str text)
{
    text = str_sub(text, text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+'), text.len);
    size_t before = count_digits(text), after = 0;
    text = str_sub(text, before, text.len);
    if (text.len > 0 && text.ptr[0] == '.') {
        after = count_digits(str_sub(text, 1, text.len));
        text = str_sub(text, 1 + after, text.len);
    }
    if (before == 0 && after == 0)
        return false;
    if (text.len == 0)
        return true;
    if ((text.ptr[0] | 0x20) != 'e')
        return false;
    text = str_sub(text, 1, text.len);
    text = str_sub(text, text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+'), text.len);
    return text.len > 0 && count_digits(text) == text.len;
}

static bool is_numeric(char c)
{
    return (c >= '0' && c <= '9') || c == '_' || c == '.' || c == 'e' || c == 'E' || c == '-' ||
           c == '+';
}

/* A text that would be a number if numbers could be so long must not pass for a string. */
static struct yaml_scalar resolve_long(struct str text)
{
    struct yaml_scalar scalar = {.kind = YAML_SCALAR_TOO_LONG};
    for (size_t i = 0; i < text.len; i++) {
        if (!is_numeric(text.ptr[i]))
            scalar.kind = YAML_SCALAR_STRING;
    }
    return scalar;
}

static bool is_digit_at(struct str text, size_t i)
{
    return i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9';
}

/* Without underscores, into `to`. With `between_digits` one that is elsewhere stays and spoils the
 * number. */
static struct str drop_underscores(struct str text, bool between_digits,
                                   char to[static NUMBER_TEXT_MAX])
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool drop =
            text.ptr[i] == '_' &&
            (!between_digits || (i > 0 && is_digit_at(text, i - 1) && is_digit_at(text, i + 1)));
        if (!drop)
            to[len++] = text.ptr[i];
    }
    return (struct str){to, len};
}

/* A text that begins with a point, a sign or a digit. Behind a point, go.yaml.in/yaml leaves the
 * underscores to strconv.ParseFloat, which takes them between digits only. */
static struct yaml_scalar resolve_number(struct str text)
{
    char plain[NUMBER_TEXT_MAX];
    if (text.len > sizeof(plain))
        return resolve_long(text);
    bool point = text.ptr[0] == '.';
    struct str digits = drop_underscores(text, point, plain);
    struct yaml_scalar scalar = {.kind = YAML_SCALAR_STRING};
    if (digits.len == 0 || (!point && resolve_int(digits, &scalar)))
        return scalar;
    return is_float(digits) ? resolve_float(digits) : scalar;
}

struct yaml_scalar yaml_scalar_resolve(struct str text)
{
    for (size_t i = 0; text.len <= WORD_MAX && i < sizeof(words) / sizeof(words[0]); i++) {
        if (str_eq(words[i].text, text))
            return words[i].means;
    }
    switch (text.len > 0 ? text.ptr[0] : '\0') {
    case '0' ... '9':
    case '.':
    case '-':
    case '+':
        return resolve_number(text);
    default:
        return (struct yaml_scalar){.kind = YAML_SCALAR_STRING};
    }
}
