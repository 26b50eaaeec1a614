#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# libnbd 1.22 and qemu 10 as clients of a server that throws them out, or that ends.

load ../bats/common
load peers

serve_ending() {
    serve eval get_size='echo 1M' pread="
        case \$4 in
            4096) echo 'ESHUTDOWN no more' >&2; exit $1 ;;
            *) head -c \$3 /dev/zero ;;
        esac"
}

# A read with extended headers that ends something; $1 is the errno, or "" for success.
ending_read() {
    WANTED=$1 nbdsh_new <<EOT
assert h.get_extended_headers_negotiated()
h.pread(512, 0)
try:
    h.pread(512, 4096)
    got = ""
except nbd.Error as error:
    got = error.errno
assert got == "$1", got
$2
EOT
}

REFUSED='
try:
    h.pread(512, 0)
    assert False, "read after the end"
except nbd.Error as error:
    assert error.errno in ("ESHUTDOWN", "ENOTCONN", None), error.errno'

@test "exit 5: an error, and the server ends" {
    serve_ending 5
    ending_read ESHUTDOWN ""
    wait_exit
}

@test "exit 6: the client is thrown out, others are served on" {
    serve_ending 6
    ending_read ENOTCONN "assert h.aio_is_closed() or h.aio_is_dead()"
    same "$(bounded nbdinfo --size "$URI")" 1048576
    run ! bounded qemu-io -r -f raw -c 'read 4096 512' \
        "json:{\"driver\":\"nbd\",\"server\":{\"type\":\"unix\",\"path\":\"$SOCK\"},\"reconnect-delay\":0}"
    stop
}

@test "exit 8: an error, and nothing more for this client" {
    serve_ending 8
    ending_read ESHUTDOWN "$REFUSED"
    same "$(bounded nbdinfo --size "$URI")" 1048576
    run -1 bounded qemu-io -r -f raw -c 'read 4096 512' -c 'read 0 512' "$URI"
    same "$(grep -c 'read failed' <<<"$output")" 2
    stop
}

@test "SIGTERM with an idle client: it sees the end" {
    serve memory 1M
    nbdsh_new <<'EOT' >"$DIR/client.out" 2>&1 3>&- 4>&- &
import sys
print(h.get_size(), flush=True)
while h.aio_is_ready():
    h.poll(-1)
print("the end", flush=True)
EOT
    CLIENT=$!
    STARTED+=("$CLIENT")
    wait_for grep -q 1048576 "$DIR/client.out"
    stop
    wait_for grep -q "the end" "$DIR/client.out"
    wait_exit "$CLIENT" || :
}

@test "SIGTERM in the middle of a copy: nothing hangs" {
    serve eval thread_model='echo parallel' get_size='echo 1G' \
        pread="echo >$DIR/reading; head -c \$3 /dev/zero"
    bounded nbdcopy "$URI" null: >"$DIR/client.out" 2>&1 3>&- 4>&- &
    CLIENT=$!
    STARTED+=("$CLIENT")
    wait_for test -e "$DIR/reading"
    stop
    run ! wait_exit "$CLIENT"
    not is_alive "$CLIENT"
}
