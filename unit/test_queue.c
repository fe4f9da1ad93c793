/* The work queue. */
#include "unit/prometheus.h"
#include "unit/support.h"

#include "control/queue.h"

#include <stdio.h>

struct fixture {
    struct test_mem mem;
    struct test_clock clock;
    struct random_seeded random;
    struct timers timers;
    struct metrics metrics;
    struct queue *queue;
};

static struct queue *make_queue(struct fixture *f, const char *name, struct err *err)
{
    const struct queue_config config = {
        .name = name,
        .timers = &f->timers,
        .clock = &f->clock.clock,
        .random = &f->random.random,
        .mem = &f->mem.mem,
        .metrics = &f->metrics,
    };
    return queue_new(&config, err);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    *f = (struct fixture){0};
    test_mem_init(&f->mem);
    test_clock_init(&f->clock);
    random_seeded_init(&f->random, TEST_SEED);
    timers_init(&f->timers, &f->mem.mem);
    metrics_init(&f->metrics, &f->mem.mem);
    struct err err;
    f->queue = make_queue(f, "things", &err);
    assert_non_null(f->queue);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    queue_free(f->queue);
    timers_done(&f->timers);
    metrics_done(&f->metrics);
    test_mem_done(&f->mem);
    return 0;
}

static struct queue_key key(const char *name)
{
    return (struct queue_key){STR("team"), str_from_cstr(name)};
}

static void add(struct fixture *f, const char *name)
{
    assert_int_equal(queue_add(f->queue, key(name)), 0);
}

static void add_in_ms(struct fixture *f, const char *name, int64_t ms)
{
    int64_t at_ns = clock_now_ns(&f->clock.clock) + ms * CLOCK_NS_PER_MS;
    assert_int_equal(queue_add_at(f->queue, key(name), at_ns), 0);
}

static void add_failed(struct fixture *f, const char *name)
{
    assert_int_equal(queue_add_failed(f->queue, key(name)), 0);
}

static void pass_ms(struct fixture *f, int64_t ms)
{
    test_clock_advance_ms(&f->clock, ms);
    timers_run(&f->timers, clock_now_ns(&f->clock.clock));
}

static void assert_takes(struct fixture *f, const char *name)
{
    struct queue_key taken;
    assert_true(queue_take(f->queue, &taken));
    assert_str_is(taken.namespace, "team");
    assert_str_is(taken.name, name);
}

static void assert_takes_none(struct fixture *f)
{
    struct queue_key taken;
    assert_false(queue_take(f->queue, &taken));
}

/* ---- Behaviours ---- */

static void keys_come_in_the_order_in_which_they_were_added(void **state)
{
    struct fixture *f = *state;
    add(f, "b");
    add(f, "a");
    add(f, "c");
    assert_int_equal(queue_depth(f->queue), 3);
    assert_takes(f, "b");
    assert_takes(f, "a");
    assert_takes(f, "c");
    assert_takes_none(f);
}

static void the_same_name_in_another_namespace_is_another_key(void **state)
{
    struct fixture *f = *state;
    const struct queue_key keys[] = {
        {STR("a"), STR("bc")}, {STR("ab"), STR("c")}, {{NULL, 0}, STR("abc")}};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(queue_add(f->queue, keys[i]), 0);
    for (size_t i = 0; i < 3; i++) {
        struct queue_key taken;
        assert_true(queue_take(f->queue, &taken));
        assert_str_equal(taken.namespace, keys[i].namespace);
        assert_str_equal(taken.name, keys[i].name);
    }
}

static void a_key_waits_at_most_once(void **state)
{
    struct fixture *f = *state;
    add(f, "a");
    add(f, "b");
    add(f, "a");
    assert_int_equal(queue_depth(f->queue), 2);
    assert_takes(f, "a");
    assert_takes(f, "b");
    assert_takes_none(f);
}

static void a_key_that_comes_during_its_work_waits_until_that_is_done(void **state)
{
    struct fixture *f = *state;
    add(f, "a");
    assert_takes(f, "a");
    add(f, "a");
    add(f, "a");
    assert_takes_none(f);
    assert_int_equal(queue_depth(f->queue), 0);
    queue_done(f->queue, key("a"));
    assert_int_equal(queue_depth(f->queue), 1);
    assert_takes(f, "a");
    queue_done(f->queue, key("a"));
    assert_takes_none(f);
}

static void of_two_later_times_the_earliest_counts(void **state)
{
    struct fixture *f = *state;
    add_in_ms(f, "a", 200);
    add_in_ms(f, "a", 100);
    add_in_ms(f, "a", 300);
    pass_ms(f, 99);
    assert_takes_none(f);
    pass_ms(f, 1);
    assert_takes(f, "a");
    queue_done(f->queue, key("a"));
    pass_ms(f, 1000);
    assert_takes_none(f);
}

static void a_time_that_has_passed_is_now(void **state)
{
    struct fixture *f = *state;
    add_in_ms(f, "a", 0);
    add_in_ms(f, "b", -5);
    assert_takes(f, "a");
    assert_takes(f, "b");
}

static void a_later_time_stands_beside_what_comes_before(void **state)
{
    struct fixture *f = *state;
    add_in_ms(f, "a", 100);
    add(f, "a");
    assert_takes(f, "a");
    queue_done(f->queue, key("a"));
    pass_ms(f, 100);
    assert_takes(f, "a");
}

static void a_key_that_rests_comes_no_sooner_whoever_adds_it(void **state)
{
    struct fixture *f = *state;
    add(f, "a");
    assert_takes(f, "a");
    add(f, "a"); /* while it is worked on */
    queue_rest(f->queue, key("a"), f->clock.now_ns + CLOCK_NS_PER_SEC);
    queue_done(f->queue, key("a"));
    add(f, "a");
    add_in_ms(f, "a", 10);
    add_failed(f, "a");
    queue_forget(f->queue, key("a"));
    pass_ms(f, 999);
    assert_int_equal(queue_depth(f->queue), 0);
    pass_ms(f, 1);
    assert_takes(f, "a");
    queue_done(f->queue, key("a"));
    pass_ms(f, 5000);
    assert_int_equal(queue_depth(f->queue), 0);
    add(f, "a"); /* it has rested */
    assert_takes(f, "a");
    queue_done(f->queue, key("a"));
}

static void failures_double_the_wait_up_to_1000_seconds_until_forgotten(void **state)
{
    struct fixture *f = *state;
    int64_t wait_ms = 5;
    for (int failure = 0; failure < 30; failure++) {
        add_failed(f, "a");
        add_failed(f, "b");
        queue_forget(f->queue, key("b"));
        pass_ms(f, wait_ms - 1);
        while (queue_depth(f->queue) > 0) {
            assert_takes(f, "b");
            queue_done(f->queue, key("b"));
        }
        pass_ms(f, 1);
        assert_takes(f, "a");
        queue_done(f->queue, key("a"));
        while (queue_depth(f->queue) > 0) {
            assert_takes(f, "b");
            queue_done(f->queue, key("b"));
        }
        wait_ms = wait_ms * 2 < 1000000 ? wait_ms * 2 : 1000000;
    }
    queue_forget(f->queue, key("a"));
    add_failed(f, "a");
    pass_ms(f, 5);
    assert_takes(f, "a");
}

static void what_is_over_takes_no_memory(void **state)
{
    struct fixture *f = *state;
    enum { KEYS = 100 };
    size_t blocks = f->mem.live_blocks;
    for (int i = 0; i < KEYS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "key-%d", i);
        add_failed(f, name);
    }
    assert_int_equal(f->mem.live_blocks, blocks + KEYS);
    pass_ms(f, 5);
    struct queue_key taken;
    while (queue_take(f->queue, &taken)) {
        queue_forget(f->queue, taken);
        queue_done(f->queue, taken);
    }
    assert_int_equal(f->mem.live_blocks, blocks);
    queue_forget(f->queue, key("unknown"));
    assert_int_equal(f->mem.live_blocks, blocks);
}

static double sample(struct fixture *f, const char *series)
{
    struct buf buf;
    buf_init(&buf, mem_system(), 1 << 20);
    metrics_write(&f->metrics, &buf);
    prometheus_check(buf_str(&buf));
    double value = -1;
    if (!prometheus_find_sample(buf_str(&buf), series, &value))
        fail_msg("no %s in:\n%" PRIstr, series, STR_ARG(buf_str(&buf)));
    buf_done(&buf);
    return value;
}

static void the_metrics_of_the_field_are_kept(void **state)
{
    struct fixture *f = *state;
    struct err err;
    struct queue *other = make_queue(f, "others", &err);
    assert_non_null(other);
    assert_int_equal(metrics_check(&f->metrics, &err), 0);
    add(f, "a");
    add(f, "a");
    add(f, "b");
    assert_true(sample(f, "workqueue_depth{name=\"things\"}") == 2);
    assert_true(sample(f, "workqueue_depth{name=\"others\"}") == 0);
    assert_true(sample(f, "workqueue_adds_total{name=\"things\"}") == 2);
    pass_ms(f, 2000);
    assert_takes(f, "a");
    assert_true(sample(f, "workqueue_queue_duration_seconds_sum{name=\"things\"}") == 2);
    pass_ms(f, 500);
    assert_takes(f, "b");
    pass_ms(f, 500);
    assert_true(sample(f, "workqueue_unfinished_work_seconds{name=\"things\"}") == 1.5);
    assert_true(sample(f, "workqueue_longest_running_processor_seconds{name=\"things\"}") == 1);
    queue_done(f->queue, key("a"));
    queue_done(f->queue, key("b"));
    assert_true(sample(f, "workqueue_unfinished_work_seconds{name=\"things\"}") == 0);
    assert_true(sample(f, "workqueue_longest_running_processor_seconds{name=\"things\"}") == 0);
    assert_true(sample(f, "workqueue_work_duration_seconds_sum{name=\"things\"}") == 1.5);
    assert_true(sample(f, "workqueue_work_duration_seconds_count{name=\"things\"}") == 2);
    add_failed(f, "a");
    assert_true(sample(f, "workqueue_retries_total{name=\"things\"}") == 1);
    assert_true(sample(f, "workqueue_adds_total{name=\"things\"}") == 2);
    assert_int_equal(timers_next_ns(&f->timers),
                     clock_now_ns(&f->clock.clock) + 5 * CLOCK_NS_PER_MS);
    queue_free(other);
}

/* ---- A plain model, side by side ---- */

enum { MODEL_KEYS = 40, MODEL_STEPS = 100000 };

struct model_key {
    char namespace[16], name[16];
    bool is_waiting, is_working, is_dirty;
    int64_t due_ns; /* 0: none */
    unsigned failures;
};

struct model {
    struct model_key keys[MODEL_KEYS];
    int line[MODEL_KEYS];
    size_t line_len;
};

static struct queue_key model_key(const struct model_key *k)
{
    return (struct queue_key){str_from_cstr(k->namespace), str_from_cstr(k->name)};
}

static void model_add(struct model *model, int k)
{
    struct model_key *m = &model->keys[k];
    m->is_dirty = true;
    if (!m->is_waiting && !m->is_working) {
        m->is_waiting = true;
        model->line[model->line_len++] = k;
    }
}

static void model_add_at(struct model *model, int k, int64_t at_ns, int64_t now_ns)
{
    struct model_key *m = &model->keys[k];
    if (at_ns <= now_ns)
        model_add(model, k);
    else if (m->due_ns == 0 || at_ns < m->due_ns)
        m->due_ns = at_ns;
}

static int model_take(struct model *model)
{
    if (model->line_len == 0)
        return -1;
    int k = model->line[0];
    memmove(model->line, model->line + 1, --model->line_len * sizeof(model->line[0]));
    model->keys[k].is_waiting = model->keys[k].is_dirty = false;
    model->keys[k].is_working = true;
    return k;
}

static void model_done(struct model *model, int k)
{
    model->keys[k].is_working = false;
    if (model->keys[k].is_dirty)
        model_add(model, k);
}

static int64_t model_backoff_ms(unsigned failures)
{
    return failures > 17 ? 1000000 : INT64_C(5) << failures;
}

/* Moves the time to the end of `ms`, stopping where something is due, so that the order among keys of
 * different times is known. No two are due at once: see the callers. */
static void model_pass(struct fixture *f, struct model *model, int64_t ms)
{
    int64_t end_ns = f->clock.now_ns + ms * CLOCK_NS_PER_MS;
    for (;;) {
        int next = -1;
        for (int k = 0; k < MODEL_KEYS; k++) {
            int64_t due_ns = model->keys[k].due_ns;
            if (due_ns && due_ns <= end_ns && (next < 0 || due_ns < model->keys[next].due_ns))
                next = k;
        }
        if (next < 0)
            break;
        model->keys[next].due_ns = 0;
        model_add(model, next);
    }
    f->clock.now_ns = end_ns;
    timers_run(&f->timers, end_ns);
}

static bool is_remembered(const struct model_key *m)
{
    return m->is_waiting || m->is_working || m->is_dirty || m->due_ns || m->failures;
}

static void check_model(struct fixture *f, const struct model *model, size_t blocks)
{
    size_t remembered = 0;
    for (int k = 0; k < MODEL_KEYS; k++)
        remembered += is_remembered(&model->keys[k]);
    assert_int_equal(queue_depth(f->queue), model->line_len);
    /* Tables grow, but are one block. */
    assert_int_equal(f->mem.live_blocks, blocks + remembered);
}

static void take_both(struct fixture *f, struct model *model)
{
    struct queue_key taken;
    int k = model_take(model);
    assert_int_equal(queue_take(f->queue, &taken), k >= 0);
    if (k >= 0) {
        assert_str_is(taken.namespace, model->keys[k].namespace);
        assert_str_is(taken.name, model->keys[k].name);
    }
}

static void step_both(struct fixture *f, struct model *model, int64_t *last_due_ns)
{
    const struct random *random = &f->random.random;
    int k = (int)random_below(random, MODEL_KEYS);
    struct model_key *m = &model->keys[k];
    int64_t now_ns = f->clock.now_ns;
    switch (random_below(random, 8)) {
    case 0:
        assert_int_equal(queue_add(f->queue, model_key(m)), 0);
        model_add(model, k);
        break;
    case 1: {
        /* One nanosecond apart each time: no two keys are due at once. */
        int64_t at_ns =
            now_ns + ((int64_t)random_below(random, 50) - 5) * CLOCK_NS_PER_MS + ++*last_due_ns;
        assert_int_equal(queue_add_at(f->queue, model_key(m), at_ns), 0);
        model_add_at(model, k, at_ns, now_ns);
        break;
    }
    case 2:
        if (m->failures > 20)
            break;
        f->clock.now_ns = ++now_ns;
        assert_int_equal(queue_add_failed(f->queue, model_key(m)), 0);
        model_add_at(model, k, now_ns + model_backoff_ms(m->failures++) * CLOCK_NS_PER_MS, now_ns);
        break;
    case 3:
        queue_forget(f->queue, model_key(m));
        m->failures = 0;
        break;
    case 4:
    case 5:
        take_both(f, model);
        break;
    case 6:
        if (m->is_working) {
            queue_done(f->queue, model_key(m));
            model_done(model, k);
        }
        break;
    default:
        model_pass(f, model, (int64_t)random_below(random, 20));
    }
}

static void random_operations_do_what_a_plain_model_does(void **state)
{
    struct fixture *f = *state;
    struct model model = {0};
    int64_t last_due_ns = 0;
    for (int k = 0; k < MODEL_KEYS; k++) {
        snprintf(model.keys[k].namespace, sizeof(model.keys[k].namespace), "n%d", k % 3);
        snprintf(model.keys[k].name, sizeof(model.keys[k].name), "k%d", k / 3);
    }
    size_t blocks = f->mem.live_blocks;
    for (int step = 0; step < MODEL_STEPS; step++) {
        step_both(f, &model, &last_due_ns);
        check_model(f, &model, blocks);
    }
}

/* ---- Memory ---- */

static bool use_a_queue(const struct mem *mem, void *ctx)
{
    (void)ctx;
    struct test_clock clock;
    test_clock_init(&clock);
    struct random_seeded random;
    random_seeded_init(&random, TEST_SEED);
    struct timers timers;
    timers_init(&timers, mem);
    const struct queue_config config = {.name = "things",
                                        .timers = &timers,
                                        .clock = &clock.clock,
                                        .random = &random.random,
                                        .mem = mem};
    struct err err = {0};
    struct queue *queue = queue_new(&config, &err);
    bool ok = queue != NULL;
    assert_int_equal(err.code, ok ? 0 : 507);
    size_t added = 0;
    for (int i = 0; queue && i < 40; i++) {
        char name[16];
        snprintf(name, sizeof(name), "key-%d", i);
        int failed = i % 3 == 0   ? queue_add(queue, key(name))
                     : i % 3 == 1 ? queue_add_failed(queue, key(name))
                                  : queue_add_at(queue, key(name), clock.now_ns + 1);
        added += failed == 0;
        ok = ok && failed == 0;
    }
    test_clock_advance_ms(&clock, 5);
    timers_run(&timers, clock.now_ns);
    if (queue)
        assert_int_equal(queue_depth(queue), added);
    queue_free(queue);
    timers_done(&timers);
    return ok;
}

static void without_memory_an_add_fails_and_the_rest_stays_whole(void **state)
{
    (void)state;
    test_every_allocation_failing(use_a_queue, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_come_in_the_order_in_which_they_were_added),
        TEST(the_same_name_in_another_namespace_is_another_key),
        TEST(a_key_waits_at_most_once),
        TEST(a_key_that_comes_during_its_work_waits_until_that_is_done),
        TEST(of_two_later_times_the_earliest_counts),
        TEST(a_time_that_has_passed_is_now),
        TEST(a_later_time_stands_beside_what_comes_before),
        TEST(a_key_that_rests_comes_no_sooner_whoever_adds_it),
        TEST(failures_double_the_wait_up_to_1000_seconds_until_forgotten),
        TEST(what_is_over_takes_no_memory),
        TEST(the_metrics_of_the_field_are_kept),
        TEST(random_operations_do_what_a_plain_model_does),
        cmocka_unit_test(without_memory_an_add_fails_and_the_rest_stays_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
