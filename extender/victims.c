/* Choosing the pods of a node that cost the least. */
#include "extender/victims.h"

#include <stdlib.h>

struct search {
    const struct victims_question *question;
    struct victim *all;
    size_t count;
    struct node node; /* without those that are out */
    bool *is_out;
    const struct cached_budget *budgets[VICTIMS_BUDGETS_MAX];
    size_t budget_count;
    struct victims_cost best;
};

/* ---- Cost ---- */

int victims_compare(const struct victims_cost *a, const struct victims_cost *b)
{
    const int64_t of_a[] = {a->budgets, a->highest, a->count, a->sum};
    const int64_t of_b[] = {b->budgets, b->highest, b->count, b->sum};
    for (size_t i = 0; i < sizeof(of_a) / sizeof(of_a[0]); i++) {
        if (of_a[i] != of_b[i])
            return of_a[i] < of_b[i] ? -1 : 1;
    }
    return 0;
}

static bool is_leaving(const struct victim *victim)
{
    return victim->pod->stored.is_deleting;
}

/* How much is left of each budget. */
struct ledger {
    int64_t left[VICTIMS_BUDGETS_MAX];
};

static void open_ledger(const struct search *s, struct ledger *ledger)
{
    for (size_t i = 0; i < s->budget_count; i++)
        ledger->left[i] = s->budgets[i]->allowed;
}

static void charge(const struct victim *victim, struct ledger *ledger, struct victims_cost *cost)
{
    bool is_violated = victim->is_unbudgeted;
    if (is_leaving(victim))
        return;
    for (size_t i = 0; i < victim->budget_count; i++)
        is_violated = --ledger->left[victim->budgets[i]] < 0 || is_violated;
    int64_t priority = victim->pod->priority;
    cost->budgets += is_violated;
    cost->highest = priority > cost->highest ? priority : cost->highest;
    cost->count++;
    cost->sum += priority - INT32_MIN;
}

static const struct victims_cost no_cost = {.highest = INT64_MIN};

static struct victims_cost cost_of(const struct search *s, const bool *is_out)
{
    struct victims_cost cost = no_cost;
    struct ledger ledger;
    open_ledger(s, &ledger);
    for (size_t i = s->count; i-- > 0;) {
        if (is_out[i])
            charge(&s->all[i], &ledger, &cost);
    }
    return cost;
}

/* ---- Room ---- */

static bool fits(const struct search *s)
{
    const struct victims_question *q = s->question;
    return filter_judge_all(q->pod, &s->node, q->heartbeat_age_ns) == VERDICT_FITS;
}

static void put_out(struct search *s, size_t i)
{
    s->is_out[i] = true;
    node_load_remove(&s->node.load, &s->all[i].load);
}

static void put_back(struct search *s, size_t i)
{
    s->is_out[i] = false;
    node_load_add(&s->node.load, &s->all[i].load);
}

/* By the sums that kube-scheduler judges itself. */
static bool has_room(const struct pod *pod, const struct node *node)
{
    for (size_t r = 0; r < RESOURCE_COUNT; r++) {
        int64_t wanted = pod->amounts.of[r];
        if (wanted > 0 && wanted > node->facts->capacity.of[r] - node->load.amounts.of[r])
            return false;
    }
    for (unsigned i = 0; i < pod->mig.count; i++) {
        const char *name = pod->mig.profiles[i].name;
        if (pod->mig.profiles[i].amount >
            mig_amount(&node->facts->mig, name) - mig_amount(&node->load.mig, name))
            return false;
    }
    return true;
}

/* Those of kube-scheduler's victims that are needed for what is not known here. */
static void lock_given(struct search *s, bool knows_all)
{
    const struct pod *pod = s->question->pod;
    for (size_t i = 0; i < s->count; i++) {
        if (s->all[i].is_given)
            put_out(s, i);
    }
    bool is_explained = knows_all && has_room(pod, &s->node);
    for (size_t i = 0; i < s->count; i++) {
        if (!s->all[i].is_given)
            continue;
        node_load_add(&s->node.load, &s->all[i].load);
        s->all[i].is_locked = !is_explained || has_room(pod, &s->node);
        node_load_remove(&s->node.load, &s->all[i].load);
    }
}

/* ---- Who there is ---- */

/* The most important first (pkg/scheduler/util MoreImportantPod); what has not started is the newest. */
static int compare_importance(const void *first, const void *second)
{
    const struct cached_pod *a = ((const struct victim *)first)->pod;
    const struct cached_pod *b = ((const struct victim *)second)->pod;
    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    if (a->started_s != b->started_s)
        return a->started_s - 1 < b->started_s - 1 ? -1 : 1;
    return str_cmp(a->stored.uid, b->stored.uid);
}

static bool is_given(const struct victims_question *q, const struct cached_pod *pod)
{
    for (size_t i = 0; i < q->given_count; i++) {
        if (str_eq(q->given[i], pod->stored.uid))
            return true;
    }
    return false;
}

/* NULL at first. */
static const struct cached_pod *next_lower(const struct victims_question *q,
                                           const struct cached_pod *last)
{
    const struct stored *s =
        last ? store_next_owned(&last->stored) : store_first_owned(q->pods, q->node->facts->name);
    for (; s; s = store_next_owned(s)) {
        const struct cached_pod *pod = (const struct cached_pod *)s;
        if (cached_pod_counts(pod) && pod->priority < q->pod->priority)
            return pod;
    }
    return NULL;
}

static bool gather(struct search *s, struct arena *arena)
{
    const struct victims_question *q = s->question;
    size_t room = 0;
    for (const struct cached_pod *pod = NULL; (pod = next_lower(q, pod));)
        room++;
    s->all = ARENA_NEW_ARRAY(arena, struct victim, room + 1);
    s->is_out = ARENA_NEW_ARRAY(arena, bool, room + 1);
    if (!s->all || !s->is_out)
        return false;
    for (const struct cached_pod *pod = NULL; (pod = next_lower(q, pod));) {
        struct victim *victim = &s->all[s->count++];
        victim->pod = pod;
        victim->is_given = is_given(q, pod);
        cached_pod_load(pod, q->catalog, &victim->load);
    }
    qsort(s->all, s->count, sizeof(s->all[0]), compare_importance);
    return true;
}

static bool gather_unknown(const struct search *s, struct arena *arena, struct victims *ret)
{
    const struct victims_question *q = s->question;
    ret->unknown = ARENA_NEW_ARRAY(arena, struct str, q->given_count + 1);
    if (!ret->unknown)
        return false;
    for (size_t g = 0; g < q->given_count; g++) {
        size_t i = 0;
        while (i < s->count && !str_eq(s->all[i].pod->stored.uid, q->given[g]))
            i++;
        if (i == s->count)
            ret->unknown[ret->unknown_count++] = q->given[g];
    }
    return true;
}

/* ---- Budgets ---- */

static void add_budget(struct search *s, struct victim *victim, const struct cached_budget *budget)
{
    size_t i = 0;
    while (i < s->budget_count && s->budgets[i] != budget)
        i++;
    if (i == VICTIMS_BUDGETS_MAX || victim->budget_count == VICTIM_BUDGETS_MAX) {
        victim->is_unbudgeted = true;
        return;
    }
    if (i == s->budget_count)
        s->budgets[s->budget_count++] = budget;
    victim->budgets[victim->budget_count++] = (uint8_t)i;
}

static void find_budgets(struct search *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct victim *victim = &s->all[i];
        const struct stored *stored =
            store_first_owned(s->question->budgets, victim->pod->stored.namespace);
        for (; stored; stored = store_next_owned(stored)) {
            const struct cached_budget *budget = (const struct cached_budget *)stored;
            if (cached_budget_guards(budget, victim->pod))
                add_budget(s, victim, budget);
        }
    }
}

/* ---- Who matters ---- */

/* What the pod lacks while nobody has gone. */
struct lack {
    bool of[RESOURCE_COUNT];
    bool devices, mig, jobs;
};

static struct lack find_lack(const struct pod *pod, const struct node *node)
{
    struct lack lack = {.jobs = pod->is_ours && node->facts->max_jobs >= 0 &&
                                node->load.jobs >= node->facts->max_jobs,
                        .mig = pod->mig.count > 0,
                        .devices = pod->amounts.of[RESOURCE_INDEX_MILLI] > 0};
    for (size_t r = 0; r < RESOURCE_COUNT; r++)
        lack.of[r] = pod->amounts.of[r] > 0 && r != RESOURCE_INDEX_MILLI &&
                     pod->amounts.of[r] > node->facts->capacity.of[r] - node->load.amounts.of[r];
    return lack;
}

static bool matters(const struct victim *victim, const struct lack *lack)
{
    const struct pod_load *load = &victim->load;
    bool does = victim->is_given || (lack->devices && load->amounts.of[RESOURCE_INDEX_MILLI] > 0) ||
                (lack->mig && load->mig.count > 0) || (lack->jobs && load->is_ours);
    for (size_t r = 0; r < RESOURCE_COUNT; r++)
        does = does || (lack->of[r] && load->amounts.of[r] > 0);
    return does;
}

static void drop_those_that_do_not_matter(struct search *s)
{
    struct lack lack = find_lack(s->question->pod, s->question->node);
    size_t count = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (matters(&s->all[i], &lack))
            s->all[count++] = s->all[i];
    }
    s->count = count;
}

/* ---- A first set ---- */

/* Takes back whom it can, in that order; those that are locked and those that leave stay out. */
static void reprieve(struct search *s, const size_t *order)
{
    for (size_t i = 0; i < s->count; i++) {
        size_t at = order[i];
        if (!s->is_out[at] || s->all[at].is_locked || is_leaving(&s->all[at]))
            continue;
        put_back(s, at);
        if (!fits(s))
            put_out(s, at);
    }
}

/* Who is more than a budget allows comes first, then the most important. */
static void order_by_importance(const struct search *s, size_t *order)
{
    struct ledger ledger;
    size_t count = 0;
    bool is_violating[VICTIMS_MAX] = {false};
    open_ledger(s, &ledger);
    for (size_t i = 0; i < s->count; i++) {
        struct victims_cost cost = no_cost;
        charge(&s->all[i], &ledger, &cost);
        is_violating[i] = cost.budgets > 0;
        if (is_violating[i])
            order[count++] = i;
    }
    for (size_t i = 0; i < s->count; i++) {
        if (!is_violating[i])
            order[count++] = i;
    }
}

/* With how many others it shares a device at most. */
static size_t crowd_around(const struct search *s, size_t i)
{
    size_t most = 0;
    for (uint64_t devices = s->all[i].load.devices; devices != 0; devices &= devices - 1) {
        size_t others = 0;
        for (size_t j = 0; j < s->count; j++)
            others += (s->all[j].load.devices & devices & -devices) != 0;
        most = others > most ? others : most;
    }
    return most;
}

/* Within a priority those that free the least for the most victims come first. */
static void order_by_crowd(const struct search *s, size_t *order)
{
    size_t crowds[VICTIMS_MAX];
    order_by_importance(s, order);
    for (size_t i = 0; i < s->count; i++)
        crowds[i] = crowd_around(s, i);
    for (size_t i = 1; i < s->count; i++) {
        size_t at = order[i], to = i;
        for (; to > 0; to--) {
            const struct victim *a = &s->all[at], *b = &s->all[order[to - 1]];
            int64_t milli_a = a->load.amounts.of[RESOURCE_INDEX_MILLI];
            int64_t milli_b = b->load.amounts.of[RESOURCE_INDEX_MILLI];
            bool is_before = crowds[at] != crowds[order[to - 1]]
                                 ? crowds[at] > crowds[order[to - 1]]
                                 : milli_a < milli_b;
            if (a->pod->priority != b->pod->priority || !is_before)
                break;
            order[to] = order[to - 1];
        }
        order[to] = at;
    }
}

static void keep_if_better(struct search *s)
{
    struct victims_cost cost = cost_of(s, s->is_out);
    if (victims_compare(&cost, &s->best) >= 0)
        return;
    s->best = cost;
    for (size_t i = 0; i < s->count; i++)
        s->all[i].is_chosen = s->is_out[i];
}

static void set_out(struct search *s, bool (*is_out)(const struct victim *victim))
{
    for (size_t i = 0; i < s->count; i++) {
        bool should = is_out(&s->all[i]);
        if (should && !s->is_out[i])
            put_out(s, i);
        else if (!should && s->is_out[i])
            put_back(s, i);
    }
}

static bool everyone(const struct victim *victim)
{
    (void)victim;
    return true;
}

static bool those_given(const struct victim *victim)
{
    return victim->is_given || is_leaving(victim);
}

static bool those_that_must(const struct victim *victim)
{
    return victim->is_locked || is_leaving(victim);
}

static bool those_chosen(const struct victim *victim)
{
    return victim->is_chosen;
}

/* ---- Better sets ---- */

/* One more victim at least is needed, and no later one has a lower priority. */
static bool may_be_better(const struct search *s, const struct victims_cost *cost, size_t i)
{
    struct ledger none = {{0}};
    struct victims_cost least = *cost;
    struct victim next = {.pod = s->all[i].pod};
    charge(&next, &none, &least);
    return victims_compare(&least, &s->best) < 0;
}

/* What the search has decided about the victims, of which the last is the least important. */
struct branch {
    size_t at; /* decides about all[at] */
    struct victims_cost cost;
    struct ledger ledger;
};

/* Whether it would fit without all that are not decided about. */
static bool could_fit(struct search *s, size_t undecided)
{
    struct node_load load = s->node.load;
    for (size_t i = 0; i < undecided; i++) {
        if (!s->is_out[i])
            node_load_remove(&s->node.load, &s->all[i].load);
    }
    bool could = fits(s);
    s->node.load = load;
    return could;
}

/* Victims are decided about from the last, the least important, to the first: with it, then without it. Each
 * step goes one victim further. */
static void look_for_better(struct search *s, struct branch branch)
{
    size_t *steps = s->question->steps;
    while (branch.at-- > 0 && *steps > 0) {
        size_t i = branch.at;
        if (s->is_out[i])
            continue;
        --*steps;
        if (!may_be_better(s, &branch.cost, i) || !could_fit(s, i + 1))
            return;
        struct branch with = branch;
        charge(&s->all[i], &with.ledger, &with.cost);
        put_out(s, i);
        if (victims_compare(&with.cost, &s->best) < 0) {
            if (fits(s))
                keep_if_better(s);
            else
                look_for_better(s, with);
        }
        put_back(s, i);
    }
}

static void search_all(struct search *s)
{
    struct branch root = {.at = s->count, .cost = no_cost};
    set_out(s, those_that_must);
    if (fits(s)) {
        keep_if_better(s);
        return;
    }
    open_ledger(s, &root.ledger);
    for (size_t i = s->count; i-- > 0;) {
        if (s->is_out[i])
            charge(&s->all[i], &root.ledger, &root.cost);
    }
    look_for_better(s, root);
}

/* ---- All ---- */

/* Those that leave were out all the time: who of them need not go is no victim. */
static void keep_those_that_need_not_leave(struct search *s)
{
    set_out(s, those_chosen);
    for (size_t i = 0; i < s->count; i++) {
        if (!s->is_out[i] || s->all[i].is_locked || !is_leaving(&s->all[i]))
            continue;
        put_back(s, i);
        s->all[i].is_chosen = !fits(s);
        if (s->all[i].is_chosen)
            put_out(s, i);
    }
}

static bool try_orders(struct search *s, struct arena *arena)
{
    static void (*const orders[])(const struct search *s, size_t *order) = {order_by_importance,
                                                                            order_by_crowd};
    size_t *order = ARENA_NEW_ARRAY(arena, size_t, s->count + 1);
    if (!order)
        return false;
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        set_out(s, everyone);
        orders[i](s, order);
        reprieve(s, order);
        keep_if_better(s);
    }
    return true;
}

static void report(const struct search *s, struct victims *ret)
{
    bool is_same = true;
    for (size_t i = 0; i < s->count; i++) {
        ret->chosen += s->all[i].is_chosen;
        is_same = is_same && s->all[i].is_chosen == s->all[i].is_given;
    }
    ret->all = s->all;
    ret->count = s->count;
    ret->cost = s->best;
    ret->is_as_given = is_same && s->question->given_count > 0;
}

enum victims_result victims_choose(const struct victims_question *question, struct arena *arena,
                                   struct victims *ret)
{
    struct search s = {
        .question = question, .node = *question->node, .best = {.budgets = INT64_MAX}};
    *ret = (struct victims){0};
    if (!gather(&s, arena) || !gather_unknown(&s, arena, ret))
        return VICTIMS_NO_MEMORY;
    drop_those_that_do_not_matter(&s);
    if (s.count > VICTIMS_MAX)
        return VICTIMS_NOT_ENOUGH;
    find_budgets(&s);
    if (question->given_count > 0)
        lock_given(&s, ret->unknown_count == 0);
    set_out(&s, everyone);
    if (!fits(&s))
        return VICTIMS_NOT_ENOUGH;
    /* What kube-scheduler has chosen stands unless something costs less. */
    set_out(&s, those_given);
    if (question->given_count > 0 && fits(&s))
        keep_if_better(&s);
    if (!try_orders(&s, arena))
        return VICTIMS_NO_MEMORY;
    search_all(&s);
    keep_those_that_need_not_leave(&s);
    report(&s, ret);
    return VICTIMS_FOUND;
}
