/* Running a credential plugin, and reading what it prints. */
#include "kube/exec.h"

#include "kube/object.h"
#include "json/json.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PRINTED_MAX = 1024 * 1024,
    ARENA_BLOCK = 16 * 1024,
    ARENA_MAX = 4 * 1024 * 1024,
    READ_SIZE = 16 * 1024,
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Only clears: what an earlier content has left in the memory is wiped with it. */
static void credential_init(struct kube_exec *exec)
{
    buf_init(&exec->credential.token, exec->config.mem, PRINTED_MAX);
    buf_init(&exec->credential.cert, exec->config.mem, PRINTED_MAX);
    buf_init(&exec->credential.key, exec->config.mem, PRINTED_MAX);
}

int kube_exec_init(struct kube_exec *exec, const struct kube_exec_config *config, struct err *err)
{
    *exec = (struct kube_exec){.config = *config, .output = -1, .process = -1, .timer = -1};
    if (exec->config.timeout_ns == 0)
        exec->config.timeout_ns = KUBE_EXEC_TIMEOUT_NS;
    credential_init(exec);
    buf_init(&exec->printed, config->mem, PRINTED_MAX);
    exec->fd = epoll_create1(EPOLL_CLOEXEC);
    if (exec->fd < 0)
        return err_set(err, 500, "preparing to run \"%s\": %s", config->command, strerror(errno));
    return 0;
}

/* ---- Starting ---- */

static int watch(struct kube_exec *exec, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(exec->fd, EPOLL_CTL_ADD, fd, &event);
}

static void fail(struct kube_exec *exec)
{
    close_fd(&exec->output);
    close_fd(&exec->process);
    close_fd(&exec->timer);
    buf_done(&exec->printed);
    exec->state = KUBE_EXEC_FAILED;
}

/* In a process group of its own, so that what it starts can be killed with it; with no signal blocked or
 * ignored; with no descriptor but the three. */
static int spawn(struct kube_exec *exec, int output)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    pid_t pid = 0;
    sigemptyset(&none);
    sigfillset(&all);
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0)
        return rc;
    rc = posix_spawnattr_init(&attributes);
    if (rc != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return rc;
    }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    rc = posix_spawnp(&pid, exec->config.command, &actions, &attributes, exec->config.argv,
                      exec->config.envp);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    exec->pid = pid;
    return rc;
}

static int run(struct kube_exec *exec)
{
    int pipe_fds[2];
    const struct itimerspec limit = {
        .it_value = {.tv_sec = exec->config.timeout_ns / CLOCK_NS_PER_SEC,
                     .tv_nsec = exec->config.timeout_ns % CLOCK_NS_PER_SEC}};
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return errno;
    int rc = spawn(exec, pipe_fds[1]);
    close(pipe_fds[1]);
    exec->output = pipe_fds[0];
    if (rc != 0)
        return rc;
    exec->process = (int)syscall(SYS_pidfd_open, exec->pid, 0);
    exec->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (exec->process < 0 || exec->timer < 0 || fcntl(exec->output, F_SETFL, O_NONBLOCK) < 0 ||
        timerfd_settime(exec->timer, 0, &limit, NULL) < 0 || watch(exec, exec->output) < 0 ||
        watch(exec, exec->process) < 0 || watch(exec, exec->timer) < 0) {
        rc = errno;
        kill(-exec->pid, SIGKILL);
        waitpid(exec->pid, NULL, 0);
    }
    return rc;
}

void kube_exec_start(struct kube_exec *exec)
{
    if (exec->state == KUBE_EXEC_RUNNING)
        return;
    exec->was_killed = false;
    int rc = run(exec);
    exec->state = KUBE_EXEC_RUNNING;
    if (rc == 0)
        return;
    err_set(&exec->err, 500, "the credential plugin \"%s\" cannot be run: %s", exec->config.command,
            strerror(rc));
    fail(exec);
}

/* ---- What it printed ---- */

static int refuse(const struct kube_exec *exec, struct err *err, const char *what)
{
    return err_set(err, 500,
                   "the credential plugin \"%s\" %s: run it by hand to see what it prints",
                   exec->config.command, what);
}

static bool replace(struct buf *buf, struct str text)
{
    buf_clear(buf);
    buf_put(buf, text);
    return !buf_failed(buf);
}

static int take_status(struct kube_exec *exec, const struct json *status, struct err *err)
{
    struct kube_exec_credential *credential = &exec->credential;
    struct str token = kube_text_at(status, "token", NULL);
    struct str cert = kube_text_at(status, "clientCertificateData", NULL);
    struct str key = kube_text_at(status, "clientKeyData", NULL);
    struct str expires = kube_text_at(status, "expirationTimestamp", NULL);
    int64_t expires_wall_ns = INT64_MAX;
    if (token.len == 0 && cert.len == 0)
        return refuse(exec, err, "printed neither a token nor a certificate");
    if ((cert.len == 0) != (key.len == 0))
        return refuse(exec, err, "printed one of certificate and key without the other");
    if (str_is_set(expires) && !clock_parse(expires, &expires_wall_ns))
        return refuse(exec, err, "printed an expirationTimestamp that is no time");
    if (!replace(&credential->token, token) || !replace(&credential->cert, cert) ||
        !replace(&credential->key, key))
        return err_no_memory(err, "keeping the credentials");
    credential->expires_wall_ns = expires_wall_ns;
    credential->version++;
    return 0;
}

static int take_printed(struct kube_exec *exec, struct err *err)
{
    struct arena arena;
    struct err why;
    arena_init(&arena, exec->config.mem, ARENA_BLOCK, ARENA_MAX);
    /* The reader's own message might quote what it read. */
    const struct json *value =
        json_read(&arena, buf_str(&exec->printed), &json_limits_default, &why);
    int rc = -1;
    if (!value)
        refuse(exec, err, "printed something that is no JSON");
    else if (!str_eq(kube_text_at(value, "kind", NULL), STR("ExecCredential")))
        refuse(exec, err, "printed something that is no ExecCredential");
    else if (!str_eq(kube_text_at(value, "apiVersion", NULL), exec->config.api_version))
        refuse(exec, err, "printed an ExecCredential of another apiVersion than the kubeconfig's");
    else
        rc = take_status(exec, kube_at(value, "status", NULL), err);
    arena_done(&arena);
    return rc;
}

static int judge(struct kube_exec *exec, int status, struct err *err)
{
    char what[64];
    if (exec->was_killed && buf_failed(&exec->printed))
        return refuse(exec, err, "printed more than 1 MiB");
    if (exec->was_killed)
        return refuse(exec, err, "did not end in time");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return take_printed(exec, err);
    if (WIFEXITED(status))
        snprintf(what, sizeof(what), "exited with %d", WEXITSTATUS(status));
    else
        snprintf(what, sizeof(what), "was ended by signal %d", WTERMSIG(status));
    return refuse(exec, err, what);
}

/* ---- Its life ---- */

static void kill_all(struct kube_exec *exec)
{
    exec->was_killed = true;
    kill(-exec->pid, SIGKILL);
}

static void read_output(struct kube_exec *exec)
{
    while (exec->output >= 0) {
        char *to = buf_reserve(&exec->printed, READ_SIZE);
        if (!to) {
            kill_all(exec);
            close_fd(&exec->output);
            return;
        }
        ssize_t n = read(exec->output, to, READ_SIZE);
        if (n > 0)
            exec->printed.len += (size_t)n;
        else if (n == 0)
            close_fd(&exec->output);
        else if (errno != EINTR)
            return;
    }
}

/* Once it has exited; what it has started may hold the pipe open, so its end is not waited for. */
static void end(struct kube_exec *exec)
{
    int status = 0;
    struct err err = {0};
    if (waitpid(exec->pid, &status, WNOHANG) != exec->pid)
        return;
    read_output(exec);
    int rc = judge(exec, status, &err);
    fail(exec); /* gives everything back */
    exec->state = rc < 0 ? KUBE_EXEC_FAILED : KUBE_EXEC_IDLE;
    exec->err = err;
}

void kube_exec_handle(struct kube_exec *exec)
{
    struct epoll_event events[3];
    if (exec->state != KUBE_EXEC_RUNNING)
        return;
    int count = epoll_wait(exec->fd, events, 3, 0);
    bool has_ended = false;
    for (int i = 0; i < count; i++) {
        int fd = events[i].data.fd;
        if (fd == exec->output) {
            read_output(exec);
        } else if (fd == exec->timer) {
            kill_all(exec);
            close_fd(&exec->timer);
        } else {
            has_ended = true;
        }
    }
    if (has_ended)
        end(exec);
}

void kube_exec_done(struct kube_exec *exec)
{
    if (!exec->config.mem)
        return;
    if (exec->state == KUBE_EXEC_RUNNING) {
        kill_all(exec);
        waitpid(exec->pid, NULL, 0);
        fail(exec);
    }
    buf_done(&exec->credential.token);
    buf_done(&exec->credential.cert);
    buf_done(&exec->credential.key);
    close_fd(&exec->fd);
}
