/*
 * A controller that may die after each of its writes, among users, kubelets and a node that goes away:
 * whatever happens, there is never a pod too many, and once it is quiet all is as the spec says.
 */
#include "unit/performer_world.h"

#include "types/names.h"

#include <stdio.h>

enum { SEEDS = 400, ACTS = 60 };

struct play {
    struct world world;
    struct random_seeded dice;
    uint64_t seed;
    bool is_blue_green;
    bool has_lost_node;
};

static uint64_t roll(struct play *play, uint64_t limit)
{
    return random_below(&play->dice.random, limit);
}

/* A pod of any sort, or NULL. */
static struct json *any_pod(struct play *play)
{
    size_t count = world_count(&play->world, &kube_pods);
    return count ? world_nth(&play->world, &kube_pods, roll(play, count)) : NULL;
}

static bool is_on_lost_node(struct play *play, const struct json *pod)
{
    return play->has_lost_node && str_eq(kube_text_at(pod, "spec", "nodeName", NULL), STR("n1"));
}

static void kubelet_acts(struct play *play)
{
    struct world *world = &play->world;
    struct json *pod = any_pod(play);
    if (!pod || is_on_lost_node(play, pod))
        return;
    struct str name = world_name(pod), node = kube_text_at(pod, "spec", "nodeName", NULL);
    bool is_placed = node.len > 0;
    if (kube_at(pod, "metadata", "deletionTimestamp", NULL)) {
        world_remove(world, &kube_pods, name);
    } else if (!is_placed || roll(play, 4) > 0) {
        const char *to = play->has_lost_node || roll(play, 2) ? "n2" : "n1";
        world_run(world, name, is_placed ? arena_copy(&world->arena, node).ptr : to);
    } else {
        static const char *const states[] = {
            "{\"waiting\":{\"reason\":\"ErrImagePull\"}}",
            "{\"terminated\":{\"exitCode\":1}}",
            "{\"waiting\":{\"reason\":\"ContainerCreating\"}}",
        };
        world_container(world, name, states[roll(play, 3)]);
    }
}

static void user_acts(struct play *play)
{
    struct world *world = &play->world;
    struct json *pod = any_pod(play), *service = world_nth(world, &kube_services, 0);
    switch (roll(play, 5)) {
    case 0:
    case 1:
        world_merge(
            world, &kube_performers, STR("solo"),
            arena_printf(&world->arena, "{\"spec\":{\"image\":\"solo:v%d\"}}", (int)roll(play, 3))
                .ptr);
        break;
    case 2:
        if (pod && !kube_at(pod, "metadata", "deletionTimestamp", NULL))
            world_delete(world, &kube_pods, world_name(pod));
        break;
    case 3:
        if (service)
            world_merge(world, &kube_services, world_name(service),
                        "{\"spec\":{\"selector\":{\"odd\":\"one\"}}}");
        break;
    default:
        if (service)
            world_delete(world, &kube_services, world_name(service));
        break;
    }
}

/* One life of the controller: it does a part of its plan. */
static void controller_acts(struct play *play)
{
    struct world *world = &play->world;
    world_reconcile(world);
    world_apply(world, roll(play, 2) ? PLAN_ACTIONS_MAX : roll(play, 3));
    size_t most = play->is_blue_green ? 2 : 1;
    if (world->peak_running > most)
        fail_msg("seed %llu: %zu pods at once after: %s", (unsigned long long)play->seed,
                 world->peak_running, world_actions(world));
}

static void something_happens(struct play *play)
{
    switch (roll(play, 12)) {
    case 0:
        user_acts(play);
        break;
    case 1:
        world_endpoints(&play->world);
        break;
    case 2:
        world_advance_ms(&play->world, (int64_t)roll(play, 30000));
        break;
    case 3:
        if (!play->has_lost_node && roll(play, 8) == 0) {
            play->has_lost_node = true;
            world_set_node(&play->world, "n1", false);
        }
        break;
    case 4:
    case 5:
    case 6:
        kubelet_acts(play);
        break;
    default:
        controller_acts(play);
        break;
    }
}

/* Nobody does harm any more. */
static void calm_down(struct play *play)
{
    struct world *world = &play->world;
    for (int turn = 0; turn < 60; turn++) {
        for (size_t n = 0; n < world_count(world, &kube_pods);) {
            struct json *pod = world_nth(world, &kube_pods, n++);
            struct str node = kube_text_at(pod, "spec", "nodeName", NULL);
            if (is_on_lost_node(play, pod))
                continue;
            if (kube_at(pod, "metadata", "deletionTimestamp", NULL)) {
                world_remove(world, &kube_pods, world_name(pod));
                n = 0;
            } else {
                world_run(world, world_name(pod),
                          node.len ? arena_copy(&world->arena, node).ptr : "n2");
            }
        }
        world_settle(world);
        world_advance_ms(world, 30000);
    }
}

static bool is_one_text(struct str a, struct str b)
{
    return a.len > 0 && str_eq(a, b);
}

/* What is not as the spec says, or NULL. */
static const char *find_wrong(struct play *play)
{
    struct world *world = &play->world;
    struct str pod = str_from_cstr(world_status(world, "podName"));
    if (strcmp(world_status(world, "phase"), "Running") != 0 ||
        strcmp(world_status(world, "ready"), "true") != 0)
        return "it does not run";
    size_t live = 0;
    for (size_t n = 0; n < world_count(world, &kube_pods); n++)
        live += !is_on_lost_node(play, world_nth(world, &kube_pods, n));
    if (live != 1)
        return "it has not one pod";
    const struct json *is = world_get(world, &kube_pods, pod);
    const struct json *performer = world_nth(world, &kube_performers, 0);
    const struct json *service = world_nth(world, &kube_services, 0);
    const struct json *container = json_first(kube_at(is, "spec", "containers", NULL));
    if (!is_one_text(kube_text_at(container, "image", NULL),
                     kube_text_at(performer, "spec", "image", NULL)))
        return "its pod has another image";
    if (!is_one_text(kube_map_get(kube_at(service, "spec", "selector", NULL), STR(LABEL_REVISION)),
                     kube_map_get(kube_at(is, "metadata", "labels", NULL), STR(LABEL_REVISION))))
        return "its Service leads to another pod";
    size_t writes = world->writes;
    world_settle(world);
    return world->writes == writes ? NULL : "it goes on writing";
}

static void play_seed(uint64_t seed)
{
    static struct play play;
    play = (struct play){.seed = seed, .is_blue_green = seed % 2};
    random_seeded_init(&play.dice, seed);
    world_init(&play.world, mem_system());
    world_node(&play.world, "n1");
    world_node(&play.world, "n2");
    world_performer(&play.world, play.is_blue_green ? "\"upgradeStrategy\":\"BlueGreen\"" : "");
    for (int i = 0; i < ACTS; i++)
        something_happens(&play);
    calm_down(&play);
    const char *wrong = find_wrong(&play);
    if (wrong)
        fail_msg("seed %llu: %s", (unsigned long long)seed, wrong);
    world_done(&play.world);
}

static void a_crash_after_any_write_leads_to_the_same_end(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        play_seed(seed);
}

/* Deletion, with the controller dying after each write in turn. */
static void the_end_survives_a_crash_after_any_write(void **state)
{
    (void)state;
    for (size_t at_once = 1; at_once <= 3; at_once++) {
        static struct world world;
        world_init(&world, mem_system());
        world_node(&world, "n1");
        world_performer(&world, "");
        world_settle(&world);
        struct str pod = world_name(world_nth(&world, &kube_pods, 0));
        world_run(&world, pod, "n1");
        world_settle(&world);
        world_delete(&world, &kube_performers, STR("solo"));
        for (int turn = 0; turn < 20; turn++) {
            world_reconcile(&world);
            world_apply(&world, at_once);
            bool is_gone = world_count(&world, &kube_performers) == 0;
            assert_true(!is_gone || world_count(&world, &kube_pods) == 0);
            assert_true(!is_gone || world_count(&world, &kube_services) == 0);
            struct json *left = world_nth(&world, &kube_pods, 0);
            if (turn > 10 && left)
                world_remove(&world, &kube_pods, world_name(left));
        }
        assert_int_equal(world_count(&world, &kube_performers), 0);
        world_done(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_after_any_write_leads_to_the_same_end),
        cmocka_unit_test(the_end_survives_a_crash_after_any_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
