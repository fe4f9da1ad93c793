/* What the CustomResourceDefinition and Callboard's webhook do with a custom resource. */
#include "unit/sim/server_parts.h"

#include "policy/policy.h"

static const struct kind *kind_of(const struct sim_resource *resource)
{
    return kind_find(str_from_cstr(resource->kube->group), str_from_cstr(resource->kube->version),
                     str_from_cstr(resource->kube->kind));
}

/* The table's rules are for what users write; the CustomResourceDefinition's hold for status too. */
static void check_status(const struct kind *kind, const struct json *object,
                         struct err_list *errors)
{
    const struct schema *row = schema_field(kind->schema, STR("status"));
    const struct json *status = json_get(object, STR("status"));
    if (!row || !status)
        return;
    const struct path path = path_field(NULL, STR("status"));
    struct schema plain = *row;
    plain.flags &= ~(unsigned)SCHEMA_STATUS;
    schema_validate(&plain, status, SCHEMA_UNKNOWN_IGNORED, &path, errors);
}

bool sim_admit(struct sim_call *call, struct json *object, const struct sim_object *before)
{
    const struct kind *kind = kind_of(call->target.resource);
    bool is_status = str_is_set(call->target.subresource);
    struct policy_findings findings;
    policy_findings_init(&findings, call->arena);
    struct policy_object subject = {
        .kind = kind,
        .operation = before ? POLICY_UPDATE : POLICY_CREATE,
        .object = object,
        .before = before ? before->tree : NULL,
        .user = STR("simulated-user"),
        .request_uid = STR("11111111-2222-4333-8444-555555555555"),
        .catalog = call->server->catalog,
        .arena = call->arena,
    };
    bool is_going = before && str_is_set(before->meta.deletion_timestamp);
    if (call->server->has_webhook && !is_status && !is_going) {
        bool done = policy_default(&subject);
        sim_require(done);
        policy_validate(&subject, &findings);
    } else {
        bool done = schema_default(kind->schema, object, call->arena);
        sim_require(done);
        schema_validate(kind->schema, object, SCHEMA_UNKNOWN_IGNORED, NULL, &findings.errors);
    }
    if (is_status)
        check_status(kind, object, &findings.errors);
    if (err_list_is_empty(&findings.errors))
        return true;
    sim_refuse_findings(call, json_str(json_path(object, "metadata", "name", NULL)),
                        &findings.errors);
    return false;
}
