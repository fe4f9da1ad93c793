/* Replicas that keep a server's certificates, against an API server that vandals meet too. */
#include "certs/certs.h"

#include "base/log.h"
#include "certs/pki.h"
#include "http/cert_pair.h"
#include "unit/certs_world.h"

#include <stdio.h>
#include <stdlib.h>

enum { REPLICAS = 3, SECONDS = 1000, DAY_MS = 86400 * 1000, STEP_MS = 50, TURNS_MAX = 64 };

#define OLD_UNTIL "callboard.dev/old-authorities-until"

/* Seconds stand for days. */
static const struct certs_times times = {
    .pair_ms = 30 * SECONDS,
    .pair_renew_ms = 10 * SECONDS,
    .authority_ms = 365 * SECONDS,
    .authority_renew_ms = 90 * SECONDS,
    .settle_ms = 2 * SECONDS,
    .takeover_ms = 5 * SECONDS,
};
static const int64_t interval_ns = CLOCK_NS_PER_SEC;
static const struct str hosts[] = {STR_INIT("callboard-webhook.callboard-system.svc"),
                                   STR_INIT("127.0.0.1")};

static const struct certs_owner webhook = {
    .service = "callboard-webhook",
    .secret = "callboard-webhook-tls",
    .configuration = "callboard",
    .user_agent = "test",
    .field_manager = "test",
    .days_left = "test_days_left",
    .authorities = "test_authorities",
    .writes = "test_writes_total",
};

/* What it shows, as found out once for each pair. */
struct shown {
    uint64_t generation;
    struct pki_id id;
    struct pki_id authority;
    bool is_known; /* the authority */
};

struct replica {
    struct certs *certs; /* NULL: it does not run */
    struct cert_source *source;
    struct fake_transport fake;
    struct metrics metrics;
    struct clock clock;
    const struct test_clock *time;
    int64_t wall_offset_ns; /* of its machine */
    struct shown shown;
    size_t loads;
    bool is_paused;
};

struct fixture {
    struct test_clock clock;
    struct certs_world world;
    struct certs_owner owner;
    uint64_t seed;
    struct random_seeded random;
    struct log_sink sink;
    struct log log;
    char lines[4096]; /* that were logged last */
    struct replica replicas[REPLICAS];
};

/* ---- Replicas ---- */

static int64_t replica_now(void *ctx)
{
    return clock_now_ns(&((const struct replica *)ctx)->time->clock);
}

static int64_t replica_wall(void *ctx)
{
    const struct replica *replica = ctx;
    return clock_wall_ns(&replica->time->clock) + replica->wall_offset_ns;
}

static void on_load(void *ctx, bool is_good)
{
    struct replica *replica = ctx;
    replica->loads += is_good;
}

static struct certs_config config_of(struct fixture *f, struct replica *replica,
                                     const struct mem *mem)
{
    return (struct certs_config){
        .owner = &f->owner,
        .transport = &replica->fake.transport,
        .clock = &replica->clock,
        .random = &f->random.random,
        .mem = mem,
        .metrics = &replica->metrics,
        .log = &f->log,
        .source = replica->source,
        .host = STR("127.0.0.1:6443"),
        .namespace = STR("callboard-system"),
        .hosts = hosts,
        .host_count = 2,
        .times = times,
        .interval_ns = interval_ns,
        .on_load = on_load,
        .ctx = replica,
    };
}

static void start_with(struct fixture *f, struct replica *replica, const struct mem *mem)
{
    struct err err;
    replica->time = &f->clock;
    replica->clock = (struct clock){replica_now, replica_wall, replica};
    replica->shown = (struct shown){0};
    fake_transport_init(&replica->fake);
    replica->fake.dates = &f->clock.clock;
    metrics_init(&replica->metrics, mem_system());
    assert_int_equal(cert_source_open_empty(&replica->clock, &replica->source, &err), 0);
    const struct certs_config config = config_of(f, replica, mem);
    replica->certs = certs_new(&config, &err);
}

static struct replica *start(struct fixture *f, size_t which)
{
    start_with(f, &f->replicas[which], mem_system());
    assert_non_null(f->replicas[which].certs);
    return &f->replicas[which];
}

static void start_all(struct fixture *f)
{
    for (size_t i = 0; i < REPLICAS; i++)
        start(f, i);
}

static void stop(struct replica *replica)
{
    certs_free(replica->certs);
    cert_source_close(replica->source);
    fake_transport_done(&replica->fake);
    metrics_done(&replica->metrics);
    replica->certs = NULL;
    replica->source = NULL;
}

static bool is_waiting(const struct replica *replica)
{
    return replica->fake.open > 0;
}

static void answer(struct fixture *f, struct replica *replica)
{
    certs_world_answer(&f->world, &replica->fake, replica->fake.count - 1);
}

/* ---- What they show ---- */

static const struct pki_cert *issuer_of(struct certs_world *world, struct str leaf)
{
    for (size_t i = 0; i < CERTS_CONFIGURATIONS; i++) {
        for (size_t b = world->bundle_count[i]; b-- > 0;) {
            const struct pki_certs *certs = &world->bundles[i][b].certs;
            for (size_t c = 0; c < certs->count; c++) {
                if (pki_is_signed_by(leaf, certs->all[c].pem))
                    return &certs->all[c];
            }
        }
    }
    return NULL;
}

static const struct shown *look(struct fixture *f, struct replica *replica)
{
    struct cert_info info;
    cert_source_info(replica->source, &info);
    if (info.generation == 0 ||
        (info.generation == replica->shown.generation && replica->shown.is_known))
        return &replica->shown;
    const struct cert_pair *pair = cert_source_acquire(replica->source);
    gnutls_datum_t pem;
    struct pki_certs certs;
    struct err err;
    assert_int_equal(gnutls_pem_base64_encode2("CERTIFICATE", &pair->chain[0].cert, &pem), 0);
    assert_int_equal(
        pki_read((struct str){(const char *)pem.data, pem.size}, &f->world.arena, &certs, &err), 0);
    const struct pki_cert *issuer = issuer_of(&f->world, certs.all[0].pem);
    replica->shown = (struct shown){.generation = info.generation, .id = certs.all[0].id};
    replica->shown.is_known = issuer != NULL;
    if (issuer)
        replica->shown.authority = issuer->id;
    gnutls_free(pem.data);
    cert_pair_release(pair);
    return &replica->shown;
}

/* No apiserver may distrust what is served, whichever caBundle it has of those that were current within
 * the time to settle: unless a vandal has changed one meanwhile. */
static void check_bundle(struct fixture *f, const struct replica *replica, size_t which)
{
    const struct certs_world *world = &f->world;
    int64_t since_ns = clock_now_ns(&f->clock.clock) - (times.settle_ms - 1) * CLOCK_NS_PER_MS;
    for (size_t b = world->bundle_count[which]; b-- > 0;) {
        const struct certs_bundle *bundle = &world->bundles[which][b];
        if (bundle->is_vandals)
            return;
        if (!pki_find(&bundle->certs, &replica->shown.authority))
            fail_msg("seed %llu: replica %zu shows what caBundle %zu of %zu does not trust",
                     (unsigned long long)f->seed, (size_t)(replica - f->replicas), b + 1,
                     world->bundle_count[which]);
        if (bundle->from_ns < since_ns)
            return;
    }
}

static void check(struct fixture *f)
{
    for (size_t i = 0; f->owner.configuration && i < REPLICAS; i++) {
        struct replica *replica = &f->replicas[i];
        struct cert_info info;
        if (!replica->certs)
            continue;
        cert_source_info(replica->source, &info);
        int64_t now_s = clock_wall_ns(&f->clock.clock) / CLOCK_NS_PER_SEC;
        if (info.generation == 0 || now_s >= info.not_after_s || certs_find_unready(replica->certs))
            continue;
        if (!look(f, replica)->is_known)
            fail_msg("replica %zu shows what nobody ever trusted", i);
        for (size_t which = 0; which < CERTS_CONFIGURATIONS; which++)
            check_bundle(f, replica, which);
    }
}

/* ---- Time ---- */

/* All that can happen without time passing. */
static void work(struct fixture *f)
{
    bool did_something = true;
    for (size_t turn = 0; turn < TURNS_MAX && did_something; turn++) {
        did_something = false;
        for (size_t i = 0; i < REPLICAS; i++) {
            struct replica *replica = &f->replicas[i];
            if (!replica->certs || replica->is_paused)
                continue;
            certs_run_once(replica->certs);
            if (!is_waiting(replica))
                continue;
            answer(f, replica);
            check(f);
            did_something = true;
        }
    }
}

static void pass(struct fixture *f, int64_t ms)
{
    work(f);
    for (int64_t passed = 0; passed < ms; passed += STEP_MS) {
        test_clock_advance_ms(&f->clock, STEP_MS);
        work(f);
    }
}

/* ---- What is in the cluster ---- */

static size_t count_authorities(struct fixture *f)
{
    struct pki_certs certs;
    struct err err;
    assert_int_equal(
        pki_read(certs_world_secret(&f->world, "ca.crt"), &f->world.arena, &certs, &err), 0);
    return certs.count;
}

static bool is_of_first(struct fixture *f, struct str *ret_first)
{
    struct pki_certs certs;
    struct err err;
    assert_int_equal(
        pki_read(certs_world_secret(&f->world, "ca.crt"), &f->world.arena, &certs, &err), 0);
    if (certs.count == 0)
        return false;
    *ret_first = certs.all[0].pem;
    return pki_is_signed_by(certs_world_secret(&f->world, "tls.crt"), certs.all[0].pem);
}

/* Secret, bundles and replicas are as they should be. */
static void assert_well(struct fixture *f)
{
    struct str first;
    assert_true(is_of_first(f, &first));
    assert_true(pki_key_fits(first, certs_world_secret(&f->world, "ca.key")));
    assert_true(pki_key_fits(certs_world_secret(&f->world, "tls.crt"),
                             certs_world_secret(&f->world, "tls.key")));
    for (size_t i = 0; i < 2; i++)
        assert_true(pki_is_for(certs_world_secret(&f->world, "tls.crt"), hosts[i]));
    for (size_t i = 0; i < CERTS_CONFIGURATIONS; i++) {
        const struct certs_bundle *last = &f->world.bundles[i][f->world.bundle_count[i] - 1];
        assert_int_equal(last->certs.count, count_authorities(f));
    }
    for (size_t i = 0; i < REPLICAS; i++) {
        struct replica *replica = &f->replicas[i];
        if (!replica->certs)
            continue;
        const char *unready = certs_find_unready(replica->certs);
        if (unready)
            fail_msg("seed %llu: replica %zu: %s", (unsigned long long)f->seed, i, unready);
        assert_true(pki_is_signed_by(certs_world_secret(&f->world, "tls.crt"), first));
    }
    check(f);
}

/* ---- The frame ---- */

/* Keeps the end of the log. */
static bool keep_line(void *ctx, struct str line)
{
    struct fixture *f = ctx;
    size_t len = strlen(f->lines), room = sizeof(f->lines) - 1;
    size_t add = line.len < room ? line.len : room;
    size_t keep = len + add > room ? room - add : len;
    memmove(f->lines, f->lines + len - keep, keep);
    memcpy(f->lines + keep, line.ptr, add);
    f->lines[keep + add] = '\0';
    return true;
}

static void begin(struct fixture *f, uint64_t seed)
{
    *f = (struct fixture){.seed = seed, .owner = webhook};
    test_clock_init(&f->clock);
    certs_world_init(&f->world, &f->clock);
    random_seeded_init(&f->random, seed);
    log_sink_init(&f->sink, keep_line, f, LOG_TEXT, LOG_LEVEL_INFO, &f->clock.clock);
    f->log = (struct log){.sink = &f->sink};
}

static void end(struct fixture *f)
{
    for (size_t i = 0; i < REPLICAS; i++) {
        if (!f->replicas[i].certs)
            continue;
        if (is_waiting(&f->replicas[i]))
            answer(f, &f->replicas[i]);
        stop(&f->replicas[i]);
    }
    certs_world_done(&f->world);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    begin(f, TEST_SEED);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    end(*state);
    free(*state);
    return 0;
}

/* ---- From nothing ---- */

static void nothing_becomes_a_pair_that_apiservers_trust(void **state)
{
    struct fixture *f = *state;
    struct replica *replica = start(f, 0);
    assert_non_null(certs_find_unready(replica->certs));
    pass(f, times.settle_ms - STEP_MS);
    assert_int_equal(f->world.authorities, 1);
    assert_int_equal(f->world.bundle_count[0], 2);
    /* Apiservers have not heard of the authority yet. */
    assert_int_equal(f->world.pairs, 0);
    assert_non_null(certs_find_unready(replica->certs));
    pass(f, 2 * STEP_MS);
    assert_int_equal(f->world.pairs, 1);
    assert_int_equal(replica->loads, 1);
    assert_well(f);
}

static void all_is_left_alone_when_it_is_well(void **state)
{
    struct fixture *f = *state;
    start_all(f);
    pass(f, 5 * SECONDS);
    assert_well(f);
    size_t writes = f->world.writes;
    pass(f, 10 * SECONDS);
    assert_int_equal(f->world.writes, writes);
}

static void a_replica_that_comes_later_serves_at_once(void **state)
{
    struct fixture *f = *state;
    start(f, 0);
    pass(f, 5 * SECONDS);
    size_t writes = f->world.writes;
    start(f, 1);
    work(f);
    assert_null(certs_find_unready(f->replicas[1].certs));
    assert_int_equal(f->world.writes, writes);
}

/* One request of one replica happens, or some time passes. */
static void step_at_random(struct fixture *f)
{
    size_t which = random_below(&f->random.random, REPLICAS + 1);
    if (which == REPLICAS) {
        test_clock_advance_ms(&f->clock, (int64_t)random_below(&f->random.random, 100));
        return;
    }
    struct replica *replica = &f->replicas[which];
    certs_run_once(replica->certs);
    if (is_waiting(replica))
        answer(f, replica);
    check(f);
}

static void of_replicas_that_race_one_makes_the_authority(void **state)
{
    enum { SEEDS = 8, STEPS = 300 };
    struct fixture *f = *state;
    size_t conflicts = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        end(f);
        begin(f, seed);
        start_all(f);
        for (size_t step = 0; step < STEPS; step++)
            step_at_random(f);
        pass(f, 5 * SECONDS);
        if (f->world.authorities != 1 || f->world.pairs != 1)
            fail_msg("seed %llu: %zu authorities, %zu pairs", (unsigned long long)seed,
                     f->world.authorities, f->world.pairs);
        assert_well(f);
        conflicts += f->world.conflicts;
    }
    assert_true(conflicts > SEEDS);
}

/* ---- Renewal ---- */

static void a_pair_is_renewed_before_its_end_by_the_same_authority(void **state)
{
    struct fixture *f = *state;
    start_all(f);
    pass(f, 5 * SECONDS);
    struct str authority = certs_world_secret(&f->world, "ca.crt");
    struct str before = certs_world_secret(&f->world, "tls.crt");
    pass(f, times.pair_ms - times.pair_renew_ms - 6 * SECONDS);
    assert_int_equal(f->world.pairs, 1);
    pass(f, 6 * SECONDS);
    assert_int_equal(f->world.pairs, 2);
    assert_false(str_eq(certs_world_secret(&f->world, "tls.crt"), before));
    assert_true(str_eq(certs_world_secret(&f->world, "ca.crt"), authority));
    for (size_t i = 0; i < REPLICAS; i++)
        assert_int_equal(f->replicas[i].loads, 2);
    assert_well(f);
}

static void an_authority_is_replaced_before_its_end(void **state)
{
    struct fixture *f = *state;
    struct str first;
    start(f, 0);
    start(f, 1);
    pass(f, 5 * SECONDS);
    test_clock_advance_ms(&f->clock, times.authority_ms - times.authority_renew_ms - 8 * SECONDS);
    pass(f, SECONDS);
    struct str old = certs_world_secret(&f->world, "ca.crt");
    assert_int_equal(f->world.authorities, 1);
    while (f->world.authorities == 1)
        pass(f, STEP_MS);
    /* Both are published, and what is served is of the old one until apiservers know the new one. */
    assert_int_equal(count_authorities(f), 2);
    assert_false(is_of_first(f, &first));
    pass(f, times.settle_ms - STEP_MS);
    assert_false(is_of_first(f, &first));
    pass(f, SECONDS);
    assert_true(is_of_first(f, &first));
    pass(f, 3 * SECONDS);
    assert_well(f);
    /* The old one stays for as long as a certificate of it is valid somewhere. */
    assert_int_equal(count_authorities(f), 2);
    pass(f, times.pair_ms);
    assert_int_equal(count_authorities(f), 1);
    assert_false(str_eq(certs_world_secret(&f->world, "ca.crt"), old));
    assert_false(str_is_set(certs_world_annotation(&f->world, OLD_UNTIL)));
    assert_well(f);
}

static void an_old_authority_goes_early_when_it_is_told_to(void **state)
{
    struct fixture *f = *state;
    struct str first;
    start_all(f);
    pass(f, 5 * SECONDS);
    certs_world_delete(&f->world, CERTS_SECRET_OBJECT);
    pass(f, SECONDS + STEP_MS);
    certs_world_annotate(&f->world, OLD_UNTIL, "2000-01-01T00:00:00Z");
    while (!is_of_first(f, &first))
        pass(f, STEP_MS);
    /* Not before all have taken the new one over. */
    pass(f, times.takeover_ms - STEP_MS);
    assert_int_equal(count_authorities(f), 2);
    pass(f, 2 * SECONDS);
    assert_int_equal(count_authorities(f), 1);
    assert_well(f);
}

/* ---- Without configurations ---- */

/* Clients that read the Secret when they start. */
static void start_unbundled(struct fixture *f)
{
    f->owner.configuration = NULL;
    for (size_t i = 0; i < CERTS_CONFIGURATIONS; i++)
        certs_world_delete(&f->world, i);
    start(f, 0);
}

static void without_configurations_the_first_pair_waits_for_nobody(void **state)
{
    struct fixture *f = *state;
    start_unbundled(f);
    work(f);
    assert_int_equal(f->world.authorities, 1);
    assert_int_equal(f->world.pairs, 1);
    assert_null(certs_find_unready(f->replicas[0].certs));
    size_t writes = f->world.writes;
    pass(f, 10 * SECONDS);
    assert_int_equal(f->world.writes, writes);
    assert_null(strstr(f->lines, "missing"));
}

static void without_configurations_a_second_authority_gives_clients_time_to_start_again(
    void **state)
{
    struct fixture *f = *state;
    struct str first;
    start_unbundled(f);
    work(f);
    struct pki_id before = look(f, &f->replicas[0])->id;
    certs_world_delete(&f->world, CERTS_SECRET_OBJECT);
    pass(f, 3 * SECONDS / 2);
    assert_int_equal(count_authorities(f), 2);
    assert_int_equal(f->world.pairs, 1);
    /* The time goes on while a replica does not run. */
    stop(&f->replicas[0]);
    start(f, 1);
    pass(f, times.settle_ms);
    assert_true(is_of_first(f, &first));
    assert_false(pki_same(&before, &look(f, &f->replicas[1])->id));
    assert_null(certs_find_unready(f->replicas[1].certs));
}

/* ---- Vandals ---- */

static void a_deleted_secret_is_made_again_and_the_old_authority_stays_trusted(void **state)
{
    struct fixture *f = *state;
    start_all(f);
    pass(f, 5 * SECONDS);
    struct str old = certs_world_secret(&f->world, "ca.crt");
    certs_world_delete(&f->world, CERTS_SECRET_OBJECT);
    pass(f, 5 * SECONDS);
    assert_int_equal(f->world.authorities, 2);
    assert_int_equal(count_authorities(f), 2);
    assert_false(str_starts_with(certs_world_secret(&f->world, "ca.crt"), old));
    assert_true(str_ends_with(certs_world_secret(&f->world, "ca.crt"), old));
    assert_well(f);
    test_clock_advance_ms(&f->clock, times.pair_ms);
    pass(f, 8 * SECONDS);
    assert_int_equal(count_authorities(f), 1);
}

/* One that knows nothing of the pair that others serve, as after their Secret was deleted. */
static void a_new_replica_does_not_disown_what_others_serve(void **state)
{
    struct fixture *f = *state;
    start(f, 0);
    pass(f, 5 * SECONDS);
    f->replicas[0].is_paused = true;
    certs_world_delete(&f->world, CERTS_SECRET_OBJECT);
    start(f, 1);
    /* The check holds for the paused one too. */
    pass(f, 5 * SECONDS);
    assert_null(certs_find_unready(f->replicas[1].certs));
    assert_int_equal(count_authorities(f), 2);
}

static void whatever_is_damaged_is_mended(void **state)
{
    static const char *const files[] = {"ca.crt", "ca.key", "tls.crt", "tls.key"};
    static const struct str texts[] = {
        STR_INIT(""), STR_INIT("no PEM"),
        STR_INIT("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")};
    struct fixture *f = *state;
    start(f, 0);
    start(f, 1);
    pass(f, 5 * SECONDS);
    for (size_t file = 0; file < 4; file++) {
        for (size_t text = 0; text < 3; text++) {
            certs_world_set_secret(&f->world, files[file], texts[text]);
            pass(f, 5 * SECONDS);
            assert_well(f);
        }
        /* A good text in the wrong place: a serving certificate is no authority, nor is its key. */
        certs_world_set_secret(&f->world, files[file],
                               certs_world_secret(&f->world, files[(file + 2) % 4]));
        pass(f, 5 * SECONDS);
        assert_well(f);
    }
}

static void a_secret_of_before_is_taken_over(void **state)
{
    static const char *const files[] = {"ca.crt", "ca.key", "tls.crt", "tls.key"};
    struct fixture *f = *state;
    struct str before[4];
    start_all(f);
    pass(f, 5 * SECONDS);
    for (size_t i = 0; i < 4; i++)
        before[i] = certs_world_secret(&f->world, files[i]);
    certs_world_delete(&f->world, CERTS_SECRET_OBJECT);
    pass(f, 40 * SECONDS);
    assert_int_equal(count_authorities(f), 1);
    f->replicas[0].is_paused = f->replicas[1].is_paused = f->replicas[2].is_paused = true;
    for (size_t i = 0; i < 4; i++)
        certs_world_set_secret(&f->world, files[i], before[i]);
    f->replicas[0].is_paused = f->replicas[1].is_paused = f->replicas[2].is_paused = false;
    pass(f, 6 * SECONDS);
    assert_true(str_starts_with(certs_world_secret(&f->world, "ca.crt"), before[0]));
    assert_well(f);
}

static void a_bundle_is_mended(void **state)
{
    struct fixture *f = *state;
    start_all(f);
    pass(f, 5 * SECONDS);
    struct str pair = certs_world_secret(&f->world, "tls.crt");
    for (size_t which = 0; which < CERTS_CONFIGURATIONS; which++) {
        const struct str texts[] = {STR(""), STR("no PEM"), pair};
        for (size_t i = 0; i < 3; i++) {
            certs_world_set_bundle(&f->world, which, texts[i]);
            pass(f, 2 * SECONDS);
            assert_well(f);
        }
    }
    assert_int_equal(f->world.authorities, 1);
}

static void a_missing_configuration_is_said_and_filled_when_it_comes(void **state)
{
    struct fixture *f = *state;
    certs_world_delete(&f->world, 1);
    start(f, 0);
    pass(f, 10 * SECONDS);
    assert_non_null(certs_find_unready(f->replicas[0].certs));
    assert_int_equal(f->world.pairs, 0);
    assert_non_null(strstr(f->lines, "a webhook configuration \\\"callboard\\\" is missing"));
    certs_world_restore(&f->world, 1);
    pass(f, 5 * SECONDS);
    assert_well(f);
    assert_non_null(strstr(f->lines, "the certificates are kept again"));
}

static void the_secret_of_cert_manager_is_left_alone(void **state)
{
    struct fixture *f = *state;
    start(f, 0);
    pass(f, 5 * SECONDS);
    certs_world_set_secret(&f->world, "ca.key", STR(""));
    certs_world_annotate(&f->world, "cert-manager.io/certificate-name", "callboard-webhook");
    size_t writes = f->world.writes;
    pass(f, 10 * SECONDS);
    assert_int_equal(f->world.writes, writes);
    assert_non_null(strstr(f->lines, "belongs to cert-manager"));
}

/* ---- Time that is wrong ---- */

static void the_api_servers_time_is_taken(void **state)
{
    struct fixture *f = *state;
    for (int years = -1; years <= 1; years += 2) {
        end(f);
        begin(f, TEST_SEED);
        f->replicas[0].wall_offset_ns = years * INT64_C(365) * 86400 * CLOCK_NS_PER_SEC;
        start_all(f);
        pass(f, 10 * SECONDS);
        /* No replica finds fault with what another has made. */
        assert_int_equal(f->world.authorities, 1);
        assert_int_equal(f->world.pairs, 1);
        assert_well(f);
        assert_non_null(strstr(f->lines, "clock differs from the API server's"));
    }
}

static void what_a_wrong_time_has_made_is_replaced(void **state)
{
    struct fixture *f = *state;
    start_all(f);
    test_clock_jump_wall_ms(&f->clock, 400LL * DAY_MS);
    pass(f, 5 * SECONDS);
    assert_well(f);
    /* Back to the right time: everything begins in a year. */
    test_clock_jump_wall_ms(&f->clock, -400LL * DAY_MS);
    pass(f, 6 * SECONDS);
    assert_int_equal(f->world.authorities, 2);
    assert_well(f);
}

/* ---- Whatever happens ---- */

static void fail_somehow(struct fixture *f, struct replica *replica)
{
    struct fake_transport *fake = &replica->fake;
    size_t index = fake->count - 1;
    struct str ignored;
    switch (random_below(&f->random.random, 4)) {
    case 0:
        fake_fail(fake, index, KUBE_NOT_SENT);
        break;
    case 1:
        fake_fail(fake, index, KUBE_LOST);
        break;
    case 2:
        certs_world_do(&f->world, fake_sent(fake, index), &ignored);
        fake_fail(fake, index, KUBE_LOST);
        break;
    default:
        fake_answer(fake, index, 500, NULL);
    }
}

static void vandalise_secret(struct fixture *f)
{
    static const char *const files[] = {"ca.crt", "ca.key", "tls.crt", "tls.key"};
    uint64_t which = random_below(&f->random.random, 6);
    if (!str_is_set(f->world.objects[CERTS_SECRET_OBJECT]))
        return;
    if (which < 4)
        certs_world_set_secret(&f->world, files[which], STR("damaged"));
    else
        certs_world_delete(&f->world, CERTS_SECRET_OBJECT);
}

static bool chance(struct fixture *f, uint64_t permille)
{
    return random_below(&f->random.random, 1000) < permille;
}

static void step_in_chaos(struct fixture *f)
{
    test_clock_advance_ms(&f->clock, (int64_t)random_below(&f->random.random, 200));
    if (chance(f, 8))
        vandalise_secret(f);
    for (size_t i = 0; i < REPLICAS; i++) {
        struct replica *replica = &f->replicas[i];
        if (chance(f, 5))
            replica->is_paused = !replica->is_paused;
        if (replica->is_paused)
            continue;
        certs_run_once(replica->certs);
        if (is_waiting(replica) && chance(f, 100))
            fail_somehow(f, replica);
        else if (is_waiting(replica) && chance(f, 700))
            answer(f, replica);
        if (!is_waiting(replica) && chance(f, 2)) {
            stop(replica);
            start(f, i);
        }
    }
    check(f);
}

static void apiservers_trust_what_is_served_whatever_happens(void **state)
{
    enum { SEEDS = 3, STEPS = 800 };
    struct fixture *f = *state;
    size_t authorities = 0, pairs = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        end(f);
        begin(f, seed);
        start_all(f);
        pass(f, 5 * SECONDS);
        for (size_t step = 0; step < STEPS; step++)
            step_in_chaos(f);
        for (size_t i = 0; i < REPLICAS; i++)
            f->replicas[i].is_paused = false;
        pass(f, 15 * SECONDS);
        assert_well(f);
        test_clock_advance_ms(&f->clock, times.pair_ms);
        pass(f, 10 * SECONDS);
        assert_int_equal(count_authorities(f), 1);
        assert_well(f);
        authorities += f->world.authorities;
        pairs += f->world.pairs;
    }
    assert_true(authorities > 2 * SEEDS && pairs > 3 * SEEDS);
}

/* ---- Memory ---- */

/* From nothing to the wait for apiservers, at one go: nothing is tried again. */
static bool bootstrap_with(const struct mem *mem, void *ctx)
{
    struct fixture *f = ctx;
    struct replica *replica = &f->replicas[0];
    end(f);
    begin(f, TEST_SEED);
    start_with(f, replica, mem);
    bool good = false;
    if (replica->certs) {
        work(f);
        test_clock_advance_ms(&f->clock, times.settle_ms);
        good = f->world.bundle_count[1] == 2 && f->world.pairs == 0;
        work(f);
        good = good && f->world.pairs == 1 && replica->loads == 1;
        replica->loads = 0;
    }
    stop(replica);
    return good;
}

static void memory_may_fail_anywhere(void **state)
{
    test_every_allocation_failing(bootstrap_with, *state);
}

/* Finds keys in what is given back. */
struct nosy {
    struct mem mem;
    bool has_seen;
};

static void *nosy_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return calloc(1, size);
}

static void nosy_free(void *ctx, void *ptr, size_t size)
{
    static const char *const marks[] = {"PRIVATE KEY", "LS0tLS1CRUdJTiBQUklWQVRF"};
    struct nosy *nosy = ctx;
    for (size_t i = 0; ptr && i < 2; i++)
        nosy->has_seen = nosy->has_seen || memmem(ptr, size, marks[i], strlen(marks[i])) != NULL;
    free(ptr);
}

static void keys_are_wiped_from_memory(void **state)
{
    struct fixture *f = *state;
    struct nosy nosy = {.mem = {nosy_alloc, nosy_free, &nosy}};
    char *key = nosy_alloc(&nosy, 64);
    snprintf(key, 64, "-----BEGIN PRIVATE KEY-----");
    nosy_free(&nosy, key, 64);
    assert_true(nosy.has_seen);
    nosy.has_seen = false;
    start_with(f, &f->replicas[0], &nosy.mem);
    pass(f, 60 * SECONDS);
    assert_well(f);
    certs_world_delete(&f->world, CERTS_SECRET_OBJECT);
    pass(f, 5 * SECONDS);
    stop(&f->replicas[0]);
    assert_false(nosy.has_seen);
    assert_null(strstr(f->lines, "PRIVATE KEY"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_becomes_a_pair_that_apiservers_trust),
        TEST(all_is_left_alone_when_it_is_well),
        TEST(a_replica_that_comes_later_serves_at_once),
        TEST(of_replicas_that_race_one_makes_the_authority),
        TEST(a_pair_is_renewed_before_its_end_by_the_same_authority),
        TEST(an_authority_is_replaced_before_its_end),
        TEST(an_old_authority_goes_early_when_it_is_told_to),
        TEST(without_configurations_the_first_pair_waits_for_nobody),
        TEST(without_configurations_a_second_authority_gives_clients_time_to_start_again),
        TEST(a_deleted_secret_is_made_again_and_the_old_authority_stays_trusted),
        TEST(a_new_replica_does_not_disown_what_others_serve),
        TEST(whatever_is_damaged_is_mended),
        TEST(a_secret_of_before_is_taken_over),
        TEST(a_bundle_is_mended),
        TEST(a_missing_configuration_is_said_and_filled_when_it_comes),
        TEST(the_secret_of_cert_manager_is_left_alone),
        TEST(the_api_servers_time_is_taken),
        TEST(what_a_wrong_time_has_made_is_replaced),
        TEST(apiservers_trust_what_is_served_whatever_happens),
        TEST(memory_may_fail_anywhere),
        TEST(keys_are_wiped_from_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
