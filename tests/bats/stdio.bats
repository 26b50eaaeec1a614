#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Standard input and output: the plugin's while it is configured, the command's of --run after
# that, and nobody's without one.

load common

setup() {
    common_setup
    cd "$DIR"
    export TALKER=$BUILD/tests/plugins/talker.so
    printf 'one\ntwo\nthree\n' >input
}

# in_command INPUT ARGS...: the server with that as standard input.
in_command() {
    "$NBDLAB" -U - "${@:2}" <"$1" 2>>"$LOG" 3>&- 4>&-
}

@test "--run: the command has the caller's standard input and output, the plugin none" {
    in_command input "$TALKER" --run 'nbdcopy "$uri" - | tr d D; cat' >out
    { echo load; head -c 4096 /dev/zero | tr '\0' D; cat input; } | cmp - out
    echo hello | in_command /dev/stdin "$TALKER" --run cat >out
    same "$(cat out)" $'load\nhello'
    if [ "$(id -u)" = 0 ]; then
        in_command input -u nobody "$TALKER" --run cat >out
        { echo load; cat input; } | cmp - out
    fi
    lacks "has taken"
}

@test "--run: what the plugin read ahead of a file is there for the command" {
    in_command input "$TALKER" lines=1 --run cat >out
    same "$(cat out)" $'load\nread one\ntwo\nthree'
}

@test "without a command, standard input and output are nobody's once the plugin is ready" {
    serve "$TALKER" <input
    qemu-io -r -f raw -c 'read 0 512' "$URI"
    stop
    same "$(cat out)" load
    rm out
    "$NBDLAB" -U "$SOCK" -P "$PIDFILE" --log="$LOG" "$TALKER" <input >out 3>&- 4>&-
    SERVER=$(cat "$PIDFILE")
    STARTED+=("$SERVER")
    qemu-io -r -f raw -c 'read 0 512' "$URI"
    kill "$SERVER"
    wait_for not is_alive "$SERVER"
    same "$(cat out)" load
    lacks "has taken"
}

@test "--run with Python: what it prints harms no image, what it read ahead is there" {
    if [ ! -e "$BUILD/plugins/nbdkit-python-plugin.so" ]; then skip "built without Python"; fi
    cat >disk.py <<'EOT'
import os
def config_complete(): print("first:", input())
def open(readonly): print("opened")
def close(h): os.write(1, b"closed")
def get_size(h): return 4096
def pread(h, buf, offset, flags): buf[:] = b"d" * len(buf)
API_VERSION = 2
EOT
    in_command input python disk.py --run 'cat; nbdcopy "$uri" - | tr d D' >out
    { printf 'first: one\ntwo\nthree\n'; head -c 4096 /dev/zero | tr '\0' D; } | cmp - out
    has opened
}
