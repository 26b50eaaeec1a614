// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the accept loop and the list of live connections. The main thread
 * enters at the top; it watches itself, or, with -s, serves the only client and
 * has a thread that watches. Each session's thread begins and ends here. Calls
 * session, conn, transport, listen, signals and quit.
 */
#include "server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "budget.h"
#include "cleanup.h"
#include "clock.h"
#include "conn.h"
#include "crash.h"
#include "listen.h"
#include "log.h"
#define NBDKIT_API_VERSION 2
#include "nbdkit-plugin.h"
#include "notify.h"
#include "plugin.h"
#include "policy.h"
#include "progress.h"
#include "quit.h"
#include "session.h"
#include "signals.h"
#include "transport.h"
#include "watch.h"

/* How long to leave clients waiting when the machine is out of descriptors or memory. */
enum { ACCEPT_PAUSE_MS = 500 };

/* How often to look for clients that keep their places for nothing, while others wait for one. */
enum { WAIT_LOOK_MS = 500 };

struct client {
    struct client *next;
    struct conn *conn; /* NULL once the session is over; under lock */
    pthread_t thread;
    bool is_in_main; /* the session runs in the main thread, there is none to join */
};

static struct {
    pthread_mutex_t lock;
    struct client *clients; /* under lock */
    unsigned live_count;    /* the thread that watches */
    unsigned last_number;   /* the thread that watches */
    int ended_fd;           /* eventfd, raised when a session is over */
    bool is_paused;         /* the same: accept(2) failed, wait a moment */
    bool is_wait_told;      /* the same: it was logged that clients have to wait */
    bool is_wait_seen;      /* the same: there is no place, and somebody waits for one */
} server = { .lock = PTHREAD_MUTEX_INITIALIZER, .ended_fd = -1 };

static void run_client(struct client *client)
{
    struct conn *conn = client->conn;
    uint64_t one = 1;

    session_run(conn);
    pthread_mutex_lock(&server.lock);
    client->conn = NULL;
    pthread_mutex_unlock(&server.lock);
    conn_free(conn);
    if (write(server.ended_fd, &one, sizeof one) < 0) {
        /* EAGAIN: it is raised already. */
    }
}

static void *run_thread(void *client)
{
    char signal_stack[CRASH_STACK_BYTES];

    crash_use_stack(signal_stack);
    run_client(client);
    crash_forget_stack(signal_stack);
    return NULL;
}

/* Makes a client for descriptors that are the function's to close on failure. */
static struct client *make_client(const struct server_config *config, int in_fd, int out_fd)
{
    struct client *client = calloc(1, sizeof *client);
    struct transport *transport = client ? transport_new(in_fd, out_fd, quit_get_fd()) : NULL;

    if (!transport) {
        close(in_fd);
        if (out_fd != in_fd)
            close(out_fd);
        free(client);
        return NULL;
    }
    client->conn = conn_new(transport, ++server.last_number, config->policy);
    if (client->conn)
        return client;
    transport_close(transport);
    free(client);
    return NULL;
}

/* Starts a session for a client. Returns 0, or -1 after logging. */
static int serve_client(const struct server_config *config, int in_fd, int out_fd)
{
    struct client *client = make_client(config, in_fd, out_fd);
    sigset_t old;

    if (!client) {
        log_error("cannot serve a client: %m");
        return -1;
    }
    pthread_mutex_lock(&server.lock);
    signals_block(&old);
    int error = pthread_create(&client->thread, NULL, run_thread, client);
    signals_restore(&old);
    if (!error) {
        client->next = server.clients;
        server.clients = client;
        server.live_count++;
    }
    pthread_mutex_unlock(&server.lock);
    if (!error)
        return 0;
    log_error("cannot serve a client: no thread for it: %s", strerrordesc_np(error));
    conn_free(client->conn);
    free(client);
    return -1;
}

/* Takes one client whose session is over off the list. Returns it, or NULL. */
static struct client *take_ended(void)
{
    LOCK_SCOPE(&server.lock);

    for (struct client **link = &server.clients; *link; link = &(*link)->next)
        if (!(*link)->conn) {
            struct client *client = *link;
            *link = client->next;
            return client;
        }
    return NULL;
}

static void reap_clients(void)
{
    struct client *client;
    uint64_t count;

    if (read(server.ended_fd, &count, sizeof count) < 0)
        return;
    while ((client = take_ended())) {
        if (!client->is_in_main)
            pthread_join(client->thread, NULL);
        free(client);
        server.live_count--;
    }
}

static void accept_client(const struct server_config *config, unsigned listener)
{
    const char *name = config->sockets->names[listener];
    char quoted[LOG_QUOTED_MAX];
    int on = 1;
    int fd = accept4(config->sockets->fds[listener], NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0) {
        if (name)
            log_debug("client %u comes in at the socket %s", server.last_number + 1,
                      log_quote(quoted, name));
        /* Fails on sockets that are not TCP, where it is not needed. */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (config->policy->has_keepalive)
            setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        serve_client(config, fd, fd);
        return;
    }
    /* EAGAIN, ECONNABORTED and such: the client has gone again. */
    if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
        return;
    if (!server.is_wait_told)
        log_warning("cannot accept a client for now: %m");
    server.is_wait_told = true;
    server.is_paused = true;
}

/* A plugin that allows one connection at a time gets the next when this one is gone. */
static bool is_full(const struct server_config *config)
{
    bool is_one_only = plugin_get_thread_model() == NBDKIT_THREAD_MODEL_SERIALIZE_CONNECTIONS;

    return server.live_count >= (is_one_only ? 1 : config->policy->connections_max);
}

enum { STOP, ENDED, COMMAND, FIRST_LISTENER };

/*
 * How many listeners to poll, and for how long to wait. While somebody waits for a place, poll(2)
 * would return at once: the next look is a little later.
 */
static unsigned choose_listeners(const struct server_config *config, int *timeout_ms)
{
    *timeout_ms = -1;
    if (server.is_paused)
        *timeout_ms = ACCEPT_PAUSE_MS;
    else if (is_full(config) && server.is_wait_seen)
        *timeout_ms = WAIT_LOOK_MS;
    if (*timeout_ms >= 0)
        return 0;
    /* With room again, one look tells whether somebody still waits. */
    if (!is_full(config) && server.is_wait_told)
        *timeout_ms = 0;
    return config->sockets->count;
}

/* A client waits there. */
static void welcome(const struct server_config *config, unsigned listener)
{
    if (!is_full(config)) {
        accept_client(config, listener);
        return;
    }
    server.is_wait_seen = true;
    if (server.is_wait_told || server.live_count < config->policy->connections_max)
        return;
    server.is_wait_told = true;
    log_warning("--connections=%u: as many clients are connected, further ones have to wait",
                config->policy->connections_max);
}

/* Is there still somebody who waits for a place? */
static bool is_awaited(const struct listen_sockets *sockets)
{
    struct pollfd fds[LISTEN_MAX];

    for (unsigned i = 0; i < sockets->count; i++)
        fds[i] = (struct pollfd){ .fd = sockets->fds[i], .events = POLLIN };
    return poll(fds, sockets->count, 0) > 0;
}

/* Drops clients that began something and leave it at that. Who is idle between requests may stay.
 */
static void drop_stuck(void)
{
    int64_t now_ms = clock_read_ms();
    LOCK_SCOPE(&server.lock);

    for (struct client *client = server.clients; client; client = client->next) {
        const char *fault =
            client->conn ? transport_find_stuck(client->conn->transport, now_ms) : NULL;
        if (!fault || conn_get_state(client->conn) == CONN_DEAD)
            continue;
        log_warning("client %u %s for %d seconds, and others wait for its place (see "
                    "--connections), dropping it",
                    client->conn->number, fault, PROGRESS_PATIENCE_MS / 1000);
        conn_advance(client->conn, CONN_DEAD);
    }
}

/* Time has passed since somebody was seen to wait for a place. */
static void look_after_places(const struct server_config *config)
{
    server.is_wait_seen = is_full(config) && is_awaited(config->sockets);
    if (server.is_wait_seen)
        drop_stuck();
}

/* Waits for something to happen and handles it. Returns false when it is time to stop. */
static bool serve_event(const struct server_config *config)
{
    struct pollfd fds[FIRST_LISTENER + LISTEN_MAX] = {
        [STOP] = { .fd = quit_get_fd(), .events = POLLIN },
        [ENDED] = { .fd = server.ended_fd, .events = POLLIN },
        [COMMAND] = { .fd = config->command_fd, .events = POLLIN },
    };
    int timeout_ms;
    unsigned listeners = choose_listeners(config, &timeout_ms);

    for (unsigned i = 0; i < listeners; i++)
        fds[FIRST_LISTENER + i] =
            (struct pollfd){ .fd = config->sockets->fds[i], .events = POLLIN };
    int ready = poll(fds, FIRST_LISTENER + listeners, timeout_ms);
    server.is_paused = false;
    if (ready < 0)
        return errno == EINTR || errno == ENOMEM;
    if (server.is_wait_seen)
        look_after_places(config);
    if (ready == 0 && timeout_ms == 0)
        server.is_wait_told = false;
    if (fds[STOP].revents || fds[COMMAND].revents)
        return false;
    if (fds[ENDED].revents)
        reap_clients();
    for (unsigned i = 0; i < listeners; i++)
        if (fds[FIRST_LISTENER + i].revents)
            welcome(config, i);
    return config->single_in_fd < 0 || server.live_count > 0;
}

/* Replies to what was read still go out; nothing more is read. */
static void close_clients(void)
{
    LOCK_SCOPE(&server.lock);

    for (struct client *client = server.clients; client; client = client->next)
        if (client->conn)
            conn_advance(client->conn, CONN_CLOSING);
}

static void wait_for_clients(void)
{
    struct pollfd ended = { .fd = server.ended_fd, .events = POLLIN };

    while (server.live_count > 0)
        if (poll(&ended, 1, -1) > 0)
            reap_clients();
}

/* Serves until it is time to stop, and until all clients have gone. */
static void *watch(void *config)
{
    while (serve_event(config))
        ;
    crash_let_finish();
    quit_request();
    notify_stopping();
    listen_close(((const struct server_config *)config)->sockets);
    close_clients();
    wait_for_clients();
    return NULL;
}

/*
 * Some interpreters of plugins run in no thread but the one that loaded them: the only client is
 * served there. Returns 0, or -1 after logging.
 */
static int serve_in_main(struct server_config *config)
{
    struct client *client = make_client(config, config->single_in_fd, config->single_out_fd);
    pthread_t watcher;
    sigset_t old;

    if (!client) {
        log_error("cannot serve a client: %m");
        return -1;
    }
    client->is_in_main = true;
    server.clients = client;
    server.live_count = 1;
    int error = pthread_create(&watcher, NULL, watch, config);
    if (error) {
        log_error("cannot serve a client: no thread to watch it: %s", strerrordesc_np(error));
        conn_free(client->conn);
        free(client);
        return -1;
    }
    /* Signals are for the thread that watches. */
    signals_block(&old);
    run_client(client);
    pthread_join(watcher, NULL);
    signals_restore(&old);
    return 0;
}

int server_run(const struct server_config *config)
{
    struct server_config own = *config;
    int result = 0;

    budget_init(config->policy->in_flight_max_bytes);
    server.ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server.ended_fd < 0) {
        log_error("eventfd: %m");
        return -1;
    }
    if (config->single_in_fd >= 0)
        result = serve_in_main(&own);
    else
        watch(&own);
    watch_stop();
    close(server.ended_fd);
    return result;
}
