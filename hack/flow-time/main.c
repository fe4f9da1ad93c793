/*
 * How long it takes to judge a large flow:
 *
 *   flow-time write STEPS EDGES [cycle]   the flow, as JSON: each step depends on earlier ones; with
 *                                         "cycle" the first depends on the last as well
 *   flow-time judge STEPS EDGES [cycle]   reads and judges it, and prints the fastest of several times
 *                                         of each phase, a line "NAME VALUE UNIT" each
 */
#include "base/clock.h"
#include "base/random.h"
#include "policy/policy.h"
#include "types/jobflow.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SEED = 20260102,
    ROUNDS = 9,
    TEXT_MAX = 512 * 1024 * 1024,
    ARENA_MAX = 1024 * 1024 * 1024,
    STEPS_MAX = 1000000,
};

struct size {
    uint32_t steps;
    uint32_t edges;
    bool cycle;
};

/* ---- The flow ---- */

static void write_step(struct buf *out, uint32_t step, uint32_t dependencies,
                       const struct random *random, const struct size *size)
{
    buf_printf(out, "%s\n{\"name\": \"step-%u\", \"dependencies\": [", step ? "," : "", step);
    /* From different parts of what is before, so that none is named twice. */
    for (uint32_t i = 0; i < dependencies; i++) {
        uint32_t from = (uint32_t)((uint64_t)step * i / dependencies),
                 to = (uint32_t)((uint64_t)step * (i + 1) / dependencies);
        buf_printf(out, "%s\"step-%u\"", i ? ", " : "",
                   from + (uint32_t)random_below(random, to - from));
    }
    if (step == 0 && size->cycle)
        buf_printf(out, "\"step-%u\"", size->steps - 1);
    buf_put(out, STR("], \"template\": {\"spec\": {\"template\": {\"spec\": {\"restartPolicy\": "
                     "\"Never\", \"containers\": [{\"name\": \"main\", \"image\": "
                     "\"registry.example/team/app:v1\", \"args\": [\"--verbose\"]}]}}}}}"));
}

static void write_flow(struct buf *out, const struct size *size)
{
    struct random_seeded seeded;
    const struct random *random = &seeded.random;
    random_seeded_init(&seeded, SEED);
    buf_put(out, STR("{\"apiVersion\": \"workflow.kube-zen.io/v1alpha1\", \"kind\": \"JobFlow\", "
                     "\"metadata\": {\"name\": \"large\"}, \"spec\": {\"steps\": ["));
    uint32_t left = size->edges;
    for (uint32_t step = 0; step < size->steps; step++) {
        /* As many as bring the rest to an even share. */
        uint32_t share = (left + size->steps - step - 1) / (size->steps - step);
        uint32_t dependencies = share < step ? share : step;
        left -= dependencies;
        write_step(out, step, dependencies, random, size);
    }
    buf_put(out, STR("\n]}}\n"));
}

/* ---- Judging it ---- */

enum phase { PHASE_READ, PHASE_DEFAULT, PHASE_VALIDATE, PHASE_COUNT };
static const char *const phase_names[] = {"read", "default", "validate"};

struct figures {
    int64_t ns[PHASE_COUNT];
    size_t errors;
    size_t bytes; /* of memory */
};

static bool judge(struct str text, const struct size *size, const struct catalog *catalog,
                  struct figures *ret)
{
    static const struct json_limits limits = {.max_depth = 64, .max_values = 64 * 1000 * 1000};
    const struct clock *clock = clock_system();
    struct arena arena;
    struct err err;
    arena_init(&arena, mem_system(), 256 * 1024, ARENA_MAX);
    int64_t start = clock_now_ns(clock);
    struct policy_object subject = {
        .kind = &jobflow_kind,
        .is_offline = true,
        .max_steps = size->steps,
        .object = json_read(&arena, text, &limits, &err),
        .catalog = catalog,
        .arena = &arena,
    };
    struct policy_findings findings;
    policy_findings_init(&findings, &arena);
    int64_t was_read = clock_now_ns(clock);
    bool good = subject.object && policy_default(&subject);
    int64_t was_completed = clock_now_ns(clock);
    size_t before = arena.used;
    if (good)
        policy_validate(&subject, &findings);
    int64_t end = clock_now_ns(clock);
    *ret = (struct figures){
        .ns = {was_read - start, was_completed - was_read, end - was_completed},
        .errors = findings.errors.count,
        .bytes = arena.used - before,
    };
    good = good && !findings.errors.out_of_memory && findings.errors.count == (size->cycle ? 1 : 0);
    arena_done(&arena);
    return good;
}

static bool measure(struct str text, const struct size *size)
{
    struct err err;
    struct catalog *catalog = catalog_builtin(mem_system(), &err);
    struct figures best = {.ns = {INT64_MAX, INT64_MAX, INT64_MAX}}, figures;
    bool good = catalog != NULL;
    for (int round = 0; round < ROUNDS && good; round++) {
        good = judge(text, size, catalog, &figures);
        for (int p = 0; p < PHASE_COUNT; p++)
            best.ns[p] = figures.ns[p] < best.ns[p] ? figures.ns[p] : best.ns[p];
    }
    catalog_unref(catalog);
    for (int p = 0; p < PHASE_COUNT && good; p++)
        printf("flow_%s%s %.2f ms\n", phase_names[p], size->cycle ? "_cycle" : "",
               (double)best.ns[p] / 1e6);
    if (good)
        printf("flow_validate%s_memory %.1f MiB\n", size->cycle ? "_cycle" : "",
               (double)figures.bytes / 1048576);
    return good;
}

static bool read_count(const char *text, uint32_t max, uint32_t *ret)
{
    int64_t n;
    if (!str_to_int64(str_from_cstr(text), &n) || n < 1 || n > max)
        return false;
    *ret = (uint32_t)n;
    return true;
}

int main(int argc, char **argv)
{
    struct size size = {.cycle = argc == 5 && strcmp(argv[4], "cycle") == 0};
    bool writes = argc > 1 && strcmp(argv[1], "write") == 0;
    if (argc < 4 || argc > 5 || (argc == 5 && !size.cycle) ||
        (!writes && strcmp(argv[1], "judge") != 0) ||
        !read_count(argv[2], STEPS_MAX, &size.steps) ||
        !read_count(argv[3], 100 * STEPS_MAX, &size.edges)) {
        fprintf(stderr, "usage: flow-time write|judge STEPS EDGES [cycle]\n");
        return 2;
    }
    struct buf text;
    buf_init(&text, mem_system(), TEXT_MAX);
    write_flow(&text, &size);
    bool good = !buf_failed(&text);
    if (good && writes)
        good = fwrite(text.ptr, 1, text.len, stdout) == text.len;
    else if (good)
        good = measure(buf_str(&text), &size);
    buf_done(&text);
    if (!good)
        fprintf(stderr, "flow-time: the flow was not judged as expected, or there is no memory\n");
    return good ? 0 : 1;
}
