/*
 * Answers to AdmissionReviews. The reviews of unit/testdata/reviews are those that kube-apiserver
 * v1.36 sends, NAME.mutate.json or NAME.validate.json; what is answered is in NAME.….golden.json,
 * with the patch shown. UPDATE_GOLDEN=1 writes the golden files anew: look at what has changed.
 */
#include "unit/apply_patch.h"
#include "unit/fixed_templates.h"
#include "unit/support.h"

#include "types/performer.h"
#include "webhook/admission.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define FOLDER "reviews"

enum { REQUEST_MAX = 16 * 1024 * 1024, ANSWER_MAX = 16 * 1024 * 1024 };

struct fixture {
    struct arena arena;
    struct catalog *catalog;
    struct template_source templates;
    struct admission_world world;
    /* The last answer. */
    int result;
    struct str text;
    struct json *answer;   /* NULL after an error */
    struct json *response; /* of it */
    struct admission_outcome outcome;
    struct err err;
};

static int setup(void **state)
{
    struct fixture *f = test_malloc(sizeof(*f));
    *f = (struct fixture){0};
    arena_init(&f->arena, mem_system(), 64 * 1024, 512 * 1024 * 1024);
    f->catalog = catalog_builtin(mem_system(), &f->err);
    assert_non_null(f->catalog);
    f->templates = fixed_templates(fixed_read(&f->arena, STR(FIXED_TEMPLATE)));
    f->world = (struct admission_world){.catalog = f->catalog, .templates = &f->templates};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    catalog_unref(f->catalog);
    arena_done(&f->arena);
    test_free(f);
    return 0;
}

static struct json *read_json(struct fixture *f, struct str text)
{
    struct err err;
    struct json *value = json_read(&f->arena, text, &json_limits_default, &err);
    if (!value)
        fail_msg("%.*s: %s", (int)(text.len < 200 ? text.len : 200), text.ptr, err.message);
    return value;
}

static struct str print(struct fixture *f, const struct json *value, int indent)
{
    struct buf buf;
    buf_init(&buf, arena_mem(&f->arena), ANSWER_MAX);
    if (indent)
        json_write_pretty(&buf, value, indent);
    else
        json_write(&buf, value);
    assert_false(buf_failed(&buf));
    return buf_str(&buf);
}

static void answer(struct fixture *f, enum admission_phase phase, struct str body)
{
    struct buf out;
    buf_init(&out, arena_mem(&f->arena), ANSWER_MAX);
    f->err = (struct err){0};
    f->answer = f->response = NULL;
    f->text = (struct str){NULL, 0};
    f->result = admission_answer(phase, body, &f->world, &f->arena, &out, &f->outcome, &f->err);
    if (f->result < 0) {
        assert_true(f->err.code >= 400 && f->err.message[0] != '\0');
        return;
    }
    assert_int_equal(f->err.code, 0);
    f->text = buf_str(&out);
    f->answer = read_json(f, f->text);
    f->response = json_get(f->answer, STR("response"));
    assert_str_equal(json_str(json_get(f->response, STR("uid"))), f->outcome.uid);
}

static bool is_allowed(const struct fixture *f)
{
    return json_bool(json_get(f->response, STR("allowed")), false);
}

/* The operations of the patch, or NULL when nothing is to be changed. */
static struct json *patch_of(struct fixture *f)
{
    struct str text = json_str(json_get(f->response, STR("patch")));
    if (!str_is_set(text))
        return NULL;
    assert_str_is(json_str(json_get(f->response, STR("patchType"))), "JSONPatch");
    struct str decoded = apply_patch_base64(&f->arena, text);
    assert_true(str_is_set(decoded));
    return read_json(f, decoded);
}

static bool contains(struct str text, const char *part)
{
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

/* ---- The files ---- */

struct review_file {
    struct str name; /* "create.mutate" */
    enum admission_phase phase;
    struct str body;
};

static int is_review(const struct dirent *entry)
{
    struct str name = str_from_cstr(entry->d_name);
    return str_ends_with(name, STR(".mutate.json")) || str_ends_with(name, STR(".validate.json"));
}

static void each_review(struct fixture *f,
                        void (*check)(struct fixture *f, const struct review_file *file))
{
    struct dirent **entries;
    int count = scandir("unit/testdata/" FOLDER, &entries, is_review, alphasort);
    assert_true(count > 40);
    for (int i = 0; i < count; i++) {
        struct str path = arena_printf(&f->arena, "%s/%s", FOLDER, entries[i]->d_name);
        struct str name = arena_copy(&f->arena, str_from_cstr(entries[i]->d_name));
        name.len -= strlen(".json");
        struct review_file file = {
            .name = name,
            .phase = str_ends_with(name, STR(".mutate")) ? ADMISSION_MUTATE : ADMISSION_VALIDATE,
            .body = test_read_file(&f->arena, path.ptr),
        };
        check(f, &file);
        free(entries[i]);
    }
    free(entries);
}

static struct str golden_error(struct fixture *f)
{
    struct json *error = json_new(&f->arena, JSON_OBJECT);
    struct str message = str_from_cstr(f->err.message);
    assert_true(json_set(error, STR("code"), json_new_int(&f->arena, f->err.code)));
    assert_true(json_set(error, STR("message"), json_new_str(&f->arena, message)));
    struct str text = print(f, error, 2);
    return arena_printf(&f->arena, "%.*s\n", (int)text.len, text.ptr);
}

/* What is compared: the answer with its patch decoded, or the error. */
static struct str golden_text(struct fixture *f)
{
    if (f->result < 0)
        return golden_error(f);
    struct json *patch = patch_of(f);
    if (patch)
        assert_true(json_set(f->response, STR("patch"), patch));
    struct str text = print(f, f->answer, 2);
    return arena_printf(&f->arena, "%.*s\n", (int)text.len, text.ptr);
}

static void check_golden(struct fixture *f, const struct review_file *file)
{
    answer(f, file->phase, file->body);
    struct str found = golden_text(f);
    struct str name =
        arena_printf(&f->arena, FOLDER "/%.*s.golden.json", (int)file->name.len, file->name.ptr);
    if (getenv("UPDATE_GOLDEN")) {
        struct str path = arena_printf(&f->arena, "unit/testdata/%s", name.ptr);
        FILE *golden = fopen(path.ptr, "wb");
        assert_non_null(golden);
        assert_int_equal(fwrite(found.ptr, 1, found.len, golden), found.len);
        fclose(golden);
        return;
    }
    struct str expected = test_read_file(&f->arena, name.ptr);
    if (!str_eq(found, expected)) {
        print_error("%s (UPDATE_GOLDEN=1 writes it anew):\n", name.ptr);
        assert_str_equal(found, expected);
    }
}

static void reviews_are_answered_as_the_golden_files_say(void **state)
{
    each_review(*state, check_golden);
}

/* `review` with another object, as a text. */
static struct str with_object(struct fixture *f, const struct json *review, struct json *object)
{
    struct json *copy = json_copy(&f->arena, review);
    assert_true(json_set(json_get(copy, STR("request")), STR("object"), object));
    return print(f, copy, 0);
}

static void check_patched(struct fixture *f, const struct review_file *file)
{
    answer(f, file->phase, file->body);
    struct json *patch = f->response ? patch_of(f) : NULL;
    if (!patch)
        return;
    assert_true(is_allowed(f));
    assert_int_equal(file->phase, ADMISSION_MUTATE);
    assert_int_equal(patch->len, f->outcome.patch_operations);
    const struct json *review = read_json(f, file->body);
    const struct json *object = json_path(review, "request", "object", NULL);
    struct json *patched = apply_patch(&f->arena, object, patch);
    if (!patched)
        fail_msg("%s: the patch does not fit", file->name.ptr);
    struct str final = with_object(f, review, patched);
    answer(f, ADMISSION_VALIDATE, final);
    if (!is_allowed(f))
        fail_msg("%s: /validate refuses what /mutate has made: %s", file->name.ptr, f->text.ptr);
    /* Once is enough, but for the id, which is that of each request. */
    answer(f, ADMISSION_MUTATE, final);
    if (patch_of(f))
        fail_msg("%s: /mutate changes what it has made: %s", file->name.ptr, f->text.ptr);
}

static void what_mutate_makes_validate_allows(void **state)
{
    each_review(*state, check_patched);
}

static void check_phases_agree(struct fixture *f, const struct review_file *file)
{
    answer(f, ADMISSION_MUTATE, file->body);
    bool readable = f->response != NULL, mutate = is_allowed(f);
    answer(f, ADMISSION_VALIDATE, file->body);
    assert_int_equal(f->response != NULL, readable);
    /* A forged annotation is corrected in one, and refused in the other; so is a flow that was not made
     * from its template. */
    bool corrected = f->text.ptr && (contains(f->text, "written by Callboard only") ||
                                     contains(f->text, "removed since") ||
                                     contains(f->text, "came from the flow's JobFlowTemplate"));
    if (mutate != is_allowed(f) && !corrected)
        fail_msg("%s: only one of the two refuses", file->name.ptr);
    assert_null(json_get(f->response, STR("patch")));
}

static void both_phases_decide_alike(void **state)
{
    each_review(*state, check_phases_agree);
}

static void nothing_is_answered_before_the_template_is_known(void **state)
{
    struct fixture *f = *state;
    struct json *review =
        read_json(f, test_read_file(&f->arena, FOLDER "/from-template.mutate.json"));
    assert_true(json_set(json_get(review, STR("request")), STR("namespace"),
                         json_new_str(&f->arena, STR("unknown"))));
    struct buf out;
    buf_init(&out, arena_mem(&f->arena), ANSWER_MAX);
    assert_int_equal(admission_answer(ADMISSION_MUTATE, print(f, review, 0), &f->world, &f->arena,
                                      &out, &f->outcome, &f->err),
                     0);
    assert_int_equal(f->outcome.decision, ADMISSION_UNDECIDED);
    assert_str_is(f->outcome.namespace, "unknown");
    assert_str_is(f->outcome.template_name, "etl");
    assert_int_equal(out.len, 0);
}

/* ---- Secrets ---- */

static const char *const secrets[] = {"s3cr3t", "S3CR3T", "73537"};

static void check_no_secret(struct fixture *f, const struct review_file *file)
{
    answer(f, file->phase, file->body);
    struct str texts[] = {f->text, str_from_cstr(f->err.message), STR("")};
    if (f->response && patch_of(f))
        texts[2] = print(f, patch_of(f), 0);
    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        for (size_t t = 0; t < 3; t++) {
            if (texts[t].ptr && contains(texts[t], secrets[i]))
                fail_msg("%s: %s is in the answer", file->name.ptr, secrets[i]);
        }
    }
}

static void no_value_of_the_environment_is_in_any_answer(void **state)
{
    each_review(*state, check_no_secret);
}

/* `spec` in a review of a Performer with nothing else wrong. */
static struct str review_of(struct fixture *f, const char *spec)
{
    return arena_printf(
        &f->arena,
        "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{"
        "\"uid\":\"u-1\",\"kind\":{\"group\":\"hourglass.eigenlayer.io\",\"version\":\"v1alpha1\","
        "\"kind\":\"Performer\"},\"name\":\"p\",\"namespace\":\"n\",\"operation\":\"CREATE\","
        "\"userInfo\":{\"username\":\"alice\"},\"object\":{\"apiVersion\":"
        "\"hourglass.eigenlayer.io/v1alpha1\",\"kind\":\"Performer\",\"metadata\":{\"name\":\"p\","
        "\"namespace\":\"n\"},\"spec\":{\"avsAddress\":\"x\",\"image\":\"a:v1\",%s}},"
        "\"oldObject\":null,\"dryRun\":false}}",
        spec);
}

static void secrets_of_wrong_types_are_not_shown(void **state)
{
    struct fixture *f = *state;
    static const char *const rows[] = {
        "\"config\":{\"environment\":{\"A\":73537}}",
        "\"config\":{\"environment\":{\"A\":[\"s3cr3t\"]}}",
        "\"config\":{\"environment\":{\"A\":{\"b\":\"s3cr3t\"}}}",
        "\"config\":{\"environment\":{\"A=\":\"s3cr3t\",\"B\":\"S3CR3T\"}}",
        "\"config\":{\"environment\":\"s3cr3t\"}",
        "\"config\":{\"environment\":[\"s3cr3t\"]}",
        "\"config\":\"s3cr3t\"",
        "\"config\":{\"args\":[73537,true],\"command\":{\"a\":\"s3cr3t\"}}",
        "\"config\":{\"args\":\"--token=s3cr3t\"}",
        ("\"config\":{\"environment\":{\"A\":\"s3cr3t\"},\"environmentFrom\":[{\"name\":\"A\","
         "\"valueFrom\":{\"secretKeyRef\":{\"name\":\"n\",\"key\":\"k\"}}}]}"),
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int phase = 0; phase < 2; phase++) {
            struct review_file file = {
                .name = str_from_cstr(rows[i]),
                .phase = phase ? ADMISSION_VALIDATE : ADMISSION_MUTATE,
                .body = review_of(f, rows[i]),
            };
            check_no_secret(f, &file);
            assert_false(is_allowed(f));
        }
    }
    /* Nor one that is too long. */
    struct buf spec;
    buf_init(&spec, arena_mem(&f->arena), 1024 * 1024);
    buf_put(&spec, STR("\"config\":{\"environment\":{\"A\":\""));
    for (int i = 0; i < 70000; i += 6)
        buf_put(&spec, STR("s3cr3t"));
    buf_put(&spec, STR("\"}}"));
    buf_put_char(&spec, '\0');
    struct review_file file = {.name = STR("long"), .body = review_of(f, spec.ptr)};
    check_no_secret(f, &file);
    assert_false(is_allowed(f));
}

/* ---- Bounds ---- */

static struct str review_of_many_errors(struct fixture *f, int count, size_t key_len)
{
    struct buf spec;
    char key[4096];
    assert_true(key_len < sizeof(key));
    memset(key, '=', sizeof(key));
    buf_init(&spec, arena_mem(&f->arena), REQUEST_MAX);
    buf_put(&spec, STR("\"config\":{\"environment\":{"));
    for (int i = 0; i < count; i++)
        buf_printf(&spec, "%s\"%.*s%d\":\"x\"", i ? "," : "", (int)key_len, key, i);
    buf_put(&spec, STR("}}"));
    buf_put_char(&spec, '\0');
    return review_of(f, spec.ptr);
}

static void a_thousand_errors_give_a_small_answer(void **state)
{
    struct fixture *f = *state;
    for (int phase = 0; phase < 2; phase++) {
        answer(f, phase ? ADMISSION_VALIDATE : ADMISSION_MUTATE, review_of_many_errors(f, 1000, 1));
        assert_false(is_allowed(f));
        const struct json *status = json_get(f->response, STR("status"));
        const struct json *causes = json_path(status, "details", "causes", NULL);
        assert_int_equal(causes->len, ERR_LIST_MAX + 1);
        const struct json *note = json_at(causes, ERR_LIST_MAX);
        assert_str_is(json_str(json_get(note, STR("reason"))), "FieldValueTooMany");
        assert_str_is(json_str(json_get(note, STR("message"))),
                      "and 936 more errors; correct these first");
        struct str message = json_str(json_get(status, STR("message")));
        assert_true(str_ends_with(message, STR("; and 936 more errors")));
        assert_true(f->text.len < 48 * 1024);
        struct str audit = json_str(
            json_path(f->response, "auditAnnotations", phase ? "validation" : "mutation", NULL));
        assert_true(str_starts_with(audit, STR("denied, 1000 errors: spec.config.environment")));
        assert_true(audit.len < 1024);
    }
}

static void an_answer_stays_small_with_the_longest_keys(void **state)
{
    struct fixture *f = *state;
    answer(f, ADMISSION_VALIDATE, review_of_many_errors(f, 1000, 3000));
    assert_false(is_allowed(f));
    assert_true(f->text.len < 128 * 1024);
    assert_true(json_str(json_path(f->response, "status", "message", NULL)).len < 64 * 1024);
}

static void warnings_are_few_and_short(void **state)
{
    struct fixture *f = *state;
    const struct json *review = read_json(f, review_of_many_errors(f, 100, 200));
    struct json *copy = json_copy(&f->arena, review), *request = json_get(copy, STR("request"));
    struct json *object = json_copy(&f->arena, json_get(request, STR("object")));
    assert_true(json_set(request, STR("oldObject"), object));
    assert_true(json_set(request, STR("operation"), json_new_str(&f->arena, STR("UPDATE"))));
    answer(f, ADMISSION_VALIDATE, print(f, copy, 0));
    assert_true(is_allowed(f));
    const struct json *warnings = json_get(f->response, STR("warnings"));
    assert_int_equal(warnings->len, 16);
    JSON_EACH (warning, warnings)
        assert_in_range(json_str(warning).len, 20, 256);
}

static void what_is_too_deep_or_too_large_is_refused(void **state)
{
    struct fixture *f = *state;
    struct buf deep, wide;
    buf_init(&deep, arena_mem(&f->arena), REQUEST_MAX);
    buf_init(&wide, arena_mem(&f->arena), REQUEST_MAX);
    buf_put(&deep, STR("\"config\":"));
    for (int i = 0; i < 100000; i++)
        buf_put_char(&deep, '[');
    for (int i = 0; i < 100000; i++)
        buf_put_char(&deep, ']');
    buf_put_char(&deep, '\0');
    buf_put(&wide, STR("\"config\":[0"));
    while (wide.len < 3 * 1024 * 1024)
        buf_put(&wide, STR(",0"));
    buf_put(&wide, STR("]"));
    buf_put_char(&wide, '\0');
    for (int phase = 0; phase < 2; phase++) {
        enum admission_phase p = phase ? ADMISSION_VALIDATE : ADMISSION_MUTATE;
        answer(f, p, review_of(f, deep.ptr));
        assert_int_equal(f->err.code, 413);
        assert_true(contains(str_from_cstr(f->err.message), "64"));
        answer(f, p, review_of(f, wide.ptr));
        assert_int_equal(f->err.code, 413);
        assert_true(contains(str_from_cstr(f->err.message), "400000"));
    }
}

static void a_small_arena_is_an_error_and_no_wrong_answer(void **state)
{
    struct fixture *f = *state;
    struct arena small;
    struct buf out;
    struct err err = {0};
    arena_init(&small, mem_system(), 1024, 4096);
    buf_init(&out, arena_mem(&f->arena), ANSWER_MAX);
    struct str body = review_of(f, "\"config\":{\"grpcPort\":1}");
    assert_int_equal(
        admission_answer(ADMISSION_MUTATE, body, &f->world, &small, &out, &f->outcome, &err), -1);
    assert_int_equal(err.code, 507);
    arena_done(&small);

    struct buf narrow;
    buf_init(&narrow, arena_mem(&f->arena), 100);
    assert_int_equal(
        admission_answer(ADMISSION_MUTATE, body, &f->world, &f->arena, &narrow, &f->outcome, &err),
        -1);
    assert_int_equal(err.code, 507);
}

/* ---- What there is to log ---- */

static void the_outcome_tells_what_there_is_to_log(void **state)
{
    struct fixture *f = *state;
    answer(f, ADMISSION_MUTATE, test_read_file(&f->arena, FOLDER "/create.mutate.json"));
    assert_int_equal(f->outcome.decision, ADMISSION_ALLOWED);
    assert_ptr_equal(f->outcome.kind, &performer_kind);
    assert_str_is(f->outcome.operation, "CREATE");
    assert_str_is(f->outcome.namespace, "default");
    assert_str_is(f->outcome.name, "prover");
    assert_str_is(f->outcome.user, "alice@example.com");
    assert_false(f->outcome.is_dry_run);
    assert_int_equal(f->outcome.patch_operations, 4);

    answer(f, ADMISSION_MUTATE, test_read_file(&f->arena, FOLDER "/generate-name.mutate.json"));
    assert_str_is(f->outcome.name, "prover-");
    assert_true(f->outcome.is_dry_run);

    answer(f, ADMISSION_MUTATE, test_read_file(&f->arena, FOLDER "/ten-mistakes.mutate.json"));
    assert_int_equal(f->outcome.decision, ADMISSION_DENIED);
    assert_in_range(f->outcome.findings.errors.count, 10, 20);

    answer(f, ADMISSION_VALIDATE, test_read_file(&f->arena, FOLDER "/delete.validate.json"));
    assert_int_equal(f->outcome.decision, ADMISSION_PASSED_OVER);
    assert_str_is(f->outcome.operation, "DELETE");

    answer(f, ADMISSION_MUTATE, test_read_file(&f->arena, FOLDER "/unknown-kind.mutate.json"));
    assert_int_equal(f->outcome.decision, ADMISSION_DENIED);
    assert_null(f->outcome.kind);
}

/* ---- Memory ---- */

struct work {
    struct fixture *f;
    enum admission_phase phase;
    struct str body;
    struct str expected;
};

static bool work(const struct mem *mem, void *ctx)
{
    const struct work *w = ctx;
    struct arena arena;
    struct buf out;
    struct err err = {0};
    struct admission_outcome outcome;
    arena_init(&arena, mem, 16, 64 * 1024 * 1024); /* nearly a block for each */
    buf_init(&out, arena_mem(&arena), ANSWER_MAX);
    int result = admission_answer(w->phase, w->body, &w->f->world, &arena, &out, &outcome, &err);
    if (result == 0)
        assert_str_equal(buf_str(&out), w->expected);
    else
        assert_int_equal(err.code, 507);
    buf_done(&out);
    arena_done(&arena);
    return result == 0;
}

static void every_failing_allocation_is_an_error(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {
        "create.mutate",
        "create.validate",
        "ten-mistakes.mutate",
        "ten-mistakes.validate",
        "update-spec.mutate",
        "update-metadata.mutate",
        "update-leaves-bad-spec.validate",
        "delete.mutate",
        "unknown-kind.mutate",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct str name = str_from_cstr(names[i]);
        struct str path = arena_printf(&f->arena, FOLDER "/%s.json", names[i]);
        struct work w = {
            .f = f,
            .phase = str_ends_with(name, STR(".mutate")) ? ADMISSION_MUTATE : ADMISSION_VALIDATE,
            .body = test_read_file(&f->arena, path.ptr),
        };
        answer(f, w.phase, w.body);
        w.expected = f->text;
        test_every_allocation_failing(work, &w);
    }
}

/* ---- Threads ---- */

/* Gives its argument back when an answer is not the expected one. */
static void *answer_often(void *ctx)
{
    struct work *w = ctx;
    bool same = true;
    for (int i = 0; i < 50 && same; i++) {
        struct arena arena;
        struct buf out;
        struct err err;
        struct admission_outcome outcome;
        arena_init(&arena, mem_system(), 4096, 1024 * 1024);
        buf_init(&out, arena_mem(&arena), ANSWER_MAX);
        same =
            admission_answer(w->phase, w->body, &w->f->world, &arena, &out, &outcome, &err) == 0 &&
            str_eq(buf_str(&out), w->expected);
        arena_done(&arena);
    }
    return same ? NULL : w;
}

static void any_number_of_threads_may_answer(void **state)
{
    struct fixture *f = *state;
    enum { THREADS = 4 };
    struct work work_of[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        work_of[i] = (struct work){
            .f = f,
            .phase = i % 2 ? ADMISSION_MUTATE : ADMISSION_VALIDATE,
            .body = test_read_file(&f->arena, FOLDER "/ten-mistakes.mutate.json"),
        };
        answer(f, work_of[i].phase, work_of[i].body);
        work_of[i].expected = f->text;
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, answer_often, &work_of[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
}

/* ---- The applier itself ---- */

static void patches_are_applied_as_the_rfc_says(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *document, *patch, *result; /* NULL: it does not fit */
    } rows[] = {
        {"{}", "[]", "{}"},
        {"{}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":1}]", "{\"a\":1}"},
        {"{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":[2]}]", "{\"a\":[2]}"},
        {"{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":null}]", "{\"a\":null}"},
        {"{\"a\":1,\"b\":2}", "[{\"op\":\"remove\",\"path\":\"/a\"}]", "{\"b\":2}"},
        {"{\"a\":{\"b/c~d\":1}}", "[{\"op\":\"replace\",\"path\":\"/a/b~1c~0d\",\"value\":2}]",
         "{\"a\":{\"b/c~d\":2}}"},
        {"{\"\":1}", "[{\"op\":\"replace\",\"path\":\"/\",\"value\":2}]", "{\"\":2}"},
        {"[1,2]", "[{\"op\":\"add\",\"path\":\"/0\",\"value\":0}]", "[0,1,2]"},
        {"[1,2]", "[{\"op\":\"add\",\"path\":\"/2\",\"value\":3}]", "[1,2,3]"},
        {"[1,2]", "[{\"op\":\"add\",\"path\":\"/-\",\"value\":3}]", "[1,2,3]"},
        {"[]", "[{\"op\":\"add\",\"path\":\"/0\",\"value\":3}]", "[3]"},
        {"[1,2]", "[{\"op\":\"replace\",\"path\":\"/1\",\"value\":3}]", "[1,3]"},
        {"[1,2]", "[{\"op\":\"remove\",\"path\":\"/0\"}]", "[2]"},
        {"[[1],{\"a\":[2]}]", "[{\"op\":\"add\",\"path\":\"/1/a/0\",\"value\":3}]",
         "[[1],{\"a\":[3,2]}]"},
        {"{}", "[{\"op\":\"replace\",\"path\":\"/a\",\"value\":1}]", NULL},
        {"{}", "[{\"op\":\"remove\",\"path\":\"/a\"}]", NULL},
        {"{}", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":1}]", NULL},
        {"{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/a/b\",\"value\":1}]", NULL},
        {"[1]", "[{\"op\":\"add\",\"path\":\"/2\",\"value\":1}]", NULL},
        {"[1]", "[{\"op\":\"replace\",\"path\":\"/1\",\"value\":1}]", NULL},
        {"[1]", "[{\"op\":\"replace\",\"path\":\"/00\",\"value\":1}]", NULL},
        {"[1]", "[{\"op\":\"remove\",\"path\":\"/-\"}]", NULL},
        {"[]", "[{\"op\":\"remove\",\"path\":\"/0\"}]", NULL},
        {"{}", "[{\"op\":\"add\",\"path\":\"a\",\"value\":1}]", NULL},
        {"{}", "[{\"op\":\"add\",\"path\":\"/a~2\",\"value\":1}]", NULL},
        {"{}", "[{\"op\":\"add\",\"path\":\"/a\"}]", NULL},
        {"{}", "[{\"op\":\"move\",\"path\":\"/a\",\"value\":1}]", NULL},
        {"{}", "{}", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct json *document = read_json(f, str_from_cstr(rows[i].document));
        const struct json *result =
            apply_patch(&f->arena, document, read_json(f, str_from_cstr(rows[i].patch)));
        if (!result != !rows[i].result)
            fail_msg("%s", rows[i].patch);
        if (result)
            assert_str_is(print(f, result, 0), rows[i].result);
        assert_str_is(print(f, document, 0), rows[i].document);
    }
}

static void base64_is_decoded(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text, *decoded;
    } rows[] = {
        {"", ""},        {"TQ==", "M"},        {"TWE=", "Ma"},
        {"TWFu", "Man"}, {"TWFuTQ==", "ManM"}, {"+/+/", "\xfb\xff\xbf"},
        {"T", NULL},     {"TQ=", NULL},        {"TQ==TQ==", NULL},
        {"T=Q=", NULL},  {"T Q=", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_str_is(apply_patch_base64(&f->arena, str_from_cstr(rows[i].text)), rows[i].decoded);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(patches_are_applied_as_the_rfc_says),
        TEST(base64_is_decoded),
        TEST(reviews_are_answered_as_the_golden_files_say),
        TEST(what_mutate_makes_validate_allows),
        TEST(both_phases_decide_alike),
        TEST(nothing_is_answered_before_the_template_is_known),
        TEST(no_value_of_the_environment_is_in_any_answer),
        TEST(secrets_of_wrong_types_are_not_shown),
        TEST(a_thousand_errors_give_a_small_answer),
        TEST(an_answer_stays_small_with_the_longest_keys),
        TEST(warnings_are_few_and_short),
        TEST(what_is_too_deep_or_too_large_is_refused),
        TEST(a_small_arena_is_an_error_and_no_wrong_answer),
        TEST(the_outcome_tells_what_there_is_to_log),
        TEST(every_failing_allocation_is_an_error),
        TEST(any_number_of_threads_may_answer),
    };
    return cmocka_run_group_tests_name("admission", tests, NULL, NULL);
}
