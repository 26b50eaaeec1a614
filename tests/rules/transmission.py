# SPDX-License-Identifier: BSD-3-Clause
"""Requests, simple replies, cookies, and the order of things."""

from rules.bench import *
from rules.book import MAY, SENSE, SHOULD, Skip, expect, rule

SIMPLE = {"structured": False}


def simple_header(client):
    """(error, cookie) of the simple reply that must come next."""
    magic, error, cookie = client.unpack(">IIQ")
    same(magic, SIMPLE_REPLY_MAGIC, "magic number of the reply")
    return error, cookie


@rule("reply-simple-magic", "Simple reply message",
      "Where nothing else was negotiated, replies are simple, with their magic number.")
def _(t):
    client = t.ready(**SIMPLE)
    client.send_request(CMD_READ, 0, 512, cookie=5)
    same(simple_header(client), (0, 5), "error and cookie")
    client.receive(512)


@rule("reply-simple-to-all", "Simple reply message",
      "Without structured replies every request gets a simple reply, the faulty ones too.")
def _(t):
    client = t.ready(**SIMPLE)
    requests = [(CMD_FLUSH, 0, 0), (CMD_READ, 1 << 50, 1), (99, 0, 0), (CMD_BLOCK_STATUS, 0, 1),
                (CMD_CACHE, 0, 1), (CMD_READ, 0, 0)]
    for cookie, (kind, offset, length) in enumerate(requests):
        client.send_request(kind, offset, length, cookie=cookie)
        same(simple_header(client)[1], cookie, "cookie")


@rule("reply-simple-length", "Simple reply message",
      "A reply to a read is followed by as many bytes as were asked for, no matter how few.")
def _(t):
    client = t.ready(**SIMPLE)
    minimum = 1 if t.is_ours else 512
    for count in (1, 2, 3, 127, 511, 512, 513, 4096):
        same(len(client.read(0, count * minimum)), count * minimum, "bytes")


@rule("reply-simple-error-no-data", "Request types: NBD_CMD_READ",
      "No data follows a simple reply with an error: the next reply comes right behind it.")
def _(t):
    client = t.ready(**SIMPLE)
    client.send_request(CMD_READ, 1 << 50, 512, cookie=1)
    client.send_request(CMD_READ, 0, 512, cookie=2)
    replies = client.replies(2)
    expect(replies[1].error and not replies[2].error, "replies %r" % replies)


@rule("reply-simple-plugin-error", "Request types: NBD_CMD_READ",
      "A read that fails on the disk has its error in a simple reply without data.")
def _(t):
    client = t.ready("error=5", **SIMPLE)
    for cookie in (1, 2):
        client.send_request(CMD_READ, 0, 4096, cookie=cookie)
        same(simple_header(client), (EIO, cookie), "error and cookie")


@rule("reply-no-structured", "Structured reply chunk message",
      "There is no structured reply unless the client negotiated them.")
def _(t):
    client = t.ready(**SIMPLE)
    for offset in (0, 1 << 50):
        expect(not client.command(CMD_READ, offset, 512).is_structured, "a structured reply")


@rule("cookie-echo", "Transmission",
      "A reply has the cookie of its request, whatever its 64 bits are.")
def _(t):
    for structured in (False, True):
        client = t.ready(structured=structured)
        for cookie in (0, 1, 0xFF, 0x0102030405060708, 1 << 63, (1 << 64) - 1):
            client.command(CMD_READ, 0, 512, cookie=cookie)
            client.command(CMD_READ, 1 << 50, 512, cookie=cookie)


@rule("cookie-reuse", "Transmission",
      "A cookie may be used again once its request is answered.")
def _(t):
    client = t.ready()
    for _ in range(10):
        client.command(CMD_READ, 0, 512, cookie=7)


@rule("cookie-not-distinct", "Transmission",
      "Requests in flight with one and the same cookie are each answered.", SENSE)
def _(t):
    client = t.ready(**SIMPLE)
    for _ in range(8):
        client.send_request(CMD_READ, 0, 512, cookie=3)
    for _ in range(8):
        same(simple_header(client), (0, 3), "error and cookie")
        client.receive(512)


@rule("request-each-answered", "Transmission",
      "Each request is answered once, however many are sent at a time.")
def _(t):
    client = t.ready()
    cookies = {client.send_request(CMD_READ, 512 * number, 512) for number in range(64)}
    same(set(client.replies(64)), cookies, "cookies of the replies")
    client.disconnect()


@rule("request-out-of-order", "Ordering of messages and writes",
      "A request that takes long does not hold up the ones behind it, where the disk allows it.",
      MAY)
def _(t):
    client = t.ready("gate")
    slow = client.send_request(CMD_READ, 64 << 10, 512)
    client.send_write(64 << 10, bytes(512))
    replies = client.replies(2)
    expect(not replies[slow].error, "the slow read failed")


@rule("request-in-pieces", "Request message",
      "A request may come one byte at a time, its data too.", SENSE)
def _(t):
    client = t.ready()
    t.target.allow_writing()
    client.pending[9] = (CMD_WRITE, 512)
    for byte in struct.pack(">IHHQQI", REQUEST_MAGIC, 0, CMD_WRITE, 9, 0, 512) + b"pieces42" * 64:
        client.send(bytes([byte]))
    same(client.reply().error, 0, "errno of the write")
    same(client.read(0, 512), b"pieces42" * 64, "what was written")


@rule("request-magic", "Terminating the transmission phase",
      "A request without the magic number ends the connection, as nobody knows what follows it.",
      SENSE)
def _(t):
    for magic in (0, REQUEST_MAGIC + 1, REQUEST_MAGIC ^ 1 << 31, SIMPLE_REPLY_MAGIC):
        client = t.ready()
        client.send_request(CMD_READ, 0, 512, magic=magic)
        expect(client.is_over(), "magic %#x: the server answered" % magic)


@rule("request-magic-reserved", "Reserved Magic values",
      "The reserved magic numbers are none of a request.")
def _(t):
    for magic in (0x12560953, 0x96744668, 0x25609514):
        client = t.ready()
        client.send_request(CMD_READ, 0, 512, magic=magic)
        expect(client.is_over(), "magic %#x: the server answered" % magic)


@rule("request-magic-of-extended", "Request message",
      "A request is compact unless extended headers were negotiated: an extended one ends the "
      "connection.", SENSE)
def _(t):
    client = t.ready()
    client.send(struct.pack(">IHHQQQ", EXTENDED_REQUEST_MAGIC, 0, CMD_READ, 1, 0, 512))
    expect(client.is_over(), "the server answered")


@rule("request-payload-flag-in-compact", "Request message",
      "NBD_CMD_FLAG_PAYLOAD_LEN is not for compact requests: NBD_EINVAL, and the length means what "
      "it always did.", SHOULD)
def _(t):
    client = t.ready()
    same(client.errno(CMD_READ, 0, 512, flags=FLAG_PAYLOAD_LEN), EINVAL, "errno of a read")
    t.target.allow_writing()
    same(client.errno(CMD_WRITE, 0, 512, flags=FLAG_PAYLOAD_LEN, data=bytes(512)), EINVAL,
         "errno of a write")
    client.read(0, 512)


@rule("write-then-read", "Request types: NBD_CMD_WRITE",
      "What was written is what is read, also where the two do not begin and end together.")
def _(t):
    client = t.ready()
    data = bytes(range(256)) * 16
    client.write(8192, data)
    same(client.read(8192, 4096), data, "the whole")
    same(client.read(8704, 512), data[512:1024], "a part")


@rule("write-seen-by-others", "Transmission flags: NBD_FLAG_CAN_MULTI_CONN",
      "With NBD_FLAG_CAN_MULTI_CONN, what one connection wrote and flushed, another one reads.")
def _(t):
    one, other = t.ready(), t.ready()
    if not one.flags & CAN_MULTI_CONN:
        raise Skip("the server does not offer several connections")
    for text in (b"a", b"b"):
        one.write(4096, text * 512)
        same(one.errno(CMD_FLUSH), 0, "errno of the flush")
        same(other.read(4096, 512), text * 512, "what the other one reads")
    one.write(4096, b"c" * 512, flags=FLAG_FUA)
    same(other.read(4096, 512), b"c" * 512, "what the other one reads after FUA")


@rule("write-is-answered-after", "Request types: NBD_CMD_WRITE",
      "A write is done when it is answered: a read behind it, on the same connection, has it.")
def _(t):
    client = t.ready()
    for number in range(20):
        data = bytes([number]) * 512
        client.write(0, data)
        same(client.read(0, 512), data, "what was written")


@rule("flush-reaches-disk", "Ordering of messages and writes",
      "A flush is answered when the disk has been flushed, after the writes that were answered.")
def _(t):
    client = t.ready("tag=flush-reaches-disk")
    client.write(0, bytes(512))
    same(client.errno(CMD_FLUSH), 0, "errno of the flush")
    same(t.calls("flush-reaches-disk"), ["write 512 0", "flush 0 0"], "calls of the disk")


@rule("flush-fails", "Request types: NBD_CMD_FLUSH",
      "A flush that the disk could not do is not answered as a success.")
def _(t):
    expect(t.ready("error=5").errno(CMD_FLUSH), "the flush succeeded")


@rule("fua-native", "Ordering of messages and writes",
      "FUA reaches a disk that can do it, with each command that writes.")
def _(t):
    client = t.ready("tag=fua-native")
    client.write(0, bytes(512), flags=FLAG_FUA)
    same(client.errno(CMD_TRIM, 0, 512, flags=FLAG_FUA), 0, "errno of the trim")
    same(client.errno(CMD_WRITE_ZEROES, 0, 512, flags=FLAG_FUA), 0, "errno of the zero")
    same(t.calls("fua-native"), ["write 512 0 fua", "trim 512 0 fua", "zero 512 0 may_trim fua"],
         "calls of the disk")


@rule("fua-emulated", "Ordering of messages and writes",
      "For a disk that cannot do FUA, it is a flush behind the write and before the answer.")
def _(t):
    client = t.ready("emulate,tag=fua-emulated")
    client.write(0, bytes(512), flags=FLAG_FUA)
    same(t.calls("fua-emulated"), ["write 512 0", "flush 0 0"], "calls after the write")
    same(client.errno(CMD_TRIM, 0, 512, flags=FLAG_FUA), 0, "errno of the trim")
    same(t.calls("fua-emulated")[2:], ["trim 512 0", "flush 0 0"], "calls after the trim")
    same(client.errno(CMD_WRITE_ZEROES, 0, 512, flags=FLAG_FUA), 0, "errno of the zero")
    same(t.calls("fua-emulated")[4:], ["zero 512 0 may_trim", "flush 0 0"], "calls after the zero")


@rule("fua-not-asked", "Command flags: NBD_CMD_FLAG_FUA",
      "Without NBD_CMD_FLAG_FUA there is no flush behind a write.", SENSE)
def _(t):
    client = t.ready("emulate,tag=fua-not-asked")
    client.write(0, bytes(512))
    same(client.errno(CMD_TRIM, 0, 512), 0, "errno of the trim")
    same(t.calls("fua-not-asked"), ["write 512 0", "trim 512 0"], "calls of the disk")


@rule("fua-on-all", "Command flags: NBD_CMD_FLAG_FUA",
      "Where FUA is offered it is accepted on every command.")
def _(t):
    client = t.ready(meta=True)
    if not client.flags & SEND_FUA:
        raise Skip("the server does not offer FUA")
    for kind, offered in ((CMD_READ, True), (CMD_CACHE, client.flags & SEND_CACHE),
                          (CMD_BLOCK_STATUS, True)):
        if offered:
            same(client.errno(kind, 0, 512, flags=FLAG_FUA), 0, "errno of command %d" % kind)
    same(client.errno(CMD_FLUSH, flags=FLAG_FUA), 0, "errno of a flush")
    client.write(0, bytes(512), flags=FLAG_FUA)
    for kind in (CMD_TRIM, CMD_WRITE_ZEROES):
        same(client.errno(kind, 0, 512, flags=FLAG_FUA), 0, "errno of command %d" % kind)


@rule("fua-not-offered", "Error values",
      "Where FUA is not offered, it is a flag that does not apply: NBD_EINVAL.", SHOULD)
def _(t):
    client = t.ready("no=fua")
    same(client.flags & SEND_FUA, 0, "NBD_FLAG_SEND_FUA")
    same(client.errno(CMD_WRITE, 0, 512, flags=FLAG_FUA, data=bytes(512)), EINVAL, "of a write")
    client.read(0, 512)


@rule("fua-fails", "Command flags: NBD_CMD_FLAG_FUA",
      "A write with FUA whose flush fails is not answered as a success.")
def _(t):
    client = t.ready("emulate,badflush")
    expect(client.errno(CMD_WRITE, 0, 512, flags=FLAG_FUA, data=bytes(512)), "the write succeeded")
    same(client.errno(CMD_WRITE, 0, 512, data=bytes(512)), 0, "errno of a write without FUA")


@rule("baseline-commands", "Baseline",
      "Reading, writing and disconnecting work without any negotiation but EXPORT_NAME.")
def _(t):
    client = t.greeted()
    client.export_name(t.name())
    if not client.flags & READ_ONLY:
        client.write(0, b"baseline" * 64)
        same(client.read(0, 512), b"baseline" * 64, "what was written")
    client.read(0, 512)
    client.disconnect()
