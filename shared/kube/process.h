/*
 * What a program has around an event loop that follows the API server: the way there, a name for its Lease,
 * a pulse for /healthz, and signals that end the loop's wait.
 *
 *   program_block_signals()        before the first thread
 *   process_open()
 *   process_watch_signals()        a thread
 *   while (!process_signal(…)) {
 *       … a turn of the loop …
 *       process_beat(…)
 *   }
 *   process_unwatch_signals()
 *   … whatever uses the transport ends …
 *   process_close()
 *
 * The loop's thread calls all but process_signal(), process_find_illness() and process_find_unready(), which
 * any may call.
 */
#ifndef KUBE_PROCESS_H
#define KUBE_PROCESS_H

#include "base/random.h"
#include "kube/config.h"
#include "kube/curl.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    PROCESS_HOST_NAME_SIZE = 256,
    PROCESS_IDENTITY_SIZE = PROCESS_HOST_NAME_SIZE + RANDOM_UUID_SIZE,
};

struct process_options {
    const struct clock *clock;
    const char *program;      /* "callboard-controller"; as long as the process */
    const char *kubeconfig;   /* as in kube_config_options */
    unsigned max_connections; /* these two as in kube_curl_config */
    int64_t gather_ns;
};

struct process {
    const struct clock *clock;
    struct kube_config *kube;
    struct kube_transport *transport;
    char host_name[PROCESS_HOST_NAME_SIZE];
    char identity[PROCESS_IDENTITY_SIZE]; /* of no other process */
    pthread_t signals;
    bool has_signals;
    atomic_bool has_ended;    /* the thread of the signals may end */
    atomic_int signal_number; /* that asked for the end, or 0 */
    atomic_bool has_synced;
    _Atomic int64_t beat_ns;  /* of the event loop */
    _Atomic int64_t heard_ns; /* of the quietest watch */
};

/* Must not be moved. -1 with *err also when there is no cluster. process_close() either way. */
int process_open(struct process *process, const struct process_options *options, struct err *err);
void process_close(struct process *process);

/* From now on SIGTERM and SIGINT end the wait of the transport; a second one ends the process. */
int process_watch_signals(struct process *process, struct err *err);
/* Before the transport goes. Nothing without process_watch_signals(). */
void process_unwatch_signals(struct process *process);
/* The one that asked for the end, or 0. */
int process_signal(const struct process *process);

/* The loop has come round; `heard_ns`: when the quietest of its watches last heard something, by now_ns. */
void process_beat(struct process *process, bool has_synced, int64_t heard_ns);
/* For struct health; `process` is a struct process. */
const char *process_find_illness(void *process);
const char *process_find_unready(void *process);

/* Whether the times of --leader-elect-… go together. */
int process_check_lease(int64_t duration_ms, int64_t renew_deadline_ms, int64_t retry_period_ms,
                        struct err *err);

#endif
