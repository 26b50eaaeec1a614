#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The method map of the sh plugin: the script says where its data lives, and the server moves it.
# What reaches files and script, and in which order, is tested in tests/unit/test_map.c.

load common

# Disks of 1 MiB: the script's own data is all "s", file a all "a", file b all "b".
setup() {
    common_setup
    DISK=$DIR/disk
    mkdir "$DISK"
    export DISK
    fill "$DISK/own" 1M s
    fill "$DISK/a" 256K a
    fill "$DISK/b" 256K b
}

# fill FILE SIZE LETTER
fill() {
    head -c "$2" /dev/zero | tr '\0' "$3" >"$1"
}

# serve_map [OPTION...] <<'EOT': the disk with the map on standard input, in the folder $DISK.
serve_map() {
    cat >"$DISK/map"
    cd "$DISK" || return
    serve "$@" sh "$TESTS/disks/mapped.sh" </dev/null
}

# calls METHOD: with which arguments the script was called for it.
calls() {
    sed -n "s/^$1 //p" "$DISK/calls"
}

# files: the paths of the files in $DISK that the server has open.
files() {
    local fd
    for fd in /proc/"$SERVER"/fd/*; do
        readlink "$fd" | grep "^$DISK/" || :
    done
}

no_files() {
    [ -z "$(files)" ]
}

@test "map: ranges are read and written in files, gaps by the script" {
    serve_map <<'EOT'
# what lives where

0    4K file a
8K   8s file b 64K   # eight sectors
12K  4K script
1020K 4K file "a" 4K
EOT
    py <<'EOT'
c = ready()
same(c.read(0, 20 << 10), b"a" * 4096 + b"s" * 4096 + b"b" * 4096 + b"s" * 8192, "all of the start")
same(c.read(1019 << 10, 5 << 10), b"s" * 1024 + b"a" * 4096, "the end")
c.write(2048, b"W" * 8192)
same(c.read(0, 12 << 10), b"a" * 2048 + b"W" * 8192 + b"b" * 2048, "what was written")
c.disconnect()
EOT
    same "$(head -c 4100 "$DISK/a" | tr -d W | wc -c)" 2052
    same "$(tail -c +$((65536 + 1)) "$DISK/b" | head -c 2050 | tr -d W)" bb
    same "$(calls pwrite)" "handle 4096 4096 "
    same "$(calls pread)" "handle 4096 4096
handle 8192 12288
handle 1024 1043456
handle 4096 4096"
    stop
}

@test "map: it is asked for once per connection, after open, and nothing twice" {
    serve_map <<<'0 4K file a'
    py <<'EOT'
c = ready()
c.read(0, 4096)
c.read(0, 4096)
c.disconnect()
EOT
    wait_for grep -q ^close "$DISK/calls"
    same "$(sed -n '/^open/,/^can_write/p' "$DISK/calls" | cut -d ' ' -f 1 | tr '\n' ' ')" \
        "open map get_size can_write "
    same "$(sort "$DISK/calls" | uniq -d)" ""
    stop
}

@test "map: a script without one is asked for nothing more, an empty one changes nothing" {
    rm -f "$DISK/map"
    cd "$DISK"
    serve sh "$TESTS/disks/mapped.sh"
    py <<<'same(ready().read(0, 4096), b"s" * 4096, "data")'
    same "$(sed -n '/^open/,/^block_size/p' "$DISK/calls" | cut -d ' ' -f 1 | tr '\n' ' ')" \
        "open map get_size block_size "
    : >"$DISK/map"
    py <<<'same(ready().read(0, 4096), b"s" * 4096, "data")'
    echo '# nothing' >"$DISK/map"
    py <<'EOT'
c = ready()
same(c.read(0, 4096), b"s" * 4096, "data")
same(c.flags & (SEND_FLUSH | SEND_TRIM | SEND_FUA | SEND_CACHE), 0, "flags")
EOT
    stop
}

@test "map: zero reads as zeroes and takes no writes" {
    serve_map <<<'4K 4K zero'
    py <<'EOT'
c = ready(meta=True)
same(c.read(0, 12 << 10), b"s" * 4096 + bytes(4096) + b"s" * 4096, "data")
same(c.errno(CMD_WRITE, 4096, 512, data=bytes(512)), EPERM, "errno of a write")
same(c.errno(CMD_WRITE_ZEROES, 4096, 512), EPERM, "errno of a zero")
same(c.block_status(0, 12 << 10), [(4096, 0), (4096, 3), (4096, 0)], "extents")
same(c.errno(CMD_WRITE, 0, 8192, data=b"W" * 8192), EPERM, "errno of a write that reaches it")
same(c.read(0, 8192), b"W" * 4096 + bytes(4096), "what came before is written")
EOT
    has "map: line 1: a write of 4096 bytes at offset 4096 fails with EPERM"
    stop
}

@test "map: error fails each access, and the first error ends a request" {
    serve_map <<'EOT'
4K 4K file a
8K 4K error EIO
12K 4K error enospc
16K 4K file b
20K 4K error EDQUOT
EOT
    py <<'EOT'
c = ready(meta=True)
for kind in (CMD_READ, CMD_TRIM, CMD_WRITE_ZEROES, CMD_CACHE):
    same(c.errno(kind, 8192, 512), EIO, "errno of command %d" % kind)
same(c.errno(CMD_READ, 12 << 10, 512), ENOSPC, "errno of a read")
same(c.errno(CMD_READ, 20 << 10, 512), ENOSPC, "errno of a read, of an alias")
same(c.errno(CMD_WRITE, 0, 20 << 10, data=b"W" * (20 << 10)), EIO, "errno of a write over all")
same(c.read(0, 8192), b"W" * 8192, "what came before is written")
same(c.read(16 << 10, 4096), b"b" * 4096, "what came after is not")
same(c.block_status(0, 24 << 10), [(24 << 10, 0)], "extents, which touch nothing")
same(c.errno(CMD_READ, 7 << 10, 1024), 0, "errno beside of it")
EOT
    has "map: line 2: a read of 512 bytes at offset 8192 fails with EIO"
    stop
}

@test "map: disconnect soft, alone and in a spanning request" {
    serve_map <<'EOT'
0 4K file a
4K 4K disconnect soft
8K 4K file b
EOT
    py <<'EOT'
for offset in (4096, 0):
    c = ready()
    same(c.errno(CMD_READ, offset, 12288 - offset), ESHUTDOWN, "errno of the read")
    same(c.errno(CMD_READ, 0, 512), ESHUTDOWN, "errno of what follows")
    c.disconnect()
c = ready()
same(c.errno(CMD_WRITE, 0, 12288, data=b"W" * 12288), ESHUTDOWN, "errno of a write")
c.disconnect()
same(ready().read(0, 4096), b"W" * 4096, "what came before is written")
same(ready().read(8192, 4096), b"b" * 4096, "what came after is not")
EOT
    stop
}

@test "map: disconnect force, alone and in a spanning request" {
    serve_map <<'EOT'
0 4K file a
4K 4K disconnect force
8K 4K file b
EOT
    py <<'EOT'
other = ready()
for offset in (4096, 0):
    c = ready()
    c.send_request(CMD_READ, offset, 12288 - offset)
    c.ending()
c = ready()
c.send_write(0, b"W" * 12288)
c.ending()
same(other.read(0, 4096), b"W" * 4096, "what came before is written, for others")
same(other.read(8192, 4096), b"b" * 4096, "what came after is not")
EOT
    stop
}

@test "map: shutdown, in a spanning request, ends the server with status 0" {
    serve_map <<'EOT'
0 4K file a
4K 4K shutdown
8K 4K file b
EOT
    py <<'EOT'
c = ready()
expect_prompt_end(lambda: same(c.errno(CMD_WRITE, 0, 12288, data=b"W" * 12288), ESHUTDOWN, "errno"))
EOT
    wait_exit
    same "$(tr -d a <"$DISK/a" | wc -c)" 4096
    same "$(tr -d b <"$DISK/b" | wc -c)" 0
    same "$(ls -A "$TMPDIR")" ""
}

@test "map: a delay waits, and does not hold up others" {
    serve_map <<'EOT'
0 4K delay 0.3s file a
4K 4K delay 100ms delay 200 error ENOSPC
8K 4K delay 300 script
12K 4K delay 3600000 zero
EOT
    py <<'EOT'
c = ready()
c.send_request(CMD_READ, 12 << 10, 1)
for offset, error in ((0, 0), (4096, ENOSPC), (8192, 0)):
    start = time.monotonic()
    same(c.errno(CMD_READ, offset, 512), error, "errno at %d" % offset)
    took_s = time.monotonic() - start
    assert took_s >= 0.3, "it took %.3f s at %d" % (took_s, offset)
EOT
    stop
}

@test "map: a delay ends early when the server stops" {
    serve_map -v <<<'4K 4K delay 3600000 file a'
    py <<'EOT'
c = ready()
c.send_request(CMD_READ, 0, 8192)
until(lambda: "waiting for 3600000 ms" in open(os.environ["LOG"]).read(), "the delay")
expect_prompt_end(lambda: os.kill(int(os.environ["SERVER"]), signal.SIGTERM))
same(c.reply().error, ESHUTDOWN, "errno")
EOT
    wait_exit
}

@test "map: a delay ends early when the client is gone" {
    serve_map -v <<<'4K 4K delay 3600000 file a'
    py <<'EOT'
c = ready()
c.send_request(CMD_READ, 4096, 512)
until(lambda: "waiting for 3600000 ms" in open(os.environ["LOG"]).read(), "the delay")
c.vanish()
EOT
    wait_for grep -q ^close "$DISK/calls"
    wait_for no_files
    stop
}

@test "map: a file is opened once for all its ranges, and closed with the connection" {
    serve_map <<'EOT'
0 4K file a
4K 4K file b
8K 4K file a 8K
16K 4K file 'a' 4K
EOT
    py <<'EOT'
c, d = ready(), ready()
c.read(0, 20 << 10)
fds = "/proc/%s/fd/" % os.environ["SERVER"]
paths = [os.readlink(fds + fd) for fd in os.listdir(fds)]
same(sorted(os.path.basename(path) for path in paths if path.startswith(os.environ["DISK"])),
     ["a", "a", "b", "b"], "files of two connections")
EOT
    wait_for no_files
    stop
}

@test "map: files are opened for writing, or read-only where the connection is" {
    serve_map <<<'0 4K file a'
    py <<'EOT'
ready().write(0, b"W")
EOT
    same "$(head -c 2 "$DISK/a")" Wa
    stop
    serve_map -r <<<'0 4K file a'
    py <<'EOT'
c = ready()
same(c.errno(CMD_WRITE, 0, 512, data=bytes(512)), EPERM, "errno")
same(c.read(0, 4096), b"W" + b"a" * 4095, "data")
fds = "/proc/%s/fd/" % os.environ["SERVER"]
mine = [fd for fd in os.listdir(fds) if os.readlink(fds + fd) == os.environ["DISK"] + "/a"]
same(len(mine), 1, "open files")
info = open("/proc/%s/fdinfo/%s" % (os.environ["SERVER"], mine[0])).read()
same(int(info.split("flags:")[1].split()[0], 8) & os.O_ACCMODE, os.O_RDONLY, "its mode")
EOT
    same "$(calls can_write)" handle
    stop
    # A script that says that nobody may write.
    disk readonly.sh <<'EOT'
case $1 in
get_size) echo 1M ;;
map) echo "0 1K file $DISK/a" ;;
pread) head -c "$3" /dev/zero ;;
*) exit 2 ;;
esac
EOT
    chmod 444 "$DISK/a"
    serve sh "$DIR/readonly.sh"
    py <<'EOT'
c = ready()
same(c.flags & READ_ONLY, READ_ONLY, "flags")
same(c.read(0, 2048), b"W" + b"a" * 1023 + bytes(1024), "data")
EOT
    stop
}

@test "map: a disk of files can all that files can" {
    truncate -s 256K "$DISK/a"
    serve_map <<<'0 256K file a
512K 256K file b'
    py <<'EOT'
c = ready(meta=True)
wanted = SEND_FLUSH | SEND_FUA | SEND_TRIM | SEND_WRITE_ZEROES | SEND_FAST_ZERO | SEND_CACHE
same(c.flags & wanted, wanted, "flags")
disk = os.environ["DISK"]
used = lambda name: os.stat(disk + "/" + name).st_blocks * 512
before = used("a")
same(c.errno(CMD_TRIM, 0, 64 << 10, flags=FLAG_FUA), 0, "errno of a trim")
same(c.errno(CMD_WRITE_ZEROES, 64 << 10, 64 << 10), 0, "errno of a zero")
same(before - used("a"), 128 << 10, "bytes given back")
same(c.errno(CMD_WRITE_ZEROES, 128 << 10, 64 << 10, flags=FLAG_NO_HOLE), 0, "of one without holes")
same(before - used("a"), 128 << 10, "bytes given back")
same(c.errno(CMD_WRITE_ZEROES, 512 << 10, 64 << 10, flags=FLAG_FAST_ZERO), 0, "of a fast one")
same(c.read(0, 192 << 10), bytes(192 << 10), "zeroes")
same(c.read(192 << 10, 1), b"a", "what follows")
c.write(0, b"W" * 4096, flags=FLAG_FUA)
same(c.block_status(0, 64 << 10), [(4096, 0), (188 << 10, 3)], "extents")
same(c.errno(CMD_FLUSH), 0, "errno of a flush")
same(c.errno(CMD_CACHE, 0, 1 << 20), 0, "errno of a cache")
# Where the script is, that has none of these.
same(c.errno(CMD_TRIM, 200 << 10, 100 << 10), 0, "errno of a trim over both")
same(c.errno(CMD_WRITE_ZEROES, 250 << 10, 300 << 10, flags=FLAG_FAST_ZERO), ENOTSUP, "of a fast zero")
same(c.errno(CMD_WRITE_ZEROES, 250 << 10, 300 << 10), 0, "errno of a zero over all")
same(c.read(250 << 10, 300 << 10), bytes(300 << 10), "zeroes")
EOT
    same "$(calls trim)" ""
    same "$(calls zero)" ""
    same "$(calls pwrite)" "handle 262144 262144 "
    stop
}

@test "map: the script's ranges are trimmed, zeroed, cached and flushed by the script" {
    export CAN="can_flush can_trim can_zero can_fast_zero" FUA=native CACHE=native
    serve_map <<<'4K 4K file a'
    py <<'EOT'
c = ready()
same(c.errno(CMD_TRIM, 0, 12288, flags=FLAG_FUA), 0, "errno of a trim")
same(c.errno(CMD_WRITE_ZEROES, 0, 12288, flags=FLAG_FAST_ZERO), 0, "errno of a zero")
same(c.read(0, 12288), bytes(12288), "zeroes")
same(c.errno(CMD_CACHE, 0, 12288), 0, "errno of a cache")
c.write(2048, b"W" * 4096, flags=FLAG_FUA)
same(c.errno(CMD_FLUSH), 0, "errno of a flush")
EOT
    same "$(grep -e ^trim -e ^zero -e ^cache -e ^pwrite -e ^flush "$DISK/calls")" \
        "trim handle 4096 0 fua
trim handle 4096 8192 fua
zero handle 4096 0 may_trim,fast
zero handle 4096 8192 may_trim,fast
cache handle 4096 0
cache handle 4096 8192
pwrite handle 2048 2048 fua
flush handle"
    stop
}

@test "map: FUA of a script that only flushes, and a zero that it refuses" {
    export CAN="can_flush can_zero" FAIL=zero:8192:EOPNOTSUPP
    serve_map <<<'4K 4K file a'
    py <<'EOT'
c = ready()
c.write(0, b"W" * 12288, flags=FLAG_FUA)
same(c.errno(CMD_WRITE_ZEROES, 0, 12288), 0, "errno of a zero")
same(c.read(0, 16384), bytes(12288) + b"s" * 4096, "data")
EOT
    same "$(grep -e ^zero -e ^pwrite -e ^flush "$DISK/calls")" "pwrite handle 4096 0 
pwrite handle 4096 8192 
flush handle
zero handle 4096 0 may_trim
zero handle 4096 8192 may_trim
pwrite handle 4096 8192 "
    stop
}

@test "map: extents of files, zeroes and script are put together in order" {
    export CAN=can_extents
    truncate -s 0 "$DISK/b"
    truncate -s 256K "$DISK/b"
    echo "0 96K hole,zero
96K 928K" >"$DISK/extents"
    serve_map <<'EOT'
64K 16K file b
80K 4K error EIO
100K 8K file a
108K 20K zero
EOT
    py <<'EOT'
c = ready(meta=True)
K = 1024
same(c.block_status(0, 1 << 20),
     [(80 * K, 3), (4 * K, 0), (12 * K, 3), (12 * K, 0), (20 * K, 3), (896 * K, 0)], "extents")
same(c.block_status(70 * K, 20 * K), [(10 * K, 3), (4 * K, 0), (12 * K, 3)], "some")
same(c.block_status(98 * K, K), [(2 * K, 0)], "what the script tells of what is a file")
same(c.block_status(109 * K, K), [(19 * K, 3)], "a part of zeroes")
same(c.block_status(60 * K, 60 * K, flags=FLAG_REQ_ONE), [(4 * K, 3)], "one")
EOT
    # A script that tells less than it was asked for: the client asks again.
    echo "0 16K hole,zero" >"$DISK/extents"
    py <<'EOT'
same(ready(meta=True).block_status(0, 1 << 20), [(16 << 10, 3)], "what is told")
EOT
    run nbdinfo --map "$URI"
    [ "$status" -ne 0 ]
    has "no line covers byte 16384"
    stop
}

# refused MAP MESSAGE: a connection with this map is refused, and the log says why.
refused() {
    printf '%b' "$1" >"$DISK/map"
    py <<'EOT'
c = connect()
c.greet()
assert c.refusal(OPT_GO, go_query("")) & REP_ERROR_BIT
c.close()
EOT
    has "mapped.sh: map: $2"
}

@test "map: what is wrong is said with its line, and the export is refused" {
    mkfifo "$DISK/fifo"
    local targets="file, zero, error, delay, disconnect, shutdown or script"
    serve_map </dev/null
    refused '# x\n\n0 1K zeros\n' "line 3, '0 1K zeros': 'zeros' is not a target: write $targets"
    refused '0 1K' "line 1, '0 1K': the target is missing: write $targets behind the length"
    refused '0' "line 1, '0': the length is missing: write OFFSET LENGTH TARGET [ARGUMENT...]"
    refused '0 0 zero' "line 1, '0 0 zero': the length is 0: leave the line out, or write at least 1"
    refused '0 1.5K zero' "line 1, '0 1.5K zero': the length, '1.5K', is not a size: write bytes, \
or a number with a unit such as 10M"
    refused '4K 4K zero\n0 4K zero' "line 2, '0 4K zero': begins at byte 0, but the range before it \
ends at byte 8192: ranges must ascend and not overlap"
    refused '1023K 2K zero' "line 1, '1023K 2K zero': ends at byte 1049600, but the disk (get_size) \
has 1048576 bytes: stay inside of it"
    refused '0 1K file' "line 1, '0 1K file': names no file: write file PATH [OFFSET]"
    refused '0 1K file none' "line 1, '0 1K file none': none: No such file or directory \
(a relative path starts in the server's working directory)"
    refused '0 1K file /none/x' "line 1, '0 1K file /none/x': /none/x: No such file or directory"
    refused '0 1K file /' "line 1, '0 1K file /': /: is a directory"
    refused '0 1K file /dev/null' "line 1, '0 1K file /dev/null': /dev/null: is neither a regular \
file nor a block device"
    refused "0 1K file $DISK/fifo" "line 1, '0 1K file $DISK/fifo': $DISK/fifo: is neither a \
regular file nor a block device"
    refused '0 256K file a 1' "line 1, '0 256K file a 1': the range ends at byte 262145 of the \
file, which has 262144 bytes: make the file longer or the range shorter"
    refused '0 1K file a b' "line 1, '0 1K file a b': 'b' behind the path is not an offset in the \
file: write a size there, and a path that has blanks in it between quotes"
    refused '0 1K error' "line 1, '0 1K error': names no error: write an errno word, as in \
'error EIO'"
    refused '0 1K error EBAD' "line 1, '0 1K error EBAD': 'EBAD' is not an errno word that is known"
    refused '0 1K disconnect hard' "line 1, '0 1K disconnect hard': 'hard' is no way to disconnect: \
write 'disconnect soft' or 'disconnect force'"
    refused '0 1K delay zero' "line 1, '0 1K delay zero': 'zero' is not a time to wait: write \
milliseconds, or a number with a unit such as 1.5s, up to 4294967295 ms, as in 'delay 100 zero'"
    refused '0 1K zero 1' "line 1, '0 1K zero 1': '1' is too much: nothing follows there"
    refused '0 1K \0 zero' "printed a NUL byte: print text"
    # To the script, each of these connections was open.
    same "$(grep -c ^close "$DISK/calls")" "$(grep -c ^open "$DISK/calls")"
    no_files
    # And the server lives on.
    : >"$DISK/map"
    py <<<'same(ready().read(0, 512), b"s" * 512, "data")'
    stop
}

@test "map: a file that cannot be written to is refused, but not to a reader" {
    cp "$(command -v sleep)" "$DISK/busy"
    "$DISK/busy" 1000 3>&- 4>&- &
    STARTED+=("$!")
    serve_map </dev/null
    refused '0 1K file busy' "line 1, '0 1K file busy': busy: Text file busy (a relative path \
starts in the server's working directory): it must be writable, or can_write has to say no"
    stop
    serve_map -r <<<'0 1K file busy'
    py <<<'same(ready().read(1, 3), b"ELF", "data")'
    stop
}

@test "map: it fails as other methods do, with the script's exit status" {
    echo 'echo "ENOMEM no map today" >&2; exit 1' >"$DISK/map.sh"
    serve_map </dev/null
    refused '' "ENOMEM no map today"
    echo 'exit 3' >"$DISK/map.sh"
    refused '' "exit status 3 means false"
    echo 'exit 6' >"$DISK/map.sh"
    py <<'EOT'
c = connect()
c.greet()
c.send_option(OPT_GO, go_query(""))
c.ending()
EOT
    echo 'echo "0 1M file a"; exit 7' >"$DISK/map.sh"
    truncate -s 1M "$DISK/a"
    py <<'EOT'
c = ready()
same(c.errno(CMD_READ, 0, 512), ESHUTDOWN, "errno")
EOT
    echo 'echo "0 1M file a"; exit 4' >"$DISK/map.sh"
    run nbdinfo --size "$URI"
    wait_exit
}

@test "map: paths with blanks and quotes, absolute and relative ones, symbolic links" {
    mkdir "$DISK/two words"
    fill "$DISK/two words/it's \"x\" \\" 4K x
    ln -s b "$DISK/link"
    serve_map <<EOT
0 1K file 'two words/it'\\''s "x" \\'
1K 1K file "two words/it's \\"x\\" \\\\" 1K
2K 1K file two\\ words/it\\'s\\ \\"x\\"\\ \\\\
3K 1K file "$DISK/a"
4K 1K file ./b
5K 1K file link
EOT
    py <<'EOT'
same(ready().read(0, 7 << 10), b"x" * 3072 + b"a" * 1024 + b"b" * 2048 + b"s" * 1024, "data")
EOT
    stop
}

@test "map: in the background, relative paths start at /, like the script's own" {
    cd "$DISK"
    echo 'pwd >"$DISK/pwd"; echo "0 4K file ${DISK#/}/a"; ' >"$DISK/map.sh"
    "$NBDLAB" -U "$SOCK" -P "$PIDFILE" sh "$TESTS/disks/mapped.sh" 3>&- 4>&-
    SERVER=$(<"$PIDFILE")
    STARTED+=("$SERVER")
    py <<<'same(ready().read(0, 8192), b"a" * 4096 + b"s" * 4096, "data")'
    same "$(cat "$DISK/pwd")" /
    kill "$SERVER"
    wait_for not is_alive "$SERVER"
}

@test "map: each connection has its own" {
    cat >"$DISK/map.sh" <<'EOT'
n=$(grep -c ^map "$DISK/calls")
if [ "$n" = 1 ]; then echo "0 4K file a"; else echo "0 4K file b"; fi
EOT
    serve_map </dev/null
    py <<'EOT'
c, d = ready(), ready()
same((c.read(0, 4096), d.read(0, 4096)), (b"a" * 4096, b"b" * 4096), "data")
c.disconnect()
same(d.read(0, 4096), b"b" * 4096, "data after the other has left")
EOT
    stop
}

@test "map: a file that becomes shorter while it is served is an error, not zeroes" {
    serve_map <<<'0 256K file a'
    py <<'EOT'
c = ready(meta=True)
os.truncate(os.environ["DISK"] + "/a", 4096)
same(c.errno(CMD_READ, 8192, 512), EIO, "errno")
same(c.block_status(0, 256 << 10), [(4096, 0), (252 << 10, 1)], "a hole, not zeroes")
same(c.errno(CMD_READ, 0, 256 << 10), EIO, "errno")
same(c.read(0, 4096), b"a" * 4096, "what is left")
EOT
    has "it was truncated while it was served"
    stop
}

@test "map: 32 MiB at once over thousands of ranges" {
    truncate -s 40M "$DISK/own"
    head -c 32M /dev/urandom >"$DISK/a"
    head -c 32M /dev/urandom >"$DISK/b"
    awk 'BEGIN { for (i = 0; i < 8192; i++)
        print i * 4096, 4096, "file", i % 3 ? "a" : "b", (8191 - i) * 4096 }' >"$DISK/table"
    serve_map <"$DISK/table"
    py <<'EOT'
disk = os.environ["DISK"]
files = {name: open(disk + "/" + name, "rb").read() for name in "ab"}
pieces = lambda: b"".join(files["a" if i % 3 else "b"][(8191 - i) * 4096:(8192 - i) * 4096]
                          for i in range(8192))
c = ready()
assert c.read(0, 32 << 20) == pieces(), "the data differs"
assert c.read(12345, (32 << 20) - 23456) == pieces()[12345:-11111], "the data of a part differs"
data = os.urandom(32 << 20)
c.write(0, data)
files = {name: open(disk + "/" + name, "rb").read() for name in "ab"}
assert pieces() == data, "what was written differs"
# Each range is one call, which waits for the disk where that is busy.
same(c.errno(CMD_WRITE_ZEROES, 28 << 20, 4 << 20), 0, "errno of a zero")
assert c.read(0, 32 << 20) == data[:28 << 20] + bytes(4 << 20), "zeroes"
EOT
    stop
}

@test "map: whatever is done at random, on four connections, is what a model says" {
    serve_map </dev/null
    timeout "$((12 * BOUND_S))" /usr/bin/python3 "$TESTS/map_model.py"
    stop
}

@test "map: without a script's part there is no call of it for data" {
    truncate -s 1M "$DISK/a"
    serve_map <<<'0 1M file a'
    run fio --name=map --ioengine=nbd --uri="$URI" --rw=randrw --bs=4k --size=1M --iodepth=16 \
        --verify=crc32c --output-format=terse
    [ "$status" -eq 0 ]
    nbdcopy "$URI" "$DISK/copy"
    cmp "$DISK/a" "$DISK/copy"
    same "$(calls pread)$(calls pwrite)" ""
    stop
}

@test "map: as a fragment of the eval plugin" {
    cd "$DISK"
    serve eval get_size='echo 1M' pread='head -c $3 /dev/zero' pwrite='cat >/dev/null' \
        map='echo "0 64K file $DISK/a"; echo "64K 4K error EIO"'
    py <<'EOT'
c = ready()
same(c.read(0, 65536), b"a" * 65536, "data")
same(c.errno(CMD_READ, 65536, 512), EIO, "errno")
same(c.read(1 << 19, 512), bytes(512), "data of the script")
c.write(0, b"W")
EOT
    same "$(head -c 2 "$DISK/a")" Wa
    stop
}

@test "map: the manual's example does what it says" {
    mkdir "$DIR/bin" "$DIR/my folder"
    ln -s "$NBDLAB" "$DIR/bin/nbdlab"
    cd "$DIR/my folder"
    awk '/^\.\\" run: map/ { is_mine = 1 } /^\.Ed/ { is_mine = inside = 0 } inside { print }
         is_mine && /^\.Bd/ { inside = 1 }' "$TESTS/../man/nbdlab-sh-plugin.3" |
        sed 's/\\e/\\/g' >example.sh
    PATH=$DIR/bin:$PATH run bash example.sh 3>&- 4>&-
    [ "$status" -eq 0 ] || { echo "$output"; false; }
    contains "$output" "wrote 4096/4096 bytes at offset 0"
    contains "$output" "read failed: Input/output error"
    contains "$output" "0000000 07 07 07 07"
}
