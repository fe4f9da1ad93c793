/* The hash of texts. */
#include "unit/support.h"

#include "base/hash.h"

/* What CPython 3.11, whose hash of bytes is SipHash-1-3 too, gives under PYTHONHASHSEED=0. */
static void it_is_siphash_1_3(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t hash;
    } rows[] = {
        {"a", 0x407448d2b89b1813},
        {"abcdefg", 0x6db12aae9070f506},
        {"abcdefgh", 0x3f7b849c0b8e35ea},
        {"callboard-system", 0x7f5f8e67f1e50103},
        {"callboard-controller", 0x757d0860c5bba05a},
    };
    const struct hash_seed zero = {{0, 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_true(hash_text(&zero, str_from_cstr(rows[i].text)) == rows[i].hash);
}

static void the_seed_and_each_text_matter(void **state)
{
    (void)state;
    struct random_seeded random;
    random_seeded_init(&random, TEST_SEED);
    struct hash_seed seed = hash_seed_from(&random.random);
    struct hash_seed other = hash_seed_from(&random.random);
    struct str absent = {NULL, 0};
    uint64_t hash = hash_pair(&seed, STR("ab"), STR("c"));
    assert_true(hash == hash_pair(&seed, STR("ab"), STR("c")));
    assert_true(hash != hash_pair(&other, STR("ab"), STR("c")));
    assert_true(hash != hash_pair(&seed, STR("a"), STR("bc")));
    assert_true(hash != hash_pair(&seed, STR("c"), STR("ab")));
    assert_true(hash_pair(&seed, absent, STR("c")) == hash_pair(&seed, STR(""), STR("c")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_siphash_1_3),
        cmocka_unit_test(the_seed_and_each_text_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
