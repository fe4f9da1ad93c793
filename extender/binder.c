/* From a request to a bound pod. */
#include "extender/binder.h"

#include "types/names.h"

#include <stdio.h>

enum { BODY_MAX = 4096, EARLY_MS = 1000 };

/* A pod that is being bound, with everyone who waits for it. */
struct binding {
    struct binding *next;
    struct binder *binder;
    struct bind_request *waiting; /* the first is the one that began it */
    struct kube_pending *call;
    uint64_t devices;
    char doubt[BIND_ERROR_MAX];
};

/* A look at one reservation that is in doubt. */
struct checkup {
    struct kube_pending *call; /* NULL: none is under way */
    struct str uid, node;      /* in `text` */
    char text[512];
};

struct binder {
    struct binder_config config;
    struct checkup checkup;
    struct binding *bindings;
    struct bind_request *early; /* whose pods the watch has not shown yet */
    size_t pending;
    struct counter_family *results;
};

/* ---- Requests ---- */

static struct str copy_text(struct bind_request *request, size_t *used, struct str text)
{
    char *to = (char *)request + *used;
    memcpy(to, text.ptr, text.len);
    *used += text.len;
    return (struct str){to, text.len};
}

struct bind_request *bind_request_new(const struct wire_binding *binding)
{
    size_t size = sizeof(struct bind_request) + binding->namespace.len + binding->name.len +
                  binding->uid.len + binding->node.len;
    struct bind_request *request = mem_alloc(mem_system(), size);
    if (!request)
        return NULL;
    *request = (struct bind_request){.refs = 1, .size = size};
    size_t used = sizeof(*request);
    request->binding = (struct wire_binding){
        .namespace = copy_text(request, &used, binding->namespace),
        .name = copy_text(request, &used, binding->name),
        .uid = copy_text(request, &used, binding->uid),
        .node = copy_text(request, &used, binding->node),
    };
    return request;
}

struct bind_request *bind_request_ref(struct bind_request *request)
{
    atomic_fetch_add_explicit(&request->refs, 1, memory_order_relaxed);
    return request;
}

void bind_request_unref(struct bind_request *request)
{
    if (atomic_fetch_sub_explicit(&request->refs, 1, memory_order_acq_rel) == 1)
        mem_free(mem_system(), request, request->size);
}

/* ---- Answers ---- */

void bind_request_finish(struct bind_request *request, const char *error,
                         void (*answered)(void *ctx, struct bind_request *request), void *ctx)
{
    snprintf(request->error, sizeof(request->error), "%s", error);
    atomic_store_explicit(&request->is_done, true, memory_order_release);
    answered(ctx, request);
}

static void answer(struct binder *binder, struct bind_request *request, const char *error)
{
    binder->pending--;
    bind_request_finish(request, error, binder->config.answered, binder->config.ctx);
}

static void count(struct binder *binder, struct str result)
{
    counter_add(counter_of(binder->results, METRICS_VALUES(result)), 1);
}

static void refuse(struct binder *binder, struct bind_request *request, struct str result,
                   const char *error)
{
    count(binder, result);
    answer(binder, request, error);
}

/* Everyone who waits for it hears the same. */
static void finish(struct binding *binding, struct str result, const char *error)
{
    struct binder *binder = binding->binder;
    struct binding **at = &binder->bindings;
    while (*at != binding)
        at = &(*at)->next;
    *at = binding->next;
    count(binder, result);
    for (struct bind_request *request = binding->waiting, *next; request; request = next) {
        next = request->next;
        answer(binder, request, error);
    }
    mem_free(binder->config.mem, binding, sizeof(*binding));
}

/* ---- Outcomes ---- */

static const struct wire_binding *target_of(const struct binding *binding)
{
    return &binding->waiting->binding;
}

static struct reservation *reservation_of(const struct binding *binding)
{
    const struct wire_binding *target = target_of(binding);
    return census_find_reservation(binding->binder->config.census, target->uid, target->node);
}

static void give_up(struct binding *binding, struct str result, const char *error)
{
    census_release(binding->binder->config.census, reservation_of(binding));
    finish(binding, result, error);
}

/* The reservation stays until the watch shows the pod. */
static void bound(struct binding *binding, struct str result)
{
    char devices[NODE_DEVICES_TEXT];
    const struct wire_binding *target = target_of(binding);
    struct reservation *reservation = reservation_of(binding);
    if (binding->devices != 0)
        log_info(binding->binder->config.log, "bound", LOG_STR("namespace", target->namespace),
                 LOG_STR("pod", target->name), LOG_STR("node", target->node),
                 LOG_STR("devices", node_devices_print(binding->devices, devices)));
    if (reservation)
        reservation->is_bound = true;
    finish(binding, result, "");
}

/* It may still be done by a request that is under way somewhere. */
static void doubt(struct binding *binding, const char *error)
{
    struct reservation *reservation = reservation_of(binding);
    if (reservation)
        census_doubt(binding->binder->config.census, reservation,
                     clock_now_ns(binding->binder->config.clock) + DOUBT_S * CLOCK_NS_PER_SEC);
    finish(binding, STR("unknown"), error);
}

enum fate { FATE_BOUND, FATE_FREE, FATE_ELSEWHERE, FATE_UNKNOWN };

/* What the server says of the pod. */
static enum fate read_fate(const struct binder *binder, const struct kube_result *result,
                           struct str uid, struct str node)
{
    struct arena arena;
    struct err err;
    if (result->outcome == KUBE_NOT_FOUND)
        return FATE_ELSEWHERE;
    if (result->outcome != KUBE_OK)
        return FATE_UNKNOWN;
    arena_init(&arena, binder->config.mem, 16384, 16 * 1024 * 1024);
    const struct json *pod = json_read(&arena, result->body, &json_limits_default, &err);
    struct str bound_to = kube_text_at(pod, "spec", "nodeName", NULL);
    bool is_same = str_eq(kube_text_at(pod, "metadata", "uid", NULL), uid);
    enum fate fate = FATE_ELSEWHERE;
    if (!pod)
        fate = FATE_UNKNOWN;
    else if (is_same && bound_to.len == 0)
        fate = FATE_FREE;
    else if (is_same && str_eq(bound_to, node))
        fate = FATE_BOUND;
    arena_done(&arena);
    return fate;
}

static void on_pod(void *ctx, const struct kube_result *result)
{
    struct binding *binding = ctx;
    const struct wire_binding *target = target_of(binding);
    binding->call = NULL;
    switch (read_fate(binding->binder, result, target->uid, target->node)) {
    case FATE_BOUND:
        bound(binding, STR("found"));
        return;
    case FATE_ELSEWHERE:
        give_up(binding, STR("conflict"), binding->doubt);
        return;
    case FATE_FREE:
    case FATE_UNKNOWN:
        doubt(binding, binding->doubt);
    }
}

static void ask(struct binding *binding, const char *error)
{
    const struct binder_config *config = &binding->binder->config;
    const struct wire_binding *target = target_of(binding);
    const struct kube_call call = {.verb = KUBE_GET,
                                   .resource = &kube_pods,
                                   .namespace = target->namespace,
                                   .name = target->name,
                                   .timeout_ns = config->timeout_ns};
    struct err err;
    snprintf(binding->doubt, sizeof(binding->doubt), "%s", error);
    binding->call = kube_client_call(config->client, &call, on_pod, binding, &err);
    if (!binding->call)
        doubt(binding, binding->doubt);
}

static void on_bound(void *ctx, const struct kube_result *result)
{
    struct binding *binding = ctx;
    char text[BIND_ERROR_MAX];
    binding->call = NULL;
    snprintf(text, sizeof(text), "binding: %s: %" PRIstr, kube_outcome_name(result->outcome),
             STR_ARG(result->message));
    switch (result->outcome) {
    case KUBE_OK:
        bound(binding, STR("bound"));
        return;
    case KUBE_CONFLICT: /* bound already, perhaps by us, or another pod of that name */
    case KUBE_UNKNOWN:  /* the answer was lost */
    case KUBE_ALREADY_EXISTS:
        ask(binding, text);
        return;
    case KUBE_NOT_FOUND:
        give_up(binding, STR("gone"), "the pod is gone");
        return;
    default:
        give_up(binding, STR("failed"), text);
    }
}

/* ---- Sending ---- */

static void write_body(struct buf *body, const struct binding *binding)
{
    const struct wire_binding *target = target_of(binding);
    buf_put(body, STR("{\"apiVersion\":\"v1\",\"kind\":\"Binding\",\"metadata\":{\"name\":"));
    json_write_str(body, target->name);
    buf_put(body, STR(",\"namespace\":"));
    json_write_str(body, target->namespace);
    buf_put(body, STR(",\"uid\":"));
    json_write_str(body, target->uid);
    if (binding->devices != 0) {
        char devices[NODE_DEVICES_TEXT];
        buf_put(body, STR(",\"annotations\":{\"" ANNOTATION_DEVICES "\":"));
        json_write_str(body, node_devices_print(binding->devices, devices));
        buf_put_char(body, '}');
    }
    buf_put(body, STR("},\"target\":{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"name\":"));
    json_write_str(body, target->node);
    buf_put(body, STR("}}"));
}

static int send(struct binding *binding, struct err *err)
{
    const struct binder_config *config = &binding->binder->config;
    const struct wire_binding *target = target_of(binding);
    struct buf body;
    buf_init(&body, config->mem, BODY_MAX);
    write_body(&body, binding);
    int result = -1;
    if (buf_failed(&body)) {
        err_no_memory(err, "binding");
    } else {
        const struct kube_call call = {
            .verb = KUBE_CREATE,
            .resource = &kube_pods,
            .namespace = target->namespace,
            .name = target->name,
            .subresource = STR("binding"),
            .body = buf_str(&body),
            .timeout_ns = config->timeout_ns,
            .retry_until_ns = clock_now_ns(config->clock) + config->timeout_ns};
        binding->call = kube_client_call(config->client, &call, on_bound, binding, err);
        result = binding->call ? 0 : -1;
    }
    buf_done(&body);
    return result;
}

/* ---- Beginning ---- */

/* Again, because kube-scheduler asks about the next pod before it has this one bound, and does not count keys that a pod
 * has by its RuntimeClass alone, nor jobs. */
static enum verdict judge_again(const struct node *node, const struct pod_load *load)
{
    static const enum resource keys[] = {RESOURCE_INDEX_SGX, RESOURCE_INDEX_TDX,
                                         RESOURCE_INDEX_SNP};
    const struct node_facts *facts = node->facts;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        enum resource r = keys[i];
        int64_t wanted = load->amounts.of[r];
        bool is_counted = facts->counted >> r & 1;
        if (is_counted && wanted > 0 && wanted > facts->capacity.of[r] - node->load.amounts.of[r])
            return VERDICT_TEE_TAKEN;
    }
    if (load->is_ours && facts->max_jobs >= 0 && node->load.jobs >= facts->max_jobs)
        return VERDICT_MAX_JOBS;
    return VERDICT_FITS;
}

/* NULL, or why the node cannot take it any more. */
static const char *choose(struct binder *binder, const struct cached_pod *pod, struct str name,
                          struct pod_load *load)
{
    const struct node *node = census_node(binder->config.census, name);
    struct node own;
    int64_t milli = load->amounts.of[RESOURCE_INDEX_MILLI];
    if (!node)
        return "the node is not known to the extender";
    node = census_node_for(binder->config.census, node, pod->stored.uid, pod->priority, &own);
    enum verdict verdict = judge_again(node, load);
    if (verdict != VERDICT_FITS)
        return verdict_reason(verdict).ptr;
    load->devices = 0; /* whatever its annotation says before it is bound */
    if (milli == 0)
        return NULL;
    if (node->facts->gpu_mode != GPU_MODE_IS_SHARED)
        return verdict_reason(VERDICT_IS_NOT_SHARED).ptr;
    if (node_has_stray(node))
        return verdict_reason(VERDICT_STRAY).ptr;
    load->devices = packer_devices(binder->config.packer, node, load, pod->wants_spread);
    if (load->devices)
        return NULL;
    return verdict_reason(milli < NODE_DEVICE_MILLI ? VERDICT_SHARE_TAKEN : VERDICT_DEVICES_TAKEN)
        .ptr;
}

static void start(struct binder *binder, struct bind_request *request, uint64_t devices)
{
    struct err err = {0};
    struct binding *binding = mem_alloc(binder->config.mem, sizeof(*binding));
    if (!binding) {
        struct census *census = binder->config.census;
        census_release(
            census, census_find_reservation(census, request->binding.uid, request->binding.node));
        refuse(binder, request, STR("failed"), "the extender has no memory");
        return;
    }
    *binding = (struct binding){
        .next = binder->bindings, .binder = binder, .waiting = request, .devices = devices};
    binder->bindings = binding;
    if (send(binding, &err) < 0)
        give_up(binding, STR("failed"), err.message);
}

static void begin(struct binder *binder, struct bind_request *request, const struct cached_pod *pod)
{
    struct pod_load load;
    cached_pod_load(pod, *binder->config.catalog, &load);
    const char *problem = choose(binder, pod, request->binding.node, &load);
    if (problem)
        refuse(binder, request, STR("refused"), problem);
    else if (!census_reserve(binder->config.census, &pod->stored, request->binding.node, &load))
        refuse(binder, request, STR("failed"), "the extender has no memory");
    else
        start(binder, request, load.devices);
}

static struct binding *find_binding(struct binder *binder, struct str uid)
{
    struct binding *binding = binder->bindings;
    while (binding && !str_eq(target_of(binding)->uid, uid))
        binding = binding->next;
    return binding;
}

static void join(struct binder *binder, struct binding *binding, struct bind_request *request)
{
    if (!str_eq(target_of(binding)->node, request->binding.node)) {
        refuse(binder, request, STR("conflict"), "the pod is being bound to another node");
        return;
    }
    request->next = binding->waiting->next;
    binding->waiting->next = request;
}

/* kube-scheduler may have heard of the pod a moment before us. */
static void wait_for_pod(struct binder *binder, struct bind_request *request)
{
    int64_t now_ns = clock_now_ns(binder->config.clock);
    if (request->give_up_ns == 0)
        request->give_up_ns = now_ns + EARLY_MS * CLOCK_NS_PER_MS;
    if (now_ns >= request->give_up_ns) {
        refuse(binder, request, STR("gone"), "the extender does not know this pod (yet)");
        return;
    }
    request->next = binder->early;
    binder->early = request;
}

static void bind_now(struct binder *binder, struct bind_request *request)
{
    const struct wire_binding *target = &request->binding;
    request->next = NULL;
    struct binding *under_way = find_binding(binder, target->uid);
    if (under_way) {
        join(binder, under_way, request);
        return;
    }
    struct census *census = binder->config.census;
    struct reservation *reserved = census_find_reservation(census, target->uid, target->node);
    const struct stored *stored = store_get(binder->config.pods, target->namespace, target->name);
    const struct cached_pod *pod = (const struct cached_pod *)stored;
    if (reserved && reserved->is_bound) {
        refuse(binder, request, STR("repeated"), "");
    } else if (!pod || !str_eq(stored->uid, target->uid)) {
        wait_for_pod(binder, request);
    } else if (!pod->asks_us) {
        refuse(binder, request, STR("refused"),
               "the pod is neither for callboard-scheduler nor asks for " RESOURCE_MANAGED);
    } else if (pod->node.len > 0) {
        bool is_same = str_eq(pod->node, target->node);
        refuse(binder, request, is_same ? STR("repeated") : STR("conflict"),
               is_same ? "" : "the pod is bound to another node");
    } else if (reserved) {
        census_doubt(census, reserved, INT64_MAX);
        start(binder, request, reserved->load.devices);
    } else {
        begin(binder, request, pod);
    }
}

void binder_bind(struct binder *binder, struct bind_request *request)
{
    binder->pending++;
    bind_now(binder, request);
}

int64_t binder_run(struct binder *binder)
{
    struct bind_request *request = binder->early, *next;
    binder->early = NULL;
    for (; request; request = next) {
        next = request->next;
        bind_now(binder, request);
    }
    return binder->early ? clock_now_ns(binder->config.clock) + EARLY_MS * CLOCK_NS_PER_MS / 10
                         : INT64_MAX;
}

/* ---- Doubt ---- */

static void on_checkup(void *ctx, const struct kube_result *result)
{
    struct binder *binder = ctx;
    struct checkup *checkup = &binder->checkup;
    struct census *census = binder->config.census;
    checkup->call = NULL;
    struct reservation *reservation = census_find_reservation(census, checkup->uid, checkup->node);
    /* Meanwhile the watch may have shown the pod, or the binding may have been sent again. */
    if (!reservation || reservation->check_ns == INT64_MAX)
        return;
    switch (read_fate(binder, result, checkup->uid, checkup->node)) {
    case FATE_BOUND:
        reservation->is_bound = true;
        census_doubt(census, reservation, INT64_MAX);
        return;
    case FATE_FREE:
    case FATE_ELSEWHERE:
        census_release(census, reservation);
        return;
    case FATE_UNKNOWN:
        census_doubt(census, reservation,
                     clock_now_ns(binder->config.clock) + DOUBT_S * CLOCK_NS_PER_SEC);
    }
}

void binder_tick(struct binder *binder)
{
    struct checkup *checkup = &binder->checkup;
    const struct reservation *r =
        checkup->call ? NULL : census_find_doubtful(binder->config.census);
    if (!r || r->uid.len + r->node.len > sizeof(checkup->text))
        return;
    memcpy(checkup->text, r->uid.ptr, r->uid.len);
    memcpy(checkup->text + r->uid.len, r->node.ptr, r->node.len);
    checkup->uid = (struct str){checkup->text, r->uid.len};
    checkup->node = (struct str){checkup->text + r->uid.len, r->node.len};
    const struct kube_call call = {.verb = KUBE_GET,
                                   .resource = &kube_pods,
                                   .namespace = r->namespace,
                                   .name = r->name,
                                   .timeout_ns = binder->config.timeout_ns};
    struct err err;
    /* When it cannot begin, the next tick tries again. */
    checkup->call = kube_client_call(binder->config.client, &call, on_checkup, binder, &err);
}

/* ---- Making ---- */

struct binder *binder_new(const struct binder_config *config, struct err *err)
{
    struct binder *binder = mem_alloc(config->mem, sizeof(*binder));
    if (!binder) {
        err_no_memory(err, "setting up the binder");
        return NULL;
    }
    *binder = (struct binder){.config = *config};
    if (config->metrics)
        binder->results = metrics_counters(
            config->metrics, "callboard_extender_bindings_total",
            "Bindings by result: bound; found (the answer was lost, but it was done) and repeated, "
            "which are successes; refused (no device fits any more), conflict, gone, unknown, "
            "failed.",
            METRICS_LABELS("result"), 16);
    return binder;
}

void binder_free(struct binder *binder)
{
    if (!binder)
        return;
    for (struct bind_request *request = binder->early, *next; request; request = next) {
        next = request->next;
        refuse(binder, request, STR("unknown"), "the extender is shutting down");
    }
    while (binder->bindings) {
        struct binding *binding = binder->bindings;
        if (binding->call)
            kube_client_cancel(binder->config.client, binding->call);
        finish(binding, STR("unknown"), "the extender is shutting down");
    }
    if (binder->checkup.call)
        kube_client_cancel(binder->config.client, binder->checkup.call);
    mem_free(binder->config.mem, binder, sizeof(*binder));
}

size_t binder_pending(const struct binder *binder)
{
    return binder->pending;
}
