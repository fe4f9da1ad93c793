/* Pods that arrive in a given order and stay, or leave after a number of further arrivals. */
#include "extender/replay_parts.h"

struct fill_report {
    uint64_t failed;
    int64_t allocated_milli;
};

static void report(const struct replay *replay, const char *when, const struct fill_report *is)
{
    FILE *out = replay->options->out;
    fprintf(out, "alloc%s %.4f %%\n", when,
            100.0 * (double)is->allocated_milli / (double)replay->trace.gpu_milli);
    fprintf(out, "failed%s %llu pods\n", when, (unsigned long long)is->failed);
}

static void let_leave(struct replay *replay, struct replay_place *places, size_t arrival)
{
    const struct trace *trace = &replay->trace;
    if (places[arrival].node == REPLAY_NO_NODE)
        return;
    replay_release(replay, &places[arrival], &trace->pods[trace->arrivals[arrival]].demand);
    replay_write_release(replay, arrival);
}

int replay_fill(struct replay *replay, struct err *err)
{
    const struct trace *trace = &replay->trace;
    uint64_t hold = replay->options->hold;
    struct replay_place *places =
        ARENA_NEW_ARRAY(&replay->arena, struct replay_place, trace->arrival_count);
    if (!places)
        return err_no_memory(err, "remembering where pods are");
    struct fill_report full = {0}, end = {0};
    int64_t arrived_milli = 0;
    for (size_t i = 0; i < trace->arrival_count; i++) {
        if (hold > 0 && i >= hold)
            let_leave(replay, places, i - hold);
        const struct trace_pod *pod = &trace->pods[trace->arrivals[i]];
        replay_observe(replay, &pod->demand);
        places[i] = replay_place(replay, replay->nodes, trace->node_count, &pod->demand);
        replay_write_place(replay, pod, &places[i]);
        end.failed += places[i].node == REPLAY_NO_NODE;
        end.allocated_milli = replay->allocated_milli;
        bool was_full = arrived_milli >= trace->gpu_milli;
        arrived_milli += trace_gpu_milli(&pod->demand);
        if (!was_full)
            full = end;
    }
    report(replay, "100", &full);
    report(replay, "_end", &end);
    return 0;
}
