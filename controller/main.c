/* callboard-controller: from the command line to one of its commands. */
#include "base/program.h"
#include "controller/serve.h"

#include <stdio.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

/*
 * For jemalloc, which reads this symbol at its start (jemalloc(3), TUNING): by itself it would make
 * four arenas per CPU of the machine, not of the container, and keep what is freed. There is one event
 * loop; the threads beside it need next to nothing.
 */
extern const char *malloc_conf;
const char *malloc_conf = "narenas:1,tcache_max:1024,dirty_decay_ms:1000,muzzy_decay_ms:0,"
                          "oversize_threshold:65536";

static int serve(const struct controller_options *options)
{
    struct log_sink sink;
    log_sink_init_fd(&sink, STDERR_FILENO, options->log_format, options->log_level, clock_system());
    const struct log log = {.sink = &sink};
    return controller_serve(options, &log);
}

int main(int argc, char **argv)
{
    struct controller_options options;
    struct flag_result parsed;
    struct err err;
    if (flags_parse(&controller_program, argc, argv, &options, &parsed, &err) < 0) {
        fprintf(stderr, "callboard-controller: %s\n", err.message);
        return EXIT_USAGE;
    }
    if (parsed.help)
        return program_help(&controller_program, parsed.command_given ? parsed.command : NULL);
    if (strcmp(parsed.command->name, "version") == 0) {
        printf("callboard-controller %s\n", CALLBOARD_VERSION);
        return fflush(stdout) == 0 ? 0 : 1;
    }
    return serve(&options);
}
