/* From an answer, or its absence, to an outcome and a message. */
#include "kube/status.h"

#include "base/utf8.h"
#include "kube/object.h"

#include <assert.h>
#include <stdio.h>

enum {
    STATUS_BLOCK = 4096,
    STATUS_MEMORY_MAX = 1 << 20,
    CAUSES_SHOWN = 8,
    REASON_MAX = 64,
    NAME_MAX_BYTES = 253
};

static const struct json_limits status_limits = {.max_depth = 16, .max_values = 4096};

const char *kube_outcome_name(enum kube_outcome outcome)
{
    static const char *const names[] = {
        [KUBE_OK] = "OK",
        [KUBE_NOT_FOUND] = "NotFound",
        [KUBE_ALREADY_EXISTS] = "AlreadyExists",
        [KUBE_CONFLICT] = "Conflict",
        [KUBE_INVALID] = "Invalid",
        [KUBE_FORBIDDEN_BY] = "Forbidden",
        [KUBE_GONE] = "Gone",
        [KUBE_BUSY] = "Busy",
        [KUBE_UNKNOWN] = "Unknown",
        [KUBE_UNREACHED] = "Unreached",
        [KUBE_FENCED] = "Fenced",
    };
    return names[outcome];
}

/* ---- Outcome ---- */

/* An admission webhook answers with any code that it likes (k8s.io/apiserver pkg/admission/plugin/webhook
 * errors/statuserror.go), and so does a policy (pkg/admission/plugin/policy/validating/dispatcher.go). */
static const struct str webhook_start = STR_INIT("admission webhook \"");
static const struct str policy_start = STR_INIT(" is forbidden: ValidatingAdmissionPolicy '");

/* What is behind the first `part`, or absent. */
static struct str after(struct str text, struct str part)
{
    const char *at = text.len ? memmem(text.ptr, text.len, part.ptr, part.len) : NULL;
    return at ? str_sub(text, (size_t)(at - text.ptr) + part.len, text.len) : (struct str){NULL, 0};
}

static bool is_denied_by_policy(struct str message)
{
    bool by_webhook = str_starts_with(message, webhook_start) &&
                      str_is_set(after(message, STR("\" denied the request")));
    return by_webhook || str_is_set(after(message, policy_start));
}

static enum kube_outcome server_trouble(bool is_write)
{
    return is_write ? KUBE_UNKNOWN : KUBE_BUSY;
}

static enum kube_outcome outcome_of(int status, struct str reason, struct str message,
                                    bool is_write)
{
    if (status >= 400 && is_denied_by_policy(message))
        return KUBE_FORBIDDEN_BY;
    if (status >= 500)
        return server_trouble(is_write);
    switch (status) {
    case 401:
    case 403:
        return KUBE_FORBIDDEN_BY;
    case 404:
        return KUBE_NOT_FOUND;
    case 408: /* from a proxy, which may have passed on a part */
        return server_trouble(is_write);
    case 409:
        return str_eq(reason, STR("AlreadyExists")) ? KUBE_ALREADY_EXISTS : KUBE_CONFLICT;
    case 410:
        return KUBE_GONE;
    case 429:
        return KUBE_BUSY;
    default:
        return status >= 200 && status < 300 ? KUBE_OK : KUBE_INVALID;
    }
}

/* An eviction that a PodDisruptionBudget does not allow is a 429 as well (pkg/registry/core/pod/storage
 * eviction.go), but of those that last. */
static bool is_held_by_budget(const struct json *status)
{
    JSON_EACH (cause, kube_at(status, "details", "causes", NULL)) {
        if (str_eq(kube_text_at(cause, "reason", NULL), STR("DisruptionBudget")))
            return true;
    }
    return false;
}

/* ---- Message ---- */

/* Adds to the message: ASCII, or what fits for certain, as it may be cut anywhere. */
__attribute__((format(printf, 2, 3))) static void say(struct kube_verdict *verdict, const char *fmt,
                                                      ...)
{
    size_t used = verdict->message.len;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(verdict->text + used, sizeof(verdict->text) - used, fmt, args);
    va_end(args);
    size_t len = n < 0 ? used : used + (size_t)n;
    verdict->message.len = len < sizeof(verdict->text) ? len : sizeof(verdict->text) - 1;
}

/* Printable, and nothing that stands around values. */
static bool is_plain_text(struct str text, size_t max)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~' || text.ptr[i] == '"' || text.ptr[i] == '=')
            return false;
    }
    return text.len > 0 && text.len <= max;
}

static void say_name(struct kube_verdict *verdict, const char *what, struct str text, char quote)
{
    struct str name, rest;
    str_cut(text, quote, &name, &rest);
    if (is_plain_text(name, NAME_MAX_BYTES))
        say(verdict, "%s %c%" PRIstr "%c denied the request", what, quote, STR_ARG(name), quote);
    else
        say(verdict, "%s denied the request", what);
}

static void say_who_denied(struct kube_verdict *verdict, struct str message)
{
    if (str_starts_with(message, webhook_start))
        say_name(verdict, "admission webhook", after(message, webhook_start), '"');
    else
        say_name(verdict, "ValidatingAdmissionPolicy", after(message, policy_start), '\'');
}

/* The field of a cause holds keys of maps in brackets or behind a dot, never values; one that looks
 * otherwise was made by a webhook and is left out. */
static void say_causes(struct kube_verdict *verdict, const struct json *causes)
{
    size_t shown = 0;
    JSON_EACH (cause, causes) {
        struct str field = kube_text_at(cause, "field", NULL);
        struct str reason = kube_text_at(cause, "reason", NULL);
        if (shown == CAUSES_SHOWN || !is_plain_text(field, ERR_FIELD_MAX))
            continue;
        say(verdict, "%s%" PRIstr, shown++ ? ", " : ": ", STR_ARG(field));
        if (is_plain_text(reason, REASON_MAX))
            say(verdict, " (%" PRIstr ")", STR_ARG(reason));
    }
    if (causes && causes->len > shown)
        say(verdict, "%s%zu more", shown ? " and " : ": ", (size_t)causes->len - shown);
}

/* Internal errors that are known to come from elsewhere than the object. Others may print it: a merge that
 * fails in structured-merge-diff says "expected map, got …" with the value, and is a 500. */
static bool is_known_trouble(struct str message)
{
    return str_starts_with(message, STR("Internal error occurred: failed calling webhook")) ||
           str_starts_with(message, STR("etcdserver: "));
}

static bool may_quote(int code, struct str message, bool is_write)
{
    return code == 400 || code == 422 || is_denied_by_policy(message) ||
           (code >= 500 && is_write && !is_known_trouble(message));
}

static void say_without_values(struct kube_verdict *verdict, int code, const struct json *status)
{
    struct str message = kube_text_at(status, "message", NULL);
    struct str reason = kube_text_at(status, "reason", NULL);
    if (is_denied_by_policy(message))
        say_who_denied(verdict, message);
    else
        say(verdict, "the server answered %d", code);
    if (is_plain_text(reason, REASON_MAX))
        say(verdict, " (%" PRIstr ")", STR_ARG(reason));
    say_causes(verdict, kube_at(status, "details", "causes", NULL));
    say(verdict, "; the rest of its message is left out, as it may quote values%s",
        code < 500 ? ": kubectl create --dry-run=server shows it" : "");
}

static void explain(struct kube_verdict *verdict, int code, const struct kube_resource *resource,
                    bool is_write, const struct json *status)
{
    struct str message = kube_text_at(status, "message", NULL);
    if (message.len == 0)
        say(verdict, "the server answered %d without saying why", code);
    else if (may_quote(code, message, is_write) && !resource->is_plain)
        say_without_values(verdict, code, status);
    else
        say(verdict, "%" PRIstr, STR_ARG(utf8_cut(message, KUBE_MESSAGE_MAX - 1)));
}

/* ---- Both ---- */

void kube_judge_answer(const struct kube_response *response, const struct kube_resource *resource,
                       bool is_write, const struct mem *mem, struct kube_verdict *ret)
{
    int code = response->status;
    ret->outcome = KUBE_OK;
    ret->may_retry = false;
    ret->message = (struct str){ret->text, 0};
    if (code >= 200 && code < 300)
        return;
    struct arena arena;
    struct err err;
    arena_init(&arena, mem, STATUS_BLOCK, STATUS_MEMORY_MAX);
    const struct json *status = json_read(&arena, response->body, &status_limits, &err);
    if (!str_eq(kube_text_at(status, "kind", NULL), STR("Status")))
        status = NULL; /* a proxy's */
    ret->outcome = outcome_of(code, kube_text_at(status, "reason", NULL),
                              kube_text_at(status, "message", NULL), is_write);
    ret->may_retry = ret->outcome == KUBE_BUSY && !is_held_by_budget(status);
    explain(ret, code, resource, is_write, status);
    arena_done(&arena);
}

void kube_judge_failure(const struct kube_response *response, bool is_write,
                        struct kube_verdict *ret)
{
    const char *text = response->text ? response->text : "the connection failed";
    bool was_sent = response->failure != KUBE_NOT_SENT;
    assert(response->failure != KUBE_ANSWERED);
    ret->message = (struct str){ret->text, 0};
    ret->outcome = was_sent && is_write ? KUBE_UNKNOWN : KUBE_UNREACHED;
    if (response->failure == KUBE_TOO_LARGE && !is_write)
        ret->outcome = KUBE_INVALID;
    ret->may_retry = ret->outcome == KUBE_UNREACHED;
    say(ret, "%s", text);
    if (ret->outcome == KUBE_UNKNOWN)
        say(ret, "; whether the server has done it is unknown");
}
