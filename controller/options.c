/* The table of flags. */
#include "controller/options.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* In the order of enum performer_scheduler. */
static const char *const scheduler_names[] = {"callboard", "marked", "plain", NULL};

static const struct flag serve_flags[] = {
    {.name = "kubeconfig",
     FLAG_AS_STRING(struct controller_options, kubeconfig),
     .value_name = "FILE",
     .text = "How to reach the apiserver. When absent, the files of $KUBECONFIG, else the "
             "ServiceAccount of the pod."},
    {.name = "health-listen",
     FLAG_AS_STRING(struct controller_options, health_listen),
     .value_name = "ADDRESS",
     .default_text = "0.0.0.0:8080",
     .text = "Where /metrics, /healthz and /readyz are served, in plain HTTP."},
    {.name = "namespace",
     FLAG_AS_STRING(struct controller_options, namespace),
     .value_name = "NAME",
     .text = "Look after the objects of this namespace only; of all when absent."},
    {.name = "catalog",
     FLAG_AS_STRING(struct controller_options, catalog),
     .value_name = "FILE",
     .text = "The catalog of hardware, YAML. The built-in one when absent or when there is no such "
             "file. A change is noticed within seconds."},
    {.name = "scheduler",
     FLAG_AS_ENUM(struct controller_options, scheduler),
     .values = scheduler_names,
     .default_text = "plain",
     .text = "Who places the pods: the cluster's own scheduler (plain), the same with Callboard's "
             "extender for the pods that are marked (marked), or the second scheduler, "
             "callboard-scheduler (callboard)."},
    {.name = "max-active-flows",
     FLAG_AS_INT(struct controller_options, max_active_flows),
     .min = 0,
     .max = 1000000,
     .default_text = "0",
     .text = "How many JobFlows may be active at the same time; 0 for any number. Others wait, by "
             "their priority."},
    {.name = "kube-api-qps",
     FLAG_AS_INT(struct controller_options, qps),
     .min = 1,
     .max = 100000,
     .default_text = "100",
     .text = "Requests a second to the apiserver, watches and the lease apart."},
    {.name = "kube-api-burst",
     FLAG_AS_INT(struct controller_options, burst),
     .min = 1,
     .max = 100000,
     .default_text = "200",
     .text = "Requests that may go beyond that at once."},
    {.name = "workers",
     FLAG_AS_INT(struct controller_options, workers),
     .min = 1,
     .max = 256,
     .default_text = "16",
     .text = "Objects that are written about at the same time, and connections for that."},
    {.name = "resync",
     FLAG_AS_DURATION(struct controller_options, resync_ms),
     .min = 10000,
     .max = 24 * 3600 * 1000,
     .default_text = "2m",
     .text = "Every object is looked at once in this time, though nothing has changed."},
    {.name = "leader-elect-namespace",
     FLAG_AS_STRING(struct controller_options, lease_namespace),
     .value_name = "NAME",
     .default_text = "callboard-system",
     .text = "Where the Lease callboard-controller is."},
    {.name = "leader-elect-lease-duration",
     FLAG_AS_DURATION(struct controller_options, lease_duration_ms),
     .min = 1000,
     .max = 600000,
     .default_text = "15s",
     .text = "How long a standby waits for a leader that has fallen silent."},
    {.name = "leader-elect-renew-deadline",
     FLAG_AS_DURATION(struct controller_options, renew_deadline_ms),
     .min = 500,
     .max = 600000,
     .default_text = "10s",
     .text = "How long a leader writes without having renewed its Lease; less than the duration."},
    {.name = "leader-elect-retry-period",
     FLAG_AS_DURATION(struct controller_options, retry_period_ms),
     .min = 100,
     .max = 600000,
     .default_text = "2s",
     .text = "How often the Lease is renewed, or looked at; less than the deadline."},
};

static const struct flag_command commands[] = {
    {.name = "serve",
     .text = "Looks after the objects. Several may run: one leads, the others stand by.",
     .flags = serve_flags,
     .flag_count = COUNT(serve_flags)},
    {.name = "version", .text = "Prints the version."},
};

static const struct flag common_flags[] = {
    {.name = "log-level",
     FLAG_AS_ENUM(struct controller_options, log_level),
     .values = log_level_names,
     .default_text = "info",
     .text = "The least level of log lines."},
    {.name = "log-format",
     FLAG_AS_ENUM(struct controller_options, log_format),
     .values = log_format_names,
     .default_text = "json",
     .text = "Log lines as JSON or as text for people; they go to standard error."},
};

const struct flag_program controller_program = {
    .name = "callboard-controller",
    .text = "Callboard's controller: makes the pods and Services of Performers and keeps them "
            "right, and "
            "runs the steps of JobFlows.",
    .commands = commands,
    .command_count = COUNT(commands),
    .flags = common_flags,
    .flag_count = COUNT(common_flags),
};
