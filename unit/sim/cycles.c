/* Many objects, one after the other. */
#include "unit/sim/cycles.h"
#include "unit/sim/tree.h"

enum { AT_ONCE = 50, NAME_MAX_LEN = 32, PATH_MAX_LEN = 512, STEPS = 6 };

#define FLOWS "/apis/workflow.kube-zen.io/v1alpha1/namespaces/blue/jobflows"
#define JOBS  "/apis/batch/v1/namespaces/blue/jobs"

#define JOB_SPEC                                                             \
    "{\"template\":{\"spec\":{\"restartPolicy\":\"Never\",\"containers\":[{" \
    "\"name\":\"main\",\"image\":\"registry.example/app:v1\"}]}}}"
#define TEMPLATE "\"template\":{\"spec\":" JOB_SPEC "}"

struct sim_cycle {
    const struct kube_resource *resource;
    const char *phase; /* its end */
    void (*make)(struct sim_world *world, struct sim_actors *actors, const char *name);
};

static void post(struct sim_world *world, struct str path, const char *body)
{
    int status = sim_ask(world, "POST", path, "%s", body);
    sim_require(status == 201);
}

/* ---- One after the other ---- */

static void make_performer(struct sim_world *world, struct sim_actors *actors, const char *name)
{
    (void)world;
    sim_user_create(actors, "blue", name, "registry.example/app:v1", "Recreate");
}

/* Two steps side by side, of which one gives a value, and one that takes it. */
static void make_flow(struct sim_world *world, struct sim_actors *actors, const char *name)
{
    char body[2048];
    (void)actors;
    snprintf(body, sizeof(body),
             "{\"apiVersion\":\"workflow.kube-zen.io/v1alpha1\",\"kind\":\"JobFlow\",\"metadata\":{"
             "\"name\":\"%s\"},\"spec\":{\"steps\":["
             "{\"name\":\"count\",\"outputs\":{\"parameters\":[{\"name\":\"rows\",\"valueFrom\":{"
             "\"jsonPath\":\"$.terminationMessage.rows\"}}]}," TEMPLATE "},"
             "{\"name\":\"fetch\"," TEMPLATE "},"
             "{\"name\":\"load\",\"dependencies\":[\"count\",\"fetch\"],"
             "\"when\":\"steps.count.outputs.rows >= 0\"," TEMPLATE "}]}}",
             name);
    post(world, STR(FLOWS), body);
}

const struct sim_cycle sim_performer_cycle = {&kube_performers, "Running", make_performer};
const struct sim_cycle sim_flow_cycle = {&kube_jobflows, "Succeeded", make_flow};

static void delete_ended(struct sim_cycles *cycles, const struct sim_object *object)
{
    char path[PATH_MAX_LEN];
    struct str phase = kube_text_at(object->tree, "status", "phase", NULL);
    if (str_eq_cstr(phase, cycles->kind->phase) && !str_is_set(object->meta.deletion_timestamp))
        sim_ask(cycles->actors->world, "DELETE", sim_path(object, NULL, path, sizeof(path)), "%s",
                "");
}

static void report(struct sim_cycles *cycles, uint64_t done)
{
    uint64_t tenth = cycles->wanted / 10 ? cycles->wanted / 10 : 1;
    if (done / tenth > cycles->done / tenth) {
        printf("cycles %llu\n", (unsigned long long)(done / tenth * tenth));
        fflush(stdout);
    }
    cycles->done = done;
}

void sim_cycles_act(struct sim_cycles *cycles)
{
    struct sim_world *world = cycles->actors->world;
    const struct sim_shelf *objects = sim_store_shelf(&world->server.store, cycles->kind->resource);
    for (size_t i = objects->count; i-- > 0;)
        delete_ended(cycles, objects->objects[i]);
    report(cycles, cycles->begun - objects->count);
    while (objects->count < AT_ONCE && cycles->begun < cycles->wanted) {
        char name[NAME_MAX_LEN];
        snprintf(name, sizeof(name), "p%llu", (unsigned long long)cycles->begun++);
        cycles->kind->make(world, cycles->actors, name);
    }
}

/* ---- From before ---- */

static void patch_status(struct sim_world *world, const char *collection, const char *name,
                         const char *status)
{
    char path[PATH_MAX_LEN];
    snprintf(path, sizeof(path), "%s/%s/status", collection, name);
    int code = sim_ask(world, "PATCH", str_from_cstr(path), "{\"status\":%s}", status);
    sim_require(code == 200);
}

static void make_ended_job(struct sim_world *world, const char *flow, struct str uid, int step,
                           const char *now)
{
    char name[64], body[2048], status[512];
    snprintf(name, sizeof(name), "%s-step-%d-01234567", flow, step);
    snprintf(body, sizeof(body),
             "{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"%s\","
             "\"labels\":{\"app.kubernetes.io/managed-by\":\"callboard\","
             "\"workflow.kube-zen.io/flow\":\"%s\",\"workflow.kube-zen.io/step\":\"step-%d\","
             "\"workflow.kube-zen.io/attempt\":\"0\"},\"ownerReferences\":[{\"apiVersion\":"
             "\"workflow.kube-zen.io/v1alpha1\",\"kind\":\"JobFlow\",\"name\":\"%s\",\"uid\":"
             "\"%" PRIstr "\",\"controller\":true,\"blockOwnerDeletion\":true}]},"
             "\"spec\":" JOB_SPEC "}",
             name, flow, step, flow, STR_ARG(uid));
    post(world, STR(JOBS), body);
    snprintf(status, sizeof(status),
             "{\"succeeded\":1,\"startTime\":\"%s\",\"completionTime\":\"%s\",\"conditions\":[{"
             "\"type\":\"Complete\",\"status\":\"True\",\"lastTransitionTime\":\"%s\"}]}",
             now, now, now);
    patch_status(world, JOBS, name, status);
}

static void make_ended_flow(struct sim_world *world, const char *name, const char *now)
{
    char body[4096], status[256];
    int len = snprintf(body, sizeof(body),
                       "{\"apiVersion\":\"workflow.kube-zen.io/v1alpha1\",\"kind\":\"JobFlow\","
                       "\"metadata\":{\"name\":\"%s\"},\"spec\":{\"steps\":[",
                       name);
    for (int i = 0; i < STEPS; i++)
        len += snprintf(body + len, sizeof(body) - (size_t)len,
                        "%s{\"name\":\"step-%d\"," TEMPLATE "}", i ? "," : "", i);
    snprintf(body + len, sizeof(body) - (size_t)len, "]}}");
    post(world, STR(FLOWS), body);
    snprintf(status, sizeof(status),
             "{\"phase\":\"Succeeded\",\"observedGeneration\":1,\"startTime\":\"%s\","
             "\"completionTime\":\"%s\"}",
             now, now);
    patch_status(world, FLOWS, name, status);
    const struct sim_object *flow =
        sim_store_get(&world->server.store, &kube_jobflows, STR("blue"), str_from_cstr(name));
    for (int i = 0; i < STEPS; i++)
        make_ended_job(world, name, flow->meta.uid, i, now);
}

void sim_make_ended_flows(struct sim_world *world, uint64_t count)
{
    char now[CLOCK_TEXT_SIZE], name[NAME_MAX_LEN];
    clock_print(clock_wall_ns(&world->clock), CLOCK_SECONDS, now);
    for (uint64_t i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "flow-%llu", (unsigned long long)i);
        make_ended_flow(world, name, now);
        sim_store_compact(&world->server.store, world->server.store.version);
    }
}
