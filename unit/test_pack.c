/* The packing policies: values computed by hand, plain ways that the fast ones must agree with. */
#include "unit/support.h"

#include "extender/pack_parts.h"

#include <stdio.h>

enum { NODES = 24 };

/* Room for the policy's tables. */
static struct pack *new_pack(enum pack_kind kind)
{
    struct err err;
    struct pack_config config = pack_config_default(kind);
    config.learn_first = 0;
    struct pack *pack = pack_new(&config, mem_system(), &err);
    assert_non_null(pack);
    return pack;
}

static struct pack_node node_of(int64_t cpu_milli, uint8_t model, unsigned count,
                                const uint16_t *milli)
{
    struct pack_node node = {.cpu_free_milli = cpu_milli,
                             .cpu_capacity_milli = cpu_milli,
                             .memory_free = 1 << 30,
                             .pods_free = 100,
                             .model = model,
                             .device_count = (uint8_t)count};
    memcpy(node.device_free_milli, milli, count * sizeof(*milli));
    return node;
}

static struct pack_node empty_node(int64_t cpu_milli, uint8_t model, unsigned count)
{
    uint16_t milli[PACK_DEVICES_MAX];
    for (unsigned i = 0; i < count; i++)
        milli[i] = PACK_WHOLE_MILLI;
    return node_of(cpu_milli, model, count, milli);
}

static struct pack_demand share(int64_t cpu_milli, uint16_t milli)
{
    return (struct pack_demand){.cpu_milli = cpu_milli, .gpu_count = 1, .gpu_milli = milli};
}

static struct pack_demand whole(int64_t cpu_milli, uint8_t count)
{
    return (struct pack_demand){
        .cpu_milli = cpu_milli, .gpu_count = count, .gpu_milli = PACK_WHOLE_MILLI};
}

static struct pack_state state_of(const struct pack_node *node)
{
    struct pack_state state;
    pack_state_of(node, &state);
    return state;
}

static void assert_near(double actual, double expected)
{
    if (actual < expected - 1e-6 || actual > expected + 1e-6)
        fail_msg("%.9f is not %.9f", actual, expected);
}

/* ---- What fits ---- */

static void a_pod_fits_where_every_resource_suffices(void **state)
{
    (void)state;
    const struct {
        const char *name;
        struct pack_demand demand;
        bool fits;
    } cases[] = {
        {"a share of a device that has exactly so much", share(1000, 300), true},
        {"a share that only both devices together have", share(1000, 900), false},
        {"a whole device", whole(1000, 1), false},
        {"all of the CPU", share(4000, 300), true},
        {"more than the CPU", share(4001, 300), false},
        {"all of the memory", {.memory = 64}, true},
        {"more than the memory", {.memory = 65}, false},
        {"the right model", {.models = 1 << 3}, true},
        {"another model", {.models = 1 << 2}, false},
        {"no GPU", {.cpu_milli = 1}, true},
    };
    const uint16_t milli[] = {300, 800};
    struct pack_node node = node_of(4000, 3, 2, milli);
    node.memory_free = 64;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (pack_fits(&node, &cases[i].demand) != cases[i].fits)
            fail_msg("%s", cases[i].name);
    }
    node.pods_free = 0;
    assert_false(pack_fits(&node, &cases[9].demand));
}

static void whole_gpus_need_so_many_free_devices(void **state)
{
    (void)state;
    const uint16_t milli[] = {1000, 999, 1000};
    struct pack_node node = node_of(4000, 0, 3, milli);
    struct pack_demand two = whole(0, 2), three = whole(0, 3);
    struct pack_choice choice = {.devices = 99};
    struct pack *pack = new_pack(PACK_RSP);
    assert_true(pack_score(pack, &node, &two, &choice));
    assert_int_equal(choice.devices, 1 << 0 | 1 << 2);
    assert_false(pack_score(pack, &node, &three, &choice));
    assert_int_equal(choice.devices, 1 << 0 | 1 << 2);
    pack_free(pack);
}

/* ---- Values computed by hand ---- */

/*
 * Three quarters of the pods want 500 milli and 2 CPUs, one quarter wants two whole GPUs and 4 CPUs.
 */
static struct pack *pack_of_two_classes(enum pack_kind kind)
{
    struct pack *pack = new_pack(kind);
    struct pack_demand half = share(2000, 500), two = whole(4000, 2);
    pack->config.typical_percent = 100;
    pack_observe_many(pack, &half, 75);
    pack_observe_many(pack, &two, 25);
    pack_learn(pack);
    return pack;
}

static void fragmentation_is_what_typical_pods_cannot_use(void **state)
{
    (void)state;
    struct pack *pack = pack_of_two_classes(PACK_FGD);
    const struct {
        int64_t cpu_milli;
        uint16_t milli[2];
        double expected;
    } cases[] = {
        {8000, {1000, 1000}, 0},
        /* Halves cannot use the 400; the others need two free devices: all 1400 are lost to them. */
        {8000, {400, 1000}, 0.75 * 400 + 0.25 * 1400},
        {8000, {500, 500}, 0.25 * 1000},
        /* CPU for halves only, then for none. */
        {3000, {1000, 1000}, 0.25 * 2000},
        {1000, {1000, 1000}, 2000},
        {8000, {0, 0}, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pack_node node = node_of(cases[i].cpu_milli, 0, 2, cases[i].milli);
        struct pack_state is = state_of(&node);
        assert_near(pack_fragments(pack, &is), cases[i].expected);
    }
    pack_free(pack);
}

static void pods_without_gpus_count_all_idle_gpus_as_fragments(void **state)
{
    (void)state;
    struct pack *pack = new_pack(PACK_FGD);
    struct pack_demand none = {.cpu_milli = 1000}, half = share(1000, 500);
    pack_observe_many(pack, &none, 1);
    pack_observe_many(pack, &half, 1);
    pack->config.typical_percent = 100;
    pack_learn(pack);
    struct pack_node node = empty_node(8000, 0, 1);
    struct pack_state is = state_of(&node);
    assert_near(pack_fragments(pack, &is), 0.5 * 1000);
    pack_free(pack);
}

static void fgd_takes_the_node_whose_fragmentation_grows_least(void **state)
{
    (void)state;
    struct pack *pack = pack_of_two_classes(PACK_FGD);
    const uint16_t begun[] = {500, 1000};
    struct pack_node nodes[] = {empty_node(8000, 0, 2), node_of(8000, 0, 2, begun)};
    struct pack_node *list[] = {&nodes[0], &nodes[1]};
    struct pack_demand half = share(2000, 500);
    struct pack_choice choice;
    size_t best;
    pack_refresh(pack, list, 2);
    assert_true(pack_choose(pack, list, 2, &half, &best, &choice));
    assert_int_equal(best, 1);
    assert_int_equal(choice.devices, 1);
    /* From 0.25 * 1500 to 0.25 * 1000: a drop of 125 milli, sigmoid(0.125) is 0.5312. */
    assert_int_equal(choice.score, 53);
    pack_free(pack);
}

/* One class only: every rollout ends alike. */
static void a_rollout_leaves_what_no_pod_can_take(void **state)
{
    (void)state;
    struct pack *pack = new_pack(PACK_RSP);
    struct pack_demand some = share(2000, 300);
    pack_observe_many(pack, &some, 10);
    pack_learn(pack);
    const struct {
        int64_t cpu_milli;
        uint16_t milli[2];
        double left;
    } cases[] = {
        {100000, {1000, 1000}, 200}, /* three times 300 on each */
        {4000, {1000, 1000}, 1400},  /* CPU for two pods */
        {100000, {299, 650}, 299 + 50}, {1999, {1000, 0}, 1000}, {100000, {0, 0}, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pack_node node = node_of(cases[i].cpu_milli, 0, 2, cases[i].milli);
        struct pack_state is = state_of(&node);
        assert_near(pack_rollout(pack, &is), cases[i].left);
    }
    struct pack_node none = {.cpu_free_milli = 1000};
    struct pack_state is = state_of(&none);
    assert_near(pack_rollout(pack, &is), 0);
    pack_free(pack);
}

static void slots_count_free_devices_and_cpu(void **state)
{
    (void)state;
    struct pack *pack = pack_of_two_classes(PACK_RSP);
    const struct pack_typical *two = &pack->typical.items[1];
    assert_int_equal(two->gpu_count, 2);
    const uint16_t milli[] = {1000, 1000, 1000, 1000, 600};
    struct pack_node node = node_of(100000, 0, 5, milli);
    struct pack_state is = state_of(&node);
    assert_near(pack_slots(pack, &is, two), 2);
    is.cpu_free_milli = 7999;
    assert_near(pack_slots(pack, &is, two), 1);
    pack_free(pack);
}

static void slots_count_devices_that_will_come_free_by_their_chance(void **state)
{
    (void)state;
    struct pack *pack = pack_of_two_classes(PACK_RSP);
    const struct pack_typical *two = &pack->typical.items[1];
    const uint16_t milli[] = {1000, 0, 0};
    struct pack_node node = node_of(4000, 0, 3, milli);
    node.cpu_capacity_milli = 12000;
    struct pack_state is = state_of(&node);
    pack->release_ratio = 1;
    pack->config.release_share = 0.5;
    /* None, one or two of the two busy ones: 1/4, 1/2, 1/4; CPU for 1, 2 and 3 pods. */
    assert_near(pack_slots(pack, &is, two), 0.5 * 1 + 0.25 * 1);
    node.device_free_milli[1] = 1000;
    is = state_of(&node);
    is.cpu_free_milli = 0; /* 12000 of one busy device */
    assert_near(pack_slots(pack, &is, two), 0.5 * 0 + 0.5 * 1);
    pack_free(pack);
}

static void scarce_slots_have_a_price(void **state)
{
    (void)state;
    struct pack *pack = pack_of_two_classes(PACK_RSP);
    struct pack_node nodes[] = {empty_node(8000, 0, 2), empty_node(8000, 0, 1),
                                empty_node(8000, 0, 1)};
    struct pack_node *list[] = {&nodes[0], &nodes[1], &nodes[2]};
    pack_refresh(pack, list, 3);
    /* 4 idle GPUs, 0.75 * 0.5 + 0.25 * 2 = 0.875 a pod: room for 4.571 pods, 1.143 of them large, 1 slot. */
    double price = 0.25 * 4 / 0.875 / 1.5;
    assert_near(pack->typical.items[1].price, price);
    struct pack_state is = state_of(&nodes[0]);
    assert_near(pack_slot_worth(pack, &is), 0.5 * 1000 * 2 * price * price);
    pack_free(pack);
}

static void models_that_pods_are_bound_to_have_a_price(void **state)
{
    (void)state;
    struct pack *pack = new_pack(PACK_RSP);
    struct pack_demand any = whole(0, 1), bound = whole(0, 1);
    bound.models = 1 << 1;
    pack_observe_many(pack, &any, 3);
    pack_observe_many(pack, &bound, 1);
    pack->config.typical_percent = 100;
    pack_learn(pack);
    struct pack_node nodes[] = {empty_node(8000, 0, 4), empty_node(8000, 1, 2)};
    struct pack_node *list[] = {&nodes[0], &nodes[1]};
    pack_refresh(pack, list, 2);
    assert_near(pack->model_price[0], 0);
    assert_near(pack->model_price[1], 0.25 * 6 / 2.5);
    struct pack_choice choice;
    size_t best;
    assert_true(pack_choose(pack, list, 2, &any, &best, &choice));
    assert_int_equal(best, 0);
    assert_true(pack_choose(pack, list, 2, &bound, &best, &choice));
    assert_int_equal(best, 1);
    pack_free(pack);
}

static void rare_pods_of_several_gpus_are_priced_too(void **state)
{
    (void)state;
    struct pack *pack = new_pack(PACK_RSP);
    struct pack_demand one = whole(0, 1), eight = whole(0, 8);
    pack_observe_many(pack, &one, 99);
    pack_observe_many(pack, &eight, 1);
    pack->config.typical_percent = 95;
    pack_learn(pack);
    assert_int_equal(pack->typical.count, 1);
    assert_int_equal(pack->typical.priced_count, 2);
    struct pack_node nodes[] = {empty_node(8000, 0, 8)};
    struct pack_node *list[] = {&nodes[0]};
    pack_refresh(pack, list, 1);
    assert_true(pack->typical.items[1].price > 0);
    pack_free(pack);
}

/* ---- Choices ---- */

static void of_equals_the_first_node_is_chosen(void **state)
{
    (void)state;
    struct pack *pack = pack_of_two_classes(PACK_RSP);
    struct pack_node nodes[] = {empty_node(8000, 0, 2), empty_node(8000, 0, 2)};
    struct pack_node *list[] = {&nodes[0], &nodes[1]};
    struct pack_demand half = share(2000, 500);
    struct pack_choice choice;
    size_t best;
    pack_refresh(pack, list, 2);
    assert_true(pack_choose(pack, list, 2, &half, &best, &choice));
    assert_int_equal(best, 0);
    pack_free(pack);
}

static void best_fit_takes_the_fullest_node_and_device(void **state)
{
    (void)state;
    struct pack *pack = new_pack(PACK_BESTFIT);
    const uint16_t fuller[] = {700, 500, 0}, emptier[] = {1000, 600, 500};
    struct pack_node nodes[] = {node_of(8000, 0, 3, emptier), node_of(8000, 0, 3, fuller)};
    struct pack_node *list[] = {&nodes[0], &nodes[1]};
    struct pack_demand half = share(2000, 500);
    struct pack_choice choice;
    size_t best;
    pack_refresh(pack, list, 2);
    assert_true(pack_choose(pack, list, 2, &half, &best, &choice));
    assert_int_equal(best, 1);
    assert_int_equal(choice.devices, 1 << 1);
    pack_free(pack);
}

static void spread_takes_the_emptiest_node_and_device(void **state)
{
    (void)state;
    struct pack *pack = pack_of_two_classes(PACK_RSP);
    const uint16_t fuller[] = {1000, 0, 0}, emptier[] = {500, 600, 900};
    struct pack_node nodes[] = {node_of(8000, 0, 3, fuller), node_of(8000, 0, 3, emptier)};
    struct pack_node *list[] = {&nodes[0], &nodes[1]};
    struct pack_demand half = share(2000, 500);
    half.spread = true;
    struct pack_choice choice;
    size_t best;
    pack_refresh(pack, list, 2);
    assert_true(pack_choose(pack, list, 2, &half, &best, &choice));
    assert_int_equal(best, 1);
    assert_int_equal(choice.devices, 1 << 2);
    pack_free(pack);
}

static void pods_without_gpus_go_where_they_strand_none(void **state)
{
    (void)state;
    struct pack *pack = pack_of_two_classes(PACK_RSP);
    const uint16_t taken[] = {0, 0};
    struct pack_node nodes[] = {empty_node(8000, 0, 2), node_of(8000, 0, 2, taken),
                                empty_node(8000, PACK_NO_MODEL, 0)};
    struct pack_node *list[] = {&nodes[0], &nodes[1], &nodes[2]};
    struct pack_demand none = {.cpu_milli = 6000};
    struct pack_choice choice;
    size_t best;
    pack_refresh(pack, list, 3);
    assert_true(pack_choose(pack, list, 3, &none, &best, &choice));
    assert_int_equal(best, 2);
    assert_int_equal(choice.devices, 0);
    assert_true(pack_choose(pack, list, 2, &none, &best, &choice));
    assert_int_equal(best, 1);
    pack_free(pack);
}

static void a_node_is_kept_that_is_nearly_free(void **state)
{
    (void)state;
    const uint16_t some[] = {1000, 1000, 0, 0}, most[] = {1000, 1000, 1000, 500};
    struct pack_node nodes[] = {node_of(8000, 0, 4, some), node_of(8000, 0, 4, most),
                                empty_node(8000, 0, 2)};
    struct pack_node *list[] = {&nodes[0], &nodes[1], &nodes[2]};
    struct pack_demand four = whole(4000, 4), five = whole(4000, 5);
    const bool held[] = {false, true, false};
    size_t best;
    assert_true(pack_choose_hold(list, 3, NULL, &four, &best));
    assert_int_equal(best, 1);
    assert_true(pack_choose_hold(list, 3, held, &four, &best));
    assert_int_equal(best, 0);
    assert_false(pack_choose_hold(list, 3, NULL, &five, &best));
}

static void what_is_placed_and_released_changes_the_node_and_the_flow(void **state)
{
    (void)state;
    struct pack *pack = new_pack(PACK_RSP);
    struct pack_node node = empty_node(8000, 0, 4), before = node;
    struct pack_node *list[] = {&node};
    struct pack_demand two = whole(3000, 2);
    two.memory = 100;
    pack_place(pack, &node, &two, 1 << 1 | 1 << 3);
    assert_int_equal(node.cpu_free_milli, 5000);
    assert_int_equal(node.memory_free, before.memory_free - 100);
    assert_int_equal(node.pods_free, before.pods_free - 1);
    assert_int_equal(node.device_free_milli[0], 1000);
    assert_int_equal(node.device_free_milli[1], 0);
    assert_int_equal(node.device_free_milli[3], 0);
    pack_refresh(pack, list, 1);
    assert_near(pack->release_ratio, 0);
    pack_release(pack, &node, &two, 1 << 1 | 1 << 3);
    assert_memory_equal(&node, &before, sizeof(node));
    pack_refresh(pack, list, 1);
    assert_near(pack->release_ratio, 1);
    pack_free(pack);
}

/* ---- Learning ---- */

static void typical_pods_are_learned_from_what_arrives(void **state)
{
    (void)state;
    struct err err;
    struct pack_config config = pack_config_default(PACK_RSP);
    config.learn_every = 100;
    struct pack *pack = pack_new(&config, mem_system(), &err);
    struct pack_demand half = share(2000, 500), two = whole(4000, 2);
    uint64_t learned[16], count = 0;
    for (uint64_t i = 1; i <= 400; i++) {
        uint32_t epoch = pack->value_epoch;
        pack_observe(pack, i % 4 == 0 ? &two : &half);
        if (pack->value_epoch != epoch) {
            assert_true(pack_refresh_is_due(pack));
            assert_true(count < 16);
            learned[count++] = i;
        }
    }
    const uint64_t expected[] = {32, 64, 128, 228, 328};
    assert_int_equal(count, 5);
    assert_memory_equal(learned, expected, sizeof(expected));
    assert_int_equal(pack->typical.count, 2);
    assert_near(pack->typical.items[0].share, 0.75);
    assert_near(pack->typical.items[0].gpus, 0.5);
    assert_near(pack->typical.items[1].gpus, 2);
    pack_free(pack);
}

static void counts_fade_so_that_old_pods_weigh_less(void **state)
{
    (void)state;
    struct err err;
    struct pack_config config = pack_config_default(PACK_RSP);
    config.remember = 100;
    struct pack *pack = pack_new(&config, mem_system(), &err);
    struct pack_demand before = share(1000, 500), now = share(2000, 500);
    for (unsigned i = 0; i < 1000; i++)
        pack_observe(pack, i < 500 ? &before : &now);
    assert_true(pack->classes.seen < 100);
    assert_int_equal(pack->classes.count, 1);
    assert_int_equal(pack->classes.items[0].cpu_milli, 2000);
    pack_free(pack);
}

static void of_more_classes_than_there_is_room_for_the_rare_are_forgotten(void **state)
{
    (void)state;
    struct pack *pack = new_pack(PACK_RSP);
    struct pack_demand frequent = share(1, 500);
    pack_observe_many(pack, &frequent, 10);
    for (int64_t i = 2; i < 3 * PACK_CLASSES_MAX; i++) {
        struct pack_demand rare = share(i, 500);
        pack_observe_many(pack, &rare, 1);
        assert_int_not_equal(pack_class_find(&pack->classes, &rare), PACK_NO_CLASS);
    }
    assert_int_not_equal(pack_class_find(&pack->classes, &frequent), PACK_NO_CLASS);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < pack->classes.count; i++)
        seen += pack->classes.items[i].seen;
    assert_int_equal(pack->classes.seen, seen);
    pack_free(pack);
}

static void more_models_than_there_are_ids_share_the_last(void **state)
{
    (void)state;
    struct pack *pack = new_pack(PACK_RSP);
    char name[32];
    for (int i = 0; i < PACK_MODELS_MAX; i++) {
        snprintf(name, sizeof(name), "model-%d", i);
        assert_int_equal(pack_model(pack, str_from_cstr(name)), i);
    }
    assert_int_equal(pack_model(pack, STR("another")), PACK_MODELS_MAX - 1);
    assert_int_equal(pack_model(pack, STR("model-7")), 7);
    pack_free(pack);
}

/* ---- Over a restart ---- */

static void what_was_learned_survives_a_restart(void **state)
{
    (void)state;
    struct pack *before = new_pack(PACK_RSP), *after = new_pack(PACK_RSP);
    struct pack_demand half = share(2000, 500), bound = whole(4000, 2), none = {.cpu_milli = 7};
    uint8_t first = pack_model(before, STR("A100")), second = pack_model(before, STR("T4"));
    bound.models = UINT64_C(1) << first | UINT64_C(1) << second;
    pack_observe_many(before, &half, 70);
    pack_observe_many(before, &bound, 20);
    pack_observe_many(before, &none, 10);
    /* Other ids. */
    pack_model(after, STR("T4"));
    struct buf saved, again;
    struct err err;
    buf_init(&saved, mem_system(), 1 << 16);
    buf_init(&again, mem_system(), 1 << 16);
    pack_save(before, &saved);
    assert_int_equal(pack_load(after, buf_str(&saved), &err), 0);
    assert_int_equal(after->classes.seen, 100);
    assert_int_equal(after->typical.count, 3);
    assert_int_equal(after->typical.items[1].models, 3);
    pack_save(after, &again);
    assert_true(str_ends_with(buf_str(&again), STR("class 4000 1000 2 20 T4|A100\n"
                                                   "class 7 0 0 10 *\n")));
    buf_done(&saved);
    buf_done(&again);
    pack_free(before);
    pack_free(after);
}

static void what_makes_no_sense_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    const struct {
        const char *text;
        const char *line;
    } cases[] = {
        {"", "line 1 "},
        {"callboard-pack 2\n", "line 1 "},
        {"callboard-pack 1\nclass 1 2 3\n", "line 2 "},
        {"callboard-pack 1\nclass 1000 500 1 5 *\nclass 1 500 2 5 *\n", "line 3 "},
        {"callboard-pack 1\nclass 1000 500 0 5 *\n", "line 2 "},
        {"callboard-pack 1\nclass 1000 500 1 -5 *\n", "line 2 "},
        {"callboard-pack 1\nclass 1000 500 1 5 * more\n", "line 2 "},
        {"callboard-pack 1\nflow 1\n", "line 2 "},
        {"callboard-pack 1\nother 1\n", "line 2 "},
    };
    struct pack *pack = pack_of_two_classes(PACK_RSP);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err;
        assert_int_equal(pack_load(pack, str_from_cstr(cases[i].text), &err), -1);
        assert_int_equal(err.code, 400);
        assert_non_null(strstr(err.message, cases[i].line));
        assert_int_equal(pack->classes.seen, 100);
    }
    pack_free(pack);
}

/* ---- The plain way ---- */

/* A rollout without sets of bits: every pod of the sequence is looked at, every device searched. */
static double plain_rollout(const struct pack *pack, const struct pack_node *node)
{
    const struct pack_rollouts *r = &pack->rollouts;
    uint32_t draws = (pack->config.draws_still * node->device_count + 7) / 8;
    uint64_t left = 0;
    for (uint32_t s = 0; s < pack->config.rollouts_still; s++) {
        struct pack_node filled = *node;
        for (uint32_t d = 0; d < draws; d++) {
            const struct pack_typical *t = &pack->typical.items[r->pods[s * r->draws + d]];
            struct pack_demand demand = {.cpu_milli = t->cpu_milli,
                                         .models = t->models,
                                         .gpu_milli = t->gpu_milli,
                                         .gpu_count = t->gpu_count};
            filled.pods_free = 1;
            if (t->gpu_count == 0 || !pack_fits(&filled, &demand))
                continue;
            filled.cpu_free_milli -= t->cpu_milli;
            for (unsigned n = 0; n < t->gpu_count; n++) {
                unsigned best = PACK_DEVICES_MAX;
                for (unsigned i = 0; i < filled.device_count; i++) {
                    uint16_t milli = filled.device_free_milli[i];
                    if (milli >= t->gpu_milli &&
                        (best == PACK_DEVICES_MAX || milli < filled.device_free_milli[best]))
                        best = i;
                }
                filled.device_free_milli[best] =
                    (uint16_t)(filled.device_free_milli[best] - t->gpu_milli);
            }
        }
        for (unsigned i = 0; i < filled.device_count; i++)
            left += filled.device_free_milli[i];
    }
    return (double)left / pack->config.rollouts_still;
}

static struct pack_demand random_demand(const struct random *random)
{
    struct pack_demand demand = {.cpu_milli = (int64_t)(1 + random_below(random, 12)) * 1000};
    switch (random_below(random, 4)) {
    case 0:
        break;
    case 1:
        demand.gpu_count = (uint8_t)(1u << random_below(random, 4));
        demand.gpu_milli = PACK_WHOLE_MILLI;
        break;
    default:
        demand.gpu_count = 1;
        demand.gpu_milli = (uint16_t)(50 * (1 + random_below(random, 20)));
    }
    if (random_below(random, 4) == 0)
        demand.models = 1 + random_below(random, 7);
    return demand;
}

static struct pack_node random_node(const struct random *random)
{
    uint16_t milli[PACK_DEVICES_MAX];
    unsigned count = (unsigned)random_below(random, 2) ? 8 : (unsigned)random_below(random, 17);
    for (unsigned i = 0; i < count; i++)
        milli[i] =
            random_below(random, 2) ? PACK_WHOLE_MILLI : (uint16_t)(50 * random_below(random, 20));
    struct pack_node node = node_of((int64_t)random_below(random, 96) * 1000, 0, count, milli);
    node.cpu_capacity_milli = 96000;
    node.model = (uint8_t)random_below(random, 4);
    return node;
}

static void observe_random(struct pack *pack, const struct random *random)
{
    for (unsigned i = 0; i < 60; i++) {
        struct pack_demand demand = random_demand(random);
        pack_observe_many(pack, &demand, 1 + random_below(random, 9));
    }
    pack_learn(pack);
}

static void rollouts_end_as_the_plain_way_does(void **state)
{
    (void)state;
    struct random_seeded random;
    random_seeded_init(&random, TEST_SEED);
    struct pack *pack = new_pack(PACK_RSP);
    observe_random(pack, &random.random);
    for (unsigned i = 0; i < 300; i++) {
        struct pack_node node = random_node(&random.random);
        struct pack_state is = state_of(&node);
        assert_near(pack_rollout(pack, &is), plain_rollout(pack, &node));
    }
    pack_free(pack);
}

/* Scores without numbers and memos: from the values of the state before and after. */
static bool plain_score(struct pack *pack, const struct pack_node *node,
                        const struct pack_demand *demand, int64_t *ret)
{
    if (!pack_fits(node, demand))
        return false;
    bool is_share = demand->gpu_count == 1 && demand->gpu_milli < PACK_WHOLE_MILLI;
    int64_t best = INT64_MIN;
    for (unsigned i = 0; i < (is_share ? node->device_count : 1u); i++) {
        struct pack_node then = *node;
        if (is_share && then.device_free_milli[i] < demand->gpu_milli)
            continue;
        uint64_t devices = UINT64_C(1) << i;
        if (!is_share) {
            devices = 0;
            for (unsigned d = 0, left = demand->gpu_count; left > 0; d++) {
                if (then.device_free_milli[d] == PACK_WHOLE_MILLI) {
                    devices |= UINT64_C(1) << d;
                    left--;
                }
            }
        }
        double placed = pack->placed;
        pack_place(pack, &then, demand, devices);
        pack->placed = placed;
        struct pack_state a = state_of(node), b = state_of(&then);
        double gain =
            pack_rollout(pack, &a) - pack_rollout(pack, &b) +
            2 * pack->release_quarters * (pack_fragments(pack, &a) - pack_fragments(pack, &b)) -
            pack_slot_worth(pack, &a) + pack_slot_worth(pack, &b) -
            pack->model_price[node->model] * demand->gpu_milli * demand->gpu_count;
        double quantum = pack->release_quarters >= 0.5 ? 20 : 50;
        int64_t score = (int64_t)__builtin_floor(gain / quantum + 1e-9);
        best = score > best ? score : best;
    }
    *ret = demand->gpu_count == 0 && node->device_count == 0 ? INT32_MAX : best;
    return true;
}

/* Pods come and go on few nodes, prices change, tables are emptied in between. */
static void scores_are_those_of_the_plain_way_whatever_is_remembered(void **state)
{
    (void)state;
    struct random_seeded random;
    random_seeded_init(&random, TEST_SEED);
    struct pack *pack = new_pack(PACK_RSP);
    observe_random(pack, &random.random);
    struct pack_node nodes[NODES], *list[NODES];
    for (unsigned i = 0; i < NODES; i++) {
        nodes[i] = random_node(&random.random);
        list[i] = &nodes[i];
    }
    unsigned scored = 0;
    for (unsigned round = 0; round < 150; round++) {
        struct pack_demand demand = random_demand(&random.random);
        if (round % 20 == 0) {
            pack->placed = 100;
            pack->released = round;
            pack_refresh(pack, list, NODES);
        }
        for (unsigned i = 0; i < NODES; i++) {
            struct pack_choice choice;
            int64_t expected;
            bool fits = plain_score(pack, &nodes[i], &demand, &expected);
            assert_int_equal(pack_score(pack, &nodes[i], &demand, &choice), fits);
            if (!fits)
                continue;
            scored++;
            assert_true(choice.score == expected || choice.score == expected - 1);
        }
        size_t best;
        struct pack_choice choice;
        if (pack_choose(pack, list, NODES, &demand, &best, &choice))
            pack_place(pack, list[best], &demand, choice.devices);
        if (round == 100)
            observe_random(pack, &random.random);
    }
    assert_true(scored > 500);
    pack_free(pack);
}

static void a_full_table_of_states_changes_no_score(void **state)
{
    (void)state;
    struct pack *pack = pack_of_two_classes(PACK_FGD);
    struct pack_node first = empty_node(8000, 0, 2);
    struct pack_demand half = share(2000, 500);
    struct pack_choice before, after;
    assert_true(pack_score(pack, &first, &half, &before));
    for (int64_t cpu = 0; pack->states.generation == 1; cpu++) {
        struct pack_node node = empty_node(10000 + cpu, 0, 2);
        struct pack_choice choice;
        assert_true(cpu < 1 << 20);
        assert_true(pack_score(pack, &node, &half, &choice));
        assert_int_equal(choice.score, before.score);
    }
    assert_true(pack_score(pack, &first, &half, &after));
    assert_int_equal(after.score, before.score);
    assert_int_equal(after.devices, before.devices);
    pack_free(pack);
}

/* ---- Without memory ---- */

static bool make_pack(const struct mem *mem, void *ctx)
{
    (void)ctx;
    struct err err = {0};
    struct pack_config config = pack_config_default(PACK_RSP);
    struct pack *pack = pack_new(&config, mem, &err);
    bool succeeded = pack != NULL;
    if (!succeeded)
        assert_int_equal(err.code, 507);
    pack_free(pack);
    return succeeded;
}

static void without_memory_there_is_no_policy_and_nothing_is_lost(void **state)
{
    (void)state;
    test_every_allocation_failing(make_pack, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pod_fits_where_every_resource_suffices),
        cmocka_unit_test(whole_gpus_need_so_many_free_devices),
        cmocka_unit_test(fragmentation_is_what_typical_pods_cannot_use),
        cmocka_unit_test(pods_without_gpus_count_all_idle_gpus_as_fragments),
        cmocka_unit_test(fgd_takes_the_node_whose_fragmentation_grows_least),
        cmocka_unit_test(a_rollout_leaves_what_no_pod_can_take),
        cmocka_unit_test(slots_count_free_devices_and_cpu),
        cmocka_unit_test(slots_count_devices_that_will_come_free_by_their_chance),
        cmocka_unit_test(scarce_slots_have_a_price),
        cmocka_unit_test(models_that_pods_are_bound_to_have_a_price),
        cmocka_unit_test(rare_pods_of_several_gpus_are_priced_too),
        cmocka_unit_test(of_equals_the_first_node_is_chosen),
        cmocka_unit_test(best_fit_takes_the_fullest_node_and_device),
        cmocka_unit_test(spread_takes_the_emptiest_node_and_device),
        cmocka_unit_test(pods_without_gpus_go_where_they_strand_none),
        cmocka_unit_test(a_node_is_kept_that_is_nearly_free),
        cmocka_unit_test(what_is_placed_and_released_changes_the_node_and_the_flow),
        cmocka_unit_test(typical_pods_are_learned_from_what_arrives),
        cmocka_unit_test(counts_fade_so_that_old_pods_weigh_less),
        cmocka_unit_test(of_more_classes_than_there_is_room_for_the_rare_are_forgotten),
        cmocka_unit_test(more_models_than_there_are_ids_share_the_last),
        cmocka_unit_test(what_was_learned_survives_a_restart),
        cmocka_unit_test(what_makes_no_sense_is_refused_and_changes_nothing),
        cmocka_unit_test(rollouts_end_as_the_plain_way_does),
        cmocka_unit_test(scores_are_those_of_the_plain_way_whatever_is_remembered),
        cmocka_unit_test(a_full_table_of_states_changes_no_score),
        cmocka_unit_test(without_memory_there_is_no_policy_and_nothing_is_lost),
    };
    return cmocka_run_group_tests_name("pack", tests, NULL, NULL);
}
