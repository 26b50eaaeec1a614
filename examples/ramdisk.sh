#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# A RAM disk: empty at the start, shared by all clients, gone when the server ends. Try it:
#
#   ./nbdlab -U - sh examples/ramdisk.sh 32M --run 'nbdcopy /etc/services "$uri"; nbdinfo "$uri"'
#
# Parameter: [size=]SIZE, 64M if it is left out.
# $tmpdir is made by the server, for this script alone, and removed when the server ends. Start
# the server with TMPDIR=/dev/shm to keep it in memory in the strict sense.

: "${tmpdir:?is missing: this is a disk, nbdlab sh runs it}"
disk=$tmpdir/disk

case "$1" in
    magic_config_key) echo size ;;
    thread_model) echo parallel ;;

    config)
        if [ "$2" != size ]; then
            echo "EINVAL unknown parameter '$2': this disk takes size=SIZE" >&2
            exit 1
        fi
        # The script runs anew for every call: what it is to remember goes into a file.
        truncate -s "$3" "$disk"
        ;;
    get_ready) [ -e "$disk" ] || truncate -s 64M "$disk" ;;

    get_size) stat -c %s "$disk" ;;
    can_write | can_multi_conn) exit 0 ;;

    # dd counts in blocks unless these flags say bytes.
    pread)
        dd if="$disk" iflag=skip_bytes,count_bytes skip="$4" count="$3" bs=1M ;;
    pwrite)
        dd of="$disk" oflag=seek_bytes seek="$4" conv=notrunc bs=1M ;;

    *) exit 2 ;;
esac
