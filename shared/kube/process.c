/* What a program has around an event loop that follows the API server. */
#include "kube/process.h"

#include "base/program.h"

#include <stdio.h>
#include <unistd.h>

enum {
    SIGNAL_WAIT_MS = 1000,
    END_WAIT_US = 10 * 1000,
    /* A loop that has not come round for so long is stuck; one turn takes milliseconds. */
    BEAT_S = 30,
    /* Watches are heard at least every 90 s while all is well. */
    HEARD_S = 300,
    USER_AGENT_SIZE = 128,
};

/* ---- Opening ---- */

static void name_process(struct process *p, const char *program)
{
    char uuid[RANDOM_UUID_SIZE];
    if (gethostname(p->host_name, sizeof(p->host_name) - 1) != 0 || p->host_name[0] == '\0')
        snprintf(p->host_name, sizeof(p->host_name), "%s", program);
    random_uuid(random_system(), uuid);
    snprintf(p->identity, sizeof(p->identity), "%s_%s", p->host_name, uuid);
}

int process_open(struct process *p, const struct process_options *options, struct err *err)
{
    char agent[USER_AGENT_SIZE];
    *p = (struct process){.clock = options->clock};
    name_process(p, options->program);
    const struct kube_config_options where = {
        .mem = mem_system(), .clock = options->clock, .kubeconfig = options->kubeconfig};
    int found = kube_config_load(&where, &p->kube, err);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(err, 400,
                       "there is no cluster: give --kubeconfig FILE, set KUBECONFIG, or run in a "
                       "pod with a ServiceAccount");
    snprintf(agent, sizeof(agent), "%s/" CALLBOARD_VERSION, options->program);
    struct kube_curl_config config =
        kube_curl_config_of(p->kube, mem_system(), options->clock, str_from_cstr(agent));
    config.max_connections = options->max_connections;
    config.gather_ns = options->gather_ns;
    p->transport = kube_curl_new(&config, err);
    return p->transport ? 0 : -1;
}

void process_close(struct process *p)
{
    kube_curl_free(p->transport);
    kube_config_free(p->kube);
    p->transport = NULL;
    p->kube = NULL;
}

/* ---- Signals ---- */

/* In a thread of its own: a handler that ends the loop's wait would need a global. */
static void *wait_for_signals(void *ctx)
{
    struct process *p = ctx;
    int signal_number = 0;
    while (signal_number == 0 && !atomic_load(&p->has_ended))
        signal_number = program_wait_signal(SIGNAL_WAIT_MS);
    if (signal_number == 0)
        return NULL;
    atomic_store(&p->signal_number, signal_number);
    p->transport->ops->wake(p->transport);
    program_end_on_second_signal();
    while (!atomic_load(&p->has_ended))
        usleep(END_WAIT_US);
    return NULL;
}

int process_watch_signals(struct process *p, struct err *err)
{
    if (pthread_create(&p->signals, NULL, wait_for_signals, p) != 0)
        return err_set(err, 500, "cannot start a thread");
    p->has_signals = true;
    return 0;
}

void process_unwatch_signals(struct process *p)
{
    atomic_store(&p->has_ended, true);
    if (p->has_signals)
        pthread_join(p->signals, NULL);
    p->has_signals = false;
}

int process_signal(const struct process *p)
{
    return atomic_load(&p->signal_number);
}

/* ---- Health ---- */

void process_beat(struct process *p, bool has_synced, int64_t heard_ns)
{
    atomic_store(&p->has_synced, has_synced);
    atomic_store(&p->heard_ns, heard_ns);
    atomic_store(&p->beat_ns, clock_now_ns(p->clock));
}

static bool is_older(const struct process *p, int64_t at_ns, int64_t seconds)
{
    return clock_now_ns(p->clock) - at_ns > seconds * CLOCK_NS_PER_SEC;
}

const char *process_find_illness(void *process)
{
    const struct process *p = process;
    if (is_older(p, atomic_load(&p->beat_ns), BEAT_S))
        return "the event loop is stuck";
    if (atomic_load(&p->has_synced) && is_older(p, atomic_load(&p->heard_ns), HEARD_S))
        return "a watch has heard nothing from the apiserver for minutes";
    return NULL;
}

const char *process_find_unready(void *process)
{
    const struct process *p = process;
    if (process_signal(p) != 0)
        return "shutting down";
    if (!atomic_load(&p->has_synced))
        return "the caches are being filled";
    return NULL;
}

/* ---- Flags ---- */

int process_check_lease(int64_t duration_ms, int64_t renew_deadline_ms, int64_t retry_period_ms,
                        struct err *err)
{
    if (renew_deadline_ms >= duration_ms)
        return err_set(err, 400,
                       "--leader-elect-renew-deadline must be less than "
                       "--leader-elect-lease-duration: a holder has to stop before another begins");
    if (duration_ms % 1000 != 0)
        return err_set(err, 400, "--leader-elect-lease-duration must be whole seconds");
    if (retry_period_ms >= renew_deadline_ms)
        return err_set(err, 400,
                       "--leader-elect-retry-period must be less than "
                       "--leader-elect-renew-deadline");
    return 0;
}
