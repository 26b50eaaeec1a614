#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The commands of nbdlab-captive(1), nbdlab-probing(1), nbdlab-client(1) and nbdlab-service(1), each
# taken out of its page and run as it stands.  A comment before each block of a page says which test
# runs it (".\" run: NAME"), or why none does (".\" shown: REASON").

load common

PAGES="captive probing client service"

setup() {
    common_setup
    mkdir "$DIR/bin"
    ln -s "$NBDLAB" "$DIR/bin/nbdlab"
    # The system's python3 is the one that has nbdsh's module.
    PATH=$DIR/bin:/usr/bin:/bin:/usr/sbin:/sbin
    cd "$DIR"
}

# Servers that a page starts in the background are ended by their pid file.
teardown() {
    if [ -s "$DIR/disk.pid" ]; then
        STARTED+=("$(cat "$DIR/disk.pid")")
    fi
    common_teardown
}

# block PAGE NAME: prints the block of that name.
block() {
    awk -v mark="run: $2" '
        substr($0, 1, 3) == ".\\\"" && substr($0, 5) == mark { is_mine = 1; next }
        is_mine && /^\.Bd -literal/ { inside = 1; next }
        inside && /^\.Ed/ { found = 1; exit }
        inside { print }
        END { exit !found }' "$TESTS/../man/nbdlab-$1.1" | sed 's/\\e/\\/g'
    return "${PIPESTATUS[0]}"
}

# run_block PAGE NAME...: runs these blocks, one after the other, in one shell.
run_block() {
    local page=$1 name
    shift
    for name in "$@"; do
        block "$page" "$name"
    done >"$DIR/block.sh" || return 1
    run -0 timeout "$((3 * BOUND_S))" bash -e "$DIR/block.sh" 3>&- 4>&-
}

@test "every block of the pages is run here, or says why not" {
    local page name
    for page in $PAGES; do
        awk '/^\.Bd -literal/ && last !~ /^\.\\" (run|shown): ./ { print FILENAME ": " FNR; bad = 1 }
             { last = $0 }
             END { exit bad }' "$TESTS/../man/nbdlab-$page.1"
        while read -r name; do
            grep -qE "(run_block|block) $page (.* )?$name([ ;]|\$)" "$BATS_TEST_FILENAME" ||
                { echo "nobody runs $name of nbdlab-$page(1)"; return 1; }
        done < <(sed -n 's/^\.\\" run: //p' "$TESTS/../man/nbdlab-$page.1")
    done
}

@test "captive: --run" {
    run_block captive size
    same "$output" 67108864
    run_block captive status
    same "$output" "it ended with 7"
    run_block captive nbdsh
}

@test "captive: copying out and in" {
    run_block captive copy
    same "$(stat -c %s disk.img)" 67108864
    qemu-img compare -f raw -F qcow2 disk.img disk.qcow2
    same "$(dd if=disk.img bs=1M skip=1 count=1 status=none | head -c 1 | od -An -tu1)" "   7"
}

@test "captive: --exit-with-parent" {
    { block captive parent; echo 'until [ -s disk.pid ]; do kill -0 $!; sleep 0.01; done'; } >block.sh
    run -0 timeout "$BOUND_S" bash -e block.sh 3>&- 4>&-
    wait_for not test -e disk.pid
}

@test "captive: over standard input and output" {
    run_block captive single
    same "$output" 67108864
}

@test "probing: the server" {
    run_block probing server
    same "$output" installed
    run_block probing config
    [ -e "$output/nbdkit-memory-plugin.so" ]
    run_block probing version
    same "$output" "scripts can disconnect clients"
}

@test "probing: plugins" {
    run_block probing plugin
    same "$output" $'there\nmissing'
    run_block probing status
    same "$output" max_known_status=8
    run_block probing list
    contains "$output" memory
    contains "$output" sh
}

@test "client: nbdinfo" {
    run_block client start nbdinfo
    contains "$output" "export-size: 67108864"
}

@test "client: nbdcopy" {
    run_block client start nbdcopy
}

@test "client: qemu" {
    run_block client start qemu
    contains "$output" "Images are identical."
}

@test "client: nbdsh" {
    run_block client start nbdsh
    contains "$output" "b'hello'"
}

@test "client: fio" {
    run_block client start fio
    contains "$output" "err= 0"
}

@test "client: nbdfuse" {
    [ -e /dev/fuse ] || skip "there is no /dev/fuse here"
    run_block client start nbdsh nbdfuse
    contains "$output" hello
}

@test "service: units" {
    # systemd looks whether the program is there.
    cp "$TESTS"/../examples/nbdlab.socket .
    sed "s,/usr/local/bin/nbdlab,$DIR/bin/nbdlab," "$TESTS/../examples/nbdlab.service" >nbdlab.service
    run_block service verify
}

@test "service: systemd-socket-activate" {
    block service activate >block.sh
    bash -c 'exec $(sed "s|\"\$PWD/disk.sock\"|$PWD/disk.sock|" block.sh)' >"$DIR/out" 2>"$LOG" \
        3>&- 4>&- &
    STARTED+=("$!")
    wait_for has "Listening on"
    same "$(nbdinfo --size "nbd+unix:///?socket=$DIR/disk.sock")" 67108864
}

@test "service: in the background, and limits" {
    # A warning may come before, where there is no system log.
    run_block service background
    same "${lines[-1]}" 67108864
    run_block service limits
    same "${lines[-1]}" 67108864
}

@test "service: privileges" {
    [ "$(id -u)" = 0 ] || skip "only root can give up root's rights"
    # nobody has to find the folder of the test.
    chmod 755 "$DIR"
    TMPDIR=/tmp run_block service user
    same "${lines[-1]}" nobody
}
