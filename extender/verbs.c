/* Answering kube-scheduler, and people. */
#include "extender/verbs.h"

#include "extender/pick.h"
#include "types/names.h"

#include <stdio.h>

enum {
    ANSWER_MAX = 256 * 1024 * 1024, /* the request's arena ends before */
};

static const char not_active[] = "this replica of callboard-extender is not active: another one "
                                 "holds the Lease, or it has yet to "
                                 "list nodes and pods";

/* ---- Metrics ---- */

/* Nodes by what is taken of them; one collector for each, over one snapshot. */
static double percent_of(const struct node *node, enum resource r)
{
    int64_t capacity = node->facts->capacity.of[r];
    return capacity > 0 ? 100.0 * (double)node->load.amounts.of[r] / (double)capacity : 0;
}

static void collect_percent(struct verbs *verbs, struct metrics_scrape *scrape, enum resource r)
{
    struct snapshot *snapshot = snapshot_get(verbs->source);
    for (size_t i = 0; snapshot && i < snapshot->count; i++) {
        const struct node *node = &snapshot->nodes[i]->node;
        metrics_sample(scrape, METRICS_VALUES(node->facts->name), percent_of(node, r));
    }
    snapshot_unref(snapshot);
}

static void collect_cpu(void *ctx, struct metrics_scrape *scrape)
{
    collect_percent(ctx, scrape, RESOURCE_INDEX_CPU);
}

static void collect_memory(void *ctx, struct metrics_scrape *scrape)
{
    collect_percent(ctx, scrape, RESOURCE_INDEX_MEMORY);
}

static double gpu_percent(const struct node *node)
{
    if (node->facts->gpu_mode != GPU_MODE_IS_SHARED)
        return percent_of(node, RESOURCE_INDEX_GPUS);
    int64_t left = 0, all = (int64_t)node->facts->device_count * NODE_DEVICE_MILLI;
    for (unsigned i = 0; i < node->facts->device_count; i++)
        left += node_device_left(node, i);
    return all > 0 ? 100.0 * (double)(all - left) / (double)all : 0;
}

static void collect_gpus(void *ctx, struct metrics_scrape *scrape)
{
    struct verbs *verbs = ctx;
    struct snapshot *snapshot = snapshot_get(verbs->source);
    for (size_t i = 0; snapshot && i < snapshot->count; i++) {
        const struct node *node = &snapshot->nodes[i]->node;
        if (node->facts->gpu_mode != GPU_MODE_IS_NONE)
            metrics_sample(scrape, METRICS_VALUES(node->facts->name), gpu_percent(node));
    }
    snapshot_unref(snapshot);
}

static void collect_ages(void *ctx, struct metrics_scrape *scrape)
{
    struct verbs *verbs = ctx;
    int64_t now_ns = clock_now_ns(verbs->clock);
    struct snapshot *snapshot = snapshot_get(verbs->source);
    for (size_t i = 0; snapshot && i < snapshot->count; i++) {
        int64_t age_ns = snapshot_heartbeat_age_ns(snapshot->nodes[i], now_ns);
        if (age_ns >= 0)
            metrics_sample(scrape, METRICS_VALUES(snapshot->nodes[i]->node.facts->name),
                           (double)age_ns / 1e9);
    }
    snapshot_unref(snapshot);
}

static void collect_jobs(void *ctx, struct metrics_scrape *scrape)
{
    struct verbs *verbs = ctx;
    struct snapshot *snapshot = snapshot_get(verbs->source);
    for (size_t i = 0; snapshot && i < snapshot->count; i++) {
        const struct node *node = &snapshot->nodes[i]->node;
        metrics_sample(scrape, METRICS_VALUES(node->facts->name), (double)node->load.jobs);
    }
    snapshot_unref(snapshot);
}

static void collect_states(void *ctx, struct metrics_scrape *scrape)
{
    struct verbs *verbs = ctx;
    size_t counts[WORKER_STATES] = {0};
    int64_t now_ns = clock_now_ns(verbs->clock);
    struct snapshot *snapshot = snapshot_get(verbs->source);
    for (size_t i = 0; snapshot && i < snapshot->count; i++) {
        const struct snapshot_node *at = snapshot->nodes[i];
        counts[worker_state_of(&at->node, snapshot_heartbeat_age_ns(at, now_ns))]++;
    }
    for (int s = 0; s < WORKER_STATES; s++)
        metrics_sample(scrape, METRICS_VALUES(worker_state_name((enum worker_state)s)),
                       (double)counts[s]);
    snapshot_unref(snapshot);
}

static void collect_waiting(void *ctx, struct metrics_scrape *scrape)
{
    struct verbs *verbs = ctx;
    metrics_sample(scrape, METRICS_NO_VALUES, (double)decisions_waiting(verbs->decisions));
}

void verbs_add_metrics(struct verbs *verbs)
{
    enum { NODES_MAX = 10000 };
    struct metrics *m = verbs->metrics;
    verbs->seconds = metrics_histograms(m, "callboard_extender_request_seconds",
                                        "Time to answer a request of kube-scheduler.",
                                        METRICS_LABELS("verb"), 8, metrics_buckets_latency);
    verbs->requests = metrics_counters(m, "callboard_extender_requests_total",
                                       "Requests of kube-scheduler by result: ok, error.",
                                       METRICS_LABELS("verb", "result"), 16);
    verbs->verdicts = metrics_counters(m, "callboard_extender_verdicts_total",
                                       "Nodes judged, by what came out: fits, or the reason.",
                                       METRICS_LABELS("reason"), VERDICT_COUNT + 1);
    verbs->preemption_nodes = metrics_counters(
        m, "callboard_extender_preemption_nodes_total",
        "Nodes on which kube-scheduler would end pods for one of higher priority: kept as it "
        "said, changed (other pods free the devices), dropped (none do).",
        METRICS_LABELS("result"), 4);
    verbs->held = metrics_counter(
        m, "callboard_extender_held_total",
        "Questions whose answer was put off because too many bindings were under way.");
    metrics_collector(m, METRICS_GAUGE, "callboard_extender_waiting_pods",
                      "Pods for which the last filtering found no node.", METRICS_NO_LABELS, 1,
                      collect_waiting, verbs);
    metrics_collector(m, METRICS_GAUGE, "callboard_node_workers",
                      "Nodes by state: Available, Running (has pods of ours), Draining, Unhealthy "
                      "(heartbeat overdue), Failed.",
                      METRICS_LABELS("state"), WORKER_STATES, collect_states, verbs);
    metrics_collector(m, METRICS_GAUGE, "callboard_node_heartbeat_age_seconds",
                      "Time since the node's Lease was renewed, as far as it was seen.",
                      METRICS_LABELS("node"), NODES_MAX, collect_ages, verbs);
    metrics_collector(m, METRICS_GAUGE, "callboard_node_jobs", "Pods of ours on the node.",
                      METRICS_LABELS("node"), NODES_MAX, collect_jobs, verbs);
    metrics_collector(m, METRICS_GAUGE, "callboard_node_cpu_requested_percent",
                      "CPU that pods have requested of what is allocatable.",
                      METRICS_LABELS("node"), NODES_MAX, collect_cpu, verbs);
    metrics_collector(m, METRICS_GAUGE, "callboard_node_memory_requested_percent",
                      "Memory that pods have requested of what is allocatable.",
                      METRICS_LABELS("node"), NODES_MAX, collect_memory, verbs);
    metrics_collector(m, METRICS_GAUGE, "callboard_node_gpu_allocated_percent",
                      "GPUs that are given out; shares count in part.", METRICS_LABELS("node"),
                      NODES_MAX, collect_gpus, verbs);
}

static void observe(struct verbs *verbs, struct str verb, int64_t start_ns, struct str result)
{
    double seconds = (double)(clock_now_ns(verbs->clock) - start_ns) / 1e9;
    histogram_observe(histogram_of(verbs->seconds, METRICS_VALUES(verb)), seconds);
    counter_add(counter_of(verbs->requests, METRICS_VALUES(verb, result)), 1);
}

/* How many fit. */
static size_t count_verdicts(struct verbs *verbs, const uint8_t *verdicts, size_t count)
{
    size_t counts[VERDICT_COUNT] = {0};
    for (size_t i = 0; i < count; i++)
        counts[verdicts[i]]++;
    for (int v = 0; v < VERDICT_COUNT; v++) {
        if (counts[v] > 0)
            counter_add(
                counter_of(verbs->verdicts, METRICS_VALUES(verdict_reason((enum verdict)v))),
                counts[v]);
    }
    return counts[VERDICT_FITS];
}

/* ---- A request about a pod and nodes ---- */

struct question {
    struct arena *arena;
    struct wire_args args;
    struct snapshot *snapshot;
    struct pod pod;
    struct wire_node *nodes;
    size_t count;
};

static int read_question(struct verbs *verbs, const struct http_request *request,
                         struct question *q, struct err *err)
{
    *q = (struct question){.arena = request->arena};
    if (!atomic_load(&verbs->is_active))
        return err_set(err, 503, "%s", not_active);
    if (wire_read_args(request->body, &q->args, err) < 0 ||
        wire_read_nodes(&q->args, q->arena, &q->nodes, &q->count, err) < 0)
        return -1;
    const struct json *tree = json_read(q->arena, q->args.pod, &json_limits_default, err);
    if (!tree)
        return err_wrap(err, "Pod");
    q->snapshot = snapshot_get(verbs->source);
    if (!q->snapshot)
        return err_set(err, 503, "%s", not_active);
    pod_read(&q->pod, tree, q->snapshot->catalog);
    return 0;
}

/* The nodes of the question from that one on; how many they are. */
static size_t find_some(const struct question *q, size_t start,
                        const struct snapshot_node *ret[SNAPSHOT_FIND_MAX])
{
    size_t count = q->count - start < SNAPSHOT_FIND_MAX ? q->count - start : SNAPSHOT_FIND_MAX;
    snapshot_find_all(q->snapshot, &q->nodes[start].name, sizeof(q->nodes[0]), count, ret);
    return count;
}

static void send_json(const struct http_request *request, struct http_response *response,
                      const struct buf *buf)
{
    if (buf_failed(buf)) {
        http_response_set_text(response, request, 503, "out of memory for the answer\n");
        return;
    }
    response->status = 200;
    response->content_type = "application/json";
    response->body = buf_str(buf);
}

/* As long as it is open, kube-scheduler asks on the connection that it has, wherever the Service leads by now. So a
 * replica that has lost the Lease and lives on ends each one on which it is asked. */
static void send_answer(struct verbs *verbs, const struct http_request *request,
                        struct http_response *response, const struct buf *buf)
{
    send_json(request, response, buf);
    response->is_last = !atomic_load(&verbs->is_active);
}

/* ---- Candidates ---- */

/* All nodes, or, with verdicts, those that fit. NULL without memory. */
static struct score_candidate *find_candidates(const struct question *q, const uint8_t *verdicts,
                                               int64_t now_ns)
{
    const struct snapshot_node *found[SNAPSHOT_FIND_MAX];
    struct score_candidate *candidates =
        ARENA_NEW_ARRAY(q->arena, struct score_candidate, q->count + 1);
    for (size_t start = 0; candidates && start < q->count; start += SNAPSHOT_FIND_MAX) {
        size_t count = find_some(q, start, found);
        for (size_t i = 0; i < count; i++) {
            if (found[i] && (!verdicts || verdicts[start + i] == VERDICT_FITS))
                candidates[start + i] = (struct score_candidate){
                    .node = &found[i]->node,
                    .heartbeat_age_ns = snapshot_heartbeat_age_ns(found[i], now_ns)};
        }
    }
    return candidates;
}

/* ---- Filter and pick ---- */

static enum verdict judge(const struct question *q, const struct snapshot_node *at, int64_t now_ns)
{
    struct node own;
    const struct node *node =
        snapshot_node_for(q->snapshot, at, q->pod.meta.uid, q->pod.priority, &own);
    return filter_judge(&q->pod, node, snapshot_heartbeat_age_ns(at, now_ns));
}

static void judge_all(const struct question *q, int64_t now_ns, uint8_t *verdicts)
{
    const struct snapshot_node *found[SNAPSHOT_FIND_MAX];
    for (size_t start = 0; start < q->count; start += SNAPSHOT_FIND_MAX) {
        size_t count = find_some(q, start, found);
        for (size_t i = 0; i < count; i++)
            verdicts[start + i] =
                (uint8_t)(found[i] ? judge(q, found[i], now_ns) : VERDICT_UNKNOWN_NODE);
    }
}

static int pick(struct verbs *verbs, const struct question *q, const uint8_t *verdicts,
                int64_t now_ns, struct buf *buf, struct err *err)
{
    size_t picked[PICK_MAX];
    struct score_candidate *candidates = find_candidates(q, verdicts, now_ns);
    if (!candidates)
        return err_no_memory(err, "picking");
    size_t count =
        pick_nodes(verbs->packer, &q->pod, candidates, q->count, &q->snapshot->index->seed, picked);
    if (count == 0) {
        wire_write_filter(buf, &q->args, q->nodes, verdicts, q->count);
        return 0;
    }
    wire_write_picked(buf, &q->args, q->nodes, picked, count);
    int score = candidates[picked[0]].score;
    if (score == SCORE_BEST)
        decisions_scored(verbs->decisions, &q->pod, q->nodes[picked[0]].name, score);
    return 0;
}

static int filter(struct verbs *verbs, const struct question *q, bool picks, struct buf *buf,
                  struct err *err)
{
    int64_t now_ns = clock_now_ns(verbs->clock);
    uint8_t *verdicts = arena_alloc(q->arena, q->count + 1);
    if (!verdicts)
        return err_no_memory(err, "filtering");
    judge_all(q, now_ns, verdicts);
    size_t fit = count_verdicts(verbs, verdicts, q->count);
    decisions_filtered(verbs->decisions, &q->pod, q->nodes, verdicts, q->count);
    if (fit == 0 && verbs->extender)
        extender_refused(verbs->extender,
                         &(const struct refused){.pod = &q->pod,
                                                 .text = q->args.pod,
                                                 .snapshot = q->snapshot,
                                                 .nodes = q->nodes,
                                                 .count = q->count},
                         verdicts);
    if (picks)
        return pick(verbs, q, verdicts, now_ns, buf, err);
    wire_write_filter(buf, &q->args, q->nodes, verdicts, q->count);
    return 0;
}

static void log_failure(struct verbs *verbs, struct str verb, const struct err *err)
{
    /* A standby is asked now and then, while the Service forgets it. */
    if (err->code == 503)
        log_debug(verbs->log, "request refused", LOG_STR("verb", verb), LOG_ERR(err));
    else
        log_warn(verbs->log, "request refused", LOG_STR("verb", verb), LOG_ERR(err));
}

static void answer_filter(struct verbs *verbs, const struct http_request *request, bool picks,
                          struct http_response *response)
{
    int64_t start_ns = clock_now_ns(verbs->clock);
    struct str verb = picks ? STR("pick") : STR("filter");
    struct question q;
    struct err err;
    struct buf buf;
    if (pace_hold(&verbs->pace, request)) {
        counter_add(verbs->held, 1);
        return;
    }
    buf_init(&buf, arena_mem(request->arena), ANSWER_MAX);
    int result = read_question(verbs, request, &q, &err);
    if (result == 0 && q.snapshot)
        result = filter(verbs, &q, picks, &buf, &err);
    snapshot_unref(q.snapshot);
    if (result < 0) {
        wire_write_filter_error(&buf, str_from_cstr(err.message));
        log_failure(verbs, verb, &err);
    }
    send_answer(verbs, request, response, &buf);
    observe(verbs, verb, start_ns, result == 0 ? STR("ok") : STR("error"));
}

static void handle_filter(void *ctx, const struct http_request *request,
                          struct http_response *response)
{
    answer_filter(ctx, request, false, response);
}

static void handle_pick(void *ctx, const struct http_request *request,
                        struct http_response *response)
{
    answer_filter(ctx, request, true, response);
}

/* ---- Prioritize ---- */

static void remember_best(struct verbs *verbs, const struct question *q,
                          const struct score_candidate *candidates)
{
    size_t best = 0;
    for (size_t i = 1; i < q->count; i++) {
        if (candidates[i].score > candidates[best].score)
            best = i;
    }
    if (q->count > 0)
        decisions_scored(verbs->decisions, &q->pod, q->nodes[best].name, candidates[best].score);
}

static int prioritize(struct verbs *verbs, const struct http_request *request, struct buf *buf,
                      struct err *err)
{
    struct question q;
    int result = read_question(verbs, request, &q, err);
    struct score_candidate *candidates =
        result < 0 ? NULL : find_candidates(&q, NULL, clock_now_ns(verbs->clock));
    if (result == 0 && !candidates)
        result = err_no_memory(err, "scoring");
    if (result == 0 && candidates && q.snapshot) {
        score_rank(verbs->packer, &q.pod, candidates, q.count);
        wire_write_scores(buf, q.nodes, candidates, q.count);
        remember_best(verbs, &q, candidates);
    }
    snapshot_unref(q.snapshot);
    return result;
}

static void handle_prioritize(void *ctx, const struct http_request *request,
                              struct http_response *response)
{
    struct verbs *verbs = ctx;
    int64_t start_ns = clock_now_ns(verbs->clock);
    struct err err;
    struct buf buf;
    buf_init(&buf, arena_mem(request->arena), ANSWER_MAX);
    int result = prioritize(verbs, request, &buf, &err);
    if (result < 0) {
        wire_write_scores(&buf, NULL, NULL, 0);
        log_failure(verbs, STR("prioritize"), &err);
    }
    send_answer(verbs, request, response, &buf);
    observe(verbs, STR("prioritize"), start_ns, result == 0 ? STR("ok") : STR("error"));
}

/* ---- Bind ---- */

void verbs_answered(void *ctx, struct bind_request *request)
{
    struct verbs *verbs = ctx;
    decisions_bound(verbs->decisions, &request->binding, str_from_cstr(request->error));
    if (request->error[0])
        log_warn(verbs->log, "not bound", LOG_STR("namespace", request->binding.namespace),
                 LOG_STR("pod", request->binding.name), LOG_STR("node", request->binding.node),
                 LOG_CSTR("error", request->error));
    pace_end_binding(&verbs->pace);
    http_wait_end(request->wait);
    bind_request_unref(request);
}

void verbs_advised(void *ctx, const struct kube_meta *pod, struct str text)
{
    struct verbs *verbs = ctx;
    decisions_advised(verbs->decisions, pod, text);
}

static void drop_request(void *state)
{
    bind_request_unref(state);
}

/* 0 when the answer comes later. */
static int begin_binding(struct verbs *verbs, const struct http_request *request, struct err *err)
{
    struct wire_binding binding;
    if (!atomic_load(&verbs->is_active))
        return err_set(err, 503, "%s", not_active);
    if (wire_read_binding(request->body, request->arena, &binding, err) < 0)
        return -1;
    struct bind_request *bind = bind_request_new(&binding);
    if (!bind)
        return err_no_memory(err, "binding");
    bind->wait = http_request_wait(request, verbs->bind_wait_ms, bind, drop_request);
    if (!bind->wait) {
        bind_request_unref(bind);
        return err_set(err, 503, "too many bindings are under way");
    }
    struct http_wait *wait = bind->wait;
    pace_begin_binding(&verbs->pace);
    if (!extender_bind(verbs->extender, bind_request_ref(bind))) {
        pace_end_binding(&verbs->pace);
        snprintf(bind->error, sizeof(bind->error), "too many bindings are under way");
        atomic_store(&bind->is_done, true);
        http_wait_end(wait);
        bind_request_unref(bind);
    }
    return 0;
}

static void answer_binding(struct verbs *verbs, const struct http_request *request,
                           struct http_response *response, struct str error, int64_t start_ns)
{
    struct buf buf;
    buf_init(&buf, arena_mem(request->arena), ANSWER_MAX);
    wire_write_binding(&buf, error);
    send_answer(verbs, request, response, &buf);
    observe(verbs, STR("bind"), start_ns, error.len == 0 ? STR("ok") : STR("error"));
}

static void handle_bind(void *ctx, const struct http_request *request,
                        struct http_response *response)
{
    struct verbs *verbs = ctx;
    const struct bind_request *bind = request->state;
    struct err err;
    if (bind) {
        bool is_done = atomic_load_explicit(&bind->is_done, memory_order_acquire);
        answer_binding(verbs, request, response,
                       is_done ? str_from_cstr(bind->error)
                               : STR("the apiserver has not answered in time; the binding may "
                                     "still be done"),
                       request->start_ns);
    } else if (begin_binding(verbs, request, &err) < 0) {
        log_failure(verbs, STR("bind"), &err);
        answer_binding(verbs, request, response, str_from_cstr(err.message), request->start_ns);
    }
}

/* ---- Preempt ---- */

void verbs_preempted(void *ctx, struct preempt_request *request)
{
    (void)ctx;
    http_wait_end(request->wait);
    preempt_request_unref(request);
}

static void drop_question(void *state)
{
    preempt_request_unref(state);
}

/* 0 when the answer comes later. */
static int begin_preemption(struct verbs *verbs, const struct http_request *request,
                            struct err *err)
{
    if (!atomic_load(&verbs->is_active))
        return err_set(err, 503, "%s", not_active);
    struct preempt_request *question = preempt_request_new(request->body);
    if (!question)
        return err_no_memory(err, "preempting");
    question->wait = http_request_wait(request, verbs->bind_wait_ms, question, drop_question);
    if (!question->wait) {
        preempt_request_unref(question);
        return err_set(err, 503, "too many requests wait");
    }
    struct http_wait *wait = question->wait;
    if (!extender_preempt(verbs->extender, preempt_request_ref(question))) {
        preempt_request_finish(question, NULL, "too many requests wait");
        http_wait_end(wait);
        preempt_request_unref(question);
    }
    return 0;
}

static void count_candidates(struct verbs *verbs, const struct preempt_counts *counts)
{
    const struct {
        struct str result;
        size_t count;
    } rows[] = {{STR("kept"), counts->kept},
                {STR("changed"), counts->changed},
                {STR("dropped"), counts->dropped}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        counter_add(counter_of(verbs->preemption_nodes, METRICS_VALUES(rows[i].result)),
                    rows[i].count);
}

/* False when there is no answer, for which *err then says why. */
static bool take_answer(struct verbs *verbs, const struct preempt_request *question,
                        struct buf *buf, struct err *err)
{
    if (!atomic_load_explicit(&question->is_done, memory_order_acquire)) {
        err_set(err, 503, "the caches were not read in time");
        return false;
    }
    if (question->error[0]) {
        err_set(err, 400, "%s", question->error);
        return false;
    }
    count_candidates(verbs, &question->counts);
    buf_put(buf, buf_str(&question->answer));
    return true;
}

static void handle_preempt(void *ctx, const struct http_request *request,
                           struct http_response *response)
{
    struct verbs *verbs = ctx;
    struct err err = {0};
    struct buf buf;
    if (!request->state && begin_preemption(verbs, request, &err) == 0)
        return;
    buf_init(&buf, arena_mem(request->arena), ANSWER_MAX);
    bool is_answered = request->state && take_answer(verbs, request->state, &buf, &err);
    if (!is_answered) {
        /* There is no place for an error: nothing is preempted. */
        wire_write_preemption(&buf, NULL, 0);
        log_failure(verbs, STR("preempt"), &err);
    }
    send_answer(verbs, request, response, &buf);
    observe(verbs, STR("preempt"), request->start_ns, is_answered ? STR("ok") : STR("error"));
}

void verbs_routes(struct verbs *verbs, struct http_route routes[VERB_ROUTES])
{
    routes[0] = (struct http_route){
        .method = "POST", .path = "/filter", .handler = handle_filter, .ctx = verbs};
    routes[1] = (struct http_route){
        .method = "POST", .path = "/pick", .handler = handle_pick, .ctx = verbs};
    routes[2] = (struct http_route){
        .method = "POST", .path = "/prioritize", .handler = handle_prioritize, .ctx = verbs};
    routes[3] = (struct http_route){.method = "POST",
                                    .path = "/bind",
                                    .max_body = 64 * 1024,
                                    .handler = handle_bind,
                                    .ctx = verbs};
    routes[4] = (struct http_route){
        .method = "POST", .path = "/preempt", .handler = handle_preempt, .ctx = verbs};
}

/* ---- For people ---- */

static void handle_explain(void *ctx, const struct http_request *request,
                           struct http_response *response)
{
    struct verbs *verbs = ctx;
    static const struct str prefix = STR_INIT("/explain/");
    struct str namespace, name;
    struct buf buf;
    buf_init(&buf, arena_mem(request->arena), ANSWER_MAX);
    str_cut(str_sub(request->path, prefix.len, request->path.len), '/', &namespace, &name);
    if (!decisions_write(verbs->decisions, namespace, name, &buf))
        http_response_set_text(response, request, 404,
                               "nothing is known of this pod here: kube-scheduler has not asked "
                               "about it, or long ago, or another replica. Its events tell more: "
                               "kubectl describe pod\n");
    else
        send_json(request, response, &buf);
}

static void put_devices(struct buf *buf, const struct node *node)
{
    buf_put_char(buf, '[');
    for (unsigned i = 0; i < node->facts->device_count; i++) {
        if (i > 0)
            buf_put_char(buf, ',');
        buf_put_int(buf, node_device_left(node, i));
    }
    buf_put_char(buf, ']');
}

static void put_resource(struct buf *buf, const struct node *node, const char *name,
                         enum resource r)
{
    buf_printf(buf, ",\"%s\":{\"allocatable\":%lld,\"requested\":%lld}", name,
               (long long)node->facts->capacity.of[r], (long long)node->load.amounts.of[r]);
}

static void put_node(struct buf *buf, const struct snapshot_node *at, int64_t now_ns)
{
    static const char *const modes[] = {"none", GPU_MODE_PLUGIN, GPU_MODE_SHARED};
    const struct node *node = &at->node;
    int64_t age_ns = snapshot_heartbeat_age_ns(at, now_ns);
    struct str state = worker_state_name(worker_state_of(node, age_ns));
    buf_put(buf, STR("{\"name\":"));
    json_write_str(buf, node->facts->name);
    buf_printf(buf, ",\"state\":\"%" PRIstr "\",\"heartbeatAgeSeconds\":", STR_ARG(state));
    if (age_ns < 0)
        buf_put(buf, STR("null"));
    else
        buf_put_int(buf, age_ns / CLOCK_NS_PER_SEC);
    buf_printf(buf, ",\"jobs\":%lld", (long long)node->load.jobs);
    put_resource(buf, node, "cpuMilli", RESOURCE_INDEX_CPU);
    put_resource(buf, node, "memory", RESOURCE_INDEX_MEMORY);
    put_resource(buf, node, "pods", RESOURCE_INDEX_PODS);
    buf_printf(buf, ",\"gpuMode\":\"%s\"", modes[node->facts->gpu_mode]);
    if (node->facts->gpu_mode != GPU_MODE_IS_NONE) {
        buf_put(buf, STR(",\"product\":"));
        json_write_str(buf, node->facts->product.ptr ? node->facts->product : STR(""));
        put_resource(buf, node, "gpus", RESOURCE_INDEX_GPUS);
        buf_put(buf, STR(",\"freeMilli\":"));
        put_devices(buf, node);
        buf_printf(buf, ",\"stray\":%s", node_has_stray(node) ? "true" : "false");
    }
    buf_put_char(buf, '}');
}

static void handle_nodes(void *ctx, const struct http_request *request,
                         struct http_response *response)
{
    struct verbs *verbs = ctx;
    struct buf buf;
    struct snapshot *snapshot = snapshot_get(verbs->source);
    int64_t now_ns = clock_now_ns(verbs->clock);
    buf_init(&buf, arena_mem(request->arena), ANSWER_MAX);
    buf_put_char(&buf, '[');
    for (size_t i = 0; snapshot && i < snapshot->count; i++) {
        if (i > 0)
            buf_put(&buf, STR(",\n"));
        put_node(&buf, snapshot->nodes[i], now_ns);
    }
    buf_put(&buf, STR("]\n"));
    snapshot_unref(snapshot);
    send_json(request, response, &buf);
}

void verbs_people_routes(struct verbs *verbs, struct http_route routes[PEOPLE_ROUTES])
{
    health_routes(&verbs->health, routes);
    routes[HEALTH_ROUTES] = (struct http_route){.method = "GET",
                                                .path = "/explain/",
                                                .is_prefix = true,
                                                .handler = handle_explain,
                                                .ctx = verbs};
    routes[HEALTH_ROUTES + 1] = (struct http_route){
        .method = "GET", .path = "/nodes", .handler = handle_nodes, .ctx = verbs};
}
