#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Services: sockets that a superserver listens on already (LISTEN_FDS), telling a service manager
# that the server is ready (NOTIFY_SOCKET), and the units in examples/.

load common

# What the Python of these tests has in common: sockets of every kind that listen, and ways to
# start and end a server that gets them.
PRELUDE='
DIR = os.environ["DIR"]
def unix(name, kind=socket.SOCK_STREAM, listens=True):
    sock = socket.socket(socket.AF_UNIX, kind)
    sock.bind(DIR + "/" + name if name[0] != "@" else "\0" + name[1:])
    if listens:
        sock.listen()
    return sock
def tcp(host="127.0.0.1", family=socket.AF_INET):
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.bind((host, 0))
    sock.listen()
    return sock
def refused(part, sockets, *args, **more):
    process = activate(sockets, *args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    try:
        said = process.communicate(timeout=BOUND_S)[1].decode()
    finally:
        process.kill()
    same(process.returncode, 1, "exit status")
    assert part in said and said.startswith(os.path.basename(NBDLAB) + ": error: "), said
def stop(process, status=0):
    process.send_signal(signal.SIGTERM)
    same(process.wait(BOUND_S), status, "exit status")
def notified(sock):
    assert select.select([sock], [], [], BOUND_S)[0], "nobody said anything"
    return dict(line.split("=", 1) for line in sock.recv(4096).decode().strip().split("\n"))
'

pyx() {
    { echo "$PRELUDE"; cat; } | py "$@"
}

@test "activation by libnbd" {
    pyx <<'EOT'
handle = nbd.NBD()
handle.connect_systemd_socket_activation([NBDLAB, "--exit-with-parent", "-P", DIR + "/pid", "memory", "1M"])
same(handle.get_size(), 1 << 20, "size")
handle.pwrite(b"x" * 512, 0)
same(handle.pread(512, 0), b"x" * 512, "data")
pid = int(open(DIR + "/pid").read())
handle.shutdown()
del handle
until(lambda: not is_alive(pid), "the server to end with its parent's handle")
EOT
}

@test "activation by systemd-socket-activate: the server stays in the foreground" {
    systemd-socket-activate -l "$SOCK" --fdname=disk "$NBDLAB" -v -P "$PIDFILE" memory 1M 2>>"$LOG" 3>&- 4>&- &
    SERVER=$!
    STARTED+=("$SERVER")
    wait_for has "Listening on"
    same "$(nbdinfo --size "$URI")" 1048576
    same "$(cat "$PIDFILE")" "$SERVER"
    stop
    has 'listening on descriptor 3, "disk"'
    # It is the superserver's to remove.
    [ -S "$SOCK" ]
}

@test "activation with several sockets of every kind, which have names" {
    pyx <<'EOT'
sockets = [unix("one"), tcp(), unix("@nbdlab-test-%d" % os.getpid()), unix("two words")]
names = ["first", "", "abstract", "fourth\x1b[1m"]
if os.path.exists("/proc/net/if_inet6"):
    sockets.append(tcp("::1", socket.AF_INET6))
    names.append("six")
early = Client(unix_client := socket.socket(socket.AF_UNIX))
unix_client.settimeout(BOUND_S)
unix_client.connect(DIR + "/one")   # is there before the server is
with open(DIR + "/log", "wb") as log:
    process = activate(sockets, "-v", "memory", "1M", names=":".join(names), stderr=log)
early.handshake()
same(early.size, 1 << 20, "size for the early client")
for number, sock in enumerate(sockets):
    client = socket.socket(sock.family)
    client.settimeout(BOUND_S)
    client.connect(sock.getsockname())
    client = Client(client)
    client.handshake()
    same(client.size, 1 << 20, "size at socket %d" % number)
    client.disconnect()
early.disconnect()
stop(process)
assert os.path.exists(DIR + "/one") and os.path.exists(DIR + "/two words")
said = "\n".join(lines(DIR + "/log"))
assert 'debug: client 1 comes in at the socket "first"' in said, said
assert 'comes in at the socket "abstract"' in said, said
assert r'comes in at the socket "fourth\x1b[1m"' in said, said
same(said.count("comes in at the socket"), len(sockets), "clients at sockets that have a name")
EOT
}

@test "activation over AF_VSOCK" {
    pyx <<'EOT'
try:
    sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
except OSError as error:
    print("no AF_VSOCK here: %s" % error)
    sys.exit(0)
sock.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
sock.listen()
process = activate([sock, unix("sock")], "--print-uri", "memory", "1M", stdout=subprocess.PIPE)
same(process.stdout.readline().decode(), "nbd+vsock://1:%d\n" % sock.getsockname()[1], "URI")
same(libnbd(DIR + "/sock").get_size(), 1 << 20, "size")
stop(process)
EOT
}

@test "activation: --print-uri names each socket that a URI can name" {
    pyx <<'EOT'
sockets = [unix("it's"), tcp(), unix("@nbdlab-test-%d" % os.getpid()), tcp("0.0.0.0")]
process = activate(sockets, "--print-uri", "-e", "x y", "memory", "1M", stdout=subprocess.PIPE)
printed = [process.stdout.readline().decode().rstrip("\n") for _ in range(9)]
same(printed[0::3], ["nbd+unix:///x%20y?socket=" + DIR + "/it%27s",
                     "nbd://127.0.0.1:%d/x%%20y" % sockets[1].getsockname()[1],
                     "nbd://localhost:%d/x%%20y" % sockets[3].getsockname()[1]], "URIs")
for uri in printed[0::3]:
    handle = nbd.NBD()
    handle.connect_uri(uri)
    same(handle.get_size(), 1 << 20, "size")
    handle.shutdown()
stop(process)
EOT
}

@test "activation: children see neither the variables nor the sockets" {
    pyx <<'EOT'
script = "{ env; ls -l /proc/$$/fd; } >%s/seen; echo 1M" % DIR
process = activate([unix("sock"), unix("more")], "eval", "get_size=" + script, "pread=exit 1",
                   names="a:b", environment={"NOTIFY_SOCKET": DIR + "/notify"})
same(libnbd(DIR + "/sock").get_size(), 1 << 20, "size")
seen = open(DIR + "/seen").read()
assert "tmpdir=" in seen
for word in "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "socket:":
    assert word not in seen, seen
stop(process)
EOT
}

@test "activation: what it is not for is ignored, and taken away" {
    pyx <<'EOT'
def seen_by(**more):
    process = activate([unix("other%d" % random.randrange(1 << 60))], "-f", "-U", DIR + "/sock",
                       "-P", DIR + "/pid", "eval", "get_size=env >%s/seen; echo 1M" % DIR,
                       "pread=exit 1", **more)
    until(lambda: os.path.exists(DIR + "/pid"), "the server")
    same(libnbd(DIR + "/sock").get_size(), 1 << 20, "size")
    stop(process)
    assert "LISTEN_" not in open(DIR + "/seen").read()
import random
for pid in "1", "0", "", "me", "-1", "99999999999999999999":
    seen_by(pid=pid)
EOT
    LISTEN_FDS=1 serve memory 1M
    stop
}

@test "activation: other ways to say where to listen are refused by name" {
    pyx <<'EOT'
for option, words in {"-i": ["-i", "127.0.0.1"], "--ipaddr": ["--ipaddr=::1"], "-p": ["-p", "0"],
                      "--run": ["--run", "touch " + DIR + "/ran"], "-s": ["-s"],
                      "-U": ["-U", DIR + "/x"], "--vsock": ["--vsock"]}.items():
    refused(option, [unix("sock" + option)], *words, "memory", "1M")
assert not os.path.exists(DIR + "/ran") and not os.path.exists(DIR + "/x")
# These say nothing of where.
process = activate([unix("sock")], "-4", "--keepalive", "memory", "1M")
same(libnbd(DIR + "/sock").get_size(), 1 << 20, "size")
stop(process)
EOT
}

@test "activation: descriptors that cannot be listened on are refused with what they are" {
    pyx <<'EOT'
for count in "0", "-1", "x", "", "65", "4294967297":
    refused("LISTEN_FDS=" + count, [unix("count" + count)], "memory", "1M", count=count)
refused("descriptor 4, \"\", is n", [unix("lone")], "memory", "1M", count="2")
with open("/dev/null") as file:
    refused('descriptor 4, "thing", is no socket', [unix("s1"), file], "memory", "1M", names="a:thing")
refused("is no stream socket", [unix("s2", socket.SOCK_DGRAM, False)], "memory", "1M")
refused("is no stream socket", [unix("s3", socket.SOCK_SEQPACKET)], "memory", "1M")
refused("does not listen", [unix("s4", listens=False)], "memory", "1M")
refused("Accept=no", [socket.socketpair()[0]], "memory", "1M")
EOT
}

@test "activation: with -u the sockets are kept" {
    [ "$(id -u)" = 0 ] || skip "only root can become another user; run this as root to test it"
    pyx <<'EOT'
process = activate([unix("sock")], "-u", "daemon", "-P", DIR + "/pid", "memory", "1M")
same(libnbd(DIR + "/sock").get_size(), 1 << 20, "size")
same(os.stat(DIR + "/sock").st_uid, 0, "owner of the superserver's socket")
assert "Uid:\t1\t1\t1\t1" in open("/proc/%d/status" % process.pid).read()
stop(process)
EOT
}

@test "readiness: READY=1 with the process that serves when clients can connect, then STOPPING=1" {
    pyx <<'EOT'
for address in DIR + "/notify", "\0nbdlab-test-notify-%d" % os.getpid():
    for mode in ["-f"], []:
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(address)
        gate = DIR + "/gate"
        os.mkfifo(gate)
        environment = dict(os.environ, NOTIFY_SOCKET=address.replace("\0", "@"))
        process = subprocess.Popen([NBDLAB, *mode, "-U", DIR + "/sock", "-P", DIR + "/pid", "eval",
                                    "after_fork=read -r line <" + gate, "get_size=echo 1M",
                                    "pread=exit 1"], env=environment)
        same(select.select([manager], [], [], 0.2)[0], [], "news before the server is ready")
        open_gate(gate)
        news = notified(manager)
        same(news["READY"], "1", "READY")
        client = ready(DIR + "/sock")
        if not mode:
            same(process.wait(BOUND_S), 0, "exit status of the parent")
        pid = int(open(DIR + "/pid").read())
        same(news["MAINPID"], str(pid), "MAINPID")
        assert news["STATUS"]
        os.kill(pid, signal.SIGTERM)
        same(notified(manager)["STOPPING"], "1", "STOPPING")
        until(lambda: not is_alive(pid), "the server to end")
        process.wait(BOUND_S)
        os.unlink(gate)
        if address[0] != "\0":
            os.unlink(address)
        manager.close()
EOT
}

@test "readiness: it is told as well when a script ends the server" {
    pyx <<'EOT'
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(DIR + "/notify")
environment = dict(os.environ, NOTIFY_SOCKET=DIR + "/notify")
process = subprocess.Popen([NBDLAB, "-f", "-U", DIR + "/sock", "eval", "get_size=echo 1M",
                            "pread=exit 4"], env=environment)
same(notified(manager)["READY"], "1", "READY")
client = ready(DIR + "/sock")
client.send_request(CMD_READ, 0, 512)
same(notified(manager)["STOPPING"], "1", "STOPPING")
same(process.wait(BOUND_S), 0, "exit status")
EOT
}

@test "readiness: a server that fails says nothing, and a manager that is gone does no harm" {
    pyx <<'EOT'
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(DIR + "/notify")
environment = dict(os.environ, NOTIFY_SOCKET=DIR + "/notify")
for arguments in ["memory", "size=x"], ["eval", "get_size=echo 1M", "pread=:", "after_fork=exit 1"]:
    same(subprocess.run([NBDLAB, "-f", "-U", DIR + "/sock", *arguments], env=environment,
                        stderr=subprocess.DEVNULL).returncode, 1, "exit status")
same(select.select([manager], [], [], 0.1)[0], [], "news of a server that failed")
EOT
    local path
    for path in "$DIR/gone" relative "vsock:2:1" "/$(printf 'x%.0s' {1..200})" "@"; do
        rm -f "$LOG"
        NOTIFY_SOCKET=$path serve memory 1M
        same "$(nbdinfo --size "$URI")" 1048576
        stop
        has "warning: "
        has NOTIFY_SOCKET
    done
    NOTIFY_SOCKET='' serve memory 1M
    stop
}

@test "readiness: the command of --run cannot speak for the server" {
    pyx <<'EOT'
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(DIR + "/notify")
environment = dict(os.environ, NOTIFY_SOCKET=DIR + "/notify")
end = subprocess.run([NBDLAB, "memory", "1M", "--run", "env"], env=environment, check=True,
                     capture_output=True)
assert b"NOTIFY_SOCKET" not in end.stdout
same(notified(manager)["READY"], "1", "READY")
EOT
}

@test "the units in examples/ are what systemd accepts" {
    local folder=$DIR/units unit
    mkdir "$folder"
    for unit in "$TESTS"/../examples/*.socket "$TESTS"/../examples/*.service; do
        # The program is not installed here.
        sed "s#/usr/local/bin/nbdlab#$NBDLAB#" "$unit" >"$folder/${unit##*/}"
    done
    [ -e "$folder/nbdlab.socket" ] && [ -e "$folder/nbdlab.service" ]
    run -0 systemd-analyze verify --man=no "$folder"/*
    same "$output" ""
    grep -qx Type=notify "$folder/nbdlab.service"
}

@test "the command of the example unit serves with the sockets of the example unit" {
    local command
    command=$(sed -n 's#^ExecStart=/usr/local/bin/nbdlab ##p' "$TESTS/../examples/nbdlab.service")
    truncate -s 1M "$DIR/disk.img"
    command=${command//\/var\/lib\/nbdlab/$DIR}
    pyx $command <<'EOT'
process = activate([unix("sock"), tcp()], *sys.argv[1:])
same(libnbd(DIR + "/sock").get_size(), 1 << 20, "size")
stop(process)
EOT
}
