// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns nothing but, on kernels without pidfds, a thread for each child that is
 * waited for. Any thread enters it; calls libc only.
 */
#include "exitfd.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a thread is told. */
struct watch {
    pid_t child;
    int event_fd; /* the thread's own */
};

/* WNOWAIT leaves the child to whoever collects it. */
static void *watch_child(void *data)
{
    struct watch watch = *(struct watch *)data;

    free(data);
    while (waitid(P_PID, (id_t)watch.child, &(siginfo_t){ 0 }, WEXITED | WNOWAIT) < 0 &&
           errno == EINTR)
        continue;
    eventfd_write(watch.event_fd, 1);
    close(watch.event_fd);
    return NULL;
}

/* The thread may outlive its plugin by a moment, so what it runs stays loaded. */
static void stay_loaded(void)
{
    Dl_info info;

    if (dladdr((const void *)(uintptr_t)watch_child, &info) != 0)
        dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

/* Signals are for the process's other threads. Returns 0 or an errno. */
static int start_thread(struct watch *watch)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;

    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, &attributes, watch_child, watch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

static int watch_with_thread(pid_t child)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct watch *watch = malloc(sizeof *watch);
    int fd = watch ? eventfd(0, EFD_CLOEXEC) : -1;
    int threads_fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    int error = threads_fd < 0 ? errno : 0;

    pthread_once(&once, stay_loaded);
    if (!error) {
        *watch = (struct watch){ child, threads_fd };
        error = start_thread(watch);
    }
    if (!error)
        return fd;
    free(watch);
    if (threads_fd >= 0)
        close(threads_fd);
    if (fd >= 0)
        close(fd);
    errno = error;
    return -1;
}

int exitfd_open(pid_t child)
{
    int fd = pidfd_open(child, 0);

    /* Linux before 5.3 does not know it, and seccomp profiles may refuse it with any errno. */
    return fd >= 0 || errno == EMFILE || errno == ENFILE ? fd : watch_with_thread(child);
}
