/* One simulation from its seed to its end. */
#include "unit/sim/sim.h"

#include "unit/sim/tree.h"

enum {
    /* Everything must have settled so long after the faults, unless the target says otherwise: the longest
     * backoff of a failed pod is 5 min, and a resync comes every 2 min. */
    SETTLE_S = 600,
    /* … and nobody may write for so long: longer than two resyncs. */
    QUIET_S = 300,
};

/* ---- Faults ---- */

static void draw_faults(struct sim *sim)
{
    static const unsigned levels[] = {2, 5, 20, 60};
    struct sim_world *world = &sim->world;
    for (size_t i = 0; i < SIM_FAULTS; i++) {
        bool is_on = sim_chance(world, 500);
        unsigned level = levels[random_below(world->random, 4)];
        sim->network.permille[i] = is_on ? level : 0;
    }
    sim->world.server.has_watch_list = sim_chance(world, 800);
    /* From now and then to each single write. */
    static const unsigned crashes[] = {0, 0, 20, 200, 1000};
    sim->crash_at_write = crashes[random_below(world->random, 5)];
}

/* Somebody deletes it: the next who looks makes it anew, and its holder learns of that at its next renewal. */
static void steal_lease(struct sim *sim)
{
    int status = sim_ask(&sim->world, "DELETE",
                         STR("/apis/coordination.k8s.io/v1/namespaces/callboard-system/leases/"
                             "callboard-controller"),
                         "%s", "");
    sim_tracef(&sim->world, "somebody deletes the Lease: %d", status);
    sim->checkers.stolen_ns = sim->world.now_ns;
}

static void on_chaos(void *ctx, int64_t now_ns)
{
    struct sim *sim = ctx;
    struct sim_network *network = &sim->network;
    struct sim_world *world = &sim->world;
    struct sim_process *process =
        &sim->processes[random_below(world->random, sim->config.target->processes)];
    if (sim_fault(network, SIM_CLOCK_JUMP))
        process->wall_offset_ns = sim_between(world, -3600, 3600) * SIM_SEC;
    if (sim_fault(network, SIM_PARTITION))
        process->transport.cut_off_until_ns = now_ns + sim_between(world, 1, 60) * SIM_SEC;
    if (sim->config.target->is_led && sim_fault(network, SIM_TWO_LEADERS))
        steal_lease(sim);
    if (sim_fault(network, SIM_PAUSE)) {
        process->paused_until_ns = now_ns + sim_between(world, 100, 40000) * SIM_MS;
        sim_tracef(world, "%s pauses for %lld ms", process->identity,
                   (long long)((process->paused_until_ns - now_ns) / SIM_MS));
    }
    if (sim_fault(network, SIM_CRASH))
        sim_process_kill(process, sim_between(world, 0, 20000) * SIM_MS);
    else if (process->program->stop && sim_fault(network, SIM_GRACEFUL_END))
        sim_process_stop(process);
    if (!sim->is_calm)
        timers_set(&world->timers, &sim->chaos, now_ns + sim_between(world, 200, 2000) * SIM_MS);
}

/* After a write of a process: it is killed before it hears of it. */
static void maybe_crash(struct sim *sim)
{
    if (!sim->network.writer || sim->is_calm || !sim_chance(&sim->world, sim->crash_at_write))
        return;
    struct sim_process *process = sim->network.writer->owner;
    process->must_die = true;
    sim->network.counts[SIM_CRASH_AT_WRITE]++;
}

static void judge_flows(struct sim *sim, const struct sim_event *event)
{
    if (sim->network.writer && event->after->resource->kube != &kube_leases)
        sim_flows_judge(&sim->flows, event, sim_may_have_two_leaders(&sim->checkers));
    sim_flows_note(&sim->flows, event);
}

static void on_write(void *ctx, const struct sim_event *event)
{
    struct sim *sim = ctx;
    if (sim->config.target->is_led)
        sim_check_write(&sim->checkers, event);
    if (sim->config.target->has_flows)
        judge_flows(sim, event);
    sim_network_on_write(&sim->network);
    if (event->after->resource->kube != &kube_leases)
        maybe_crash(sim);
}

static void on_log(void *ctx, struct sim_process *process, struct str line)
{
    struct sim *sim = ctx;
    (void)process;
    sim_check_text(&sim->checkers, "a log", line);
}

static void begin_calm(struct sim *sim)
{
    sim_tracef(&sim->world, "calm");
    sim->is_calm = true;
    sim->calm_ns = sim->world.now_ns;
    memset(sim->network.permille, 0, sizeof(sim->network.permille));
    sim_actors_calm(&sim->actors);
    for (unsigned i = 0; i < sim->config.target->processes; i++) {
        sim->processes[i].transport.cut_off_until_ns = 0;
        sim->processes[i].paused_until_ns = 0;
        sim->processes[i].wall_offset_ns = 0;
    }
}

/* ---- Steps ---- */

static void run_processes(struct sim *sim)
{
    for (unsigned i = 0; i < sim->config.target->processes; i++) {
        struct sim_process *process = &sim->processes[i];
        if (process->must_die)
            sim_process_kill(process, sim_between(&sim->world, 0, 5000) * SIM_MS);
        sim_process_run(process);
    }
}

/* Time goes on to the next thing that happens, at most to `end_ns`. */
static void step(struct sim *sim, int64_t end_ns)
{
    struct sim_world *world = &sim->world;
    int64_t next_ns = timers_next_ns(&world->timers);
    for (unsigned i = 0; i < sim->config.target->processes; i++) {
        int64_t wants_ns = sim_process_next_ns(&sim->processes[i]);
        next_ns = wants_ns < next_ns ? wants_ns : next_ns;
    }
    next_ns = next_ns < end_ns ? next_ns : end_ns;
    if (next_ns > world->now_ns)
        world->now_ns = next_ns;
    timers_run(&world->timers, world->now_ns);
    run_processes(sim);
    if (sim->config.target->check)
        sim->config.target->check(sim);
}

static void run_until(struct sim *sim, int64_t end_ns)
{
    while (sim->world.now_ns < end_ns)
        step(sim, end_ns);
}

static void run_chaos(struct sim *sim)
{
    int64_t length_s = sim_between(&sim->world, 60, 600);
    struct err err;
    int failed = timers_register(&sim->world.timers, &sim->chaos, on_chaos, sim, &err);
    sim_require(failed == 0);
    if (!sim->config.is_peaceful) {
        draw_faults(sim);
        timers_set(&sim->world.timers, &sim->chaos, sim->world.now_ns);
        run_until(sim, sim->world.now_ns + length_s * SIM_SEC);
    } else {
        sim_actors_calm(&sim->actors);
        sim_user_create(&sim->actors, "blue", "solo", "registry.example/app:v1", "Recreate");
        run_until(sim, sim->world.now_ns + 60 * SIM_SEC);
    }
    timers_unregister(&sim->world.timers, &sim->chaos);
}

static void run_calm(struct sim *sim, struct sim_result *ret)
{
    char why[512] = "";
    begin_calm(sim);
    int settle_s = sim->config.target->settle_s ? sim->config.target->settle_s : SETTLE_S;
    int64_t end_ns = sim->calm_ns + settle_s * SIM_SEC;
    while (!sim->config.target->is_settled(sim, why, sizeof(why))) {
        if (sim->world.now_ns >= end_ns)
            sim_violation(&sim->world, "convergence", "%d s after the faults: %s", settle_s, why);
        run_until(sim, sim->world.now_ns + 5 * SIM_SEC);
    }
    ret->settled_ns = sim->world.now_ns - sim->calm_ns;
    sim_tracef(&sim->world, "settled");
    if (!sim->config.target->judges_performers && !sim->config.target->has_flows)
        return;
    /* What was to be said is said within some minutes; then there is silence. */
    run_until(sim, sim->world.now_ns + QUIET_S * SIM_SEC);
    int64_t quiet_from_ns = sim->world.now_ns;
    run_until(sim, quiet_from_ns + QUIET_S * SIM_SEC);
    if (sim->checkers.last_write_ns > quiet_from_ns)
        sim_violation(&sim->world, "quiet", "a controller still writes %d s after all has settled",
                      QUIET_S);
    if (!sim->config.target->is_settled(sim, why, sizeof(why)))
        sim_violation(&sim->world, "convergence", "what had settled does not stay so: %s", why);
}

/* ---- The whole ---- */

static void init(struct sim *sim, const struct sim_config *config, jmp_buf *violated)
{
    sim->config = *config;
    sim_world_init(&sim->world, config->seed);
    sim->world.violated = violated;
    sim->world.trace.is_shown = config->is_shown;
    sim_network_init(&sim->network, &sim->world);
    sim_checkers_init(&sim->checkers, &sim->network, &sim->actors);
    sim_flows_init(&sim->flows, &sim->world, SIM_MAX_ACTIVE_FLOWS);
    sim->world.server.on_write = on_write;
    sim->world.server.ctx = sim;
    sim->checkers.judges_performers = config->target->judges_performers;
    if (config->target->is_led)
        sim->network.hooks = (struct sim_network_hooks){
            .on_send = sim_check_send,
            .on_answered = sim_check_answer,
            .on_seen = sim_check_seen,
            .ctx = &sim->checkers,
        };
    sim_actors_init(&sim->actors, &sim->world, config->target->has_flows);
    for (unsigned i = 0; i < config->target->processes; i++) {
        sim_process_init(&sim->processes[i], &sim->network, config->target->program, i);
        sim->processes[i].on_log = on_log;
        sim->processes[i].ctx = sim;
        sim->processes[i].starts_ns =
            sim->world.now_ns + sim_between(&sim->world, 0, 2000) * SIM_MS;
    }
    if (config->target->prepare)
        config->target->prepare(sim);
    sim_plant_init(sim);
}

static void done(struct sim *sim)
{
    for (unsigned i = 0; i < sim->config.target->processes; i++)
        sim_process_done(&sim->processes[i]);
    sim_plant_done(sim);
    timers_unregister(&sim->world.timers, &sim->chaos);
    sim_actors_done(&sim->actors);
    sim_flows_done(&sim->flows);
    sim_network_done(&sim->network);
    sim_world_done(&sim->world);
}

static void report(const struct sim *sim, struct sim_result *ret)
{
    ret->trace_hash = sim->world.trace.hash;
    ret->requests = sim->network.requests;
    ret->writes = sim->checkers.writes;
    ret->simulated_ns = sim->world.now_ns - 1000 * SIM_SEC;
    memcpy(ret->fault_counts, sim->network.counts, sizeof(ret->fault_counts));
    for (unsigned i = 0; i < sim->config.target->processes; i++)
        ret->starts += sim->processes[i].instance;
    for (size_t i = 0; i < sim->checkers.known_count; i++) {
        if (sim->checkers.known[i].writes > ret->writes_peak)
            ret->writes_peak = sim->checkers.known[i].writes;
    }
}

void sim_run_traced(const struct sim_config *config, struct sim_result *ret, FILE *trace)
{
    struct sim *sim = calloc(1, sizeof(*sim));
    sim_require(sim != NULL);
    *ret = (struct sim_result){0};
    jmp_buf violated;
    if (setjmp(violated) == 0) {
        init(sim, config, &violated);
        run_chaos(sim);
        run_calm(sim, ret);
    } else {
        ret->checker = sim->world.checker;
        memcpy(ret->violation, sim->world.violation, sizeof(ret->violation));
        if (trace)
            sim_trace_print(&sim->world, trace);
    }
    report(sim, ret);
    /* After a violation the program under test may be in the middle of anything: it is left as it is. */
    if (!ret->checker)
        done(sim);
    free(sim);
}

void sim_run(const struct sim_config *config, struct sim_result *ret)
{
    sim_run_traced(config, ret, NULL);
}
