/* Timers. */
#include "unit/support.h"

#include "base/timers.h"

#include <stdio.h>

enum { FIRED_MAX = 256 };

/* Timers with names, and the names of those that fired. */
struct fixture {
    struct test_mem mem;
    struct timers timers;
    char fired[FIRED_MAX];
    size_t fired_count;
};

struct named {
    struct timer timer;
    struct fixture *fixture;
    char name;
    struct named *sets;    /* set again when this one fires, or NULL */
    int64_t sets_at_ns;    /* for when */
    struct named *cancels; /* cancelled when this one fires, or NULL */
    int64_t fired_ns;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){0};
    test_mem_init(&fixture.mem);
    timers_init(&fixture.timers, &fixture.mem.mem);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    timers_done(&f->timers);
    test_mem_done(&f->mem);
    return 0;
}

static void on_fire(void *ctx, int64_t now_ns)
{
    struct named *named = ctx;
    struct fixture *f = named->fixture;
    assert_true(f->fired_count + 1 < FIRED_MAX);
    assert_false(timer_is_set(&named->timer));
    f->fired[f->fired_count++] = named->name;
    named->fired_ns = now_ns;
    if (named->sets)
        timers_set(&f->timers, &named->sets->timer, named->sets_at_ns);
    if (named->cancels)
        timers_cancel(&f->timers, &named->cancels->timer);
}

static void name_timer(struct fixture *f, struct named *named, char name)
{
    struct err err;
    *named = (struct named){.fixture = f, .name = name};
    assert_int_equal(timers_register(&f->timers, &named->timer, on_fire, named, &err), 0);
}

/* The names of what fires at `now_ns`. */
static void assert_fires(struct fixture *f, int64_t now_ns, const char *names)
{
    f->fired_count = 0;
    timers_run(&f->timers, now_ns);
    f->fired[f->fired_count] = '\0';
    assert_string_equal(f->fired, names);
}

static void due_timers_fire_by_deadline_then_in_the_order_in_which_they_were_set(void **state)
{
    struct fixture *f = *state;
    struct named a, b, c, d;
    name_timer(f, &a, 'a');
    name_timer(f, &b, 'b');
    name_timer(f, &c, 'c');
    name_timer(f, &d, 'd');
    assert_int_equal(timers_next_ns(&f->timers), TIMERS_NEVER);
    timers_set(&f->timers, &c.timer, 20);
    timers_set(&f->timers, &b.timer, 20);
    timers_set(&f->timers, &d.timer, 10);
    timers_set(&f->timers, &a.timer, 30);
    assert_int_equal(timers_next_ns(&f->timers), 10);
    assert_fires(f, 9, "");
    assert_fires(f, 20, "dcb");
    assert_int_equal(c.fired_ns, 20);
    assert_int_equal(timers_next_ns(&f->timers), 30);
    assert_fires(f, 29, "");
    assert_fires(f, 1000, "a");
    assert_int_equal(timers_next_ns(&f->timers), TIMERS_NEVER);
}

static void a_timer_that_is_set_again_moves_and_one_that_is_cancelled_does_not_fire(void **state)
{
    struct fixture *f = *state;
    struct named a, b, c;
    name_timer(f, &a, 'a');
    name_timer(f, &b, 'b');
    name_timer(f, &c, 'c');
    timers_set(&f->timers, &a.timer, 10);
    timers_set(&f->timers, &b.timer, 20);
    timers_set(&f->timers, &c.timer, 30);
    timers_set(&f->timers, &a.timer, 25);
    timers_set(&f->timers, &c.timer, 5);
    timers_cancel(&f->timers, &b.timer);
    timers_cancel(&f->timers, &b.timer);
    assert_false(timer_is_set(&b.timer));
    assert_true(timer_is_set(&a.timer));
    assert_fires(f, 100, "ca");
}

static void what_a_callback_sets_for_now_or_the_past_fires_in_the_next_run(void **state)
{
    struct fixture *f = *state;
    struct named a, b, c;
    name_timer(f, &a, 'a');
    name_timer(f, &b, 'b');
    name_timer(f, &c, 'c');
    a.sets = &a;
    a.sets_at_ns = 50;
    b.sets = &c;
    b.sets_at_ns = -5;
    timers_set(&f->timers, &a.timer, 10);
    timers_set(&f->timers, &b.timer, 20);
    assert_fires(f, 50, "ab");
    assert_int_equal(timers_next_ns(&f->timers), 50);
    assert_fires(f, 50, "ac");
    assert_fires(f, 50, "a");
}

static void a_callback_may_cancel_what_is_due_and_may_move_it(void **state)
{
    struct fixture *f = *state;
    struct named a, b, c;
    name_timer(f, &a, 'a');
    name_timer(f, &b, 'b');
    name_timer(f, &c, 'c');
    a.cancels = &b;
    a.sets = &c;
    a.sets_at_ns = 70;
    timers_set(&f->timers, &a.timer, 10);
    timers_set(&f->timers, &b.timer, 20);
    timers_set(&f->timers, &c.timer, 20);
    assert_fires(f, 50, "a");
    assert_fires(f, 70, "c");
}

static void unregistering_cancels_and_accepts_a_zeroed_timer(void **state)
{
    struct fixture *f = *state;
    struct named a, b;
    name_timer(f, &a, 'a');
    name_timer(f, &b, 'b');
    timers_set(&f->timers, &a.timer, 10);
    timers_set(&f->timers, &b.timer, 20);
    timers_unregister(&f->timers, &a.timer);
    timers_unregister(&f->timers, &a.timer);
    assert_int_equal(f->timers.registered, 1);
    assert_fires(f, 100, "b");
}

/* Random sets, moves, cancels and runs against a plain table. */
static void random_operations_agree_with_a_plain_table(void **state)
{
    enum { TIMERS = 40, STEPS = 20000 };
    struct fixture *f = *state;
    struct named named[TIMERS];
    struct random_seeded random;
    random_seeded_init(&random, TEST_SEED);
    for (size_t i = 0; i < TIMERS; i++)
        name_timer(f, &named[i], (char)('0' + i));
    int64_t expected[TIMERS]; /* 0: not set */
    memset(expected, 0, sizeof(expected));
    int64_t now = 1000;
    for (size_t step = 0; step < STEPS; step++) {
        size_t i = (size_t)random_below(&random.random, TIMERS);
        uint64_t what = random_below(&random.random, 10);
        if (what < 6) {
            expected[i] = now + 1 + (int64_t)random_below(&random.random, 100);
            timers_set(&f->timers, &named[i].timer, expected[i]);
        } else if (what < 8) {
            expected[i] = 0;
            timers_cancel(&f->timers, &named[i].timer);
        } else {
            now += (int64_t)random_below(&random.random, 20);
            f->fired_count = 0;
            timers_run(&f->timers, now);
            int64_t before = 0;
            for (size_t n = 0; n < f->fired_count; n++) {
                size_t fired = (size_t)(f->fired[n] - '0');
                assert_true(expected[fired] >= before && expected[fired] <= now);
                before = expected[fired];
                expected[fired] = 0;
            }
        }
        int64_t next = TIMERS_NEVER;
        for (size_t t = 0; t < TIMERS; t++) {
            assert_int_equal(timer_is_set(&named[t].timer), expected[t] != 0);
            if (expected[t] && expected[t] < next)
                next = expected[t];
        }
        assert_int_equal(timers_next_ns(&f->timers), next);
    }
}

static void never_fire(void *ctx, int64_t now_ns)
{
    (void)ctx;
    (void)now_ns;
    fail_msg("no timer is due");
}

static bool register_many(const struct mem *mem, void *ctx)
{
    (void)ctx;
    enum { MANY = 100 };
    struct timers timers;
    static struct timer many[MANY];
    struct err err = {0};
    timers_init(&timers, mem);
    memset(many, 0, sizeof(many));
    size_t registered = 0;
    while (registered < MANY &&
           timers_register(&timers, &many[registered], never_fire, NULL, &err) == 0)
        registered++;
    /* A registered timer can always be set. */
    for (size_t i = 0; i < registered; i++)
        timers_set(&timers, &many[i], (int64_t)(MANY - i));
    bool whole = registered == MANY && timers_next_ns(&timers) == 1;
    assert_int_equal(whole ? 0 : 507, err.code);
    for (size_t i = 0; i < MANY; i++)
        timers_unregister(&timers, &many[i]);
    timers_done(&timers);
    return whole;
}

static void without_memory_registering_fails_and_setting_never_does(void **state)
{
    (void)state;
    test_every_allocation_failing(register_many, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(due_timers_fire_by_deadline_then_in_the_order_in_which_they_were_set),
        TEST(a_timer_that_is_set_again_moves_and_one_that_is_cancelled_does_not_fire),
        TEST(what_a_callback_sets_for_now_or_the_past_fires_in_the_next_run),
        TEST(a_callback_may_cancel_what_is_due_and_may_move_it),
        TEST(unregistering_cancels_and_accepts_a_zeroed_timer),
        TEST(random_operations_agree_with_a_plain_table),
        TEST(without_memory_registering_fails_and_setting_never_does),
    };
    return cmocka_run_group_tests_name("timers", tests, NULL, NULL);
}
