# SPDX-License-Identifier: BSD-3-Clause
"""Options that are not known, ABORT, LIST, STRUCTURED_REPLY, and STARTTLS where there is no TLS."""

from rules.bench import *
from rules.book import MAY, SENSE, SHOULD, Skip, expect, one_of, rule

UNKNOWN_OPTIONS = (0, 12, 13, 99, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
# The errors that "this option is not for you" may be told with.
REFUSALS = {REP_ERR_UNSUP, REP_ERR_POLICY, REP_ERR_PLATFORM, REP_ERR_INVALID}


@rule("option-unknown", "Baseline",
      "Options that a server does not implement are refused with NBD_REP_ERR_UNSUP.")
def _(t):
    client = t.greeted()
    for option in UNKNOWN_OPTIONS:
        same(client.refusal(option), REP_ERR_UNSUP, "refusal of option %#x" % option)


@rule("option-unknown-with-data", "Newstyle negotiation",
      "The data of an option that is not known is skipped, and the next option is understood.")
def _(t):
    client = t.greeted()
    for length in (1, 15, 16, 17, 1000, 4096, 65536):
        same(client.refusal(99, b"\x49" * length), REP_ERR_UNSUP, "refusal of option 99")
    client.go(t.name())
    client.read(0, 512)


@rule("option-unknown-large", "Baseline",
      "An option that is not known is refused with NBD_REP_ERR_UNSUP though its data is "
      "larger than any option's, unless the server takes it for an attack.",
      SENSE)
def _(t):
    notes = set()
    for length in (65537, 1 << 20):
        client = t.greeted()
        try:
            same(client.refusal(99, bytes(length)), REP_ERR_UNSUP, "refusal of option 99")
            client.inform(OPT_INFO, t.name())
            notes.add("refused")
        except Closed:
            notes.add("hung up on")
    return " and ".join(sorted(notes))


@rule("option-unknown-looks-like-option", "Baseline",
      "What looks like an option within another one's data is data.")
def _(t):
    client = t.greeted()
    inner = struct.pack(">QII", IHAVEOPT, OPT_ABORT, 0)
    same(client.refusal(99, inner * 10), REP_ERR_UNSUP, "refusal of option 99")
    same(client.refusal(98), REP_ERR_UNSUP, "refusal of option 98")


@rule("option-peek-export", "Option types: NBD_OPT_PEEK_EXPORT",
      "The withdrawn option PEEK_EXPORT is one that is not known.")
def _(t):
    same(t.greeted().refusal(OPT_PEEK_EXPORT, b""), REP_ERR_UNSUP, "refusal")


@rule("option-too-big", "Option reply types: NBD_REP_ERR_TOO_BIG",
      "An option of a length that makes no sense is refused or ends the session, and the server "
      "takes no memory for it.", SENSE)
def _(t):
    for option in (OPT_INFO, OPT_LIST, OPT_SET_META_CONTEXT, 99):
        client = t.greeted()
        client.send_option(option, bytes(1 << 20))
        try:
            one_of(client.option_reply(option)[0], (REP_ERR_TOO_BIG, REP_ERR_INVALID,
                                                    REP_ERR_UNSUP), "reply")
            client.abort()
        except Closed:
            pass


@rule("option-too-long", "Termination of the session during option haggling",
      "The server may hang up on an option that is a denial of service; if it does not, it answers "
      "when all data is there.", MAY)
def _(t):
    client = t.greeted()
    client.send_option(OPT_SET_META_CONTEXT, b"", length=70000)
    expect(not client.is_readable(), "an answer before the data")
    try:
        client.send(bytes(70000))
        expect(client.option_reply()[0] & REP_ERROR_BIT, "an option of zeroes was accepted")
        return "it answers"
    except Closed:
        return "it hangs up"


@rule("abort-ack", "Option types: NBD_OPT_ABORT",
      "ABORT is answered with NBD_REP_ACK.")
def _(t):
    same(t.greeted().ask(OPT_ABORT), [], "replies before the ACK")


@rule("abort-with-data", "Option types: NBD_OPT_ABORT",
      "Data that comes with ABORT is ignored rather than refused.", SHOULD)
def _(t):
    for length in (1, 1000, 65537):
        same(t.greeted().ask(OPT_ABORT, bytes(length)), [], "replies before the ACK")


@rule("abort-ends", "Termination of the session during option haggling",
      "After ABORT the session is over: the server does not answer any more.", SENSE)
def _(t):
    client = t.greeted()
    client.abort()
    client.sock.shutdown(socket.SHUT_WR)
    same(client.ending(), "eof", "how the connection ends")


@rule("abort-unread", "Option types: NBD_OPT_ABORT",
      "A client may send ABORT and close without waiting for the reply; the server lives on.",
      SHOULD)
def _(t):
    for _ in range(5):
        client = t.greeted()
        client.send_option(OPT_ABORT)
        client.vanish()


@rule("abort-anywhere", "Termination of the session during option haggling",
      "A client may abort whenever it wishes: also after INFO, and after what was refused.")
def _(t):
    client = t.haggling()
    client.inform(OPT_INFO, t.name())
    client.refusal(99)
    client.set_meta(t.name(), "base:allocation")
    client.abort()


@rule("list-replies", "Option types: NBD_OPT_LIST",
      "LIST is answered with one NBD_REP_SERVER for each export, then ACK or an error.")
def _(t):
    client = t.greeted()
    try:
        for kind, _ in client.ask(OPT_LIST):
            same(kind, REP_SERVER, "type of a reply before the ACK")
    except OptionError as error:
        same(error.code, REP_ERR_POLICY, "error of LIST")


@rule("list-all", "Option types: NBD_OPT_LIST",
      "The exports that LIST names are the plugin's, in its order.", SENSE)
def _(t):
    t.server()
    same([name for name, _ in t.greeted().list_exports()], ["name=first", "name=second"], "names")


@rule("list-name-length", "Option reply types: NBD_REP_SERVER",
      "The name in NBD_REP_SERVER is no longer than the reply has room for.")
def _(t):
    for _, payload in t.greeted().ask(OPT_LIST):
        expect(len(payload) >= 4, "a reply of %d bytes" % len(payload))
        length = struct.unpack(">I", payload[:4])[0]
        expect(length <= len(payload) - 4, "a name of %d bytes in %r" % (length, payload))


@rule("list-strings", "Conventions",
      "Names and descriptions in LIST are strings: UTF-8, no NUL, at most 4096 bytes each.")
def _(t):
    for pair in t.greeted().list_exports():
        for text in pair:
            expect("\0" not in text and len(text.encode()) <= 4096, "the string %r" % text)


@rule("list-description", "Option reply types: NBD_REP_SERVER",
      "What follows the name is text for people about the export.")
def _(t):
    t.server()
    exports = dict(t.greeted().list_exports())
    same(exports, {"name=first": "the first disk", "name=second": ""}, "descriptions")


@rule("list-names-work", "Option reply types: NBD_REP_SERVER",
      "The name is one that INFO and GO take.")
def _(t):
    client = t.greeted()
    for name, _ in client.list_exports():
        client.inform(OPT_INFO, name)


@rule("list-with-data", "Option types: NBD_OPT_LIST",
      "LIST with data is refused with NBD_REP_ERR_INVALID.", SHOULD)
def _(t):
    for data in (b"x", bytes(4), bytes(1000)):
        same(t.greeted().refusal(OPT_LIST, data), REP_ERR_INVALID, "refusal")


@rule("list-again", "Option types: NBD_OPT_LIST",
      "LIST changes nothing: it can be asked again, with the same answer.", SENSE)
def _(t):
    client = t.haggling()
    first = client.list_exports()
    client.inform(OPT_INFO, t.name())
    same(client.list_exports(), first, "the second list")
    client.go(t.name())
    client.read(0, 512)


@rule("ack-has-no-data", "Option reply types: NBD_REP_ACK",
      "NBD_REP_ACK has no data.")
def _(t):
    client = t.greeted()
    for option, data in ((OPT_LIST, b""), (OPT_STRUCTURED_REPLY, b""),
                         (OPT_INFO, go_query(t.name())), (OPT_ABORT, b"")):
        client.ask(option, data)


@rule("structured-ack", "Option types: NBD_OPT_STRUCTURED_REPLY",
      "STRUCTURED_REPLY is answered with ACK, or refused as not known; nothing else comes with it.",
      MAY)
def _(t):
    try:
        same(t.greeted().ask(OPT_STRUCTURED_REPLY), [], "replies before the ACK")
        return "there are structured replies"
    except OptionError as error:
        same(error.code, REP_ERR_UNSUP, "refusal")
        return "there are none"


@rule("structured-with-data", "Option types: NBD_OPT_STRUCTURED_REPLY",
      "STRUCTURED_REPLY with data is refused with NBD_REP_ERR_INVALID.", SHOULD)
def _(t):
    same(t.greeted().refusal(OPT_STRUCTURED_REPLY, b"x"), REP_ERR_INVALID, "refusal")


@rule("structured-refused-has-no-effect", "Structured reply chunk message",
      "After a STRUCTURED_REPLY that was refused, replies are simple.")
def _(t):
    client = t.greeted()
    client.refusal(OPT_STRUCTURED_REPLY, b"x")
    client.go(t.name())
    same(client.flags & SEND_DF, 0, "NBD_FLAG_SEND_DF")
    client.read(0, 512)


@rule("structured-twice", "Fixed newstyle negotiation",
      "A second STRUCTURED_REPLY is acknowledged or refused with NBD_REP_ERR_INVALID, and the "
      "first one stays in force.", MAY)
def _(t):
    client = t.haggling()
    try:
        client.ask(OPT_STRUCTURED_REPLY)
        note = "acknowledged"
    except OptionError as error:
        same(error.code, REP_ERR_INVALID, "refusal")
        note = "refused"
    client.go(t.name())
    expect(client.command(CMD_READ, 0, 512).is_structured, "a simple reply to a read")
    return note


@rule("structured-not-there", "Option types: NBD_OPT_STRUCTURED_REPLY",
      "A server without structured replies refuses the option with NBD_REP_ERR_UNSUP, and then "
      "uses simple ones.")
def _(t):
    client = t.greeted(server="simple")
    same(client.refusal(OPT_STRUCTURED_REPLY), REP_ERR_UNSUP, "refusal")
    client.go(t.name())
    same(client.flags & SEND_DF, 0, "NBD_FLAG_SEND_DF")
    client.read(0, 512)


@rule("options-in-any-order", "Fixed newstyle negotiation",
      "Options come in the order that the client likes, before and after INFO.")
def _(t):
    client = t.greeted()
    client.inform(OPT_INFO, t.name())
    client.negotiate_structured()
    client.list_exports()
    client.go(t.name())
    expect(client.command(CMD_READ, 0, 512).is_structured, "a simple reply to a read")


@rule("starttls-without-tls", "NOTLS mode",
      "A server without TLS refuses STARTTLS with NBD_REP_ERR_POLICY, NBD_REP_ERR_UNSUP or "
      "another error that is there for it.")
def _(t):
    client = t.greeted()
    try:
        client.ask(OPT_STARTTLS)
    except OptionError as error:
        one_of(error.code, REFUSALS, "refusal")
        return
    raise Skip("the server has TLS")


@rule("starttls-refused-goes-on", "NOTLS mode",
      "After a STARTTLS that was refused, the session goes on without TLS.")
def _(t):
    client = t.haggling()
    try:
        client.ask(OPT_STARTTLS)
        raise Skip("the server has TLS")
    except OptionError:
        client.go(t.name())
    expect(client.command(CMD_READ, 0, 512).is_structured, "structured replies are gone")


@rule("no-tls-required", "NOTLS mode",
      "A server without TLS never answers NBD_REP_ERR_TLS_REQD.")
def _(t):
    client = t.greeted()
    for option, data in ((OPT_LIST, b""), (OPT_INFO, go_query(t.name())), (99, b""),
                         (OPT_STARTTLS, b"x"), (OPT_INFO, go_query("no such export")),
                         (OPT_LIST_META_CONTEXT, meta_query(t.name()))):
        try:
            client.ask(option, data)
        except OptionError as error:
            expect(error.code != REP_ERR_TLS_REQD, "option %d needs TLS" % option)


@rule("baseline-options", "Baseline",
      "INFO, GO, LIST and ABORT are there.")
def _(t):
    client = t.greeted()
    client.inform(OPT_INFO, t.name())
    client.list_exports()
    client.abort()
    t.greeted().go(t.name())


@rule("interoperable-export-name", "Maximum interoperability",
      "EXPORT_NAME is there for old clients.", SHOULD)
def _(t):
    client = t.greeted()
    client.export_name(t.name())


@rule("stopping-server", "Termination of the session during option haggling",
      "A server that is being shut down refuses options with NBD_REP_ERR_SHUTDOWN, or ends the "
      "session; it does not acknowledge.", MAY)
def _(t):
    server = t.server("plain#stopping")
    client = t.greeted(server="plain#stopping")
    client.list_exports()
    server.process.terminate()
    try:
        until(lambda: client.is_readable() or server.process.poll() is not None, "the end")
        same(client.refusal(OPT_LIST), REP_ERR_SHUTDOWN, "refusal")
        return "it refuses"
    except Closed:
        same(server.wait(), 0, "exit status of the server")
        return "it ends the session"
