# SPDX-License-Identifier: BSD-3-Clause
"""Block sizes as limits: what is not aligned, and what is too large."""

from rules.bench import *
from rules.book import MAY, SENSE, SHOULD, Skip, expect, one_of, rule

SIZES = "block=512:4096:65536,size=1M"
ASKED = {"infos": (INFO_BLOCK_SIZE,)}
WITH_RANGE = (CMD_READ, CMD_WRITE, CMD_TRIM, CMD_CACHE, CMD_WRITE_ZEROES, CMD_BLOCK_STATUS)


def errno_of(client, kind, offset, length):
    return client.errno(kind, offset, length, data=bytes(length) if kind == CMD_WRITE else b"")


@rule("unaligned-offset", "Block size constraints",
      "An offset that is no multiple of the minimum block size is NBD_EINVAL, for each command.",
      SHOULD)
def _(t):
    client = t.ready(SIZES + ",tag=unaligned-offset", meta=True, **ASKED)
    for kind in WITH_RANGE:
        for offset in (1, 256, 511, 513):
            same(errno_of(client, kind, offset, 512), EINVAL,
                 "errno of command %d at %d" % (kind, offset))
    same(t.calls("unaligned-offset"), [], "calls of the disk")


@rule("unaligned-length", "Block size constraints",
      "A length that is no multiple of the minimum block size is NBD_EINVAL, for each "
      "command.", SHOULD)
def _(t):
    client = t.ready(SIZES + ",tag=unaligned-length", meta=True, **ASKED)
    for kind in WITH_RANGE:
        for length in (1, 256, 511, 513):
            same(errno_of(client, kind, 0, length), EINVAL,
                 "errno of command %d, %d bytes" % (kind, length))
    same(t.calls("unaligned-length"), [], "calls of the disk")


@rule("unaligned-not-asked", "Block size constraints",
      "A client that did not ask for block sizes gets clean errors, too, and no data is damaged.")
def _(t):
    t.ready().write(0, b"careful." * 128)
    for options in ({}, {"structured": False}):
        client = t.ready(SIZES, **options)
        for kind in (CMD_WRITE, CMD_WRITE_ZEROES, CMD_TRIM, CMD_READ):
            for offset, length in ((1, 512), (0, 511), (0, 66049)):
                same(errno_of(client, kind, offset, length), EINVAL,
                     "errno of command %d, %d bytes at %d" % (kind, length, offset))
        same(client.read(0, 1024), b"careful." * 128, "what is there")


@rule("aligned", "Block size constraints",
      "What is aligned and not too large is served.")
def _(t):
    client = t.ready(SIZES, meta=True, **ASKED)
    for kind in WITH_RANGE:
        for offset, length in ((0, 512), (512, 512), (1024, 65536), ((1 << 20) - 512, 512)):
            same(errno_of(client, kind, offset, length), 0,
                 "errno of command %d, %d bytes at %d" % (kind, length, offset))


@rule("preferred-is-a-wish", "Block size constraints",
      "Requests smaller than the preferred block size are served.")
def _(t):
    client = t.ready("block=1:4096:65536", **ASKED)
    for offset, length in ((0, 1), (511, 3), (4095, 2)):
        for kind in (CMD_READ, CMD_WRITE):
            same(errno_of(client, kind, offset, length), 0, "errno")


def try_too_large(t, tag, kind):
    """Sends what is longer than the maximum; the disk may not see it. Returns what came of it."""
    client = t.ready(SIZES + ",tag=" + tag, **ASKED)
    errors = {errno_of(client, kind, 0, length) for length in (65536 + 512, 1 << 20)}
    expect(errors in ({0}, {EINVAL}), "errno %r" % errors)
    for call in t.calls(tag):
        expect(call.startswith("extents ") or int(call.split()[1]) <= 65536, "the disk was called: %s" % call)
    client.read(0, 65536)
    return "it fails" if errors == {EINVAL} else "it is done in parts"


@rule("read-too-large", "Block size constraints",
      "A read of more than the maximum block size is NBD_EINVAL, or done in parts.", MAY)
def _(t):
    return try_too_large(t, "read-too-large", CMD_READ)


@rule("write-too-large", "Block size constraints",
      "A write of more than the maximum block size is NBD_EINVAL, or done in parts.", MAY)
def _(t):
    return try_too_large(t, "write-too-large", CMD_WRITE)


@rule("write-32m-is-no-attack", "Block size constraints",
      "A write of less than 32 MiB is no denial of service: the connection goes on.", SHOULD)
def _(t):
    client = t.ready("size=64M,block=512:4096:65536", **ASKED)
    expect(errno_of(client, CMD_WRITE, 0, (32 << 20) - 512) in (0, EINVAL), "another errno")
    client.read(0, 512)


@rule("default-32m", "Block size constraints",
      "Without block sizes of the disk's own, reads and writes of 32 MiB are served.", SHOULD)
def _(t):
    client = t.ready("size=64M")
    same(len(client.read(0, 32 << 20)), 32 << 20, "bytes read")
    same(errno_of(client, CMD_WRITE, 1 << 20, 32 << 20), 0, "errno of a write")


@rule("default-maximum-is-true", "Option reply types: NBD_INFO_BLOCK_SIZE",
      "The maximum that is told is one that is served, in reads and writes.")
def _(t):
    client = t.ready("size=1G", **ASKED)
    if INFO_BLOCK_SIZE not in client.info:
        raise Skip("the server does not tell its block sizes")
    _, _, maximum = struct.unpack(">III", client.info[INFO_BLOCK_SIZE])
    maximum = min(maximum, client.size)
    same(len(client.read(0, maximum)), maximum, "bytes read")
    same(errno_of(client, CMD_WRITE, 0, maximum), 0, "errno of a write")


@rule("default-any-alignment", "Block size constraints",
      "Without block sizes of the disk's own, any offset and any length are served.", SHOULD)
def _(t):
    client = t.ready()
    if not t.is_ours:
        raise Skip("needs a disk without block sizes")
    for offset, length in ((0, 1), (1, 1), (511, 513), (1000003, 7)):
        for kind in WITH_RANGE[:-1]:
            same(errno_of(client, kind, offset, length), 0,
                 "errno of command %d, %d bytes at %d" % (kind, length, offset))


@rule("maximum-of-the-disk", "Block size constraints",
      "A disk may allow more than 64 MiB at a time, and then it is served.", SENSE)
def _(t):
    client = t.ready("size=1G,block=1:4096:134217728", **ASKED)
    same(struct.unpack(">III", client.info[INFO_BLOCK_SIZE])[2], 128 << 20, "maximum")
    same(client.errno(CMD_READ, 0, 128 << 20), 0, "errno of a read of 128 MiB")


@rule("huge-read", "Block size constraints",
      "A read of 2^32 - 1 bytes is refused, or ends the connection, and takes no memory.", SENSE)
def _(t):
    server = t.server()
    for structured in (False, True):
        client = t.ready("size=8G", structured=structured)
        before = t.memory_kib(server)
        for length in (0xFFFFFFFF, 0xFFFFFE00, 0x80000000):
            one_of(client.errno(CMD_READ, 0, length), (EINVAL, EOVERFLOW), "errno")
        expect(t.memory_kib(server) - before < 8192, "it took memory")
        client.read(0, 512)


@rule("huge-write", "Block size constraints",
      "A write of 2^32 - 1 bytes may cost the connection, before it costs memory.", MAY)
def _(t):
    server = t.server()
    client = t.ready("size=8G")
    before = t.memory_kib(server)
    client.send_request(CMD_WRITE, 0, 0xFFFFFFFF, data=bytes(1 << 20))
    client.vanish()
    t.ready().read(0, 512)
    expect(t.memory_kib(server) - before < 65536, "it took memory")


@rule("size-no-multiple", "Block size constraints",
      "The end of an export whose size is no multiple of the minimum block size: reading it "
      "works or fails, and does not reach beyond the end.", MAY)
def _(t):
    client = t.ready("size=1000,block=512:4096:65536,tag=size-no-multiple", **ASKED)
    if client.size % 512 == 0:
        return "the size that is told is %d" % client.size
    error = client.errno(CMD_READ, 512, client.size - 512)
    one_of(error, (0, EINVAL), "errno")
    expect(client.errno(CMD_READ, 512, 512), "a read beyond the end works")
    return "errno %d" % error
