/*
 * What the tests of the extender share: nodes and pods from short texts.
 */
#ifndef UNIT_EXTENDER_FIXTURE_H
#define UNIT_EXTENDER_FIXTURE_H

#include "unit/fake_transport.h"
#include "unit/support.h"

#include "extender/census.h"
#include "extender/packer.h"
#include "kube/events.h"

struct extender_fixture {
    struct arena arena;
    struct catalog *catalog; /* the built-in one */
};

void extender_fixture_init(struct extender_fixture *f);
void extender_fixture_done(struct extender_fixture *f);

/* A copy with a " for each ', in the arena and with a NUL. */
struct str extender_quoted(struct extender_fixture *f, struct str text);
/* JSON in which a ' stands for a ". */
const struct json *extender_json(struct extender_fixture *f, const char *text);

/*
 * A Ready node of 8 cores and 32 GiB. `labels` and `allocatable` are members of JSON objects that are added,
 * "'a':'b'", or ""; `rest` is put behind the members of the object. The facts live in the arena.
 */
struct node extender_node(struct extender_fixture *f, const char *name, const char *labels,
                          const char *allocatable, const char *rest);
/* A shared one with that many devices of 40 GiB. */
struct node extender_shared_node(struct extender_fixture *f, const char *name, unsigned devices);

/* A policy that knows these nodes and no pods; to be given back by packer_free(). */
struct packer *extender_packer(struct extender_fixture *f, enum pack_kind kind,
                               const struct node *nodes, size_t count);
/* All of them at one moment, in the arena. */
const struct snapshot *extender_snapshot(struct extender_fixture *f, const struct node *nodes,
                                         size_t count);

/* A pod of ours whose container has these requests. */
struct pod extender_pod(struct extender_fixture *f, const char *requests, const char *annotations,
                        const char *spec);

/* What the parts of the extender work with; to be given back as usual. A test fails without one of them. */
struct census *extender_census(struct extender_fixture *f, const struct clock *clock,
                               const struct random *random, struct snapshot_source *source);
struct store *extender_store(const struct store_type *type, const struct random *random,
                             void (*on_change)(void *ctx, const struct stored *before,
                                               const struct stored *after),
                             void *ctx);
struct kube_client *extender_client(struct fake_transport *fake, struct timers *timers,
                                    const struct clock *clock, const struct random *random);
struct kube_events *extender_events(struct kube_client *client, struct timers *timers,
                                    const struct clock *clock, const struct random *random);

#endif
