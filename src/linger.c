// SPDX-License-Identifier: BSD-3-Clause
/* Owns the number of reads there were. Any thread; calls clock. */
#include "linger.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>

#include "clock.h"

enum {
    CALM_MIN = 32,         /* reads in a row without too many others in between */
    LINGER_NS = 50 * 1000, /* some times as long as it takes to wake a thread up */
    SHORT_NS = 100 * 1000, /* a wait that a reader who does not sleep would have shortened */
};

static atomic_uint read_count;
static unsigned processor_count; /* that readers may use: one is for the clients */

static void count_processors(void)
{
    cpu_set_t set;

    processor_count =
        sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) - 1 : 0;
}

static unsigned get_processor_count(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, count_processors);
    return processor_count;
}

/* Counts a read, and how many of this reader's in a row had few of others in between. */
static void count_read(struct linger_state *state)
{
    unsigned number = atomic_fetch_add_explicit(&read_count, 1, memory_order_relaxed);
    unsigned others = number - state->next_number;

    state->next_number = number + 1;
    if (others >= get_processor_count())
        state->calm_count = 0;
    else if (state->calm_count < CALM_MIN)
        state->calm_count++;
}

static bool is_calm(const struct linger_state *state)
{
    unsigned number = atomic_load_explicit(&read_count, memory_order_relaxed);

    return state->calm_count == CALM_MIN && number - state->next_number < processor_count;
}

ssize_t linger_recv(struct linger_state *state, int fd, void *buffer, size_t length)
{
    int64_t begun_ns = clock_read_ns();
    bool is_worthwhile = state->is_wanted && state->was_short;

    count_read(state);
    while (is_worthwhile && is_calm(state) && clock_read_ns() - begun_ns < LINGER_NS) {
        ssize_t got = recv(fd, buffer, length, MSG_DONTWAIT);
        if (got >= 0 || errno != EAGAIN)
            return got;
        sched_yield();
    }
    ssize_t got = recv(fd, buffer, length, 0);
    state->was_short = clock_read_ns() - begun_ns < SHORT_NS;
    return got;
}
