/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes over one connection: `depth` requests in flight, always. One thread each. */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#include "arguments.h"
#include "blocks.h"
#include "client.h"
#include "latency.h"
#include "outbox.h"
#include "replies.h"
#include "slots.h"

enum traffic_pass {
    TRAFFIC_FILL,      /* writes each block once */
    TRAFFIC_MEASURE,   /* to `end_ns` and a reply longer, as the arguments say */
    TRAFFIC_READ_BACK, /* reads each block once */
};

struct traffic {
    const struct arguments *arguments;
    struct client client;
    struct blocks blocks;
    struct latency latency; /* of what was answered in the measured time */
    /* Set before TRAFFIC_MEASURE: when to begin and to end. */
    uint64_t start_ns;
    uint64_t end_ns;

    /* What follows is this module's own. */
    struct slots slots;
    struct outbox outbox;
    struct replies replies;
    unsigned char *payload;
    enum traffic_pass pass;
    uint64_t left;   /* blocks, in a pass through all */
    uint64_t now_ns; /* when something was last received */
    /* The replies that the measured time is from and to. */
    uint64_t first_ns;
    uint64_t last_ns;
};

/* For a client and blocks that have been set; the arguments must outlive it. */
void traffic_init(struct traffic *traffic);

/* Frees all, and says goodbye to the server. */
void traffic_free(struct traffic *traffic);

/* Returns when each request has been answered, and well; otherwise the process ends. */
void traffic_run(struct traffic *traffic, enum traffic_pass pass);

/* Returns the requests per second that were answered in the measured time, 0 if there was none. */
double traffic_rate(const struct traffic *traffic);

#endif
