/*
 * The command line of callboard-webhook: one table for parsing, --help and docs/commands.md.
 */
#ifndef WEBHOOK_OPTIONS_H
#define WEBHOOK_OPTIONS_H

#include "base/flags.h"
#include "base/log.h"
#include "webhook/lint.h"

struct options {
    enum log_level log_level;
    enum log_format log_format;
    /* serve */
    const char *listen;
    const char *health_listen;
    const char *cert_dir;
    bool manage_certs;
    const char *cert_hosts;
    int64_t cert_lifetime_ms;
    int64_t cert_renew_before_ms;
    int64_t ca_lifetime_ms;
    int64_t ca_renew_before_ms;
    int64_t ca_settle_ms;
    int64_t cert_interval_ms;
    const char *catalog;
    const char *kubeconfig;
    int64_t threads;
    int64_t max_connections;
    int64_t max_body;
    int64_t memory_budget;
    int64_t header_timeout_ms;
    int64_t request_timeout_ms;
    int64_t idle_timeout_ms;
    int64_t drain_delay_ms;
    int64_t drain_timeout_ms;
    /* lint */
    enum lint_output output;
    bool mutate;
    int64_t max_steps;
};

extern const struct flag_program options_program;

#endif
