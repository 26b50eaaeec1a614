#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# The disk of the benchmark's rows "map": the file $BENCH_FILE, which the server moves itself.

case "$1" in
    thread_model) echo parallel ;;
    get_size) stat -c %s "$BENCH_FILE" ;;
    can_write | can_multi_conn) exit 0 ;;
    map) echo "0 $(stat -c %s "$BENCH_FILE") file $BENCH_FILE" ;;
    pread | pwrite)
        echo "ENOTSUP this server does not ask for the map" >&2
        exit 1
        ;;
    *) exit 2 ;;
esac
