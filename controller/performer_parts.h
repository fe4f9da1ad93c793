/*
 * What the parts of the Performer controller share: private to performer*.c.
 *
 *   performer_store.c      projections: what the caches keep
 *   performer_name.c       revision, names, labels
 *   performer_look.c       what is there: the pods by role, the Service, the nodes
 *   performer_plan.c       actions and events
 *   performer_pod.c        the pod's manifest, performer_hardware.c what of it hardware needs
 *   performer_service.c    the Service, and where it leads
 *   performer_status.c     the status: derived from what is there, compared, written
 *   performer_node.c       pods on lost nodes
 *   performer_failure.c    what failed, when it is tried again, what the API server refused
 *   performer_end.c        deletion
 *   performer.c            the order of it all
 */
#ifndef CONTROLLER_PERFORMER_PARTS_H
#define CONTROLLER_PERFORMER_PARTS_H

#include "controller/manifest.h"
#include "controller/node_gpu.h"
#include "controller/performer.h"
#include "controller/performer_reason.h"

/* ---- Status: in the order of the generated reference ---- */

enum performer_phase {
    PHASE_NONE = 0,
    PHASE_PENDING,
    PHASE_RUNNING,
    PHASE_UPGRADING,
    PHASE_TERMINATING,
    PHASE_FAILED,
    PHASE_COUNT,
};

enum performer_stage {
    STAGE_NONE = 0,
    STAGE_CREATING,
    STAGE_POD_CREATION,
    STAGE_SCHEDULING,
    STAGE_NODE_SELECTION,
    STAGE_HARDWARE_VALIDATION,
    STAGE_POD_BINDING,
    STAGE_IMAGE_PULL,
    STAGE_CONTAINER_START,
    STAGE_SERVICE_CREATION,
    STAGE_RUNNING,
    STAGE_UPGRADING,
    STAGE_POD_RECREATION,
    STAGE_TERMINATING,
    STAGE_SERVICE_CLEANUP,
    STAGE_POD_CLEANUP,
    STAGE_FAILED,
    STAGE_COUNT,
};

enum performer_condition {
    CONDITION_POD_SCHEDULED,
    CONDITION_HARDWARE_VALIDATED,
    CONDITION_IMAGE_PULLED,
    CONDITION_CONTAINERS_READY,
    CONDITION_SERVICE_READY,
    CONDITION_READY,
    CONDITION_COUNT,
};

/* Of attempts and retries, far more than there can be. */
enum { PERFORMER_COUNT_MAX = 1 << 30 };

enum truth { TRUTH_UNKNOWN = 0, TRUTH_FALSE, TRUTH_TRUE };

const char *performer_phase_name(enum performer_phase phase);
const char *performer_stage_name(enum performer_stage stage);
enum performer_phase performer_phase_find(struct str name);
enum performer_stage performer_stage_find(struct str name);
const char *performer_condition_name(enum performer_condition condition);

/* ---- Projections ---- */

struct performer_object {
    struct stored stored;
    uint64_t revision;     /* of the spec */
    uint64_t status_hash;  /* performer_status_hash() */
    int64_t created_ns;    /* this and all times below: wall; 0: none */
    int64_t backoff_limit; /* -1: none */
    uint16_t grpc_port;
    bool has_finalizer;
    bool is_blue_green;
    bool waits_for_node; /* nodeFailurePolicy Wait */
    bool wants_hardware;
    struct str spec;             /* JSON */
    struct str finalizers;       /* JSON, absent without */
    struct str other_conditions; /* of status, not ours; JSON, absent without */
    struct str avs_label;
    struct str reservation;
    struct str correlation_id;

    /* Of status. */
    enum performer_phase phase;
    enum performer_stage stage;
    enum performer_reason reason; /* of the condition Ready */
    bool is_ready;
    int64_t observed_generation;
    int64_t attempt;
    int64_t retries;
    int64_t next_retry_ns;
    int64_t last_upgrade_ns;
    int64_t ready_ns;
    uint64_t served_revision; /* 0: it has never been ready */
    struct {
        enum truth truth;
        int64_t since_ns; /* 0: the condition is not there */
    } conditions[CONDITION_COUNT];
};

enum container_state {
    CONTAINER_NONE = 0, /* nothing reported */
    CONTAINER_WAITING,
    CONTAINER_RUNNING,
    CONTAINER_TERMINATED,
};

/* Of our container, and of its port. */
#define PERFORMER_CONTAINER "performer"
#define PERFORMER_PORT      "grpc"

struct performer_pod {
    struct stored stored;
    uint64_t revision; /* by its label; 0: none */
    uint64_t labels_hash;
    int64_t attempt; /* by its label; -1: none */
    int64_t created_ns;
    int64_t scheduled_ns; /* when PodScheduled changed last */
    int64_t ready_since_ns;
    int64_t node_gone_ns; /* of the annotation */
    int64_t exit_code;
    int container; /* the index of ours in spec.containers; -1: it has none */
    enum container_state state;
    enum performer_reason failure; /* REASON_NONE: it has not failed */
    bool has_ended;                /* phase Succeeded or Failed */
    bool is_ready;
    bool is_pulled;
    bool is_unschedulable;
    struct str owners;    /* JSON, when there is no controller among them; else absent */
    struct str performer; /* by its label */
    struct str node_name;
    struct str image;
    struct str reason;  /* why the container waits or has ended, or the pod */
    struct str message; /* the scheduler's, or about the image, or why the pod has ended */
};

struct performer_service {
    struct stored stored;
    uint64_t revision; /* that it selects; 0: none */
    uint64_t labels_hash;
    int64_t port; /* 0: its ports are not as ours */
    bool is_cluster_ip;
    bool selects_performer; /* by label and revision, and by nothing else */
    struct str owners;      /* as of struct performer_pod */
    struct str performer;   /* by its label */
    struct str selector;    /* JSON */
};

struct performer_slice {
    struct stored stored;
    struct str ready_pods; /* that get calls: "NAME\nNAME\n" */
};

struct performer_node {
    struct stored stored;
    bool is_ready;
    bool is_out_of_service;
    int64_t since_ns; /* when the condition Ready changed last */
    struct node_gpu gpu;
};

/* ---- Names ---- */

/* Of what makes up the pod. Never 0. */
uint64_t performer_revision(const struct json *spec);
/* Of a tree: members in any order, what is null or empty counts as absent; 0 for what is empty. With
 * `is_loose`, a run of digits in a member "message" is as any other. */
uint64_t performer_hash(const struct json *value, bool is_loose);
/* Of the labels that are ours, among others. */
uint64_t performer_labels_hash(const struct json *labels);

enum { LABEL_VALUE_SIZE = 64, HEX_SIZE = 17 };

/* A text as a label's value: itself when it is one, else what is legal of it with a hash. */
struct str performer_label_value(struct str text, char to[LABEL_VALUE_SIZE]);
struct str performer_hex(uint64_t number, char to[HEX_SIZE]);
/* 0 when it is none. */
uint64_t performer_hex_read(struct str text);

/* Absent without memory. */
struct str performer_pod_name(struct arena *arena, struct str name, struct str uid,
                              uint64_t revision, int64_t attempt);
struct str performer_service_name(struct arena *arena, struct str name);

/* Of the members of status that the controller writes. */
uint64_t performer_status_hash(const struct json *status);

/* ---- One reconcile ---- */

struct condition {
    enum truth truth;
    enum performer_reason reason;
    struct str message;
};

struct performer_status {
    enum performer_phase phase;
    enum performer_stage stage;
    bool is_ready;
    bool is_progress;    /* of no importance unless it lasts */
    int64_t since_ns;    /* then: since when the stage lasts */
    struct str pod_name; /* absent: none; the same for the next */
    struct str node_name;
    int64_t attempt;
    int64_t retries;
    int64_t next_retry_ns; /* 0: none; the same for the next two */
    int64_t last_upgrade_ns;
    int64_t ready_ns;
    uint64_t served_revision;
    struct condition conditions[CONDITION_COUNT];
};

/* What is there, and what is to be done about it. Views lead into the caches and the plan's arena. */
struct scene {
    const struct performer_controller *controller;
    const struct performer_object *performer;
    struct moment now;
    struct plan *plan;
    struct manifest make;
    bool is_full; /* an action did not fit: the rest is for the next time */

    struct str service_name;
    const struct performer_service *service; /* ours, or NULL */
    bool service_is_foreign;

    int64_t attempt;
    struct str pod_name;                 /* of the pod that should be */
    const struct performer_pod *current; /* that pod, when it is there and is to stay */
    const struct performer_pod *keeper;  /* of another revision, kept while it serves */
    size_t in_the_way;                   /* pods that must be gone before another is made */

    struct performer_status status;
};

/* A pod's node, from best to worst. */
enum node_state {
    NODE_FINE,
    NODE_DOUBTFUL, /* not ready, or not to be found, but not for long, or as most others */
    NODE_LOST,     /* not ready for two minutes */
    NODE_DEAD,     /* gone, or out of service: nothing runs on it */
};

/* performer.c: false when there is no such Performer. */
bool performer_scene(struct scene *ret, const struct performer_controller *controller,
                     struct queue_key key, struct moment now, struct plan *plan);

/* performer_look.c: what is there. */
void performer_look(struct scene *scene);
/* Nothing can take the place of what serves: it is kept, whatever the strategy. */
void performer_keep_what_serves(struct scene *scene);
enum node_state performer_node_state(const struct scene *scene, const struct performer_pod *pod);
bool performer_node_is_gone(const struct scene *scene, const struct performer_pod *pod);
/* Another pod takes over from it. */
bool performer_is_lost(const struct scene *scene, const struct performer_pod *pod);
/* All pods of the Performer, one after the other. */
const struct performer_pod *performer_first_pod(const struct scene *scene);
const struct performer_pod *performer_next_pod(const struct scene *scene,
                                               const struct performer_pod *pod);
/* The EndpointSlices have it as one that gets calls. */
bool performer_is_listed(const struct scene *scene, const struct performer_pod *pod);
/* How much of `wait_ns` is left since `since_ns` (wall); the clock may have been put back. */
int64_t performer_time_left(const struct scene *scene, int64_t since_ns, int64_t wait_ns);

/* performer_plan.c: what is done. Purposes are static. */
void performer_create(struct scene *scene, const struct kube_resource *resource, struct str name,
                      const struct json *object, const char *purpose);
/* Merges `body` into the object as it is in the cache: a change in between is a conflict. */
void performer_patch(struct scene *scene, const struct kube_resource *resource,
                     const struct stored *object, struct json *body, const char *purpose);
/* The same for a JSON patch, which sees to that itself. */
void performer_patch_json(struct scene *scene, const struct kube_resource *resource,
                          const struct stored *object, const struct json *body,
                          const char *purpose);
/* Merges `body` into the status of the Performer. */
void performer_patch_status(struct scene *scene, struct json *body);
void performer_delete(struct scene *scene, const struct kube_resource *resource,
                      const struct stored *object, bool is_forced, const char *purpose);
void performer_event(struct scene *scene, bool is_warning, enum performer_reason reason,
                     struct str message);
/* After what somebody else may undo: whoever fights over a field must not take the writes of all others. */
void performer_rest(struct scene *scene);
/* Looks at the Performer again after that time at the latest. */
void performer_again_after(struct scene *scene, int64_t after_ns);

/* performer_pod.c. */

/* The manifest, or NULL: `*problem` says what of it the catalog does not have, or is absent without
 * memory. */
struct json *performer_pod_manifest(struct scene *scene, struct str *problem);
/* Puts right what somebody changed about the current pod. */
void performer_pod_repair(struct scene *scene);
/* Of a child: the controller reference before its other owners (JSON, or absent), and the labels that all
 * have. */
struct json *performer_owner_references(struct scene *scene, struct str others);
struct json *performer_labels(struct scene *scene);

/* performer_service.c. */

/* Makes the Service, or puts it right, so that it leads to the pods of `revision`. */
void performer_service_ensure(struct scene *scene, uint64_t revision);
/* It leads to the pod and to no other one of ours. */
bool performer_service_leads_to(const struct scene *scene, const struct performer_pod *pod);

/* performer_status.c. */

/* The status without a pod: nothing is known; what lasts is carried over. */
void performer_status_begin(struct scene *scene);
void performer_status_set(struct scene *scene, enum performer_condition condition, enum truth truth,
                          enum performer_reason reason, struct str message);
/* The phase while nothing is wrong and it does not run (yet). */
enum performer_phase performer_phase_on_the_way(const struct scene *scene);
/* On the way: a stage that need not be told unless it lasts; since when it does. */
void performer_status_progress(struct scene *scene, enum performer_stage stage, int64_t since_ns);
/* What the current pod shows: conditions, stage and phase. */
void performer_status_describe(struct scene *scene);
/* Something stands in the way: it is the reason of the condition Ready, whatever serves. */
void performer_status_problem(struct scene *scene, enum performer_phase phase,
                              enum performer_stage stage, enum performer_reason reason,
                              struct str message);
/* Plans the write with its events, unless nothing has changed, or only what need not be told yet. */
void performer_status_write(struct scene *scene);

/* performer_failure.c. */

/* The current pod has failed: the status says so, and when it is time the next attempt begins. */
void performer_fail(struct scene *scene);
/* The status has a failure of the current pod, which has not become ready since. */
bool performer_failure_stands(const struct scene *scene);
/* No pod is to be made now: the API server has refused it, and nothing has changed since. */
bool performer_is_held_back(struct scene *scene);
/* The last word was that the pod or the Service cannot be made, and the spec is the same. */
bool performer_was_refused(const struct scene *scene);

/* performer_node.c. */

/* Lets go of the pods on lost nodes, and notes which nodes are gone. */
void performer_leave_lost_nodes(struct scene *scene);
void performer_note_gone_nodes(struct scene *scene);

/* performer_end.c. */
void performer_end(struct scene *scene);

#endif
