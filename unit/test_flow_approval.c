/* Approvals: who set them is written by the webhook, and cannot be written by anybody else. */
#include "policy/jobflow.h"
#include "types/jobflow.h"
#include "unit/findings.h"
#include "unit/support.h"

#include <stdio.h>

#define APPROVE  "approve.workflow.kube-zen.io/"
#define APPROVED "approved-by.workflow.kube-zen.io/"

struct fixture {
    struct arena arena;
    struct catalog *catalog;
};

static int setup(void **state)
{
    struct fixture *f = test_malloc(sizeof(*f));
    struct err err;
    arena_init(&f->arena, mem_system(), 64 * 1024, 256 * 1024 * 1024);
    f->catalog = catalog_builtin(mem_system(), &err);
    assert_non_null(f->catalog);
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

/* A flow with the Manual steps a and b and the Job c; `annotations` is JSON, or NULL for no flow. */
static struct json *flow_with(struct arena *arena, const char *annotations)
{
    if (!annotations)
        return NULL;
    struct str text = arena_printf(
        arena,
        "{\"apiVersion\": \"workflow.kube-zen.io/v1alpha1\", \"kind\": \"JobFlow\", \"metadata\": "
        "{\"name\": \"f\", \"annotations\": %s}, \"spec\": {\"steps\": [{\"name\": \"a\", "
        "\"type\": \"Manual\"}, {\"name\": \"b\", \"type\": \"Manual\"}, {\"name\": \"c\", "
        "\"template\": {\"spec\": {\"template\": {\"spec\": {\"restartPolicy\": \"Never\", "
        "\"containers\": [{\"name\": \"m\", \"image\": \"i\"}]}}}}}]}}",
        annotations);
    struct err err;
    struct json *flow = json_read(arena, text, &json_limits_default, &err);
    if (!flow)
        fail_msg("%s", err.message);
    return flow;
}

static struct policy_object subject_of(struct fixture *f, const char *before, const char *after)
{
    return (struct policy_object){
        .kind = &jobflow_kind,
        .operation = before ? POLICY_UPDATE : POLICY_CREATE,
        .object = flow_with(&f->arena, after),
        .before = flow_with(&f->arena, before),
        .user = STR("alice"),
        .request_uid = STR("u-1"),
        .catalog = f->catalog,
        .arena = &f->arena,
    };
}

static struct str write_annotations(struct fixture *f, const struct policy_object *subject)
{
    struct buf text;
    buf_init(&text, arena_mem(&f->arena), 64 * 1024);
    json_write(&text, json_path(subject->object, "metadata", "annotations", NULL));
    assert_false(buf_failed(&text));
    return buf_str(&text);
}

static void who_approved_is_written_and_kept(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name, *before, *after, *expected;
    } rows[] = {
        {"a new flow with an approval", NULL, "{\"" APPROVE "a\": \"true\"}",
         "{\"" APPROVE "a\":\"true\",\"" APPROVED "a\":\"alice\"}"},
        {"an approval of a stored flow", "{\"x\": \"y\"}",
         "{\"x\": \"y\", \"" APPROVE "a\": \"true\"}",
         "{\"x\":\"y\",\"" APPROVE "a\":\"true\",\"" APPROVED "a\":\"alice\"}"},
        {"a rejection", "{}", "{\"" APPROVE "b\": \"false\"}",
         "{\"" APPROVE "b\":\"false\",\"" APPROVED "b\":\"alice\"}"},
        {"a forged name", "{}", "{\"" APPROVED "a\": \"bob\", \"" APPROVE "a\": \"true\"}",
         "{\"" APPROVE "a\":\"true\",\"" APPROVED "a\":\"alice\"}"},
        {"a name without an approval", "{}", "{\"" APPROVED "a\": \"bob\"}", "{}"},
        {"an approval that stays", "{\"" APPROVE "a\": \"true\", \"" APPROVED "a\": \"bob\"}",
         "{\"" APPROVE "a\": \"true\", \"" APPROVED "a\": \"bob\", \"x\": \"y\"}",
         "{\"" APPROVE "a\":\"true\",\"x\":\"y\",\"" APPROVED "a\":\"bob\"}"},
        {"its name changed", "{\"" APPROVE "a\": \"true\", \"" APPROVED "a\": \"bob\"}",
         "{\"" APPROVE "a\": \"true\", \"" APPROVED "a\": \"alice\"}",
         "{\"" APPROVE "a\":\"true\",\"" APPROVED "a\":\"bob\"}"},
        {"its name removed", "{\"" APPROVE "a\": \"true\", \"" APPROVED "a\": \"bob\"}",
         "{\"" APPROVE "a\": \"true\"}", "{\"" APPROVE "a\":\"true\",\"" APPROVED "a\":\"bob\"}"},
        {"another decision", "{\"" APPROVE "a\": \"true\", \"" APPROVED "a\": \"bob\"}",
         "{\"" APPROVE "a\": \"false\", \"" APPROVED "a\": \"bob\"}",
         "{\"" APPROVE "a\":\"false\",\"" APPROVED "a\":\"alice\"}"},
        {"a decision withdrawn", "{\"" APPROVE "a\": \"true\", \"" APPROVED "a\": \"bob\"}",
         "{\"" APPROVED "a\": \"bob\"}", "{}"},
        {"one of two", "{\"" APPROVE "a\": \"true\", \"" APPROVED "a\": \"bob\"}",
         "{\"" APPROVE "a\": \"true\", \"" APPROVE "b\": \"true\"}",
         "{\"" APPROVE "a\":\"true\",\"" APPROVE "b\":\"true\",\"" APPROVED
         "a\":\"bob\",\"" APPROVED "b\":\"alice\"}"},
        /* Stored while the webhook was not there: the next one who touches it did not approve. */
        {"an approval of nobody knows whom", "{\"" APPROVE "a\": \"true\"}",
         "{\"" APPROVE "a\": \"true\", \"x\": \"y\"}", "{\"" APPROVE "a\":\"true\",\"x\":\"y\"}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct policy_object subject = subject_of(f, rows[i].before, rows[i].after);
        assert_true(jobflow_default(&subject));
        struct str found = write_annotations(f, &subject);
        if (!str_eq_cstr(found, rows[i].expected))
            fail_msg("%s: %" PRIstr, rows[i].name, STR_ARG(found));
        struct err_list errors;
        err_list_init(&errors, &f->arena, ERR_LIST_MAX);
        jobflow_check_metadata(&subject, &errors);
        findings_assert(&errors, (const struct finding[]){{0}}, rows[i].name);
    }
}

/* Another mutating webhook may have run after ours. */
static void what_is_forged_after_mutation_is_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name, *before, *after, *field;
    } rows[] = {
        {"another's name", NULL, "{\"" APPROVE "a\": \"true\", \"" APPROVED "a\": \"bob\"}",
         "metadata.annotations[\"" APPROVED "a\"]"},
        {"no name", "{}", "{\"" APPROVE "a\": \"true\"}",
         "metadata.annotations[\"" APPROVED "a\"]"},
        {"a name without an approval", "{}", "{\"" APPROVED "a\": \"alice\"}",
         "metadata.annotations[\"" APPROVED "a\"]"},
        {"another name than before", "{\"" APPROVE "a\": \"true\", \"" APPROVED "a\": \"bob\"}",
         "{\"" APPROVE "a\": \"true\", \"" APPROVED "a\": \"alice\"}",
         "metadata.annotations[\"" APPROVED "a\"]"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct policy_object subject = subject_of(f, rows[i].before, rows[i].after);
        struct err_list errors;
        err_list_init(&errors, &f->arena, ERR_LIST_MAX);
        jobflow_check_metadata(&subject, &errors);
        const struct finding expected[] = {
            {ERR_FORBIDDEN, rows[i].field, "written by Callboard only"}, {0}};
        findings_assert(&errors, expected, rows[i].name);
    }
}

/* Although the spec is unchanged, so that its errors would be warnings. */
static void an_approval_must_be_of_a_manual_step(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *annotations;
        struct finding expected[2];
    } rows[] = {
        {"{\"" APPROVE "aa\": \"true\"}",
         {{ERR_NOT_FOUND, "metadata.annotations[\"" APPROVE "aa\"]", "no Manual step \"aa\""}}},
        {"{\"" APPROVE "c\": \"true\"}",
         {{ERR_NOT_FOUND, "metadata.annotations[\"" APPROVE "c\"]", "no Manual step \"c\""}}},
        {"{\"" APPROVE "\": \"true\"}",
         {{ERR_NOT_FOUND, "metadata.annotations[\"" APPROVE "\"]", "no Manual step \"\""}}},
        {"{\"" APPROVE "a\": \"yes\"}",
         {{ERR_NOT_SUPPORTED, "metadata.annotations[\"" APPROVE "a\"]",
           "\"yes\": \"true\" approves, \"false\" rejects"}}},
        {"{\"" APPROVE "a\": \"false\"}", {{0}}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct policy_object subject = subject_of(f, "{}", rows[i].annotations);
        struct policy_findings findings;
        policy_findings_init(&findings, &f->arena);
        assert_true(policy_default(&subject));
        policy_validate(&subject, &findings);
        findings_assert(&findings.errors, rows[i].expected, rows[i].annotations);
    }
}

/* What was stored before stays, so that labels and finalizers can always be changed. */
static void a_stored_approval_is_not_judged_again(void **state)
{
    struct fixture *f = *state;
    static const char stored[] = "{\"" APPROVE "gone\": \"true\"}";
    struct policy_object subject = subject_of(f, stored, stored);
    struct policy_findings findings;
    policy_findings_init(&findings, &f->arena);
    assert_true(policy_default(&subject));
    policy_validate(&subject, &findings);
    findings_assert(&findings.errors, (const struct finding[]){{0}}, stored);
}

static void the_number_of_annotations_is_bounded(void **state)
{
    struct fixture *f = *state;
    for (int count = 1024; count <= 1025; count++) {
        struct buf text;
        buf_init(&text, arena_mem(&f->arena), 1024 * 1024);
        for (int i = 0; i < count; i++)
            buf_printf(&text, "%s\"a%d\": \"\"", i ? ", " : "{", i);
        buf_put(&text, STR("}"));
        buf_put_char(&text, '\0');
        struct policy_object subject = subject_of(f, NULL, text.ptr);
        struct err_list errors;
        err_list_init(&errors, &f->arena, ERR_LIST_MAX);
        assert_true(jobflow_default(&subject));
        jobflow_check_metadata(&subject, &errors);
        const struct finding expected[] = {{ERR_TOO_MANY, "metadata.annotations", "at most 1024"},
                                           {0}};
        findings_assert(&errors, count > 1024 ? expected : &expected[1], "many");
    }
}

static void what_is_no_map_of_strings_is_left_to_the_schema(void **state)
{
    struct fixture *f = *state;
    static const char *const rows[] = {"null", "[]", "\"x\"", "{\"" APPROVE "a\": 1}"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct policy_object subject = subject_of(f, NULL, rows[i]);
        struct policy_findings findings;
        policy_findings_init(&findings, &f->arena);
        assert_true(policy_default(&subject));
        policy_validate(&subject, &findings);
        assert_false(findings.errors.out_of_memory);
    }
}

static bool judge(const struct mem *mem, void *ctx)
{
    struct fixture *f = ctx;
    struct policy_object subject =
        subject_of(f, "{}", "{\"" APPROVED "a\": \"bob\", \"" APPROVE "a\": \"true\"}");
    struct arena arena;
    struct err_list errors;
    arena_init(&arena, mem, 64, 1024 * 1024);
    subject.arena = &arena;
    err_list_init(&errors, &arena, ERR_LIST_MAX);
    bool written = jobflow_default(&subject);
    if (written)
        jobflow_check_metadata(&subject, &errors);
    bool good = written && err_list_is_empty(&errors);
    arena_done(&arena);
    return good;
}

static void every_failing_allocation_is_noticed(void **state)
{
    test_every_allocation_failing(judge, *state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(who_approved_is_written_and_kept),
        TEST(what_is_forged_after_mutation_is_refused),
        TEST(an_approval_must_be_of_a_manual_step),
        TEST(a_stored_approval_is_not_judged_again),
        TEST(the_number_of_annotations_is_bounded),
        TEST(what_is_no_map_of_strings_is_left_to_the_schema),
        TEST(every_failing_allocation_is_noticed),
    };
    return cmocka_run_group_tests_name("flow_approval", tests, NULL, NULL);
}
