/*
 * The judge of flows in a simulation. It reads what the server stores, as a user would, and knows nothing of
 * the code under test: which steps a flow has, which Jobs were ever made for them and what became of each,
 * and from that what may happen next. The first violation ends the simulation with the rule's name:
 *
 *   job owner        a Job of ours belongs to a flow that was there a moment ago, and to a step of it
 *   job once         a step has one Job at a time; a try that has ended is not made again, nor is a step run
 *                    again that has succeeded, unless somebody deleted the Job before the status told of it;
 *                    tries are numbered one after the other
 *   order            a step's Job is made when its dependencies are settled, one of finally when all steps are,
 *                    and none while there is a Job of a step that depends on it
 *   condition        … and when its condition holds
 *   performer        a step has one Performer at a time, made when its Job would be, and gone with the flow's end
 *   value            what is made has no placeholder left in it
 *   skipped          a step is skipped for the reason that is told, and no other
 *   failed           a step fails when its Job has, and when it may not be tried again
 *   failure          no step is begun after one has failed for good, but those of finally
 *   retries          no step, and no flow, is tried more often than it says
 *   parallelism      no more steps run at once than it says
 *   suspend          no step is begun while the flow is suspended
 *   start            no Job before the status says that the flow has started, none after its end
 *   resources        … and not before what resourceTemplates asks for was made, but for those of finally
 *   active           no more flows are active than there may be
 *   concurrency      no flow starts beside another of its group that it does not allow
 *   starvation       no flow waits while many that came later start
 *   status           what has ended stays so; counts are right; the outcome is what the Jobs' outcomes give
 *   ttl              only a flow that has ended is deleted
 *   foreign          nothing else is written
 *
 * For the moment in which two processes may lead, only `foreign`, `ttl` and `status` are judged.
 */
#ifndef UNIT_SIM_FLOWS_H
#define UNIT_SIM_FLOWS_H

#include "unit/sim/world.h"

enum {
    SIM_FLOWS_MAX = 256,     /* in one simulation */
    SIM_FLOW_STEPS_MAX = 16, /* of one flow */
    SIM_TRIES_MAX = 32,      /* of one step */
};

enum sim_try_state { SIM_TRY_OPEN, SIM_TRY_COMPLETE, SIM_TRY_FAILED, SIM_TRY_GONE };

/* A Job that is or was. */
struct sim_try {
    int64_t attempt;
    int64_t made_ns;
    enum sim_try_state state;
    bool is_final;   /* it failed by its podFailurePolicy */
    bool is_ignored; /* its failure may not count */
    bool is_suspended;
    bool is_removed; /* somebody has deleted it, and its result with it */
};

struct sim_flow_step {
    struct sim_try tries[SIM_TRIES_MAX];
    unsigned count;
    bool has_begun; /* a Job or a Performer of it was made */
    bool was_ready; /* a Performer of it was */
};

struct sim_flow {
    struct sim_object *last; /* as it was stored last; a reference */
    struct sim_flow_step steps[SIM_FLOW_STEPS_MAX];
    bool is_gone;
    int64_t gone_ns;      /* since when it is deleted */
    int64_t suspended_ns; /* since when spec.suspend holds; INT64_MAX: not */
    int64_t parallelism;  /* the greatest of late; 0: no limit */
    int64_t raised_ns;    /* when that was last allowed */
    int64_t started_ns;   /* when its status said so first */
    unsigned resources;   /* that were made */
    unsigned overtaken;   /* by how many that came later, while it could have started */
};

struct sim_flow_checker {
    struct sim_world *world;
    struct sim_flow flows[SIM_FLOWS_MAX];
    size_t count;
    int64_t max_active; /* 0: no limit */
    uint64_t jobs;      /* that were made */
    uint64_t ended;     /* flows */
};

void sim_flows_init(struct sim_flow_checker *checker, struct sim_world *world, int64_t max_active);
void sim_flows_done(struct sim_flow_checker *checker);

/* After every write, whoever made it. */
void sim_flows_note(struct sim_flow_checker *checker, const struct sim_event *event);
/* Before sim_flows_note(), for a write of a controller. */
void sim_flows_judge(struct sim_flow_checker *checker, const struct sim_event *event,
                     bool may_be_two_leaders);

/* Whether every flow has come to its end; else why not. */
bool sim_flows_are_settled(const struct sim_flow_checker *checker, char *why, size_t size);

#endif
