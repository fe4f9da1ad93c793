/*
 * What the files of the server share: private to them.
 */
#ifndef UNIT_SIM_SERVER_PARTS_H
#define UNIT_SIM_SERVER_PARTS_H

#include "schema/format.h"
#include "unit/sim/server.h"
#include "unit/sim/tree.h"

/* ---- A request, taken apart (server_target.c) ---- */

struct sim_selector; /* one requirement on labels or fields */

struct sim_target {
    const struct sim_resource *resource; /* NULL: no such resource */
    struct str namespace;                /* absent: all, or none */
    struct str name;                     /* absent: the collection */
    struct str subresource;
    /* The query. */
    struct sim_selector *labels;
    struct sim_selector *fields;
    struct str resource_version;
    struct str resource_version_match;
    struct str continue_token;
    struct str bad_selector; /* absent: all were understood */
    int64_t limit;
    int64_t timeout_s;
    int64_t grace_s; /* -1: absent */
    struct str propagation;
    bool is_watch;
    bool wants_bookmarks;
    bool wants_initial_events;
};

/* False when the target is no path that the server has. Everything lives in the arena. */
bool sim_target_read(struct str target, struct arena *arena, struct sim_target *ret);
/* Namespace and selectors. */
bool sim_target_matches(const struct sim_target *target, const struct sim_object *object);
/* The same for long: the texts do not outlive `from`'s arena otherwise. */
void sim_target_copy(const struct sim_target *from, struct arena *arena, struct sim_target *ret);

/* ---- Refusals, in kube-apiserver's words (server_status.c) ---- */

/* One request and its answer. */
struct sim_call {
    struct sim_server *server;
    const struct sim_request *request;
    struct sim_response *response;
    struct arena *arena; /* server->scratch */
    struct sim_target target;
};

void sim_refuse(struct sim_call *call, int status, const char *reason, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* About the object `name`. */
void sim_refuse_object(struct sim_call *call, int status, const char *reason, struct str name,
                       const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The same with another kind in the details than that of the resource. */
void sim_refuse_as(struct sim_call *call, int status, const char *reason, const char *kind,
                   struct str name, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
void sim_refuse_not_found(struct sim_call *call, struct str name);
void sim_refuse_changed(struct sim_call *call, struct str name);
/* 422 with one cause. */
void sim_refuse_field(struct sim_call *call, struct str name, const char *field, const char *cause,
                      const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* 422: an update must name the version that it is based on. */
void sim_refuse_version(struct sim_call *call, struct str name);
/* 422 about the parameters of a list or watch. */
void sim_refuse_list_options(struct sim_call *call, const char *field, const char *message);
/* 422 with a cause for each finding. */
void sim_refuse_findings(struct sim_call *call, struct str name, const struct err_list *errors);
/* "pods", "performers.hourglass.eigenlayer.io". */
struct str sim_qualified(struct sim_call *call);
void sim_answer_success(struct sim_call *call, int status, const struct sim_object *about);
void sim_answer_object(struct sim_call *call, int status, const struct sim_object *object);

/* ---- Writes (server_write.c) ---- */

void sim_create(struct sim_call *call);
void sim_update(struct sim_call *call);
void sim_patch(struct sim_call *call);
void sim_delete(struct sim_call *call);
void sim_bind(struct sim_call *call);
void sim_evict(struct sim_call *call);

/* ---- Admission of custom resources (server_admission.c) ---- */

/* Defaults and judges; false when it was refused, and the call is answered. */
bool sim_admit(struct sim_call *call, struct json *object, const struct sim_object *before);

#endif
