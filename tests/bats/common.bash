# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What every bats file loads: one test owns its servers, its sockets and its files, all of them
# in $BATS_TEST_TMPDIR, so that tests can run beside each other.  Nothing here sleeps for a fixed
# time: a wait polls for its event and gives up after $BOUND_S seconds.
#
#   serve ARGS...     start $NBDLAB -f on $SOCK and wait until it serves
#                     ($TLS_SERVER, $TLS_FOLDER: over TLS, with these certificates)
#   stop              SIGTERM, and the server must then end with status 0
#   py <<'EOT'        Python with everything of rawnbd.py and lab.py at hand

bats_require_minimum_version 1.5.0

TESTS=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
: "${BUILD:=$TESTS/../build}"
: "${NBDLAB:=$BUILD/nbdlab}"
: "${REAL_NBDLAB:=$NBDLAB}" # the program itself, where NBDLAB is a stand-in (with_workers.sh)
BUILD=$(cd "$BUILD" && pwd)
NAME=${NBDLAB##*/}
SLOWER=1
[ -z "${SANITIZE:-}" ] || SLOWER=4
BOUND_S=$((10 * SLOWER))
export TESTS BUILD NBDLAB BOUND_S SLOWER
export PYTHONPATH=$TESTS PYTHONDONTWRITEBYTECODE=1

setup() {
    common_setup
}

teardown() {
    common_teardown
}

common_setup() {
    DIR=$BATS_TEST_TMPDIR
    SOCK=$DIR/sock
    PIDFILE=$DIR/pid
    LOG=$DIR/log
    URI="nbd+unix:///?socket=$SOCK"
    TMPDIR=$DIR/tmp
    mkdir "$TMPDIR"
    export DIR SOCK PIDFILE LOG URI TMPDIR
    STARTED=()
}

# Ends what the test started and shows the log; bats prints it only if the test failed.
common_teardown() {
    local pid
    for pid in "${STARTED[@]}"; do
        if is_alive "$pid"; then
            kill -KILL "$pid"
            wait "$pid" 2>/dev/null || :
        fi
    done
    if [ -s "$LOG" ]; then
        echo "--- the server's log (last 60 lines):"
        tail -n 60 "$LOG"
    fi
}

# is_alive PID: whether the process still runs; a zombie does not.
is_alive() {
    local line
    read -r line 2>/dev/null <"/proc/$1/stat" || return 1
    line=${line##*) }
    [ "${line%% *}" != Z ]
}

# wait_for COMMAND...: until the command succeeds.
wait_for() {
    local deadline=$((SECONDS + BOUND_S))
    until "$@"; do
        if [ "$SECONDS" -gt "$deadline" ]; then
            echo "waited in vain for: $*"
            return 1
        fi
        sleep 0.01
    done
}

not() {
    ! "$@"
}

# start ARGS...: a server in the foreground that is not waited for; its pid is in $SERVER.
start() {
    start_bare -f -U "$SOCK" -P "$PIDFILE" ${TLS_SERVER:+--tls=require} \
        ${TLS_SERVER:+--tls-certificates="$TLS_SERVER"} "$@" <&0
}

# start_bare ARGS...: the same without any option of ours.
start_bare() {
    "$NBDLAB" "$@" <&0 >>"$DIR/out" 2>>"$LOG" 3>&- 4>&- &
    export SERVER=$!
    STARTED+=("$SERVER")
}

is_up_or_gone() {
    [ -s "$PIDFILE" ] || ! is_alive "$SERVER"
}

wait_ready() {
    wait_for is_up_or_gone
    [ -s "$PIDFILE" ] || { echo "the server ended before it served"; return 1; }
}

serve() {
    rm -f "$PIDFILE"
    start "$@" <&0
    wait_ready
}

# wait_exit [PID]: until the server has ended; returns its exit status.
wait_exit() {
    local pid=${1:-$SERVER}
    wait_for not is_alive "$pid" || return 99
    wait "$pid"
}

stop() {
    kill -TERM "$SERVER"
    wait_exit
}

# disk NAME <<'EOT': makes an executable script $DIR/NAME out of standard input.
disk() {
    cat >"$DIR/$1"
    chmod +x "$DIR/$1"
}

py() {
    { echo 'from lab import *'; cat; } | timeout "$((6 * BOUND_S))" /usr/bin/python3 - "$@"
}

# has TEXT: the server's log contains it;  lacks TEXT: it does not.
has() {
    grep -qF -e "$1" "$LOG" || { echo "the log lacks: $1"; return 1; }
}

lacks() {
    if grep -qF -e "$1" "$LOG"; then
        echo "the log should not have: $1"
        return 1
    fi
}

# messages: what the server's log has to say, but for its line about root.
messages() {
    grep -v "warning: serving as root: " "$LOG" || :
}

# same ACTUAL EXPECTED
same() {
    [ "$1" = "$2" ] || { printf 'got:      %s\nexpected: %s\n' "$1" "$2"; return 1; }
}

# contains TEXT PART
contains() {
    case $1 in
        *"$2"*) ;;
        *) printf 'in:      %s\nmissing: %s\n' "$1" "$2"; return 1 ;;
    esac
}
