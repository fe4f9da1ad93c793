/* The parameters that a JobFlowTemplate declares. */
#include "policy/flow.h"

#include "base/utf8.h"

bool flow_is_among(const struct json *choices, const struct json *value)
{
    JSON_EACH (choice, choices) {
        if (json_equal(choice, value))
            return true;
    }
    return false;
}

static void check_default(const struct flow *flow, const struct json *parameter,
                          const struct path *at)
{
    enum { SHOWN_MAX = 64 };
    const struct json *value = json_get(parameter, STR("default"));
    const struct json *choices = json_get(parameter, STR("enum"));
    if (!json_is(value, JSON_STRING) || !json_is(choices, JSON_ARRAY) || choices->len == 0 ||
        flow_is_among(choices, value))
        return;
    struct path path = path_field(at, STR("default"));
    err_list_add(&flow->findings->errors, &path, value->line, ERR_NOT_SUPPORTED,
                 "Unsupported value: \"%" PRIstr "\": it must be one of enum",
                 STR_ARG(utf8_cut(json_str(value), SHOWN_MAX)));
}

/* Not an error: a template may be about to grow. Only when all references were read. */
static void warn_unused(const struct flow *flow, size_t index, const struct json *parameter,
                        const struct path *at)
{
    if (flow->used[index] || !err_list_is_empty(&flow->findings->errors))
        return;
    struct str name = json_str(json_get(parameter, STR("name")));
    err_list_add(&flow->findings->warnings, at, parameter->line, ERR_INVALID,
                 "nothing uses the parameter \"%" PRIstr "\": write {{parameters.%" PRIstr
                 "}} in a step's template or in its inputs, or parameters.%" PRIstr
                 " in a condition, or remove it",
                 STR_ARG(name), STR_ARG(name), STR_ARG(name));
}

void flow_check_declared(const struct flow *flow)
{
    struct path spec = path_field(NULL, STR("spec"));
    struct path list = path_field(&spec, STR("parameters"));
    size_t index = 0;
    JSON_EACH (parameter, flow->spec->parameters) {
        struct path at = path_index(&list, index++);
        check_default(flow, parameter, &at);
    }
    index = 0;
    JSON_EACH (parameter, flow->spec->parameters) {
        struct path at = path_index(&list, index);
        warn_unused(flow, index++, parameter, &at);
    }
}
