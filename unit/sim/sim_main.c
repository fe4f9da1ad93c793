/*
 * The simulator: runs seeds, prints TAP.
 *
 *   sim [--target NAME] [--seeds N] [--from SEED] [--jobs N] [--failures N] [--planted]
 *                                             many seeds, in several processes, until N have failed; with
 *                                             --planted also each planted bug, which a few seeds must find
 *   sim --seed SEED [--target NAME] [--plant NAME] [--trace]
 *                                             one seed, its faults and its figures
 */
#include "unit/sim/sim.h"

#include "unit/sim/tree.h"

#include <errno.h>
#include <getopt.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct sim_target *const targets[] = {&sim_target_controller, &sim_target_flow,
                                                   &sim_target_lease, &sim_target_reflector};
enum {
    TARGETS = sizeof(targets) / sizeof(targets[0]),
    JOBS_MAX = 64,
    PLANTED_SEEDS_MAX = 50, /* find a planted bug, or the checkers are too weak */
};

static const char *const plant_names[SIM_PLANTS] = {"none",  "finalizer", "fence", "old-leader",
                                                    "early", "twice",     "ttl"};

struct options {
    const struct sim_target *target; /* NULL: all */
    uint64_t seeds;
    uint64_t from;
    uint64_t failures; /* after so many it ends */
    unsigned jobs;
    bool is_single;
    bool is_shown;
    bool finds_planted;
    enum sim_plant plant;
};

/* What several processes have found, in memory that they share. */
struct totals {
    uint64_t next; /* seed */
    uint64_t done;
    uint64_t failed;
    uint64_t first_failed; /* the lowest seed, and why */
    char first_why[1200];
    uint64_t running[JOBS_MAX]; /* what each worker has in hand: it may crash */
    uint64_t faults[SIM_FAULTS];
    uint64_t requests, writes, starts;
    int64_t simulated_ns, settled_peak_ns;
};

/* ---- One seed ---- */

static void print_faults(const uint64_t counts[SIM_FAULTS])
{
    printf("# faults:");
    for (size_t i = 0; i < SIM_FAULTS; i++)
        printf("%s %s %llu", i ? "," : "", sim_fault_names[i], (unsigned long long)counts[i]);
    printf("\n");
}

static int run_one(const struct options *options, const struct sim_target *target)
{
    struct sim_config config = {.target = target,
                                .seed = options->from,
                                .plant = options->plant,
                                .is_shown = options->is_shown};
    struct sim_result result;
    sim_run_traced(&config, &result, options->is_shown ? NULL : stdout);
    print_faults(result.fault_counts);
    printf("# %s seed %llu: trace %016llx, %lld s simulated, %llu requests, %llu writes, %llu "
           "starts\n",
           target->name, (unsigned long long)config.seed, (unsigned long long)result.trace_hash,
           (long long)(result.simulated_ns / SIM_SEC), (unsigned long long)result.requests,
           (unsigned long long)result.writes, (unsigned long long)result.starts);
    if (result.checker)
        printf("# %s: %s\n", result.checker, result.violation);
    printf("%s - simulator %s seed %llu\n", result.checker ? "not ok" : "ok", target->name,
           (unsigned long long)config.seed);
    return result.checker ? 1 : 0;
}

/* ---- Many ---- */

static void note_failure(struct totals *totals, uint64_t seed, const char *checker,
                         const char *violation)
{
    if (totals->failed++ == 0 || seed < totals->first_failed) {
        totals->first_failed = seed;
        snprintf(totals->first_why, sizeof(totals->first_why), "%s: %s", checker, violation);
    }
    printf("# seed %llu violates \"%s\": %s\n", (unsigned long long)seed, checker, violation);
    fflush(stdout);
}

static void add(struct totals *totals, const struct sim_result *result, uint64_t seed)
{
    __atomic_add_fetch(&totals->done, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->requests, result->requests, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->writes, result->writes, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->starts, result->starts, __ATOMIC_RELAXED);
    __atomic_add_fetch(&totals->simulated_ns, result->simulated_ns, __ATOMIC_RELAXED);
    for (size_t i = 0; i < SIM_FAULTS; i++)
        __atomic_add_fetch(&totals->faults[i], result->fault_counts[i], __ATOMIC_RELAXED);
    /* Figures for people: a lost update among several processes does no harm. */
    if (result->settled_ns > totals->settled_peak_ns)
        totals->settled_peak_ns = result->settled_ns;
    if (!result->checker)
        return;
    note_failure(totals, seed, result->checker, result->violation);
}

static void work(struct totals *totals, const struct options *options,
                 const struct sim_target *target, uint64_t *running)
{
    for (;;) {
        uint64_t seed = __atomic_fetch_add(&totals->next, 1, __ATOMIC_RELAXED);
        if (seed >= options->from + options->seeds || totals->failed >= options->failures)
            return;
        *running = seed;
        struct sim_config config = {.target = target, .seed = seed, .plant = options->plant};
        struct sim_result result;
        sim_run(&config, &result);
        add(totals, &result, seed);
    }
}

static struct totals *share_totals(uint64_t from)
{
    struct totals *totals =
        mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sim_require(totals != MAP_FAILED);
    totals->next = from;
    return totals;
}

/* What becomes of a worker; a crash is its seed's failure. */
static void await_worker(struct totals *totals, pid_t child, uint64_t seed)
{
    int status = 0;
    bool is_over = waitpid(child, &status, 0) == child;
    sim_require(is_over);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        note_failure(totals, seed, "crash", WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "");
}

static void run_workers(struct totals *totals, const struct options *options,
                        const struct sim_target *target)
{
    pid_t children[JOBS_MAX];
    fflush(stdout);
    for (unsigned i = 0; i < options->jobs; i++) {
        children[i] = fork();
        sim_require(children[i] >= 0);
        if (children[i] == 0) {
            work(totals, options, target, &totals->running[i]);
            fflush(stdout);
            _exit(0);
        }
    }
    for (unsigned i = 0; i < options->jobs; i++)
        await_worker(totals, children[i], totals->running[i]);
}

static int run_many(const struct options *options, const struct sim_target *target)
{
    struct totals *totals = share_totals(options->from);
    run_workers(totals, options, target);
    print_faults(totals->faults);
    printf("# %s: %llu seeds, %lld h simulated, %llu requests, %llu writes, %llu starts of "
           "processes, settled at most %lld s after the faults\n",
           target->name, (unsigned long long)totals->done,
           (long long)(totals->simulated_ns / SIM_SEC / 3600), (unsigned long long)totals->requests,
           (unsigned long long)totals->writes, (unsigned long long)totals->starts,
           (long long)(totals->settled_peak_ns / SIM_SEC));
    bool is_good = totals->failed == 0 && totals->done == options->seeds;
    printf("%s - simulator %s: seeds %llu to %llu\n", is_good ? "ok" : "not ok", target->name,
           (unsigned long long)options->from,
           (unsigned long long)(options->from + options->seeds - 1));
    if (totals->failed > 0)
        printf("# %s\n# replay it: make sim SEED=%llu TARGET=%s\n", totals->first_why,
               (unsigned long long)totals->first_failed, target->name);
    munmap(totals, sizeof(*totals));
    return is_good ? 0 : 1;
}

/* The same seed does the same, to the byte; or a failure could not be replayed. */
static int run_twice(const struct options *options, const struct sim_target *target)
{
    struct sim_config config = {.target = target, .seed = options->from, .plant = options->plant};
    struct sim_result first, second;
    sim_run(&config, &first);
    sim_run(&config, &second);
    bool is_same = first.trace_hash == second.trace_hash && first.requests == second.requests;
    printf("%s - simulator %s: seed %llu does the same twice\n", is_same ? "ok" : "not ok",
           target->name, (unsigned long long)config.seed);
    return is_same ? 0 : 1;
}

/* ---- Planted bugs ---- */

static int find_planted(const struct options *options)
{
    int failed = 0;
    for (int plant = 1; plant < SIM_PLANTS; plant++) {
        struct sim_result result = {0};
        uint64_t seed = options->from;
        for (; seed < options->from + PLANTED_SEEDS_MAX && !result.checker; seed++) {
            struct sim_config config = {
                .target = plant < SIM_PLANT_EARLY ? &sim_target_controller : &sim_target_flow,
                .seed = seed,
                .plant = (enum sim_plant)plant};
            sim_run(&config, &result);
        }
        printf("%s - planted bug %s: ", result.checker ? "ok" : "not ok", plant_names[plant]);
        if (result.checker)
            printf("found by \"%s\" after %llu seeds\n", result.checker,
                   (unsigned long long)(seed - options->from));
        else
            printf("not found by %d seeds\n", PLANTED_SEEDS_MAX);
        if (result.checker)
            printf("# %s\n", result.violation);
        fflush(stdout);
        failed |= !result.checker;
    }
    return failed;
}

/* ---- Options ---- */

static const struct sim_target *find_target(const char *name)
{
    for (size_t i = 0; i < TARGETS; i++) {
        if (strcmp(name, targets[i]->name) == 0)
            return targets[i];
    }
    fprintf(stderr, "sim: no target \"%s\": controller, flow, lease or reflector\n", name);
    exit(2);
}

static enum sim_plant find_plant(const char *name)
{
    for (int i = 0; i < SIM_PLANTS; i++) {
        if (strcmp(name, plant_names[i]) == 0)
            return (enum sim_plant)i;
    }
    fprintf(stderr,
            "sim: no planted bug \"%s\": finalizer, fence, old-leader, early, twice or ttl\n",
            name);
    exit(2);
}

static uint64_t read_number(const char *text)
{
    int64_t number = 0;
    if (!str_to_int64(str_from_cstr(text), &number) || number < 0) {
        fprintf(stderr, "sim: \"%s\" is no number\n", text);
        exit(2);
    }
    return (uint64_t)number;
}

static void read_options(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {
        {"target", required_argument, NULL, 't'},   {"seeds", required_argument, NULL, 'n'},
        {"from", required_argument, NULL, 'f'},     {"jobs", required_argument, NULL, 'j'},
        {"seed", required_argument, NULL, 's'},     {"plant", required_argument, NULL, 'p'},
        {"failures", required_argument, NULL, 'm'}, {"trace", no_argument, NULL, 'v'},
        {"planted", no_argument, NULL, 'b'},        {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 't':
            options->target = find_target(optarg);
            break;
        case 'n':
            options->seeds = read_number(optarg);
            break;
        case 'f':
            options->from = read_number(optarg);
            break;
        case 'j':
            options->jobs = (unsigned)read_number(optarg);
            break;
        case 's':
            options->from = read_number(optarg);
            options->is_single = true;
            break;
        case 'p':
            options->plant = find_plant(optarg);
            break;
        case 'm':
            options->failures = read_number(optarg);
            break;
        case 'v':
            options->is_shown = true;
            break;
        case 'b':
            options->finds_planted = true;
            break;
        default:
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    struct options options = {.seeds = 100, .from = 1, .failures = 10};
    int result = 0;
    read_options(argc, argv, &options);
    if (options.jobs == 0)
        options.jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    if (options.jobs > JOBS_MAX)
        options.jobs = JOBS_MAX;
    if (options.is_single)
        return run_one(&options, options.target ? options.target : targets[0]);
    for (size_t i = 0; i < TARGETS; i++) {
        if (!options.target || options.target == targets[i])
            result |= run_many(&options, targets[i]) | run_twice(&options, targets[i]);
    }
    if (options.finds_planted)
        result |= find_planted(&options);
    return result;
}
