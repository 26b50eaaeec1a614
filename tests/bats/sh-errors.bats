#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# What goes wrong in scripts: each case gets one line in the log that names the script, the method,
# what was wrong and what to do; the client gets an error; connection and server live on.

load common

# disk_with METHOD-CASES: a disk of 1 MiB; reads at 64 KiB are special, the others are zeroes.
disk_with() {
    cat >"$DIR/disk.sh" <<EOT
#!/bin/sh
at=\$4
case \$1 in
$1
    get_size) echo 1M ;;
    pread) head -c \$3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    chmod +x "$DIR/disk.sh"
}

# One error line of the log, and only one, names the script and has every TEXT.
one_error_with() {
    local errors text
    errors=$(grep 'error:' "$LOG")
    same "$(wc -l <<<"$errors")" 1
    contains "$errors" disk
    for text in "$@"; do contains "$errors" "$text"; done
}

# fails_with ERRNO: a read at 64 KiB does; the same connection can read elsewhere.
fails_with() {
    py "$1" <<'EOT'
client = ready(meta=True)
same(client.errno(CMD_READ, 65536, 512), globals()[sys.argv[1]], "errno of the bad read")
same(client.read(0, 512), bytes(512), "the next read")
client.disconnect()
ready().read(0, 512)
EOT
}

# open_fails: GO is refused; the connection and the server live on.
open_fails() {
    py <<'EOT'
client = connect()
client.greet()
assert client.refusal(OPT_GO, go_query("")) & REP_ERROR_BIT
client.abort()
client = connect()
client.greet()
client.abort()
EOT
}

# start_fails TEXT...: the server does not start, and says why in one line.
start_fails() {
    local script=$1
    shift
    run -1 "$NBDLAB" -f -U "$SOCK" sh "$script" 3>&-
    printf '%s\n' "$output" >"$LOG"
    one_error_with "$@"
    same "$(ls -A "$TMPDIR")" ""
    [ ! -e "$SOCK" ]
}

@test "pread that prints too little" {
    disk_with '    pread) [ $at -eq 65536 ] && set -- x x 100 ; head -c $3 /dev/zero ;;'
    serve sh "$DIR/disk.sh"
    fails_with EIO
    one_error_with pread 100 512
    stop
}

@test "pread that prints too much" {
    disk_with '    pread) [ $at -eq 65536 ] && set -- x x 100000 ; head -c $3 /dev/zero ;;'
    serve sh "$DIR/disk.sh"
    fails_with EIO
    one_error_with pread 100000 512
    stop
}

@test "pread that prints endlessly is cut, not swallowed" {
    disk_with '    pread) [ $at -eq 65536 ] && exec cat /dev/zero ; head -c $3 /dev/zero ;;'
    serve sh "$DIR/disk.sh"
    fails_with EIO
    one_error_with pread
    stop
}

@test "pread that prints nothing" {
    disk_with '    pread) [ $at -eq 65536 ] && exit 0 ; head -c $3 /dev/zero ;;'
    serve sh "$DIR/disk.sh"
    fails_with EIO
    one_error_with pread "0 bytes" 512
    stop
}

@test "pread that is missing: exit status 2 ends a required method" {
    disk_with '    pread) [ $at -eq 65536 ] && exit 2 ; head -c $3 /dev/zero ;;'
    serve sh "$DIR/disk.sh"
    fails_with EIO
    one_error_with pread "no such method"
    stop
}

@test "a promised method that is missing: an error, or nothing where the client only hints" {
    disk_with '    can_write | can_flush | can_trim | can_zero | can_extents) exit 0 ;;
    can_cache) echo native ;;'
    serve sh "$DIR/disk.sh"
    py <<'EOT'
client = ready(meta=True)
for kind, data, error in ((CMD_WRITE, bytes(512), EIO), (CMD_WRITE_ZEROES, b"", EIO),
                          (CMD_BLOCK_STATUS, b"", EIO), (CMD_TRIM, b"", 0), (CMD_CACHE, b"", 0)):
    same(client.errno(kind, 0, 512, data=data), error, "errno of command %d" % kind)
same([client.errno(CMD_FLUSH) for _ in range(2)], [0, 0], "errnos of flushes")
client.read(0, 512)
client.disconnect()
EOT
    for method in pwrite extents; do
        same "$(grep -c "error: .*disk.sh: $method: there is no such method" "$LOG")" "$(
            [ $method = pwrite ] && echo 2 || echo 1)"
    done
    for method in flush zero; do
        same "$(grep -c "warning: .*disk.sh: $method: there is no such method" "$LOG")" 1
    done
    same "$(grep -c 'error:' "$LOG")" 3
    stop
}

@test "a syntax error, which makes the shell exit with 2: the log shows its complaint and line" {
    disk_with '    pread) if [ $at -eq 65536 ]; then eval "fi oops"; fi; head -c $3 /dev/zero ;;'
    serve sh "$DIR/disk.sh"
    fails_with EIO
    one_error_with pread "disk.sh: 1: eval:" "Syntax error"
    stop
}

@test "a syntax error in the file itself is shown at start-up" {
    disk disk.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1M ;;
    pread) head -c $3 /dev/zero ;;
    *) if then ;;
esac
EOT
    start_fails "$DIR/disk.sh" "disk.sh: 5:" "yntax error"
}

@test "bash's syntax error too" {
    disk disk.sh <<'EOT'
#!/bin/bash
case $1 in
    get_size) echo 1M ;;
    pread) head -c $3 /dev/zero ;;
    *) if then ;;
esac
EOT
    start_fails "$DIR/disk.sh" "line 5" "yntax error"
}

@test "exit 2 of a command in an optional method: one warning for each method, quoting stderr" {
    disk_with '    can_write) grep -q rw /nonexistent ;;
    can_flush) [ 1 -eq x ] ;;
    open) set -x; exit 2 ;;
    close) exit 2 ;;'
    serve sh "$DIR/disk.sh"
    py <<'EOT'
for _ in range(2):
    client = ready()
    assert client.flags & READ_ONLY
    client.disconnect()
EOT
    lacks "error:"
    same "$(grep -c "warning: .*disk.sh: can_write: exit status 2 means .* || exit 3; its stderr: grep: /non" "$LOG")" 1
    same "$(grep -c "warning: .*disk.sh: can_flush: exit status 2 means" "$LOG")" 1
    same "$(grep -c "exit status 2 means" "$LOG")" 2
    stop
}

@test "no warning of exit 2 in a script that says something for each method that it has not got" {
    cat >"$DIR/disk.sh" <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1M ;;
    pread) head -c $3 /dev/zero ;;
    *) echo "unknown method $1" >&2; exit 2 ;;
esac
EOT
    chmod +x "$DIR/disk.sh"
    serve sh "$DIR/disk.sh"
    py <<<'ready().read(0, 512)'
    lacks "exit status 2 means"
    stop
}

@test "an errno word on stdout of a failed call" {
    disk_with '    pread) [ $at -eq 65536 ] && { echo ENOSPC full; exit 1; }; head -c $3 /dev/zero ;;'
    serve sh "$DIR/disk.sh"
    fails_with EIO
    one_error_with pread stdout stderr
    stop
}

@test "an errno word behind the noise of set -x" {
    disk_with '    pread) if [ $at -eq 65536 ]; then set -x; true; echo ENOSPC full >&2; exit 1; fi
        head -c $3 /dev/zero ;;'
    serve sh "$DIR/disk.sh"
    fails_with ENOSPC
    one_error_with pread "ENOSPC full"
    stop
}

@test "a multi-line message is one line of the log" {
    disk_with '    pread) if [ $at -eq 65536 ]; then printf "EPERM one\ntwo\nthree\n" >&2; exit 1; fi
        head -c $3 /dev/zero ;;'
    serve sh "$DIR/disk.sh"
    fails_with EPERM
    one_error_with pread "EPERM one" two three
    stop
}

@test "control characters of a script are escaped in the log" {
    disk_with '    pread) if [ $at -eq 65536 ]; then printf "EIO \033[31mred\007\n" >&2; exit 1; fi
        head -c $3 /dev/zero ;;'
    serve sh "$DIR/disk.sh"
    fails_with EIO
    one_error_with pread red
    same "$(tr -d '\n\t -~' <"$LOG" | wc -c)" 0
    stop
}

@test "a megabyte of stderr is bounded in the log and harms nobody" {
    disk_with '    pread) if [ $at -eq 65536 ]; then
            echo ENOSPC >&2; head -c 1000000 /dev/zero | tr "\0" x >&2; exit 1
        fi
        head -c $3 /dev/zero ;;'
    serve sh "$DIR/disk.sh"
    fails_with ENOSPC
    [ "$(wc -c <"$LOG")" -lt 100000 ]
    stop
}

@test "death by a signal is named" {
    disk_with '    pread) [ $at -eq 65536 ] && sh -c "kill -SEGV \$PPID"; head -c $3 /dev/zero ;;'
    serve sh "$DIR/disk.sh"
    fails_with EIO
    one_error_with pread SIGSEGV
    stop
}

@test "exit 3 in a method that is no question" {
    disk_with '    pread) [ $at -eq 65536 ] && exit 3; head -c $3 /dev/zero ;;'
    serve sh "$DIR/disk.sh"
    fails_with EIO
    one_error_with pread "exit status 3"
    stop
}

@test "pwrite without can_write, a no that means yes, a handle of two lines: one hint for each" {
    disk_with '    pwrite) cat >/dev/null ;;
    can_flush) echo no ;;
    can_multi_conn) echo yes; exit 3 ;;
    is_rotational) echo yes ;;
    open) echo opening; echo handle ;;'
    serve sh "$DIR/disk.sh"
    py <<'EOT'
for _ in range(2):
    client = ready()
    same(client.flags & (READ_ONLY | SEND_FLUSH), READ_ONLY | SEND_FLUSH, "flags")
    client.disconnect()
EOT
    same "$(grep -c "warning: .*disk.sh: can_write: there is no such method.*add can_write)" "$LOG")" 1
    same "$(grep -c "warning: .*disk.sh: can_flush: printed 'no', but exit status 0 means yes" "$LOG")" 1
    same "$(grep -c "warning: .*disk.sh: can_multi_conn: printed 'yes', but exit status 3 means" "$LOG")" 1
    same "$(grep -c "warning: .*disk.sh: open: printed several lines" "$LOG")" 1
    same "$(grep -c 'disk.sh: ' "$LOG")" 4
    stop
}

@test "a failure without a word" {
    disk_with '    pread) [ $at -eq 65536 ] && exit 77; head -c $3 /dev/zero ;;'
    serve sh "$DIR/disk.sh"
    fails_with EIO
    one_error_with pread 77
    stop
}

@test "whoever is refused for what it printed is quoted with its stderr, too" {
    disk disk.sh <<'EOT'
#!/bin/sh
# The export's name is that of the method which goes wrong.
[ "$1" = thread_model ] || [ "$1" = "$2" ] && {
    { echo "curl: (7) no way to $1" >&2; false; } | sed 's/^/rubbish/'
    [ "$1" = get_size ] || echo rubbish
    exit 0
}
case $1 in
    open) echo "$3" ;;
    get_size) echo 1M ;;
    pread) head -c $3 /dev/zero ;;
    list_exports) echo "curl: (7) no way to list_exports" >&2; head -c 5000 /dev/zero | tr '\0' x ;;
    can_extents | can_write) exit 0 ;;
    *) exit 2 ;;
esac
EOT
    serve sh "$DIR/disk.sh"
    py <<'EOT'
for method in "get_size", "block_size", "can_fua", "can_cache", "map":
    client = connect()
    client.greet()
    assert client.refusal(OPT_GO, go_query(method)) & REP_ERROR_BIT
    client.abort()
same(ready(export="pread").errno(CMD_READ, 0, 512), EIO, "errno of the read")
same(ready(meta=True, export="extents").errno(CMD_BLOCK_STATUS, 0, 512), EIO, "that of extents")
client = connect()
client.greet()
assert client.refusal(OPT_LIST) & REP_ERROR_BIT
client.abort()
EOT
    for method in thread_model get_size block_size can_fua can_cache map pread extents \
        list_exports; do
        grep -q "disk.sh: $method: .*; its stderr: curl: (7) no way to $method" "$LOG" ||
            { echo "none for $method"; return 1; }
    done
    stop
}

@test "dd that counts blocks is told how to count bytes" {
    truncate -s 1M "$DIR/image"
    disk_with "    pread) dd if=$DIR/image skip=\$4 count=\$3 status=\$(
        [ \$3 = 512 ] && echo none || echo noxfer) ;;"
    serve sh "$DIR/disk.sh"
    py <<'EOT'
client = ready()
for count, offset in (512, 0), (2048, 0), (1024, 65536):
    same(client.errno(CMD_READ, offset, count), EIO, "errno of the read")
EOT
    same "$(grep -c 'dd counts blocks: iflag=count_bytes,skip_bytes' "$LOG")" 3
    has "printed 262144 bytes instead of 512:"
    has "printed 1048576 bytes instead of 2048:"
    has "printed 0 bytes instead of 1024:"
    stop
}

@test "the statuses that shells and timeout(1) give have their meaning beside them" {
    disk_with '    pread) [ $at = 0 ] && exec head -c $3 /dev/zero
        [ $at = 141 ] && echo "curl: (23) no reader" >&2
        exit $at ;;'
    serve sh "$DIR/disk.sh"
    py <<'EOT'
client = ready()
for status in 124, 126, 127, 137, 141, 143, 193, 255:
    same(client.errno(CMD_READ, status, 512), EIO, "errno with status %d" % status)
EOT
    has "pread: exit status 124 (of timeout(1): a command took too long)"
    has "pread: exit status 126 (a command could not be executed)"
    has "pread: exit status 127 (a command was not found)"
    has "pread: exit status 137 (a command was killed by SIGKILL)"
    has "exit status 141 (a reader closed the pipe: SIGPIPE, with pipefail): curl: (23) no reader"
    has "pread: exit status 143 (a command was killed by SIGTERM)"
    has "pread: exit status 193 and no message on stderr"
    has "pread: exit status 255 and no message on stderr"
    stop
}

@test "get_size that prints nothing, or something that is not a size, or is missing" {
    for size in ':' 'echo' 'echo lots' 'echo 1M of data' 'echo -1' 'echo 12Q' 'exit 2' 'exit 1' \
        'echo 99999999999999999999' 'head -c 100000 /dev/zero' "printf '1\n2\n'"; do
        rm -f "$LOG"
        disk_with "    get_size) $size ;;"
        serve sh "$DIR/disk.sh"
        open_fails
        one_error_with get_size
        stop
    done
}

@test "the message about get_size shows what was printed" {
    disk_with '    get_size) echo about 1M ;;'
    serve sh "$DIR/disk.sh"
    open_fails
    one_error_with get_size "about 1M" "not a size"
    stop
}

@test "sizes in every format that is a size" {
    disk_with '    open) echo "$3" ;;
    get_size) printf "%s" "$2" ;;'
    serve sh "$DIR/disk.sh"
    py <<'EOT'
for text, size in (("0", 0), ("512", 512), ("1k", 1024), ("1K", 1024), ("3M", 3 << 20),
                   ("2G", 2 << 30), ("1T", 1 << 40), ("1P", 1 << 50), ("7E", 7 << 60),
                   ("5s", 2560), ("10b", 10), ("9223372036854775807", (1 << 63) - 1), ("1M\n", 1 << 20)):
    same(ready(export=text).size, size, repr(text))
EOT
    lacks "error:"
    stop
}

@test "block_size and capability methods that print rubbish" {
    for method in 'block_size) echo many' 'block_size) echo 1 2' 'can_fua) echo perhaps' \
        'can_cache) echo yes' 'can_write) exit 1'; do
        rm -f "$LOG"
        disk_with "    $method ;;
    can_write) exit 0 ;;"
        serve sh "$DIR/disk.sh"
        open_fails
        one_error_with "${method%%)*}"
        stop
    done
}

@test "block sizes that the protocol does not allow" {
    for sizes in '3 4 5' '0 4096 8192' '131072 131072 131072' '512 256 1M' '512 4096 513' \
        '4096 8192 4096'; do
        rm -f "$LOG"
        disk_with "    block_size) echo $sizes ;;"
        serve sh "$DIR/disk.sh"
        open_fails
        same "$(grep -c 'error:.*block_size' "$LOG")" 1
        stop
    done
}

@test "extents that do not cover the request, or are out of order, or are no extents" {
    for extents in ':' 'echo 0 4k' 'echo 1M 1M' 'echo lots' 'echo 0' 'echo 0 1M bread' \
        "printf '64k 64k\n256k 64k\n'" "printf '64k 64k\n64k 64k\n'" 'echo -1 1M'; do
        rm -f "$LOG"
        disk_with "    can_extents) exit 0 ;;
    extents) $extents ;;"
        serve sh "$DIR/disk.sh"
        py <<'EOT'
client = ready(meta=True)
same(client.errno(CMD_BLOCK_STATUS, 65536, 512 << 10), EIO, "errno of the block status")
client.read(0, 512)
client.disconnect()
EOT
        one_error_with extents
        stop
    done
}

@test "a script that surely has no get_size does not start; without pread it does, with a warning" {
    disk disk.sh <<'EOT'
case $1 in
    get_szie) echo 1M ;;
    pread) head -c "$3" /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    start_fails "$DIR/disk.sh" "no method get_size" "echo 10M"
    run -1 "$NBDLAB" -U "$SOCK" -P "$PIDFILE" "$DIR/disk.sh" 3>&-
    contains "$output" "no method get_size"
    # Whatever might know the method is believed.
    disk wrapper.sh <<'EOT'
case $1 in
    get_s*) echo 2M ;;
    *) exit 2 ;;
esac
EOT
    rm -f "$LOG"
    serve sh "$DIR/wrapper.sh"
    py <<'EOT'
client = ready()
same(client.size, 2 << 20, "size")
same(client.errno(CMD_READ, 0, 512), EIO, "errno of the read")
EOT
    has "warning: $DIR/wrapper.sh: it has no method pread"
    stop
}

@test "a script that is not executable" {
    disk_with ''
    chmod -x "$DIR/disk.sh"
    start_fails "$DIR/disk.sh" executable chmod
}

# The mount is this test's own, in a namespace that ends with it.
@test "a file system that is mounted noexec: that is said, and what to do" {
    mkdir "$DIR/noexec"
    cat >"$DIR/try.sh" <<'EOT'
mount -t tmpfs -o noexec none "$DIR/noexec"
printf '#!/bin/sh\necho 1M\n' >"$DIR/noexec/disk.sh"
cp "$BUILD/examples/ramdisk.so" "$DIR/noexec/"
cp /bin/dash "$DIR/noexec/"
printf '#!%s/noexec/dash\necho 1M\n' "$DIR" >"$DIR/odd.sh"
chmod +x "$DIR/noexec/disk.sh" "$DIR/odd.sh"
cd "$DIR/noexec"
"$NBDLAB" ./disk.sh --run true
"$NBDLAB" sh ./disk.sh --run true
TMPDIR=$PWD "$NBDLAB" sh - --run true <./disk.sh
TMPDIR=$PWD "$NBDLAB" cc "$TESTS/../examples/ramdisk.c" 1M --run true
"$NBDLAB" ./ramdisk.so 1M --run true
"$NBDLAB" "$DIR/odd.sh" --run true
EOT
    run unshare --mount --map-root-user sh "$DIR/try.sh"
    local part
    for part in 'cannot use ./disk.sh: no program can be run from this file system' \
        'error: ./disk.sh: no program can be run from this file system' \
        'inline script: no program can be run from the folder for temporary files' \
        'TMPDIR is on a file system that is mounted noexec' \
        'it is on a file system that is mounted noexec' \
        'install it on a file system that is not mounted noexec'; do
        contains "$output" "$part"
    done
    case $output in *chmod*) false ;; esac
}

@test "a script that is not there, and a folder" {
    start_fails "$DIR/no-such-disk.sh" "No such file"
    mkdir "$DIR/a-disk.sh"
    start_fails "$DIR/a-disk.sh" directory
}

@test "a missing interpreter" {
    disk disk.sh <<'EOT'
#!/no/such/interpreter -x
echo 1M
EOT
    start_fails "$DIR/disk.sh" /no/such/interpreter "No such file" install
}

@test "a carriage return behind the interpreter" {
    printf '#!/bin/sh\r\necho 1M\r\n' >"$DIR/disk.sh"
    chmod +x "$DIR/disk.sh"
    start_fails "$DIR/disk.sh" "carriage return" "line 1"
}

@test "a byte order mark before the interpreter" {
    printf '\xef\xbb\xbf#!/bin/bash\nexit 0\n' >"$DIR/disk.sh"
    chmod +x "$DIR/disk.sh"
    start_fails "$DIR/disk.sh" "disk.sh: line 1 begins with a byte order mark" "sed -i"
}

@test "a carriage return behind a later line is told before the shell stumbles over it" {
    printf '#!/bin/sh\ncase $1 in\r\nget_size) echo 1M ;;\r\nesac\r\n' >"$DIR/disk.sh"
    chmod +x "$DIR/disk.sh"
    run -1 "$NBDLAB" -f -U "$SOCK" sh "$DIR/disk.sh" 3>&-
    contains "$output" "warning: $DIR/disk.sh: line 2 ends with a carriage return, as in Windows: run"
    contains "$output" "load: the shell gave up"
}

@test "a script without a name, and one that is meant for another plugin" {
    run -1 "$NBDLAB" -f -U "$SOCK" sh '' 3>&-
    contains "$output" "the name of the script is empty"
    touch "$DIR/disk.c" "$DIR/disk.py"
    start_fails "$DIR/disk.c" "disk.c: not executable" "put cc in the place of sh"
    start_fails "$DIR/disk.py" "disk.py: not executable" "put python in the place of sh"
}

@test "a script that loses its executable bit while it is served" {
    disk_with ''
    serve sh "$DIR/disk.sh"
    py <<'EOT'
path = os.environ["DIR"] + "/disk.sh"
client = ready()
client.read(0, 512)
os.rename(path, path + ".away")
same(client.errno(CMD_READ, 0, 512), EIO, "errno of a read without a script")
os.rename(path + ".away", path)
client.read(0, 512)
EOT
    one_error_with pread "No such file"
    stop
}

@test "a thread model that is none: a warning, for the default is used" {
    disk_with '    thread_model) echo as you like ;;'
    serve sh "$DIR/disk.sh"
    py <<<'ready().read(0, 512)'
    has "warning: $DIR/disk.sh: thread_model: 'as you like' is not a thread model"
    lacks "error:"
    stop
}

@test "a parameter that the script does not take" {
    disk_with ''
    run -1 "$NBDLAB" -f -U "$SOCK" sh "$DIR/disk.sh" colour=blue 3>&-
    printf '%s\n' "$output" >"$LOG"
    one_error_with config colour=blue
}

@test "sh.timeout: the log says which method hung and for how long, the client gets EIO" {
    disk_with "    pread) if [ \$at -eq 65536 ]; then sleep 1000 & echo \$! >$DIR/pids; wait; fi
        head -c \$3 /dev/zero ;;"
    serve sh "$DIR/disk.sh" sh.timeout=0.5
    fails_with EIO
    one_error_with pread "0.5 seconds" sh.timeout
    wait_for not is_alive "$(cat "$DIR/pids")"
    stop
}

@test "a script that exits with 0 for methods that it has not got is told how to say so" {
    disk forgetful.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1M ;;
    pread) head -c "$3" /dev/zero ;;
esac
EOT
    serve sh "$DIR/forgetful.sh"
    run nbdinfo "$URI"
    [ "$status" -ne 0 ]
    has "thread_model: printed nothing, so serialize_all_requests is used"
    has "block_size: printed nothing"
    has "exit with 2 (*) exit 2 ;;)"
    stop
}
