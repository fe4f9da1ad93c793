/*
 * The controller whole, as callboard-controller runs it: caches, leader election, events, Performers,
 * flows. Two replicas. The target `controller` has users of Performers, `flow` has users of flows.
 */
#include "unit/sim/sim.h"

#include "controller/app.h"
#include "unit/sim/tree.h"

struct controlling {
    struct sim_process *process;
    struct metrics metrics;
    struct catalog *catalog;
    struct app *app;
};

static void *start(struct sim_process *process)
{
    struct controlling *program = calloc(1, sizeof(*program));
    struct err err;
    sim_require(program != NULL);
    program->process = process;
    metrics_init(&program->metrics, &process->mem);
    program->catalog = catalog_builtin(&process->mem, &err);
    sim_require(program->catalog != NULL);
    struct app_config config = {
        .transport = &process->transport.transport,
        .clock = &process->clock,
        .random = &process->seeded.random,
        .mem = &process->mem,
        .metrics = &program->metrics,
        .log = &process->log,
        .catalog = program->catalog,
        .identity = str_from_cstr(process->identity),
        /* The rate limit of the client would only spread what is judged here in time. */
        .qps = 10000,
        .burst = 10000,
        .max_active = SIM_MAX_ACTIVE_FLOWS,
    };
    program->app = app_new(&config, &err);
    sim_require(program->app != NULL);
    return program;
}

static void run_once(void *state, int64_t until_ns)
{
    struct controlling *program = state;
    app_run_once(program->app, until_ns);
}

static void stop(void *state)
{
    struct controlling *program = state;
    app_stop(program->app);
}

static bool has_stopped(void *state)
{
    struct controlling *program = state;
    return app_has_stopped(program->app);
}

static void end(void *state)
{
    struct controlling *program = state;
    app_free(program->app);
    catalog_unref(program->catalog);
    metrics_done(&program->metrics);
    free(program);
}

static bool do_all_run(struct sim *sim, char *why, size_t size)
{
    for (unsigned i = 0; i < sim->config.target->processes; i++) {
        if (!sim->processes[i].state) {
            snprintf(why, size, "a replica does not run");
            return false;
        }
    }
    return true;
}

static bool are_performers_settled(struct sim *sim, char *why, size_t size)
{
    return do_all_run(sim, why, size) && sim_check_settled(&sim->checkers, why, size);
}

static bool are_flows_settled(struct sim *sim, char *why, size_t size)
{
    return do_all_run(sim, why, size) && sim_flows_are_settled(&sim->flows, why, size);
}

/* What the metrics say of everybody, now and then. */
static void check(struct sim *sim)
{
    if (sim->network.requests < sim->metrics_due)
        return;
    sim->metrics_due = sim->network.requests + 512;
    for (unsigned i = 0; i < sim->config.target->processes; i++) {
        struct controlling *program = sim->processes[i].state;
        struct buf text;
        if (!program)
            continue;
        buf_init(&text, mem_system(), 1 << 20);
        metrics_write(&program->metrics, &text);
        sim_check_text(&sim->checkers, "the metrics", buf_str(&text));
        buf_done(&text);
    }
}

static const struct sim_program program = {
    .name = "controller",
    .start = start,
    .run_once = run_once,
    .stop = stop,
    .has_stopped = has_stopped,
    .kill = end,
};

const struct sim_target sim_target_controller = {
    .name = "controller",
    .program = &program,
    .processes = 2,
    .is_led = true,
    .judges_performers = true,
    .check = check,
    .is_settled = are_performers_settled,
};

const struct sim_target sim_target_flow = {
    .name = "flow",
    .program = &program,
    .processes = 2,
    .is_led = true,
    .has_flows = true,
    /* Sixty flows one after the other, four at a time, each of six steps that wait for a retry. */
    .settle_s = 3600,
    .check = check,
    .is_settled = are_flows_settled,
};
