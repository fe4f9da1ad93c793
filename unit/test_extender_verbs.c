/* What kube-scheduler is answered, by many threads while nodes and pods change. */
#include "unit/extender_fixture.h"

#include "extender/verbs.h"

#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct extender_fixture shared;
    struct extender_fixture told; /* what the watches tell */
    struct test_clock clock;
    struct random_seeded random;
    struct metrics metrics;
    struct snapshot_source source;
    struct census *census;
    struct verbs verbs;
    struct http_route routes[VERB_ROUTES];
    struct http_route people_routes[PEOPLE_ROUTES];
    int64_t version;
};

static int set_up(void **state)
{
    struct err err;
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    extender_fixture_init(&f->shared);
    extender_fixture_init(&f->told);
    test_clock_init(&f->clock);
    random_seeded_init(&f->random, TEST_SEED);
    metrics_init(&f->metrics, mem_system());
    snapshot_source_init(&f->source);
    f->census = extender_census(&f->shared, &f->clock.clock, &f->random.random, &f->source);
    f->verbs = (struct verbs){.clock = &f->clock.clock,
                              .metrics = &f->metrics,
                              .source = &f->source,
                              .packer = packer_new(PACK_RSP, mem_system(), &err),
                              .decisions = decisions_new(mem_system(), &f->clock.clock, &err),
                              .is_active = true};
    assert_true(f->census && f->verbs.packer && f->verbs.decisions);
    pace_init(&f->verbs.pace, 1);
    verbs_add_metrics(&f->verbs);
    verbs_routes(&f->verbs, f->routes);
    verbs_people_routes(&f->verbs, f->people_routes);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    census_free(f->census);
    snapshot_source_done(&f->source);
    decisions_free(f->verbs.decisions);
    pace_done(&f->verbs.pace);
    packer_free(f->verbs.packer);
    metrics_done(&f->metrics);
    extender_fixture_done(&f->told);
    extender_fixture_done(&f->shared);
    free(f);
    return 0;
}

/* ---- What the watches tell ---- */

static void give(struct fixture *f, struct kube_sink sink, const char *text)
{
    struct kube_meta meta;
    const struct json *object = extender_json(&f->told, text);
    kube_meta_read(object, &meta);
    assert_int_equal(sink.upsert(sink.ctx, object, &meta), 0);
}

/* With one shared device. */
static void give_node(struct fixture *f, const char *name, const char *more_labels)
{
    char text[512];
    snprintf(text, sizeof(text),
             "{'metadata':{'name':'%s','labels':{'callboard.dev/gpu-mode':'shared',"
             "'nvidia.com/gpu.count':'1'%s}},'status':{'allocatable':{'cpu':'8'},"
             "'conditions':[{'type':'Ready','status':'True'}]}}",
             name, more_labels);
    give(f, census_node_sink(f->census), text);
}

static void give_lease(struct fixture *f, const char *name, int64_t number)
{
    char text[256];
    snprintf(text, sizeof(text),
             "{'metadata':{'name':'%s'},'spec':{'renewTime':'2026-11-21T10:%02u:%02u.000000Z'}}",
             name, (unsigned)(number / 60 % 60), (unsigned)(number % 60));
    give(f, census_lease_sink(f->census), text);
}

/* A pod that takes the device of the node, which may be "": it is bound to none. */
static struct cached_pod *make_pod(struct fixture *f, const char *name, const char *node)
{
    char text[512];
    struct kube_meta meta;
    snprintf(text, sizeof(text),
             "{'metadata':{'namespace':'team','name':'%s','uid':'uid-%s','annotations':"
             "{'callboard.dev/devices':'0'}},'spec':{'nodeName':'%s','containers':"
             "[{'resources':{'requests':{'callboard.dev/gpu-milli':'1000'}}}]}}",
             name, name, node);
    const struct json *object = extender_json(&f->shared, text);
    kube_meta_read(object, &meta);
    struct stored *pod = cached_pods.project(arena_mem(&f->shared.arena), object, &meta);
    assert_non_null(pod);
    return (struct cached_pod *)pod;
}

static void change(struct fixture *f, const struct cached_pod *before,
                   const struct cached_pod *after)
{
    census_pod_changed(f->census, before ? &before->stored : NULL, after ? &after->stored : NULL);
}

/* ---- Asking ---- */

static struct http_response respond(struct fixture *f, struct arena *arena, const char *verb,
                                    struct str body)
{
    struct http_request request = {
        .method = STR("POST"), .path = str_from_cstr(verb), .body = body, .arena = arena};
    struct http_response response = {0};
    for (size_t i = 0; i < VERB_ROUTES; i++) {
        if (strcmp(f->routes[i].path, verb) == 0)
            f->routes[i].handler(f->routes[i].ctx, &request, &response);
    }
    return response;
}

static struct str post(struct fixture *f, struct arena *arena, const char *verb, struct str body)
{
    struct http_response response = respond(f, arena, verb, body);
    return response.status == 200 ? response.body : (struct str){NULL, 0};
}

/* A question about a pod that asks for these resources. */
static struct str question(struct arena *arena, const char *uid, const char *resources,
                           const char *names)
{
    return arena_printf(arena,
                        "{\"Pod\":{\"metadata\":{\"namespace\":\"team\",\"name\":\"p\","
                        "\"uid\":\"%s\"},\"spec\":{\"containers\":[{\"resources\":"
                        "{\"requests\":{%s}}}]}},\"Nodes\":null,\"NodeNames\":[%s]}",
                        uid, resources, names);
}

static const char share[] = "\"callboard.dev/gpu-milli\":\"300\"";

/* The answer to a question about a share, in the arena. */
static struct str ask(struct fixture *f, struct arena *arena, const char *verb, const char *uid,
                      const char *names)
{
    return post(f, arena, verb, question(arena, uid, share, names));
}

/* The same of a pod that asks for these resources. */
static struct str ask_for(struct fixture *f, const char *verb, const char *resources,
                          const char *names)
{
    struct arena *arena = &f->shared.arena;
    return post(f, arena, verb, question(arena, "u", resources, names));
}

static bool has(struct str text, const char *part)
{
    return text.ptr && memmem(text.ptr, text.len, part, strlen(part));
}

/* ---- Snapshots ---- */

static void what_changes_nothing_makes_no_new_snapshot(void **state)
{
    struct fixture *f = *state;
    struct cached_pod *before = make_pod(f, "p", "a"), *after = make_pod(f, "p", "a");
    give_node(f, "a", "");
    change(f, NULL, before);
    assert_true(census_publish(f->census));
    uint64_t number = f->source.current->number;
    change(f, before, after); /* its status, perhaps */
    assert_true(census_publish(f->census));
    assert_int_equal(f->source.current->number, number);
    give_node(f, "a", ",'x':'y'"); /* a label that nobody reads */
    assert_true(census_publish(f->census));
    assert_int_equal(f->source.current->number, number);
    change(f, after, make_pod(f, "p", ""));
    assert_true(census_publish(f->census));
    assert_int_equal(f->source.current->number, number + 1);
    give_node(f, "a", ",'nvidia.com/gpu.memory':'40960'");
    assert_true(census_publish(f->census));
    assert_int_equal(f->source.current->number, number + 2);
}

/* ---- For people ---- */

/* What /explain says about the pod; absent: nothing. */
static struct str explain(struct fixture *f)
{
    struct http_request request = {
        .method = STR("GET"), .path = STR("/explain/team/p"), .arena = &f->shared.arena};
    struct http_response response = {0};
    for (size_t i = 0; i < PEOPLE_ROUTES; i++) {
        if (strcmp(f->people_routes[i].path, "/explain/") == 0)
            f->people_routes[i].handler(f->people_routes[i].ctx, &request, &response);
    }
    return response.status == 200 ? response.body : (struct str){NULL, 0};
}

static const char advised[] = "\"text\":\"too little CPU\"";

static void advise(struct fixture *f, const char *uid)
{
    const struct kube_meta pod = {
        .namespace = STR("team"), .name = STR("p"), .uid = str_from_cstr(uid)};
    verbs_advised(&f->verbs, &pod, STR("too little CPU"));
    assert_true(has(explain(f), advised));
}

static void what_would_help_is_explained_until_the_pod_is_bound(void **state)
{
    struct fixture *f = *state;
    const struct wire_binding binding = {
        .namespace = STR("team"), .name = STR("p"), .uid = STR("u"), .node = STR("a")};
    give_node(f, "a", "");
    assert_true(census_publish(f->census));
    assert_false(str_is_set(explain(f)));
    /* Of a pod about which kube-scheduler has not asked, and beside what it has. */
    advise(f, "u");
    ask(f, &f->shared.arena, "/filter", "u", "\"a\"");
    assert_true(has(explain(f), advised));
    assert_true(has(explain(f), "\"fit\":1"));
    decisions_bound(f->verbs.decisions, &binding, STR("no device is left"));
    assert_true(has(explain(f), advised));
    decisions_bound(f->verbs.decisions, &binding, STR(""));
    assert_true(has(explain(f), "\"binding\""));
    assert_false(has(explain(f), advised));
}

static void nothing_is_explained_by_what_was_said_of_another_pod_of_that_name(void **state)
{
    struct fixture *f = *state;
    give_node(f, "a", "");
    assert_true(census_publish(f->census));
    advise(f, "u");
    ask(f, &f->shared.arena, "/filter", "other", "\"a\"");
    assert_true(has(explain(f), "\"uid\":\"other\""));
    assert_false(has(explain(f), advised));
    advise(f, "third");
    assert_false(has(explain(f), "\"fit\""));
}

/* ---- A replica that is not active ---- */

static void assert_answered(struct fixture *f, const char *verb, bool is_active)
{
    struct arena *arena = &f->shared.arena;
    atomic_store(&f->verbs.is_active, is_active);
    struct http_response response = respond(f, arena, verb, question(arena, "u", "", "\"a\""));
    assert_int_equal(response.status, 200);
    if (response.is_last == is_active)
        fail_msg("%s: last %d, active %d", verb, response.is_last, is_active);
}

static void it_ends_the_connections_on_which_it_is_asked(void **state)
{
    static const char *const verbs[] = {"/filter", "/pick", "/prioritize", "/bind", "/preempt"};
    struct fixture *f = *state;
    give_node(f, "a", "");
    assert_true(census_publish(f->census));
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        assert_answered(f, verbs[i], false);
        if (i < 3) /* those that answer without the event loop */
            assert_answered(f, verbs[i], true);
    }
}

/* ---- Pick ---- */

static void the_node_that_stands_above_all_others_is_picked(void **state)
{
    struct fixture *f = *state;
    const char *names = "\"full\",\"b\",\"unknown\",\"a\"";
    give_node(f, "a", "");
    give_node(f, "b", "");
    give_node(f, "full", "");
    change(f, NULL, make_pod(f, "other", "full"));
    assert_true(census_publish(f->census));
    struct str scores = ask_for(f, "/prioritize", share, names);
    assert_true(has(scores, "{\"Host\":\"a\",\"Score\":10}"));
    /* kube-scheduler wants no reasons for a pod that has found its node. */
    assert_str_is(ask_for(f, "/pick", share, names),
                  "{\"Nodes\":null,\"NodeNames\":[\"a\"],\"FailedNodes\":null,"
                  "\"FailedAndUnresolvableNodes\":null,\"Error\":\"\"}\n");
    /* People are told of all nodes. */
    assert_true(has(explain(f), "\"nodes\":4,\"fit\":2,"));
    assert_true(has(explain(f), "\"best\":{\"node\":\"a\",\"score\":10}"));
    /* A node that does not fit is none to pick, however its name reads. */
    assert_true(has(ask_for(f, "/pick", share, "\"full\",\"b\""), "[\"b\"]"));
}

static void where_kube_scheduler_has_a_say_pick_names_all_that_fit(void **state)
{
    struct fixture *f = *state;
    const char *core = "\"cpu\":\"1\"", *names = "\"gpu\",\"unknown\",\"plain\"";
    give_node(f, "gpu", "");
    give(f, census_node_sink(f->census),
         "{'metadata':{'name':'plain'},'status':{'allocatable':{'cpu':'8'},"
         "'conditions':[{'type':'Ready','status':'True'}]}}");
    assert_true(census_publish(f->census));
    struct str picked = ask_for(f, "/pick", core, names);
    assert_true(has(picked, "\"NodeNames\":[\"gpu\",\"plain\"],\"FailedNodes\":{\"unknown\":"));
    assert_str_equal(picked, ask_for(f, "/filter", core, names));
    /* Without a node that has no GPUs, where its CPU is missed the least is ours to say. */
    give_node(f, "other-gpu", "");
    assert_true(census_publish(f->census));
    assert_true(has(ask_for(f, "/pick", core, "\"other-gpu\",\"gpu\""), ":[\"gpu\"],"));
}

static void a_pod_that_fits_nowhere_is_told_why_by_pick_as_by_filter(void **state)
{
    struct fixture *f = *state;
    const char *names = "\"unknown\",\"full\"";
    give_node(f, "full", "");
    change(f, NULL, make_pod(f, "other", "full"));
    assert_true(census_publish(f->census));
    struct str picked = ask_for(f, "/pick", share, names);
    assert_true(has(picked, "\"NodeNames\":[],\"FailedNodes\":{\"unknown\":"));
    assert_true(has(picked, "\"full\":\"GPU: no device has enough left for the share\""));
    assert_str_equal(ask_for(f, "/filter", share, names), picked);
}

struct picking {
    struct fixture *f;
    struct str body;
};

static bool pick_one(const struct mem *mem, void *ctx)
{
    const struct picking *picking = ctx;
    struct arena arena;
    arena_init(&arena, mem, 64, 1 << 20);
    bool is_picked = has(post(picking->f, &arena, "/pick", picking->body), ":[\"a\"],");
    arena_done(&arena);
    return is_picked;
}

static void picking_needs_memory(void **state)
{
    struct fixture *f = *state;
    struct str body = question(&f->shared.arena, "u", share, "\"b\",\"a\"");
    give_node(f, "a", "");
    give_node(f, "b", "");
    assert_true(census_publish(f->census));
    test_every_allocation_failing(pick_one, &(struct picking){f, body});
}

static void nodes_are_measured_as_workers(void **state)
{
    struct fixture *f = *state;
    struct buf text;
    give_node(f, "a", "");
    give_node(f, "silent", "");
    give_lease(f, "a", 0);
    give_lease(f, "a", 1);
    test_clock_advance_ms(&f->clock, 40 * 1000);
    assert_true(census_publish(f->census));
    buf_init(&text, mem_system(), 1 << 20);
    metrics_write(&f->metrics, &text);
    assert_true(has(buf_str(&text), "callboard_node_heartbeat_age_seconds{node=\"a\"} 40\n"));
    assert_false(has(buf_str(&text), "callboard_node_heartbeat_age_seconds{node=\"silent\"}"));
    assert_true(has(buf_str(&text), "callboard_node_jobs{node=\"silent\"} 0\n"));
    assert_true(has(buf_str(&text), "callboard_node_workers{state=\"Available\"} 1\n"));
    assert_true(has(buf_str(&text), "callboard_node_workers{state=\"Unhealthy\"} 1\n"));
    buf_done(&text);
}

/* ---- Many threads ---- */

enum { READERS = 4, QUESTIONS = 300 };

struct reader {
    struct fixture *f;
    pthread_t thread;
    unsigned number;
    unsigned torn; /* answers that fit no moment */
    atomic_bool has_ended;
};

/* Pods come to a and b, and leave, between two snapshots: at every moment both are free or both are full. */
static bool is_of_one_moment(struct str answer)
{
    bool is_free = has(answer, "\"NodeNames\":[\"a\",\"b\"]");
    bool is_full = has(answer, "\"NodeNames\":[],") && has(answer, "{\"a\":\"GPU: ");
    return is_free || is_full;
}

static void *read_for_a_while(void *ctx)
{
    struct reader *reader = ctx;
    struct fixture *f = reader->f;
    struct arena arena;
    struct buf scrape;
    char uid[16];
    arena_init(&arena, mem_system(), 16384, 1 << 24);
    buf_init(&scrape, mem_system(), 1 << 20);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        snprintf(uid, sizeof(uid), "%u-%u", reader->number, i);
        reader->torn += !is_of_one_moment(ask(f, &arena, "/filter", uid, "\"a\",\"b\""));
        struct str scores = ask(f, &arena, "/prioritize", uid, "\"a\",\"b\"");
        reader->torn += !has(scores, "\"Score\":10");
        if (i % 50 == 0)
            metrics_write(&f->metrics, &scrape);
        buf_clear(&scrape);
        arena_reset(&arena);
    }
    buf_done(&scrape);
    arena_done(&arena);
    atomic_store(&reader->has_ended, true);
    return NULL;
}

static bool have_ended(struct reader *readers)
{
    bool have = true;
    for (size_t i = 0; i < READERS; i++)
        have = have && atomic_load(&readers[i].has_ended);
    return have;
}

/* One round of what the loop does while requests are answered. */
static void turn(struct fixture *f, struct cached_pod *const pods[2], unsigned round)
{
    bool is_full = round % 2;
    for (size_t i = 0; i < 2; i++)
        change(f, is_full ? pods[i] : NULL, is_full ? NULL : pods[i]);
    assert_true(census_publish(f->census));
    give_lease(f, round % 2 ? "a" : "b", round % 3000);
    give_node(f, "a", round % 4 < 2 ? ",'nvidia.com/gpu.memory':'40960'" : "");
    if (round % 16 == 0) /* a name more or less: the index is made anew */
        give_node(f, "c", "");
    if (round % 16 == 8) {
        struct kube_sink nodes = census_node_sink(f->census);
        struct kube_meta meta = {.name = STR("c")};
        nodes.remove(nodes.ctx, NULL, &meta);
    }
}

static void answers_are_of_one_moment_while_everything_changes(void **state)
{
    struct fixture *f = *state;
    struct reader readers[READERS] = {0};
    struct cached_pod *const pods[2] = {make_pod(f, "p", "a"), make_pod(f, "q", "b")};
    give_node(f, "a", "");
    give_node(f, "b", "");
    assert_true(census_publish(f->census));
    for (unsigned i = 0; i < READERS; i++) {
        readers[i].f = f;
        readers[i].number = i;
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_for_a_while, &readers[i]),
                         0);
    }
    for (unsigned round = 0; !have_ended(readers); round++) {
        turn(f, pods, round);
        arena_reset(&f->told.arena);
    }
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].torn, 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_changes_nothing_makes_no_new_snapshot),
        TEST(what_would_help_is_explained_until_the_pod_is_bound),
        TEST(nothing_is_explained_by_what_was_said_of_another_pod_of_that_name),
        TEST(it_ends_the_connections_on_which_it_is_asked),
        TEST(the_node_that_stands_above_all_others_is_picked),
        TEST(where_kube_scheduler_has_a_say_pick_names_all_that_fit),
        TEST(a_pod_that_fits_nowhere_is_told_why_by_pick_as_by_filter),
        TEST(picking_needs_memory),
        TEST(nodes_are_measured_as_workers),
        TEST(answers_are_of_one_moment_while_everything_changes),
    };
    return cmocka_run_group_tests_name("extender_verbs", tests, NULL, NULL);
}
