/* Findings addressed by a dotted path. */
#include "policy/report.h"

#include <stdio.h>

enum { PATH_DEPTH_MAX = 16 };

static bool is_reported(struct err_list *list, const struct path *path)
{
    if (!list->first)
        return false;
    struct str field = path_print(path, list->arena);
    list->out_of_memory = list->out_of_memory || !str_is_set(field);
    for (const struct err_item *item = list->first; item; item = item->next) {
        if (str_eq(item->field, field))
            return true;
    }
    return false;
}

void report(struct err_list *list, const struct json *object, const char *dotted_path,
            struct str key, enum err_reason reason, const char *fmt, ...)
{
    char message[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);

    struct path levels[PATH_DEPTH_MAX + 1];
    const struct path *path = NULL;
    const struct json *value = object;
    uint32_t line = object ? object->line : 0;
    struct str rest = str_from_cstr(dotted_path);
    for (size_t depth = 0; depth <= PATH_DEPTH_MAX; depth++) {
        struct str name = key;
        if (str_is_set(rest))
            str_cut(rest, '.', &name, &rest);
        else
            key = (struct str){NULL, 0};
        if (!str_is_set(name))
            break;
        levels[depth] = path_field(path, name);
        path = &levels[depth];
        value = json_get(value, name);
        if (value)
            line = value->line;
    }
    if (!is_reported(list, path))
        err_list_add(list, path, line, reason, "%s", message);
}

bool report_leaves_rules(const struct err_list *errors)
{
    for (const struct err_item *item = errors->first; item; item = item->next) {
        if (item->reason == ERR_TOO_MANY)
            return false;
    }
    return !err_list_is_full(errors);
}
