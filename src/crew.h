/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The threads of a session. One of them leads: it reads requests and has them
 * done, one after the other, and their replies wait in its outbox to be sent
 * together. Before it does something that is known to take long, it hands the
 * lead over; where something takes long unexpectedly, another thread sends
 * what waits, and takes the lead away. So nothing that a client has asked for
 * waits for another of its requests for more than a few milliseconds.
 *
 * Where no more than one request may be in the plugin at once, only the
 * session's own thread leads, and others do no more than send what waits.
 */
#ifndef CREW_H
#define CREW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ahead.h"
#include "watch.h"

struct conn;
struct outbox;

/* A thread that nobody has needed for so long ends, and a client that says nothing is idle. */
enum { CREW_IDLE_MS = 1000 };

/* What the leader works with. Whoever takes the lead away leaves this to it. */
struct lead {
    struct outbox *outbox; /* NULL: none yet, or no memory */
    bool is_sending;       /* what is in the outbox is being sent */
    struct ahead left;     /* what requests in work may have borrowed from */
    unsigned holders;      /* under the crew's lock */
};

/* A thread; the members are its own but where they say so. */
struct member {
    struct crew *crew;
    struct lead *lead; /* its own, or the one it had until the lead was taken away */
    bool is_leading;
    bool is_busy;  /* counted in crew->busy */
    uint64_t turn; /* of the watched section, 0 outside */
    bool is_owner; /* the session's own thread */
    pthread_cond_t wake;
    bool is_called;      /* under the crew's lock, and what follows */
    struct member *next; /* that rests */
};

struct crew {
    struct conn *conn;
    void *context;
    void (*serve)(struct member *member); /* all that a thread does */
    unsigned limit;                       /* requests in the plugin at once */
    _Atomic unsigned busy;                /* threads that have one, the leader not counted */
    _Atomic bool is_short;                /* a thread could not be started, and it was logged */

    pthread_mutex_t lock; /* for all that follows */
    struct lead *lead;
    bool is_led;
    bool is_over;          /* there will be no more requests */
    bool is_for_owner;     /* nobody else is to lead for now */
    uint64_t stuck_turn;   /* the section that somebody is called to end, or 0 */
    struct member *owner;  /* the session's own thread, while it rests */
    struct member *rested; /* the one that came last first */
    struct slot *slots;    /* limit of them: room for one more than the session's own thread */
    unsigned thread_count; /* besides the session's own */
    struct watched watched;
};

/*
 * Runs crew->serve(), which must be set as conn, context and limit are, in the
 * calling thread, the session's own, and in others as they are needed. Returns when all have.
 */
void crew_run(struct crew *crew);

/*
 * Waits until this thread leads. Returns false where it has to go: there are
 * no more requests, or it was of no use for a while.
 */
bool crew_take_lead(struct member *member);

/* After crew_take_lead(), when the thread does not lead any more or wants not to. */
void crew_leave(struct member *member);

/* For somebody else to lead while this thread is busy. */
void crew_hand_over(struct member *member);

/*
 * Brackets around the plugin's callback, and around sending. Between them
 * the lead may be taken away, is_leading is false then, and so may the replies
 * in the outbox. For a thread that does not lead they do nothing.
 */
void crew_begin_call(struct member *member);
void crew_begin_sending(struct member *member);
void crew_end(struct member *member);

/* The leader's outbox, or NULL where there is no memory for it. */
struct outbox *crew_get_outbox(struct member *member);

/* Sends what waits in the leader's outbox. It may lose the lead. */
void crew_flush(struct member *member);

/* There are no more requests. What waits is sent. The leader. */
void crew_finish(struct member *member);

/* The client says nothing: gives memory and threads back. The leader, which may lose the lead. */
void crew_rest(struct member *member);

/*
 * From a callback: sends the replies that wait for this thread's request, if
 * that is possible at once. Does nothing in a thread that is of no crew.
 */
void crew_flush_now(void);

#endif
