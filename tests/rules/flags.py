# SPDX-License-Identifier: BSD-3-Clause
"""Transmission flags: each is set where it is true, and what is not offered does not work."""

from rules.bench import *
from rules.book import MAY, SENSE, SHOULD, expect, rule

DEFINED = (1 << 12) - 1 & ~SEND_RESIZE


def flags_of(t, disk, **more):
    return t.ready(disk, **more).flags


def unless_offered(t, disk, flag, kind, length=512, **raw):
    """The command is NBD_EINVAL on a disk without the flag, and the disk is not called."""
    tag = "%s-%d" % (disk.replace("=", ""), kind)
    client = t.ready("%s,tag=%s" % (disk, tag))
    same(client.flags & flag, 0, "the flag")
    same(client.errno(kind, 0, length, **raw), EINVAL, "errno of the command")
    same(t.calls(tag), [], "calls of the disk")
    client.read(0, 512)


@rule("flag-has-flags", "Transmission flags: NBD_FLAG_HAS_FLAGS",
      "Bit 0 is always 1.")
def _(t):
    for options in ({}, {"structured": False}):
        expect(t.ready(**options).flags & HAS_FLAGS, "it is 0")
    if t.is_ours:
        expect(flags_of(t, "no=write,no=flush,no=cache") & HAS_FLAGS, "it is 0")


@rule("flag-undefined", "Transmission flags",
      "No flag is set that is not defined, nor one of an extension that was not negotiated.")
def _(t):
    for options in ({}, {"structured": False}, {"meta": True}):
        same(t.ready(**options).flags & ~DEFINED, 0, "undefined flags")


@rule("flag-read-only", "Transmission flags: NBD_FLAG_READ_ONLY",
      "A disk that cannot be written is announced as read-only.")
def _(t):
    expect(flags_of(t, "no=write") & READ_ONLY, "flags without the bit")
    expect(flags_of(t, "", server="readonly") & READ_ONLY, "flags without the bit, server -r")
    expect(not flags_of(t, "") & READ_ONLY, "a writable disk has it, too")


@rule("flag-read-only-writes", "Transmission flags: NBD_FLAG_READ_ONLY",
      "On a read-only export every command that writes fails, and does not reach the disk.")
def _(t):
    client = t.ready("no=write,tag=read-only-writes")
    for kind in (CMD_WRITE, CMD_TRIM, CMD_WRITE_ZEROES):
        data = bytes(512) if kind == CMD_WRITE else b""
        expect(client.errno(kind, 0, 512, data=data), "command %d succeeded" % kind)
    same(t.calls("read-only-writes"), [], "calls of the disk")


@rule("flag-read-only-eperm", "Error values",
      "On a read-only export, a write, a trim and a write of zeroes fail with NBD_EPERM.", SHOULD)
def _(t):
    for options in ({"disk": "no=write"}, {"server": "readonly"}):
        client = t.ready(**options)
        for kind in (CMD_WRITE, CMD_TRIM, CMD_WRITE_ZEROES):
            data = bytes(512) if kind == CMD_WRITE else b""
            same(client.errno(kind, 0, 512, data=data), EPERM, "errno of command %d" % kind)
        client.read(0, 512)


@rule("flag-read-only-offers-nothing", "Transmission flags",
      "A read-only export does not offer trim, zeroes or fast zeroes, which do not work on it.")
def _(t):
    for options in ({"disk": "no=write"}, {"server": "readonly"}):
        same(t.ready(**options).flags & (SEND_TRIM | SEND_WRITE_ZEROES | SEND_FAST_ZERO), 0,
             "flags of writing")


@rule("flag-flush", "Transmission flags: NBD_FLAG_SEND_FLUSH",
      "NBD_FLAG_SEND_FLUSH is set where a flush works.")
def _(t):
    client = t.ready()
    error = client.errno(CMD_FLUSH)
    expect(bool(client.flags & SEND_FLUSH) == (error == 0),
           "flags %#x, errno %d" % (client.flags, error))


@rule("flag-no-flush", "Transmission flags: NBD_FLAG_SEND_FLUSH",
      "A disk without flush does not have the flag; a flush is refused.")
def _(t):
    unless_offered(t, "no=flush", SEND_FLUSH, CMD_FLUSH, 0)


@rule("flag-fua", "Transmission flags: NBD_FLAG_SEND_FUA",
      "NBD_FLAG_SEND_FUA is set where FUA can be done, by the disk or with its flush.")
def _(t):
    for disk in ("", "emulate"):
        expect(flags_of(t, disk) & SEND_FUA, "disk %r: the flag is not set" % disk)
    for disk in ("no=fua",):
        expect(not flags_of(t, disk) & SEND_FUA, "disk %r: the flag is set" % disk)


@rule("flag-rotational", "Transmission flags: NBD_FLAG_ROTATIONAL",
      "NBD_FLAG_ROTATIONAL is what the disk says.")
def _(t):
    expect(flags_of(t, "rotational") & ROTATIONAL, "the flag is not set")
    expect(not flags_of(t, "") & ROTATIONAL, "the flag is set on a disk that is not rotational")


@rule("flag-trim", "Transmission flags: NBD_FLAG_SEND_TRIM",
      "NBD_FLAG_SEND_TRIM is set where the disk can trim.")
def _(t):
    expect(flags_of(t, "") & SEND_TRIM, "the flag is not set")


@rule("flag-no-trim", "Transmission flags: NBD_FLAG_SEND_TRIM",
      "A disk without trim does not have the flag; a trim is refused.")
def _(t):
    unless_offered(t, "no=trim", SEND_TRIM, CMD_TRIM)


@rule("flag-write-zeroes", "Transmission flags: NBD_FLAG_SEND_WRITE_ZEROES",
      "NBD_FLAG_SEND_WRITE_ZEROES is set where zeroes can be written, by the disk's own means or "
      "the server's.")
def _(t):
    for disk in ("", "no=zero"):
        client = t.ready(disk)
        expect(client.flags & SEND_WRITE_ZEROES, "disk %r: the flag is not set" % disk)
        same(client.errno(CMD_WRITE_ZEROES, 0, 512), 0, "errno of a write of zeroes")


@rule("flag-df", "Transmission flags: NBD_FLAG_SEND_DF",
      "NBD_FLAG_SEND_DF is set where structured replies were negotiated and DF works, and is clear "
      "without them.")
def _(t):
    same(t.ready(structured=False).flags & SEND_DF, 0, "the flag without structured replies")
    client = t.ready()
    same(bool(client.flags & SEND_DF), client.errno(CMD_READ, 0, 512, flags=FLAG_DF) == 0,
         "the flag, compared with whether it works")


@rule("flag-df-export-name", "Transmission flags: NBD_FLAG_SEND_DF",
      "NBD_FLAG_SEND_DF is the same with EXPORT_NAME as with GO.")
def _(t):
    client = t.greeted()
    client.export_name(t.name())
    same(client.flags & SEND_DF, 0, "the flag without structured replies")
    client = t.haggling()
    client.export_name(t.name())
    same(client.flags & SEND_DF, SEND_DF, "the flag with structured replies")


@rule("flag-multi-conn", "Transmission flags: NBD_FLAG_CAN_MULTI_CONN",
      "NBD_FLAG_CAN_MULTI_CONN is set where the disk says that it is true.")
def _(t):
    expect(flags_of(t, "") & CAN_MULTI_CONN, "the flag is not set")
    expect(not flags_of(t, "no=multi") & CAN_MULTI_CONN, "the flag is set without can_multi_conn")


@rule("flag-cache", "Transmission flags: NBD_FLAG_SEND_CACHE",
      "NBD_FLAG_SEND_CACHE is set where the disk knows what to do with a cache request.")
def _(t):
    expect(flags_of(t, "") & SEND_CACHE, "the flag is not set")


@rule("flag-no-cache", "Transmission flags: NBD_FLAG_SEND_CACHE",
      "Without the flag, a cache request may work or fail; the connection goes on.", MAY)
def _(t):
    client = t.ready("no=cache")
    same(client.flags & SEND_CACHE, 0, "the flag")
    error = client.errno(CMD_CACHE, 0, 512)
    client.read(0, 512)
    return "errno %d" % error


@rule("flag-fast-zero", "Transmission flags: NBD_FLAG_SEND_FAST_ZERO",
      "NBD_FLAG_SEND_FAST_ZERO is set where NBD_CMD_FLAG_FAST_ZERO is understood.")
def _(t):
    expect(flags_of(t, "") & SEND_FAST_ZERO, "the flag is not set")
    expect(not flags_of(t, "no=fast") & SEND_FAST_ZERO, "the flag is set without can_fast_zero")


@rule("flag-fast-zero-needs-zero", "Transmission flags: NBD_FLAG_SEND_FAST_ZERO",
      "The flag is clear where NBD_FLAG_SEND_WRITE_ZEROES is.")
def _(t):
    for disk in ("", "no=write", "no=zero", "no=fast", "no=zero,no=fast"):
        flags = flags_of(t, disk)
        expect(flags & SEND_WRITE_ZEROES or not flags & SEND_FAST_ZERO,
               "disk %r: flags %#x" % (disk, flags))


@rule("flag-no-resize", "Transmission flags: NBD_FLAG_SEND_RESIZE",
      "The flag of the experimental RESIZE is not set by a server without it.")
def _(t):
    same(t.ready().flags & SEND_RESIZE, 0, "the flag")


@rule("flag-no-payload-filter", "Transmission flags: NBD_FLAG_BLOCK_STATUS_PAYLOAD",
      "The flag of payloads in block status is clear without extended headers.")
def _(t):
    for options in ({}, {"meta": True}, {"structured": False}):
        same(t.ready(**options).flags & BLOCK_STATUS_PAYLOAD, 0, "the flag")


@rule("flags-same-for-each", "Option reply types: NBD_INFO_EXPORT",
      "The flags of an export are the same for each client that negotiates the same.", SENSE)
def _(t):
    same(t.ready().flags, t.ready().flags, "flags of the second connection")
