# SPDX-License-Identifier: BSD-3-Clause
"""Clients that mean no good: half messages, lengths that lie, endless talk, and no talk at all.

proto.md allows a server to hang up on most of these.  Good sense wants more: it lives, it serves
others meanwhile, it takes no memory, and it says nothing about who came and left.
"""

from rules.bench import *
from rules.book import MAY, SENSE, expect, one_of, rule

HARD_DISCONNECT = "Termination of the session during option haggling"
TRANSMISSION = "Terminating the transmission phase"


def option_bytes(option, data=b"", length=None):
    return struct.pack(">QII", IHAVEOPT, option, len(data) if length is None else length) + data


def request_bytes(kind, offset=0, length=0, data=b""):
    return struct.pack(">IHHQQI", REQUEST_MAGIC, 0, kind, 1, offset, length) + data


def send_all_prefixes(t, make, message):
    """Each client sends a little more of the message than the one before it, and vanishes."""
    others = t.ready()
    for length in range(len(message)):
        client = make()
        client.send(message[:length])
        if length % 2:
            client.vanish()
        else:
            client.close()
    others.read(0, 512)


def open_descriptors(server):
    return len(os.listdir("/proc/%d/fd" % server.process.pid))


@rule("half-client-flags", HARD_DISCONNECT,
      "A client that leaves within its flags harms nobody.", SENSE)
def _(t):
    send_all_prefixes(t, lambda: t.greeted(None), struct.pack(">I", 3))


@rule("half-option", HARD_DISCONNECT,
      "A client that leaves anywhere within an option harms nobody.", SENSE)
def _(t):
    name = t.name()
    send_all_prefixes(t, t.greeted, option_bytes(OPT_GO, go_query(name, INFO_NAME)))


@rule("half-meta-option", HARD_DISCONNECT,
      "A client that leaves within an option with many strings harms nobody.", SENSE)
def _(t):
    send_all_prefixes(t, t.haggling, option_bytes(OPT_SET_META_CONTEXT,
                                                  meta_query(t.name(), "base:allocation", "x-a:")))


@rule("half-export-name", HARD_DISCONNECT,
      "A client that leaves within EXPORT_NAME harms nobody.", SENSE)
def _(t):
    send_all_prefixes(t, t.greeted, option_bytes(OPT_EXPORT_NAME, b"name=a name"))


@rule("half-request", TRANSMISSION,
      "A client that leaves within a request harms nobody.", SENSE)
def _(t):
    send_all_prefixes(t, t.ready, request_bytes(CMD_READ, 0, 512))


@rule("half-write", TRANSMISSION,
      "A write that was not sent to its end is not done, not even in part.", SENSE)
def _(t):
    t.ready().write(0, b"complete" * 64)
    t.target.allow_writing()
    message = request_bytes(CMD_WRITE, 0, 512, b"halfhalf" * 64)
    for length in [*range(28, 28 + 64), *range(28 + 64, 28 + 512, 41), 28 + 511]:
        client = t.ready()
        client.send(message[:length])
        client.vanish()
    same(t.ready().read(0, 512), b"complete" * 64, "what is there")


@rule("half-reply-unread", TRANSMISSION,
      "A client that leaves while a large reply is on its way harms nobody.", SENSE)
def _(t):
    other = t.ready()
    for _ in range(4):
        client = t.ready("size=64M" if t.is_ours else "")
        client.send_request(CMD_READ, 0, min(client.size, 16 << 20))
        client.receive(20)
        client.vanish()
    other.read(0, 512)


@rule("never-reads", TRANSMISSION,
      "A client that does not read its replies holds up itself alone.", SENSE)
def _(t):
    stuck = t.ready("size=64M")
    for _ in range(16):
        stuck.send_request(CMD_READ, 0, 4 << 20)
    other = t.ready()
    for _ in range(10):
        other.read(0, 65536)
    other.disconnect()


@rule("silent-in-handshake", HARD_DISCONNECT,
      "Clients that say nothing hold up nobody, wherever they fall silent.", SENSE)
def _(t):
    silent = [t.connect() for _ in range(10)] + [t.greeted(None) for _ in range(10)]
    silent += [t.greeted() for _ in range(10)]
    for client in silent[20:25]:
        client.send(struct.pack(">Q", IHAVEOPT))
    t.ready().read(0, 512)


@rule("option-length-lies", "Newstyle negotiation",
      "A length of 2^32 - 1 takes no memory, whatever option it is for.", SENSE)
def _(t):
    server = t.server()
    before = t.memory_kib(server)
    clients = []
    for option in range(16):
        for length in (0xFFFFFFFF, 0x80000000, 1 << 24):
            client = t.greeted()
            client.send(option_bytes(option, bytes(100), length))
            clients.append(client)
    t.ready().read(0, 512)
    grown = t.memory_kib(server) - before
    expect(grown < 16384, "it took %d KiB for %d clients" % (grown, len(clients)))


@rule("string-length-lies", "Option types: NBD_OPT_INFO and NBD_OPT_GO",
      "Lengths within an option that do not fit are found out, also where adding to them wraps.",
      SENSE)
def _(t):
    client = t.haggling()
    for option in (OPT_INFO, OPT_SET_META_CONTEXT, OPT_LIST_META_CONTEXT):
        for length in (7, 8, 100, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF9, 0xFFFFFFFC, 0xFFFFFFFF):
            one_of(client.refusal(option, struct.pack(">I", length) + bytes(6)),
                   (REP_ERR_INVALID, REP_ERR_TOO_BIG), "refusal of option %d, length %#x"
                   % (option, length))
    client.go(t.name())
    client.read(0, 512)


@rule("wrong-magic-in-haggling", HARD_DISCONNECT,
      "Text of another protocol ends the session.", SENSE)
def _(t):
    for text in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 4, b"\x16\x03\x01" + bytes(200),
                 bytes(64), b"\xff" * 64):
        client = t.connect()
        client.receive(18)
        client.send(text)
        expect(client.is_over(), "%r: the server went on" % text[:10])


@rule("wrong-magic-after-requests", TRANSMISSION,
      "A request that begins wrong, behind good ones, ends the connection; the good ones were "
      "not harmed.", SENSE)
def _(t):
    client = t.ready()
    client.read(0, 512)
    client.send(b"GARBAGE!" * 16)
    expect(client.is_over(), "the server went on")
    t.ready().read(0, 512)


@rule("endless-options", HARD_DISCONNECT,
      "A client that haggles for ever is answered, or dropped at last; others are served "
      "meanwhile.", MAY)
def _(t):
    client = t.greeted()
    other = t.ready()
    for count in range(0, 20000, 100):
        try:
            client.send(option_bytes(99) * 100)
            for _ in range(100):
                same(client.option_reply(99)[0], REP_ERR_UNSUP, "reply")
        except Closed:
            other.read(0, 512)
            return "dropped within %d options" % (count + 100)
    other.read(0, 512)
    return "20000 are answered"


@rule("endless-exports", HARD_DISCONNECT,
      "Asking for one export after the other keeps none of them open.", SENSE)
def _(t):
    client = t.greeted()
    for number in range(50):
        client.inform(OPT_INFO, t.name("tag=endless,name=%d" % number))
    client.close()
    until(lambda: t.calls("endless") == ["close"] * 50, "50 disks to be closed")


@rule("connect-and-leave-logs-nothing", "Newstyle negotiation",
      "Who connects and leaves, as a port scan does, is not worth a line of the log.", SENSE)
def _(t):
    server = t.server("plain#quiet")
    t.ready(server="plain#quiet").disconnect()
    before = server.log
    for step in range(4):
        for _ in range(5):
            client = t.connect("plain#quiet")
            if step > 0:
                client.receive(18)
            if step > 1:
                client.send(struct.pack(">I", 3))
            if step > 2:
                client.vanish()
            else:
                client.close()
    client = t.ready(server="plain#quiet")
    client.disconnect()
    same(server.stop(), 0, "exit status")
    same(server.log, before, "log")


@rule("leaving-leaks-nothing", HARD_DISCONNECT,
      "A hundred clients that left, at any point, leave no descriptor behind.", SENSE)
def _(t):
    server = t.server("plain#leaks")
    t.ready(server="plain#leaks").disconnect()
    until(lambda: open_descriptors(server), "descriptors")
    before = open_descriptors(server)
    for number in range(100):
        client = t.connect("plain#leaks")
        if number % 4:
            client.greet()
        if number % 4 > 1:
            client.go("name=x")
        if number % 4 > 2:
            client.send(request_bytes(CMD_READ, 0, 512))
        client.vanish()
    until(lambda: open_descriptors(server) <= before, "descriptors to be closed")
    same(server.stop(), 0, "exit status")


@rule("text-of-client-is-escaped", "Conventions",
      "What a client sends is not printed as it is: no control characters in the log.", SENSE)
def _(t):
    server = t.server("plain#escape")
    for name in ("missing\x1b[2J\r\n", "name=\x1b]0;x\x07"):
        client = t.greeted(server="plain#escape")
        try:
            client.go(name)
        except OptionError as error:
            expect(error.text.isprintable(), "the text %r" % error.text)
    same(server.stop(), 0, "exit status")
    expect(not any(ord(letter) < 32 and letter not in "\n" for letter in server.log),
           "the log %r" % server.log)
