/* Nodes and pods for the tests of the extender. */
#include "unit/extender_fixture.h"

void extender_fixture_init(struct extender_fixture *f)
{
    struct err err;
    arena_init(&f->arena, mem_system(), 1 << 16, 1 << 26);
    f->catalog = catalog_builtin(mem_system(), &err);
    assert_non_null(f->catalog);
}

void extender_fixture_done(struct extender_fixture *f)
{
    catalog_unref(f->catalog);
    arena_done(&f->arena);
}

struct str extender_quoted(struct extender_fixture *f, struct str text)
{
    struct str copy = arena_copy(&f->arena, text);
    assert_non_null(copy.ptr);
    for (char *at = (char *)(uintptr_t)copy.ptr; *at; at++)
        *at = *at == '\'' ? '"' : *at;
    return copy;
}

const struct json *extender_json(struct extender_fixture *f, const char *text)
{
    struct err err;
    const struct json *value =
        json_read(&f->arena, extender_quoted(f, str_from_cstr(text)), &json_limits_default, &err);
    if (!value)
        fail_msg("%s: %s", text, err.message);
    return value;
}

static const char *comma(const char *members)
{
    return members[0] ? "," : "";
}

struct node extender_node(struct extender_fixture *f, const char *name, const char *labels,
                          const char *allocatable, const char *rest)
{
    struct str text =
        arena_printf(&f->arena,
                     "{'metadata':{'name':'%s','labels':{%s}},"
                     "'status':{'allocatable':{'cpu':'8','memory':'32Gi','pods':'110'%s%s},"
                     "'conditions':[{'type':'Ready','status':'True'}]}%s%s}",
                     name, labels, comma(allocatable), allocatable, comma(rest), rest);
    const struct json *object = extender_json(f, text.ptr);
    struct kube_meta meta;
    kube_meta_read(object, &meta);
    const struct node_facts *facts =
        node_facts_new(arena_mem(&f->arena), object, &meta, f->catalog);
    assert_non_null(facts);
    return (struct node){.facts = facts};
}

struct node extender_shared_node(struct extender_fixture *f, const char *name, unsigned devices)
{
    struct str labels =
        arena_printf(&f->arena,
                     "'callboard.dev/gpu-mode':'shared','nvidia.com/gpu.count':'%u',"
                     "'nvidia.com/gpu.memory':'40960',"
                     "'nvidia.com/gpu.product':'NVIDIA-A100-SXM4-40GB',"
                     "'nvidia.com/cuda.runtime-version.major':'12',"
                     "'nvidia.com/cuda.runtime-version.minor':'4'",
                     devices);
    return extender_node(f, name, labels.ptr, "'nvidia.com/gpu':'0'", "");
}

const struct snapshot *extender_snapshot(struct extender_fixture *f, const struct node *nodes,
                                         size_t count)
{
    struct snapshot *snapshot =
        arena_alloc(&f->arena, sizeof(*snapshot) + count * sizeof(struct snapshot_node *));
    struct snapshot_node *places = ARENA_NEW_ARRAY(&f->arena, struct snapshot_node, count);
    assert_true(snapshot && places);
    snapshot->count = count;
    for (size_t i = 0; i < count; i++) {
        places[i].node = nodes[i];
        snapshot->nodes[i] = &places[i];
    }
    return snapshot;
}

struct packer *extender_packer(struct extender_fixture *f, enum pack_kind kind,
                               const struct node *nodes, size_t count)
{
    struct err err;
    struct random_seeded random;
    random_seeded_init(&random, TEST_SEED);
    struct store *pods = store_new(
        &(const struct store_config){
            .type = &cached_pods, .mem = mem_system(), .random = &random.random},
        &err);
    struct packer *packer = packer_new(kind, mem_system(), &err);
    assert_true(pods && packer);
    assert_true(packer_refresh(packer, extender_snapshot(f, nodes, count), pods, true));
    store_free(pods);
    return packer;
}

struct pod extender_pod(struct extender_fixture *f, const char *requests, const char *annotations,
                        const char *spec)
{
    struct str text =
        arena_printf(&f->arena,
                     "{'metadata':{'namespace':'team','name':'p','uid':'u',"
                     "'labels':{'app.kubernetes.io/managed-by':'callboard'},'annotations':{%s}},"
                     "'spec':{'containers':[{'name':'main','resources':{'requests':{%s}}}]%s%s}}",
                     annotations, requests, comma(spec), spec);
    struct pod pod;
    pod_read(&pod, extender_json(f, text.ptr), f->catalog);
    return pod;
}

struct census *extender_census(struct extender_fixture *f, const struct clock *clock,
                               const struct random *random, struct snapshot_source *source)
{
    struct err err;
    struct census *census = census_new(&(const struct census_config){.mem = mem_system(),
                                                                     .clock = clock,
                                                                     .random = random,
                                                                     .catalog = f->catalog,
                                                                     .source = source},
                                       &err);
    assert_non_null(census);
    return census;
}

struct store *extender_store(const struct store_type *type, const struct random *random,
                             void (*on_change)(void *ctx, const struct stored *before,
                                               const struct stored *after),
                             void *ctx)
{
    struct err err;
    struct store *store = store_new(&(const struct store_config){.type = type,
                                                                 .mem = mem_system(),
                                                                 .random = random,
                                                                 .on_change = on_change,
                                                                 .ctx = ctx},
                                    &err);
    assert_non_null(store);
    return store;
}

struct kube_client *extender_client(struct fake_transport *fake, struct timers *timers,
                                    const struct clock *clock, const struct random *random)
{
    struct err err;
    struct kube_client *client =
        kube_client_new(&(const struct kube_client_config){.transport = &fake->transport,
                                                           .timers = timers,
                                                           .clock = clock,
                                                           .random = random,
                                                           .mem = mem_system(),
                                                           .qps = -1},
                        &err);
    assert_non_null(client);
    return client;
}

struct kube_events *extender_events(struct kube_client *client, struct timers *timers,
                                    const struct clock *clock, const struct random *random)
{
    struct err err;
    struct kube_events *events =
        kube_events_new(&(const struct kube_events_config){.client = client,
                                                           .timers = timers,
                                                           .clock = clock,
                                                           .random = random,
                                                           .mem = mem_system(),
                                                           .component = STR("test"),
                                                           .instance = STR("test")},
                        &err);
    assert_non_null(events);
    return events;
}
