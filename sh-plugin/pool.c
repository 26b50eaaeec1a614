/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the subshells that are ready, and the thread that keeps them so, which
 * alone enters template. Any other thread enters here. Calls template, program,
 * orphans, lifetime and limits.
 *
 * Forks are ordered in batches, when half of what may be needed is left: each
 * order costs a fork more.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "lifetime.h"
#include "limits.h"
#include "orphans.h"
#include "pool.h"
#include "program.h"
#include "template.h"

#define READY_MIN 8 /* while there are calls */
#define READY_MAX 32
#define READY_AT_REST 2
#define REST_TICKS 5 /* without a call */
#define TICK_MS 1000
#define REST_MS 30000 /* then daemons of scripts that have ended are reaped */
#define PATIENCE_NS (5000 * LIMITS_NANOSECONDS_PER_MS) /* of a call, and with an order */
#define RETRY_NS (5000 * LIMITS_NANOSECONDS_PER_MS)    /* after a template that failed */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_arrived; /* of the monotonic clock */
static struct {
    bool is_running; /* a thread looks after it */
    bool is_ending;
    bool is_failing; /* no template can be had */
    bool is_woken;   /* wake_fd is readable, or is going to be */
    enum program_fitness fitness;
    struct shell shell; /* that a template should have */
    unsigned version;   /* counts the shells; 0: there is none yet */
    struct spawn_started ready[READY_MAX + TEMPLATE_BATCH_MAX];
    unsigned ready_count;
    unsigned ordered;
    unsigned in_use;
    unsigned waiting;
    unsigned peak;      /* the most of both since the last tick */
    unsigned last_peak; /* and before that */
    unsigned quiet_ticks;
} pool; /* lock */

static int wake_fd = -1;
static pthread_t thread;

/* The thread's own. */
static unsigned template_version;
static bool has_delivered; /* the template has */
static int64_t order_ns;   /* when it got its order */
static int64_t retry_ns;
static int64_t tick_ns;

static void wake_locked(void)
{
    if (!pool.is_woken)
        eventfd_write(wake_fd, 1);
    pool.is_woken = true;
}

static void discard_locked(unsigned kept)
{
    while (pool.ready_count > kept)
        template_discard(&pool.ready[--pool.ready_count]);
}

static unsigned get_target_locked(void)
{
    unsigned peak = pool.peak > pool.last_peak ? pool.peak : pool.last_peak;
    unsigned target = 4 * peak < READY_MIN ? READY_MIN : 4 * peak;

    if (pool.quiet_ticks >= REST_TICKS)
        return READY_AT_REST;
    return target < READY_MAX ? target : READY_MAX;
}

/* How many subshells to order now: 0 or a power of two. */
static unsigned get_lack_locked(void)
{
    unsigned target = get_target_locked();
    unsigned coming = pool.ready_count + pool.ordered;
    unsigned lack = target > coming ? target - coming : 0;

    if (coming > target / 2 && coming >= pool.waiting)
        return 0;
    unsigned count = TEMPLATE_BATCH_MAX;
    while (count > lack)
        count /= 2;
    return count;
}

/* Notices that the script's interpreter is another one, or that it cannot be run. */
static void look_at_program_locked(void)
{
    struct shell shell;
    enum program_fitness fitness = program_find_shell(&shell);

    if (fitness == PROGRAM_OTHER && pool.fitness != PROGRAM_OTHER)
        nbdkit_warning("%s: line 1 is another one now, and what it names is not " SHELL_NAMES
                       ": it is started for each call (spawn) until that changes",
                       program_get_name());
    pool.fitness = fitness;
    if (fitness != PROGRAM_FIT || shell_is_same(&shell, &pool.shell))
        return;
    pool.shell = shell;
    pool.version++;
    discard_locked(0);
    wake_locked();
}

static bool has_exited(const struct spawn_started *subshell)
{
    return poll(&(struct pollfd){ .fd = subshell->exit_fd, .events = POLLIN }, 1, 0) > 0;
}

/* Takes one that lives. Returns false if there is none. */
static bool take_locked(struct spawn_started *subshell)
{
    while (pool.ready_count > 0) {
        /* The oldest: the others may still be busy being born. */
        *subshell = pool.ready[0];
        memmove(pool.ready, pool.ready + 1, --pool.ready_count * sizeof(pool.ready[0]));
        if (!has_exited(subshell))
            return true;
        template_discard(subshell);
    }
    return false;
}

static void note_use_locked(void)
{
    if (pool.in_use + pool.waiting > pool.peak)
        pool.peak = pool.in_use + pool.waiting;
    if (get_lack_locked() > 0)
        wake_locked();
}

static bool wait_locked(int64_t deadline_ns, struct spawn_started *subshell)
{
    struct timespec deadline = { .tv_sec = deadline_ns / (1000 * LIMITS_NANOSECONDS_PER_MS),
                                 .tv_nsec = deadline_ns % (1000 * LIMITS_NANOSECONDS_PER_MS) };
    bool is_taken = false;
    int error = 0;

    pool.waiting++;
    while (error == 0 && pool.is_running && !pool.is_failing &&
           !(is_taken = take_locked(subshell))) {
        note_use_locked();
        error = pthread_cond_timedwait(&has_arrived, &lock, &deadline);
    }
    pool.waiting--;
    return is_taken;
}

bool pool_take(int64_t start_ns, struct spawn_started *subshell)
{
    struct limits_deadline limit = limits_get_deadline(start_ns);
    int64_t deadline_ns = start_ns + PATIENCE_NS;
    bool is_taken = false;

    if (limit.when_ns < deadline_ns)
        deadline_ns = limit.when_ns;
    pthread_mutex_lock(&lock);
    if (pool.is_running)
        look_at_program_locked();
    if (pool.is_running && pool.fitness == PROGRAM_FIT)
        is_taken = take_locked(subshell) || wait_locked(deadline_ns, subshell);
    if (is_taken) {
        pool.in_use++;
        note_use_locked();
    }
    pthread_mutex_unlock(&lock);
    return is_taken;
}

void pool_note_end(void)
{
    pthread_mutex_lock(&lock);
    pool.in_use--;
    pthread_mutex_unlock(&lock);
}

static void note_failure(const char *what, const char *why)
{
    pthread_mutex_lock(&lock);
    bool is_news = !pool.is_failing;
    pool.is_failing = true;
    pthread_cond_broadcast(&has_arrived);
    pthread_mutex_unlock(&lock);
    retry_ns = limits_read_clock() + RETRY_NS;
    if (is_news)
        nbdkit_warning("%s: %s%s%s: calls start the script (spawn) until it works",
                       program_get_name(), what, why == NULL ? "" : ": ", why == NULL ? "" : why);
}

/* Ends the template, which has failed, or was killed. */
static void bury_template(void)
{
    int wait_status = template_stop();

    if (!has_delivered) {
        note_failure("no worker can be forked", NULL);
        return;
    }
    const char *name =
        wait_status >= 0 && WIFSIGNALED(wait_status) ? sigabbrev_np(WTERMSIG(wait_status)) : NULL;
    if (name != NULL)
        nbdkit_warning(
            "%s: the shell that forks workers was killed by SIG%s; another one takes over",
            program_get_name(), name);
    else
        nbdkit_warning("%s: the shell that forks workers has ended; another one takes over",
                       program_get_name());
}

/* Has the template that there should be. Returns true if there is one. */
static bool keep_template(void)
{
    pthread_mutex_lock(&lock);
    struct shell shell = pool.shell;
    unsigned version = pool.version;
    pthread_mutex_unlock(&lock);

    if (version == 0)
        return false;
    if (template_is_there() && template_version == version)
        return true;
    if (template_version == version && limits_read_clock() < retry_ns)
        return false;
    template_stop();
    template_version = version;
    has_delivered = false;
    int error = template_start(&shell);
    if (error != 0)
        note_failure("cannot start the shell that forks workers", strerror(error));
    return error == 0;
}

static void order_subshells(void)
{
    if (template_is_busy())
        return;
    pthread_mutex_lock(&lock);
    pool.ordered = 0;
    unsigned lack = pool.ordered = get_lack_locked();
    pthread_mutex_unlock(&lock);
    if (lack == 0)
        return;
    order_ns = limits_read_clock();
    int error = template_order(lack);
    if (error != 0 && error != EPIPE) {
        template_stop();
        note_failure("cannot prepare a worker", strerror(error));
    }
}

static void collect_subshells(void)
{
    struct spawn_started ready[TEMPLATE_BATCH_MAX];
    int count = template_collect(ready);

    pthread_mutex_lock(&lock);
    pool.ordered = template_count_ordered();
    bool is_current = pool.version == template_version;
    for (int i = 0; i < count; i++)
        if (is_current && pool.ready_count < READY_MAX + TEMPLATE_BATCH_MAX)
            pool.ready[pool.ready_count++] = ready[i];
        else
            template_discard(&ready[i]);
    if (count > 0) {
        has_delivered = true;
        pool.is_failing = false;
        pthread_cond_broadcast(&has_arrived);
    }
    pthread_mutex_unlock(&lock);
    if (count < 0)
        bury_template();
}

/* Once a second. Lets the pool shrink when less is needed. */
static void tick(void)
{
    template_continue();
    pthread_mutex_lock(&lock);
    pool.quiet_ticks = pool.peak == 0 && pool.in_use == 0 ? pool.quiet_ticks + 1 : 0;
    pool.last_peak = pool.peak;
    pool.peak = pool.in_use;
    discard_locked(get_target_locked());
    pthread_mutex_unlock(&lock);
    tick_ns = limits_read_clock() + TICK_MS * LIMITS_NANOSECONDS_PER_MS;
}

/* Returns false when the pool is to end. */
static bool take_note(void)
{
    eventfd_t value;

    pthread_mutex_lock(&lock);
    bool is_ending = pool.is_ending;
    if (pool.is_woken)
        eventfd_read(wake_fd, &value);
    pool.is_woken = false;
    if (pool.peak > 0)
        pool.quiet_ticks = 0;
    pthread_mutex_unlock(&lock);
    return !is_ending;
}

/* Only this thread changes what is looked at. */
static bool is_at_rest(void)
{
    return pool.quiet_ticks > REST_TICKS && !template_is_busy() && template_is_there();
}

static void *look_after(void *unused)
{
    (void)unused;
    while (take_note()) {
        if (keep_template())
            order_subshells();
        struct pollfd events[] = {
            { .fd = wake_fd, .events = POLLIN },
            { .fd = template_get_report_fd(), .events = POLLIN },
            { .fd = template_get_exit_fd(), .events = POLLIN },
        };
        poll(events, 3, is_at_rest() ? REST_MS : TICK_MS);
        if (events[1].revents != 0)
            collect_subshells();
        else if (events[2].revents != 0)
            bury_template();
        int64_t now_ns = limits_read_clock();
        if (template_is_busy() && now_ns > order_ns + PATIENCE_NS)
            bury_template();
        if (now_ns >= tick_ns)
            tick();
        orphans_reap();
    }
    return NULL;
}

/* Signals are for the server's other threads. Returns 0 or an errno. */
static int start_thread(void)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, NULL, look_after, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

int pool_begin(void)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&has_arrived, &monotonic);
    pthread_condattr_destroy(&monotonic);
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = wake_fd < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ? errno : 0;
    pool.is_running = true;
    pool.fitness = program_find_shell(&pool.shell);
    pool.version = pool.fitness == PROGRAM_FIT ? 1 : 0;
    if (error == 0)
        error = start_thread();
    if (error == 0)
        return 0;
    pool.is_running = false;
    nbdkit_error("cannot begin with workers: %s: use sh.process=spawn", strerror(error));
    return -1;
}

void pool_end(void)
{
    if (!pool.is_running)
        return;
    pthread_mutex_lock(&lock);
    pool.is_ending = true;
    pool.is_running = false;
    pthread_cond_broadcast(&has_arrived);
    wake_locked();
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    template_stop();
    discard_locked(0);
    orphans_reap();
    close(wake_fd);
    wake_fd = -1;
}
