/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns a child from posix_spawn, or from the pool, to waitpid. Any thread enters
 * it, and all state is on that thread's stack. Calls buf, exitfd, limits,
 * groups, orphans and nbdkit_stop_fd.
 *
 * The child is not waited for before the call is over: as long as it is a
 * zombie, its process group cannot become somebody else's, and may be signalled.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "exitfd.h"
#include "groups.h"
#include "orphans.h"
#include "spawn.h"

#define TERM_NS (1000 * LIMITS_NANOSECONDS_PER_MS) /* between SIGTERM and SIGKILL */
#define KILL_MS 1000                               /* that a killed child may take to die */
#define QUIET_MS 5                                 /* without a look at what a child prints */
#define SURPLUS_MAX_BYTES (64 * 1024 * 1024)       /* beyond what is wanted */
#define PIPE_DEFAULT_BYTES 65536
#define PIPE_MAX_BYTES (1024 * 1024)

enum { INPUT, OUTPUT, ERRORS, EXIT, STOP, POLL_COUNT };

struct child {
    const struct spawn_job *job;
    struct spawn_end *end;
    struct pollfd poll[POLL_COUNT]; /* our ends; fd is -1 where closed */
    pid_t pid;
    int64_t start_ns;
    struct limits_deadline deadline;
    size_t heading_length; /* bytes */
    size_t sent;           /* bytes, of the heading and the input */
    bool is_terminated;
    bool is_killed;
    bool has_exited;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static size_t get_expected_output(const struct spawn_job *job)
{
    return job->output->is_callers ? job->output->limit : 0;
}

/* A larger pipe spares system calls; if the kernel refuses, the default will do. */
static void enlarge_pipe(int fd, size_t expected)
{
    if (expected > PIPE_DEFAULT_BYTES)
        fcntl(fd, F_SETPIPE_SZ, expected < PIPE_MAX_BYTES ? (int)expected : PIPE_MAX_BYTES);
}

/* Before the program uses them, or it would be woken for each part of what it reads or prints. */
static void enlarge_pipes(const struct spawn_job *job, const struct spawn_started *started)
{
    size_t heading_length = job->heading == NULL ? 0 : strlen(job->heading);

    enlarge_pipe(started->fds[INPUT], heading_length + job->input_length);
    enlarge_pipe(started->fds[OUTPUT], get_expected_output(job));
}

/*
 * Makes the pipe for the child's descriptor which (0 to 2): our end goes to
 * started, its end to *child_fd. Returns 0 or an errno.
 */
static int make_pipe(struct spawn_started *started, int which, int *child_fd)
{
    int ends[2];
    int ours = which == INPUT ? 1 : 0;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return errno;
    fcntl(ends[ours], F_SETFL, O_NONBLOCK);
    started->fds[which] = ends[ours];
    *child_fd = ends[1 - ours];
    return 0;
}

static int fill_actions(posix_spawn_file_actions_t *actions, const int *fds, int count)
{
    int error = 0;

    for (int fd = 0; fd < count && error == 0; fd++)
        if (fds[fd] >= 0)
            error = posix_spawn_file_actions_adddup2(actions, fds[fd], fd);
        else
            error = posix_spawn_file_actions_addopen(actions, fd, "/dev/null",
                                                     fd == 0 ? O_RDONLY : O_WRONLY, 0);
    /* Also what the server was started with, and what a library has opened without O_CLOEXEC. */
    return error != 0 ? error : posix_spawn_file_actions_addclosefrom_np(actions, count);
}

static void fill_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                             POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
}

int spawn_start(const char *const *argv, char *const *environment, const int *fds, int count,
                pid_t *pid)
{
    char *const *words = (char *const *)(uintptr_t)argv;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    fill_attributes(&attributes);
    int error = fill_actions(&actions, fds, count);
    if (error == 0)
        error = posix_spawn(pid, argv[0], &actions, &attributes, words, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* The program may have left its group. */
void spawn_signal(pid_t pid, int signal_number)
{
    kill(-pid, signal_number);
    if (getpgid(pid) != pid)
        kill(pid, signal_number);
}

static void feed_input(struct child *child)
{
    const struct spawn_job *job = child->job;
    size_t heading_sent = child->sent < child->heading_length ? child->sent : child->heading_length;
    size_t input_sent = child->sent - heading_sent;
    struct iovec parts[2] = {
        { (void *)((uintptr_t)job->heading + heading_sent), child->heading_length - heading_sent },
        { (void *)((uintptr_t)job->input + input_sent), job->input_length - input_sent },
    };
    ssize_t count = writev(child->poll[INPUT].fd, parts, 2);

    if (count > 0)
        child->sent += (size_t)count;
    /* EPIPE: the child does not want the rest. Its exit status will tell whether that is fine. */
    if (child->sent == child->heading_length + job->input_length ||
        (count < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(&child->poll[INPUT].fd);
}

/* A program that prints without end would never end by itself. */
static void limit_surplus(struct child *child, const struct buf *buf)
{
    if (buf->dropped > SURPLUS_MAX_BYTES && child->end->cut == LIMITS_NONE)
        child->deadline =
            (struct limits_deadline){ .when_ns = child->start_ns, .cause = LIMITS_SURPLUS };
}

static void drain(struct child *child, int which, struct buf *buf)
{
    ssize_t count;

    /* When nobody writes any more, the end is near. */
    do
        count = buf_read_fd(buf, child->poll[which].fd);
    while (count > 0 && child->has_exited && buf->dropped == 0);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(&child->poll[which].fd);
    limit_surplus(child, buf);
}

static void notice_stop(struct child *child, int64_t now_ns)
{
    limits_note_stop(now_ns);
    child->poll[STOP].fd = -1;
    if (!child->is_terminated)
        child->deadline = limits_get_deadline(child->start_ns);
}

static void notice_exit(struct child *child)
{
    child->has_exited = true;
    close_fd(&child->poll[EXIT].fd);
    close_fd(&child->poll[INPUT].fd);
}

/* The time is over: the first time SIGTERM, then SIGKILL. */
static void escalate(struct child *child, int64_t now_ns)
{
    if (child->end->cut == LIMITS_NONE) {
        child->end->cut = child->deadline.cause;
        child->end->is_cut_by_child = child->has_exited;
    }
    if (child->is_terminated || child->deadline.is_abrupt) {
        spawn_signal(child->pid, SIGKILL);
        child->is_killed = true;
        return;
    }
    spawn_signal(child->pid, SIGTERM);
    spawn_signal(child->pid, SIGCONT);
    child->is_terminated = true;
    child->deadline.when_ns = now_ns + TERM_NS;
}

/* Milliseconds until the deadline, rounded up, for poll(2). */
static int get_wait_ms(const struct child *child, int64_t now_ns)
{
    int64_t left = child->deadline.when_ns - now_ns;

    if (child->deadline.when_ns == INT64_MAX)
        return -1;
    if (left > 3600 * 1000 * LIMITS_NANOSECONDS_PER_MS)
        return 3600 * 1000;
    return left <= 0 ? 0
                     : (int)((left + LIMITS_NANOSECONDS_PER_MS - 1) / LIMITS_NANOSECONDS_PER_MS);
}

static void handle_events(struct child *child)
{
    const struct pollfd *events = child->poll;

    if (events[OUTPUT].revents != 0)
        drain(child, OUTPUT, child->job->output);
    if (events[ERRORS].revents != 0)
        drain(child, ERRORS, child->job->errors);
    if (events[INPUT].revents != 0)
        feed_input(child);
    if (events[EXIT].revents != 0)
        notice_exit(child);
    if (events[STOP].revents != 0)
        notice_stop(child, limits_read_clock());
}

static bool is_over(const struct child *child)
{
    return child->is_killed ||
           (child->has_exited && child->poll[OUTPUT].fd < 0 && child->poll[ERRORS].fd < 0);
}

/*
 * Waits for the end of a child all of whose output a pipe is likely to hold: it
 * is read in the end, and this thread is not woken up for each part of it.
 */
static void await_exit(struct child *child)
{
    int wait_ms = get_wait_ms(child, limits_read_clock());

    if (wait_ms < 0 || wait_ms > QUIET_MS)
        wait_ms = QUIET_MS;
    if (poll(child->poll + EXIT, POLL_COUNT - EXIT, wait_ms) > 0)
        handle_events(child);
}

static void attend_child(struct child *child)
{
    if (child->poll[INPUT].fd < 0 && get_expected_output(child->job) <= PIPE_DEFAULT_BYTES)
        await_exit(child);
    while (!is_over(child)) {
        int ready = poll(child->poll, POLL_COUNT, get_wait_ms(child, limits_read_clock()));
        int64_t now_ns = limits_read_clock();

        if (ready > 0)
            handle_events(child);
        if (!is_over(child) && now_ns >= child->deadline.when_ns)
            escalate(child, now_ns);
    }
}

static void wait_for_child(struct child *child)
{
    struct pollfd exit_poll = { .fd = child->poll[EXIT].fd, .events = POLLIN };

    if (!child->has_exited)
        poll(&exit_poll, 1, KILL_MS);
    if (!orphans_collect(child->pid, &child->end->wait_status))
        child->end->wait_status = SIGKILL;
    orphans_reap();
    groups_remember(child->pid);
    child->end->elapsed_ns = limits_read_clock() - child->start_ns;
}

static void attend(const struct spawn_job *job, const struct spawn_started *started,
                   int64_t start_ns, struct spawn_end *end)
{
    struct child child = {
        .job = job,
        .end = end,
        .poll = { [INPUT] = { .fd = started->fds[0], .events = POLLOUT },
                  [OUTPUT] = { .fd = started->fds[1], .events = POLLIN },
                  [ERRORS] = { .fd = started->fds[2], .events = POLLIN },
                  [EXIT] = { .fd = started->exit_fd, .events = POLLIN },
                  [STOP] = { .fd = nbdkit_stop_fd(), .events = POLLIN } },
        .pid = started->pid,
        .start_ns = start_ns,
        .deadline = limits_get_deadline(start_ns),
        .heading_length = job->heading == NULL ? 0 : strlen(job->heading),
    };

    *end = (struct spawn_end){ 0 };
    if (child.poll[INPUT].fd >= 0)
        feed_input(&child);
    if (child.poll[EXIT].fd >= 0)
        attend_child(&child);
    else
        spawn_signal(child.pid, SIGKILL);
    wait_for_child(&child);
    for (int i = 0; i < STOP; i++)
        close_fd(&child.poll[i].fd);
}

void spawn_attend(const struct spawn_job *job, const struct spawn_started *started,
                  int64_t start_ns, struct spawn_end *end)
{
    enlarge_pipes(job, started);
    attend(job, started, start_ns, end);
}

/* Starts the job's program. Returns 0 or an errno. */
static int start_child(const struct spawn_job *job, struct spawn_started *started)
{
    int child_fds[3] = { -1, -1, -1 }; /* its stdin, stdout, stderr */
    int error = job->input == NULL ? 0 : make_pipe(started, INPUT, &child_fds[INPUT]);

    for (int which = OUTPUT; which <= ERRORS && error == 0; which++)
        error = make_pipe(started, which, &child_fds[which]);
    if (error == 0) {
        enlarge_pipes(job, started);
        orphans_begin_start();
        error = spawn_start(job->argv, job->environment, child_fds, 3, &started->pid);
        orphans_keep(error == 0 ? started->pid : 0);
    }
    for (int i = 0; i < 3; i++)
        close_fd(&child_fds[i]);
    return error;
}

int spawn_run(const struct spawn_job *job, struct spawn_end *end)
{
    struct spawn_started started = { .fds = { -1, -1, -1 }, .exit_fd = -1 };
    int64_t start_ns = limits_read_clock();
    int error = start_child(job, &started);

    *end = (struct spawn_end){ 0 };
    if (error != 0) {
        for (int i = 0; i < 3; i++)
            close_fd(&started.fds[i]);
        return error;
    }
    started.exit_fd = exitfd_open(started.pid);
    error = started.exit_fd < 0 ? errno : 0;
    attend(job, &started, start_ns, end);
    return error;
}
