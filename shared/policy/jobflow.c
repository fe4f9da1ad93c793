/* Rules of JobFlows: the graph, and what may change when. */
#include "policy/jobflow.h"

#include "policy/flow.h"
#include "policy/flow_expand.h"
#include "policy/report.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

#define NO_KEY ((struct str){NULL, 0})

/* ---- The flow as one thing ---- */

const struct path *flow_step_path(const struct flow *flow, uint32_t step, struct flow_path *storage)
{
    bool last = flow_is_finally(flow, step);
    storage->spec = path_field(NULL, STR("spec"));
    storage->list = path_field(&storage->spec, last ? STR("finally") : STR("steps"));
    storage->step = path_index(&storage->list, last ? step - flow->main_count : step);
    return &storage->step;
}

void flow_refuse(const struct flow *flow, uint32_t step, const char *field, enum err_reason reason,
                 const char *fmt, ...)
{
    char message[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    struct flow_path storage;
    struct path at = *flow_step_path(flow, step, &storage);
    const struct json *node = flow->nodes[step];
    if (field) {
        const struct json *found = json_get(node, str_from_cstr(field));
        at = path_field(&storage.step, str_from_cstr(field));
        node = found ? found : node;
    }
    err_list_add(&flow->findings->errors, &at, node->line, reason, "%s", message);
}

/* Two names whose starts differ are in the order of the starts: most comparisons need no more. */
static uint64_t start_of(struct str name)
{
    uint64_t start = 0;
    if (name.len > 0)
        memcpy(&start, name.ptr, name.len < sizeof(start) ? name.len : sizeof(start));
    return be64toh(start);
}

static int compare_names(const struct flow *flow, const struct flow_name *entry, uint64_t start,
                         struct str name)
{
    if (entry->start != start)
        return entry->start < start ? -1 : 1;
    return str_cmp(flow->steps[entry->step]->name, name);
}

static int by_name(const void *a, const void *b, void *ctx)
{
    const struct flow *flow = ctx;
    const struct flow_name *x = a, *y = b;
    int order = compare_names(flow, x, y->start, flow->steps[y->step]->name);
    return order != 0 ? order : (x->step > y->step) - (x->step < y->step);
}

uint32_t flow_find(const struct flow *flow, struct str name)
{
    uint64_t start = start_of(name);
    uint32_t low = 0, high = flow->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare_names(flow, &flow->by_name[middle], start, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < flow->count && str_eq(flow->steps[flow->by_name[low].step]->name, name);
    return found ? flow->by_name[low].step : UINT32_MAX;
}

struct str flow_nearest_step(const struct flow *flow, struct str name)
{
    /* Beyond a few hundred names a proposal costs more than it helps. */
    enum { NAMES_MAX = 512 };
    struct str names[NAMES_MAX];
    uint32_t count = 0;
    if (err_list_is_full(&flow->findings->errors))
        return NO_KEY;
    for (; count < flow->count && count < NAMES_MAX; count++)
        names[count] = flow->steps[count]->name;
    return str_nearest(name, names, count);
}

static bool prepare_before(const struct flow *flow, struct flow_before *before)
{
    enum { ROWS_MAX = 64 * 1024 * 1024 }; /* bytes: for 20,000 steps */
    uint32_t *order, ordered;
    if (dag_ancestors_size(flow->count) > ROWS_MAX)
        return dag_search_init(&before->search, flow->arena, &flow->dag);
    before->has_rows = true;
    order = ARENA_NEW_ARRAY(flow->arena, uint32_t, flow->count);
    return order && dag_order(flow->arena, &flow->dag, order, &ordered) &&
           dag_ancestors(flow->arena, &flow->dag, order, ordered, &before->rows);
}

/* Whether `other` has ended whenever `step` starts; without memory the flow is refused anyway. */
static bool comes_before(const struct flow *flow, uint32_t step, uint32_t other)
{
    struct flow_before *before = flow->before;
    if (!before->is_ready && !prepare_before(flow, before)) {
        flow->findings->errors.out_of_memory = true;
        return true;
    }
    before->is_ready = true;
    return before->has_rows ? dag_is_ancestor(&before->rows, step, other)
                            : dag_search_is_ancestor(&before->search, step, other);
}

enum scope_use flow_use(const struct flow *flow, uint32_t step, uint32_t other)
{
    if (step == other)
        return SCOPE_ITSELF;
    if (flow_is_finally(flow, step) != flow_is_finally(flow, other))
        return flow_is_finally(flow, step) ? SCOPE_USABLE : SCOPE_AFTER;
    /* With cycles the graph is wrong already: no second error about each reference. */
    if (flow->has_cycles || comes_before(flow, step, other))
        return SCOPE_USABLE;
    return SCOPE_NOT_BEFORE;
}

const char *flow_use_error(enum scope_use use)
{
    if (use == SCOPE_ITSELF)
        return "is the step itself, which has not run yet";
    if (use == SCOPE_AFTER)
        return "is a step of finally, which starts when all others have ended";
    return "need not have ended before; add it to the dependencies";
}

static void collect(struct flow *flow, const struct schema_list *list, const struct json *nodes)
{
    const struct flow_step *steps = list->items;
    uint32_t i = flow->count;
    JSON_EACH (node, nodes) {
        flow->nodes[i++] = node;
    }
    for (size_t k = 0; k < list->count; k++)
        flow->steps[flow->count++] = &steps[k];
}

/* False without memory. */
static bool flow_init(struct flow *flow, const struct flow_spec *spec, const struct json *object)
{
    size_t count = spec->steps.count + spec->finally.count;
    flow->spec = spec;
    flow->steps = ARENA_NEW_ARRAY(flow->arena, const struct flow_step *, count);
    flow->nodes = ARENA_NEW_ARRAY(flow->arena, const struct json *, count);
    flow->by_name = ARENA_NEW_ARRAY(flow->arena, struct flow_name, count);
    flow->before = ARENA_NEW(flow->arena, struct flow_before);
    flow->used = ARENA_NEW_ARRAY(flow->arena, bool, spec->parameters ? spec->parameters->len : 0);
    if (!flow->steps || !flow->nodes || !flow->by_name || !flow->before || !flow->used)
        return false;
    collect(flow, &spec->steps, json_path(object, "spec", "steps", NULL));
    flow->main_count = flow->count;
    collect(flow, &spec->finally, json_path(object, "spec", "finally", NULL));
    for (uint32_t i = 0; i < flow->count; i++)
        flow->by_name[i] = (struct flow_name){start_of(flow->steps[i]->name), i};
    qsort_r(flow->by_name, flow->count, sizeof(flow->by_name[0]), by_name, flow);
    return true;
}

/* ---- Names and dependencies ---- */

static bool has_equal_names(const struct flow *flow)
{
    for (uint32_t i = 1; i < flow->count; i++) {
        const struct flow_name *before = &flow->by_name[i - 1], *name = &flow->by_name[i];
        if (compare_names(flow, before, name->start, flow->steps[name->step]->name) == 0)
            return true;
    }
    return false;
}

static void check_names(const struct flow *flow)
{
    if (!has_equal_names(flow))
        return;
    for (uint32_t i = 0; i < flow->count; i++) {
        struct str name = flow->steps[i]->name;
        uint32_t first = flow_find(flow, name);
        if (name.len == 0 || first == i)
            continue;
        bool last = flow_is_finally(flow, first);
        flow_refuse(
            flow, i, "name", ERR_DUPLICATE,
            "Duplicate value: \"%" PRIstr "\" is the name of spec.%s[%u] too; names must be "
            "unique in a flow",
            STR_ARG(name), last ? "finally" : "steps", last ? first - flow->main_count : first);
    }
}

static void refuse_dependency(const struct flow *flow, uint32_t step, size_t index,
                              const struct json *dependency, enum err_reason reason,
                              const char *fmt, ...) __attribute__((format(printf, 6, 7)));

static void refuse_dependency(const struct flow *flow, uint32_t step, size_t index,
                              const struct json *dependency, enum err_reason reason,
                              const char *fmt, ...)
{
    char message[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    struct flow_path storage;
    struct path list = path_field(flow_step_path(flow, step, &storage), STR("dependencies"));
    struct path at = path_index(&list, index);
    err_list_add(&flow->findings->errors, &at, dependency->line, reason, "%s", message);
}

/* The step that the dependency means, or UINT32_MAX after an error. */
static uint32_t resolve_dependency(const struct flow *flow, uint32_t step, size_t index,
                                   const struct json *dependency)
{
    struct str name = json_str(dependency);
    uint32_t target = flow_find(flow, name);
    bool here = flow_is_finally(flow, step);
    if (target == UINT32_MAX) {
        struct str near = flow_nearest_step(flow, name);
        refuse_dependency(flow, step, index, dependency, ERR_NOT_FOUND,
                          "Not found: the flow has no step \"%" PRIstr "\"%s%" PRIstr "%s",
                          STR_ARG(name), near.ptr ? "; did you mean \"" : "", STR_ARG(near),
                          near.ptr ? "\"?" : "");
    } else if (flow_is_finally(flow, target) != here) {
        refuse_dependency(flow, step, index, dependency, ERR_INVALID,
                          here ? "Invalid value: \"%" PRIstr "\": steps of finally start when all "
                                 "others have ended and depend on each other only; remove it"
                               : "Invalid value: \"%" PRIstr
                                 "\" is a step of finally, which starts "
                                 "when all others have ended; remove it",
                          STR_ARG(name));
        target = UINT32_MAX;
    }
    return target;
}

/* `seen[t] == step + 1` says that the step has named t already. */
static uint32_t collect_edges(const struct flow *flow, uint32_t step, struct dag_edge *edges,
                              uint32_t *seen)
{
    uint32_t count = 0;
    size_t index = 0;
    JSON_EACH (dependency, flow->steps[step]->dependencies) {
        size_t at = index++;
        if (!str_is_set(json_str(dependency)))
            continue;
        uint32_t target = resolve_dependency(flow, step, at, dependency);
        if (target == UINT32_MAX)
            continue;
        if (seen[target] == step + 1) {
            refuse_dependency(flow, step, at, dependency, ERR_DUPLICATE,
                              "Duplicate value: \"%" PRIstr "\" is already in the list",
                              STR_ARG(json_str(dependency)));
            continue;
        }
        seen[target] = step + 1;
        edges[count++] = (struct dag_edge){.from = step, .to = target};
    }
    return count;
}

static bool build_graph(struct flow *flow)
{
    size_t total = 0;
    for (uint32_t i = 0; i < flow->count; i++) {
        const struct json *list = flow->steps[i]->dependencies;
        total += list ? list->len : 0;
    }
    struct dag_edge *edges = ARENA_NEW_ARRAY(flow->arena, struct dag_edge, total);
    uint32_t *seen = ARENA_NEW_ARRAY(flow->arena, uint32_t, flow->count);
    if (!edges || !seen)
        return false;
    uint32_t count = 0;
    for (uint32_t i = 0; i < flow->count; i++)
        count += collect_edges(flow, i, edges + count, seen);
    return dag_build(flow->arena, flow->count, edges, count, &flow->dag);
}

/* ---- Cycles ---- */

/* "a → b → c → a"; of a very long one the beginning and the end. */
static struct str print_cycle(const struct flow *flow, const struct dag_cycle *cycle)
{
    enum { SHOWN_MAX = 64, SHOWN_HEAD = 32 };
    struct buf buf;
    buf_init(&buf, arena_mem(flow->arena), 16 * 1024);
    for (uint32_t i = 0; i < cycle->count; i++) {
        if (cycle->count > SHOWN_MAX && i == SHOWN_HEAD) {
            uint32_t left_out = cycle->count - SHOWN_MAX;
            buf_printf(&buf, "… %u more … → ", left_out);
            i += left_out;
        }
        buf_put(&buf, flow->steps[cycle->steps[i]]->name);
        buf_put(&buf, STR(" → "));
    }
    buf_put(&buf, flow->steps[cycle->steps[0]]->name);
    return buf_failed(&buf) ? NO_KEY : buf_str(&buf);
}

static bool check_cycles(struct flow *flow)
{
    struct dag_cycles cycles;
    if (!dag_cycles(flow->arena, &flow->dag, &cycles))
        return false;
    flow->has_cycles = cycles.component_count > 0;
    for (uint32_t i = 0; i < cycles.count; i++) {
        const struct dag_cycle *cycle = &cycles.cycles[i];
        struct flow_path storage;
        flow_step_path(flow, cycle->steps[0], &storage);
        struct str text = print_cycle(flow, cycle);
        if (!str_is_set(text))
            return false;
        err_list_add(&flow->findings->errors, &storage.list, flow->nodes[cycle->steps[0]]->line,
                     ERR_INVALID, "cycle: %" PRIstr ": remove one of these dependencies",
                     STR_ARG(text));
    }
    if (cycles.component_count > cycles.count)
        report(&flow->findings->errors, flow->subject->object, "spec", NO_KEY, ERR_TOO_MANY,
               "Too many: %u more cycles are not listed", cycles.component_count - cycles.count);
    return true;
}

/* ---- One step ---- */

static void check_step(const struct flow *flow, uint32_t i)
{
    flow_check_references(flow, i);
    flow_check_io(flow, i);
    flow_check_template(flow, i);
}

/* ---- The flow as a whole ---- */

static void check_failure_rule(const struct flow *flow, const struct json *rule, size_t index)
{
    const struct json *codes = json_get(rule, STR("onExitCodes"));
    if (!str_eq(json_str(json_get(codes, STR("operator"))), STR("In")))
        return;
    JSON_EACH (value, json_get(codes, STR("values"))) {
        int64_t code;
        if (!json_int64(value, &code) || code != 0)
            continue;
        struct path spec = path_field(NULL, STR("spec"));
        struct path policy = path_field(&spec, STR("executionPolicy"));
        struct path failure = path_field(&policy, STR("podFailurePolicy"));
        struct path rules = path_field(&failure, STR("rules")), at = path_index(&rules, index);
        struct path on = path_field(&at, STR("onExitCodes")),
                    values = path_field(&on, STR("values"));
        err_list_add(&flow->findings->errors, &values, value->line, ERR_INVALID,
                     "Invalid value: 0: with the operator In it would mean success; remove it");
    }
}

static void check_policy(const struct flow *flow)
{
    size_t index = 0;
    JSON_EACH (rule, json_get(flow->spec->policy.pod_failure_policy, STR("rules"))) {
        check_failure_rule(flow, rule, index++);
    }
}

static void check_resources(const struct flow *flow, const char *member, const struct json *list)
{
    struct path spec = path_field(NULL, STR("spec"));
    struct path resources = path_field(&spec, STR("resourceTemplates"));
    struct path list_at = path_field(&resources, str_from_cstr(member));
    size_t index = 0;
    if (list)
        flow_warn_of_placeholders(flow, list, &list_at);
    JSON_EACH (resource, list) {
        struct path at = path_index(&list_at, index++);
        struct path metadata = path_field(&at, STR("metadata")),
                    name_at = path_field(&metadata, STR("name"));
        struct str name = json_str(json_path(resource, "metadata", "name", NULL));
        if (name.len == 0)
            err_list_add(&flow->findings->errors, &name_at, resource->line, ERR_REQUIRED,
                         "Required value: the steps' templates refer to the object by its name");
        else if (!format_is_valid(FORMAT_DNS_SUBDOMAIN, name))
            err_list_add(&flow->findings->errors, &name_at, resource->line, ERR_INVALID,
                         "Invalid value: \"%" PRIstr "\": %s", STR_ARG(name),
                         format_get(FORMAT_DNS_SUBDOMAIN)->rule);
        for (const struct json *before = list->first; before != resource; before = before->next) {
            if (name.len > 0 &&
                str_eq(name, json_str(json_path(before, "metadata", "name", NULL)))) {
                err_list_add(&flow->findings->errors, &name_at, resource->line, ERR_DUPLICATE,
                             "Duplicate value: \"%" PRIstr "\" is already in the list",
                             STR_ARG(name));
                break;
            }
        }
    }
}

/* True when the number of steps lets the rest be checked. */
static bool check_size(const struct flow *flow)
{
    size_t max = flow->subject->max_steps ? flow->subject->max_steps : JOBFLOW_STEPS_MAX;
    if (flow->count == 0 && !flow->spec->template_ref) {
        report(&flow->findings->errors, flow->subject->object, "spec.steps", NO_KEY, ERR_REQUIRED,
               "Required value: a flow needs at least one step");
        return false;
    }
    /* When the template could not be used, that has been said. */
    if (flow->count == 0 && err_list_is_empty(&flow->findings->errors))
        report(&flow->findings->errors, flow->subject->object, "spec.steps", NO_KEY, ERR_REQUIRED,
               "Required value: they come from spec.templateRef when the flow is created, and were "
               "removed since");
    if (flow->count <= max)
        return true;
    report(&flow->findings->errors, flow->subject->object, "spec.steps", NO_KEY, ERR_TOO_MANY,
           "Too many: %u: a flow may have at most %zu steps, those of finally included; split it "
           "into several flows",
           flow->count, max);
    return false;
}

static bool check_flow(struct flow *flow, const struct flow_spec *spec)
{
    if (!flow_init(flow, spec, flow->subject->object))
        return false;
    check_policy(flow);
    check_resources(flow, "volumeClaimTemplates", spec->resources.volume_claims);
    check_resources(flow, "configMapTemplates", spec->resources.config_maps);
    if (!check_size(flow))
        return true;
    check_names(flow);
    if (!build_graph(flow) || !check_cycles(flow))
        return false;
    for (uint32_t i = 0; i < flow->count; i++)
        check_step(flow, i);
    if (flow->is_template)
        flow_check_declared(flow);
    return true;
}

static void validate(const struct policy_object *subject, struct policy_findings *findings,
                     bool is_template)
{
    struct jobflow *object = ARENA_NEW(subject->arena, struct jobflow);
    struct flow flow = {
        .subject = subject,
        .findings = findings,
        .arena = subject->arena,
        .is_template = is_template,
    };
    if (!object || !schema_decode(subject->kind->schema, subject->object, object, subject->arena) ||
        !check_flow(&flow, &object->spec))
        findings->errors.out_of_memory = true;
}

/* ---- What may change when ---- */

/* A flow that has started keeps what it started with; these may still change. */
bool flow_may_change(struct str member)
{
    static const struct str names[] = {
        STR_INIT("suspend"),
        STR_INIT("suspendMode"),
        STR_INIT("ttlSecondsAfterFinished"),
        STR_INIT("activeDeadlineSeconds"),
        STR_INIT("parallelism"),
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (str_eq(member, names[i]))
            return true;
    }
    return false;
}

static bool has_started(const struct json *before)
{
    struct str phase = json_str(json_path(before, "status", "phase", NULL));
    return phase.len > 0 && !str_eq(phase, STR("Pending"));
}

/* Why a flow keeps what it has, and what to do. */
struct hold {
    struct str why, cure;
};

static void refuse_changes(const struct policy_object *subject, struct err_list *errors,
                           const struct hold *hold, const char *parent, const struct json *before,
                           const struct json *after)
{
    JSON_EACH (old, before) {
        const struct json *new = json_get(after, json_key(old));
        bool nested = strcmp(parent, "spec") == 0 && str_eq(json_key(old), STR("executionPolicy"));
        if (nested || flow_may_change(json_key(old)) || flow_is_made(subject, json_key(old)) ||
            (new &&json_equal(old, new)))
            continue;
        report(errors, subject->object, parent, json_key(old), ERR_FORBIDDEN,
               "Forbidden: %" PRIstr "; only suspend, suspendMode, parallelism, "
               "ttlSecondsAfterFinished and activeDeadlineSeconds may change; %" PRIstr,
               STR_ARG(hold->why), STR_ARG(hold->cure));
    }
    JSON_EACH (new, after) {
        if (!json_get(before, json_key(new)) && !flow_may_change(json_key(new)) &&
            !flow_is_made(subject, json_key(new)))
            report(errors, subject->object, parent, json_key(new), ERR_FORBIDDEN,
                   "Forbidden: %" PRIstr ", so this cannot be added; %" PRIstr, STR_ARG(hold->why),
                   STR_ARG(hold->cure));
    }
}

/*
 * Whether the flow is held. A decision holds it as its start does: else somebody who may change flows, and
 * not approve, could put anything behind an approval. Absent texts without memory.
 */
static bool is_held(const struct policy_object *subject, struct hold *ret)
{
    *ret = (struct hold){STR("the flow has started"), STR("create another flow")};
    if (has_started(subject->before))
        return true;
    struct str step = flow_decided_step(subject);
    if (!str_is_set(step))
        return false;
    ret->why =
        arena_printf(subject->arena, "the step \"%" PRIstr "\" was decided on", STR_ARG(step));
    ret->cure = arena_printf(subject->arena,
                             "remove the annotation " ANNOTATION_APPROVE "%" PRIstr
                             ", change the flow and decide anew, or create another flow",
                             STR_ARG(step));
    return true;
}

static void check_changes(const struct policy_object *subject, struct err_list *errors)
{
    const struct json *stored = json_get(subject->before, STR("spec"));
    const struct json *after = json_get(subject->object, STR("spec"));
    if (subject->operation != POLICY_UPDATE || !stored || json_equal(stored, after))
        return;
    const struct json *before = flow_stored_spec(subject);
    errors->out_of_memory = errors->out_of_memory || !before;
    flow_check_expanded(subject, before, errors);
    struct hold hold;
    if (!is_held(subject, &hold))
        return;
    if (!str_is_set(hold.why) || !str_is_set(hold.cure)) {
        errors->out_of_memory = true;
        return;
    }
    refuse_changes(subject, errors, &hold, "spec", before, after);
    refuse_changes(subject, errors, &hold, "spec.executionPolicy",
                   json_get(before, STR("executionPolicy")),
                   json_get(after, STR("executionPolicy")));
}

/* ---- Entry ---- */

void jobflow_validate(const struct policy_object *subject, struct policy_findings *findings)
{
    validate(subject, findings, false);
    flow_name_template(subject, &findings->errors);
    check_changes(subject, &findings->errors);
}

void jobflow_template_validate(const struct policy_object *subject,
                               struct policy_findings *findings)
{
    validate(subject, findings, true);
}
