/* Which victims will do, node by node. */
#include "extender/preempt.h"

#include "extender/victims.h"

#include <stdio.h>

enum {
    ARENA_BLOCK = 64 * 1024,
    ARENA_MAX = 64 * 1024 * 1024,
    ANSWER_MAX = 16 * 1024 * 1024,
};

/* ---- One node ---- */

/* The chosen ones in their order, the highest priority first: kube-scheduler compares nodes by the first. */
static bool set_victims(struct wire_candidate *candidate, const struct victims *victims,
                        struct arena *arena)
{
    size_t count = victims->chosen + victims->unknown_count;
    struct str *uids = ARENA_NEW_ARRAY(arena, struct str, count + 1);
    if (!uids)
        return false;
    candidate->uids = uids;
    candidate->count = count;
    candidate->violations = victims->cost.budgets;
    for (size_t i = 0; i < victims->count; i++) {
        if (victims->all[i].is_chosen)
            *uids++ = victims->all[i].pod->stored.uid;
    }
    for (size_t i = 0; i < victims->unknown_count; i++)
        *uids++ = victims->unknown[i];
    return true;
}

static void leave_out(struct wire_candidate *candidate, bool is_unheard,
                      struct preempt_counts *counts)
{
    candidate->count = 0;
    counts->dropped++;
    counts->unheard += is_unheard;
}

static bool refine(const struct preempt_view *view, const struct pod *pod,
                   struct wire_candidate *candidate, size_t *steps, struct arena *arena,
                   struct preempt_counts *counts)
{
    const struct snapshot_node *at = census_snapshot_node(view->census, candidate->node);
    struct victims victims;
    struct node own;
    size_t own_steps = *steps < PREEMPT_NODE_STEPS ? *steps : PREEMPT_NODE_STEPS;
    size_t rest = *steps - own_steps;
    if (!at || candidate->count == 0) {
        leave_out(candidate, !at, counts);
        return true;
    }
    const struct victims_question question = {
        .pod = pod,
        .node = census_node_for(view->census, &at->node, pod->meta.uid, pod->priority, &own),
        .heartbeat_age_ns = snapshot_heartbeat_age_ns(at, clock_now_ns(view->clock)),
        .catalog = view->catalog,
        .pods = view->pods,
        .budgets = view->budgets,
        .given = candidate->uids,
        .given_count = candidate->count,
        .steps = &own_steps,
    };
    enum victims_result result = victims_choose(&question, arena, &victims);
    *steps = rest + own_steps;
    if (result == VICTIMS_NO_MEMORY)
        return false;
    if (result == VICTIMS_NOT_ENOUGH) {
        leave_out(candidate, victims.unknown_count > 0, counts);
        return true;
    }
    counts->kept += victims.is_as_given;
    counts->changed += !victims.is_as_given;
    return victims.is_as_given || set_victims(candidate, &victims, arena);
}

/* ---- All ---- */

int preempt_answer(const struct preempt_view *view, struct str body, struct arena *arena,
                   struct buf *answer, struct preempt_counts *counts, struct err *err)
{
    struct wire_preemption preemption;
    struct wire_candidate *candidates;
    struct pod pod;
    size_t count, steps = PREEMPT_STEPS;
    *counts = (struct preempt_counts){0};
    if (wire_read_preemption(body, &preemption, err) < 0 ||
        wire_read_candidates(&preemption, arena, &candidates, &count, err) < 0)
        return -1;
    const struct json *tree = json_read(arena, preemption.pod, &json_limits_default, err);
    if (!tree)
        return err_wrap(err, "Pod");
    pod_read(&pod, tree, view->catalog);
    for (size_t i = 0; i < count; i++) {
        if (!refine(view, &pod, &candidates[i], &steps, arena, counts))
            return err_no_memory(err, "choosing victims");
    }
    if (counts->unheard > 0 && counts->kept + counts->changed == 0 && view->requeue)
        requeue_later(view->requeue, &pod.meta);
    wire_write_preemption(answer, candidates, count);
    return buf_failed(answer) ? err_no_memory(err, "the answer") : 0;
}

/* ---- Requests ---- */

struct preempt_request *preempt_request_new(struct str body)
{
    size_t size = sizeof(struct preempt_request) + body.len;
    struct preempt_request *request = mem_alloc(mem_system(), size);
    if (!request)
        return NULL;
    *request = (struct preempt_request){.refs = 1, .size = size};
    memcpy(request + 1, body.ptr, body.len);
    request->body = (struct str){(const char *)(request + 1), body.len};
    buf_init(&request->answer, mem_system(), ANSWER_MAX);
    return request;
}

struct preempt_request *preempt_request_ref(struct preempt_request *request)
{
    atomic_fetch_add_explicit(&request->refs, 1, memory_order_relaxed);
    return request;
}

void preempt_request_unref(struct preempt_request *request)
{
    if (atomic_fetch_sub_explicit(&request->refs, 1, memory_order_acq_rel) != 1)
        return;
    buf_done(&request->answer);
    mem_free(mem_system(), request, request->size);
}

void preempt_request_finish(struct preempt_request *request, const struct preempt_view *view,
                            const char *error)
{
    struct arena arena;
    struct err err = {0};
    arena_init(&arena, mem_system(), ARENA_BLOCK, ARENA_MAX);
    if (view) {
        int result =
            preempt_answer(view, request->body, &arena, &request->answer, &request->counts, &err);
        error = result < 0 ? err.message : "";
    }
    snprintf(request->error, sizeof(request->error), "%s", error);
    arena_done(&arena);
    atomic_store_explicit(&request->is_done, true, memory_order_release);
}
