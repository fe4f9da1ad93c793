/* --manage-certs. */
#include "certs/managed.h"

#include "kube/config.h"
#include "kube/curl.h"

#include <stdio.h>

/* Where the manifests put everything. */
#define DEFAULT_NAMESPACE STR("callboard-system")

enum { SERVICE_MAX = 128 };

/* ---- What the flags say ---- */

/* -1 when one cannot be in a certificate, or there are too many. */
static int split_hosts(const char *text, struct str *hosts, size_t *count, struct err *err)
{
    struct str rest = str_from_cstr(text), host;
    while (str_is_set(rest)) {
        str_cut(rest, ',', &host, &rest);
        if (!pki_host_is_valid(host))
            return err_set(err, 400,
                           "--cert-hosts: \"%" PRIstr "\" is no DNS name and no IP address",
                           STR_ARG(host));
        if (*count == PKI_HOSTS_MAX)
            return err_set(err, 400, "--cert-hosts has more than %d", PKI_HOSTS_MAX - 1);
        hosts[(*count)++] = host;
    }
    return 0;
}

int managed_check(const struct managed_options *options, struct err *err)
{
    const struct certs_times *times = &options->times;
    struct str hosts[PKI_HOSTS_MAX];
    size_t count = 1; /* the Service's name */
    if (times->pair_renew_ms >= times->pair_ms)
        return err_set(err, 400, "--cert-renew-before must be less than --cert-lifetime");
    if (times->authority_renew_ms >= times->authority_ms)
        return err_set(err, 400, "--ca-renew-before must be less than --ca-lifetime");
    if (times->authority_renew_ms < times->pair_ms)
        return err_set(err, 400,
                       "--ca-renew-before must be at least --cert-lifetime: else a certificate "
                       "outlives its authority");
    return split_hosts(options->hosts, hosts, &count, err);
}

/* ---- Reaching the API server ---- */

static int connect_to(struct managed *managed, const struct managed_parts *parts, struct err *err)
{
    struct kube_curl_config curl = kube_curl_config_of(
        managed->config, &managed->wiping, parts->clock, str_from_cstr(parts->owner->user_agent));
    curl.max_connections = 1;
    managed->transport = kube_curl_new(&curl, err);
    return managed->transport ? 0 : -1;
}

/* Three looks, each at most an eighth late. */
static struct certs_times times_of(const struct managed_options *options)
{
    struct certs_times times = options->times;
    times.takeover_ms = 3 * options->interval_ns / CLOCK_NS_PER_MS + times.settle_ms;
    return times;
}

static int make_certs(struct managed *managed, const struct managed_options *options,
                      const struct managed_parts *parts, struct err *err)
{
    const struct kube_config *config = managed->config;
    struct str namespace = config->namespace.len > 0 ? config->namespace : DEFAULT_NAMESPACE;
    struct str hosts[PKI_HOSTS_MAX];
    char service[SERVICE_MAX];
    int n = snprintf(service, sizeof(service), "%s.%" PRIstr ".svc", parts->owner->service,
                     STR_ARG(namespace));
    hosts[0] = (struct str){service, (size_t)n};
    size_t count = 1;
    if (n < 0 || (size_t)n >= sizeof(service) || !pki_host_is_valid(hosts[0]))
        return err_set(err, 400, "the namespace \"%" PRIstr "\" cannot be part of a DNS name",
                       STR_ARG(namespace));
    if (split_hosts(options->hosts, hosts, &count, err) < 0)
        return -1;
    const struct certs_config certs = {
        .owner = parts->owner,
        .transport = managed->transport,
        .clock = parts->clock,
        .random = random_system(),
        .mem = mem_system(),
        .metrics = parts->metrics,
        .log = parts->log,
        .source = parts->source,
        .host = config->host,
        .namespace = namespace,
        .hosts = hosts,
        .host_count = count,
        .times = times_of(options),
        .interval_ns = options->interval_ns,
        .on_load = parts->on_load,
        .ctx = parts->ctx,
    };
    managed->certs = certs_new(&certs, err);
    return managed->certs ? 0 : -1;
}

int managed_open(struct managed *managed, const struct managed_options *options,
                 const struct managed_parts *parts, struct err *err)
{
    *managed = (struct managed){0};
    wiping_mem_init(&managed->wiping, mem_system());
    const struct kube_config_options where = {
        .mem = mem_system(),
        .clock = parts->clock,
        .kubeconfig = options->kubeconfig,
    };
    int found = kube_config_load(&where, &managed->config, err);
    if (found < 0)
        return err_wrap(err, "--manage-certs");
    if (found == 0)
        return err_set(err, 400,
                       "--manage-certs needs access to the API server: a pod with a service "
                       "account's token, or --kubeconfig");
    if (connect_to(managed, parts, err) < 0)
        return -1;
    return make_certs(managed, options, parts, err);
}

int managed_start(struct managed *managed, struct err *err)
{
    return managed->certs ? certs_start(managed->certs, err) : 0;
}

void managed_close(struct managed *managed)
{
    certs_free(managed->certs);
    kube_curl_free(managed->transport);
    kube_config_free(managed->config);
    *managed = (struct managed){0};
}
