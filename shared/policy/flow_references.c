/* References of a step: its condition, and the placeholders and parameters that its template uses. */
#include "policy/flow.h"

#include "policy/placeholder.h"
#include "policy/when.h"

/* What a step can refer to. */
struct step_scope {
    const struct flow *flow;
    uint32_t step;
    bool own_inputs; /* its own input parameters are in sight: in its template, not in its inputs */
    struct str
        *ret_secret; /* set to the last parameter asked for that comes from a Secret; or NULL */
};

/* ---- What there is ---- */

const struct json *flow_find_named(const struct json *list, struct str name)
{
    JSON_EACH (entry, list) {
        if (str_eq(json_str(json_get(entry, STR("name"))), name))
            return entry;
    }
    return NULL;
}

static enum scope_use scope_find_step(const void *ctx, struct str name, size_t *ret_step)
{
    const struct step_scope *scope = ctx;
    uint32_t found = flow_find(scope->flow, name);
    if (found == UINT32_MAX)
        return SCOPE_UNKNOWN;
    *ret_step = found;
    return flow_use(scope->flow, scope->step, found);
}

static bool scope_has_output(const void *ctx, size_t step, struct str name)
{
    const struct step_scope *scope = ctx;
    return flow_find_named(scope->flow->steps[step]->outputs.parameters, name) != NULL;
}

static const struct json *find_input(const struct step_scope *scope, struct str name)
{
    const struct flow_step *step = scope->flow->steps[scope->step];
    return scope->own_inputs ? flow_find_named(step->inputs.parameters, name) : NULL;
}

/* Its value is never seen by the controller: it can be neither compared nor put into a text. */
static bool is_secret(const struct json *input)
{
    return json_path(input, "valueFrom", "secretKeyRef", NULL) != NULL;
}

static bool scope_has_parameter(const void *ctx, struct str name)
{
    const struct step_scope *scope = ctx;
    const struct json *input = find_input(scope, name);
    if (scope->ret_secret && is_secret(input))
        *scope->ret_secret = name;
    if (input)
        return true;
    size_t index = 0;
    JSON_EACH (parameter, scope->flow->spec->parameters) {
        if (str_eq(json_str(json_get(parameter, STR("name"))), name)) {
            scope->flow->used[index] = true;
            return true;
        }
        index++;
    }
    return false;
}

struct str flow_nearest_named(const struct json *list, struct str name)
{
    enum { NAMES_MAX = 256 };
    struct str names[NAMES_MAX];
    size_t count = 0;
    JSON_EACH (entry, list) {
        if (count < NAMES_MAX)
            names[count++] = json_str(json_get(entry, STR("name")));
    }
    return str_nearest(name, names, count);
}

static struct str scope_nearest(const void *ctx, enum scope_kind kind, size_t step, struct str name)
{
    const struct step_scope *scope = ctx;
    const struct flow *flow = scope->flow;
    if (err_list_is_full(&flow->findings->errors))
        return (struct str){NULL, 0};
    if (kind == SCOPE_STEP)
        return flow_nearest_step(flow, name);
    if (kind == SCOPE_OUTPUT)
        return flow_nearest_named(flow->steps[step]->outputs.parameters, name);
    struct str near = {NULL, 0};
    if (scope->own_inputs)
        near = flow_nearest_named(flow->steps[scope->step]->inputs.parameters, name);
    return str_is_set(near) ? near : flow_nearest_named(flow->spec->parameters, name);
}

static struct scope make_scope(const struct step_scope *ctx)
{
    return (struct scope){
        .ctx = ctx,
        .find_step = scope_find_step,
        .has_output = scope_has_output,
        .has_parameter = scope_has_parameter,
        .nearest = scope_nearest,
    };
}

/* ---- when ---- */

static void check_when(const struct flow *flow, uint32_t i)
{
    struct str when = flow->steps[i]->when;
    if (when.len == 0)
        return;
    struct str secret = {NULL, 0};
    struct step_scope ctx = {.flow = flow, .step = i, .own_inputs = true, .ret_secret = &secret};
    struct scope scope = make_scope(&ctx);
    struct err err;
    const struct when *parsed = when_parse(flow->arena, when, &scope, &err);
    if (!parsed && err.code == 507)
        flow->findings->errors.out_of_memory = true;
    else if (!parsed)
        flow_refuse(flow, i, "when", ERR_INVALID, "Invalid value: %s", err.message);
    else if (str_is_set(secret))
        flow_refuse(flow, i, "when", ERR_FORBIDDEN,
                    "Forbidden: the parameter \"%" PRIstr
                    "\" comes from a Secret, which Callboard does not read; compare it in the "
                    "step's container",
                    STR_ARG(secret));
}

/* ---- Placeholders ---- */

struct placeholder_check {
    const struct flow *flow;
    const struct step_scope *step;
    const struct scope *scope;
};

static bool is_secret_reference(const struct placeholder_check *check, const struct scope_ref *ref)
{
    return ref->kind == SCOPE_PARAMETER && is_secret(find_input(check->step, ref->name));
}

static void refuse_at(const struct placeholder_check *check, const struct path *path,
                      const struct json *value, const char *message)
{
    err_list_add(&check->flow->findings->errors, path, value->line, ERR_INVALID,
                 "Invalid value: %s", message);
}

static bool visit_text(void *ctx, const struct path *path, struct json *value, struct str text,
                       bool is_key)
{
    const struct placeholder_check *check = ctx;
    struct placeholder found;
    struct str wrong;
    struct err err;
    struct placeholder_reader reader = {.text = text};
    int more;
    while ((more = placeholder_next(&reader, &found, &err)) != 0) {
        if (more > 0 && is_key)
            refuse_at(check, path, value,
                      "placeholders are replaced in values only, not in names of fields");
        else if (more > 0 && is_secret_reference(check, &found.ref))
            err_list_add(&check->flow->findings->errors, path, value->line, ERR_FORBIDDEN,
                         "Forbidden: column %zu: the parameter \"%" PRIstr "\" comes from a Secret "
                         "and is only an environment variable of the container; write $(%" PRIstr
                         ") in command or args",
                         placeholder_column(&reader, found.at), STR_ARG(found.ref.name),
                         STR_ARG(found.ref.name));
        else if (more < 0)
            refuse_at(check, path, value, err.message);
        else if (scope_check(check->scope, &found.ref, &wrong, &err) < 0)
            err_list_add(&check->flow->findings->errors, path, value->line, ERR_INVALID,
                         "Invalid value: column %zu: %s", placeholder_column(&reader, found.at),
                         err.message);
    }
    return true;
}

static void check_placeholders(const struct flow *flow, uint32_t i, const struct json *value,
                               const char *member, bool own_inputs)
{
    if (!value)
        return;
    struct step_scope ctx = {.flow = flow, .step = i, .own_inputs = own_inputs};
    struct scope scope = make_scope(&ctx);
    struct placeholder_check check = {.flow = flow, .step = &ctx, .scope = &scope};
    struct placeholder_visitor visitor = {.ctx = &check, .visit = visit_text};
    struct flow_path storage;
    struct path at = path_field(flow_step_path(flow, i, &storage), str_from_cstr(member));
    /* The walk may change values for others; this visitor does not. */
    placeholder_walk((struct json *)(uintptr_t)value, &at, &visitor);
}

/* ---- Placeholders elsewhere ---- */

static bool visit_unreplaced(void *ctx, const struct path *path, struct json *value,
                             struct str text, bool is_key)
{
    struct placeholder found;
    struct err err;
    struct placeholder_reader reader = {.text = text};
    if (!is_key && placeholder_next(&reader, &found, &err) > 0)
        err_list_add(
            ctx, path, value->line, ERR_INVALID,
            "placeholders are replaced in template and inputs only: the text stays as it is");
    return true;
}

void flow_warn_of_placeholders(const struct flow *flow, const struct json *value,
                               const struct path *path)
{
    struct placeholder_visitor visitor = {.ctx = &flow->findings->warnings,
                                          .visit = visit_unreplaced};
    /* As above: this visitor changes nothing. */
    placeholder_walk((struct json *)(uintptr_t)value, path, &visitor);
}

static void warn_of_placeholders(const struct flow *flow, uint32_t i)
{
    static const struct str members[] = {STR_INIT("message"), STR_INIT("metadata"),
                                         STR_INIT("outputs")};
    struct flow_path storage;
    const struct path *step = flow_step_path(flow, i, &storage);
    for (size_t m = 0; m < sizeof(members) / sizeof(members[0]); m++) {
        const struct json *found = json_get(flow->nodes[i], members[m]);
        struct path at = path_field(step, members[m]);
        if (found)
            flow_warn_of_placeholders(flow, found, &at);
    }
}

/* ---- Parameters ---- */

static void refuse_own_job(struct err_list *errors, const struct json *found, const struct path *at)
{
    err_list_add(errors, at, found->line, ERR_INVALID,
                 "Invalid value: the step's own Job does not exist yet; name the step whose "
                 "Job is meant: STEP:$.status.succeeded");
}

/* STEP:$.…: the step must have a Job, and must have ended before. */
static void check_job_of(const struct flow *flow, uint32_t i, struct str step, bool is_input,
                         const struct json *found, const struct path *at)
{
    struct err_list *errors = &flow->findings->errors;
    uint32_t other = flow_find(flow, step);
    if (other == UINT32_MAX) {
        struct str near = flow_nearest_step(flow, step);
        err_list_add(errors, at, found->line, ERR_NOT_FOUND,
                     "Not found: the flow has no step \"%" PRIstr "\"%s%" PRIstr "%s",
                     STR_ARG(step), near.ptr ? "; did you mean \"" : "", STR_ARG(near),
                     near.ptr ? "\"?" : "");
    } else if (other == i && is_input) {
        refuse_own_job(errors, found, at);
    } else if (flow_step_is(flow->steps[other], "Manual") ||
               flow_step_is(flow->steps[other], "Performer")) {
        err_list_add(errors, at, found->line, ERR_INVALID,
                     "Invalid value: the step \"%" PRIstr "\" is of type %" PRIstr
                     " and has no Job",
                     STR_ARG(step), STR_ARG(flow->steps[other]->type));
    } else if (other != i && flow_use(flow, i, other) != SCOPE_USABLE) {
        err_list_add(errors, at, found->line, ERR_INVALID,
                     "Invalid value: the step \"%" PRIstr "\" %s", STR_ARG(step),
                     flow_use_error(flow_use(flow, i, other)));
    }
}

static void check_json_path(const struct flow *flow, uint32_t i, const struct json *source,
                            const struct path *path, bool is_input)
{
    const struct json *found = json_get(source, STR("jsonPath"));
    struct str step, rest;
    if (!str_is_set(json_str(found)))
        return;
    struct path at = path_field(path, STR("jsonPath"));
    if (!str_starts_with(json_str(found), STR("$"))) {
        str_cut(json_str(found), ':', &step, &rest);
        check_job_of(flow, i, step, is_input, found, &at);
    } else if (is_input) {
        refuse_own_job(&flow->findings->errors, found, &at);
    }
}

static size_t count_set(const struct json *object, const char *const *names)
{
    size_t count = 0;
    for (; *names; names++) {
        const struct json *value = json_get(object, str_from_cstr(*names));
        count += value && value->type != JSON_NULL;
    }
    return count;
}

/* It becomes an environment variable of the step's containers. */
static void check_secret(const struct flow *flow, uint32_t i, const struct json *parameter,
                         const struct path *path)
{
    struct err_list *errors = &flow->findings->errors;
    const struct flow_step *step = flow->steps[i];
    struct str name = json_str(json_get(parameter, STR("name")));
    struct path at = path_field(path, STR("name"));
    if (!flow_step_is(step, "Job")) {
        err_list_add(errors, path, parameter->line, ERR_FORBIDDEN,
                     "Forbidden: a parameter from a Secret is for the containers of a Job; give it "
                     "to a Performer by config.environmentFrom");
        return;
    }
    JSON_EACH (container,
               json_path(step->template, "spec", "template", "spec", "containers", NULL)) {
        if (flow_find_named(json_get(container, STR("env")), name)) {
            err_list_add(errors, &at, parameter->line, ERR_DUPLICATE,
                         "Duplicate value: a parameter from a Secret becomes an environment "
                         "variable, and the container has one of the name \"%" PRIstr
                         "\"; rename one of them",
                         STR_ARG(name));
            return;
        }
    }
}

static void check_input(const struct flow *flow, uint32_t i, const struct json *parameter,
                        const struct path *path)
{
    static const char *const values[] = {"value", "valueFrom", NULL};
    static const char *const sources[] = {"jsonPath", "configMapKeyRef", "secretKeyRef", NULL};
    struct err_list *errors = &flow->findings->errors;
    const struct json *source = json_get(parameter, STR("valueFrom"));
    struct path source_at = path_field(path, STR("valueFrom"));
    if (count_set(parameter, values) != 1)
        err_list_add(errors, path, parameter->line, ERR_REQUIRED,
                     "Required value: exactly one of value and valueFrom must be set");
    else if (json_is(source, JSON_OBJECT) && count_set(source, sources) != 1)
        err_list_add(
            errors, &source_at, source->line, ERR_REQUIRED,
            "Required value: exactly one of jsonPath, configMapKeyRef and secretKeyRef must "
            "be set");
    check_json_path(flow, i, source, &source_at, true);
    if (is_secret(parameter))
        check_secret(flow, i, parameter, path);
}

static void check_parameters(const struct flow *flow, uint32_t i)
{
    const struct flow_step *step = flow->steps[i];
    if (!step->inputs.parameters && !step->outputs.parameters)
        return;
    struct flow_path storage;
    const struct path *at = flow_step_path(flow, i, &storage);
    struct path inputs = path_field(at, STR("inputs")), in = path_field(&inputs, STR("parameters"));
    struct path outputs = path_field(at, STR("outputs")),
                out = path_field(&outputs, STR("parameters"));
    size_t index = 0;
    JSON_EACH (parameter, step->inputs.parameters) {
        struct path here = path_index(&in, index++);
        check_input(flow, i, parameter, &here);
    }
    index = 0;
    JSON_EACH (parameter, step->outputs.parameters) {
        struct path here = path_index(&out, index++), from = path_field(&here, STR("valueFrom"));
        check_json_path(flow, i, json_get(parameter, STR("valueFrom")), &from, false);
    }
}

void flow_check_references(const struct flow *flow, uint32_t step)
{
    check_when(flow, step);
    check_parameters(flow, step);
    check_placeholders(flow, step, flow->steps[step]->template, "template", true);
    check_placeholders(flow, step, json_get(flow->nodes[step], STR("inputs")), "inputs", false);
    warn_of_placeholders(flow, step);
}
