/*
 * What the extender's two HTTP servers answer: /filter or /pick, /prioritize, /bind and /preempt for kube-scheduler;
 * /explain/NAMESPACE/POD and /nodes for people, beside /metrics, /healthz and /readyz. Handlers only compute,
 * on one snapshot each; any number of them run at once. A binding waits without a thread until the server
 * has answered, a question about victims until the thread that has the caches has.
 *
 * /pick is /filter for a kube-scheduler that asks no other extender behind this one: of the nodes that fit it
 * names only those that are worth a look (extender/pick.h).
 */
#ifndef EXTENDER_VERBS_H
#define EXTENDER_VERBS_H

#include "base/log.h"
#include "base/metrics.h"
#include "extender/decisions.h"
#include "extender/extender.h"
#include "extender/pace.h"
#include "http/health.h"

enum { VERB_ROUTES = 5, PEOPLE_ROUTES = HEALTH_ROUTES + 2 };

struct verbs {
    const struct log *log;
    const struct clock *clock;
    struct metrics *metrics;
    struct snapshot_source *source;
    struct decisions *decisions;
    struct packer *packer;
    struct extender *extender; /* set before the server starts */
    unsigned bind_wait_ms;     /* how long a binding is waited for */
    atomic_bool is_active;     /* whether requests are answered, or refused */
    struct health health;
    struct pace pace;

    struct histogram_family *seconds;
    struct counter_family *requests;
    struct counter_family *verdicts;
    struct counter_family *preemption_nodes;
    struct counter *held;
};

/* Makes the metrics; the other members are set by the caller. */
void verbs_add_metrics(struct verbs *verbs);

void verbs_routes(struct verbs *verbs, struct http_route routes[VERB_ROUTES]);
/* `health` is set already. */
void verbs_people_routes(struct verbs *verbs, struct http_route routes[PEOPLE_ROUTES]);

/* For extender_config.answered; ctx is the verbs. */
void verbs_answered(void *ctx, struct bind_request *request);
void verbs_preempted(void *ctx, struct preempt_request *request);
/* The same for extender_config.advised. */
void verbs_advised(void *ctx, const struct kube_meta *pod, struct str text);

#endif
