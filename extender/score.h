/*
 * Which of the nodes that fit is best. kube-scheduler adds score × weight × 10 to its own scores, which make
 * about 1,200 at most.
 *
 * A pod with GPUs: the best node must stand strictly above the rest, so it has 10 and all others 0. Which is
 * best the packing policy says (extender/packer.h), or, of MIG instances, how few would be left.
 *
 * A pod without: a mild 0 or 1, so that what users prefer and how they spread pods still counts. 1 have the
 * nodes that come out best of CPU fit, memory fit, balance of the two and health, each at most 25. A
 * resource fits best between 60 and 85 per cent of use with the pod on the node. Nodes with GPUs have 0
 * as long as another will do. Where none will, the policy says on which node its CPU is missed the least,
 * and that one has 10: GPUs that nobody can use for want of CPU cost more than what is preferred.
 */
#ifndef EXTENDER_SCORE_H
#define EXTENDER_SCORE_H

#include "extender/pod.h"

enum { SCORE_BEST = 10, SCORE_FIT_MAX = 100 };

struct packer;

struct score_candidate {
    const struct node *node; /* NULL: not known; scores 0 */
    int64_t heartbeat_age_ns;
    int64_t value; /* what came out, for explanations */
    int score;     /* 0 to SCORE_BEST */
};

/* CPU, memory, balance and health of the node with the pod on it: 0 to SCORE_FIT_MAX. */
int score_fit(const struct pod *pod, const struct node *node, int64_t heartbeat_age_ns);

/* Sets value and score of each. The order of the candidates does not matter: equal ones are told apart by
 * their names. Returns the one that stands above all others; NULL when kube-scheduler's own scores have a say, or
 * when no node is known. */
const struct score_candidate *score_rank(struct packer *packer, const struct pod *pod,
                                         struct score_candidate *candidates, size_t count);

#endif
