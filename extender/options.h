/*
 * The command line of callboard-extender: one table for parsing, --help and docs/commands.md.
 */
#ifndef EXTENDER_OPTIONS_H
#define EXTENDER_OPTIONS_H

#include "base/flags.h"
#include "extender/serve.h"

struct extender_options {
    enum log_level log_level;
    enum log_format log_format;
    struct extender_serve_options serve;
};

extern const struct flag_program extender_program;

#endif
