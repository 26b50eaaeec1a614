/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A byte stream to a client: a socket, or a pair of pipes, with or without
 * TLS on it. Reading is
 * buffered, so that requests that arrive together are read together; writing
 * gathers. One thread reads at a time and one writes at a time (the locks are
 * the caller's); any thread may wake them.
 */
#ifndef TRANSPORT_H
#define TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct ahead;
struct tls;
struct tls_credentials;
struct transport;

/*
 * Takes over in_fd and out_fd, which are the same for a socket. Once stop_fd
 * polls readable, the client has five seconds to take what is sent to it.
 * Returns NULL with errno, and then the descriptors are still the caller's.
 */
struct transport *transport_new(int in_fd, int out_fd, int stop_fd);

/*
 * Reads exactly `length` bytes. Returns 1; 0 at end of file before the first
 * byte; -1 with errno otherwise (ECONNRESET: the stream ended half-way;
 * ETIMEDOUT: the deadline is over).
 */
int transport_recv(struct transport *transport, void *buffer, size_t length);

/*
 * Reads `length` bytes, at most AHEAD_BYTES, to where the read-ahead has them;
 * they are valid until the next call of a function that reads. Returns as
 * transport_recv().
 */
int transport_borrow(struct transport *transport, void **bytes, size_t length);

/* Reads and drops `length` bytes. Returns as transport_recv(). */
int transport_skip(struct transport *transport, uint64_t length);

/*
 * Waits until there is something to be read. Returns 1; 0 at end of file; -1
 * with errno (EAGAIN: the client is idle).
 */
int transport_wait(struct transport *transport);

/* From now on a client that says nothing for so long is idle; 0: it never is. The reader. */
void transport_set_idle(struct transport *transport, int idle_ms);

/*
 * Whether it is worthwhile to wait awake, see linger.h: not where a client has
 * so many requests in flight that it does not wait for each reply. The reader's.
 */
void transport_set_lingering(struct transport *transport, bool is_wanted);

/* Gives back the memory of the read-ahead, after EAGAIN of transport_wait(). */
void transport_rest(struct transport *transport);

/* What was read ahead, `*length` bytes of it; valid as those of transport_borrow(). The reader. */
const void *transport_peek(const struct transport *transport, size_t *length);

/*
 * Goes on with a copy of the read-ahead in *other, which was empty and comes to
 * be the old one, with the bytes that somebody may have borrowed. In place of the reader.
 */
void transport_change_ahead(struct transport *transport, struct ahead *other);

/*
 * Sends all of the `count` vectors, which it changes on the way. Returns 0, or
 * -1 with errno (ETIMEDOUT: the client takes too long while the server is
 * stopping, or the deadline is over).
 */
int transport_send(struct transport *transport, struct iovec *vectors, int count);

/* Sends what can be sent without waiting, and leaves the rest: the stream's last words. */
void transport_send_now(struct transport *transport, struct iovec *vectors, int count);

/* Readers get end of file, now and later; what a socket has queued may still be read. */
void transport_wake_reader(struct transport *transport);

/* Readers get end of file, writers get EPIPE, now and later. */
void transport_wake_all(struct transport *transport);

/* The same, but a client on TLS is told, if it takes that at once. */
void transport_end(struct transport *transport);

/*
 * From now on the client has `timeout_ms` altogether: after that, reading
 * fails, and so does sending that has to wait. transport_clear_deadline()
 * lifts it and returns whether it was missed. Session's thread, while it has
 * no workers.
 */
void transport_set_deadline(struct transport *transport, unsigned timeout_ms);
bool transport_clear_deadline(struct transport *transport);

/* No time of the deadline passes between the two, should there be one. The session's thread. */
void transport_pause_deadline(struct transport *transport);
void transport_resume_deadline(struct transport *transport);

/*
 * What the client has left undone for PROGRESS_PATIENCE_MS or longer, while the server waited for
 * it in the middle of something: half a sentence; or NULL. The thread of the server that looks.
 */
const char *transport_find_stuck(struct transport *transport, int64_t now_ms);

/* Has the client closed its end, whatever is still to be read? Any thread. */
bool transport_is_hung_up(const struct transport *transport);

/* How many bytes were read ahead, and not asked for yet. The reader. */
size_t transport_count_ahead(const struct transport *transport);

/*
 * From now on the stream is encrypted: shakes hands with the client. Returns
 * 0, or -1 after logging, and then the stream is of no more use. Session's
 * thread, while it has no workers.
 */
int transport_start_tls(struct transport *transport, const struct tls_credentials *credentials);

/* The stream's TLS, or NULL where it is plain. */
const struct tls *transport_get_tls(const struct transport *transport);

/*
 * Tells a client on TLS that nothing more will come, so that it knows that
 * nobody has cut the stream. Waits up to five seconds for a client that does
 * not read. Before transport_close(), unless the stream was given up.
 */
void transport_say_goodbye(struct transport *transport);

/* Does the client say nothing for so long? The reader's, between two messages. */
bool transport_is_silent(const struct transport *transport, int wait_ms);

/* The descriptor of the client's socket, or -1 where the client is on pipes. */
int transport_get_socket(const struct transport *transport);

/*
 * Ends the stream so that a client still gets what was sent, closes it and
 * frees it. Nobody may be in a call on it.
 */
void transport_close(struct transport *transport);

#endif
