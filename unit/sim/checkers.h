/*
 * The judges of a simulation. Each looks at what the server stores, what processes send, and what they
 * were told, and knows nothing of the code under test. What they say must always hold is listed in
 * checkers.c; the first violation ends the simulation with the checker's name.
 */
#ifndef UNIT_SIM_CHECKERS_H
#define UNIT_SIM_CHECKERS_H

#include "unit/sim/actors.h"
#include "unit/sim/process.h"

enum { SIM_PROCESSES_MAX = 3, SIM_KNOWN_MAX = 512, SIM_CHILDREN_MAX = 4096, SIM_UID_MAX = 40 };

/* A Performer that is or was. */
struct sim_known {
    char uid[SIM_UID_MAX];
    bool is_blue_green;
    int64_t blue_green_ns; /* when it last was */
    unsigned writes;       /* by controllers, events apart */
};

/* A pod or Service that is a child of a Performer, or was: a process may not know yet that it is not. */
struct sim_child {
    char uid[SIM_UID_MAX];
    int64_t ours_ns;                /* when it was last seen to be one */
    const struct sim_known *parent; /* NULL: it never had an owner reference */
};

/* What a process has been told and has done. */
struct sim_witness {
    char identity[SIM_IDENTITY_MAX];
    int64_t deadline_ns; /* of writes: ten seconds after its last renewal was sent */
    uint64_t seen[SIM_RESOURCES];
    struct {
        /* The versions of its own writes that it knows of, and the hashes of the objects' paths. */
        uint64_t own[SIM_RESOURCES];
        uint64_t own_paths[SIM_RESOURCES];
        int64_t answered_ns; /* when it learned of the last one, or what became of it */
        uint64_t created;    /* hash of its last create: a retry is not a new decision */
        uint64_t doubt_path; /* of the child whose last create or delete is not settled; 0: none */
    } about[SIM_KNOWN_MAX];  /* by the Performer */
};

struct sim_checkers {
    struct sim_world *world;
    struct sim_network *network;
    struct sim_actors *actors;
    struct sim_known known[SIM_KNOWN_MAX];
    size_t known_count;
    struct sim_child children[SIM_CHILDREN_MAX];
    size_t child_count;
    struct sim_witness witnesses[SIM_PROCESSES_MAX];
    bool judges_performers; /* else only who may write, and when */
    uint64_t writes;        /* by processes, Leases apart */
    int64_t last_write_ns;
    int64_t stolen_ns; /* when somebody deleted the Lease last */
};

void sim_checkers_init(struct sim_checkers *checkers, struct sim_network *network,
                       struct sim_actors *actors);

/* Somebody deleted the Lease a moment ago: its holder may not know yet that another has it. */
bool sim_may_have_two_leaders(const struct sim_checkers *checkers);
/* To be called after each write. */
void sim_check_write(struct sim_checkers *checkers, const struct sim_event *event);
/* For the hooks of the network. */
void sim_check_send(void *ctx, struct sim_transport *from, const struct kube_request *request);
void sim_check_answer(void *ctx, struct sim_transport *from, const struct kube_request *request,
                      int64_t sent_ns, const struct kube_response *response,
                      const struct sim_object *written);
void sim_check_seen(void *ctx, struct sim_transport *from, const struct kube_resource *resource,
                    uint64_t version);
/* A line of a log, the metrics: no value of an environment is in it. */
void sim_check_text(struct sim_checkers *checkers, const char *what, struct str text);

/* Whether all Performers are what they should be; else why not, in `why`. */
bool sim_check_settled(struct sim_checkers *checkers, char *why, size_t size);

#endif
