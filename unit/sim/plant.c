/*
 * Bugs that are planted on purpose, between the controller and the network, so that its own code stays
 * as it is: what a controller with the bug would send and believe.
 *
 *   finalizer    a pod that is being deleted is taken for gone: the controller is told of its end at once
 *   fence        the answers to its writes name the version before: the cache seems to know them already
 *   old leader   its renewals of the Lease reach nobody, and it believes that they did
 *   early        a Job that runs is taken for one that has succeeded: the next step begins too soon
 *   twice        each retry is counted twice
 *   ttl          a flow that runs is taken for one that has ended long ago, and is deleted
 */
#include "unit/sim/sim.h"

#include "unit/sim/tree.h"

struct sim_plant_state {
    struct sim *sim;
    char victim[SIM_IDENTITY_MAX]; /* whose renewals are swallowed */
};

static bool is_about(const struct kube_request *request, const struct kube_resource *resource)
{
    return sim_target_resource(request->target) == resource;
}

/* ---- Finalizer ---- */

/* Replaces every event of a pod that is going by one of its end. */
static void end_pods(struct buf *body)
{
    struct arena arena;
    struct buf changed;
    arena_init(&arena, mem_system(), 1 << 14, 64 << 20);
    buf_init(&changed, mem_system(), 64 << 20);
    struct str rest = buf_str(body), line;
    while (str_is_set(rest) && rest.len > 0) {
        str_cut(rest, '\n', &line, &rest);
        const struct json *event = line.len > 0 ? tree_read(&arena, line) : NULL;
        const struct json *pod = json_get(event, STR("object"));
        bool is_going = str_is_set(kube_text_at(pod, "metadata", "deletionTimestamp", NULL));
        if (is_going && str_eq(kube_text_at(event, "type", NULL), STR("MODIFIED")))
            buf_printf(&changed, "{\"type\":\"DELETED\",\"object\":%" PRIstr "}\n",
                       STR_ARG(tree_write(&arena, pod)));
        else if (line.len > 0)
            buf_printf(&changed, "%" PRIstr "\n", STR_ARG(line));
    }
    buf_clear(body);
    buf_put(body, buf_str(&changed));
    buf_done(&changed);
    arena_done(&arena);
}

static void rewrite_finalizer(void *ctx, struct sim_transport *from,
                              const struct kube_request *request, struct buf *body)
{
    (void)ctx;
    (void)from;
    if (strcmp(request->method, "GET") == 0 && is_about(request, &kube_pods) &&
        str_starts_with(buf_str(body), STR("{\"type\"")))
        end_pods(body);
}

/* ---- Fence ---- */

static void rewrite_fence(void *ctx, struct sim_transport *from, const struct kube_request *request,
                          struct buf *body)
{
    (void)ctx;
    (void)from;
    struct arena arena;
    if (strcmp(request->method, "GET") == 0 || is_about(request, &kube_leases) || body->len == 0)
        return;
    arena_init(&arena, mem_system(), 1 << 14, 64 << 20);
    struct json *object = tree_read(&arena, buf_str(body));
    struct json *meta = json_get(object, STR("metadata"));
    if (json_get(meta, STR("resourceVersion"))) {
        tree_set_str(&arena, meta, "resourceVersion", STR("2"));
        struct str text = tree_write(&arena, object);
        buf_clear(body);
        buf_put(body, text);
    }
    arena_done(&arena);
}

/* ---- Old leader ---- */

static bool swallow_renewal(void *ctx, struct sim_transport *from,
                            const struct kube_request *request, struct sim_response *response)
{
    struct sim_plant_state *state = ctx;
    struct sim_world *world = &state->sim->world;
    if (!is_about(request, &kube_leases) || state->sim->is_calm ||
        strcmp(request->method, "GET") == 0 || strcmp(request->method, "POST") == 0)
        return false;
    const struct sim_object *lease = sim_store_get(
        &world->server.store, &kube_leases, STR("callboard-system"), STR("callboard-controller"));
    bool is_holder = lease && str_eq_cstr(kube_text_at(lease->tree, "spec", "holderIdentity", NULL),
                                          from->identity);
    if (!state->victim[0] && is_holder && sim_chance(world, 50))
        snprintf(state->victim, sizeof(state->victim), "%s", from->identity);
    if (strcmp(state->victim, from->identity) != 0)
        return false;
    response->status = 200;
    buf_put(&response->body, request->body);
    return true;
}

/* ---- Flows ---- */

/* Changes all objects in the answer to a list or in a piece of a watch; whether one was. */
static bool change_objects(struct arena *arena, struct json *root,
                           bool (*change)(struct arena *arena, struct json *object))
{
    struct json *object = json_get(root, STR("object"));
    bool is_changed = object && change(arena, object);
    JSON_EACH (item, json_get(root, STR("items")))
        is_changed = change(arena, item) || is_changed;
    return is_changed;
}

static void rewrite_objects(const struct kube_request *request, struct buf *body,
                            const struct kube_resource *resource,
                            bool (*change)(struct arena *arena, struct json *object))
{
    struct arena arena;
    struct buf changed;
    struct str rest = buf_str(body), line;
    if (strcmp(request->method, "GET") != 0 || !is_about(request, resource))
        return;
    arena_init(&arena, mem_system(), 1 << 14, 64 << 20);
    buf_init(&changed, mem_system(), 64 << 20);
    while (str_is_set(rest) && rest.len > 0) {
        str_cut(rest, '\n', &line, &rest);
        struct json *root = line.len > 0 ? tree_read(&arena, line) : NULL;
        if (root && change_objects(&arena, root, change))
            line = tree_write(&arena, root);
        buf_put(&changed, line);
        buf_put(&changed, str_is_set(rest) ? STR("\n") : STR(""));
    }
    buf_clear(body);
    buf_put(body, buf_str(&changed));
    buf_done(&changed);
    arena_done(&arena);
}

static bool complete_job(struct arena *arena, struct json *job)
{
    bool is_running = kube_text_at(job, "status", "startTime", NULL).len > 0 &&
                      !kube_condition(job, "Failed") && !kube_condition(job, "Complete");
    if (is_running)
        tree_set(tree_child(arena, job, "status", JSON_OBJECT), STR("conditions"),
                 tree_read(arena, STR("[{\"type\":\"Complete\",\"status\":\"True\","
                                      "\"lastTransitionTime\":\"2026-01-02T03:04:05Z\"}]")));
    return is_running;
}

static void rewrite_early(void *ctx, struct sim_transport *from, const struct kube_request *request,
                          struct buf *body)
{
    (void)ctx;
    (void)from;
    rewrite_objects(request, body, &kube_jobs, complete_job);
}

static bool end_flow(struct arena *arena, struct json *flow)
{
    bool is_running = str_eq(kube_text_at(flow, "status", "phase", NULL), STR("Running"));
    struct json *status = tree_child(arena, flow, "status", JSON_OBJECT);
    struct json *spec = tree_child(arena, flow, "spec", JSON_OBJECT);
    if (!is_running)
        return false;
    tree_set_str(arena, status, "phase", STR("Succeeded"));
    tree_set_str(arena, status, "completionTime", STR("2020-01-02T03:04:05Z"));
    tree_set_int(arena, tree_child(arena, spec, "executionPolicy", JSON_OBJECT),
                 "ttlSecondsAfterFinished", 1);
    return true;
}

static void rewrite_ttl(void *ctx, struct sim_transport *from, const struct kube_request *request,
                        struct buf *body)
{
    (void)ctx;
    (void)from;
    rewrite_objects(request, body, &kube_jobflows, end_flow);
}

/* Executes the request with its attempt raised, as if the process had sent it so. */
static bool count_twice(void *ctx, struct sim_transport *from, const struct kube_request *request,
                        struct sim_response *response)
{
    static const char label[] = "\"workflow.kube-zen.io/attempt\":\"1\"";
    struct sim_plant_state *state = ctx;
    struct sim_network *network = &state->sim->network;
    const char *at = memmem(request->body.ptr, request->body.len, label, sizeof(label) - 1);
    char body[16384];
    if (strcmp(request->method, "POST") != 0 || !is_about(request, &kube_jobs) || !at ||
        request->body.len > sizeof(body))
        return false;
    memcpy(body, request->body.ptr, request->body.len);
    body[(size_t)(at - request->body.ptr) + sizeof(label) - 3] = '2';
    const struct sim_request changed = {.method = STR("POST"),
                                        .target = request->target,
                                        .body = {body, request->body.len},
                                        .content_type = STR("application/json")};
    network->writer = from;
    network->writing = request;
    sim_server_handle(&network->world->server, &changed, response);
    network->writer = NULL;
    return true;
}

void sim_plant_init(struct sim *sim)
{
    struct sim_plant_state *state = calloc(1, sizeof(*state));
    sim_require(state != NULL);
    state->sim = sim;
    sim->plant = state;
    sim->network.filter.ctx = state;
    if (sim->config.plant == SIM_PLANT_FINALIZER)
        sim->network.filter.rewrite = rewrite_finalizer;
    if (sim->config.plant == SIM_PLANT_FENCE)
        sim->network.filter.rewrite = rewrite_fence;
    if (sim->config.plant == SIM_PLANT_OLD_LEADER)
        sim->network.filter.intercept = swallow_renewal;
    if (sim->config.plant == SIM_PLANT_EARLY)
        sim->network.filter.rewrite = rewrite_early;
    if (sim->config.plant == SIM_PLANT_TWICE)
        sim->network.filter.intercept = count_twice;
    if (sim->config.plant == SIM_PLANT_TTL)
        sim->network.filter.rewrite = rewrite_ttl;
}

void sim_plant_done(struct sim *sim)
{
    free(sim->plant);
}
