/* What the server answers when it refuses a request itself. */
#include "http/refusal.h"

#include <stdio.h>

enum { MESSAGE_MAX = 320, LIST_MAX = 256 };

/* metav1.StatusReason of a code, as apiserver's errors.NewGenericServerResponse has it. */
static const char *status_reason(int status)
{
    switch (status) {
    case 400:
        return "BadRequest";
    case 404:
        return "NotFound";
    case 405:
        return "MethodNotAllowed";
    case 413:
        return "RequestEntityTooLarge";
    case 500:
        return "InternalError";
    case 503:
        return "ServiceUnavailable";
    default:
        return "";
    }
}

void refusal_set(struct refusal *refusal, int status, const char *fmt, ...)
{
    char message[MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    refusal->status = status;
    int n = snprintf(refusal->body, sizeof(refusal->body),
                     "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
                     "\"status\":\"Failure\",\"message\":\"%s\",\"reason\":\"%s\",\"code\":%d}\n",
                     message, status_reason(status), status);
    refusal->size = (size_t)n;
}

static bool matches_path(const struct http_route *route, struct str path)
{
    struct str own = str_from_cstr(route->path);
    return route->is_prefix ? str_starts_with(path, own) : str_eq(path, own);
}

const struct http_route *route_find(const struct http_route *routes, size_t count,
                                    struct str method, struct str path)
{
    struct str wanted = str_eq_cstr(method, "HEAD") ? STR("GET") : method;
    for (size_t i = 0; i < count; i++) {
        if (matches_path(&routes[i], path) && str_eq_cstr(wanted, routes[i].method))
            return &routes[i];
    }
    return NULL;
}

static void append(char *list, size_t size, const char *item)
{
    size_t len = strlen(list);
    snprintf(list + len, size - len, "%s%s", len > 0 ? ", " : "", item);
}

void refusal_no_route(struct refusal *refusal, const struct http_route *routes, size_t count,
                      struct str path)
{
    char paths[LIST_MAX] = "";
    refusal->allow[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (matches_path(&routes[i], path)) {
            append(refusal->allow, sizeof(refusal->allow), routes[i].method);
            if (strcmp(routes[i].method, "GET") == 0)
                append(refusal->allow, sizeof(refusal->allow), "HEAD");
        }
        if (i == 0 || strcmp(routes[i].path, routes[i - 1].path) != 0)
            append(paths, sizeof(paths), routes[i].path);
    }
    if (refusal->allow[0] != '\0')
        refusal_set(refusal, 405, "this path takes %s only", refusal->allow);
    else
        refusal_set(refusal, 404, "there is no such path here; there are %s", paths);
}
