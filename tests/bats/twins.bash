# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
#
# For tests that run one compiled plugin of Debian's under nbdkit and under nbdlab; load it after
# common.  Each server has a folder of its own, $DIR/nbdkit and $DIR/nbdlab, and runs in it, so
# that both can be given the very same command line.
#
#   each COMMAND...          runs a command in both folders; it must succeed in both
#   twins [OPTION...] PLUGIN ARGS...   starts both; sets SOCK, PEER and URI, PEER_URI
#   twins_at_once ...        the same, both within one second of the clock
#   compare <<'EOT'          Python with everything of twins.py and lab.py at hand
#   stop_twins               SIGTERM; both must end with status 0
#   same_dump PLUGIN;  same_help PLUGIN;  both_refuse PLUGIN ARGS...

twins_setup() {
    common_setup
    PLUGINS=$(echo /usr/lib/*/nbdkit/plugins)
    PEER=$DIR/peer
    PEER_URI="nbd+unix:///?socket=$PEER"
    export PLUGINS PEER PEER_URI
    mkdir "$DIR/nbdkit" "$DIR/nbdlab"
    # What Debian's plugins leak is theirs.
    export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
}

plugin() {
    printf '%s/nbdkit-%s-plugin.so\n' "$PLUGINS" "$1"
}

each() {
    local side
    for side in nbdkit nbdlab; do
        (cd "$DIR/$side" && "$@") || return 1
    done
}

# The arguments of either server: the plugin by its path, which is the first word without a dash.
twin_args() {
    ARGS=()
    local arg is_named=
    for arg in "$@"; do
        case $is_named$arg in
            -*) ;;
            *) [ -n "$is_named" ] || arg=$(plugin "$arg"); is_named=yes ;;
        esac
        ARGS+=("$arg")
    done
}

twins() {
    local ARGS=()
    twin_args "$@"
    # nbdkit 1.32 leaves its socket behind.
    rm -f "$DIR/peer.pid" "$PEER"
    cd "$DIR/nbdkit" || return 1
    nbdkit -f -U "$PEER" -P "$DIR/peer.pid" "${ARGS[@]}" >"$DIR/peer.out" 2>"$DIR/peer.log" \
        </dev/null 3>&- 4>&- &
    PEER_SERVER=$!
    STARTED+=("$PEER_SERVER")
    cd "$DIR/nbdlab" || return 1
    serve "${ARGS[@]}" </dev/null
    cd "$DIR" || return 1
    wait_for is_peer_up_or_gone
    [ -s "$DIR/peer.pid" ] || { cat "$DIR/peer.log"; return 1; }
}

# twins_at_once ARGS...: the same for plugins that draw random numbers from the second they start in.
twins_at_once() {
    local second try
    for try in {1..20}; do
        second=$EPOCHSECONDS
        twins "$@" || return
        [ "$EPOCHSECONDS" != "$second" ] || return 0
        stop_twins || return
        rm -f "$SOCK"
    done
    echo "in $try tries, the two did not start within a second"
    return 1
}

is_peer_up_or_gone() {
    [ -s "$DIR/peer.pid" ] || ! is_alive "$PEER_SERVER"
}

stop_twins() {
    stop
    kill -TERM "$PEER_SERVER"
    wait_exit "$PEER_SERVER"
}

compare() {
    { echo 'from lab import *; from twins import *'; cat; } |
        timeout "$((6 * BOUND_S))" /usr/bin/python3 - "$@"
}

same_dump() {
    diff <(nbdkit "$(plugin "$1")" --dump-plugin) <("$NBDLAB" "$(plugin "$1")" --dump-plugin)
}

# Of --help PLUGIN, the plugin's own part.
same_help() {
    local theirs ours
    theirs=$(nbdkit "$(plugin "$1")" --help | sed -n '/^plugin: /,$p')
    ours=$("$NBDLAB" "$(plugin "$1")" --help | sed -n '/^plugin: /,$p')
    [ -n "$theirs" ] && same "$ours" "$theirs"
}

# Both end with status 1, and nbdlab too prints what the plugin said. (What the servers' own
# parsers say differs: that is not for here.)
both_refuse() {
    local ARGS=() theirs ours line
    twin_args "$@"
    rm -f "$PEER"
    theirs=$(refusal nbdkit nbdkit -U "$PEER" "${ARGS[@]}")
    ours=$(refusal nbdlab "$NBDLAB" -U "$SOCK" "${ARGS[@]}")
    # Which function of its own failed is nbdkit's business, not the plugin's; and temporary files
    # have a name of their own each time.
    theirs=$(sed -n 's/^nbdkit: error: \(realpath: \)\{0,1\}//p' <<<"$theirs" | hide_temporary)
    ours=$(hide_temporary <<<"$ours")
    [ -n "$theirs" ] || { echo "nbdkit gives no reason"; return 1; }
    while read -r line; do
        contains "$ours" "$line" || return 1
    done <<<"$theirs"
}

hide_temporary() {
    sed -E 's,/tmp/(nbdkit[^/]*|cc[^/.]*),/tmp/X,g'
}

# refusal FOLDER SERVER ARGS...: what a server says that does not start.
refusal() (
    cd "$DIR/$1" || return 1
    status=0
    timeout "$BOUND_S" "$2" -f "${@:3}" </dev/null 2>&1 3>&- 4>&- || status=$?
    [ "$status" = 1 ] || { echo "$2 ended with status $status"; return 1; }
)
