/* Requests to the extender: what is skimmed is what a reader of the whole document finds, and answers made of
 * pieces of it are JSON. */
#include "extender/wire.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct json_limits limits = {.max_depth = 32, .max_values = 10000};

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "does not hold: %s\n", what);
    abort();
}

static bool is_within(struct str part, struct str whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void judge_pod(struct arena *arena, struct str text, struct catalog *catalog)
{
    struct err err;
    const struct json *tree = json_read(arena, text, &limits, &err);
    struct pod pod;
    struct pod_load load;
    struct node_facts facts = {.is_ready = true, .gpu_mode = GPU_MODE_IS_SHARED, .device_count = 8};
    struct node node = {.facts = &facts};
    if (!tree)
        return;
    pod_read(&pod, tree, catalog);
    for (size_t i = 0; i < RESOURCE_COUNT; i++)
        check(pod.amounts.of[i] >= 0, "amounts are not negative");
    enum verdict verdict = filter_judge_all(&pod, &node, 0);
    check(verdict < VERDICT_COUNT, "there is a verdict");
    pod_load_of(&pod, 1, &load);
    node_load_add(&node.load, &load);
    node_load_remove(&node.load, &load);
    check(node.load.device_milli[0] == 0, "what was added is removed again");
}

static void check_answer(struct arena *arena, const struct wire_args *args,
                         const struct wire_node *nodes, size_t count)
{
    struct err err;
    struct buf buf;
    uint8_t *verdicts = arena_alloc(arena, count + 1);
    check(verdicts != NULL, "there is memory");
    for (size_t i = 0; i < count; i++)
        verdicts[i] = (uint8_t)(i % VERDICT_COUNT);
    buf_init(&buf, arena_mem(arena), 64 * 1024 * 1024);
    wire_write_filter(&buf, args, nodes, verdicts, count);
    check(!buf_failed(&buf), "there is room to write");
    const struct json *answer = json_read(arena, buf_str(&buf), &limits, &err);
    check(answer || err.code != 400 || strstr(err.message, "more than once"), "an answer is JSON");
}

static void check_preemption(struct arena *arena, struct str body, const struct json *tree)
{
    struct wire_preemption preemption;
    struct wire_candidate *candidates;
    struct err err;
    struct buf buf;
    size_t count;
    if (wire_read_preemption(body, &preemption, &err) < 0 ||
        wire_read_candidates(&preemption, arena, &candidates, &count, &err) < 0)
        return;
    check(is_within(preemption.pod, body), "the preemptor is in the body");
    for (size_t i = 0; i < count; i++) {
        check(is_within(candidates[i].node, preemption.candidates), "names are among the nodes");
        for (size_t v = 0; v < candidates[i].count; v++)
            check(is_within(candidates[i].uids[v], preemption.candidates) &&
                      candidates[i].uids[v].len > 0,
                  "victims are among the nodes");
    }
    buf_init(&buf, arena_mem(arena), 64 * 1024 * 1024);
    wire_write_preemption(&buf, candidates, count);
    check(!buf_failed(&buf), "there is room to write");
    /* What is no JSON is stepped over, and comes back. */
    const struct json *answer = tree ? json_read(arena, buf_str(&buf), &limits, &err) : NULL;
    check(!tree || answer || err.code != 400, "an answer about victims is JSON");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct err err = {0};
    struct str body = {(const char *)data, size};
    struct wire_args args;
    struct wire_node *nodes;
    size_t count;
    arena_init(&arena, mem_system(), 4096, 256 * 1024 * 1024);
    struct catalog *catalog = catalog_builtin(mem_system(), &err);
    const struct json *tree = json_read(&arena, body, &limits, &err);
    check_preemption(&arena, body, tree);
    if (wire_read_args(body, &args, &err) == 0) {
        check(is_within(args.pod, body) && is_within(args.nodes, body), "views are in the body");
        if (wire_read_nodes(&args, &arena, &nodes, &count, &err) == 0) {
            for (size_t i = 0; i < count; i++)
                check(is_within(nodes[i].text, body) && is_within(nodes[i].name, nodes[i].text),
                      "nodes are in the body");
            if (tree)
                check_answer(&arena, &args, nodes, count);
        }
        if (tree) {
            const struct json *names = json_get(tree, STR("NodeNames"));
            check(args.has_names == json_is(names, JSON_ARRAY), "names are found");
            check(json_is(json_get(tree, STR("Pod")), JSON_OBJECT), "the pod is found");
        }
        judge_pod(&arena, args.pod, catalog);
    }
    catalog_unref(catalog);
    arena_done(&arena);
    return 0;
}
