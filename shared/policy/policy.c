/* Judging objects: what is the same for all kinds, and which rules belong to which kind. */
#include "policy/policy.h"

#include "policy/flow_expand.h"
#include "policy/jobflow.h"
#include "policy/performer.h"
#include "policy/report.h"
#include "types/jobflow.h"
#include "types/performer.h"

struct kind_rules {
    const struct kind *kind;
    /* Of the spec; may be NULL. */
    bool (*set_defaults)(struct policy_object *subject);
    /* Of metadata beyond what all kinds have; may be NULL. */
    bool (*set_metadata)(struct policy_object *subject);
    void (*check_metadata)(const struct policy_object *subject, struct err_list *errors);
    void (*validate)(const struct policy_object *subject, struct policy_findings *findings);
};

static const struct kind_rules all_rules[] = {
    {&performer_kind, performer_default, NULL, NULL, performer_validate},
    {&jobflow_kind, NULL, jobflow_default, jobflow_check_metadata, jobflow_validate},
    {&jobflow_template_kind, NULL, NULL, NULL, jobflow_template_validate},
};

static const struct kind_rules *rules_of(const struct kind *kind)
{
    for (size_t i = 0; i < sizeof(all_rules) / sizeof(all_rules[0]); i++) {
        if (all_rules[i].kind == kind)
            return &all_rules[i];
    }
    return NULL;
}

void policy_findings_init(struct policy_findings *findings, struct arena *arena)
{
    err_list_init(&findings->errors, arena, ERR_LIST_MAX);
    err_list_init(&findings->warnings, arena, ERR_LIST_MAX);
}

enum policy_expansion policy_expand(struct policy_object *subject, struct policy_findings *findings,
                                    struct template_answer *ret_answer)
{
    if (subject->kind != &jobflow_kind)
        return POLICY_EXPANDED;
    return flow_expand(subject, &findings->errors, ret_answer);
}

/* ---- Metadata that the webhook writes ---- */

static const struct str guarded_annotations[] = {
    STR_INIT(ANNOTATION_INITIATED_BY),
    STR_INIT(ANNOTATION_CORRELATION_ID),
    STR_INIT(ANNOTATION_TEMPLATE_GENERATION),
};
enum { GUARDED_COUNT = sizeof(guarded_annotations) / sizeof(guarded_annotations[0]) };

/* The member as an object, made when it is absent; NULL when it is something else or without memory. */
static struct json *child_object(struct json *parent, struct str name, struct arena *arena)
{
    struct json *child = json_get(parent, name);
    if (child && child->type != JSON_NULL)
        return child->type == JSON_OBJECT ? child : NULL;
    child = json_new(arena, JSON_OBJECT);
    return json_set(parent, name, child) ? child : NULL;
}

static struct str guarded_value(const struct policy_object *subject, size_t index)
{
    if (subject->operation == POLICY_UPDATE)
        return json_str(json_get(json_path(subject->before, "metadata", "annotations", NULL),
                                 guarded_annotations[index]));
    const struct str values[GUARDED_COUNT] = {subject->user, subject->request_uid,
                                              subject->template_generation};
    return values[index];
}

static bool guard_annotations(struct policy_object *subject, struct json *metadata)
{
    for (size_t i = 0; i < GUARDED_COUNT; i++) {
        struct str value = guarded_value(subject, i);
        if (!str_is_set(value)) {
            json_remove(json_get(metadata, STR("annotations")), guarded_annotations[i]);
            continue;
        }
        struct json *annotations = child_object(metadata, STR("annotations"), subject->arena);
        if (!annotations ||
            !json_set(annotations, guarded_annotations[i], json_new_str(subject->arena, value)))
            return false;
    }
    return true;
}

static bool add_finalizer(struct policy_object *subject, struct json *metadata)
{
    struct str finalizer = str_from_cstr(subject->kind->finalizer);
    struct json *list = json_get(metadata, STR("finalizers"));
    if (list && list->type != JSON_ARRAY && list->type != JSON_NULL)
        return true; /* reported by policy_validate() */
    JSON_EACH (entry, list) {
        if (str_eq(json_str(entry), finalizer))
            return true;
    }
    if (!json_is(list, JSON_ARRAY)) {
        list = json_new(subject->arena, JSON_ARRAY);
        if (!json_set(metadata, STR("finalizers"), list))
            return false;
    }
    return json_append(list, json_new_str(subject->arena, finalizer));
}

/* Offline there is nobody to write for, and the finalizer is not the user's affair. */
static bool default_metadata(struct policy_object *subject)
{
    struct json *metadata = json_get(subject->object, STR("metadata"));
    if (subject->is_offline || !json_is(metadata, JSON_OBJECT))
        return true;
    const struct json *annotations = json_get(metadata, STR("annotations"));
    if (annotations && annotations->type != JSON_OBJECT && annotations->type != JSON_NULL)
        return true; /* reported by policy_validate() */
    bool create = subject->operation == POLICY_CREATE;
    const struct kind_rules *rules = rules_of(subject->kind);
    return guard_annotations(subject, metadata) &&
           (!rules || !rules->set_metadata || rules->set_metadata(subject)) &&
           (!create || !subject->kind->finalizer || add_finalizer(subject, metadata));
}

/* An update that leaves the spec alone is not refused for what was stored before a rule existed, nor
 * does it complete that, so that labels, annotations and finalizers can always be changed. */
static bool spec_is_unchanged(const struct policy_object *subject)
{
    return subject->operation == POLICY_UPDATE &&
           json_equal(json_get(subject->before, STR("spec")),
                      json_get(subject->object, STR("spec")));
}

static bool default_spec(struct policy_object *subject)
{
    const struct kind_rules *rules = rules_of(subject->kind);
    return schema_default(subject->kind->schema, subject->object, subject->arena) &&
           (!rules || !rules->set_defaults || rules->set_defaults(subject));
}

bool policy_default(struct policy_object *subject)
{
    return (spec_is_unchanged(subject) || default_spec(subject)) && default_metadata(subject);
}

/* ---- Validation ---- */

/* The apiserver completes the prefix only after /mutate, and lint never sees the whole name. */
static void check_prefix(const struct policy_object *subject, struct str prefix,
                         struct err_list *errors)
{
    const struct kind *kind = subject->kind;
    static const struct str added = STR_INIT("aaaaa"); /* as many as it adds (names/generate.go) */
    struct str no_key = {NULL, 0};
    if (prefix.len + added.len > kind->max_name_len) {
        report(errors, subject->object, "metadata.generateName", no_key, ERR_TOO_LONG,
               "Too long: it has %zu bytes and may have at most %zu, because the name made from "
               "it and the names of its children must fit",
               prefix.len, kind->max_name_len - added.len);
        return;
    }
    struct str name =
        arena_printf(subject->arena, "%" PRIstr "%" PRIstr, STR_ARG(prefix), STR_ARG(added));
    if (!str_is_set(name))
        errors->out_of_memory = true;
    else if (!format_is_valid(kind->name_format, name))
        report(errors, subject->object, "metadata.generateName", no_key, ERR_INVALID,
               "Invalid value: \"%" PRIstr "\": the name made from it %s", STR_ARG(prefix),
               format_get(kind->name_format)->rule);
}

static void check_name(const struct policy_object *subject, struct err_list *errors)
{
    const struct kind *kind = subject->kind;
    const struct json *metadata = json_get(subject->object, STR("metadata"));
    struct str name = json_str(json_get(metadata, STR("name")));
    struct str prefix = json_str(json_get(metadata, STR("generateName")));
    struct str no_key = {NULL, 0};
    if (name.len == 0 && prefix.len == 0)
        report(errors, subject->object, "metadata.name", no_key, ERR_REQUIRED,
               "Required value: the object needs a name or a generateName");
    else if (name.len == 0)
        check_prefix(subject, prefix, errors);
    else if (name.len > kind->max_name_len)
        report(errors, subject->object, "metadata.name", no_key, ERR_TOO_LONG,
               "Too long: it has %zu bytes and may have at most %zu, because the names of its "
               "children are made from it",
               name.len, kind->max_name_len);
    else if (!format_is_valid(kind->name_format, name))
        report(errors, subject->object, "metadata.name", no_key, ERR_INVALID,
               "Invalid value: \"%" PRIstr "\": %s", STR_ARG(name),
               format_get(kind->name_format)->rule);
}

/* Another mutating webhook may have run after ours. */
static void check_guarded(const struct policy_object *subject, struct err_list *errors)
{
    const struct json *annotations = json_path(subject->object, "metadata", "annotations", NULL);
    for (size_t i = 0; i < GUARDED_COUNT; i++) {
        struct str found = json_str(json_get(annotations, guarded_annotations[i]));
        bool known = subject->operation == POLICY_UPDATE || i == 0;
        if (!known || (subject->operation == POLICY_CREATE && !str_is_set(found)))
            continue;
        struct str right = guarded_value(subject, i);
        if (str_is_set(found) != str_is_set(right) || !str_eq(found, right))
            report(errors, subject->object, "metadata.annotations", guarded_annotations[i],
                   ERR_FORBIDDEN, "Forbidden: the annotation is written by Callboard only");
    }
}

static void move_all(struct err_list *to, struct err_list *from)
{
    *to->last = from->first;
    if (from->first)
        to->last = from->last;
    to->count += from->count;
    to->dropped += from->dropped;
    to->out_of_memory = to->out_of_memory || from->out_of_memory;
}

static void validate_spec(const struct policy_object *subject, struct policy_findings *findings)
{
    enum schema_option unknown =
        subject->is_offline ? SCHEMA_UNKNOWN_REFUSED : SCHEMA_UNKNOWN_IGNORED;
    schema_validate(subject->kind->schema, subject->object, unknown, NULL, &findings->errors);
    const struct kind_rules *rules = rules_of(subject->kind);
    if (rules && report_leaves_rules(&findings->errors))
        rules->validate(subject, findings);
    if (subject->operation == POLICY_UPDATE)
        schema_check_immutable(subject->kind->schema, subject->before, subject->object, NULL,
                               &findings->errors);
}

void policy_validate(const struct policy_object *subject, struct policy_findings *findings)
{
    /* A name that was stored before the rule existed can only be lived with. */
    bool create = subject->operation == POLICY_CREATE;
    check_name(subject, create ? &findings->errors : &findings->warnings);
    if (!subject->is_offline)
        check_guarded(subject, &findings->errors);
    const struct kind_rules *rules = rules_of(subject->kind);
    if (rules && rules->check_metadata)
        rules->check_metadata(subject, &findings->errors);
    if (!spec_is_unchanged(subject)) {
        validate_spec(subject, findings);
        return;
    }
    struct policy_findings stored;
    policy_findings_init(&stored, subject->arena);
    validate_spec(subject, &stored);
    move_all(&findings->warnings, &stored.errors);
    move_all(&findings->warnings, &stored.warnings);
}
