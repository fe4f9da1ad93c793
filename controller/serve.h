/*
 * `callboard-controller serve`: the process around the app, from start to end.
 */
#ifndef CONTROLLER_SERVE_H
#define CONTROLLER_SERVE_H

#include "controller/options.h"

/* Runs until SIGTERM or SIGINT. Returns the exit status: 0 after an orderly end, 1 when it could not
 * start (the reason is logged). To be called by the only thread of the process. */
int controller_serve(const struct controller_options *options, const struct log *log);

#endif
