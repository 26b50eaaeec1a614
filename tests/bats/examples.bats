#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Every example does what its head comment promises.

load common

setup() {
    common_setup
    EXAMPLES=$(cd "$TESTS/../examples" && pwd)
}

# refuses MESSAGE EXAMPLE ARGS...: the example ends the start-up with the message.
refuses() {
    local message=$1 example=$2
    shift 2
    run "$NBDLAB" -U - sh "$EXAMPLES/$example" "$@" --run true
    [ "$status" -eq 1 ]
    contains "$output" "$message"
}

# keeps_data ARGS...: what clients write to a RAM disk of 8 MiB, they read.
keeps_data() {
    serve "$@" 8M
    same "$(nbdinfo --size "$URI")" 8388608
    head -c 8M /dev/urandom >"$DIR/in"
    nbdcopy "$DIR/in" "$URI"
    nbdcopy "$URI" "$DIR/out"
    cmp "$DIR/in" "$DIR/out"
    qemu-io -f raw -c "write -z 1M 1M" -c "read -P 0 1M 1M" -c flush "$URI"
    stop
}

# map: the extents of the served disk, "OFFSET LENGTH TYPE" a line.
map() {
    nbdinfo --map "$URI" | awk '{ print $1, $2, $3 }'
}

@test "examples: each has a test here, may be executed, and says how to try it" {
    # The units for systemd have theirs in activation.bats.
    for file in "$EXAMPLES"/*.sh "$EXAMPLES"/*.py "$EXAMPLES"/*.c; do
        name=${file##*/}
        grep -q "^@test \"$name: " "$BATS_TEST_FILENAME" || { echo "no test: $name"; false; }
        grep -q '^[# ][* ].*\./nbdlab ' "$file" || { echo "no command line: $name"; false; }
        case $name in
            *.sh | *.py) [ -x "$file" ] ;;
            *) [ ! -x "$file" ] ;;
        esac
    done
}

@test "hello.sh: a disk in ten lines" {
    [ "$(wc -l <"$EXAMPLES/hello.sh")" -le 11 ]
    # shellcheck disable=SC2016 # the server's shell expands it
    run "$NBDLAB" -U - sh "$EXAMPLES/hello.sh" --run 'nbdcopy "$uri" - | tail -n 3'
    [ "$status" -eq 0 ]
    same "$output" "hello, NBD user
hello, NBD user
hello, NBD user"
    serve sh "$EXAMPLES/hello.sh"
    same "$(nbdinfo --size "$URI")" 1048576
    nbdcopy "$URI" "$DIR/out"
    yes 'hello, NBD user' | head -c 1M | cmp - "$DIR/out"
    stop
}

@test "ramdisk.c: shared by all clients, of the size that is asked for" {
    keeps_data "$BUILD/examples/ramdisk.so"
    # shellcheck disable=SC2016
    run "$NBDLAB" -U - cc "$EXAMPLES/ramdisk.c" --run 'nbdinfo --size "$uri"'
    same "$output" 67108864
    run "$NBDLAB" -U - "$BUILD/examples/ramdisk.so" length=8M --run true
    [ "$status" -eq 1 ]
    contains "$output" "unknown parameter 'length': this disk takes size=SIZE"
}

@test "ramdisk.py: shared by all clients, of the size that is asked for" {
    keeps_data python "$EXAMPLES/ramdisk.py"
    run "$NBDLAB" -U - python "$EXAMPLES/ramdisk.py" length=8M --run true
    [ "$status" -eq 1 ]
    contains "$output" "unknown parameter 'length': this disk takes size=SIZE"
    mkdir "$DIR/bin"
    ln -s "$NBDLAB" "$DIR/bin/nbdlab"
    # shellcheck disable=SC2016
    PATH=$DIR/bin:$PATH run "$EXAMPLES/ramdisk.py" -U - --run 'nbdinfo --size "$uri"'
    same "$output" 67108864
}

@test "ramdisk.sh: shared by all clients, gone when the server ends" {
    serve sh "$EXAMPLES/ramdisk.sh" 8M
    same "$(nbdinfo --size "$URI")" 8388608
    head -c 8M /dev/urandom >"$DIR/in"
    nbdcopy "$DIR/in" "$URI"
    nbdcopy "$URI" "$DIR/out"
    cmp "$DIR/in" "$DIR/out"
    qemu-io -f raw -c "write -P 7 12345 54321" -c "read -P 7 12345 54321" "$URI"
    stop
    same "$(ls -A "$TMPDIR")" ""
    serve sh "$EXAMPLES/ramdisk.sh"
    same "$(nbdinfo --size "$URI")" 67108864
    qemu-io -f raw -c "read -P 0 0 1M" "$URI"
    stop
    refuses "unknown parameter 'colour': this disk takes size=SIZE" ramdisk.sh colour=red
}

@test "file.sh: reads and writes the file, also at offsets of no block" {
    truncate -s 4M "$DIR/disk.img"
    serve sh "$EXAMPLES/file.sh" "$DIR/disk.img"
    head -c 4M /dev/urandom >"$DIR/in"
    nbdcopy "$DIR/in" "$URI"
    cmp "$DIR/in" "$DIR/disk.img"
    qemu-img compare -f raw -F raw "$DIR/in" "$URI"
    py <<'EOT'
h = libnbd()
h.pwrite(b"odd" * 1001, 777, nbd.CMD_FLAG_FUA)
h.flush()
same(bytes(h.pread(3003, 777)), b"odd" * 1001)
EOT
    stop
    same "$(tail -c +778 "$DIR/disk.img" | head -c 3)" odd
    [ "$(stat -c %s "$DIR/disk.img")" -eq $((4 << 20)) ]
}

@test "file.sh: trim and zero take blocks away, NO_HOLE leaves them, extents tell" {
    head -c 4M /dev/urandom >"$DIR/disk.img"
    before=$(du -k "$DIR/disk.img" | cut -f 1)
    serve sh "$EXAMPLES/file.sh" "$DIR/disk.img"
    same "$(map)" "0 4194304 0"
    qemu-io -f raw -c "discard 0 1M" -c "write -z -u 1M 1M" -c "read -P 0 0 2M" "$URI"
    same "$(map)" "0 2097152 3
2097152 2097152 0"
    [ "$(du -k "$DIR/disk.img" | cut -f 1)" -le $((before - 2048)) ]
    qemu-io -f raw -c "write -z 3M 1M" -c "read -P 0 3M 1M" "$URI"
    [ "$(du -k "$DIR/disk.img" | cut -f 1)" -ge $((before - 2048 - 64)) ]
    py <<'EOT'
h = libnbd()
h.zero(1 << 20, 2 << 20, nbd.CMD_FLAG_FAST_ZERO)
same(h.pread(1 << 20, 2 << 20), bytearray(1 << 20))
EOT
    stop
    [ "$(stat -c %s "$DIR/disk.img")" -eq $((4 << 20)) ]
}

@test "file.sh: a relative path works, a missing file is refused" {
    cd "$DIR"
    truncate -s 2M disk.img
    "$NBDLAB" -U "$SOCK" -P "$PIDFILE" sh "$EXAMPLES/file.sh" disk.img 3>&- 4>&-
    SERVER=$(<"$PIDFILE")
    STARTED+=("$SERVER")
    same "$(nbdinfo --size "$URI")" 2097152
    kill "$SERVER"
    wait_for not is_alive "$SERVER"
    refuses "no file to serve: give file=PATH of a regular file" file.sh
    refuses "no file to serve: give file=PATH of a regular file" file.sh "$DIR/missing"
    refuses "unknown parameter 'size': this disk takes file=PATH" file.sh size=1M
}

@test "badsectors.sh: what touches a bad range fails with its error, the rest works" {
    serve sh "$EXAMPLES/badsectors.sh" size=8M bad=1M+4K bad=2M+4K:ENOSPC bad=5M+1:EPERM
    py <<'EOT'
h = libnbd()
same(h.get_size(), 8 << 20)
M, K = 1 << 20, 1 << 10
for offset, count, error in (
        (M, 512, "EIO"), (M - 1, 2, "EIO"), (M + 4 * K - 1, 1, "EIO"), (0, 3 * M, "EIO"),
        (2 * M, 4 * K, "ENOSPC"), (5 * M, 1, "EPERM")):
    same(nbd_errno(h.pread, count, offset), getattr(errno_module, error), "read %d" % offset)
    same(nbd_errno(h.pwrite, bytes(count), offset), getattr(errno_module, error),
         "write %d" % offset)
for offset, count in ((0, M), (M + 4 * K, M - 4 * K), (5 * M + 1, 512), (5 * M - 512, 512)):
    h.pwrite(b"g" * count, offset)
    same(bytes(h.pread(count, offset)), b"g" * count)
EOT
    has "bad sector: bytes 1048576 to 1052671 are bad"
    stop
    refuses "bad=1Mx is not understood: write bad=START+LENGTH[:ERROR]" badsectors.sh bad=1Mx
    refuses "unknown parameter 'bod': this disk takes size and bad" badsectors.sh bod=1
}

@test "throwout.sh: how=soft, the Nth read succeeds and then all fails" {
    serve sh "$EXAMPLES/throwout.sh" reads=3
    py <<'EOT'
for turn in range(2):
    c, other = ready(), ready()
    for _ in range(3):
        same(c.read(512, 1024), bytes(1024))
    same(c.errno(CMD_READ, 0, 512), ESHUTDOWN)
    same(c.errno(CMD_READ, 0, 512), ESHUTDOWN)
    same(other.read(0, 512), bytes(512), "another client")
    c.send_request(CMD_DISC)
    same(c.ending(), "eof")
    other.close()
EOT
    stop
}

@test "throwout.sh: how=error, the Nth read fails too" {
    serve sh "$EXAMPLES/throwout.sh" reads=2 how=error
    py <<'EOT'
c = ready()
same(c.read(0, 512), bytes(512))
same(c.errno(CMD_READ, 0, 512), ESHUTDOWN)
same(c.errno(CMD_READ, 0, 512), ESHUTDOWN)
EOT
    has "that was the last read"
    stop
}

@test "throwout.sh: how=forced, the Nth read gets no answer, the client may come back" {
    serve sh "$EXAMPLES/throwout.sh" reads=2 how=forced
    py <<'EOT'
for turn in range(2):
    c = ready()
    same(c.read(0, 512), bytes(512))
    c.send_request(CMD_READ, 0, 512)
    assert c.ending() in ("eof", "reset")
EOT
    run qemu-io -f raw -r -c "read 0 1k" -c "read 1k 1k" "$URI"
    contains "$output" "read 1024/1024 bytes at offset 0"
    contains "$output" "read failed"
    stop
    refuses "'how=rude': this disk takes reads=N and how=soft, error or forced" \
        throwout.sh how=rude
}

@test "lastclient.sh: the server ends when the last client leaves" {
    serve sh "$EXAMPLES/lastclient.sh"
    py <<'EOT'
one, two = ready(), ready()
one.send_request(CMD_DISC)
same(one.ending(), "eof")
same(two.read(0, 512), bytes(512))
assert is_alive(os.environ["SERVER"])
two.send_request(CMD_DISC)
EOT
    wait_exit
    [ ! -e "$SOCK" ]
    [ ! -e "$PIDFILE" ]
    same "$(ls -A "$TMPDIR")" ""
}

@test "exports.sh: lists the files of the folder and serves the one named" {
    mkdir "$DIR/disks" "$DIR/disks/folder"
    echo first >"$DIR/disks/a"
    echo second >"$DIR/disks/b b"
    echo named >"$DIR/disks/INTERLEAVED"
    echo secret >"$DIR/outside"
    echo hidden >"$DIR/disks/.hidden"
    ln -s ../outside "$DIR/disks/link"
    serve sh "$EXAMPLES/exports.sh" "$DIR/disks"
    same "$(nbdcopy "nbd+unix:///a?socket=$SOCK" -)" first
    same "$(nbdcopy "nbd+unix:///b%20b?socket=$SOCK" -)" second
    py <<'EOT'
c = connect()
c.greet()
same(sorted(name for name, _ in c.list_exports()), ["INTERLEAVED", "a", "b b"])
for name in ("", ".", "..", "../outside", "link", ".hidden", "folder", "missing",
             "/etc/passwd", "folder/../a"):
    assert c.refusal(OPT_GO, go_query(name)) & REP_ERROR_BIT, name
c.go("a")
same(c.read(0, 6), b"first\n")
assert c.flags & READ_ONLY
EOT
    stop
    refuses "give the folder: dir=FOLDER" exports.sh
    refuses "dir=$DIR/missing is not a folder" exports.sh "$DIR/missing"
}

@test "image.sh: an ext2 file system with the folder's files" {
    PATH=$PATH:/usr/sbin:/sbin
    mkdir -p "$DIR/tree/deep/er"
    head -c 3M /dev/urandom >"$DIR/tree/deep/er/data"
    for i in $(seq 200); do echo "$i" >"$DIR/tree/file $i"; done
    serve sh "$EXAMPLES/image.sh" dir="$DIR/tree" label=TESTED
    run nbdinfo "$URI"
    contains "$output" "is_read_only: true"
    nbdcopy "$URI" "$DIR/image"
    stop
    e2fsck -fn "$DIR/image"
    same "$(e2label "$DIR/image")" TESTED
    debugfs -R "dump /deep/er/data $DIR/data" "$DIR/image"
    cmp "$DIR/tree/deep/er/data" "$DIR/data"
    same "$(debugfs -R 'cat "/file 177"' "$DIR/image" 2>/dev/null)" 177
    same "$(ls -A "$TMPDIR")" ""
    refuses "give the folder: dir=FOLDER" image.sh
    refuses "dir=$DIR/missing is not a folder" image.sh "$DIR/missing"
}

@test "patchwork.sh: a bad sector, a slow region, and a place that throws the client out" {
    head -c 8M /dev/urandom >"$DIR/my disk.img"
    serve sh "$EXAMPLES/patchwork.sh" "$DIR/my disk.img"
    py <<'EOT'
with open(os.environ["DIR"] + "/my disk.img", "rb") as file:
    data = file.read()
c = ready()
M = 1 << 20
assert c.read(0, M) == data[:M], "before the bad sector"
same(c.errno(CMD_READ, M, 4096), EIO, "errno in it")
same(c.errno(CMD_READ, 0, 2 * M), EIO, "errno of a read over it")
assert c.read(M + 4096, M - 4096) == data[M + 4096:2 * M], "behind it"
start = time.monotonic()
assert c.read(2 * M, M) == data[2 * M:3 * M], "the slow region"
assert time.monotonic() - start >= 0.2, "it is not slow"
assert c.read(3 * M + 4096, 5 * M - 4096) == data[3 * M + 4096:], "the rest"
c.write(4 * M, b"written", flags=FLAG_FUA)
c.send_request(CMD_READ, 3 * M, 512)
c.ending()
EOT
    stop
    same "$(tail -c +$((4194304 + 1)) "$DIR/my disk.img" | head -c 7)" written
    refuses "no file to serve: give file=PATH of a regular file of more than 4 MiB" patchwork.sh
    refuses "unknown parameter 'colour': this disk takes file=PATH" patchwork.sh colour=red
}

@test "patchwork.sh: nbdkit, which asks for no map, serves it too" {
    head -c 8M /dev/urandom >"$DIR/disk.img"
    # shellcheck disable=SC2016 # the server's shell expands it
    run nbdkit -U - sh "$EXAMPLES/patchwork.sh" "$DIR/disk.img" --run \
        'qemu-io -f raw -c "write -P 7 1M 4k" -c "read -P 7 1M 4k" "$uri" &&
         qemu-img compare -f raw -F raw "$DIR/disk.img" "$uri"' 3>&- 4>&-
    [ "$status" -eq 0 ] || { echo "$output"; false; }
    same "$(tail -c +1048577 "$DIR/disk.img" | head -c 4096 | tr -d '\007' | wc -c)" 0
}

compile_disconnect() {
    cc -Wall -Wextra -Werror -I "$TESTS/../include" -fPIC -shared \
        -o "$DIR/disconnect.so" "$EXAMPLES/disconnect.c"
}

@test "disconnect.c: soft, forced and shutdown, each at its offset" {
    compile_disconnect
    serve "$DIR/disconnect.so" soft=4K forced=8K shutdown=1M
    py <<'EOT'
other = ready()

soft = ready()
same(soft.read(0, 4096), bytes(4096))
same(soft.read(4000, 512), bytes(512))
same(soft.errno(CMD_READ, 0, 512), ESHUTDOWN)
soft.send_request(CMD_DISC)
same(soft.ending(), "eof")

forced = ready()
forced.send_request(CMD_READ, 8000, 512)
assert forced.ending() in ("eof", "reset")

same(other.read(0, 512), bytes(512), "a client that was not meant")
assert is_alive(os.environ["SERVER"])
other.send_request(CMD_READ, 1 << 20, 1)
EOT
    wait_exit
    [ ! -e "$SOCK" ]
}

@test "disconnect.c: refuses parameters it does not know" {
    compile_disconnect
    run "$NBDLAB" -U - "$DIR/disconnect.so" hard=1 --run true
    [ "$status" -eq 1 ]
    contains "$output" "unknown parameter 'hard': it takes soft, forced and shutdown"
}
