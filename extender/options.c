/* The table of flags. */
#include "extender/options.h"

static const char *const policy_names[] = {"rsp", "fgd", "bestfit", "random", NULL};

static const struct flag serve_flags[] = {
    {.name = "listen",
     FLAG_AS_STRING(struct extender_options, serve.listen),
     .value_name = "ADDRESS",
     .default_text = "0.0.0.0:9443",
     .text = "Where kube-scheduler is answered."},
    {.name = "health-listen",
     FLAG_AS_STRING(struct extender_options, serve.health_listen),
     .value_name = "ADDRESS",
     .default_text = "0.0.0.0:8080",
     .text = "Where /metrics, /healthz, /readyz, /nodes and /explain/NAMESPACE/POD are served, in "
             "plain HTTP."},
    {.name = "cert-dir",
     FLAG_AS_STRING(struct extender_options, serve.certificate.folder),
     .value_name = "DIR",
     .text = "The folder with tls.crt and tls.key. A change is noticed within a second, without a "
             "restart. Without it and without --manage-certs, plain HTTP, on loopback only."},
    {.name = "manage-certs",
     FLAG_AS_BOOL(struct extender_options, serve.certificate.is_managed),
     .text = "Makes and renews the certificates itself, in the Secret callboard-extender-tls; "
             "kube-scheduler trusts its ca.crt. In place of --cert-dir."},
    {.name = "cert-hosts",
     FLAG_AS_STRING(struct extender_options, serve.certificate.hosts),
     .value_name = "NAMES",
     .text = "More names and addresses that the certificate of --manage-certs is for, separated by "
             "commas, for a kube-scheduler that does not know the names of Services."},
    {.name = "insecure",
     FLAG_AS_BOOL(struct extender_options, serve.insecure),
     .text = "Allows plain HTTP on other addresses than loopback: whoever reaches it can bind "
             "pods."},
    {.name = "kubeconfig",
     FLAG_AS_STRING(struct extender_options, serve.kubeconfig),
     .value_name = "FILE",
     .text = "How to reach the apiserver. When absent, the files of $KUBECONFIG, else the "
             "ServiceAccount of the pod."},
    {.name = "catalog",
     FLAG_AS_STRING(struct extender_options, serve.catalog),
     .value_name = "FILE",
     .text = "The catalog of hardware, YAML. The built-in one when absent or when there is no such "
             "file. A change is noticed within seconds."},
    {.name = "bind-timeout",
     FLAG_AS_DURATION(struct extender_options, serve.bind_timeout_ms),
     .min = 500,
     .max = 60000,
     .default_text = "5s",
     .text = "How long a binding may take; kube-scheduler waits for its httpTimeout, 5 s unless "
             "set. A replica that takes over waits so long for bindings of the one before."},
    {.name = "audit-period",
     FLAG_AS_DURATION(struct extender_options, serve.audit_ms),
     .min = 1000,
     .max = 3600000,
     .default_text = "1m",
     .text = "How often the counts are compared with the annotations of all pods."},
    {.name = "advice-period",
     FLAG_AS_DURATION(struct extender_options, serve.advice_ms),
     .min = 1000,
     .max = 3600000,
     .default_text = "5m",
     .text = "After how long a pod that waits is looked at again, for the event that says what "
             "would help; twice as long each time, up to an hour."},
    {.name = "preemption-hold",
     FLAG_AS_DURATION(struct extender_options, serve.preemption_hold_ms),
     .max = 3600000,
     .default_text = "2m",
     .text = "How long devices that were freed for a pod of higher priority are kept for it, which "
             "lacked nothing but devices; longer than pods take to end. A pod is preempted for "
             "once in this time. 0: the extender evicts nobody."},
    {.name = "packing",
     FLAG_AS_ENUM(struct extender_options, serve.packing),
     .values = policy_names,
     .default_text = "rsp",
     .text = "How nodes and devices are chosen for pods with GPUs: by what they are worth to the "
             "pods to come, which is learned (rsp), by fragmentation (fgd), the fullest "
             "(bestfit), or any."},
    {.name = "kube-api-qps",
     FLAG_AS_INT(struct extender_options, serve.qps),
     .min = 1,
     .max = 100000,
     .default_text = "500",
     .text = "Requests a second to the apiserver, watches and the Lease apart."},
    {.name = "kube-api-burst",
     FLAG_AS_INT(struct extender_options, serve.burst),
     .min = 1,
     .max = 100000,
     .default_text = "1000",
     .text = "Requests that may go beyond that at once."},
    {.name = "threads",
     FLAG_AS_INT(struct extender_options, serve.threads),
     .max = 64,
     .default_text = "2",
     .text = "Threads that answer kube-scheduler; 0 for one per CPU, at most 4."},
    {.name = "max-body",
     FLAG_AS_SIZE(struct extender_options, serve.max_body),
     .min = 64 * 1024,
     .max = 1024LL * 1024 * 1024,
     .default_text = "32Mi",
     .text = "The largest request. Names of 5,000 nodes are 200 KB; whole nodes (nodeCacheCapable: "
             "false) are 26 KB each."},
    {.name = "memory-budget",
     FLAG_AS_SIZE(struct extender_options, serve.memory_budget),
     .min = 16 * 1024 * 1024,
     .max = 64LL * 1024 * 1024 * 1024,
     .default_text = "128Mi",
     .text = "What all requests together may hold in memory; beyond it they get 503."},
    {.name = "drain-delay",
     FLAG_AS_DURATION(struct extender_options, serve.drain_delay_ms),
     .max = 600000,
     .default_text = "1s",
     .text = "How long kube-scheduler is still answered after SIGTERM, before the Lease is given "
             "up."},
    {.name = "leader-elect-namespace",
     FLAG_AS_STRING(struct extender_options, serve.lease_namespace),
     .value_name = "NAME",
     .default_text = "callboard-system",
     .text = "Where the Lease callboard-extender is."},
    {.name = "leader-elect-lease-duration",
     FLAG_AS_DURATION(struct extender_options, serve.lease_duration_ms),
     .min = 1000,
     .max = 600000,
     .default_text = "15s",
     .text = "How long a standby waits for a holder that has fallen silent."},
    {.name = "leader-elect-renew-deadline",
     FLAG_AS_DURATION(struct extender_options, serve.renew_deadline_ms),
     .min = 500,
     .max = 600000,
     .default_text = "10s",
     .text = "How long a holder binds without having renewed its Lease; less than the duration."},
    {.name = "leader-elect-retry-period",
     FLAG_AS_DURATION(struct extender_options, serve.retry_period_ms),
     .min = 100,
     .max = 600000,
     .default_text = "2s",
     .text = "How often the Lease is renewed, or looked at; less than the deadline."},
};

static const char *const typical_names[] = {"learn", "list", NULL};
static const char *const lifetime_names[] = {"exponential", "list", NULL};

static const struct flag replay_flags[] = {
    {.name = "nodes",
     FLAG_AS_STRING(struct extender_options, nodes),
     .value_name = "CSV",
     .required = true,
     .text = "The nodes: sn, cpu_milli, memory_mib, gpu, model."},
    {.name = "pods",
     FLAG_AS_STRING(struct extender_options, pods),
     .value_name = "CSV",
     .required = true,
     .text = "The pods: name, cpu_milli, memory_mib, num_gpu, gpu_milli; optional are gpu_spec "
             "(models, "
             "A|B), and duration or scheduled_time and deletion_time."},
    {.name = "arrivals",
     FLAG_AS_STRING(struct extender_options, arrivals),
     .value_name = "FILE",
     .text =
         "The order in which pods arrive, a zero-based row of the pods per line. Without it, their "
         "own order. Not used with --load."},
    {.name = "policy",
     FLAG_AS_ENUM(struct extender_options, policy),
     .values = policy_names,
     .default_text = "rsp",
     .text = "How nodes and devices are chosen."},
    {.name = "typical",
     FLAG_AS_ENUM(struct extender_options, typical),
     .values = typical_names,
     .default_text = "learn",
     .text =
         "Typical pods are learned from what arrives, or known from the whole list beforehand."},
    {.name = "placements",
     FLAG_AS_STRING(struct extender_options, placements),
     .value_name = "OUT",
     .text = "A file to write: a line pod,node,devices per arrival, the node empty when there was "
             "none, and "
             "-N,, when the pod that arrived as the Nth (from 0) leaves."},
    {.name = "svg",
     FLAG_AS_STRING(struct extender_options, svg),
     .value_name = "OUT",
     .text = "A picture to write of all nodes at the end: what is taken, idle, stranded."},
    {.name = "hold",
     FLAG_AS_INT(struct extender_options, hold),
     .max = INT32_MAX,
     .default_text = "0",
     .text = "A pod leaves after so many further arrivals; 0: it stays."},
    {.name = "load",
     FLAG_AS_INT(struct extender_options, load),
     .max = 1000,
     .default_text = "0",
     .text = "Pods are drawn from the list at random, arrive at random and leave after a lifetime, "
             "so that "
             "they ask for so many per cent of all GPUs on average; 0: they arrive in order."},
    {.name = "horizon",
     FLAG_AS_INT(struct extender_options, horizon),
     .min = 1,
     .max = 1000,
     .default_text = "4",
     .text = "With --load: how many mean lifetimes are measured, after two that are not."},
    {.name = "lifetimes",
     FLAG_AS_ENUM(struct extender_options, lifetimes),
     .values = lifetime_names,
     .default_text = "exponential",
     .text = "With --load: lifetimes at random, or those of the list, a day at most."},
    {.name = "seed",
     FLAG_AS_INT(struct extender_options, seed),
     .max = INT64_MAX,
     .default_text = "1",
     .text = "With --load: of arrivals and lifetimes, which are the same for every policy."},
    {.name = "queue",
     FLAG_AS_BOOL(struct extender_options, queue),
     .text = "With --load: pods that fit nowhere wait, and later ones that fit go first. Without "
             "it they are "
             "rejected."},
    {.name = "age",
     FLAG_AS_INT(struct extender_options, age),
     .max = 1000000,
     .default_text = "0",
     .text = "With --queue: a pod of several GPUs that has waited for so many thousandths of a "
             "mean lifetime "
             "gets a node kept free for it; 0: never."},
    {.name = "reserve",
     FLAG_AS_INT(struct extender_options, reserve),
     .max = 1000,
     .default_text = "0",
     .text =
         "With --load, without --queue: so many nodes are kept free for pods of the most GPUs."},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct flag_command commands[] = {
    {.name = "serve",
     .text = "Answers kube-scheduler. Several may run: one is active, the others stand by.",
     .flags = serve_flags,
     .flag_count = COUNT(serve_flags)},
    {.name = "replay",
     .text = "Places the pods of a list on the nodes of a list, offline, and prints how much of "
             "the GPUs is "
             "allocated and how many pods failed, when the demand that arrived is 100 % of the "
             "GPUs and at "
             "the end.",
     .flags = replay_flags,
     .flag_count = COUNT(replay_flags)},
    {.name = "version", .text = "Prints the version."},
};

static const struct flag common_flags[] = {
    {.name = "log-level",
     FLAG_AS_ENUM(struct extender_options, log_level),
     .values = log_level_names,
     .default_text = "info",
     .text = "The least level of log lines."},
    {.name = "log-format",
     FLAG_AS_ENUM(struct extender_options, log_format),
     .values = log_format_names,
     .default_text = "json",
     .text = "Log lines as JSON or as text for people; they go to standard error."},
};

const struct flag_program extender_program = {
    .name = "callboard-extender",
    .text = "Callboard's scheduler extender: which nodes and devices pods with GPUs get.",
    .commands = commands,
    .command_count = COUNT(commands),
    .flags = common_flags,
    .flag_count = COUNT(common_flags),
};
