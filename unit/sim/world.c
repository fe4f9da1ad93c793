/* Time, chance, trace. */
#include "unit/sim/world.h"

#include "unit/sim/tree.h"

static int64_t world_now(void *ctx)
{
    const struct sim_world *world = ctx;
    return world->now_ns;
}

static int64_t world_wall(void *ctx)
{
    const struct sim_world *world = ctx;
    return world->now_ns + world->wall_offset_ns;
}

void sim_world_init(struct sim_world *world, uint64_t seed)
{
    memset(world, 0, sizeof(*world));
    world->seed = seed;
    world->now_ns = 1000 * SIM_SEC;
    /* 2026-01-02T03:04:05Z */
    world->wall_offset_ns = INT64_C(1767323045) * SIM_SEC - world->now_ns;
    world->clock = (struct clock){.now_ns = world_now, .wall_ns = world_wall, .ctx = world};
    world->trace.hash = UINT64_C(0xcbf29ce484222325);
    timers_init(&world->timers, mem_system());
    random_seeded_init(&world->seeded, seed);
    world->random = &world->seeded.random;
    sim_server_init(&world->server, &world->clock, world->random);
    arena_init(&world->asking, mem_system(), 1 << 14, 64 << 20);
}

void sim_world_done(struct sim_world *world)
{
    arena_done(&world->asking);
    sim_server_done(&world->server);
    timers_done(&world->timers);
}

void sim_tracef(struct sim_world *world, const char *fmt, ...)
{
    struct sim_trace *trace = &world->trace;
    char *line = trace->lines[trace->count++ % SIM_TRACE_LINES];
    int64_t ms = world->now_ns / SIM_MS;
    int start = snprintf(line, SIM_TRACE_LINE_MAX, "%5lld.%03lld ", (long long)(ms / 1000),
                         (long long)(ms % 1000));
    va_list args;
    va_start(args, fmt);
    vsnprintf(line + start, (size_t)(SIM_TRACE_LINE_MAX - start), fmt, args);
    va_end(args);
    for (const char *c = line; *c; c++) /* FNV-1a */
        trace->hash = (trace->hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    if (trace->is_shown)
        puts(line);
}

void sim_trace_print(const struct sim_world *world, FILE *to)
{
    const struct sim_trace *trace = &world->trace;
    uint64_t first = trace->count > SIM_TRACE_LINES ? trace->count - SIM_TRACE_LINES : 0;
    for (uint64_t i = first; i < trace->count; i++)
        fprintf(to, "%s\n", trace->lines[i % SIM_TRACE_LINES]);
}

void sim_violation(struct sim_world *world, const char *checker, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(world->violation, sizeof(world->violation), fmt, args);
    va_end(args);
    world->checker = checker;
    longjmp(*world->violated, 1);
}

bool sim_chance(struct sim_world *world, unsigned permille)
{
    return permille > 0 && random_below(world->random, 1000) < permille;
}

int64_t sim_between(struct sim_world *world, int64_t low, int64_t high)
{
    return low + (int64_t)random_below(world->random, (uint64_t)(high - low) + 1);
}

int sim_ask(struct sim_world *world, const char *method, struct str target, const char *fmt, ...)
{
    struct sim_response response = {0};
    va_list args;
    arena_reset(&world->asking);
    buf_init(&response.body, arena_mem(&world->asking), 64 << 20);
    va_start(args, fmt);
    struct str body = arena_vprintf(&world->asking, fmt, args);
    va_end(args);
    sim_require(body.ptr != NULL);
    struct sim_request request = {
        .method = str_from_cstr(method),
        .target = target,
        .body = body,
        .content_type = strcmp(method, "PATCH") != 0 ? STR("application/json")
                        : body.ptr[0] == '['         ? STR("application/json-patch+json")
                                                     : STR("application/merge-patch+json"),
    };
    sim_server_handle(&world->server, &request, &response);
    return response.status;
}
