/* Reading objects of the API server: metadata, and members by path. */
#include "kube/object.h"

#include <stdarg.h>

static void read_controller(const struct json *owners, struct kube_meta *meta)
{
    JSON_EACH (owner, owners) {
        if (!json_bool(json_get(owner, STR("controller")), false))
            continue;
        meta->owner_kind = json_str(json_get(owner, STR("kind")));
        meta->owner_name = json_str(json_get(owner, STR("name")));
        meta->owner_uid = json_str(json_get(owner, STR("uid")));
        return;
    }
}

static const struct json *only(const struct json *value, enum json_type type)
{
    return json_is(value, type) ? value : NULL;
}

void kube_meta_read(const struct json *object, struct kube_meta *ret)
{
    const struct json *meta = json_get(object, STR("metadata"));
    *ret = (struct kube_meta){
        .namespace = json_str(json_get(meta, STR("namespace"))),
        .name = json_str(json_get(meta, STR("name"))),
        .uid = json_str(json_get(meta, STR("uid"))),
        .resource_version = json_str(json_get(meta, STR("resourceVersion"))),
        .deletion_timestamp = json_str(json_get(meta, STR("deletionTimestamp"))),
        .labels = only(json_get(meta, STR("labels")), JSON_OBJECT),
        .annotations = only(json_get(meta, STR("annotations")), JSON_OBJECT),
        .finalizers = only(json_get(meta, STR("finalizers")), JSON_ARRAY),
    };
    json_int64(json_get(meta, STR("generation")), &ret->generation);
    read_controller(json_get(meta, STR("ownerReferences")), ret);
}

uint64_t kube_version_number(struct str resource_version)
{
    if (resource_version.len == 0 || resource_version.ptr[0] == '0')
        return 0;
    uint64_t number = 0;
    for (size_t i = 0; i < resource_version.len; i++) {
        unsigned digit = (unsigned char)resource_version.ptr[i] - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, digit, &number))
            return 0;
    }
    return number;
}

static const struct json *walk(const struct json *at, va_list names)
{
    const char *name;
    while (at && (name = va_arg(names, const char *)) != NULL)
        at = json_get(at, str_from_cstr(name));
    return at;
}

const struct json *kube_at(const struct json *object, ...)
{
    va_list names;
    va_start(names, object);
    const struct json *at = walk(object, names);
    va_end(names);
    return at;
}

struct str kube_text_at(const struct json *object, ...)
{
    va_list names;
    va_start(names, object);
    struct str text = json_str(walk(object, names));
    va_end(names);
    return text;
}

int64_t kube_int_at(const struct json *object, int64_t otherwise, ...)
{
    va_list names;
    va_start(names, otherwise);
    int64_t number = otherwise;
    json_int64(walk(object, names), &number);
    va_end(names);
    return number;
}

bool kube_bool_at(const struct json *object, ...)
{
    va_list names;
    va_start(names, object);
    bool boolean = json_bool(walk(object, names), false);
    va_end(names);
    return boolean;
}

struct str kube_map_get(const struct json *map, struct str name)
{
    return json_str(json_get(map, name));
}

const struct json *kube_condition(const struct json *object, const char *type)
{
    JSON_EACH (condition, kube_at(object, "status", "conditions", NULL)) {
        if (str_eq_cstr(kube_text_at(condition, "type", NULL), type))
            return condition;
    }
    return NULL;
}
