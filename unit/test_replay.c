/* Reading lists of nodes and pods, and what replaying them says. What is placed is checked against the lists by
 * code of its own. */
#include "unit/support.h"

#include "extender/replay.h"
#include "extender/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATH_SIZE = 256, CHECK_NODES = 8, CHECK_DEVICES = 8, CHECK_ARRIVALS = 20000 };

struct fixture {
    struct arena arena;
    struct test_clock clock;
    struct pack *pack;
    struct trace trace;
    char folder[PATH_SIZE];
    char placements[PATH_SIZE], svg[PATH_SIZE];
    const struct mem *mem;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    struct err err;
    const struct pack_config config = pack_config_default(PACK_BESTFIT);
    *f = (struct fixture){.folder = "/tmp/callboard-replay-XXXXXX", .mem = mem_system()};
    arena_init(&f->arena, mem_system(), 1 << 16, 1 << 26);
    test_clock_init(&f->clock);
    f->pack = pack_new(&config, mem_system(), &err);
    assert_true(f->pack && mkdtemp(f->folder));
    snprintf(f->placements, PATH_SIZE, "%.200s/placements", f->folder);
    snprintf(f->svg, PATH_SIZE, "%.200s/svg", f->folder);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    pack_free(f->pack);
    arena_done(&f->arena);
    unlink(f->placements);
    unlink(f->svg);
    assert_int_equal(rmdir(f->folder), 0);
    return 0;
}

/* ---- Lists ---- */

#define NODE_COLUMNS "sn,cpu_milli,memory_mib,gpu,model\n"
#define POD_COLUMNS  "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n"

static int read_nodes(struct fixture *f, const char *text, struct err *err)
{
    return trace_read_nodes(&f->trace, &f->arena, f->pack, "nodes.csv", str_from_cstr(text), err);
}

static int read_pods(struct fixture *f, const char *text, struct err *err)
{
    return trace_read_pods(&f->trace, &f->arena, f->pack, "pods.csv", str_from_cstr(text), err);
}

static int read_arrivals(struct fixture *f, const char *text, struct err *err)
{
    return trace_read_arrivals(&f->trace, &f->arena, "arrivals", str_from_cstr(text), err);
}

static void columns_are_found_by_their_names(void **state)
{
    struct fixture *f = *state;
    struct err err;
    assert_int_equal(read_nodes(f,
                                "model,gpu,colour,memory_mib,cpu_milli,sn\r\n"
                                "V100,3,red,2,4000,one\r\n\r\n"
                                ",0,,0,1000,two",
                                &err),
                     0);
    assert_int_equal(f->trace.node_count, 2);
    assert_str_is(f->trace.node_names[0], "one");
    const struct pack_node *one = &f->trace.nodes[0], *two = &f->trace.nodes[1];
    assert_int_equal(one->cpu_free_milli, 4000);
    assert_int_equal(one->cpu_capacity_milli, 4000);
    assert_int_equal(one->memory_free, 2 << 20);
    assert_int_equal(one->pods_free, TRACE_PODS_PER_NODE);
    assert_int_equal(one->model, pack_model(f->pack, STR("V100")));
    assert_int_equal(one->device_count, 3);
    assert_int_equal(one->device_free_milli[2], PACK_WHOLE_MILLI);
    assert_int_equal(two->device_count, 0);
    assert_int_equal(two->model, PACK_NO_MODEL);
    assert_int_equal(f->trace.gpu_milli, 3000);
}

static void pods_are_read_with_models_and_times(void **state)
{
    struct fixture *f = *state;
    struct err err;
    static const struct {
        const char *text;
        struct pack_demand demand;
        double seconds;
    } cases[] = {
        {POD_COLUMNS "p,1000,2,0,0,", {.cpu_milli = 1000, .memory = 2 << 20}, 0},
        {POD_COLUMNS "p,0,0,1,350,", {.gpu_count = 1, .gpu_milli = 350}, 0},
        {POD_COLUMNS "p,0,0,2,500,",
         {.gpu_count = 2, .gpu_milli = 1000},
         0}, /* several are whole */
        {POD_COLUMNS "p,0,0,1,1000,A|B", {.gpu_count = 1, .gpu_milli = 1000, .models = 3}, 0},
        {POD_COLUMNS "p,0,0,1,1000,|B|", {.gpu_count = 1, .gpu_milli = 1000, .models = 2}, 0},
        /* Without a GPU the share says nothing. */
        {POD_COLUMNS "p,0,0,0,1000,", {0}, 0},
        {"duration,name,cpu_milli,memory_mib,num_gpu,gpu_milli\n60,p,0,0,0,0", {0}, 60},
        {"scheduled_time,deletion_time,name,cpu_milli,memory_mib,num_gpu,gpu_milli\n"
         "100,175,p,0,0,0,0",
         {0},
         75},
        /* It was never scheduled, never ended, or ended before it began. */
        {"scheduled_time,deletion_time,name,cpu_milli,memory_mib,num_gpu,gpu_milli\n"
         ",175,p,0,0,0,0",
         {0},
         0},
        {"scheduled_time,deletion_time,name,cpu_milli,memory_mib,num_gpu,gpu_milli\n"
         "100,,p,0,0,0,0",
         {0},
         0},
        {"scheduled_time,deletion_time,name,cpu_milli,memory_mib,num_gpu,gpu_milli\n"
         "100,99,p,0,0,0,0",
         {0},
         0},
    };
    assert_int_equal(pack_model(f->pack, STR("A")), 0);
    assert_int_equal(pack_model(f->pack, STR("B")), 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        f->trace = (struct trace){0};
        if (read_pods(f, cases[i].text, &err) < 0)
            fail_msg("case %zu: %s", i, err.message);
        const struct trace_pod *pod = &f->trace.pods[0];
        const struct pack_demand *is = &pod->demand, *expected = &cases[i].demand;
        assert_int_equal(f->trace.pod_count, 1);
        assert_str_is(pod->name, "p");
        if (is->cpu_milli != expected->cpu_milli || is->memory != expected->memory ||
            is->gpu_count != expected->gpu_count || is->gpu_milli != expected->gpu_milli ||
            is->models != expected->models || pod->seconds < cases[i].seconds ||
            pod->seconds > cases[i].seconds)
            fail_msg("case %zu is read wrongly", i);
    }
}

static void bad_lines_are_named(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int (*read)(struct fixture *f, const char *text, struct err *err);
        const char *text, *message;
    } cases[] = {
        {read_nodes, "", "nodes.csv: no column \"sn\" in its first line"},
        {read_nodes, "sn,cpu_milli,memory_mib,gpu\n",
         "nodes.csv: no column \"model\" in its first line"},
        {read_nodes, NODE_COLUMNS, "nodes.csv: no node with GPUs"},
        {read_nodes, NODE_COLUMNS "n,1,1,0,", "nodes.csv: no node with GPUs"},
        {read_nodes, NODE_COLUMNS "n,1,1,1,T4\n\nn,x,1,1,T4",
         "nodes.csv:4: cpu_milli must be a whole number from 0 to 1073741824, not \"x\""},
        {read_nodes, NODE_COLUMNS "n,1,1,65,T4",
         "nodes.csv:2: gpu must be a whole number from 0 to 64, not \"65\""},
        {read_nodes, NODE_COLUMNS "n,1,-1,1,T4",
         "nodes.csv:2: memory_mib must be a whole number from 0 to 1073741824, not \"-1\""},
        {read_nodes, NODE_COLUMNS "n,1",
         "nodes.csv:2: memory_mib must be a whole number from 0 to 1073741824, not \"\""},
        {read_pods, POD_COLUMNS, "pods.csv: no pods"},
        {read_pods, "name\n", "pods.csv: no column \"cpu_milli\" in its first line"},
        {read_pods, POD_COLUMNS "p,1,1,1,0,",
         "pods.csv:2: a pod with a GPU needs gpu_milli from 1 to 1000"},
        {read_pods, POD_COLUMNS "p,1,1,1,1001,",
         "pods.csv:2: gpu_milli must be a whole number from 0 to 1000, not \"1001\""},
        {read_pods, POD_COLUMNS "p,1.5,1,1,1000,",
         "pods.csv:2: cpu_milli must be a whole number from 0 to 1073741824, not \"1.5\""},
        {read_pods, "duration,name,cpu_milli,memory_mib,num_gpu,gpu_milli\nsoon,p,0,0,0,0",
         "pods.csv:2: duration must be a whole number from 0 to 2147483647, not \"soon\""},
        {read_arrivals, "0\n1\n2", "arrivals:3: \"2\" is no row of the pods, 0 to 1"},
        {read_arrivals, "0\n-1", "arrivals:2: \"-1\" is no row of the pods, 0 to 1"},
        {read_arrivals, "first", "arrivals:1: \"first\" is no row of the pods, 0 to 1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err;
        f->trace = (struct trace){0};
        assert_int_equal(read_pods(f, POD_COLUMNS "p,1,1,1,500,\nq,1,1,0,0,", &err), 0);
        if (cases[i].read != read_arrivals)
            f->trace = (struct trace){0};
        assert_int_equal(cases[i].read(f, cases[i].text, &err), -1);
        assert_string_equal(err.message, cases[i].message);
        assert_int_equal(err.code, 400);
    }
}

static void a_list_that_is_too_long_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err;
    enum { HEADER = sizeof(NODE_COLUMNS) - 1, ROWS = TRACE_NODES_MAX + 2 };
    char *text = arena_alloc(&f->arena, HEADER + ROWS);
    assert_non_null(text);
    memcpy(text, NODE_COLUMNS, HEADER);
    memset(text + HEADER, '\n', ROWS);
    assert_int_equal(trace_read_nodes(&f->trace, &f->arena, f->pack, "nodes.csv",
                                      (struct str){text, HEADER + ROWS}, &err),
                     -1);
    assert_int_equal(err.code, 413);
    assert_string_equal(err.message, "nodes.csv: more than 20000 rows");
}

static void without_an_order_pods_arrive_in_their_own(void **state)
{
    struct fixture *f = *state;
    struct err err;
    assert_int_equal(read_pods(f, POD_COLUMNS "p,1,1,1,500,\nq,1,1,0,0,", &err), 0);
    assert_int_equal(trace_arrive_in_order(&f->trace, &f->arena, &err), 0);
    assert_int_equal(f->trace.arrival_count, 2);
    assert_int_equal(f->trace.arrivals[0], 0);
    assert_int_equal(f->trace.arrivals[1], 1);
}

/* ---- Replaying ---- */

#define LISTS "unit/testdata/packing/"

static struct replay_options options_of(struct fixture *f, enum pack_kind kind)
{
    return (struct replay_options){.nodes = LISTS "nodes.csv",
                                   .pods = LISTS "pods.csv",
                                   .arrivals = LISTS "arrivals.txt",
                                   .kind = kind,
                                   .placements = f->placements,
                                   .horizon = 4,
                                   .seed = 1,
                                   .mem = f->mem,
                                   .clock = &f->clock.clock};
}

/* What it prints, in the arena. */
static const char *replay(struct fixture *f, struct replay_options options)
{
    struct err err;
    char *text = NULL;
    size_t size = 0;
    options.out = open_memstream(&text, &size);
    assert_non_null(options.out);
    if (replay_run(&options, &err) < 0)
        fail_msg("%s", err.message);
    fclose(options.out);
    struct str copy = arena_copy(&f->arena, (struct str){text, size});
    free(text);
    assert_non_null(copy.ptr);
    return copy.ptr;
}

static const char *read_back(struct fixture *f, const char *path)
{
    enum { TEXT_MAX = 1 << 20 };
    char *text = arena_alloc(&f->arena, TEXT_MAX);
    FILE *file = fopen(path, "re");
    assert_true(text && file);
    size_t size = fread(text, 1, TEXT_MAX - 1, file);
    fclose(file);
    text[size] = '\0';
    return text;
}

/* Its path, in the arena. */
static const char *write_file(struct fixture *f, const char *name, const char *text)
{
    struct str path = arena_printf(&f->arena, "%s/%s", f->folder, name);
    FILE *file = path.ptr ? fopen(path.ptr, "we") : NULL;
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    return path.ptr;
}

static double figure(const char *output, const char *name)
{
    const char *at = strstr(output, name);
    assert_non_null(at);
    return at ? strtod(at + strlen(name), NULL) : 0;
}

static void pods_that_stay_fill_the_nodes(void **state)
{
    struct fixture *f = *state;
    const char *said = replay(f, options_of(f, PACK_BESTFIT));
    /* When 7 of 6 GPUs have been asked for, 3 are given out and the pod of four has failed. */
    assert_string_equal(said, "alloc100 50.0000 %\nfailed100 1 pods\nalloc_end 66.6667 %\n"
                              "failed_end 1 pods\nms_per_decision 0.0000 ms\n");
    assert_string_equal(read_back(f, f->placements),
                        "p-share,n-a,0\np-most,n-a,0\np-two,n-b,0-1\np-cpu,n-c,\np-four,,\n"
                        "p-t4,n-a,1\n");
}

static void pods_leave_after_so_many_further_arrivals(void **state)
{
    struct fixture *f = *state;
    struct replay_options options = options_of(f, PACK_BESTFIT);
    options.hold = 2;
    const char *said = replay(f, options);
    assert_string_equal(said, "alloc100 66.6667 %\nfailed100 0 pods\nalloc_end 83.3333 %\n"
                              "failed_end 0 pods\nms_per_decision 0.0000 ms\n");
    assert_string_equal(read_back(f, f->placements),
                        "p-share,n-a,0\np-most,n-a,0\n-0,,\np-two,n-b,0-1\n-1,,\np-cpu,n-c,\n"
                        "-2,,\np-four,n-b,0-1-2-3\n-3,,\np-t4,n-a,0\n");
}

static void typical_pods_may_be_known_from_the_list(void **state)
{
    struct fixture *f = *state;
    static const enum pack_kind kinds[] = {PACK_RSP, PACK_FGD, PACK_BESTFIT, PACK_RANDOM};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct replay_options options = options_of(f, kinds[i]);
        options.typical = REPLAY_LIST;
        options.arrivals = NULL;
        const char *first = replay(f, options), *second = replay(f, options);
        assert_string_equal(first, second);
        assert_true(figure(first, "alloc_end ") > 0);
    }
}

static void a_picture_shows_what_is_taken_idle_and_stranded(void **state)
{
    struct fixture *f = *state;
    struct replay_options options = options_of(f, PACK_BESTFIT);
    options.placements = NULL;
    options.svg = f->svg;
    replay(f, options);
    const char *svg = read_back(f, f->svg);
    assert_int_equal(strncmp(svg, "<svg xmlns=", 11), 0);
    assert_non_null(strstr(svg, "</svg>\n"));
    assert_non_null(strstr(svg, "taken 66.67 %"));
    assert_non_null(strstr(svg, "idle, of use to some pod 33.33 %"));
    assert_non_null(strstr(svg, "stranded 0.00 %"));
    size_t boxes = 0;
    for (const char *at = svg; (at = strstr(at, "z\n")); at++)
        boxes++;
    /* Full devices side by side are one box: one of each node, and two that are idle. */
    assert_int_equal(boxes, 4);
}

static void what_no_pod_of_the_list_can_use_is_stranded(void **state)
{
    struct fixture *f = *state;
    static const char nodes[] = NODE_COLUMNS "n,1000,0,2,T4\n";
    static const char pods[] = POD_COLUMNS "p,1000,0,1,250,\n";
    struct replay_options options = options_of(f, PACK_BESTFIT);
    options.nodes = write_file(f, "nodes", nodes);
    options.pods = write_file(f, "pods", pods);
    options.arrivals = NULL;
    options.svg = f->svg;
    replay(f, options);
    unlink(options.nodes);
    unlink(options.pods);
    /* The pod has taken all CPU of the node. */
    const char *svg = read_back(f, f->svg);
    assert_non_null(strstr(svg, "taken 12.50 %"));
    assert_non_null(strstr(svg, "of use to some pod 0.00 %"));
    assert_non_null(strstr(svg, "stranded 87.50 %"));
}

/* ---- Checking what was placed ---- */

struct check {
    struct fixture *fixture;
    int64_t cpu_milli[CHECK_NODES];
    int32_t device_milli[CHECK_NODES][CHECK_DEVICES];
    struct {
        uint32_t pod, node;
        uint64_t devices;
    } arrivals[CHECK_ARRIVALS];
    size_t count, refused, left, started;
};

enum { NOWHERE = UINT32_MAX };

static uint32_t number_of(const struct trace *trace, struct str name)
{
    for (uint32_t i = 0; i < trace->node_count; i++) {
        if (str_eq(trace->node_names[i], name))
            return i;
    }
    fail_msg("no node %" PRIstr, STR_ARG(name));
    return 0;
}

static bool has_room(const struct check *check, uint32_t node, const struct pack_demand *demand)
{
    const struct pack_node *is = &check->fixture->trace.nodes[node];
    unsigned able = 0;
    for (unsigned d = 0; d < is->device_count; d++)
        able += check->device_milli[node][d] >= demand->gpu_milli;
    return check->cpu_milli[node] >= demand->cpu_milli && able >= demand->gpu_count &&
           (demand->models == 0 || (is->model < 64 && (demand->models >> is->model & 1)));
}

static void move_in(struct check *check, size_t arrival, struct str name, struct str devices)
{
    const struct trace *trace = &check->fixture->trace;
    const struct pack_demand *demand = &trace->pods[check->arrivals[arrival].pod].demand;
    uint32_t node = number_of(trace, name);
    assert_true(has_room(check, node, demand));
    uint64_t set = 0;
    while (str_is_set(devices) && devices.len > 0) {
        struct str number;
        int64_t device;
        str_cut(devices, '-', &number, &devices);
        assert_true(str_to_int64(number, &device));
        assert_in_range(device, 0, trace->nodes[node].device_count - 1);
        assert_false(set >> device & 1);
        set |= UINT64_C(1) << device;
        check->device_milli[node][device] -= demand->gpu_milli;
        assert_true(check->device_milli[node][device] >= 0);
    }
    assert_int_equal(__builtin_popcountll(set), demand->gpu_count);
    check->cpu_milli[node] -= demand->cpu_milli;
    check->arrivals[arrival].node = node;
    check->arrivals[arrival].devices = set;
}

static void move_out(struct check *check, size_t arrival)
{
    const struct trace *trace = &check->fixture->trace;
    uint32_t node = check->arrivals[arrival].node;
    assert_int_not_equal(node, NOWHERE);
    const struct pack_demand *demand = &trace->pods[check->arrivals[arrival].pod].demand;
    for (unsigned d = 0; d < CHECK_DEVICES; d++) {
        if (check->arrivals[arrival].devices >> d & 1)
            check->device_milli[node][d] += demand->gpu_milli;
    }
    check->cpu_milli[node] += demand->cpu_milli;
    check->arrivals[arrival].node = NOWHERE;
    check->left++;
}

static void arrive(struct check *check, struct str name, struct str node, struct str devices)
{
    const struct trace *trace = &check->fixture->trace;
    uint32_t pod = 0;
    while (pod < trace->pod_count && !str_eq(trace->pods[pod].name, name))
        pod++;
    assert_in_range(pod, 0, trace->pod_count - 1);
    assert_in_range(check->count, 0, CHECK_ARRIVALS - 1);
    size_t arrival = check->count++;
    check->arrivals[arrival].pod = pod;
    check->arrivals[arrival].node = NOWHERE;
    if (node.len > 0) {
        move_in(check, arrival, node, devices);
        return;
    }
    check->refused++;
    for (uint32_t n = 0; n < trace->node_count; n++)
        assert_false(has_room(check, n, &trace->pods[pod].demand));
}

static void check_line(struct check *check, struct str line)
{
    struct str name, node, devices;
    int64_t arrival = 0;
    str_cut(line, ',', &name, &line);
    str_cut(line, ',', &node, &devices);
    bool is_event = name.len > 0 && (name.ptr[0] == '-' || name.ptr[0] == '+');
    if (!is_event) {
        arrive(check, name, node, devices);
        return;
    }
    assert_true(str_to_int64(str_sub(name, 1, name.len), &arrival));
    assert_in_range(arrival, 0, check->count - 1);
    if (name.ptr[0] == '-') {
        move_out(check, (size_t)arrival);
    } else {
        check->started++;
        move_in(check, (size_t)arrival, node, devices);
    }
}

/* Nothing was given out twice, and nobody was refused who fitted. */
static struct check *check_placements(struct fixture *f)
{
    struct err err;
    struct check *check = ARENA_NEW(&f->arena, struct check);
    assert_non_null(check);
    check->fixture = f;
    f->trace = (struct trace){0};
    assert_int_equal(read_nodes(f, test_read_file(&f->arena, "packing/nodes.csv").ptr, &err), 0);
    assert_int_equal(read_pods(f, test_read_file(&f->arena, "packing/pods.csv").ptr, &err), 0);
    for (size_t n = 0; n < f->trace.node_count; n++) {
        check->cpu_milli[n] = f->trace.nodes[n].cpu_free_milli;
        for (unsigned d = 0; d < f->trace.nodes[n].device_count; d++)
            check->device_milli[n][d] = PACK_WHOLE_MILLI;
    }
    struct str rest = str_from_cstr(read_back(f, f->placements));
    while (rest.len > 0) {
        struct str line;
        str_cut(rest, '\n', &line, &rest);
        check_line(check, line);
    }
    return check;
}

static void pods_that_come_and_go_never_share_what_is_not_there(void **state)
{
    struct fixture *f = *state;
    static const enum pack_kind kinds[] = {PACK_RSP, PACK_FGD, PACK_BESTFIT, PACK_RANDOM};
    for (size_t i = 0; i < 2 * sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct replay_options options = options_of(f, kinds[i / 2]);
        options.load_percent = 150;
        options.horizon = 200;
        options.queue = i % 2;
        options.lifetimes = i % 2 ? REPLAY_FROM_LIST : REPLAY_EXPONENTIAL;
        const char *said = replay(f, options);
        double mean = figure(said, "alloc_mean ");
        assert_true(mean > 30 && mean <= 100);
        const struct check *check = check_placements(f);
        assert_true(check->count > 500 && check->refused > 0 && check->left > 0);
        if (options.queue) {
            assert_true(check->started > 0 && figure(said, "delay_mean ") > 0);
            assert_true(figure(said, "rejected ") <= 0);
        } else {
            assert_int_equal(check->started, 0);
            assert_true(figure(said, "rejected ") > 0);
        }
        assert_string_equal(said, replay(f, options));
    }
}

static void little_load_is_served_at_once(void **state)
{
    struct fixture *f = *state;
    struct replay_options options = options_of(f, PACK_RSP);
    options.load_percent = 1;
    const char *said = replay(f, options);
    assert_true(figure(said, "rejected ") <= 0);
    assert_true(figure(said, "delay_mean ") <= 0);
}

/* A pod that waits long enough gets a node that nobody else is put on. */
static void a_large_pod_that_waits_gets_a_node_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct replay_options options = options_of(f, PACK_RSP);
    options.load_percent = 150;
    options.horizon = 200;
    options.queue = true;
    double before = figure(replay(f, options), "delay_4 ");
    options.age_permille = 100;
    double after = figure(replay(f, options), "delay_4 ");
    assert_true(after < before);
    options.age_permille = 0;
    options.queue = false;
    before = figure(replay(f, options), "rejected_4 ");
    options.reserve = 1;
    after = figure(replay(f, options), "rejected_4 ");
    assert_true(after < before);
}

/* ---- Failing ---- */

static void what_cannot_be_read_or_written_is_named(void **state)
{
    struct fixture *f = *state;
    struct replay_options good = options_of(f, PACK_BESTFIT);
    struct replay_options cases[] = {good, good, good, good, good};
    const char *const messages[] = {"/none/nodes", "/none/pods", "/none/arrivals",
                                    "/none/placements: cannot be written",
                                    "/none/svg: cannot be written"};
    cases[0].nodes = "/none/nodes";
    cases[1].pods = "/none/pods";
    cases[2].arrivals = "/none/arrivals";
    cases[3].placements = "/none/placements";
    cases[4].svg = "/none/svg";
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err;
        char *text = NULL;
        size_t size = 0;
        cases[i].out = open_memstream(&text, &size);
        assert_int_equal(replay_run(&cases[i], &err), -1);
        fclose(cases[i].out);
        free(text);
        if (!strstr(err.message, messages[i]))
            fail_msg("%s is not about %s", err.message, messages[i]);
    }
}

static bool run_replay(const struct mem *mem, void *ctx)
{
    struct fixture *f = ctx;
    struct err err;
    struct replay_options options = options_of(f, PACK_RSP);
    char *text = NULL;
    size_t size = 0;
    options.mem = mem;
    options.out = open_memstream(&text, &size);
    assert_non_null(options.out);
    bool is_good = replay_run(&options, &err) == 0;
    options.load_percent = 100;
    is_good = replay_run(&options, &err) == 0 && is_good;
    fclose(options.out);
    free(text);
    return is_good;
}

static void replay_does_without_memory(void **state)
{
    test_every_allocation_failing(run_replay, *state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(columns_are_found_by_their_names),
        TEST(pods_are_read_with_models_and_times),
        TEST(bad_lines_are_named),
        TEST(a_list_that_is_too_long_is_refused),
        TEST(without_an_order_pods_arrive_in_their_own),
        TEST(pods_that_stay_fill_the_nodes),
        TEST(pods_leave_after_so_many_further_arrivals),
        TEST(typical_pods_may_be_known_from_the_list),
        TEST(a_picture_shows_what_is_taken_idle_and_stranded),
        TEST(what_no_pod_of_the_list_can_use_is_stranded),
        TEST(pods_that_come_and_go_never_share_what_is_not_there),
        TEST(little_load_is_served_at_once),
        TEST(a_large_pod_that_waits_gets_a_node_of_its_own),
        TEST(what_cannot_be_read_or_written_is_named),
        TEST(replay_does_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
