/* Certificates that the webhook makes and judges. */
#include "certs/pki.h"
#include "unit/support.h"

#include "unit/cert_files.h"

#include <stdlib.h>

#define NOW_S INT64_C(1800000000)

static const struct str hosts[] = {STR_INIT("callboard-webhook.callboard-system.svc"),
                                   STR_INIT("127.0.0.1"), STR_INIT("::1")};

struct fixture {
    struct test_mem mem;
    struct arena arena;
    struct pki_pair authority;
    struct pki_pair serving;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct err err;
    test_mem_init(&f->mem);
    arena_init(&f->arena, &f->mem.mem, 64 * 1024, 4 * 1024 * 1024);
    assert_int_equal(
        pki_make_authority(NOW_S - 3600, NOW_S + 86400, &f->arena, &f->authority, &err), 0);
    assert_int_equal(pki_make_serving(&f->authority, hosts, 3, NOW_S - 3600, NOW_S + 3600,
                                      &f->arena, &f->serving, &err),
                     0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_done(&f->arena);
    test_mem_done(&f->mem);
    free(f);
    return 0;
}

static struct pki_certs read_all(struct fixture *f, struct str pem)
{
    struct pki_certs certs;
    struct err err;
    assert_int_equal(pki_read(pem, &f->arena, &certs, &err), 0);
    return certs;
}

static struct str join(struct fixture *f, struct str a, struct str b)
{
    return arena_printf(&f->arena, "%" PRIstr "%" PRIstr, STR_ARG(a), STR_ARG(b));
}

static void an_authority_signs_and_a_certificate_serves(void **state)
{
    struct fixture *f = *state;
    struct pki_certs authority = read_all(f, f->authority.cert);
    struct pki_certs serving = read_all(f, f->serving.cert);
    assert_int_equal(authority.count, 1);
    assert_true(authority.all[0].is_authority);
    assert_int_equal(authority.all[0].not_before_s, NOW_S - 3600);
    assert_int_equal(authority.all[0].not_after_s, NOW_S + 86400);
    assert_true(str_eq(authority.all[0].pem, f->authority.cert));
    assert_false(serving.all[0].is_authority);
    assert_int_equal(serving.all[0].not_after_s, NOW_S + 3600);
    assert_true(pki_is_signed_by(f->serving.cert, f->authority.cert));
    assert_true(pki_is_signed_by(f->authority.cert, f->authority.cert));
    assert_false(pki_is_signed_by(f->authority.cert, f->serving.cert));
    assert_true(pki_key_fits(f->serving.cert, f->serving.key));
    assert_true(pki_key_fits(f->authority.cert, f->authority.key));
    assert_false(pki_key_fits(f->serving.cert, f->authority.key));
}

static void a_certificate_is_for_its_hosts_and_for_servers(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 3; i++)
        assert_true(pki_is_for(f->serving.cert, hosts[i]));
    assert_false(pki_is_for(f->serving.cert, STR("callboard-webhook.other.svc")));
    assert_false(pki_is_for(f->serving.cert, STR("127.0.0.2")));
    assert_false(pki_is_for(f->authority.cert, hosts[0]));
    assert_false(pki_is_for(STR("no PEM"), hosts[0]));
}

/* Two in one bundle are told apart by their names too. */
static void another_authority_is_another_one(void **state)
{
    struct fixture *f = *state;
    struct pki_pair other;
    struct err err;
    assert_int_equal(pki_make_authority(NOW_S, NOW_S + 86400, &f->arena, &other, &err), 0);
    assert_false(pki_is_signed_by(f->serving.cert, other.cert));
    assert_false(pki_key_fits(f->authority.cert, other.key));
    struct pki_certs both = read_all(f, join(f, f->authority.cert, other.cert));
    assert_int_equal(both.count, 2);
    assert_false(pki_same(&both.all[0].id, &both.all[1].id));
    assert_ptr_equal(pki_find(&both, &both.all[1].id), &both.all[1]);
}

static void a_text_is_read_as_far_as_it_goes(void **state)
{
    struct fixture *f = *state;
    const struct {
        struct str text;
        size_t count;
    } rows[] = {
        {STR(""), 0},
        {{NULL, 0}, 0},
        {STR("no PEM"), 0},
        {STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), 0},
        {f->serving.key, 0},
        {str_sub(f->authority.cert, 0, f->authority.cert.len - 30), 0},
        {join(f, STR("# a comment\n"), f->authority.cert), 1},
        {join(f, f->authority.cert, f->authority.cert), 1},
        {join(f, f->authority.cert, f->serving.cert), 2},
        {join(f, f->authority.cert, str_sub(f->serving.cert, 0, 60)), 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(read_all(f, rows[i].text).count, rows[i].count);
}

static void more_than_a_bundle_may_have_are_not_looked_at(void **state)
{
    struct fixture *f = *state;
    struct str text = STR("");
    struct err err;
    for (size_t i = 0; i < PKI_CERTS_MAX + 2; i++) {
        struct pki_pair pair;
        assert_int_equal(pki_make_authority(NOW_S, NOW_S + 60, &f->arena, &pair, &err), 0);
        text = join(f, text, pair.cert);
    }
    struct pki_certs certs = read_all(f, text);
    assert_int_equal(certs.count, PKI_CERTS_MAX);
    pki_add(&certs, &read_all(f, f->authority.cert).all[0]);
    assert_int_equal(certs.count, PKI_CERTS_MAX);
}

static void what_is_damaged_fits_nothing(void **state)
{
    struct fixture *f = *state;
    const struct str bad[] = {
        STR(""), {NULL, 0}, STR("no PEM"), str_sub(f->serving.key, 0, f->serving.key.len / 2)};
    struct pki_pair made;
    struct err err;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(pki_key_fits(f->serving.cert, bad[i]));
        assert_false(pki_key_fits(bad[i], f->serving.key));
        assert_false(pki_is_signed_by(bad[i], f->authority.cert));
        assert_false(pki_is_signed_by(f->serving.cert, bad[i]));
        const struct pki_pair authority = {f->authority.cert, bad[i]};
        assert_true(
            pki_make_serving(&authority, hosts, 1, NOW_S, NOW_S + 60, &f->arena, &made, &err) < 0);
    }
}

/* OpenSSL would ask the terminal for the password. */
static void a_key_with_a_password_is_no_key(void **state)
{
    struct fixture *f = *state;
    assert_false(pki_key_fits(
        f->serving.cert, STR("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                             "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgdKUSBJaMbjAICCAAw\n"
                             "-----END ENCRYPTED PRIVATE KEY-----\n")));
}

static void a_certificate_of_another_tool_is_judged_alike(void **state)
{
    struct fixture *f = *state;
    struct cert_pem other;
    cert_pem_make(&other, "other", NOW_S, 30);
    struct str cert = str_from_cstr(other.cert), key = str_from_cstr(other.key);
    assert_true(pki_key_fits(cert, key));
    assert_true(pki_is_signed_by(cert, cert));
    assert_false(read_all(f, cert).all[0].is_authority);
}

static void only_hosts_can_be_in_a_certificate(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct str host;
        bool is_valid;
    } rows[] = {
        {STR_INIT("callboard-webhook.callboard-system.svc"), true},
        {STR_INIT("localhost"), true},
        {STR_INIT("10.0.0.1"), true},
        {STR_INIT("fd00::1"), true},
        {STR_INIT(""), false},
        {STR_INIT("-a"), false},
        {STR_INIT("a."), false},
        {STR_INIT("a b"), false},
        {STR_INIT("a,DNS:b"), false},
        {STR_INIT("A"), false},
        {STR_INIT("a\0b"), false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pki_pair made;
        struct err err;
        assert_int_equal(pki_host_is_valid(rows[i].host), rows[i].is_valid);
        int rc = pki_make_serving(&f->authority, &rows[i].host, 1, NOW_S, NOW_S + 60, &f->arena,
                                  &made, &err);
        assert_int_equal(rc == 0, rows[i].is_valid);
    }
}

static bool make_with(const struct mem *mem, void *ctx)
{
    struct arena arena;
    struct pki_pair authority, serving;
    struct pki_certs certs;
    struct err err;
    (void)ctx;
    arena_init(&arena, mem, 256, 1024 * 1024);
    bool good =
        pki_make_authority(NOW_S, NOW_S + 60, &arena, &authority, &err) == 0 &&
        pki_make_serving(&authority, hosts, 3, NOW_S, NOW_S + 60, &arena, &serving, &err) == 0 &&
        pki_read(serving.cert, &arena, &certs, &err) == 0;
    if (!good)
        assert_int_equal(err.code, 507);
    arena_done(&arena);
    return good;
}

static void memory_may_fail_anywhere(void **state)
{
    test_every_allocation_failing(make_with, *state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_authority_signs_and_a_certificate_serves),
        TEST(a_certificate_is_for_its_hosts_and_for_servers),
        TEST(another_authority_is_another_one),
        TEST(a_text_is_read_as_far_as_it_goes),
        TEST(more_than_a_bundle_may_have_are_not_looked_at),
        TEST(what_is_damaged_fits_nothing),
        TEST(a_key_with_a_password_is_no_key),
        TEST(a_certificate_of_another_tool_is_judged_alike),
        TEST(only_hosts_can_be_in_a_certificate),
        TEST(memory_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
