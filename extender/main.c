/* callboard-extender: from the command line to one of its commands. */
#include "base/program.h"
#include "extender/options.h"

#include <stdio.h>
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
    printf("callboard-extender %s\n", CALLBOARD_VERSION);
    return fflush(stdout) == 0 ? 0 : 1;
}
