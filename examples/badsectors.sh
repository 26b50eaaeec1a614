#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# A disk with bad sectors: what touches a bad range fails, all else works. Shows how a client takes
# errors, for example whether it goes on, and which sector it blames. Try it:
#
#   ./nbdlab -U - sh examples/badsectors.sh bad=1M+4K bad=2M+4K:ENOSPC \
#       --run 'qemu-io -f raw -c "read 0 4k" -c "read 1M 4k" -c "write 2M 4k" "$uri"'
#
# Parameters: size=SIZE (16M), and any number of bad=START+LENGTH[:ERROR], ERROR being the word that
# the client gets: EIO (if left out), EPERM, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP, ESHUTDOWN.

: "${tmpdir:?is missing: this is a disk, nbdlab sh runs it}"
disk=$tmpdir/disk
bad_ranges=$tmpdir/bad

fail() {
    echo "$*" >&2
    exit 1
}

# Turns "1M+4K:EIO" into "1048576 1052672 EIO", from the first byte to the one behind the last.
parse_range() {
    case "$1" in
        *:*) error=${1##*:} ;;
        *) error=EIO ;;
    esac
    range=${1%%:*}
    if ! start=$(numfmt --from=iec "${range%+*}" 2>/dev/null) ||
        ! length=$(numfmt --from=iec "${range##*+}" 2>/dev/null); then
        fail "EINVAL bad=$1 is not understood: write bad=START+LENGTH[:ERROR]"
    fi
    echo "$start $((start + length)) $error"
}

# Fails if the request of $1 bytes at offset $2 touches a bad range.
check_range() {
    while read -r start end error; do
        if [ "$2" -lt "$end" ] && [ $(($2 + $1)) -gt "$start" ]; then
            fail "$error bad sector: bytes $start to $((end - 1)) are bad"
        fi
    done <"$bad_ranges"
}

case "$1" in
    thread_model) echo parallel ;;
    load) : >"$bad_ranges" && truncate -s 16M "$disk" ;;
    config)
        case "$2" in
            size) truncate -s "$3" "$disk" ;;
            bad) parse_range "$3" >>"$bad_ranges" ;;
            *) fail "EINVAL unknown parameter '$2': this disk takes size and bad" ;;
        esac
        ;;

    get_size) stat -c %s "$disk" ;;
    can_write) exit 0 ;;

    pread)
        check_range "$3" "$4"
        dd if="$disk" iflag=skip_bytes,count_bytes skip="$4" count="$3" bs=1M
        ;;
    pwrite)
        # What the client sent may be left unread: the exit status alone decides.
        check_range "$3" "$4"
        dd of="$disk" oflag=seek_bytes seek="$4" conv=notrunc bs=1M
        ;;

    *) exit 2 ;;
esac
