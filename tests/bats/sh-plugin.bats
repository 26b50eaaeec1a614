#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The sh plugin when all goes well: every method with its arguments, when it is called, what its
# answers do; how scripts are given, run and bounded; the temporary directory.

load common
load page

# A disk that records every call as one line: the arguments in brackets.
recording_disk() {
    cat >"$DIR/disk.sh" <<EOT
#!/bin/sh
line=
for word; do line="\$line[\$word]"; done
echo "\$line" >>$DIR/calls
case \$1 in
$1
    get_size) echo 1M ;;
    pread) head -c \$3 /dev/zero ;;
    pwrite) cat >$DIR/written ;;
    load | unload | config | config_complete | get_ready | after_fork | preconnect) ;;
    close | flush | trim | zero | cache) ;;
    *) exit 2 ;;
esac
EOT
    chmod +x "$DIR/disk.sh"
}

# called LINE...: these calls were made, in this order, whatever came between.
called() {
    local expected found=1
    for expected; do
        found=$(awk -v from="$found" -v line="$expected" \
            'NR >= from && $0 == line { print NR + 1; exit }' "$DIR/calls")
        [ -n "$found" ] || { echo "not called in this order: $expected"; cat "$DIR/calls"; return 1; }
    done
}

never_called() {
    if grep -q "^\[$1\]" "$DIR/calls"; then
        grep "^\[$1\]" "$DIR/calls"
        return 1
    fi
}

@test "the script in nbdlab-sh-plugin(3), typed in, served to nbdinfo and qemu-img" {
    PAGE=$TESTS/../man/nbdlab-sh-plugin.3
    cd "$DIR"
    block source >zeroes.sh
    run_block serve
    contains "$output" "export-size: 1048576"
    seen_by_clients 1048576 ./zeroes.sh
}

@test "the order of calls from load to unload, with their arguments" {
    recording_disk '    magic_config_key) echo magic ;;
    open) echo "handle for <$3>" ;;'
    serve sh "$DIR/disk.sh" one=1 "bare word" "two=a b"
    py <<'EOT'
client = ready(export="some export")
client.read(512, 1024)
client.disconnect()
EOT
    stop
    called "[load]" "[config][one][1]" "[config][magic][bare word]" "[config][two][a b]" \
        "[config_complete]" "[thread_model]" "[get_ready]" "[after_fork]" "[preconnect][false]" \
        "[open][false][some export][false]" "[pread][handle for <some export>][1024][512]" \
        "[close][handle for <some export>]" "[unload]"
    same "$(head -n 1 "$DIR/calls")" "[load]"
    same "$(tail -n 1 "$DIR/calls")" "[unload]"
}

@test "-r is passed to preconnect, open, list_exports and default_export" {
    recording_disk '    list_exports) echo one ;;
    default_export) echo main ;;'
    serve -r sh "$DIR/disk.sh"
    py <<'EOT'
client = connect()
client.greet()
same(client.list_exports(), [("one", "")], "exports")
client.go()
client.disconnect()
EOT
    stop
    called "[preconnect][true]" "[list_exports][true][false]"
    called "[default_export][true][false]" "[open][true][main][false]"
}

@test "capability methods are asked once per connection" {
    recording_disk '    can_*) case $1 in can_fua | can_cache) echo native ;; esac ;;
    is_rotational) ;;
    block_size) echo 1 4096 1M ;;
    extents) echo 0 1M ;;
    open) echo "$3" ;;'
    serve sh "$DIR/disk.sh"
    py <<'EOT'
for name in ("a", "b"):
    client = connect()
    client.greet()
    client.negotiate_structured()
    for n in range(3):
        client.set_meta(name, "base:allocation")
        client.inform(OPT_INFO, name, INFO_BLOCK_SIZE)
    client.go(name, INFO_BLOCK_SIZE)
    for n in range(3):
        client.write(0, bytes(512), flags=FLAG_FUA)
        client.read(0, 512)
        client.block_status(0, 512)
        for kind in (CMD_TRIM, CMD_WRITE_ZEROES, CMD_CACHE):
            same(client.errno(kind, 0, 512), 0, "errno of command %d" % kind)
        same(client.errno(CMD_FLUSH), 0, "errno of a flush")
    wanted = (HAS_FLAGS | SEND_FLUSH | SEND_FUA | ROTATIONAL | SEND_TRIM | SEND_WRITE_ZEROES
              | SEND_DF | CAN_MULTI_CONN | SEND_CACHE | SEND_FAST_ZERO)
    same(client.flags, wanted, "flags")
    client.disconnect()
EOT
    stop
    for method in get_size can_write can_flush can_trim can_zero can_fast_zero can_extents can_fua \
        can_cache can_multi_conn is_rotational block_size; do
        same "$method $(grep -c "^\[$method\]\[a\]$" "$DIR/calls")" "$method 1"
        same "$method $(grep -c "^\[$method\]\[b\]$" "$DIR/calls")" "$method 1"
    done
}

@test "a script that can nothing: read-only, without flags" {
    recording_disk ''
    serve sh "$DIR/disk.sh"
    py <<'EOT'
client = ready()
same(client.flags, HAS_FLAGS | READ_ONLY | SEND_DF, "flags")
EOT
    stop
}

@test "pwrite: arguments, data on stdin, the flag fua only where can_fua is native" {
    recording_disk '    can_write) ;;
    can_fua) echo native ;;'
    serve sh "$DIR/disk.sh"
    py <<'EOT'
client = ready()
client.write(1000, b"plain")
client.write(2000, b"durable", flags=FLAG_FUA)
EOT
    called "[pwrite][][5][1000][]" "[pwrite][][7][2000][fua]"
    same "$(cat "$DIR/written")" durable
    stop
}

@test "FUA is emulated by flush where can_fua says so or says nothing" {
    for fua in 'echo emulate' 'exit 2'; do
        rm -f "$DIR/calls"
        recording_disk "    can_write | can_flush) ;;
    can_fua) $fua ;;"
        serve sh "$DIR/disk.sh"
        py <<'EOT'
client = ready()
assert client.flags & SEND_FUA
client.write(0, b"durable", flags=FLAG_FUA)
EOT
        called "[pwrite][][7][0][]" "[flush][]"
        stop
    done
}

@test "flush, trim and cache: arguments" {
    recording_disk '    can_write | can_flush | can_trim) ;;
    can_fua | can_cache) echo native ;;
    open) echo "$3" ;;'
    serve sh "$DIR/disk.sh"
    py <<'EOT'
client = ready(export="h")
for kind, offset, length, flags in ((CMD_FLUSH, 0, 0, 0), (CMD_TRIM, 4096, 8192, 0),
                                    (CMD_TRIM, 0, 512, FLAG_FUA), (CMD_CACHE, 512, 1024, 0)):
    same(client.errno(kind, offset, length, flags=flags), 0, "errno of command %d" % kind)
EOT
    called "[flush][h]" "[trim][h][8192][4096][]" "[trim][h][512][0][fua]" "[cache][h][1024][512]"
    stop
}

@test "zero: every combination of flags" {
    recording_disk '    can_write | can_zero | can_fast_zero) ;;
    can_fua) echo native ;;'
    serve sh "$DIR/disk.sh"
    py <<'EOT'
client = ready()
for flags in range(8):
    wire = (FLAG_FUA if flags & 1 else 0) | (FLAG_NO_HOLE if flags & 2 else 0) \
        | (FLAG_FAST_ZERO if flags & 4 else 0)
    same(client.errno(CMD_WRITE_ZEROES, 512 * flags, 512, flags=wire), 0, "errno")
EOT
    called "[zero][][512][0][may_trim]" "[zero][][512][512][fua,may_trim]" "[zero][][512][1024][]" \
        "[zero][][512][1536][fua]" "[zero][][512][2048][may_trim,fast]" \
        "[zero][][512][2560][fua,may_trim,fast]" "[zero][][512][3072][fast]" \
        "[zero][][512][3584][fua,fast]"
    never_called pwrite
    stop
}

@test "zero falls back to pwrite on ENOTSUP, EOPNOTSUPP and without can_zero, fast zero does not" {
    for zero in 'echo ENOTSUP >&2; exit 1' 'echo eopnotsupp no >&2; exit 1'; do
        rm -f "$DIR/calls"
        recording_disk "    can_write | can_zero | can_fast_zero) ;;
    zero) $zero ;;"
        serve sh "$DIR/disk.sh"
        py <<'EOT'
client = ready()
same(client.errno(CMD_WRITE_ZEROES, 512, 1024), 0, "errno")
same(client.errno(CMD_WRITE_ZEROES, 512, 1024, flags=FLAG_FAST_ZERO), ENOTSUP, "errno of fast zero")
EOT
        called "[zero][][1024][512][may_trim]" "[pwrite][][1024][512][]"
        same "$(grep -c pwrite "$DIR/calls")" 1
        cmp "$DIR/written" <(head -c 1024 /dev/zero)
        stop
    done
    rm -f "$DIR/calls"
    recording_disk '    can_write) ;;'
    serve sh "$DIR/disk.sh"
    py <<'EOT'
client = ready()
same(client.errno(CMD_WRITE_ZEROES, 512, 1024), 0, "errno")
EOT
    called "[pwrite][][1024][512][]"
    never_called zero
    stop
}

@test "zero that fails otherwise fails, and is not written instead" {
    recording_disk '    can_write | can_zero) ;;
    zero) echo EPERM >&2; exit 1 ;;'
    serve sh "$DIR/disk.sh"
    py <<<'same(ready().errno(CMD_WRITE_ZEROES, 0, 512), EPERM, "errno")'
    never_called pwrite
    stop
}

@test "cache: native calls it, emulate reads, none is not offered" {
    for cache in native emulate none; do
        rm -f "$DIR/calls"
        recording_disk "    can_cache) echo $cache ;;"
        serve sh "$DIR/disk.sh"
        py "$cache" <<'EOT'
client = ready()
same(client.errno(CMD_CACHE, 512, 1024), EINVAL if sys.argv[1] == "none" else 0, "errno")
EOT
        case $cache in
            native) called "[cache][][1024][512]"; never_called pread ;;
            emulate) called "[pread][][1024][512]"; never_called cache ;;
            none) never_called pread; never_called cache ;;
        esac
        stop
    done
}

@test "cache by reading: in calls as long as the disk takes, 64 MiB at most" {
    local sizes
    for sizes in '0 0 0' '512 4096 16M'; do
        rm -f "$DIR/calls"
        serve eval get_size='echo 4G' can_cache='echo emulate' block_size="echo $sizes" \
            pread="echo \"\$3 \$4\" >>$DIR/calls; head -c \"\$3\" /dev/zero"
        py <<<'same(ready().errno(CMD_CACHE, 4096, 66 << 20), 0, "errno")'
        if [ "$sizes" = '0 0 0' ]; then
            same "$(cat "$DIR/calls")" "67108864 4096
2097152 67112960"
        else
            same "$(cut -d ' ' -f 1 "$DIR/calls" | paste -sd ' ')" \
                "16777216 16777216 16777216 16777216 2097152"
        fi
        stop
    done
}

@test "extents: every way to write them, and the flag req_one" {
    recording_disk '    can_extents) ;;
    extents) printf "%s\n" "# the map" "" "0 64k" "64k 64k hole,zero" "128k 64k 2" "192k 64k hole" \
        "256K 65536 zero,hole" "327680 65536" "384k 10M 0" ;;'
    serve sh "$DIR/disk.sh"
    py <<'EOT'
client = ready(meta=True)
KIB = 1024
same(client.block_status(0, 1 << 20), [(64 * KIB, 0), (64 * KIB, 3), (64 * KIB, 2), (64 * KIB, 1),
                                       (64 * KIB, 3), (704 * KIB, 0)], "extents")
same(client.block_status(100 * KIB, 100 * KIB, flags=FLAG_REQ_ONE), [(28 * KIB, 3)], "one")
EOT
    called "[extents][][1048576][0][]" "[extents][][102400][102400][req_one]"
    stop
}

@test "extents: the last one keeps its length, so that a client need not ask about the rest" {
    local far='0 8192\n8192 57344 hole,zero\n65536 4096 hole,zero\n69632 1T'
    serve eval get_size='echo 1T' can_extents=true extents="printf '$far\n'"
    py <<'EOT'
TIB = 1 << 40
for form, most in ({"meta": True}, 0xFFFF0000), ({"meta": True, "extended": True}, TIB - 69632):
    client = ready(**form)
    same(client.block_status(7680, 1024), [(512, 0), (61440, 3)], "a hole and what goes on")
    same(client.block_status(8192, 512), [(61440, 3)], "the rest of it")
    same(client.block_status(7680, 1024, flags=FLAG_REQ_ONE), [(512, 0)], "one")
    same(client.block_status(8192, 512, flags=FLAG_REQ_ONE), [(512, 3)], "one, no longer")
    same(client.block_status(69632, 512), [(most, 0)], "to the end, or what 32 bits hold")
    same(client.block_status(69632, 0xFFFFFE00), [(max(most, 0xFFFFFE00), 0)], "not cut short")
    same(client.block_status(TIB - 512, 512), [(512, 0)], "the end")
EOT
    stop
    serve eval get_size='echo 1T' can_extents=true block_size='echo 4096 4096 64M' \
        extents="printf '0 8192\n8192 1000\n9192 100000 3\n109192 1T\n'"
    py <<'EOT'
client = ready(meta=True)
same(client.block_status(8192, 4096), [(4096, 0)], "a block of two kinds")
same(client.block_status(12288, 4096), [(94208, 3)], "whole blocks of a hole")
same(client.block_status(106496, 4096), [(4096, 0)], "a hole and data")
same(client.block_status(110592, 4096), [(0xFFFF0000, 0)], "whole blocks of data")
EOT
    stop
}

@test "list_exports and default_export in every form" {
    for form in 'NAMES\none\ntwo' 'one\ntwo' 'INTERLEAVED\none\n1\ntwo\n2' \
        'NAMES+DESCRIPTIONS\none\ntwo\n1\n2'; do
        rm -f "$DIR/calls"
        recording_disk "    list_exports | default_export) printf '$form\n' ;;
    open) echo \"\$3\" ;;"
        serve sh "$DIR/disk.sh"
        py <<'EOT'
client = connect()
client.greet()
exports = client.list_exports()
same([name for name, _ in exports], ["one", "two"], "names")
assert [text for _, text in exports] in (["", ""], ["1", "2"]), exports
info = client.go("", INFO_NAME)
same(info[INFO_NAME], b"one", "the default export")
EOT
        called "[open][false][one][false]"
        stop
    done
}

@test "without list_exports the default export is listed" {
    recording_disk '    default_export) echo main ;;'
    serve sh "$DIR/disk.sh"
    py <<'EOT'
client = connect()
client.greet()
same(client.list_exports(), [("main", "")], "exports")
EOT
    stop
}

@test "a handle with spaces, quotes and a backslash is passed on unchanged, a newline is cut" {
    recording_disk '    open) printf "%s\n" "$3" ;;'
    serve sh "$DIR/disk.sh"
    py <<'EOT'
client = ready(export="a 'b' \"c\" \\d $e *")
client.read(0, 512)
client.disconnect()
EOT
    stop
    called "[pread][a 'b' \"c\" \\d \$e *][512][0]" "[close][a 'b' \"c\" \\d \$e *]"
}

@test "preconnect that fails turns the client away" {
    recording_disk '    preconnect) exit 1 ;;'
    serve sh "$DIR/disk.sh"
    py <<'EOT'
connect().ending()
EOT
    never_called open
    stop
}

@test "thread models: parallel overlaps, the default does not" {
    for model in parallel serialize_requests serialize_all_requests; do
        rm -f "$DIR/calls" "$DIR/gate" "$DIR/begun"
        mkfifo "$DIR/gate"
        recording_disk "    thread_model) echo $model ;;
    pread) echo \$4 >>$DIR/begun
        if [ \$4 -eq 65536 ]; then read -r _ <$DIR/gate; fi
        head -c \$3 /dev/zero ;;"
        serve sh "$DIR/disk.sh"
        py "$model" <<'EOT'
begun = os.environ["DIR"] + "/begun"
mine, other = ready(), ready()
slow = mine.send_request(CMD_READ, 65536, 512)
until(lambda: lines(begun), "the slow read to begin")
quick = mine.send_request(CMD_READ, 0, 512)
other.send_request(CMD_READ, 512, 512)
if sys.argv[1] == "parallel":
    same(mine.reply().cookie, quick, "the quick read overtakes the slow one")
if sys.argv[1] != "serialize_all_requests":
    same(other.reply().error, 0, "the read of another client overtakes the slow one")
else:
    same(other.is_readable(0.2) or mine.is_readable(), False, "a reply before its turn")
open_gate(os.environ["DIR"] + "/gate")
same(mine.reply().cookie, slow, "the slow read")
EOT
        stop
    done
}

@test "--dump-plugin: max_known_status, the thread model, the script's own lines" {
    recording_disk '    thread_model) echo parallel ;;
    dump_plugin) echo colour=blue ;;'
    run -0 "$NBDLAB" sh --dump-plugin
    contains "$output" "max_known_status=8"
    contains "$output" "name=sh"
    run -0 "$NBDLAB" sh "$DIR/disk.sh" --dump-plugin
    contains "$output" "max_known_status=8"
    contains "$output" "thread_model=parallel"
    contains "$output" "colour=blue"
    same "$(ls -A "$TMPDIR")" ""
}

@test "an inline script on standard input" {
    serve sh - <<'EOT'
case $1 in
    get_size) echo 2M ;;
    pread) head -c $3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    same "$(nbdinfo --size "$URI")" 2097152
    stop
    same "$(ls -A "$TMPDIR")" ""
}

@test "an inline script in another language" {
    serve sh - key=value <<'EOT'
#!/usr/bin/python3
import os, sys
method = sys.argv[1]
if method == "config":
    open(os.environ["tmpdir"] + "/" + sys.argv[2], "w").write(sys.argv[3])
elif method == "get_size":
    print(1 << 20)
elif method == "pread":
    sys.stdout.buffer.write(open(os.environ["tmpdir"] + "/key", "rb").read(1) * int(sys.argv[3]))
else:
    sys.exit(2)
EOT
    py <<'EOT'
same(ready().read(0, 100), b"v" * 100, "data")
EOT
    stop
}

@test "a script without a #! line is run by /bin/sh" {
    disk plain.sh <<'EOT'
case $1 in
    get_size) echo 3M ;;
    pread) head -c $3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    serve sh "$DIR/plain.sh"
    same "$(nbdinfo --size "$URI")" 3145728
    stop
}

@test "./disk.sh without the word sh, relative paths, and a path with a space" {
    mkdir "$DIR/a folder"
    disk "a folder/my disk.sh" <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1M ;;
    pread) head -c $3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    cd "$DIR/a folder"
    serve "./my disk.sh"
    same "$(nbdinfo --size "$URI")" 1048576
    stop
    serve sh "my disk.sh"
    same "$(nbdinfo --size "$URI")" 1048576
    stop
}

@test "a script given by a relative path is found after the server has gone to the background" {
    disk disk.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1M ;;
    pread) head -c $3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    cd "$DIR"
    "$NBDLAB" -U "$SOCK" -P "$PIDFILE" ./disk.sh 3>&- 4>&-
    STARTED+=("$(cat "$PIDFILE")")
    py <<<'ready().read(0, 512)'
    kill "$(cat "$PIDFILE")"
    wait_for not is_alive "${STARTED[0]}"
}

@test "a binary as the disk" {
    cat >"$DIR/disk.c" <<'EOT'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "get_size") == 0)
        return puts("5M") < 0;
    if (argc > 4 && strcmp(argv[1], "pread") == 0) {
        for (long n = atol(argv[3]); n > 0; n--)
            putchar('b');
        return 0;
    }
    return 2;
}
EOT
    gcc -o "$DIR/disk" "$DIR/disk.c"
    gcc -static-pie -o "$DIR/static-disk" "$DIR/disk.c"
    for words in "sh $DIR/disk" "$DIR/disk" "$DIR/static-disk"; do
        # shellcheck disable=SC2086
        serve $words
        py <<'EOT'
client = ready()
same((client.size, client.read(0, 1000)), (5 << 20, b"b" * 1000), "size and data")
EOT
        stop
    done
}

@test "methods without payload have stdin at end of file" {
    recording_disk '    open) cat >/dev/null; echo h ;;
    can_write) cat >/dev/null ;;
    pread) cat >/dev/null; head -c $3 /dev/zero ;;'
    serve sh "$DIR/disk.sh"
    py <<'EOT'
client = ready()
client.read(0, 512)
client.disconnect()
EOT
    stop
}

@test "a write whose data the script ignores succeeds" {
    recording_disk '    can_write) ;;
    pwrite) exit 0 ;;'
    serve sh "$DIR/disk.sh"
    py <<'EOT'
client = ready()
for size in (1, 512, 65536, 65537, 1 << 20):
    client.write(0, b"x" * size)
EOT
    lacks error
    stop
}

@test "a script that reads slowly and writes at the same time does not deadlock" {
    serve sh - <<'EOT'
case $1 in
    get_size) echo 64M ;;
    can_write) exit 0 ;;
    pread) head -c $3 /dev/zero ;;
    pwrite) tee /dev/stderr >/dev/null; exit 0 ;;
    *) exit 2 ;;
esac
EOT
    py <<'EOT'
client = ready()
client.write(0, b"x" * (4 << 20))
same(len(client.read(0, 32 << 20)), 32 << 20, "bytes read")
EOT
    stop
}

@test "the temporary directory: private, the same for all, gone at the end" {
    disk tmp.sh <<EOT
#!/bin/sh
case \$1 in
    load) stat -c '%a %u' "\$tmpdir" >$DIR/mode; echo "\$tmpdir" >$DIR/path; ls -A "\$tmpdir" >>$DIR/mode ;;
    get_ready) mkdir -p "\$tmpdir/a/b"; echo data >"\$tmpdir/a/b/file"; chmod 0 "\$tmpdir/a/b/file"
        chmod 500 "\$tmpdir/a/b"; ln -s /etc/passwd "\$tmpdir/link"; ln -s $DIR/keep "\$tmpdir/keep" ;;
    get_size) echo "\$tmpdir" >>$DIR/path; echo 1M ;;
    pread) head -c \$3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    mkdir "$DIR/keep"
    touch "$DIR/keep/me"
    serve sh "$DIR/tmp.sh"
    py <<<'ready().read(0, 512)'
    same "$(cat "$DIR/mode")" "700 $(id -u)"
    same "$(sort -u "$DIR/path" | wc -l)" 1
    contains "$(head -n 1 "$DIR/path")" "$TMPDIR/"
    stop
    same "$(ls -A "$TMPDIR")" ""
    [ -e "$DIR/keep/me" ]
}

@test "scripts get the server's environment, an empty signal mask and SIGPIPE" {
    disk env.sh <<EOT
#!/bin/sh
case \$1 in
    get_ready) echo "\$COLOUR" >$DIR/env; grep -E 'SigBlk|SigIgn' /proc/self/status >>$DIR/env ;;
    get_size) echo 1M ;;
    *) exit 2 ;;
esac
EOT
    COLOUR=blue serve sh "$DIR/env.sh"
    same "$(head -n 1 "$DIR/env")" blue
    same "$(awk '/SigBlk/ { print $2 }' "$DIR/env")" 0000000000000000
    same "$(awk '/SigIgn/ { print substr($2, 13) }' "$DIR/env")" 0000
    stop
}

@test "scripts inherit no descriptor but 0, 1 and 2" {
    disk fds.sh <<EOT
#!/bin/sh
case \$1 in
    get_size) echo 1M ;;
    open) ls /proc/self/fd >$DIR/fds ;;
    pread) ls /proc/self/fd >>$DIR/fds; head -c \$3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    # What bats itself has open must not confuse the picture.
    export SERVER_PROGRAM=$NBDLAB
    disk clean <<'EOT'
#!/usr/bin/python3
import os, sys
os.closerange(3, 256)
os.execv(os.environ["SERVER_PROGRAM"], sys.argv)
EOT
    NBDLAB=$DIR/clean serve sh "$DIR/fds.sh"
    py <<'EOT'
others = [ready() for _ in range(5)]
others[0].read(0, 512)
EOT
    # 3 is the folder that ls reads.
    same "$(sort -u "$DIR/fds" | tr '\n' ' ')" "0 1 2 3 "
    stop
}

@test "sh.timeout: SIGTERM, then SIGKILL a second later, for the whole process group" {
    disk slow.sh <<EOT
#!/bin/sh
case \$1 in
    get_size) echo 1M ;;
    thread_model) echo parallel ;;
    pread)
        case \$4 in
            65536) trap 'echo term >>$DIR/seen; exit 1' TERM; sleep 1000 & echo \$! >>$DIR/pids; wait ;;
            131072) trap '' TERM; sleep 1000 & echo \$! >>$DIR/pids; sh -c 'echo \$PPID' >>$DIR/pids
                while :; do wait; sleep 1000; done ;;
        esac
        head -c \$3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    serve sh "$DIR/slow.sh" sh.timeout=0.5
    py <<'EOT'
client = ready()
for offset, least_s, most_s in ((65536, 0.5, 1.4), (131072, 1.5, 2.5)):
    start = time.monotonic()
    same(client.errno(CMD_READ, offset, 512), EIO, "errno")
    took_s = time.monotonic() - start
    assert least_s <= took_s < most_s * SLOWER, "it took %.2f s" % took_s
client.read(0, 512)
pids = lines(os.environ["DIR"] + "/pids")
until(lambda: not any(is_alive(pid) for pid in pids), "the scripts to be gone")
EOT
    same "$(cat "$DIR/seen")" term
    stop
}

@test "sh.timeout bounds a background child that holds stdout open; its script's success counts" {
    disk background.sh <<EOT
#!/bin/sh
case \$1 in
    get_size) echo 1M ;;
    pread)
        head -c \$3 /dev/zero
        if [ \$4 -eq 65536 ]; then sleep 1000 & echo \$! >$DIR/pids; fi ;;
    *) exit 2 ;;
esac
EOT
    serve sh "$DIR/background.sh" sh.timeout=0.5
    py <<'EOT'
client = ready()
client.read(0, 512)
start = time.monotonic()
client.errno(CMD_READ, 65536, 512)
assert 0.5 <= time.monotonic() - start < 2.5 * SLOWER
client.read(0, 512)
pids = lines(os.environ["DIR"] + "/pids")
until(lambda: not is_alive(pids[0]), "the child to be gone")
EOT
    has "background"
    stop
}

@test "a background child with its own stdout and stderr outlives the call, not the server" {
    disk child.sh <<EOT
#!/bin/sh
case \$1 in
    get_ready) sleep 1000 >/dev/null 2>&1 & echo \$! >$DIR/pids ;;
    get_size) echo 1M ;;
    pread) head -c \$3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    serve sh "$DIR/child.sh" sh.grace=1
    py <<<'ready().read(0, 512)'
    is_alive "$(cat "$DIR/pids")"
    stop
    wait_for not is_alive "$(cat "$DIR/pids")"
}

@test "sh.timeout and sh.grace: bad values, unknown keys and second ones are refused; the script sees none" {
    recording_disk ''
    for parameter in sh.timeout=soon sh.timeout=-1 sh.timeout= sh.grace=nan sh.grace=1m sh.color=1; do
        run -1 "$NBDLAB" -f -U "$SOCK" sh "$DIR/disk.sh" "$parameter" 3>&-
        contains "$output" "${parameter%%=*}"
    done
    for parameter in sh.timeout=1 sh.grace=1 sh.process=spawn; do
        run -1 "$NBDLAB" -f -U "$SOCK" sh "$DIR/disk.sh" "$parameter" "$parameter" 3>&-
        contains "$output" "${parameter%%=*} is given twice"
    done
    serve sh "$DIR/disk.sh" sh.timeout=10000ms sh.grace=2.5s
    stop
    never_called config
}

@test "-v: one line for each call, with arguments, status and time" {
    recording_disk ''
    serve -v sh "$DIR/disk.sh"
    py <<<'ready().read(0, 512)'
    same "$(grep -c "disk.sh pread '' 512 0 -> exit status 0" "$LOG")" 1
    stop
}

@test "several connections are not offered where only one at a time is served" {
    for model in serialize_connections serialize_all_requests; do
        run -0 "$NBDLAB" eval get_size='echo 1M' pread='exit 1' can_multi_conn='exit 0' \
            thread_model="echo $model" --run 'nbdinfo --can multi-conn "$uri"; echo "said $?"'
        same "${lines[-1]}" "said $([ $model = serialize_connections ] && echo 2 || echo 0)"
    done
}
