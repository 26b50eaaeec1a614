# SPDX-License-Identifier: BSD-3-Clause
"""Each command: what it does, what its limits are, what flags it has."""

from rules.bench import *
from rules.book import MAY, SENSE, SHOULD, Skip, expect, one_of, rule

BEYOND = ((1 << 20, 512), (1 << 20, 1), ((1 << 20) - 512, 1024), (0, (1 << 20) + 1),
          (1 << 50, 512), ((1 << 64) - 512, 512), ((1 << 64) - 1, 2), ((1 << 63), 1 << 20))


def beyond(t, kind, errno, tag, **options):
    """A request that is not wholly within the disk fails, and does not reach it."""
    client = t.ready("size=1M,tag=" + tag, **options)
    for offset, length in BEYOND:
        data = bytes(length) if kind == CMD_WRITE else b""
        same(client.errno(kind, offset, length, data=data), errno,
             "errno of %d bytes at %#x" % (length, offset))
    same(t.calls(tag), [], "calls of the disk")


def zero_length(t, kind, **options):
    """A request of no bytes gets a reply, and the connection lives on."""
    client = t.ready(**options)
    notes = {client.errno(kind, offset, 0) for offset in (0, 512)}
    client.read(0, 512)
    return "errno %s" % " or ".join(map(str, sorted(notes)))


def needs(client, flag, what):
    if not client.flags & flag:
        raise Skip("the server does not offer " + what)


@rule("read-zero-length", "Request types: NBD_CMD_READ",
      "A read of no bytes does not cost the connection.", SHOULD)
def _(t):
    zero_length(t, CMD_READ, structured=False)
    return zero_length(t, CMD_READ)


@rule("write-zero-length", "Request types: NBD_CMD_WRITE",
      "A write of no bytes does not cost the connection.", SHOULD)
def _(t):
    return zero_length(t, CMD_WRITE)


@rule("trim-zero-length", "Request types: NBD_CMD_TRIM",
      "A trim of no bytes does not cost the connection.", SHOULD)
def _(t):
    return zero_length(t, CMD_TRIM)


@rule("cache-zero-length", "Request types: NBD_CMD_CACHE",
      "A cache request of no bytes does not cost the connection.", SENSE)
def _(t):
    return zero_length(t, CMD_CACHE)


@rule("zeroes-zero-length", "Request types: NBD_CMD_WRITE_ZEROES",
      "Zeroes of no bytes do not cost the connection.", SHOULD)
def _(t):
    return zero_length(t, CMD_WRITE_ZEROES)


@rule("status-zero-length", "Request types: NBD_CMD_BLOCK_STATUS",
      "A block status of no bytes does not cost the connection.", SHOULD)
def _(t):
    return zero_length(t, CMD_BLOCK_STATUS, meta=True)


@rule("read-beyond", "Error values",
      "A read beyond the end is NBD_EINVAL.", SHOULD)
def _(t):
    beyond(t, CMD_READ, EINVAL, "read-beyond")
    beyond(t, CMD_READ, EINVAL, "read-beyond-simple", structured=False)


@rule("write-beyond", "Error values",
      "A write beyond the end is NBD_ENOSPC.", SHOULD)
def _(t):
    beyond(t, CMD_WRITE, ENOSPC, "write-beyond")


@rule("trim-beyond", "Error values",
      "A trim beyond the end is NBD_EINVAL.", SHOULD)
def _(t):
    beyond(t, CMD_TRIM, EINVAL, "trim-beyond")


@rule("cache-beyond", "Request types: NBD_CMD_CACHE",
      "A cache request beyond the end fails.", SENSE)
def _(t):
    beyond(t, CMD_CACHE, EINVAL, "cache-beyond")


@rule("zeroes-beyond", "Request types: NBD_CMD_WRITE_ZEROES",
      "Zeroes beyond the end are NBD_ENOSPC.", SHOULD)
def _(t):
    beyond(t, CMD_WRITE_ZEROES, ENOSPC, "zeroes-beyond")


@rule("status-beyond", "Request types: NBD_CMD_BLOCK_STATUS",
      "A block status beyond the end is NBD_EINVAL.", SHOULD)
def _(t):
    beyond(t, CMD_BLOCK_STATUS, EINVAL, "status-beyond", meta=True)


@rule("last-byte", "Transmission",
      "The last bytes of an export can be read and written, whatever its size.", SENSE)
def _(t):
    for size in (1, 511, 513, (1 << 20) - 1, (1 << 63) - 1):
        client = t.ready("size=%d" % size, meta=True)
        client.write(size - 1, b"Z")
        same(client.read(size - 1, 1), b"Z" if size <= 1 << 20 else b"\0", "the last byte")
        for kind in (CMD_TRIM, CMD_CACHE, CMD_WRITE_ZEROES, CMD_BLOCK_STATUS):
            same(client.errno(kind, size - 1, 1), 0, "errno of command %d" % kind)
        same(client.errno(CMD_READ, size, 1), EINVAL, "errno beyond the end")


@rule("empty-export", "Transmission",
      "An export of size 0 can be opened; nothing in it can be read.", SENSE)
def _(t):
    client = t.ready("size=0")
    same(client.errno(CMD_READ, 0, 1), EINVAL, "errno")
    client.disconnect()


@rule("command-unknown", "Error values",
      "A command that is not known is NBD_EINVAL.", SHOULD)
def _(t):
    for structured in (False, True):
        client = t.ready(structured=structured)
        for kind in (8, 9, 16, 255, 256, 0x7FFF, 0xFFFF):
            same(client.errno(kind, 0, 512), EINVAL, "errno of command %d" % kind)
        client.read(0, 512)


@rule("command-resize", "Request types: NBD_CMD_RESIZE",
      "The experimental RESIZE is one that is not known.", SHOULD)
def _(t):
    same(t.ready().errno(CMD_RESIZE, 1 << 30, 0), EINVAL, "errno")


@rule("flag-of-command-unknown", "Error values",
      "A command flag that is not known is NBD_EINVAL, on each command.", SHOULD)
def _(t):
    client = t.ready(meta=True)
    for bit in range(6, 16):
        for kind in (CMD_READ, CMD_FLUSH, CMD_CACHE, CMD_BLOCK_STATUS):
            length = 0 if kind == CMD_FLUSH else 512
            same(client.errno(kind, 0, length, flags=1 << bit), EINVAL,
                 "errno of command %d, flag bit %d" % (kind, bit))


@rule("flag-of-write-unknown", "Error values",
      "A write with a flag that is not known is NBD_EINVAL, and its data is not taken for "
      "requests.", SHOULD)
def _(t):
    client = t.ready()
    client.write(0, b"before.." * 64)
    for bit in range(1, 16):
        same(client.errno(CMD_WRITE, 0, 512, flags=1 << bit, data=b"\x25" * 512), EINVAL,
             "errno with flag bit %d" % bit)
    for bit in [2, 3, *range(6, 16)]:
        for kind in (CMD_WRITE_ZEROES, CMD_TRIM):
            same(client.errno(kind, 0, 512, flags=1 << bit), EINVAL,
                 "errno of command %d with flag bit %d" % (kind, bit))
    same(client.read(0, 512), b"before.." * 64, "what is there now")


@rule("flag-of-other-command", "Error values",
      "A flag of another command is NBD_EINVAL.", SHOULD)
def _(t):
    client = t.ready(meta=True)
    own = {CMD_READ: FLAG_DF, CMD_FLUSH: 0, CMD_TRIM: 0, CMD_CACHE: 0,
           CMD_WRITE_ZEROES: FLAG_NO_HOLE | FLAG_FAST_ZERO, CMD_BLOCK_STATUS: FLAG_REQ_ONE}
    for kind, mine in own.items():
        for flag in (FLAG_NO_HOLE, FLAG_DF, FLAG_REQ_ONE, FLAG_FAST_ZERO):
            if flag & ~mine:
                length = 0 if kind == CMD_FLUSH else 512
                same(client.errno(kind, 0, length, flags=flag), EINVAL,
                     "errno of command %d with flag %d" % (kind, flag))


@rule("write-refused-data-skipped", "Request types: NBD_CMD_WRITE",
      "The data of a write that fails is read all the same: the next request is understood.")
def _(t):
    inner = struct.pack(">IHHQQI", REQUEST_MAGIC, 0, CMD_DISC, 0, 0, 0)
    client = t.ready("size=1M")
    for offset, flags in ((1 << 50, 0), (0, 1 << 15), ((1 << 20) - 1, 0)):
        data = inner * 100
        expect(client.errno(CMD_WRITE, offset, len(data), flags=flags, data=data),
               "the write succeeded")
        client.read(0, 512)


@rule("write-error", "Request types: NBD_CMD_WRITE",
      "A write that the disk could not do is answered with an error.")
def _(t):
    client = t.ready("error=28")
    same(client.errno(CMD_WRITE, 0, 512, data=bytes(512)), ENOSPC, "errno")


@rule("disc-no-reply", "Request types: NBD_CMD_DISC",
      "DISC has no reply: the server closes the connection.")
def _(t):
    for structured in (False, True):
        client = t.ready(structured=structured)
        client.send_request(CMD_DISC)
        client.hangs_up()


@rule("disc-answers-first", "Request types: NBD_CMD_DISC",
      "Requests before DISC are done and answered before the connection is closed.")
def _(t):
    client = t.ready()
    cookies = {client.send_request(CMD_READ, 0, 4096) for _ in range(32)}
    client.send_request(CMD_DISC)
    same(set(client.replies(32)), cookies, "cookies")
    same(client.ending(), "eof", "how the connection ends")


@rule("disc-waits-for-slow", "Request types: NBD_CMD_DISC",
      "A request before DISC is answered though it takes its time.")
def _(t):
    client, helper = t.ready("gate"), t.ready("gate")
    slow = client.send_request(CMD_READ, 64 << 10, 512)
    client.send_request(CMD_DISC)
    helper.write(64 << 10, bytes(512))
    reply = client.reply()
    same((reply.cookie, reply.error), (slow, 0), "cookie and errno of the slow read")
    same(client.ending(), "eof", "how the connection ends")


@rule("disc-writes-first", "Request types: NBD_CMD_DISC",
      "A write before DISC is done though nobody waits for its reply.")
def _(t):
    client = t.ready("tag=disc-writes-first")
    client.send_write(0, b"the last" * 64)
    client.send_request(CMD_DISC)
    client.reply()
    client.hangs_up()
    same(t.ready().read(0, 512), b"the last" * 64, "what was written")


@rule("disc-then-nothing", "Request types: NBD_CMD_DISC",
      "What a client sends after DISC, against the rules, is not done.", SENSE)
def _(t):
    client = t.ready("tag=disc-then-nothing")
    wires = struct.pack(">IHHQQI", REQUEST_MAGIC, 0, CMD_DISC, 0, 0, 0)
    wires += struct.pack(">IHHQQI", REQUEST_MAGIC, 0, CMD_WRITE, 1, 0, 512) + bytes(512)
    client.send(wires)
    client.hangs_up()
    until(lambda: "close" in t.calls("disc-then-nothing"), "the disk to be closed")
    same(t.calls("disc-then-nothing"), ["close"], "calls of the disk")


@rule("disc-with-values", "Request types: NBD_CMD_DISC",
      "Offset and length of DISC must be 0; a client that has others there is leaving all the "
      "same.", SENSE)
def _(t):
    client = t.ready()
    client.send_request(CMD_DISC, 512, 512)
    expect(client.is_over(), "the server answered")


@rule("disc-closes-disk", "Terminating the transmission phase",
      "After DISC the disk is closed.", SENSE)
def _(t):
    client = t.ready("tag=disc-closes-disk")
    client.disconnect()
    until(lambda: t.calls("disc-closes-disk") == ["close"], "the disk to be closed")


@rule("flush-with-values", "Request types: NBD_CMD_FLUSH",
      "Offset and length of a flush must be 0; with others it fails or is done, nothing else.", MAY)
def _(t):
    client = t.ready()
    notes = {client.errno(CMD_FLUSH, offset, length)
             for offset, length in ((512, 0), (0, 512), (1 << 63, 1 << 31))}
    expect(notes <= {0, EINVAL}, "errnos %r" % notes)
    client.read(0, 512)
    return "errno %s" % " or ".join(map(str, sorted(notes)))


@rule("trim-works", "Request types: NBD_CMD_TRIM",
      "A trim is a hint, and what was outside of it stays.")
def _(t):
    client = t.ready("tag=trim-works")
    client.write(0, b"around.." * 192)
    same(client.errno(CMD_TRIM, 512, 512), 0, "errno")
    same(client.read(0, 512) + client.read(1024, 512), b"around.." * 128, "what is around")
    same(t.calls("trim-works")[1], "trim 512 512", "call of the disk")


@rule("cache-changes-nothing", "Request types: NBD_CMD_CACHE",
      "A cache request has no effect on what is read.")
def _(t):
    client = t.ready()
    client.write(0, b"cache..." * 64)
    needs(client, SEND_CACHE, "cache requests")
    for _ in range(3):
        same(client.errno(CMD_CACHE, 0, 512), 0, "errno")
        same(client.read(0, 512), b"cache..." * 64, "what is read")


@rule("cache-flags", "Request types: NBD_CMD_CACHE",
      "A cache request with a flag that is not known fails.")
def _(t):
    client = t.ready()
    needs(client, SEND_CACHE, "cache requests")
    for bit in range(1, 16):
        expect(client.errno(CMD_CACHE, 0, 512, flags=1 << bit), "flag bit %d is accepted" % bit)


@rule("cache-error", "Request types: NBD_CMD_CACHE",
      "A cache request that the disk could not do is answered with an error.")
def _(t):
    same(t.ready("error=5").errno(CMD_CACHE, 0, 512), EIO, "errno")


@rule("zeroes-read-as-zero", "Request types: NBD_CMD_WRITE_ZEROES",
      "What was zeroed reads as zeroes, and what is around it stays.")
def _(t):
    for disk in ("", "no=zero", "lame") if t.is_ours else ("",):
        client = t.ready(disk)
        needs(client, SEND_WRITE_ZEROES, "writing zeroes")
        for flags in (0, FLAG_NO_HOLE):
            client.write(0, b"nonzero." * 192)
            same(client.errno(CMD_WRITE_ZEROES, 512, 512, flags=flags), 0, "errno")
            same(client.read(0, 1536), b"nonzero." * 64 + bytes(512) + b"nonzero." * 64,
                 "what is read, disk %r, flags %d" % (disk, flags))


@rule("zeroes-no-hole", "Command flags: NBD_CMD_FLAG_NO_HOLE",
      "With NBD_CMD_FLAG_NO_HOLE the disk is not to make a hole; without it, it may.")
def _(t):
    client = t.ready("tag=zeroes-no-hole")
    same(client.errno(CMD_WRITE_ZEROES, 0, 512), 0, "errno")
    same(client.errno(CMD_WRITE_ZEROES, 0, 512, flags=FLAG_NO_HOLE), 0, "errno with the flag")
    same(t.calls("zeroes-no-hole"), ["zero 512 0 may_trim", "zero 512 0"], "calls of the disk")


@rule("zeroes-no-hole-without-trim", "Command flags: NBD_CMD_FLAG_NO_HOLE",
      "The flag is good on a disk that cannot trim.")
def _(t):
    same(t.ready("no=trim").errno(CMD_WRITE_ZEROES, 0, 512, flags=FLAG_NO_HOLE), 0, "errno")


@rule("zeroes-without-fast-flag", "Request types: NBD_CMD_WRITE_ZEROES",
      "Without NBD_CMD_FLAG_FAST_ZERO, zeroes never fail with NBD_ENOTSUP, fast or not.")
def _(t):
    for disk in ("slow", "lame", "no=zero", "no=fast", "lame,no=fast"):
        for flags in (0, FLAG_NO_HOLE):
            same(t.ready(disk).errno(CMD_WRITE_ZEROES, 0, 512, flags=flags), 0,
                 "errno on disk %r" % disk)


@rule("fast-zero-that-is", "Request types: NBD_CMD_WRITE_ZEROES",
      "A fast zero that is fast is done.")
def _(t):
    client = t.ready("tag=fast-zero-that-is")
    client.write(0, b"nonzero." * 64)
    same(client.errno(CMD_WRITE_ZEROES, 0, 512, flags=FLAG_FAST_ZERO), 0, "errno")
    same(client.read(0, 512), bytes(512), "what is read")
    same(t.calls("fast-zero-that-is")[1], "zero 512 0 may_trim fast", "call of the disk")


@rule("fast-zero-that-is-not", "Request types: NBD_CMD_WRITE_ZEROES",
      "A fast zero that would be no faster than a write fails with NBD_ENOTSUP.")
def _(t):
    for disk in ("slow", "lame", "no=zero"):
        client = t.ready(disk)
        expect(client.flags & SEND_FAST_ZERO, "disk %r does not offer fast zeroes" % disk)
        for flags in (0, FLAG_NO_HOLE, FLAG_FUA):
            same(client.errno(CMD_WRITE_ZEROES, 0, 512, flags=flags | FLAG_FAST_ZERO), ENOTSUP,
                 "errno on disk %r, flags %d" % (disk, flags))


@rule("fast-zero-fails-cleanly", "Request types: NBD_CMD_WRITE_ZEROES",
      "A fast zero that fails so has not changed the disk.", SHOULD)
def _(t):
    for disk in ("slow", "lame", "no=zero"):
        client = t.ready(disk)
        client.write(0, b"nonzero." * 64)
        client.errno(CMD_WRITE_ZEROES, 0, 512, flags=FLAG_FAST_ZERO)
        same(client.read(0, 512), b"nonzero." * 64, "what is read from disk %r" % disk)


@rule("fast-zero-not-offered", "Request types: NBD_CMD_WRITE_ZEROES",
      "Where fast zeroes are not offered, the flag is NBD_EINVAL.", SHOULD)
def _(t):
    client = t.ready("no=fast")
    same(client.errno(CMD_WRITE_ZEROES, 0, 512, flags=FLAG_FAST_ZERO), EINVAL, "errno")


@rule("zeroes-large", "Block size constraints",
      "Zeroes and trims have no data, so they may be larger than the maximum block size: they are "
      "done, or fail.", MAY)
def _(t):
    client = t.ready("size=8G,block=512:4096:65536")
    notes = []
    for kind in (CMD_TRIM, CMD_WRITE_ZEROES):
        error = client.errno(kind, 0, 0xFFFFFE00)
        one_of(error, (0, EINVAL, EOVERFLOW), "errno of command %d" % kind)
        notes.append("errno %d" % error)
    client.read(0, 512)
    return " and ".join(notes)


@rule("zeroes-4g", "Request types: NBD_CMD_WRITE_ZEROES",
      "Zeroes, trims and cache requests of up to 2^32 - 1 bytes are done where the server knows "
      "of no limit.", SENSE)
def _(t):
    client = t.ready("size=8G")
    for kind in (CMD_TRIM, CMD_WRITE_ZEROES, CMD_CACHE):
        same(client.errno(kind, 0, 0xFFFFFFFF), 0, "errno of command %d" % kind)


@rule("zeroes-error", "Request types: NBD_CMD_WRITE_ZEROES",
      "Zeroes that the disk could not write are answered with an error.")
def _(t):
    for disk in ("error=28", "error=28,no=zero"):
        same(t.ready(disk).errno(CMD_WRITE_ZEROES, 0, 512), ENOSPC, "errno")


@rule("status-one-chunk", "Structured reply types: NBD_REPLY_TYPE_BLOCK_STATUS",
      "A successful block status has one chunk for each context that was selected.")
def _(t):
    client = t.ready(meta=True)
    for length in (512, 65536):
        reply = client.command(CMD_BLOCK_STATUS, 0, length)
        same([kind for kind, _ in reply.chunks if kind != CHUNK_NONE], [CHUNK_BLOCK_STATUS],
             "types of chunks")


@rule("status-chunk-length", "Structured reply types: NBD_REPLY_TYPE_BLOCK_STATUS",
      "The chunk has 4 bytes and then 8 for each descriptor, of which there is at least one.")
def _(t):
    client = t.ready("map=4096" if t.is_ours else "", meta=True)
    for length in (512, 65536):
        for kind, payload in client.command(CMD_BLOCK_STATUS, 0, length).chunks:
            if kind == CHUNK_BLOCK_STATUS:
                expect(len(payload) >= 12 and len(payload) % 8 == 4, "%d bytes" % len(payload))


@rule("status-descriptors-nonzero", "Structured reply types: NBD_REPLY_TYPE_BLOCK_STATUS",
      "No descriptor has the length 0.")
def _(t):
    client = t.ready("map=4096" if t.is_ours else "", meta=True)
    for offset in (0, 512, 4096):
        for length, _ in client.block_status(offset, 65536):
            expect(length, "a descriptor without length")


@rule("status-sum", "Structured reply types: NBD_REPLY_TYPE_BLOCK_STATUS",
      "The lengths of all descriptors but the last one add up to less than was asked for.")
def _(t):
    for disk in ("map=4096", "map=4096,far", "far") if t.is_ours else ("",):
        client = t.ready(disk, meta=True)
        for offset, length in ((0, 65536), (512, 8192), (4096, 4096), (8192, 512)):
            lengths = [size for size, _ in client.block_status(offset, length)]
            expect(sum(lengths[:-1]) < length, "disk %r: %r for %d" % (disk, lengths, length))


@rule("status-within-disk", "Request types: NBD_CMD_BLOCK_STATUS",
      "The last descriptor may tell of what follows, but not of what lies beyond the disk.")
def _(t):
    for disk in ("map=4096", "far", "map=4096,far,size=1000000") if t.is_ours else ("",):
        for extended in (False, True) if t.is_ours else (False,):
            client = t.ready(disk, meta=True, extended=extended)
            for offset in (0, 512, client.size - 512):
                told = sum(size for size, _ in client.block_status(offset, 512))
                expect(told <= client.size - offset, "%d bytes from %d on" % (told, offset))


@rule("status-what-is-there", "`base:allocation` metadata context",
      "The descriptors follow each other from the offset on and say what is there.")
def _(t):
    client = t.ready("map=4096", meta=True)
    extents = client.block_status(4096, 16384)
    same(extents, [(4096, 3), (4096, 2), (4096, 1), (4096, 0)], "descriptors")
    extents = client.block_status(4096 + 512, 8192)
    same(extents[:2], [(3584, 3), (4096, 2)], "descriptors from the middle of a hole")


@rule("status-flags", "`base:allocation` metadata context",
      "No flag but NBD_STATE_HOLE and NBD_STATE_ZERO is set.", SHOULD)
def _(t):
    client = t.ready("map=4096" if t.is_ours else "", meta=True)
    for _, flags in client.block_status(0, 65536):
        same(flags & ~3, 0, "flags")


@rule("status-without-knowledge", "`base:allocation` metadata context",
      "A disk that does not know its extents is told as data: neither hole nor zero.")
def _(t):
    client = t.ready("no=extents", meta=True)
    same({flags for _, flags in client.block_status(0, 65536)}, {0}, "flags")


@rule("status-progress", "Request types: NBD_CMD_BLOCK_STATUS",
      "A client that asks again from where the last reply ended gets to the end of the disk.")
def _(t):
    for disk in ("map=4096,short", "map=100000", "far") if t.is_ours else ("",):
        client = t.ready(disk, meta=True)
        place = 0
        for _ in range(1000):
            if place >= min(client.size, 1 << 20):
                break
            length = client.size - place if t.is_ours else min(client.size - place, 65536)
            place += sum(size for size, _ in client.block_status(place, length))
        expect(place >= min(client.size, 1 << 20), "disk %r: it came to %d" % (disk, place))


@rule("status-req-one", "Command flags: NBD_CMD_FLAG_REQ_ONE",
      "With NBD_CMD_FLAG_REQ_ONE there is exactly one descriptor, no longer than what was asked.")
def _(t):
    for disk in ("map=4096", "far", "map=4096,far", "no=extents") if t.is_ours else ("",):
        client = t.ready(disk, meta=True)
        for offset, length in ((0, 65536), (0, 512), (4096, 512), (512, 4096)):
            extents = client.block_status(offset, length, flags=FLAG_REQ_ONE)
            same(len(extents), 1, "descriptors")
            expect(extents[0][0] <= length, "%d bytes of %d" % (extents[0][0], length))


@rule("status-distinct", "Request types: NBD_CMD_BLOCK_STATUS",
      "Descriptors that follow each other have different flags.", SHOULD)
def _(t):
    extents = t.ready("map=4096,no=extents" if t.is_ours else "", meta=True).block_status(0, 65536)
    for (_, one), (_, other) in zip(extents, extents[1:]):
        expect(one != other, "descriptors %r" % extents)


@rule("status-512", "Request types: NBD_CMD_BLOCK_STATUS",
      "The lengths of descriptors are multiples of 512, but for the last one.", SHOULD)
def _(t):
    client = t.ready("map=4096" if t.is_ours else "", meta=True)
    for length, _ in client.block_status(0, 65536)[:-1]:
        same(length % 512, 0, "rest of a length divided by 512")


@rule("status-minimum-block", "Request types: NBD_CMD_BLOCK_STATUS",
      "The lengths of descriptors are multiples of the minimum block size, however the disk's "
      "extents lie.")
def _(t):
    client = t.ready("map=1000,block=4096:4096:1M".replace("1M", "1048576"), meta=True)
    for flags in (0, FLAG_REQ_ONE):
        for offset in (0, 4096, 65536):
            for length, _ in client.block_status(offset, 65536, flags=flags):
                same(length % 4096, 0, "rest of length %d divided by 4096" % length)


@rule("status-minimum-block-is-true", "`base:allocation` metadata context",
      "A block that is told as a hole or as zero is one in all its parts.")
def _(t):
    for disk in ("map=1000", "map=1000,short", "map=1000,size=10000", "map=5000,size=9500",
                 "map=12288", "map=4000,short,size=8200"):
        client = t.ready(disk + ",block=4096:4096:1048576", meta=True)
        unit = int(re.match(r"map=(\d+)", disk).group(1))
        place, end = 0, min(client.size, 65536)
        while place < end:
            for length, flags in client.block_status(place, end - place):
                truth = {(0, 3, 2, 1)[byte // unit % 4] for byte in range(place, place + length)}
                expect(all(flags & ~one == 0 for one in truth),
                       "disk %r: flags %d at %d, where the disk has %r"
                       % (disk, flags, place, truth))
                place += length
        expect(place >= end, "the last descriptor ends at %d" % place)


@rule("status-not-negotiated", "Metadata querying",
      "Block status without a context that was selected is NBD_EINVAL.", SHOULD)
def _(t):
    for options in ({}, {"structured": False}):
        client = t.ready(**options)
        same(client.errno(CMD_BLOCK_STATUS, 0, 512), EINVAL, "errno")
        client.read(0, 512)


@rule("status-4g", "Structured reply types: NBD_REPLY_TYPE_BLOCK_STATUS",
      "An extent of more than 4 GiB is told as far as 32 bits go.")
def _(t):
    for disk in ("size=8T,no=extents", "size=8T,far", "size=8T,map=5G"):
        client = t.ready(disk, meta=True)
        for flags in (0, FLAG_REQ_ONE):
            for length in (512, 0x7FFFFFFF, 0xFFFFFE00, 0xFFFFFFFF):
                extents = client.block_status(1 << 40, length, flags=flags)
                expect(extents[0][0] and len({flags for _, flags in extents}) <= 2,
                       "descriptors %r" % extents)


@rule("status-error", "Request types: NBD_CMD_BLOCK_STATUS",
      "A block status that the disk could not do is an error, or one descriptor for the whole.",
      MAY)
def _(t):
    reply = t.ready("error=5", meta=True).command(CMD_BLOCK_STATUS, 0, 65536)
    if reply.error:
        same((reply.error, reply.extents), (EIO, []), "errno and descriptors")
        return "an error"
    same([size for size, _ in reply.extents[0][1]], [65536], "descriptors")
    return "a descriptor"
