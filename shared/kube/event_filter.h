/*
 * Which events are too many, and which are to be combined: private to this folder. Objects and groups are
 * known by hashes under a random seed, in tables of a fixed size in which the one that was used least
 * recently makes room; one that was forgotten begins anew.
 */
#ifndef KUBE_EVENT_FILTER_H
#define KUBE_EVENT_FILTER_H

#include "base/clock.h"
#include "base/mem.h"

struct event_filter;

/* NULL without memory. */
struct event_filter *event_filter_new(const struct mem *mem);
void event_filter_free(const struct mem *mem, struct event_filter *filter);

/* Takes one of the object's 25, of which one comes back every 5 minutes; false when there is none. */
bool event_filter_admits(struct event_filter *filter, uint64_t object, int64_t now_ns);

/* True from the 10th different message of a group (object, type and reason) on, until none has come for
 * 10 minutes. */
bool event_filter_combines(struct event_filter *filter, uint64_t group, uint64_t message,
                           int64_t now_ns);

#endif
