/* The replay: reading its files, single decisions, what is reported about all of them. */
#include "extender/replay.h"

#include "base/file.h"
#include "extender/replay_parts.h"

#include <errno.h>

enum { ARENA_BLOCK = 1 << 20, FILE_SIZE_MAX = 256 << 20 };
#define ARENA_SIZE_MAX ((size_t)2 << 30)

/* ---- Decisions ---- */

void replay_observe(struct replay *replay, const struct pack_demand *demand)
{
    const struct clock *clock = replay->options->clock;
    int64_t begin = clock_now_ns(clock);
    pack_observe(replay->pack, demand);
    if (pack_refresh_is_due(replay->pack))
        pack_refresh(replay->pack, replay->nodes, replay->trace.node_count);
    replay->decision_ns += clock_now_ns(clock) - begin;
}

struct replay_place replay_place(struct replay *replay, struct pack_node *const *nodes,
                                 size_t count, const struct pack_demand *demand)
{
    const struct clock *clock = replay->options->clock;
    int64_t begin = clock_now_ns(clock);
    struct pack_choice choice;
    size_t best;
    struct replay_place place = {.node = REPLAY_NO_NODE};
    if (pack_choose(replay->pack, nodes, count, demand, &best, &choice)) {
        pack_place(replay->pack, nodes[best], demand, choice.devices);
        place.node = (uint32_t)(nodes[best] - replay->trace.nodes);
        place.devices = choice.devices;
        replay->allocated_milli += trace_gpu_milli(demand);
    }
    replay->decision_ns += clock_now_ns(clock) - begin;
    replay->decisions++;
    return place;
}

void replay_release(struct replay *replay, const struct replay_place *place,
                    const struct pack_demand *demand)
{
    pack_release(replay->pack, &replay->trace.nodes[place->node], demand, place->devices);
    replay->allocated_milli -= trace_gpu_milli(demand);
}

void replay_list_open(struct replay *replay)
{
    replay->open_count = 0;
    for (size_t i = 0; i < replay->trace.node_count; i++) {
        if (!replay->is_held[i])
            replay->open[replay->open_count++] = replay->nodes[i];
    }
}

/* ---- Files ---- */

/* In the arena, for views into it live as long as the replay. */
static int read_text(struct replay *replay, const char *path, struct str *ret, struct err *err)
{
    struct buf buf;
    buf_init(&buf, arena_mem(&replay->arena), FILE_SIZE_MAX);
    if (file_read(path, &buf, err) < 0)
        return -1;
    *ret = buf_str(&buf);
    return 0;
}

static int read_trace(struct replay *replay, struct err *err)
{
    const struct replay_options *o = replay->options;
    struct trace *trace = &replay->trace;
    struct arena *arena = &replay->arena;
    struct str nodes, pods, arrivals;
    if (read_text(replay, o->nodes, &nodes, err) < 0 ||
        trace_read_nodes(trace, arena, replay->pack, o->nodes, nodes, err) < 0 ||
        read_text(replay, o->pods, &pods, err) < 0 ||
        trace_read_pods(trace, arena, replay->pack, o->pods, pods, err) < 0)
        return -1;
    if (!o->arrivals)
        return trace_arrive_in_order(trace, arena, err);
    if (read_text(replay, o->arrivals, &arrivals, err) < 0)
        return -1;
    return trace_read_arrivals(trace, arena, o->arrivals, arrivals, err);
}

static int prepare(struct replay *replay, struct err *err)
{
    size_t count = replay->trace.node_count;
    replay->nodes = ARENA_NEW_ARRAY(&replay->arena, struct pack_node *, count);
    replay->open = ARENA_NEW_ARRAY(&replay->arena, struct pack_node *, count);
    replay->is_held = ARENA_NEW_ARRAY(&replay->arena, bool, count);
    if (!replay->nodes || !replay->open || !replay->is_held)
        return err_no_memory(err, "listing the nodes");
    for (size_t i = 0; i < count; i++)
        replay->nodes[i] = &replay->trace.nodes[i];
    replay_list_open(replay);
    if (replay->options->typical == REPLAY_LIST) {
        for (size_t i = 0; i < replay->trace.pod_count; i++)
            pack_observe_many(replay->pack, &replay->trace.pods[i].demand, 1);
        pack_learn(replay->pack);
    }
    return 0;
}

/* ",node,devices", or ",," for no node. */
static void write_where(struct replay *replay, const struct replay_place *place)
{
    FILE *to = replay->placements;
    if (place->node == REPLAY_NO_NODE) {
        fputs(",,\n", to);
        return;
    }
    fprintf(to, ",%" PRIstr ",", STR_ARG(replay->trace.node_names[place->node]));
    const char *separator = "";
    for (unsigned i = 0; i < PACK_DEVICES_MAX; i++) {
        if (place->devices >> i & 1) {
            fprintf(to, "%s%u", separator, i);
            separator = "-";
        }
    }
    fputc('\n', to);
}

void replay_write_place(struct replay *replay, const struct trace_pod *pod,
                        const struct replay_place *place)
{
    if (!replay->placements)
        return;
    fprintf(replay->placements, "%" PRIstr, STR_ARG(pod->name));
    write_where(replay, place);
}

void replay_write_start(struct replay *replay, size_t arrival, const struct replay_place *place)
{
    if (!replay->placements)
        return;
    fprintf(replay->placements, "+%zu", arrival);
    write_where(replay, place);
}

void replay_write_release(struct replay *replay, size_t arrival)
{
    if (replay->placements)
        fprintf(replay->placements, "-%zu,,\n", arrival);
}

static int open_placements(struct replay *replay, struct err *err)
{
    const char *path = replay->options->placements;
    if (!path)
        return 0;
    replay->placements = fopen(path, "we");
    if (!replay->placements)
        return err_set(err, 500, "%s: cannot be written: %s", path, strerror(errno));
    return 0;
}

static int close_placements(struct replay *replay, struct err *err)
{
    if (!replay->placements)
        return 0;
    bool failed = ferror(replay->placements) != 0;
    failed = fclose(replay->placements) != 0 || failed;
    replay->placements = NULL;
    if (failed)
        return err_set(err, 500, "%s: could not be written", replay->options->placements);
    return 0;
}

/* ---- The whole ---- */

static int replay_work(struct replay *replay, struct err *err)
{
    const struct replay_options *o = replay->options;
    if (read_trace(replay, err) < 0 || prepare(replay, err) < 0 || open_placements(replay, err) < 0)
        return -1;
    int result = o->load_percent > 0 ? replay_flow(replay, err) : replay_fill(replay, err);
    if (result < 0)
        return -1;
    double ms = (double)replay->decision_ns / CLOCK_NS_PER_MS;
    fprintf(o->out, "ms_per_decision %.4f ms\n",
            replay->decisions > 0 ? ms / (double)replay->decisions : 0);
    if (close_placements(replay, err) < 0)
        return -1;
    return o->svg ? replay_draw(replay, o->svg, err) : 0;
}

int replay_run(const struct replay_options *options, struct err *err)
{
    struct replay replay = {.options = options};
    struct pack_config config = pack_config_default(options->kind);
    if (options->typical == REPLAY_LIST)
        config.learn_first = 0;
    replay.pack = pack_new(&config, options->mem, err);
    if (!replay.pack)
        return -1;
    arena_init(&replay.arena, options->mem, ARENA_BLOCK, ARENA_SIZE_MAX);
    int result = replay_work(&replay, err);
    if (replay.placements)
        fclose(replay.placements);
    arena_done(&replay.arena);
    pack_free(replay.pack);
    return result;
}
