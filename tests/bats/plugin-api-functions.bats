#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The functions that plugins call, in every phase: what they know of the client, how long strings
# live, what ends a sleep, where passwords come from.

load common

setup() {
    common_setup
    CALLS=$DIR/calls
    export CALLS
}

plugin() {
    printf '%s/tests/plugins/%s.so\n' "$BUILD" "$1"
}

serve_phases() {
    rm -f "$CALLS"
    serve "$(plugin phases)" log="$CALLS" "$@"
}

# said PHASE: what the plugin said in a phase, each different answer once.
said() {
    sed -n "s/^$1: //p" "$CALLS" | grep -v 'intact\|sleep' | uniq
}

NOBODY="export EINVAL; tls EINVAL; peer ENOTCONN; pid ENOTCONN; uid ENOTCONN; gid ENOTCONN; \
dn ENOTCONN; issuer ENOTCONN"

@test "what is known of the client in each phase: a Unix socket" {
    serve_phases
    py <<'EOT'
client = connect()
client.greet()
client.list_exports()
client.go("")
client.read(0, 512)
client.disconnect()
until(lambda: "close: 15 of 15 strings are intact" in lines(os.environ["CALLS"]), "close")
with open(os.environ["DIR"] + "/me", "w") as file:
    print("peer unix; pid %d; uid %d; gid %d; dn \"\"; issuer \"\""
          % (os.getpid(), os.getuid(), os.getgid()), file=file)
EOT
    stop
    for phase in config config_complete get_ready after_fork thread cleanup unload; do
        same "$phase: $(said $phase)" "$phase: $NOBODY"
    done
    for phase in preconnect list_exports default_export; do
        same "$phase: $(said $phase)" "$phase: export EINVAL; tls 0; $(<"$DIR/me")"
    done
    for phase in open get_size pread close; do
        same "$phase: $(said $phase)" "$phase: export the default; tls 0; $(<"$DIR/me")"
    done
    has "error: nbdkit_export_name: no export is chosen in this phase"
    has "error: nbdkit_peer_uid: no client is connected in this phase"
}

@test "what is known of the client: TCP over IPv4 and IPv6" {
    for address in 127.0.0.1 ::1; do
        if [ $address = ::1 ] && ! grep -qs '^0*1 ' /proc/net/if_inet6; then
            continue
        fi
        : >"$DIR/out"
        rm -f "$CALLS" "$PIDFILE"
        start_bare -f -p 0 -i $address -P "$PIDFILE" "$(plugin phases)" log="$CALLS"
        wait_ready
        py $address "$(cat "$DIR/out")" <<'EOT'
client = ready((sys.argv[1], int(sys.argv[2])), export="x")
client.read(0, 512)
EOT
        stop
        case $address in
            ::1) name="ip6 ::1" ;;
            *) name="ip4 127.0.0.1" ;;
        esac
        same "$(said pread)" \
            "export x; tls 0; peer $name; pid EOPNOTSUPP; uid EOPNOTSUPP; gid EOPNOTSUPP; dn \"\"; issuer \"\""
    done
    has "error: nbdkit_peer_pid: the client is not on a Unix domain socket"
}

@test "what is known of the client: -s on a socket and on pipes; no standard input or output" {
    for kind in socket pipes; do
        rm -f "$CALLS"
        py $kind "$(plugin phases)" <<'EOT'
ours, theirs = socket.socketpair()
command = [NBDLAB, "-s", sys.argv[2], "log=" + os.environ["CALLS"], "stdio=1"]
if sys.argv[1] == "socket":
    server = subprocess.Popen(command, stdin=theirs, stdout=theirs)
else:
    server = subprocess.Popen(["sh", "-c", 'cat | "$@" | cat', "-"] + command,
                              stdin=theirs, stdout=theirs)
theirs.close()
client = Client(ours)
client.handshake("piped")
client.read(0, 512)
client.send_request(CMD_DISC)
client.sock.shutdown(socket.SHUT_WR)
same(server.wait(BOUND_S), 0, "exit status")
with open(os.environ["DIR"] + "/me", "w") as file:
    print("pid %d; uid %d; gid %d" % (os.getpid(), os.getuid(), os.getgid()), file=file)
EOT
        case $kind in
            socket) who="peer unix; $(<"$DIR/me")" ;;
            pipes) who="peer ENOTSOCK; pid ENOTSOCK; uid ENOTSOCK; gid ENOTSOCK" ;;
        esac
        same "$(said pread)" "export piped; tls 0; $who; dn \"\"; issuer \"\""
        contains "$(<"$CALLS")" "stdio_safe 0"
    done
}

@test "nbdkit_stdio_safe: yes but with -s" {
    for option in "-f -U $SOCK" "-U -" "-U $SOCK --run true" "--run true"; do
        rm -f "$CALLS"
        # shellcheck disable=SC2086 # options apart
        run "$NBDLAB" $option "$(plugin phases)" log="$CALLS" stdio=1 nonsense
        contains "$(<"$CALLS")" "stdio_safe 1"
    done
}

@test "nbdkit_peer_security_context: a label, or an error that says so" {
    # Without a security module, which most machines lack, the kernel says ENOPROTOOPT.
    serve "$(plugin toolbox)" exit=never:0
    py <<'EOT'
client = ready(export="security")
text = client.read(0, client.size).decode()
other = socket.socketpair()[0]
try:
    expected = other.getsockopt(socket.SOL_SOCKET, 31, 1024).rstrip(b"\0").decode()
except OSError as error:
    expected = "errno %d" % error.errno
same(text, expected, "the label")
EOT
    stop
}

@test "interned strings: intact until close, and until unload" {
    serve_phases
    py <<'EOT'
# Several at once, on which other strings come and go.
clients = [ready(export=("", "one", "two")[n % 3]) for n in range(9)]
for client in clients:
    for n in range(5):
        client.send_request(CMD_READ, 0 if n == 0 else 4096, 512)
for client in clients:
    client.replies(5)
    client.disconnect()
EOT
    stop
    # Three in each callback, of which those that name an export skip default_export.
    same "$(grep -c '^close: 12 of 12 strings are intact' "$CALLS")" 6
    same "$(grep -c '^close: 15 of 15 strings are intact' "$CALLS")" 3
    same "$(grep '^unload:.*intact' "$CALLS")" "unload: 12 of 12 strings are intact"
}

@test "interned strings: gone when their connection is closed" {
    serve_phases intern=1M
    py <<'EOT'
def memory_kib():
    with open("/proc/%s/status" % os.environ["SERVER"]) as status:
        return int([line.split()[1] for line in status if line.startswith("VmRSS:")][0])

for n in range(200):
    client = ready(export="x")
    client.disconnect()
    until(lambda: sum("strings are intact" in line for line in lines(os.environ["CALLS"])) > n,
          "close")
# A sanitizer keeps what is freed for a while, but finds by itself what is not.
assert os.environ.get("SANITIZE") or memory_kib() < 100 << 10, "%d KiB after 200 connections of 1 MiB" % memory_kib()
EOT
    stop
}

@test "nbdkit_nanosleep: what cannot be slept is refused at once" {
    for time in 2147483647,0 2147483646,1000000000 4294967295,4294967295 2147483648,0; do
        run -1 --separate-stderr "$NBDLAB" -f "$(plugin phases)" sleep=$time nonsense
        contains "$output" "sleep $time: -1 EINVAL"
        contains "$stderr" "error: nbdkit_nanosleep: "
    done
    for time in 0,0 0,1 0,1000000000; do
        run -1 --separate-stderr "$NBDLAB" -f "$(plugin phases)" sleep=$time nonsense
        contains "$output" "sleep $time: 0"
    done
}

@test "nbdkit_nanosleep sleeps as long as it was told" {
    local before after
    before=$(date +%s%N)
    run -1 "$NBDLAB" -f "$(plugin phases)" sleep=0,300000000 nonsense
    after=$(date +%s%N)
    [ $((after - before)) -ge 300000000 ]
}

@test "nbdkit_nanosleep: a signal ends it in the configuration phase" {
    start "$(plugin phases)" log="$CALLS" sleep=1000,0
    wait_for grep -qs config: "$CALLS"
    kill "$SERVER"
    wait_exit || :
    not is_alive "$SERVER"
    contains "$(<"$DIR/out")" "sleep 1000,0: -1 ESHUTDOWN"
}

@test "nbdkit_nanosleep: the stop of the server ends it in a thread of the plugin" {
    serve_phases
    stop
    contains "$(<"$CALLS")" "thread: sleep -1 ESHUTDOWN"
}

# sleep_until_stop HOW: a client's read sleeps, another one makes the plugin stop the server.
@test "nbdkit_nanosleep is woken when the plugin shuts the server down" {
    rm -f "$CALLS"
    serve "$(plugin sleeper)" log="$CALLS"
    py <<'EOT'
client, other = ready(), ready()
client.send_request(CMD_READ, 65536, 512)
until(lambda: "begin 65536" in lines(os.environ["CALLS"]), "the sleep to begin")
other.send_request(CMD_TRIM, 0, 512)
same(client.reply().error, ESHUTDOWN, "errno of the read that slept")
EOT
    wait_exit
    contains "$(<"$CALLS")" "end 65536: -1"
}

@test "nbdkit_nanosleep is not woken by a polite disconnect" {
    rm -f "$CALLS"
    serve "$(plugin sleeper)" log="$CALLS"
    py <<'EOT'
client = ready()
client.send_request(CMD_READ, 196608, 512)
until(lambda: "begin 196608" in lines(os.environ["CALLS"]), "the sleep to begin")
client.send_write(4096, bytes(512))
same(sorted(reply.error for reply in client.replies(2).values()), [0, 0], "errors")
same(client.errno(CMD_READ, 0, 512), ESHUTDOWN, "errno of what comes later")
EOT
    contains "$(<"$CALLS")" "end 196608: 0"
    stop
}

# read_password VALUE: calls nbdkit_read_password; the result is $output.
read_password() {
    run --separate-stderr "$NBDLAB" -f "$(plugin toolbox)" password="$1" exit=config_complete:0 \
        </dev/null
    same "$status" 0
}

@test "nbdkit_read_password: a value" {
    for value in secret 'with blanks ' 'a-b+c' '' =x; do
        read_password "$value"
        same "$output" "password: $value"
    done
}

@test "nbdkit_read_password: a file, of which the first line counts" {
    cd "$DIR"
    printf 'one\ntwo\n' >two
    printf 'no newline' >none
    printf '\nx\n' >blank
    : >empty
    printf 'a \r\n' >carriage
    head -c 100000 /dev/zero | tr '\0' x >long
    for pair in "two:one" "none:no newline" "blank:" "empty:" $'carriage:a \r' "long:$(<long)"; do
        read_password "+${pair%%:*}"
        same "$output" "password: ${pair#*:}"
    done
    mkfifo fifo
    echo 'from a pipe' >fifo &
    read_password +fifo
    same "$output" "password: from a pipe"
    mkdir folder
    for name in missing folder /dev/zero ''; do
        read_password "+$name"
        same "$output" "password: error"
        contains "$stderr" "error: "
        contains "$stderr" "$name"
    done
}

@test "nbdkit_read_password: a descriptor, which is closed" {
    cd "$DIR"
    printf 'one\ntwo\n' >two
    run -0 --separate-stderr "$NBDLAB" -f "$(plugin toolbox)" password=-9 password=-9 \
        exit=config_complete:0 9<two
    same "$output" "password: one
password: error"
    contains "$stderr" "error: password -9: "
    # The server's own descriptors are not anybody's to read.
    for fd in 0 1 2 3 4 5 6 99 -1 x 7x ' '; do
        read_password "-$fd" 3>&- 4>&- 5>&- 6>&- 7>&-
        same "$output" "password: error"
        contains "$stderr" "error: password -"
    done
}

@test "nbdkit_read_password: the terminal, without echo" {
    py "$(plugin toolbox)" <<'EOT'
import fcntl
import pty
import termios


class Prompt:
    """The server asks for a password on a terminal of its own."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        reader, writer = os.pipe()

        def own_terminal():
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

        self.server = subprocess.Popen(
            [NBDLAB, "-f", sys.argv[1], "password=-", "exit=config_complete:0"],
            stdin=self.slave, stdout=writer, stderr=subprocess.PIPE, preexec_fn=own_terminal)
        os.close(writer)
        self.printed = os.fdopen(reader, "rb", 0)
        same(self.printed.read(10), b"password: ", "the prompt")
        until(lambda: not self.has_echo(), "the echo to be turned off")

    def has_echo(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def end(self, what):
        """Type something; returns what the server printed, and its exit status."""
        os.write(self.master, what)
        rest = self.printed.read(1000)
        while True:
            more = self.printed.read(1000)
            if not more:
                break
            rest += more
        status = self.server.wait(BOUND_S)
        same(self.has_echo(), True, "the echo, at the end")
        return rest, status


prompt = Prompt()
same(prompt.end(b"top secret\n"), (b"\npassword: top secret\n", 0), "printed, status")
shown = b""
while select.select([prompt.master], [], [], 0)[0]:
    shown += os.read(prompt.master, 1000)
assert b"secret" not in shown, shown

prompt = Prompt()
same(prompt.end(b"\x04"), (b"\npassword: \n", 0), "after the end of the file: printed, status")

prompt = Prompt()
rest, status = prompt.end(b"half a sec\x03")
assert b"sec" not in rest, rest
assert b"terminal" in prompt.server.stderr.read(), "no message"
EOT
}

@test "nbdkit_read_password: no terminal" {
    read_password -
    same "$output" "password: error"
    contains "$stderr" "standard input is none"
    run -1 --separate-stderr "$NBDLAB" -s "$(plugin phases)" password=- </dev/null
    run --separate-stderr "$NBDLAB" -s "$(plugin toolbox)" password=- exit=config_complete:0 \
        </dev/null
    contains "$stderr" "error: password -"
}

@test "nbdkit_absolute_path and nbdkit_realpath refuse what is no path" {
    cd "$DIR"
    : >file
    for pair in absolute_path: realpath: realpath:missing realpath:file/x; do
        run -0 --separate-stderr "$NBDLAB" -f "$(plugin toolbox)" "${pair%%:*}=${pair#*:}" \
            exit=config_complete:0
        same "$output" "${pair%%:*}: error"
        contains "$stderr" "error: "
        contains "$stderr" "${pair#*:}"
    done
}
