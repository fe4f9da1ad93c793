/* The values of flags. */
#include "base/flags_value.h"

#include <stdio.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* From the largest on. */
static const struct unit durations[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct unit sizes[] = {
    {"Ti", INT64_C(1) << 40},
    {"Gi", 1 << 30},
    {"Mi", 1 << 20},
    {"Ki", 1 << 10},
    {"T", INT64_C(1000000000000)},
    {"G", 1000000000},
    {"M", 1000000},
    {"k", 1000},
    {"", 1},
};

enum {
    DURATION_COUNT = sizeof(durations) / sizeof(durations[0]),
    SIZE_COUNT = sizeof(sizes) / sizeof(sizes[0]),
    BINARY_SIZE_COUNT = 4,
};

/* Takes digits and then what is no digit off the front of *s. */
static bool take_number_and_unit(struct str *s, int64_t *ret_number, struct str *ret_unit)
{
    size_t digits = 0;
    while (digits < s->len && s->ptr[digits] >= '0' && s->ptr[digits] <= '9')
        digits++;
    size_t end = digits;
    while (end < s->len && !(s->ptr[end] >= '0' && s->ptr[end] <= '9'))
        end++;
    *ret_unit = str_sub(*s, digits, end - digits);
    bool is_number = str_to_int64(str_sub(*s, 0, digits), ret_number);
    *s = str_sub(*s, end, s->len);
    return is_number;
}

/* The place of a unit at or behind `first`; -1 when there is none. */
static int find_unit(const struct unit *units, int first, int count, struct str name)
{
    for (int i = first; i < count; i++) {
        if (str_eq_cstr(name, units[i].name))
            return i;
    }
    return -1;
}

/* "1h30m": numbers with falling units. */
static bool parse_duration(struct str text, int64_t *ret_ms)
{
    if (str_eq(text, STR("0"))) {
        *ret_ms = 0;
        return true;
    }
    int64_t sum = 0;
    int next = 0;
    do {
        int64_t number;
        struct str name;
        if (!take_number_and_unit(&text, &number, &name))
            return false;
        int unit = find_unit(durations, next, DURATION_COUNT, name);
        if (unit < 0 || __builtin_mul_overflow(number, durations[unit].factor, &number) ||
            __builtin_add_overflow(sum, number, &sum))
            return false;
        next = unit + 1;
    } while (text.len > 0);
    *ret_ms = sum;
    return true;
}

static bool parse_size(struct str text, int64_t *ret_bytes)
{
    int64_t number;
    struct str name;
    if (!take_number_and_unit(&text, &number, &name) || text.len > 0)
        return false;
    int unit = find_unit(sizes, 0, SIZE_COUNT, name);
    if (unit < 0 || __builtin_mul_overflow(number, sizes[unit].factor, &number))
        return false;
    *ret_bytes = number;
    return true;
}

bool flag_has_range(const struct flag *flag)
{
    return flag->min != 0 || flag->max != 0;
}

/* A limit as a user would write it: "10s", "7Mi", "5". */
static void print_limit(const struct flag *flag, int64_t value, char *to, size_t size)
{
    const struct unit *units = flag->type == FLAG_DURATION ? durations : sizes;
    int count = flag->type == FLAG_DURATION ? DURATION_COUNT
                : flag->type == FLAG_SIZE   ? BINARY_SIZE_COUNT
                                            : 0;
    const struct unit *unit = NULL;
    for (int i = 0; i < count && !unit; i++) {
        if (value != 0 && value % units[i].factor == 0)
            unit = &units[i];
    }
    snprintf(to, size, "%lld%s", (long long)(unit ? value / unit->factor : value),
             unit ? unit->name : "");
}

void flag_print_range(const struct flag *flag, char to[FLAG_RANGE_SIZE])
{
    char min[24], max[24];
    print_limit(flag, flag->min, min, sizeof(min));
    print_limit(flag, flag->max, max, sizeof(max));
    if (flag->max == INT64_MAX)
        snprintf(to, FLAG_RANGE_SIZE, "at least %s", min);
    else
        snprintf(to, FLAG_RANGE_SIZE, "%s to %s", min, max);
}

static int set_number(const struct flag *flag, const char *text, int64_t *to, struct err *err)
{
    static const char *const kinds[] = {
        [FLAG_INT] = "integer",
        [FLAG_DURATION] = "duration (such as 500ms, 10s, 2m, 1h30m)",
        [FLAG_SIZE] = "size (such as 512, 64Ki, 7Mi, 1Gi)",
    };
    struct str s = str_from_cstr(text);
    int64_t value = 0;
    bool is_right = flag->type == FLAG_DURATION ? parse_duration(s, &value)
                    : flag->type == FLAG_SIZE   ? parse_size(s, &value)
                                                : str_to_int64(s, &value);
    if (!is_right)
        return err_set(err, 400, "--%s: \"%s\" is no %s", flag->name, text, kinds[flag->type]);
    if (!flag_has_range(flag) || (value >= flag->min && value <= flag->max)) {
        *to = value;
        return 0;
    }
    char range[FLAG_RANGE_SIZE];
    flag_print_range(flag, range);
    return err_set(err, 400, "--%s: %s is out of range, which is %s", flag->name, text, range);
}

static int set_bool(const struct flag *flag, const char *text, bool *to, struct err *err)
{
    bool is_true = strcmp(text, "true") == 0;
    if (!is_true && strcmp(text, "false") != 0)
        return err_set(err, 400, "--%s: \"%s\" is neither true nor false", flag->name, text);
    *to = is_true;
    return 0;
}

static int fail_unknown_value(const struct flag *flag, const char *text, struct err *err)
{
    enum { VALUES_MAX = 32 };
    struct str names[VALUES_MAX];
    char list[256] = "";
    size_t count = 0, len = 0;
    for (; flag->values[count] && count < VALUES_MAX; count++) {
        names[count] = str_from_cstr(flag->values[count]);
        if (len < sizeof(list))
            len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", count ? ", " : "",
                                    flag->values[count]);
    }
    struct str nearest = str_nearest(str_from_cstr(text), names, count);
    if (str_is_set(nearest))
        return err_set(err, 400, "--%s: \"%s\" is not one of %s; did you mean %" PRIstr "?",
                       flag->name, text, list, STR_ARG(nearest));
    return err_set(err, 400, "--%s: \"%s\" is not one of %s", flag->name, text, list);
}

/* Enums and int have one representation, which is copied so that both may be meant. */
static int set_enum(const struct flag *flag, const char *text, void *to, struct err *err)
{
    for (int i = 0; flag->values[i]; i++) {
        if (strcmp(flag->values[i], text) == 0) {
            memcpy(to, &i, sizeof(i));
            return 0;
        }
    }
    return fail_unknown_value(flag, text, err);
}

int flag_set_value(const struct flag *flag, const char *text, char *options, struct err *err)
{
    void *to = options + flag->offset;
    switch (flag->type) {
    case FLAG_BOOL:
        return set_bool(flag, text, to, err);
    case FLAG_INT:
    case FLAG_DURATION:
    case FLAG_SIZE:
        return set_number(flag, text, to, err);
    case FLAG_ENUM:
        return set_enum(flag, text, to, err);
    case FLAG_STRING:
        *(const char **)to = text;
        return 0;
    }
    __builtin_unreachable();
}

int flag_set_default(const struct flag *flag, char *options, struct err *err)
{
    if (flag->default_text)
        return flag_set_value(flag, flag->default_text, options, err);
    static const size_t widths[] = {
        [FLAG_BOOL] = sizeof(bool),        [FLAG_INT] = sizeof(int64_t),
        [FLAG_DURATION] = sizeof(int64_t), [FLAG_SIZE] = sizeof(int64_t),
        [FLAG_ENUM] = sizeof(int),         [FLAG_STRING] = sizeof(char *),
    };
    memset(options + flag->offset, 0, widths[flag->type]);
    return 0;
}
