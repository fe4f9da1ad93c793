/*
 * A credential plugin: a program that prints an ExecCredential (client.authentication.k8s.io/v1 and
 * v1beta1, k8s.io/client-go plugin/pkg/client/auth/exec): private to this folder.
 *
 * It runs beside the event loop: without a shell, with nothing on its standard input, its output
 * bounded, killed with its children when it takes too long. What it writes to its standard error is
 * dropped, since nobody knows what is in it.
 */
#ifndef KUBE_EXEC_H
#define KUBE_EXEC_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

#define KUBE_EXEC_TIMEOUT_NS (60 * CLOCK_NS_PER_SEC)

struct kube_exec_config {
    const struct mem *mem; /* wipes what is given back */
    const char *command;   /* with a slash: a path; else looked for in PATH */
    char *const *argv;     /* with the command first, NULL-terminated */
    char *const *envp;     /* all of it */
    struct str api_version;
    int64_t timeout_ns; /* 0: KUBE_EXEC_TIMEOUT_NS */
};

enum kube_exec_state {
    KUBE_EXEC_IDLE,
    KUBE_EXEC_RUNNING,
    KUBE_EXEC_FAILED, /* the last run; see `err` */
};

/* What it printed last. */
struct kube_exec_credential {
    struct buf token; /* empty: none */
    struct buf cert;
    struct buf key;
    int64_t expires_wall_ns; /* INT64_MAX: never */
    uint64_t version;        /* of runs that succeeded; 0: none has */
};

struct kube_exec {
    struct kube_exec_config config;
    enum kube_exec_state state;
    struct err err;
    struct kube_exec_credential credential;
    int fd; /* readable: call kube_exec_handle() */
    int output;
    int process; /* pidfd */
    int timer;
    int pid;
    bool was_killed;
    struct buf printed;
};

/* The config's texts must outlive it. */
int kube_exec_init(struct kube_exec *exec, const struct kube_exec_config *config, struct err *err);
/* Kills what runs. Accepts a zeroed one. */
void kube_exec_done(struct kube_exec *exec);

/* Starts it unless it runs. What prevents it is the state KUBE_EXEC_FAILED. */
void kube_exec_start(struct kube_exec *exec);
void kube_exec_handle(struct kube_exec *exec);

#endif
