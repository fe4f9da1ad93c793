/* What a step of each type is made from, checked as the apiserver would check it when it is made. */
#include "policy/flow.h"

#include "policy/performer.h"
#include "policy/report.h"
#include "types/job.h"
#include "types/performer.h"

static void check_job(const struct flow *flow, uint32_t i)
{
    const struct flow_step *step = flow->steps[i];
    if (!step->template) {
        flow_refuse(flow, i, "template", ERR_REQUIRED,
                    "Required value: a step of type Job needs a template: a Job "
                    "(kubectl explain job.spec)");
        return;
    }
    struct flow_path storage;
    struct path at = path_field(flow_step_path(flow, i, &storage), STR("template"));
    schema_validate(&job_template_schema, step->template, SCHEMA_PLACEHOLDERS, &at,
                    &flow->findings->errors);
    /* The CustomResourceDefinition cannot know them, and the apiserver would drop them from the Job. */
    schema_find_unknown(&job_template_schema, step->template, &at, &flow->findings->warnings);
}

static void refuse_members(const struct flow *flow, uint32_t i, const char *type,
                           const char *const *members)
{
    for (; *members; members++) {
        const struct json *found = json_get(flow->nodes[i], str_from_cstr(*members));
        /* The kind that this one replaces wanted a template of every step: an empty one says nothing. */
        bool is_empty = json_is(found, JSON_OBJECT) && !json_first(found);
        if (found && found->type != JSON_NULL && !is_empty)
            flow_refuse(flow, i, *members, ERR_FORBIDDEN,
                        "Forbidden: a step of type %s has no %s; remove it", type, *members);
    }
}

static void check_manual(const struct flow *flow, uint32_t i)
{
    static const char *const members[] = {"template", "retryPolicy", "inputs", "outputs", NULL};
    refuse_members(flow, i, "Manual", members);
    if (flow_is_finally(flow, i))
        flow_refuse(flow, i, "type", ERR_FORBIDDEN,
                    "Forbidden: steps of finally run without waiting for anybody");
}

/* Takes over what was found in the template, whose paths begin at the template. */
static bool adopt(const struct flow *flow, struct err_list *to, const struct err_list *from,
                  const struct path *at)
{
    struct str prefix = path_print(at, flow->arena);
    for (const struct err_item *item = from->first; item; item = item->next) {
        struct str field = arena_printf(flow->arena, "%" PRIstr ".%" PRIstr, STR_ARG(prefix),
                                        STR_ARG(item->field));
        if (!str_is_set(prefix) || !str_is_set(field))
            return false;
        err_list_add_text(to, field, item->line, item->reason, item->message);
    }
    return true;
}

static void check_type(const struct json *template, const char *member, struct str right,
                       struct err_list *errors)
{
    const struct json *found = json_get(template, str_from_cstr(member));
    struct path at = path_field(NULL, str_from_cstr(member));
    if (found && found->type != JSON_NULL && !str_eq(json_str(found), right))
        err_list_add(errors, &at, found->line, ERR_NOT_SUPPORTED,
                     "Unsupported value: must be \"%" PRIstr "\" or absent in a step of type "
                     "Performer",
                     STR_ARG(right));
}

/* Its type need not be said, and its name is made from flow and step. */
static void check_performer_table(const struct json *template, struct err_list *errors)
{
    check_type(template, "apiVersion", STR("hourglass.eigenlayer.io/v1alpha1"), errors);
    check_type(template, "kind", STR("Performer"), errors);
    static const struct str members[] = {STR_INIT("metadata"), STR_INIT("spec")};
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const struct schema *row = schema_field(performer_kind.schema, members[i]);
        const struct json *found = json_get(template, members[i]);
        struct path at = path_field(NULL, members[i]);
        if (found && found->type != JSON_NULL)
            schema_validate(row, found, SCHEMA_PLACEHOLDERS, &at, errors);
        else if (str_eq(members[i], STR("spec")))
            err_list_add(errors, &at, template->line, ERR_REQUIRED, "Required value: %s",
                         row->text);
    }
}

static void check_performer(const struct flow *flow, uint32_t i)
{
    const struct flow_step *step = flow->steps[i];
    static const char *const members[] = {"outputs", NULL};
    refuse_members(flow, i, "Performer", members);
    if (!step->template) {
        flow_refuse(flow, i, "template", ERR_REQUIRED,
                    "Required value: a step of type Performer needs a template: a Performer "
                    "(kubectl explain performer.spec)");
        return;
    }
    struct policy_object template = *flow->subject;
    template.kind = &performer_kind;
    template.object = (struct json *)(uintptr_t)step->template;
    template.before = NULL;
    template.operation = POLICY_CREATE;
    struct policy_findings inner;
    policy_findings_init(&inner, flow->arena);
    struct flow_path storage;
    struct path at = path_field(flow_step_path(flow, i, &storage), STR("template"));
    check_performer_table(step->template, &inner.errors);
    schema_find_unknown(performer_kind.schema, step->template, NULL, &inner.warnings);
    if (report_leaves_rules(&inner.errors))
        performer_validate(&template, &inner);
    if (inner.errors.out_of_memory || inner.warnings.out_of_memory ||
        !adopt(flow, &flow->findings->errors, &inner.errors, &at) ||
        !adopt(flow, &flow->findings->warnings, &inner.warnings, &at))
        flow->findings->errors.out_of_memory = true;
}

void flow_check_template(const struct flow *flow, uint32_t i)
{
    const struct flow_step *step = flow->steps[i];
    if (flow_step_is(step, "Job"))
        check_job(flow, i);
    else if (flow_step_is(step, "Manual"))
        check_manual(flow, i);
    else if (flow_step_is(step, "Performer"))
        check_performer(flow, i);
}
