# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Whatever ends the server, and however its scripts' children hide: nothing of them is left.

load common

# A disk whose client leaves a daemon, a child that ignores SIGTERM, and a call that hangs.
make_messy_disk() {
    disk messy.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1M ;;
    open)
        setsid sleep 1000 >/dev/null 2>&1 &
        echo $! >"$PIDS/daemon"
        sh -c 'trap "" TERM; exec sleep 1000' >/dev/null 2>&1 &
        echo $! >"$PIDS/stubborn" ;;
    pread)
        sh -c 'echo $PPID' >"$PIDS/reader"
        sleep 1000 ;;
    *) exit 2 ;;
esac
EOT
    export PIDS=$DIR/pids
    mkdir "$PIDS"
}

# Starts a client that waits for its read, and waits until the script hangs in it.
hang_in_a_read() {
    py >"$DIR/client.out" 2>&1 3>&- 4>&- <<'EOT' &
c = ready()
c.send_request(CMD_READ, 0, 512)
c.ending()
EOT
    STARTED+=($!)
    wait_for test -s "$PIDS/reader"
}

killed_by_int() {
    ! kill -INT "$SERVER" 2>/dev/null || ! is_alive "$SERVER"
}

is_all_gone() {
    local file
    for file in "$PIDS"/*; do
        if is_alive "$(cat "$file")"; then return 1; fi
    done
    [ -z "$(ls -A "$TMPDIR")" ]
}

@test "SIGTERM leaves no daemon, no stubborn child, no call and no tmpdir" {
    make_messy_disk
    serve sh "$DIR/messy.sh" sh.grace=0.5
    hang_in_a_read
    stop
    is_all_gone
}

@test "SIGKILL of the server leaves none of them either" {
    make_messy_disk
    serve sh "$DIR/messy.sh"
    hang_in_a_read
    kill -KILL "$SERVER"
    wait_for is_all_gone
}

@test "SIGKILL of a server in the background leaves none of them either" {
    make_messy_disk
    "$NBDLAB" -U "$SOCK" -P "$PIDFILE" sh "$DIR/messy.sh" 3>&- 4>&-
    SERVER=$(cat "$PIDFILE")
    STARTED+=("$SERVER")
    hang_in_a_read
    kill -KILL "$SERVER"
    wait_for is_all_gone
}

@test "SIGINT again and again during start-up kills the server and leaves nothing" {
    make_messy_disk
    disk slow.sh <<'EOT'
#!/bin/sh
case $1 in
    config_complete) echo $$ >"$PIDS/slow"; sleep 1000 ;;
    get_size) echo 1M ;;
    *) exit 2 ;;
esac
EOT
    start sh "$DIR/slow.sh"
    wait_for test -s "$PIDS/slow"
    kill -INT "$SERVER"
    wait_for killed_by_int
    wait_for is_all_gone
}

@test "a stale socket of a killed server does not keep the next one from starting" {
    serve memory 1M
    kill -KILL "$SERVER"
    wait_exit || true
    test -S "$SOCK"
    serve memory 1M
    same "$(nbdinfo --size "$URI")" 1048576
    stop
    test ! -e "$SOCK"
}
