/*
 * `callboard-extender replay`: what a packing policy makes of a list of nodes and pods, without a cluster.
 *
 * The fill-up: pods arrive in a given order and stay (or leave after --hold further arrivals); one that fits
 * nowhere is counted and passed over. The flow: pods arrive at random at a given load and leave after a
 * lifetime; one that fits nowhere is rejected, or waits in a queue. Everything follows from the lists, the
 * order and the seed; only the times per decision differ between two runs.
 */
#ifndef EXTENDER_REPLAY_H
#define EXTENDER_REPLAY_H

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "extender/pack.h"

#include <stdio.h>

enum replay_typical { REPLAY_LEARN, REPLAY_LIST };
enum replay_lifetimes { REPLAY_EXPONENTIAL, REPLAY_FROM_LIST };

struct replay_options {
    const char *nodes; /* files; trace.h has the formats */
    const char *pods;
    const char *arrivals; /* NULL: the pods in their own order */
    enum pack_kind kind;
    enum replay_typical typical; /* learned from what arrives, or known from the whole list */
    const char *placements;      /* a file to write, or NULL */
    const char *svg;             /* a file to write, or NULL */
    uint64_t hold;               /* arrivals after which a pod leaves; 0: never */
    uint64_t load_percent;       /* 0: the fill-up */
    uint64_t horizon;            /* mean lifetimes that are measured, after two of warming up */
    enum replay_lifetimes lifetimes;
    uint64_t seed;
    bool queue;
    /* A large pod that waits longer gets a node kept free for it: per mille of a mean lifetime; 0: never. */
    uint64_t age_permille;
    uint64_t reserve; /* nodes kept free for the largest pods */
    const struct mem *mem;
    const struct clock *clock;
    FILE *out;
};

int replay_run(const struct replay_options *options, struct err *err);

#endif
