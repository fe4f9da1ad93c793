/* Waits before retries, and the meaning of exit codes. */
#include "controller/flow_backoff.h"

#include "schema/format.h"

enum {
    LIMIT_DEFAULT = 3,
    RETRIES_MAX = 1000, /* of a step, by its table */
};
#define DURATION_DEFAULT_NS (INT64_C(10) * 1000 * 1000 * 1000)
#define FACTOR_DEFAULT      2.0

int64_t flow_retry_limit(const struct json *retry_policy)
{
    int64_t limit = LIMIT_DEFAULT;
    if (!json_is(retry_policy, JSON_OBJECT))
        return 0;
    json_int64(json_get(retry_policy, STR("limit")), &limit);
    return limit > 0 ? limit : 0;
}

/* At most FLOW_BACKOFF_MAX_NS, and never negative, whatever is multiplied. */
static int64_t capped(double ns)
{
    if (!(ns > 0))
        return 0;
    return ns < (double)FLOW_BACKOFF_MAX_NS ? (int64_t)ns : FLOW_BACKOFF_MAX_NS;
}

int64_t flow_backoff_ns(const struct json *retry_policy, int64_t retry)
{
    const struct json *backoff = json_get(retry_policy, STR("backoff"));
    struct str type = json_str(json_get(backoff, STR("type")));
    int64_t duration = DURATION_DEFAULT_NS;
    double factor = FACTOR_DEFAULT;
    format_duration(json_str(json_get(backoff, STR("duration"))), &duration);
    json_double(json_get(backoff, STR("factor")), &factor);
    retry = retry < 1 ? 1 : retry > RETRIES_MAX ? RETRIES_MAX : retry;
    if (str_eq(type, STR("Fixed")))
        return capped((double)duration);
    if (str_eq(type, STR("Linear")))
        return capped((double)duration * (double)retry);
    double wait = (double)duration;
    for (int64_t i = 1; i < retry && wait < (double)FLOW_BACKOFF_MAX_NS; i++)
        wait *= factor;
    return capped(wait);
}

/* ---- podFailurePolicy ---- */

static bool has_code(const struct json *values, int64_t code)
{
    int64_t value;
    JSON_EACH (entry, values) {
        if (json_int64(entry, &value) && value == code)
            return true;
    }
    return false;
}

static bool fits_container(const struct json *codes, const struct json *status)
{
    struct str wanted = json_str(json_get(codes, STR("containerName")));
    int64_t code;
    if (wanted.len > 0 && !str_eq(wanted, json_str(json_get(status, STR("name")))))
        return false;
    if (!json_int64(json_path(status, "state", "terminated", "exitCode", NULL), &code) || code == 0)
        return false;
    bool is_among = has_code(json_get(codes, STR("values")), code);
    return str_eq(json_str(json_get(codes, STR("operator"))), STR("NotIn")) ? !is_among : is_among;
}

static bool fits(const struct json *rule, const struct json *pod)
{
    static const struct str lists[] = {STR_INIT("containerStatuses"),
                                       STR_INIT("initContainerStatuses")};
    const struct json *status = json_get(pod, STR("status"));
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        JSON_EACH (container, json_get(status, lists[i])) {
            if (fits_container(json_get(rule, STR("onExitCodes")), container))
                return true;
        }
    }
    return false;
}

enum flow_failure flow_failure_judge(const struct json *policy, const struct json *pod)
{
    JSON_EACH (rule, json_get(policy, STR("rules"))) {
        struct str action = json_str(json_get(rule, STR("action")));
        if (!fits(rule, pod))
            continue;
        return str_eq(action, STR("FailJob"))  ? FLOW_FAILURE_FINAL
               : str_eq(action, STR("Ignore")) ? FLOW_FAILURE_IGNORED
                                               : FLOW_FAILURE_COUNTS;
    }
    return FLOW_FAILURE_COUNTS;
}
