/* Making flows from templates. */
#include "policy/flow_expand.h"

#include "base/utf8.h"
#include "policy/flow.h"
#include "policy/report.h"

#define NO_KEY ((struct str){NULL, 0})

enum { VALUE_SHOWN_MAX = 64, CHOICES_SHOWN_MAX = 10, DESCRIPTION_SHOWN_MAX = 160 };

/* What a flow has from its template and never of its own. */
static const struct str made_members[] = {
    STR_INIT("steps"),
    STR_INIT("finally"),
    STR_INIT("resourceTemplates"),
};
enum { MADE_COUNT = sizeof(made_members) / sizeof(made_members[0]) };

struct expansion {
    struct policy_object *subject;
    struct err_list *errors;
    const struct json *ref;  /* spec.templateRef */
    struct str name;         /* of the template */
    struct json *spec;       /* of the flow */
    const struct json *from; /* the template's spec, or that of the stored flow */
    bool failed;             /* an error was found, here or by the schema later */
};

/* As everywhere, null counts as absent. */
static const struct json *given(const struct json *object, struct str key)
{
    const struct json *value = json_get(object, key);
    return value && value->type != JSON_NULL ? value : NULL;
}

static bool same(const struct json *a, const struct json *b)
{
    return (!a && !b) || (a && b && json_equal(a, b));
}

/* What comes from elsewhere has no line of its own in the flow's document. */
static void set_lines(struct json *value, uint32_t line)
{
    value->line = line;
    JSON_EACH (child, value) {
        set_lines(child, line);
    }
}

/* Puts a copy in; false without memory. */
static bool put(const struct expansion *x, struct json *object, struct str key,
                const struct json *value)
{
    struct json *copy = json_copy(x->subject->arena, value);
    if (!copy)
        return false;
    set_lines(copy, x->ref->line);
    return json_set(object, key, copy);
}

/* ---- Parameters ---- */

static void refuse_parameter(struct expansion *x, size_t index, const char *member,
                             const struct json *at, enum err_reason reason, struct str message)
{
    struct path spec = path_field(NULL, STR("spec"));
    struct path list = path_field(&spec, STR("parameters")), entry = path_index(&list, index);
    struct path path = path_field(&entry, str_from_cstr(member));
    x->failed = true;
    if (str_is_set(message))
        err_list_add(x->errors, &path, at->line, reason, "%" PRIstr, STR_ARG(message));
    else
        x->errors->out_of_memory = true;
}

/* "a", "b", "c" and 3 more */
static struct str print_choices(const struct expansion *x, const struct json *choices)
{
    struct buf text;
    buf_init(&text, arena_mem(x->subject->arena), 16 * 1024);
    size_t shown = 0;
    JSON_EACH (choice, choices) {
        if (shown == CHOICES_SHOWN_MAX)
            break;
        struct str value = utf8_cut(json_str(choice), VALUE_SHOWN_MAX);
        buf_printf(&text, "%s\"%" PRIstr "\"", shown++ ? ", " : "", STR_ARG(value));
    }
    if (choices->len > shown)
        buf_printf(&text, " and %zu more", choices->len - shown);
    return buf_failed(&text) ? NO_KEY : buf_str(&text);
}

static void refuse_unknown(struct expansion *x, size_t index, const struct json *name)
{
    struct str near = flow_nearest_named(given(x->from, STR("parameters")), json_str(name));
    refuse_parameter(
        x, index, "name", name, ERR_NOT_FOUND,
        arena_printf(x->subject->arena,
                     "Not found: the JobFlowTemplate \"%" PRIstr "\" has no parameter \"%" PRIstr
                     "\"%s%" PRIstr "%s",
                     STR_ARG(x->name), STR_ARG(json_str(name)), near.ptr ? "; did you mean \"" : "",
                     STR_ARG(near), near.ptr ? "\"?" : ""));
}

static void refuse_choice(struct expansion *x, size_t index, const struct json *entry,
                          const struct json *choices)
{
    const struct json *value = json_get(entry, STR("value"));
    struct str text = print_choices(x, choices);
    if (str_is_set(text))
        text = arena_printf(x->subject->arena,
                            "Unsupported value: \"%" PRIstr "\": the JobFlowTemplate \"%" PRIstr
                            "\" allows for \"%" PRIstr "\": %" PRIstr,
                            STR_ARG(utf8_cut(json_str(value), VALUE_SHOWN_MAX)), STR_ARG(x->name),
                            STR_ARG(json_str(json_get(entry, STR("name")))), STR_ARG(text));
    refuse_parameter(x, index, "value", value, ERR_NOT_SUPPORTED, text);
}

/* A value that the flow gives. What is of a wrong form is left to the schema, which has the words. */
static void check_value(struct expansion *x, size_t index, const struct json *entry)
{
    const struct json *name = json_get(entry, STR("name")), *value = json_get(entry, STR("value"));
    const struct json *list = json_get(x->spec, STR("parameters"));
    if (!json_is(name, JSON_STRING) || !json_is(value, JSON_STRING) ||
        flow_find_named(list, json_str(name)) != entry) {
        x->failed = true;
        return;
    }
    const struct json *declared =
        flow_find_named(given(x->from, STR("parameters")), json_str(name));
    const struct json *choices = given(declared, STR("enum"));
    if (!declared)
        refuse_unknown(x, index, name);
    else if (choices && !flow_is_among(choices, value))
        refuse_choice(x, index, entry, choices);
}

static void require_value(struct expansion *x, const struct json *declared)
{
    struct path spec = path_field(NULL, STR("spec"));
    struct path list = path_field(&spec, STR("parameters"));
    struct str text =
        utf8_cut(json_str(json_get(declared, STR("description"))), DESCRIPTION_SHOWN_MAX);
    x->failed = true;
    err_list_add(x->errors, &list, x->ref->line, ERR_REQUIRED,
                 "Required value: the JobFlowTemplate \"%" PRIstr
                 "\" needs a value for the parameter \"%" PRIstr "\"%s%" PRIstr,
                 STR_ARG(x->name), STR_ARG(json_str(json_get(declared, STR("name")))),
                 text.len ? ": " : "", STR_ARG(text));
}

/* Whether what a flow gives may be compared with what there is, entry by entry. The schema, which is asked
 * later, has the words for what is wrong. */
static bool is_sound_list(const struct json *values)
{
    return !values || (values->type == JSON_ARRAY && values->len <= JOBFLOW_PARAMETERS_MAX);
}

static void check_parameters(struct expansion *x)
{
    const struct json *values = given(x->spec, STR("parameters"));
    if (!is_sound_list(values)) {
        x->failed = true;
        return;
    }
    size_t index = 0;
    JSON_EACH (entry, values) {
        check_value(x, index++, entry);
    }
    JSON_EACH (declared, given(x->from, STR("parameters"))) {
        struct str name = json_str(json_get(declared, STR("name")));
        if (!given(declared, STR("default")) && !flow_find_named(values, name))
            require_value(x, declared);
    }
}

/* All parameters in the template's order, each with its value. */
static bool put_parameters(const struct expansion *x)
{
    struct arena *arena = x->subject->arena;
    const struct json *declared = given(x->from, STR("parameters"));
    const struct json *values = given(x->spec, STR("parameters"));
    if (!declared)
        return true;
    struct json *list = json_new(arena, JSON_ARRAY);
    JSON_EACH (parameter, declared) {
        struct str name = json_str(json_get(parameter, STR("name")));
        const struct json *own = flow_find_named(values, name);
        const struct json *value = own ? json_get(own, STR("value")) : NULL;
        struct json *entry = json_new(arena, JSON_OBJECT);
        if (!value)
            value = json_get(parameter, STR("default"));
        if (!entry || !json_set(entry, STR("name"), json_new_str(arena, name)) ||
            !json_set(entry, STR("value"), json_new_str(arena, json_str(value))) ||
            !json_append(list, entry))
            return false;
        set_lines(entry, own ? own->line : x->ref->line);
    }
    return json_set(x->spec, STR("parameters"), list);
}

/* ---- CREATE: from the template ---- */

static void check_members(struct expansion *x)
{
    for (size_t i = 0; i < MADE_COUNT; i++) {
        const struct json *own = given(x->spec, made_members[i]);
        /* The same once more: /mutate may be called again, and a flow that was read back may be created
         * elsewhere. */
        if (!own || same(own, given(x->from, made_members[i])))
            continue;
        x->failed = true;
        report(x->errors, x->subject->object, "spec", made_members[i], ERR_FORBIDDEN,
               "Forbidden: they come from the JobFlowTemplate \"%" PRIstr
               "\"; remove them, or remove templateRef",
               STR_ARG(x->name));
    }
}

static bool put_policy(const struct expansion *x)
{
    static const struct str key = STR_INIT("executionPolicy");
    const struct json *own = given(x->spec, key), *theirs = given(x->from, key);
    if (!theirs || (own && own->type != JSON_OBJECT))
        return true;
    struct json *merged = json_copy(x->subject->arena, theirs);
    if (!merged)
        return false;
    set_lines(merged, x->ref->line);
    JSON_EACH (member, own) {
        if (member->type != JSON_NULL &&
            !json_set(merged, json_key(member), json_copy(x->subject->arena, member)))
            return false;
    }
    return json_set(x->spec, key, merged);
}

static bool make(const struct expansion *x)
{
    for (size_t i = 0; i < MADE_COUNT; i++) {
        const struct json *theirs = given(x->from, made_members[i]);
        if (theirs && !put(x, x->spec, made_members[i], theirs))
            return false;
    }
    return put_policy(x) && put_parameters(x);
}

static void refuse_missing(const struct expansion *x, const struct template_answer *answer)
{
    report(x->errors, x->subject->object, "spec.templateRef.name", NO_KEY, ERR_NOT_FOUND,
           "Not found: the namespace \"%" PRIstr "\" has no JobFlowTemplate \"%" PRIstr
           "\"%s%" PRIstr "%s%s%" PRIstr,
           STR_ARG(x->subject->namespace), STR_ARG(x->name),
           answer->near.ptr ? "; did you mean \"" : "", STR_ARG(answer->near),
           answer->near.ptr ? "\"?" : "", answer->text.ptr ? "; " : "", STR_ARG(answer->text));
}

/* With its defaults, which one that lint reads, or that was stored by an earlier version, lacks. */
static bool use_template(struct expansion *x, const struct json *template)
{
    struct json *spec = json_copy(x->subject->arena, json_get(template, STR("spec")));
    x->from = spec;
    return spec && schema_default(schema_field(jobflow_template_kind.schema, STR("spec")), spec,
                                  x->subject->arena);
}

static enum policy_expansion create(struct expansion *x, struct template_answer *ret_answer)
{
    struct policy_object *subject = x->subject;
    const struct template_source *source = subject->templates;
    source->find(source->ctx, subject->namespace, x->name, ret_answer);
    if (ret_answer->state == TEMPLATE_MISSING)
        refuse_missing(x, ret_answer);
    if (ret_answer->state != TEMPLATE_FOUND)
        return ret_answer->state == TEMPLATE_MISSING ? POLICY_EXPANDED : POLICY_UNDECIDED;
    if (!use_template(x, ret_answer->object))
        return POLICY_NO_MEMORY;
    check_members(x);
    check_parameters(x);
    if (x->failed)
        return POLICY_EXPANDED;
    int64_t generation;
    if (json_int64(json_path(ret_answer->object, "metadata", "generation", NULL), &generation)) {
        subject->template_generation = arena_printf(subject->arena, "%lld", (long long)generation);
        if (!str_is_set(subject->template_generation))
            return POLICY_NO_MEMORY;
    }
    subject->template_name = x->name;
    return make(x) ? POLICY_EXPANDED : POLICY_NO_MEMORY;
}

/* ---- UPDATE: from what is stored ---- */

const struct json *flow_stored_spec(const struct policy_object *subject)
{
    struct json *spec = json_copy(subject->arena, json_get(subject->before, STR("spec")));
    const struct schema *schema = schema_field(subject->kind->schema, STR("spec"));
    return spec && schema_default(schema, spec, subject->arena) ? spec : NULL;
}

/* As it is stored, or completed since. False without memory. */
static bool is_stored(const struct expansion *x, const struct json *own, struct str member,
                      bool *ret_same)
{
    *ret_same = same(own, given(x->from, member));
    if (*ret_same)
        return true;
    const struct json *today = flow_stored_spec(x->subject);
    *ret_same = same(own, given(today, member));
    return today != NULL;
}

static bool restore_members(const struct expansion *x)
{
    for (size_t i = 0; i < MADE_COUNT; i++) {
        const struct json *own = given(x->spec, made_members[i]);
        const struct json *stored = given(x->from, made_members[i]);
        bool is_same = false;
        if (own && !is_stored(x, own, made_members[i], &is_same))
            return false;
        if (is_same)
            continue;
        if (own)
            report(x->errors, x->subject->object, "spec", made_members[i], ERR_FORBIDDEN,
                   "Forbidden: the flow was made from the JobFlowTemplate \"%" PRIstr
                   "\" and keeps what it had then; create another flow",
                   STR_ARG(x->name));
        if (stored && !put(x, x->spec, made_members[i], stored))
            return false;
    }
    return true;
}

/* False when it is of a wrong form, which the schema will say. */
static bool check_stored_value(struct expansion *x, size_t index, const struct json *entry)
{
    const struct json *name = json_get(entry, STR("name")), *value = json_get(entry, STR("value"));
    const struct json *list = json_get(x->spec, STR("parameters"));
    if (!json_is(name, JSON_STRING) || !json_is(value, JSON_STRING) ||
        flow_find_named(list, json_str(name)) != entry)
        return false;
    const struct json *stored = flow_find_named(given(x->from, STR("parameters")), json_str(name));
    if (!stored)
        refuse_unknown(x, index, name);
    else if (!json_equal(value, json_get(stored, STR("value"))))
        refuse_parameter(x, index, "value", value, ERR_FORBIDDEN,
                         arena_printf(x->subject->arena,
                                      "Forbidden: the flow was made with another value of "
                                      "\"%" PRIstr "\"; create another flow",
                                      STR_ARG(json_str(name))));
    return true;
}

static bool restore_parameters(struct expansion *x)
{
    const struct json *values = given(x->spec, STR("parameters"));
    const struct json *stored = given(x->from, STR("parameters"));
    bool is_sound = is_sound_list(values);
    size_t index = 0;
    JSON_EACH (entry, is_sound ? values : NULL) {
        is_sound = check_stored_value(x, index++, entry) && is_sound;
    }
    return !is_sound || !stored || put(x, x->spec, STR("parameters"), stored);
}

static bool restore_policy(const struct expansion *x)
{
    static const struct str key = STR_INIT("executionPolicy");
    struct json *own = json_get(x->spec, key);
    if (!own || own->type == JSON_NULL) {
        own = json_new(x->subject->arena, JSON_OBJECT);
        if (!json_set(x->spec, key, own))
            return false;
    }
    if (own->type != JSON_OBJECT)
        return true;
    JSON_EACH (stored, given(x->from, key)) {
        if (!flow_may_change(json_key(stored)) && !given(own, json_key(stored)) &&
            !put(x, own, json_key(stored), stored))
            return false;
    }
    return true;
}

static enum policy_expansion restore(struct expansion *x)
{
    x->subject->template_name = x->name;
    bool good = restore_members(x) && restore_parameters(x) && restore_policy(x);
    return good ? POLICY_EXPANDED : POLICY_NO_MEMORY;
}

/* ---- Entry ---- */

enum policy_expansion flow_expand(struct policy_object *subject, struct err_list *errors,
                                  struct template_answer *ret_answer)
{
    struct expansion x = {
        .subject = subject,
        .errors = errors,
        .spec = json_get(subject->object, STR("spec")),
    };
    x.ref = given(x.spec, STR("templateRef"));
    x.name = json_str(json_get(x.ref, STR("name")));
    if (x.name.len == 0 || !format_is_valid(FORMAT_DNS_SUBDOMAIN, x.name))
        return POLICY_EXPANDED;
    if (subject->operation == POLICY_CREATE)
        return create(&x, ret_answer);
    x.from = json_get(subject->before, STR("spec"));
    return same(x.ref, given(x.from, STR("templateRef"))) ? restore(&x) : POLICY_EXPANDED;
}

/* ---- Checking at UPDATE ---- */

static const struct json *stored_ref(const struct policy_object *subject)
{
    return given(json_get(subject->before, STR("spec")), STR("templateRef"));
}

bool flow_is_made(const struct policy_object *subject, struct str member)
{
    if (!stored_ref(subject))
        return false;
    for (size_t i = 0; i < MADE_COUNT; i++) {
        if (str_eq(member, made_members[i]))
            return true;
    }
    return str_eq(member, STR("parameters")) || str_eq(member, STR("templateRef"));
}

void flow_check_expanded(const struct policy_object *subject, const struct json *before,
                         struct err_list *errors)
{
    const struct json *after = json_get(subject->object, STR("spec"));
    const struct json *ref = stored_ref(subject);
    if (!same(given(after, STR("templateRef")), ref)) {
        report(errors, subject->object, "spec", STR("templateRef"), ERR_FORBIDDEN,
               "Forbidden: it says what the flow was made from when it was created and cannot be "
               "added, changed or removed; create another flow");
        return;
    }
    /* After flow_expand() nothing of this is left, but another webhook may have come after ours. */
    JSON_EACH (member, before) {
        if (flow_is_made(subject, json_key(member)) &&
            !same(given(after, json_key(member)), given(before, json_key(member))))
            report(errors, subject->object, "spec", json_key(member), ERR_FORBIDDEN,
                   "Forbidden: it came from the flow's JobFlowTemplate when the flow was created");
    }
}

/* ---- Naming the template ---- */

static bool is_from_template(struct str field)
{
    return str_starts_with(field, STR("spec.steps")) ||
           str_starts_with(field, STR("spec.finally")) ||
           str_starts_with(field, STR("spec.resourceTemplates"));
}

void flow_name_template(const struct policy_object *subject, struct err_list *errors)
{
    if (!str_is_set(subject->template_name))
        return;
    for (struct err_item *item = errors->first; item; item = item->next) {
        if (!is_from_template(item->field))
            continue;
        struct str text =
            arena_printf(subject->arena, "%" PRIstr " (from the JobFlowTemplate \"%" PRIstr "\")",
                         STR_ARG(item->message), STR_ARG(subject->template_name));
        if (str_is_set(text))
            item->message = text;
        else
            errors->out_of_memory = true;
    }
}
