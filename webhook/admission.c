/* From an AdmissionReview to its answer. */
#include "webhook/admission.h"

#include "base/utf8.h"
#include "json/base64.h"
#include "json/patch.h"

enum {
    WARNINGS_MAX = 16,     /* more than a user reads */
    WARNING_LEN_MAX = 256, /* longer ones the apiserver may cut (types.go, Warnings) */
    PATCH_TEXT_MAX = 8 * 1024 * 1024,
    MESSAGE_LEN_MAX = 32 * 1024, /* about, of a denial; the causes say all */
};

struct review {
    enum admission_phase phase;
    struct json *request;
    struct policy_object subject;
    struct str patch; /* JSON, absent when nothing changes */
    /* A denial that is not about fields. */
    int denial_code;
    const char *denial_reason;
    struct str denial;
};

/* ---- Reading ---- */

static struct str text_at(const struct json *object, struct str key)
{
    return json_str(json_get(object, key));
}

static int read_request(struct review *review, struct str body, struct arena *arena,
                        struct err *err)
{
    const struct json *root = json_read(arena, body, &json_limits_default, err);
    if (!root)
        return err_wrap(err, "the request's body");
    if (!str_eq(text_at(root, STR("kind")), STR("AdmissionReview")) ||
        !str_eq(text_at(root, STR("apiVersion")), STR("admission.k8s.io/v1")))
        return err_set(err, 400,
                       "the request's body must be an AdmissionReview of admission.k8s.io/v1");
    review->request = json_get(root, STR("request"));
    if (!json_is(review->request, JSON_OBJECT))
        return err_set(err, 400, "the AdmissionReview has no request");
    if (text_at(review->request, STR("uid")).len == 0)
        return err_set(err, 400, "the AdmissionReview's request has no uid");
    return 0;
}

static void describe(const struct review *review, struct admission_outcome *outcome)
{
    const struct json *request = review->request;
    const struct json *kind = json_get(request, STR("kind"));
    outcome->operation = text_at(request, STR("operation"));
    outcome->uid = text_at(request, STR("uid"));
    outcome->namespace = text_at(request, STR("namespace"));
    outcome->name = text_at(request, STR("name"));
    const struct json *metadata = json_path(request, "object", "metadata", NULL);
    if (outcome->name.len == 0)
        outcome->name = text_at(metadata, STR("name"));
    if (outcome->name.len == 0)
        outcome->name = text_at(metadata, STR("generateName"));
    outcome->user = json_str(json_path(request, "userInfo", "username", NULL));
    outcome->is_dry_run = json_bool(json_get(request, STR("dryRun")), false);
    outcome->kind = kind_find(text_at(kind, STR("group")), text_at(kind, STR("version")),
                              text_at(kind, STR("kind")));
}

/* ---- Judging ---- */

static void deny(struct review *review, int code, const char *reason, struct str message)
{
    review->denial_code = code;
    review->denial_reason = reason;
    review->denial = message;
}

/* What needs no look: other operations, subresources, and objects that are going away, whose
 * finalizers must never be blocked. Whether one is going away is what the stored object says: what is
 * sent can say anything. */
static bool is_passed_over(const struct review *review, struct str operation)
{
    if (str_eq(operation, STR("DELETE")) || str_eq(operation, STR("CONNECT")))
        return true;
    if (text_at(review->request, STR("subResource")).len > 0)
        return true;
    const struct json *stored = json_path(review->request, "oldObject", "metadata", NULL);
    return text_at(stored, STR("deletionTimestamp")).len > 0;
}

static bool make_patch(struct review *review, const struct json *before,
                       struct admission_outcome *outcome)
{
    struct arena *arena = review->subject.arena;
    struct json_patch patch;
    json_patch_init(&patch, arena, JSON_PATCH_MAX);
    json_patch_diff(&patch, before, review->subject.object);
    outcome->patch_operations = patch.count;
    if (json_patch_failed(&patch))
        return false;
    if (json_patch_is_empty(&patch))
        return true;
    struct buf text;
    buf_init(&text, arena_mem(arena), PATCH_TEXT_MAX);
    json_patch_write(&text, &patch);
    review->patch = buf_str(&text);
    return !buf_failed(&text);
}

/* True when the object was expanded. Else the outcome is set: a denial, or nothing yet. */
static bool expand(struct review *review, struct admission_outcome *outcome, bool *ret_no_memory)
{
    struct policy_object *subject = &review->subject;
    struct template_answer answer;
    enum policy_expansion expansion = policy_expand(subject, &outcome->findings, &answer);
    *ret_no_memory = expansion == POLICY_NO_MEMORY;
    if (expansion != POLICY_UNDECIDED)
        return expansion == POLICY_EXPANDED;
    if (answer.state == TEMPLATE_UNKNOWN) {
        outcome->decision = ADMISSION_UNDECIDED;
        outcome->template_name =
            json_str(json_path(subject->object, "spec", "templateRef", "name", NULL));
        return false;
    }
    /* Not the object is wrong: no 422, which would tell a client that sending it again is of no use. */
    struct str text = arena_printf(
        subject->arena, "spec.templateRef: the JobFlowTemplate could not be looked up: %" PRIstr,
        STR_ARG(answer.text));
    *ret_no_memory = !str_is_set(text);
    deny(review, 503, "ServiceUnavailable", text);
    return false;
}

/* False without memory. */
static bool judge(struct review *review, struct admission_outcome *outcome)
{
    struct policy_object *subject = &review->subject;
    bool no_memory = false;
    if (review->phase == ADMISSION_MUTATE) {
        const struct json *before = json_copy(subject->arena, subject->object);
        if (!before)
            return false;
        if (!expand(review, outcome, &no_memory))
            return !no_memory;
        if (!policy_default(subject) || !make_patch(review, before, outcome))
            return false;
    }
    policy_validate(subject, &outcome->findings);
    outcome->decision =
        err_list_is_empty(&outcome->findings.errors) ? ADMISSION_ALLOWED : ADMISSION_DENIED;
    return !outcome->findings.errors.out_of_memory && !outcome->findings.warnings.out_of_memory;
}

static int decide(struct review *review, const struct admission_world *world, struct arena *arena,
                  struct admission_outcome *outcome, struct err *err)
{
    struct json *request = review->request;
    struct str operation = outcome->operation;
    bool create = str_eq(operation, STR("CREATE")), update = str_eq(operation, STR("UPDATE"));
    outcome->decision = ADMISSION_PASSED_OVER;
    if (!create && !update && !str_eq(operation, STR("DELETE")) &&
        !str_eq(operation, STR("CONNECT")))
        return err_set(err, 400, "the operation must be CREATE, UPDATE, DELETE or CONNECT");
    if (!outcome->kind) {
        deny(review, 400, "BadRequest",
             STR("this kind is none of Callboard's; the rules of the webhook configuration must "
                 "select only Callboard's kinds"));
        return 0;
    }
    if (is_passed_over(review, operation))
        return 0;
    struct json *object = json_get(request, STR("object"));
    const struct json *before = update ? json_get(request, STR("oldObject")) : NULL;
    if (!json_is(object, JSON_OBJECT) || (update && !json_is(before, JSON_OBJECT)))
        return err_set(err, 400, "the request has no %s",
                       json_is(object, JSON_OBJECT) ? "oldObject" : "object");
    review->subject = (struct policy_object){
        .kind = outcome->kind,
        .operation = create ? POLICY_CREATE : POLICY_UPDATE,
        .object = object,
        .before = before,
        .user = outcome->user,
        .request_uid = outcome->uid,
        .namespace = outcome->namespace,
        .templates = world->templates,
        .catalog = world->catalog,
        .arena = arena,
    };
    return judge(review, outcome) ? 0 : err_no_memory(err, "judging the object");
}

/* ---- Answering ---- */

/* Written by hand, member by member: the answer is small, its form never varies, and a tree of it would
 * only be made to be thrown away. */
static void write_member(struct buf *out, const char *name, struct str text)
{
    buf_printf(out, ",\"%s\":", name);
    json_write_str(out, text);
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static void write_causes(struct buf *out, const struct err_list *errors)
{
    buf_put(out, STR(",\"causes\":["));
    for (const struct err_item *item = errors->first; item; item = item->next) {
        buf_printf(out, "%s{\"reason\":\"%s\"", item == errors->first ? "" : ",",
                   err_reason_name(item->reason));
        write_member(out, "message", item->message);
        write_member(out, "field", item->field);
        buf_put_char(out, '}');
    }
    if (errors->dropped > 0)
        buf_printf(out,
                   ",{\"reason\":\"FieldValueTooMany\",\"field\":\"\",\"message\":\"and %zu more "
                   "error%s; correct these first\"}",
                   errors->dropped, plural(errors->dropped));
    buf_put_char(out, ']');
}

/* A text that was made for the answer. Without it, for want of memory, there is none. */
static struct str finished(struct buf *out, const struct buf *text)
{
    out->failed = out->failed || buf_failed(text);
    return buf_str(text);
}

/* As errors.NewInvalid of k8s.io/apimachinery words it, for clients that show only the message. */
static struct str invalid_message(struct buf *out, const struct admission_outcome *outcome,
                                  struct arena *arena)
{
    const struct err_list *errors = &outcome->findings.errors;
    size_t listed = 0;
    struct buf text;
    buf_init(&text, arena_mem(arena), 4 * MESSAGE_LEN_MAX);
    buf_printf(&text, "%s.%s \"%" PRIstr "\" is invalid: ", outcome->kind->kind,
               outcome->kind->group, STR_ARG(outcome->name));
    for (const struct err_item *e = errors->first; e && text.len < MESSAGE_LEN_MAX; e = e->next)
        buf_printf(&text, "%s%" PRIstr ": %" PRIstr, listed++ ? "; " : "", STR_ARG(e->field),
                   STR_ARG(e->message));
    size_t found = errors->count + errors->dropped;
    if (listed < found)
        buf_printf(&text, "; and %zu more error%s", found - listed, plural(found - listed));
    return finished(out, &text);
}

static void write_denial(struct buf *out, const struct review *review,
                         const struct admission_outcome *outcome, struct arena *arena)
{
    buf_put(out, STR(",\"status\":{\"status\":\"Failure\""));
    if (review->denial_code) {
        buf_printf(out, ",\"code\":%d,\"reason\":\"%s\"", review->denial_code,
                   review->denial_reason);
        write_member(out, "message", review->denial);
        buf_put_char(out, '}');
        return;
    }
    buf_put(out, STR(",\"code\":422,\"reason\":\"Invalid\""));
    write_member(out, "message", invalid_message(out, outcome, arena));
    buf_put(out, STR(",\"details\":{\"kind\":"));
    json_write_str(out, str_from_cstr(outcome->kind->kind));
    write_member(out, "group", str_from_cstr(outcome->kind->group));
    write_member(out, "name", outcome->name);
    write_causes(out, &outcome->findings.errors);
    buf_put(out, STR("}}"));
}

static void write_warnings(struct buf *out, const struct err_list *warnings, struct arena *arena)
{
    size_t count = 0;
    for (const struct err_item *w = warnings->first; w && count < WARNINGS_MAX; w = w->next) {
        struct str text =
            arena_printf(arena, "%" PRIstr ": %" PRIstr, STR_ARG(w->field), STR_ARG(w->message));
        struct str start = utf8_cut(text, WARNING_LEN_MAX - strlen("…"));
        if (text.len > WARNING_LEN_MAX)
            text = arena_printf(arena, "%" PRIstr "…", STR_ARG(start));
        out->failed = out->failed || !str_is_set(text);
        buf_put(out, count++ ? STR(",") : STR(",\"warnings\":["));
        json_write_str(out, text);
    }
    if (count > 0)
        buf_put_char(out, ']');
}

/* What the cluster's audit log shall say of the decision. The apiserver puts the webhook's name before
 * the key, the same for both phases, so the keys differ. Values hold names of fields, never content. */
static void write_audit(struct buf *out, const struct review *review,
                        const struct admission_outcome *outcome, struct arena *arena)
{
    bool mutate = review->phase == ADMISSION_MUTATE;
    const struct err_list *errors = &outcome->findings.errors;
    struct buf text;
    buf_init(&text, arena_mem(arena), 1024);
    if (outcome->decision == ADMISSION_DENIED) {
        size_t found = errors->count + errors->dropped;
        buf_printf(&text, "denied, %zu error%s:", found, plural(found));
        for (const struct err_item *e = errors->first; e && text.len < 768; e = e->next) {
            /* A key of a map can be long; the number of errors says that some are missing. */
            if (e->field.len < 200)
                buf_printf(&text, " %" PRIstr, STR_ARG(e->field));
        }
    } else if (mutate) {
        buf_printf(&text, "allowed, %zu change%s", outcome->patch_operations,
                   plural(outcome->patch_operations));
    } else {
        buf_put(&text, STR("allowed"));
    }
    buf_printf(out, ",\"auditAnnotations\":{\"%s\":", mutate ? "mutation" : "validation");
    json_write_str(out, finished(out, &text));
    if (mutate && outcome->decision == ADMISSION_ALLOWED &&
        review->subject.operation == POLICY_CREATE)
        write_member(out, "correlation-id", outcome->uid);
    buf_put_char(out, '}');
}

static void write_answer(struct buf *out, const struct review *review,
                         const struct admission_outcome *outcome, struct arena *arena)
{
    bool denied = outcome->decision == ADMISSION_DENIED;
    buf_put(out, STR("{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
                     "\"response\":{\"uid\":"));
    json_write_str(out, outcome->uid);
    buf_printf(out, ",\"allowed\":%s", denied ? "false" : "true");
    if (denied) {
        write_denial(out, review, outcome, arena);
    } else if (str_is_set(review->patch)) {
        buf_put(out, STR(",\"patchType\":\"JSONPatch\",\"patch\":\""));
        base64_write(out, review->patch);
        buf_put_char(out, '"');
    }
    write_warnings(out, &outcome->findings.warnings, arena);
    if (outcome->decision != ADMISSION_PASSED_OVER && !review->denial_code)
        write_audit(out, review, outcome, arena);
    buf_put(out, STR("}}"));
}

int admission_answer(enum admission_phase phase, struct str body,
                     const struct admission_world *world, struct arena *arena, struct buf *out,
                     struct admission_outcome *outcome, struct err *err)
{
    struct review review = {.phase = phase};
    *outcome = (struct admission_outcome){0};
    policy_findings_init(&outcome->findings, arena);
    if (read_request(&review, body, arena, err) < 0)
        return -1;
    describe(&review, outcome);
    if (decide(&review, world, arena, outcome, err) < 0)
        return -1;
    if (outcome->decision == ADMISSION_UNDECIDED)
        return 0;
    if (review.denial_code)
        outcome->decision = ADMISSION_DENIED;
    write_answer(out, &review, outcome, arena);
    if (buf_failed(out))
        return err_no_memory(err, "writing the answer");
    return 0;
}
