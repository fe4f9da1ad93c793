/*
 * An API server as a deterministic state machine: what a request is answered depends on the requests
 * before it and on the clock and the random numbers that are given, and on nothing else. It has the
 * behaviour of kube-apiserver 1.36 that our programs rely on, learned from the real one and compared
 * with it by e2e/differential.bats.
 *
 * Not here: authentication, strategic merge patch, server-side apply, managedFields, dry runs.
 * Custom resources are checked by their tables and by the webhook's rules, as in a cluster with Callboard
 * installed. What controllers of a cluster do (garbage collection, endpoints, nodes) is done by actors.h.
 */
#ifndef UNIT_SIM_SERVER_H
#define UNIT_SIM_SERVER_H

#include "base/clock.h"
#include "base/random.h"
#include "types/catalog.h"
#include "unit/sim/store.h"

struct sim_server {
    struct sim_store store;
    const struct clock *clock;
    const struct random *random; /* for uids and generated names */
    struct catalog *catalog;
    /* Told of each write after it was made: the event is the store's last. May be NULL. */
    void (*on_write)(void *ctx, const struct sim_event *event);
    void *ctx;
    bool has_webhook;    /* custom resources are defaulted and judged as Callboard's webhook does */
    bool has_watch_list; /* sendInitialEvents; before Kubernetes 1.34 it was off */
    struct arena scratch; /* of one request */
};

void sim_server_init(struct sim_server *server, const struct clock *clock,
                     const struct random *random);
void sim_server_done(struct sim_server *server);

struct sim_request {
    struct str method;
    struct str target; /* path and query, percent-encoded */
    struct str content_type;
    struct str body;
    /* How far the watch cache is: it serves lists that ask for any version, and bounds watches. 0: it
     * lags behind nothing. */
    uint64_t cache_version;
};

struct sim_response {
    int status;
    int retry_after_s; /* 0: none */
    /* Of a list that ends with this answer, the version that it is of; else 0. */
    uint64_t list_version;
    struct buf body; /* the caller's */
};

/* Everything but a watch. `response->body` is initialised by the caller. */
void sim_server_handle(struct sim_server *server, const struct sim_request *request,
                       struct sim_response *response);

/* What a path is about; NULL when the server has no such resource. */
const struct kube_resource *sim_target_resource(struct str target);

/* A Status in JSON, as every refusal has it. */
void sim_response_set_error(struct sim_response *response, int status, const char *reason,
                            const char *message);

/* ---- Watches ---- */

struct sim_watch;

bool sim_server_is_watch(const struct sim_request *request);
/* NULL with the refusal in *response. Events are pulled with sim_watch_next(). */
struct sim_watch *sim_server_watch(struct sim_server *server, const struct sim_request *request,
                                   struct sim_response *response);
void sim_watch_free(struct sim_watch *watch);
/* Appends the next event, a line of JSON, from what happened up to `version`; false when there is none.
 * After *ret_ended, which an ERROR event precedes, there never is one. */
bool sim_watch_next(struct sim_watch *watch, uint64_t version, struct buf *line, bool *ret_ended);
/* It begins with a list (sendInitialEvents). */
bool sim_watch_is_list(const struct sim_watch *watch);
/* Whether the client asked for bookmarks; appends one with the version up to which all was given. */
bool sim_watch_wants_bookmarks(const struct sim_watch *watch);
void sim_watch_bookmark(const struct sim_watch *watch, struct buf *line);
/* All events up to this version were given, or did not match. */
uint64_t sim_watch_version(const struct sim_watch *watch);
/* As the client asked for; 0: no limit. */
int64_t sim_watch_timeout_s(const struct sim_watch *watch);

#endif
