/* callboard-webhook: from the command line to one of its commands. */
#include "base/program.h"
#include "types/catalog_source.h"
#include "webhook/lint.h"
#include "webhook/options.h"
#include "webhook/serve.h"

#include <unistd.h>

enum { EXIT_USAGE = 2 };

/*
 * For jemalloc, which reads this symbol at its start (jemalloc(3), TUNING): by itself it would make
 * four arenas per CPU of the machine, not of the container, and keep what is freed. Large blocks, which
 * only large requests need, go back to the system at once, so that what the process holds follows
 * --memory-budget: with the decay alone 150 bodies of 6 MiB left 108 MiB behind.
 */
extern const char *malloc_conf;
const char *malloc_conf = "narenas:2,tcache_max:4096,dirty_decay_ms:1000,muzzy_decay_ms:0,"
                          "oversize_threshold:65536";

static struct managed_options managed_options(const struct options *o)
{
    return (struct managed_options){
        .kubeconfig = o->kubeconfig,
        .hosts = o->cert_hosts,
        .times = {.pair_ms = o->cert_lifetime_ms,
                  .pair_renew_ms = o->cert_renew_before_ms,
                  .authority_ms = o->ca_lifetime_ms,
                  .authority_renew_ms = o->ca_renew_before_ms,
                  .settle_ms = o->ca_settle_ms},
        .interval_ns = o->cert_interval_ms * CLOCK_NS_PER_MS,
    };
}

static int check(const struct options *o, struct err *err)
{
    if (o->manage_certs == (o->cert_dir != NULL))
        return err_set(err, 400, "serve needs either --manage-certs or --cert-dir DIR");
    const struct managed_options managed = managed_options(o);
    return o->manage_certs ? managed_check(&managed, err) : 0;
}

static int serve(const struct options *o)
{
    struct err err;
    if (check(o, &err) < 0) {
        fprintf(stderr, "callboard-webhook: %s\n", err.message);
        return EXIT_USAGE;
    }
    struct log_sink sink;
    log_sink_init_fd(&sink, STDERR_FILENO, o->log_format, o->log_level, clock_system());
    const struct log log = {.sink = &sink};
    struct serve_options options = {
        .listen = o->listen,
        .health_listen = o->health_listen,
        .cert_dir = o->cert_dir,
        .managed = managed_options(o),
        .catalog = o->catalog,
        .kubeconfig = o->kubeconfig,
        .threads = (unsigned)o->threads,
        .max_connections = (unsigned)o->max_connections,
        .max_body = (size_t)o->max_body,
        .memory_budget = (size_t)o->memory_budget,
        .header_timeout_ms = (unsigned)o->header_timeout_ms,
        .request_timeout_ms = (unsigned)o->request_timeout_ms,
        .idle_timeout_ms = (unsigned)o->idle_timeout_ms,
        .drain_delay_ms = (unsigned)o->drain_delay_ms,
        .drain_timeout_ms = (unsigned)o->drain_timeout_ms,
    };
    return serve_run(&options, &log);
}

static int lint(const struct options *o, const struct flag_result *parsed)
{
    struct err err;
    struct catalog_source source;
    if (catalog_source_init(&source, o->catalog, mem_system(), &err) < 0) {
        fprintf(stderr, "callboard-webhook: %s\n", err.message);
        return LINT_UNREADABLE;
    }
    struct lint_options options = {
        .output = o->output,
        .print_mutated = o->mutate,
        .files = (const char *const *)parsed->arguments,
        .file_count = parsed->argument_count,
        .max_steps = (size_t)o->max_steps,
        .catalog = source.current,
        .mem = mem_system(),
        .out = stdout,
        .log = stderr,
    };
    int result = (int)lint_run(&options);
    catalog_source_done(&source);
    if (fflush(stdout) != 0) {
        fprintf(stderr, "callboard-webhook: cannot write to standard output\n");
        return LINT_UNREADABLE;
    }
    return result;
}

int main(int argc, char **argv)
{
    struct options options;
    struct flag_result parsed;
    struct err err;
    if (flags_parse(&options_program, argc, argv, &options, &parsed, &err) < 0) {
        fprintf(stderr, "callboard-webhook: %s\n", err.message);
        return EXIT_USAGE;
    }
    if (parsed.help)
        return program_help(&options_program, parsed.command_given ? parsed.command : NULL);
    if (strcmp(parsed.command->name, "lint") == 0)
        return lint(&options, &parsed);
    if (strcmp(parsed.command->name, "version") == 0) {
        printf("callboard-webhook %s\n", CALLBOARD_VERSION);
        return fflush(stdout) == 0 ? 0 : 1;
    }
    return serve(&options);
}
