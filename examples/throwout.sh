#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# A disk that throws each client out at its Nth read. Shows whether a client notices, says so, and
# comes back: it may connect again and has N reads once more. Try it:
#
#   ./nbdlab -U - sh examples/throwout.sh reads=3 how=forced \
#       --run 'qemu-io -f raw -r -c "read 0 1k" -c "read 1k 1k" -c "read 2k 1k" "$uri"'
#
# Parameters: reads=N (3), and how=HOW:
#   soft    the Nth read succeeds, then the client gets ESHUTDOWN for all it asks (exit status 7)
#   error   the same, but the Nth read fails too (exit status 8)
#   forced  the connection is cut at once, the client gets no answer (exit status 6)

: "${tmpdir:?is missing: this is a disk, nbdlab sh runs it}"

fail() {
    echo "$*" >&2
    exit 1
}

# Prints what was given for a parameter, or else its default.
parameter() {
    cat "$tmpdir/$1" 2>/dev/null || echo "$2"
}

print_zeroes() {
    head -c "$1" /dev/zero
}

# Ends the Nth read of a client; $1 is the size of the read.
throw_out() {
    case $(parameter how soft) in
        soft)
            print_zeroes "$1"
            exit 7
            ;;
        error)
            echo "ESHUTDOWN that was the last read" >&2
            exit 8
            ;;
        forced) exit 6 ;;
    esac
}

case "$1" in
    config)
        case "$2=$3" in
            how=soft | how=error | how=forced | reads=[1-9]*) echo "$3" >"$tmpdir/$2" ;;
            *) fail "EINVAL '$2=$3': this disk takes reads=N and how=soft, error or forced" ;;
        esac
        ;;

    # The handle, $2 from here on, is a folder of this connection's own.
    open) mktemp -d "$tmpdir/client-XXXXXX" ;;
    close) rm -r "$2" ;;

    get_size) echo 1M ;;
    # Reads come one at a time, as the script asks for no other thread model: the file suffices.
    pread)
        echo >>"$2/reads"
        if [ "$(wc -l <"$2/reads")" -ge "$(parameter reads 3)" ]; then
            throw_out "$3"
        fi
        print_zeroes "$3"
        ;;

    *) exit 2 ;;
esac
