# SPDX-License-Identifier: BSD-3-Clause
"""INFO and GO: what they tell, and what is refused."""

from rules.bench import *
from rules.book import MAY, SENSE, SHOULD, Skip, expect, one_of, rule

INFO_AND_GO = "Option types: NBD_OPT_INFO and NBD_OPT_GO"
ALL_INFOS = (INFO_EXPORT, INFO_NAME, INFO_DESCRIPTION, INFO_BLOCK_SIZE)


def info_replies(client, option, name, *infos):
    """The payloads of NBD_REP_INFO, in the order in which they came."""
    replies = client.ask(option, go_query(name, *infos))
    for kind, _ in replies:
        same(kind, REP_INFO, "type of a reply before the ACK")
    return [payload for _, payload in replies]


def types_of(payloads):
    return sorted(struct.unpack(">H", payload[:2])[0] for payload in payloads)


def block_sizes(t, disk=""):
    """(minimum, preferred, maximum) as a client learns them that asks, and the export's size."""
    client = t.greeted()
    info = client.inform(OPT_INFO, t.name(disk), INFO_BLOCK_SIZE)
    if INFO_BLOCK_SIZE not in info:
        raise Skip("the server does not tell its block sizes")
    return (*struct.unpack(">III", info[INFO_BLOCK_SIZE]), client.size)


DISKS_WITH_SIZES = ("", "block=512:4096:65536", "block=4096:65536:1048576",
                    "block=1:512:4294967295", "block=65536:65536:33554432",
                    "block=512:1048576:100663296,size=1G")


def each_block_size(t):
    for disk in DISKS_WITH_SIZES:
        try:
            yield (disk, *block_sizes(t, disk))
        except Skip:
            if not disk:
                raise


@rule("info-has-export", INFO_AND_GO,
      "Before the ACK there is an NBD_INFO_EXPORT, whether it was asked for or not.")
def _(t):
    for option in (OPT_INFO, OPT_GO):
        for infos in ((), (INFO_EXPORT,), (INFO_NAME,), ALL_INFOS):
            types = types_of(info_replies(t.greeted(), option, t.name(), *infos))
            expect(INFO_EXPORT in types, "asked for %r, got %r" % (infos, types))


@rule("info-export-length", "Option reply types: NBD_INFO_EXPORT",
      "NBD_INFO_EXPORT has 12 bytes: its type, the size, the flags.")
def _(t):
    for payload in info_replies(t.greeted(), OPT_INFO, t.name()):
        if payload[:2] == b"\0\0":
            same(len(payload), 12, "length")


@rule("info-export-size", "Option reply types: NBD_INFO_EXPORT",
      "The size is the export's in bytes, up to 2^63 - 1, and need not be a multiple of anything.")
def _(t):
    for size in (0, 1, 511, 513, 1 << 20, (1 << 32) + 1, (1 << 63) - 1):
        client = t.greeted()
        client.inform(OPT_INFO, t.name("size=%d" % size))
        same(client.size, size, "size")


@rule("info-once", "Option reply types: NBD_REP_INFO",
      "Each type of information comes once for an export.", SHOULD)
def _(t):
    types = types_of(info_replies(t.greeted(), OPT_INFO, t.name(), *ALL_INFOS))
    same(types, sorted(set(types)), "types")


@rule("info-asked-twice", INFO_AND_GO,
      "A client must not ask for the same twice; one that does is told once, or refused.", SENSE)
def _(t):
    client = t.greeted()
    try:
        types = types_of(info_replies(client, OPT_INFO, t.name(), *[INFO_NAME] * 100,
                                      *[INFO_BLOCK_SIZE] * 100))
        same(types, sorted(set(types)), "types")
    except OptionError as error:
        same(error.code, REP_ERR_INVALID, "refusal")
    client.abort()


@rule("info-unknown-type", INFO_AND_GO,
      "Information of a type that the server does not know is ignored.")
def _(t):
    for option in (OPT_INFO, OPT_GO):
        types = types_of(info_replies(t.greeted(), option, t.name(), 4, 99, 0x8000, 0xFFFF))
        expect(INFO_EXPORT in types, "types %r" % types)
        expect(not {4, 99, 0x8000, 0xFFFF} & set(types), "types %r" % types)


@rule("info-not-asked", INFO_AND_GO,
      "Information that was not asked for may come all the same, if it is of a type that is "
      "defined.", MAY)
def _(t):
    types = types_of(info_replies(t.greeted(), OPT_INFO, t.name()))
    expect(set(types) <= set(ALL_INFOS), "types %r" % types)
    return "types %s" % types


@rule("info-many-requests", INFO_AND_GO,
      "The list of requests may have any length that its 16 bits can tell.", SENSE)
def _(t):
    client = t.greeted()
    infos = list(range(4, 4 + 30000))
    try:
        types_of(info_replies(client, OPT_INFO, t.name(), *infos))
    except OptionError as error:
        same(error.code, REP_ERR_TOO_BIG, "refusal")
    client.abort()


@rule("info-name", "Option reply types: NBD_INFO_NAME",
      "The name told for the default export is the one that LIST has.")
def _(t):
    t.server()
    client = t.greeted()
    info = client.inform(OPT_INFO, "", INFO_NAME)
    same(info.get(INFO_NAME, b"name=first"), b"name=first", "name")


@rule("info-name-is-string", "Option reply types: NBD_INFO_NAME",
      "NBD_INFO_NAME is a string: UTF-8, no NUL, at most 4096 bytes.")
def _(t):
    text = t.greeted().inform(OPT_INFO, t.name(), INFO_NAME).get(INFO_NAME, b"")
    text.decode()
    expect(b"\0" not in text and len(text) <= 4096, "the name %r" % text)


@rule("info-description", "Option reply types: NBD_INFO_DESCRIPTION",
      "NBD_INFO_DESCRIPTION is the text that LIST has for the export.")
def _(t):
    t.server()
    client = t.greeted()
    told = client.inform(OPT_INFO, "name=first", INFO_DESCRIPTION).get(INFO_DESCRIPTION)
    same(told, b"the first disk", "description")
    same(dict(client.list_exports())["name=first"], "the first disk", "description in LIST")


@rule("info-block-size-length", "Option reply types: NBD_INFO_BLOCK_SIZE",
      "NBD_INFO_BLOCK_SIZE has 14 bytes: its type and three sizes.")
def _(t):
    for disk in DISKS_WITH_SIZES[:3 if t.is_ours else 1]:
        for payload in info_replies(t.greeted(), OPT_INFO, t.name(disk), INFO_BLOCK_SIZE):
            if payload[:2] == b"\0\3":
                same(len(payload), 14, "length")


@rule("info-block-size-sent", "Option reply types: NBD_INFO_BLOCK_SIZE",
      "A server that enforces block sizes of its own tells them when it is asked.")
def _(t):
    for option in (OPT_INFO, OPT_GO):
        info = t.greeted().inform(option, t.name("block=512:4096:65536"), INFO_BLOCK_SIZE)
        same(info.get(INFO_BLOCK_SIZE), struct.pack(">III", 512, 4096, 65536), "block sizes")


@rule("block-minimum", "Block size constraints",
      "The minimum block size is a power of two, and 65536 at most.")
def _(t):
    for disk, minimum, _, _, _ in each_block_size(t):
        expect(minimum and minimum & minimum - 1 == 0 and minimum <= 65536,
               "disk %r: minimum %d" % (disk, minimum))


@rule("block-preferred", "Block size constraints",
      "The preferred block size is a power of two, at least 512 and at least the minimum.")
def _(t):
    for disk, minimum, preferred, _, _ in each_block_size(t):
        expect(preferred & preferred - 1 == 0 and preferred >= max(512, minimum),
               "disk %r: minimum %d, preferred %d" % (disk, minimum, preferred))


@rule("block-maximum-multiple", "Block size constraints",
      "The maximum block size is a multiple of the minimum, or 0xffffffff.")
def _(t):
    for disk, minimum, _, maximum, _ in each_block_size(t):
        expect(maximum == 0xFFFFFFFF or maximum and maximum % minimum == 0,
               "disk %r: minimum %d, maximum %d" % (disk, minimum, maximum))


@rule("block-maximum-floor", "Block size constraints",
      "The maximum is at least the preferred block size, or the export's size if that is smaller.")
def _(t):
    for disk, _, preferred, maximum, size in each_block_size(t):
        expect(maximum >= min(preferred, size),
               "disk %r: preferred %d, maximum %d, size %d" % (disk, preferred, maximum, size))


@rule("block-maximum-1m", "Block size constraints",
      "A server that is free to choose takes requests of 1 MiB, where the export has so much.",
      SHOULD)
def _(t):
    _, _, maximum, size = block_sizes(t)
    expect(maximum >= min(1 << 20, size), "maximum %d, size %d" % (maximum, size))


@rule("block-size-required", INFO_AND_GO,
      "NBD_REP_ERR_BLOCK_SIZE_REQD is never the answer to who asked for NBD_INFO_BLOCK_SIZE.")
def _(t):
    t.greeted().go(t.name(), INFO_BLOCK_SIZE)
    if t.is_ours:
        t.greeted().go("block=4096:4096:65536", INFO_BLOCK_SIZE)


@rule("block-size-not-required", "Block size constraints",
      "A client that does not ask for block sizes is served all the same.", SHOULD)
def _(t):
    t.greeted().go(t.name())
    t.greeted().export_name(t.name())


@rule("info-stays-in-haggling", INFO_AND_GO,
      "After INFO the client is still haggling: options go on.")
def _(t):
    client = t.greeted()
    for _ in range(3):
        client.inform(OPT_INFO, t.name())
    client.refusal(99)
    client.abort()


@rule("go-enters-transmission", INFO_AND_GO,
      "After the ACK of GO comes transmission, at once: a request in the same packet is answered.")
def _(t):
    t.target.check_size(t.ready().size, 16)
    client = t.greeted()
    data = go_query(t.name())
    client.send(struct.pack(">QII", IHAVEOPT, OPT_GO, len(data)) + data +
                struct.pack(">IHHQQI", REQUEST_MAGIC, 0, CMD_READ, 99, 0, 16))
    kind = REP_INFO
    while kind == REP_INFO:
        kind, _ = client.option_reply(OPT_GO)
    same(kind, REP_ACK, "final reply")
    same(client.unpack(">IIQ"), (SIMPLE_REPLY_MAGIC, 0, 99), "reply to the read")


@rule("go-has-no-zeroes", INFO_AND_GO,
      "No zeroes follow the ACK of GO, with or without NBD_FLAG_C_NO_ZEROES.")
def _(t):
    for flags in (FIXED_NEWSTYLE, FIXED_NEWSTYLE | NO_ZEROES):
        client = t.greeted(flags)
        client.go(t.name())
        client.send_request(CMD_READ, 0, 1)
        same(client.receive(4), struct.pack(">I", SIMPLE_REPLY_MAGIC), "what follows the ACK")


@rule("go-like-info", INFO_AND_GO,
      "GO right after INFO with the same data tells the same.")
def _(t):
    for infos in ((), ALL_INFOS, (INFO_BLOCK_SIZE,)):
        client = t.haggling()
        first = info_replies(client, OPT_INFO, t.name(), *infos)
        second = info_replies(client, OPT_GO, t.name(), *infos)
        same(sorted(second), sorted(first), "what GO tells")


@rule("go-without-info", INFO_AND_GO,
      "GO needs no INFO before it.")
def _(t):
    client = t.greeted()
    client.go(t.name())
    client.read(0, 512)


@rule("go-other-export", INFO_AND_GO,
      "INFO commits to nothing: GO may be for another export.")
def _(t):
    client = t.greeted()
    client.inform(OPT_INFO, t.name("size=5M"))
    client.go(t.name("size=7M"))
    same(client.size, 7 << 20, "size")
    same(client.errno(CMD_READ, 6 << 20, 512), 0, "errno of a read at 6 MiB")


@rule("go-then-option", INFO_AND_GO,
      "There are no options after GO: one is a request without its magic number, and ends it.",
      SENSE)
def _(t):
    client = t.ready(structured=False)
    client.send_option(OPT_LIST, b"")
    client.send(bytes(32))
    expect(client.is_over(), "the server answered")


@rule("go-default", INFO_AND_GO,
      "The empty name is the default export's.")
def _(t):
    t.server()
    client = t.greeted()
    client.go("")
    same(client.size, 1 << 20, "size")


@rule("info-unknown-export", "Option reply types: NBD_REP_ERR_UNKNOWN",
      "INFO and GO for an export that is not there are refused with NBD_REP_ERR_UNKNOWN.")
def _(t):
    t.name("missing")
    for option in (OPT_INFO, OPT_GO):
        same(t.greeted().refusal(option, go_query("missing")), REP_ERR_UNKNOWN, "refusal")


@rule("info-unknown-export-tells-nothing", INFO_AND_GO,
      "Before NBD_REP_ERR_UNKNOWN there is no NBD_REP_INFO.", SHOULD)
def _(t):
    t.name("missing")
    for option in (OPT_INFO, OPT_GO):
        client = t.greeted()
        client.send_option(option, go_query("missing", *ALL_INFOS))
        same(client.option_reply(option)[0], REP_ERR_UNKNOWN, "first reply")


@rule("go-after-refused-go", INFO_AND_GO,
      "After a GO that was refused the client is still haggling.")
def _(t):
    client = t.haggling()
    client.refusal(OPT_GO, b"")
    if t.is_ours:
        client.refusal(OPT_GO, go_query("missing"))
    client.go(t.name())
    expect(client.command(CMD_READ, 0, 512).is_structured, "structured replies are gone")


@rule("info-name-too-long-for-data", INFO_AND_GO,
      "A name that is longer than the data has room for is refused as invalid.")
def _(t):
    client = t.greeted()
    for length in (1, 2, 3, 100, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF):
        for option in (OPT_INFO, OPT_GO):
            data = struct.pack(">I", length) + bytes(2)
            one_of(client.refusal(option, data), (REP_ERR_INVALID, REP_ERR_TOO_BIG),
                   "refusal of a name of %d bytes in 2" % length)


@rule("info-data-too-short", INFO_AND_GO,
      "Data of fewer than the 6 bytes that must be there is refused as invalid.")
def _(t):
    client = t.greeted()
    for length in range(6):
        for option in (OPT_INFO, OPT_GO):
            same(client.refusal(option, bytes(length)), REP_ERR_INVALID,
                 "refusal of %d bytes" % length)


@rule("info-requests-do-not-fit", INFO_AND_GO,
      "More requests than there is data for, or fewer, are refused as invalid.", SENSE)
def _(t):
    client = t.greeted()
    name = counted(t.name())
    for data in (struct.pack(">H", 1), struct.pack(">HH", 2, 1), struct.pack(">HH", 0, 1),
                 struct.pack(">HHH", 1, 1, 2), struct.pack(">H", 0xFFFF),
                 struct.pack(">HB", 0, 0), struct.pack(">HB", 1, 0)):
        for option in (OPT_INFO, OPT_GO):
            same(client.refusal(option, name + data), REP_ERR_INVALID,
                 "refusal of requests %s" % data.hex())


@rule("info-name-4096", "Conventions",
      "INFO and GO take names of 4096 bytes.")
def _(t):
    name = t.name("name=" + "x" * 4091)
    client = t.greeted()
    client.inform(OPT_INFO, name)
    client.go(name)


@rule("info-name-4097", "Conventions",
      "INFO and GO refuse names of more than 4096 bytes, and the session goes on.")
def _(t):
    client = t.greeted()
    for length in (4097, 5000, 60000):
        for option in (OPT_INFO, OPT_GO):
            one_of(client.refusal(option, go_query("name=" + "x" * (length - 5))),
                   (REP_ERR_INVALID, REP_ERR_TOO_BIG, REP_ERR_UNKNOWN), "refusal")


@rule("info-name-nul", "Conventions",
      "INFO and GO refuse names with a NUL.")
def _(t):
    client = t.greeted()
    for name in (b"\0", b"name=a\0", b"name=a\0b", b"\0name="):
        for option in (OPT_INFO, OPT_GO):
            one_of(client.refusal(option, go_query(name)), (REP_ERR_INVALID, REP_ERR_UNKNOWN),
                   "refusal")


@rule("info-name-not-utf8", "Conventions",
      "INFO and GO refuse names that are not UTF-8.", SENSE)
def _(t):
    client = t.greeted()
    for name in (b"name=\xff", b"name=\xc3", b"name=\xc0\x80", b"name=\xed\xa0\x80",
                 b"name=\xf4\x90\x80\x80", b"name=\xe2\x82"):
        for option in (OPT_INFO, OPT_GO):
            one_of(client.refusal(option, go_query(name)), (REP_ERR_INVALID, REP_ERR_UNKNOWN),
                   "refusal of %r" % name)


@rule("info-name-utf8", "Conventions",
      "INFO and GO take any UTF-8, and NBD_INFO_NAME gives it back.")
def _(t):
    for name in ("name=\u00e9", "name=\u65e5\u672c\u8a9e", "name=\U0001f4be", "name=\n\t\x1b[1m"):
        client = t.greeted()
        info = client.go(t.name(name), INFO_NAME)
        same(info.get(INFO_NAME, name.encode()).decode(), name, "name")


@rule("info-flags-are-16-bits", "Transmission flags",
      "Before negotiation and after it, INFO tells the flags that GO would have.")
def _(t):
    client = t.greeted()
    client.inform(OPT_INFO, t.name())
    same(client.flags & SEND_DF, 0, "NBD_FLAG_SEND_DF before STRUCTURED_REPLY")
    client.negotiate_structured()
    client.inform(OPT_INFO, t.name())
    told = client.flags
    client.go(t.name())
    same(client.flags, told, "flags of GO")
