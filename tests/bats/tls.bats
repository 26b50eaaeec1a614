#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# TLS with the clients that people use: certificates, clients' certificates and pre-shared keys,
# good and bad, in both versions; what plugins learn of it; and much data at once.

load common
load pki

setup_file() {
    make_pki "$BATS_FILE_TMPDIR/pki"
}

setup() {
    tls_setup
}

@test "certificates: clients are served with TLS, and without it where it is not required" {
    serve --tls=on --tls-certificates="$PKI/server" memory 1M
    same "$(nbdinfo --size "$(uri_of anonymous)")" 1048576
    same "$(nbdinfo --size "$(uri_of client)")" 1048576
    same "$(nbdinfo --size "$URI")" 1048576
    stop
    serve --tls=require --tls-certificates="$PKI/server" memory 1M
    run -0 nbdinfo "$(uri_of anonymous)"
    contains "$output" "with TLS"
    run ! nbdinfo "$URI"
    contains "$output" TLS
    stop
    lacks error
}

@test "certificates over TCP, where the client checks the server's name and dates" {
    py <<'EOT'
pki = os.environ["PKI"]
def info(port, host="localhost"):
    uri = "nbds://%s:%d/?tls-certificates=%s/anonymous" % (host, port, pki)
    return subprocess.run(["nbdinfo", "--size", uri], capture_output=True, text=True)
def serve(folder):
    pidfile = os.environ["DIR"] + "/pid-" + folder
    process = subprocess.Popen([NBDLAB, "-f", "-p", "0", "-i", "127.0.0.1", "-P", pidfile,
                                "--tls=require", "--tls-certificates=%s/%s" % (pki, folder),
                                "memory", "1M"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    until(lambda: os.path.exists(pidfile), "the server")
    return process, int(process.stdout.readline())
def polite(port, version):
    """A client that also says why it goes."""
    client = connect(port)
    client.greet()
    try:
        client.starttls(pki + "/anonymous", version)
    except ssl.SSLError:
        pass
for folder, reason in (("server", None), ("expired-server", "Certificate is expired"),
                       ("other-server", "CA is unknown")):
    process, port = serve(folder)
    try:
        for host in "localhost", "127.0.0.1":
            done = info(port, host)
            if reason:
                assert done.returncode != 0, "the client accepts " + folder
            else:
                same(done.stdout, "1048576\n", "the size, and not " + done.stderr)
        polite(port, ssl.TLSVersion.TLSv1_2)
        polite(port, ssl.TLSVersion.TLSv1_3)
        connect(port).greet()
    finally:
        process.terminate()
    log = process.communicate(timeout=BOUND_S)[1]
    same(process.returncode, 0, "exit status")
    same(log.count("error:"), 2 if reason else 0, log)
    if reason:
        assert "TLS handshake failed, the client says: " + reason in log, log
        assert "The client may not trust the server's certificate" in log, log
EOT
}

@test "certificates of clients: only those that hold are served, and the log says why not" {
    serve --tls=require --tls-verify-peer --tls-certificates="$PKI/server-crl" memory 1M
    same "$(nbdinfo --size "$(uri_of client)")" 1048576
    lacks error
    local count=0
    while read -r folder reason; do
        run ! nbdinfo "$(uri_of "$folder")"
        has "$reason"
        count=$((count + 1))
        same "$(grep -c error: "$LOG")" "$count"
        same "$(grep -c "TLS handshake failed, the client" "$LOG")" "$count"
    done <<'EOT'
anonymous shows no certificate that ca-cert.pem stands for
expired-client expired
future-client not yet valid
revoked-client revoked
server-as-client does not match the intended purpose
other-client shows no certificate that ca-cert.pem stands for
EOT
    same "$(nbdinfo --size "$(uri_of client)")" 1048576
    stop
}

@test "a client that shows a certificate of another authority all the same is not served" {
    for version in TLSv1_2 TLSv1_3; do
        serve --tls=require --tls-verify-peer --tls-certificates="$PKI/server" memory 1M
        py $version <<'EOT'
pki = os.environ["PKI"]
client = connect()
client.greet()
try:
    client.starttls(pki + "/other-client", getattr(ssl.TLSVersion, sys.argv[1]))
    client.list_exports()
except (ssl.SSLError, Closed, BrokenPipeError) as error:
    print(error)
else:
    raise AssertionError("the certificate was accepted")
client = connect()
client.greet()
client.starttls(pki + "/client", getattr(ssl.TLSVersion, sys.argv[1]))
client.go()
client.disconnect()
EOT
        stop
        same "$(grep -c "the client's certificate is not accepted: The certificate is NOT trusted. The certificate issuer is unknown." "$LOG")" 1
        same "$(grep -c error: "$LOG")" 1
        rm "$LOG"
    done
}

@test "without --tls-verify-peer nobody looks at the clients' certificates" {
    serve --tls=require --tls-certificates="$PKI/server-crl" memory 1M
    for folder in expired-client revoked-client other-client; do
        same "$(nbdinfo --size "$(uri_of "$folder")")" 1048576
    done
    stop
    lacks error
}

@test "pre-shared keys: the users of the file are served, with their keys only" {
    for priority in NORMAL NORMAL:-VERS-TLS1.3; do
        serve --tls=require --tls-psk="$PKI/keys.psk" --tls-priority=$priority memory 1M
        for user in alice bob; do
            same "$(nbdinfo --size "$(uri_of keys.psk "$user")")" 1048576
        done
        lacks error
        run ! nbdinfo "$(uri_of wrong.psk alice)"
        has "the client's key is probably not the one that user \"alice\" has"
        run ! nbdinfo "$(uri_of wrong.psk mallory)"
        has "there is no user \"mallory\" in the --tls-psk file"
        same "$(grep -c error: "$LOG")" 2
        run ! nbdinfo "$(uri_of anonymous)"
        run ! nbdinfo "$URI"
        same "$(nbdinfo --size "$(uri_of keys.psk bob)")" 1048576
        stop
        rm "$LOG"
    done
}

@test "nbdcopy, with several connections and many requests at once, in both versions" {
    head -c 24M /dev/urandom >"$DIR/disk"
    for priority in NORMAL NORMAL:-VERS-TLS1.3; do
        serve --tls=require --tls-certificates="$PKI/server" --tls-priority=$priority memory 24M
        nbdcopy --connections=4 --requests=64 "$DIR/disk" "$(uri_of anonymous)"
        nbdcopy --connections=1 --requests=64 "$(uri_of anonymous)" "$DIR/copy"
        cmp "$DIR/disk" "$DIR/copy"
        stop
    done
    serve --tls=require --tls-psk="$PKI/keys.psk" memory 24M
    nbdcopy "$DIR/disk" "$(uri_of keys.psk alice)"
    nbdcopy --connections=3 "$(uri_of keys.psk bob)" - | cmp - "$DIR/disk"
    stop
    lacks error
}

# qemu_img CREDENTIALS COMMAND ARGS...: with credentials "x509,dir=..." or "psk,dir=...".
qemu_img() {
    local credentials=$1 command=$2
    shift 2
    qemu-img "$command" --object "tls-creds-$credentials,id=tls0,endpoint=client" "$@"
}

@test "qemu-img: certificates, clients' certificates and pre-shared keys" {
    local disk="driver=nbd,server.type=unix,server.path=$SOCK,tls-creds=tls0"
    head -c 3M /dev/urandom >"$DIR/disk"
    serve --tls=require --tls-certificates="$PKI/server" memory 3M
    run -0 qemu_img "x509,dir=$PKI/anonymous" info --image-opts "$disk,tls-hostname=localhost"
    contains "$output" "3 MiB"
    run ! qemu_img "x509,dir=$PKI/anonymous" info --image-opts "$disk,tls-hostname=other.example"
    run ! qemu_img "x509,dir=$PKI/other-server" info --image-opts "$disk,tls-hostname=localhost"
    run ! qemu-img info "nbd+unix:///?socket=$SOCK"
    stop
    serve --tls=require --tls-verify-peer --tls-certificates="$PKI/server-crl" memory 3M
    qemu_img "x509,dir=$PKI/client" convert -n --target-image-opts --image-opts \
        "driver=raw,file.filename=$DIR/disk" "$disk,tls-hostname=localhost"
    qemu_img "x509,dir=$PKI/client" compare --image-opts "$disk,tls-hostname=localhost" \
        "driver=raw,file.filename=$DIR/disk"
    for folder in revoked-client other-client anonymous; do
        run ! qemu_img "x509,dir=$PKI/$folder" info --image-opts "$disk,tls-hostname=localhost"
    done
    stop
    serve --tls=require --tls-psk="$PKI/keys.psk" memory 3M
    run -0 qemu_img "psk,dir=$PKI,username=alice" info --image-opts "$disk"
    contains "$output" "3 MiB"
    run ! qemu_img "psk,dir=$PKI,username=mallory" info --image-opts "$disk"
    stop
}

@test "versions of TLS: 1.2 and 1.3, and nothing older unless it is asked for" {
    serve -v -D nbdkit.tls.session=1 --tls=require --tls-certificates="$PKI/server" memory 1M
    py <<'EOT'
folder = os.environ["PKI"] + "/anonymous"
for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
    client = connect()
    client.greet()
    client.starttls(folder, version)
    client.go()
    client.write(4096, b"x" * 100000)
    same(client.read(4096, 100000), b"x" * 100000, "data")
    client.disconnect()
EOT
    stop
    has "TLS: (TLS1.2)"
    has "TLS: (TLS1.3)"
    lacks "error:"
    rm "$LOG"
    serve --tls=require --tls-certificates="$PKI/server" memory 1M
    run ! gnutls_says "NORMAL:-VERS-ALL:+VERS-TLS1.1"
    stop
    has "TLS handshake failed"
}

# gnutls_says PRIORITY: nbdinfo with a priority that the environment imposes.
gnutls_says() {
    printf '[overrides]\ndisabled-version = TLS1.2\ndisabled-version = TLS1.3\n' >"$DIR/gnutls"
    GNUTLS_SYSTEM_PRIORITY_FILE=$DIR/gnutls nbdinfo "$(uri_of anonymous)"
}

@test "what a plugin learns: is_tls, and the names in a certificate that was checked" {
    serve --tls=on --tls-verify-peer --tls-certificates="$PKI/server" \
        "$BUILD/tests/plugins/secure.so" log="$DIR/calls"
    nbdinfo --size "$(uri_of client)"
    same "$(grep -v preconnect "$DIR/calls" | sort -u)" "\
close is_tls=1 dn=<CN=client.example,O=Big Co,L=New York,C=US> issuer=<CN=Lab CA>
default_export is_tls=1
get_ready is_tls=-1 dn=<none> issuer=<none>
open is_tls=1 dn=<CN=client.example,O=Big Co,L=New York,C=US> issuer=<CN=Lab CA>"
    same "$(grep preconnect "$DIR/calls")" "preconnect is_tls=0 dn=<> issuer=<>"
    contains "$(nbdinfo --list "$(uri_of client)")" 'export="secret"'
    contains "$(cat "$DIR/calls")" "list_exports is_tls=1"
    : >"$DIR/calls"
    contains "$(nbdinfo --list "$URI")" 'export="open"'
    nbdinfo --size "$URI"
    contains "$(cat "$DIR/calls")" "list_exports is_tls=0"
    contains "$(cat "$DIR/calls")" "default_export is_tls=0"
    contains "$(cat "$DIR/calls")" "open is_tls=0 dn=<> issuer=<>"
    stop
    : >"$DIR/calls"
    serve --tls=on --tls-certificates="$PKI/server" "$BUILD/tests/plugins/secure.so" \
        log="$DIR/calls"
    nbdinfo --size "$(uri_of client)"
    contains "$(cat "$DIR/calls")" "open is_tls=1 dn=<> issuer=<>"
    stop
}

@test "what a script learns: the tls argument of open, list_exports and default_export" {
    disk disk.sh <<EOT
#!/bin/sh
case \$1 in
    open|list_exports|default_export|preconnect) echo "\$@" >>$DIR/calls ;;
    get_size) echo 1M ;;
    pread) head -c \$3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    serve --tls=on --tls-psk="$PKI/keys.psk" sh "$DIR/disk.sh"
    nbdinfo --size "$(uri_of keys.psk alice)"
    nbdinfo --list "$(uri_of keys.psk alice)" >"$DIR/list"
    same "$(sort -u "$DIR/calls")" "\
default_export false true
list_exports false true
open false  true
preconnect false"
    : >"$DIR/calls"
    nbdinfo --size "$URI"
    nbdinfo --list "$URI" >"$DIR/list"
    same "$(sort -u "$DIR/calls")" "\
default_export false false
list_exports false false
open false  false
preconnect false"
    stop
}

@test "requests and replies in both directions at once, every byte checked" {
    for version in 1.2 1.3; do
        serve -t 16 --tls=require --tls-certificates="$PKI/server" \
            --tls-priority=NORMAL:-VERS-ALL:+VERS-TLS$version memory 64M
        TLS_FOLDER=$PKI/anonymous py <<'EOT'
import random, threading
PIECE, PIECES = 65536 + 511, 200
def work(seed):
    """Many requests in flight on one connection; each piece is written, read and compared."""
    chance = random.Random(seed)
    handle = libnbd()
    base = seed * PIECES * PIECE
    data = [chance.randbytes(chance.choice((1, 511, 16384, 16385, PIECE))) for _ in range(PIECES)]
    cookies, checks = set(), {}
    def settle(limit):
        while len(cookies) > limit:
            handle.poll(1000)
            for cookie in list(cookies):
                if handle.aio_command_completed(cookie):
                    cookies.remove(cookie)
                    follow = checks.pop(cookie, None)
                    if follow:
                        follow()
    def read_back(n):
        buffer = nbd.Buffer(len(data[n]))
        cookie = handle.aio_pread(buffer, base + n * PIECE)
        cookies.add(cookie)
        checks[cookie] = lambda: compare(n, buffer)
    def compare(n, buffer):
        assert bytes(buffer.to_bytearray()) == data[n], "piece %d of %d differs" % (n, seed)
        done.append(n)
    done = []
    for n in range(PIECES):
        cookie = handle.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(data[n])), base + n * PIECE)
        cookies.add(cookie)
        checks[cookie] = lambda n=n: read_back(n)
        settle(32)
    settle(0)
    same(sorted(done), list(range(PIECES)), "pieces that were compared")
    handle.shutdown()
failed = []
def guarded(seed):
    try:
        work(seed)
    except BaseException as error:
        failed.append(error)
        raise
threads = [threading.Thread(target=guarded, args=(seed,)) for seed in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failed
EOT
        stop
    done
    lacks error
}

@test "the longest read, the longest write, and a longer one that is refused and skipped" {
    serve --tls=require --tls-certificates="$PKI/server" memory 128M
    TLS_FOLDER=$PKI/anonymous py <<'EOT'
client = ready()
data = os.urandom(1 << 20) * 64
client.write(0, data)
assert client.read(0, len(data)) == data, "the data differs"
cookie = client.send_request(CMD_WRITE, 0, 65 << 20)
for n in range(65):
    client.send(bytes(1 << 20))
reply = client.reply()
same((reply.cookie, reply.error), (cookie, EINVAL), "a write of 65 MiB")
assert client.read(0, len(data)) == data, "the data was overwritten"
EOT
    stop
    lacks error
}

@test "clients that vanish in the middle harm nobody, and leave nothing behind" {
    serve --tls=require --tls-certificates="$PKI/server" memory 64M
    TLS_FOLDER=$PKI/anonymous py <<'EOT'
server = os.environ["SERVER"]
def usage():
    return len(os.listdir("/proc/%s/fd" % server)), len(os.listdir("/proc/%s/task" % server))
other = ready()
before = usage()
for n in range(40):
    client = ready(structured=False)  # holes are sent in full
    client.send_request(CMD_READ, 0, 8 << 20)
    if n % 4 == 0:
        client.send_request(CMD_WRITE, 0, 1 << 20, data=bytes(1000))
    if n % 2:
        client.vanish()
    else:
        client.receive(100000)
        client.close()
until(lambda: usage() <= before, "the sessions to end")
other.write(0, b"still" * 100)
same(other.read(0, 500), b"still" * 100, "data of another client")
EOT
    stop
    lacks error
}

@test "-s over a socket pair and over pipes" {
    for kind in socket pipes; do
        for end in leaves thrown; do
            single_over $kind $end
        done
    done
}

# single_over socket|pipes leaves|thrown: and the client leaves, or is thrown out.
single_over() {
    py "$@" <<'EOT'
import threading
folder = os.environ["PKI"]
command = [NBDLAB, "-s", "--tls=require", "--tls-certificates=%s/server" % folder, "eval",
           "get_size=echo 1M", "flush=exit 6", "pread=tail -c +$(($4 + 1)) $tmpdir/d | head -c $3",
           "pwrite=dd oflag=seek_bytes conv=notrunc seek=$4 of=$tmpdir/d 2>$tmpdir/dd"]
ours, theirs = socket.socketpair()
if sys.argv[1] == "socket":
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs)
    theirs.close()
else:
    # Two threads carry what goes over the pipes.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    def carry_in():
        while data := theirs.recv(65536):
            process.stdin.write(data)
            process.stdin.flush()
        process.stdin.close()
    def carry_out():
        while data := os.read(process.stdout.fileno(), 65536):
            theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
    for carry in carry_in, carry_out:
        threading.Thread(target=carry, daemon=True).start()
client = Client(ours)
client.greet()
client.starttls(folder + "/anonymous")
client.go()
data = os.urandom(300000)
client.write(4096, data)
same(client.read(4096, len(data)), data, "data")
client.send_request(CMD_DISC if sys.argv[2] == "leaves" else CMD_FLUSH)
same(client.ending(), "eof", "how the server hangs up")
same(process.wait(BOUND_S), 0, "exit status")
EOT
}

@test "a client that is thrown out is told the end of TLS, if it takes that at once" {
    for version in 1.2 1.3; do
        serve -t 16 --tls=require --tls-certificates="$PKI/server" \
            --tls-priority=NORMAL:-VERS-ALL:+VERS-TLS$version eval thread_model='echo parallel' \
            get_size='echo 64M' pread='[ "$4" != 65536 ] || exit 6; head -c "$3" /dev/zero'
        TLS_FOLDER=$PKI/anonymous py <<'EOT'
def drain(client):
    """All that still comes. Returns how the stream ends."""
    client.sock.settimeout(BOUND_S)
    try:
        while client.sock.recv(65536):
            pass
        return "close_notify"
    except (ssl.SSLError, ConnectionResetError):
        return "cut"

def count_sockets():
    """Those of the server."""
    count = 0
    for fd in os.scandir("/proc/%s/fd" % os.environ["SERVER"]):
        try:
            count += os.readlink(fd.path).startswith("socket:")
        except FileNotFoundError:
            pass  # it has just been closed
    return count

# By the script, for a breach of the protocol, and as libnbd sees it.
client = ready()
client.read(0, 512)
client.send_request(CMD_READ, 65536, 512)
same(drain(client), "close_notify", "the end of a client that exit 6 throws out")
client = ready()
client.send(b"no magic" * 4)
same(drain(client), "close_notify", "the end of a client that breaks the protocol")
handle = libnbd()
same(nbd_errno(handle.pread, 512, 65536) != 0, True, "the command fails")
same(handle.aio_is_dead() or handle.aio_is_closed(), True, "the handle is of no more use")

# Its replies fill the socket: it is cut off at once, and gets no end that would hide that.
client = ready()
before = count_sockets()
for _ in range(8):
    client.send_request(CMD_READ, 0, 4 << 20)
assert client.is_readable(BOUND_S), "no reply"
start_s = time.monotonic()
client.send_request(CMD_READ, 65536, 512)
until(lambda: count_sockets() < before, "the end of the connection")
assert time.monotonic() - start_s < 2 * SLOWER, "it took %.1f s" % (time.monotonic() - start_s)
same(drain(client), "cut", "the end of a client that takes nothing")
EOT
        stop
    done
}
