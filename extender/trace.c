/* Reading lists of nodes and pods. */
#include "extender/trace.h"

enum { COLUMNS_MAX = 32 };

/* A CSV file that is being read, line by line. */
struct table {
    const char *file;
    struct str rest;
    uint32_t line;
    struct str header[COLUMNS_MAX];
    size_t column_count;
    struct str cells[COLUMNS_MAX];
};

static size_t split(struct str line, struct str cells[static COLUMNS_MAX])
{
    size_t count = 0;
    while (str_is_set(line) && count < COLUMNS_MAX)
        str_cut(line, ',', &cells[count++], &line);
    return count;
}

/* The next line that is not empty, without its end; false at the end of the file. */
static bool next_line(struct table *table, struct str *ret)
{
    while (str_is_set(table->rest)) {
        struct str line;
        str_cut(table->rest, '\n', &line, &table->rest);
        table->line++;
        *ret = str_trim(line);
        if (ret->len > 0)
            return true;
    }
    return false;
}

static bool next_row(struct table *table)
{
    struct str line;
    if (!next_line(table, &line))
        return false;
    size_t count = split(line, table->cells);
    for (; count < table->column_count; count++)
        table->cells[count] = STR("");
    return true;
}

static void table_init(struct table *table, const char *file, struct str text)
{
    *table = (struct table){.file = file, .rest = text};
    struct str line;
    if (next_line(table, &line))
        table->column_count = split(line, table->header);
}

/* The number of the column, or -1. */
static int find_column(const struct table *table, const char *name)
{
    for (size_t i = 0; i < table->column_count; i++) {
        if (str_eq_cstr(table->header[i], name))
            return (int)i;
    }
    return -1;
}

static int need_columns(const struct table *table, const char *const *names, size_t count,
                        int *columns, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        columns[i] = find_column(table, names[i]);
        if (columns[i] < 0)
            return err_set(err, 400, "%s: no column \"%s\" in its first line", table->file,
                           names[i]);
    }
    return 0;
}

static int read_number(const struct table *table, int column, int64_t max, int64_t *ret,
                       struct err *err)
{
    int64_t value;
    if (!str_to_int64(table->cells[column], &value) || value < 0 || value > max)
        return err_set(err, 400,
                       "%s:%u: %" PRIstr " must be a whole number from 0 to %lld, not \"%" PRIstr
                       "\"",
                       table->file, table->line, STR_ARG(table->header[column]), (long long)max,
                       STR_ARG(table->cells[column]));
    *ret = value;
    return 0;
}

static size_t count_lines(struct str text)
{
    size_t count = 1;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == '\n';
    return count;
}

/* Room for a row per line of the text; NULL when there is none. */
static void *take_rows(struct arena *arena, const char *file, struct str text, size_t max,
                       size_t size, struct err *err)
{
    size_t rows = count_lines(text);
    if (rows > max + 2) {
        err_set(err, 413, "%s: more than %zu rows", file, max);
        return NULL;
    }
    void *taken = arena_alloc_array(arena, rows, size);
    if (!taken)
        err_set(err, 507, "%s: no memory for it", file);
    return taken;
}

/* ---- Nodes ---- */

enum { MILLI_MAX = 1 << 30, MIB_SHIFT = 20 };

enum { NODE_NAME, NODE_CPU, NODE_MEMORY, NODE_GPUS, NODE_MODEL, NODE_COLUMNS };

static const char *const node_columns[] = {"sn", "cpu_milli", "memory_mib", "gpu", "model"};

static int read_node(struct trace *trace, struct pack *pack, const struct table *table,
                     const int *columns, struct err *err)
{
    int64_t cpu = 0, memory = 0, gpus = 0;
    if (read_number(table, columns[NODE_CPU], MILLI_MAX, &cpu, err) < 0 ||
        read_number(table, columns[NODE_MEMORY], MILLI_MAX, &memory, err) < 0 ||
        read_number(table, columns[NODE_GPUS], PACK_DEVICES_MAX, &gpus, err) < 0)
        return -1;
    struct str model = table->cells[columns[NODE_MODEL]];
    struct pack_node *node = &trace->nodes[trace->node_count];
    *node = (struct pack_node){
        .cpu_free_milli = cpu,
        .cpu_capacity_milli = cpu,
        .memory_free = memory << MIB_SHIFT,
        .pods_free = TRACE_PODS_PER_NODE,
        .model = gpus > 0 && model.len > 0 ? pack_model(pack, model) : PACK_NO_MODEL,
        .device_count = (uint8_t)gpus,
    };
    for (int64_t i = 0; i < gpus; i++)
        node->device_free_milli[i] = PACK_WHOLE_MILLI;
    trace->node_names[trace->node_count++] = table->cells[columns[NODE_NAME]];
    trace->gpu_milli += gpus * PACK_WHOLE_MILLI;
    return 0;
}

int trace_read_nodes(struct trace *trace, struct arena *arena, struct pack *pack, const char *file,
                     struct str text, struct err *err)
{
    struct table table;
    int columns[NODE_COLUMNS] = {0};
    table_init(&table, file, text);
    if (need_columns(&table, node_columns, NODE_COLUMNS, columns, err) < 0)
        return -1;
    trace->nodes = take_rows(arena, file, text, TRACE_NODES_MAX, sizeof(*trace->nodes), err);
    trace->node_names =
        take_rows(arena, file, text, TRACE_NODES_MAX, sizeof(*trace->node_names), err);
    if (!trace->nodes || !trace->node_names)
        return -1;
    while (next_row(&table)) {
        if (read_node(trace, pack, &table, columns, err) < 0)
            return -1;
    }
    if (trace->gpu_milli == 0)
        return err_set(err, 400, "%s: no node with GPUs", file);
    return 0;
}

/* ---- Pods ---- */

enum { POD_NAME, POD_CPU, POD_MEMORY, POD_GPUS, POD_MILLI, POD_COLUMNS };

static const char *const pod_columns[] = {"name", "cpu_milli", "memory_mib", "num_gpu",
                                          "gpu_milli"};

struct pod_reader {
    struct table table;
    int columns[POD_COLUMNS];
    int spec, duration, begin, end; /* -1 when the list has none */
};

static uint64_t read_models(struct pack *pack, struct str spec)
{
    uint64_t models = 0;
    while (str_is_set(spec) && spec.len > 0) {
        struct str name;
        str_cut(spec, '|', &name, &spec);
        if (name.len > 0)
            models |= UINT64_C(1) << pack_model(pack, name);
    }
    return models;
}

static int read_seconds(const struct pod_reader *reader, double *ret, struct err *err)
{
    const struct table *table = &reader->table;
    int64_t begin, end = 0;
    *ret = 0;
    if (reader->duration >= 0) {
        if (read_number(table, reader->duration, INT32_MAX, &end, err) < 0)
            return -1;
        *ret = (double)end;
        return 0;
    }
    /* What never ended has no time of it. */
    if (reader->begin < 0 || reader->end < 0 ||
        !str_to_int64(table->cells[reader->begin], &begin) ||
        !str_to_int64(table->cells[reader->end], &end) || end <= begin)
        return 0;
    *ret = (double)(end - begin);
    return 0;
}

static int read_pod(struct trace *trace, struct pack *pack, const struct pod_reader *reader,
                    struct err *err)
{
    const struct table *table = &reader->table;
    const int *columns = reader->columns;
    struct trace_pod *pod = &trace->pods[trace->pod_count];
    int64_t cpu = 0, memory = 0, gpus = 0, milli = 0;
    if (read_number(table, columns[POD_CPU], MILLI_MAX, &cpu, err) < 0 ||
        read_number(table, columns[POD_MEMORY], MILLI_MAX, &memory, err) < 0 ||
        read_number(table, columns[POD_GPUS], PACK_DEVICES_MAX, &gpus, err) < 0 ||
        read_number(table, columns[POD_MILLI], PACK_WHOLE_MILLI, &milli, err) < 0 ||
        read_seconds(reader, &pod->seconds, err) < 0)
        return -1;
    if (gpus > 1)
        milli = PACK_WHOLE_MILLI;
    if (gpus == 1 && milli == 0)
        return err_set(err, 400, "%s:%u: a pod with a GPU needs gpu_milli from 1 to 1000",
                       table->file, table->line);
    pod->name = table->cells[columns[POD_NAME]];
    pod->demand = (struct pack_demand){
        .cpu_milli = cpu,
        .memory = memory << MIB_SHIFT,
        .gpu_count = (uint8_t)gpus,
        .gpu_milli = (uint16_t)(gpus > 0 ? milli : 0),
    };
    if (reader->spec >= 0)
        pod->demand.models = read_models(pack, table->cells[reader->spec]);
    trace->pod_count++;
    return 0;
}

int trace_read_pods(struct trace *trace, struct arena *arena, struct pack *pack, const char *file,
                    struct str text, struct err *err)
{
    struct pod_reader reader = {0};
    table_init(&reader.table, file, text);
    if (need_columns(&reader.table, pod_columns, POD_COLUMNS, reader.columns, err) < 0)
        return -1;
    reader.spec = find_column(&reader.table, "gpu_spec");
    reader.duration = find_column(&reader.table, "duration");
    reader.begin = find_column(&reader.table, "scheduled_time");
    reader.end = find_column(&reader.table, "deletion_time");
    trace->pods = take_rows(arena, file, text, TRACE_PODS_MAX, sizeof(*trace->pods), err);
    if (!trace->pods)
        return -1;
    while (next_row(&reader.table)) {
        if (read_pod(trace, pack, &reader, err) < 0)
            return -1;
    }
    if (trace->pod_count == 0)
        return err_set(err, 400, "%s: no pods", file);
    return 0;
}

/* ---- Arrivals ---- */

int trace_read_arrivals(struct trace *trace, struct arena *arena, const char *file, struct str text,
                        struct err *err)
{
    struct table table = {.file = file, .rest = text};
    struct str line;
    trace->arrivals =
        take_rows(arena, file, text, TRACE_ARRIVALS_MAX, sizeof(*trace->arrivals), err);
    if (!trace->arrivals)
        return -1;
    while (next_line(&table, &line)) {
        int64_t row;
        if (!str_to_int64(line, &row) || row < 0 || (size_t)row >= trace->pod_count)
            return err_set(err, 400, "%s:%u: \"%" PRIstr "\" is no row of the pods, 0 to %zu", file,
                           table.line, STR_ARG(line), trace->pod_count - 1);
        trace->arrivals[trace->arrival_count++] = (uint32_t)row;
    }
    return 0;
}

int trace_arrive_in_order(struct trace *trace, struct arena *arena, struct err *err)
{
    trace->arrivals = ARENA_NEW_ARRAY(arena, uint32_t, trace->pod_count);
    if (!trace->arrivals)
        return err_set(err, 507, "no memory for the arrivals");
    for (size_t i = 0; i < trace->pod_count; i++)
        trace->arrivals[i] = (uint32_t)i;
    trace->arrival_count = trace->pod_count;
    return 0;
}
