/* When everybody acts; users, the scheduler, garbage. */
#include "unit/sim/actors.h"

#include "unit/sim/tree.h"

static const char *const namespaces[] = {"blue", "green"};
static const char *const names[SIM_NAME_COUNT] = {"solo", "duo", "trio"};

enum { PATH_MAX_LEN = 512 };

struct str sim_path(const struct sim_object *object, const char *subresource, char *to, size_t size)
{
    struct buf buf;
    buf_init(&buf, mem_system(), size);
    kube_path_put(&buf, object->resource->kube, object->meta.namespace, object->meta.name,
                  str_from_cstr(subresource));
    sim_require(!buf_failed(&buf) && buf.len < size);
    memcpy(to, buf.ptr, buf.len);
    to[buf.len] = '\0';
    struct str path = {to, buf.len};
    buf_done(&buf);
    return path;
}

static const struct sim_shelf *shelf(const struct sim_actors *actors,
                                     const struct kube_resource *resource)
{
    return sim_store_shelf(&actors->world->server.store, resource);
}

static int ask_about(struct sim_actors *actors, const char *method, const struct sim_object *object,
                     const char *subresource, const char *body)
{
    char path[PATH_MAX_LEN];
    struct str target = sim_path(object, subresource, path, sizeof(path));
    int status = sim_ask(actors->world, method, target, "%s", body);
    sim_tracef(actors->world, "%s %s: %d %.120s", method, path, status, body);
    return status;
}

static const struct sim_object *pick(struct sim_actors *actors,
                                     const struct kube_resource *resource)
{
    const struct sim_shelf *all = shelf(actors, resource);
    if (all->count == 0)
        return NULL;
    return all->objects[random_below(actors->world->random, all->count)];
}

/* ---- Users ---- */

static const char *pick_text(struct sim_actors *actors, const char *const *texts, size_t count)
{
    return texts[random_below(actors->world->random, count)];
}

static const char *pick_image(struct sim_actors *actors)
{
    static const char *const images[] = {"registry.example/app:v1", "registry.example/app:v2",
                                         "registry.example/app:v3"};
    return sim_chance(actors->world, actors->image_failure) && !actors->is_calm
               ? SIM_BAD_IMAGE
               : pick_text(actors, images, 3);
}

void sim_user_create(struct sim_actors *actors, const char *namespace, const char *name,
                     const char *image, const char *strategy)
{
    struct sim_world *world = actors->world;
    static const char *const hardware[] = {
        "", "", "\"hardwareRequirements\":{\"gpuCount\":1},",
        "\"hardwareRequirements\":{\"gpuShare\":30},",
        "\"hardwareRequirements\":{\"customLabels\":{\"zone\":\"east\"}},"};
    char path[PATH_MAX_LEN];
    snprintf(path, sizeof(path), "/apis/hourglass.eigenlayer.io/v1alpha1/namespaces/%s/performers",
             namespace);
    int status = sim_ask(
        world, "POST", str_from_cstr(path),
        "{\"apiVersion\":\"hourglass.eigenlayer.io/v1alpha1\",\"kind\":\"Performer\","
        "\"metadata\":{\"name\":\"%s\"},\"spec\":{\"avsAddress\":\"0x%s\",\"image\":\"%s\",%s"
        "\"upgradeStrategy\":\"%s\",\"nodeFailurePolicy\":\"%s\",\"resources\":{\"limits\":"
        "{\"memory\":\"1Gi\"}},\"config\":{\"environment\":{\"Z\":\"last\",\"TOKEN\":\"" SIM_CANARY
        "\",\"A\":\"first\"},\"args\":[\"--key\",\"" SIM_CANARY "\"]}}}",
        name, name, image, pick_text(actors, hardware, 5), strategy,
        sim_chance(world, 800) ? "Reschedule" : "Wait");
    sim_tracef(world, "user creates %s/%s %s %s: %d", namespace, name, image, strategy, status);
}

static void user_creates(struct sim_actors *actors)
{
    const char *namespace = pick_text(actors, namespaces, 2);
    const char *name = names[random_below(actors->world->random, actors->name_count)];
    sim_user_create(actors, namespace, name, pick_image(actors),
                    sim_chance(actors->world, 400) ? "BlueGreen" : "Recreate");
}

static void user_edits(struct sim_actors *actors)
{
    const struct sim_object *performer = pick(actors, &kube_performers);
    char body[256];
    if (!performer)
        return;
    int64_t n = sim_between(actors->world, 0, 999);
    switch (random_below(actors->world->random, 7)) {
    case 0:
    case 1:
        snprintf(body, sizeof(body), "{\"spec\":{\"image\":\"%s\"}}", pick_image(actors));
        break;
    case 2:
        snprintf(body, sizeof(body), "{\"spec\":{\"version\":\"r%lld\"}}", (long long)n);
        break;
    case 3:
        snprintf(body, sizeof(body),
                 "{\"spec\":{\"config\":{\"environment\":{\"N\":\"%s-%lld\"}}}}", SIM_CANARY,
                 (long long)n);
        break;
    case 4:
        snprintf(body, sizeof(body), "{\"spec\":{\"config\":{\"grpcPort\":%lld}}}",
                 (long long)(9090 + n % 3));
        break;
    case 5:
        snprintf(body, sizeof(body), "{\"spec\":{\"upgradeStrategy\":\"%s\"}}",
                 n % 2 ? "BlueGreen" : "Recreate");
        break;
    default:
        snprintf(body, sizeof(body), "{\"metadata\":{\"annotations\":{\"note\":\"n%lld\"}}}",
                 (long long)n);
    }
    ask_about(actors, "PATCH", performer, NULL, body);
}

static void user_deletes(struct sim_actors *actors)
{
    static const char *const policies[] = {"Background", "Background", "Background", "Foreground",
                                           "Orphan"};
    const struct sim_object *performer = pick(actors, &kube_performers);
    char body[128];
    if (!performer)
        return;
    snprintf(body, sizeof(body), "{\"kind\":\"DeleteOptions\",\"propagationPolicy\":\"%s\"}",
             pick_text(actors, policies, 5));
    ask_about(actors, "DELETE", performer, NULL, body);
}

static void user_meddles(struct sim_actors *actors)
{
    bool is_pod = sim_chance(actors->world, 500);
    const struct sim_object *child = pick(actors, is_pod ? &kube_pods : &kube_services);
    if (!child)
        return;
    switch (random_below(actors->world->random, 5)) {
    case 0:
        ask_about(actors, "DELETE", child, NULL, "");
        break;
    case 1:
        ask_about(actors, "DELETE", child, NULL, is_pod ? "{\"gracePeriodSeconds\":0}" : "");
        break;
    case 2:
        ask_about(actors, "PATCH", child, NULL,
                  "{\"metadata\":{\"labels\":{\"app\":\"changed\",\"extra\":\"x\"}}}");
        break;
    case 3:
        ask_about(actors, "PATCH", child, NULL,
                  is_pod
                      ? "{\"metadata\":{\"labels\":{\"hourglass.eigenlayer.io/performer\":null}}}"
                      : "{\"spec\":{\"selector\":{\"app\":\"nobody\"}}}");
        break;
    default:
        ask_about(actors, "PATCH", child, NULL,
                  is_pod ? "{\"metadata\":{\"annotations\":{\"note\":\"mine\"}}}"
                         : "{\"spec\":{\"ports\":[{\"name\":\"x\",\"port\":1,\"targetPort\":1}]}}");
    }
}

/* Somebody else's Service or pod under the name of ours: without our labels, or with them and an owner. */
static void stranger_comes(struct sim_actors *actors)
{
    const char *namespace = pick_text(actors, namespaces, 2);
    const char *name = names[random_below(actors->world->random, actors->name_count)];
    bool is_pod = sim_chance(actors->world, 500), is_owned = sim_chance(actors->world, 500);
    char path[PATH_MAX_LEN];
    snprintf(path, sizeof(path), "/api/v1/namespaces/%s/%s", namespace,
             is_pod ? "pods" : "services");
    int status = sim_ask(
        actors->world, "POST", str_from_cstr(path),
        "{\"apiVersion\":\"v1\",\"kind\":\"%s\",\"metadata\":{\"name\":\"performer-%s\",\"labels\":"
        "{"
        "%s\"stranger\":\"yes\"}%s},\"spec\":%s}",
        is_pod ? "Pod" : "Service", name,
        is_owned ? "\"app\":\"hourglass-performer\",\"hourglass.eigenlayer.io/performer\":\"solo\","
                 : "",
        is_owned
            ? ",\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"name\":"
              "\"other\",\"uid\":\"99999999-0000-4000-8000-000000000000\",\"controller\":true}]"
            : "",
        is_pod ? "{\"containers\":[{\"name\":\"c\",\"image\":\"registry.example/other:1\"}]}"
               : "{\"selector\":{\"app\":\"other\"},\"ports\":[{\"port\":80}]}");
    sim_tracef(actors->world, "stranger makes %s performer-%s: %d", path, name, status);
}

/* Somebody else's, or an orphan that somebody took our label from, so that it is nobody's: a Performer of
 * that name says so and fails until somebody clears it away. */
static bool is_in_the_way(const struct sim_object *object)
{
    bool is_ours =
        str_eq(kube_map_get(object->meta.labels, STR("app")), STR("hourglass-performer"));
    return str_is_set(kube_map_get(object->meta.labels, STR("stranger"))) ||
           (!is_ours && !str_is_set(object->meta.owner_uid));
}

static void strangers_go(struct sim_actors *actors)
{
    const struct kube_resource *const kinds[] = {&kube_pods, &kube_services};
    for (size_t k = 0; k < 2; k++) {
        const struct sim_shelf *all = shelf(actors, kinds[k]);
        for (size_t i = all->count; i-- > 0;) {
            if (is_in_the_way(all->objects[i]))
                ask_about(actors, "DELETE", all->objects[i], NULL,
                          k == 0 ? "{\"gracePeriodSeconds\":0}" : "");
        }
    }
}

/* What only a change of the spec ends: an image that is not there, and what was found invalid. */
static void correct_specs(struct sim_actors *actors)
{
    const struct sim_shelf *all = shelf(actors, &kube_performers);
    for (size_t i = 0; i < all->count; i++) {
        const struct sim_object *performer = all->objects[i];
        const struct json *ready = kube_condition(performer->tree, "Ready");
        struct str reason = json_str(json_get(ready, STR("reason")));
        bool is_current = kube_int_at(performer->tree, 0, "status", "observedGeneration", NULL) ==
                          performer->meta.generation;
        if (str_is_set(performer->meta.deletion_timestamp))
            continue;
        if (str_eq(kube_text_at(performer->tree, "spec", "image", NULL), STR(SIM_BAD_IMAGE)))
            ask_about(actors, "PATCH", performer, NULL,
                      "{\"spec\":{\"image\":\"registry.example/app:v1\"}}");
        else if (is_current &&
                 (str_eq(reason, STR("PodRefused")) || str_eq(reason, STR("ServiceRefused"))))
            ask_about(actors, "PATCH", performer, NULL, "{\"spec\":{\"version\":\"mended\"}}");
    }
}

void sim_user_act(struct sim_actors *actors)
{
    if (actors->is_calm) {
        strangers_go(actors);
        correct_specs(actors);
        if (actors->has_flows)
            sim_flow_user_act(actors);
        return;
    }
    struct sim_world *world = actors->world;
    if (actors->has_flows)
        sim_flow_user_act(actors);
    else if (sim_chance(world, actors->strangers))
        stranger_comes(actors);
    else if (sim_chance(world, actors->meddling))
        user_meddles(actors);
    else if (sim_chance(world, 450))
        user_creates(actors);
    else if (sim_chance(world, 700))
        user_edits(actors);
    else
        user_deletes(actors);
}

/* ---- Scheduler ---- */

static void place(struct sim_actors *actors, const struct sim_object *pod)
{
    char body[512];
    if (!actors->is_calm && sim_chance(actors->world, actors->unschedulable)) {
        snprintf(body, sizeof(body),
                 "{\"status\":{\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\","
                 "\"reason\":\"Unschedulable\",\"message\":\"0/%d nodes are available: %d "
                 "Insufficient nvidia.com/gpu. preemption: none\"}]}}",
                 SIM_NODE_COUNT, (int)sim_between(actors->world, 1, SIM_NODE_COUNT));
        ask_about(actors, "PATCH", pod, "status", body);
        return;
    }
    const struct sim_object *node = pick(actors, &kube_nodes);
    if (!node || !sim_node_is_up(actors, node->meta.name))
        return;
    snprintf(body, sizeof(body),
             "{\"apiVersion\":\"v1\",\"kind\":\"Binding\",\"metadata\":{\"name\":\"%" PRIstr
             "\"},\"target\":{\"kind\":\"Node\",\"name\":\"%" PRIstr "\"}}",
             STR_ARG(pod->meta.name), STR_ARG(node->meta.name));
    ask_about(actors, "POST", pod, "binding", body);
}

void sim_scheduler_act(struct sim_actors *actors)
{
    const struct sim_shelf *pods = shelf(actors, &kube_pods);
    for (size_t i = 0; i < pods->count; i++) {
        const struct sim_object *pod = pods->objects[i];
        if (kube_text_at(pod->tree, "spec", "nodeName", NULL).len == 0 &&
            !str_is_set(pod->meta.deletion_timestamp) &&
            (actors->is_calm || sim_chance(actors->world, 600)))
            place(actors, pod);
    }
}

/* ---- Endpoints ---- */

static bool is_selected(const struct sim_object *pod, const struct json *selector)
{
    JSON_EACH (wanted, selector) {
        if (!str_eq(kube_map_get(pod->meta.labels, json_key(wanted)), json_str(wanted)))
            return false;
    }
    return json_first(selector) != NULL;
}

static void put_endpoints(struct sim_actors *actors, const struct sim_object *service,
                          struct buf *out)
{
    const struct sim_shelf *pods = shelf(actors, &kube_pods);
    const struct json *selector = kube_at(service->tree, "spec", "selector", NULL);
    size_t count = 0;
    for (size_t i = 0; i < pods->count; i++) {
        const struct sim_object *pod = pods->objects[i];
        if (!str_eq(pod->meta.namespace, service->meta.namespace) || !is_selected(pod, selector) ||
            kube_text_at(pod->tree, "status", "podIP", NULL).len == 0)
            continue;
        bool is_going = str_is_set(pod->meta.deletion_timestamp);
        bool is_ready = str_eq(
            json_str(json_get(kube_condition(pod->tree, "Ready"), STR("status"))), STR("True"));
        buf_printf(out,
                   "%s{\"addresses\":[\"%" PRIstr "\"],\"conditions\":{\"ready\":%s,\"serving\":%s,"
                   "\"terminating\":%s},\"targetRef\":{\"kind\":\"Pod\",\"name\":\"%" PRIstr
                   "\",\"namespace\":\"%" PRIstr "\",\"uid\":\"%" PRIstr "\"}}",
                   count++ ? "," : "", STR_ARG(kube_text_at(pod->tree, "status", "podIP", NULL)),
                   is_ready && !is_going ? "true" : "false", is_ready ? "true" : "false",
                   is_going ? "true" : "false", STR_ARG(pod->meta.name),
                   STR_ARG(pod->meta.namespace), STR_ARG(pod->meta.uid));
    }
}

/* Those of the Service, and its name. */
static struct str slice_labels(struct arena *arena, const struct sim_object *service)
{
    struct json *labels = service->meta.labels ? json_copy(arena, service->meta.labels)
                                               : json_new(arena, JSON_OBJECT);
    tree_set_str(arena, labels, "kubernetes.io/service-name", service->meta.name);
    return tree_write(arena, labels);
}

static void create_slice(struct sim_actors *actors, const struct sim_object *service,
                         const char *name, struct str labels, struct str endpoints)
{
    char path[PATH_MAX_LEN];
    snprintf(path, sizeof(path), "/apis/discovery.k8s.io/v1/namespaces/%" PRIstr "/endpointslices",
             STR_ARG(service->meta.namespace));
    sim_ask(actors->world, "POST", str_from_cstr(path),
            "{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\",\"metadata\":{"
            "\"name\":\"%s\",\"labels\":%" PRIstr ",\"ownerReferences\":[{\"apiVersion\":\"v1\","
            "\"kind\":\"Service\",\"name\":\"%" PRIstr "\",\"uid\":\"%" PRIstr
            "\",\"controller\":true}]},\"addressType\":\"IPv4\",\"endpoints\":[%" PRIstr "]}",
            name, STR_ARG(labels), STR_ARG(service->meta.name), STR_ARG(service->meta.uid),
            STR_ARG(endpoints));
}

static void write_slice(struct sim_actors *actors, const struct sim_object *service)
{
    struct buf endpoints;
    struct arena arena;
    char name[128], path[PATH_MAX_LEN];
    snprintf(name, sizeof(name), "%" PRIstr "-slice", STR_ARG(service->meta.name));
    const struct sim_object *slice =
        sim_store_get(&actors->world->server.store, &kube_endpoint_slices, service->meta.namespace,
                      str_from_cstr(name));
    arena_init(&arena, mem_system(), 4096, 1 << 20);
    buf_init(&endpoints, mem_system(), 1 << 20);
    put_endpoints(actors, service, &endpoints);
    struct str labels = slice_labels(&arena, service);
    if (slice)
        sim_ask(actors->world, "PATCH", sim_path(slice, NULL, path, sizeof(path)),
                "{\"metadata\":{\"labels\":%" PRIstr "},\"endpoints\":[%" PRIstr "]}",
                STR_ARG(labels), STR_ARG(buf_str(&endpoints)));
    else
        create_slice(actors, service, name, labels, buf_str(&endpoints));
    buf_done(&endpoints);
    arena_done(&arena);
}

void sim_endpoints_act(struct sim_actors *actors)
{
    const struct sim_shelf *services = shelf(actors, &kube_services);
    for (size_t i = 0; i < services->count; i++) {
        if (actors->is_calm || sim_chance(actors->world, 700))
            write_slice(actors, services->objects[i]);
    }
}

/* ---- Garbage (controller-manager's garbage collector) ---- */

static bool has_owner(struct sim_actors *actors, struct str uid)
{
    const struct kube_resource *const owners[] = {&kube_performers, &kube_services, &kube_jobflows,
                                                  &kube_jobs};
    for (size_t k = 0; k < sizeof(owners) / sizeof(owners[0]); k++) {
        const struct sim_shelf *all = shelf(actors, owners[k]);
        for (size_t i = 0; i < all->count; i++) {
            if (str_eq(all->objects[i]->meta.uid, uid))
                return true;
        }
    }
    return false;
}

static bool is_orphan(struct sim_actors *actors, const struct sim_object *object)
{
    const struct json *owners = kube_at(object->tree, "metadata", "ownerReferences", NULL);
    if (object->resource->kube != &kube_endpoint_slices &&
        str_is_set(kube_map_get(object->meta.labels, STR("stranger"))))
        return false; /* its owner is of a kind that is not simulated */
    JSON_EACH (owner, owners) {
        if (has_owner(actors, kube_text_at(owner, "uid", NULL)))
            return false;
    }
    return json_first(owners) != NULL;
}

static const struct kube_resource *const dependents[] = {
    &kube_pods,        &kube_services,      &kube_jobs,           &kube_performers,
    &kube_config_maps, &kube_volume_claims, &kube_endpoint_slices};
enum { DEPENDENTS = sizeof(dependents) / sizeof(dependents[0]) };

static void collect_orphans(struct sim_actors *actors)
{
    for (size_t k = 0; k < DEPENDENTS; k++) {
        const struct sim_shelf *all = shelf(actors, dependents[k]);
        for (size_t i = all->count; i-- > 0;) {
            if (is_orphan(actors, all->objects[i]) &&
                !str_is_set(all->objects[i]->meta.deletion_timestamp))
                ask_about(actors, "DELETE", all->objects[i], NULL, "");
        }
    }
}

/* Deletes the dependents, or takes the reference from them; true when none is left. */
static bool end_dependents(struct sim_actors *actors, struct str uid, bool orphan)
{
    bool is_done = true;
    for (size_t k = 0; k < DEPENDENTS - 1; k++) {
        const struct sim_shelf *all = shelf(actors, dependents[k]);
        for (size_t i = all->count; i-- > 0;) {
            const struct sim_object *object = all->objects[i];
            if (!str_eq(object->meta.owner_uid, uid))
                continue;
            if (orphan)
                ask_about(actors, "PATCH", object, NULL,
                          "{\"metadata\":{\"ownerReferences\":null}}");
            else if (!str_is_set(object->meta.deletion_timestamp))
                ask_about(actors, "DELETE", object, NULL, "");
            is_done = is_done && orphan;
        }
    }
    return is_done;
}

/* Takes one finalizer off, and leaves the others. */
static void drop_finalizer(struct sim_actors *actors, const struct sim_object *object,
                           struct str finalizer)
{
    struct arena arena;
    arena_init(&arena, mem_system(), 4096, 1 << 20);
    struct json *meta = json_copy(&arena, json_get(object->tree, STR("metadata")));
    tree_remove_text(&arena, meta, "finalizers", finalizer);
    const struct json *left = json_get(meta, STR("finalizers"));
    struct str body = arena_printf(&arena, "{\"metadata\":{\"finalizers\":%" PRIstr "}}",
                                   STR_ARG(left ? tree_write(&arena, left) : STR("null")));
    ask_about(actors, "PATCH", object, NULL, body.ptr);
    arena_done(&arena);
}

static void end_owners(struct sim_actors *actors, const struct kube_resource *resource)
{
    const struct sim_shelf *owners = shelf(actors, resource);
    for (size_t i = owners->count; i-- > 0;) {
        const struct sim_object *owner = owners->objects[i];
        if (!str_is_set(owner->meta.deletion_timestamp))
            continue;
        if (tree_has_text(owner->meta.finalizers, STR("orphan")) &&
            end_dependents(actors, owner->meta.uid, true))
            drop_finalizer(actors, owner, STR("orphan"));
        else if (tree_has_text(owner->meta.finalizers, STR("foregroundDeletion")) &&
                 end_dependents(actors, owner->meta.uid, false))
            drop_finalizer(actors, owner, STR("foregroundDeletion"));
    }
}

void sim_garbage_act(struct sim_actors *actors)
{
    end_owners(actors, &kube_performers);
    if (actors->has_flows)
        end_owners(actors, &kube_jobflows);
    collect_orphans(actors);
}

/* ---- When ---- */

static void act(void *ctx, int64_t now_ns)
{
    static void (*const acts[SIM_ACTORS])(struct sim_actors *) = {
        [SIM_USER] = sim_user_act,       [SIM_SCHEDULER] = sim_scheduler_act,
        [SIM_KUBELET] = sim_kubelet_act, [SIM_ENDPOINTS] = sim_endpoints_act,
        [SIM_NODES] = sim_nodes_act,     [SIM_GARBAGE] = sim_garbage_act,
        [SIM_JOBS] = sim_jobs_act,
    };
    /* The longest pause of each, in ms. */
    static const int64_t pauses[SIM_ACTORS] = {
        [SIM_USER] = 0,     [SIM_SCHEDULER] = 1500, [SIM_KUBELET] = 2000, [SIM_ENDPOINTS] = 3000,
        [SIM_NODES] = 5000, [SIM_GARBAGE] = 8000,   [SIM_JOBS] = 1500,
    };
    struct sim_actors *actors = *(struct sim_actors **)ctx;
    size_t kind = 0;
    while (&actors->each[kind].actors != ctx)
        kind++;
    actors->actions++;
    acts[kind](actors);
    int64_t pause_ns = pauses[kind] ? pauses[kind] * SIM_MS : actors->user_pause_ns;
    pause_ns /= actors->hurry;
    timers_set(&actors->world->timers, &actors->each[kind].timer,
               now_ns + sim_between(actors->world, pause_ns / 10, pause_ns));
}

static unsigned draw(struct sim_world *world, unsigned max)
{
    return sim_chance(world, 400) ? 0 : (unsigned)sim_between(world, 1, max);
}

/* Drawn apart, so that a seed means the same to Performers as before. */
static void draw_flows(struct sim_actors *actors)
{
    struct sim_world *world = actors->world;
    actors->manual = draw(world, 200);
    actors->performers = draw(world, 300);
    actors->job_failure = draw(world, 300);
    actors->job_speed = (unsigned)sim_between(world, 200, 1000);
    actors->user_pause_ns = sim_between(world, 2, 20) * SIM_SEC;
}

void sim_actors_init(struct sim_actors *actors, struct sim_world *world, bool has_flows)
{
    *actors = (struct sim_actors){
        .world = world,
        .name_count = (unsigned)sim_between(world, 1, SIM_NAME_COUNT),
        .image_failure = draw(world, 400),
        .crash = draw(world, 150),
        .eviction = draw(world, 30),
        .unschedulable = draw(world, 500),
        .node_failure = draw(world, 60),
        .meddling = draw(world, 500),
        .strangers = draw(world, 150),
        .user_pause_ns = sim_between(world, 2, 60) * SIM_SEC,
        .hurry = 1,
        .has_flows = has_flows,
    };
    if (has_flows)
        draw_flows(actors);
    for (size_t i = 0; i < 2; i++)
        sim_ask(world, "POST", STR("/api/v1/namespaces"),
                "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"%s\"}}",
                namespaces[i]);
    sim_ask(world, "POST", STR("/api/v1/namespaces"),
            "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"%s\"}}",
            "callboard-system");
    sim_nodes_init(actors);
    for (size_t i = 0; i < (has_flows ? SIM_ACTORS : SIM_JOBS); i++) {
        struct err err;
        actors->each[i].actors = actors;
        actors->each[i].kind = (enum sim_actor)i;
        int failed = timers_register(&world->timers, &actors->each[i].timer, act,
                                     &actors->each[i].actors, &err);
        sim_require(failed == 0);
        timers_set(&world->timers, &actors->each[i].timer,
                   world->now_ns + sim_between(world, 0, SIM_SEC));
    }
}

void sim_actors_done(struct sim_actors *actors)
{
    for (size_t i = 0; i < SIM_ACTORS; i++)
        timers_unregister(&actors->world->timers, &actors->each[i].timer);
}

void sim_actors_calm(struct sim_actors *actors)
{
    actors->is_calm = true;
    actors->user_pause_ns = 5 * SIM_SEC;
    timers_set(&actors->world->timers, &actors->each[SIM_USER].timer, actors->world->now_ns);
}
