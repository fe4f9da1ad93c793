/* Processes: starting, running, ending. */
#include "unit/sim/process.h"

#include "unit/sim/tree.h"

enum { RUNS_AT_ONCE_MAX = 20000 };

static int64_t process_now(void *ctx)
{
    const struct sim_process *process = ctx;
    return process->world->now_ns;
}

static int64_t process_wall(void *ctx)
{
    const struct sim_process *process = ctx;
    return process->world->now_ns + process->world->wall_offset_ns + process->wall_offset_ns;
}

static void *counted_alloc(void *ctx, size_t size)
{
    struct sim_process *process = ctx;
    void *block = malloc(size);
    sim_require(block != NULL);
    process->live_blocks++;
    process->live_bytes += size;
    if (process->live_bytes > process->peak_bytes)
        process->peak_bytes = process->live_bytes;
    return block;
}

static void counted_free(void *ctx, void *ptr, size_t size)
{
    struct sim_process *process = ctx;
    if (!ptr)
        return;
    process->live_blocks--;
    process->live_bytes -= size;
    free(ptr);
}

static bool take_line(void *ctx, struct str line)
{
    struct sim_process *process = ctx;
    if (process->on_log)
        process->on_log(process->ctx, process, line);
    return true;
}

void sim_process_init(struct sim_process *process, struct sim_network *network,
                      const struct sim_program *program, unsigned number)
{
    *process = (struct sim_process){
        .world = network->world,
        .network = network,
        .program = program,
        .number = number,
        .clock = {.now_ns = process_now, .wall_ns = process_wall, .ctx = process},
        .mem = {.alloc = counted_alloc, .free = counted_free, .ctx = process},
    };
    log_sink_init(&process->sink, take_line, process, LOG_JSON, LOG_LEVEL_DEBUG, &process->clock);
    process->log = (struct log){.sink = &process->sink};
}

void sim_process_start(struct sim_process *process)
{
    process->instance++;
    snprintf(process->identity, sizeof(process->identity), "%s-%u_%u", process->program->name,
             process->number, process->instance);
    random_seeded_init(&process->seeded, random_u64(process->world->random));
    sim_transport_init(&process->transport, process->network, process->identity, process);
    process->is_stopping = process->must_die = false;
    process->paused_until_ns = 0;
    sim_tracef(process->world, "%s starts", process->identity);
    process->state = process->program->start(process);
}

static void end(struct sim_process *process, int64_t pause_ns)
{
    process->program->kill(process->state);
    process->state = NULL;
    sim_transport_done(&process->transport);
    process->starts_ns = process->world->now_ns + pause_ns;
    if (process->live_blocks > 0)
        sim_violation(process->world, "memory", "%s left %zu blocks (%zu bytes) behind",
                      process->identity, process->live_blocks, process->live_bytes);
}

void sim_process_kill(struct sim_process *process, int64_t pause_ns)
{
    if (!process->state)
        return;
    sim_tracef(process->world, "%s is killed", process->identity);
    end(process, pause_ns);
}

void sim_process_stop(struct sim_process *process)
{
    if (!process->state || process->is_stopping || !process->program->stop)
        return;
    sim_tracef(process->world, "%s is asked to end", process->identity);
    process->is_stopping = true;
    process->program->stop(process->state);
    process->transport.is_woken = true;
}

void sim_process_done(struct sim_process *process)
{
    if (process->state) {
        process->program->kill(process->state);
        sim_transport_done(&process->transport);
    }
    process->state = NULL;
}

static bool is_asleep(const struct sim_process *process)
{
    return process->paused_until_ns > process->world->now_ns;
}

static bool is_due(const struct sim_process *process)
{
    return sim_transport_is_ready(&process->transport) ||
           process->transport.until_ns <= process->world->now_ns;
}

void sim_process_run(struct sim_process *process)
{
    if (!process->state && process->starts_ns <= process->world->now_ns)
        sim_process_start(process);
    if (!process->state || is_asleep(process))
        return;
    for (unsigned i = 0; is_due(process) || process->transport.did_something; i++) {
        if (i > RUNS_AT_ONCE_MAX)
            sim_violation(process->world, "hot loop", "%s does not come to rest",
                          process->identity);
        process->program->run_once(process->state, INT64_MAX);
        process->runs++;
        if (process->is_stopping && process->program->has_stopped(process->state)) {
            sim_tracef(process->world, "%s has ended", process->identity);
            end(process, sim_between(process->world, 0, 3 * SIM_SEC));
            return;
        }
    }
}

int64_t sim_process_next_ns(const struct sim_process *process)
{
    if (!process->state)
        return process->starts_ns;
    if (is_asleep(process))
        return process->paused_until_ns;
    return sim_transport_is_ready(&process->transport) ? process->world->now_ns
                                                       : process->transport.until_ns;
}
