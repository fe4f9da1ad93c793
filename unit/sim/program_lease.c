/*
 * Leader election alone: three candidates, of whom the one that holds the Lease writes twice a second. A
 * write that reaches the server from another is found by the checker of the one leader; here is seen
 * that no two ever believe that they hold it.
 */
#include "unit/sim/sim.h"

#include "kube/lease.h"
#include "unit/sim/tree.h"

struct candidate {
    struct sim_process *process;
    struct timers timers;
    struct timer work;
    struct kube_client *client;
    struct kube_lease *lease;
    uint64_t worked;
    bool has_released;
};

static void nothing(void *ctx)
{
    (void)ctx;
}

static void written(void *ctx, const struct kube_result *result)
{
    (void)ctx;
    (void)result;
}

/* Writes whenever it holds the Lease; the client alone keeps it from writing too late. */
static void work(void *ctx, int64_t now_ns)
{
    struct candidate *candidate = ctx;
    char body[80];
    snprintf(body, sizeof(body), "{\"metadata\":{\"annotations\":{\"worked\":\"%u-%llu\"}}}",
             candidate->process->number, (unsigned long long)++candidate->worked);
    struct kube_call call = {
        .verb = KUBE_PATCH_MERGE,
        .lane = KUBE_LANE_REQUEST,
        .resource = &kube_services,
        .namespace = STR("callboard-system"),
        .name = STR("work"),
        .body = str_from_cstr(body),
    };
    struct err err;
    timers_set(&candidate->timers, &candidate->work, now_ns + 500 * SIM_MS);
    if (kube_lease_is_held(candidate->lease))
        kube_client_call(candidate->client, &call, written, candidate, &err);
}

static void *start(struct sim_process *process)
{
    struct candidate *candidate = calloc(1, sizeof(*candidate));
    struct err err;
    sim_require(candidate != NULL);
    candidate->process = process;
    timers_init(&candidate->timers, &process->mem);
    struct kube_client_config client = {
        .transport = &process->transport.transport,
        .timers = &candidate->timers,
        .clock = &process->clock,
        .random = &process->seeded.random,
        .mem = &process->mem,
    };
    candidate->client = kube_client_new(&client, &err);
    sim_require(candidate->client != NULL);
    struct kube_lease_config lease = {
        .client = candidate->client,
        .transport = &process->transport.transport,
        .timers = &candidate->timers,
        .clock = &process->clock,
        .random = &process->seeded.random,
        .mem = &process->mem,
        .namespace = STR("callboard-system"),
        .name = STR("callboard-controller"),
        .identity = str_from_cstr(process->identity),
        .on_started = nothing,
        .on_stopped = nothing,
        .ctx = candidate,
    };
    candidate->lease = kube_lease_new(&lease, &err);
    sim_require(candidate->lease != NULL);
    int failed = timers_register(&candidate->timers, &candidate->work, work, candidate, &err);
    sim_require(failed == 0);
    timers_set(&candidate->timers, &candidate->work, process->world->now_ns);
    return candidate;
}

static void run_once(void *state, int64_t until_ns)
{
    struct candidate *candidate = state;
    int64_t next_ns = timers_next_ns(&candidate->timers);
    struct kube_transport *transport = &candidate->process->transport.transport;
    transport->ops->wait(transport, next_ns < until_ns ? next_ns : until_ns);
    timers_run(&candidate->timers, candidate->process->world->now_ns);
}

static void released(void *ctx)
{
    struct candidate *candidate = ctx;
    candidate->has_released = true;
}

static void stop(void *state)
{
    struct candidate *candidate = state;
    timers_cancel(&candidate->timers, &candidate->work);
    kube_lease_release(candidate->lease, released, candidate);
}

static bool has_stopped(void *state)
{
    struct candidate *candidate = state;
    return candidate->has_released;
}

static void end(void *state)
{
    struct candidate *candidate = state;
    kube_lease_free(candidate->lease);
    kube_client_free(candidate->client);
    timers_unregister(&candidate->timers, &candidate->work);
    timers_done(&candidate->timers);
    free(candidate);
}

static unsigned count_holders(struct sim *sim)
{
    unsigned holders = 0;
    for (unsigned i = 0; i < sim->config.target->processes; i++) {
        const struct sim_process *process = &sim->processes[i];
        const struct candidate *candidate = process->state;
        /* One that does not run believes nothing: it looks at the clock before it does. */
        bool is_awake = candidate && process->paused_until_ns <= sim->world.now_ns;
        holders += is_awake && kube_lease_is_held(candidate->lease);
    }
    return holders;
}

static void check(struct sim *sim)
{
    if (count_holders(sim) > 1 && !sim_may_have_two_leaders(&sim->checkers))
        sim_violation(&sim->world, "one leader", "two processes hold the Lease");
}

static bool is_settled(struct sim *sim, char *why, size_t size)
{
    snprintf(why, size, "nobody holds the Lease");
    return count_holders(sim) == 1;
}

static void prepare(struct sim *sim)
{
    sim_ask(&sim->world, "POST", STR("/api/v1/namespaces/callboard-system/services"), "%s",
            "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"work\"},"
            "\"spec\":{\"ports\":[{\"port\":80}]}}");
}

static const struct sim_program program = {
    .name = "lease",
    .start = start,
    .run_once = run_once,
    .stop = stop,
    .has_stopped = has_stopped,
    .kill = end,
};

const struct sim_target sim_target_lease = {
    .name = "lease",
    .program = &program,
    .processes = 3,
    .is_led = true,
    .prepare = prepare,
    .check = check,
    .is_settled = is_settled,
};
