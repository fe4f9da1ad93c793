/* What every program tells about itself; the names are those of Prometheus' own client libraries
 * (https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics). */
#include "base/metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct process {
    const char *proc;
    double start_seconds; /* since 1970; 0 when unknown */
};

static void collect_version(void *ctx, struct metrics_scrape *scrape)
{
    metrics_sample(scrape, METRICS_VALUES(str_from_cstr(ctx)), 1);
}

void metrics_add_build_info(struct metrics *metrics, const char *version)
{
    metrics_collector(metrics, METRICS_GAUGE, "callboard_build_info",
                      "Always 1; the labels tell what was built.", METRICS_LABELS("version"), 1,
                      collect_version, (char *)version);
}

/* The start of a file of /proc, NUL-terminated; empty when it cannot be read. */
static void read_proc(const struct process *process, const char *name, char *to, size_t size)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", process->proc, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, to, size - 1);
    to[len > 0 ? len : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

/* Fields of /proc/PID/statm, in pages. */
static void collect_pages(const struct process *process, struct metrics_scrape *scrape, int field)
{
    char text[128];
    unsigned long long pages[2];
    read_proc(process, "statm", text, sizeof(text));
    if (sscanf(text, "%llu %llu", &pages[0], &pages[1]) == 2)
        metrics_sample(scrape, METRICS_NO_VALUES,
                       (double)pages[field] * (double)sysconf(_SC_PAGESIZE));
}

static void collect_virtual_memory(void *ctx, struct metrics_scrape *scrape)
{
    collect_pages(ctx, scrape, 0);
}

static void collect_resident_memory(void *ctx, struct metrics_scrape *scrape)
{
    collect_pages(ctx, scrape, 1);
}

static double seconds_of(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void collect_cpu(void *ctx, struct metrics_scrape *scrape)
{
    (void)ctx;
    metrics_sample(scrape, METRICS_NO_VALUES, seconds_of(CLOCK_PROCESS_CPUTIME_ID));
}

static void collect_open_fds(void *ctx, struct metrics_scrape *scrape)
{
    const struct process *process = ctx;
    char path[256];
    snprintf(path, sizeof(path), "%s/fd", process->proc);
    DIR *dir = opendir(path);
    if (!dir)
        return;
    int count = -1; /* the one that reads the folder */
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        count += entry->d_name[0] != '.';
    closedir(dir);
    metrics_sample(scrape, METRICS_NO_VALUES, count);
}

static void collect_max_fds(void *ctx, struct metrics_scrape *scrape)
{
    (void)ctx;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        metrics_sample(scrape, METRICS_NO_VALUES, (double)limit.rlim_cur);
}

static void collect_start(void *ctx, struct metrics_scrape *scrape)
{
    const struct process *process = ctx;
    if (process->start_seconds > 0)
        metrics_sample(scrape, METRICS_NO_VALUES, process->start_seconds);
}

/* Field 22 of /proc/PID/stat is the start in ticks after the boot. The second field, the name of
 * the program in parentheses, may contain anything, parentheses and blanks too. */
static double find_start(const struct process *process, const struct clock *clock)
{
    char text[1024];
    read_proc(process, "stat", text, sizeof(text));
    const char *after_name = strrchr(text, ')');
    unsigned long long ticks;
    if (!after_name || sscanf(after_name + 1,
                              " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                              "%*s %*s %*s %llu",
                              &ticks) != 1)
        return 0;
    double age = seconds_of(CLOCK_BOOTTIME) - (double)ticks / (double)sysconf(_SC_CLK_TCK);
    return (double)clock_wall_ns(clock) / (double)CLOCK_NS_PER_SEC - age;
}

void metrics_add_process(struct metrics *metrics, const char *proc, const struct clock *clock)
{
    static const struct {
        enum metrics_kind kind;
        const char *name;
        const char *help;
        void (*collect)(void *ctx, struct metrics_scrape *scrape);
    } rows[] = {
        {METRICS_COUNTER, "process_cpu_seconds_total", "User and system CPU time, in seconds.",
         collect_cpu},
        {METRICS_GAUGE, "process_open_fds", "Open file descriptors.", collect_open_fds},
        {METRICS_GAUGE, "process_max_fds", "The most file descriptors that may be open.",
         collect_max_fds},
        {METRICS_GAUGE, "process_virtual_memory_bytes", "Virtual memory, in bytes.",
         collect_virtual_memory},
        {METRICS_GAUGE, "process_resident_memory_bytes", "Resident memory, in bytes.",
         collect_resident_memory},
        {METRICS_GAUGE, "process_start_time_seconds",
         "When the process started, in seconds since 1970.", collect_start},
    };
    struct process *process = ARENA_NEW(&metrics->arena, struct process);
    if (!process) {
        metrics_fail_memory(metrics, "process metrics");
        return;
    }
    process->proc = proc;
    process->start_seconds = find_start(process, clock);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        metrics_collector(metrics, rows[i].kind, rows[i].name, rows[i].help, METRICS_NO_LABELS, 1,
                          rows[i].collect, process);
}
