#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Listening on TCP and AF_VSOCK: addresses, address families, ports, keepalive, how many clients
# are let in, and who only knocks.

load common

has_ipv6() {
    [ -e /proc/net/if_inet6 ] && grep -q '^0\{31\}1 ' /proc/net/if_inet6
}

# serve_tcp ARGS...: on a free port, which is then in $PORT.
serve_tcp() {
    rm -f "$PIDFILE" "$DIR/out"
    start_bare -f -p 0 -P "$PIDFILE" "$@"
    wait_ready
    PORT=$(cat "$DIR/out")
    export PORT
}

# reaches ADDRESS: can a client connect there?
reaches() {
    py "$1" <<'EOT'
try:
    socket.create_connection((sys.argv[1], int(os.environ["PORT"])), BOUND_S).close()
except ConnectionRefusedError:
    sys.exit("nobody listens there")
EOT
}

@test "-4 and -6: addresses of one kind only, the last one counts" {
    for options in -4 --ipv4-only "-6 -4"; do
        # shellcheck disable=SC2086
        serve_tcp $options memory 1M
        reaches 127.0.0.1
        has_ipv6 && run -1 reaches ::1
        stop
    done
    has_ipv6 || skip "there is no IPv6 loopback here"
    for options in -6 --ipv6-only "-4 -6"; do
        # shellcheck disable=SC2086
        serve_tcp $options memory 1M
        reaches ::1
        run -1 reaches 127.0.0.1
        stop
    done
    serve_tcp memory 1M
    reaches ::1
    reaches 127.0.0.1
    stop
}

@test "-4 and -6 choose among the addresses of a name" {
    serve_tcp -4 -i localhost memory 1M
    reaches 127.0.0.1
    has_ipv6 && run -1 reaches ::1
    stop
    run -1 "$NBDLAB" -f -4 -i ::1 -p 0 memory 1M
    contains "$output" "cannot listen on '::1', IPv4 only (-4)"
    run -1 "$NBDLAB" -f -6 -i 127.0.0.1 -p 0 memory 1M
    contains "$output" "cannot listen on '127.0.0.1', IPv6 only (-6)"
    run -1 "$NBDLAB" -f -i "" -p 0 memory 1M
    contains "$output" "option -i/--ipaddr needs a value that is not empty"
    run -1 "$NBDLAB" -f -i 192.0.2.1 -p 0 memory 1M
    contains "$output" "cannot listen on port 0 of 192.0.2.1: Cannot assign requested address"
}

@test "-i: this address only" {
    serve_tcp -i 127.0.0.2 memory 1M
    reaches 127.0.0.2
    run -1 reaches 127.0.0.1
    stop
}

@test "-i: a name that has an address twice" {
    local unshare="unshare -m"
    [ "$(id -u)" = 0 ] || unshare="unshare -rm"
    $unshare true || skip "no mount namespace of our own: $($unshare true 2>&1)"
    printf '127.0.0.1 twice\n127.0.0.2 twice\n127.0.0.1 twice again\n' >"$DIR/hosts"
    # shellcheck disable=SC2016
    run -0 $unshare sh -c 'mount --bind "$DIR/hosts" /etc/hosts && exec "$@"' sh \
        "$NBDLAB" -i twice -p 0 memory 1M --run 'nbdinfo --size "nbd://127.0.0.1:$port"
            nbdinfo --size "nbd://127.0.0.2:$port"; echo "$uri" | tr -d 0-9'
    same "$output" "1048576
1048576
nbd://twice:"
}

@test "-p: 10809 if not given, and any number of a port" {
    unshare -rn true || skip "no network namespace of our own: $(unshare -rn true 2>&1)"
    # A network of our own has all ports free.
    for options in "" "-p 10809" "-p 65535" "-p 1" "-p 0x2a39"; do
        # shellcheck disable=SC2086
        run -0 unshare -rn "$NBDLAB" $options -4 --print-uri memory 1M --run 'echo "$port"; cat /proc/net/tcp'
        local wanted=${options#-p }
        wanted=$((${wanted:-10809}))
        if [ -z "$options" ]; then
            # --run without -p has a private socket.
            contains "${lines[0]}" "nbd+unix://"
            continue
        fi
        same "${lines[0]}" "nbd://localhost:$wanted"
        same "${lines[3]}" "$wanted"
        contains "$output" "00000000:$(printf %04X "$wanted") 00000000:0000 0A"
    done
    run -0 unshare -rn sh -c '"$NBDLAB" -4 -P "$PIDFILE" memory 1M && cat /proc/net/tcp; kill "$(cat "$PIDFILE")"' 3>&- 4>&-
    contains "$output" "00000000:2A39 00000000:0000 0A"
}

@test "-p: a name, a negative number, too large a number" {
    for port in 65536 -1 4294967296 nbd "" 1x 10.5; do
        run -1 "$NBDLAB" -f -p "$port" memory 1M
        contains "$output" "-p/--port"
    done
}

@test "--keepalive: the system asks idle TCP clients whether they are there" {
    for options in "" --keepalive --keep-alive; do
        # shellcheck disable=SC2086
        py $options <<'EOT'
server = Server()
command = [NBDLAB, "-f", "-p", "0", "-i", "127.0.0.1", "-P", server.pidfile, *sys.argv[1:], "memory", "1M"]
with server:
    server.process = subprocess.Popen(command, stdout=subprocess.PIPE)
    port = int(server.process.stdout.readline())
    client = ready(port)
    values = [kept.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
              for kept in sockets_of(server.process.pid)
              if not kept.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)]
    same(values, [len(sys.argv) - 1], "SO_KEEPALIVE of the client's socket")
    same(server.stop(), 0, "exit status")
EOT
    done
    # Without effect, and without harm, where there is no TCP.
    serve --keepalive memory 1M
    same "$(nbdinfo --size "$URI")" 1048576
    stop
}

@test "--connections: further clients wait, one line says so, and they come in when one leaves" {
    serve --connections=3 memory 1M
    py <<'EOT'
def said():
    return sum("further ones have to wait" in line for line in lines(os.environ["LOG"]))
inside = [ready() for _ in range(3)]
waiting = [connect() for _ in range(4)]
until(lambda: said() == 1, "the line about the limit")
for client in waiting:
    same(client.is_readable(0.02), False, "a greeting beyond the limit")
for _ in range(4):
    inside.pop().disconnect()
    next_one = waiting.pop(0)
    next_one.handshake()
    same(next_one.read(0, 512), bytes(512), "data")
    inside.append(next_one)
same(said(), 1, "lines about the limit")
EOT
    stop
    has "warning: --connections=3: as many clients are connected, further ones have to wait"
}

@test "--connections: after there was room for all, the limit is logged anew" {
    serve --connections=1 memory 1M
    py <<'EOT'
def said():
    return sum("further ones have to wait" in line for line in lines(os.environ["LOG"]))
def attempt(count):
    """One client inside, one that waits: a new line, if nobody was left to wait before."""
    first = ready()
    second = connect()
    try:
        until(lambda: said() == count, "the line about the limit", 0.2)
    except Silence:
        pass
    first.disconnect()
    second.handshake()
    second.disconnect()
    return said() == count
for n in range(1, 4):
    until(lambda: attempt(n), "line %d about the limit" % n)
EOT
    stop
}

@test "a server without descriptors left says so once, and lets clients in as others leave" {
    ulimit -S -n 32
    serve memory 1M
    ulimit -S -n "$(ulimit -H -n)" 2>/dev/null || :
    py <<'EOT'
def said():
    return sum("cannot accept a client for now: Too many open files" in line
               for line in lines(os.environ["LOG"]))
clients = [connect() for _ in range(40)]
until(lambda: said() == 1, "the line about descriptors")
inside = [client for client in clients if client.is_readable(0)]
waiting = [client for client in clients if client not in inside]
assert len(waiting) > 5, len(waiting)
for _ in range(3):
    inside.pop().sock.close()
    until(lambda: any(client.is_readable(0) for client in waiting), "a client to be let in")
    inside.extend(client for client in waiting if client.is_readable(0))
    waiting = [client for client in waiting if not client.is_readable(0)]
same(said(), 1, "lines about descriptors")
EOT
    stop
}

@test "--connections: malformed values" {
    for value in 0 -1 many 1.5 "" 99999999999; do
        run -1 "$NBDLAB" -f -U "$SOCK" --connections="$value" memory 1M
        contains "$output" "--connections"
    done
}

@test "clients that only knock leave no line in the log" {
    serve_tcp -i 127.0.0.1 memory 1M
    py <<'EOT'
port = int(os.environ["PORT"])
def knock():
    return socket.create_connection(("127.0.0.1", port), BOUND_S)
for _ in range(20):
    knock().close()
for _ in range(20):
    # With a reset in place of a goodbye.
    quick = knock()
    quick.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    quick.close()
for _ in range(20):
    # Reads the greeting first.
    polite = knock()
    polite.recv(18)
    polite.close()
for _ in range(5):
    half = knock()
    half.shutdown(socket.SHUT_WR)
    while half.recv(4096):
        pass
ready(port).disconnect()
EOT
    stop
    same "$(messages)" ""
}

@test "--vsock: the port is in \$uri and \$port, and the socket listens there" {
    py <<'EOT'
try:
    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
except OSError as error:
    # A kernel without it: the message is the effect.
    end = subprocess.run([NBDLAB, "-f", "--vsock", "-p", "0", "memory", "1M"], capture_output=True)
    same(end.returncode, 1, "exit status")
    assert b"--vsock: cannot listen on AF_VSOCK port 0" in end.stderr, end.stderr
    sys.exit(0)
server = Server()
with server:
    server.process = subprocess.Popen(
        [NBDLAB, "--vsock", "-p", "0", "-P", server.pidfile, "memory", "1M", "--run",
         'echo "$uri|$port|$unixsocket"; read -r line; true'],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    uri, port, path = server.process.stdout.readline().decode().strip().split("|")
    same(uri, "nbd+vsock://1:%s" % port, "$uri")
    same(path, "", "$unixsocket")
    listening = [kept for kept in sockets_of(server.process.pid)
                 if kept.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)]
    same(len(listening), 1, "sockets that listen")
    same(listening[0].getsockname(), (socket.VMADDR_CID_ANY, int(port)), "bound to")
    # Where the kernel has a loopback for it, a client comes in.
    probe = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    probe.settimeout(0.5)
    try:
        probe.connect((1, int(port)))
    except OSError:
        pass
    else:
        handle = nbd.NBD()
        handle.connect_vsock(1, int(port))
        same(handle.get_size(), 1 << 20, "size")
        handle.shutdown()
    probe.close()
    taken = subprocess.run([NBDLAB, "-f", "--vsock", "-p", port, "memory", "1M"], capture_output=True)
    same(taken.returncode, 1, "exit status of a second server")
    assert b"AF_VSOCK port %s: Address already in use" % port.encode() in taken.stderr, taken.stderr
    server.process.stdin.close()
    same(server.wait(), 0, "exit status")
EOT
}

@test "--vsock: ports of 32 bits, and a port that the system picks" {
    run -0 "$NBDLAB" --vsock -p 4000000123 --print-uri memory 1M --run 'echo "$port"'
    same "${lines[0]}|${lines[3]}" "nbd+vsock://1:4000000123|4000000123"
    start_bare -f --vsock -p 0 -P "$PIDFILE" memory 1M
    wait_ready
    [ "$(cat "$DIR/out")" -gt 0 ]
    stop
    run -1 "$NBDLAB" -f --vsock -p 4294967296 memory 1M
    contains "$output" "-p/--port"
}

@test "--vsock: a kernel without it is told apart from a port in use" {
    py <<'EOT'
end = subprocess.run([NBDLAB, "-f", "--vsock", "-p", "0", "memory", "1M"], capture_output=True,
                     preexec_fn=lambda: forbid_sockets(socket.AF_VSOCK, errno_module.EAFNOSUPPORT))
same(end.returncode, 1, "exit status")
assert b"--vsock: cannot listen on AF_VSOCK port 0: Address family not supported" in end.stderr, end.stderr
assert b"modprobe" in end.stderr, end.stderr
EOT
}

@test "--vsock has no address and no path" {
    for options in "-U $SOCK" "-i 127.0.0.1" -s; do
        # shellcheck disable=SC2086
        run -1 "$NBDLAB" --vsock $options memory 1M </dev/null
        contains "$output" "cannot be used together"
        contains "$output" "--vsock"
    done
}
