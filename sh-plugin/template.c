/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the template process, the FIFOs of subshells that are on order, and
 * their birth. The pool's thread enters it. Calls shell, program, lifetime,
 * exitfd, orphans, proc and spawn.
 *
 * FIFOs, since a shell can open no other pipe that it does not inherit. Each
 * subshell has its own, which have no names any more when it is ready: nothing
 * that outlives a call can reach those of another.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "exitfd.h"
#include "lifetime.h"
#include "orphans.h"
#include "proc.h"
#include "program.h"
#include "template.h"

#define DEATH_MS 1000 /* that a killed process may take to die */
#define REPORT_MAX 1024
#define WORDS_MAX (PROGRAM_TEMPLATE_WORDS_MAX + 10)

enum state { IDLE, EXPECTING, ENDING }; /* ENDING: all have come, "done" has not */

static struct {
    pid_t pid;
    int order_fd;
    int report_fd;
    int exit_fd;
    struct shell shell;
    enum state state;
    unsigned long
        next; /* the number of the next subshell, a seed too; 0: nothing was ordered yet */
    unsigned long first;
    unsigned count;
    unsigned reported;
    struct spawn_started born[TEMPLATE_BATCH_MAX]; /* from number first on; pid 0: not yet */
    char report[REPORT_MAX];                       /* the beginning of a line */
    size_t report_length;
} template = { .order_fd = -1, .report_fd = -1, .exit_fd = -1 };

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_subshell(struct spawn_started *subshell)
{
    for (int i = 0; i < 3; i++)
        close_fd(&subshell->fds[i]);
    close_fd(&subshell->exit_fd);
}

static char *format_fifo(unsigned long number, int which)
{
    char *path;

    return asprintf(&path, "%s/%lu%c", lifetime_get_private(), number, "ioe"[which]) < 0 ? NULL
                                                                                         : path;
}

static void unlink_fifos(unsigned long number)
{
    for (int i = 0; i < 3; i++) {
        CLEANUP_FREE char *path = format_fifo(number, i);
        if (path != NULL)
            unlink(path);
    }
}

/* Our end of stdin reads too, lest an open(2) block, here or there. Returns 0 or an errno. */
static int make_fifos(unsigned long number, struct spawn_started *subshell)
{
    *subshell = (struct spawn_started){ .fds = { -1, -1, -1 }, .exit_fd = -1 };
    for (int i = 0; i < 3; i++) {
        CLEANUP_FREE char *path = format_fifo(number, i);
        if (path == NULL)
            return ENOMEM;
        if (mkfifo(path, S_IRUSR | S_IWUSR) < 0)
            return errno;
        subshell->fds[i] = open(path, (i == 0 ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_CLOEXEC);
        if (subshell->fds[i] < 0)
            return errno;
    }
    return 0;
}

/* Forgets what was ordered and has not come. */
static void drop_order(void)
{
    for (unsigned i = 0; i < template.count; i++) {
        unlink_fifos(template.first + i);
        close_subshell(&template.born[i]);
    }
    template.count = 0;
}

static void fill_words(const char *words[WORDS_MAX], const char *tail)
{
    const struct shell *shell = &template.shell;
    size_t count = 0;

    words[count++] = shell->interpreter;
    if (*shell->name != '\0')
        words[count++] = shell->name;
    if (*shell->flags != '\0')
        words[count++] = shell->flags;
    words[count++] = "-c";
    words[count++] = SHELL_PROGRAM;
    words[count++] = program_get_template_name();
    words[count++] = "\n";
    words[count++] = lifetime_get_private();
    words[count++] = tail;
    count += program_get_template_words(words + count);
    words[count] = NULL;
}

/* The environment of scripts, and one variable more. To be freed; or NULL. */
static char **extend_environment(char *variable)
{
    char *const *scripts = lifetime_get_environment();
    size_t count = 0;

    while (scripts[count] != NULL)
        count++;
    char **extended = calloc(count + 2, sizeof(*extended));
    if (extended != NULL) {
        memcpy(extended, scripts, count * sizeof(*extended));
        extended[count] = variable;
    }
    return extended;
}

/* Starts it with these ends of its pipes. Returns 0 or an errno. */
static int start_process(int order_fd, int report_fd)
{
    CLEANUP_FREE char *loop = shell_format_loop(&template.shell);
    CLEANUP_FREE char *tail = shell_format_tail(&template.shell, program_get_template_run());
    CLEANUP_FREE char **environment = loop == NULL ? NULL : extend_environment(loop);
    const char *words[WORDS_MAX];

    if (environment == NULL || tail == NULL)
        return ENOMEM;
    fill_words(words, tail);
    orphans_begin_start();
    int error = spawn_start(words, environment, (const int[]){ order_fd, -1, -1, report_fd },
                            SHELL_REPORT_FD + 1, &template.pid);
    orphans_keep(error == 0 ? template.pid : 0);
    if (error == 0)
        template.exit_fd = exitfd_open(template.pid);
    return error;
}

int template_start(const struct shell *shell)
{
    int orders[2] = { -1, -1 };
    int reports[2] = { -1, -1 };

    template.shell = *shell;
    int error = pipe2(orders, O_CLOEXEC) < 0 || pipe2(reports, O_CLOEXEC) < 0 ? errno : 0;
    if (error == 0)
        error = start_process(orders[0], reports[1]);
    close_fd(&orders[0]);
    close_fd(&reports[1]);
    if (error != 0) {
        close_fd(&orders[1]);
        close_fd(&reports[0]);
        template.pid = 0;
        return error;
    }
    fcntl(reports[0], F_SETFL, O_NONBLOCK);
    template.order_fd = orders[1];
    template.report_fd = reports[0];
    template.state = IDLE;
    template.report_length = 0;
    if (template.next == 0)
        template.next = (unsigned long)(limits_read_clock() % INT16_MAX) + 1;
    return 0;
}

int template_stop(void)
{
    struct pollfd end = { .fd = template.exit_fd, .events = POLLIN };
    int wait_status = -1;

    if (template.pid == 0)
        return -1;
    /* The intermediate process and subshells that were not taken over are in its group. */
    if (waitid(P_PID, (id_t) template.pid, &(siginfo_t){ 0 }, WEXITED | WNOHANG | WNOWAIT) == 0)
        spawn_signal(template.pid, SIGKILL);
    poll(&end, 1, DEATH_MS);
    if (!orphans_collect(template.pid, &wait_status))
        wait_status = -1;
    drop_order();
    close_fd(&template.order_fd);
    close_fd(&template.report_fd);
    close_fd(&template.exit_fd);
    template.pid = 0;
    template.state = IDLE;
    return wait_status;
}

void template_continue(void)
{
    if (template.pid != 0)
        kill(template.pid, SIGCONT);
}

bool template_is_there(void)
{
    return template.pid != 0;
}

int template_get_report_fd(void)
{
    return template.report_fd;
}

int template_get_exit_fd(void)
{
    return template.exit_fd;
}

bool template_is_busy(void)
{
    return template.state != IDLE;
}

unsigned template_count_ordered(void)
{
    return template.count;
}

int template_order(unsigned count)
{
    CLEANUP_FREE char *order = shell_format_order(template.next, count);
    int error = order == NULL ? ENOMEM : 0;

    template.first = template.next;
    for (template.count = 0; template.count < count && error == 0; template.count++)
        error = make_fifos(template.next++, &template.born[template.count]);
    if (error == 0 && write(template.order_fd, order, strlen(order)) < 0)
        error = errno;
    if (error != 0) {
        drop_order();
        return error;
    }
    template.reported = 0;
    template.state = EXPECTING;
    return 0;
}

/* The parent of a process, or -1. */
static pid_t read_parent(pid_t pid)
{
    struct proc_stat stat;

    return proc_read_stat(pid, &stat) < 0 ? -1 : stat.parent;
}

/* Waits until the parent, which was killed, is the child's no more; parent_fd is a pidfd or -1. */
static void wait_for_orphan(pid_t child, pid_t parent, int parent_fd)
{
    struct pollfd end = { .fd = parent_fd, .events = POLLIN };
    struct timespec pause = { .tv_nsec = LIMITS_NANOSECONDS_PER_MS };

    if (parent_fd >= 0)
        poll(&end, 1, DEATH_MS);
    else
        for (int ms = 0; ms < DEATH_MS && read_parent(child) == parent; ms++)
            nanosleep(&pause, NULL);
}

/*
 * Kills the intermediate process that forked the child, and waits until that is
 * an orphan, and so ours. Returns 0, or -1 if the child is the template's own.
 */
static int kill_intermediate(pid_t child)
{
    pid_t parent = read_parent(child);

    if (parent == template.pid)
        return -1;
    if (parent <= 0 || parent == getpid())
        return 0;
    int fd = proc_open(parent);
    /* Asked twice, for a process that had ended in between might not be the one. */
    if (read_parent(child) == parent) {
        proc_signal(fd, parent, SIGKILL);
        wait_for_orphan(child, parent, fd);
    }
    close_fd(&fd);
    return 0;
}

/* Makes an orphan ours. Returns 0, or -1 if it is not, or gone. */
static int adopt(struct spawn_started *subshell)
{
    if (setpgid(subshell->pid, subshell->pid) < 0)
        return -1;
    orphans_begin_start();
    orphans_keep(subshell->pid);
    subshell->exit_fd = exitfd_open(subshell->pid);
    if (subshell->exit_fd >= 0)
        return 0;
    template_discard(subshell);
    return -1;
}

/* Takes over the subshells that have come. Returns their number, or -1. */
static int take_over(struct spawn_started ready[TEMPLATE_BATCH_MAX])
{
    pid_t any = 0;
    int count = 0;

    for (unsigned i = 0; i < template.count; i++)
        if (template.born[i].pid != 0)
            any = template.born[i].pid;
    int result = any == 0 ? -1 : kill_intermediate(any);
    for (unsigned i = 0; i < template.count && result == 0; i++) {
        struct spawn_started *born = &template.born[i];
        if (born->pid != 0 && adopt(born) == 0) {
            ready[count++] = *born;
            *born = (struct spawn_started){ .fds = { -1, -1, -1 }, .exit_fd = -1 };
        }
    }
    drop_order();
    return result < 0 || count == 0 ? -1 : count;
}

/* Reads one line. Returns the number of subshells that are ready, or -1. */
static int read_line(const char *line, struct spawn_started ready[TEMPLATE_BATCH_MAX])
{
    const char *slash = strrchr(line, '/');
    const char *last = slash == NULL ? strchr(line, ' ') : slash;
    unsigned long number;
    int pid;

    if (strcmp(line, "done") == 0) {
        int result = template.state == EXPECTING ? take_over(ready) : 0;
        template.state = IDLE;
        return result;
    }
    if (last == NULL || sscanf(line, "%lu", &number) != 1 || sscanf(last + 1, "%d", &pid) != 1 ||
        number - template.first >= template.count ||
        template.born[number - template.first].pid != 0)
        return 0;
    template.born[number - template.first].pid = pid;
    if (++template.reported < template.count)
        return 0;
    template.state = ENDING;
    return take_over(ready);
}

int template_collect(struct spawn_started ready[TEMPLATE_BATCH_MAX])
{
    char *at = template.report;
    int result = 0;
    ssize_t count = read(template.report_fd, at + template.report_length,
                         REPORT_MAX - 1 - template.report_length);

    if (count <= 0)
        return count < 0 && errno == EAGAIN ? 0 : -1;
    template.report_length += (size_t)count;
    at[template.report_length] = '\0';
    for (char *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        *end = '\0';
        int one = read_line(at, ready);
        if (one != 0)
            result = one;
    }
    template.report_length -= (size_t)(at - template.report);
    memmove(template.report, at, template.report_length + 1);
    return template.report_length == REPORT_MAX - 1 ? -1 : result;
}

void template_discard(struct spawn_started *subshell)
{
    struct pollfd end = { .fd = subshell->exit_fd, .events = POLLIN };

    /* Not waited for yet, so the number is still its own. */
    kill(subshell->pid, SIGKILL);
    poll(&end, 1, DEATH_MS);
    orphans_collect(subshell->pid, NULL);
    close_subshell(subshell);
}
