/*
 * Who may start: flows that have not ended, by their concurrency group and by the limit of active flows.
 *
 *                 suspended                                  a turn of its priority
 *   OUT ◀───────────────────▶ BLOCKED ────────▶ QUEUED ───────────────────────▶ GRANTED ──▶ ACTIVE
 *                             in its group,      in the queue of its
 *                             first come,        priority, first come,
 *                             first served       first served
 *
 * A flow with the policy Allow is QUEUED at once. Of the others of a group one at a time is QUEUED, and only
 * when none of the group is active, whatever the policy of that one is. Who comes first says the time of
 * creation, which is stored in whole seconds, and of two of the same second the one that was seen first: a
 * watch tells of creations in their order.
 *
 * The queues high, normal and low have their turns one after the other, so that each gets a third of what
 * starts while all have some that wait. Without a limit a queue is never longer than a moment. A new leader goes
 * on behind the last start that it sees: leaders that follow each other fast would else begin with high again
 * and again.
 *
 * It is built from the cache of JobFlows and follows it; what it keeps besides is who was GRANTED, until
 * the cache shows that it has started, and whose turn it is.
 */
#ifndef CONTROLLER_FLOW_GATE_H
#define CONTROLLER_FLOW_GATE_H

#include "base/err.h"
#include "base/hash.h"
#include "control/queue.h"

enum flow_concurrency { FLOW_ALLOW, FLOW_FORBID, FLOW_REPLACE };
enum flow_priority { FLOW_HIGH, FLOW_NORMAL, FLOW_LOW, FLOW_PRIORITY_COUNT };

enum gate_state { GATE_OUT, GATE_BLOCKED, GATE_QUEUED, GATE_GRANTED, GATE_ACTIVE };

struct gate_group;

/* A flow that has not ended. */
struct flow_live {
    struct flow_live *next_by_key;
    struct gate_group *group;
    struct flow_live *prev, *next; /* in group->waiting or in a queue */
    struct flow_live *prev_member, *next_member;
    enum gate_state state;
    enum flow_concurrency concurrency;
    enum flow_priority priority;
    int64_t created_ns;
    uint64_t number;      /* of those that were seen */
    struct queue_key key; /* this and uid: copies behind the struct */
    struct str uid;
    size_t size;
    void *run; /* what its controller keeps of it; NULL: nothing */
};

struct gate_facts {
    struct queue_key key;
    struct str uid;
    struct str group;
    int64_t created_ns;
    int64_t start_ns; /* wall; 0: it has not started */
    enum flow_concurrency concurrency;
    enum flow_priority priority;
    bool is_out; /* it may not start: it is suspended */
};

struct flow_gate;

struct flow_gate_config {
    const struct mem *mem;
    const struct random *random;
    int64_t max_active; /* 0: no limit */
    /* The flow should be looked at: it may start, or has to make room. */
    void (*wake)(void *ctx, struct queue_key key);
    /* Frees live->run. */
    void (*drop_run)(void *ctx, void *run);
    void *ctx;
};

struct flow_gate *flow_gate_new(const struct flow_gate_config *config, struct err *err);
/* Accepts NULL. */
void flow_gate_free(struct flow_gate *gate);

/* The flow is there and has not ended. NULL without memory. */
struct flow_live *flow_gate_see(struct flow_gate *gate, const struct gate_facts *facts);
/* It has ended or is gone. */
void flow_gate_forget(struct flow_gate *gate, const struct gate_facts *facts);
/* NULL when it is not known. */
struct flow_live *flow_gate_find(const struct flow_gate *gate, struct queue_key key);
/* All runs are dropped, and nobody is GRANTED: another process may have led. */
void flow_gate_reset(struct flow_gate *gate);

/* Lets those go whose turn it is, and says whether this one is among them. */
bool flow_gate_ask(struct flow_gate *gate, const struct flow_live *live);
/* A flow of its group that waits wants its place. */
bool flow_gate_is_replaced(const struct flow_live *live);

/* GRANTED and ACTIVE ones; those that wait in a priority's queue, or for their group. */
size_t flow_gate_active(const struct flow_gate *gate);
size_t flow_gate_waiting(const struct flow_gate *gate, enum flow_priority priority);

#endif
