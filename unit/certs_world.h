/*
 * The part of an API server that the webhook's certificates are in: one Secret and two webhook
 * configurations, with versions and conflicts as kube-apiserver has them, for tests. Requests come from fake
 * transports, in whichever order the test lets them happen; vandals change what they like.
 *
 * It remembers every caBundle with its time, because an apiserver may hear of a change late.
 */
#ifndef UNIT_CERTS_WORLD_H
#define UNIT_CERTS_WORLD_H

#include "certs/certs_view.h"
#include "unit/fake_transport.h"
#include "json/json.h"

enum { CERTS_OBJECTS = CERTS_CONFIGURATIONS + 1, CERTS_SECRET_OBJECT = CERTS_CONFIGURATIONS };

/* What all webhooks of a configuration trusted from then on. */
struct certs_bundle {
    struct pki_certs certs;
    int64_t from_ns;
    bool is_vandals;
};

struct certs_world {
    struct arena arena; /* of everything */
    struct test_clock *clock;
    struct str objects[CERTS_OBJECTS]; /* JSON; absent: there is none */
    uint64_t version;
    struct certs_bundle *bundles[CERTS_CONFIGURATIONS]; /* the newest last */
    size_t bundle_count[CERTS_CONFIGURATIONS];
    size_t writes; /* by replicas, that succeeded */
    size_t conflicts;
    size_t authorities; /* how often ca.key was changed by a replica */
    size_t pairs;       /* and tls.key, to a new one */
};

/* With both configurations, of two webhooks each and without a caBundle, and without the Secret. */
void certs_world_init(struct certs_world *world, struct test_clock *clock);
void certs_world_done(struct certs_world *world);

/* The request happens now: its status and, when it is a good one, the object. */
int certs_world_do(struct certs_world *world, const struct kube_request *request, struct str *ret);
/* The same for an open exchange, which gets the answer. */
void certs_world_answer(struct certs_world *world, struct fake_transport *fake, size_t index);

/* What the Secret has; "" when it lacks it. */
struct str certs_world_secret(struct certs_world *world, const char *file);
struct str certs_world_annotation(struct certs_world *world, const char *name);

/* Vandals, and administrators. */
void certs_world_delete(struct certs_world *world, size_t object);
void certs_world_set_secret(struct certs_world *world, const char *file, struct str text);
void certs_world_annotate(struct certs_world *world, const char *name, const char *value);
void certs_world_set_bundle(struct certs_world *world, size_t configuration, struct str pem);
void certs_world_restore(struct certs_world *world, size_t configuration);

#endif
