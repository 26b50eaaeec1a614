#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The disk of the benchmark's rows "dd": 4 MiB in a file, a dd for each request.

: "${tmpdir:?is missing: the benchmark has a server run this}"
disk=$tmpdir/disk

case "$1" in
    thread_model) echo parallel ;;
    get_ready) truncate -s 4M "$disk" ;;
    get_size) echo 4M ;;
    can_write | can_multi_conn) exit 0 ;;
    pread) dd if="$disk" iflag=skip_bytes,count_bytes skip="$4" count="$3" bs=64K status=none ;;
    pwrite) dd of="$disk" oflag=seek_bytes seek="$4" conv=notrunc bs=64K status=none ;;
    *) exit 2 ;;
esac
