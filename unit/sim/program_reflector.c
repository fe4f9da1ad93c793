/*
 * Reflectors and their stores alone: whatever happens on the way, a store is the server's state at the
 * version that its reflector names, and the newest one when the faults are over.
 */
#include "unit/sim/sim.h"

#include "control/store.h"
#include "unit/sim/tree.h"

enum { REFLECTED = 4 };

struct mirror {
    struct store *store;
    struct kube_reflector *reflector;
    struct kube_sink inner;
    bool is_listing; /* between begin and end: old and new are mixed */
};

struct reflecting {
    struct sim_process *process;
    struct timers timers;
    struct mirror mirrors[REFLECTED];
};

static struct stored *project(const struct mem *mem, const struct json *object,
                              const struct kube_meta *meta)
{
    (void)object;
    return store_new_object(mem, meta, sizeof(struct stored), 0);
}

static const struct store_type types[REFLECTED] = {{&kube_pods, project},
                                                   {&kube_services, project},
                                                   {&kube_nodes, project},
                                                   {&kube_performers, project}};

/* ---- A sink that knows when a list is being taken in ---- */

static void mirror_begin(void *ctx)
{
    struct mirror *mirror = ctx;
    mirror->is_listing = true;
    mirror->inner.begin(mirror->inner.ctx);
}

static int mirror_upsert(void *ctx, const struct json *object, const struct kube_meta *meta)
{
    struct mirror *mirror = ctx;
    return mirror->inner.upsert(mirror->inner.ctx, object, meta);
}

static void mirror_remove(void *ctx, const struct json *object, const struct kube_meta *meta)
{
    struct mirror *mirror = ctx;
    mirror->inner.remove(mirror->inner.ctx, object, meta);
}

static void mirror_end(void *ctx)
{
    struct mirror *mirror = ctx;
    mirror->is_listing = false;
    mirror->inner.end(mirror->inner.ctx);
}

/* ---- The program ---- */

static void start_mirror(struct reflecting *program, size_t i)
{
    struct sim_process *process = program->process;
    struct mirror *mirror = &program->mirrors[i];
    struct err err;
    struct store_config store = {
        .type = &types[i], .mem = &process->mem, .random = &process->seeded.random};
    mirror->store = store_new(&store, &err);
    sim_require(mirror->store != NULL);
    mirror->inner = store_sink(mirror->store);
    struct kube_reflector_config reflector = {
        .transport = &process->transport.transport,
        .timers = &program->timers,
        .clock = &process->clock,
        .random = &process->seeded.random,
        .mem = &process->mem,
        .resource = types[i].resource,
        .sink = {mirror_begin, mirror_upsert, mirror_remove, mirror_end, mirror},
        .page = 2,
    };
    mirror->reflector = kube_reflector_new(&reflector, &err);
    sim_require(mirror->reflector != NULL);
}

static void *start(struct sim_process *process)
{
    struct reflecting *program = calloc(1, sizeof(*program));
    sim_require(program != NULL);
    program->process = process;
    timers_init(&program->timers, &process->mem);
    for (size_t i = 0; i < REFLECTED; i++)
        start_mirror(program, i);
    return program;
}

/* The store has what the server had at the version that the reflector names. */
static void check_mirror(const struct reflecting *program, const struct mirror *mirror,
                         const struct kube_resource *resource)
{
    struct sim_world *world = program->process->world;
    uint64_t version = kube_reflector_version(mirror->reflector);
    struct arena arena;
    size_t count;
    if (mirror->is_listing || version < world->server.store.compacted || version == 0)
        return;
    if (version > world->server.store.version)
        sim_violation(world, "mirror", "%s: version %llu has never been", resource->plural,
                      (unsigned long long)version);
    arena_init(&arena, mem_system(), 1 << 12, 1 << 24);
    struct sim_object **objects =
        sim_store_at(&world->server.store, resource, version, &arena, &count);
    for (size_t i = 0; i < count; i++) {
        const struct stored *stored =
            store_get(mirror->store, objects[i]->meta.namespace, objects[i]->meta.name);
        if (!stored || stored->version != objects[i]->version)
            sim_violation(world, "mirror",
                          "%s %" PRIstr ": version %llu of the collection has it with %llu, the "
                          "store with %llu",
                          resource->kind, STR_ARG(objects[i]->meta.name),
                          (unsigned long long)version, (unsigned long long)objects[i]->version,
                          (unsigned long long)(stored ? stored->version : 0));
    }
    if (store_count(mirror->store) != count)
        sim_violation(world, "mirror", "%s: %zu objects in the store, %zu at version %llu",
                      resource->plural, store_count(mirror->store), count,
                      (unsigned long long)version);
    arena_done(&arena);
}

static void run_once(void *state, int64_t until_ns)
{
    struct reflecting *program = state;
    int64_t next_ns = timers_next_ns(&program->timers);
    struct kube_transport *transport = &program->process->transport.transport;
    transport->ops->wait(transport, next_ns < until_ns ? next_ns : until_ns);
    timers_run(&program->timers, program->process->world->now_ns);
    for (size_t i = 0; i < REFLECTED; i++)
        check_mirror(program, &program->mirrors[i], types[i].resource);
}

static void stop_now(void *state)
{
    struct reflecting *program = state;
    for (size_t i = 0; i < REFLECTED; i++) {
        kube_reflector_free(program->mirrors[i].reflector);
        store_free(program->mirrors[i].store);
    }
    timers_done(&program->timers);
    free(program);
}

/* Many short lives: without the webhook's finalizer, nobody has to end a Performer. */
static void prepare(struct sim *sim)
{
    sim->world.server.has_webhook = false;
    sim->actors.user_pause_ns = sim_between(&sim->world, 100, 3000) * SIM_MS;
    sim->actors.strangers = 400;
    sim->actors.meddling = 400;
}

static bool is_settled(struct sim *sim, char *why, size_t size)
{
    const struct reflecting *program = sim->processes[0].state;
    for (size_t i = 0; i < REFLECTED; i++) {
        const struct sim_shelf *shelf =
            sim_store_shelf(&sim->world.server.store, types[i].resource);
        bool is_same = program && kube_reflector_has_synced(program->mirrors[i].reflector) &&
                       store_count(program->mirrors[i].store) == shelf->count;
        for (size_t o = 0; is_same && o < shelf->count; o++) {
            const struct stored *stored =
                store_get(program->mirrors[i].store, shelf->objects[o]->meta.namespace,
                          shelf->objects[o]->meta.name);
            is_same = stored && stored->version == shelf->objects[o]->version;
        }
        if (!is_same) {
            snprintf(why, size, "the store of %s is not what the server has",
                     types[i].resource->plural);
            return false;
        }
    }
    return true;
}

static const struct sim_program program = {
    .name = "reflector",
    .start = start,
    .run_once = run_once,
    .kill = stop_now,
};

const struct sim_target sim_target_reflector = {
    .name = "reflector",
    .program = &program,
    .processes = 1,
    .prepare = prepare,
    .is_settled = is_settled,
};
