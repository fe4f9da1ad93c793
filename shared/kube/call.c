/* Requests as the API server wants them (k8s.io/apiserver pkg/endpoints/installer.go). */
#include "kube/call.h"

#include "json/json.h"

#include <stdio.h>

struct verb_row {
    const char *method;
    const char *content_type;
};

static const struct verb_row verbs[] = {
    [KUBE_GET] = {"GET", NULL},
    [KUBE_LIST] = {"GET", NULL},
    [KUBE_CREATE] = {"POST", "application/json"},
    [KUBE_UPDATE] = {"PUT", "application/json"},
    [KUBE_PATCH_JSON] = {"PATCH", "application/json-patch+json"},
    [KUBE_PATCH_MERGE] = {"PATCH", "application/merge-patch+json"},
    /* YAML, of which JSON is a part. */
    [KUBE_APPLY] = {"PATCH", "application/apply-patch+yaml"},
    [KUBE_DELETE] = {"DELETE", "application/json"},
};

const char *kube_verb_method(enum kube_verb verb)
{
    return verbs[verb].method;
}

const char *kube_verb_content_type(enum kube_verb verb)
{
    return verbs[verb].content_type;
}

/* The name in the path: a create has it in the object. */
static struct str path_name(const struct kube_call *call)
{
    bool is_create = call->verb == KUBE_CREATE && !str_is_set(call->subresource);
    return is_create || call->verb == KUBE_LIST ? (struct str){NULL, 0} : call->name;
}

static int refuse(const struct kube_call *call, const char *what, struct err *err)
{
    return err_set(err, 400, "%s %s: %s", kube_verb_method(call->verb), call->resource->plural,
                   what);
}

int kube_call_check(const struct kube_call *call, struct err *err)
{
    bool is_one = call->verb != KUBE_LIST;
    bool needs_name = is_one && (call->verb != KUBE_CREATE || str_is_set(call->subresource));
    /* Without a name the server would take a DELETE for one of the whole collection. */
    if (needs_name && !kube_path_is_segment(call->name))
        return refuse(call, "the object's name is missing, or cannot be part of a path", err);
    if (call->resource->is_namespaced && (is_one || str_is_set(call->namespace)) &&
        !kube_path_is_segment(call->namespace))
        return refuse(call, "the namespace is missing, or cannot be part of a path", err);
    if (str_is_set(call->subresource) && !kube_path_is_segment(call->subresource))
        return refuse(call, "the subresource cannot be part of a path", err);
    if (call->verb == KUBE_APPLY && call->field_manager.len == 0)
        return refuse(call, "an apply needs a field manager", err);
    return 0;
}

static struct str absent_unless(bool condition, struct str text)
{
    return condition ? text : (struct str){NULL, 0};
}

void kube_call_put_target(struct buf *buf, const struct kube_call *call)
{
    bool has_query = false, is_list = call->verb == KUBE_LIST;
    char limit[24];
    snprintf(limit, sizeof(limit), "%lld", (long long)call->limit);
    kube_path_put(buf, call->resource, call->namespace, path_name(call), call->subresource);
    if (is_list) {
        kube_query_put(buf, &has_query, "labelSelector", call->label_selector);
        kube_query_put(buf, &has_query, "fieldSelector", call->field_selector);
        kube_query_put(buf, &has_query, "limit",
                       absent_unless(call->limit > 0, str_from_cstr(limit)));
        kube_query_put(buf, &has_query, "continue", call->continue_token);
        kube_query_put(buf, &has_query, "resourceVersion", call->resource_version);
    }
    if (kube_verb_is_write(call->verb) && call->verb != KUBE_DELETE)
        kube_query_put(buf, &has_query, "fieldManager", call->field_manager);
    kube_query_put(buf, &has_query, "force",
                   absent_unless(call->verb == KUBE_APPLY && call->force, STR("true")));
}

static void put_member(struct buf *buf, const char *separator, const char *key, struct str value)
{
    buf_printf(buf, "%s\"%s\":", separator, key);
    json_write_str(buf, value);
}

/* metav1.DeleteOptions. */
static void put_delete_options(struct buf *buf, const struct kube_call *call)
{
    bool has_uid = str_is_set(call->uid), has_version = str_is_set(call->resource_version);
    buf_put(buf, STR("{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\""));
    if (call->grace_seconds >= 0)
        buf_printf(buf, ",\"gracePeriodSeconds\":%lld", (long long)call->grace_seconds);
    if (has_uid || has_version) {
        buf_put(buf, STR(",\"preconditions\":{"));
        if (has_uid)
            put_member(buf, "", "uid", call->uid);
        if (has_version)
            put_member(buf, has_uid ? "," : "", "resourceVersion", call->resource_version);
        buf_put_char(buf, '}');
    }
    buf_put_char(buf, '}');
}

void kube_call_put_body(struct buf *buf, const struct kube_call *call)
{
    if (call->verb == KUBE_DELETE)
        put_delete_options(buf, call);
    else if (kube_verb_content_type(call->verb))
        buf_put(buf, call->body);
}
