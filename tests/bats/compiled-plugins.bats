#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The compiled plugins of Debian's nbdkit, unchanged: each serves the same disk under nbdlab as
# under nbdkit.  Here those that make their disk up or fetch it; compiled-files has those that
# make it of files, compiled-scripts those that run somebody's script.

load common
load twins

setup() {
    twins_setup
}

@test "memory" {
    same_dump memory
    same_help memory
    twins memory 10M
    compare <<<'same_disk()'
    qemu-io -f raw -c 'write -P 7 12345 54321' -c 'read -P 7 12345 54321' "$URI"
    stop_twins
    twins memory size=1000001 allocator=malloc
    compare <<<'same_disk()'
    stop_twins
    # Asked for a map, the zstd allocator of 1.32 crashes, whatever serves it.
    twins memory 4M allocator=zstd
    compare <<<'same_disk(maps=0, piece=32768)'
    stop_twins
    both_refuse memory
    both_refuse memory 1M allocator=chalk
}

@test "memory, read-only, and more than fits into memory" {
    twins -r memory 1M
    compare <<<'same_disk()'
    stop_twins
    twins memory 9223372036854775807
    compare <<'EOT'
both(nbdinfo)
same(both(size, ""), (1 << 63) - 1, "size")
for side in "nbdkit", "nbdlab":
    handle = connect(side)
    handle.pwrite(b"far", (1 << 63) - 4)
    same(bytes(handle.pread(4, (1 << 63) - 5)), b"\0far", "data")
EOT
    stop_twins
}

@test "data" {
    same_dump data
    same_help data
    twins data data='( le32:7 be16:8 ) -> \x 0x55 0xAA @4096 "hello" ( 1 2 )*4 @0x10000 <(seq 100) $blob \x # end' \
        blob='"made"*3' size=1000000
    compare <<'EOT'
data = same_disk()
same(data[:3], b"fir", "data")
EOT
    stop_twins
    twins -r data data='0x55 0xAA @4096 "hello" ( 1 2 ) * 4' size=1M
    compare <<'EOT'
data = same_disk()
same(data[:3], b"\x55\xaa\0", "data")
same(data[4096:4110], b"hello" + b"\1\2" * 4 + b"\0", "data")
EOT
    stop_twins
    head -c 70000 /dev/urandom >"$DIR/raw"
    twins data raw=hello
    compare <<'EOT'
same(same_disk(is_written=False), b"hello", "data")
EOT
    stop_twins
    twins data base64="$(base64 -w 0 "$DIR/raw")"
    compare <<<'same_disk()'
    stop_twins
    both_refuse data data='( 1 2'
    both_refuse data
}

@test "pattern" {
    same_dump pattern
    same_help pattern
    twins pattern 1000003
    compare <<'EOT'
data = same_disk()
same(data[:4096], b"".join(struct.pack(">Q", n) for n in range(0, 4096, 8)), "data")
EOT
    stop_twins
}

@test "null" {
    same_dump null
    same_help null
    twins null 4M
    compare <<'EOT'
same(same_disk(), bytes(4 << 20), "data")
EOT
    stop_twins
    twins null 1T
    compare <<'EOT'
same(both(size, ""), 1 << 40, "size")
both(extents, "")
both(work, "")
EOT
    stop_twins
}

@test "full" {
    same_dump full
    same_help full
    twins full 1M
    compare <<'EOT'
same(same_disk(), bytes(1 << 20), "data")
same(nbd_errno(connect("nbdlab").pwrite, b"x", 0), ENOSPC, "errno of a write")
EOT
    stop_twins
}

@test "random" {
    same_dump random
    same_help random
    twins random 1000001 seed=7
    compare <<'EOT'
data = same_disk()
assert data.count(0) < len(data) // 100
EOT
    nbdcopy --connections=1 --request-size=4096 "$URI" "$DIR/one"
    nbdcopy --request-size=65536 "$PEER_URI" "$DIR/two"
    cmp "$DIR/one" "$DIR/two"
    stop_twins
}

@test "sparse-random" {
    same_dump sparse-random
    same_help sparse-random
    twins sparse-random 16M seed=7 percent=20 runlength=65536
    compare <<'EOT'
same_disk(is_written=False)
assert len(extents("nbdlab", "")) > 3
EOT
    nbdcopy "$PEER_URI" "$DIR/image"
    # What it holds may be written to it, and nothing else.
    nbdcopy "$DIR/image" "$URI"
    qemu-img compare -f raw -F raw "$DIR/image" "$URI"
    compare <<<'both(work, "")'
    stop_twins
}

@test "zero" {
    same_dump zero
    same_help zero
    twins zero
    compare <<'EOT'
same(both(nbdinfo)["exports"][0]["export-size"], 0, "size")
both(work, "")
EOT
    same "$(nbdinfo --size "$URI")" 0
    stop_twins
}

@test "info" {
    same_dump info
    same_help info
    twins info exportname
    compare <<'EOT'
same(same_disk(["hello", "one/two", "", "\u00e9"], is_written=False), "\u00e9".encode(), "data")
EOT
    stop_twins
    twins info base64exportname
    compare <<'EOT'
same(same_disk(["aGVsbG8="], is_written=False), b"hello", "data")
both(lambda side: nbd_errno(connect, side, "%%%") != 0)
EOT
    stop_twins
    twins info address
    compare <<'EOT'
same(same_disk(is_written=False), b"unix", "data")
EOT
    stop_twins
    twins info uptime
    compare <<'EOT'
same(both(size, ""), 12, "size")
EOT
    stop_twins
    twins info conntime
    compare <<'EOT'
same(both(size, ""), 12, "size")
EOT
    stop_twins
    twins info time
    compare <<'EOT'
same(both(size, ""), 12, "size")
now = struct.unpack(">QI", connect("nbdlab").pread(12, 0))[0]
assert abs(now - time.time()) < 60 * SLOWER
EOT
    stop_twins
}

@test "info address over TCP: the client's port" {
    start_bare -f -p 0 -i 127.0.0.1 -P "$PIDFILE" "$(plugin info)" address
    wait_ready
    PORT=$(head -n 1 "$DIR/out") py <<'EOT'
handle = libnbd(int(os.environ["PORT"]))
data = bytes(handle.pread(handle.get_size(), 0)).decode()
assert data.startswith("127.0.0.1:"), data
assert 1024 <= int(data.partition(":")[2]) < 65536, data
EOT
    stop
}

@test "nbd: another server's disk, over a Unix socket, a command and a URI" {
    same_dump nbd
    same_help nbd
    # Both forward to a third server, and to a disk each of their own.
    start_upstream nbdkit
    start_upstream nbdlab
    twins nbd socket=upstream
    compare <<<'same_disk()'
    stop_twins
    twins nbd 'nbd+unix:///?socket=upstream'
    compare <<<'same_disk()'
    stop_twins
    twins -r nbd 'nbd+unix:///?socket=upstream'
    compare <<<'same_disk()'
    stop_twins
    twins nbd socket=upstream shared=true
    compare <<<'same_disk()'
    stop_twins
    twins nbd command=nbdkit arg=--exit-with-parent arg=memory arg=1M
    compare <<<'same_disk()'
    stop_twins
    both_refuse nbd socket=nobody-listens shared=true
    both_refuse nbd
}

start_upstream() {
    nbdkit -f -U "$DIR/$1/upstream" -P "$DIR/$1/upstream.pid" memory 4M >"$DIR/$1/upstream.log" 2>&1 \
        3>&- 4>&- &
    STARTED+=("$!")
    wait_for test -s "$DIR/$1/upstream.pid"
}

@test "nbd: nbdlab's own disk behind it" {
    start_bare -f -U "$DIR/origin" -P "$DIR/origin.pid" memory 4M
    wait_for test -s "$DIR/origin.pid"
    serve "$(plugin nbd)" socket="$DIR/origin"
    qemu-io -f raw -c 'write -P 7 12345 54321' -c 'write -z 1M 1M' "$URI"
    qemu-img compare -f raw -F raw "$URI" "nbd+unix:///?socket=$DIR/origin"
    qemu-io -r -f raw -c 'read -P 7 12345 54321' "nbd+unix:///?socket=$DIR/origin"
    stop
}

@test "curl: a file that a web server has" {
    same_dump curl
    same_help curl
    head -c 3000001 /dev/urandom >"$DIR/image"
    start_web_server
    twins curl "http://127.0.0.1:$WEB_PORT/image"
    compare <<<'same_disk()'
    nbdcopy "$URI" "$DIR/copy"
    cmp "$DIR/image" "$DIR/copy"
    stop_twins
    twins curl url="http://127.0.0.1:$WEB_PORT/image" protocols=http timeout=30 header='X-Lab: 1'
    compare <<<'same_disk()'
    stop_twins
    twins curl "http://127.0.0.1:$WEB_PORT/missing"
    compare <<'EOT'
both(lambda side: nbd_errno(connect, side) != 0)
EOT
    stop_twins
    has 404
    both_refuse curl
    twins -r curl "file://$DIR/image"
    compare <<<'same_disk()'
    stop_twins
}

# A web server that knows byte ranges, on a free port of the loopback: WEB_PORT.
start_web_server() {
    /usr/bin/python3 "$TESTS/webserver.py" "$DIR" "$DIR/web.port" >"$DIR/web.log" 2>&1 3>&- 4>&- &
    STARTED+=("$!")
    wait_for test -s "$DIR/web.port"
    WEB_PORT=$(cat "$DIR/web.port")
}

@test "example1, example2 and example3" {
    local name
    for name in example1 example2 example3; do
        same_dump $name
        same_help $name
    done
    twins example1
    compare <<<'same_disk()'
    stop_twins
    each truncate -s 1M image
    twins example2 file=image
    compare <<<'same_disk()'
    stop_twins
    twins example3 size=1M
    compare <<<'same_disk()'
    stop_twins
}

@test "found by name through NBDLAB_PLUGIN_PATH" {
    export NBDLAB_PLUGIN_PATH=$PLUGINS
    serve pattern 1M
    same "$(nbdinfo --size "$URI")" 1048576
    stop
}
