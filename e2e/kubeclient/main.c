/*
 * The Kubernetes client by itself, for tests against a real API server and for measuring.
 *
 *   kubeclient call VERB RESOURCE NAMESPACE NAME [KEY=VALUE…]
 *       one call; prints outcome and status, then the answer's body, or the message of a failure.
 *       VERB: get list create update jsonpatch mergepatch apply delete. "-" for no namespace or name.
 *       KEYS: body subresource uid version grace manager force labels fields limit continue
 *   kubeclient watch RESOURCE NAMESPACE VERSION LINES
 *       prints that many lines of a watch
 *   kubeclient bench NAMESPACE COUNT
 *       creates, patches and deletes so many ConfigMaps: CPU time for each, and memory
 *
 * KUBECONFIG as kubectl's; SERVICE_ACCOUNT in place of the folder that pods have.
 */
#include "kube/client.h"
#include "kube/config.h"
#include "kube/curl.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

extern const char *malloc_conf;
const char *malloc_conf = "narenas:2,tcache_max:4096,dirty_decay_ms:1000,muzzy_decay_ms:0";

struct app {
    struct kube_config *config;
    struct kube_transport *transport;
    struct timers timers;
    struct kube_client *client;
    unsigned ended;  /* calls */
    unsigned failed; /* of them */
    bool is_quiet;   /* prints failures only */
    long lines;      /* of the watch, still to come */
};

static int complain(const char *what)
{
    fprintf(stderr, "kubeclient: %s\n", what);
    return EXIT_FAILURE;
}

/* ---- Set-up ---- */

static int open_app(struct app *app, double qps)
{
    struct err err = {0};
    struct kube_config_options options = {
        .mem = mem_system(), .clock = clock_system(), .service_account = getenv("SERVICE_ACCOUNT")};
    timers_init(&app->timers, mem_system());
    int found = kube_config_load(&options, &app->config, &err);
    if (found <= 0)
        return complain(found < 0 ? err.message : "there is no cluster");
    const struct kube_curl_config curl = kube_curl_config_of(
        app->config, mem_system(), clock_system(), STR("kubeclient/" CALLBOARD_VERSION));
    app->transport = kube_curl_new(&curl, &err);
    const struct kube_client_config client = {.transport = app->transport,
                                              .timers = &app->timers,
                                              .clock = clock_system(),
                                              .random = random_system(),
                                              .mem = mem_system(),
                                              .host = app->config->host,
                                              .qps = qps};
    app->client = app->transport ? kube_client_new(&client, &err) : NULL;
    return app->client ? EXIT_SUCCESS : complain(err.message);
}

static void close_app(struct app *app)
{
    kube_client_free(app->client);
    kube_curl_free(app->transport);
    kube_config_free(app->config);
    timers_done(&app->timers);
}

static void turn(struct app *app)
{
    app->transport->ops->wait(app->transport, timers_next_ns(&app->timers));
    timers_run(&app->timers, clock_now_ns(clock_system()));
}

static const struct kube_resource *resource_of(const char *plural)
{
    static const struct kube_resource *const all[] = {
        &kube_pods,   &kube_services, &kube_nodes,      &kube_events,
        &kube_leases, &kube_jobs,     &kube_performers, &kube_config_maps,
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (strcmp(all[i]->plural, plural) == 0)
            return all[i];
    }
    return NULL;
}

/* Absent for "-". */
static struct str argument(const char *text)
{
    return strcmp(text, "-") == 0 ? (struct str){NULL, 0} : str_from_cstr(text);
}

/* ---- One call ---- */

static void on_done(void *ctx, const struct kube_result *result)
{
    struct app *app = ctx;
    bool is_good = result->outcome == KUBE_OK;
    app->ended++;
    app->failed += !is_good;
    if (app->is_quiet && is_good)
        return;
    struct str text = is_good ? result->body : result->message;
    printf("%s %d\n%" PRIstr "\n", kube_outcome_name(result->outcome), result->status,
           STR_ARG(text));
}

static int64_t number(struct str text)
{
    int64_t value = 0;
    str_to_int64(text, &value);
    return value;
}

static bool set_key(struct kube_call *call, struct str key, struct str value)
{
    if (str_eq(key, STR("body")))
        call->body = value;
    else if (str_eq(key, STR("subresource")))
        call->subresource = value;
    else if (str_eq(key, STR("uid")))
        call->uid = value;
    else if (str_eq(key, STR("version")))
        call->resource_version = value;
    else if (str_eq(key, STR("grace")))
        call->grace_seconds = number(value);
    else if (str_eq(key, STR("manager")))
        call->field_manager = value;
    else if (str_eq(key, STR("force")))
        call->force = true;
    else if (str_eq(key, STR("labels")))
        call->label_selector = value;
    else if (str_eq(key, STR("fields")))
        call->field_selector = value;
    else if (str_eq(key, STR("limit")))
        call->limit = number(value);
    else if (str_eq(key, STR("continue")))
        call->continue_token = value;
    else
        return false;
    return true;
}

static bool read_call(char **args, struct kube_call *ret)
{
    static const char *const verbs[] = {"get",       "list",       "create", "update",
                                        "jsonpatch", "mergepatch", "apply",  "delete"};
    size_t verb = 0;
    while (verb < sizeof(verbs) / sizeof(verbs[0]) && strcmp(verbs[verb], args[0]) != 0)
        verb++;
    *ret = (struct kube_call){.verb = (enum kube_verb)verb,
                              .resource = resource_of(args[1]),
                              .namespace = argument(args[2]),
                              .name = argument(args[3]),
                              .grace_seconds = -1};
    if (verb == sizeof(verbs) / sizeof(verbs[0]) || !ret->resource)
        return false;
    for (char **arg = args + 4; *arg; arg++) {
        struct str key, value;
        str_cut(str_from_cstr(*arg), '=', &key, &value);
        if (!set_key(ret, key, value))
            return false;
    }
    return true;
}

static int run_call(char **args)
{
    struct app app = {0};
    struct kube_call call;
    struct err err;
    if (!read_call(args, &call))
        return complain("an unknown verb, resource or key");
    if (open_app(&app, 0) == EXIT_FAILURE)
        return EXIT_FAILURE;
    if (!kube_client_call(app.client, &call, on_done, &app, &err))
        return complain(err.message);
    while (app.ended == 0)
        turn(&app);
    close_app(&app);
    return app.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- Watching ---- */

static int on_watch_data(void *ctx, struct str part)
{
    struct app *app = ctx;
    fwrite(part.ptr, 1, part.len, stdout);
    fflush(stdout);
    for (size_t i = 0; i < part.len; i++)
        app->lines -= part.ptr[i] == '\n';
    return app->lines <= 0 ? -1 : 0;
}

static void on_watch_done(void *ctx, const struct kube_response *response)
{
    struct app *app = ctx;
    app->ended++;
    app->failed += app->lines > 0;
    if (app->lines > 0)
        fprintf(stderr, "kubeclient: the watch ended with %d %s\n", response->status,
                response->text ? response->text : "");
}

static int run_watch(char **args)
{
    struct app app = {.lines = atol(args[3])};
    const struct kube_resource *resource = resource_of(args[0]);
    struct err err;
    bool has_query = false;
    if (!resource || open_app(&app, 0) == EXIT_FAILURE)
        return complain("cannot watch");
    struct buf target;
    buf_init(&target, mem_system(), 4096);
    kube_path_put(&target, resource, argument(args[1]), (struct str){NULL, 0},
                  (struct str){NULL, 0});
    kube_query_put(&target, &has_query, "watch", STR("1"));
    kube_query_put(&target, &has_query, "resourceVersion", argument(args[2]));
    const struct kube_request request = {.lane = KUBE_LANE_WATCH,
                                         .method = "GET",
                                         .target = buf_str(&target),
                                         .silence_ns = 60 * CLOCK_NS_PER_SEC,
                                         .response_max = 1 << 20};
    const struct kube_receiver receiver = {on_watch_data, on_watch_done, &app};
    if (!app.transport->ops->send(app.transport, &request, &receiver, &err))
        return complain(err.message);
    buf_done(&target);
    while (app.ended == 0)
        turn(&app);
    close_app(&app);
    return app.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- Measuring ---- */

static double cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static long rss_anon_kib(void)
{
    char line[256];
    long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, "RssAnon:", 8) == 0)
            kib = strtol(line + 8, NULL, 10);
    }
    if (file)
        fclose(file);
    return kib;
}

static int measure(struct app *app, const char *what, enum kube_verb verb, const char *namespace,
                   long count)
{
    double cpu = cpu_us();
    int64_t began = clock_now_ns(clock_system());
    app->ended = 0;
    for (long i = 0; i < count; i++) {
        char name[64], body[512];
        struct err err;
        snprintf(name, sizeof(name), "bench-%ld", i);
        if (verb == KUBE_CREATE)
            snprintf(body, sizeof(body),
                     "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%s\","
                     "\"labels\":{\"app.kubernetes.io/managed-by\":\"callboard\"}},"
                     "\"data\":{\"text\":\"what a small object has to say, and a bit more\"}}",
                     name);
        else
            snprintf(body, sizeof(body), "{\"data\":{\"more\":\"%ld\"}}", i);
        const struct kube_call call = {.verb = verb,
                                       .resource = &kube_config_maps,
                                       .namespace = str_from_cstr(namespace),
                                       .name = str_from_cstr(name),
                                       .body = str_from_cstr(body),
                                       .grace_seconds = -1};
        if (!kube_client_call(app->client, &call, on_done, app, &err))
            return complain(err.message);
    }
    while ((long)app->ended < count)
        turn(app);
    double wall = (double)(clock_now_ns(clock_system()) - began) / (double)CLOCK_NS_PER_SEC;
    printf("%s_cpu %.1f us\n%s_rate %.0f 1/s\n%s_rss_anon %ld KiB\n", what,
           (cpu_us() - cpu) / (double)count, what, (double)count / wall, what, rss_anon_kib());
    return app->failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_bench(char **args)
{
    struct app app = {.is_quiet = true};
    long count = atol(args[1]);
    if (open_app(&app, -1) == EXIT_FAILURE)
        return EXIT_FAILURE;
    printf("start_rss_anon %ld KiB\n", rss_anon_kib());
    int rc = measure(&app, "create", KUBE_CREATE, args[0], count) |
             measure(&app, "patch", KUBE_PATCH_MERGE, args[0], count) |
             measure(&app, "get", KUBE_GET, args[0], count) |
             measure(&app, "delete", KUBE_DELETE, args[0], count);
    const struct timespec decay = {.tv_sec = 2};
    nanosleep(&decay, NULL);
    app.ended = 0;
    printf("end_rss_anon %ld KiB\n", rss_anon_kib());
    close_app(&app);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc >= 6 && strcmp(argv[1], "call") == 0)
        return run_call(argv + 2);
    if (argc == 6 && strcmp(argv[1], "watch") == 0)
        return run_watch(argv + 2);
    if (argc == 4 && strcmp(argv[1], "bench") == 0)
        return run_bench(argv + 2);
    return complain("call VERB RESOURCE NAMESPACE NAME [KEY=VALUE…] | watch RESOURCE NAMESPACE "
                    "VERSION LINES | bench NAMESPACE COUNT");
}
