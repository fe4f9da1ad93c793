/* The machine's clocks, and RFC 3339. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t); /* cannot fail for these two */
    return (int64_t)t.tv_sec * CLOCK_NS_PER_SEC + t.tv_nsec;
}

static int64_t system_now_ns(void *ctx)
{
    (void)ctx;
    return read_clock(CLOCK_MONOTONIC);
}

static int64_t system_wall_ns(void *ctx)
{
    (void)ctx;
    return read_clock(CLOCK_REALTIME);
}

const struct clock *clock_system(void)
{
    static const struct clock system = {.now_ns = system_now_ns, .wall_ns = system_wall_ns};
    return &system;
}

/*
 * The calendar is computed here because gmtime_r() takes a lock inside the C library that every log
 * line would pass, and timegm() repairs wrong dates instead of refusing them.
 */
enum { SECONDS_PER_DAY = 86400 };
/* The whole years that fit into nanoseconds. */
enum { FIRST_YEAR = 1678, LAST_YEAR = 2261 };

static bool is_leap_year(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap_year(year));
}

/* From 1970-01-01 to the first of January of `year`. */
static int days_to_year(int year)
{
    int before = year - 1;
    int leap_days = before / 4 - before / 100 + before / 400;
    const int leap_days_to_1970 = 1969 / 4 - 1969 / 100 + 1969 / 400;
    return 365 * (year - 1970) + leap_days - leap_days_to_1970;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

struct str clock_print(int64_t wall_ns, enum clock_precision precision, char to[CLOCK_TEXT_SIZE])
{
    int64_t seconds = floor_div(wall_ns, CLOCK_NS_PER_SEC);
    int fraction_ns = (int)(wall_ns % CLOCK_NS_PER_SEC);
    if (fraction_ns < 0)
        fraction_ns += (int)CLOCK_NS_PER_SEC;
    int day = (int)floor_div(seconds, SECONDS_PER_DAY);
    int second = (int)(seconds - (int64_t)day * SECONDS_PER_DAY);

    int year = 1970 + day / 365; /* right or, because of leap days, a little late */
    while (days_to_year(year) > day)
        year--;
    day -= days_to_year(year);
    int month = 1;
    while (day >= days_in_month(year, month))
        day -= days_in_month(year, month++);

    int n = snprintf(to, CLOCK_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day + 1,
                     second / 3600, second / 60 % 60, second % 60);
    if (precision == CLOCK_MILLIS)
        n += snprintf(to + n, CLOCK_TEXT_SIZE - (size_t)n, ".%03d", fraction_ns / 1000000);
    else if (precision == CLOCK_MICROS)
        n += snprintf(to + n, CLOCK_TEXT_SIZE - (size_t)n, ".%06d", fraction_ns / 1000);
    to[n++] = 'Z';
    to[n] = '\0';
    return (struct str){to, (size_t)n};
}

/* Takes `digits` digits, a number from `min` to `max`, off the front of *s. */
static bool take_number(struct str *s, size_t digits, int min, int max, int *ret)
{
    if (s->len < digits)
        return false;
    int value = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = s->ptr[i];
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    if (value < min || value > max)
        return false;
    *s = str_sub(*s, digits, s->len);
    *ret = value;
    return true;
}

static bool take_char(struct str *s, char c)
{
    if (s->len == 0 || s->ptr[0] != c)
        return false;
    *s = str_sub(*s, 1, s->len);
    return true;
}

/* ".5" and the like; without a point there is no fraction. */
static bool take_fraction(struct str *s, int64_t *ret_ns)
{
    *ret_ns = 0;
    if (!take_char(s, '.'))
        return true;
    size_t digits = 0;
    int64_t weight = CLOCK_NS_PER_SEC / 10;
    int digit;
    while (take_number(s, 1, 0, 9, &digit)) {
        *ret_ns += digit * weight;
        weight /= 10;
        digits++;
    }
    return digits > 0;
}

/* "Z", "+02:00", "-07:30". */
static bool take_zone(struct str *s, int *ret_offset_seconds)
{
    *ret_offset_seconds = 0;
    if (take_char(s, 'Z'))
        return true;
    int sign = take_char(s, '-') ? -1 : 1;
    if (sign == 1 && !take_char(s, '+'))
        return false;
    int hours, minutes;
    if (!take_number(s, 2, 0, 24, &hours) || !take_char(s, ':') ||
        !take_number(s, 2, 0, 59, &minutes))
        return false;
    *ret_offset_seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

bool clock_parse(struct str text, int64_t *ret_wall_ns)
{
    int year, month, day, hour, minute, second, offset_seconds;
    int64_t fraction_ns;
    if (!take_number(&text, 4, FIRST_YEAR, LAST_YEAR, &year) || !take_char(&text, '-') ||
        !take_number(&text, 2, 1, 12, &month) || !take_char(&text, '-') ||
        !take_number(&text, 2, 1, days_in_month(year, month), &day) || !take_char(&text, 'T') ||
        !take_number(&text, 2, 0, 23, &hour) || !take_char(&text, ':') ||
        !take_number(&text, 2, 0, 59, &minute) || !take_char(&text, ':') ||
        !take_number(&text, 2, 0, 59, &second) || !take_fraction(&text, &fraction_ns) ||
        !take_zone(&text, &offset_seconds) || text.len > 0)
        return false;

    int days = days_to_year(year) + day - 1;
    for (int m = 1; m < month; m++)
        days += days_in_month(year, m);
    int64_t seconds =
        (int64_t)days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - offset_seconds;
    *ret_wall_ns = seconds * CLOCK_NS_PER_SEC + fraction_ns;
    return true;
}
