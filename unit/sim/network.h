/*
 * The network between processes and the API server, as a `struct kube_transport` for each process, on
 * the world's time, with faults by chance. What reaches the server and when, and what comes back, is
 * decided here; processes only run inside their own wait().
 *
 * A watch is kept for each stream: it is pushed events some time after the write, several in a piece,
 * pieces cut anywhere.
 */
#ifndef UNIT_SIM_NETWORK_H
#define UNIT_SIM_NETWORK_H

#include "kube/transport.h"
#include "unit/sim/world.h"

/* What can go wrong; each is counted when it happens. */
enum sim_fault {
    SIM_REFUSED,          /* no connection: certainly not done */
    SIM_LOST_BEFORE,      /* no answer, and not done */
    SIM_LOST_AFTER,       /* no answer, but done */
    SIM_SLOW,             /* seconds on the way */
    SIM_REPEATED,         /* a proxy sent it twice: AlreadyExists, Conflict, NotFound */
    SIM_BUSY,             /* 429 with Retry-After */
    SIM_ERROR_BEFORE,     /* 500, not done */
    SIM_ERROR_AFTER,      /* 500, but done */
    SIM_UNAVAILABLE,      /* 503 */
    SIM_CONFLICT,         /* somebody changes the object just before */
    SIM_DENIED,           /* 403 by a quota, 422 by a webhook: a create of a pod */
    SIM_STALE_LIST,       /* a list comes up to 25 s after the moment whose state it is */
    SIM_COMPACTED,        /* the history is gone: 410 */
    SIM_WATCH_CUT,        /* ends, perhaps in the middle of a line */
    SIM_WATCH_DELAYED,    /* events come up to 30 s late */
    SIM_WATCH_COALESCED,  /* many events in one piece */
    SIM_WATCH_DUPLICATED, /* events come again */
    SIM_WATCH_SPLIT,      /* a line comes in two pieces */
    SIM_WATCH_SILENT,     /* a dead connection: nothing comes any more */
    SIM_WATCH_ERROR,      /* an ERROR event */
    SIM_PARTITION,        /* a process is cut off for up to a minute */
    SIM_CLOCK_JUMP,       /* a wall clock is set */
    SIM_PAUSE,            /* a process does not run for up to 40 s */
    SIM_TWO_LEADERS,      /* the Lease is deleted: another takes it while the holder goes on */
    SIM_CRASH,
    SIM_CRASH_AT_WRITE, /* just when the server has done its write */
    SIM_GRACEFUL_END,
    SIM_FAULTS,
};

extern const char *const sim_fault_names[SIM_FAULTS];

struct sim_network;
struct sim_transport;

/* Looks on; any may be NULL. `identity` is that of the process. */
struct sim_network_hooks {
    void (*on_send)(void *ctx, struct sim_transport *from, const struct kube_request *request);
    /* The process learns of the answer now. `written`: what the request wrote, as it then was; NULL when
     * it wrote nothing. */
    void (*on_answered)(void *ctx, struct sim_transport *from, const struct kube_request *request,
                        int64_t sent_ns, const struct kube_response *response,
                        const struct sim_object *written);
    /* All of a resource up to this version has reached the process. */
    void (*on_seen)(void *ctx, struct sim_transport *from, const struct kube_resource *resource,
                    uint64_t version);
    void *ctx;
};

/* Changes what passes, to plant a bug (plant.h); any may be NULL. */
struct sim_network_filter {
    /* True: the answer was made here, and the server sees nothing. */
    bool (*intercept)(void *ctx, struct sim_transport *from, const struct kube_request *request,
                      struct sim_response *response);
    /* Rewrites an answer or a piece of a watch in place. */
    void (*rewrite)(void *ctx, struct sim_transport *from, const struct kube_request *request,
                    struct buf *body);
    void *ctx;
};

struct sim_network {
    struct sim_world *world;
    unsigned permille[SIM_FAULTS];
    uint64_t counts[SIM_FAULTS];
    struct sim_network_hooks hooks;
    struct sim_network_filter filter;
    struct kube_exchange *exchanges; /* all that are under way */
    /* While the server executes a request: who sent it; NULL for actors. */
    struct sim_transport *writer;
    const struct kube_request *writing; /* what it asks for */
    uint64_t requests;
};

void sim_network_init(struct sim_network *network, struct sim_world *world);
void sim_network_done(struct sim_network *network);
/* A write was made: watches are to be told. */
void sim_network_on_write(struct sim_network *network);
/* Whether the fault happens now; counts it. */
bool sim_fault(struct sim_network *network, enum sim_fault fault);

struct sim_delivery;

/* One process's connection. */
struct sim_transport {
    struct kube_transport transport;
    struct sim_network *network;
    const char *identity;
    void *owner;
    struct sim_delivery *first; /* has reached the process, in order */
    struct sim_delivery **last;
    int64_t cut_off_until_ns;
    int64_t until_ns; /* of the last wait() that found nothing to do */
    bool did_something;
    bool is_woken;
};

void sim_transport_init(struct sim_transport *transport, struct sim_network *network,
                        const char *identity, void *owner);
/* The process is gone; what it has sent may still arrive. */
void sim_transport_done(struct sim_transport *transport);
static inline bool sim_transport_is_ready(const struct sim_transport *transport)
{
    return transport->first != NULL || transport->is_woken;
}

#endif
