/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A load generator for NBD servers. The main thread connects, starts a thread
 * for each connection, and adds up what they measured. All threads begin
 * each pass together.
 */

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "arguments.h"
#include "client.h"
#include "fail.h"
#include "latency.h"
#include "traffic.h"

#define NS_PER_US 1e3

static pthread_barrier_t barrier;

static struct client connect_client(const struct arguments *arguments)
{
    struct client_place place = { arguments->socket_path, arguments->port };
    int fd = client_connect(&place);

    if (fd < 0 && place.socket_path != NULL)
        fail_errno("cannot connect to %s", place.socket_path);
    if (fd < 0)
        fail_errno("cannot connect to port %u of 127.0.0.1", place.port);
    return client_negotiate(fd, arguments->export_name, arguments->wants_structured);
}

/* Returns how many blocks of the disk are used. */
static uint64_t count_blocks(const struct arguments *arguments, const struct client *client)
{
    uint64_t bytes = client->size_bytes;

    if (arguments->range_bytes > bytes)
        fail("the disk has %" PRIu64 " bytes, and the range is to be %" PRIu64, bytes,
             arguments->range_bytes);
    if (arguments->range_bytes > 0)
        bytes = arguments->range_bytes;
    if ((arguments->must_fill || arguments->write_percent > 0) &&
        (client->flags & NBD_FLAG_READ_ONLY))
        fail("the disk is read-only");
    if (bytes < arguments->block_bytes)
        fail("a disk of %" PRIu64 " bytes has no block of %" PRIu32, bytes, arguments->block_bytes);
    return bytes / arguments->block_bytes;
}

/* Each connection has its part of the disk. Where there are not enough blocks they share all. */
static void give_blocks(const struct arguments *arguments, struct traffic *traffic, unsigned index)
{
    uint64_t all = count_blocks(arguments, &traffic->client);
    uint64_t part = all / arguments->connections;
    uint64_t left_over = index + 1 == arguments->connections ? all % arguments->connections : 0;

    if (arguments->must_verify && part < arguments->depth)
        fail("to verify data, each connection needs a block for each request in flight: %u "
             "blocks, and has %" PRIu64,
             arguments->depth, part);
    if (part > 0)
        blocks_init(&traffic->blocks, index * part, part + left_over, index, arguments->is_random,
                    arguments->must_verify);
    else
        blocks_init(&traffic->blocks, 0, all, index, arguments->is_random, false);
}

static void *run_connection(void *context)
{
    struct traffic *traffic = context;

    if (traffic->arguments->must_fill)
        traffic_run(traffic, TRAFFIC_FILL);
    pthread_barrier_wait(&barrier);
    traffic->start_ns = latency_now_ns() + traffic->arguments->warm_up_ns;
    traffic->end_ns = traffic->start_ns + traffic->arguments->seconds_ns;
    if (traffic->arguments->seconds_ns > 0)
        traffic_run(traffic, TRAFFIC_MEASURE);
    if (traffic->arguments->must_verify)
        traffic_run(traffic, TRAFFIC_READ_BACK);
    return NULL;
}

static void run_all(struct traffic *traffic, unsigned count)
{
    pthread_t *threads = fail_calloc(count, sizeof *threads);

    pthread_barrier_init(&barrier, NULL, count);
    for (unsigned i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, run_connection, &traffic[i]) != 0)
            fail("cannot start a thread for connection %u", i + 1);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    free(threads);
}

static void show_result(const struct arguments *arguments, const struct latency *latency,
                        double per_s)
{
    printf("requests=%" PRIu64 " requests_per_s=%.1f bytes_per_s=%.0f mean_us=%.1f "
           "p50_us=%.1f p90_us=%.1f p99_us=%.1f p999_us=%.1f max_us=%.1f verified=%s\n",
           latency->total, per_s, per_s * arguments->block_bytes,
           latency_mean_ns(latency) / NS_PER_US,
           (double)latency_percentile_ns(latency, 50) / NS_PER_US,
           (double)latency_percentile_ns(latency, 90) / NS_PER_US,
           (double)latency_percentile_ns(latency, 99) / NS_PER_US,
           (double)latency_percentile_ns(latency, 99.9) / NS_PER_US,
           (double)latency->maximum_ns / NS_PER_US, arguments->must_verify ? "yes" : "no");
    if (fflush(stdout) != 0)
        fail_errno("cannot write the result");
}

static void measure(const struct arguments *arguments)
{
    struct traffic *traffic = fail_calloc(arguments->connections, sizeof *traffic);
    struct latency *latency = fail_calloc(1, sizeof *latency);
    double per_s = 0;

    for (unsigned i = 0; i < arguments->connections; i++) {
        traffic[i].arguments = arguments;
        traffic[i].client = connect_client(arguments);
        give_blocks(arguments, &traffic[i], i);
        traffic_init(&traffic[i]);
    }
    run_all(traffic, arguments->connections);
    for (unsigned i = 0; i < arguments->connections; i++) {
        latency_merge(latency, &traffic[i].latency);
        per_s += traffic_rate(&traffic[i]);
        traffic_free(&traffic[i]);
    }
    show_result(arguments, latency, per_s);
    free(latency);
    free(traffic);
}

static void stay_idle(const struct arguments *arguments)
{
    struct client *clients = fail_calloc(arguments->connections, sizeof *clients);
    char byte;

    for (unsigned i = 0; i < arguments->connections; i++)
        clients[i] = connect_client(arguments);
    printf("idle=%u\n", arguments->connections);
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, sizeof byte) > 0)
        ;
    for (unsigned i = 0; i < arguments->connections; i++)
        client_close(&clients[i]);
    free(clients);
}

int main(int argc, char **argv)
{
    struct arguments arguments = arguments_parse(argc, argv);

    if (arguments.is_idle)
        stay_idle(&arguments);
    else
        measure(&arguments);
    return EXIT_SUCCESS;
}
