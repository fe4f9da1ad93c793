/* What is to be done about the webhook's certificates, by a table. */
#include "unit/support.h"

#include "certs/certs_plan.h"

#define HOUR_S INT64_C(3600)
#define DAY_S  (24 * HOUR_S)
#define NOW_S  INT64_C(1800000000)
#define NOW_NS (INT64_C(5000) * CLOCK_NS_PER_SEC)
#define AGO(s) (NOW_NS - (s)*CLOCK_NS_PER_SEC)

/* Of the manifests. */
static const struct certs_times times = {
    .pair_ms = 30 * DAY_S * 1000,
    .pair_renew_ms = 10 * DAY_S * 1000,
    .authority_ms = 365 * DAY_S * 1000,
    .authority_renew_ms = 90 * DAY_S * 1000,
    .settle_ms = 10000,
    .takeover_ms = 40000,
};

/* All is well, and has been so for an hour. */
static struct certs_seen well(void)
{
    const struct certs_span authority = {NOW_S - 30 * DAY_S, NOW_S + 335 * DAY_S};
    const struct certs_pair_seen pair = {
        .is_good = true,
        .span = {NOW_S - 5 * DAY_S, NOW_S + 25 * DAY_S},
        .trusted_ns = AGO(3600),
    };
    return (struct certs_seen){
        .now_ms = NOW_S * 1000,
        .now_ns = NOW_NS,
        .has_secret = true,
        .has_authority = true,
        .authority = authority,
        .authority_trusted_ns = AGO(3600),
        .is_published = true,
        .pair = pair,
        .is_pair_of_authority = true,
        .pair_since_ns = AGO(3600),
        .own = pair,
        .is_own_authority_kept = true,
        .is_own_the_pair = true,
    };
}

/* A new authority stands in front of the old one, of which the pair is. */
static struct certs_seen rollover(void)
{
    struct certs_seen seen = well();
    seen.has_old = true;
    seen.old_until_s = NOW_S + 30 * DAY_S;
    seen.is_pair_of_authority = false;
    seen.pair_since_ns = CERTS_NEVER;
    return seen;
}

#define SEEN(base, ...)               \
    ({                                \
        struct certs_seen s = base(); \
        __VA_ARGS__;                  \
        s;                            \
    })

static void each_state_has_its_next_step(void **state)
{
    (void)state;
    const struct {
        const char *name;
        struct certs_seen seen;
        enum certs_step step;
    } rows[] = {
        {"all is well", well(), CERTS_REST},
        {"it is somebody else's", SEEN(well, s.is_foreign = true; s.has_authority = false),
         CERTS_REST},
        {"there is no Secret",
         SEEN(well, s.has_secret = false; s.has_authority = false; s.pair.is_good = false),
         CERTS_MAKE_SECRET},
        {"it is empty", SEEN(well, s.has_authority = false; s.pair.is_good = false),
         CERTS_NEW_AUTHORITY},
        {"the authority's key is damaged", SEEN(well, s.has_authority = false),
         CERTS_NEW_AUTHORITY},
        {"the authority ends in 90 days", SEEN(well, s.authority.not_after_s = NOW_S + 90 * DAY_S),
         CERTS_REST},
        {"a second later", SEEN(well, s.authority.not_after_s = NOW_S + 90 * DAY_S - 1),
         CERTS_NEW_AUTHORITY},
        {"the authority has ended", SEEN(well, s.authority.not_after_s = NOW_S),
         CERTS_NEW_AUTHORITY},
        {"the authority begins later: a clock was wrong",
         SEEN(well, s.authority.not_before_s = NOW_S + 1), CERTS_NEW_AUTHORITY},
        {"the Secret was replaced by that of another authority",
         SEEN(well, s.is_own_authority_kept = false), CERTS_KEEP_AUTHORITY},
        {"but what is served has ended",
         SEEN(well, s.is_own_authority_kept = false; s.own.span.not_after_s = NOW_S), CERTS_REST},
        {"and nothing is served yet",
         SEEN(well, s.is_own_authority_kept = false; s.own.is_good = false), CERTS_REST},
        {"it is kept before the caBundle loses it",
         SEEN(well, s.is_own_authority_kept = false; s.is_published = false), CERTS_KEEP_AUTHORITY},
        {"a caBundle is empty",
         SEEN(well, s.is_published = false; s.authority_trusted_ns = CERTS_NEVER), CERTS_PUBLISH},
        {"a caBundle trusts one too many", SEEN(well, s.is_published = false), CERTS_PUBLISH},
        {"there is no pair", SEEN(well, s.pair.is_good = false), CERTS_ISSUE},
        {"the pair ends in ten days", SEEN(well, s.pair.span.not_after_s = NOW_S + 10 * DAY_S),
         CERTS_REST},
        {"a second later", SEEN(well, s.pair.span.not_after_s = NOW_S + 10 * DAY_S - 1),
         CERTS_ISSUE},
        {"the pair has ended", SEEN(well, s.pair.span.not_after_s = NOW_S - DAY_S), CERTS_ISSUE},
        {"the pair begins later: a clock was wrong",
         SEEN(well, s.pair.span.not_before_s = NOW_S + DAY_S), CERTS_ISSUE},
        {"apiservers have not heard of the authority yet",
         SEEN(well, s.pair.is_good = false; s.authority_trusted_ns = AGO(9)), CERTS_REST},
        {"now they have", SEEN(well, s.pair.is_good = false; s.authority_trusted_ns = AGO(10)),
         CERTS_ISSUE},
        {"a configuration is missing, so nobody can have",
         SEEN(well, s.pair.is_good = false; s.authority_trusted_ns = CERTS_NEVER), CERTS_REST},
        {"rollover: the new authority is not in the caBundles",
         SEEN(rollover, s.is_published = false; s.authority_trusted_ns = CERTS_NEVER),
         CERTS_PUBLISH},
        {"rollover: it was just put there", SEEN(rollover, s.authority_trusted_ns = NOW_NS),
         CERTS_REST},
        {"rollover: it has settled", rollover(), CERTS_ISSUE},
        {"rollover: the old one is needed until its last certificate ends",
         SEEN(rollover, s.is_pair_of_authority = true; s.pair_since_ns = AGO(3600)), CERTS_REST},
        {"rollover: it has ended",
         SEEN(rollover, s.is_pair_of_authority = true; s.pair_since_ns = AGO(3600);
              s.old_until_s = NOW_S),
         CERTS_DROP_OLD},
        {"rollover: it was told to have ended, but replicas may serve it still",
         SEEN(rollover, s.is_pair_of_authority = true; s.pair_since_ns = AGO(39);
              s.old_until_s = 0),
         CERTS_REST},
        {"rollover: and now none can",
         SEEN(rollover, s.is_pair_of_authority = true; s.pair_since_ns = AGO(40);
              s.old_until_s = 0),
         CERTS_DROP_OLD},
        {"rollover: the old one is not dropped by who serves it still",
         SEEN(rollover, s.is_pair_of_authority = true; s.pair_since_ns = AGO(3600);
              s.old_until_s = 0; s.is_own_the_pair = false),
         CERTS_REST},
        {"rollover: the old one is never dropped while the pair is of it",
         SEEN(rollover, s.old_until_s = 0; s.authority_trusted_ns = AGO(1)), CERTS_REST},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum certs_step step = certs_plan(&rows[i].seen, &times);
        if (step != rows[i].step)
            fail_msg("%s: \"%s\" in place of \"%s\"", rows[i].name, certs_step_name(step),
                     certs_step_name(rows[i].step));
    }
}

static void a_pair_is_taken_over_when_apiservers_trust_it(void **state)
{
    (void)state;
    const struct {
        const char *name;
        struct certs_seen seen;
        bool load;
    } rows[] = {
        {"it is in use", well(), false},
        {"it was renewed", SEEN(well, s.is_own_the_pair = false), true},
        {"nothing is in use", SEEN(well, s.is_own_the_pair = false; s.own.is_good = false), true},
        {"there is none", SEEN(well, s.is_own_the_pair = false; s.pair.is_good = false), false},
        {"it has ended", SEEN(well, s.is_own_the_pair = false; s.pair.span.not_after_s = NOW_S),
         false},
        {"its authority has just been published",
         SEEN(well, s.is_own_the_pair = false; s.pair.trusted_ns = AGO(9)), false},
        {"its authority is not published",
         SEEN(well, s.is_own_the_pair = false; s.pair.trusted_ns = CERTS_NEVER), false},
        {"but what is in use has ended",
         SEEN(well, s.is_own_the_pair = false; s.pair.trusted_ns = CERTS_NEVER;
              s.own.span.not_after_s = NOW_S),
         true},
        {"but what is in use is not trusted either",
         SEEN(well, s.is_own_the_pair = false; s.pair.trusted_ns = AGO(9);
              s.own.trusted_ns = CERTS_NEVER),
         true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (certs_should_load(&rows[i].seen, &times) != rows[i].load)
            fail_msg("%s: %s", rows[i].name, rows[i].load ? "not taken over" : "taken over");
    }
}

static void a_rest_ends_when_an_authority_has_settled(void **state)
{
    (void)state;
    const int64_t interval_ns = 10 * CLOCK_NS_PER_SEC;
    struct certs_seen seen = well();
    assert_int_equal(certs_rest_ns(&seen, &times, interval_ns), interval_ns);
    seen.authority_trusted_ns = AGO(7);
    assert_int_equal(certs_rest_ns(&seen, &times, interval_ns), 3 * CLOCK_NS_PER_SEC);
    seen.pair.trusted_ns = AGO(8);
    assert_int_equal(certs_rest_ns(&seen, &times, interval_ns), 2 * CLOCK_NS_PER_SEC);
    seen.authority_trusted_ns = seen.pair.trusted_ns = CERTS_NEVER;
    assert_int_equal(certs_rest_ns(&seen, &times, interval_ns), interval_ns);
}

static void a_replica_is_trusted_with_a_valid_pair_of_a_published_authority(void **state)
{
    (void)state;
    struct certs_pair_seen own = well().own;
    assert_null(certs_find_distrust(&own, NOW_S * 1000));
    assert_non_null(certs_find_distrust(&own, own.span.not_after_s * 1000));
    assert_non_null(certs_find_distrust(&own, own.span.not_before_s * 1000 - 1));
    own.trusted_ns = CERTS_NEVER;
    assert_non_null(certs_find_distrust(&own, NOW_S * 1000));
    own = (struct certs_pair_seen){0};
    assert_non_null(certs_find_distrust(&own, NOW_S * 1000));
}

static void each_step_has_a_name(void **state)
{
    (void)state;
    for (enum certs_step step = 0; step < CERTS_STEPS; step++)
        assert_true(strlen(certs_step_name(step)) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_state_has_its_next_step),
        cmocka_unit_test(a_pair_is_taken_over_when_apiservers_trust_it),
        cmocka_unit_test(a_rest_ends_when_an_authority_has_settled),
        cmocka_unit_test(a_replica_is_trusted_with_a_valid_pair_of_a_published_authority),
        cmocka_unit_test(each_step_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
