#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The file plugin, through real clients.

load common

setup() {
    common_setup
    DISK=$DIR/disk.img
    export DISK
}

# fails_with MESSAGE ARGS...: the file plugin refuses ARGS at the start, and says so.
fails_with() {
    local message=$1
    shift
    run "$NBDLAB" -U - file "$@" --run true
    [ "$status" -eq 1 ]
    contains "$output" "$message"
}

# used_kib: what the disk takes on the file system.
used_kib() {
    du -k "$DISK" | cut -f 1
}

@test "file: size and what is advertised" {
    truncate -s 5M "$DISK"
    serve file "$DISK"
    run nbdinfo "$URI"
    [ "$status" -eq 0 ]
    contains "$output" "export-size: 5242880"
    for can in cache df fast_zero flush fua multi_conn trim zero; do
        contains "$output" "can_$can: true"
    done
    contains "$output" "is_read_only: false"
    contains "$output" "is_rotational: false"
    stop
}

@test "file: nbdcopy in, out and compare is exact" {
    head -c 20M /dev/urandom >"$DIR/in"
    truncate -s 20M "$DISK"
    serve file file="$DISK"
    nbdcopy "$DIR/in" "$URI"
    cmp "$DIR/in" "$DISK"
    nbdcopy "$URI" "$DIR/out"
    cmp "$DIR/in" "$DIR/out"
    stop
}

@test "file: a relative path is served from the background too" {
    cd "$DIR"
    echo relative >disk.img
    truncate -s 1M disk.img
    "$NBDLAB" -U "$SOCK" -P "$PIDFILE" file disk.img 3>&- 4>&-
    SERVER=$(<"$PIDFILE")
    STARTED+=("$SERVER")
    same "$(nbdcopy "$URI" - | head -c 8)" relative
    kill "$SERVER"
    wait_for not is_alive "$SERVER"
}

@test "file: extents are those of the file" {
    truncate -s 30M "$DISK"
    head -c 1M /dev/urandom | dd of="$DISK" bs=1M seek=3 conv=notrunc status=none
    head -c 2M /dev/urandom | dd of="$DISK" bs=1M seek=20 conv=notrunc status=none
    serve file "$DISK"
    run nbdinfo --map "$URI"
    same "$(echo "$output" | awk '{ print $1, $2, $3 }')" "0 3145728 3
3145728 1048576 0
4194304 16777216 3
20971520 2097152 0
23068672 8388608 3"
    qemu-img compare -f raw -F raw "$DISK" "$URI"
    stop
}

@test "file: extents from inside of an extent, of one byte, and with REQ_ONE" {
    truncate -s 1M "$DISK"
    head -c 64K /dev/urandom | dd of="$DISK" bs=64K seek=2 conv=notrunc status=none
    serve file "$DISK"
    py <<'EOT'
c = ready(meta=True)
def extents(offset, length, flags=0):
    return c.command(CMD_BLOCK_STATUS, offset, length, flags=flags).extents[0][1]
# The last one may be longer than what was asked for, except with REQ_ONE.
hole, data = extents(1, 131072)
same(hole, (131071, 3))
same(data[1], 0)
same(extents(131072 + 5, 1, FLAG_REQ_ONE), [(1, 0)])
same(extents(0, 1 << 20, FLAG_REQ_ONE), [(131072, 3)])
same(extents(131072, 1 << 19, FLAG_REQ_ONE), [(65536, 0)])
same(extents((1 << 20) - 1, 1), [(1, 3)])
EOT
    stop
}

@test "file: trim gives blocks back, keeps the size and reads as zeroes" {
    head -c 8M /dev/urandom >"$DISK"
    before=$(used_kib)
    serve file "$DISK"
    qemu-io -f raw -c "discard 0 4M" -c "read -P 0 0 4M" "$URI"
    stop
    [ "$(used_kib)" -le $((before - 4096)) ]
    [ "$(stat -c %s "$DISK")" -eq $((8 << 20)) ]
    cmp -n $((4 << 20)) "$DISK" /dev/zero
}

@test "file: zero may take blocks away, and with NO_HOLE it leaves them" {
    head -c 8M /dev/urandom >"$DISK"
    before=$(used_kib)
    serve file "$DISK"
    qemu-io -f raw -c "write -z 0 1M" -c "read -P 0 0 1M" "$URI"
    [ "$(used_kib)" -ge $((before - 64)) ]
    qemu-io -f raw -c "write -z -u 1M 1M" -c "read -P 0 1M 1M" "$URI"
    [ "$(used_kib)" -le $((before - 1024)) ]
    py <<'EOT'
h = libnbd()
h.zero(1 << 20, 4 << 20, nbd.CMD_FLAG_FAST_ZERO)
same(h.pread(1 << 20, 4 << 20), bytearray(1 << 20))
h.zero(1 << 20, 6 << 20, nbd.CMD_FLAG_FAST_ZERO | nbd.CMD_FLAG_NO_HOLE)
same(h.pread(1 << 20, 6 << 20), bytearray(1 << 20))
EOT
    stop
    [ "$(stat -c %s "$DISK")" -eq $((8 << 20)) ]
}

@test "file: zero of a range that no block boundary ends" {
    head -c 100000 /dev/zero | tr '\0' x >"$DISK"
    serve file "$DISK"
    py <<'EOT'
h = libnbd()
h.zero(50001, 12345)
h.trim(99, 80001)
h.zero(7, 99993, nbd.CMD_FLAG_NO_HOLE)
want = bytearray(b"x" * 100000)
want[12345:62346] = bytes(50001)
want[80001:80100] = bytes(99)
want[99993:] = bytes(7)
same(h.pread(100000, 0), want)
EOT
    stop
    [ "$(stat -c %s "$DISK")" -eq 100000 ]
}

@test "file: FUA and flush" {
    truncate -s 4M "$DISK"
    serve file "$DISK"
    py <<'EOT'
h = libnbd()
h.pwrite(b"f" * 100000, 4096, nbd.CMD_FLAG_FUA)
h.zero(4096, 8192, nbd.CMD_FLAG_FUA)
h.trim(4096, 16384, nbd.CMD_FLAG_FUA)
h.pwrite(b"last", 0)
h.flush()
h.cache(1 << 20, 0)
with open(os.environ["DISK"], "rb") as disk:
    same(disk.read(4), b"last")
    disk.seek(4096)
    same(disk.read(8), b"f" * 4 + b"f" * 4)
EOT
    stop
}

@test "file: what one connection writes and flushes, another reads" {
    truncate -s 1M "$DISK"
    serve file "$DISK"
    py <<'EOT'
one, two = libnbd(), libnbd()
one.pwrite(b"shared", 100)
two.flush()
same(bytes(two.pread(6, 100)), b"shared")
EOT
    stop
}

@test "file: -r opens the file for reading only" {
    truncate -s 1M "$DISK"
    serve -r file "$DISK"
    run nbdinfo "$URI"
    contains "$output" "is_read_only: true"
    py <<'EOT'
c = ready()
same(c.errno(CMD_WRITE, 0, 512, data=bytes(512)), EPERM)
same(c.read(0, 512), bytes(512))
links = [os.path.realpath("/proc/%s/fd/%s" % (os.environ["SERVER"], fd))
         for fd in os.listdir("/proc/%s/fd" % os.environ["SERVER"])]
fd = links.index(os.path.realpath(os.environ["DISK"]))
name = os.listdir("/proc/%s/fd" % os.environ["SERVER"])[fd]
with open("/proc/%s/fdinfo/%s" % (os.environ["SERVER"], name)) as info:
    flags = int([line for line in info if line.startswith("flags:")][0].split()[1], 8)
same(flags & os.O_ACCMODE, os.O_RDONLY)
EOT
    stop
}

@test "file: a file that cannot be written is served read-only" {
    echo content >"$DISK"
    truncate -s 1M "$DISK"
    chmod 444 "$DISK"
    # root writes to any file, unless it has laid its capabilities down.
    local plain=()
    [ "$(id -u)" -ne 0 ] || plain=(setpriv --bounding-set=-all --inh-caps=-all)
    # shellcheck disable=SC2016 # the server's shell expands it
    run "${plain[@]}" "$NBDLAB" -v -U - file "$DISK" --run 'nbdinfo "$uri"'
    contains "$output" "is_read_only: true"
    contains "$output" "served read-only, it cannot be opened for writing: Permission denied"
}

@test "file: a client that connects again sees the new size" {
    truncate -s 1M "$DISK"
    serve file "$DISK"
    same "$(nbdinfo --size "$URI")" 1048576
    truncate -s 3M "$DISK"
    same "$(nbdinfo --size "$URI")" 3145728
    stop
}

@test "file: the missing end of a truncated file is an error, not zeroes" {
    head -c 1M /dev/urandom >"$DISK"
    serve file "$DISK"
    py <<'EOT'
c = ready(meta=True)
same(len(c.read(0, 1 << 20)), 1 << 20)
os.truncate(os.environ["DISK"], 600000)
same(c.errno(CMD_READ, 599000, 2000), EIO)
same(c.errno(CMD_READ, 700000, 512), EIO)
# A hole, but none that reads as zeroes.
same(c.block_status(0, 1 << 20), [(600000, 0), (448576, 1)])
same(c.block_status(700000, 512), [(348576, 1)])
same(c.errno(CMD_READ, 0, 1 << 20), EIO)
same(len(c.read(0, 600000)), 600000)
os.truncate(os.environ["DISK"], 0)
same(c.block_status(0, 512), [(1 << 20, 1)])
EOT
    has "the file ends at offset 600000, it had 1048576 bytes when it was opened"
    stop
}

@test "file: cache=none keeps nothing in the page cache" {
    local place kind
    place=$(mktemp -d "$BUILD/cache.XXXXXX")
    kind=$(stat -f -c %T "$place")
    truncate -s 4M "$place/kept" "$place/dropped"
    for name in kept dropped; do
        serve file "$place/$name" cache="$([ $name = kept ] && echo default || echo none)"
        qemu-io -f raw -c "write -P 3 0 4M" -c "read -P 3 0 4M" -c flush "$URI"
        stop
    done
    KIND=$kind py "$place/kept" "$place/dropped" <<'EOT'
import ctypes, mmap, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
def cached_pages(path):
    with open(path, "r+b") as file:
        view = mmap.mmap(file.fileno(), 0)
    pages = (ctypes.c_ubyte * (len(view) // mmap.PAGESIZE))()
    address = ctypes.addressof(ctypes.c_char.from_buffer(view))
    same(libc.mincore(address, len(view), pages), 0)
    return sum(page & 1 for page in pages)
kept, dropped = cached_pages(sys.argv[1]), cached_pages(sys.argv[2])
assert kept > 0, "the default should keep pages"
# On a file system that is all memory there is nothing to drop.
assert dropped == 0 or os.environ["KIND"] in ("tmpfs", "ramfs"), dropped
EOT
    rm -r "$place"
}

@test "file: each fadvise is accepted" {
    truncate -s 1M "$DISK"
    for advice in normal random sequential; do
        serve file "$DISK" fadvise=$advice
        qemu-io -f raw -c "write -P 4 0 64k" -c "read -P 4 0 64k" "$URI"
        stop
    done
}

# A directory with one of each kind; the first three are to be served.
make_directory() {
    mkdir "$DIR/disks" "$DIR/disks/folder" "$DIR/outside"
    echo first >"$DIR/disks/a.img"
    echo second >"$DIR/disks/b b.img"
    echo linked >"$DIR/outside/real"
    ln -s ../outside/real "$DIR/disks/link"
    ln -s nowhere "$DIR/disks/broken"
    mkfifo "$DIR/disks/fifo"
    printf 'odd\n' >"$DIR/disks/$(printf 'new\nline')"
}

@test "file: dir= lists the regular files of the directory and nothing else" {
    make_directory
    serve file dir="$DIR/disks"
    py <<'EOT'
c = connect()
c.greet()
same([name for name, _ in c.list_exports()], ["a.img", "b b.img", "link"])
EOT
    stop
}

@test "file: dir= serves the file that the export name says" {
    make_directory
    serve file dir="$DIR/disks"
    same "$(nbdcopy "nbd+unix:///a.img?socket=$SOCK" -)" first
    same "$(nbdcopy "nbd+unix:///b%20b.img?socket=$SOCK" -)" second
    same "$(nbdcopy "nbd+unix:///link?socket=$SOCK" -)" linked
    py <<'EOT'
h = libnbd(export="a.img")
h.pwrite(b"FIRST", 0)
EOT
    stop
    same "$(<"$DIR/disks/a.img")" FIRST
}

@test "file: dir= refuses names that are no file of the directory, and serves on" {
    make_directory
    serve file dir="$DIR/disks"
    py <<'EOT'
for name in ("", ".", "..", "folder", "fifo", "broken", "missing", "../outside/real", "/etc/passwd",
             "folder/../a.img", "new\nline"):
    c = connect()
    c.greet()
    code = c.refusal(OPT_GO, go_query(name))
    assert code & REP_ERROR_BIT, name
    c.close()
EOT
    has "the client named no export: it must name a file in $DIR/disks"
    has "the client's export name has a slash or a control character in it"
    has "missing: cannot serve it: No such file or directory"
    has "folder: cannot serve it: is a directory"
    has "fifo: cannot serve it: is neither a regular file nor a block device"
    lacks "/etc/passwd"
    same "$(nbdcopy "nbd+unix:///a.img?socket=$SOCK" -)" first
    stop
}

@test "file: directory= is another name of dir=, and dirfd= serves a directory that was inherited" {
    make_directory
    for source in directory="$DIR/disks" dirfd=9; do
        serve file "$source" 9<"$DIR/disks"
        py <<'EOT'
c = connect()
c.greet()
same([name for name, _ in c.list_exports()], ["a.img", "b b.img", "link"])
for name in ("", "..", "folder", "../outside/real", "a.img/"):
    c = connect()
    c.greet()
    assert c.refusal(OPT_GO, go_query(name)) & REP_ERROR_BIT, name
    c.close()
h = libnbd(export="a.img")
h.pwrite(b"FIRST", 0)
same(bytes(h.pread(5, 0)), b"FIRST")
EOT
        stop
    done
    has "the client named no export: it must name a file in dirfd=9"
}

@test "file: fd= serves what is open on a descriptor, as far as it is open for it" {
    truncate -s 1M "$DISK"
    # Two clients, and a descriptor that is closed once the server has it.
    serve file fd=9 9<>"$DISK"
    py <<'EOT'
one, two = libnbd(), libnbd()
one.pwrite(b"data", 7)
same(bytes(two.pread(6, 6)), b"\0data\0")
same(one.is_read_only(), False)
one.trim(1 << 20, 0)
same(bytes(two.pread(6, 6)), bytes(6))
EOT
    stop
    for options in "fd=9" "-r fd=8"; do
        # shellcheck disable=SC2086
        serve file $options 9<"$DISK" 8<>"$DISK"
        contains "$(nbdinfo "$URI")" "is_read_only: true"
        stop
    done
    # In the background, where the server is another process.
    "$NBDLAB" -U "$SOCK" -P "$PIDFILE" file fd=9 9<>"$DISK" 3>&- 4>&-
    SERVER=$(<"$PIDFILE")
    STARTED+=("$SERVER")
    same "$(nbdinfo --size "$URI")" 1048576
    kill "$SERVER"
    wait_for not is_alive "$SERVER"
}

@test "file: descriptors that cannot be served" {
    truncate -s 1M "$DISK"
    exec 5<"$DISK" 6>"$DIR/out" 7>>"$DIR/out" 8<"$DIR" 9</dev/null
    fails_with "fd: \"x\" is not a number" fd=x
    fails_with "file: fd=0: give a descriptor from 3 on: the first three are the server's" fd=0
    fails_with "file: dirfd=-1: give a descriptor from 3 on" dirfd=-1
    fails_with "file: fd=99: Bad file descriptor" fd=99
    fails_with "file: fd=6 is open for writing only" fd=6
    fails_with "for appending" fd=7
    fails_with "file: fd=8 is a directory: give dirfd=8 to serve the files in it" fd=8
    fails_with "file: fd=9 is neither a regular file nor a block device" fd=9
    fails_with "file: dirfd=5 is not a directory" dirfd=5
    fails_with "fd was given before" fd=5 fd=5
    fails_with "fd was given before" fd=5 dirfd=8
    exec 5<&- 6>&- 7>&- 8<&- 9<&-
}

@test "file: errors at the start" {
    truncate -s 1M "$DISK"
    mkfifo "$DIR/fifo"
    fails_with "file: give one of file=PATH, dir=DIRECTORY, fd=NUMBER and dirfd=NUMBER"
    fails_with "file: dir=$DIR: file was given before: give one of file, dir, fd and dirfd, once" \
        "$DISK" dir="$DIR"
    fails_with "file: $DIR/missing: No such file or directory" "$DIR/missing"
    fails_with "file: $DIR is a directory: give dir=$DIR to serve the files in it" "$DIR"
    fails_with "file: $DIR/fifo is neither a regular file nor a block device" "$DIR/fifo"
    fails_with "file: /dev/null is neither a regular file nor a block device" /dev/null
    fails_with "file: dir=$DIR/missing: No such file or directory" dir="$DIR/missing"
    fails_with "file: dir=$DISK: Not a directory" dir="$DISK"
    fails_with "file was given before" "$DISK" "$DISK"
    fails_with "directory was given before" directory="$DIR" dir="$DIR"
    fails_with "cache was given before, it can be given only once" "$DISK" cache=none cache=none
    fails_with "fadvise was given before" "$DISK" fadvise=normal fadvise=random
    fails_with "file: cache=all is not known: use default or none" "$DISK" cache=all
    fails_with "file: fadvise=fast is not known: use normal, random or sequential" \
        "$DISK" fadvise=fast
    fails_with "file: unknown parameter 'size': it takes file, dir, fd, dirfd, cache and fadvise" \
        "$DISK" size=1M
}

@test "file: --dump-plugin tells what it can do" {
    run "$NBDLAB" file --dump-plugin
    [ "$status" -eq 0 ]
    contains "$output" "name=file"
    contains "$output" "thread_model=parallel"
    for fact in block_size blkrotational extents; do
        contains "$output" "file_$fact=yes"
    done
    contains "$output" "file_falloc_fl_punch_hole=yes"
    contains "$output" "file_falloc_fl_zero_range=yes"
}
