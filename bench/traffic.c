/* SPDX-License-Identifier: BSD-3-Clause */

/* The loop of a connection: all replies that are there are read with one call, and all requests
 * that take their places sent with another. */

#include "traffic.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "fail.h"
#include "pattern.h"

/*
 * The measured time is from a reply to a reply, the first ones after `start_ns` and `end_ns`: what
 * is counted in between was answered in just this time, however slow the server is.
 */
static void count_reply(struct traffic *traffic, const struct slot *slot)
{
    uint64_t now_ns = traffic->now_ns;

    if (now_ns < traffic->start_ns)
        return;
    if (traffic->first_ns == 0)
        traffic->first_ns = now_ns;
    if (now_ns > traffic->first_ns &&
        (traffic->last_ns < traffic->end_ns || now_ns == traffic->last_ns)) {
        latency_add(&traffic->latency, now_ns - slot->sent_ns);
        traffic->last_ns = now_ns;
    }
}

/* Called by `replies` for a request that has been answered. */
static void finish(void *context, struct slot *slot)
{
    struct traffic *traffic = context;

    if (traffic->pass == TRAFFIC_MEASURE)
        count_reply(traffic, slot);
    blocks_release(&traffic->blocks, slot->block);
    slots_release(&traffic->slots, slot);
}

void traffic_init(struct traffic *traffic)
{
    const struct arguments *arguments = traffic->arguments;

    slots_init(&traffic->slots, arguments->depth);
    outbox_init(&traffic->outbox, traffic->client.fd, arguments->depth);
    traffic->replies = (struct replies){
        .slots = &traffic->slots,
        .block_bytes = arguments->block_bytes,
        .is_structured = traffic->client.is_structured,
        .must_verify = arguments->must_verify,
        .finish = finish,
        .context = traffic,
    };
    replies_init(&traffic->replies);
    /* Only data that is verified differs from request to request. */
    traffic->payload =
        fail_calloc(arguments->must_verify ? arguments->depth : 1, arguments->block_bytes);
    pattern_fill(traffic->payload, arguments->block_bytes, 0, 1);
}

void traffic_free(struct traffic *traffic)
{
    slots_free(&traffic->slots);
    outbox_free(&traffic->outbox);
    replies_free(&traffic->replies);
    blocks_free(&traffic->blocks);
    free(traffic->payload);
    client_close(&traffic->client);
}

/* Returns the data to be written, which is the block's next version. */
static unsigned char *make_payload(struct traffic *traffic, struct slot *slot)
{
    uint32_t block_bytes = traffic->arguments->block_bytes;
    unsigned char *payload;

    if (traffic->blocks.versions == NULL)
        return traffic->payload;
    payload = traffic->payload + (size_t)(slot - traffic->slots.slots) * block_bytes;
    slot->version = ++traffic->blocks.versions[slot->block];
    pattern_fill(payload, block_bytes, slot->offset, slot->version);
    return payload;
}

static bool is_next_a_write(struct traffic *traffic)
{
    if (traffic->pass == TRAFFIC_MEASURE)
        return blocks_toss(&traffic->blocks, traffic->arguments->write_percent);
    return traffic->pass == TRAFFIC_FILL;
}

static void add_request(struct traffic *traffic)
{
    uint32_t block_bytes = traffic->arguments->block_bytes;
    struct slot *slot = &traffic->slots.slots[slots_take(&traffic->slots)];
    struct wire_request request = {
        .magic = htobe32(WIRE_REQUEST_MAGIC),
        .cookie = htobe64(slot->cookie),
        .length.compact = htobe32(block_bytes),
    };

    slot->is_write = is_next_a_write(traffic);
    slot->block = blocks_pick(&traffic->blocks);
    slot->offset = (traffic->blocks.first + slot->block) * block_bytes;
    slot->sent_ns = traffic->now_ns;
    request.offset = htobe64(slot->offset);
    if (slot->is_write) {
        request.type = htobe16(NBD_CMD_WRITE);
        outbox_add(&traffic->outbox, &request, make_payload(traffic, slot), block_bytes);
    } else {
        if (traffic->blocks.versions != NULL)
            slot->version = traffic->blocks.versions[slot->block];
        outbox_add(&traffic->outbox, &request, NULL, 0);
    }
}

static bool is_over(const struct traffic *traffic)
{
    return traffic->pass == TRAFFIC_MEASURE ? traffic->last_ns >= traffic->end_ns
                                            : traffic->left == 0;
}

/* Gives each idle slot a request, and sends what can be sent. */
static void refill(struct traffic *traffic)
{
    if (outbox_is_empty(&traffic->outbox)) {
        while (traffic->slots.idle_count > 0 && !is_over(traffic)) {
            add_request(traffic);
            if (traffic->left > 0)
                traffic->left--;
        }
    }
    outbox_flush(&traffic->outbox);
}

/* With requests still to be sent, both directions are waited for: the server may be unable
 * to read on before its replies have been read. Returns whether there is something to receive. */
static bool wait_for_server(const struct traffic *traffic)
{
    struct pollfd poller = { .fd = traffic->client.fd, .events = POLLIN | POLLOUT };

    if (outbox_is_empty(&traffic->outbox))
        return true;
    if (poll(&poller, 1, -1) < 0 && errno != EINTR)
        fail_errno("cannot wait for the server");
    return poller.revents & (POLLIN | POLLHUP | POLLERR);
}

double traffic_rate(const struct traffic *traffic)
{
    if (traffic->last_ns == 0)
        return 0;
    return (double)traffic->latency.total * 1e9 / (double)(traffic->last_ns - traffic->first_ns);
}

void traffic_run(struct traffic *traffic, enum traffic_pass pass)
{
    traffic->pass = pass;
    traffic->left = pass == TRAFFIC_MEASURE ? 0 : traffic->blocks.count;
    blocks_rewind(&traffic->blocks, pass == TRAFFIC_MEASURE && traffic->arguments->is_random);
    traffic->now_ns = latency_now_ns();
    refill(traffic);
    while (slots_count_busy(&traffic->slots) > 0) {
        if (wait_for_server(traffic)) {
            replies_receive(&traffic->replies, traffic->client.fd);
            traffic->now_ns = latency_now_ns();
            replies_take(&traffic->replies);
        }
        refill(traffic);
    }
}
