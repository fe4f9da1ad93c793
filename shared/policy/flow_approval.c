/* Approvals of Manual steps: annotations, and who set them. */
#include "policy/jobflow.h"

#include "policy/flow.h"
#include "policy/report.h"

/* As many as the schema allows any object; together with it, what is done here is bounded. */
enum { ANNOTATIONS_MAX = SCHEMA_MAX_ENTRIES, SHOWN_MAX = 64 };

static const struct str approve = STR_INIT(ANNOTATION_APPROVE);
static const struct str approved_by = STR_INIT(ANNOTATION_APPROVED_BY);

static struct json *annotations_of(const struct json *object)
{
    return json_path(object, "metadata", "annotations", NULL);
}

static bool is_approval(const struct json *annotation)
{
    return str_starts_with(json_key(annotation), approve);
}

/* The step of an approval. */
static struct str step_of(const struct json *annotation)
{
    return str_sub(json_key(annotation), approve.len, json_key(annotation).len);
}

static struct str key_of_approver(const struct json *approval, struct arena *arena)
{
    return arena_printf(arena, ANNOTATION_APPROVED_BY "%" PRIstr, STR_ARG(step_of(approval)));
}

static bool is_unchanged(const struct policy_object *subject, const struct json *approval)
{
    const struct json *old = json_get(annotations_of(subject->before), json_key(approval));
    return old && json_equal(old, approval);
}

/*
 * Who set the approval: the asking user when it is new or another one, else who was written down then.
 * Absent when nobody was: naming the next one who touches the flow would be wrong.
 */
static struct str approver_of(const struct policy_object *subject, const struct json *approval,
                              struct str key)
{
    if (is_unchanged(subject, approval))
        return json_str(json_get(annotations_of(subject->before), key));
    return subject->user;
}

/* ---- Writing who approved ---- */

/* What stands there was sent by somebody: it may say that a person approved who did not. */
static bool remove_approvers(struct json *annotations, struct arena *arena)
{
    struct str *keys = ARENA_NEW_ARRAY(arena, struct str, annotations->len);
    size_t count = 0;
    if (!keys)
        return false;
    JSON_EACH (annotation, annotations) {
        if (str_starts_with(json_key(annotation), approved_by))
            keys[count++] = json_key(annotation);
    }
    for (size_t i = 0; i < count; i++)
        json_remove(annotations, keys[i]);
    return true;
}

static bool write_approver(struct policy_object *subject, struct json *annotations,
                           const struct json *approval)
{
    struct str key = key_of_approver(approval, subject->arena);
    if (!str_is_set(key))
        return false;
    struct str who = approver_of(subject, approval, key);
    return !str_is_set(who) || json_set(annotations, key, json_new_str(subject->arena, who));
}

bool jobflow_default(struct policy_object *subject)
{
    struct json *annotations = annotations_of(subject->object);
    if (!json_is(annotations, JSON_OBJECT) || annotations->len > ANNOTATIONS_MAX)
        return true;
    if (!remove_approvers(annotations, subject->arena))
        return false;
    /* What is added here goes to the end: those that were there first are looked at. */
    size_t count = annotations->len;
    const struct json *annotation = json_first(annotations);
    for (size_t i = 0; i < count; i++, annotation = annotation->next) {
        if (is_approval(annotation) && !write_approver(subject, annotations, annotation))
            return false;
    }
    return true;
}

/* ---- Checking ---- */

struct str flow_decided_step(const struct policy_object *subject)
{
    JSON_EACH (annotation, annotations_of(subject->object)) {
        if (is_approval(annotation) && is_unchanged(subject, annotation))
            return step_of(annotation);
    }
    return (struct str){NULL, 0};
}

/* A flow of more steps than it may have is refused whatever is found here. */
static bool has_manual_step(const struct policy_object *subject, struct str name)
{
    size_t left = subject->max_steps ? subject->max_steps : JOBFLOW_STEPS_MAX;
    const struct json *step = json_first(json_path(subject->object, "spec", "steps", NULL));
    for (; step && left > 0; step = step->next, left--) {
        if (str_eq(json_str(json_get(step, STR("name"))), name))
            return str_eq(json_str(json_get(step, STR("type"))), STR("Manual"));
    }
    return false;
}

static void check_approval(const struct policy_object *subject, const struct json *approval,
                           struct err_list *errors)
{
    struct str value = json_str(approval), step = step_of(approval);
    if (!has_manual_step(subject, step))
        report(errors, subject->object, "metadata.annotations", json_key(approval), ERR_NOT_FOUND,
               "Not found: the flow has no Manual step \"%" PRIstr "\"", STR_ARG(step));
    else if (!str_eq(value, STR("true")) && !str_eq(value, STR("false")))
        report(errors, subject->object, "metadata.annotations", json_key(approval),
               ERR_NOT_SUPPORTED,
               "Unsupported value: \"%" PRIstr "\": \"true\" approves, \"false\" rejects",
               STR_ARG(str_sub(value, 0, SHOWN_MAX)));
}

/* Another mutating webhook may have run after ours. */
static void check_approver(const struct policy_object *subject, const struct json *annotation,
                           struct err_list *errors)
{
    const struct json *annotations = annotations_of(subject->object);
    bool names_one = str_starts_with(json_key(annotation), approved_by);
    struct str key = json_key(annotation), right = {NULL, 0};
    if (names_one) {
        struct str step = str_sub(key, approved_by.len, key.len);
        struct str approval_key =
            arena_printf(subject->arena, ANNOTATION_APPROVE "%" PRIstr, STR_ARG(step));
        const struct json *approval = json_get(annotations, approval_key);
        right = approval ? approver_of(subject, approval, key) : right;
        errors->out_of_memory = errors->out_of_memory || !str_is_set(approval_key);
    } else {
        key = key_of_approver(annotation, subject->arena);
        right = approver_of(subject, annotation, key);
        errors->out_of_memory = errors->out_of_memory || !str_is_set(key);
    }
    struct str found = json_str(json_get(annotations, key));
    if (str_is_set(found) != str_is_set(right) || !str_eq(found, right))
        report(errors, subject->object, "metadata.annotations", key, ERR_FORBIDDEN,
               "Forbidden: who approved is written by Callboard only");
}

void jobflow_check_metadata(const struct policy_object *subject, struct err_list *errors)
{
    const struct json *annotations = annotations_of(subject->object);
    if (json_is(annotations, JSON_OBJECT) && annotations->len > ANNOTATIONS_MAX) {
        report(errors, subject->object, "metadata.annotations", (struct str){NULL, 0}, ERR_TOO_MANY,
               "Too many: %u: a flow may have at most %d annotations", annotations->len,
               ANNOTATIONS_MAX);
        return;
    }
    JSON_EACH (annotation, annotations) {
        bool approval = is_approval(annotation);
        if (approval && !is_unchanged(subject, annotation))
            check_approval(subject, annotation, errors);
        if (!subject->is_offline &&
            (approval || str_starts_with(json_key(annotation), approved_by)))
            check_approver(subject, annotation, errors);
    }
}
