/*
 * The last decisions about pods, for the people who ask why: GET /explain/NAMESPACE/POD. Bounded: the pod
 * that was not decided about for the longest time makes room. Any number of threads.
 *
 * {"namespace":"team","name":"p","uid":"…","time":"…","nodes":5,"fit":1,
 *  "reasons":[{"reason":"GPU: of another type","help":"…","unresolvable":true,"nodes":4,
 *              "examples":["gpu-1",…]}],
 *  "best":{"node":"gpu-7","score":10},"binding":{"node":"gpu-7","error":""},
 *  "advice":{"time":"…","text":"GPU: of another type: 4 nodes (gpu-1, gpu-2, …): ask for …"}}
 *
 * "advice" (extender/advice.h) is about all nodes, and may be all there is when kube-scheduler's own rules leave
 * nothing to ask about.
 */
#ifndef EXTENDER_DECISIONS_H
#define EXTENDER_DECISIONS_H

#include "base/clock.h"
#include "extender/wire.h"

enum { DECISIONS_MAX = 512, DECISION_EXAMPLES_MAX = 8 };

struct decisions;

/* NULL without memory, of which it takes some 2 MiB at most. */
struct decisions *decisions_new(const struct mem *mem, const struct clock *clock, struct err *err);
/* Accepts NULL. */
void decisions_free(struct decisions *decisions);

/* Best effort: without memory the decision is not remembered. A new filtering forgets what was before. */
void decisions_filtered(struct decisions *decisions, const struct pod *pod,
                        const struct wire_node *nodes, const uint8_t *verdicts, size_t count);
void decisions_scored(struct decisions *decisions, const struct pod *pod, struct str best,
                      int score);
void decisions_bound(struct decisions *decisions, const struct wire_binding *binding,
                     struct str error);

/* Why it waits. */
void decisions_advised(struct decisions *decisions, const struct kube_meta *pod, struct str text);

/* Appends the JSON; false when nothing is known of the pod. */
bool decisions_write(struct decisions *decisions, struct str namespace, struct str name,
                     struct buf *buf);

/* Pods of which the last filtering found no node, and which were not bound since. */
size_t decisions_waiting(struct decisions *decisions);

#endif
