/* The certificate that kube-scheduler is shown. */
#include "extender/certificate.h"

#define DAY_MS (INT64_C(86400) * 1000)

static const struct certs_owner owner = {
    .service = "callboard-extender",
    .secret = "callboard-extender-tls",
    .user_agent = "callboard-extender/" CALLBOARD_VERSION,
    .field_manager = "callboard-extender",
    .days_left = "callboard_extender_certificate_authority_days_left",
    .authorities = "callboard_extender_certificate_authorities",
    .writes = "callboard_extender_certificate_writes_total",
};

/* The time to settle is for restarting schedulers: it ends before a pair of the old authority does. */
static const struct certs_times times = {
    .pair_ms = 30 * DAY_MS,
    .pair_renew_ms = 10 * DAY_MS,
    .authority_ms = 3650 * DAY_MS,
    .authority_renew_ms = 365 * DAY_MS,
    .settle_ms = 7 * DAY_MS,
};

static const int64_t interval_ns = 10 * CLOCK_NS_PER_SEC;

static struct managed_options managed_options(const struct certificate_options *options)
{
    return (struct managed_options){.kubeconfig = options->kubeconfig,
                                    .hosts = options->hosts,
                                    .times = times,
                                    .interval_ns = interval_ns};
}

int certificate_check(const struct certificate_options *options, struct err *err)
{
    if (options->is_managed && options->folder)
        return err_set(err, 400, "give either --manage-certs or --cert-dir, not both");
    if (options->hosts && !options->is_managed)
        return err_set(err, 400, "--cert-hosts is for --manage-certs");
    const struct managed_options managed = managed_options(options);
    return options->is_managed ? managed_check(&managed, err) : 0;
}

static void on_load(void *ctx, bool is_good)
{
    const struct certificate *c = ctx;
    struct str result = is_good ? STR("ok") : STR("error");
    counter_add(counter_of(c->reloads, METRICS_VALUES(STR("certificate"), result)), 1);
}

static void collect_expiry(void *ctx, struct metrics_scrape *scrape)
{
    struct cert_info info;
    cert_source_info(((const struct certificate *)ctx)->source, &info);
    if (info.generation > 0)
        metrics_sample(scrape, METRICS_NO_VALUES, (double)info.not_after_s);
}

static int open_managed(struct certificate *c, const struct certificate_options *options,
                        struct metrics *metrics, struct err *err)
{
    const struct managed_options managed = managed_options(options);
    const struct managed_parts parts = {
        .owner = &owner,
        .clock = c->clock,
        .metrics = metrics,
        .log = c->log,
        .source = c->source,
        .on_load = on_load,
        .ctx = c,
    };
    return managed_open(&c->managed, &managed, &parts, err);
}

int certificate_open(struct certificate *c, const struct certificate_options *options,
                     const struct clock *clock, struct metrics *metrics, const struct log *log,
                     struct counter_family *reloads, struct err *err)
{
    *c = (struct certificate){
        .folder = options->folder, .log = log, .clock = clock, .reloads = reloads};
    if (!options->folder && !options->is_managed)
        return 0;
    int result = options->folder ? cert_source_open_dir(options->folder, clock, &c->source, err)
                                 : cert_source_open_empty(clock, &c->source, err);
    if (result < 0)
        return -1;
    metrics_collector(metrics, METRICS_GAUGE,
                      "callboard_extender_certificate_expiry_timestamp_seconds",
                      "When the serving certificate expires, in seconds since 1970.",
                      METRICS_NO_LABELS, 1, collect_expiry, c);
    return options->is_managed ? open_managed(c, options, metrics, err) : 0;
}

int certificate_start(struct certificate *c, struct err *err)
{
    return managed_start(&c->managed, err);
}

void certificate_tick(struct certificate *c)
{
    if (c->folder)
        (void)cert_source_reload(c->source, c->reloads, c->log);
}

const char *certificate_find_unready(const struct certificate *c)
{
    return c->managed.certs ? certs_find_unready(c->managed.certs) : NULL;
}

void certificate_close(struct certificate *c)
{
    managed_close(&c->managed);
    cert_source_close(c->source);
    *c = (struct certificate){0};
}
