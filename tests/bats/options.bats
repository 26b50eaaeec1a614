#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The command line: every option with its long forms, what is refused and with which words, where
# plugins are found, --run and its variables, the background, pid files and sockets.

load common

# refused STATUS-LINE-PART ARGS...: exit status 1 and a message, nothing is left behind.
refused() {
    local part=$1
    shift
    run -1 "$NBDLAB" "$@" </dev/null 3>&-
    contains "$output" "$part"
    contains "$output" "error: "
    [ ! -e "$SOCK" ]
    [ ! -e "$PIDFILE" ]
    same "$(ls -A "$TMPDIR")" ""
}

# with_descriptors COUNT ARGS...: with so few the server ends with status 1, and in time.
with_descriptors() {
    py "$@" <<'EOT'
import resource
count = int(sys.argv[1])
def limit():
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
process = subprocess.Popen([NBDLAB, *sys.argv[2:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           preexec_fn=limit)
try:
    same(process.wait(BOUND_S), 1, "exit status")
finally:
    process.kill()
EOT
}

has_ipv6() {
    [ -e /proc/net/if_inet6 ] && grep -q '^0\{31\}1 ' /proc/net/if_inet6
}

@test "--help, also with a plugin" {
    run -0 "$NBDLAB" --help
    contains "$output" "usage: $NAME"
    for word in --unix --port --ipaddr --single --exportname --newstyle --readonly --threads \
        --foreground --pidfile --run --exit-with-parent --verbose --version --dump-config \
        --dump-plugin; do
        contains "$output" "$word"
    done
    run -0 "$NBDLAB" memory --help
    contains "$output" "size="
    run -0 "$NBDLAB" --help sh
    contains "$output" "sh.timeout"
}

@test "-V and --version, also with a plugin" {
    run -0 "$NBDLAB" --version
    contains "$output" "$NAME "
    same "$("$NBDLAB" -V)" "$output"
    run -0 "$NBDLAB" memory --version
    contains "$output" memory
    refused nosuch nosuch --version
    # As nbdkit: what stands where scripts look for a version is that of its interface.
    ln -s "$NBDLAB" "$DIR/nbdkit"
    run -0 "$DIR/nbdkit" --version
    [[ $output =~ ^nbdkit\ 1\.([0-9]+)\.[0-9]+\ \(nbdlab\ [0-9.]+\)$ ]]
    [ "${BASH_REMATCH[1]}" -ge 24 ]
    contains "$("$DIR/nbdkit" --dump-config)" "version=$(cut -d ' ' -f 2 <<<"$output")"
}

@test "--dump-config: every key that nbdkit 1.42 has, and two of our own, in order" {
    run -0 "$NBDLAB" --dump-config
    same "$(cut -d= -f1 <<<"$output" | tr '\n' ' ')" "binary bindir exit_with_parent filterdir \
host_cpu host_os libdir mandir max_api_version name nbdkit_plugindir nbdlab_version plugindir \
root_tls_certificates_dir run_default_socket sbindir selinux soext sysconfdir timeout_option tls \
version version_major version_minor vsock_option zstd "
    for line in "binary=$(realpath "$REAL_NBDLAB")" exit_with_parent=yes "host_cpu=$(uname -m)" \
        max_api_version=2 "name=$NAME" root_tls_certificates_dir=/etc/pki/nbdkit \
        run_default_socket=Unix selinux=yes soext=so sysconfdir=/etc timeout_option=yes \
        version_major=1 vsock_option=yes zstd=yes; do
        grep -qxF "$line" <<<"$output"
    done
    [ -e "$(sed -n 's/^plugindir=//p' <<<"$output")/nbdkit-memory-plugin.so" ]
    [ -e "$(sed -n 's/^nbdkit_plugindir=//p' <<<"$output")/nbdkit-pattern-plugin.so" ]
    # Debian's nbdkit has no key that is missing here.
    local key
    for key in $(nbdkit --dump-config | cut -d= -f1); do
        grep -q "^$key=" <<<"$output"
    done
}

@test "--dump-plugin" {
    run -0 "$NBDLAB" memory --dump-plugin
    for line in name=memory api_version=2 max_thread_model=parallel thread_model=parallel \
        magic_config_key=size has_pread=1 has_pwrite=1; do
        contains "
$output
" "
$line
"
    done
    contains "$output" "path=/"
    contains "$output" "struct_size="
    run -0 "$NBDLAB" "$BUILD/tests/plugins/told.so" --dump-plugin
    contains "$output" "path=$BUILD/tests/plugins/told.so"
    same "$(grep -vc '^[a-z_]*=' <<<"$output")" 0
    refused plugin --dump-plugin
}

@test "--filter is refused by its name: there are no filters" {
    refused "option --filter is not supported yet" --filter=cow -f -U "$SOCK" memory 1M
}

@test "unknown options, missing values, bad values" {
    refused --frobnicate --frobnicate memory 1M
    refused -x -x memory 1M
    refused -p -p
    refused --port --port
    refused 65536 -p 65536 memory 1M
    refused -- -p -1 memory 1M
    refused ten -p ten memory 1M
    refused 0 -t 0 memory 1M
    refused many -t many memory 1M
    refused --foreground --foreground=yes memory 1M
    refused "no.such.address" -i no.such.address.invalid -p 0 -f memory 1M
}

@test "combinations that make no sense" {
    refused -U -U "$SOCK" -p 10000 memory 1M
    refused -U -U "$SOCK" -i 127.0.0.1 memory 1M
    refused -s -s -U "$SOCK" memory 1M
    refused -s -s -p 10000 memory 1M
    refused -s -s --run true memory 1M
    refused --dump-plugin -s memory --dump-plugin
}

@test "no plugin, an unknown plugin, a path that is none" {
    refused plugin -f
    refused "nbdkit-nosuch-plugin.so" -f nosuch
    contains "$output" nosuch
    refused "$DIR/nosuch.so" -f "$DIR/nosuch.so"
    mkdir "$DIR/folder"
    refused directory -f "$DIR/folder"
    echo text >"$DIR/text.txt"
    refused "chmod +x" -f "$DIR/text.txt"
    printf '\177ELF' >"$DIR/broken.so"
    refused "$DIR/broken.so" -f "$DIR/broken.so"
}

@test "a shared object that is no plugin" {
    echo 'int not_a_plugin;' >"$DIR/x.c"
    gcc -shared -fPIC -o "$DIR/x.so" "$DIR/x.c"
    refused plugin_init -f "$DIR/x.so"
    contains "$output" "$DIR/x.so"
}

@test "bare parameters and parameters for a plugin without config" {
    refused 1M "$BUILD/tests/plugins/told.so" -f log="$DIR/calls" 1M
    refused colour -f memory 1M colour=blue
    serve memory size=1M
    same "$(nbdinfo --size "$URI")" 1048576
    stop
}

@test "options may follow the plugin and its parameters" {
    start_bare memory 1M -f -r -U "$SOCK" -P "$PIDFILE"
    wait_ready
    run -0 nbdinfo "$URI"
    contains "$output" "is_read_only: true"
    stop
}

@test "long forms of the options that take no value" {
    for options in "-f" "--foreground" "--no-fork" "-f -n" "-f --newstyle" "-f --new-style"; do
        rm -f "$PIDFILE"
        # shellcheck disable=SC2086
        start_bare $options -U "$SOCK" -P "$PIDFILE" memory 1M
        wait_ready
        same "$(cat "$PIDFILE")" "$SERVER"
        stop
    done
    for option in -r --readonly --read-only; do
        serve $option memory 1M
        py <<<'same(ready().flags & READ_ONLY, READ_ONLY, "flags")'
        stop
    done
    for option in -v --verbose; do
        rm -f "$LOG"
        serve $option memory 1M
        stop
        has "debug:"
    done
}

@test "long forms of the options that take a value" {
    for option in "-U $SOCK" "--unix=$SOCK" "--unix $SOCK"; do
        for pidfile in "-P $PIDFILE" "--pidfile=$PIDFILE" "--pid-file=$PIDFILE"; do
            rm -f "$PIDFILE"
            # shellcheck disable=SC2086
            start_bare -f $option $pidfile memory 1M
            wait_ready
            same "$(nbdinfo --size "$URI")" 1048576
            stop
        done
    done
    for option in "-p 0 -i 127.0.0.1" "--port=0 --ipaddr=127.0.0.1" "--port 0 --ip-addr 127.0.0.1"; do
        rm -f "$PIDFILE" "$DIR/out"
        # shellcheck disable=SC2086
        start_bare -f $option -P "$PIDFILE" memory 1M
        wait_ready
        same "$(nbdinfo --size "nbd://127.0.0.1:$(cat "$DIR/out")")" 1048576
        stop
    done
    for option in "-t 3" --threads=3 "--threads 3"; do
        # shellcheck disable=SC2086
        serve $option memory 1M
        stop
    done
    for option in "-e x" "--exportname=x" "--export-name=x" "--export=x"; do
        # shellcheck disable=SC2086
        same "$("$NBDLAB" $option memory 1M --run 'printf %s "$exportname"')" x
    done
}

@test "-t 1 makes a parallel plugin answer in order" {
    mkfifo "$DIR/gate"
    for threads in 1 2; do
        serve -t $threads "$BUILD/tests/plugins/told.so" log="$DIR/calls" gate="$DIR/gate"
        py $threads <<'EOT'
client = ready()
slow = client.send_request(CMD_READ, 131072, 512)
quick = client.send_request(CMD_READ, 0, 512)
if sys.argv[1] == "1":
    same(client.is_readable(0.2), False, "a reply before its turn")
else:
    same(client.reply().cookie, quick, "first reply")
open_gate(os.environ["DIR"] + "/gate")
same(client.reply().cookie, slow, "the slow read")
EOT
        stop
    done
}

@test "--run: the exit status of the command is the server's" {
    for status in 0 1 7 255; do
        run -$status "$NBDLAB" memory 1M --run "exit $status"
        run -$status "$NBDLAB" -U - memory 1M --run "(exit $status)"
    done
    same "$(ls -A "$TMPDIR")" ""
}

@test "--run: a command that dies of a signal is a failure" {
    run "$NBDLAB" memory 1M --run 'kill -KILL $$'
    [ "$status" -ne 0 ]
}

@test "--run: the variables, with a private socket by default" {
    run -0 "$NBDLAB" memory 1M --run '
        printf "%s|%s|%s|%s|" "$unixsocket" "$port" "$exportname" "$(stat -c %a "${unixsocket%/*}")"
        [ -S "$unixsocket" ] && [ "$uri" = "nbd+unix://?socket=$unixsocket" ] &&
        [ "$nbd" = "$uri" ] && nbdinfo --size "$uri"'
    same "${output#*|}" "||700|1048576"
    same "$(ls -A "$TMPDIR")" ""
}

@test "--run: the variables over TCP" {
    run -0 "$NBDLAB" -p 0 -i 127.0.0.1 memory 1M --run 'nbdinfo --size "$uri"
        printf "%s|%s|%s\n" "$uri" "$port" "$unixsocket"'
    same "${lines[0]}" 1048576
    local port
    port=$(cut -d'|' -f2 <<<"${lines[1]}")
    [ "$port" -gt 0 ]
    contains "${lines[1]}" "nbd://127.0.0.1:$port"
    same "$(cut -d'|' -f3 <<<"${lines[1]}")" ""
    has_ipv6 || skip "there is no IPv6 loopback here"
    run -0 "$NBDLAB" -p 0 -i ::1 memory 1M --run 'nbdinfo --size "$uri"'
    same "$output" 1048576
}

@test "--run: odd socket paths and export names are quoted and encoded" {
    disk disk.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1M ;;
    open) printf '%s' "$3" >"$tmpdir/name" ;;
    pread) cat "$tmpdir/name" /dev/zero | head -c $3 ;;
    *) exit 2 ;;
esac
EOT
    export WANTED
    for WANTED in 'a b' "it's" '"double"' 'a$b`c;d&e' 'a?b#c%d' 'x/y' '*' 'ünï' "a'b\"c\\d"; do
        mkdir -p "$DIR/odd"
        local path="$DIR/odd/${WANTED//\//_}"
        export path
        run -0 "$NBDLAB" -U "$path" -e "$WANTED" sh "$DIR/disk.sh" --run '
            [ "$exportname" = "$WANTED" ] && [ "$unixsocket" = "$path" ] && [ -S "$unixsocket" ] &&
            nbdinfo --size "$uri" && nbdcopy "$uri" "$DIR/copy" >/dev/null'
        same "$output" 1048576
        same "$(head -c "$(printf %s "$WANTED" | wc -c)" "$DIR/copy")" "$WANTED"
        [ ! -e "$path" ]
    done
}

@test "--run: the command can read standard input and write standard output" {
    run -0 "$NBDLAB" memory 1M --run 'cat' <<<hello
    same "$output" hello
}

@test "--run: a signal to the server ends the command too" {
    start_bare memory 1M --run "echo \$\$ >$DIR/command; exec sleep 1000"
    wait_for [ -s "$DIR/command" ]
    kill "$SERVER"
    wait_for not is_alive "$SERVER"
    wait_for not is_alive "$(cat "$DIR/command")"
    same "$(ls -A "$TMPDIR")" ""
}

@test "--run: exit 4 of a script ends the server, not the command" {
    disk disk.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1M ;;
    pread) head -c $3 /dev/zero; exit 4 ;;
    *) exit 2 ;;
esac
EOT
    run "$NBDLAB" sh "$DIR/disk.sh" --run 'qemu-io -r -f raw -c "read 0 512" "$uri" >/dev/null
        echo the command went on; exit 9'
    contains "$output" "the command went on"
    same "$(ls -A "$TMPDIR")" ""
}

@test "--run: a signal reaches the command also when a script has ended the server" {
    start_bare eval get_size='echo 1M' pread='head -c $3 /dev/zero; exit 4' \
        --run "qemu-io -r -f raw -c 'read 0 512' \"\$uri\" >/dev/null; echo \$\$ >$DIR/command
            exec sleep 1000"
    wait_for [ -s "$DIR/command" ]
    kill "$SERVER"
    wait_for not is_alive "$SERVER"
    wait_for not is_alive "$(cat "$DIR/command")"
    same "$(ls -A "$TMPDIR")" ""
}

@test "--run without a descriptor left fails, and does not hang" {
    with_descriptors 5 -U - memory 1M --run true
}

@test "-U -: a private socket that is gone at the end" {
    start_bare -f -v -U - -P "$PIDFILE" memory 1M
    wait_ready
    local socket
    socket=$(find "$TMPDIR" -type s)
    same "$(stat -c %a "$(dirname "$socket")")" 700
    same "$(nbdinfo --size "nbd+unix:///?socket=$socket")" 1048576
    stop
    same "$(ls -A "$TMPDIR")" ""
}

@test "-U: a relative path, also in the background" {
    cd "$DIR"
    "$NBDLAB" -U relative -P pid2 memory 1M 3>&- 4>&-
    STARTED+=("$(cat pid2)")
    same "$(nbdinfo --size "nbd+unix:///?socket=$DIR/relative")" 1048576
    kill "${STARTED[0]}"
    wait_for not is_alive "${STARTED[0]}"
    [ ! -e relative ]
    [ ! -e pid2 ]
}

@test "-U: a stale socket is replaced, one in use and other files are not" {
    /usr/bin/python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$SOCK"
    serve memory 1M
    run -1 "$NBDLAB" -f -U "$SOCK" memory 2M
    contains "$output" "$SOCK"
    same "$(nbdinfo --size "$URI")" 1048576
    stop
    echo precious >"$DIR/file"
    run -1 "$NBDLAB" -f -U "$DIR/file" memory 1M
    same "$(cat "$DIR/file")" precious
    run -1 "$NBDLAB" -f -U "$DIR/no/such/folder/sock" memory 1M
    contains "$output" "$DIR/no/such/folder/sock"
    run -1 "$NBDLAB" -f -U "$DIR/$(printf 'x%.0s' {1..200})" memory 1M
    contains "$output" 107
}

@test "-U: of servers that start together on one path one serves, and the others say why they do not" {
    py <<'EOT'
import stat
def start(i):
    with open("%s/said%d" % (folder, i), "w") as said:
        return subprocess.Popen([NBDLAB, "-f", "-U", sock, "-P", "%s/pid%d" % (folder, i), "memory",
                                 "%dM" % (i + 1)], stdin=subprocess.DEVNULL, stderr=said)

def has_settled():
    return sum(one.poll() is None for one in servers) == len(pids()) > 0

def pids():
    return [name for name in os.listdir(folder) if name.startswith("pid")]

folder = os.environ["DIR"] + "/run"
sock = folder + "/disk.sock"
os.mkdir(folder)
for round in range(6):
    # What a server that was killed has left behind.
    socket.socket(socket.AF_UNIX).bind(sock)
    servers = [start(i) for i in range(8)]
    try:
        until(has_settled, "one server to serve and the others to end")
        same(len(pids()), 1, "servers that are ready")
        winner = int(pids()[0][3:])
        same(libnbd(sock).get_size(), (winner + 1) << 20, "the disk that is served there")
        servers[winner].terminate()
        same([one.wait(BOUND_S) for one in servers], [int(i != winner) for i in range(8)])
        for i in range(8):
            said = open("%s/said%d" % (folder, i)).read()
            assert i == winner or "in use by another server" in said, said
            os.unlink("%s/said%d" % (folder, i))
        same(os.listdir(folder), [], "what is left")
    finally:
        [one.kill() for one in servers]
EOT
}

@test "-U: a socket between bind and listen is waited for, what is left of the lock is no hindrance" {
    py <<'EOT'
def start():
    one = subprocess.Popen([NBDLAB, "-f", "-U", sock, "-P", os.environ["PIDFILE"], "memory", "1M"],
                           stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    atexit.register(one.kill)
    return one

def is_decided():
    return server.poll() is not None or os.path.exists(os.environ["PIDFILE"])

folder = os.environ["DIR"] + "/run"
sock = folder + "/disk.sock"
lock_path = folder + "/.disk.sock.nbdlab-lock"
os.mkdir(folder)
# Another server that is as far: it has the lock and the name, and does not listen yet.
lock = open(lock_path, "w")
fcntl.flock(lock, fcntl.LOCK_EX)
other = socket.socket(socket.AF_UNIX)
other.bind(sock)
server = start()
look_until = time.monotonic() + 0.3
until(lambda: is_decided() or time.monotonic() > look_until, "it to replace the socket, or not")
other.listen()
os.unlink(lock_path)
lock.close()
until(is_decided, "the server to find that the other one listens")
same(server.wait(BOUND_S), 1, "exit status")
assert "already in use" in server.stderr.read()
other.close()
# One that was killed has left the socket and the lock's file.
open(lock_path, "w").close()
server = start()
until(is_decided, "the server")
same(os.listdir(folder), ["disk.sock"], "while it serves")
server.terminate()
same((server.wait(BOUND_S), os.listdir(folder)), (0, []), "at the end")
os.symlink(os.environ["DIR"] + "/nosuch", lock_path)
server = start()
assert os.path.basename(lock_path) + " beside it is in the way" in \
    server.communicate(timeout=BOUND_S)[1]
same(os.listdir(folder), [os.path.basename(lock_path)], "what was there")
EOT
}

@test "-U: the user's own SOCKET.lock, as of flock(1) around the server, is let be" {
    echo precious > "$DIR/own.lock"
    run -0 --separate-stderr timeout 60 flock -n "$DIR/own.lock" "$NBDLAB" -U "$DIR/own" memory 1M --run "echo served" 3>&-
    same "$output" served
    same "$(cat "$DIR/own.lock")" precious
    rm "$DIR/own.lock"
}

@test "-U: a socket that somebody else has put there is not removed" {
    serve memory 1M
    local first=$SERVER
    rm "$SOCK"
    PIDFILE=$DIR/pid2 serve memory 2M
    kill "$first"
    wait_exit "$first"
    same "$(nbdinfo --size "$URI")" 2097152
    stop
    [ ! -e "$SOCK" ]
}

@test "-p: numbers as they are written" {
    for port in 00 0x0; do
        rm -f "$PIDFILE" "$DIR/out"
        start_bare -f -p $port -i 127.0.0.1 -P "$PIDFILE" memory 1M
        wait_ready
        same "$(nbdinfo --size "nbd://127.0.0.1:$(cat "$DIR/out")")" 1048576
        stop
    done
}

@test "-p: a port in use is refused with its number" {
    start_bare -f -p 0 -i 127.0.0.1 -P "$PIDFILE" memory 1M
    wait_ready
    run -1 "$NBDLAB" -f -p "$(cat "$DIR/out")" -i 127.0.0.1 memory 1M
    contains "$output" "$(cat "$DIR/out")"
    contains "$output" "in use"
    stop
}

@test "-P: the process that serves, removed at the end; an unwritable path is an error" {
    "$NBDLAB" -U "$SOCK" -P "$PIDFILE" memory 1M 3>&- 4>&-
    local pid
    pid=$(cat "$PIDFILE")
    STARTED+=("$pid")
    is_alive "$pid"
    same "$(wc -l <"$PIDFILE")" 1
    kill "$pid"
    wait_for not is_alive "$pid"
    [ ! -e "$PIDFILE" ]
    run -1 "$NBDLAB" -f -U "$SOCK" -P "$DIR/no/such/folder/pid" memory 1M
    contains "$output" "$DIR/no/such/folder/pid"
    [ ! -e "$SOCK" ]
    echo 99999999 >"$PIDFILE"
    start -v memory 1M
    wait_for grep -qx "$SERVER" "$PIDFILE"
    stop
}

@test "-s over a socket pair, over pipes, and with --stdin and --single" {
    for option in -s --single --stdin; do
        py $option <<'EOT'
class Pipes:
    """Two pipes that look like a socket to Client."""
    def __init__(self, process):
        self.process = process
    def settimeout(self, timeout):
        pass
    def recv(self, count):
        return os.read(self.process.stdout.fileno(), count)
    def sendall(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()
def check(client):
    client.handshake()
    client.write(4096, b"single" * 100)
    same(client.read(4096, 600), b"single" * 100, "data")
    client.send_request(CMD_DISC)
    same(client.ending(), "eof", "how the server hangs up")
command = [NBDLAB, sys.argv[1], "memory", "1M"]
ours, theirs = socket.socketpair()
process = subprocess.Popen(command, stdin=theirs, stdout=theirs)
theirs.close()
check(Client(ours))
same(process.wait(BOUND_S), 0, "exit status over a socket pair")
process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
check(Client(Pipes(process)))
same(process.wait(BOUND_S), 0, "exit status over pipes")
process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
process.stdin.close()
same(process.wait(BOUND_S), 0, "exit status of a server whose client leaves at once")
EOT
    done
}

@test "-s with a script: the script does not see the client's stream" {
    disk disk.sh <<EOT
#!/bin/sh
cat >/dev/null
echo noise >&2
case \$1 in
    get_size) echo 1M ;;
    get_ready) readlink /proc/\$\$/fd/0 >$DIR/stdin; echo noise ;;
    pread) head -c \$3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    py <<'EOT'
ours, theirs = socket.socketpair()
process = subprocess.Popen([NBDLAB, "-s", os.environ["DIR"] + "/disk.sh"], stdin=theirs, stdout=theirs)
theirs.close()
client = Client(ours)
client.handshake()
same(client.read(0, 512), bytes(512), "data")
os.kill(process.pid, 15)
same(process.wait(BOUND_S), 0, "exit status")
EOT
}

@test "-s: without standard input or output there is no client" {
    local status=0
    "$NBDLAB" -s memory 1M <&- >"$DIR/out" 2>"$DIR/message" || status=$?
    same "$status" 1
    contains "$(cat "$DIR/message")" "standard input is closed"
    status=0
    "$NBDLAB" -s memory 1M </dev/null >&- 2>"$DIR/message" || status=$?
    same "$status" 1
    contains "$(cat "$DIR/message")" "standard output is closed"
}

@test "-s: a client that cannot be served is a failure, not a wait" {
    with_descriptors 8 -s memory 1M
}

@test "-s: output to a file goes where the file is written" {
    { echo header; "$NBDLAB" -s memory 1M; } </dev/null >"$DIR/file"
    same "$(head -n 1 "$DIR/file")" header
}

@test "-s over two sockets: a forced disconnect wakes a reply that is stuck" {
    py <<'EOT'
to_server, server_in = socket.socketpair()
from_server, server_out = socket.socketpair()
class Both:
    def settimeout(self, timeout):
        from_server.settimeout(timeout)
        to_server.settimeout(timeout)
    def recv(self, count):
        return from_server.recv(count)
    def sendall(self, data):
        to_server.sendall(data)
process = subprocess.Popen([NBDLAB, "-s", "eval", "get_size=echo 64M", "thread_model=echo parallel",
                            "pread=[ $4 = 0 ] || exit 6; head -c $3 /dev/zero"],
                           stdin=server_in, stdout=server_out)
server_in.close()
server_out.close()
client = Client(Both())
client.handshake()
client.send_request(CMD_READ, 0, 32 << 20)
until(lambda: select.select([from_server], [], [], 0)[0], "the long reply to begin")
client.send_request(CMD_READ, 512, 512)
same(process.wait(BOUND_S), 0, "exit status")
EOT
}

@test "-s and an inline script exclude each other" {
    refused "standard input" -s sh -
}

@test "the background: the parent returns when clients can connect" {
    for n in 1 2 3 4 5; do
        rm -f "$PIDFILE"
        "$NBDLAB" -U "$SOCK" -P "$PIDFILE" memory 1M 3>&- 4>&-
        STARTED=("$(cat "$PIDFILE")")
        same "$(nbdinfo --size "$URI")" 1048576
        same "$(readlink "/proc/${STARTED[0]}/cwd")" /
        kill "${STARTED[0]}"
        wait_for not is_alive "${STARTED[0]}"
    done
}

@test "the background: stdin, stdout and stderr are /dev/null, the session is its own" {
    run -0 "$NBDLAB" -U "$SOCK" -P "$PIDFILE" memory 1M 3>&- 4>&-
    local pid
    pid=$(cat "$PIDFILE")
    STARTED+=("$pid")
    for fd in 0 1 2; do
        same "$(readlink "/proc/$pid/fd/$fd")" /dev/null
    done
    same "$(awk '{ print $6 }' "/proc/$pid/stat")" "$pid"
    kill "$pid"
    wait_for not is_alive "$pid"
}

@test "the background: failures are seen by whoever started it" {
    refused size memory
    disk disk.sh <<'EOT'
#!/bin/sh
case $1 in
    get_size) echo 1M ;;
    after_fork) echo "no luck today" >&2; exit 1 ;;
    pread) ;;
    *) exit 2 ;;
esac
EOT
    refused "no luck today" -U "$SOCK" -P "$PIDFILE" sh "$DIR/disk.sh"
}

@test "closed stdin, stdout and stderr do no harm, in the background and the foreground" {
    truncate -s 1M "$DIR/served"
    for closed in '<&-' '>&-' '2>&-' '<&- >&- 2>&-'; do
        for mode in '' '-f'; do
            rm -f "$PIDFILE"
            eval "\"\$NBDLAB\" $mode -U \"\$SOCK\" -P \"\$PIDFILE\" file \"\$DIR/served\" $closed 3>&- 4>&- &"
            wait_for [ -s "$PIDFILE" ]
            STARTED=("$(cat "$PIDFILE")")
            py <<'EOT'
client = ready()
client.write(0, b"x" * 4096)
same(client.read(0, 4096), b"x" * 4096, "data")
EOT
            kill "${STARTED[0]}"
            wait_for not is_alive "${STARTED[0]}"
            same "$(head -c 4096 "$DIR/served" | tr -d x | wc -c)" 0
        done
    done
}

@test "--exit-with-parent" {
    cat >"$DIR/parent.sh" <<'EOT'
"$NBDLAB" --exit-with-parent -U "$SOCK" -P "$PIDFILE" memory 1M &
echo $! >"$DIR/child"
while [ ! -s "$PIDFILE" ]; do sleep 0.01; done
echo ready >"$DIR/ready"
exec sleep 1000
EOT
    sh "$DIR/parent.sh" 3>&- 4>&- &
    local parent=$!
    STARTED+=("$parent")
    wait_for [ -s "$DIR/ready" ]
    STARTED+=("$(cat "$DIR/child")")
    same "$(cat "$PIDFILE")" "$(cat "$DIR/child")"
    kill -KILL "$parent"
    wait_for not is_alive "$(cat "$DIR/child")"
    [ ! -e "$SOCK" ]
    [ ! -e "$PIDFILE" ]
}

@test "messages begin with the name that the program was called by" {
    ln -s "$NBDLAB" "$DIR/otherlab"
    run -1 "$DIR/otherlab" --frobnicate
    same "${output%%:*}" otherlab
    run -1 "$NBDLAB" --frobnicate
    same "${output%%:*}" "$NAME"
    run -0 "$DIR/otherlab" memory 1M --run 'nbdinfo --size "$uri"'
    same "$output" 1048576
}

@test "NBDLAB_PLUGIN_PATH: several folders, the first one wins, then the program's own" {
    mkdir "$DIR/one" "$DIR/two"
    cp "$BUILD/tests/plugins/told.so" "$DIR/two/nbdkit-lab-plugin.so"
    NBDLAB_PLUGIN_PATH=$DIR/one:$DIR/two run -0 "$NBDLAB" lab --dump-plugin
    contains "$output" "path=$DIR/two/nbdkit-lab-plugin.so"
    cp "$BUILD/tests/plugins/told.so" "$DIR/one/nbdkit-lab-plugin.so"
    NBDLAB_PLUGIN_PATH=$DIR/one:$DIR/two run -0 "$NBDLAB" lab --dump-plugin
    contains "$output" "path=$DIR/one/"
    NBDLAB_PLUGIN_PATH=::/no/such/folder: run -0 "$NBDLAB" memory --dump-plugin
    contains "$output" name=memory
    refused nbdkit-lab-plugin.so lab
    contains "$output" NBDLAB_PLUGIN_PATH
}

@test "a plugin that is a script is found by name, and is for the plugin that its first line names" {
    mkdir "$DIR/one"
    export NBDLAB_PLUGIN_PATH=$DIR/one
    cp "$TESTS/../examples/hello.sh" "$DIR/one/nbdkit-lab-plugin"
    same "$("$NBDLAB" lab --run 'nbdinfo --size "$uri"')" 1048576
    {
        echo '#!/nonexistent/nbdkit python'
        cat "$TESTS/../examples/ramdisk.py"
    } >"$DIR/one/nbdkit-lab-plugin"
    run -0 "$NBDLAB" -v lab size=64K --run 'nbdinfo --size "$uri"'
    same "${lines[-1]}" 65536
    contains "$output" "config script=$DIR/one/nbdkit-lab-plugin"
    sed -i '1s/.*/#!\/usr\/bin\/env -S X=y nbdlab python/' "$DIR/one/nbdkit-lab-plugin"
    run -0 "$NBDLAB" lab --dump-plugin
    contains "$output" "/nbdkit-python-plugin.so"
    # The same by its path; a shared object of the name counts before a script.
    same "$("$NBDLAB" "$DIR/one/nbdkit-lab-plugin" 64K --run 'nbdinfo --size "$uri"')" 65536
    cp "$BUILD/tests/plugins/told.so" "$DIR/one/nbdkit-lab-plugin.so"
    run -0 "$NBDLAB" lab --dump-plugin
    contains "$output" name=told
    # Debian's, for a plugin of Debian's, which leaks.
    export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
    run -0 "$NBDLAB" -v example4 size=65536 --run 'nbdinfo --size "$uri"'
    same "${lines[-1]}" 65536
}

@test "a script's first line that names a plugin in a way that cannot be followed" {
    local line why
    while read -r line why; do
        echo "${line//_/ }" >"$DIR/one"
        chmod +x "$DIR/one"
        refused "cannot use $DIR/one: its first line $why" "$DIR/one"
    done <<'EOT'
#!/usr/bin/nbdlab_ names no plugin
#!/usr/bin/nbdlab_sh would have the sh plugin run it for ever: name a shell
#!/usr/bin/env_-S_nbdkit_python_-v has more than the name of a plugin
#!/usr/bin/nbdkit_-v has more than the name of a plugin
#!nbdkit_/bin/true names something else than a compiled plugin
EOT
    printf '#!/usr/bin/nbdkit nosuch\n' >"$DIR/one"
    refused nbdkit-nosuch-plugin.so "$DIR/one"
    # What is not executable, or has no such line, is no plugin by name.
    cp "$DIR/one" "$DIR/nbdkit-lab-plugin"
    chmod -x "$DIR/nbdkit-lab-plugin"
    cp /bin/true "$DIR/nbdkit-lob-plugin"
    NBDLAB_PLUGIN_PATH=$DIR refused nbdkit-lab-plugin.so lab
    NBDLAB_PLUGIN_PATH=$DIR refused nbdkit-lob-plugin.so lob
    # Nor is a FIFO, which nobody waits for.
    mkfifo -m 755 "$DIR/nbdkit-fifo-plugin"
    export NBDLAB_PLUGIN_PATH=$DIR
    run -1 timeout "$BOUND_S" "$NBDLAB" fifo --run :
    run -1 timeout "$BOUND_S" "$NBDLAB" "$DIR/nbdkit-fifo-plugin" --run :
}

@test "a plugin that nbdlab has none of is nbdkit's, where that is installed" {
    run -0 "$NBDLAB" -v pattern 1M --run 'nbdinfo --size "$uri"'
    same "${lines[-1]}" 1048576
    contains "$output" "plugin pattern is nbdkit's, as nbdlab's folders have none of that name: /usr/"
    run -0 "$NBDLAB" memory --dump-plugin
    contains "$output" "path=$(realpath "$BUILD")/plugins/"
    refused "nbdkit/plugins" nosuch
}

@test "make install with DESTDIR: the copy finds its own plugins" {
    mkdir -p "$DIR/stage/usr/local/bin" "$DIR/stage/usr/local/lib/nbdlab/plugins"
    cp "$REAL_NBDLAB" "$DIR/stage/usr/local/bin"
    cp "$BUILD"/plugins/nbdkit-{sh,memory}-plugin.so "$DIR/stage/usr/local/lib/nbdlab/plugins"
    run -0 "$DIR/stage/usr/local/bin/nbdlab" memory --dump-plugin
    contains "$output" "path=$DIR/stage/usr/local/lib/nbdlab/plugins/nbdkit-memory-plugin.so"
}

@test "a plugin by a relative path" {
    cd "$BUILD/tests/plugins"
    run -0 "$NBDLAB" ./told.so --dump-plugin
    contains "$output" name=told
}

@test "-e takes at most 4096 bytes of UTF-8" {
    run -1 "$NBDLAB" -e "$(head -c 4097 /dev/zero | tr '\0' x)" memory 1M --run true
    contains "$output" "-e/--exportname: the name of an export is UTF-8 of at most 4096 bytes"
    run -1 "$NBDLAB" -e $'\xff' memory 1M --run true
    "$NBDLAB" -e "$(head -c 4096 /dev/zero | tr '\0' x)" memory 1M --run true
}

@test "a server that runs out of descriptors while it starts leaves no pid file and no socket" {
    local count
    for count in $(seq 4 16); do
        (
            ulimit -n "$count"
            exec "$NBDLAB" -U "$SOCK" -P "$PIDFILE" memory 1M --run true 3>&- 4>&-
        ) || true
        [ ! -e "$PIDFILE" ]
        [ ! -e "$SOCK" ]
    done
}

@test "@FILE: parameters that stand in a file" {
    cat >"$DIR/file" <<'EOT'
# A comment, and an empty line.

   get_size=echo 12345
	pread=head -c $3 /dev/zero # no comment
  	# A comment
EOT
    sed -i 's/\\t/\t/' "$DIR/file"
    same "$("$NBDLAB" eval @"$DIR/file" --run 'nbdinfo --size "$uri"')" 12345
    cd "$DIR"
    # Among others, and several of them; the last line may end without a newline.
    printf 'size=2M' >first
    printf 'allocator=malloc\r\n' >second
    same "$("$NBDLAB" memory @second @first --run 'nbdinfo --size "$uri"')" 2097152
    same "$("$NBDLAB" memory @second size=1M --run 'nbdinfo --size "$uri"')" 1048576
    # A bare value as the first parameter, and an @ in a file, are values like others.
    cp "$TESTS/../examples/hello.sh" @script.sh
    printf './@script.sh\n' >script
    "$NBDLAB" sh @script --run 'nbdinfo --size "$uri"'
    printf '@script.sh\n' >script
    "$NBDLAB" sh @script --run 'nbdinfo --size "$uri"'
    run -0 "$NBDLAB" memory @first --dump-plugin
    : >empty
    same "$("$NBDLAB" memory @empty 1M --run 'nbdinfo --size "$uri"')" 1048576
}

@test "@FILE: what is wrong with the file or a line of it" {
    refused "there is no file of parameters '$DIR/nosuch': No such file" -f -U "$SOCK" memory "@$DIR/nosuch"
    contains "$output" "size: \"@$DIR/nosuch\" is not a size"
    refused "there is no file of parameters '': " -f -U "$SOCK" memory @
    refused "there is no file of parameters '$DIR': Is a directory" -f -U "$SOCK" memory "@$DIR"
    refused "'@nosuch' was passed to the plugin as it is" -f -U "$SOCK" sh @nosuch
    refused "cannot read parameters from @/proc/self/mem: Input/output" -f -U "$SOCK" memory @/proc/self/mem
    printf '# one\n\nsize=nonsense\nsize=1M\n' >"$DIR/file"
    refused "@$DIR/file: in line 3" -f -U "$SOCK" memory "@$DIR/file"
    contains "$output" nonsense
    printf 'size=1\0M\n' >"$DIR/file"
    refused "NUL" -f -U "$SOCK" memory "@$DIR/file"
    head -c 3000000 /dev/zero | tr '\0' x >"$DIR/file"
    refused "in line 1" -f -U "$SOCK" memory "@$DIR/file"
}

@test "@WORD: a plugin gets it as it is where there is no file of that name" {
    local data
    data=$(echo /usr/lib/*/nbdkit/plugins/nbdkit-data-plugin.so)
    # What it leaks is its own.
    export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
    cd "$DIR"
    run -0 "$NBDLAB" -v "$data" '@100 1' --run 'nbdinfo --size "$uri"'
    contains "$output" "@100 1: a parameter for the plugin, not a file: No such file or directory"
    same "${lines[-1]}" 101
    # A folder is no file of parameters, and a key makes a value of any word.
    mkdir 0x10
    same "$("$NBDLAB" "$data" '@0x10' --run 'nbdinfo --size "$uri"')" 16
    echo 'data=1 2 3' >'100 1'
    run -0 "$NBDLAB" -v "$data" '@100 1' --run 'nbdinfo --size "$uri"'
    contains "$output" "@100 1: parameters from this file"
    same "${lines[-1]}" 3
    same "$("$NBDLAB" "$data" data='@100 1' --run 'nbdinfo --size "$uri"')" 101
}

@test "--selinux-label: the kernel is told" {
    local unshare="unshare -m"
    [ "$(id -u)" = 0 ] || unshare="unshare -rm"
    $unshare true || skip "no mount namespace of our own: $($unshare true 2>&1)"
    # A file in the place of the kernel's: exec keeps the process and its thread.
    : >"$DIR/label"
    # shellcheck disable=SC2016
    run -0 $unshare sh -c 'mount --bind "$DIR/label" /proc/$$/task/$$/attr/sockcreate && exec "$@"' sh \
        "$NBDLAB" --selinux-label=some_u:some_r:some_t:s0 -U "$SOCK" memory 1M \
        --run 'nbdinfo --size "$uri"; cat "$DIR/label"'
    same "$output" "1048576
some_u:some_r:some_t:s0"
}

@test "--selinux-label: a machine without SELinux is told apart from a wrong label" {
    [ ! -e /sys/fs/selinux/enforce ] || skip "SELinux is in use here"
    refused "--selinux-label: cannot label sockets x: Invalid argument: SELinux is not in use" \
        --selinux-label=x -f -U "$SOCK" -P "$PIDFILE" memory 1M
}

@test "--swap: what the server has, and will have, is locked; also with many clients and with -u" {
    [ "$(id -u)" = 0 ] || skip "only root may lock so much memory; run this as root to test it"
    for options in "" "-u daemon"; do
        # shellcheck disable=SC2086
        serve --swap $options memory 1M
        py <<'EOT'
def status(key):
    for line in open("/proc/%s/status" % os.environ["SERVER"]):
        if line.startswith(key + ":"):
            return int(line.split()[1])
# Sanitizers make mlockall(2) do nothing.
is_locked = SLOWER == 1
before = status("VmLck")
assert before > 1000 or not is_locked, before
clients = [ready() for _ in range(300)]
same(clients[-1].read(0, 4096), bytes(4096), "data")
# Every stack is in what will be locked, but not there before it is used.
if not is_locked:
    sys.exit(0)
if "--swap: only" in open(os.environ["LOG"]).read():
    same(status("VmLck"), before, "memory that is locked, under a limit that even root has here")
else:
    assert status("VmLck") > before + 300 * 1024, status("VmLck")
assert status("VmRSS") < 200 * 1024, status("VmRSS")
EOT
        stop
    done
}

@test "--swap: refused with advice where memory may not be locked" {
    py <<'EOT'
import resource
def limit():
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
    if os.geteuid() == 0:
        # Root without the capabilities that lift the limit.
        for capability in 14, 24:
            LIBC.prctl(24, capability, 0, 0, 0)
        os.setgroups([])
        os.setresuid(65534, 65534, 65534)
folder = tempfile.mkdtemp(prefix="nbdlab-test.", dir="/tmp")
os.chmod(folder, 0o755)
copy = shutil.copy(NBDLAB, folder)
shutil.copytree(BUILD + "/plugins", folder + "/plugins")
try:
    end = subprocess.run([copy, "--swap", "memory", "1M", "--run", "true"], preexec_fn=limit,
                         capture_output=True, cwd="/", env=dict(os.environ, HOME="/", TMPDIR="/tmp"))
finally:
    shutil.rmtree(folder)
if SLOWER > 1:
    same(end.returncode, 0, "exit status with a sanitizer, which makes mlockall(2) do nothing")
    sys.exit(0)
same(end.returncode, 1, "exit status")
assert b"--swap: cannot lock the server in memory: " in end.stderr, end.stderr
assert b"ulimit -l unlimited" in end.stderr, end.stderr
EOT
}

@test "a plugin that is not found: the nearest name and all that are there; a file: what to do with it" {
    cd "$DIR"
    run -1 "$NBDLAB" memry 1M
    contains "$output" "cannot find plugin 'memry' (did you mean memory?): there is no"
    contains "$output" "; there are "
    contains "$output" "eval, "
    run -1 "$NBDLAB" ''
    contains "$output" "the name of the plugin is empty"
    for file in "c:nbdlab cc ./disk.c" "py:nbdlab python ./disk.py" "ml:nbdlab-ocaml-plugin(3)" \
        "rs:nbdlab-rust-plugin(3)" "sh:chmod +x ./disk.sh" "so:with -shared"; do
        touch "disk.${file%%:*}"
        run -1 "$NBDLAB" "./disk.${file%%:*}"
        contains "$output" "${file#*:}"
    done
}
