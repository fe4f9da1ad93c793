/* Pods that arrive at random, run for a lifetime and leave: a loss system, or one with a queue. */
#include "base/random.h"
#include "extender/replay_parts.h"

#include <math.h>
#include <stdlib.h>

enum {
    WARM_UP = 2, /* mean lifetimes */
    HOLDS_MAX = 64,
    CLASS_COUNT = 6,
    NONE = UINT32_MAX,
};

static const double seconds_max = 86400;

static const char *const class_names[CLASS_COUNT] = {"cpu", "share", "1", "2", "4", "8"};

/* A pod that arrived. Times are in mean lifetimes. */
struct job {
    uint32_t pod;
    struct replay_place place;
    double arrived, lifetime, end;
};

struct class_report {
    double arrived_milli, rejected_milli, delay;
    uint64_t arrived, rejected, started;
};

/* A node that is kept free: for one waiting job, or for any pod of the most GPUs (job NONE). */
struct hold {
    uint32_t node, job;
};

struct flow {
    struct replay *replay;
    struct random_seeded random;
    struct job *jobs;
    size_t job_count;  /* that have arrived */
    uint32_t *running; /* a heap: the job that ends first is on top */
    size_t running_count;
    uint32_t *waiting; /* in the order of arrival */
    size_t waiting_count;
    struct hold holds[HOLDS_MAX];
    size_t hold_count;
    uint32_t gpus_max; /* of a pod of the list */
    double mean_seconds;
    double rate; /* arrivals per mean lifetime */
    double now, allocated_area;
    struct class_report classes[CLASS_COUNT];
};

static const struct pack_demand *demand_of(const struct flow *flow, const struct job *job)
{
    return &flow->replay->trace.pods[job->pod].demand;
}

static struct class_report *class_of(struct flow *flow, const struct pack_demand *demand)
{
    uint32_t class = 0;
    if (demand->gpu_count > 0)
        class = demand->gpu_milli < PACK_WHOLE_MILLI ? 1 : 2;
    for (uint32_t gpus = 2; gpus <= demand->gpu_count && class < CLASS_COUNT - 1; gpus *= 2)
        class ++;
    return &flow->classes[class];
}

/* ---- The heap of what runs ---- */

static void heap_put(struct flow *flow, uint32_t job)
{
    size_t at = flow->running_count++;
    for (; at > 0; at = (at - 1) / 2) {
        uint32_t above = flow->running[(at - 1) / 2];
        if (flow->jobs[above].end <= flow->jobs[job].end)
            break;
        flow->running[at] = above;
    }
    flow->running[at] = job;
}

static uint32_t heap_take(struct flow *flow)
{
    uint32_t top = flow->running[0], last = flow->running[--flow->running_count];
    size_t at = 0, count = flow->running_count;
    for (size_t child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count &&
            flow->jobs[flow->running[child + 1]].end < flow->jobs[flow->running[child]].end)
            child++;
        if (flow->jobs[last].end <= flow->jobs[flow->running[child]].end)
            break;
        flow->running[at] = flow->running[child];
        at = child;
    }
    flow->running[at] = last;
    return top;
}

/* ---- Nodes that are kept ---- */

static bool hold_node(struct flow *flow, const struct pack_demand *demand, uint32_t job)
{
    struct replay *replay = flow->replay;
    size_t node;
    if (flow->hold_count == HOLDS_MAX ||
        !pack_choose_hold(replay->nodes, replay->trace.node_count, replay->is_held, demand, &node))
        return false;
    flow->holds[flow->hold_count++] = (struct hold){(uint32_t)node, job};
    replay->is_held[node] = true;
    replay_list_open(replay);
    return true;
}

static void end_hold(struct flow *flow, size_t i)
{
    flow->replay->is_held[flow->holds[i].node] = false;
    flow->holds[i] = flow->holds[--flow->hold_count];
    replay_list_open(flow->replay);
}

static bool may_use_hold(const struct flow *flow, const struct hold *hold, uint32_t job)
{
    const struct pack_demand *demand = demand_of(flow, &flow->jobs[job]);
    return hold->job == job || (hold->job == NONE && demand->gpu_count == flow->gpus_max);
}

/* On a node that is kept for it, when it fits there by now. */
static bool place_on_hold(struct flow *flow, uint32_t number)
{
    struct replay *replay = flow->replay;
    struct job *job = &flow->jobs[number];
    for (size_t i = 0; i < flow->hold_count; i++) {
        if (!may_use_hold(flow, &flow->holds[i], number))
            continue;
        struct pack_node *node = replay->nodes[flow->holds[i].node];
        job->place = replay_place(replay, &node, 1, demand_of(flow, job));
        if (job->place.node != REPLAY_NO_NODE) {
            end_hold(flow, i);
            return true;
        }
    }
    return false;
}

/* The demand of the largest pods, for which nodes are reserved: the first of the list with the most GPUs. */
static const struct pack_demand *largest_demand(const struct flow *flow)
{
    const struct trace *trace = &flow->replay->trace;
    for (size_t i = 0; i < trace->pod_count; i++) {
        if (trace->pods[i].demand.gpu_count == flow->gpus_max)
            return &trace->pods[i].demand;
    }
    return &trace->pods[0].demand;
}

static void reserve_nodes(struct flow *flow)
{
    while (flow->hold_count < flow->replay->options->reserve &&
           hold_node(flow, largest_demand(flow), NONE))
        ;
}

/* Pods of several GPUs that have waited for too long. Those that wait are in the order of arrival. */
static void age_waiting(struct flow *flow)
{
    uint64_t permille = flow->replay->options->age_permille;
    if (permille == 0)
        return;
    for (size_t i = 0; i < flow->waiting_count; i++) {
        uint32_t number = flow->waiting[i];
        struct job *job = &flow->jobs[number];
        if (flow->now - job->arrived < (double)permille / 1000)
            return;
        bool is_held = false;
        for (size_t h = 0; h < flow->hold_count; h++)
            is_held = is_held || flow->holds[h].job == number;
        if (!is_held && demand_of(flow, job)->gpu_count > 1 &&
            !hold_node(flow, demand_of(flow, job), number))
            return;
    }
}

/* ---- Events ---- */

static void pass_time(struct flow *flow, double to)
{
    double from = flow->now > WARM_UP ? flow->now : WARM_UP;
    if (to > from)
        flow->allocated_area += (to - from) * (double)flow->replay->allocated_milli;
    flow->now = to;
}

static bool start_job(struct flow *flow, uint32_t number)
{
    struct replay *replay = flow->replay;
    struct job *job = &flow->jobs[number];
    if (!place_on_hold(flow, number)) {
        job->place = replay_place(replay, replay->open, replay->open_count, demand_of(flow, job));
        if (job->place.node == REPLAY_NO_NODE)
            return false;
        for (size_t i = 0; i < flow->hold_count; i++) {
            if (flow->holds[i].job == number) {
                end_hold(flow, i);
                break;
            }
        }
    }
    job->end = flow->now + job->lifetime;
    heap_put(flow, number);
    if (job->arrived >= WARM_UP) {
        struct class_report *class = class_of(flow, demand_of(flow, job));
        class->started++;
        class->delay += flow->now - job->arrived;
    }
    return true;
}

static double draw_exponential(struct flow *flow)
{
    double unit = (double)(random_u64(&flow->random.random) >> 11) * 0x1p-53;
    return -log(1 - unit);
}

static double lifetime_of(const struct flow *flow, uint32_t pod, double exponential)
{
    if (flow->replay->options->lifetimes == REPLAY_EXPONENTIAL)
        return exponential;
    double seconds = flow->replay->trace.pods[pod].seconds;
    return fmin(fmax(seconds, 1), seconds_max) / flow->mean_seconds;
}

static void arrive(struct flow *flow)
{
    struct replay *replay = flow->replay;
    uint32_t number = (uint32_t)flow->job_count++;
    struct job *job = &flow->jobs[number];
    job->arrived = flow->now;
    job->pod = (uint32_t)random_below(&flow->random.random, replay->trace.pod_count);
    job->lifetime = lifetime_of(flow, job->pod, draw_exponential(flow));
    const struct trace_pod *pod = &replay->trace.pods[job->pod];
    struct class_report *class = class_of(flow, &pod->demand);
    bool counts = job->arrived >= WARM_UP;
    if (counts) {
        class->arrived++;
        class->arrived_milli += (double)trace_gpu_milli(&pod->demand);
    }
    replay_observe(replay, &pod->demand);
    reserve_nodes(flow);
    age_waiting(flow);
    bool started = start_job(flow, number);
    replay_write_place(replay, pod, &job->place);
    if (started)
        return;
    if (replay->options->queue) {
        flow->waiting[flow->waiting_count++] = number;
    } else if (counts) {
        class->rejected++;
        class->rejected_milli += (double)trace_gpu_milli(&pod->demand);
    }
}

/* What waits is tried in the order of arrival, where there is more room than when it was tried last. */
static void try_waiting(struct flow *flow, const struct pack_node *changed)
{
    size_t kept = 0;
    for (size_t i = 0; i < flow->waiting_count; i++) {
        uint32_t number = flow->waiting[i];
        struct job *job = &flow->jobs[number];
        if (pack_fits(changed, demand_of(flow, job)) && start_job(flow, number))
            replay_write_start(flow->replay, number, &job->place);
        else
            flow->waiting[kept++] = number;
    }
    flow->waiting_count = kept;
}

static void leave(struct flow *flow)
{
    uint32_t number = heap_take(flow);
    struct job *job = &flow->jobs[number];
    replay_release(flow->replay, &job->place, demand_of(flow, job));
    replay_write_release(flow->replay, number);
    if (flow->waiting_count > 0)
        try_waiting(flow, &flow->replay->trace.nodes[job->place.node]);
}

/* ---- The whole ---- */

/* How many pods arrive in a mean lifetime, so that they ask for the load. */
static int find_rate(struct flow *flow, struct err *err)
{
    const struct replay_options *o = flow->replay->options;
    const struct trace *trace = &flow->replay->trace;
    double seconds = 0, area = 0;
    for (size_t i = 0; i < trace->pod_count; i++)
        seconds += fmin(fmax(trace->pods[i].seconds, 1), seconds_max);
    flow->mean_seconds = seconds / (double)trace->pod_count;
    for (size_t i = 0; i < trace->pod_count; i++) {
        const struct pack_demand *demand = &trace->pods[i].demand;
        area += (double)trace_gpu_milli(demand) * lifetime_of(flow, (uint32_t)i, 1);
        if (demand->gpu_count > flow->gpus_max)
            flow->gpus_max = demand->gpu_count;
    }
    if (area <= 0)
        return err_set(err, 400, "%s: no pod asks for GPUs", o->pods);
    flow->rate =
        (double)o->load_percent / 100 * (double)trace->gpu_milli * (double)trace->pod_count / area;
    return 0;
}

static int take_memory(struct flow *flow, size_t arrivals, struct err *err)
{
    struct arena *arena = &flow->replay->arena;
    flow->jobs = ARENA_NEW_ARRAY(arena, struct job, arrivals);
    flow->running = ARENA_NEW_ARRAY(arena, uint32_t, arrivals);
    flow->waiting = ARENA_NEW_ARRAY(arena, uint32_t, arrivals);
    if (!flow->jobs || !flow->running || !flow->waiting)
        return err_no_memory(err, "remembering what arrives");
    return 0;
}

static void report(struct flow *flow)
{
    FILE *out = flow->replay->options->out;
    double capacity = (double)flow->replay->trace.gpu_milli, arrived = 0, rejected = 0, delay = 0;
    uint64_t started = 0;
    for (uint32_t i = 0; i < flow->waiting_count; i++) {
        struct job *job = &flow->jobs[flow->waiting[i]];
        struct class_report *class = class_of(flow, demand_of(flow, job));
        class->started += job->arrived >= WARM_UP;
        class->delay += job->arrived >= WARM_UP ? flow->now - job->arrived : 0;
    }
    for (uint32_t i = 0; i < CLASS_COUNT; i++) {
        arrived += flow->classes[i].arrived_milli;
        rejected += flow->classes[i].rejected_milli;
        delay += flow->classes[i].delay;
        started += flow->classes[i].started;
    }
    fprintf(out, "alloc_mean %.4f %%\n",
            100 * flow->allocated_area / (capacity * (flow->now - WARM_UP)));
    fprintf(out, "rejected %.4f %%\n", arrived > 0 ? 100 * rejected / arrived : 0);
    fprintf(out, "delay_mean %.5f lifetimes\n", started > 0 ? delay / (double)started : 0);
    for (uint32_t i = 0; i < CLASS_COUNT; i++) {
        const struct class_report *class = &flow->classes[i];
        if (class->arrived == 0)
            continue;
        fprintf(out, "rejected_%s %.4f %%\n", class_names[i],
                100.0 * (double)class->rejected / (double)class->arrived);
        fprintf(out, "delay_%s %.5f lifetimes\n", class_names[i],
                class->started > 0 ? class->delay / (double)class->started : 0);
    }
}

int replay_flow(struct replay *replay, struct err *err)
{
    const struct replay_options *o = replay->options;
    struct flow flow = {.replay = replay};
    random_seeded_init(&flow.random, o->seed);
    if (find_rate(&flow, err) < 0)
        return -1;
    double arrivals = ceil(flow.rate * (double)(1 + WARM_UP + o->horizon));
    if (arrivals > TRACE_ARRIVALS_MAX)
        return err_set(err, 400, "%.0f pods would arrive, at most %d may: lower --horizon",
                       arrivals, TRACE_ARRIVALS_MAX);
    if (take_memory(&flow, (size_t)arrivals, err) < 0)
        return -1;
    /* Not from empty nodes, which would take many lifetimes to fill: as many pods as run on average are
     * there at the beginning, and what is left of an exponential lifetime is another one. */
    for (size_t i = 0; i < (size_t)flow.rate; i++)
        arrive(&flow);
    while (flow.job_count < (size_t)arrivals) {
        double next = flow.now + draw_exponential(&flow) / flow.rate;
        while (flow.running_count > 0 && flow.jobs[flow.running[0]].end <= next) {
            pass_time(&flow, flow.jobs[flow.running[0]].end);
            leave(&flow);
        }
        pass_time(&flow, next);
        arrive(&flow);
    }
    report(&flow);
    return 0;
}
