/* From standing for election to giving the Lease up. */
#include "control/candidate.h"

enum { PROBLEM_EVERY = 6 };

void candidate_report(const struct log *log, const struct kube_resource *resource,
                      struct str problem, unsigned *times)
{
    if (!str_is_set(problem))
        *times = 0;
    else if ((*times)++ % PROBLEM_EVERY == 0)
        log_warn(log, "the apiserver does not serve us; it is tried again",
                 LOG_CSTR("kind", resource->kind), LOG_STR("problem", problem));
}

static void fire_drained(void *ctx, int64_t now_ns)
{
    (void)now_ns;
    candidate_release(ctx);
}

int candidate_init(struct candidate *c, const struct candidate_config *config, struct err *err)
{
    *c = (struct candidate){.config = *config};
    return timers_register(config->lease.timers, &c->drained, fire_drained, c, err);
}

void candidate_done(struct candidate *c)
{
    kube_lease_free(c->lease);
    if (c->config.lease.timers)
        timers_unregister(c->config.lease.timers, &c->drained);
    *c = (struct candidate){0};
}

void candidate_stand(struct candidate *c)
{
    const struct kube_lease_config *config = &c->config.lease;
    struct err err;
    if (c->lease) {
        candidate_report(c->config.log, &kube_leases, kube_lease_problem(c->lease), &c->problems);
        return;
    }
    if (c->end != CANDIDATE_RUNNING)
        return;
    c->lease = kube_lease_new(config, &err);
    if (c->lease)
        log_info(c->config.log, "standing for election", LOG_STR("identity", config->identity));
    else
        log_error(c->config.log, "cannot stand for election; it is tried again", LOG_ERR(&err));
}

/* ---- Ending ---- */

static void released(void *ctx)
{
    struct candidate *c = ctx;
    c->end = CANDIDATE_STOPPED;
}

/* Nothing of ours must be under way when another replica begins. */
void candidate_release(struct candidate *c)
{
    if (c->end != CANDIDATE_DRAINING)
        return;
    c->end = CANDIDATE_RELEASING;
    timers_cancel(c->config.lease.timers, &c->drained);
    if (c->config.on_release)
        c->config.on_release(c->config.lease.ctx);
    if (c->lease)
        kube_lease_release(c->lease, released, c);
    else
        c->end = CANDIDATE_STOPPED;
}

void candidate_stop(struct candidate *c)
{
    if (c->end != CANDIDATE_RUNNING)
        return;
    c->end = CANDIDATE_DRAINING;
    timers_set(c->config.lease.timers, &c->drained,
               clock_now_ns(c->config.lease.clock) + CANDIDATE_DRAIN_S * CLOCK_NS_PER_SEC);
}
