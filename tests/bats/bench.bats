#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The benchmark's own tools: a generator of load that takes wrong answers for right ones, or says
# nothing when it should, would measure nothing.

load common

LOAD=$BUILD/bench/nbdload
export LOAD

# nbdload ARGS...: against the server of the test, for a moment.
nbdload() {
    timeout "$BOUND_S" "$LOAD" --unix "$SOCK" --warm-up 0 "$@"
}

# refuses TEXT ARGS...: nbdload ends with status 1 and exactly one line, which contains TEXT.
refuses() {
    local text=$1
    shift
    run nbdload "$@"
    same "$status" 1
    same "${#lines[@]}" 1
    contains "$output" "nbdload: error: "
    contains "$output" "$text"
}

# fake REPLY_BYTES: a server that greets well and answers the first request with these bytes,
# a Python expression in which `cookie` is the request's. It ends with its client.
fake() {
    /usr/bin/python3 - "$SOCK" "$1" 3>&- <<'EOT' &
import socket, struct, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
client = listener.accept()[0]
stream = client.makefile("rb")
client.sendall(struct.pack(">QQH", 0x4e42444d41474943, 0x49484156454f5054, 3))
stream.read(4)
while True:
    number, length = struct.unpack(">8xII", stream.read(16))
    stream.read(length)
    def reply(kind, data=b""):
        client.sendall(struct.pack(">QIII", 0x3e889045565a9, number, kind, len(data)) + data)
    if number == 7:
        reply(3, struct.pack(">HQH", 0, 1 << 20, 1))
        reply(1)
        break
    reply(1)
cookie = stream.read(28)[8:16]
client.sendall(eval(sys.argv[2]))
stream.read()
EOT
    STARTED+=($!)
    wait_for test -S "$SOCK"
}

# A disk of 1 MiB that does as $1 says with writes; "$off" is where.
writable() {
    serve eval thread_model='echo parallel' config=: get_size='echo 1M' can_write='exit 0' \
        get_ready='truncate -s 1M $tmpdir/disk' \
        pread='dd if=$tmpdir/disk iflag=skip_bytes,count_bytes skip=$4 count=$3 bs=64k status=none' \
        pwrite="off=\$4; put() { dd of=\$tmpdir/disk oflag=seek_bytes seek=\$1 conv=notrunc \
            iflag=fullblock bs=64k status=none; }; $1"
}

@test "the result is one line of numbers" {
    serve memory 1M
    run nbdload --depth 8 --time 10ms
    same "$status" 0
    same "${#lines[@]}" 1
    [[ $output =~ ^requests=[1-9][0-9]*\ requests_per_s=[1-9][0-9.]*\ bytes_per_s=[1-9] ]]
    [[ $output =~ \ mean_us=[0-9.]+\ p50_us=[0-9.]+\ .*max_us=[0-9.]+\ verified=no$ ]]
}

@test "data is right with any depth, connections, size and form of replies" {
    serve memory 32M
    for args in '' '--depth 64 --random' '--depth 16 --connections 4 --random' \
        '--block-size 1M --depth 4' '--block-size 512 --depth 1024 --writes 100' \
        '--structured --depth 32' '--structured --block-size 3k --connections 3 --depth 7'; do
        # shellcheck disable=SC2086
        run nbdload --verify --range 16M --writes 40 --time 20ms $args
        same "$status" 0
        contains "$output" "verified=yes"
    done
}

@test "it also works over TCP" {
    run timeout "$BOUND_S" "$NBDLAB" -i 127.0.0.1 -p 0 memory 1M \
        --run '"$LOAD" --port "$port" --verify --time 10ms --warm-up 0 --depth 4'
    same "$status" 0
    contains "$output" "verified=yes"
}

@test "the bare loop has its data right" {
    "$BUILD/bench/bareloop" "$SOCK" 16M >"$DIR/ready" 3>&- &
    STARTED+=($!)
    wait_for test -s "$DIR/ready"
    run nbdload --verify --depth 64 --random --writes 50 --time 20ms
    same "$status" 0
    run nbdload --verify --depth 4 --block-size 1M --writes 50 --time 20ms
    same "$status" 0
    run nbdload --verify --depth 16 --connections 4 --writes 50 --time 20ms
    same "$status" 0
}

@test "a write that went nowhere is found" {
    writable 'cat >/dev/null'
    refuses "wrong data at offset" --verify --range 8k --time 0
}

@test "a byte that is wrong is found, and its offset said" {
    writable '{ head -c 100; printf X; tail -c +2; } | put $off'
    refuses "wrong data at offset 100:" --verify --range 4k --time 0
}

@test "a block that went to another block's place is found" {
    writable 'put $((off ^ 4096))'
    refuses "wrong data at offset 0:" --verify --range 8k --time 0
}

@test "a write that came first and stayed is found" {
    writable 'mkdir $tmpdir/$off 2>/dev/null && put $off || cat >/dev/null'
    run nbdload --verify --range 4k --time 0
    same "$status" 0
    stop
    writable 'mkdir $tmpdir/$off 2>/dev/null && put $off || cat >/dev/null'
    refuses "wrong data at offset 0:" --verify --range 4k --writes 100 --time 1ms
}

@test "without --verify data is not looked at" {
    writable 'cat >/dev/null'
    run nbdload --range 8k --time 1ms
    same "$status" 0
}

@test "an error of the server ends it" {
    serve eval get_size='echo 1M' pread='echo "ENOSPC no more" >&2; exit 1'
    refuses "answered the read at offset 0 with error 28" --time 1ms
    refuses "answered the read at offset 0 with error 28" --time 1ms --structured
}

@test "a server that hangs up ends it" {
    serve eval get_size='echo 1M' pread='exit 6'
    refuses "closed the connection with 3 requests unanswered" --depth 3 --time 1ms
}

@test "a disk that cannot be written is not" {
    serve eval get_size='echo 1M' pread='head -c $3 /dev/zero'
    refuses "read-only" --writes 1
    refuses "read-only" --verify
}

@test "an export that is refused is named" {
    serve eval list_exports='echo a' open='exit 1' get_size='echo 1M' pread=:
    refuses "the export 'nothing'" --export nothing
}

@test "a reply to nobody's request is found" {
    fake 'struct.pack(">II", 0x67446698, 0) + b"whatever"'
    refuses "answered a request of cookie 0x7768617465766572, and there is none"
}

@test "a second reply to a request is found" {
    fake '(struct.pack(">II", 0x67446698, 0) + cookie) * 2'
    refuses "there is none" --writes 100 --depth 2
}

@test "what is no reply at all is found" {
    fake 'b"HTTP/1.1 400 Bad Request"'
    refuses "sent 0x48545450 where a reply should begin"
}

@test "chunks that lack data are found" {
    fake 'struct.pack(">IHH8sI", 0x668e33ef, 1, 0, cookie, 0)'
    refuses "no more bytes than 0" --structured
}

@test "chunks with data that was not asked for are found" {
    fake 'struct.pack(">IHH8sIQ", 0x668e33ef, 1, 1, cookie, 12, 4096) + b"data"'
    refuses "data that it did not ask for" --structured
}

@test "a command line that is wrong is explained" {
    refuses "--depth=0:" --depth 0
    refuses "--depth=2000:" --depth 2000
    refuses "--block-size=1000: a multiple of 512" --block-size 1000
    refuses "--block-size=64M: more than 32M" --block-size 64M
    refuses "--writes=101:" --writes 101
    refuses "--time=soon:" --time soon
    refuses "'more' is left over" more
    refuses "either --unix SOCKET or --port PORT" --port 10809
    run "$LOAD"
    same "$status" 1
    contains "$output" "either --unix SOCKET or --port PORT"
    refuses "cannot connect to $SOCK: No such file" --time 1ms
    serve memory 1M
    refuses "the disk has 1048576 bytes" --range 2M
    refuses "has no block of 2097152" --block-size 2M
    refuses "64 blocks, and has 32" --verify --depth 64 --range 128k
}

@test "--help has every option" {
    run "$LOAD" --help
    same "$status" 0
    for option in unix port export connections block-size depth writes random range structured \
        time warm-up fill verify idle help; do
        contains "$output" "--$option"
    done
}

@test "idle clients stay until their input ends" {
    serve memory 1M
    mkfifo "$DIR/input"
    "$LOAD" --unix "$SOCK" --idle --connections 10 <"$DIR/input" >"$DIR/idle" 3>&- &
    client=$!
    STARTED+=("$client")
    exec 5>"$DIR/input"
    wait_for grep -qx 'idle=10' "$DIR/idle"
    same "$(awk -v path="$SOCK" '$NF == path && $6 == "03"' /proc/net/unix | wc -l)" 10
    is_alive "$client"
    exec 5>&-
    wait_exit "$client"
}

@test "the first reply of a server is timed" {
    run "$BUILD/bench/firstreply" "$SOCK" "$NBDLAB" -f -U "$SOCK" memory 1M
    same "$status" 0
    [[ $output =~ first_reply_us=[1-9][0-9]* ]]
    run "$BUILD/bench/firstreply" "$SOCK" "$NBDLAB" -f -U "$SOCK" memory nonsense
    same "$status" 1
    contains "$output" "firstreply: error: the server ended before it served"
}
