#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# A disk with a map, for tests/bats/map.bats. In the folder $DISK are
#   map       what the method map prints; "map.sh", if it is there, is run instead
#   own       the data that the script serves itself; its size is the disk's
#   calls     a line for each call
# CAN has the names of can_ methods that say yes; FUA and CACHE are what can_fua and can_cache print.

echo "$*" >>"$DISK/calls"

# Fails where the test wants a method to fail at an offset: FAIL="pwrite:4096:ENOSPC".
case "${FAIL-}" in
    "$1:$4:"*)
        echo "${FAIL##*:}" >&2
        exit 1
        ;;
esac

case "$1" in
    thread_model) echo parallel ;;
    open) echo "handle" ;;
    map)
        if [ -e "$DISK/map.sh" ]; then
            # shellcheck disable=SC1091 # the test writes it
            . "$DISK/map.sh"
        elif [ -e "$DISK/map" ]; then
            cat "$DISK/map"
        else
            exit 2
        fi
        ;;
    get_size) stat -c %s "$DISK/own" ;;
    can_write) exit 0 ;;
    can_fua) [ -n "${FUA-}" ] && echo "$FUA" || exit 2 ;;
    can_cache) [ -n "${CACHE-}" ] && echo "$CACHE" || exit 2 ;;
    can_*)
        case " ${CAN-} " in
            *" $1 "*) exit 0 ;;
            *) exit 3 ;;
        esac
        ;;
    pread) dd if="$DISK/own" iflag=skip_bytes,count_bytes skip="$4" count="$3" bs=1M ;;
    pwrite) dd of="$DISK/own" oflag=seek_bytes seek="$4" conv=notrunc bs=1M ;;
    zero) fallocate -z -o "$4" -l "$3" "$DISK/own" ;;
    trim | flush | cache) ;;
    extents) cat "$DISK/extents" ;;
    *) exit 2 ;;
esac
