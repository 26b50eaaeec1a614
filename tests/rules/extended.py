# SPDX-License-Identifier: BSD-3-Clause
"""Extended headers: the option, requests and replies with 64 bits, payloads, and their filter.

rawnbd.py checks in each reply that its magic number, cookie and offset are right.
"""

from rules.bench import *
from rules.book import MAY, SENSE, SHOULD, Skip, expect, one_of, rule

OPTION = "Option types: NBD_OPT_EXTENDED_HEADERS"
EXTENDED = "Extended reply chunk message"
STATUS_EXT = "Structured reply types: NBD_REPLY_TYPE_BLOCK_STATUS_EXT"
FILTER = "Request types: NBD_CMD_BLOCK_STATUS"
FILTER_FLAG = "Transmission flags: NBD_FLAG_BLOCK_STATUS_PAYLOAD"
GIB = 1 << 30
ON = {"extended": True}
WITH_META = {"extended": True, "meta": True}
FORM = ">IHHQQQ"


def raw_reply(client):
    """(flags, type, cookie, offset, payload) of the extended chunk that must come next."""
    magic, flags, kind, cookie, offset, length = client.unpack(">IHHQQQ")
    same(magic, EXTENDED_REPLY_MAGIC, "magic number of the reply")
    return flags, kind, cookie, offset, client.receive(length)


def send_raw(client, kind, offset=0, length=0, **raw):
    """A request whose reply is for raw_reply() to read."""
    return client.send_request(kind, offset, length, **raw)


def filter_data(length, *contexts):
    return struct.pack(">Q%dI" % len(contexts), length, *contexts)


def filtered(client, offset, data, **raw):
    """The reply to a block status with a payload."""
    return client.command(CMD_BLOCK_STATUS, offset, len(data), data=data, payload_len=True, **raw)


def ready_for_filter(t, disk=""):
    client = t.ready(disk, **WITH_META)
    if not client.flags & BLOCK_STATUS_PAYLOAD:
        raise Skip("the server does not take payloads with block status")
    return client


@rule("ext-ack", OPTION,
      "EXTENDED_HEADERS is answered with ACK, or refused as not known; nothing else comes with it.",
      MAY)
def _(t):
    try:
        same(t.greeted().ask(OPT_EXTENDED_HEADERS), [], "replies before the ACK")
        return "there are extended headers"
    except OptionError as error:
        same(error.code, REP_ERR_UNSUP, "refusal")
        return "there are none"


@rule("ext-with-data", OPTION,
      "EXTENDED_HEADERS with data is refused with NBD_REP_ERR_INVALID.", SHOULD)
def _(t):
    t.haggling(**ON)
    same(t.greeted().refusal(OPT_EXTENDED_HEADERS, b"x"), REP_ERR_INVALID, "refusal")


@rule("ext-refused-has-no-effect", OPTION,
      "After an EXTENDED_HEADERS that was refused, headers are compact.")
def _(t):
    client = t.haggling()
    client.refusal(OPT_EXTENDED_HEADERS, b"x")
    client.go(t.name())
    client.read(0, 512)


@rule("ext-without-structured", OPTION,
      "Extended headers need no structured replies before them.", SHOULD)
def _(t):
    client = t.ready(**ON)
    client.read(0, 512)


@rule("ext-after-structured", OPTION,
      "A client may ask for structured replies first; extended headers then win.")
def _(t):
    client = t.haggling()
    client.negotiate_extended()
    client.go(t.name())
    client.read(0, 512)


@rule("ext-then-structured", "Option types: NBD_OPT_STRUCTURED_REPLY",
      "STRUCTURED_REPLY after EXTENDED_HEADERS is refused with NBD_REP_ERR_EXT_HEADER_REQD.")
def _(t):
    client = t.haggling(**ON)
    same(client.refusal(OPT_STRUCTURED_REPLY), REP_ERR_EXT_HEADER_REQD, "refusal")
    client.go(t.name())
    client.read(0, 512)


@rule("ext-twice", "Fixed newstyle negotiation",
      "A second EXTENDED_HEADERS is acknowledged or refused with NBD_REP_ERR_INVALID, and the "
      "first one stays in force.", MAY)
def _(t):
    client = t.haggling(**ON)
    try:
        client.ask(OPT_EXTENDED_HEADERS)
        note = "acknowledged"
    except OptionError as error:
        same(error.code, REP_ERR_INVALID, "refusal")
        note = "refused"
    client.go(t.name())
    client.read(0, 512)
    return note


@rule("ext-has-go", OPTION,
      "A server with extended headers has GO, and never refuses it as not known.")
def _(t):
    client = t.haggling(**ON)
    client.inform(OPT_INFO, t.name())
    if t.is_ours:
        same(client.refusal(OPT_GO, go_query("missing")), REP_ERR_UNKNOWN, "refusal")
    client.go(t.name())


@rule("ext-export-name", "Option types: NBD_OPT_EXPORT_NAME",
      "EXPORT_NAME must not follow extended headers: the server ends the session, or serves with "
      "them.", SENSE)
def _(t):
    client = t.haggling(**ON)
    client.send_option(OPT_EXPORT_NAME, t.name().encode())
    try:
        client.unpack(">QH")
        client.read(0, 512)
        return "it serves"
    except Closed:
        return "it ends the session"


@rule("ext-not-required", "Maximum interoperability",
      "A client without extended headers is not refused with NBD_REP_ERR_EXT_HEADER_REQD.", SHOULD)
def _(t):
    t.haggling(**ON)
    t.ready(structured=False).read(0, 512)
    t.ready(meta=True).read(0, 512)


@rule("ext-meta", "Option types: NBD_OPT_SET_META_CONTEXT",
      "Meta contexts may be selected with extended headers alone.")
def _(t):
    client = t.haggling(**ON)
    expect("base:allocation" in client.list_meta(t.name()), "LIST_META_CONTEXT has none")
    same(list(client.set_meta(t.name(), "base:allocation")), ["base:allocation"], "contexts")


@rule("ext-df-flag", "Transmission flags: NBD_FLAG_SEND_DF",
      "NBD_FLAG_SEND_DF is set with extended headers, too, where DF works.")
def _(t):
    client = t.ready(**ON)
    same(bool(client.flags & SEND_DF), client.errno(CMD_READ, 0, 512, flags=FLAG_DF) == 0,
         "the flag, compared with whether it works")


@rule("ext-reply-magic", EXTENDED,
      "Every reply has the extended header: to reads, to commands without data, to errors.")
def _(t):
    client = t.ready(**WITH_META)
    for kind, offset, length in ((CMD_READ, 0, 512), (CMD_FLUSH, 0, 0), (CMD_READ, 1 << 50, 512),
                                 (99, 0, 0), (CMD_CACHE, 0, 512), (CMD_BLOCK_STATUS, 0, 512)):
        cookie = send_raw(client, kind, offset, length)
        same(raw_reply(client)[2], cookie, "cookie of the reply to command %d" % kind)


@rule("ext-never-simple", "Simple reply message",
      "No reply is simple, not even to a command without data.")
def _(t):
    client = t.ready(**ON)
    for kind in (CMD_FLUSH, 99, CMD_CACHE):
        expect(client.command(kind).is_structured, "a simple reply to command %d" % kind)
    if not client.flags & READ_ONLY:
        client.write(0, bytes(512))


@rule("ext-reply-cookie", EXTENDED,
      "The cookie is the request's, whatever its bits.")
def _(t):
    client = t.ready(**ON)
    for cookie in (0, 1, 0x0102030405060708, (1 << 64) - 1):
        send_raw(client, CMD_READ, 0, 512, cookie=cookie)
        same(raw_reply(client)[2], cookie, "cookie")


@rule("ext-reply-offset", EXTENDED,
      "The offset in the header is the request's, also in errors and for offsets beyond the end.")
def _(t):
    client = t.ready(**WITH_META)
    for kind, offset, length in ((CMD_READ, 4096, 512), (CMD_READ, 1 << 63, 512),
                                 (CMD_BLOCK_STATUS, 8192, 512), (99, 77, 0), (CMD_FLUSH, 0, 0),
                                 (CMD_CACHE, 512, 512), (CMD_READ, (1 << 64) - 1, 1)):
        send_raw(client, kind, offset, length)
        same(raw_reply(client)[3], offset, "offset of the reply to command %d" % kind)


@rule("ext-reply-offset-of-chunks", EXTENDED,
      "Each chunk of an extended reply has the request's offset in its header, though data "
      "in the middle has one of its own.")
def _(t):
    client = t.ready("map=32768", **ON)
    send_raw(client, CMD_READ, 512, 400000)
    flags = 0
    while not flags & CHUNK_DONE:
        flags, _, _, offset, _ = raw_reply(client)
        same(offset, 512, "offset in the header of a chunk")


@rule("ext-reply-done", "Structured reply flags: NBD_REPLY_FLAG_DONE",
      "The last chunk has NBD_REPLY_FLAG_DONE, no other one has, and no other flag is set.")
def _(t):
    client = t.ready("map=32768" if t.is_ours else "", **WITH_META)
    for kind in (CMD_READ, CMD_BLOCK_STATUS, CMD_CACHE, 99):
        flags = client.command(kind, 0, 524288).flags
        same(flags, [0] * (len(flags) - 1) + [CHUNK_DONE], "flags of chunks")


@rule("ext-reply-none", "Structured reply types: NBD_REPLY_TYPE_NONE",
      "A chunk of type NONE has no payload and ends the reply.")
def _(t):
    client = t.ready(**ON)
    for kind, payload in client.command(CMD_FLUSH).chunks:
        if kind == CHUNK_NONE:
            same(payload, b"", "payload")


@rule("ext-error-text", "Structured reply types: NBD_REPLY_TYPE_ERROR",
      "Errors have the same chunk as ever: an error, a text of at most 4096 bytes.")
def _(t):
    client = t.ready(**ON)
    for kind, offset in ((CMD_READ, 1 << 50), (99, 0)):
        send_raw(client, kind, offset, 512)
        _, chunk, _, _, payload = raw_reply(client)
        one_of(chunk, (CHUNK_ERROR, CHUNK_ERROR_OFFSET), "type")
        error, length = struct.unpack(">IH", payload[:6])
        expect(error and length <= min(4096, len(payload) - 6), "errno %d, %d" % (error, length))
        payload[6:6 + length].decode()


@rule("ext-compact-request", "Request message",
      "With extended headers a compact request is none: the connection ends.", SENSE)
def _(t):
    client = t.ready(**ON)
    client.send(struct.pack(">IHHQQI", REQUEST_MAGIC, 0, CMD_READ, 1, 0, 512) + bytes(4))
    expect(client.is_over(), "the server answered")


@rule("ext-request-in-pieces", "Request message",
      "An extended request may come one byte at a time.", SENSE)
def _(t):
    client = t.ready(**ON)
    for byte in struct.pack(FORM, EXTENDED_REQUEST_MAGIC, 0, CMD_READ, 5, 0, 512):
        client.send(bytes([byte]))
    same(raw_reply(client)[2], 5, "cookie")


@rule("ext-request-at-each-byte", "Terminating the transmission phase",
      "A client that leaves anywhere within an extended request harms nobody.", SENSE)
def _(t):
    message = struct.pack(FORM, EXTENDED_REQUEST_MAGIC, FLAG_PAYLOAD_LEN, CMD_CACHE, 5, 0, 16)
    message += bytes(16)
    other = t.ready(**ON)
    for length in range(len(message)):
        client = t.ready(**ON)
        client.send(message[:length])
        client.vanish()
    other.read(0, 512)


@rule("ext-write", "Request message",
      "A write has NBD_CMD_FLAG_PAYLOAD_LEN, and its length is the payload's.")
def _(t):
    client = t.ready(**ON)
    client.write(0, b"extended" * 64)
    same(client.read(0, 512), b"extended" * 64, "what was written")


@rule("ext-write-without-flag", "Command flags: NBD_CMD_FLAG_PAYLOAD_LEN",
      "A write without the flag breaks the rules: it is done with the data that follows, as qemu "
      "means it, or not at all.", MAY)
def _(t):
    client = t.ready(**ON)
    client.write(0, b"before.." * 64)
    client.send_request(CMD_WRITE, 0, 512, data=b"flagless" * 64, payload_len=False)
    try:
        error = client.reply().error
    except Closed:
        error = None
    now = t.ready().read(0, 512)
    same(now, (b"before.." if error != 0 else b"flagless") * 64, "what is there")
    return "it is done" if error == 0 else "it is not done"


@rule("ext-write-flags", "Command flags",
      "FUA goes together with NBD_CMD_FLAG_PAYLOAD_LEN.")
def _(t):
    client = t.ready("tag=ext-write-flags", **ON)
    client.write(0, bytes(512), flags=FLAG_FUA)
    same(t.calls("ext-write-flags"), ["write 512 0 fua"], "calls of the disk")


@rule("ext-write-refused", "Request types: NBD_CMD_WRITE",
      "The payload of a write that fails is skipped.")
def _(t):
    for disk, error in (("", ENOSPC), ("no=write", EPERM), ("error=28", ENOSPC)):
        client = t.ready(disk, **ON)
        offset = 0 if disk else 1 << 50
        same(client.errno(CMD_WRITE, offset, 4096, data=b"\x21\xe4\x1c\x71" * 1024), error,
             "errno, disk %r" % disk)
        client.errno(CMD_READ, 0, 512)


@rule("ext-payload-unexpected", "Command flags: NBD_CMD_FLAG_PAYLOAD_LEN",
      "A payload with a command that takes none is skipped, and the command is NBD_EINVAL.")
def _(t):
    client = t.ready(**ON)
    inner = struct.pack(FORM, EXTENDED_REQUEST_MAGIC, 0, CMD_DISC, 0, 0, 0) * 16
    kinds = [CMD_READ, CMD_CACHE, CMD_FLUSH] + ([CMD_TRIM, CMD_WRITE_ZEROES] if t.is_ours else [])
    for kind in kinds:
        same(client.errno(kind, 0, len(inner), data=inner, payload_len=True), EINVAL,
             "errno of command %d" % kind)
    client.read(0, 512)


@rule("ext-payload-unknown-command", "Request message",
      "The payload of a command that is not known is skipped, too.", SHOULD)
def _(t):
    client = t.ready(**ON)
    for length in (1, 16, 4096, 1 << 20):
        same(client.errno(99, 0, length, data=bytes(length), payload_len=True), EINVAL, "errno")
    client.read(0, 512)


@rule("ext-payload-empty", "Command flags: NBD_CMD_FLAG_PAYLOAD_LEN",
      "A payload is not empty; a write that says so fails or does nothing, and the next request is "
      "understood.", SENSE)
def _(t):
    client = t.ready(**ON)
    one_of(client.errno(CMD_WRITE, 0, 0), (0, EINVAL), "errno")
    same(client.errno(CMD_READ, 0, 0, payload_len=True), EINVAL, "errno of a read")
    client.read(0, 512)


@rule("ext-payload-too-large", "Request message",
      "A payload larger than the maximum ends the connection, and takes no memory.", SHOULD)
def _(t):
    server = t.server()
    before = t.memory_kib(server)
    for length in (1 << 32, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
        client = t.ready("size=8G", **ON)
        client.send_request(CMD_WRITE, 0, length)
        expect(client.is_over(), "%d bytes: the server answered" % length)
    expect(t.memory_kib(server) - before < 8192, "it took memory")


@rule("ext-payload-somewhat-large", "Request message",
      "A write beyond the disk's maximum block size, but no more than servers take by default, "
      "fails, is done in parts or ends the connection.", MAY)
def _(t):
    client = t.ready("block=512:4096:65536", infos=(INFO_BLOCK_SIZE,), **ON)
    try:
        error = client.errno(CMD_WRITE, 0, 131072, data=bytes(131072))
        expect(error in (0, EINVAL), "errno %d" % error)
        client.read(0, 512)
        return "it fails" if error else "it is done in parts"
    except Closed:
        return "it ends the connection"


@rule("ext-effect-64", "Request message",
      "Without a payload the length is an effect length of 64 bits: trims, zeroes and cache "
      "requests reach over more than 4 GiB.")
def _(t):
    client = t.ready("size=16T,tag=ext-effect-64", **ON)
    for kind in (CMD_TRIM, CMD_CACHE):
        same(client.errno(kind, 1 << 33, 5 * GIB), 0, "errno of command %d" % kind)
    same(client.errno(CMD_WRITE_ZEROES, 1 << 33, 5 * GIB), 0, "errno of zeroes")
    covered = {}
    for call in t.calls("ext-effect-64"):
        what, count, offset = call.split()[:3]
        same(int(offset), (1 << 33) + covered.get(what, 0), "offset of the next call, " + what)
        covered[what] = covered.get(what, 0) + int(count)
    same(covered, {"trim": 5 * GIB, "cache": 5 * GIB, "zero": 5 * GIB}, "bytes that were reached")


@rule("ext-effect-refused-at-once", "Block size constraints",
      "An effect length that the server has no means for is NBD_EINVAL or NBD_EOVERFLOW, not a "
      "disconnect.", SHOULD)
def _(t):
    client = t.ready("size=16T,no=zero", **ON)
    one_of(client.errno(CMD_WRITE_ZEROES, 0, 1 << 20), (0,), "errno of 1 MiB")
    error = client.errno(CMD_WRITE_ZEROES, 0, 1 << 43, flags=FLAG_FAST_ZERO)
    one_of(error, (ENOTSUP, EINVAL, EOVERFLOW), "errno of 8 TiB, fast")
    client.read(0, 512)


@rule("ext-effect-beyond", "Error values",
      "64-bit ranges beyond the end fail as others do, also where offset and length overflow.",
      SHOULD)
def _(t):
    client = t.ready("size=1M,tag=ext-effect-beyond", **WITH_META)
    for kind, error in ((CMD_READ, EINVAL), (CMD_TRIM, EINVAL), (CMD_CACHE, EINVAL),
                        (CMD_WRITE_ZEROES, ENOSPC), (CMD_BLOCK_STATUS, EINVAL)):
        for offset, length in ((0, 1 << 32), (512, (1 << 64) - 512), (1, (1 << 64) - 1),
                               ((1 << 64) - 1, (1 << 64) - 1), (1 << 63, 1 << 63),
                               (0, (1 << 32) + 512), (0, 1 << 63)):
            same(client.errno(kind, offset, length), error,
                 "errno of command %d, %#x bytes at %#x" % (kind, length, offset))
    same(t.calls("ext-effect-beyond"), [], "calls of the disk")


@rule("ext-read-64", "Request types: NBD_CMD_READ",
      "A read of more than 32 bits may be refused; it takes no memory.", MAY)
def _(t):
    server = t.server()
    before = t.memory_kib(server)
    client = t.ready("size=16T", **ON)
    for length in (1 << 32, (1 << 32) + 512, 1 << 40):
        one_of(client.errno(CMD_READ, 0, length), (EINVAL, EOVERFLOW), "errno")
        one_of(client.errno(CMD_READ, 0, length, flags=FLAG_DF), (EINVAL, EOVERFLOW), "errno, DF")
    expect(t.memory_kib(server) - before < 8192, "it took memory")
    client.read(0, 512)


@rule("ext-read-data", "Structured reply types: NBD_REPLY_TYPE_OFFSET_DATA",
      "Content chunks are the same as in structured replies, and cover the read.")
def _(t):
    client = t.ready("map=32768", **ON)
    t.ready().write(0, b"\x5a" * 65536)
    for flags in (0, FLAG_DF):
        data = client.read(1024, 65536, flags=flags)
        same(data, b"\x5a" * (32768 - 1024) + bytes(32768 + 1024), "data and hole")


@rule("ext-disc", "Request types: NBD_CMD_DISC",
      "DISC ends the connection, after the requests before it.")
def _(t):
    client = t.ready(**ON)
    cookies = {client.send_request(CMD_READ, 0, 512) for _ in range(10)}
    client.send_request(CMD_DISC)
    same(set(client.replies(10)), cookies, "cookies")
    client.hangs_up()


@rule("ext-each-answered", "Transmission",
      "Each of many extended requests is answered once.")
def _(t):
    client = t.ready(**ON)
    cookies = {client.send_request(CMD_READ, 512 * number, 512) for number in range(64)}
    same(set(client.replies(64)), cookies, "cookies")


@rule("ext-zero-length", "Request types",
      "Lengths of 0 do not cost the connection.", SHOULD)
def _(t):
    client = t.ready(**WITH_META)
    for kind in (CMD_READ, CMD_TRIM, CMD_CACHE, CMD_WRITE_ZEROES, CMD_BLOCK_STATUS):
        client.errno(kind, 0, 0)
    client.read(0, 512)


@rule("ext-unknown-flags", "Error values",
      "Flags that are not known are NBD_EINVAL with extended headers, too.", SHOULD)
def _(t):
    client = t.ready(**ON)
    for bit in range(6, 16):
        same(client.errno(CMD_READ, 0, 512, flags=1 << bit), EINVAL, "errno with bit %d" % bit)


@rule("ext-status-types", FILTER,
      "There is one chunk for each context, of exactly one of the two types.")
def _(t):
    client = t.ready(**WITH_META)
    for length in (512, 1 << 20 if t.is_ours else 65536):
        kinds = [kind for kind, _ in client.command(CMD_BLOCK_STATUS, 0, length).chunks
                 if kind != CHUNK_NONE]
        same(len(kinds), 1, "chunks")
        one_of(kinds[0], (CHUNK_BLOCK_STATUS, CHUNK_BLOCK_STATUS_EXT), "type")


@rule("ext-status-length", STATUS_EXT,
      "The chunk has 8 bytes and then 16 for each descriptor, of which there is at least one.")
def _(t):
    client = t.ready("map=4096" if t.is_ours else "", **WITH_META)
    for kind, payload in client.command(CMD_BLOCK_STATUS, 0, 65536).chunks:
        if kind == CHUNK_BLOCK_STATUS_EXT:
            expect(len(payload) >= 24 and len(payload) % 16 == 8, "%d bytes" % len(payload))


@rule("ext-status-count", STATUS_EXT,
      "The count is 0, or the number of descriptors that follow.")
def _(t):
    client = t.ready("map=4096" if t.is_ours else "", **WITH_META)
    for length in (512, 65536):
        for kind, payload in client.command(CMD_BLOCK_STATUS, 0, length).chunks:
            if kind == CHUNK_BLOCK_STATUS_EXT:
                one_of(struct.unpack(">I", payload[4:8])[0], (0, (len(payload) - 8) // 16), "count")


@rule("ext-status-padding", STATUS_EXT,
      "The padding in each descriptor is 0, and its length is not.")
def _(t):
    client = t.ready("map=4096" if t.is_ours else "", **WITH_META)
    for kind, payload in client.command(CMD_BLOCK_STATUS, 0, 65536).chunks:
        if kind == CHUNK_BLOCK_STATUS_EXT:
            for length, padding, flags in struct.iter_unpack(">QII", payload[8:]):
                expect(length and not padding and flags < 4, "%r" % ((length, padding, flags),))


@rule("ext-status-only-extended", STATUS_EXT,
      "Without extended headers the chunk is never of this type.")
def _(t):
    client = t.ready(meta=True)
    for kind, _ in client.command(CMD_BLOCK_STATUS, 0, 4096).chunks:
        expect(kind != CHUNK_BLOCK_STATUS_EXT, "it is")


@rule("ext-status-same", FILTER,
      "What block status tells does not depend on the headers.", SENSE)
def _(t):
    for disk in ("map=4096", "no=extents", "map=100000"):
        replies = [t.ready(disk, meta=True, extended=extended).block_status(0, 65536)
                   for extended in (False, True)]
        same(replies[1], replies[0], "descriptors with extended headers, disk " + disk)


@rule("ext-status-64", STATUS_EXT,
      "One descriptor may tell of more than 4 GiB.", SENSE)
def _(t):
    for disk in ("size=16T,no=extents", "size=16T,far"):
        client = t.ready(disk, **WITH_META)
        extents = client.block_status(0, 1 << 43)
        expect(extents[0][0] > 1 << 32, "descriptors %r" % extents)


@rule("ext-status-req-one", "Command flags: NBD_CMD_FLAG_REQ_ONE",
      "REQ_ONE has one descriptor and no more than what was asked for, with 64 bits as well.")
def _(t):
    for disk in ("size=16T,no=extents", "size=16T,map=5G", "size=16T,far"):
        client = t.ready(disk, **WITH_META)
        for length in (512, 6 * GIB, 1 << 43):
            extents = client.block_status(512, length, flags=FLAG_REQ_ONE)
            same(len(extents), 1, "descriptors")
            expect(0 < extents[0][0] <= length, "%d bytes of %d" % (extents[0][0], length))


@rule("ext-status-truth", FILTER,
      "Descriptors of more than 32 bits are true, and lie one behind the other.")
def _(t):
    client = t.ready("size=64G,map=5G", **WITH_META)
    place = 0
    while place < client.size:
        for length, flags in client.block_status(place, client.size - place):
            same(flags, (0, 3, 2, 1)[place // (5 * GIB) % 4], "flags at %d" % place)
            place += length
            expect(place % (5 * GIB) == 0 or place == client.size, "a descriptor to %d" % place)


@rule("filter-flag", FILTER_FLAG,
      "NBD_FLAG_BLOCK_STATUS_PAYLOAD is clear unless extended headers were negotiated.")
def _(t):
    for options in ({}, {"structured": False}, {"meta": True}):
        same(t.ready(**options).flags & BLOCK_STATUS_PAYLOAD, 0, "the flag")
    client = t.haggling()
    client.set_meta(t.name(), "base:allocation")
    client.export_name(t.name())
    same(client.flags & BLOCK_STATUS_PAYLOAD, 0, "the flag with EXPORT_NAME")


@rule("filter-flag-without-contexts", FILTER_FLAG,
      "The flag is clear for a client that selected no context.", SHOULD)
def _(t):
    same(t.ready(**ON).flags & BLOCK_STATUS_PAYLOAD, 0, "the flag")


@rule("filter-flag-is-true", FILTER_FLAG,
      "A block status with a payload works exactly where the flag is set.")
def _(t):
    client = t.ready(**WITH_META)
    error = filtered(client, 0, filter_data(512, client.context_id)).error
    same(error == 0, bool(client.flags & BLOCK_STATUS_PAYLOAD), "success, compared with the flag")


@rule("filter-works", FILTER,
      "With a payload of an effect length and an ID, the reply is about that range and context.")
def _(t):
    client = ready_for_filter(t, "map=4096" if t.is_ours else "")
    reply = filtered(client, 4096, filter_data(8192, client.context_id))
    same(reply.error, 0, "errno")
    same([number for number, _ in reply.extents], [client.context_id], "IDs")
    same(reply.extents[0][1], client.block_status(4096, 8192), "descriptors")


@rule("filter-req-one", FILTER,
      "REQ_ONE and a payload go together.")
def _(t):
    client = ready_for_filter(t, "map=4096")
    reply = filtered(client, 0, filter_data(65536, client.context_id), flags=FLAG_REQ_ONE)
    same(reply.extents, [(client.context_id, [(4096, 0)])], "descriptors")


@rule("filter-duplicate", FILTER,
      "An ID that is named twice is NBD_EINVAL.")
def _(t):
    client = ready_for_filter(t)
    number = client.context_id
    same(filtered(client, 0, filter_data(512, number, number)).error, EINVAL, "errno")
    client.block_status(0, 512)


@rule("filter-unknown", FILTER,
      "An ID that was not selected is NBD_EINVAL, alone or beside a good one.")
def _(t):
    client = ready_for_filter(t)
    number = client.context_id
    for ids in ((number + 1,), (number, number ^ 0x80000000), (0xFFFFFFFF ^ number, number)):
        same(filtered(client, 0, filter_data(512, *ids)).error, EINVAL, "errno for %r" % (ids,))
    client.block_status(0, 512)


@rule("filter-malformed", FILTER,
      "A payload that is not 8 bytes and a multiple of 4 is skipped, and is NBD_EINVAL.")
def _(t):
    client = ready_for_filter(t)
    for length in (1, 4, 7, 9, 10, 11, 13, 14, 15, 17, 1000001):
        same(filtered(client, 0, bytes(length)).error, EINVAL, "errno of %d bytes" % length)
    client.block_status(0, 512)


@rule("filter-nothing", FILTER,
      "A payload without an ID asks for nothing: an error, or a reply without descriptors.", MAY)
def _(t):
    client = ready_for_filter(t)
    reply = filtered(client, 0, filter_data(512))
    one_of(reply.error, (0, EINVAL), "errno")
    same(reply.extents, [], "descriptors")
    return "errno %d" % reply.error


@rule("filter-beyond", FILTER,
      "The effect length in a payload has the limits of any other.")
def _(t):
    client = ready_for_filter(t, "size=1M")
    for offset, length in ((0, (1 << 20) + 1), (1 << 20, 1), (512, (1 << 64) - 1), (1 << 63, 1)):
        same(filtered(client, offset, filter_data(length, client.context_id)).error, EINVAL,
             "errno of %#x bytes at %#x" % (length, offset))
    one_of(filtered(client, 0, filter_data(0, client.context_id)).error, (0, EINVAL),
           "errno of no bytes")


@rule("filter-64", FILTER,
      "The effect length in the payload of a block status has 64 bits.")
def _(t):
    client = ready_for_filter(t, "size=16T,far")
    reply = filtered(client, 0, filter_data(1 << 43, client.context_id))
    same(reply.error, 0, "errno")
    expect(reply.extents[0][1][0][0] > 1 << 32, "descriptors %r" % reply.extents)


@rule("filter-not-negotiated", FILTER,
      "Without a context that was selected, the payload is skipped and the command is NBD_EINVAL.")
def _(t):
    client = t.ready(**ON)
    for data in (filter_data(512, 0), filter_data(512, 1), bytes(100)):
        same(filtered(client, 0, data).error, EINVAL, "errno")
    client.read(0, 512)
