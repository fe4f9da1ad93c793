/* callboard-extender: from the command line to one of its commands. */
#include "base/program.h"
#include "extender/options.h"
#include "extender/replay.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

/*
 * For jemalloc, which reads this symbol at its start (jemalloc(3), TUNING): by itself it would make
 * four arenas per CPU of the machine, not of the container, and keep what is freed.
 */
extern const char *malloc_conf;
const char *malloc_conf = "narenas:1,tcache_max:4096,dirty_decay_ms:1000,muzzy_decay_ms:0,"
                          "oversize_threshold:65536";

static int serve(const struct extender_options *o)
{
    struct log_sink sink;
    log_sink_init_fd(&sink, STDERR_FILENO, o->log_format, o->log_level, clock_system());
    const struct log log = {.sink = &sink};
    return extender_serve(&o->serve, &log);
}

/* What this process has used of a processor: other processes do not count in the time per decision. */
static int64_t processor_ns(void *ctx)
{
    (void)ctx;
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * CLOCK_NS_PER_SEC + now.tv_nsec;
}

static const struct clock processor_clock = {.now_ns = processor_ns, .wall_ns = processor_ns};

static int replay(const struct extender_options *o)
{
    struct err err;
    struct replay_options options = {
        .nodes = o->nodes,
        .pods = o->pods,
        .arrivals = o->arrivals,
        .kind = o->policy,
        .typical = o->typical,
        .placements = o->placements,
        .svg = o->svg,
        .hold = (uint64_t)o->hold,
        .load_percent = (uint64_t)o->load,
        .horizon = (uint64_t)o->horizon,
        .lifetimes = o->lifetimes,
        .seed = (uint64_t)o->seed,
        .queue = o->queue,
        .age_permille = (uint64_t)o->age,
        .reserve = (uint64_t)o->reserve,
        .mem = mem_system(),
        .clock = &processor_clock,
        .out = stdout,
    };
    if (replay_run(&options, &err) < 0) {
        fprintf(stderr, "callboard-extender: %s\n", err.message);
        return 1;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct extender_options options;
    struct flag_result parsed;
    struct err err;
    if (flags_parse(&extender_program, argc, argv, &options, &parsed, &err) < 0) {
        fprintf(stderr, "callboard-extender: %s\n", err.message);
        return EXIT_USAGE;
    }
    if (parsed.help)
        return program_help(&extender_program, parsed.command_given ? parsed.command : NULL);
    if (strcmp(parsed.command->name, "serve") == 0)
        return serve(&options);
    if (strcmp(parsed.command->name, "replay") == 0)
        return replay(&options);
    printf("callboard-extender %s\n", CALLBOARD_VERSION);
    return fflush(stdout) == 0 ? 0 : 1;
}
