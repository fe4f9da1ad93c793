/* What is there: the pods of a Performer by the part that they play, its Service, their nodes. */
#include "controller/performer_parts.h"

/* The latter as the pod garbage collector waits (kubernetes pkg/controller/podgc/gc_controller.go,
 * quarantineTime): a node that only our cache does not know yet is no reason to act. */
#define NOT_READY_WAIT_NS (120 * CLOCK_NS_PER_SEC)
#define GONE_WAIT_NS      (40 * CLOCK_NS_PER_SEC)

/* When so many nodes do not answer, it is the network or the control plane that is ill, as for the node
 * lifecycle controller (kubernetes pkg/controller/nodelifecycle/node_lifecycle_controller.go,
 * ComputeZoneState): to move all pods at once would end what still runs and help nobody. */
enum { DISRUPTED_PER_CENT = 55, DISRUPTED_NODES_MIN = 3 };
#define DISRUPTED_WAIT_NS (30 * CLOCK_NS_PER_SEC)

/* ---- Time ---- */

int64_t performer_time_left(const struct scene *scene, int64_t since_ns, int64_t wait_ns)
{
    int64_t passed_ns = scene->now.wall_ns - since_ns;
    if (passed_ns < 0)
        passed_ns = 0;
    return passed_ns < wait_ns ? wait_ns - passed_ns : 0;
}

/* ---- Nodes ---- */

static const struct performer_node *node_of(const struct scene *scene,
                                            const struct performer_pod *pod)
{
    return (const struct performer_node *)store_get(scene->controller->nodes, (struct str){NULL, 0},
                                                    pod->node_name);
}

static bool is_disrupted(const struct scene *scene)
{
    size_t from = 0, silent = 0, all = store_count(scene->controller->nodes);
    const struct stored *node = NULL;
    while ((node = store_each(scene->controller->nodes, &from, node)))
        silent += !((const struct performer_node *)node)->is_ready;
    return silent == all ||
           (silent >= DISRUPTED_NODES_MIN && silent * 100 >= all * DISRUPTED_PER_CENT);
}

/* How long it is until the state of the node is to be judged anew; 0: it is what it is. */
static int64_t judge(const struct scene *scene, const struct performer_pod *pod,
                     enum node_state *ret)
{
    int64_t left_ns = 0;
    *ret = NODE_FINE;
    if (pod->node_name.len == 0)
        return 0;
    const struct performer_node *node = node_of(scene, pod);
    if (!node) {
        left_ns = pod->node_gone_ns ? performer_time_left(scene, pod->node_gone_ns, GONE_WAIT_NS)
                                    : GONE_WAIT_NS;
        *ret = left_ns > 0 ? NODE_DOUBTFUL : NODE_DEAD;
    } else if (!node->is_ready) {
        left_ns = performer_time_left(scene, node->since_ns, NOT_READY_WAIT_NS);
        if (left_ns == 0 && is_disrupted(scene))
            left_ns = DISRUPTED_WAIT_NS;
        *ret = left_ns > 0 ? NODE_DOUBTFUL : NODE_LOST;
        /* The taint counts on a node that is down, as for the pod garbage collector. */
        if (node->is_out_of_service)
            *ret = NODE_DEAD;
    }
    return *ret == NODE_DOUBTFUL ? left_ns : 0;
}

enum node_state performer_node_state(const struct scene *scene, const struct performer_pod *pod)
{
    enum node_state state;
    judge(scene, pod, &state);
    return state;
}

bool performer_node_is_gone(const struct scene *scene, const struct performer_pod *pod)
{
    return pod->node_name.len > 0 && !node_of(scene, pod);
}

bool performer_is_lost(const struct scene *scene, const struct performer_pod *pod)
{
    return !scene->performer->waits_for_node && performer_node_state(scene, pod) >= NODE_LOST;
}

static void watch_node(struct scene *scene, const struct performer_pod *pod)
{
    enum node_state state;
    int64_t left_ns = judge(scene, pod, &state);
    if (left_ns > 0)
        performer_again_after(scene, left_ns);
}

/* ---- Pods ---- */

/* Whether its labels say the truth about its name: they may have been changed by hand. */
static bool is_true_to_name(const struct scene *scene, const struct performer_pod *pod)
{
    const struct stored *performer = &scene->performer->stored;
    if (pod->revision == 0 || pod->attempt < 0 || pod->attempt > PERFORMER_COUNT_MAX)
        return false;
    return str_eq(pod->stored.name,
                  performer_pod_name(scene->make.arena, performer->name, performer->uid,
                                     pod->revision, pod->attempt));
}

/* A pod whose owner reference was taken away, but which is ours by its name and its labels. */
static bool is_stray(const struct scene *scene, const struct performer_pod *pod)
{
    return !str_is_set(pod->stored.owner_uid) &&
           str_eq(pod->performer, scene->performer->stored.name) &&
           pod->revision == scene->performer->revision && is_true_to_name(scene, pod);
}

static const struct performer_pod *pod_named(const struct scene *scene, struct str name)
{
    const struct performer_pod *pod = (const struct performer_pod *)store_get(
        scene->controller->pods, scene->performer->stored.namespace, name);
    if (!pod)
        return NULL;
    bool is_owned = str_eq(pod->stored.owner_uid, scene->performer->stored.uid);
    return is_owned || is_stray(scene, pod) ? pod : NULL;
}

static const struct performer_pod *first_owned(const struct scene *scene)
{
    return (const struct performer_pod *)store_first_owned(scene->controller->pods,
                                                           scene->performer->stored.uid);
}

static const struct performer_pod *next_owned(const struct performer_pod *pod)
{
    return (const struct performer_pod *)store_next_owned(&pod->stored);
}

const struct performer_pod *performer_first_pod(const struct scene *scene)
{
    const struct performer_pod *owned = first_owned(scene);
    return owned ? owned : pod_named(scene, scene->pod_name);
}

const struct performer_pod *performer_next_pod(const struct scene *scene,
                                               const struct performer_pod *pod)
{
    if (!str_is_set(pod->stored.owner_uid))
        return NULL; /* the stray one is the last */
    const struct performer_pod *owned = next_owned(pod);
    if (owned)
        return owned;
    const struct performer_pod *last = pod_named(scene, scene->pod_name);
    return last && !str_is_set(last->stored.owner_uid) ? last : NULL;
}

static void name_pod(struct scene *scene)
{
    const struct performer_object *performer = scene->performer;
    scene->pod_name =
        performer_pod_name(scene->make.arena, performer->stored.name, performer->stored.uid,
                           performer->revision, scene->attempt);
    scene->make.failed = scene->make.failed || !str_is_set(scene->pod_name);
}

static bool is_of_revision(const struct scene *scene, const struct performer_pod *pod)
{
    return pod->revision == scene->performer->revision && is_true_to_name(scene, pod);
}

/* The highest one known, whatever became of the status. */
static void find_attempt(struct scene *scene)
{
    scene->attempt = scene->performer->attempt;
    for (const struct performer_pod *pod = first_owned(scene); pod; pod = next_owned(pod)) {
        if (pod->attempt > scene->attempt && is_of_revision(scene, pod))
            scene->attempt = pod->attempt;
    }
    name_pod(scene);
}

/* After the way back from another revision that failed: the pod of before, which serves, has a lower
 * attempt than that one had. */
static const struct performer_pod *find_earlier(struct scene *scene)
{
    for (const struct performer_pod *pod = first_owned(scene); pod; pod = next_owned(pod)) {
        if (pod->is_ready && !pod->stored.is_deleting && is_of_revision(scene, pod) &&
            !performer_is_lost(scene, pod))
            return pod;
    }
    return NULL;
}

static void find_current(struct scene *scene)
{
    const struct performer_pod *pod = pod_named(scene, scene->pod_name);
    const struct performer_pod *earlier = pod ? NULL : find_earlier(scene);
    if (earlier) {
        scene->attempt = earlier->attempt;
        name_pod(scene);
        pod = earlier;
    } else if (pod && performer_is_lost(scene, pod)) {
        scene->attempt++;
        name_pod(scene);
        pod = NULL;
    }
    scene->current = pod && !pod->stored.is_deleting ? pod : NULL;
}

static bool may_be_kept(const struct scene *scene, const struct performer_pod *pod)
{
    return pod->is_ready && !pod->stored.is_deleting &&
           pod->revision != scene->performer->revision && is_true_to_name(scene, pod);
}

/* Of two that could be kept, the one that the Service leads to, else the younger. */
static bool is_better(const struct scene *scene, const struct performer_pod *a,
                      const struct performer_pod *b)
{
    uint64_t selected = scene->service ? scene->service->revision : 0;
    if ((a->revision == selected) != (b->revision == selected))
        return a->revision == selected;
    return a->created_ns > b->created_ns;
}

void performer_keep_what_serves(struct scene *scene)
{
    for (const struct performer_pod *pod = performer_first_pod(scene); pod;
         pod = performer_next_pod(scene, pod)) {
        if (pod != scene->current && !performer_is_lost(scene, pod) && may_be_kept(scene, pod) &&
            (!scene->keeper || is_better(scene, pod, scene->keeper)))
            scene->keeper = pod;
    }
}

static void sort_pods(struct scene *scene)
{
    size_t others = 0;
    for (const struct performer_pod *pod = performer_first_pod(scene); pod;
         pod = performer_next_pod(scene, pod)) {
        watch_node(scene, pod);
        if (pod == scene->current || performer_is_lost(scene, pod))
            continue;
        others++;
    }
    if (scene->performer->is_blue_green)
        performer_keep_what_serves(scene);
    scene->in_the_way = others - (scene->keeper ? 1 : 0);
}

/* ---- The Service ---- */

static void find_service(struct scene *scene)
{
    const struct stored *performer = &scene->performer->stored;
    const struct performer_service *service = (const struct performer_service *)store_get(
        scene->controller->services, performer->namespace, scene->service_name);
    if (!service)
        return;
    bool is_owned = str_eq(service->stored.owner_uid, performer->uid);
    bool is_stray =
        !str_is_set(service->stored.owner_uid) && str_eq(service->performer, performer->name);
    if (is_owned || is_stray)
        scene->service = service;
    else
        scene->service_is_foreign = true;
}

static bool has_line(struct str lines, struct str name)
{
    struct str line;
    while (str_is_set(lines)) {
        str_cut(lines, '\n', &line, &lines);
        if (str_eq(line, name))
            return true;
    }
    return false;
}

bool performer_is_listed(const struct scene *scene, const struct performer_pod *pod)
{
    if (!scene->service)
        return false;
    for (const struct stored *slice =
             store_first_owned(scene->controller->slices, scene->service->stored.uid);
         slice; slice = store_next_owned(slice)) {
        if (has_line(((const struct performer_slice *)slice)->ready_pods, pod->stored.name))
            return true;
    }
    return false;
}

void performer_look(struct scene *scene)
{
    scene->service_name = performer_service_name(scene->make.arena, scene->performer->stored.name);
    scene->make.failed = scene->make.failed || !str_is_set(scene->service_name);
    find_service(scene);
    find_attempt(scene);
    find_current(scene);
    sort_pods(scene);
}
