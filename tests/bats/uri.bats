#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# URIs: what --print-uri prints and what $uri of --run holds, for every kind of socket.

load common
load pki

setup_file() {
    make_pki "$BATS_FILE_TMPDIR/pki"
}

# printed: the first line of --print-uri of the server that start_bare has started.
printed() {
    wait_for [ -s "$DIR/out" ] >&2
    head -n 1 "$DIR/out"
}

@test "--print-uri: the bare URI first, then ways to use it that a shell understands" {
    start_bare -f -U "$SOCK" -P "$PIDFILE" --print-uri memory 1M
    wait_ready
    same "$(printed)" "nbd+unix://?socket=$SOCK"
    same "$(wc -l <"$DIR/out")" 3
    same "$(eval "$(sed -n '3s/^[^:]*: //p' "$DIR/out") --size")" 1048576
    same "$(eval "printf %s $(sed -n '2s/^[^:]*: //p' "$DIR/out")")" "nbd+unix://?socket=$SOCK"
    stop
}

@test "--print-uri: before the server goes to the background" {
    run -0 "$NBDLAB" --print-uri -U "$SOCK" -P "$PIDFILE" memory 1M 3>&- 4>&-
    STARTED+=("$(cat "$PIDFILE")")
    same "${lines[0]}" "nbd+unix://?socket=$SOCK"
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

@test "\$uri where TLS is a must: what a client needs for it, and nothing where it is a choice" {
    needs_tls
    local pki=$BATS_FILE_TMPDIR/pki odd="$DIR/it's & odd?.psk"
    cp "$pki/keys.psk" "$odd"
    run -0 "$NBDLAB" --tls=require --tls-psk="$odd" -e 'x y' memory 1M \
        --run 'echo "$uri $tls $tls_psk"; nbdinfo --size "$uri"'
    [[ ${lines[0]} == "nbds+unix://alice@/x%20y?socket=$TMPDIR/"*"/socket&tls-psk-file=$DIR/it%27s%20%26%20odd%3F.psk 2 $odd" ]]
    same "${lines[1]}" 1048576
    # A relative path holds wherever the client runs.
    cd "$DIR"
    run -0 "$NBDLAB" -p 0 -i 127.0.0.1 --tls=require --tls-psk="it's & odd?.psk" memory 1M \
        --run 'echo "$uri $tls_psk"; cd /; nbdinfo --size "$uri"'
    [[ ${lines[0]} == "nbds://alice@127.0.0.1:"*"?tls-psk-file=$DIR/it%27s%20%26%20odd%3F.psk it's & odd?.psk" ]]
    same "${lines[1]}" 1048576
    # The folder has what a client needs as well as what a server needs.
    cp -r "$pki/server" both
    run -0 "$NBDLAB" -p 0 -i 127.0.0.1 --tls=require --tls-certificates=both memory 1M \
        --run 'echo "$uri $tls $tls_certificates"; nbdinfo --size "$uri"'
    [[ ${lines[0]} == "nbds://127.0.0.1:"*"?tls-certificates=$DIR/both 2 both" ]]
    same "${lines[1]}" 1048576
    run -0 "$NBDLAB" --tls=on --tls-psk="$odd" memory 1M --run 'echo "$uri $tls"; nbdinfo --size "$uri"'
    [[ ${lines[0]} == "nbd+unix://?socket=$TMPDIR/"*"/socket 1" ]]
    same "${lines[1]}" 1048576
}

@test "--print-uri where TLS is a must" {
    needs_tls
    start_bare -f -U "$SOCK" -P "$PIDFILE" --tls=require --tls-psk="$BATS_FILE_TMPDIR/pki/keys.psk" \
        --print-uri memory 1M
    wait_ready
    same "$(printed)" "nbds+unix://alice@?socket=$SOCK&tls-psk-file=$BATS_FILE_TMPDIR/pki/keys.psk"
    same "$(nbdinfo --size "$(printed)")" 1048576
    stop
}
