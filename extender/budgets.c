/* Projecting PodDisruptionBudgets. */
#include "extender/budgets.h"

enum { WORDS_MAX = 16 * 1024 };

static uint32_t hash_name(struct str name)
{
    return label_hash_of(name, STR("")).key;
}

static struct stored *keep(const struct mem *mem, const struct json *object,
                           const struct kube_meta *meta, struct buf *selector,
                           struct buf *disrupted)
{
    bool selects = label_selector_put(selector, kube_at(object, "spec", "selector", NULL));
    /* Without room for it, it guards every pod of its namespace rather than none. */
    if (buf_failed(selector)) {
        buf_clear(selector);
        selects = true;
    }
    JSON_EACH (pod, kube_at(object, "status", "disruptedPods", NULL)) {
        uint32_t hash = hash_name(json_key(pod));
        buf_put(disrupted, (struct str){(const char *)&hash, sizeof(hash)});
    }
    if (buf_failed(disrupted))
        buf_clear(disrupted);
    struct kube_meta own = *meta;
    own.owner_uid = meta->namespace;
    own.owner_name = (struct str){NULL, 0};
    struct stored *stored =
        store_new_object(mem, &own, sizeof(struct cached_budget), selector->len + disrupted->len);
    if (!stored)
        return NULL;
    struct cached_budget *to = (struct cached_budget *)stored;
    to->selects_none = !selects;
    to->selector = store_keep_text(stored, buf_str(selector));
    to->disrupted = store_keep_text(stored, buf_str(disrupted));
    to->allowed = kube_int_at(object, 0, "status", "disruptionsAllowed", NULL);
    return stored;
}

static struct stored *project(const struct mem *mem, const struct json *object,
                              const struct kube_meta *meta)
{
    struct buf selector, disrupted;
    buf_init(&selector, mem, WORDS_MAX);
    buf_init(&disrupted, mem, WORDS_MAX);
    struct stored *stored = keep(mem, object, meta, &selector, &disrupted);
    buf_done(&disrupted);
    buf_done(&selector);
    return stored;
}

const struct store_type cached_budgets = {.resource = &kube_disruption_budgets, .project = project};

static bool is_disrupted(const struct cached_budget *budget, struct str name)
{
    uint32_t hash = hash_name(name), one;
    for (size_t at = 0; at < budget->disrupted.len; at += sizeof(one)) {
        memcpy(&one, budget->disrupted.ptr + at, sizeof(one));
        if (one == hash)
            return true;
    }
    return false;
}

bool cached_budget_guards(const struct cached_budget *budget, const struct cached_pod *pod)
{
    return !budget->selects_none && str_eq(budget->stored.namespace, pod->stored.namespace) &&
           label_selector_matches(budget->selector, pod->labels) &&
           !is_disrupted(budget, pod->stored.name);
}
