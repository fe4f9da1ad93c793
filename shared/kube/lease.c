/* Leader election. */
#include "kube/lease.h"

#include "kube/reflector.h"

#include <stdio.h>

#define DURATION_NS       (15 * CLOCK_NS_PER_SEC)
#define RENEW_DEADLINE_NS (10 * CLOCK_NS_PER_SEC)
#define RETRY_NS          (2 * CLOCK_NS_PER_SEC)

enum {
    TEXT_MAX = 256, /* of a holder's identity or a time; longer ones are cut alike */
    BODY_MAX = 4 << 10,
    OBJECT_MAX = 256 << 10,
    PROBLEM_MAX = 256,
    RELEASES_MAX = 3, /* attempts */
    SERIES_MAX = 8,
};

struct text {
    char bytes[TEXT_MAX];
    size_t len;
};

/* What was last seen of the Lease. */
struct record {
    bool exists;
    struct text holder; /* "": nobody */
    struct text renewed;
    struct text acquired;
    int64_t transitions;
    int64_t duration_ns;
    struct text version; /* "": to be read anew */
    int64_t seen_ns;     /* the change */
};

struct kube_lease {
    struct kube_lease_config config;
    struct arena texts;
    struct arena object;
    struct gauge *status;
    struct timer tick;     /* the next attempt */
    struct timer deadline; /* set while it is held */
    struct kube_pending *pending;
    struct kube_reflector *watch; /* while it is not held */
    struct record record;
    int64_t sent_ns; /* the attempt that is under way */
    bool is_held;
    bool is_second; /* attempt of this turn, after a conflict */
    char problem[PROBLEM_MAX];

    bool is_released; /* or is about to be */
    unsigned releases;
    void (*on_released)(void *ctx);
    void *released_ctx;
};

static int64_t now(const struct kube_lease *lease)
{
    return clock_now_ns(lease->config.clock);
}

static struct str text_of(const struct text *text)
{
    return (struct str){text->bytes, text->len};
}

/* True when that is a change. */
static bool keep_text(struct text *text, struct str value)
{
    value = str_sub(value, 0, TEXT_MAX);
    if (str_eq(text_of(text), value))
        return false;
    memcpy(text->bytes, value.ptr, value.len);
    text->len = value.len;
    return true;
}

static void set_problem(struct kube_lease *lease, struct str text)
{
    snprintf(lease->problem, PROBLEM_MAX, "%" PRIstr, STR_ARG(text));
}

/* ---- What is seen ---- */

static bool is_mine(const struct kube_lease *lease)
{
    return lease->record.exists &&
           str_eq(text_of(&lease->record.holder), str_sub(lease->config.identity, 0, TEXT_MAX));
}

/* When another may take it. */
static int64_t free_at_ns(const struct kube_lease *lease)
{
    const struct record *record = &lease->record;
    return record->exists && record->holder.len > 0 ? record->seen_ns + record->duration_ns
                                                    : INT64_MIN;
}

/* Takes in what the server said at this moment. A Lease that changed has a holder that lives, whatever
 * its time says; other members (labels) that change say nothing. */
static void see(struct kube_lease *lease, const struct json *object)
{
    const struct json *spec = kube_at(object, "spec", NULL);
    struct record *record = &lease->record;
    int64_t transitions = kube_int_at(spec, 0, "leaseTransitions", NULL);
    int64_t seconds = kube_int_at(spec, 0, "leaseDurationSeconds", NULL);
    bool is_change = !record->exists || transitions != record->transitions;
    is_change |= keep_text(&record->holder, kube_text_at(spec, "holderIdentity", NULL));
    is_change |= keep_text(&record->renewed, kube_text_at(spec, "renewTime", NULL));
    keep_text(&record->acquired, kube_text_at(spec, "acquireTime", NULL));
    keep_text(&record->version, kube_text_at(object, "metadata", "resourceVersion", NULL));
    record->exists = true;
    record->transitions = transitions;
    record->duration_ns =
        seconds > 0 && seconds < INT32_MAX ? seconds * CLOCK_NS_PER_SEC : lease->config.duration_ns;
    if (is_change)
        record->seen_ns = now(lease);
}

static bool see_text(struct kube_lease *lease, struct str body)
{
    struct err err;
    const struct json *object = json_read(&lease->object, body, &json_limits_default, &err);
    if (object)
        see(lease, object);
    else
        set_problem(lease, str_from_cstr(err.message));
    arena_reset(&lease->object);
    return object != NULL;
}

/* ---- Watching, while another holds it ---- */

static void ignore(void *ctx)
{
    (void)ctx;
}

/* Only a hint, which may be old: the attempt reads the Lease itself. */
static int on_watched(void *ctx, const struct json *object, const struct kube_meta *meta)
{
    struct kube_lease *lease = ctx;
    bool is_free = kube_text_at(object, "spec", "holderIdentity", NULL).len == 0;
    if (str_eq(meta->name, lease->config.name) && is_free && !lease->pending)
        timers_set(lease->config.timers, &lease->tick, now(lease));
    return 0;
}

static void on_removed(void *ctx, const struct json *object, const struct kube_meta *meta)
{
    (void)object;
    struct kube_lease *lease = ctx;
    if (str_eq(meta->name, lease->config.name) && !lease->pending)
        timers_set(lease->config.timers, &lease->tick, now(lease));
}

/* Without memory for it a release is only seen later. */
static void begin_watch(struct kube_lease *lease)
{
    const struct kube_lease_config *config = &lease->config;
    if (!config->transport || lease->watch)
        return;
    struct str selector =
        arena_printf(&lease->object, "metadata.name=%" PRIstr, STR_ARG(config->name));
    if (!str_is_set(selector))
        return;
    struct err err;
    lease->watch = kube_reflector_new(
        &(const struct kube_reflector_config){
            .transport = config->transport,
            .timers = config->timers,
            .clock = config->clock,
            .random = config->random,
            .mem = config->mem,
            .resource = &kube_leases,
            .namespace = config->namespace,
            .field_selector = selector,
            .sink = {ignore, on_watched, on_removed, ignore, lease},
            .object_max = OBJECT_MAX,
        },
        &err);
    arena_reset(&lease->object);
}

static void end_watch(struct kube_lease *lease)
{
    kube_reflector_free(lease->watch);
    lease->watch = NULL;
}

/* ---- Holding ---- */

static void fence(struct kube_lease *lease)
{
    kube_client_set_write_deadline(lease->config.client, now(lease));
    timers_cancel(lease->config.timers, &lease->deadline);
    gauge_set(lease->status, 0);
    lease->is_held = false;
}

static void stop(struct kube_lease *lease)
{
    fence(lease);
    begin_watch(lease);
    lease->config.on_stopped(lease->config.ctx);
}

/* The attempt that was sent at sent_ns has made it ours. */
static void hold(struct kube_lease *lease)
{
    int64_t until_ns = lease->sent_ns + lease->config.renew_deadline_ns;
    if (until_ns <= now(lease)) {
        if (lease->is_held)
            stop(lease);
        return;
    }
    bool is_new = !lease->is_held;
    lease->is_held = true;
    lease->problem[0] = '\0';
    kube_client_set_write_deadline(lease->config.client, until_ns);
    timers_set(lease->config.timers, &lease->deadline, until_ns);
    if (!is_new)
        return;
    end_watch(lease);
    gauge_set(lease->status, 1);
    lease->config.on_started(lease->config.ctx);
}

static void on_deadline(void *ctx, int64_t now_ns)
{
    (void)now_ns;
    struct kube_lease *lease = ctx;
    stop(lease);
}

/* ---- Attempts ---- */

static void attempt(struct kube_lease *lease);

/* A holder renews in a steady rhythm; the others come at random times, and when the lease expires. */
static void attempt_later(struct kube_lease *lease)
{
    int64_t now_ns = now(lease), retry_ns = lease->config.retry_ns;
    int64_t at_ns = lease->sent_ns + retry_ns;
    if (!lease->is_held) {
        at_ns = now_ns + retry_ns;
        int64_t free_ns = free_at_ns(lease);
        if (free_ns > now_ns && free_ns < at_ns)
            at_ns = free_ns;
        at_ns += (int64_t)random_below(lease->config.random, (uint64_t)retry_ns / 4);
    }
    timers_set(lease->config.timers, &lease->tick, at_ns > now_ns ? at_ns : now_ns);
}

static void finish_release(struct kube_lease *lease)
{
    timers_cancel(lease->config.timers, &lease->tick);
    if (lease->on_released)
        lease->on_released(lease->released_ctx);
    lease->on_released = NULL;
}

/* After an attempt of any outcome. */
static void go_on(struct kube_lease *lease)
{
    if (!lease->is_released)
        attempt_later(lease);
    else if (lease->releases < RELEASES_MAX)
        attempt(lease);
    else
        finish_release(lease);
}

static void begin_call(struct kube_lease *lease, const struct kube_call *call, kube_done *done)
{
    struct err err;
    lease->sent_ns = now(lease);
    lease->pending = kube_client_call(lease->config.client, call, done, lease, &err);
    if (lease->pending)
        return;
    set_problem(lease, str_from_cstr(err.message));
    if (lease->is_released)
        finish_release(lease);
    else
        attempt_later(lease);
}

static struct kube_call call_of(const struct kube_lease *lease, enum kube_verb verb)
{
    /* Two attempts before the deadline, so that one lost packet does not depose a leader; one who gives
     * up has no patience. */
    return (struct kube_call){
        .verb = verb,
        .lane = KUBE_LANE_LEASE,
        .resource = &kube_leases,
        .namespace = lease->config.namespace,
        .name = lease->config.name,
        .timeout_ns =
            lease->is_released ? lease->config.retry_ns : lease->config.renew_deadline_ns / 2,
        .response_max = OBJECT_MAX,
    };
}

static void put_text(struct buf *body, const char *key, struct str text)
{
    buf_printf(body, "\"%s\":", key);
    json_write_str(body, text);
    buf_put_char(body, ',');
}

static void put_spec(const struct kube_lease *lease, struct buf *body)
{
    char text[CLOCK_TEXT_SIZE];
    struct str wall = clock_print(clock_wall_ns(lease->config.clock), CLOCK_MICROS, text);
    bool is_renewal = is_mine(lease);
    /* Given up, it is free from the next second on, even for one who has missed that there is no holder
     * (client-go does the same). */
    int64_t seconds = lease->is_released ? 1 : lease->config.duration_ns / CLOCK_NS_PER_SEC;
    int64_t transitions = lease->record.transitions;
    if (lease->record.exists && !is_renewal)
        transitions++;
    buf_put(body, STR("\"spec\":{"));
    put_text(body, "holderIdentity", lease->is_released ? STR("") : lease->config.identity);
    if (!is_renewal || lease->is_released)
        put_text(body, "acquireTime", wall);
    put_text(body, "renewTime", wall);
    buf_printf(body, "\"leaseDurationSeconds\":%lld,\"leaseTransitions\":%lld}", (long long)seconds,
               (long long)transitions);
}

static void on_written(void *ctx, const struct kube_result *result);

static void write_lease(struct kube_lease *lease)
{
    struct buf body;
    buf_init(&body, lease->config.mem, BODY_MAX);
    struct kube_call call = call_of(lease, lease->record.exists ? KUBE_PATCH_MERGE : KUBE_CREATE);
    buf_put(&body, STR("{\"metadata\":{"));
    if (lease->record.exists) {
        buf_put(&body, STR("\"resourceVersion\":"));
        json_write_str(&body, text_of(&lease->record.version));
    } else {
        buf_put(&body, STR("\"name\":"));
        json_write_str(&body, lease->config.name);
    }
    buf_put(&body, STR("},"));
    put_spec(lease, &body);
    buf_put_char(&body, '}');
    call.body = buf_str(&body);
    if (buf_failed(&body)) {
        set_problem(lease, STR("no memory for renewing the lease"));
        go_on(lease);
    } else {
        begin_call(lease, &call, on_written);
    }
    buf_done(&body);
}

static void on_written(void *ctx, const struct kube_result *result)
{
    struct kube_lease *lease = ctx;
    lease->pending = NULL;
    if (result->outcome == KUBE_OK && lease->is_released) {
        finish_release(lease);
        return;
    }
    if (result->outcome == KUBE_OK && see_text(lease, result->body) && is_mine(lease)) {
        hold(lease);
        go_on(lease);
        return;
    }
    /* It may have been changed, by another or by this very attempt. */
    lease->record.version.len = 0;
    bool is_race = result->outcome == KUBE_CONFLICT || result->outcome == KUBE_ALREADY_EXISTS ||
                   (result->outcome == KUBE_NOT_FOUND && lease->record.exists);
    if (!is_race)
        set_problem(lease, result->message);
    if (is_race && lease->is_held && !lease->is_second) {
        lease->is_second = true;
        attempt(lease);
    } else {
        go_on(lease);
    }
}

/* What comes of a Lease that was just read. */
static void decide(struct kube_lease *lease)
{
    if (lease->is_held && !is_mine(lease))
        stop(lease);
    if (lease->is_released) {
        if (is_mine(lease))
            write_lease(lease);
        else
            finish_release(lease);
    } else if (is_mine(lease) || free_at_ns(lease) <= now(lease)) {
        write_lease(lease);
    } else {
        lease->problem[0] = '\0';
        attempt_later(lease);
    }
}

static void on_read(void *ctx, const struct kube_result *result)
{
    struct kube_lease *lease = ctx;
    lease->pending = NULL;
    if (result->outcome == KUBE_NOT_FOUND) {
        lease->record = (struct record){0};
        decide(lease);
    } else if (result->outcome == KUBE_OK && see_text(lease, result->body)) {
        decide(lease);
    } else {
        if (result->outcome != KUBE_OK)
            set_problem(lease, result->message);
        go_on(lease);
    }
}

/* A holder that knows the version writes; else the Lease is read first. */
static void attempt(struct kube_lease *lease)
{
    lease->releases += lease->is_released;
    if (is_mine(lease) && lease->record.version.len > 0) {
        write_lease(lease);
        return;
    }
    const struct kube_call call = call_of(lease, KUBE_GET);
    begin_call(lease, &call, on_read);
}

static void on_tick(void *ctx, int64_t now_ns)
{
    (void)now_ns;
    struct kube_lease *lease = ctx;
    if (lease->pending)
        return;
    lease->is_second = false;
    if (lease->is_released && lease->releases == RELEASES_MAX)
        finish_release(lease);
    else
        attempt(lease);
}

void kube_lease_release(struct kube_lease *lease, void (*done)(void *ctx), void *ctx)
{
    bool was_held = lease->is_held;
    lease->is_released = true;
    lease->on_released = done;
    lease->released_ctx = ctx;
    end_watch(lease);
    fence(lease);
    if (lease->pending) {
        /* It may take the lease, or renew it, all the same. */
        kube_client_cancel(lease->config.client, lease->pending);
        lease->pending = NULL;
        lease->record.version.len = 0;
        was_held = true;
    }
    /* Not in here: `done` runs from the event loop. */
    lease->releases = was_held || is_mine(lease) ? 0 : RELEASES_MAX;
    timers_set(lease->config.timers, &lease->tick, now(lease));
}

/* ---- Making and asking ---- */

static bool keep_texts(struct kube_lease *lease)
{
    struct kube_lease_config *config = &lease->config;
    config->namespace = arena_copy(&lease->texts, config->namespace);
    config->name = arena_copy(&lease->texts, config->name);
    config->identity = arena_copy(&lease->texts, config->identity);
    return str_is_set(config->namespace) && str_is_set(config->name) &&
           str_is_set(config->identity);
}

static struct gauge_family *make_family(struct metrics *metrics)
{
    return metrics_gauges(metrics, "leader_election_master_status",
                          "1 while this process holds the lease.", METRICS_LABELS("name"),
                          SERIES_MAX);
}

void kube_lease_add_metrics(struct metrics *metrics)
{
    make_family(metrics);
}

static struct gauge *make_status(const struct kube_lease_config *config)
{
    return config->metrics ? gauge_of(make_family(config->metrics), METRICS_VALUES(config->name))
                           : NULL;
}

static int set_times(struct kube_lease_config *config, struct err *err)
{
    config->duration_ns = config->duration_ns ? config->duration_ns : DURATION_NS;
    config->renew_deadline_ns =
        config->renew_deadline_ns ? config->renew_deadline_ns : RENEW_DEADLINE_NS;
    config->retry_ns = config->retry_ns ? config->retry_ns : RETRY_NS;
    if (config->retry_ns > 0 && config->renew_deadline_ns > config->retry_ns &&
        config->duration_ns > config->renew_deadline_ns &&
        config->duration_ns % CLOCK_NS_PER_SEC == 0)
        return 0;
    return err_set(err, 400,
                   "the duration of the lease must be whole seconds and above its renew deadline, "
                   "and that above the time between two attempts");
}

struct kube_lease *kube_lease_new(const struct kube_lease_config *config, struct err *err)
{
    struct kube_lease *lease = mem_alloc(config->mem, sizeof(*lease));
    if (!lease) {
        err_no_memory(err, "setting up leader election");
        return NULL;
    }
    *lease = (struct kube_lease){.config = *config, .status = make_status(config)};
    struct kube_lease_config *own = &lease->config;
    arena_init(&lease->texts, own->mem, 512, BODY_MAX);
    arena_init(&lease->object, own->mem, 4096, 64 * OBJECT_MAX);
    if (!keep_texts(lease)) {
        err_no_memory(err, "setting up leader election");
        goto fail;
    }
    if (set_times(own, err) < 0 ||
        timers_register(own->timers, &lease->tick, on_tick, lease, err) < 0 ||
        timers_register(own->timers, &lease->deadline, on_deadline, lease, err) < 0)
        goto fail;
    fence(lease);
    begin_watch(lease);
    timers_set(own->timers, &lease->tick, now(lease));
    return lease;
fail:
    kube_lease_free(lease);
    return NULL;
}

void kube_lease_free(struct kube_lease *lease)
{
    if (!lease)
        return;
    const struct mem *mem = lease->config.mem;
    if (lease->pending)
        kube_client_cancel(lease->config.client, lease->pending);
    end_watch(lease);
    timers_unregister(lease->config.timers, &lease->tick);
    timers_unregister(lease->config.timers, &lease->deadline);
    arena_done(&lease->texts);
    arena_done(&lease->object);
    mem_free(mem, lease, sizeof(*lease));
}

bool kube_lease_is_held(const struct kube_lease *lease)
{
    return lease->is_held && now(lease) < lease->deadline.at_ns;
}

struct str kube_lease_problem(const struct kube_lease *lease)
{
    return str_from_cstr(lease->problem[0] ? lease->problem : NULL);
}
