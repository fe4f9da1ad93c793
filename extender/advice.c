/* Why pods wait, and what would help. */
#include "extender/advice.h"

#include "base/utf8.h"

enum {
    FIRST_S = 10, /* until then most have found a node */
    AGAIN_MAX_S = 3600,
    EXAMPLES = 2,
    /* Of a message: a sentence must fit the rest. */
    SENTENCES_MAX = 5,
    ARENA_BLOCK = 64 * 1024,
    ARENA_MAX = 16 * 1024 * 1024,
};

/* A pod that waits. One allocation with its texts. */
struct waiting {
    size_t size;
    struct str namespace, name, uid;
    int64_t due_ns;
    int64_t pause_s; /* until the next look after that */
};

struct advice {
    struct advice_config config;
    struct waiting *pods[ADVICE_PODS_MAX];
    size_t count;
    struct kube_pending *pending;
    struct waiting *asked; /* about it; NULL when it has gone meanwhile */
};

/* ---- Texts ---- */

/* Verdicts on all nodes, with the first nodes of each. */
struct survey {
    size_t counts[VERDICT_COUNT];
    struct str examples[VERDICT_COUNT][EXAMPLES];
};

static void look_around(struct survey *survey, const struct pod *pod,
                        const struct snapshot *snapshot, int64_t now_ns)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct snapshot_node *at = snapshot->nodes[i];
        struct node own;
        const struct node *node =
            snapshot_node_for(snapshot, at, pod->meta.uid, pod->priority, &own);
        enum verdict verdict = filter_judge_all(pod, node, snapshot_heartbeat_age_ns(at, now_ns));
        if (survey->counts[verdict] < EXAMPLES)
            survey->examples[verdict][survey->counts[verdict]] = at->node.facts->name;
        survey->counts[verdict]++;
    }
}

static void put_examples(struct buf *buf, const struct survey *survey, enum verdict verdict)
{
    size_t count = survey->counts[verdict];
    for (size_t i = 0; i < count && i < EXAMPLES; i++)
        buf_printf(buf, "%s%" PRIstr, i > 0 ? ", " : " (", STR_ARG(survey->examples[verdict][i]));
    buf_put(buf, count > EXAMPLES ? STR(", …)") : STR(")"));
}

static void put_count(struct buf *buf, size_t count)
{
    buf_printf(buf, " %zu %s", count, count == 1 ? "node" : "nodes");
}

void advice_write(struct buf *buf, const struct pod *pod, const struct snapshot *snapshot,
                  int64_t now_ns)
{
    struct survey survey = {0};
    size_t sentences = 0;
    look_around(&survey, pod, snapshot, now_ns);
    if (snapshot->count == 0)
        buf_put(buf, STR("there are no nodes: add some"));
    if (survey.counts[VERDICT_FITS] > 0) {
        buf_put(buf, STR("has the hardware and room:"));
        put_count(buf, survey.counts[VERDICT_FITS]);
        put_examples(buf, &survey, VERDICT_FITS);
        buf_put(buf, STR(": labels, affinity, taints or volumes keep the pod off it; "
                         "FailedScheduling has kube-scheduler's reasons"));
        sentences++;
    }
    /* Those that come later are nearer to fitting: the rules are judged in that order. */
    for (int v = VERDICT_COUNT - 1; v > VERDICT_FITS && sentences < SENTENCES_MAX; v--) {
        enum verdict verdict = (enum verdict)v;
        if (survey.counts[v] == 0)
            continue;
        buf_put(buf, sentences++ > 0 ? STR(". ") : STR(""));
        buf_put(buf, verdict_reason(verdict));
        buf_put_char(buf, ':');
        put_count(buf, survey.counts[v]);
        put_examples(buf, &survey, verdict);
        buf_put(buf, STR(": "));
        buf_put(buf, verdict_help(verdict));
    }
}

/* ---- Pods that wait ---- */

static struct waiting **find(struct advice *advice, struct str uid)
{
    for (size_t i = 0; i < advice->count; i++) {
        if (str_eq(advice->pods[i]->uid, uid))
            return &advice->pods[i];
    }
    return NULL;
}

static void add(struct advice *advice, const struct stored *pod)
{
    if (advice->count == ADVICE_PODS_MAX || find(advice, pod->uid))
        return;
    size_t size = sizeof(struct waiting) + pod->namespace.len + pod->name.len + pod->uid.len;
    struct waiting *waiting = mem_alloc(advice->config.mem, size);
    if (!waiting)
        return;
    char *at = (char *)(waiting + 1);
    *waiting = (struct waiting){
        .size = size,
        .namespace = str_put(&at, pod->namespace),
        .name = str_put(&at, pod->name),
        .uid = str_put(&at, pod->uid),
        .due_ns = clock_now_ns(advice->config.clock) + FIRST_S * CLOCK_NS_PER_SEC,
        .pause_s = advice->config.period_s,
    };
    advice->pods[advice->count++] = waiting;
}

static void drop(struct advice *advice, struct str uid)
{
    struct waiting **at = find(advice, uid);
    if (!at)
        return;
    struct waiting *waiting = *at;
    *at = advice->pods[--advice->count];
    if (advice->asked == waiting)
        advice->asked = NULL;
    mem_free(advice->config.mem, waiting, waiting->size);
}

static bool is_waiting(const struct stored *pod)
{
    return pod && !pod->is_deleting && ((const struct cached_pod *)pod)->is_waiting;
}

void advice_pod_changed(struct advice *advice, const struct stored *before,
                        const struct stored *after)
{
    bool was = is_waiting(before), is = is_waiting(after);
    if (was && (!is || !str_eq(before->uid, after->uid)))
        drop(advice, before->uid);
    if (is)
        add(advice, after);
}

/* ---- Asking and telling ---- */

static void tell(struct advice *advice, const struct kube_meta *meta, struct str text)
{
    const struct advice_config *config = &advice->config;
    if (config->advised)
        config->advised(config->ctx, meta, text);
    kube_events_record(config->events,
                       &(const struct kube_event){.resource = &kube_pods,
                                                  .namespace = meta->namespace,
                                                  .name = meta->name,
                                                  .uid = meta->uid,
                                                  .resource_version = meta->resource_version,
                                                  .is_warning = true,
                                                  .reason = "NoNodeFits",
                                                  .message = text});
}

/* What cannot be read is asked for again, like what was not answered. */
static void advise(struct advice *advice, struct waiting *waiting, struct str body,
                   struct arena *arena)
{
    struct err err;
    struct snapshot *snapshot = snapshot_get(advice->config.source);
    const struct json *object = json_read(arena, body, &json_limits_default, &err);
    struct buf text;
    buf_init(&text, arena_mem(arena), 4 * ADVICE_TEXT_MAX);
    if (object && snapshot) {
        struct pod pod;
        pod_read(&pod, object, snapshot->catalog);
        if (str_eq(pod.meta.uid, waiting->uid) && pod.node.len == 0) {
            advice_write(&text, &pod, snapshot, clock_now_ns(advice->config.clock));
            if (!buf_failed(&text))
                tell(advice, &pod.meta, utf8_cut(buf_str(&text), ADVICE_TEXT_MAX));
        }
    }
    snapshot_unref(snapshot);
}

static void on_pod(void *ctx, const struct kube_result *result)
{
    struct advice *advice = ctx;
    struct waiting *waiting = advice->asked;
    advice->pending = NULL;
    advice->asked = NULL;
    if (!waiting || result->outcome != KUBE_OK)
        return;
    struct arena arena;
    arena_init(&arena, advice->config.mem, ARENA_BLOCK, ARENA_MAX);
    advise(advice, waiting, result->body, &arena);
    arena_done(&arena);
}

static struct waiting *next_due(struct advice *advice)
{
    struct waiting *next = NULL;
    for (size_t i = 0; i < advice->count; i++) {
        if (!next || advice->pods[i]->due_ns < next->due_ns)
            next = advice->pods[i];
    }
    return next && next->due_ns <= clock_now_ns(advice->config.clock) ? next : NULL;
}

void advice_tick(struct advice *advice)
{
    struct waiting *waiting = advice->pending ? NULL : next_due(advice);
    struct err err;
    if (!waiting)
        return;
    const struct kube_call call = {.verb = KUBE_GET,
                                   .resource = &kube_pods,
                                   .namespace = waiting->namespace,
                                   .name = waiting->name};
    waiting->due_ns = clock_now_ns(advice->config.clock) + waiting->pause_s * CLOCK_NS_PER_SEC;
    waiting->pause_s = waiting->pause_s < AGAIN_MAX_S / 2 ? 2 * waiting->pause_s : AGAIN_MAX_S;
    advice->asked = waiting;
    advice->pending = kube_client_call(advice->config.client, &call, on_pod, advice, &err);
    if (!advice->pending)
        advice->asked = NULL;
}

/* ---- Making and freeing ---- */

struct advice *advice_new(const struct advice_config *config, struct err *err)
{
    struct advice *advice = mem_alloc(config->mem, sizeof(*advice));
    if (!advice) {
        err_no_memory(err, "setting up the events of pods that wait");
        return NULL;
    }
    *advice = (struct advice){.config = *config};
    return advice;
}

void advice_free(struct advice *advice)
{
    if (!advice)
        return;
    if (advice->pending)
        kube_client_cancel(advice->config.client, advice->pending);
    for (size_t i = 0; i < advice->count; i++)
        mem_free(advice->config.mem, advice->pods[i], advice->pods[i]->size);
    mem_free(advice->config.mem, advice, sizeof(*advice));
}
