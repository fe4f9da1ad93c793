/* Nodes: their health, and what kubelets do to pods (kubelet's status manager, node lifecycle, pod
 * garbage collector, taint eviction). */
#include "unit/sim/actors.h"
#include "unit/sim/tree.h"

enum { PATH_MAX_LEN = 512 };

static const char *const node_names[SIM_NODE_COUNT] = {"node-a", "node-b", "node-c"};

int sim_node_number(struct str name)
{
    for (int i = 0; i < SIM_NODE_COUNT; i++) {
        if (str_eq_cstr(name, node_names[i]))
            return i;
    }
    return -1;
}

static const struct sim_object *find_node(const struct sim_actors *actors, struct str name)
{
    return sim_store_get(&actors->world->server.store, &kube_nodes, (struct str){NULL, 0}, name);
}

bool sim_node_is_up(const struct sim_actors *actors, struct str name)
{
    const struct sim_object *node = find_node(actors, name);
    return node &&
           str_eq(kube_text_at(kube_condition(node->tree, "Ready"), "status", NULL), STR("True"));
}

/* ---- Nodes ---- */

static void now_text(const struct sim_actors *actors, char text[CLOCK_TEXT_SIZE])
{
    clock_print(clock_wall_ns(&actors->world->clock), CLOCK_SECONDS, text);
}

static void make_node(struct sim_actors *actors, int number)
{
    char now[CLOCK_TEXT_SIZE];
    now_text(actors, now);
    sim_ask(
        actors->world, "POST", STR("/api/v1/nodes"),
        "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"%s\"},\"status\":{"
        "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"lastTransitionTime\":\"%s\"}]}}",
        node_names[number], now);
    actors->not_ready_since_ns[number] = 0;
    actors->ready_since_ns[number] = actors->world->now_ns;
    sim_tracef(actors->world, "node %s is there", node_names[number]);
}

void sim_nodes_init(struct sim_actors *actors)
{
    for (int i = 0; i < SIM_NODE_COUNT; i++)
        make_node(actors, i);
}

static void set_ready(struct sim_actors *actors, int number, bool is_ready)
{
    char path[PATH_MAX_LEN], now[CLOCK_TEXT_SIZE];
    now_text(actors, now);
    snprintf(path, sizeof(path), "/api/v1/nodes/%s/status", node_names[number]);
    sim_ask(actors->world, "PATCH", str_from_cstr(path),
            "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\","
            "\"lastTransitionTime\":\"%s\"}]}}",
            is_ready ? "True" : "Unknown", now);
    actors->not_ready_since_ns[number] = is_ready ? 0 : actors->world->now_ns;
    actors->ready_since_ns[number] = is_ready ? actors->world->now_ns : 0;
    sim_tracef(actors->world, "node %s is %s", node_names[number],
               is_ready ? "ready" : "not ready");
}

static void set_taint(struct sim_actors *actors, int number, bool is_out)
{
    char path[PATH_MAX_LEN];
    snprintf(path, sizeof(path), "/api/v1/nodes/%s", node_names[number]);
    sim_ask(actors->world, "PATCH", str_from_cstr(path), "{\"spec\":{\"taints\":%s}}",
            is_out ? "[{\"key\":\"node.kubernetes.io/out-of-service\",\"value\":\"nodeshutdown\","
                     "\"effect\":\"NoExecute\"}]"
                   : "null");
    sim_tracef(actors->world, "node %s: out-of-service %d", node_names[number], is_out);
}

static void remove_node(struct sim_actors *actors, int number)
{
    char path[PATH_MAX_LEN];
    snprintf(path, sizeof(path), "/api/v1/nodes/%s", node_names[number]);
    sim_ask(actors->world, "DELETE", str_from_cstr(path), "%s", "");
    actors->not_ready_since_ns[number] = actors->world->now_ns;
    actors->ready_since_ns[number] = 0;
    sim_tracef(actors->world, "node %s is gone", node_names[number]);
}

static void heal(struct sim_actors *actors, int number, const struct sim_object *node)
{
    if (!node) {
        make_node(actors, number);
        return;
    }
    if (kube_at(node->tree, "spec", "taints", NULL))
        set_taint(actors, number, false);
    if (!sim_node_is_up(actors, str_from_cstr(node_names[number])))
        set_ready(actors, number, true);
}

/* pkg/controller/nodelifecycle: nobody can say any more that the pod is ready. */
static void mark_unready(struct sim_actors *actors, const struct sim_object *pod)
{
    char path[PATH_MAX_LEN];
    if (str_eq(kube_text_at(kube_condition(pod->tree, "Ready"), "status", NULL), STR("True")))
        sim_ask(actors->world, "PATCH", sim_path(pod, "status", path, sizeof(path)), "%s",
                "{\"status\":{\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"True\"},"
                "{\"type\":\"ContainersReady\",\"status\":\"True\"},"
                "{\"type\":\"Ready\",\"status\":\"False\",\"reason\":\"NodeNotReady\"}]}}");
}

/* pkg/controller/podgc: pods of nodes that are gone or out of service are deleted at once. */
static void collect_pods(struct sim_actors *actors, int number, const struct sim_object *node)
{
    const struct sim_shelf *pods = sim_store_shelf(&actors->world->server.store, &kube_pods);
    bool is_lost = !node || kube_at(node->tree, "spec", "taints", NULL);
    bool is_evicting = actors->not_ready_since_ns[number] &&
                       actors->world->now_ns - actors->not_ready_since_ns[number] > 300 * SIM_SEC;
    for (size_t i = pods->count; i-- > 0;) {
        const struct sim_object *pod = pods->objects[i];
        char path[PATH_MAX_LEN];
        if (!str_eq_cstr(kube_text_at(pod->tree, "spec", "nodeName", NULL), node_names[number]))
            continue;
        struct str target = sim_path(pod, NULL, path, sizeof(path));
        bool is_going = str_is_set(pod->meta.deletion_timestamp);
        if (is_lost && (!node || is_going) && sim_chance(actors->world, 200))
            sim_ask(actors->world, "DELETE", target, "{\"gracePeriodSeconds\":0}");
        else if (is_evicting && !is_going)
            sim_ask(actors->world, "DELETE", target, "%s", "");
        else if (actors->not_ready_since_ns[number])
            mark_unready(actors, pod);
    }
}

void sim_nodes_act(struct sim_actors *actors)
{
    for (int i = 0; i < SIM_NODE_COUNT; i++) {
        const struct sim_object *node = find_node(actors, str_from_cstr(node_names[i]));
        bool is_up = sim_node_is_up(actors, str_from_cstr(node_names[i]));
        if (!is_up && (actors->is_calm || sim_chance(actors->world, 25)))
            heal(actors, i, node);
        else if (actors->is_calm)
            continue;
        else if (is_up && sim_chance(actors->world, actors->node_failure))
            set_ready(actors, i, false);
        else if (!is_up && node && sim_chance(actors->world, 20))
            set_taint(actors, i, true);
        else if (!is_up && node && sim_chance(actors->world, 10))
            remove_node(actors, i);
        collect_pods(actors, i, find_node(actors, str_from_cstr(node_names[i])));
    }
}

/* ---- Kubelets ---- */

enum pod_state { POD_CREATING, POD_NO_IMAGE, POD_CRASHED, POD_STARTED, POD_READY };

static const char *container_state(enum pod_state state)
{
    switch (state) {
    case POD_CREATING:
        return "{\"waiting\":{\"reason\":\"ContainerCreating\"}}";
    case POD_NO_IMAGE:
        return "{\"waiting\":{\"reason\":\"ImagePullBackOff\",\"message\":\"Back-off pulling "
               "image\"}}";
    case POD_CRASHED:
        return "{\"waiting\":{\"reason\":\"CrashLoopBackOff\",\"message\":\"back-off 10s "
               "restarting failed container\"}}";
    default:
        return "{\"running\":{\"startedAt\":\"2026-01-02T03:04:05Z\"}}";
    }
}

static void write_status(struct sim_actors *actors, const struct sim_object *pod,
                         enum pod_state state, int64_t restarts)
{
    char path[PATH_MAX_LEN];
    const struct json *container = json_at(kube_at(pod->tree, "spec", "containers", NULL), 0);
    const char *ready = state == POD_READY ? "True" : "False";
    bool is_started = state == POD_STARTED || state == POD_READY;
    bool has_run = is_started || state == POD_CRASHED;
    sim_ask(
        actors->world, "PATCH", sim_path(pod, "status", path, sizeof(path)),
        "{\"status\":{\"phase\":\"%s\",\"podIP\":\"10.1.%u.%u\",\"startTime\":"
        "\"2026-01-02T03:04:05Z\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"True\"},"
        "{\"type\":\"PodReadyToStartContainers\",\"status\":\"True\"},"
        "{\"type\":\"Initialized\",\"status\":\"True\"},"
        "{\"type\":\"ContainersReady\",\"status\":\"%s\"},{\"type\":\"Ready\",\"status\":\"%s\"}],"
        "\"containerStatuses\":[{\"name\":\"%" PRIstr "\",\"image\":\"%" PRIstr
        "\",\"imageID\":\"%s\","
        "\"ready\":%s,\"started\":%s,\"restartCount\":%lld,\"state\":%s,\"lastState\":%s}]}}",
        has_run ? "Running" : "Pending", (unsigned)(pod->meta.uid.ptr[0] & 127),
        (unsigned)(pod->meta.uid.ptr[1] & 127), ready, ready,
        STR_ARG(kube_text_at(container, "name", NULL)),
        STR_ARG(kube_text_at(container, "image", NULL)), has_run ? "sha256:1" : "",
        state == POD_READY ? "true" : "false", is_started ? "true" : "false", (long long)restarts,
        container_state(state),
        restarts > 0 ? "{\"terminated\":{\"exitCode\":1,\"reason\":\"Error\"}}" : "{}");
    sim_tracef(actors->world, "kubelet: %s state %d", path, state);
}

static enum pod_state state_of(const struct json *status)
{
    const struct json *waiting = kube_at(status, "state", "waiting", NULL);
    struct str reason = kube_text_at(waiting, "reason", NULL);
    if (str_eq(reason, STR("ImagePullBackOff")))
        return POD_NO_IMAGE;
    if (str_eq(reason, STR("CrashLoopBackOff")))
        return POD_CRASHED;
    if (kube_at(status, "state", "running", NULL))
        return kube_bool_at(status, "ready", NULL) ? POD_READY : POD_STARTED;
    return POD_CREATING;
}

static void advance(struct sim_actors *actors, const struct sim_object *pod)
{
    struct sim_world *world = actors->world;
    const struct json *status = json_at(kube_at(pod->tree, "status", "containerStatuses", NULL), 0);
    const struct json *container = json_at(kube_at(pod->tree, "spec", "containers", NULL), 0);
    bool is_bad = str_eq(kube_text_at(container, "image", NULL), STR(SIM_BAD_IMAGE));
    int64_t restarts = kube_int_at(status, 0, "restartCount", NULL);
    bool may_fail = !actors->is_calm;
    if (!status) {
        write_status(actors, pod, POD_CREATING, 0);
        return;
    }
    switch (state_of(status)) {
    case POD_CREATING:
        if (is_bad || (may_fail && sim_chance(world, actors->image_failure)))
            write_status(actors, pod, POD_NO_IMAGE, restarts);
        else
            write_status(actors, pod, POD_STARTED, restarts);
        break;
    case POD_NO_IMAGE:
        if (!is_bad && sim_chance(world, 300))
            write_status(actors, pod, POD_STARTED, restarts);
        break;
    case POD_CRASHED:
        if (sim_chance(world, 500))
            write_status(actors, pod, POD_STARTED, restarts);
        break;
    case POD_STARTED:
        if (may_fail && sim_chance(world, actors->crash))
            write_status(actors, pod, POD_CRASHED, restarts + 1);
        else
            write_status(actors, pod, POD_READY, restarts);
        break;
    case POD_READY:
        if (!str_eq(kube_text_at(kube_condition(pod->tree, "Ready"), "status", NULL), STR("True")))
            write_status(actors, pod, POD_READY, restarts); /* its node is back */
        else if (may_fail && sim_chance(world, actors->crash / 4))
            write_status(actors, pod, POD_CRASHED, restarts + 1);
        else if (may_fail && sim_chance(world, actors->crash / 8))
            write_status(actors, pod, POD_STARTED, restarts);
        break;
    }
}

static void run_pod(struct sim_actors *actors, const struct sim_object *pod)
{
    struct sim_world *world = actors->world;
    struct str phase = kube_text_at(pod->tree, "status", "phase", NULL);
    char path[PATH_MAX_LEN];
    if (str_is_set(pod->meta.deletion_timestamp)) {
        if (sim_chance(world, 300)) {
            struct str target = sim_path(pod, NULL, path, sizeof(path));
            sim_ask(world, "DELETE", target, "{\"gracePeriodSeconds\":0}");
            sim_tracef(world, "kubelet: %s has ended", path);
        }
    } else if (str_eq(phase, STR("Failed")) || str_eq(phase, STR("Succeeded"))) {
        return;
    } else if (!actors->is_calm && sim_chance(world, actors->eviction)) {
        sim_ask(world, "PATCH", sim_path(pod, "status", path, sizeof(path)),
                "{\"status\":{\"phase\":\"Failed\",\"reason\":\"Evicted\",\"message\":\"The node "
                "was low on resource: memory.\"}}");
        sim_tracef(world, "kubelet: %s evicted", path);
    } else if (sim_is_pod_of_job(pod)) {
        sim_run_pod_of_job(actors, pod);
    } else {
        advance(actors, pod);
    }
}

void sim_kubelet_act(struct sim_actors *actors)
{
    const struct sim_shelf *pods = sim_store_shelf(&actors->world->server.store, &kube_pods);
    for (size_t i = pods->count; i-- > 0;) {
        const struct sim_object *pod = pods->objects[i];
        struct str node = kube_text_at(pod->tree, "spec", "nodeName", NULL);
        if (node.len > 0 && sim_node_is_up(actors, node) &&
            (actors->is_calm || sim_chance(actors->world, 600)))
            run_pod(actors, pod);
    }
}
