/* Answers: objects, and refusals in the words of kube-apiserver (apimachinery pkg/api/errors). */
#include "unit/sim/server_parts.h"

static struct str format(struct sim_call *call, const char *fmt, va_list args)
{
    struct str text = arena_vprintf(call->arena, fmt, args);
    sim_require(text.ptr != NULL);
    return text;
}

static struct json *new_status(struct arena *arena, int status, const char *reason,
                               struct str message)
{
    struct json *root = tree_readf(arena,
                                   "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
                                   "\"status\":\"%s\"}",
                                   status < 300 ? "Success" : "Failure");
    if (str_is_set(message))
        tree_set_str(arena, root, "message", message);
    if (reason)
        tree_set_str(arena, root, "reason", str_from_cstr(reason));
    return root;
}

static void answer(struct sim_response *response, int status, const struct json *root)
{
    response->status = status;
    buf_clear(&response->body);
    json_write(&response->body, root);
    sim_require(!buf_failed(&response->body));
}

void sim_response_set_error(struct sim_response *response, int status, const char *reason,
                            const char *message)
{
    struct arena arena;
    arena_init(&arena, mem_system(), 4096, 1 << 20);
    struct json *root = new_status(&arena, status, reason, str_from_cstr(message));
    tree_set_int(&arena, root, "code", status);
    answer(response, status, root);
    arena_done(&arena);
}

static void refuse(struct sim_call *call, int status, const char *reason, struct str message,
                   struct json *details)
{
    struct json *root = new_status(call->arena, status, reason, message);
    if (details)
        tree_set(root, STR("details"), details);
    tree_set_int(call->arena, root, "code", status);
    answer(call->response, status, root);
}

void sim_refuse(struct sim_call *call, int status, const char *reason, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    refuse(call, status, reason, format(call, fmt, args), NULL);
    va_end(args);
}

/* Most refusals name the resource; those of validation and of a deletion's preconditions the kind. */
static struct json *new_details(struct sim_call *call, struct str name, bool by_kind)
{
    const struct kube_resource *kube = call->target.resource->kube;
    struct json *details = json_new(call->arena, JSON_OBJECT);
    if (name.len > 0)
        tree_set_str(call->arena, details, "name", name);
    if (kube->group[0])
        tree_set_str(call->arena, details, "group", str_from_cstr(kube->group));
    tree_set_str(call->arena, details, "kind", str_from_cstr(by_kind ? kube->kind : kube->plural));
    return details;
}

void sim_refuse_object(struct sim_call *call, int status, const char *reason, struct str name,
                       const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    refuse(call, status, reason, format(call, fmt, args), new_details(call, name, false));
    va_end(args);
}

struct str sim_qualified(struct sim_call *call)
{
    const struct kube_resource *kube = call->target.resource->kube;
    return arena_printf(call->arena, kube->group[0] ? "%s.%s" : "%s%s", kube->plural, kube->group);
}

void sim_refuse_as(struct sim_call *call, int status, const char *reason, const char *kind,
                   struct str name, const char *fmt, ...)
{
    struct json *details = json_new(call->arena, JSON_OBJECT);
    va_list args;
    tree_set_str(call->arena, details, "name", name);
    tree_set_str(call->arena, details, "kind", str_from_cstr(kind));
    va_start(args, fmt);
    if (strcmp(kind, call->target.resource->kube->kind) == 0)
        details = new_details(call, name, true);
    refuse(call, status, reason, format(call, fmt, args), details);
    va_end(args);
}

void sim_refuse_not_found(struct sim_call *call, struct str name)
{
    sim_refuse_object(call, 404, "NotFound", name, "%" PRIstr " \"%" PRIstr "\" not found",
                      STR_ARG(sim_qualified(call)), STR_ARG(name));
}

void sim_refuse_changed(struct sim_call *call, struct str name)
{
    sim_refuse_object(call, 409, "Conflict", name,
                      "Operation cannot be fulfilled on %" PRIstr " \"%" PRIstr
                      "\": the object has been modified; please apply your changes to the latest "
                      "version and try again",
                      STR_ARG(sim_qualified(call)), STR_ARG(name));
}

static void add_cause(struct sim_call *call, struct json *causes, const char *reason,
                      struct str message, struct str field)
{
    struct json *cause = json_new(call->arena, JSON_OBJECT);
    tree_set_str(call->arena, cause, "reason", str_from_cstr(reason));
    tree_set_str(call->arena, cause, "message", message);
    tree_set_str(call->arena, cause, "field", field);
    bool done = json_append(causes, cause);
    sim_require(done);
}

static void refuse_causes(struct sim_call *call, struct str name, struct json *details,
                          struct json *causes)
{
    const struct kube_resource *kube = call->target.resource->kube;
    struct buf text;
    buf_init(&text, arena_mem(call->arena), 1 << 20);
    buf_printf(&text, kube->group[0] ? "%s.%s" : "%s%s", kube->kind, kube->group);
    buf_printf(&text, " \"%" PRIstr "\" is invalid: ", STR_ARG(name));
    JSON_EACH (cause, causes) {
        struct str message = json_str(json_get(cause, STR("message")));
        struct str field = json_str(json_get(cause, STR("field")));
        buf_printf(&text, "%s%" PRIstr ": %" PRIstr, cause == json_first(causes) ? "" : ", ",
                   STR_ARG(field), STR_ARG(message));
    }
    tree_set(details, STR("causes"), causes);
    refuse(call, 422, "Invalid", buf_str(&text), details);
}

void sim_refuse_field(struct sim_call *call, struct str name, const char *field, const char *cause,
                      const char *fmt, ...)
{
    struct json *causes = json_new(call->arena, JSON_ARRAY);
    va_list args;
    va_start(args, fmt);
    add_cause(call, causes, cause, format(call, fmt, args), str_from_cstr(field));
    va_end(args);
    refuse_causes(call, name, new_details(call, name, true), causes);
}

/* By the resource, unlike other refusals of validation (generic/registry/store.go). */
void sim_refuse_version(struct sim_call *call, struct str name)
{
    struct json *causes = json_new(call->arena, JSON_ARRAY);
    add_cause(call, causes, "FieldValueInvalid",
              STR("Invalid value: 0: must be specified for an update"),
              STR("metadata.resourceVersion"));
    refuse_causes(call, name, new_details(call, name, false), causes);
}

void sim_refuse_list_options(struct sim_call *call, const char *field, const char *message)
{
    struct json *causes = json_new(call->arena, JSON_ARRAY);
    struct json *details =
        tree_readf(call->arena, "{\"group\":\"meta.k8s.io\",\"kind\":\"ListOptions\"}");
    add_cause(call, causes, "FieldValueForbidden", str_from_cstr(message), str_from_cstr(field));
    tree_set(details, STR("causes"), causes);
    refuse(call, 422, "Invalid",
           arena_printf(call->arena, "ListOptions.meta.k8s.io \"\" is invalid: %s: %s", field,
                        message),
           details);
}

void sim_refuse_findings(struct sim_call *call, struct str name, const struct err_list *errors)
{
    struct json *causes = json_new(call->arena, JSON_ARRAY);
    for (const struct err_item *item = errors->first; item; item = item->next)
        add_cause(call, causes, err_reason_name(item->reason), item->message, item->field);
    refuse_causes(call, name, new_details(call, name, true), causes);
}

void sim_answer_success(struct sim_call *call, int status, const struct sim_object *about)
{
    struct json *root = new_status(call->arena, 200, NULL, (struct str){NULL, 0});
    if (about) {
        struct json *details = new_details(call, about->meta.name, false);
        tree_set_str(call->arena, details, "uid", about->meta.uid);
        tree_set(root, STR("details"), details);
    } else {
        tree_set_int(call->arena, root, "code", status);
    }
    answer(call->response, status, root);
}

void sim_answer_object(struct sim_call *call, int status, const struct sim_object *object)
{
    call->response->status = status;
    buf_clear(&call->response->body);
    buf_put(&call->response->body, object->text);
    sim_require(!buf_failed(&call->response->body));
}
