/* Ending pods for devices that kube-scheduler does not see. */
#include "extender/preemptor.h"

#include "extender/victims.h"

#include <stdio.h>

enum {
    BODY_MAX = 4096,
    MESSAGE_MAX = 512,
    ARENA_BLOCK = 64 * 1024,
    ARENA_MAX = 64 * 1024 * 1024,
    FORGET_S = 600, /* after the last refusal */
    STEPS = 65536,
    NODE_STEPS = 4096,
};

/* A pod that was refused. */
struct attempt {
    struct refusal *refusal; /* the last */
    int64_t refused_ns;
    int64_t due_ns; /* no preemption before */
};

struct text_of_victim {
    struct str namespace, name, uid;
};

/* The one preemption that is under way. */
struct eviction {
    struct arena arena;
    struct kube_pending *call; /* NULL: none is under way */
    struct str node;
    struct kube_meta pod; /* the preemptor; its texts are in the arena */
    struct text_of_victim victims[PREEMPTOR_VICTIMS_MAX];
    size_t count, done;
};

struct preemptor {
    struct preemptor_config config;
    struct attempt attempts[PREEMPTOR_PODS_MAX];
    size_t count;
    struct eviction eviction;
    struct counter_family *results, *evictions;
    struct counter *expired;
    struct gauge *holds;
};

/* ---- Refusals ---- */

static bool lacks_devices(uint8_t verdict)
{
    return verdict == VERDICT_SHARE_TAKEN || verdict == VERDICT_DEVICES_TAKEN;
}

static void keep_pod(struct pod *to, const struct pod *pod, char **at)
{
    *to = *pod;
    to->meta = (struct kube_meta){.namespace = str_put(at, pod->meta.namespace),
                                  .name = str_put(at, pod->meta.name),
                                  .uid = str_put(at, pod->meta.uid)};
    to->node = to->scheduler = to->devices = (struct str){NULL, 0};
    /* The type of the nodes' GPUs has been judged. */
    memset(to->products, 0, sizeof(to->products));
    to->product_lists = 0;
}

struct refusal *refusal_new(const struct pod *pod, const struct wire_node *nodes,
                            const uint8_t *verdicts, size_t count)
{
    size_t found = 0, texts = pod->meta.namespace.len + pod->meta.name.len + pod->meta.uid.len;
    if (!pod->may_preempt)
        return NULL;
    for (size_t i = 0; i < count && found < REFUSAL_NODES_MAX; i++) {
        if (verdicts[i] == VERDICT_FITS)
            return NULL;
        if (lacks_devices(verdicts[i])) {
            found++;
            texts += nodes[i].name.len;
        }
    }
    size_t size = sizeof(struct refusal) + found * sizeof(struct str) + texts;
    struct refusal *refusal = found > 0 ? mem_alloc(mem_system(), size) : NULL;
    if (!refusal)
        return NULL;
    char *at = (char *)&refusal->nodes[found];
    *refusal = (struct refusal){.size = size};
    keep_pod(&refusal->pod, pod, &at);
    for (size_t i = 0; refusal->count < found; i++) {
        if (lacks_devices(verdicts[i]))
            refusal->nodes[refusal->count++] = str_put(&at, nodes[i].name);
    }
    return refusal;
}

void refusal_free(struct refusal *refusal)
{
    if (refusal)
        mem_free(mem_system(), refusal, refusal->size);
}

/* ---- Attempts ---- */

static struct attempt *find_attempt(struct preemptor *p, struct str uid)
{
    for (size_t i = 0; i < p->count; i++) {
        if (str_eq(p->attempts[i].refusal->pod.meta.uid, uid))
            return &p->attempts[i];
    }
    return NULL;
}

void preemptor_refused(struct preemptor *p, struct refusal *refusal)
{
    struct attempt *attempt = find_attempt(p, refusal->pod.meta.uid);
    if (p->config.hold_ns == 0 || (!attempt && p->count == PREEMPTOR_PODS_MAX)) {
        refusal_free(refusal);
        return;
    }
    if (!attempt) {
        attempt = &p->attempts[p->count++];
        *attempt = (struct attempt){.due_ns = INT64_MIN};
    }
    refusal_free(attempt->refusal);
    attempt->refusal = refusal;
    attempt->refused_ns = clock_now_ns(p->config.clock);
}

static enum pod_standing standing_of(const struct preemptor *p, const struct attempt *attempt)
{
    const struct kube_meta *pod = &attempt->refusal->pod.meta;
    return cached_pod_standing(p->config.pods, pod->namespace, pod->name, pod->uid,
                               clock_now_ns(p->config.clock) - attempt->refused_ns);
}

static void forget_old(struct preemptor *p)
{
    int64_t now_ns = clock_now_ns(p->config.clock);
    for (size_t i = 0; i < p->count;) {
        struct attempt *attempt = &p->attempts[i];
        if (standing_of(p, attempt) != POD_STANDING_OVER &&
            now_ns - attempt->refused_ns < FORGET_S * CLOCK_NS_PER_SEC) {
            i++;
            continue;
        }
        refusal_free(attempt->refusal);
        *attempt = p->attempts[--p->count];
    }
}

/* The highest priority first, of equals the one that was refused first. */
static struct attempt *next_due(struct preemptor *p)
{
    int64_t now_ns = clock_now_ns(p->config.clock);
    struct attempt *next = NULL;
    for (size_t i = 0; i < p->count; i++) {
        struct attempt *attempt = &p->attempts[i];
        if (attempt->due_ns > now_ns || standing_of(p, attempt) != POD_STANDING_WAITS ||
            census_find_hold(p->config.census, attempt->refusal->pod.meta.uid))
            continue;
        int32_t priority = attempt->refusal->pod.priority;
        if (!next || priority > next->refusal->pod.priority ||
            (priority == next->refusal->pod.priority && attempt->refused_ns < next->refused_ns))
            next = attempt;
    }
    return next;
}

/* ---- Choosing ---- */

struct choice {
    struct victims victims;
    struct str node;
    uint64_t devices;
};

/* Whether it fits without those of a lower priority than this who leave already; `after` is the node then. */
static bool will_fit(const struct preemptor *p, const struct pod *pod,
                     const struct snapshot_node *at, int64_t below, struct node *after)
{
    int64_t age_ns = snapshot_heartbeat_age_ns(at, clock_now_ns(p->config.clock));
    const struct stored *stored = store_first_owned(p->config.pods, at->node.facts->name);
    for (; stored; stored = store_next_owned(stored)) {
        struct pod_load load;
        const struct cached_pod *other = (const struct cached_pod *)stored;
        if (!stored->is_deleting || !cached_pod_counts(other) || other->priority >= below)
            continue;
        cached_pod_load(other, *p->config.catalog, &load);
        node_load_remove(&after->load, &load);
    }
    return filter_judge_all(pod, after, age_ns) == VERDICT_FITS;
}

static bool hold(const struct preemptor *p, const struct pod *pod, struct str node,
                 uint64_t devices)
{
    /* Nothing but the devices: all else kube-scheduler counts by itself when the pod is bound. */
    const struct pod_load load = {
        .amounts.of[RESOURCE_INDEX_MILLI] = pod->amounts.of[RESOURCE_INDEX_MILLI],
        .devices = devices};
    int64_t until_ns = clock_now_ns(p->config.clock) + p->config.hold_ns;
    return devices != 0 &&
           census_hold(p->config.census, pod->meta.uid, pod->priority, node, &load, until_ns);
}

static uint64_t choose_devices(const struct pod *pod, const struct node *node)
{
    return node_choose_devices(node, pod->amounts.of[RESOURCE_INDEX_MILLI], pod->wants_spread);
}

/* Pods of lower priority leave: perhaps for this one, by kube-scheduler's preemption or by that of a replica
 * before this one, so that their devices are held for it. Others that leave may be waited for. */
static bool wait_for_those_who_leave(const struct preemptor *p, const struct pod *pod,
                                     const struct snapshot_node *at, const struct node *node)
{
    struct node after = *node;
    if (will_fit(p, pod, at, INT64_MIN, &after)) /* it only has to be asked about again */
        return true;
    if (will_fit(p, pod, at, pod->priority, &after)) {
        hold(p, pod, at->node.facts->name, choose_devices(pod, &after));
        return true;
    }
    after = *node;
    return will_fit(p, pod, at, INT64_MAX, &after);
}

/* What it will get when they have gone. */
static uint64_t devices_after(const struct pod *pod, const struct node *node,
                              const struct victims *victims)
{
    struct node after = *node;
    for (size_t i = 0; i < victims->count; i++) {
        if (victims->all[i].is_chosen)
            node_load_remove(&after.load, &victims->all[i].load);
    }
    return choose_devices(pod, &after);
}

enum outlook { OUTLOOK_VICTIMS, OUTLOOK_WAIT, OUTLOOK_NONE };

static enum outlook look_at_node(const struct preemptor *p, const struct pod *pod, struct str name,
                                 size_t *steps, struct arena *arena, struct choice *best)
{
    const struct snapshot_node *at = census_snapshot_node(p->config.census, name);
    struct choice choice = {.node = name};
    struct node own;
    if (!at)
        return OUTLOOK_NONE;
    const struct node *node =
        census_node_for(p->config.census, &at->node, pod->meta.uid, pod->priority, &own);
    if (wait_for_those_who_leave(p, pod, at, node))
        return OUTLOOK_WAIT;
    size_t own_steps = *steps < NODE_STEPS ? *steps : NODE_STEPS, rest = *steps - own_steps;
    const struct victims_question question = {
        .pod = pod,
        .node = node,
        .heartbeat_age_ns = snapshot_heartbeat_age_ns(at, clock_now_ns(p->config.clock)),
        .catalog = *p->config.catalog,
        .pods = p->config.pods,
        .budgets = p->config.budgets,
        .steps = &own_steps,
    };
    enum victims_result result = victims_choose(&question, arena, &choice.victims);
    *steps = rest + own_steps;
    if (result != VICTIMS_FOUND || choice.victims.cost.budgets > 0 ||
        choice.victims.chosen > PREEMPTOR_VICTIMS_MAX)
        return OUTLOOK_NONE;
    if (best->victims.chosen > 0 && victims_compare(&choice.victims.cost, &best->victims.cost) >= 0)
        return OUTLOOK_VICTIMS;
    choice.devices = devices_after(pod, node, &choice.victims);
    *best = choice;
    return OUTLOOK_VICTIMS;
}

static enum outlook look_around(const struct preemptor *p, const struct refusal *refusal,
                                struct arena *arena, struct choice *best)
{
    enum outlook outlook = OUTLOOK_NONE;
    size_t steps = STEPS;
    *best = (struct choice){0};
    for (size_t i = 0; i < refusal->count; i++) {
        enum outlook one = look_at_node(p, &refusal->pod, refusal->nodes[i], &steps, arena, best);
        if (one == OUTLOOK_WAIT)
            return one;
        if (one == OUTLOOK_VICTIMS)
            outlook = one;
    }
    return outlook;
}

/* ---- Ending pods ---- */

static void count(struct preemptor *p, struct str result)
{
    counter_add(counter_of(p->results, METRICS_VALUES(result)), 1);
}

static void tell_preemptor(struct preemptor *p, bool is_warning, const char *reason,
                           const char *message)
{
    const struct kube_meta *pod = &p->eviction.pod;
    kube_events_record(p->config.events,
                       &(const struct kube_event){.resource = &kube_pods,
                                                  .namespace = pod->namespace,
                                                  .name = pod->name,
                                                  .uid = pod->uid,
                                                  .is_warning = is_warning,
                                                  .reason = reason,
                                                  .message = str_from_cstr(message)});
}

static void tell_victim(struct preemptor *p, const struct text_of_victim *victim)
{
    const struct eviction *e = &p->eviction;
    char message[MESSAGE_MAX];
    snprintf(message, sizeof(message),
             "Preempted by pod %" PRIstr "/%" PRIstr " on node %" PRIstr ", for its GPU devices",
             STR_ARG(e->pod.namespace), STR_ARG(e->pod.name), STR_ARG(e->node));
    kube_events_record(p->config.events,
                       &(const struct kube_event){.resource = &kube_pods,
                                                  .namespace = victim->namespace,
                                                  .name = victim->name,
                                                  .uid = victim->uid,
                                                  .reason = "Preempted",
                                                  .message = str_from_cstr(message)});
    log_info(p->config.log, "evicted", LOG_STR("namespace", victim->namespace),
             LOG_STR("pod", victim->name), LOG_STR("node", e->node),
             LOG_STR("forNamespace", e->pod.namespace), LOG_STR("for", e->pod.name));
}

static void write_body(struct buf *body, const struct text_of_victim *victim)
{
    buf_put(body,
            STR("{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":"));
    json_write_str(body, victim->name);
    buf_put(body, STR(",\"namespace\":"));
    json_write_str(body, victim->namespace);
    buf_put(body, STR("},\"deleteOptions\":{\"preconditions\":{\"uid\":"));
    json_write_str(body, victim->uid);
    buf_put(body, STR("}}}"));
}

static void end_eviction(struct preemptor *p)
{
    arena_reset(&p->eviction.arena);
    p->eviction.count = p->eviction.done = 0;
}

/* Those who have been ended are ended; when there are none, nothing is kept. */
static void stop_evicting(struct preemptor *p, struct str result, const char *reason,
                          struct str message)
{
    char text[MESSAGE_MAX];
    snprintf(text, sizeof(text), "pods on node %" PRIstr " could not be evicted: %.*s",
             STR_ARG(p->eviction.node), (int)(message.len < 256 ? message.len : 256), message.ptr);
    tell_preemptor(p, true, reason, text);
    log_warn(p->config.log, "not evicted", LOG_STR("node", p->eviction.node),
             LOG_STR("forNamespace", p->eviction.pod.namespace),
             LOG_STR("for", p->eviction.pod.name), LOG_STR("error", message));
    if (p->eviction.done == 0)
        census_unhold(p->config.census, p->eviction.pod.uid);
    count(p, result);
    end_eviction(p);
}

static void evict_next(struct preemptor *p);

static void on_evicted(void *ctx, const struct kube_result *result)
{
    struct preemptor *p = ctx;
    struct eviction *e = &p->eviction;
    e->call = NULL;
    counter_add(
        counter_of(p->evictions, METRICS_VALUES(str_from_cstr(kube_outcome_name(result->outcome)))),
        1);
    switch (result->outcome) {
    case KUBE_OK:
        tell_victim(p, &e->victims[e->done]);
        break;
    case KUBE_NOT_FOUND: /* gone by itself, or another pod of that name */
    case KUBE_CONFLICT:
        break;
    case KUBE_UNKNOWN: /* it may go */
        e->done++;
        stop_evicting(p, STR("failed"), "PreemptionFailed", result->message);
        return;
    case KUBE_BUSY: /* its PodDisruptionBudget */
        stop_evicting(p, STR("blocked"), "PreemptionBlocked", result->message);
        return;
    default:
        stop_evicting(p, STR("failed"), "PreemptionFailed", result->message);
        return;
    }
    e->done++;
    evict_next(p);
}

static void evict_next(struct preemptor *p)
{
    struct eviction *e = &p->eviction;
    if (e->done == e->count) {
        count(p, STR("done"));
        end_eviction(p);
        return;
    }
    const struct text_of_victim *victim = &e->victims[e->done];
    struct buf body;
    struct err err = {0};
    buf_init(&body, p->config.mem, BODY_MAX);
    write_body(&body, victim);
    /* A budget that forbids it does so for a while: nothing is gained by asking again at once. */
    const struct kube_call call = {.verb = KUBE_CREATE,
                                   .resource = &kube_pods,
                                   .namespace = victim->namespace,
                                   .name = victim->name,
                                   .subresource = STR("eviction"),
                                   .body = buf_str(&body),
                                   .retry_until_ns = 1};
    if (buf_failed(&body))
        err_no_memory(&err, "evicting");
    else
        e->call = kube_client_call(p->config.client, &call, on_evicted, p, &err);
    buf_done(&body);
    if (!e->call)
        stop_evicting(p, STR("failed"), "PreemptionFailed", str_from_cstr(err.message));
}

static bool copy_text(struct arena *arena, struct str *text)
{
    *text = arena_copy(arena, *text);
    return text->ptr != NULL;
}

/* Those that a budget guards come first: when it does not let them go, nobody has gone in vain. */
static bool keep_victims(struct eviction *e, const struct victims *victims)
{
    bool is_good = true;
    e->count = e->done = 0;
    for (int has_budget = 1; has_budget >= 0; has_budget--) {
        for (size_t i = 0; i < victims->count; i++) {
            const struct victim *victim = &victims->all[i];
            if (!victim->is_chosen || victim->pod->stored.is_deleting ||
                (victim->budget_count > 0) != has_budget)
                continue;
            const struct stored *pod = &victim->pod->stored;
            struct text_of_victim *to = &e->victims[e->count++];
            *to = (struct text_of_victim){pod->namespace, pod->name, pod->uid};
            is_good = copy_text(&e->arena, &to->namespace) && copy_text(&e->arena, &to->name) &&
                      copy_text(&e->arena, &to->uid) && is_good;
        }
    }
    return is_good;
}

static bool keep_choice(struct eviction *e, const struct pod *pod, const struct choice *choice)
{
    e->node = choice->node;
    e->pod = pod->meta;
    return copy_text(&e->arena, &e->node) && copy_text(&e->arena, &e->pod.namespace) &&
           copy_text(&e->arena, &e->pod.name) && copy_text(&e->arena, &e->pod.uid) &&
           keep_victims(e, &choice->victims);
}

static void begin(struct preemptor *p, const struct pod *pod, const struct choice *choice)
{
    struct eviction *e = &p->eviction;
    char devices[NODE_DEVICES_TEXT], message[MESSAGE_MAX];
    if (!keep_choice(e, pod, choice) || !hold(p, pod, choice->node, choice->devices)) {
        count(p, STR("failed"));
        end_eviction(p);
        return;
    }
    struct str list = node_devices_print(choice->devices, devices);
    snprintf(message, sizeof(message),
             "No device has enough left: evicting %zu pod%s of lower priority from node %" PRIstr
             ", and holding its devices %" PRIstr " for %lld s",
             e->count, e->count == 1 ? "" : "s", STR_ARG(e->node), STR_ARG(list),
             (long long)(p->config.hold_ns / CLOCK_NS_PER_SEC));
    tell_preemptor(p, false, "PreemptionStarted", message);
    evict_next(p);
}

/* ---- Every second ---- */

static void attempt_next(struct preemptor *p)
{
    struct attempt *attempt = next_due(p);
    struct arena arena;
    struct choice choice;
    if (!attempt)
        return;
    arena_init(&arena, p->config.mem, ARENA_BLOCK, ARENA_MAX);
    const struct refusal *refusal = attempt->refusal;
    enum outlook outlook = look_around(p, refusal, &arena, &choice);
    /* The next refusal tells of new nodes; until then, and while pods leave, others have their turn. */
    attempt->due_ns = clock_now_ns(p->config.clock) +
                      (outlook == OUTLOOK_VICTIMS ? p->config.hold_ns : 5 * CLOCK_NS_PER_SEC);
    if (outlook == OUTLOOK_VICTIMS)
        begin(p, &refusal->pod, &choice);
    else
        count(p, outlook == OUTLOOK_WAIT ? STR("waits") : STR("none"));
    arena_done(&arena);
}

void preemptor_tick(struct preemptor *p, bool is_active)
{
    size_t expired = census_expire_holds(p->config.census);
    counter_add(p->expired, expired);
    if (expired > 0)
        log_warn(p->config.log, "devices were held for pods that were not bound in time",
                 LOG_UINT("holds", expired));
    forget_old(p);
    if (is_active && p->eviction.count == 0)
        attempt_next(p);
    gauge_set(p->holds, (double)census_holds(p->config.census));
}

/* ---- Making and freeing ---- */

static void add_metrics(struct preemptor *p)
{
    struct metrics *m = p->config.metrics;
    if (!m)
        return;
    p->results = metrics_counters(
        m, "callboard_extender_preemptions_total",
        "Looks at pods that lack nothing but devices: done (pods of lower priority were evicted), "
        "waits (pods leave whose devices will do), none (no such pods, or budgets guard them), "
        "blocked (a budget forbade it at last), failed.",
        METRICS_LABELS("result"), 8);
    p->evictions = metrics_counters(m, "callboard_extender_evictions_total",
                                    "Evictions for pods that lack nothing but devices.",
                                    METRICS_LABELS("outcome"), 16);
    p->expired = metrics_counter(m, "callboard_extender_holds_expired_total",
                                 "Holds that ended before their pods were bound.");
    p->holds = metrics_gauge(m, "callboard_extender_holds",
                             "Pods for which devices are held that were freed for them.");
}

struct preemptor *preemptor_new(const struct preemptor_config *config, struct err *err)
{
    struct preemptor *p = mem_alloc(config->mem, sizeof(*p));
    if (!p) {
        err_no_memory(err, "setting up preemption");
        return NULL;
    }
    *p = (struct preemptor){.config = *config};
    arena_init(&p->eviction.arena, config->mem, BODY_MAX, ARENA_MAX);
    add_metrics(p);
    return p;
}

void preemptor_free(struct preemptor *p)
{
    if (!p)
        return;
    if (p->eviction.call)
        kube_client_cancel(p->config.client, p->eviction.call);
    arena_done(&p->eviction.arena);
    for (size_t i = 0; i < p->count; i++)
        refusal_free(p->attempts[i].refusal);
    mem_free(p->config.mem, p, sizeof(*p));
}
