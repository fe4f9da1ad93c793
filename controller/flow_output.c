/* What a step gives to others. */
#include "controller/flow_output.h"

#include "json/path.h"

#define MESSAGE "terminationMessage"

bool flow_output_needs_message(const struct json *parameters)
{
    JSON_EACH (parameter, parameters) {
        struct str path = json_str(json_path(parameter, "valueFrom", "jsonPath", NULL));
        if (json_path_begins(path, STR(MESSAGE)))
            return true;
    }
    return false;
}

/* ---- The message ---- */

static struct str without_line_end(struct str text)
{
    if (str_ends_with(text, STR("\r\n")))
        return str_sub(text, 0, text.len - 2);
    return str_sub(text, 0, str_ends_with(text, STR("\n")) ? text.len - 1 : text.len);
}

/* What paths into the message begin at: an object whose only member is the message, as an object or list
 * when it is one, else as a text. */
static const struct json *message_root(struct manifest *m, struct str message)
{
    static const struct json_limits limits = {.max_depth = 32, .max_values = 4096};
    struct err err;
    struct json *root = manifest_object(m);
    struct json *value = json_read(m->arena, message, &limits, &err);
    if (!value && err.code == 507)
        m->failed = true;
    if (json_is(value, JSON_OBJECT) || json_is(value, JSON_ARRAY))
        manifest_put(m, root, MESSAGE, value);
    else
        manifest_put_str(m, root, MESSAGE, without_line_end(message));
    return root;
}

static int from_message(struct manifest *m, struct str message, struct str path, struct str *ret,
                        struct err *err)
{
    if (!str_is_set(message))
        return 0;
    const struct json *root = message_root(m, message);
    const struct json *value = json_path_find(root, path);
    if (value && value == json_get(root, STR(MESSAGE)) && !json_is(value, JSON_STRING)) {
        struct json whole = {.type = JSON_STRING, .text = message.ptr};
        message = without_line_end(message);
        whole.len = (uint32_t)message.len;
        return flow_text_of(m, &whole, FLOW_OUTPUT_MAX, ret, err);
    }
    return flow_text_of(m, value, FLOW_OUTPUT_MAX, ret, err);
}

/* ---- Values ---- */

static const struct json *job_of_step(const struct flow_output_source *source, struct str step)
{
    const struct flow_view view = {.values = source->values};
    struct scope scope = flow_view_scope(&view);
    size_t index;
    if (scope.find_step(&view, step, &index) != SCOPE_USABLE)
        return NULL;
    return source->sources->job(source->sources->ctx, index);
}

static int read_value(struct manifest *m, struct str path, const struct flow_output_source *source,
                      struct str *ret, struct err *err)
{
    struct str step;
    const struct json *job = source->job;
    if (json_path_begins(path, STR(MESSAGE)))
        return from_message(m, source->termination_message, path, ret, err);
    if (!str_starts_with(path, STR("$"))) {
        str_cut(path, ':', &step, &path);
        job = job_of_step(source, step);
    }
    return flow_text_of(m, json_path_find(job, path), FLOW_OUTPUT_MAX, ret, err);
}

struct json *flow_output_read(struct manifest *m, const struct json *parameters,
                              const struct flow_output_source *source, struct err *err)
{
    size_t sum = 0;
    struct json *outputs = manifest_object(m);
    JSON_EACH (parameter, parameters) {
        struct str name = json_str(json_get(parameter, STR("name"))), value;
        struct str path = json_str(json_path(parameter, "valueFrom", "jsonPath", NULL));
        int found = read_value(m, path, source, &value, err);
        if (found > 0 && (sum += value.len) > FLOW_OUTPUTS_MAX)
            found = err_set(err, 422, "all outputs of a step together have at most %d bytes",
                            FLOW_OUTPUTS_MAX);
        if (found < 0) {
            err_wrap(err, "the output \"%" PRIstr "\"", STR_ARG(name));
            return NULL;
        }
        if (found > 0 && (!outputs || !json_set(outputs, name, json_new_str(m->arena, value))))
            m->failed = true;
    }
    if (!m->failed)
        return outputs;
    err_no_memory(err, "reading the outputs of a step");
    return NULL;
}

/* ---- Pods ---- */

static const struct json *status_of(const struct json *pod, struct str container)
{
    JSON_EACH (status, json_path(pod, "status", "containerStatuses", NULL)) {
        if (str_eq(json_str(json_get(status, STR("name"))), container))
            return status;
    }
    return NULL;
}

struct str flow_output_message(const struct json *pod)
{
    JSON_EACH (container, json_path(pod, "spec", "containers", NULL)) {
        const struct json *status = status_of(pod, json_str(json_get(container, STR("name"))));
        struct str message = json_str(json_path(status, "state", "terminated", "message", NULL));
        if (message.len > 0)
            return message;
    }
    return (struct str){NULL, 0};
}
