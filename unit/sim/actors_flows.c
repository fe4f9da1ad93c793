/* Users of flows: they make them in many shapes, suspend, approve, replace, edit and delete them, change the
 * ConfigMap that steps read, and lay hands on Jobs and Performers of steps. */
#include "unit/sim/actors.h"
#include "unit/sim/tree.h"

enum { PATH_MAX_LEN = 512, STEPS_MAX = 6, NAMES = 12 };

/* A ConfigMap. */
#define INPUTS "inputs"

static const char *const namespaces[] = {"blue", "green"};

static const struct sim_object *pick(struct sim_actors *actors,
                                     const struct kube_resource *resource)
{
    const struct sim_shelf *all = sim_store_shelf(&actors->world->server.store, resource);
    return all->count > 0 ? all->objects[random_below(actors->world->random, all->count)] : NULL;
}

static int ask_about(struct sim_actors *actors, const char *method, const struct sim_object *object,
                     const char *body)
{
    char path[PATH_MAX_LEN];
    struct str target = sim_path(object, NULL, path, sizeof(path));
    int status = sim_ask(actors->world, method, target, "%s", body);
    sim_tracef(actors->world, "user: %s %s: %d %.160s", method, path, status, body);
    return status;
}

static const char *choose(struct sim_actors *actors, const char *const *texts, size_t count)
{
    return texts[random_below(actors->world->random, count)];
}

#define CHOOSE(actors, ...)                            \
    choose(actors, (const char *const[]){__VA_ARGS__}, \
           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* ---- Making a flow ---- */

/* Each earlier step with a chance of one in three; how many there were. */
static int put_dependencies(struct sim_actors *actors, struct buf *out, const char *prefix,
                            int before)
{
    int count = 0;
    buf_put(out, STR(",\"dependencies\":["));
    for (int i = 0; i < before; i++) {
        if (sim_chance(actors->world, 350))
            buf_printf(out, "%s\"%s%d\"", count++ ? "," : "", prefix, i);
    }
    buf_put(out, STR("]"));
    return count;
}

/* About the step before, when it is a dependency: here all are, in a chain. */
static void put_condition(struct sim_actors *actors, struct buf *out, const char *prefix, int other)
{
    if (other >= 0 && sim_chance(actors->world, 500))
        buf_printf(out, ",\"when\":\"steps.%s%d.phase == '%s'\"", prefix, other,
                   CHOOSE(actors, "Succeeded", "Failed", "Skipped"));
    else
        buf_printf(out, ",\"when\":\"%s\"", CHOOSE(actors, "always", "never"));
}

/* Pods one after the other or side by side, which end or are started again where they are. */
static void put_job(struct sim_actors *actors, struct buf *out, bool has_inputs)
{
    struct sim_world *world = actors->world;
    const char *image = CHOOSE(actors, "registry.example/app:v1", "registry.example/app:v1",
                               "registry.example/app:v1", "registry.example/app:v2",
                               SIM_FAILING_IMAGE, SIM_FINAL_IMAGE);
    buf_printf(out, ",\"template\":{\"spec\":{\"backoffLimit\":%d,", (int)sim_between(world, 0, 1));
    if (sim_chance(world, 200))
        buf_printf(out, "\"completions\":%d,\"parallelism\":%d,", (int)sim_between(world, 1, 3),
                   (int)sim_between(world, 1, 2));
    buf_printf(out,
               "\"template\":{\"spec\":{\"restartPolicy\":\"%s\",\"containers\":[{\"name\":"
               "\"main\",\"image\":\"%s\",\"args\":[\"{{parameters.p}}\"%s],\"env\":[{\"name\":"
               "\"TOKEN\",\"value\":\"%s\"}]}]}}}}",
               sim_chance(world, 200) ? "OnFailure" : "Never", image,
               has_inputs ? ",\"{{parameters.q}}\",\"$(PASSWORD)\"" : "", SIM_CANARY);
}

static void put_performer(struct sim_actors *actors, struct buf *out)
{
    buf_printf(out,
               ",\"type\":\"Performer\",\"template\":{\"spec\":{\"avsAddress\":\"0x1\",\"image\":"
               "\"%s\",\"config\":{\"environment\":{\"TOKEN\":\"%s\"}}}}",
               CHOOSE(actors, "registry.example/app:v1", "registry.example/app:v2", SIM_BAD_IMAGE),
               SIM_CANARY);
}

static void put_dependence(struct sim_actors *actors, struct buf *out, const char *prefix,
                           int index)
{
    if (index > 0 && sim_chance(actors->world, 300)) {
        buf_printf(out, ",\"dependencies\":[\"%s%d\"]", prefix, index - 1);
        if (sim_chance(actors->world, 500))
            put_condition(actors, out, prefix, index - 1);
    } else if (put_dependencies(actors, out, prefix, index) == 0 && sim_chance(actors->world, 50)) {
        put_condition(actors, out, prefix, -1);
    }
}

/* One from a ConfigMap that may not be there, one that only its container sees. */
static void put_inputs(struct buf *out)
{
    buf_put(out, STR(",\"inputs\":{\"parameters\":[{\"name\":\"q\",\"valueFrom\":{"
                     "\"configMapKeyRef\":{\"name\":\"" INPUTS "\",\"key\":\"q\"}}},{\"name\":"
                     "\"PASSWORD\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"s\",\"key\":"
                     "\"k\"}}}]}"));
}

static void put_limits(struct sim_actors *actors, struct buf *out)
{
    struct sim_world *world = actors->world;
    if (sim_chance(world, 400))
        buf_printf(out,
                   ",\"retryPolicy\":{\"limit\":%d,\"backoff\":{\"type\":\"%s\",\"duration\":"
                   "\"%ds\"}}",
                   (int)sim_between(world, 0, 2), CHOOSE(actors, "Exponential", "Linear", "Fixed"),
                   (int)sim_between(world, 1, 15));
    if (sim_chance(world, 150))
        buf_printf(out, ",\"timeoutSeconds\":%d", (int)sim_between(world, 5, 60));
}

static void put_step(struct sim_actors *actors, struct buf *out, const char *prefix, int index)
{
    struct sim_world *world = actors->world;
    bool is_manual = prefix[0] != 'f' && sim_chance(world, actors->manual);
    bool is_performer = !is_manual && sim_chance(world, actors->performers);
    bool has_inputs = !is_manual && !is_performer && sim_chance(world, 150);
    buf_printf(out, "%s{\"name\":\"%s%d\"", index ? "," : "", prefix, index);
    put_dependence(actors, out, prefix, index);
    if (sim_chance(world, 250))
        buf_put(out, STR(",\"continueOnFailure\":true"));
    if (is_manual) {
        buf_put(out, STR(",\"type\":\"Manual\",\"message\":\"go?\"}"));
        return;
    }
    put_limits(actors, out);
    if (has_inputs)
        put_inputs(out);
    if (is_performer) {
        put_performer(actors, out);
    } else {
        if (sim_chance(world, 300))
            buf_printf(out,
                       ",\"outputs\":{\"parameters\":[{\"name\":\"rows\",\"valueFrom\":{"
                       "\"jsonPath\":\"%s\"}}]}",
                       CHOOSE(actors, "$.terminationMessage.rows", "$.status.succeeded"));
        put_job(actors, out, has_inputs);
    }
    buf_put(out, STR("}"));
}

static void put_policy(struct sim_actors *actors, struct buf *out)
{
    struct sim_world *world = actors->world;
    buf_printf(out, "\"executionPolicy\":{\"concurrencyPolicy\":\"%s\",\"priority\":\"%s\"",
               CHOOSE(actors, "Allow", "Allow", "Forbid", "Replace"),
               CHOOSE(actors, "high", "normal", "low"));
    if (sim_chance(world, 300))
        buf_printf(out, ",\"concurrencyGroup\":\"group-%d\"", (int)sim_between(world, 0, 1));
    if (sim_chance(world, 400))
        buf_printf(out, ",\"parallelism\":%d", (int)sim_between(world, 1, 2));
    if (sim_chance(world, 300))
        buf_printf(out, ",\"backoffLimit\":%d", (int)sim_between(world, 0, 2));
    if (sim_chance(world, 300))
        buf_printf(out, ",\"ttlSecondsAfterFinished\":%d", (int)sim_between(world, 0, 120));
    if (sim_chance(world, 100))
        buf_printf(out, ",\"activeDeadlineSeconds\":%d", (int)sim_between(world, 20, 300));
    if (sim_chance(world, 100))
        buf_put(out, STR(",\"suspend\":true"));
    if (sim_chance(world, 300))
        buf_put(out, STR(",\"podFailurePolicy\":{\"rules\":[{\"action\":\"FailJob\","
                         "\"onExitCodes\":{\"operator\":\"In\",\"values\":[42]}},{\"action\":"
                         "\"Ignore\",\"onExitCodes\":{\"operator\":\"In\",\"values\":[137]}}]}"));
    buf_put(out, STR("},"));
}

static void put_steps(struct sim_actors *actors, struct buf *out, const char *list,
                      const char *prefix, int count)
{
    buf_printf(out, "\"%s\":[", list);
    for (int i = 0; i < count; i++)
        put_step(actors, out, prefix, i);
    buf_put(out, STR("]"));
}

static void make_flow(struct sim_actors *actors)
{
    struct sim_world *world = actors->world;
    const char *namespace = choose(actors, namespaces, 2);
    int name = (int)sim_between(world, 0, NAMES - 1);
    char path[PATH_MAX_LEN];
    struct buf out;
    if (actors->flows_made == SIM_FLOWS_TO_MAKE)
        return;
    buf_init(&out, mem_system(), 1 << 20);
    put_policy(actors, &out);
    if (sim_chance(world, 250))
        buf_printf(&out,
                   "\"resourceTemplates\":{\"configMapTemplates\":[{\"metadata\":{\"name\":"
                   "\"conf-%d\"},\"data\":{\"a\":\"b\"}}]},",
                   name);
    buf_put(&out, STR("\"parameters\":[{\"name\":\"p\",\"value\":\"v\"}],"));
    put_steps(actors, &out, "steps", "s", (int)sim_between(world, 1, STEPS_MAX));
    if (sim_chance(world, 300)) {
        buf_put(&out, STR(","));
        put_steps(actors, &out, "finally", "f", (int)sim_between(world, 1, 2));
    }
    snprintf(path, sizeof(path), "/apis/workflow.kube-zen.io/v1alpha1/namespaces/%s/jobflows",
             namespace);
    int status = sim_ask(world, "POST", str_from_cstr(path),
                         "{\"apiVersion\":\"workflow.kube-zen.io/v1alpha1\",\"kind\":\"JobFlow\","
                         "\"metadata\":{\"name\":\"flow-%d\"},\"spec\":{%" PRIstr "}}",
                         name, STR_ARG(buf_str(&out)));
    sim_tracef(world, "user makes %s/flow-%d: %d %.200s", namespace, name, status, out.ptr);
    sim_require(status == 201 || status == 409);
    actors->flows_made += status == 201;
    buf_done(&out);
}

/* ---- What becomes of it ---- */

static void edit_flow(struct sim_actors *actors)
{
    const struct sim_object *flow = pick(actors, &kube_jobflows);
    int64_t n = sim_between(actors->world, 1, 120);
    char body[256];
    if (!flow)
        return;
    switch (random_below(actors->world->random, 6)) {
    case 0:
        snprintf(body, sizeof(body),
                 "{\"spec\":{\"executionPolicy\":{\"suspend\":true,\"suspendMode\":\"%s\"}}}",
                 n % 2 ? "Drain" : "Kill");
        break;
    case 1:
    case 2:
        snprintf(body, sizeof(body), "{\"spec\":{\"executionPolicy\":{\"suspend\":false}}}");
        break;
    case 3:
        snprintf(body, sizeof(body), "{\"spec\":{\"executionPolicy\":{\"parallelism\":%lld}}}",
                 (long long)(1 + n % 3));
        break;
    case 4:
        snprintf(body, sizeof(body),
                 "{\"spec\":{\"executionPolicy\":{\"ttlSecondsAfterFinished\":%lld}}}",
                 (long long)n);
        break;
    default:
        snprintf(body, sizeof(body), "{\"metadata\":{\"annotations\":{\"note\":\"n%lld\"}}}",
                 (long long)n);
    }
    ask_about(actors, "PATCH", flow, body);
}

static bool is_decided(const struct sim_object *flow, struct str step)
{
    char key[96];
    snprintf(key, sizeof(key), "approve.workflow.kube-zen.io/%" PRIstr, STR_ARG(step));
    return str_is_set(kube_map_get(flow->meta.annotations, str_from_cstr(key)));
}

/* Decides about a step that waits for it. */
static void decide(struct sim_actors *actors, const struct sim_object *flow)
{
    JSON_EACH (step, kube_at(flow->tree, "status", "steps", NULL)) {
        char body[256];
        struct str name = kube_text_at(step, "name", NULL);
        if (!str_eq(kube_text_at(step, "phase", NULL), STR("PendingApproval")) ||
            is_decided(flow, name))
            continue;
        snprintf(body, sizeof(body),
                 "{\"metadata\":{\"annotations\":{\"approve.workflow.kube-zen.io/%" PRIstr
                 "\":\"%s\"}}}",
                 STR_ARG(name), sim_chance(actors->world, 750) ? "true" : "false");
        ask_about(actors, "PATCH", flow, body);
        return; /* `flow` is an old version now */
    }
}

static void delete_flow(struct sim_actors *actors)
{
    const struct sim_object *flow = pick(actors, &kube_jobflows);
    char body[128];
    if (!flow)
        return;
    snprintf(body, sizeof(body), "{\"kind\":\"DeleteOptions\",\"propagationPolicy\":\"%s\"}",
             CHOOSE(actors, "Background", "Background", "Foreground"));
    ask_about(actors, "DELETE", flow, body);
}

/* Somebody's Job in the place of one of ours that he has deleted, or just deleted. */
static void meddle(struct sim_actors *actors)
{
    const struct sim_object *job = pick(actors, &kube_jobs);
    char path[PATH_MAX_LEN], name[128];
    if (!job)
        return;
    if (sim_chance(actors->world, 300)) {
        ask_about(actors, "PATCH", job, "{\"metadata\":{\"annotations\":{\"note\":\"mine\"}}}");
        return;
    }
    snprintf(name, sizeof(name), "%" PRIstr, STR_ARG(job->meta.name));
    snprintf(path, sizeof(path), "/apis/batch/v1/namespaces/%" PRIstr "/jobs",
             STR_ARG(job->meta.namespace));
    ask_about(actors, "DELETE", job, "{\"propagationPolicy\":\"Background\"}");
    if (sim_chance(actors->world, 700))
        return;
    int status = sim_ask(actors->world, "POST", str_from_cstr(path),
                         "{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":"
                         "\"%s\",\"labels\":{\"stranger\":\"yes\"}},\"spec\":{\"template\":{"
                         "\"spec\":{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"c\","
                         "\"image\":\"registry.example/other:1\"}]}}}}",
                         name);
    sim_tracef(actors->world, "stranger makes Job %s: %d", name, status);
}

/* The Performer of a step goes, or is let be. */
static void meddle_with_performer(struct sim_actors *actors)
{
    const struct sim_object *performer = pick(actors, &kube_performers);
    if (performer && sim_chance(actors->world, 500))
        ask_about(actors, "DELETE", performer, "");
    else if (performer)
        ask_about(actors, "PATCH", performer, "{\"spec\":{\"version\":\"v2\"}}");
}

/* It comes, changes, and goes. */
static void change_inputs(struct sim_actors *actors)
{
    const char *namespace = choose(actors, namespaces, 2);
    char path[PATH_MAX_LEN];
    const struct sim_object *inputs = sim_store_get(&actors->world->server.store, &kube_config_maps,
                                                    str_from_cstr(namespace), STR(INPUTS));
    if (inputs) {
        ask_about(actors, sim_chance(actors->world, 200) ? "DELETE" : "PATCH", inputs,
                  "{\"data\":{\"q\":\"changed\"}}");
        return;
    }
    snprintf(path, sizeof(path), "/api/v1/namespaces/%s/configmaps", namespace);
    int status = sim_ask(actors->world, "POST", str_from_cstr(path),
                         "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":"
                         "\"" INPUTS "\"},\"data\":{\"q\":\"new\"}}");
    sim_tracef(actors->world, "user makes %s/" INPUTS ": %d", namespace, status);
}

/* In the calm: what only people end. */
static void rest(struct sim_actors *actors)
{
    const struct sim_shelf *flows = sim_store_shelf(&actors->world->server.store, &kube_jobflows);
    for (size_t i = 0; i < flows->count; i++) {
        const struct sim_object *flow = flows->objects[i];
        if (kube_bool_at(flow->tree, "spec", "executionPolicy", "suspend", NULL))
            ask_about(actors, "PATCH", flow,
                      "{\"spec\":{\"executionPolicy\":{\"suspend\":false}}}");
        else
            decide(actors, flow);
    }
}

void sim_flow_user_act(struct sim_actors *actors)
{
    struct sim_world *world = actors->world;
    const struct sim_object *flow;
    if (actors->is_calm)
        rest(actors);
    else if (sim_chance(world, actors->meddling / 4))
        (sim_chance(world, 750) ? meddle : meddle_with_performer)(actors);
    else if (sim_chance(world, 100))
        change_inputs(actors);
    else if (sim_chance(world, 450))
        make_flow(actors);
    else if (sim_chance(world, 450))
        edit_flow(actors);
    else if (sim_chance(world, 750)) {
        if ((flow = pick(actors, &kube_jobflows)))
            decide(actors, flow);
    } else {
        delete_flow(actors);
    }
}
