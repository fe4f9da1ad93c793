/* The API server that the webhook asks. */
#include "webhook/cluster.h"

#include "kube/config.h"
#include "kube/curl.h"

#include <stdio.h>

static int connect_to(struct cluster *cluster, const struct clock *clock, struct metrics *metrics,
                      const struct log *log, struct err *err)
{
    const struct kube_config *config = cluster->config;
    struct kube_curl_config curl = kube_curl_config_of(config, mem_system(), clock,
                                                       STR("callboard-webhook/" CALLBOARD_VERSION));
    curl.max_connections = TEMPLATE_LOOKUPS_AT_ONCE;
    cluster->transport = kube_curl_new(&curl, err);
    if (!cluster->transport)
        return -1;
    const struct template_lookups_config lookups = {
        .transport = cluster->transport,
        .clock = clock,
        .random = random_system(),
        .mem = mem_system(),
        .metrics = metrics,
        .log = log,
        .host = config->host,
    };
    cluster->lookups = template_lookups_new(&lookups, err);
    return cluster->lookups ? 0 : -1;
}

int cluster_open(struct cluster *cluster, const char *kubeconfig, const struct clock *clock,
                 struct metrics *metrics, const struct log *log, struct err *err)
{
    *cluster = (struct cluster){0};
    const struct kube_config_options options = {
        .mem = mem_system(),
        .clock = clock,
        .kubeconfig = kubeconfig,
    };
    int found = kube_config_load(&options, &cluster->config, err);
    if (found < 0 && (kubeconfig || err->code == 507))
        return -1;
    if (found > 0) {
        log_info(log, "asking the API server", LOG_STR("server", cluster->config->server),
                 LOG_STR("origin", cluster->config->origin));
        return connect_to(cluster, clock, metrics, log, err);
    }
    snprintf(cluster->reason, sizeof(cluster->reason),
             "this webhook has no access to the API server (%s); it needs a pod with a service "
             "account's token, or --kubeconfig",
             found < 0 ? err->message : "no cluster is configured");
    log_warn(log, "flows with templateRef are refused", LOG_CSTR("reason", cluster->reason));
    return 0;
}

int cluster_start(struct cluster *cluster, struct err *err)
{
    return cluster->lookups ? template_lookups_start(cluster->lookups, err) : 0;
}

void cluster_close(struct cluster *cluster)
{
    template_lookups_free(cluster->lookups);
    kube_curl_free(cluster->transport);
    kube_config_free(cluster->config);
    *cluster = (struct cluster){0};
}
