/* What to do about a server's certificates. */
#include "certs/certs_plan.h"

#define NS_PER_MS INT64_C(1000000)

const char *certs_step_name(enum certs_step step)
{
    static const char *const names[CERTS_STEPS] = {
        [CERTS_REST] = "rest",
        [CERTS_MAKE_SECRET] = "make the Secret",
        [CERTS_NEW_AUTHORITY] = "make an authority",
        [CERTS_KEEP_AUTHORITY] = "keep an authority",
        [CERTS_PUBLISH] = "write the caBundle",
        [CERTS_ISSUE] = "make a certificate",
        [CERTS_DROP_OLD] = "drop old authorities",
    };
    return names[step];
}

/* Also what begins in the future is renewed: it was made by a clock that was wrong. */
static bool is_due(const struct certs_span *span, int64_t renew_ms, int64_t now_ms)
{
    return !certs_is_valid(span, now_ms) || span->not_after_s * 1000 - now_ms < renew_ms;
}

static bool has_lasted(int64_t since_ns, int64_t ms, const struct certs_seen *seen)
{
    return since_ns != CERTS_NEVER && seen->now_ns - since_ns >= ms * NS_PER_MS;
}

static bool is_usable(const struct certs_pair_seen *pair, int64_t now_ms)
{
    return pair->is_good && certs_is_valid(&pair->span, now_ms);
}

static bool needs_pair(const struct certs_seen *seen, const struct certs_times *times)
{
    return !seen->pair.is_good || !seen->is_pair_of_authority ||
           is_due(&seen->pair.span, times->pair_renew_ms, seen->now_ms);
}

enum certs_step certs_plan(const struct certs_seen *seen, const struct certs_times *times)
{
    if (seen->is_foreign)
        return CERTS_REST;
    if (!seen->has_secret)
        return CERTS_MAKE_SECRET;
    if (!seen->has_authority || is_due(&seen->authority, times->authority_renew_ms, seen->now_ms))
        return CERTS_NEW_AUTHORITY;
    if (is_usable(&seen->own, seen->now_ms) && !seen->is_own_authority_kept)
        return CERTS_KEEP_AUTHORITY;
    if (!seen->is_published)
        return CERTS_PUBLISH;
    if (needs_pair(seen, times))
        return has_lasted(seen->authority_trusted_ns, times->settle_ms, seen) ? CERTS_ISSUE
                                                                              : CERTS_REST;
    if (seen->has_old && seen->is_own_the_pair && seen->now_ms >= seen->old_until_s * 1000 &&
        has_lasted(seen->pair_since_ns, times->takeover_ms, seen))
        return CERTS_DROP_OLD;
    return CERTS_REST;
}

int64_t certs_rest_ns(const struct certs_seen *seen, const struct certs_times *times,
                      int64_t interval_ns)
{
    const int64_t since[] = {seen->authority_trusted_ns, seen->pair.trusted_ns};
    int64_t rest_ns = interval_ns;
    for (size_t i = 0; i < sizeof(since) / sizeof(since[0]); i++) {
        int64_t left_ns = since[i] + times->settle_ms * NS_PER_MS - seen->now_ns;
        if (since[i] != CERTS_NEVER && left_ns > 0 && left_ns < rest_ns)
            rest_ns = left_ns;
    }
    return rest_ns;
}

bool certs_should_load(const struct certs_seen *seen, const struct certs_times *times)
{
    if (!is_usable(&seen->pair, seen->now_ms) || seen->is_own_the_pair)
        return false;
    return has_lasted(seen->pair.trusted_ns, times->settle_ms, seen) ||
           certs_find_distrust(&seen->own, seen->now_ms) != NULL;
}

const char *certs_find_distrust(const struct certs_pair_seen *own, int64_t now_ms)
{
    if (!own->is_good)
        return "there is no serving certificate yet";
    if (!certs_is_valid(&own->span, now_ms))
        return "the serving certificate is not valid now";
    if (own->trusted_ns == CERTS_NEVER)
        return "the authority of the serving certificate is not published";
    return NULL;
}
