/* Which flags about the extender's certificate go together. */
#include "unit/support.h"

#include "extender/certificate.h"

static void flags_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    const struct {
        struct certificate_options options;
        const char *message; /* NULL: they are good */
    } rows[] = {
        {{0}, NULL},
        {{.folder = "/tls"}, NULL},
        {{.is_managed = true}, NULL},
        {{.is_managed = true, .hosts = "10.96.0.77,scheduler.example"}, NULL},
        {{.folder = "/tls", .is_managed = true},
         "give either --manage-certs or --cert-dir, not both"},
        {{.folder = "/tls", .hosts = "10.96.0.77"}, "--cert-hosts is for --manage-certs"},
        {{.is_managed = true, .hosts = "a b"},
         "--cert-hosts: \"a b\" is no DNS name and no IP address"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err = {.message = ""};
        int rc = certificate_check(&rows[i].options, &err);
        assert_string_equal(err.message, rows[i].message ? rows[i].message : "");
        assert_int_equal(rc, rows[i].message ? -1 : 0);
    }
}

static void without_a_certificate_nothing_stands_in_the_way(void **state)
{
    (void)state;
    const struct certificate_options none = {0};
    struct certificate certificate;
    struct metrics metrics;
    struct err err;
    metrics_init(&metrics, mem_system());
    assert_int_equal(
        certificate_open(&certificate, &none, clock_system(), &metrics, NULL, NULL, &err), 0);
    assert_null(certificate.source);
    assert_int_equal(certificate_start(&certificate, &err), 0);
    certificate_tick(&certificate);
    assert_null(certificate_find_unready(&certificate));
    certificate_close(&certificate);
    metrics_done(&metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_that_contradict_each_other_are_refused),
        cmocka_unit_test(without_a_certificate_nothing_stands_in_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
