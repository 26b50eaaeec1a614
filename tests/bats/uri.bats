#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# URIs: what --print-uri prints and what $uri of --run holds, for every kind of socket.

load common

# printed: the first line of --print-uri of the server that start_bare has started.
printed() {
    wait_for [ -s "$DIR/out" ] >&2
    head -n 1 "$DIR/out"
}

@test "--print-uri: the bare URI first, then ways to use it that a shell understands" {
    start_bare -f -U "$SOCK" -P "$PIDFILE" --print-uri memory 1M
    wait_ready
    same "$(printed)" "nbd+unix:///?socket=$SOCK"
    same "$(wc -l <"$DIR/out")" 3
    same "$(eval "$(sed -n '3s/^[^:]*: //p' "$DIR/out") --size")" 1048576
    same "$(eval "printf %s $(sed -n '2s/^[^:]*: //p' "$DIR/out")")" "nbd+unix:///?socket=$SOCK"
    stop
}

@test "--print-uri: before the server goes to the background" {
    run -0 "$NBDLAB" --print-uri -U "$SOCK" -P "$PIDFILE" memory 1M 3>&- 4>&-
    STARTED+=("$(cat "$PIDFILE")")
    same "${lines[0]}" "nbd+unix:///?socket=$SOCK"
    kill "${STARTED[0]}"
    wait_for not is_alive "${STARTED[0]}"
}

@test "--print-uri: a TCP port that the system picks, and the name of the export" {
    start_bare -f -p 0 -i 127.0.0.1 -P "$PIDFILE" -e 'a b/ü?' --print-uri memory 1M
    wait_ready
    local uri
    uri=$(printed)
    [[ $uri =~ ^nbd://127\.0\.0\.1:[1-9][0-9]*/a%20b/%C3%BC%3F$ ]]
    same "$(nbdinfo --size "$uri")" 1048576
    stop
}

@test "--print-uri with --run prints before the command runs" {
    run -0 "$NBDLAB" --print-uri memory 1M --run 'echo "$uri"'
    same "${lines[0]}" "${lines[3]}"
}

@test "--print-uri: a socket whose path is full of what a shell minds" {
    local name path
    for name in "it's" 'a b' '$(touch x)' '`x`' '"' 'a\b' 'a;b&c|d' '*?[x]' $'new\nline' '#' '%41' 'ü'; do
        path="$DIR/$name"
        rm -f "$PIDFILE" "$DIR/out"
        start_bare -f -U "$path" -P "$PIDFILE" --print-uri memory 1M
        wait_ready
        same "$(nbdinfo --size "$(printed)")" 1048576
        same "$(eval "$(sed -n '3s/^[^:]*: //p' "$DIR/out") --size")" 1048576
        stop
    done
}

@test "--print-uri and -s exclude each other" {
    run -1 "$NBDLAB" -s --print-uri memory 1M </dev/null
    contains "$output" "--print-uri"
}
