/* What the checks of a Job's parts share. */
#include "types/job_parts.h"

#include <stdio.h>

bool job_has(const struct json *object, const char *name)
{
    const struct json *value = json_get(object, str_from_cstr(name));
    return value && value->type != JSON_NULL;
}

struct str job_text(const struct json *object, const char *name)
{
    return json_str(json_get(object, str_from_cstr(name)));
}

struct str job_known_text(const struct json *object, const char *name)
{
    struct str text = job_text(object, name);
    return schema_has_placeholder(text) ? (struct str){NULL, 0} : text;
}

void job_refuse(struct err_list *errors, const struct path *path, const char *field,
                const struct json *value, enum err_reason reason, const char *fmt, ...)
{
    char message[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    struct path at = path_field(path, str_from_cstr(field));
    const struct json *found = json_get(value, str_from_cstr(field));
    err_list_add(errors, &at, found ? found->line : value->line, reason, "%s", message);
}

size_t job_count_set(const struct json *object, const char *const *others)
{
    size_t count = 0;
    JSON_EACH (member, object) {
        const char *const *other = others;
        while (other && *other && !str_eq_cstr(json_key(member), *other))
            other++;
        count += member->type != JSON_NULL && (!other || !*other);
    }
    return count;
}

bool job_seen(struct str_set *seen, struct str text, struct err_list *errors)
{
    int added = str_is_set(text) ? str_set_add(seen, text) : 0;
    errors->out_of_memory = errors->out_of_memory || added < 0;
    return added > 0;
}

struct str_set job_names(const struct json *list, struct err_list *errors)
{
    struct str_set names;
    str_set_init(&names, errors->arena);
    JSON_EACH (entry, list)
        job_seen(&names, job_text(entry, "name"), errors);
    return names;
}

void job_check_relative(const struct json *object, const char *field, const struct path *path,
                        struct err_list *errors)
{
    struct str part, rest = job_text(object, field);
    if (str_starts_with(rest, STR("/"))) {
        job_refuse(errors, path, field, object, ERR_INVALID,
                   "Invalid value: must be a path below the volume, without / at its beginning");
        return;
    }
    while (str_is_set(rest)) {
        str_cut(rest, '/', &part, &rest);
        if (str_eq(part, STR("..")))
            job_refuse(errors, path, field, object, ERR_INVALID,
                       "Invalid value: must not lead out of the volume by \"..\"");
    }
}
