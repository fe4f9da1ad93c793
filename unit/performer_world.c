/* A little cluster for tests of the Performer controller. */
#include "unit/performer_world.h"

#include "unit/apply_patch.h"

enum { STORE_PERFORMERS, STORE_PODS, STORE_SERVICES, STORE_SLICES, STORE_NODES, STORE_COUNT };

static const struct store_type *const types[STORE_COUNT] = {
    [STORE_PERFORMERS] = &performer_objects, [STORE_PODS] = &performer_pods,
    [STORE_SERVICES] = &performer_services,  [STORE_SLICES] = &performer_slices,
    [STORE_NODES] = &performer_nodes,
};

/* ---- The world ---- */

void world_init(struct world *world, const struct mem *mem)
{
    struct err err;
    *world = (struct world){.mem = mem, .version = 100};
    world->now.now_ns = 1000 * CLOCK_NS_PER_SEC;
    clock_parse(STR("2026-01-02T03:04:05Z"), &world->now.wall_ns);
    arena_init(&world->arena, mem_system(), 1 << 16, 1 << 28);
    arena_init(&world->plan_arena, mem, 1 << 13, 1 << 24);
    random_seeded_init(&world->random, TEST_SEED);
    world->catalog = catalog_builtin(mem_system(), &err);
    for (int i = 0; i < STORE_COUNT; i++) {
        const struct store_config config = {
            .type = types[i], .mem = mem_system(), .random = &world->random.random};
        world->stores[i] = store_new(&config, &err);
        assert_non_null(world->stores[i]);
    }
    world->controller = (struct performer_controller){
        .performers = world->stores[STORE_PERFORMERS],
        .pods = world->stores[STORE_PODS],
        .services = world->stores[STORE_SERVICES],
        .slices = world->stores[STORE_SLICES],
        .nodes = world->stores[STORE_NODES],
        .catalog = world->catalog,
    };
}

void world_done(struct world *world)
{
    for (int i = 0; i < STORE_COUNT; i++)
        store_free(world->stores[i]);
    catalog_unref(world->catalog);
    arena_done(&world->plan_arena);
    arena_done(&world->arena);
}

void world_advance_ms(struct world *world, int64_t ms)
{
    world->now.now_ns += ms * CLOCK_NS_PER_MS;
    world->now.wall_ns += ms * CLOCK_NS_PER_MS;
}

static struct str now_text(struct world *world)
{
    char text[CLOCK_TEXT_SIZE];
    return arena_copy(&world->arena, clock_print(world->now.wall_ns, CLOCK_SECONDS, text));
}

/* ---- Objects ---- */

static struct json *read_json(struct world *world, struct str text)
{
    struct err err;
    struct json *json =
        json_read(&world->arena, arena_copy(&world->arena, text), &json_limits_default, &err);
    if (!json)
        fail_msg("%s in %.*s", err.message, (int)text.len, text.ptr);
    return json;
}

static struct kube_sink sink_of(struct world *world, const struct kube_resource *resource)
{
    for (int i = 0; i < STORE_COUNT; i++) {
        if (types[i]->resource == resource)
            return store_sink(world->stores[i]);
    }
    fail_msg("no cache of %s", resource->plural);
    return (struct kube_sink){0};
}

struct str world_name(const struct json *object)
{
    return kube_text_at(object, "metadata", "name", NULL);
}

static struct world_object *find(const struct world *world, const struct kube_resource *resource,
                                 struct str name)
{
    for (size_t i = 0; i < world->count; i++) {
        const struct world_object *object = &world->objects[i];
        if (object->resource == resource && str_eq(world_name(object->json), name))
            return (struct world_object *)(uintptr_t)object;
    }
    return NULL;
}

struct json *world_get(const struct world *world, const struct kube_resource *resource,
                       struct str name)
{
    struct world_object *object = find(world, resource, name);
    return object ? object->json : NULL;
}

struct json *world_nth(const struct world *world, const struct kube_resource *resource, size_t n)
{
    for (size_t i = 0; i < world->count; i++) {
        if (world->objects[i].resource == resource && n-- == 0)
            return world->objects[i].json;
    }
    return NULL;
}

size_t world_count(const struct world *world, const struct kube_resource *resource)
{
    size_t count = 0;
    while (world_nth(world, resource, count))
        count++;
    return count;
}

static void set_text(struct world *world, struct json *object, const char *key, struct str text)
{
    assert_true(json_set(object, str_from_cstr(key), json_new_str(&world->arena, text)));
}

static struct json *member(struct world *world, struct json *object, const char *key)
{
    struct json *value = json_get(object, str_from_cstr(key));
    if (!value) {
        value = json_new(&world->arena, JSON_OBJECT);
        assert_true(json_set(object, str_from_cstr(key), value));
    }
    return value;
}

/* Gives the caches the object as it is now, in a new version. */
static void publish(struct world *world, struct world_object *object)
{
    struct kube_meta meta;
    struct kube_sink sink = sink_of(world, object->resource);
    set_text(world, member(world, object->json, "metadata"), "resourceVersion",
             arena_printf(&world->arena, "%llu", (unsigned long long)++world->version));
    kube_meta_read(object->json, &meta);
    assert_int_equal(sink.upsert(sink.ctx, object->json, &meta), 0);
}

static struct json *add(struct world *world, const struct kube_resource *resource,
                        struct json *json)
{
    struct json *metadata = member(world, json, "metadata");
    if (!json_get(metadata, STR("uid")))
        set_text(world, metadata, "uid",
                 arena_printf(&world->arena, "uid-%llu", (unsigned long long)++world->uids));
    set_text(world, metadata, "creationTimestamp", now_text(world));
    if (resource == &kube_performers || resource == &kube_pods)
        assert_true(json_set(metadata, STR("generation"), json_new_int(&world->arena, 1)));
    assert_true(world->count < WORLD_OBJECTS_MAX);
    struct world_object *object = &world->objects[world->count++];
    *object = (struct world_object){resource, json};
    publish(world, object);
    return json;
}

struct json *world_create(struct world *world, const struct kube_resource *resource,
                          const char *text)
{
    return add(world, resource, read_json(world, str_from_cstr(text)));
}

static struct json *merge(struct world *world, struct json *to, const struct json *patch);

void world_performer(struct world *world, const char *spec)
{
    struct json *performer = read_json(
        world, STR("{\"metadata\":{\"name\":\"solo\",\"namespace\":\"team\",\"uid\":\"uid-solo\","
                   "\"finalizers\":[\"hourglass.eigenlayer.io/performer-finalizer\"],"
                   "\"annotations\":{\"callboard.dev/correlation-id\":\"c-1\"}},"
                   "\"spec\":{\"avsAddress\":\"0x123...\",\"image\":\"registry.example/solo:v1\","
                   "\"imagePullPolicy\":\"IfNotPresent\",\"config\":{\"grpcPort\":9090},"
                   "\"upgradeStrategy\":\"Recreate\",\"nodeFailurePolicy\":\"Reschedule\"}}"));
    struct str more = arena_printf(&world->arena, "{\"spec\":{%s}}", spec);
    add(world, &kube_performers, merge(world, performer, read_json(world, more)));
}

void world_node(struct world *world, const char *name)
{
    world_create(world, &kube_nodes,
                 arena_printf(&world->arena, "{\"metadata\":{\"name\":\"%s\"}}", name).ptr);
    world_set_node(world, name, true);
}

static void forget(struct world *world, struct world_object *object)
{
    struct kube_meta meta;
    struct kube_sink sink = sink_of(world, object->resource);
    set_text(world, member(world, object->json, "metadata"), "resourceVersion",
             arena_printf(&world->arena, "%llu", (unsigned long long)++world->version));
    kube_meta_read(object->json, &meta);
    sink.remove(sink.ctx, object->json, &meta);
    *object = world->objects[--world->count];
}

void world_remove(struct world *world, const struct kube_resource *resource, struct str name)
{
    struct world_object *object = find(world, resource, name);
    assert_non_null(object);
    forget(world, object);
}

static bool is_held(const struct world_object *object)
{
    return json_first(kube_at(object->json, "metadata", "finalizers", NULL)) ||
           (object->resource == &kube_pods &&
            kube_text_at(object->json, "spec", "nodeName", NULL).len > 0);
}

static void delete_object(struct world *world, struct world_object *object, bool is_forced)
{
    struct json *metadata = member(world, object->json, "metadata");
    if (!is_held(object) || is_forced) {
        forget(world, object);
    } else if (!json_get(metadata, STR("deletionTimestamp"))) {
        set_text(world, metadata, "deletionTimestamp", now_text(world));
        publish(world, object);
    }
}

void world_delete(struct world *world, const struct kube_resource *resource, struct str name)
{
    struct world_object *object = find(world, resource, name);
    assert_non_null(object);
    delete_object(world, object, false);
}

/* RFC 7396. */
static struct json *merge(struct world *world, struct json *to, const struct json *patch)
{
    if (!json_is(patch, JSON_OBJECT))
        return json_copy(&world->arena, patch);
    if (!json_is(to, JSON_OBJECT))
        to = json_new(&world->arena, JSON_OBJECT);
    JSON_EACH (entry, patch) {
        if (json_is(entry, JSON_NULL)) {
            json_remove(to, json_key(entry));
            continue;
        }
        struct json *before = json_get(to, json_key(entry));
        struct json *merged = merge(world, before, entry);
        if (merged != before)
            assert_true(json_set(to, json_key(entry), merged));
    }
    return to;
}

/* The object in its new form: the generation counts changes of the spec. */
static void replace(struct world *world, struct world_object *object, struct json *after)
{
    int64_t generation = kube_int_at(object->json, 0, "metadata", "generation", NULL);
    if (generation > 0 &&
        !json_equal(json_get(object->json, STR("spec")), json_get(after, STR("spec"))))
        assert_true(json_set(json_get(after, STR("metadata")), STR("generation"),
                             json_new_int(&world->arena, generation + 1)));
    if (json_equal(object->json, after))
        return;
    object->json = after;
    publish(world, object);
    if (json_get(json_get(after, STR("metadata")), STR("deletionTimestamp")) && !is_held(object))
        forget(world, object);
}

void world_merge(struct world *world, const struct kube_resource *resource, struct str name,
                 const char *patch)
{
    struct world_object *object = find(world, resource, name);
    assert_non_null(object);
    replace(world, object,
            merge(world, json_copy(&world->arena, object->json),
                  read_json(world, str_from_cstr(patch))));
}

/* ---- What others do ---- */

void world_schedule(struct world *world, struct str pod, const char *node)
{
    world_merge(world, &kube_pods, pod,
                arena_printf(&world->arena,
                             "{\"spec\":{\"nodeName\":\"%s\"},\"status\":{\"phase\":\"Pending\","
                             "\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"True\","
                             "\"lastTransitionTime\":\"%s\"}]}}",
                             node, now_text(world).ptr)
                    .ptr);
    /* Placing a pod does not count as a change of its spec (pod generation, KEP 5067). */
    struct json *object = world_get(world, &kube_pods, pod);
    assert_true(json_set(json_get(object, STR("metadata")), STR("generation"),
                         json_new_int(&world->arena, 1)));
    publish(world, find(world, &kube_pods, pod));
}

static void set_running(struct world *world, struct str pod, bool is_ready)
{
    world_merge(
        world, &kube_pods, pod,
        arena_printf(&world->arena,
                     "{\"status\":{\"phase\":\"Running\",\"conditions\":["
                     "{\"type\":\"PodScheduled\",\"status\":\"True\","
                     "\"lastTransitionTime\":\"%s\"},"
                     "{\"type\":\"Ready\",\"status\":\"%s\",\"lastTransitionTime\":\"%s\"}],"
                     "\"containerStatuses\":[{\"name\":\"performer\",\"imageID\":\"i\","
                     "\"state\":{\"running\":{}}}]}}",
                     now_text(world).ptr, is_ready ? "True" : "False", now_text(world).ptr)
            .ptr);
}

void world_run(struct world *world, struct str pod, const char *node)
{
    world_schedule(world, pod, node);
    set_running(world, pod, true);
}

void world_unready(struct world *world, struct str pod)
{
    set_running(world, pod, false);
}

void world_container(struct world *world, struct str pod, const char *state)
{
    world_merge(world, &kube_pods, pod,
                arena_printf(&world->arena,
                             "{\"status\":{\"conditions\":[{\"type\":\"PodScheduled\",\"status\":"
                             "\"True\"},{\"type\":\"Ready\",\"status\":\"False\"}],"
                             "\"containerStatuses\":[{\"name\":\"performer\",\"imageID\":\"\","
                             "\"state\":%s}]}}",
                             state)
                    .ptr);
}

void world_set_node(struct world *world, const char *name, bool is_ready)
{
    world_merge(world, &kube_nodes, str_from_cstr(name),
                arena_printf(&world->arena,
                             "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\","
                             "\"lastTransitionTime\":\"%s\"}]}}",
                             is_ready ? "True" : "Unknown", now_text(world).ptr)
                    .ptr);
    for (size_t i = 0; i < world->count && !is_ready; i++) {
        struct json *pod = world->objects[i].json;
        if (world->objects[i].resource == &kube_pods &&
            str_eq_cstr(kube_text_at(pod, "spec", "nodeName", NULL), name))
            world_unready(world, world_name(pod)); /* as the node controller does */
    }
}

static bool is_selected(const struct json *service, const struct json *pod)
{
    JSON_EACH (label, kube_at(service, "spec", "selector", NULL)) {
        struct str value = kube_map_get(kube_at(pod, "metadata", "labels", NULL), json_key(label));
        if (!str_eq(value, json_str(label)))
            return false;
    }
    return true;
}

static struct str slice_text(struct world *world, const struct json *service)
{
    struct buf text;
    buf_init(&text, arena_mem(&world->arena), 1 << 16);
    struct str name = world_name(service);
    struct str uid = kube_text_at(service, "metadata", "uid", NULL);
    buf_printf(&text,
               "{\"metadata\":{\"name\":\"%.*s-x\",\"namespace\":\"team\",\"ownerReferences\":"
               "[{\"kind\":\"Service\",\"name\":\"%.*s\",\"uid\":\"%.*s\",\"controller\":true}]},"
               "\"endpoints\":[",
               (int)name.len, name.ptr, (int)name.len, name.ptr, (int)uid.len, uid.ptr);
    const char *separator = "";
    for (size_t i = 0; i < world->count; i++) {
        const struct json *pod = world->objects[i].json;
        if (world->objects[i].resource != &kube_pods || !is_selected(service, pod))
            continue;
        bool is_ready =
            str_eq(kube_text_at(kube_condition(pod, "Ready"), "status", NULL), STR("True")) &&
            !kube_at(pod, "metadata", "deletionTimestamp", NULL);
        buf_printf(&text,
                   "%s{\"conditions\":{\"ready\":%s},\"targetRef\":{\"kind\":\"Pod\",\"name\":"
                   "\"%.*s\"}}",
                   separator, is_ready ? "true" : "false", (int)world_name(pod).len,
                   world_name(pod).ptr);
        separator = ",";
    }
    buf_put(&text, STR("]}"));
    assert_false(buf_failed(&text));
    return buf_str(&text);
}

void world_endpoints(struct world *world)
{
    struct json *slice;
    while ((slice = world_nth(world, &kube_endpoint_slices, 0)))
        world_remove(world, &kube_endpoint_slices, world_name(slice));
    for (size_t n = 0; n < world_count(world, &kube_services); n++) {
        struct str text = slice_text(world, world_nth(world, &kube_services, n));
        world_create(world, &kube_endpoint_slices, arena_copy(&world->arena, text).ptr);
    }
}

/* ---- The controller ---- */

void world_reconcile(struct world *world)
{
    struct err err;
    arena_reset(&world->plan_arena);
    world->plan = (struct plan){.arena = &world->plan_arena};
    struct queue_key key = {STR("team"), STR("solo")};
    if (performer_reconcile(&world->controller, key, world->now, &world->plan, &err) < 0)
        fail_msg("%s", err.message);
}

static bool refuse(struct world *world, const struct action *action, bool is_foreign)
{
    const struct action_failure failure = {
        .outcome = is_foreign ? KUBE_ALREADY_EXISTS : world->refuse_outcome,
        .is_foreign = is_foreign,
        .message = is_foreign ? STR("foreign") : str_from_cstr(world->refuse_message),
    };
    const struct action refused = *action;
    struct queue_key key = {STR("team"), STR("solo")};
    world->refuse = NULL;
    world->plan = (struct plan){.arena = &world->plan_arena};
    performer_refused(&world->controller, key, world->now, &refused, &failure, &world->plan);
    world_apply(world, PLAN_ACTIONS_MAX);
    return false;
}

static bool do_create(struct world *world, const struct action *action)
{
    struct world_object *there = find(world, action->resource, action->name);
    if (world->refuse == action->resource)
        return refuse(world, action, false);
    if (there) {
        struct kube_meta meta;
        kube_meta_read(there->json, &meta);
        return str_eq(meta.owner_uid, action->owner_uid) ? true : refuse(world, action, true);
    }
    add(world, action->resource, read_json(world, action->body));
    return true;
}

static bool do_merge(struct world *world, const struct action *action, struct world_object *object)
{
    struct json *patch = read_json(world, action->body);
    struct str version = kube_text_at(patch, "metadata", "resourceVersion", NULL);
    assert_true(version.len > 0);
    if (!str_eq(version, kube_text_at(object->json, "metadata", "resourceVersion", NULL)))
        return false;
    assert_true(str_eq(action->subresource, STR("status")) ==
                (json_get(patch, STR("status")) != NULL));
    replace(world, object, merge(world, json_copy(&world->arena, object->json), patch));
    return true;
}

static bool do_json_patch(struct world *world, const struct action *action,
                          struct world_object *object)
{
    struct json *after = apply_patch(&world->arena, object->json, read_json(world, action->body));
    assert_non_null(after);
    if (!str_eq(kube_text_at(after, "metadata", "resourceVersion", NULL),
                kube_text_at(object->json, "metadata", "resourceVersion", NULL)))
        return false;
    replace(world, object, after);
    return true;
}

static bool do_action(struct world *world, const struct action *action)
{
    struct world_object *object = find(world, action->resource, action->name);
    if (action->verb == ACTION_CREATE)
        return do_create(world, action);
    if (!object)
        return action->verb == ACTION_DELETE;
    if (action->verb == ACTION_PATCH_MERGE)
        return do_merge(world, action, object);
    if (action->verb == ACTION_PATCH_JSON)
        return do_json_patch(world, action, object);
    assert_true(action->uid.len > 0);
    if (str_eq(action->uid, kube_text_at(object->json, "metadata", "uid", NULL)))
        delete_object(world, object, action->grace_seconds == 0);
    return true;
}

static bool is_alive(const struct world *world, const struct json *pod)
{
    struct json *node = world_get(world, &kube_nodes, kube_text_at(pod, "spec", "nodeName", NULL));
    bool is_lost =
        node && !str_eq(kube_text_at(kube_condition(node, "Ready"), "status", NULL), STR("True"));
    return !is_lost;
}

static void count_running(struct world *world)
{
    size_t alive = 0;
    for (size_t n = 0; n < world_count(world, &kube_pods); n++)
        alive += is_alive(world, world_nth(world, &kube_pods, n));
    if (alive > world->peak_running)
        world->peak_running = alive;
}

bool world_apply(struct world *world, size_t count)
{
    struct plan plan = world->plan;
    for (size_t i = 0; i < plan.action_count && i < count; i++) {
        if (!do_action(world, &plan.actions[i]))
            return false;
        world->writes++;
        count_running(world);
    }
    return true;
}

void world_settle(struct world *world)
{
    for (int turn = 0; turn < 30; turn++) {
        world_endpoints(world);
        world_reconcile(world);
        if (world->plan.action_count == 0)
            return;
        world_apply(world, PLAN_ACTIONS_MAX);
    }
    fail_msg("it does not settle: %s", world_actions(world));
}

const char *world_status(struct world *world, const char *field)
{
    const struct json *performer = world_get(world, &kube_performers, STR("solo"));
    const struct json *value = kube_at(performer, "status", field, NULL);
    if (!value)
        return "";
    struct buf text;
    buf_init(&text, arena_mem(&world->arena), 1 << 16);
    if (json_is(value, JSON_STRING))
        buf_put(&text, json_str(value));
    else
        json_write(&text, value);
    return arena_copy(&world->arena, buf_str(&text)).ptr;
}

const char *world_condition(struct world *world, const char *type, const char *field)
{
    const struct json *performer = world_get(world, &kube_performers, STR("solo"));
    struct str text = kube_text_at(kube_condition(performer, type), field, NULL);
    return str_is_set(text) ? arena_copy(&world->arena, text).ptr : "";
}

const char *world_events(struct world *world)
{
    struct buf text;
    buf_init(&text, arena_mem(&world->arena), 1 << 16);
    for (size_t i = 0; i < world->plan.event_count; i++)
        buf_printf(&text, "%s%s", i ? " " : "", world->plan.events[i].reason);
    return arena_copy(&world->arena, buf_str(&text)).ptr;
}

const char *world_actions(struct world *world)
{
    struct buf text;
    buf_init(&text, arena_mem(&world->arena), 1 << 16);
    for (size_t i = 0; i < world->plan.action_count; i++)
        buf_printf(&text, "%s%s", i ? ", " : "", world->plan.actions[i].purpose);
    return arena_copy(&world->arena, buf_str(&text)).ptr;
}
