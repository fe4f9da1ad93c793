/*
 * What the parts of the JobFlow controller share: private to flow*.c.
 *
 *   flow_store.c     projections: what the caches keep
 *   flow_gate.c      who may start
 *   flow_load.c      the run of a flow, from the object and its Jobs
 *   flow_run.c       which steps may start, and how it ends
 *   flow_watch.c     what has become of the steps that have begun
 *   flow_start.c     conditions, and the Jobs that are made
 *   flow_plan.c      actions and events
 *   flow_status.c    the status, within its bounds
 *   flow.c           the order of it all
 *
 * flow_job.h, flow_template.h, flow_values.h, flow_output.h and flow_backoff.h make and read what is in
 * objects, and know nothing of these.
 */
#ifndef CONTROLLER_FLOW_PARTS_H
#define CONTROLLER_FLOW_PARTS_H

#include "controller/flow.h"
#include "controller/flow_backoff.h"
#include "controller/flow_job.h"
#include "controller/flow_output.h"
#include "controller/flow_run.h"
#include "controller/flow_template.h"
#include "controller/manifest.h"

/* ---- Projections ---- */

enum flow_phase {
    FLOW_NONE = 0,
    FLOW_PENDING,
    FLOW_RUNNING,
    FLOW_PAUSED,
    FLOW_SUSPENDED,
    FLOW_SUCCEEDED,
    FLOW_FAILED,
    FLOW_PHASE_COUNT,
};

const char *flow_phase_name(enum flow_phase phase);
enum flow_phase flow_phase_find(struct str name);

enum flow_condition {
    FLOW_READY,
    FLOW_COMPLETED,
    FLOW_HAS_FAILED,
    FLOW_BLOCKED,
    FLOW_CONDITION_COUNT,
};

enum flow_truth { FLOW_UNKNOWN = 0, FLOW_FALSE, FLOW_TRUE };

const char *flow_condition_name(enum flow_condition condition);

/* All times are wall times; 0: none. Of a flow that has ended the texts are absent. */
struct flow_object {
    struct stored stored;
    int64_t created_ns;
    int64_t start_ns;
    int64_t end_ns;
    int64_t ttl_s;      /* -1: never */
    int64_t deadline_s; /* 0: none; the same below */
    int64_t parallelism;
    int64_t backoff_limit;
    int64_t completed; /* status.progress.completedSteps */
    int64_t observed_generation;
    uint32_t count;      /* steps */
    uint32_t main_count; /* of `steps` */
    enum flow_phase phase;
    enum flow_concurrency concurrency;
    enum flow_priority priority;
    bool is_suspended;
    bool is_killing; /* suspendMode Kill */
    struct {
        enum flow_truth truth;
        enum flow_reason reason;
        int64_t since_ns;
    } conditions[FLOW_CONDITION_COUNT];
    struct str group;
    struct str correlation_id;
    struct str initiated_by;
    struct str head;      /* the spec without the steps, JSON */
    struct str steps;     /* a line of JSON for each */
    struct str results;   /* status.steps, JSON */
    struct str resources; /* status.resourceRefs, JSON */
    struct str decisions; /* an object of the annotations about approvals, JSON */
};

static inline bool flow_has_ended(const struct flow_object *flow)
{
    return flow->phase == FLOW_SUCCEEDED || flow->phase == FLOW_FAILED;
}

enum flow_job_state { FLOW_JOB_OPEN, FLOW_JOB_COMPLETE, FLOW_JOB_FAILED };

struct flow_job {
    struct stored stored;
    enum flow_job_state state;
    bool is_suspended;
    int64_t created_ns;
    int64_t end_ns;
    int64_t attempt; /* a label, as the step; -1: none */
    struct str step;
    struct str reason; /* of its failure */
    struct str message;
    struct str text; /* the whole Job when somebody reads it, and it has ended */
};

struct flow_pod {
    struct stored stored;
    bool has_failed;
    bool has_succeeded;
    int64_t created_ns;
    struct str flow; /* label */
    struct str step;
    struct str text; /* what of it exit codes and messages need */
};

/* A time in an object; 0 when it is none, or before 1970. */
int64_t flow_time_of(struct str text);

/* ---- The run of a flow, with all that it needs ---- */

/* Labels with which this controller tells its own caches what to keep. */
#define LABEL_FLOW_RESULT "workflow.kube-zen.io/result"
#define FLOW_RESULT_JOB   "job"
#define FLOW_RESULT_POD   "pod"

enum {
    FLOW_STATUS_MAX = 512 * 1024,      /* bytes */
    FLOW_ALL_OUTPUTS_MAX = 128 * 1024, /* of the outputs of all steps together */
    FLOW_MESSAGE_MAX = 512,            /* of a message */
};

/* What is told about a step; texts are in memory of their own. */
struct flow_words {
    struct str message;
    struct str approved_by;
};

struct flow_made {
    bool is_made;
    struct str uid; /* absent: not known */
};

/* What the server was asked for: a ConfigMap that steps read, or a Job that the caches do not have. */
struct flow_read {
    struct flow_read *next;
    const struct kube_resource *resource;
    struct str name;
    const struct json *data; /* of a ConfigMap; NULL: not found */
    bool is_found;           /* a Job of that try */
    bool is_answered;
    struct arena arena; /* of all this */
};

/* Events about steps, each about all that it is true of. */
enum { FLOW_TALES = 6 };

struct flow_scene;

struct flow_book {
    const struct mem *mem;
    struct arena arena; /* of what stays as long as the run does */
    struct flow_run run;
    struct jobflow *object; /* what is not of steps */
    struct flow_result *results;
    struct flow_values values;
    struct flow_words *words;
    uint32_t *offsets; /* where the texts of the steps begin, and one more */
    uint64_t decided;  /* the version of the object whose decisions were looked at */
    /* The stored status that all this goes with. */
    uint64_t version;     /* of the object */
    uint64_t digest;      /* of what there was to load */
    uint64_t own_version; /* of the object as our last write left it; 0: none */
    int64_t retries;
    int64_t start_ns;
    size_t output_bytes;
    size_t resource_count;
    struct flow_made *resources;
    struct flow_read *reads;
    const struct flow_metrics *metrics;
    struct flow_scene *scene; /* while a plan is made */
    bool may_hold;            /* Jobs may have been suspended with the flow */
    int64_t held_ns;          /* when they were to be, or the run was loaded */
    bool is_finally_planned;  /* the write under way tells how all of `steps` have ended */
    bool is_finally_told;     /* the stored status does */
    enum flow_reason abort;   /* why it ends before its time */
    enum flow_reason failure; /* what it failed of, when that is no step */
    struct str failure_message;
    /* Of the status. */
    uint64_t changes; /* of what it tells */
    uint64_t planned; /* those that the write under way tells */
    uint64_t written;
    enum flow_phase planned_phase;
    enum flow_phase written_phase;
    int64_t planned_ns; /* monotonic */
    int64_t written_ns;
    int64_t behind_ns; /* monotonic: since when there is something to tell; 0: there is not */
    unsigned thinness; /* how much is left out so that it fits */
    uint32_t untold[FLOW_TALES]; /* of how many steps that is to be told */
    int64_t told_ns;             /* monotonic: when that was done last; 0: never */
    /* Of steps that ended well, for the estimate. */
    int64_t took_ns;
    int64_t took_count;
};

/* A reconcile that is under way. */
struct flow_scene {
    struct flow_controller *controller;
    const struct flow_object *flow;
    struct flow_live *live;
    struct flow_book *book; /* NULL: it has not started */
    struct moment now;
    struct plan *plan;
    struct manifest make;
    struct flow_owner owner;
    bool is_full;       /* the plan is: the rest comes later */
    bool writes_status; /* the plan does */
    /* The step that was read last. */
    const struct flow_step *step;
    uint32_t step_index;
};

/* ---- flow_load.c ---- */

/* Reads the flow and what it has come to. NULL with *err: 507 without memory, 422 when the object is none
 * that the webhook would have let pass. */
struct flow_book *flow_book_load(const struct flow_scene *scene, struct err *err);
void flow_book_free(struct flow_book *book);
/* Whether the flow's status is the one that the book goes with: as it was loaded, or as we wrote it last.
 * Another process may have written since, and what that has told of steps counts: the book is then void. */
bool flow_book_fits(struct flow_book *book, const struct flow_object *flow);
/* The step as it is in the object, in the plan's arena. NULL without memory (make.failed). */
const struct flow_step *flow_step_of(struct flow_scene *scene, uint32_t step);
/* Keeps a copy in place of what *to was, or nothing without memory. An absent text keeps none. */
void flow_keep_words(const struct flow_book *book, struct str *to, struct str text);
/* A value that lives as long as the book; NULL without memory. */
const struct json *flow_keep_json(struct flow_book *book, const struct json *value);
/* The step of that name, RUN_NONE when there is none. */
uint32_t flow_book_find(const struct flow_book *book, struct str name);
void flow_book_end(void *book, uint32_t step); /* for flow_run.on_end */

/* ---- flow_watch.c ---- */

/* The child of the step's present try: its name (absent without memory), and what the caches have of it,
 * NULL when there is none of ours. */
struct str flow_child_of(struct flow_scene *scene, uint32_t step);
const struct flow_job *flow_job_of(struct flow_scene *scene, uint32_t step);
const struct stored *flow_performer_of(struct flow_scene *scene, uint32_t step);

/* Looks at what was touched, at decisions, and at what time has come. */
void flow_watch(struct flow_scene *scene);
/* The flow ends before its time: what runs of `steps` is stopped. */
void flow_stop_steps(struct flow_scene *scene);
/* Suspends the Jobs of running steps with the flow, or lets them go on. */
void flow_hold_steps(struct flow_scene *scene);
void flow_delete_performers(struct flow_scene *scene);
/* The end of a step that is_followed, of which nothing is left that would tell how it ended, or, of a FRESH one,
 * what its condition said. */
void flow_end_unseen(struct flow_scene *scene, uint32_t step);
/* For struct flow_sources. */
const struct json *flow_job_object(void *scene, size_t step);

/* ---- flow_start.c ---- */

/* Resources, conditions, Jobs. */
void flow_start_steps(struct flow_scene *scene);
/* The answer of the server; NULL while it is being asked, and without memory (make.failed). */
const struct flow_read *flow_read(struct flow_scene *scene, const struct kube_resource *resource,
                                  struct str name);
/* A decision about a step in PENDING_APPROVAL. */
void flow_decide(struct flow_scene *scene, uint32_t step, const struct json *decisions);
const struct json *flow_decisions(struct flow_scene *scene);

/* ---- flow_plan.c ---- */

bool flow_plan_is_full(const struct flow_scene *scene);
void flow_create(struct flow_scene *scene, const struct kube_resource *resource, struct str name,
                 const struct json *object, const char *purpose);
void flow_ask(struct flow_scene *scene, const struct kube_resource *resource, struct str name);
void flow_suspend_job(struct flow_scene *scene, const struct flow_job *job, bool is_suspended);
void flow_delete(struct flow_scene *scene, const struct kube_resource *resource,
                 const struct stored *object, const char *purpose);
void flow_patch_status(struct flow_scene *scene, struct json *body, const char *purpose);
void flow_again_after(struct flow_scene *scene, int64_t after_ns);
/* At that wall time. */
void flow_again_at(struct flow_scene *scene, int64_t wall_ns);
/* An event about the flow. */
void flow_event(struct flow_scene *scene, bool is_warning, enum flow_reason reason,
                struct str message);
/* The same about a step, later: flow_tell() makes one event of all steps of that reason, when it is time for
 * that, or when it `must`. */
void flow_tell_step(struct flow_book *book, enum flow_reason reason, uint32_t step);
void flow_tell(struct flow_scene *scene, bool must);
/* Some of it is more than that steps begin and end as they should. */
bool flow_has_news(const struct flow_book *book);

/* ---- flow_status.c ---- */

/* The flow as a whole. */
struct flow_situation {
    enum flow_phase phase;
    enum flow_reason reason;
    struct str message;
};

/* Writes the status when it is time: at once for another phase, else at most once in a while. False when there
 * is something to write later. */
bool flow_status_write(struct flow_scene *scene, const struct flow_situation *situation);
/* How long progress may wait: the longer, the more flows are active. */
int64_t flow_progress_ns(const struct flow_scene *scene);

/* ---- flow_metrics.c ---- */

/* How many are active and wait. */
void flow_metrics_show_gate(const struct flow_controller *controller);

#endif
