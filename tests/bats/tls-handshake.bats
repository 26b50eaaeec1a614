#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The way into TLS and out of it: NBD_OPT_STARTTLS, what --tls=require keeps from the clear, what is
# forgotten, injections and broken handshakes, and the goodbye at the end.

load common
load pki

setup_file() {
    make_pki "$BATS_FILE_TMPDIR/pki"
}

setup() {
    tls_setup
}

# Python: what these tests share.
PRELUDE='
pki = os.environ["PKI"]
server = int(os.environ["SERVER"])
def greeted():
    client = connect()
    client.greet()
    return client
def secure(version=None):
    client = greeted()
    client.starttls(pki + "/anonymous", version)
    return client
def hold_server():
    """What is sent from here until SIGCONT is read at once."""
    os.kill(server, signal.SIGSTOP)
    def state(task):
        with open("/proc/%d/task/%s/stat" % (server, task)) as stat:
            return stat.read().rpartition(")")[2].split()[0]
    until(lambda: {state(task) for task in os.listdir("/proc/%d/task" % server)} == {"T"},
          "the server to stop")
EVERY_OPTION = [(OPT_LIST, b""), (OPT_PEEK_EXPORT, b""), (OPT_INFO, go_query("")),
                (OPT_GO, go_query("")), (OPT_STRUCTURED_REPLY, b""),
                (OPT_LIST_META_CONTEXT, meta_query("")), (OPT_EXTENDED_HEADERS, b""),
                (OPT_SET_META_CONTEXT, meta_query("", "base:allocation")), (12345, b"data")]
'

tls_py() {
    { echo "$PRELUDE"; cat; } | py "$@"
}

serve_tls() {
    serve --tls=require --tls-certificates="$PKI/server" "$@"
}

@test "STARTTLS with data, STARTTLS inside TLS, and options of before and after" {
    serve --tls=on --tls-certificates="$PKI/server" memory 1M
    tls_py <<'EOT'
client = greeted()
same(client.refusal(OPT_STARTTLS, b"data"), REP_ERR_INVALID, "STARTTLS with data")
same(client.list_exports(), [("", "")], "exports before TLS")
client.starttls(pki + "/anonymous")
same(client.list_exports(), [("", "")], "exports inside TLS")
same(client.refusal(OPT_STARTTLS), REP_ERR_INVALID, "STARTTLS inside TLS")
same(client.refusal(OPT_STARTTLS, b"data"), REP_ERR_INVALID, "STARTTLS with data inside TLS")
for option, data in EVERY_OPTION:
    if option in (OPT_PEEK_EXPORT, OPT_GO, OPT_EXTENDED_HEADERS, 12345):
        continue
    client.ask(option, data)
client.is_structured = True
client.go()
same(client.read(0, 512), bytes(512), "data")
EOT
    stop
    lacks error
}

@test "require: before TLS everything but STARTTLS and ABORT is refused, and the plugin not asked" {
    serve_tls "$BUILD/tests/plugins/told.so" log="$DIR/calls"
    tls_py <<'EOT'
client = greeted()
for option, data in EVERY_OPTION:
    same(client.refusal(option, data), REP_ERR_TLS_REQD, "option %d" % option)
same(client.refusal(OPT_LIST, bytes(100000)), REP_ERR_TLS_REQD, "a long option")
same(client.refusal(OPT_GO, b"nonsense"), REP_ERR_TLS_REQD, "a malformed option")
client.abort()
same(client.ending(), "eof", "how the connection ends")
calls = lines(os.environ["DIR"] + "/calls")
assert not [line for line in calls if "open" in line or "list_exports" in line], calls
client = greeted()
client.refusal(OPT_GO, go_query(""))
client.starttls(pki + "/anonymous")
client.go()
client.read(0, 512)
EOT
    lacks error
    tls_py <<'EOT'
client = greeted()
client.send_option(OPT_EXPORT_NAME, b"")
same(client.ending(), "eof", "EXPORT_NAME without TLS")
client = connect()
client.greet(client_flags=0)
client.send_option(OPT_EXPORT_NAME, b"")
same(client.ending(), "eof", "EXPORT_NAME of an old client")
client = connect()
client.greet(client_flags=0)
client.send_option(OPT_STARTTLS)
same(client.ending(), "eof", "STARTTLS without fixed newstyle negotiation")
EOT
    stop
    same "$(grep -c "wants an export without TLS, which --tls=require forbids" "$LOG")" 2
}

@test "off, and no credentials: STARTTLS is refused for policy reasons, the rest is served" {
    for option in --tls=off --tls-certificates="$DIR/none"; do
        serve "$option" memory 1M
        tls_py <<'EOT'
client = greeted()
same(client.refusal(OPT_STARTTLS), REP_ERR_POLICY, "STARTTLS")
client.go()
same(client.read(0, 512), bytes(512), "data")
EOT
        stop
    done
}

@test "what was negotiated in the clear is forgotten, and an export opened there closed" {
    serve --tls=on --tls-certificates="$PKI/server" "$BUILD/tests/plugins/told.so" log="$DIR/calls"
    tls_py <<'EOT'
def calls(what):
    return sum(line.startswith("begin " + what) for line in lines(os.environ["DIR"] + "/calls"))
client = greeted()
client.negotiate_structured()
client.set_meta("x", "base:allocation")
client.inform(OPT_INFO, "x")
same((calls("open"), calls("close")), (1, 0), "opened and closed in the clear")
client.starttls(pki + "/anonymous")
client.is_structured = False
same((calls("open"), calls("close")), (1, 1), "opened and closed when TLS begins")
same(client.refusal(OPT_SET_META_CONTEXT, meta_query("x", "base:allocation")), REP_ERR_INVALID,
     "SET_META_CONTEXT without structured replies")
client.go("x")
same(client.command(CMD_READ, 0, 512).is_structured, False, "the reply's form")
same(client.errno(CMD_BLOCK_STATUS, 0, 512), EINVAL, "block status without a context")
client.disconnect()
until(lambda: calls("close") == 2, "the second close")
client = greeted()
client.negotiate_extended()
client.set_meta("", "base:allocation")
client.starttls(pki + "/anonymous")
client.is_extended = client.is_structured = False
client.negotiate_structured()
client.go()
same(client.errno(CMD_BLOCK_STATUS, 0, 512), EINVAL, "block status without a context")
client.read(0, 512)
EOT
    stop
    same "$(grep -c "begin open" "$DIR/calls")" 3
    same "$(grep -c "end close" "$DIR/calls")" 3
}

@test "bytes behind STARTTLS in the clear end the connection, unanswered, and are logged" {
    serve --tls=on --tls-certificates="$PKI/server" "$BUILD/tests/plugins/told.so" log="$DIR/calls"
    tls_py <<'EOT'
starttls = struct.pack(">QII", IHAVEOPT, OPT_STARTTLS, 0)
injected = struct.pack(">QII", IHAVEOPT, OPT_GO, len(go_query("x"))) + go_query("x")
for behind in injected, b"\x16\x03\x01":
    client = greeted()
    client.send(starttls + behind)
    client.ending()
EOT
    stop
    same "$(grep -c "the client did not wait for the answer to NBD_OPT_STARTTLS" "$LOG")" 2
    has "bytes follow it in the clear"
    same "$(grep -c error: "$LOG")" 2
    same "$(grep -c "begin open" "$DIR/calls")" 0
}

@test "injected after the answer, what is no TLS ends the connection, and is never an option" {
    serve --tls=on --tls-certificates="$PKI/server" "$BUILD/tests/plugins/told.so" log="$DIR/calls"
    tls_py <<'EOT'
import random
chance = random.Random(1)
go = struct.pack(">QII", IHAVEOPT, OPT_GO, len(go_query("x"))) + go_query("x")
tricks = [go, b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(65535),
          b"\x17\x03\x03\x00\x05hello", b"\x15\x03\x03\x00\x02\x02\x28"]
tricks += [b"\x16\x03\x01" + chance.randbytes(2000) for _ in range(20)]
for sent in tricks:
    client = greeted()
    client.ask(OPT_STARTTLS)
    try:
        client.send(sent)
        client.sock.shutdown(socket.SHUT_WR)
        while True:
            client.receive(1)
    except (Closed, ConnectionError, OSError):
        pass
secure().list_exports()
EOT
    stop
    same "$(grep -c "begin open" "$DIR/calls")" 0
    [ "$(grep -c "TLS handshake failed" "$LOG")" -ge 4 ]
    [ "$(grep -c error: "$LOG")" -le 25 ]
}

@test "clients that leave in the middle of the handshake log nothing, and one line with -v" {
    serve --tls=require --tls-certificates="$PKI/server" memory 1M
    tls_py <<'EOT'
def leave(sent):
    client = greeted()
    client.ask(OPT_STARTTLS)
    client.send(sent)
    client.close()
before = len(os.listdir("/proc/%d/fd" % server))
for sent in b"", b"\x16", b"\x16\x03\x01\x02\x00\x01":
    leave(sent)
client = greeted()
client.ask(OPT_STARTTLS)
client.vanish()
until(lambda: len(os.listdir("/proc/%d/fd" % server)) == before, "the sessions to end")
EOT
    stop
    same "$(messages)" ""
    serve_tls -v memory 1M
    tls_py <<'EOT'
client = greeted()
client.ask(OPT_STARTTLS)
client.close()
EOT
    wait_for grep -q "the client is gone" "$LOG"
    stop
    same "$(grep -c "the connection ended in the middle of the TLS handshake" "$LOG")" 1
}

@test "--timeout bounds the TLS handshake, silent and slow" {
    serve_tls --timeout=0.5 memory 1M
    tls_py <<'EOT'
for is_slow in False, True:
    start = time.monotonic()
    client = greeted()
    client.ask(OPT_STARTTLS)
    if is_slow:
        client.send(b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03")
    try:
        while is_slow and time.monotonic() < start + BOUND_S:
            client.send(b"\0")
            select.select([client.sock], [], [], 0.02)
        client.ending()
    except (Closed, ConnectionError):
        pass
    took_s = time.monotonic() - start
    assert 0.4 < took_s < 0.5 + SLOWER, "it took %.2f s" % took_s
client = secure()
client.go()
select.select([client.sock], [], [], 1)
same(client.read(0, 512), bytes(512), "data of a client that was in time")
EOT
    stop
    same "$(messages)" ""
}

@test "--timeout also bounds what comes inside TLS, however busily it is sent" {
    serve_tls --timeout=0.5 memory 1M
    tls_py <<'EOT'
start = time.monotonic()
client = secure()
client.send_option(OPT_LIST, length=2 ** 32 - 1)
try:
    while time.monotonic() < start + BOUND_S:
        client.send(bytes(65536))
except ConnectionError:
    pass
took_s = time.monotonic() - start
assert 0.4 < took_s < 0.5 + SLOWER, "it took %.2f s" % took_s
EOT
    stop
    same "$(messages)" ""
}

@test "the end of the server does not wait for a TLS handshake" {
    serve_tls memory 1M
    TLS_FOLDER=$PKI/anonymous tls_py <<'EOT'
silent = greeted()
silent.ask(OPT_STARTTLS)
halfway = greeted()
halfway.ask(OPT_STARTTLS)
halfway.send(b"\x16\x03\x01\x02\x00\x01\x00")
expect_prompt_end(lambda: os.kill(server, 15))
silent.ending()
halfway.ending()
EOT
    wait_exit
    lacks error
}

@test "the server says goodbye: after DISC, ABORT, when it stops and where it throws out" {
    serve_tls eval get_size='echo 1M' pread='[ $4 = 0 ] || exit 6; head -c $3 /dev/zero'
    TLS_FOLDER=$PKI/anonymous tls_py <<'EOT'
client = ready()
client.send_request(CMD_DISC)
same(client.ending(), "eof", "after DISC")
client = secure()
client.abort()
same(client.ending(), "eof", "after ABORT")
client = ready()
client.send_request(CMD_READ, 512, 512)
same(client.ending(), "eof", "after a forced disconnect")
client = ready()
os.kill(server, 15)
same(client.ending(), "eof", "at the end of the server")
EOT
    wait_exit
    same "$(grep -c error: "$LOG")" 1
}

@test "a client that ends its side first still gets its replies" {
    for version in 1.2 1.3; do
        mkfifo "$DIR/gate$version"
        serve_tls --tls-priority=NORMAL:-VERS-ALL:+VERS-TLS$version eval get_size='echo 1M' \
            pread="read -r _ <$DIR/gate$version; head -c \$3 /dev/zero"
        TLS_FOLDER=$PKI/anonymous tls_py $version <<'EOT'
client = ready()
client.send_request(CMD_READ, 0, 512)
# No goodbye of TLS, only of TCP: what comes later is readable all the same.
socket.socket.shutdown(client.sock, socket.SHUT_WR)
open_gate(os.environ["DIR"] + "/gate" + sys.argv[1])
same(client.reply().data, bytes(512), "the reply")
same(client.ending(), "eof", "how the connection ends")
EOT
        stop
    done
}

@test "what is tampered with ends that connection only, and is logged once" {
    serve_tls memory 1M
    TLS_FOLDER=$PKI/anonymous tls_py <<'EOT'
other = ready()
for sent in (b"\x17\x03\x03\x00\x30" + bytes(48), b"plain text, and much more of it", bytes(5)):
    client = ready()
    fd = os.dup(client.sock.fileno())
    os.write(fd, sent)
    os.close(fd)
    try:
        while True:
            client.receive(1)
    except (Closed, ConnectionError):
        pass
same(other.read(0, 512), bytes(512), "data of another client")
EOT
    stop
    same "$(grep -c "TLS: what the client sent cannot be read" "$LOG")" 3
    same "$(grep -c error: "$LOG")" 3
}

@test "a client that does not read is dropped at the end of the server, with replies kept for it" {
    serve_tls memory 64M
    TLS_FOLDER=$PKI/anonymous tls_py <<'EOT'
deaf = ready(structured=False)  # holes are sent in full
for n in range(64):
    deaf.send_request(CMD_READ, 0, 1 << 20)
expect_prompt_end(lambda: os.kill(server, 15), 7.0, clients=3)
EOT
    wait_exit
}

# Python: OpenSSL's client as a socket. A line of K, k or R has it do what TLS offers for that.
THROUGH_OPENSSL='
import threading
class Through:
    def __init__(self, client):
        path = os.environ["DIR"] + "/relay"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        command = ["openssl", "s_client", "-unix", path, "-CAfile", pki + "/anonymous/ca-cert.pem",
                   "-quiet", "-no_ign_eof"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, bufsize=0)
        ours = listener.accept()[0]
        os.unlink(path)
        self.carried = 0  # bytes to the server
        for way in (ours, client.sock, True), (client.sock, ours, False):
            way[0].settimeout(None)
            threading.Thread(target=self.carry, args=way, daemon=True).start()
    def carry(self, source, target, is_to_server):
        try:
            while data := source.recv(65536):
                target.sendall(data)
                if is_to_server:
                    self.carried += len(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
    def settimeout(self, timeout):
        pass
    def sendall(self, data):
        self.process.stdin.write(data)
    def recv(self, count):
        if not select.select([self.process.stdout], [], [], BOUND_S)[0]:
            raise socket.timeout()
        return os.read(self.process.stdout.fileno(), count)
    def command(self, letter):
        """OpenSSL takes a whole read for a command: nothing else may be on its way."""
        until(lambda: self.is_idle(), "OpenSSL to have read all")
        self.sendall(letter + b"\n")
        until(lambda: self.is_idle(), "OpenSSL to have read the command")
    def is_idle(self):
        return not struct.unpack("i", fcntl.ioctl(self.process.stdin, termios.FIONREAD, bytes(4)))[0]
import fcntl, termios
def through_openssl():
    client = greeted()
    client.ask(OPT_STARTTLS)
    through = Through(client)
    return Client(through), through
'

@test "key updates that the client asks for, with replies in flight" {
    serve_tls -v -D nbdkit.tls.log=4 memory 64M
    tls_py <<EOT
$THROUGH_OPENSSL
client, through = through_openssl()
client.negotiate_structured()
client.go()
# Of letters, it would take some for commands.
data = os.urandom(1 << 20).translate(bytes(n % 48 for n in range(256)))
client.write(0, data)
for letter in b"K", b"k", b"K", b"K":
    for offset in 0, 1000, 2000:
        client.send_request(CMD_READ, offset, 500000)
    through.command(letter)
    for reply in client.replies(3).values():
        assert reply.data in (data[:500000], data[1000:501000], data[2000:502000]), "data differs"
    client.write(3 << 20, data)
    same(client.read(3 << 20, len(data)), data, "data written after a key update")
client.send_request(CMD_DISC)
same(client.ending(), "eof", "how the connection ends")
EOT
    stop
    lacks error:
    same "$(grep -c "received TLS 1.3 key update" "$LOG")" 4
    same "$(grep -c "sending key update" "$LOG")" 3
}

@test "a request that arrives together with a key update is answered" {
    serve_tls memory 1M
    tls_py <<EOT
$THROUGH_OPENSSL
client, through = through_openssl()
client.go()
same(client.read(0, 512), bytes(512), "data")
for letter in b"k", b"K":
    hold_server()
    before = through.carried
    through.command(letter)
    until(lambda: through.carried > before, "the key update")
    update = through.carried
    client.send_request(CMD_READ, 0, 512)
    until(lambda: through.carried > update, "the request")
    os.kill(server, signal.SIGCONT)
    same(client.reply().data, bytes(512), "data behind a key update")
EOT
    stop
}

@test "the payload of a write that does not announce it may arrive together with its header" {
    serve_tls memory 1M
    tls_py <<'EOT'
client = secure()
client.negotiate_extended()
client.go()
hold_server()
client.send_request(CMD_WRITE, 0, 4096, payload_len=False)
client.send(b"p" * 4096)
os.kill(server, signal.SIGCONT)
same(client.reply().error, 0, "errno of the write")
same(client.read(0, 4096), b"p" * 4096, "what was written")
same(client.errno(CMD_WRITE, 0, 4096, payload_len=False), 22, "errno of a write without a payload")
same(client.read(0, 4096), b"p" * 4096, "what was written before")
client.disconnect()
EOT
    stop
    lacks error:
}

@test "a client that wants to negotiate TLS 1.2 anew is dropped, others are not" {
    serve_tls --tls-priority=NORMAL:-VERS-TLS1.3 memory 1M
    tls_py <<EOT
$THROUGH_OPENSSL
other = secure()
other.go()
client, through = through_openssl()
client.go()
same(client.read(0, 512), bytes(512), "data")
through.command(b"R")
client.ending()
same(other.read(0, 512), bytes(512), "data of another client")
EOT
    stop
    same "$(grep -c error: "$LOG")" 1
    has "TLS: what the client sent cannot be read: "
}
