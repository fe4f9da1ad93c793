/* What placeholders and conditions stand for while a flow runs. */
#include "controller/flow_values.h"

#include "policy/placeholder.h"
#include "json/path.h"

#include <stdlib.h>

#define ABSENT ((struct str){NULL, 0})

/* ---- Steps by name ---- */

static int by_name(const void *a, const void *b, void *ctx)
{
    const struct flow_result *results = ctx;
    return str_cmp(results[*(const uint32_t *)a].name, results[*(const uint32_t *)b].name);
}

bool flow_values_init(struct flow_values *ret, struct arena *arena, const struct json *parameters,
                      const struct flow_result *results, size_t count)
{
    uint32_t *order = ARENA_NEW_ARRAY(arena, uint32_t, count + 1);
    if (!order)
        return false;
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    qsort_r(order, count, sizeof(order[0]), by_name, (void *)(uintptr_t)results);
    *ret = (struct flow_values){parameters, results, count, order};
    return true;
}

/* SIZE_MAX when the flow has no such step. */
static size_t find_result(const struct flow_values *values, struct str name)
{
    size_t low = 0, high = values->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_cmp(values->results[values->by_name[middle]].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < values->count && str_eq(values->results[values->by_name[low]].name, name);
    return found ? values->by_name[low] : SIZE_MAX;
}

/* ---- A step's view ---- */

static const struct json *find_parameter(const struct flow_view *view, struct str name)
{
    const struct json *own = json_get(view->inputs, name);
    if (own)
        return own;
    JSON_EACH (parameter, view->values->parameters) {
        if (str_eq(json_str(json_get(parameter, STR("name"))), name))
            return json_get(parameter, STR("value"));
    }
    return NULL;
}

static enum scope_use find_step(const void *ctx, struct str name, size_t *ret_step)
{
    const struct flow_view *view = ctx;
    size_t found = find_result(view->values, name);
    if (found == SIZE_MAX)
        return SCOPE_UNKNOWN;
    *ret_step = found;
    return SCOPE_USABLE;
}

/* Which outputs a step may have was checked at admission. */
static bool has_output(const void *ctx, size_t step, struct str name)
{
    (void)name;
    const struct flow_view *view = ctx;
    return step < view->values->count;
}

static bool has_parameter(const void *ctx, struct str name)
{
    return find_parameter(ctx, name) != NULL;
}

struct scope flow_view_scope(const struct flow_view *view)
{
    return (struct scope){
        .ctx = view,
        .find_step = find_step,
        .has_output = has_output,
        .has_parameter = has_parameter,
    };
}

static struct str value_of_phase(const void *ctx, size_t step)
{
    const struct flow_view *view = ctx;
    return view->values->results[step].phase;
}

static struct str value_of_output(const void *ctx, size_t step, struct str name)
{
    const struct flow_view *view = ctx;
    return json_str(json_get(view->values->results[step].outputs, name));
}

static struct str value_of_parameter(const void *ctx, struct str name)
{
    return json_str(find_parameter(ctx, name));
}

struct scope_values flow_view_values(const struct flow_view *view)
{
    return (struct scope_values){
        .ctx = view,
        .phase = value_of_phase,
        .output = value_of_output,
        .parameter = value_of_parameter,
    };
}

/* ---- Texts from Jobs ---- */

int flow_text_of(struct manifest *m, const struct json *value, size_t max, struct str *ret,
                 struct err *err)
{
    struct str text = json_str(value);
    if (!value || value->type == JSON_NULL)
        return 0;
    if (!str_is_set(text)) {
        struct buf buf;
        buf_init(&buf, arena_mem(m->arena), MANIFEST_TEXT_MAX);
        json_write(&buf, value);
        if (buf_failed(&buf)) {
            m->failed = true;
            return err_no_memory(err, "reading a value");
        }
        text = buf_str(&buf);
    }
    if (text.len > max)
        return err_set(err, 422, "the value has %zu bytes, and at most %zu are possible", text.len,
                       max);
    *ret = text;
    return 1;
}

/* ---- Inputs ---- */

struct resolver {
    struct manifest *m;
    const struct flow_values *values;
    const struct flow_sources *sources;
};

/* A text of `inputs` with its placeholders replaced. */
static int substitute(const struct resolver *resolver, struct str text, struct str *ret,
                      struct err *err)
{
    struct flow_view view = {.values = resolver->values};
    struct scope scope = flow_view_scope(&view);
    struct scope_values values = flow_view_values(&view);
    struct buf buf;
    buf_init(&buf, arena_mem(resolver->m->arena), FLOW_VALUE_MAX);
    if (placeholder_substitute(text, PLACEHOLDER_PLAIN, &scope, &values, &buf, err) < 0)
        return -1;
    *ret = buf_str(&buf);
    return 1;
}

static int from_config_map(const struct resolver *resolver, const struct json *reference,
                           struct str *ret, struct err *err)
{
    struct str name = json_str(json_get(reference, STR("name"))),
               key = json_str(json_get(reference, STR("key")));
    if (substitute(resolver, name, &name, err) < 0 || substitute(resolver, key, &key, err) < 0)
        return -1;
    int found = resolver->sources->config_map_key(resolver->sources->ctx, name, key, ret, err);
    if (found != 0)
        return found;
    if (json_bool(json_get(reference, STR("optional")), false)) {
        *ret = STR("");
        return 1;
    }
    return err_set(err, 422, "there is no ConfigMap \"%" PRIstr "\" with a key \"%" PRIstr "\"",
                   STR_ARG(name), STR_ARG(key));
}

/* STEP:$.… */
static int from_job(const struct resolver *resolver, struct str text, struct str *ret,
                    struct err *err)
{
    struct str step, path;
    if (substitute(resolver, text, &text, err) < 0)
        return -1;
    str_cut(text, ':', &step, &path);
    if (json_path_check(path, err) < 0)
        return err_wrap(err, "jsonPath \"%" PRIstr "\"", STR_ARG(text));
    size_t index = find_result(resolver->values, step);
    const struct json *job =
        index == SIZE_MAX ? NULL : resolver->sources->job(resolver->sources->ctx, index);
    if (!job)
        return err_set(err, 422, "the step \"%" PRIstr "\" has no Job", STR_ARG(step));
    int found = flow_text_of(resolver->m, json_path_find(job, path), FLOW_VALUE_MAX, ret, err);
    if (found != 0)
        return found;
    return err_set(err, 422, "the Job of the step \"%" PRIstr "\" has nothing at %" PRIstr,
                   STR_ARG(step), STR_ARG(path));
}

/* 1 with the value, 0 for one from a Secret, or -1. */
static int resolve(const struct resolver *resolver, const struct json *parameter, struct str *ret,
                   struct err *err)
{
    const struct json *source = json_get(parameter, STR("valueFrom"));
    struct str path = json_str(json_get(source, STR("jsonPath")));
    const struct json *config_map = json_get(source, STR("configMapKeyRef"));
    if (json_get(source, STR("secretKeyRef")))
        return 0;
    if (str_is_set(path))
        return from_job(resolver, path, ret, err);
    if (config_map)
        return from_config_map(resolver, config_map, ret, err);
    return substitute(resolver, json_str(json_get(parameter, STR("value"))), ret, err);
}

static bool put(struct manifest *m, struct json *to, struct str name, int found, struct str value)
{
    struct json *node = found > 0 ? json_new_str(m->arena, value) : json_new(m->arena, JSON_NULL);
    m->failed = m->failed || !node || !to || !json_set(to, name, node);
    return !m->failed;
}

struct json *flow_inputs_resolve(struct manifest *m, const struct flow_values *values,
                                 const struct json *parameters, const struct flow_sources *sources,
                                 struct err *err)
{
    const struct resolver resolver = {m, values, sources};
    struct json *inputs = manifest_object(m);
    JSON_EACH (parameter, parameters) {
        struct str name = json_str(json_get(parameter, STR("name"))), value = ABSENT;
        int found = resolve(&resolver, parameter, &value, err);
        if (found > 0 && value.len > FLOW_VALUE_MAX)
            found = err_set(err, 422, "the value has %zu bytes, and at most %d are possible",
                            value.len, FLOW_VALUE_MAX);
        if (found < 0) {
            err_wrap(err, "the parameter \"%" PRIstr "\"", STR_ARG(name));
            return NULL;
        }
        if (!put(m, inputs, name, found, value))
            break;
    }
    if (!m->failed)
        return inputs;
    err_no_memory(err, "resolving the parameters of a step");
    return NULL;
}
