/*
 * What must always hold:
 *
 *   one leader       a write reaches the server only from the process that the Lease names, and is sent
 *                    only before ten seconds have passed since its last renewal was sent
 *   fence            a child is created only when the process has seen all its own writes for its owner
 *   one pod          no second live pod of a Performer on a node that can be reached; a third with
 *                    BlueGreen
 *   finalizer        is taken off only when pods and Service are gone
 *   orphan           no child is made for a Performer that is gone
 *   foreign          only children with our owner reference are changed, and those that are nobody's but
 *                    have our labels, or were so a moment ago; of a Performer only status and our finalizer
 *   transitions      phase and stage change only as the diagram of the lifecycle allows
 *   secrets          no value of an environment in status, events, Services, logs, metrics
 *   bounds           a status stays small
 *
 * For the moment in which two processes lead because somebody deleted the Lease, the first, third, fourth
 * and fifth cannot be promised: the second leader does not know what the first has begun. All must be well
 * after it.
 */
#include "unit/sim/checkers.h"

#include "unit/sim/transitions.h"
#include "unit/sim/tree.h"

#define FINALIZER STR("hourglass.eigenlayer.io/performer-finalizer")

enum {
    STATUS_MAX = 16 * 1024,
    RENEW_DEADLINE_S = 10,
    /* How late a process may know of a node: the longest delay of a watch and of a list after it. */
    LATEST_S = 90,
    /* How long a process may not know that its Lease was deleted: the deadline, and a slow request. */
    STOLEN_S = RENEW_DEADLINE_S + 3,
};

void sim_checkers_init(struct sim_checkers *checkers, struct sim_network *network,
                       struct sim_actors *actors)
{
    memset(checkers, 0, sizeof(*checkers));
    checkers->world = network->world;
    checkers->network = network;
    checkers->actors = actors;
    checkers->stolen_ns = INT64_MIN / 2;
}

/* ---- Who is who ---- */

static struct sim_known *find_known(struct sim_checkers *checkers, struct str uid)
{
    for (size_t i = checkers->known_count; i-- > 0;) {
        if (str_eq_cstr(uid, checkers->known[i].uid))
            return &checkers->known[i];
    }
    return NULL;
}

static void learn(struct sim_checkers *checkers, const struct sim_object *performer)
{
    struct sim_known *known = find_known(checkers, performer->meta.uid);
    if (!known) {
        sim_require(checkers->known_count < SIM_KNOWN_MAX);
        known = &checkers->known[checkers->known_count++];
        snprintf(known->uid, sizeof(known->uid), "%" PRIstr, STR_ARG(performer->meta.uid));
        known->blue_green_ns = INT64_MIN / 2;
    }
    bool is_blue_green =
        str_eq(kube_text_at(performer->tree, "spec", "upgradeStrategy", NULL), STR("BlueGreen"));
    if (known->is_blue_green || is_blue_green)
        known->blue_green_ns = checkers->world->now_ns;
    known->is_blue_green = is_blue_green;
}

/* … as far as a process may know. */
static bool may_be_blue_green(const struct sim_checkers *checkers, const struct sim_known *known)
{
    return known && (known->is_blue_green ||
                     checkers->world->now_ns - known->blue_green_ns < LATEST_S * SIM_SEC);
}

static struct sim_witness *witness_of(struct sim_checkers *checkers,
                                      const struct sim_transport *transport)
{
    const struct sim_process *process = transport->owner;
    struct sim_witness *witness = &checkers->witnesses[process->number];
    if (strcmp(witness->identity, process->identity) != 0) {
        memset(witness, 0, sizeof(*witness));
        snprintf(witness->identity, sizeof(witness->identity), "%s", process->identity);
        witness->deadline_ns = INT64_MIN;
    }
    return witness;
}

static const struct sim_shelf *shelf(const struct sim_checkers *checkers,
                                     const struct kube_resource *resource)
{
    return sim_store_shelf(&checkers->world->server.store, resource);
}

static const struct sim_object *find_by_uid(const struct sim_checkers *checkers,
                                            const struct kube_resource *resource, struct str uid)
{
    const struct sim_shelf *all = shelf(checkers, resource);
    for (size_t i = 0; i < all->count; i++) {
        if (str_eq(all->objects[i]->meta.uid, uid))
            return all->objects[i];
    }
    return NULL;
}

#define VIOLATION(checkers, checker, object, fmt, ...)                               \
    sim_violation((checkers)->world, checker, "%s %" PRIstr "/%" PRIstr ": " fmt,    \
                  (object)->resource->kube->kind, STR_ARG((object)->meta.namespace), \
                  STR_ARG((object)->meta.name), ##__VA_ARGS__)

/* A child of the Performer, with the label by which the controller finds it. Who takes the label from a pod takes the pod
 * out of the controller's hands, as from a ReplicaSet; the garbage collector ends it with its owner. */
static bool is_child_of(const struct sim_object *object, struct str uid)
{
    return str_eq(object->meta.owner_uid, uid) &&
           str_eq(kube_map_get(object->meta.labels, STR("app")), STR("hourglass-performer"));
}

/* ---- Children that are, and were ---- */

/* Nobody's, with our labels: an orphan of ours, or one from which somebody took the reference. It belongs to
 * the Performer that its label names, which may take it in, or end it. */
static bool is_stray_of(const struct sim_object *object, struct str namespace, struct str performer)
{
    struct str name = kube_map_get(object->meta.labels, STR("hourglass.eigenlayer.io/performer"));
    return !str_is_set(object->meta.owner_uid) && str_is_set(name) && str_eq(name, performer) &&
           str_eq(object->meta.namespace, namespace);
}

static bool is_stray(struct sim_checkers *checkers, const struct sim_object *object)
{
    struct str name = kube_map_get(object->meta.labels, STR("hourglass.eigenlayer.io/performer"));
    return is_stray_of(object, object->meta.namespace, name) &&
           sim_store_get(&checkers->world->server.store, &kube_performers, object->meta.namespace,
                         name);
}

static bool is_ours(struct sim_checkers *checkers, const struct sim_object *object)
{
    return find_known(checkers, object->meta.owner_uid) || is_stray(checkers, object);
}

static struct sim_child *find_child(struct sim_checkers *checkers, struct str uid)
{
    for (size_t i = checkers->child_count; i-- > 0;) {
        if (str_eq_cstr(uid, checkers->children[i].uid))
            return &checkers->children[i];
    }
    return NULL;
}

static void remember_child(struct sim_checkers *checkers, const struct sim_object *object)
{
    struct sim_child *child = find_child(checkers, object->meta.uid);
    if (!child) {
        sim_require(checkers->child_count < SIM_CHILDREN_MAX);
        child = &checkers->children[checkers->child_count++];
        snprintf(child->uid, sizeof(child->uid), "%" PRIstr, STR_ARG(object->meta.uid));
    }
    child->ours_ns = checkers->world->now_ns;
    const struct sim_known *parent = find_known(checkers, object->meta.owner_uid);
    if (parent)
        child->parent = parent;
}

static void learn_child(struct sim_checkers *checkers, const struct sim_object *object)
{
    if (is_ours(checkers, object))
        remember_child(checkers, object);
}

/* Without an owner a child is the Performer's as long as there is one, whether it is written or not. */
static void learn_strays(struct sim_checkers *checkers, const struct sim_object *performer)
{
    static const struct kube_resource *const kinds[] = {&kube_pods, &kube_services};
    for (size_t k = 0; k < 2; k++) {
        const struct sim_shelf *children = shelf(checkers, kinds[k]);
        for (size_t i = 0; i < children->count; i++) {
            if (is_stray_of(children->objects[i], performer->meta.namespace, performer->meta.name))
                remember_child(checkers, children->objects[i]);
        }
    }
}

static bool was_ours(struct sim_checkers *checkers, const struct sim_object *object)
{
    const struct sim_child *child = find_child(checkers, object->meta.uid);
    return child && checkers->world->now_ns - child->ours_ns < LATEST_S * SIM_SEC;
}

/* ---- One leader ---- */

bool sim_may_have_two_leaders(const struct sim_checkers *checkers)
{
    return checkers->world->now_ns - checkers->stolen_ns < STOLEN_S * SIM_SEC;
}

static void check_leader(struct sim_checkers *checkers, const struct sim_object *object)
{
    const struct sim_object *lease =
        sim_store_get(&checkers->world->server.store, &kube_leases, STR("callboard-system"),
                      STR("callboard-controller"));
    struct str holder = lease ? kube_text_at(lease->tree, "spec", "holderIdentity", NULL) : STR("");
    if (!sim_may_have_two_leaders(checkers) &&
        !str_eq_cstr(holder, checkers->network->writer->identity))
        VIOLATION(checkers, "one leader", object,
                  "written by %s while the Lease names \"%" PRIstr "\"",
                  checkers->network->writer->identity, STR_ARG(holder));
}

static void check_deadline(struct sim_checkers *checkers, struct sim_transport *from,
                           const struct kube_request *request)
{
    const struct sim_witness *witness = witness_of(checkers, from);
    if (checkers->world->now_ns >= witness->deadline_ns)
        sim_violation(checkers->world, "one leader",
                      "%s sends %s %" PRIstr " although its time to write is over", from->identity,
                      request->method, STR_ARG(request->target));
}

/* ---- Fence ---- */

static uint64_t hash_of(struct str text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.ptr[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t hash_of_path(const struct kube_resource *resource, const struct kube_meta *meta)
{
    struct buf path;
    buf_init(&path, mem_system(), 1 << 12);
    kube_path_put(&path, resource, meta->namespace, meta->name, (struct str){NULL, 0});
    uint64_t hash = hash_of(buf_str(&path));
    buf_done(&path);
    return hash;
}

/* It is not known what became of a create or delete before it is answered, or looked at. */
static void doubt(struct sim_witness *witness, size_t i, uint64_t path)
{
    witness->about[i].doubt_path = path;
}

static void check_fence(struct sim_checkers *checkers, struct sim_transport *from,
                        const struct kube_request *request, const struct kube_resource *resource)
{
    struct sim_witness *witness = witness_of(checkers, from);
    struct arena arena;
    struct kube_meta meta;
    arena_init(&arena, mem_system(), 1 << 14, 1 << 24);
    kube_meta_read(tree_read(&arena, request->body), &meta);
    const struct sim_known *known = find_known(checkers, meta.owner_uid);
    uint64_t path = hash_of_path(resource, &meta);
    arena_done(&arena);
    if (!known)
        return;
    size_t i = (size_t)(known - checkers->known);
    uint64_t hash = hash_of(request->body);
    bool is_retry = witness->about[i].created == hash;
    /* Further writes of one decision follow each other at once. */
    bool is_continued = witness->about[i].answered_ns == checkers->world->now_ns;
    witness->about[i].created = hash;
    doubt(witness, i, path);
    for (size_t r = 0; r < SIM_RESOURCES && !is_retry && !is_continued; r++) {
        if (witness->about[i].own[r] > witness->seen[r])
            sim_violation(checkers->world, "fence",
                          "%s creates a child (POST %" PRIstr ") although it has written version "
                          "%llu of %s for the same owner and has only seen %llu",
                          from->identity, STR_ARG(request->target),
                          (unsigned long long)witness->about[i].own[r],
                          sim_resources[r].kube->plural, (unsigned long long)witness->seen[r]);
    }
}

static void note_delete(struct sim_checkers *checkers, struct sim_transport *from,
                        const struct kube_request *request)
{
    struct arena arena;
    arena_init(&arena, mem_system(), 1 << 12, 1 << 20);
    struct str uid = kube_text_at(tree_read(&arena, request->body), "preconditions", "uid", NULL);
    const struct sim_child *child = find_child(checkers, uid);
    if (child && child->parent)
        doubt(witness_of(checkers, from), (size_t)(child->parent - checkers->known),
              hash_of(request->target));
    arena_done(&arena);
}

void sim_check_send(void *ctx, struct sim_transport *from, const struct kube_request *request)
{
    struct sim_checkers *checkers = ctx;
    const struct kube_resource *resource = sim_target_resource(request->target);
    if (strcmp(request->method, "GET") == 0 || resource == &kube_leases)
        return;
    check_deadline(checkers, from, request);
    /* Beside flows a Performer's writes wait for a place among theirs: what belongs to one decision does not
     * follow at once, and cannot be told from the next. */
    if (checkers->judges_performers && strcmp(request->method, "POST") == 0 &&
        (resource == &kube_pods || resource == &kube_services))
        check_fence(checkers, from, request, resource);
    else if (strcmp(request->method, "DELETE") == 0)
        note_delete(checkers, from, request);
}

/* It asked what became of an object: what is not there need not be seen, and a write that was in doubt is
 * settled, whose decision may go on. */
static void take_look(struct sim_witness *witness, struct str target, int status, int64_t now_ns)
{
    uint64_t path = hash_of(target);
    for (size_t i = 0; i < SIM_KNOWN_MAX; i++) {
        if (witness->about[i].doubt_path == path) {
            witness->about[i].answered_ns = now_ns;
            witness->about[i].doubt_path = 0;
        }
        for (size_t r = 0; r < SIM_RESOURCES && status == 404; r++) {
            if (witness->about[i].own_paths[r] == path)
                witness->about[i].own[r] = 0;
        }
    }
}

static void take_renewal(struct sim_witness *witness, const struct sim_object *lease,
                         int64_t sent_ns)
{
    if (str_eq_cstr(kube_text_at(lease->tree, "spec", "holderIdentity", NULL), witness->identity))
        witness->deadline_ns = sent_ns + RENEW_DEADLINE_S * SIM_SEC;
}

/* What somebody has taken out of the controllers' hands has left their watch: its end is never seen there. */
static bool is_out_of_sight(const struct sim_object *written)
{
    return !is_child_of(written, written->meta.owner_uid);
}

/* A delete of what is going already adds nothing that must be seen. */
static bool adds_nothing(const struct sim_checkers *checkers, const struct sim_object *written)
{
    const struct sim_event *event =
        written->version > checkers->world->server.store.compacted
            ? sim_store_event(&checkers->world->server.store, written->version)
            : NULL;
    return event && event->before && str_is_set(event->before->meta.deletion_timestamp);
}

void sim_check_answer(void *ctx, struct sim_transport *from, const struct kube_request *request,
                      int64_t sent_ns, const struct kube_response *response,
                      const struct sim_object *written)
{
    struct sim_checkers *checkers = ctx;
    struct sim_witness *witness = witness_of(checkers, from);
    bool is_read = strcmp(request->method, "GET") == 0;
    int64_t now_ns = checkers->world->now_ns;
    /* There was nothing to delete any more, or it was going already and nothing was written. */
    bool is_absent = strcmp(request->method, "DELETE") == 0 &&
                     (response->status == 404 || (response->status == 200 && !written));
    bool is_look = is_read && (response->status == 200 || response->status == 404);
    if (response->failure == KUBE_ANSWERED && (is_look || is_absent))
        take_look(witness, request->target, response->status, now_ns);
    if (!written || response->failure != KUBE_ANSWERED || response->status >= 300 || is_read)
        return;
    if (written->resource->kube == &kube_leases) {
        take_renewal(witness, written, sent_ns);
        return;
    }
    bool is_performer = written->resource->kube == &kube_performers;
    const struct sim_known *known =
        find_known(checkers, is_performer ? written->meta.uid : written->meta.owner_uid);
    if (!known)
        return;
    size_t i = (size_t)(known - checkers->known), r = (size_t)(written->resource - sim_resources);
    witness->about[i].answered_ns = now_ns;
    witness->about[i].doubt_path = 0;
    if (strcmp(request->method, "DELETE") == 0 &&
        (adds_nothing(checkers, written) || is_out_of_sight(written)))
        return;
    witness->about[i].own[r] = written->version;
    witness->about[i].own_paths[r] = hash_of_path(written->resource->kube, &written->meta);
}

void sim_check_seen(void *ctx, struct sim_transport *from, const struct kube_resource *resource,
                    uint64_t version)
{
    struct sim_checkers *checkers = ctx;
    struct sim_witness *witness = witness_of(checkers, from);
    size_t r = sim_resource_index(resource);
    if (version > witness->seen[r])
        witness->seen[r] = version;
}

/* ---- One pod ---- */

static bool is_live(const struct sim_checkers *checkers, const struct sim_object *pod)
{
    struct str phase = kube_text_at(pod->tree, "status", "phase", NULL);
    struct str node = kube_text_at(pod->tree, "spec", "nodeName", NULL);
    if (str_eq(phase, STR("Failed")) || str_eq(phase, STR("Succeeded")))
        return false;
    int number = sim_node_number(node);
    if (number < 0)
        return true;
    int64_t since_ns = checkers->actors->ready_since_ns[number];
    return since_ns > 0 && checkers->world->now_ns - since_ns > LATEST_S * SIM_SEC;
}

static void check_one_pod(struct sim_checkers *checkers, const struct sim_object *created)
{
    const struct sim_known *known = find_known(checkers, created->meta.owner_uid);
    const struct sim_shelf *pods = shelf(checkers, &kube_pods);
    bool may_be_two = may_be_blue_green(checkers, known);
    const struct sim_object *other = NULL;
    size_t others = 0;
    for (size_t i = 0; i < pods->count; i++) {
        const struct sim_object *pod = pods->objects[i];
        if (pod != created && is_child_of(pod, created->meta.owner_uid) && is_live(checkers, pod)) {
            other = pod;
            others++;
        }
    }
    if (others > may_be_two && !sim_may_have_two_leaders(checkers))
        VIOLATION(checkers, "one pod", created,
                  "created beside %zu live pods of the same Performer, such as %" PRIstr, others,
                  STR_ARG(other->meta.name));
}

/* ---- Performers ---- */

static size_t count_children(const struct sim_checkers *checkers, struct str uid)
{
    const struct kube_resource *const kinds[] = {&kube_pods, &kube_services};
    size_t count = 0;
    for (size_t k = 0; k < 2; k++) {
        const struct sim_shelf *all = shelf(checkers, kinds[k]);
        for (size_t i = 0; i < all->count; i++)
            count += is_child_of(all->objects[i], uid);
    }
    return count;
}

static void check_finalizer(struct sim_checkers *checkers, const struct sim_event *event)
{
    bool had = tree_has_text(event->before->meta.finalizers, FINALIZER);
    bool has = tree_has_text(event->after->meta.finalizers, FINALIZER);
    size_t children = count_children(checkers, event->before->meta.uid);
    if (had && (!has || event->is_deletion) && children > 0 && !sim_may_have_two_leaders(checkers))
        VIOLATION(checkers, "finalizer", event->before,
                  "the finalizer is taken off while %zu children are there", children);
}

/* Equal but for status, our finalizer and what the server writes. */
static bool is_untouched(const struct sim_event *event)
{
    static const char *const dropped[] = {"resourceVersion", "generation", "finalizers"};
    struct arena arena;
    arena_init(&arena, mem_system(), 1 << 14, 1 << 24);
    struct json *both[] = {tree_read(&arena, event->before->text),
                           tree_read(&arena, event->after->text)};
    for (size_t i = 0; i < 2; i++) {
        json_remove(both[i], STR("status"));
        for (size_t d = 0; d < 3; d++)
            json_remove(json_get(both[i], STR("metadata")), str_from_cstr(dropped[d]));
    }
    bool is_equal = json_equal(both[0], both[1]);
    arena_done(&arena);
    return is_equal;
}

static void check_status(struct sim_checkers *checkers, const struct sim_event *event)
{
    struct arena arena;
    const struct json *status = json_get(event->after->tree, STR("status"));
    if (!status)
        return;
    arena_init(&arena, mem_system(), 1 << 14, 1 << 24);
    struct str text = tree_write(&arena, status);
    sim_check_text(checkers, "a status", text);
    if (text.len > STATUS_MAX)
        VIOLATION(checkers, "bounds", event->after, "a status of %zu bytes", text.len);
    arena_done(&arena);
    const struct sim_known *known = find_known(checkers, event->after->meta.uid);
    const char *wrong = transition_check(json_get(event->before->tree, STR("status")), status,
                                         may_be_blue_green(checkers, known));
    if (wrong)
        VIOLATION(checkers, "transitions", event->after,
                  "%s: from %" PRIstr "/%" PRIstr " to %" PRIstr "/%" PRIstr, wrong,
                  STR_ARG(kube_text_at(event->before->tree, "status", "phase", NULL)),
                  STR_ARG(kube_text_at(event->before->tree, "status", "stage", NULL)),
                  STR_ARG(kube_text_at(status, "phase", NULL)),
                  STR_ARG(kube_text_at(status, "stage", NULL)));
}

static void check_performer(struct sim_checkers *checkers, const struct sim_event *event)
{
    if (!event->before)
        VIOLATION(checkers, "foreign", event->after, "created by a controller");
    if (!is_untouched(event))
        VIOLATION(checkers, "foreign", event->after,
                  "a controller has changed more than status and finalizer");
    check_finalizer(checkers, event);
    if (!event->is_deletion)
        check_status(checkers, event);
}

/* ---- Children ---- */

static void check_child(struct sim_checkers *checkers, const struct sim_event *event)
{
    const struct sim_object *judged = event->before ? event->before : event->after;
    if (!is_ours(checkers, judged) && !was_ours(checkers, judged))
        VIOLATION(checkers, "foreign", judged, "is no child of a Performer, but %s",
                  event->before ? "was changed" : "was created");
    if (event->before)
        return;
    if (!find_by_uid(checkers, &kube_performers, judged->meta.owner_uid) &&
        !sim_may_have_two_leaders(checkers))
        VIOLATION(checkers, "orphan", judged, "created for a Performer that is gone");
    if (judged->resource->kube == &kube_pods)
        check_one_pod(checkers, event->after);
}

/* ---- All writes ---- */

void sim_check_text(struct sim_checkers *checkers, const char *what, struct str text)
{
    if (text.len >= strlen(SIM_CANARY) &&
        memmem(text.ptr, text.len, SIM_CANARY, strlen(SIM_CANARY)))
        sim_violation(checkers->world, "secrets", "a value of the environment is in %s: %" PRIstr,
                      what, STR_ARG(text));
}

static void count_write(struct sim_checkers *checkers, const struct sim_object *object,
                        bool is_deletion)
{
    bool is_performer = object->resource->kube == &kube_performers;
    struct sim_known *known =
        find_known(checkers, is_performer ? object->meta.uid : object->meta.owner_uid);
    if (known)
        known->writes++;
    checkers->writes++;
    /* A flow that has ended is deleted when its time has come, however long all has been quiet. */
    if (object->resource->kube != &kube_jobflows || !is_deletion)
        checkers->last_write_ns = checkers->world->now_ns;
}

void sim_check_write(struct sim_checkers *checkers, const struct sim_event *event)
{
    const struct kube_resource *resource = event->after->resource->kube;
    if (resource == &kube_performers) {
        learn(checkers, event->after);
        learn_strays(checkers, event->after);
    } else if (event->before && (resource == &kube_pods || resource == &kube_services)) {
        learn_child(checkers, event->before);
    }
    if (!checkers->network->writer || resource == &kube_leases)
        return;
    const struct kube_request *writing = checkers->network->writing;
    sim_tracef(checkers->world, "%s writes version %llu: %s %" PRIstr " %" PRIstr,
               checkers->network->writer->identity, (unsigned long long)event->version,
               writing->method, STR_ARG(writing->target),
               STR_ARG(str_sub(writing->body, 0, SIM_TRACE_LINE_MAX)));
    check_leader(checkers, event->after);
    count_write(checkers, event->after, event->is_deletion);
    if (!checkers->judges_performers)
        return;
    if (resource == &kube_performers)
        check_performer(checkers, event);
    else if (resource == &kube_pods || resource == &kube_services)
        check_child(checkers, event);
    else if (resource != &kube_events)
        VIOLATION(checkers, "foreign", event->after,
                  "no controller of ours has a reason to write it");
    if (resource == &kube_events || resource == &kube_services)
        sim_check_text(checkers, resource->plural, event->after->text);
}

/* ---- The end: everything is as it should be ---- */

static bool not_settled(const struct sim_object *object, char *why, size_t size, const char *what)
{
    snprintf(why, size, "%s %" PRIstr "/%" PRIstr ": %s", object->resource->kube->kind,
             STR_ARG(object->meta.namespace), STR_ARG(object->meta.name), what);
    return false;
}

static const struct sim_object *only_pod(const struct sim_checkers *checkers, struct str uid)
{
    const struct sim_shelf *pods = shelf(checkers, &kube_pods);
    const struct sim_object *found = NULL;
    for (size_t i = 0; i < pods->count; i++) {
        if (!is_child_of(pods->objects[i], uid))
            continue;
        if (found)
            return NULL;
        found = pods->objects[i];
    }
    return found;
}

static bool has_environment(const struct sim_object *performer, const struct json *container)
{
    JSON_EACH (wanted, kube_at(performer->tree, "spec", "config", "environment", NULL)) {
        bool found = false;
        JSON_EACH (variable, kube_at(container, "env", NULL))
            found = found || (str_eq(kube_text_at(variable, "name", NULL), json_key(wanted)) &&
                              str_eq(kube_text_at(variable, "value", NULL), json_str(wanted)));
        if (!found)
            return false;
    }
    return true;
}

static bool is_pod_right(const struct sim_object *performer, const struct sim_object *pod)
{
    const struct json *container = json_at(kube_at(pod->tree, "spec", "containers", NULL), 0);
    return str_eq(kube_text_at(container, "image", NULL),
                  kube_text_at(performer->tree, "spec", "image", NULL)) &&
           has_environment(performer, container) &&
           str_eq(kube_text_at(performer->tree, "status", "podName", NULL), pod->meta.name);
}

static bool is_service_right(const struct sim_checkers *checkers,
                             const struct sim_object *performer, const struct sim_object *pod)
{
    char name[128];
    snprintf(name, sizeof(name), "performer-%" PRIstr, STR_ARG(performer->meta.name));
    const struct sim_object *service =
        sim_store_get(&checkers->world->server.store, &kube_services, performer->meta.namespace,
                      str_from_cstr(name));
    if (!service || !str_eq(service->meta.owner_uid, performer->meta.uid))
        return false;
    const struct json *selector = kube_at(service->tree, "spec", "selector", NULL);
    JSON_EACH (wanted, selector) {
        if (!str_eq(kube_map_get(pod->meta.labels, json_key(wanted)), json_str(wanted)))
            return false;
    }
    int64_t port = kube_int_at(performer->tree, 9090, "spec", "config", "grpcPort", NULL);
    const struct json *first = json_at(kube_at(service->tree, "spec", "ports", NULL), 0);
    return json_first(selector) && kube_int_at(first, 0, "port", NULL) == port;
}

static bool is_performer_settled(struct sim_checkers *checkers, const struct sim_object *performer,
                                 char *why, size_t size)
{
    const struct json *status = json_get(performer->tree, STR("status"));
    struct str phase = kube_text_at(status, "phase", NULL);
    if (str_is_set(performer->meta.deletion_timestamp))
        return not_settled(performer, why, size, "is deleted and still there");
    if (kube_int_at(status, 0, "observedGeneration", NULL) != performer->meta.generation)
        return not_settled(performer, why, size, "status is of an older generation");
    const struct sim_object *pod = only_pod(checkers, performer->meta.uid);
    if (!pod)
        return not_settled(performer, why, size, "has no pod, or several");
    if (!str_eq(phase, STR("Running")) || !kube_bool_at(status, "ready", NULL))
        return not_settled(performer, why, size, "is not running");
    if (!is_pod_right(performer, pod))
        return not_settled(performer, why, size, "its pod is not what the spec says");
    if (!is_service_right(checkers, performer, pod))
        return not_settled(performer, why, size, "its Service does not lead to its pod");
    return true;
}

static bool are_children_owned(struct sim_checkers *checkers, char *why, size_t size)
{
    const struct kube_resource *const kinds[] = {&kube_pods, &kube_services};
    for (size_t k = 0; k < 2; k++) {
        const struct sim_shelf *all = shelf(checkers, kinds[k]);
        for (size_t i = 0; i < all->count; i++) {
            const struct sim_object *child = all->objects[i];
            if (str_is_set(child->meta.owner_uid) &&
                !find_by_uid(checkers, &kube_performers, child->meta.owner_uid))
                return not_settled(child, why, size, "its Performer is gone");
        }
    }
    return true;
}

bool sim_check_settled(struct sim_checkers *checkers, char *why, size_t size)
{
    const struct sim_shelf *performers = shelf(checkers, &kube_performers);
    for (size_t i = 0; i < performers->count; i++) {
        if (!is_performer_settled(checkers, performers->objects[i], why, size))
            return false;
    }
    return are_children_owned(checkers, why, size);
}
