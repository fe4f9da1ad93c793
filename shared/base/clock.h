/*
 * Time behind an interface, so that tests and the simulator move it themselves and nothing sleeps;
 * and the text form of times in Kubernetes objects (RFC 3339).
 *
 * Two times: `now` is monotonic, for deadlines, delays and durations, and means nothing outside
 * this process; `wall` is UTC since 1970, for what people and other programs read, and may jump.
 * Both are in nanoseconds.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/str.h"

struct clock {
    int64_t (*now_ns)(void *ctx);
    int64_t (*wall_ns)(void *ctx);
    void *ctx;
};

/* The clocks of the machine. Valid for ever, may be used by any thread. */
const struct clock *clock_system(void);

static inline int64_t clock_now_ns(const struct clock *clock)
{
    return clock->now_ns(clock->ctx);
}

static inline int64_t clock_wall_ns(const struct clock *clock)
{
    return clock->wall_ns(clock->ctx);
}

#define CLOCK_NS_PER_US  INT64_C(1000)
#define CLOCK_NS_PER_MS  INT64_C(1000000)
#define CLOCK_NS_PER_SEC INT64_C(1000000000)

/* Digits of the fraction of a second. Kubernetes' metav1.Time has none, MicroTime has six. */
enum clock_precision { CLOCK_SECONDS = 0, CLOCK_MILLIS = 3, CLOCK_MICROS = 6 };

/* Enough for every precision, with the NUL. */
enum { CLOCK_TEXT_SIZE = 32 };

/* "2026-01-02T03:04:05.678Z", NUL-terminated in `to`, which the result points to. Finer digits are
 * cut, not rounded, as Go does: a time never lies in the future because it was printed. */
struct str clock_print(int64_t wall_ns, enum clock_precision precision, char to[CLOCK_TEXT_SIZE]);

/*
 * The reverse: an RFC 3339 time with "Z" or an offset, the fraction of any length (cut at
 * nanoseconds). As Go's time.RFC3339 (which Kubernetes reads times with), small letters, a missing
 * zone and a leap second are refused. False when the text is no time, or one outside the years 1678
 * to 2261, which is what fits; *ret_wall_ns is then untouched.
 */
bool clock_parse(struct str text, int64_t *ret_wall_ns);

#endif
