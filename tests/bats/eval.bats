#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The eval plugin: methods as shell fragments of the command line.  What it shares with the sh
# plugin is tested there.

load common

ZEROES='head -c $3 /dev/zero'

@test "get_size and pread make a read-only disk" {
    serve eval get_size='echo 2M' pread="$ZEROES"
    py <<'EOT'
client = ready()
same((client.size, client.flags & READ_ONLY), (2 << 20, READ_ONLY), "size and flags")
same(client.read(512, 512), bytes(512), "data")
EOT
    stop
}

@test "a fragment gets the method's name as \$0 and its arguments from \$1 on like a script" {
    serve eval open='printf %s "$3" >"$tmpdir/name"; echo handle' get_size='echo 1M' \
        pread='{ printf "%s|" "$@"; cat "$tmpdir/name"; head -c $3 /dev/zero; } | head -c $3'
    py <<'EOT'
same(ready(export="x").read(512, 64)[:25], b"pread|handle|64|512|x\0\0\0\0", "what the fragment saw")
EOT
    stop
}

@test "can_ methods follow from the methods that are there" {
    serve eval get_size='echo 1M' pread="$ZEROES" pwrite='cat >/dev/null' flush=: trim=: zero=: \
        extents='echo 0 1M' cache=:
    py <<'EOT'
client = ready(meta=True)
wanted = SEND_FLUSH | SEND_FUA | SEND_TRIM | SEND_WRITE_ZEROES | SEND_CACHE
same(client.flags & (wanted | READ_ONLY), wanted, "flags")
client.write(0, bytes(512))
for kind in (CMD_TRIM, CMD_WRITE_ZEROES, CMD_CACHE):
    same(client.errno(kind, 0, 512), 0, "errno of command %d" % kind)
same(client.errno(CMD_FLUSH), 0, "errno of a flush")
same(client.block_status(0, 512), [(1 << 20, 0)], "extents")
EOT
    stop
}

@test "a can_ method that is given decides" {
    serve eval get_size='echo 1M' pread="$ZEROES" pwrite='cat >/dev/null' can_write='exit 3'
    py <<'EOT'
client = ready()
same(client.flags & READ_ONLY, READ_ONLY, "flags")
same(client.errno(CMD_WRITE, 0, 512, data=bytes(512)), EPERM, "errno")
EOT
    stop
}

@test "can_cache, can_trim and can_flush may stand alone; with can_zero alone zeroes are written" {
    serve eval get_size='echo 1M' pread="$ZEROES" pwrite='cat >/dev/null' can_cache='echo native' \
        can_trim=: can_flush=: can_zero=:
    py <<'EOT'
client = ready()
wanted = SEND_FLUSH | SEND_TRIM | SEND_WRITE_ZEROES | SEND_CACHE
same(client.flags & wanted, wanted, "flags")
for kind in (CMD_TRIM, CMD_WRITE_ZEROES, CMD_CACHE):
    same(client.errno(kind, 0, 512), 0, "errno of command %d" % kind)
same(client.errno(CMD_FLUSH), 0, "errno of a flush")
EOT
    lacks "error:"
    stop
}

@test "missing= is called for what is not there; by default that is exit 2" {
    serve eval get_size='echo 1M' pread="$ZEROES" missing="echo \$1 >>$DIR/missing; exit 2"
    py <<<'ready().read(0, 512)'
    stop
    grep -qx open "$DIR/missing"
    grep -qx close "$DIR/missing"
    run -1 grep -qx -e pread -e get_size "$DIR/missing"
}

@test "config= takes the keys that are no methods" {
    truncate -s 1M "$DIR/image"
    printf hello | dd of="$DIR/image" conv=notrunc status=none
    serve eval config='cp "$3" "$tmpdir/$2"' get_size='wc -c <"$tmpdir/picture"' \
        pread='tail -c +$(($4 + 1)) "$tmpdir/picture" | head -c "$3"' picture="$DIR/image"
    py <<'EOT'
same(ready().read(0, 5), b"hello", "data")
EOT
    stop
}

@test "an unknown key, a missing get_size, and a method given twice are refused" {
    run -1 "$NBDLAB" -f eval get_size 'echo 1M'
    contains "$output" "METHOD=SCRIPT"
    contains "$output" "not 'get_size'"
    run -1 "$NBDLAB" -f eval get_size='echo 1M' pread="$ZEROES" colour=blue
    contains "$output" colour
    run -1 "$NBDLAB" -f eval pread="$ZEROES"
    contains "$output" get_size
    run -1 "$NBDLAB" -f eval get_size='echo 1M' get_size='echo 2M' pread="$ZEROES"
    contains "$output" get_size
    same "$(ls -A "$TMPDIR")" ""
}

@test "without pread= a disk of no bytes is served; reads of others fail, and say why" {
    serve eval open='echo "$3"' get_size='echo "$2"'
    py <<'EOT'
same(ready(export="0").size, 0, "size")
same(ready(export="1M").errno(CMD_READ, 0, 512), EIO, "errno")
EOT
    has "error: eval: pread: there is no such method, but a disk needs it: print"
    stop
    serve eval missing='[ "$1" = get_size ] && echo 2M || exit 2'
    py <<<'same(ready().size, 2 << 20, "the size that missing= tells")'
    stop
}

@test "exit statuses and errno words work as in scripts" {
    serve eval thread_model='echo parallel' get_size='echo 1M' open='echo "$3"' pread='
        case $2 in
            soft) head -c $3 /dev/zero; exit 7 ;;
            forced) exit 6 ;;
            *) echo ENOSPC >&2; exit 1 ;;
        esac'
    py <<'EOT'
same(ready().errno(CMD_READ, 0, 512), ENOSPC, "errno")
client = ready(export="soft")
same([client.errno(CMD_READ, 0, 512) for _ in range(2)], [0, ESHUTDOWN], "errnos")
client = ready(export="forced")
client.send_request(CMD_READ, 0, 512)
client.ending()
EOT
    stop
}

@test "exit 4 in a fragment ends the server" {
    serve eval get_size='echo 1M' pread="$ZEROES"' ; exit 4' unload="echo unload >$DIR/calls"
    py <<'EOT'
client = ready()
expect_prompt_end(lambda: same(client.errno(CMD_READ, 0, 512), 0, "errno"), clients=3)
EOT
    wait_exit
    same "$(cat "$DIR/calls")" unload
    same "$(ls -A "$TMPDIR")" ""
}

@test "a fragment's complaint names the method once, and one second is no seconds" {
    serve eval sh.timeout=1 get_size='echo 1M' pread='[ $4 = 0 ] && exec sleep 1000; nosuch; exit 1'
    py <<'EOT'
client = ready()
same([client.errno(CMD_READ, at, 512) for at in (512, 0)], [EIO, EIO], "errnos")
EOT
    grep -q "error: eval: pread: 1: .*nosuch: not found" "$LOG"
    has "eval: pread did not end within 1 second (sh.timeout): killed"
    stop
}

@test "fragments with quotes, newlines and a leading dash" {
    serve eval get_size="
        # a comment
        echo '1M'
    " pread='-no-command 2>/dev/null; head -c $3 /dev/zero | tr "\0" "\047"'
    py <<'EOT'
same(ready().read(0, 10), b"'" * 10, "data")
EOT
    stop
}

@test "a syntax error in a fragment is shown, at the start where it can be seen without running it" {
    run -1 "$NBDLAB" -U "$SOCK" -P "$PIDFILE" eval get_size='echo 1M' pread=$'\n if then' 3>&-
    contains "$output" "error: pread=...: the shell cannot read this fragment: pread: "
    contains "$output" "yntax error"
    serve eval get_size='echo 1M' pread='eval "if then"'
    py <<'EOT'
client = ready()
same(client.errno(CMD_READ, 0, 512), EIO, "errno")
same(client.errno(CMD_READ, 0, 512), EIO, "errno")
EOT
    has "pread: the shell gave up"
    has "yntax error"
    stop
}

@test "sh.timeout bounds fragments" {
    serve eval sh.timeout=0.5 get_size='echo 1M' pread='sleep 1000'
    py <<<'same(ready().errno(CMD_READ, 0, 512), EIO, "errno")'
    has "sh.timeout"
    stop
}

@test "--dump-plugin says max_known_status=8, and what dump_plugin= adds" {
    run -0 "$NBDLAB" eval --dump-plugin
    contains "$output" "max_known_status=8"
    run -0 "$NBDLAB" eval dump_plugin='echo colour=blue' --dump-plugin
    contains "$output" "colour=blue"
}
