/*
 * The command line of callboard-controller: one table for parsing, --help and docs/commands.md.
 */
#ifndef CONTROLLER_OPTIONS_H
#define CONTROLLER_OPTIONS_H

#include "base/flags.h"
#include "base/log.h"
#include "controller/performer.h"

struct controller_options {
    enum log_level log_level;
    enum log_format log_format;
    /* serve */
    const char *kubeconfig;
    const char *health_listen;
    const char *namespace;
    const char *catalog;
    int64_t qps;
    int64_t burst;
    int64_t workers;
    int64_t resync_ms;
    int64_t max_active_flows;
    enum performer_scheduler scheduler;
    const char *lease_namespace;
    int64_t lease_duration_ms;
    int64_t renew_deadline_ms;
    int64_t retry_period_ms;
};

extern const struct flag_program controller_program;

#endif
