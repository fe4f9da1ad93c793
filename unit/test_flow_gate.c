/* Which flows start when others are active: groups, priorities, the limit of active flows. */
#include "unit/flow_world.h"

#include <stdio.h>

enum { LIMIT = 3 };

static int set_up(void **state)
{
    static struct flow_world w;
    flow_world_init(&w, mem_system(), 0);
    *state = &w;
    return 0;
}

static int set_up_limited(void **state)
{
    static struct flow_world w;
    flow_world_init(&w, mem_system(), LIMIT);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    flow_world_done(*state);
    return 0;
}

/* A flow of one step, a second after the one before. */
static void make(struct flow_world *w, const char *name, const char *policy)
{
    flow_world_pass(w, 1);
    flow_world_create(
        w, name,
        arena_printf(&w->arena, "'executionPolicy':{%s},'steps':[{'name':'a'}]", policy).ptr);
    flow_world_settle(w);
}

static void finish(struct flow_world *w, const char *name)
{
    flow_world_complete(w, name, "a");
    flow_world_settle(w);
}

static bool has_started(struct flow_world *w, const char *name)
{
    return str_is_set(flow_world_job(w, name, "a"));
}

static const char *reason(struct flow_world *w, const char *name)
{
    const struct json *flow = flow_world_get(w, &kube_jobflows, str_from_cstr(name));
    struct str text = kube_text_at(kube_condition(flow, "Blocked"), "reason", NULL);
    return str_is_set(text) ? arena_copy(&w->arena, text).ptr : "";
}

static const char *phase(struct flow_world *w, const char *name)
{
    return flow_world_status(w, name, "phase");
}

/* ---- Groups ---- */

#define GROUP(policy) "'concurrencyGroup':'g','concurrencyPolicy':'" policy "'"

static void flows_of_different_groups_do_not_wait_for_each_other(void **state)
{
    struct flow_world *w = *state;
    make(w, "one", "");
    make(w, "two", "");
    assert_true(has_started(w, "one") && has_started(w, "two"));
}

static void forbid_lets_one_flow_of_a_group_run_in_the_order_of_creation(void **state)
{
    struct flow_world *w = *state;
    make(w, "z", GROUP("Forbid"));
    make(w, "b", GROUP("Forbid"));
    make(w, "a", GROUP("Forbid"));
    assert_true(has_started(w, "z"));
    assert_string_equal(phase(w, "b"), "Pending");
    assert_string_equal(reason(w, "b"), "ConcurrencyForbidden");
    finish(w, "z");
    assert_true(has_started(w, "b"));
    assert_false(has_started(w, "a"));
    finish(w, "b");
    assert_true(has_started(w, "a"));
}

static void allow_does_not_wait_but_is_waited_for(void **state)
{
    struct flow_world *w = *state;
    make(w, "first", GROUP("Allow"));
    make(w, "second", GROUP("Allow"));
    make(w, "third", GROUP("Forbid"));
    assert_true(has_started(w, "first") && has_started(w, "second"));
    assert_false(has_started(w, "third"));
    finish(w, "first");
    assert_false(has_started(w, "third"));
    finish(w, "second");
    assert_true(has_started(w, "third"));
}

static void the_order_survives_a_restart(void **state)
{
    struct flow_world *w = *state;
    make(w, "z", GROUP("Forbid"));
    make(w, "b", GROUP("Forbid"));
    make(w, "a", GROUP("Forbid"));
    flow_world_restart(w);
    flow_world_settle(w);
    assert_false(has_started(w, "a") || has_started(w, "b"));
    finish(w, "z");
    assert_true(has_started(w, "b"));
}

static void replace_ends_the_active_flow_and_takes_its_place(void **state)
{
    struct flow_world *w = *state;
    make(w, "old", GROUP("Forbid"));
    make(w, "new", GROUP("Replace"));
    struct json *job = flow_world_get(w, &kube_jobs, flow_world_job(w, "old", "a"));
    assert_true(kube_bool_at(job, "spec", "suspend", NULL));
    flow_world_pass(w, 2);
    assert_string_equal(phase(w, "old"), "Failed");
    assert_string_equal(flow_world_step(w, "old", "a", "reason"), "Replaced");
    assert_true(has_started(w, "new"));
    finish(w, "new");
    assert_string_equal(phase(w, "new"), "Succeeded");
}

/* Creation times are whole seconds; the fake server's uids are random as a real one's. */
static void of_flows_of_the_same_second_the_one_seen_first_is_the_older(void **state)
{
    enum { TIMES = 16 };
    struct flow_world *w = *state;
    for (int i = 0; i < TIMES; i++) {
        char policy[64], old[24], new[24];
        snprintf(old, sizeof(old), "old-%d", i);
        snprintf(new, sizeof(new), "a-new-%d", i);
        snprintf(policy, sizeof(policy), "'concurrencyGroup':'g%d','concurrencyPolicy':'Replace'",
                 i);
        make(w, old, policy);
        flow_world_create(
            w, new,
            arena_printf(&w->arena, "'executionPolicy':{%s},'steps':[{'name':'a'}]", policy).ptr);
        flow_world_settle(w);
        flow_world_pass(w, 2);
        assert_string_equal(phase(w, old), "Failed");
        assert_true(has_started(w, new));
    }
}

static void replace_does_not_end_what_is_newer(void **state)
{
    struct flow_world *w = *state;
    make(w, "first", GROUP("Allow"));
    make(w, "second", "'suspend':true," GROUP("Replace"));
    make(w, "third", GROUP("Allow"));
    flow_world_merge(w, &kube_jobflows, STR("second"),
                     "{'spec':{'executionPolicy':{'suspend':false}}}");
    flow_world_pass(w, 2);
    assert_string_equal(phase(w, "first"), "Failed");
    assert_string_equal(phase(w, "third"), "Running");
    assert_string_equal(reason(w, "second"), "ConcurrencyForbidden");
    finish(w, "third");
    assert_true(has_started(w, "second"));
}

static void a_flow_that_is_deleted_makes_room(void **state)
{
    struct flow_world *w = *state;
    make(w, "one", GROUP("Forbid"));
    make(w, "two", GROUP("Forbid"));
    flow_world_delete(w, &kube_jobflows, STR("one"));
    flow_world_settle(w);
    assert_true(has_started(w, "two"));
}

static void a_suspended_flow_lets_others_go_first(void **state)
{
    struct flow_world *w = *state;
    make(w, "one", "'suspend':true," GROUP("Forbid"));
    make(w, "two", GROUP("Forbid"));
    assert_true(has_started(w, "two"));
    assert_false(has_started(w, "one"));
}

static void a_group_that_changes_before_the_start_counts(void **state)
{
    struct flow_world *w = *state;
    make(w, "one", GROUP("Forbid"));
    make(w, "two", GROUP("Forbid"));
    flow_world_merge(w, &kube_jobflows, STR("two"),
                     "{'spec':{'executionPolicy':{'concurrencyGroup':'h'}}}");
    flow_world_settle(w);
    assert_true(has_started(w, "two"));
}

/* ---- The limit ---- */

static size_t started_of(struct flow_world *w, const char *prefix, int count)
{
    size_t started = 0;
    char name[16];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "%s%d", prefix, i);
        started += has_started(w, name);
    }
    return started;
}

static void no_more_flows_are_active_than_the_limit(void **state)
{
    struct flow_world *w = *state;
    char name[16];
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        make(w, name, "");
    }
    assert_int_equal(started_of(w, "f", 8), LIMIT);
    assert_string_equal(reason(w, "f5"), "ActiveFlowsLimit");
    assert_int_equal(flow_gate_active(w->controller.gate), LIMIT);
    assert_int_equal(flow_gate_waiting(w->controller.gate, FLOW_NORMAL), 5);
    finish(w, "f1");
    assert_true(has_started(w, "f3"));
    assert_int_equal(started_of(w, "f", 8), LIMIT + 1);
}

static void the_queues_have_a_third_each_of_what_starts(void **state)
{
    static const char *const priorities[] = {"high", "normal", "low"};
    struct flow_world *w = *state;
    char name[16], policy[32];
    for (int i = 0; i < LIMIT; i++) {
        snprintf(name, sizeof(name), "x%d", i);
        make(w, name, "");
    }
    for (int i = 0; i < 6; i++) {
        for (int p = 0; p < 3; p++) {
            snprintf(name, sizeof(name), "%s%d", priorities[p], i);
            snprintf(policy, sizeof(policy), "'priority':'%s'", priorities[p]);
            make(w, name, policy);
        }
    }
    for (int batch = 0; batch < 2; batch++) {
        for (int i = 0; i < LIMIT; i++) {
            if (batch == 0)
                snprintf(name, sizeof(name), "x%d", i);
            else
                snprintf(name, sizeof(name), "%s0", priorities[i]);
            finish(w, name);
        }
        for (int p = 0; p < 3; p++)
            assert_int_equal(started_of(w, priorities[p], 6), batch + 1);
    }
}

static void only_a_low_queue_has_all_turns(void **state)
{
    struct flow_world *w = *state;
    make(w, "a", "'priority':'low'");
    make(w, "b", "'priority':'low'");
    make(w, "c", "'priority':'low'");
    assert_true(has_started(w, "a") && has_started(w, "b") && has_started(w, "c"));
}

static void after_a_restart_the_limit_still_holds(void **state)
{
    struct flow_world *w = *state;
    char name[16];
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        make(w, name, "");
    }
    flow_world_restart(w);
    flow_world_pass(w, 5);
    assert_int_equal(started_of(w, "f", 6), LIMIT);
}

static void a_granted_start_that_did_not_reach_the_server_is_made_again(void **state)
{
    struct flow_world *w = *state;
    flow_world_create(w, "f", "'steps':[{'name':'a'}]");
    flow_world_reconcile(w, "f");
    assert_true(w->plan.action_count > 0);
    flow_world_restart(w);
    flow_world_settle(w);
    assert_true(has_started(w, "f"));
    assert_int_equal(flow_gate_active(w->controller.gate), 1);
}

/* ---- Whose turn it is ---- */

static struct gate_facts facts_of(const char *name, enum flow_priority priority, int64_t start_ns)
{
    return (struct gate_facts){
        .key = {STR("team"), str_from_cstr(name)},
        .uid = str_from_cstr(name),
        .group = str_from_cstr(name),
        .concurrency = FLOW_ALLOW,
        .priority = priority,
        .start_ns = start_ns,
    };
}

static void wake_nobody(void *ctx, struct queue_key key)
{
    (void)ctx;
    (void)key;
}

/* Those that wait, and those that others have let start before; there is room for one. */
static void a_new_leader_goes_on_behind_the_last_start(void **state)
{
    static const struct {
        int64_t high, normal, low; /* when one of these started; 0: none */
        bool has_ended;            /* they have, meanwhile */
        enum flow_priority next;
    } cases[] = {
        {0, 0, 0, false, FLOW_HIGH},  {5, 0, 0, false, FLOW_NORMAL}, {5, 6, 0, false, FLOW_LOW},
        {5, 6, 7, false, FLOW_HIGH},  {9, 6, 7, false, FLOW_NORMAL}, {5, 6, 0, true, FLOW_LOW},
        {9, 10, 11, true, FLOW_HIGH},
    };
    static const char *const before[] = {"high", "normal", "low"};
    static const char *const waiting[] = {"h", "n", "l"};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct random_seeded random;
        struct err err;
        random_seeded_init(&random, TEST_SEED);
        int64_t starts[] = {cases[i].high, cases[i].normal, cases[i].low}, active = 0;
        for (int k = 0; k < FLOW_PRIORITY_COUNT; k++)
            active += starts[k] > 0 && !cases[i].has_ended;
        struct flow_gate *gate =
            flow_gate_new(&(const struct flow_gate_config){.mem = mem_system(),
                                                           .random = &random.random,
                                                           .max_active = active + 1,
                                                           .wake = wake_nobody},
                          &err);
        assert_non_null(gate);
        struct flow_live *lives[FLOW_PRIORITY_COUNT];
        for (int k = 0; k < FLOW_PRIORITY_COUNT; k++) {
            struct gate_facts facts = facts_of(waiting[k], (enum flow_priority)k, 0);
            lives[k] = flow_gate_see(gate, &facts);
            facts = facts_of(before[k], (enum flow_priority)k, starts[k]);
            if (starts[k] > 0 && cases[i].has_ended)
                flow_gate_forget(gate, &facts);
            else if (starts[k] > 0)
                assert_non_null(flow_gate_see(gate, &facts));
        }
        for (int k = 0; k < FLOW_PRIORITY_COUNT; k++)
            assert_int_equal(flow_gate_ask(gate, lives[k]), k == (int)cases[i].next);
        flow_gate_free(gate);
    }
}

/* ---- Memory ---- */

static bool see_and_forget(const struct mem *mem, void *ctx)
{
    (void)ctx;
    struct random_seeded random;
    struct err err;
    random_seeded_init(&random, TEST_SEED);
    struct flow_gate *gate =
        flow_gate_new(&(const struct flow_gate_config){.mem = mem, .random = &random.random}, &err);
    if (!gate)
        return false;
    const struct gate_facts facts = {.key = {STR("team"), STR("f")},
                                     .uid = STR("u"),
                                     .group = STR("g"),
                                     .concurrency = FLOW_ALLOW};
    bool is_good = flow_gate_see(gate, &facts) != NULL;
    flow_gate_forget(gate, &facts);
    flow_gate_free(gate);
    return is_good;
}

static void without_memory_it_says_so_and_leaks_nothing(void **state)
{
    (void)state;
    test_every_allocation_failing(see_and_forget, NULL);
}

static void it_grows_and_finds_thousands_of_flows(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    struct test_mem mem;
    struct random_seeded random;
    struct err err;
    char name[16];
    test_mem_init(&mem);
    random_seeded_init(&random, TEST_SEED);
    struct flow_gate *gate = flow_gate_new(
        &(const struct flow_gate_config){.mem = &mem.mem, .random = &random.random}, &err);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < COUNT; i++) {
            int length = snprintf(name, sizeof(name), "f%d", i);
            struct gate_facts facts = {.key = {STR("team"), {name, (size_t)length}},
                                       .uid = {name, (size_t)length},
                                       .group = {name, (size_t)length},
                                       .concurrency = FLOW_ALLOW};
            if (pass == 0) {
                assert_non_null(flow_gate_see(gate, &facts));
            } else {
                assert_non_null(flow_gate_find(gate, facts.key));
                flow_gate_forget(gate, &facts);
            }
        }
    }
    flow_gate_free(gate);
    test_mem_done(&mem);
}

#define WORLD(test)   cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define LIMITED(test) cmocka_unit_test_setup_teardown(test, set_up_limited, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD(flows_of_different_groups_do_not_wait_for_each_other),
        WORLD(forbid_lets_one_flow_of_a_group_run_in_the_order_of_creation),
        WORLD(allow_does_not_wait_but_is_waited_for),
        WORLD(the_order_survives_a_restart),
        WORLD(replace_ends_the_active_flow_and_takes_its_place),
        WORLD(of_flows_of_the_same_second_the_one_seen_first_is_the_older),
        WORLD(replace_does_not_end_what_is_newer),
        WORLD(a_flow_that_is_deleted_makes_room),
        WORLD(a_suspended_flow_lets_others_go_first),
        WORLD(a_group_that_changes_before_the_start_counts),
        LIMITED(no_more_flows_are_active_than_the_limit),
        LIMITED(the_queues_have_a_third_each_of_what_starts),
        LIMITED(only_a_low_queue_has_all_turns),
        LIMITED(after_a_restart_the_limit_still_holds),
        WORLD(a_granted_start_that_did_not_reach_the_server_is_made_again),
        cmocka_unit_test(a_new_leader_goes_on_behind_the_last_start),
        cmocka_unit_test(without_memory_it_says_so_and_leaks_nothing),
        cmocka_unit_test(it_grows_and_finds_thousands_of_flows),
    };
    return cmocka_run_group_tests_name("flow_gate", tests, NULL, NULL);
}
