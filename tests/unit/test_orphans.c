// SPDX-License-Identifier: BSD-3-Clause
/* Which children are waited for by whom, whatever stands first among the zombies. Prints TAP. */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "limits.h"
#include "orphans.h"

#define SECOND_NS (1000 * LIMITS_NANOSECONDS_PER_MS)

enum { OWN_GROUP, OTHER_GROUP };

static int test_count;
static int failure_count;
static int64_t clock_ns = SECOND_NS;
static int stop_fd;

int64_t limits_read_clock(void)
{
    return clock_ns;
}

int nbdkit_stop_fd(void)
{
    return stop_fd;
}

static void report(bool is_good, const char *what)
{
    test_count++;
    failure_count += !is_good;
    printf("%sok %d - %s\n", is_good ? "" : "not ", test_count, what);
}

/* A child that has exited with status 7, in the group of this process or in one of its own. */
static pid_t make_zombie(int group)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (group == OTHER_GROUP)
            setpgid(0, 0);
        _exit(7);
    }
    waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT);
    return pid;
}

static bool is_zombie(pid_t pid)
{
    return waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT | WNOHANG) == 0;
}

static void reap_later(int seconds)
{
    clock_ns += seconds * SECOND_NS;
    orphans_reap();
}

static void test_kept(void)
{
    int status = 0;

    orphans_begin_start();
    pid_t kept = make_zombie(OTHER_GROUP);
    orphans_reap();
    report(is_zombie(kept), "none is waited for while one starts");
    orphans_keep(kept);
    pid_t stranger = make_zombie(OTHER_GROUP);
    pid_t moved = make_zombie(OWN_GROUP);
    reap_later(0);
    reap_later(2);
    report(is_zombie(kept), "one that is kept is not waited for");
    report(!is_zombie(stranger), "one behind it is");
    report(is_zombie(moved), "one in the server's group is not, at first");
    reap_later(9);
    report(is_zombie(moved), "nor nine seconds later");
    reap_later(2);
    report(!is_zombie(moved), "but when it has been there for ten");
    report(orphans_collect(kept, &status) && WEXITSTATUS(status) == 7 && !is_zombie(kept),
           "the status of one that is kept is its starter's");
}

static void test_stopping(void)
{
    pid_t command = make_zombie(OWN_GROUP);

    eventfd_write(stop_fd, 1);
    for (int i = 0; i < 5; i++)
        reap_later(11);
    report(is_zombie(command), "a command that stopped the server is left to it");
    waitpid(command, NULL, 0);
}

static void test_abandoned(void)
{
    orphans_begin_start();
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    orphans_keep(pid);
    report(!orphans_collect(pid, NULL), "one that lives on cannot be collected");
    kill(pid, SIGKILL);
    waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT);
    orphans_reap();
    report(!is_zombie(pid), "it is waited for when it is dead");
}

int main(void)
{
    /* Children must not have lines to write. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    stop_fd = eventfd(0, 0);
    test_abandoned();
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    orphans_begin();
    test_kept();
    test_stopping();
    orphans_end();
    printf("1..%d\n", test_count);
    return failure_count > 0;
}
