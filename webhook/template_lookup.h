/*
 * Asks the API server for the JobFlowTemplates that reviews of flows name.
 *
 *   handler ── ask ──▶ inbox ──▶ the thread here: GET, and on 404 a LIST for names that are alike
 *      ▲                                              │
 *      └──── http_wait_end(): called once more ◀──────┘
 *
 * There is no cache of templates on purpose. `kubectl apply` of one file with a template and a flow
 * sends the flow within milliseconds of the template: any copy that is kept here, however fresh, may
 * be the one from before, and the flow would silently run what the file just replaced. A GET without
 * resourceVersion is answered from etcd, so it sees every write that was acknowledged before it was
 * sent (kubernetes.io/docs/reference/using-api/api-concepts, "Resource versions"). It costs the
 * creation of such a flow one more round trip, other reviews nothing, and needs no watch, no memory
 * for templates, and nothing to wait for before this process is ready.
 *
 * Bounded: the reviews that wait (http_server_config.max_waiting), their time, and the bytes of answers
 * that are not yet used. An attempt has two fifths of the time, and the last one begins after three
 * fifths: a kept connection that leads nowhere costs an attempt, not the review, and when all fail, the
 * user reads what the last one met.
 */
#ifndef WEBHOOK_TEMPLATE_LOOKUP_H
#define WEBHOOK_TEMPLATE_LOOKUP_H

#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "http/server.h"
#include "kube/transport.h"
#include "policy/template_source.h"

/* What is with the API server at a time, each on a connection of its own; more wait in their order. */
enum { TEMPLATE_LOOKUPS_AT_ONCE = 16 };

struct template_lookup;  /* one question with its answer; has owners that each give it up once */
struct template_lookups; /* who asks */

struct template_lookups_config {
    struct kube_transport *transport; /* used by the thread alone; outlives everything here */
    const struct clock *clock;
    const struct random *random;
    const struct mem *mem; /* used by several threads */
    struct metrics *metrics;
    const struct log *log;
    struct str host;    /* of the API server, for metrics */
    int64_t timeout_ns; /* 5 s: half of the webhook's timeoutSeconds */
};

/* No thread yet: template_lookups_run_once() may be called instead of starting one. */
struct template_lookups *template_lookups_new(const struct template_lookups_config *config,
                                              struct err *err);
int template_lookups_start(struct template_lookups *lookups, struct err *err);
/* After the server whose requests wait. Ends the thread; what is under way ends unanswered. Accepts
 * NULL. */
void template_lookups_free(struct template_lookups *lookups);
/* What the thread does all the time: takes new questions, waits for the network or a deadline, and
 * answers. */
void template_lookups_run_once(struct template_lookups *lookups);

/* A question with the caller as its owner; NULL without memory. Any thread. It has an answer after
 * `patience_ns` or timeout_ns, whichever is less; 0: timeout_ns. */
struct template_lookup *template_lookup_new(struct template_lookups *lookups, struct str namespace,
                                            struct str name, int64_t patience_ns);
/* Counts a review that could not wait. Any thread. */
void template_lookups_count_refused(struct template_lookups *lookups);
/* When it was made. */
int64_t template_lookup_asked_ns(const struct template_lookup *lookup);
/* Gives up an owner's share; to be given to http_request_wait(). */
void template_lookup_drop(void *lookup);
/* Asks; once for each lookup. `wait` is ended when there is an answer. Any thread. */
void template_lookup_begin(struct template_lookup *lookup, struct http_wait *wait);

/* What a review finds: with `lookup`, its answer; else that somebody must be asked, or, with `reason`,
 * that nobody can be. The template is read into `arena`. */
struct template_view {
    struct template_lookup *lookup;
    const char *reason;
    struct arena *arena;
};
/* `view` must outlive it, and be used by one thread. */
struct template_source template_view_source(struct template_view *view);

#endif
