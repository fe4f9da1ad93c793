/*
 * Keeps what the packing policy has learned over a restart: in the ConfigMap callboard-extender-packing, a key
 * for each part of the packer.
 *
 * Pods that exist would tell much the same of the typical pods, but of those that have ended nothing: after a
 * restart short ones would seem rare, and that pods leave at all would be learned anew, by placing thousands
 * as if none did. So it is written down, seldom: at most every ten minutes when something was learned, and at
 * the end in order. Every replica reads it once at its start and learns on from its own watch; only the active
 * one writes. What a crash loses is ten minutes of arrivals.
 *
 * Nothing waits for it: without the ConfigMap, or the right to it, the policy learns from the pods that exist.
 */
#ifndef EXTENDER_KEEPER_H
#define EXTENDER_KEEPER_H

#include "base/log.h"
#include "extender/packer.h"
#include "kube/client.h"

struct keeper;

struct keeper_config {
    struct kube_client *client;
    struct packer *packer;
    const struct clock *clock;
    const struct mem *mem;
    const struct log *log; /* may be NULL */
    struct str namespace;
    int64_t period_ns; /* of the writing; 10 min */
};

/* Begins to read. */
struct keeper *keeper_new(const struct keeper_config *config, struct err *err);
/* Accepts NULL. */
void keeper_free(struct keeper *keeper);

/* About once a second; `may_write` when this replica is active. */
void keeper_tick(struct keeper *keeper, bool may_write);
/* Before the Lease is given up: writes what is new. */
void keeper_flush(struct keeper *keeper);
/* Whether a write is under way. */
bool keeper_is_writing(const struct keeper *keeper);

#endif
