/* The metrics of the webhook's handlers. */
#include "unit/prometheus.h"
#include "unit/support.h"
#include "webhook/handlers.h"

#include <stdio.h>

static struct str scrape(struct metrics *metrics, struct buf *out)
{
    metrics_write(metrics, out);
    assert_false(buf_failed(out));
    prometheus_check(buf_str(out));
    return buf_str(out);
}

/* A rate is only seen when the first event is a step from 0, not the beginning of a series. */
static void reloads_are_there_before_the_first(void **state)
{
    (void)state;
    static const char *const files[] = {"certificate", "catalog"}, *const results[] = {"ok",
                                                                                       "error"};
    struct metrics metrics;
    struct handlers handlers = {.metrics = &metrics};
    struct buf out;
    metrics_init(&metrics, mem_system());
    handlers_add_metrics(&handlers);
    buf_init(&out, mem_system(), 1024 * 1024);
    for (unsigned count = 0; count < 2; count++) {
        struct str text = scrape(&metrics, &out);
        for (size_t f = 0; f < 2; f++) {
            for (size_t r = 0; r < 2; r++) {
                char series[128];
                double value = -1;
                snprintf(series, sizeof(series),
                         "callboard_webhook_reloads_total{file=\"%s\",result=\"%s\"}", files[f],
                         results[r]);
                assert_true(prometheus_find_sample(text, series, &value));
                assert_true(value == (f == 0 && r == 0 ? count : 0));
            }
        }
        handlers_count_load(&handlers, true);
        buf_clear(&out);
    }
    buf_done(&out);
    metrics_done(&metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reloads_are_there_before_the_first),
    };
    return cmocka_run_group_tests_name("handlers", tests, NULL, NULL);
}
