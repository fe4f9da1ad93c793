/* The cache of projected objects. */
#include "unit/support.h"

#include "control/store.h"

#include <stdio.h>

struct thing {
    struct stored stored;
    int64_t value;
    struct str note;
};

static struct stored *project(const struct mem *mem, const struct json *object,
                              const struct kube_meta *meta)
{
    struct str note = kube_text_at(object, "spec", "note", NULL);
    struct stored *stored = store_new_object(mem, meta, sizeof(struct thing), note.len);
    if (!stored)
        return NULL;
    struct thing *thing = (struct thing *)stored;
    thing->value = kube_int_at(object, -1, "spec", "value", NULL);
    thing->note = store_keep_text(stored, note);
    return stored;
}

static const struct store_type things = {.project = project};

enum { LOG_MAX = 1024, NAME_SIZE = 24 };

/* A store, and what it told: "+name", "~name", "-name". */
struct fixture {
    struct test_mem mem;
    struct random_seeded random;
    struct arena arena;
    struct store *store;
    struct kube_sink sink;
    char log[LOG_MAX];
    size_t log_len;
    size_t changes;
    bool is_silent;
};

static void on_change(void *ctx, const struct stored *before, const struct stored *after)
{
    struct fixture *f = ctx;
    const struct stored *object = after ? after : before;
    assert_non_null(object);
    /* The store shows what is after the change. */
    assert_ptr_equal(store_get(f->store, object->namespace, object->name), after);
    if (before && after) {
        assert_str_equal(before->name, after->name);
        assert_str_equal(before->namespace, after->namespace);
    }
    f->changes++;
    if (f->is_silent)
        return;
    int len =
        snprintf(f->log + f->log_len, LOG_MAX - f->log_len, "%s%c%" PRIstr, f->log_len ? " " : "",
                 !before ? '+' : (after ? '~' : '-'), STR_ARG(object->name));
    f->log_len += (size_t)len;
    assert_true(f->log_len < LOG_MAX);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    *f = (struct fixture){0};
    test_mem_init(&f->mem);
    random_seeded_init(&f->random, TEST_SEED);
    arena_init(&f->arena, mem_system(), 1 << 16, 1 << 24);
    const struct store_config config = {
        .type = &things,
        .mem = &f->mem.mem,
        .random = &f->random.random,
        .on_change = on_change,
        .ctx = f,
    };
    struct err err;
    f->store = store_new(&config, &err);
    assert_non_null(f->store);
    f->sink = store_sink(f->store);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    store_free(f->store);
    arena_done(&f->arena);
    test_mem_done(&f->mem);
    return 0;
}

static const struct json *read_object(struct arena *arena, struct str text, struct kube_meta *meta)
{
    struct err err;
    const struct json *object = json_read(arena, text, &json_limits_default, &err);
    assert_non_null(object);
    kube_meta_read(object, meta);
    return object;
}

/* Owner "" is none. */
static struct str object_text(struct arena *arena, const char *name, int64_t version,
                              const char *owner, int64_t value)
{
    struct str owners =
        owner[0] ? arena_printf(arena,
                                ",\"ownerReferences\":[{\"uid\":\"%s\",\"name\":\"boss\","
                                "\"kind\":\"Boss\",\"controller\":true}]",
                                owner)
                 : STR("");
    return arena_printf(arena,
                        "{\"metadata\":{\"namespace\":\"team\",\"name\":\"%s\",\"uid\":\"uid-%s\","
                        "\"generation\":3,\"resourceVersion\":\"%lld\"%" PRIstr "},"
                        "\"spec\":{\"value\":%lld,\"note\":\"note of %s\"}}",
                        name, name, (long long)version, STR_ARG(owners), (long long)value, name);
}

static void upsert(struct fixture *f, const char *name, int64_t version, const char *owner)
{
    arena_reset(&f->arena);
    struct kube_meta meta;
    const struct json *object =
        read_object(&f->arena, object_text(&f->arena, name, version, owner, version), &meta);
    assert_int_equal(f->sink.upsert(f->sink.ctx, object, &meta), 0);
}

static void remove_object(struct fixture *f, const char *name, int64_t version)
{
    arena_reset(&f->arena);
    struct kube_meta meta;
    const struct json *object =
        read_object(&f->arena, object_text(&f->arena, name, version, "", 0), &meta);
    f->sink.remove(f->sink.ctx, object, &meta);
}

static const struct thing *get(const struct fixture *f, const char *name)
{
    return (const struct thing *)store_get(f->store, STR("team"), str_from_cstr(name));
}

static void assert_told(struct fixture *f, const char *expected)
{
    assert_string_equal(f->log, expected);
    f->log_len = 0;
    f->log[0] = '\0';
}

/* ---- Behaviours ---- */

static void a_projection_keeps_its_fields_and_the_metadata(void **state)
{
    struct fixture *f = *state;
    upsert(f, "a", 7, "boss-1");
    arena_reset(&f->arena);
    const struct thing *a = get(f, "a");
    assert_non_null(a);
    assert_str_is(a->stored.namespace, "team");
    assert_str_is(a->stored.name, "a");
    assert_str_is(a->stored.uid, "uid-a");
    assert_str_is(a->stored.owner_uid, "boss-1");
    assert_str_is(a->stored.owner_name, "boss");
    assert_int_equal(a->stored.version, 7);
    assert_int_equal(a->stored.generation, 3);
    assert_false(a->stored.is_deleting);
    assert_int_equal(a->value, 7);
    assert_str_is(a->note, "note of a");
    assert_null(store_get(f->store, STR("other"), STR("a")));
    assert_null(store_get(f->store, (struct str){NULL, 0}, STR("a")));
}

static void what_is_in_no_namespace_and_being_deleted_is_kept_so(void **state)
{
    struct fixture *f = *state;
    struct kube_meta meta;
    const struct json *object = read_object(
        &f->arena,
        STR("{\"metadata\":{\"name\":\"n\",\"deletionTimestamp\":\"2026-01-02T03:04:05Z\"}}"),
        &meta);
    assert_int_equal(f->sink.upsert(f->sink.ctx, object, &meta), 0);
    const struct thing *n =
        (const struct thing *)store_get(f->store, (struct str){NULL, 0}, STR("n"));
    assert_non_null(n);
    assert_true(n->stored.is_deleting);
    assert_false(str_is_set(n->stored.namespace));
    assert_false(str_is_set(n->stored.owner_uid));
    assert_false(str_is_set(n->note));
    assert_int_equal(n->value, -1);
}

static void changes_are_told(void **state)
{
    struct fixture *f = *state;
    upsert(f, "a", 1, "");
    upsert(f, "b", 2, "");
    upsert(f, "a", 3, "");
    remove_object(f, "b", 4);
    remove_object(f, "b", 4);
    assert_told(f, "+a +b ~a -b");
    assert_int_equal(store_count(f->store), 1);
}

static void what_is_not_newer_changes_nothing(void **state)
{
    struct fixture *f = *state;
    upsert(f, "a", 9, "");
    upsert(f, "a", 9, "");
    upsert(f, "a", 8, "");
    /* Number 10, not text "10" before "9". */
    upsert(f, "a", 10, "");
    remove_object(f, "a", 9);
    assert_told(f, "+a ~a");
    assert_int_equal(get(f, "a")->value, 10);
}

static void what_is_not_in_a_list_is_gone_at_its_end(void **state)
{
    struct fixture *f = *state;
    upsert(f, "a", 1, "");
    upsert(f, "b", 2, "");
    upsert(f, "c", 3, "");
    f->sink.begin(f->sink.ctx);
    upsert(f, "b", 2, "");
    upsert(f, "c", 5, "");
    upsert(f, "d", 4, "");
    assert_int_equal(store_count(f->store), 4);
    assert_told(f, "+a +b +c ~c +d");
    f->sink.end(f->sink.ctx);
    assert_told(f, "-a");
    assert_int_equal(store_count(f->store), 3);
}

static void a_list_that_begins_anew_forgets_the_one_that_was_cut(void **state)
{
    struct fixture *f = *state;
    f->sink.begin(f->sink.ctx);
    upsert(f, "a", 1, "");
    f->sink.begin(f->sink.ctx);
    upsert(f, "b", 2, "");
    f->sink.end(f->sink.ctx);
    assert_told(f, "+a +b -a");
}

static void a_list_is_right_even_when_versions_went_back(void **state)
{
    struct fixture *f = *state;
    upsert(f, "a", 100, "");
    f->sink.begin(f->sink.ctx);
    upsert(f, "a", 50, "");
    f->sink.end(f->sink.ctx);
    assert_told(f, "+a ~a");
    assert_int_equal(get(f, "a")->stored.version, 50);
}

static void objects_are_found_by_their_owner(void **state)
{
    struct fixture *f = *state;
    upsert(f, "a", 1, "boss-1");
    upsert(f, "b", 2, "boss-2");
    upsert(f, "c", 3, "boss-1");
    upsert(f, "d", 4, "");
    const struct stored *first = store_first_owned(f->store, STR("boss-1"));
    assert_non_null(first);
    const struct stored *second = store_next_owned(first);
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
    assert_null(store_next_owned(second));
    assert_null(store_first_owned(f->store, STR("boss-3")));
    assert_null(store_first_owned(f->store, STR("")));
    assert_null(store_first_owned(f->store, (struct str){NULL, 0}));
    /* It is given to another owner. */
    upsert(f, "a", 5, "boss-2");
    assert_str_is(store_first_owned(f->store, STR("boss-1"))->name, "c");
    remove_object(f, "c", 6);
    assert_null(store_first_owned(f->store, STR("boss-1")));
}

static void the_bytes_are_those_that_were_taken(void **state)
{
    struct fixture *f = *state;
    f->is_silent = true;
    for (int i = 0; i < 500; i++) {
        char name[NAME_SIZE];
        snprintf(name, sizeof(name), "thing-%d", i);
        upsert(f, name, i + 1, "boss");
        assert_int_equal(store_bytes(f->store), f->mem.live_bytes);
    }
    for (int i = 0; i < 500; i += 2) {
        char name[NAME_SIZE];
        snprintf(name, sizeof(name), "thing-%d", i);
        remove_object(f, name, 1000);
        assert_int_equal(store_bytes(f->store), f->mem.live_bytes);
    }
    assert_int_equal(store_count(f->store), 250);
}

/* ---- A plain model, side by side ---- */

enum { MODEL_OBJECTS = 60, MODEL_OWNERS = 5, MODEL_STEPS = 20000 };

struct model_object {
    bool is_there;
    bool is_in_list;
    int64_t version;
    int owner; /* 0: none */
};

struct model {
    struct model_object objects[MODEL_OBJECTS];
    bool is_listing;
    int64_t version;
    size_t changes;
};

static void model_name(int i, char to[NAME_SIZE])
{
    snprintf(to, NAME_SIZE, "thing-%d", i);
}

static void model_owner(int owner, char to[NAME_SIZE])
{
    snprintf(to, NAME_SIZE, owner ? "boss-%d" : "", owner);
}

static void check_owned(const struct fixture *f, const struct model *model, int owner)
{
    char uid[NAME_SIZE];
    model_owner(owner, uid);
    size_t expected = 0, found = 0;
    for (int i = 0; i < MODEL_OBJECTS; i++)
        expected += model->objects[i].is_there && model->objects[i].owner == owner;
    for (const struct stored *s = store_first_owned(f->store, str_from_cstr(uid)); s;
         s = store_next_owned(s)) {
        assert_str_is(s->owner_uid, uid);
        found++;
    }
    assert_int_equal(found, expected);
}

static void check_model(const struct fixture *f, const struct model *model)
{
    size_t count = 0;
    for (int i = 0; i < MODEL_OBJECTS; i++) {
        char name[NAME_SIZE];
        model_name(i, name);
        const struct thing *thing = get(f, name);
        assert_int_equal(thing != NULL, model->objects[i].is_there);
        count += thing != NULL;
        if (thing) {
            assert_int_equal(thing->stored.version, model->objects[i].version);
            assert_int_equal(thing->value, model->objects[i].version);
        }
    }
    assert_int_equal(store_count(f->store), count);
    size_t from = 0;
    const struct stored *last = NULL;
    while ((last = store_each(f->store, &from, last)) != NULL)
        count--;
    assert_int_equal(count, 0);
    for (int owner = 1; owner <= MODEL_OWNERS; owner++)
        check_owned(f, model, owner);
    assert_int_equal(f->changes, model->changes);
}

static void upsert_both(struct fixture *f, struct model *model, int i)
{
    const struct random *random = &f->random.random;
    struct model_object *m = &model->objects[i];
    /* Mostly newer, at times older or the same. */
    int64_t version = random_below(random, 4) ? ++model->version
                                              : (int64_t)random_below(random, 5) + m->version - 3;
    version = version < 1 ? 1 : version;
    int owner = (int)random_below(random, MODEL_OWNERS + 1);
    char name[NAME_SIZE], uid[NAME_SIZE];
    model_name(i, name);
    model_owner(owner, uid);
    upsert(f, name, version, uid);
    m->is_in_list = true;
    if (m->is_there && (version == m->version || (version < m->version && !model->is_listing)))
        return;
    *m = (struct model_object){true, true, version, owner};
    model->changes++;
}

static void end_both(struct fixture *f, struct model *model)
{
    f->sink.end(f->sink.ctx);
    model->is_listing = false;
    for (int i = 0; i < MODEL_OBJECTS; i++) {
        struct model_object *m = &model->objects[i];
        model->changes += m->is_there && !m->is_in_list;
        m->is_there = m->is_there && m->is_in_list;
    }
}

static void step_both(struct fixture *f, struct model *model)
{
    const struct random *random = &f->random.random;
    int i = (int)random_below(random, MODEL_OBJECTS);
    struct model_object *m = &model->objects[i];
    uint64_t choice = random_below(random, 100);
    if (choice < 70) {
        upsert_both(f, model, i);
    } else if (choice < 94 && !model->is_listing) {
        int64_t version = random_below(random, 3) ? ++model->version : m->version - 1;
        char name[NAME_SIZE];
        model_name(i, name);
        version = version < 1 ? 1 : version;
        remove_object(f, name, version);
        if (m->is_there && version >= m->version) {
            m->is_there = false;
            model->changes++;
        }
    } else if (choice < 97) {
        f->sink.begin(f->sink.ctx);
        model->is_listing = true;
        for (int k = 0; k < MODEL_OBJECTS; k++)
            model->objects[k].is_in_list = false;
    } else if (model->is_listing) {
        end_both(f, model);
    }
}

static void random_operations_do_what_a_plain_model_does(void **state)
{
    struct fixture *f = *state;
    f->is_silent = true;
    struct model model = {0};
    for (int step = 0; step < MODEL_STEPS; step++) {
        step_both(f, &model);
        check_model(f, &model);
    }
}

/* ---- Memory ---- */

static bool use_a_store(const struct mem *mem, void *ctx)
{
    (void)ctx;
    struct random_seeded random;
    random_seeded_init(&random, TEST_SEED);
    const struct store_config config = {.type = &things, .mem = mem, .random = &random.random};
    struct err err = {0};
    struct store *store = store_new(&config, &err);
    assert_int_equal(err.code, store ? 0 : 507);
    if (!store)
        return false;
    struct kube_sink sink = store_sink(store);
    struct arena arena;
    arena_init(&arena, mem_system(), 1 << 16, 1 << 24);
    bool ok = true;
    size_t kept = 0;
    for (int i = 0; i < 20; i++) {
        char name[NAME_SIZE];
        model_name(i, name);
        struct kube_meta meta;
        const struct json *object =
            read_object(&arena, object_text(&arena, name, i + 1, "boss", i), &meta);
        int result = sink.upsert(sink.ctx, object, &meta);
        ok = ok && result == 0;
        kept += result == 0;
    }
    assert_int_equal(store_count(store), kept);
    store_free(store);
    arena_done(&arena);
    return ok;
}

static void without_memory_an_upsert_fails_and_the_rest_stays_whole(void **state)
{
    (void)state;
    test_every_allocation_failing(use_a_store, NULL);
}

static void a_failed_change_leaves_the_object_as_it_was(void **state)
{
    struct fixture *f = *state;
    upsert(f, "a", 1, "boss");
    struct kube_meta meta;
    const struct json *object =
        read_object(&f->arena, object_text(&f->arena, "a", 2, "boss", 2), &meta);
    f->mem.fail_at = f->mem.calls + 1;
    assert_int_equal(f->sink.upsert(f->sink.ctx, object, &meta), -1);
    assert_int_equal(get(f, "a")->value, 1);
    assert_told(f, "+a");
    assert_int_equal(f->sink.upsert(f->sink.ctx, object, &meta), 0);
    assert_int_equal(get(f, "a")->value, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_projection_keeps_its_fields_and_the_metadata),
        TEST(what_is_in_no_namespace_and_being_deleted_is_kept_so),
        TEST(changes_are_told),
        TEST(what_is_not_newer_changes_nothing),
        TEST(what_is_not_in_a_list_is_gone_at_its_end),
        TEST(a_list_that_begins_anew_forgets_the_one_that_was_cut),
        TEST(a_list_is_right_even_when_versions_went_back),
        TEST(objects_are_found_by_their_owner),
        TEST(the_bytes_are_those_that_were_taken),
        TEST(random_operations_do_what_a_plain_model_does),
        TEST(a_failed_change_leaves_the_object_as_it_was),
        cmocka_unit_test(without_memory_an_upsert_fails_and_the_rest_stays_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
