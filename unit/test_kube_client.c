/* Calls to the API server. */
#include "unit/fake_transport.h"
#include "unit/prometheus.h"

#include "kube/client.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SEC          CLOCK_NS_PER_SEC
#define MS           CLOCK_NS_PER_MS

/* The retries of a call that always meets something worth trying again. */
enum { ATTEMPTS_MAX = 8 };

struct fixture {
    struct test_mem mem;
    struct test_clock clock;
    struct random_seeded random;
    struct timers timers;
    struct metrics metrics;
    struct fake_transport fake;
    struct kube_client_config config;
    struct kube_client *client;
};

/* What became of a call. */
struct told {
    struct fixture *fixture;
    unsigned times;
    enum kube_outcome outcome;
    int status;
    char message[2048];
    char body[256];
    struct kube_pending **cancels; /* cancelled by `done`, or NULL */
    struct told *calls;            /* called by `done`, or NULL */
};

static void on_done(void *ctx, const struct kube_result *result);

static void start(struct fixture *f)
{
    struct err err;
    f->client = kube_client_new(&f->config, &err);
    if (!f->client)
        fail_msg("%s", err.message);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    test_mem_init(&f->mem);
    test_clock_init(&f->clock);
    random_seeded_init(&f->random, TEST_SEED);
    timers_init(&f->timers, &f->mem.mem);
    metrics_init(&f->metrics, &f->mem.mem);
    fake_transport_init(&f->fake);
    f->config = (struct kube_client_config){
        .transport = &f->fake.transport,
        .timers = &f->timers,
        .clock = &f->clock.clock,
        .random = &f->random.random,
        .mem = &f->mem.mem,
        .metrics = &f->metrics,
        .host = STR("10.0.0.1:443"),
        .qps = -1,
        .max_in_flight = 64,
    };
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    kube_client_free(f->client);
    fake_transport_done(&f->fake);
    metrics_done(&f->metrics);
    assert_int_equal(f->timers.registered, 0);
    timers_done(&f->timers);
    test_mem_done(&f->mem);
    free(f);
    return 0;
}

static void run_timers(struct fixture *f)
{
    timers_run(&f->timers, f->clock.now_ns);
}

static void advance_ms(struct fixture *f, int64_t ms)
{
    test_clock_advance_ms(&f->clock, ms);
    run_timers(f);
}

/* To the next deadline of a timer; how far that was. */
static int64_t advance_to_timer(struct fixture *f)
{
    int64_t next = timers_next_ns(&f->timers), from = f->clock.now_ns;
    if (next == TIMERS_NEVER)
        fail_msg("no timer is set");
    if (next > from)
        f->clock.now_ns = next;
    run_timers(f);
    return f->clock.now_ns - from;
}

static const struct kube_call get_pod = {
    .verb = KUBE_GET, .resource = &kube_pods, .namespace = STR_INIT("demo"), .name = STR_INIT("a")};
static const struct kube_call create_pod = {.verb = KUBE_CREATE,
                                            .resource = &kube_pods,
                                            .namespace = STR_INIT("demo"),
                                            .name = STR_INIT("a"),
                                            .body = STR_INIT("{\"kind\":\"Pod\"}")};

static struct kube_pending *call(struct fixture *f, const struct kube_call *what, struct told *told)
{
    struct err err;
    unsigned before = told->times;
    told->fixture = f;
    struct kube_pending *pending = kube_client_call(f->client, what, on_done, told, &err);
    if (!pending)
        fail_msg("%s", err.message);
    assert_int_equal(told->times, before); /* never from within */
    return pending;
}

static void on_done(void *ctx, const struct kube_result *result)
{
    struct told *told = ctx;
    told->times++;
    told->outcome = result->outcome;
    told->status = result->status;
    snprintf(told->message, sizeof(told->message), "%" PRIstr, STR_ARG(result->message));
    snprintf(told->body, sizeof(told->body), "%" PRIstr, STR_ARG(result->body));
    if (told->cancels)
        kube_client_cancel(told->fixture->client, *told->cancels);
    if (told->calls)
        call(told->fixture, &create_pod, told->calls);
}

static void assert_told(const struct told *told, enum kube_outcome outcome)
{
    assert_int_equal(told->times, 1);
    assert_string_equal(kube_outcome_name(told->outcome), kube_outcome_name(outcome));
}

static double sample(struct fixture *f, const char *series)
{
    struct buf buf;
    double value = -1;
    buf_init(&buf, mem_system(), 1 << 20);
    metrics_write(&f->metrics, &buf);
    prometheus_check(buf_str(&buf));
    prometheus_find_sample(buf_str(&buf), series, &value);
    buf_done(&buf);
    return value;
}

/* ---- Requests ---- */

#define DEMO_POD .resource = &kube_pods, .namespace = STR_INIT("demo"), .name = STR_INIT("a")
static const struct {
    struct kube_call call;
    const char *method, *target, *content_type, *body;
} verb_cases[] = {
    {{.verb = KUBE_GET, DEMO_POD}, "GET", "/api/v1/namespaces/demo/pods/a", NULL, NULL},
    {{.verb = KUBE_GET, DEMO_POD, .body = STR_INIT("{}")},
     "GET",
     "/api/v1/namespaces/demo/pods/a",
     NULL,
     NULL},
    {{.verb = KUBE_LIST, .resource = &kube_pods}, "GET", "/api/v1/pods", NULL, NULL},
    {{.verb = KUBE_LIST,
      DEMO_POD,
      .label_selector = STR_INIT("a=b,c"),
      .field_selector = STR_INIT("spec.nodeName=n"),
      .limit = 500,
      .continue_token = STR_INIT("x=="),
      .resource_version = STR_INIT("0")},
     "GET",
     "/api/v1/namespaces/demo/pods?labelSelector=a%3Db%2Cc&fieldSelector=spec.nodeName%3Dn"
     "&limit=500&continue=x%3D%3D&resourceVersion=0",
     NULL,
     NULL},
    {{.verb = KUBE_CREATE, DEMO_POD, .body = STR_INIT("{\"a\":1}")},
     "POST",
     "/api/v1/namespaces/demo/pods",
     "application/json",
     "{\"a\":1}"},
    {{.verb = KUBE_CREATE, DEMO_POD, .subresource = STR_INIT("eviction"), .body = STR_INIT("{}")},
     "POST",
     "/api/v1/namespaces/demo/pods/a/eviction",
     "application/json",
     "{}"},
    {{.verb = KUBE_UPDATE,
      DEMO_POD,
      .subresource = STR_INIT("status"),
      .body = STR_INIT("{}"),
      .field_manager = STR_INIT("me")},
     "PUT",
     "/api/v1/namespaces/demo/pods/a/status?fieldManager=me",
     "application/json",
     "{}"},
    {{.verb = KUBE_PATCH_JSON, DEMO_POD, .body = STR_INIT("[]")},
     "PATCH",
     "/api/v1/namespaces/demo/pods/a",
     "application/json-patch+json",
     "[]"},
    {{.verb = KUBE_PATCH_MERGE, DEMO_POD, .body = STR_INIT("{}"), .force = true},
     "PATCH",
     "/api/v1/namespaces/demo/pods/a",
     "application/merge-patch+json",
     "{}"},
    {{.verb = KUBE_APPLY,
      DEMO_POD,
      .body = STR_INIT("{}"),
      .field_manager = STR_INIT("callboard controller"),
      .force = true},
     "PATCH",
     "/api/v1/namespaces/demo/pods/a?fieldManager=callboard%20controller&force=true",
     "application/apply-patch+yaml",
     "{}"},
    {{.verb = KUBE_DELETE, DEMO_POD, .grace_seconds = -1},
     "DELETE",
     "/api/v1/namespaces/demo/pods/a",
     "application/json",
     "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\"}"},
    {{.verb = KUBE_DELETE,
      DEMO_POD,
      .grace_seconds = 0,
      .uid = STR_INIT("u\"1"),
      .resource_version = STR_INIT("7"),
      .field_manager = STR_INIT("me")},
     "DELETE",
     "/api/v1/namespaces/demo/pods/a",
     "application/json",
     "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"gracePeriodSeconds\":0,"
     "\"preconditions\":{\"uid\":\"u\\\"1\",\"resourceVersion\":\"7\"}}"},
    {{.verb = KUBE_DELETE, DEMO_POD, .grace_seconds = 30, .resource_version = STR_INIT("7")},
     "DELETE",
     "/api/v1/namespaces/demo/pods/a",
     "application/json",
     "{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",\"gracePeriodSeconds\":30,"
     "\"preconditions\":{\"resourceVersion\":\"7\"}}"},
};

static void each_verb_has_its_request(void **state)
{
    struct fixture *f = *state;
    start(f);
    for (size_t i = 0; i < COUNT(verb_cases); i++) {
        struct told told = {0};
        call(f, &verb_cases[i].call, &told);
        const struct kube_request *request = fake_sent(&f->fake, i);
        assert_string_equal(request->method, verb_cases[i].method);
        assert_str_is(request->target, verb_cases[i].target);
        assert_str_is(request->body, verb_cases[i].body);
        if (verb_cases[i].content_type)
            assert_string_equal(request->content_type, verb_cases[i].content_type);
        else
            assert_null(request->content_type);
        fake_answer(&f->fake, i, 200, "{\"x\":1}");
        assert_told(&told, KUBE_OK);
        assert_int_equal(told.status, 200);
        assert_string_equal(told.body, "{\"x\":1}");
        assert_string_equal(told.message, "");
    }
}

static void the_bounds_of_a_call_reach_the_transport(void **state)
{
    struct fixture *f = *state;
    struct kube_call list = {.verb = KUBE_LIST, .resource = &kube_pods, .lane = KUBE_LANE_WATCH};
    struct told told = {0};
    start(f);
    call(f, &get_pod, &told);
    call(f, &list, &told);
    list.timeout_ns = 5 * SEC;
    list.response_max = 1000;
    list.wants_metadata = true;
    call(f, &list, &told);
    static const struct {
        enum kube_lane lane;
        int64_t timeout_ns;
        size_t response_max;
        bool wants_metadata;
    } expected[] = {
        {KUBE_LANE_REQUEST, 30 * SEC, 4 << 20, false},
        {KUBE_LANE_WATCH, 30 * SEC, 32 << 20, false},
        {KUBE_LANE_WATCH, 5 * SEC, 1000, true},
    };
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_int_equal(fake_sent(&f->fake, i)->lane, expected[i].lane);
        assert_int_equal(fake_sent(&f->fake, i)->timeout_ns, expected[i].timeout_ns);
        assert_int_equal(fake_sent(&f->fake, i)->response_max, expected[i].response_max);
        assert_int_equal(fake_sent(&f->fake, i)->wants_metadata, expected[i].wants_metadata);
    }
}

static void calls_that_cannot_be_meant_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct kube_call call;
        const char *message;
    } cases[] = {
        {{.verb = KUBE_DELETE, .resource = &kube_pods, .namespace = STR_INIT("demo")},
         "DELETE pods: the object's name is missing"},
        {{.verb = KUBE_DELETE,
          .resource = &kube_pods,
          .namespace = STR_INIT("demo"),
          .name = STR_INIT("")},
         "DELETE pods: the object's name is missing"},
        {{.verb = KUBE_GET,
          .resource = &kube_pods,
          .namespace = STR_INIT(".."),
          .name = STR_INIT("a")},
         "GET pods: the namespace is missing"},
        {{.verb = KUBE_GET, .resource = &kube_pods, .name = STR_INIT("a")},
         "GET pods: the namespace is missing"},
        {{.verb = KUBE_CREATE, .resource = &kube_pods, .body = STR_INIT("{}")},
         "POST pods: the namespace is missing"},
        {{.verb = KUBE_CREATE,
          .resource = &kube_pods,
          .namespace = STR_INIT("demo"),
          .subresource = STR_INIT("binding")},
         "POST pods: the object's name is missing"},
        {{.verb = KUBE_LIST, .resource = &kube_pods, .namespace = STR_INIT("")},
         "GET pods: the namespace is missing"},
        {{.verb = KUBE_UPDATE,
          .resource = &kube_nodes,
          .name = STR_INIT("n"),
          .subresource = STR_INIT(".")},
         "PUT nodes: the subresource cannot be part of a path"},
        {{.verb = KUBE_APPLY, .resource = &kube_nodes, .name = STR_INIT("n")},
         "PATCH nodes: an apply needs a field manager"},
    };
    start(f);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err err = {0};
        assert_null(kube_client_call(f->client, &cases[i].call, on_done, NULL, &err));
        assert_int_equal(err.code, 400);
        assert_memory_equal(err.message, cases[i].message, strlen(cases[i].message));
    }
    assert_int_equal(f->fake.count, 0);
}

static void more_calls_than_the_maximum_are_refused(void **state)
{
    struct fixture *f = *state;
    struct told told = {0};
    struct err err = {0};
    f->config.max_pending = 3;
    f->config.max_in_flight = 1;
    start(f);
    for (size_t i = 0; i < 3; i++)
        call(f, &get_pod, &told);
    assert_null(kube_client_call(f->client, &get_pod, on_done, &told, &err));
    assert_int_equal(err.code, 429);
    fake_answer(&f->fake, 0, 200, "{}");
    call(f, &get_pod, &told);
}

/* ---- Outcomes ---- */

#define STATUS(code, reason, message)                                    \
    "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\"," \
    "\"message\":\"" message "\",\"reason\":\"" reason "\",\"code\":" #code "}"

static void answers_have_their_outcome(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const struct kube_call *call;
        int status;
        const char *body;
        enum kube_outcome outcome;
        unsigned attempts;
    } cases[] = {
        {&get_pod, 200, "{}", KUBE_OK, 1},
        {&create_pod, 201, "{}", KUBE_OK, 1},
        {&create_pod, 202, "", KUBE_OK, 1},
        {&get_pod, 404, STATUS(404, "NotFound", "m"), KUBE_NOT_FOUND, 1},
        {&get_pod, 404, "404 page not found", KUBE_NOT_FOUND, 1},
        {&create_pod, 409, STATUS(409, "AlreadyExists", "m"), KUBE_ALREADY_EXISTS, 1},
        {&create_pod, 409, STATUS(409, "Conflict", "m"), KUBE_CONFLICT, 1},
        {&create_pod, 409, "", KUBE_CONFLICT, 1},
        {&create_pod, 400, STATUS(400, "BadRequest", "m"), KUBE_INVALID, 1},
        {&create_pod, 413, STATUS(413, "RequestEntityTooLarge", "m"), KUBE_INVALID, 1},
        {&create_pod, 415, STATUS(415, "UnsupportedMediaType", "m"), KUBE_INVALID, 1},
        {&create_pod, 422, STATUS(422, "Invalid", "m"), KUBE_INVALID, 1},
        {&create_pod, 302, "", KUBE_INVALID, 1},
        {&create_pod, 403, STATUS(403, "Forbidden", "m"), KUBE_FORBIDDEN_BY, 1},
        {&create_pod, 401, STATUS(401, "Unauthorized", "m"), KUBE_FORBIDDEN_BY, 2},
        {&get_pod, 410, STATUS(410, "Expired", "m"), KUBE_GONE, 1},
        {&get_pod, 429, STATUS(429, "TooManyRequests", "m"), KUBE_BUSY, ATTEMPTS_MAX},
        {&create_pod, 429, "", KUBE_BUSY, ATTEMPTS_MAX},
        {&get_pod, 408, "", KUBE_BUSY, ATTEMPTS_MAX},
        {&get_pod, 500, STATUS(500, "InternalError", "m"), KUBE_BUSY, ATTEMPTS_MAX},
        {&get_pod, 503, "", KUBE_BUSY, ATTEMPTS_MAX},
        {&get_pod, 504, STATUS(504, "Timeout", "m"), KUBE_BUSY, ATTEMPTS_MAX},
        {&create_pod, 408, "", KUBE_UNKNOWN, 1},
        {&create_pod, 500, STATUS(500, "InternalError", "m"), KUBE_UNKNOWN, 1},
        {&create_pod, 502, "<html>", KUBE_UNKNOWN, 1},
        {&create_pod, 503, STATUS(503, "ServiceUnavailable", "m"), KUBE_UNKNOWN, 1},
        {&create_pod, 504, STATUS(504, "Timeout", "m"), KUBE_UNKNOWN, 1},
        /* A webhook denies with any code. */
        {&create_pod, 422,
         STATUS(422, "Invalid", "admission webhook \\\"x\\\" denied the request: m"),
         KUBE_FORBIDDEN_BY, 1},
        {&create_pod, 500, STATUS(500, "x", "admission webhook \\\"x\\\" denied the request: m"),
         KUBE_FORBIDDEN_BY, 1},
        {&create_pod, 422,
         STATUS(
             422, "Invalid",
             "pods \\\"a\\\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied "
             "request: m"),
         KUBE_FORBIDDEN_BY, 1},
        /* A budget that forbids an eviction will do so for a while. */
        {&create_pod, 429,
         "{\"kind\":\"Status\",\"details\":{\"causes\":[{\"reason\":\"DisruptionBudget\"}]}}",
         KUBE_BUSY, 1},
    };
    start(f);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct told told = {0};
        size_t before = f->fake.count;
        call(f, cases[i].call, &told);
        while (told.times == 0) {
            if (!fake_is_open(&f->fake, f->fake.count - 1))
                advance_to_timer(f);
            fake_answer(&f->fake, f->fake.count - 1, cases[i].status, cases[i].body);
        }
        assert_told(&told, cases[i].outcome);
        assert_int_equal(told.status, cases[i].status);
        assert_int_equal(f->fake.count - before, cases[i].attempts);
        if (cases[i].outcome != KUBE_OK)
            assert_true(strlen(told.message) > 0);
        advance_ms(f, 100000);
        assert_int_equal(told.times, 1);
    }
}

static void lost_answers_have_their_outcome(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const struct kube_call *call;
        enum kube_failure failure;
        enum kube_outcome outcome;
        unsigned attempts;
    } cases[] = {
        {&get_pod, KUBE_NOT_SENT, KUBE_UNREACHED, ATTEMPTS_MAX},
        {&get_pod, KUBE_LOST, KUBE_UNREACHED, ATTEMPTS_MAX},
        {&get_pod, KUBE_SILENT, KUBE_UNREACHED, ATTEMPTS_MAX},
        {&get_pod, KUBE_TOO_LARGE, KUBE_INVALID, 1},
        {&create_pod, KUBE_NOT_SENT, KUBE_UNREACHED, ATTEMPTS_MAX},
        {&create_pod, KUBE_LOST, KUBE_UNKNOWN, 1},
        {&create_pod, KUBE_SILENT, KUBE_UNKNOWN, 1},
        {&create_pod, KUBE_TOO_LARGE, KUBE_UNKNOWN, 1},
    };
    start(f);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct told told = {0};
        size_t before = f->fake.count;
        call(f, cases[i].call, &told);
        while (told.times == 0) {
            if (!fake_is_open(&f->fake, f->fake.count - 1))
                advance_to_timer(f);
            fake_fail(&f->fake, f->fake.count - 1, cases[i].failure);
        }
        assert_told(&told, cases[i].outcome);
        assert_int_equal(f->fake.count - before, cases[i].attempts);
        assert_int_equal(told.status, 0);
        assert_non_null(strstr(told.message, "the cable was cut"));
        assert_int_equal(strstr(told.message, "is unknown") != NULL,
                         cases[i].outcome == KUBE_UNKNOWN);
    }
}

static void what_the_transport_does_not_take_is_tried_again_until_it_is_given_up(void **state)
{
    struct fixture *f = *state;
    struct told told = {0}, other = {0};
    start(f);
    f->fake.refuses = true;
    call(f, &create_pod, &told);
    advance_to_timer(f);
    f->fake.refuses = false;
    advance_to_timer(f);
    fake_answer(&f->fake, 0, 201, "{}");
    assert_told(&told, KUBE_OK);
    f->fake.refuses = true;
    call(f, &create_pod, &other);
    while (other.times == 0)
        advance_to_timer(f);
    assert_told(&other, KUBE_UNREACHED);
    assert_int_equal(f->fake.count, 1);
}

/* ---- Messages ---- */

#define SECRET      "s3cr3t"
#define CAUSES(...) "\"details\":{\"causes\":[" __VA_ARGS__ "]}}"

static void messages_tell_fields_and_reasons_but_no_values(void **state)
{
    struct fixture *f = *state;
    static const struct kube_call create_service = {.verb = KUBE_CREATE,
                                                    .resource = &kube_services,
                                                    .namespace = STR_INIT("demo"),
                                                    .body = STR_INIT("{}")};
    static const struct {
        const struct kube_call *call;
        int status;
        const char *body;
        const char *message;
    } cases[] = {
        {&create_pod, 422,
         "{\"kind\":\"Status\",\"reason\":\"Invalid\",\"message\":\"Pod \\\"a\\\" is invalid: "
         "spec.containers[0].env[0].value: Invalid value: \\\"" SECRET "\\\": no\"," //
         CAUSES("{\"reason\":\"FieldValueInvalid\",\"message\":\"Invalid value: " SECRET "\","
                "\"field\":\"spec.containers[0].env[0].value\"},"
                "{\"reason\":\"FieldValueRequired\",\"field\":\"metadata.name\"},"
                "{\"reason\":\"x y\",\"field\":\"spec.environment\"},"
                "{\"reason\":\"x\",\"field\":\"spec[\\\"" SECRET "\\\"]\"}"),
         "the server answered 422 (Invalid): spec.containers[0].env[0].value (FieldValueInvalid), "
         "metadata.name (FieldValueRequired), spec.environment and 1 more; the rest of its message "
         "is left out, as it may quote values: kubectl create --dry-run=server shows it"},
        {&create_pod, 400, STATUS(400, "BadRequest", "error at |" SECRET "|"),
         "the server answered 400 (BadRequest); the rest of its message is left out, as it may "
         "quote values: kubectl create --dry-run=server shows it"},
        {&create_pod, 500, STATUS(500, "", "expected map, got " SECRET),
         "the server answered 500; the rest of its message is left out, as it may quote values"},
        {&create_pod, 403,
         STATUS(403, "Forbidden",
                "admission webhook \\\"w.example.com\\\" denied the request: " SECRET " is bad"),
         "admission webhook \"w.example.com\" denied the request (Forbidden); the rest of its "
         "message is left out, as it may quote values: kubectl create --dry-run=server shows it"},
        {&create_pod, 422,
         STATUS(
             422, "Invalid",
             "pods \\\"a\\\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied "
             "request: " SECRET),
         "ValidatingAdmissionPolicy 'p' denied the request (Invalid); the rest of its message is "
         "left out, as it may quote values: kubectl create --dry-run=server shows it"},
        {&create_pod, 422,
         STATUS(422, "Invalid",
                "Invalid value: admission webhook \\\"" SECRET "\\\" denied the request"),
         "the server answered 422 (Invalid); the rest of its message is left out, as it may quote "
         "values: kubectl create --dry-run=server shows it"},
        {&create_pod, 403,
         STATUS(403, "Forbidden", "pods \\\"a\\\" is forbidden: exceeded quota: q"),
         "pods \"a\" is forbidden: exceeded quota: q"},
        {&create_pod, 500,
         STATUS(500, "InternalError",
                "Internal error occurred: failed calling webhook \\\"w\\\": no route"),
         "Internal error occurred: failed calling webhook \"w\": no route"},
        {&create_pod, 409, STATUS(409, "AlreadyExists", "pods \\\"a\\\" already exists"),
         "pods \"a\" already exists"},
        {&create_service, 422, STATUS(422, "Invalid", "spec.ports: Required value"),
         "spec.ports: Required value"},
        {&create_pod, 502, "<html>" SECRET "</html>", "the server answered 502 without saying why"},
        {&create_pod, 403, "{\"message\":\"" SECRET "\"}",
         "the server answered 403 without saying why"},
    };
    start(f);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct told told = {0};
        call(f, cases[i].call, &told);
        fake_answer(&f->fake, i, cases[i].status, cases[i].body);
        assert_string_equal(told.message, cases[i].message);
    }
}

static void a_long_message_is_cut_between_characters(void **state)
{
    struct fixture *f = *state;
    char body[8192];
    size_t len = (size_t)snprintf(body, sizeof(body), "{\"kind\":\"Status\",\"message\":\"x");
    for (size_t i = 0; i < 1500; i++)
        len += (size_t)snprintf(body + len, sizeof(body) - len, "\xC3\xA9");
    snprintf(body + len, sizeof(body) - len, "\"}");
    struct told told = {0};
    start(f);
    call(f, &create_pod, &told);
    fake_answer(&f->fake, 0, 403, body);
    assert_int_equal(strlen(told.message), 1023);
    call(f, &create_pod, &(struct told){0});
    /* And a list of causes that does not fit. */
    len = (size_t)snprintf(body, sizeof(body),
                           "{\"kind\":\"Status\",\"message\":\"m\","
                           "\"details\":{\"causes\":[");
    for (size_t i = 0; i < 40; i++)
        len += (size_t)snprintf(body + len, sizeof(body) - len, "%s{\"field\":\"spec.%0150zu\"}",
                                i ? "," : "", i);
    snprintf(body + len, sizeof(body) - len, "]}}");
    struct told other = {0};
    call(f, &create_pod, &other);
    fake_answer(&f->fake, 2, 422, body);
    assert_int_equal(strlen(other.message), 1023);
}

/* ---- Retries ---- */

static void the_backoff_doubles_with_jitter(void **state)
{
    struct fixture *f = *state;
    struct told told = {0};
    bool differs = false;
    start(f);
    call(f, &create_pod, &told);
    for (int64_t i = 0, base = 100 * MS; i < ATTEMPTS_MAX - 1; i++) {
        fake_fail(&f->fake, (size_t)i, KUBE_NOT_SENT);
        int64_t delay = advance_to_timer(f);
        assert_in_range(delay, base / 2, base + base / 2);
        differs |= delay != base;
        base = base * 2 < 10 * SEC ? base * 2 : 10 * SEC;
        assert_int_equal(f->fake.count, i + 2);
    }
    assert_true(differs);
    fake_fail(&f->fake, ATTEMPTS_MAX - 1, KUBE_NOT_SENT);
    assert_told(&told, KUBE_UNREACHED);
}

static void retry_after_is_honoured_unless_it_is_too_long(void **state)
{
    struct fixture *f = *state;
    struct told told = {0}, other = {0};
    start(f);
    call(f, &create_pod, &told);
    fake_answer_later(&f->fake, 0, 429, 20 * SEC);
    assert_in_range(advance_to_timer(f), 20 * SEC, 21 * SEC);
    fake_answer_later(&f->fake, 1, 429, 0);
    assert_in_range(advance_to_timer(f), 0, SEC);
    fake_answer(&f->fake, 2, 201, "{}");
    assert_told(&told, KUBE_OK);
    call(f, &get_pod, &other);
    fake_answer_later(&f->fake, 3, 503, 61 * SEC);
    assert_told(&other, KUBE_BUSY);
}

static void a_call_is_repeated_only_until_its_time(void **state)
{
    struct fixture *f = *state;
    struct told told = {0}, other = {0};
    struct kube_call limited = get_pod;
    start(f);
    limited.retry_until_ns = f->clock.now_ns + SEC;
    call(f, &limited, &told);
    size_t failed = 0;
    while (told.times == 0 && failed < ATTEMPTS_MAX) {
        fake_fail(&f->fake, failed++, KUBE_NOT_SENT);
        if (told.times == 0)
            advance_to_timer(f);
    }
    assert_in_range(failed, 2, ATTEMPTS_MAX - 1);
    assert_true(f->clock.now_ns < limited.retry_until_ns);
    assert_told(&told, KUBE_UNREACHED);
    assert_string_equal(told.message, "the cable was cut");
    /* At its time no more, but once in any case. */
    limited.retry_until_ns = f->clock.now_ns;
    call(f, &limited, &other);
    fake_fail(&f->fake, failed, KUBE_NOT_SENT);
    assert_told(&other, KUBE_UNREACHED);
}

static void a_401_is_tried_once_more(void **state)
{
    struct fixture *f = *state;
    struct told told = {0};
    start(f);
    call(f, &create_pod, &told);
    fake_answer(&f->fake, 0, 401, "");
    advance_to_timer(f);
    fake_answer(&f->fake, 1, 201, "{}");
    assert_told(&told, KUBE_OK);
}

/* ---- Rate, order, bounds ---- */

/* Names every call by its object. */
static struct kube_pending *call_named(struct fixture *f, const char *name, struct told *told)
{
    struct kube_call named = get_pod;
    named.name = str_from_cstr(name);
    return call(f, &named, told);
}

static void assert_sent_name(struct fixture *f, size_t index, const char *name)
{
    struct str target = fake_sent(&f->fake, index)->target;
    assert_true(str_ends_with(target, str_from_cstr(name)));
}

static void a_burst_goes_at_once_and_then_one_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct told told = {0};
    f->config.qps = 10;
    f->config.burst = 5;
    start(f);
    for (size_t i = 0; i < 12; i++)
        call(f, &get_pod, &told);
    assert_int_equal(f->fake.count, 5);
    advance_ms(f, 99);
    assert_int_equal(f->fake.count, 5);
    advance_ms(f, 1);
    assert_int_equal(f->fake.count, 6);
    for (size_t i = 7; i <= 12; i++) {
        assert_int_equal(advance_to_timer(f), 100 * MS);
        assert_int_equal(f->fake.count, i);
    }
    /* The bucket fills again, but not beyond the burst. */
    advance_ms(f, 3600 * 1000);
    for (size_t i = 0; i < 12; i++)
        call(f, &get_pod, &told);
    assert_int_equal(f->fake.count, 12 + 5);
    assert_true(sample(f, "rest_client_rate_limiter_duration_seconds_count{verb=\"GET\","
                          "host=\"10.0.0.1:443\"}") == 17);
}

static void without_figures_the_rate_has_its_defaults(void **state)
{
    struct fixture *f = *state;
    struct told told = {0};
    f->config.qps = 0;
    f->config.max_in_flight = 0;
    start(f);
    for (size_t i = 0; i < 200; i++)
        call(f, &get_pod, &told);
    assert_int_equal(f->fake.count, 8); /* in flight */
    for (size_t i = 0; i < 92; i++)
        fake_answer(&f->fake, i, 200, "{}");
    assert_int_equal(f->fake.count, 100);
    for (size_t i = 92; i < 100; i++)
        fake_answer(&f->fake, i, 200, "{}");
    assert_int_equal(f->fake.count, 100);
    for (size_t i = 100; i < 150; i++) {
        assert_int_equal(advance_to_timer(f), 20 * MS);
        assert_int_equal(f->fake.count, i + 1);
        fake_answer(&f->fake, i, 200, "{}");
    }
}

static void calls_beyond_those_in_flight_wait_in_order_and_retries_go_first(void **state)
{
    struct fixture *f = *state;
    struct told told = {0};
    f->config.max_in_flight = 2;
    start(f);
    static const char *const names[] = {"n0", "n1", "n2", "n3", "n4"};
    for (size_t i = 0; i < COUNT(names); i++)
        call_named(f, names[i], &told);
    assert_int_equal(f->fake.count, 2);
    fake_fail(&f->fake, 0, KUBE_NOT_SENT); /* n0 backs off, n2 goes */
    assert_int_equal(f->fake.count, 3);
    assert_sent_name(f, 2, "n2");
    advance_to_timer(f); /* n0 waits for a place, before n3 */
    assert_int_equal(f->fake.count, 3);
    fake_answer(&f->fake, 1, 200, "{}");
    assert_int_equal(f->fake.count, 4);
    assert_sent_name(f, 3, "n0");
    fake_answer(&f->fake, 3, 200, "{}");
    assert_sent_name(f, 4, "n3");
    fake_answer(&f->fake, 4, 200, "{}");
    assert_sent_name(f, 5, "n4");
    assert_int_equal(told.times, 3);
}

static void other_lanes_wait_for_nothing(void **state)
{
    struct fixture *f = *state;
    struct told told = {0}, lease = {0};
    f->config.max_in_flight = 1;
    f->config.qps = 1;
    f->config.burst = 1;
    start(f);
    kube_client_set_write_deadline(f->client, f->clock.now_ns);
    call(f, &get_pod, &told);
    struct kube_call other = create_pod;
    other.lane = KUBE_LANE_LEASE;
    for (size_t i = 0; i < 5; i++)
        call(f, &other, &lease);
    other.lane = KUBE_LANE_WATCH;
    call(f, &other, &told);
    assert_int_equal(f->fake.count, 7);
    assert_int_equal(fake_sent(&f->fake, 1)->timeout_ns, 30 * SEC);
    /* And a lease is not tried again here. */
    fake_answer(&f->fake, 1, 429, "");
    assert_told(&lease, KUBE_BUSY);
}

/* ---- The write deadline ---- */

static void a_write_is_not_sent_at_the_deadline_or_after_it(void **state)
{
    struct fixture *f = *state;
    struct told write = {0}, read = {0}, before = {0};
    start(f);
    int64_t deadline = f->clock.now_ns + 10 * SEC;
    kube_client_set_write_deadline(f->client, deadline);
    call(f, &create_pod, &before);
    assert_int_equal(fake_sent(&f->fake, 0)->timeout_ns, 10 * SEC);
    fake_answer(&f->fake, 0, 201, "{}");
    assert_told(&before, KUBE_OK);
    advance_ms(f, 10000);
    call(f, &create_pod, &write);
    call(f, &get_pod, &read);
    assert_int_equal(f->fake.count, 2);
    assert_string_equal(fake_sent(&f->fake, 1)->method, "GET");
    assert_int_equal(fake_sent(&f->fake, 1)->timeout_ns, 30 * SEC);
    run_timers(f);
    assert_told(&write, KUBE_FENCED);
    fake_answer(&f->fake, 1, 200, "{}");
    assert_told(&read, KUBE_OK);
    /* A new term. */
    struct told again = {0};
    kube_client_set_write_deadline(f->client, f->clock.now_ns + 1);
    call(f, &create_pod, &again);
    assert_int_equal(fake_sent(&f->fake, 2)->timeout_ns, 1);
}

static void at_the_deadline_all_writes_end_wherever_they_are(void **state)
{
    struct fixture *f = *state;
    struct told in_flight = {0}, backing_off = {0}, waiting = {0}, read = {0};
    f->config.max_in_flight = 2;
    start(f);
    kube_client_set_write_deadline(f->client, f->clock.now_ns + SEC);
    kube_client_set_write_deadline(f->client, f->clock.now_ns + 2 * SEC);
    call(f, &create_pod, &in_flight);
    call(f, &create_pod, &backing_off);
    call(f, &get_pod, &read);
    fake_answer_later(&f->fake, 1, 429, 30 * SEC);
    call(f, &create_pod, &waiting);
    assert_int_equal(f->fake.count, 3);
    advance_ms(f, 1999);
    assert_int_equal(in_flight.times + backing_off.times + waiting.times, 0);
    advance_ms(f, 1);
    assert_told(&in_flight, KUBE_UNKNOWN);
    assert_true(f->fake.sent[0]->is_cancelled);
    assert_told(&backing_off, KUBE_FENCED);
    assert_told(&waiting, KUBE_FENCED);
    assert_int_equal(read.times, 0);
    assert_int_equal(f->fake.count, 3);
    fake_answer(&f->fake, 2, 200, "{}");
    assert_told(&read, KUBE_OK);
}

static void a_leader_that_steps_down_ends_its_writes_at_once(void **state)
{
    struct fixture *f = *state;
    struct told write = {0}, next = {0};
    write.calls = &next; /* one that does not give up: it must not keep the loop busy */
    next.calls = &(struct told){0};
    start(f);
    kube_client_set_write_deadline(f->client, f->clock.now_ns + 10 * SEC);
    call(f, &create_pod, &write);
    kube_client_set_write_deadline(f->client, 0);
    assert_int_equal(write.times, 0);
    run_timers(f);
    assert_told(&write, KUBE_UNKNOWN);
    assert_int_equal(next.times, 0);
    run_timers(f);
    assert_told(&next, KUBE_FENCED);
    assert_int_equal(f->fake.count, 1);
}

static void a_deadline_that_was_lifted_ends_nothing(void **state)
{
    struct fixture *f = *state;
    struct told told = {0};
    start(f);
    kube_client_set_write_deadline(f->client, f->clock.now_ns + SEC);
    call(f, &create_pod, &told);
    kube_client_set_write_deadline(f->client, INT64_MAX);
    advance_ms(f, 5000);
    fake_answer(&f->fake, 0, 201, "{}");
    assert_told(&told, KUBE_OK);
}

/* ---- Cancelling ---- */

static void a_cancelled_call_is_not_told_wherever_it_is(void **state)
{
    struct fixture *f = *state;
    struct told told = {0}, last = {0};
    f->config.max_in_flight = 1;
    start(f);
    struct kube_pending *backing_off = call(f, &get_pod, &told);
    fake_fail(&f->fake, 0, KUBE_NOT_SENT);
    struct kube_pending *in_flight = call(f, &get_pod, &told);
    struct kube_pending *waiting = call(f, &get_pod, &told);
    call(f, &get_pod, &last);
    kube_client_cancel(f->client, waiting);
    kube_client_cancel(f->client, backing_off);
    kube_client_cancel(f->client, in_flight); /* its place is taken by the last one */
    assert_int_equal(f->fake.count, 3);
    assert_true(f->fake.sent[1]->is_cancelled);
    advance_ms(f, 60000);
    assert_int_equal(told.times, 0);
    fake_answer(&f->fake, 2, 200, "{}");
    assert_told(&last, KUBE_OK);
}

static void a_call_may_be_cancelled_and_made_by_the_end_of_another(void **state)
{
    struct fixture *f = *state;
    struct told first = {0}, second = {0}, third = {0}, fourth = {0};
    start(f);
    call(f, &create_pod, &first);
    struct kube_pending *pending = call(f, &create_pod, &second);
    first.cancels = &pending;
    first.calls = &third;
    fake_answer(&f->fake, 0, 201, "{}");
    assert_int_equal(second.times, 0);
    assert_true(f->fake.sent[1]->is_cancelled);
    fake_answer(&f->fake, 2, 201, "{}");
    assert_told(&third, KUBE_OK);
    /* In the loop that tells what the deadline has ended, too. */
    struct told fenced = {0};
    kube_client_set_write_deadline(f->client, 0);
    call(f, &create_pod, &fenced);
    pending = call(f, &create_pod, &second);
    fenced.cancels = &pending;
    call(f, &create_pod, &fourth);
    run_timers(f);
    assert_told(&fenced, KUBE_FENCED);
    assert_int_equal(second.times, 0);
    assert_told(&fourth, KUBE_FENCED);
}

static void freeing_the_client_cancels_what_is_under_way(void **state)
{
    struct fixture *f = *state;
    struct told told = {0};
    f->config.max_in_flight = 2;
    start(f);
    for (size_t i = 0; i < 5; i++)
        call(f, &create_pod, &told);
    fake_fail(&f->fake, 0, KUBE_NOT_SENT);
    kube_client_free(f->client);
    f->client = NULL;
    assert_int_equal(f->fake.open, 0);
    assert_int_equal(timers_next_ns(&f->timers), TIMERS_NEVER);
    assert_int_equal(told.times, 0);
}

/* ---- Metrics ---- */

static void attempts_are_counted_by_code_method_and_host(void **state)
{
    struct fixture *f = *state;
    struct told told = {0};
    start(f);
    call(f, &create_pod, &told);
    test_clock_advance_ms(&f->clock, 2000);
    fake_answer(&f->fake, 0, 429, "");
    advance_to_timer(f);
    fake_fail(&f->fake, 1, KUBE_NOT_SENT);
    advance_to_timer(f);
    fake_answer(&f->fake, 2, 201, "{}");
#define LABELS "\"POST\",host=\"10.0.0.1:443\"}"
    static const struct {
        const char *series;
        double value;
    } expected[] = {
        {"rest_client_requests_total{code=\"429\",method=" LABELS, 1},
        {"rest_client_requests_total{code=\"<error>\",method=" LABELS, 1},
        {"rest_client_requests_total{code=\"201\",method=" LABELS, 1},
        {"rest_client_request_retries_total{code=\"429\",verb=" LABELS, 1},
        {"rest_client_request_retries_total{code=\"<error>\",verb=" LABELS, 1},
        {"rest_client_request_duration_seconds_count{verb=" LABELS, 3},
        {"rest_client_request_duration_seconds_sum{verb=" LABELS, 2},
        {"rest_client_rate_limiter_duration_seconds_count{verb=" LABELS, 3},
    };
    for (size_t i = 0; i < COUNT(expected); i++) {
        if (sample(f, expected[i].series) != expected[i].value)
            fail_msg("%s is %f", expected[i].series, sample(f, expected[i].series));
    }
}

/* ---- Everything at once ---- */

enum { CHAOS_CALLS = 4000, CHAOS_IN_FLIGHT = 8, CHAOS_QPS = 100, CHAOS_BURST = 10 };

struct chaos {
    struct fixture *fixture;
    struct told told[CHAOS_CALLS];
    struct kube_pending *pending[CHAOS_CALLS];
    bool is_cancelled[CHAOS_CALLS];
    size_t calls;
    int64_t deadline;
    size_t request_lane; /* sent */
    int64_t began_ns;
};

static void check_send(void *ctx, const struct kube_request *request)
{
    struct chaos *chaos = ctx;
    int64_t now = chaos->fixture->clock.now_ns;
    bool is_write = strcmp(request->method, "GET") != 0;
    assert_true(!is_write || now < chaos->deadline);
    assert_true(!is_write || request->timeout_ns <= chaos->deadline - now);
    chaos->request_lane++;
    int64_t allowed = CHAOS_BURST + (now - chaos->began_ns) * CHAOS_QPS / SEC;
    assert_true((int64_t)chaos->request_lane <= allowed);
    assert_true(chaos->fixture->fake.open < CHAOS_IN_FLIGHT);
}

static void answer_some(struct fixture *f, size_t *first_open)
{
    static const int statuses[] = {200, 201, 404, 409, 410, 422, 429, 500, 503, 401, 403};
    while (*first_open < f->fake.count && !fake_is_open(&f->fake, *first_open))
        (*first_open)++;
    for (size_t i = *first_open; i < f->fake.count; i++) {
        uint64_t what = random_below(&f->random.random, 4 * COUNT(statuses));
        if (!fake_is_open(&f->fake, i))
            continue;
        if (what < COUNT(statuses))
            fake_answer_later(&f->fake, i, statuses[what],
                              (int64_t)random_below(&f->random.random, 3) * SEC - SEC);
        else if (what < COUNT(statuses) + 4)
            fake_fail(&f->fake, i, (enum kube_failure)(what - COUNT(statuses) + 1));
    }
}

static void chaos_step(struct chaos *chaos, size_t *first_open)
{
    struct fixture *f = chaos->fixture;
    const struct random *random = &f->random.random;
    for (uint64_t n = random_below(random, 4); n > 0 && chaos->calls < CHAOS_CALLS; n--) {
        size_t i = chaos->calls++;
        chaos->pending[i] =
            call(f, random_below(random, 3) ? &create_pod : &get_pod, &chaos->told[i]);
    }
    if (random_below(random, 8) == 0 && chaos->calls) {
        size_t i = (size_t)random_below(random, chaos->calls);
        if (chaos->told[i].times == 0 && !chaos->is_cancelled[i]) {
            kube_client_cancel(f->client, chaos->pending[i]);
            chaos->is_cancelled[i] = true;
        }
    }
    if (random_below(random, 20) == 0) {
        chaos->deadline = f->clock.now_ns + (int64_t)random_below(random, 3) * SEC;
        kube_client_set_write_deadline(f->client, chaos->deadline);
    }
    answer_some(f, first_open);
    advance_ms(f, (int64_t)random_below(random, 30));
}

static void whatever_happens_each_call_ends_once_and_no_write_passes_the_deadline(void **state)
{
    struct fixture *f = *state;
    static struct chaos chaos;
    size_t first_open = 0;
    f->config.max_in_flight = CHAOS_IN_FLIGHT;
    f->config.qps = CHAOS_QPS;
    f->config.burst = CHAOS_BURST;
    start(f);
    chaos = (struct chaos){
        .fixture = f, .began_ns = f->clock.now_ns, .deadline = f->clock.now_ns + 10 * SEC};
    f->fake.on_send = check_send;
    f->fake.ctx = &chaos;
    kube_client_set_write_deadline(f->client, chaos.deadline);
    while (chaos.calls < CHAOS_CALLS)
        chaos_step(&chaos, &first_open);
    /* No more faults: all end. */
    while (f->fake.open > 0 || timers_next_ns(&f->timers) != TIMERS_NEVER) {
        for (; first_open < f->fake.count; first_open++) {
            if (fake_is_open(&f->fake, first_open))
                fake_answer(&f->fake, first_open, 200, "{}");
        }
        if (timers_next_ns(&f->timers) != TIMERS_NEVER)
            advance_to_timer(f);
    }
    size_t ends[KUBE_FENCED + 1] = {0};
    for (size_t i = 0; i < CHAOS_CALLS; i++) {
        assert_int_equal(chaos.told[i].times, chaos.is_cancelled[i] ? 0 : 1);
        if (chaos.told[i].times)
            ends[chaos.told[i].outcome]++;
    }
    for (size_t i = 0; i < COUNT(ends); i++) {
        /* No body says AlreadyExists, and eight lost connections in a row are rare. */
        if (ends[i] == 0 && i != KUBE_ALREADY_EXISTS && i != KUBE_UNREACHED)
            fail_msg("no call ended with %s", kube_outcome_name((enum kube_outcome)i));
    }
}

/* ---- Memory ---- */

static void on_told(void *ctx, const struct kube_result *result)
{
    *(enum kube_outcome *)ctx = result->outcome;
}

static bool call_once(const struct mem *mem, void *ctx)
{
    struct fixture *f = ctx;
    struct timers timers;
    struct fake_transport fake;
    struct kube_client_config config = f->config;
    struct err err = {0};
    enum kube_outcome outcome = KUBE_UNREACHED;
    timers_init(&timers, mem);
    fake_transport_init(&fake);
    config.timers = &timers;
    config.mem = mem;
    config.metrics = NULL;
    config.transport = &fake.transport;
    struct kube_client *client = kube_client_new(&config, &err);
    bool sent = client && kube_client_call(client, &create_pod, on_told, &outcome, &err) != NULL;
    if (sent)
        fake_answer(&fake, 0, 409, STATUS(409, "AlreadyExists", "m"));
    else
        assert_int_equal(err.code, 507);
    kube_client_free(client);
    fake_transport_done(&fake);
    timers_done(&timers);
    /* Without memory for its Status the answer is still a 409. */
    assert_true(!sent || outcome == KUBE_CONFLICT || outcome == KUBE_ALREADY_EXISTS);
    return outcome == KUBE_ALREADY_EXISTS;
}

static void without_memory_a_call_is_refused_or_says_less(void **state)
{
    struct fixture *f = *state;
    test_every_allocation_failing(call_once, f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_verb_has_its_request),
        TEST(the_bounds_of_a_call_reach_the_transport),
        TEST(calls_that_cannot_be_meant_are_refused),
        TEST(more_calls_than_the_maximum_are_refused),
        TEST(answers_have_their_outcome),
        TEST(lost_answers_have_their_outcome),
        TEST(what_the_transport_does_not_take_is_tried_again_until_it_is_given_up),
        TEST(messages_tell_fields_and_reasons_but_no_values),
        TEST(a_long_message_is_cut_between_characters),
        TEST(the_backoff_doubles_with_jitter),
        TEST(retry_after_is_honoured_unless_it_is_too_long),
        TEST(a_call_is_repeated_only_until_its_time),
        TEST(a_401_is_tried_once_more),
        TEST(a_burst_goes_at_once_and_then_one_at_a_time),
        TEST(without_figures_the_rate_has_its_defaults),
        TEST(calls_beyond_those_in_flight_wait_in_order_and_retries_go_first),
        TEST(other_lanes_wait_for_nothing),
        TEST(a_write_is_not_sent_at_the_deadline_or_after_it),
        TEST(at_the_deadline_all_writes_end_wherever_they_are),
        TEST(a_leader_that_steps_down_ends_its_writes_at_once),
        TEST(a_deadline_that_was_lifted_ends_nothing),
        TEST(a_cancelled_call_is_not_told_wherever_it_is),
        TEST(a_call_may_be_cancelled_and_made_by_the_end_of_another),
        TEST(freeing_the_client_cancels_what_is_under_way),
        TEST(attempts_are_counted_by_code_method_and_host),
        TEST(whatever_happens_each_call_ends_once_and_no_write_passes_the_deadline),
        TEST(without_memory_a_call_is_refused_or_says_less),
    };
    return cmocka_run_group_tests_name("kube_client", tests, NULL, NULL);
}
