/*
 * What every program does alike: --help, and signals that are waited for.
 *
 *   program_block_signals()           before the first thread starts, so that all inherit it
 *   program_wait_signal(1000)         in the one thread that looks after the others
 *   program_end_on_second_signal()    once the end has begun
 */
#ifndef BASE_PROGRAM_H
#define BASE_PROGRAM_H

#include "base/flags.h"

/* Prints the help of one command, or of all when it is NULL, and returns the exit status. */
int program_help(const struct flag_program *program, const struct flag_command *command);

/* SIGTERM and SIGINT wait until they are asked for; SIGPIPE is ignored. */
void program_block_signals(void);
/* The signal that came within the time, or 0. */
int program_wait_signal(unsigned timeout_ms);
/* From now on SIGTERM and SIGINT end the process at once, with status 1. */
void program_end_on_second_signal(void);

#endif
