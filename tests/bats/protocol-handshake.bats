#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Fixed newstyle negotiation as the NBD protocol document wants it, from a client that does not
# behave.  After each refusal the connection must still be good for a GO.

load common

# Python: what these tests share.
PRELUDE='
def greeted(flags=FIXED_NEWSTYLE | NO_ZEROES):
    client = connect()
    client.greet(flags)
    return client
def expect_refused(client, codes, option, data=b"", **raw):
    code = client.refusal(option, data, **raw)
    assert code in codes, "option %d: error %d" % (option, code - REP_ERROR_BIT)
def expect_alive(client):
    client.go()
    client.read(0, 512)
    client.disconnect()
INVALID, TOO_BIG, UNSUP = [REP_ERR_INVALID], [REP_ERR_INVALID, REP_ERR_TOO_BIG], [REP_ERR_UNSUP]
'

with_memory() {
    serve memory 1M
    { echo "$PRELUDE"; cat; } | py
    stop
}

# with_script: like with_memory, for the script $DIR/disk.sh.
with_script() {
    serve sh "$DIR/disk.sh"
    { echo "$PRELUDE"; cat; } | py
    stop
}

@test "the greeting offers fixed newstyle and no zeroes, and nothing else" {
    with_memory <<'EOT'
client = connect()
same(client.greet(None), FIXED_NEWSTYLE | NO_ZEROES, "handshake flags")
EOT
}

@test "unknown client flags end the connection" {
    with_memory <<'EOT'
for flags in (4, 1 << 31, 0xffffffff):
    client = greeted(flags)
    client.ending()
expect_alive(greeted())
EOT
}

@test "EXPORT_NAME with and without the 124 zeroes, and without fixed newstyle" {
    with_memory <<'EOT'
for flags, padding in ((0, 124), (1, 124), (2, 0), (3, 0)):
    client = greeted(flags)
    client.export_name("", padding)
    same(client.size, 1 << 20, "size")
    assert client.flags & HAS_FLAGS
    client.read(0, 512)
    client.disconnect()
EOT
}

@test "EXPORT_NAME that is too long or not a string ends the connection" {
    with_memory <<'EOT'
for name in (b"x" * 4097, b"a\0b", b"\xff\xfe", b"x" * 100000):
    client = greeted()
    client.send_option(OPT_EXPORT_NAME, name)
    client.ending()
client = greeted()
client.export_name("x" * 4096)
client.read(0, 512)
EOT
}

@test "a wrong option magic ends the connection" {
    with_memory <<'EOT'
for magic in (0, NBDMAGIC, OPT_REPLY_MAGIC, IHAVEOPT + 1):
    client = greeted()
    client.send_option(OPT_LIST, magic=magic)
    client.ending()
EOT
}

@test "unknown options are refused with ERR_UNSUP, their data skipped" {
    with_memory <<'EOT'
client = greeted()
for option in (0, OPT_PEEK_EXPORT, 12, 99, 0xffffffff):
    for size in (0, 1, 1000, 65536):
        expect_refused(client, UNSUP, option, bytes(size))
expect_refused(client, [REP_ERR_UNSUP, REP_ERR_POLICY], OPT_STARTTLS)
expect_alive(client)
EOT
}

@test "ABORT is acknowledged, then the server hangs up" {
    with_memory <<'EOT'
client = greeted()
client.abort()
same(client.ending(), "eof", "how the connection ends")
EOT
}

@test "LIST: one export without a name by default; data with it is invalid" {
    with_memory <<'EOT'
client = greeted()
same(client.list_exports(), [("", "")], "exports")
expect_refused(client, INVALID, OPT_LIST, b"x")
same(client.list_exports(), [("", "")], "exports again")
expect_alive(client)
EOT
}

@test "LIST: names and descriptions from the plugin" {
    disk disk.sh <<'EOT'
#!/bin/sh
case $1 in
    list_exports) printf '%s\n' INTERLEAVED one 'the first' two 'the second' ;;
    get_size) echo 1M ;;
    pread) head -c $3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    with_script <<'EOT'
client = greeted()
same(client.list_exports(), [("one", "the first"), ("two", "the second")], "exports")
expect_alive(client)
EOT
}

@test "GO and INFO with malformed data are invalid" {
    with_memory <<'EOT'
malformed = [bytes(n) for n in range(6)] + [
    struct.pack(">I", 100) + b"abc" + bytes(2),
    struct.pack(">I", 0xffffffff) + bytes(2),
    counted("") + struct.pack(">HH", 2, 0),
    counted("") + struct.pack(">HHH", 1, 0, 0),
    counted("") + struct.pack(">H", 0xffff),
    go_query(b"a\0b"),
    go_query("") + b"x",
]
client = greeted()
for option in (OPT_GO, OPT_INFO):
    for data in malformed:
        expect_refused(client, INVALID, option, data)
expect_alive(client)
EOT
}

@test "an export name of 4096 bytes is good, of 4097 it is refused" {
    with_memory <<'EOT'
client = greeted()
client.inform(OPT_INFO, "x" * 4096)
for option in (OPT_INFO, OPT_GO):
    expect_refused(client, TOO_BIG, option, go_query("x" * 4097))
    expect_refused(client, TOO_BIG, option, go_query("x" * 60000))
expect_alive(client)
EOT
}

@test "GO tells size and flags; name, description and block size when asked" {
    disk disk.sh <<'EOT'
#!/bin/sh
case $1 in
    default_export) echo main ;;
    export_description) echo "a disk of $2" ;;
    open) echo "handle of $3" ;;
    block_size) echo 512 4K 1M ;;
    get_size) echo 64K ;;
    pread) head -c $3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    with_script <<'EOT'
client = greeted()
same(sorted(client.inform(OPT_INFO)), [INFO_EXPORT], "information that was not asked for")
info = client.go("", INFO_NAME, INFO_DESCRIPTION, INFO_BLOCK_SIZE, 77, INFO_NAME)
same(client.size, 65536, "size")
assert client.flags & HAS_FLAGS and client.flags & READ_ONLY
same(info[INFO_NAME], b"main", "name")
same(info[INFO_DESCRIPTION], b"a disk of handle of main", "description")
same(struct.unpack(">III", info[INFO_BLOCK_SIZE]), (512, 4096, 1 << 20), "block sizes")
same(sorted(info), [INFO_EXPORT, INFO_NAME, INFO_DESCRIPTION, INFO_BLOCK_SIZE], "all of it")
client.read(0, 512)
EOT
}

@test "information that is asked for many times is sent once" {
    disk disk.sh <<EOT
#!/bin/sh
case \$1 in
    export_description) echo asked >>$DIR/calls; echo text ;;
    get_size) echo 64K ;;
    pread) head -c \$3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    with_script <<'EOT'
client = greeted()
data = go_query("", *[INFO_DESCRIPTION, INFO_NAME, INFO_BLOCK_SIZE, INFO_EXPORT] * 1000)
kinds = [struct.unpack(">H", payload[:2])[0] for _, payload in client.ask(OPT_INFO, data)]
same(sorted(kinds), [INFO_EXPORT, INFO_NAME, INFO_DESCRIPTION, INFO_BLOCK_SIZE], "replies")
same(len(lines(os.environ["DIR"] + "/calls")), 1, "times that the description was asked for")
expect_alive(client)
EOT
}

@test "a description of more than 4096 bytes is not sent" {
    disk disk.sh <<'EOT'
#!/bin/sh
case $1 in
    export_description) head -c "${2:-0}" /dev/zero | tr '\0' x ;;
    open) echo "$3" ;;
    get_size) echo 64K ;;
    pread) head -c $3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
    with_script <<'EOT'
client = greeted()
info = client.inform(OPT_INFO, "4096", INFO_DESCRIPTION)
same(info[INFO_DESCRIPTION], b"x" * 4096, "the longest description")
same(sorted(client.inform(OPT_INFO, "4097", INFO_DESCRIPTION)), [INFO_EXPORT], "a longer one")
expect_alive(client)
EOT
}

# A script that logs its opens and closes; the export "bad" cannot be opened.
counting_disk() {
    disk disk.sh <<EOT
#!/bin/sh
case \$1 in
    open)
        if [ "\$3" = bad ]; then echo 'EPERM not for you' >&2; exit 1; fi
        echo "open \$3" >>$DIR/calls
        echo "\$3" ;;
    close) echo "close \$2" >>$DIR/calls ;;
    get_size) echo 1M ;;
    pread) head -c \$3 /dev/zero ;;
    *) exit 2 ;;
esac
EOT
}

@test "INFO, then GO for the same export, opens it once" {
    counting_disk
    with_script <<'EOT'
client = greeted()
for n in range(3):
    client.inform(OPT_INFO, "a")
client.go("a")
client.read(0, 512)
client.disconnect()
calls = os.environ["DIR"] + "/calls"
same(until(lambda: len(lines(calls)) >= 2 and lines(calls), "close"), ["open a", "close a"], "calls")
EOT
}

@test "INFO for one export, GO for another: each is closed once" {
    counting_disk
    with_script <<'EOT'
client = greeted()
client.inform(OPT_INFO, "a")
client.inform(OPT_INFO, "b")
client.go("c")
client.disconnect()
calls = os.environ["DIR"] + "/calls"
same(until(lambda: len(lines(calls)) >= 6 and lines(calls), "close"),
     ["open a", "close a", "open b", "close b", "open c", "close c"], "calls")
EOT
}

@test "INFO and then nothing: the export is closed when the client leaves" {
    counting_disk
    with_script <<'EOT'
for leave in ("abort", "close", "vanish"):
    client = greeted()
    client.inform(OPT_INFO, leave)
    getattr(client, leave)()
    calls = os.environ["DIR"] + "/calls"
    until(lambda: lines(calls)[-1] == "close " + leave, "close")
EOT
}

@test "an export that cannot be opened is refused, and another one may follow" {
    counting_disk
    with_script <<'EOT'
client = greeted()
for option in (OPT_INFO, OPT_GO, OPT_GO):
    assert client.refusal(option, go_query("bad")) & REP_ERROR_BIT
client.go("good")
client.read(0, 512)
client.disconnect()
client = greeted()
client.send_option(OPT_EXPORT_NAME, b"bad")
client.ending()
EOT
}

# bats test_tags=tls
@test "a client is told why the plugin refuses it, by the error and by the text" {
    disk disk.sh <<'EOT'
#!/bin/sh
fail() { printf '%b\n' "$1" >&2; exit 1; }
case "$1" in
    open)
        case "$3" in
            denied) fail 'EACCES ask for a ticket' ;;
            readonly) fail 'EROFS the tape is sealed' ;;
            gone) fail 'ENOENT no such tape' ;;
            closing) fail 'ESHUTDOWN closing time' ;;
            rude) fail 'EIO \033[31mred\302\233 \377 \342\200\256' ;;
            long) fail "$(head -c 10000 /dev/zero | tr '\0' 'x')" ;;
        esac
        echo "$3" ;;
    get_size) [ "$2" != size ] || fail 'the tape is wet'; echo 1M ;;
    block_size) [ "$2" = block ] || exit 2; echo 3 4 5 ;;
    can_write) [ "$2" != write ] || fail 'EPERM write protect'; exit 3 ;;
    can_multi_conn) [ "$2" != multi ] || fail 'no idea' ;;
    pread) head -c "$3" /dev/zero ;;
    list_exports) fail 'EPERM the catalogue is secret' ;;
    default_export) fail 'name a tape' ;;
    *) exit 2 ;;
esac
EOT
    serve sh "$DIR/disk.sh"
    py <<'EOT'
client = connect()
client.enter()

def refused(option, data, code, text):
    try:
        client.ask(option, data)
    except OptionError as error:
        same(error.code - REP_ERROR_BIT, code - REP_ERROR_BIT, "error for %r" % data)
        assert text in error.text, "%r lacks %r" % (error.text[:400], text)
        assert len(error.text.encode()) <= 4096 and error.text.isprintable(), error.text
        return
    raise AssertionError("%r is accepted" % data)

for option in OPT_INFO, OPT_GO:
    for name, code, text in (
            ("denied", REP_ERR_POLICY, "EACCES ask for a ticket"),
            ("readonly", REP_ERR_POLICY, "EROFS the tape is sealed"),
            ("gone", REP_ERR_UNKNOWN, "ENOENT no such tape"),
            ("closing", REP_ERR_SHUTDOWN, "ESHUTDOWN closing time"),
            ("rude", REP_ERR_UNKNOWN, "red"),
            ("long", REP_ERR_UNKNOWN, "x" * 500),
            ("size", REP_ERR_UNKNOWN, "the tape is wet"),
            ("block", REP_ERR_UNKNOWN, "the minimum must be a power of 2"),
            ("write", REP_ERR_POLICY, "EPERM write protect"),
            ("multi", REP_ERR_UNKNOWN, "no idea"),
            ("", REP_ERR_UNKNOWN, "name a tape")):
        refused(option, go_query(name), code, text)
refused(OPT_LIST, b"", REP_ERR_POLICY, "EPERM the catalogue is secret")
client.go("good")
client.read(0, 512)
EOT
    [ -n "${TLS_SERVER:-}" ] || contains \
        "$(qemu-img info "nbd+unix:///denied?socket=$SOCK" 2>&1)" "open: EACCES ask for a ticket"
    stop
}

@test "STRUCTURED_REPLY with data is invalid and does not take effect" {
    with_memory <<'EOT'
client = greeted()
expect_refused(client, INVALID, OPT_STRUCTURED_REPLY, b"x")
expect_refused(client, INVALID, OPT_SET_META_CONTEXT, meta_query("", "base:allocation"))
client.go()
same(client.command(CMD_READ, 0, 512).is_structured, False, "structured")
EOT
}

@test "meta contexts need structured replies" {
    with_memory <<'EOT'
client = greeted()
expect_refused(client, INVALID, OPT_SET_META_CONTEXT, meta_query("", "base:allocation"))
expect_refused(client, INVALID, OPT_LIST_META_CONTEXT, meta_query("", "base:allocation"))
client.negotiate_structured()
same(list(client.set_meta("", "base:allocation")), ["base:allocation"], "contexts")
expect_alive(client)
EOT
}

@test "LIST_META_CONTEXT: everything, a namespace, one context, an unknown one" {
    with_memory <<'EOT'
client = greeted()
client.negotiate_structured()
for queries, contexts in (([], ["base:allocation"]), (["base:"], ["base:allocation"]),
                          (["base:allocation"], ["base:allocation"]), (["x:y"], []),
                          (["base:other"], []), (["base:alloc"], []), (["base:allocation2"], [])):
    same(client.list_meta("", *queries), contexts, "LIST %r" % queries)
client.go()
same(client.errno(CMD_BLOCK_STATUS, 0, 512), EINVAL, "LIST does not select a context")
EOT
}

@test "SET_META_CONTEXT: selects what is named, nothing else" {
    with_memory <<'EOT'
for queries, contexts in (([], []), (["base:"], []), (["base:allocation"], ["base:allocation"]),
                          (["x:y"], []), (["x:y", "base:allocation"], ["base:allocation"]),
                          (["base:allocation", "base:allocation"], ["base:allocation"])):
    client = greeted()
    client.negotiate_structured()
    same(list(client.set_meta("", *queries)), contexts, "SET %r" % queries)
    client.go()
    same(client.errno(CMD_BLOCK_STATUS, 0, 512), 0 if contexts else EINVAL, "BLOCK_STATUS")
    client.disconnect()
EOT
}

@test "SET_META_CONTEXT: the last one counts, and a refused one selects nothing" {
    with_memory <<'EOT'
client = greeted()
client.negotiate_structured()
client.set_meta("", "base:allocation")
client.set_meta("", "x:y")
client.go()
same(client.errno(CMD_BLOCK_STATUS, 0, 512), EINVAL, "after a SET of nothing")
client = greeted()
client.negotiate_structured()
client.set_meta("", "base:allocation")
expect_refused(client, INVALID, OPT_SET_META_CONTEXT, b"")
client.go()
same(client.errno(CMD_BLOCK_STATUS, 0, 512), EINVAL, "after a SET that was refused")
EOT
}

@test "SET_META_CONTEXT for another export than GO selects nothing" {
    with_memory <<'EOT'
client = greeted()
client.negotiate_structured()
client.set_meta("a", "base:allocation")
client.go("b")
same(client.errno(CMD_BLOCK_STATUS, 0, 512), EINVAL, "BLOCK_STATUS")
client.read(0, 512)
EOT
}

@test "malformed meta context options are invalid" {
    with_memory <<'EOT'
client = greeted()
client.negotiate_structured()
malformed = [bytes(n) for n in range(8)] + [
    counted("") + struct.pack(">I", 0xffffffff),
    counted("") + struct.pack(">II", 1, 100) + b"base:",
    counted("") + struct.pack(">II", 1, 0xffffffff),
    counted("") + struct.pack(">I", 2) + counted("base:allocation"),
    struct.pack(">I", 0xfffffff0) + bytes(16),
    meta_query("", "base:allocation") + b"x",
]
for option in (OPT_SET_META_CONTEXT, OPT_LIST_META_CONTEXT):
    for data in malformed:
        expect_refused(client, INVALID, option, data)
    expect_refused(client, TOO_BIG, option, meta_query("x" * 4097, "base:allocation"))
same(list(client.set_meta("", "base:allocation")), ["base:allocation"], "contexts")
expect_alive(client)
EOT
}

@test "a whole session in one packet" {
    with_memory <<'EOT'
def packed(option, data=b""):
    return struct.pack(">QII", IHAVEOPT, option, len(data)) + data
client = connect()
client.send(struct.pack(">I", 3) + packed(OPT_STRUCTURED_REPLY) + packed(OPT_LIST)
            + packed(OPT_SET_META_CONTEXT, meta_query("", "base:allocation"))
            + packed(OPT_GO, go_query(""))
            + struct.pack(">IHHQQI", REQUEST_MAGIC, 0, CMD_READ, 77, 0, 512))
client.greet(None)
order = [client.option_reply() for _ in range(7)]
same([kind for kind, _ in order], [REP_ACK, REP_SERVER, REP_ACK, REP_META_CONTEXT, REP_ACK,
                                   REP_INFO, REP_ACK], "replies")
client.is_structured = True
client.pending[77] = (CMD_READ, 512)
same(client.reply().data, bytes(512), "data")
EOT
}

@test "a session in packets of one byte" {
    with_memory <<'EOT'
class Dribble(Client):
    def send(self, data):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        for n in range(len(data)):
            super().send(data[n:n + 1])
client = Dribble(open_socket(os.environ["SOCK"]))
client.handshake(meta=True)
client.write(4096, b"x" * 512)
same(client.read(4096, 512), b"x" * 512, "data")
client.disconnect()
EOT
}

@test "many options on one connection" {
    with_memory <<'EOT'
client = greeted()
for n in range(100):
    client.inform(OPT_INFO, "export %d" % n)
    client.list_exports()
expect_alive(client)
EOT
}

@test "clients that leave in the middle of the handshake harm nobody" {
    with_memory <<'EOT'
pieces = struct.pack(">I", 3) + struct.pack(">QII", IHAVEOPT, OPT_GO, 6) + bytes(6)
for how in ("close", "vanish"):
    for length in range(len(pieces)):
        client = connect()
        client.send(pieces[:length])
        getattr(client, how)()
expect_alive(greeted())
EOT
}

@test "clients that stay silent in the handshake do not hold up others" {
    with_memory <<'EOT'
silent = [connect() for _ in range(20)]
silent[0].greet()
silent[1].greet()
silent[1].send(b"IHAVE")
for n in range(5):
    expect_alive(greeted())
silent[1].send(b"OPT" + struct.pack(">II", OPT_GO, 6) + bytes(6))
same(silent[1].option_reply(OPT_GO)[0], REP_INFO, "reply to an option sent in two pieces")
EOT
}

@test "an option that claims 4 GiB costs no memory and harms nobody" {
    with_memory <<'EOT'
def peak_kib():
    status = open("/proc/%s/status" % os.environ["SERVER"]).read()
    return int(status.split("VmHWM:")[1].split()[0])
expect_alive(greeted())
before = peak_kib()
for option in (OPT_GO, OPT_EXPORT_NAME, OPT_LIST, 99):
    client = greeted()
    try:
        client.send_option(option, bytes(8 << 20), length=0xffffffff)
    except ConnectionError:
        pass
    expect_alive(greeted())
    client.close()
same(peak_kib() - before < 4096, True, "memory grew by less than 4 MiB")
EOT
}

@test "after GO the stream is one of requests: an option ends it" {
    with_memory <<'EOT'
client = greeted()
client.go()
client.send_option(OPT_LIST)
client.send(bytes(64))
client.ending()
EOT
}
