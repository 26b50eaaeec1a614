#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Plugins in Rust: what becomes of errors and panics in each callback, calls at once, shutdown and
# disconnect.

load common
load page
load rust

@test "each errno reaches the client, of an Error and of set_error, with one message" {
    serve "$CONTRACT"
    py <<'EOT'
handle = libnbd()
told = {1: EPERM, 5: EIO, 12: ENOMEM, 22: EINVAL, 28: ENOSPC, 95: EINVAL, 108: ESHUTDOWN,
        122: ENOSPC, 27: ENOSPC}
for number, expected in told.items():
    at = (256 << 10) + 512 * number
    for call in (lambda: handle.pread(512, at), lambda: handle.pwrite(bytes(512), at),
                 lambda: handle.trim(512, at), lambda: handle.cache(512, at)):
        same(nbd_errno(call), expected, "errno %d" % number)
at = 768 << 10
same(nbd_errno(handle.zero, 512, at, nbd.CMD_FLAG_FAST_ZERO), ENOTSUP, "a fast zero")
handle.pwrite(b"y" * 512, at)
handle.zero(512, at)
same(bytes(handle.pread(512, at)), bytes(512), "zeroes")
EOT
    # A zero that is not fast says nothing.
    same "$(count error:)" 36
    same "$(count 'error: told errno 28')" 4
    stop
}

# tell METHOD ACTION [RESULT]: a server whose callback is told.
tell() {
    rm -f "$DIR/calls" "$LOG"
    CONTRACT_LOG=$DIR/calls CONTRACT_WHEN=$1 CONTRACT_DO=$2 CONTRACT_RESULT=${3:-ok} start "$CONTRACT"
}

@test "a panic before the server serves ends it with one message" {
    for method in config config_complete thread_model get_ready after_fork; do
        rm -f "$LOG"
        CONTRACT_WHEN=$method CONTRACT_DO=fail start "$CONTRACT" word=x
        wait_exit && status=0 || status=$?
        same "$status" 1
        same "$(count 'told to fail')" 1
        has "error: panic in $method at tests/contract/contract.rs:"
        same "$(grep -c . "$LOG")" 1
    done
}

@test "a panic in what returns nothing is logged, and all goes on" {
    for method in load unload cleanup close; do
        tell $method fail
        wait_ready
        qemu-io -f raw -c 'write -P 7 0 512' -c 'read -P 7 0 512' "nbd+unix:///told?socket=$SOCK"
        wait_for grep -q '^begin close' "$DIR/calls"
        stop
        same "$(count 'told to fail')" 1
        has "error: panic in $method at tests/contract/contract.rs:"
    done
}

@test "a panic of a connection's callback: one message, an error, and the server lives on" {
    for method in preconnect open get_size block_size can_write can_flush can_trim can_zero \
        can_fast_zero can_extents can_multi_conn is_rotational can_fua can_cache \
        list_exports default_export export_description; do
        tell $method fail
        wait_ready
        METHOD=$method py <<'EOT'
method = os.environ["METHOD"]
client = connect()
try:
    client.enter()
    if method == "list_exports":
        client.list_exports()
    client.go("" if method == "default_export" else "told", INFO_DESCRIPTION, INFO_BLOCK_SIZE)
    # A disk without a description is still one.
    same((method, client.info.get(INFO_DESCRIPTION)), ("export_description", None), "accepted")
except (OptionError, Closed):
    pass
client.close()
EOT
        same "$(count 'told to fail')" 1
        has "error: panic in $method at tests/contract/contract.rs:"
        [ $method = preconnect ] || qemu-io -r -f raw -c 'read 0 512' "nbd+unix:///plain?socket=$SOCK"
        is_alive "$SERVER"
        stop
    done
}

@test "a panic of a request: one message, EIO, and the connection lives on" {
    for method in pread pwrite trim zero cache extents flush; do
        tell $method fail
        wait_ready
        METHOD=$method py <<'EOT'
handle = libnbd(export="told", meta=True)
calls = {
    "pread": lambda: handle.pread(512, 65536),
    "pwrite": lambda: handle.pwrite(bytes(512), 65536),
    "trim": lambda: handle.trim(512, 65536),
    "zero": lambda: handle.zero(512, 65536),
    "cache": lambda: handle.cache(512, 65536),
    "extents": lambda: handle.block_status(512, 65536, lambda *ignored: 0),
    "flush": handle.flush,
}
same(nbd_errno(calls[os.environ["METHOD"]]), EIO, "errno")
handle.pwrite(b"z" * 512, 0)
same(bytes(handle.pread(512, 0)), b"z" * 512, "data")
EOT
        same "$(count 'told to fail')" 1
        name=$method
        case $method in pread) name=read_at ;; pwrite) name=write_at ;; esac
        has "error: panic in $name at tests/contract/contract.rs:"
        stop
    done
}

# panicked KIND MESSAGE: what is read of that export panics, with this message and no other.
panicked() {
    run -1 nbdcopy "nbd+unix:///panic-$1?socket=$SOCK" "$DIR/null"
    contains "$output" "Input/output error"
    same "$(messages | sed 's/^.*error: //; s/rs:[0-9]*:[0-9]*:/rs:N:N:/')" "$2"
    : >"$LOG"
}

@test "panics of every kind" {
    serve "$RUSTY"
    : >"$LOG"
    at="panic in read_at at tests/plugins/rusty.rs:N:N:"
    panicked str "$at a plain text"
    panicked string "$at made of parts"
    panicked lines "$at two
lines, 100% %s"
    panicked any "$at it has a value that is no text"
    panicked resumed "panic in read_at: gone on"
    panicked unwrap "$at called \`Result::unwrap()\` on an \`Err\` value: ParseIntError { kind: InvalidDigit }"
    run -1 nbdcopy "nbd+unix:///panic-bounds?socket=$SOCK" "$DIR/null"
    same "$(count "source slice length")" 1
    : >"$LOG"
    # A thread of the plugin's own.
    run -1 nbdcopy "nbd+unix:///panic-thread?socket=$SOCK" "$DIR/null"
    contains "$output" "Operation not permitted"
    has "error: panic in the thread mine at tests/plugins/rusty.rs:"
    has "the thread has panicked"
    stop
}

@test "with RUST_BACKTRACE the standard library reports, too" {
    RUST_BACKTRACE=1 serve "$RUSTY"
    run -1 nbdcopy "nbd+unix:///panic-str?socket=$SOCK" "$DIR/null"
    has "error: panic in read_at at"
    has "stack backtrace:"
    stop
    rm "$LOG"
    RUST_BACKTRACE=0 serve "$RUSTY"
    run -1 nbdcopy "nbd+unix:///panic-str?socket=$SOCK" "$DIR/null"
    lacks "stack backtrace:"
    stop
}

@test "a plugin that aborts says why before" {
    block source | sed 's/buf.fill(b.x.);/let _ = buf; panic!("last words");/' >"$DIR/x.rs"
    # The crate must be built so, too.
    "$RUSTC" --edition 2021 -C panic=abort --crate-type rlib --crate-name nbdkit \
        -o "$DIR/libnbdkit.rlib" "$CRATE/src/lib.rs"
    "$RUSTC" --edition 2021 -C panic=abort --crate-type cdylib --crate-name x \
        --extern nbdkit="$DIR/libnbdkit.rlib" -o "$DIR/x.so" "$DIR/x.rs"
    serve "$DIR/x.so"
    # One read: of several in parallel, several would panic before the end.
    py <<'EOT'
client = ready()
client.send_request(CMD_READ, 0, 512)
client.ending()
EOT
    wait_exit && status=0 || status=$?
    same "$status" 134
    same "$(count 'last words')" 1
}

@test "two reads at once" {
    mkfifo "$DIR/gate"
    CONTRACT_GATE=$DIR/gate serve "$CONTRACT"
    py <<'EOT'
gate = os.environ["DIR"] + "/gate"
client = ready(export="plain")
first = client.send_request(CMD_READ, 128 << 10, 512)
second = client.send_request(CMD_READ, 0, 512)
same(client.reply().cookie, second, "who is answered first")
open_gate(gate)
same(client.reply().cookie, first, "who is answered then")
client.disconnect()
EOT
    stop
}

@test "shutdown in callbacks: the server ends with status 0, and everything is closed" {
    for method in pread pwrite flush open get_size close; do
        for result in ok fail; do
            tell $method shutdown $result
            wait_ready
            run qemu-io -f raw -c 'read 64k 512' -c 'write 64k 512' -c flush \
                "nbd+unix:///told?socket=$SOCK"
            wait_exit
            same "$(tail -n 1 "$DIR/calls")" "end unload"
            same "$(grep -c '^end open' "$DIR/calls")" "$(grep -c '^begin close' "$DIR/calls")"
            [ ! -e "$SOCK" ]
        done
    done
}

@test "disconnect in callbacks, gently and by force" {
    for method in pread pwrite; do
        for how in soft forced; do
            tell $method $how
            wait_ready
            METHOD=$method HOW=$how py <<'EOT'
client = ready(export="told")
is_read = os.environ["METHOD"] == "pread"
def request():
    if is_read:
        return client.send_request(CMD_READ, 65536, 512)
    return client.send_write(65536, bytes(512))
request()
if os.environ["HOW"] == "soft":
    same(client.reply().error, 0, "the request that has begun")
    same(client.errno(CMD_READ, 0, 512), ESHUTDOWN, "the next one")
    client.disconnect()
else:
    client.ending()
other = ready(export="plain")
other.read(0, 512)
other.disconnect()
EOT
            is_alive "$SERVER"
            wait_for grep -q '^begin close told' "$DIR/calls"
            stop
        done
    done
}
