/* The table of flags. */
#include "webhook/options.h"

/* A certificate's times are whole seconds. */
#define LIFETIME_MIN_MS 1000
#define LIFETIME_MAX_MS INT64_C(315360000000) /* ten years */

#define CATALOG_FLAG                                                                               \
    {                                                                                              \
        .name = "catalog", FLAG_AS_STRING(struct options, catalog), .value_name = "FILE",          \
        .text = "The catalog of hardware, YAML. The built-in one when absent or when there is no " \
                "such file.",                                                                      \
    }

static const struct flag serve_flags[] = {
    {.name = "listen",
     FLAG_AS_STRING(struct options, listen),
     .value_name = "ADDRESS",
     .default_text = "0.0.0.0:9443",
     .text = "Where admission reviews are served, over TLS."},
    {.name = "health-listen",
     FLAG_AS_STRING(struct options, health_listen),
     .value_name = "ADDRESS",
     .default_text = "0.0.0.0:8080",
     .text = "Where /metrics, /healthz and /readyz are served, in plain HTTP."},
    {.name = "cert-dir",
     FLAG_AS_STRING(struct options, cert_dir),
     .value_name = "DIR",
     .text = "The folder with tls.crt and tls.key. A change is noticed within a second, without a "
             "restart. Either this or --manage-certs is needed."},
    {.name = "manage-certs",
     FLAG_AS_BOOL(struct options, manage_certs),
     .text = "Make and renew the certificates, in the Secret callboard-webhook-tls and in the "
             "caBundle of the webhook configurations \"callboard\". The flags that follow are for "
             "this."},
    {.name = "cert-hosts",
     FLAG_AS_STRING(struct options, cert_hosts),
     .value_name = "HOSTS",
     .text = "DNS names and IP addresses, separated by commas, that the certificate is for beside "
             "the Service's name."},
    {.name = "cert-lifetime",
     FLAG_AS_DURATION(struct options, cert_lifetime_ms),
     .min = LIFETIME_MIN_MS,
     .max = LIFETIME_MAX_MS,
     .default_text = "720h",
     .text = "How long a serving certificate is valid."},
    {.name = "cert-renew-before",
     FLAG_AS_DURATION(struct options, cert_renew_before_ms),
     .min = 1,
     .max = LIFETIME_MAX_MS,
     .default_text = "240h",
     .text = "How long before its end it is replaced."},
    {.name = "ca-lifetime",
     FLAG_AS_DURATION(struct options, ca_lifetime_ms),
     .min = LIFETIME_MIN_MS,
     .max = LIFETIME_MAX_MS,
     .default_text = "8760h",
     .text = "How long the authority is valid that signs them."},
    {.name = "ca-renew-before",
     FLAG_AS_DURATION(struct options, ca_renew_before_ms),
     .min = 1,
     .max = LIFETIME_MAX_MS,
     .default_text = "2160h",
     .text = "How long before its end it is replaced; at least --cert-lifetime."},
    {.name = "ca-settle",
     FLAG_AS_DURATION(struct options, ca_settle_ms),
     .min = 1,
     .max = 3600000,
     .default_text = "10s",
     .text = "How long a new authority stands in the caBundles before a certificate of it is "
             "served: until every apiserver has heard of it."},
    {.name = "cert-interval",
     FLAG_AS_DURATION(struct options, cert_interval_ms),
     .min = 100,
     .max = 3600000,
     .default_text = "10s",
     .text = "How often the Secret and the caBundles are looked at."},
    CATALOG_FLAG,
    {.name = "kubeconfig",
     FLAG_AS_STRING(struct options, kubeconfig),
     .value_name = "FILE",
     .text =
         "The API server that is asked for JobFlowTemplates. Without it the variable KUBECONFIG, "
         "else the pod's service account; without all of them flows with templateRef are refused."},
    {.name = "threads",
     FLAG_AS_INT(struct options, threads),
     .max = 64,
     .default_text = "0",
     .text = "Threads that answer reviews; 0 for one per CPU, at most 8."},
    {.name = "max-connections",
     FLAG_AS_INT(struct options, max_connections),
     .min = 16,
     .max = 65536,
     .default_text = "1024",
     .text =
         "Connections to the TLS port. Near the limit the slowest ones make room for new ones."},
    {.name = "max-body",
     FLAG_AS_SIZE(struct options, max_body),
     .min = 64 * 1024,
     .max = 64 * 1024 * 1024,
     .default_text = "7Mi",
     .text = "The largest review; larger ones get 413."},
    {.name = "memory-budget",
     FLAG_AS_SIZE(struct options, memory_budget),
     .min = 16 * 1024 * 1024,
     .max = 64LL * 1024 * 1024 * 1024,
     .default_text = "128Mi",
     .text = "What all requests together may hold in memory; beyond it they get 503."},
    {.name = "header-timeout",
     FLAG_AS_DURATION(struct options, header_timeout_ms),
     .min = 100,
     .max = 600000,
     .default_text = "10s",
     .text = "For the TLS handshake and a request's headers."},
    {.name = "request-timeout",
     FLAG_AS_DURATION(struct options, request_timeout_ms),
     .min = 100,
     .max = 600000,
     .default_text = "30s",
     .text = "For a whole request, its answer included."},
    {.name = "idle-timeout",
     FLAG_AS_DURATION(struct options, idle_timeout_ms),
     .min = 1000,
     .max = 3600000,
     .default_text = "2m",
     .text =
         "How long a connection may wait for its next request; longer than the apiserver's 90 s."},
    {.name = "drain-delay",
     FLAG_AS_DURATION(struct options, drain_delay_ms),
     .max = 600000,
     .default_text = "10s",
     .text =
         "How long new connections are still served after SIGTERM, while the Service forgets this "
         "replica."},
    {.name = "drain-timeout",
     FLAG_AS_DURATION(struct options, drain_timeout_ms),
     .max = 600000,
     .default_text = "30s",
     .text = "How long requests that are under way may take after that."},
};

static const char *const output_names[] = {"text", "json", NULL};

static const struct flag lint_flags[] = {
    {.name = "output",
     .short_name = 'o',
     FLAG_AS_ENUM(struct options, output),
     .values = output_names,
     .default_text = "text",
     .text = "Findings as lines of text or as one JSON object."},
    {.name = "mutate",
     FLAG_AS_BOOL(struct options, mutate),
     .text =
         "Print valid objects as they would be stored, as YAML or, with -o json, one JSON object "
         "a line; findings go to standard error."},
    {.name = "max-steps",
     FLAG_AS_INT(struct options, max_steps),
     .min = 1,
     .max = 1000000,
     .default_text = "2000",
     .text = "How many steps a flow may have, to look at one that is yet to be split. What the "
             "webhook allows is the default."},
    CATALOG_FLAG,
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct flag_command commands[] = {
    {.name = "serve",
     .text = "Answers the apiserver's AdmissionReviews.",
     .flags = serve_flags,
     .flag_count = COUNT(serve_flags)},
    {.name = "lint",
     .text = "Checks files of YAML or JSON offline as the webhook would; \"-\" is standard input. "
             "Exit status: 0 all valid, 1 some not, 2 a file could not be read.",
     .flags = lint_flags,
     .flag_count = COUNT(lint_flags),
     .argument_name = "FILE",
     .min_arguments = 1,
     .max_arguments = 100000},
    {.name = "version", .text = "Prints the version."},
};

static const struct flag common_flags[] = {
    {.name = "log-level",
     FLAG_AS_ENUM(struct options, log_level),
     .values = log_level_names,
     .default_text = "info",
     .text = "The least level of log lines."},
    {.name = "log-format",
     FLAG_AS_ENUM(struct options, log_format),
     .values = log_format_names,
     .default_text = "json",
     .text = "Log lines as JSON or as text for people; they go to standard error."},
};

const struct flag_program options_program = {
    .name = "callboard-webhook",
    .text = "Callboard's admission webhook: validates and completes its kinds on kubectl apply.",
    .commands = commands,
    .command_count = COUNT(commands),
    .flags = common_flags,
    .flag_count = COUNT(common_flags),
};
