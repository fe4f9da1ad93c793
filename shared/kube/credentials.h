/*
 * Credentials from fixed texts, from files that are read again when they change, or from a plugin:
 * private to this folder. The source of kube/identity.h.
 */
#ifndef KUBE_CREDENTIALS_H
#define KUBE_CREDENTIALS_H

#include "kube/exec.h"
#include "kube/identity.h"

#include <sys/stat.h>

/* One text. */
struct kube_material {
    const char *field; /* "clusters[prod].certificate-authority", for messages */
    const char *path;  /* NULL: it is fixed */
    struct buf text;   /* empty: there is none */
    struct stat seen;  /* the file when it was read */
};

enum { MATERIAL_CA, MATERIAL_CERT, MATERIAL_KEY, MATERIAL_TOKEN, MATERIALS };

struct kube_credentials {
    struct kube_identity_source source;
    const struct mem *mem; /* wipes what is given back */
    const struct clock *clock;
    struct kube_material materials[MATERIALS];
    struct str basic; /* "Basic …", when there is no token; absent: none */
    bool has_exec;
    struct kube_exec exec;
    struct buf authorization;
    int64_t looked_ns;  /* at the files */
    int64_t started_ns; /* the plugin */
    uint64_t taken;     /* the plugin's version that is in use */
    uint64_t version;   /* 0: never been ready */
    bool is_refused;    /* the server does not accept what is there */
};

void kube_credentials_init(struct kube_credentials *credentials, const struct mem *mem,
                           const struct clock *clock);
/* Accepts a zeroed one. */
void kube_credentials_done(struct kube_credentials *credentials);

/* After materials and basic have been set: reads the files. -1 names the field and the file. */
int kube_credentials_begin(struct kube_credentials *credentials, struct err *err);
/* What the plugin prints goes before the materials. It is run when it is needed. */
int kube_credentials_use_exec(struct kube_credentials *credentials,
                              const struct kube_exec_config *config, struct err *err);

#endif
