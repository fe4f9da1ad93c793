/*
 * The packing policy on the cluster that is: which node and which devices a pod gets, by the code that
 * `callboard-extender replay` runs too (extender/pack.h).
 *
 *   handlers' threads                  the event loop
 *   packer_score() ──▶ ┌──────┐ ◀── packer_pod_changed()   arrivals and departures
 *                      │ lock │ ◀── packer_refresh()       prices, now and then
 *                      └──────┘ ◀── packer_devices()       the devices, when a pod is bound
 *
 * Nodes that share their GPUs and those of a device plugin have a policy of their own each, because no pod can
 * go to both. It is made when there is a node of that mode, and begins by learning from the pods that exist.
 * Pods without GPUs teach it nothing: in a cluster with many of them they would leave it too few samples of
 * the others. A pod that asks for products which no node has, teaches nothing either.
 */
#ifndef EXTENDER_PACKER_H
#define EXTENDER_PACKER_H

#include "extender/cached_pod.h"
#include "extender/pack.h"
#include "extender/score.h"
#include "extender/snapshot.h"

struct packer;

struct packer *packer_new(enum pack_kind kind, const struct mem *mem, struct err *err);
/* Accepts NULL. */
void packer_free(struct packer *packer);

/* ---- Any thread ---- */

/* Sets the value of each candidate whose node is known: higher is better, INT64_MIN where the pod does not fit
 * (any more). Before there is a policy for a node's mode, all are worth the same. */
void packer_score(struct packer *packer, const struct pod *pod, struct score_candidate *candidates,
                  size_t count);
/* The devices of a shared node for what a pod takes, 0 when too few are free. */
uint64_t packer_devices(struct packer *packer, const struct node *node, const struct pod_load *load,
                        bool wants_spread);

/* ---- The event loop ---- */

/* What the cache of pods tells of a change. */
void packer_pod_changed(struct packer *packer, const struct stored *before,
                        const struct stored *after);
/* Prices anew when it is time, or with `now` in any case. Policies that are needed and not there are made, and
 * learn from the pods. False without memory: it is tried again with the next call. */
bool packer_refresh(struct packer *packer, const struct snapshot *snapshot,
                    const struct store *pods, bool now);

/* ---- Over a restart ---- */

enum packer_part { PACKER_SHARED, PACKER_PLUGIN, PACKER_PARTS };

/* "shared", "plugin". */
struct str packer_part_name(enum packer_part part);
/* Appends what was learned; nothing when there is no such policy. */
void packer_save(struct packer *packer, enum packer_part part, struct buf *to);
/* Takes the place of what was learned so far. Errors as pack_load() and pack_new(). */
int packer_load(struct packer *packer, enum packer_part part, struct str text, struct err *err);
/* How many pods have been learned from in this process: whether there is something new to be kept. */
uint64_t packer_learned(struct packer *packer);

#endif
