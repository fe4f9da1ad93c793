/* A process's name, its pulse, the signal that ends its wait, the times of its Lease. */
#include "unit/support.h"

#include "base/program.h"
#include "kube/process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MINUTE_MS 60000

/* ---- Health ---- */

static void a_loop_that_is_stuck_or_hears_nothing_is_ill(void **state)
{
    (void)state;
    static const struct {
        int64_t beat_ms, heard_ms; /* ago */
        bool has_synced;
        const char *illness, *unready;
    } cases[] = {
        {0, 0, true, NULL, NULL},
        {0, 0, false, NULL, "the caches are being filled"},
        {29000, 0, true, NULL, NULL},
        {31000, 0, true, "the event loop is stuck", NULL},
        {31000, 31000, false, "the event loop is stuck", "the caches are being filled"},
        {0, 4 * MINUTE_MS, true, NULL, NULL},
        {0, 6 * MINUTE_MS, true, "a watch has heard nothing from the apiserver for minutes", NULL},
        /* Whoever fills caches for long is not helped by a restart. */
        {0, 6 * MINUTE_MS, false, NULL, "the caches are being filled"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_clock clock;
        test_clock_init(&clock);
        struct process p = {.clock = &clock.clock};
        int64_t heard_ns = clock_now_ns(&clock.clock);
        test_clock_advance_ms(&clock, cases[i].heard_ms - cases[i].beat_ms);
        process_beat(&p, cases[i].has_synced, heard_ns);
        test_clock_advance_ms(&clock, cases[i].beat_ms);
        const char *illness = process_find_illness(&p), *unready = process_find_unready(&p);
        assert_string_equal(illness ? illness : "", cases[i].illness ? cases[i].illness : "");
        assert_string_equal(unready ? unready : "", cases[i].unready ? cases[i].unready : "");
    }
}

/* ---- Opening ---- */

/* A kubeconfig without credentials, in a file that the caller removes. */
static void write_kubeconfig(char path[])
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    fputs("{apiVersion: v1, kind: Config, current-context: c,\n"
          " contexts: [{name: c, context: {cluster: k, user: u}}],\n"
          " clusters: [{name: k, cluster: {server: \"https://127.0.0.1:1\"}}],\n"
          " users: [{name: u, user: {}}]}\n",
          file);
    assert_int_equal(fclose(file), 0);
}

static struct process_options options_with(const char *kubeconfig)
{
    return (struct process_options){.clock = clock_system(),
                                    .program = "callboard-test",
                                    .kubeconfig = kubeconfig,
                                    .max_connections = 1};
}

static void no_two_processes_have_the_same_identity(void **state)
{
    (void)state;
    char path[] = "/tmp/callboard-process-XXXXXX";
    struct process one, other;
    struct err err;
    write_kubeconfig(path);
    const struct process_options options = options_with(path);
    assert_int_equal(process_open(&one, &options, &err), 0);
    assert_int_equal(process_open(&other, &options, &err), 0);
    assert_string_equal(one.host_name, other.host_name);
    assert_string_not_equal(one.identity, other.identity);
    assert_int_equal(strncmp(one.identity, one.host_name, strlen(one.host_name)), 0);
    process_close(&one);
    process_close(&other);
    unlink(path);
}

static void without_its_kubeconfig_it_says_which_file(void **state)
{
    (void)state;
    struct process p;
    struct err err;
    const struct process_options options = options_with("/tmp/callboard-none/kubeconfig");
    assert_int_equal(process_open(&p, &options, &err), -1);
    assert_non_null(strstr(err.message, "/tmp/callboard-none/kubeconfig"));
    process_unwatch_signals(&p);
    process_close(&p);
}

/* ---- Signals ---- */

static void a_signal_ends_the_wait_of_the_loop(void **state)
{
    (void)state;
    char path[] = "/tmp/callboard-process-XXXXXX";
    struct process p;
    struct err err;
    write_kubeconfig(path);
    const struct process_options options = options_with(path);
    program_block_signals();
    assert_int_equal(process_open(&p, &options, &err), 0);
    assert_int_equal(process_watch_signals(&p, &err), 0);
    process_beat(&p, true, clock_now_ns(p.clock));
    assert_int_equal(process_signal(&p), 0);
    assert_null(process_find_unready(&p));
    /* To the process, as Kubernetes does; the thread that waits for it takes it. */
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    while (process_signal(&p) == 0)
        p.transport->ops->wait(p.transport, clock_now_ns(p.clock) + MINUTE_MS * CLOCK_NS_PER_MS);
    assert_int_equal(process_signal(&p), SIGTERM);
    assert_string_equal(process_find_unready(&p), "shutting down");
    process_unwatch_signals(&p);
    process_close(&p);
    unlink(path);
}

/* ---- Flags ---- */

static void times_of_a_lease_that_do_not_go_together_are_refused(void **state)
{
    (void)state;
    static const struct {
        int64_t duration_ms, renew_ms, retry_ms;
        const char *named; /* in the message; NULL: they are good */
    } cases[] = {
        {15000, 10000, 2000, NULL},
        {4000, 3000, 500, NULL},
        {10000, 10000, 2000, "--leader-elect-renew-deadline"},
        {1500, 1000, 500, "whole seconds"},
        {15000, 2000, 2000, "--leader-elect-retry-period"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err;
        int rc =
            process_check_lease(cases[i].duration_ms, cases[i].renew_ms, cases[i].retry_ms, &err);
        assert_int_equal(rc, cases[i].named ? -1 : 0);
        if (cases[i].named)
            assert_non_null(strstr(err.message, cases[i].named));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_that_is_stuck_or_hears_nothing_is_ill),
        cmocka_unit_test(no_two_processes_have_the_same_identity),
        cmocka_unit_test(without_its_kubeconfig_it_says_which_file),
        cmocka_unit_test(a_signal_ends_the_wait_of_the_loop),
        cmocka_unit_test(times_of_a_lease_that_do_not_go_together_are_refused),
    };
    return cmocka_run_group_tests_name("kube_process", tests, NULL, NULL);
}
