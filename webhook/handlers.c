/* Handlers of the webhook's HTTP servers, with their log lines and metrics. */
#include "webhook/handlers.h"

#include "webhook/admission.h"

#include <stdio.h>

enum {
    ANSWER_MAX = 16 * 1024 * 1024,
    FAILURE_MAX = 16 * 1024,
    /* Longer than a lookup takes at most, which ends its wait itself. */
    LOOKUP_WAIT_MS = 7000,
    /* What an admission webhook's timeoutSeconds may be. */
    PATIENCE_MAX_S = 30,
    SECONDS_PER_DAY = 86400,
};

static const char too_many[] = "too many reviews wait for the API server now; try again";

/* ---- Metrics ---- */

void handlers_add_metrics(struct handlers *h)
{
    struct metrics *m = h->metrics;
    h->reviews = metrics_counters(m, "callboard_webhook_reviews_total",
                                  "Admission reviews that were answered.",
                                  METRICS_LABELS("phase", "kind", "operation", "decision"), 256);
    h->causes = metrics_counters(m, "callboard_webhook_denial_causes_total",
                                 "Errors in objects that were denied, by the cause's reason.",
                                 METRICS_LABELS("kind", "reason"), 256);
    h->warnings =
        metrics_counters(m, "callboard_webhook_warnings_total",
                         "Warnings that were given to users.", METRICS_LABELS("kind"), 64);
    h->review_seconds = metrics_histograms(m, "callboard_webhook_review_duration_seconds",
                                           "Time from the whole review to its answer.",
                                           METRICS_LABELS("phase"), 8, metrics_buckets_latency);
    h->http_requests =
        metrics_counters(m, "callboard_webhook_http_requests_total",
                         "Requests to the TLS port, by path and HTTP status; 0: cut unanswered.",
                         METRICS_LABELS("path", "code"), 64);
    h->reloads = metrics_counters(m, "callboard_webhook_reloads_total",
                                  "Reloads of the certificate and of the catalog.",
                                  METRICS_LABELS("file", "result"), 8);
    /* There from the start, so that the first one is seen as a change. */
    for (size_t i = 0; i < 2; i++) {
        counter_of(h->reloads, METRICS_VALUES(STR("certificate"), i ? STR("ok") : STR("error")));
        counter_of(h->reloads, METRICS_VALUES(STR("catalog"), i ? STR("ok") : STR("error")));
    }
}

static void collect_connections(void *ctx, struct metrics_scrape *scrape)
{
    struct http_server_stats stats;
    http_server_stats(*(struct http_server *const *)ctx, &stats);
    metrics_sample(scrape, METRICS_NO_VALUES, (double)stats.connections);
}

static void collect_in_flight(void *ctx, struct metrics_scrape *scrape)
{
    struct http_server_stats stats;
    http_server_stats(*(struct http_server *const *)ctx, &stats);
    metrics_sample(scrape, METRICS_NO_VALUES, (double)stats.in_flight);
}

static void collect_waiting(void *ctx, struct metrics_scrape *scrape)
{
    struct http_server_stats stats;
    http_server_stats(*(struct http_server *const *)ctx, &stats);
    metrics_sample(scrape, METRICS_NO_VALUES, (double)stats.waiting);
}

static void collect_memory(void *ctx, struct metrics_scrape *scrape)
{
    struct http_server_stats stats;
    http_server_stats(*(struct http_server *const *)ctx, &stats);
    metrics_sample(scrape, METRICS_NO_VALUES, (double)stats.memory);
}

static void collect_cut(void *ctx, struct metrics_scrape *scrape)
{
    struct http_server_stats stats;
    http_server_stats(*(struct http_server *const *)ctx, &stats);
    metrics_sample(scrape, METRICS_VALUES(STR("header_timeout")), (double)stats.expired_header);
    metrics_sample(scrape, METRICS_VALUES(STR("request_timeout")), (double)stats.expired_request);
    metrics_sample(scrape, METRICS_VALUES(STR("idle_timeout")), (double)stats.expired_idle);
    metrics_sample(scrape, METRICS_VALUES(STR("evicted")), (double)stats.evicted);
    metrics_sample(scrape, METRICS_VALUES(STR("out_of_memory")), (double)stats.out_of_memory);
}

static void collect_expiry(void *ctx, struct metrics_scrape *scrape)
{
    struct cert_info info;
    cert_source_info(ctx, &info);
    if (info.generation > 0)
        metrics_sample(scrape, METRICS_NO_VALUES, (double)info.not_after_s);
}

static void collect_days_left(void *ctx, struct metrics_scrape *scrape)
{
    struct cert_info info;
    cert_source_info(ctx, &info);
    if (info.generation > 0)
        metrics_sample(scrape, METRICS_NO_VALUES, (double)info.left_s / SECONDS_PER_DAY);
}

void handlers_add_server_metrics(struct handlers *h, struct http_server *const *server,
                                 const struct cert_source *cert)
{
    struct metrics *m = h->metrics;
    void *ctx = (void *)(uintptr_t)server;
    metrics_collector(m, METRICS_GAUGE, "callboard_webhook_connections",
                      "Open connections to the TLS port.", METRICS_NO_LABELS, 1,
                      collect_connections, ctx);
    metrics_collector(m, METRICS_GAUGE, "callboard_webhook_requests_in_flight",
                      "Requests that are being read or answered.", METRICS_NO_LABELS, 1,
                      collect_in_flight, ctx);
    metrics_collector(m, METRICS_GAUGE, "callboard_webhook_requests_waiting",
                      "Reviews that wait for the API server to send a template.", METRICS_NO_LABELS,
                      1, collect_waiting, ctx);
    metrics_collector(m, METRICS_GAUGE, "callboard_webhook_request_memory_bytes",
                      "Memory held for requests.", METRICS_NO_LABELS, 1, collect_memory, ctx);
    metrics_collector(m, METRICS_COUNTER, "callboard_webhook_connections_cut_total",
                      "Connections that the server cut, by why.", METRICS_LABELS("why"), 8,
                      collect_cut, ctx);
    if (!cert)
        return;
    metrics_collector(m, METRICS_GAUGE, "callboard_webhook_certificate_expiry_timestamp_seconds",
                      "When the serving certificate expires, in seconds since 1970.",
                      METRICS_NO_LABELS, 1, collect_expiry, (void *)(uintptr_t)cert);
    metrics_collector(m, METRICS_GAUGE, "callboard_webhook_certificate_days_left",
                      "Days until the serving certificate expires.", METRICS_NO_LABELS, 1,
                      collect_days_left, (void *)(uintptr_t)cert);
}

void handlers_count_load(struct handlers *h, bool is_good)
{
    struct str result = is_good ? STR("ok") : STR("error");
    counter_add(counter_of(h->reloads, METRICS_VALUES(STR("certificate"), result)), 1);
}

void handlers_on_access(void *ctx, const struct http_access *access)
{
    struct handlers *h = ctx;
    char code[16];
    int n = snprintf(code, sizeof(code), "%d", access->status);
    struct str path = access->route ? str_from_cstr(access->route) : STR("other");
    counter_add(counter_of(h->http_requests, METRICS_VALUES(path, {code, (size_t)n})), 1);
    if (access->status != 200)
        log_warn(h->log, "request not answered by a review", LOG_STR("method", access->method),
                 LOG_STR("path", access->path), LOG_INT("status", access->status),
                 LOG_STR("peer", access->peer), LOG_UINT("bytes", access->request_bytes));
}

/* ---- Reviews ---- */

static struct str phase_name(enum admission_phase phase)
{
    return phase == ADMISSION_MUTATE ? STR("mutate") : STR("validate");
}

static struct str decision_name(enum admission_decision decision)
{
    static const struct str names[] = {
        [ADMISSION_ALLOWED] = STR_INIT("allowed"),
        [ADMISSION_DENIED] = STR_INIT("denied"),
        [ADMISSION_PASSED_OVER] = STR_INIT("passed over"),
    };
    return names[decision];
}

static struct str kind_name(const struct admission_outcome *outcome)
{
    return outcome->kind ? str_from_cstr(outcome->kind->kind) : STR("other");
}

static void count_review(struct handlers *h, enum admission_phase phase,
                         const struct admission_outcome *outcome)
{
    struct str kind = kind_name(outcome);
    counter_add(counter_of(h->reviews, METRICS_VALUES(phase_name(phase), kind, outcome->operation,
                                                      decision_name(outcome->decision))),
                1);
    for (const struct err_item *e = outcome->findings.errors.first; e; e = e->next)
        counter_add(
            counter_of(h->causes, METRICS_VALUES(kind, str_from_cstr(err_reason_name(e->reason)))),
            1);
    if (outcome->findings.warnings.count > 0)
        counter_add(counter_of(h->warnings, METRICS_VALUES(kind)),
                    outcome->findings.warnings.count);
}

/* Names of fields only: values may be confidential. */
static void log_review(struct handlers *h, enum admission_phase phase,
                       const struct admission_outcome *outcome)
{
    struct log log = log_child(h->log, outcome->uid, NULL, 0);
    const struct err_item *first = outcome->findings.errors.first;
    if (outcome->decision == ADMISSION_DENIED)
        log_info(&log, "denied", LOG_STR("phase", phase_name(phase)),
                 LOG_STR("kind", kind_name(outcome)), LOG_STR("namespace", outcome->namespace),
                 LOG_STR("name", outcome->name), LOG_STR("operation", outcome->operation),
                 LOG_STR("user", outcome->user), LOG_BOOL("dryRun", outcome->is_dry_run),
                 LOG_UINT("errors", outcome->findings.errors.count),
                 LOG_STR("firstField", first ? first->field : STR("")));
    else
        log_debug(&log, "reviewed", LOG_STR("phase", phase_name(phase)),
                  LOG_STR("kind", kind_name(outcome)), LOG_STR("namespace", outcome->namespace),
                  LOG_STR("name", outcome->name), LOG_STR("operation", outcome->operation),
                  LOG_STR("user", outcome->user), LOG_BOOL("dryRun", outcome->is_dry_run),
                  LOG_STR("decision", decision_name(outcome->decision)),
                  LOG_UINT("changes", outcome->patch_operations));
}

/* Of a Status kube-apiserver shows the message to the user, of any other body nothing. */
static void answer_failure(const struct err *err, const struct http_request *request,
                           struct http_response *response)
{
    /* As the server itself does without memory. */
    int status = err->code == 507 ? 503 : err->code;
    struct buf out;
    buf_init(&out, arena_mem(request->arena), FAILURE_MAX);
    buf_printf(&out,
               "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
               "\"status\":\"Failure\",\"code\":%d,\"message\":",
               status);
    json_write_str(&out, str_from_cstr(err->message));
    buf_put(&out, STR("}\n"));
    response->status = status;
    response->content_type = "application/json";
    if (buf_failed(&out))
        http_response_set_text(response, request, status, "%s", err->message);
    else
        response->body = buf_str(&out);
}

static int judge(struct handlers *h, enum admission_phase phase, const struct http_request *request,
                 struct template_view *view, struct buf *out, struct admission_outcome *outcome,
                 struct err *err)
{
    struct catalog *catalog = catalog_source_get(h->catalog);
    const struct template_source templates = template_view_source(view);
    const struct admission_world world = {.catalog = catalog, .templates = &templates};
    buf_init(out, arena_mem(request->arena), ANSWER_MAX);
    int result = admission_answer(phase, request->body, &world, request->arena, out, outcome, err);
    catalog_unref(catalog);
    return result;
}

/* How long the apiserver waits, which it says in seconds, rounded up (k8s.io/apiserver, mutating/dispatcher.go);
 * 0 when it does not say. */
static int64_t patience_of(const struct http_request *request)
{
    struct str number, rest;
    int64_t seconds;
    if (!str_cut(http_request_query(request, "timeout"), 's', &number, &rest) || rest.len > 0 ||
        !str_to_int64(number, &seconds) || seconds < 1 || seconds > PATIENCE_MAX_S)
        return 0;
    return seconds == 1 ? CLOCK_NS_PER_SEC / 2 : (seconds - 1) * CLOCK_NS_PER_SEC;
}

/* False when it cannot wait: it must be answered now. */
static bool put_off(struct handlers *h, const struct http_request *request,
                    const struct admission_outcome *outcome)
{
    struct template_lookup *lookup = template_lookup_new(
        h->lookups, outcome->namespace, outcome->template_name, patience_of(request));
    if (!lookup)
        return false;
    struct http_wait *wait =
        http_request_wait(request, LOOKUP_WAIT_MS, lookup, template_lookup_drop);
    if (wait)
        template_lookup_begin(lookup, wait);
    else
        template_lookup_drop(lookup);
    return wait != NULL;
}

static void answer_review(struct handlers *h, enum admission_phase phase,
                          const struct http_request *request, struct http_response *response)
{
    int64_t start =
        request->state ? template_lookup_asked_ns(request->state) : clock_now_ns(h->clock);
    struct template_view view = {
        .lookup = request->state,
        .reason = h->lookups ? NULL : h->no_lookups,
        .arena = request->arena,
    };
    struct admission_outcome outcome;
    struct err err;
    struct buf out;
    int result = judge(h, phase, request, &view, &out, &outcome, &err);
    if (result == 0 && outcome.decision == ADMISSION_UNDECIDED) {
        if (put_off(h, request, &outcome))
            return;
        template_lookups_count_refused(h->lookups);
        view.reason = too_many;
        result = judge(h, phase, request, &view, &out, &outcome, &err);
    }
    if (result < 0) {
        answer_failure(&err, request, response);
    } else {
        response->status = 200;
        response->content_type = "application/json";
        response->body = buf_str(&out);
        count_review(h, phase, &outcome);
        log_review(h, phase, &outcome);
    }
    double seconds = (double)(clock_now_ns(h->clock) - start) / 1e9;
    histogram_observe(histogram_of(h->review_seconds, METRICS_VALUES(phase_name(phase))), seconds);
}

static void handle_mutate(void *ctx, const struct http_request *request,
                          struct http_response *response)
{
    answer_review(ctx, ADMISSION_MUTATE, request, response);
}

static void handle_validate(void *ctx, const struct http_request *request,
                            struct http_response *response)
{
    answer_review(ctx, ADMISSION_VALIDATE, request, response);
}

void handlers_admission_routes(struct handlers *h, struct http_route routes[ADMISSION_ROUTES])
{
    routes[0] = (struct http_route){
        .method = "POST", .path = "/mutate", .handler = handle_mutate, .ctx = h};
    routes[1] = (struct http_route){
        .method = "POST", .path = "/validate", .handler = handle_validate, .ctx = h};
}

/* ---- Health ---- */

static const char *find_unready(void *ctx)
{
    const struct handlers *h = ctx;
    if (!atomic_load(&h->is_ready))
        return "starting or shutting down";
    return h->certs ? certs_find_unready(h->certs) : NULL;
}

void handlers_health_routes(struct handlers *h, struct http_route routes[HEALTH_ROUTES])
{
    h->health = (struct health){.metrics = h->metrics, .find_unready = find_unready, .ctx = h};
    health_routes(&h->health, routes);
}
