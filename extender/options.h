/*
 * The command line of callboard-extender: one table for parsing, --help and docs/commands.md.
 */
#ifndef EXTENDER_OPTIONS_H
#define EXTENDER_OPTIONS_H

#include "base/flags.h"
#include "extender/replay.h"
#include "extender/serve.h"

struct extender_options {
    enum log_level log_level;
    enum log_format log_format;
    struct extender_serve_options serve;
    /* replay */
    const char *nodes;
    const char *pods;
    const char *arrivals;
    enum pack_kind policy;
    enum replay_typical typical;
    const char *placements;
    const char *svg;
    int64_t hold;
    int64_t load;
    int64_t horizon;
    enum replay_lifetimes lifetimes;
    int64_t seed;
    bool queue;
    int64_t age;
    int64_t reserve;
};

extern const struct flag_program extender_program;

#endif
