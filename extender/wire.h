/*
 * What kube-scheduler says to an extender, and what it wants to hear (k8s.io/kube-scheduler/extender/v1
 * types.go, pkg/scheduler/extender.go of Kubernetes 1.36). The envelope has no JSON tags: its keys are
 * PascalCase, and what is nil is null.
 *
 * Of a request only the Pod becomes a tree: the names of 5,000 nodes, or 130 MB of Node objects, are walked
 * over where they are. Answers are put together from pieces of the request.
 *
 * An answer's status is 200 whatever happens: kube-scheduler reads no other, and finds the error in Error.
 */
#ifndef EXTENDER_WIRE_H
#define EXTENDER_WIRE_H

#include "extender/filter.h"
#include "extender/score.h"

/* The arguments of filter and prioritize: views into the body. */
struct wire_args {
    struct str pod;   /* JSON of the Pod */
    struct str nodes; /* the JSON array of names, or of Node objects; absent: null */
    bool has_names;   /* nodeCacheCapable: they are names */
};

/* 400 for what is no such request. */
int wire_read_args(struct str body, struct wire_args *ret, struct err *err);

/* A node of the request. */
struct wire_node {
    struct str name;
    struct str text; /* as it stands in the request: its name in quotes, or the whole object */
};

/* All nodes, in the arena. 400 when one has no name, 507 without memory. */
int wire_read_nodes(const struct wire_args *args, struct arena *arena, struct wire_node **ret,
                    size_t *ret_count, struct err *err);

struct wire_binding {
    struct str namespace, name, uid, node;
};

int wire_read_binding(struct str body, struct arena *arena, struct wire_binding *ret,
                      struct err *err);

/* ExtenderPreemptionArgs: views into the body. */
struct wire_preemption {
    struct str pod;
    struct str candidates; /* the JSON object of nodes and victims; absent: null */
    bool has_uids;         /* nodeCacheCapable: victims are UIDs, not whole pods */
};

int wire_read_preemption(struct str body, struct wire_preemption *ret, struct err *err);

/* A node with the pods that kube-scheduler would end there. */
struct wire_candidate {
    struct str node;
    struct str *uids; /* in the arena; kube-scheduler's order, the highest priority first */
    size_t count;
    int64_t violations; /* NumPDBViolations */
};

/* All candidates, in the arena. 400 when one cannot be read, 507 without memory. */
int wire_read_candidates(const struct wire_preemption *preemption, struct arena *arena,
                         struct wire_candidate **ret, size_t *ret_count, struct err *err);

/* ExtenderPreemptionResult, which has UIDs whatever was asked with, and no place for an error: without
 * candidates nothing is preempted. Those with a count of 0 are left out: kube-scheduler takes a node without
 * victims for an error. */
void wire_write_preemption(struct buf *buf, const struct wire_candidate *candidates, size_t count);

/* ExtenderFilterResult: verdicts[i] is that of nodes[i]. Failure is the buffer's. */
void wire_write_filter(struct buf *buf, const struct wire_args *args, const struct wire_node *nodes,
                       const uint8_t *verdicts, size_t count);
/* The same that names only nodes[picked[i]], one at least: for a pod that has found nodes, kube-scheduler makes nothing
 * of why others do not fit. */
void wire_write_picked(struct buf *buf, const struct wire_args *args, const struct wire_node *nodes,
                       const size_t *picked, size_t count);
void wire_write_filter_error(struct buf *buf, struct str message);
/* HostPriorityList, without those that score nothing when it would be long. It has no place for an error: an empty
 * one scores nothing. */
void wire_write_scores(struct buf *buf, const struct wire_node *nodes,
                       const struct score_candidate *candidates, size_t count);
/* ExtenderBindingResult; an absent message is success. */
void wire_write_binding(struct buf *buf, struct str message);

#endif
