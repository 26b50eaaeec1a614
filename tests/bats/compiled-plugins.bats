#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The compiled plugins of Debian's nbdkit package load unchanged from their paths and serve the
# right data.

load common

setup() {
    common_setup
    PLUGINS=$(echo /usr/lib/*/nbdkit/plugins)
    [ -e "$PLUGINS/nbdkit-memory-plugin.so" ] || skip "Debian's nbdkit is not installed"
    # What Debian's plugins leak is theirs.
    export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
}

plugin() {
    printf '%s/nbdkit-%s-plugin.so\n' "$PLUGINS" "$1"
}

serve_plugin() {
    local name=$1
    shift
    serve "$(plugin "$name")" "$@"
}

@test "memory: what is written is read" {
    serve_plugin memory 10M
    py <<'EOT'
client = ready(meta=True)
client.write(1 << 20, b"m" * 65536)
same(client.read((1 << 20) - 1, 65538), b"\0" + b"m" * 65536 + b"\0", "data")
same(client.errno(CMD_TRIM, 1 << 20, 65536), 0, "trim")
same(client.read(1 << 20, 512), bytes(512), "data after trim")
same(client.errno(CMD_WRITE_ZEROES, 0, 1 << 20), 0, "zero")
same(sum(length for length, _ in client.block_status(0, 10 << 20)), 10 << 20, "extents")
EOT
    qemu-io -f raw -c 'write -P 7 12345 54321' -c 'read -P 7 12345 54321' "$URI"
    stop
}

@test "memory with another allocator" {
    serve_plugin memory 10M allocator=malloc
    py <<'EOT'
client = ready()
client.write(4096, b"m" * 512)
same(client.read(4096, 512), b"m" * 512, "data")
EOT
    stop
}

@test "pattern: each eight bytes are their own offset" {
    serve_plugin pattern 1M
    py <<'EOT'
client = ready()
same(client.read(0, 4096), b"".join(struct.pack(">Q", n) for n in range(0, 4096, 8)), "data")
same(client.read(65536 + 4, 8), struct.pack(">QQ", 65536, 65544)[4:12], "data")
same(client.errno(CMD_WRITE, 8, 8, data=struct.pack(">Q", 8)), EPERM, "errno of a write")
EOT
    stop
}

@test "data: inline data" {
    serve_plugin data data='0x55 0xAA @4096 "hello" ( 1 2 ) * 4' size=1M
    py <<'EOT'
client = ready()
same(client.size, 1 << 20, "size")
same(client.read(0, 3), b"\x55\xaa\0", "data")
same(client.read(4096, 14), b"hello" + b"\1\2" * 4 + b"\0", "data")
EOT
    stop
}

@test "file: a file and its extents" {
    truncate -s 3M "$DIR/image"
    printf hello | dd of="$DIR/image" bs=1M seek=1 conv=notrunc status=none
    serve_plugin file "$DIR/image"
    py <<'EOT'
client = ready(meta=True)
same(client.read(1 << 20, 5), b"hello", "data")
client.write(0, b"written")
same(client.errno(CMD_FLUSH), 0, "flush")
same(client.block_status(2 << 20, 1 << 20), [(1 << 20, 3)], "extents of a hole")
EOT
    stop
    same "$(head -c 7 "$DIR/image")" written
}

@test "file: a folder with an export for each file" {
    mkdir "$DIR/folder"
    echo one >"$DIR/folder/1"
    echo two >"$DIR/folder/2"
    serve_plugin file dir="$DIR/folder"
    py <<'EOT'
client = connect()
client.greet()
same(sorted(name for name, _ in client.list_exports()), ["1", "2"], "exports")
assert client.refusal(OPT_GO, go_query("no such file")) & REP_ERROR_BIT
client.go("2")
same(client.read(0, 4), b"two\n", "data")
same(ready(export="1").read(0, 4), b"one\n", "data")
EOT
    stop
}

@test "null and zero: nothing but zeroes" {
    serve_plugin null 1T
    py <<'EOT'
client = ready()
client.write(1 << 39, b"x" * 65536)
same(client.read(1 << 39, 65536), bytes(65536), "data")
EOT
    stop
    serve_plugin zero
    same "$(nbdinfo --size "$URI")" 0
    stop
}

@test "full: writes are ENOSPC" {
    serve_plugin full 1M
    py <<'EOT'
client = ready()
same(client.errno(CMD_WRITE, 0, 512, data=bytes(512)), ENOSPC, "errno of a write")
same(client.read(0, 512), bytes(512), "data")
EOT
    stop
}

@test "random: the same seed gives the same data" {
    serve_plugin random 1M seed=7
    nbdcopy "$URI" "$DIR/one"
    nbdcopy --connections=1 --request-size=4096 "$URI" "$DIR/two"
    cmp "$DIR/one" "$DIR/two"
    [ "$(tr -d '\0' <"$DIR/one" | wc -c)" -gt 900000 ]
    stop
}

@test "sparse-random: extents" {
    serve_plugin sparse-random 16M seed=7
    nbdcopy "$URI" "$DIR/one"
    qemu-img compare -f raw -F raw "$DIR/one" "$URI"
    stop
}

@test "split: two files as one disk" {
    head -c 512 /dev/zero | tr '\0' a >"$DIR/a"
    head -c 1024 /dev/zero | tr '\0' b >"$DIR/b"
    serve_plugin split "$DIR/a" "$DIR/b"
    py <<'EOT'
client = ready()
same(client.size, 1536, "size")
same(client.read(510, 4), b"aabb", "data")
client.write(511, b"x")
same(client.read(510, 4), b"axbb", "data")
EOT
    stop
    same "$(tail -c 1 "$DIR/a")" x
}

@test "floppy: a FAT file system made of a folder" {
    mkdir "$DIR/folder"
    echo "hello from a floppy" >"$DIR/folder/hello.txt"
    serve_plugin floppy "$DIR/folder" label=LAB
    nbdcopy "$URI" "$DIR/image"
    grep -q "hello from a floppy" "$DIR/image"
    same "$(head -c 512 "$DIR/image" | tail -c 2 | od -An -tx1)" " 55 aa"
    stop
}

@test "partitioning: a partition table around files" {
    truncate -s 1M "$DIR/one"
    printf 'in the partition' | dd of="$DIR/one" conv=notrunc status=none
    serve_plugin partitioning "$DIR/one" partition-type=gpt
    nbdcopy "$URI" "$DIR/image"
    grep -q "EFI PART" "$DIR/image"
    grep -q "in the partition" "$DIR/image"
    stop
}

@test "info: export name and address, as the plugin sees them" {
    serve_plugin info exportname
    py <<'EOT'
same(ready(export="hello").read(0, 5), b"hello", "data")
same(ready(export="other").size, 5, "size")
EOT
    stop
    serve_plugin info address
    py <<'EOT'
assert ready().size > 0
EOT
    stop
    serve_plugin info uptime
    same "$(nbdinfo --size "$URI")" 12
    stop
    serve_plugin info base64exportname
    py <<'EOT'
same(ready(export="aGVsbG8=").read(0, 5), b"hello", "data")
EOT
    stop
}

@test "ondemand: an export is made when it is first opened" {
    mkdir "$DIR/folder"
    serve_plugin ondemand dir="$DIR/folder" size=1M command='truncate -s $size $disk'
    py <<'EOT'
client = ready(export="new")
same(client.size, 1 << 20, "size")
client.write(0, b"kept")
client.disconnect()
same(ready(export="new").read(0, 4), b"kept", "data")
EOT
    stop
    [ -e "$DIR/folder/new" ]
}

@test "example1, example2 and example3" {
    serve_plugin example1
    same "$(nbdinfo --size "$URI")" 104857600
    nbdcopy "$URI" "$DIR/copy"
    stop
    truncate -s 1M "$DIR/image"
    serve_plugin example2 file="$DIR/image"
    same "$(nbdinfo --size "$URI")" 1048576
    stop
    serve_plugin example3 size=1M
    py <<'EOT'
client = ready()
client.write(0, b"example")
same(client.read(0, 7), b"example", "data")
EOT
    stop
}

@test "eval and sh, as Debian compiled them" {
    serve_plugin eval get_size='echo 1M' pread='head -c $3 /dev/zero | tr "\0" e'
    py <<<'same(ready().read(0, 3), b"eee", "data")'
    stop
    disk disk.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1M ;;
    pread) head -c $3 /dev/zero | tr '\0' s ;;
    *) exit 2 ;;
esac
EOT
    serve_plugin sh "$DIR/disk.sh"
    py <<<'same(ready().read(0, 3), b"sss", "data")'
    stop
}

@test "python, as Debian compiled it" {
    [ -e "$(plugin python)" ] || skip "nbdkit-plugin-python is not installed"
    cat >"$DIR/disk.py" <<'EOT'
API_VERSION = 2
import nbdkit
def open(readonly):
    return nbdkit.export_name()
def get_size(h):
    return 1 << 20
def pread(h, buf, offset, flags):
    if offset == 4096:
        nbdkit.shutdown()
    for n in range(len(buf)):
        buf[n] = 112
EOT
    serve_plugin python "$DIR/disk.py"
    py <<'EOT'
client = ready()
same(client.read(0, 3), b"ppp", "data")
expect_prompt_end(lambda: same(client.errno(CMD_READ, 4096, 512), 0, "errno"))
EOT
    wait_exit
}

@test "--dump-plugin of each" {
    for name in memory pattern data file null random full floppy split partitioning info zero; do
        run -0 "$NBDLAB" "$(plugin $name)" --dump-plugin
        contains "$output" "path=$PLUGINS"
        contains "$output" "name=$name"
        contains "$output" "api_version="
        contains "$output" "thread_model="
        contains "$output" "version=1."
        contains "$output" "has_pread=1"
    done
}

@test "found by name through NBDLAB_PLUGIN_PATH" {
    export NBDLAB_PLUGIN_PATH=$PLUGINS
    serve pattern 1M
    same "$(nbdinfo --size "$URI")" 1048576
    stop
}

@test "bad parameters end the start with the plugin's message" {
    run -1 "$NBDLAB" -f -U "$SOCK" "$(plugin memory)"
    contains "$output" size
    run -1 "$NBDLAB" -f -U "$SOCK" "$(plugin pattern)" size=lots
    contains "$output" lots
    run -1 "$NBDLAB" -f -U "$SOCK" "$(plugin file)" "$DIR/no-such-file"
    contains "$output" no-such-file
}
