/*
 * Everybody else in the cluster: users, the scheduler, kubelets, the controllers of endpoints, nodes,
 * garbage and Jobs. Each acts now and then, by chance, on what the server has at that moment; they sit beside
 * the server and know no faults but those that they cause.
 *
 * In the calm that ends a simulation they do only what a healthy cluster does: users rest, strangers'
 * objects go, nodes come back, pods start.
 */
#ifndef UNIT_SIM_ACTORS_H
#define UNIT_SIM_ACTORS_H

#include "unit/sim/world.h"

enum sim_actor {
    SIM_USER,
    SIM_SCHEDULER,
    SIM_KUBELET,
    SIM_ENDPOINTS,
    SIM_NODES,
    SIM_GARBAGE,
    SIM_JOBS, /* only where there are flows */
    SIM_ACTORS,
};

enum { SIM_NODE_COUNT = 3, SIM_NAME_COUNT = 3, SIM_FLOWS_TO_MAKE = 60 };

struct sim_actors {
    struct sim_world *world;
    struct {
        struct timer timer;
        struct sim_actors *actors;
        enum sim_actor kind;
    } each[SIM_ACTORS];
    /* How wild it is, drawn by the seed; per 1,000 occasions. */
    unsigned name_count; /* of Performers, in each namespace */
    unsigned image_failure;
    unsigned crash;
    unsigned eviction;
    unsigned unschedulable;
    unsigned node_failure;
    unsigned meddling;    /* with children */
    unsigned strangers;   /* objects that take the names of ours */
    unsigned manual;      /* steps that wait for a person */
    unsigned performers;  /* steps that make one */
    unsigned job_failure; /* of pods of Jobs */
    unsigned job_speed;   /* of their ends */
    bool has_flows;       /* users make flows, else Performers */
    unsigned flows_made;
    int64_t user_pause_ns;
    int64_t hurry; /* pauses are shorter by this factor; 1 */
    bool is_calm;
    uint64_t actions;
    /* Since when a node is not ready, by its number; 0: it is. For checkers. */
    int64_t not_ready_since_ns[SIM_NODE_COUNT];
    int64_t ready_since_ns[SIM_NODE_COUNT];
};

/* A value of the environment of every Performer: it must never be seen outside pods and specs. */
#define SIM_CANARY        "canary-4f1b2c77"
/* An image that cannot be pulled. */
#define SIM_BAD_IMAGE     "registry.example/app:bad"
/* One whose container always ends with 1, and with 42. */
#define SIM_FAILING_IMAGE "registry.example/fails:1"
#define SIM_FINAL_IMAGE   "registry.example/fails:42"

/* Makes namespaces and nodes, and draws how wild it is. */
void sim_actors_init(struct sim_actors *actors, struct sim_world *world, bool has_flows);
void sim_actors_done(struct sim_actors *actors);
/* From now on all is well. */
void sim_actors_calm(struct sim_actors *actors);
/* The number of the node of that name, or -1. */
int sim_node_number(struct str name);

/* ---- Users alone act on demand ---- */

/* Creates one Performer, plainly: image v1, Recreate. */
void sim_user_create(struct sim_actors *actors, const char *namespace, const char *name,
                     const char *image, const char *strategy);
void sim_user_act(struct sim_actors *actors);

/* private: one step of each (actors_*.c) */
void sim_scheduler_act(struct sim_actors *actors);
void sim_kubelet_act(struct sim_actors *actors);
void sim_endpoints_act(struct sim_actors *actors);
void sim_nodes_act(struct sim_actors *actors);
void sim_garbage_act(struct sim_actors *actors);
void sim_jobs_act(struct sim_actors *actors);
void sim_flow_user_act(struct sim_actors *actors);
void sim_nodes_init(struct sim_actors *actors);
bool sim_is_pod_of_job(const struct sim_object *pod);
void sim_run_pod_of_job(struct sim_actors *actors, const struct sim_object *pod);
/* The path of an object, in `to`. */
struct str sim_path(const struct sim_object *object, const char *subresource, char *to,
                    size_t size);
bool sim_node_is_up(const struct sim_actors *actors, struct str name);

#endif
