#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Where messages go: --log, --name and -v, while the server starts and while it serves, in the
# foreground and in the background.

load common

# A disk that cannot be read, so that a client can have an error logged.
BAD=(eval get_size='echo 1M' pread='echo EIO sector of woe >&2; exit 1')

# woe: has the server log the error.
woe() {
    run -1 qemu-io -r -f raw -c 'read 0 512' "$URI"
}

# in_background ARGS...: a server there, with stderr in $LOG.
in_background() {
    rm -f "$PIDFILE"
    "$NBDLAB" -U "$SOCK" -P "$PIDFILE" "$@" >"$DIR/out" 2>>"$LOG" 3>&- 4>&-
    SERVER=$(cat "$PIDFILE")
    STARTED+=("$SERVER")
}

stop_background() {
    kill "$SERVER"
    wait_for not is_alive "$SERVER"
}

# with_syslog COMMAND...: runs the command where /dev/log is a socket whose messages go to
# $DIR/syslog, a line each; returns when the command and all that it left running have ended.
# With SYSLOG_UNREAD nobody reads them, and with SYSLOG_ABSENT there is no such socket.
with_syslog() {
    py "$@" <<'EOT'
folder = os.environ["DIR"] + "/dev"
os.makedirs(folder, exist_ok=True)
names = ["null", "zero", "urandom", "full", "tty"]
for name in names:
    open(folder + "/" + name, "w").close()
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
if os.path.exists(folder + "/log"):
    os.unlink(folder + "/log")
if "SYSLOG_ABSENT" not in os.environ:
    log.bind(folder + "/log")
    os.chmod(folder + "/log", 0o666)
script = "set -e; %s mount --rbind %s /dev; exec \"$@\"" % (
    "".join("mount --bind /dev/%s %s/%s; " % (name, folder, name) for name in names), folder)
unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
ours, theirs = os.pipe()
os.set_inheritable(theirs, True)
process = subprocess.Popen([*unshare, "sh", "-c", script, "sh", *sys.argv[1:]], pass_fds=[theirs])
os.close(theirs)
with open(os.environ["DIR"] + "/syslog", "ab", buffering=0) as out:
    while True:
        sources = [ours] if "SYSLOG_UNREAD" in os.environ else [log, ours]
        ready_ones = select.select(sources, [], [], 5 * BOUND_S)[0]
        if log in ready_ones:
            out.write(log.recv(65536) + b"\n")
        elif ours in ready_ones:
            break
        else:
            raise Silence("something still runs")
sys.exit(process.wait())
EOT
}

@test "--log: in the foreground messages go to stderr unless told otherwise" {
    for options in "" --log=stderr --log=default "--log stderr"; do
        rm -f "$LOG"
        # shellcheck disable=SC2086
        serve $options "${BAD[@]}"
        woe
        stop
        has "$NAME: eval[1]: error: eval: pread: EIO sector of woe"
    done
}

@test "--log=null: nothing is said once the server serves" {
    serve --log=null "${BAD[@]}"
    woe
    stop
    lacks woe
}

@test "--log=/path: appended with the time, in the foreground and the background" {
    echo before >"$DIR/messages"
    serve --log="$DIR/messages" "${BAD[@]}"
    woe
    stop
    lacks woe
    in_background --log="$DIR/messages" "${BAD[@]}"
    woe
    stop_background
    lacks woe
    same "$(head -n 1 "$DIR/messages")" before
    same "$(grep -cE "^20[0-9-]{8}T[0-9:]{8}Z $NAME: eval\[[0-9]+\]: error: eval: pread: EIO sector of woe" "$DIR/messages")" 2
    rm "$DIR/messages"
    serve --log="$DIR/messages" "${BAD[@]}"
    same "$(stat -c %a "$DIR/messages")" 640
    stop
}

@test "--log: a message of several lines has the name in front of each" {
    serve --log="$DIR/messages" eval get_size='echo 1M' pread='printf "EIO one\n\ntwo\n" >&2; exit 1'
    woe
    stop
    same "$(grep -vc "^20[^ ]*Z $NAME: " "$DIR/messages")" 0
}

@test "--log: the system log, by name and by default in the background" {
    cat >"$DIR/session" <<'EOT'
set -e
fail_once() {
    ! qemu-io -r -f raw -c 'read 0 512' "$URI" >/dev/null 2>&1
}
"$NBDLAB" -U "$SOCK" -P "$PIDFILE" "$@" 2>>"$LOG"
fail_once
kill "$(cat "$PIDFILE")"
EOT
    for options in "" --log=default --log=syslog "--log=syslog -f"; do
        rm -f "$DIR/syslog" "$LOG" "$PIDFILE"
        if [ "$options" = "--log=syslog -f" ]; then
            sed -i 's/^"$NBDLAB".*/& \&\nwhile [ ! -s "$PIDFILE" ]; do sleep 0.01; done/' "$DIR/session"
        fi
        # shellcheck disable=SC2086
        with_syslog sh "$DIR/session" -v --name="disk 7" $options "${BAD[@]}"
        grep -qaE "disk 7\[[0-9]+\]: eval\[1\]: eval: pread: EIO sector of woe" "$DIR/syslog"
        same "$(grep -ca "a client connected" "$DIR/syslog")" 0
        has "disk 7: eval[1]: debug:"
        lacks "error: eval: pread: EIO sector of woe"
    done
}

@test "--log: without a system log stderr is kept, or it is said once that messages are lost" {
    cat >"$DIR/session" <<'EOT'
set -e
! qemu-io -r -f raw -c 'read 0 512' "$URI" >/dev/null 2>&1
kill "$(cat "$PIDFILE")"
EOT
    printf '"$NBDLAB" -U "$SOCK" -P "$PIDFILE" "$@" 2>>"$LOG"\n. "$DIR/session"\n' >"$DIR/to-file"
    # That cat(1) ends is what the pipe is for.
    printf '"$NBDLAB" -U "$SOCK" -P "$PIDFILE" "$@" 2>&1 | cat >>"$LOG"\n. "$DIR/session"\n' >"$DIR/to-pipe"
    for options in "" --log=syslog; do
        rm -f "$LOG" "$PIDFILE"
        # shellcheck disable=SC2086
        SYSLOG_ABSENT=1 with_syslog sh "$DIR/to-file" $options "${BAD[@]}"
        has "error: eval: pread: EIO sector of woe"
        lacks "no system log"
        rm -f "$LOG" "$PIDFILE"
        # shellcheck disable=SC2086
        SYSLOG_ABSENT=1 with_syslog sh "$DIR/to-pipe" $options "${BAD[@]}"
        same "$(grep -c "warning: there is no system log (/dev/log)" "$LOG")" 1
        lacks woe
    done
}

@test "--log=null and --log=/path in the background do not use the system log" {
    cat >"$DIR/session" <<'EOT'
"$NBDLAB" -U "$SOCK" -P "$PIDFILE" "$@" 2>>"$LOG" && nbdinfo --size "$URI" &&
    ! qemu-io -r -f raw -c 'read 0 512' "$URI" >/dev/null 2>&1 && kill "$(cat "$PIDFILE")"
EOT
    for options in --log=null "--log=$DIR/messages"; do
        rm -f "$PIDFILE"
        with_syslog sh "$DIR/session" $options "${BAD[@]}"
        [ ! -s "$DIR/syslog" ]
        lacks woe
    done
}

@test "--log=stderr in the background keeps stderr" {
    in_background --log=stderr "${BAD[@]}"
    same "$(readlink "/proc/$SERVER/fd/0" "/proc/$SERVER/fd/1" "/proc/$SERVER/fd/2" | tr '\n' ' ')" \
        "/dev/null /dev/null $LOG "
    woe
    stop_background
    has "$NAME: eval[1]: error: eval: pread: EIO sector of woe"
}

@test "-v: debugging messages go to stderr wherever errors go" {
    serve -v --log="$DIR/messages" "${BAD[@]}"
    woe
    stop
    has debug:
    same "$(grep -c debug: "$DIR/messages")" 0
    rm "$LOG"
    in_background -v --log=null "${BAD[@]}"
    woe
    stop_background
    has "debug: a client connected"
    lacks "error:"
}

@test "--log: what goes wrong at the start is on stderr too" {
    for options in --log=null --log=syslog --log=default --log=stderr "--log=$DIR/messages"; do
        for more in "" -f; do
            # shellcheck disable=SC2086
            run -1 "$NBDLAB" $options $more memory size=nonsense 3>&- 4>&-
            contains "$output" nonsense
        done
    done
    same "$(grep -c "$NAME: error: .*nonsense" "$DIR/messages")" 2
}

@test "--log: malformed values" {
    for value in file "" ./here relative/path Syslog; do
        run -1 "$NBDLAB" --log="$value" -f memory 1M
        contains "$output" "--log: \"$value\""
    done
    run -1 "$NBDLAB" --log="$DIR/no/such/folder/log" -f -U "$SOCK" memory 1M
    contains "$output" "--log: cannot write to $DIR/no/such/folder/log: No such file or directory"
    [ ! -e "$SOCK" ]
}

@test "--log=/path: only a server makes the file" {
    run -0 "$NBDLAB" --log="$DIR/messages" --help
    run -0 "$NBDLAB" --log="$DIR/messages" memory --dump-plugin
    [ ! -e "$DIR/messages" ]
}

@test "--name: what messages begin with" {
    serve --name="disk 7" -v "${BAD[@]}"
    woe
    stop
    has "disk 7: eval[1]: error: eval: pread: EIO sector of woe"
    same "$(grep -vc '^disk 7: ' "$LOG")" 0
    run -1 "$NBDLAB" --name=other -f memory size=x
    same "${output%%:*}" other
    # The program keeps its own where it speaks of itself.
    run -0 "$NBDLAB" --name=other --help
    contains "$output" "$NAME [OPTION...]"
    for value in "" $'a\nb' $'\e[1m'; do
        run -1 "$NBDLAB" --name="$value" -f memory 1M
        contains "$output" "--name: "
    done
}

@test "a log that nobody reads holds up no client, no end, and loses messages by count" {
    py "$BUILD/tests/plugins/chatter.so" <<'EOT'
def fill(pipe):
    """Until not a byte more fits; O_NONBLOCK is on a description of our own."""
    own = os.open("/proc/self/fd/%d" % pipe, os.O_WRONLY | os.O_NONBLOCK)
    for size in (4096, 1):
        try:
            while True:
                os.write(own, b"." * size)
        except BlockingIOError:
            pass
    os.close(own)

def start(stderr, *args):
    process = subprocess.Popen([NBDLAB, "-f", "-U", os.environ["SOCK"], *args], stderr=stderr)
    atexit.register(process.kill)
    until(is_listening, "the server")
    return process

def end(process, signals=1):
    start_s = time.monotonic()
    for _ in range(signals):
        process.send_signal(signal.SIGTERM)
    same(process.wait(BOUND_S), 0, "the exit status")
    took_s = time.monotonic() - start_s
    assert took_s < 1.5 * SLOWER, "it took %.1f s" % took_s

# Full from the beginning: the start, what clients send wrong, and a polite client.
reader, writer = os.pipe()
fill(writer)
process = start(writer, "-v", "memory", "1M")
for _ in range(50):
    client = connect()
    client.send(b"rubbish " * 100)
    client.vanish()
same(len(ready().read(0, 512)), 512, "the bytes read")
end(process, signals=2)
os.close(writer)

# It fills while the server runs, and somebody reads it at last: all are there, or counted.
reader, writer = os.pipe()
process = start(writer, sys.argv[1])
os.close(writer)
client = ready()
client.read(0, 2000)
got = b""
while b"were lost" not in got:
    assert select.select([reader], [], [], BOUND_S)[0], "no word of what was lost"
    got += os.read(reader, 65536)
read = [line.decode() for line in got.splitlines() if b"as root" not in line]
assert all(": error: " in line or ": warning: " in line for line in read), "a line is torn"
numbers = [int(line.split()[3]) for line in read if " xxx" in line]
same(numbers, list(range(1, len(numbers) + 1)), "what was kept")
assert 2000 > len(numbers) > 200, len(numbers)
same(read[-1].split(": ", 1)[1], "warning: %d messages were lost: nobody took them, or not in time"
     % (2000 - len(numbers)), "the count")
client.read(0, 1)
assert b": error: 2001 xxx" in os.read(reader, 65536)
end(process)

# A FIFO that nobody has opened yet.
fifo = os.environ["DIR"] + "/fifo"
os.mkfifo(fifo)
process = start(subprocess.DEVNULL, "--log=" + fifo, sys.argv[1])
ready().read(0, 1000)
same(len(os.read(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), 1024)), 1024, "what is in the FIFO")
end(process)
EOT
}

@test "a system log that takes nothing holds up no client and no end" {
    cat >"$DIR/session" <<'EOF'
set -e
"$NBDLAB" -U "$SOCK" -P "$PIDFILE" "$@"
qemu-io -r -f raw -c 'read 0 4k' "$URI"
kill "$(cat "$PIDFILE")"
EOF
    SYSLOG_UNREAD=1 with_syslog sh "$DIR/session" "$BUILD/tests/plugins/chatter.so"
}

@test "no text of a client or a script can drive the terminal that shows the log" {
    disk bad.sh <<'EOF'
case $1 in
    get_size) echo 1M ;;
    pread) printf 'EIO caf\303\251 \346\227\245 [\302\233\233\033\177\342\200\256\342\201\246\342\200\250\330\234\377]\n' >&2
        exit 1 ;;
    *) exit 2 ;;
esac
EOF
    serve -v --log="$DIR/messages" sh "$DIR/bad.sh"
    py <<'EOT'
import unicodedata
name = "\u00e9\u65e5\x9b\u202e\u2066\u2028\u200f\u061c\ufeff\x85"
client = ready(export=name)
client.send_request(CMD_READ, 0, 512)
said = client.reply().text
assert "caf\u00e9 \u65e5 [" in said and said.endswith("?]"), ascii(said)
log = open(os.environ["LOG"], "rb").read().decode()
messages = open(os.environ["DIR"] + "/messages", "rb").read().decode()
assert "\u00e9\u65e5" in log, "the client's name is not in the log"
assert "caf\u00e9 \u65e5 [" in messages, messages
for what in said, log, messages:
    hidden = [c for c in what if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Zl")]
    same(hidden, [], "what acts without being seen")
EOT
    stop
}
