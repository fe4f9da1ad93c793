/* Random numbers. */
#include "unit/support.h"

static void the_same_seed_gives_the_same_numbers(void **state)
{
    (void)state;
    struct random_seeded a, b;
    random_seeded_init(&a, 42);
    random_seeded_init(&b, 42);
    for (int i = 0; i < 100; i++)
        assert_int_equal(random_u64(&a.random), random_u64(&b.random));
}

static void the_sequence_of_a_seed_never_changes(void **state)
{
    (void)state;
    /* Seeds are written down in reports of failures: the published SplitMix64 must stay. */
    struct random_seeded seeded;
    random_seeded_init(&seeded, 1234567);
    assert_true(random_u64(&seeded.random) == UINT64_C(6457827717110365317));
    assert_true(random_u64(&seeded.random) == UINT64_C(3203168211198807973));
    assert_true(random_u64(&seeded.random) == UINT64_C(9817491932198370423));
}

static void neighbouring_seeds_are_unrelated(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct random_seeded a, b;
        random_seeded_init(&a, seed);
        random_seeded_init(&b, seed + 1);
        int bits = __builtin_popcountll(random_u64(&a.random) ^ random_u64(&b.random));
        assert_in_range(bits, 8, 56); /* 32 are expected; beyond this is one in 10^9 */
    }
}

static void the_machine_gives_different_numbers(void **state)
{
    (void)state;
    uint64_t a = random_u64(random_system()), b = random_u64(random_system());
    assert_true(a != b);
}

static void below_a_limit_every_number_is_as_likely(void **state)
{
    (void)state;
    struct random_seeded seeded;
    random_seeded_init(&seeded, TEST_SEED);
    enum { LIMIT = 10, DRAWS = 100000 };
    unsigned counts[LIMIT] = {0};
    for (int i = 0; i < DRAWS; i++) {
        uint64_t n = random_below(&seeded.random, LIMIT);
        assert_true(n < LIMIT);
        counts[n]++;
    }
    for (int i = 0; i < LIMIT; i++) /* five standard deviations */
        assert_in_range(counts[i], DRAWS / LIMIT - 475, DRAWS / LIMIT + 475);
}

static void a_limit_of_none_or_one_gives_zero(void **state)
{
    (void)state;
    struct random_seeded seeded;
    random_seeded_init(&seeded, TEST_SEED);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(random_below(&seeded.random, 0), 0);
        assert_int_equal(random_below(&seeded.random, 1), 0);
    }
}

/* Gives the numbers of a list, in turn. */
struct scripted {
    const uint64_t *values;
    size_t next;
};

static uint64_t scripted_u64(void *ctx)
{
    struct scripted *scripted = ctx;
    return scripted->values[scripted->next++];
}

static void values_that_would_favour_small_results_are_drawn_again(void **state)
{
    (void)state;
    /* 2^64 mod 3 is 1, so 0 must not be used, and 2^64 - 1 must. */
    const uint64_t values[] = {0, 0, 4, UINT64_MAX};
    struct scripted scripted = {.values = values};
    struct random random = {.u64 = scripted_u64, .ctx = &scripted};
    assert_int_equal(random_below(&random, 3), 1);
    assert_int_equal(scripted.next, 3);
    assert_int_equal(random_below(&random, 3), 0);
    assert_int_equal(scripted.next, 4);
}

static void a_uuid_has_its_form_version_and_variant(void **state)
{
    (void)state;
    struct random_seeded seeded;
    random_seeded_init(&seeded, TEST_SEED);
    for (int n = 0; n < 1000; n++) {
        char uuid[RANDOM_UUID_SIZE];
        random_uuid(&seeded.random, uuid);
        assert_int_equal(strlen(uuid), 36);
        for (size_t i = 0; i < 36; i++) {
            if (i == 8 || i == 13 || i == 18 || i == 23)
                assert_int_equal(uuid[i], '-');
            else
                assert_non_null(strchr("0123456789abcdef", uuid[i]));
        }
        assert_int_equal(uuid[14], '4');
        assert_non_null(strchr("89ab", uuid[19]));
    }
}

static void a_uuid_carries_all_its_random_bits(void **state)
{
    (void)state;
    char uuid[RANDOM_UUID_SIZE];
    const uint64_t ones[] = {UINT64_MAX, UINT64_MAX}, zeros[] = {0, 0};
    const uint64_t places[] = {UINT64_C(0x0123456789ABCDEF), UINT64_C(0xFEDCBA9876543210)};
    const struct {
        const uint64_t *values;
        const char *uuid;
    } rows[] = {
        {ones, "ffffffff-ffff-4fff-bfff-ffffffffffff"},
        {zeros, "00000000-0000-4000-8000-000000000000"},
        {places, "01234567-89ab-4def-bedc-ba9876543210"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scripted scripted = {.values = rows[i].values};
        random_uuid(&(struct random){.u64 = scripted_u64, .ctx = &scripted}, uuid);
        assert_string_equal(uuid, rows[i].uuid);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_numbers),
        cmocka_unit_test(the_sequence_of_a_seed_never_changes),
        cmocka_unit_test(neighbouring_seeds_are_unrelated),
        cmocka_unit_test(the_machine_gives_different_numbers),
        cmocka_unit_test(below_a_limit_every_number_is_as_likely),
        cmocka_unit_test(a_limit_of_none_or_one_gives_zero),
        cmocka_unit_test(values_that_would_favour_small_results_are_drawn_again),
        cmocka_unit_test(a_uuid_has_its_form_version_and_variant),
        cmocka_unit_test(a_uuid_carries_all_its_random_bits),
    };
    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
