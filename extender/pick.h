/*
 * Which of the nodes that fit a pod are named to a kube-scheduler that asks to have them picked.
 *
 *   all that fit ──▶ one stands above all others     that one: kube-scheduler would take it whatever its own scores
 *                │                                   say, and need not score a thousand nodes to find it
 *                ├▶ the pod has preferences          all, for kube-scheduler to weigh them
 *                └▶ else                             a sample: at least 100, and 5 per cent
 *
 * The sample is as small as kube-scheduler's own may be (minFeasibleNodesToFind and minFeasibleNodesPercentageToFind
 * of pkg/scheduler/schedule_one.go; by default it looks at 42 per cent of 1,000 nodes). It is told to look at all
 * because packing has to, which is of no use to a pod without GPUs. Half of the sample are nodes of the best score,
 * if there are as many, and the rest are any; each pod has a sample of its own.
 */
#ifndef EXTENDER_PICK_H
#define EXTENDER_PICK_H

#include "base/hash.h"
#include "extender/packer.h"

enum { PICK_LEAST = 100, PICK_PER_CENT = 5, PICK_MAX = 1000 };

/* Places in `candidates` of the nodes to name, how many; 0: all of them. The candidates are those that fit, and are
 * ranked: where one stands above all others, it is the only one and has SCORE_BEST. Some are forgotten. */
size_t pick_nodes(struct packer *packer, const struct pod *pod, struct score_candidate *candidates,
                  size_t count, const struct hash_seed *seed, size_t ret[PICK_MAX]);

#endif
