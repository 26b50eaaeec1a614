# SPDX-License-Identifier: BSD-3-Clause
"""Structured replies: chunks, holes, DF and error chunks.

rawnbd.py checks in each reply that chunks lie in the request, do not overlap and leave no gap.
"""

from rules.bench import *
from rules.book import MAY, SENSE, SHOULD, expect, one_of, rule

SPARSE = "map=32768,size=1M"
CONTENT = (CHUNK_OFFSET_DATA, CHUNK_OFFSET_HOLE)


def spans(reply):
    """(offset, end, type) of each content chunk."""
    found = []
    for kind, payload in reply.chunks:
        if kind == CHUNK_OFFSET_DATA:
            offset = struct.unpack(">Q", payload[:8])[0]
            found.append((offset, offset + len(payload) - 8, kind))
        elif kind == CHUNK_OFFSET_HOLE:
            offset, length = struct.unpack(">QI", payload)
            found.append((offset, offset + length, kind))
    return found


def replies_to_everything(t):
    """Replies of many kinds from a server with structured replies."""
    client = t.ready(SPARSE if t.is_ours else "", meta=True)
    requests = [(CMD_READ, 0, 512), (CMD_READ, 0, 524288), (CMD_READ, 1 << 50, 512), (99, 0, 0),
                (CMD_FLUSH, 0, 0), (CMD_BLOCK_STATUS, 0, 524288), (CMD_BLOCK_STATUS, 1 << 50, 512),
                (CMD_READ, 1024, 524288)]
    for kind, offset, length in requests:
        yield client.command(kind, offset, length)
    yield client.command(CMD_READ, 0, 512, flags=FLAG_REQ_ONE)


@rule("structured-read", "Structured reply chunk message",
      "With structured replies, every read is answered by chunks and none by a simple reply.")
def _(t):
    client = t.ready()
    client.send_request(CMD_READ, 0, 512)
    same(client.unpack(">I"), (STRUCTURED_REPLY_MAGIC,), "magic number")


@rule("structured-read-error", "Structured reply chunk message",
      "With structured replies, a read that is refused early, for its flags or its place, "
      "gets no simple reply either.")
def _(t):
    client = t.ready()
    for offset, length, flags in ((0, 512, 1 << 15), (1 << 50, 512, 0), (0, 0, 0), (0, 512, 8)):
        reply = client.command(CMD_READ, offset, length, flags=flags)
        expect(reply.is_structured, "a simple reply with errno %d" % reply.error)


@rule("structured-block-status", "Metadata querying",
      "The reply to block status is a structured one.")
def _(t):
    client = t.ready(meta=True)
    for offset in (0, 1 << 50):
        expect(client.command(CMD_BLOCK_STATUS, offset, 512).is_structured, "a simple reply")


@rule("structured-or-simple", "Simple reply message",
      "With structured replies, requests without data are answered either way.", MAY)
def _(t):
    reply = t.ready().command(CMD_FLUSH)
    return "structured" if reply.is_structured else "simple"


@rule("structured-errors-preferred", "Structured reply chunk message",
      "Errors are sent as structured replies, where these were negotiated.", SHOULD)
def _(t):
    client = t.ready()
    for kind in (CMD_READ, CMD_CACHE, 99):
        reply = client.command(kind, 1 << 50, 512)
        expect(reply.error, "command %d succeeded" % kind)
        expect(reply.is_structured, "command %d: a simple reply" % kind)


@rule("chunk-done-last", "Structured reply flags: NBD_REPLY_FLAG_DONE",
      "The last chunk has NBD_REPLY_FLAG_DONE and those before it have not.")
def _(t):
    for reply in replies_to_everything(t):
        if reply.is_structured:
            done = [flags & CHUNK_DONE for flags in reply.flags]
            same(done, [0] * (len(done) - 1) + [CHUNK_DONE], "flags of %r" % reply)


@rule("chunk-no-other-flag", "Structured reply flags",
      "No other flag is set on a chunk.")
def _(t):
    for reply in replies_to_everything(t):
        for flags in reply.flags:
            same(flags & ~CHUNK_DONE, 0, "flags of a chunk of %r" % reply)


@rule("chunk-cookie", "Structured reply chunk message",
      "All chunks of a reply have the cookie of its request, interleaved with others or not.")
def _(t):
    client = t.ready(SPARSE if t.is_ours else "")
    cookies = [client.send_request(CMD_READ, 32768 * number, 65536, cookie=1 << number)
               for number in range(16)]
    same(sorted(client.replies(16)), cookies, "cookies")


@rule("chunk-none", "Structured reply types: NBD_REPLY_TYPE_NONE",
      "A chunk of type NONE is empty, and is the last one.")
def _(t):
    for reply in replies_to_everything(t):
        for (kind, payload), flags in zip(reply.chunks, reply.flags):
            if kind == CHUNK_NONE:
                same((payload, flags), (b"", CHUNK_DONE), "payload and flags")


@rule("chunk-types", "Structured reply types",
      "Only chunks of types that are defined come, and of those only what the request can have.")
def _(t):
    client = t.ready(meta=True)
    allowed = {CMD_READ: CONTENT, CMD_BLOCK_STATUS: (CHUNK_BLOCK_STATUS,), CMD_FLUSH: (),
               CMD_CACHE: ()}
    for kind, types in allowed.items():
        for offset in (0, 1 << 50):
            length = 0 if kind == CMD_FLUSH else 4096
            reply = client.command(kind, offset if length else 0, length)
            for chunk, _ in reply.chunks:
                one_of(chunk, (CHUNK_NONE, CHUNK_ERROR, CHUNK_ERROR_OFFSET, *types),
                       "type of a chunk for command %d" % kind)


@rule("data-chunk-length", "Structured reply types: NBD_REPLY_TYPE_OFFSET_DATA",
      "A data chunk has at least 9 bytes: an offset and one byte.")
def _(t):
    for reply in replies_to_everything(t):
        for kind, payload in reply.chunks:
            expect(kind != CHUNK_OFFSET_DATA or len(payload) >= 9, "%d bytes" % len(payload))


@rule("data-chunk-offset", "Structured reply types: NBD_REPLY_TYPE_OFFSET_DATA",
      "The offset in a chunk counts from the start of the export.")
def _(t):
    client = t.ready()
    for offset in (0, 512, 4096, 524288):
        reply = client.command(CMD_READ, offset, 512)
        same(min(spans(reply))[0], offset, "offset")


@rule("chunks-cover-request", "Request types: NBD_CMD_READ",
      "Without an error, the chunks cover all of the request: no gap, no overlap, none beyond it.")
def _(t):
    client = t.ready(SPARSE if t.is_ours else "")
    for offset, length in ((0, 65536), (512, 200000), (32767, 2), (32767, 65538),
                           (65536, 65536), (100, 400000), (40000, 300001)):
        if not t.is_ours:
            offset, length = offset & ~511, (length + 511) & ~511
        reply = client.command(CMD_READ, offset, length)
        place = offset
        for begin, end, _ in sorted(spans(reply)):
            same(begin, place, "start of the next chunk")
            place = end
        same(place, offset + length, "end of the last chunk")


@rule("hole-chunk-length", "Structured reply types: NBD_REPLY_TYPE_OFFSET_HOLE",
      "A hole chunk has exactly 12 bytes, and its hole is not empty.")
def _(t):
    reply = t.ready(SPARSE).command(CMD_READ, 0, 524288)
    for kind, payload in reply.chunks:
        if kind == CHUNK_OFFSET_HOLE:
            same(len(payload), 12, "length of the chunk")
            expect(struct.unpack(">QI", payload)[1], "a hole of no bytes")


@rule("hole-reads-zero", "Structured reply types: NBD_REPLY_TYPE_OFFSET_HOLE",
      "What is told as a hole reads as zeroes, and what is not zero is not told as one.")
def _(t):
    length = 524288
    t.ready().write(0, b"\xa5" * length)
    for unit in (32768, 50000, 100001):
        reply = t.ready("map=%d" % unit).command(CMD_READ, 0, length)
        for begin, end, kind in spans(reply):
            if kind == CHUNK_OFFSET_HOLE:
                for block in range(begin // unit, (end - 1) // unit + 1):
                    one_of(block % 4, (1, 2), "kind of extent in a hole from %d to %d"
                           % (begin, end))
        for block in range(length // unit):
            here = reply.data[block * unit:(block + 1) * unit]
            if block % 4 == 0:
                expect(here == b"\xa5" * unit, "block %d is not what was written" % block)
            elif block % 4 != 3:
                expect(here == bytes(unit), "block %d is not zero" % block)


@rule("hole-chunks-sent", "Structured reply chunk message",
      "Structured replies are there to skip holes: a large one is not sent as zeroes.", SENSE)
def _(t):
    reply = t.ready("map=1M,size=8M").command(CMD_READ, 0, 4 << 20)
    expect(any(kind == CHUNK_OFFSET_HOLE for _, _, kind in spans(reply)),
           "no hole in %r" % spans(reply))


@rule("chunk-alignment", "Request types: NBD_CMD_READ",
      "Chunks of an aligned read begin and end at multiples of 512.", SHOULD)
def _(t):
    client = t.ready("map=50000")
    for begin, end, _ in spans(client.command(CMD_READ, 0, 1 << 20)):
        expect(begin % 512 == 0 and end % 512 == 0, "a chunk from %d to %d" % (begin, end))


@rule("df-one-chunk", "Command flags: NBD_CMD_FLAG_DF",
      "With NBD_CMD_FLAG_DF there is one content chunk at most.")
def _(t):
    client = t.ready(SPARSE if t.is_ours else "")
    for length in (512, 4096, 65536):
        reply = client.command(CMD_READ, 0, length, flags=FLAG_DF)
        same(reply.error, 0, "errno")
        same(len(spans(reply)), 1, "content chunks")


@rule("df-hole-and-data", "Request types: NBD_CMD_READ",
      "A read with DF of data and a hole is answered with data, zeroes included.")
def _(t):
    reply = t.ready(SPARSE).command(CMD_READ, 0, 65536, flags=FLAG_DF)
    same([kind for _, _, kind in spans(reply)], [CHUNK_OFFSET_DATA], "types of content chunks")
    expect(reply.data[32768:] == bytes(32768), "the hole is not zero")


@rule("df-65536", "Request types: NBD_CMD_READ",
      "Reads of up to 65536 bytes are possible with DF.")
def _(t):
    client = t.ready()
    same(client.errno(CMD_READ, 0, 65536, flags=FLAG_DF), 0, "errno")


@rule("df-too-large", "Request types: NBD_CMD_READ",
      "DF and too much is NBD_EOVERFLOW without content, or it works in one chunk.", MAY)
def _(t):
    client = t.ready("size=200M")
    reply = client.command(CMD_READ, 0, 100 << 20, flags=FLAG_DF)
    if reply.error:
        one_of(reply.error, (EOVERFLOW, EINVAL), "errno")
        same(spans(reply), [], "content chunks")
        return "errno %d" % reply.error
    same(len(spans(reply)), 1, "content chunks")
    return "one chunk"


@rule("df-without-structured", "Transmission flags: NBD_FLAG_SEND_DF",
      "Without structured replies DF is a flag that does not apply: NBD_EINVAL.", SHOULD)
def _(t):
    client = t.ready(structured=False)
    same(client.errno(CMD_READ, 0, 512, flags=FLAG_DF), EINVAL, "errno")


@rule("error-chunk-layout", "Structured reply types: NBD_REPLY_TYPE_ERROR",
      "An error chunk has at least 6 bytes: an error that is not 0, and the length of a text that "
      "fits.")
def _(t):
    client = t.ready("error=5") if t.is_ours else t.ready()
    for flags in (0, 1 << 15):
        for kind, payload in client.command(CMD_READ, 1 << 50, 512, flags=flags).chunks:
            expect(kind & 0x8000, "a chunk of type %d" % kind)
            expect(len(payload) >= 6, "%d bytes" % len(payload))
            error, length = struct.unpack(">IH", payload[:6])
            expect(error, "errno 0")
            expect(length <= len(payload) - 6, "a text of %d bytes in %r" % (length, payload))


@rule("error-chunk-text", "Structured reply types: NBD_REPLY_TYPE_ERROR",
      "The text of an error is a string of at most 4096 bytes.")
def _(t):
    client = t.ready("error=5") if t.is_ours else t.ready()
    for kind, offset in ((CMD_READ, 0), (CMD_READ, 1 << 50), (99, 0)):
        text = client.command(kind, offset, 512).text
        expect(len(text.encode()) <= 4096 and "\0" not in text, "the text %r" % text)


@rule("error-chunk-text-is-the-disks", "Structured reply chunk message",
      "The text of an error is what the disk had to say.", SENSE)
def _(t):
    client = t.ready("error=28")
    for kind in (CMD_READ, CMD_TRIM, CMD_FLUSH):
        length = 0 if kind == CMD_FLUSH else 512
        same(client.command(kind, 0, length).text, "told to fail with errno 28",
             "text for command %d" % kind)


@rule("error-chunk-once", "Structured reply types: NBD_REPLY_TYPE_ERROR",
      "There is one error chunk in a reply, not more.", SHOULD)
def _(t):
    client = t.ready("error=5") if t.is_ours else t.ready()
    reply = client.command(CMD_READ, 1 << 50, 512)
    same(sum(kind == CHUNK_ERROR for kind, _ in reply.chunks), 1, "error chunks")


@rule("error-offset-in-request", "Structured reply types: NBD_REPLY_TYPE_ERROR_OFFSET",
      "The offset of an error lies in the request.")
def _(t):
    client = t.ready("error=5")
    for kind in (CMD_READ, CMD_TRIM, CMD_CACHE, CMD_WRITE_ZEROES):
        reply = client.command(kind, 4096, 8192)
        expect(reply.error, "command %d succeeded" % kind)
        expect(reply.error_offset is None or 4096 <= reply.error_offset < 12288,
               "offset %r" % reply.error_offset)


@rule("error-has-no-later-success", "Request types: NBD_CMD_READ",
      "A read that failed has an error chunk; data alone would be taken for success.")
def _(t):
    client = t.ready("error=5,map=32768")
    for flags in (0, FLAG_DF):
        same(client.errno(CMD_READ, 0, 65536, flags=flags), EIO, "errno")


@rule("chunks-few", "Structured reply chunk message",
      "A read of data alone is answered with one chunk, not in crumbs.", SHOULD)
def _(t):
    client = t.ready()
    reply = client.command(CMD_READ, 0, 65536)
    expect(len(reply.chunks) <= 2, "%d chunks" % len(reply.chunks))
