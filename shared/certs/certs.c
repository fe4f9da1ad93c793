/* A server's own certificates: reading, writing, taking into use. */
#include "certs/certs.h"

#include "base/utf8.h"
#include "certs/certs_view.h"
#include "kube/client.h"

#include <pthread.h>
#include <stdio.h>

enum {
    /* Of three objects with what is decoded from them. */
    ARENA_BLOCK = 64 * 1024,
    ARENA_MAX = 32 * 1024 * 1024,
    BODY_MAX = 4 * 1024 * 1024,
    REASON_MAX = 320,
    /* More in a row means that somebody undoes them. */
    WRITES_MAX = 8,
    /* A clock that differs by less is not worth a correction. */
    SKEW_S = 5,
    MS_PER_SEC = 1000,
    SECONDS_PER_DAY = 86400,
};

static const int64_t attempt_ns = 5 * CLOCK_NS_PER_SEC;
/* Between two tries of replicas that met each other. */
static const int64_t conflict_ns = 200 * CLOCK_NS_PER_MS;

enum place { READ_MUTATING, READ_VALIDATING, READ_SECRET, READS };

/* An authority that is in all bundles, and since when this replica has seen it there. */
struct trust {
    struct pki_id id;
    int64_t since_ns;
};

/* What this replica serves. The texts are its own. */
struct own_pair {
    struct certs_pair_seen seen;
    struct pki_pair pair;
    struct pki_cert authority;
    struct pki_id id;
};

struct certs {
    struct certs_config config;
    struct mem wiping; /* of all that may hold a key */
    struct arena texts;
    struct arena cycle; /* what was read since the last rest */
    struct timers timers;
    struct timer tick;
    struct kube_client *client;
    struct kube_pending *pending;
    enum place place;
    enum certs_step step; /* that is being written */
    unsigned writes_in_row;
    struct certs_texts read;
    struct certs_view view;
    struct trust trusted[PKI_CERTS_MAX];
    size_t trusted_count;
    struct arena own_texts[2]; /* of the pair in use, at own_place, and of its successor */
    size_t own_place;
    struct own_pair own;
    struct pki_id pair_authority; /* the first one, of which the Secret's pair is ... */
    int64_t pair_since_ns;        /* ... since then; CERTS_NEVER: it is not */
    int64_t skew_s;               /* how far the API server's clock is ahead */
    char reason[REASON_MAX];      /* the last that was logged; "" while all is well */
    _Atomic(const char *) unready;
    struct gauge *days_left;
    struct gauge *authorities;
    struct counter_family *writes;
    atomic_bool must_stop;
    bool is_running;
    pthread_t thread;
};

static int64_t now_ns(const struct certs *certs)
{
    return clock_now_ns(certs->config.clock);
}

/* Since 1970, as the API server has it. */
static int64_t now_ms(const struct certs *certs)
{
    return clock_wall_ns(certs->config.clock) / CLOCK_NS_PER_MS + certs->skew_s * MS_PER_SEC;
}

/* ---- Saying what is wrong ---- */

/* Once, not each time that it is tried. */
static void report(struct certs *certs, const char *doing, struct str why)
{
    char reason[REASON_MAX];
    struct str cut = utf8_cut(why, REASON_MAX / 2);
    snprintf(reason, sizeof(reason), "%s: %" PRIstr, doing, STR_ARG(cut));
    if (strcmp(reason, certs->reason) == 0)
        return;
    memcpy(certs->reason, reason, sizeof(reason));
    log_warn(certs->config.log, "the certificates cannot be kept", LOG_CSTR("reason", reason));
}

static void report_err(struct certs *certs, const char *doing, const struct err *err)
{
    report(certs, doing, str_from_cstr(err->message));
}

static void report_well(struct certs *certs)
{
    if (certs->reason[0] == '\0')
        return;
    certs->reason[0] = '\0';
    log_info(certs->config.log, "the certificates are kept again");
}

static void show(struct certs *certs)
{
    const char *unready = certs_find_distrust(&certs->own.seen, now_ms(certs));
    const char *before = atomic_exchange(&certs->unready, unready);
    if (before && !unready)
        log_info(certs->config.log, "clients can trust this replica");
    else if (unready && !before)
        log_warn(certs->config.log, "clients cannot trust this replica",
                 LOG_CSTR("reason", unready));
}

/* ---- Time ---- */

/* Who has no right clock would make certificates that nobody takes. */
static void set_time(struct certs *certs, const struct kube_result *result)
{
    if (result->date_s == 0)
        return;
    int64_t wall_s = clock_wall_ns(certs->config.clock) / CLOCK_NS_PER_SEC;
    int64_t skew_s = result->date_s - wall_s;
    bool is_skewed = skew_s > SKEW_S || skew_s < -SKEW_S;
    if (is_skewed && certs->skew_s == 0)
        log_warn(certs->config.log,
                 "this machine's clock differs from the API server's, which is taken",
                 LOG_INT("seconds", skew_s));
    certs->skew_s = is_skewed ? skew_s : 0;
}

/* ---- What was seen ---- */

static int64_t trusted_since(const struct certs *certs, const struct pki_id *id)
{
    for (size_t i = 0; i < certs->trusted_count; i++) {
        if (pki_same(&certs->trusted[i].id, id))
            return certs->trusted[i].since_ns;
    }
    return CERTS_NEVER;
}

/*
 * Since when an authority that was not seen before is trusted. Clients of the Secret read it when they start:
 * from the moment at which it was made, which its beginning tells; and those of the only one know no other.
 */
static int64_t begins_ns(const struct certs *certs, const struct pki_cert *authority)
{
    if (certs->config.owner->configuration)
        return now_ns(certs);
    int64_t age_ms = now_ms(certs) - (authority->not_before_s + CERTS_BACKDATE_S) * MS_PER_SEC;
    if (certs->view.trusted.count == 1)
        age_ms = certs->config.times.settle_ms;
    return now_ns(certs) - age_ms * CLOCK_NS_PER_MS;
}

static void see_trust(struct certs *certs)
{
    const struct pki_certs *seen = &certs->view.trusted;
    struct trust next[PKI_CERTS_MAX];
    for (size_t i = 0; i < seen->count; i++) {
        int64_t since_ns = trusted_since(certs, &seen->all[i].id);
        next[i] = (struct trust){
            .id = seen->all[i].id,
            .since_ns = since_ns == CERTS_NEVER ? begins_ns(certs, &seen->all[i]) : since_ns,
        };
    }
    memcpy(certs->trusted, next, seen->count * sizeof(next[0]));
    certs->trusted_count = seen->count;
    certs->own.seen.trusted_ns = trusted_since(certs, &certs->own.authority.id);
}

/* A pair that was renewed meanwhile is still one of the same authority. */
static void see_pair(struct certs *certs)
{
    const struct certs_view *view = &certs->view;
    const struct pki_id *first = &view->authorities.all[0].id;
    bool is_of_first = view->is_pair_good && pki_same(&view->pair_authority.id, first);
    if (!is_of_first)
        certs->pair_since_ns = CERTS_NEVER;
    else if (certs->pair_since_ns == CERTS_NEVER || !pki_same(&certs->pair_authority, first))
        certs->pair_since_ns = now_ns(certs);
    certs->pair_authority = *first;
}

static struct certs_span span_of(const struct pki_cert *cert)
{
    return (struct certs_span){cert->not_before_s, cert->not_after_s};
}

static void see(struct certs *certs, struct certs_seen *ret)
{
    const struct certs_view *view = &certs->view;
    const struct pki_cert *first = &view->authorities.all[0];
    *ret = (struct certs_seen){
        .now_ms = now_ms(certs),
        .now_ns = now_ns(certs),
        .is_foreign = view->is_foreign,
        .has_secret = view->secret != NULL,
        .has_authority = view->has_authority,
        .authority_trusted_ns = CERTS_NEVER,
        .has_old = view->authorities.count > 1,
        .old_until_s = view->old_until_s,
        .is_published = view->is_published[0] && view->is_published[1],
        .pair = {.is_good = view->is_pair_good, .trusted_ns = CERTS_NEVER},
        .pair_since_ns = certs->pair_since_ns,
        .own = certs->own.seen,
        .is_own_authority_kept = pki_find(&view->authorities, &certs->own.authority.id) != NULL,
        .is_own_the_pair = view->is_pair_good && pki_same(&view->pair_cert.id, &certs->own.id),
    };
    if (view->has_authority) {
        ret->authority = span_of(first);
        ret->authority_trusted_ns = trusted_since(certs, &first->id);
    }
    if (view->is_pair_good) {
        ret->pair.span = span_of(&view->pair_cert);
        ret->pair.trusted_ns = trusted_since(certs, &view->pair_authority.id);
        ret->is_pair_of_authority = pki_same(&view->pair_authority.id, &first->id);
    }
}

static void measure(const struct certs *certs, const struct certs_seen *seen)
{
    double now_days = (double)seen->now_ms / MS_PER_SEC / SECONDS_PER_DAY;
    if (seen->has_authority)
        gauge_set(certs->days_left,
                  (double)seen->authority.not_after_s / SECONDS_PER_DAY - now_days);
    gauge_set(certs->authorities, (double)certs->view.trusted.count);
}

/* ---- Taking a pair into use ---- */

static bool copy_own(const struct certs *certs, struct arena *texts, struct own_pair *ret)
{
    const struct certs_view *view = &certs->view;
    *ret = (struct own_pair){
        .seen = {.is_good = true,
                 .span = span_of(&view->pair_cert),
                 .trusted_ns = trusted_since(certs, &view->pair_authority.id)},
        .pair = {arena_copy(texts, view->pair.cert), arena_copy(texts, view->pair.key)},
        .authority = view->pair_authority,
        .id = view->pair_cert.id,
    };
    ret->authority.pem = arena_copy(texts, view->pair_authority.pem);
    return str_is_set(ret->pair.cert) && str_is_set(ret->pair.key) &&
           str_is_set(ret->authority.pem);
}

/* The texts of the one before are needed until the new one is in use. */
static int put_in_place(struct certs *certs, struct err *err)
{
    struct own_pair own;
    size_t next = 1 - certs->own_place;
    if (!copy_own(certs, &certs->own_texts[next], &own)) {
        arena_done(&certs->own_texts[next]);
        return err_no_memory(err, "certificate");
    }
    if (cert_source_replace(certs->config.source, own.pair.cert, own.pair.key, err) < 0) {
        arena_done(&certs->own_texts[next]);
        return -1;
    }
    arena_done(&certs->own_texts[certs->own_place]);
    certs->own_place = next;
    certs->own = own;
    return 0;
}

static void load(struct certs *certs)
{
    struct err err;
    char text[CLOCK_TEXT_SIZE];
    bool is_good = put_in_place(certs, &err) == 0;
    if (certs->config.on_load)
        certs->config.on_load(certs->config.ctx, is_good);
    if (!is_good) {
        report_err(certs, "taking the certificate into use", &err);
        return;
    }
    int64_t not_after_ns = certs->own.seen.span.not_after_s * CLOCK_NS_PER_SEC;
    log_info(certs->config.log, "a new certificate is served",
             LOG_STR("notAfter", clock_print(not_after_ns, CLOCK_SECONDS, text)));
}

/* ---- The cycle ---- */

static void rest(struct certs *certs, int64_t rest_ns)
{
    arena_done(&certs->cycle);
    certs->view = (struct certs_view){0};
    certs->read = (struct certs_texts){0};
    certs->writes_in_row = 0;
    show(certs);
    timers_set(&certs->timers, &certs->tick, now_ns(certs) + rest_ns);
}

/* Not all replicas at the same time. */
static int64_t jittered(const struct certs *certs, int64_t ns)
{
    return ns - ns / 8 + (int64_t)random_below(certs->config.random, (uint64_t)ns / 4 + 1);
}

static void rest_after_failure(struct certs *certs)
{
    rest(certs, jittered(certs, certs->config.interval_ns));
}

static void begin_call(struct certs *certs, const struct kube_call *call, kube_done *done,
                       const char *doing)
{
    struct err err;
    certs->pending = kube_client_call(certs->client, call, done, certs, &err);
    if (certs->pending)
        return;
    report_err(certs, doing, &err);
    rest_after_failure(certs);
}

static struct kube_call call_of(const struct certs *certs, enum place place, enum kube_verb verb)
{
    static const struct kube_resource *const resources[READS] = {
        [READ_MUTATING] = &kube_mutating_webhooks,
        [READ_VALIDATING] = &kube_validating_webhooks,
        [READ_SECRET] = &kube_secrets,
    };
    const struct certs_owner *owner = certs->config.owner;
    return (struct kube_call){
        .verb = verb,
        .lane = KUBE_LANE_REQUEST,
        .resource = resources[place],
        .namespace = place == READ_SECRET ? certs->config.namespace : (struct str){NULL, 0},
        .name = str_from_cstr(place == READ_SECRET ? owner->secret : owner->configuration),
        .field_manager = str_from_cstr(owner->field_manager),
        .timeout_ns = attempt_ns,
        .retry_until_ns = now_ns(certs) + attempt_ns,
        .response_max = BODY_MAX,
    };
}

static void decide(struct certs *certs);
static void on_read(void *ctx, const struct kube_result *result);

static void read_next(struct certs *certs)
{
    const struct kube_call call = call_of(certs, certs->place, KUBE_GET);
    begin_call(certs, &call, on_read, "reading");
}

static void begin_cycle(struct certs *certs)
{
    arena_done(&certs->cycle);
    certs->read = (struct certs_texts){0};
    certs->place = certs->config.owner->configuration ? READ_MUTATING : READ_SECRET;
    read_next(certs);
}

static void on_tick(void *ctx, int64_t at_ns)
{
    (void)at_ns;
    begin_cycle(ctx);
}

static void on_read(void *ctx, const struct kube_result *result)
{
    struct certs *certs = ctx;
    struct str *text = certs->place == READ_SECRET ? &certs->read.secret
                                                   : &certs->read.configurations[certs->place];
    certs->pending = NULL;
    set_time(certs, result);
    if (result->outcome == KUBE_OK) {
        *text = arena_copy(&certs->cycle, result->body);
        if (!str_is_set(*text)) {
            report(certs, "reading", STR("out of memory"));
            rest_after_failure(certs);
            return;
        }
    } else if (result->outcome != KUBE_NOT_FOUND) {
        report(certs, "reading", result->message);
        rest_after_failure(certs);
        return;
    }
    certs->place++;
    if (certs->place < READS)
        read_next(certs);
    else
        decide(certs);
}

/* ---- The writes ---- */

static void on_written(void *ctx, const struct kube_result *result)
{
    struct certs *certs = ctx;
    const char *step = certs_step_name(certs->step);
    certs->pending = NULL;
    set_time(certs, result);
    counter_add(counter_of(certs->writes,
                           METRICS_VALUES(str_from_cstr(step),
                                          str_from_cstr(kube_outcome_name(result->outcome)))),
                1);
    if (result->outcome == KUBE_OK) {
        log_info(certs->config.log, "the certificates were changed", LOG_CSTR("step", step));
        if (++certs->writes_in_row < WRITES_MAX)
            begin_cycle(certs);
        else
            rest_after_failure(certs);
    } else if (result->outcome == KUBE_CONFLICT) {
        /* Another replica was faster, and has perhaps done all that was to do. */
        rest(certs, jittered(certs, conflict_ns));
    } else {
        report(certs, step, result->message);
        rest_after_failure(certs);
    }
}

static void send(struct certs *certs, enum place place, enum kube_verb verb, const struct buf *body)
{
    struct kube_call call = call_of(certs, place, verb);
    call.force = verb == KUBE_APPLY;
    call.body = buf_str(body);
    if (buf_failed(body)) {
        report(certs, certs_step_name(certs->step), STR("out of memory"));
        rest_after_failure(certs);
    } else {
        begin_call(certs, &call, on_written, certs_step_name(certs->step));
    }
}

static void send_change(struct certs *certs, const struct certs_change *change)
{
    struct buf body;
    buf_init(&body, &certs->wiping, BODY_MAX);
    certs_put_change(&body, &certs->view, change);
    send(certs, READ_SECRET, KUBE_PATCH_MERGE, &body);
    buf_done(&body);
}

static void make_secret(struct certs *certs)
{
    struct buf body;
    buf_init(&body, &certs->wiping, BODY_MAX);
    certs_put_empty_secret(&body, str_from_cstr(certs->config.owner->secret));
    send(certs, READ_SECRET, KUBE_APPLY, &body);
    buf_done(&body);
}

static void publish(struct certs *certs)
{
    size_t which = certs->view.is_published[0] ? 1 : 0;
    struct buf body;
    buf_init(&body, &certs->wiping, BODY_MAX);
    certs_put_bundles(&body, &certs->view, which);
    send(certs, (enum place)which, KUBE_PATCH_JSON, &body);
    buf_done(&body);
}

static void add_valid(struct pki_certs *to, const struct pki_certs *from, int64_t at_ms)
{
    for (size_t i = 0; i < from->count; i++) {
        if (from->all[i].is_authority && from->all[i].not_after_s * MS_PER_SEC > at_ms)
            pki_add(to, &from->all[i]);
    }
}

static bool is_own_usable(const struct certs *certs)
{
    return certs->own.seen.is_good && certs_is_valid(&certs->own.seen.span, now_ms(certs));
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Behind the new one come all that any replica may need: those of pairs in use first. */
static void list_authorities(const struct certs *certs, struct pki_certs *to)
{
    const struct certs_view *view = &certs->view;
    if (is_own_usable(certs))
        pki_add(to, &certs->own.authority);
    if (view->is_pair_good)
        pki_add(to, &view->pair_authority);
    add_valid(to, &view->authorities, now_ms(certs));
    add_valid(to, &view->known, now_ms(certs));
}

static void new_authority(struct certs *certs, const struct certs_seen *seen)
{
    static const struct pki_pair none = {STR_INIT(""), STR_INIT("")};
    const struct certs_times *times = &certs->config.times;
    int64_t now_s = seen->now_ms / MS_PER_SEC;
    struct pki_pair made;
    struct pki_certs list;
    struct err err;
    if (pki_make_authority(now_s - CERTS_BACKDATE_S, now_s + times->authority_ms / MS_PER_SEC,
                           &certs->cycle, &made, &err) < 0 ||
        pki_read(made.cert, &certs->cycle, &list, &err) < 0) {
        report_err(certs, certs_step_name(certs->step), &err);
        rest_after_failure(certs);
        return;
    }
    list_authorities(certs, &list);
    struct certs_change change = {
        .authorities = &list,
        .authority_key = made.key,
        .old_until_s = now_s + times->pair_ms / MS_PER_SEC + 1,
    };
    if (seen->has_old)
        change.old_until_s = later(change.old_until_s, seen->old_until_s);
    if (seen->pair.is_good)
        change.old_until_s = later(change.old_until_s, seen->pair.span.not_after_s);
    if (is_own_usable(certs))
        change.old_until_s = later(change.old_until_s, seen->own.span.not_after_s);
    if (!seen->pair.is_good)
        change.pair = is_own_usable(certs) ? &certs->own.pair : &none;
    send_change(certs, &change);
}

/* When there is no room for it, it takes the place of the last. */
static void keep_authority(struct certs *certs, const struct certs_seen *seen)
{
    struct pki_certs list = certs->view.authorities;
    if (list.count == PKI_CERTS_MAX)
        list.count--;
    pki_add(&list, &certs->own.authority);
    const struct certs_change change = {
        .authorities = &list,
        .old_until_s = later(seen->has_old ? seen->old_until_s : 0, seen->own.span.not_after_s),
    };
    send_change(certs, &change);
}

static void issue(struct certs *certs, const struct certs_seen *seen)
{
    const struct certs_config *config = &certs->config;
    int64_t now_s = seen->now_ms / MS_PER_SEC;
    int64_t until_s = now_s + config->times.pair_ms / MS_PER_SEC;
    struct pki_pair made;
    struct err err;
    if (until_s > seen->authority.not_after_s)
        until_s = seen->authority.not_after_s;
    if (pki_make_serving(&certs->view.authority, config->hosts, config->host_count,
                         now_s - CERTS_BACKDATE_S, until_s, &certs->cycle, &made, &err) < 0) {
        report_err(certs, certs_step_name(certs->step), &err);
        rest_after_failure(certs);
        return;
    }
    const struct certs_change change = {.pair = &made};
    send_change(certs, &change);
}

static void drop_old(struct certs *certs)
{
    const struct pki_certs first = {.all = {certs->view.authorities.all[0]}, .count = 1};
    const struct certs_change change = {.authorities = &first};
    send_change(certs, &change);
}

/* What cannot be helped from here. */
static struct str find_problem(const struct certs *certs, const struct certs_seen *seen)
{
    const struct certs_view *view = &certs->view;
    if (seen->is_foreign)
        return STR("the Secret belongs to cert-manager: serve its files by --cert-dir, or delete "
                   "it and the Certificate");
    if (view->is_bundled && (!view->configurations[0] || !view->configurations[1]))
        return STR("a webhook configuration \"callboard\" is missing: apply the manifests");
    return (struct str){NULL, 0};
}

static void settle(struct certs *certs, const struct certs_seen *seen)
{
    const struct certs_config *config = &certs->config;
    struct str problem = find_problem(certs, seen);
    if (str_is_set(problem))
        report(certs, "waiting", problem);
    else
        report_well(certs);
    rest(certs, certs_rest_ns(seen, &config->times, jittered(certs, config->interval_ns)));
}

static void act(struct certs *certs, const struct certs_seen *seen)
{
    certs->step = certs_plan(seen, &certs->config.times);
    switch (certs->step) {
    case CERTS_MAKE_SECRET:
        make_secret(certs);
        return;
    case CERTS_NEW_AUTHORITY:
        new_authority(certs, seen);
        return;
    case CERTS_KEEP_AUTHORITY:
        keep_authority(certs, seen);
        return;
    case CERTS_PUBLISH:
        publish(certs);
        return;
    case CERTS_ISSUE:
        issue(certs, seen);
        return;
    case CERTS_DROP_OLD:
        drop_old(certs);
        return;
    default:
        settle(certs, seen);
    }
}

static void decide(struct certs *certs)
{
    const struct certs_config *config = &certs->config;
    struct certs_seen seen;
    struct err err;
    const struct certs_hosts hosts = {config->hosts, config->host_count};
    if (certs_view_read(&certs->view, &certs->read, &hosts, config->owner->configuration != NULL,
                        &certs->cycle, &err) < 0) {
        report_err(certs, "reading", &err);
        rest_after_failure(certs);
        return;
    }
    see_trust(certs);
    see_pair(certs);
    see(certs, &seen);
    measure(certs, &seen);
    if (certs_should_load(&seen, &config->times)) {
        load(certs);
        see(certs, &seen);
    }
    act(certs, &seen);
}

/* ---- The thread ---- */

const char *certs_find_unready(const struct certs *certs)
{
    return atomic_load(&certs->unready);
}

void certs_run_once(struct certs *certs)
{
    struct kube_transport *transport = certs->config.transport;
    transport->ops->wait(transport, timers_next_ns(&certs->timers));
    timers_run(&certs->timers, now_ns(certs));
}

static void *run(void *arg)
{
    struct certs *certs = arg;
    while (!atomic_load(&certs->must_stop))
        certs_run_once(certs);
    return NULL;
}

int certs_start(struct certs *certs, struct err *err)
{
    int rc = pthread_create(&certs->thread, NULL, run, certs);
    if (rc != 0)
        return err_set(err, 500, "thread: %s", strerror(rc));
    certs->is_running = true;
    pthread_setname_np(certs->thread, "certificates");
    return 0;
}

static int keep_texts(struct certs *certs, struct err *err)
{
    struct certs_config *config = &certs->config;
    struct str *hosts = ARENA_NEW_ARRAY(&certs->texts, struct str, config->host_count);
    config->namespace = arena_copy(&certs->texts, config->namespace);
    bool good = hosts && str_is_set(config->namespace);
    for (size_t i = 0; good && i < config->host_count; i++) {
        hosts[i] = arena_copy(&certs->texts, config->hosts[i]);
        good = str_is_set(hosts[i]);
    }
    config->hosts = hosts;
    return good ? 0 : err_no_memory(err, "setting up the certificates");
}

static int make_client(struct certs *certs, struct err *err)
{
    const struct certs_config *config = &certs->config;
    certs->client = kube_client_new(
        &(const struct kube_client_config){
            .transport = config->transport,
            .timers = &certs->timers,
            .clock = config->clock,
            .random = config->random,
            .mem = &certs->wiping,
            .metrics = config->metrics,
            .host = config->host,
        },
        err);
    return certs->client ? 0 : -1;
}

static void make_metrics(struct certs *certs)
{
    struct metrics *metrics = certs->config.metrics;
    const struct certs_owner *owner = certs->config.owner;
    certs->days_left = metrics_gauge(metrics, owner->days_left,
                                     "Days until the authority of --manage-certs expires.");
    certs->authorities =
        metrics_gauge(metrics, owner->authorities,
                      "Authorities that are published to be trusted; more than one while an "
                      "authority is replaced.");
    certs->writes = metrics_counters(metrics, owner->writes,
                                     "Writes of --manage-certs, by purpose and outcome.",
                                     METRICS_LABELS("purpose", "outcome"), 64);
}

struct certs *certs_new(const struct certs_config *config, struct err *err)
{
    struct certs *certs = mem_alloc(config->mem, sizeof(*certs));
    if (!certs) {
        err_no_memory(err, "setting up the certificates");
        return NULL;
    }
    *certs = (struct certs){.config = *config,
                            .unready = "the certificates were not yet read",
                            .pair_since_ns = CERTS_NEVER};
    wiping_mem_init(&certs->wiping, config->mem);
    arena_init(&certs->texts, config->mem, 512, ARENA_BLOCK);
    arena_init(&certs->cycle, &certs->wiping, ARENA_BLOCK, ARENA_MAX);
    for (size_t i = 0; i < 2; i++)
        arena_init(&certs->own_texts[i], &certs->wiping, 4096, ARENA_MAX);
    timers_init(&certs->timers, config->mem);
    make_metrics(certs);
    if (keep_texts(certs, err) < 0 || make_client(certs, err) < 0 ||
        timers_register(&certs->timers, &certs->tick, on_tick, certs, err) < 0) {
        certs_free(certs);
        return NULL;
    }
    timers_set(&certs->timers, &certs->tick, now_ns(certs));
    return certs;
}

void certs_free(struct certs *certs)
{
    if (!certs)
        return;
    if (certs->is_running) {
        atomic_store(&certs->must_stop, true);
        certs->config.transport->ops->wake(certs->config.transport);
        pthread_join(certs->thread, NULL);
    }
    kube_client_free(certs->client);
    timers_unregister(&certs->timers, &certs->tick);
    timers_done(&certs->timers);
    arena_done(&certs->cycle);
    for (size_t i = 0; i < 2; i++)
        arena_done(&certs->own_texts[i]);
    arena_done(&certs->texts);
    mem_free(certs->config.mem, certs, sizeof(*certs));
}
