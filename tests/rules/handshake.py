# SPDX-License-Identifier: BSD-3-Clause
"""The greeting, the client's flags, the old ways into transmission, and how messages are framed."""

from rules.bench import *
from rules.book import MAY, SENSE, expect, rule


@rule("greeting-init-passwd", "Newstyle negotiation",
      "The server speaks first, and its first 8 bytes are NBDMAGIC.")
def _(t):
    same(t.connect().receive(8), b"NBDMAGIC", "first 8 bytes")


@rule("greeting-ihaveopt", "Newstyle negotiation",
      "The next 8 bytes are IHAVEOPT: the negotiation is a newstyle one.")
def _(t):
    same(t.connect().receive(16)[8:], b"IHAVEOPT", "second 8 bytes")


@rule("greeting-is-18-bytes", "Newstyle negotiation",
      "After 16 bits of flags it is the client's turn: what comes next is the reply to an option.")
def _(t):
    client = t.connect()
    client.receive(18)
    client.send(struct.pack(">I", FIXED_NEWSTYLE))
    client.ask(OPT_ABORT)


@rule("greeting-fixed-newstyle", "Handshake flags",
      "NBD_FLAG_FIXED_NEWSTYLE is set by a server that supports fixed newstyle.")
def _(t):
    expect(t.connect().greet(None) & FIXED_NEWSTYLE, "the flag is not set")


@rule("greeting-no-unknown-flags", "Handshake flags",
      "Only the two flags that are defined may be set.")
def _(t):
    flags = t.connect().greet(None)
    same(flags & ~(FIXED_NEWSTYLE | NO_ZEROES), 0, "undefined handshake flags")


@rule("greeting-same-for-each", "Server-side requirements",
      "The greeting does not change from one connection to the next.", SENSE)
def _(t):
    same(t.connect().receive(18), t.connect().receive(18), "greeting of the second connection")


@rule("flags-unknown", "Client flags",
      "The server drops a client that sets a flag which is not defined.")
def _(t):
    for bit in range(2, 32):
        client = t.greeted(FIXED_NEWSTYLE | 1 << bit)
        expect(client.is_over(), "bit %d: the server went on" % bit)


@rule("flags-unknown-all", "Newstyle negotiation",
      "The server closes the connection if it does not recognise the client's flags: all bits.")
def _(t):
    expect(t.greeted(0xFFFFFFFF).is_over(), "the server went on")


@rule("flags-not-advertised", "Client flags",
      "The server drops a client that sets a flag which the server did not set.")
def _(t):
    for server, flags in (("unfixed", FIXED_NEWSTYLE), ("bare", FIXED_NEWSTYLE),
                          ("bare", NO_ZEROES), ("zeroes", NO_ZEROES)):
        client = t.greeted(flags, server)
        expect(client.is_over(), "server %s, client flags %d: the server went on" % (server, flags))


@rule("flags-fewer", "Handshake flags",
      "The server offers the flags of its own choice, and serves a client that sets those.", MAY)
def _(t):
    for server, flags in (("unfixed", NO_ZEROES), ("bare", 0), ("zeroes", FIXED_NEWSTYLE)):
        client = t.connect(server)
        same(client.greet(flags), flags, "handshake flags")
        client.export_name(t.name(), 0 if flags & NO_ZEROES else 124)
        client.read(0, 512)


@rule("flags-zero", "Newstyle negotiation",
      "A client without flags gets into transmission with EXPORT_NAME.")
def _(t):
    client = t.greeted(0)
    client.export_name(t.name(), 124)
    client.read(0, 512)


@rule("flags-without-fixed", "Client flags",
      "A client that did not set the flag of fixed newstyle gets a reply to its options, or is "
      "dropped.", MAY)
def _(t):
    client = t.greeted(NO_ZEROES)
    client.send_option(OPT_LIST)
    try:
        kind, _ = client.option_reply(OPT_LIST)
        return "the server honours it" if kind == REP_SERVER else "the server refuses it"
    except Closed:
        return "the server drops it"


@rule("flags-in-pieces", "Newstyle negotiation",
      "The client's flags may come one byte at a time.", SENSE)
def _(t):
    client = t.greeted(None)
    for byte in struct.pack(">I", FIXED_NEWSTYLE):
        client.send(bytes([byte]))
    client.ask(OPT_ABORT)


@rule("export-name-zeroes", "Newstyle negotiation",
      "EXPORT_NAME is answered with size, flags, and 124 zeroes where NO_ZEROES is not agreed on.")
def _(t):
    for flags in (0, FIXED_NEWSTYLE):
        client = t.greeted(flags)
        client.export_name(t.name(), 124)
        client.read(0, 512)


@rule("export-name-no-zeroes", "Handshake flags",
      "With NO_ZEROES on both sides there are no zeroes behind the reply to EXPORT_NAME.")
def _(t):
    for flags in (NO_ZEROES, FIXED_NEWSTYLE | NO_ZEROES):
        client = t.greeted(flags)
        client.export_name(t.name(), 0)
        client.read(0, 512)


@rule("export-name-no-zeroes-client", "Client flags",
      "The server sends no zeroes to a client that set NBD_FLAG_C_NO_ZEROES: its next byte is a "
      "reply's.")
def _(t):
    client = t.greeted(NO_ZEROES)
    client.export_name(t.name())
    client.send_request(CMD_READ, 0, 1)
    same(client.receive(4), struct.pack(">I", SIMPLE_REPLY_MAGIC), "what follows the flags")


@rule("export-name-size", "Newstyle negotiation",
      "The size that EXPORT_NAME tells is the export's, the same as GO tells.")
def _(t):
    client = t.greeted()
    client.export_name(t.name())
    same(client.size, t.ready(structured=False).size, "size")


@rule("export-name-flags", "Option reply types: NBD_INFO_EXPORT",
      "EXPORT_NAME and GO tell the same transmission flags of an export.")
def _(t):
    client = t.greeted()
    client.export_name(t.name())
    same(client.flags, t.ready(structured=False).flags, "transmission flags")


@rule("export-name-unknown", "Option types: NBD_OPT_EXPORT_NAME",
      "The server ends the session, without a byte, if there is no such export.")
def _(t):
    t.name("missing")
    client = t.greeted()
    client.send_option(OPT_EXPORT_NAME, b"missing")
    client.hangs_up()


@rule("export-name-default", "Option types: NBD_OPT_EXPORT_NAME",
      "The empty name means the default export.")
def _(t):
    t.name("name=first")
    client = t.greeted()
    client.export_name("")
    client.read(0, 512)


@rule("export-name-4096", "Conventions",
      "Export names of 4096 bytes are good.")
def _(t):
    client = t.greeted()
    client.export_name(t.name("name=" + "x" * 4091))
    client.read(0, 512)


@rule("export-name-4097", "Conventions",
      "A name is at most 4096 bytes long: EXPORT_NAME with more ends the session.")
def _(t):
    for length in (4097, 65536, 65537):
        client = t.greeted()
        client.send_option(OPT_EXPORT_NAME, b"name=" + b"x" * (length - 5))
        client.ending()


@rule("export-name-utf8", "Conventions",
      "Names are any UTF-8, of two, three and four bytes a character.")
def _(t):
    for name in ("name=\u00e9\u00fc", "name=\u65e5\u672c", "name=\U0001f4be", "name=\u007f\u0001"):
        client = t.greeted()
        client.export_name(t.name(name))
        client.read(0, 512)


@rule("export-name-not-utf8", "Conventions",
      "EXPORT_NAME with what is not UTF-8 ends the session.", SENSE)
def _(t):
    for text in (b"\xff", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80"):
        client = t.greeted()
        client.send_option(OPT_EXPORT_NAME, b"name=" + text)
        client.ending()


@rule("export-name-nul", "Conventions",
      "A name has no NUL: EXPORT_NAME with one ends the session, wherever the NUL is.")
def _(t):
    for text in (b"\0", b"\0name=first", b"name=a\0b", b"name=a\0"):
        client = t.greeted()
        client.send_option(OPT_EXPORT_NAME, text)
        client.ending()


@rule("export-name-then-request", "Termination of the session during option haggling",
      "EXPORT_NAME enters transmission at once: a request in the same packet is answered.")
def _(t):
    client = t.greeted(FIXED_NEWSTYLE | NO_ZEROES)
    name = t.name().encode()
    client.send(struct.pack(">QII", IHAVEOPT, OPT_EXPORT_NAME, len(name)) + name +
                struct.pack(">IHHQQI", REQUEST_MAGIC, 0, CMD_READ, 77, 0, 16))
    size, _ = client.unpack(">QH")
    t.target.check_size(size, 16)
    same(client.unpack(">IIQ"), (SIMPLE_REPLY_MAGIC, 0, 77), "reply to the read")
    client.receive(16)


@rule("option-magic", "Newstyle negotiation",
      "An option begins with IHAVEOPT; what does not ends the session.", SENSE)
def _(t):
    for magic in (0, NBDMAGIC, OPT_REPLY_MAGIC, IHAVEOPT ^ 1, IHAVEOPT ^ 1 << 63):
        client = t.greeted()
        client.send_option(OPT_LIST, magic=magic)
        expect(client.is_over(), "magic %#x: the server went on" % magic)


@rule("option-reply-magic", "Fixed newstyle negotiation",
      "Every reply to an option begins with the magic number of option replies.")
def _(t):
    client = t.greeted()
    for option in (OPT_LIST, 99, OPT_ABORT):
        client.send_option(option)
        kind = None
        while kind is None or not kind & REP_ERROR_BIT and kind != REP_ACK:
            magic, _, kind, length = client.unpack(">QIII")
            same(magic, OPT_REPLY_MAGIC, "magic number of a reply to option %d" % option)
            client.receive(length)


@rule("option-reply-number", "Fixed newstyle negotiation",
      "Every reply names the option that it is for, one that is not known included.")
def _(t):
    client = t.greeted()
    for option in (OPT_LIST, OPT_INFO, OPT_STRUCTURED_REPLY, OPT_SET_META_CONTEXT, 99, 1 << 31,
                   0xFFFFFFFF):
        client.send_option(option, b"")
        kind = REP_SERVER
        while kind != REP_ACK and not kind & REP_ERROR_BIT:
            kind, _ = client.option_reply(option)


@rule("option-in-pieces", "Fixed newstyle negotiation",
      "An option may come one byte at a time.", SENSE)
def _(t):
    client = t.greeted()
    data = go_query(t.name())
    for byte in struct.pack(">QII", IHAVEOPT, OPT_INFO, len(data)) + data:
        client.send(bytes([byte]))
    same(client.option_reply(OPT_INFO)[0], REP_INFO, "type of the reply")


@rule("option-before-reply", "Fixed newstyle negotiation",
      "A client must wait for the final reply; options of one that does not are answered in turn.",
      SENSE)
def _(t):
    client = t.greeted()
    options = [99, OPT_LIST, 98, OPT_STRUCTURED_REPLY, OPT_ABORT]
    client.send(b"".join(struct.pack(">QII", IHAVEOPT, option, 0) for option in options))
    for option in options:
        kind = REP_SERVER
        while kind != REP_ACK and not kind & REP_ERROR_BIT:
            kind, _ = client.option_reply(option)


@rule("option-error-is-not-the-end", "Termination of the session during option haggling",
      "An option that is refused does not cost the client its session: the next one is answered.")
def _(t):
    client = t.greeted()
    for _ in range(5):
        client.refusal(OPT_LIST, b"x")
        client.refusal(OPT_INFO, b"")
        client.refusal(1234)
    client.go(t.name())
    client.read(0, 512)


@rule("option-refusal-is-text", "Option reply types",
      "The data of an error reply is a message for people: UTF-8, no NUL, at most 4096 bytes.")
def _(t):
    client = t.greeted()
    cases = [(99, b""), (OPT_LIST, b"x"), (OPT_INFO, b""), (OPT_GO, go_query("a" * 5000)),
             (OPT_SET_META_CONTEXT, b""), (OPT_STRUCTURED_REPLY, b"x"), (OPT_STARTTLS, b"x")]
    for option, data in cases:
        client.send_option(option, data)
        kind, text = client.option_reply(option)
        expect(kind & REP_ERROR_BIT, "option %d was not refused" % option)
        text.decode()
        expect(b"\0" not in text and len(text) <= 4096, "option %d: the text %r" % (option, text))


@rule("old-init-passwd", "Oldstyle negotiation",
      "Oldstyle negotiation begins with NBDMAGIC too, and then has a magic number of its own.")
def _(t):
    same(t.connect("oldstyle").unpack(">QQ"), (NBDMAGIC, OLDSTYLE_MAGIC), "magic numbers")


@rule("old-size", "Oldstyle negotiation",
      "The size of the export comes next, 64 bits.")
def _(t):
    client = t.connect("oldstyle")
    client.receive(16)
    same(client.unpack(">Q"), (1 << 20,), "size")


@rule("old-no-handshake-flags", "Handshake flags",
      "No handshake flag is set in oldstyle negotiation, where they would be the upper 16 bits.")
def _(t):
    client = t.connect("oldstyle")
    client.oldstyle()
    same(client.server_flags, 0, "handshake flags")


@rule("old-transmission-flags", "Transmission flags",
      "The lower 16 bits of the flags in oldstyle negotiation are transmission flags, and "
      "NBD_FLAG_HAS_FLAGS is set.")
def _(t):
    client = t.connect("oldstyle")
    client.oldstyle()
    expect(client.flags & HAS_FLAGS, "flags %#x" % client.flags)


@rule("old-no-df", "Transmission flags: NBD_FLAG_SEND_DF",
      "Structured replies cannot be negotiated in oldstyle, so this flag is clear.")
def _(t):
    client = t.connect("oldstyle")
    client.oldstyle()
    same(client.flags & (SEND_DF | BLOCK_STATUS_PAYLOAD), 0, "flags of what was not negotiated")


@rule("old-zeroes", "Oldstyle negotiation",
      "124 zeroes end it: 152 bytes in all, and then the reply to a request.")
def _(t):
    client = t.connect("oldstyle")
    same(client.receive(152)[28:], bytes(124), "reserved bytes")
    client.read(0, 512)


@rule("old-simple-replies", "Transmission",
      "Without negotiation there are only simple replies, so also in oldstyle.")
def _(t):
    client = t.connect("oldstyle")
    client.oldstyle()
    client.write(0, b"oldstyle" * 64)
    same(client.read(0, 512), b"oldstyle" * 64, "what was written")
    same(client.errno(CMD_READ, 1 << 40, 512), EINVAL, "errno of a read beyond the end")
    client.disconnect()


@rule("old-request-at-once", "Oldstyle negotiation",
      "The client says nothing in oldstyle: its first bytes are a request.")
def _(t):
    client = t.connect("oldstyle")
    client.send_request(CMD_READ, 0, 16)
    client.oldstyle()
    same(client.reply().error, 0, "errno of the read")
