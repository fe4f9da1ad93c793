/*
 * The verb preempt: kube-scheduler names nodes on which a pod of higher priority would fit by its own rules
 * if certain others went; the extender looks at the devices, and answers with the nodes and victims that will
 * do (extender/victims.h). It reserves nothing: kube-scheduler may ask and then do nothing.
 *
 * A node on which no set of pods of lower priority makes room is left out. Where that may be because the watch has yet
 * to tell of pods that were bound a moment ago, the pod is tried again soon. Answered in the thread that has the caches;
 * a handler waits without a thread, as for a binding.
 */
#ifndef EXTENDER_PREEMPT_H
#define EXTENDER_PREEMPT_H

#include "extender/census.h"
#include "extender/requeue.h"

enum {
    PREEMPT_ERROR_MAX = 512,
    PREEMPT_WAITING_MAX = 64,
    /* Of the searches of one request together, and of one node. Some tens of milliseconds. */
    PREEMPT_STEPS = 65536,
    PREEMPT_NODE_STEPS = 4096,
};

/* What is known, of one moment. */
struct preempt_view {
    const struct census *census;
    const struct store *pods;
    const struct store *budgets;
    const struct catalog *catalog;
    const struct clock *clock;
    struct requeue *requeue; /* of pods that are to be tried again; may be NULL */
};

/* Nodes by what came out. */
struct preempt_counts {
    size_t kept;    /* kube-scheduler's victims will do */
    size_t changed; /* others will */
    size_t dropped; /* none will */
    size_t unheard; /* of these: of the node or its victims the watch has yet to tell */
};

/* Appends the answer to a request. 400 for what is none, 507 without memory; then nothing was appended. */
int preempt_answer(const struct preempt_view *view, struct str body, struct arena *arena,
                   struct buf *answer, struct preempt_counts *counts, struct err *err);

/* A request that waits; shared by its handler and the thread of the caches. */
struct preempt_request {
    atomic_uint refs;
    struct preempt_request *next; /* of whoever has it now */
    void *wait;                   /* the handler's */
    size_t size;
    struct str body; /* behind the struct */
    atomic_bool is_done;
    struct buf answer; /* to be read when it is done */
    struct preempt_counts counts;
    char error[PREEMPT_ERROR_MAX]; /* empty: answered */
};

/* With one reference; NULL without memory. */
struct preempt_request *preempt_request_new(struct str body);
struct preempt_request *preempt_request_ref(struct preempt_request *request);
void preempt_request_unref(struct preempt_request *request);
/* Answers it, or without a view says this error. It is done then. */
void preempt_request_finish(struct preempt_request *request, const struct preempt_view *view,
                            const char *error);

#endif
