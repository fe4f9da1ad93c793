/* What --manage-certs takes for flags. */
#include "certs/managed.h"
#include "unit/support.h"

#define HOUR_MS INT64_C(3600000)

static struct managed_options good(void)
{
    return (struct managed_options){
        .times = {.pair_ms = 720 * HOUR_MS,
                  .pair_renew_ms = 240 * HOUR_MS,
                  .authority_ms = 8760 * HOUR_MS,
                  .authority_renew_ms = 2160 * HOUR_MS,
                  .settle_ms = 10000},
        .interval_ns = 10 * CLOCK_NS_PER_SEC,
    };
}

#define OPTIONS(...)                       \
    ({                                     \
        struct managed_options o = good(); \
        __VA_ARGS__;                       \
        o;                                 \
    })

static void times_that_cannot_work_are_refused(void **state)
{
    (void)state;
    const struct {
        struct managed_options options;
        const char *message; /* NULL: they are good */
    } rows[] = {
        {good(), NULL},
        {OPTIONS(o.hosts = "localhost,127.0.0.1"), NULL},
        {OPTIONS(o.hosts = "a,b,c,d,e,f,g"), NULL},
        {OPTIONS(o.hosts = "a,b,c,d,e,f,g,h"), "--cert-hosts has more than 7"},
        {OPTIONS(o.hosts = "localhost,"), "--cert-hosts: \"\" is no DNS name and no IP address"},
        {OPTIONS(o.hosts = "a b"), "--cert-hosts: \"a b\" is no DNS name and no IP address"},
        {OPTIONS(o.times.pair_renew_ms = o.times.pair_ms),
         "--cert-renew-before must be less than --cert-lifetime"},
        {OPTIONS(o.times.authority_renew_ms = o.times.authority_ms),
         "--ca-renew-before must be less than --ca-lifetime"},
        {OPTIONS(o.times.authority_renew_ms = o.times.pair_ms - 1),
         "--ca-renew-before must be at least --cert-lifetime: else a certificate outlives its "
         "authority"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err = {.message = ""};
        int rc = managed_check(&rows[i].options, &err);
        assert_string_equal(err.message, rows[i].message ? rows[i].message : "");
        assert_int_equal(rc, rows[i].message ? -1 : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_that_cannot_work_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
