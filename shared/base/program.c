/* What every program does alike. */
#include "base/program.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { HELP_MAX = 64 * 1024 };

int program_help(const struct flag_program *program, const struct flag_command *command)
{
    struct buf text;
    buf_init(&text, mem_system(), HELP_MAX);
    flags_write_help(program, command, &text);
    bool good = !buf_failed(&text) && fwrite(text.ptr, 1, text.len, stdout) == text.len &&
                fflush(stdout) == 0;
    buf_done(&text);
    return good ? 0 : 1;
}

static sigset_t ending_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    return signals;
}

void program_block_signals(void)
{
    sigset_t signals = ending_signals();
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

int program_wait_signal(unsigned timeout_ms)
{
    sigset_t signals = ending_signals();
    struct timespec timeout = {
        .tv_sec = timeout_ms / 1000,
        .tv_nsec = (long)(timeout_ms % 1000) * 1000 * 1000,
    };
    int signal_number = sigtimedwait(&signals, NULL, &timeout);
    return signal_number > 0 ? signal_number : 0;
}

static void exit_at_once(int signal_number)
{
    (void)signal_number;
    _exit(1);
}

void program_end_on_second_signal(void)
{
    sigset_t signals = ending_signals();
    struct sigaction action = {.sa_handler = exit_at_once};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
}
